r"""Patches: what windows see, written out as columns, and columns summed back into an array.

    im2col:  columns[c, k, o] = x[c, o * stride - padding + k * dilation]      0 outside of x
    col2im:  x[c, i] = sum of columns[c, k, o] over all (k, o) with o * stride - padding + k * dilation = i

k numbers the elements of a window and o the windows, both row by row. Each is the other's gradient, and a convolution
is a matrix product with the columns of `im2col`, which take prod(kernel) times the memory of x (at stride 1).

A row of columns is part of a row of x, stride elements apart: whole vectors for strides 1 and 2. `col2im` gathers: a
row of x is the sum of the rows of columns that reach it, so that none is written by two threads.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.rows import clear, join, over_lines, phase_count, pitch_of, place, unpack, window_at
from kernels.pooling.windows import check_size, gradient, grain_and_threads, numbers, steps
from kernels.simd import even_lanes, flat, lane_count, load, load_partial, splat, store, store_partial

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def im2col_naive(x, sizes, columns):
    """Each element of each window; the arguments are those of `im2col`."""
    kernel, stride, padding, dilation = unpack(sizes)
    for c, k, od, oh, ow in np.ndindex(columns.shape):
        d = od * stride[0] - padding[0] + k // (kernel[1] * kernel[2]) * dilation[0]
        h = oh * stride[1] - padding[1] + k // kernel[2] % kernel[1] * dilation[1]
        w = ow * stride[2] - padding[2] + k % kernel[2] * dilation[2]
        inside = 0 <= d < x.shape[1] and 0 <= h < x.shape[2] and 0 <= w < x.shape[3]
        columns[c, k, od, oh, ow] = x[c, d, h, w] if inside else 0


@jit
def col2im_naive(columns, sizes, x):
    """Each element of each window is added to where it came from; the arguments are those of `col2im`."""
    kernel, stride, padding, dilation = unpack(sizes)
    x[:] = 0
    for c, k, od, oh, ow in np.ndindex(columns.shape):
        d = od * stride[0] - padding[0] + k // (kernel[1] * kernel[2]) * dilation[0]
        h = oh * stride[1] - padding[1] + k // kernel[2] % kernel[1] * dilation[1]
        w = ow * stride[2] - padding[2] + k % kernel[2] * dilation[2]
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
def _copy_row(x, at, stride, y, to, count):
    """``y[to + j] = x[at + j * stride]`` for j < count."""
    lanes = lane_count(x)
    if stride == 1:
        for j in range(0, count, lanes):
            store_partial(y, to + j, count - j, load_partial(x, at + j, count - j, 0.0))
    elif stride == 2:
        left = 2 * count - 1
        for j in range(0, count, lanes):
            low = load_partial(x, at + 2 * j, left - 2 * j, 0.0)
            high = load_partial(x, at + 2 * j + lanes, left - 2 * j - lanes, 0.0)
            store_partial(y, to + j, count - j, even_lanes(low, high))
    else:
        for j in range(count):
            y[to + j] = x[at + j * stride]


@jit
def _im2col_lines(start, stop, arguments):
    """Line c * prod(kernel) + k is ``columns[c, k]``."""
    x, sizes, columns = arguments
    kernel, stride, padding, dilation = unpack(sizes)
    _, D, H, W = x.shape
    _, K, OD, OH, OW = columns.shape
    source, target = flat(x), flat(columns)
    for line in range(start, stop):
        c, k = line // K, line % K
        kd, kh, kw = k // (kernel[1] * kernel[2]), k // kernel[2] % kernel[1], k % kernel[2]
        behind = padding[2] - kw * dilation[2]
        first = min(_first_at(behind, stride[2]), OW)
        last = max(first, min(_first_at(W + behind, stride[2]), OW))
        for od in range(OD):
            d = od * stride[0] - padding[0] + kd * dilation[0]
            for oh in range(OH):
                h = oh * stride[1] - padding[1] + kh * dilation[1]
                to = ((line * OD) + od) * OH * OW + oh * OW
                if d < 0 or d >= D or h < 0 or h >= H:
                    _zeros(target, to, to + OW)
                    continue
                _zeros(target, to, to + first)
                at = ((c * D + d) * H + h) * W + first * stride[2] - behind
                _copy_row(source, at, stride[2], target, to + first, last - first)
                _zeros(target, to + last, to + OW)


@jit(merge=True)
def _col2im_rows(columns, sizes, x, phases, start, stop):
    kernel, stride, padding, dilation = unpack(sizes)
    _, D, H, W = x.shape
    _, K, OD, OH, OW = columns.shape
    source, target, memory, lanes = flat(columns), flat(x), flat(phases), lane_count(x)
    s, dw = phase_count(stride[2]), dilation[2]
    pitch = pitch_of(x, W, OW, kernel[2], stride[2], padding[2], dw)
    for line in range(start, stop):
        c, d, h = line // (D * H), line // H % D, line % H
        clear(memory, s * pitch, 0.0)
        for kd in range(kernel[0]):
            od = window_at(d, kd, stride[0], padding[0], dilation[0], OD)
            for kh in range(kernel[1] if od >= 0 else 0):
                oh = window_at(h, kh, stride[1], padding[1], dilation[1], OH)
                if oh < 0:
                    continue
                for kw in range(kernel[2]):
                    at = (((c * K + (kd * kernel[1] + kh) * kernel[2] + kw) * OD + od) * OH + oh) * OW
                    if s == stride[2]:
                        to = place(kw * dw, s, pitch)
                        for j in range(0, OW, lanes):
                            part = load_partial(source, at + j, OW - j, 0.0)
                            store(memory, to + j, load(memory, to + j) + part)
                    else:
                        for j in range(OW):
                            memory[j * stride[2] + kw * dw] += source[at + j]
        join(memory, pitch, s, padding[2], target, line * W, W)


@jit
def _col2im_lines(start, stop, arguments):
    columns, sizes, x = arguments
    kernel, stride, padding, dilation = unpack(sizes)
    pitch = pitch_of(x, x.shape[3], columns.shape[4], kernel[2], stride[2], padding[2], dilation[2])
    phases = np.empty(phase_count(stride[2]) * pitch + lane_count(x), x.dtype)
    _col2im_rows(columns, sizes, x, phases, start, stop)


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
    """
    _im2col_lines(FIRST, columns.shape[0] * columns.shape[1], (x, sizes, columns))


@jit(naive=col2im_naive)
def col2im(columns, sizes, x):
    """Write to `x` the sums of the patches in `columns`, on one thread; arguments as of `im2col`."""
    _col2im_lines(FIRST, x.shape[0] * x.shape[1] * x.shape[2], (columns, sizes, x))


VARIANTS = {
    "im2col": {"naive": im2col_naive, "vectors": im2col},
    "col2im": {"naive": col2im_naive, "vectors": col2im},
}


# --- public functions ------------------------------------------------------------------------------------------------


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """The patch that each window sees, as a column.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``.
    kernel_size, dilation, padding, stride : int or tuple of int
        As of `max_pool2d`; the padding is zeros, and of any width.

    Returns
    -------
    ndarray
        Shape ``(N, C * KH * KW, L)`` or ``(C * KH * KW, L)``, L the number of windows.

    Raises
    ------
    TypeError, ValueError
        Another dtype or number of dimensions, an empty C, H or W, sizes out of range, no window that fits.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import unfold
    >>> unfold(np.arange(9.0).reshape(1, 3, 3), 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    x = _checks.floats("unfold", "x", x)
    return _unfold("unfold", x, kernel_size, dilation, padding, stride)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The array of sums whose patches are columns: elements of overlapping patches are added.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C * KH * KW, L)`` or ``(C * KH * KW, L)``.
    output_size : int or tuple of int
        H and W of the result.
    kernel_size, dilation, padding, stride : int or tuple of int
        As of `unfold`.

    Returns
    -------
    ndarray
        Shape ``(N, C, H, W)`` or ``(C, H, W)``.

    Raises
    ------
    TypeError, ValueError
        As `unfold`; if the rows of `x` are no multiple of the window's elements, or its columns not the windows.
    """
    x = _checks.floats("fold", "x", x)
    return _fold("fold", x, output_size, kernel_size, dilation, padding, stride)


def unfold_backward(dy, shape, kernel_size, dilation=1, padding=0, stride=1):
    """Gradient of `unfold` with respect to `x`, of `shape`: `fold` of `dy`."""
    _, _, columns = _patches("unfold_backward", shape, kernel_size, dilation, padding, stride)
    dy = gradient("unfold_backward", dy, columns)
    return _fold("unfold_backward", dy, tuple(shape[-2:]), kernel_size, dilation, padding, stride)


def fold_backward(dy, shape, kernel_size, dilation=1, padding=0, stride=1):
    """Gradient of `fold` with respect to `x`, of `shape`: `unfold` of `dy`."""
    dy = _checks.floats("fold_backward", "dy", dy)
    _, _, columns = _patches("fold_backward", dy.shape, kernel_size, dilation, padding, stride)
    if columns != tuple(shape):
        raise ValueError(f"fold_backward: dy of shape {dy.shape} has patches {columns}, not {tuple(shape)}")
    return _unfold("fold_backward", dy, kernel_size, dilation, padding, stride)


def _patches(operation, shape, kernel_size, dilation, padding, stride):
    """The loops' sizes for an array of `shape`, the numbers of windows, and the shape of its columns."""
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise ValueError(f"{operation}: x must have shape (N, C, H, W) or (C, H, W), with no C, H, W of 0, got {shape}")
    kernel, stride = numbers(operation, "kernel_size", kernel_size, 2, 1), numbers(operation, "stride", stride, 2, 1)
    padding, dilation = (
        numbers(operation, "padding", padding, 2, 0),
        numbers(operation, "dilation", dilation, 2, 1),
    )
    out = tuple(steps(*each, False) for each in zip(shape[-2:], kernel, stride, padding, dilation, strict=True))
    if min(out) < 1:
        raise ValueError(
            f"{operation}: the window is larger than the padded input: kernel_size {kernel}, dilation {dilation}, "
            f"padding {padding} on {tuple(shape[-2:])}"
        )
    columns = (*shape[:-3], shape[-3] * math.prod(kernel), math.prod(out))
    check_size(operation, columns)
    stride = tuple(1 if o == 1 else s for s, o in zip(stride, out, strict=True))
    sizes = np.array([(1, *kernel), (1, *stride), (0, *padding), (1, *dilation)], np.int64)
    return sizes, (1, *out), columns


def _unfold(operation, x, kernel_size, dilation, padding, stride):
    sizes, out, shape = _patches(operation, x.shape, kernel_size, dilation, padding, stride)
    columns = _checks.new(shape, x.dtype)
    planes, taken = math.prod(x.shape[:-2]), math.prod(sizes[0].tolist())
    arguments = x.reshape(planes, 1, *x.shape[-2:]), sizes, columns.reshape(planes, taken, *out)
    im2col_lines(arguments, planes * taken, *grain_and_threads(planes * taken, columns.size))
    return columns


def _fold(operation, x, output_size, kernel_size, dilation, padding, stride):
    size = numbers(operation, "output_size", output_size, 2, 1)
    taken = math.prod(numbers(operation, "kernel_size", kernel_size, 2, 1))
    if x.ndim not in (2, 3) or x.shape[-2] % taken or not x.shape[-2]:
        raise ValueError(
            f"{operation}: x must have shape (N, C * {taken}, L) or (C * {taken}, L) for kernel_size {kernel_size}, "
            f"got {x.shape}"
        )
    shape = (*x.shape[:-2], x.shape[-2] // taken, *size)
    check_size(operation, shape)
    sizes, out, columns = _patches(operation, shape, kernel_size, dilation, padding, stride)
    if columns != x.shape:
        raise ValueError(f"{operation}: output_size {size} has {math.prod(out)} windows, x is {x.shape}")
    y = _checks.new(shape, x.dtype)
    planes = math.prod(shape[:-2])
    arguments = x.reshape(planes, taken, *out), sizes, y.reshape(planes, 1, *size)
    col2im_lines(arguments, planes * size[0], *grain_and_threads(planes * size[0], x.size + y.size))
    return y
