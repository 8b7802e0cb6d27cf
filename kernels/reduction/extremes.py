r"""Maximum and its index.

    max:    y = max_i x_i       dx_i = dy where i is the index of the maximum, else 0
    argmax: the first index of the maximum

NaN counts as larger than everything, so that it is never lost; of equal elements the first counts. One comparison an
element, one element read.
"""

from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.reduction.layout import expect_shape, reduced_axes, reduced_shape, split
from kernels.reduction.maxima import COLUMNS, TASK, Maxima, best_of_columns, best_of_range, exceeds
from kernels.simd import flat, shifted, strided


class Split(NamedTuple):
    """How the maxima along an axis are divided: the array is (outer, n, inner); with inner = 1, a row is searched by
    `tasks` tasks."""

    n: int
    inner: int
    tasks: int


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def max_naive(x, out):
    """``out[row] = max(x[row])``"""
    rows, columns = x.shape
    for row in range(rows):
        out[row] = x[row, 0]
        for column in range(1, columns):
            if exceeds(x[row, column], out[row]):
                out[row] = x[row, column]


@jit
def argmax_naive(x, out):
    """``out[row] = argmax(x[row])``"""
    rows, columns = x.shape
    for row in range(rows):
        out[row] = 0
        for column in range(1, columns):
            if exceeds(x[row, column], x[row, out[row]]):
                out[row] = column


# --- tasks ------------------------------------------------------------------------------------------------------------


@jit
def _max_task(task, x, values, indices, split):
    """Task number `task`: part of a long row, some short rows, or a block of columns."""
    n, inner, tasks = split
    if inner > 1:
        blocks = (inner + COLUMNS - 1) // COLUMNS
        o, j = task // blocks, task % blocks * COLUMNS
        X = strided(shifted(flat(x), o * n * inner + j), inner, 1)
        maxima = Maxima(shifted(flat(values), o * inner + j), shifted(flat(indices), o * inner + j))
        best_of_columns(X, n, min(COLUMNS, inner - j), maxima)
    elif tasks > 1:
        row, part = task // tasks, task % tasks
        values[task], place = best_of_range(x, row * n + part * TASK, row * n + min((part + 1) * TASK, n))
        indices[task] = place - row * n
    else:
        grain = TASK // n
        for row in range(task * grain, min((task + 1) * grain, values.size)):
            values[row], place = best_of_range(x, row * n, (row + 1) * n)
            indices[row] = place - row * n


@jit
def _max_tasks(first, last, x, values, indices, split):
    for task in range(first, last):
        _max_task(task, x, values, indices, split)


@jit
def max_axis(x, values, indices, outer, n, inner, threads):
    """``values[o, j], indices[o, j] = max_i x[o, i, j]`` and the first i that has it; flat arrays, n > 0."""
    per_row = (n + TASK - 1) // TASK if inner == 1 else 1
    task_values, task_indices = values, indices
    if per_row > 1:
        task_values, task_indices = np.empty(outer * per_row, x.dtype), np.empty(outer * per_row, np.int64)
        tasks = outer * per_row
    elif inner == 1:
        grain = TASK // n
        tasks = (outer + grain - 1) // grain
    else:
        tasks = outer * ((inner + COLUMNS - 1) // COLUMNS)
    parallel_for(_max_tasks, tasks, 1, threads, (x, task_values, task_indices, Split(n, inner, per_row)))
    if per_row > 1:
        for row in range(outer):
            best = row * per_row
            for task in range(best + 1, (row + 1) * per_row):
                if exceeds(task_values[task], task_values[best]):
                    best = task
            values[row], indices[row] = task_values[best], task_indices[best]


@jit
def max_rows(x, out):
    """Maxima of the rows of a 2-D array, for use in jitted code."""
    max_axis(flat(x), out, np.empty(x.shape[0], np.int64), x.shape[0], x.shape[1], 1, 1)


@jit
def argmax_rows(x, out):
    """Indices of the maxima of the rows of a 2-D array, for use in jitted code."""
    max_axis(flat(x), np.empty(x.shape[0], x.dtype), out, x.shape[0], x.shape[1], 1, 1)


VARIANTS = {
    "max": {"naive": max_naive, "fast": max_rows},
    "argmax": {"naive": argmax_naive, "fast": argmax_rows},
}


# --- backward: from the indices --------------------------------------------------------------------------------------


@jit
def _scatter(dy, indices, dx, n, inner):
    """``dx[o, indices[o, j], j] = dy[o, j]``; returns the number of the first slice whose index is out of range, or
    -1."""
    for slice in range(indices.size):
        index = indices[slice]
        if index < 0 or index >= n:
            return slice
        dx[(slice // inner * n + index) * inner + slice % inner] = dy[slice]
    return -1


@jit
def _divide_among_ties(dy, x, dx):
    """dy, divided evenly among all elements that equal the maximum."""
    best = x[0]
    for i in range(x.size):
        if exceeds(x[i], best):
            best = x[i]
    ties = 0
    for i in range(x.size):
        if x[i] == best or best != best and x[i] != x[i]:
            ties += 1
    each = dy[()] / ties
    for i in range(x.size):
        dx[i] = each if x[i] == best or best != best and x[i] != x[i] else 0.0


# --- public functions ------------------------------------------------------------------------------------------------


def max(x, dim=None, keepdim=False):
    """Maximum over everything, or maxima and their indices along `dim`.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int or None
    keepdim : bool, default False
        Whether the reduced axis stays, with length 1.

    Returns
    -------
    ndarray, or (ndarray, ndarray of int64)
        Without `dim` the value alone. NaN is the largest value; of equal ones the first has the index.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or has length 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max
    >>> max(np.array([[1.0, 5.0, 5.0]]), 1)
    (array([5.]), array([1]))
    """
    values, indices = _max("max", x, dim, keepdim)
    return values if dim is None else (values, indices)


def argmax(x, dim=None, keepdim=False):
    """Index of the first maximum along `dim`, or in the flattened array.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int or None
    keepdim : bool, default False
        Whether the reduced axis stays, with length 1.

    Returns
    -------
    ndarray of int64
        NaN is the largest value; of equal ones the first counts.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or has length 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import argmax
    >>> argmax(np.array([1.0, 5.0, 5.0]))
    array(1)
    """
    return _max("argmax", x, dim, keepdim)[1]


def _max(operation, x, dim, keepdim):
    x = _checks.floats(operation, "x", x)
    outer, n, inner = (1, x.size, 1) if dim is None else split(operation, x, dim)
    if n == 0:
        raise ValueError(f"{operation}: nothing to reduce: x is {x.shape}, dim is {dim}")
    values, indices = np.empty(outer * inner, x.dtype), np.empty(outer * inner, np.int64)
    max_axis(x if x.ndim == 1 else x.ravel(), values, indices, outer, n, inner, threads_for(x.size))
    shape = reduced_shape(x.shape, reduced_axes(operation, dim, x.ndim), keepdim)
    return values.reshape(shape), indices.reshape(shape)


def max_backward(dy, x, dim=None, keepdim=False, indices=None):
    """Gradient of `max` with respect to its input: dy at `indices`; without `dim`, dy is divided evenly among the
    elements that equal the maximum.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the values.
    x : array
        The forward's input, of the dtype of `dy`.
    dim : int or None
        As given to the forward.
    keepdim : bool, default False
        As given to the forward.
    indices : array of int64, optional
        Indices that the forward returned; computed again if not given.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or dtypes differ.
    ValueError
        If a shape is not that of the forward's result; if `dim` is not an axis of `x`.
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_backward
    >>> max_backward(np.array(1.0), np.array([2.0, 5.0, 5.0]))
    array([0. , 0.5, 0.5])
    """
    operation = "max_backward"
    dy, x = _checks.floats(operation, "dy", dy), _checks.floats(operation, "x", x)
    _checks.same_dtype(operation, dy=dy, x=x)
    shape = reduced_shape(x.shape, reduced_axes(operation, dim, x.ndim), keepdim)
    expect_shape(operation, "dy", dy, shape)
    if dim is None:
        if x.size == 0:
            raise ValueError(f"{operation}: nothing to reduce: x is {x.shape}")
        dx = np.empty(x.size, x.dtype)
        _divide_among_ties(dy.reshape(()), x.ravel(), dx)
        return dx.reshape(x.shape)
    if indices is None:
        indices = argmax(x, dim, keepdim)
    indices = _checks.indices(operation, "indices", indices)
    expect_shape(operation, "indices", indices, shape)
    _, n, inner = split(operation, x, dim)
    dx = np.zeros(x.size, x.dtype)
    wrong = _scatter(dy.ravel(), indices.ravel(), dx, n, inner)
    if wrong >= 0:
        raise IndexError(f"{operation}: index {indices.flat[wrong]} is out of range for length {n}")
    return dx.reshape(x.shape)
