r"""Matrix multiplication.

.. math:: C_{ij} = \sum_{p=1}^{K} A_{ip} B_{pj} \qquad A: M \times K,\; B: K \times N,\; C: M \times N

2 M N K FLOPs on (M K + K N + M N) elements moved once: from a few dozen rows on the work outgrows the traffic, and
the fused multiply-add units are the limit, if the loops keep them fed. Each rung of the ladder below has the same
signature and adds one idea. The vocabulary (MC, KC, NR, jc, pc, ic, jr, ir) is that of Goto and BLIS [1]_ [2]_.

Gradients: dA = dC Bᵀ and dB = Aᵀ dC are matrix products themselves, with one factor read transposed.

.. [1] K. Goto, R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008, section 4.
.. [2] F. Van Zee, R. van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 41(3), 2015.
"""

import numpy as np
from numba import prange
from numpy import ndarray

from kernels import _checks, _threads, machine
from kernels._jit import jit
from kernels._threads import enter, leave
from kernels._vector_product import vector_matrix, vector_matrix_parallel
from kernels._micro import ADD, BIAS, MR, NV, STORE, micro_kernel, pack_rows, pack_strips, tile_height
from kernels.simd import flat, lane_count, tile_outer, tile_store, tile_zeros

# One strip's KC x NR elements of B stream through L2 while MR x KC of A (28 KiB) stay in L1.
KC_BYTES = 2048
# MC x KC of A fill half of L2; the other half is for B and C.
MC_BYTES = machine.cache_bytes(2) // 2
# KC x NC of B stay in the last cache: 2048 columns are 4 MiB.
NC_BYTES = 8192
# A K x N or M x K block larger than this is copied into panels: it would not stay in L2 unpacked.
PACK_BYTES = machine.cache_bytes(2)
# Below this many multiply-adds a second thread costs more than it brings (a parallel region takes about 5 us).
PARALLEL_WORK = 600_000


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
    NR, KC = NV * lane_count(out), KC_BYTES // out.itemsize
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


@jit
def _multiply_units(
    first, last, MC, a, ia, ra, ca, pack_a, b, ib, rb, strips, unpacked, bias, jb, mode, c, ic, ldc, M, N, K
):  # fmt: skip
    """Units `first` .. `last` - 1 of the product of an M x K block of A and a K x N block of B.

    A unit is MC rows of A against one strip of B. Strips vary fastest, so that rows of A, once packed, serve them all.
    Strips below `unpacked` are read from B itself, the others from their packed copies.
    """
    NR = NV * lane_count(c)
    strips_in_row = (N + NR - 1) // NR
    panels = np.empty(min(MC, M) * K, c.dtype) if pack_a else a
    packed = -1
    for unit in range(first, last):
        block, strip = divmod(unit, strips_in_row)
        start, stop = block * MC, min(block * MC + MC, M)
        if pack_a and block != packed:
            pack_rows(a, ia, ra, ca, start, stop, K, panels)
            packed = block
        j = strip * NR
        source, at, step = b, ib + j, rb
        if strip >= unpacked:
            source, at, step = strips, (strip - unpacked) * NR * K, NR
        i = start
        while i < stop:
            rows = tile_height(stop - i)
            at_a, row_step, column_step = ia + i * ra, ra, ca
            if pack_a:
                at_a, row_step, column_step = (i - start) * K, 1, rows
            micro_kernel(
                rows, panels, at_a, row_step, column_step, source, at, step, K,
                c, ic + i * ldc + j, ldc, N - j, bias, jb + j, mode,
            )  # fmt: skip
            i += rows


def _five_loops(parallel):
    @jit(parallel=parallel)
    def gemm(a, ia, ra, ca, b, ib, rb, cb, bias, mode, c, ic, ldc, M, N, K, pack_a, pack_b, threads):
        """``C = A B`` or, with `mode` BIAS, ``C = A B + bias``, on strided matrices: the loops jc and pc, and in the units
        ic, jr and ir.

        Element (i, p) of A is ``a[ia + i*ra + p*ca]``, (p, j) of B is ``b[ib + p*rb + j*cb]``, (i, j) of C is
        ``c[ic + i*ldc + j]``. Each element of C is summed over blocks of KC in the same order whatever the packing, the
        tile that holds it and the number of threads.
        """
        NR = NV * lane_count(c)
        KC, NC = min(K, KC_BYTES // c.itemsize), min(N, NC_BYTES // c.itemsize)
        MC = max(MC_BYTES // (KC * c.itemsize) // MR, 1) * MR
        # without packing only a ragged last strip is copied, because the micro-kernel reads all NR columns
        copied = (NC + NR - 1) // NR if pack_b else 1
        strips = np.empty(copied * NR * KC, c.dtype) if pack_b or N % NR else b
        before = enter(threads) if parallel else 0
        for jc in range(0, N, NC):
            nc = min(NC, N - jc)
            count = (nc + NR - 1) // NR
            unpacked = 0 if pack_b else nc // NR
            packers = threads if pack_b else 1
            for pc in range(0, K, KC):
                kc = min(KC, K - pc)
                at_b = ib + pc * rb + jc * cb
                for part in prange(packers):
                    first, last = _share(part, packers, count - unpacked)
                    pack_strips(unpacked + first, unpacked + last, b, at_b, rb, cb, nc, kc, strips, unpacked)
                units = (M + MC - 1) // MC * count
                for part in prange(threads):
                    first, last = _share(part, threads, units)
                    _multiply_units(
                        first, last, MC, a, ia + pc * ca, ra, ca, pack_a, b, at_b, rb, strips, unpacked,
                        bias, jc, mode if pc == 0 else ADD, c, ic + jc, ldc, M, nc, kc,
                    )  # fmt: skip
        if parallel:
            leave(before)

    return gemm


@jit(inline=True)
def _share(part, parts, items):
    """The contiguous range of `items` that falls to `part`."""
    return part * items // parts, (part + 1) * items // parts


gemm, gemm_parallel = _five_loops(parallel=False), _five_loops(parallel=True)


@jit
def matmul_packed(a, b, out):
    """Adds packing: blocks of A and strips of B are copied into panels in exactly the order in which the micro-kernel
    reads them. No stride is left to collide in a cache set (rows 4 KiB apart do), and any layout can be read; masked
    stores take over the edges."""
    M, K = a.shape
    N = b.shape[1]
    if M == 0 or N == 0 or K == 0:
        out[:] = 0
        return
    gemm(
        flat(a), 0, a.strides[0] // a.itemsize, a.strides[1] // a.itemsize,
        flat(b), 0, b.strides[0] // b.itemsize, b.strides[1] // b.itemsize,
        flat(out), STORE, flat(out), 0, N, M, N, K, True, True, 1,
    )  # fmt: skip


def _any_shape(gemm, vector_matrix):
    @jit
    def multiply(a, ia, ra, ca, b, ib, rb, cb, bias, mode, c, ic, ldc, M, N, K, threads):
        """`gemm` for any shape: nothing to sum, vectors, small matrices (never copied) and large ones (packed)."""
        if M == 0 or N == 0 or K == 0:
            for i in range(M):
                for j in range(N):
                    c[ic + i * ldc + j] = bias[j] if mode == BIAS else 0
        elif M == 1 and ca == 1 and (rb == 1 or cb == 1):
            vector_matrix(a, ia, b, ib, rb, cb, bias, mode, c, ic, N, K, threads)
        elif N == 1 and rb == 1 and ldc == 1 and mode == STORE and (ra == 1 or ca == 1):  # C transposed is a row
            vector_matrix(b, ib, a, ia, ca, ra, bias, mode, c, ic, M, K, threads)
        else:
            # Packing pays where a panel is used often and its original would not stay in L2 meanwhile; B must be
            # packed where its rows are not contiguous.
            large = K * max(M, N) * c.itemsize > PACK_BYTES
            pack_a = large and N >= 4 * NV * lane_count(c)
            pack_b = cb != 1 or (large and M >= 4 * MR)
            gemm(a, ia, ra, ca, b, ib, rb, cb, bias, mode, c, ic, ldc, M, N, K, pack_a, pack_b, threads)

    return multiply


multiply, multiply_parallel = _any_shape(gemm, vector_matrix), _any_shape(gemm_parallel, vector_matrix_parallel)


@jit
def matmul_loops(a, b, out):
    """``out[:] = a @ b`` on one thread, for use in your own jitted code: 2-D arrays of one dtype, any strides for `a`
    and `b`, `out` C-contiguous and apart from them. Shapes are not checked here."""
    item, N = a.itemsize, b.shape[1]
    multiply(
        flat(a), 0, a.strides[0] // item, a.strides[1] // item, flat(b), 0, b.strides[0] // item, b.strides[1] // item,
        flat(out), STORE, flat(out), 0, N, a.shape[0], N, a.shape[1], 1,
    )  # fmt: skip


@jit
def matmul_parallel(a, b, out, threads):
    """Adds threads: packing and then units of C (MC rows against a strip of B) are shared out; one thread owns a tile."""
    item, N = a.itemsize, b.shape[1]
    multiply_parallel(
        flat(a), 0, a.strides[0] // item, a.strides[1] // item, flat(b), 0, b.strides[0] // item, b.strides[1] // item,
        flat(out), STORE, flat(out), 0, N, a.shape[0], N, a.shape[1], threads,
    )  # fmt: skip


@jit
def _stored(a, transposed_a, b, transposed_b, out):
    """`matmul_loops` on C-contiguous arrays that hold A and B or their transposes: one signature for all layouts."""
    M, N = out.shape
    K = a.shape[0] if transposed_a else a.shape[1]
    ra, ca = (1, M) if transposed_a else (K, 1)
    rb, cb = (1, K) if transposed_b else (N, 1)
    multiply(flat(a), 0, ra, ca, flat(b), 0, rb, cb, flat(out), STORE, flat(out), 0, N, M, N, K, 1)


@jit
def _stored_parallel(a, transposed_a, b, transposed_b, out, threads):
    """`_stored` on several threads."""
    M, N = out.shape
    K = a.shape[0] if transposed_a else a.shape[1]
    ra, ca = (1, M) if transposed_a else (K, 1)
    rb, cb = (1, K) if transposed_b else (N, 1)
    multiply_parallel(flat(a), 0, ra, ca, flat(b), 0, rb, cb, flat(out), STORE, flat(out), 0, N, M, N, K, threads)


@jit
def _batched_range(first, last, a, starts_a, transposed_a, b, starts_b, transposed_b, out):
    M, N = out.shape[1], out.shape[2]
    K = a.shape[1] if transposed_a else a.shape[2]
    ra, ca = (1, M) if transposed_a else (K, 1)
    rb, cb = (1, K) if transposed_b else (N, 1)
    A, B, C = flat(a), flat(b), flat(out)
    for n in range(first, last):
        multiply(A, starts_a[n] * M * K, ra, ca, B, starts_b[n] * K * N, rb, cb, C, STORE, C, n * M * N, N, M, N, K, 1)


@jit(parallel=True)
def _batched(a, starts_a, transposed_a, b, starts_b, transposed_b, out, threads):
    """Product n is that of matrices ``a[starts_a[n]]`` and ``b[starts_b[n]]``; whole products are shared out."""
    count = out.shape[0]
    if threads == 1:
        _batched_range(0, count, a, starts_a, transposed_a, b, starts_b, transposed_b, out)
    else:
        before = enter(threads)
        for part in prange(threads):
            first, last = _share(part, threads, count)
            _batched_range(first, last, a, starts_a, transposed_a, b, starts_b, transposed_b, out)
        leave(before)


def _all_threads(a, b, out):
    matmul_parallel(a, b, out, _threads.get_num_threads())


VARIANTS = {
    "matmul": {
        "naive": matmul_naive,
        "loop order": matmul_loop_order,
        "register tiled": matmul_register_tiled,
        "cache blocked": matmul_cache_blocked,
        "packed": matmul_packed,
        "parallel": _all_threads,
    }
}


def _operand(name, x):
    """`x` as ``(C-contiguous array, whether it holds the transpose in its last two axes)``."""
    if x.__class__ is ndarray and x.ndim > 1 and not x.flags.c_contiguous:
        swapped = x.swapaxes(-1, -2)
        if swapped.flags.c_contiguous:
            return _checks.floats("matmul", name, swapped), True
    return _checks.floats("matmul", name, x), False


def matmul(a, b, *, out=None):
    """Matrix product, with ``torch.matmul``'s rules: vectors, matrices, and batches of them that broadcast.

    Parameters
    ----------
    a, b : array, float32 or float64, both of one dtype
        Shapes ``(..., M, K)`` and ``(..., K, N)``; a 1-D `a` is a row ``(K,)``, a 1-D `b` a column ``(K,)``, and that axis
        is missing in the result. Transposed views (``w.T``) are read as they lie; other strided views are copied once.
    out : array, optional
        C-contiguous, of the result's shape and dtype, not overlapping `a` or `b`.

    Returns
    -------
    array
        Shape ``(..., M, N)``. For K = 0 all zeros.

    Raises
    ------
    TypeError
        Other dtypes, or two different ones.
    ValueError
        Inner dimensions or batch shapes that do not fit, 0-d operands, an unsuitable `out`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import matmul
    >>> matmul(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32))
    array([[3., 3.],
           [3., 3.]], dtype=float32)
    """
    a, transposed_a = _operand("a", a)
    b, transposed_b = _operand("b", b)
    if a.dtype is not b.dtype:
        _checks.same_dtype("matmul", a=a, b=b)
    if a.ndim != 2 or b.ndim != 2:
        return _any_rank(a, transposed_a, b, transposed_b, out)
    M, K = a.shape[::-1] if transposed_a else a.shape
    depth, N = b.shape[::-1] if transposed_b else b.shape
    if K != depth:
        raise ValueError(f"matmul: inner dimensions differ: a is {(M, K)}, b is {(depth, N)}")
    if out is None:
        out = ndarray((M, N), a.dtype)
    else:
        out = _checks.output("matmul", out, (M, N), a.dtype)
        _checks.no_overlap("matmul", out, a=a, b=b)
    if M * N * K < PARALLEL_WORK or _threads._count == 1:
        _stored(a, transposed_a, b, transposed_b, out)
    else:
        _stored_parallel(a, transposed_a, b, transposed_b, out, _threads._count)
    return out


def _any_rank(a, transposed_a, b, transposed_b, out):
    """`matmul` of vectors and batches."""
    shape_a = a.shape[:-2] + a.shape[:-3:-1] if transposed_a else a.shape
    shape_b = b.shape[:-2] + b.shape[:-3:-1] if transposed_b else b.shape
    if not shape_a or not shape_b:
        raise ValueError(f"matmul: operands must have at least one dimension: a is {shape_a}, b is {shape_b}")
    if len(shape_a) == 1:
        a = a.reshape(1, -1)
    if len(shape_b) == 1:
        b = b.reshape(-1, 1)
    M, K = shape_a[-2:] if len(shape_a) > 1 else (1, shape_a[0])
    depth, N = shape_b[-2:] if len(shape_b) > 1 else (shape_b[0], 1)
    if K != depth:
        raise ValueError(f"matmul: inner dimensions differ: a is {shape_a}, b is {shape_b}")
    try:
        batch = np.broadcast_shapes(shape_a[:-2], shape_b[:-2])
    except ValueError:
        raise ValueError(f"matmul: batch dimensions do not broadcast: a is {shape_a}, b is {shape_b}") from None
    shape = batch + (M,) * (len(shape_a) > 1) + (N,) * (len(shape_b) > 1)
    result = _checks.output("matmul", out, shape, a.dtype)
    if out is not None:
        _checks.no_overlap("matmul", out, a=a, b=b)
    if not transposed_a and b.ndim == 2:  # one matrix b for all of a: a single tall product
        flat_a, flat_out = a.reshape(-1, K) if K else np.empty((result.size // max(N, 1), 0), a.dtype), result
        matmul(flat_a, b.T if transposed_b else b, out=flat_out.reshape(-1, N) if N else flat_out.reshape(len(flat_a), 0))
        return result
    count = int(np.prod(batch))
    work = count * M * N * K
    _batched(
        a.reshape(-1, *a.shape[-2:]), _matrix_numbers(shape_a[:-2], batch), transposed_a,
        b.reshape(-1, *b.shape[-2:]), _matrix_numbers(shape_b[:-2], batch), transposed_b,
        result.reshape(count, M, N), 1 if work < PARALLEL_WORK else _threads._count,
    )  # fmt: skip
    return result


def _matrix_numbers(own, batch):
    """For each matrix of the broadcast batch, the number of the operand's matrix that stands there."""
    return np.ascontiguousarray(np.broadcast_to(np.arange(int(np.prod(own))).reshape(own), batch)).reshape(-1)


def matmul_backward(dy, a, b, *, needs=(True, True)):
    """Gradients of `matmul`: ``da = dy bᵀ`` and ``db = aᵀ dy``, summed over the axes along which a or b was broadcast.

    Parameters
    ----------
    dy : array
        Gradient of the result, of its shape and dtype.
    a, b : array
        The forward's operands.
    needs : tuple of bool
        Which gradients are wanted.

    Returns
    -------
    da, db : array or None
        Of the shapes of `a` and `b`; None where not wanted.

    Raises
    ------
    TypeError, ValueError
        As `matmul`; also where `dy` has not the result's shape.
    """
    dy, a, b = (_checks.as_array("matmul_backward", name, x) for name, x in (("dy", dy), ("a", a), ("b", b)))
    row, column = a.ndim == 1, b.ndim == 1
    matrix_a, matrix_b = a[None, :] if row else a, b[:, None] if column else b
    expected = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + a.shape[-2:-1] + (() if column else b.shape[-1:])
    if dy.shape != expected:
        raise ValueError(f"matmul_backward: dy must have shape {expected}, got {dy.shape}")
    if row:
        dy = dy[..., None, :] if not column else dy[..., None]
    if column:
        dy = dy[..., None]
    da = db = None
    if needs[0]:
        da = _sum_to(matmul(dy, matrix_b.swapaxes(-1, -2)), matrix_a.shape).reshape(a.shape)
    if needs[1]:
        if matrix_b.ndim == 2 and matrix_a.ndim > 2:  # one matrix b for all of a: a single deep product
            matrix_a, dy = matrix_a.reshape(-1, matrix_a.shape[-1]), dy.reshape(-1, dy.shape[-1])
        db = _sum_to(matmul(matrix_a.swapaxes(-1, -2), dy), matrix_b.shape).reshape(b.shape)
    return da, db


def _sum_to(gradient, shape):
    """Sum over the batch axes that broadcasting added or stretched."""
    added = gradient.ndim - len(shape)
    stretched = tuple(i + added for i, size in enumerate(shape) if size == 1 and gradient.shape[i + added] != 1)
    axes = tuple(range(added)) + stretched
    return gradient.sum(axis=axes, keepdims=True).reshape(shape) if axes else gradient
