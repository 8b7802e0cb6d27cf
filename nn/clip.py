"""Gradient clipping, with the names and arguments of ``torch.nn.utils``."""

import math

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


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
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
    foreach : optional
        For PyTorch's signature: it is not used.

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


clip_grad_norm = clip_grad_norm_  # PyTorch's name of old


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The norm of tensors, taken over all of them as one vector.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
    norm_type : float, default 2.0
        The p of the p-norm; ``math.inf`` for the largest magnitude.
    error_if_nonfinite : bool, default False
        Raise if the norm is NaN or infinite.
    foreach : optional
        For PyTorch's signature: it is not used.

    Returns
    -------
    Tensor
        0-d.

    Raises
    ------
    RuntimeError
        The norm is not finite, with `error_if_nonfinite`.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else tensors
    copies = [t.array.copy() for t in tensors]  # the kernel would multiply them by a norm that is not finite
    return Tensor(np.asarray(kernels.clip_grad_norm(copies, math.inf, as_number(norm_type), error_if_nonfinite)))


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale the gradients in place by what brings `total_norm` down to `max_norm`; not at all if it is smaller.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are ignored.
    max_norm : float
    total_norm : Tensor
        As `get_total_norm` returns it.
    foreach : optional
        For PyTorch's signature: it is not used.
    """
    factor = as_number(max_norm) / (as_number(total_norm) + 1e-6)
    if not factor >= 1:
        for g in _gradients(parameters):
            g *= g.dtype.type(factor)


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Clamp each element of the gradients in place to ``[-clip_value, clip_value]``.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are ignored.
    clip_value : float
    foreach : optional
        For PyTorch's signature: it is not used.
    """
    clip_value = as_number(clip_value)
    for g in _gradients(parameters):
        np.clip(g, -clip_value, clip_value, out=g)
