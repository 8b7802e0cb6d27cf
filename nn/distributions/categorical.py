"""The categorical distribution."""

import numpy as np

from nn.distributions import constraints
from nn.distributions.distribution import Distribution, clamped_probs, lazy_property, uniform
from nn.storage import wrap
from nn.tensor import Tensor


class Categorical(Distribution):
    """The distribution of the integers from 0 to K - 1 with given probabilities.

    Parameters
    ----------
    probs : Tensor (..., K), optional
        They need not sum to 1.
    logits : Tensor (..., K), optional
        In place of `probs`: their logarithms, up to a constant.
    validate_args : bool, optional

    Raises
    ------
    ValueError
        Neither or both are given, or a parameter is 0-d or no distribution.

    Examples
    --------
    >>> import nn
    >>> policy = nn.distributions.Categorical(nn.tensor([0.25, 0.75]))
    >>> policy.log_prob(nn.tensor(1)).exp().item()
    0.75
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        if (probs is None) == (logits is None):
            raise ValueError("Categorical: give either probs or logits")
        given = logits if probs is None else probs
        if not isinstance(given, Tensor) or given.ndim < 1:
            raise ValueError("Categorical: the parameter must be a Tensor of at least one dimension")
        if probs is not None:
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(batch_shape, "probs", "logits")

    @property
    def support(self):
        """The integers from 0 to K - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self):
        """The logarithms of `probs`; where those are infinite, large."""
        return clamped_probs(self.probs).log()

    @lazy_property
    def probs(self):
        """The probabilities."""
        return self.logits.softmax(-1)

    @property
    def param_shape(self):
        """The shape of `probs`."""
        return (*self._batch_shape, self._num_events)

    @property
    def mean(self):
        return Tensor(np.full(self._batch_shape, np.nan, self.probs.dtype))

    @property
    def mode(self):
        return self.probs.argmax(-1)

    @property
    def variance(self):
        return self.mean

    def sample(self, sample_shape=()):
        below = np.cumsum(self.probs.array, -1, dtype=np.float64)
        below /= below[..., -1:]
        draws = uniform(self._extended_shape(sample_shape), np.float64).array
        return wrap(np.asarray((draws[..., None] >= below).sum(-1)))

    def log_prob(self, value):
        self._validate_sample(value)
        index = value.array.astype(np.int64)
        shape = np.broadcast_shapes(index.shape, self._batch_shape)
        logits = self.logits.expand(*shape, self._num_events).reshape(-1, self._num_events)
        rows = np.arange(logits.shape[0])
        return logits[rows, np.broadcast_to(index, shape).reshape(-1)].reshape(shape)

    def entropy(self):
        logits = self.logits.clamp(min=float(np.finfo(self.logits.dtype).min))
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        return self._enumerated(np.arange(self._num_events), expand)
