"""Diagonals, triangles and grids."""

from typing import Any

import numpy as np

from nn.dtypes import int64
from nn.operations.arguments import array_of, axis_of, int_of, tensors_of
from nn.operations.creation import dtype_of, made, size_of
from nn.operations.layout import strided
from nn.operations.shapes import expand, reshape
from nn.storage import Tensor
from nn.tape import record_linear

__all__ = ["diag", "diag_embed", "diagonal", "meshgrid", "trace", "tril", "tril_indices", "triu", "triu_indices"]


def _at_least(name, input, ndim):
    shape = array_of(name, input).shape
    if len(shape) < ndim:
        raise ValueError(f"{name}: needs at least {ndim} dimensions, got {shape}")


def tril(input, diagonal=0):
    """The lower triangle of each matrix, up to this diagonal (above the main one if positive); 0 elsewhere.

    Examples
    --------
    >>> import nn
    >>> nn.tril(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 0.],
            [3., 4.]])
    """
    _at_least("tril", input, 2)
    diagonal = int_of("tril", "diagonal", diagonal)
    return record_linear("tril", lambda x: np.tril(x, diagonal), lambda dy: np.tril(dy, diagonal), input)


def triu(input, diagonal=0):
    """The upper triangle of each matrix, from this diagonal on; 0 elsewhere.

    Examples
    --------
    >>> import nn
    >>> nn.triu(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [0., 4.]])
    """
    _at_least("triu", input, 2)
    diagonal = int_of("triu", "diagonal", diagonal)
    return record_linear("triu", lambda x: np.triu(x, diagonal), lambda dy: np.triu(dy, diagonal), input)


def tril_indices(row, col, offset=0, *, dtype: Any = int64, device: Any = "cpu", layout=strided):
    """The rows and the columns, a (2, n) tensor, of the lower triangle of a matrix, row by row.

    Examples
    --------
    >>> import nn
    >>> nn.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return made(
        "tril_indices", _triangle("tril_indices", np.tril_indices, row, col, offset, dtype), None, device, layout=layout
    )


def triu_indices(row, col, offset=0, *, dtype: Any = int64, device: Any = "cpu", layout=strided):
    """The rows and the columns, a (2, n) tensor, of the upper triangle of a matrix, row by row.

    Examples
    --------
    >>> import nn
    >>> nn.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return made(
        "triu_indices", _triangle("triu_indices", np.triu_indices, row, col, offset, dtype), None, device, layout=layout
    )


def _triangle(name, indices, row, col, offset, dtype):
    (row, col), offset = size_of(name, (row, col)), int_of(name, "offset", offset)
    return np.stack(indices(row, offset, col)).astype(dtype_of(name, dtype))


def _diagonal_of(x, offset, axes):
    """A view of the diagonals, which NumPy's own makes read-only."""
    first, second = axes
    rest = [d for d in range(x.ndim) if d not in axes]
    start = [slice(None)] * x.ndim
    start[first], start[second] = slice(max(-offset, 0), None), slice(max(offset, 0), None)
    part = x[tuple(start)]
    length = min(part.shape[first], part.shape[second])
    shape = (*(part.shape[d] for d in rest), length)
    strides = (*(part.strides[d] for d in rest), part.strides[first] + part.strides[second])
    return np.lib.stride_tricks.as_strided(part, shape, strides)


def diagonal(input, offset=0, dim1=0, dim2=1):
    """A view of the diagonals of the matrices along two dimensions: these are replaced by one, the last.

    Examples
    --------
    >>> import nn
    >>> nn.diagonal(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 4.])
    """
    x, offset = array_of("diagonal", input), int_of("diagonal", "offset", offset)
    axes = axis_of("diagonal", dim1, x.ndim, "dim1"), axis_of("diagonal", dim2, x.ndim, "dim2")
    if axes[0] == axes[1]:
        raise ValueError(f"diagonal: dim1 and dim2 are the same dimension, {axes[0]}")
    shape, dtype = x.shape, x.dtype

    def put(dy):
        dx = np.zeros(shape, dtype)
        _diagonal_of(dx, offset, axes)[...] = dy
        return dx

    return record_linear("diagonal", lambda x: _diagonal_of(x, offset, axes), put, input, view=True)


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices along two new dimensions, with the last dimension of `input` on a diagonal and 0 elsewhere.

    Examples
    --------
    >>> import nn
    >>> nn.diag_embed(nn.tensor([[1.0, 2.0]])).shape
    (1, 2, 2)
    """
    _at_least("diag_embed", input, 1)
    x, offset = input.array, int_of("diag_embed", "offset", offset)
    ndim = x.ndim + 1
    axes = axis_of("diag_embed", dim1, ndim, "dim1"), axis_of("diag_embed", dim2, ndim, "dim2")
    if axes[0] == axes[1]:
        raise ValueError(f"diag_embed: dim1 and dim2 are the same dimension, {axes[0]}")
    rest, size = iter(x.shape[:-1]), x.shape[-1] + abs(offset)
    shape = tuple(size if d in axes else next(rest) for d in range(ndim))

    def put(x):
        y = np.zeros(shape, x.dtype)
        _diagonal_of(y, offset, axes)[...] = x
        return y

    return record_linear("diag_embed", put, lambda dy: _diagonal_of(dy, offset, axes).copy(), input)


def diag(input, diagonal=0):
    """Of a vector, the matrix with it on a diagonal; of a matrix, a copy of a diagonal.

    Examples
    --------
    >>> import nn
    >>> nn.diag(nn.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    diagonal = int_of("diag", "diagonal", diagonal)
    if array_of("diag", input).ndim == 1:
        return diag_embed(input, diagonal)
    if input.array.ndim != 2:
        raise ValueError(f"diag: needs a vector or a matrix, got {input.array.shape}")
    return _diagonal(input, diagonal).clone()


_diagonal = diagonal


def trace(input):
    """The sum of the diagonal of a matrix.

    Examples
    --------
    >>> import nn
    >>> nn.trace(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if array_of("trace", input).ndim != 2:
        raise ValueError(f"trace: needs a matrix, got {input.array.shape}")
    return diagonal(input).sum()


def meshgrid(*tensors, indexing=None):
    """The coordinates of a grid: for each vector, a tensor that repeats it along the dimensions of the others.

    With `indexing` "ij", the default, dimension i is that of vector i; with "xy", the first two are swapped.

    Examples
    --------
    >>> import nn
    >>> nn.meshgrid(nn.arange(2), nn.arange(3), indexing='ij')[0]
    tensor([[0, 0, 0],
            [1, 1, 1]])
    """
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tensors_of("meshgrid", tensors[0])
    if indexing not in (None, "ij", "xy"):
        raise ValueError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    for t in tensors_of("meshgrid", tensors):
        if t.array.ndim > 1:
            raise ValueError(f"meshgrid: needs vectors or numbers, got {t.array.shape}")
    order = list(range(len(tensors)))
    if indexing == "xy":
        order[:2] = order[1::-1] if len(order) > 1 else order
    shape = [0] * len(tensors)
    for t, d in zip(tensors, order, strict=True):
        shape[d] = t.array.size
    along = ([-1 if e == d else 1 for e in range(len(shape))] for d in order)
    return tuple(expand(reshape(t, sizes), shape) for t, sizes in zip(tensors, along, strict=True))
