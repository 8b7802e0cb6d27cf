"""What a thread copies before it multiplies: blocks of x with their padding, and panels of weights."""

from kernels._jit import jit
from kernels.gemm.pack import pack_panel
from kernels.simd import (
    lane_count,
    load,
    load_partial,
    prefetch,
    shifted,
    splat,
    square_load_partial,
    square_transpose,
    store,
    strided,
    tile_store,
)


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
    vectors, each over the surplus of the one before: up to lanes - 1 elements behind the last may be overwritten.
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
                _zeros(block, to, to + left)
                for i in range(left, width, lane_count(x)):  # contiguous in both; zeros from `right` on
                    prefetch(x, at + i + channel_size)  # the next channel lies in another page
                    store(block, to + i, load_partial(x, at + i, right - i, 0.0))


@jit
def copy_channels_last(x, sizes, start, extents, channels, block, pixel_stride):
    """`copy_block` of one plane with the channels of a pixel side by side, `pixel_stride` apart from those of the next;
    channels that fill up the last vector are zero.

    Up to lanes - 1 elements behind the last may be overwritten.
    """
    height, width = extents
    lanes, plane = lane_count(x), sizes[1] * sizes[2]
    left, right = min(max(-start[1], 0), width), min(max(sizes[2] - start[1], 0), width)
    for c in range(0, channels, lanes):
        for h in range(height):
            row, at_h = strided(shifted(block, h * width * pixel_stride + c), pixel_stride, 1), start[0] + h
            if at_h < 0 or at_h >= sizes[1] or left >= right:
                for w in range(width):
                    store(row.row(w), 0, splat(block, 0.0))
                continue
            for w in range(left):
                store(row.row(w), 0, splat(block, 0.0))
            X = strided(shifted(x, c * plane + at_h * sizes[2] + start[1]), plane, 1)
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
    length = (width + stride - 1) // stride
    for c in range(channels):
        for d in range(depth):
            for h in range(height):
                to = c * channel_stride + (d * height + h) * length * stride
                at_d, at_h = start[0] + d, start[1] + h
                at = ((c * sizes[0] + at_d) * sizes[1] + at_h) * sizes[2] + start[2]
                outside = at_d < 0 or at_d >= sizes[0] or at_h < 0 or at_h >= sizes[1]
                for phase in range(stride):
                    for i in range(length):
                        w = start[2] + i * stride + phase
                        beyond = outside or w < 0 or w >= sizes[2]
                        block[to + phase * length + i] = 0.0 if beyond else x[at + i * stride + phase]


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
            kernels = strided(W.at(r, c), W.row_stride, 1)
            for t in range(0, size, lanes):
                tile = square_transpose(square_load_partial(kernels.column(t), present - r, size - t))
                tile_store(strided(shifted(square, t * lanes), lanes, 1), tile)
            to = c * count * width + r
            for i in range(taps[0]):
                for j in range(taps[1]):
                    for k in range(taps[2]):
                        tap = plan.first_tap + i * strides[0] + j * strides[1] + k * strides[2]
                        store(panel, to, load(square, tap * lanes))
                        to += width


@jit
def square_size(taps, lanes):
    """Elements of `square`, as `pack_weights` and `store_tile` need it."""
    return (taps + lanes - 1) // lanes * lanes * lanes
