"""Muon."""

import math
from typing import Any

import numpy as np

import kernels
from nn.optim.updates import ArrayOptimizer

RATES = (None, "original", "match_rms_adamw")


class Muon(ArrayOptimizer):
    """Muon: momentum whose singular values are all brought to about 1, for matrices (Jordan 2024; Liu et al. 2025).

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Matrices. Other parameters, and embeddings, are for another optimiser.
    lr : float, default 1e-3
    weight_decay : float, default 0.1
        Decay that shrinks the parameter directly.
    momentum : float, default 0.95
    nesterov : bool, default True
    ns_coefficients : (float, float, float), default (3.4445, -4.775, 2.0315)
        The polynomial of the Newton-Schulz iteration.
    eps : float, default 1e-7
        The smallest norm by which the momentum is divided.
    ns_steps : int, default 5
        The number of iterations, in the precision of bfloat16 as in PyTorch.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}, default None
        The factor on the rate of a matrix of A × B: ``sqrt(max(1, A / B))``, or ``0.2 * sqrt(max(A, B))``.

    Raises
    ------
    ValueError
        An option outside its range, or a parameter that is not a matrix.
    """

    _words = ("adjust_lr_fn",)

    _by_element = False

    def __init__(
        self,
        params,
        lr: Any = 1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.7750, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def _check(self, options):
        self._require_non_negative(options, "lr", "weight_decay", "momentum")
        if options["adjust_lr_fn"] not in RATES:
            raise ValueError(f"{self._name}: adjust_lr_fn must be one of {RATES}, got {options['adjust_lr_fn']!r}")
        if not (isinstance(options["ns_coefficients"], tuple) and len(options["ns_coefficients"]) == 3):
            raise ValueError(f"{self._name}: ns_coefficients must be three numbers, got {options['ns_coefficients']}")
        if not options["ns_steps"] < 100:
            raise ValueError(f"{self._name}: ns_steps must be below 100, got {options['ns_steps']}")

    def _check_group(self, group):
        super()._check_group(group)
        for p in group.get("params", ()):
            if p.ndim != 2:
                raise ValueError(f"{self._name}: parameters must be matrices, got shape {p.shape}")

    def _initial(self, x, options):
        return {"momentum_buffer": np.zeros_like(x)}

    def _update(self, x, g, state, options):
        lr, momentum, buffer = options["lr"], options["momentum"], state["momentum_buffer"]
        buffer += (1 - momentum) * (g - buffer)
        update = g + momentum * (buffer - g) if options["nesterov"] else buffer
        update = orthogonalized(update, options["ns_coefficients"], options["ns_steps"], options["eps"])
        rows, columns = x.shape
        if options["adjust_lr_fn"] == "match_rms_adamw":
            factor = 0.2 * math.sqrt(max(rows, columns))
        else:
            factor = math.sqrt(max(1, rows / columns))
        x *= 1 - lr * options["weight_decay"]
        x -= lr * factor * update.astype(x.dtype)


def orthogonalized(g, coefficients, steps, eps):
    """A matrix with the singular vectors of g and singular values of about 1, by Newton-Schulz iterations."""
    a, b, c = coefficients
    y = rounded(g)
    if g.shape[0] > g.shape[1]:
        y = y.T
    norm = rounded(np.sqrt((y * y).sum()))
    y = rounded(y / np.maximum(norm, y.dtype.type(eps)))
    for _ in range(steps):
        gram = rounded(kernels.matmul(y, y.T))
        polynomial = rounded(b * gram + c * kernels.matmul(gram, gram))
        y = rounded(a * y + kernels.matmul(polynomial, y))
    return y.T if g.shape[0] > g.shape[1] else y


def rounded(x):
    """The nearest bfloat16, as float32: bfloat16 is the upper half of float32's bits."""
    bits = np.asarray(x, np.float32, order="C").view(np.uint32)
    odd = (bits >> 16) & 1  # ties go to even
    return ((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)).view(np.float32)
