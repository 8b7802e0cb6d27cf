r"""Batch norm where vectors run over the channels: (N, C), and (N, C, L) with an L shorter than a vector.

Seen as N rows of C L columns, neighbouring columns are contiguous. Rows are shared out in parts, each of which finds
the moments of all its columns; those of the parts, and of the L columns of a channel, are merged in a fixed order; then
the rows are scaled, with a center, a scale and a shift for each column.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST, parallel_for
from kernels.normalization.affine import NOTHING, TASK, folded, streamable, update
from kernels.normalization.moments import BLOCK_ROWS, column_moments, merge
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import flat, fma, select
from kernels.simd.stream import streaming_done

MOST_PARTS = 32  # each has moments of its own
SUM_ROWS = 16  # rows whose gradients are summed in the array's dtype before they enter float64 totals


@jit(inline=True)
def _rows_of_part(rows, inner):
    """At least one block, and about a task of elements."""
    grain = max(TASK // inner, (rows + MOST_PARTS - 1) // MOST_PARTS, 1)
    return (grain + BLOCK_ROWS - 1) // BLOCK_ROWS * BLOCK_ROWS


@streamable
def _scale_row(put):
    """``y = max((x - center) * scale + shift, least)``; the coefficients begin `behind` elements before y does."""

    @jit(inline=True, fastmath=False)
    def body(i, count, y, x, centers, scales, shifts, behind, least):
        j = i - behind
        d = read(x, i, count, 0.0) - read(centers, j, count, 0.0)
        z = fma(d, read(scales, j, count, 0.0), read(shifts, j, count, 0.0))
        put(y, i, count, select(z < least, least, z))

    return body


@jit(fastmath=False)
def _scale_rows(first, last, x, centers, scales, shifts, least, past, y):
    source, target, inner = flat(x), flat(y), centers.size
    center, scale, shift = flat(centers), flat(scales), flat(shifts)
    for row in range(first, last):
        start = row * inner
        _scale_row(target, start, start + inner, past, source, center, scale, shift, start, least)
    if past:
        streaming_done()


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(fastmath=False)
def _coefficients(shape, grain, means, squares, weight, bias, eps, mean, rstd, running, momentum, coefficients):
    """Merge the moments of the parts and columns of each channel, and make its coefficients of them."""
    rows, channels, length = shape
    for channel in range(channels):
        average, square, n = 0.0, 0.0, 0.0
        for part in range(len(means)):
            more = np.float64(min(grain, rows - part * grain))
            for j in range(channel * length, (channel + 1) * length):
                average, square = merge(n, average, square, more, means[part, j], squares[part, j])
                n += more
        deviation = 1.0 / np.sqrt(square / n + eps)
        mean[channel], rstd[channel] = average, deviation
        if running[0].size:
            update(running[0], running[1], channel, average, square, n, momentum)
        center, scale, shift = folded(average, deviation, weight[channel], bias[channel], mean)
        for j in range(channel * length, (channel + 1) * length):
            coefficients[0, j], coefficients[1, j], coefficients[2, j] = center, scale, shift


@jit(fastmath=False)
def _moments_of_parts(first, last, grain, rows, inner, x, eps, means, squares):
    for part in range(first, last):
        row = part * grain
        column_moments(x, row * inner, inner, min(grain, rows - row), eps, means[part], squares[part])


@jit(fastmath=False)
def forward_columns(shape, x, weight, bias, eps, mean, rstd, running, momentum, least, past, y, threads):
    """`pieces.forward_pieces` for an x of shape (rows, channels, length), by columns."""
    rows, inner = shape[0], shape[1] * shape[2]
    grain = _rows_of_part(rows, inner)
    parts = (rows + grain - 1) // grain
    means, squares, coefficients = np.empty((parts, inner)), np.empty((parts, inner)), np.empty((3, inner), x.dtype)
    parallel_for(_moments_of_parts, parts, 1, threads, (grain, rows, inner, x, eps, means, squares))
    _coefficients(shape, grain, means, squares, weight, bias, eps, mean, rstd, running, momentum, coefficients)
    arguments = x, coefficients[0], coefficients[1], coefficients[2], least, past, y
    parallel_for(_scale_rows, rows, grain, threads, arguments)


# --- backward --------------------------------------------------------------------------------------------------------


@over_range
@jit(inline=True, fastmath=False)
def _column_sums(j, count, dy, x, at, inner, rows, centers, deviations, sums, products):
    center, deviation = read(centers, j, count, 0.0), read(deviations, j, count, 0.0)
    total = read(dy, at + j, count, 0.0)
    product = total * ((read(x, at + j, count, 0.0) - center) * deviation)
    for row in range(1, rows):
        i = at + row * inner + j
        dz = read(dy, i, count, 0.0)
        total, product = total + dz, fma(dz, (read(x, i, count, 0.0) - center) * deviation, product)
    write(sums, j, count, total)
    write(products, j, count, product)


@jit(fastmath=False)
def _sum_rows(dy, x, at, rows, centers, deviations, sums, products):
    """Sums of dy and of dy (x - center) deviation for each column of some rows: of a size with dy, whatever x is."""
    gradient, source, center, deviation, inner = flat(dy), flat(x), flat(centers), flat(deviations), centers.size
    block = np.empty((2, inner), x.dtype)
    block_sums, block_products = flat(block[0]), flat(block[1])
    sums[:] = 0.0
    products[:] = 0.0
    for row in range(0, rows, SUM_ROWS):
        number, start = min(SUM_ROWS, rows - row), at + row * inner
        arguments = gradient, source, start, inner, number, center, deviation, block_sums, block_products
        _column_sums(source, FIRST, inner, *arguments)
        for j in range(inner):
            sums[j] += block[0, j]
            products[j] += block[1, j]
    for j in range(inner):
        if not np.isfinite(sums[j] + products[j]):  # perhaps only in the dtype of the blocks
            sums[j] = products[j] = 0.0
            for i in range(at + j, at + rows * inner, inner):
                sums[j] += np.float64(dy[i])
                products[j] += np.float64(dy[i]) * ((np.float64(x[i]) - centers[j]) * deviations[j])


@streamable
def _slope_row(put):
    @jit(inline=True, fastmath=False)
    def body(i, count, dx, dy, x, centers, deviations, scales, slants, shifts, behind):
        j = i - behind
        normal = (read(x, i, count, 0.0) - read(centers, j, count, 0.0)) * read(deviations, j, count, 0.0)
        along = fma(normal, read(slants, j, count, 0.0), read(shifts, j, count, 0.0))
        put(dx, i, count, fma(read(dy, i, count, 0.0), read(scales, j, count, 0.0), along))

    return body


@jit(fastmath=False)
def _slope_rows(first, last, dy, x, coefficients, past, dx):
    gradient, source, target, inner = flat(dy), flat(x), flat(dx), coefficients.shape[1]
    centers, scales = flat(coefficients[0]), flat(coefficients[1])
    slants, shifts, deviations = flat(coefficients[2]), flat(coefficients[3]), flat(coefficients[4])
    for row in range(first, last):
        start = row * inner
        arguments = gradient, source, centers, deviations, scales, slants, shifts, start
        _slope_row(target, start, start + inner, past, *arguments)
    if past:
        streaming_done()


@jit(fastmath=False)
def _slope_coefficients(shape, sums, products, weight, rstd, dweight, dbias, coefficients):
    rows, channels, length = shape
    n = np.float64(rows * length)
    for channel in range(channels):
        total = product = 0.0
        for part in range(len(sums)):
            for j in range(channel * length, (channel + 1) * length):
                total += sums[part, j]
                product += products[part, j]
        deviation = np.float64(rstd[channel])
        dweight[channel], dbias[channel] = product, total
        scale = deviation * weight[channel]
        for j in range(channel * length, (channel + 1) * length):
            coefficients[1, j], coefficients[3, j] = scale, -scale * total / n
            coefficients[2, j] = -scale * product / n


@jit(fastmath=False)
def _slopes(first, last, dy, x, coefficients, training, past, dx):
    if training:
        _slope_rows(first, last, dy, x, coefficients, past, dx)
    else:  # mean and deviation are constants
        zeros = np.zeros(coefficients.shape[1], x.dtype)
        _scale_rows(first, last, dy, zeros, coefficients[1], zeros, NOTHING, past, dx)


@jit(fastmath=False)
def _sums_of_parts(first, last, grain, rows, inner, dy, x, centers, deviations, sums, products):
    for part in range(first, last):
        row = part * grain
        _sum_rows(dy, x, row * inner, min(grain, rows - row), centers, deviations, sums[part], products[part])


@jit(fastmath=False)
def backward_columns(shape, dy, x, weight, mean, rstd, training, past, dx, dweight, dbias, threads):
    """Gradients of `forward_columns`."""
    rows, inner = shape[0], shape[1] * shape[2]
    grain = _rows_of_part(rows, inner)
    parts = (rows + grain - 1) // grain
    sums, products, coefficients = np.empty((parts, inner)), np.empty((parts, inner)), np.empty((5, inner), x.dtype)
    centers, deviations = coefficients[0], coefficients[4]
    for j in range(inner):
        centers[j], deviations[j] = mean[j // shape[2]], rstd[j // shape[2]]
    parallel_for(_sums_of_parts, parts, 1, threads, (grain, rows, inner, dy, x, centers, deviations, sums, products))
    _slope_coefficients(shape, sums, products, weight, rstd, dweight, dbias, coefficients)
    parallel_for(_slopes, rows, grain, threads, (dy, x, coefficients, training, past, dx))
