r"""Smooth rectifiers: x times a smooth step from 0 to 1.

    silu [1]_   y = x σ(x)                  dx = dy (s + x s (1 - s)),             s = σ(x)
    mish [2]_   y = x t                     dx = dy (t + x σ(x) (1 - t²)),         t = tanh(log(1 + eˣ))
    gelu [1]_   y = x Φ(x)                  dx = dy (Φ(x) + x φ(x))
    its tanh form:
                y = x (1 + tanh u) / 2      dx = dy (s + x s (1 - s) 2 u'(x)),     s = σ(2u),
                u = √(2/π) (x + 0.044715 x³)

σ is the logistic function, Φ and φ are the normal distribution and its density. An element moves 8 bytes forward and 12
backward (float32) and costs 20 to 50 FLOPs, so memory and arithmetic are about in balance. All save x for their
backward.

.. [1] D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, section 2.
.. [2] D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019, equation 1.
"""

import math

import numpy as np

from kernels import simd
from kernels._checks import choice
from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.activation.logistic import sigmoid_and_derivative
from kernels.activation.special import gelu_deficit, gelu_derivative
from kernels.simd import absolute, maximum, select

# --- silu -------------------------------------------------------------------------------------------------------------


@jit
def silu_naive(x, out):
    for i in range(x.size):
        out[i] = x[i] / (1 + np.exp(-x[i]))


@jit(inline=True)
def silu_lanes(x):
    return x * simd.sigmoid(x)


@jit(inline=True)
def silu_backward_lanes(dy, x):
    s, derivative = sigmoid_and_derivative(x)
    return dy * (s + x * derivative)


_silu, _silu_backward = unary(silu_lanes), binary(silu_backward_lanes)


def silu(x, *, out=None):
    """y = x σ(x).

    Parameters
    ----------
    x : array, float32 or float64, any shape
    out : array, optional
        Receives the result; it may be `x` itself.

    Returns
    -------
    ndarray
        `out`, or a new array of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `out` differs from `x` in shape or dtype, is not C-contiguous, is
        read-only, or overlaps `x` without being the same memory.

    Reference
    ---------
    D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import silu
    >>> silu(np.array([0.0, 1.0]))
    array([0.        , 0.73105858])
    """
    return forward("silu", _silu, x, out)


def silu_backward(dy, x):
    """Gradient of `silu` with respect to its input `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, or dtypes or shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import silu_backward
    >>> silu_backward(np.ones(2), np.array([0.0, 1.0]))
    array([0.5       , 0.92767051])
    """
    return backward("silu_backward", _silu_backward, dy, "x", x)


# --- mish -------------------------------------------------------------------------------------------------------------


@jit
def mish_naive(x, out):
    for i in range(x.size):
        out[i] = x[i] * math.tanh(max(x[i], 0) + math.log1p(math.exp(-abs(x[i]))))


@jit(inline=True)
def mish_lanes(x):
    # tanh(log(1 + e)) = n / (n + 2), n = e (e + 2); from 30 on it rounds to 1, and e² would overflow
    e = simd.exp(select(x > 30.0, 30.0, x))
    n = e * (e + 2.0)
    return x * (n / (n + 2.0))


@jit(inline=True)
def mish_backward_lanes(dy, x):
    # σ(x) (1 - t²) = 4 e (e + 1) / (n + 2)²
    e = simd.exp(select(x > 30.0, 30.0, x))
    r = 1.0 / (e * (e + 2.0) + 2.0)
    small = e * r
    derivative = select(x > 30.0, 0.0, 4.0 * small * ((e + 1.0) * r))  # of t
    return dy * (small * (e + 2.0) + x * derivative)


_mish, _mish_backward = unary(mish_lanes), binary(mish_backward_lanes)


def mish(x, *, out=None):
    """y = x tanh(log(1 + eˣ)).

    Parameters
    ----------
    x : array, float32 or float64, any shape
    out : array, optional
        Receives the result; it may be `x` itself.

    Returns
    -------
    ndarray
        `out`, or a new array of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `out` differs from `x` in shape or dtype, is not C-contiguous, is
        read-only, or overlaps `x` without being the same memory.

    Reference
    ---------
    D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019, equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import mish
    >>> mish(np.array([0.0, 1.0]))
    array([0.        , 0.86509839])
    """
    return forward("mish", _mish, x, out)


def mish_backward(dy, x):
    """Gradient of `mish` with respect to its input `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, or dtypes or shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import mish_backward
    >>> mish_backward(np.ones(2), np.array([0.0, 1.0]))
    array([0.6       , 1.04903622])
    """
    return backward("mish_backward", _mish_backward, dy, "x", x)


# --- gelu -------------------------------------------------------------------------------------------------------------

# 2u = x (GELU_LINEAR + GELU_CUBIC x²): (1 + tanh u) / 2 is σ(2u), without cancellation
GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715 * GELU_LINEAR
GELU_FLAT = 22.0**2  # x² from which on σ(2u) (1 - σ(2u)) is 0 in float64, too


@jit
def gelu_naive(x, out):
    for i in range(x.size):
        out[i] = 0.5 * x[i] * math.erfc(-x[i] * math.sqrt(0.5))


@jit
def gelu_tanh_naive(x, out):
    for i in range(x.size):
        u = math.sqrt(2 / math.pi) * (x[i] + 0.044715 * x[i] ** 3)
        out[i] = 0.5 * x[i] * (1 + math.tanh(u))


@jit(inline=True)
def gelu_lanes(x):
    return maximum(x, 0.0) - gelu_deficit(absolute(x))


@jit(inline=True)
def gelu_backward_lanes(dy, x):
    below = gelu_derivative(absolute(x))
    return dy * select(x > 0.0, 1.0 - below, below)


@jit(inline=True)
def gelu_tanh_lanes(x):
    return x * simd.sigmoid(x * (x * x * GELU_CUBIC + GELU_LINEAR))


@jit(inline=True)
def gelu_tanh_backward_lanes(dy, x):
    square = x * x
    square = select(square > GELU_FLAT, GELU_FLAT, square)  # the derivative of σ is 0 there, and 0 * inf would be NaN
    s, derivative = sigmoid_and_derivative(x * (square * GELU_CUBIC + GELU_LINEAR))
    return dy * (s + x * derivative * (square * (3.0 * GELU_CUBIC) + GELU_LINEAR))


_gelu, _gelu_backward = unary(gelu_lanes), binary(gelu_backward_lanes)
_gelu_tanh, _gelu_tanh_backward = unary(gelu_tanh_lanes), binary(gelu_tanh_backward_lanes)


def gelu(x, approximate="none", *, out=None):
    """y = x Φ(x), or its tanh form; gelu(-inf) is 0.

    Parameters
    ----------
    x : array, float32 or float64, any shape
    approximate : {"none", "tanh"}
        Whether to compute the tanh form.
    out : array, optional
        Receives the result; it may be `x` itself.

    Returns
    -------
    ndarray
        `out`, or a new array of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `out` differs from `x` in shape or dtype, is not C-contiguous, is
        read-only, or overlaps `x` without being the same memory; if `approximate` is
        unknown.

    Reference
    ---------
    D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import gelu
    >>> gelu(np.array([0.0, 1.0]))
    array([0.        , 0.84134475])
    """
    if approximate == "none":
        return forward("gelu", _gelu, x, out)
    choice("gelu", "approximate", approximate, ("none", "tanh"))
    return forward("gelu", _gelu_tanh, x, out)


def gelu_backward(dy, x, approximate="none"):
    """Gradient of `gelu` with respect to its input `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    approximate
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, dtypes or shapes differ, or `approximate` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import gelu_backward
    >>> gelu_backward(np.ones(2), np.array([0.0, 1.0]))
    array([0.5       , 1.08331547])
    """
    if approximate == "none":
        return backward("gelu_backward", _gelu_backward, dy, "x", x)
    choice("gelu_backward", "approximate", approximate, ("none", "tanh"))
    return backward("gelu_backward", _gelu_tanh_backward, dy, "x", x)


VARIANTS = {
    "silu": {"naive": silu_naive, "fast": _silu.serial},
    "mish": {"naive": mish_naive, "fast": _mish.serial},
    "gelu": {"naive": gelu_naive, "fast": _gelu.serial},
    "gelu_tanh": {"naive": gelu_tanh_naive, "fast": _gelu_tanh.serial},
}
