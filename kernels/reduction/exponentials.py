r"""Softmax, its logarithm, and the logarithm of its denominator.

    softmax(x)_i     = exp(x_i - m) / s              dx = y (dy - sum_j dy_j y_j)
    log_softmax(x)_i = x_i - m - log s               dx = dy - exp(y) sum_j dy_j
    logsumexp(x)     = m + log s                     dx = dy softmax(x)

with the peak m = max_j x_j and the total s = sum_j exp(x_j - m), so that no exponential overflows and s >= 1. Per
element that is an exponential (about 20 FLOPs), a comparison, an addition and a product; 4 bytes are read and 4
written, so a core is busy with exponentials for about as long as with memory. The backwards read 8 bytes an element
and write 4, and are bound by memory.

A slice is passed over three times while it is in L1 or L2: the peak; the exponentials and their total; the scaling.
`peaks` has the first two.

A NaN in x, or a peak that is infinite, makes the whole slice NaN in the softmax functions. `logsumexp` of nothing but
-inf is -inf, and with a +inf it is inf. A probability below the smallest normal number is 0.
"""

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.machine import cache_bytes, lanes, vector_bytes
from kernels.reduction.layout import expect_shape, reduced_axes, reduced_shape, runs, split
from kernels.reduction.peaks import (
    INFINITY,
    column_peaks,
    column_totals_by,
    decay,
    over_units,
    peak_of,
    slice_at,
    statistics,
    store_decay,
)
from kernels.reduction.ranges import over_range, read, sum_of, write, write_past
from kernels.simd import log

NEAR = 16.0  # of a logsumexp: up to here its last digit is worth no more than those of eight exponentials

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
# Loops of columns take vectors from an array with one element a column (peaks[j]), those of rows one number (peak).


@over_range
@jit(inline=True)
def scale(i, count, y, factor):
    write(y, i, count, read(y, i, count, 0.0) * factor)


@over_range
@jit(inline=True)
def scale_columns(j, count, y, at, factors):
    write(y, at + j, count, read(y, at + j, count, 0.0) * read(factors, j, count, 0.0))


@over_range
@jit(inline=True)
def _add_and_store_decay(j, count, x, at, peaks, totals, to, y):
    e = decay(read(x, at + j, count, 0.0) - read(peaks, to + j, count, 0.0))
    write(y, at + j, count, e)
    write(totals, to + j, count, read(totals, to + j, count, 0.0) + e)


store_column_decays = column_totals_by(_add_and_store_decay)


@over_units
@jit
def softmax_loops(n, inner, first, last, scratch, x, y):
    """y = exp(x - peak) / total."""
    peaks, totals, wide_totals = scratch
    count = last - first
    if inner == 1:
        for row in range(count):
            peaks[row] = peak_of(x, (first + row) * n, (first + row + 1) * n)
        for row in range(count):
            start = (first + row) * n
            totals[row] = 1.0 / store_decay(x, y, start, start + n, peaks[row])
        for row in range(count):
            scale(y, (first + row) * n, (first + row + 1) * n, y, totals[row])
    else:
        at = slice_at(first, n, inner)
        column_peaks(x, at, n, inner, count, peaks, 0)
        store_column_decays(x, at, n, inner, count, peaks, totals, 0, wide_totals, y)
        for j in range(count):
            totals[j] = 1.0 / totals[j]
        for i in range(n):
            scale_columns(y, 0, count, y, at + i * inner, totals)


@over_range
@jit(inline=True)
def logarithms(j, count, totals):
    write(totals, j, count, log(read(totals, j, count, 1.0)))


# Without fast-math: the peak is subtracted first, which is exact or nearly so; peak + log(total) would be rounded.
@over_range
@jit(inline=True, fastmath=False)
def _shift(i, count, x, y, peak, log_total):
    write(y, i, count, read(x, i, count, 0.0) - peak - log_total)


@over_range
@jit(inline=True, fastmath=False)
def _shift_columns(j, count, x, y, at, peaks, log_totals):
    shifted = read(x, at + j, count, 0.0) - read(peaks, j, count, 0.0)
    write(y, at + j, count, shifted - read(log_totals, j, count, 0.0))


@over_units
@jit
def log_softmax_loops(n, inner, first, last, scratch, x, y):
    """y = x - peak - log(total)."""
    peaks, totals, wide_totals = scratch
    count = last - first
    statistics(x, n, inner, first, last, peaks, totals, 0, wide_totals)
    logarithms(totals, 0, count, totals)
    if inner == 1:
        for row in range(count):
            _shift(x, (first + row) * n, (first + row + 1) * n, x, y, peaks[row], totals[row])
    else:
        at = slice_at(first, n, inner)
        for i in range(n):
            _shift_columns(x, 0, count, x, y, at + i * inner, peaks, totals)


@over_range
@jit(inline=True)
def _logarithms_and_peaks(j, count, peaks, totals, y, to):
    write(y, to + j, count, log(read(totals, j, count, 1.0)) + read(peaks, j, count, 0.0))


@jit
def _has_nan(x, at, n, inner):
    for i in range(n):  # noqa: SIM110 (Numba has no any() of a generator)
        if np.isnan(x[at + i * inner]):
            return True
    return False


@over_units
@jit
def logsumexp_loops(n, inner, first, last, scratch, x, y):
    """y = peak + log(total)."""
    peaks, totals, wide_totals = scratch
    statistics(x, n, inner, first, last, peaks, totals, 0, wide_totals)
    for j in range(last - first):
        if np.isinf(peaks[j]):  # the total is NaN, for inf - inf is
            totals[j] = np.nan if _has_nan(x, slice_at(first + j, n, inner), n, inner) else 1.0
    _logarithms_and_peaks(x, 0, last - first, peaks, totals, y, first)


# --- backward --------------------------------------------------------------------------------------------------------
# The softmax functions keep their outputs; logsumexp keeps its input, of which exp(x - y) is the softmax, but for the
# rounding of y: of numbers near 1e7, y is off by up to 1/2.


@jit(inline=True)
def _product(x, z, p):
    return x * z


@jit(inline=True)
def _itself(x, z, p):
    return x


_dot = sum_of(_product)
_sum = sum_of(_itself)


def _softmax_slopes(put):
    @over_range
    @jit(inline=True)
    def slopes(i, count, dy, y, dx, dot):
        put(dx, i, count, (read(dy, i, count, 0.0) - dot) * read(y, i, count, 0.0))

    return slopes


def _log_softmax_slopes(put):
    @over_range
    @jit(inline=True)
    def slopes(i, count, dy, y, dx, total):
        put(dx, i, count, read(dy, i, count, 0.0) - decay(read(y, i, count, 0.0)) * total)

    return slopes


_softmax_slope, _stream_softmax_slope = _softmax_slopes(write), _softmax_slopes(write_past)
_log_softmax_slope, _stream_log_softmax_slope = _log_softmax_slopes(write), _log_softmax_slopes(write_past)


@over_range
@jit(inline=True)
def _add_products(j, count, dy, y, at, dots):
    write(dots, j, count, read(dots, j, count, 0.0) + read(dy, at + j, count, 0.0) * read(y, at + j, count, 0.0))


@over_range
@jit(inline=True)
def _softmax_slope_columns(j, count, dy, y, dx, at, dots):
    difference = read(dy, at + j, count, 0.0) - read(dots, j, count, 0.0)
    write(dx, at + j, count, difference * read(y, at + j, count, 0.0))


@over_range
@jit(inline=True)
def _add(j, count, dy, at, totals):
    write(totals, j, count, read(totals, j, count, 0.0) + read(dy, at + j, count, 0.0))


@over_range
@jit(inline=True)
def _log_softmax_slope_columns(j, count, dy, y, dx, at, totals):
    p = decay(read(y, at + j, count, 0.0))
    write(dx, at + j, count, read(dy, at + j, count, 0.0) - p * read(totals, j, count, 0.0))


@over_units
@jit
def softmax_backward_loops(n, inner, first, last, scratch, dy, y, dx, past_cache):
    """dx = y (dy - dot), dot = sum(dy y)."""
    dots = scratch[0]
    count = last - first
    if inner == 1:
        for row in range(count):
            start = (first + row) * n
            dots[row] = _dot(dy, y, 0.0, start, start + n)
        for row in range(count):
            if past_cache[0]:
                _stream_softmax_slope(dy, (first + row) * n, (first + row + 1) * n, dy, y, dx, dots[row])
            else:
                _softmax_slope(dy, (first + row) * n, (first + row + 1) * n, dy, y, dx, dots[row])
    else:
        at = slice_at(first, n, inner)
        for j in range(count):
            dots[j] = 0.0
        for i in range(n):
            _add_products(dy, 0, count, dy, y, at + i * inner, dots)
        for i in range(n):
            _softmax_slope_columns(dy, 0, count, dy, y, dx, at + i * inner, dots)


@over_units
@jit
def log_softmax_backward_loops(n, inner, first, last, scratch, dy, y, dx, past_cache):
    """dx = dy - exp(y) total, total = sum(dy)."""
    totals = scratch[0]
    count = last - first
    if inner == 1:
        for row in range(count):
            start = (first + row) * n
            totals[row] = _sum(dy, dy, 0.0, start, start + n)
        for row in range(count):
            if past_cache[0]:
                _stream_log_softmax_slope(dy, (first + row) * n, (first + row + 1) * n, dy, y, dx, totals[row])
            else:
                _log_softmax_slope(dy, (first + row) * n, (first + row + 1) * n, dy, y, dx, totals[row])
    else:
        at = slice_at(first, n, inner)
        for j in range(count):
            totals[j] = 0.0
        for i in range(n):
            _add(dy, 0, count, dy, at + i * inner, totals)
        for i in range(n):
            _log_softmax_slope_columns(dy, 0, count, dy, y, dx, at + i * inner, totals)


@jit
def scaled_softmax(n, inner, first, last, scratch, x, lse, factors, dx):
    """``dx = softmax(x) factor``, with one factor a slice.

    `lse` only keeps the exponentials from overflowing: they are divided by their own sum, for a rounded lse would shift
    them all by as much as its last digit is worth. Where that sum is not a number or infinite, they are left alone.
    """
    shifts, totals, wide_totals = scratch
    count = last - first
    if inner == 1:
        for s in range(first, last):
            total = store_decay(x, dx, s * n, (s + 1) * n, lse[s])
            scale(dx, s * n, (s + 1) * n, dx, dx.dtype.type(factors[s] / (total if np.isfinite(total) else 1.0)))
        return
    at = slice_at(first, n, inner)
    for j in range(count):
        shifts[j] = lse[first + j]
    store_column_decays(x, at, n, inner, count, shifts, totals, 0, wide_totals, dx)
    for j in range(count):
        totals[j] = factors[first + j] / totals[j] if np.isfinite(totals[j]) else factors[first + j]
    for i in range(n):
        scale_columns(dx, 0, count, dx, at + i * inner, totals)


@over_range
@jit(inline=True)
def _scaled_decay(i, count, x, dx, shift, factor):
    write(dx, i, count, decay(read(x, i, count, 0.0) - shift) * factor)


@over_range
@jit(inline=True)
def _scaled_decay_columns(j, count, x, dx, at, shifts, factors, to):
    e = decay(read(x, at + j, count, 0.0) - read(shifts, to + j, count, 0.0))
    write(dx, at + j, count, e * read(factors, to + j, count, 0.0))


@over_units
@jit
def logsumexp_backward_loops(n, inner, first, last, scratch, x, dy, y, dx):
    """dx = exp(x - y) dy where the rounding of y does not count, else softmax(x) dy."""
    near = True
    for slice in range(first, last):
        near &= abs(y[slice]) <= NEAR
    if not near:
        scaled_softmax(n, inner, first, last, scratch, x, y, dy, dx)
    elif inner == 1:
        for row in range(first, last):
            _scaled_decay(x, row * n, (row + 1) * n, x, dx, y[row], dy[row])
    else:
        at = slice_at(first, n, inner)
        for i in range(n):
            _scaled_decay_columns(x, 0, last - first, x, dx, at + i * inner, y, dy, first)


@jit
def softmax_rows(x, out):
    """Softmax of the rows of a 2-D array, for use in jitted code."""
    softmax_loops(x.shape[0], x.shape[1], 1, 1, x, out)


@jit
def log_softmax_rows(x, out):
    """Log-softmax of the rows of a 2-D array, for use in jitted code."""
    log_softmax_loops(x.shape[0], x.shape[1], 1, 1, x, out)


@jit
def logsumexp_rows(x, out):
    """Logsumexp of the rows of a 2-D array, for use in jitted code."""
    logsumexp_loops(x.shape[0], x.shape[1], 1, 1, x, out)


VARIANTS = {
    "softmax": {"naive": softmax_naive, "fast": softmax_rows},
    "log_softmax": {"naive": log_softmax_naive, "fast": log_softmax_rows},
    "logsumexp": {"naive": logsumexp_naive, "fast": logsumexp_rows},
}


# --- public functions ------------------------------------------------------------------------------------------------


def softmax(x, dim=-1):
    """Exponentials along `dim`, scaled so that they sum to 1.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int

    Returns
    -------
    ndarray
        Like `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`.

    Example
    -------
    >>> softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    return _forward("softmax", softmax_loops, x, dim)


def softmax_backward(dy, y, dim=-1):
    """Gradient of `softmax`, from its output `y`."""
    return _backward("softmax_backward", softmax_backward_loops, dy, y, dim)


def log_softmax(x, dim=-1):
    """Logarithm of `softmax`, without its underflow; arguments and errors as there.

    Example
    -------
    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return _forward("log_softmax", log_softmax_loops, x, dim)


def log_softmax_backward(dy, y, dim=-1):
    """Gradient of `log_softmax`, from its output `y`."""
    return _backward("log_softmax_backward", log_softmax_backward_loops, dy, y, dim)


def _forward(operation, loops, x, dim):
    x = _checks.floats(operation, "x", x)
    outer, n, inner = split(operation, x, dim)
    y = _checks.new(x.shape, x.dtype)
    if x.ndim == 1:
        loops(outer, n, inner, threads_for(n), x, y)
    elif x.size:
        loops(outer, n, inner, threads_for(x.size), x.ravel(), y.ravel())
    return y


def _backward(operation, loops, dy, y, dim):
    dy, y = _checks.floats(operation, "dy", dy), _checks.floats(operation, "y", y)
    _checks.same_dtype(operation, dy=dy, y=y)
    expect_shape(operation, "dy", dy, y.shape)
    outer, n, inner = split(operation, y, dim)
    dx = _checks.new(y.shape, y.dtype)
    if y.size:
        aligned = dx.ctypes.data % vector_bytes() == 0 and n % lanes(dx.dtype) == 0
        # past the caches where none could keep dx until it is read
        past_cache = inner == 1 and aligned and 3 * dx.nbytes > cache_bytes(3)
        loops(outer, n, inner, threads_for(y.size), dy.ravel(), y.ravel(), dx.ravel(), np.array([past_cache]))
    return dx


def logsumexp(x, dim, keepdim=False):
    """Logarithm of the sum of exponentials over `dim`, without overflow.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int, tuple of int, or None
        Axes to reduce; None: all.
    keepdim : bool
        Whether the reduced axes stay, with length 1.

    Returns
    -------
    ndarray
        In the dtype of `x`; over nothing it is -inf.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`, or named twice.

    Example
    -------
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
    """Gradient of `logsumexp`, from its input `x` and its output `y`: the softmax, whose sum is 1 however large `x` is.
    (PyTorch 2.13 takes exp(x - y), whose sum is not.)

    Raises
    ------
    ValueError
        If `dy` or `y` has not the shape of the forward's result.
    """
    operation = "logsumexp_backward"
    dy, x, y = (_checks.floats(operation, name, array) for name, array in (("dy", dy), ("x", x), ("y", y)))
    _checks.same_dtype(operation, dy=dy, x=x, y=y)
    axes = reduced_axes(operation, dim, x.ndim)
    shape = reduced_shape(x.shape, axes, keepdim)
    expect_shape(operation, "dy", dy, shape)
    expect_shape(operation, "y", y, shape)
    layout = list(runs(x.shape, axes))
    order = tuple(range(x.ndim))
    if len(layout) != 1:  # scattered axes are moved together, to the end
        order = tuple([axis for axis in order if axis not in axes]) + axes
        x = np.ascontiguousarray(x.transpose(order))
        layout = [(y.size, x.size // max(y.size, 1), 1)]
    dx = _checks.new(x.shape, x.dtype)
    if x.size:
        logsumexp_backward_loops(*layout[0], threads_for(x.size), x.ravel(), dy.ravel(), y.ravel(), dx.ravel())
    return np.ascontiguousarray(dx.transpose(np.argsort(order)))
