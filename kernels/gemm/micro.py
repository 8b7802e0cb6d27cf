r"""The micro-kernel of every matrix product.

It computes one tile of C, `rows` x NR elements held in registers, over a whole block of K:

               K                                NR = NV vectors
        ┌─────────────┐                       ┌──────┐
   rows │ A, by rows  │ ·  K steps of         │  B   │ K     =  rows x NR of C: one fused multiply-add
        └─────────────┘    tile_outer         │      │          per register and step, nothing else
                                              └──────┘

A and B are views, so it serves packed panels, plain and transposed matrices alike; only the rows of B must be
contiguous. At the bottom of C tiles are lower than MR: `HEIGHTS` are those that together leave the fewest idle cycles.
At its right edge stores are masked, and where one vector holds the columns, a micro-kernel one vector wide takes over.
"""

from typing import NamedTuple

import numpy as np

from kernels import machine
from kernels._jit import jit
from kernels.simd import (
    lane_count,
    prefetch,
    strided,
    tile_add,
    tile_add_partial,
    tile_outer,
    tile_outer_partial,
    tile_plus,
    tile_rows,
    tile_store,
    tile_store_partial,
    tile_zeros,
)

# MR * NV accumulators + NV vectors of B + 1 broadcast element of A must fit the vector registers.
NV = 2
HEIGHTS = (14, 13, 8, 4, 2, 1) if machine.vector_registers() >= 32 else (6, 5, 4, 3, 2, 1)
MR = HEIGHTS[0]

# How a tile is written: C = tile, C += tile, C = tile + bias. (Typed, or Numba compiles a callee again for each.)
STORE, ADD, BIAS = np.int64(0), np.int64(1), np.int64(2)
# Rounding errors grow along a chain of additions, so at most CHAIN products are summed in one; the sums of the chains
# are added up in `totals`, memory for one tile.
CHAIN = 192


class Epilogue(NamedTuple):
    """How the sums are written to C: `mode` is STORE, ADD or BIAS; `bias` is a row with one element per column of C,
    ignored (any view) unless the mode is BIAS."""

    mode: int
    bias: object


@jit(inline=True)
def chain_length(K):
    """Length of the chains that K products are cut into, about equally."""
    if K <= CHAIN:  # short products do without the divisions
        return K
    chains = (K + CHAIN - 1) // CHAIN
    return (K + chains - 1) // chains


def _micro_kernel(rows, vectors):
    """The micro-kernel of `rows` x `vectors` vectors of C, of which `columns` columns are stored.

    The wide one, of NV vectors, reads all of a row of B; the narrow one, of a single vector, just `columns` elements.
    """

    @jit(inline=True)
    def update(acc, column, row, columns):
        if vectors == NV:
            for v in range(NV):  # the next panel: rows of an unpacked B are too far apart for the hardware prefetcher
                prefetch(row, (NV + v) * lane_count(row))
            return tile_outer(acc, column, row)
        return tile_outer_partial(acc, column, row, columns)

    @jit(inline=True)
    def multiply(A, B, K, C, columns, epilogue, totals):
        width = vectors * lane_count(C)
        tile_totals = strided(totals, width, 1)
        acc = tile_zeros(C, rows, vectors)
        if epilogue.mode == BIAS:
            acc = tile_rows(epilogue.bias, columns, rows, vectors)
        first, chain = 0, chain_length(K)
        while first + chain < K:
            for p in range(first, first + chain):
                acc = update(acc, A.column(p), B.row(p), columns)
            if first > 0:
                tile_add(tile_totals, acc)
            else:
                tile_store(tile_totals, acc)
            acc = tile_zeros(C, rows, vectors)
            first += chain
        for p in range(first, K):  # acc[r, :] += A[r, p] * B[p, :]
            acc = update(acc, A.column(p), B.row(p), columns)
        if first > 0:
            acc = tile_plus(acc, tile_totals)
        if columns >= width:
            if epilogue.mode == ADD:
                tile_add(C, acc)
            else:
                tile_store(C, acc)
        elif epilogue.mode == ADD:
            tile_add_partial(C, columns, acc)
        else:
            tile_store_partial(C, columns, acc)

    return multiply


def _of_any_height(micro_kernels):
    """A function that calls the micro-kernel of height `rows`."""
    height_0, height_1, height_2, height_3, height_4, height_5 = micro_kernels

    @jit(inline=True)
    def multiply(rows, A, B, K, C, columns, epilogue, totals):
        if rows == HEIGHTS[0]:
            height_0(A, B, K, C, columns, epilogue, totals)
        elif rows == HEIGHTS[1]:
            height_1(A, B, K, C, columns, epilogue, totals)
        elif rows == HEIGHTS[2]:
            height_2(A, B, K, C, columns, epilogue, totals)
        elif rows == HEIGHTS[3]:
            height_3(A, B, K, C, columns, epilogue, totals)
        elif rows == HEIGHTS[4]:
            height_4(A, B, K, C, columns, epilogue, totals)
        else:
            height_5(A, B, K, C, columns, epilogue, totals)

    return multiply


_multiply_wide = _of_any_height([_micro_kernel(rows, NV) for rows in HEIGHTS])
_multiply_narrow = _of_any_height([_micro_kernel(rows, 1) for rows in HEIGHTS])


@jit
def micro_kernel(rows, A, B, K, C, columns, epilogue, totals):
    """One tile of C: ``C[r, j] (+)= sum over p < K of A[r, p] * B[p, j]``, r < rows, j < columns.

    `rows` is one of HEIGHTS. Where `columns` is more than one vector, all NR elements of a row of B are read; of C only
    the first `columns` of a row are touched. `totals` is memory for a tile, needed where K is more than CHAIN.
    """
    if columns > lane_count(C):
        _multiply_wide(rows, A, B, K, C, columns, epilogue, totals)
    else:
        _multiply_narrow(rows, A, B, K, C, columns, epilogue, totals)


def first_heights(rows_max: int, heights: tuple) -> np.ndarray:
    """For each number of rows up to `rows_max`, the height of the first tile in the fastest sequence of tiles.

    A step of a tile costs as much as its rows, but at least four: a fused multiply-add has a latency of four cycles,
    two can start per cycle, and four rows of NV accumulators hide it. Starting and storing count as one row more.
    """
    times, first = [0], [0]
    for rows in range(1, rows_max + 1):
        time, height = min((times[rows - h] + max(h, 4) + 1, -h) for h in heights if h <= rows)
        times.append(time)
        first.append(-height)
    return np.array(first)


FIRST_HEIGHTS = first_heights(8 * MR, HEIGHTS)


@jit(inline=True)
def tile_height(left):
    """Rows of the next tile where `left` rows of C remain."""
    return FIRST_HEIGHTS[min(left, 8 * MR)]
