"""Gradient clipping, with the names and arguments of ``torch.nn.utils``."""

import numpy as np

import kernels
from nn.optim.arguments import as_number
from nn.tensor import Tensor


def _gradients(parameters):
    """The arrays of the gradients; marks them as changed in place, which the caller is about to do."""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [p.grad for p in parameters if p.grad is not None]
    for grad in grads:
        grad.mark_changed()
    return [grad.array for grad in grads]


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
        Raise if the norm is NaN or infinite, and leave the gradients unchanged.

    Returns
    -------
    Tensor
        The norm before clipping, 0-d.

    Raises
    ------
    RuntimeError
        The norm is not finite, with `error_if_nonfinite`.

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
    max_norm, norm_type = as_number(max_norm), as_number(norm_type)
    norm = kernels.clip_grad_norm(_gradients(parameters), max_norm, norm_type, error_if_nonfinite)
    return Tensor(np.asarray(norm))


def clip_grad_value_(parameters, clip_value):
    """Clamp each element of the gradients in place to ``[-clip_value, clip_value]``.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are ignored.
    clip_value : float
    """
    clip_value = as_number(clip_value)
    for g in _gradients(parameters):
        np.clip(g, -clip_value, clip_value, out=g)
