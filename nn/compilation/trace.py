"""What a model does to its inputs: the operations that it calls, in order.

While a trace is made, the public operations (functions of `nn` and `nn.functional`, methods and operators of Tensor)
are replaced by ones that note the call. Only the outermost is noted: an operation may be made of others.
"""

import contextlib
import functools
import inspect
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

from nn import functional
from nn.grad_mode import no_grad
from nn.storage import Tensor

HERE = Path(__file__).parents[1]
# Not operations on values: what asks a tensor for its shape or puts it elsewhere.
_LAYOUT = {"size", "dim", "numel", "stride", "is_contiguous", "element_size", "get_device", "is_pinned", "ndimension"}
_LAYOUT |= {"is_floating_point", "is_complex", "is_signed", "nelement", "storage_offset", "data_ptr"}
# What hands a value to Python, which may decide by it what happens next.
_READS = ("__bool__", "__float__", "__int__", "__index__", "item", "tolist", "numpy", "__array__", "__iter__")
_tracing = threading.Lock()


class CompileError(Exception):
    """A model that cannot be compiled: what it does, and where."""


@dataclass
class Call:
    """One call of an operation: its name, its arguments by name, its results, and the line of the model."""

    name: str
    arguments: dict
    results: tuple
    place: str


class Trace:
    """The calls that `model` makes of operations, on `inputs`, and its `result`."""

    def __init__(self, model, inputs):
        self.inputs, self.calls, self._depth = inputs, [], 0
        # the inputs, parameters and buffers, and what operations made of them
        self.known = {id(each): each for each in (*inputs, *model.parameters(), *model.buffers())}
        with _tracing, self._replaced(), no_grad():
            self.result = model(*inputs)

    @contextlib.contextmanager
    def _replaced(self):
        """The operations, replaced by ones that note the calls."""
        undo, doubles = [], {}
        try:
            for owner, name, function in _operations():
                undo.append((owner, name, vars(owner)[name]))
                double = doubles.setdefault(function, self._noting(function))
                setattr(owner, name, staticmethod(double) if isinstance(vars(owner)[name], staticmethod) else double)
            for name in _READS:
                if name in vars(Tensor):
                    undo.append((Tensor, name, vars(Tensor)[name]))
                    setattr(Tensor, name, self._refusing(name, vars(Tensor)[name]))
            yield
        finally:
            for owner, name, function in reversed(undo):
                setattr(owner, name, function)

    def _noting(self, function):
        signature, name = inspect.signature(function), function.__name__

        @functools.wraps(function)
        def noting(*args, **kwargs):
            if self._depth:
                return function(*args, **kwargs)
            self._depth += 1
            try:
                result = function(*args, **kwargs)
            finally:
                self._depth -= 1
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            results = result if isinstance(result, (tuple, list)) else (result,)
            if any(id(each) in self.known for each in tensors_in(bound.arguments)):
                if name.endswith("_") and not name.endswith("__"):
                    raise CompileError(f"{name} at {place()} changes a tensor in place, which cannot be compiled")
                arguments = dict(bound.arguments)
                if getattr(function, "is_reflected", False):
                    arguments = {"input": arguments["other"], "other": arguments["input"]}
                self.calls.append(Call(name, arguments, tuple(results), place()))
                self.known |= {id(each): each for each in results if isinstance(each, Tensor)}
            return result

        return noting

    def _refusing(self, name, function):
        @functools.wraps(function)
        def refusing(tensor, *args, **kwargs):
            if self._depth == 0 and id(tensor) in self.known and not _is_ours():
                raise CompileError(
                    f"{name.strip('_')} at {place()} reads the value of a tensor, on which nothing may depend"
                )
            return function(tensor, *args, **kwargs)

        return refusing


@functools.cache
def _operations():
    """Where the operations are: (module or class, name, function)."""
    methods = {name: value for name, value in vars(Tensor).items() if isinstance(value, FunctionType)}
    operations = {
        value
        for name, value in methods.items()
        if value.__module__.startswith(("nn.operations", "nn.functional", "nn.tensor")) and name not in _LAYOUT
    }
    for module in (sys.modules["nn"], functional):
        operations |= {
            value
            for value in vars(module).values()
            if isinstance(value, FunctionType) and value.__module__.startswith(("nn.operations", "nn.functional"))
        }
    operations = {each for each in operations if each.__name__ not in _LAYOUT}
    found = [(Tensor, name, value) for name, value in methods.items() if value in operations]
    for name, module in sorted(sys.modules.items()):
        inner = name.startswith(("nn.operations", "nn.autograd", "nn.tape", "nn.tensor"))
        inside = name.startswith("nn.functional.")
        if isinstance(module, ModuleType) and (name == "nn" or name.startswith("nn.")) and not inner and not inside:
            layers = [each for each in vars(module).values() if isinstance(each, type) and each is not Tensor]
            for owner in (module, *layers):
                for attribute, value in vars(owner).items():
                    value = value.__func__ if isinstance(value, staticmethod) else value
                    if isinstance(value, FunctionType) and value in operations:
                        found.append((owner, attribute, value))
    return tuple(dict.fromkeys(found))


def tensors_in(value):
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from tensors_in(each)


def _is_ours():
    """Whether the caller of the tensor's method is `nn` itself."""
    return Path(sys._getframe(2).f_code.co_filename).is_relative_to(HERE)


def place():
    """The line of the model that is running: the innermost one outside of `nn`, or else the layer."""
    frame, layer = sys._getframe(1), "the model"
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(HERE) and "contextlib" not in path.name:
            return f"{path.name}:{frame.f_lineno}"
        if frame.f_code.co_name == "forward":
            layer = type(frame.f_locals.get("self")).__name__
        frame = frame.f_back
    return layer
