r"""Patches: the elements of each window written out as columns, and columns summed back into an array.

    im2col:  columns[c, k, o] = x[c, o * stride - padding + k * dilation]      0 outside of x
    col2im:  x[c, i] = sum of columns[c, k, o] over all (k, o) with o * stride - padding + k * dilation = i

k numbers the elements of a window and o the windows, both row by row. Each is the other's gradient, and a convolution
is a matrix product with the columns of `im2col`, which take prod(kernel) times the memory of x (at stride 1).

A row of columns is part of a row of x, stride elements apart: whole vectors for strides 1 and 2. `col2im` gathers: a
row of x is the sum of the rows of columns that reach it, so that none is written by two threads.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.rows import Window, allocate_phases, clear, join, over_lines, place, start_of, window_at, window_of
from kernels.simd import (
    even_lanes,
    flat,
    lane_count,
    load,
    load_partial,
    release,
    shifted,
    splat,
    store,
    store_partial,
)

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit(inline=True)
def _element(window, k, od, oh, ow):
    """Where in x the element `k` of window (od, oh, ow) lies; perhaps outside."""
    depth, height, width = window
    kd, kh, kw = _position(window, k)
    d, h = start_of(od, depth) + kd * depth.dilation, start_of(oh, height) + kh * height.dilation
    return d, h, start_of(ow, width) + kw * width.dilation


@jit(inline=True)
def _position(window, k):
    """Depth, height and width of element `k` in its window."""
    KH, KW = window.height.kernel, window.width.kernel
    return k // (KH * KW), k // KW % KH, k % KW


@jit
def im2col_naive(x, sizes, columns):
    """Each element of each window; the arguments are those of `im2col`."""
    window = window_of(sizes)
    for c, k, od, oh, ow in np.ndindex(columns.shape):
        d, h, w = _element(window, k, od, oh, ow)
        inside = 0 <= d < x.shape[1] and 0 <= h < x.shape[2] and 0 <= w < x.shape[3]
        columns[c, k, od, oh, ow] = x[c, d, h, w] if inside else 0


@jit
def col2im_naive(columns, sizes, x):
    """Each element of each window is added to where it came from; the arguments are those of `col2im`."""
    window = window_of(sizes)
    x[:] = 0
    for c, k, od, oh, ow in np.ndindex(columns.shape):
        d, h, w = _element(window, k, od, oh, ow)
        if 0 <= d < x.shape[1] and 0 <= h < x.shape[2] and 0 <= w < x.shape[3]:
            x[c, d, h, w] += columns[c, k, od, oh, ow]


# --- rows as vectors -------------------------------------------------------------------------------------------------


@jit(inline=True)
def _first_at(position, stride):
    """The first window that begins at `position` or later."""
    return max(0, (position + stride - 1) // stride)


@jit
def _zeros(y, start, stop):
    for i in range(start, stop, lane_count(y)):
        store_partial(y, i, stop - i, splat(y, 0.0))


@jit
def _copy_row(x, stride, y, count):
    """``y[j] = x[j * stride]`` for j < count."""
    lanes = lane_count(x)
    if stride == 1:
        for j in range(0, count, lanes):
            store_partial(y, j, count - j, load_partial(x, j, count - j, 0.0))
    elif stride == 2:
        left = 2 * count - 1
        for j in range(0, count, lanes):
            low = load_partial(x, 2 * j, left - 2 * j, 0.0)
            high = load_partial(x, 2 * j + lanes, left - 2 * j - lanes, 0.0)
            store_partial(y, j, count - j, even_lanes(low, high))
    else:
        for j in range(count):
            y[j] = x[j * stride]


@jit
def _im2col_lines(start, stop, arguments):
    """Line c * prod(kernel) + k is ``columns[c, k]``."""
    x, sizes, columns = arguments
    depth, height, width = window_of(sizes)
    _, D, H, W = x.shape
    _, K, OD, OH, OW = columns.shape
    source, target = flat(x), flat(columns)
    for line in range(start, stop):
        c, k = line // K, line % K
        kd, kh, kw = _position(Window(depth, height, width), k)
        shift = width.padding - kw * width.dilation  # the element of window o is number o * stride - shift of its row
        first = min(_first_at(shift, width.stride), OW)
        last = max(first, min(_first_at(W + shift, width.stride), OW))
        for od in range(OD):
            d = start_of(od, depth) + kd * depth.dilation
            for oh in range(OH):
                h = start_of(oh, height) + kh * height.dilation
                row = shifted(target, ((line * OD) + od) * OH * OW + oh * OW)
                if d < 0 or d >= D or h < 0 or h >= H:
                    _zeros(row, 0, OW)
                    continue
                _zeros(row, 0, first)
                at = ((c * D + d) * H + h) * W + first * width.stride - shift
                _copy_row(shifted(source, at), width.stride, shifted(row, first), last - first)
                _zeros(row, last, OW)


@jit(inline=True)
def _add_columns(row, offset, stride, out, phases):
    """Adds ``row[j]`` to the element `offset` places after the beginning of window j, for `out` windows."""
    memory = phases.memory
    if phases.count == stride:
        to = place(phases, offset)
        for j in range(0, out, lane_count(memory)):
            part = load_partial(row, j, out - j, 0.0)
            store(memory, to + j, load(memory, to + j) + part)
    else:
        for j in range(out):
            memory[j * stride + offset] += row[j]


@jit
def _col2im_lines(start, stop, arguments):
    """Lines `start` to `stop` - 1 of x, a line being a row of one channel."""
    columns, sizes, x = arguments
    depth, height, width = window_of(sizes)
    _, D, H, W = x.shape
    _, K, OD, OH, OW = columns.shape
    source, target = flat(columns), flat(x)
    phases = allocate_phases(x, W, OW, width)
    for line in range(start, stop):
        c, d, h = line // (D * H), line // H % D, line % H
        clear(phases.memory, phases.count * phases.pitch, 0.0)
        for kd in range(depth.kernel):
            od = window_at(d, kd, depth, OD)
            for kh in range(height.kernel if od >= 0 else 0):
                oh = window_at(h, kh, height, OH)
                if oh < 0:
                    continue
                for kw in range(width.kernel):
                    k = (kd * height.kernel + kh) * width.kernel + kw
                    row = shifted(source, (((c * K + k) * OD + od) * OH + oh) * OW)
                    _add_columns(row, kw * width.dilation, width.stride, OW, phases)
        join(phases, shifted(target, line * W), W)
    release(phases.memory)


im2col_lines = over_lines(_im2col_lines, im2col_naive)
col2im_lines = over_lines(_col2im_lines, col2im_naive)


@jit(naive=im2col_naive)
def im2col(x, sizes, columns):
    """Write the patches of `x` to `columns`, on one thread; for use in your own jitted code.

    Parameters
    ----------
    x : array (C, D, H, W)
        C-contiguous; with depth (and height) 1 for fewer dimensions.
    sizes : int64 array (4, 3)
        Kernel, stride, padding and dilation, each for depth, height and width.
    columns : array (C, KD * KH * KW, OD, OH, OW)
        C-contiguous: as a matrix (C * KD * KH * KW, OD * OH * OW), a column is a patch. Nothing is checked.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import im2col
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> sizes = np.array([[1, 2, 2], [1, 1, 1], [0, 0, 0], [1, 1, 1]])  # kernel 2 x 2, stride 1, padding 0, dilation 1
    >>> columns = np.empty((1, 4, 1, 2, 2))
    >>> im2col(x, sizes, columns)
    >>> columns.reshape(4, 4)[:, 0]
    array([0., 1., 3., 4.])
    """
    _im2col_lines(FIRST, columns.shape[0] * columns.shape[1], (x, sizes, columns))


@jit(naive=col2im_naive)
def col2im(columns, sizes, x):
    """Write to `x` the sums of the patches in `columns`, on one thread; for use in your own jitted code.

    Parameters
    ----------
    columns, sizes, x
        As of `im2col`; `columns` are read and `x` is written.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import col2im
    >>> sizes = np.array([[1, 2, 2], [1, 1, 1], [0, 0, 0], [1, 1, 1]])  # kernel 2 x 2, stride 1, padding 0, dilation 1
    >>> x = np.empty((1, 1, 3, 3))
    >>> col2im(np.ones((1, 4, 1, 2, 2)), sizes, x)
    >>> x[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    _col2im_lines(FIRST, x.shape[0] * x.shape[1] * x.shape[2], (columns, sizes, x))


VARIANTS = {
    "im2col": {"naive": im2col_naive, "vectors": im2col},
    "col2im": {"naive": col2im_naive, "vectors": col2im},
}
