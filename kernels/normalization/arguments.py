"""What the arguments of the normalisations have in common."""

import functools
import math

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels.machine import cache_bytes
from kernels.normalization.affine import NOTHING

LEAST = {None: NOTHING, "relu": 0.0}  # activation -> least value of the result
STREAMED = 2048  # bytes a contiguous piece has at least, for its whole cache lines to outweigh the two ends


@functools.lru_cache(16)
def _filled(size, dtype, value):
    array = np.full(size, value, dtype)
    array.flags.writeable = False
    return _checks.contiguous(array)


def parameter(operation, name, array, shape, like, missing):
    """A weight or bias of `shape`, flat; where it is None, an array of the value `missing`, which must not change."""
    if array is None:
        return _filled(math.prod(shape), like.dtype, missing)
    array = floats(operation, name, array)
    if array.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {array.shape}")
    if array.dtype is not like.dtype:
        _checks.same_dtype(operation, x=like, **{name: array})
    return array if array.ndim == 1 else array.reshape(-1)


def matching(operation, name, array, shape, like):
    """An array that must be there, of `shape` and of the dtype of x."""
    array = floats(operation, name, array)
    if array.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {array.shape}")
    if array.dtype is not like.dtype:
        _checks.same_dtype(operation, x=like, **{name: array})
    return array


def gradient(operation, dy, x):
    """dy and x, seen to match."""
    x = floats(operation, "x", x)
    return matching(operation, "dy", dy, x.shape, x), x


def channels(operation, x, least=2):
    """(N, C, L) of an array of shape (N, C, ...), L being the product of what follows."""
    shape = x.shape
    if len(shape) < least:
        raise ValueError(f"{operation}: x must have at least {least} dimensions, (N, C, ...), got shape {shape}")
    return shape[0], shape[1], math.prod(shape[2:])


def past_caches(result, arrays, piece):
    """Whether a pass over `arrays` arrays of the result's size should store around the caches: where none of them could
    keep it (other cores use the last one, too), and its contiguous pieces are long.
    """
    return 2 * arrays * result.nbytes > cache_bytes(3) and piece * result.itemsize >= STREAMED


def wanted(gradients, needs):
    """The gradients that are needed, None for the others."""
    return tuple(each if need else None for each, need in zip(gradients, needs, strict=True))
