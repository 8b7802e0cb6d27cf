"""Other types, and copies."""

import numpy as np

from nn import dtypes
from nn.device import require_cpu
from nn.dtypes import cast, checked
from nn.operations.arguments import array_of, bool_of, target_of
from nn.operations.layout import check_format, contiguous_format, preserve_format
from nn.storage import wrap
from nn.tape import record, record_linear

__all__ = ["clone", "detach"]


# PyTorch's names of tensor types
TYPES = {
    "FloatTensor": dtypes.float32,
    "DoubleTensor": dtypes.float64,
    "LongTensor": dtypes.int64,
    "IntTensor": dtypes.int32,
    "ShortTensor": dtypes.int16,
    "CharTensor": dtypes.int8,
    "ByteTensor": dtypes.uint8,
    "BoolTensor": dtypes.bool,
}


def to(input, *args, device=None, dtype=None, non_blocking=False, copy=False, memory_format=preserve_format):
    """The same values in another dtype; the tensor itself if it has that dtype already, unless with `copy`.

    Called as ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other)``, for the dtype of another tensor.
    The only device is the CPU; `non_blocking` and `memory_format` change nothing.

    Overflow is not reported: a float64 beyond float32's range becomes infinite, and a NaN or an out-of-range number
    as an integer is undefined.

    Raises
    ------
    RuntimeError
        The device is not the CPU.
    TypeError
        Tensors cannot have this dtype.
    """
    if len(args) == 1 and args[0] in dtypes.DTYPES and device is None:
        dtype = args[0]
    elif args or device is not None or dtype is not None:
        dtype, positional = target_of("to", args, device, dtype)
        copy = copy or positional
    if copy is not False or non_blocking is not False or memory_format is not preserve_format:
        check_format("to", memory_format)
        bool_of("to", "non_blocking", non_blocking)
        copy = bool_of("to", "copy", copy)
    old = input.array.dtype
    if dtype is None or old == dtype:
        return clone(input) if copy else input
    new = cast(input.array, dtype)
    if old.kind != "f" or new.dtype.kind != "f":
        return wrap(new)
    return record_linear("to", lambda x: cast(x, dtype), lambda dy: cast(dy, old), input)


def as_dtype(name, input, dtype):
    """The values in the dtype that was given to a function; TypeError if that is none of a tensor."""
    return to(input, checked(name, dtype))


def type(input, dtype=None, non_blocking=False):
    """The name of the tensor's type in PyTorch, as "torch.FloatTensor"; with a dtype or such a name, as `to`."""
    bool_of("type", "non_blocking", non_blocking)
    if dtype is None:
        return f"torch.{next(name for name, d in TYPES.items() if d == input.array.dtype)}"
    if isinstance(dtype, str):
        name = dtype.removeprefix("torch.")
        if name not in TYPES:
            raise ValueError(f"type: expected a dtype or one of {', '.join(TYPES)}, got {dtype!r}")
        dtype = TYPES[name]
    return to(input, dtype=dtype)


def type_as(input, other):
    """The values in the dtype of another tensor."""
    return to(input, other.array.dtype)


def cpu(input, memory_format=preserve_format):
    """The tensor itself: all tensors are on the CPU."""
    if memory_format is not preserve_format:
        check_format("cpu", memory_format)
    return input


def cuda(input, device=None, non_blocking=False, memory_format=preserve_format):
    """RuntimeError: there is no GPU."""
    require_cpu("cuda")


def pin_memory(input):
    """The tensor itself: only a GPU would read pinned memory faster."""
    return input


def clone(input, *, memory_format=preserve_format):
    """A copy; its gradient is passed to the original. `memory_format` changes nothing.

    Examples
    --------
    >>> import nn
    >>> nn.clone(nn.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if memory_format is not preserve_format:
        check_format("clone", memory_format)
    return record("clone", array_of("clone", input).copy(), (input,), _same, derivative=_same)


def contiguous(input, memory_format=contiguous_format):
    """The tensor itself if its elements lie in memory in their order, else a copy for which they do."""
    if memory_format is not contiguous_format:
        check_format("contiguous", memory_format)
    x = input.array
    if x.flags.c_contiguous:
        return input
    return record("contiguous", np.ascontiguousarray(x), (input,), _same, derivative=_same)


def _same(dy):
    return dy


def detach(input):
    """The same values on the same memory, without history.

    Examples
    --------
    >>> import nn
    >>> nn.detach(nn.ones(2).requires_grad_()).requires_grad
    False
    """
    result = wrap(array_of("detach", input))
    input._memory.share(input, result)
    return result


def detach_(input):
    """Cut the tensor itself off its history; RuntimeError for a view, whose base would keep it."""
    if input._base is not None and input._node is not None:
        raise RuntimeError("detach_: a view cannot be cut off its history in place; use detach()")
    input._node, input._requires_grad = None, False
    return input


def float(input, memory_format=preserve_format):
    """The values as float32."""
    return to(input, dtypes.float32, memory_format=memory_format)


def double(input, memory_format=preserve_format):
    """The values as float64."""
    return to(input, dtypes.float64, memory_format=memory_format)


def half(input, memory_format=preserve_format):
    """TypeError: there is no float16."""
    raise TypeError("half: there is no float16 here; the floating-point dtypes are float32 and float64")


def bfloat16(input, memory_format=preserve_format):
    """TypeError: there is no bfloat16."""
    raise TypeError("bfloat16: there is no bfloat16 here; the floating-point dtypes are float32 and float64")


def long(input, memory_format=preserve_format):
    """The values as int64."""
    return to(input, dtypes.int64, memory_format=memory_format)


def int(input, memory_format=preserve_format):
    """The values as int32."""
    return to(input, dtypes.int32, memory_format=memory_format)


def short(input, memory_format=preserve_format):
    """The values as int16."""
    return to(input, dtypes.int16, memory_format=memory_format)


def char(input, memory_format=preserve_format):
    """The values as int8."""
    return to(input, dtypes.int8, memory_format=memory_format)


def byte(input, memory_format=preserve_format):
    """The values as uint8."""
    return to(input, dtypes.uint8, memory_format=memory_format)


def bool(input, memory_format=preserve_format):
    """Whether the values differ from zero."""
    return to(input, dtypes.bool, memory_format=memory_format)
