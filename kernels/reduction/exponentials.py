r"""Softmax.

    softmax(x)_i = exp(x_i - m) / s                  dx = y (dy - sum_j dy_j y_j)

with the peak m = max_j x_j and the total s = sum_j exp(x_j - m), so that no exponential overflows and s >= 1. Per
element that is an exponential (about 20 FLOPs), a comparison, an addition and a product; 4 bytes are read and 4
written, so a core is busy with exponentials for about as long as with memory. The backward reads 8 bytes an element
and writes 4, and is bound by memory.

A slice is read three times while it is in L1 or L2: for the peak; for the exponentials and their total; to scale them.

A NaN in x, or a peak that is infinite, makes the whole slice NaN. A probability below the smallest normal number is 0.
"""

import numpy as np

from kernels._jit import jit
from kernels.reduction.blocks import backward, forward, over_blocks, rows_of
from kernels.reduction.peaks import column_peaks, peak_of, scale, scale_columns, store_column_decays, store_decay
from kernels.reduction.ranges import AHEAD, over_range, prefetch_range, read, sum_of, write, write_streaming

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def softmax_naive(x, out):
    """``out[row] = exp(x[row]) / sum(exp(x[row]))``"""
    rows, columns = x.shape
    for row in range(rows):
        peak = np.max(x[row])
        total = 0.0
        for column in range(columns):
            out[row, column] = np.exp(x[row, column] - peak)
            total += out[row, column]
        for column in range(columns):
            out[row, column] /= total


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _softmax_block(block, scratch, x, y):
    """y = exp(x - peak) / total."""
    X, Y, count, n = rows_of(block, x), rows_of(block, y), block.last - block.first, block.n
    peaks, totals, _ = scratch
    if block.inner == 1:
        for row in range(count):
            peaks[row] = peak_of(X.row(row), 0, n)
        for row in range(count):
            totals[row] = 1.0 / store_decay(X.row(row), Y.row(row), 0, n, peaks[row])
        for row in range(count):
            scale(Y, 0, n, Y.row(row), totals[row])
    else:
        column_peaks(X, n, count, peaks)
        store_column_decays(X, Y, n, count, scratch)
        for j in range(count):
            totals[j] = 1.0 / totals[j]
        for i in range(n):
            scale_columns(Y, 0, count, Y.row(i), totals)


softmax_loops = over_blocks(_softmax_block)


# --- backward: from the outputs --------------------------------------------------------------------------------------


@jit(inline=True)
def _product(x, z, p):
    return x * z


_dot = sum_of(_product)


def _gradient_by(put):
    @jit(inline=True)
    def gradient_at(i, count, dy, y, dx, dot):
        prefetch_range(dy, i + AHEAD, count)  # the next rows, which their sums' last steps would delay
        prefetch_range(y, i + AHEAD, count)
        put(dx, i, count, (read(dy, i, count, 0.0) - dot) * read(y, i, count, 0.0))

    return over_range(gradient_at)


_gradient, _stream_gradient = _gradient_by(write), _gradient_by(write_streaming)


@jit(inline=True)
def _add_products_at(j, count, dy, y, dots):
    write(dots, j, count, read(dots, j, count, 0.0) + read(dy, j, count, 0.0) * read(y, j, count, 0.0))


@jit(inline=True)
def _gradient_columns_at(j, count, dy, y, dx, dots):
    difference = read(dy, j, count, 0.0) - read(dots, j, count, 0.0)
    write(dx, j, count, difference * read(y, j, count, 0.0))


_add_products, _gradient_columns = over_range(_add_products_at), over_range(_gradient_columns_at)


@jit(inline=True)
def _softmax_backward_block(block, scratch, dy, y, dx, streaming):
    """dx = y (dy - dot), dot = sum(dy y)."""
    DY, Y, DX = rows_of(block, dy), rows_of(block, y), rows_of(block, dx)
    count, n, dots = block.last - block.first, block.n, scratch.totals
    if block.inner == 1:
        for row in range(count):
            dots[row] = _dot(DY.row(row), Y.row(row), 0.0, 0, n)
        for row in range(count):
            if streaming:
                _stream_gradient(DY, 0, n, DY.row(row), Y.row(row), DX.row(row), dots[row])
            else:
                _gradient(DY, 0, n, DY.row(row), Y.row(row), DX.row(row), dots[row])
    else:
        for j in range(count):
            dots[j] = 0.0
        for i in range(n):
            _add_products(DY, 0, count, DY.row(i), Y.row(i), dots)
        for i in range(n):
            _gradient_columns(DY, 0, count, DY.row(i), Y.row(i), DX.row(i), dots)


softmax_backward_loops = over_blocks(_softmax_backward_block)


@jit
def softmax_rows(x, out):
    """Softmax of the rows of a 2-D array, for use in jitted code."""
    softmax_loops(x.shape[0], x.shape[1], 1, 1, x, out)


VARIANTS = {"softmax": {"naive": softmax_naive, "fast": softmax_rows}}


# --- public functions ------------------------------------------------------------------------------------------------


def softmax(x, dim=-1):
    """Exponentials along `dim`, scaled so that they sum to 1.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int, default -1

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import softmax
    >>> softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    return forward("softmax", softmax_loops, x, dim)


def softmax_backward(dy, y, dim=-1):
    """Gradient of `softmax` with respect to its input, from its output.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    y : array
        The output, of the shape and dtype of `dy`.
    dim : int, default -1
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `y`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, dtypes or shapes differ, or `dim` is not an axis of `y`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import softmax_backward
    >>> softmax_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    return backward("softmax_backward", softmax_backward_loops, dy, y, dim)
