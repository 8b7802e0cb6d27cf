"""The last pass of every normalisation, ``y = (x - center) * scale + shift``, and the stores it ends in.

x - center comes first, for it is exact where x lies near its mean: with scale and shift alone, a mean of 1000 would
cost three digits. What rounding the mean to `center` drops is part of `shift`.
"""

from kernels._jit import jit
from kernels.reduction.ranges import over_range, read, write, write_past
from kernels.simd import fma, lane_count, select
from kernels.simd.stream import until_aligned

TASK = 16 * 1024  # elements of a task, some 5 us of work: handing it out costs nothing beside that
NOTHING = float("-inf")  # the least value of a result, where none is cut off


def streamable(make):
    """Jitted ``loop(y, start, stop, past, *arguments)`` over the body that ``make(put)`` returns, where `put` stores a
    vector in the array `y`. With `past` that goes around the caches, apart from the ends, which share cache lines.
    """
    plain, streaming = over_range(make(write)), over_range(make(write_past))

    @jit(fastmath=False)
    def loop(y, start, stop, past, *arguments):
        if past:
            first = min(start + until_aligned(y, start), stop)
            last = first + (stop - first) // lane_count(y) * lane_count(y)
            plain(y, start, first, y, *arguments)
            streaming(y, first, last, y, *arguments)
            plain(y, last, stop, y, *arguments)
        else:
            plain(y, start, stop, y, *arguments)

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
