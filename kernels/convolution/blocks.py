"""What a thread copies before it multiplies: a block of x with its padding, and panels of weights."""

from kernels._jit import jit
from kernels.gemm.offsets import pack_panel
from kernels.simd import lane_count, load, load_partial, prefetch, splat, square_transpose, store
from kernels.simd.offsets import square_load_partial, tile_store


@jit(inline=True)
def _zeros(block, start, stop):
    """At least these; up to lanes - 1 elements behind them, too."""
    for i in range(start, stop, lane_count(block)):
        store(block, i, splat(block, 0.0))


@jit
def copy_block(x, ix, sizes, first, extents, channels, block, pitch):
    """Copy a box of x, `channels` channels from the one at `ix`, with zeros where it reaches past x.

    The box begins at position ``first`` (which may be negative) and has ``extents`` elements along depth, height and
    width; in `block` its channels lie `pitch` apart. All is written front to back in whole vectors, each over the
    surplus of the one before: up to lanes - 1 elements behind the last may be overwritten.
    """
    depth, height, width = extents
    plane = sizes[0] * sizes[1] * sizes[2]
    left, right = min(max(-first[2], 0), width), min(max(sizes[2] - first[2], 0), width)
    for c in range(channels):
        for d in range(depth):
            for h in range(height):
                to = c * pitch + (d * height + h) * width
                at_d, at_h = first[0] + d, first[1] + h
                if at_d < 0 or at_d >= sizes[0] or at_h < 0 or at_h >= sizes[1] or left >= right:
                    _zeros(block, to, to + width)
                    continue
                at = ix + ((c * sizes[0] + at_d) * sizes[1] + at_h) * sizes[2] + first[2]
                _zeros(block, to, to + left)
                for i in range(left, width, lane_count(x)):  # contiguous in both; zeros from `right` on
                    prefetch(x, at + i + plane)  # the next channel lies in another page
                    store(block, to + i, load_partial(x, at + i, right - i, 0.0))


@jit
def copy_turned(x, ix, sizes, first, extents, channels, block, depth):
    """`copy_block` of one plane with the channels of an element side by side, `depth` apart from those of the next;
    channels that fill up the last vector are zero.

    Up to lanes - 1 elements behind the last may be overwritten.
    """
    height, width = extents
    lanes, plane = lane_count(x), sizes[1] * sizes[2]
    left, right = min(max(-first[1], 0), width), min(max(sizes[2] - first[1], 0), width)
    for c in range(0, channels, lanes):
        for h in range(height):
            to, at_h = h * width * depth + c, first[0] + h
            if at_h < 0 or at_h >= sizes[1] or left >= right:
                for w in range(width):
                    store(block, to + w * depth, splat(block, 0.0))
                continue
            for w in range(left):
                store(block, to + w * depth, splat(block, 0.0))
            at = ix + c * plane + at_h * sizes[2] + first[1]
            for w in range(left, right, lanes):
                square = square_load_partial(x, at + w, plane, channels - c, right - w)
                tile_store(block, to + w * depth, depth, square_transpose(square))
            for w in range(right, width):  # what the last square wrote too far, among them
                store(block, to + w * depth, splat(block, 0.0))


@jit
def copy_split(x, ix, sizes, first, extents, channels, block, pitch, stride):
    """`copy_block` with the elements of each row sorted by their position modulo `stride`: what a vector of outputs
    meets at one tap then lies side by side. Each of the `stride` parts is ``ceil(width / stride)`` long."""
    depth, height, width = extents
    part = (width + stride - 1) // stride
    for c in range(channels):
        for d in range(depth):
            for h in range(height):
                to = c * pitch + (d * height + h) * part * stride
                at_d, at_h = first[0] + d, first[1] + h
                at = ix + ((c * sizes[0] + at_d) * sizes[1] + at_h) * sizes[2] + first[2]
                outside = at_d < 0 or at_d >= sizes[0] or at_h < 0 or at_h >= sizes[1]
                for phase in range(stride):
                    for i in range(part):
                        w = first[2] + i * stride + phase
                        beyond = outside or w < 0 or w >= sizes[2]
                        block[to + phase * part + i] = 0.0 if beyond else x[at + i * stride + phase]


@jit
def pack_weights(weight, iw, across, along, taps, first, rounds, steps, present, channels, width, panel, turned):
    """Pack the weights of `present` output channels, `across` apart, as rows of `width`: one for each summed channel
    (`along` apart) and tap.

    Of a channel's `taps` taps those at ``first + i*steps[0] + j*steps[1] + k*steps[2]`` are taken, for the numbers
    ``rounds`` of i, j and k. `turned` is room for their transpose.
    """
    lanes = lane_count(weight)
    every = rounds[0] * rounds[1] * rounds[2]
    if taps == 1 or (along == taps and every == taps and first == 0):  # all of them, in order: a strip of a matrix
        pack_panel(weight, iw, across, along if taps == 1 else 1, present, width, channels * taps, panel, 0)
        return
    for c in range(channels):
        for r in range(0, width, lanes):
            for t in range(0, taps, lanes):
                at = iw + c * along + r * across + t
                square = square_load_partial(weight, at, across, present - r, taps - t)
                tile_store(turned, t * lanes, lanes, square_transpose(square))
            to = c * every * width + r
            for i in range(rounds[0]):
                for j in range(rounds[1]):
                    for k in range(rounds[2]):
                        tap = first + i * steps[0] + j * steps[1] + k * steps[2]
                        store(panel, to, load(turned, tap * lanes))
                        to += width


@jit
def turned_size(taps, lanes):
    """Elements of `turned`, as `pack_weights` and `put_tile` need it."""
    return (taps + lanes - 1) // lanes * lanes * lanes
