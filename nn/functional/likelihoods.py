"""Negative log-likelihoods of counts, and of normally distributed targets."""

import math

import numpy as np

from nn.functional.arguments import checked, number
from nn.functional.reduction import reduced, reduction_of
from nn.operations.arguments import as_tensor
from nn.operations.elementwise import exp, log, where
from nn.storage import Tensor


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
    reduction = reduction_of(reduction, size_average, reduce)
    x, t = checked("poisson_nll_loss", input), as_tensor(target)
    losses = exp(x) - t * x if log_input else x - t * log(x + number(eps))
    if full:
        above = t.array > 1
        t = where(above, t if t.array.dtype.kind == "f" else t.to(x.dtype), 1)
        losses = losses + where(above, t * log(t) - t + log(t * (2 * math.pi)) * 0.5, 0)
    return reduced("poisson_nll_loss", losses, reduction)


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
    if not isinstance(var, Tensor):
        var = Tensor(np.full(x.shape, var, x.dtype))
    if (var.array < 0).any():
        raise ValueError(f"{name}: variances must not be negative, got {var.array.min()}")
    if var.shape != x.shape:
        if var.shape == x.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.ndim != x.ndim or sum(a for a, b in zip(x.shape, var.shape, strict=True) if a != b and b == 1) == 0:
            raise ValueError(f"{name}: the shape of var does not fit: input is {x.shape}, var is {var.shape}")
    var = var + np.maximum(number(eps) - var.array, 0).astype(var.dtype)
    d = x - t
    losses = (log(var) + d * d / var) * 0.5
    return reduced(name, losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)
