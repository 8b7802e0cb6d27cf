r"""Piecewise linear activations.

    relu          y = max(x, 0)                        dx = dy where y > 0, else 0
    leaky_relu    y = x where x > 0, else slope x      dx = dy where x > 0, else slope dy
    hardtanh      y = min(max(x, low), high)           dx = dy where low < x < high, else 0
    hardswish     y = x min(max(x + 3, 0), 6) / 6      dx = dy (x / 3 + 1/2) where -3 < x < 3, 0 below, dy above
    hardsigmoid   y = min(max(x + 3, 0), 6) / 6        dx = dy / 6 where -3 < x < 3, else 0

An element costs one to four FLOPs and moves 8 bytes forward, 12 backward (float32): the speed is the memory's.
relu keeps y for its backward, so x may be overwritten; the others keep x.
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

    Raises
    ------
    TypeError, ValueError
        If `x` is not such an array, or `out` does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import relu
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return forward("relu", _relu, x, out)


def relu_backward(dy, y):
    """Gradient of `relu` at its output `y`."""
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
    """y = x where x > 0, else negative_slope * x; `x` and `out` as for `relu`."""
    return forward("leaky_relu", _leaky_relu, x, out, float(negative_slope))


def leaky_relu_backward(dy, x, negative_slope=0.01):
    """Gradient of `leaky_relu` at its input `x`."""
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
    """y = min(max(x, min_val), max_val); `x` and `out` as for `relu`. ValueError where min_val exceeds max_val."""
    return forward("hardtanh", _hardtanh, x, out, *_bounds("hardtanh", min_val, max_val))


def hardtanh_backward(dy, x, min_val=-1.0, max_val=1.0):
    """Gradient of `hardtanh` at its input `x`: 0 on the bounds themselves."""
    bounds = _bounds("hardtanh_backward", min_val, max_val)
    return backward("hardtanh_backward", _hardtanh_backward, dy, "x", x, *bounds)


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
    """y = min(max(x + 3, 0), 6) / 6; `x` and `out` as for `relu`."""
    return forward("hardsigmoid", _hardsigmoid, x, out)


def hardsigmoid_backward(dy, x):
    """Gradient of `hardsigmoid` at its input `x`."""
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
    """y = x min(max(x + 3, 0), 6) / 6; `x` and `out` as for `relu`."""
    return forward("hardswish", _hardswish, x, out)


def hardswish_backward(dy, x):
    """Gradient of `hardswish` at its input `x`."""
    return backward("hardswish_backward", _hardswish_backward, dy, "x", x)


VARIANTS = {
    "relu": {"naive": relu_naive, "fast": _relu.serial},
    "leaky_relu": {"naive": leaky_relu_naive, "fast": _leaky_relu.serial},
    "hardtanh": {"naive": hardtanh_naive, "fast": _hardtanh.serial},
    "hardsigmoid": {"naive": hardsigmoid_naive, "fast": _hardsigmoid.serial},
    "hardswish": {"naive": hardswish_naive, "fast": _hardswish.serial},
}
