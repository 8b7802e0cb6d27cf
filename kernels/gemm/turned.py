r"""A few rows times a transposed matrix: ``C = A B`` where B's columns are contiguous, as a layer's weights lie.

B would have to be packed, and with M rows of A each packed element is used M times only: at M = 16 that is as much work
as the product. So the product is turned, Cᵀ = Bᵀ Aᵀ: the columns of B, read where they lie, are the side whose elements
the micro-kernel spreads, and only A is packed. What comes out is Cᵀ, block by block, and is turned back in registers.
"""

import numpy as np

from kernels import machine
from kernels._jit import jit
from kernels.gemm.micro import ADD, BIAS, MR, NV, STORE, micro_kernel, pack_panel, padding, tile_height
from kernels.simd import (
    allocate,
    lane_count,
    load,
    load_partial,
    prefetch_far,
    release,
    square_load,
    square_transpose,
    store_partial,
    tile_store,
)

ZERO, ONE, PLAIN, ADDED = np.int64(0), np.int64(1), np.int64(STORE), np.int64(ADD)
# Rows from which on packing B is cheap beside the product.
ROWS = 10 * MR
# Columns of B that lie a multiple of 4 KiB apart would fall on one set of L1: they must be packed.
APART = 4096 // machine.vector_bytes()
# Vectors of a column of B that are multiplied while the same of the next tile's are fetched.
STEP = 4
# Columns of C that are turned back at a time: their block, 4 * 112 * 32 B, is in L1.
COLUMNS = 8 * MR


@jit(inline=True)
def width_of(rows, like):
    """Of the strip in which the next of `rows` rows of A stand side by side: a vector, or as wide as a tile."""
    return lane_count(like) if rows <= lane_count(like) else NV * lane_count(like)


@jit(inline=True)
def is_turned(like, M, N, rb, cb):
    """Whether a product is better turned: B is transposed, M rows are few and nearly fill vectors."""
    lanes = lane_count(like)
    few = M <= ROWS and 4 * M >= 3 * ((M + lanes - 1) // lanes * lanes)
    return few and N >= COLUMNS and rb == 1 and cb % (APART * lanes) != 0


@jit(inline=True)
def fetch(x, ix, ldx, rows, columns):
    """Ask for a block of x, into L2: rows this short end before the CPU foresees the next ones."""
    for r in range(rows):
        for j in range(0, columns, lane_count(x)):
            prefetch_far(x, ix + r * ldx + j)


@jit
def gemm_turned(a, ia, ra, ca, b, ib, cb, bias, jb, mode, c, ic, ldc, M, N, K):
    """``C (+)= A B (+ bias)``, where element p of column j of B is ``b[ib + p + j*cb]``; arguments as `gemm`'s."""
    lanes = lane_count(c)
    NR = NV * lanes
    strips = allocate(c, (M + lanes - 1) // lanes * lanes * K + padding(c))
    block, square, totals = allocate(c, (COLUMNS + lanes) * NR), allocate(c, lanes * lanes), allocate(c, MR * NR)
    for i in range(0, M, NR):
        pack_panel(a, ia + i * ra, ra, ca, min(NR, M - i), width_of(M - i, c), K, strips, i * K)
    for j in range(0, N, COLUMNS):
        columns = min(COLUMNS, N - j)
        for i in range(0, M, NR):
            width, r = width_of(M - i, c), ZERO
            while r < columns:
                height = tile_height(columns - r)
                for p in range(0, K, STEP * lanes):
                    depth = min(STEP * lanes, K - p)
                    if i == 0:
                        fetch(b, ib + (j + r + height) * cb + p, cb, min(MR, N - j - r - height), depth)
                    micro_kernel(
                        height, b, ib + (j + r) * cb + p, cb, ONE, strips, i * K + p * width, width, depth,
                        block, r * width, width, width, bias, ZERO, PLAIN if p == 0 else ADDED, totals,
                    )  # fmt: skip
                r += height
            turn_back(block, width, bias, jb + j, mode, c, ic + i * ldc + j, ldc, min(width, M - i), columns, square)
    release(strips)
    release(block)
    release(square)
    release(totals)


@jit
def turn_back(block, width, bias, jb, mode, c, ic, ldc, rows, columns, square):
    """``C[i, j] (+)= block[j, i] (+ bias[j])``."""
    lanes = lane_count(c)
    for i in range(0, rows, lanes):
        for j in range(0, columns, lanes):
            tile_store(square, ZERO, lanes, square_transpose(square_load(block, j * width + i, width)))
            for row in range(min(lanes, rows - i)):
                at, left = ic + (i + row) * ldc + j, columns - j
                values = load(square, row * lanes)
                if mode == BIAS:
                    values = values + load_partial(bias, jb + j, left, 0.0)
                elif mode == ADD:
                    values = values + load_partial(c, at, left, 0.0)
                store_partial(c, at, left, values)
