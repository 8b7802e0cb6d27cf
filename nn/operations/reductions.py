"""Sums, means, products and normalised exponentials, over all elements or along dimensions."""

from functools import partial

import numpy as np

import kernels
from nn.dtypes import checked
from nn.operations.arguments import axis_of, dims_of, floating, inexact, numpy_names
from nn.operations.arithmetic import div, mul, reshaped, sub
from nn.operations.conversion import as_dtype
from nn.operations.elementwise import exp, where
from nn.storage import wrap
from nn.tape import record, record_linear

__all__ = ["count_nonzero", "log_softmax", "logsumexp", "mean", "nanmean", "nansum", "prod", "softmax", "sum"]


def reduced(name, reduction, x, dim, keepdim):
    """A NumPy reduction as a tensor, over `dim`: an int, several, or None or an empty tuple for all."""
    dims = None if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else dim
    if isinstance(dims, tuple):
        dims = tuple(axis_of(name, d, x.ndim) for d in dims) or None
    elif dims is not None:
        dims = axis_of(name, dims, x.ndim)
    if not x.ndim:
        dims = None
    return wrap(np.asarray(reduction(x, axis=dims, keepdims=keepdim)))


def check_keepdim(name, keepdim):
    """TypeError unless `keepdim` is a bool: a second dimension in its place is a mistake."""
    if not isinstance(keepdim, (bool, np.bool_)):
        raise TypeError(f"{name}: keepdim must be a bool, got {keepdim}; several dimensions are one tuple")


@numpy_names
def sum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim`: an int, several, or None for all. An empty sum is 0.

    With `dtype` of elements converted to it; without, integers and bools are added up in int64.

    Examples
    --------
    >>> import nn
    >>> nn.sum(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([3., 7.])
    """
    if keepdim is not False:
        check_keepdim("sum", keepdim)
    if dtype is not None:
        input = as_dtype("sum", input, dtype)
    x, dim = input.array, dims_of(dim)
    if x.dtype.kind != "f":
        return reduced("sum", partial(np.sum, dtype=np.int64 if dtype is None else dtype), x, dim, keepdim)
    shape = x.shape

    def forward(x):
        return kernels.sum(x, dim, keepdim)

    return record_linear("sum", forward, lambda dy: kernels.sum_backward(dy, shape, dim, keepdim), input)


@numpy_names
def mean(input, dim=None, keepdim=False, *, dtype=None):
    """The average over `dim`: an int, several, or None for all. The average of no elements is NaN.

    With `dtype` of elements converted to it, which integers need.

    Examples
    --------
    >>> import nn
    >>> nn.mean(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([1.5000, 3.5000])
    """
    if keepdim is not False:
        check_keepdim("mean", keepdim)
    if dtype is not None:
        input = as_dtype("mean", input, dtype)
    x, dim = floating("mean", input), dims_of(dim)
    shape = x.shape

    def forward(x):
        return kernels.mean(x, dim, keepdim)

    return record_linear("mean", forward, lambda dy: kernels.mean_backward(dy, shape, dim, keepdim), input)


@numpy_names
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """As `sum`, where NaN counts as 0.

    Examples
    --------
    >>> import nn
    >>> nn.nansum(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([3., 7.])
    """
    x, dtype = input.array, None if dtype is None else checked("nansum", dtype)
    return sum(input if x.dtype.kind != "f" else where(np.isnan(x), 0, input), dim, keepdim, dtype=dtype)


@numpy_names
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """As `mean`, of the elements that are not NaN.

    Examples
    --------
    >>> import nn
    >>> nn.nanmean(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([1.5000, 3.5000])
    """
    dtype = None if dtype is None else checked("nanmean", dtype)
    number = sum(wrap(~np.isnan(floating("nanmean", input))), dim, keepdim)
    return div(nansum(input, dim, keepdim, dtype=dtype), number)


@numpy_names
def count_nonzero(input, dim=None):
    """How many elements are not 0, over `dim`: an int, several, or None for all.

    Examples
    --------
    >>> import nn
    >>> nn.count_nonzero(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([2, 2])
    """
    return sum(wrap(np.asarray(input.array != 0)), dim)


@numpy_names
def prod(input, dim=None, keepdim=False, *, dtype=None):
    """The product over `dim`, or of all elements. An empty product is 1.

    With `dtype` of elements converted to it; without, integers and bools are multiplied in int64.

    Examples
    --------
    >>> import nn
    >>> nn.prod(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([ 2., 12.])
    """
    if keepdim is not False:
        check_keepdim("prod", keepdim)
    if dtype is not None:
        input = as_dtype("prod", input, dtype)
    if input.array.dtype.kind != "f":
        return reduced("prod", partial(np.prod, dtype=np.int64 if dtype is None else dtype), input.array, dim, keepdim)
    if dim is None:
        return prod(reshaped(input, (input.array.size,)), 0, keepdim=False)
    dim = axis_of("prod", dim, input.array.ndim)
    if not input.array.ndim:
        return prod(reshaped(input, (1,)), 0)
    x = input.array

    def backward(dy):
        # product of all other elements = product of those before times those after: correct at zeros, too
        rows = np.moveaxis(x, dim, -1)
        one = np.ones_like(rows[..., :1])
        before = np.cumprod(np.concatenate((one, rows[..., :-1]), -1), -1)
        after = np.cumprod(np.concatenate((one, rows[..., :0:-1]), -1), -1)[..., ::-1]
        return np.moveaxis(before * after, -1, dim) * (dy if keepdim else np.expand_dims(dy, dim))

    def derivative(dy, input):
        # the products of all others, once more by their definition: n rows, each without one element
        n, last = x.shape[dim], tuple(d for d in range(x.ndim) if d != dim)
        order = (*last, dim)
        rows = record_linear("permute", lambda x: x.transpose(order), lambda g: g.transpose(np.argsort(order)), input)
        others = prod(where(np.eye(n, dtype=bool), 1, reshaped(rows, (*rows.array.shape[:-1], 1, n))), -1)
        others = record_linear(
            "permute", lambda x: x.transpose(np.argsort(order)), lambda g: g.transpose(order), others
        )
        return mul(others, dy if keepdim else reshaped(dy, np.expand_dims(dy.array, dim).shape))

    return record("prod", np.prod(x, axis=dim, keepdims=keepdim), (input,), backward, (input,), derivative=derivative)


@numpy_names
def logsumexp(input, dim, keepdim=False):
    """log(sum(exp(x))) over `dim`, without overflow.

    Examples
    --------
    >>> import nn
    >>> nn.logsumexp(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([2.3133, 4.3133])
    """
    if keepdim is not False:
        check_keepdim("logsumexp", keepdim)
    if not input.array.ndim:
        for each in dim if isinstance(dim, (tuple, list)) else (dim,):
            axis_of("logsumexp", each, 0)
        return logsumexp(reshaped(input, (1,)), 0)
    x, dim = inexact("logsumexp", input), dims_of(dim)
    y = kernels.logsumexp(x, dim, keepdim)

    def backward(dy):
        return kernels.logsumexp_backward(dy, x, y, dim, keepdim)

    def derivative(dy, input, y):
        dims = tuple(axis_of("logsumexp", d, x.ndim) for d in (dim if isinstance(dim, tuple) else (dim,)))
        shape = tuple(1 if i in dims else n for i, n in enumerate(x.shape))
        return mul(reshaped(dy, shape), exp(sub(input, reshaped(y, shape))))

    return record("logsumexp", y, (input,), backward, (input,), derivative=derivative, saves_result=True)


@numpy_names
def softmax(input, dim, dtype=None):
    """exp(x) / sum(exp(x)) along `dim`, of elements converted to `dtype`.

    Examples
    --------
    >>> import nn
    >>> nn.softmax(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([[0.2689, 0.7311],
            [0.2689, 0.7311]])
    """
    if dtype is not None:
        input = as_dtype("softmax", input, dtype)
    y = kernels.softmax(input.array, dim)

    def backward(dy):
        return kernels.softmax_backward(dy, y, dim)

    def derivative(dy, y):
        product = mul(dy, y)
        return sub(product, mul(y, sum(product, dim, True)))

    return record("softmax", y, (input,), backward, derivative=derivative, saves_result=True)


@numpy_names
def log_softmax(input, dim, dtype=None):
    """x - log(sum(exp(x))) along `dim`, of elements converted to `dtype`.

    Examples
    --------
    >>> import nn
    >>> nn.log_softmax(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([[-1.3133, -0.3133],
            [-1.3133, -0.3133]])
    """
    if dtype is not None:
        input = as_dtype("log_softmax", input, dtype)
    y = kernels.log_softmax(input.array, dim)

    def backward(dy):
        return kernels.log_softmax_backward(dy, y, dim)

    def derivative(dy, y):
        return sub(dy, mul(exp(y), sum(dy, dim, True)))

    return record("log_softmax", y, (input,), backward, derivative=derivative, saves_result=True)
