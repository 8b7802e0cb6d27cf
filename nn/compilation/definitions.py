"""Operations that no kernel computes, by others that one does: with the same results, to the last bit."""

from typing import Any

import numpy as np

from nn.operations import arithmetic, comparison, conversion, creation, elementwise, extremes, reductions, shapes
from nn.operations.deviations import _corrected


def _dims(x, dim):
    dims = () if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    return tuple(d % x.ndim for d in dims) or tuple(range(x.ndim))


def _without(y, dims, keepdim):
    shape = tuple(n for d, n in enumerate(y.shape) if d not in dims)
    return y if keepdim else shapes.reshape(y, shape)


def _deviation(name, x, dim, unbiased, keepdim, correction):
    """The differences from the mean, the dimensions, and the number to divide by."""
    dim, correction = _corrected(name, dim, unbiased, keepdim, correction)
    dims = _dims(x, dim)
    count = int(np.prod([x.shape[d] for d in dims]))
    return arithmetic.sub(x, reductions.mean(x, dims, True)), dims, float(max(count - (correction or 0), 0))


def var(input, dim=None, unbiased=None, keepdim=False, *, correction: Any = 1):
    """`nn.var`."""
    difference, dims, divisor = _deviation("var", input, dim, unbiased, keepdim, correction)
    total = reductions.sum(arithmetic.mul(difference, difference), dims, True)
    return _without(arithmetic.div(total, divisor), dims, keepdim)


def std(input, dim=None, unbiased=None, keepdim=False, *, correction: Any = 1):
    """`nn.std`."""
    difference, dims, divisor = _deviation("std", input, dim, unbiased, keepdim, correction)
    largest = extremes.amax(arithmetic.abs(difference), dims, True)
    usual = comparison.logical_and(comparison.gt(largest, 0), comparison.lt(largest, np.inf))
    scale = elementwise.where(usual, largest, 1)
    relative = arithmetic.div(difference, scale)
    total = reductions.sum(arithmetic.mul(relative, relative), dims, True)
    root = elementwise.sqrt(arithmetic.div(total, divisor))
    return _without(arithmetic.mul(scale, root), dims, keepdim)


def norm(input, p: Any = "fro", dim=None, keepdim=False, *, dtype=None):
    """`nn.norm` for the lengths in use, or None."""
    if p not in ("fro", None, 1, 2, np.inf) or dtype is not None:
        return None
    dims = _dims(input, dim)
    if p == 1:
        return reductions.sum(arithmetic.abs(input), dims, keepdim)
    if p == np.inf:
        return extremes.amax(arithmetic.abs(input), dims, keepdim)
    total = reductions.sum(arithmetic.mul(input, input), dims, True)
    return _without(elementwise.sqrt(total), dims, keepdim)


def one_hot(tensor, num_classes=-1):
    """`nn.functional.one_hot` of a number of classes, or None."""
    if num_classes < 1:
        return None
    classes = creation.arange(num_classes)
    return conversion.long(comparison.eq(shapes.unsqueeze(tensor, -1), classes))


DEFINITIONS = {"var": var, "std": std, "norm": norm, "one_hot": one_hot}
