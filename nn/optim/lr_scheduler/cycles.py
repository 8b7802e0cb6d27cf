"""Schedules that cycle the rate and the momentum, batch by batch."""

import math

from nn.optim.arguments import as_number
from nn.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group, require, set_rate


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
        check_optimizer(self, optimizer)
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
            require(self, value > 0, f"{name} must be positive", value)
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
            values = {key: per_group(optimizer, f"OneCycleLR: {key}", value) for key, value in options.items()}
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
                set_momentum(group, momentum, self.uses_betas)
        return [self._between(group[lr_from], group[lr_to], fraction) for group in self.optimizer.param_groups]


class CyclicLR(LRScheduler):
    """Move the rate up and down between `base_lr` and `max_lr`, while momentum moves the opposite way.

    Call `step` once per batch.

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float or list of float
    step_size_up : int, default 2000
        Steps from the lowest rate to the highest.
    step_size_down : int, optional
        Steps back; by default as many.
    mode : {"triangular", "triangular2", "exp_range"}, default "triangular"
        The height of the cycles: constant, halved after each cycle, or `gamma` to the power of the step.
    gamma : float, default 1
    scale_fn : callable, optional
        Used in place of `mode`: the number of the cycle, from 1, or of the step -> height in [0, 1]. It is not part of
        `state_dict`.
    scale_mode : {"cycle", "iterations"}, default "cycle"
        What `scale_fn` is a function of.
    cycle_momentum : bool, default True
        Cycle the optimiser's ``momentum``, or the first of its ``betas``, between `max_momentum` and `base_momentum`.
    base_momentum : float or list of float, default 0.8
    max_momentum : float or list of float, default 0.9
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        An unknown mode, a length that is not positive, or an optimiser without momentum.

    Reference: Smith, "Cyclical learning rates for training neural networks" (2017).
    """

    _unsaved = ("optimizer", "_scale_fn")

    def __init__(
        self,
        optimizer,
        base_lr,
        max_lr,
        step_size_up=2000,
        step_size_down=None,
        mode="triangular",
        gamma=1.0,
        scale_fn=None,
        scale_mode="cycle",
        cycle_momentum=True,
        base_momentum=0.8,
        max_momentum=0.9,
        last_epoch=-1,
    ):
        check_optimizer(self, optimizer)
        base_lrs = per_group(optimizer, "CyclicLR: base_lr", base_lr)
        self.max_lrs = per_group(optimizer, "CyclicLR: max_lr", max_lr)
        step_size_up = float(step_size_up)
        step_size_down = step_size_up if step_size_down is None else float(step_size_down)
        require(self, step_size_up > 0 and step_size_down >= 0, "step sizes must be positive", step_size_up)
        self.total_size = step_size_up + step_size_down
        self.step_ratio = step_size_up / self.total_size
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got {mode!r}")
        self.mode, self.gamma, self._scale_fn = mode, as_number(gamma), scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum, self.use_beta1 = cycle_momentum, "betas" in optimizer.defaults
        if cycle_momentum and not self.use_beta1 and "momentum" not in optimizer.defaults:
            raise ValueError("CyclicLR: cycle_momentum needs an optimiser with momentum or betas")
        self.base_momentums = per_group(optimizer, "CyclicLR: base_momentum", base_momentum)
        self.max_momentums = per_group(optimizer, "CyclicLR: max_momentum", max_momentum)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                set_rate(group, rate)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x):
        """The height of a cycle, or of a step with `scale_mode` "iterations"."""
        if self._scale_fn is not None:
            return self._scale_fn(x)
        if self.mode == "exp_range":
            return self.gamma**x
        return 0.5 ** (x - 1) if self.mode == "triangular2" else 1.0

    def get_lr(self):
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, limits, strict=True):
                set_momentum(group, high - (high - low) * height, self.use_beta1)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]


def set_momentum(group, momentum, use_beta1):
    """Set the momentum of a group, or the first of its betas."""
    if use_beta1:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
