r"""Maxima and minima so far, with their indices.

    cummax: y_i = max(x_0, ..., x_i)        dx_k = the sum of dy_i over the i whose maximum has the index k

Of equal elements the last has the index. A NaN stays to the end, in `cummin` too. One comparison an element; one
element read, one and an index written.

In a row in random order few elements change the maximum. So a row is compared in vectors, and only one with a new
maximum is scanned: the maxima of its lanes so far, and then, of the lanes that attain them, the largest number so far.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.scan.chains import COLUMNS, TASK, column_block
from kernels.simd import any_lanes, flat, lane_count, load, maximum, minimum, select, shifted, splat, store
from kernels.simd.prefix import maxima_so_far, minima_so_far

GROUP = 32  # elements that are compared at once


@jit(inline=True, fastmath=False)
def exceeds_or_equals(x, best):
    """Whether x displaces the maximum so far: the last of equal ones counts, and a NaN is never displaced by a number.

    ``not x < best`` is right but for a number after a NaN.
    """
    return (x != x) | (x >= best)


@jit(inline=True, fastmath=False)
def falls_below_or_equals(x, best):
    """The same for the minimum."""
    return (x != x) | (x <= best)


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit(fastmath=False)
def cummax_naive(x, out, indices):
    """``out[row, i], indices[row, i]``: the largest of ``x[row, : i + 1]`` and the last place that has it."""
    rows, columns = x.shape
    for row in range(rows):
        best = 0
        for i in range(columns):
            if exceeds_or_equals(x[row, i], x[row, best]):
                best = i
            out[row, i], indices[row, i] = x[row, best], best


@jit(fastmath=False)
def cummin_naive(x, out, indices):
    """``out[row, i], indices[row, i]``: the smallest of ``x[row, : i + 1]`` and the last place that has it."""
    rows, columns = x.shape
    for row in range(rows):
        best = 0
        for i in range(columns):
            if falls_below_or_equals(x[row, i], x[row, best]):
                best = i
            out[row, i], indices[row, i] = x[row, best], best


# --- rows and columns ------------------------------------------------------------------------------------------------


def _groups_of(wins):
    """Jitted ``scan_row(x, values, indices, n, numbers)`` by comparison of GROUP elements at once."""

    @jit(inline=True, fastmath=False)
    def one_by_one(x, values, indices, first, last, best, place):
        for i in range(first, last):
            if wins(x[i], best):
                best, place = x[i], np.int64(i)
            values[i], indices[i] = best, place
        return best, place

    @jit(inline=True, fastmath=False)
    def scan_row(x, values, indices, n, numbers):
        best, place = x[0], np.int64(0)
        whole = n - n % GROUP
        for first in range(0, whole, GROUP):
            new = np.int64(0)
            for i in range(first, first + GROUP):
                new += 1 if wins(x[i], best) else 0
            if new:
                best, place = one_by_one(x, values, indices, first, first + GROUP, best, place)
            else:
                for i in range(first, first + GROUP):
                    values[i] = best
                for i in range(first, first + GROUP):
                    indices[i] = place
        one_by_one(x, values, indices, whole, n, best, place)

    return scan_row


@jit(inline=True)
def _larger_so_far(x, before):
    return maximum(maxima_so_far(x), before)


@jit(inline=True)
def _smaller_so_far(x, before):
    return minimum(minima_so_far(x), before)


def _vectors_of(wins, so_far):
    """The same of floats, by scans of vectors: the maxima, and the last of the lanes that attain them."""

    @jit(inline=True, fastmath=False)
    def scan_vector(x, values, indices, i, place, numbers):
        """One vector of which an element wins; `numbers` are those of the lanes, and room for as many."""
        lanes = lane_count(x)
        element = load(x, i)
        best = so_far(element, splat(x, values[i - 1] if i > 0 else x[0]))
        store(values, i, best)
        attained = (element == best) | (element != element)
        store(numbers, lanes, maxima_so_far(select(attained, load(numbers, 0), -1.0)))
        for k in range(lanes):
            lane = numbers[lanes + k]
            indices[i + k] = i + np.int64(lane) if lane >= 0 else place

    @jit(inline=True, fastmath=False)
    def scan_row(x, values, indices, n, numbers):
        best, place, lanes = x[0], np.int64(0), lane_count(x)
        whole = n - n % lanes
        for i in range(0, whole, lanes):
            element = load(x, i)
            if any_lanes(wins(element, splat(x, best))):
                scan_vector(x, values, indices, i, place, numbers)
                best, place = values[i + lanes - 1], indices[i + lanes - 1]
            else:
                store(values, i, splat(x, best))
                for k in range(lanes):
                    indices[i + k] = place
        for i in range(whole, n):
            if wins(x[i], best):
                best, place = x[i], np.int64(i)
            values[i], indices[i] = best, place

    return scan_row


def _extremes_of(wins, scan_row):
    """Jitted ``loops(x, values, indices, outer, n, inner, threads)`` for flat arrays (outer, n, inner)."""

    @jit(fastmath=False)
    def scan_rows(first, last, x, values, indices, n):
        memory = np.empty(2 * GROUP, x.dtype)
        for lane in range(GROUP):
            memory[lane] = lane
        for row in range(first, last):
            at = row * n
            scan_row(shifted(flat(x), at), shifted(flat(values), at), shifted(flat(indices), at), n, flat(memory))

    @jit(fastmath=False)
    def scan_columns(first, last, x, values, indices, n, inner, width):
        blocks = (inner + width - 1) // width
        best_memory, place_memory = np.empty(COLUMNS, x.dtype), np.empty(COLUMNS, np.int64)
        x, values, indices = flat(x), flat(values), flat(indices)
        best, place = flat(best_memory), flat(place_memory)
        for task in range(first, last):
            j = task % blocks * width
            at, count = task // blocks * n * inner + j, min(width, inner - j)
            for k in range(count):
                best[k], place[k] = x[at + k], 0
            for i in range(n):
                row = at + i * inner
                for k in range(count):  # without branches, so that the compiler makes vectors of it
                    value, so_far, number = x[row + k], best[k], place[k]
                    new = wins(value, so_far)
                    so_far, number = value if new else so_far, i if new else number
                    best[k], place[k] = so_far, number
                    values[row + k], indices[row + k] = so_far, number

    @jit
    def loops(x, values, indices, outer, n, inner, threads):
        if inner == 1:
            parallel_for(scan_rows, outer, max(1, TASK // n), threads, (x, values, indices, n))
            return
        width = column_block(outer, inner, threads)
        tasks = outer * ((inner + width - 1) // width)
        grain = max(1, TASK // (n * min(width, inner)))
        parallel_for(scan_columns, tasks, grain, threads, (x, values, indices, n, inner, width))

    return loops


cummax_loops = _extremes_of(exceeds_or_equals, _vectors_of(exceeds_or_equals, _larger_so_far))
cummin_loops = _extremes_of(falls_below_or_equals, _vectors_of(falls_below_or_equals, _smaller_so_far))
# of integers
cummax_groups = _extremes_of(exceeds_or_equals, _groups_of(exceeds_or_equals))
cummin_groups = _extremes_of(falls_below_or_equals, _groups_of(falls_below_or_equals))


@jit
def cummax_rows(x, out, indices):
    """Adds the scan of a vector."""
    cummax_loops(flat(x), flat(out), flat(indices), x.shape[0], x.shape[1], 1, 1)


@jit
def cummin_rows(x, out, indices):
    """Adds the scan of a vector."""
    cummin_loops(flat(x), flat(out), flat(indices), x.shape[0], x.shape[1], 1, 1)


VARIANTS = {
    "cummax": {"naive": cummax_naive, "vectors": cummax_rows},
    "cummin": {"naive": cummin_naive, "vectors": cummin_rows},
}


# --- backward: from the indices --------------------------------------------------------------------------------------


@jit(fastmath=False)
def _add_runs_of_rows(first, last, dy, indices, dx, n):
    """The indices of a row seldom change: what they get is summed in float64 until they do."""
    slopes, places, results = flat(dy), flat(indices), flat(dx)
    for start in range(first * n, last * n, n):
        for i in range(start, start + n):
            results[i] = 0.0
        total, current = 0.0, places[start]
        for i in range(start, start + n):
            index = places[i]
            if index != current:
                results[start + current] += total
                total, current = 0.0, index
            total += slopes[i]
        results[start + current] += total


@jit(inline=True, fastmath=False)
def _are_equal(indices, current):
    """Whether GROUP indices are the current ones."""
    difference = np.int64(0)
    for k in range(GROUP):  # without an early exit, so that it is vectorised
        difference |= indices[k] ^ current[k]
    return difference == 0


@jit(fastmath=False)
def _add_runs(first, last, dy, indices, dx, n, inner, width):
    """The same for columns, side by side: a group of them at once where no index changes."""
    blocks = (inner + width - 1) // width
    totals, current = np.empty(COLUMNS), np.empty(COLUMNS, np.int64)
    dy, indices, dx, totals, current = flat(dy), flat(indices), flat(dx), flat(totals), flat(current)
    for task in range(first, last):
        j = task % blocks * width
        at, count = task // blocks * n * inner + j, min(width, inner - j)
        for i in range(n):
            for k in range(count):
                dx[at + i * inner + k] = 0.0
        for k in range(count):
            totals[k], current[k] = 0.0, indices[at + k]
        for i in range(n):
            row = at + i * inner
            for group in range(0, count, GROUP):
                if group + GROUP <= count and _are_equal(shifted(indices, row + group), shifted(current, group)):
                    for k in range(group, group + GROUP):
                        totals[k] += dy[row + k]
                    continue
                for k in range(group, min(group + GROUP, count)):
                    index = indices[row + k]
                    if index != current[k]:
                        dx[at + current[k] * inner + k] += totals[k]
                        totals[k], current[k] = 0.0, index
                    totals[k] += dy[row + k]
        for k in range(count):
            dx[at + current[k] * inner + k] += totals[k]


@jit
def add_to_indices(dy, indices, dx, outer, n, inner, threads):
    """``dx[o, indices[o, i, j], j] += dy[o, i, j]``, from zeros; flat arrays."""
    if inner == 1:
        parallel_for(_add_runs_of_rows, outer, max(1, TASK // n), threads, (dy, indices, dx, n))
        return
    width = column_block(outer, inner, threads)
    tasks = outer * ((inner + width - 1) // width)
    grain = max(1, TASK // (n * min(width, inner)))
    parallel_for(_add_runs, tasks, grain, threads, (dy, indices, dx, n, inner, width))
