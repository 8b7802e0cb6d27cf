r"""The loops of maximum pooling: of each window its largest element.

    y[o] = max_k x[o * stride - padding + k * dilation]        in each dimension, over the k that lie inside the input

    dx[i] = sum of dy[o] over the windows o whose largest element is x[i]

K - 1 comparisons an output for windows of K elements; each element of x is read once and each of y written once. A NaN
is larger than anything; of equal elements the first of the window is its largest, of NaNs the last, as in PyTorch.

A maximum over a window of several rows is one over rows, then along the combined row. Where the place of the largest
element is needed, all places are compared in their order instead. The backward needs only that place: its number
within the window, one byte.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.places import max_pool_places_loops
from kernels.pooling.rows import Rows, allocate_phases, clear, inside, over_lines, place, splitter, start_of, window_of
from kernels.simd import flat, lane_count, load, maximum, release, shifted, store_partial

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def max_pool_naive(x, sizes, y, indices):
    """Each window by itself; `indices` count the elements of a plane row by row."""
    depth, height, width = window_of(sizes)
    _, D, H, W = x.shape
    for p, od, oh, ow in np.ndindex(y.shape):
        best, at = x.dtype.type(-np.inf), -1
        for kd in range(*inside(od, depth, D)):
            for kh in range(*inside(oh, height, H)):
                for kw in range(*inside(ow, width, W)):
                    d, h = start_of(od, depth) + kd * depth.dilation, start_of(oh, height) + kh * height.dilation
                    w = start_of(ow, width) + kw * width.dilation
                    if at < 0 or x[p, d, h, w] > best or np.isnan(x[p, d, h, w]):
                        best, at = x[p, d, h, w], (d * H + h) * W + w
        y[p, od, oh, ow], indices[p, od, oh, ow] = best, at


# --- values only: rows, then along the row ---------------------------------------------------------------------------

_split_maximum = splitter(maximum)


@jit(inline=True)
def _largest_along(phases, axis, out, row):
    """``row[j]`` = the largest element of window j, for `out` windows of a row that is split into phases."""
    memory = phases.memory
    if phases.count == axis.stride:
        for j in range(0, out, lane_count(memory)):
            best = load(memory, j)
            for k in range(1, axis.kernel):
                best = maximum(best, load(memory, place(phases, k * axis.dilation) + j))
            store_partial(row, j, out - j, best)
    else:
        for j in range(out):
            largest = memory[j * axis.stride]
            for k in range(1, axis.kernel):
                value = memory[j * axis.stride + k * axis.dilation]
                if value > largest or value != value:
                    largest = value
            row[j] = largest


@jit
def _value_lines(start, stop, arguments):
    """Lines `start` to `stop` - 1 of y, a line being a row of one plane."""
    x, sizes, y = arguments
    depth, height, width = window_of(sizes)
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    source, target, lowest = flat(x), flat(y), x.dtype.type(-np.inf)
    plane_stride, row_stride = depth.dilation * H * W, height.dilation * W
    phases = allocate_phases(x, W, OW, width)
    clear(phases.memory, phases.count * phases.pitch, lowest)
    for line in range(start, stop):
        p, od, oh = line // (OD * OH), line // OH % OD, line % OH
        d0, d1 = inside(od, depth, D)
        h0, h1 = inside(oh, height, H)
        d, h = start_of(od, depth) + d0 * depth.dilation, start_of(oh, height) + h0 * height.dilation
        rows = Rows(shifted(source, ((p * D + d) * H + h) * W), d1 - d0, plane_stride, h1 - h0, row_stride)
        _split_maximum(rows, W, phases, lowest)
        _largest_along(phases, width, OW, shifted(target, line * OW))
    release(phases.memory)


max_pool_lines = over_lines(_value_lines)


@jit
def max_pool_loops(x, sizes, y):
    """Maximum pooling on one thread, for use in your own jitted code.

    `x` (planes, D, H, W) and `y` (planes, OD, OH, OW) are C-contiguous. `sizes` is int64 (4, 3): kernel, stride,
    padding and dilation, each for depth, height and width. Nothing is checked.
    """
    _value_lines(FIRST, y.shape[0] * y.shape[1] * y.shape[2], (x, sizes, y))


VARIANTS = {
    "max_pool": {"naive": max_pool_naive, "vectors": max_pool_places_loops},
}
