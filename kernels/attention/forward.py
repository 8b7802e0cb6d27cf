r"""Attention by tiles: the matrix of scores never exists.

    s = scale q kᵀ         p = exp(s - m),  m = max s         out = p v / sum p          lse = m + log sum p

Keys come in blocks of KEYS. A block's keys are packed as the micro-kernel of `gemm` wants them and serve all query rows
of an item of work; for each tile of MR query rows the block's scores stay in L1 from the first product to the second:

                 keys of the block                            widths of v
               ┌───────────────────┐                         ┌──────────┐
      MR rows  │  s = q kᵀ  → p     │    ·   v (KEYS x Ev)  =  │ out +=   │      m, l, out of the rows are rescaled by
      of q     └───────────────────┘                         └──────────┘      exp(m_old - m_new) before

2 L S (E + Ev) FLOPs a head (half of it causal), 4 (L + S) (E + Ev) bytes, and beside the result 4 bytes a query for
lse; the scratch is some hundred kilobytes a thread, whatever L and S are.

The query heads that share a key head are taken together as one long row of queries, so that keys are packed once.
"""

import math

import numpy as np
from numba import int64, types

from kernels._checks import FLOAT32, FLOAT64
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.attention.decoding import add_values, multiply_dots
from kernels.attention.scores import drop_out, finish_scores, is_plain, rule_types, seen_keys
from kernels.gemm.micro import ADD, CHAIN, MR, NV, STORE, tile_height
from kernels.gemm.offsets import micro_kernel, pack_strips
from kernels.gemm.pack import padded, panel_padding
from kernels.reduction.peaks import decay, peak_of, store_decay
from kernels.reduction.ranges import read, write
from kernels.simd import (
    allocate,
    flat,
    fma,
    lane_count,
    load,
    release,
    shifted,
    splat,
    store,
    sum_lanes,
)

# Numba compiles a callee anew for each literal argument; these are plain values to it.
ZERO, ONE, NO = np.int64(0), np.int64(1), np.bool_(False)
PLAIN, ADDED = np.int64(STORE), np.int64(ADD)
INFINITY = float("inf")
# Keys of a block: one chain of additions of the second product. Its keys and values, 2 * 4 * 192 * 64 B, fit L2 beside
# the rows.
KEYS = CHAIN
# Query rows of an item of work, at most: they pay for packing a block of keys a hundred times over.
ROWS = 16 * MR
LEAST_ROWS = 4 * MR
# Rows that do not pay for packing keys: decoding, where each key and value is read once, as it lies.
FEW = 4
# An item should not be more than this part of all rows, so that threads have something to share.
PARTS = 16


@jit
def rows_of_item(rows, heads):
    """Query rows of an item where each of `heads` key heads has `rows` of them."""
    most = min(max((rows * heads + PARTS - 1) // PARTS, LEAST_ROWS), ROWS)
    items = max((rows + most - 1) // most, 1)
    return (rows + items - 1) // items


@jit(inline=True)
def is_few(rows, Ev, like):
    """Whether the query rows of a key head are so few that keys and values are read where they lie; the micro-kernel
    reads whole strips, so values have to fill them or leave all but one vector empty."""
    NR = NV * lane_count(like)
    return rows <= FEW and (Ev % NR == 0 or Ev % NR <= lane_count(like))


@jit
def copy_rows(x, ix, ldx, rows, columns, factor, out, to, ldo, width):
    """``out[r, j] = factor * x[r, j]``, 0 for columns <= j < width; whether all of x is finite."""
    lanes = lane_count(x)
    residue = splat(x, 0.0)
    for r in range(rows):
        of_row = splat(x, 0.0)
        for j in range(0, width, lanes):
            value = read(x, ix + r * ldx + j, columns - j, 0.0) * factor
            of_row = fma(value, 0.0, of_row)
            write(out, to + r * ldo + j, width - j, value)
        residue = residue + of_row
    return sum_lanes(residue) == 0


@jit
def multiply_add(finite, a, ia, ra, ca, rows, depth, b, ib, ldb, width, out, to, ldo, totals):
    """``out[r, :] += sum over p of a[r, p] b[p, :]``, tile by tile; rows of b have room for whole strips.

    Where b is not `finite`, products with a weight of exactly 0 are left out: what is not seen is not multiplied.
    """
    NR = NV * lane_count(out)
    if not finite:
        for r in range(rows):
            for p in range(depth):
                weight = a[ia + r * ra + p * ca]
                if weight != 0:
                    for j in range(width):
                        out[to + r * ldo + j] += weight * b[ib + p * ldb + j]
        return
    r = ZERO
    while r < rows:
        height = tile_height(rows - r)
        for j in range(0, width, NR):
            micro_kernel(
                height, a, ia + r * ra, ra, ca, b, ib + j, ldb, depth, out, to + r * ldo + j, ldo,
                min(NR, width - j), totals, ZERO, ADDED, totals,
            )  # fmt: skip
        r += height


@jit
def ranges_of_rows(first_row, height, L, keys, first, low, high, ranges):
    """The seen keys of each row, of the `keys` from `first` on, into ``ranges[2 r]`` and ``ranges[2 r + 1]``; returns
    from which on and up to which any row sees one. Row r is query r % L of head r // L of its group."""
    start, stop = keys, ZERO
    i = first_row % L
    for r in range(height):
        ranges[2 * r], ranges[2 * r + 1] = seen_keys(i, keys, first, low, high)
        if ranges[2 * r + 1] > ranges[2 * r]:
            start, stop = min(start, ranges[2 * r]), max(stop, ranges[2 * r + 1])
        i = i + 1 if i + 1 < L else ZERO
    return start, stop


@jit(merge=True)
def multiply_strips(a, ia, lda, height, depth, strips, start, stop, out, to, ldo, bias, totals):
    """``out[r, j] = sum over p of a[r, p] b[p, j]`` for all strips that hold a column start <= j < stop."""
    lanes, NR = lane_count(out), NV * lane_count(out)
    for j in range(start // NR * NR, stop, NR):
        columns = NR if stop - j > lanes else lanes
        micro_kernel(
            height, a, ia, lda, ONE, strips, j * depth, NR, depth, out, to + j, ldo, columns, bias, ZERO, PLAIN, totals
        )


@jit
def weigh_tile(
    s, lds, height, first_row, first, ranges, start, stop, n, h, heads, L, rule, peaks, sums, factors, slopes
):
    """Scores to weights, in place: ``p = exp(s - peak)``, with the peaks and sums of the rows brought up to date and
    the factors by which what has been summed before is to be multiplied."""
    if not is_plain(rule):
        for r in range(height):
            head, i = h + (first_row + r) // L, (first_row + r) % L
            finish_scores(s, r * lds, ranges[2 * r], ranges[2 * r + 1], first, n, head, i, rule, slopes, ZERO)
    for r in range(height):
        row, before = r * lds, peaks[r]
        now = max(before, peak_of(s, row + ranges[2 * r], row + ranges[2 * r + 1]))
        peaks[r] = now
        factors[r] = before - now if now > -INFINITY else 0
    for r in range(0, height, lane_count(s)):
        store(factors, r, decay(load(factors, r)))
    for r in range(height):
        row = r * lds
        for j in range(start, ranges[2 * r]):
            s[row + j] = 0
        for j in range(ranges[2 * r + 1], stop):
            s[row + j] = 0
        peak = peaks[r] if peaks[r] > -INFINITY else s.dtype.type(0)
        total = store_decay(s, s, row + ranges[2 * r], row + ranges[2 * r + 1], peak)
        sums[r] = sums[r] * factors[r] + total
    if rule[9] > 0:
        for r in range(height):  # rows are numbered head by head
            place = (n * heads + h) * L + first_row + r
            drop_out(s, r * lds, ranges[2 * r], ranges[2 * r + 1], first, place, rule)


@jit
def scale_rows(x, to, ldx, rows, width, factors):
    """``x[r, :] *= factors[r]``."""
    for r in range(rows):
        factor = factors[r]
        if factor != 1:
            for j in range(0, width, lane_count(x)):
                store(x, to + r * ldx + j, load(x, to + r * ldx + j) * factor)


@jit
def copy_heads(x, n, head, first_row, rows, factor, out, ldo, width):
    """Rows first_row ... of the group of heads that begins with `head` of x (N, heads, L, E): ``out[r] = factor x``."""
    steps, L, columns = strides_of(x), x.shape[2], x.shape[3]
    r = ZERO
    while r < rows:
        h, i = head + (first_row + r) // L, (first_row + r) % L
        count = min(L - i, rows - r)
        at = n * steps[0] + h * steps[1] + i * steps[2]
        copy_rows(flat(x), at, steps[2], count, columns, factor, out, r * ldo, ldo, width)
        r += count


@jit(inline=True)
def strides_of(x):
    """The first three strides of x, in elements."""
    return x.strides[0] // x.itemsize, x.strides[1] // x.itemsize, x.strides[2] // x.itemsize


@jit(merge=True)
def block_of_few(
    n, head, heads, L, rows, first, count, E, Ev, keys, at_k, step_k, vals, at_v, step_v, ldq, lds, ldv, rule, scratch
):
    """The rows of an item, at most FEW, against a block of `count` keys, which are read where they lie."""
    queries, s, result, peaks, sums, factors = scratch[0], scratch[3], scratch[4], scratch[5], scratch[6], scratch[7]
    slopes, totals, ranges, of_block = scratch[8], scratch[9], scratch[10], scratch[2]
    start, stop = ranges_of_rows(ZERO, rows, L, count, first, rule[2], rule[3], ranges)
    if start >= stop:
        return
    multiply_dots(queries, ZERO, ldq, rows, E, keys, at_k, step_k, start, stop, s, lds, of_block)
    weigh_tile(s, lds, rows, ZERO, first, ranges, start, stop, n, head, heads, L, rule, peaks, sums, factors, slopes)
    scale_rows(result, ZERO, ldv, rows, Ev, factors)
    for j in range(rows * ldv):
        of_block[j] = 0
    add_values(s, start, lds, rows, stop - start, vals, at_v + start * step_v, step_v, Ev, of_block, ldv, totals)
    # an infinity that nobody sees has been multiplied by 0: only the result tells
    if not add_rows(of_block, result, rows * ldv):
        multiply_add(
            NO, s, start, lds, ONE, rows, stop - start, vals, at_v + start * step_v, step_v, Ev, result, ZERO, ldv,
            totals,
        )  # fmt: skip


@jit
def add_rows(x, out, count):
    """``out += x`` if all of x is finite; whether it is."""
    residue = x.dtype.type(0)
    for j in range(count):
        residue += x[j] * 0
    if residue == 0:
        for j in range(count):
            out[j] += x[j]
    return residue == 0


@jit(merge=True)
def attend_rows(n, head, first_row, rows, q, k, v, rule, out, lse, scratch):
    """Query rows first_row ... of the heads that share key head `head`, all keys; the result into out and lse."""
    queries, strips, values, s, result, peaks, sums, factors, slopes, totals, ranges = scratch
    NR = NV * lane_count(out)
    Hq, L, E, H, S, Ev = q.shape[1], q.shape[2], q.shape[3], k.shape[1], k.shape[2], v.shape[3]
    group, low, high = Hq // H, rule[2], rule[3]
    width = (Ev + NR - 1) // NR * NR
    ldq, lds, ldv = padded(E, out), padded(KEYS, out), padded(width, out)
    key_steps, value_steps = strides_of(k), strides_of(v)
    keys, vals = flat(k), flat(v)
    at_head_k, at_head_v = n * key_steps[0] + head * key_steps[1], n * value_steps[0] + head * value_steps[1]
    few = is_few(group * L, Ev, out)
    copy_heads(q, n, head * group, first_row, rows, rule[0], queries, ldq, E)
    for r in range(rows):
        peaks[r], sums[r] = -INFINITY, 0
    for j in range(rows * ldv):
        result[j] = 0
    begin, end = S, ZERO
    for r in range(rows):
        start, stop = seen_keys((first_row + r) % L, S, ZERO, low, high)
        if stop > start:
            begin, end = min(begin, start), max(end, stop)
    for first in range(begin, end, KEYS):
        count = min(KEYS, end - first)
        at_k, at_v = at_head_k + first * key_steps[2], at_head_v + first * value_steps[2]
        if few:
            block_of_few(
                n, head * group, Hq, L, rows, first, count, E, Ev, keys, at_k, key_steps[2], vals, at_v,
                value_steps[2], ldq, lds, ldv, rule, scratch,
            )  # fmt: skip
            continue
        pack_strips(keys, at_k, ONE, key_steps[2], count, E, strips)
        finite = copy_rows(vals, at_v, value_steps[2], count, Ev, ONE, values, ZERO, ldv, width)
        r = ZERO
        while r < rows:
            height = tile_height(rows - r)
            start, stop = ranges_of_rows(first_row + r, height, L, count, first, low, high, ranges)
            if start < stop:
                multiply_strips(queries, r * ldq, ldq, height, E, strips, start, stop, s, ZERO, lds, totals, totals)
                weigh_tile(
                    s, lds, height, first_row + r, first, ranges, start, stop, n, head * group, Hq, L, rule,
                    shifted(peaks, r), shifted(sums, r), factors, slopes,
                )  # fmt: skip
                scale_rows(result, r * ldv, ldv, height, width, factors)
                multiply_add(
                    finite, s, start, lds, ONE, height, stop - start, values, start * ldv, ldv, width,
                    result, r * ldv, ldv, totals,
                )  # fmt: skip
            r += height
    write_result(n, head * group, first_row, rows, result, ldv, peaks, sums, out, lse)


@jit
def write_result(n, head, first_row, rows, result, ldr, peaks, sums, out, lse):
    """The rows of `result` by their sums into out, and the terms of ``lse = peak + log(sum)``; 0 and -inf where no key is
    seen."""
    steps, L, width = strides_of(out), out.shape[2], out.shape[3]
    to, lanes = flat(out), lane_count(out)
    for r in range(rows):
        h, i = head + (first_row + r) // L, (first_row + r) % L
        factor = out.dtype.type(1) / sums[r] if sums[r] != 0 else sums[r]
        at = n * steps[0] + h * steps[1] + i * steps[2]
        for j in range(0, width, lanes):
            write(to, at + j, width - j, load(result, r * ldr + j) * factor)
        if lse.size > 0:
            lse[0, n, h, i] = peaks[r]
            lse[1, n, h, i] = math.log(sums[r]) if sums[r] != 0 else -INFINITY


@jit
def attend_items(first_item, last_item, q, k, v, rule, out, lse):
    """Items of work first_item ... last_item - 1: (sequence, key head, block of the rows of its query heads)."""
    lanes, NR = lane_count(out), NV * lane_count(out)
    N, Hq, L, E, H, Ev = q.shape[0], q.shape[1], q.shape[2], q.shape[3], k.shape[1], v.shape[3]
    rows = Hq // H * L
    block = rows_of_item(rows, N * H)
    blocks = (rows + block - 1) // block
    ldq, lds, ldv = padded(E, out), padded(KEYS, out), padded((Ev + NR - 1) // NR * NR, out)
    scratch = (
        allocate(out, block * ldq), allocate(out, ((KEYS + NR - 1) // NR * NR) * E + panel_padding(out)),
        allocate(out, KEYS * ldv), allocate(out, MR * lds), allocate(out, block * ldv), allocate(out, block + MR),
        allocate(out, block + MR), allocate(out, MR + lanes), allocate(out, lds), allocate(out, MR * NR),
        allocate(np.int64, 2 * MR),
    )  # fmt: skip
    for item in range(first_item, last_item):
        number = item % blocks
        # from both ends in turn: under causality the last rows see most, and threads get neighbouring items
        number = number // 2 if number % 2 == 0 else blocks - 1 - number // 2
        first_row = number * block
        n, head = item // blocks // H, item // blocks % H
        attend_rows(n, head, first_row, min(block, rows - first_row), q, k, v, rule, out, lse, scratch)
    for part in scratch[:-1]:
        release(part)
    release(scratch[-1])


@jit
def attention_loops(q, k, v, rule, out, lse, threads):
    """Attention of q (N, Hq, L, E), k (N, H, S, E) and v (N, H, S, Ev) into out (N, Hq, L, Ev) and, unless it is empty,
    lse (2, N, Hq, L), the largest score and the log of the sum of the exponentials less it."""
    rows = q.shape[1] // k.shape[1] * q.shape[2]
    block = rows_of_item(rows, q.shape[0] * k.shape[1])
    items = q.shape[0] * k.shape[1] * ((rows + block - 1) // block)
    parallel_for(attend_items, items, ONE, threads, (q, k, v, rule, out, lse))


def _types(kind):
    array = types.Array(kind, 4, "A")
    return array, array, array, rule_types(kind), array, types.Array(kind, 4, "C"), int64


compiled = Compiled(attention_loops, _types)
NO_LSE = {dtype: np.zeros((0, 0, 0, 0), dtype) for dtype in (FLOAT32, FLOAT64)}
