r"""The convolution's gradient with respect to its weight where x has few channels: the lanes are pixels.

.. math:: dW_{m c k} = \sum_{n, o} dy_{n m o}\; x_{n c}[\mathrm{origin} + o + k\,\mathrm{dilation}]

`weight_gradient` holds channels of dy in its lanes, so that dy has to be transposed, and most lanes idle where it has
few. Here dy and x are both read as they are, along the width, and a tile is a few channels of dy by a few taps:

        dy, some channels          x, the row that tap 0 reads
     m  [ p  p+1 …  p+L )       k  [ p  p+1 …  p+L )                 tile[m, k] += dy[m] * x[k], lane by lane
     m' [ p  p+1 …  p+L )       k' [ p+dilation …  )

Each lane sums its own pixels; the lanes are added up once, after all images. It takes outputs that are neighbours in x:
stride 1 along the width.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels import _checks, machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.correlation import BLOCK_BYTES, MIN_TASKS
from kernels.convolution.micro import COVERING_HEIGHTS
from kernels.convolution.micro import MR as HEIGHT
from kernels.convolution.pack import copy_block
from kernels.convolution.plan import Shape, block_from, decode, encode, extents, offset, product
from kernels.convolution.weight_gradient import Operands
from kernels.gemm.micro import CHAIN, NV
from kernels.reduction import sum as sum_over
from kernels.simd import (
    allocate,
    flat,
    lane_count,
    load,
    release,
    shifted,
    splat,
    store,
    strided,
    sum_lanes,
    tile_add,
    tile_dot,
    tile_zeros,
)

# A tile: MR channels of dy by up to five taps, or twice as many by up to three; beside it, as many vectors of x and
# one of dy fit the registers.
MR = 4 if machine.vector_registers() >= 32 else 2
TALL = 2 * MR
FEW_CHANNELS = 8  # of x, from which on the tiles of `weight_gradient` find enough to do
# Costs in multiply-adds of a single lane, of these loops:
ROWS = 1.25  # a product of a tile, its loads and loops included
TILE = 5  # the sums of a tile
# and of `weight_gradient`:
PACKED = 14  # packing an element of dy
COPIED = 70  # and one of x, over copying x here
IN_FLIGHT = 8  # multiply-adds that a tile needs to have in flight so as not to wait
ZERO = np.int64(0)  # typed: Numba compiles a callee anew for each literal argument


class Rows(NamedTuple):
    """`height` rows of pixels for each channel of dy or tap."""

    first: object  # row i: the first one of channel or tap i
    row_stride: int  # elements from one row of pixels to the next
    height: int


def _tile(rows, taps):
    """The sums of `rows` channels of dy and `taps` taps over the outputs of a block."""

    @jit(inline=True)
    def add(DY, X, width, sums):
        A, B = strided(DY.first, DY.first.row_stride, 1), strided(X.first, X.first.row_stride, 1)
        lanes, acc = lane_count(sums), tile_zeros(sums, rows, taps)
        whole = width - width % lanes
        for w in range(0, whole, lanes):
            for h in range(DY.height):
                acc = tile_dot(acc, A.column(h * DY.row_stride + w), B.column(h * X.row_stride + w), lanes)
        if whole < width:
            for h in range(DY.height):
                a, b = A.column(h * DY.row_stride + whole), B.column(h * X.row_stride + whole)
                acc = tile_dot(acc, a, b, width - whole)
        tile_add(sums, acc)

    return add


_tile_5, _tile_3, _tile_2, _tile_1 = (_tile(MR, taps) for taps in (5, 3, 2, 1))
_tall_tile_3, _tall_tile_2, _tall_tile_1 = (_tile(TALL, taps) for taps in (3, 2, 1))


@jit
def _add_taps(DY, X, width, taps, sums):
    """All taps along the width: in fives, then what is left."""
    k = 0
    while k < taps:
        left, at, to = taps - k, Rows(X.first.row(k), X.row_stride, X.height), sums.column(k * lane_count(sums))
        if left >= 5:
            _tile_5(DY, at, width, to)
            k += 5
        elif left >= 3:
            _tile_3(DY, at, width, to)
            k += 3
        elif left == 2:
            _tile_2(DY, at, width, to)
            k += 2
        else:
            _tile_1(DY, at, width, to)
            k += 1


@jit
def _add_taps_tall(DY, X, width, taps, sums):
    """`_add_taps` for tall tiles: in threes."""
    k = 0
    while k < taps:
        left, at, to = taps - k, Rows(X.first.row(k), X.row_stride, X.height), sums.column(k * lane_count(sums))
        if left >= 3:
            _tall_tile_3(DY, at, width, to)
        elif left == 2:
            _tall_tile_2(DY, at, width, to)
        else:
            _tall_tile_1(DY, at, width, to)
        k += min(left, 3)


@jit(inline=True)
def _rows(plan, M, like):
    """Channels of dy in a tile: tall ones have no registers left for the mask of a partial vector."""
    tall = M >= TALL and plan.taps[2] < 5 and plan.outputs[2] % lane_count(like) == 0
    return TALL if tall else MR


@jit(inline=True)
def _tile_count(M, rows):
    """Tiles that cover the channels of dy: where they are too few for one, each has a tile of its own."""
    return M if M < rows else (M + rows - 1) // rows


@jit(inline=True)
def _first_channel(tile, M, rows):
    """Of a tile; the last tile overlaps the one before rather than reach past the last channel."""
    return tile if M < rows else min(tile * rows, M - rows)


@jit
def _add_block(dy, x, channel_stride, plan, shape, outputs, sums):
    """A block's products, added to the lanes of `sums`: (channels, KD, KH, tiles, rows, KW, lanes).

    dy begins at the first of the outputs, which are rows of one plane; x is a copy of the block that they need.
    """
    _, height, row = extents(plan, outputs)
    plane = height * row
    width, tap_sums, rows = outputs[2], plan.taps[2] * lane_count(sums), _rows(plan, shape.M, sums)
    tiles = _tile_count(shape.M, rows)
    for tile in range(tiles):  # its rows of dy stay in L1 for all channels and rows of taps
        first, to = shifted(dy, _first_channel(tile, shape.M, rows) * plan.out_size), tile * rows * tap_sums
        DY = Rows(strided(first, plan.out_size if shape.M >= rows else 0, 1), plan.out_strides[1], outputs[1])
        for c in range(shape.C):
            for i in range(plan.taps[0]):
                for j in range(plan.taps[1]):
                    start = c * channel_stride + i * plan.dilation[0] * plane + j * plan.dilation[1] * row
                    X = Rows(strided(shifted(x, start), plan.dilation[2], 1), plan.stride[1] * row, outputs[1])
                    of_tile = strided(shifted(sums, to), tap_sums, 1)
                    if rows == TALL:
                        _add_taps_tall(DY, X, width, plan.taps[2], of_tile)
                    else:
                        _add_taps(DY, X, width, plan.taps[2], of_tile)
                    to += tiles * rows * tap_sums


@jit
def _store_sums(sums, plan, shape, out):
    """The lanes added up, to (M, C, KD, KH, KW)."""
    lanes, taps, planes, rows = lane_count(sums), plan.taps[2], plan.taps[0] * plan.taps[1], _rows(plan, shape.M, sums)
    for m in range(shape.M):
        tile = m if shape.M < rows else m // rows
        slot = tile * rows + m - _first_channel(tile, shape.M, rows)
        for c in range(shape.C):
            for i in range(planes):
                for k in range(taps):
                    at = (((c * planes + i) * _tile_count(shape.M, rows) * rows + slot) * taps + k) * lanes
                    out[((m * shape.C + c) * planes + i) * taps + k] = sum_lanes(load(sums, at))


@jit
def row_gradient(first, last, operands, plan, shape, block, splits):
    """``out[s, g, m, c, k] = sum over images n of split s, outputs o of dy[n, g, m, o] * x[n, g, c, tap k of o]``: the
    tasks, a split of a group each, from `first` to `last` - 1; a block is some rows of outputs."""
    N, groups, C, M = shape
    lanes, channel = lane_count(operands.out), product(extents(plan, block))
    x_size, kernel = product(plan.sizes), product(plan.taps)
    copied = allocate(operands.out, C * channel + 2 * lanes)
    rows = _rows(plan, M, operands.out)
    size = C * kernel * _tile_count(M, rows) * rows * lanes
    sums = allocate(operands.out, size)
    for task in range(first, last):
        split, group = divmod(task, groups)
        for i in range(0, size, lanes):
            store(sums, i, splat(sums, 0.0))
        for image in range(split * N // splits, (split + 1) * N // splits):
            x = shifted(operands.x, (image * groups + group) * C * x_size)
            dy = shifted(operands.dy, (image * groups + group) * M * plan.out_size)
            for d in range(plan.outputs[0]):
                for h in range(0, plan.outputs[1], block[1]):
                    place = block_from(plan, (d, h, ZERO), block)
                    extent = extents(plan, place.outputs)
                    copy_block(x, plan.sizes, place.start, extent, C, copied, channel)
                    to = shifted(dy, offset(place.first, plan.out_strides))
                    _add_block(to, copied, channel, plan, shape, place.outputs, sums)
        _store_sums(sums, plan, shape, shifted(operands.out, (split * groups + group) * M * C * kernel))
    release(copied)
    release(sums)


@jit
def _row_gradient_parallel(dy, x, out, numbers, threads):
    plan, shape, block, others = decode(numbers)
    splits = others[-1]  # the only other number
    arguments = Operands(flat(dy), flat(x), flat(out)), plan, shape, block, splits
    parallel_for(row_gradient, splits * shape.groups, 1, threads, arguments)


_compiled = Compiled(_row_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[::1], int64))


def _height(plan, C, itemsize):
    """Rows of outputs of a block."""
    vectors = -(-plan.outputs[2] * itemsize // machine.vector_bytes())
    row = (plan.outputs[2] + plan.taps[2]) * C * itemsize
    return max(min(plan.outputs[1], CHAIN // vectors, BLOCK_BYTES // (row * plan.stride[1])), 1)


def pays(plan, shape, itemsize) -> bool:
    """Whether the loops can compute it and are likely faster than those of `weight_gradient`, by an estimate of both in
    multiply-adds for each element of dy, idle lanes and rows included."""
    C, M, width = shape.C, shape.M, plan.outputs[2]
    if plan.stride[2] > 1 or C >= FEW_CHANNELS:
        return False
    products, lanes, along = C * math.prod(plan.taps), machine.vector_bytes() // itemsize, C * plan.taps[2]
    vectors, panel = -(-width // lanes), -(-M // lanes)
    channels = MR if M < MR else -(-M // MR) * MR / M
    rows = products * channels * (ROWS + TILE / (vectors * _height(plan, C, itemsize))) * vectors * lanes / width
    whole, rest = divmod(along, HEIGHT)
    heights = whole * HEIGHT + (max(COVERING_HEIGHTS[rest], IN_FLIGHT // min(panel, NV)) if rest else 0)
    panels = products * heights / along * panel * lanes / M
    return rows < panels + PACKED + COPIED * C / M


def choose_blocks(plan, shape, itemsize):
    """How many rows a block has, and into how many parts the images are split, each with sums of its own."""
    height = _height(plan, shape.C, itemsize)
    blocks = shape.N * plan.outputs[0] * -(-plan.outputs[1] // height)
    return height, min(shape.N, max(-(-MIN_TASKS // shape.groups), -(-blocks // CHAIN)))


def run(dy, x, weight_shape, plan, groups):
    """The gradient, of `weight_shape`, for arrays (N, C, D, H, W) of which neither is empty."""
    shape = Shape(x.shape[0], groups, x.shape[1] // groups, dy.shape[1] // groups)
    height, splits = choose_blocks(plan, shape, x.itemsize)
    threads = threads_for(multiply_adds=math.prod(plan.taps) * math.prod(plan.outputs) * math.prod(shape))
    out = _checks.new((splits, *weight_shape), x.dtype)
    numbers = encode(plan, shape, (1, height, plan.outputs[2]), splits)
    _compiled[x.dtype](dy.reshape(-1), x.reshape(-1), out.reshape(-1), numbers, threads)
    return out[0] if splits == 1 else sum_over(out, 0)
