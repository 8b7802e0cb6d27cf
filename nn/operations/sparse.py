"""Sparse tensors as programs name them: here every tensor stores all of its elements, and computes the same values."""

import numpy as np

from nn.dtypes import checked
from nn.operations.arguments import as_array, bool_of
from nn.operations.conversion import as_dtype
from nn.operations.creation import made
from nn.operations.products import mm
from nn.storage import Tensor
from nn.tape import record_linear

__all__ = ["coalesce", "mm", "sparse_coo_tensor", "spmm", "to_dense", "to_sparse"]


def sparse_coo_tensor(
    indices,
    values,
    size=None,
    *,
    dtype=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    check_invariants=None,
    is_coalesced=None,
):
    """A tensor with the given elements and zeros elsewhere, stored densely; values at the same place are added.

    Parameters
    ----------
    indices : array_like of int (dims, n)
    values : array_like (n, ...)
    size : sequence of int, optional
        By default the smallest that contains the indices.

    Raises
    ------
    ValueError
        The shapes of `indices`, `values` and `size` do not agree.
    IndexError
        An index is outside `size`.
    """
    where, x = as_array(indices), as_array(values, None if dtype is None else checked("sparse_coo_tensor", dtype))
    if where.ndim != 2 or where.shape[1:] != x.shape[:1]:
        raise ValueError(
            f"sparse_coo_tensor: indices are {where.shape}, values {x.shape}: they need (dims, n), (n, ...)"
        )
    shape = (*(where.max(1) + 1), *x.shape[1:]) if size is None else tuple(size)
    if len(shape) != len(where) + x.ndim - 1 or shape[len(where) :] != x.shape[1:]:
        raise ValueError(f"sparse_coo_tensor: size {shape} does not fit indices {where.shape} and values {x.shape}")
    places = tuple(where)

    def put(x):
        y = np.zeros(shape, x.dtype)
        np.add.at(y, places, x)
        return y

    if isinstance(values, Tensor) and values.array is x:
        return record_linear("sparse_coo_tensor", put, lambda dy: dy[places], values)
    return made("sparse_coo_tensor", put(x), None, device, requires_grad, pin_memory=pin_memory)


def to_sparse(input, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """The tensor itself: it is stored densely."""
    return input


def to_dense(input, dtype=None, *, masked_grad=True):
    """The tensor itself, or in another dtype."""
    bool_of("to_dense", "masked_grad", masked_grad)
    return input if dtype is None else as_dtype("to_dense", input, dtype)


def coalesce(input):
    """The tensor itself."""
    return input


def spmm(input, mat2):
    """The product of two matrices: `mm`."""
    return mm(input, mat2)
