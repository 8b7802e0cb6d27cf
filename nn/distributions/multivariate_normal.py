"""The multivariate normal distribution, and the factorization that it needs.

The loops over columns are operations on tensors, recorded as any other: n of them for n dimensions.
"""

import math

import numpy as np

from nn.distributions import constraints
from nn.distributions.distribution import Distribution, lazy_property, standard_normal
from nn.storage import wrap


def cholesky(matrix):
    """The lower triangle L with a positive diagonal and L Lᵀ = matrix (..., n, n); NaN if there is none.

    Column by column; what is left of the matrix after each is the Schur complement.
    """
    n, triangle = matrix.shape[-1], 0.0
    rest = (matrix + matrix.mT) / 2  # so that the gradient is symmetric, as PyTorch's
    for j in range(n):
        place = _unit(j, matrix)
        below = wrap((np.arange(n) >= j).astype(matrix.dtype))
        column = rest[..., :, j] / rest[..., j, j].sqrt().unsqueeze(-1) * below
        triangle = triangle + column.unsqueeze(-1) * place
        rest = rest - column.unsqueeze(-1) * column.unsqueeze(-2)
    return triangle


def solve_lower(triangle, b):
    """The x with L x = b, for a lower triangle L (..., n, n) and b (..., n), by forward substitution."""
    rest, x = b, 0.0
    for j in range(triangle.shape[-1]):
        element = (rest[..., j] / triangle[..., j, j]).unsqueeze(-1)
        x = x + element * _unit(j, triangle)
        rest = rest - element * triangle[..., :, j]
    return x


def _unit(j, like):
    """The unit vector in direction j."""
    return wrap((np.arange(like.shape[-1]) == j).astype(like.dtype))


def _inverse_transposed(triangle):
    """The transpose of the inverse of a lower triangle: its row i solves L x = the unit vector i."""
    return solve_lower(triangle.unsqueeze(-3), wrap(np.eye(triangle.shape[-1], dtype=triangle.dtype)))


def _log_diagonal(triangle):
    """The sum of the logarithms of the diagonal: half the logarithm of the determinant of L Lᵀ."""
    index = np.arange(triangle.shape[-1])
    return triangle[..., index, index].log().sum(-1)


class MultivariateNormal(Distribution):
    """The normal distribution of vectors.

    Parameters
    ----------
    loc : Tensor (..., n)
        The mean.
    covariance_matrix : Tensor (..., n, n), optional
    precision_matrix : Tensor (..., n, n), optional
        The inverse of the covariance.
    scale_tril : Tensor (..., n, n), optional
        The lower Cholesky factor of the covariance.
    validate_args : bool, optional

    Raises
    ------
    ValueError
        Not exactly one matrix is given, a matrix is not positive definite, or a parameter has too few dimensions.

    Examples
    --------
    >>> import nn
    >>> normal = nn.distributions.MultivariateNormal(nn.zeros(2), nn.tensor([[1.0, 0.5], [0.5, 1.0]]))
    >>> normal.sample((3,)).shape
    (3, 2)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        matrices = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = {name: matrix for name, matrix in matrices.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError("MultivariateNormal: give one of covariance_matrix, precision_matrix and scale_tril")
        ((name, matrix),) = given.items()
        n = loc.shape[-1] if loc.ndim else 0
        if loc.ndim < 1 or matrix.ndim < 2 or matrix.shape[-2:] != (n, n):
            raise ValueError(
                f"MultivariateNormal: loc is (..., n), {name} (..., n, n): got {loc.shape}, {matrix.shape}"
            )
        batch_shape = np.broadcast_shapes(loc.shape[:-1], matrix.shape[:-2])
        self.loc = loc.expand(*batch_shape, n)
        setattr(self, name, matrix.expand(*batch_shape, n, n))
        super().__init__(batch_shape, (n,), validate_args)
        if not np.isfinite(self.scale_tril.array).all() and self._validate_args:
            raise ValueError(f"MultivariateNormal: {name} of shape {matrix.shape} is not positive definite")

    def expand(self, batch_shape, _instance=None):
        return self._expanded(batch_shape, "loc", "covariance_matrix", "precision_matrix", "scale_tril")

    @lazy_property
    def scale_tril(self):
        """The lower Cholesky factor of the covariance."""
        return cholesky(self.covariance_matrix)

    @lazy_property
    def covariance_matrix(self):
        """The covariance."""
        if "scale_tril" in self.__dict__:
            return self.scale_tril @ self.scale_tril.mT
        rows = _inverse_transposed(cholesky(self.precision_matrix))
        return rows @ rows.mT

    @lazy_property
    def precision_matrix(self):
        """The inverse of the covariance."""
        rows = _inverse_transposed(self.scale_tril)
        return rows @ rows.mT

    @property
    def mean(self):
        return self.loc

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        return (self.scale_tril * self.scale_tril).sum(-1)

    def rsample(self, sample_shape=()):
        draws = standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + (self.scale_tril * draws.unsqueeze(-2)).sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        z = solve_lower(self.scale_tril, value - self.loc)
        return -((z * z).sum(-1) + self._event_shape[0] * math.log(2 * math.pi)) / 2 - _log_diagonal(self.scale_tril)

    def entropy(self):
        return _log_diagonal(self.scale_tril) + 0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi))


def divergence(p, q):
    """The Kullback-Leibler divergence of two multivariate normal distributions."""
    trace = solve_lower(q.scale_tril.unsqueeze(-3), p.scale_tril.mT)
    distance = solve_lower(q.scale_tril, q.loc - p.loc)
    logarithm = _log_diagonal(q.scale_tril) - _log_diagonal(p.scale_tril)
    return logarithm + ((trace * trace).sum((-2, -1)) + (distance * distance).sum(-1) - p.event_shape[0]) / 2
