"""Sums, products and extremes of all elements up to each, along a dimension; differences and trapezoids."""

import numpy as np

import kernels
from nn.operations.arguments import array_of, axis_of, floating, int_of, numpy_names, scalar_of
from nn.operations.arithmetic import add, div, mul, reshaped, sub
from nn.operations.conversion import as_dtype
from nn.operations.elementwise import exp, where
from nn.operations.extremes import ValuesIndices
from nn.operations.joining import cat, narrow
from nn.operations.orders import flip, movedim
from nn.operations.reductions import sum
from nn.operations.shapes import unsqueeze
from nn.storage import wrap
from nn.tape import record, record_linear

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "logcumsumexp", "trapezoid"]


def _converted(name, input, dim, dtype):
    """The tensor as `dtype`, the dimension, and its values."""
    if dtype is not None:
        input = as_dtype(name, input, dtype)
    return input, axis_of(name, dim, input.array.ndim), input.array


@numpy_names
def cumsum(input, dim, *, dtype=None):
    """The sums of all elements up to each along `dim`, of elements converted to `dtype`; of integers in int64.

    Examples
    --------
    >>> import nn
    >>> nn.cumsum(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([[1., 3.],
            [3., 7.]])
    """
    input, dim, x = _converted("cumsum", input, dim, dtype)
    if x.dtype.kind != "f":
        return wrap(kernels.cumsum(x, dim).astype(np.int64 if dtype is None else dtype, copy=False))

    def forward(x):
        return kernels.cumsum(x, dim)

    return record_linear("cumsum", forward, lambda dy: kernels.cumsum_backward(dy, dim), input)


@numpy_names
def cumprod(input, dim, *, dtype=None):
    """The products of all elements up to each along `dim`; as `cumsum`.

    Examples
    --------
    >>> import nn
    >>> nn.cumprod(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([[ 1.,  2.],
            [ 3., 12.]])
    """
    input, dim, x = _converted("cumprod", input, dim, dtype)
    y = kernels.cumprod(x, dim)
    if x.dtype.kind != "f":
        return wrap(y.astype(np.int64 if dtype is None else dtype, copy=False))

    def backward(dy):
        return kernels.cumprod_backward(dy, x, dim)

    def derivative(dy, input, y):
        if x.all():
            return div(flip(cumsum(flip(mul(dy, y), dim), dim), dim), input)
        return _sums_of_products(dy, input, dim)

    return record("cumprod", y, (input,), backward, (input,), derivative=derivative, saves_result=True)


def _sums_of_products(dy, input, dim):
    """The gradient of `cumprod` by its definition, for factors of 0: of n elements along `dim`, n² products each."""
    rows, dys = movedim(input, dim, -1), movedim(dy, dim, -1)
    n = rows.array.shape[-1]
    others = cumprod(where(np.eye(n, dtype=bool), 1, unsqueeze(rows, -2)), -1)  # [j, i]: up to i, without j
    terms = mul(mul(others, np.tri(n, dtype=rows.array.dtype).T), unsqueeze(dys, -2))
    return movedim(sum(terms, -1), -1, dim)


@numpy_names
def cummax(input, dim):
    """The largest elements up to each along `dim`, and their indices, of equal elements the last; NaN is largest.

    Examples
    --------
    >>> import nn
    >>> nn.cummax(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([[1., 2.],
            [3., 4.]]), indices=tensor([[0, 1],
            [0, 1]]))
    """
    return _extremes("cummax", kernels.cummax, kernels.cummax_backward, input, dim)


@numpy_names
def cummin(input, dim):
    """The smallest elements up to each along `dim`, and their indices; as `cummax`.

    Examples
    --------
    >>> import nn
    >>> nn.cummin(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([[1., 1.],
            [3., 3.]]), indices=tensor([[0, 0],
            [0, 0]]))
    """
    return _extremes("cummin", kernels.cummin, kernels.cummin_backward, input, dim)


def _extremes(name, forward, adjoint, input, dim):
    axis = axis_of(name, dim, input.array.ndim)
    values, places = forward(input.array, axis)
    indices = wrap(places)

    def put(dy):
        return adjoint(dy, places, axis)

    def take(x):
        return kernels.gather(x, axis, places)

    def derivative(dy, indices):
        return record_linear(name, put, take, dy, (indices,))

    return ValuesIndices(record(name, values, (input,), put, (indices,), derivative=derivative), indices)


@numpy_names
def logcumsumexp(input, dim):
    """The logarithms of the sums of the exponentials of all elements up to each, along `dim`.

    The second derivative of n elements takes the memory of n².

    Examples
    --------
    >>> import nn
    >>> nn.logcumsumexp(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([[1.0000, 2.3133],
            [3.0000, 4.3133]])
    """
    x = floating("logcumsumexp", input)
    axis = axis_of("logcumsumexp", dim, x.ndim)
    y = kernels.logcumsumexp(x, axis)

    def backward(dy):
        return kernels.logcumsumexp_backward(dy, x, axis)

    def derivative(dy, input, y):
        if not x.ndim:
            return dy
        rows, results, dys = (movedim(t, axis, -1) for t in (input, y, dy))
        n = rows.array.shape[-1]
        difference = sub(unsqueeze(rows, -1), unsqueeze(results, -2))  # [j, i]: not above 0 for i >= j
        shares = exp(where(np.tri(n, dtype=bool).T, difference, -np.inf))
        return movedim(sum(mul(shares, unsqueeze(dys, -2)), -1), -1, axis)

    return record("logcumsumexp", y, (input,), backward, (input,), derivative=derivative, saves_result=True)


@numpy_names
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """The differences of neighbours along `dim`, taken `n` times; of bools, whether they differ.

    Parameters
    ----------
    prepend, append : Tensor, optional
        Joined to the tensor along `dim` before; left out where n is 0.

    Raises
    ------
    ValueError
        `n` is negative; a 0-d tensor.

    Examples
    --------
    >>> import nn
    >>> nn.diff(nn.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    """
    if not input.array.ndim:
        raise ValueError("diff: a 0-d tensor has no neighbours")
    n = int_of("diff", "n", n)
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    dim = axis_of("diff", dim, input.array.ndim)
    for argument, tensor in (("prepend", prepend), ("append", append)):
        if tensor is not None:
            array_of("diff", tensor, argument)
    if n and (prepend is not None or append is not None):
        input = cat([t for t in (prepend, input, append) if t is not None], dim)
    for _ in range(n):
        length = max(input.array.shape[dim] - 1, 0)
        after, before = narrow(input, dim, min(1, input.array.shape[dim]), length), narrow(input, dim, 0, length)
        input = wrap(after.array != before.array) if input.array.dtype.kind == "b" else sub(after, before)
    return input


def _areas(name, y, x, dx, dim):
    """The areas of the trapezoids between neighbours along `dim`."""
    dim = axis_of(name, dim, y.array.ndim)
    if not y.array.ndim:
        raise ValueError(f"{name}: a 0-d tensor has no neighbours")
    if x is not None and dx is not None:
        raise ValueError(f"{name}: takes x or dx, not both")
    length = max(y.array.shape[dim] - 1, 0)
    sums = add(narrow(y, dim, min(1, y.array.shape[dim]), length), narrow(y, dim, 0, length))
    if x is None:
        return mul(sums, 0.5 if dx is None else scalar_of(name, "dx", dx) / 2), dim
    if x.array.ndim == 1:
        widths = diff(x)
        widths = reshaped(widths, (widths.array.size, *(1,) * (y.array.ndim - dim - 1)))
    else:
        widths = diff(x, dim=dim - y.array.ndim)
    return mul(mul(sums, widths), 0.5), dim


@numpy_names
def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral along `dim` by the trapezoidal rule.

    Parameters
    ----------
    x : Tensor, optional
        Where the values are; of one dimension, or of those of `y`.
    dx : float, optional
        Their distance, 1 by default.

    Examples
    --------
    >>> import nn
    >>> nn.trapezoid(nn.tensor([0.0, 1.0, 4.0]))
    tensor(3.)
    """
    areas, dim = _areas("trapezoid", y, x, dx, dim)
    return sum(areas, dim)


@numpy_names
def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integrals up to each place but the first; arguments as of `trapezoid`.

    Examples
    --------
    >>> import nn
    >>> nn.cumulative_trapezoid(nn.tensor([0.0, 1.0, 4.0]))
    tensor([0.5000, 3.0000])
    """
    areas, dim = _areas("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(areas, dim)
