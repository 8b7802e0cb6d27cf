"""A vector times a matrix, ``out = x B (+ bias)``: memory-bound, every element of B is read once and used once.

Where B's rows are contiguous, out is a sum of rows: EIGHT rows are added at a time, so that out itself is read and
written once for eight rows of B. Where its columns are (B transposed), out is a set of dot products: EIGHT at a time,
so that x is read once for eight columns and eight independent sums hide the latency of the additions.
"""

from numba import prange

from kernels._jit import jit
from kernels._micro import BIAS, NV
from kernels._threads import enter, leave
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
def _sum_of_rows(x, ix, b, ib, rb, c, ic, first, last, K):
    """``c[j] += sum over p of x[p] * b[p*rb + j]`` for first <= j < last."""
    width = NV * lane_count(c)
    whole = last - (last - first) % width
    for block in range(0, K, EIGHT):
        stop = min(block + EIGHT, K)
        for j in range(first, whole, width):  # contiguous in c and in each of the eight rows
            acc = tile_zeros(c, 1, NV)
            for p in range(block, stop):
                acc = tile_outer(acc, x, ix + p, 0, b, ib + p * rb + j)
            tile_add(c, ic + j, 0, acc)
        for j in range(whole, last, lane_count(c)):
            total = splat(c, 0.0)
            for p in range(block, stop):
                total = fma(load_partial(b, ib + p * rb + j, last - j, 0.0), x[ix + p], total)
            store_partial(c, ic + j, last - j, load_partial(c, ic + j, last - j, 0.0) + total)


@jit
def _dot_products(x, ix, b, ib, cb, c, ic, first, last, K):
    """``c[j] += sum over p of x[p] * b[p + j*cb]`` for first <= j < last."""
    lanes = lane_count(c)
    j = first
    while j + EIGHT <= last:
        acc = tile_zeros(c, 1, EIGHT)
        for p in range(0, K - lanes + 1, lanes):  # contiguous in x and in each of the eight columns
            acc = tile_dot(acc, x, ix + p, 0, b, ib + j * cb + p, cb, lanes)
        if K % lanes:
            p = K - K % lanes
            acc = tile_dot(acc, x, ix + p, 0, b, ib + j * cb + p, cb, K % lanes)
        tile_store_sums(c, ic + j, 0, 1, acc)
        j += EIGHT
    while j < last:
        single = tile_zeros(c, 1, 1)
        for p in range(0, K, lanes):
            single = tile_dot(single, x, ix + p, 0, b, ib + j * cb + p, cb, K - p)
        tile_store_sums(c, ic + j, 0, 1, single)
        j += 1


def _by_columns(parallel):
    @jit(parallel=parallel)
    def vector_matrix(x, ix, b, ib, rb, cb, bias, mode, c, ic, N, K, threads):
        """``c[ic + j] = sum over p < K of x[ix + p] * b[ib + p*rb + j*cb] (+ bias[j])``; one of rb, cb is 1."""
        width = NV * lane_count(c)
        strips = (N + width - 1) // width
        before = enter(threads) if parallel else 0
        for part in prange(threads):
            first, last = part * strips // threads * width, min((part + 1) * strips // threads * width, N)
            for j in range(first, last):
                c[ic + j] = bias[j] if mode == BIAS else 0
            if cb == 1:
                _sum_of_rows(x, ix, b, ib, rb, c, ic, first, last, K)
            else:
                _dot_products(x, ix, b, ib, cb, c, ic, first, last, K)
        if parallel:
            leave(before)

    return vector_matrix


vector_matrix, vector_matrix_parallel = _by_columns(parallel=False), _by_columns(parallel=True)
