"""The base class of learning-rate schedules."""

from nn.optim.arguments import as_number
from nn.tensor import Tensor


def require(scheduler, holds, rule, value):
    if not holds:
        raise ValueError(f"{type(scheduler).__name__}: {rule}, got {value}")


def per_group(optimizer, name, value):
    """One value for each parameter group."""
    if not isinstance(value, (list, tuple)):
        return [as_number(value)] * len(optimizer.param_groups)
    if len(value) != len(optimizer.param_groups):
        raise ValueError(f"{name}: the optimiser has {len(optimizer.param_groups)} groups, got {len(value)} values")
    return list(map(as_number, value))


def check_optimizer(scheduler, optimizer):
    if not hasattr(optimizer, "param_groups"):
        raise TypeError(f"{type(scheduler).__name__}: needs an Optimizer, got {type(optimizer).__name__}")


def set_rate(group, rate):
    """Set the rate of a group, of a tensor in place."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


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
        check_optimizer(self, optimizer)
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

    def step(self, epoch=None):
        """Advance by one epoch, or to `epoch`, and set the rates; if that raises, the epoch is unchanged."""
        previous = self.last_epoch
        self.last_epoch = previous + 1 if epoch is None else as_number(epoch)
        closed = epoch is not None and type(self)._rate is not LRScheduler._rate
        try:
            self._apply([self._rate(base) for base in self.base_lrs] if closed else self.get_lr())
        except Exception:
            self.last_epoch = previous
            raise

    @property
    def _step_count(self):
        """The number of calls of `step`, the one of the constructor included: schedules that users write read it."""
        return self.last_epoch + 1

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
            set_rate(group, rate)

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
