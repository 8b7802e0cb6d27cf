r"""The slices of an array (outer, n, inner), each sorted; the gradient.

    values = x[indices]        dx[indices] = dy

A row (inner = 1) is sorted where it lies. Columns are copied to a row first, one after the other: what a cache line
holds of the neighbouring columns is still in L2 when their turn comes.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.scan.chains import slice_at
from kernels.simd import allocate, flat, release, shifted
from kernels.sorting.keys import key_of
from kernels.sorting.radix import place_of, release_scratch, scratch_for, sorted_words

TASK = 2**11  # elements of a task, at least 10 us of work


class Slices(NamedTuple):
    """The slices of an array (outer, n, inner)."""

    n: int
    inner: int


class Results(NamedTuple):
    """Flat arrays for the values (as integers) and their places in the slices."""

    values: object
    indices: object


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def sort_naive(bits, form, descending, indices):
    """``indices[row]``: a stable order of ``bits[row]``, by insertion."""
    rows, columns = bits.shape
    for row in range(rows):
        for i in range(columns):
            key, hole = key_of(bits[row, i], form), i
            while hole > 0:
                before = key_of(bits[row, indices[row, hole - 1]], form)
                if before >= key if descending else before <= key:
                    break
                indices[row, hole] = indices[row, hole - 1]
                hole -= 1
            indices[row, hole] = i


# --- slices ----------------------------------------------------------------------------------------------------------


@jit(inline=True)
def row_of(x, at, n, inner, memory):
    """The slice that begins at offset `at` as a row: itself, or its copy in `memory`."""
    if inner == 1:
        return shifted(x, at)
    for i in range(n):
        memory[i] = x[at + i * inner]
    return memory


@jit
def _sort_slices(first, last, x, form, descending, results, slices):
    n, inner = slices
    memory, scratch = allocate(x, n), scratch_for(n)
    x, values, indices = flat(x), flat(results.values), flat(results.indices)
    for number in range(first, last):
        at = slice_at(number, n, inner)
        row = row_of(x, at, n, inner, memory)
        words = sorted_words(row, n, form, descending, scratch)
        for i in range(n):
            place = place_of(words[i])
            values[at + i * inner], indices[at + i * inner] = row[place], place
    release_scratch(scratch)
    release(memory)


@jit
def sort_loops(x, form, descending, results, slices, threads):
    """Values and indices of the sorted slices of the flat array (outer, n, inner)."""
    arguments = x, form, descending, results, slices
    parallel_for(_sort_slices, x.size // slices.n, max(1, TASK // slices.n), threads, arguments)


@jit
def sort_rows(bits, form, descending, indices):
    """Adds the radix sort."""
    if bits.size:
        results = Results(np.empty(bits.size, bits.dtype), indices.reshape(-1))
        sort_loops(bits.reshape(-1), form, descending, results, Slices(bits.shape[1], 1), 1)


VARIANTS = {"sort": {"naive": sort_naive, "radix": sort_rows}}


# --- backward: from the indices --------------------------------------------------------------------------------------


@jit
def _scatter(first, last, dy, indices, dx, k, n, inner):
    for number in range(first, last):
        source, target = slice_at(number, k, inner), slice_at(number, n, inner)
        for i in range(k):
            dx[target + indices[source + i * inner] * inner] += dy[source + i * inner]


@jit
def scatter_loops(dy, indices, dx, k, n, inner, threads):
    """``dx[o, indices[o, i, j], j] += dy[o, i, j]`` for flat arrays (outer, k, inner) and (outer, n, inner)."""
    arguments = dy, indices, dx, k, n, inner
    parallel_for(_scatter, dx.size // n, max(1, 4 * TASK // (k + 1)), threads, arguments)
