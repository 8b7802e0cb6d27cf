r"""The exponential function, and logarithms of 1 + an exponential.

    exp          y = eˣ                                     dx = dy y
    softplus     y = log(1 + exp(β x)) / β                  dx = dy σ(β x)
    logsigmoid   y = -log(1 + e⁻ˣ)                          dx = dy σ(-x)

log(1 + e) has a function of its own, because near 0 the plain form loses all digits. An element moves 8 bytes forward
and 12 backward (float32) and costs 20 to 40 FLOPs, so memory and arithmetic are about in balance. exp saves y for its
backward, the others x.
"""

import math

import numpy as np

from kernels import simd
from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.activation.special import log1p_unit, quotient
from kernels.simd import absolute, maximum, minimum, select

# --- exp --------------------------------------------------------------------------------------------------------------


@jit
def exp_naive(x, out):
    for i in range(x.size):
        out[i] = np.exp(x[i])  # not math.exp, which Python lets no result overflow


@jit(inline=True)
def exp_lanes(x):
    return simd.exp(x)


@jit(inline=True)
def exp_backward_lanes(dy, y):
    return dy * y


_exp, _exp_backward = unary(exp_lanes), binary(exp_backward_lanes)


def exp(x, *, out=None):
    """y = eˣ.

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
    >>> from kernels import exp
    >>> exp(np.array([-np.inf, 0.0, 1.0]))
    array([0.        , 1.        , 2.71828183])
    """
    return forward("exp", _exp, x, out)


def exp_backward(dy, y):
    """Gradient of `exp` with respect to its input, from its output `y`.

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
    >>> from kernels import exp_backward
    >>> exp_backward(np.ones(2), np.array([0.0, 1.0]))
    array([0., 1.])
    """
    return backward("exp_backward", _exp_backward, dy, "y", y)


# --- softplus ---------------------------------------------------------------------------------------------------------


@jit
def softplus_naive(x, out, beta=1.0, threshold=20.0):
    for i in range(x.size):
        z = beta * x[i]
        out[i] = x[i] if z > threshold else (max(z, 0) + math.log1p(math.exp(-abs(z)))) / beta


@jit(inline=True)
def softplus_lanes(x, beta, threshold):
    z = x * beta
    return select(z > threshold, x, quotient(maximum(z, 0.0) + log1p_unit(simd.exp(-absolute(z))), beta))


@jit(inline=True)
def softplus_backward_lanes(dy, x, beta, threshold):
    z = x * beta
    return select(z > threshold, dy, dy * simd.sigmoid(z))


_softplus, _softplus_backward = unary(softplus_lanes, 2), binary(softplus_backward_lanes, 2)


def softplus(x, beta=1.0, threshold=20.0, *, out=None):
    """y = log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    Parameters
    ----------
    x : array, float32 or float64, any shape
    beta : float, default 1
    threshold : float, default 20
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
    >>> from kernels import softplus
    >>> softplus(np.array([0.0, 30.0]))
    array([ 0.69314718, 30.        ])
    """
    return forward("softplus", _softplus, x, out, float(beta), float(threshold))


def softplus_backward(dy, x, beta=1.0, threshold=20.0):
    """Gradient of `softplus` with respect to its input `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    beta, threshold
        As given to the forward.

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
    >>> from kernels import softplus_backward
    >>> softplus_backward(np.ones(2), np.array([0.0, 30.0]))
    array([0.5, 1. ])
    """
    return backward("softplus_backward", _softplus_backward, dy, "x", x, float(beta), float(threshold))


# --- logsigmoid -------------------------------------------------------------------------------------------------------


@jit
def logsigmoid_naive(x, out):
    for i in range(x.size):
        out[i] = min(x[i], 0) - math.log1p(math.exp(-abs(x[i])))


@jit(inline=True)
def logsigmoid_lanes(x):
    return minimum(x, 0.0) - log1p_unit(simd.exp(-absolute(x)))


@jit(inline=True)
def logsigmoid_backward_lanes(dy, x):
    return dy * simd.sigmoid(-x)


_logsigmoid, _logsigmoid_backward = unary(logsigmoid_lanes), binary(logsigmoid_backward_lanes)


def logsigmoid(x, *, out=None):
    """y = log σ(x) = -log(1 + e⁻ˣ).

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
    >>> from kernels import logsigmoid
    >>> logsigmoid(np.array([0.0, -100.0]))
    array([  -0.69314718, -100.        ])
    """
    return forward("logsigmoid", _logsigmoid, x, out)


def logsigmoid_backward(dy, x):
    """Gradient of `logsigmoid` with respect to its input `x`.

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
    >>> from kernels import logsigmoid_backward
    >>> logsigmoid_backward(np.ones(2), np.array([0.0, -100.0]))
    array([0.5, 1. ])
    """
    return backward("logsigmoid_backward", _logsigmoid_backward, dy, "x", x)


VARIANTS = {
    "exp": {"naive": exp_naive, "fast": _exp.serial},
    "softplus": {"naive": softplus_naive, "fast": _softplus.serial},
    "logsigmoid": {"naive": logsigmoid_naive, "fast": _logsigmoid.serial},
}
