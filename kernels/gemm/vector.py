"""A vector times a matrix, ``out = x B (+ bias)``: memory-bound, every element of B is read once and used once.

Where B's rows are contiguous, out is a sum of rows: EIGHT rows are added at a time, so that out itself is read and
written once for eight rows of B. Where its columns are (B transposed), out is a set of dot products: EIGHT at a time,
so that x is read once for eight columns and eight independent sums hide the latency of the additions.

The outer product of two vectors is the opposite case, all writing: row by row, in the order of memory.
"""

from kernels._jit import jit
from kernels.gemm.micro import ADD, BIAS, NV
from kernels.simd import (
    fma,
    lane_count,
    load_partial,
    splat,
    store_partial,
    tile_add,
    tile_dot,
    tile_outer,
    tile_store_sums,
    tile_zeros,
)

EIGHT = 8


@jit
def _sum_of_rows(x, ix, b, ib, rb, c, ic, N, K):
    """``c[j] += sum over p of x[p] * b[p*rb + j]`` for j < N."""
    width = NV * lane_count(c)
    whole = N - N % width
    for block in range(0, K, EIGHT):
        stop = min(block + EIGHT, K)
        for j in range(0, whole, width):  # contiguous in c and in each of the eight rows
            acc = tile_zeros(c, 1, NV)
            for p in range(block, stop):
                acc = tile_outer(acc, x, ix + p, 0, b, ib + p * rb + j)
            tile_add(c, ic + j, 0, acc)
        for j in range(whole, N, lane_count(c)):
            total = splat(c, 0.0)
            for p in range(block, stop):
                total = fma(load_partial(b, ib + p * rb + j, N - j, 0.0), x[ix + p], total)
            store_partial(c, ic + j, N - j, load_partial(c, ic + j, N - j, 0.0) + total)


@jit
def dot_products(x, ix, b, ib, cb, c, ic, N, K):
    """``c[j] += sum over p of x[p] * b[p + j*cb]`` for j < N."""
    lanes = lane_count(c)
    j = 0
    while j + EIGHT <= N:
        acc = tile_zeros(c, 1, EIGHT)
        for p in range(0, K - lanes + 1, lanes):  # contiguous in x and in each of the eight columns
            acc = tile_dot(acc, x, ix + p, 0, b, ib + j * cb + p, cb, lanes)
        if K % lanes:
            p = K - K % lanes
            acc = tile_dot(acc, x, ix + p, 0, b, ib + j * cb + p, cb, K % lanes)
        tile_store_sums(c, ic + j, 0, 1, acc)
        j += EIGHT
    while j < N:
        single = tile_zeros(c, 1, 1)
        for p in range(0, K, lanes):
            single = tile_dot(single, x, ix + p, 0, b, ib + j * cb + p, cb, K - p)
        tile_store_sums(c, ic + j, 0, 1, single)
        j += 1


@jit
def vector_matrix(x, ix, b, ib, rb, cb, bias, jb, mode, c, ic, N, K):
    """``c[ic + j] = sum over p < K of x[ix + p] * b[ib + p*rb + j*cb]``, modes as `gemm`'s; one of rb, cb is 1."""
    if mode != ADD:
        for j in range(N):
            c[ic + j] = bias[jb + j] if mode == BIAS else 0
    if cb == 1:
        _sum_of_rows(x, ix, b, ib, rb, c, ic, N, K)
    else:
        dot_products(x, ix, b, ib, cb, c, ic, N, K)


@jit
def outer_product(a, ia, ra, b, ib, cb, bias, jb, mode, c, ic, ldc, M, N):
    """``c[ic + i*ldc + j] = a[ia + i*ra] * b[ib + j*cb]`` for i < M, j < N; modes as `gemm`'s."""
    for i in range(M):
        factor = a[ia + i * ra]
        if cb == 1:
            for j in range(0, N, lane_count(c)):
                start = splat(c, 0.0)
                if mode == BIAS:
                    start = load_partial(bias, jb + j, N - j, 0.0)
                elif mode == ADD:
                    start = load_partial(c, ic + i * ldc + j, N - j, 0.0)
                row = load_partial(b, ib + j, N - j, 0.0)
                store_partial(c, ic + i * ldc + j, N - j, fma(row, factor, start))
        else:
            for j in range(N):
                start_j = bias[jb + j] if mode == BIAS else c[ic + i * ldc + j] if mode == ADD else 0
                c[ic + i * ldc + j] = factor * b[ib + j * cb] + start_j
