"""Layers of fractional max pooling."""

from nn import functional as F
from nn.module import Module


class _FractionalMaxPool(Module):
    """Base class: `dims` is the number of dimensions of a plane."""

    _dims = 2

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: needs one of output_size and output_ratio, got {output_size} and {output_ratio}")
        self.kernel_size, self.return_indices = self._each(kernel_size), return_indices
        self.output_size, self.output_ratio = self._each(output_size), self._each(output_ratio)
        if any(k < 1 for k in self.kernel_size):
            raise ValueError(f"{name}: kernel_size must be at least 1, got {kernel_size}")
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")
        self.register_buffer("_random_samples", _random_samples)

    def _each(self, value):
        return tuple(value) if isinstance(value, (tuple, list)) else None if value is None else (value,) * self._dims

    def forward(self, input):
        pool = F.fractional_max_pool2d if self._dims == 2 else F.fractional_max_pool3d
        sizes = self.kernel_size, self.output_size, self.output_ratio
        return pool(input, *sizes, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima of windows at random places, in training and in evaluation; see `nn.functional.fractional_max_pool2d`.

    Parameters
    ----------
    kernel_size : int or tuple of int
    output_size : int or tuple of int, optional
    output_ratio : float or tuple of float, optional
        Between 0 and 1; one of this and `output_size` must be given.
    return_indices : bool, default False
    _random_samples : Tensor (N, C, 2), optional
        By default drawn in each call.

    Raises
    ------
    ValueError
        Not one of size and ratio is given, or one is out of range.

    Examples
    --------
    >>> import nn
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(nn.zeros(1, 3, 10, 10)).shape
    (1, 3, 7, 7)
    """


class FractionalMaxPool3d(_FractionalMaxPool):
    """As `FractionalMaxPool2d`, over three dimensions; `_random_samples` is (N, C, 3).

    Examples
    --------
    >>> import nn
    >>> nn.FractionalMaxPool3d(2, output_size=3)(nn.zeros(1, 2, 6, 6, 6)).shape
    (1, 2, 3, 3, 3)
    """

    _dims = 3
