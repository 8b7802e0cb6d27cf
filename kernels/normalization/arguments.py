"""What the arguments of the normalisations have in common."""

import functools
import math

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels.machine import cache_bytes
from kernels.normalization.scaling import NO_MINIMUM

MINIMUM = {None: NO_MINIMUM, "relu": 0.0}  # activation -> lower bound on the result
MIN_STREAMED = 2048  # bytes of a contiguous run, from which on its whole cache lines outweigh the two ends


@functools.lru_cache(16)
def _filled(size, dtype, value):
    array = np.full(size, value, dtype)
    array.flags.writeable = False
    return _checks.contiguous(array)


def parameter(operation, name, array, shape, like, missing):
    """Validate and return a weight or bias of `shape`, flat; for None, a read-only array of the value `missing`."""
    if array is None:
        return _filled(math.prod(shape), like.dtype, missing)
    array = floats(operation, name, array)
    if array.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {array.shape}")
    if array.dtype is not like.dtype:
        _checks.same_dtype(operation, x=like, **{name: array})
    return array if array.ndim == 1 else array.reshape(-1)


def matching(operation, name, array, shape, like):
    """Validate and return an array of `shape` and of the dtype of x."""
    array = floats(operation, name, array)
    if array.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {array.shape}")
    if array.dtype is not like.dtype:
        _checks.same_dtype(operation, x=like, **{name: array})
    return array


def gradient(operation, dy, x):
    """Validate and return dy and x, which have one shape and dtype."""
    x = floats(operation, "x", x)
    return matching(operation, "dy", dy, x.shape, x), x


def channels(operation, x, min_dims=2):
    """(N, C, L) of an array of shape (N, C, ...), L being the product of what follows."""
    shape = x.shape
    if len(shape) < min_dims:
        raise ValueError(f"{operation}: x must have at least {min_dims} dimensions, (N, C, ...), got shape {shape}")
    return shape[0], shape[1], math.prod(shape[2:])


def use_streaming(result, arrays, run):
    """Whether a pass over `arrays` arrays of the result's size should use streaming stores, which bypass the caches:
    if the arrays exceed two thirds of the last cache (the rest is left to its other users), and contiguous runs of
    `run` elements are long. For a result that stays in the cache plain stores are faster.
    """
    return 3 * arrays * result.nbytes > 2 * cache_bytes(3) and run * result.itemsize >= MIN_STREAMED


def wanted(gradients, needs):
    """The gradients that are needed, and None for the others."""
    return tuple(each if need else None for each, need in zip(gradients, needs, strict=True))
