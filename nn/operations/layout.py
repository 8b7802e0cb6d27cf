"""What a tensor says about its elements' place in memory, and shapes taken from other tensors."""

import math

from nn.device import CPU
from nn.operations.arguments import array_of, axis_of, word_of

__all__ = ["Size", "channels_last", "contiguous_format", "numel", "preserve_format", "strided"]

strided = "strided"  # the only layout
contiguous_format = "contiguous_format"
preserve_format = "preserve_format"
channels_last = "channels_last"


def check_format(name, memory_format):
    """ValueError unless it is a memory format; each changes nothing."""
    word_of(name, "memory_format", memory_format, (contiguous_format, preserve_format, channels_last))


class Size(tuple):
    """A shape, as ``size()`` returns it: a tuple that knows the number of elements."""

    __slots__ = ()

    def numel(self):
        """The number of elements of a tensor of this shape."""
        return math.prod(self)

    def __repr__(self):
        return f"Size({list(self)})"


def size(input, dim=None):
    """The shape, or the length of one dimension."""
    shape = input.array.shape
    return Size(shape) if dim is None else shape[axis_of("size", dim, len(shape))]


def dim(input):
    """The number of dimensions."""
    return input.array.ndim


def numel(input):
    """The number of elements.

    Examples
    --------
    >>> import nn
    >>> nn.numel(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    4
    """
    return array_of("numel", input).size


def stride(input, dim=None):
    """How many elements apart neighbours along each dimension, or along one, are in memory."""
    x = input.array
    strides = tuple(step // x.itemsize for step in x.strides)
    return strides if dim is None else strides[axis_of("stride", dim, x.ndim)]


def is_contiguous(input, memory_format=contiguous_format):
    """Whether the elements lie in memory in their order."""
    if memory_format is not contiguous_format:
        check_format("is_contiguous", memory_format)
    return input.array.flags.c_contiguous


def data_ptr(input):
    """The address of the first element."""
    return input.array.__array_interface__["data"][0]


def storage_start(x):
    """The address of the array that owns the memory of an array."""
    while hasattr(x.base, "__array_interface__"):
        x = x.base
    return x.__array_interface__["data"][0]


def storage_offset(input):
    """How many elements the first one lies after the start of the array that owns the memory."""
    x = input.array
    return (x.__array_interface__["data"][0] - storage_start(x)) // x.itemsize


def element_size(input):
    """The number of bytes of an element."""
    return input.array.itemsize


def get_device(input):
    """The index of the GPU: -1, since the tensor is on the CPU."""
    return -1


def is_pinned(input):
    """Whether the memory is pinned for a GPU: False."""
    return False


def nbytes(input):
    """The number of bytes of all elements."""
    return input.array.nbytes


def device_of(input):
    """The device: the CPU."""
    return CPU
