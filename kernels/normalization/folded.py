"""Batch norm in evaluation: its mean and deviation are constants, so it is one multiply-add an element.

    y = (x - mean) scale + bias          scale = weight / sqrt(var + eps)

The mean is subtracted first, which is exact where x lies near it; bias - mean scale could lose its digits, or overflow.
The array is passed over as it lies, whatever the channels: piece by piece where those are contiguous, else row by row
with a mean, a scale and a bias for each element of the row.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.normalization.affine import TASK, streamable
from kernels.reduction.ranges import read
from kernels.simd import flat, fma, lane_count, select
from kernels.simd.stream import streaming_done


@streamable
def _scale_piece(put):
    @jit(inline=True, fastmath=False)
    def body(i, count, y, x, center, scale, shift, least):
        z = fma(read(x, i, count, 0.0) - center, scale, shift)
        put(y, i, count, select(z < least, least, z))

    return body


@streamable
def _scale_row(put):
    @jit(inline=True, fastmath=False)
    def body(i, count, y, x, centers, scales, shifts, behind, least):
        d = read(x, i, count, 0.0) - read(centers, i - behind, count, 0.0)
        z = fma(d, read(scales, i - behind, count, 0.0), read(shifts, i - behind, count, 0.0))
        put(y, i, count, select(z < least, least, z))

    return body


@jit
def _scale_segments(first, last, size, by_row, x, centers, scales, shifts, least, past, y):
    """Segments of `size` elements: rows, with a scale for each element, or pieces, with one for each in turn."""
    source, target, each = flat(x), flat(y), (flat(centers), flat(scales), flat(shifts))
    for segment in range(first, last):
        start = segment * size
        if by_row:
            _scale_row(target, start, start + size, past, source, *each, start, least)
        else:
            channel = segment % scales.size
            arguments = centers[channel], scales[channel], shifts[channel], least
            _scale_piece(target, start, start + size, past, source, *arguments)
    if past:
        streaming_done()


@jit
def scale_channels(length, x, mean, var, weight, bias, eps, rstd, least, past, y, threads):
    """``y = max((x - mean) / sqrt(var + eps) * weight + bias, least)`` for an x of shape (rows, channels, length).

    rstd receives the ``1 / sqrt(var + eps)``.
    """
    channels = weight.size
    by_row = length < lane_count(x)
    repeats = length if by_row else 1
    coefficients = np.empty((3, channels * repeats), x.dtype)
    centers, scales, shifts = coefficients[0], coefficients[1], coefficients[2]
    for channel in range(channels):
        deviation = 1.0 / np.sqrt(var[channel] + np.float64(eps))
        rstd[channel] = deviation
        scale = deviation * weight[channel]
        for k in range(channel * repeats, (channel + 1) * repeats):
            centers[k], scales[k], shifts[k] = mean[channel], scale, bias[channel]
    size = scales.size if by_row else length
    segments, grain = x.size // size, max(1, TASK // size)
    arguments = size, by_row, x, centers, scales, shifts, least, past, y
    parallel_for(_scale_segments, segments, grain, threads, arguments)
