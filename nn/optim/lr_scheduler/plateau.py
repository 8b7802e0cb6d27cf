"""A schedule that follows a metric."""

import math

from nn.optim.arguments import as_number
from nn.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric has not improved for more than `patience` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}, default "min"
        Whether lower or higher is better.
    factor : float, default 0.1
    patience : int, default 10
    threshold : float, default 1e-4
        What counts as an improvement: by this fraction of the best value ("rel"), or by this amount ("abs").
    threshold_mode : {"rel", "abs"}, default "rel"
    cooldown : int, default 0
        Number of epochs after a reduction during which bad epochs are not counted.
    min_lr : float or list of float, default 0
    eps : float, default 1e-8
        Smaller reductions are skipped.

    Raises
    ------
    ValueError
        `factor` is 1 or more, or an unknown mode.
    """

    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr: float = 0,
        eps=1e-8,
    ):
        check_optimizer(self, optimizer)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        self.optimizer, self.mode, self.threshold_mode = optimizer, mode, threshold_mode
        self.factor, self.patience, self.threshold = map(as_number, (factor, patience, threshold))
        self.cooldown, self.eps = as_number(cooldown), as_number(eps)
        self.min_lrs = per_group(optimizer, "ReduceLROnPlateau: min_lr", min_lr)
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0
        self.best = math.inf if mode == "min" else -math.inf
        self._last_lr = self._rates()

    def _is_better(self, metric):
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * metric > sign * self.best * (1 + sign * self.threshold)
        return sign * metric > sign * self.best + self.threshold

    def step(self, metrics, epoch=None):
        """Count an epoch with this value of the metric, and reduce the rate if patience is exhausted.

        Parameters
        ----------
        metrics : float or 0-d Tensor
        epoch : int, optional
            The epoch's number; by default the next.
        """
        metric = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            rates = []
            for rate, floor in zip(self._rates(), self.min_lrs, strict=True):
                reduced = max(rate * self.factor, floor)
                rates.append(reduced if rate - reduced > self.eps else rate)
            self._apply(rates)
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
