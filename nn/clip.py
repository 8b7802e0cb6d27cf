"""Gradient clipping, with the names and arguments of ``torch.nn.utils``."""

import math

import numpy as np

from nn.tensor import Tensor


def _gradients(parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad.data for p in parameters if p.grad is not None]


def _norm(arrays, order):
    return np.linalg.norm([np.linalg.norm(a.ravel(), order) for a in arrays], order)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale the gradients in place so that their norm, taken over all of them as one vector, is at most `max_norm`.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are ignored.
    max_norm : float
    norm_type : float, default 2.0
        The p of the p-norm; ``math.inf`` for the largest magnitude.
    error_if_nonfinite : bool, default False
        Raise where the norm is NaN or infinite, and leave the gradients as they were.

    Returns
    -------
    Tensor
        The norm before clipping, 0-d.

    Raises
    ------
    RuntimeError
        The norm is not finite and `error_if_nonfinite` is set.

    Reference: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), Algorithm
    1.

    Examples
    --------
    >>> import nn
    >>> w = nn.Parameter([3.0, 4.0])
    >>> (w * w).sum().backward()          # the gradient is [6, 8]
    >>> nn.utils.clip_grad_norm_([w], max_norm=1.0).item()
    10.0
    """
    gradients = _gradients(parameters)
    if not gradients:
        return Tensor(0.0)
    with np.errstate(all="ignore"):
        norm = _norm(gradients, norm_type)
        if not math.isfinite(norm):  # perhaps only the squares left the range: float32 has none above 1.8e19
            norm = _norm([g.astype(np.float64) for g in gradients], norm_type)
    norm = gradients[0].dtype.type(norm)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm_: the norm of order {norm_type} of the gradients is {norm}")
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1:  # a NaN norm spreads, as in torch
        with np.errstate(all="ignore"):
            for g in gradients:
                g *= scale
    return Tensor(norm)


def clip_grad_value_(parameters, clip_value):
    """Clamp each element of the gradients in place to ``[-clip_value, clip_value]``.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are ignored.
    clip_value : float
    """
    for g in _gradients(parameters):
        np.clip(g, -clip_value, clip_value, out=g)
