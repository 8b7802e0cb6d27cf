r"""Winograd's convolution transposed: the gradient with respect to 3 x 3 taps, 16 products instead of 36.

.. math:: dW = G^\top \left[ \sum_t (A\, dy_t\, A^\top) \odot (B^\top d_t B) \right] G

A tile t is 2 × 2 outputs; d_t are the 4 × 4 elements of x that they read. What `winograd` computes from taps g is
linear in g, and this is its transpose: F(3 × 3, 2 × 2) with the matrices of F(2 × 2, 3 × 3). The sum over tiles
commutes with the outer transforms, so that it is a matrix product (channels of x × tiles × channels of dy) for each of
the 16 places of a tile, and its transform is made once at the end.

A task is some channels of x by some of dy, over some of the blocks of outputs: no two threads add to one element. The
number of parts that the blocks are divided into depends on the shape only.
"""

import math
from typing import NamedTuple

from numba import int64

from kernels import _checks, machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.correlation import MIN_TASKS
from kernels.convolution.micro import Epilogue, store_tile, tile_width
from kernels.convolution.plan import Shape, block_at, block_counts, decode, encode, part_of, product
from kernels.convolution.transforms import GRADIENT_TRANSFORMS
from kernels.convolution.weight_gradient import Operands
from kernels.convolution.winograd import TAPS, ZERO
from kernels.convolution.winograd_tiles import (
    ONE,
    Matrices,
    Memory,
    Source,
    block_count,
    evenly,
    largest_tiles,
    multiply_places,
    tile_count,
    tiles_of,
    tiles_transformed,
    with_tiles,
)
from kernels.gemm.micro import CHAIN, NV, STORE
from kernels.reduction import sum as sum_over
from kernels.simd import allocate, flat, lane_count, release, shifted, strided

SIDE, EDGE, PLACES = 2, 4, 16  # of a tile: outputs, elements of x, and elements of it transformed
# A task's sums, and its transformed tiles of x and dy with the blocks that they come from, stay in L2 together.
SUMS_BYTES, TILES_BYTES = machine.cache_bytes(2) // 4, machine.cache_bytes(2) * 5 // 8
MIN_BLOCKS = 4  # of each part, for which sums are transformed and added to those of the other parts
STORED = 16  # channels of x whose sums are transformed at a time

_transform_x, _transform_dy, _transform_sums = GRADIENT_TRANSFORMS
_transform_tiles = tiles_transformed(SIDE, EDGE, _transform_x)
_transform_gradients = tiles_transformed(SIDE, SIDE, _transform_dy)


class Blocks(NamedTuple):
    """What is summed at a time: a block of outputs (images, rows, columns), in a task's channels of x and of dy; and
    the number of parts that the blocks are divided into, each with a sum of its own."""

    outputs: tuple
    channels: int
    out_channels: int
    splits: int


class Scratch(NamedTuple):
    """A thread's memory: one allocation, and where in it the parts begin."""

    tiles: object  # of x, transformed: (places, tiles, channels)
    gradients: object  # of dy, transformed: (panels, places, tiles, channels of the panel)
    sums: object  # (panels, places, channels of x, channels of the panel)
    block: object  # of x or dy, channels last; at the end, sums transformed: (channels of x, taps, channels of a panel)
    half: object  # a tile transformed along one axis
    square: object


class Layout(NamedTuple):
    """Of a thread's memory: elements from one tile of x, one place and one panel to the next (see `Scratch`)."""

    pixel: int
    tiles_place: int
    gradients_place: int
    gradients_panel: int
    sums_place: int
    sums_panel: int


@jit
def _layout(blocks, like):
    lanes, NR = lane_count(like), NV * lane_count(like)
    images, rows, columns = blocks.outputs
    tiles = images * rows * columns // (SIDE * SIDE)
    pixel = (blocks.channels + lanes - 1) // lanes * lanes
    # places not in the same cache set
    tiles_place, gradients_place, sums_place = tiles * pixel + lanes, tiles * NR + lanes, blocks.channels * NR + lanes
    return Layout(pixel, tiles_place, gradients_place, PLACES * gradients_place, sums_place, PLACES * sums_place)


@jit
def _allocate(blocks, dilation, layout, like):
    """A thread's memory, to be released at its first part."""
    lanes, NR = lane_count(like), NV * lane_count(like)
    panels = (blocks.out_channels + NR - 1) // NR
    gradients = PLACES * layout.tiles_place
    sums = gradients + panels * layout.gradients_panel
    block = sums + panels * layout.sums_panel
    extents = blocks.outputs[1] + 2 * dilation[1], blocks.outputs[2] + 2 * dilation[2]
    half = block + max((extents[0] * extents[1] + lanes) * max(layout.pixel, NR), (STORED * TAPS + lanes) * NR)
    square = half + PLACES * lanes
    whole = allocate(like, square + lanes * lanes)
    return Scratch(
        whole,
        shifted(whole, gradients),
        shifted(whole, sums),
        shifted(whole, block),
        shifted(whole, half),
        shifted(whole, square),
    )


@jit
def _add_block(operands, plan, shape, part, place, layout, scratch, keep):
    """Add the products of a block's tiles to the sums; without `keep`, store them."""
    (_, groups, C, M), NR = shape, NV * lane_count(operands.out)
    x_size, y_size = product(plan.sizes), plan.out_size
    image, h, w = place.first
    tiles = tiles_of(place, SIDE, plan.dilation)
    x = shifted(operands.x, ((image * groups + part.group) * C + part.c) * x_size)
    source = Source(x, groups * C * x_size, plan.sizes, (ZERO, place.start[1], place.start[2]))
    transformed = Matrices(scratch.tiles, layout.tiles_place, layout.pixel, ONE)
    _transform_tiles(source, tiles, part.C, scratch.block, scratch.half, transformed)
    A = Matrices(scratch.tiles, layout.tiles_place, ONE, layout.pixel)
    for m in range(0, part.M, NR):
        present, panel = min(NR, part.M - m), m // NR
        width = tile_width(present, scratch.sums)
        dy = shifted(operands.dy, ((image * groups + part.group) * M + part.m + m) * y_size)
        source = Source(dy, groups * M * y_size, (ONE, plan.outputs[1], plan.outputs[2]), (ZERO, h, w))
        B = Matrices(shifted(scratch.gradients, panel * layout.gradients_panel), layout.gradients_place, width, ONE)
        _transform_gradients(source, tiles, present, scratch.block, scratch.half, B)
        sums = Matrices(shifted(scratch.sums, panel * layout.sums_panel), layout.sums_place, width, ONE)
        multiply_places(PLACES, A, B, sums, part.C, tile_count(tiles), keep)


@jit
def _store_sums(part, C, layout, scratch, out):
    """The transforms of a task's sums, to (M, C, 3, 3)."""
    lanes = lane_count(out)
    NR = NV * lanes
    epilogue, G = Epilogue(STORE, out, False), strided(shifted(out, (part.m * C + part.c) * TAPS), C * TAPS, 1)
    for m in range(0, part.M, NR):
        present, sums = min(NR, part.M - m), shifted(scratch.sums, m // NR * layout.sums_panel)
        width = tile_width(present, sums)
        for c in range(0, part.C, STORED):
            channels = min(STORED, part.C - c)
            for i in range(channels):
                for v in range(0, width, lanes):
                    S = strided(shifted(sums, (c + i) * width + v), EDGE * layout.sums_place, layout.sums_place)
                    taps = strided(shifted(scratch.block, i * TAPS * width + v), 3 * width, width)
                    _transform_sums(S, scratch.half, taps)
            rows = strided(scratch.block, width, 1)
            store_tile(rows, channels * TAPS, present, epilogue, G.at(m, c * TAPS), scratch.square)


@jit
def winograd_gradient(first, last, operands, plan, shape, blocks):
    """``out[s, g, m, c, k] = sum over outputs o of blocks of part s of dy[n, g, m, o] * x[n, g, c, tap k of o]``: the
    tasks from `first` to `last` - 1; the plan's depth is the images."""
    counts = block_counts(plan, blocks.outputs)
    layout = _layout(blocks, operands.out)
    scratch = _allocate(blocks, plan.dilation, layout, operands.out)
    for task in range(first, last):
        split, part = task % blocks.splits, part_of(task // blocks.splits, shape, blocks)
        start, stop = split * product(counts) // blocks.splits, (split + 1) * product(counts) // blocks.splits
        for number in range(start, stop):
            place = block_at(plan, blocks.outputs, number, counts)
            _add_block(operands, plan, shape, part, place, layout, scratch, number > start)
        to = (split * shape.groups + part.group) * shape.M * shape.C * TAPS
        _store_sums(part, shape.C, layout, scratch, shifted(operands.out, to))
    release(scratch.tiles)


_CHANNELS, _OUT_CHANNELS, _SPLITS = range(3)  # what `run` encodes after the block


@jit
def _winograd_gradient_parallel(dy, x, out, numbers, tasks, threads):
    plan, shape, outputs, others = decode(numbers)
    blocks = Blocks(outputs, others[_CHANNELS], others[_OUT_CHANNELS], others[_SPLITS])
    arguments = Operands(flat(dy), flat(x), flat(out)), plan, shape, blocks
    parallel_for(winograd_gradient, tasks, 1, threads, arguments)


_compiled = Compiled(
    _winograd_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[::1], int64, int64)
)


def choose_blocks(plan, shape, itemsize) -> Blocks:
    """The blocks of a gradient."""
    N, groups, C, M = shape
    NR, (_, along_h, along_w) = NV * machine.vector_bytes() // itemsize, plan.dilation
    channels = evenly(C, 2 * NR)
    panels = evenly(-(-M // NR), SUMS_BYTES // (PLACES * channels * NR * itemsize))
    square = along_h * along_w  # dilated tiles come in squares of them, whose outputs are without gaps

    steps, tile = (SIDE * along_h, SIDE * along_w), square * PLACES * (channels + panels * NR)
    memory = Memory(tile, max(channels, NR), 0, steps, (2 * along_h, 2 * along_w))
    every = N, -(-plan.outputs[1] // steps[0]), -(-plan.outputs[2] // steps[1])
    tiles = largest_tiles(every, memory, TILES_BYTES // itemsize)
    while math.prod(tiles) * square > CHAIN and math.prod(tiles) > 1:  # rounding errors grow along a chain of additions
        axis = 0 if tiles[0] > 1 else 1 if tiles[1] > 1 else 2
        tiles = with_tiles(tiles, axis, -(-tiles[axis] // 2))
    tasks = groups * -(-M // (panels * NR)) * -(-C // channels)
    splits = max(min(-(-MIN_TASKS // tasks), block_count(every, tiles) // MIN_BLOCKS), 1)
    outputs = tiles[0], steps[0] * tiles[1], steps[1] * tiles[2]
    return Blocks(outputs, channels, panels * NR, splits)


def run(dy, x, weight_shape, plan, groups):
    """The gradient, of `weight_shape`, for arrays (N, C, 1, H, W) of which neither is empty."""
    shape = Shape(x.shape[0], groups, x.shape[1] // groups, dy.shape[1] // groups)
    blocks = choose_blocks(plan, shape, x.itemsize)
    tasks = groups * -(-shape.M // blocks.out_channels) * -(-shape.C // blocks.channels) * blocks.splits
    threads = threads_for(multiply_adds=9 * math.prod(plan.outputs) * math.prod(shape))
    out = _checks.new((blocks.splits, *weight_shape), x.dtype)
    numbers = encode(plan._replace(outputs=(shape.N, *plan.outputs[1:])), shape, *blocks)
    _compiled[x.dtype](dy.reshape(-1), x.reshape(-1), out.reshape(-1), numbers, tasks, threads)
    return out[0] if blocks.splits == 1 else sum_over(out, 0)
