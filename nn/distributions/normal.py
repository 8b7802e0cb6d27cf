"""The normal distribution."""

import math

from nn.distributions import constraints
from nn.distributions.distribution import Distribution, broadcast_all, standard_normal
from nn.operations.elementwise_functions import erf, erfinv


class Normal(Distribution):
    """The normal distribution.

    Parameters
    ----------
    loc : Tensor or float
        The mean.
    scale : Tensor or float
        The standard deviation.
    validate_args : bool, optional

    Raises
    ------
    ValueError
        `scale` is not positive.

    Examples
    --------
    >>> import nn
    >>> normal = nn.distributions.Normal(nn.tensor([0.0, 1.0]), 2.0)
    >>> normal.log_prob(nn.tensor([0.0, 1.0])).tolist()
    [-1.612085..., -1.612085...]
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(batch_shape, "loc", "scale")

    @property
    def mean(self):
        return self.loc

    @property
    def mode(self):
        return self.loc

    @property
    def stddev(self):
        return self.scale

    @property
    def variance(self):
        return self.scale * self.scale

    def rsample(self, sample_shape=()):
        return self.loc + standard_normal(self._extended_shape(sample_shape), self.loc.dtype) * self.scale

    def log_prob(self, value):
        self._validate_sample(value)
        distance = (value - self.loc) / self.scale
        return -(distance * distance) / 2 - self.scale.log() - math.log(2 * math.pi) / 2

    def cdf(self, value):
        self._validate_sample(value)
        return (erf((value - self.loc) / (self.scale * math.sqrt(2))) + 1) / 2

    def icdf(self, value):
        return self.loc + self.scale * erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self):
        return self.scale.log() + (0.5 + 0.5 * math.log(2 * math.pi))
