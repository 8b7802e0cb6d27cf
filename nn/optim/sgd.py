"""Stochastic gradient descent."""

from functools import partial
from typing import Any

import kernels
from nn.optim.batches import KernelOptimizer


class SGD(KernelOptimizer):
    """Stochastic gradient descent, with (Nesterov) momentum and weight decay.

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-3
    momentum : float, default 0
    dampening : float, default 0
        The gradient is multiplied by ``1 - dampening`` before it is added to the momentum buffer.
    weight_decay : float, default 0
        L2 penalty: this times the parameter is added to the gradient.
    nesterov : bool, default False
    maximize : bool, default False
        Ascend instead of descend.
    foreach, fused : bool, optional
        Which of its implementations PyTorch chooses; here there is one, and they are ignored.
    differentiable : bool, default False
        True is refused: steps are not recorded.

    Raises
    ------
    ValueError
        A negative option, or `nesterov` without momentum or with dampening.

    Examples
    --------
    >>> import nn
    >>> w = nn.Parameter([1.0, 2.0])
    >>> (w * w).sum().backward()
    >>> nn.optim.SGD([w], lr=0.25).step()
    >>> w.tolist()
    [0.5, 1.0]
    """

    def __init__(
        self,
        params,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr", "momentum", "weight_decay")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                f"{self._name}: nesterov needs a momentum and zero dampening, "
                f"got momentum {options['momentum']} and dampening {options['dampening']}"
            )

    def _plan(self, params, options):
        fills = {"momentum_buffer": 0} if options["momentum"] != 0 else {}
        for batch in self._batches(params, fills, counted=False):
            batch.call = partial(
                kernels.sgd,
                batch.params,
                batch.grads,
                *batch.states,
                lr=options["lr"],
                momentum=options["momentum"],
                dampening=options["dampening"],
                weight_decay=options["weight_decay"],
                nesterov=options["nesterov"],
                maximize=options["maximize"],
                first=batch.key,
            )
            yield batch
