"""Learning-rate schedules with the names, arguments and rates of ``torch.optim.lr_scheduler``.

Like torch's, most schedules are recursive: the next rate is computed from the optimiser's current rate. So several of
them can drive one optimiser (a warm-up and a decay, both stepped every epoch), and their factors multiply.

A schedule resumed with `last_epoch` has the same rates as one that was never interrupted. Rates restored from the
optimiser's ``state_dict`` already belong to that epoch and are kept (torch applies the factor of a milestone, or of the
end of `ConstantLR`, a second time). A rate that still equals the initial one, as in a new optimiser whose groups were
given an ``"initial_lr"``, is computed for the epoch (torch leaves it unchanged).

A rate may be a NumPy number or a tensor: a schedule computes with Python numbers, and changes a tensor in place.

Call ``scheduler.step()`` after ``optimizer.step()``: once per epoch, or once per batch for the schedules that count
batches.
"""

import math
from bisect import bisect_right

from nn.tensor import Tensor


def as_number(value):
    """Convert a NumPy number, or an array or tensor of one element, to a Python number."""
    return value.item() if hasattr(value, "item") else value


def _require(scheduler, holds, rule, value):
    if not holds:
        raise ValueError(f"{type(scheduler).__name__}: {rule}, got {value}")


def _per_group(optimizer, name, value):
    """One value for each parameter group."""
    if not isinstance(value, (list, tuple)):
        return [as_number(value)] * len(optimizer.param_groups)
    if len(value) != len(optimizer.param_groups):
        raise ValueError(f"{name}: the optimiser has {len(optimizer.param_groups)} groups, got {len(value)} values")
    return list(map(as_number, value))


def _check_optimizer(scheduler, optimizer):
    if not hasattr(optimizer, "param_groups"):
        raise TypeError(f"{type(scheduler).__name__}: needs an Optimizer, got {type(optimizer).__name__}")


class LRScheduler:
    """Base class: a subclass computes the rates of epoch ``self.last_epoch`` in `get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
    last_epoch : int, default -1
        The last epoch that ran, to resume; -1 starts from the beginning.

    Raises
    ------
    TypeError
        `optimizer` is not an Optimizer.
    KeyError
        `last_epoch` is given, and a group of the optimiser has no ``"initial_lr"``.
    """

    _unsaved = ("optimizer",)

    def __init__(self, optimizer, last_epoch=-1):
        _check_optimizer(self, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", as_number(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: resuming at {last_epoch}, group {i} has no initial_lr")
        self.base_lrs = [as_number(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = as_number(last_epoch)
        self._first_step()

    def get_lr(self):
        """The rates of epoch ``self.last_epoch``, one for each parameter group."""
        raise NotImplementedError

    def get_last_lr(self):
        """The rates that were set last, one for each parameter group."""
        return self._last_lr

    def step(self):
        """Advance by one epoch and set the optimiser's rates; if that raises, the epoch is unchanged."""
        self.last_epoch += 1
        try:
            self._apply(self.get_lr())
        except Exception:
            self.last_epoch -= 1
            raise

    def state_dict(self):
        """Everything but the optimiser, as a dict that is also valid JSON."""
        return {key: value for key, value in self.__dict__.items() if key not in self._unsaved}

    def load_state_dict(self, state_dict):
        """Load a state saved by `state_dict`."""
        self.__dict__.update(state_dict)

    def _first_step(self):
        self._first = True  # get_lr must not apply a factor to a rate that is already that of the first epoch
        try:
            self.step()
        finally:
            self._first = False

    def _begin(self):
        """Start at epoch 0 from the optimiser's current rates."""
        self.last_epoch = -1
        self._first_step()

    def _restart(self):
        """Start at epoch 0 from the base rates, whatever the optimiser's current rates are."""
        self._apply(self.base_lrs)
        self._begin()

    def _apply(self, rates):
        self._last_lr = [as_number(rate) for rate in rates]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _rates(self):
        return [as_number(group["lr"]) for group in self.optimizer.param_groups]

    def _scaled(self, factor):
        return [rate * factor for rate in self._rates()]

    def _first_rates(self, factor=1):
        """The rates of the first step: with the factor of epoch 0, or when resuming as the module's docstring says."""
        if self.last_epoch <= 0:
            return self._scaled(factor)
        return [
            self._rate(base) if rate == base else rate for rate, base in zip(self._rates(), self.base_lrs, strict=True)
        ]

    def _rate(self, base):
        """The rate of epoch ``self.last_epoch`` in closed form, for a run with no other schedule."""
        raise NotImplementedError


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
        _check_optimizer(self, optimizer)
        self.lr_lambdas = _per_group(optimizer, "LambdaLR: lr_lambda", lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


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
        _require(self, self.step_size > 0, "step_size must be positive", step_size)
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
        _require(self, total_iters >= 0, "total_iters must be at least 0", total_iters)
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
        _require(self, total_iters >= 0, "total_iters must be at least 0", total_iters)
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
        _require(self, self.T_max > 0, "T_max must be positive", T_max)
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
            _require(self, isinstance(value, int) and value >= 1, f"{name} must be a positive integer", value)
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


class OneCycleLR(LRScheduler):
    """Rise from ``max_lr / div_factor`` to `max_lr`, then decay far below, while momentum moves the opposite way.

    Call `step` once per batch.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float or list of float
    total_steps : int, optional
        Or give `epochs` and `steps_per_epoch`.
    epochs, steps_per_epoch : int, optional
    pct_start : float, default 0.3
        Fraction of the cycle during which the rate rises. A phase of length zero (torch divides by it) is at its end
        at once: with a rise of one step, the first step has `max_lr`.
    anneal_strategy : {"cos", "linear"}, default "cos"
    cycle_momentum : bool, default True
        Cycle the optimiser's ``momentum``, or the first of its ``betas``, between `max_momentum` and `base_momentum`.
    base_momentum : float or list of float, default 0.85
    max_momentum : float or list of float, default 0.95
    div_factor : float, default 25
    final_div_factor : float, default 1e4
        The last rate is the first divided by this.
    three_phase : bool, default False
        True: decay symmetrically to the first rate, then to the last. False: decay to the last rate in one phase.
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        No length given or one that is not a positive integer, `pct_start` outside [0, 1], an unknown strategy, a factor
        that is not positive, an optimiser without momentum; stepped more than `total_steps` times.
    KeyError
        `last_epoch` is given, and the optimiser's groups lack the entries that an earlier OneCycleLR stored in them.

    Reference: Smith and Topin, "Super-convergence" (2018).
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        _check_optimizer(self, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
            for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
                if not isinstance(as_number(value), int) or value < 1:
                    raise ValueError(f"OneCycleLR: {name} must be a positive integer, got {value}")
            total_steps = epochs * steps_per_epoch
        total_steps, pct_start = as_number(total_steps), as_number(pct_start)
        if not isinstance(total_steps, int) or total_steps < 1:
            raise ValueError(f"OneCycleLR: the number of steps must be a positive integer, got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be in [0, 1], got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        div_factor, final_div_factor = as_number(div_factor), as_number(final_div_factor)
        for name, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            _require(self, value > 0, f"{name} must be positive", value)
        self.total_steps, self.anneal_strategy, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum

        # A phase: its last step, and the group's entries from and to which rate and momentum move.
        rise_end, last = pct_start * total_steps - 1, total_steps - 1
        rise = [rise_end, "initial_lr", "max_lr", "max_momentum", "base_momentum"]
        if three_phase:
            fall_end = 2 * pct_start * total_steps - 2
            fall = [fall_end, "max_lr", "initial_lr", "base_momentum", "max_momentum"]
            self.phases = [rise, fall, [last, "initial_lr", "min_lr", "max_momentum", "max_momentum"]]
        else:
            self.phases = [rise, [last, "max_lr", "min_lr", "base_momentum", "max_momentum"]]

        self.uses_betas = "betas" in optimizer.defaults
        if cycle_momentum and not self.uses_betas and "momentum" not in optimizer.defaults:
            raise ValueError("OneCycleLR: cycle_momentum needs an optimiser with momentum or betas")
        if last_epoch == -1:
            options = {"max_lr": max_lr}
            if cycle_momentum:
                options |= {"base_momentum": base_momentum, "max_momentum": max_momentum}
            values = {key: _per_group(optimizer, f"OneCycleLR: {key}", value) for key, value in options.items()}
            for i, group in enumerate(optimizer.param_groups):
                group.update({key: each[i] for key, each in values.items()})
                group["initial_lr"] = group["max_lr"] / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
        else:
            needed = ["max_lr", "min_lr", *(["base_momentum", "max_momentum"] if cycle_momentum else [])]
            for i, group in enumerate(optimizer.param_groups):
                if missing := [key for key in needed if key not in group]:
                    raise KeyError(f"OneCycleLR: resuming at {last_epoch}, group {i} has no {', '.join(missing)}")
        super().__init__(optimizer, last_epoch)

    def _between(self, start, end, fraction):
        if self.anneal_strategy == "linear":
            return (end - start) * fraction + start
        return end + (start - end) / 2 * (math.cos(math.pi * fraction) + 1)

    def get_lr(self):
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} is beyond the cycle of {self.total_steps} steps")
        begin = 0
        for phase in self.phases:
            end, lr_from, lr_to, momentum_from, momentum_to = phase
            if step <= end or phase is self.phases[-1]:
                break
            begin = end
        fraction = (step - begin) / (end - begin) if end > begin else 1  # a phase of length zero is at its end
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                momentum = self._between(group[momentum_from], group[momentum_to], fraction)
                if self.uses_betas:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return [self._between(group[lr_from], group[lr_to], fraction) for group in self.optimizer.param_groups]


class SequentialLR(LRScheduler):
    """Run schedules one after the other, each from its own epoch 0.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
        All on `optimizer`.
        One may itself be a SequentialLR, which starts when it becomes active (torch corrupts its counts).
    milestones : list of int
        The epochs at which the next schedule becomes active.
    last_epoch : int, default -1
        The last epoch that ran, to resume: the rates are recomputed from the initial ones.

    Raises
    ------
    ValueError
        No scheduler, a wrong number of milestones, a `ReduceLROnPlateau`, or a scheduler of another optimiser.
    """

    _unsaved = ("optimizer", "schedulers")

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "SequentialLR: needs at least one scheduler, and one milestone fewer than schedulers: "
                f"got {len(schedulers)} schedulers and {len(milestones)} milestones"
            )
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"SequentialLR: scheduler {i} is a ReduceLROnPlateau, whose step needs a metric")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: scheduler {i} drives another optimiser")
        self.optimizer, self.schedulers = optimizer, list(schedulers)
        self.milestones = list(map(as_number, milestones))
        # Constructing a scheduler takes its first step, which is undone here: it belongs to when it becomes active.
        self._apply([group["initial_lr"] for group in optimizer.param_groups])
        self._begin()
        for _ in range(last_epoch + 1):
            self.step()

    def _begin(self):
        self.last_epoch = 0
        self._active()._begin()
        self._last_lr = self._active().get_last_lr()

    def _restart(self):
        self.last_epoch = 0
        self._active()._restart()
        self._last_lr = self._active().get_last_lr()

    def _active(self):
        """The scheduler of this epoch."""
        return self.schedulers[bisect_right(self.milestones, self.last_epoch)]

    def step(self):
        self.last_epoch += 1
        scheduler = self._active()
        try:
            if self.last_epoch in self.milestones:
                scheduler._restart()
            else:
                scheduler.step()
        except Exception:
            self.last_epoch -= 1
            raise
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self):
        return {**super().state_dict(), "schedulers": [scheduler.state_dict() for scheduler in self.schedulers]}

    def load_state_dict(self, state_dict):
        states = state_dict["schedulers"]
        if len(states) != len(self.schedulers):
            raise ValueError(f"SequentialLR: there are {len(self.schedulers)} schedulers, the state has {len(states)}")
        for scheduler, state in zip(self.schedulers, states, strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "schedulers"})


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
        min_lr=0,
        eps=1e-8,
    ):
        _check_optimizer(self, optimizer)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        self.optimizer, self.mode, self.threshold_mode = optimizer, mode, threshold_mode
        self.factor, self.patience, self.threshold = map(as_number, (factor, patience, threshold))
        self.cooldown, self.eps = as_number(cooldown), as_number(eps)
        self.min_lrs = _per_group(optimizer, "ReduceLROnPlateau: min_lr", min_lr)
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0
        self.best = math.inf if mode == "min" else -math.inf
        self._last_lr = self._rates()

    def _is_better(self, metric):
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * metric > sign * self.best * (1 + sign * self.threshold)
        return sign * metric > sign * self.best + self.threshold

    def step(self, metrics):
        """Count an epoch with this value of the metric, and reduce the rate if patience is exhausted.

        Parameters
        ----------
        metrics : float or 0-d Tensor
        """
        metric = float(metrics)
        self.last_epoch += 1
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
