"""Convolution and transposed convolution."""

import kernels
from nn.functional.arguments import checked
from nn.tensor import record


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide a kernel over sequences; see `conv2d`."""
    return _record("conv1d", input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide a kernel over images.

    Parameters
    ----------
    input : Tensor (N, in_channels, H, W) or (in_channels, H, W)
    weight : Tensor (out_channels, in_channels / groups, KH, KW)
    bias : Tensor (out_channels,), optional
    stride, dilation : int or pair
    padding : int, pair, "same" or "valid"
        How many zeros to add at both ends of each dimension.
    groups : int
        Into how many groups the channels are divided, each of which sees its own input channels only.

    Returns
    -------
    Tensor (N, out_channels, OH, OW) or (out_channels, OH, OW)
    """
    return _record("conv2d", input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide a kernel over volumes; see `conv2d`."""
    return _record("conv3d", input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of `conv1d` with respect to its input, as an operation; see `conv_transpose2d`."""
    return _record("conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of `conv2d` with respect to its input, as an operation: each input paints a kernel.

    Parameters
    ----------
    input : Tensor (N, in_channels, H, W) or (in_channels, H, W)
    weight : Tensor (in_channels, out_channels / groups, KH, KW)
    bias : Tensor (out_channels,), optional
    stride, padding, dilation : int or pair
        Of the convolution that this turns round.
    output_padding : int or pair
        How many more rows and columns to return: the sizes that such a convolution does not tell apart.
    groups : int

    Returns
    -------
    Tensor (N, out_channels, OH, OW) or (out_channels, OH, OW)
    """
    return _record("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of `conv3d` with respect to its input, as an operation; see `conv_transpose2d`."""
    return _record("conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def _record(name, input, weight, bias, *geometry):
    x, w, b = checked(name, input).data, weight.data, None if bias is None else bias.data
    needs = (input.requires_grad, weight.requires_grad, b is not None and bias.requires_grad)
    if not w.size:
        _check_channels(name, w.shape)

    def backward(dy):
        return getattr(kernels, f"{name}_backward")(dy, x, w, *geometry, needs=needs)

    return record(name, getattr(kernels, name)(x, w, b, *geometry), (input, weight, bias), backward, (input, weight))


def _check_channels(name, shape):
    """ValueError for a result of no channels, which PyTorch refuses, and for no input of a transposed convolution."""
    rule, least = ("output channel", 1) if "transpose" not in name else ("input and output channel", 2)
    if 0 in shape[:least]:
        raise ValueError(f"{name}: weight must have at least 1 {rule}, got shape {shape}")
