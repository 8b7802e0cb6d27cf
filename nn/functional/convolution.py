"""Convolution and transposed convolution."""

from typing import Any

import kernels
from nn.functional.arguments import not_tensors
from nn.functional.trilinear import record_factor
from nn.operations.reductions import sum as sum_of
from nn.tape import record

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv1d(input, weight, bias=None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups=1):
    """Slide a kernel over sequences; see `conv2d`."""
    return _record(
        "conv1d", kernels.conv1d, kernels.conv1d_backward, input, weight, bias, (stride, padding, dilation, groups)
    )


def conv2d(input, weight, bias=None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups=1):
    """Slide a kernel over images.

    Parameters
    ----------
    input : Tensor (N, in_channels, H, W) or (in_channels, H, W)
    weight : Tensor (out_channels, in_channels / groups, KH, KW)
    bias : Tensor (out_channels,), optional
    stride, dilation : int or pair
    padding : int, pair, "same" or "valid"
        Number of zeros at both ends of each dimension.
    groups : int
        Number of groups of channels: each group of output channels depends on one group of input channels.

    Returns
    -------
    Tensor (N, out_channels, OH, OW) or (out_channels, OH, OW)
    """
    return _record(
        "conv2d", kernels.conv2d, kernels.conv2d_backward, input, weight, bias, (stride, padding, dilation, groups)
    )


def conv3d(input, weight, bias=None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups=1):
    """Slide a kernel over volumes; see `conv2d`."""
    return _record(
        "conv3d", kernels.conv3d, kernels.conv3d_backward, input, weight, bias, (stride, padding, dilation, groups)
    )


def conv_transpose1d(
    input, weight, bias=None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups=1, dilation: Any = 1
):
    """The gradient of `conv1d` with respect to its input, as an operation; see `conv_transpose2d`."""
    geometry = stride, padding, output_padding, groups, dilation
    return _record(
        "conv_transpose1d", kernels.conv_transpose1d, kernels.conv_transpose1d_backward, input, weight, bias, geometry
    )


def conv_transpose2d(
    input, weight, bias=None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups=1, dilation: Any = 1
):
    """The gradient of `conv2d` with respect to its input, as an operation: each input element adds a scaled kernel.

    Parameters
    ----------
    input : Tensor (N, in_channels, H, W) or (in_channels, H, W)
    weight : Tensor (in_channels, out_channels / groups, KH, KW)
    bias : Tensor (out_channels,), optional
    stride, padding, dilation : int or pair
        Those of the convolution whose gradient this is.
    output_padding : int or pair
        Rows and columns to add at the end: with a stride, several input sizes of a convolution have one output size.
    groups : int

    Returns
    -------
    Tensor (N, out_channels, OH, OW) or (out_channels, OH, OW)
    """
    geometry = stride, padding, output_padding, groups, dilation
    return _record(
        "conv_transpose2d", kernels.conv_transpose2d, kernels.conv_transpose2d_backward, input, weight, bias, geometry
    )


def conv_transpose3d(
    input, weight, bias=None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups=1, dilation: Any = 1
):
    """The gradient of `conv3d` with respect to its input, as an operation; see `conv_transpose2d`."""
    geometry = stride, padding, output_padding, groups, dilation
    return _record(
        "conv_transpose3d", kernels.conv_transpose3d, kernels.conv_transpose3d_backward, input, weight, bias, geometry
    )


def _record(name, forward, backward, input, weight, bias, geometry):
    """Record a pair of kernels on the tape; `geometry` are the arguments that follow x, weight and bias in both."""
    try:
        x, w, b = input.array, weight.array, None if bias is None else bias.array
    except AttributeError:
        raise not_tensors(name, input=input, weight=weight, bias=bias) from None
    needs = (input.requires_grad, weight.requires_grad, b is not None and bias.requires_grad)
    if not w.size:
        _check_channels(name, w.shape)

    def gradients(dy):
        return backward(dy, x, w, *geometry, needs=needs)

    def derivative(dy, input, weight):
        maps = (
            lambda x, w, dy: backward(dy, x, w, *geometry, needs=(True, False, False))[0],
            lambda x, w, dy: backward(dy, x, w, *geometry, needs=(False, True, False))[1],
            lambda x, w, dy: forward(x, w, None, *geometry),
        )
        factors = (input, weight, dy)
        others = tuple(d for d in range(dy.ndim) if d != dy.ndim - w.ndim + 1)  # all but the channels
        return (
            record_factor(name, maps, 0, factors) if needs[0] else None,
            record_factor(name, maps, 1, factors) if needs[1] else None,
            sum_of(dy, others) if needs[2] else None,
        )

    y = forward(x, w, b, *geometry)
    return record(name, y, (input, weight, bias), gradients, (input, weight), derivative=derivative)


def _check_channels(name, shape):
    """ValueError if there are no output channels, or no input channels of a transposed convolution, as in PyTorch."""
    rule, axes = ("output channel", 1) if "transpose" not in name else ("input and output channel", 2)
    if 0 in shape[:axes]:
        raise ValueError(f"{name}: weight must have at least 1 {rule}, got shape {shape}")
