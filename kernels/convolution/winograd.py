r"""Winograd's convolutions F(2 × 2, 3 × 3) and F(4 × 4, 3 × 3): fewer products from sums formed beforehand [1]_.

.. math:: Y = A^\top \left[ (G g G^\top) \odot (B^\top d B) \right] A

g are the 3 × 3 taps, Y a tile of S × S outputs, d the tile of S + 2 × S + 2 elements of x that they need; tiles of x
overlap by two. The matrices are in `transforms`. The sum over channels commutes with the outer transforms: one matrix
product (tiles × channels × output channels) for each of the (S + 2)² places of a tile. Of the 9 S² products of the taps
there remain 16 for 36 (S = 2), or 36 for 144 (S = 4). The transforms pay from FEWEST_CHANNELS channels on, and cost
accuracy: sums of x are rounded before they are multiplied, those of S = 4 with factors of up to 100.

A task is a block of outputs, some tiles of one image or of several, in some of the output channels. Where the
transformed weights of all channels fit, a thread keeps them for all its blocks. Where they do not, some channels are
summed at a time, and what is kept is the sums of the block's tiles: each round transforms its channels of x once for
all output channels of the task, and their weights once for all tiles of the block:

    for group, output channels, block of tiles: a task
        for c: V = Bᵀ d B of all its tiles
            for panel of NR output channels: U = G g Gᵀ (unless kept); for each of the (S + 2)² places: M (+)= V U
                after the last c: y = Aᵀ M A

.. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.correlation import MIN_TASKS, Operands, Result, weights_at
from kernels.convolution.micro import (
    MR,
    Epilogue,
    store_tile,
    tile_width,
)
from kernels.convolution.pack import pack_weights, square_size
from kernels.convolution.plan import Shape, block_at, block_counts, decode, encode, is_plane_by_plane, product
from kernels.convolution.transforms import TRANSFORMS
from kernels.convolution.winograd_tiles import (
    ONE,
    Matrices,
    Memory,
    Source,
    block_count,
    evenly,
    first_of,
    largest_tiles,
    multiply_places,
    tile_count,
    tiles_of,
    tiles_transformed,
    with_tiles,
)
from kernels.gemm.micro import BIAS, CHAIN, NV, STORE
from kernels.machine import vector_bytes
from kernels.simd import allocate, flat, lane_count, release, shifted, strided

# In bytes, with all else not over 2 MiB a thread: transformed weights or sums that are kept, and tiles of x with their
# block, which are read again for each panel of output channels.
KEPT_BYTES = 9 * 2**17
TILES_BYTES = 3 * 2**18
ROUND = 64  # channels summed at a time, where not all are
FEWEST_CHANNELS = 16  # that make the products, C * M a tile, outweigh the transforms, C + M
MOST_COVERED = 4 / 3  # outputs that dilated tiles may compute for each one that is wanted
PACKED = 32  # channels whose taps are packed at a time
ZERO, TAPS = np.int64(0), np.int64(9)


class Blocks(NamedTuple):
    """What a task takes: images, rows and columns of outputs, in some output channels; and how many channels are summed
    at a time."""

    outputs: tuple
    channels: int
    out_channels: int


class Layout(NamedTuple):
    """Of a thread's memory: elements from one place of the tiles to the next (`…_place`), from one panel of output
    channels to the next (`…_panel`), from one pixel or tile to the next, from one row of outputs to the next."""

    pixel: int
    row: int
    tiles_place: int
    weights_place: int
    sums_place: int
    weights_panel: int
    sums_panel: int


class Scratch(NamedTuple):
    """A thread's memory: one allocation, and where in it the parts begin."""

    weights: object  # transformed: (panels, places, channels, output channels of the panel)
    sums: object  # (panels, places, tiles, output channels of the panel)
    tiles: object  # of x, transformed: (places, tiles, channels)
    block: object  # of x, channels last
    panel: object  # of weights, before they are transformed
    square: object
    rows: object  # of outputs
    half: object  # a tile transformed along one axis


def _loops(side):
    """The loops around the three transforms, for `side` x `side` outputs of a tile."""
    transform_tile, transform_taps, transform_sums = TRANSFORMS[side]
    edge = side + 2

    @jit
    def transform_weights(W, plan, present, channels, layout, scratch, weights):
        """``weights[place, c, m] = (G g Gᵀ)[place]`` for the taps g of `present` output channels."""
        width, place = tile_width(present, weights), layout.weights_place
        for c in range(0, channels, PACKED):
            count = min(PACKED, channels - c)
            pack_weights(W.column(c), plan, present, count, width, scratch.panel, scratch.square)
            for k in range(count):
                for m in range(0, width, lane_count(weights)):
                    g = strided(shifted(scratch.panel, k * TAPS * width + m), 3 * width, width)
                    G = strided(shifted(weights, (c + k) * width + m), edge * place, place)
                    transform_taps(g, scratch.half, G)

    @jit
    def store_outputs(sums, tiles, outputs, present, epilogue, result, layout, scratch):
        """The outputs ``Aᵀ M A`` of a block's tiles, as far as they are among the ``outputs`` of each image."""
        (along_h, along_w), width, place = tiles.dilation, tile_width(present, sums), layout.sums_place
        t = 0
        for image in range(tiles.images):
            for i in range(tiles.rows):
                for j in range(tiles.columns):
                    to = i % along_h * layout.row + first_of(j, side, along_w) * width
                    for m in range(0, width, lane_count(sums)):
                        M = strided(shifted(sums, t * width + m), edge * place, place)
                        Y = strided(shifted(scratch.rows, to + m), along_h * layout.row, along_w * width)
                        transform_sums(M, scratch.half, Y)
                    t += 1
                if (i + 1) % along_h > 0:  # the next tiles' outputs lie between these
                    continue
                first = side * (i + 1 - along_h)
                for k in range(min(side * along_h, outputs[1] - first)):
                    row = strided(shifted(scratch.rows, k * layout.row), width, 1)
                    to = image * result.strides[0] + (first + k) * result.strides[1]
                    pixels = strided(shifted(result.memory, to), result.channel_stride, result.strides[2])
                    store_tile(row, outputs[2], present, epilogue, pixels, scratch.square)

    return tiles_transformed(side, edge, transform_tile), transform_weights, store_outputs


@jit
def _layout(side, blocks, in_rounds, like):
    """The layout of a thread's memory; `in_rounds`: not all channels are summed at a time."""
    lanes, NR, places = lane_count(like), NV * lane_count(like), (side + 2) ** 2
    images, rows, columns = blocks.outputs
    tiles = images * (rows // side) * (columns // side)
    pixel = (blocks.channels + lanes - 1) // lanes * lanes
    pixel += lanes if pixel % (32 * lanes) == 0 else 0  # the pixels of a tile not in the same cache set
    # nor the places
    tiles_place, weights_place, sums_place = tiles * pixel + lanes, blocks.channels * NR + lanes, tiles * NR + lanes
    weights_panel, sums_panel = (0, places * sums_place) if in_rounds else (places * weights_place, 0)
    row = (columns + lanes) * NR
    return Layout(pixel, row, tiles_place, weights_place, sums_place, weights_panel, sums_panel)


@jit
def _allocate(side, blocks, dilation, layout, like):
    """A thread's memory, to be released at its first part."""
    lanes, NR, places = lane_count(like), NV * lane_count(like), (side + 2) ** 2
    more_panels = (blocks.out_channels + NR - 1) // NR - 1
    sums = places * layout.weights_place + more_panels * layout.weights_panel
    tiles = sums + places * layout.sums_place + more_panels * layout.sums_panel
    block = tiles + places * layout.tiles_place
    extents = blocks.outputs[1] + 2 * dilation[1], blocks.outputs[2] + 2 * dilation[2]
    panel = block + (extents[0] * extents[1] + lanes) * layout.pixel
    square = panel + (min(blocks.channels, PACKED) * TAPS + lanes) * NR
    rows = square + square_size(TAPS, lanes)
    half = rows + side * dilation[1] * layout.row
    whole = allocate(like, half + places * lanes)
    return Scratch(
        whole,
        shifted(whole, sums),
        shifted(whole, tiles),
        shifted(whole, block),
        shifted(whole, panel),
        shifted(whole, square),
        shifted(whole, rows),
        shifted(whole, half),
    )


def _convolution(side):
    transform_input, transform_weights, store_outputs = _loops(side)
    side, places = np.int64(side), np.int64((side + 2) ** 2)

    @jit
    def convolve(first_thread, last_thread, threads, operands, plan, shape, blocks, epilogue):
        """`correlation.correlate` for 3 x 3 taps with stride 1; the plan's depth is the images."""
        _, groups, C, M = shape
        NR, plane, in_rounds = NV * lane_count(operands.out), product(plan.sizes), C > blocks.channels
        counts, parts = block_counts(plan, blocks.outputs), (M + blocks.out_channels - 1) // blocks.out_channels
        tasks, packed = groups * parts * product(counts), np.int64(-1)
        layout = _layout(side, blocks, in_rounds, operands.out)
        scratch = _allocate(side, blocks, plan.dilation, layout, operands.out)
        strides = (groups * M * plan.out_size, plan.out_strides[1], plan.out_strides[2])
        for task in range(first_thread * tasks // threads, last_thread * tasks // threads):
            part, block = divmod(task, product(counts))
            group, first_m = part // parts, part % parts * blocks.out_channels
            place = block_at(plan, blocks.outputs, block, counts)
            image, h, w = place.first
            tiles, corner = tiles_of(place, side, plan.dilation), (ZERO, place.start[1], place.start[2])
            for c in range(0, C, blocks.channels):
                channels = min(blocks.channels, C - c)
                x = shifted(operands.x, ((image * groups + group) * C + c) * plane)
                source = Source(x, groups * C * plane, plan.sizes, corner)
                transformed = Matrices(scratch.tiles, layout.tiles_place, layout.pixel, ONE)
                transform_input(source, tiles, channels, scratch.block, scratch.half, transformed)
                for m in range(first_m, min(first_m + blocks.out_channels, M), NR):
                    present, panel = min(NR, M - m), (m - first_m) // NR
                    weights = shifted(scratch.weights, panel * layout.weights_panel)
                    sums = shifted(scratch.sums, panel * layout.sums_panel)
                    if in_rounds or packed != part:
                        W = weights_at(operands.weight, plan, shape, group, m, c)
                        transform_weights(W, plan, present, channels, layout, scratch, weights)
                    width = tile_width(present, weights)
                    panels = Matrices(weights, layout.weights_place, width, ONE)
                    to = Matrices(sums, layout.sums_place, width, ONE)
                    multiply_places(places, transformed, panels, to, tile_count(tiles), channels, c > 0)
                    if c + channels == C:
                        of_panel = Epilogue(epilogue.mode, shifted(epilogue.bias, group * M + m), epilogue.relu)
                        channel = (image * groups + group) * M + m
                        to = channel * plan.out_size + h * plan.out_strides[1] + w * plan.out_strides[2]
                        result = Result(shifted(operands.out, to), plan.out_size, strides)
                        store_outputs(sums, tiles, place.outputs, present, of_panel, result, layout, scratch)
            packed = part
        release(scratch.weights)

    return convolve


_CHANNELS, _OUT_CHANNELS, _RELU = range(3)  # what `run` encodes after the block


def _in_parallel(convolve):
    @jit
    def convolve_parallel(x, weight, bias, out, numbers, threads):
        plan, shape, outputs, others = decode(numbers)
        blocks = Blocks(outputs, others[_CHANNELS], others[_OUT_CHANNELS])
        epilogue = Epilogue(BIAS if bias.size else STORE, flat(bias), others[_RELU] == 1)
        operands = Operands(flat(x), flat(weight), flat(out))
        parallel_for(convolve, threads, 1, threads, (threads, operands, plan, shape, blocks, epilogue))

    return convolve_parallel


def _types(kind):
    return kind[::1], kind[::1], kind[::1], kind[::1], int64[::1], int64


_compiled = {f"winograd{side}": Compiled(_in_parallel(_convolution(side)), _types) for side in TRANSFORMS}


# --- which blocks ----------------------------------------------------------------------------------------------------


def fits(plan) -> bool:
    """Whether the plan is one of planes and all of their 3 x 3 taps, with stride 1."""
    return is_plane_by_plane(plan) and plan.taps == (1, 3, 3) and plan.stride[1:] == (1, 1)


def pays(plan, C, M) -> bool:
    """Whether "winograd2" is faster than `correlation`: there are products enough, and with a dilation, which makes
    tiles come in squares of them, they do not reach far past the outputs."""
    steps = 2 * plan.dilation[1], 2 * plan.dilation[2]
    covered = -(-plan.outputs[1] // steps[0]) * steps[0] * (-(-plan.outputs[2] // steps[1]) * steps[1])
    few_idle = steps == (2, 2) or covered <= math.prod(plan.outputs) * MOST_COVERED
    return few_idle and min(C, M) >= FEWEST_CHANNELS


def choose_blocks(plan, side, shape, itemsize, threads) -> Blocks:
    """The blocks of a convolution on so many threads."""
    N, groups, C, M = shape
    NR, places = NV * vector_bytes() // itemsize, (side + 2) ** 2
    # kept: how many rows of a panel, at every position of a tile, fit the memory for what is kept between blocks
    panels, kept = -(-M // NR), KEPT_BYTES // (places * NR * itemsize)
    in_rounds = C > CHAIN or max(ROUND, kept // panels) < C
    channels = -(-C // -(-C // ROUND)) if in_rounds else C
    # dilated tiles come in squares of dilation x dilation, whose outputs are without gaps
    (_, along_h, along_w), step_h, step_w = plan.dilation, side * plan.dilation[1], side * plan.dilation[2]
    square = along_h * along_w
    # a tile's sums of one panel where they are not kept; a column's rows of outputs
    tile, column = square * places * (channels + (0 if in_rounds else NR)), step_h * step_w * NR
    memory = Memory(tile, channels, column, (step_h, step_w), (2 * along_h, 2 * along_w))
    every = max(N, 1), -(-plan.outputs[1] // step_h), -(-plan.outputs[2] // step_w)
    tiles = largest_tiles(every, memory, TILES_BYTES // itemsize)
    if in_rounds:
        tasks = block_count(every, tiles) * groups * panels
        part = min((kept - channels) // (math.prod(tiles) * square), tasks // (2 * threads) if threads > 1 else panels)
    else:
        part = kept // C
        while (
            threads > 1
            and math.prod(tiles) * square > 4 * MR
            and tiles[1] > 1
            and block_count(every, tiles) * groups < MIN_TASKS
        ):
            axis = 0 if tiles[0] > 1 else 1
            tiles = with_tiles(tiles, axis, -(-tiles[axis] // 2))
    outputs = tiles[0], step_h * tiles[1], step_w * tiles[2]
    return Blocks(outputs, channels, evenly(panels, part) * NR)


def run(x, weight, bias, relu, out, plan, groups, algorithm="winograd2"):
    """The convolution with suitable blocks and number of threads; arrays (N, C, H, W)."""
    shape = Shape(x.shape[0], groups, x.shape[1] // groups, out.shape[1] // groups)
    threads = threads_for(multiply_adds=math.prod(plan.outputs) * 9 * math.prod(shape))
    blocks = choose_blocks(plan, int(algorithm[-1]), shape, out.itemsize, threads)
    plan = plan._replace(outputs=(shape.N, *plan.outputs[1:]))
    _compiled[algorithm][out.dtype](
        x.reshape(-1), weight.reshape(-1), bias, out.reshape(-1), encode(plan, shape, *blocks, relu), threads
    )
