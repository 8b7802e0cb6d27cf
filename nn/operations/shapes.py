"""Other shapes of the same elements, views where possible, and broadcasting."""

import math
import operator

import numpy as np

from nn.operations.arguments import array_of, axis_of, ints_of, numpy_names, sizes_of, tensors_of, unbroadcast
from nn.storage import Tensor
from nn.tape import record, record_linear

__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors", "broadcast_to", "flatten"]
__all__ += ["ravel", "reshape", "squeeze", "unflatten", "unsqueeze"]


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


def reshape(input, shape, *more):
    """The same elements in another shape, a tuple or several ints; one length may be -1.

    Raises
    ------
    ValueError
        The shape has another number of elements, or more than one -1.

    Examples
    --------
    >>> import nn
    >>> nn.reshape(nn.arange(4), (2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return _reshaped("reshape", input, _in_shape("reshape", array_of("reshape", input), sizes_of((shape, *more))))


def reshape_as(input, other):
    """The same elements in the shape of another tensor."""
    return reshape(input, other.array.shape)


def view(input, shape, *more):
    """As `reshape`, but never a copy.

    Raises
    ------
    ValueError
        The strides do not allow a view of this shape, or the number of elements differs.
    TypeError
        `shape` is a dtype: the same bytes as numbers of another kind are not offered.
    """
    if isinstance(shape, (np.dtype, type)):
        raise TypeError(f"view: a view of the bytes as {np.dtype(shape)} is not supported; to(dtype) converts values")
    y = _in_shape("view", input.array, sizes_of((shape, *more)))
    if not np.may_share_memory(y, input.array) and y.size:
        raise ValueError(f"view: strides {input.array.strides} do not allow a view of shape {y.shape}; use reshape")
    return _reshaped("view", input, y)


def view_as(input, other):
    """A view in the shape of another tensor."""
    return view(input, other.array.shape)


def flatten(input, start_dim=0, end_dim=-1):
    """Merge the dimensions from `start_dim` to `end_dim` into one.

    Raises
    ------
    IndexError
        There is no such dimension.
    ValueError
        `start_dim` comes after `end_dim`.

    Examples
    --------
    >>> import nn
    >>> nn.flatten(nn.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    shape = array_of("flatten", input).shape or (1,)
    start = axis_of("flatten", start_dim, len(shape), "start_dim")
    end = axis_of("flatten", end_dim, len(shape), "end_dim")
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    joined = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    return _reshaped("flatten", input, input.array.reshape(joined))


def ravel(input):
    """All elements in one dimension.

    Examples
    --------
    >>> import nn
    >>> nn.ravel(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 2., 3., 4.])
    """
    return reshape(input, -1)


@numpy_names
def unflatten(input, dim, sizes):
    """Split one dimension into several; one of their lengths may be -1.

    Raises
    ------
    IndexError
        There is no such dimension.
    ValueError
        The product of `sizes` is not the length of the dimension.

    Examples
    --------
    >>> import nn
    >>> nn.unflatten(nn.zeros(2, 12), 1, (3, 4)).shape
    (2, 3, 4)
    """
    shape = input.array.shape
    if not shape:
        raise IndexError("unflatten: a 0-d tensor has no dimension to split")
    axis, sizes = axis_of("unflatten", dim, len(shape)), ints_of("unflatten", "sizes", sizes)
    known = math.prod(n for n in sizes if n != -1)
    if not sizes or (shape[axis] % max(known, 1) if -1 in sizes else known != shape[axis]):
        raise ValueError(f"unflatten: sizes {sizes} do not multiply to {shape[axis]}, the length of dimension {dim}")
    inferred = tuple(shape[axis] // max(known, 1) if n == -1 else n for n in sizes)
    whole = (*shape[:axis], *inferred, *shape[axis + 1 :])
    return _reshaped("unflatten", input, _in_shape("unflatten", input.array, whole))


@numpy_names
def squeeze(input, dim=None):
    """Remove dimensions of length 1: those in `dim`, or all.

    Examples
    --------
    >>> import nn
    >>> nn.squeeze(nn.zeros(1, 2, 1)).shape
    (2,)
    """
    shape = input.array.shape
    if dim is None:
        return _reshaped("squeeze", input, input.array.squeeze())
    dims = [axis_of("squeeze", d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    return _reshaped("squeeze", input, input.array.squeeze(tuple(d for d in dims if shape and shape[d] == 1)))


@numpy_names
def unsqueeze(input, dim):
    """Insert a dimension of length 1 before dimension `dim`.

    Examples
    --------
    >>> import nn
    >>> nn.unsqueeze(nn.zeros(2), 0).shape
    (1, 2)
    """
    return _reshaped("unsqueeze", input, np.expand_dims(input.array, axis_of("unsqueeze", dim, input.array.ndim + 1)))


def expand(input, size, *more):
    """Repeat along dimensions of length 1, and along new leading ones, without copying; -1 keeps a length.

    Raises
    ------
    ValueError
        Fewer sizes than dimensions, another size for a length other than 1, or -1 for a new dimension.
    """
    shape, sizes = array_of("expand", input).shape, sizes_of((size, *more))
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


def expand_as(input, other):
    """As `expand`, to the shape of another tensor."""
    return expand(input, other.array.shape)


def broadcast_to(input, size):
    """As `expand`, to a shape.

    Examples
    --------
    >>> import nn
    >>> nn.broadcast_to(nn.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, ints_of("broadcast_to", "size", size))


def broadcast_shapes(*shapes):
    """The shape that arrays of these shapes, tuples or ints, broadcast to.

    Raises
    ------
    ValueError
        They do not broadcast: lengths other than 1 differ.

    Examples
    --------
    >>> import nn
    >>> nn.broadcast_shapes((2, 1), (1, 3))
    (2, 3)
    """
    try:
        return np.broadcast_shapes(*(s if isinstance(s, (tuple, list)) else (operator.index(s),) for s in shapes))
    except TypeError:
        raise TypeError(f"broadcast: shapes must be tuples of ints, got {', '.join(map(repr, shapes))}") from None
    except ValueError:
        raise ValueError(f"broadcast: shapes do not match: {', '.join(map(str, shapes))}") from None


def broadcast_tensors(*tensors):
    """The tensors, each expanded to the shape that all broadcast to: a tuple.

    Examples
    --------
    >>> import nn
    >>> nn.broadcast_tensors(nn.zeros(2, 1), nn.zeros(1, 3))[0].shape
    (2, 3)
    """
    tensors = _several("broadcast_tensors", tensors)
    shape = broadcast_shapes(*(t.array.shape for t in tensors))
    return tuple(expand(t, shape) for t in tensors)


def _several(name, tensors):
    """Tensors given as arguments or as one sequence."""
    return tensors_of(name, tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors)


def _each(name, function, tensors):
    """The function of one tensor, or a tuple of its values of several."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return function(tensors[0])
    return tuple(function(t) for t in _several(name, tensors))


def atleast_1d(*tensors):
    """A 0-d tensor with one dimension, others as they are; a tuple for several tensors.

    Examples
    --------
    >>> import nn
    >>> nn.atleast_1d(nn.tensor(1.0)).shape
    (1,)
    """
    return _each("atleast_1d", lambda t: t if t.array.ndim else reshape(t, 1), tensors)


def atleast_2d(*tensors):
    """Tensors of fewer dimensions with two, the new ones in front; a tuple for several tensors.

    Examples
    --------
    >>> import nn
    >>> nn.atleast_2d(nn.tensor(1.0)).shape
    (1, 1)
    """
    return _each("atleast_2d", lambda t: t if t.array.ndim > 1 else reshape(t, (1, t.array.size)), tensors)


def atleast_3d(*tensors):
    """Tensors of fewer dimensions with three, a matrix with the new one at the end; a tuple for several tensors.

    Examples
    --------
    >>> import nn
    >>> nn.atleast_3d(nn.tensor(1.0)).shape
    (1, 1, 1)
    """

    def deepened(t):
        shape = t.array.shape
        return t if len(shape) > 2 else reshape(t, (*shape, 1) if len(shape) == 2 else (1, t.array.size, 1))

    return _each("atleast_3d", deepened, tensors)
