"""Few rows times a weight whose rows are contiguous: x Wᵀ with 16 tokens, or a batch of 32.

To pack W would take as long as to multiply it. The result's transpose, Cᵀ = W xᵀ, is computed instead: there W is the
left factor, of which the micro-kernel takes single elements as they lie, and only the few elements of x are packed.
That pays where the rows of x fill one or two vectors. W comes from memory, once.
"""

import numpy as np

from kernels._jit import jit
from kernels.gemm.micro import ADD, BIAS, MR, NV, STORE, micro_kernel, pack_strips, padding, tile_height
from kernels.simd import (
    allocate,
    lane_count,
    load,
    load_partial,
    prefetch_far,
    release,
    splat,
    square_load_partial,
    square_transpose,
    store_partial,
    tile_store,
)

MUCH = 2**15  # elements of W, at least: as many as L1 holds or more
STEP_VECTORS = 4  # of a row of W that are multiplied while the same of the next tile are fetched
# Numba compiles a callee anew for each literal argument; these are plain values to it.
ZERO, ONE = np.int64(0), np.int64(1)


@jit(inline=True)
def is_few(like, M, N, K, rb, cb):
    """Whether to compute C as its transpose: where its rows fill one or two vectors at least to two thirds; but not
    where the rows of B would fall on one set of L1."""
    lanes = lane_count(like)
    filled = M <= NV * lanes and 3 * M >= 2 * ((M + lanes - 1) // lanes * lanes)
    return filled and rb == 1 and cb >= K and N * K >= MUCH and cb * like.itemsize % 4096 != 0


@jit
def multiply_few(a, ia, ra, ca, b, ib, cb, bias, jb, mode, c, ic, ldc, M, N, K):
    """`gemm` for such a product: element (p, j) of B is ``b[ib + p + j*cb]``.

    The rows of B are too short for the CPU to foresee the next ones, so they are asked for a tile ahead, into L2: L1
    has no room for them.
    """
    lanes = lane_count(c)
    NR, step = NV * lanes, STEP_VECTORS * lanes
    strip, turned = allocate(c, NR * K + padding(c)), allocate(c, N * M)
    pack_strips(a, ia, ca, ra, M, K, strip)
    j = 0
    while j < N:
        rows = tile_height(N - j)
        for p in range(0, K, step):
            depth = min(step, K - p)
            for r in range(j + rows, min(j + rows + MR, N)):
                for q in range(p, p + depth, lanes):
                    prefetch_far(b, ib + r * cb + q)
            micro_kernel(
                rows, b, ib + j * cb + p, cb, ONE, strip, p * NR, NR, depth, turned, j * M, M, M, bias, ZERO,
                np.int64(STORE if p == 0 else ADD), turned,
            )  # fmt: skip
        j += rows
    turn(turned, bias, jb, mode, c, ic, ldc, M, N)
    release(strip)
    release(turned)


@jit
def turn(x, bias, jb, mode, c, ic, ldc, M, N):
    """``c[ic + i*ldc + j] = x[j*M + i]`` for i < M, j < N; modes as `gemm`'s."""
    lanes = lane_count(c)
    square = allocate(c, lanes * lanes)
    for j in range(0, N, lanes):
        start = splat(c, 0.0)
        if mode == BIAS:
            start = load_partial(bias, jb + j, N - j, 0.0)
        for i in range(0, M, lanes):
            block = square_load_partial(x, j * M + i, M, min(N - j, lanes), min(M - i, lanes))
            tile_store(square, 0, lanes, square_transpose(block))
            for r in range(min(M - i, lanes)):
                at = ic + (i + r) * ldc + j
                if mode == ADD:
                    start = load_partial(c, at, N - j, 0.0)
                store_partial(c, at, N - j, load(square, r * lanes) + start)
    release(square)
