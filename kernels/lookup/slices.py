r"""Slices taken from, or added at, the places that one index names along a dimension.

Arrays are (A, n, B), as in `along`; the index is (m,), so rows of B elements are copied or added.

    index_select  y[a, j] = x[a, index[j]]
    index_add     y[a, index[j]] = x[a, index[j]] + factor source[a, j], for j = 0, 1, ... in this order

No hardware prefetcher foresees the address of a row, so some rows ahead are prefetched. The indices are checked first.
"""

from numba import int64

from kernels._indices import all_within
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.lookup.along import (
    NONE,
    SIZES,
    Sizes,
    begin_columns,
    begun,
    blocks_of,
    columns_at,
    operand,
    rows_of_a_task,
)
from kernels.simd import flat, lane_count, prefetch, shifted

AHEAD = 512  # elements that are prefetched: what a core loads during one latency of the last cache


@jit(inline=True)
def _prefetch_row(elements, at, width):
    for b in range(at, at + width, lane_count(elements)):  # a constant step, so that the loop is unrolled
        prefetch(elements, b)


@jit
def _select_rows(first, last, sizes, x, index, out):
    _, n, m, B = sizes
    source, places, target, ahead = flat(x), flat(index), flat(out), max(1, AHEAD // B)
    k = first
    while k < last:
        a = k // m
        table, results, stop = shifted(source, a * n * B), shifted(target, a * m * B), min(last, (a + 1) * m) - a * m
        if B == 1:
            for j in range(k - a * m, stop):
                results[j] = table[places[j]]
        else:
            for j in range(k - a * m, stop):
                _prefetch_row(table, places[min(j + ahead, m - 1)] * B, B)
                row, result = shifted(table, places[j] * B), shifted(results, j * B)
                for b in range(B):
                    result[b] = row[b]
        k = a * m + stop


@jit
def select_along(sizes, x, index, out, threads):
    """Rows of (A, n, B) by (m,): the result is (A, m, B). Returns whether all indices are inside; if not, nothing is
    done. No size but n must be 0."""
    A, n, m, B = sizes
    if not all_within(index, n):
        return False
    parallel_for(_select_rows, A * m, rows_of_a_task(B), threads, (Sizes(A, n, m, B), x, index, out))
    return True


@jit
def _add_blocks(first, last, sizes, blocks, initial, index, terms, out):
    _, n, m, B = sizes
    source, factor = terms
    target, places = flat(out), flat(index)
    ahead = max(1, AHEAD // blocks.width)
    for block in range(first, last):
        if initial.step != NONE and (block - first) % blocks.at_once == 0:
            begin_columns(sizes, block, min(block + blocks.at_once, last), initial, target)
        a, begin, end = columns_at(block, blocks, B)
        row, results = shifted(source, a * m * B), shifted(target, a * n * B)
        if B == 1:
            for j in range(m):
                results[places[j]] += factor * row[j]
        else:
            for j in range(m):
                _prefetch_row(results, places[min(j + ahead, m - 1)] * B + begin, end - begin)
                terms_here, sums = shifted(row, j * B), shifted(results, places[j] * B)
                for b in range(begin, end):
                    sums[b] += factor * terms_here[b]


@jit
def add_along(sizes, initial, index, source, factor, out, threads):
    """Rows of (A, n, B) by (m,): ``out[a, index[j]] += factor[0] * source[a, j]``, from `initial`, of which an empty
    array is nothing, and one element stands for all. Returns whether all indices are inside; if not, nothing is done.
    No size but n must be 0."""
    A, n, m, B = sizes
    if not all_within(index, n):
        return False
    blocks = blocks_of(sizes, threads)
    first_values = begun(blocks, operand(initial), out, threads)
    arguments = Sizes(A, n, m, B), blocks, first_values, index, (flat(source), factor[0]), out
    parallel_for(_add_blocks, A * blocks.number, blocks.at_once, threads, arguments)
    return True


SELECT = Compiled(select_along, lambda kind: (SIZES, kind[::1], int64[::1], kind[::1], int64))
ADD_ROWS = Compiled(add_along, lambda kind: (SIZES, kind[::1], int64[::1], kind[::1], kind[::1], kind[::1], int64))
