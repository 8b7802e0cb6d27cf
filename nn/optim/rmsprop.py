"""RMSprop."""

from functools import partial
from typing import Any

import kernels
from nn.optim.batches import KernelOptimizer


class RMSprop(KernelOptimizer):
    """RMSprop: steps scaled by a running mean of the squared gradient (Hinton 2012, lecture 6e).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-2
    alpha : float, default 0.99
        Decay rate of the running mean.
    eps : float, default 1e-8
        Added to the denominator.
    weight_decay : float, default 0
    momentum : float, default 0
    centered : bool, default False
        Scale by the variance of the gradient instead of its second moment (Graves 2013).
    maximize : bool, default False
        Ascend instead of descend.
    foreach, capturable : optional
        Which of its implementations PyTorch chooses; here there is one, and they are ignored.
    differentiable : bool, default False
        True is refused: steps are not recorded.

    Raises
    ------
    ValueError
        A negative option.
    """

    def __init__(
        self,
        params,
        lr: Any = 1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "alpha", "eps", "weight_decay", "momentum")

    def _plan(self, params, options):
        fills = {"square_avg": 0}
        if options["momentum"] > 0:
            fills["momentum_buffer"] = 0
        if options["centered"]:
            fills["grad_avg"] = 0
        for batch in self._batches(params, fills):
            states = dict(zip(fills, batch.states, strict=True))
            batch.call = partial(
                kernels.rmsprop,
                batch.params,
                batch.grads,
                states["square_avg"],
                states.get("momentum_buffer"),
                states.get("grad_avg"),
                lr=options["lr"],
                alpha=options["alpha"],
                eps=options["eps"],
                weight_decay=options["weight_decay"],
                momentum=options["momentum"],
                maximize=options["maximize"],
            )
            yield batch
