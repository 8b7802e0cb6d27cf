"""Pooling and resampling as modules: each applies the function of its name in `nn.functional`."""

from typing import Any

from nn import functional as F
from nn.module import Module

__all__ = ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"]
__all__ += ["AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "Fold", "LPPool1d", "LPPool2d", "LPPool3d"]
__all__ += ["MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "PixelShuffle"]
__all__ += ["PixelUnshuffle", "Unfold", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


def _each(value, dims):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


class _MaxPool(Module):
    def __init__(
        self, kernel_size, stride=None, padding: Any = 0, dilation: Any = 1, return_indices=False, ceil_mode=False
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input):
        return self._pool(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window; see `MaxPool2d`.

    Examples
    --------
    >>> import nn
    >>> nn.MaxPool1d(2)(nn.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[3., 2.]]])
    """

    _pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest element of each window.

    Parameters
    ----------
    kernel_size : int or tuple of int
    stride : int or tuple of int, optional
        By default `kernel_size`.
    padding, dilation : int or tuple of int
    return_indices : bool, default False
        Whether to return the elements' indices in their plane as well (for `MaxUnpool2d`).
    ceil_mode : bool, default False
        Whether the last window may extend beyond the padding.

    Examples
    --------
    >>> import nn
    >>> nn.MaxPool2d(3, stride=2, padding=1)(nn.zeros(8, 64, 112, 112)).shape
    (8, 64, 56, 56)
    """

    _pool = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest element of each window; see `MaxPool2d`.

    Examples
    --------
    >>> import nn
    >>> nn.MaxPool3d(2)(nn.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _pool = staticmethod(F.max_pool3d)


class MaxUnpool1d(Module):
    """The inverse of `MaxPool1d`; see `MaxUnpool2d`.

    Examples
    --------
    >>> import nn
    >>> pool = nn.MaxPool1d(2, return_indices=True)
    >>> nn.MaxUnpool1d(2)(*pool(nn.randn(1, 3, 8))).shape
    (1, 3, 8)
    """

    _dims, _unpool = 1, staticmethod(F.max_unpool1d)

    def __init__(self, kernel_size, stride=None, padding: Any = 0):
        super().__init__()
        self.kernel_size = _each(kernel_size, self._dims)
        self.stride = _each(kernel_size if stride is None else stride, self._dims)
        self.padding = _each(padding, self._dims)

    def forward(self, input, indices, output_size=None):
        return self._unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool2d(MaxUnpool1d):
    """Put each maximum back at its index in a plane that is 0 elsewhere; the arguments are those of `MaxPool2d`.

    Examples
    --------
    >>> import nn
    >>> pool = nn.MaxPool2d(2, return_indices=True)
    >>> nn.MaxUnpool2d(2)(*pool(nn.randn(1, 3, 8, 8))).shape
    (1, 3, 8, 8)
    """

    _dims, _unpool = 2, staticmethod(F.max_unpool2d)


class MaxUnpool3d(MaxUnpool1d):
    """The inverse of `MaxPool3d`; see `MaxUnpool2d`.

    Examples
    --------
    >>> import nn
    >>> pool = nn.MaxPool3d(2, return_indices=True)
    >>> nn.MaxUnpool3d(2)(*pool(nn.randn(1, 3, 8, 8, 8))).shape
    (1, 3, 8, 8, 8)
    """

    _dims, _unpool = 3, staticmethod(F.max_unpool3d)


class AvgPool1d(Module):
    """The average of each window; see `AvgPool2d`.

    Examples
    --------
    >>> import nn
    >>> nn.AvgPool1d(2)(nn.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(self, kernel_size, stride=None, padding: Any = 0, ceil_mode=False, count_include_pad=True):
        super().__init__()
        self.kernel_size = _each(kernel_size, 1)
        self.stride = _each(kernel_size if stride is None else stride, 1)
        self.padding = _each(padding, 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input):
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The average of each window.

    Parameters
    ----------
    kernel_size : int or tuple of int
    stride : int or tuple of int, optional
        By default `kernel_size`.
    padding : int or tuple of int
    ceil_mode : bool, default False
        Whether the last window may extend beyond the padding.
    count_include_pad : bool, default True
        Whether the zeros of the padding count as elements of a window.
    divisor_override : int, optional
        The number that sums are divided by, in place of the number of elements.

    Examples
    --------
    >>> import nn
    >>> nn.AvgPool2d(2)(nn.ones(1, 4, 4)).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """

    _pool = staticmethod(F.avg_pool2d)

    def __init__(
        self, kernel_size, stride=None, padding: Any = 0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input):
        return self._pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool3d(AvgPool2d):
    """The average of each window; see `AvgPool2d`.

    Examples
    --------
    >>> import nn
    >>> nn.AvgPool3d(2)(nn.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _pool = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input):
        return self._pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """Power-average pooling: the `norm_type`-norm of each window.

    Examples
    --------
    >>> import nn
    >>> nn.LPPool1d(2, 2)(nn.ones(1, 3, 8)).shape
    (1, 3, 4)
    """

    _pool = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """Power-average pooling: the `norm_type`-norm of each window.

    Examples
    --------
    >>> import nn
    >>> nn.LPPool2d(2, 2)(nn.ones(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    _pool = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """Power-average pooling: the `norm_type`-norm of each window.

    Examples
    --------
    >>> import nn
    >>> nn.LPPool3d(2, 2)(nn.ones(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _pool = staticmethod(F.lp_pool3d)


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, input):
        return self._pool(input, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The averages of `output_size` windows that cover the input.

    Examples
    --------
    >>> import nn
    >>> nn.AdaptiveAvgPool1d(2)(nn.zeros(1, 3, 8)).shape
    (1, 3, 2)
    """

    _pool = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The averages of `output_size` windows that cover each plane: an int, or two of (int, or None for the input's).

    Examples
    --------
    >>> import nn
    >>> nn.AdaptiveAvgPool2d(1)(nn.ones(2, 512, 7, 7)).shape
    (2, 512, 1, 1)
    """

    _pool = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The averages of `output_size` windows that cover each volume.

    Examples
    --------
    >>> import nn
    >>> nn.AdaptiveAvgPool3d(2)(nn.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 2, 2, 2)
    """

    _pool = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input):
        return self._pool(input, self.output_size, self.return_indices)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest elements of `output_size` windows that cover the input.

    Examples
    --------
    >>> import nn
    >>> nn.AdaptiveMaxPool1d(2)(nn.zeros(1, 3, 8)).shape
    (1, 3, 2)
    """

    _pool = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest elements of `output_size` windows that cover each plane.

    Examples
    --------
    >>> import nn
    >>> nn.AdaptiveMaxPool2d(2)(nn.zeros(1, 3, 8, 8)).shape
    (1, 3, 2, 2)
    """

    _pool = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest elements of `output_size` windows that cover each volume.

    Examples
    --------
    >>> import nn
    >>> nn.AdaptiveMaxPool3d(2)(nn.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 2, 2, 2)
    """

    _pool = staticmethod(F.adaptive_max_pool3d)


class Unfold(Module):
    """The patch of each window as a column: (N, C, H, W) becomes (N, C · KH · KW, L).

    Examples
    --------
    >>> import nn
    >>> nn.Unfold(2, stride=2)(nn.ones(1, 1, 4, 4)).shape
    (1, 4, 4)
    """

    def __init__(self, kernel_size, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Sum patches at the positions from which `Unfold` takes them: (N, C · KH · KW, L) becomes (N, C, *output_size).

    Examples
    --------
    >>> import nn
    >>> nn.Fold((4, 4), 2, stride=2)(nn.ones(1, 4, 4)).shape
    (1, 1, 4, 4)
    """

    def __init__(self, output_size, kernel_size, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__()
        self.output_size = output_size
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Upsample(Module):
    """Resample to another size; see `nn.functional.interpolate`.

    Examples
    --------
    >>> import nn
    >>> nn.Upsample(scale_factor=2, mode="bilinear")(nn.zeros(1, 3, 8, 8)).shape
    (1, 3, 16, 16)
    """

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        super().__init__()
        several = isinstance(scale_factor, (tuple, list))
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor = tuple(map(float, scale_factor)) if several else scale_factor and float(scale_factor)
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input):
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self):
        which = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{which}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resample planes by nearest-neighbour interpolation.

    Examples
    --------
    >>> import nn
    >>> nn.UpsamplingNearest2d(scale_factor=2)(nn.zeros(1, 3, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resample planes by bilinear interpolation with aligned corners.

    Examples
    --------
    >>> import nn
    >>> nn.UpsamplingBilinear2d(scale_factor=2)(nn.zeros(1, 3, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """Rearrange each r² channels of (..., C · r², H, W) into the pixels of one channel: (..., C, H · r, W · r).

    Reference: Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network" (2016), section 3.2.

    Examples
    --------
    >>> import nn
    >>> nn.PixelShuffle(2)(nn.zeros(1, 4, 3, 3)).shape
    (1, 1, 6, 6)
    """

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The inverse of `PixelShuffle`.

    Examples
    --------
    >>> import nn
    >>> nn.PixelUnshuffle(2)(nn.zeros(1, 1, 6, 6)).shape
    (1, 4, 3, 3)
    """

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"
