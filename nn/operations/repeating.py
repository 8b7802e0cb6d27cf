"""Repeated elements, products of sets, and windows."""

import numpy as np

import kernels
from nn.operations.arguments import array_of, as_array, axis_of, numbers_of, numpy_names, promoted, sizes_of
from nn.operations.arithmetic import mul, reshaped
from nn.operations.joining import narrow, stack
from nn.operations.lookup import index_select
from nn.operations.shapes import broadcast_tensors, expand, reshape, unsqueeze
from nn.storage import Tensor, wrap
from nn.tape import record, record_linear

__all__ = ["block_diag", "cartesian_prod", "kron", "repeat_interleave", "tile"]


def repeat(input, repeats, *more):
    """Copies of the whole tensor side by side: a number for each dimension, a tuple or several ints; new ones in front.

    Raises
    ------
    ValueError
        Fewer numbers than dimensions, or a negative one.
    """
    shape, repeats = array_of("repeat", input).shape, sizes_of((repeats, *more))
    if len(repeats) < len(shape):
        raise ValueError(f"repeat: needs a number for each dimension of {shape}, got {tuple(repeats)}")
    if min(repeats, default=0) < 0:
        raise ValueError(f"repeat: numbers must not be negative, got {tuple(repeats)}")
    full = (1,) * (len(repeats) - len(shape)) + shape
    pairs = tuple(n for pair in zip(repeats, full, strict=True) for n in pair)
    copies = tuple(range(0, len(pairs), 2))

    def adjoint(dy):
        return kernels.sum(dy.reshape(pairs), copies).reshape(shape) if copies else dy

    return record_linear("repeat", lambda x: np.tile(x, repeats), adjoint, input)


def tile(input, dims, *more):
    """As `repeat`; fewer numbers than dimensions are those of the last dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.tile(nn.tensor([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    dims = sizes_of((dims, *more))
    return repeat(input, (*(1,) * (array_of("tile", input).ndim - len(dims)), *dims))


@numpy_names
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Copies of each slice along `dim` one after the other.

    Parameters
    ----------
    repeats : int or Tensor of int64
        One number for all, or one for each slice. Without it, the result is the indices 0, 1, … as often as `input`
        says.
    dim : int, optional
        By default of all elements in one row.
    output_size : int, optional
        The length of the result, which is computed anyway.

    Raises
    ------
    ValueError
        The numbers are as many as neither 1 nor the slices, a negative one among them, or `output_size` is wrong.

    Examples
    --------
    >>> import nn
    >>> nn.repeat_interleave(nn.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        if dim is not None:
            raise TypeError(f"repeat_interleave: dim needs repeats, got dim {dim!r} and no repeats")
        return wrap(np.repeat(np.arange(input.array.size), _counts(input, input.array.size, output_size)))
    if dim is None:
        input, dim = reshape(input, -1), 0
    elif not input.array.ndim:
        input = reshape(input, 1)
    axis = axis_of("repeat_interleave", dim, input.array.ndim)
    shape = input.array.shape
    counts = _counts(repeats, shape[axis], output_size)
    if not counts.ndim:  # every slice as often
        n = int(counts)
        expanded = expand(unsqueeze(input, axis + 1), (*shape[: axis + 1], n, *shape[axis + 1 :]))
        return reshape(expanded, (*shape[:axis], shape[axis] * n, *shape[axis + 1 :]))
    return index_select(input, axis, wrap(np.repeat(np.arange(shape[axis]), counts)))


def _counts(repeats, length, output_size):
    """How often each slice is repeated: 0-d for all, or one number for each."""
    counts = numbers_of("repeat_interleave", "repeats", repeats)
    if counts.dtype.kind not in "iu":
        raise TypeError(f"repeat_interleave: repeats must be integers, got {counts.dtype}")
    if counts.size == 1 and length != 1:
        counts = counts.reshape(())
    if counts.ndim > 1 or (counts.ndim and len(counts) != length) or (counts < 0).any():
        raise ValueError(f"repeat_interleave: needs {length} numbers from 0 on, or one, got shape {counts.shape}")
    total = int(counts) * length if not counts.ndim else int(counts.sum())
    if output_size is not None and output_size != total:
        raise ValueError(f"repeat_interleave: output_size is {output_size}, the repeats add up to {total}")
    return counts.copy()


def kron(input, other):
    """The Kronecker product: each element of one times the whole of the other; missing leading dimensions are 1.

    Examples
    --------
    >>> import nn
    >>> nn.kron(nn.eye(2), nn.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    shapes = array_of("kron", input).shape, array_of("kron", other, "other").shape
    ndim = max(map(len, shapes))
    a, b = ((1,) * (ndim - len(shape)) + shape for shape in shapes)
    left = reshaped(input, tuple(n for pair in zip(a, (1,) * ndim, strict=True) for n in pair))
    right = reshaped(other, tuple(n for pair in zip((1,) * ndim, b, strict=True) for n in pair))
    return reshaped(mul(left, right), tuple(n * m for n, m in zip(a, b, strict=True)))


def cartesian_prod(*tensors):
    """All combinations of one element of each vector, as rows; of one vector, the vector.

    Raises
    ------
    ValueError
        A tensor has not one dimension.

    Examples
    --------
    >>> import nn
    >>> nn.cartesian_prod(nn.arange(2), nn.arange(2))
    tensor([[0, 0],
            [0, 1],
            [1, 0],
            [1, 1]])
    """
    promoted("cartesian_prod", tensors)
    if any(t.array.ndim != 1 for t in tensors):
        raise ValueError(f"cartesian_prod: needs vectors, got shapes {', '.join(str(t.array.shape) for t in tensors)}")
    if len(tensors) == 1:
        return tensors[0]
    n = len(tensors)
    grid = broadcast_tensors(*(reshape(t, (*(1,) * i, -1, *(1,) * (n - 1 - i))) for i, t in enumerate(tensors)))
    return stack([reshape(t, -1) for t in grid], 1)


def block_diag(*tensors):
    """A matrix with matrices along the diagonal and 0 elsewhere; vectors and numbers count as one row.

    Raises
    ------
    ValueError
        A tensor has more than two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.block_diag(nn.ones(1, 2), nn.ones(1, 1))
    tensor([[1., 1., 0.],
            [0., 0., 1.]])
    """
    tensors = tuple(t if isinstance(t, Tensor) else wrap(as_array(t)) for t in tensors)
    arrays = promoted("block_diag", tensors)
    if any(x.ndim > 2 for x in arrays):
        raise ValueError(f"block_diag: needs matrices, got shapes {', '.join(str(x.shape) for x in arrays)}")
    shapes = [x.shape for x in arrays]
    rows = [(1, x.size) if x.ndim < 2 else x.shape for x in arrays]
    ends = np.cumsum(rows, axis=0)
    blocks = [
        (slice(end[0] - shape[0], end[0]), slice(end[1] - shape[1], end[1]))
        for end, shape in zip(ends.tolist(), rows, strict=True)
    ]
    y = np.zeros(tuple(ends[-1]), arrays[0].dtype)
    for block, x in zip(blocks, arrays, strict=True):
        y[block] = x

    def backward(dy):
        return tuple(dy[block].reshape(shape) for block, shape in zip(blocks, shapes, strict=True))

    def derivative(dy):
        return tuple(
            reshaped(narrow(narrow(dy, 0, i.start, i.stop - i.start), 1, j.start, j.stop - j.start), shape)
            for (i, j), shape in zip(blocks, shapes, strict=True)
        )

    return record("block_diag", y, tensors, backward, derivative=derivative)


def unfold(input, dimension, size, step):
    """All windows of `size` elements along a dimension, `step` apart, in a new last dimension; a read-only view.

    Raises
    ------
    ValueError
        `size` is larger than the dimension or negative, or `step` is below 1.
    """
    shape = input.array.shape
    axis = axis_of("unfold", dimension, len(shape), "dimension")
    length = shape[axis] if shape else 1
    if not 0 <= size <= length:
        raise ValueError(f"unfold: size must be from 0 to {length}, the length of dimension {dimension}, got {size}")
    if step < 1:
        raise ValueError(f"unfold: step must be at least 1, got {step}")
    if not shape:
        return reshape(narrow(reshape(input, 1), 0, 0, size), size)
    steps = (slice(None),) * axis
    number = (length - size) // step + 1

    def windows(x):
        if not size:
            return np.empty((*shape[:axis], number, *shape[axis + 1 :], 0), x.dtype)
        view = np.lib.stride_tricks.sliding_window_view(x, size, axis)
        return view[(*steps, slice(0, (number - 1) * step + 1, step))]

    def adjoint(dy):
        dx = np.zeros(shape, dy.dtype)
        for k in range(size):
            dx[(*steps, slice(k, k + (number - 1) * step + 1, step))] += dy[..., k]
        return dx

    return record_linear("windows", windows, adjoint, input, view=True)
