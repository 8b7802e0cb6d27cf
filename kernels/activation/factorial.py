r"""The logarithm of the gamma function, and its derivatives.

    lgamma     y = log |Γ(x)|              dx = dy ψ(x)
    digamma    y = ψ(x) = Γ'(x) / Γ(x)     dx = dy ψ'(x)

One element after the other, in float64: ψ and ψ' of small x by their recurrences ψ(x) = ψ(x + 1) - 1 / x, of negative x
by reflection, of large x by their asymptotic series (Abramowitz and Stegun [1]_, 6.3 and 6.4). The error of a float64
result is some units of the last place, but near the zero of ψ, where it is absolute; a float32 result is rounded
correctly almost always. Some 100 FLOPs an element, so the bytes do not matter.

.. [1] M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", 1964.
"""

import math

import numpy as np

from kernels._elementwise import ZERO, Loops, _are_contiguous, _is_contiguous, backward, forward
from kernels._jit import jit
from kernels._parallel import parallel_for

TASK = 2**9  # elements of a task, some 10 us of work
LARGE = 15.0  # from here on the last term of the series is below half a unit in the last place
# Bernoulli numbers over 2k, and themselves: k = 6 ... 1
DIGAMMA = (-691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12)
TRIGAMMA = (-691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6)


@jit(inline=True, fastmath=False)
def _series(z, coefficients):
    """``z * (coefficients[-1] + z * (...))``"""
    total = 0.0
    for coefficient in coefficients:
        total = total * z + coefficient
    return total * z


@jit(fastmath=False)
def _digamma(x):
    if x == 0.0:
        return math.copysign(math.inf, -x)
    result = 0.0
    if x < 0.0:
        rest = x - math.trunc(x) if x > -(2.0**60) else 0.0
        if rest == 0.0:
            return math.nan
        result, x = -math.pi / math.tan(math.pi * rest), 1.0 - x
    while x < LARGE:
        result -= 1.0 / x
        x += 1.0
    return result + (math.log(x) - 0.5 / x - _series(1.0 / x / x, DIGAMMA))


@jit(fastmath=False)
def _trigamma(x):
    result, sign = 0.0, 1.0
    if x < 0.5:
        sine = math.sin(math.pi * (x - np.rint(x))) if x > -(2.0**60) else 0.0
        if sine == 0.0:
            return math.inf if x > -math.inf else math.nan
        result, sign, x = -((math.pi / sine) ** 2), -1.0, 1.0 - x
    while x < LARGE:
        result += 1.0 / (x * x)
        x += 1.0
    return sign * (result + (1.0 + 0.5 / x + _series(1.0 / x / x, TRIGAMMA)) / x)


@jit(fastmath=False)
def _lgamma(x):
    return math.inf if math.isinf(x) or (x <= 0.0 and x == math.floor(x)) else math.lgamma(x)


def _unary(function):
    """Loops of ``out[i] = function(x[i])``, in float64."""

    @jit
    def loop(first, last, x, out):
        for i in range(first, last):
            out[i] = function(np.float64(x[i]))

    @jit
    def serial(x, out):
        if not _is_contiguous(x):
            return False
        loop(ZERO, out.size, x, out)
        return True

    @jit
    def large(sources, out, parameters, streaming, threads):
        (x,) = sources
        parallel_for(loop, out.size, TASK, threads, (x, out))

    return Loops(serial, large, 1, 0)


def _binary(derivative):
    """Loops of ``out[i] = dy[i] * derivative(x[i])``, in float64."""

    @jit
    def loop(first, last, dy, x, out):
        for i in range(first, last):
            out[i] = np.float64(dy[i]) * derivative(np.float64(x[i]))

    @jit
    def serial(dy, x, out):
        if not _are_contiguous(dy, x):
            return False
        loop(ZERO, out.size, dy, x, out)
        return True

    @jit
    def large(sources, out, parameters, streaming, threads):
        dy, x = sources
        parallel_for(loop, out.size, TASK, threads, (dy, x, out))

    return Loops(serial, large, 2, 0)


_lgamma_loops, _lgamma_backward = _unary(_lgamma), _binary(_digamma)
_digamma_loops, _digamma_backward = _unary(_digamma), _binary(_trigamma)


@jit
def lgamma_naive(x, out):
    for i in range(x.size):
        out[i] = _lgamma(x[i])


@jit
def digamma_naive(x, out):
    for i in range(x.size):
        out[i] = _digamma(x[i])


def lgamma(x, *, out=None):
    """y = log |Γ(x)|: infinite for 0, -1, -2, ...

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
        If `x` is not such an array, or `out` does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lgamma
    >>> lgamma(np.array([1.0, 5.0]))
    array([0.        , 3.17805383])
    """
    return forward("lgamma", _lgamma_loops, x, out)


def lgamma_backward(dy, x):
    """Gradient of `lgamma` with respect to its input `x`.

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
    >>> from kernels import lgamma_backward
    >>> lgamma_backward(np.ones(2), np.array([1.0, 2.0]))
    array([-0.57721566,  0.42278434])
    """
    return backward("lgamma_backward", _lgamma_backward, dy, "x", x)


def digamma(x, *, out=None):
    """y = ψ(x), the derivative of log Γ(x): NaN for -1, -2, ..., infinite for 0.

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
        If `x` is not such an array, or `out` does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import digamma
    >>> digamma(np.array([1.0, 2.0]))
    array([-0.57721566,  0.42278434])
    """
    return forward("digamma", _digamma_loops, x, out)


def digamma_backward(dy, x):
    """Gradient of `digamma` with respect to its input `x`.

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
    >>> from kernels import digamma_backward
    >>> digamma_backward(np.ones(1), np.array([1.0]))
    array([1.64493407])
    """
    return backward("digamma_backward", _digamma_backward, dy, "x", x)


VARIANTS = {
    "lgamma": {"naive": lgamma_naive, "fast": _lgamma_loops.serial},
    "digamma": {"naive": digamma_naive, "fast": _digamma_loops.serial},
}
