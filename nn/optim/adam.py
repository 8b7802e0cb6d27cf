"""Adam and AdamW."""

from functools import partial
from typing import Any

import kernels
from nn.optim.batches import KernelOptimizer
from nn.tensor import Tensor


class Adam(KernelOptimizer):
    """Adam: steps scaled by running means of the gradient and of its square (Kingma and Ba 2015, Algorithm 1).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-3
    betas : (float, float), default (0.9, 0.999)
        Decay rates of the two running means.
    eps : float, default 1e-8
        Added to the denominator.
    weight_decay : float, default 0
    amsgrad : bool, default False
        Divide by the largest second moment so far (Reddi et al. 2018).
    maximize : bool, default False
        Ascend instead of descend.
    decoupled_weight_decay : bool, default False
        True: decay shrinks the parameter directly (AdamW). False: it is added to the gradient.
    foreach, capturable, fused : optional
        Which of its implementations PyTorch chooses; here there is one, and they are ignored.
    differentiable : bool, default False
        True is refused: steps are not recorded.

    Raises
    ------
    ValueError
        A negative option, a beta outside [0, 1), or tensors as options with `foreach`, as in PyTorch.
    """

    def __init__(
        self,
        params,
        lr: Any = 1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay: float = 0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        numbers = (lr, *(betas if isinstance(betas, (tuple, list)) else ()))
        if foreach and not capturable and any(isinstance(each, Tensor) for each in numbers):
            raise ValueError(f"{self._name}: a tensor as lr or betas needs capturable=True with foreach=True")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "eps", "weight_decay")
        self._require_betas(options)

    def _plan(self, params, options):
        fills = {"exp_avg": 0, "exp_avg_sq": 0}
        if options["amsgrad"]:
            fills["max_exp_avg_sq"] = 0
        kernel = kernels.adamw if options["decoupled_weight_decay"] else kernels.adam
        for batch in self._batches(params, fills):
            batch.call = partial(
                kernel,
                batch.params,
                batch.grads,
                *batch.states,
                step=batch.key,
                lr=options["lr"],
                betas=options["betas"],
                eps=options["eps"],
                weight_decay=options["weight_decay"],
                maximize=options["maximize"],
            )
            yield batch


class AdamW(Adam):
    """Adam with decoupled weight decay: it shrinks the parameter and bypasses the moments (Loshchilov and Hutter 2019).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr, betas, eps
        As for `Adam`.
    weight_decay : float, default 1e-2
    amsgrad, maximize, foreach, capturable, differentiable, fused
        As for `Adam`.

    Raises
    ------
    ValueError
        A negative option, or a beta outside [0, 1).
    """

    def __init__(
        self,
        params,
        lr: Any = 1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        options = {"maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable}
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, **options)

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:  # even if the state was saved by Adam
            group["decoupled_weight_decay"] = True
