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
    """The sine."""
    return _smooth("sin", input, np.sin, lambda dy, x: dy * np.cos(x), lambda dy, x: mul(dy, cos(x)))


def cos(input):
    """The cosine."""
    return _smooth("cos", input, np.cos, lambda dy, x: -dy * np.sin(x), lambda dy, x: mul(-dy, sin(x)))


def tan(input):
    """The tangent."""
    return _of_result("tan", input, np.tan, lambda dy, y: dy * (1 + y * y))


def asin(input):
    """The inverse sine; NaN outside [-1, 1]."""
    return _smooth("asin", input, np.arcsin, lambda dy, x: dy / np.sqrt(1 - x * x), lambda dy, x: dy / sqrt(1 - x * x))


def acos(input):
    """The inverse cosine; NaN outside [-1, 1]."""
    return _smooth(
        "acos", input, np.arccos, lambda dy, x: -dy / np.sqrt(1 - x * x), lambda dy, x: -dy / sqrt(1 - x * x)
    )


def atan(input):
    """The inverse tangent."""
    return _smooth("atan", input, np.arctan, lambda dy, x: dy / (1 + x * x))


def sinh(input):
    """The hyperbolic sine."""
    return _smooth("sinh", input, np.sinh, lambda dy, x: dy * np.cosh(x), lambda dy, x: mul(dy, cosh(x)))


def cosh(input):
    """The hyperbolic cosine."""
    return _smooth("cosh", input, np.cosh, lambda dy, x: dy * np.sinh(x), lambda dy, x: mul(dy, sinh(x)))


def asinh(input):
    """The inverse hyperbolic sine."""
    return _smooth(
        "asinh", input, np.arcsinh, lambda dy, x: dy / np.sqrt(x * x + 1), lambda dy, x: dy / sqrt(x * x + 1)
    )


def acosh(input):
    """The inverse hyperbolic cosine; NaN below 1."""
    return _smooth(
        "acosh", input, np.arccosh, lambda dy, x: dy / np.sqrt(x * x - 1), lambda dy, x: dy / sqrt(x * x - 1)
    )


def atanh(input):
    """The inverse hyperbolic tangent; NaN outside [-1, 1]."""
    return _smooth("atanh", input, np.arctanh, lambda dy, x: dy / (1 - x * x))


def exp2(input):
    """2 to the power of each element."""
    return _of_result("exp2", input, np.exp2, lambda dy, y: dy * y * math.log(2))


def expm1(input):
    """exp(x) - 1, exact near 0."""
    return _of_result("expm1", input, kernels.expm1, kernels.expm1_backward, lambda dy, y: dy * (y + 1))


def log2(input):
    """The logarithm to base 2; NaN below 0."""
    return _smooth("log2", input, np.log2, lambda dy, x: dy / (x * math.log(2)))


def log10(input):
    """The logarithm to base 10; NaN below 0."""
    return _smooth("log10", input, np.log10, lambda dy, x: dy / (x * math.log(10)))


def log1p(input):
    """log(1 + x), exact near 0; NaN below -1."""
    return _smooth("log1p", input, kernels.log1p, kernels.log1p_backward, lambda dy, x: dy / (x + 1))


def rsqrt(input):
    """1 / √x; NaN below 0."""
    return _of_result("rsqrt", input, kernels.rsqrt, kernels.rsqrt_backward, lambda dy, y: dy * (-0.5 * (y * y * y)))


def reciprocal(input):
    """1 / x."""
    return _of_result("reciprocal", input, lambda x: 1 / x, lambda dy, y: -dy * (y * y))


def logit(input, eps=None):
    """log(x / (1 - x)); with `eps`, elements are first limited to [eps, 1 - eps]."""
    if eps is not None:
        eps = scalar_of("logit", "eps", eps)
        input = clamp(input, eps, 1 - eps)

    def backward(dy, x):
        return np.where((x >= 0) & (x <= 1), dy / (x * (1 - x)), np.nan)

    def derivative(dy, x):
        return masked_fill(dy / (x * (1 - x)), ~((x.array >= 0) & (x.array <= 1)), np.nan)

    return _smooth("logit", input, lambda x: np.log(x / (1 - x)), backward, derivative)


def square(input):
    """The elements times themselves; of bools, as integers."""
    input = to(input, np.int64) if array_of("square", input).dtype.kind == "b" else input
    return mul(input, input)


def deg2rad(input):
    """Degrees as radians."""
    return mul(input, math.pi / 180)


def rad2deg(input):
    """Radians as degrees."""
    return mul(input, 180 / math.pi)


def erf(input):
    """The error function: 2/√π times the integral of exp(-t²) from 0 to x."""
    return _smooth("erf", input, kernels.erf, kernels.erf_backward, lambda dy, x: dy * _density(x))


def erfc(input):
    """1 - erf(x), without cancellation."""
    return _smooth("erfc", input, kernels.erfc, kernels.erfc_backward, lambda dy, x: neg(dy * _density(x)))


def erfinv(input):
    """The inverse of `erf`: infinite at -1 and 1, NaN outside.

    Computed in float64: Winitzki's approximation, accurate to 0.2 %, then three of Halley's steps on erf, and near the
    ends on erfc, so that the result is accurate to the last digits of 1 - |x|.

    Reference: Winitzki, "A handy approximation for the error function and its inverse" (2008).
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
    """The logarithm of the magnitude of the gamma function."""
    return _smooth("lgamma", input, kernels.lgamma, kernels.lgamma_backward, lambda dy, x: mul(dy, digamma(x)))


def digamma(input):
    """The derivative of `lgamma`; it can be differentiated once."""
    x = inexact("digamma", input)
    return record("digamma", kernels.digamma(x), (input,), lambda dy: kernels.digamma_backward(dy, x), (input,))
