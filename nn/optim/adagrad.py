"""Adagrad."""

from functools import partial
from typing import Any

import kernels
from nn.optim.batches import KernelOptimizer


class Adagrad(KernelOptimizer):
    """Adagrad: steps scaled by the root of the sum of all squared gradients so far (Duchi et al. 2011).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-2
    lr_decay : float, default 0
        The rate of step t is ``lr / (1 + (t - 1) * lr_decay)``.
    weight_decay : float, default 0
    initial_accumulator_value : float, default 0
        Initial value of the sums of squares.
    eps : float, default 1e-10
        Added to the denominator.
    maximize : bool, default False
        Ascend instead of descend.
    foreach, fused : bool, optional
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
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def _plan(self, params, options):
        fills = {"sum": options["initial_accumulator_value"]}
        for batch in self._batches(params, fills):
            batch.call = partial(
                kernels.adagrad,
                batch.params,
                batch.grads,
                *batch.states,
                step=batch.key,
                lr=options["lr"],
                lr_decay=options["lr_decay"],
                weight_decay=options["weight_decay"],
                eps=options["eps"],
                maximize=options["maximize"],
            )
            yield batch
