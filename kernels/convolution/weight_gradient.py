r"""The convolution's gradient with respect to its weight: the tiles of `micro` again, summed over images and pixels.

.. math:: dW_{m c k} = \sum_{n, o} dy_{n m o}\; x_{n c}[\mathrm{origin} + o\,\mathrm{stride} + k\,\mathrm{dilation}]

A tile is a few channels of x by NR channels of dy, for one tap k. A block of outputs at a time, dy is packed with its
channels side by side, and serves all taps and channels of x; x is copied with its padding, the channels of a pixel side
by side as well, and serves all channels of dy. Where they are few, those of a row's next pixels follow without a gap,
and the rows of a tile are the channels of all taps along the width. With only one tap, x is read where it is.

A task is some channels of dy and some of x, over all images: no two threads add to one element. Where there are
too few of those, the images are split as well; the number of partial sums depends on the shape only, so that the bits
do not depend on the number of threads.

    weight_gradient       for split, group, m, c: a task
      _add_images         for images: for block of outputs: pack dy, copy x; for panel of dy
        _add_block        for tile of channels of x: for tap: tile += sum over outputs     (`correlate_tile`)
        _add_product      with one tap: the same as a matrix product                       (`multiply_tile`)
      _store_tiles        the tiles to their places in dW, once all images are summed
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels import _checks
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import PARALLEL_MULTIPLY_ADDS, threads_for
from kernels.convolution.correlation import BLOCK_BYTES, MIN_TASKS, PANEL_BYTES
from kernels.convolution.micro import (
    COVERING_HEIGHTS,
    FEW_CHANNELS,
    MR,
    Epilogue,
    Reduction,
    correlate_tile,
    multiply_tile,
    store_tile,
    tile_height,
    tile_width,
    totals_size,
)
from kernels.convolution.pack import copy_block, copy_channels_last, pack_outputs
from kernels.convolution.plan import (
    Shape,
    block_at,
    block_counts,
    decode,
    encode,
    extents,
    extents_of,
    offset,
    part_of,
    product,
)
from kernels.gemm.micro import NV, STORE, chain_length
from kernels.machine import vector_bytes
from kernels.reduction import sum as sum_over
from kernels.simd import allocate, flat, lane_count, load, release, shifted, store, strided

MAX_WIDTH = 256  # at most so many pixels of a row in a block
TILES_BYTES = PANEL_BYTES // 2  # of a task's tiles
SPLIT_OUTPUTS = 384  # minimum number of outputs of a part: fewer take less time than storing and adding up its sums
ZERO, ONE = np.int64(0), np.int64(1)  # typed: Numba compiles a callee anew for each literal argument


class Blocks(NamedTuple):
    """What is summed at a time: a block of outputs of some images, in a task's channels of x and of dy; and the number
    of parts that the images are divided into, each with a sum of its own."""

    outputs: tuple
    channels: int
    out_channels: int
    images: int
    splits: int


class Sums(NamedTuple):
    """The tiles of a panel of dy: output channels in a row, memory, whether products are added to them or stored."""

    width: int
    tiles: object
    accumulate: bool


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
    """A thread's memory."""

    block: object  # of x
    panels: object  # of dy
    tiles: object
    square: object
    collected: object  # rows of tiles in the order of the gradient
    offsets: object  # of the outputs in a block of x


class Layout(NamedTuple):
    """Of a thread's memory, and of what x it reads: see `_layout`."""

    in_place: bool
    by_taps: bool
    pixel: int  # elements from one pixel of a copy of x to the next
    panel: int  # elements from one panel to the next
    tiles: int  # elements from the tiles of one panel to those of the next


def choose_blocks(plan, shape, itemsize) -> Blocks:
    """The blocks of a gradient."""
    lanes, taps = vector_bytes() // itemsize, math.prod(plan.taps)
    NR = NV * lanes
    channels = max(min(TILES_BYTES // (taps * NR * itemsize), 8 * MR) // MR * MR, MR)
    channels = min(channels, shape.C)
    panels = -(-shape.M // NR)
    panels = -(-panels // -(-panels // max(TILES_BYTES // (taps * channels * NR * itemsize), 1)))
    block = plan.outputs[0], plan.outputs[1], min(plan.outputs[2], MAX_WIDTH)
    while True:
        packed = math.prod(block) * panels * NR * itemsize
        copied = math.prod(extents_of(plan, block)) * channels * itemsize
        if packed <= PANEL_BYTES // 2 and copied <= BLOCK_BYTES:
            images = min(PANEL_BYTES // 2 // max(packed, 1), BLOCK_BYTES // max(copied, 1), shape.N)
            break
        if block[0] > 1:
            block = -(-block[0] // 2), block[1], block[2]
        elif block[1] > 1:
            block = block[0], -(-block[1] // 2), block[2]
        elif block[2] > MR:
            block = block[0], block[1], -(-block[2] // 2)
        elif channels > MR:
            channels = MR
        else:
            images = 1
            break
    tasks = shape.groups * -(-shape.M // (panels * NR)) * -(-shape.C // channels)
    if tasks * shape.N < MIN_TASKS:  # even with all images split there are too few: one panel of dy a task
        tasks, panels = tasks // -(-shape.M // (panels * NR)) * -(-shape.M // NR), 1
    work, outputs = taps * math.prod(plan.outputs) * math.prod(shape), shape.N * math.prod(plan.outputs)
    max_splits = max(outputs // SPLIT_OUTPUTS, 2 if tasks == 1 else 1)
    splits = min(shape.N, -(-MIN_TASKS // tasks), max(work // PARALLEL_MULTIPLY_ADDS, 1), max_splits)
    return Blocks(block, channels, panels * NR, max(images, 1), splits)


# --- a block of outputs ----------------------------------------------------------------------------------------------


@jit(merge=True)
def _pack_gradients(operands, plan, shape, part, place, images, scratch_panels):
    """The panels of a block's outputs in the images ``images[0]`` to ``images[1] - 1``."""
    (first, last), (panels, panel_stride) = images, scratch_panels
    pixels, NR = product(place.outputs), NV * lane_count(panels)
    for m in range(0, part.M, NR):
        present = min(NR, part.M - m)
        width, panel = tile_width(present, panels), shifted(panels, m // NR * panel_stride)
        for n in range(last - first):
            channel = ((first + n) * shape.groups + part.group) * shape.M + part.m + m
            dy = shifted(operands.dy, channel * plan.out_size + offset(place.first, plan.out_strides))
            pack_outputs(dy, plan.outputs, place.outputs, present, width, shifted(panel, n * pixels * width))


@jit(merge=True)
def _source(x, image_stride, plan, place, part_of_x, layout, block):
    """What the outputs of `place` need of x, in ``part_of_x``, images and channels: copied into the block, or where it
    is."""
    sizes, start, (images, channels) = plan.sizes, place.start, part_of_x
    if layout.in_place:
        return Source(shifted(x, start[2]), image_stride, sizes[2], (ZERO, ZERO, ONE))
    extent = extents(plan, place.outputs)
    pixels = product(extent)
    for n in range(images):
        from_image, to = shifted(x, n * image_stride), shifted(block, n * pixels * layout.pixel)
        if layout.pixel == 1:
            copy_block(from_image, sizes, start, extent, channels, to, pixels)
        else:
            copy_channels_last(from_image, sizes, start, extent, channels, to, layout.pixel)
    pixel, row = layout.pixel, extent[2] * layout.pixel
    return Source(block, pixels * pixel, ONE, (extent[1] * row, row, pixel))


@jit(merge=True)
def _outputs_in(source, plan, outputs, images, offsets):
    """Where the block's outputs lie in x, in some images."""
    steps, strides, number = plan.stride, source.strides, 0
    for d in range(outputs[0]):
        for h in range(outputs[1]):
            first = d * steps[0] * strides[0] + h * steps[1] * strides[1]
            for w in range(outputs[2]):
                offsets[number] = first + w * steps[2] * strides[2]
                number += 1
    return Reduction(offsets, number, source.image_stride, images * number)


@jit
def _add_product(source, channels, reduction, panel, sums):
    """`_add_block` for a single tap, x being read in place: a matrix product."""
    width, tiles, accumulate = sums
    size, tile, row = totals_size(tiles), 0, 0
    while row < channels:
        rows, adds, to = tile_height(channels - row), accumulate, shifted(tiles, tile * size)
        for first in range(0, reduction.products, reduction.count):  # image by image
            x = shifted(source.memory, first // reduction.count * reduction.stride + row * source.channel_stride)
            chain = chain_length(reduction.count)
            for start in range(0, reduction.count, chain):
                A = strided(shifted(x, start), source.channel_stride, 1)
                depth = min(chain, reduction.count - start)
                multiply_tile(rows, width, A, depth, shifted(panel, (first + start) * width), to, adds)
                adds = True
        tile, row = tile + 1, row + rows


@jit
def _add_block(source, channels, plan, layout, reduction, panel, sums):
    """Add a block's products to the tiles of `channels` channels of x and all taps; or store them, see `Sums`."""
    width, tiles, accumulate = sums
    taps, dilation, strides, size = plan.taps, plan.dilation, source.strides, totals_size(tiles)
    tap_strides = (dilation[0] * strides[0], dilation[1] * strides[1], dilation[2] * strides[2])
    height = _height(channels, taps, layout.by_taps)
    tile = row = 0
    while row < height:
        rows = _tile_rows(height - row, layout.by_taps)
        for i in range(taps[0]):
            for j in range(taps[1]):
                for k in range(1 if layout.by_taps else taps[2]):
                    X = strided(shifted(source.memory, row + offset((i, j, k), tap_strides)), 1, 1)
                    correlate_tile(rows, width, X, reduction, panel, shifted(tiles, tile * size), accumulate)
                    tile += 1
        row += rows


@jit(inline=True)
def _height(channels, taps, by_taps):
    """Rows of all tiles for a tap, or for the taps of a row."""
    return channels * taps[2] if by_taps else channels


@jit(inline=True)
def _tile_rows(left, by_taps):
    """Rows of the next tile; where they are taps, the last one may have more than are left."""
    return COVERING_HEIGHTS[min(left, MR)] if by_taps else tile_height(left)


@jit
def _max_tiles(channels, taps, by_taps):
    """At least the number of tiles that `_add_block` uses; a row of tiles ends in less than four small ones."""
    return (_height(channels, taps, by_taps) // MR + 4) * taps[0] * taps[1] * (1 if by_taps else taps[2])


@jit
def _store_tiles(sums, channels, plan, layout, present, G, scratch):
    """The tiles of `_add_block` to their places in the weight's gradient: row m of G holds the channels and taps of
    output channel m. What lies side by side there is collected first, channel by channel and tap by tap."""
    (width, tiles, _), taps = sums, plan.taps
    size, lanes, kernel, epilogue = totals_size(tiles), lane_count(tiles), product(taps), Epilogue(STORE, tiles, False)
    height, count = _height(channels, taps, layout.by_taps), taps[0] * taps[1] if layout.by_taps else kernel
    T = strided(scratch.collected, width, 1)
    tile = row = 0
    while row < height:
        rows = _tile_rows(height - row, layout.by_taps)
        for r in range(min(rows, height - row)):
            for t in range(count):
                to = r * kernel + t
                if layout.by_taps:
                    k, c = divmod(row + r, channels)
                    to = c * kernel + t * taps[2] + k
                for v in range(0, width, lanes):
                    store(T.row(to), v, load(tiles, (tile + t) * size + r * width + v))
        if not layout.by_taps:
            store_tile(T, rows * kernel, present, epilogue, G.column(row * kernel), scratch.square)
        tile, row = tile + count, row + rows
    if layout.by_taps:
        store_tile(T, channels * kernel, present, epilogue, G, scratch.square)


# --- tasks -----------------------------------------------------------------------------------------------------------


@jit(merge=True)
def _layout(plan, shape, blocks, like):
    """How memory is laid out, and x read: by taps where channels are few, in place with one tap and no padding."""
    lanes = lane_count(like)
    by_taps = shape.C < FEW_CHANNELS and plan.taps[2] > 1 and plan.dilation[2] == 1
    in_place = product(plan.taps) == 1 and plan.outputs[0] == plan.outputs[1] == plan.sizes[0] == plan.sizes[1] == 1
    in_place = in_place and plan.stride[2] == 1 and plan.origin[2] == 0 and plan.sizes[2] == plan.outputs[2]
    vectors = (blocks.channels + lanes - 1) // lanes
    pixel = (vectors + 1 - vectors % 2) * lanes  # pixels not in the same few cache sets
    panel = (blocks.images * product(blocks.outputs) + lanes) * NV * lanes
    tiles = _max_tiles(blocks.channels, plan.taps, by_taps) * totals_size(like)
    return Layout(in_place, by_taps, blocks.channels if by_taps else pixel, panel, tiles)


@jit(merge=True)
def _allocate(plan, blocks, layout, like):
    lanes, kernel = lane_count(like), product(plan.taps)
    NR, pixels = NV * lanes, product(extents(plan, blocks.outputs))
    panels = (blocks.out_channels + NR - 1) // NR
    block = blocks.images * pixels * layout.pixel + lanes * (layout.pixel + 1)
    return Scratch(
        allocate(like, 0 if layout.in_place else block),
        allocate(like, panels * layout.panel),
        allocate(like, panels * layout.tiles),
        allocate(like, lanes * lanes),
        allocate(like, (max(MR, FEW_CHANNELS) * kernel + lanes) * NR),
        allocate(np.int64, product(blocks.outputs)),
    )


@jit(merge=True)
def _add_images(operands, plan, shape, blocks, part, images, memory):
    """Add the products of the images ``images[0]`` to ``images[1] - 1`` to the tiles of a task; or store them, where
    ``memory``, (layout, scratch, accumulate), says not to accumulate."""
    (first, last), (layout, scratch, accumulate) = images, memory
    (_, groups, C, _), NR = shape, NV * lane_count(operands.out)
    counts, x_size = block_counts(plan, blocks.outputs), product(plan.sizes)
    for number in range(product(counts)):
        place, present = block_at(plan, blocks.outputs, number, counts), last - first
        _pack_gradients(operands, plan, shape, part, place, images, (scratch.panels, layout.panel))
        x = shifted(operands.x, ((first * groups + part.group) * C + part.c) * x_size)
        source = _source(x, groups * C * x_size, plan, place, (present, part.C), layout, scratch.block)
        reduction = _outputs_in(source, plan, place.outputs, present, scratch.offsets)
        for m in range(0, part.M, NR):
            width, panel = tile_width(part.M - m, scratch.tiles), shifted(scratch.panels, m // NR * layout.panel)
            sums = Sums(width, shifted(scratch.tiles, m // NR * layout.tiles), accumulate or number > 0)
            if layout.in_place:
                _add_product(source, part.C, reduction, panel, sums)
            else:
                _add_block(source, part.C, plan, layout, reduction, panel, sums)


@jit
def weight_gradient(first, last, operands, plan, shape, blocks):
    """``out[s, g, m, c, k] = sum over images n of split s, outputs o of dy[n, g, m, o] * x[n, g, c, tap k of o]``: the
    tasks from `first` to `last` - 1."""
    (N, groups, C, M), kernel, NR = shape, product(plan.taps), NV * lane_count(operands.out)
    layout = _layout(plan, shape, blocks, operands.out)
    scratch = _allocate(plan, blocks, layout, operands.out)
    for task in range(first, last):
        split, part = task % blocks.splits, part_of(task // blocks.splits, shape, blocks)
        start, stop = split * N // blocks.splits, (split + 1) * N // blocks.splits
        for image in range(start, stop, blocks.images):
            images = image, min(image + blocks.images, stop)
            _add_images(operands, plan, shape, blocks, part, images, (layout, scratch, image > start))
        to = (split * groups + part.group) * M + part.m
        G = strided(shifted(operands.out, (to * C + part.c) * kernel), C * kernel, 1)
        for m in range(0, part.M, NR):
            width, present = tile_width(part.M - m, scratch.tiles), min(NR, part.M - m)
            sums = Sums(width, shifted(scratch.tiles, m // NR * layout.tiles), True)
            _store_tiles(sums, part.C, plan, layout, present, G.row(m), scratch)
    release(scratch.block)
    release(scratch.panels)
    release(scratch.tiles)
    release(scratch.square)
    release(scratch.collected)
    release(scratch.offsets)


_CHANNELS, _OUT_CHANNELS, _IMAGES, _SPLITS = range(4)  # what `run` encodes after the block


@jit
def _weight_gradient_parallel(dy, x, out, numbers, tasks, threads):
    plan, shape, outputs, others = decode(numbers)
    blocks = Blocks(outputs, others[_CHANNELS], others[_OUT_CHANNELS], others[_IMAGES], others[_SPLITS])
    arguments = Operands(flat(dy), flat(x), flat(out)), plan, shape, blocks
    parallel_for(weight_gradient, tasks, 1, threads, arguments)


_compiled = Compiled(
    _weight_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[::1], int64, int64)
)


def run(dy, x, weight_shape, plan, groups):
    """The gradient, of `weight_shape`, for arrays (N, C, D, H, W) of which neither is empty."""
    shape = Shape(x.shape[0], groups, x.shape[1] // groups, dy.shape[1] // groups)
    blocks = choose_blocks(plan, shape, x.itemsize)
    tasks = groups * -(-shape.M // blocks.out_channels) * -(-shape.C // blocks.channels) * blocks.splits
    threads = threads_for(multiply_adds=math.prod(plan.taps) * math.prod(plan.outputs) * math.prod(shape))
    out = _checks.new((blocks.splits, *weight_shape), x.dtype)
    _compiled[x.dtype](dy.reshape(-1), x.reshape(-1), out.reshape(-1), encode(plan, shape, *blocks), tasks, threads)
    return out[0] if blocks.splits == 1 else sum_over(out, 0)
