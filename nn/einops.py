"""``import nn.einops`` makes ``rearrange``, ``reduce``, ``repeat``, ``pack``, ``einsum`` of einops accept our tensors.

Importing this module is all; it needs the package einops, which nothing else here does.
"""

import numpy as np
from einops._backends import AbstractBackend

import nn


class Backend(AbstractBackend):
    """What einops calls for tensors of `nn`: it finds subclasses of its own by themselves."""

    framework_name = "nn"

    def is_appropriate_type(self, tensor):
        """Whether a tensor is one of ours."""
        return isinstance(tensor, nn.Tensor)

    def from_numpy(self, x):
        """An array as a tensor; einops' tests want a gradient of floats."""
        return nn.Tensor(x, requires_grad=x.dtype.kind == "f")

    def to_numpy(self, x):
        """The values of a tensor."""
        return x.detach().numpy()

    def arange(self, start, stop):
        """The integers from `start` up to `stop`."""
        return nn.arange(start, stop)

    def transpose(self, x, axes):
        """The dimensions in another order."""
        return x.permute(axes)

    def reduce(self, x, operation, axes):
        """A reduction by name over several dimensions."""
        if operation in ("min", "max"):
            return getattr(x, f"a{operation}")(axes)
        if operation in ("sum", "mean", "any", "all"):
            return getattr(x, operation)(axes)
        if operation != "prod":
            raise NotImplementedError(f"einops: unknown reduction {operation!r}")
        for axis in sorted(axes, reverse=True):
            x = x.prod(axis)
        return x

    def stack_on_zeroth_dimension(self, tensors):
        """Tensors of one shape along a new first dimension."""
        return nn.stack(tensors)

    def add_axis(self, x, new_position):
        """A new dimension of length 1."""
        return x.unsqueeze(new_position)

    def add_axes(self, x, n_axes, pos2len):
        """New dimensions of given lengths at given places, without a copy."""
        sizes = [-1] * n_axes
        for position, length in pos2len.items():
            x = x.unsqueeze(position)
            sizes[position] = length
        return x.expand(sizes)

    def tile(self, x, repeats):
        """The tensor repeated along its dimensions."""
        return x.repeat(repeats)

    def concat(self, tensors, axis):
        """Tensors joined along a dimension."""
        return nn.cat(tensors, axis)

    def is_float_type(self, x):
        """Whether a mean can be taken."""
        return np.issubdtype(x.dtype, np.floating)

    def einsum(self, pattern, *x):
        """`nn.einsum`."""
        return nn.einsum(pattern, *x)
