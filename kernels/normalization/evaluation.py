"""Batch norm in evaluation: its mean and variance are constants, so it is one multiply-add an element.

    y = (x - mean) * scale + bias          scale = weight / sqrt(var + eps)

As in training, the mean is subtracted first: ``bias - mean * scale`` could lose its digits, or overflow. The array is
passed over in the order of memory, whatever the channels: plane by plane where those are at least a vector long, else
row by row, with a mean, a scale and a bias for each element of the row.
"""

import numpy as np
from numba import boolean, float64, int64
from numba.types import Tuple, UniTuple

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.normalization.scaling import TASK, Coefficients, scale_row, scale_rows
from kernels.simd import flat, lane_count, strided
from kernels.simd.stream import streaming_done


@jit
def _scale_planes(first, last, length, x, coefficients, minimum, streaming, y):
    """Planes of `length` elements, which belong to the channels in turn."""
    X, Y = strided(flat(x), length, 1), strided(flat(y), length, 1)
    centers, scales, shifts = coefficients
    for plane in range(first, last):
        channel = plane % scales.size
        of_channel = Coefficients(centers[channel], scales[channel], shifts[channel])
        scale_row(Y.row(plane), length, streaming, X.row(plane), of_channel, minimum)
    if streaming:
        streaming_done()


@jit
def _loops(length, x, affine, statistics, options, y, threads):
    """``y = max((x - mean) / sqrt(var + eps) * weight + bias, minimum)`` for an x of shape (rows, channels, length).

    The tuples are (weight, bias) and (mean, var, rstd) by channel, of which rstd receives ``1 / sqrt(var + eps)``, and
    (eps, minimum, streaming) as in `Options`; x and y are flat.
    """
    weight, bias = affine
    mean, var, rstd = statistics
    eps, minimum, streaming = options
    channels = weight.size
    by_row = length < lane_count(x)
    columns = length if by_row else 1  # with coefficients of their own, of a channel
    each = np.empty((3, channels * columns), x.dtype)
    coefficients = Coefficients(each[0], each[1], each[2])
    for channel in range(channels):
        reciprocal = 1.0 / np.sqrt(var[channel] + np.float64(eps))
        rstd[channel] = reciprocal
        scale = reciprocal * weight[channel]
        for k in range(channel * columns, (channel + 1) * columns):
            each[0, k], each[1, k], each[2, k] = mean[channel], scale, bias[channel]
    size = channels * length if by_row else length
    items, grain = x.size // size, max(1, TASK // size)
    if by_row:
        parallel_for(scale_rows, items, grain, threads, (x, coefficients, minimum, streaming, y))
    else:
        parallel_for(_scale_planes, items, grain, threads, (length, x, coefficients, minimum, streaming, y))


def _types(kind):
    x = kind[::1]
    return int64, x, UniTuple(x, 2), UniTuple(x, 3), Tuple((float64, float64, boolean)), x, int64


scale_channels = Compiled(_loops, _types)
