"""Pooling and its inverse."""

import math
from typing import Any

import numpy as np

import kernels
from nn.autograd.recomposed import recomposed
from nn.functional.arguments import checked, constant
from nn.functional.places import in_plane, taken
from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import bool_of, ints_of
from nn.operations.elementwise import where
from nn.tape import record, record_linear
from nn.tensor import Tensor

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d"]
__all__ += ["adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d"]
__all__ += ["lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d"]
__all__ += ["max_unpool3d"]


def max_pool1d(
    input, kernel_size, stride=None, padding: Any = 0, dilation: Any = 1, ceil_mode=False, return_indices=False
):
    """`max_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool1d", 1, kernels.max_pool1d, kernels.max_pool1d_backward, input, window, return_indices)


def max_pool2d(
    input, kernel_size, stride=None, padding: Any = 0, dilation: Any = 1, ceil_mode=False, return_indices=False
):
    """The largest element of each window.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    kernel_size : int or tuple of int
    stride : int or tuple of int, optional
        By default `kernel_size`.
    padding : int or tuple of int, default 0
        Number of elements of -inf on each side, at most half a window.
    dilation : int or tuple of int, default 1
        Distance between the elements of a window.
    ceil_mode : bool, default False
        Whether the last window may extend beyond the padding.
    return_indices : bool, default False
        Whether to return the elements' flat indices in their plane as well.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)
        With `return_indices`, a pair of it and the indices, int64.

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.

    Examples
    --------
    >>> import nn
    >>> nn.functional.max_pool2d(nn.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool2d", 2, kernels.max_pool2d, kernels.max_pool2d_backward, input, window, return_indices)


def max_pool3d(
    input, kernel_size, stride=None, padding: Any = 0, dilation: Any = 1, ceil_mode=False, return_indices=False
):
    """`max_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool3d", 3, kernels.max_pool3d, kernels.max_pool3d_backward, input, window, return_indices)


def _max_pool(name, dims, pool, pool_backward, input, window, return_indices):
    """Record a pair of kernels on the tape; `window` are the arguments that follow x in both."""
    if window[4] is not False:
        bool_of(name, "ceil_mode", window[4])
    x = checked(name, input).array
    shape = x.shape
    if x.dtype.kind in "iu":
        positions = pool(_exact(name, x), *window, True)[1]
        y = np.take_along_axis(x.reshape(*shape[:-dims], -1), positions.reshape(*positions.shape[:-dims], -1), -1)
        y = Tensor(y.reshape(positions.shape))
        return (y, Tensor(positions)) if return_indices else y
    if not return_indices and not (is_grad_enabled() and input.requires_grad):
        return record(name, pool(x, *window), (input,), None)
    kernel_size = window[0]
    elements = kernel_size**dims if isinstance(kernel_size, int) else math.prod(kernel_size)
    y, positions = pool(x, *window, "window" if elements <= 256 and not return_indices else True)
    indices = Tensor(positions) if return_indices else None

    def backward(dy):
        return pool_backward(dy, shape, positions, *window)

    def derivative(dy, indices):
        flat = positions if positions.dtype == np.int64 else in_plane(positions, shape[-dims:], window)
        return record_linear(name, backward, lambda d: taken(d, flat, dims), dy, (indices,))

    result = record(name, y, (input,), backward, (indices,), derivative=derivative)
    return (result, indices) if return_indices else result


def _exact(name, x):
    """Integers as float64; ValueError unless float64 represents all of them exactly."""
    if x.size and max(abs(int(x.min())), abs(int(x.max()))) > 2**53:
        raise ValueError(f"{name}: integers must be within 2⁵³, got from {x.min()} to {x.max()}")
    return x.astype(np.float64)


def avg_pool1d(input, kernel_size, stride=None, padding: Any = 0, ceil_mode=False, count_include_pad=True):
    """`avg_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    window = kernel_size, stride, padding, ceil_mode, count_include_pad
    return _avg_pool("avg_pool1d", kernels.avg_pool1d, kernels.avg_pool1d_backward, input, window)


def avg_pool2d(
    input, kernel_size, stride=None, padding: Any = 0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The average of each window.

    Parameters
    ----------
    input, kernel_size, stride
        As for `max_pool2d`.
    padding : int or tuple of int, default 0
        Number of zeros on each side, at most half a window.
    ceil_mode
        As for `max_pool2d`.
    count_include_pad : bool, default True
        Whether the zeros of the padding count as elements of a window.
    divisor_override : int, optional
        The number that sums are divided by, in place of the number of elements.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.
    """
    window = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool("avg_pool2d", kernels.avg_pool2d, kernels.avg_pool2d_backward, input, window)


def avg_pool3d(
    input, kernel_size, stride=None, padding: Any = 0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """`avg_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    window = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool("avg_pool3d", kernels.avg_pool3d, kernels.avg_pool3d_backward, input, window)


def _avg_pool(name, pool, pool_backward, input, window):
    """Record a pair of kernels on the tape; `window` are the arguments that follow x, or its shape, in both."""
    if window[3] is not False or window[4] is not True:
        bool_of(name, "ceil_mode", window[3]), bool_of(name, "count_include_pad", window[4])
    x = checked(name, input).array
    if x.dtype.kind in "iu":  # rounded towards 0, after removing the rounding error of a mean that is an integer
        return Tensor(np.trunc(pool(_exact(name, x), *window).round(9)).astype(x.dtype))
    shape = x.shape

    def forward(x):
        return pool(x, *window)

    return record_linear(name, forward, lambda dy: pool_backward(dy, shape, *window), input)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """`lp_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    if norm_type == math.inf:
        return max_pool1d(abs(checked("lp_pool1d", input)), kernel_size, stride, ceil_mode=ceil_mode)
    window = norm_type, kernel_size, stride, ceil_mode
    return _lp_pool("lp_pool1d", kernels.lp_pool1d, kernels.lp_pool1d_backward, input, window)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Power-average pooling, the p-norm of each window: (Σ xᵖ)^(1/p).

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    norm_type : float
        The power p; infinity gives the largest magnitude.
    kernel_size : int or tuple of int
    stride : int or tuple of int, optional
        By default `kernel_size`.
    ceil_mode : bool, default False
        Whether the last window may extend beyond the input.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.
    """
    if norm_type == math.inf:
        return max_pool2d(abs(checked("lp_pool2d", input)), kernel_size, stride, ceil_mode=ceil_mode)
    window = norm_type, kernel_size, stride, ceil_mode
    return _lp_pool("lp_pool2d", kernels.lp_pool2d, kernels.lp_pool2d_backward, input, window)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """`lp_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    if norm_type == math.inf:
        return max_pool3d(abs(checked("lp_pool3d", input)), kernel_size, stride, ceil_mode=ceil_mode)
    window = norm_type, kernel_size, stride, ceil_mode
    return _lp_pool("lp_pool3d", kernels.lp_pool3d, kernels.lp_pool3d_backward, input, window)


def _lp_pool(name, pool, pool_backward, input, window):
    if window[3] is not False:
        bool_of(name, "ceil_mode", window[3])
    x = checked(name, input).array
    y = pool(x, *window)
    p, kernel_size, stride, ceil_mode = window

    def backward(dy):
        return pool_backward(dy, x, y, *window)

    def compose(x):
        dims = int(name[-2])
        average = (avg_pool1d, avg_pool2d, avg_pool3d)[dims - 1](x**p, kernel_size, stride, 0, ceil_mode)
        total = average * (kernel_size**dims if isinstance(kernel_size, int) else math.prod(kernel_size))
        zero = total.array == 0  # the gradient there is 0
        return where(zero, 0, where(zero, 1, total) ** (1 / p))

    def derivative(dy, input, y):
        return recomposed(compose)(dy, input)[0]

    return record(name, y, (input,), backward, (input,), derivative=derivative, saves_result=True)


def adaptive_avg_pool1d(input, output_size):
    """`adaptive_avg_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    pair = kernels.adaptive_avg_pool1d, kernels.adaptive_avg_pool1d_backward
    return _adaptive_avg_pool("adaptive_avg_pool1d", *pair, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The averages of windows that cover each plane, one for each element of the requested output.

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
        Invalid dtypes, shapes or sizes.
    """
    pair = kernels.adaptive_avg_pool2d, kernels.adaptive_avg_pool2d_backward
    return _adaptive_avg_pool("adaptive_avg_pool2d", *pair, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """`adaptive_avg_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    pair = kernels.adaptive_avg_pool3d, kernels.adaptive_avg_pool3d_backward
    return _adaptive_avg_pool("adaptive_avg_pool3d", *pair, input, output_size)


def _adaptive_avg_pool(name, pool, pool_backward, input, output_size):
    shape = checked(name, input).array.shape

    def forward(x):
        return pool(x, output_size)

    return record_linear(name, forward, lambda dy: pool_backward(dy, shape), input)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    pair = kernels.adaptive_max_pool1d, kernels.adaptive_max_pool1d_backward
    return _adaptive_max_pool("adaptive_max_pool1d", *pair, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest elements of windows that cover each plane, one for each element of the requested output.

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
        Invalid dtypes, shapes or sizes.
    """
    pair = kernels.adaptive_max_pool2d, kernels.adaptive_max_pool2d_backward
    return _adaptive_max_pool("adaptive_max_pool2d", *pair, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    pair = kernels.adaptive_max_pool3d, kernels.adaptive_max_pool3d_backward
    return _adaptive_max_pool("adaptive_max_pool3d", *pair, input, output_size, return_indices)


def _adaptive_max_pool(name, pool, pool_backward, input, output_size, return_indices):
    x = checked(name, input).array
    y, positions = pool(x, output_size, True)
    shape = x.shape
    indices = Tensor(positions) if return_indices else None

    def backward(dy):
        return pool_backward(dy, shape, positions)

    def derivative(dy, indices):
        return record_linear(name, backward, lambda d: taken(d, positions, int(name[-2])), dy, (indices,))

    result = record(name, y, (input,), backward, (indices,), derivative=derivative)
    return (result, indices) if return_indices else result


def max_unpool1d(input, indices, kernel_size, stride=None, padding: Any = 0, output_size=None):
    """`max_unpool2d` over the last dimension of (N, C, L) or (C, L)."""
    window = kernel_size, stride, padding, output_size
    return _max_unpool("max_unpool1d", kernels.max_unpool1d, kernels.max_unpool1d_backward, input, indices, window)


def max_unpool2d(input, indices, kernel_size, stride=None, padding: Any = 0, output_size=None):
    """Partial inverse of `max_pool2d`: each element at its index in a larger plane, which is 0 elsewhere.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    indices : Tensor or array of int64, of the shape of `input`
        As `max_pool2d` returns them.
    kernel_size, stride, padding
        Those of the pooling.
    output_size : tuple of int, optional
        The size of the plane, or the whole shape of the result; by default, computed from the pooling's arguments.

    Returns
    -------
    Tensor (N, C, *output_size) or (C, *output_size)

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or sizes.
    IndexError
        An index lies outside the plane.
    """
    window = kernel_size, stride, padding, output_size
    return _max_unpool("max_unpool2d", kernels.max_unpool2d, kernels.max_unpool2d_backward, input, indices, window)


def max_unpool3d(input, indices, kernel_size, stride=None, padding: Any = 0, output_size=None):
    """`max_unpool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    window = kernel_size, stride, padding, output_size
    return _max_unpool("max_unpool3d", kernels.max_unpool3d, kernels.max_unpool3d_backward, input, indices, window)


def _max_unpool(name, unpool, unpool_backward, input, indices, window):
    checked(name, input)
    positions, output_size = constant(name, indices, "indices"), window[3]
    if output_size is not None:
        window = (*window[:3], ints_of(name, "output_size", output_size))

    def forward(x):
        return unpool(x, positions, *window)

    return record_linear(name, forward, lambda dy: unpool_backward(dy, positions), input, (indices,))
