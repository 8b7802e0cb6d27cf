r"""Power-average pooling: the root of the sum of the powers of each window.

    y = (sum_k x[k] ** p) ** (1 / p)          dx[i] = sum over the windows of dy * y ** (1 - p) * x[i] ** (p - 1)

It is an average pool of powers, times the size of a window, as PyTorch has it: with `ceil_mode`, a window that reaches
beyond the input is therefore weighted as if it were whole. Negative elements keep their sign: for p = 1 it is a sum,
and NaN where the root of a negative sum or the power of a negative element does not exist. The gradient of a window
with y = 0 is 0. For p = inf it is a max pool of magnitudes.

Powers leave float32 long before their roots do. The pass that takes them sees whether there are elements so large or so
small; if so, all is done in float64.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels.pooling import places
from kernels.pooling.average import (
    avg_pool_backward_lines,
    avg_pool_backward_naive,
    avg_pool_lines,
    avg_pool_naive,
    run_average,
)
from kernels.pooling.maximum import run_max
from kernels.pooling.rows import over_lines
from kernels.pooling.windows import gradient, grain_and_threads, windows


@jit(inline=True)
def _power(x, p):
    if p == 2:
        return x * x
    return x if p == 1 else x**p


# Where a magnitude other than 0 is not from `least` to `most`, a loop sets far[0].


@jit(inline=True)
def _is_outside(x, least, most):
    size = abs(x)
    return (size > most) | ((size < least) & (size > 0))


@jit
def _power_lines(start, stop, arguments):
    """``y[i] = x[i] ** p``"""
    x, p, y, least, most, far = arguments
    outside = 0
    for i in range(start, stop):
        outside |= _is_outside(x[i], least, most)
        y[i] = _power(x[i], p)
    if outside:
        far[0] = True


@jit
def _root_lines(start, stop, arguments):
    """``y[i] = (factor * y[i]) ** (1 / p)``"""
    y, p, factor = arguments
    root = y.dtype.type(1) / p
    for i in range(start, stop):
        value = y[i] * factor
        y[i] = np.sqrt(value) if p == 2 else value if p == 1 else value**root


@jit
def _slope_lines(start, stop, arguments):
    """``g[i] = factor * dy[i] * y[i] ** (1 - p)``, 0 where y is 0."""
    dy, y, p, factor, g, least, most, far = arguments
    outside = 0
    for i in range(start, stop):
        outside |= _is_outside(dy[i], least, most)
        slope = dy[i] / y[i] if p == 2 else dy[i] * y[i] ** (y.dtype.type(1) - p)
        g[i] = g.dtype.type(0) if y[i] == 0 else slope * factor
    if outside:
        far[0] = True


@jit
def _times_power_lines(start, stop, arguments):
    """``dx[i] *= x[i] ** (p - 1)``"""
    dx, x, p, least, most, far = arguments
    outside = 0
    for i in range(start, stop):
        outside |= _is_outside(x[i], least, most)
        dx[i] *= x[i] if p == 2 else _power(x[i], p - x.dtype.type(1)) if p != 1 else x.dtype.type(1)
    if outside:
        far[0] = True


_powers, _roots, _slopes, _times_powers = map(over_lines, (_power_lines, _root_lines, _slope_lines, _times_power_lines))


def lp_pool1d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """`lp_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _lp_pool("lp_pool1d", 1, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Root of the sum of the powers of each window.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    norm_type : float
        The exponent p, not 0: 1 for a sum, 2 for the Euclidean norm, inf for the largest magnitude.
    kernel_size, stride, ceil_mode
        As of `max_pool2d`.

    Returns
    -------
    ndarray
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; also for another `norm_type`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lp_pool1d
    >>> lp_pool1d(np.array([[3.0, 4.0, 5.0, 12.0]]), 2, 2)
    array([[ 5., 13.]])
    """
    return _lp_pool("lp_pool2d", 2, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """`lp_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _lp_pool("lp_pool3d", 3, x, norm_type, kernel_size, stride, ceil_mode)


def _exponent(operation, norm_type, dtype):
    if not isinstance(norm_type, (int, float, np.number)) or isinstance(norm_type, bool):
        raise TypeError(f"{operation}: norm_type must be a number, got {norm_type!r}")
    if not -math.inf < norm_type or norm_type == 0:  # a NaN, too
        raise ValueError(f"{operation}: norm_type must be inf, or finite and not 0, got {norm_type}")
    return dtype.type(norm_type)


def _bounds(p, dtype, part):
    """Magnitudes whose powers reach at most this part of the way to overflow or underflow."""
    if p == 1:  # nothing is raised to a power
        return dtype.type(0), dtype.type(math.inf)
    far = float(np.finfo(dtype).max) ** (part / max(abs(float(p)), 1.0))
    return dtype.type(1 / far), dtype.type(far)


def _lp_pool(operation, dims, x, norm_type, kernel_size, stride, ceil_mode):
    x = _checks.floats(operation, "x", x)
    w = windows(operation, x.shape, dims, kernel_size, stride, 0, 1, ceil_mode)
    p = _exponent(operation, norm_type, x.dtype)
    if p == math.inf:
        return run_max(np.abs(x), w, False)
    powers, y, far = np.empty(w.source, x.dtype), _checks.new(w.shape, x.dtype), np.zeros(1, bool)
    arguments = x.reshape(-1), p, powers.reshape(-1), *_bounds(p, x.dtype, 0.9), far
    _powers(arguments, x.size, *grain_and_threads(x.size, x.size))
    if far[0] and x.dtype == _checks.FLOAT32:
        wide = _lp_pool(operation, dims, x.astype(_checks.FLOAT64), norm_type, kernel_size, stride, ceil_mode)
        return _narrowed(wide)
    run_average(avg_pool_lines, avg_pool_naive, powers, w, True, 0, y.reshape(w.result))
    _roots((y.reshape(-1), p, x.dtype.type(math.prod(w.kernel))), y.size, *grain_and_threads(y.size, y.size))
    return y


def _narrowed(wide):
    with np.errstate(over="ignore", under="ignore"):
        return wide.astype(_checks.FLOAT32)


def lp_pool1d_backward(dy, x, y, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Gradient of `lp_pool1d`; see `lp_pool2d_backward`."""
    return _lp_pool_backward("lp_pool1d_backward", 1, dy, x, y, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d_backward(dy, x, y, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Gradient of `lp_pool2d` with respect to `x`; `y` is the forward's result.

    Raises
    ------
    TypeError, ValueError
        As `lp_pool2d`; also if `dy` or `y` has not the shape of the result.
    """
    return _lp_pool_backward("lp_pool2d_backward", 2, dy, x, y, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d_backward(dy, x, y, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Gradient of `lp_pool3d`; see `lp_pool2d_backward`."""
    return _lp_pool_backward("lp_pool3d_backward", 3, dy, x, y, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool_backward(operation, dims, dy, x, y, norm_type, kernel_size, stride, ceil_mode):
    x, y = _checks.floats(operation, "x", x), _checks.floats(operation, "y", y)
    w = windows(operation, x.shape, dims, kernel_size, stride, 0, 1, ceil_mode)
    dy = gradient(operation, dy, w.shape)
    gradient(operation, y, w.shape)
    _checks.same_dtype(operation, dy=dy, x=x, y=y)
    p = _exponent(operation, norm_type, x.dtype)
    if p == math.inf:
        return _largest_backward(operation, dims, dy, x, kernel_size, stride, ceil_mode, w)
    slopes, dx = np.empty(w.result, x.dtype), _checks.new(x.shape, x.dtype)
    factor = x.dtype.type(math.prod(w.kernel))
    # a product of three, each of which may go a part of the way to overflow
    far, bounds, bounds_dy = np.zeros(1, bool), _bounds(p, x.dtype, 0.45), _bounds(-1.0, x.dtype, 0.45)
    arguments = dy.reshape(-1), y.reshape(-1), p, factor, slopes.reshape(-1), *bounds_dy, far
    _slopes(arguments, dy.size, *grain_and_threads(dy.size, dy.size))
    run_average(avg_pool_backward_lines, avg_pool_backward_naive, slopes, w, True, 0, dx.reshape(w.source))
    _times_powers((dx.reshape(-1), x.reshape(-1), p, *bounds, far), x.size, *grain_and_threads(x.size, x.size))
    if far[0] and p != 1 and x.dtype == _checks.FLOAT32:
        wide = (array.astype(_checks.FLOAT64) for array in (dy, x, y))
        return _narrowed(_lp_pool_backward(operation, dims, *wide, norm_type, kernel_size, stride, ceil_mode))
    return dx


def _largest_backward(operation, dims, dy, x, kernel_size, stride, ceil_mode, w):
    """Each dy goes to the element of the largest magnitude, with its sign."""
    _, indices = run_max(np.abs(x), w, True)
    dx = places.scatter(operation, dy, indices, x.shape, dims)
    dx *= np.sign(x)
    return dx
