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
