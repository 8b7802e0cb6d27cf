r"""The k largest or smallest of a row; the k-th smallest.

The k best of what has been seen stand in a buffer with room for as many again. An element is compared with the last of
the k best, in vectors; few are better, and enter the buffer. When it is full, it is sorted and its better half stays:

    row      | seen ───────────> | 16 elements: any better than the limit? | ...
    buffer   | k best so far, sorted | entered since |                      limit: the key of the last of the k best

Up to KEPT of them are kept in order instead, and each that enters is inserted. (A row in ascending order makes all
enter.)

The k-th smallest is found from the upper digit of the keys: its counts tell the digit of the one sought, and only the
elements with this digit, as a rule some hundredths of the row, are sorted.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.scan.chains import slice_at
from kernels.simd import allocate, flat, release
from kernels.sorting.keys import distance, is_nan, key_of
from kernels.sorting.radix import LONG_DIGIT, bit_length, extent, place_of, release_scratch, scratch_for, sorted_words
from kernels.sorting.slices import TASK, Results, Slices, row_of

GROUP, WIDE_GROUP = 16, 64  # elements of a row that are compared with the limit at once
KEPT = 16  # so many are kept in order
ROOM = 64  # of the buffer, beside twice the k best
SORTED = 64  # elements up to which a row is sorted as a whole


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def topk_naive(bits, form, largest, indices):
    """``indices[row]``: one after the other, the best element of ``bits[row]`` that is not among them yet."""
    rows, columns = bits.shape
    for row in range(rows):
        taken = np.zeros(columns, np.bool_)
        for place in range(indices.shape[1]):
            best, found = np.int64(0), -1
            for i in range(columns):
                key = key_of(bits[row, i], form)
                if not taken[i] and (found < 0 or (key > best if largest else key < best)):
                    best, found = key, i
            taken[found] = True
            indices[row, place] = found


# --- the k best ------------------------------------------------------------------------------------------------------


@jit
def _shrink(entered, places, count, k, form, largest, scratch, spare):
    """Sort the buffer and keep its k best."""
    words = sorted_words(entered, count, form, largest, scratch)
    # what is kept comes from anywhere in the buffer: through the spare memory
    for i in range(k):
        place = place_of(words[i])
        spare[i] = places[place]
        words[i] = np.uint64(np.int64(entered[place]))
    for i in range(k):
        places[i] = spare[i]
        entered[i] = np.int64(words[i])


@jit(inline=True)
def _any_better(row, first, last, form, largest, limit):
    better = np.int64(0)
    for i in range(first, last):
        key = key_of(row[i], form)
        better += 1 if (key > limit if largest else key < limit) else 0
    return better != 0


@jit(inline=True)
def _next_group(row, first, n, form, largest, limit):
    """The first group from element `first` on that has a better one than the limit, or n."""
    while first < n:
        if first % WIDE_GROUP == 0:
            while first + WIDE_GROUP <= n and not _any_better(row, first, first + WIDE_GROUP, form, largest, limit):
                first += WIDE_GROUP
            if first >= n:
                break
        if _any_better(row, first, min(first + GROUP, n), form, largest, limit):
            return first
        first += GROUP
    return n


@jit
def _best_places(row, n, k, form, largest, buffer, scratch):
    """The places of the k best elements of a row, in order, into the buffer."""
    entered, places, spare = buffer
    room, count, limit, full = 2 * k + ROOM, np.int64(0), np.int64(0), False
    first = np.int64(0)
    while first < n:
        for i in range(first, min(first + GROUP, n)):
            key = key_of(row[i], form)
            if not full or (key > limit if largest else key < limit):
                entered[count], places[count] = row[i], i
                count += 1
                if count == room:
                    _shrink(entered, places, count, k, form, largest, scratch, spare)
                    count, full = np.int64(k), True
                    limit = key_of(entered[k - 1], form)
        first += GROUP
        if full:
            first = _next_group(row, first, n, form, largest, limit)
    _shrink(entered, places, count, k, form, largest, scratch, spare)


@jit
def _few_best_places(row, n, k, form, largest, keys, places):
    """The same for k up to KEPT, and the keys: kept in order."""
    count, first, limit = np.int64(0), np.int64(0), np.int64(0)
    while first < n:
        for i in range(first, min(first + GROUP, n)):
            key = key_of(row[i], form)
            if count == k and not (key > limit if largest else key < limit):
                continue
            hole = min(count, k - 1)
            while hole > 0 and (keys[hole - 1] < key if largest else keys[hole - 1] > key):
                keys[hole], places[hole] = keys[hole - 1], places[hole - 1]
                hole -= 1
            keys[hole], places[hole] = key, i
            count = min(count + 1, k)
            limit = keys[count - 1]
        first += GROUP
        if count == k:
            first = _next_group(row, first, n, form, largest, limit)


@jit
def _topk_slices(first, last, x, form, largest, results, k, slices):
    n, inner = slices
    few, whole = k <= KEPT, 4 * k > n
    room = n if whole else 2 * k + ROOM
    memory, scratch = allocate(x, n), scratch_for(room)
    buffer = allocate(x, room), allocate(np.int64, room), allocate(np.int64, room)
    entered, places, spare = buffer
    x, values, indices = flat(x), flat(results.values), flat(results.indices)
    for number in range(first, last):
        row = row_of(x, slice_at(number, n, inner), n, inner, memory)
        at = slice_at(number, k, inner)
        if few:
            _few_best_places(row, n, k, form, largest, spare, places)
        elif whole:
            words = sorted_words(row, n, form, largest, scratch)
            for i in range(k):
                places[i] = place_of(words[i])
        else:
            _best_places(row, n, k, form, largest, buffer, scratch)
        for i in range(k):
            values[at + i * inner], indices[at + i * inner] = row[places[i]], places[i]
    release_scratch(scratch)
    release(entered)
    release(places)
    release(spare)
    release(memory)


@jit
def topk_loops(x, form, largest, results, k, slices, threads):
    """The k > 0 best of each slice of the flat array (outer, n, inner)."""
    arguments = x, form, largest, results, k, slices
    parallel_for(_topk_slices, x.size // slices.n, max(1, 4 * TASK // slices.n), threads, arguments)


@jit
def topk_rows(bits, form, largest, indices):
    """Adds the buffer, and the comparison of a group at once."""
    if indices.size:
        results = Results(np.empty(indices.size, bits.dtype), indices.reshape(-1))
        topk_loops(bits.reshape(-1), form, largest, results, indices.shape[1], Slices(bits.shape[1], 1), 1)


# --- the k-th smallest -----------------------------------------------------------------------------------------------


@jit
def kth_naive(bits, form, k, indices):
    """``indices[row]``: the element of ``bits[row]`` that k others precede in a stable order."""
    rows, columns = bits.shape
    for row in range(rows):
        for i in range(columns):
            key, before = key_of(bits[row, i], form), 0
            for j in range(columns):
                other = key_of(bits[row, j], form)
                before += 1 if other < key or (other == key and j < i) else 0
            if before == k:
                indices[row] = i


@jit
def _kth_place(row, n, k, form, buffer, scratch):
    """The place of the element of a row that k others precede."""
    if n <= SORTED:
        return place_of(sorted_words(row, n, form, False, scratch)[k])
    chosen, places = buffer
    lowest, highest = extent(row, n, form)
    shift = np.uint64(max(bit_length(distance(highest, lowest)) - LONG_DIGIT, 0))
    counts = scratch.counters
    for digit in range(2**LONG_DIGIT):
        counts[digit] = 0
    for i in range(n):
        counts[np.int64(distance(key_of(row[i], form), lowest) >> shift)] += 1
    wanted, before = np.int64(0), np.int64(0)
    while before + counts[wanted] <= k:
        before += counts[wanted]
        wanted += 1
    count = np.int64(0)
    for i in range(n):  # without branches: which elements are chosen cannot be foreseen
        chosen[count], places[count] = row[i], i
        digit = np.int64(distance(key_of(row[i], form), lowest) >> shift)
        count += 1 if digit == wanted else 0
    return places[place_of(sorted_words(chosen, count, form, False, scratch)[k - before])]


@jit
def _first_nan(row, n, form):
    for i in range(n):
        if is_nan(key_of(row[i], form), form):
            return i
    return -1


@jit
def _kth_slices(first, last, x, form, results, k, slices):
    n, inner = slices
    memory, scratch = allocate(x, n), scratch_for(n)
    buffer = allocate(x, n + 1), allocate(np.int64, n + 1)
    chosen, places = buffer
    x, values, indices = flat(x), flat(results.values), flat(results.indices)
    for number in range(first, last):
        row = row_of(x, slice_at(number, n, inner), n, inner, memory)
        place = _first_nan(row, n, form) if k < 0 else -1
        if place < 0:
            place = _kth_place(row, n, k if k >= 0 else (n - 1) // 2, form, buffer, scratch)
        values[number], indices[number] = row[place], place
    release_scratch(scratch)
    release(chosen)
    release(places)
    release(memory)


@jit
def kth_loops(x, form, results, k, slices, threads):
    """The element that k others precede, in each slice of the flat array (outer, n, inner); for k = -1 the first NaN,
    or else the median."""
    arguments = x, form, results, k, slices
    parallel_for(_kth_slices, x.size // slices.n, max(1, 2 * TASK // slices.n), threads, arguments)


@jit
def kth_rows(bits, form, k, indices):
    """Adds the choice by the upper digit."""
    if bits.size:
        results = Results(np.empty(indices.size, bits.dtype), indices)
        kth_loops(bits.reshape(-1), form, results, k, Slices(bits.shape[1], 1), 1)


VARIANTS = {
    "topk": {"naive": topk_naive, "buffer": topk_rows},
    "kthvalue": {"naive": kth_naive, "digit": kth_rows},
}
