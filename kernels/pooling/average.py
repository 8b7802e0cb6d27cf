"""Average pooling: the public functions; see `average_loops`."""

import math

import numpy as np

from kernels import _checks
from kernels.pooling.average_loops import (
    avg_pool_backward_lines,
    avg_pool_backward_naive,
    avg_pool_backward_pairs,
    avg_pool_lines,
    avg_pool_naive,
)
from kernels.pooling.windows import gradient, grain_and_threads, is_vast, windows

# Kernel, stride and padding of the usual windows, which have loops of their own.
PAIRS = (1, 2, 2), (1, 2, 2), (0, 0, 0)


def avg_pool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Average of each window, over the last dimension.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)`` or ``(C, L)``; N and C may be 0.
    kernel_size, stride, padding, ceil_mode
        As of `max_pool1d`; the padding is zeros.
    count_include_pad : bool
        Whether zeros of the padding count as elements of their windows.

    Returns
    -------
    ndarray
        Shape ``(N, C, OL)`` or ``(C, OL)``.

    Raises
    ------
    TypeError, ValueError
        As `max_pool1d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import avg_pool1d
    >>> avg_pool1d(np.arange(4.0).reshape(1, 4), 2)
    array([[0.5, 2.5]])
    """
    sizes = kernel_size, stride, padding, 1, ceil_mode
    return _average("avg_pool1d", 1, x, sizes, count_include_pad, None)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """Average of each window.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    kernel_size, stride, padding, ceil_mode
        As of `max_pool2d`; the padding is zeros.
    count_include_pad : bool
        Whether zeros of the padding count as elements of their windows.
    divisor_override : int, optional
        What to divide the sums by instead of the number of elements; not 0.

    Returns
    -------
    ndarray
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; also for a `divisor_override` of 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import avg_pool2d
    >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    sizes = kernel_size, stride, padding, 1, ceil_mode
    return _average("avg_pool2d", 2, x, sizes, count_include_pad, divisor_override)


def avg_pool3d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """Average of each window, over the last three dimensions.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)`` or ``(C, D, H, W)``; N and C may be 0.
    kernel_size, stride, padding, ceil_mode
        As of `max_pool3d`; the padding is zeros.
    count_include_pad : bool
        Whether zeros of the padding count as elements of their windows.
    divisor_override : int, optional
        What to divide the sums by instead of the number of elements; not 0.

    Returns
    -------
    ndarray
        Shape ``(N, C, OD, OH, OW)`` or ``(C, OD, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `max_pool3d`; also for a `divisor_override` of 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import avg_pool3d
    >>> avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[3.5]]]])
    """
    sizes = kernel_size, stride, padding, 1, ceil_mode
    return _average("avg_pool3d", 3, x, sizes, count_include_pad, divisor_override)


def _divisor(operation, value):
    if value is None:
        return 0
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{operation}: divisor_override must be an int, got {value!r}")
    if value == 0 or abs(value) >= 2**62:
        raise ValueError(f"{operation}: divisor_override must be an int64 other than 0, got {value}")
    return int(value)


def _average(operation, dims, x, sizes, include, divisor_override):
    x = _checks.floats(operation, "x", x)
    w = windows(operation, x.shape, dims, *sizes)
    y, divisor = _checks.new(w.shape, x.dtype), _divisor(operation, divisor_override)
    run_average(avg_pool_lines, avg_pool_naive, (x.reshape(w.source), y.reshape(w.result)), w, include, divisor)
    return y


def run_average(loops, naive, arrays, w, include=True, divisor=0):
    """The loops over the lines of the second of `arrays`, (source, target), or `naive` for vast windows."""
    source, target = arrays
    arguments = source, w.sizes, bool(include), divisor, target
    if is_vast(w):
        naive(*arguments)
    else:
        lines = math.prod(target.shape[:3])
        loops(arguments, lines, *grain_and_threads(lines, source.size + target.size))


def avg_pool1d_backward(dy, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Gradient of `avg_pool1d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    kernel_size, stride, padding, ceil_mode, count_include_pad
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `avg_pool1d`; also if `dy` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import avg_pool1d_backward
    >>> avg_pool1d_backward(np.ones((1, 2)), (1, 4), 2)
    array([[0.5, 0.5, 0.5, 0.5]])
    """
    sizes = kernel_size, stride, padding, 1, ceil_mode
    return _average_backward("avg_pool1d_backward", 1, dy, shape, sizes, count_include_pad, None)


def avg_pool2d_backward(
    dy, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Gradient of `avg_pool2d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `avg_pool2d`; also if `dy` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import avg_pool2d_backward
    >>> avg_pool2d_backward(np.ones((1, 1, 1)), (1, 2, 2), 2)
    array([[[0.25, 0.25],
            [0.25, 0.25]]])
    """
    sizes = kernel_size, stride, padding, 1, ceil_mode
    return _average_backward("avg_pool2d_backward", 2, dy, shape, sizes, count_include_pad, divisor_override)


def avg_pool3d_backward(
    dy, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Gradient of `avg_pool3d` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `avg_pool3d`; also if `dy` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import avg_pool3d_backward
    >>> float(avg_pool3d_backward(np.ones((1, 1, 1, 1)), (1, 2, 2, 2), 2)[0, 0, 0, 0])
    0.125
    """
    sizes = kernel_size, stride, padding, 1, ceil_mode
    return _average_backward("avg_pool3d_backward", 3, dy, shape, sizes, count_include_pad, divisor_override)


def _average_backward(operation, dims, dy, shape, sizes, include, divisor_override):
    w = windows(operation, shape, dims, *sizes)
    dy = gradient(operation, dy, w.shape)
    dx, divisor = _checks.new(tuple(shape), dy.dtype), _divisor(operation, divisor_override)
    source, target = dy.reshape(w.result), dx.reshape(w.source)
    if (w.kernel, w.stride, w.padding) == PAIRS:
        lines = w.planes * w.size[0] * ((w.size[1] + 1) // 2)
        arguments = source, w.sizes, bool(include), divisor, target
        avg_pool_backward_pairs(arguments, lines, *grain_and_threads(lines, dx.size + dy.size))
    else:
        run_average(avg_pool_backward_lines, avg_pool_backward_naive, (source, target), w, include, divisor)
    return dx
