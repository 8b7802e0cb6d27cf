"""NAdam."""

from typing import Any

import numpy as np

from nn.optim.updates import ArrayOptimizer, decayed


class NAdam(ArrayOptimizer):
    """NAdam: Adam with Nesterov's momentum, on a schedule (Dozat 2016, Algorithm 2).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 2e-3
    betas : (float, float), default (0.9, 0.999)
        Decay rates of the two running means.
    eps : float, default 1e-8
        Added to the denominator.
    weight_decay : float, default 0
    momentum_decay : float, default 4e-3
        Rate of the schedule of the momentum.
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

    _scalars = ("mu_product",)

    def __init__(
        self,
        params,
        lr: Any = 2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay: float = 0,
        momentum_decay=4e-3,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "eps", "weight_decay", "momentum_decay")
        self._require_betas(options)

    def _initial(self, x, options):
        return {"step": 0, "mu_product": 1.0, "exp_avg": np.zeros_like(x), "exp_avg_sq": np.zeros_like(x)}

    def _update(self, x, g, state, options):
        lr, step = options["lr"], state["step"]
        beta1, beta2 = options["betas"]
        if options["decoupled_weight_decay"]:
            x *= 1 - lr * options["weight_decay"]
        else:
            g = decayed(x, g, options)
        mu, next_mu = (beta1 * (1 - 0.5 * 0.96 ** (t * options["momentum_decay"])) for t in (step, step + 1))
        state["mu_product"] = float(np.float32(state["mu_product"]) * np.float32(mu))  # float32 in PyTorch, too
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg += (1 - beta1) * (g - exp_avg)
        exp_avg_sq *= beta2
        exp_avg_sq += (1 - beta2) * g * g
        denominator = np.sqrt(exp_avg_sq / (1 - beta2**step)) + options["eps"]
        x -= lr * (1 - mu) / (1 - state["mu_product"]) * (g / denominator)
        x -= lr * next_mu / (1 - state["mu_product"] * next_mu) * (exp_avg / denominator)
