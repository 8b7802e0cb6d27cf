"""RAdam."""

from typing import Any

import numpy as np

from nn.optim.updates import ArrayOptimizer, decayed


class RAdam(ArrayOptimizer):
    """RAdam: Adam whose first steps, of unknown variance, are those of momentum alone (Liu et al. 2020, Algorithm 2).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-3
    betas : (float, float), default (0.9, 0.999)
        Decay rates of the two running means.
    eps : float, default 1e-8
        Added to the denominator.
    weight_decay : float, default 0
    decoupled_weight_decay : bool, default False
        True: decay shrinks the parameter directly. False: it is added to the gradient.
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
        lr: Any = 1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "eps", "weight_decay")
        self._require_betas(options)

    def _initial(self, x, options):
        return {"step": 0, "exp_avg": np.zeros_like(x), "exp_avg_sq": np.zeros_like(x)}

    def _update(self, x, g, state, options):
        lr, step = options["lr"], state["step"]
        beta1, beta2 = options["betas"]
        if options["decoupled_weight_decay"]:
            x *= 1 - lr * options["weight_decay"]
        else:
            g = decayed(x, g, options)
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg += (1 - beta1) * (g - exp_avg)
        exp_avg_sq *= beta2
        exp_avg_sq += (1 - beta2) * g * g
        correction = 1 - beta2**step
        largest = 2 / (1 - beta2) - 1  # the length of the approximated simple moving average, at last and now
        length = largest - 2 * step * beta2**step / correction
        update = lr / (1 - beta1**step) * exp_avg
        if length > 5:
            rectified = (length - 4) * (length - 2) * largest / ((largest - 4) * (largest - 2) * length)
            update *= (correction * rectified) ** 0.5 / (np.sqrt(exp_avg_sq) + options["eps"])
        x -= update
