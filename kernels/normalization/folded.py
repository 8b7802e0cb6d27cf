"""Batch norm in evaluation: its mean and deviation are constants, so it is one multiply-add an element.

    y = x scale + shift          scale = weight / sqrt(var + eps)          shift = bias - mean scale

The array is passed over as it lies, whatever the channels: piece by piece where those are contiguous, else row by row
with a scale and a shift for each element of the row.
"""

import numpy as np

from kernels._jit import jit
from kernels._shares import share_out
from kernels.normalization.affine import TASK, streamable
from kernels.reduction.ranges import read
from kernels.simd import flat, fma, lane_count, select
from kernels.simd.stream import streaming_done


@streamable
def _scale_piece(put):
    @jit(inline=True)
    def body(i, count, y, x, scale, shift, least):
        z = fma(read(x, i, count, 0.0), scale, shift)
        put(y, i, count, select(z < least, least, z))

    return body


@streamable
def _scale_row(put):
    @jit(inline=True)
    def body(i, count, y, x, scales, shifts, behind, least):
        z = fma(read(x, i, count, 0.0), read(scales, i - behind, count, 0.0), read(shifts, i - behind, count, 0.0))
        put(y, i, count, select(z < least, least, z))

    return body


@jit
def _scale_segments(first, last, size, by_row, x, scales, shifts, least, past, y):
    """Segments of `size` elements: rows, with a scale for each element, or pieces, with one for each in turn."""
    source, target, each_scale, each_shift = flat(x), flat(y), flat(scales), flat(shifts)
    for segment in range(first, last):
        start = segment * size
        if by_row:
            _scale_row(target, start, start + size, past, source, each_scale, each_shift, start, least)
        else:
            channel = segment % scales.size
            _scale_piece(target, start, start + size, past, source, scales[channel], shifts[channel], least)
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
    scales, shifts = np.empty(channels * repeats, x.dtype), np.empty(channels * repeats, x.dtype)
    for channel in range(channels):
        deviation = 1.0 / np.sqrt(var[channel] + np.float64(eps))
        rstd[channel] = deviation
        scale = deviation * weight[channel]
        shift = bias[channel] - mean[channel] * scale
        for k in range(channel * repeats, (channel + 1) * repeats):
            scales[k], shifts[k] = scale, shift
    size = scales.size if by_row else length
    segments, share = x.size // size, max(1, TASK // size)
    arguments = size, by_row, x, scales, shifts, least, past, y
    share_out(_scale_segments, segments, share, threads, arguments)
