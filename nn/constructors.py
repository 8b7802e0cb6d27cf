"""PyTorch's older constructors, for `nn.as_torch`: ``torch.Tensor(2, 3)`` has sizes, ``torch.Tensor([2, 3])`` values.

`nn.Tensor` takes values only, and leaves their dtype as it is. The classes here are for calls, ``isinstance`` and
``type``; every tensor is an `nn.Tensor`.
"""

import operator

import numpy as np

from nn import dtypes
from nn.device import require_cpu
from nn.operations.arguments import as_array
from nn.operations.conversion import TYPES
from nn.operations.layout import Size
from nn.storage import Tensor, wrap

__all__ = ["TYPED", "AnyTensor", "new"]


def constructed(name, data, dtype):
    """A tensor of these sizes, whose elements are arbitrary, or of these values."""
    sizes = data[0] if len(data) == 1 and isinstance(data[0], Size) else data
    if all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in sizes):
        return wrap(np.empty(tuple(map(operator.index, sizes)) if len(data) else (0,), dtype))
    if len(data) > 1:
        raise TypeError(f"{name}: expected sizes or one sequence of values, got {len(data)} arguments")
    values = data[0]
    if isinstance(values, Tensor) and values.array.dtype == dtype:
        return values.detach()
    return wrap(np.array(as_array(values, dtype)))


def new(input, *data, device=None):
    """A tensor in this one's dtype, of these sizes or of these values."""
    require_cpu(device)
    return constructed("new", data, input.array.dtype)


class _Typed(type):
    """The class of ``torch.FloatTensor`` and its like: its instances are the tensors of one dtype."""

    def __call__(cls, *data):
        return constructed(cls.__name__, data, cls.dtype)

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor) and instance.array.dtype == cls.dtype


# Name -> class; ``tensor.type(torch.FloatTensor)`` takes its `dtype`, as NumPy does.
TYPED = {name: _Typed(name, (), {"dtype": dtype, "__doc__": f"Tensors of {dtype}."}) for name, dtype in TYPES.items()}


class _Any(type):
    """The class of ``torch.Tensor``: `nn.Tensor` in all but how it is called."""

    def __call__(cls, *data, **options):
        if cls is not AnyTensor:
            return super().__call__(*data, **options)
        return constructed("Tensor", data, dtypes.get_default_dtype())

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor) if cls is AnyTensor else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass):
        return issubclass(subclass, Tensor) if cls is AnyTensor else super().__subclasscheck__(subclass)

    def __eq__(cls, other):
        return other is cls or (cls is AnyTensor and other is Tensor)  # type(x) == torch.Tensor

    def __hash__(cls):
        return hash(Tensor) if cls is AnyTensor else super().__hash__()

    def __setattr__(cls, name, value):
        if cls is AnyTensor:
            setattr(Tensor, name, value)
        else:
            super().__setattr__(name, value)


class AnyTensor(Tensor, metaclass=_Any):
    """``torch.Tensor``: called with sizes, or with values that become the default dtype."""

    __slots__ = ()
