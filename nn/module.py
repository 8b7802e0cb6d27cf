"""Module: a function with parameters, composed of other modules.

A module consists of its attributes, in the order in which they were set: a `Parameter` is trained, a `Module` is a
submodule, and a name passed to `register_buffer` is state that is saved but not trained. There is no separate registry
of parameters or submodules.
"""

from collections.abc import Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from nn.grad_mode import is_grad_enabled
from nn.storage import edge, wrap
from nn.tape import Handle, Node
from nn.tensor import Tensor


class Parameter(Tensor):
    """A trainable tensor: it requires a gradient, and as an attribute of a module it is one of its ``parameters()``.

    Parameters
    ----------
    data : array_like
    requires_grad : bool, default True

    Examples
    --------
    >>> import nn
    >>> nn.Parameter([1.0, 2.0])
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` returns: the keys that only one side had."""

    missing_keys: list
    unexpected_keys: list


class Module:
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
        self._buffers = {}  # name -> whether it is part of the state_dict
        self._forward_pre_hooks = {}
        self._forward_hooks = {}
        self._backward_hooks = {}

    def forward(self, *args):
        """What the module computes; defined by subclasses, and called by calling the module."""
        raise NotImplementedError(f"{type(self).__name__}: a module needs forward")

    def __call__(self, *args, **kwargs):
        if self._forward_pre_hooks or self._forward_hooks or self._backward_hooks:
            return self._call_with_hooks(*args, **kwargs)
        return self.forward(*args, **kwargs)

    def __setattr__(self, name, value):
        attributes = self.__dict__
        if "_buffers" not in attributes and isinstance(value, (Parameter, Module)):
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before setting {name}")
        if isinstance(attributes.get(name), Parameter) and not (value is None or isinstance(value, Parameter)):
            raise TypeError(f"{type(self).__name__}: {name} is a Parameter and cannot become a {type(value).__name__}")
        if name in attributes.get("_buffers", ()):
            if isinstance(value, (Parameter, Module)):
                del self._buffers[name]
            elif not (value is None or isinstance(value, Tensor)):
                raise TypeError(f"{type(self).__name__}: {name} is a buffer and cannot become a {type(value).__name__}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        object.__delattr__(self, name)
        vars(self).get("_buffers", {}).pop(name, None)

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
        self._require_free("register_buffer", name, self._buffers)
        self._buffers[name] = persistent
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
        return [n for n, v in attributes if isinstance(v, kind) or (v is None and n not in self._buffers)]

    def _require_free(self, function, name, replaceable):
        """Raise unless a parameter, buffer or submodule may have this name (PyTorch's rules)."""
        if not isinstance(name, str):
            raise TypeError(f"{function}: a name must be a str, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"{function}: a name must not be empty or contain a dot, got {name!r}")
        if name not in replaceable and hasattr(self, name):
            raise KeyError(f"{function}: {type(self).__name__} already has an attribute {name}")

    def named_children(self):
        """Pairs of name and module for the direct submodules."""
        return ((name, value) for name, value in list(vars(self).items()) if isinstance(value, Module))

    def children(self):
        """The direct submodules."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix="", memo=None):
        """Pairs of dotted name and module: this one, named `prefix`, and its submodules at all levels, each once."""
        memo = set() if memo is None else memo
        if self not in memo:
            memo.add(self)
            yield prefix, self
            for name, child in self.named_children():
                yield from child.named_modules(f"{prefix}.{name}" if prefix else name, memo)

    def modules(self):
        """This module and its submodules at all levels, each once."""
        return (module for _, module in self.named_modules())

    def _direct_parameters(self):
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Parameter))

    def _direct_buffers(self):
        return ((name, value) for name, value in vars(self).items() if name in self._buffers and value is not None)

    def _direct_state(self):
        yield from self._direct_parameters()
        yield from ((name, buffer) for name, buffer in self._direct_buffers() if self._buffers[name])

    def _gather(self, direct, prefix, recurse):
        """Pairs of dotted name and tensor for what ``direct(module)`` yields for each module, each tensor once."""
        seen = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, tensor in direct(module):
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{path}.{name}" if path else name, tensor

    def named_parameters(self, prefix="", recurse=True):
        """Pairs of dotted name and parameter, each parameter once."""
        return self._gather(Module._direct_parameters, prefix, recurse)

    def parameters(self, recurse=True):
        """The parameters of this module and, with `recurse`, of its submodules, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True):
        """Pairs of dotted name and buffer, each buffer once."""
        return self._gather(Module._direct_buffers, prefix, recurse)

    def buffers(self, recurse=True):
        """The buffers of this module and, with `recurse`, of its submodules, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target):
        """The submodule with a dotted name; this module for "".

        Raises
        ------
        AttributeError
            There is none.
        """
        module = self
        for name in target.split(".") if target else ():
            module = vars(module).get(name)
            if not isinstance(module, Module):
                raise AttributeError(f"get_submodule: {type(self).__name__} has no module {target}")
        return module

    # operations on the whole tree of modules

    def apply(self, function):
        """Call ``function(module)`` for every module, submodules first; return self."""
        for child in self.children():
            child.apply(function)
        function(self)
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

    @np.errstate(over="ignore")
    def to(self, dtype):
        """Convert parameters, gradients and buffers that are floating point to another dtype; return self.

        Raises
        ------
        TypeError
            `dtype` is not floating point.
        """
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"to: a module's dtype must be a floating-point one, got {np.dtype(dtype)}")
        for _, tensor in [*self.named_parameters(), *self.named_buffers()]:
            for t in (tensor, tensor.grad):
                if t is not None and t.array.dtype.kind == "f":
                    t.data = wrap(t.array.astype(dtype, copy=False))
        return self

    def float(self):
        """Convert to float32."""
        return self.to(np.float32)

    def double(self):
        """Convert to float64."""
        return self.to(np.float64)

    # saving and loading

    def state_dict(self):
        """All parameters and persistent buffers by dotted name: detached tensors that share the module's memory.

        Returns
        -------
        dict of str to Tensor
            PyTorch's ``load_state_dict`` accepts it unchanged.
        """
        return {name: tensor.detach() for name, tensor in self._state()}

    def _state(self, prefix=""):
        """Pairs of dotted name and tensor; a tensor or module that occurs twice is listed under each of its names."""
        for name, tensor in self._direct_state():
            yield f"{prefix}{name}", tensor
        for name, child in self.named_children():
            yield from child._state(f"{prefix}{name}.")

    def load_state_dict(self, state_dict, strict=True):
        """Copy values into parameters and buffers.

        Parameters
        ----------
        state_dict : mapping of str to tensor or array
            As `state_dict` returns it, here or in PyTorch. Values are converted to the dtypes of the module.
        strict : bool, default True
            Whether the keys must be those of the module.

        Returns
        -------
        IncompatibleKeys
            ``(missing_keys, unexpected_keys)``, both empty with `strict`.

        Raises
        ------
        ValueError
            Keys are missing or unexpected with `strict`, or shapes differ; the error names all of them, and nothing is
            changed.
        TypeError
            `state_dict` is not a mapping, or a value does not consist of real numbers.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a mapping of names to tensors, got {type(state_dict).__name__}")
        tensors = dict(self._state())
        values = {key: _loadable(key, value) for key, value in state_dict.items() if key in tensors}
        missing = [key for key in tensors if key not in state_dict]
        unexpected = [key for key in state_dict if key not in tensors]
        problems = []
        if strict and missing:
            problems.append(f"missing keys: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected keys: {', '.join(map(str, unexpected))}")
        for key, value in values.items():
            if value.shape != tensors[key].shape:
                problems.append(f"shapes differ: {key} is {tensors[key].shape}, in the state_dict {value.shape}")
        if problems:
            title = f"load_state_dict: {type(self).__name__} does not match the state_dict:"
            raise ValueError("\n    ".join([title, *problems]))
        for key, value in values.items():
            tensors[key].array[...] = value
            tensors[key].mark_changed()
        return IncompatibleKeys(missing, unexpected)

    # hooks

    def register_forward_pre_hook(self, hook):
        """Call ``hook(module, args)`` before each forward; what it returns, if not None, replaces the arguments.

        Returns
        -------
        Handle
            Its ``remove()`` unregisters the hook.
        """
        return Handle(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook):
        """Call ``hook(module, args, output)`` after each forward; what it returns, if not None, replaces the output.

        Returns
        -------
        Handle
            Its ``remove()`` unregisters the hook.
        """
        return Handle(self._forward_hooks, hook)

    def register_full_backward_hook(self, hook):
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of a call's arguments are complete.

        Both are tuples, with None for what is not a tensor or gets no gradient. What the hook returns, if not None,
        replaces `grad_input`.

        Returns
        -------
        Handle
            Its ``remove()`` unregisters the hook.
        """
        return Handle(self._backward_hooks, hook)

    def _call_with_hooks(self, *args, **kwargs):
        for hook in list(self._forward_pre_hooks.values()):
            replaced = hook(self, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
        gate = _BackwardGate(self) if self._backward_hooks and is_grad_enabled() else None
        output = self.forward(*(gate.enter(args) if gate else args), **kwargs)
        for hook in list(self._forward_hooks.values()):
            replaced = hook(self, args, output)
            if replaced is not None:
                output = replaced
        return gate.leave(output) if gate else output

    def extra_repr(self):
        """The text between the parentheses of ``repr``, apart from the submodules."""
        return ""

    def __repr__(self):
        lines = [f"({name}): {_indent(repr(module))}" for name, module in self.named_children()]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}(", *([extra] if extra else []), *lines]) + "\n)"


def _indent(text):
    return text.replace("\n", "\n  ")


def _loadable(key, value):
    value = np.asarray(value.detach() if hasattr(value, "detach") else value)
    if value.dtype.kind not in "fiub":
        raise TypeError(f"load_state_dict: {key} must consist of real numbers, got dtype {value.dtype}")
    return value


class _BackwardGate:
    """One call of a module that has backward hooks: nodes around the call that capture the gradients.

    Each output gets a node that stores its gradient and passes it on, each argument a node that stores its gradient and
    passes nothing on. One more node, the gate, is older than all nodes of the call and has the edges of the original
    arguments. Every output sends it a token, a gradient of 0, so that the gate runs, and after all nodes of the call:
    it calls the hooks and passes the arguments' gradients on.
    """

    def __init__(self, module):
        self.module = module

    def enter(self, args):
        """Return the arguments, with a capturing node for each that needs a gradient."""
        self.grad_input = [None] * len(args)
        edges = [edge(a) if isinstance(a, Tensor) else None for a in args]
        self.node = self._node(edges, self._open)
        return tuple(
            a if end is None else self._argument(i, a) for i, (a, end) in enumerate(zip(args, edges, strict=True))
        )

    def leave(self, output):
        """Return the output, with a capturing node for each tensor that needs a gradient, also within tuples."""
        self.grad_output = []
        return self._leave(output)

    def _leave(self, output):
        if isinstance(output, tuple):
            parts = [self._leave(part) for part in output]
            return type(output)(*parts) if hasattr(output, "_fields") else tuple(parts)
        self.grad_output.append(None)
        needs = isinstance(output, Tensor) and output.requires_grad
        return self._output(len(self.grad_output) - 1, output) if needs else output

    def _node(self, edges, backward):
        return Node(type(self.module).__name__, edges, backward)

    def _with_node(self, node, tensor):
        result = tensor.detach()
        result._requires_grad, result._node = True, node
        return result

    def _argument(self, i, tensor):
        def backward(dy):
            self.grad_input[i] = dy

        return self._with_node(self._node([None], backward), tensor)

    def _output(self, i, tensor):
        def backward(dy):
            self.grad_output[i] = dy
            return dy, np.zeros((), dy.dtype)  # the token

        return self._with_node(self._node([edge(tensor), self.node], backward), tensor)

    def _open(self, token):
        grad_input, grad_output = (
            tuple(None if g is None else Tensor(g) for g in grads) for grads in (self.grad_input, self.grad_output)
        )
        for hook in list(self.module._backward_hooks.values()):
            replaced = hook(self.module, grad_input, grad_output)
            if replaced is not None:
                grad_input = replaced if isinstance(replaced, tuple) else (replaced,)
        self.grad_input, self.grad_output = [None] * len(self.grad_input), [None] * len(self.grad_output)
        return tuple(None if g is None else g.array for g in grad_input)


class _OrderedModules(Module):
    """Base class of the ordered containers; an index may be negative, which counts from the end."""

    def append(self, module):
        """Add a module at the end; return self."""
        return self.extend([module])

    def insert(self, index, module):
        """Insert a module before the one at `index`; all are then named by their index."""
        modules = list(self)
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {len(modules)} modules")
        modules.insert(index, module)
        return self._replace_all(modules)

    def pop(self, index=-1):
        """Remove the module at `index` and return it; the others are then named by their index."""
        modules = list(self)
        module = modules.pop(index)
        self._replace_all(modules)
        return module

    def _replace_all(self, modules):
        """Replace all modules by these, named by their index; return self."""
        for module in modules:
            _check_module(self, module)
        for name, _ in self.named_children():
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)
        return self

    def __len__(self):
        return sum(1 for _ in self.children())

    def __iter__(self):
        return self.children()

    def __delitem__(self, index):
        modules = list(self)
        del modules[index]
        self._replace_all(modules)


class Sequential(_OrderedModules):
    """Modules applied one after the other, each to the output of the one before.

    A slice keeps the modules' names.

    Parameters
    ----------
    *modules : Module
        Or one dict of names and modules.

    Raises
    ------
    KeyError
        A name is empty, contains a dot, or is that of an attribute, such as ``forward``.

    Examples
    --------
    >>> import nn
    >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = modules[0].items()
        else:
            named = ((str(i), module) for i, module in enumerate(modules))
        for name, module in named:
            _check_module(self, module)
            self.add_module(name, module)

    def forward(self, input):
        for module in self.children():
            input = module(input)
        return input

    def extend(self, modules):
        """Add modules at the end; return self.

        Each is named by its index or, if another module has that name, as it may after slicing (where PyTorch would
        replace that module), by the next free number.
        """
        modules = list(modules)
        for module in modules:
            _check_module(self, module)
        for module in modules:
            number = len(self)
            while str(number) in vars(self):
                number += 1
            self.add_module(str(number), module)
        return self

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(dict(list(self.named_children())[index]))
        return list(self.children())[index]

    def __setitem__(self, index, module):
        _check_module(self, module)
        setattr(self, list(self.named_children())[index][0], module)


class ModuleList(_OrderedModules):
    """A list of modules, whose parameters belong to the module that contains the list.

    Parameters
    ----------
    modules : iterable of Module, optional
    """

    def __init__(self, modules=None):
        super().__init__()
        self.extend([] if modules is None else modules)

    def extend(self, modules):
        """Add modules at the end; return self."""
        return self._replace_all([*self, *modules])

    def __getitem__(self, index):
        modules = list(self)[index]
        return type(self)(modules) if isinstance(index, slice) else modules

    def __setitem__(self, index, module):
        modules = list(self)
        modules[index] = module
        self._replace_all(modules)


class ModuleDict(Module):
    """A dict of modules, whose parameters belong to the module that contains the dict.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of such pairs, optional

    Raises
    ------
    KeyError
        A name is empty, contains a dot, or is that of an attribute, such as ``keys``.
    """

    def __init__(self, modules=None):
        super().__init__()
        self.update({} if modules is None else modules)

    def update(self, modules):
        """Set several entries."""
        for name, module in dict(modules).items():
            self[name] = module

    def keys(self):
        """The names."""
        return [name for name, _ in self.named_children()]

    def values(self):
        """The modules."""
        return list(self.children())

    def items(self):
        """Pairs of name and module."""
        return list(self.named_children())

    def __len__(self):
        return len(self.items())

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, name):
        return isinstance(vars(self).get(name), Module)

    def __getitem__(self, name):
        return dict(self.named_children())[name]

    def __setitem__(self, name, module):
        _check_module(self, module)
        self.add_module(name, module)

    def __delitem__(self, name):
        self[name]  # raises KeyError
        delattr(self, name)


def require_sizes(module, **sizes):
    """Raise unless these arguments of a module's constructor are ints of at least 0."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{type(module).__name__}: {name} must be an int, got {type(size).__name__}")
        if size < 0:
            raise ValueError(f"{type(module).__name__}: {name} must be at least 0, got {size}")


def _check_module(container, module):
    if not isinstance(module, Module):
        raise TypeError(f"{type(container).__name__}: expected a Module, got {type(module).__name__}")


class Identity(Module):
    """Returns its input; takes any arguments and ignores them."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Flatten(Module):
    """Merge dimensions into one; by default all but the first, the batch.

    Parameters
    ----------
    start_dim, end_dim : int, default 1 and -1
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
