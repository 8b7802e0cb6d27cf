"""Schedules along a cosine or a power."""

import math

from nn.optim.arguments import as_number
from nn.optim.lr_scheduler.base import LRScheduler, require


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the base rate down to `eta_min` over `T_max` epochs (and up again after that).

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
    eta_min : float, default 0
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        `T_max` is not positive.

    Reference: Loshchilov and Hutter, "SGDR" (2017), equation 5, without the restarts.
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max, self.eta_min = as_number(T_max), as_number(eta_min)
        require(self, self.T_max > 0, "T_max must be positive", T_max)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._first:
            return self._first_rates()
        rates = self._rates()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # the last rate was eta_min: a ratio of 0 / 0
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [lr + (base - self.eta_min) * rise for lr, base in zip(rates, self.base_lrs, strict=True)]
        now, before = (1 + math.cos(math.pi * t / self.T_max) for t in (self.last_epoch, self.last_epoch - 1))
        return [now / before * (lr - self.eta_min) + self.eta_min for lr in rates]

    def _rate(self, base):
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2


class PolynomialLR(LRScheduler):
    """Decay the rate to 0 over `total_iters` epochs, as a power of the fraction that is left.

    Parameters
    ----------
    optimizer : Optimizer
    total_iters : int, default 5
    power : float, default 1
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        `total_iters` is not positive.
    """

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = as_number(total_iters), as_number(power)
        require(self, self.total_iters > 0, "total_iters must be positive", total_iters)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._first:
            return self._first_rates()
        if self.last_epoch > self.total_iters:
            return self._rates()
        left, before = (1 - epoch / self.total_iters for epoch in (self.last_epoch, self.last_epoch - 1))
        return self._scaled((left / before) ** self.power)

    def _rate(self, base):
        return base * (1 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine annealing that restarts from the base rate, with cycles that grow by `T_mult`.

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        Length of the first cycle.
    T_mult : int, default 1
    eta_min : float, default 0
    last_epoch : int, default -1
        When resuming, the cycle of this epoch is computed; torch assumes the first cycle.

    Raises
    ------
    ValueError
        `T_0` or `T_mult` is not a positive integer.

    Reference: Loshchilov and Hutter, "SGDR" (2017), equation 5.
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        self.T_0, self.T_mult, self.eta_min = map(as_number, (T_0, T_mult, eta_min))
        for name in ("T_0", "T_mult"):
            value = getattr(self, name)
            require(self, isinstance(value, int) and value >= 1, f"{name} must be a positive integer", value)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        fall = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * fall for base in self.base_lrs]

    def step(self, epoch=None):
        """Advance by one epoch, or to `epoch`, which may be a fraction: ``epoch + batch / batches``.

        Raises
        ------
        ValueError
            `epoch` is negative.
        """
        if epoch is None and self._first:
            epoch = self.last_epoch + 1
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = as_number(epoch)
            if epoch < 0:
                raise ValueError(f"CosineAnnealingWarmRestarts: epoch must be at least 0, got {epoch}")
            self.T_i, self.T_cur = self.T_0, epoch
            if self.T_mult == 1:
                self.T_cur %= self.T_0
            while self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        self.last_epoch = math.floor(epoch)
        self._apply(self.get_lr())
