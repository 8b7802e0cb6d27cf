"""Sorting, selecting and searching in plain NumPy. NaN is the largest value; -0.0 equals 0.0; equal elements keep their
order.

    sort, topk, kthvalue, median   values and indices along `dim`        dx[indices] = dy, else 0
    searchsorted, bucketize        how many elements of a sorted row are smaller than a value (`right`: or equal)
    unique                         the distinct values, in order; each NaN is distinct
"""

import numpy as np

__all__ = [
    "sort",
    "argsort",
    "topk",
    "kthvalue",
    "median",
    "sort_backward",
    "searchsorted",
    "bucketize",
    "unique",
]


def argsort(x, dim=-1, descending=False, stable=False):
    """Indices of the elements in ascending or descending order."""
    x = np.moveaxis(np.atleast_1d(x), dim, -1)
    if descending:  # stable: ascending in reversed order, reversed
        order = x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, stable=True)[..., ::-1]
    else:
        order = np.argsort(x, axis=-1, stable=True)
    return np.moveaxis(order, -1, dim).copy()


def sort(x, dim=-1, descending=False, stable=False):
    """Elements in ascending or descending order, and their indices."""
    indices = argsort(x, dim, descending)
    values = np.take_along_axis(np.atleast_1d(x), indices, dim)
    return values.reshape(x.shape), indices.reshape(x.shape)


def topk(x, k, dim=-1, largest=True, sorted=True):
    """The `k` largest or smallest elements, in order, and their indices."""
    values, indices = sort(np.atleast_1d(x), dim, largest)
    first = np.arange(k)
    values, indices = np.take(values, first, dim), np.take(indices, first, dim)
    return (values, indices) if x.ndim else (values.reshape(()), indices.reshape(()))


def kthvalue(x, k, dim=-1, keepdim=False):
    """The k-th smallest element, counted from 1, and its index."""
    return _picked(x, [each.take([k - 1], dim) for each in sort(np.atleast_1d(x), dim)], dim, keepdim)


def median(x, dim=None, keepdim=False):
    """The middle element, of two the smaller, and its index; the first NaN, if there is one."""
    if dim is None:
        return median(x.ravel(), 0)[0] if x.size else np.asarray(np.nan, x.dtype)
    rows = np.atleast_1d(x)
    n = rows.shape[dim]
    indices = np.take(argsort(rows, dim), [(n - 1) // 2], dim)
    nan = np.isnan(rows)
    indices = np.where(nan.any(dim, keepdims=True), nan.argmax(dim, keepdims=True), indices)
    return _picked(x, [np.take_along_axis(rows, indices, dim), indices], dim, keepdim)


def sort_backward(dy, indices, shape, dim=-1):
    """dx = dy at `indices`, else 0."""
    dx = np.zeros(shape or (1,), dy.dtype)
    kept = list(dx.shape)
    kept[dim] = dy.shape[dim] if dy.ndim == dx.ndim else 1
    np.put_along_axis(dx, indices.reshape(kept), dy.reshape(kept), dim)
    return dx.reshape(shape)


def searchsorted(sorted_sequence, values, right=False):
    """Where each of `values` would be inserted: before the elements that equal it, or with `right` after them."""
    side = "right" if right else "left"
    if sorted_sequence.ndim == 1:
        return np.asarray(np.searchsorted(sorted_sequence, values, side))
    found = np.empty(values.shape, np.int64)
    for row in np.ndindex(values.shape[:-1]):
        found[row] = np.searchsorted(sorted_sequence[row], values[row], side)
    return found


def bucketize(x, boundaries, right=False):
    """`searchsorted` with the arguments in the other order."""
    return searchsorted(boundaries, x, right)


def unique(x, sorted=True, return_inverse=False, return_counts=False):
    """The distinct values in ascending order; for each element the place of its value; how often each occurs."""
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, equal_nan=False)
    found = [values] + [inverse.reshape(x.shape)] * return_inverse + [counts] * return_counts
    return tuple(found) if len(found) > 1 else values


def _picked(x, found, dim, keepdim):
    values, indices = (each if keepdim else each.squeeze(dim) for each in found)
    return (values, indices) if x.ndim else (values.reshape(()), indices.reshape(()))
