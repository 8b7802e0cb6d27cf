r"""Slices taken from, or added at, the places that one index names along a dimension.

Arrays are (A, n, B), as in `along`; the index is (m,), so rows of B elements are copied or added.

    index_select  y[a, j] = x[a, index[j]]
    index_add     y[a, index[j]] = x[a, index[j]] + factor source[a, j], for j = 0, 1, ... in this order

No hardware prefetcher foresees the address of a row, so some rows ahead are prefetched. The indices are checked first.
"""

from numba import int64

from kernels._indices import all_within
from kernels._jit import Compiled, jit
from kernels._parallel import FIRST, parallel_for
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
from kernels.lookup.loops import copy_row
from kernels.simd import flat, prefetch, shifted
from kernels.simd.memory import LINE

AHEAD = 512  # elements that are prefetched: what a core loads during one latency of the last cache


@jit(inline=True)
def _prefetch_row(elements, at, width, line):
    for b in range(at, at + width, line):
        prefetch(elements, b)


def _select(copy):
    """Jitted ``loop(sizes, x, index, out, threads)`` by copies of rows, ``copy(out, first, last, source, target)``:
    rows of (A, n, B) by (m,), the result is (A, m, B). Returns whether all indices are inside; if not, nothing is done.
    None of A, m, B must be 0."""

    @jit
    def select_rows(first, last, sizes, x, index, out):
        _, n, m, B = sizes
        source, places, target = flat(x), flat(index), flat(out)
        line, ahead = LINE // out.itemsize, max(1, AHEAD // B)
        k = first
        while k < last:
            a = k // m
            stop = min(last, (a + 1) * m)
            if B == 1:
                row, result = shifted(source, a * n), shifted(target, a * m)
                for j in range(k - a * m, stop - a * m):
                    result[j] = row[places[j]]
            else:
                for i in range(k, stop):
                    _prefetch_row(shifted(source, a * n * B), places[min(i + ahead, stop - 1) - a * m] * B, B, line)
                    copy(out, FIRST, B, shifted(source, (a * n + places[i - a * m]) * B), shifted(target, i * B))
            k = stop

    @jit
    def loop(sizes, x, index, out, threads):
        A, n, m, B = sizes
        if not all_within(index, n):
            return False
        parallel_for(select_rows, A * m, rows_of_a_task(B), threads, (Sizes(A, n, m, B), x, index, out))
        return True

    return loop


@jit(inline=True)
def _copy_bytes(like, first, last, source, target):
    for b in range(first, last):
        target[b] = source[b]


@jit
def _add_blocks(first, last, sizes, blocks, initial, index, terms, out):
    _, n, m, B = sizes
    source, factor = terms
    target, places = flat(out), flat(index)
    line, ahead = LINE // out.itemsize, max(1, AHEAD // blocks.width)
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
                _prefetch_row(results, places[min(j + ahead, m - 1)] * B + begin, end - begin, line)
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


def _select_types(kind):
    return SIZES, kind[::1], int64[::1], kind[::1], int64


SELECT, SELECT_BYTES = Compiled(_select(copy_row), _select_types), Compiled(_select(_copy_bytes), _select_types)
ADD_ROWS = Compiled(add_along, lambda kind: (SIZES, kind[::1], int64[::1], kind[::1], kind[::1], kind[::1], int64))
