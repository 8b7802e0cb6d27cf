"""Tensors that belong to a module: parameters, which are trained, and buffers, which are not."""

import numpy as np

from nn.device import require_cpu
from nn.tensor import Tensor


class Parameter(Tensor):
    """A trainable tensor: it requires a gradient, and as an attribute of a module it is one of its ``parameters()``.

    Parameters
    ----------
    data : array_like, optional
        Empty by default.
    requires_grad : bool, default True

    Examples
    --------
    >>> import nn
    >>> nn.Parameter([1.0, 2.0])
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    def __init__(self, data=None, requires_grad=True):
        super().__init__(np.empty(0, np.float32) if data is None else data, requires_grad=requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A tensor that becomes a buffer of the module to which it is assigned: state that is saved but not trained.

    Parameters
    ----------
    data : array_like, optional
        Empty by default.
    persistent : bool, default True
        Whether it is part of the ``state_dict``.

    Examples
    --------
    >>> import nn
    >>> class Counter(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.steps = nn.Buffer(nn.zeros(()))
    >>> list(Counter().state_dict())
    ['steps']
    """

    def __init__(self, data=None, *, persistent=True):
        super().__init__(np.empty(0, np.float32) if data is None else data)
        self.persistent = persistent


class _Uninitialized:
    """A tensor of a lazy layer, whose shape is known at the first call."""

    def materialize(self, shape):
        """Become a tensor of this shape, whose values are arbitrary."""
        self.array = np.empty(shape, self.array.dtype)
        self.__class__ = self.becomes

    @property
    def shape(self):
        """Unknown: RuntimeError."""
        raise RuntimeError(f"{type(self).__name__}: the shape is known after the first call of the lazy module")

    def __repr__(self):
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter of a lazy layer, whose shape is known at the first call."""

    becomes = Parameter

    def __init__(self, requires_grad=True, device=None, dtype=None):
        require_cpu(device)
        super().__init__(np.empty(0, np.float32 if dtype is None else dtype), requires_grad)


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer of a lazy layer, whose shape is known at the first call."""

    becomes = Buffer

    def __init__(self, requires_grad=False, device=None, dtype=None, persistent=True):
        require_cpu(device)
        super().__init__(np.empty(0, np.float32 if dtype is None else dtype), persistent=persistent)
        self.requires_grad_(requires_grad)


def is_uninitialized(tensor):
    """Whether a tensor belongs to a lazy layer that has not been called yet."""
    return isinstance(tensor, _Uninitialized)
