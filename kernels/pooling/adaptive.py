r"""Adaptive pooling: as many windows as are asked for, of sizes that fit.

Window o of O, over n elements, holds those from ``floor(o n / O)`` to ``ceil((o + 1) n / O) - 1``; y is their average
or their largest, and dx as in the other poolings. With O = 1 an average is a sum of neighbours (the global pool of a
residual network); where O divides n the windows are alike, and the loops are those of the other poolings.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.average import (
    avg_pool_backward_lines,
    avg_pool_backward_naive,
    avg_pool_lines,
    avg_pool_naive,
    run_average,
)
from kernels.pooling.maximum import run_max
from kernels.pooling.places import scatter
from kernels.pooling.rows import over_lines
from kernels.pooling.windows import check_size, gradient, grain_and_threads, numbers, planes_of, windows
from kernels.reduction.ranges import sum_of
from kernels.simd import flat, lane_count, load, load_partial, splat, store_partial, sum_lanes


@jit(inline=True)
def begin(o, n, out):
    """The first element of window `o` of `out` over `n` elements."""
    return o * n // out


@jit(inline=True)
def end(o, n, out):
    """One past its last. The windows that hold element i are those from ``begin(i, out, n)`` to ``end(i, out, n)``."""
    return ((o + 1) * n + out - 1) // out


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def adaptive_avg_pool_naive(x, y):
    """Each window by itself."""
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    for p, od, oh, ow in np.ndindex(y.shape):
        total, count = 0.0, 0
        for d in range(begin(od, D, OD), end(od, D, OD)):
            for h in range(begin(oh, H, OH), end(oh, H, OH)):
                for w in range(begin(ow, W, OW), end(ow, W, OW)):
                    total += np.float64(x[p, d, h, w])
                    count += 1
        y[p, od, oh, ow] = total / count


# --- any sizes -------------------------------------------------------------------------------------------------------


@jit
def _window_sum(x, d0, d1, h0, h1, w0, w1):
    """The float64 sum of a window of a plane."""
    total = 0.0
    for d in range(d0, d1):
        for h in range(h0, h1):
            for w in range(w0, w1):
                total += np.float64(x[d, h, w])
    return total


@jit
def _average_lines(start, stop, arguments):
    """A line is a row of y. The rows of its windows are summed first, then parts of the sum."""
    x, y = arguments
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    total = np.empty(W, x.dtype)
    for line in range(start, stop):
        p, od, oh = line // (OD * OH), line // OH % OD, line % OH
        d0, d1, h0, h1 = begin(od, D, OD), end(od, D, OD), begin(oh, H, OH), end(oh, H, OH)
        total[:] = 0
        for d in range(d0, d1):
            for h in range(h0, h1):
                row = x[p, d, h]
                for w in range(W):
                    total[w] += row[w]
        for ow in range(OW):
            w0, w1 = begin(ow, W, OW), end(ow, W, OW)
            part = x.dtype.type(0)
            for w in range(w0, w1):
                part += total[w]
            count = (d1 - d0) * (h1 - h0) * (w1 - w0)
            y[p, od, oh, ow] = part / x.dtype.type(count)
            if not np.isfinite(part):  # perhaps only the sum is too large
                y[p, od, oh, ow] = _window_sum(x[p], d0, d1, h0, h1, w0, w1) / count


@jit
def _spread_lines(start, stop, arguments):
    """A line is a row of dx; the rows of dy that reach it are summed first."""
    dy, dx = arguments
    _, D, H, W = dx.shape
    _, OD, OH, OW = dy.shape
    total = np.empty(OW, dx.dtype)
    for line in range(start, stop):
        p, d, h = line // (D * H), line // H % D, line % H
        total[:] = 0
        for od in range(begin(d, OD, D), end(d, OD, D)):
            for oh in range(begin(h, OH, H), end(h, OH, H)):
                rows = (end(od, D, OD) - begin(od, D, OD)) * (end(oh, H, OH) - begin(oh, H, OH))
                row = dy[p, od, oh]
                for ow in range(OW):
                    total[ow] += row[ow] / dx.dtype.type(rows * (end(ow, W, OW) - begin(ow, W, OW)))
        for w in range(W):
            part = dx.dtype.type(0)
            for ow in range(begin(w, OW, W), end(w, OW, W)):
                part += total[ow]
            dx[p, d, h, w] = part


@jit
def _max_lines(start, stop, arguments):
    """A line is a row of y; `indices` count the elements of a plane."""
    x, y, indices = arguments
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    for line in range(start, stop):
        p, od, oh = line // (OD * OH), line // OH % OD, line % OH
        for ow in range(OW):
            best, at = x.dtype.type(-np.inf), -1
            for d in range(begin(od, D, OD), end(od, D, OD)):
                for h in range(begin(oh, H, OH), end(oh, H, OH)):
                    for w in range(begin(ow, W, OW), end(ow, W, OW)):
                        value = x[p, d, h, w]
                        if at < 0 or value > best or value != value:
                            best, at = value, (d * H + h) * W + w
            y[p, od, oh, ow], indices[p, od, oh, ow] = best, at


adaptive_average, adaptive_spread, adaptive_max = map(over_lines, (_average_lines, _spread_lines, _max_lines))


# --- one window: a sum of neighbours ---------------------------------------------------------------------------------


@jit(inline=True)
def _itself(x, z, p):
    return x


_sum_range = sum_of(_itself)


@jit
def _global_lines(start, stop, arguments):
    """``y[plane] = mean(x[plane])``; short planes in the array's own dtype, long ones as any sum."""
    x, y = arguments
    source, lanes, n = flat(x), lane_count(x), x.shape[1]
    for plane in range(start, stop):
        if n > 16 * lanes:
            y[plane] = _sum_range(x, x, 0.0, plane * n, (plane + 1) * n) / n
        else:
            at, total = plane * n, splat(x, 0.0)
            whole = n - n % lanes
            for i in range(0, whole, lanes):
                total = total + load(source, at + i)
            if whole < n:
                total = total + load_partial(source, at + whole, n - whole, 0.0)
            of_plane = sum_lanes(total)
            y[plane] = of_plane / x.dtype.type(n)
            if not np.isfinite(of_plane):  # perhaps only the sum is too large
                wide = 0.0
                for i in range(at, at + n):
                    wide += np.float64(source[i])
                y[plane] = wide / n


@jit
def _constant_lines(start, stop, arguments):
    """``dx[plane] = dy[plane] / n``"""
    dy, dx = arguments
    target, lanes, n = flat(dx), lane_count(dx), dx.shape[1]
    for plane in range(start, stop):
        part = splat(dx, dy[plane] / dx.dtype.type(n))
        for i in range(0, n, lanes):
            store_partial(target, plane * n + i, n - i, part)


global_average = over_lines(
    _global_lines, lambda x, y: adaptive_avg_pool_naive(x[:, None, None, :], y[:, None, None, None])
)
global_spread = over_lines(
    _constant_lines, lambda dy, dx: _spread_lines(FIRST, len(dy), (dy[:, None, None, None], dx[:, None, None, :]))
)


@jit
def adaptive_avg_pool_loops(x, y):
    """Adaptive average pooling of `x` (planes, D, H, W) to `y` (planes, OD, OH, OW) on one thread, for jitted code."""
    _average_lines(FIRST, y.shape[0] * y.shape[1] * y.shape[2], (x, y))


VARIANTS = {"adaptive_avg_pool": {"naive": adaptive_avg_pool_naive, "rows": adaptive_avg_pool_loops}}


# --- public functions ------------------------------------------------------------------------------------------------


def adaptive_avg_pool1d(x, output_size):
    """`adaptive_avg_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _average("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_avg_pool2d(x, output_size):
    """Averages of `output_size` windows that cover each plane.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    output_size : int, or tuple of (int or None)
        Height and width of the result; None keeps that of `x`. 1 is the global pool.

    Returns
    -------
    ndarray
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        Another dtype or number of dimensions; a size that is negative, another number of sizes, or None for all of
        them (and any None for the one size of `adaptive_avg_pool1d`).

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_avg_pool2d
    >>> adaptive_avg_pool2d(np.arange(9.0).reshape(1, 3, 3), (1, 2))
    array([[[3.5, 4.5]]])
    """
    return _average("adaptive_avg_pool2d", 2, x, output_size)


def adaptive_avg_pool3d(x, output_size):
    """`adaptive_avg_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _average("adaptive_avg_pool3d", 3, x, output_size)


def adaptive_max_pool1d(x, output_size, return_indices=False):
    """`adaptive_max_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _max("adaptive_max_pool1d", 1, x, output_size, return_indices)


def adaptive_max_pool2d(x, output_size, return_indices=False):
    """Largest elements of `output_size` windows that cover each plane; arguments as of `adaptive_avg_pool2d`.

    With `return_indices`, a pair: their int64 indices in their plane, too (of equal ones the first, of NaNs the last).
    """
    return _max("adaptive_max_pool2d", 2, x, output_size, return_indices)


def adaptive_max_pool3d(x, output_size, return_indices=False):
    """`adaptive_max_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _max("adaptive_max_pool3d", 3, x, output_size, return_indices)


def _sizes(operation, shape, dims, output_size):
    """Planes and sizes of input and result as three numbers each, and the result's shape."""
    planes = planes_of(operation, tuple(shape), dims)
    given = (output_size,) * dims
    if isinstance(output_size, (tuple, list)):
        if len(output_size) != dims:
            raise ValueError(f"{operation}: output_size must be an int or {dims} of them, got {output_size!r}")
        given = tuple(output_size)
        if dims > 1:
            given = tuple(n if size is None else size for size, n in zip(given, shape[-dims:], strict=True))
    out = numbers(operation, "output_size", given, dims, 0)
    result = (*shape[:-dims], *out)
    check_size(operation, result)
    ones = (1,) * (3 - dims)
    return planes, (planes, *ones, *shape[-dims:]), (planes, *ones, *out), result


def _alike(operation, source, result):
    """The sizes of a pooling whose windows are those of the adaptive one; None where they differ among themselves."""
    if any(n % o for n, o in zip(source[1:], result[1:], strict=True)):
        return None
    return windows(operation, source, 3, tuple(n // o for n, o in zip(source[1:], result[1:], strict=True)))


def _average(operation, dims, x, output_size):
    x = _checks.floats(operation, "x", x)
    planes, source, result, shape = _sizes(operation, x.shape, dims, output_size)
    y = _checks.new(shape, x.dtype)
    if not y.size:
        return y
    lines = math.prod(result[:3])
    work = lines, *grain_and_threads(lines, x.size + y.size)
    if y.size == planes:
        global_average((x.reshape(planes, -1), y.reshape(planes)), *work)
    elif w := _alike(operation, source, result):
        run_average(avg_pool_lines, avg_pool_naive, x.reshape(source), w, True, 0, y.reshape(result))
    else:
        adaptive_average((x.reshape(source), y.reshape(result)), *work)
    return y


def _max(operation, dims, x, output_size, return_indices):
    x = _checks.floats(operation, "x", x)
    _, source, result, shape = _sizes(operation, x.shape, dims, output_size)
    _checks.choice(operation, "return_indices", return_indices, (False, True))
    if not math.prod(shape):
        y, indices = _checks.new(shape, x.dtype), _checks.new(shape, _checks.INT64)
    elif w := _alike(operation, source, result):
        found = run_max(x, w, return_indices)
        y, indices = found if return_indices else (found, None)
        y, indices = y.reshape(shape), indices.reshape(shape) if return_indices else None
    else:
        y, indices = _checks.new(shape, x.dtype), _checks.new(shape, _checks.INT64)
        lines = math.prod(result[:3])
        arguments = x.reshape(source), y.reshape(result), indices.reshape(result)
        adaptive_max(arguments, lines, *grain_and_threads(lines, x.size + y.size))
    return (y, indices) if return_indices else y


def adaptive_avg_pool1d_backward(dy, shape):
    """Gradient of `adaptive_avg_pool1d`; see `adaptive_avg_pool2d_backward`."""
    return _average_backward("adaptive_avg_pool1d_backward", 1, dy, shape)


def adaptive_avg_pool2d_backward(dy, shape):
    """Gradient of `adaptive_avg_pool2d` with respect to `x`, of `shape`.

    Raises
    ------
    TypeError, ValueError
        If `dy` cannot be the gradient of a pool of such an array.
    """
    return _average_backward("adaptive_avg_pool2d_backward", 2, dy, shape)


def adaptive_avg_pool3d_backward(dy, shape):
    """Gradient of `adaptive_avg_pool3d`; see `adaptive_avg_pool2d_backward`."""
    return _average_backward("adaptive_avg_pool3d_backward", 3, dy, shape)


def _average_backward(operation, dims, dy, shape):
    dy = _checks.floats(operation, "dy", dy)
    planes, source, result, expected = _sizes(operation, shape, dims, dy.shape[-dims:])
    dy = gradient(operation, dy, expected)
    dx = _checks.new(tuple(shape), dy.dtype)
    if not dy.size:
        dx.fill(0)
        return dx
    lines = math.prod(source[:3])
    if dy.size == planes:
        global_spread((dy.reshape(planes), dx.reshape(planes, -1)), planes, *grain_and_threads(planes, dx.size))
    elif w := _alike(operation, source, result):
        run_average(
            avg_pool_backward_lines, avg_pool_backward_naive, dy.reshape(result), w, True, 0, dx.reshape(source)
        )
    else:
        adaptive_spread((dy.reshape(result), dx.reshape(source)), lines, *grain_and_threads(lines, dx.size + dy.size))
    return dx


def adaptive_max_pool1d_backward(dy, shape, indices):
    """Gradient of `adaptive_max_pool1d`; see `adaptive_max_pool2d_backward`."""
    return _max_backward("adaptive_max_pool1d_backward", 1, dy, shape, indices)


def adaptive_max_pool2d_backward(dy, shape, indices):
    """Gradient of `adaptive_max_pool2d` with respect to `x`, of `shape`: each dy goes to its index.

    Raises
    ------
    TypeError, ValueError, IndexError
        If `dy` cannot be the gradient of a pool of such an array, or `indices` do not fit.
    """
    return _max_backward("adaptive_max_pool2d_backward", 2, dy, shape, indices)


def adaptive_max_pool3d_backward(dy, shape, indices):
    """Gradient of `adaptive_max_pool3d`; see `adaptive_max_pool2d_backward`."""
    return _max_backward("adaptive_max_pool3d_backward", 3, dy, shape, indices)


def _max_backward(operation, dims, dy, shape, indices):
    dy = _checks.floats(operation, "dy", dy)
    *_, expected = _sizes(operation, shape, dims, dy.shape[-dims:])
    return scatter(operation, gradient(operation, dy, expected), indices, shape, dims)
