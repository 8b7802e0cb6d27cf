r"""Peaks and totals of slices: what softmax, logsumexp and cross-entropy share.

    m = max_j x_j          s = sum_j exp(x_j - m)

Rows take one number each for peak and total; columns are processed side by side, a vector of them at a time.
"""

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import jit
from kernels._plain import only_compiled
from kernels.reduction.blocks import rows_of
from kernels.reduction.ranges import CHAIN, over_range, read, sum_of, write
from kernels.simd import fma, lane_count, log, select, shifted, splat, store, sum_lanes
from kernels.simd.bits import power_of_two
from kernels.simd.emit import Vector
from kernels.simd.math import EXP_32, EXP_64, LN2_HIGH_32, LN2_HIGH_64, LN2_LOW_32, LN2_LOW_64, LOG2_E, polynomial
from kernels.simd.vector import round_even
from kernels.simd.wide import larger_lane, larger_registers, load_wide, splat_wide, sum_registers, wide_count

INFINITY = float("inf")
ROWS_IN_DTYPE = 64  # of columns: so many exponentials are summed in the array's dtype before they enter float64 totals


# --- the exponential of numbers that are not positive ----------------------------------------------------------------


def decay(x):
    """exp(x) for lanes that are at most about 0, in two thirds of the time of `simd.exp`: nothing can overflow.

    Results below the smallest normal number are 0; exp(-inf) is 0 and NaN stays NaN. Maximum error 1 ULP.
    """
    raise only_compiled("decay")


def _make_decay(lowest, ln2_high, ln2_low, coefficients):
    def decay_lanes(x):
        x = select(x < lowest, lowest, x)  # there 2**n has the exponent bits of 0, and is 0
        n = round_even(x * LOG2_E)
        r = fma(n, -ln2_low, fma(n, -ln2_high, x))
        return (fma(polynomial(r, coefficients) * r, r, r) + 1.0) * power_of_two(n)

    return decay_lanes


_decay_32 = _make_decay(-88.0, LN2_HIGH_32, LN2_LOW_32, EXP_32)
_decay_64 = _make_decay(-709.0, LN2_HIGH_64, LN2_LOW_64, EXP_64)


@overload(decay, jit_options={"fastmath": False, "forceinline": True})
def _choose_decay(x):
    if isinstance(x, Vector):
        return _decay_32 if x.dtype == types.float32 else _decay_64


# --- rows ------------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _larger(a, b):
    """The larger of each lane; a NaN in b is skipped (the total will be NaN)."""
    return select(b > a, b, a)


@jit(inline=True)
def peak_of(x, start, stop):
    """The largest number in ``x[start:stop]``."""
    lanes, step = lane_count(x), wide_count(x)
    whole = start + (stop - start) // step * step
    peak = splat(x, -INFINITY)
    if whole > start:
        peaks = splat_wide(x, -INFINITY)
        for i in range(start, whole, step):
            peaks = _larger(peaks, load_wide(x, i))
        peak = larger_registers(peaks)
    for i in range(whole, stop, lanes):
        peak = _larger(peak, read(x, i, stop - i, -INFINITY))
    return larger_lane(peak)


@jit(inline=True)
def _shifted_decay(x, z, peak):
    return decay(x - peak)


decay_total = sum_of(_shifted_decay, fill=-INFINITY)


@jit(inline=True)
def _store_chain(x, y, start, stop, peak):
    """``y = exp(x - peak)`` in a range of at most CHAIN elements, and its sum."""
    lanes, step = lane_count(x), wide_count(x)
    whole = start + (stop - start) // step * step
    totals = splat_wide(x, 0.0)
    for i in range(start, whole, step):
        e = decay(load_wide(x, i) - peak)
        store(y, i, e)
        totals = totals + e
    total = sum_registers(totals)
    for i in range(whole, stop, lanes):
        e = decay(read(x, i, stop - i, -INFINITY) - peak)
        write(y, i, stop - i, e)
        total = total + e
    return sum_lanes(total)


@jit(inline=True)
def store_decay(x, y, start, stop, peak):
    """``y[start:stop] = exp(x[start:stop] - peak)``, and its float64 sum."""
    total = 0.0
    for i in range(start, stop, CHAIN):
        total += _store_chain(x, y, i, min(i + CHAIN, stop), peak)
    return total


@jit(inline=True)
def _scale_at(i, count, y, factor):
    write(y, i, count, read(y, i, count, 0.0) * factor)


scale = over_range(_scale_at)


# --- columns: peaks, totals and factors are vectors, one element a column --------------------------------------------


@jit(inline=True)
def _raise_peaks_at(j, count, row, peaks):
    write(peaks, j, count, _larger(read(peaks, j, count, 0.0), read(row, j, count, 0.0)))


@jit(inline=True)
def _add_decays_at(j, count, row, to, peaks, totals):
    e = decay(read(row, j, count, 0.0) - read(peaks, j, count, 0.0))
    write(totals, j, count, read(totals, j, count, 0.0) + e)


@jit(inline=True)
def _add_and_store_decays_at(j, count, row, to, peaks, totals):
    e = decay(read(row, j, count, 0.0) - read(peaks, j, count, 0.0))
    write(to, j, count, e)
    write(totals, j, count, read(totals, j, count, 0.0) + e)


@jit(inline=True)
def _scale_columns_at(j, count, row, factors):
    write(row, j, count, read(row, j, count, 0.0) * read(factors, j, count, 0.0))


_raise_peaks = over_range(_raise_peaks_at)
scale_columns = over_range(_scale_columns_at)


@jit(inline=True)
def column_peaks(X, n, width, peaks):
    """The largest of the n numbers of each of `width` columns."""
    for j in range(width):
        peaks[j] = -INFINITY
    for i in range(n):
        _raise_peaks(X, 0, width, X.row(i), peaks)


def _column_totals_by(add):
    """Jitted ``column_totals(X, Y, n, width, scratch)``: the sums of exp(x - peak) of `width` columns, row by row with
    `add`, which may store the exponentials in Y."""

    @jit(inline=True)
    def column_totals(X, Y, n, width, scratch):
        peaks, totals, wide_totals = scratch
        for j in range(width):
            totals[j] = 0.0
            wide_totals[j] = 0.0
        for first in range(0, n, ROWS_IN_DTYPE):
            for i in range(first, min(first + ROWS_IN_DTYPE, n)):
                add(X, 0, width, X.row(i), Y.row(i), peaks, totals)
            for j in range(width):
                wide_totals[j] += totals[j]
                totals[j] = 0.0
        for j in range(width):
            totals[j] = wide_totals[j]

    return column_totals


_column_totals = _column_totals_by(over_range(_add_decays_at))
store_column_decays = _column_totals_by(over_range(_add_and_store_decays_at))


# --- blocks ----------------------------------------------------------------------------------------------------------


@jit(inline=True)
def statistics(block, scratch, x):
    """Peaks and totals of the slices of a block, into the scratch memory."""
    X, count, n = rows_of(block, x), block.last - block.first, block.n
    if block.inner > 1:
        column_peaks(X, n, count, scratch.peaks)
        _column_totals(X, X, n, count, scratch)
        return
    for row in range(count):
        scratch.peaks[row] = peak_of(X.row(row), 0, n)
    for row in range(count):
        scratch.totals[row] = decay_total(X.row(row), X.row(row), scratch.peaks[row], 0, n)


@jit(inline=True)
def _logarithms_at(j, count, totals):
    write(totals, j, count, log(read(totals, j, count, 1.0)))


logarithms = over_range(_logarithms_at)


@jit(inline=True)
def scaled_softmax(block, scratch, x, lse, factors, dx):
    """``dx = softmax(x) factor``, with one factor a slice.

    `lse` only prevents overflow: the exponentials are divided by their own sum, because a rounded lse would make all
    wrong by as much as its last digit is worth. Where that sum is not finite, they are not divided.
    """
    X, DX, count, n = rows_of(block, x), rows_of(block, dx), block.last - block.first, block.n
    lse, factors = shifted(lse, block.first), shifted(factors, block.first)
    if block.inner == 1:
        for row in range(count):
            total = store_decay(X.row(row), DX.row(row), 0, n, lse[row])
            factor = factors[row] / (total if np.isfinite(total) else 1.0)
            scale(DX, 0, n, DX.row(row), dx.dtype.type(factor))
        return
    for j in range(count):
        scratch.peaks[j] = lse[j]
    store_column_decays(X, DX, n, count, scratch)
    for j in range(count):
        total = scratch.totals[j]
        scratch.totals[j] = factors[j] / total if np.isfinite(total) else factors[j]
    for i in range(n):
        scale_columns(DX, 0, count, DX.row(i), scratch.totals)
