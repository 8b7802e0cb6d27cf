r"""Elements taken from, or put to, the places that an array of indices names along one dimension.

Arrays are (A, n, B): what lies before the dimension, the dimension itself, what lies after it. The index is (A, m, B).

    gather        y[a, j, b] = x[a, index[a, j, b], b]
    scatter       y[a, index[a, j, b], b] = combined with src[a, j, b], for j = 0, 1, ... in this order

`slices` has the same with one index (m,) for all a and b. Combining is assignment (the last j wins), a sum, a product,
the larger or the smaller one.

All sums go in the order of j. The elements of y that share a and b, a column, are one thread's, in whatever blocks the
columns are cut: the bits are the same at any number of threads. Where a column's rows are whole, a task first copies
its part of x to y, which is then still in the cache. About one operation an element, for 8 (the index) + 8 bytes of
float32 moved: memory is the limit, and within B elements it is accessed at random only along the dimension.

Indices are checked as they are used: a task that meets one outside of 0 ... n - 1 skips it and says so, and the caller,
whose result is still its own, raises.
"""

from typing import NamedTuple

import numpy as np
from numba import int64
from numba.types import UniTuple

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.simd import flat, shifted

TASK = 2**13  # elements of a task, at least 5 us of work
LEAST_TASKS = 16  # into which columns are cut where neither they nor what lies before them divide evenly by threads
ALIGNED = 16  # columns of a block, a multiple of: a cache line of float32
NONE = np.int64(-1)


class Sizes(NamedTuple):
    """Elements before the dimension, of it in the result (or what is gathered from) and in the index, and after it."""

    A: int
    n: int
    m: int
    B: int


class Blocks(NamedTuple):
    """Columns in blocks: so many for each a, of so many columns; `at_once` of them stay in L2."""

    number: int
    width: int
    at_once: int


class Operand(NamedTuple):
    """Memory, and the step from one element to the next: 0 for one element that stands for all, NONE for nothing."""

    elements: object
    step: int


class Scattered(NamedTuple):
    """What is scattered, and into what.

    The result begins as `initial`, or holds its first values already where there is none. Then the elements that the
    index names are set to `identity`, unless there is none. Then `src` is combined with them.
    """

    initial: Operand
    identity: Operand
    index: object
    src: Operand


# --- naive loops: the definitions ------------------------------------------------------------------------------------


@jit
def gather_naive(x, index, out):
    """``out[a, j, b] = x[a, index[a, j, b], b]``"""
    for a in range(out.shape[0]):
        for j in range(out.shape[1]):
            for b in range(out.shape[2]):
                out[a, j, b] = x[a, index[a, j, b], b]


@jit
def scatter_add_naive(x, index, src, out):
    """``out[a, index[a, j, b], b] += src[a, j, b]``, from x."""
    out[:] = x
    for a in range(src.shape[0]):
        for j in range(src.shape[1]):
            for b in range(src.shape[2]):
                out[a, index[a, j, b], b] += src[a, j, b]


# --- gather ----------------------------------------------------------------------------------------------------------


@jit(inline=True)
def rows_of_a_task(B):
    return max(1, TASK // B)


@jit(inline=True)
def _gather_last(sizes, first, last, x, index, out):
    """Elements `first` to `last` - 1 where nothing lies after the dimension; returns whether an index is outside."""
    _, n, m, _ = sizes
    lowest = highest = np.int64(0)
    for i in range(first, last):
        lowest, highest = min(lowest, index[i]), max(highest, index[i])
    if lowest < 0 or highest >= n:
        return True
    if m == 1:  # a loop for each row would take longer than its one element
        for i in range(first, last):
            out[i] = x[i * n + index[i]]
        return False
    a, k = first // m, first
    while k < last:
        row, stop = shifted(x, a * n), min(last, (a + 1) * m)
        for i in range(k, stop):
            out[i] = row[index[i]]
        a, k = a + 1, stop
    return False


@jit
def _gather_rows(first, last, sizes, x, index, out, wrong):
    """Rows `first` to `last` - 1 of the (A m, B) of the result."""
    _, n, m, B = sizes
    source, indices, target = flat(x), flat(index), flat(out)
    if B == 1:
        bad = _gather_last(sizes, first, last, source, indices, target)
    else:
        bad = False
        for row in range(first, last):
            columns, places, results = shifted(source, row // m * n * B), shifted(indices, row * B), row * B
            for b in range(B):
                place = places[b]
                inside = (place >= 0) & (place < n)
                bad |= not inside
                target[results + b] = columns[(place if inside else 0) * B + b]
    if bad:
        wrong[first // rows_of_a_task(B)] = True


@jit
def gather_along(sizes, x, index, out, threads):
    """Gather (A, n, B) by (A, m, B), all flat; returns whether all indices are inside. No size must be 0."""
    A, n, m, B = sizes
    grain = rows_of_a_task(B)
    wrong = np.zeros((A * m + grain - 1) // grain, np.bool_)
    parallel_for(_gather_rows, A * m, grain, threads, (Sizes(A, n, m, B), x, index, out, wrong))
    return not wrong.any()


# --- scatter ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _assigned(y, x):
    return x


@jit(inline=True)
def _added(y, x):
    return y + x


@jit(inline=True)
def _multiplied(y, x):
    return y * x


@jit(inline=True)
def _larger(y, x):
    return x if (x > y) | (x != x) else y  # a NaN, once there, stays


@jit(inline=True)
def _smaller(y, x):
    return x if (x < y) | (x != x) else y


@jit(inline=True)
def operand(array):
    return Operand(flat(array), NONE if array.size == 0 else np.int64(0) if array.size == 1 else np.int64(1))


@jit(inline=True)
def blocks_of(sizes, threads):
    """How the columns are cut into blocks: as wide as the threads allow, since a block is a piece of each row."""
    A, n, m, B = sizes
    parts = 1 if A % threads == 0 else threads // A if threads % A == 0 else LEAST_TASKS // A
    wanted = max(1, min(parts, (B + ALIGNED - 1) // ALIGNED))
    width = min(((B + wanted - 1) // wanted + ALIGNED - 1) // ALIGNED * ALIGNED, B)
    return Blocks((B + width - 1) // width, width, max(1, TASK // ((n + m) * width)))


@jit(inline=True)
def _copy(initial, start, stop, out):
    if initial.step == 0:
        value = initial.elements[0]
        for i in range(start, stop):
            out[i] = value
    else:
        for i in range(start, stop):
            out[i] = initial.elements[i]


@jit
def begin_columns(sizes, first, last, initial, out):
    """Copy all columns of a = `first` to `last` - 1 from `initial` to the result, or set them to its one element."""
    _, n, _, B = sizes
    _copy(initial, first * n * B, last * n * B, out)


@jit
def _copy_parts(first, last, initial, out):
    _copy(initial, first * TASK, min(last * TASK, out.size), flat(out))


@jit
def begun(blocks, initial, out, threads):
    """What blocks of columns begin from: where they are pieces of rows, the copy is made here, in one piece a thread,
    and nothing is left for them."""
    if blocks.number == 1 or initial.step == NONE:
        return initial
    parallel_for(_copy_parts, (out.size + TASK - 1) // TASK, 1, threads, (initial, out))
    return Operand(initial.elements, NONE)


@jit(inline=True)
def columns_at(block, blocks, B):
    """What lies before the columns of a block, the first of them, and the one after the last."""
    begin = block % blocks.number * blocks.width
    return block // blocks.number, begin, min(begin + blocks.width, B)


def _columns(combined):
    """Jitted loop over a block of columns, into what is there."""

    @jit
    def columns(sizes, a, first, last, index, src, out):
        """Columns `first` to `last` - 1; returns whether an index is outside."""
        _, n, m, B = sizes
        bad, results = False, shifted(out, a * n * B)
        places, elements = shifted(index, a * m * B), shifted(src.elements, a * m * B * src.step)
        if B == 1:
            for j in range(m):
                place = places[j]
                if (place >= 0) & (place < n):
                    results[place] = combined(results[place], elements[j * src.step])
                else:
                    bad = True
        else:
            for j in range(m):
                for k in range(j * B + first, j * B + last):
                    place = places[k]
                    if (place >= 0) & (place < n):
                        at = place * B + (k - j * B)
                        results[at] = combined(results[at], elements[k * src.step])
                    else:
                        bad = True
        return bad

    return columns


_reset = _columns(_assigned)


def _scatter(combined):
    """Jitted ``loop(sizes, initial, identity, index, src, out, threads)``, see `Scattered`, where an empty array is
    nothing, and one element stands for all. Returns whether all indices are inside. No size must be 0."""

    columns = _columns(combined)

    @jit
    def blocks_of_columns(first, last, sizes, blocks, scattered, out, wrong):
        initial, identity, index, src = scattered
        bad = False
        for block in range(first, last):
            if initial.step != NONE and (block - first) % blocks.at_once == 0:
                begin_columns(sizes, block, min(block + blocks.at_once, last), initial, flat(out))
            a, begin, end = columns_at(block, blocks, sizes.B)
            if identity.step != NONE:
                _reset(sizes, a, begin, end, index, identity, flat(out))
            bad |= columns(sizes, a, begin, end, index, src, flat(out))
        if bad:
            wrong[first] = True

    @jit
    def loop(sizes, initial, identity, index, src, out, threads):
        A, n, m, B = sizes
        blocks = blocks_of(sizes, threads)
        wrong = np.zeros(A * blocks.number, np.bool_)
        first_values = begun(blocks, operand(initial), out, threads)
        scattered = Scattered(first_values, operand(identity), flat(index), operand(src))
        arguments = Sizes(A, n, m, B), blocks, scattered, out, wrong
        parallel_for(blocks_of_columns, wrong.size, blocks.at_once, threads, arguments)
        return not wrong.any()

    return loop


# --- as Python calls them ---------------------------------------------------------------------------------------------

SIZES = UniTuple(int64, 4)
_SUM = _scatter(_added)
SCATTER = {
    how: Compiled(loop, lambda kind: (SIZES, kind[::1], kind[::1], int64[::1], kind[::1], kind[::1], int64))
    for how, loop in {
        "assign": _scatter(_assigned),
        "sum": _SUM,
        "prod": _scatter(_multiplied),
        "amax": _scatter(_larger),
        "amin": _scatter(_smaller),
    }.items()
}
GATHER = Compiled(gather_along, lambda kind: (SIZES, kind[::1], int64[::1], kind[::1], int64))


# --- ladders ---------------------------------------------------------------------------------------------------------


@jit
def gather_loops(x, index, out):
    """Adds the check of the indices, and one loop where nothing lies after the dimension."""
    sizes = x.shape[0], x.shape[1], out.shape[1], out.shape[2]
    gather_along(sizes, x.reshape(-1), index.reshape(-1), out.reshape(-1), 1)


@jit
def scatter_add_loops(x, index, src, out):
    """Adds the check of the indices, and the copy of what lies before the dimension just before it is needed."""
    sizes, none = (x.shape[0], x.shape[1], src.shape[1], x.shape[2]), x.reshape(-1)[:0]
    _SUM(sizes, x.reshape(-1), none, index.reshape(-1), src.reshape(-1), out.reshape(-1), 1)


VARIANTS = {
    "gather": {"naive": gather_naive, "checked": gather_loops},
    "scatter_add": {"naive": scatter_add_naive, "blocks": scatter_add_loops},
}
