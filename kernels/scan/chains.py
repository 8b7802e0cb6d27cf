r"""Sums and products so far.

    cumsum:  y_i = x_0 + ... + x_i          dx_k = dy_k + ... + dy_{n-1}: the same scan from the end
    cumprod: y_i = x_0 * ... * x_i

One operation an element; one element read, one written. Totals are float64, so that a float32 result of any length is
rounded once.

A scan is a chain: each step waits for the one before, 2 to 4 cycles, though a core could start several a cycle. In rows
of floats, a vector is scanned by itself, and the chain has one step a vector. Elsewhere four chains run side by
side: those of neighbouring slices, or of parts of a long one. The parts begin with the sum of what comes before them:

    x        ├── part 0 ──┼── part 1 ──┼── part 2 ──┤      pass 1: sums of the parts, in vectors
    carries  0            s0           s0 + s1             pass 2: the scans of the parts, side by side

Products are not split: that of a part may overflow where the product so far is small.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.simd import flat
from kernels.simd.prefix import (
    double_count,
    first_lane,
    last_lane,
    load_doubles,
    products_so_far,
    store_doubles,
    sums_so_far,
    sums_to_end,
)

PART = 2**13  # elements of a part: 32 or 64 KiB, which stay in L2 from pass 1 to pass 2
TASK = 2**14  # elements of a task, at least 5 us of work
SHARES = 16  # blocks of columns, at least about, where threads cannot have an equal number of them
ALIGNED = 16  # columns of a block, a multiple of: a cache line of float32
ENOUGH = 16  # rows from which there is enough to share out without parts
COLUMNS = 1024  # of a block: their totals and numbers, 16 KiB, stay in L1
NARROW = 8  # columns below which each is a chain; more are scanned in vectors


class Slices(NamedTuple):
    """The slices of an array (outer, n, inner), each in `parts` parts; `backward`: they are scanned from the end."""

    n: int
    inner: int
    parts: int
    backward: bool


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit(fastmath=False)
def cumsum_naive(x, out):
    """``out[row, i] = sum(x[row, : i + 1])``"""
    rows, columns = x.shape
    for row in range(rows):
        total = 0.0
        for i in range(columns):
            total += np.float64(x[row, i])
            out[row, i] = total


@jit(fastmath=False)
def cumprod_naive(x, out):
    """``out[row, i] = prod(x[row, : i + 1])``"""
    rows, columns = x.shape
    for row in range(rows):
        total = 1.0
        for i in range(columns):
            total *= np.float64(x[row, i])
            out[row, i] = total


# --- geometry --------------------------------------------------------------------------------------------------------


@jit(inline=True)
def slice_at(number, n, inner):
    """Offset of the first element of slice `number`."""
    return number // inner * n * inner + number % inner


@jit(inline=True)
def _part_at(number, slices):
    """Offset of the first element of part `number` in the order of the scan, and its length."""
    n, inner, parts, backward = slices
    first = number % parts * PART
    count = min(PART, n - first) if parts > 1 else n
    start = slice_at(number // parts, n, inner)
    return start + (n - 1 - first if backward else first) * inner, count


@jit
def column_block(outer, inner, threads):
    """Columns of a block: as many as L1 has room for, so that memory is read in long pieces, and fewer where the
    threads would not share the blocks evenly. What is computed of a column does not depend on it."""
    shares = 1 if outer % threads == 0 else max(1, threads // outer if threads % outer == 0 else SHARES // outer)
    blocks = (inner + shares * COLUMNS - 1) // (shares * COLUMNS) * shares
    return ((inner + blocks - 1) // blocks + ALIGNED - 1) // ALIGNED * ALIGNED


# --- the scans -------------------------------------------------------------------------------------------------------


@jit(fastmath=False)
def _add(total, x):
    return total + x


@jit(fastmath=False)
def _multiply(total, x):
    return total * x


@jit(inline=True)
def _carry_at(number, carries, slices):
    """The total before a part: of one for each, or the start for all."""
    return carries[number if slices.parts > 1 else 0]


@jit(inline=True)
def _carries_at(number, carries, slices):
    return _carry_at(number, carries, slices), _carry_at(number + 1, carries, slices)


@jit
def _sum_parts(first, last, x, carries, slices):
    elements, step = flat(x), -slices.inner if slices.backward else slices.inner
    for number in range(first, last):
        at, count = _part_at(number, slices)
        total = carries[0] * 0
        for i in range(count):
            total += elements[at + i * step]
        carries[number] = total


@jit(fastmath=False)
def _carry(carries, slices):
    """From the sum of each part to the sum of those before it."""
    for first in range(0, carries.size, slices.parts):
        total = carries[first] * 0
        for number in range(first, first + slices.parts):
            more, carries[number] = carries[number], total
            total += more


def _chains_of(combine):
    """Jitted ``scan_parts(first, last, x, y, carries, slices)``, four parts at a time, and the scan of one of them."""

    @jit(inline=True, fastmath=False)
    def chain(x, y, at, step, count, total):
        for i in range(count):
            total = combine(total, x[at + i * step])
            y[at + i * step] = total

    @jit(inline=True, fastmath=False)
    def side_by_side(x, y, places, step, count, totals):
        """Four chains of the same length; returns where each has arrived."""
        a, b, c, d = places
        p, q, r, s = totals
        for _ in range(count):
            p, q = combine(p, x[a]), combine(q, x[b])
            r, s = combine(r, x[c]), combine(s, x[d])
            y[a], y[b], y[c], y[d] = p, q, r, s
            a, b, c, d = a + step, b + step, c + step, d + step
        return p, q, r, s

    @jit(fastmath=False)
    def scan_parts(first, last, x, y, carries, slices):
        x, y, step = flat(x), flat(y), -slices.inner if slices.backward else slices.inner
        number = first
        while number + 4 <= last:
            a, m = _part_at(number, slices)
            b, n = _part_at(number + 1, slices)
            c, o = _part_at(number + 2, slices)
            d, p = _part_at(number + 3, slices)
            count = min(min(m, n), min(o, p))
            done = count * step
            before, after = _carries_at(number, carries, slices), _carries_at(number + 2, carries, slices)
            w, q, r, s = side_by_side(x, y, (a, b, c, d), step, count, (*before, *after))
            chain(x, y, a + done, step, m - count, w)
            chain(x, y, b + done, step, n - count, q)
            chain(x, y, c + done, step, o - count, r)
            chain(x, y, d + done, step, p - count, s)
            number += 4
        for each in range(number, last):
            at, count = _part_at(each, slices)
            chain(x, y, at, step, count, _carry_at(each, carries, slices))

    return scan_parts, chain


def _vectors_of(combine, so_far, to_end):
    """Jitted ``scan_rows(first, last, x, y, carries, slices)`` of floats, by the scan of a vector: the chain has one
    step for each of these."""

    @jit(inline=True, fastmath=False)
    def one_by_one(x, y, at, step, count, total):
        for i in range(count):
            total = combine(total, np.float64(x[at + i * step]))
            y[at + i * step] = total

    @jit(fastmath=False)
    def scan_rows(first, last, x, y, carries, slices):
        x, y, lanes, step = flat(x), flat(y), double_count(x), -1 if slices.backward else 1
        for number in range(first, last):
            at, count = _part_at(number, slices)
            total = _carry_at(number, carries, slices)
            i, whole = np.int64(0), count - count % lanes
            while i < whole:
                if slices.backward:
                    here = at - i - lanes + 1
                    scanned = to_end(load_doubles(x, here))
                    whole_sum = first_lane(scanned)
                else:
                    here = at + i
                    scanned = so_far(load_doubles(x, here))
                    whole_sum = last_lane(scanned)
                if whole_sum - whole_sum != 0:  # perhaps infinite only without what comes before
                    break
                store_doubles(y, here, combine(scanned, total))
                total = combine(total, whole_sum)
                i += lanes
            one_by_one(x, y, at + i * step, step, count - i, total)

    return scan_rows


def _columns_of(combine):
    """Jitted ``scan_columns(first, last, x, y, carries, slices, width)``: blocks of neighbouring columns, which the
    compiler makes vectors of."""

    @jit(fastmath=False)
    def scan_columns(first, last, x, y, carries, slices, width):
        n, inner, _, backward = slices
        x, y, blocks = flat(x), flat(y), (inner + width - 1) // width
        memory = np.empty(COLUMNS, carries.dtype)
        totals = flat(memory)
        for task in range(first, last):
            j = task % blocks * width
            at, count = task // blocks * n * inner + j, min(width, inner - j)
            for k in range(count):
                totals[k] = carries[0]
            for i in range(n):
                row = at + (n - 1 - i if backward else i) * inner
                for k in range(count):
                    total = combine(totals[k], x[row + k])
                    totals[k] = total
                    y[row + k] = total

    return scan_columns


def _scan_of(combine, split, scan_rows=None):
    """Jitted ``loops(x, y, outer, n, inner, start, backward, threads)``: scans along the middle axis of flat arrays,
    from the total `start` on, whose type is that of all totals; of rows by `scan_rows`, else by chains."""
    scan_parts, chain = _chains_of(combine)
    scan_rows, scan_columns = scan_rows or scan_parts, _columns_of(combine)

    @jit(fastmath=False)
    def loops(x, y, outer, n, inner, start, backward, threads):
        if inner >= NARROW:
            width = column_block(outer, inner, threads)
            tasks = outer * ((inner + width - 1) // width)
            grain = max(1, TASK // (n * width))
            arguments = x, y, np.full(1, start), Slices(n, inner, 1, backward), width
            parallel_for(scan_columns, tasks, grain, threads, arguments)
            return
        parts = (n + PART - 1) // PART if split and inner == 1 and outer < ENOUGH else 1
        slices = Slices(n, inner, parts, backward)
        number = outer * inner * parts
        carries = np.full(number if parts > 1 else 1, start)
        grain = max(1, TASK // (4 * min(n, PART))) * 4 if parts > 1 or n < TASK else 4 if outer * inner > 16 else 1
        if parts > 1:
            parallel_for(_sum_parts, number, grain, threads, (x, carries, slices))
            _carry(carries, slices)
        if inner == 1:
            parallel_for(scan_rows, number, grain, threads, (x, y, carries, slices))
        else:
            parallel_for(scan_parts, number, grain, threads, (x, y, carries, slices))
        if parts > 1:
            for each in range(outer * inner):
                total = carries[(each + 1) * parts - 1]
                if total - total != 0:  # perhaps only the sum of a part is infinite: the whole slice as one chain
                    step = -inner if backward else inner
                    at = slice_at(each, n, inner) + ((n - 1) * inner if backward else 0)
                    chain(flat(x), flat(y), at, step, n, start)

    return loops


add_rows = _vectors_of(_add, sums_so_far, sums_to_end)
# of float32: the product of a vector's lanes cannot leave the range of float64
multiply_rows = _vectors_of(_multiply, products_so_far, products_so_far)
cumsum_loops, cumprod_loops = _scan_of(_add, True, add_rows), _scan_of(_multiply, False, multiply_rows)
# of integers, and of float64
cumsum_chains, cumprod_chains = _scan_of(_add, True), _scan_of(_multiply, False)


@jit
def cumsum_rows(x, out):
    """Adds the scan of a vector."""
    cumsum_loops(flat(x), flat(out), x.shape[0], x.shape[1], 1, 0.0, False, 1)


@jit
def cumprod_rows(x, out):
    """Adds chains side by side."""
    cumprod_chains(flat(x), flat(out), x.shape[0], x.shape[1], 1, 1.0, False, 1)


VARIANTS = {
    "cumsum": {"naive": cumsum_naive, "vectors": cumsum_rows},
    "cumprod": {"naive": cumprod_naive, "chains": cumprod_rows},
}
