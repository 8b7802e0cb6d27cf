"""Convolutional layers: `Conv1d` to `Conv3d`, and the transposed ones, which reverse their change of size."""

import math
from typing import Any

import numpy as np

from nn import functional as F
from nn import init
from nn.factory import placed
from nn.module import Module, require_sizes
from nn.parameter import Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """Base class of all convolutions: the sizes, the parameters and their initialisation."""

    ndim = None  # number of dimensions along which the kernel slides

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        dilation,
        output_padding,
        groups,
        bias,
        padding_mode,
        weight_channels,
    ):
        super().__init__()
        name = type(self).__name__
        require_sizes(self, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if groups < 1:
            raise ValueError(f"{name}: groups must be at least 1, got {groups}")
        for label, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name}: {label} must be divisible by groups, got {channels} and {groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = self._each("kernel_size", kernel_size), self._each("stride", stride)
        for size in self.kernel_size:
            require_sizes(self, kernel_size=size)
        self.padding = padding if isinstance(padding, str) else self._each("padding", padding)
        self.dilation = self._each("dilation", dilation)
        self.output_padding = self._each("output_padding", output_padding)
        self.padding_mode = padding_mode
        first, second = weight_channels
        self.weight = Parameter(np.empty((first, second // groups, *self.kernel_size), np.float32))
        self.bias = Parameter(np.empty(out_channels, np.float32)) if bias else None
        self.reset_parameters()

    def _each(self, label, value):
        """One number for each dimension."""
        if np.ndim(value) == 0:
            return (value,) * self.ndim
        if len(value) != self.ndim:
            raise ValueError(f"{type(self).__name__}: {label} must be a number or {self.ndim} of them, got {value}")
        return tuple(value)

    def reset_parameters(self):
        """Draw weight and bias uniformly from ±1 / √fan_in, as PyTorch does: kaiming_uniform_ with a = √5."""
        fan_in = math.prod(self.weight.shape[1:])
        bound = 1 / math.sqrt(fan_in) if fan_in else 0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self):
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        defaults = {"padding": (0,) * self.ndim, "dilation": (1,) * self.ndim, "output_padding": (0,) * self.ndim}
        for name, value in (defaults | {"groups": 1}).items():
            if getattr(self, name) != value:
                shown += f", {name}={getattr(self, name)}"
        if self.bias is None:
            shown += ", bias=False"
        return shown + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels,
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
        name = type(self).__name__
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {', '.join(PADDING_MODES)}, not {padding_mode!r}")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"{name}: padding must be numbers, 'same' or 'valid', not {padding!r}")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            (out_channels, in_channels),
        )
        placed(self, device, dtype)
        if padding == "same" and self.stride != (1,) * self.ndim:
            raise ValueError(f"{name}: padding 'same' needs stride 1, got {self.stride}")

    def _borders(self):
        """The widths for `F.pad`, last dimension first."""
        widths = []
        for i in reversed(range(self.ndim)):
            if self.padding == "same":
                both = self.dilation[i] * (self.kernel_size[i] - 1)
                widths += [both // 2, both - both // 2]
            else:
                widths += [0 if self.padding == "valid" else self.padding[i]] * 2
        return widths

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._borders(), self.padding_mode), 0
        return self._convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Convolution of sequences (N, C, L); see `Conv2d`.

    Examples
    --------
    >>> import nn
    >>> nn.Conv1d(3, 8, 5, padding=2)(nn.zeros(2, 3, 40)).shape
    (2, 8, 40)
    """

    ndim, _convolve = 1, staticmethod(F.conv1d)


class Conv2d(_Conv):
    """Convolution of images: each output channel is the sum of all input channels, each with its own kernel.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or pair
    stride : int or pair, default 1
        Distance between neighbouring positions of the kernel.
    padding : int, pair, "same" or "valid", default 0
        Number of elements added at both ends of each dimension; "same" keeps the size, with stride 1.
    dilation : int or pair, default 1
        Distance between neighbouring elements of the kernel.
    groups : int, default 1
        Number of groups that the channels are divided into; with `in_channels` groups, the convolution is depthwise.
    bias : bool, default True
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What the padding consists of: zeros, the mirror image, the edge, or the opposite end.

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, KH, KW)
    bias : Parameter (out_channels,) or None

    Raises
    ------
    ValueError
        `groups` does not divide the channels, "same" with a stride other than 1, or an unknown padding or mode.

    Examples
    --------
    >>> import nn
    >>> nn.Conv2d(3, 16, 5, stride=2, padding=2)(nn.zeros(1, 3, 32, 32)).shape
    (1, 16, 16, 16)
    """

    ndim, _convolve = 2, staticmethod(F.conv2d)


class Conv3d(_Conv):
    """Convolution of volumes (N, C, D, H, W); see `Conv2d`.

    Examples
    --------
    >>> import nn
    >>> nn.Conv3d(1, 4, 3)(nn.zeros(2, 1, 8, 8, 8)).shape
    (2, 4, 6, 6, 6)
    """

    ndim, _convolve = 3, staticmethod(F.conv3d)


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels,
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
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__}: padding_mode must be zeros, not {padding_mode!r}")
        if isinstance(padding, str):
            raise ValueError(f"{type(self).__name__}: padding must be numbers, not {padding!r}")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            (in_channels, out_channels),
        )
        placed(self, device, dtype)

    def forward(self, input, output_size=None):
        extra = self.output_padding if output_size is None else self._output_padding(input.shape, output_size)
        options = self.stride, self.padding, extra, self.groups, self.dilation
        return self._convolve(input, self.weight, self.bias, *options)

    def _output_padding(self, shape, output_size):
        """The output padding with which the result has `output_size`."""
        wanted = tuple(output_size)[-self.ndim :]
        smallest = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                shape[-self.ndim :], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        if len(wanted) != self.ndim or any(
            not 0 <= w - low < s for w, low, s in zip(wanted, smallest, self.stride, strict=True)
        ):
            name, low = type(self).__name__, tuple(smallest)
            high = tuple(n + s - 1 for n, s in zip(smallest, self.stride, strict=True))
            raise ValueError(f"{name}: output_size must be from {low} to {high}, got {tuple(output_size)}")
        return tuple(w - low for w, low in zip(wanted, smallest, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of sequences (N, C, L); see `ConvTranspose2d`.

    Examples
    --------
    >>> import nn
    >>> nn.ConvTranspose1d(3, 8, 4, stride=2, padding=1)(nn.zeros(2, 3, 20)).shape
    (2, 8, 40)
    """

    ndim, _convolve = 1, staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images: from a convolution's output shape back to its input shape.

    A call with ``output_size`` chooses the output padding for that size.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or pair
    stride, padding : int or pair, default 1 and 0
        Those of the convolution whose change of size this reverses.
    output_padding : int or pair, default 0
        Rows and columns to add at the end of the result.
    groups : int, default 1
    bias : bool, default True
    dilation : int or pair, default 1
        That of the convolution whose change of size this reverses.
    padding_mode : {"zeros"}

    Attributes
    ----------
    weight : Parameter (in_channels, out_channels / groups, KH, KW)
    bias : Parameter (out_channels,) or None

    Raises
    ------
    ValueError
        `groups` does not divide the channels.

    Examples
    --------
    >>> import nn
    >>> nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1)(nn.zeros(1, 16, 8, 8)).shape
    (1, 3, 16, 16)
    """

    ndim, _convolve = 2, staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes (N, C, D, H, W); see `ConvTranspose2d`.

    Examples
    --------
    >>> import nn
    >>> nn.ConvTranspose3d(1, 4, 2, stride=2)(nn.zeros(2, 1, 4, 4, 4)).shape
    (2, 4, 8, 8, 8)
    """

    ndim, _convolve = 3, staticmethod(F.conv_transpose3d)
