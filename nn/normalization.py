"""Layers that normalise: batch, layer, RMS, group, instance and local response norm."""

import numpy as np

from nn import functional as F
from nn.factory import placed
from nn.module import Module, require_sizes
from nn.parameter import Parameter
from nn.tensor import Tensor

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d"]
__all__ += ["InstanceNorm3d", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class _ChannelNorm(Module):
    """Base class of batch and instance norm: parameters, running statistics and the check of the input's dimensions."""

    _dimensions = ()  # allowed numbers of dimensions; set by subclasses

    def __init__(self, num_features, eps, momentum, affine, track_running_stats, bias):
        super().__init__()
        require_sizes(self, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine and bias else None
        shape = num_features if track_running_stats else None
        self.register_buffer("running_mean", None if shape is None else Tensor(np.zeros(shape, np.float32)))
        self.register_buffer("running_var", None if shape is None else Tensor(np.ones(shape, np.float32)))
        self.register_buffer("num_batches_tracked", None if shape is None else Tensor(np.zeros((), np.int64)))

    def reset_running_stats(self):
        """Reset the running mean to 0, the running variance to 1 and the number of batches to 0."""
        if self.track_running_stats:
            for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
                buffer.array[...] = value
                buffer.mark_changed()

    def reset_parameters(self):
        """Reset the running statistics, and set weight to 1 and bias to 0."""
        self.reset_running_stats()
        _reset_affine(self)

    def _check(self, input):
        name = type(self).__name__
        if input.ndim not in self._dimensions:
            allowed = " or ".join(f"{n}-D" for n in self._dimensions)
            raise ValueError(f"{name}: expected {allowed} input, got shape {input.shape}")

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


def _reset_affine(module):
    for parameter, value in ((module.weight, 1), (getattr(module, "bias", None), 0)):
        if parameter is not None:
            parameter.array[...] = value
            parameter.mark_changed()


class _BatchNorm(_ChannelNorm):
    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias)
        placed(self, device, dtype)

    def forward(self, input):
        self._check(input)
        by_batch = self.training or self.running_mean is None
        tracked = self.running_mean if not self.training or self.track_running_stats else None
        momentum = 0.0 if self.momentum is None else self.momentum
        counting = self.training and self.num_batches_tracked is not None and tracked is not None
        if counting and self.momentum is None:  # the average of all batches so far
            momentum = 1.0 / (float(self.num_batches_tracked.array) + 1.0)
        running = (None, None) if tracked is None else (self.running_mean, self.running_var)
        y = F.batch_norm(input, *running, self.weight, self.bias, by_batch, momentum, self.eps)
        if counting:  # after the call: a batch that raises an error is not counted
            self.num_batches_tracked.array[...] += 1
            self.num_batches_tracked.mark_changed()
        return y


class BatchNorm1d(_BatchNorm):
    """Normalise each channel over the batch, and over the length if there is one.

    In training, with the mean and variance of the batch, which also update the running ones; in evaluation, with the
    running ones.

    Parameters
    ----------
    num_features : int
        C of the input (N, C) or (N, C, L).
    eps : float, default 1e-5
    momentum : float or None, default 0.1
        Weight of a new batch in the running statistics; None for the plain average of all batches.
    affine : bool, default True
        Whether weight and bias are learned.
    track_running_stats : bool, default True
        If False, evaluation uses the statistics of the batch as well.
    bias : bool, default True

    Attributes
    ----------
    weight, bias : Parameter (C,) or None
    running_mean, running_var : Tensor (C,) or None
    num_batches_tracked : Tensor of int64, 0-d, or None

    Raises
    ------
    ValueError
        The input has another number of dimensions, or in training one value per channel.

    Examples
    --------
    >>> import nn
    >>> nn.BatchNorm1d(3)(nn.randn(8, 3)).shape
    (8, 3)
    """

    _dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` of images (N, C, H, W).

    Examples
    --------
    >>> import nn
    >>> nn.BatchNorm2d(3)(nn.randn(8, 3, 4, 4)).mean((0, 2, 3)).abs().max().item() < 1e-6
    True
    """

    _dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` of volumes (N, C, D, H, W).

    Examples
    --------
    >>> import nn
    >>> nn.BatchNorm3d(3)(nn.randn(8, 3, 2, 2, 2)).shape
    (8, 3, 2, 2, 2)
    """

    _dimensions = (5,)


class _InstanceNorm(_ChannelNorm):
    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias)
        placed(self, device, dtype)

    def forward(self, input):
        self._check(input)
        unbatched = input.ndim == self._dimensions[0]
        channels = input.shape[0 if unbatched else 1]
        if channels != self.num_features and (self.affine or self.track_running_stats):
            raise ValueError(f"{type(self).__name__}: expected {self.num_features} channels, got shape {input.shape}")
        y = F.instance_norm(
            input.unsqueeze(0) if unbatched else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if unbatched else y


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each sample over its positions.

    Parameters
    ----------
    num_features : int
        C of the input (N, C, L) or (C, L).
    eps : float, default 1e-5
    momentum : float, default 0.1
    affine : bool, default False
        Whether weight and bias are learned.
    track_running_stats : bool, default False
        If True, evaluation uses the running statistics.
    bias : bool, default True

    Raises
    ------
    ValueError
        The input has another number of dimensions, or a single position.

    Examples
    --------
    >>> import nn
    >>> nn.InstanceNorm1d(3)(nn.randn(8, 3, 5)).shape
    (8, 3, 5)
    """

    _dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` of images (N, C, H, W) or (C, H, W).

    Examples
    --------
    >>> import nn
    >>> nn.InstanceNorm2d(3)(nn.randn(8, 3, 4, 4)).mean((2, 3)).abs().max().item() < 1e-6
    True
    """

    _dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` of volumes (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import nn
    >>> nn.InstanceNorm3d(3)(nn.randn(8, 3, 2, 2, 2)).shape
    (8, 3, 2, 2, 2)
    """

    _dimensions = (4, 5)


def _shape(module, normalized_shape):
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    for size in shape:
        require_sizes(module, normalized_shape=size)
    return shape


class LayerNorm(Module):
    """Normalise over the last dimensions.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        What the shape of the input ends in.
    eps : float, default 1e-5
    elementwise_affine : bool, default True
        Whether weight and bias are learned.
    bias : bool, default True

    Attributes
    ----------
    weight, bias : Parameter of `normalized_shape`, or None

    Examples
    --------
    >>> import nn
    >>> nn.LayerNorm(16)(nn.randn(2, 5, 16)).shape
    (2, 5, 16)
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _shape(self, normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        ones, zeros = np.ones(self.normalized_shape, np.float32), np.zeros(self.normalized_shape, np.float32)
        self.weight = Parameter(ones) if elementwise_affine else None
        self.bias = Parameter(zeros) if elementwise_affine and bias else None
        placed(self, device, dtype)

    def reset_parameters(self):
        """Set weight to 1 and bias to 0."""
        _reset_affine(self)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        affine, bias = self.elementwise_affine, self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}, bias={bias}"


class RMSNorm(Module):
    """Divide by the root of the mean square over the last dimensions.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        What the shape of the input ends in.
    eps : float, optional
        The dtype's machine epsilon by default.
    elementwise_affine : bool, default True
        Whether a weight is learned.

    Attributes
    ----------
    weight : Parameter of `normalized_shape`, or None

    Examples
    --------
    >>> import nn
    >>> nn.RMSNorm(16)(nn.randn(2, 5, 16)).shape
    (2, 5, 16)
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _shape(self, normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(np.ones(self.normalized_shape, np.float32)) if elementwise_affine else None
        placed(self, device, dtype)

    def reset_parameters(self):
        """Set weight to 1."""
        _reset_affine(self)

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalise each group of channels of each sample.

    Parameters
    ----------
    num_groups, num_channels : int
        The second is a multiple of the first.
    eps : float, default 1e-5
    affine : bool, default True
        Whether weight and bias are learned.
    bias : bool, default True

    Attributes
    ----------
    weight, bias : Parameter (num_channels,) or None

    Raises
    ------
    ValueError
        `num_groups` does not divide `num_channels`; the input has fewer than two dimensions, or other channels.

    Examples
    --------
    >>> import nn
    >>> nn.GroupNorm(2, 6)(nn.randn(4, 6, 5, 5)).shape
    (4, 6, 5, 5)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        require_sizes(self, num_groups=num_groups, num_channels=num_channels)
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups {num_groups} does not divide num_channels {num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine and bias else None
        placed(self, device, dtype)

    def reset_parameters(self):
        """Set weight to 1 and bias to 0."""
        _reset_affine(self)

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        groups, bias = f"{self.num_groups}, {self.num_channels}", self.bias is not None
        return f"{groups}, eps={self.eps}, affine={self.affine}, bias={bias}"


class LocalResponseNorm(Module):
    """Normalise each element over neighbouring channels; see `functional.local_response_norm`.

    Parameters
    ----------
    size : int
        Number of channels in the window.
    alpha, beta, k : float, default 1e-4, 0.75, 1.0

    Examples
    --------
    >>> import nn
    >>> nn.LocalResponseNorm(3)(nn.ones(1, 4, 2, 2)).shape
    (1, 4, 2, 2)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
