"""Adaptive maximum pooling: the public functions; see `adaptive_loops`."""

import math

from kernels import _checks
from kernels.pooling.adaptive import adaptive_sizes, equal_windows
from kernels.pooling.adaptive_loops import adaptive_max
from kernels.pooling.maximum import run_max
from kernels.pooling.places import scatter
from kernels.pooling.windows import gradient, grain_and_threads


def adaptive_max_pool1d(x, output_size, return_indices=False):
    """Largest elements of `output_size` windows that cover the last dimension.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)`` or ``(C, L)``; N and C may be 0.
    output_size
        As of `adaptive_avg_pool1d`.
    return_indices : bool
        Whether to return the int64 indices of the elements in their plane, too (of equal ones the first, of NaNs the
        last).

    Returns
    -------
    ndarray, or tuple of two
        Shape ``(N, C, OL)`` or ``(C, OL)``.

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool1d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_max_pool1d
    >>> y, indices = adaptive_max_pool1d(np.arange(3.0).reshape(1, 3), 2, return_indices=True)
    >>> y.ravel(), indices.ravel()
    (array([1., 2.]), array([1, 2]))
    """
    return _max("adaptive_max_pool1d", 1, x, output_size, return_indices)


def adaptive_max_pool2d(x, output_size, return_indices=False):
    """Largest elements of `output_size` windows that cover each plane.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    output_size
        As of `adaptive_avg_pool2d`.
    return_indices : bool
        Whether to return the int64 indices of the elements in their plane, too (of equal ones the first, of NaNs the
        last).

    Returns
    -------
    ndarray, or tuple of two
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_max_pool2d
    >>> y, indices = adaptive_max_pool2d(np.arange(3.0).reshape(1, 1, 3), (1, 2), return_indices=True)
    >>> y.ravel(), indices.ravel()
    (array([1., 2.]), array([1, 2]))
    """
    return _max("adaptive_max_pool2d", 2, x, output_size, return_indices)


def adaptive_max_pool3d(x, output_size, return_indices=False):
    """Largest elements of `output_size` windows that cover the last three dimensions.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)`` or ``(C, D, H, W)``; N and C may be 0.
    output_size
        As of `adaptive_avg_pool3d`.
    return_indices : bool
        Whether to return the int64 indices of the elements in their plane, too (of equal ones the first, of NaNs the
        last).

    Returns
    -------
    ndarray, or tuple of two
        Shape ``(N, C, OD, OH, OW)`` or ``(C, OD, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool3d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_max_pool3d
    >>> y, indices = adaptive_max_pool3d(np.arange(3.0).reshape(1, 1, 1, 3), (1, 1, 2), return_indices=True)
    >>> y.ravel(), indices.ravel()
    (array([1., 2.]), array([1, 2]))
    """
    return _max("adaptive_max_pool3d", 3, x, output_size, return_indices)


def _max(operation, dims, x, output_size, return_indices):
    x = _checks.floats(operation, "x", x)
    _, source, result, shape = adaptive_sizes(operation, x.shape, dims, output_size)
    _checks.choice(operation, "return_indices", return_indices, (False, True))
    if not math.prod(shape):
        y, indices = _checks.new(shape, x.dtype), _checks.new(shape, _checks.INT64)
    elif w := equal_windows(operation, source, result):
        found = run_max(x, w, return_indices)
        y, indices = found if return_indices else (found, None)
        y, indices = y.reshape(shape), indices.reshape(shape) if return_indices else None
    else:
        y, indices = _checks.new(shape, x.dtype), _checks.new(shape, _checks.INT64)
        lines = math.prod(result[:3])
        arguments = x.reshape(source), y.reshape(result), indices.reshape(result)
        adaptive_max(arguments, lines, *grain_and_threads(lines, x.size + y.size))
    return (y, indices) if return_indices else y


def adaptive_max_pool1d_backward(dy, shape, indices):
    """Gradient of `adaptive_max_pool1d` with respect to `x`: each dy is added at its index.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    indices : int64 array
        The second result of the forward.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError, IndexError
        If `dy` cannot be the gradient of a pool of such an array, `indices` are not integers or differ from `dy` in
        shape, or an index lies outside its plane.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_max_pool1d_backward
    >>> adaptive_max_pool1d_backward(np.ones((1, 2)), (1, 3), np.array([[1, 2]])).ravel()
    array([0., 1., 1.])
    """
    return _max_backward("adaptive_max_pool1d_backward", 1, dy, shape, indices)


def adaptive_max_pool2d_backward(dy, shape, indices):
    """Gradient of `adaptive_max_pool2d` with respect to `x`: each dy is added at its index.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    indices : int64 array
        The second result of the forward.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError, IndexError
        If `dy` cannot be the gradient of a pool of such an array, `indices` are not integers or differ from `dy` in
        shape, or an index lies outside its plane.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_max_pool2d_backward
    >>> adaptive_max_pool2d_backward(np.ones((1, 1, 2)), (1, 1, 3), np.array([[[1, 2]]])).ravel()
    array([0., 1., 1.])
    """
    return _max_backward("adaptive_max_pool2d_backward", 2, dy, shape, indices)


def adaptive_max_pool3d_backward(dy, shape, indices):
    """Gradient of `adaptive_max_pool3d` with respect to `x`: each dy is added at its index.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    indices : int64 array
        The second result of the forward.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError, IndexError
        If `dy` cannot be the gradient of a pool of such an array, `indices` are not integers or differ from `dy` in
        shape, or an index lies outside its plane.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adaptive_max_pool3d_backward
    >>> adaptive_max_pool3d_backward(np.ones((1, 1, 1, 2)), (1, 1, 1, 3), np.array([[[[1, 2]]]])).ravel()
    array([0., 1., 1.])
    """
    return _max_backward("adaptive_max_pool3d_backward", 3, dy, shape, indices)


def _max_backward(operation, dims, dy, shape, indices):
    dy = _checks.floats(operation, "dy", dy)
    *_, expected = adaptive_sizes(operation, shape, dims, dy.shape[-dims:])
    return scatter(operation, gradient(operation, dy, expected), indices, shape, dims)
