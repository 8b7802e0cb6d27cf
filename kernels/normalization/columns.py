r"""Batch norm where vectors run over the channels: (N, C), and (N, C, L) with an L shorter than a vector.

Seen as N rows of C L columns, neighbouring columns are contiguous. A strip of columns, whole channels of it, is read
down all rows for the moments of each column; those of the L columns of a channel are merged; then the strip is read
once more. Strips are shared out among the threads.
"""

import numpy as np
from numba import prange

from kernels._jit import jit
from kernels._threads import arrive, enter, leave
from kernels.normalization.affine import folded
from kernels.normalization.moments import BLOCK_ROWS, column_moments, merge
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import allocate, flat, flat_each, fma, lane_count, release, select
from kernels.simd.wide import wide_count

MANY = 16  # strips at least, before they become as wide as a wide vector: narrower ones are more to share out


@jit(inline=True)
def _channels_of_strip(x, channels, length):
    """How many channels make a strip: a vector of columns, or a wide vector of them where that leaves enough strips."""
    width = wide_count(x) if channels * length >= MANY * wide_count(x) else lane_count(x)
    return max(1, width // length)


@over_range
@jit(inline=True, fastmath=False)
def _scale_columns(j, count, x, y, at, inner, rows, centers, scales, shifts, least):
    center, scale, shift = read(centers, j, count, 0.0), read(scales, j, count, 0.0), read(shifts, j, count, 0.0)
    for row in range(rows):
        z = fma(read(x, at + row * inner + j, count, 0.0) - center, scale, shift)
        write(y, at + row * inner + j, count, select(z < least, least, z))


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(fastmath=False)
def _forward_strip(shape, first, last, x, weight, bias, eps, mean, rstd, running, momentum, least, y, scratch, wide):
    """Channels first <= c < last."""
    rows, channels, length = shape
    source, target = flat(x), flat(y)
    centers, scales, shifts = scratch
    means, squares = wide
    inner, at, width = channels * length, first * length, (last - first) * length
    column_moments(source, at, inner, rows, width, scratch, means, squares)
    n = np.float64(rows * length)
    for channel in range(first, last):
        j = (channel - first) * length
        average, square = means[j], squares[j]
        for k in range(1, length):
            before, more = np.float64(k * rows), np.float64(rows)
            average, square = merge(before, average, square, more, means[j + k], squares[j + k])
        deviation = 1.0 / np.sqrt(square / n + eps)
        mean[channel], rstd[channel] = average, deviation
        if running[0].size:
            running[0][channel] = (1.0 - momentum) * running[0][channel] + momentum * average
            running[1][channel] = (1.0 - momentum) * running[1][channel] + momentum * (square / (n - 1.0))
        center, scale, shift = folded(average, deviation, weight[channel], bias[channel], x)
        for k in range(j, j + length):
            centers[k], scales[k], shifts[k] = center, scale, shift
    _scale_columns(source, 0, width, source, target, at, inner, rows, centers, scales, shifts, least)


@jit(fastmath=False)
def _forward_strips(shape, share, first, last, x, weight, bias, eps, mean, rstd, running, momentum, least, y):
    width = share * shape[2]
    scratch = allocate(x, width), allocate(x, width), allocate(x, width)
    wide = allocate(np.float64, width), allocate(np.float64, width)
    for start in range(first, last, share):
        stop = min(start + share, last)
        _forward_strip(
            shape, start, stop, x, weight, bias, eps, mean, rstd, running, momentum, least, y, scratch, wide
        )
    for i in range(3):
        release(scratch[i])
    for i in range(2):
        release(wide[i])


@jit(parallel=True, fastmath=False)
def forward_columns(shape, x, weight, bias, eps, mean, rstd, running, momentum, least, y, threads):
    """`pieces.forward_pieces` for an x of shape (rows, channels, length), in strips of columns."""
    channels = shape[1]
    share = _channels_of_strip(x, channels, shape[2])
    if threads == 1:
        _forward_strips(shape, share, 0, channels, x, weight, bias, eps, mean, rstd, running, momentum, least, y)
    else:
        before, home = enter(threads)
        for strip in prange((channels + share - 1) // share):
            arrive(home)
            first = np.int64(strip) * share
            last = min(first + share, channels)
            _forward_strips(shape, share, first, last, x, weight, bias, eps, mean, rstd, running, momentum, least, y)
        leave(before)


# --- backward --------------------------------------------------------------------------------------------------------


@over_range
@jit(inline=True, fastmath=False)
def _column_sums(j, count, dy, x, at, inner, rows, centers, sums, products):
    center = read(centers, j, count, 0.0)
    total = read(dy, at + j, count, 0.0)
    product = total * (read(x, at + j, count, 0.0) - center)
    for row in range(1, rows):
        i = at + row * inner + j
        dz = read(dy, i, count, 0.0)
        total, product = total + dz, fma(dz, read(x, i, count, 0.0) - center, product)
    write(sums, j, count, total)
    write(products, j, count, product)


@over_range
@jit(inline=True, fastmath=False)
def _slope_columns(j, count, dy, x, dx, at, inner, rows, centers, scales, slants, shifts):
    center, scale = read(centers, j, count, 0.0), read(scales, j, count, 0.0)
    slant, shift = read(slants, j, count, 0.0), read(shifts, j, count, 0.0)
    for row in range(rows):
        i = at + row * inner + j
        d = read(x, i, count, 0.0) - center
        write(dx, i, count, fma(read(dy, i, count, 0.0), scale, fma(d, slant, shift)))


@jit(fastmath=False)
def _backward_strip(shape, first, last, dy, x, weight, mean, rstd, training, dx, dweight, dbias, scratch, wide):
    rows, channels, length = shape
    gradient, source, target = flat(dy), flat(x), flat(dx)
    centers, scales, slants, shifts = scratch
    totals, totals_by_x = wide
    inner, at, width = channels * length, first * length, (last - first) * length
    for j in range(width):
        centers[j] = mean[first + j // length]
        totals[j] = totals_by_x[j] = 0.0
    for row in range(0, rows, BLOCK_ROWS):
        number = min(BLOCK_ROWS, rows - row)
        _column_sums(source, 0, width, gradient, source, at + row * inner, inner, number, centers, slants, shifts)
        for j in range(width):
            totals[j] += slants[j]
            totals_by_x[j] += shifts[j]
    n = np.float64(rows * length)
    for channel in range(first, last):
        j, total, product = (channel - first) * length, 0.0, 0.0
        for k in range(j, j + length):
            total += totals[k]
            product += totals_by_x[k]
        deviation = np.float64(rstd[channel])
        dweight[channel], dbias[channel] = deviation * product, total
        scale = deviation * weight[channel]
        for k in range(j, j + length):
            scales[k] = scale
            slants[k] = -scale * deviation * deviation * product / n
            shifts[k] = -scale * total / n
    if training:
        _slope_columns(
            source, 0, width, gradient, source, target, at, inner, rows, centers, scales, slants, shifts
        )
    else:  # mean and deviation are constants
        for j in range(width):
            centers[j] = shifts[j] = 0.0
        least = -np.inf
        _scale_columns(source, 0, width, gradient, target, at, inner, rows, centers, scales, shifts, least)


@jit(fastmath=False)
def _backward_strips(shape, share, first, last, dy, x, weight, mean, rstd, training, dx, dweight, dbias):
    width = share * shape[2]
    scratch = allocate(x, width), allocate(x, width), allocate(x, width), allocate(x, width)
    wide = allocate(np.float64, width), allocate(np.float64, width)
    for start in range(first, last, share):
        stop = min(start + share, last)
        _backward_strip(
            shape, start, stop, dy, x, weight, mean, rstd, training, dx, dweight, dbias, scratch, wide
        )
    for i in range(4):
        release(scratch[i])
    for i in range(2):
        release(wide[i])


@jit(parallel=True, fastmath=False)
def backward_columns(shape, dy, x, weight, mean, rstd, training, dx, dweight, dbias, threads):
    """Gradients of `forward_columns`."""
    channels = shape[1]
    share = _channels_of_strip(x, channels, shape[2])
    if threads == 1:
        _backward_strips(shape, share, 0, channels, dy, x, weight, mean, rstd, training, dx, dweight, dbias)
    else:
        before, home = enter(threads)
        for strip in prange((channels + share - 1) // share):
            arrive(home)
            first = np.int64(strip) * share
            last = min(first + share, channels)
            _backward_strips(shape, share, first, last, dy, x, weight, mean, rstd, training, dx, dweight, dbias)
        leave(before)
