"""Table lookups: embeddings, and one-hot vectors."""

import numpy as np

import kernels
from nn.functional.arguments import check_classes, checked, constant
from nn.functional.trilinear import record_factor
from nn.operations.arguments import bool_of, int_of, scalar_of
from nn.tape import record, record_linear
from nn.tensor import Tensor


def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):  # fmt: skip
    """The rows of `weight` at the indices in `input`.

    Parameters
    ----------
    input : Tensor or array of int64 or int32, any shape
    weight : Tensor (num_embeddings, embedding_dim)
    padding_idx : int, optional
        Index of a row without gradient; a negative index counts from the end.
    max_norm : float, optional
        Rows that are looked up and have a larger norm are first scaled down to it, in `weight` itself.
    norm_type : float, default 2
        The p of that p-norm.
    scale_grad_by_freq : bool, default False
        Whether the gradient of a row is divided by the number of times that its index occurs in `input`.
    sparse : bool, default False
        Has no effect: gradients are dense.

    Returns
    -------
    Tensor (*input.shape, embedding_dim)

    Raises
    ------
    TypeError
        `input` does not hold integers.
    IndexError
        An index is negative or not below num_embeddings.
    ValueError
        `padding_idx` is outside the table.

    Examples
    --------
    >>> import nn
    >>> nn.functional.embedding(nn.tensor([1, 0, 1]), nn.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    """
    if padding_idx is not None:
        padding_idx = int_of("embedding", "padding_idx", padding_idx)
    if max_norm is not None:
        max_norm, norm_type = (
            scalar_of("embedding", "max_norm", max_norm),
            scalar_of("embedding", "norm_type", norm_type),
        )
    if scale_grad_by_freq is not False or sparse is not False:
        scale_grad_by_freq = _flags("embedding", scale_grad_by_freq, sparse)
    ids, table = constant("embedding", input, "input"), checked("embedding", weight, "weight").array
    y = kernels.embedding(ids, table, padding_idx, max_norm, norm_type)
    if max_norm is not None:
        weight.mark_changed()
    number = len(table)

    def backward(dy):
        return kernels.embedding_backward(dy, ids, number, padding_idx, scale_grad_by_freq)

    def adjoint(d):
        rows = kernels.embedding(ids, d)
        if scale_grad_by_freq:
            rows = (rows / np.bincount(ids.reshape(-1), minlength=number)[ids][..., None]).astype(d.dtype)
        if padding_idx is not None:
            rows[ids == padding_idx % number] = 0
        return rows

    def derivative(dy, input):
        return record_linear("embedding", backward, adjoint, dy, (input,))

    return record("embedding", y, (weight,), backward, (input,), derivative=derivative)


def _flags(name, scale_grad_by_freq, sparse):
    """`scale_grad_by_freq`; TypeError unless both are bools."""
    bool_of(name, "sparse", sparse)
    return bool_of(name, "scale_grad_by_freq", scale_grad_by_freq)


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """Sum, mean or largest elements of the rows of `weight` at the indices of each bag.

    Parameters
    ----------
    input : Tensor or array of int64 or int32
        Shape (B, n): B bags of n indices; or (n,): the indices of all bags, one bag after the other.
    weight : Tensor (num_embeddings, embedding_dim)
    offsets : Tensor or array of int64 or int32 (B,), optional
        For a 1-D `input`: the index of the first element of each bag.
    max_norm, norm_type, scale_grad_by_freq
        As for `embedding`.
    mode : {"mean", "sum", "max"}
    sparse : bool
        Has no effect, as for `embedding`.
    per_sample_weights : Tensor of the shape of `input`, optional
        Factors of the rows; for "sum" only.
    include_last_offset : bool, default False
        Whether `offsets` has one more element, the end of the last bag.
    padding_idx : int, optional
        Index of a row that is left out and has no gradient.

    Returns
    -------
    Tensor (B, embedding_dim)
        Zeros for an empty bag.

    Raises
    ------
    TypeError, IndexError
        As `embedding`.
    ValueError
        Invalid shapes or options; offsets that do not begin at 0, or decrease.
    """
    if padding_idx is not None:
        padding_idx = int_of("embedding_bag", "padding_idx", padding_idx)
    if max_norm is not None:
        max_norm, norm_type = (
            scalar_of("embedding_bag", "max_norm", max_norm),
            scalar_of("embedding_bag", "norm_type", norm_type),
        )
    if scale_grad_by_freq is not False or sparse is not False:
        scale_grad_by_freq = _flags("embedding_bag", scale_grad_by_freq, sparse)
    if include_last_offset is not False:
        include_last_offset = bool_of("embedding_bag", "include_last_offset", include_last_offset)
    ids, starts = constant("embedding_bag", input, "input"), constant("embedding_bag", offsets, "offsets")
    table = checked("embedding_bag", weight, "weight").array
    factors = per_sample_weights
    if factors is not None:
        factors = checked("embedding_bag", factors, "per_sample_weights").array
    options = {"include_last_offset": include_last_offset, "padding_idx": padding_idx, "per_sample_weights": factors}
    if mode == "max":
        bags = len(ids) if ids.ndim == 2 else 0 if starts is None else max(len(starts) - include_last_offset, 0)
        options["indices"] = np.empty((bags, *table.shape[1:]), np.int64)
    y = kernels.embedding_bag(ids, table, starts, max_norm, norm_type, scale_grad_by_freq, mode, **options)
    if max_norm is not None:
        weight.mark_changed()
    needs = weight.requires_grad, factors is not None and per_sample_weights.requires_grad

    def backward(dy):
        return kernels.embedding_bag_backward(dy, ids, table, starts, scale_grad_by_freq, mode, **options, needs=needs)

    # the table itself is read only for the gradient with respect to the factors
    saved = (input, offsets, per_sample_weights, weight if needs[1] else None)
    derivative = None if scale_grad_by_freq else _bag_derivative(ids, table, starts, mode, options, needs)
    return record("embedding_bag", y, (weight, per_sample_weights), backward, saved, derivative=derivative)


def _bag_derivative(ids, table, starts, mode, options, needs):
    """The derivative of `embedding_bag` for `record`: it is linear in the table and in the factors."""
    places = options.get("indices")  # in `ids`, of the elements that were the largest

    def bags(w, f, dy):
        if mode == "max":
            rows = ids.reshape(-1)[np.maximum(places, 0)] if ids.size else places
            return np.where(places < 0, 0, np.take_along_axis(w, rows, 0)).astype(w.dtype, copy=False)
        return kernels.embedding_bag(ids, w, starts, None, 2.0, False, mode, **options | {"per_sample_weights": f})

    def gradient(i):
        def of_factor(w, f, dy):
            given = options | {"per_sample_weights": f}
            return kernels.embedding_bag_backward(dy, ids, w, starts, False, mode, **given, needs=(i == 0, i == 1))[i]

        return of_factor

    maps = gradient(0), gradient(1), bags

    def derivative(dy, input, offsets, factors, weight):
        if needs[1]:
            return tuple(
                record_factor("embedding_bag", maps, i, (weight, factors, dy)) if needs[i] else None for i in (0, 1)
            )
        f = options["per_sample_weights"]
        to_rows, to_bags = (lambda dy: maps[0](table, f, dy)), (lambda d: bags(d, f, None))
        return record_linear("embedding_bag", to_rows, to_bags, dy, (input, offsets, factors)), None

    return derivative


def one_hot(input, num_classes=-1):
    """Vectors that are 1 at the class and 0 elsewhere, int64.

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

    Examples
    --------
    >>> import nn
    >>> nn.functional.one_hot(nn.tensor([2, 0])).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    ids = constant("one_hot", input, "input")
    if ids is None or ids.dtype not in (np.int64, np.int32):
        raise TypeError(f"one_hot: input must be int64 or int32, got {None if ids is None else ids.dtype}")
    num_classes = int_of("one_hot", "num_classes", num_classes)
    if num_classes == -1:
        num_classes = int(ids.max()) + 1 if ids.size else 0
    check_classes("one_hot", "input", ids, num_classes)
    return Tensor((ids[..., None] == np.arange(num_classes)).astype(np.int64))
