"""Whether operations are recorded: switches for the tape of each thread."""

import threading
from contextlib import ContextDecorator


class _Mode(threading.local):
    enabled = True


mode = _Mode()


class _Switch(ContextDecorator):
    """Context manager and decorator: the tape of this thread on or off within a block or function."""

    def __init__(self, mode):
        self._enabled = bool(mode)
        self._outer = []  # a stack: one instance may be entered again, as by a recursive decorated function

    def __enter__(self):
        self._outer.append(mode.enabled)
        mode.enabled = self._enabled

    def __exit__(self, *error):
        mode.enabled = self._outer.pop()


class set_grad_enabled(_Switch):
    """Switch the tape of this thread on or off: at once, and as a context manager or decorator only within it.

    Examples
    --------
    >>> import nn
    >>> with nn.set_grad_enabled(False):
    ...     print(nn.is_grad_enabled())
    False
    """

    def __init__(self, mode):
        super().__init__(mode)
        self._before = _switched(self._enabled)

    def __enter__(self):
        self._outer.append(mode.enabled if self._before is None else self._before)
        self._before, mode.enabled = None, self._enabled

    def __call__(self, function):
        _switched(self._before)  # as it was before this decorator was made
        self._before = None
        return super().__call__(function)


def _switched(enabled):
    before, mode.enabled = mode.enabled, enabled
    return before


class no_grad(_Switch):
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


class enable_grad(_Switch):
    """Context manager and decorator: record again, within `no_grad`.

    Examples
    --------
    >>> import nn
    >>> w = nn.ones(2).requires_grad_()
    >>> with nn.no_grad(), nn.enable_grad():
    ...     y = w * 2
    >>> y.requires_grad
    True
    """

    def __init__(self):
        super().__init__(True)


class inference_mode(_Switch):
    """Context manager and decorator: as `no_grad`, or with ``mode=False`` as `enable_grad`.

    In PyTorch, tensors made within it cannot be recorded later; here they can.

    Examples
    --------
    >>> import nn
    >>> w = nn.ones(2).requires_grad_()
    >>> with nn.inference_mode():
    ...     y = w * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, mode=True):
        super().__init__(not mode)


def is_grad_enabled():
    """Whether operations are recorded in this thread.

    Examples
    --------
    >>> import nn
    >>> with nn.no_grad():
    ...     print(nn.is_grad_enabled())
    False
    """
    return mode.enabled
