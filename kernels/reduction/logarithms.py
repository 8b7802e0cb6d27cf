r"""Log-softmax: the logarithm of softmax, without its underflow.

    log_softmax(x)_i = x_i - m - log s               dx = dy - exp(y) sum_j dy_j

with the peak m = max_j x_j and the total s = sum_j exp(x_j - m), so that no exponential overflows and s >= 1. As for
softmax, an exponential (about 20 FLOPs) an element keeps a core about as busy as memory; 4 bytes are read and 4
written, by the backward 8 and 4.

A NaN in x, or a peak that is infinite, makes the whole slice NaN.
"""

import numpy as np

from kernels._jit import jit
from kernels.reduction.blocks import backward, forward, over_blocks, rows_of
from kernels.reduction.peaks import decay, logarithms, statistics
from kernels.reduction.ranges import over_range, read, sum_of, write, write_streaming

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def log_softmax_naive(x, out):
    """``out[row] = x[row] - log(sum(exp(x[row])))``"""
    rows, columns = x.shape
    for row in range(rows):
        peak = np.max(x[row])
        total = 0.0
        for column in range(columns):
            total += np.exp(x[row, column] - peak)
        for column in range(columns):
            out[row, column] = x[row, column] - peak - np.log(total)


# --- forward ---------------------------------------------------------------------------------------------------------


# Without fast-math: the peak is subtracted first, which is exact or nearly so; peak + log(total) would be rounded.
@jit(inline=True, fastmath=False)
def _subtract_at(i, count, x, y, peak, log_total):
    write(y, i, count, read(x, i, count, 0.0) - peak - log_total)


@jit(inline=True, fastmath=False)
def _subtract_columns_at(j, count, x, y, peaks, log_totals):
    shifted = read(x, j, count, 0.0) - read(peaks, j, count, 0.0)
    write(y, j, count, shifted - read(log_totals, j, count, 0.0))


_subtract, _subtract_columns = over_range(_subtract_at), over_range(_subtract_columns_at)


@jit(inline=True)
def _log_softmax_block(block, scratch, x, y):
    """y = x - peak - log(total)."""
    X, Y, count, n = rows_of(block, x), rows_of(block, y), block.last - block.first, block.n
    statistics(block, scratch, x)
    peaks, log_totals, _ = scratch
    logarithms(log_totals, 0, count, log_totals)
    if block.inner == 1:
        for row in range(count):
            _subtract(X, 0, n, X.row(row), Y.row(row), peaks[row], log_totals[row])
    else:
        for i in range(n):
            _subtract_columns(X, 0, count, X.row(i), Y.row(i), peaks, log_totals)


log_softmax_loops = over_blocks(_log_softmax_block)


# --- backward: from the outputs --------------------------------------------------------------------------------------


@jit(inline=True)
def _itself(x, z, p):
    return x


_sum = sum_of(_itself)


def _gradient_by(put):
    @jit(inline=True)
    def gradient_at(i, count, dy, y, dx, total):
        put(dx, i, count, read(dy, i, count, 0.0) - decay(read(y, i, count, 0.0)) * total)

    return over_range(gradient_at)


_gradient, _stream_gradient = _gradient_by(write), _gradient_by(write_streaming)


@jit(inline=True)
def _add_at(j, count, dy, totals):
    write(totals, j, count, read(totals, j, count, 0.0) + read(dy, j, count, 0.0))


@jit(inline=True)
def _gradient_columns_at(j, count, dy, y, dx, totals):
    p = decay(read(y, j, count, 0.0))
    write(dx, j, count, read(dy, j, count, 0.0) - p * read(totals, j, count, 0.0))


_add, _gradient_columns = over_range(_add_at), over_range(_gradient_columns_at)


@jit(inline=True)
def _log_softmax_backward_block(block, scratch, dy, y, dx, streaming):
    """dx = dy - exp(y) total, total = sum(dy)."""
    DY, Y, DX = rows_of(block, dy), rows_of(block, y), rows_of(block, dx)
    count, n, totals = block.last - block.first, block.n, scratch.totals
    if block.inner == 1:
        for row in range(count):
            totals[row] = _sum(DY.row(row), DY.row(row), 0.0, 0, n)
        for row in range(count):
            if streaming:
                _stream_gradient(DY, 0, n, DY.row(row), Y.row(row), DX.row(row), totals[row])
            else:
                _gradient(DY, 0, n, DY.row(row), Y.row(row), DX.row(row), totals[row])
    else:
        for j in range(count):
            totals[j] = 0.0
        for i in range(n):
            _add(DY, 0, count, DY.row(i), totals)
        for i in range(n):
            _gradient_columns(DY, 0, count, DY.row(i), Y.row(i), DX.row(i), totals)


log_softmax_backward_loops = over_blocks(_log_softmax_backward_block)


@jit
def log_softmax_rows(x, out):
    """Log-softmax of the rows of a 2-D array, for use in jitted code."""
    log_softmax_loops(x.shape[0], x.shape[1], 1, 1, x, out)


VARIANTS = {"log_softmax": {"naive": log_softmax_naive, "fast": log_softmax_rows}}


# --- public functions ------------------------------------------------------------------------------------------------


def log_softmax(x, dim=-1):
    """Logarithm of `softmax`, without its underflow.

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
    >>> from kernels import log_softmax
    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return forward("log_softmax", log_softmax_loops, x, dim)


def log_softmax_backward(dy, y, dim=-1):
    """Gradient of `log_softmax` with respect to its input, from its output.

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
    >>> from kernels import log_softmax_backward
    >>> log_softmax_backward(np.array([1.0, 0.0]), np.log([0.5, 0.5]))
    array([ 0.5, -0.5])
    """
    return backward("log_softmax_backward", log_softmax_backward_loops, dy, y, dim)
