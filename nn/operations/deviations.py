"""Variances and standard deviations, over all elements or along dimensions."""

from typing import Any

import numpy as np

import kernels
from nn.operations.arguments import axis_of, floating, numpy_names, scalar_of
from nn.operations.arithmetic import div, mul, reshaped, sub
from nn.operations.elementwise import where
from nn.operations.reductions import check_keepdim, mean
from nn.tape import ieee, record

__all__ = ["std", "std_mean", "var", "var_mean"]


def _corrected(name, dim, unbiased, keepdim, correction):
    """`dim` and `correction`, from what is given for them in PyTorch's two forms."""
    if keepdim is not False:
        check_keepdim(name, keepdim)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is None:
        return dim, correction
    if not isinstance(unbiased, bool):
        raise TypeError(f"{name}: unbiased must be a bool, got {unbiased}; several dimensions are one tuple")
    return dim, int(unbiased)


def _deviation(name, tensor, dim, correction):
    """The differences from the mean, the reduced dimensions as a tuple, and the number to divide by."""
    x = floating(name, tensor)
    correction = 1 if correction is None else scalar_of(name, "correction", correction)
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


@numpy_names
@ieee
def var(input, dim=None, unbiased=None, keepdim=False, *, correction: Any = 1):
    """The variance over `dim`: squared deviations, summed and divided by their number minus `correction`.

    `unbiased`, also alone in the place of `dim`, is a correction of 1 or 0. For an empty `dim`, PyTorch's gradient is
    wrong; here it is that of the variance of all elements.

    Examples
    --------
    >>> import nn
    >>> nn.var(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([0.5000, 0.5000])
    """
    dim, correction = _corrected("var", dim, unbiased, keepdim, correction)
    deviation, dim, divisor = _deviation("var", input, dim, correction)
    total = kernels.sum(deviation * deviation, dim, True)

    def backward(dy):
        return deviation * (dy.reshape(total.shape) * 2 / divisor)

    def derivative(dy, input):
        factor = mul(reshaped(dy, total.shape), 2 / divisor)
        return mul(sub(input, mean(input, dim, True)), factor)

    y = _squeezed(total / divisor, dim, keepdim)
    return record("var", y, (input,), backward, (input,), derivative=derivative)


@numpy_names
@ieee
def std(input, dim=None, unbiased=None, keepdim=False, *, correction: Any = 1):
    """The square root of `var`, also where that overflows or underflows; its gradient is 0 where it is 0.

    Examples
    --------
    >>> import nn
    >>> nn.std(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([0.7071, 0.7071])
    """
    dim, correction = _corrected("std", dim, unbiased, keepdim, correction)
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


@numpy_names
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction: Any = 1):
    """The pair of `var` and `mean`.

    Examples
    --------
    >>> import nn
    >>> nn.var_mean(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    (tensor([0.5000, 0.5000]), tensor([1.5000, 3.5000]))
    """
    return _with_mean(var, input, dim, unbiased, keepdim, correction)


@numpy_names
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction: Any = 1):
    """The pair of `std` and `mean`.

    Examples
    --------
    >>> import nn
    >>> nn.std_mean(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    (tensor([0.7071, 0.7071]), tensor([1.5000, 3.5000]))
    """
    return _with_mean(std, input, dim, unbiased, keepdim, correction)


def _with_mean(function, input, dim, unbiased, keepdim, correction):
    y = function(input, dim, unbiased, keepdim, correction=correction)
    return y, mean(input, None if isinstance(dim, bool) else dim, keepdim)
