r"""Piecewise approximations of sigmoid and silu.

    hardsigmoid   y = min(max(x + 3, 0), 6) / 6        dx = dy / 6 where -3 < x < 3, else 0
    hardswish     y = x min(max(x + 3, 0), 6) / 6      dx = dy (x / 3 + 1/2) where -3 < x < 3, 0 below, dy above

An element costs up to four FLOPs and moves 8 bytes forward, 12 backward (float32), so memory is the limit. Both save x
for their backward.
"""

from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.simd import maximum, minimum, select

# --- hardsigmoid ------------------------------------------------------------------------------------------------------


@jit
def hardsigmoid_naive(x, out):
    for i in range(x.size):
        out[i] = min(max(x[i] + 3, 0), 6) / 6


@jit(inline=True)
def hardsigmoid_lanes(x):
    return minimum(maximum(x + 3.0, 0.0), 6.0) * (1 / 6)


@jit(inline=True)
def hardsigmoid_backward_lanes(dy, x):
    return select((x > -3.0) & (x < 3.0), dy * (1 / 6), 0.0)


_hardsigmoid, _hardsigmoid_backward = unary(hardsigmoid_lanes), binary(hardsigmoid_backward_lanes)


def hardsigmoid(x, *, out=None):
    """y = min(max(x + 3, 0), 6) / 6.

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
    >>> from kernels import hardsigmoid
    >>> hardsigmoid(np.array([-3.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    return forward("hardsigmoid", _hardsigmoid, x, out)


def hardsigmoid_backward(dy, x):
    """Gradient of `hardsigmoid` with respect to its input `x`.

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
    >>> from kernels import hardsigmoid_backward
    >>> hardsigmoid_backward(np.ones(3), np.array([-3.0, 0.0, 1.5]))
    array([0.        , 0.16666667, 0.16666667])
    """
    return backward("hardsigmoid_backward", _hardsigmoid_backward, dy, "x", x)


# --- hardswish --------------------------------------------------------------------------------------------------------


@jit
def hardswish_naive(x, out):
    for i in range(x.size):
        out[i] = x[i] * min(max(x[i] + 3, 0), 6) / 6


@jit(inline=True)
def hardswish_lanes(x):
    return x * hardsigmoid_lanes(x)


@jit(inline=True)
def hardswish_backward_lanes(dy, x):
    inside = dy * (x * (1 / 3) + 0.5)
    return select(x <= -3.0, 0.0, select(x >= 3.0, dy, inside))


_hardswish, _hardswish_backward = unary(hardswish_lanes), binary(hardswish_backward_lanes)


def hardswish(x, *, out=None):
    """y = x min(max(x + 3, 0), 6) / 6.

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
    A. Howard et al., "Searching for MobileNetV3", 2019, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import hardswish
    >>> hardswish(np.array([-3.0, 0.0, 3.0]))
    array([-0.,  0.,  3.])
    """
    return forward("hardswish", _hardswish, x, out)


def hardswish_backward(dy, x):
    """Gradient of `hardswish` with respect to its input `x`.

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
    >>> from kernels import hardswish_backward
    >>> hardswish_backward(np.ones(3), np.array([-3.0, 0.0, 3.0]))
    array([0. , 0.5, 1. ])
    """
    return backward("hardswish_backward", _hardswish_backward, dy, "x", x)


VARIANTS = {
    "hardsigmoid": {"naive": hardsigmoid_naive, "fast": _hardsigmoid.serial},
    "hardswish": {"naive": hardswish_naive, "fast": _hardswish.serial},
}
