r"""Places in a sorted row, by bisection; the distinct values of a sorted row.

A step halves the part that is left, without a branch: the part begins in its middle or stays where it begins. As many
steps for each value, none mispredicted, and several values take each step together. log2(n) comparisons a value.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.simd import flat, shifted
from kernels.sorting.keys import is_nan, key_of
from kernels.sorting.radix import place_of, release_scratch, scratch_for, sorted_words

TASK = 2**9  # searches of a task
TOGETHER = 16  # searches that take each step together
MANY = 16  # with more than a MANY-th as many values as elements, the keys of the row are computed once


class Lengths(NamedTuple):
    """A row has n elements; `each` values are searched in one row, the next ones in the next row."""

    n: int
    each: int


# --- naive loops: the definitions ------------------------------------------------------------------------------------


@jit
def searchsorted_naive(row, values, form, right, out):
    """``out[i]``: how many elements of a sorted row are smaller than ``values[i]``, or, with `right`, not larger."""
    for i in range(values.size):
        value = key_of(values[i], form)
        out[i] = 0
        for j in range(row.size):
            key = key_of(row[j], form)
            out[i] += 1 if key < value or (right and key == value) else 0


# --- search ----------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _precedes(key, value, right):
    return (key < value) | (right & (key == value))


@jit(inline=True)
def _search_one(row, n, form, value, right):
    start, left = np.int64(0), n
    while left > 1:
        half = left >> 1
        start += half if _precedes(key_of(row[start + half - 1], form), value, right) else 0
        left -= half
    return start + (1 if n > 0 and _precedes(key_of(row[start], form), value, right) else 0)


@jit
def _search(first, last, rows, values, form, right, out, lengths):
    rows, values, out = flat(rows), flat(values), flat(out)
    n, each = lengths
    for i in range(first, last):
        out[i] = _search_one(shifted(rows, i // each * n), n, form, key_of(values[i], form), right)


@jit
def _search_keys(first, last, keys, values, form, right, out):
    """Many values in one row of keys: TOGETHER of them take each step together, in vectors."""
    n, keys, values, out = keys.size, flat(keys), flat(values), flat(out)
    start_memory, wanted_memory = np.empty(TOGETHER, np.int64), np.empty(TOGETHER, np.int64)
    starts, wanted = flat(start_memory), flat(wanted_memory)
    for group in range(first, last, TOGETHER):
        count = min(TOGETHER, last - group)
        for k in range(TOGETHER):
            starts[k], wanted[k] = 0, key_of(values[group + min(k, count - 1)], form)
        left = n
        while left > 1:
            half = left >> 1
            for k in range(TOGETHER):
                start = starts[k]
                starts[k] = start + (half if _precedes(keys[start + half - 1], wanted[k], right) else 0)
            left -= half
        for k in range(count):
            out[group + k] = starts[k] + (1 if _precedes(keys[starts[k]], wanted[k], right) else 0)


@jit
def search_loops(rows, values, form, right, out, n, each, threads):
    """Places of flat `values` in the rows of n elements, `each` of them in one row."""
    if n == 0 or each < n // MANY or each < TOGETHER:
        parallel_for(_search, values.size, TASK, threads, (rows, values, form, right, out, Lengths(n, each)))
        return
    keys = np.empty(n, np.int64)
    for row in range(values.size // each):
        for i in range(n):
            keys[i] = key_of(rows[row * n + i], form)
        start, stop = row * each, (row + 1) * each
        arguments = keys, values[start:stop], form, right, out[start:stop]
        parallel_for(_search_keys, each, TASK, threads, arguments)


@jit
def searchsorted_rows(row, values, form, right, out):
    """Adds bisection."""
    search_loops(row, values, form, right, out, row.size, max(1, values.size), 1)


VARIANTS = {"searchsorted": {"naive": searchsorted_naive, "bisection": searchsorted_rows}}


# --- distinct values -------------------------------------------------------------------------------------------------


@jit
def distinct_loops(x, form, values, inverse, counts):
    """The distinct values of x in order, for each element the place of its value (unless that array is empty), and how
    often each value occurs; returns their number."""
    scratch, row, groups, before = scratch_for(x.size), flat(x), np.int64(0), np.int64(0)
    words = sorted_words(row, x.size, form, False, scratch)
    for i in range(x.size):
        place = place_of(words[i])
        key = key_of(row[place], form)
        if i == 0 or key != before or is_nan(key, form):
            values[groups], counts[groups] = row[place], 0
            groups += 1
        before = key
        counts[groups - 1] += 1
        if inverse.size:
            inverse[place] = groups - 1
    release_scratch(scratch)
    return groups
