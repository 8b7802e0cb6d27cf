"""The categorical distribution of one-hot vectors."""

import numpy as np

from nn.distributions import constraints
from nn.distributions.categorical import Categorical
from nn.distributions.distribution import Distribution
from nn.storage import wrap


class OneHotCategorical(Distribution):
    """The distribution of one-hot vectors of length K with given probabilities: `Categorical`, in another form.

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
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args)

    def expand(self, batch_shape, _instance=None):
        new = self._expanded(batch_shape)
        new._categorical = self._categorical.expand(batch_shape)
        return new

    @property
    def probs(self):
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self):
        """The logarithms of `probs`; where those are infinite, large."""
        return self._categorical.logits

    @property
    def param_shape(self):
        """The shape of `probs`."""
        return self._categorical.param_shape

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        return self._one_hot(self._categorical.mode)

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def _one_hot(self, index):
        return wrap(np.eye(self._event_shape[0], dtype=self.probs.dtype)[index.array])

    def sample(self, sample_shape=()):
        return self._one_hot(self._categorical.sample(sample_shape))

    def log_prob(self, value):
        self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self):
        return self._categorical.entropy()

    def enumerate_support(self, expand=True):
        return self._one_hot(self._categorical.enumerate_support(expand))
