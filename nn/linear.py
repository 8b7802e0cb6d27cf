"""Fully connected layers, and the identity."""

import math

import numpy as np

from nn import functional as F
from nn import init
from nn.factory import placed
from nn.module import Module, require_sizes
from nn.parameter import Parameter


class Identity(Module):
    """Returns its input; takes any arguments and ignores them.

    Examples
    --------
    >>> import nn
    >>> nn.Identity(54, unused=True)(nn.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Linear(Module):
    """The affine map ``y = x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool, default True
    device : str or device, optional
        The CPU, as for all layers.
    dtype : numpy.dtype, optional
        float32 or float64, that of the parameters; by default the default dtype.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
    bias : Parameter (out_features,) or None

    Raises
    ------
    TypeError, ValueError
        A number of features is not an int, or negative.

    Examples
    --------
    >>> import nn
    >>> nn.Linear(784, 10)(nn.zeros(64, 784)).shape
    (64, 10)
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        require_sizes(self, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        self.reset_parameters()
        placed(self, device, dtype)

    def reset_parameters(self):
        """Draw weight and bias uniformly from ±1 / √in_features: kaiming_uniform_ with a = √5, as PyTorch does."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
