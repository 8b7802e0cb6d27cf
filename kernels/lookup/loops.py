r"""Embedding and embedding bag: rows of a table W (V, E) by their numbers.

    embedding   y_i = W[ids_i]                                         dW_r = sum of dy_i over the i with ids_i = r
    bag         y_b = sum of f_k W[ids_k] over the k of bag b          dW_r = sum of f_k dy_bag(k) over those k

Both sums are one loop, `combine`. A bag is a row of a sparse matrix F, with the factors f_k at the columns ids_k; the
forward is F W, the backward its transpose times dy, and grouping the places by their ids is what transposes it. The
factor is 1 for a sum (or the weight given with the id), 1 / (size of the bag) for a mean; the backward of `embedding`
has bags of one element and factors of 1. The largest element of each column has loops of its own.

At most 2 FLOPs an element, for 4 to 12 bytes moved: memory is the limit, and W's rows lie anywhere in it. Of a large dW
most rows may be named by no id; those are not written (see `functions.BLANK_FROM`).
"""

import math

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.lookup.grouping import grouped
from kernels.reduction.ranges import over_range, read, sum_of, write
from kernels.simd import flat, fma, shifted

TASK = 2**13  # elements of a part of a parallel loop, at least 2 us of work
BLOCK = 64  # rows summed in registers before they are added to what is in memory: a sum of sums rounds less
NOBODY = np.int64(-1)  # no row, no place


# --- naive loops: the definitions ------------------------------------------------------------------------------------


@jit
def embedding_naive(ids, weight, out):
    """``out[i] = weight[ids[i]]``"""
    for i in range(ids.size):
        for j in range(weight.shape[1]):
            out[i, j] = weight[ids[i], j]


@jit
def embedding_backward_naive(dy, ids, out):
    """``out[ids[i]] += dy[i]``, from zeros."""
    out[:] = 0
    for i in range(ids.size):
        for j in range(dy.shape[1]):
            out[ids[i], j] += dy[i, j]


@jit
def embedding_bag_naive(ids, starts, factors, weight, out):
    """``out[b] = sum(factors[k] * weight[ids[k]])`` over ``starts[b] <= k < starts[b + 1]``"""
    out[:] = 0
    for b in range(starts.size - 1):
        for k in range(starts[b], starts[b + 1]):
            for j in range(weight.shape[1]):
                out[b, j] += factors[k] * weight[ids[k], j]


# --- rows copied -----------------------------------------------------------------------------------------------------


@over_range
@jit(inline=True)
def _copy_row(j, count, table, at, out, to):
    write(out, to + j, count, read(table, at + j, count, 0.0))


@jit
def _copy_rows(first, last, ids, weight, out):
    E = weight.shape[1]
    table, target = flat(weight), flat(out)
    for i in range(first, last):
        _copy_row(table, 0, E, table, ids[i] * E, target, i * E)


@jit
def gather(ids, weight, out, threads):
    """``out[i] = weight[ids[i]]``"""
    parallel_for(_copy_rows, ids.size, max(1, TASK // weight.shape[1]), threads, (ids, weight, out))


# --- rows combined ---------------------------------------------------------------------------------------------------


@over_range
@jit(inline=True)
def _add_columns(j, count, table, rows, factors, first, last, E, scale, more, out, to):
    """``out[to + j] (+)= scale * sum(factors[k] * table[rows[k], j])`` over first <= k < last, at least one."""
    total = read(table, rows[first] * E + j, count, 0.0) * factors[first]
    for k in range(first + 1, last):
        total = fma(read(table, rows[k] * E + j, count, 0.0), factors[k], total)
    total = total * scale
    if more:
        total = total + read(out, to + j, count, 0.0)
    write(out, to + j, count, total)


@jit(inline=True)
def _set_zero(out, start, stop):
    for j in range(start, stop):
        out[j] = 0.0


@jit
def _combine_groups(first, last, table, rows, factors, touched, begin, left_out, by_count, blank, out):
    E = out.shape[1]
    source, target, numbers, weights = flat(table), flat(out), flat(rows), flat(factors)
    for u in range(first, last):
        to, stop = touched[u] * E, begin[u + 1]
        if not blank:  # the rows between two groups belong to the second one, those behind them all to the last one
            _set_zero(target, (touched[u - 1] + 1) * E if u else 0, to)
            if u == touched.size - 1:
                _set_zero(target, to + E, out.size)
        if stop == begin[u] or touched[u] == left_out:
            _set_zero(target, to, to + E)
            continue
        scale = out.dtype.type(1.0 / np.float64(stop - begin[u]) if by_count else 1.0)
        for k in range(begin[u], stop, BLOCK):
            end, more = min(k + BLOCK, stop), k > begin[u]
            _add_columns(source, 0, E, source, numbers, weights, k, end, E, scale, more, target, to)


@jit
def combine(table, rows, factors, touched, begin, left_out, by_count, blank, out, threads):
    """``out[touched[u]] = sum(factors[k] * table[rows[k]])`` over begin[u] <= k < begin[u + 1], zeros elsewhere.

    `touched` increases and is not empty. The row `left_out` (or NOBODY) stays zero; `by_count`, the sums are divided by
    their number of terms; `blank`, `out` holds zeros already.
    """
    terms = max(1, (rows.size + (0 if blank else out.shape[0])) // touched.size)
    grain = max(1, TASK // (terms * out.shape[1]))
    arguments = table, rows, factors, touched, begin, left_out, by_count, blank, out
    parallel_for(_combine_groups, touched.size, grain, threads, arguments)


@jit
def add_at(dy, ids, left_out, by_count, blank, out, threads):
    """``out[ids[i]] += dy[i]``, from zeros; for at least one id."""
    order, touched, begin = grouped(ids, out.shape[0])
    combine(dy, order, np.ones(ids.size, dy.dtype), touched, begin, left_out, by_count, blank, out, threads)


@jit
def pack_bags(ids, starts, weights, left_out, average, like):
    """Number, place, bag and factor of each id that counts (`weights` empty: factors of 1), and where a bag begins."""
    n = ids.size
    rows, places, bags = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    factors, begin = np.empty(n, like.dtype), np.empty(starts.size, np.int64)
    count = 0
    for b in range(starts.size - 1):
        begin[b] = count
        for i in range(starts[b], starts[b + 1]):
            if ids[i] != left_out:
                rows[count], places[count], bags[count] = ids[i], i, b
                factors[count] = weights[i] if weights.size else 1.0
                count += 1
        if average:
            for k in range(begin[b], count):
                factors[k] = 1.0 / np.float64(count - begin[b])
    begin[starts.size - 1] = count
    return rows[:count], places[:count], bags[:count], factors[:count], begin


@jit
def add_bags(dy, rows, bags, factors, by_count, blank, out, threads):
    """``out[rows[k]] += factors[k] * dy[bags[k]]``, from zeros; for at least one k."""
    order, touched, begin = grouped(rows, out.shape[0])
    combine(dy, bags[order], factors[order], touched, begin, NOBODY, by_count, blank, out, threads)


# --- largest elements ------------------------------------------------------------------------------------------------


@jit
def _replace_smaller(row, place, largest, winner):
    for j in range(row.size):  # without branches, so that the compiler makes vectors of it
        x, best = row[j], largest[j]
        new = (x > best) | ((x != x) & (best == best)) | (winner[j] == NOBODY)  # the first NaN stays
        largest[j] = x if new else best
        winner[j] = place if new else winner[j]


@jit
def _largest(first, last, weight, rows, places, begin, out, winners):
    for b in range(first, last):
        largest, winner = out[b], winners[b]
        for j in range(largest.size):
            largest[j], winner[j] = -np.inf if begin[b] < begin[b + 1] else 0.0, NOBODY
        for k in range(begin[b], begin[b + 1]):
            _replace_smaller(weight[rows[k]], places[k], largest, winner)


@jit
def largest(weight, rows, places, begin, out, winners, threads):
    """The largest element of each column of a bag's rows and its place among the ids; 0 and NOBODY without rows."""
    bags = out.shape[0]
    grain = max(1, TASK // (max(1, rows.size // bags) * weight.shape[1]))
    parallel_for(_largest, bags, grain, threads, (weight, rows, places, begin, out, winners))


@jit
def _add_won(first, last, dy, winners, places, bags, order, touched, begin, out):
    for u in range(first, last):
        row = touched[u]
        for k in range(begin[u], begin[u + 1]):
            b, place = bags[order[k]], places[order[k]]
            for j in range(out.shape[1]):
                if winners[b, j] == place:
                    out[row, j] += dy[b, j]


@jit
def add_won(dy, winners, rows, places, bags, out, threads):
    """Gradient of `largest`, added to the zeros of `out`; for at least one row."""
    order, touched, begin = grouped(rows, out.shape[0])
    grain = max(1, TASK // (max(1, rows.size // touched.size) * out.shape[1]))
    parallel_for(_add_won, touched.size, grain, threads, (dy, winners, places, bags, order, touched, begin, out))


# --- products and norms of rows --------------------------------------------------------------------------------------


@sum_of
@jit(inline=True)
def _product(x, z, p):
    return x * z


@jit
def _multiply_rows(first, last, dy, weight, rows, places, bags, out):
    E = weight.shape[1]
    gradient, table = flat(dy), flat(weight)
    for k in range(first, last):
        out[places[k]] = _product(shifted(gradient, bags[k] * E), shifted(table, rows[k] * E), 0.0, 0, E)


@jit
def multiply_rows(dy, weight, rows, places, bags, out, threads):
    """``out[places[k]] = dot(dy[bags[k]], weight[rows[k]])``"""
    grain = max(1, TASK // weight.shape[1])
    parallel_for(_multiply_rows, rows.size, grain, threads, (dy, weight, rows, places, bags, out))


@jit(fastmath=False)
def _norm(row, p):
    total = 0.0
    for j in range(row.size):
        x = abs(np.float64(row[j]))
        if math.isinf(p):
            total = x if j == 0 or x != x or (x > total if p > 0 else x < total) else total
        elif p == 0:
            total += 1.0 if x != 0 else 0.0
        else:
            total += x * x if p == 2 else x if p == 1 else x**p
    return total if math.isinf(p) or p == 0 or p == 1 else total ** (1.0 / p)


@jit
def shrink_rows(weight, ids, most, p):
    """Scale the rows named by `ids`, each once, down to a p-norm of `most`; weight of any layout."""
    _, touched, _ = grouped(ids, weight.shape[0])
    for row in touched:
        norm = _norm(weight[row], p)
        if norm > most:
            scale = most / (norm + 1e-7)
            for j in range(weight.shape[1]):
                weight[row, j] *= scale


# --- ladders ---------------------------------------------------------------------------------------------------------


@jit
def embedding_loops(ids, weight, out):
    """Adds vectors."""
    _copy_rows(0, ids.size, ids, weight, out)


@jit
def embedding_backward_loops(dy, ids, out):
    """Adds the sort, after which a row is summed in registers and written once."""
    if ids.size:
        add_at(dy, ids, NOBODY, False, False, out, 1)
    else:
        out[:] = 0


@jit
def embedding_bag_loops(ids, starts, factors, weight, out):
    """Adds vectors, and sums in registers."""
    _combine_groups(0, out.shape[0], weight, ids, factors, np.arange(out.shape[0]), starts, NOBODY, False, True, out)


VARIANTS = {
    "embedding": {"naive": embedding_naive, "vectors": embedding_loops},
    "embedding_backward": {"naive": embedding_backward_naive, "sorted": embedding_backward_loops},
    "embedding_bag": {"naive": embedding_bag_naive, "vectors": embedding_bag_loops},
}
