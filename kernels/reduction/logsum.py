r"""Logsumexp: the logarithm of softmax's denominator.

    logsumexp(x) = m + log s                         dx = dy softmax(x)

with the peak m = max_j x_j and the total s = sum_j exp(x_j - m), so that no exponential overflows and s >= 1. Per
element that is an exponential (about 20 FLOPs), a comparison and an addition; 4 bytes are read. The backward computes
the exponentials again: its input is read twice, and written once.

A NaN in x makes the result NaN. That of nothing but -inf is -inf, and with a +inf it is inf.
"""

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.reduction.blocks import over_blocks, rows_of, slice_start
from kernels.reduction.layout import expect_shape, reduced_axes, reduced_shape, runs
from kernels.reduction.peaks import INFINITY, decay, scaled_softmax, statistics
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import log, shifted

# Magnitude of y up to which exp(x - y) is accurate: the rounding of y costs no more than that of eight exponentials.
ACCURATE = 16.0


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def logsumexp_naive(x, out):
    """``out[row] = log(sum(exp(x[row])))``, without overflow."""
    rows, columns = x.shape
    for row in range(rows):
        peak = np.max(x[row])
        shift = 0.0 if np.isinf(peak) else peak
        total = 0.0
        for column in range(columns):
            total += np.exp(x[row, column] - shift)
        out[row] = np.log(total) + shift


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _logarithms_and_peaks_at(j, count, totals, peaks, y):
    write(y, j, count, log(read(totals, j, count, 1.0)) + read(peaks, j, count, 0.0))


_logarithms_and_peaks = over_range(_logarithms_and_peaks_at)


@jit
def _has_nan(x, n, stride):
    for i in range(n):  # noqa: SIM110 (Numba has no any() of a generator)
        if np.isnan(x[i * stride]):
            return True
    return False


@jit(inline=True)
def _logsumexp_block(block, scratch, x, y):
    """y = peak + log(total)."""
    statistics(block, scratch, x)
    peaks, totals, _ = scratch
    count, n, inner = block.last - block.first, block.n, block.inner
    for j in range(count):
        if np.isinf(peaks[j]):  # the total is NaN, for inf - inf is
            slice = shifted(x, slice_start(block.first + j, n, inner))
            totals[j] = np.nan if _has_nan(slice, n, inner) else 1.0
    _logarithms_and_peaks(x, 0, count, totals, peaks, shifted(y, block.first))


logsumexp_loops = over_blocks(_logsumexp_block)


# --- backward --------------------------------------------------------------------------------------------------------
# exp(x - y) is the softmax, but for the rounding of y: near 1e7, y is wrong by up to 1/2 in float32.


@jit(inline=True)
def _scaled_decay_at(i, count, x, dx, shift, factor):
    write(dx, i, count, decay(read(x, i, count, 0.0) - shift) * factor)


@jit(inline=True)
def _scaled_decay_columns_at(j, count, x, dx, shifts, factors):
    e = decay(read(x, j, count, 0.0) - read(shifts, j, count, 0.0))
    write(dx, j, count, e * read(factors, j, count, 0.0))


_scaled_decay, _scaled_decay_columns = over_range(_scaled_decay_at), over_range(_scaled_decay_columns_at)


@jit(inline=True)
def _logsumexp_backward_block(block, scratch, x, dy, y, dx):
    """dx = exp(x - y) dy where the rounding of y is negligible, else softmax(x) dy."""
    accurate = True
    for slice in range(block.first, block.last):
        accurate &= abs(y[slice]) <= ACCURATE
    if not accurate:
        scaled_softmax(block, scratch, x, y, dy, dx)
        return
    X, DX, count, n = rows_of(block, x), rows_of(block, dx), block.last - block.first, block.n
    factors, shifts = shifted(dy, block.first), shifted(y, block.first)
    if block.inner == 1:
        for row in range(count):
            _scaled_decay(X, 0, n, X.row(row), DX.row(row), shifts[row], factors[row])
    else:
        for i in range(n):
            _scaled_decay_columns(X, 0, count, X.row(i), DX.row(i), shifts, factors)


logsumexp_backward_loops = over_blocks(_logsumexp_backward_block)


@jit
def logsumexp_rows(x, out):
    """Logsumexp of the rows of a 2-D array, for use in jitted code."""
    logsumexp_loops(x.shape[0], x.shape[1], 1, 1, x, out)


VARIANTS = {"logsumexp": {"naive": logsumexp_naive, "fast": logsumexp_rows}}


# --- public functions ------------------------------------------------------------------------------------------------


def logsumexp(x, dim, keepdim=False):
    """Logarithm of the sum of exponentials over `dim`, without overflow.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int, tuple of int, or None
        Axes to reduce; None means all.
    keepdim : bool, default False
        Whether the reduced axes stay, with length 1.

    Returns
    -------
    ndarray
        In the dtype of `x`; over nothing it is -inf.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or names one twice.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import logsumexp
    >>> logsumexp(np.array([1000.0, 1000.0]), 0)
    array(1000.69314718)
    """
    x = _checks.floats("logsumexp", "x", x)
    axes = reduced_axes("logsumexp", dim, x.ndim)
    y = x.ravel()
    for outer, n, inner in runs(x.shape, axes):
        left = np.empty(outer * inner, x.dtype)
        if n == 0:
            left[:] = -INFINITY
        else:
            logsumexp_loops(outer, n, inner, threads_for(y.size), y, left)
        y = left
    return (y.copy() if not axes else y).reshape(reduced_shape(x.shape, axes, keepdim))


def logsumexp_backward(dy, x, y, dim, keepdim=False):
    """Gradient of `logsumexp` with respect to its input: dy times the softmax, whose sum is 1 however large `x` is.

    (PyTorch 2.13 takes exp(x - y), whose sum differs from 1 by the rounding of y.)

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x, y : array
        The forward's input and output, of the dtype of `dy`.
    dim : int, tuple of int, or None
        As given to the forward.
    keepdim : bool, default False
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or dtypes differ.
    ValueError
        If `dy` or `y` does not have the shape of the result; if `dim` is not an axis of `x`, or names one twice.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import logsumexp, logsumexp_backward
    >>> x = np.array([0.0, 0.0])
    >>> logsumexp_backward(np.array(1.0), x, logsumexp(x, 0), 0)
    array([0.5, 0.5])
    """
    operation = "logsumexp_backward"
    dy, x, y = (_checks.floats(operation, name, array) for name, array in (("dy", dy), ("x", x), ("y", y)))
    _checks.same_dtype(operation, dy=dy, x=x, y=y)
    axes = reduced_axes(operation, dim, x.ndim)
    shape = reduced_shape(x.shape, axes, keepdim)
    expect_shape(operation, "dy", dy, shape)
    expect_shape(operation, "y", y, shape)
    layout, order = list(runs(x.shape, axes)) or [(1, 1, 1)], None
    if len(layout) != 1:  # scattered axes are moved together, to the end
        order = tuple([axis for axis in range(x.ndim) if axis not in axes]) + axes
        x = np.ascontiguousarray(x.transpose(order))
        layout = [(y.size, x.size // max(y.size, 1), 1)]
    dx = _checks.new(x.shape, x.dtype)
    if x.size:
        logsumexp_backward_loops(*layout[0], threads_for(x.size), x.ravel(), dy.ravel(), y.ravel(), dx.ravel())
    return dx if order is None else np.ascontiguousarray(dx.transpose(np.argsort(order)))
