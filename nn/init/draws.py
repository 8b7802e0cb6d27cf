"""Initial weights drawn from a distribution that does not depend on the shape."""

import math

import numpy as np

from nn.init.filling import fill, normal, uniform
from nn.operations.arguments import scalar_of

__all__ = ["normal_", "trunc_normal_", "uniform_"]


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill with the uniform distribution on [a, b).

    Parameters
    ----------
    tensor : Tensor
    a, b : float, default 0 and 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Examples
    --------
    >>> import nn
    >>> w = nn.init.uniform_(nn.Parameter([[0.0] * 3] * 5), -1, 1)
    >>> bool((abs(w.array) <= 1).all())
    True
    """
    a, b = scalar_of("uniform_", "a", a), scalar_of("uniform_", "b", b)
    return fill(tensor, uniform("uniform_", tensor.shape, tensor.dtype, generator) * (b - a) + a)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill with the normal distribution.

    Parameters
    ----------
    tensor : Tensor
    mean, std : float, default 0 and 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.
    """
    mean, std = scalar_of("normal_", "mean", mean), scalar_of("normal_", "std", std)
    return fill(tensor, normal("normal_", tensor.shape, tensor.dtype, generator) * std + mean)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fill with the normal distribution truncated to [a, b]: values outside are drawn again.

    Parameters
    ----------
    tensor : Tensor
    mean, std : float, default 0 and 1
    a, b : float, default -2 and 2
        The bounds, as values (not in standard deviations).
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `a` is above `b`.
    """
    name = "trunc_normal_"
    mean, std = scalar_of(name, "mean", mean), scalar_of(name, "std", std)
    a, b = scalar_of(name, "a", a), scalar_of(name, "b", b)
    if a > b:
        raise ValueError(f"trunc_normal_: a must not be above b, got a = {a}, b = {b}")
    data = tensor.array
    inside = (math.erf((b - mean) / (std * math.sqrt(2))) - math.erf((a - mean) / (std * math.sqrt(2)))) / 2
    peak = ((min(max(mean, a), b) - mean) / std) ** 2
    values = np.empty(data.size, data.dtype)
    pending = np.arange(data.size)
    while pending.size:
        if inside > 0.3:
            values[pending] = normal(name, pending.size, data.dtype, generator) * std + mean
            accepted = (values[pending] >= a) & (values[pending] <= b)
        else:
            # Few normal draws would be inside: draw uniformly, and accept with probability proportional to the density.
            values[pending] = uniform(name, pending.size, data.dtype, generator) * (b - a) + a
            density = np.exp((peak - ((values[pending] - mean) / std) ** 2) / 2)
            accepted = uniform(name, pending.size, data.dtype, generator) <= density
        pending = pending[~accepted]
    return fill(tensor, values.reshape(data.shape))
