"""The products of a few queries, where each key and value is read once and used once: memory is the limit.

Nothing is packed. A key's score is a dot product along its contiguous width; a vector of keys is taken at a time, so
that the sums across their lanes are taken together. The values are added up row by row. Queries that share a key head
are taken together, so that each key and value is loaded once for all of them.
"""

import numpy as np

from kernels import machine
from kernels._jit import jit
from kernels.gemm.micro import ADD, MR, NV, Epilogue, micro_kernel, tile_height
from kernels.simd import (
    lane_count,
    prefetch,
    square_load,
    square_sums,
    store,
    strided,
    tile_add,
    tile_dot,
    tile_outer,
    tile_store,
    tile_zeros,
)

ZERO = np.int64(0)
# Query rows of a key head up to which keys are not packed.
FEW = 4
# Keys, or vectors of a row of values, that a tile takes for TOGETHER queries; their sums stay in registers.
ACCUMULATORS = 4
TOGETHER = FEW if machine.vector_registers() >= 32 else 2
# Keys that a tile takes for a single query, where a vector has as many: memory is faster with more rows at a time.
KEYS_OF_ONE = TOGETHER * ACCUMULATORS
# How far ahead keys and values are prefetched, in rows: 8 KiB where they are 64 wide. Hardware prefetchers do not
# follow several rows at a time, and stop at page boundaries.
AHEAD = 32


@jit(inline=True)
def is_few(rows, Ev, like):
    """Whether the `rows` query rows of a key head are so few that keys and values are read where they lie.

    The micro-kernel reads NR values of a row, or one vector: their width has to be a multiple of NR, or at most one
    vector more.
    """
    NR = NV * lane_count(like)
    return rows <= FEW and (Ev % NR == 0 or Ev % NR <= lane_count(like))


@jit(inline=True)
def totals_size(like):
    """Elements of `totals`: a tile of the micro-kernel, or per query a row of partial sums for each key of a vector."""
    lanes = lane_count(like)
    return max(MR * NV * lanes, TOGETHER * lanes * lanes)


def _dots(rows, keys):
    """Partial sums, a vector each, of the dot products of `rows` queries with `keys` keys."""

    @jit(inline=True)
    def partial_sums(Q, K, E, OUT):
        lanes = lane_count(OUT)
        whole, ahead = E - E % lanes, K.row(AHEAD)
        acc = tile_zeros(OUT, rows, keys)
        for e in range(0, whole, lanes):
            for key in range(keys):
                prefetch(ahead.row(key), e)
            acc = tile_dot(acc, Q.column(e), K.column(e), lanes)
        if whole < E:
            acc = tile_dot(acc, Q.column(whole), K.column(whole), E - whole)
        tile_store(OUT, acc)

    return partial_sums


def _dots_of_a_vector(rows, keys):
    """Scores of `rows` queries with up to a vector of keys, taken `keys` at a time."""
    dots, dots_of_some_keys, dots_of_one_key = _dots(rows, keys), _dots(rows, ACCUMULATORS), _dots(rows, 1)

    @jit(inline=True)
    def multiply(Q, K, E, present, S, totals):
        lanes, j = lane_count(S), ZERO
        partial = strided(totals, lanes * lanes, 1)  # a row for each query: a vector for each key
        while j + keys <= present:
            dots(Q, K.row(j), E, partial.column(j * lanes))
            j += keys
        while j + ACCUMULATORS <= present:  # a short vector, or the last keys
            dots_of_some_keys(Q, K.row(j), E, partial.column(j * lanes))
            j += ACCUMULATORS
        while j < present:
            dots_of_one_key(Q, K.row(j), E, partial.column(j * lanes))
            j += 1
        for r in range(rows):
            store(S.row(r), 0, square_sums(square_load(strided(partial.row(r), lanes, 1))))

    return multiply


_dots_together, _dots_alone = _dots_of_a_vector(TOGETHER, ACCUMULATORS), _dots_of_a_vector(1, KEYS_OF_ONE)


@jit
def multiply_dots(Q, rows, K, E, columns, S, totals):
    """``S[r, j] = sum over e < E of Q[r, e] * K[j, e]`` for r < rows and j in `columns`.

    Whole vectors of S are stored. `totals` is memory for `totals_size` elements.
    """
    lanes = lane_count(S)
    for first in range(columns.start, columns.stop, lanes):
        keys, present, r = K.row(first), min(lanes, columns.stop - first), ZERO
        while r + TOGETHER <= rows:
            _dots_together(Q.row(r), keys, E, present, S.at(r, first), totals)
            r += TOGETHER
        while r < rows:
            _dots_alone(Q.row(r), keys, E, present, S.at(r, first), totals)
            r += 1


def _values(rows):
    """``OUT[r, e] += sum over j < count of P[r, j] * V[j, e]`` for `rows` rows and ACCUMULATORS vectors of columns."""

    @jit(inline=True)
    def add(P, V, count, OUT):
        acc = tile_zeros(OUT, rows, ACCUMULATORS)
        for j in range(count):
            for v in range(ACCUMULATORS):
                prefetch(V.row(j + AHEAD), v * lane_count(OUT))
            acc = tile_outer(acc, P.column(j), V.row(j))
        tile_add(OUT, acc)

    return add


_values_together, _values_alone = _values(TOGETHER), _values(1)


@jit
def add_values(P, V, shape, OUT, totals):
    """``OUT[r, e] += sum over j < K of P[r, j] * V[j, e]`` for r < M, e < N, where `shape` is (M, N, K)."""
    rows, width, count = shape
    columns, r = ACCUMULATORS * lane_count(OUT), ZERO
    NR, epilogue = NV * lane_count(OUT), Epilogue(ADD, OUT)
    while r < rows:
        height, whole = tile_height(rows - r), ZERO
        if rows - r >= TOGETHER or rows == 1:
            height, whole = min(rows - r, TOGETHER), width - width % columns
        for e in range(0, whole, columns):
            if height == 1:
                _values_alone(P.row(r), V.column(e), count, OUT.at(r, e))
            else:
                _values_together(P.row(r), V.column(e), count, OUT.at(r, e))
        for e in range(whole, width, NR):
            tile, present = OUT.at(r, e), min(NR, width - e)
            micro_kernel(height, P.row(r), V.column(e), count, tile, present, epilogue, totals)
        r += height
