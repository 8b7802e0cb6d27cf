"""Containers of parameters: a list and a dict, whose parameters belong to the module around them."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from nn.module import Module
from nn.parameter import Parameter
from nn.tensor import Tensor


class _Parameters(Module):
    """Base class of the containers of parameters, which hold other values as well; a tensor becomes a parameter."""

    def __call__(self, *args, **kwargs):
        raise RuntimeError(f"{type(self).__name__}: a container of parameters cannot be called")

    @staticmethod
    def _entry(value):
        return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value

    def extra_repr(self):
        return "\n".join(f"  ({key}): {self._described(value)}" for key, value in self._entries())

    @staticmethod
    def _described(value):
        if not isinstance(value, Tensor):
            return f"Object of type: {type(value).__name__}"
        size = "x".join(map(str, value.shape))
        return f"{type(value).__name__} containing: [{value.dtype} of size {size}]"


class ParameterList(_Parameters):
    """A list of parameters, which belong to the module that contains the list.

    Parameters
    ----------
    values : iterable, optional
        Tensors become parameters; other values are kept as they are.

    Examples
    --------
    >>> import nn
    >>> weights = nn.ParameterList([nn.Parameter(nn.zeros(2, 3)) for _ in range(4)])
    >>> len(weights), weights[0].shape
    (4, (2, 3))
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        self.extend([] if values is None else values)

    def _name(self, index):
        if not -self._size <= index < self._size:
            raise IndexError(f"ParameterList: index {index} is out of range for {self._size} entries")
        return str(index % self._size)

    def _entries(self):
        return enumerate(self)

    def append(self, value):
        """Add a value at the end; return self."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values):
        """Add values at the end; return self."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList: expected an iterable of parameters, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, parameters):
        return self.extend(parameters)

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)([self[i] for i in range(*idx.indices(self._size))])
        return getattr(self, self._name(idx))

    def __setitem__(self, idx, param):
        setattr(self, self._name(idx), self._entry(param))

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter([self[i] for i in range(self._size)])


class ParameterDict(_Parameters):
    """A dict of parameters, which belong to the module that contains the dict.

    Parameters
    ----------
    parameters : mapping of str, or iterable of pairs, optional
        Tensors become parameters; other values are kept as they are.

    Examples
    --------
    >>> import nn
    >>> scales = nn.ParameterDict({'left': nn.Parameter(nn.ones(2))})
    >>> list(scales)
    ['left']
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}  # in their order; the values are attributes
        self.update({} if parameters is None else parameters)

    def _entries(self):
        return self.items()

    def update(self, parameters):
        """Set several entries; those of a plain dict in the order of their sorted names, as in PyTorch."""
        if not isinstance(parameters, Iterable):
            raise TypeError(f"ParameterDict: expected a mapping or pairs, got {type(parameters).__name__}")
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict):
            parameters = sorted(parameters.items())
        for key, value in parameters.items() if hasattr(parameters, "items") else parameters:
            self[key] = value

    def keys(self):
        """The names."""
        return self._keys.keys()

    def values(self):
        """The parameters and other values."""
        return [self[key] for key in self._keys]

    def items(self):
        """Pairs of name and value."""
        return [(key, self[key]) for key in self._keys]

    def get(self, key, default=None):
        """The value of a name, or `default`."""
        return getattr(self, key) if key in self._keys else default

    def setdefault(self, key, default=None):
        """The value of a name, which is set to `default` if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def fromkeys(self, keys, default=None):
        """A new ParameterDict in which all names have one value."""
        return type(self)((key, default) for key in keys)

    def pop(self, key):
        """Remove an entry and return its value."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Remove the last entry and return it as a pair."""
        key, _ = self._keys.popitem()
        value = getattr(self, key)
        delattr(self, key)
        return key, value

    def clear(self):
        """Remove all entries."""
        for key in list(self._keys):
            del self[key]

    def copy(self):
        """A ParameterDict with the same values."""
        return type(self)(OrderedDict(self.items()))

    def __getitem__(self, key):
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key, value):
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: a name must be a str, got {type(key).__name__}")
        self._keys[key] = None
        setattr(self, key, self._entry(value))

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, key)

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def __or__(self, other):
        result = self.copy()
        result.update(OrderedDict(other.items()))
        return result

    def __ror__(self, other):
        result = type(self)(OrderedDict(other.items()))
        result.update(self)
        return result

    def __ior__(self, other):
        self.update(OrderedDict(other.items()))
        return self
