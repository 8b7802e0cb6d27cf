"""Losses of the difference of two tensors; `reduction` is "none" for one loss per element, or their "mean" or "sum"."""

import warnings

import kernels
from nn.autograd.recomposed import recomposed
from nn.functional import composed
from nn.functional.arguments import checked
from nn.functional.reduction import common_shape, reduced, reduction_of
from nn.operations.arguments import scalar_of
from nn.tape import record
from nn.tensor import Tensor

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def _pair_loss(name, forward, backward_kernel, compose, input, target, *options):
    """Record a loss of two operands, both of which can get a gradient."""
    target = target if isinstance(target, Tensor) else Tensor(target)
    if checked(name, input).shape != target.shape:
        shape = common_shape(name, input, target)
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            f"likely lead to incorrect results due to broadcasting: {name} goes over {shape}",
            stacklevel=3,
        )
        input, target = input.expand(shape), target.expand(shape)
    x, t = input.array, target.array
    needs = (input.requires_grad, target.requires_grad)

    def backward(dy):
        return backward_kernel(dy, x, t, *options, needs=needs)

    inputs, derivative = (input, target), recomposed(lambda x, t: compose(x, t, *options))
    return record(name, forward(x, t, *options), inputs, backward, inputs, derivative=derivative)


def _weighted_loss(name, losses, weight, reduction):
    """The losses times weights; "mean" divides by the sum of these."""
    weight = _same_size(name, losses, weight)
    losses = losses * weight
    return losses.sum() / weight.sum() if reduction == "mean" else reduced(name, losses, reduction)


def _same_size(name, losses, weight):
    if checked(name, weight, "weight").shape != losses.shape:
        raise ValueError(f"{name}: weight must have the shape of the losses, {losses.shape}, got {weight.shape}")
    return weight


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The squared difference.

    Parameters
    ----------
    input : Tensor
    target : Tensor or array
        Broadcasts with `input`; a shape other than that of `input` warns, as in PyTorch.
    size_average, reduce
        What older programs give instead of `reduction`.
    reduction : {"mean", "sum", "none"}
    weight : Tensor of the shape of `input`, optional
        Factor on each loss; "mean" divides by the sum of the weights.

    Returns
    -------
    Tensor
        0-d; for "none", of the shape of `input`.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match, or the reduction is unknown.

    Examples
    --------
    >>> import nn
    >>> nn.functional.mse_loss(nn.tensor([1.0, 2.0]), nn.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = reduction_of("mse_loss", reduction, size_average, reduce)
    if weight is not None:
        return _weighted_loss("mse_loss", mse_loss(input, target, reduction="none"), weight, reduction)
    pair = kernels.mse_loss, kernels.mse_loss_backward
    return _pair_loss("mse_loss", *pair, composed.squared, input, target, reduction)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The absolute difference; arguments as for `mse_loss`."""
    reduction = reduction_of("l1_loss", reduction, size_average, reduce)
    if weight is not None:
        return _weighted_loss("l1_loss", l1_loss(input, target, reduction="none"), weight, reduction)
    pair = kernels.l1_loss, kernels.l1_loss_backward
    return _pair_loss("l1_loss", *pair, composed.absolute, input, target, reduction)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d² / (2 beta) where |d| < beta, else |d| - beta / 2, for the difference d.

    Parameters
    ----------
    input, target, size_average, reduce, reduction
        As for `mse_loss`.
    beta : float, default 1.0
        At least 0; 0 gives `l1_loss`.

    Raises
    ------
    TypeError, ValueError
        As `mse_loss`, or `beta` is negative.

    Reference: Girshick, "Fast R-CNN" (2015), equation 3.
    """
    reduction = reduction_of("smooth_l1_loss", reduction, size_average, reduce)
    pair = kernels.smooth_l1_loss, kernels.smooth_l1_loss_backward
    beta = scalar_of("smooth_l1_loss", "beta", beta)
    return _pair_loss("smooth_l1_loss", *pair, composed.smooth_absolute, input, target, reduction, beta)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """d² / 2 where |d| < delta, else delta · (|d| - delta / 2), for the difference d.

    Parameters
    ----------
    input, target, reduction
        As for `mse_loss`.
    delta : float, default 1.0
        Positive.
    weight : Tensor of the shape of `input`, optional
        Factor on each loss; "mean" is that of the products.

    Raises
    ------
    TypeError, ValueError
        As `mse_loss`, or `delta` is not positive.
    """
    delta = scalar_of("huber_loss", "delta", delta)
    if weight is not None:
        losses = huber_loss(input, target, "none", delta)
        return reduced("huber_loss", losses * _same_size("huber_loss", losses, weight), reduction)
    pair = kernels.huber_loss, kernels.huber_loss_backward
    return _pair_loss("huber_loss", *pair, composed.huber, input, target, reduction, delta)
