r"""Power-average pooling: the root of the sum of the powers of each window.

    y = (sum_k x[k] ** p) ** (1 / p)          dx[i] = sum over the windows of dy * y ** (1 - p) * x[i] ** (p - 1)

It is an average pool of powers, times the size of a window, as PyTorch has it: with `ceil_mode`, a window that reaches
beyond the input is therefore weighted as if it were whole. Negative elements keep their sign: for p = 1 it is a sum,
and NaN where the root of a negative sum or the power of a negative element does not exist. The gradient of a window
with y = 0 is 0. For p = inf it is a max pool of magnitudes.

Powers overflow or underflow in float32 long before their roots do. The pass that computes them checks for elements so
large or so small; if there are any, everything is done in float64.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels.pooling import places
from kernels.pooling.average import run_average
from kernels.pooling.average_loops import (
    avg_pool_backward_lines,
    avg_pool_backward_naive,
    avg_pool_lines,
    avg_pool_naive,
)
from kernels.pooling.maximum import run_max
from kernels.pooling.rows import over_lines
from kernels.pooling.windows import gradient, grain_and_threads, windows


@jit(inline=True)
def _power(x, p):
    if p == 2:
        return x * x
    return x if p == 1 else x**p


# Where a magnitude other than 0 is not from `smallest` to `largest`, a loop sets far[0].


@jit(inline=True)
def _is_outside(x, smallest, largest):
    size = abs(x)
    return (size > largest) | ((size < smallest) & (size > 0))


@jit
def _power_lines(start, stop, arguments):
    """``y[i] = x[i] ** p``"""
    x, p, y, smallest, largest, far = arguments
    outside = 0
    for i in range(start, stop):
        outside |= _is_outside(x[i], smallest, largest)
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
def _factor_lines(start, stop, arguments):
    """``g[i] = factor * dy[i] * y[i] ** (1 - p)``, 0 where y is 0."""
    dy, y, p, factor, g, smallest, largest, far = arguments
    outside = 0
    for i in range(start, stop):
        outside |= _is_outside(dy[i], smallest, largest)
        product = dy[i] / y[i] if p == 2 else dy[i] * y[i] ** (y.dtype.type(1) - p)
        g[i] = g.dtype.type(0) if y[i] == 0 else product * factor
    if outside:
        far[0] = True


@jit
def _times_power_lines(start, stop, arguments):
    """``dx[i] *= x[i] ** (p - 1)``"""
    dx, x, p, smallest, largest, far = arguments
    outside = 0
    for i in range(start, stop):
        outside |= _is_outside(x[i], smallest, largest)
        dx[i] *= x[i] if p == 2 else _power(x[i], p - x.dtype.type(1)) if p != 1 else x.dtype.type(1)
    if outside:
        far[0] = True


_powers, _roots, _factors, _times_powers = map(
    over_lines, (_power_lines, _root_lines, _factor_lines, _times_power_lines)
)


def lp_pool1d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Root of the sum of the powers of each window over the last dimension.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)`` or ``(C, L)``; N and C may be 0.
    norm_type, kernel_size, stride, ceil_mode
        As of `lp_pool2d`.

    Returns
    -------
    ndarray
        Shape ``(N, C, OL)`` or ``(C, OL)``.

    Raises
    ------
    TypeError, ValueError
        As `lp_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lp_pool1d
    >>> lp_pool1d(np.array([[3.0, 4.0, 5.0, 12.0]]), 2, 2)
    array([[ 5., 13.]])
    """
    return _lp_pool("lp_pool1d", 1, x, norm_type, (kernel_size, stride, 0, 1, ceil_mode))


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
    >>> from kernels import lp_pool2d
    >>> lp_pool2d(np.array([[[3.0, 4.0]]]), 2, (1, 2))
    array([[[5.]]])
    """
    return _lp_pool("lp_pool2d", 2, x, norm_type, (kernel_size, stride, 0, 1, ceil_mode))


def lp_pool3d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Root of the sum of the powers of each window over the last three dimensions.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)`` or ``(C, D, H, W)``; N and C may be 0.
    norm_type, kernel_size, stride, ceil_mode
        As of `lp_pool2d`.

    Returns
    -------
    ndarray
        Shape ``(N, C, OD, OH, OW)`` or ``(C, OD, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `lp_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lp_pool3d
    >>> lp_pool3d(np.array([[[[3.0, 4.0]]]]), 2, (1, 1, 2))
    array([[[[5.]]]])
    """
    return _lp_pool("lp_pool3d", 3, x, norm_type, (kernel_size, stride, 0, 1, ceil_mode))


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


def _lp_pool(operation, dims, x, norm_type, sizes):
    x = _checks.floats(operation, "x", x)
    w = windows(operation, x.shape, dims, *sizes)
    p = _exponent(operation, norm_type, x.dtype)
    if p == math.inf:
        return run_max(np.abs(x), w, False)
    powers, y, far = np.empty(w.source, x.dtype), _checks.new(w.shape, x.dtype), np.zeros(1, bool)
    arguments = x.reshape(-1), p, powers.reshape(-1), *_bounds(p, x.dtype, 0.9), far
    _powers(arguments, x.size, *grain_and_threads(x.size, x.size))
    if far[0] and x.dtype == _checks.FLOAT32:
        wide = _lp_pool(operation, dims, x.astype(_checks.FLOAT64), norm_type, sizes)
        return _narrowed(wide)
    run_average(avg_pool_lines, avg_pool_naive, (powers, y.reshape(w.result)), w)
    _roots((y.reshape(-1), p, x.dtype.type(math.prod(w.kernel))), y.size, *grain_and_threads(y.size, y.size))
    return y


def _narrowed(wide):
    with np.errstate(over="ignore", under="ignore"):
        return wide.astype(_checks.FLOAT32)


def lp_pool1d_backward(dy, x, y, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Gradient of `lp_pool1d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    x, norm_type, kernel_size, stride, ceil_mode
        The forward's arguments.
    y : array
        The forward's result.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        As `lp_pool1d`; also if `dy` or `y` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lp_pool1d, lp_pool1d_backward
    >>> x = np.array([[3.0, 4.0]])
    >>> y = lp_pool1d(x, 2, 2)
    >>> lp_pool1d_backward(np.ones_like(y), x, y, 2, 2).ravel()
    array([0.6, 0.8])
    """
    sizes = kernel_size, stride, 0, 1, ceil_mode
    return _lp_pool_backward("lp_pool1d_backward", 1, dy, x, y, norm_type, sizes)


def lp_pool2d_backward(dy, x, y, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Gradient of `lp_pool2d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    x, norm_type, kernel_size, stride, ceil_mode
        The forward's arguments.
    y : array
        The forward's result.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        As `lp_pool2d`; also if `dy` or `y` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lp_pool2d, lp_pool2d_backward
    >>> x = np.array([[[3.0, 4.0]]])
    >>> y = lp_pool2d(x, 2, (1, 2))
    >>> lp_pool2d_backward(np.ones_like(y), x, y, 2, (1, 2)).ravel()
    array([0.6, 0.8])
    """
    sizes = kernel_size, stride, 0, 1, ceil_mode
    return _lp_pool_backward("lp_pool2d_backward", 2, dy, x, y, norm_type, sizes)


def lp_pool3d_backward(dy, x, y, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Gradient of `lp_pool3d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    x, norm_type, kernel_size, stride, ceil_mode
        The forward's arguments.
    y : array
        The forward's result.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        As `lp_pool3d`; also if `dy` or `y` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lp_pool3d, lp_pool3d_backward
    >>> x = np.array([[[[3.0, 4.0]]]])
    >>> y = lp_pool3d(x, 2, (1, 1, 2))
    >>> lp_pool3d_backward(np.ones_like(y), x, y, 2, (1, 1, 2)).ravel()
    array([0.6, 0.8])
    """
    sizes = kernel_size, stride, 0, 1, ceil_mode
    return _lp_pool_backward("lp_pool3d_backward", 3, dy, x, y, norm_type, sizes)


def _lp_pool_backward(operation, dims, dy, x, y, norm_type, sizes):
    x, y = _checks.floats(operation, "x", x), _checks.floats(operation, "y", y)
    w = windows(operation, x.shape, dims, *sizes)
    dy = gradient(operation, dy, w.shape)
    gradient(operation, y, w.shape)
    _checks.same_dtype(operation, dy=dy, x=x, y=y)
    p = _exponent(operation, norm_type, x.dtype)
    if p == math.inf:
        return _largest_backward(operation, dims, dy, x, w)
    factors, dx = np.empty(w.result, x.dtype), _checks.new(x.shape, x.dtype)
    factor = x.dtype.type(math.prod(w.kernel))
    # a product of three, each of which may go a part of the way to overflow
    far, bounds, bounds_dy = np.zeros(1, bool), _bounds(p, x.dtype, 0.45), _bounds(-1.0, x.dtype, 0.45)
    arguments = dy.reshape(-1), y.reshape(-1), p, factor, factors.reshape(-1), *bounds_dy, far
    _factors(arguments, dy.size, *grain_and_threads(dy.size, dy.size))
    run_average(avg_pool_backward_lines, avg_pool_backward_naive, (factors, dx.reshape(w.source)), w)
    _times_powers((dx.reshape(-1), x.reshape(-1), p, *bounds, far), x.size, *grain_and_threads(x.size, x.size))
    if far[0] and p != 1 and x.dtype == _checks.FLOAT32:
        wide = (array.astype(_checks.FLOAT64) for array in (dy, x, y))
        return _narrowed(_lp_pool_backward(operation, dims, *wide, norm_type, sizes))
    return dx


def _largest_backward(operation, dims, dy, x, w):
    """Each dy goes to the element of the largest magnitude, with its sign."""
    _, indices = run_max(np.abs(x), w, True)
    dx = places.scatter(operation, dy, indices, x.shape, dims)
    dx *= np.sign(x)
    return dx
