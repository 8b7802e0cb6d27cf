"""Random matrices: orthogonal and sparse."""

import math

import numpy as np

from nn import random
from nn.init.draws import normal_
from nn.init.filling import check_matrix, fill, normal
from nn.operations.arguments import scalar_of

__all__ = ["orthogonal_", "sparse_"]


def orthogonal_(tensor, gain: float = 1, generator=None):
    """Fill with a random matrix of orthonormal rows or columns, times `gain`; dimensions after the first are flattened.

    Parameters
    ----------
    tensor : Tensor
        At least 2-D.
    gain : float, default 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` has fewer than 2 dimensions.

    Reference: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks" (2014).
    """
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"orthogonal_: needs at least 2 dimensions, the tensor is {shape}")
    if 0 in shape:
        return tensor
    rows, columns, gain = shape[0], math.prod(shape[1:]), scalar_of("orthogonal_", "gain", gain)
    q, r = np.linalg.qr(normal("orthogonal_", (max(rows, columns), min(rows, columns)), np.float64, generator))
    q *= np.sign(np.diag(r))  # without this, q would not be uniformly distributed (Mezzadri 2007)
    return fill(tensor, gain * (q if rows >= columns else q.T).reshape(shape))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fill normally, then set a fraction of each column to zero.

    Parameters
    ----------
    tensor : Tensor
        (rows, columns).
    sparsity : float
        The fraction of zeros in each column, rounded up to whole rows.
    std : float, default 0.01
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` is not 2-D.

    Reference: Martens, "Deep learning via Hessian-free optimization" (2010), section 5.
    """
    check_matrix("sparse_", tensor)
    rows, columns = tensor.shape
    normal_(tensor, 0, scalar_of("sparse_", "std", std), generator)
    order = random.drawer("sparse_", generator).permuted(np.tile(np.arange(rows), (columns, 1)), axis=1)
    tensor.array[order[:, : math.ceil(sparsity * rows)].T, np.arange(columns)] = 0
    return tensor
