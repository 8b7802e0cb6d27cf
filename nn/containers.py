"""Containers of modules: sequences and dicts, whose parameters belong to the module around them."""

from collections import OrderedDict
from collections.abc import Mapping
from itertools import groupby

from nn.module import Module, indented


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

    def pop(self, key=-1):
        """Remove the module or the slice at `key` and return it; the others are then named by their index."""
        module = self[key]
        del self[key]
        return module

    def _replace_all(self, modules):
        """Replace all modules by these, named by their index; return self."""
        for module in modules:
            self._check_item(module)
        for name, _ in list(self._items()):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)
        return self

    def _items(self):
        return self._direct_modules()

    def _check_item(self, module):
        _check_module(self, module)

    def __len__(self):
        return sum(1 for _ in self._items())

    def __iter__(self):
        return (module for _, module in self._items())

    def __delitem__(self, index):
        modules = list(self)
        del modules[index]
        self._replace_all(modules)

    def __add__(self, other):
        result = type(self)()
        for module in (*self, *other):
            result.append(module)
        return result

    def __iadd__(self, other):
        return self.extend(other)


class Sequential(_OrderedModules):
    """Modules applied one after the other, each to the output of the one before.

    A slice keeps the modules' names.

    Parameters
    ----------
    *args : Module
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

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            named = args[0].items()
        else:
            named = ((str(i), module) for i, module in enumerate(args))
        for name, module in named:
            _check_module(self, module)
            self.add_module(name, module)

    def forward(self, input):
        for module in self:
            input = module(input)
        return input

    def extend(self, sequential):
        """Add modules at the end; return self.

        Each is named by its index or, if another module has that name, as it may after slicing (where PyTorch would
        replace that module), by the next free number.
        """
        modules = list(sequential)
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
            return type(self)(OrderedDict(list(self._direct_modules())[index]))
        return list(self)[index]

    def __setitem__(self, index, module):
        _check_module(self, module)
        setattr(self, list(self._direct_modules())[index][0], module)

    def __mul__(self, other):
        if not isinstance(other, int):
            return NotImplemented
        if other <= 0:
            raise ValueError(f"Sequential: repeated {other} times; the number must be positive")
        result = type(self)()
        for module in [*self] * other:
            result.append(module)
        return result

    __rmul__ = __mul__

    def __imul__(self, other):
        return NotImplemented if not isinstance(other, int) else self._replace_all((self * other)[:])


class ModuleList(_OrderedModules):
    """A list of modules, whose parameters belong to the module that contains the list.

    Parameters
    ----------
    modules : iterable of (Module or None), optional
        None takes the place of a module that is left out.

    Examples
    --------
    >>> import nn
    >>> layers = nn.ModuleList([nn.Linear(4, 8), nn.Linear(8, 2)])
    >>> len(layers), len(list(layers.parameters()))
    (2, 4)
    """

    def __init__(self, modules=None):
        super().__init__()
        self.extend([] if modules is None else modules)

    def _items(self):
        return ((name, value) for name, value in list(vars(self).items()) if name.isdigit())

    def _check_item(self, module):
        if module is not None:
            _check_module(self, module)

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

    def __repr__(self):
        rows = [(text, [i for i, _ in group]) for text, group in groupby(enumerate(self), lambda row: repr(row[1]))]
        lines = []
        for text, numbers in rows:
            several = len(numbers) > 1
            label = f"({numbers[0]}-{numbers[-1]}): {len(numbers)} x " if several else f"({numbers[0]}): "
            lines.append(f"  {label}{indented(text)}\n")
        return f"{self._get_name()}(" + ("\n" if lines else "") + "".join(lines) + ")"


class ModuleDict(Module):
    """A dict of modules, whose parameters belong to the module that contains the dict.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of such pairs, optional

    Raises
    ------
    KeyError
        A name is empty, contains a dot, or is that of an attribute, such as ``keys``.

    Examples
    --------
    >>> import nn
    >>> heads = nn.ModuleDict({'class': nn.Linear(4, 10), 'box': nn.Linear(4, 2)})
    >>> heads['box'](nn.zeros(1, 4)).shape
    (1, 2)
    """

    def __init__(self, modules=None):
        super().__init__()
        self.update({} if modules is None else modules)

    def update(self, modules):
        """Set several entries."""
        for name, module in dict(modules).items():
            self[name] = module

    def clear(self):
        """Remove all entries."""
        for name in list(self):
            delattr(self, name)

    def pop(self, key):
        """Remove an entry and return its module."""
        module = self[key]
        delattr(self, key)
        return module

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """Pairs of name and module."""
        return self._modules.items()

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        _check_module(self, module)
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]


def _check_module(container, module):
    if not isinstance(module, Module):
        raise TypeError(f"{type(container).__name__}: expected a Module, got {type(module).__name__}")
