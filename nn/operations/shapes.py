"""Other shapes and orders of the same elements, views where possible; splitting and joining."""

import itertools
import math
from functools import partial

import numpy as np

from nn.operations.arguments import axis_of, same_dtype, sizes_of, unbroadcast
from nn.operations.arithmetic import reshaped
from nn.operations.indexing import getitem
from nn.storage import wrap
from nn.tape import record, record_linear, record_several


def _in_shape(name, x, sizes):
    """`x` in another shape, with an error that names the shapes."""
    if sizes and min(sizes) < -1:
        raise ValueError(f"{name}: lengths must not be negative, except one -1, got {tuple(sizes)}")
    try:
        return x.reshape(sizes)
    except ValueError:
        raise ValueError(f"{name}: {x.size} elements do not have the shape {tuple(sizes)}, x is {x.shape}") from None


def _reshaped(name, tensor, data):
    shape, new = tensor.array.shape, data.shape

    def derivative(dy):
        return record_linear(name, lambda dy: dy.reshape(shape), lambda x: x.reshape(new), dy)

    return record(name, data, (tensor,), lambda dy: dy.reshape(shape), derivative=derivative, view=True)


def reshape(input, *shape):
    """The same elements in another shape; one length may be -1.

    Raises
    ------
    ValueError
        The shape has another number of elements, or more than one -1.
    """
    return _reshaped("reshape", input, _in_shape("reshape", input.array, sizes_of(shape)))


def view(input, *shape):
    """As `reshape`, but never a copy.

    Raises
    ------
    ValueError
        The strides do not allow a view of this shape, or the number of elements differs.
    """
    y = _in_shape("view", input.array, sizes_of(shape))
    if not np.may_share_memory(y, input.array) and y.size:
        raise ValueError(f"view: strides {input.array.strides} do not allow a view of shape {y.shape}; use reshape")
    return _reshaped("view", input, y)


def flatten(input, start_dim=0, end_dim=-1):
    """Merge the dimensions from `start_dim` to `end_dim` into one.

    Raises
    ------
    IndexError
        There is no such dimension.
    ValueError
        `start_dim` comes after `end_dim`.
    """
    shape = input.array.shape or (1,)
    start = axis_of("flatten", start_dim, len(shape), "start_dim")
    end = axis_of("flatten", end_dim, len(shape), "end_dim")
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    joined = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    return _reshaped("flatten", input, input.array.reshape(joined))


def squeeze(input, dim=None):
    """Remove dimensions of length 1: those in `dim`, or all."""
    shape = input.array.shape
    if dim is None:
        return _reshaped("squeeze", input, input.array.squeeze())
    dims = [axis_of("squeeze", d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    return _reshaped("squeeze", input, input.array.squeeze(tuple(d for d in dims if shape and shape[d] == 1)))


def unsqueeze(input, dim):
    """Insert a dimension of length 1 before dimension `dim`."""
    return _reshaped("unsqueeze", input, np.expand_dims(input.array, axis_of("unsqueeze", dim, input.array.ndim + 1)))


def transpose(input, dim0, dim1):
    """Swap two dimensions."""
    x = input.array
    try:
        x.swapaxes(dim0, dim1)
    except np.exceptions.AxisError:
        axis_of("transpose", dim0, x.ndim, "dim0"), axis_of("transpose", dim1, x.ndim, "dim1")
        return _reshaped("transpose", input, x)  # 0-d
    swap = partial(np.swapaxes, axis1=dim0, axis2=dim1)
    return record_linear("transpose", swap, swap, input, view=True)


def permute(input, *dims):
    """Put the dimensions into another order."""
    dims, ndim = sizes_of(dims), input.array.ndim
    order = [axis_of("permute", d, ndim) for d in dims]
    if sorted(order) != list(range(ndim)):
        raise ValueError(f"permute: dims must name each of {ndim} dimensions once, got {tuple(dims)}")
    inverse = tuple(order.index(d) for d in range(ndim))
    return record_linear("permute", lambda x: x.transpose(order), lambda dy: dy.transpose(inverse), input, view=True)


def reversed_dims(input):
    """The transpose: all dimensions in reverse order."""
    return record_linear("T", np.transpose, np.transpose, input, view=True)


def matrix_transpose(input):
    """The transpose of each matrix: the last two dimensions swapped."""
    return transpose(input, -2, -1)


def expand(input, *sizes):
    """Repeat along dimensions of length 1, and along new leading ones, without copying; -1 keeps a length.

    Raises
    ------
    ValueError
        Fewer sizes than dimensions, another size for a length other than 1, or -1 for a new dimension.
    """
    shape, sizes = input.array.shape, sizes_of(sizes)
    new = len(sizes) - len(shape)
    if new < 0:
        raise ValueError(f"expand: needs a size for each dimension of {shape}, got {tuple(sizes)}")
    result = list(sizes)
    for i, s in enumerate(sizes):
        if i < new:
            if s < 0:
                raise ValueError(f"expand: a new dimension cannot have size {s}, got {tuple(sizes)} for {shape}")
        elif s == -1:
            result[i] = shape[i - new]
        elif s != shape[i - new] and (shape[i - new] != 1 or s < 0):
            raise ValueError(f"expand: only dimensions of length 1 can be repeated, got {tuple(sizes)} for {shape}")
    return record_linear(
        "expand", lambda x: np.broadcast_to(x, result), lambda dy: unbroadcast(dy, shape), input, view=True
    )


def _split_axis(input, name, dim):
    """The dimension to split, counted from the front, and its length; ValueError for a 0-d tensor."""
    if not input.array.ndim:
        raise ValueError(f"{name}: a 0-d tensor has no dimension to split")
    axis = axis_of(name, dim, input.array.ndim)
    return axis, input.array.shape[axis]


def split(input, split_size, dim=0):
    """Split along `dim` into a tuple of parts of length `split_size`, the last maybe shorter, or of listed lengths.

    Raises
    ------
    ValueError
        A negative length, 0 for a dimension that is not empty, lengths with another sum; a 0-d tensor.
    IndexError
        There is no such dimension.
    """
    axis, length = _split_axis(input, "split", dim)
    if not isinstance(split_size, (int, np.integer, tuple, list)):
        raise TypeError(f"split: needs an int or a list of them, got {type(split_size).__name__}")
    if isinstance(split_size, (int, np.integer)):
        if split_size < 0 or (split_size == 0 and length):
            raise ValueError(f"split: split_size must be positive, got {split_size} for a length of {length}")
        sizes = [min(split_size, length - start) for start in range(0, length, split_size or 1)] or [0]
    elif min(split_size, default=0) < 0:
        raise ValueError(f"split: lengths must not be negative, got {list(split_size)}")
    elif sum(split_size) == length:
        sizes = split_size
    else:
        raise ValueError(f"split: {list(split_size)} does not add up to {length}, the length of dimension {dim}")
    return _parts(input, sizes, axis)


def chunk(input, chunks, dim=0):
    """Split along `dim` into at most `chunks` parts of equal length, the last maybe shorter.

    Raises
    ------
    ValueError
        `chunks` is below 1; a 0-d tensor.
    """
    axis, length = _split_axis(input, "chunk", dim)
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, got {chunks}")
    return split(input, -(-length // chunks), axis) if length else _parts(input, [0] * chunks, axis)


def _parts(input, sizes, axis):
    """Parts of these lengths along `axis`, as views."""
    before, ends = (slice(None),) * axis, itertools.accumulate(sizes)
    parts = [input.array[(*before, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True)]
    shapes, dtype = [part.shape for part in parts], input.array.dtype

    def backward(*dys):
        filled = (np.zeros(shape, dtype) if dy is None else dy for dy, shape in zip(dys, shapes, strict=True))
        return np.concatenate(tuple(filled), axis=axis)

    def derivative(dys):
        filled = (wrap(np.zeros(s, dtype)) if dy is None else dy for dy, s in zip(dys, shapes, strict=True))
        return cat(filled, axis)

    return record_several("split", parts, (input,), backward, derivative=derivative, view=True)


def unbind(input, dim=0):
    """A tuple of the slices along `dim`, without that dimension."""
    axis, length = _split_axis(input, "unbind", dim)
    before = (slice(None),) * axis
    return tuple(getitem(input, (*before, i)) for i in range(length))


def cat(tensors, dim=0):
    """Join tensors along a dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one dtype, and of one shape except in dimension `dim`; an empty 1-d tensor is accepted with any shape.
    dim : int, default 0

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes differ, a tensor has no dimension, or there is no tensor.
    IndexError
        There is no such dimension.
    """
    tensors = tuple(tensors)
    arrays = same_dtype("cat", tensors)
    shapes = [x.shape for x in arrays]
    if () in shapes:
        raise ValueError(f"cat: a 0-d tensor, number {shapes.index(())}, has no dimension to join along; use stack")
    template = next((shape for shape in shapes if shape != (0,)), (0,))
    axis = axis_of("cat", dim, len(template))
    rest = template[:axis], template[axis + 1 :]
    lengths = []
    for shape in shapes:
        if (shape[:axis], shape[axis + 1 :]) == rest and len(shape) == len(template):
            lengths.append(shape[axis])
        elif shape == (0,):
            lengths.append(0)
        else:
            raise ValueError(f"cat: shapes differ in more than dimension {dim}: {', '.join(map(str, shapes))}")
    ends = list(itertools.accumulate(lengths))[:-1]
    joined = [x for x in arrays if x.ndim == len(template)]

    def backward(dy):
        parts = np.split(dy, ends, axis=axis)
        return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))

    def derivative(dy):
        parts = split(dy, lengths, axis)
        return tuple(reshaped(part, shape) for part, shape in zip(parts, shapes, strict=True))

    return record("cat", np.concatenate(joined, axis=axis), tensors, backward, derivative=derivative)


def stack(tensors, dim=0):
    """Join tensors of one shape along a new dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one shape and dtype.
    dim : int, default 0
        Index of the new dimension in the result.

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes differ, or there is no tensor.
    IndexError
        The result has no such dimension.
    """
    tensors = tuple(tensors)
    arrays = same_dtype("stack", tensors)
    if len({x.shape for x in arrays}) > 1:
        raise ValueError(f"stack: shapes differ: {', '.join(str(x.shape) for x in arrays)}")
    axis = axis_of("stack", dim, arrays[0].ndim + 1)

    def backward(dy):
        return tuple(np.moveaxis(dy, axis, 0))

    def derivative(dy):
        return unbind(dy, axis)

    return record("stack", np.stack(arrays, axis=axis), tensors, backward, derivative=derivative)
