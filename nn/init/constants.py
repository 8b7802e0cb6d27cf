"""Initial weights that are not random."""

import numpy as np

from nn.init.filling import check_matrix, fill
from nn.operations.arguments import int_of

__all__ = ["constant_", "dirac_", "eye_", "ones_", "zeros_"]


def constant_(tensor, val):
    """Fill with one value.

    Parameters
    ----------
    tensor : Tensor
    val : float

    Returns
    -------
    Tensor
        `tensor`.
    """
    return fill(tensor, val)


def ones_(tensor):
    """Fill with ones.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    Tensor
        `tensor`.
    """
    return constant_(tensor, 1)


def zeros_(tensor):
    """Fill with zeros.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    Tensor
        `tensor`.
    """
    return constant_(tensor, 0)


def eye_(tensor):
    """Fill a matrix with the identity: a linear layer preserves as many inputs as possible.

    Parameters
    ----------
    tensor : Tensor
        (rows, columns).

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` is not 2-D.
    """
    check_matrix("eye_", tensor)
    return fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor, groups=1):
    """Fill a convolution's weight with the Dirac delta: it preserves as many channels of each group as possible.

    Parameters
    ----------
    tensor : Tensor
        (out, in / groups, *kernel) with 1, 2 or 3 kernel dimensions.
    groups : int, default 1

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        Another number of dimensions, or `groups` does not divide the output channels.
    """
    shape, groups = tensor.shape, int_of("dirac_", "groups", groups)
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac_: needs 3, 4 or 5 dimensions, the tensor is {shape}")
    if shape[0] % groups:
        raise ValueError(f"dirac_: groups must divide the output channels, got {groups} groups and {shape[0]} channels")
    zeros_(tensor)
    centre = tuple(size // 2 for size in shape[2:])
    out_channels = shape[0] // groups
    for group in range(groups):
        for channel in range(min(out_channels, shape[1])):
            tensor.array[(group * out_channels + channel, channel, *centre)] = 1
    return tensor
