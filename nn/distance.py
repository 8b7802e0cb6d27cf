"""Distances and angles of vectors as modules, and the bilinear layer."""

import math

import numpy as np

from nn import functional as F
from nn import init
from nn.factory import placed
from nn.module import Module, require_sizes
from nn.parameter import Parameter


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along `dim`; lengths below `eps` count as that.

    Examples
    --------
    >>> import nn
    >>> nn.CosineSimilarity(dim=0)(nn.tensor([1.0, 0.0]), nn.tensor([1.0, 1.0]))
    tensor(0.7071)
    """

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of the difference of vectors, to which `eps` is added, along the last dimension.

    Examples
    --------
    >>> import nn
    >>> nn.PairwiseDistance()(nn.tensor([[0.0, 0.0]]), nn.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class Bilinear(Module):
    """The map ``y[o] = x1 @ weight[o] @ x2 + bias[o]``.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
    bias : bool, default True

    Attributes
    ----------
    weight : Parameter (out_features, in1_features, in2_features)
    bias : Parameter (out_features,) or None

    Raises
    ------
    TypeError, ValueError
        A number of features is not an int, or negative; `in1_features` is 0.

    Examples
    --------
    >>> import nn
    >>> nn.Bilinear(3, 4, 5)(nn.zeros(2, 3), nn.zeros(2, 4)).shape
    (2, 5)
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        require_sizes(self, in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        if not in1_features:
            raise ValueError("Bilinear: in1_features must be at least 1, got 0")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(np.empty((out_features, in1_features, in2_features), np.float32))
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        self.reset_parameters()
        placed(self, device, dtype)

    def reset_parameters(self):
        """Draw weight and bias uniformly from ±1 / √in1_features, as PyTorch does."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1, input2):
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"
