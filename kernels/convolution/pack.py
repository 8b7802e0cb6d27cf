"""What a thread copies before it multiplies: blocks of x with their padding, and panels of weights."""

import numpy as np

from kernels._jit import jit
from kernels.gemm.pack import pack_panel
from kernels.simd import (
    even_lanes,
    lane_count,
    load,
    load_between,
    odd_lanes,
    prefetch,
    shifted,
    splat,
    square_load_partial,
    square_transpose,
    store,
    store_partial,
    strided,
    tile_store,
)

FEW_CHANNELS = 5  # fewer than so many are copied one by one
FEW_TAPS = 64  # up to so many elements for each square they are taken from one by one: a transpose takes as long
ZERO = np.int64(0)  # typed: Numba compiles a callee anew for each literal argument


@jit(inline=True)
def _zeros(block, start, stop):
    """Zero these elements, and up to lanes - 1 after them."""
    for i in range(start, stop, lane_count(block)):
        store(block, i, splat(block, 0.0))


@jit
def copy_block(x, sizes, start, extents, channels, block, channel_stride):
    """Copy a block of x, of as many channels, with zeros where it lies outside x.

    The block begins at position ``start`` of each channel (which may be negative) and has ``extents`` elements along
    depth, height and width; its copy's channels lie `channel_stride` apart. All is written front to back in whole
    vectors, each over the surplus of the one before: up to lanes - 1 elements after the last may be overwritten.
    """
    depth, height, width = extents
    channel_size = sizes[0] * sizes[1] * sizes[2]
    left, right = min(max(-start[2], 0), width), min(max(sizes[2] - start[2], 0), width)
    for c in range(channels):
        for d in range(depth):
            for h in range(height):
                to = c * channel_stride + (d * height + h) * width
                at_d, at_h = start[0] + d, start[1] + h
                if at_d < 0 or at_d >= sizes[0] or at_h < 0 or at_h >= sizes[1] or left >= right:
                    _zeros(block, to, to + width)
                    continue
                at = ((c * sizes[0] + at_d) * sizes[1] + at_h) * sizes[2] + start[2]
                for i in range(0, width, lane_count(x)):  # contiguous in both; zeros up to `left` and from `right` on
                    prefetch(x, at + i + channel_size)  # the next channel lies in another page
                    store(block, to + i, load_between(x, at + i, left - i, right - i))


def _row_interleaved(channels):
    """Copies `count` elements of a row of so many channels, X, side by side: the compiler unrolls the inner loop, and
    makes vectors of the outer one."""

    @jit
    def interleave(X, count, to):
        for w in range(count):
            for c in range(channels):
                to[w * channels + c] = X[c, w]

    return interleave


_interleave_1, _interleave_2, _interleave_3, _interleave_4 = (_row_interleaved(n) for n in range(1, FEW_CHANNELS))


@jit
def _interleave_channels(x, sizes, start, extents, channels, block):
    """`copy_channels_last` of a few channels without a gap."""
    depth, height, width = extents
    channel_size = sizes[0] * sizes[1] * sizes[2]
    left, right = min(max(-start[2], 0), width), min(max(sizes[2] - start[2], 0), width)
    for row in range(depth * height):
        d, h = divmod(row, height)
        to, at_d, at_h = shifted(block, row * width * channels), start[0] + d, start[1] + h
        outside = at_d < 0 or at_d >= sizes[0] or at_h < 0 or at_h >= sizes[1] or left >= right
        first, last = (width, width) if outside else (left, right)
        _zeros(to, ZERO, first * channels)
        at = (at_d * sizes[1] + at_h) * sizes[2] + start[2]
        X, inside = strided(shifted(x, at + first), channel_size, 1), shifted(to, first * channels)
        if channels == 1:
            _interleave_1(X, last - first, inside)
        elif channels == 2:
            _interleave_2(X, last - first, inside)
        elif channels == 3:
            _interleave_3(X, last - first, inside)
        else:
            _interleave_4(X, last - first, inside)
        _zeros(to, last * channels, width * channels)


@jit
def copy_channels_last(x, sizes, start, extents, channels, block, pixel_stride):
    """`copy_block` with the channels of a pixel side by side, `pixel_stride` apart from those of the next; channels
    that fill up the last vector are zero.

    Up to lanes - 1 pixels after the last may be overwritten.
    """
    depth, height, width = extents
    lanes, channel_size = lane_count(x), sizes[0] * sizes[1] * sizes[2]
    left, right = min(max(-start[2], 0), width), min(max(sizes[2] - start[2], 0), width)
    if pixel_stride == channels < FEW_CHANNELS:  # most of a square would be empty
        _interleave_channels(x, sizes, start, extents, channels, block)
        return
    # The last channels first: without a gap, the vector that holds them reaches into the first ones of the next pixel.
    for c in range((channels - 1) // lanes * lanes, -1, -lanes):
        for row_of_block in range(depth * height):
            d, h = divmod(row_of_block, height)
            row, at_d, at_h = strided(block, pixel_stride, 1).at(row_of_block * width, c), start[0] + d, start[1] + h
            if at_d < 0 or at_d >= sizes[0] or at_h < 0 or at_h >= sizes[1] or left >= right:
                for w in range(width):
                    store(row.row(w), 0, splat(block, 0.0))
                continue
            for w in range(left):
                store(row.row(w), 0, splat(block, 0.0))
            X = strided(shifted(x, c * channel_size + (at_d * sizes[1] + at_h) * sizes[2] + start[2]), channel_size, 1)
            for w in range(left, right, lanes):
                square = square_load_partial(X.column(w), channels - c, right - w)
                tile_store(row.row(w), square_transpose(square))
            for w in range(right, width):  # what the last square wrote too far, among them
                store(row.row(w), 0, splat(block, 0.0))


@jit
def copy_by_phase(x, sizes, start, extents, channels, block, channel_stride, stride):
    """`copy_block` with the elements of each row sorted by phase, their position modulo `stride`: what one tap reads
    for a vector of outputs is then contiguous. Each of the `stride` phases is ``ceil(width / stride)`` long."""
    depth, height, width = extents
    lanes, length = lane_count(x), (width + stride - 1) // stride
    for c in range(channels):
        for row in range(depth * height):
            d, h = divmod(row, height)
            to, at_d, at_h = c * channel_stride + row * length * stride, start[0] + d, start[1] + h
            at = ((c * sizes[0] + at_d) * sizes[1] + at_h) * sizes[2] + start[2]
            outside = at_d < 0 or at_d >= sizes[0] or at_h < 0 or at_h >= sizes[1]
            left, right = -start[2], ZERO if outside else sizes[2] - start[2]
            if stride == 2:
                for i in range(0, length, lanes):
                    a = load_between(x, at + 2 * i, left - 2 * i, right - 2 * i)
                    b = load_between(x, at + 2 * i + lanes, left - 2 * i - lanes, right - 2 * i - lanes)
                    store_partial(block, to + i, length - i, even_lanes(a, b))
                    store_partial(block, to + length + i, length - i, odd_lanes(a, b))
                continue
            for phase in range(stride):
                for i in range(length):
                    w = i * stride + phase
                    block[to + phase * length + i] = 0.0 if w < left or w >= right else x[at + w]


@jit
def pack_weights(W, plan, present, channels, width, panel, square):
    """Pack the weights of `present` output channels as rows of `width`: one row for each summed channel and tap.

    W[m, c] is the first element of a kernel, whose taps are contiguous; of these the plan's are taken. `square` is
    memory for the transpose of all taps of a vector of output channels (`square_size`).
    """
    lanes, taps = lane_count(panel), plan.taps
    size, count = plan.kernel_size, taps[0] * taps[1] * taps[2]
    if size == 1 or (W.column_stride == size and count == size and plan.first_tap == 0):  # all, in order: a matrix
        matrix = strided(W, W.row_stride, W.column_stride if size == 1 else 1)
        pack_panel(matrix, present, width, channels * size, panel)
        return
    strides = plan.tap_strides
    for c in range(channels):
        for r in range(0, width, lanes):
            kernels, to, rows = strided(W.at(r, c), W.row_stride, 1), c * count * width + r, min(lanes, present - r)
            few = count * rows < FEW_TAPS * ((size + lanes - 1) // lanes)
            if not few:
                for t in range(0, size, lanes):
                    tile = square_transpose(square_load_partial(kernels.column(t), rows, size - t))
                    tile_store(strided(shifted(square, t * lanes), lanes, 1), tile)
            for i in range(taps[0]):
                for j in range(taps[1]):
                    for k in range(taps[2]):
                        tap = plan.first_tap + i * strides[0] + j * strides[1] + k * strides[2]
                        if few:
                            store(panel, to, splat(panel, 0.0))
                            for m in range(rows):
                                panel[to + m] = kernels[m, tap]
                        else:
                            store(panel, to, load(square, tap * lanes))
                        to += width


@jit
def square_size(taps, lanes):
    """Elements of `square`, as `pack_weights` and `store_tile` need it."""
    return (taps + lanes - 1) // lanes * lanes * lanes


@jit
def pack_outputs(dy, sizes, outputs, present, width, panel):
    """Pack a block of one image's outputs, output channels side by side; dy begins at the block's first output."""
    plane, packed = sizes[0] * sizes[1] * sizes[2], 0
    for d in range(outputs[0]):
        if outputs[2] == sizes[2]:  # whole rows are contiguous
            X, pixels = strided(shifted(dy, d * sizes[1] * sizes[2]), plane, 1), outputs[1] * outputs[2]
            pack_panel(X, present, width, pixels, shifted(panel, packed * width))
            packed += pixels
        else:
            for h in range(outputs[1]):
                X = strided(shifted(dy, (d * sizes[1] + h) * sizes[2]), plane, 1)
                pack_panel(X, present, width, outputs[2], shifted(panel, packed * width))
                packed += outputs[2]
