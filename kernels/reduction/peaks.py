r"""Peaks and totals: what softmax, logsumexp and cross-entropy share.

    m = max_j x_j          s = sum_j exp(x_j - m)

Work is cut into units, each a range of neighbouring slices: with inner = 1 a block of rows, else a strip of columns.

Adding up the lanes of one vector takes longer than the rest of a short row, and every step of it waits for the one
before. So a block of rows is passed over together, once for the peaks and once for the totals: the chains of different
rows run side by side, and the block is small enough to be still in L1. A long row is a block of its own.
"""

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._plain import only_compiled
from kernels.reduction.ranges import SPAN, over_range, read, sum_of, write
from kernels.simd import allocate, flat_each, fma, lane_count, release, select, splat, store, sum_lanes
from kernels.simd.bits import power_of_two
from kernels.simd.emit import Vector
from kernels.simd.math import EXP_32, EXP_64, LN2_HIGH_32, LN2_HIGH_64, LN2_LOW_32, LN2_LOW_64, LOG2_E, polynomial
from kernels.simd.stream import streaming_done
from kernels.simd.vector import round_even
from kernels.simd.wide import larger_lane, larger_registers, load_wide, splat_wide, sum_registers, wide_count

INFINITY = float("inf")
BLOCK_ELEMENTS = 1024  # of a block of rows: 4 or 8 KiB of x and as much of y stay in L1
MOST_ROWS = 64  # of a block
STRIP = 256  # columns side by side: their peaks and totals stay in L1
COLUMN_BLOCK = 64  # rows whose exponentials are summed in the array's dtype before they enter float64 totals
TASK = 16 * 1024  # elements of a task, some 5 us of work: handing it out costs nothing beside that


# --- the exponential of what is not positive -------------------------------------------------------------------------


def decay(x):
    """exp(x) of lanes that are at most about 0, in two thirds of the time of `simd.exp`: nothing can overflow.

    Results below the smallest normal number are 0, and exp(-inf) is. NaN stays NaN. Maximum error 1 ULP.
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
    """The larger of each lane; a NaN in b is passed over (it turns up again in the total)."""
    return select(b > a, b, a)


@jit(inline=True)
def peak_of(x, start, stop):
    """The largest number in x[start:stop]."""
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
def _store_span(x, y, start, stop, peak):
    """``y = exp(x - peak)`` in a range of at most SPAN elements, and its sum."""
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
    for i in range(start, stop, SPAN):
        total += _store_span(x, y, i, min(i + SPAN, stop), peak)
    return total


# --- columns ---------------------------------------------------------------------------------------------------------


@over_range
@jit(inline=True)
def _raise_peaks(j, count, x, at, peaks, to):
    write(peaks, to + j, count, _larger(read(peaks, to + j, count, 0.0), read(x, at + j, count, 0.0)))


@over_range
@jit(inline=True)
def _add_decay(j, count, x, at, peaks, totals, to, y):
    e = decay(read(x, at + j, count, 0.0) - read(peaks, to + j, count, 0.0))
    write(totals, to + j, count, read(totals, to + j, count, 0.0) + e)


@jit(inline=True)
def column_peaks(x, at, n, inner, width, peaks, to):
    """The largest number of each of `width` columns, into ``peaks[to:]``."""
    for j in range(width):
        peaks[to + j] = -INFINITY
    for i in range(n):
        _raise_peaks(x, 0, width, x, at + i * inner, peaks, to)


def column_totals_by(add):
    """Jitted loops that put the sums of exp(x - peak) of `width` columns into ``totals[to:]``, row by row by `add`.

    `add` may store the exponentials in y.
    """

    @jit(inline=True)
    def column_totals(x, at, n, inner, width, peaks, totals, to, wide_totals, y):
        for j in range(width):
            totals[to + j] = 0.0
            wide_totals[j] = 0.0
        for first in range(0, n, COLUMN_BLOCK):
            for i in range(first, min(first + COLUMN_BLOCK, n)):
                add(x, 0, width, x, at + i * inner, peaks, totals, to, y)
            for j in range(width):
                wide_totals[j] += totals[to + j]
                totals[to + j] = 0.0
        for j in range(width):
            totals[to + j] = wide_totals[j]

    return column_totals


column_totals = column_totals_by(_add_decay)


# --- units and tasks -------------------------------------------------------------------------------------------------


@jit(inline=True)
def _rows_of_block(n):
    return max(1, min(MOST_ROWS, BLOCK_ELEMENTS // n))


@jit
def unit_count(outer, n, inner):
    """Into how many units the work is cut."""
    if inner == 1:
        block = _rows_of_block(n)
        return (outer + block - 1) // block
    return outer * ((inner + STRIP - 1) // STRIP)


@jit
def unit_slices(unit, outer, n, inner):
    """First slice of a unit and the first one after it; slice (o, j) has the number o * inner + j."""
    if inner == 1:
        block = _rows_of_block(n)
        return unit * block, min((unit + 1) * block, outer)
    strips = (inner + STRIP - 1) // STRIP
    first = unit // strips * inner + unit % strips * STRIP
    return first, min(first + STRIP, (unit // strips + 1) * inner)


@jit
def units_of_task(n, inner):
    """How many units a task has."""
    return max(1, TASK // (n * (_rows_of_block(n) if inner == 1 else min(inner, STRIP))))


def over_units(work):
    """Jitted ``loops(outer, n, inner, threads, *arrays)`` that calls ``work(n, inner, first, last, scratch, *arrays)``
    for the slices ``first <= slice < last`` of each unit.

    work gets the arrays as `Memory`; `x`, the first, gives the dtype. `scratch` is room for three times STRIP elements,
    the third in float64, which work may use as it likes.
    """

    @jit
    def units(start, stop, outer, n, inner, arrays):
        x, memory = arrays[0], flat_each(arrays)
        scratch = allocate(x, STRIP), allocate(x, STRIP), allocate(np.float64, STRIP)
        for unit in range(start, stop):
            first, last = unit_slices(unit, outer, n, inner)
            work(n, inner, first, last, scratch, *memory)
        streaming_done()
        release(scratch[0])
        release(scratch[1])
        release(scratch[2])

    @jit
    def loops(outer, n, inner, threads, *arrays):
        arguments = outer, n, inner, arrays
        parallel_for(units, unit_count(outer, n, inner), units_of_task(n, inner), threads, arguments)

    return loops


@jit(inline=True)
def slice_at(slice, n, inner):
    """Where the first element of a slice lies."""
    return slice // inner * n * inner + slice % inner


@jit
def statistics(x, n, inner, first, last, peaks, totals, to, wide_totals):
    """Peaks and totals of the slices of a unit, into ``peaks[to:]`` and ``totals[to:]``."""
    count = last - first
    if inner > 1:
        at = slice_at(first, n, inner)
        column_peaks(x, at, n, inner, count, peaks, to)
        column_totals(x, at, n, inner, count, peaks, totals, to, wide_totals, x)
        return
    for row in range(count):
        peaks[to + row] = peak_of(x, (first + row) * n, (first + row + 1) * n)
    for row in range(count):
        start = (first + row) * n
        totals[to + row] = decay_total(x, x, peaks[to + row], start, start + n)
