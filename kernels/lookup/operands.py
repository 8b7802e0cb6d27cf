"""Arguments of the functions that take elements along a dimension, or put them there: checked, cut, and flattened."""

import math
import numbers

import numpy as np

from kernels import _checks

DTYPES = tuple(map(np.dtype, (np.float32, np.float64, np.int64, np.int32, np.bool_)))
# What only moves elements takes them as integers of their size, so that it is compiled once for all of one size.
BITS = {1: np.dtype(np.uint8), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def array(operation, name, x):
    """`x` as a C-contiguous array of one of the DTYPES."""
    if x.__class__ is np.ndarray and x.flags.carray and x.dtype in DTYPES:
        return x
    x = _checks.as_array(operation, name, x)
    if x.dtype not in DTYPES:
        raise TypeError(f"{operation}: {name} must be float32, float64, int64, int32 or bool, got {x.dtype}")
    return _checks.contiguous(x)


def at_least_1d(x):
    """A 0-d array as one of one element."""
    return x if x.ndim else x.reshape(1)


def bits(x):
    """The flat elements as integers of their size."""
    return np.ndarray(x.size, BITS[x.itemsize], x)


def flat(x):
    """The flat elements as what they are computed with: bool as uint8."""
    return x.reshape(-1).view(np.uint8) if x.dtype == np.bool_ else x.reshape(-1)


def sizes(shape, dim, m):
    """The Sizes of an array of `shape` whose dimension `dim` is indexed by m indices, as a tuple."""
    return math.prod(shape[:dim]), shape[dim], m, math.prod(shape[dim + 1 :])


def covered(operation, shape, dim, index):
    """The slices of an array of `shape` that the index covers, or None where these are the whole array; ValueError
    unless it has as many dimensions and is not longer in any but `dim`."""
    if index.ndim != len(shape):
        raise ValueError(f"{operation}: index must have {len(shape)} dimensions as x, got shape {index.shape}")
    if index.shape[:dim] == shape[:dim] and index.shape[dim + 1 :] == shape[dim + 1 :]:
        return None
    if any(size > limit for axis, (size, limit) in enumerate(zip(index.shape, shape, strict=True)) if axis != dim):
        raise ValueError(
            f"{operation}: index must not be larger than x but in dim {dim}: index is {index.shape}, x {shape}"
        )
    return tuple(slice(None if axis == dim else size) for axis, size in enumerate(index.shape))


def vector(operation, index):
    """A one-dimensional index, whose contents are still to be checked."""
    index = at_least_1d(_checks.indices(operation, "index", index))
    if index.ndim > 1:
        raise ValueError(f"{operation}: index must have 1 dimension, got shape {index.shape}")
    return index


def source(operation, src, x, index):
    """An array or a number as an array of the dtype of `x`, cut to the shape of the index, or of one element."""
    if isinstance(src, (numbers.Number, np.bool_)):
        return np.full(1, src, x.dtype)
    src = at_least_1d(array(operation, "src", src))
    if src.dtype != x.dtype:
        _checks.same_dtype(operation, x=x, src=src)
    if src.shape == index.shape:
        return src
    if src.ndim != index.ndim or any(size > limit for size, limit in zip(index.shape, src.shape, strict=True)):
        raise ValueError(f"{operation}: index must not be larger than src: index is {index.shape}, src {src.shape}")
    return np.ascontiguousarray(src[tuple(map(slice, index.shape))])


def target(operation, out, x, **others):
    """The array that receives the result, and from where its first values are copied: nowhere if it is `x` itself."""
    result = _checks.output(operation, out, x.shape, x.dtype)
    if out is None:
        return result, x.reshape(-1)
    _checks.no_overlap(operation, out, **others)
    if out.ctypes.data == x.ctypes.data:
        return result, x.reshape(-1)[:0]
    _checks.no_overlap(operation, out, x=x)
    return result, x.reshape(-1)
