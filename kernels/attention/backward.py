r"""The gradients of attention, by tiles: weights are recomputed from the scores and lse, never saved.

    p = exp((s - m) - log l)    dv = pᵀ dout    dp = dout vᵀ    delta = sum of p * dp, for each query
    ds = p (dp - delta)         dq = scale ds k                 dk = scale dsᵀ q                 dmask = ds

The forward hands over the two terms of lse = m + log l separately. Their sum would be rounded to the precision of the
scores, and so would the exponent; separately, a key that dominates its row gets the weight 1 exactly. This needs scores
that equal the forward's to the last bit: both come from the same products in the same order.

delta equals the sum of dout * out, and is computed so where a query's visible keys span several blocks. Where they are
in one block, it is summed from p and dp, and dp - delta is exactly 0 for a key that dominates its row.

10 L S E FLOPs a head for five products of equal size, where the forward has two. A task is a key head, so that one
thread owns what is summed into dk and dv; for each block of keys it goes through all rows of the queries:

                keys of the block
               ┌─────────────────┐          s  = (scale q) kᵀ     dq += ds (scale k)
      rows of  │  p       ds     │          dp = dout vᵀ
      queries  └─────────────────┘          dv += pᵀ dout         dk += dsᵀ (scale q)

Where there are few heads, a head's blocks of keys are divided among several tasks, each with its own dq; these are
added up in order.
"""

from typing import NamedTuple

import numpy as np
from numba import int64, types

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.attention.decoding import is_few, multiply_dots, totals_size
from kernels.attention.driver import Operands
from kernels.attention.score_gradients import ROWS, differentiate_tile, dot
from kernels.attention.scores import Block, Rule, rule_types
from kernels.attention.tiles import (
    KEYS,
    ZERO,
    Group,
    Tile,
    Visible,
    add_product,
    clear,
    copy_rows,
    multiply_panels,
    panel_columns,
    visible_to_rows,
    visible_to_tile,
)
from kernels.gemm.driver import Shape
from kernels.gemm.micro import MR, tile_height
from kernels.gemm.pack import pack_b, padded, panel_padding
from kernels.simd import allocate, flat, matrix_at, release, shifted, strided

ONE = np.int64(1)
# From this number of heads on, a task is a whole head.
HEADS = 8


class Saved(NamedTuple):
    """The gradient of the result, what the forward saved, and delta for the rows of a group of heads."""

    dout: np.ndarray
    lse: np.ndarray
    delta: object


class Gradients(NamedTuple):
    """What receives the gradients: dq (N, Hq, L, E) of this split, dk, dv, and dmask (N, Hq, L, S), which may be
    empty."""

    dq: np.ndarray
    dk: np.ndarray
    dv: np.ndarray
    dmask: np.ndarray


class Keys(NamedTuple):
    """A block of keys, the keys where they lie, as a view, and whether all of them are finite."""

    block: Block
    K: object
    finite: bool


class Widths(NamedTuple):
    """Of rows of queries and keys, and of values, rounded up to whole panels."""

    keys: int
    values: int


class BackwardScratch(NamedTuple):
    """Memory of one thread."""

    queries: object  # ROWS rows of queries, scaled, and of the result's gradients
    douts: object
    key_panels: object  # a block of keys and values, packed
    value_panels: object
    keys: object  # the block's keys, scaled
    dk: object  # sums of the block
    dv: object
    weights: object  # of ROWS rows and a block: scores, then weights
    dscores: object  # gradients of weights, then of scores
    softcap_grad: object
    totals: object  # of the micro-kernel, and of `multiply_dots`
    visible: Visible


@jit
def splits_of_head(heads, keys):
    """Number of tasks among which the blocks of keys of each of `heads` key heads are divided."""
    blocks = (keys + KEYS - 1) // KEYS
    return max(min((HEADS + heads - 1) // max(heads, 1), blocks), 1)


@jit(merge=True)
def weights_of_rows(rows, keys, group, operands, saved, gradients, scratch):
    """Weights and scores' gradients of `rows` (a Tile of at most ROWS rows) for a block of keys, and their terms of
    dq."""
    q, k, _, rule = operands
    block, K, finite = keys
    E, Ev = q.shape[3], saved.dout.shape[3]
    few = is_few(q.shape[1] // k.shape[1] * group.L, Ev, q)
    weights, dscores, totals = scratch.weights, scratch.dscores, scratch.totals
    DQ = matrix_at(gradients.dq, (group.n, group.head)).row(rows.first_row)
    r = ZERO
    while r < rows.height:
        height = tile_height(rows.height - r)
        tile = Tile(rows.first_row + r, height)
        columns = visible_to_tile(tile, group.L, block, rule.low, rule.high, scratch.visible)
        if few:  # as the forward does it
            multiply_dots(scratch.queries.row(r), height, K, E, columns, weights.row(r), totals)
        else:
            multiply_panels(scratch.queries.row(r), height, E, scratch.key_panels, columns, weights.row(r), totals)
        multiply_panels(scratch.douts.row(r), height, Ev, scratch.value_panels, columns, dscores.row(r), totals)
        differentiate_tile(tile, block, k.shape[2], group, rule, saved, gradients.dmask, scratch)
        if columns.start < columns.stop:
            shape = Shape(height, E, columns.stop - columns.start)
            add_product(finite, dscores.at(r, columns.start), scratch.keys.row(columns.start), shape, DQ.row(r), totals)
        r += height


@jit(merge=True)
def add_to_keys(rows, block, columns, finite, rule, widths, scratch):
    """The terms of dk and dv that `rows` have for the `columns` of a block of keys."""
    weights, dscores, totals = scratch.weights, scratch.dscores, scratch.totals
    j = columns.start
    while j < columns.stop:
        height = tile_height(columns.stop - j)
        # only rows to which one of these keys is visible
        start = max(block.first + j - rule.high - rows.first_row, 0)
        stop = min(block.first + j + height - rule.low - rows.first_row, rows.height)
        if start < stop:
            count = stop - start
            shape_v, shape_k = Shape(height, widths.values, count), Shape(height, widths.keys, count)
            add_product(finite, weights.at(start, j).T, scratch.douts.row(start), shape_v, scratch.dv.row(j), totals)
            add_product(finite, dscores.at(start, j).T, scratch.queries.row(start), shape_k, scratch.dk.row(j), totals)
        j += height


@jit(merge=True)
def head_backward(keys, group, operands, saved, gradients, scratch):
    """All rows of a query head (the first of `group`) against a block of keys, which is in the scratch."""
    q, rule, block = operands.q, operands.rule, keys.block
    E, Ev, one = q.shape[3], saved.dout.shape[3], q.dtype.type(1)
    widths = Widths(panel_columns(E, q), panel_columns(Ev, q))
    Q, DOUT = matrix_at(q, (group.n, group.head)), matrix_at(saved.dout, (group.n, group.head))
    for first_row in range(0, group.L, ROWS):
        rows = Tile(first_row, min(ROWS, group.L - first_row))
        columns = visible_to_rows(rows.first_row, rows.height, group.L, block, rule.low, rule.high)
        if columns.start >= columns.stop:
            continue
        finite = copy_rows(Q.row(first_row), rows.height, E, rule.scale, scratch.queries, widths.keys)
        finite &= copy_rows(DOUT.row(first_row), rows.height, Ev, one, scratch.douts, widths.values)
        weights_of_rows(rows, keys, group, operands, saved, gradients, scratch)
        add_to_keys(rows, block, columns, finite, rule, widths, scratch)


@jit(merge=True)
def keys_backward(n, head, block, operands, saved, gradients, scratch):
    """A block of keys of key head `head`, all rows of the query heads that share it."""
    q, k, v, rule = operands
    Hq, L, E, Ev, one = q.shape[1], q.shape[2], k.shape[3], v.shape[3], k.dtype.type(1)
    group_size, width = Hq // k.shape[1], panel_columns(E, k)
    K, V = matrix_at(k, (n, head)).row(block.first), matrix_at(v, (n, head)).row(block.first)
    pack_b(K.T, block.count, E, scratch.key_panels)
    pack_b(V.T, block.count, Ev, scratch.value_panels)
    keys = Keys(block, K, copy_rows(K, block.count, E, rule.scale, scratch.keys, width))
    clear(flat(scratch.dk), block.count * scratch.dk.row_stride)
    clear(flat(scratch.dv), block.count * scratch.dv.row_stride)
    for g in range(group_size):
        of_head = Saved(saved.dout, saved.lse, shifted(saved.delta, g * L))
        head_backward(keys, Group(n, head * group_size + g, Hq, L), operands, of_head, gradients, scratch)
    DK, DV = matrix_at(gradients.dk, (n, head)).row(block.first), matrix_at(gradients.dv, (n, head)).row(block.first)
    copy_rows(scratch.dk, block.count, E, one, DK, E)
    copy_rows(scratch.dv, block.count, Ev, one, DV, Ev)


@jit
def row_deltas(group, group_size, dout, out, delta):
    """``delta = sum of dout * out`` for all rows of a group of heads."""
    for g in range(group_size):
        head = group.n, group.head + g
        DOUT, OUT = matrix_at(dout, head), matrix_at(out, head)
        for i in range(group.L):
            delta[g * group.L + i] = dot(flat(DOUT.row(i)), flat(OUT.row(i)), ZERO, ZERO, dout.shape[3])


@jit
def clear_rows(group, group_size, dq):
    """``dq = 0`` for all rows of a group of heads."""
    for g in range(group_size):
        DQ = matrix_at(dq, (group.n, group.head + g))
        for i in range(group.L):
            clear(flat(DQ.row(i)), dq.shape[3])


@jit(merge=True)
def allocate_scratch(like, E, Ev):
    """Memory for blocks of ROWS rows and KEYS keys."""
    width, value_width, columns = panel_columns(E, like), panel_columns(Ev, like), panel_columns(KEYS, like)
    ldk, ldv, ldp = padded(width, like), padded(value_width, like), padded(KEYS, like)
    return BackwardScratch(
        queries=strided(allocate(like, ROWS * ldk), ldk, 1),
        douts=strided(allocate(like, ROWS * ldv), ldv, 1),
        key_panels=allocate(like, columns * E + panel_padding(like)),
        value_panels=allocate(like, columns * Ev + panel_padding(like)),
        keys=strided(allocate(like, KEYS * ldk), ldk, 1),
        dk=strided(allocate(like, KEYS * ldk), ldk, 1),
        dv=strided(allocate(like, KEYS * ldv), ldv, 1),
        weights=strided(allocate(like, ROWS * ldp), ldp, 1),
        dscores=strided(allocate(like, ROWS * ldp), ldp, 1),
        softcap_grad=allocate(like, ldp),
        totals=allocate(like, totals_size(like)),
        visible=Visible(allocate(np.int64, MR), allocate(np.int64, MR)),
    )


@jit(merge=True)
def release_scratch(scratch):
    """Give back what `allocate_scratch` took."""
    release(flat(scratch.queries))
    release(flat(scratch.douts))
    release(scratch.key_panels)
    release(scratch.value_panels)
    release(flat(scratch.keys))
    release(flat(scratch.dk))
    release(flat(scratch.dv))
    release(flat(scratch.weights))
    release(flat(scratch.dscores))
    release(scratch.softcap_grad)
    release(scratch.totals)
    release(scratch.visible.starts)
    release(scratch.visible.stops)


@jit
def backward_tasks(first, last, operands, dout, out, lse, gradients):
    """Tasks `first` to `last` - 1: (sequence, key head, split of its blocks of keys); gradients.dq (splits, N, Hq, L,
    E) receives a gradient from each split."""
    q, k, v, _ = operands
    Hq, L, H, S = q.shape[1], q.shape[2], k.shape[1], k.shape[2]
    dqs, dk, dv, dmask = gradients
    scratch = allocate_scratch(dk, k.shape[3], v.shape[3])
    delta = allocate(dk, Hq // H * L)
    splits = dqs.shape[0]
    for number in range(first, last):
        n, head, split = number // splits // H, number // splits % H, number % splits
        of_split = Gradients(dqs[split], dk, dv, dmask)
        group = Group(n, head * (Hq // H), Hq, L)
        clear_rows(group, Hq // H, of_split.dq)
        if S > KEYS:  # otherwise the visible keys of every query are in one block
            row_deltas(group, Hq // H, dout, out, delta)
        for first_key in range(split * KEYS, S, splits * KEYS):
            block = Block(first_key, min(KEYS, S - first_key))
            keys_backward(n, head, block, operands, Saved(dout, lse, delta), of_split, scratch)
    release_scratch(scratch)
    release(delta)


@jit
def attention_backward_loops(operands, rule, results, gradients, threads):
    """Gradients of `driver.attention_loops` with the operands (q, k, v), its `rule` and (dout, out, lse), into (dq, dk,
    dv, dmask).

    dq (splits, N, Hq, L, E) receives a sum from each split of the keys; dmask (N, Hq, L, S), unless it is empty, the
    gradient of all scores (where no key is visible it stays as it is).
    """
    q, k, v = operands
    dout, out, lse = results
    dq, dk, dv, dmask = gradients
    tasks = k.shape[0] * k.shape[1] * dq.shape[0]
    arguments = Operands(q, k, v, Rule(*rule)), dout, out, lse, Gradients(dq, dk, dv, dmask)
    parallel_for(backward_tasks, tasks, ONE, threads, arguments)


def _types(kind):
    array, rows = types.Array(kind, 4, "A"), types.Array(kind, 4, "C")
    operands, results = types.Tuple((array,) * 3), types.Tuple((array, array, rows))
    gradients = types.Tuple((types.Array(kind, 5, "A"), array, array, rows))
    return operands, rule_types(kind), results, gradients, int64


compiled = Compiled(attention_backward_loops, _types)
