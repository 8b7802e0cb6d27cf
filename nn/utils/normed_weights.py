"""What weight and spectral normalisation compute, and their older form: hooks that set the weight at each call.

References: Salimans and Kingma, "Weight normalization" (2016); Miyato et al., "Spectral normalization for generative
adversarial networks" (2018).
"""

import numpy as np

import kernels
from nn import random
from nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nn.grad_mode import no_grad
from nn.parameter import Parameter
from nn.tensor import Tensor


def norm_except_dim(v, dim):
    """The norms of the slices along a dimension, kept as a tensor that broadcasts; with -1, of the whole tensor."""
    dims = None if dim == -1 else tuple(d for d in range(v.ndim) if d != dim)
    square = v * v
    return (square.sum() if dims is None else square.sum(dims, keepdim=True) if dims else square).sqrt()


def scaled_to(v, g, dim):
    """The direction v with norms g."""
    return v * (g / norm_except_dim(v, dim))


def as_matrix(weight, dim):
    """The weight with one row for each index of `dim`."""
    if dim != 0:
        weight = weight.permute(dim, *(d for d in range(weight.ndim) if d != dim))
    return weight.flatten(1)


def output_dim(module, dim):
    """The dimension of the weight's outputs, unless `dim` is given."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def unit(vector, eps):
    """A vector (an array) divided by its norm."""
    return vector / np.maximum(np.sqrt((vector * vector).sum()), vector.dtype.type(eps))


def random_unit(size, dtype, eps):
    """A tensor with a random vector of length 1."""
    return Tensor(unit(random.generator().standard_normal(size).astype(dtype), eps))


def power_step(matrix, u, v, eps, u_first):
    """One iteration towards the first singular vectors u and v, which are overwritten."""
    for is_u in (u_first, not u_first):
        if is_u:
            u.array[...] = unit(kernels.matmul(matrix, v.array), eps)
        else:
            v.array[...] = unit(kernels.matmul(u.array, matrix), eps)
    u.mark_changed()
    v.mark_changed()


def divided_by_sigma(weight, matrix, u, v):
    """The weight over the estimate of its largest singular value, u·Wv; u and v are constants."""
    return weight / (u.detach().clone() * (matrix @ v.detach().clone())).sum()


class _Hook:
    """A forward pre-hook that computes the weight `name` of its module."""

    def __init__(self, name, dim):
        self.name, self.dim = name, dim

    def __call__(self, module, args):
        setattr(module, self.name, self.compute_weight(module))

    @classmethod
    def of(cls, module, name):
        """The key and the hook of this kind and name in a module, or None."""
        hooks = module._forward_pre_hooks.items()
        return next(((key, hook) for key, hook in hooks if isinstance(hook, cls) and hook.name == name), None)

    @classmethod
    def apply(cls, module, name, *options):
        """Register a new hook, once."""
        if cls.of(module, name):
            raise RuntimeError(f"{cls.__name__}: {name} has one already")
        if not isinstance(getattr(module, name, None), Parameter):
            raise ValueError(f"{cls.__name__}: {type(module).__name__} has no parameter {name!r}")
        hook = cls(name, *options)
        hook.begin(module, getattr(module, name))
        module.register_forward_pre_hook(hook)
        return module

    @classmethod
    def removed(cls, module, name):
        """Unregister the hook and leave the weight as a parameter."""
        found = cls.of(module, name)
        if found is None:
            raise ValueError(f"{cls.__name__}: not found for {name!r} in {type(module).__name__}")
        key, hook = found
        weight = hook.end(module)
        del module._forward_pre_hooks[key]
        module.register_parameter(name, Parameter(weight))
        return module


class WeightNorm(_Hook):
    """The hook of `weight_norm`."""

    def compute_weight(self, module):
        """The weight from its norms and its direction."""
        return scaled_to(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    def begin(self, module, weight):
        delattr(module, self.name)
        module.register_parameter(f"{self.name}_g", Parameter(norm_except_dim(weight.detach(), self.dim)))
        module.register_parameter(f"{self.name}_v", Parameter(weight.detach()))
        setattr(module, self.name, self.compute_weight(module))

    def end(self, module):
        weight = self.compute_weight(module).detach()
        for name in (self.name, f"{self.name}_g", f"{self.name}_v"):
            delattr(module, name)
        return weight


class SpectralNorm(_Hook):
    """The hook of `spectral_norm`."""

    def __init__(self, name="weight", n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__(name, dim)
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}")
        self.n_power_iterations, self.eps = n_power_iterations, eps

    def compute_weight(self, module, iterate=None):
        """The weight over its largest singular value, which is estimated better in training mode."""
        weight, u, v = (getattr(module, f"{self.name}_{suffix}") for suffix in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if module.training if iterate is None else iterate:
            for _ in range(self.n_power_iterations):
                power_step(matrix.array, u, v, self.eps, u_first=False)
        return divided_by_sigma(weight, matrix, u, v)

    def begin(self, module, weight):
        rows, columns = as_matrix(weight.detach(), self.dim).shape
        delattr(module, self.name)
        module.register_parameter(f"{self.name}_orig", weight)
        setattr(module, self.name, weight.detach())
        module.register_buffer(f"{self.name}_u", random_unit(rows, weight.dtype, self.eps))
        module.register_buffer(f"{self.name}_v", random_unit(columns, weight.dtype, self.eps))

    def end(self, module):
        with no_grad():
            weight = self.compute_weight(module, iterate=False)
        for name in (self.name, *(f"{self.name}_{suffix}" for suffix in ("orig", "u", "v"))):
            delattr(module, name)
        return weight


def weight_norm(module, name="weight", dim=0):
    """Train norms and directions of a weight: parameters ``weight_g`` and ``weight_v``; return the module.

    Parameters
    ----------
    module : Module
    name : str, default "weight"
    dim : int or None, default 0
        The dimension along which there is a norm for each slice; None for one norm of the whole weight.
    """
    return WeightNorm.apply(module, name, -1 if dim is None else dim)


def remove_weight_norm(module, name="weight"):
    """Undo `weight_norm`: the weight becomes a parameter with its present value; return the module."""
    return WeightNorm.removed(module, name)


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divide a weight by its largest singular value, estimated by power iterations in training; return the module.

    Parameters
    ----------
    module : Module
    name : str, default "weight"
    n_power_iterations : int, default 1
        For each call.
    eps : float, default 1e-12
    dim : int, optional
        The dimension of the outputs: 1 for transposed convolutions, else 0.
    """
    return SpectralNorm.apply(module, name, n_power_iterations, output_dim(module, dim), eps)


def remove_spectral_norm(module, name="weight"):
    """Undo `spectral_norm`: the weight becomes a parameter with its present value; return the module."""
    return SpectralNorm.removed(module, name)
