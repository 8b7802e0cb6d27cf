r"""Sums along an axis: of rows (inner = 1), each by itself, or of columns side by side.

Columns are summed block by block, so that a block's sums stay in L1; of each column ROWS elements are summed in the
array's dtype, and these sums in float64:

         COLUMNS
        ┌────────┬──
   ROWS │ sums   │       a vector of sums is loaded once for GROUP rows
        ├────────┼──
        │        │       long columns: several tasks, whose totals are added up in order
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.reduction.ranges import AHEAD, BLOCK, CHAIN, lanes_of_block, read, sum_of, write
from kernels.simd import flat, lane_count, shifted, splat, square_load, square_sums, store, strided

TASK = 16 * BLOCK  # elements of a task
ROW_TASK = 4 * BLOCK  # of a task of rows, whose sums do not depend on it: small, so that the threads end together
GROUP = 8  # rows added to a vector of column sums while it is in a register
ROWS = 64  # of a block of columns: summed in the array's dtype before they enter the float64 totals
PARTS = 16  # tasks of a block of long columns, at most about: their totals are added up on one thread
COLUMNS = 1024  # of a block: their sums (4 KiB) and totals (8 KiB) stay in L1


class Split(NamedTuple):
    """How the sums along an axis are divided: the array is (outer, n, inner); where inner > 1, a block of columns is
    summed by `tasks` tasks, each of some rows; `divisor` is 1, or n for a mean."""

    n: int
    inner: int
    tasks: int
    divisor: float


@jit(inline=True)
def _itself(x, z, p):
    return x


sum_range, _lanes_of_row = sum_of(_itself, ahead=AHEAD), lanes_of_block(_itself, 0.0, AHEAD)


@jit(fastmath=False, inline=True)
def _quotient(total, divisor):
    """Without `arcp`, by which the compiler multiplies by the reciprocal where it has several totals at once: the mean
    of a row must not depend on how many rows there are."""
    return total / divisor


@jit
def _short_rows(x, first, last, n, y, divisor):
    """``y[row] = sum(x[row]) / divisor`` for rows shorter than a chain, from `first` on, as many at once as a vector
    has lanes; returns the first row that is left. The sums are those of `sum_range`, but the lanes of all these rows
    are added together, so that no row waits for the one before."""
    lanes, elements = lane_count(x), flat(x)
    partial = np.empty(lanes * lanes, x.dtype)  # a vector for each row
    row = first
    while row + lanes <= last:
        for r in range(lanes):
            start = (row + r) * n
            store(partial, r * lanes, _lanes_of_row(elements, elements, 0.0, start, start + n))
        store(partial, 0, square_sums(square_load(strided(flat(partial), lanes, 1))))
        for r in range(lanes):
            total = np.float64(partial[r])
            if not np.isfinite(total):  # perhaps only the sum in the array's dtype is too large
                total = sum_range(x, x, 0.0, (row + r) * n, (row + r + 1) * n)
            y[row + r] = _quotient(total, divisor)
        row += lanes
    return row


# x stays an array with offsets here: the compiler may reorder the additions of a group (`reassoc`), and orders those of
# a `View` differently.


@jit(inline=True)
def _add_group(x, at, inner, rows, width, sums):
    """``sums[j] += x[at + j] + x[at + inner + j] + ...`` over `rows` rows, for j < width."""
    for j in range(0, width, lane_count(x)):
        count = width - j
        total = read(sums, j, count, 0.0)
        for row in range(rows):
            total = total + read(x, at + row * inner + j, count, 0.0)
        write(sums, j, count, total)


@jit
def _add_rows(x, at, inner, rows, width, sums):
    """The same for any number of rows, in groups of a constant number."""
    whole = rows - rows % GROUP
    for row in range(0, whole, GROUP):
        _add_group(x, at + row * inner, inner, GROUP, width, sums)
    for row in range(whole, rows):
        _add_group(x, at + row * inner, inner, 1, width, sums)


@jit
def _column_sum(X, rows):
    """The float64 sum of X's first column, for where that in the array's dtype is not finite."""
    total = 0.0
    for row in range(rows):
        total += np.float64(X[row, 0])
    return total


@jit
def _few_rows(x, at, n, inner, width, y, divisor):
    """Sums of columns of at most ROWS rows, directly into y."""
    for j in range(0, width, lane_count(x)):
        write(y, j, width - j, splat(x, 0.0))
    _add_rows(x, at, inner, n, width, y)
    if divisor != 1.0:
        for j in range(width):
            if np.isfinite(y[j]):
                y[j] = y[j] / divisor
            else:  # perhaps only the sum is too large
                y[j] = _column_sum(strided(shifted(flat(x), at + j), inner, 1), n) / divisor


@jit
def _has_infinite(sums, width):
    """Whether a sum is infinite or NaN."""
    residue = sums.dtype.type(0.0)
    for j in range(width):
        residue += sums[j] * sums.dtype.type(0.0)
    return residue != 0.0


@jit
def _many_rows(x, at, rows, inner, width, totals):
    """Sums of columns into float64 totals, ROWS rows at a time."""
    sums = np.zeros(COLUMNS, x.dtype)
    for j in range(width):
        totals[j] = 0.0
    for row in range(0, rows, ROWS):
        count, start = min(ROWS, rows - row), at + row * inner
        _add_rows(x, start, inner, count, width, flat(sums))
        if _has_infinite(sums, width):  # perhaps only the sums in the array's dtype are too large
            for j in range(width):
                more = np.float64(sums[j])
                if not np.isfinite(more):
                    more = _column_sum(strided(shifted(flat(x), start + j), inner, 1), count)
                totals[j] += more
        else:
            for j in range(width):
                totals[j] += np.float64(sums[j])
        sums[:width] = 0.0


@jit
def _rows_per_task(n, inner):
    """Rows of n elements (inner = 1), or rows of a block of columns, that make a task."""
    if inner == 1:
        return max(1, ROW_TASK // max(n, 1))
    return max(1, TASK // (min(inner, COLUMNS) * ROWS), n // (PARTS * ROWS)) * ROWS


@jit
def _axis_task(task, x, y, totals, split):
    """Task number `task`: some rows, or some rows of a block of columns."""
    n, inner, tasks, divisor = split
    grain = _rows_per_task(n, inner)
    if inner == 1:
        first, last = task * grain, min((task + 1) * grain, y.size)
        if n < CHAIN:
            first = _short_rows(x, first, last, n, y, divisor)
        for row in range(first, last):
            y[row] = _quotient(sum_range(x, x, 0.0, row * n, (row + 1) * n), divisor)
        return
    blocks = (inner + COLUMNS - 1) // COLUMNS
    block, part, o = task % blocks, task // blocks % tasks, task // (blocks * tasks)
    j = block * COLUMNS
    width = min(COLUMNS, inner - j)
    if n <= ROWS:
        _few_rows(x, o * n * inner + j, n, inner, width, shifted(flat(y), o * inner + j), divisor)
    else:
        first = part * grain
        at = (o * n + first) * inner + j
        _many_rows(x, at, min(grain, n - first), inner, width, shifted(flat(totals), (o * tasks + part) * inner + j))


@jit
def _axis_tasks(first, last, x, y, totals, split):
    for task in range(first, last):
        _axis_task(task, x, y, totals, split)


@jit
def sum_axis(x, y, outer, n, inner, divisor, threads):
    """``y[o, j] = sum_i x[o, i, j] / divisor``; x and y are flat."""
    grain, per_block, totals = _rows_per_task(n, inner), 1, np.empty(0)
    if inner == 1:
        tasks = (outer + grain - 1) // grain
    else:
        if n > ROWS:
            per_block = (n + grain - 1) // grain
            totals = np.empty(outer * per_block * inner)
        tasks = outer * per_block * ((inner + COLUMNS - 1) // COLUMNS)
    split = Split(n, inner, per_block, np.float64(divisor))
    parallel_for(_axis_tasks, tasks, 1, threads, (x, y, totals, split))
    if totals.size:
        for o in range(outer):
            first = o * per_block * inner
            for part in range(1, per_block):
                for j in range(inner):
                    totals[first + j] += totals[first + part * inner + j]
            for j in range(inner):
                y[o * inner + j] = totals[first + j] / divisor
