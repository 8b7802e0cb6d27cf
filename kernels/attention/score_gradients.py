"""From the scores of a tile and the gradients of its weights to its weights and the gradients of its scores.

    p = exp((s - m) - log l)        delta = sum of p * dp, for each query        ds = p (dp - delta)

The two terms of lse = m + log l are kept separate: their sum would be rounded to the precision of the scores, and so
would the exponent.
"""

from kernels._jit import jit
from kernels.attention.scores import INFINITY, Query, Range, drop_out, finish_scores, is_plain
from kernels.attention.tiles import ZERO, row_number
from kernels.gemm.micro import MR
from kernels.reduction.peaks import decay
from kernels.reduction.ranges import over_range, read, sum_of, write
from kernels.simd import flat, lane_count, select, store, sum_lanes
from kernels.simd.wide import load_wide, splat_wide, sum_registers, wide_count

# Rows of queries whose weights and scores' gradients, 2 * 4 * 112 * 192 B, stay in L2 for the products that sum over
# them.
ROWS = 8 * MR


@jit(inline=True)
def _times(x, z, _):
    return x * z


dot = sum_of(_times)


@jit(inline=True, fastmath=False)
def _log_weight(score, peak, log_sum):
    """Two subtractions, which must not become one of ``peak + log_sum``."""
    return (score - peak) - log_sum


@jit(inline=True)
def _weight(score, peak, log_sum):
    """``exp((score - peak) - log_sum)``; 0 where the score is -inf, whatever the peak is."""
    p = decay(_log_weight(score, peak, log_sum))
    return select(score == -INFINITY, 0.0, p)


@over_range
@jit(inline=True)
def _weigh_and_differentiate(j, count, s, d, peak, log_sum, delta):
    """Scores s to weights p, and ``d = p (d - delta)``; 0 where p is 0, whatever d is."""
    p = _weight(read(s, j, count, -INFINITY), peak, log_sum)
    dscore = (read(d, j, count, 0.0) - delta) * p
    write(s, j, count, p)
    write(d, j, count, select(p == 0.0, 0.0, dscore))


@jit(inline=True)
def _weigh_and_sum(s, d, columns, peak, log_sum):
    """Scores s to weights p; returns the sum of p * d, 0 where p is 0, whatever d is."""
    lanes, step = lane_count(s), wide_count(s)
    whole = columns.start + (columns.stop - columns.start) // step * step
    totals = splat_wide(s, 0.0)
    for j in range(columns.start, whole, step):
        p = _weight(load_wide(s, j), peak, log_sum)
        store(s, j, p)
        totals = totals + select(p == 0.0, 0.0, load_wide(d, j) * p)
    total = sum_registers(totals)
    for j in range(whole, columns.stop, lanes):
        p = _weight(read(s, j, columns.stop - j, -INFINITY), peak, log_sum)
        write(s, j, columns.stop - j, p)
        total = total + select(p == 0.0, 0.0, read(d, j, columns.stop - j, 0.0) * p)
    return sum_lanes(total)


@over_range
@jit(inline=True)
def _differentiate(j, count, p, d, delta):
    """``d = p (d - delta)``; 0 where p is 0, whatever d is."""
    weight = read(p, j, count, 0.0)
    dscore = (read(d, j, count, 0.0) - delta) * weight
    write(d, j, count, select(weight == 0.0, 0.0, dscore))


@jit(inline=True)
def _visible_in_one_block(i, block, S, low, high):
    """Whether all of the S keys that are visible to query i are in this block."""
    first, last = max(i + low, 0), min(i + high, S - 1)
    return first >= block.first and last < block.first + block.count


@jit
def differentiate_tile(tile, block, S, group, rule, saved, dmask, scratch):
    """In place, for a tile: `weights` from scores s to weights p, `dscores` from dp to ds; 0 for keys not visible."""
    plain, low, high, lse = is_plain(rule), rule.low, rule.high, saved.lse
    for r in range(tile.height):
        i = tile.first_row + r
        p, d = flat(scratch.weights.row(i % ROWS)), flat(scratch.dscores.row(i % ROWS))
        start, stop = scratch.visible.starts[r], scratch.visible.stops[r]
        peak, log_sum = lse[0, group.n, group.head, i], lse[1, group.n, group.head, i]
        if peak + log_sum == -INFINITY:
            start = stop = ZERO
        for j in range(start):
            p[j] = d[j] = 0
        for j in range(stop, block.count):
            p[j] = d[j] = 0
        if start == stop:
            continue
        if not plain:
            query = Query(group.n, group.head, i)
            finish_scores(p, start, stop, block.first, query, rule, scratch.softcap_grad)
        if rule.threshold > 0:
            drop_out(d, start, stop, block.first, row_number(group, i), rule)
        if _visible_in_one_block(i, block, S, low, high):
            delta = _weigh_and_sum(p, d, Range(start, stop), peak, log_sum)
            _differentiate(p, start, stop, p, d, delta)
        else:
            _weigh_and_differentiate(p, start, stop, p, d, peak, log_sum, saved.delta[i])
        if rule.threshold > 0:
            drop_out(p, start, stop, block.first, row_number(group, i), rule)
        if dmask.size > 0:
            for j in range(start, stop):
                dmask[group.n, group.head, i, block.first + j] = d[j]
        if rule.softcap > 0:
            for j in range(start, stop):
                if d[j] != 0:
                    d[j] *= scratch.softcap_grad[j]
