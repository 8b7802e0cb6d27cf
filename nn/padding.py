"""Padding as modules; `padding` is one width, or two for each dimension, the last dimension first.

Modules that pad with elements of the input take it as (C, ...) or (N, C, ...) and raise ValueError for another number
of dimensions; those that pad with zeros or a constant take any.
"""

from nn import functional as F
from nn.module import Module

__all__ = ["CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d"]
__all__ += ["ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d"]
__all__ += ["ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d"]


class _Pad(Module):
    """Base class of all; `_dims` is the number of padded dimensions, `_mode` that of `functional.pad`."""

    def __init__(self, padding):
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self._dims)
        if len(self.padding) != 2 * self._dims:
            name = type(self).__name__
            raise ValueError(f"{name}: padding must be an int or {2 * self._dims} of them, got {padding}")

    def forward(self, input):
        unbatched = self._dims + 1
        if self._mode != "constant" and input.ndim not in (unbatched, unbatched + 1):
            name = type(self).__name__
            raise ValueError(f"{name}: expected {unbatched}-D or {unbatched + 1}-D input, got shape {input.shape}")
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Elements `value` around the last dimension.

    Examples
    --------
    >>> import nn
    >>> nn.ConstantPad1d(1, 0.5)(nn.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[0.5000, 1.0000, 2.0000, 3.0000, 0.5000]]])
    """

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """Elements `value` around the last two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ConstantPad2d(1, 0.5)(nn.ones(1, 1, 3, 3)).shape
    (1, 1, 5, 5)
    """

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Elements `value` around the last three dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ConstantPad3d(1, 0.5)(nn.ones(1, 1, 3, 3, 3)).shape
    (1, 1, 5, 5, 5)
    """

    _dims = 3


class ZeroPad1d(_Pad):
    """Zeros around the last dimension.

    Examples
    --------
    >>> import nn
    >>> nn.ZeroPad1d(1)(nn.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[0., 1., 2., 3., 0.]]])
    """

    _dims, _mode = 1, "constant"


class ZeroPad2d(_Pad):
    """Zeros around the last two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ZeroPad2d(1)(nn.ones(1, 1, 3, 3)).shape
    (1, 1, 5, 5)
    """

    _dims, _mode = 2, "constant"


class ZeroPad3d(_Pad):
    """Zeros around the last three dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ZeroPad3d(1)(nn.ones(1, 1, 3, 3, 3)).shape
    (1, 1, 5, 5, 5)
    """

    _dims, _mode = 3, "constant"


class ReflectionPad1d(_Pad):
    """The mirror image, without the border itself, around the last dimension.

    Examples
    --------
    >>> import nn
    >>> nn.ReflectionPad1d(1)(nn.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[2., 1., 2., 3., 2.]]])
    """

    _dims, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The mirror image, without the border itself, around the last two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ReflectionPad2d(1)(nn.ones(1, 1, 3, 3)).shape
    (1, 1, 5, 5)
    """

    _dims, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The mirror image, without the border itself, around the last three dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ReflectionPad3d(1)(nn.ones(1, 1, 3, 3, 3)).shape
    (1, 1, 5, 5, 5)
    """

    _dims, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Copies of the border around the last dimension.

    Examples
    --------
    >>> import nn
    >>> nn.ReplicationPad1d(1)(nn.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[1., 1., 2., 3., 3.]]])
    """

    _dims, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Copies of the border around the last two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ReplicationPad2d(1)(nn.ones(1, 1, 3, 3)).shape
    (1, 1, 5, 5)
    """

    _dims, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Copies of the border around the last three dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.ReplicationPad3d(1)(nn.ones(1, 1, 3, 3, 3)).shape
    (1, 1, 5, 5, 5)
    """

    _dims, _mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The opposite end around the last dimension.

    Examples
    --------
    >>> import nn
    >>> nn.CircularPad1d(1)(nn.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 1., 2., 3., 1.]]])
    """

    _dims, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """The opposite end around the last two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.CircularPad2d(1)(nn.ones(1, 1, 3, 3)).shape
    (1, 1, 5, 5)
    """

    _dims, _mode = 2, "circular"


class CircularPad3d(_Pad):
    """The opposite end around the last three dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.CircularPad3d(1)(nn.ones(1, 1, 3, 3, 3)).shape
    (1, 1, 5, 5, 5)
    """

    _dims, _mode = 3, "circular"
