r"""Activations made of the logistic function σ(x) = 1 / (1 + e⁻ˣ), of tanh, and of the normal distribution Φ.

    sigmoid     y = σ(x)                    dx = dy y (1 - y)
    tanh        y = tanh x                  dx = dy (1 - y²)
    silu [1]_   y = x σ(x)                  dx = dy (s + x s (1 - s)),             s = σ(x)
    mish [2]_   y = x t                     dx = dy (t + x σ(x) (1 - t²)),         t = tanh(log(1 + eˣ))
    gelu [1]_   y = x Φ(x)                  dx = dy (Φ(x) + x φ(x))
    its tanh form:
                y = x (1 + tanh u) / 2      dx = dy (s + x s (1 - s) 2 u'(x)),     s = σ(2u),
                u = √(2/π) (x + 0.044715 x³)

An element moves 8 bytes forward and 12 backward (float32) and costs 20 to 50 FLOPs, so memory and arithmetic are about
in balance. sigmoid and tanh keep y for their backward, the others x.

.. [1] D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, section 2.
.. [2] D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019, equation 1.
"""

import math

import numpy as np

from kernels import simd
from kernels._checks import choice
from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.activation.special import gelu_deficit, gelu_slope
from kernels.simd import absolute, maximum, select

# --- sigmoid ----------------------------------------------------------------------------------------------------------


@jit
def sigmoid_naive(x, out):
    for i in range(x.size):
        e = math.exp(-abs(x[i]))  # never overflows
        out[i] = (1 if x[i] >= 0 else e) / (1 + e)


@jit(inline=True)
def sigmoid_lanes(x):
    return simd.sigmoid(x)


@jit(inline=True)
def sigmoid_backward_lanes(dy, y):
    return dy * ((1.0 - y) * y)


@jit(inline=True)
def sigmoid_and_slope(x):
    """σ(x) and σ(x) (1 - σ(x)), neither by a difference that cancels."""
    e = simd.exp(-absolute(x))
    r = 1.0 / (e + 1.0)
    small = e * r
    return select(x < 0.0, small, r), small * r


_sigmoid, _sigmoid_backward = unary(sigmoid_lanes), binary(sigmoid_backward_lanes)


def sigmoid(x, *, out=None):
    """y = 1 / (1 + e⁻ˣ).

    Parameters
    ----------
    x : array, float32 or float64, any shape
    out : array, optional
        Receives the result; it may be `x` itself.

    Raises
    ------
    TypeError, ValueError
        If `x` is not such an array, or `out` does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import sigmoid
    >>> sigmoid(np.array([-np.inf, 0.0, 2.0]))
    array([0.        , 0.5       , 0.88079708])
    """
    return forward("sigmoid", _sigmoid, x, out)


def sigmoid_backward(dy, y):
    """Gradient of `sigmoid` at its output `y`."""
    return backward("sigmoid_backward", _sigmoid_backward, dy, "y", y)


# --- tanh -------------------------------------------------------------------------------------------------------------


@jit
def tanh_naive(x, out):
    for i in range(x.size):
        out[i] = math.tanh(x[i])


@jit(inline=True)
def tanh_lanes(x):
    return simd.tanh(x)


@jit(inline=True)
def tanh_backward_lanes(dy, y):
    return dy * (1.0 - y * y)


_tanh, _tanh_backward = unary(tanh_lanes), binary(tanh_backward_lanes)


def tanh(x, *, out=None):
    """y = tanh x; `x` and `out` as for `sigmoid`."""
    return forward("tanh", _tanh, x, out)


def tanh_backward(dy, y):
    """Gradient of `tanh` at its output `y`."""
    return backward("tanh_backward", _tanh_backward, dy, "y", y)


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
    s, slope = sigmoid_and_slope(x)
    return dy * (s + x * slope)


_silu, _silu_backward = unary(silu_lanes), binary(silu_backward_lanes)


def silu(x, *, out=None):
    """y = x σ(x); `x` and `out` as for `sigmoid`."""
    return forward("silu", _silu, x, out)


def silu_backward(dy, x):
    """Gradient of `silu` at its input `x`."""
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
    slope = select(x > 30.0, 0.0, 4.0 * small * ((e + 1.0) * r))
    return dy * (small * (e + 2.0) + x * slope)


_mish, _mish_backward = unary(mish_lanes), binary(mish_backward_lanes)


def mish(x, *, out=None):
    """y = x tanh(log(1 + eˣ)); `x` and `out` as for `sigmoid`."""
    return forward("mish", _mish, x, out)


def mish_backward(dy, x):
    """Gradient of `mish` at its input `x`."""
    return backward("mish_backward", _mish_backward, dy, "x", x)


# --- gelu -------------------------------------------------------------------------------------------------------------

# 2u = x (GELU_LINEAR + GELU_CUBIC x²): (1 + tanh u) / 2 is σ(2u), which has no difference that cancels
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
    slope = gelu_slope(absolute(x))
    return dy * select(x > 0.0, 1.0 - slope, slope)


@jit(inline=True)
def gelu_tanh_lanes(x):
    return x * simd.sigmoid(x * (x * x * GELU_CUBIC + GELU_LINEAR))


@jit(inline=True)
def gelu_tanh_backward_lanes(dy, x):
    square = x * x
    square = select(square > GELU_FLAT, GELU_FLAT, square)  # the slope is 0 there, and 0 * inf would be NaN
    s, slope = sigmoid_and_slope(x * (square * GELU_CUBIC + GELU_LINEAR))
    return dy * (s + x * slope * (square * (3.0 * GELU_CUBIC) + GELU_LINEAR))


_gelu, _gelu_backward = unary(gelu_lanes), binary(gelu_backward_lanes)
_gelu_tanh, _gelu_tanh_backward = unary(gelu_tanh_lanes), binary(gelu_tanh_backward_lanes)


def gelu(x, approximate="none", *, out=None):
    """y = x Φ(x), or its tanh form for ``approximate="tanh"``; gelu(-inf) is 0. `x` and `out` as for `sigmoid`.

    ValueError where `approximate` is another word.
    """
    if approximate == "none":
        return forward("gelu", _gelu, x, out)
    choice("gelu", "approximate", approximate, ("none", "tanh"))
    return forward("gelu", _gelu_tanh, x, out)


def gelu_backward(dy, x, approximate="none"):
    """Gradient of `gelu` at its input `x`."""
    if approximate == "none":
        return backward("gelu_backward", _gelu_backward, dy, "x", x)
    choice("gelu_backward", "approximate", approximate, ("none", "tanh"))
    return backward("gelu_backward", _gelu_tanh_backward, dy, "x", x)


VARIANTS = {
    "sigmoid": {"naive": sigmoid_naive, "fast": _sigmoid.serial},
    "tanh": {"naive": tanh_naive, "fast": _tanh.serial},
    "silu": {"naive": silu_naive, "fast": _silu.serial},
    "mish": {"naive": mish_naive, "fast": _mish.serial},
    "gelu": {"naive": gelu_naive, "fast": _gelu.serial},
    "gelu_tanh": {"naive": gelu_tanh_naive, "fast": _gelu_tanh.serial},
}
