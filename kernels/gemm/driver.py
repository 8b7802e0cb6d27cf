r"""The tuned matrix product: what `ladder` packs and tiles, for every shape, stride and number of threads.

multiply_parallel     C is cut into a grid, a part for each thread
  multiply            chooses by shape: vectors, few rows (`transposed`), else gemm. B is packed where it is large or
                      its rows are not contiguous; A only where its rows would collide in the sets of the caches
    gemm              the loops pc, jc, ic around a block ...
      multiply_block    ... and jr, ir around the micro-kernel
"""

from typing import NamedTuple

import numpy as np
from numba import int64
from numba.types import Array

from kernels import _checks, machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.gemm.micro import ADD, BIAS, CHAIN, MR, NV, STORE, Epilogue, micro_kernel, tile_height
from kernels.gemm.pack import in_same_set, pack_a, pack_b, panel_padding
from kernels.gemm.transposed import gemm_transposed, is_better_transposed
from kernels.gemm.vector import is_better_alone, matrix_vector, outer_product, vector_matrix
from kernels.simd import allocate, flat, lane_count, matrix_at, prefetch, release, shifted, strided, view

# Block sizes in vectors, so that a row of a block is the same number of bytes for each dtype (sizes below: float32; in
# float64 a block of B is half as large).
# KC: MR x KC of A (56 KiB) and a panel's KC x NR elements of B (128 KiB) are read from L2 through L1 once per tile; a
# longer KC writes C less often.
KC_VECTORS = 4096 // machine.vector_bytes()
# MC: MC x KC of A fill a third of L2; the rest is for the panel of B and C.
MC = max(machine.cache_bytes(2) // 3 // 4096 // MR, 1) * MR
# NC: KC x NC of B (8 MiB) stay in the last cache while one block of MC rows of A after another is multiplied by them.
# Where M is at most MC, a panel of B is used once: FEW_PANELS of them at a time (512 KiB) stay in L2
# between packing and use.
NC_VECTORS = 8192 // machine.vector_bytes()
FEW_PANELS = 4
# With as many vectors as half of L2 or more, B is copied into panels: together with A it would not stay in L2.
PACK_VECTORS = machine.cache_bytes(2) // 2 // machine.vector_bytes()
# A C of more vectors than half of the last cache is read and written in memory.
LAST_CACHE_VECTORS = machine.cache_bytes(3) // 2 // machine.vector_bytes()
# Where K is at most SHORT, C is most of the traffic: it is written in memory order, one row of tiles after another.
SHORT = 64


class Shape(NamedTuple):
    """The sizes of a product: A is M x K, B is K x N, C is M x N."""

    M: int
    N: int
    K: int


class Packing(NamedTuple):
    """Which operands are packed; and whether tiles of C, too large for the last cache, are prefetched."""

    a: bool
    b: bool
    prefetch: bool


class Strategy(NamedTuple):
    """The algorithm, chosen by the sizes of the whole product, so that the bits do not depend on the number of threads.

    `vector`: C is a row or a column. `transposed`: Cᵀ = Bᵀ Aᵀ is faster. `last_alone`: the last column of C is computed
    on its own.
    """

    vector: bool
    transposed: bool
    last_alone: bool


@jit(inline=True)
def _even_blocks(items, size, unit):
    """Length of the blocks, a multiple of `unit`, when `items` are cut evenly: as many blocks as is nearest to items /
    size, so that a block has at most 1.5 size."""
    blocks = max((items + size // 2) // size, 1)
    return (items + blocks * unit - 1) // (blocks * unit) * unit


@jit
def gemm(A, B, C, shape, epilogue, packing):
    """``C = A B``, or with the epilogue's mode ``A B + bias`` or ``C + A B``: five loops around the micro-kernel.

    Each element of C is summed over blocks of KC, and in these over chains, in the same order, whatever the packing and
    the tile that holds it. Rows of B must be contiguous where it is not packed. Unlike in the ladder, pc is the outer
    loop: A, where all of its rows are one block, is packed once for all jc.

    Where packed, A and B are passed on by the address of their first panel: `multiply_block` sets each one's strides.
    """
    M, N, K = shape
    NR = NV * lane_count(C)
    kc_max = _even_blocks(K, KC_VECTORS * lane_count(C), 1)
    nc_max = min(N, NC_VECTORS * lane_count(C) if M > MC else FEW_PANELS * NR)
    mc_max = MR if K <= SHORT and not packing.a else _even_blocks(M, MC, MR)
    # What is not allocated is never touched: another address of the same type.
    panels_a = allocate(C, mc_max * kc_max + panel_padding(C)) if packing.a else flat(A)
    panels_b = allocate(C, (nc_max + NR - 1) // NR * NR * kc_max + panel_padding(C)) if packing.b else flat(B)
    totals = allocate(C, MR * NR) if K > CHAIN else flat(C)
    for pc in range(0, K, kc_max):
        kc = min(kc_max, K - pc)
        for jc in range(0, N, nc_max):
            nc = min(nc_max, N - jc)
            block_b = B.at(pc, jc)
            if packing.b:
                pack_b(block_b, nc, kc, panels_b)
                block_b = strided(panels_b, NR, 1)
            block_epilogue = Epilogue(ADD if pc > 0 else epilogue.mode, epilogue.bias.column(jc))
            for ic in range(0, M, mc_max):
                mc = min(mc_max, M - ic)
                block_a = A.at(ic, pc)
                if packing.a:
                    if M > mc_max or jc == 0:
                        pack_a(block_a, mc, kc, panels_a)
                    block_a = strided(panels_a, 1, MR)
                multiply_block(block_a, block_b, C.at(ic, jc), Shape(mc, nc, kc), block_epilogue, packing, totals)
    if packing.a:
        release(panels_a)
    if packing.b:
        release(panels_b)
    if K > CHAIN:
        release(totals)


@jit
def multiply_block(A, B, C, shape, epilogue, packing, totals):
    """The loops jr and ir: an M x K block of A times a K x N block of B, panel by panel, tile by tile.

    `totals` is a tile for the sums of chains (see `micro`).
    """
    M, N, K = shape
    NR, lanes = NV * lane_count(C), lane_count(C)
    j = 0
    while j < N:
        width = NR if packing.b or N - j >= NR else lanes  # B itself is not padded to whole panels
        panel_b = strided(shifted(flat(B), j * K), NR, 1) if packing.b else B.column(j)
        columns = min(width, N - j)
        panel_epilogue = Epilogue(epilogue.mode, epilogue.bias.column(j))
        i = 0
        while i < M:
            rows = tile_height(M - i)
            panel_a, tile = A.row(i), C.at(i, j)
            if packing.a:
                panel_a = strided(shifted(flat(A), i * K), 1, rows)
            if packing.prefetch:  # while the tile's sums are computed
                for r in range(rows):
                    prefetch(tile.row(r), 0)
                    prefetch(tile.row(r), lanes)
            micro_kernel(rows, panel_a, panel_b, K, tile, columns, panel_epilogue, totals)
            i += rows
        j += width


@jit(merge=True)
def multiply(A, B, C, shape, epilogue, strategy):
    """`gemm` for any shape: nothing to sum, vectors, few rows, and all others; what is packed, see above."""
    M, N, K = shape
    if M == 0 or N == 0 or K == 0:
        for i in range(M):
            for j in range(N):
                if epilogue.mode != ADD:
                    C[i, j] = epilogue.bias[j] if epilogue.mode == BIAS else 0
    elif K == 1:
        outer_product(A, B, C, M, N, epilogue)
    elif strategy.vector and M == 1 and A.column_stride == 1 and (B.row_stride == 1 or B.column_stride == 1):
        vector_matrix(A, B, C, N, K, epilogue)
    elif strategy.vector and C.row_stride == 1 and epilogue.mode == STORE and _can_swap(A, B):
        vector_matrix(B.T, A.T, C.T, M, K, epilogue)  # C is a column: Cᵀ = Bᵀ Aᵀ
    elif strategy.transposed:
        gemm_transposed(A, B, C, shape, epilogue)
    else:
        # Packing pays where a panel is used often and its original would not stay in the cache meanwhile. Elements of
        # A are broadcast, so its rows or columns are read as fast as panels, unless they collide. B must be packed
        # where its rows are not contiguous.
        packing = Packing(
            M >= MR and N > 8 * NV * lane_count(C) and not _rows_avoid_set_conflicts(A),
            B.column_stride != 1 or (M >= 4 * MR and K * N >= PACK_VECTORS * lane_count(C)),
            M * N > LAST_CACHE_VECTORS * lane_count(C),
        )
        alone = strategy.last_alone and N % lane_count(C) == 1  # else it is in another thread's part
        if N > alone:
            gemm(A, B, C, Shape(M, N - alone, K), epilogue, packing)
        if alone:
            last = Epilogue(epilogue.mode, epilogue.bias.column(N - 1))
            matrix_vector(A, B.column(N - 1), C.column(N - 1), M, K, last)


@jit(inline=True)
def _rows_avoid_set_conflicts(A):
    """Whether lines of A's rows or columns, contiguous and read side by side, lie in different sets of the caches."""
    if A.column_stride == 1:
        return not in_same_set(A.row_stride, A)
    return A.row_stride == 1 and not in_same_set(A.column_stride, A)


@jit(inline=True)
def _can_swap(A, B):
    """Whether `vector_matrix` can compute Cᵀ = Bᵀ Aᵀ: B is a contiguous column, A has contiguous rows or columns."""
    return B.row_stride == 1 and (A.row_stride == 1 or A.column_stride == 1)


@jit(inline=True)
def _strategy(A, B, C, shape):
    M, N, K = shape
    return Strategy(M == 1 or N == 1, is_better_transposed(C, M, N, B), is_better_alone(A, N, K))


@jit(merge=True)
def multiply_serial(a, b, bias, mode, out):
    """``out = A B``, modes as the epilogue's, on one thread; arguments as for `matmul_loops`."""
    M, N = out.shape
    A, B, C = view(a), view(b), view(out)
    shape = Shape(M, N, a.shape[1])
    multiply(A, B, C, shape, Epilogue(mode, view(bias)), _strategy(A, B, C, shape))


@jit(merge=True)
def matmul_loops(a, b, out):
    """``out[:] = a @ b`` on one thread, for use in your own jitted code. Shapes are not checked.

    Parameters
    ----------
    a, b : array, float32 or float64, both of one dtype
        Shapes ``(M, K)`` and ``(K, N)``, any strides.
    out : array
        Shape ``(M, N)``, of their dtype, C-contiguous, not overlapping them.

    Examples
    --------
    >>> import numba
    >>> import numpy as np
    >>> from kernels import matmul_loops
    >>> @numba.njit
    ... def square(a):
    ...     out = np.empty_like(a)
    ...     matmul_loops(a, a, out)
    ...     return out
    >>> square(np.array([[1.0, 1.0], [0.0, 1.0]]))
    array([[1., 2.],
           [0., 1.]])
    """
    M, N = out.shape
    A, B, C = view(a), view(b), view(out)
    shape = Shape(M, N, a.shape[1])
    multiply(A, B, C, shape, Epilogue(STORE, C), _strategy(A, B, C, shape))


# --- threads ---------------------------------------------------------------------------------------------------------


class Operand(NamedTuple):
    """A batch's matrices, a 3-D array of any strides, and for each product the number of the one that it takes."""

    matrices: np.ndarray
    numbers: np.ndarray


@jit
def _grid(threads, M, N):
    """Rows and columns of the grid that cuts C into `threads` parts which read the fewest elements of A and B."""
    best = 1
    for rows in range(1, threads + 1):
        if threads % rows == 0 and M // rows + N * rows // threads < M // best + N * best // threads:
            best = rows
    return best, threads // best


@jit(inline=True)
def _range_of(part, parts, items, unit):
    """The range of `items` that is part number `part` of `parts`, cut at multiples of `unit`."""
    units = (items + unit - 1) // unit
    return min(part * units // parts * unit, items), min((part + 1) * units // parts * unit, items)


@jit
def _multiply_parts(first_thread, stop_thread, threads, a, b, epilogue, out):
    """The parts of C of threads `first_thread` to `stop_thread` - 1, over all products."""
    count, M, N = out.shape
    K = a.matrices.shape[2]
    rows, columns = (1, 1) if count >= threads else _grid(threads, M, N)
    parts = count * rows * columns
    for item in range(first_thread * parts // threads, stop_thread * parts // threads):
        n, part = divmod(item, rows * columns)
        top, bottom = _range_of(part // columns, rows, M, MR)
        left, right = _range_of(part % columns, columns, N, NV * lane_count(out))
        A, B, C = matrix_at(a.matrices, (a.numbers[n],)), matrix_at(b.matrices, (b.numbers[n],)), matrix_at(out, (n,))
        part_epilogue = Epilogue(epilogue.mode, view(epilogue.bias).column(left))
        shape = Shape(bottom - top, right - left, K)
        strategy = _strategy(A, B, C, Shape(M, N, K))
        multiply(A.row(top), B.column(left), C.at(top, left), shape, part_epilogue, strategy)


@jit
def multiply_parallel(a, numbers_a, b, numbers_b, bias, mode, out, threads):
    """C is cut into a grid, and each thread multiplies the rows of A and columns of B that its part of C needs.

    Product n of the batch is that of the matrices ``a[numbers_a[n]]`` and ``b[numbers_b[n]]`` (3-D arrays, any
    strides); a batch of at least `threads` products is divided between products.
    """
    operands = (threads, Operand(a, numbers_a), Operand(b, numbers_b), Epilogue(mode, bias), out)
    parallel_for(_multiply_parts, threads, 1, threads, operands)


_compiled_serial = Compiled(
    multiply_serial, lambda kind: (Array(kind, 2, "A"), Array(kind, 2, "A"), kind[::1], int64, kind[:, ::1])
)


def _parallel_types(kind):
    matrices, numbers = Array(kind, 3, "A"), int64[::1]
    return matrices, numbers, matrices, numbers, kind[::1], int64, kind[:, :, ::1], int64


_compiled_parallel = Compiled(multiply_parallel, _parallel_types)
_ONE_MATRIX = np.zeros(1, np.int64)
NO_BIAS = {dtype: np.empty(0, dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}


def product(a, b, bias, mode, out):
    """``out = A B``, modes as the epilogue's, of 2-D arrays with any strides, on as many threads as pay off."""
    if threads_for(multiply_adds=out.size * a.shape[1]) == 1:
        _compiled_serial[out.dtype](a, b, bias, mode, out)
    else:
        products(a[None], _ONE_MATRIX, b[None], _ONE_MATRIX, bias, mode, out[None])


def products(a, numbers_a, b, numbers_b, bias, mode, out):
    """`multiply_parallel` on as many threads as pay off."""
    threads = threads_for(multiply_adds=out.size * a.shape[2])
    _compiled_parallel[out.dtype](a, numbers_a, b, numbers_b, bias, mode, out, threads)
