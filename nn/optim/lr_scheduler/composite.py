"""Schedules made of schedules."""

from bisect import bisect_right

from nn.optim.arguments import as_number
from nn.optim.lr_scheduler.base import LRScheduler
from nn.optim.lr_scheduler.plateau import ReduceLROnPlateau


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

    _unsaved = ("optimizer", "_schedulers")

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
        self.optimizer, self._schedulers = optimizer, list(schedulers)
        self._milestones = list(map(as_number, milestones))
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
        return self._schedulers[bisect_right(self._milestones, self.last_epoch)]

    def step(self):
        self.last_epoch += 1
        scheduler = self._active()
        try:
            if self.last_epoch in self._milestones:
                scheduler._restart()
            else:
                scheduler.step()
        except Exception:
            self.last_epoch -= 1
            raise
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self):
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict):
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(f"SequentialLR: there are {len(self._schedulers)} schedulers, the state has {len(states)}")
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})


class ChainedScheduler(LRScheduler):
    """Step several schedules at once: their factors multiply.

    Parameters
    ----------
    schedulers : sequence of LRScheduler
    optimizer : Optimizer, optional
        That of all of them.

    Raises
    ------
    ValueError
        No scheduler, a `ReduceLROnPlateau`, or a scheduler of another optimiser.
    """

    _unsaved = ("optimizer", "_schedulers")

    def __init__(self, schedulers, optimizer=None):
        if not schedulers:
            raise ValueError("ChainedScheduler: needs at least one scheduler, got none")
        self.optimizer = optimizer or schedulers[0].optimizer
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"ChainedScheduler: scheduler {i} is a ReduceLROnPlateau, whose step needs a metric")
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(f"ChainedScheduler: scheduler {i} drives another optimiser")
        self._schedulers = list(schedulers)
        self._last_lr = self._rates()

    def step(self):
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()

    def state_dict(self):
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict):
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})
