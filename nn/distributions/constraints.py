"""What values parameters and samples of distributions may have, with the names of ``torch.distributions.constraints``.

Each has ``check(value)``: a tensor of bools, one for each event.
"""

import numpy as np

from nn.storage import wrap
from nn.tensor import Tensor


class Constraint:
    """A rule for values.

    Parameters
    ----------
    name : str
    holds : callable
        Array -> bools, for each event.
    event_dim : int, default 0
        The number of dimensions of an event.
    is_discrete : bool, default False
    """

    def __init__(self, name, holds, event_dim=0, is_discrete=False):
        self._name, self._holds, self.event_dim, self.is_discrete = name, holds, event_dim, is_discrete

    def check(self, value):
        """Whether each event of a tensor satisfies the rule."""
        with np.errstate(invalid="ignore"):
            return wrap(np.asarray(self._holds(value.array)))

    def __repr__(self):
        return self._name


def _values(bound):
    return bound.array if isinstance(bound, Tensor) else bound


def interval(lower_bound, upper_bound):
    """Numbers from `lower_bound` to `upper_bound`."""
    low, high = _values(lower_bound), _values(upper_bound)
    return Constraint(f"interval({low}, {high})", lambda x: (x >= low) & (x <= high))


def integer_interval(lower_bound, upper_bound):
    """Integers from `lower_bound` to `upper_bound`."""
    low, high = _values(lower_bound), _values(upper_bound)
    name = f"integer_interval({low}, {high})"
    return Constraint(name, lambda x: (x % 1 == 0) & (x >= low) & (x <= high), is_discrete=True)


def independent(base_constraint, reinterpreted_batch_ndims):
    """The rule `base_constraint` for all of the last dimensions of an event."""

    def holds(x):
        inner = base_constraint.check(wrap(x)).array
        return inner.reshape(*inner.shape[: inner.ndim - reinterpreted_batch_ndims], -1).all(-1)

    event_dim = base_constraint.event_dim + reinterpreted_batch_ndims
    name = f"independent({base_constraint}, {reinterpreted_batch_ndims})"
    return Constraint(name, holds, event_dim, base_constraint.is_discrete)


def _is_simplex(x):
    return (x >= 0).all(-1) & (np.abs(x.sum(-1) - 1) < 1e-6)


def _is_lower_cholesky(x):
    lower = (np.tril(x) == x).all((-2, -1))
    return lower & (np.diagonal(x, axis1=-2, axis2=-1) > 0).all(-1)


def _is_positive_definite(x):
    """Whether matrices are symmetric and positive on the diagonal; the Cholesky factorization finds out the rest."""
    symmetric = (np.abs(x - x.swapaxes(-2, -1)) <= 1e-6).all((-2, -1))
    return symmetric & (np.diagonal(x, axis1=-2, axis2=-1) > 0).all(-1)


real = Constraint("real", lambda x: x == x)
real_vector = Constraint("real_vector", lambda x: (x == x).all(-1), 1)
positive = Constraint("positive", lambda x: x > 0)
nonnegative = Constraint("nonnegative", lambda x: x >= 0)
unit_interval = Constraint("unit_interval", lambda x: (x >= 0) & (x <= 1))
boolean = Constraint("boolean", lambda x: (x == 0) | (x == 1), is_discrete=True)
one_hot = Constraint("one_hot", lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1), 1, is_discrete=True)
simplex = Constraint("simplex", _is_simplex, 1)
lower_cholesky = Constraint("lower_cholesky", _is_lower_cholesky, 2)
positive_definite = Constraint("positive_definite", _is_positive_definite, 2)
