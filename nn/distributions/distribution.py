"""The base class of distributions, and what they share."""

from functools import cached_property

import numpy as np

from nn import random
from nn.grad_mode import no_grad
from nn.operations.arguments import NUMBERS
from nn.storage import wrap
from nn.tensor import Tensor


def broadcast_all(*values):
    """Tensors of one shape and dtype from tensors, of which there may be none, and numbers."""
    floats = [v.dtype for v in values if isinstance(v, Tensor) and v.dtype.kind == "f"]
    for v in values:
        if not isinstance(v, (Tensor, *NUMBERS)):
            raise TypeError(f"distributions: parameters must be Tensors or numbers, got {type(v).__name__}")
    dtype = floats[0] if floats else np.dtype(np.float32)
    tensors = [v if isinstance(v, Tensor) else wrap(np.asarray(v, dtype)) for v in values]
    tensors = [t if t.dtype.kind == "f" else wrap(t.array.astype(dtype)) for t in tensors]
    shape = np.broadcast_shapes(*(t.shape for t in tensors))
    return [t if t.shape == shape else t.expand(*shape) for t in tensors]


def standard_normal(shape, dtype):
    """A constant tensor of independent draws from the normal distribution."""
    return Tensor(np.asarray(random.generator().standard_normal(shape, dtype)))


def uniform(shape, dtype):
    """A constant tensor of independent draws from [0, 1)."""
    return Tensor(np.asarray(random.generator().random(shape, dtype)))


def sum_rightmost(value, number):
    """The sum over the last dimensions."""
    return value.sum(tuple(range(-number, 0))) if number else value


class Distribution:
    """Base class: independent distributions, one for each index of `batch_shape`, of samples of shape `event_shape`.

    Parameters
    ----------
    batch_shape, event_shape : tuple of int, default ()
    validate_args : bool, optional
        Whether parameters and the arguments of `log_prob` are checked; by default they are.

    Raises
    ------
    ValueError
        A parameter has a value that it must not have.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints = {}
    support = None
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value):
        """Set whether distributions check parameters and values unless they are told."""
        Distribution._validate_args = bool(value)

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = tuple(batch_shape), tuple(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                if name in self.__dict__:
                    self._require("parameter " + name, getattr(self, name), constraint)

    @property
    def _name(self):
        return type(self).__name__

    def _require(self, what, value, constraint):
        valid = constraint.check(value).array
        if not valid.all():
            raise ValueError(f"{self._name}: {what} of shape {value.shape} must be {constraint}, got {value}")

    def _validate_sample(self, value):
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError(f"{self._name}: the value must be a Tensor, got {type(value).__name__}")
        expected = self._batch_shape + self._event_shape
        events = len(self._event_shape)
        if value.ndim < events or value.shape[value.ndim - events :] != self._event_shape:
            raise ValueError(f"{self._name}: a value ends with the event shape {self._event_shape}, got {value.shape}")
        if any(1 != i != j != 1 for i, j in zip(reversed(value.shape), reversed(expected), strict=False)):
            raise ValueError(f"{self._name}: the value, {value.shape}, does not broadcast with {expected}")
        if self.support is not None:
            self._require("the value", value, self.support)

    def _expanded(self, batch_shape, *names):
        """A copy with another batch shape: the parameters of these names, where they are set, broadcast."""
        new = type(self).__new__(type(self))
        new.__dict__.update({k: v for k, v in vars(self).items() if k in ("_validate_args", "_num_events")})
        new._batch_shape, new._event_shape = tuple(batch_shape), self._event_shape
        for name in names:
            if name in self.__dict__:
                parameter = getattr(self, name)
                event = parameter.shape[len(self._batch_shape) :]
                setattr(new, name, parameter.expand(*new._batch_shape, *event))
        return new

    def _extended_shape(self, sample_shape=()):
        return tuple(sample_shape) + self._batch_shape + self._event_shape

    @property
    def batch_shape(self):
        """The shape of independent distributions."""
        return self._batch_shape

    @property
    def event_shape(self):
        """The shape of one sample."""
        return self._event_shape

    def _missing(self, method):
        return NotImplementedError(f"{self._name}: has no {method}")

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters broadcast to another batch shape."""
        raise self._missing("expand")

    @property
    def mean(self):
        """The mean."""
        raise self._missing("mean")

    @property
    def mode(self):
        """The most probable value."""
        raise self._missing("mode")

    @property
    def variance(self):
        """The variance."""
        raise self._missing("variance")

    @property
    def stddev(self):
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()):
        """Draw samples, constants: shape ``sample_shape + batch_shape + event_shape``."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Draw samples as functions of the parameters, which get gradients."""
        raise self._missing("rsample")

    def sample_n(self, n):
        """Draw n samples."""
        return self.sample((n,))

    def log_prob(self, value):
        """The logarithm of the density or the probability of a value."""
        raise self._missing("log_prob")

    def cdf(self, value):
        """The probability of at most a value."""
        raise self._missing("cdf")

    def icdf(self, value):
        """The value whose `cdf` is this."""
        raise self._missing("icdf")

    def enumerate_support(self, expand=True):
        """All values of a discrete distribution, along a new first dimension."""
        raise self._missing("enumerate_support")

    def _enumerated(self, values, expand):
        values = values.reshape(-1, *(1,) * len(self._batch_shape))
        return Tensor(np.broadcast_to(values, (len(values), *self._batch_shape)).copy() if expand else values)

    def entropy(self):
        """The entropy, in nats."""
        raise self._missing("entropy")

    def perplexity(self):
        """The exponential of the entropy."""
        return self.entropy().exp()

    def __repr__(self):
        values = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        return (
            f"{self._name}({', '.join(f'{k}: {v.item() if v.numel() == 1 else v.shape}' for k, v in values.items())})"
        )


def clamped_probs(probs):
    """Probabilities away from 0 and 1, whose logarithms are finite."""
    eps = float(np.finfo(probs.dtype).eps)
    return probs.clamp(min=eps, max=1 - eps)


lazy_property = cached_property  # computed once, at the first use
