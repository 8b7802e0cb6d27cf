r"""Average pooling, and the power means made of it.

    y[o] = sum_k x[o * stride - padding + k] / n[o]            in each dimension, over the k that lie inside the input

    dx[i] = sum of dy[o] / n[o] over the windows o that hold x[i]

n is the number of elements of the window: of those inside, or of the padding's as well, or what the user says. Summing
over a window of several rows is summing the rows, then along their sum: KD KH + KW additions an output, not their
product. The backward runs the other way: a row of gradients, summed over the windows' rows, is spread along the row.

The power mean of order p is a sum of powers and a root: ``y = (sum_k x[k] ** p) ** (1 / p)``.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.rows import (
    clear,
    inside,
    join,
    over_lines,
    phase_count,
    pitch_of,
    place,
    splitter,
    unpack,
    window_at,
)
from kernels.pooling.windows import gradient, grain_and_threads, is_vast, windows
from kernels.simd import flat, fma, lane_count, load, load_partial, splat, store, store_partial, sum_lanes


@jit(inline=True)
def count_of(o, kernel, stride, padding, size, include):
    """Elements of window `o` along one dimension: those inside, or with `include` those of the padding, too."""
    start = o * stride - padding
    if include:
        return min(kernel, size + padding - start)
    return min(start + kernel, size) - max(start, 0)


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit(inline=True)
def _window_sum(x, p, o, kernel, stride, padding, dilation):
    """The float64 sum of window o = (od, oh, ow) of a plane."""
    total, (od, oh, ow) = 0.0, o
    for kd in range(*inside(od, kernel[0], stride[0], padding[0], dilation[0], x.shape[1])):
        for kh in range(*inside(oh, kernel[1], stride[1], padding[1], dilation[1], x.shape[2])):
            for kw in range(*inside(ow, kernel[2], stride[2], padding[2], dilation[2], x.shape[3])):
                d, h = od * stride[0] - padding[0] + kd, oh * stride[1] - padding[1] + kh
                total += np.float64(x[p, d, h, ow * stride[2] - padding[2] + kw])
    return total


@jit
def avg_pool_naive(x, sizes, include, divisor, y):
    """Each window by itself; it is divided by `divisor`, or if that is 0 by the number of its elements."""
    kernel, stride, padding, dilation = unpack(sizes)
    for p, od, oh, ow in np.ndindex(y.shape):
        count, o = 1, (od, oh, ow)
        for dim in range(3):
            count *= count_of(o[dim], kernel[dim], stride[dim], padding[dim], x.shape[1 + dim], include)
        total = _window_sum(x, p, o, kernel, stride, padding, dilation)
        y[p, od, oh, ow] = total / np.float64(divisor if divisor != 0 else count)


@jit
def avg_pool_backward_naive(dy, sizes, include, divisor, dx):
    """Each dy is sent, divided, to all elements of its window."""
    kernel, stride, padding, dilation = unpack(sizes)
    dx[:] = 0
    for p, od, oh, ow in np.ndindex(dy.shape):
        count, o = 1, (od, oh, ow)
        for dim in range(3):
            count *= count_of(o[dim], kernel[dim], stride[dim], padding[dim], dx.shape[1 + dim], include)
        for kd in range(*inside(od, kernel[0], stride[0], padding[0], dilation[0], dx.shape[1])):
            for kh in range(*inside(oh, kernel[1], stride[1], padding[1], dilation[1], dx.shape[2])):
                for kw in range(*inside(ow, kernel[2], stride[2], padding[2], dilation[2], dx.shape[3])):
                    d, h = od * stride[0] - padding[0] + kd, oh * stride[1] - padding[1] + kh
                    part = dy[p, od, oh, ow] / dx.dtype.type(divisor if divisor != 0 else count)
                    dx[p, d, h, ow * stride[2] - padding[2] + kw] += part


# --- forward: rows, then along the row -------------------------------------------------------------------------------


@jit(inline=True)
def _plus(total, x):
    return total + x


_split_sum = splitter(_plus)


@jit
def _fill_counts(counts, out, kernel, stride, padding, size, include, divisor):
    """The part of the divisor that depends on the place along the row; all of it where it is given."""
    for o in range(counts.size):
        counts[o] = 1
        if o < out:
            counts[o] = divisor if divisor != 0 else count_of(o, kernel, stride, padding, size, include)


@jit
def _again(x, sizes, include, divisor, y, line):
    """Averages of a line that are not finite again in float64: perhaps only a sum was too large."""
    _, OD, OH, OW = y.shape
    kernel, stride, padding, dilation = unpack(sizes)
    p, od, oh = line // (OD * OH), line // OH % OD, line % OH
    for ow in range(OW):
        if np.isfinite(y[p, od, oh, ow]):
            continue
        count, o = 1, (od, oh, ow)
        for dim in range(3):
            count *= count_of(o[dim], kernel[dim], stride[dim], padding[dim], x.shape[1 + dim], include)
        total = _window_sum(x, p, o, kernel, stride, padding, dilation)
        y[p, od, oh, ow] = total / np.float64(divisor if divisor != 0 else count)


@jit(merge=True)
def _average_rows(x, sizes, include, divisor, y, phases, counts, start, stop):
    kernel, stride, padding, dilation = unpack(sizes)
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    source, target, memory, widths, lanes = flat(x), flat(y), flat(phases), flat(counts), lane_count(x)
    s, one, zero = phase_count(stride[2]), x.dtype.type(1), x.dtype.type(0)
    pitch = pitch_of(x, W, OW, kernel[2], stride[2], padding[2], dilation[2])
    clear(memory, s * pitch, zero)
    residue, rest = splat(x, 0.0), zero
    for line in range(start, stop):
        p, od, oh = line // (OD * OH), line // OH % OD, line % OH
        d0, d1 = inside(od, kernel[0], stride[0], padding[0], dilation[0], D)
        h0, h1 = inside(oh, kernel[1], stride[1], padding[1], dilation[1], H)
        at = ((p * D + od * stride[0] - padding[0] + d0) * H + oh * stride[1] - padding[1] + h0) * W
        _split_sum(source, at, d1 - d0, H * W, h1 - h0, W, W, s, padding[2], memory, pitch, zero)
        count = one
        if divisor == 0:
            count = x.dtype.type(
                count_of(od, kernel[0], stride[0], padding[0], D, include)
                * count_of(oh, kernel[1], stride[1], padding[1], H, include)
            )
        if s == stride[2]:
            for j in range(0, OW, lanes):
                total = load(memory, j)
                for k in range(1, kernel[2]):
                    total = total + load(memory, place(k, s, pitch) + j)
                total = total / (load(widths, j) * count)
                residue = fma(total, 0.0, residue)
                store_partial(target, line * OW + j, OW - j, total)
        else:
            for j in range(OW):
                total = zero
                for k in range(kernel[2]):
                    total += memory[j * stride[2] + k]
                target[line * OW + j] = total / (widths[j] * count)
                rest += target[line * OW + j] * zero
    if sum_lanes(residue) + rest != 0:  # a NaN, too
        for line in range(start, stop):
            _again(x, sizes, include, divisor, y, line)


@jit
def _average_lines(start, stop, arguments):
    x, sizes, include, divisor, y = arguments
    kernel, stride, padding, dilation = unpack(sizes)
    W, OW = x.shape[3], y.shape[3]
    pitch = pitch_of(x, W, OW, kernel[2], stride[2], padding[2], dilation[2])
    phases = np.empty(phase_count(stride[2]) * pitch + lane_count(x), x.dtype)
    counts = np.empty(OW + lane_count(x), x.dtype)
    _fill_counts(counts, OW, kernel[2], stride[2], padding[2], W, include, divisor)
    _average_rows(x, sizes, include, divisor, y, phases, counts, start, stop)


avg_pool_lines = over_lines(_average_lines)


@jit
def avg_pool_loops(x, sizes, include, divisor, y):
    """Average pooling on one thread, for use in your own jitted code.

    `x` (planes, D, H, W) and `y` (planes, OD, OH, OW) are C-contiguous. `sizes` is int64 (4, 3): kernel, stride,
    padding and dilation (1), each for depth, height and width. `include` is whether the padding counts, `divisor` what
    to divide by, or 0. Nothing is checked.
    """
    _average_lines(FIRST, y.shape[0] * y.shape[1] * y.shape[2], (x, sizes, include, divisor, y))


# --- backward: rows of dy, then along the row ------------------------------------------------------------------------


@jit(merge=True)
def _spread_rows(dy, sizes, include, divisor, dx, phases, rows, start, stop):
    kernel, stride, padding, dilation = unpack(sizes)
    _, D, H, W = dx.shape
    _, OD, OH, OW = dy.shape
    source, target, memory, lanes = flat(dy), flat(dx), flat(phases), lane_count(dy)
    totals, widths = flat(rows[0]), flat(rows[1])
    s, one, zero = phase_count(stride[2]), dy.dtype.type(1), dy.dtype.type(0)
    pitch = pitch_of(dx, W, OW, kernel[2], stride[2], padding[2], dilation[2])
    for line in range(start, stop):
        p, d, h = line // (D * H), line // H % D, line % H
        clear(memory, s * pitch, zero)
        clear(totals, OW, zero)
        for kd in range(kernel[0]):
            od = window_at(d, kd, stride[0], padding[0], dilation[0], OD)
            for kh in range(kernel[1] if od >= 0 else 0):
                oh = window_at(h, kh, stride[1], padding[1], dilation[1], OH)
                if oh < 0:
                    continue
                count = one
                if divisor == 0:
                    count = dy.dtype.type(
                        count_of(od, kernel[0], stride[0], padding[0], D, include)
                        * count_of(oh, kernel[1], stride[1], padding[1], H, include)
                    )
                at = ((p * OD + od) * OH + oh) * OW
                for j in range(0, OW, lanes):
                    part = load_partial(source, at + j, OW - j, 0.0) / (load(widths, j) * count)
                    store(totals, j, load(totals, j) + part)
        if s == stride[2]:
            for k in range(kernel[2]):
                to = place(k, s, pitch)
                for j in range(0, OW, lanes):
                    store(memory, to + j, load(memory, to + j) + load(totals, j))
        else:
            for j in range(OW):
                for k in range(kernel[2]):
                    memory[j * stride[2] + k] += totals[j]
        join(memory, pitch, s, padding[2], target, line * W, W)


@jit
def _spread_lines(start, stop, arguments):
    dy, sizes, include, divisor, dx = arguments
    kernel, stride, padding, dilation = unpack(sizes)
    W, OW = dx.shape[3], dy.shape[3]
    pitch = pitch_of(dx, W, OW, kernel[2], stride[2], padding[2], dilation[2])
    phases = np.empty(phase_count(stride[2]) * pitch + lane_count(dx), dx.dtype)
    rows = np.empty((2, OW + lane_count(dx)), dx.dtype)
    _fill_counts(rows[1], OW, kernel[2], stride[2], padding[2], W, include, divisor)
    _spread_rows(dy, sizes, include, divisor, dx, phases, rows, start, stop)


avg_pool_backward_lines = over_lines(_spread_lines)


@jit
def avg_pool_backward_loops(dy, sizes, include, divisor, dx):
    """The gradient of `avg_pool_loops` on one thread, for use in your own jitted code."""
    _spread_lines(FIRST, dx.shape[0] * dx.shape[1] * dx.shape[2], (dy, sizes, include, divisor, dx))


VARIANTS = {
    "avg_pool": {"naive": avg_pool_naive, "vectors": avg_pool_loops},
    "avg_pool_backward": {"naive": avg_pool_backward_naive, "vectors": avg_pool_backward_loops},
}


# --- public functions ------------------------------------------------------------------------------------------------


def avg_pool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """`avg_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _avg_pool("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """Average of each window.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    kernel_size, stride, padding, ceil_mode
        As of `max_pool2d`; the padding is zeros.
    count_include_pad : bool
        Whether zeros of the padding count as elements of their windows.
    divisor_override : int, optional
        What to divide the sums by instead of the number of elements; not 0.

    Returns
    -------
    ndarray
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; also for a `divisor_override` of 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import avg_pool2d
    >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    return _avg_pool("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """`avg_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _avg_pool("avg_pool3d", 3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _divisor(operation, value):
    if value is None:
        return 0
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{operation}: divisor_override must be an int, got {value!r}")
    if value == 0 or abs(value) >= 2**62:
        raise ValueError(f"{operation}: divisor_override must be an int64 other than 0, got {value}")
    return int(value)


def _avg_pool(operation, dims, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    x = _checks.floats(operation, "x", x)
    w = windows(operation, x.shape, dims, kernel_size, stride, padding, 1, ceil_mode)
    y = _checks.new(w.shape, x.dtype)
    divisor = _divisor(operation, divisor_override)
    run_average(avg_pool_lines, avg_pool_naive, x.reshape(w.source), w, count_include_pad, divisor, y.reshape(w.result))
    return y


def run_average(loops, naive, source, w, include, divisor, target):
    """The loops over the lines of `target`, or those for vast windows."""
    arguments = source, w.sizes, bool(include), divisor, target
    if is_vast(w):
        naive(*arguments)
    else:
        lines = math.prod(target.shape[:3])
        loops(arguments, lines, *grain_and_threads(lines, source.size + target.size))


def avg_pool1d_backward(dy, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Gradient of `avg_pool1d`; see `avg_pool2d_backward`."""
    return _avg_pool_backward(
        "avg_pool1d_backward", 1, dy, shape, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d_backward(
    dy, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Gradient of `avg_pool2d` with respect to `x`, of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `avg_pool2d`; also if `dy` has not the shape of the result.
    """
    return _avg_pool_backward(
        "avg_pool2d_backward",
        2,
        dy,
        shape,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def avg_pool3d_backward(
    dy, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Gradient of `avg_pool3d`; see `avg_pool2d_backward`."""
    return _avg_pool_backward(
        "avg_pool3d_backward",
        3,
        dy,
        shape,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def _avg_pool_backward(operation, dims, dy, shape, kernel_size, stride, padding, ceil_mode, include, divisor_override):
    w = windows(operation, shape, dims, kernel_size, stride, padding, 1, ceil_mode)
    dy = gradient(operation, dy, w.shape)
    dx = _checks.new(tuple(shape), dy.dtype)
    divisor = _divisor(operation, divisor_override)
    run_average(
        avg_pool_backward_lines,
        avg_pool_backward_naive,
        dy.reshape(w.result),
        w,
        include,
        divisor,
        dx.reshape(w.source),
    )
    return dx
