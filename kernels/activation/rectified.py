r"""Rectifiers: piecewise linear activations.

    relu          y = max(x, 0)                        dx = dy where y > 0, else 0
    leaky_relu    y = x where x > 0, else α x          dx = dy where x > 0, else α dy,    α = negative_slope
    hardtanh      y = min(max(x, low), high)           dx = dy where low < x < high, else 0

An element costs one or two FLOPs and moves 8 bytes forward, 12 backward (float32), so memory is the limit. relu saves y
for its backward, so x may be overwritten; the others save x.
"""

from kernels._elementwise import backward, binary, forward, unary
from kernels._jit import jit
from kernels.simd import maximum, minimum, select

# --- relu -------------------------------------------------------------------------------------------------------------


@jit
def relu_naive(x, out):
    for i in range(x.size):
        out[i] = 0 if x[i] < 0 else x[i]  # a NaN is not below 0 and stays


@jit(inline=True)
def relu_lanes(x):
    return maximum(x, 0.0)


@jit(inline=True)
def relu_backward_lanes(dy, y):
    return select(y <= 0.0, 0.0, dy)


_relu, _relu_backward = unary(relu_lanes), binary(relu_backward_lanes)


def relu(x, *, out=None):
    """y = max(x, 0); a NaN stays NaN.

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
    >>> from kernels import relu
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return forward("relu", _relu, x, out)


def relu_backward(dy, y):
    """Gradient of `relu` with respect to its input, from its output `y`: dy where y > 0, else 0.

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
    >>> from kernels import relu_backward
    >>> relu_backward(np.ones(3), np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return backward("relu_backward", _relu_backward, dy, "y", y)


# --- leaky_relu -------------------------------------------------------------------------------------------------------


@jit
def leaky_relu_naive(x, out, negative_slope=0.01):
    for i in range(x.size):
        out[i] = x[i] if x[i] > 0 else negative_slope * x[i]


@jit(inline=True)
def leaky_relu_lanes(x, negative_slope):
    return select(x > 0.0, x, x * negative_slope)


@jit(inline=True)
def leaky_relu_backward_lanes(dy, x, negative_slope):
    return select(x > 0.0, dy, dy * negative_slope)


_leaky_relu, _leaky_relu_backward = unary(leaky_relu_lanes, 1), binary(leaky_relu_backward_lanes, 1)


def leaky_relu(x, negative_slope=0.01, *, out=None):
    """y = x where x > 0, else negative_slope * x.

    Parameters
    ----------
    x : array, float32 or float64, any shape
    negative_slope : float, default 0.01
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
    >>> from kernels import leaky_relu
    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    return forward("leaky_relu", _leaky_relu, x, out, float(negative_slope))


def leaky_relu_backward(dy, x, negative_slope=0.01):
    """Gradient of `leaky_relu` with respect to its input `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    negative_slope
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
    >>> from kernels import leaky_relu_backward
    >>> leaky_relu_backward(np.ones(2), np.array([-1.0, 2.0]))
    array([0.01, 1.  ])
    """
    return backward("leaky_relu_backward", _leaky_relu_backward, dy, "x", x, float(negative_slope))


# --- hardtanh ---------------------------------------------------------------------------------------------------------


@jit
def hardtanh_naive(x, out, min_val=-1.0, max_val=1.0):
    for i in range(x.size):
        out[i] = min_val if x[i] < min_val else max_val if x[i] > max_val else x[i]


@jit(inline=True)
def hardtanh_lanes(x, min_val, max_val):
    return minimum(maximum(x, min_val), max_val)


@jit(inline=True)
def hardtanh_backward_lanes(dy, x, min_val, max_val):
    return select((x > min_val) & (x < max_val), dy, 0.0)


_hardtanh, _hardtanh_backward = unary(hardtanh_lanes, 2), binary(hardtanh_backward_lanes, 2)


def _bounds(operation, min_val, max_val):
    if not min_val <= max_val:
        raise ValueError(f"{operation}: min_val must not exceed max_val: they are {min_val} and {max_val}")
    return float(min_val), float(max_val)


def hardtanh(x, min_val=-1.0, max_val=1.0, *, out=None):
    """y = min(max(x, min_val), max_val).

    Parameters
    ----------
    x : array, float32 or float64, any shape
    min_val, max_val : float, default -1 and 1
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
        read-only, or overlaps `x` without being the same memory; if `min_val` exceeds
        `max_val`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import hardtanh
    >>> hardtanh(np.array([-2.0, 0.5]))
    array([-1. ,  0.5])
    """
    return forward("hardtanh", _hardtanh, x, out, *_bounds("hardtanh", min_val, max_val))


def hardtanh_backward(dy, x, min_val=-1.0, max_val=1.0):
    """Gradient of `hardtanh` with respect to its input `x`: 0 on the bounds themselves.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    min_val, max_val
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, dtypes or shapes differ, or `min_val` exceeds `max_val`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import hardtanh_backward
    >>> hardtanh_backward(np.ones(2), np.array([-2.0, 0.5]))
    array([0., 1.])
    """
    bounds = _bounds("hardtanh_backward", min_val, max_val)
    return backward("hardtanh_backward", _hardtanh_backward, dy, "x", x, *bounds)


VARIANTS = {
    "relu": {"naive": relu_naive, "fast": _relu.serial},
    "leaky_relu": {"naive": leaky_relu_naive, "fast": _leaky_relu.serial},
    "hardtanh": {"naive": hardtanh_naive, "fast": _hardtanh.serial},
}
