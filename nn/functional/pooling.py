"""Pooling and its inverse."""

import math

import numpy as np

import kernels
from nn.functional.arguments import checked, constant
from nn.tensor import Tensor, is_grad_enabled, record


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """`max_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    kernel_size : int or tuple of int
    stride : int or tuple of int, optional
        By default `kernel_size`.
    padding : int or tuple of int, default 0
        Elements of -inf on each side, at most half a window.
    dilation : int or tuple of int, default 1
        Distance between the elements of a window.
    ceil_mode : bool, default False
        Whether a last window may reach beyond the padding.
    return_indices : bool, default False
        Whether to return the elements' flat indices in their plane as well.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)
        With `return_indices`, a pair of it and the indices, int64.

    Raises
    ------
    TypeError, ValueError
        Dtypes, shapes or options that do not fit.

    Examples
    --------
    >>> import nn
    >>> nn.functional.max_pool2d(nn.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """`max_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(name, dims, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    x = checked(name, input).data
    pool, pool_backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    window, shape = (kernel_size, stride, padding, dilation, ceil_mode), x.shape
    if x.dtype.kind in "iu":
        places = pool(_exact(name, x), *window, True)[1]
        y = np.take_along_axis(x.reshape(*shape[:-dims], -1), places.reshape(*places.shape[:-dims], -1), -1)
        y = Tensor(y.reshape(places.shape))
        return (y, Tensor(places)) if return_indices else y
    if not return_indices and not (is_grad_enabled() and input.requires_grad):
        return record(name, pool(x, *window), (input,), None)
    elements = kernel_size**dims if isinstance(kernel_size, int) else math.prod(kernel_size)
    y, places = pool(x, *window, "window" if elements <= 256 and not return_indices else True)
    indices = Tensor(places) if return_indices else None
    result = record(name, y, (input,), lambda dy: pool_backward(dy, shape, places, *window), (indices,))
    return (result, indices) if return_indices else result


def _exact(name, x):
    """Integers as float64, which holds them all; ValueError if it does not."""
    if x.size and max(abs(int(x.min())), abs(int(x.max()))) > 2**53:
        raise ValueError(f"{name}: integers must be within 2⁵³, got from {x.min()} to {x.max()}")
    return x.astype(np.float64)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """`avg_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _pool("avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The average of each window.

    Parameters
    ----------
    input, kernel_size, stride
        As for `max_pool2d`.
    padding : int or tuple of int, default 0
        Zeros on each side, at most half a window.
    ceil_mode
        As for `max_pool2d`.
    count_include_pad : bool, default True
        Whether the zeros of the padding count as elements of a window.
    divisor_override : int, optional
        Divides the sums in place of the number of elements.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        Dtypes, shapes or options that do not fit.
    """
    return _pool("avg_pool2d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """`avg_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _pool("avg_pool3d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _pool(name, input, *window):
    """A pooling whose backward needs nothing but the shape of the input."""
    x = checked(name, input).data
    if x.dtype.kind in "iu":  # rounded towards 0; a mean that should be whole may lie a rounding error below
        return Tensor(np.trunc(getattr(kernels, name)(_exact(name, x), *window).round(9)).astype(x.dtype))
    pool_backward, shape = getattr(kernels, f"{name}_backward"), x.shape
    return record(name, getattr(kernels, name)(x, *window), (input,), lambda dy: pool_backward(dy, shape, *window))


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """`lp_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The root of the sum of the powers of each window: (Σ xᵖ)^(1/p).

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    norm_type : float
        The power p; infinity gives the largest magnitude.
    kernel_size : int or tuple of int
    stride : int or tuple of int, optional
        By default `kernel_size`.
    ceil_mode : bool, default False
        Whether a last window may reach beyond the input.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        Dtypes, shapes or options that do not fit.
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """`lp_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(name, dims, input, norm_type, kernel_size, stride, ceil_mode):
    x = checked(name, input).data
    if norm_type == math.inf:
        return _max_pool(f"max_pool{dims}d", dims, abs(input), kernel_size, stride, 0, 1, ceil_mode, False)
    window = norm_type, kernel_size, stride, ceil_mode
    y, pool_backward = getattr(kernels, name)(x, *window), getattr(kernels, f"{name}_backward")
    return record(name, y, (input,), lambda dy: pool_backward(dy, x, y, *window), (input,), saves_result=True)


def adaptive_avg_pool1d(input, output_size):
    """`adaptive_avg_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The averages of windows that cover each plane, so many that the result has a given size.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    output_size : int or tuple of (int or None)
        None keeps the size of the input.

    Returns
    -------
    Tensor (N, C, *output_size) or (C, *output_size)

    Raises
    ------
    TypeError, ValueError
        Dtypes, shapes or sizes that do not fit.
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """`adaptive_avg_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _adaptive_avg_pool("adaptive_avg_pool3d", input, output_size)


def _adaptive_avg_pool(name, input, output_size):
    x = checked(name, input).data
    pool_backward, shape = getattr(kernels, f"{name}_backward"), x.shape
    return record(name, getattr(kernels, name)(x, output_size), (input,), lambda dy: pool_backward(dy, shape))


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _adaptive_max_pool("adaptive_max_pool1d", input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest elements of windows that cover each plane, so many that the result has a given size.

    Parameters
    ----------
    input, output_size
        As for `adaptive_avg_pool2d`.
    return_indices : bool, default False
        Whether to return the elements' flat indices in their plane as well.

    Returns
    -------
    Tensor (N, C, *output_size) or (C, *output_size)
        With `return_indices`, a pair of it and the indices, int64.

    Raises
    ------
    TypeError, ValueError
        Dtypes, shapes or sizes that do not fit.
    """
    return _adaptive_max_pool("adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _adaptive_max_pool("adaptive_max_pool3d", input, output_size, return_indices)


def _adaptive_max_pool(name, input, output_size, return_indices):
    x = checked(name, input).data
    y, places = getattr(kernels, name)(x, output_size, True)
    pool_backward, shape = getattr(kernels, f"{name}_backward"), x.shape
    indices = Tensor(places) if return_indices else None
    result = record(name, y, (input,), lambda dy: pool_backward(dy, shape, places), (indices,))
    return (result, indices) if return_indices else result


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """`max_unpool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _max_unpool("max_unpool1d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The inverse of `max_pool2d`: each element at its index in a larger plane, which is 0 elsewhere.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    indices : Tensor or array of int64, of the shape of `input`
        As `max_pool2d` returns them.
    kernel_size, stride, padding
        Those of the pooling.
    output_size : tuple of int, optional
        The size of the plane, or the whole shape of the result; by default what the pooling's arguments give.

    Returns
    -------
    Tensor (N, C, *output_size) or (C, *output_size)

    Raises
    ------
    TypeError, ValueError
        Dtypes, shapes or sizes that do not fit.
    IndexError
        An index outside of the plane.
    """
    return _max_unpool("max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """`max_unpool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _max_unpool("max_unpool3d", input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(name, input, indices, *window):
    x, places = checked(name, input).data, constant(name, indices)
    y, unpool_backward = getattr(kernels, name)(x, places, *window), getattr(kernels, f"{name}_backward")
    return record(name, y, (input,), lambda dy: unpool_backward(dy, places), (indices,))
