r"""Reductions, and functions computed from them, in plain NumPy.

    softmax(x)_i = exp(x_i - m) / s                  dx = y (dy - sum_j dy_j y_j)
    log_softmax(x)_i = x_i - m - log s               dx = dy - exp(y) sum_j dy_j
    logsumexp(x) = m + log s                         dx = dy exp(x - y)

with m = max_j x_j and s = sum_j exp(x_j - m), so that no exponential overflows and s >= 1.
"""

import math

import numpy as np

__all__ = [
    "sum",
    "sum_backward",
    "mean",
    "mean_backward",
    "max",
    "max_backward",
    "argmax",
    "softmax",
    "softmax_backward",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "logsumexp_backward",
]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


@ieee
def sum(x, dim=None, keepdim=False):
    """Sum over `dim` (None or (): over all); an empty sum is 0."""
    return np.asarray(np.sum(x, axis=_axes(x.ndim, dim), keepdims=keepdim))


def sum_backward(dy, shape, dim=None, keepdim=False):
    """dx = dy, repeated along the summed dimensions of `shape`."""
    return np.broadcast_to(_keep(dy, len(shape), dim, keepdim), shape).copy()


@ieee
def mean(x, dim=None, keepdim=False):
    """Average over `dim` (None or (): over all); an empty mean is NaN."""
    return np.asarray(sum(x, dim, keepdim) / np.asarray(_count(x.shape, dim), x.dtype))


@ieee
def mean_backward(dy, shape, dim=None, keepdim=False):
    """dx = dy / n, repeated along the n averaged elements."""
    return sum_backward(dy / np.asarray(_count(shape, dim), dy.dtype), shape, dim, keepdim)


def max(x, dim=None, keepdim=False):
    """Return the largest value, or ``(values, indices)`` along `dim`: of NaNs, else of equal maxima, the first."""
    if dim is None:
        return np.asarray(np.max(x, keepdims=keepdim))
    indices = argmax(x, dim, keepdim=True)
    values = np.take_along_axis(x, indices, axis=dim)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def max_backward(dy, x, dim=None, keepdim=False, indices=None):
    """dx = dy at `indices`, else 0; without `dim`, dy is shared evenly among the elements equal to the maximum."""
    if dim is None:
        largest = np.max(x)
        ties = np.isnan(x) if np.isnan(largest) else x == largest
        return np.where(ties, dy / np.asarray(np.count_nonzero(ties), dy.dtype), 0)
    indices = argmax(x, dim, keepdim=True) if indices is None else _keep(indices, x.ndim, dim, keepdim)
    dx = np.zeros_like(x)
    np.put_along_axis(dx, indices, _keep(dy, x.ndim, dim, keepdim), axis=dim)
    return dx


def argmax(x, dim=None, keepdim=False):
    """Return the int64 index of the first largest element, in the flattened array if `dim` is None."""
    return np.asarray(np.argmax(x, axis=dim, keepdims=keepdim), dtype=np.int64)


@ieee
def softmax(x, dim=-1):
    """y = exp(x) / sum exp(x) along `dim`; NaN for a slice in which all elements are -inf."""
    e = np.exp(x - _max_over(x, dim))
    return np.asarray(e / e.sum(axis=dim, keepdims=True))


@ieee
def softmax_backward(dy, y, dim=-1):
    """dx = y (dy - sum dy y)."""
    return np.asarray(y * (dy - np.sum(dy * y, axis=dim, keepdims=True)))


@ieee
def log_softmax(x, dim=-1):
    """y = x - log sum exp(x) along `dim`."""
    shifted = x - _max_over(x, dim)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True)))


@ieee
def log_softmax_backward(dy, y, dim=-1):
    """dx = dy - exp(y) sum dy."""
    return np.asarray(dy - np.exp(y) * np.sum(dy, axis=dim, keepdims=True))


@ieee
def logsumexp(x, dim, keepdim=False):
    """y = log sum exp(x) over `dim` (None or (): over all); -inf for no elements."""
    axes = _axes(x.ndim, dim)
    peak = _max_over(x, axes)
    peak = np.where(np.isinf(peak), 0, peak)  # inf - inf would be NaN; exp and log handle infinities
    y = np.log(np.sum(np.exp(x - peak), axis=axes, keepdims=True)) + peak
    return np.asarray(y if keepdim else y.squeeze(axes))


@ieee
def logsumexp_backward(dy, x, y, dim, keepdim=False):
    """dx = dy softmax(x): y is rounded, so exp(x - y) is divided by its sum."""
    p = np.exp(x - _keep(y, x.ndim, dim, keepdim))
    total = p.sum(axis=_axes(x.ndim, dim), keepdims=True)
    return np.asarray(_keep(dy, x.ndim, dim, keepdim) * p / np.where(np.isfinite(total), total, 1))


def _max_over(x, axes):
    """The maximum with its dimensions kept; -inf for no elements."""
    return np.max(x, axis=axes, keepdims=True, initial=-np.inf)


def _axes(ndim, dim):
    """The reduced axes as a tuple."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    return dim if isinstance(dim, tuple) else (dim,)


def _count(shape, dim):
    """The number of elements reduced to each result."""
    return math.prod(shape[axis] for axis in _axes(len(shape), dim))


def _keep(y, ndim, dim, keepdim):
    """Restore the reduced dimensions of an `ndim`-dimensional array, with length 1."""
    return y if keepdim else np.expand_dims(y, _axes(ndim, dim))
