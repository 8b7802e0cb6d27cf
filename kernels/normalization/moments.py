r"""Mean and sum of squared deviations, with each element read from memory once.

The textbook formula for the variance reads x twice, first for the mean; E[x^2] - E[x]^2 reads it once, but subtracts
two large numbers: with mean 1000 and deviation 1 it loses 6 of float32's 7 digits. Here x is taken in blocks that fit
L1. The first one is summed for its mean c; then, while it is in L1, d = x - c (which is exact, or nearly) is summed
together with its square:

    mean = c + sum d / n          square = sum d^2 - (sum d)^2 / n

For each later block c is the mean of what came before, so it is passed over once. If it lies far from that, then the
difference in the square is large, but so is the variance of the whole: relative to it, nothing is lost.

The sums of at most 64 terms a lane are in the array's dtype, everything else is in float64; a block where such a sum
overflows, or where a square that matters beside eps underflows, is taken again in float64. Blocks are merged by the
update of Chan, Golub and LeVeque [1]_, where n, m, s and n', m', s' are the counts, means and squares of two parts:

    mean = m + (m' - m) n' / (n + n')          square = s + s' + (m' - m)^2 n n' / (n + n')

.. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance", The American
   Statistician 37(3), 1983.
"""

import numpy as np

from kernels._jit import jit
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import flat, fma, lane_count, splat, sum_lanes
from kernels.simd.wide import load_wide, splat_wide, sum_registers, wide_count

BLOCK_VECTORS = 64  # wide vectors of a block: 16 KiB, half of L1, leave room for what the loops around it use
BLOCK_ROWS = 64  # rows of a block of columns: a wide vector of them is as much
LEAST_SQUARE = 1e-30  # mean square from which on what has underflowed in float32 does not count


@jit(inline=True, fastmath=False)
def merge(count, mean, square, more, more_mean, more_square):
    """Mean and square of two parts together. (The order of the factors keeps an empty part from making inf * 0.)"""
    delta = more_mean - mean
    share = more / (count + more)
    return mean + delta * share, square + more_square + (count * delta) * (delta * share)


# --- contiguous pieces -----------------------------------------------------------------------------------------------


@jit(inline=True)
def _block_sum(x, at, pieces, stride, length):
    """Sum of the block, in the array's dtype but for the lanes."""
    lanes, step = lane_count(x), wide_count(x)
    totals, rest = splat_wide(x, 0.0), splat(x, 0.0)
    for piece in range(pieces):
        start = at + piece * stride
        stop = start + length
        whole = start + length // step * step
        for i in range(start, whole, step):
            totals = totals + load_wide(x, i)
        for i in range(whole, stop, lanes):
            rest = rest + read(x, i, stop - i, 0.0)
    return sum_lanes(sum_registers(totals) + rest)


@jit(inline=True, fastmath=False)
def _block_deviations(x, at, pieces, stride, length, center):
    """Sums of x - center and of its square."""
    lanes, step = lane_count(x), wide_count(x)
    sums, squares = splat_wide(x, 0.0), splat_wide(x, 0.0)
    rest, rest_squares = splat(x, 0.0), splat(x, 0.0)
    for piece in range(pieces):
        start = at + piece * stride
        stop = start + length
        whole = start + length // step * step
        for i in range(start, whole, step):
            d = load_wide(x, i) - center
            sums, squares = sums + d, fma(d, d, squares)
        for i in range(whole, stop, lanes):
            d = read(x, i, stop - i, center) - center
            rest, rest_squares = rest + d, fma(d, d, rest_squares)
    return sum_lanes(sum_registers(sums) + rest), sum_lanes(sum_registers(squares) + rest_squares)


@jit(fastmath=False)
def least_square(eps):
    """The mean square below which a block is taken again: none, if eps outweighs it."""
    return LEAST_SQUARE if eps < LEAST_SQUARE else -np.inf


@jit(fastmath=False)
def _block_in_float64(x, at, pieces, stride, length):
    """Mean and square of a block in which the array's dtype overflows or underflows, or which has a NaN or infinity."""
    total, sums, squares, n = 0.0, 0.0, 0.0, pieces * length
    for piece in range(pieces):
        for i in range(at + piece * stride, at + piece * stride + length):
            total += np.float64(x[i])
    center = np.float64(x.dtype.type(total / n))  # of constants, it is the constant
    for piece in range(pieces):
        for i in range(at + piece * stride, at + piece * stride + length):
            d = np.float64(x[i]) - center
            sums, squares = sums + d, squares + d * d
    return center + sums / n, max(squares - sums / n * sums, 0.0)


@jit(fastmath=False)
def _block_moments(x, at, pieces, stride, length, center, share, least):
    """Mean and square of a block, by deviations from `center`; `share` is 1 / n, `least` as of `least_square`."""
    sums, squares = _block_deviations(x, at, pieces, stride, length, center)
    total = np.float64(sums)
    shift = total * share
    mean, square = np.float64(center) + shift, np.float64(squares) - shift * total
    if not (square * share >= least and square < np.inf):
        return _block_in_float64(x, at, pieces, stride, length)
    return mean, max(square, 0.0)


@jit(fastmath=False)
def moments(x, at, pieces, stride, length, eps):
    """Mean, and sum of squared deviations from it, of ``x[at + p * stride + i]`` for p < pieces and i < length.

    Where `eps` is to be added to the variance, what is far less need not be exact.
    """
    least = least_square(eps)
    block = BLOCK_VECTORS * wide_count(x)
    if pieces * length <= block:
        share = 1.0 / np.float64(pieces * length)
        center = x.dtype.type(_block_sum(x, at, pieces, stride, length) * share)
        return _block_moments(x, at, pieces, stride, length, center, share, least)
    together = max(1, block // length)  # short pieces of a block
    count, mean, square = 0.0, 0.0, 0.0
    for piece in range(0, pieces, together):
        number = min(together, pieces - piece)
        for i in range(0, length, block):
            start, width = at + piece * stride + i, min(block, length - i)
            more = np.float64(number * width)
            share = 1.0 / more
            if count == 0.0:  # (the sum may overflow: it is not the mean yet)
                center = x.dtype.type(_block_sum(x, start, number, stride, width) * share)
            else:
                center = x.dtype.type(mean)
            more_mean, more_square = _block_moments(x, start, number, stride, width, center, share, least)
            mean, square = merge(count, mean, square, more, more_mean, more_square)
            count += more
    return mean, square


# --- columns ---------------------------------------------------------------------------------------------------------


@over_range
@jit(inline=True, fastmath=False)
def _column_centers(j, count, x, at, inner, rows, centers):
    total = read(x, at + j, count, 0.0)
    for row in range(1, rows):
        total = total + read(x, at + row * inner + j, count, 0.0)
    write(centers, j, count, total * (1.0 / rows))


@over_range
@jit(inline=True, fastmath=False)
def _column_deviations(j, count, x, at, inner, rows, centers, sums, squares):
    center = read(centers, j, count, 0.0)
    total = read(x, at + j, count, 0.0) - center
    square = total * total
    for row in range(1, rows):
        d = read(x, at + row * inner + j, count, 0.0) - center
        total, square = total + d, fma(d, d, square)
    write(sums, j, count, total)
    write(squares, j, count, square)


@jit(fastmath=False)
def column_moments(x, at, inner, rows, eps, means, squares):
    """Means and squares of the `inner` columns of `rows` rows, which begin at x[at]; eps as of `moments`."""
    source, block = flat(x), np.empty((3, inner), x.dtype)
    centers, sums, deviations, least = flat(block[0]), flat(block[1]), flat(block[2]), least_square(eps)
    for row in range(0, rows, BLOCK_ROWS):
        number, start = min(BLOCK_ROWS, rows - row), at + row * inner
        if row == 0:
            _column_centers(source, 0, inner, source, start, inner, number, centers)
        _column_deviations(source, 0, inner, source, start, inner, number, centers, sums, deviations)
        share, before = 1.0 / number, np.float64(row)
        for j in range(inner):
            shift = np.float64(sums[j]) * share
            mean = np.float64(centers[j]) + shift
            square = np.float64(deviations[j]) - shift * np.float64(sums[j])
            if not (square * share >= least and square < np.inf):
                mean, square = _block_in_float64(source, start + j, number, inner, 1)
            if square < 0.0:  # rounding; a NaN stays
                square = 0.0
            if row:
                mean, square = merge(before, means[j], squares[j], np.float64(number), mean, square)
            means[j], squares[j], centers[j] = mean, square, mean
