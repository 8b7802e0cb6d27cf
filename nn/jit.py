"""``torch.jit`` for programs that use its decorators: nothing is scripted, every function and module is what it was.

The kernels are compiled already. What would need the compiler itself, such as ``trace``, is not here.
"""

from typing import Final

__all__ = ["Final", "annotate", "export", "ignore", "is_scripting", "is_tracing", "script", "unused"]


def script(obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """The function or module itself."""
    return obj


def ignore(drop=False, **kwargs):
    """Decorator, also called with options: the function itself."""
    return drop if callable(drop) else lambda fn: fn


def unused(fn):
    """Decorator: the function itself."""
    return fn


def export(fn):
    """Decorator: the function itself."""
    return fn


def annotate(the_type, the_value):
    """The value itself."""
    return the_value


def is_scripting():
    """Whether the code is being compiled: False."""
    return False


def is_tracing():
    """Whether the code is being traced: False."""
    return False
