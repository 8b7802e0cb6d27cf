"""Resilient propagation."""

from typing import Any

import numpy as np

from nn.optim.updates import ArrayOptimizer


class Rprop(ArrayOptimizer):
    """Rprop: a step size for each element, which grows while its gradient keeps its sign (Riedmiller and Braun 1993).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-2
        The initial step sizes.
    etas : (float, float), default (0.5, 1.2)
        Factors on a step size when the sign changes, below 1, and when it does not, above 1.
    step_sizes : (float, float), default (1e-6, 50)
        The smallest and the largest step size.
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
        lr: Any = 1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults, differentiable)

    def _check(self, options):
        self._require_non_negative(options, "lr")
        etas = options["etas"]
        if not (isinstance(etas, tuple) and len(etas) == 2 and 0 < etas[0] < 1 < etas[1]):
            raise ValueError(f"{self._name}: etas must be numbers in (0, 1) and above 1, got {etas}")

    def _initial(self, x, options):
        return {"step": 0, "prev": np.zeros_like(x), "step_size": np.full_like(x, options["lr"])}

    def _update(self, x, g, state, options):
        shrink, grow = options["etas"]
        step_size, agreement = state["step_size"], g * state["prev"]
        factor = np.where(agreement > 0, grow, np.where(agreement < 0, shrink, 1)).astype(x.dtype)
        np.clip(step_size * factor, *options["step_sizes"], out=step_size)
        g = np.where(agreement < 0, 0, g)  # no step after a change of sign
        x -= np.sign(g) * step_size
        state["prev"][...] = g
