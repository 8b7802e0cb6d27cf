"""Sums, means, extremes, products and normalised exponentials, over all elements or along dimensions."""

from typing import NamedTuple

import numpy as np

import kernels
from nn.operations.arguments import axis_of, dims_of, floating, inexact
from nn.operations.arithmetic import div, maximum, minimum, mul, neg, reshaped, sub
from nn.operations.elementwise import exp, where
from nn.storage import Tensor, wrap
from nn.tape import ieee, record, record_linear


class ValuesIndices(NamedTuple):
    """The result of `max` and `min` along a dimension."""

    values: Tensor
    indices: Tensor


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


def sum(input, dim=None, keepdim=False):
    """The sum over `dim`: an int, several, or None for all. An empty sum is 0."""
    x, dim = input.array, dims_of(dim)
    if x.dtype.kind != "f":
        return reduced("sum", np.sum, x, dim, keepdim)
    shape = x.shape

    def forward(x):
        return kernels.sum(x, dim, keepdim)

    return record_linear("sum", forward, lambda dy: kernels.sum_backward(dy, shape, dim, keepdim), input)


def mean(input, dim=None, keepdim=False):
    """The average over `dim`: an int, several, or None for all. The average of no elements is NaN."""
    x, dim = floating("mean", input), dims_of(dim)
    shape = x.shape

    def forward(x):
        return kernels.mean(x, dim, keepdim)

    return record_linear("mean", forward, lambda dy: kernels.mean_backward(dy, shape, dim, keepdim), input)


def _deviation(name, tensor, dim, correction):
    """The differences from the mean, the reduced dimensions as a tuple, and the number to divide by."""
    x = floating(name, tensor)
    if isinstance(dim, bool):
        dim, correction = None, int(dim)
    correction = 1 if correction is None else correction
    dims = () if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    dims = tuple(axis_of(name, d, x.ndim) for d in dims)
    if not dims or not x.ndim:
        dims = tuple(range(x.ndim))
    center = kernels.mean(x, dims, True)
    count = x.size // center.size if center.size else x.size
    return x - center, dims, x.dtype.type(np.maximum(count - correction, 0))


def _squeezed(y, dims, keepdim):
    """`y`, without the reduced dimensions unless `keepdim`."""
    return y if keepdim else y.squeeze(dims)


@ieee
def var(input, dim=None, *, correction=1, keepdim=False):
    """The variance over `dim`: squared deviations, summed and divided by their number minus `correction`.

    A bool in place of `dim` is PyTorch's ``unbiased``: a correction of 1 or 0. For an empty `dim`, PyTorch's
    gradient is wrong; here it is that of the variance of all elements.
    """
    deviation, dim, divisor = _deviation("var", input, dim, correction)
    total = kernels.sum(deviation * deviation, dim, True)

    def backward(dy):
        return deviation * (dy.reshape(total.shape) * 2 / divisor)

    def derivative(dy, input):
        factor = mul(reshaped(dy, total.shape), 2 / divisor)
        return mul(sub(input, mean(input, dim, True)), factor)

    y = _squeezed(total / divisor, dim, keepdim)
    return record("var", y, (input,), backward, (input,), derivative=derivative)


@ieee
def std(input, dim=None, *, correction=1, keepdim=False):
    """The square root of `var`, also where that overflows or underflows; its gradient is 0 where it is 0."""
    deviation, dim, divisor = _deviation("std", input, dim, correction)
    # squares relative to the largest neither overflow nor underflow to a sum of 0
    scale = np.max(np.abs(deviation), dim, keepdims=True, initial=0)
    scale = np.where((scale > 0) & (scale < np.inf), scale, scale.dtype.type(1))
    relative = deviation / scale
    root = np.sqrt(kernels.sum(relative * relative, dim, True) / divisor)

    def backward(dy):
        factor = dy.reshape(root.shape) / root / divisor
        return relative * np.where(root == 0, 0, factor)

    def derivative(dy, input, y):
        y = reshaped(y, root.shape)
        factor = where(y.array == 0, 0, div(reshaped(dy, root.shape), mul(y, divisor)))
        return mul(sub(input, mean(input, dim, True)), factor)

    y = _squeezed(scale * root, dim, keepdim)
    return record("std", y, (input,), backward, (input,), derivative=derivative, saves_result=True)


def _integer_extremum(name, extremum, arg_extremum, x, dim, keepdim):
    """Extrema and their first indices along `dim`, of an array of integers or bools."""
    axis = axis_of(name, dim, x.ndim)
    if x.ndim and not x.shape[axis]:
        raise ValueError(f"{name}: nothing to reduce: dimension {dim} of {x.shape}")
    rows = x if x.ndim else x.reshape(1)
    keepdim = keepdim and x.ndim > 0
    indices = np.asarray(arg_extremum(rows, axis=axis, keepdims=keepdim))
    return ValuesIndices(wrap(np.asarray(extremum(rows, axis=axis, keepdims=keepdim))), wrap(indices))


def max(input, dim=None, keepdim=False):
    """The largest element; NaN if any element is.

    Parameters
    ----------
    dim : int, optional
        With it, the result is the pair (values, indices) along this dimension; of equal elements, the first.
        Without it, equal elements share the gradient. With a Tensor in its place, the result is `maximum` of both.
    keepdim : bool, default False

    Raises
    ------
    ValueError
        There is no element to take the maximum of.
    """
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    x = input.array
    if dim is None:
        if x.dtype.kind != "f":
            return wrap(np.asarray(np.max(x)))

        def backward(dy):
            return kernels.max_backward(dy, x)

        def adjoint(g):
            return kernels.sum(g * kernels.max_backward(np.ones((), x.dtype), x))

        def derivative(dy, input):
            return record_linear("max", backward, adjoint, dy, (input,))

        return record("max", kernels.max(x), (input,), backward, (input,), derivative=derivative)
    if x.dtype.kind != "f":
        return _integer_extremum("max", np.max, np.argmax, x, dim, keepdim)
    values, index_array = kernels.max(x, dim, keepdim)
    indices = wrap(index_array)

    def backward(dy):
        return kernels.max_backward(dy, x, dim, keepdim, index_array)

    along = index_array if keepdim or not x.ndim else np.expand_dims(index_array, axis_of("max", dim, x.ndim))

    def picked(g):
        y = np.take_along_axis(g, along, dim) if x.ndim else g
        return y if keepdim else y.reshape(index_array.shape)

    def derivative(dy, input, indices):
        return record_linear("max", backward, picked, dy, (indices,))

    result = record("max", values, (input,), backward, (input, indices), derivative=derivative)
    return ValuesIndices(result, indices)


def min(input, dim=None, keepdim=False):
    """The smallest element; as `max`."""
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    x = input.array
    if x.dtype.kind != "f":
        if dim is None:
            return wrap(np.asarray(np.min(x)))
        return _integer_extremum("min", np.min, np.argmin, x, dim, keepdim)
    if dim is None:
        return neg(max(neg(input)))
    values, indices = max(neg(input), dim, keepdim)
    return ValuesIndices(neg(values), indices)


def argmax(input, dim=None, keepdim=False):
    """The index (int64) of the first largest element along `dim`; without `dim`, in the flattened tensor."""
    if input.array.dtype.kind != "f":
        return reduced("argmax", np.argmax, input.array, dim, keepdim)
    return wrap(kernels.argmax(input.array, dim, keepdim))


def argmin(input, dim=None, keepdim=False):
    """The index of the first smallest element; as `argmax`."""
    if input.array.dtype.kind != "f":
        return reduced("argmin", np.argmin, input.array, dim, keepdim)
    return wrap(kernels.argmax(-input.array, dim, keepdim))


def prod(input, dim=None, keepdim=False):
    """The product over `dim`, or of all elements. An empty product is 1."""
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


def logsumexp(input, dim, keepdim=False):
    """log(sum(exp(x))) over `dim`, without overflow."""
    if not input.array.ndim:
        for each in dim if isinstance(dim, (tuple, list)) else (dim,):
            axis_of("logsumexp", each, 0)
        return logsumexp(reshaped(input, (1,)), 0)
    x, dim = inexact(input), dims_of(dim)
    y = kernels.logsumexp(x, dim, keepdim)

    def backward(dy):
        return kernels.logsumexp_backward(dy, x, y, dim, keepdim)

    def derivative(dy, input, y):
        dims = tuple(axis_of("logsumexp", d, x.ndim) for d in (dim if isinstance(dim, tuple) else (dim,)))
        shape = tuple(1 if i in dims else n for i, n in enumerate(x.shape))
        return mul(reshaped(dy, shape), exp(sub(input, reshaped(y, shape))))

    return record("logsumexp", y, (input,), backward, (input,), derivative=derivative, saves_result=True)


def softmax(input, dim):
    """exp(x) / sum(exp(x)) along `dim`."""
    y = kernels.softmax(input.array, dim)

    def backward(dy):
        return kernels.softmax_backward(dy, y, dim)

    def derivative(dy, y):
        product = mul(dy, y)
        return sub(product, mul(y, sum(product, dim, True)))

    return record("softmax", y, (input,), backward, derivative=derivative, saves_result=True)


def log_softmax(input, dim):
    """x - log(sum(exp(x))) along `dim`."""
    y = kernels.log_softmax(input.array, dim)

    def backward(dy):
        return kernels.log_softmax_backward(dy, y, dim)

    def derivative(dy, y):
        return sub(dy, mul(exp(y), sum(dy, dim, True)))

    return record("log_softmax", y, (input,), backward, derivative=derivative, saves_result=True)
