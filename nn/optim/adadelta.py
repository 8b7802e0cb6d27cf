"""Adadelta."""

from typing import Any

import numpy as np

from nn.optim.updates import ArrayOptimizer, decayed


class Adadelta(ArrayOptimizer):
    """Adadelta: steps scaled by the ratio of running means of squared steps and gradients (Zeiler 2012, Algorithm 1).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1
    rho : float, default 0.9
        Decay rate of the running means, in [0, 1].
    eps : float, default 1e-6
        Added to both means.
    weight_decay : float, default 0
    foreach, capturable : optional
        Which of its implementations PyTorch chooses; here there is one, and they are ignored.
    maximize : bool, default False
        Ascend instead of descend.
    differentiable : bool, default False
        True is refused: steps are not recorded.

    Raises
    ------
    ValueError
        An option outside its range.
    """

    def __init__(
        self,
        params,
        lr: Any = 1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay: float = 0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "eps", "weight_decay")
        if not 0 <= options["rho"] <= 1:
            raise ValueError(f"{self._name}: rho must be in [0, 1], got {options['rho']}")

    def _initial(self, x, options):
        return {"step": 0, "square_avg": np.zeros_like(x), "acc_delta": np.zeros_like(x)}

    def _update(self, x, g, state, options):
        g = decayed(x, g, options)
        rho, eps = options["rho"], options["eps"]
        square_avg, acc_delta = state["square_avg"], state["acc_delta"]
        square_avg *= rho
        square_avg += (1 - rho) * g * g
        delta = np.sqrt(acc_delta + eps) / np.sqrt(square_avg + eps) * g
        acc_delta *= rho
        acc_delta += (1 - rho) * delta * delta
        x -= options["lr"] * delta
