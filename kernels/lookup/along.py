r"""Elements taken from, or put to, the places that an array of indices names along one dimension.

Arrays are (A, n, B): what lies before the dimension, the dimension itself, what lies behind it. The index is (A, m, B).

    gather        y[a, j, b] = x[a, index[a, j, b], b]
    scatter       y[a, index[a, j, b], b] = combined with src[a, j, b], for j = 0, 1, ... in this order

`index_select` and `index_add` are the same with one index (m,) for all a and b, so that rows of B elements are copied
or added. Combining is assignment (the last j wins), a sum, a product, the larger or the smaller one.

All sums go in the order of j. The elements of y that share a and b, a column, are one thread's, and blocks of columns
depend on the shapes alone: the bits are the same at any number of threads. A task first copies its columns of x to y,
which are then still in the cache. About one operation an element, for 8 (the index) + 8 bytes of float32 moved: memory
is the limit, and within B elements it is accessed at random only along the dimension.

Indices are checked as they are used: a task that meets one outside of 0 ... n - 1 skips it and says so, and the caller,
whose result is still its own, raises.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for

TASK = 2**13  # elements of a task, at least 5 us of work
LEAST_TASKS = (
    16  # into which columns are cut where the dimensions before them give fewer: two threads share them evenly
)
ALIGNED = 16  # columns of a block, a multiple of: a cache line of float32


class Sizes(NamedTuple):
    """Elements of the dimension in the result and in the index, and behind the dimension."""

    n: int
    m: int
    B: int


class Blocks(NamedTuple):
    """Columns in blocks: so many for each a, of so many columns."""

    number: int
    width: int


class Operand(NamedTuple):
    """Flat elements, and the step from one to the next: 0 for one element that stands for all."""

    elements: np.ndarray
    step: int


class Scattered(NamedTuple):
    """What is scattered, where to, and into what.

    The result begins as `initial`, or holds its first values already where that is empty. Then the elements that the
    index names are set to ``identity[0]``, unless that is empty. Then `src` is combined with them.
    """

    initial: Operand
    identity: np.ndarray
    index: np.ndarray
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


@jit
def _gather_rows(first, last, sizes, x, index, out, wrong):
    """Rows `first` to `last` - 1 of the (A m, B) of the result."""
    n, m, B = sizes
    bad = False
    if B == 1:
        k = first
        while k < last:
            start, stop = k // m * n, min(last, (k // m + 1) * m)
            for i in range(k, stop):
                place = index[i]
                inside = (place >= 0) & (place < n)
                bad |= not inside
                out[i] = x[start + (place if inside else 0)]
            k = stop
    else:
        for row in range(first, last):
            start = row // m * n
            for b in range(B):
                place = index[row * B + b]
                inside = (place >= 0) & (place < n)
                bad |= not inside
                out[row * B + b] = x[(start + (place if inside else 0)) * B + b]
    wrong[first // max(1, TASK // B)] = bad


@jit
def gather_along(sizes, x, index, out, threads):
    """Gather (A, n, B) by (A, m, B), all flat; returns whether all indices are inside. n must not be 0."""
    rows, grain = out.size // sizes.B, max(1, TASK // sizes.B)
    wrong = np.zeros((rows + grain - 1) // grain, np.bool_)
    parallel_for(_gather_rows, rows, grain, threads, (sizes, x, index, out, wrong))
    return not wrong.any()


@jit
def _select_rows(first, last, sizes, x, index, out):
    n, m, B = sizes
    if B == 1:
        k = first
        while k < last:
            start, stop = k // m * n, min(last, (k // m + 1) * m)
            for i in range(k, stop):
                out[i] = x[start + index[i - k // m * m]]
            k = stop
    else:
        for row in range(first, last):
            start, target = (row // m * n + index[row % m]) * B, row * B
            for b in range(B):
                out[target + b] = x[start + b]


@jit
def select_along(sizes, x, index, out, threads):
    """Rows of (A, n, B) by (m,): the result is (A, m, B). The indices must be inside."""
    parallel_for(_select_rows, out.size // sizes.B, max(1, TASK // sizes.B), threads, (sizes, x, index, out))


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
def _blocks_of(A, B):
    """How the columns are cut into blocks, from the shapes alone."""
    wanted = max(1, min(LEAST_TASKS // A, (B + ALIGNED - 1) // ALIGNED))
    width = min(((B + wanted - 1) // wanted + ALIGNED - 1) // ALIGNED * ALIGNED, B)
    return Blocks((B + width - 1) // width, width)


@jit(inline=True)
def _begin(sizes, a, first, last, initial, out):
    """Copy columns `first` to `last` - 1 of `initial` to the result, unless they are there."""
    source, step = initial
    if source.size:
        for row in range(a * sizes.n, (a + 1) * sizes.n):
            for i in range(row * sizes.B + first, row * sizes.B + last):
                out[i] = source[i * step]


def _scatter(combined):
    """Jitted ``loop(A, sizes, scattered, out, threads)``: returns whether all indices are inside. All sizes must be at
    least 1."""

    @jit(inline=True)
    def scatter_columns(sizes, a, first, last, index, src, out):
        n, m, B = sizes
        elements, step = src
        bad = False
        if B == 1:  # without an inner loop of one element
            for k in range(a * m, (a + 1) * m):
                place = index[k]
                if (place >= 0) & (place < n):
                    out[a * n + place] = combined(out[a * n + place], elements[k * step])
                else:
                    bad = True
        else:
            for row in range(a * m, (a + 1) * m):
                for b in range(first, last):
                    place = index[row * B + b]
                    if (place >= 0) & (place < n):
                        at = (a * n + place) * B + b
                        out[at] = combined(out[at], elements[(row * B + b) * step])
                    else:
                        bad = True
        return bad

    @jit
    def blocks_of_columns(first, last, sizes, blocks, scattered, out, wrong):
        initial, identity, index, src = scattered
        bad = False
        for block in range(first, last):
            a, begin = block // blocks.number, block % blocks.number * blocks.width
            end = min(begin + blocks.width, sizes.B)
            _begin(sizes, a, begin, end, initial, out)
            if identity.size:
                _reset(sizes, a, begin, end, index, identity, out)
            bad |= scatter_columns(sizes, a, begin, end, index, src, out)
        if bad:
            wrong[first] = True

    @jit
    def loop(A, sizes, scattered, out, threads):
        blocks = _blocks_of(A, sizes.B)
        wrong = np.zeros(A * blocks.number, np.bool_)
        grain = max(1, TASK // ((sizes.n + sizes.m) * blocks.width))
        parallel_for(blocks_of_columns, wrong.size, grain, threads, (sizes, blocks, scattered, out, wrong))
        return not wrong.any()

    return loop


@jit
def _reset(sizes, a, first, last, index, identity, out):
    """Set the elements that the index names in these columns to the identity."""
    n, m, B = sizes
    for row in range(a * m, (a + 1) * m):
        for b in range(first, last):
            place = index[row * B + b]
            if (place >= 0) & (place < n):
                out[(a * n + place) * B + b] = identity[0]


_SUM = _scatter(_added)
SCATTER = {
    "assign": _scatter(_assigned),
    "sum": _SUM,
    "prod": _scatter(_multiplied),
    "amax": _scatter(_larger),
    "amin": _scatter(_smaller),
}


# --- rows added ------------------------------------------------------------------------------------------------------


@jit
def _add_blocks(first, last, sizes, blocks, initial, index, terms, out):
    n, m, B = sizes
    source, factor = terms
    for block in range(first, last):
        a, begin = block // blocks.number, block % blocks.number * blocks.width
        end = min(begin + blocks.width, B)
        _begin(sizes, a, begin, end, initial, out)
        for j in range(m):
            at, target = (a * m + j) * B, (a * n + index[j]) * B
            for b in range(begin, end):
                out[target + b] += factor[0] * source[at + b]


@jit
def add_along(A, sizes, initial, index, terms, out, threads):
    """Rows of (A, n, B) by (m,): ``out[a, index[j]] += factor * source[a, j]``, from `initial`; ``terms = source,
    factor``. The indices must be inside, all sizes at least 1."""
    blocks = _blocks_of(A, sizes.B)
    grain = max(1, TASK // ((sizes.n + sizes.m) * blocks.width))
    arguments = sizes, blocks, initial, index, terms, out
    parallel_for(_add_blocks, A * blocks.number, grain, threads, arguments)


# --- ladders ---------------------------------------------------------------------------------------------------------


@jit
def gather_loops(x, index, out):
    """Adds the check of the indices, and one loop where nothing lies behind the dimension."""
    _, m, B = out.shape
    gather_along(Sizes(x.shape[1], m, B), x.reshape(-1), index.reshape(-1), out.reshape(-1), 1)


@jit
def scatter_add_loops(x, index, src, out):
    """Adds the check of the indices, and the copy of each block of columns just before they are needed."""
    A, n, B = x.shape
    scattered = Scattered(Operand(x.reshape(-1), 1), x.reshape(-1)[:0], index.reshape(-1), Operand(src.reshape(-1), 1))
    _SUM(A, Sizes(n, src.shape[1], B), scattered, out.reshape(-1), 1)


VARIANTS = {
    "gather": {"naive": gather_naive, "checked": gather_loops},
    "scatter_add": {"naive": scatter_add_naive, "blocks": scatter_add_loops},
}
