"""Lazy layers: the number of inputs is known at the first call, which makes each the layer of its plain name."""

from typing import Any

from nn.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nn.linear import Linear
from nn.module import Module
from nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from nn.parameter import UninitializedBuffer, UninitializedParameter, is_uninitialized

__all__ = ["LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d"]
__all__ += ["LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d"]
__all__ += ["LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear"]


class _Lazy(Module):
    """Base class: `cls_to_become` is the plain layer, `_counts` its attribute with the number of inputs."""

    cls_to_become = None

    def _forget(self):
        """Replace the parameters and buffers, whose shapes are not known yet."""
        for name, parameter in list(self._direct_parameters()):
            setattr(self, name, UninitializedParameter(dtype=parameter.dtype))
        for name, buffer in list(self._direct_buffers()):
            if buffer.ndim:  # all but the number of batches
                setattr(self, name, UninitializedBuffer(dtype=buffer.dtype))

    def has_uninitialized_params(self):
        """Whether the module was neither called nor loaded yet."""
        return any(is_uninitialized(t) for t in (*self.parameters(), *self.buffers()))

    def initialize_parameters(self, *args, **kwargs):
        """Find the number of inputs, and make the parameters."""
        count = self._count(*args, **kwargs)
        setattr(self, self._counts, count)
        if self.has_uninitialized_params():
            for name, tensor in (*self._direct_parameters(), *self._direct_buffers()):
                if is_uninitialized(tensor):
                    tensor.materialize(self._shape(name, count))
            self.reset_parameters()

    def __call__(self, *args, **kwargs):
        self.initialize_parameters(*args, **kwargs)
        self.__class__ = self.cls_to_become
        return self(*args, **kwargs)


class LazyLinear(_Lazy, Linear):
    """A `Linear` layer that takes the number of its inputs from the first one.

    Parameters
    ----------
    out_features : int
    bias : bool, default True

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyLinear(2)
    >>> layer(nn.ones(1, 3)).shape
    (1, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    """

    cls_to_become, _counts = Linear, "in_features"

    def __init__(self, out_features, bias=True, device=None, dtype=None):
        super().__init__(0, out_features, bias, device, dtype)
        self._forget()

    def _count(self, input):
        return input.shape[-1]

    def _shape(self, name, count):
        return (self.out_features, count) if name == "weight" else (self.out_features,)


class _LazyConvolution(_Lazy):
    _counts = "in_channels"

    def _count(self, input, output_size=None):
        if input.ndim not in (self.ndim + 1, self.ndim + 2):
            dims = f"{self.ndim + 1}-D or {self.ndim + 2}-D"
            raise ValueError(f"{type(self).__name__}: expected {dims} input, got shape {input.shape}")
        return input.shape[-self.ndim - 1]


class _LazyConv(_LazyConvolution):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        options = stride, padding, dilation, groups, bias, padding_mode, device, dtype
        super().__init__(0, out_channels, kernel_size, *options)
        self._forget()

    def _shape(self, name, count):
        out = self.out_channels
        return (out, count // self.groups, *self.kernel_size) if name == "weight" else (out,)


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` layer that takes the number of its channels from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyConv1d(4, 3)
    >>> layer(nn.zeros(2, 3, 8)).shape, layer.in_channels
    ((2, 4, 6), 3)
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` layer that takes the number of its channels from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyConv2d(4, 3)
    >>> layer(nn.zeros(2, 3, 8, 8)).shape, layer.in_channels
    ((2, 4, 6, 6), 3)
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` layer that takes the number of its channels from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyConv3d(4, 3)
    >>> layer(nn.zeros(2, 3, 8, 8, 8)).shape, layer.in_channels
    ((2, 4, 6, 6, 6), 3)
    """

    cls_to_become = Conv3d


class _LazyConvTranspose(_LazyConvolution):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups=1,
        bias=True,
        dilation: Any = 1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        options = stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype
        super().__init__(0, out_channels, kernel_size, *options)
        self._forget()

    def _shape(self, name, count):
        out = self.out_channels
        return (count, out // self.groups, *self.kernel_size) if name == "weight" else (out,)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` layer that takes the number of its channels from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyConvTranspose1d(4, 2, stride=2)
    >>> layer(nn.zeros(2, 3, 8)).shape, layer.in_channels
    ((2, 4, 16), 3)
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` layer that takes the number of its channels from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyConvTranspose2d(4, 2, stride=2)
    >>> layer(nn.zeros(2, 3, 8, 8)).shape, layer.in_channels
    ((2, 4, 16, 16), 3)
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` layer that takes the number of its channels from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyConvTranspose3d(4, 2, stride=2)
    >>> layer(nn.zeros(2, 3, 8, 8, 8)).shape, layer.in_channels
    ((2, 4, 16, 16, 16), 3)
    """

    cls_to_become = ConvTranspose3d


class _LazyNorm(_Lazy):
    _counts = "num_features"

    def __init__(
        self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self._forget()

    def _count(self, input):
        self._check(input)
        return input.shape[self._channel_dim(input)]

    def _channel_dim(self, input):
        return 1

    def _shape(self, name, count):
        return (count,)


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A `BatchNorm1d` layer that takes the number of its features from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyBatchNorm1d()
    >>> layer(nn.zeros(2, 3, 8)).shape, layer.num_features
    ((2, 3, 8), 3)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A `BatchNorm2d` layer that takes the number of its features from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyBatchNorm2d()
    >>> layer(nn.zeros(2, 3, 8, 8)).shape, layer.num_features
    ((2, 3, 8, 8), 3)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A `BatchNorm3d` layer that takes the number of its features from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyBatchNorm3d()
    >>> layer(nn.zeros(2, 3, 8, 8, 8)).shape, layer.num_features
    ((2, 3, 8, 8, 8), 3)
    """

    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    def _channel_dim(self, input):
        return input.ndim - self._dimensions[0]  # without a batch, the first


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """An `InstanceNorm1d` layer that takes the number of its features from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyInstanceNorm1d()
    >>> layer(nn.zeros(2, 3, 8)).shape, layer.num_features
    ((2, 3, 8), 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """An `InstanceNorm2d` layer that takes the number of its features from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyInstanceNorm2d()
    >>> layer(nn.zeros(2, 3, 8, 8)).shape, layer.num_features
    ((2, 3, 8, 8), 3)
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """An `InstanceNorm3d` layer that takes the number of its features from the first input.

    Examples
    --------
    >>> import nn
    >>> layer = nn.LazyInstanceNorm3d()
    >>> layer(nn.zeros(2, 3, 8, 8, 8)).shape, layer.num_features
    ((2, 3, 8, 8, 8), 3)
    """

    cls_to_become = InstanceNorm3d
