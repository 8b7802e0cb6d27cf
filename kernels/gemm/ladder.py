r"""Matrix multiplication.

.. math:: C_{ij} = \sum_{p=1}^{K} A_{ip} B_{pj} \qquad A: M \times K,\; B: K \times N,\; C: M \times N

2 M N K FLOPs on (M K + K N + M N) elements moved once: from a few dozen rows on the work outgrows the traffic, and
the fused multiply-add units are the limit, if the loops keep them fed. Each rung of the ladder below has the same
signature and adds one idea. The vocabulary (MC, KC, NR, jc, pc, ic, jr, ir) is that of Goto and BLIS [1]_ [2]_.

Gradients: dA = dC Bᵀ and dB = Aᵀ dC are matrix products themselves, with one factor read transposed.

.. [1] K. Goto, R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008, sec. 4.
.. [2] F. Van Zee, R. van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 41(3),
   2015.
"""

from kernels._jit import jit
from kernels.gemm.driver import KC_VECTORS, MC, NC_VECTORS, NO_BIAS, product
from kernels.gemm.micro import ADD, MR, NV, STORE, Epilogue, micro_kernel, tile_height
from kernels.gemm.pack import pack_a, pack_b, panel_padding
from kernels.simd import (
    allocate,
    lane_count,
    release,
    shifted,
    strided,
    tile_add,
    tile_outer,
    tile_store,
    tile_zeros,
    view,
)


@jit
def matmul_naive(a, b, out):
    """The definition: one dot product per element of C. B is read down its columns, one cache line per element."""
    M, K = a.shape
    N = b.shape[1]
    for i in range(M):
        for j in range(N):
            total = out.dtype.type(0)
            for p in range(K):
                total += a[i, p] * b[p, j]
            out[i, j] = total


@jit
def matmul_loop_order(a, b, out):
    """Adds loop order: with j innermost, B and C are read along their rows, and the compiler vectorises."""
    M, K = a.shape
    N = b.shape[1]
    for i in range(M):
        row = out[i]
        for j in range(N):
            row[j] = 0
        for p in range(K):
            a_ip, b_row = a[i, p], b[p]
            for j in range(N):  # contiguous in b and c
                row[j] += a_ip * b_row[j]


@jit
def matmul_register_tiled(a, b, out):
    """Adds register tiles: MR x NR of C stay in registers for all of K, so C is written once, not K times, and an
    element of A or B that is loaded is used NR or MR times."""
    M, K = a.shape
    N = b.shape[1]
    A, B, C = view(a), view(b), view(out)
    NR = NV * lane_count(out)
    whole_M, whole_N = M - M % MR, N - N % NR
    for i in range(0, whole_M, MR):
        for j in range(0, whole_N, NR):
            acc = tile_zeros(C, MR, NV)
            for p in range(K):  # acc[r, :] += A[i + r, p] * B[p, j : j + NR]
                acc = tile_outer(acc, A.at(i, p), B.at(p, j))
            tile_store(C.at(i, j), acc)
    _edges(a, b, out, whole_M, whole_N)


@jit
def matmul_cache_blocked(a, b, out):
    """Adds cache blocking: K is cut into blocks of KC and rows are the inner loop, so that KC x NR elements of B, by
    which all tiles of rows are multiplied, stay in L1 or L2. C is now read and written once per block of K."""
    M, K = a.shape
    N = b.shape[1]
    A, B, C = view(a), view(b), view(out)
    NR, KC = NV * lane_count(out), KC_VECTORS * lane_count(out)
    whole_M, whole_N = M - M % MR, N - N % NR
    for pc in range(0, K, KC):
        for j in range(0, whole_N, NR):
            for i in range(0, whole_M, MR):
                acc = tile_zeros(C, MR, NV)
                for p in range(pc, min(pc + KC, K)):
                    acc = tile_outer(acc, A.at(i, p), B.at(p, j))
                if pc == 0:
                    tile_store(C.at(i, j), acc)
                else:
                    tile_add(C.at(i, j), acc)
    _edges(a, b, out, whole_M, whole_N)


@jit
def _edges(a, b, out, whole_M, whole_N):
    """Rows from `whole_M` and columns from `whole_N` on, as `matmul_loop_order`; where K is 0, everything."""
    M, N = out.shape
    K = a.shape[1]
    for i in range(M):
        first = whole_N if i < whole_M and K > 0 else 0
        row = out[i]
        for j in range(first, N):
            row[j] = 0
        for p in range(K):
            a_ip, b_row = a[i, p], b[p]
            for j in range(first, N):
                row[j] += a_ip * b_row[j]


@jit
def matmul_packed(a, b, out):
    """Adds packing: Goto's five loops, in which blocks of A (MC x KC) and B (KC x NC) are copied into panels in exactly
    the order in which the micro-kernel reads them. No stride is left to collide in a cache set (rows 4 KiB apart do),
    any layout can be read, and edges need no loops of their own: at the bottom tiles are lower, at the right stores are
    masked. `totals` is a tile for K beyond CHAIN, where the micro-kernel adds up several chains."""
    (M, N), K = out.shape, a.shape[1]
    A, B, C = view(a), view(b), view(out)
    NR, KC, NC = NV * lane_count(out), KC_VECTORS * lane_count(out), NC_VECTORS * lane_count(out)
    panels_a = allocate(out, MC * KC + panel_padding(out))
    panels_b = allocate(out, (min(N, NC) + NR - 1) // NR * NR * KC + panel_padding(out))
    totals = allocate(out, MR * NR)
    if K == 0:
        out[:] = 0
    for jc in range(0, N, NC):
        nc = min(NC, N - jc)
        for pc in range(0, K, KC):
            kc = min(KC, K - pc)
            pack_b(B.at(pc, jc), nc, kc, panels_b)  # KC x NC of B: stays in the last cache
            epilogue = Epilogue(ADD if pc > 0 else STORE, C)
            for ic in range(0, M, MC):
                mc = min(MC, M - ic)
                pack_a(A.at(ic, pc), mc, kc, panels_a)  # MC x KC of A: stays in L2
                for jr in range(0, nc, NR):  # a panel of B, KC x NR: read from L2 for each tile
                    panel_b = strided(shifted(panels_b, jr * kc), NR, 1)
                    ir = 0
                    while ir < mc:
                        rows = tile_height(mc - ir)
                        panel_a = strided(shifted(panels_a, ir * kc), 1, rows)
                        tile = C.at(ic + ir, jc + jr)
                        micro_kernel(rows, panel_a, panel_b, kc, tile, min(NR, nc - jr), epilogue, totals)
                        ir += rows
    release(panels_a)
    release(panels_b)
    release(totals)


def matmul_tuned(a, b, out):
    """Adds threads, each with a part of C, and a choice by shape (`driver`): with few rows only A is packed, small
    matrices and vectors are read where they are, blocks are cut evenly."""
    product(a, b, NO_BIAS[out.dtype], STORE, out)


VARIANTS = {
    "matmul": {
        "naive": matmul_naive,
        "loop order": matmul_loop_order,
        "register tiled": matmul_register_tiled,
        "cache blocked": matmul_cache_blocked,
        "packed": matmul_packed,
        "tuned": matmul_tuned,
    }
}
