"""The products of a few queries, where each key and value is read once and used once: memory is the limit.

Nothing is packed. A key's score is a dot product along its contiguous width; a vector of keys is taken at a time, so
that the sums across their lanes are taken together. The values are added up row by row.
"""

import numpy as np

from kernels._jit import jit
from kernels.gemm.micro import ADD, NV, Epilogue, micro_kernel, tile_height
from kernels.simd import (
    lane_count,
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
# Sums side by side, which hide the latency of the additions: of four keys, or of four vectors of a row of values.
ACCUMULATORS = 4


@jit(inline=True)
def is_few(rows, Ev, like):
    """Whether the `rows` query rows of a key head are so few that keys and values are read where they lie.

    The micro-kernel reads NR values of a row, or one vector: their width has to be a multiple of NR, or at most one
    vector more.
    """
    NR = NV * lane_count(like)
    return rows <= FEW and (Ev % NR == 0 or Ev % NR <= lane_count(like))


@jit
def multiply_dots(Q, rows, K, E, columns, S, totals):
    """``S[r, j] = sum over e < E of Q[r, e] * K[j, e]`` for r < rows and j in `columns`.

    Whole vectors of S are stored. `totals` is memory for a square tile: a row of partial sums for each key of a vector.
    """
    lanes = lane_count(S)
    whole = E - E % lanes
    partial = strided(totals, lanes, 1)
    for first in range(columns.start, columns.stop, lanes):
        present = min(lanes, columns.stop - first)
        for r in range(rows):
            query, j = Q.row(r), ZERO
            while j + ACCUMULATORS <= present:
                acc, keys = tile_zeros(S, 1, ACCUMULATORS), K.row(first + j)
                for e in range(0, whole, lanes):
                    acc = tile_dot(acc, query.column(e), keys.column(e), lanes)
                if whole < E:
                    acc = tile_dot(acc, query.column(whole), keys.column(whole), E - whole)
                tile_store(partial.row(j), acc)
                j += ACCUMULATORS
            while j < present:
                single, key = tile_zeros(S, 1, 1), K.row(first + j)
                for e in range(0, E, lanes):
                    single = tile_dot(single, query.column(e), key.column(e), E - e)
                tile_store(partial.row(j), single)
                j += 1
            store(S.row(r), first, square_sums(square_load(partial)))


@jit
def add_values(P, V, shape, OUT, totals):
    """``OUT[r, e] += sum over j < K of P[r, j] * V[j, e]`` for r < M, e < N, where `shape` is (M, N, K)."""
    rows, width, count = shape
    columns = ACCUMULATORS * lane_count(OUT)
    whole = width - width % columns if rows == 1 else ZERO
    for e in range(0, whole, columns):
        acc = tile_zeros(OUT, 1, ACCUMULATORS)
        for j in range(count):
            acc = tile_outer(acc, P.column(j), V.at(j, e))
        tile_add(OUT.column(e), acc)
    NR, r = NV * lane_count(OUT), ZERO
    epilogue = Epilogue(ADD, OUT)
    while r < rows:
        height = tile_height(rows - r)
        for e in range(whole, width, NR):
            tile, present = OUT.at(r, e), min(NR, width - e)
            micro_kernel(height, P.row(r), V.column(e), count, tile, present, epilogue, totals)
        r += height
