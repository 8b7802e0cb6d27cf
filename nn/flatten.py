"""Layers that only arrange elements anew."""

import math

from nn import functional as F
from nn.module import Module
from nn.operations.arguments import axis_of


class Flatten(Module):
    """Merge dimensions into one; by default all but the first, the batch.

    Parameters
    ----------
    start_dim, end_dim : int, default 1 and -1

    Examples
    --------
    >>> import nn
    >>> nn.Flatten()(nn.zeros(2, 3, 4)).shape
    (2, 12)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split a dimension into several.

    Parameters
    ----------
    dim : int
    unflattened_size : tuple of int
        The lengths of the new dimensions; one may be -1, and follows from the others.

    Examples
    --------
    >>> import nn
    >>> nn.Unflatten(1, (3, 4))(nn.zeros(2, 12)).shape
    (2, 3, 4)
    """

    def __init__(self, dim, unflattened_size):
        super().__init__()
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"Unflatten: dim must be an int, got {type(dim).__name__}")
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple, got {type(unflattened_size).__name__}")
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        dim, known = axis_of("Unflatten", self.dim, input.ndim), math.prod(self.unflattened_size)
        length = input.shape[dim]
        if known != length and (self.unflattened_size.count(-1) != 1 or not known or length % -known):
            raise ValueError(f"Unflatten: {tuple(self.unflattened_size)} does not make up a dimension of {length}")
        sizes = [length // -known if n == -1 else n for n in self.unflattened_size]
        return input.reshape(*input.shape[:dim], *sizes, *input.shape[dim + 1 :])

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class ChannelShuffle(Module):
    """Rearrange the channels of (N, C, ...): from `groups` groups in turn, one of each.

    Examples
    --------
    >>> import nn
    >>> nn.ChannelShuffle(2)(nn.arange(4.0).reshape(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"
