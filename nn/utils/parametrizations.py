"""Parametrizations of weights, with the names of ``torch.nn.utils.parametrizations``."""

from nn.module import Module
from nn.operations.arguments import axis_of
from nn.tensor import Tensor
from nn.utils.normed_weights import (
    as_matrix,
    divided_by_sigma,
    norm_except_dim,
    output_dim,
    power_step,
    random_unit,
    scaled_to,
)
from nn.utils.parametrize import register_parametrization


class _WeightNorm(Module):
    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return scaled_to(weight_v, weight_g, self.dim)

    def right_inverse(self, weight):
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    """Train norms and directions of a weight: its originals 0 and 1; return the module.

    Parameters
    ----------
    module : Module
    name : str, default "weight"
    dim : int or None, default 0
        The dimension along which there is a norm for each slice; None for one norm of the whole weight.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}")
        self.dim, self.eps = axis_of("spectral_norm", dim, weight.ndim), eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            self.register_buffer("_u", random_unit(matrix.shape[0], weight.dtype, eps))
            self.register_buffer("_v", random_unit(matrix.shape[1], weight.dtype, eps))
            self._iterate(matrix, 15)

    def _iterate(self, matrix, number):
        for _ in range(number):
            power_step(matrix.array, self._u, self._v, self.eps, u_first=True)

    def forward(self, weight):
        if weight.ndim == 1:
            return weight / (weight * weight).sum().sqrt().clamp(min=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        return divided_by_sigma(weight, matrix, self._u, self._v)

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divide a weight by its largest singular value, estimated by power iterations in training; return the module.

    Parameters
    ----------
    module : Module
    name : str, default "weight"
    n_power_iterations : int, default 1
        For each use of the weight.
    eps : float, default 1e-12
    dim : int, optional
        The dimension of the outputs: 1 for transposed convolutions, else 0.

    Raises
    ------
    ValueError
        There is no such tensor, or `n_power_iterations` is below 1.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter or buffer {name!r}")
    parametrization = _SpectralNorm(weight, n_power_iterations, output_dim(module, dim), eps)
    return register_parametrization(module, name, parametrization)
