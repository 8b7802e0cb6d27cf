"""The random number generator of `nn`: one NumPy Generator, which `manual_seed` seeds."""

import numpy as np

from nn.tensor import Tensor

_generator = np.random.default_rng()


def manual_seed(seed):
    """Seed every random draw of `nn`: initial weights, dropout, shuffling.

    Parameters
    ----------
    seed : int

    Returns
    -------
    numpy.random.Generator
        The new generator.

    Examples
    --------
    >>> import nn
    >>> draws = []
    >>> for _ in range(2):
    ...     _ = nn.manual_seed(0)
    ...     draws.append(nn.rand(3).tolist())
    >>> draws[0] == draws[1]
    True
    """
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def generator():
    """The generator that `nn` draws from, a ``numpy.random.Generator``."""
    return _generator


def rand(*size, dtype=np.float32, requires_grad=False):
    """A tensor of the given size, drawn uniformly from [0, 1)."""
    return Tensor(_generator.random(_shape(size), dtype=dtype), requires_grad=requires_grad)


def randn(*size, dtype=np.float32, requires_grad=False):
    """A tensor of the given size, drawn from the normal distribution with mean 0 and variance 1."""
    return Tensor(_generator.standard_normal(_shape(size), dtype=dtype), requires_grad=requires_grad)


def _shape(size):
    return size[0] if len(size) == 1 and not isinstance(size[0], int) else size
