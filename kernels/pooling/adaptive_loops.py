r"""The loops of adaptive pooling: a given number of windows, which together cover the input.

Window o of O, over n elements, holds those from ``floor(o n / O)`` to ``ceil((o + 1) n / O) - 1``; y is their average
or their largest, and dx as in the other poolings. With O = 1 an average is a sum of contiguous elements (the global
pool of a residual network).
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.rows import over_lines
from kernels.reduction.ranges import sum_of
from kernels.simd import flat, lane_count, load, load_partial, splat, store_partial, sum_lanes


@jit(inline=True)
def begin(o, n, out):
    """The first element of window `o` of `out` over `n` elements."""
    return o * n // out


@jit(inline=True)
def end(o, n, out):
    """The element after its last one. Element i is in windows ``begin(i, out, n)`` to ``end(i, out, n) - 1``."""
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
    """A line is a row of y. The rows of its windows are summed first, then ranges of the sum."""
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


# --- one window: a sum of contiguous elements -------------------------------------------------------------------------


@jit(inline=True)
def _itself(x, z, p):
    return x


_sum_range = sum_of(_itself)


@jit
def _global_lines(start, stop, arguments):
    """``y[plane] = mean(x[plane])``; short planes are summed in the dtype of x, long ones by `reduction.ranges`."""
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
