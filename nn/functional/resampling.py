"""Patches (im2col and col2im), interpolation, and pixel shuffling."""

from typing import Any

import kernels
from nn.functional.arguments import checked
from nn.operations.arguments import bool_of
from nn.storage import Tensor
from nn.tape import record_linear

__all__ = ["channel_shuffle", "fold", "interpolate", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]
__all__ += ["unfold", "upsample", "upsample_bilinear", "upsample_nearest"]


def unfold(input, kernel_size, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
    """The patch of each window as a column (im2col).

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    kernel_size : int or tuple of int
    dilation : int or tuple of int, default 1
        Distance between the elements of a window.
    padding : int or tuple of int, default 0
        Zeros on each side.
    stride : int or tuple of int, default 1

    Returns
    -------
    Tensor (N, C * KH * KW, L) or (C * KH * KW, L)
        A column for each of the L windows.

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.
    """
    shape, window = checked("unfold", input).array.shape, (kernel_size, dilation, padding, stride)

    def forward(x):
        return kernels.unfold(x, *window)

    return record_linear("unfold", forward, lambda dy: kernels.unfold_backward(dy, shape, *window), input)


def fold(input, output_size, kernel_size, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
    """Sum patches at the positions from which `unfold` takes them (col2im).

    Parameters
    ----------
    input : Tensor (N, C * KH * KW, L) or (C * KH * KW, L)
        A column for each patch.
    output_size : int or tuple of int
    kernel_size, dilation, padding, stride
        As for `unfold`.

    Returns
    -------
    Tensor (N, C, *output_size) or (C, *output_size)

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.
    """
    shape, window = checked("fold", input).array.shape, (kernel_size, dilation, padding, stride)

    def forward(x):
        return kernels.fold(x, output_size, *window)

    return record_linear("fold", forward, lambda dy: kernels.fold_backward(dy, shape, *window), input)


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Resample to another size.

    Parameters
    ----------
    input : Tensor (N, C, L), (N, C, H, W) or (N, C, D, H, W)
    size : int or tuple of int, optional
    scale_factor : float or tuple of float, optional
        Instead of `size`.
    mode : {"nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"}
    align_corners : bool, optional
        Whether the outermost elements of input and result coincide; for the linear modes and bicubic.
    recompute_scale_factor : bool, optional
        Whether the scale is the ratio of the sizes rather than `scale_factor`.
    antialias : bool, default False
        Whether each element of a smaller result averages all input elements around it; for bilinear and bicubic.

    Returns
    -------
    Tensor (N, C, *size)

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.
    """
    for argument, flag in (("align_corners", align_corners), ("recompute_scale_factor", recompute_scale_factor)):
        if flag is not None:
            bool_of("interpolate", argument, flag)
    if antialias is not False:
        bool_of("interpolate", "antialias", antialias)
    scale_factor = scale_factor.item() if isinstance(scale_factor, Tensor) else scale_factor
    options = size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    shape = checked("interpolate", input).array.shape

    def forward(x):
        return kernels.interpolate(x, *options)

    return record_linear("interpolate", forward, lambda dy: kernels.interpolate_backward(dy, shape, *options), input)


def pixel_shuffle(input, upscale_factor):
    """Rearrange each r² channels into blocks of r × r pixels of one channel.

    Parameters
    ----------
    input : Tensor (..., C * r², H, W)
    upscale_factor : int
        The factor r.

    Returns
    -------
    Tensor (..., C, H * r, W * r)

    Raises
    ------
    ValueError
        Fewer than 3 dimensions, or the number of channels is not a multiple of r².

    Reference: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network" (2016), equation 4.
    """
    (*leading, channels, height, width), r = _image("pixel_shuffle", input), upscale_factor
    if r < 1 or channels % r**2:
        raise ValueError(f"pixel_shuffle: channels must be a multiple of upscale_factor² = {r**2}, got {channels}")
    n = len(leading)
    blocks = input.reshape(*leading, channels // r**2, r, r, height, width)
    blocks = blocks.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return blocks.reshape(*leading, channels // r**2, height * r, width * r)


def pixel_unshuffle(input, downscale_factor):
    """The inverse of `pixel_shuffle`.

    Parameters
    ----------
    input : Tensor (..., C, H * r, W * r)
    downscale_factor : int
        The factor r.

    Returns
    -------
    Tensor (..., C * r², H, W)

    Raises
    ------
    ValueError
        Fewer than 3 dimensions, or the height or width is not a multiple of r.
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


def channel_shuffle(input, groups):
    """Rearrange the channels, C = groups · n: the first of each group, then the second of each, and so on.

    Parameters
    ----------
    input : Tensor (N, C, ...)
    groups : int

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    ValueError
        Fewer than 3 dimensions, or `groups` does not divide C.

    Reference: Zhang et al., "ShuffleNet" (2018), section 3.1.
    """
    shape = checked("channel_shuffle", input).shape
    if len(shape) < 3 or groups < 1 or shape[1] % groups:
        raise ValueError(f"channel_shuffle: needs (N, C, ...) with {groups} groups of channels, got shape {shape}")
    return input.reshape(shape[0], groups, shape[1] // groups, -1).transpose(1, 2).reshape(shape)


native_channel_shuffle = channel_shuffle


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """`interpolate`, under its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` with ``mode="nearest"``, under its older name."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """`interpolate` with ``mode="bilinear"`` and ``align_corners=True``, under its older name."""
    return interpolate(input, size, scale_factor, "bilinear", True)
