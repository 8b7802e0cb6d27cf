"""The Bernoulli distribution."""

import numpy as np

from nn import functional as F
from nn.distributions import constraints
from nn.distributions.distribution import Distribution, broadcast_all, clamped_probs, lazy_property, uniform
from nn.storage import wrap


class Bernoulli(Distribution):
    """The distribution of 1 with probability `probs`, else 0.

    Parameters
    ----------
    probs : Tensor or float, optional
    logits : Tensor or float, optional
        In place of `probs`: log(probs / (1 - probs)).
    validate_args : bool, optional

    Raises
    ------
    ValueError
        Neither or both are given, or a probability is outside [0, 1].
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        if (probs is None) == (logits is None):
            raise ValueError("Bernoulli: give either probs or logits")
        if probs is not None:
            (self.probs,) = broadcast_all(probs)
        else:
            (self.logits,) = broadcast_all(logits)
        super().__init__((self.probs if probs is not None else self.logits).shape, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(batch_shape, "probs", "logits")

    @lazy_property
    def logits(self):
        """log(probs / (1 - probs)); where that is infinite, large."""
        probs = clamped_probs(self.probs)
        return probs.log() - (1 - probs).log()

    @lazy_property
    def probs(self):
        """The probability of 1."""
        return self.logits.sigmoid()

    @property
    def param_shape(self):
        """The shape of `probs`."""
        return self._batch_shape

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        probs = self.probs.array
        return wrap(np.where(probs == 0.5, np.nan, probs >= 0.5).astype(probs.dtype))

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        probs = self.probs.array
        return wrap((uniform(self._extended_shape(sample_shape), probs.dtype).array < probs).astype(probs.dtype))

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        zeros = wrap(np.zeros(self.logits.shape, self.logits.dtype))
        return F.binary_cross_entropy_with_logits(self.logits, zeros, reduction="none") - self.probs * self.logits

    def enumerate_support(self, expand=True):
        return self._enumerated(np.arange(2, dtype=self.probs.dtype), expand)
