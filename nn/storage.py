"""What a tensor stores: an array, its gradient, and its place on the tape."""

import sys
import weakref

import numpy as np

from nn.dtypes import as_array, get_default_dtype
from nn.printing import formatted

# A training step allocates what its backward needs and frees it all; glibc would return that memory to the system at
# every step, and map it again page by page: a fifth of the time of a small transformer's step. glibc keeps up to twice
# the size of the largest block freed so far (of up to 32 MiB), hence this block, which is never written and costs
# nothing.
np.empty(2**25 - 2**13, np.uint8)


class _Reference(weakref.ref):
    """A weak reference that equals those to the same tensor: tensors compare their elements."""

    __slots__ = ()
    __hash__ = weakref.ref.__hash__

    def __eq__(self, other):
        return self is other or (self() is not None and self() is other())


class Memory:
    """The state shared by all tensors on the same memory, to detect changes in place."""

    __slots__ = ("version", "tensors")

    def __init__(self):
        self.version = 0  # number of changes in place
        self.tensors = None  # weak references to the tensors on it, from the second tensor on

    def share(self, owner, other):
        """Make `other` a tensor on this memory, that of `owner`."""
        if self.tensors is None:
            self.tensors = set()
            self.tensors.add(_Reference(owner, self.tensors.discard))
        self.tensors.add(_Reference(other, self.tensors.discard))
        other._memory = self

    def is_shared(self):
        """Whether more than one tensor is on this memory."""
        return self.tensors is not None and len(self.tensors) > 1

    def living(self):
        """The tensors on this memory, if there are several."""
        tensors = (reference() for reference in list(self.tensors))
        return [t for t in tensors if t is not None and t._memory is self]  # not those that have been given other data


def wrap(array):
    """A tensor with this array, without the conversions of the constructor."""
    tensor = Tensor.__new__(Tensor)
    tensor.array = array
    tensor.grad = None
    tensor._requires_grad = False
    tensor._node = None
    tensor._hooks = None
    tensor._memory = Memory()
    tensor._base = None
    return tensor


class Tensor:
    """An array with automatic differentiation.

    Parameters
    ----------
    data : array_like
        Numbers, nested lists of them, or anything that implements ``__array__`` or DLPack. An ndarray is not copied.
        Python floats get the default dtype, float32.
    dtype : numpy.dtype, optional
    requires_grad : bool, default False
        Whether `backward` accumulates a gradient for this tensor; floating point only.

    Attributes
    ----------
    array : ndarray
        The values. The tape does not detect writes to it: see `mark_changed`.
    grad : Tensor or None
        The gradient accumulated by `backward` since it was last None.

    Raises
    ------
    TypeError
        `data` does not consist of numbers, or of numbers of another kind than float32, float64, bool and integers;
        or `requires_grad` with integers.

    Examples
    --------
    >>> import nn
    >>> x = nn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    __slots__ = ("array", "grad", "_requires_grad", "_node", "_hooks", "_memory", "_base", "__weakref__")
    __array_priority__ = 1000  # array + tensor is a tensor
    __hash__ = object.__hash__

    def __init__(self, data, dtype=None, requires_grad=False):
        self.array = as_array(data.array if isinstance(data, Tensor) else data, dtype)
        self.grad = None
        self._node = None
        self._hooks = None
        self._memory = Memory()
        self._base = None  # of a view, the tensor whose elements it shows
        if isinstance(data, Tensor) and self.array is data.array:
            data._memory.share(data, self)
        self._requires_grad = False
        self.requires_grad_(requires_grad)

    @property
    def shape(self):
        """The length of each dimension, a tuple."""
        return self.array.shape

    @property
    def ndim(self):
        """The number of dimensions."""
        return self.array.ndim

    @property
    def dtype(self):
        """The numpy.dtype of the elements."""
        return self.array.dtype

    @property
    def data(self):
        """The values as a tensor on the same memory, outside the tape; setting it replaces the values."""
        result = wrap(self.array)
        self._memory.share(self, result)
        return result

    @data.setter
    def data(self, data):
        if not isinstance(data, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(data).__name__}")
        if self._requires_grad and data.array.dtype.kind != "f":
            raise TypeError(f"data: a tensor that requires a gradient cannot become {data.array.dtype}")
        self.array, self._base = data.array, None
        if data._memory is not self._memory:  # as it is in p.data -= step
            data._memory.share(data, self)

    @property
    def is_leaf(self):
        """Whether the user made this tensor, rather than a recorded operation."""
        return self._node is None

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor, None for a leaf."""
        return self._node

    @property
    def requires_grad(self):
        """Whether operations on this tensor are recorded; can be set on a leaf."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, requires_grad):
        self.requires_grad_(requires_grad)

    def requires_grad_(self, requires_grad=True):
        """Set whether operations on this leaf are recorded; return self.

        Raises
        ------
        RuntimeError
            The tensor is the result of a recorded operation.
        TypeError
            It holds integers.
        """
        if requires_grad is not True and requires_grad is not False:
            if not isinstance(requires_grad, np.bool_):
                raise TypeError(f"requires_grad_: requires_grad must be a bool, got {type(requires_grad).__name__}")
            requires_grad = bool(requires_grad)
        if self._node is not None and not requires_grad:
            raise RuntimeError(f"requires_grad: this is the result of {self._node.name}, not a leaf; use detach()")
        if requires_grad and self.array.dtype.kind != "f":
            dtype = self.array.dtype
            raise TypeError(f"requires_grad: only floating-point tensors have gradients, this one is {dtype}")
        self._requires_grad = requires_grad
        return self

    def mark_changed(self):
        """Tell the tape that `array` was written to: a backward that needs the old values raises."""
        self._memory.version += 1

    # conversion

    def item(self):
        """The only element, as a Python number; ValueError if there is not exactly one."""
        if self.array.size != 1:
            raise ValueError(f"item: needs a tensor of one element, this one is {self.array.shape}")
        return self.array.item()

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return self.array.tolist()

    def numpy(self, *, force=False):
        """The values as an ndarray on the same memory; with `force`, also of a tensor that requires a gradient.

        Raises
        ------
        RuntimeError
            The tensor requires a gradient, and NumPy's operations would not be recorded: ``detach()`` it first.
        """
        if force is not False and not isinstance(force, (bool, np.bool_)):
            raise TypeError(f"numpy: force must be a bool, got {type(force).__name__}")
        if self._requires_grad and not force:
            raise RuntimeError("numpy: the tensor requires a gradient; use detach().numpy()")
        return self.array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options):
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """Called by PyTorch for arguments of this class, as in its ``load_state_dict``: passes torch views of them."""
        from_dlpack = sys.modules["torch"].from_dlpack  # needs no import: the caller is PyTorch
        return function(*(from_dlpack(a) if isinstance(a, Tensor) else a for a in args), **(kwargs or {}))

    def __len__(self):
        if not self.array.ndim:
            raise TypeError("len: a 0-d tensor has no length")
        return len(self.array)

    def __bool__(self):
        return bool(self.array)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return self.array.__index__()

    def __repr__(self):
        suffixes, plain = [], (get_default_dtype(), np.int64, np.bool_)
        if not self.array.size and self.array.ndim != 1:
            suffixes.append(f"size={self.array.shape}")
        if self.array.dtype not in plain if self.array.size else self.array.dtype != plain[0]:
            suffixes.append(f"dtype={self.array.dtype}")
        if self._node is not None:
            suffixes.append(f"grad_fn={self._node}")
        elif self._requires_grad:
            suffixes.append("requires_grad=True")
        return formatted(self.array, "tensor(", suffixes)

    def __format__(self, spec):
        return format(self.item() if self.array.ndim == 0 else str(self), spec)

    # copies and files

    def __deepcopy__(self, memo):
        if self._node is not None:
            raise RuntimeError(f"deepcopy: this is the result of {self._node.name}, not a leaf; use detach().clone()")
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        copy.__setstate__(self.__getstate__())
        copy.array = self.array.copy()
        if self.grad is not None:
            copy.grad = wrap(self.grad.array.copy())
        return copy

    def __reduce__(self):
        if self._node is not None:
            raise RuntimeError(f"pickle: this is the result of {self._node.name}, not a leaf; use detach()")
        return _unpickled, (type(self),), self.__getstate__()

    def __getstate__(self):
        grad = None if self.grad is None else self.grad.array
        return self.array, grad, self._requires_grad, getattr(self, "__dict__", None)

    def __setstate__(self, state):
        self.array, grad, self._requires_grad, attributes = state
        self.grad = None if grad is None else wrap(grad)
        self._node = self._hooks = None
        self._memory = Memory()
        self._base = None
        if attributes:
            self.__dict__.update(attributes)


def _unpickled(kind):
    return kind.__new__(kind)


def edge(tensor):
    """Where the gradient of a tensor is sent: to its node, to the tensor itself if it is a leaf, or nowhere (None)."""
    return (tensor._node or tensor) if tensor._requires_grad else None


def tensors_in(value):
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from tensors_in(each)
