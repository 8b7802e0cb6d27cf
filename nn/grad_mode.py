"""Whether operations are recorded: switches for the tape of each thread."""

import threading
from contextlib import ContextDecorator


class _Mode(threading.local):
    enabled = True


mode = _Mode()


class set_grad_enabled(ContextDecorator):
    """Context manager, decorator and plain call: switch the tape of this thread on or off.

    Called as a plain function, as in PyTorch, it takes effect at once; as a context manager or decorator, until the end
    of the block.
    """

    def __init__(self, mode):
        self._enabled = bool(mode)
        self._outer = []  # a stack: one instance may be entered again, as by a recursive decorated function

    def __enter__(self):
        self._outer.append(mode.enabled)
        mode.enabled = self._enabled

    def __exit__(self, *error):
        mode.enabled = self._outer.pop()


class no_grad(set_grad_enabled):
    """Context manager and decorator: within it nothing is recorded, and parameters may be changed in place.

    Examples
    --------
    >>> import nn
    >>> x = nn.tensor(2.0, requires_grad=True)
    >>> with nn.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """

    def __init__(self):
        super().__init__(False)


class enable_grad(set_grad_enabled):
    """Context manager and decorator: record again, within `no_grad`."""

    def __init__(self):
        super().__init__(True)


class inference_mode(set_grad_enabled):
    """Context manager and decorator: as `no_grad`, or with ``mode=False`` as `enable_grad`.

    In PyTorch, tensors made within it cannot be recorded later; here they can.
    """

    def __init__(self, mode=True):
        super().__init__(not mode)


def is_grad_enabled():
    """Whether operations are recorded in this thread."""
    return mode.enabled
