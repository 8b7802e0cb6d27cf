"""Sorting in jitted code; `njit_searches`: the functions that search."""

import numpy as np
from numba import types

from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, same_shape, within
from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._njit_sizes import axis_of, product, replaced, split, threads_for
from kernels.reduction._njit_layout import reduced_shape
from kernels.scan._njit_numbers import as_given, numbers
from kernels.sorting import functions, njit_searches  # noqa: F401 (its entries)
from kernels.sorting._njit_keys import bits_of, form_of
from kernels.sorting.functions import COST, MOST
from kernels.sorting.slices import Results, Slices, scatter_loops

# --- arguments and results -------------------------------------------------------------------------------------------


@_check
def _sliced(operation, x, dim):
    """The axis, and the slices along it."""
    message = f"{text_of('operation', operation)}: dim {{}} must be shorter than {MOST}, its length is {{}}"

    def code(operation, x, dim):
        _, n, inner = split(operation, x, dim)
        if n >= MOST:
            raise Value(message, dim, n)
        return axis_of(operation, dim, x.ndim), Slices(n, inner)

    return code


@_check
def _in_range(operation, k, lowest, slices, dim):
    """`functions._in_range`: k as an integer."""
    operation = text_of("operation", operation)
    if not isinstance(types.unliteral(k), types.Integer):
        message = f"{operation}: k must be an int, got {type_name(k)}"

        def refused(operation, k, lowest, slices, dim):
            if failed():
                raise TypeError(message)
            return np.int64(0)

        return refused
    message = f"{operation}: k must be from {{}} to {{}}, the length of dim {{}}, got {{}}"

    def code(operation, k, lowest, slices, dim):
        if k < lowest or k > slices.n:
            raise Value(message, lowest, slices.n, dim, k)
        return np.int64(k)

    return code


# --- sort and topk ---------------------------------------------------------------------------------------------------

sort_loops, topk_loops = by_address(functions._sort), by_address(functions._topk)
kth_loops = by_address(functions._kth)


@_check
def _sorted(operation, x, dim, descending):
    """`functions._sorted`"""

    def code(operation, x, dim, descending):
        number = numbers(operation, "x", x)
        _, slices = _sliced(operation, number, dim)
        values, places = np.empty(number.shape, number.dtype), np.empty(number.shape, np.int64)
        if number.size:
            results, threads = Results(bits_of(values), places.reshape(-1)), threads_for(COST * number.size, 0)
            sort_loops(bits_of(number), form_of(number), bool(descending), results, slices, threads)
        return as_given(values, x), places

    return code


@in_njit(functions.sort)
def _sort(x, dim, descending, stable):
    return _sorted("sort", x, dim, descending)


@in_njit(functions.argsort)
def _argsort(x, dim, descending, stable):
    return _sorted("argsort", x, dim, descending)[1]


@_check
def _with_length(shape, axis, k):
    """`shape` with another length along the axis, if it has one."""
    return (lambda shape, axis, k: replaced(shape, axis, k)) if len(shape) else (lambda shape, axis, k: ())


@in_njit(functions.topk)
def _topk(x, k, dim, largest, sorted):
    number = numbers("topk", "x", x)
    axis, slices = _sliced("topk", number, dim)
    k = _in_range("topk", k, 0 if number.ndim else 1, slices, dim)
    shape = _with_length(number.shape, axis, k)
    values, places = np.empty(shape, number.dtype), np.empty(shape, np.int64)
    if places.size:
        results, threads = Results(bits_of(values), places.reshape(-1)), threads_for(COST * number.size, 0)
        topk_loops(bits_of(number), form_of(number), bool(largest), results, k, slices, threads)
    return as_given(values, x), places


# --- the k-th smallest -----------------------------------------------------------------------------------------------


@_check
def _reduced(shape, axis, keepdim):
    """`shape` without the axis, or with length 1 there."""
    if not len(shape):
        return lambda shape, axis, keepdim: shape
    return lambda shape, axis, keepdim: reduced_shape(shape, (axis,), keepdim)


@_check
def _kth_of(x, axis, slices, k, keepdim):
    """`functions._kth_of`, for numbers."""

    def code(x, axis, slices, k, keepdim):
        shape = _reduced(x.shape, axis, keepdim)
        values, places = np.empty(shape, x.dtype), np.empty(shape, np.int64)
        if places.size:
            results, threads = Results(bits_of(values), places.reshape(-1)), threads_for(COST * x.size, 0)
            kth_loops(bits_of(x), form_of(x), results, k, slices, threads)
        return values, places

    return code


@in_njit(functions.kthvalue, literal=("keepdim",))
def _kthvalue(x, k, dim, keepdim):
    number = numbers("kthvalue", "x", x)
    axis, slices = _sliced("kthvalue", number, dim)
    k = _in_range("kthvalue", k, 1, slices, dim)
    values, places = _kth_of(number, axis, slices, k - 1, keepdim)
    return as_given(values, x), places


@_check
def _median_of_all(x, keepdim):
    """The median of all numbers x."""
    empty, whole = "median: nothing to choose from: x is {}, dim is None", isinstance(x.dtype, types.Integer)

    def code(x, keepdim):
        row = x.reshape(-1)
        if row.size == 0:
            if whole:
                raise Value(empty, x.shape)
            return np.full(_reduced(row.shape, 0, keepdim), np.nan, row.dtype)
        axis, slices = _sliced("median", row, 0)
        return _kth_of(row, axis, slices, -1, keepdim)[0]

    return code


@_check
def _medians(number, x, dim, keepdim):
    """What `median` returns for the numbers of `x`."""
    if isinstance(dim, types.NoneType):
        return lambda number, x, dim, keepdim: as_given(_median_of_all(number, keepdim), x)

    def code(number, x, dim, keepdim):
        axis, slices = _sliced("median", number, dim)
        if slices.n == 0:
            raise Value("median: nothing to choose from: x is {}, dim is {}", number.shape, dim)
        values, places = _kth_of(number, axis, slices, -1, keepdim)
        return as_given(values, x), places

    return code


@in_njit(functions.median, literal=("keepdim",))
def _median(x, dim, keepdim):
    return _medians(numbers("median", "x", x), x, dim, keepdim)


# --- gradient --------------------------------------------------------------------------------------------------------

scatter = by_address(scatter_loops)


@_check
def _expect_kept(dy, shape, axis, dim):
    """ValueError unless `dy` has `shape`, where the axis has any length or is missing."""
    axes = "sort_backward: dy must have the axes of {}, or all but {}, got {}"
    other = "sort_backward: dy must have shape {} but for dim {}, got {}"
    ndim, reduced = len(shape), dy.ndim < len(shape)
    if dy.ndim < ndim - 1 or dy.ndim > ndim:

        def refused(dy, shape, axis, dim):
            raise Value(axes, shape, dim, dy.shape)

        return refused
    if dy.ndim == 0:
        return lambda dy, shape, axis, dim: None

    def code(dy, shape, axis, dim):
        for i in range(dy.ndim):
            place = i + 1 if reduced and i >= axis else i
            if (reduced or i != axis) and dy.shape[i] != shape[place]:
                raise Value(other, shape, dim, dy.shape)

    return code


@_check
def _lengths_along(dy, shape, axis):
    """How many elements the slices of `dy` and of the input have, and how far apart they lie."""
    if not len(shape):
        return lambda dy, shape, axis: (np.int64(1), np.int64(1), np.int64(1))
    if dy.ndim != len(shape):
        return lambda dy, shape, axis: (np.int64(1), shape[axis], product(shape, axis + 1, len(shape)))
    return lambda dy, shape, axis: (dy.shape[axis], shape[axis], product(shape, axis + 1, len(shape)))


@in_njit(functions.sort_backward)
def _sort_backward(dy, places, shape, dim):
    operation = "sort_backward"
    dy, places = floats(operation, "dy", dy), indices(operation, "indices", places)
    same_shape(operation, "dy", dy, "indices", places)
    axis = axis_of(operation, dim, len(shape))
    _expect_kept(dy, shape, axis, dim)
    k, n, inner = _lengths_along(dy, shape, axis)
    within(operation, "indices", places, n)
    dx = np.zeros(shape, dy.dtype)
    if dy.size:
        scatter(dy.reshape(-1), places.reshape(-1), dx.reshape(-1), k, n, inner, threads_for(dy.size, 0))
    return dx
