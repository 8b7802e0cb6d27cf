r"""A row sorted digit by digit (Knuth, The Art of Computer Programming 3, section 5.2.5).

What is moved are words of 64 bits, each an element's key and its place in the row:

    word = | 32 bits of the key, counted from the smallest | 32 bits: the place |

No two words are equal, and words of equal keys are in the order of their places: any sort of the words is a stable sort
of the row. A radix sort goes over all words once for each digit, from the lowest to the highest:

    counts   how often each digit occurs  ─> where the first word with it belongs       words in order of all digits
    pass     each word to the next place of its digit                                    up to this one, stable

A key counts from the smallest of the row, so that narrow ranges have few digits. Where the keys of a row differ in more
than 32 bits, the words hold the upper 32; then words that are equal in these are sorted by the rest.

About 3 operations an element and digit; words are read and written once for each. Short rows are sorted by rank.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels.simd import allocate, release, shifted
from kernels.sorting.keys import distance, key_of

RANKED = 64  # words up to which it is faster to compare all with all than to count digits
FEW_WORDS = 2**11  # up to which the counters of long digits would take longer than the words
SHORT_DIGIT, LONG_DIGIT = 8, 11  # bits: 256 counters, or 2,048 (16 KiB), which stay in L1
HALF = np.uint64(32)
PLACE = np.uint64(2**32 - 1)


class Scratch(NamedTuple):
    """Memory to sort rows of up to some length: two rows of words, and the counters of a digit."""

    words: object
    spare: object
    counters: object


@jit(inline=True)
def scratch_for(n):
    """Scratch for rows of up to n elements; `release_scratch` gives it back."""
    return Scratch(allocate(np.uint64, n), allocate(np.uint64, n), allocate(np.int64, 2**LONG_DIGIT))


@jit(inline=True)
def release_scratch(scratch):
    words, spare, counters = scratch
    release(words)
    release(spare)
    release(counters)


@jit(inline=True)
def place_of(word):
    """The place in the row of the element of a word."""
    return np.int64(word & PLACE)


# --- words -----------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _sort_by_rank(words, spare, n):
    """Each word to the place that is the number of smaller ones: n**2 comparisons, in vectors, without branches."""
    for i in range(n):
        word, rank = words[i], np.int64(0)
        for j in range(n):
            rank += 1 if words[j] < word else 0
        spare[rank] = word


@jit(inline=True)
def _digit(word, shift, mask):
    return np.int64((word >> np.uint64(shift)) & mask)


@jit
def _sort_words(words, spare, n, bits, counters):
    """Sort n words by the lowest `bits` bits of their keys; returns where they are and the memory that is free."""
    if n <= RANKED:
        _sort_by_rank(words, spare, n)
        return spare, words
    digit_bits = SHORT_DIGIT if n <= FEW_WORDS else LONG_DIGIT
    passes = (bits + digit_bits - 1) // digit_bits
    width = (bits + passes - 1) // passes
    digits, mask = np.int64(1) << width, np.uint64((np.int64(1) << width) - 1)
    for shift in range(32, 32 + passes * width, width):
        for digit in range(digits):
            counters[digit] = 0
        for i in range(n):
            counters[_digit(words[i], shift, mask)] += 1
        if counters[_digit(words[0], shift, mask)] == n:  # all have the same
            continue
        total = np.int64(0)
        for digit in range(digits):  # from the count of each digit to the place of its first word
            count = counters[digit]
            counters[digit] = total
            total += count
        for i in range(n):
            word = words[i]
            digit = _digit(word, shift, mask)
            to = counters[digit]
            spare[to] = word
            counters[digit] = to + 1
        words, spare = spare, words
    return words, spare


# --- rows ------------------------------------------------------------------------------------------------------------


@jit
def extent(x, n, form):
    """The smallest and the largest key of the n elements of x, n > 0."""
    lowest = highest = key_of(x[0], form)
    for i in range(n):
        key = key_of(x[i], form)
        lowest, highest = min(lowest, key), max(highest, key)
    return lowest, highest


@jit(inline=True)
def bit_length(number):
    """The number of bits of a uint64."""
    bits = np.int64(0)
    while number != np.uint64(0):
        number = number >> np.uint64(1)
        bits += 1
    return bits


@jit
def sorted_words(x, n, form, descending, scratch):
    """The words of the n elements of x, in order: their places are a stable order."""
    words, spare, counters = scratch
    if n == 0:
        return words
    lowest, highest = extent(x, n, form)
    first = highest if descending else lowest
    bits = bit_length(distance(highest, lowest))
    rest = max(bits - 32, 0)
    for i in range(n):
        upper = distance(key_of(x[i], form), first) >> np.uint64(rest)
        words[i] = upper << HALF | np.uint64(i)
    if bits > 0:
        words, spare = _sort_words(words, spare, n, min(bits, 32), counters)
    if rest > 0:
        _sort_rest(x, n, form, descending, Scratch(words, spare, counters))
    return words


@jit
def _sort_rest(x, n, form, descending, scratch):
    """Sort words that are equal in the upper 32 bits of their keys by the others."""
    words, spare, counters = scratch
    lowest, highest = extent(x, n, form)
    first = highest if descending else lowest
    rest = bit_length(distance(highest, lowest)) - 32
    mask = (np.uint64(1) << np.uint64(rest)) - np.uint64(1)
    start = 0
    while start < n:
        stop = start + 1
        while stop < n and words[stop] >> HALF == words[start] >> HALF:
            stop += 1
        if stop - start > 1:
            run, free = shifted(words, start), shifted(spare, start)
            for i in range(stop - start):
                lower = distance(key_of(x[place_of(run[i])], form), first) & mask
                run[i] = lower << HALF | (run[i] & PLACE)
            found, _ = _sort_words(run, free, stop - start, rest, counters)
            for i in range(stop - start):
                run[i] = found[i]
        start = stop
