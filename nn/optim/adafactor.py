"""Adafactor."""

import math
from typing import Any

import numpy as np

from nn.optim.arguments import as_number
from nn.optim.updates import ArrayOptimizer


class Adafactor(ArrayOptimizer):
    """Adafactor: second moments of matrices as products of rows and columns (Shazeer and Stern 2018, Algorithms 4, 5).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-2
        The largest step, relative to the root mean square of the parameter; also scales weight decay.
    beta2_decay : float, default -0.8
        Step t has the decay rate ``1 - t ** beta2_decay``.
    eps : (float or None, float), default (None, 1e-3)
        The smallest root of a second moment, None for the precision of the dtype; and the smallest root mean square of
        a parameter.
    d : float, default 1
        The largest root mean square of an update, at least 1.
    weight_decay : float, default 0
        Decay that shrinks the parameter directly.
    foreach : optional
        Which of its implementations PyTorch chooses; here there is one, and it is ignored.
    maximize : bool, default False
        Ascend instead of descend.

    Raises
    ------
    ValueError
        An option outside its range.
    """

    _words = ("eps",)

    _by_element = False

    def __init__(
        self,
        params,
        lr: Any = 1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options):
        self._require_non_negative(options, "lr", "weight_decay")
        if not options["beta2_decay"] <= 0:
            raise ValueError(f"{self._name}: beta2_decay must be at most 0, got {options['beta2_decay']}")
        if not options["d"] >= 1:
            raise ValueError(f"{self._name}: d must be at least 1, got {options['d']}")
        if any(each is not None and not as_number(each) >= 0 for each in options["eps"]) or options["eps"][1] is None:
            raise ValueError(f"{self._name}: eps must be numbers of at least 0, or None and a number")

    def _state_shape(self, key, shape):
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, *shape[-1:])}.get(key, shape)

    def _initial(self, x, options):
        names = ("row_var", "col_var") if x.ndim > 1 else ("variance",)
        return {"step": 0, **{name: np.zeros(self._state_shape(name, x.shape), x.dtype) for name in names}}

    def _update(self, x, g, state, options):
        if not x.size:
            return
        lr, step = options["lr"], state["step"]
        smallest, smallest_rms = (each if each is None else as_number(each) for each in options["eps"])
        smallest = float(np.finfo(x.dtype).eps) if smallest is None else smallest
        weight = step ** options["beta2_decay"]  # of the new second moment
        rate = max(smallest_rms, _rms(x)) * min(lr, 1 / math.sqrt(step))
        if options["weight_decay"] != 0:
            x *= 1 - lr * options["weight_decay"]
        if g.ndim > 1:
            row_var, col_var = state["row_var"], state["col_var"]
            square = g * g
            row_var += weight * (square.mean(-1, keepdims=True) - row_var)
            col_var += weight * (square.mean(-2, keepdims=True) - col_var)
            variance = row_var * col_var / np.maximum(row_var.mean(-2, keepdims=True), smallest)
        else:
            variance = state["variance"]
            variance += weight * (g * g - variance)
        update = g / np.sqrt(np.maximum(variance, smallest * smallest))
        x -= rate / max(1.0, _rms(update) / options["d"]) * update


def _rms(x):
    """The root mean square of an array."""
    return math.sqrt(float((x * x).mean()))
