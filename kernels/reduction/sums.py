r"""Sum and mean.

    sum:  y = sum_i x_i        dx_i = dy
    mean: y = sum_i x_i / n    dx_i = dy / n

One addition an element, one element read: memory is the limit. Rounding is the other matter: a single float32
accumulator loses about n units in the last place. Here short blocks are summed in the array's dtype and their totals
in float64, always in the same order, however many threads share the work.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.reduction.layout import expect_shape, reduced_axes, reduced_shape, runs
from kernels.reduction.ranges import BLOCK, read, sum_of, write
from kernels.simd import flat, lane_count, splat

PART = 16 * BLOCK  # elements of a task of a sum of everything
GROUP = 8  # rows added to a vector of column sums while it is in a register
BLOCK_ROWS = 64  # rows summed in the array's dtype before they enter the float64 totals
STRIP = 1024  # columns side by side: their sums (4 KiB) and totals (8 KiB) stay in L1


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


@jit(inline=True)
def _itself(x, z, p):
    return x


sum_range = sum_of(_itself)


@jit
def _sum_parts(first, last, x, totals):
    for part in range(first, last):
        totals[part] = sum_range(x, x, 0.0, part * PART, min((part + 1) * PART, x.size))


@jit
def sum_all(x, y, divisor, threads):
    """``y[()] = sum(x) / divisor`` for a 1-D array."""
    parts = (x.size + PART - 1) // PART
    if parts <= 1:
        y[()] = sum_range(x, x, 0.0, 0, x.size) / divisor
        return
    totals = np.empty(parts)
    parallel_for(_sum_parts, parts, 1, threads, (x, totals))
    total = 0.0
    for part in range(parts):
        total += totals[part]
    y[()] = total / divisor


# --- along an axis ---------------------------------------------------------------------------------------------------


@jit(inline=True)
def _add_rows(x, at, inner, rows, width, sums, to):
    """``sums[to + j] += x[at + j] + x[at + inner + j] + ...`` over `rows` rows, for j < width."""
    for j in range(0, width, lane_count(x)):
        count = width - j
        total = read(sums, to + j, count, 0.0)
        for row in range(rows):
            total = total + read(x, at + row * inner + j, count, 0.0)
        write(sums, to + j, count, total)


@jit
def _add_block(x, at, inner, rows, width, sums, to):
    """The same, with `rows` in groups whose number is a constant."""
    whole = rows - rows % GROUP
    for row in range(0, whole, GROUP):
        _add_rows(x, at + row * inner, inner, GROUP, width, sums, to)
    for row in range(whole, rows):
        _add_rows(x, at + row * inner, inner, 1, width, sums, to)


@jit
def _column_sum(x, at, inner, rows):
    """The float64 sum of a column, where that in the array's dtype is not finite."""
    source, total = flat(x), 0.0
    for row in range(rows):
        total += np.float64(source[at + row * inner])
    return total


@jit
def _few_rows(x, at, n, inner, width, y, to, divisor):
    """Column sums of a strip of so few rows that they form one block: straight into y."""
    for j in range(0, width, lane_count(x)):
        write(y, to + j, width - j, splat(x, 0.0))
    _add_block(x, at, inner, n, width, y, to)
    if divisor != 1.0:
        for j in range(width):
            if np.isfinite(y[to + j]):
                y[to + j] = y[to + j] / divisor
            else:  # perhaps only the sum is too large
                y[to + j] = _column_sum(x, at + j, inner, n) / divisor


@jit
def _many_rows(x, at, rows, inner, width, totals, to):
    """Column sums of a strip, block by block, into float64 totals."""
    sums = np.zeros(STRIP, x.dtype)
    for j in range(width):
        totals[to + j] = 0.0
    for row in range(0, rows, BLOCK_ROWS):
        _add_block(x, at + row * inner, inner, min(BLOCK_ROWS, rows - row), width, sums, 0)
        for j in range(width):
            more = np.float64(sums[j])
            if not np.isfinite(more):
                more = _column_sum(x, at + row * inner + j, inner, min(BLOCK_ROWS, rows - row))
            totals[to + j] += more
            sums[j] = 0.0


@jit
def _rows_of_task(n):
    """Rows that make a task of about PART elements."""
    return max(1, PART // max(n, 1))


@jit
def _rows_of_part(inner):
    """Rows of a strip that make a part of about PART elements."""
    return max(1, PART // (min(inner, STRIP) * BLOCK_ROWS)) * BLOCK_ROWS


@jit
def _sum_task(x, y, totals, n, inner, parts, divisor, task):
    """Task number `task`: some rows, or a part of the rows of a strip of columns."""
    if inner == 1:
        grain = _rows_of_task(n)
        for row in range(task * grain, min((task + 1) * grain, y.size)):
            y[row] = sum_range(x, x, 0.0, row * n, (row + 1) * n) / divisor
        return
    strips = (inner + STRIP - 1) // STRIP
    strip, part, o = task % strips, task // strips % parts, task // (strips * parts)
    j = strip * STRIP
    width = min(STRIP, inner - j)
    if n <= BLOCK_ROWS:
        _few_rows(x, o * n * inner + j, n, inner, width, y, o * inner + j, divisor)
    else:
        grain = _rows_of_part(inner)
        first = part * grain
        at = (o * n + first) * inner + j
        _many_rows(x, at, min(grain, n - first), inner, width, totals, (o * parts + part) * inner + j)


@jit
def _sum_tasks(first, last, x, y, totals, n, inner, parts, divisor):
    for task in range(first, last):
        _sum_task(x, y, totals, n, inner, parts, divisor, task)


@jit
def sum_axis(x, y, outer, n, inner, divisor, threads):
    """``y[o, j] = sum_i x[o, i, j] / divisor``; x and y are flat."""
    parts, totals = 1, np.empty(0)
    if inner == 1:
        grain = _rows_of_task(n)
        tasks = (outer + grain - 1) // grain
    else:
        if n > BLOCK_ROWS:
            grain = _rows_of_part(inner)
            parts = (n + grain - 1) // grain
            totals = np.empty(outer * parts * inner)
        tasks = outer * parts * ((inner + STRIP - 1) // STRIP)
    parallel_for(_sum_tasks, tasks, 1, threads, (x, y, totals, n, inner, parts, divisor))
    if totals.size:
        for o in range(outer):
            first = o * parts * inner
            for part in range(1, parts):
                for j in range(inner):
                    totals[first + j] += totals[first + part * inner + j]
            for j in range(inner):
                y[o * inner + j] = totals[first + j] / divisor


@jit
def sum_rows(x, out):
    """Sums of the rows of a 2-D array, for use in jitted code."""
    sum_axis(x, out, x.shape[0], x.shape[1], 1, 1.0, 1)


@jit
def mean_rows(x, out):
    """Means of the rows of a 2-D array, for use in jitted code."""
    sum_axis(x, out, x.shape[0], x.shape[1], 1, x.shape[1], 1)


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
        Axes to sum over; None or (): all.
    keepdim : bool
        Whether the summed axes stay, with length 1.

    Returns
    -------
    ndarray
        In the dtype of `x`; a sum of nothing is 0.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or named twice.

    Example
    -------
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
    """Mean over `dim`; arguments as of `sum`. The mean of nothing is NaN.

    Example
    -------
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
    axes = reduced_axes(operation, dim, x.ndim)
    shape = reduced_shape(x.shape, axes, keepdim)
    y = x if x.ndim == 1 else x.ravel()
    if len(axes) == x.ndim:
        total = np.empty((), x.dtype)
        sum_all(y, total, float(x.size) if operation == "mean" else 1.0, threads_for(x.size))
        return total.reshape(shape)
    for outer, n, inner in runs(x.shape, axes):
        left = np.empty(outer * inner, x.dtype)
        sum_axis(y, left, outer, n, inner, float(n) if operation == "mean" else 1.0, threads_for(y.size))
        y = left
    return y.reshape(shape)


def sum_backward(dy, shape, dim=None, keepdim=False):
    """Gradient of `sum` for an input of `shape`: dy, repeated along the summed axes.

    Raises
    ------
    ValueError
        If `dy` has not the shape of the forward's result.
    """
    return _repeat("sum_backward", dy, shape, dim, keepdim, mean=False)


def mean_backward(dy, shape, dim=None, keepdim=False):
    """Gradient of `mean` for an input of `shape`: dy / n, repeated along the n averaged elements.

    Raises
    ------
    ValueError
        If `dy` has not the shape of the forward's result.
    """
    return _repeat("mean_backward", dy, shape, dim, keepdim, mean=True)


def _repeat(operation, dy, shape, dim, keepdim, mean):
    dy = _checks.floats(operation, "dy", dy)
    axes = reduced_axes(operation, dim, len(shape))
    expect_shape(operation, "dy", dy, reduced_shape(shape, axes, keepdim))
    if mean:
        dy = dy / dy.dtype.type(max(math.prod(shape[axis] for axis in axes), 1))
    return np.broadcast_to(dy.reshape(reduced_shape(shape, axes, True)), shape).copy()
