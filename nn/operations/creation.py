"""Tensors from numbers, arrays and nothing.

`device` is the CPU or None; `layout` and `pin_memory` are accepted and change nothing. With `out`, a tensor, the result
is written to it.
"""

import math
import operator
from typing import Any

import numpy as np

from nn.device import require_cpu
from nn.dtypes import checked, get_default_dtype
from nn.operations.arguments import NUMBERS, array_of, as_array, bool_of, scalar_of, sizes_of, word_of
from nn.operations.conversion import to
from nn.operations.in_place import become
from nn.operations.layout import check_format, contiguous_format, preserve_format, strided
from nn.storage import Tensor, wrap

__all__ = ["arange", "as_tensor", "asarray", "empty", "eye", "from_dlpack", "from_numpy", "full", "linspace"]
__all__ += ["logspace", "ones", "tensor", "zeros"]


def dtype_of(name, dtype):
    """A dtype that tensors have; the default one for None."""
    return get_default_dtype() if dtype is None else checked(name, dtype)


def made(
    name,
    array,
    out=None,
    device=None,
    requires_grad=False,
    layout=strided,
    pin_memory=False,
    memory_format=preserve_format,
):
    """What a creation function returns."""
    require_cpu(device)
    if requires_grad is not False:
        requires_grad = bool_of(name, "requires_grad", requires_grad)
    if layout is not None and layout is not strided:
        word_of(name, "layout", layout, (strided,))
    if pin_memory is not False:
        bool_of(name, "pin_memory", pin_memory)
    if memory_format is not preserve_format:
        check_format(name, memory_format)
    if out is None:
        return Tensor(array, requires_grad=requires_grad)
    if array_of(name, out, "out").shape != array.shape:
        raise ValueError(f"{name}: the result is {array.shape}, out is {out.array.shape}")
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


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor with a copy of `data`.

    Parameters
    ----------
    data : array_like
    dtype : numpy.dtype, optional
        By default that of `data`; the default dtype for Python's floats.
    requires_grad : bool, default False

    Examples
    --------
    >>> import nn
    >>> nn.tensor([[1, 2], [3, 4]], dtype=nn.float64)
    tensor([[1., 2.],
            [3., 4.]], dtype=float64)
    """
    dtype = None if dtype is None else checked("tensor", dtype)
    return made("tensor", as_array(data, dtype).copy(), None, device, requires_grad, pin_memory=pin_memory)


def as_tensor(data, *, dtype=None, device=None):
    """The tensor itself, or a tensor on the memory of an array, where the dtype allows; else a tensor with a copy.

    Examples
    --------
    >>> import nn
    >>> nn.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
    require_cpu(device)
    if isinstance(data, Tensor):
        return data if dtype is None else to(data, checked("as_tensor", dtype))
    return Tensor(as_array(data, None if dtype is None else checked("as_tensor", dtype)))


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None):
    """As `as_tensor`, or with `copy` as `tensor`.

    Examples
    --------
    >>> import nn
    >>> nn.asarray([1.0, 2.0])
    tensor([1., 2.])
    """
    dtype = None if dtype is None else checked("asarray", dtype)
    copy = copy is not None and bool_of("asarray", "copy", copy)
    result = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype=dtype, device=device)
    if requires_grad is None or not bool_of("asarray", "requires_grad", requires_grad):
        return result
    return result.requires_grad_()


def from_numpy(ndarray):
    """A tensor that shares the memory of an array: a change of one is a change of the other.

    Examples
    --------
    >>> import nn
    >>> import numpy as np
    >>> a = np.zeros(2)
    >>> t = nn.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.], dtype=float64)
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(ndarray).__name__}")
    return Tensor(ndarray)


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor on the memory of an object that speaks DLPack, such as an array of another library; or on a copy.

    Examples
    --------
    >>> import nn
    >>> import numpy as np
    >>> nn.from_dlpack(np.ones(2))
    tensor([1., 1.], dtype=float64)
    """
    require_cpu(device)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack: expected an object that speaks DLPack, got {type(ext_tensor).__name__}")
    array = np.from_dlpack(ext_tensor)
    return Tensor(array.copy() if copy is not None and bool_of("from_dlpack", "copy", copy) else array)


def zeros(*sizes, size=None, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False):
    """A tensor of zeros.

    Examples
    --------
    >>> import nn
    >>> nn.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return made(
        "zeros",
        np.zeros(size_of("zeros", sizes, size), dtype_of("zeros", dtype)),
        out,
        device,
        requires_grad,
        layout,
        pin_memory,
    )


def ones(*sizes, size=None, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False):
    """A tensor of ones.

    Examples
    --------
    >>> import nn
    >>> nn.ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    return made(
        "ones",
        np.ones(size_of("ones", sizes, size), dtype_of("ones", dtype)),
        out,
        device,
        requires_grad,
        layout,
        pin_memory,
    )


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
    """A tensor whose elements are whatever the memory held.

    Examples
    --------
    >>> import nn
    >>> nn.empty(2, 3).shape
    (2, 3)
    """
    return made(
        "empty",
        np.empty(size_of("empty", sizes, size), dtype_of("empty", dtype)),
        out,
        device,
        requires_grad,
        layout,
        pin_memory,
        memory_format,
    )


def full(size, fill_value, *, out=None, dtype=None, layout=strided, device=None, requires_grad=False, pin_memory=False):
    """A tensor filled with one number, whose kind is the dtype's unless one is given.

    Examples
    --------
    >>> import nn
    >>> nn.full((2, 2), 7.0)
    tensor([[7., 7.],
            [7., 7.]])
    """
    dtype = None if dtype is None else checked("full", dtype)
    return made(
        "full",
        np.full(size_of("full", (size,)), value_of("full", fill_value, dtype)),
        out,
        device,
        requires_grad,
        layout,
        pin_memory,
    )


def value_of(name, value, dtype):
    """The one number to fill with, an array."""
    if not isinstance(value, (*NUMBERS, np.ndarray, Tensor)):
        raise TypeError(f"{name}: fill_value must be a number, got {type(value).__name__}")
    array = as_array(value, dtype)
    if array.ndim:
        raise ValueError(f"{name}: fill_value must be one number, got shape {array.shape}")
    return array


def arange(
    start,
    end=None,
    step: Any = 1,
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

    Examples
    --------
    >>> import nn
    >>> nn.arange(0, 1, 0.25)
    tensor([0.0000, 0.2500, 0.5000, 0.7500])
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
    return made("arange", numbers.astype(dtype, copy=False), out, device, requires_grad, layout, pin_memory)


def linspace(
    start, end, steps, *, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False
):
    """`steps` numbers at equal distances from `start` to `end`, both included.

    Examples
    --------
    >>> import nn
    >>> nn.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    dtype = dtype_of("linspace", dtype)
    return made(
        "linspace",
        _equidistant("linspace", start, end, steps, dtype).astype(dtype),
        out,
        device,
        requires_grad,
        layout,
        pin_memory,
    )


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
    """`steps` powers of `base` whose exponents are at equal distances from `start` to `end`, both included.

    Examples
    --------
    >>> import nn
    >>> nn.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    dtype = dtype_of("logspace", dtype)
    powers = np.power(float(scalar_of("logspace", "base", base)), _equidistant("logspace", start, end, steps, dtype))
    return made("logspace", powers.astype(dtype), out, device, requires_grad, layout, pin_memory)


def eye(n, m=None, *, out=None, dtype=None, layout=strided, device=None, pin_memory=False, requires_grad=False):
    """A matrix of `n` rows and `m` (or `n`) columns with ones on its diagonal and zeros elsewhere.

    Examples
    --------
    >>> import nn
    >>> nn.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return made(
        "eye",
        np.eye(*size_of("eye", (n, n if m is None else m)), dtype=dtype_of("eye", dtype)),
        out,
        device,
        requires_grad,
        layout,
        pin_memory,
    )
