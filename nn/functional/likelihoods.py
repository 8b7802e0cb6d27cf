"""Negative log-likelihoods of counts, of normally distributed targets, and of sequences without alignment."""

import math

import numpy as np

import kernels
from nn.functional.arguments import checked, constant
from nn.functional.reduction import common_shape, reduced, reduction_of
from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import as_tensor, bool_of, int_of, scalar_of
from nn.operations.elementwise import exp, log, where
from nn.storage import Tensor
from nn.tape import record

__all__ = ["ctc_loss", "gaussian_nll_loss", "poisson_nll_loss"]


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """The negative log-likelihood of counts that are Poisson distributed.

    Parameters
    ----------
    input : Tensor
        The logarithms of the expected counts, or without `log_input` those themselves.
    target : Tensor or array
        Counts; they broadcast.
    log_input : bool, default True
    full : bool, default False
        Whether Stirling's approximation of log(target!) is added for targets above 1.
    size_average, reduce
        What older programs give instead of `reduction`.
    eps : float, default 1e-8
        Added to the expected counts before their logarithm, without `log_input`.
    reduction : {"mean", "sum", "none"}
    """
    reduction, name = reduction_of("poisson_nll_loss", reduction, size_average, reduce), "poisson_nll_loss"
    x, t = checked(name, input), as_tensor(target)
    common_shape(name, x, t)
    log_input, full = bool_of(name, "log_input", log_input), bool_of(name, "full", full)
    eps = scalar_of(name, "eps", eps)
    losses = exp(x) - t * x if log_input else x - t * log(x + eps)
    if full:
        above = t.array > 1
        t = where(above, t if t.array.dtype.kind == "f" else t.to(x.dtype), 1)
        losses = losses + where(above, t * log(t) - t + log(t * (2 * math.pi)) * 0.5, 0)
    return reduced(name, losses, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """The negative log-likelihood of targets that are normally distributed.

    Parameters
    ----------
    input : Tensor
        The expected values.
    target : Tensor or array
        They broadcast.
    var : Tensor or float
        The variances, not negative: of the shape of `input`, or without its last dimension, or with one dimension of
        length 1.
    full : bool, default False
        Whether the constant log(2 π) / 2 is added.
    eps : float, default 1e-6
        The least variance, which does not affect the gradient.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        A variance is negative, or their shape does not fit.
    """
    name = "gaussian_nll_loss"
    x, t = checked(name, input), as_tensor(target)
    common_shape(name, x, t)
    if not isinstance(var, Tensor):
        var = Tensor(np.full(x.shape, var, x.dtype))
    if (var.array < 0).any():
        raise ValueError(f"{name}: variances must not be negative, got {var.array.min()}")
    if var.shape != x.shape:
        if var.shape == x.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.ndim != x.ndim or sum(a for a, b in zip(x.shape, var.shape, strict=True) if a != b and b == 1) == 0:
            raise ValueError(f"{name}: the shape of var does not fit: input is {x.shape}, var is {var.shape}")
    var = var + np.maximum(scalar_of(name, "eps", eps) - var.array, 0).astype(var.dtype)
    d = x - t
    losses = (log(var) + d * d / var) * 0.5
    return reduced(name, losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):  # fmt: skip
    """Connectionist temporal classification loss: minus the log-likelihood of sequences of classes, alignment unknown.

    Parameters
    ----------
    log_probs : Tensor (T, N, C) or (T, C)
        Log-probabilities, the result of `log_softmax`: the gradient is right for that only.
    targets : Tensor or array (N, S) or (sum of the target lengths,)
        Classes, int64 or int32.
    input_lengths, target_lengths : Tensor, array or sequence of int (N,) or ()
    blank : int, default 0
        The class that stands for none.
    reduction : {"mean", "sum", "none"}
        "mean" is that of the losses divided by their target lengths.
    zero_infinity : bool, default False
        Whether infinite losses, of inputs too short for their targets, and their gradients are 0.

    Returns
    -------
    Tensor
        0-d, or (N,) for "none" of several samples.

    Raises
    ------
    TypeError, ValueError, IndexError
        Invalid dtypes, shapes, lengths or classes.

    Reference: Graves et al., "Connectionist Temporal Classification" (2006), equations 6 to 16.
    """
    x = checked("ctc_loss", log_probs).array
    names = ("targets", "input_lengths", "target_lengths")
    given = tuple(map(constant, ("ctc_loss",) * 3, (targets, input_lengths, target_lengths), names))
    blank, zero_infinity = int_of("ctc_loss", "blank", blank), bool_of("ctc_loss", "zero_infinity", zero_infinity)
    options, log_alpha = (blank, reduction, zero_infinity), None
    if log_probs.requires_grad and is_grad_enabled() and x.ndim in (2, 3):
        states = 2 * int(np.max(given[2], initial=0)) + 1
        log_alpha = np.empty((x.shape[1] if x.ndim == 3 else 1, len(x), states), x.dtype)

    def backward(dy):
        return kernels.ctc_loss_backward(dy, x, *given, *options, log_alpha=log_alpha)

    y = kernels.ctc_loss(x, *given, *options, log_alpha=log_alpha)
    return record("ctc_loss", y, (log_probs,), backward, (log_probs, targets, input_lengths, target_lengths))
