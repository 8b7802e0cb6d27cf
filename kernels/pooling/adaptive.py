"""Adaptive average pooling: the public functions; see `adaptive_loops`.

Where the number of windows divides the size, all windows have one size, and the loops are those of the other poolings.
"""

import math

from kernels import _checks
from kernels.pooling.adaptive_loops import (
    adaptive_average,
    adaptive_spread,
    global_average,
    global_spread,
)
from kernels.pooling.average import run_average
from kernels.pooling.average_loops import (
    avg_pool_backward_lines,
    avg_pool_backward_naive,
    avg_pool_lines,
    avg_pool_naive,
)
from kernels.pooling.windows import check_size, gradient, grain_and_threads, numbers, planes_of, windows


def adaptive_avg_pool1d(x, output_size):
    """Averages of `output_size` windows that cover the last dimension.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)`` or ``(C, L)``; N and C may be 0.
    output_size : int
        As of `adaptive_avg_pool2d`, not None.

    Returns
    -------
    ndarray
        Shape ``(N, C, OL)`` or ``(C, OL)``.

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_avg_pool1d
    >>> adaptive_avg_pool1d(np.arange(3.0).reshape(1, 3), 2).ravel()
    array([0.5, 1.5])
    """
    return _average("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_avg_pool2d(x, output_size):
    """Averages of `output_size` windows that cover each plane.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    output_size : int, or tuple of (int or None)
        Height and width of the result; None keeps that of `x`. 1 is the global pool.

    Returns
    -------
    ndarray
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        Another dtype or number of dimensions; a size that is negative, another number of sizes, or None for all of
        them (and any None for the one size of `adaptive_avg_pool1d`).

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_avg_pool2d
    >>> adaptive_avg_pool2d(np.arange(9.0).reshape(1, 3, 3), (1, 2))
    array([[[3.5, 4.5]]])
    """
    return _average("adaptive_avg_pool2d", 2, x, output_size)


def adaptive_avg_pool3d(x, output_size):
    """Averages of `output_size` windows that cover the last three dimensions.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)`` or ``(C, D, H, W)``; N and C may be 0.
    output_size : int, or tuple of (int or None)
        As of `adaptive_avg_pool2d`.

    Returns
    -------
    ndarray
        Shape ``(N, C, OD, OH, OW)`` or ``(C, OD, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_avg_pool3d
    >>> adaptive_avg_pool3d(np.arange(3.0).reshape(1, 1, 1, 3), (1, 1, 2)).ravel()
    array([0.5, 1.5])
    """
    return _average("adaptive_avg_pool3d", 3, x, output_size)


def adaptive_sizes(operation, shape, dims, output_size):
    """Planes and sizes of input and result as three numbers each, and the result's shape."""
    planes = planes_of(operation, tuple(shape), dims)
    given = (output_size,) * dims
    if isinstance(output_size, (tuple, list)):
        if len(output_size) != dims:
            raise ValueError(f"{operation}: output_size must be an int or {dims} of them, got {output_size!r}")
        given = tuple(output_size)
        if dims > 1:
            given = tuple(n if size is None else size for size, n in zip(given, shape[-dims:], strict=True))
    out = numbers(operation, "output_size", given, dims, 0)
    result = (*shape[:-dims], *out)
    check_size(operation, result)
    ones = (1,) * (3 - dims)
    return planes, (planes, *ones, *shape[-dims:]), (planes, *ones, *out), result


def equal_windows(operation, source, result):
    """The sizes of a pooling whose windows are those of the adaptive one; None where they differ among themselves."""
    if any(n % o for n, o in zip(source[1:], result[1:], strict=True)):
        return None
    return windows(operation, source, 3, tuple(n // o for n, o in zip(source[1:], result[1:], strict=True)))


def _average(operation, dims, x, output_size):
    x = _checks.floats(operation, "x", x)
    planes, source, result, shape = adaptive_sizes(operation, x.shape, dims, output_size)
    y = _checks.new(shape, x.dtype)
    if not y.size:
        return y
    lines = math.prod(result[:3])
    work = lines, *grain_and_threads(lines, x.size + y.size)
    if y.size == planes:
        global_average((x.reshape(planes, -1), y.reshape(planes)), *work)
    elif w := equal_windows(operation, source, result):
        run_average(avg_pool_lines, avg_pool_naive, (x.reshape(source), y.reshape(result)), w)
    else:
        adaptive_average((x.reshape(source), y.reshape(result)), *work)
    return y


def adaptive_avg_pool1d_backward(dy, shape):
    """Gradient of `adaptive_avg_pool1d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        If `dy` cannot be the gradient of a pool of such an array.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_avg_pool1d_backward
    >>> adaptive_avg_pool1d_backward(np.ones((1, 2)), (1, 3)).ravel()
    array([0.5, 1. , 0.5])
    """
    return _average_backward("adaptive_avg_pool1d_backward", 1, dy, shape)


def adaptive_avg_pool2d_backward(dy, shape):
    """Gradient of `adaptive_avg_pool2d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        If `dy` cannot be the gradient of a pool of such an array.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_avg_pool2d_backward
    >>> adaptive_avg_pool2d_backward(np.ones((1, 1, 2)), (1, 1, 3)).ravel()
    array([0.5, 1. , 0.5])
    """
    return _average_backward("adaptive_avg_pool2d_backward", 2, dy, shape)


def adaptive_avg_pool3d_backward(dy, shape):
    """Gradient of `adaptive_avg_pool3d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        If `dy` cannot be the gradient of a pool of such an array.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_avg_pool3d_backward
    >>> adaptive_avg_pool3d_backward(np.ones((1, 1, 1, 2)), (1, 1, 1, 3)).ravel()
    array([0.5, 1. , 0.5])
    """
    return _average_backward("adaptive_avg_pool3d_backward", 3, dy, shape)


def _average_backward(operation, dims, dy, shape):
    dy = _checks.floats(operation, "dy", dy)
    planes, source, result, expected = adaptive_sizes(operation, shape, dims, dy.shape[-dims:])
    dy = gradient(operation, dy, expected)
    dx = _checks.new(tuple(shape), dy.dtype)
    if not dy.size:
        dx.fill(0)
        return dx
    lines = math.prod(source[:3])
    if dy.size == planes:
        global_spread((dy.reshape(planes), dx.reshape(planes, -1)), planes, *grain_and_threads(planes, dx.size))
    elif w := equal_windows(operation, source, result):
        run_average(avg_pool_backward_lines, avg_pool_backward_naive, (dy.reshape(result), dx.reshape(source)), w)
    else:
        adaptive_spread((dy.reshape(result), dx.reshape(source)), lines, *grain_and_threads(lines, dx.size + dy.size))
    return dx
