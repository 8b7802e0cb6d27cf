r"""Mean and sum of squared deviations, with each element read from memory once.

The textbook formula for the variance reads x twice, first for the mean; E[x^2] - E[x]^2 reads it once, but subtracts
two large numbers: with mean 1000 and deviation 1 it loses 6 of float32's 7 digits. Here x is taken in blocks that fit
L1. The first one is summed for its mean c; then, while it is in L1, d = x - c (which is exact, or nearly) is summed
together with its square:

    mean = c + sum d / n          square = sum d^2 - (sum d)^2 / n

For each later block c is the mean of what came before, so it is passed over once. If it lies far from that, then the
difference in the square is large, but so is the variance of the whole: relative to it, nothing is lost.

The sums of at most 64 terms a lane are in the array's dtype, everything else is in float64; a block where such a sum
overflows, or where a square that matters beside eps underflows, is computed again in float64. Blocks are merged by the
update of Chan, Golub and LeVeque [1]_, where n, m, s and n', m', s' are the counts, means and squares of two blocks:

    mean = m + (m' - m) n' / (n + n')          square = s + s' + (m' - m)^2 n n' / (n + n')

.. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance", The American
   Statistician 37(3), 1983.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import allocate, fma, lane_count, release, splat, sum_lanes
from kernels.simd.wide import load_wide, splat_wide, sum_registers, wide_count

BLOCK_VECTORS = 64  # wide vectors of a block: 16 KiB, half of L1, leave room for what the loops around it use
BLOCK_ROWS = 64  # rows of a block of columns: a wide vector of them is as much
MIN_SQUARE = 1e-30  # mean square from which on what has underflowed in float32 is negligible
ONE_COLUMN = np.int64(1)  # a plain value: Numba compiles a callee again for each literal argument


class Moments(NamedTuple):
    """Of each column: mean and sum of squared deviations."""

    mean: np.ndarray
    square: np.ndarray


@jit(inline=True, fastmath=False)
def merge(count, mean, square, more, more_mean, more_square):
    """Mean and square of two blocks together. (The order of the factors keeps an empty one from making inf * 0.)"""
    delta = more_mean - mean
    fraction = more / (count + more)
    return mean + delta * fraction, square + more_square + (count * delta) * (delta * fraction)


@jit(fastmath=False)
def min_square(eps):
    """The mean square below which a block is computed again in float64: none, if eps outweighs it."""
    return MIN_SQUARE if eps < MIN_SQUARE else -np.inf


# --- of a matrix with contiguous rows --------------------------------------------------------------------------------


@jit(inline=True)
def _block_sum(X, rows, n):
    """Sum of the block, in the array's dtype but for the lanes."""
    lanes, step = lane_count(X), wide_count(X)
    totals, rest = splat_wide(X, 0.0), splat(X, 0.0)
    whole = n // step * step
    for row in range(rows):
        x = X.row(row)
        for i in range(0, whole, step):
            totals = totals + load_wide(x, i)
        for i in range(whole, n, lanes):
            rest = rest + read(x, i, n - i, 0.0)
    return sum_lanes(sum_registers(totals) + rest)


@jit(inline=True, fastmath=False)
def _block_deviations(X, rows, n, center):
    """Sums of x - center and of its square."""
    lanes, step = lane_count(X), wide_count(X)
    sums, squares = splat_wide(X, 0.0), splat_wide(X, 0.0)
    rest, rest_squares = splat(X, 0.0), splat(X, 0.0)
    whole = n // step * step
    for row in range(rows):
        x = X.row(row)
        for i in range(0, whole, step):
            d = load_wide(x, i) - center
            sums, squares = sums + d, fma(d, d, squares)
        for i in range(whole, n, lanes):
            d = read(x, i, n - i, center) - center
            rest, rest_squares = rest + d, fma(d, d, rest_squares)
    return sum_lanes(sum_registers(sums) + rest), sum_lanes(sum_registers(squares) + rest_squares)


@jit(fastmath=False)
def _block_in_float64(X, rows, n):
    """Mean and square of a block in which the array's dtype overflows or underflows, or which has a NaN or infinity."""
    total, sums, squares, count = 0.0, 0.0, 0.0, rows * n
    for row in range(rows):
        for i in range(n):
            total += np.float64(X[row, i])
    center = np.float64(X.dtype.type(total / count))  # of equal elements, it is their value
    for row in range(rows):
        for i in range(n):
            d = np.float64(X[row, i]) - center
            sums, squares = sums + d, squares + d * d
    return center + sums / count, max(squares - sums / count * sums, 0.0)


@jit(fastmath=False)
def _block_moments(X, rows, n, center, inverse_count, smallest):
    """Mean and square of a block, by deviations from `center`; `inverse_count` is 1 / (rows * n), `smallest` the
    `min_square`."""
    sums, squares = _block_deviations(X, rows, n, center)
    total = np.float64(sums)
    shift = total * inverse_count
    mean, square = np.float64(center) + shift, np.float64(squares) - shift * total
    if not (square * inverse_count >= smallest and square < np.inf):
        return _block_in_float64(X, rows, n)
    return mean, max(square, 0.0)


@jit(fastmath=False)
def moments(X, rows, n, eps):
    """Mean, and sum of squared deviations from it, of the `rows` x n matrix X, a view with contiguous rows.

    `eps` is what will be added to the variance: what is far less need not be exact.
    """
    smallest = min_square(eps)
    block = BLOCK_VECTORS * wide_count(X)
    if rows * n <= block:
        inverse_count = 1.0 / np.float64(rows * n)
        center = X.dtype.type(_block_sum(X, rows, n) * inverse_count)
        return _block_moments(X, rows, n, center, inverse_count, smallest)
    together = max(1, block // n)  # rows of a block, where they are short
    count, mean, square = 0.0, 0.0, 0.0
    for row in range(0, rows, together):
        height = min(together, rows - row)
        for i in range(0, n, block):
            B, width = X.at(row, i), min(block, n - i)
            more = np.float64(height * width)
            inverse_count = 1.0 / more
            center = X.dtype.type(mean)
            if count == 0.0:  # (the sum may overflow: it is not the mean yet)
                center = X.dtype.type(_block_sum(B, height, width) * inverse_count)
            more_mean, more_square = _block_moments(B, height, width, center, inverse_count, smallest)
            mean, square = merge(count, mean, square, more, more_mean, more_square)
            count += more
    return mean, square


# --- of columns ------------------------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _column_mean(j, count, X, rows, means):
    total = read(X, j, count, 0.0)
    for row in range(1, rows):
        total = total + read(X.row(row), j, count, 0.0)
    write(means, j, count, total * (1.0 / rows))


@jit(inline=True, fastmath=False)
def _column_deviations(j, count, X, rows, centers, sums, squares):
    center = read(centers, j, count, 0.0)
    total = read(X, j, count, 0.0) - center
    square = total * total
    for row in range(1, rows):
        d = read(X.row(row), j, count, 0.0) - center
        total, square = total + d, fma(d, d, square)
    write(sums, j, count, total)
    write(squares, j, count, square)


_average_columns, _sum_deviations = over_range(_column_mean), over_range(_column_deviations)


@jit(fastmath=False)
def column_moments(X, rows, n, eps, found):
    """The `Moments` of the columns of the `rows` x n matrix X, a view with contiguous rows; eps as of `moments`."""
    means, squares, smallest = found.mean, found.square, min_square(eps)
    centers, sums, deviations = allocate(X, n), allocate(X, n), allocate(X, n)
    for row in range(0, rows, BLOCK_ROWS):
        B, height = X.row(row), min(BLOCK_ROWS, rows - row)
        if row == 0:
            _average_columns(X, FIRST, n, B, height, centers)
        _sum_deviations(X, FIRST, n, B, height, centers, sums, deviations)
        inverse_count, before = 1.0 / height, np.float64(row)
        for j in range(n):
            shift = np.float64(sums[j]) * inverse_count
            mean = np.float64(centers[j]) + shift
            square = np.float64(deviations[j]) - shift * np.float64(sums[j])
            if not (square * inverse_count >= smallest and square < np.inf):
                mean, square = _block_in_float64(B.column(j), height, ONE_COLUMN)
            if square < 0.0:  # rounding; a NaN stays
                square = 0.0
            if row:
                mean, square = merge(before, means[j], squares[j], np.float64(height), mean, square)
            means[j], squares[j], centers[j] = mean, square, mean
    release(centers)
    release(sums)
    release(deviations)
