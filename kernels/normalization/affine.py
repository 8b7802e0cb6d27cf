"""The last pass of every normalisation, ``y = (x - center) * scale + shift``, and the stores it ends in.

x - center comes first, for it is exact where x lies near its mean: with scale and shift alone, a mean of 1000 would
cost three digits. What rounding the mean to `center` drops is part of `shift`.
"""

import numpy as np

from kernels._jit import jit
from kernels.reduction.ranges import over_range, read, write, write_past
from kernels.simd import fma, lane_count, select
from kernels.simd.stream import until_aligned

TASK = 16 * 1024  # elements of a task, some 5 us of work: handing it out costs nothing beside that
NOTHING = np.float64("-inf")  # the least value of a result, where none is cut off


def streamable(make):
    """Jitted ``loop(y, start, stop, past, *arguments)`` over the body that ``make(put)`` returns, where `put` stores a
    vector in the array `y`. With `past` that goes around the caches, apart from the ends, which share cache lines.
    """
    plain, streaming = over_range(make(write)), over_range(make(write_past))

    @jit(fastmath=False)
    def loop(y, start, stop, past, *arguments):
        first = last = stop
        if past:
            first = min(start + until_aligned(y, start), stop)
            last = first + (stop - first) // lane_count(y) * lane_count(y)
        low, high = start, first
        for end in range(2):  # not written twice, for each copy of the loops takes its time to compile
            plain(y, low, high, y, *arguments)
            if end == 0 and past:
                streaming(y, first, last, y, *arguments)
            low, high = last, stop

    return loop


@streamable
def scale_range(put):
    """``y[i] = max((x[i] - center) * scale + shift, least)``, in which a NaN stays."""

    @jit(inline=True, fastmath=False)
    def body(i, count, y, x, center, scale, shift, least):
        z = fma(read(x, i, count, 0.0) - center, scale, shift)
        put(y, i, count, select(z < least, least, z))

    return body


@jit(inline=True, fastmath=False)
def folded(mean, rstd, weight, bias, like):
    """Center, scale and shift of ``(x - mean) * rstd * weight + bias``, from float64."""
    center = like.dtype.type(mean)
    scale = rstd * weight
    return center, scale, bias - (mean - center) * scale


@jit(inline=True)
def update(running_mean, running_var, unit, mean, square, n, momentum):
    """Running mean and (unbiased) variance move towards this batch's by `momentum`."""
    running_mean[unit] = (1.0 - momentum) * running_mean[unit] + momentum * mean
    running_var[unit] = (1.0 - momentum) * running_var[unit] + momentum * (square / (n - 1.0))
