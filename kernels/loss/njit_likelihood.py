"""The likelihood of classes in jitted code."""

import numpy as np

from kernels._njit import by_address, in_njit
from kernels.loss import likelihood
from kernels.loss.njit_classes import classes_of, divisor_of, gradients_of, logits_of, loss_shape, reduced_by

likelihoods = by_address(likelihood._likelihoods, "likelihoods")
scatter = by_address(likelihood._scatter, "scatter")


@in_njit(likelihood.nll_loss)
def _nll_loss(x, target, weight, ignore_index, reduction):
    logits = logits_of("nll_loss", x, weight, reduction)
    x, shape = logits.x, loss_shape(logits.x)
    index, index_weight = classes_of("nll_loss", target, shape, x, logits.classes, logits.weight, ignore_index)
    losses = np.empty(index.size, x.dtype)
    if losses.size:
        likelihoods(logits.classes, logits.inner, x.reshape(-1), index, index_weight, losses)
    return reduced_by(losses, shape, reduction, divisor_of(index_weight, reduction))


@in_njit(likelihood.nll_loss_backward)
def _nll_loss_backward(dy, x, target, weight, ignore_index, reduction):
    name = "nll_loss_backward"
    logits = logits_of(name, x, weight, reduction)
    x, shape = logits.x, loss_shape(logits.x)
    index, index_weight = classes_of(name, target, shape, x, logits.classes, logits.weight, ignore_index)
    dlosses = gradients_of(name, dy, x, shape, reduction, divisor_of(index_weight, reduction))
    dx = np.zeros(x.shape, x.dtype)
    if dlosses.size:
        scatter(logits.classes, logits.inner, index, index_weight, dlosses, dx.reshape(-1))
    return dx
