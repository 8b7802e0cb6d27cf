"""The public matrix product: ranks, broadcasting, layouts and errors around the loops of `ladder`."""

import numpy as np
from numpy import ndarray

from kernels import _checks, _threads
from kernels.gemm.ladder import NO_BIAS, PARALLEL_WORK, multiply_parallel, multiply_small, product
from kernels.gemm.micro import STORE


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
        Shapes ``(..., M, K)`` and ``(..., K, N)``; a 1-D `a` is a row ``(K,)``, a 1-D `b` a column ``(K,)``, and that
        axis is missing in the result. Transposed views (``w.T``) are read as they lie; other strided views are copied
        once.
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
    if (
        out is None
        and a.__class__ is b.__class__ is ndarray
        and a.dtype is b.dtype
        and (a.dtype is _checks.FLOAT32 or a.dtype is _checks.FLOAT64)
        and a.ndim == b.ndim == 2
    ):  # small plain matrices do not pay for the details; what does not fit falls through
        straight_a, straight_b = a.flags.carray, b.flags.carray
        stored_a, stored_b = a if straight_a else a.T, b if straight_b else b.T
        if (straight_a or stored_a.flags.carray) and (straight_b or stored_b.flags.carray):
            result = ndarray((len(a), b.shape[1]), a.dtype)
            if multiply_small(stored_a, not straight_a, stored_b, not straight_b, result):
                return result
    a, transposed_a = _operand("a", a)
    b, transposed_b = _operand("b", b)
    _checks.same_dtype("matmul", a=a, b=b)
    if a.ndim != 2 or b.ndim != 2:
        return _any_rank(a, transposed_a, b, transposed_b, out)
    M, K = a.shape[::-1] if transposed_a else a.shape
    depth, N = b.shape[::-1] if transposed_b else b.shape
    if depth != K:
        raise ValueError(f"matmul: inner dimensions differ: a is {(M, K)}, b is {(depth, N)}")
    result = _checks.output("matmul", out, (M, N), a.dtype)
    if out is not None:
        _checks.no_overlap("matmul", out, a=a, b=b)
    product(a, transposed_a, b, transposed_b, NO_BIAS[a.dtype], STORE, result)
    return result


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
    if depth != K:
        raise ValueError(f"matmul: inner dimensions differ: a is {shape_a}, b is {shape_b}")
    try:
        batch = np.broadcast_shapes(shape_a[:-2], shape_b[:-2])
    except ValueError:
        raise ValueError(f"matmul: batch dimensions do not broadcast: a is {shape_a}, b is {shape_b}") from None
    shape = batch + (M,) * (len(shape_a) > 1) + (N,) * (len(shape_b) > 1)
    result = _checks.output("matmul", out, shape, a.dtype)
    if out is not None:
        _checks.no_overlap("matmul", out, a=a, b=b)
    if result.size == 0 or K == 0:
        result.fill(0)
    elif not transposed_a and b.ndim == 2:  # one matrix b for all of a: a single tall product
        matmul(a.reshape(-1, K), b.T if transposed_b else b, out=result.reshape(-1, N))
    else:
        count = result.size // (M * N)
        threads = 1 if result.size * K < PARALLEL_WORK else _threads._count
        multiply_parallel(
            a.reshape(-1, *a.shape[-2:]), _matrix_numbers(shape_a[:-2], batch), transposed_a,
            b.reshape(-1, *b.shape[-2:]), _matrix_numbers(shape_b[:-2], batch), transposed_b,
            NO_BIAS[a.dtype], STORE, result.reshape(count, M, N), threads,
        )  # fmt: skip
    return result


def _matrix_numbers(own, batch):
    """For each matrix of the broadcast batch, the number of the operand's matrix that stands there."""
    return np.broadcast_to(np.arange(int(np.prod(own))).reshape(own), batch).flatten()


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
    _checks.same_dtype("matmul_backward", dy=dy, a=a, b=b)
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
