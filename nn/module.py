"""Module: a function with parameters, composed of other modules.

A module consists of its attributes, in the order in which they were set: a `Parameter` is trained, a `Module` is a
submodule, and a name passed to `register_buffer` is state that is saved but not trained. There is no separate registry
of parameters or submodules.
"""

from contextlib import contextmanager
from typing import Any

import numpy as np

from nn.module_hooks import Hooks
from nn.module_state import State
from nn.module_tree import Tree
from nn.operations.arguments import target_of
from nn.parameter import Buffer, Parameter
from nn.storage import wrap
from nn.tensor import Tensor


class Module(Tree, Hooks, State):
    """Base class of layers and models: a subclass sets attributes in ``__init__`` and defines ``forward``.

    Attributes
    ----------
    training : bool
        Whether the module is in training mode, which changes what Dropout does, for example; see `train` and `eval`.

    Examples
    --------
    >>> import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter([2.0])
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(nn.tensor([1.0, 3.0])).tolist()
    [2.0, 6.0]
    """

    def __init__(self):
        self.training = True
        self._persistent = {}  # name of each buffer -> whether it is part of the state_dict
        Hooks.__init__(self)
        State.__init__(self)

    def forward(self, *input):
        """What the module computes; defined by subclasses, and called by calling the module."""
        raise NotImplementedError(f"{type(self).__name__}: a module needs forward")

    def __call__(self, *args, **kwargs) -> Any:
        try:
            if self._forward_pre_hooks or self._forward_hooks or self._backward_hooks:
                return self._call_with_hooks(*args, **kwargs)
            return self.forward(*args, **kwargs)
        except TypeError as error:
            self._explain(error, args)
            raise

    def _explain(self, error, inputs):
        """Add what to do to an error about float64 inputs of a float32 module: NumPy and scikit-learn make float64."""
        if getattr(error, "__notes__", None) or "float64" not in str(error):
            return
        own = {parameter.dtype for parameter in self.parameters()}
        if own == {np.dtype(np.float32)} and any(isinstance(x, Tensor) and x.dtype == np.float64 for x in inputs):
            error.add_note(
                f"{type(self).__name__}: the input is float64, as NumPy and scikit-learn make it, and the parameters "
                "are float32: convert the array by .astype(np.float32), or the module by .double()"
            )

    def __setattr__(self, name, value):
        attributes = self.__dict__
        if isinstance(value, (Parameter, Module, Buffer)):
            if "_persistent" not in attributes:
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before setting {name}")
            if name in attributes and not isinstance(attributes[name], (Parameter, Module, Tensor)):
                del attributes[name]  # the order of modules and parameters is that in which they were set
        current = attributes.get(name)
        for kind in (Parameter, Module):
            if isinstance(current, kind) and not (value is None or isinstance(value, (kind, Parameter))):
                kind, new = kind.__name__, type(value).__name__
                raise TypeError(f"{type(self).__name__}: {name} is a {kind} and cannot become a {new}")
        if name in attributes.get("_persistent", ()):
            if isinstance(value, (Parameter, Module)):
                del self._persistent[name]
            elif not (value is None or isinstance(value, Tensor)):
                raise TypeError(f"{type(self).__name__}: {name} is a buffer and cannot become a {type(value).__name__}")
        if isinstance(value, Buffer):
            self._persistent[name] = value.persistent
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        object.__delattr__(self, name)
        vars(self).get("_persistent", {}).pop(name, None)

    def __getattr__(self, name):
        # only called for names that are not found; defined for subclasses that call super().__getattr__
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __dir__(self):
        return [name for name in super().__dir__() if not name[0].isdigit()]

    # parameters, buffers and submodules

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that belongs to the module's state but is not learned, such as a running mean.

        Parameters
        ----------
        name : str
            The attribute's name.
        tensor : Tensor or None
        persistent : bool, default True
            Whether it is part of the ``state_dict``.

        Raises
        ------
        TypeError
            `name` is not a str, or `tensor` not a Tensor.
        KeyError
            `name` is empty, contains a dot, or is an attribute already (but not a buffer).
        """
        if not (tensor is None or isinstance(tensor, Tensor)):
            raise TypeError(f"register_buffer: {name} must be a Tensor or None, got {type(tensor).__name__}")
        self._require_free("register_buffer", name, self._persistent)
        self._persistent[name] = persistent
        setattr(self, name, tensor)

    def register_parameter(self, name, param):
        """Set attribute `name`, which must not be in use, to a parameter or None.

        Raises
        ------
        TypeError
            `name` is not a str, or `param` not a Parameter.
        KeyError
            `name` is empty, contains a dot, or is an attribute of another kind.
        """
        if not (param is None or isinstance(param, Parameter)):
            raise TypeError(f"register_parameter: {name} must be a Parameter or None, got {type(param).__name__}")
        self._require_free("register_parameter", name, self._names_of(Parameter))
        setattr(self, name, param)

    def add_module(self, name, module):
        """Set attribute `name`, which must not be in use, to a module or None.

        Raises
        ------
        TypeError
            `name` is not a str, or `module` not a Module.
        KeyError
            `name` is empty, contains a dot, or is an attribute of another kind, such as a method.
        """
        if not (module is None or isinstance(module, Module)):
            raise TypeError(f"add_module: {name} must be a Module or None, got {type(module).__name__}")
        self._require_free("add_module", name, self._names_of(Module))
        setattr(self, name, module)

    def _names_of(self, kind):
        """The names of instance attributes of this class, or that are None and not buffers."""
        attributes = vars(self).items()
        return [n for n, v in attributes if isinstance(v, kind) or (v is None and n not in self._persistent)]

    def _require_free(self, function, name, replaceable):
        """Raise unless a parameter, buffer or submodule may have this name (PyTorch's rules)."""
        if not isinstance(name, str):
            raise TypeError(f"{function}: a name must be a str, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"{function}: a name must not be empty or contain a dot, got {name!r}")
        if name not in replaceable and hasattr(self, name):
            raise KeyError(f"{function}: {type(self).__name__} already has an attribute {name}")

    def register_module(self, name, module):
        """As `add_module`."""
        self.add_module(name, module)

    # operations on the whole tree of modules

    def apply(self, fn):
        """Call ``fn(module)`` for every module, submodules first; return self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode=True):
        """Switch this module and its submodules to training mode, or with False to evaluation mode; return self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Switch to evaluation mode: ``train(False)``."""
        return self.train(False)

    @contextmanager
    def _evaluating(self):
        """Context manager: evaluation mode inside, then each module's previous mode again."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training

    def zero_grad(self, set_to_none=True):
        """Reset the gradients to None, or with ``set_to_none=False`` to zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def requires_grad_(self, requires_grad=True):
        """Set whether the parameters require gradients (False freezes them); return self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def to(self, *args, **kwargs):
        """Convert parameters, gradients and buffers that are floating point to another dtype; return self.

        Called as ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(tensor)``, with PyTorch's keywords. The
        device is the CPU; `non_blocking`, `copy` and `memory_format` have no meaning here.

        Raises
        ------
        TypeError
            `dtype` is neither float32 nor float64.
        RuntimeError
            The device is not the CPU.
        """
        dtype = target_dtype(*args, **kwargs)
        return self if dtype is None else self._converted(dtype)

    @np.errstate(over="ignore")
    def _converted(self, dtype):
        for _, tensor in [*self.named_parameters(), *self.named_buffers()]:
            for t in (tensor, tensor.grad):
                if t is not None and t.array.dtype.kind == "f":
                    t.data = wrap(t.array.astype(dtype, copy=False))
        return self

    def type(self, dst_type):
        """Convert to a dtype: ``to(dst_type)``."""
        return self.to(dst_type)

    def float(self):
        """Convert to float32."""
        return self._converted(np.float32)

    def double(self):
        """Convert to float64."""
        return self._converted(np.float64)

    def half(self):
        """Not possible: TypeError, since there is no arithmetic in float16."""
        return self.to(np.float16)

    def bfloat16(self):
        """Not possible: TypeError, since there is no arithmetic in bfloat16."""
        raise TypeError("bfloat16: a module's dtype must be float32 or float64")

    def to_empty(self, *, device, recurse=True):
        """Does nothing, as `to` with the CPU; return self."""
        return self.to(device)

    def compile(self, *args, **kwargs):
        """Does nothing: the kernels are compiled."""

    def cpu(self):
        """Does nothing, since all modules are on the CPU; return self."""
        return self

    def cuda(self, device=None):
        """Not possible: RuntimeError, since there is the CPU only."""
        raise RuntimeError("cuda: all modules are on the CPU here")

    def share_memory(self):
        """Does nothing; return self."""
        return self

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """The text between the parentheses of ``repr``, apart from the submodules."""
        return ""

    def __repr__(self):
        lines = [f"({name}): {indented(repr(module))}" for name, module in self._direct_modules()]
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        if not lines and len(extra) <= 1:
            return f"{self._get_name()}({''.join(extra)})"
        return "\n  ".join([f"{self._get_name()}(", *extra, *lines]) + "\n)"


def target_dtype(*args, device=None, dtype=None, non_blocking=False, copy=False, memory_format=None):
    """The dtype that the arguments of ``Module.to`` ask for, or None; the errors are those of ``to``."""
    dtype, _ = target_of("to", args, device, dtype)
    if dtype is not None and dtype.kind != "f":
        raise TypeError(f"to: a module's dtype must be float32 or float64, got {dtype}")
    return dtype


def indented(text):
    """The lines of a text, all but the first indented."""
    return text.replace("\n", "\n  ")


def require_sizes(module, **sizes):
    """Raise unless these arguments of a module's constructor are ints of at least 0."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{type(module).__name__}: {name} must be an int, got {type(size).__name__}")
        if size < 0:
            raise ValueError(f"{type(module).__name__}: {name} must be at least 0, got {size}")
