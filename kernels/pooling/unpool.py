r"""The inverse of maximum pooling, as far as there is one: each maximum put back where it was.

    y[indices[o]] = x[o]        0 elsewhere            dx[o] = dy[indices[o]]

One element of y is written for each element, and each of x read once. Where windows overlap, an index may occur twice;
the last of its elements is the one that stays.
"""

import math

from kernels import _checks
from kernels._jit import jit
from kernels.pooling.places import checked_indices, put_at, scatter, take_at
from kernels.pooling.windows import check_size, expect, grain_and_threads, numbers, planes_of


@jit
def max_unpool_naive(x, indices, y):
    """The definition, for planes: `x` and `indices` (planes, n), `y` (planes, size)."""
    y[:] = 0
    for plane in range(x.shape[0]):
        for i in range(x.shape[1]):
            y[plane, indices[plane, i]] = x[plane, i]


@jit
def max_unpool_loops(x, indices, y):
    """Adds locality: a plane is zeroed just before it is filled. For use in your own jitted code, without checks."""
    put_at((x, indices, y), x.shape[0], x.shape[0], 1)


VARIANTS = {"max_unpool": {"naive": max_unpool_naive, "planes": max_unpool_loops}}


def max_unpool1d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Each element at its index in a larger row that is 0 elsewhere.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)`` or ``(C, L)``.
    indices, kernel_size, stride, padding, output_size
        As of `max_unpool2d`.

    Returns
    -------
    ndarray
        Where an index occurs more than once, the last of its elements is there.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `max_unpool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_unpool1d
    >>> max_unpool1d(np.ones((1, 2)), np.array([[1, 2]]), 2).ravel()
    array([0., 1., 1., 0.])
    """
    return _max_unpool("max_unpool1d", 1, x, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Each element at its index in a larger plane that is 0 elsewhere.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``.
    indices : array, int64
        Shape of `x`: the second result of `max_pool2d` with ``return_indices=True``.
    kernel_size, stride, padding : int or tuple of int
        Those of the pooling: the plane's size is ``(H - 1) * stride - 2 * padding + kernel_size``, if not given.
    output_size : tuple of int, optional
        The plane's size, or the whole shape of the result; less than one stride from the above.

    Returns
    -------
    ndarray
        Where an index occurs more than once, the last of its elements is there.

    Raises
    ------
    TypeError, ValueError
        Another dtype, `x` and `indices` of different shapes, an `output_size` that is no size of a pooled plane.
    IndexError
        If an index lies outside its plane.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_unpool2d
    >>> max_unpool2d(np.ones((1, 1, 2)), np.array([[[1, 2]]]), (1, 2)).ravel()
    array([0., 1., 1., 0.])
    """
    return _max_unpool("max_unpool2d", 2, x, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Each element at its index in a larger volume that is 0 elsewhere.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
    indices, kernel_size, stride, padding, output_size
        As of `max_unpool2d`.

    Returns
    -------
    ndarray
        Where an index occurs more than once, the last of its elements is there.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `max_unpool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_unpool3d
    >>> max_unpool3d(np.ones((1, 1, 1, 2)), np.array([[[[1, 2]]]]), (1, 1, 2)).ravel()
    array([0., 1., 1., 0.])
    """
    return _max_unpool("max_unpool3d", 3, x, indices, kernel_size, stride, padding, output_size)


def _max_unpool(operation, dims, x, indices, kernel_size, stride, padding, output_size):
    x = _checks.floats(operation, "x", x)
    shape = result_shape(operation, x.shape, dims, kernel_size, stride, padding, output_size)
    return scatter(operation, x, indices, shape, dims, put_at)


def result_shape(operation, shape, dims, kernel_size, stride, padding, output_size):
    """The result's shape for an array of `shape`."""
    planes_of(operation, shape, dims)
    kernel = numbers(operation, "kernel_size", kernel_size, dims, 1)
    stride = kernel if stride is None else numbers(operation, "stride", stride, dims, 1)
    padding = numbers(operation, "padding", padding, dims, 0)
    plane = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(shape[-dims:], stride, padding, kernel, strict=True))
    if output_size is not None:
        wanted = tuple(output_size)[-dims:] if len(output_size) in (dims, len(shape)) else ()
        wanted = numbers(operation, "output_size", wanted, dims, 1) if len(wanted) == dims else ()
        if not wanted or any(abs(a - b) >= s for a, b, s in zip(wanted, plane, stride, strict=True)):
            raise ValueError(
                f"{operation}: output_size must be less than one stride {stride} from {plane}, got {output_size}"
            )
        plane = wanted
    if min(plane) < 1:
        raise ValueError(f"{operation}: the result would have shape {plane}: padding {padding} is too large")
    result = (*shape[:-dims], *plane)
    check_size(operation, result)
    return result


def max_unpool1d_backward(dy, indices):
    """Gradient of `max_unpool1d` with respect to `x`: the elements of `dy` at `indices`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    indices : int64 array
        The forward's argument.

    Returns
    -------
    ndarray
        Of the shape of `indices`.

    Raises
    ------
    TypeError, ValueError
        Another dtype, or leading axes of `dy` and `indices` that differ.
    IndexError
        If an index lies outside its plane.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_unpool1d_backward
    >>> max_unpool1d_backward(np.arange(4.0).reshape(1, 4), np.array([[1, 2]])).ravel()
    array([1., 2.])
    """
    return _max_unpool_backward("max_unpool1d_backward", 1, dy, indices)


def max_unpool2d_backward(dy, indices):
    """Gradient of `max_unpool2d` with respect to `x`: the elements of `dy` at `indices`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    indices : int64 array
        The forward's argument.

    Returns
    -------
    ndarray
        Of the shape of `indices`.

    Raises
    ------
    TypeError, ValueError
        Another dtype, or leading axes of `dy` and `indices` that differ.
    IndexError
        If an index lies outside its plane.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_unpool2d_backward
    >>> max_unpool2d_backward(np.arange(4.0).reshape(1, 1, 4), np.array([[[1, 2]]])).ravel()
    array([1., 2.])
    """
    return _max_unpool_backward("max_unpool2d_backward", 2, dy, indices)


def max_unpool3d_backward(dy, indices):
    """Gradient of `max_unpool3d` with respect to `x`: the elements of `dy` at `indices`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    indices : int64 array
        The forward's argument.

    Returns
    -------
    ndarray
        Of the shape of `indices`.

    Raises
    ------
    TypeError, ValueError
        Another dtype, or leading axes of `dy` and `indices` that differ.
    IndexError
        If an index lies outside its plane.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_unpool3d_backward
    >>> max_unpool3d_backward(np.arange(4.0).reshape(1, 1, 1, 4), np.array([[[[1, 2]]]])).ravel()
    array([1., 2.])
    """
    return _max_unpool_backward("max_unpool3d_backward", 3, dy, indices)


def _max_unpool_backward(operation, dims, dy, indices):
    dy = _checks.floats(operation, "dy", dy)
    planes, size = planes_of(operation, dy.shape, dims), math.prod(dy.shape[-dims:])
    indices = _checks.indices(operation, "indices", indices)
    expect(operation, "indices", indices, (*dy.shape[:-dims], *indices.shape[-dims:]))
    indices = checked_indices(operation, indices, indices.shape, size)
    dx = _checks.new(indices.shape, dy.dtype)
    each = math.prod(indices.shape[-dims:])
    arguments = dy.reshape(planes, size), indices.reshape(planes, each), dx.reshape(planes, each)
    take_at(arguments, planes, *grain_and_threads(planes, dx.size))
    return dx
