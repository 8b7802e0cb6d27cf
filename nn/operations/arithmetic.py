"""Sums, products, quotients and extremes of two operands, and the matrix product.

Each takes two tensors, arrays or numbers, at least one of them a tensor; `nn.tensor` makes them operators.
"""

from typing import Any

import numpy as np

import kernels
from nn.dtypes import get_default_dtype
from nn.operations.arguments import (
    NUMBERS,
    applied,
    array_of,
    as_tensor,
    mismatch,
    operands,
    record_binary,
    scalar_of,
    scaled,
    sum_to,
)
from nn.storage import Tensor, wrap
from nn.tape import ieee, record, record_linear

__all__ = ["abs", "add", "div", "floor_divide", "fmod", "matmul", "maximum", "minimum", "mul", "neg", "remainder"]
__all__ += ["sub"]


@ieee
def add(input, other, *, alpha: Any = 1):
    """The sum, element by element, of one and `alpha` times the other; tensors and numbers broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.add(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 8, -2])
    """
    other = other if alpha == 1 else times("add", "alpha", other, alpha, input)
    a, b, x, y = operands("add", input, other)
    try:
        z = x + y
    except ValueError:
        raise mismatch("add", x, y) from None
    return record_binary("add", z, a, b, lambda dy: dy, lambda dy: dy)


def times(name, argument, other, factor, *others):
    """An operand, a tensor or a number, times a number; TypeError for a fraction where all operands are integers."""
    factor = factor if isinstance(factor, Tensor) else scalar_of(name, argument, factor)
    if isinstance(factor, (float, np.floating)) and not any(map(_has_fractions, (other, *others))):
        raise TypeError(f"{name}: {argument} must be an int for integers, got {factor}")
    return other * factor if isinstance(other, NUMBERS) else mul(as_tensor(other), factor)


def _has_fractions(value):
    """Whether an operand, a tensor, an array or a number, is floating point."""
    return isinstance(value, float) or getattr(getattr(value, "array", value), "dtype", np.dtype(int)).kind == "f"


@ieee
def sub(input, other, *, alpha: Any = 1):
    """The difference, element by element, of one and `alpha` times the other; tensors and numbers broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.sub(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 2, -8])
    """
    other = other if alpha == 1 else times("sub", "alpha", other, alpha, input)
    a, b, x, y = operands("sub", input, other)
    if x.dtype.kind == "b":
        raise TypeError("sub: bools have no difference; use != or long()")
    try:
        z = x - y
    except ValueError:
        raise mismatch("sub", x, y) from None
    return record_binary("sub", z, a, b, lambda dy: dy, lambda dy: -dy)


@ieee
def mul(input, other):
    """The product, element by element; tensors and numbers broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.mul(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 15, -15])
    """
    a, b, x, y = operands("mul", input, other)
    try:
        z = x * y
    except ValueError:
        raise mismatch("mul", x, y) from None

    def derivative(dy, a, b):
        return mul(dy, y if b is None else b), mul(dy, x if a is None else a)

    return record_binary("mul", z, a, b, lambda dy: dy * y, lambda dy: dy * x, (a, b), derivative=derivative)


@ieee
def div(input, other, *, rounding_mode=None):
    """The quotient, element by element, a floating-point number; tensors and numbers broadcast.

    With `rounding_mode`, it is rounded: "trunc" towards 0, "floor" down; quotients of integers are then integers.

    Examples
    --------
    >>> import nn
    >>> nn.div(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 1.6667, -1.6667])
    """
    if rounding_mode is not None:
        return _quotient("div", input, other, rounding_mode)
    a, b, x, y = operands("div", input, other)
    if x.dtype.kind != "f":
        x, y = x.astype(get_default_dtype()), y.astype(get_default_dtype())
    try:
        z = x / y
    except ValueError:
        raise mismatch("div", x, y) from None

    def db(dy):
        return -dy * (x / y / y)  # y² may overflow or underflow where the quotients do not

    def derivative(dy, a, b):
        a, b = x if a is None else a, y if b is None else b
        return div(dy, b), mul(neg(dy), div(div(a, b), b))

    return record_binary("div", z, a, b, lambda dy: dy / y, db, (a, b), derivative=derivative)


def _divisible(name, y):
    """ZeroDivisionError if integers are divided by 0."""
    if y.dtype.kind != "f" and not y.all():
        raise ZeroDivisionError(f"{name}: an integer is divided by 0")


@ieee
def fmod(input, other):
    """The remainder of a division rounded towards 0: with the sign of `input`.

    Examples
    --------
    >>> import nn
    >>> nn.fmod(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 2, -2])
    """
    return _remainder("fmod", np.fmod, np.trunc, input, other)


@ieee
def remainder(input, other):
    """The remainder of a division rounded down: with the sign of `other`, as Python's ``%``.

    Examples
    --------
    >>> import nn
    >>> nn.remainder(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([2, 1])
    """
    return _remainder("remainder", np.remainder, np.floor, input, other)


def _remainder(name, ufunc, rounding, a, b):
    a, b, x, y = operands(name, a, b)
    _divisible(name, y)

    def db(dy):
        return -dy * rounding(x / y)

    def derivative(dy, a, b):
        return dy, scaled(name, db, dy, (a, b))

    return record_binary(name, applied(name, ufunc, x, y), a, b, lambda dy: dy, db, (a, b), derivative=derivative)


@ieee
def _quotient(name, input, other, rounding_mode):
    """A quotient that is rounded: "trunc" towards 0, "floor" down. Integers remain integers."""
    a, b, x, y = operands(name, input, other)
    _divisible(name, y)
    if rounding_mode == "floor":
        z = applied(name, np.floor_divide, x, y)
    elif rounding_mode == "trunc":
        z = np.trunc(applied(name, np.divide, x, y)) if x.dtype.kind == "f" else applied(name, _truncated, x, y)
    else:
        raise ValueError(f"{name}: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    return record_binary(name, z, a, b, np.zeros_like, np.zeros_like)


def _truncated(x, y):
    """Quotients of integers, rounded towards 0."""
    z = np.floor_divide(x, y)
    return z + ((z < 0) & (z * y != x))


def floor_divide(input, other):
    """The quotient, rounded down, as Python's ``//``; its gradient is 0.

    Examples
    --------
    >>> import nn
    >>> nn.floor_divide(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 1, -2])
    """
    return _quotient("floor_divide", input, other, "floor")


def neg(input):
    """The negated elements.

    Examples
    --------
    >>> import nn
    >>> nn.neg(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([ 1.7000, -0.5000, -2.5000])
    """
    if array_of("neg", input).dtype.kind == "b":
        raise TypeError("neg: bools have no negative; use ~")
    return record_linear("neg", np.negative, np.negative, input)


def abs(input):
    """The magnitudes of the elements; the gradient at 0 is 0.

    Examples
    --------
    >>> import nn
    >>> nn.abs(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([1.7000, 0.5000, 2.5000])
    """
    x = array_of("abs", input)

    def backward(dy):
        return np.where(x > 0, dy, np.where(x < 0, -dy, 0))

    def derivative(dy, input):
        return scaled("abs", backward, dy, (input,))

    return record("abs", np.abs(x), (input,), backward, (input,), derivative=derivative)


def matmul(input, other):
    """The matrix product, as ``torch.matmul``: vectors, matrices, and stacks of matrices, which broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.matmul(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    a, b = as_tensor(input), as_tensor(other)
    x, y = a.array, b.array
    if x.dtype.kind in "iu" and x.dtype == y.dtype:
        return wrap(_integer_matmul(x, y))
    needs = (a._requires_grad, b._requires_grad)

    def backward(dy):
        if not (x.size and y.size):  # empty sums
            return np.zeros_like(x), np.zeros_like(y)
        return kernels.matmul_backward(dy, x, y, needs=needs)

    return record("matmul", kernels.matmul(x, y), (a, b), backward, (a, b), derivative=_matmul_derivative)


def _matmul_derivative(dy, a, b):
    """The products of the gradient with each operand, vectors as matrices of one row or column."""
    x = a if a.array.ndim > 1 else reshaped(a, (1, -1))
    y = b if b.array.ndim > 1 else reshaped(b, (-1, 1))
    rows = (*dy.array.shape, 1) if b.array.ndim == 1 else dy.array.shape
    dy = reshaped(dy, (*rows[:-1], 1, rows[-1]) if a.array.ndim == 1 else rows)
    da, db = matmul(dy, _transposed(y)), matmul(_transposed(x), dy)
    return (reshaped(sum_to(da, (*x.array.shape,)), a.array.shape), reshaped(sum_to(db, y.array.shape), b.array.shape))


def _transposed(x):
    """The last two dimensions swapped."""
    return record_linear("transpose", lambda x: x.swapaxes(-2, -1), lambda dy: dy.swapaxes(-2, -1), x)


def reshaped(input, shape):
    """Another shape, recorded, without the errors and the sharing of memory of `reshape`."""
    old = input.array.shape
    if shape == old:
        return input
    return record_linear("reshape", lambda x: x.reshape(shape), lambda dy: dy.reshape(old), input)


def _integer_matmul(x, y):
    """The matrix product of integers, which wraps around: a sum of outer products."""
    if not (x.ndim and y.ndim) or x.shape[-1] != y.shape[max(y.ndim - 2, 0)]:
        raise ValueError(f"matmul: inner dimensions differ: a is {x.shape}, b is {y.shape}")
    left, right = (x[None] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
    z = np.zeros(np.broadcast_shapes((*left.shape[:-1], 1), (*right.shape[:-2], 1, right.shape[-1])), x.dtype)
    for k in range(x.shape[-1]):
        z += left[..., k : k + 1] * right[..., k : k + 1, :]
    z = z[..., 0] if y.ndim == 1 else z
    return np.asarray(z[0] if x.ndim == y.ndim == 1 else z[..., 0, :] if x.ndim == 1 else z)


@ieee
def _extremum(name, pick, a, b, loses):
    a, b, x, y = operands(name, a, b)
    half = x.dtype.type(0.5) if x.dtype.kind == "f" else 0

    def da(dy):
        return np.where(x == y, dy * half, np.where(loses(x, y), 0, dy))  # equal elements share dy, NaN passes it

    def db(dy):
        return np.where(x == y, dy * half, np.where(loses(y, x), 0, dy))

    def derivative(dy, a, b):
        return scaled(name, da, dy, (a, b)), scaled(name, db, dy, (a, b))

    return record_binary(name, applied(name, pick, x, y), a, b, da, db, (a, b), derivative=derivative)


def maximum(input, other):
    """The larger of two tensors, element by element; equal elements share the gradient.

    NaN if either is, and both get the gradient.

    Examples
    --------
    >>> import nn
    >>> nn.maximum(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([5, 3])
    """
    return _extremum("maximum", np.maximum, input, other, np.less)


def minimum(input, other):
    """The smaller of two tensors, element by element; equal elements share the gradient.

    NaN if either is, and both get the gradient.

    Examples
    --------
    >>> import nn
    >>> nn.minimum(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 3, -5])
    """
    return _extremum("minimum", np.minimum, input, other, np.greater)
