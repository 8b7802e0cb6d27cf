"""Adamax."""

from typing import Any

import numpy as np

from nn.optim.updates import ArrayOptimizer, decayed


class Adamax(ArrayOptimizer):
    """Adamax: Adam with the largest decayed gradient in the place of the second moment (Kingma and Ba 2015, section 7).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 2e-3
    betas : (float, float), default (0.9, 0.999)
        Decay rates of the running mean and of the largest gradient.
    eps : float, default 1e-8
        Added to the magnitude of the gradient.
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
        lr: Any = 2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay: float = 0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "eps", "weight_decay")
        self._require_betas(options)

    def _initial(self, x, options):
        return {"step": 0, "exp_avg": np.zeros_like(x), "exp_inf": np.zeros_like(x)}

    def _update(self, x, g, state, options):
        g = decayed(x, g, options)
        beta1, beta2 = options["betas"]
        exp_avg, exp_inf = state["exp_avg"], state["exp_inf"]
        exp_avg += (1 - beta1) * (g - exp_avg)
        np.maximum(beta2 * exp_inf, np.abs(g) + options["eps"], out=exp_inf)
        x -= options["lr"] / (1 - beta1 ** state["step"]) * (exp_avg / exp_inf)
