"""The public matrix product: ranks, broadcasting, layouts and errors around the loops of `driver`."""

import math

import numpy as np
from numba.types import Array
from numpy import ndarray

from kernels import _checks
from kernels._checks import FLOAT32, FLOAT64
from kernels._jit import Compiled, jit
from kernels._threads import PARALLEL_MULTIPLY_ADDS, get_num_threads
from kernels.gemm.driver import NO_BIAS, matmul_loops, product, products
from kernels.gemm.micro import STORE
from kernels.simd import address

# Elements of a result that `_checks.new` would not align: the call alone would cost a small product a tenth more.
SMALL = 2**14


def _operand(name, x):
    """`x` as an array that the loops can read: any strides, but aligned and of native byte order."""
    x = _checks.as_array("matmul", name, x)
    if x.dtype not in (FLOAT32, FLOAT64):
        raise TypeError(f"matmul: {name} must be float32 or float64, got {x.dtype}")
    return x if x.flags.aligned and x.dtype.isnative else _checks.contiguous(x)


@jit
def _matmul_aligned(a, b, out):
    """`matmul_loops` if all elements are aligned to their size; otherwise returns False and computes nothing."""
    steps = address(a) | a.strides[0] | a.strides[1] | address(b) | b.strides[0] | b.strides[1]
    if steps % a.itemsize:
        return False
    matmul_loops(a, b, out)
    return True


@jit
def _backward_aligned(dy, a, b, da, db):
    """Both gradients of a product, as `_matmul_aligned`: a call of its own for each would take as long as a product of
    16 rows."""
    return _matmul_aligned(dy, b.T, da) and _matmul_aligned(a.T, dy, db)


_compiled = Compiled(_matmul_aligned, lambda kind: (Array(kind, 2, "A"), Array(kind, 2, "A"), kind[:, ::1]))
_compiled_backward = Compiled(_backward_aligned, lambda kind: (Array(kind, 2, "A"),) * 3 + (kind[:, ::1],) * 2)


def _new(rows, columns, dtype):
    """A matrix for a result, not initialised."""
    return ndarray((rows, columns), dtype) if rows * columns < SMALL else _checks.new((rows, columns), dtype)


def matmul(a, b, *, out=None):
    """Matrix product, with ``torch.matmul``'s rules: vectors, matrices, and batches of them that broadcast.

    Parameters
    ----------
    a, b : array, float32 or float64, both of one dtype
        Shapes ``(..., M, K)`` and ``(..., K, N)``; a 1-D `a` is a row ``(K,)``, a 1-D `b` a column ``(K,)``, and that
        axis is missing in the result. Strided and transposed matrices (``w.T``) are read in place. An operand is
        copied if it is misaligned, or has several batch axes that no view merges into one, as in
        ``x.reshape(N, L, H, D).swapaxes(1, 2)``.
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
        Inner dimensions that differ, batch dimensions that do not broadcast, 0-d operands, an unsuitable `out`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import matmul
    >>> matmul(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32))
    array([[3., 3.],
           [3., 3.]], dtype=float32)
    """
    if out is None and a.__class__ is b.__class__ is ndarray and a.ndim == b.ndim == 2:
        # plain matrices take a short path; everything else, errors included, falls through
        dtype, (M, K), (depth, N) = a.dtype, a.shape, b.shape
        alone = M * N * K < PARALLEL_MULTIPLY_ADDS or get_num_threads() == 1  # `threads_for` without the call
        if alone and depth == K and dtype is b.dtype and (dtype is FLOAT32 or dtype is FLOAT64):
            result = _new(M, N, dtype)
            if _compiled[dtype](a, b, result):
                return result
    a, b = _operand("a", a), _operand("b", b)
    _checks.same_dtype("matmul", a=a, b=b)
    if a.ndim != 2 or b.ndim != 2:
        return _any_rank(a, b, out)
    (M, K), (depth, N) = a.shape, b.shape
    if depth != K:
        raise ValueError(f"matmul: inner dimensions differ: a is {(M, K)}, b is {(depth, N)}")
    result = _checks.output("matmul", out, (M, N), a.dtype)
    if out is not None:
        _checks.no_overlap("matmul", out, a=a, b=b)
    product(a, b, NO_BIAS[a.dtype], STORE, result)
    return result


def _any_rank(a, b, out):
    """`matmul` of vectors and batches."""
    shape_a, shape_b = a.shape, b.shape
    if not shape_a or not shape_b:
        raise ValueError(f"matmul: operands must have at least one dimension: a is {shape_a}, b is {shape_b}")
    row, column = len(shape_a) == 1, len(shape_b) == 1
    if row:
        a = a[None, :]
    if column:
        b = b[:, None]
    M, K = a.shape[-2:]
    depth, N = b.shape[-2:]
    if depth != K:
        raise ValueError(f"matmul: inner dimensions differ: a is {shape_a}, b is {shape_b}")
    batch = _batch("matmul", shape_a, shape_b)
    result = _checks.output("matmul", out, batch + (M,) * (not row) + (N,) * (not column), a.dtype)
    if out is not None:
        _checks.no_overlap("matmul", out, a=a, b=b)
    if result.size == 0 or K == 0:
        result.fill(0)
    elif b.ndim == 2 and a.flags.c_contiguous:  # one matrix b for all of a: a single tall product
        product(a.reshape(-1, K), b, NO_BIAS[a.dtype], STORE, result.reshape(-1, N))
    else:
        products(
            a.reshape(-1, M, K),
            _matrix_numbers(a.shape[:-2], batch),
            b.reshape(-1, K, N),
            _matrix_numbers(b.shape[:-2], batch),
            NO_BIAS[a.dtype],
            STORE,
            result.reshape(-1, M, N),
        )
    return result


def _batch(operation, shape_a, shape_b):
    """The batch axes of a product of operands of these shapes."""
    try:
        return np.broadcast_shapes(shape_a[:-2], shape_b[:-2])
    except ValueError:
        raise ValueError(f"{operation}: batch dimensions do not broadcast: a is {shape_a}, b is {shape_b}") from None


def _matrix_numbers(axes, batch):
    """For each matrix of the broadcast batch, the number of the operand's matrix; `axes` are its batch axes."""
    return np.broadcast_to(np.arange(int(np.prod(axes))).reshape(axes), batch).flatten()


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
        As `matmul`; also if `dy` does not have the result's shape.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import matmul_backward
    >>> da, db = matmul_backward(np.ones((2, 2)), np.ones((2, 3)), np.full((3, 2), 2.0))
    >>> da.shape, da[0, 0].item(), db.shape, db[0, 0].item()
    ((2, 3), 4.0, (3, 2), 2.0)
    """
    if dy.__class__ is a.__class__ is b.__class__ is ndarray and dy.ndim == a.ndim == b.ndim == 2:
        (M, K), (depth, N) = a.shape, b.shape
        dtype = a.dtype
        if depth == K and dy.shape == (M, N) and dy.dtype is dtype is b.dtype:  # plain matrices
            alone = M * N * K < PARALLEL_MULTIPLY_ADDS or get_num_threads() == 1
            if alone and needs[0] and needs[1] and (dtype is FLOAT32 or dtype is FLOAT64):
                da, db = _new(M, K, dtype), _new(K, N, dtype)
                if _compiled_backward[dtype](dy, a, b, da, db):
                    return da, db
            return matmul(dy, b.T) if needs[0] else None, matmul(a.T, dy) if needs[1] else None
    dy, a, b = (_checks.as_array("matmul_backward", name, x) for name, x in (("dy", dy), ("a", a), ("b", b)))
    _checks.same_dtype("matmul_backward", dy=dy, a=a, b=b)
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul_backward: operands must have at least one dimension: a is {a.shape}, b is {b.shape}")
    row, column = a.ndim == 1, b.ndim == 1
    matrix_a, matrix_b = a[None, :] if row else a, b[:, None] if column else b
    if matrix_a.shape[-1] != matrix_b.shape[-2]:
        raise ValueError(f"matmul_backward: inner dimensions differ: a is {a.shape}, b is {b.shape}")
    expected = _batch("matmul_backward", a.shape, b.shape) + a.shape[-2:-1] + (() if column else b.shape[-1:])
    if dy.shape != expected:
        raise ValueError(f"matmul_backward: dy must have shape {expected}, got {dy.shape}")
    if row:
        dy = dy[..., None, :] if not column else dy[..., None]
    if column:
        dy = dy[..., None]
    da = db = None
    if needs[0]:
        da = sum_to(matmul(dy, matrix_b.swapaxes(-1, -2)), matrix_a.shape).reshape(a.shape)
    if needs[1]:
        if matrix_b.ndim == 2 and matrix_a.ndim > 2:  # one matrix b for all of a: a single deep product
            rows = math.prod(matrix_a.shape[:-1])  # not -1, which says nothing where K or N is 0
            matrix_a, dy = matrix_a.reshape(rows, matrix_a.shape[-1]), dy.reshape(rows, dy.shape[-1])
        db = sum_to(matmul(matrix_a.swapaxes(-1, -2), dy), matrix_b.shape).reshape(b.shape)
    return da, db


def sum_to(gradient, shape):
    """Sum over the axes that broadcasting added or stretched."""
    added = gradient.ndim - len(shape)
    stretched = tuple(i + added for i, size in enumerate(shape) if size == 1 and gradient.shape[i + added] != 1)
    axes = tuple(range(added)) + stretched
    return gradient.sum(axis=axes, keepdims=True).reshape(shape) if axes else gradient
