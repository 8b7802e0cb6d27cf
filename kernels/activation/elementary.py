r"""Elementary functions that are no activations, but whose vectors are of the same kind.

    expm1    y = eˣ - 1                   dx = dy (y + 1)
    log1p    y = log(1 + x)               dx = dy / (1 + x)
    rsqrt    y = 1 / √x                   dx = -dy y³ / 2

Maximum errors in units of the last place, float32 and float64: expm1 2, log1p 1.5, rsqrt 1. An element
moves 8 bytes forward and 12 backward (float32) and costs 5 to 40 FLOPs. expm1 and rsqrt save y for their backward,
log1p x.
"""

import numpy as np

from kernels import simd
from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.activation import special

# --- expm1 ------------------------------------------------------------------------------------------------------------


@jit
def expm1_naive(x, out):
    for i in range(x.size):
        out[i] = np.expm1(x[i])


@jit(inline=True)
def expm1_lanes(x):
    return special.expm1(x)


@jit(inline=True)
def expm1_backward_lanes(dy, y):
    return dy * (y + 1.0)


_expm1, _expm1_backward = unary(expm1_lanes), binary(expm1_backward_lanes)


def expm1(x, *, out=None):
    """y = eˣ - 1, without cancellation near 0.

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
    >>> from kernels import expm1
    >>> expm1(np.array([-np.inf, 1e-10]))
    array([-1.e+00,  1.e-10])
    """
    return forward("expm1", _expm1, x, out)


def expm1_backward(dy, y):
    """Gradient of `expm1` with respect to its input, from its output `y`.

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
    >>> from kernels import expm1_backward
    >>> expm1_backward(np.ones(2), np.array([-1.0, 0.5]))
    array([0. , 1.5])
    """
    return backward("expm1_backward", _expm1_backward, dy, "y", y)


# --- log1p ------------------------------------------------------------------------------------------------------------


@jit
def log1p_naive(x, out):
    for i in range(x.size):
        out[i] = np.log1p(x[i])


@jit(inline=True)
def log1p_lanes(x):
    return simd.log1p(x)


@jit(inline=True)
def log1p_backward_lanes(dy, x):
    return dy / (x + 1.0)


_log1p, _log1p_backward = unary(log1p_lanes), binary(log1p_backward_lanes)


def log1p(x, *, out=None):
    """y = log(1 + x), without cancellation near 0.

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
    >>> from kernels import log1p
    >>> log1p(np.array([-1.0, 1e-10]))
    array([  -inf, 1.e-10])
    """
    return forward("log1p", _log1p, x, out)


def log1p_backward(dy, x):
    """Gradient of `log1p` with respect to its input `x`.

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
    >>> from kernels import log1p_backward
    >>> log1p_backward(np.ones(2), np.array([0.0, 1.0]))
    array([1. , 0.5])
    """
    return backward("log1p_backward", _log1p_backward, dy, "x", x)


# --- rsqrt ------------------------------------------------------------------------------------------------------------


@jit
def rsqrt_naive(x, out):
    for i in range(x.size):
        out[i] = 1 / np.sqrt(x[i])


@jit(inline=True, fastmath=False)
def rsqrt_lanes(x):
    return 1.0 / simd.sqrt(x)


@jit(inline=True, fastmath=False)
def rsqrt_backward_lanes(dy, y):
    return -0.5 * dy * y * y * y  # from the left: y³ overflows where the product does not


_rsqrt, _rsqrt_backward = unary(rsqrt_lanes), binary(rsqrt_backward_lanes)


def rsqrt(x, *, out=None):
    """y = 1 / √x: infinite for 0, NaN for negative x.

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
    >>> from kernels import rsqrt
    >>> rsqrt(np.array([0.25, 4.0]))
    array([2. , 0.5])
    """
    return forward("rsqrt", _rsqrt, x, out)


def rsqrt_backward(dy, y):
    """Gradient of `rsqrt` with respect to its input, from its output `y`.

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
    >>> from kernels import rsqrt_backward
    >>> rsqrt_backward(np.ones(2), np.array([2.0, 0.5]))
    array([-4.    , -0.0625])
    """
    return backward("rsqrt_backward", _rsqrt_backward, dy, "y", y)


VARIANTS = {
    "expm1": {"naive": expm1_naive, "fast": _expm1.serial},
    "log1p": {"naive": log1p_naive, "fast": _log1p.serial},
    "rsqrt": {"naive": rsqrt_naive, "fast": _rsqrt.serial},
}
