"""The last pass of all normalisation by mean and variance, ``y = (x - center) * scale + shift``, and its stores.

x - center comes first because it is exact where x lies near its mean; ``x * scale + shift`` in its place would lose
three digits at a mean of 1000. `center` is the mean in the dtype of x; what that rounding drops is part of `shift`.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import flat, fma, lane_count, select, shifted
from kernels.simd.stream import store_streaming, streaming_done, until_aligned

TASK = 16 * 1024  # elements of a task, about 5 us of work: handing it to a thread is cheap in comparison
NO_MINIMUM = np.float64("-inf")  # of a result without a lower bound


class Coefficients(NamedTuple):
    """Of ``(x - center) * scale + shift``: numbers, or memory with one of each per column."""

    center: object
    scale: object
    shift: object


class GradientCoefficients(NamedTuple):
    """Of ``dx = dy * scale + (x - mean) * rstd * normal_scale + shift``: numbers, or memory with one per column.

    The last two terms are the gradients through the variance and through the mean.
    """

    mean: object
    rstd: object
    scale: object
    normal_scale: object
    shift: object


def stored(value):
    """Jitted ``loop(y, n, streaming, *arguments)``: ``y[i] = value(i, count, *arguments)`` for 0 <= i < n.

    `value` returns a vector; its `count` is that of `read`. With `streaming` the aligned vectors are stored around the
    caches, which `streaming_done` must follow; the two ends are not, for they may share cache lines with other rows.
    """

    @jit(inline=True)
    def store_value(i, count, y, *arguments):
        write(y, i, count, value(i, count, *arguments))

    @jit(inline=True)
    def stream_value(i, count, y, *arguments):
        store_streaming(y, i, value(i, count, *arguments))

    store_range, stream_range = over_range(store_value), over_range(stream_value)

    @jit(fastmath=False)
    def loop(y, n, streaming, *arguments):
        first = last = n  # of the streamed range
        if streaming:
            first = min(until_aligned(y, FIRST), n)
            last = first + (n - first) // lane_count(y) * lane_count(y)
        start, stop = FIRST, first
        for end in range(2):  # a loop, for each copy of the code takes its time to compile
            store_range(y, start, stop, y, *arguments)
            if end == 0 and streaming:
                stream_range(y, first, last, y, *arguments)
            start, stop = last, n

    return loop


@jit(inline=True, fastmath=False)
def _scaled(i, count, x, coefficients, minimum):
    """``max((x[i] - center) * scale + shift, minimum)``; a NaN stays."""
    center, scale, shift = coefficients
    z = fma(read(x, i, count, 0.0) - center, scale, shift)
    return select(z < minimum, minimum, z)


@jit(inline=True, fastmath=False)
def _scaled_by_column(j, count, x, coefficients, minimum):
    """``max((x[j] - center[j]) * scale[j] + shift[j], minimum)``; a NaN stays."""
    centers, scales, shifts = coefficients
    d = read(x, j, count, 0.0) - read(centers, j, count, 0.0)
    z = fma(d, read(scales, j, count, 0.0), read(shifts, j, count, 0.0))
    return select(z < minimum, minimum, z)


scale_row = stored(_scaled)  # scale_row(y, n, streaming, x, coefficients, minimum)
_scale_columns = stored(_scaled_by_column)


@jit(fastmath=False)
def scale_rows(first, last, x, coefficients, minimum, streaming, y):
    """Scale rows whose columns have coefficients of their own."""
    n, X, Y = coefficients.scale.size, flat(x), flat(y)
    columns = Coefficients(flat(coefficients.center), flat(coefficients.scale), flat(coefficients.shift))
    for row in range(first, last):
        _scale_columns(shifted(Y, row * n), n, streaming, shifted(X, row * n), columns, minimum)
    if streaming:
        streaming_done()


@jit(inline=True, fastmath=False)
def coefficients_of(mean, rstd, weight, bias, like):
    """`Coefficients` of ``(x - mean) * rstd * weight + bias``, from float64; the center in the dtype of `like`."""
    center = like.dtype.type(mean)
    scale = rstd * weight
    return Coefficients(center, scale, bias - (mean - center) * scale)


@jit(inline=True)
def update(running_mean, running_var, group, mean, square, n, momentum):
    """Move running mean and (unbiased) variance towards those of n elements; `square` is their sum of squared
    deviations."""
    running_mean[group] = (1.0 - momentum) * running_mean[group] + momentum * mean
    running_var[group] = (1.0 - momentum) * running_var[group] + momentum * (square / (n - 1.0))
