"""Maxima and their indices: of a range of a row, and of columns side by side.

A row takes two passes: for the largest value of each block, then, while the block is still in L1, for the first element
equal to it. Columns take one: each has its maximum so far and the number of the row that holds it in a lane.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels.reduction.ranges import read, write
from kernels.simd import any_lanes, flat, lane_count, load, max_lanes, maximum, select, splat, store
from kernels.simd.wide import load_wide, wide_count

INFINITY = float("inf")
BLOCK = 4096  # elements searched twice: 16 or 32 KiB, they stay in L1
TASK = 16 * BLOCK  # elements of a task
COLUMNS = 256  # of a block: their maxima and row numbers stay in L1
GROUP = 8  # rows compared with a vector of maxima while it is in a register
COUNTED_ROWS = 4096  # row numbers are counted in the array's dtype, where a float32 is exact up to 2**24


class Maxima(NamedTuple):
    """Where maxima of columns and the numbers of their rows are stored."""

    values: object
    indices: object


@jit(inline=True)
def exceeds(a, b):
    """Whether a displaces b as the maximum so far."""
    return b == b and not a <= b


# --- rows ------------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _largest(x, start, stop):
    """The largest of x[start:stop]."""
    step = wide_count(x)
    whole = start + (stop - start) // step * step
    best = -INFINITY
    if whole > start:
        wide = load_wide(x, start)
        for i in range(start + step, whole, step):
            wide = maximum(wide, load_wide(x, i))
        best = max_lanes(wide)
    if whole < stop:
        narrow = splat(x, best)
        for i in range(whole, stop, lane_count(x)):
            narrow = maximum(narrow, read(x, i, stop - i, -INFINITY))
        best = max_lanes(narrow)
    return best


@jit(inline=True)
def _first(x, start, stop, value):
    """Index of the first element of x[start:stop] that equals `value`; there must be one."""
    lanes = lane_count(x)
    i = start
    if value != value:
        while x[i] == x[i]:
            i += 1
        return i
    while i + lanes <= stop and not any_lanes(load(x, i) == value):
        i += lanes
    while x[i] != value:
        i += 1
    return i


@jit(inline=True)
def best_of_range(x, start, stop):
    """Value and index of the first maximum of x[start:stop]."""
    best, block = x[start], start
    for i in range(start, stop, BLOCK):
        largest = _largest(x, i, min(i + BLOCK, stop))
        if exceeds(largest, best):
            best, block = largest, i
    return best, _first(x, block, stop, best)


# --- columns ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _compare_group(X, rows, width, values, numbers, number):
    """Compare `rows` rows, of which the first has the number `number`, with the maxima so far; `numbers` gets the
    number of the row of each new maximum."""
    for j in range(0, width, lane_count(X)):
        count = width - j
        best, winner = read(values, j, count, 0.0), load(numbers, j)
        for row in range(rows):
            v = read(X.row(row), j, count, 0.0)
            better = (best == best) & ~(v <= best)
            best = select(better, v, best)
            winner = select(better, number + row, winner)
        write(values, j, count, best)
        store(numbers, j, winner)


@jit
def best_of_columns(X, n, width, maxima):
    """The first maxima of the n elements of each of `width` columns."""
    values, indices = maxima
    memory = np.empty(COLUMNS, X.dtype)
    numbers = flat(memory)
    for j in range(width):
        values[j] = X[0, j]
        indices[j] = 0
    for first in range(0, n, COUNTED_ROWS):
        for j in range(0, COLUMNS, lane_count(X)):
            store(numbers, j, splat(X, -1.0))
        rows = min(COUNTED_ROWS, n - first)
        whole = rows - rows % GROUP
        for row in range(0, whole, GROUP):
            _compare_group(X.row(first + row), GROUP, width, values, numbers, float(row))
        for row in range(whole, rows):
            _compare_group(X.row(first + row), 1, width, values, numbers, float(row))
        for j in range(width):
            if memory[j] >= 0:
                indices[j] = first + np.int64(memory[j])
