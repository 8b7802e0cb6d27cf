"""Mixed precision, ``torch.amp``, for programs that guard their steps with it: here every step is in full precision.

PyTorch switches both off, with a warning, where they are made for a GPU and there is none; so do these, silently.
"""

from collections import defaultdict
from contextlib import ContextDecorator
from typing import Any

import numpy as np

from nn.device import TYPES
from nn.storage import Tensor

__all__ = ["GradScaler", "autocast", "is_autocast_available"]


def is_autocast_available(device_type):
    """Whether operations on a device can be cast to a narrower dtype: False."""
    return False


class autocast(ContextDecorator):
    """Context manager and decorator that changes nothing: there is no arithmetic in float16 or bfloat16.

    Parameters
    ----------
    device_type : str
        Of a GPU: PyTorch without one changes nothing, either.
    dtype, cache_enabled
        Not used.
    enabled : bool, default True

    Raises
    ------
    RuntimeError
        The device is the CPU and `enabled` is True: PyTorch would compute in bfloat16 or float16.
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if device_type not in TYPES:
            raise RuntimeError(f"autocast: expected one of {', '.join(TYPES)}, got {device_type!r}")
        if device_type == "cpu" and enabled and dtype != np.float32:
            raise RuntimeError("autocast: there is no arithmetic in float16 or bfloat16 here; pass enabled=False")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class GradScaler:
    """Scales the loss, so that small gradients do not vanish, and the gradients back before the optimiser's step.

    Steps with infinities or NaNs among the gradients are left out, and the scale is made smaller; after
    `growth_interval` steps without, it grows.

    Parameters
    ----------
    device : str, default "cuda"
        Of a GPU, which is not there: the scaler is not enabled. On "cpu" it works.
    init_scale : float, default 2¹⁶
    growth_factor, backoff_factor : float, default 2.0 and 0.5
        By which the scale is multiplied.
    growth_interval : int, default 2000
    enabled : bool, default True
        If not, the methods call the optimiser's step and do nothing else.
    """

    def __init__(
        self,
        device: Any = "cuda",
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        self._enabled = enabled and device == "cpu"
        if self._enabled and not (growth_factor > 1.0 and backoff_factor < 1.0):
            raise ValueError(
                "GradScaler: growth_factor must be above 1 and backoff_factor below, "
                f"got {growth_factor} and {backoff_factor}"
            )
        self._scale = init_scale
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._found_inf = {}  # optimiser -> whether its gradients, unscaled since the last update, are not finite
        self._stepped = defaultdict(bool)

    def scale(self, outputs):
        """A tensor, or each in a nest of lists and tuples, multiplied by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(map(self.scale, outputs))
        raise ValueError(f"scale: expected a Tensor or a sequence of them, got {type(outputs).__name__}")

    def unscale_(self, optimizer):
        """Divide the gradients of an optimiser's parameters by the scale, at most once between two updates."""
        if not self._enabled:
            return
        if optimizer in self._found_inf:
            done = "step" if self._stepped[optimizer] else "unscale_"
            raise RuntimeError(f"unscale_: {done} has been called on this optimizer since the last update()")
        finite = True
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.data.mul_(1.0 / self._scale)
                    finite = finite and bool(np.isfinite(p.grad.array).all())
        self._found_inf[optimizer] = not finite

    def step(self, optimizer, *args, **kwargs):
        """Unscale the gradients, if `unscale_` has not, and call the optimiser's step if they are finite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("step: a closure cannot be used with a GradScaler that is enabled")
        if self._stepped[optimizer]:
            raise RuntimeError("step: it has been called since the last update()")
        if optimizer not in self._found_inf:
            self.unscale_(optimizer)
        self._stepped[optimizer] = True
        return None if self._found_inf[optimizer] else optimizer.step(*args, **kwargs)

    def update(self, new_scale=None):
        """Change the scale by what was found in the steps since the last update, or to `new_scale`."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._found_inf:
            raise RuntimeError("update: no gradients were unscaled since the last update()")
        elif any(self._found_inf.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale *= self._growth_factor
                self._growth_tracker = 0
        self._found_inf.clear()
        self._stepped.clear()

    def get_scale(self):
        """The scale, a float; 1.0 if the scaler is not enabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self):
        """Whether the scaler scales."""
        return self._enabled

    def state_dict(self):
        """The scale and its options, a dict; empty if the scaler is not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict):
        """Take over what `state_dict` returned."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("load_state_dict: the state is empty; it is of a scaler that was not enabled")
        self._scale = state_dict["scale"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval, self._growth_tracker = state_dict["growth_interval"], state_dict["_growth_tracker"]
