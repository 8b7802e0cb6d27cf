"""Views by strides, and changes of a tensor's own shape."""

import math

import numpy as np

import kernels
from nn.grad_mode import enable_grad, mode
from nn.operations.arguments import array_of, int_of, ints_of, sizes_of
from nn.operations.in_place import overlaps_itself
from nn.operations.layout import check_format, contiguous_format, storage_start
from nn.operations.layout import storage_offset as offset_of
from nn.operations.orders import swapaxes, swapdims, t, transpose
from nn.operations.shapes import squeeze, unsqueeze
from nn.storage import Memory
from nn.tape import base_of, record, record_linear

__all__ = ["as_strided"]


class _Shown:
    """Memory that NumPy takes for an array; keeps its owner alive."""

    def __init__(self, owner, address, shape, strides):
        interface = dict(owner.__array_interface__)
        interface["data"] = address, interface["data"][1]
        interface["shape"], interface["strides"] = shape, tuple(step * owner.itemsize for step in strides)
        self.__array_interface__, self.base = interface, owner


def as_strided(input, size, stride, storage_offset=None):
    """A view of the memory of a tensor: element (i, j) is that at ``storage_offset + i * stride[0] + j * stride[1]``.

    The gradient of an element that `input` does not have is dropped, as in PyTorch.

    Parameters
    ----------
    size, stride : tuple of int
        Lengths of the dimensions, and how many elements apart neighbours along each are; elements may overlap.
    storage_offset : int, optional
        Where the first element is; by default where that of `input` is.

    Raises
    ------
    ValueError
        `size` and `stride` differ in length, a number is negative, the view is not within the memory of the tensor (of
        a view, that of the tensor that it is a view of), or `input` requires a gradient and has overlapping elements.

    Examples
    --------
    >>> import nn
    >>> nn.as_strided(nn.arange(4), (2, 2), (1, 1))
    tensor([[0, 1],
            [1, 2]])
    """
    x = array_of("as_strided", input)
    size, stride = ints_of("as_strided", "size", size), ints_of("as_strided", "stride", stride)
    first = offset_of(input) if storage_offset is None else int_of("as_strided", "storage_offset", storage_offset)
    if len(size) != len(stride) or min((*size, *stride, first)) < 0:
        raise ValueError(
            "as_strided: needs a stride for each size, and no negative number, "
            f"got size {size}, stride {stride} and storage_offset {first}"
        )
    start = storage_start(x)
    low, high = ((bound - start) // x.itemsize for bound in np.lib.array_utils.byte_bounds(base_of(input).array))
    last = first + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and not low <= first <= last < high:
        raise ValueError(
            f"as_strided: size {size}, stride {stride} and storage_offset {first} need elements {first} to {last}, "
            f"the memory of the tensor has {low} to {high - 1}"
        )
    if mode.enabled and input._requires_grad and overlaps_itself(x):
        raise ValueError(f"as_strided: elements of the tensor of shape {x.shape} share memory; clone() it first")
    address = start + first * x.itemsize
    y = np.asarray(_Shown(x, address, size, stride)) if math.prod(size) else np.empty(size, x.dtype)
    mine = x.shape, tuple(step // x.itemsize for step in x.strides), offset_of(input)
    return _recorded(input, y, mine, (size, stride, first), low, high)


def _recorded(input, y, mine, theirs, low, high):
    """Record the view `y`; both layouts are shape, strides and offset, within the elements `low` to `high` - 1."""
    shape, n = input.array.shape, input.array.size

    def places():
        """Which element of the input each element of the view is; n where it has none."""
        memory = np.full(max(high - low, 1), n)
        start = memory.__array_interface__["data"][0] - low * memory.itemsize
        own, other = (
            np.asarray(_Shown(memory, start + offset * memory.itemsize, size, stride))
            for size, stride, offset in (mine, theirs)
        )
        own[...] = np.arange(n).reshape(shape)
        return other

    def put(dy):
        sums = kernels.scatter_add(np.zeros(n + 1, dy.dtype), 0, places().reshape(-1), dy.reshape(-1))
        return sums[:n].reshape(shape)

    def take(x):
        return np.append(x.reshape(-1), x.dtype.type(0))[places()]

    def derivative(dy):
        return record_linear("as_strided", put, take, dy)

    return record("as_strided", y, (input,), put, derivative=derivative, view=True)


# --- a tensor's own shape ---------------------------------------------------------------------------------------------


def _own(function):
    """The form of a view that a tensor itself becomes: ``unsqueeze_`` of ``unsqueeze``."""
    name = function.__name__

    def change(input, *args, **options):
        if input._requires_grad and input._node is None:
            if mode.enabled:
                raise RuntimeError(f"{name}_: a leaf that requires a gradient changes in place only under no_grad()")
            input.array = function(input, *args, **options).array
            return input
        with enable_grad():  # the gradient needs the way back to the former shape in any case
            view = function(input, *args, **options)
        input.array, input._node = view.array, view._node
        return input

    change.__name__ = change.__qualname__ = f"{name}_"
    change.__doc__ = f"As `{name}`, of the tensor itself."
    change.__wrapped__ = function  # whose signature is this one's
    return change


as_strided_, squeeze_, unsqueeze_ = _own(as_strided), _own(squeeze), _own(unsqueeze)
t_, transpose_, swapaxes_, swapdims_ = _own(t), _own(transpose), _own(swapaxes), _own(swapdims)


def resize_(input, *sizes, memory_format=contiguous_format):
    """Give the tensor itself another shape: with as many elements on the same memory, else on memory of its own, to
    which as many elements as fit are copied; those beyond them are arbitrary.

    Raises
    ------
    RuntimeError
        It requires a gradient.
    ValueError
        The elements are not contiguous, and the shape is another one.
    """
    if memory_format is not contiguous_format:
        check_format("resize_", memory_format)
    shape, x = tuple(sizes_of(sizes)), input.array
    if input._requires_grad:
        raise RuntimeError("resize_: a tensor that requires a gradient keeps its shape; use reshape()")
    if shape == x.shape:
        return input
    if not x.flags.c_contiguous:
        raise ValueError(f"resize_: the elements of x, {x.shape}, are not contiguous; use reshape()")
    if math.prod(shape) == x.size:
        input.array = x.reshape(shape)
        return input
    input.array, input._memory, input._base = np.empty(shape, x.dtype), Memory(), None
    kept = min(x.size, input.array.size)
    input.array.reshape(-1)[:kept] = x.reshape(-1)[:kept]
    return input
