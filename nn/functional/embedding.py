"""Rows of a table by their numbers."""

import numpy as np

from nn.functional.arguments import check_classes, constant
from nn.tensor import Tensor, record


def embedding(input, weight, padding_idx=None):
    """The rows of `weight` that `input` names.

    Parameters
    ----------
    input : Tensor or array of int64 or int32, any shape
    weight : Tensor (num_embeddings, embedding_dim)
    padding_idx : int, optional
        This row gets no gradient; negative counts from the end.

    Returns
    -------
    Tensor (*input.shape, embedding_dim)

    Raises
    ------
    TypeError
        `input` does not hold integers.
    IndexError
        It holds one that is negative or not below num_embeddings.
    ValueError
        `padding_idx` is outside the table.
    """
    ids, table = constant("embedding", input), weight.data
    check_classes("embedding", "input", ids, len(table))
    if padding_idx is not None:
        padding_idx = checked_padding_idx(padding_idx, len(table))
    shape = table.shape

    def backward(dy):
        dtable = _sum_rows(dy.reshape(-1, shape[1]), ids.reshape(-1), shape[0])
        if padding_idx is not None:
            dtable[padding_idx] = 0
        return dtable

    return record("embedding", np.take(table, ids, axis=0), (weight,), backward)


def checked_padding_idx(padding_idx, num_embeddings):
    """`padding_idx` counted from the front; ValueError where there is no such row."""
    if not -num_embeddings <= padding_idx < num_embeddings:
        raise ValueError(f"embedding: padding_idx {padding_idx} is outside a table of {num_embeddings} rows")
    return padding_idx % num_embeddings


def _sum_rows(rows, ids, number):
    """The sum of the rows of each id, from 0 to number - 1, in the order in which they stand."""
    total = np.zeros((number, rows.shape[1]), rows.dtype)
    if ids.size:
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
        total[ids[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return total


def one_hot(input, num_classes=-1):
    """Vectors of zeros with a one at the class, int64.

    Parameters
    ----------
    input : Tensor or array of int64 or int32, any shape
    num_classes : int, default -1
        The length of each vector; -1 for the largest class plus one.

    Returns
    -------
    Tensor (*input.shape, num_classes)

    Raises
    ------
    TypeError, IndexError
        As `embedding`.
    """
    ids = constant("one_hot", input)
    if num_classes == -1:
        num_classes = int(ids.max()) + 1 if ids.size else 0
    check_classes("one_hot", "input", ids, num_classes)
    return Tensor((ids[..., None] == np.arange(num_classes)).astype(np.int64))
