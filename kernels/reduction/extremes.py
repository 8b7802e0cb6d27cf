r"""Maximum and its index.

    max:    y = max_i x_i       dx_i = dy where i is the index of the maximum, else 0
    argmax: the first index of the maximum

NaN counts as larger than everything, so that it is never lost; among equals the first wins. One comparison an element,
one element read. A row takes two passes: the largest value of a block of it, then, while the block is still in L1, the
first place that holds it.
"""

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.reduction.layout import expect_shape, reduced_axes, reduced_shape, split
from kernels.reduction.ranges import read, write
from kernels.simd import any_lanes, flat, lane_count, load, max_lanes, maximum, select, splat, store
from kernels.simd.wide import load_wide, wide_count

INFINITY = float("inf")
BLOCK = 4096  # elements searched twice: 16 or 32 KiB, they stay in L1
PART = 16 * BLOCK  # elements of a task of a long row
STRIP = 256  # columns side by side: their maxima and row numbers stay in L1
GROUP = 8  # rows compared with a vector of maxima while it is in a register
COUNTED_ROWS = 4096  # row numbers are counted in the array's dtype, where a float32 is exact up to 2**24


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit(inline=True)
def exceeds(a, b):
    """Whether a displaces b as the maximum so far."""
    return b == b and not a <= b


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


# --- rows ------------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _largest(x, start, stop):
    """The largest of x[start:stop]."""
    step = wide_count(x)
    whole = start + (stop - start) // step * step
    best = -INFINITY
    if whole > start:
        wide = load_wide(x, start)
        for i in range(start + step, whole, step):
            wide = maximum(wide, load_wide(x, i))
        best = max_lanes(wide)
    if whole < stop:
        narrow = splat(x, best)
        for i in range(whole, stop, lane_count(x)):
            narrow = maximum(narrow, read(x, i, stop - i, -INFINITY))
        best = max_lanes(narrow)
    return best


@jit(inline=True)
def _first(x, start, stop, value):
    """Where x[start:stop] first holds `value`, which it does."""
    lanes = lane_count(x)
    i = start
    if value != value:
        while x[i] == x[i]:
            i += 1
        return i
    while i + lanes <= stop and not any_lanes(load(x, i) == value):
        i += lanes
    while x[i] != value:
        i += 1
    return i


@jit(inline=True)
def _best_of_range(x, start, stop):
    """Value and place of the first maximum of x[start:stop]."""
    best, block = x[start], start
    for i in range(start, stop, BLOCK):
        largest = _largest(x, i, min(i + BLOCK, stop))
        if exceeds(largest, best):
            best, block = largest, i
    return best, _first(x, block, stop, best)


# --- columns ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _take_rows(x, at, inner, rows, width, values, to, numbers, number):
    """Let `rows` rows compete with the maxima so far; a winner leaves its number."""
    for j in range(0, width, lane_count(x)):
        count = width - j
        best, winner = read(values, to + j, count, 0.0), load(numbers, j)
        for row in range(rows):
            v = read(x, at + row * inner + j, count, 0.0)
            better = (best == best) & ~(v <= best)
            best = select(better, v, best)
            winner = select(better, number + row, winner)
        write(values, to + j, count, best)
        store(numbers, j, winner)


@jit
def _best_of_columns(x, at, n, inner, width, values, indices, to):
    """Values and row numbers of the first maxima of `width` columns."""
    numbers = np.empty(STRIP, x.dtype)
    for j in range(width):
        values[to + j] = x[at + j]
        indices[to + j] = 0
    for first in range(0, n, COUNTED_ROWS):
        for j in range(0, STRIP, lane_count(x)):
            store(numbers, j, splat(x, -1.0))
        rows = min(COUNTED_ROWS, n - first)
        whole = rows - rows % GROUP
        for row in range(0, whole, GROUP):
            _take_rows(x, at + (first + row) * inner, inner, GROUP, width, values, to, numbers, float(row))
        for row in range(whole, rows):
            _take_rows(x, at + (first + row) * inner, inner, 1, width, values, to, numbers, float(row))
        for j in range(width):
            if numbers[j] >= 0:
                indices[to + j] = first + np.int64(numbers[j])


# --- both ------------------------------------------------------------------------------------------------------------


@jit
def _max_task(x, values, indices, n, inner, parts, task):
    """Task number `task`: a part of a long row, some short rows, or a strip of columns."""
    if inner > 1:
        strips = (inner + STRIP - 1) // STRIP
        o, j = task // strips, task % strips * STRIP
        _best_of_columns(x, o * n * inner + j, n, inner, min(STRIP, inner - j), values, indices, o * inner + j)
    elif parts > 1:
        row, part = task // parts, task % parts
        values[task], place = _best_of_range(x, row * n + part * PART, row * n + min((part + 1) * PART, n))
        indices[task] = place - row * n
    else:
        grain = PART // n
        for row in range(task * grain, min((task + 1) * grain, values.size)):
            values[row], place = _best_of_range(x, row * n, (row + 1) * n)
            indices[row] = place - row * n


@jit
def _max_tasks(first, last, x, values, indices, n, inner, parts):
    for task in range(first, last):
        _max_task(x, values, indices, n, inner, parts, task)


@jit
def max_axis(x, values, indices, outer, n, inner, threads):
    """``values[o, j], indices[o, j] = max_i x[o, i, j]`` and the first i that has it; flat arrays, n > 0."""
    parts = (n + PART - 1) // PART if inner == 1 else 1
    part_values, part_indices = values, indices
    if parts > 1:
        part_values, part_indices = np.empty(outer * parts, x.dtype), np.empty(outer * parts, np.int64)
        tasks = outer * parts
    elif inner == 1:
        grain = PART // n
        tasks = (outer + grain - 1) // grain
    else:
        tasks = outer * ((inner + STRIP - 1) // STRIP)
    parallel_for(_max_tasks, tasks, 1, threads, (x, part_values, part_indices, n, inner, parts))
    if parts > 1:
        for row in range(outer):
            best = row * parts
            for task in range(best + 1, (row + 1) * parts):
                if exceeds(part_values[task], part_values[best]):
                    best = task
            values[row], indices[row] = part_values[best], part_indices[best]


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


# --- backward: the indices are all that it needs ---------------------------------------------------------------------


@jit
def _scatter(dy, indices, dx, n, inner):
    """``dx[o, indices[o, j], j] = dy[o, j]``; returns the first place whose index is out of range, or -1."""
    for place in range(indices.size):
        index = indices[place]
        if index < 0 or index >= n:
            return place
        dx[(place // inner * n + index) * inner + place % inner] = dy[place]
    return -1


@jit
def _share(dy, x, dx):
    """dy, shared among all elements that equal the maximum."""
    best = x[0]
    for i in range(x.size):
        if exceeds(x[i], best):
            best = x[i]
    ties = 0
    for i in range(x.size):
        if x[i] == best or best != best and x[i] != x[i]:
            ties += 1
    share = dy[()] / ties
    for i in range(x.size):
        dx[i] = share if x[i] == best or best != best and x[i] != x[i] else 0.0


# --- public functions ------------------------------------------------------------------------------------------------


def max(x, dim=None, keepdim=False):
    """Maximum over everything, or maxima and their indices along `dim`.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int or None
    keepdim : bool
        Whether the reduced axis stays, with length 1.

    Returns
    -------
    ndarray, or (ndarray, ndarray of int64)
        Without `dim` the value alone. NaN is the largest value; of equal ones the first has the index.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or has length 0.

    Example
    -------
    >>> max(np.array([[1.0, 5.0, 5.0]]), 1)
    (array([5.]), array([1]))
    """
    values, indices = _max("max", x, dim, keepdim)
    return values if dim is None else (values, indices)


def argmax(x, dim=None, keepdim=False):
    """Index of the first maximum along `dim`, or in the flattened array; arguments and errors as of `max`.

    Example
    -------
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
    """Gradient of `max`: dy at `indices`; without `dim`, shared evenly among the elements that equal the maximum.

    Parameters
    ----------
    dy : array
        Gradient of the values.
    x, dim, keepdim
        As given to the forward.
    indices : int64 array, optional
        What the forward returned; found again if not given.

    Raises
    ------
    ValueError, IndexError
        If a shape is not that of the forward's result; if an index is out of range.
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
        _share(dy.reshape(()), x.ravel(), dx)
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
