"""Patches as columns: the public functions; see `patches`."""

import math

import numpy as np

from kernels import _checks
from kernels.pooling.patches import col2im_lines, im2col_lines
from kernels.pooling.windows import check_size, gradient, grain_and_threads, numbers, steps


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """The elements of each window, its patch, as a column.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``.
    kernel_size, dilation, padding, stride : int or tuple of int
        As of `max_pool2d`; the padding is zeros, and of any width.

    Returns
    -------
    ndarray
        Shape ``(N, C * KH * KW, L)`` or ``(C * KH * KW, L)``, L the number of windows.

    Raises
    ------
    TypeError, ValueError
        Another dtype or number of dimensions, an empty C, H or W, sizes out of range, a window larger than the padded
        input.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import unfold
    >>> unfold(np.arange(9.0).reshape(1, 3, 3), 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    x = _checks.floats("unfold", "x", x)
    return _unfold("unfold", x, kernel_size, dilation, padding, stride)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The array of sums whose patches are columns: elements of overlapping patches are added.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C * KH * KW, L)`` or ``(C * KH * KW, L)``.
    output_size : int or tuple of int
        H and W of the result.
    kernel_size, dilation, padding, stride : int or tuple of int
        As of `unfold`.

    Returns
    -------
    ndarray
        Shape ``(N, C, H, W)`` or ``(C, H, W)``.

    Raises
    ------
    TypeError, ValueError
        As `unfold`; if the rows of `x` are no multiple of the window's elements, or its columns not the windows.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import fold
    >>> fold(np.ones((4, 4)), 3, 2)
    array([[[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]]])
    """
    x = _checks.floats("fold", "x", x)
    return _fold("fold", x, output_size, kernel_size, dilation, padding, stride)


def unfold_backward(dy, shape, kernel_size, dilation=1, padding=0, stride=1):
    """Gradient of `unfold` with respect to `x`: `fold` of `dy`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    kernel_size, dilation, padding, stride
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `unfold`; also if `dy` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import unfold_backward
    >>> unfold_backward(np.ones((4, 4)), (1, 3, 3), 2)
    array([[[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]]])
    """
    _, _, columns = _patches("unfold_backward", shape, kernel_size, dilation, padding, stride)
    dy = gradient("unfold_backward", dy, columns)
    return _fold("unfold_backward", dy, tuple(shape[-2:]), kernel_size, dilation, padding, stride)


def fold_backward(dy, shape, kernel_size, dilation=1, padding=0, stride=1):
    """Gradient of `fold` with respect to `x`: `unfold` of `dy`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    kernel_size, dilation, padding, stride
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `fold`; also if `dy` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import fold_backward
    >>> fold_backward(np.ones((1, 3, 3)), (4, 4), 2).shape
    (4, 4)
    """
    dy = _checks.floats("fold_backward", "dy", dy)
    _, _, columns = _patches("fold_backward", dy.shape, kernel_size, dilation, padding, stride)
    if columns != tuple(shape):
        raise ValueError(f"fold_backward: dy of shape {dy.shape} has patches {columns}, not {tuple(shape)}")
    return _unfold("fold_backward", dy, kernel_size, dilation, padding, stride)


def _patches(operation, shape, kernel_size, dilation, padding, stride):
    """The loops' sizes for an array of `shape`, the numbers of windows, and the shape of its columns."""
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise ValueError(f"{operation}: x must have shape (N, C, H, W) or (C, H, W), with no C, H, W of 0, got {shape}")
    kernel, stride = numbers(operation, "kernel_size", kernel_size, 2, 1), numbers(operation, "stride", stride, 2, 1)
    padding, dilation = (
        numbers(operation, "padding", padding, 2, 0),
        numbers(operation, "dilation", dilation, 2, 1),
    )
    out = tuple(steps(*each, False) for each in zip(shape[-2:], kernel, stride, padding, dilation, strict=True))
    if min(out) < 1:
        raise ValueError(
            f"{operation}: the window is larger than the padded input: kernel_size {kernel}, dilation {dilation}, "
            f"padding {padding} on {tuple(shape[-2:])}"
        )
    columns = (*shape[:-3], shape[-3] * math.prod(kernel), math.prod(out))
    check_size(operation, columns)
    stride = tuple(1 if o == 1 else s for s, o in zip(stride, out, strict=True))
    sizes = np.array([(1, *kernel), (1, *stride), (0, *padding), (1, *dilation)], np.int64)
    return sizes, (1, *out), columns


def _unfold(operation, x, kernel_size, dilation, padding, stride):
    sizes, out, shape = _patches(operation, x.shape, kernel_size, dilation, padding, stride)
    columns = _checks.new(shape, x.dtype)
    planes = math.prod(x.shape[:-2])
    elements = columns.shape[-2] // x.shape[-3]  # of a window
    arguments = x.reshape(planes, 1, *x.shape[-2:]), sizes, columns.reshape(planes, elements, *out)
    im2col_lines(arguments, planes * elements, *grain_and_threads(planes * elements, columns.size))
    return columns


def _fold(operation, x, output_size, kernel_size, dilation, padding, stride):
    size = numbers(operation, "output_size", output_size, 2, 1)
    elements = math.prod(numbers(operation, "kernel_size", kernel_size, 2, 1))  # of a window
    if x.ndim not in (2, 3) or x.shape[-2] % elements or not x.shape[-2]:
        raise ValueError(
            f"{operation}: x must have shape (N, C * {elements}, L) or (C * {elements}, L) for kernel_size "
            f"{kernel_size}, got {x.shape}"
        )
    shape = (*x.shape[:-2], x.shape[-2] // elements, *size)
    check_size(operation, shape)
    sizes, out, columns = _patches(operation, shape, kernel_size, dilation, padding, stride)
    if columns != x.shape:
        raise ValueError(f"{operation}: output_size {size} has {math.prod(out)} windows, x is {x.shape}")
    y = _checks.new(shape, x.dtype)
    planes = math.prod(shape[:-2])
    arguments = x.reshape(planes, elements, *out), sizes, y.reshape(planes, 1, *size)
    col2im_lines(arguments, planes * size[0], *grain_and_threads(planes * size[0], x.size + y.size))
    return y
