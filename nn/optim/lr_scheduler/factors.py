"""Schedules that multiply the rate by factors of the epoch."""

from nn.optim.arguments import as_number
from nn.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group, require


class LambdaLR(LRScheduler):
    """Base rate times a function of the epoch.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable or list of callable
        Epoch -> factor; a list has one for each parameter group. Functions are not part of `state_dict`.
    last_epoch : int, default -1
    """

    _unsaved = ("optimizer", "lr_lambdas")

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        check_optimizer(self, optimizer)
        self.lr_lambdas = per_group(optimizer, "LambdaLR: lr_lambda", lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(LRScheduler):
    """Multiply the rate by a function of the epoch.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable or list of callable
        Epoch -> factor, from epoch 1 on; a list has one for each parameter group. Functions are not part of
        `state_dict`.
    last_epoch : int, default -1
    """

    _unsaved = ("optimizer", "lr_lambdas")

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        check_optimizer(self, optimizer)
        self.lr_lambdas = per_group(optimizer, "MultiplicativeLR: lr_lambda", lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._first:
            return self._rates()
        return [rate * f(self.last_epoch) for rate, f in zip(self._rates(), self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """Multiply the rate by `gamma` every `step_size` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
    gamma : float, default 0.1
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        `step_size` is not positive.

    Examples
    --------
    >>> import nn
    >>> optimizer = nn.optim.SGD([nn.Parameter([1.0])], lr=8.0)
    >>> scheduler = nn.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [2.0]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size, self.gamma = as_number(step_size), as_number(gamma)
        require(self, self.step_size > 0, "step_size must be positive", step_size)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._first:
            return self._first_rates()
        return self._scaled(self.gamma if self.last_epoch % self.step_size == 0 else 1)

    def _rate(self, base):
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiply the rate by `gamma` at each milestone.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : iterable of int
        Epochs; the factor is applied once per occurrence.
    gamma : float, default 0.1
    last_epoch : int, default -1
    """

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = sorted(map(as_number, milestones)), as_number(gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        factor = self.gamma ** self.milestones.count(self.last_epoch)
        return self._first_rates(factor) if self._first else self._scaled(factor)

    def _rate(self, base):
        return base * self.gamma ** sum(0 <= milestone <= self.last_epoch for milestone in self.milestones)


class ConstantLR(LRScheduler):
    """Multiply the rate by `factor` for the first `total_iters` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    factor : float, default 1/3
        A factor of 0 cannot be undone by a division (as torch tries): after it, the rate is the base rate.
    total_iters : int, default 5
        With 0, the rate is never multiplied; in torch, it is multiplied forever.
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        `factor` is outside [0, 1], or `total_iters` is negative.
    """

    def __init__(self, optimizer, factor=1 / 3, total_iters=5, last_epoch=-1):
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: factor must be in [0, 1], got {factor}")
        require(self, total_iters >= 0, "total_iters must be at least 0", total_iters)
        self.factor, self.total_iters = as_number(factor), as_number(total_iters)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._first:
            return self._first_rates(self._rate(1))
        if self.last_epoch != self.total_iters:
            return self._scaled(1)
        return self._scaled(1 / self.factor) if self.factor else list(self.base_lrs)

    def _rate(self, base):
        return base * self.factor if self.last_epoch < self.total_iters else base


class LinearLR(LRScheduler):
    """Change the factor on the rate linearly from `start_factor` to `end_factor` over `total_iters` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    start_factor : float, default 1/3
    end_factor : float, default 1
    total_iters : int, default 5
        With 0, the factor is `end_factor` from the start; torch keeps `start_factor` forever.
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        `start_factor` is outside (0, 1], `end_factor` outside [0, 1], or `total_iters` is negative.
    """

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must be in (0, 1], got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be in [0, 1], got {end_factor}")
        require(self, total_iters >= 0, "total_iters must be at least 0", total_iters)
        self.start_factor, self.end_factor = as_number(start_factor), as_number(end_factor)
        self.total_iters = as_number(total_iters)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._first:
            return self._first_rates(self._rate(1))
        if self.last_epoch > self.total_iters:
            return self._scaled(1)
        rise = self.end_factor - self.start_factor
        factor = 1 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)
        return self._scaled(max(factor, 0))  # a decay to 0 may be rounded to a negative rate, which is invalid

    def _rate(self, base):
        if self.last_epoch >= self.total_iters:
            return base * self.end_factor
        rise = self.end_factor - self.start_factor
        return base * (self.start_factor + rise * self.last_epoch / self.total_iters)


class ExponentialLR(LRScheduler):
    """Multiply the rate by `gamma` every epoch.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
    last_epoch : int, default -1
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = as_number(gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._first_rates() if self._first else self._scaled(self.gamma)

    def _rate(self, base):
        return base * self.gamma**self.last_epoch
