"""The tree of modules: submodules, parameters and buffers, one by one and by name."""

from collections.abc import MutableMapping

from nn.parameter import Parameter


class Tree:
    """The part of `Module` that finds what a module consists of, at its own level and at all levels below."""

    def _direct_modules(self):
        return ((name, value) for name, value in list(vars(self).items()) if isinstance(value, Tree))

    def _direct_parameters(self):
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Parameter))

    def _direct_buffers(self):
        return ((name, value) for name, value in vars(self).items() if name in self._persistent and value is not None)

    def _direct_state(self):
        yield from self._direct_parameters()
        yield from ((name, buffer) for name, buffer in self._direct_buffers() if self._persistent[name])

    @property
    def _modules(self):
        return Attributes(self, Tree._direct_modules)

    @property
    def _parameters(self):
        return Attributes(self, Tree._direct_parameters)

    @property
    def _buffers(self):
        return Attributes(self, Tree._direct_buffers)

    def named_children(self):
        """Pairs of name and module for the direct submodules, each once."""
        seen = set()
        for name, module in self._direct_modules():
            if module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The direct submodules, each once."""
        return (module for _, module in self.named_children())

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Pairs of dotted name and module: this one, named `prefix`, and its submodules at all levels.

        Each is listed once, or with ``remove_duplicate=False`` under each of its names; those in the set `memo`
        are not listed.
        """
        memo = set() if memo is None else memo
        if self not in memo:
            if remove_duplicate:
                memo.add(self)
            yield prefix, self
            for name, child in self._direct_modules():
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate=True):
        """This module and its submodules at all levels, each once."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def _gather(self, direct, prefix, recurse, remove_duplicate=True):
        """Pairs of dotted name and tensor for what ``direct(module)`` yields for each module, each tensor once."""
        seen = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, tensor in direct(module):
                if id(tensor) not in seen:
                    if remove_duplicate:
                        seen.add(id(tensor))
                    yield f"{path}.{name}" if path else name, tensor

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of dotted name and parameter, each parameter once, or with False under each of its names."""
        return self._gather(Tree._direct_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """The parameters of this module and, with `recurse`, of its submodules, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of dotted name and buffer, each buffer once, or with False under each of its names."""
        return self._gather(Tree._direct_buffers, prefix, recurse, remove_duplicate)

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
            if not isinstance(module, Tree):
                raise AttributeError(f"get_submodule: {type(self).__name__} has no module {target}")
        return module

    def get_parameter(self, target):
        """The parameter with a dotted name; AttributeError if there is none."""
        return self._get("get_parameter", target, Tree._direct_parameters)

    def get_buffer(self, target):
        """The buffer with a dotted name; AttributeError if there is none."""
        return self._get("get_buffer", target, Tree._direct_buffers)

    def _get(self, function, target, direct):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        for own, tensor in direct(module):
            if own == name:
                return tensor
        raise AttributeError(f"{function}: {type(module).__name__} has no {function[4:]} {name}")

    def set_submodule(self, target, module, strict=False):
        """Replace the submodule with a dotted name, or add it; with `strict`, AttributeError if there is none."""
        if not target:
            raise ValueError("set_submodule: needs the name of a submodule")
        if not isinstance(module, Tree):
            raise ValueError(f"set_submodule: expected a Module, got {type(module).__name__}")
        if strict:
            self.get_submodule(target)
        path, _, name = target.rpartition(".")
        setattr(self.get_submodule(path), name, module)


class Attributes(MutableMapping):
    """The parameters, buffers or submodules of a module as a dict by name, which follows every change."""

    def __init__(self, module, direct):
        self._module, self._direct = module, direct

    def __getitem__(self, name):
        return dict(self._direct(self._module))[name]

    def __setitem__(self, name, value):
        if self._direct is Tree._direct_buffers and name not in self._module._persistent:
            self._module.register_buffer(name, value)
        else:
            setattr(self._module, name, value)

    def __delitem__(self, name):
        self[name]  # raises KeyError
        delattr(self._module, name)

    def __iter__(self):
        return iter([name for name, _ in self._direct(self._module)])

    def __len__(self):
        return sum(1 for _ in self._direct(self._module))

    def __repr__(self):
        return repr(dict(self))
