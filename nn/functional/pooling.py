"""Pooling and its inverse, patches, and resampling."""

import math

import numpy as np

import kernels
from nn.functional.arguments import checked, constant, number
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
    padding : int or tuple of int
        Elements of -inf on each side, at most half a window.
    dilation : int or tuple of int
        From one element of a window to the next.
    ceil_mode : bool
        Whether a last window may reach beyond the padding.
    return_indices : bool
        Whether to return the elements' indices in their plane as well.
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
    """The average of each window; the first arguments are those of `max_pool2d`, the padding is zeros.

    Parameters
    ----------
    count_include_pad : bool
        Whether the padding's zeros count.
    divisor_override : int, optional
        What to divide the sums by, instead.
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
    """The root of order `norm_type` of the sum of the powers of each window; with infinity, its largest magnitude."""
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
    """The averages of `output_size` windows that cover each plane: an int, or two of (int or None, as it is)."""
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
    """The largest elements of `output_size` windows that cover each plane, and if wanted their indices in it."""
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
    """Each element at its index in a larger plane that is 0 elsewhere; `indices` are those that `max_pool2d` returns.

    Parameters
    ----------
    output_size : tuple of int, optional
        The plane's size, or the whole shape of the result.
    """
    return _max_unpool("max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """`max_unpool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _max_unpool("max_unpool3d", input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(name, input, indices, *window):
    x, places = checked(name, input).data, constant(name, indices)
    y, unpool_backward = getattr(kernels, name)(x, places, *window), getattr(kernels, f"{name}_backward")
    return record(name, y, (input,), lambda dy: unpool_backward(dy, places), (indices,))


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The patch that each window of (N, C, H, W) or (C, H, W) sees, as a column: (N, C · KH · KW, L)."""
    x, window = checked("unfold", input).data, (kernel_size, dilation, padding, stride)
    shape = x.shape
    return record(
        "unfold", kernels.unfold(x, *window), (input,), lambda dy: kernels.unfold_backward(dy, shape, *window)
    )


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The sum of patches, the columns of (N, C · KH · KW, L), where `unfold` finds them: (N, C, *output_size)."""
    x, window = checked("fold", input).data, (kernel_size, dilation, padding, stride)
    shape = x.shape
    return record(
        "fold", kernels.fold(x, output_size, *window), (input,), lambda dy: kernels.fold_backward(dy, shape, *window)
    )


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Resample (N, C, L), (N, C, H, W) or (N, C, D, H, W) to another size.

    Parameters
    ----------
    size : int or tuple of int, optional
    scale_factor : float or tuple of float, optional
        Instead of `size`.
    mode : {"nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"}
    align_corners : bool, optional
        Whether the outermost elements lie on one another; for linear modes and bicubic.
    recompute_scale_factor : bool, optional
        Whether the scale is the ratio of the sizes rather than `scale_factor`.
    antialias : bool
        Whether a smaller result is made of all elements, each the mean of those around it; for bilinear and bicubic.
    """
    x = checked("interpolate", input).data
    options = size, number(scale_factor), mode, align_corners, recompute_scale_factor, antialias
    y, shape = kernels.interpolate(x, *options), x.shape
    return record("interpolate", y, (input,), lambda dy: kernels.interpolate_backward(dy, shape, *options))


def pixel_shuffle(input, upscale_factor):
    """Each r² channels of (..., C · r², H, W) become the pixels of one: (..., C, H · r, W · r).

    Raises
    ------
    ValueError
        Fewer than 3 dimensions, or channels that are no multiple of r².
    """
    (*leading, channels, height, width), r = _image("pixel_shuffle", input), upscale_factor
    if r < 1 or channels % r**2:
        raise ValueError(f"pixel_shuffle: channels must be a multiple of upscale_factor² = {r**2}, got {channels}")
    n = len(leading)
    blocks = input.reshape(*leading, channels // r**2, r, r, height, width)
    blocks = blocks.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return blocks.reshape(*leading, channels // r**2, height * r, width * r)


def pixel_unshuffle(input, downscale_factor):
    """The inverse of `pixel_shuffle`: (..., C, H · r, W · r) becomes (..., C · r², H, W).

    Raises
    ------
    ValueError
        Fewer than 3 dimensions, or a height or width that is no multiple of r.
    """
    (*leading, channels, height, width), r = _image("pixel_unshuffle", input), downscale_factor
    if r < 1 or height % r or width % r:
        raise ValueError(
            f"pixel_unshuffle: height and width must be multiples of downscale_factor {r}, got {height} and {width}"
        )
    n = len(leading)
    blocks = input.reshape(*leading, channels, height // r, r, width // r, r)
    blocks = blocks.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return blocks.reshape(*leading, channels * r**2, height // r, width // r)


def _image(name, input):
    if checked(name, input).ndim < 3:
        raise ValueError(f"{name}: input must have shape (..., C, H, W), got {input.shape}")
    return input.shape
