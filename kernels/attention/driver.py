r"""The tuned forward: tiled attention with the online softmax (see `ladder`), for any mask, shape, stride and number of
threads.

    s = scale q kᵀ         p = exp(s - m),  m = max s         out = p v / sum p          lse = m + log sum p

Keys come in blocks of KEYS. A block's keys are packed as the micro-kernel of `gemm` wants them and serve all query rows
of a task; for each tile of MR query rows the block's scores stay in L1 from the first product to the second:

                 keys of the block                            widths of v
               ┌───────────────────┐                         ┌──────────┐
      MR rows  │  s = q kᵀ  → p     │    ·   v (KEYS x Ev)  =  │ out +=   │      m, l, out of the rows are rescaled by
      of q     └───────────────────┘                         └──────────┘      exp(m_old - m_new) before

2 L S (E + Ev) FLOPs a head (half of it causal), 4 (L + S) (E + Ev) bytes, and beside the result 8 bytes a query for the
two terms of lse; the scratch is a few hundred kilobytes a thread, whatever L and S are.

The query heads that share a key head are taken together as one long row of queries, so that keys are packed once.

    attend_tasks          for (sequence, key head, block of queries): a task
      attend_rows         for block of keys: pack k and v
        attend_block      for tile of MR queries: s = q kᵀ, mask, p = exp(s - m) (`_weigh_tile`), out += p v
      attend_few          few queries: k and v are read where they are (`decoding`)
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64, types

from kernels._checks import FLOAT32, FLOAT64
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.attention.decoding import add_values, is_few, multiply_dots, totals_size
from kernels.attention.scores import INFINITY, Block, Query, Rule, drop_out, finish_scores, is_plain, rule_types
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
    row_number,
    visible_to_rows,
    visible_to_tile,
)
from kernels.gemm.driver import Shape
from kernels.gemm.micro import MR, tile_height
from kernels.gemm.pack import pack_b, padded, panel_padding
from kernels.reduction.peaks import decay, peak_of, store_decay
from kernels.reduction.ranges import write
from kernels.simd import (
    allocate,
    flat,
    lane_count,
    load,
    matrix_at,
    release,
    shifted,
    store,
    strided,
)

ONE, NOT_FINITE = np.int64(1), np.bool_(False)
# Query rows of a task, at most: enough to make the packing of a block of keys negligible.
MAX_ROWS = 16 * MR
MIN_ROWS = 4 * MR
# Tasks of a call, about, unless they would have fewer than MIN_ROWS rows: they depend on shapes only.
MIN_TASKS = 16


class Operands(NamedTuple):
    """q (N, Hq, L, E), k (N, H, S, E) and v (N, H, S, Ev), and what holds for their scores."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    rule: Rule


class Result(NamedTuple):
    """out (N, Hq, L, Ev) and the terms of lse (2, N, Hq, L), which may be empty."""

    out: np.ndarray
    lse: np.ndarray


class Task(NamedTuple):
    """Rows `first_row` to `first_row` + `rows` - 1 of the queries that share key head `head` of sequence n."""

    n: int
    head: int
    first_row: int
    rows: int


class KeysAndValues(NamedTuple):
    """A block of keys and values where they lie, as views."""

    block: Block
    K: object
    V: object


class Softmax(NamedTuple):
    """State of the online softmax: for each row the largest score, the sum of exponentials, and the factor that brings
    what was summed before to a new largest score."""

    peaks: object
    sums: object
    factors: object


class ForwardScratch(NamedTuple):
    """Memory of one thread."""

    queries: object  # the task's rows, scaled
    panels: object  # a block of keys, packed
    values: object  # a block of values; with few queries, what the block adds to the result
    scores: object  # of a tile, then its weights
    result: object  # sums of weighted values, not yet divided by the sums of weights
    softmax: Softmax
    softcap_grad: object  # derivative of the softcap, which only the backward needs
    totals: object  # of the micro-kernel, and of `multiply_dots`
    visible: Visible


@jit
def rows_of_task(rows, heads):
    """Query rows of a task where each of `heads` key heads has `rows` of them."""
    task_rows = min(max((rows * heads + MIN_TASKS - 1) // MIN_TASKS, MIN_ROWS), MAX_ROWS)
    tasks = max((rows + task_rows - 1) // task_rows, 1)
    return (rows + tasks - 1) // tasks


@jit(inline=True)
def query_of(group, row):
    """The query in a group's row."""
    return Query(group.n, group.head + row // group.L, row % group.L)


@jit
def weigh_tile(S, tile, first, columns, group, rule, softmax, scratch):
    """Scores to weights, in place: ``p = exp(s - peak)``, 0 for those of `columns` that are not visible to
    a row. Updates the rows' peaks and sums, and sets the factors for what has been summed before."""
    starts, stops = scratch.visible
    if not is_plain(rule):
        for r in range(tile.height):
            query = query_of(group, tile.first_row + r)
            finish_scores(flat(S.row(r)), starts[r], stops[r], first, query, rule, scratch.softcap_grad)
    peaks, sums, factors = softmax
    for r in range(tile.height):
        before = peaks[r]
        now = max(before, peak_of(flat(S.row(r)), starts[r], stops[r]))
        peaks[r] = now
        factors[r] = before - now if now > -INFINITY else 0
    for r in range(0, tile.height, lane_count(S)):
        store(factors, r, decay(load(factors, r)))
    for r in range(tile.height):
        p = flat(S.row(r))
        for j in range(columns.start, starts[r]):
            p[j] = 0
        for j in range(stops[r], columns.stop):
            p[j] = 0
        peak = peaks[r] if peaks[r] > -INFINITY else S.dtype.type(0)
        total = store_decay(p, p, starts[r], stops[r], peak)
        sums[r] = sums[r] * factors[r] + total
    if rule.threshold > 0:
        for r in range(tile.height):
            drop_out(flat(S.row(r)), starts[r], stops[r], first, row_number(group, tile.first_row + r), rule)


@jit
def scale_rows(X, rows, width, factors):
    """``X[r, :] *= factors[r]``; rows are padded to whole vectors."""
    for r in range(rows):
        factor, x = factors[r], X.row(r)
        if factor != 1:
            for j in range(0, width, lane_count(X)):
                store(x, j, load(x, j) * factor)


@jit
def copy_queries(q, group, task, scale, OUT):
    """``OUT[r] = scale * q`` for the rows of a task."""
    E, r = q.shape[3], ZERO
    while r < task.rows:
        n, head, i = query_of(group, task.first_row + r)
        count = min(group.L - i, task.rows - r)
        copy_rows(matrix_at(q, (n, head)).row(i), count, E, scale, OUT.row(r), E)
        r += count


@jit
def add_if_finite(x, out, count):
    """``out += x`` if all of x is finite; returns whether it is."""
    residue = x.dtype.type(0)
    for j in range(count):
        residue += x[j] * 0
    if residue == 0:
        for j in range(count):
            out[j] += x[j]
    return residue == 0


@jit(merge=True)
def attend_few(task, keys, group, E, Ev, rule, scratch):
    """All rows of a task, at most FEW, against a block of keys, which are read where they lie."""
    queries, result, softmax, P = scratch.queries, scratch.result, scratch.softmax, scratch.scores
    block, K, V = keys
    tile = Tile(ZERO, task.rows)
    columns = visible_to_tile(tile, group.L, block, rule.low, rule.high, scratch.visible)
    if columns.start >= columns.stop:
        return
    multiply_dots(queries, task.rows, K, E, columns, P, scratch.totals)
    weigh_tile(P, tile, block.first, columns, group, rule, softmax, scratch)
    scale_rows(result, task.rows, Ev, softmax.factors)
    sums, count = scratch.values, task.rows * result.row_stride
    shape = Shape(task.rows, Ev, columns.stop - columns.start)
    weights, values = P.column(columns.start), V.row(columns.start)
    clear(flat(sums), count)
    add_values(weights, values, shape, sums, scratch.totals)
    # an infinity that is visible to no query has been multiplied by 0, which only the result shows
    if not add_if_finite(flat(sums), flat(result), count):
        add_product(NOT_FINITE, weights, values, shape, result, scratch.totals)


@jit(merge=True)
def attend_block(task, keys, group, E, Ev, rule, scratch):
    """All rows of a task, tile by tile, against a block of keys."""
    block, K, V = keys
    values, S, softmax, totals = scratch.values, scratch.scores, scratch.softmax, scratch.totals
    width = panel_columns(Ev, S)
    pack_b(K.T, block.count, E, scratch.panels)
    finite = copy_rows(V, block.count, Ev, S.dtype.type(1), values, width)
    r = ZERO
    while r < task.rows:
        height = tile_height(task.rows - r)
        tile, result = Tile(task.first_row + r, height), scratch.result.row(r)
        columns = visible_to_tile(tile, group.L, block, rule.low, rule.high, scratch.visible)
        if columns.start < columns.stop:
            tile_softmax = Softmax(shifted(softmax.peaks, r), shifted(softmax.sums, r), softmax.factors)
            multiply_panels(scratch.queries.row(r), height, E, scratch.panels, columns, S, totals)
            weigh_tile(S, tile, block.first, columns, group, rule, tile_softmax, scratch)
            scale_rows(result, height, width, tile_softmax.factors)
            shape = Shape(height, width, columns.stop - columns.start)
            add_product(finite, S.column(columns.start), values.row(columns.start), shape, result, totals)
        r += height


@jit(merge=True)
def attend_rows(task, operands, result, scratch):
    """The rows of a task against all keys, block by block; the result into out and lse."""
    q, k, v, rule = operands
    Hq, L, E, H, S, Ev = q.shape[1], q.shape[2], q.shape[3], k.shape[1], k.shape[2], v.shape[3]
    group = Group(task.n, task.head * (Hq // H), Hq, L)
    K, V = matrix_at(k, (task.n, task.head)), matrix_at(v, (task.n, task.head))
    few = is_few(Hq // H * L, Ev, q)
    copy_queries(q, group, task, rule.scale, scratch.queries)
    for r in range(task.rows):
        scratch.softmax.peaks[r], scratch.softmax.sums[r] = -INFINITY, 0
    clear(flat(scratch.result), task.rows * scratch.result.row_stride)
    begin, end = visible_to_rows(task.first_row, task.rows, L, Block(ZERO, S), rule.low, rule.high)
    for first in range(begin, end, KEYS):
        keys = KeysAndValues(Block(first, min(KEYS, end - first)), K.row(first), V.row(first))
        if few:
            attend_few(task, keys, group, E, Ev, rule, scratch)
        else:
            attend_block(task, keys, group, E, Ev, rule, scratch)
    write_result(task, group, scratch, result)


@jit
def write_result(task, group, scratch, result):
    """The weighted sums of a task's rows, divided by the sums of weights, into out, and the terms of ``lse = peak +
    log(sum)``; 0 and -inf where no key is visible."""
    out, lse = result
    peaks, sums, _ = scratch.softmax
    width, lanes = out.shape[3], lane_count(out)
    one, r = out.dtype.type(1), ZERO
    while r < task.rows:
        n, head, first = query_of(group, task.first_row + r)
        OUT = matrix_at(out, (n, head))
        for i in range(first, min(group.L, first + task.rows - r)):
            to, row = OUT.row(i), scratch.result.row(r)
            factor = one / sums[r] if sums[r] != 0 else sums[r]
            for j in range(0, width, lanes):
                write(to, j, width - j, load(row, j) * factor)
            if lse.size > 0:
                lse[0, n, head, i] = peaks[r]
                lse[1, n, head, i] = math.log(sums[r]) if sums[r] != 0 else -INFINITY
            r += 1


@jit(merge=True)
def allocate_scratch(out, rows, E, Ev):
    """Memory for tasks of `rows` rows."""
    lanes = lane_count(out)
    ldq, lds, ldv = padded(E, out), padded(KEYS, out), padded(panel_columns(Ev, out), out)
    return ForwardScratch(
        queries=strided(allocate(out, rows * ldq), ldq, 1),
        panels=allocate(out, panel_columns(KEYS, out) * E + panel_padding(out)),
        values=strided(allocate(out, KEYS * ldv), ldv, 1),
        scores=strided(allocate(out, MR * lds), lds, 1),
        result=strided(allocate(out, rows * ldv), ldv, 1),
        softmax=Softmax(allocate(out, rows + MR), allocate(out, rows + MR), allocate(out, MR + lanes)),
        softcap_grad=allocate(out, lds),
        totals=allocate(out, totals_size(out)),
        visible=Visible(allocate(np.int64, MR), allocate(np.int64, MR)),
    )


@jit(merge=True)
def release_scratch(scratch):
    """Free the memory of `allocate_scratch`."""
    release(flat(scratch.queries))
    release(scratch.panels)
    release(flat(scratch.values))
    release(flat(scratch.scores))
    release(flat(scratch.result))
    release(scratch.softmax.peaks)
    release(scratch.softmax.sums)
    release(scratch.softmax.factors)
    release(scratch.softcap_grad)
    release(scratch.totals)
    release(scratch.visible.starts)
    release(scratch.visible.stops)


@jit
def attend_tasks(first, last, operands, result):
    """Tasks `first` to `last` - 1: each a block of the rows of the query heads that share a key head."""
    q, k, v, _ = operands
    N, Hq, L, H = q.shape[0], q.shape[1], q.shape[2], k.shape[1]
    rows = Hq // H * L
    task_rows = rows_of_task(rows, N * H)
    blocks = (rows + task_rows - 1) // task_rows
    scratch = allocate_scratch(result.out, task_rows, q.shape[3], v.shape[3])
    for number in range(first, last):
        block = number % blocks
        # From both ends in turn: causal rows attend to the more keys the later they come, and a thread takes
        # neighbouring tasks.
        block = block // 2 if block % 2 == 0 else blocks - 1 - block // 2
        n, head = number // blocks // H, number // blocks % H
        task = Task(n, head, block * task_rows, min(task_rows, rows - block * task_rows))
        attend_rows(task, operands, result, scratch)
    release_scratch(scratch)


@jit
def attention_loops(q, k, v, rule, out, lse, threads):
    """Attention of q (N, Hq, L, E), k (N, H, S, E) and v (N, H, S, Ev) into out (N, Hq, L, Ev) and, unless it is empty,
    lse (2, N, Hq, L): the largest score, and the log of the sum of the exponentials of the scores less that one.
    `rule` has the fields of a `Rule`."""
    rows = q.shape[1] // k.shape[1] * q.shape[2]
    task_rows = rows_of_task(rows, q.shape[0] * k.shape[1])
    tasks = q.shape[0] * k.shape[1] * ((rows + task_rows - 1) // task_rows)
    parallel_for(attend_tasks, tasks, ONE, threads, (Operands(q, k, v, Rule(*rule)), Result(out, lse)))


def _types(kind):
    array = types.Array(kind, 4, "A")
    return array, array, array, rule_types(kind), array, types.Array(kind, 4, "C"), int64


compiled = Compiled(attention_loops, _types)
NO_LSE = {dtype: np.zeros((0, 0, 0, 0), dtype) for dtype in (FLOAT32, FLOAT64)}
