"""The part of ``torch.nn.utils`` that is covered."""

from nn.clip import clip_grad_norm_, clip_grad_value_
from nn.utils import data, rnn

__all__ = ["clip_grad_norm_", "clip_grad_value_", "data", "rnn"]
