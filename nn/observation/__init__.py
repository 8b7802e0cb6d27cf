"""Observing a network while it trains: statistics of its layers, the curvature and the landscape of its loss."""

from nn.observation.curvature import hessian_vector_product, sharpness, top_eigenvalues
from nn.observation.gradients import gradcheck, gradgradcheck, per_example_gradients
from nn.observation.landscape import loss_along_line, loss_on_plane, random_directions
from nn.observation.log import Log
from nn.observation.parameters import flatten, unflatten
from nn.observation.recorder import observe
from nn.observation.summary import Summary, summary

__all__ = [
    "Log",
    "Summary",
    "flatten",
    "gradcheck",
    "gradgradcheck",
    "hessian_vector_product",
    "loss_along_line",
    "loss_on_plane",
    "observe",
    "per_example_gradients",
    "random_directions",
    "sharpness",
    "summary",
    "top_eigenvalues",
    "unflatten",
]
