r"""The logistic function and the hyperbolic tangent.

    sigmoid     y = σ(x) = 1 / (1 + e⁻ˣ)    dx = dy y (1 - y)
    tanh        y = tanh x                  dx = dy (1 - y²)

An element moves 8 bytes forward and 12 backward (float32) and costs 20 to 30 FLOPs, so memory and arithmetic are about
in balance. Both save y for their backward.
"""

import math

from kernels import simd
from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.simd import absolute, select

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
def sigmoid_and_derivative(x):
    """σ(x) and its derivative σ(x) (1 - σ(x)), both without cancellation."""
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

    Returns
    -------
    ndarray
        `out`, or a new array of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `out` differs from `x` in shape or dtype, is not C-contiguous, is
        read-only, or overlaps `x` without being the same memory.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import sigmoid
    >>> sigmoid(np.array([-np.inf, 0.0, 2.0]))
    array([0.        , 0.5       , 0.88079708])
    """
    return forward("sigmoid", _sigmoid, x, out)


def sigmoid_backward(dy, y):
    """Gradient of `sigmoid` with respect to its input, from its output `y`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    y : array
        The forward's output, of the shape and dtype of `dy`.

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
    >>> from kernels import sigmoid_backward
    >>> sigmoid_backward(np.ones(2), np.array([0.0, 2.0]))
    array([ 0., -2.])
    """
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
    """y = tanh x.

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

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import tanh
    >>> tanh(np.array([0.0, 1.0]))
    array([0.        , 0.76159416])
    """
    return forward("tanh", _tanh, x, out)


def tanh_backward(dy, y):
    """Gradient of `tanh` with respect to its input, from its output `y`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    y : array
        The forward's output, of the shape and dtype of `dy`.

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
    >>> from kernels import tanh_backward
    >>> tanh_backward(np.ones(2), np.array([0.0, 1.0]))
    array([1., 0.])
    """
    return backward("tanh_backward", _tanh_backward, dy, "y", y)


VARIANTS = {
    "sigmoid": {"naive": sigmoid_naive, "fast": _sigmoid.serial},
    "tanh": {"naive": tanh_naive, "fast": _tanh.serial},
}
