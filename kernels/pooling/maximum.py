"""Maximum pooling: the public functions; see `maximum_loops` and `places`."""

import math

import numpy as np

from kernels import _checks
from kernels.pooling import places
from kernels.pooling.maximum_loops import max_pool_lines, max_pool_naive
from kernels.pooling.windows import expect, gradient, grain_and_threads, is_vast, windows

MAX_BYTE_PLACES = 256  # places that a byte can distinguish
MAX_NUMBERED = 2**16  # places that their numbers distinguish, which are floats while places are compared


def max_pool1d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Largest element of each window over the last dimension.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)`` or ``(C, L)``; N and C may be 0.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As of `max_pool2d`, for one dimension.

    Returns
    -------
    ndarray, or tuple of two
        Shape ``(N, C, OL)`` or ``(C, OL)``; with `return_indices` also the places of the elements.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_pool1d
    >>> max_pool1d(np.arange(4.0).reshape(1, 4), 2)
    array([[1., 3.]])
    """
    sizes = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool1d", 1, x, sizes, return_indices)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Largest element of each window.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    kernel_size : int or tuple of int
        Height and width of a window.
    stride : int or tuple of int, optional
        From one window to the next; by default `kernel_size`.
    padding : int or tuple of int
        Elements of -inf around each plane, at most half a window.
    dilation : int or tuple of int
        From one element of a window to the next.
    ceil_mode : bool
        Whether a last window may reach beyond the padding; it begins inside `x` or its left padding.
    return_indices : bool or "window"
        Whether to return where the largest elements are, too: True for their indices in their plane, counted row by
        row (int64); "window" for their numbers in their windows (uint8; of at most 256 elements), which is all that
        the backward needs. Of equal elements the first counts, of NaNs the last.

    Returns
    -------
    ndarray, or tuple of two
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``. A NaN in a window is its largest element.

    Raises
    ------
    TypeError, ValueError
        Another dtype or number of dimensions; sizes out of range, padding over half a window, a window larger than the
        padded input, or (with dilation) wholly in the padding.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_pool2d
    >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 5.,  7.],
            [13., 15.]]])
    """
    sizes = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool2d", 2, x, sizes, return_indices)


def max_pool3d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Largest element of each window over the last three dimensions.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)`` or ``(C, D, H, W)``; N and C may be 0.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As of `max_pool2d`, for depth, height and width.

    Returns
    -------
    ndarray, or tuple of two
        Shape ``(N, C, OD, OH, OW)`` or ``(C, OD, OH, OW)``; with `return_indices` also the places of the elements.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_pool3d
    >>> max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[7.]]]])
    """
    sizes = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool3d", 3, x, sizes, return_indices)


def _max_pool(operation, dims, x, sizes, return_indices):
    x = _checks.floats(operation, "x", x)
    w = windows(operation, x.shape, dims, *sizes)
    taken = math.prod(w.kernel)
    if return_indices not in (False, True):
        _checks.choice(operation, "return_indices", return_indices, ("window",))
        if taken > MAX_BYTE_PLACES:
            raise ValueError(
                f"{operation}: numbers in windows are for at most {MAX_BYTE_PLACES} elements, kernel_size is {w.kernel}"
            )
    return run_max(x, w, return_indices)


def run_max(x, w, return_indices):
    """The largest elements, and their places in the form that `return_indices` names."""
    y = _checks.new(w.shape, x.dtype)
    source, target, lines = x.reshape(w.source), y.reshape(w.result), math.prod(w.result[:3])
    work = lines, *grain_and_threads(lines, x.size + y.size)
    vast = is_vast(w) or (return_indices and math.prod(w.kernel) > MAX_NUMBERED)
    if return_indices == "window":
        found = _checks.new(w.shape, _checks.BYTE)
        places.max_pool_bytes((source, w.sizes, target, found.reshape(w.result)), *work)
    elif return_indices or vast:
        found = _checks.new(w.shape, _checks.INT64)
        if vast:
            max_pool_naive(source, w.sizes, target, found.reshape(w.result))
        else:
            places.max_pool_indices((source, w.sizes, target, found.reshape(w.result)), *work)
    else:
        max_pool_lines((source, w.sizes, target), *work)
    return (y, found) if return_indices else y


def max_pool1d_backward(dy, shape, indices, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Gradient of `max_pool1d` with respect to `x`: each dy is added to the largest element of its window.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    indices : array
        The second result of the forward, of either kind; "window" is much faster.
    kernel_size, stride, padding, dilation, ceil_mode
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `max_pool1d`; if `dy` or `indices` does not have the shape of the result.
    IndexError
        If an index lies outside its plane, or a number outside its window.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_pool1d, max_pool1d_backward
    >>> x = np.arange(4.0).reshape(1, 4)
    >>> y, indices = max_pool1d(x, 2, return_indices="window")
    >>> max_pool1d_backward(np.ones_like(y), x.shape, indices, 2)
    array([[0., 1., 0., 1.]])
    """
    sizes = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool_backward("max_pool1d_backward", 1, dy, shape, indices, sizes)


def max_pool2d_backward(dy, shape, indices, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Gradient of `max_pool2d` with respect to `x`: each dy is added to the largest element of its window.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    indices : array
        The second result of the forward, of either kind; "window" is much faster.
    kernel_size, stride, padding, dilation, ceil_mode
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; if `dy` or `indices` does not have the shape of the result.
    IndexError
        If an index lies outside its plane, or a number outside its window.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_pool2d, max_pool2d_backward
    >>> x = np.arange(4.0).reshape(1, 2, 2)
    >>> y, indices = max_pool2d(x, 2, return_indices="window")
    >>> max_pool2d_backward(np.ones_like(y), x.shape, indices, 2)
    array([[[0., 0.],
            [0., 1.]]])
    """
    sizes = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool_backward("max_pool2d_backward", 2, dy, shape, indices, sizes)


def max_pool3d_backward(dy, shape, indices, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Gradient of `max_pool3d` with respect to `x`: each dy is added to the largest element of its window.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    indices : array
        The second result of the forward, of either kind; "window" is much faster.
    kernel_size, stride, padding, dilation, ceil_mode
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `max_pool3d`; if `dy` or `indices` does not have the shape of the result.
    IndexError
        If an index lies outside its plane, or a number outside its window.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_pool3d, max_pool3d_backward
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> y, indices = max_pool3d(x, (1, 2, 2), return_indices="window")
    >>> max_pool3d_backward(np.ones_like(y), x.shape, indices, (1, 2, 2)).ravel()
    array([0., 0., 0., 1.])
    """
    sizes = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool_backward("max_pool3d_backward", 3, dy, shape, indices, sizes)


def _max_pool_backward(operation, dims, dy, shape, indices, sizes):
    w = windows(operation, shape, dims, *sizes)
    dy = gradient(operation, dy, w.shape)
    if not (isinstance(indices, np.ndarray) and indices.dtype == _checks.BYTE):
        return places.scatter(operation, dy, indices, shape, dims)
    expect(operation, "indices", indices, w.shape)
    if indices.size and indices.max() >= math.prod(w.kernel):
        raise IndexError(f"{operation}: numbers in windows must be below {math.prod(w.kernel)}, got {indices.max()}")
    dx = _checks.new(tuple(shape), dy.dtype)
    numbers = _checks.contiguous(indices).reshape(w.result)
    arguments = (dy.reshape(w.result), numbers, w.sizes, dx.reshape(w.source))
    if w.stride[1:] == (2, 2) and max(w.kernel) <= 4 and w.dilation[1:] == (1, 1) and w.size[0] == 1:
        loops, lines = places.max_pool_halves, w.planes * ((w.size[1] + w.padding[1] + 1) // 2)
    else:
        loops, lines = places.max_pool_numbered, w.planes
    loops(arguments, lines, *grain_and_threads(lines, dx.size + dy.size))
    return dx
