"""Smooth functions of each element: powers, exponentials, logarithms, circular and hyperbolic functions.

Integers and bools are converted to the default floating-point dtype.
"""

import math

import numpy as np

import kernels
from nn.operations.arguments import array_of, inexact, scalar_of
from nn.operations.arithmetic import mul, neg
from nn.operations.conversion import to
from nn.operations.elementwise import clamp, exp, masked_fill, sqrt
from nn.tape import ieee, record

__all__ = ["acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "deg2rad", "digamma", "erf", "erfc"]
__all__ += ["erfinv", "exp2", "expm1", "lgamma", "log1p", "log2", "log10", "logit", "rad2deg", "reciprocal", "rsqrt"]
__all__ += ["sin", "sinh", "square", "tan"]


@ieee
def _smooth(name, input, function, backward, derivative=None):
    """Record a function whose gradient is ``backward(dy, x)``, on arrays, and `derivative` the same on tensors.

    One function serves both where it consists of operators.
    """
    x = inexact(name, input)
    return record(name, function(x), (input,), lambda dy: backward(dy, x), (input,), derivative=derivative or backward)


@ieee
def _of_result(name, input, function, backward, derivative=None):
    """As `_smooth`, for a gradient ``backward(dy, y)`` that depends on the result."""
    y = np.asarray(function(inexact(name, input)))
    return record(name, y, (input,), lambda dy: backward(dy, y), derivative=derivative or backward, saves_result=True)


def sin(input):
    """The sine.

    Examples
    --------
    >>> import nn
    >>> nn.sin(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2474, 0.4794, 0.8415])
    """
    return _smooth("sin", input, np.sin, lambda dy, x: dy * np.cos(x), lambda dy, x: mul(dy, cos(x)))


def cos(input):
    """The cosine.

    Examples
    --------
    >>> import nn
    >>> nn.cos(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.9689, 0.8776, 0.5403])
    """
    return _smooth("cos", input, np.cos, lambda dy, x: -dy * np.sin(x), lambda dy, x: mul(-dy, sin(x)))


def tan(input):
    """The tangent.

    Examples
    --------
    >>> import nn
    >>> nn.tan(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2553, 0.5463, 1.5574])
    """
    return _of_result("tan", input, np.tan, lambda dy, y: dy * (1 + y * y))


def asin(input):
    """The inverse sine; NaN outside [-1, 1].

    Examples
    --------
    >>> import nn
    >>> nn.asin(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2527, 0.5236, 1.5708])
    """
    return _smooth("asin", input, np.arcsin, lambda dy, x: dy / np.sqrt(1 - x * x), lambda dy, x: dy / sqrt(1 - x * x))


def acos(input):
    """The inverse cosine; NaN outside [-1, 1].

    Examples
    --------
    >>> import nn
    >>> nn.acos(nn.tensor([0.25, 0.5, 1.0]))
    tensor([1.3181, 1.0472, 0.0000])
    """
    return _smooth(
        "acos", input, np.arccos, lambda dy, x: -dy / np.sqrt(1 - x * x), lambda dy, x: -dy / sqrt(1 - x * x)
    )


def atan(input):
    """The inverse tangent.

    Examples
    --------
    >>> import nn
    >>> nn.atan(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2450, 0.4636, 0.7854])
    """
    return _smooth("atan", input, np.arctan, lambda dy, x: dy / (1 + x * x))


def sinh(input):
    """The hyperbolic sine.

    Examples
    --------
    >>> import nn
    >>> nn.sinh(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2526, 0.5211, 1.1752])
    """
    return _smooth("sinh", input, np.sinh, lambda dy, x: dy * np.cosh(x), lambda dy, x: mul(dy, cosh(x)))


def cosh(input):
    """The hyperbolic cosine.

    Examples
    --------
    >>> import nn
    >>> nn.cosh(nn.tensor([0.25, 0.5, 1.0]))
    tensor([1.0314, 1.1276, 1.5431])
    """
    return _smooth("cosh", input, np.cosh, lambda dy, x: dy * np.sinh(x), lambda dy, x: mul(dy, sinh(x)))


def asinh(input):
    """The inverse hyperbolic sine.

    Examples
    --------
    >>> import nn
    >>> nn.asinh(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2475, 0.4812, 0.8814])
    """
    return _smooth(
        "asinh", input, np.arcsinh, lambda dy, x: dy / np.sqrt(x * x + 1), lambda dy, x: dy / sqrt(x * x + 1)
    )


def acosh(input):
    """The inverse hyperbolic cosine; NaN below 1.

    Examples
    --------
    >>> import nn
    >>> nn.acosh(nn.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    return _smooth(
        "acosh", input, np.arccosh, lambda dy, x: dy / np.sqrt(x * x - 1), lambda dy, x: dy / sqrt(x * x - 1)
    )


def atanh(input):
    """The inverse hyperbolic tangent; NaN outside [-1, 1].

    Examples
    --------
    >>> import nn
    >>> nn.atanh(nn.tensor([-0.5, 0.0, 0.5]))
    tensor([-0.5493,  0.0000,  0.5493])
    """
    return _smooth("atanh", input, np.arctanh, lambda dy, x: dy / (1 - x * x))


def exp2(input):
    """2 to the power of each element.

    Examples
    --------
    >>> import nn
    >>> nn.exp2(nn.tensor([0.25, 0.5, 1.0]))
    tensor([1.1892, 1.4142, 2.0000])
    """
    return _of_result("exp2", input, np.exp2, lambda dy, y: dy * y * math.log(2))


def expm1(input):
    """exp(x) - 1, exact near 0.

    Examples
    --------
    >>> import nn
    >>> nn.expm1(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2840, 0.6487, 1.7183])
    """
    return _of_result("expm1", input, kernels.expm1, kernels.expm1_backward, lambda dy, y: dy * (y + 1))


def log2(input):
    """The logarithm to base 2; NaN below 0.

    Examples
    --------
    >>> import nn
    >>> nn.log2(nn.tensor([0.25, 0.5, 1.0]))
    tensor([-2., -1.,  0.])
    """
    return _smooth("log2", input, np.log2, lambda dy, x: dy / (x * math.log(2)))


def log10(input):
    """The logarithm to base 10; NaN below 0.

    Examples
    --------
    >>> import nn
    >>> nn.log10(nn.tensor([0.25, 0.5, 1.0]))
    tensor([-0.6021, -0.3010,  0.0000])
    """
    return _smooth("log10", input, np.log10, lambda dy, x: dy / (x * math.log(10)))


def log1p(input):
    """log(1 + x), exact near 0; NaN below -1.

    Examples
    --------
    >>> import nn
    >>> nn.log1p(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2231, 0.4055, 0.6931])
    """
    return _smooth("log1p", input, kernels.log1p, kernels.log1p_backward, lambda dy, x: dy / (x + 1))


def rsqrt(input):
    """1 / √x; NaN below 0.

    Examples
    --------
    >>> import nn
    >>> nn.rsqrt(nn.tensor([0.25, 0.5, 1.0]))
    tensor([2.0000, 1.4142, 1.0000])
    """
    return _of_result("rsqrt", input, kernels.rsqrt, kernels.rsqrt_backward, lambda dy, y: dy * (-0.5 * (y * y * y)))


def reciprocal(input):
    """1 / x.

    Examples
    --------
    >>> import nn
    >>> nn.reciprocal(nn.tensor([0.25, 0.5, 1.0]))
    tensor([4., 2., 1.])
    """
    return _of_result("reciprocal", input, lambda x: 1 / x, lambda dy, y: -dy * (y * y))


def logit(input, eps=None):
    """log(x / (1 - x)); with `eps`, elements are first limited to [eps, 1 - eps].

    Examples
    --------
    >>> import nn
    >>> nn.logit(nn.tensor([0.25, 0.5, 0.75]))
    tensor([-1.0986,  0.0000,  1.0986])
    """
    if eps is not None:
        eps = scalar_of("logit", "eps", eps)
        input = clamp(input, eps, 1 - eps)

    def backward(dy, x):
        return np.where((x >= 0) & (x <= 1), dy / (x * (1 - x)), np.nan)

    def derivative(dy, x):
        return masked_fill(dy / (x * (1 - x)), ~((x.array >= 0) & (x.array <= 1)), np.nan)

    return _smooth("logit", input, lambda x: np.log(x / (1 - x)), backward, derivative)


def square(input):
    """The elements times themselves; of bools, as integers.

    Examples
    --------
    >>> import nn
    >>> nn.square(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.0625, 0.2500, 1.0000])
    """
    input = to(input, np.int64) if array_of("square", input).dtype.kind == "b" else input
    return mul(input, input)


def deg2rad(input):
    """Degrees as radians.

    Examples
    --------
    >>> import nn
    >>> nn.deg2rad(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.0044, 0.0087, 0.0175])
    """
    return mul(input, math.pi / 180)


def rad2deg(input):
    """Radians as degrees.

    Examples
    --------
    >>> import nn
    >>> nn.rad2deg(nn.tensor([0.25, 0.5, 1.0]))
    tensor([14.3239, 28.6479, 57.2958])
    """
    return mul(input, 180 / math.pi)


def erf(input):
    """The error function: 2/√π times the integral of exp(-t²) from 0 to x.

    Examples
    --------
    >>> import nn
    >>> nn.erf(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2763, 0.5205, 0.8427])
    """
    return _smooth("erf", input, kernels.erf, kernels.erf_backward, lambda dy, x: dy * _density(x))


def erfc(input):
    """1 - erf(x), without cancellation.

    Examples
    --------
    >>> import nn
    >>> nn.erfc(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.7237, 0.4795, 0.1573])
    """
    return _smooth("erfc", input, kernels.erfc, kernels.erfc_backward, lambda dy, x: neg(dy * _density(x)))


def erfinv(input):
    """The inverse of `erf`: infinite at -1 and 1, NaN outside.

    Computed in float64: Winitzki's approximation, accurate to 0.2 %, then three of Halley's steps on erf, and near the
    ends on erfc, so that the result is accurate to the last digits of 1 - |x|.

    Reference: Winitzki, "A handy approximation for the error function and its inverse" (2008).

    Examples
    --------
    >>> import nn
    >>> nn.erfinv(nn.tensor([-0.5, 0.0, 0.5]))
    tensor([-0.4769,  0.0000,  0.4769])
    """
    return _of_result("erfinv", input, _inverse_erf, lambda dy, y: dy / _slope(y), lambda dy, y: dy / _density(y))


def _slope(y):
    """The derivative of erf, of an array."""
    return np.exp(-y * y) * y.dtype.type(2 / math.sqrt(math.pi))


def _inverse_erf(x):
    magnitude = np.abs(x.astype(np.float64))
    inside = magnitude < 1
    z = np.where(inside, magnitude, 0)
    logarithm = np.log1p(-z) + np.log1p(z)  # of 1 - z², exact near both ends
    a = 0.147
    term = 2 / (math.pi * a) + logarithm / 2
    root = np.sqrt(term * term - logarithm / a)
    y = np.sqrt(np.where(term > 0, -logarithm / a / (root + np.abs(term)), root - term))
    for _ in range(3):
        error = np.where(z < 0.5, kernels.erf(y) - z, (1 - z) - kernels.erfc(y))
        step = error / _slope(y)
        y = y - step / (1 + y * step)
    y = np.where(inside, y, np.where(magnitude == 1, np.inf, np.nan))
    return np.copysign(y, x).astype(x.dtype)


def _density(x):
    """The derivative of erf."""
    return exp(neg(mul(x, x))) * (2 / math.sqrt(math.pi))


def lgamma(input):
    """The logarithm of the magnitude of the gamma function.

    Examples
    --------
    >>> import nn
    >>> nn.lgamma(nn.tensor([0.25, 0.5, 1.0]))
    tensor([1.2880, 0.5724, 0.0000])
    """
    return _smooth("lgamma", input, kernels.lgamma, kernels.lgamma_backward, lambda dy, x: mul(dy, digamma(x)))


def digamma(input):
    """The derivative of `lgamma`; it can be differentiated once.

    Examples
    --------
    >>> import nn
    >>> nn.digamma(nn.tensor([0.25, 0.5, 1.0]))
    tensor([-4.2275, -1.9635, -0.5772])
    """
    x = inexact("digamma", input)
    return record("digamma", kernels.digamma(x), (input,), lambda dy: kernels.digamma_backward(dy, x), (input,))
