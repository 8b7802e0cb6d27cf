"""Windows that slide over an array: validation of their arguments, for all kinds of pooling.

One, two and three dimensions are the same thing here: an array (N, C, L), (N, C, H, W) or (N, C, D, H, W), or the
same without N, is viewed as (planes, D, H, W), with D = H = 1 or D = 1 where these are missing.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels._plain import DISABLED
from kernels._threads import threads_for

LARGEST = 2**31 - 1  # of each argument; products of two of them still fit an int64
MAX_ELEMENTS = 2**59  # of a result, whose bytes then fit an int64
LAYOUT = {1: "(N, C, L) or (C, L)", 2: "(N, C, H, W) or (C, H, W)", 3: "(N, C, D, H, W) or (C, D, H, W)"}

TASK = 2**15  # elements read and written by a task, about

# Elements that a window spans in a row, padding included, for which there are phases (plain Python has none).
WIDEST = 0 if DISABLED else 2**16


class Windows(NamedTuple):
    """Sizes of a pooling: along depth, height and width, wherever there are three numbers."""

    planes: int
    size: tuple[int, int, int]
    kernel: tuple[int, int, int]
    stride: tuple[int, int, int]
    padding: tuple[int, int, int]
    dilation: tuple[int, int, int]
    out: tuple[int, int, int]
    shape: tuple[int, ...]  # of the result, as it is returned
    sizes: np.ndarray  # kernel, stride, padding and dilation as jitted loops take them: int64, (4, 3)

    @property
    def source(self):
        """Shape of the input as (planes, D, H, W)."""
        return (self.planes, *self.size)

    @property
    def result(self):
        """Shape of the result as (planes, OD, OH, OW)."""
        return (self.planes, *self.out)


def numbers(operation: str, name: str, value, dims: int, smallest: int, largest: int = LARGEST) -> tuple[int, ...]:
    """Validate an int or one for each of `dims` dimensions, from `smallest` to `largest`; returns a tuple of `dims`."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values):
        raise TypeError(f"{operation}: {name} must be an int or {dims} of them, got {value!r}")
    if len(values) not in (1, dims):
        raise ValueError(f"{operation}: {name} must be an int or {dims} of them, got {value!r}")
    if min(values) < smallest or max(values) > largest:
        raise ValueError(f"{operation}: {name} must be from {smallest} to {largest}, got {value!r}")
    return tuple(int(v) for v in values) if len(values) == dims else (int(values[0]),) * dims


def planes_of(operation: str, shape: tuple, dims: int) -> int:
    """Number of planes of an array of `shape`, which has C, or N and C, before its last `dims` dimensions; ValueError
    unless it does, or where more than N is empty."""
    if len(shape) not in (dims + 1, dims + 2):
        raise ValueError(f"{operation}: x must have shape {LAYOUT[dims]}, got {shape}")
    if 0 in shape[-dims - 1 :]:
        raise ValueError(f"{operation}: x must not be empty but for its batch, got {shape}")
    return math.prod(shape[:-dims])


def windows(operation, shape, dims, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False) -> Windows:
    """The sizes of a pooling of an array of `shape` over its last `dims` dimensions."""
    kernel = numbers(operation, "kernel_size", kernel_size, dims, 1)
    stride = kernel if stride is None or stride == () else numbers(operation, "stride", stride, dims, 1)
    padding = numbers(operation, "padding", padding, dims, 0)
    dilation = numbers(operation, "dilation", dilation, dims, 1)
    return _windows(operation, tuple(shape), dims, kernel, stride, padding, dilation, bool(ceil_mode))


@functools.lru_cache(1024)
def _windows(operation, shape, dims, kernel, stride, padding, dilation, ceil_mode) -> Windows:
    planes, size = planes_of(operation, shape, dims), shape[-dims:]
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise ValueError(
                f"{operation}: padding must be at most half of the window, got padding {padding} with kernel_size "
                f"{kernel} and dilation {dilation}"
            )
    out = tuple(map(functools.partial(steps, ceil_mode=ceil_mode), size, kernel, stride, padding, dilation))
    if min(out) < 1:
        raise ValueError(
            f"{operation}: the window is larger than the padded input: kernel_size {kernel}, dilation {dilation}, "
            f"padding {padding} on {size}"
        )
    if any(map(_misses, size, stride, padding, dilation, out)):
        raise ValueError(
            f"{operation}: a window lies in the padding with all its elements: kernel_size {kernel}, dilation "
            f"{dilation}, padding {padding} on {size}"
        )
    result = (*shape[:-dims], *out)
    check_size(operation, result)
    ones, zeros = (1,) * (3 - dims), (0,) * (3 - dims)
    # a single window has no neighbours: then any stride will do, and 1 is the fastest
    stride = tuple(1 if o == 1 else s for s, o in zip(stride, out, strict=True))
    each = ones + kernel, ones + stride, zeros + padding, ones + dilation
    return Windows(planes, ones + size, *each, ones + out, result, np.array(each, np.int64))


def steps(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows there are along one dimension.

    With `ceil_mode` the last one may reach beyond the right padding, but begins inside the input or the left padding.
    """
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def _misses(size, stride, padding, dilation, out) -> bool:
    """Whether some window has no element inside the input: dilated, it may have its neighbours on either side of it."""
    if dilation == 1 or not padding:
        return False
    for start in range(-padding, min(0, (out - 1) * stride - padding + 1), stride):
        if -start % dilation and start % dilation >= size:
            return True
    return False


def is_vast(w):
    """Whether windows span so much of a row, most of it padding, that phases would need too much memory."""
    return w.kernel[2] * w.dilation[2] + w.stride[2] > WIDEST


def check_size(operation: str, shape: tuple):
    """ValueError where a result of `shape` is larger than an address space."""
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"{operation}: the result is too large: shape {shape}")


def expect(operation: str, name: str, array, shape: tuple):
    """ValueError unless `array` has `shape`."""
    if array.shape != tuple(shape):
        raise ValueError(f"{operation}: {name} must have shape {tuple(shape)}, got {array.shape}")


def gradient(operation: str, dy, shape: tuple):
    """Validate and return `dy`, the gradient of a result of `shape`."""
    dy = _checks.floats(operation, "dy", dy)
    expect(operation, "dy", dy, shape)
    return dy


def grain_and_threads(lines: int, elements: int) -> tuple[int, int]:
    """Lines of a task and number of threads, for `lines` lines that read and write `elements` elements in total."""
    grain = max(1, lines * TASK // max(elements, 1))
    return grain, 1 if lines <= grain else threads_for(elements)
