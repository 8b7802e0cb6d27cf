r"""The loops of average pooling.

    y[o] = sum_k x[o * stride - padding + k] / n[o]            in each dimension, over the k that lie inside the input

    dx[i] = sum of dy[o] / n[o] over the windows o that hold x[i]

n is the number of elements of the window: of those inside, or also of those in the padding, or a given divisor.
A window's rows are added up first, then the elements of that sum: KD KH + KW additions an output, not their
product. The backward runs the other way: a row of gradients, summed over the windows' rows, is spread along the
row.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.rows import (
    Rows,
    Window,
    allocate_phases,
    clear,
    inside,
    join,
    over_lines,
    place,
    splitter,
    start_of,
    store_pairs,
    window_at,
    window_of,
)
from kernels.simd import (
    allocate,
    flat,
    fma,
    lane_count,
    load,
    load_partial,
    release,
    shifted,
    splat,
    store,
    store_partial,
    sum_lanes,
)


class Average(NamedTuple):
    """Windows, and what their sums are divided by: `divisor`, or if that is 0 the number of elements, with those of the
    padding if `include`."""

    window: Window
    include: bool
    divisor: int


@jit(inline=True)
def _count(o, axis, size, include):
    """Elements of window `o` along one axis: those inside, or with `include` those of the padding, too."""
    start = start_of(o, axis)
    if include:
        return min(axis.kernel, size + axis.padding - start)
    return min(start + axis.kernel, size) - max(start, 0)


@jit(inline=True)
def _divisor(average, o, shape):
    """What the sum of window o = (od, oh, ow) is divided by."""
    if average.divisor != 0:
        return average.divisor
    window, (od, oh, ow), (_, D, H, W) = average.window, o, shape
    count = _count(od, window.depth, D, average.include) * _count(oh, window.height, H, average.include)
    return count * _count(ow, window.width, W, average.include)


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit(inline=True)
def _window_sum(x, p, o, window):
    """The float64 sum of window o = (od, oh, ow) of a plane."""
    total, (od, oh, ow) = 0.0, o
    d, h, w = start_of(od, window.depth), start_of(oh, window.height), start_of(ow, window.width)
    for kd in range(*inside(od, window.depth, x.shape[1])):
        for kh in range(*inside(oh, window.height, x.shape[2])):
            for kw in range(*inside(ow, window.width, x.shape[3])):
                total += np.float64(x[p, d + kd, h + kh, w + kw])
    return total


@jit
def avg_pool_naive(x, sizes, include, divisor, y):
    """Each window by itself; it is divided by `divisor`, or if that is 0 by the number of its elements."""
    average = Average(window_of(sizes), include, divisor)
    for p, od, oh, ow in np.ndindex(y.shape):
        o = od, oh, ow
        y[p, od, oh, ow] = _window_sum(x, p, o, average.window) / np.float64(_divisor(average, o, x.shape))


@jit
def avg_pool_backward_naive(dy, sizes, include, divisor, dx):
    """Each dy is added, divided, to all elements of its window."""
    average = Average(window_of(sizes), include, divisor)
    window = average.window
    dx[:] = 0
    for p, od, oh, ow in np.ndindex(dy.shape):
        count = _divisor(average, (od, oh, ow), dx.shape)
        d, h, w = start_of(od, window.depth), start_of(oh, window.height), start_of(ow, window.width)
        for kd in range(*inside(od, window.depth, dx.shape[1])):
            for kh in range(*inside(oh, window.height, dx.shape[2])):
                for kw in range(*inside(ow, window.width, dx.shape[3])):
                    dx[p, d + kd, h + kh, w + kw] += dy[p, od, oh, ow] / dx.dtype.type(count)


# --- forward: rows, then along the row -------------------------------------------------------------------------------


@jit(inline=True)
def _plus(total, x):
    return total + x


_split_sum = splitter(_plus)


@jit
def _fill_counts(average, out, size, counts, places):
    """The factor of the divisor that depends on the place along the row; all of it where it is given."""
    for o in range(places):
        counts[o] = 1
        if o < out:
            given = average.divisor
            counts[o] = given if given != 0 else _count(o, average.window.width, size, average.include)


@jit(inline=True)
def _rows_count(average, od, oh, D, H):
    """The factor of the divisor that does not depend on the place along the row."""
    if average.divisor != 0:
        return 1
    window = average.window
    return _count(od, window.depth, D, average.include) * _count(oh, window.height, H, average.include)


@jit
def _average_in_float64(x, average, y, line):
    """Those averages of a line that are not finite once more in float64: perhaps only a sum was too large."""
    _, OD, OH, OW = y.shape
    p, od, oh = line // (OD * OH), line // OH % OD, line % OH
    for ow in range(OW):
        if not np.isfinite(y[p, od, oh, ow]):
            o = od, oh, ow
            y[p, od, oh, ow] = _window_sum(x, p, o, average.window) / np.float64(_divisor(average, o, x.shape))


@jit
def _average_lines(start, stop, arguments):
    """Lines `start` to `stop` - 1 of y, a line being a row of one plane."""
    x, sizes, include, divisor, y = arguments
    average = Average(window_of(sizes), include, divisor)
    depth, height, width = average.window
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    source, target, lanes, zero = flat(x), flat(y), lane_count(x), x.dtype.type(0)
    phases, counts = allocate_phases(x, W, OW, width), allocate(x, OW + lanes)
    memory = phases.memory
    _fill_counts(average, OW, W, counts, OW + lanes)
    clear(memory, phases.count * phases.pitch, zero)
    residue, rest = splat(x, 0.0), zero
    for line in range(start, stop):
        p, od, oh = line // (OD * OH), line // OH % OD, line % OH
        d0, d1 = inside(od, depth, D)
        h0, h1 = inside(oh, height, H)
        at = ((p * D + start_of(od, depth) + d0) * H + start_of(oh, height) + h0) * W
        _split_sum(Rows(shifted(source, at), d1 - d0, H * W, h1 - h0, W), W, phases, zero)
        count = x.dtype.type(_rows_count(average, od, oh, D, H))
        if phases.count == width.stride:
            for j in range(0, OW, lanes):
                total = load(memory, j)
                for k in range(1, width.kernel):
                    total = total + load(memory, place(phases, k) + j)
                total = total / (load(counts, j) * count)
                residue = fma(total, 0.0, residue)
                store_partial(target, line * OW + j, OW - j, total)
        else:
            for j in range(OW):
                total_here = zero
                for k in range(width.kernel):
                    total_here += memory[j * width.stride + k]
                target[line * OW + j] = total_here / (counts[j] * count)
                rest += target[line * OW + j] * zero
    if sum_lanes(residue) + rest != 0:  # a NaN, too
        for line in range(start, stop):
            _average_in_float64(x, average, y, line)
    release(memory)
    release(counts)


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


@jit(inline=True)
def _add_to_phases(totals, out, axis, phases):
    """Adds to each element of a padded row the totals of the windows that hold it."""
    memory = phases.memory
    if phases.count == axis.stride:
        for k in range(axis.kernel):
            to = place(phases, k)
            for j in range(0, out, lane_count(memory)):
                store(memory, to + j, load(memory, to + j) + load(totals, j))
    else:
        for j in range(out):
            for k in range(axis.kernel):
                memory[j * axis.stride + k] += totals[j]


@jit
def _spread_lines(start, stop, arguments):
    """Lines `start` to `stop` - 1 of dx, a line being a row of one plane."""
    dy, sizes, include, divisor, dx = arguments
    average = Average(window_of(sizes), include, divisor)
    depth, height, width = average.window
    _, D, H, W = dx.shape
    _, OD, OH, OW = dy.shape
    source, target, lanes, zero = flat(dy), flat(dx), lane_count(dy), dy.dtype.type(0)
    phases, totals, counts = allocate_phases(dx, W, OW, width), allocate(dx, OW + lanes), allocate(dx, OW + lanes)
    _fill_counts(average, OW, W, counts, OW + lanes)
    for line in range(start, stop):
        p, d, h = line // (D * H), line // H % D, line % H
        clear(phases.memory, phases.count * phases.pitch, zero)
        clear(totals, OW, zero)
        for kd in range(depth.kernel):
            od = window_at(d, kd, depth, OD)
            for kh in range(height.kernel if od >= 0 else 0):
                oh = window_at(h, kh, height, OH)
                if oh < 0:
                    continue
                count, at = dy.dtype.type(_rows_count(average, od, oh, D, H)), ((p * OD + od) * OH + oh) * OW
                for j in range(0, OW, lanes):
                    part = load_partial(source, at + j, OW - j, 0.0) / (load(counts, j) * count)
                    store(totals, j, load(totals, j) + part)
        _add_to_phases(totals, OW, width, phases)
        join(phases, shifted(target, line * W), W)
    release(phases.memory)
    release(totals)
    release(counts)


@jit
def _doubled_lines(start, stop, arguments):
    """The same for adjacent windows of 2 x 2 elements without padding; a line is two rows of dx: every dy
    of a row, divided, twice in each."""
    dy, sizes, include, divisor, dx = arguments
    average = Average(window_of(sizes), include, divisor)
    H, W, OH, OW = dx.shape[2], dx.shape[3], dy.shape[2], dy.shape[3]
    source, target, lanes = flat(dy), flat(dx), lane_count(dy)
    counts, pairs = allocate(dx, (W + 1) // 2 + lanes), (H + 1) // 2
    _fill_counts(average, OW, W, counts, (W + 1) // 2 + lanes)
    for line in range(start, stop):
        plane, m = line // pairs, line % pairs
        row = shifted(target, (plane * H + 2 * m) * W)
        windows = OW if m < OH else 0  # below the last window there may be a row of zeros
        count, at = dy.dtype.type(_rows_count(average, 0, min(m, OH - 1), 1, H)), (plane * OH + m) * OW
        for j in range(0, (W + 1) // 2, lanes):
            part = load_partial(source, at + j, windows - j, 0.0) / (load(counts, j) * count)
            store_pairs(row, 2 * j, W, part, part)
            if 2 * m + 1 < H:
                store_pairs(shifted(row, W), 2 * j, W, part, part)
    release(counts)


avg_pool_backward_lines, avg_pool_backward_pairs = over_lines(_spread_lines), over_lines(_doubled_lines)


@jit
def avg_pool_backward_loops(dy, sizes, include, divisor, dx):
    """The gradient of `avg_pool_loops` on one thread, for use in your own jitted code."""
    _spread_lines(FIRST, dx.shape[0] * dx.shape[1] * dx.shape[2], (dy, sizes, include, divisor, dx))


VARIANTS = {
    "avg_pool": {"naive": avg_pool_naive, "vectors": avg_pool_loops},
    "avg_pool_backward": {"naive": avg_pool_backward_naive, "vectors": avg_pool_backward_loops},
}
