"""Tensors from numbers, arrays and nothing.

`device` is the CPU or None; `layout` and `pin_memory` are accepted and change nothing. With `out`, a tensor, the result
is written to it.
"""

import math
import operator

import numpy as np

from nn.device import require_cpu
from nn.dtypes import checked, get_default_dtype
from nn.operations.arguments import NUMBERS, array_of, as_array, sizes_of
from nn.operations.conversion import to
from nn.operations.in_place import become
from nn.operations.layout import contiguous_format, preserve_format, strided
from nn.storage import Tensor, wrap

__all__ = ["arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_dlpack", "from_numpy", "full"]
__all__ += ["full_like", "linspace", "logspace", "ones", "ones_like", "tensor", "zeros", "zeros_like"]


def dtype_of(name, dtype):
    """A dtype that tensors have; the default one for None."""
    return get_default_dtype() if dtype is None else checked(name, dtype)


def made(array, out=None, device=None, requires_grad=False):
    """What a creation function returns."""
    require_cpu(device)
    if out is None:
        return Tensor(array, requires_grad=requires_grad)
    if out.array.shape != array.shape:
        raise ValueError(f"out: the result is {array.shape}, out is {out.array.shape}")
    return become(out, to(wrap(array), out.array.dtype))


def size_of(name, sizes, size=None):
    """A size given as arguments, as one sequence, or by keyword; TypeError for other things than ints."""
    found = sizes_of(sizes if size is None else (size,))
    for n in found:
        if type(n) is not int or n < 0:
            break
    else:
        return found
    try:
        found = tuple(map(operator.index, found))
    except TypeError:
        raise TypeError(f"{name}: size must consist of ints, got {found}") from None
    if min(found) < 0:
        raise ValueError(f"{name}: size must not be negative, got {found}")
    return found


def scalar_of(name, argument, value):
    """A Python or NumPy number, or that of a tensor; TypeError for anything else."""
    value = value.item() if isinstance(value, Tensor) else value
    if not isinstance(value, NUMBERS):
        raise TypeError(f"{name}: {argument} must be a number, got {type(value).__name__}")
    return value


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor with a copy of `data`.

    Parameters
    ----------
    data : array_like
    dtype : numpy.dtype, optional
        By default that of `data`; the default dtype for Python's floats.
    requires_grad : bool, default False
    """
    return made(as_array(data, dtype).copy(), None, device, requires_grad)


def as_tensor(data, *, dtype=None, device=None):
    """The tensor itself, or a tensor on the memory of an array, where the dtype allows; else a tensor with a copy."""
    require_cpu(device)
    if isinstance(data, Tensor):
        return data if dtype is None else to(data, dtype=dtype)
    return Tensor(as_array(data, dtype))


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None):
    """As `as_tensor`, or with `copy` as `tensor`."""
    result = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype=dtype, device=device)
    return result.requires_grad_() if requires_grad else result


def from_numpy(ndarray):
    """A tensor that shares the memory of an array: a change of one is a change of the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(ndarray).__name__}")
    return Tensor(ndarray)


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor on the memory of an object that speaks DLPack, such as an array of another library; or on a copy."""
    require_cpu(device)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack: expected an object that speaks DLPack, got {type(ext_tensor).__name__}")
    array = np.from_dlpack(ext_tensor)
    return Tensor(array.copy() if copy else array)


def zeros(*sizes, size=None, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False):
    """A tensor of zeros."""
    return made(np.zeros(size_of("zeros", sizes, size), dtype_of("zeros", dtype)), out, device, requires_grad)


def ones(*sizes, size=None, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False):
    """A tensor of ones."""
    return made(np.ones(size_of("ones", sizes, size), dtype_of("ones", dtype)), out, device, requires_grad)


def empty(
    *sizes,
    size=None,
    out=None,
    dtype=None,
    layout=strided,
    device=None,
    requires_grad=False,
    pin_memory=False,
    memory_format=contiguous_format,
):
    """A tensor whose elements are whatever the memory held."""
    return made(np.empty(size_of("empty", sizes, size), dtype_of("empty", dtype)), out, device, requires_grad)


def full(size, fill_value, *, out=None, dtype=None, layout=strided, device=None, requires_grad=False, pin_memory=False):
    """A tensor filled with one number, whose kind is the dtype's unless one is given."""
    dtype = None if dtype is None else checked("full", dtype)
    return made(np.full(size_of("full", (size,)), _value_of("full", fill_value, dtype)), out, device, requires_grad)


def _value_of(name, value, dtype):
    """The one number to fill with, an array."""
    if not isinstance(value, (*NUMBERS, np.ndarray, Tensor)):
        raise TypeError(f"{name}: fill_value must be a number, got {type(value).__name__}")
    array = as_array(value, dtype)
    if array.ndim:
        raise ValueError(f"{name}: fill_value must be one number, got shape {array.shape}")
    return array


def _like(name, input, dtype):
    x = array_of(name, input)
    return x.shape, x.dtype if dtype is None else checked(name, dtype)


def zeros_like(
    input,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """Zeros in the shape and dtype of another tensor."""
    return made(np.zeros(*_like("zeros_like", input, dtype)), None, device, requires_grad)


def ones_like(
    input,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """Ones in the shape and dtype of another tensor."""
    return made(np.ones(*_like("ones_like", input, dtype)), None, device, requires_grad)


def empty_like(
    input,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """A tensor of the shape and dtype of another one, whose elements are whatever the memory held."""
    return made(np.empty(*_like("empty_like", input, dtype)), None, device, requires_grad)


def full_like(
    input,
    fill_value,
    *,
    dtype=None,
    layout=strided,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """One number in the shape and dtype of another tensor."""
    shape, dtype = _like("full_like", input, dtype)
    return made(np.full(shape, _value_of("full_like", fill_value, dtype)), None, device, requires_grad)


def new_zeros(input, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """Zeros in the dtype of this tensor."""
    dtype = input.array.dtype if dtype is None else checked("new_zeros", dtype)
    return made(np.zeros(size_of("new_zeros", sizes, size), dtype), None, device, requires_grad)


def new_ones(input, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """Ones in the dtype of this tensor."""
    dtype = input.array.dtype if dtype is None else checked("new_ones", dtype)
    return made(np.ones(size_of("new_ones", sizes, size), dtype), None, device, requires_grad)


def new_empty(input, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """A tensor in the dtype of this one, whose elements are whatever the memory held."""
    dtype = input.array.dtype if dtype is None else checked("new_empty", dtype)
    return made(np.empty(size_of("new_empty", sizes, size), dtype), None, device, requires_grad)


def new_full(
    input, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False
):
    """One number in the dtype of this tensor."""
    dtype = input.array.dtype if dtype is None else checked("new_full", dtype)
    return made(
        np.full(size_of("new_full", (size,)), _value_of("new_full", fill_value, dtype)), None, device, requires_grad
    )


def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """A tensor with a copy of `data`, in the dtype of this tensor unless one is given."""
    return tensor(data, dtype=input.array.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


def arange(
    start,
    end=None,
    step=1,
    *,
    out=None,
    dtype=None,
    layout=strided,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """The numbers from `start` (0 if only one bound is given) up to, but not including, `end`.

    Raises
    ------
    ValueError
        `step` is 0, or leads away from `end`.
    """
    start, end = (0, start) if end is None else (start, end)
    start, end, step = (
        scalar_of("arange", argument, v) for argument, v in (("start", start), ("end", end), ("step", step))
    )
    if not all(map(math.isfinite, (start, end, step))):
        raise ValueError(f"arange: bounds and step must be finite, got {start}, {end} and {step}")
    if dtype is not None and dtype_of("arange", dtype).kind in "iu":  # of integers, so are bounds and step
        start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise ValueError("arange: step must not be 0")
    if not (start <= end if step > 0 else start >= end):
        raise ValueError(f"arange: a step of {step} does not lead from {start} to {end}")
    whole = not any(isinstance(v, (float, np.floating)) for v in (start, end, step))
    dtype = np.dtype(np.int64) if dtype is None and whole else dtype_of("arange", dtype)
    if whole:
        numbers = np.arange(start, end, step)
    else:  # in float64, each from its index
        numbers = start + np.arange(math.ceil((end - start) / step)) * np.float64(step)
    return made(numbers.astype(dtype, copy=False), out, device, requires_grad)


def linspace(
    start, end, steps, *, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False
):
    """`steps` numbers at equal distances from `start` to `end`, both included."""
    dtype = dtype_of("linspace", dtype)
    return made(_equidistant("linspace", start, end, steps, dtype).astype(dtype), out, device, requires_grad)


def _equidistant(name, start, end, steps, dtype):
    """Numbers from `start` to `end` in float64; bounds are integers if the results are."""
    start, end = scalar_of(name, "start", start), scalar_of(name, "end", end)
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool):
        raise TypeError(f"{name}: steps must be an int, got {type(steps).__name__}")
    if steps < 0:
        raise ValueError(f"{name}: steps must not be negative, got {steps}")
    if dtype.kind in "iu":
        start, end = int(start), int(end)
    return np.linspace(start, end, steps)


def logspace(
    start,
    end,
    steps,
    base=10.0,
    *,
    out=None,
    dtype=None,
    layout=strided,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """`steps` powers of `base` whose exponents are at equal distances from `start` to `end`, both included."""
    dtype = dtype_of("logspace", dtype)
    powers = np.power(float(scalar_of("logspace", "base", base)), _equidistant("logspace", start, end, steps, dtype))
    return made(powers.astype(dtype), out, device, requires_grad)


def eye(n, m=None, *, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False):
    """A matrix of `n` rows and `m` (or `n`) columns with ones on its diagonal and zeros elsewhere."""
    return made(
        np.eye(*size_of("eye", (n, n if m is None else m)), dtype=dtype_of("eye", dtype)), out, device, requires_grad
    )
