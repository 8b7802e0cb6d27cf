"""The public functions that sort and select: they validate arguments, allocate and call the loops."""

import math

import numpy as np
from numba import boolean, int64
from numba.types import BaseTuple, NamedUniTuple

from kernels import _checks
from kernels._indices import within
from kernels._jit import Compiled
from kernels._threads import threads_for
from kernels.reduction.layout import reduced_shape, split
from kernels.sorting.keys import FORMS, Form, bits_of
from kernels.sorting.selection import kth_loops, topk_loops
from kernels.sorting.slices import Results, Slices, scatter_loops, sort_loops

MOST = 2**32  # elements of a row: a place has 32 bits
COST = 8  # how many of the cheapest elements the sorting of one takes as long as

FORM_TYPE, _SLICES = NamedUniTuple(int64, 2, Form), NamedUniTuple(int64, 2, Slices)


def _results(kind):
    return BaseTuple.from_types((kind[::1], int64[::1]), Results)


_sort = Compiled(sort_loops, lambda kind: (kind[::1], FORM_TYPE, boolean, _results(kind), _SLICES, int64))
_topk = Compiled(topk_loops, lambda kind: (kind[::1], FORM_TYPE, boolean, _results(kind), int64, _SLICES, int64))
_kth = Compiled(kth_loops, lambda kind: (kind[::1], FORM_TYPE, _results(kind), int64, _SLICES, int64))


def sort(x, dim=-1, descending=False, stable=False):
    """Elements in ascending or descending order along `dim`, and their indices.

    Parameters
    ----------
    x : array, float32 or float64, integer or bool
    dim : int, default -1
    descending : bool, default False
    stable : bool, default False
        Equal elements keep their order in any case.

    Returns
    -------
    values : ndarray
        Of the shape and dtype of `x`. NaN counts as larger than everything, and -0.0 as equal to 0.0.
    indices : ndarray of int64
        Of the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` holds neither real numbers nor bools; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import sort
    >>> sort(np.array([3.0, 1.0, 2.0]))
    (array([1., 2., 3.]), array([1, 2, 0]))
    """
    return _sorted("sort", x, dim, descending)


def argsort(x, dim=-1, descending=False, stable=False):
    """Indices of the elements in ascending or descending order along `dim`.

    Parameters
    ----------
    x : array, float32 or float64, integer or bool
    dim : int, default -1
    descending : bool, default False
    stable : bool, default False
        Equal elements keep their order in any case.

    Returns
    -------
    ndarray of int64
        Of the shape of `x`. NaN counts as larger than everything, and -0.0 as equal to 0.0.

    Raises
    ------
    TypeError, ValueError
        If `x` holds neither real numbers nor bools; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import argsort
    >>> argsort(np.array([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    return _sorted("argsort", x, dim, descending)[1]


def topk(x, k, dim=-1, largest=True, sorted=True):
    """The `k` largest or smallest elements along `dim`, and their indices.

    Parameters
    ----------
    x : array, float32 or float64, or integer
    k : int
        From 0 to the length of `dim`.
    dim : int, default -1
    largest : bool, default True
        Else the smallest.
    sorted : bool, default True
        The elements are in order, the best first, in any case.

    Returns
    -------
    values : ndarray
        Of the dtype of `x`, and its shape but for `dim`, which has length `k`. NaN counts as larger than everything; of
        equal elements the first ones are taken.
    indices : ndarray of int64
        Of the shape of the values.

    Raises
    ------
    TypeError, ValueError
        If `x` does not hold real numbers; if `dim` is not an axis of `x`, or `k` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import topk
    >>> topk(np.array([3.0, 1.0, 4.0]), 2)
    (array([4., 3.]), array([2, 0]))
    """
    dtype, x, axis, slices = _sliced("topk", x, dim)
    _in_range("topk", k, 0 if x.ndim else 1, slices.n, dim)
    shape = (*x.shape[:axis], int(k), *x.shape[axis + 1 :]) if x.ndim else ()
    values, indices = _checks.new(shape, x.dtype), _checks.new(shape, _checks.INT64)
    if indices.size:
        results, threads = _flat_results(values, indices), threads_for(COST * x.size)
        _topk[results.values.dtype](bits_of(x), FORMS[x.dtype], bool(largest), results, k, slices, threads)
    return _as(dtype, values), indices


def kthvalue(x, k, dim=-1, keepdim=False):
    """The k-th smallest element along `dim`, and its index.

    Parameters
    ----------
    x : array, float32 or float64, or integer
    k : int
        From 1 to the length of `dim`.
    dim : int, default -1
    keepdim : bool, default False
        Whether the reduced axis stays, with length 1.

    Returns
    -------
    values : ndarray
        Of the dtype of `x`. NaN counts as larger than everything.
    indices : ndarray of int64
        Of equal elements the k-th in a stable order has the index.

    Raises
    ------
    TypeError, ValueError
        If `x` does not hold real numbers; if `dim` is not an axis of `x`, or `k` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import kthvalue
    >>> kthvalue(np.array([3.0, 1.0, 4.0]), 2)
    (array(3.), array(0))
    """
    sliced = _sliced("kthvalue", x, dim)
    _in_range("kthvalue", k, 1, sliced[-1].n, dim)
    return _kth_of(*sliced, k - 1, keepdim)


def median(x, dim=None, keepdim=False):
    """The median of everything, or the medians along `dim` and their indices: of two middle elements the smaller.

    Parameters
    ----------
    x : array, float32 or float64, or integer
    dim : int or None
    keepdim : bool, default False
        Whether the reduced axis stays, with length 1.

    Returns
    -------
    ndarray, or (ndarray, ndarray of int64)
        Without `dim` the value alone, NaN for no elements. Where there is a NaN the first one is the median.

    Raises
    ------
    TypeError, ValueError
        If `x` does not hold real numbers; if `dim` is not an axis of `x`, or has length 0; without `dim`, if `x` has no
        elements and holds integers.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import median
    >>> median(np.array([[3.0, 1.0, 4.0, 2.0]]), 1)
    (array([2.]), array([3]))
    """
    if dim is None:
        x = _checks.as_array("median", "x", x)
        if not x.size and x.dtype.kind == "f":
            return np.full((1,) if keepdim else (), np.nan, _checks.numbers("median", "x", x).dtype)
    sliced = _sliced("median", x if dim is not None else x.reshape(-1), 0 if dim is None else dim)
    if not sliced[-1].n:
        raise ValueError(f"median: nothing to choose from: x is {np.shape(x)}, dim is {dim}")
    found = _kth_of(*sliced, -1, keepdim)
    return found if dim is not None else found[0]


def sort_backward(dy, indices, shape, dim=-1):
    """Gradient of `sort`, `topk`, `kthvalue` and `median` with respect to their input: `dy` at the indices, else 0.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the values.
    indices : array of int64 or int32
        Those that the forward returned, of the shape of `dy`.
    shape : tuple of int
        Shape of the forward's input.
    dim : int, default -1
        As given to the forward. In `dy` this axis has any length, or is missing (`kthvalue` and `median` without
        `keepdim`).

    Returns
    -------
    ndarray
        Of shape `shape` and the dtype of `dy`. What goes to equal indices is added up.

    Raises
    ------
    TypeError, ValueError
        If an array has an unsuitable dtype, `dim` is not an axis of `shape`, or the shape of `dy` or `indices` does not
        fit.
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import sort_backward
    >>> sort_backward(np.array([1.0, 2.0]), np.array([2, 0]), (3,))
    array([2., 0., 1.])
    """
    operation, shape = "sort_backward", tuple(shape)
    dy, indices = _checks.floats(operation, "dy", dy), _checks.indices(operation, "indices", indices)
    _checks.same_shape(operation, dy=dy, indices=indices)
    axis = _checks.axis(operation, dim, len(shape))
    n, around, inner = (shape or (1,))[axis], (*shape[:axis], *shape[axis + 1 :]), math.prod(shape[axis + 1 :])
    reduced = dy.ndim < len(shape)
    if dy.ndim < len(shape) - 1 or dy.ndim > len(shape):
        raise ValueError(f"{operation}: dy must have the axes of {shape}, or all but {dim}, got {dy.shape}")
    kept = dy.shape if reduced or not shape else (*dy.shape[:axis], *dy.shape[axis + 1 :])
    if kept != around:
        raise ValueError(f"{operation}: dy must have shape {shape} but for dim {dim}, got {dy.shape}")
    within(operation, "indices", indices, n)
    dx = np.zeros(shape, dy.dtype)
    if dy.size:
        k = 1 if reduced or not shape else dy.shape[axis]
        flat = dy.reshape(-1), indices.reshape(-1), dx.reshape(-1)
        scatter_loops(*flat, k, n, inner, threads_for(dy.size))
    return dx


# --- arguments and results -------------------------------------------------------------------------------------------


def as_numbers(operation, name, x):
    """The dtype of `x` in native byte order, and `x` as float32, float64 or int64."""
    if x.__class__ is np.ndarray and x.dtype in FORMS and x.flags.carray:
        return x.dtype, x
    x = _checks.as_array(operation, name, x)
    return x.dtype.newbyteorder("="), _checks.numbers(operation, name, x)


def _sliced(operation, x, dim):
    """The dtype of `x`, `x` as a kernel takes it, the axis, and the slices along it."""
    dtype, x = as_numbers(operation, "x", x)
    outer, n, inner = split(operation, x, dim)
    if n >= MOST:
        raise ValueError(f"{operation}: dim {dim} must be shorter than {MOST}, its length is {n}")
    return dtype, x, dim if dim >= 0 else dim + max(x.ndim, 1), Slices(n, inner)


def _in_range(operation, k, minimum, maximum, dim):
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool):
        raise TypeError(f"{operation}: k must be an int, got {type(k).__name__}")
    if not minimum <= k <= maximum:
        raise ValueError(f"{operation}: k must be from {minimum} to {maximum}, the length of dim {dim}, got {k}")


def _flat_results(values, indices):
    return Results(bits_of(values), indices if indices.ndim == 1 else indices.reshape(-1))


def _as(dtype, values):
    return values if values.dtype is dtype else values.astype(dtype)


def _sorted(operation, x, dim, descending):
    dtype, x, _, slices = _sliced(operation, x, dim)
    values, indices = _checks.new(x.shape, x.dtype), _checks.new(x.shape, _checks.INT64)
    if x.size:
        results, threads = _flat_results(values, indices), threads_for(COST * x.size)
        _sort[results.values.dtype](bits_of(x), FORMS[x.dtype], bool(descending), results, slices, threads)
    return _as(dtype, values), indices


def _kth_of(dtype, x, axis, slices, k, keepdim):
    """Values and indices of the elements that k others precede; of the medians for k = -1."""
    shape = reduced_shape(x.shape, (axis,), keepdim)
    values, indices = _checks.new(shape, x.dtype), _checks.new(shape, _checks.INT64)
    if indices.size:
        results, threads = _flat_results(values, indices), threads_for(COST * x.size)
        _kth[results.values.dtype](bits_of(x), FORMS[x.dtype], results, k, slices, threads)
    return _as(dtype, values), indices
