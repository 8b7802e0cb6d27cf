"""Losses whose targets need gradients as well, as in distillation: composed of operations.

The functions of these names in `nn.functional.loss` compute everything else by kernels.
"""

from nn.functional.activation import logsigmoid
from nn.functional.arguments import weights_of
from nn.functional.reduction import common_shape, reduced
from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import as_tensor
from nn.operations.elementwise import exp, log, where
from nn.operations.reductions import log_softmax
from nn.storage import Tensor


def needs_gradient(target):
    """Whether a target, which may be an array, is a tensor that needs a gradient."""
    return isinstance(target, Tensor) and target._requires_grad and is_grad_enabled()


def cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing):
    """The cross-entropy of softmax(input) and probabilities."""
    if ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index is for classes, not for probabilities, got {ignore_index}")
    if input.shape != target.shape:
        raise ValueError(f"cross_entropy: shapes differ: input is {input.shape}, probabilities are {target.shape}")
    dim = 1 if input.ndim > 1 else 0
    target = target * (1 - label_smoothing) + label_smoothing / input.shape[dim]
    losses = target * log_softmax(input, dim)
    if weight is not None:
        losses = losses * as_tensor(weights_of("cross_entropy", weight)).reshape(-1, *(1,) * max(input.ndim - 2, 0))
    losses = -losses.sum(dim)
    if reduction == "mean" and input.ndim > 1:
        return losses.sum() / losses.array.size
    return reduced("cross_entropy", losses, reduction)


def kl_div(input, target, reduction, log_target):
    """The Kullback-Leibler divergence of a target distribution from log-probabilities."""
    common_shape("kl_div", input, target)
    if log_target:
        losses = exp(target) * (target - input)
    else:
        nonzero = target.array != 0  # NaN below 0, as in PyTorch
        losses = where(nonzero, target * log(where(nonzero, target, 1)), 0) - target * input
    if reduction == "batchmean":
        return losses.sum() / (input.shape[0] if input.ndim else 1)
    return reduced("kl_div", losses, reduction)


def _weighted(name, losses, weight, reduction):
    return reduced(name, losses if weight is None else losses * as_tensor(weights_of(name, weight)), reduction)


def binary_cross_entropy(input, target, weight, reduction):
    """The cross-entropy of two probabilities; logarithms are at least -100."""
    target = _of_shape("binary_cross_entropy", input, target)
    losses = -(target * log(input).clamp(-100) + (1 - target) * log(1 - input).clamp(-100))
    return _weighted("binary_cross_entropy", losses, weight, reduction)


def binary_cross_entropy_with_logits(input, target, weight, reduction, pos_weight):
    """The cross-entropy of sigmoid(input) and probabilities."""
    name = "binary_cross_entropy_with_logits"
    target = _of_shape(name, input, target)
    positive = target if pos_weight is None else target * as_tensor(weights_of(name, pos_weight, "pos_weight"))
    losses = -(positive * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    return _weighted(name, losses, weight, reduction)


def _of_shape(name, input, target):
    target = as_tensor(target)
    if target.shape != input.shape:
        raise ValueError(f"{name}: shapes differ: input is {input.shape}, target is {target.shape}")
    return target
