r"""The gradients of attention, by tiles: weights are computed anew from the scores and lse, never kept.

    p = exp((s - m) - log l)    dv = pᵀ dout    dp = dout vᵀ    delta = sum of dout * out, for each query
    ds = p (dp - delta)    dq = scale ds k    dk = scale dsᵀ q   dmask = ds

The forward hands over both terms of lse = m + log l: their sum is rounded at the size of the scores, and so would be
the exponent. Apart, the weight of a key that outweighs all others is exactly 1. For that the scores have to be those of
the forward to the last bit: both come from the same products in the same order.

10 L S E FLOPs a head for five products of equal size, where the forward has two. An item of work is a key head, so
that one thread owns what is summed into dk and dv; for each block of keys it goes through all rows of the queries:

                keys of the block
               ┌─────────────────┐          s  = (scale q) kᵀ     dq += ds (scale k)
      rows of  │  p       ds     │          dp = dout vᵀ
      queries  └─────────────────┘          dv += pᵀ dout         dk += dsᵀ (scale q)

Where there are few heads, a head's blocks of keys are dealt out to several items, each with a dq of its own; they are
added up in order.
"""

import numpy as np
from numba import int64, types

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.attention.decoding import multiply_dots
from kernels.attention.forward import (
    INFINITY,
    KEYS,
    ONE,
    ZERO,
    copy_rows,
    is_few,
    multiply_add,
    multiply_strips,
    ranges_of_rows,
    strides_of,
)
from kernels.attention.scores import drop_out, finish_scores, is_plain, rule_types, seen_keys
from kernels.gemm.micro import MR, NV, tile_height
from kernels.gemm.offsets import pack_strips
from kernels.gemm.pack import padded, panel_padding
from kernels.reduction.peaks import decay
from kernels.reduction.ranges import over_range, read, sum_of, write
from kernels.simd import allocate, flat, lane_count, release, select, shifted

# Rows of queries whose weights and slopes, 2 * 4 * 112 * 192 B, stay in L2 for the products that sum over them.
ROWS = 8 * MR
# Heads from which on an item of work is a whole head.
HEADS = 8


@jit
def parts_of_head(heads, keys):
    """Among how many items the blocks of keys of each of `heads` key heads are dealt out."""
    blocks = (keys + KEYS - 1) // KEYS
    return max(min((HEADS + heads - 1) // max(heads, 1), blocks), 1)


@jit(inline=True)
def _times(x, z, p):
    return x * z


dot = sum_of(_times)


@jit(inline=True, fastmath=False)
def _log_weight(score, peak, log_sum):
    """Two subtractions, which must not become one of ``peak + log_sum``."""
    return (score - peak) - log_sum


@over_range
@jit(inline=True)
def _weights_and_slopes(j, count, s, at, d, peak, log_sum, delta):
    """``s = exp((s - peak) - log_sum)`` and ``d = s (d - delta)``; 0 for both where s is -inf, whatever stands in d."""
    score = read(s, at + j, count, -INFINITY)
    p = decay(_log_weight(score, peak, log_sum))
    p = select(score == -INFINITY, 0.0, p)
    slope = (read(d, at + j, count, 0.0) - delta) * p
    write(s, at + j, count, p)
    write(d, at + j, count, select(p == 0.0, 0.0, slope))


@jit
def slopes_of_tile(
    p, d, at, ldp, height, first_row, columns, first, ranges, n, h, heads, L, rule, lse, delta, caps, dmask
):
    """Scores p and weights' gradients d of a tile, in place, to weights and scores' gradients: 0 for unseen keys."""
    plain = is_plain(rule)
    for r in range(height):
        row, i = at + r * ldp, first_row + r
        start, stop = ranges[2 * r], ranges[2 * r + 1]
        peak, log_sum = lse[0, n, h, i], lse[1, n, h, i]
        if peak + log_sum == -INFINITY:
            start = stop = ZERO
        for j in range(start):
            p[row + j] = d[row + j] = 0
        for j in range(stop, columns):
            p[row + j] = d[row + j] = 0
        if start == stop:
            continue
        if not plain:
            finish_scores(p, row, start, stop, first, n, h, i, rule, caps, ZERO)
        place = (n * heads + h) * L + i
        if rule[9] > 0:
            drop_out(d, row, start, stop, first, place, rule)
        _weights_and_slopes(p, start, stop, p, row, d, peak, log_sum, delta[i])
        if rule[9] > 0:
            drop_out(p, row, start, stop, first, place, rule)
        if dmask.size > 0:
            for j in range(start, stop):
                dmask[n, h, i, first + j] = d[row + j]
        if rule[1] > 0:
            for j in range(start, stop):
                if d[row + j] != 0:
                    d[row + j] *= caps[j]


@jit
def ranges_of_block(first_row, rows, count, first, low, high):
    """From which key of a block on and up to which any of the rows sees one."""
    begin, end = count, ZERO
    for r in range(rows):
        start, stop = seen_keys(first_row + r, count, first, low, high)
        if stop > start:
            begin, end = min(begin, start), max(end, stop)
    return begin, end


@jit(merge=True)
def rows_back(n, h, first, count, dout, q, k, lse, rule, dq, dmask, delta, finite, scratch):
    """All rows of query head h against the block of `count` keys from `first` on, which lies in the scratch."""
    queries, douts, strips, value_strips, keys, dk, dv, p, d, caps, totals, ranges = scratch
    NR = NV * lane_count(dq)
    Hq, L, E, Ev = q.shape[1], q.shape[2], q.shape[3], dout.shape[3]
    width, value_width = (E + NR - 1) // NR * NR, (Ev + NR - 1) // NR * NR
    ldk, ldv, ldp = padded(width, dq), padded(value_width, dq), padded(KEYS, dq)
    q_steps, dout_steps, dq_steps = strides_of(q), strides_of(dout), strides_of(dq)
    at_q, at_dout = n * q_steps[0] + h * q_steps[1], n * dout_steps[0] + h * dout_steps[1]
    at_dq, few = n * dq_steps[0] + h * dq_steps[1], is_few(Hq // k.shape[1] * L, Ev, dq)
    key_steps = strides_of(k)
    at_k = n * key_steps[0] + h // (Hq // k.shape[1]) * key_steps[1] + first * key_steps[2]
    for first_row in range(0, L, ROWS):
        rows = min(ROWS, L - first_row)
        begin, end = ranges_of_block(first_row, rows, count, first, rule[2], rule[3])
        if begin >= end:
            continue
        finite_rows = copy_rows(
            flat(q), at_q + first_row * q_steps[2], q_steps[2], rows, E, rule[0], queries, ZERO, ldk, width
        )
        finite_rows &= copy_rows(
            flat(dout), at_dout + first_row * dout_steps[2], dout_steps[2], rows, Ev, ONE, douts, ZERO, ldv, value_width
        )
        r = ZERO
        while r < rows:
            height, at = tile_height(rows - r), r * ldp
            start, stop = ranges_of_rows(first_row + r, height, L, count, first, rule[2], rule[3], ranges)
            if few:  # as the forward does it
                rows_of_p = shifted(p, at)
                multiply_dots(
                    queries, r * ldk, ldk, height, E, flat(k), at_k, key_steps[2], start, stop, rows_of_p, ldp, totals
                )
            else:
                multiply_strips(queries, r * ldk, ldk, height, E, strips, start, stop, p, at, ldp, totals, totals)
            multiply_strips(douts, r * ldv, ldv, height, Ev, value_strips, start, stop, d, at, ldp, totals, totals)
            slopes_of_tile(
                p, d, at, ldp, height, first_row + r, count, first, ranges, n, h, Hq, L, rule, lse, delta, caps, dmask
            )
            if start < stop:
                multiply_add(
                    finite, d, at + start, ldp, ONE, height, stop - start, keys, start * ldk, ldk, E,
                    flat(dq), at_dq + (first_row + r) * dq_steps[2], dq_steps[2], totals,
                )  # fmt: skip
            r += height
        r = begin
        while r < end:
            height = tile_height(end - r)
            # only rows that see one of these keys
            start = max(first + r - rule[3] - first_row, 0)
            stop = min(first + r + height - rule[2] - first_row, rows)
            if start < stop:
                multiply_add(
                    finite_rows, p, start * ldp + r, ONE, ldp, height, stop - start, douts, start * ldv, ldv,
                    value_width, dv, r * ldv, ldv, totals,
                )  # fmt: skip
                multiply_add(
                    finite_rows, d, start * ldp + r, ONE, ldp, height, stop - start, queries, start * ldk, ldk,
                    width, dk, r * ldk, ldk, totals,
                )  # fmt: skip
            r += height


@jit
def deltas_of(n, head, group, dout, out, delta, dq):
    """``delta = sum of dout * out`` for all rows of a group of heads, and ``dq = 0``."""
    L, width = dq.shape[2], dq.shape[3]
    dout_steps, out_steps, dq_steps = strides_of(dout), strides_of(out), strides_of(dq)
    for g in range(group):
        for i in range(L):
            left = shifted(flat(dout), n * dout_steps[0] + (head + g) * dout_steps[1] + i * dout_steps[2])
            right = shifted(flat(out), n * out_steps[0] + (head + g) * out_steps[1] + i * out_steps[2])
            delta[g * L + i] = dot(left, right, ZERO, ZERO, dout.shape[3])
            at = n * dq_steps[0] + (head + g) * dq_steps[1] + i * dq_steps[2]
            for e in range(width):
                flat(dq)[at + e] = 0


@jit(merge=True)
def keys_back(n, head, first, count, dout, q, k, v, lse, rule, dq, dk, dv, dmask, delta, scratch):
    """The block of `count` keys of key head `head` from `first` on, all rows of the heads that share it."""
    strips, value_strips, keys, key_slopes, value_slopes = scratch[2], scratch[3], scratch[4], scratch[5], scratch[6]
    NR = NV * lane_count(dk)
    E, Ev, L, group = k.shape[3], v.shape[3], q.shape[2], q.shape[1] // k.shape[1]
    width, value_width = (E + NR - 1) // NR * NR, (Ev + NR - 1) // NR * NR
    ldk, ldv = padded(width, dk), padded(value_width, dk)
    k_steps, v_steps, dk_steps, dv_steps = strides_of(k), strides_of(v), strides_of(dk), strides_of(dv)
    at_k = n * k_steps[0] + head * k_steps[1] + first * k_steps[2]
    at_v = n * v_steps[0] + head * v_steps[1] + first * v_steps[2]
    pack_strips(flat(k), at_k, ONE, k_steps[2], count, E, strips)
    pack_strips(flat(v), at_v, ONE, v_steps[2], count, Ev, value_strips)
    finite = copy_rows(flat(k), at_k, k_steps[2], count, E, rule[0], keys, ZERO, ldk, width)
    for j in range(count * ldk):
        key_slopes[j] = 0
    for j in range(count * ldv):
        value_slopes[j] = 0
    for g in range(group):
        rows_back(
            n, head * group + g, first, count, dout, q, k, lse, rule, dq, dmask, shifted(delta, g * L), finite, scratch
        )
    at_dk = n * dk_steps[0] + head * dk_steps[1] + first * dk_steps[2]
    at_dv = n * dv_steps[0] + head * dv_steps[1] + first * dv_steps[2]
    copy_rows(key_slopes, ZERO, ldk, count, E, ONE, flat(dk), at_dk, dk_steps[2], E)
    copy_rows(value_slopes, ZERO, ldv, count, Ev, ONE, flat(dv), at_dv, dv_steps[2], Ev)


@jit
def back_items(first_item, last_item, dout, q, k, v, out, lse, rule, dq, dk, dv, dmask):
    """Items of work first_item ... last_item - 1: (sequence, key head, part of its blocks of keys).

    dq (parts, N, Hq, L, E) receives a gradient from each part.
    """
    NR = NV * lane_count(dk)
    H, S, E, Ev, L, group = k.shape[1], k.shape[2], k.shape[3], v.shape[3], q.shape[2], q.shape[1] // k.shape[1]
    width, value_width = (E + NR - 1) // NR * NR, (Ev + NR - 1) // NR * NR
    ldk, ldv, ldp, columns = padded(width, dk), padded(value_width, dk), padded(KEYS, dk), (KEYS + NR - 1) // NR * NR
    scratch = (
        allocate(dk, ROWS * ldk), allocate(dk, ROWS * ldv), allocate(dk, columns * E + panel_padding(dk)),
        allocate(dk, columns * Ev + panel_padding(dk)), allocate(dk, KEYS * ldk), allocate(dk, KEYS * ldk),
        allocate(dk, KEYS * ldv), allocate(dk, ROWS * ldp), allocate(dk, ROWS * ldp), allocate(dk, ldp),
        allocate(dk, MR * NR), allocate(np.int64, 2 * MR),
    )  # fmt: skip
    delta = allocate(dk, group * L)
    parts = dq.shape[0]
    for item in range(first_item, last_item):
        n, head, part = item // parts // H, item // parts % H, item % parts
        deltas_of(n, head * group, group, dout, out, delta, dq[part])
        for first in range(part * KEYS, S, parts * KEYS):
            count = min(KEYS, S - first)
            keys_back(n, head, first, count, dout, q, k, v, lse, rule, dq[part], dk, dv, dmask, delta, scratch)
    for array in scratch[:-1]:
        release(array)
    release(scratch[-1])
    release(delta)


@jit
def attention_backward_loops(dout, q, k, v, out, lse, rule, dq, dk, dv, dmask, threads):
    """Gradients of `forward.attention_loops`; dq (parts, N, Hq, L, E) receives a sum from each part of the keys, dmask
    (N, Hq, L, S), unless it is empty, the gradient of all scores (zeros where no key is seen stay as they are)."""
    items = k.shape[0] * k.shape[1] * dq.shape[0]
    parallel_for(back_items, items, ONE, threads, (dout, q, k, v, out, lse, rule, dq, dk, dv, dmask))


def _types(kind):
    array = types.Array(kind, 4, "A")
    return (
        *(array,) * 5, types.Array(kind, 4, "C"), rule_types(kind), types.Array(kind, 5, "A"), array, array,
        types.Array(kind, 4, "C"), int64,
    )  # fmt: skip


compiled = Compiled(attention_backward_loops, _types)
