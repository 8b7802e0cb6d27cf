"""``torch.compile`` for programs that call it: models are what they were, since the kernels are compiled already."""

__all__ = ["compile", "disable", "is_compiling"]


def compile(
    model=None,
    *,
    fullgraph=False,
    dynamic=None,
    backend=None,
    mode=None,
    options=None,
    name=None,
    disable=False,
    recompile_limit=None,
    isolate_recompiles=False,
    shapes_spec=None,
):
    """The model or function itself; without one, a decorator. The options change nothing."""
    return (lambda function: function) if model is None else model


def disable(fn=None, recursive=True, *, reason=None):
    """The function itself; without one, a decorator."""
    return (lambda function: function) if fn is None else fn


def is_compiling():
    """Whether the code is being compiled: False."""
    return False
