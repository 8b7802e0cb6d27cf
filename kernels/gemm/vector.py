"""A vector times a matrix, ``y = x B (+ bias)``: memory-bound, every element of B is read once and used once.

Where B's rows are contiguous, y is a sum of rows: UNROLL rows are added at a time, so that y itself is read and
written once for eight rows of B. Where its columns are (B transposed), y is a set of dot products: UNROLL at a time,
so that x is read once for eight columns and eight independent sums hide the latency of the additions.

The outer product of two vectors is the opposite case, all writing: row by row, in the order of memory.
"""

from kernels._jit import jit
from kernels.gemm.micro import ADD, BIAS, CHAIN, NV, STORE, Epilogue
from kernels.simd import (
    allocate,
    fma,
    lane_count,
    load_partial,
    release,
    splat,
    store_partial,
    strided,
    tile_add,
    tile_add_sums,
    tile_dot,
    tile_outer,
    tile_zeros,
)

UNROLL = 8  # rows that are added, or dot products that are taken, together


@jit
def _sum_of_rows(x, B, y, N, K):
    """``y[j] += sum over p < K of x[p] * B[p, j]`` for j < N."""
    width = NV * lane_count(y)
    whole = N - N % width
    for block in range(0, K, UNROLL):
        stop = min(block + UNROLL, K)
        for j in range(0, whole, width):  # contiguous in y and in each of the eight rows
            acc = tile_zeros(y, 1, NV)
            for p in range(block, stop):
                acc = tile_outer(acc, x.column(p), B.at(p, j))
            tile_add(y.column(j), acc)
        for j in range(whole, N, lane_count(y)):
            total = splat(y, 0.0)
            for p in range(block, stop):
                total = fma(load_partial(B.row(p), j, N - j, 0.0), x[p], total)
            store_partial(y, j, N - j, load_partial(y, j, N - j, 0.0) + total)


@jit
def dot_products(x, BT, y, N, K):
    """``y[j] += sum over p < K of x[p] * BT[j, p]`` for j < N: the rows of Bᵀ are contiguous."""
    lanes = lane_count(y)
    j = 0
    while j + UNROLL <= N:
        acc = tile_zeros(y, 1, UNROLL)
        for p in range(0, K - lanes + 1, lanes):  # contiguous in x and in each of the eight rows
            acc = tile_dot(acc, x.column(p), BT.at(j, p), lanes)
        if K % lanes:
            p = K - K % lanes
            acc = tile_dot(acc, x.column(p), BT.at(j, p), K % lanes)
        tile_add_sums(y.column(j), acc)
        j += UNROLL
    while j < N:
        single = tile_zeros(y, 1, 1)
        for p in range(0, K, lanes):
            single = tile_dot(single, x.column(p), BT.at(j, p), K - p)
        tile_add_sums(y.column(j), single)
        j += 1


@jit
def vector_matrix(x, B, y, N, K, epilogue):
    """``y[j] = sum over p < K of x[p] * B[p, j]`` for j < N, added to what the epilogue says; B's rows or its columns
    are contiguous."""
    if epilogue.mode != ADD:
        for j in range(N):
            y[j] = epilogue.bias[j] if epilogue.mode == BIAS else 0
    if B.column_stride == 1:
        _sum_of_rows(x, B, y, N, K)
    else:
        dot_products(x, B.T, y, N, K)


@jit(inline=True)
def is_better_alone(A, N, K):
    """Whether the last column of C is better computed by `matrix_vector`: a tile for it would multiply whole vectors,
    of which it uses one element. K is bounded so that the chain of a lane is at most CHAIN."""
    lanes = lane_count(A)
    return (
        N > lanes
        and N % lanes == 1
        and 2 * lanes <= K <= CHAIN * min(lanes, UNROLL)
        and (A.row_stride == 1) != (A.column_stride == 1)
    )


@jit
def matrix_vector(A, b, c, M, K, epilogue):
    """``c[i] = sum over p < K of A[i, p] * b[p]`` for i < M, added to what the epilogue says; b and c are columns of
    any stride, A's rows or its columns are contiguous."""
    x, y = allocate(c, K), allocate(c, M)
    for p in range(K):
        x[p] = b[p, 0]
    vector_matrix(strided(x, 0, 1), A.T, strided(y, 0, 1), M, K, Epilogue(STORE, epilogue.bias))
    for i in range(M):
        start = epilogue.bias[0] if epilogue.mode == BIAS else c[i, 0] if epilogue.mode == ADD else 0
        c[i, 0] = y[i] + start
    release(x)
    release(y)


@jit
def outer_product(A, B, C, M, N, epilogue):
    """``C[i, j] = A[i, 0] * B[0, j]``, added to what the epilogue says, for i < M, j < N."""
    mode, bias = epilogue
    for i in range(M):
        factor, row = A[i, 0], C.row(i)
        if B.column_stride == 1:
            for j in range(0, N, lane_count(C)):
                start = splat(C, 0.0)
                if mode == BIAS:
                    start = load_partial(bias, j, N - j, 0.0)
                elif mode == ADD:
                    start = load_partial(row, j, N - j, 0.0)
                store_partial(row, j, N - j, fma(load_partial(B, j, N - j, 0.0), factor, start))
        else:
            for j in range(N):
                start_j = bias[j] if mode == BIAS else row[j] if mode == ADD else 0
                row[j] = factor * B[j] + start_j
