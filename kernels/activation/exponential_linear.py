r"""Exponential linear units: rectifiers with an exponential below 0.

    elu [1]_     y = x where x > 0, else α (eˣ - 1)         dx = dy where x > 0, else dy α eˣ
    selu [2]_    y = λ elu(x)                               dx = dy λ where x > 0, else dy λ α eˣ
    celu [3]_    y = x where x > 0, else α (exp(x/α) - 1)   dx = dy where x > 0, else dy exp(x/α)

eˣ - 1 has a function of its own, because near 0 the plain form loses all digits. An element moves 8 bytes forward and
12 backward (float32) and costs 20 to 40 FLOPs, so memory and arithmetic are about in balance. All save x for their
backward: y + λ α would lose all digits where eˣ is small.

.. [1] D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units
   (ELUs)", 2016, equation 15.
.. [2] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-Normalizing Neural Networks", 2017, equation 2.
.. [3] J. T. Barron, "Continuously Differentiable Exponential Linear Units", 2017, equation 2.
"""

import math

from kernels import simd
from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.activation.special import expm1_negative, quotient
from kernels.simd import absolute, select

# λ and α for which mean 0 and variance 1 are a fixed point ([2]_, equation 14)
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

# --- elu --------------------------------------------------------------------------------------------------------------


@jit
def elu_naive(x, out, alpha=1.0):
    for i in range(x.size):
        out[i] = x[i] if x[i] > 0 else alpha * math.expm1(x[i])


@jit(inline=True)
def elu_lanes(x, alpha):
    return select(x > 0.0, x, expm1_negative(x) * alpha)


@jit(inline=True)
def elu_backward_lanes(dy, x, alpha):
    return select(x > 0.0, dy, dy * (simd.exp(x) * alpha))


_elu, _elu_backward = unary(elu_lanes, 1), binary(elu_backward_lanes, 1)


def elu(x, alpha=1.0, *, out=None):
    """y = x where x > 0, else alpha (eˣ - 1).

    Parameters
    ----------
    x : array, float32 or float64, any shape
    alpha : float, default 1
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
    D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units
    (ELUs)", 2016, equation 15.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import elu
    >>> elu(np.array([-1.0, 2.0]))
    array([-0.63212056,  2.        ])
    """
    return forward("elu", _elu, x, out, float(alpha))


def elu_backward(dy, x, alpha=1.0):
    """Gradient of `elu` with respect to its input `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    alpha
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
    >>> from kernels import elu_backward
    >>> elu_backward(np.ones(2), np.array([-1.0, 2.0]))
    array([0.36787944, 1.        ])
    """
    return backward("elu_backward", _elu_backward, dy, "x", x, float(alpha))


# --- selu -------------------------------------------------------------------------------------------------------------


@jit
def selu_naive(x, out):
    for i in range(x.size):
        out[i] = SELU_SCALE * (x[i] if x[i] > 0 else SELU_ALPHA * math.expm1(x[i]))


@jit(inline=True)
def selu_lanes(x):
    return select(x > 0.0, x * SELU_SCALE, expm1_negative(x) * (SELU_SCALE * SELU_ALPHA))


@jit(inline=True)
def selu_backward_lanes(dy, x):
    return dy * select(x > 0.0, SELU_SCALE, simd.exp(x) * (SELU_SCALE * SELU_ALPHA))


_selu, _selu_backward = unary(selu_lanes), binary(selu_backward_lanes)


def selu(x, *, out=None):
    """y = λ elu(x, α) with the constants of self-normalising networks.

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
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-Normalizing Neural Networks", 2017, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import selu
    >>> selu(np.array([-1.0, 2.0]))
    array([-1.11133074,  2.10140197])
    """
    return forward("selu", _selu, x, out)


def selu_backward(dy, x):
    """Gradient of `selu` with respect to its input `x`.

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
    >>> from kernels import selu_backward
    >>> selu_backward(np.ones(2), np.array([-1.0, 2.0]))
    array([0.6467686 , 1.05070099])
    """
    return backward("selu_backward", _selu_backward, dy, "x", x)


# --- celu -------------------------------------------------------------------------------------------------------------


@jit
def celu_naive(x, out, alpha=1.0):
    for i in range(x.size):
        out[i] = x[i] if x[i] > 0 else alpha * math.expm1(x[i] / alpha)


@jit(inline=True)
def celu_lanes(x, alpha):
    z = quotient(x, alpha)
    # where alpha < 0, z > 0 for x < 0, and exp(z) - 1 = -exp(z) (exp(-z) - 1)
    below = expm1_negative(z) * alpha if alpha > 0.0 else expm1_negative(-z) * simd.exp(z) * -alpha
    return select((x >= 0.0) | (absolute(z) < 1e-20), x, below)  # z may have underflowed


@jit(inline=True)
def celu_backward_lanes(dy, x, alpha):
    return select(x >= 0.0, dy, dy * simd.exp(quotient(x, alpha)))


_celu, _celu_backward = unary(celu_lanes, 1), binary(celu_backward_lanes, 1)


def _nonzero(operation, alpha):
    if not alpha:
        raise ValueError(f"{operation}: alpha must not be 0")
    return float(alpha)


def celu(x, alpha=1.0, *, out=None):
    """y = x where x > 0, else alpha (exp(x / alpha) - 1).

    Parameters
    ----------
    x : array, float32 or float64, any shape
    alpha : float, default 1
        Not 0.
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
        read-only, or overlaps `x` without being the same memory; if `alpha` is 0.

    Reference
    ---------
    J. T. Barron, "Continuously Differentiable Exponential Linear Units", 2017, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import celu
    >>> celu(np.array([-1.0, 2.0]))
    array([-0.63212056,  2.        ])
    """
    return forward("celu", _celu, x, out, _nonzero("celu", alpha))


def celu_backward(dy, x, alpha=1.0):
    """Gradient of `celu` with respect to its input `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    alpha
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, dtypes or shapes differ, or `alpha` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import celu_backward
    >>> celu_backward(np.ones(2), np.array([-1.0, 2.0]))
    array([0.36787944, 1.        ])
    """
    return backward("celu_backward", _celu_backward, dy, "x", x, _nonzero("celu_backward", alpha))


VARIANTS = {
    "elu": {"naive": elu_naive, "fast": _elu.serial},
    "selu": {"naive": selu_naive, "fast": _selu.serial},
    "celu": {"naive": celu_naive, "fast": _celu.serial},
}
