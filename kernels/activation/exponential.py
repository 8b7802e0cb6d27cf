r"""The exponential function, and rectifiers whose bend it rounds off.

    exp          y = eˣ                                     dx = dy y
    elu [1]_     y = x where x > 0, else α (eˣ - 1)         dx = dy where x > 0, else dy α eˣ
    selu [2]_    y = λ elu(x)                               dx = dy λ where x > 0, else dy λ α eˣ
    celu [3]_    y = x where x > 0, else α (exp(x/α) - 1)   dx = dy where x > 0, else dy exp(x/α)
    softplus     y = log(1 + exp(β x)) / β                  dx = dy σ(β x)
    logsigmoid   y = -log(1 + e⁻ˣ)                          dx = dy σ(-x)

eˣ - 1 and log(1 + e) have functions of their own, since near 0 the plain forms lose all their digits. An element moves
8 bytes forward and 12 backward (float32) and costs 20 to 40 FLOPs, so memory and arithmetic are about in balance.
exp keeps y for its backward, the others x: for selu, y + λ α has no digits left where eˣ is small.

.. [1] D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units
   (ELUs)", 2016, equation 15.
.. [2] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-Normalizing Neural Networks", 2017, equation 2.
.. [3] J. T. Barron, "Continuously Differentiable Exponential Linear Units", 2017, equation 2.
"""

import math

import numpy as np

from kernels import simd
from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.activation.special import expm1_negative, log1p_unit, quotient
from kernels.simd import absolute, maximum, minimum, select

# λ and α for which mean 0 and variance 1 are a fixed point ([2]_, equation 14)
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

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

    Raises
    ------
    TypeError, ValueError
        If `x` is not such an array, or `out` does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import exp
    >>> exp(np.array([-np.inf, 0.0, 1.0]))
    array([0.        , 1.        , 2.71828183])
    """
    return forward("exp", _exp, x, out)


def exp_backward(dy, y):
    """Gradient of `exp` at its output `y`."""
    return backward("exp_backward", _exp_backward, dy, "y", y)


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
    """y = x where x > 0, else alpha (eˣ - 1); `x` and `out` as for `exp`."""
    return forward("elu", _elu, x, out, float(alpha))


def elu_backward(dy, x, alpha=1.0):
    """Gradient of `elu` at its input `x`."""
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
    """y = λ elu(x, α) with the constants of self-normalising networks; `x` and `out` as for `exp`."""
    return forward("selu", _selu, x, out)


def selu_backward(dy, x):
    """Gradient of `selu` at its input `x`."""
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
    """y = x where x > 0, else alpha (exp(x / alpha) - 1); `x` and `out` as for `exp`. ValueError where alpha is 0."""
    return forward("celu", _celu, x, out, _nonzero("celu", alpha))


def celu_backward(dy, x, alpha=1.0):
    """Gradient of `celu` at its input `x`."""
    return backward("celu_backward", _celu_backward, dy, "x", x, _nonzero("celu_backward", alpha))


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
    """y = log(1 + exp(beta x)) / beta, and x itself where beta x > threshold; `x` and `out` as for `exp`."""
    return forward("softplus", _softplus, x, out, float(beta), float(threshold))


def softplus_backward(dy, x, beta=1.0, threshold=20.0):
    """Gradient of `softplus` at its input `x`."""
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
    """y = log σ(x) = -log(1 + e⁻ˣ); `x` and `out` as for `exp`."""
    return forward("logsigmoid", _logsigmoid, x, out)


def logsigmoid_backward(dy, x):
    """Gradient of `logsigmoid` at its input `x`."""
    return backward("logsigmoid_backward", _logsigmoid_backward, dy, "x", x)


VARIANTS = {
    "exp": {"naive": exp_naive, "fast": _exp.serial},
    "elu": {"naive": elu_naive, "fast": _elu.serial},
    "selu": {"naive": selu_naive, "fast": _selu.serial},
    "celu": {"naive": celu_naive, "fast": _celu.serial},
    "softplus": {"naive": softplus_naive, "fast": _softplus.serial},
    "logsigmoid": {"naive": logsigmoid_naive, "fast": _logsigmoid.serial},
}
