"""Automatic differentiation as functions, with the names of ``torch.autograd``.

Gradients of gradients, by ``create_graph=True``, exist for all operations but these, which can be differentiated once
only and say so: the recurrent layers and cells (`lstm`, `gru`, `rnn`, `lstm_cell`, `gru_cell`, `rnn_cell`), `ctc_loss`,
`grid_sample`, `digamma`, `checkpoint`, `embedding_bag` with `scale_grad_by_freq`, and each `Function` whose backward is
marked `once_differentiable`.
"""

from nn.autograd import functional
from nn.autograd.function import Function, once_differentiable
from nn.autograd.gradients import backward, grad
from nn.grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function",
    "backward",
    "enable_grad",
    "functional",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]
