"""The matrix product in jitted code, and the modules of what is built on it."""

import numpy as np

from kernels import _njit_loops
from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import FLOATS, _as_plain, is_contiguous, like, output, same_dtypes
from kernels._njit_errors import Value, _check, failed, type_name
from kernels._njit_operands import absent, any_layout, apart, array_of_any_dtype, merged, operand, shaped, swapped
from kernels._njit_sizes import product, replaced, threads_for
from kernels.gemm import functions, njit_feed_forward, njit_linear
from kernels.gemm.functions import matmul, matmul_backward
from kernels.gemm.micro import STORE

__all__ = ["njit_feed_forward", "njit_linear"]

matmul_aligned = by_address(functions._compiled, "matmul_aligned")
backward_aligned = by_address(functions._compiled_backward, "backward_aligned")


@in_njit(matmul)
def _matmul(a, b, out):
    a, b = operand("matmul", "a", a), operand("matmul", "b", b)
    same_dtypes("matmul", ("a", "b"), (a, b))
    return multiplied(a, like(b, a), out)


@_check
def multiplied(a, b, out):
    """`functions.matmul` of validated operands."""
    if a.ndim == b.ndim == 2:
        return _of_matrices
    if 0 in (a.ndim, b.ndim):
        return _of_a_number

    def code(a, b, out):
        A, B = _as_rows(a), _as_columns(b)
        (M, K), (depth, N) = _matrix_shape(A), _matrix_shape(B)
        if depth != K:
            raise Value("matmul: inner dimensions differ: a is {}, b is {}", a.shape, b.shape)
        ones = _ones(a, b)
        batch_a, batch_b = _batch_of(A, ones), _batch_of(B, ones)
        batch = _broadcast("matmul", batch_a, batch_b, a.shape, b.shape)
        result = output("matmul", "out", out, _result_shape(a, b, batch, M, N), a)
        apart("matmul", out, "a", a)
        apart("matmul", out, "b", b)
        if result.size == 0 or K == 0:
            result.reshape(-1)[:] = 0
        else:
            _multiply_all(A, B, (batch_a, batch_b, batch), result.reshape((result.size // (M * N), M, N)))
        return result

    return code


def _of_matrices(a, b, out):
    (M, K), (depth, N) = a.shape, b.shape
    if depth != K:
        raise Value("matmul: inner dimensions differ: a is {}, b is {}", a.shape, b.shape)
    result = output("matmul", "out", out, (M, N), a)
    apart("matmul", out, "a", a)
    apart("matmul", out, "b", b)
    if out is not None or threads_for(0, M * N * K) > 1 or not matmul_aligned(a, b, result):
        _njit_loops.product(a, b, _no_bias(result), STORE, result)
    return result


def _of_a_number(a, b, out):
    if failed():
        raise Value("matmul: operands must have at least one dimension: a is {}, b is {}", a.shape, b.shape)
    return np.empty(1, a.dtype)


@jit(inline=True)
def _no_bias(out):
    return out.reshape(-1)[:0]


@_check
def _multiply_all(a, b, batches, result):
    """All products of a batch; `result` is 3-D."""
    if b.ndim > 2:
        return lambda a, b, batches, result: _multiply_batch(a, b, batches, result)

    def of_one_matrix(a, b, batches, result):
        if is_contiguous(a):  # a single tall product
            K, N = b.shape
            rows = _as_plain(a).reshape((a.size // K, K))
            _njit_loops.product(any_layout(rows), b, _no_bias(result), STORE, result.reshape((result.size // N, N)))
        else:
            _multiply_batch(a, b, batches, result)

    return of_one_matrix


@jit
def _multiply_batch(a, b, batches, result):
    ones, (batch_a, batch_b, batch) = (1, 1, 1), batches
    numbers_a, numbers_b = _matrix_numbers(batch_a, batch), _matrix_numbers(batch_b, batch)
    A, B = merged(a, ones), merged(b, ones)
    _njit_loops.products(A, numbers_a, B, numbers_b, _no_bias(result), STORE, result)


# --- ranks -----------------------------------------------------------------------------------------------------------


@_check
def _as_rows(a):
    """A vector as a matrix of one row."""
    return (lambda a: any_layout(np.expand_dims(a, 0))) if a.ndim == 1 else (lambda a: a)


@_check
def _as_columns(b):
    """A vector as a matrix of one column."""
    return (lambda b: any_layout(np.expand_dims(b, 1))) if b.ndim == 1 else (lambda b: b)


@_check
def _matrix_shape(x):
    """The last two sizes."""
    i, j = x.ndim - 2, x.ndim - 1
    return lambda x: (x.shape[i], x.shape[j])


@_check
def _ones(a, b):
    """A tuple of ones, as many as the product has batch axes."""
    ones = (1,) * max(a.ndim - 2, b.ndim - 2, 0)
    return lambda a, b: ones


@_check
def _batch_of(x, ones):
    """Batch axes of an array of matrices, with axes of length 1 before them."""
    own, length = x.ndim - 2, len(ones)
    if own == 0:
        return lambda x, ones: ones

    def code(x, ones):
        sizes = ones
        for i in range(own):
            sizes = replaced(sizes, length - own + i, x.shape[i])
        return sizes

    return code


@_check
def _broadcast(operation, batch_a, batch_b, shape_a, shape_b):
    """The batch axes of a product."""
    length = len(batch_a)
    if length == 0:
        return lambda operation, batch_a, batch_b, shape_a, shape_b: batch_a
    message = f"{operation.literal_value}: batch dimensions do not broadcast: a is {{}}, b is {{}}"

    def code(operation, batch_a, batch_b, shape_a, shape_b):
        sizes = batch_a
        for i in range(length):
            if batch_a[i] == 1:
                sizes = replaced(sizes, i, batch_b[i])
            elif batch_b[i] != 1 and batch_b[i] != batch_a[i]:
                raise Value(message, shape_a, shape_b)
        return sizes

    return code


@_check
def _result_shape(a, b, batch, M, N):
    """The shape of a product, without the axes that vectors do not have."""
    if a.ndim > 1:
        if b.ndim > 1:
            return lambda a, b, batch, M, N: batch + (M, N)
        return lambda a, b, batch, M, N: batch + (M,)
    return (lambda a, b, batch, M, N: batch + (N,)) if b.ndim > 1 else (lambda a, b, batch, M, N: batch)


@_check
def _matrix_numbers(axes, batch):
    """`functions._matrix_numbers`"""
    length = len(batch)
    if length == 0:
        return lambda axes, batch: np.zeros(1, np.int64)

    def code(axes, batch):
        numbers = np.empty(product(batch, 0, length), np.int64)
        for n in range(numbers.size):
            rest, step, number = n, 1, 0
            for i in range(length - 1, -1, -1):
                number += rest % batch[i] % axes[i] * step  # an axis of length 1 has its only place for all
                step, rest = step * axes[i], rest // batch[i]
            numbers[n] = number
        return numbers

    return code


# --- gradients -------------------------------------------------------------------------------------------------------


@in_njit(matmul_backward)
def _matmul_backward(dy, a, b, needs):
    dy = array_of_any_dtype("matmul_backward", "dy", dy)
    a, b = array_of_any_dtype("matmul_backward", "a", a), array_of_any_dtype("matmul_backward", "b", b)
    same_dtypes("matmul_backward", ("dy", "a", "b"), (dy, a, b))
    return _gradients(any_layout(like(dy, a)), any_layout(a), any_layout(like(b, a)), needs)


@_check
def _gradients(dy, a, b, needs):
    """`functions.matmul_backward` of arrays of one dtype."""
    if a.dtype not in FLOATS:
        message = f"matmul: a must be float32 or float64, got {type_name(a)}"
        return lambda dy, a, b, needs: _refused_gradients(message, a, b)
    if 0 in (a.ndim, b.ndim):
        return _gradients_of_a_number
    if dy.ndim == a.ndim == b.ndim == 2:
        return _gradients_of_matrices
    rank_a, rank_b = a.ndim, b.ndim

    def code(dy, a, b, needs):
        A, B = _as_rows(a), _as_columns(b)
        (M, K), (depth, N) = _matrix_shape(A), _matrix_shape(B)
        if K != depth:
            raise Value("matmul_backward: inner dimensions differ: a is {}, b is {}", a.shape, b.shape)
        ones = _ones(a, b)
        batch_a, batch_b = _batch_of(A, ones), _batch_of(B, ones)
        batch = _broadcast("matmul_backward", batch_a, batch_b, a.shape, b.shape)
        D = _with_axes(a, b, _of_shape(dy, _result_shape(a, b, batch, M, N)))
        da, db = absent(rank_a, a), absent(rank_b, b)
        if needs[0]:
            da = _summed(matmul(D, swapped(B)), batch_a, batch).reshape(a.shape)
        if needs[1]:
            db = _right_gradient(A, B, D, batch_b, batch).reshape(b.shape)
        return da, db

    return code


def _gradients_of_matrices(dy, a, b, needs):
    (M, K), (depth, N) = a.shape, b.shape
    if depth != K:
        raise Value("matmul_backward: inner dimensions differ: a is {}, b is {}", a.shape, b.shape)
    if dy.shape != (M, N):
        raise Value("matmul_backward: dy must have shape {}, got {}", (M, N), dy.shape)
    if needs[0] and needs[1] and threads_for(0, M * N * K) == 1:
        da, db = np.empty((M, K), a.dtype), np.empty((K, N), a.dtype)
        if backward_aligned(dy, a, b, da, db):
            return da, db
    da = matmul(dy, any_layout(b.T)) if needs[0] else absent(2, a)
    db = matmul(any_layout(a.T), dy) if needs[1] else absent(2, a)
    return da, db


@jit
def _refused_gradients(message, a, b):
    if failed():
        raise TypeError(message)
    return a, b


def _gradients_of_a_number(dy, a, b, needs):
    if failed():
        raise Value("matmul_backward: operands must have at least one dimension: a is {}, b is {}", a.shape, b.shape)
    return a, b


@_check
def _of_shape(dy, shape):
    """`dy`, of any strides, which must have that shape."""
    if dy.ndim != len(shape):
        return lambda dy, shape: any_layout(shaped("matmul_backward", "dy", dy.copy(), shape))

    def code(dy, shape):
        if dy.shape != shape:
            raise Value("matmul_backward: dy must have shape {}, got {}", shape, dy.shape)
        return dy

    return code


@_check
def _with_axes(a, b, dy):
    """The gradient of a product with the axes that vectors do not have, of length 1."""
    last = dy.ndim - (b.ndim > 1)
    if a.ndim > 1:
        return (lambda a, b, dy: any_layout(np.expand_dims(dy, last))) if b.ndim == 1 else (lambda a, b, dy: dy)
    if b.ndim == 1:
        return lambda a, b, dy: any_layout(_as_plain(dy).reshape((1, 1)))
    return lambda a, b, dy: any_layout(np.expand_dims(dy, last))


@_check
def _right_gradient(a, b, dy, batch_b, batch):
    """The gradient of b, which is a matrix or several."""
    if b.ndim == 2 and a.ndim > 2:  # one matrix b for all of a: a single deep product
        ones = (1, 1)
        return lambda a, b, dy, batch_b, batch: matmul(swapped(merged(a, ones)), merged(dy, ones))
    return lambda a, b, dy, batch_b, batch: _summed(matmul(swapped(a), dy), batch_b, batch)


@_check
def _summed(gradient, axes, batch):
    """`functions.sum_to`, flat: the gradients of matrices that a batch shares are added up, in order."""
    length = len(batch)
    if length == 0:
        return lambda gradient, axes, batch: gradient.reshape(-1)

    def code(gradient, axes, batch):
        flat = gradient.reshape(-1)
        if axes == batch:
            return flat
        return _added_up(flat, _matrix_numbers(axes, batch), product(axes, 0, length))

    return code


@jit(fastmath=False)
def _added_up(gradients, numbers, count):
    size = gradients.size // max(numbers.size, 1)
    totals = np.zeros(count * size, gradients.dtype)
    for n in range(numbers.size):
        start = numbers[n] * size
        for i in range(size):
            totals[start + i] += gradients[n * size + i]
    return totals
