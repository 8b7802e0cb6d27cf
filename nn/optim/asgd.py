"""Averaged stochastic gradient descent."""

from typing import Any

import numpy as np

from nn.optim.updates import ArrayOptimizer, decayed


class ASGD(ArrayOptimizer):
    """Stochastic gradient descent that also averages the parameters, in state ``ax`` (Polyak and Juditsky 1992).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-2
    lambd : float, default 1e-4
        Decay: the rate of step t is ``lr / (1 + lambd * lr * t) ** alpha``.
    alpha : float, default 0.75
    t0 : float, default 1e6
        The step at which averaging begins.
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

    _scalars = ("eta", "mu")

    def __init__(
        self,
        params,
        lr: Any = 1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay: float = 0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "weight_decay")

    def _initial(self, x, options):
        return {"step": 0, "eta": float(np.float32(options["lr"])), "mu": 1.0, "ax": np.zeros_like(x)}

    def _update(self, x, g, state, options):
        g = decayed(x, g, options)
        lr, lambd, step, ax = options["lr"], options["lambd"], state["step"], state["ax"]
        x *= 1 - lambd * state["eta"]
        x -= state["eta"] * g
        if state["mu"] == 1:
            ax[...] = x
        else:
            ax += state["mu"] * (x - ax)
        # the numbers are float32 in PyTorch, too
        state["eta"] = float(np.float32(lr / (1 + lambd * lr * step) ** options["alpha"]))
        state["mu"] = float(np.float32(1 / max(1, step - options["t0"])))
