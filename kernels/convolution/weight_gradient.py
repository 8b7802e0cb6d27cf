r"""The convolution's gradient with respect to its weight: the tiles of `micro` again, summed over images and pixels.

.. math:: dW_{m c k} = \sum_{n, o} dy_{n m o}\; x_{n c}[\mathrm{origin} + o\,\mathrm{stride} + k\,\mathrm{dilation}]

A tile is a few channels of x by NR channels of dy, for one tap k. dy is packed with its channels side by side, a block
of outputs at a time, and serves all taps and channels of x; x is read as it is, or from a copy with its padding.

A task is NR channels of dy and some channels of x, over all images: no two threads add to one element. Where there are
too few of those, the images are split as well; the number of partial sums depends on the shape only, so that the bits
do not depend on the number of threads.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels import _checks
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import PARALLEL_MULTIPLY_ADDS, threads_for
from kernels.convolution.correlation import BLOCK_BYTES, MIN_TASKS, PANEL_BYTES, Part
from kernels.convolution.micro import (
    MR,
    Epilogue,
    Reduction,
    correlate_tile,
    store_tile,
    tile_height,
    tile_width,
    totals_size,
)
from kernels.convolution.pack import copy_block
from kernels.convolution.plan import (
    Shape,
    block_at,
    block_counts,
    decode,
    encode,
    extents,
    extents_of,
    is_unpadded,
    offset,
    product,
)
from kernels.gemm.micro import NV, STORE
from kernels.gemm.pack import pack_panel
from kernels.machine import vector_bytes
from kernels.reduction import sum as sum_over
from kernels.simd import allocate, flat, lane_count, release, shifted, strided

MAX_WIDTH = 256  # pixels of a row at a time: a chain of additions is at most that long
TILES_BYTES = PANEL_BYTES // 2  # of a task's tiles
ONE = np.int64(1)  # typed: Numba compiles a callee anew for each literal argument


class Blocks(NamedTuple):
    """What is summed at a time: a block of outputs of some images; a task's channels of x; and the number of parts that
    the images are divided into, each with a sum of its own."""

    outputs: tuple
    channels: int
    images: int
    splits: int


class Operands(NamedTuple):
    """The memory of dy (N, groups, M, *outputs), x (N, groups, C, *sizes), the result (splits, groups, M, C, *taps)."""

    dy: object
    x: object
    out: object


class Source(NamedTuple):
    """What some outputs need of x: elements from one image, channel, and element along each axis to the next."""

    memory: object
    image_stride: int
    channel_stride: int
    strides: tuple


class Scratch(NamedTuple):
    """A task's memory."""

    block: object  # of x
    panel: object  # of dy
    tiles: object
    square: object


def choose_blocks(plan, shape, itemsize) -> Blocks:
    """The blocks of a gradient."""
    NR, taps = NV * vector_bytes() // itemsize, math.prod(plan.taps)
    channels = max(min(TILES_BYTES // (taps * NR * itemsize), 8 * MR) // MR * MR, MR)
    channels = min(channels, shape.C)
    block = [*plan.outputs[:2], min(plan.outputs[2], MAX_WIDTH)]
    while True:
        panel = math.prod(block) * NR * itemsize
        copied = math.prod(extents_of(plan, block)) * channels * itemsize
        if panel <= PANEL_BYTES // 2 and copied <= BLOCK_BYTES:
            images = min(PANEL_BYTES // 2 // max(panel, 1), BLOCK_BYTES // max(copied, 1), shape.N)
            break
        if block[0] > 1:
            block[0] = -(-block[0] // 2)
        elif block[1] > 1:
            block[1] = -(-block[1] // 2)
        elif block[2] > MR:
            block[2] = -(-block[2] // 2)
        elif channels > MR:
            channels = MR
        else:
            images = 1
            break
    tasks = shape.groups * -(-shape.M // NR) * -(-shape.C // channels)
    work = taps * math.prod(plan.outputs) * math.prod(shape)
    splits = min(shape.N, -(-MIN_TASKS // tasks), max(work // PARALLEL_MULTIPLY_ADDS, 1))
    return Blocks(tuple(block), channels, max(images, 1), splits)


# --- a block of outputs ----------------------------------------------------------------------------------------------


@jit
def _pack_gradients(dy, sizes, outputs, present, width, panel):
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


@jit(merge=True)
def _source(x, image_stride, plan, place, images, channels, copies, block):
    """What the outputs of `place` need of x, in each image: copied into the block, or where it is."""
    sizes, start = plan.sizes, place.start
    if not copies:
        strides = (sizes[1] * sizes[2], sizes[2], ONE)
        return Source(shifted(x, offset(start, strides)), image_stride, sizes[0] * sizes[1] * sizes[2], strides)
    extent, lanes = extents(plan, place.outputs), lane_count(x)
    channel_stride = product(extent)
    channel_stride += lanes if channel_stride % (4 * lanes) == 0 else 0  # not all channels in the same cache set
    for n in range(images):
        to = shifted(block, n * channels * channel_stride)
        copy_block(shifted(x, n * image_stride), sizes, start, extent, channels, to, channel_stride)
    return Source(block, channels * channel_stride, channel_stride, (extent[1] * extent[2], extent[2], ONE))


@jit(inline=True)
def _rows_are_taps(channels, taps):
    """Whether a tile's rows are taps along the width, as there are few channels, instead of channels."""
    return channels < min(taps[2], 8)


@jit
def _add_block(source, channels, plan, reduction, panel, width, tiles, keep):
    """Add a block's sums to the tiles of `channels` channels of x and all taps; without `keep`, store them."""
    taps, dilation, strides, size = plan.taps, plan.dilation, source.strides, totals_size(tiles)
    tap_strides = (dilation[0] * strides[0], dilation[1] * strides[1], dilation[2])
    by_taps = _rows_are_taps(channels, taps)
    height, row_stride = (taps[2], tap_strides[2]) if by_taps else (channels, source.channel_stride)
    tile = 0
    for c in range(channels if by_taps else 1):
        row = 0
        while row < height:
            rows = tile_height(height - row)
            for i in range(taps[0]):
                for j in range(taps[1]):
                    for k in range(1 if by_taps else taps[2]):
                        start = c * source.channel_stride + row * row_stride + offset((i, j, k), tap_strides)
                        X = strided(shifted(source.memory, start), row_stride, 1)
                        correlate_tile(rows, width, X, reduction, panel, shifted(tiles, tile * size), keep)
                        tile += 1
            row += rows


@jit
def _max_tiles(channels, taps):
    """At least the number of tiles that `_add_block` uses; a row of tiles ends in less than four small ones."""
    if _rows_are_taps(channels, taps):
        return channels * taps[0] * taps[1] * (taps[2] // MR + 4)
    return (channels // MR + 4) * product(taps)


@jit
def _store_tiles(tiles, width, channels, taps, present, G, square):
    """The tiles of `_add_block` to their places in the weight's gradient: row m of G holds the channels and taps of
    output channel m."""
    kernel, size = product(taps), totals_size(tiles)
    by_taps = _rows_are_taps(channels, taps)
    height, row_stride = (taps[2], 1) if by_taps else (channels, kernel)
    epilogue = Epilogue(STORE, tiles, False)
    tile = 0
    for c in range(channels if by_taps else 1):
        row = 0
        while row < height:
            rows = tile_height(height - row)
            for i in range(taps[0]):
                for j in range(taps[1]):
                    for k in range(1 if by_taps else taps[2]):
                        first = c * kernel + row * row_stride + (i * taps[1] + j) * taps[2] + k
                        Y = strided(G.column(first), G.row_stride, row_stride)
                        T = strided(shifted(tiles, tile * size), width, 1)
                        store_tile(T, rows, present, epilogue, Y, square)
                        tile += 1
            row += rows


# --- tasks -----------------------------------------------------------------------------------------------------------


@jit(merge=True)
def _part_of(number, shape, blocks, NR):
    """The channels of dy and x of task `number` of a split."""
    panels, chunks = (shape.M + NR - 1) // NR, (shape.C + blocks.channels - 1) // blocks.channels
    group, m, c = number // chunks // panels, number // chunks % panels * NR, number % chunks * blocks.channels
    return Part(group, m, min(NR, shape.M - m), c, min(blocks.channels, shape.C - c))


@jit(merge=True)
def _allocate(plan, blocks, part, copies, like):
    lanes = lane_count(like)
    block = blocks.images * part.C * (product(extents(plan, blocks.outputs)) + lanes)
    return Scratch(
        allocate(like, block if copies else 0),
        allocate(like, (blocks.images * product(blocks.outputs) + lanes) * NV * lanes),
        allocate(like, _max_tiles(part.C, plan.taps) * totals_size(like)),
        allocate(like, lanes * lanes),
    )


@jit(merge=True)
def _sum_task(task, operands, plan, shape, blocks):
    """One task: the images of its split, block by block."""
    N, groups, C, M = shape
    split, number = task % blocks.splits, task // blocks.splits
    part = _part_of(number, shape, blocks, NV * lane_count(operands.out))
    width, copies = tile_width(part.M, operands.out), not is_unpadded(plan)
    counts, x_size, y_size = block_counts(plan, blocks.outputs), product(plan.sizes), product(plan.outputs)
    scratch = _allocate(plan, blocks, part, copies, operands.out)
    keep = False
    first, last = split * N // blocks.splits, (split + 1) * N // blocks.splits
    for image in range(first, last, blocks.images):
        images = min(blocks.images, last - image)
        for block in range(product(counts)):
            place = block_at(plan, blocks.outputs, block, counts)
            pixels = product(place.outputs)
            for n in range(images):
                to = (((image + n) * groups + part.group) * M + part.m) * y_size + offset(place.first, plan.out_strides)
                panel = shifted(scratch.panel, n * pixels * width)
                _pack_gradients(shifted(operands.dy, to), plan.outputs, place.outputs, part.M, width, panel)
            x = shifted(operands.x, ((image * groups + part.group) * C + part.c) * x_size)
            source = _source(x, groups * C * x_size, plan, place, images, part.C, copies, scratch.block)
            strides, steps = source.strides, plan.stride
            reduction = Reduction(
                (images, place.outputs[0], place.outputs[1], place.outputs[2]),
                (source.image_stride, steps[0] * strides[0], steps[1] * strides[1], steps[2]),
            )
            _add_block(source, part.C, plan, reduction, scratch.panel, width, scratch.tiles, keep)
            keep = True
    kernel = product(plan.taps)
    if keep:
        row = (split * groups + part.group) * M + part.m
        G = strided(shifted(operands.out, (row * C + part.c) * kernel), C * kernel, 1)
        _store_tiles(scratch.tiles, width, part.C, plan.taps, part.M, G, scratch.square)
    release(scratch.block)
    release(scratch.panel)
    release(scratch.tiles)
    release(scratch.square)


@jit
def weight_gradient(first, last, operands, plan, shape, blocks):
    """``out[s, g, m, c, k] = sum over images n of split s, outputs o of dy[n, g, m, o] * x[n, g, c, tap k of o]``: the
    tasks from `first` to `last` - 1."""
    for task in range(first, last):
        _sum_task(task, operands, plan, shape, blocks)


_CHANNELS, _IMAGES, _SPLITS = range(3)  # what `run` encodes after the block


@jit
def _weight_gradient_parallel(dy, x, out, numbers, tasks, threads):
    plan, shape, outputs, others = decode(numbers)
    blocks = Blocks(outputs, others[_CHANNELS], others[_IMAGES], others[_SPLITS])
    arguments = Operands(flat(dy), flat(x), flat(out)), plan, shape, blocks
    parallel_for(weight_gradient, tasks, 1, threads, arguments)


_compiled = Compiled(
    _weight_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[::1], int64, int64)
)


def run(dy, x, weight_shape, plan, groups):
    """The gradient, of `weight_shape`, for arrays (N, C, D, H, W) of which neither is empty."""
    shape = Shape(x.shape[0], groups, x.shape[1] // groups, dy.shape[1] // groups)
    blocks = choose_blocks(plan, shape, x.itemsize)
    NR = NV * vector_bytes() // x.itemsize
    tasks = groups * -(-shape.M // NR) * -(-shape.C // blocks.channels) * blocks.splits
    threads = threads_for(multiply_adds=math.prod(plan.taps) * math.prod(plan.outputs) * math.prod(shape))
    out = _checks.new((blocks.splits, *weight_shape), x.dtype)
    _compiled[x.dtype](dy.reshape(-1), x.reshape(-1), out.reshape(-1), encode(plan, shape, *blocks), tasks, threads)
    return out[0] if blocks.splits == 1 else sum_over(out, 0)
