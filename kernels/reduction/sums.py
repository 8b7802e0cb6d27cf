r"""Sum and mean.

    sum:  y = sum_i x_i        dx_i = dy
    mean: y = sum_i x_i / n    dx_i = dy / n

One addition an element, one element read: memory is the limit. Rounding is the other matter: a single float32
accumulator loses about n units in the last place. Here short blocks are summed in the array's dtype and their totals
in float64, in the same order for any number of threads.
"""

import math

import numpy as np
from numba import float64, int64

from kernels import _checks
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.reduction.axis_sums import TASK, sum_axis, sum_range
from kernels.reduction.layout import expect_shape, reduced_axes, reduced_shape, runs, split

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def sum_naive(x, out):
    """``out[row] = sum(x[row])``"""
    rows, columns = x.shape
    for row in range(rows):
        total = 0.0
        for column in range(columns):
            total += x[row, column]
        out[row] = total


@jit
def mean_naive(x, out):
    """``out[row] = sum(x[row]) / columns``"""
    rows, columns = x.shape
    for row in range(rows):
        total = 0.0
        for column in range(columns):
            total += x[row, column]
        out[row] = total / columns


# --- everything ------------------------------------------------------------------------------------------------------


@jit
def _sum_tasks(first, last, x, totals):
    for task in range(first, last):
        totals[task] = sum_range(x, x, 0.0, task * TASK, min((task + 1) * TASK, x.size))


@jit
def sum_all(x, y, divisor, threads):
    """``y[()] = sum(x) / divisor`` for a 1-D array."""
    tasks = (x.size + TASK - 1) // TASK
    if tasks <= 1:
        y[()] = sum_range(x, x, 0.0, 0, x.size) / divisor
        return
    totals = np.empty(tasks)
    parallel_for(_sum_tasks, tasks, 1, threads, (x, totals))
    total = 0.0
    for task in range(tasks):
        total += totals[task]
    y[()] = total / divisor


@jit
def sum_rows(x, out):
    """Sums of the rows of a 2-D array, for use in jitted code."""
    sum_axis(x, out, x.shape[0], x.shape[1], 1, 1.0, 1)


@jit
def mean_rows(x, out):
    """Means of the rows of a 2-D array, for use in jitted code."""
    sum_axis(x, out, x.shape[0], x.shape[1], 1, x.shape[1], 1)


SUM_AXIS = Compiled(sum_axis, lambda kind: (kind[::1], kind[::1], int64, int64, int64, float64, int64))

VARIANTS = {
    "sum": {"naive": sum_naive, "fast": sum_rows},
    "mean": {"naive": mean_naive, "fast": mean_rows},
}


# --- public functions ------------------------------------------------------------------------------------------------


def sum(x, dim=None, keepdim=False):
    """Sum over `dim`.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int, tuple of int, or None
        Axes to sum over; None or () means all.
    keepdim : bool, default False
        Whether the summed axes stay, with length 1.

    Returns
    -------
    ndarray
        In the dtype of `x`; a sum of nothing is 0.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or names one twice.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import sum
    >>> sum(np.ones((2, 3), np.float32), 1)
    array([3., 3.], dtype=float32)
    """
    x = _checks.floats("sum", "x", x)
    if dim is None and not keepdim:
        y = np.empty((), x.dtype)
        sum_all(x if x.ndim == 1 else x.ravel(), y, 1.0, threads_for(x.size))
        return y
    return _along_axes("sum", x, dim, keepdim)


def mean(x, dim=None, keepdim=False):
    """Mean over `dim`.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int, tuple of int, or None
        Axes to average over; None or () means all.
    keepdim : bool, default False
        Whether the averaged axes stay, with length 1.

    Returns
    -------
    ndarray
        In the dtype of `x`; a mean of nothing is NaN.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or names one twice.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import mean
    >>> mean(np.array([1.0, 2.0, 6.0]))
    array(3.)
    """
    x = _checks.floats("mean", "x", x)
    if dim is None and not keepdim:
        y = np.empty((), x.dtype)
        sum_all(x if x.ndim == 1 else x.ravel(), y, float(x.size), threads_for(x.size))
        return y
    return _along_axes("mean", x, dim, keepdim)


def _along_axes(operation, x, dim, keepdim):
    if dim.__class__ is int and x.ndim == 2 and not keepdim:  # fast path for rows and columns
        return _along_axis(operation, x.reshape(-1), *split(operation, x, dim))
    axes = reduced_axes(operation, dim, x.ndim)
    shape = reduced_shape(x.shape, axes, keepdim)
    y = x if x.ndim == 1 else x.ravel()
    if len(axes) == x.ndim:
        total = np.empty((), x.dtype)
        sum_all(y, total, float(x.size) if operation == "mean" else 1.0, threads_for(x.size))
        return total.reshape(shape)
    for run in runs(x.shape, axes):
        y = _along_axis(operation, y, *run)
    return y.reshape(shape)


def _along_axis(operation, x, outer, n, inner):
    y = np.empty(outer * inner, x.dtype)
    SUM_AXIS[x.dtype](x, y, outer, n, inner, float(n) if operation == "mean" else 1.0, threads_for(x.size))
    return y


def sum_backward(dy, shape, dim=None, keepdim=False):
    """Gradient of `sum` with respect to its input: dy, repeated along the summed axes.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    shape : tuple of int
        Shape of the input.
    dim : int, tuple of int, or None
        As given to the forward.
    keepdim : bool, default False
        As given to the forward.

    Returns
    -------
    ndarray
        Of `shape` and the dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If `dy` is not float32 or float64, or does not have the shape of the forward's result; if `dim` is not an axis.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import sum_backward
    >>> sum_backward(np.array([1.0, 2.0]), (2, 3), 1)
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    return _repeat("sum_backward", dy, shape, dim, keepdim, mean=False)


def mean_backward(dy, shape, dim=None, keepdim=False):
    """Gradient of `mean` with respect to its input: dy / n, repeated along the n averaged elements.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    shape : tuple of int
        Shape of the input.
    dim : int, tuple of int, or None
        As given to the forward.
    keepdim : bool, default False
        As given to the forward.

    Returns
    -------
    ndarray
        Of `shape` and the dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If `dy` is not float32 or float64, or does not have the shape of the forward's result; if `dim` is not an axis.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import mean_backward
    >>> mean_backward(np.array([1.0, 2.0]), (2, 2), 1)
    array([[0.5, 0.5],
           [1. , 1. ]])
    """
    return _repeat("mean_backward", dy, shape, dim, keepdim, mean=True)


def _repeat(operation, dy, shape, dim, keepdim, mean):
    dy = _checks.floats(operation, "dy", dy)
    axes = reduced_axes(operation, dim, len(shape))
    expect_shape(operation, "dy", dy, reduced_shape(shape, axes, keepdim))
    if mean:
        dy = dy / dy.dtype.type(max(math.prod(shape[axis] for axis in axes), 1))
    return np.broadcast_to(dy.reshape(reduced_shape(shape, axes, True)), shape).copy()
