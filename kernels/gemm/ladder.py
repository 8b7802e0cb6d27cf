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

import numpy as np
from numba import int64
from numba.types import Array

from kernels import _checks, machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.gemm.micro import (
    ADD,
    BIAS,
    CHAIN,
    MR,
    NV,
    STORE,
    micro_kernel,
    pack_rows,
    pack_strips,
    padding,
    tile_height,
)
from kernels.gemm.turned import gemm_turned, is_turned
from kernels.gemm.vector import outer_product, vector_matrix
from kernels.simd import allocate, flat, lane_count, prefetch, release, tile_add, tile_outer, tile_store, tile_zeros

# Block sizes in vectors, so that they hold for each dtype and are constants to the compiler.
# KC: MR x KC of A (56 KiB) and a strip's KC x NR elements of B (128 KiB) stream through L1 once a tile; a longer KC
# writes C less often.
KC_VECTORS = 4096 // machine.vector_bytes()
# MC: MC x KC of A fill a third of L2; the rest is for the strip and C.
MC = max(machine.cache_bytes(2) // 3 // 4096 // MR, 1) * MR
# NC: KC x NC of B (4 MiB) stay in the last cache while MC rows of A after MC rows meet them; where all rows of A are
# within MC, a strip of B is used once, and FEW_STRIPS of them at a time (512 KiB) are soon read again from L2.
NC_VECTORS = 4096 // machine.vector_bytes()
FEW_STRIPS = 4
# A block of A or B with more vectors than this is copied into panels: it would not stay in L2 meanwhile.
PACK_VECTORS = machine.cache_bytes(2) // machine.vector_bytes()
# Where K is at most SHORT, C is most of the traffic: it is written row of tiles by row of tiles.
SHORT = 64
# Numba compiles a callee anew for each literal argument; this is a plain value to it.
ZERO = np.int64(0)


@jit
def matmul_naive(a, b, out):
    """The definition: one dot product an element of C. B is walked down its columns, a cache line a step."""
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
    """Adds loop order: with j innermost, B and C are walked along their rows, and the compiler vectorises."""
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
    A, B, C = flat(a), flat(b), flat(out)
    NR = NV * lane_count(out)
    whole_M, whole_N = M - M % MR, N - N % NR
    for i in range(0, whole_M, MR):
        for j in range(0, whole_N, NR):
            acc = tile_zeros(C, MR, NV)
            for p in range(K):  # A: MR rows, one element each; B: NR neighbours
                acc = tile_outer(acc, A, i * K + p, K, B, p * N + j)
            tile_store(C, i * N + j, N, acc)
    _edges(a, b, out, whole_M, whole_N)


@jit
def matmul_cache_blocked(a, b, out):
    """Adds cache blocking: K is cut into blocks of KC, so that the KC x NR strip of B that all rows of A meet in turn
    stays in L1 or L2 instead of being fetched anew for each tile of rows."""
    M, K = a.shape
    N = b.shape[1]
    A, B, C = flat(a), flat(b), flat(out)
    NR, KC = NV * lane_count(out), KC_VECTORS * lane_count(out)
    whole_M, whole_N = M - M % MR, N - N % NR
    for pc in range(0, K, KC):
        for j in range(0, whole_N, NR):
            for i in range(0, whole_M, MR):
                acc = tile_zeros(C, MR, NV)
                for p in range(pc, min(pc + KC, K)):
                    acc = tile_outer(acc, A, i * K + p, K, B, p * N + j)
                if pc == 0:
                    tile_store(C, i * N + j, N, acc)
                else:
                    tile_add(C, i * N + j, N, acc)
    _edges(a, b, out, whole_M, whole_N)


@jit
def _edges(a, b, out, whole_M, whole_N):
    """Rows from `whole_M` and columns from `whole_N` on, in the order of `matmul_loop_order`."""
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


@jit(inline=True)
def _even(items, most, unit):
    """Length of the blocks, multiples of `unit`, when `items` are cut evenly into the fewest blocks of about `most`."""
    blocks = max((items + most // 2) // most, 1)
    return (items + blocks * unit - 1) // (blocks * unit) * unit


@jit
def gemm(a, ia, ra, ca, b, ib, rb, cb, bias, jb, mode, c, ic, ldc, M, N, K, pack_a, pack_b):
    """``C = A B``, with `mode` BIAS ``A B + bias``, with ADD ``C + A B``, on strided matrices: five loops around the
    micro-kernel.

    Element (i, p) of A is ``a[ia + i*ra + p*ca]``, (p, j) of B is ``b[ib + p*rb + j*cb]``, (i, j) of C is
    ``c[ic + i*ldc + j]``, and bias j is ``bias[jb + j]``. Each element of C is summed over blocks of KC, and in these
    over chains, in the same order, whatever the packing and the tile that holds it.
    """
    NR = NV * lane_count(c)
    KC = _even(K, KC_VECTORS * lane_count(c), 1)
    NC = min(N, NC_VECTORS * lane_count(c) if M > MC else FEW_STRIPS * NR)
    rows = MR if K <= SHORT and not pack_a else _even(M, MC, MR)
    panels = allocate(c, rows * KC + padding(c)) if pack_a else a
    strips = allocate(c, (NC + NR - 1) // NR * NR * KC + padding(c)) if pack_b else b
    totals = allocate(c, MR * NR) if K > CHAIN else c
    for pc in range(0, K, KC):
        kc = min(KC, K - pc)
        for jc in range(0, N, NC):
            nc = min(NC, N - jc)
            at_b = ib + pc * rb + jc * cb
            if pack_b:
                pack_strips(b, at_b, rb, cb, nc, kc, strips)
            for ic_block in range(0, M, rows):
                mc = min(rows, M - ic_block)
                at_a = ia + ic_block * ra + pc * ca
                if pack_a and (M > rows or jc == 0):
                    pack_rows(a, at_a, ra, ca, mc, kc, panels)
                _multiply_block(
                    panels, 0 if pack_a else at_a, ra, ca, pack_a, strips, 0 if pack_b else at_b, rb, pack_b,
                    bias, jb + jc, ADD if pc > 0 else mode, c, ic + ic_block * ldc + jc, ldc, mc, nc, kc, totals,
                )  # fmt: skip
    if pack_a:
        release(panels)
    if pack_b:
        release(strips)
    if K > CHAIN:
        release(totals)


@jit
def _multiply_block(
    a, ia, ra, ca, packed_a, b, ib, rb, packed_b, bias, jb, mode, c, ic, ldc, M, N, K, totals
):  # fmt: skip
    """The loops jr and ir: an M x K block of A times a K x N block of B, strip by strip, tile by tile."""
    NR = NV * lane_count(c)
    j = 0
    while j < N:
        width = NR if packed_b or N - j >= NR else lane_count(c)  # B itself is not padded to whole strips
        at_b, step = (ib + j * K, NR) if packed_b else (ib + j, rb)
        i = 0
        while i < M:
            rows = tile_height(M - i)
            at_a, row_step, column_step = (i * K, 1, rows) if packed_a else (ia + i * ra, ra, ca)
            if packed_a:  # C comes from far: ask for the tile before it is due
                for r in range(i, i + rows):
                    prefetch(c, ic + r * ldc + j)
                    prefetch(c, ic + r * ldc + j + lane_count(c))
            micro_kernel(
                rows, a, at_a, row_step, column_step, b, at_b, step, K,
                c, ic + i * ldc + j, ldc, min(width, N - j), bias, jb + j, mode, totals,
            )  # fmt: skip
            i += rows
        j += width


@jit(inline=True)
def _steps(x):
    """Elements from one row of `x` (its last two axes) to the next, and from one column to the next."""
    down, right = x.strides[x.ndim - 2] // x.itemsize, x.strides[x.ndim - 1] // x.itemsize
    return down, right if x.shape[x.ndim - 1] > 1 else 1  # NumPy gives a single column any stride


@jit
def matmul_packed(a, b, out):
    """Adds packing: blocks of A and strips of B are copied into panels in exactly the order in which the micro-kernel
    reads them. No stride is left to collide in a cache set (rows 4 KiB apart do), and any layout can be read; masked
    stores take over the edges."""
    M, N = out.shape
    K = a.shape[1]
    if M == 0 or N == 0 or K == 0:
        out[:] = 0
        return
    ra, ca = _steps(a)
    rb, cb = _steps(b)
    A, B, C = flat(a), flat(b), flat(out)
    gemm(A, ZERO, ra, ca, B, ZERO, rb, cb, C, ZERO, np.int64(STORE), C, ZERO, N, M, N, K, True, True)


@jit(merge=True)
def multiply(a, ia, ra, ca, b, ib, rb, cb, bias, jb, mode, c, ic, ldc, M, N, K, vector, turned):
    """`gemm` for any shape: nothing to sum, vectors, small matrices (not copied) and large ones (packed).

    `vector`: the product that this is a part of has one row or one column; `turned`: `is_turned` holds for it.
    """
    if M == 0 or N == 0 or K == 0:
        for i in range(M):
            for j in range(N):
                if mode != ADD:
                    c[ic + i * ldc + j] = bias[jb + j] if mode == BIAS else 0
    elif K == 1:
        outer_product(a, ia, ra, b, ib, cb, bias, jb, mode, c, ic, ldc, M, N)
    elif vector and M == 1 and ca == 1 and (rb == 1 or cb == 1):
        vector_matrix(a, ia, b, ib, rb, cb, bias, jb, mode, c, ic, N, K)
    elif vector and rb == 1 and ldc == 1 and mode == STORE and (ra == 1 or ca == 1):  # C is a column: Cᵀ = Bᵀ Aᵀ
        vector_matrix(b, ib, a, ia, ca, ra, bias, jb, mode, c, ic, M, K)
    elif turned:
        gemm_turned(a, ia, ra, ca, b, ib, cb, bias, jb, mode, c, ic, ldc, M, N, K)
    else:
        # Packing pays where a panel is used often and its original would not stay in L2 meanwhile; B must be
        # packed where its rows are not contiguous.
        large = K * max(M, N) > PACK_VECTORS * lane_count(c)
        pack_a = large and N >= 4 * NV * lane_count(c)
        pack_b = cb != 1 or (large and M >= 4 * MR)
        gemm(a, ia, ra, ca, b, ib, rb, cb, bias, jb, mode, c, ic, ldc, M, N, K, pack_a, pack_b)


@jit(merge=True)
def multiply_add(a, b, bias, mode, out):
    """``out = A B``, modes as `gemm`'s, on one thread; arguments as for `matmul_loops`."""
    M, N = out.shape
    ra, ca = _steps(a)
    rb, cb = _steps(b)
    multiply(
        flat(a), ZERO, ra, ca, flat(b), ZERO, rb, cb, flat(bias), ZERO, mode, flat(out), ZERO, N, M, N, a.shape[1],
        M == 1 or N == 1, is_turned(a, M, N, rb, cb),
    )  # fmt: skip


@jit(merge=True)
def matmul_loops(a, b, out):
    """``out[:] = a @ b`` on one thread, for use in your own jitted code: 2-D arrays of one dtype, any strides for `a`
    and `b`, `out` C-contiguous and apart from them. Shapes are not checked here."""
    multiply_add(a, b, flat(out), np.int64(STORE), out)


@jit
def _grid(threads, M, N, NR):
    """Rows and columns of the grid of `threads` cells whose cells read the least of A and B."""
    best = 1
    for rows in range(1, threads + 1):
        if threads % rows == 0 and M // rows + N * rows // threads < M // best + N * best // threads:
            best = rows
    return best, threads // best


@jit(inline=True)
def _share(part, parts, items, unit):
    """The range of `items` that falls to `part`, cut at multiples of `unit`."""
    units = (items + unit - 1) // unit
    return min(part * units // parts * unit, items), min((part + 1) * units // parts * unit, items)


@jit
def _multiply_task(part, stop, parts, a, starts_a, b, starts_b, bias, mode, out):
    """The cells of the grid that fall to part number `part` of `parts`, or to all parts up to `stop` - 1."""
    count, M, N = out.shape
    K = a.shape[2]
    next_a, next_b = a.strides[0] // a.itemsize, b.strides[0] // b.itemsize
    ra, ca = _steps(a)
    rb, cb = _steps(b)
    rows, columns = (1, 1) if count >= parts else _grid(parts, M, N, NV * lane_count(out))
    cells = count * rows * columns
    first, last = part * cells // parts, stop * cells // parts
    for item in range(first, last):
        n, cell = divmod(item, rows * columns)
        top, bottom = _share(cell // columns, rows, M, MR)
        left, right = _share(cell % columns, columns, N, NV * lane_count(out))
        multiply(
            flat(a), starts_a[n] * next_a + top * ra, ra, ca, flat(b), starts_b[n] * next_b + left * cb, rb, cb,
            flat(bias), left, mode, flat(out), (n * M + top) * N + left, N, bottom - top, right - left, K,
            M == 1 or N == 1, is_turned(a, M, N, rb, cb),
        )  # fmt: skip


@jit
def multiply_parallel(a, starts_a, b, starts_b, bias, mode, out, threads):
    """C is cut into a grid, and each thread multiplies its cell's rows of A and columns of B.

    Product n of the batch is that of the matrices ``a[starts_a[n]]`` and ``b[starts_b[n]]`` (3-D arrays, any strides);
    a batch of at least `threads` products is divided between products.
    """
    parallel_for(_multiply_task, threads, 1, threads, (threads, a, starts_a, b, starts_b, bias, mode, out))


_compiled_add = Compiled(
    multiply_add, lambda kind: (Array(kind, 2, "A"), Array(kind, 2, "A"), kind[::1], int64, kind[:, ::1])
)
_compiled_parallel = Compiled(
    multiply_parallel,
    lambda kind: (
        Array(kind, 3, "A"), int64[::1], Array(kind, 3, "A"), int64[::1], kind[::1], int64, kind[:, :, ::1], int64
    ),
)  # fmt: skip
_ONE_MATRIX = np.zeros(1, np.int64)
NO_BIAS = {dtype: np.empty(0, dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}


def product(a, b, bias, mode, out):
    """``out = A B``, modes as `gemm`'s, of 2-D arrays with any strides, on as many threads as it is worth."""
    if threads_for(multiply_adds=out.size * a.shape[1]) == 1:
        _compiled_add[out.dtype](a, b, bias, mode, out)
    else:
        products(a[None], _ONE_MATRIX, b[None], _ONE_MATRIX, bias, mode, out[None])


def products(a, starts_a, b, starts_b, bias, mode, out):
    """`multiply_parallel` on as many threads as it is worth."""
    threads = threads_for(multiply_adds=out.size * a.shape[2])
    _compiled_parallel[out.dtype](a, starts_a, b, starts_b, bias, mode, out, threads)


def matmul_parallel(a, b, out):
    """Adds threads: C is cut into a grid, and each thread runs the packed product on its cell. What need not be packed,
    because it is small, is not."""
    product(a, b, NO_BIAS[out.dtype], STORE, out)


VARIANTS = {
    "matmul": {
        "naive": matmul_naive,
        "loop order": matmul_loop_order,
        "register tiled": matmul_register_tiled,
        "cache blocked": matmul_cache_blocked,
        "packed": matmul_packed,
        "parallel": matmul_parallel,
    }
}
