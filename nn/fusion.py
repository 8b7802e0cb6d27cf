r"""Batch normalisation folded into the convolution before it, for inference.

In evaluation, y = (z - mean) / sqrt(var + eps) · γ + β is an affine map of each channel of z = w * x + b, so the
convolution itself can do it:

.. math:: s = \gamma / \sqrt{\mathrm{var} + \epsilon}, \qquad w' = s\,w, \qquad b' = s\,(b - \mathrm{mean}) + \beta
"""

import copy
from collections import Counter

import numpy as np

from nn.containers import Sequential
from nn.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nn.linear import Identity
from nn.module import Module
from nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from nn.parameter import Parameter

CONVOLUTIONS = (Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)


def fuse(model):
    """A copy of a model for inference, with batch normalisations folded into the convolutions before them.

    A pair is folded where one follows the other in a `Sequential`, and in any other module where the attribute of the
    normalisation comes right after that of the convolution and their names correspond: ``conv``, ``bn``; ``conv1``,
    ``bn1``; ``conv_a``, ``norm_a``. The normalisation becomes an `Identity`, so all names are unchanged. A pair is not
    folded if it has hooks, occurs more than once, or has no running statistics.

    Parameters
    ----------
    model : Module
        In evaluation mode; it is not changed.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        A module of the model is in training mode.

    Notes
    -----
    Names do not determine what ``forward`` does with the attributes: if it applies them in another order than their
    names suggest, the copy computes something else.

    Examples
    --------
    >>> import nn
    >>> nn.fuse(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval())
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
      (2): ReLU()
    )
    """
    if not isinstance(model, Module):
        raise TypeError(f"fuse: model must be a Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        if module.training:
            raise ValueError(f"fuse: the model must be in evaluation mode, {name or 'it'} is in training mode")
    model = copy.deepcopy(model)
    occurrences = Counter(child for module in model.modules() for _, child in module._direct_modules())
    for parent in list(model.modules()):
        children = list(parent._direct_modules())
        for (conv_name, conv), (norm_name, norm) in zip(children, children[1:], strict=False):
            in_order = type(parent).forward is Sequential.forward or _names_correspond(conv_name, norm_name)
            if in_order and _foldable(conv, norm) and occurrences[conv] == occurrences[norm] == 1:
                _fold(conv, norm)
                setattr(parent, norm_name, Identity().eval())
    return model


def _names_correspond(conv_name, norm_name):
    """Whether the names of two attributes say that they are a pair."""
    return any(norm_name == conv_name.replace("conv", word) != conv_name for word in ("bn", "norm", "batchnorm"))


def _foldable(conv, norm):
    """Whether the two are a convolution and a normalisation of its output by running statistics."""
    return (
        type(conv) in CONVOLUTIONS
        and type(norm) in NORMS
        and CONVOLUTIONS.index(type(conv)) % 3 == NORMS.index(type(norm))
        and conv.out_channels == norm.num_features
        and norm.running_mean is not None
        and not any(m._forward_pre_hooks or m._forward_hooks or m._backward_hooks for m in (conv, norm))
    )


def _fold(conv, norm):
    """Fold `norm` into the parameters of `conv`, which are computed in float64."""
    dtype = conv.weight.array.dtype
    one, zero = np.ones(conv.out_channels), np.zeros(conv.out_channels)
    gamma, beta, bias = (
        default if tensor is None else tensor.array.astype(np.float64)
        for tensor, default in ((norm.weight, one), (norm.bias, zero), (conv.bias, zero))
    )
    scale = gamma / np.sqrt(norm.running_var.array.astype(np.float64) + norm.eps)
    shape = conv.weight.shape
    if type(conv) in CONVOLUTIONS[3:]:  # (C, OC / groups, *kernel): each group has its own scales
        groups = conv.groups
        weight = conv.weight.array.reshape(groups, shape[0] // groups, *shape[1:])
        weight = weight * scale.reshape(groups, 1, shape[1], *(1,) * (len(shape) - 2))
    else:
        weight = conv.weight.array * scale.reshape(-1, *(1,) * (len(shape) - 1))
    conv.weight = Parameter(weight.reshape(shape).astype(dtype))
    conv.bias = Parameter(((bias - norm.running_mean.array) * scale + beta).astype(dtype))
