r"""Embedding and embedding bag: rows of a table W (V, E) by their indices, the ids.

    embedding   y_i = W[ids_i]                                         dW_r = sum of dy_i over the i with ids_i = r
    bag         y_b = sum of f_k W[ids_k] over the k of bag b          dW_r = sum of f_k dy_bag(k) over those k

Both sums are one loop, `combine`. A bag is a row of a sparse matrix F, with the factors f_k at the columns ids_k; the
forward is F W, the backward its transpose times dy, and grouping the places by their ids is what transposes it. The
factor is 1 for a sum (or the weight given with the id), 1 / (size of the bag) for a mean; the backward of `embedding`
has bags of one element and factors of 1. The maximum of each column has loops of its own.

At most 2 FLOPs an element, for 4 to 12 bytes moved: memory is the limit, and access to W's rows is random. Of a large
dW most rows may occur in no bag; those are not written (see `functions.ZERO_PAGES_FROM`).
"""

import math
from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST, parallel_for
from kernels.lookup.grouping import grouped
from kernels.reduction.ranges import over_range, read, sum_of, write
from kernels.simd import flat, fma, prefetch, shifted
from kernels.simd.memory import LINE

TASK = 2**13  # elements of a task, at least 2 us of work
BLOCK = 64  # rows summed in registers before they are added to what is in memory: a sum of sums rounds less
NONE = np.int64(-1)  # no row, no place


class Terms(NamedTuple):
    """What is summed: row ``rows[k]`` of a table, times ``factors[k]``."""

    rows: np.ndarray
    factors: np.ndarray


class Groups(NamedTuple):
    """Group u is the terms from ``begin[u]`` to ``begin[u + 1] - 1``, for row ``touched[u]``, which increases."""

    touched: np.ndarray
    begin: np.ndarray


class Rule(NamedTuple):
    """How groups are summed: row `padding` (or NONE) stays zero; `average`: the sums are divided by their number of
    terms; `zeroed`: the result holds zeros already."""

    padding: int
    average: bool
    zeroed: bool


class Table(NamedTuple):
    """Memory of rows of `width` elements, one after the other."""

    elements: object
    width: int


class Ids(NamedTuple):
    """Of each id: its place in the flattened input, and its bag."""

    places: np.ndarray
    bags: np.ndarray


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


@jit(inline=True)
def _row(table, i):
    return shifted(table.elements, i * table.width)


@jit(inline=True)
def _copied(j, count, source, target):
    write(target, j, count, read(source, j, count, 0.0))


_copy_row = over_range(_copied)


@jit
def _copy_rows(first, last, ids, weight, out):
    E, line = weight.shape[1], LINE // weight.itemsize  # elements
    table, target = Table(flat(weight), E), Table(flat(out), E)
    for i in range(first, last):
        following = _row(table, ids[min(i + 1, last - 1)])  # no hardware prefetcher foresees its address
        for j in range(0, E, line):
            prefetch(following, j)
        _copy_row(weight, FIRST, E, _row(table, ids[i]), _row(target, i))


@jit
def gather(ids, weight, out, threads):
    """``out[i] = weight[ids[i]]``"""
    parallel_for(_copy_rows, ids.size, max(1, TASK // weight.shape[1]), threads, (ids, weight, out))


# --- weighted sums of rows -------------------------------------------------------------------------------------------


@jit(inline=True)
def _weighted_sum(j, count, table, terms, number, scale, add, out):
    """``out[j] (+)= scale * sum(factors[k] * table[rows[k], j])`` over k < number, at least one; `add` or store."""
    rows, factors = terms
    total = read(_row(table, rows[0]), j, count, 0.0) * factors[0]
    for k in range(1, number):
        total = fma(read(_row(table, rows[k]), j, count, 0.0), factors[k], total)
    total = total * scale
    if add:
        total = total + read(out, j, count, 0.0)
    write(out, j, count, total)


_sum_rows = over_range(_weighted_sum)


@jit(inline=True)
def _set_zero(out, first, last):
    for j in range(first, last):
        out[j] = 0.0


@jit
def _combine_groups(first, last, table, terms, groups, rule, out):
    E, target = out.shape[1], flat(out)
    source, results = Table(flat(table), E), Table(target, E)
    rows, factors, (touched, begin) = flat(terms.rows), flat(terms.factors), groups
    for u in range(first, last):
        row, end = touched[u], begin[u + 1]
        if not rule.zeroed:  # rows without terms: those before a group are its own, those after all are the last one's
            _set_zero(target, (touched[u - 1] + 1) * E if u else 0, row * E)
            if u == touched.size - 1:
                _set_zero(target, (row + 1) * E, out.size)
        if end == begin[u] or row == rule.padding:
            _set_zero(target, row * E, (row + 1) * E)
            continue
        scale = out.dtype.type(1.0 / np.float64(end - begin[u]) if rule.average else 1.0)
        for k in range(begin[u], end, BLOCK):
            block, number = Terms(shifted(rows, k), shifted(factors, k)), min(BLOCK, end - k)
            _sum_rows(table, FIRST, E, source, block, number, scale, k > begin[u], _row(results, row))


@jit
def combine(table, terms, groups, rule, out, threads):
    """``out[touched[u]] = sum(factors[k] * table[rows[k]])`` over begin[u] <= k < begin[u + 1], zeros elsewhere; for at
    least one group."""
    per_group = max(1, (terms.rows.size + (0 if rule.zeroed else out.shape[0])) // groups.touched.size)
    grain = max(1, TASK // (per_group * out.shape[1]))
    parallel_for(_combine_groups, groups.touched.size, grain, threads, (table, terms, groups, rule, out))


@jit
def sum_bags(weight, rows, factors, begin, out, threads):
    """``out[b] = sum(factors[k] * weight[rows[k]])`` over begin[b] <= k < begin[b + 1]"""
    groups = Groups(np.arange(out.shape[0]), begin)
    combine(weight, Terms(rows, factors), groups, Rule(NONE, False, True), out, threads)


@jit
def add_at(dy, ids, padding, average, zeroed, out, threads):
    """``out[ids[i]] += dy[i]``, from zeros; for at least one id."""
    order, touched, begin = grouped(ids, out.shape[0])
    terms = Terms(order, np.ones(ids.size, dy.dtype))
    combine(dy, terms, Groups(touched, begin), Rule(padding, average, zeroed), out, threads)


@jit
def pack_bags(ids, starts, weights, padding, average, like):
    """Row, place, bag and factor of each id but the padding (`weights` empty: factors of 1), and where a bag begins."""
    n = ids.size
    rows, places, bags = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    factors, begin = np.empty(n, like.dtype), np.empty(starts.size, np.int64)
    count = 0
    for b in range(starts.size - 1):
        begin[b] = count
        for i in range(starts[b], starts[b + 1]):
            if ids[i] != padding:
                rows[count], places[count], bags[count] = ids[i], i, b
                factors[count] = weights[i] if weights.size else 1.0
                count += 1
        if average:
            for k in range(begin[b], count):
                factors[k] = 1.0 / np.float64(count - begin[b])
    begin[starts.size - 1] = count
    return rows[:count], places[:count], bags[:count], factors[:count], begin


@jit
def add_bags(dy, rows, bags, factors, average, zeroed, out, threads):
    """``out[rows[k]] += factors[k] * dy[bags[k]]``, from zeros; for at least one k."""
    order, touched, begin = grouped(rows, out.shape[0])
    terms = Terms(bags[order], factors[order])
    combine(dy, terms, Groups(touched, begin), Rule(NONE, average, zeroed), out, threads)


# --- maxima of columns -----------------------------------------------------------------------------------------------


@jit
def _replace_smaller(row, place, largest, winner):
    for j in range(row.size):  # without branches, so that the compiler makes vectors of it
        x, best = row[j], largest[j]
        new = (x > best) | ((x != x) & (best == best)) | (winner[j] == NONE)  # the first NaN stays
        largest[j] = x if new else best
        winner[j] = place if new else winner[j]


@jit
def _max_of_bags(first, last, weight, rows, places, begin, out, winners):
    for b in range(first, last):
        largest, winner = out[b], winners[b]
        for j in range(largest.size):
            largest[j], winner[j] = -np.inf if begin[b] < begin[b + 1] else 0.0, NONE
        for k in range(begin[b], begin[b + 1]):
            _replace_smaller(weight[rows[k]], places[k], largest, winner)


@jit
def max_bags(weight, rows, places, begin, out, winners, threads):
    """The largest element of each column of a bag's rows and its place among the ids; 0 and NONE without rows."""
    bags = out.shape[0]
    grain = max(1, TASK // (max(1, rows.size // bags) * weight.shape[1]))
    parallel_for(_max_of_bags, bags, grain, threads, (weight, rows, places, begin, out, winners))


@jit
def _add_to_winners(first, last, dy, winners, ids, order, groups, out):
    places, bags = ids
    touched, begin = groups
    for u in range(first, last):
        row = touched[u]
        for k in range(begin[u], begin[u + 1]):
            b, place = bags[order[k]], places[order[k]]
            for j in range(out.shape[1]):
                if winners[b, j] == place:
                    out[row, j] += dy[b, j]


@jit
def add_to_winners(dy, winners, rows, places, bags, out, threads):
    """Gradient of `max_bags`, added to the zeros of `out`; for at least one row."""
    order, touched, begin = grouped(rows, out.shape[0])
    grain = max(1, TASK // (max(1, rows.size // touched.size) * out.shape[1]))
    arguments = dy, winners, Ids(places, bags), order, Groups(touched, begin), out
    parallel_for(_add_to_winners, touched.size, grain, threads, arguments)


# --- products and norms of rows --------------------------------------------------------------------------------------


@jit(inline=True)
def _product(x, z, p):
    return x * z


_dot = sum_of(_product)


@jit
def _multiply_rows(first, last, dy, weight, rows, places, bags, out):
    E = weight.shape[1]
    gradients, table = Table(flat(dy), E), Table(flat(weight), E)
    for k in range(first, last):
        out[places[k]] = _dot(_row(gradients, bags[k]), _row(table, rows[k]), 0.0, FIRST, E)


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
def shrink_rows(weight, ids, max_norm, p):
    """Scale each row that occurs in `ids` down to a p-norm of `max_norm`; weight of any layout."""
    _, touched, _ = grouped(ids, weight.shape[0])
    for row in touched:
        norm = _norm(weight[row], p)
        if norm > max_norm:
            scale = max_norm / (norm + 1e-7)
            for j in range(weight.shape[1]):
                weight[row, j] *= scale


# --- ladders ---------------------------------------------------------------------------------------------------------


@jit
def embedding_loops(ids, weight, out):
    """Adds vectors."""
    _copy_rows(FIRST, ids.size, ids, weight, out)


@jit
def embedding_backward_loops(dy, ids, out):
    """Adds the sort, after which a row is summed in registers and written once."""
    if ids.size:
        add_at(dy, ids, NONE, False, False, out, 1)
    else:
        out[:] = 0


@jit
def embedding_bag_loops(ids, starts, factors, weight, out):
    """Adds vectors, and sums in registers."""
    sum_bags(weight, ids, factors, starts, out, 1)


VARIANTS = {
    "embedding": {"naive": embedding_naive, "vectors": embedding_loops},
    "embedding_backward": {"naive": embedding_backward_naive, "sorted": embedding_backward_loops},
    "embedding_bag": {"naive": embedding_bag_naive, "vectors": embedding_bag_loops},
}
