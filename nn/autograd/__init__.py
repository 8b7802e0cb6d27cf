"""Automatic differentiation as functions, with the names of ``torch.autograd``."""

from nn.autograd.function import Function, once_differentiable
from nn.autograd.gradients import backward, grad
from nn.grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function",
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]
