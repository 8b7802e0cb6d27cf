"""Batch normalisation folded into the layer before it, with the names of ``torch.nn.utils.fusion``.

`nn.fuse` finds the pairs in a model by itself.
"""

import copy

import numpy as np

from nn.parameter import Parameter


def _fused(name, layer, bn, weights):
    if layer.training or bn.training:
        raise ValueError(f"{name}: both modules must be in evaluation mode")
    if bn.running_mean is None:
        raise ValueError(f"{name}: the normalisation has no running statistics")
    layer = copy.deepcopy(layer)
    statistics = bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    layer.weight, layer.bias = weights(layer.weight, layer.bias, *statistics)
    return layer


def _fused_weights(weight, bias, mean, variance, eps, gamma, beta, shape):
    """Both parameters, computed in float64; `shape` is that of the channels in the weight."""
    mean, variance = (t.array.astype(np.float64) for t in (mean, variance))
    scale = (1.0 if gamma is None else gamma.array) / np.sqrt(variance + eps)
    new_bias = ((0.0 if bias is None else bias.array) - mean) * scale + (0.0 if beta is None else beta.array)
    new_weight = weight.array * scale.reshape(shape)
    trained = weight.requires_grad, True if bias is None else bias.requires_grad
    pairs = zip((new_weight, new_bias), trained, strict=True)
    return tuple(Parameter(array.astype(weight.dtype), requires_grad=needs) for array, needs in pairs)


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """The weight and the bias of a convolution with the normalisation in them, as parameters."""
    ones = (1,) * (conv_w.ndim - 2)
    shape = (1, -1, *ones) if transpose else (-1, 1, *ones)
    return _fused_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape)


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A copy of a convolution that does the normalisation after it, too; both in evaluation mode.

    Parameters
    ----------
    conv : Module
    bn : Module
    transpose : bool, default False
        Whether it is a transposed convolution.

    Raises
    ------
    ValueError
        A module is in training mode, or the normalisation has no running statistics.
    """

    def weights(*tensors):
        return fuse_conv_bn_weights(*tensors, transpose)

    return _fused("fuse_conv_bn_eval", conv, bn, weights)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """The weight and the bias of a linear layer with the normalisation in them, as parameters."""
    return _fused_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, (-1, 1))


def fuse_linear_bn_eval(linear, bn):
    """A copy of a linear layer that does the normalisation after it, too; both in evaluation mode.

    Raises
    ------
    ValueError
        A module is in training mode, the normalisation has no running statistics, or the numbers of features differ.
    """
    if bn.num_features not in (1, linear.out_features):
        raise ValueError(f"fuse_linear_bn_eval: features differ: {linear.out_features} and {bn.num_features}")
    return _fused("fuse_linear_bn_eval", linear, bn, fuse_linear_bn_weights)
