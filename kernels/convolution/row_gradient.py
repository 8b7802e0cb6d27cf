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
from kernels.convolution.pack import copy_block
from kernels.convolution.plan import Shape, block_from, decode, encode, extents, offset, product
from kernels.convolution.weight_gradient import Operands
from kernels.gemm.micro import CHAIN
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

# A tile: MR channels of dy by up to five taps, and as many vectors of x and one of dy must fit the registers.
MR = 4 if machine.vector_registers() >= 32 else 2
FEW_CHANNELS = 8  # of x, beyond which the tiles of `weight_gradient` find enough to do
ZERO = np.int64(0)  # typed: Numba compiles a callee anew for each literal argument


class Rows(NamedTuple):
    """`height` rows of pixels for each channel of dy or tap."""

    first: object  # row i: the first one of channel or tap i
    row_stride: int  # elements from one row of pixels to the next
    height: int


def _tile(taps):
    """The sums of MR channels of dy and `taps` taps over the outputs of a block."""

    @jit(inline=True)
    def add(DY, X, width, sums):
        A, B = strided(DY.first, DY.first.row_stride, 1), strided(X.first, X.first.row_stride, 1)
        acc = tile_zeros(sums, MR, taps)
        for w in range(0, width, lane_count(sums)):
            for h in range(DY.height):  # the longer loop: one mask for all its steps
                a, b = A.column(h * DY.row_stride + w), B.column(h * X.row_stride + w)
                acc = tile_dot(acc, a, b, width - w)
        tile_add(sums, acc)

    return add


_tile_5, _tile_3, _tile_2, _tile_1 = _tile(5), _tile(3), _tile(2), _tile(1)


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


@jit(inline=True)
def _tile_count(M):
    """Tiles that cover the channels of dy: where they are too few for one, each has a tile of its own."""
    return M if M < MR else (M + MR - 1) // MR


@jit(inline=True)
def _first_channel(tile, M):
    """Of a tile; the last tile overlaps the one before rather than reach past the last channel."""
    return tile if M < MR else min(tile * MR, M - MR)


@jit
def _add_block(dy, x, channel_stride, plan, shape, outputs, sums):
    """A block's products, added to the lanes of `sums`: (channels, KD, KH, tiles, MR, KW, lanes).

    dy begins at the first of the outputs, which are rows of one plane; x is a copy of the block that they need.
    """
    _, height, row = extents(plan, outputs)
    plane = height * row
    width, tap_sums, tiles = outputs[2], plan.taps[2] * lane_count(sums), _tile_count(shape.M)
    for tile in range(tiles):  # its rows of dy stay in L1 for all channels and rows of taps
        first, to = shifted(dy, _first_channel(tile, shape.M) * plan.out_size), tile * MR * tap_sums
        DY = Rows(strided(first, plan.out_size if shape.M >= MR else 0, 1), plan.out_strides[1], outputs[1])
        for c in range(shape.C):
            for i in range(plan.taps[0]):
                for j in range(plan.taps[1]):
                    start = c * channel_stride + i * plan.dilation[0] * plane + j * plan.dilation[1] * row
                    X = Rows(strided(shifted(x, start), plan.dilation[2], 1), plan.stride[1] * row, outputs[1])
                    _add_taps(DY, X, width, plan.taps[2], strided(shifted(sums, to), tap_sums, 1))
                    to += tiles * MR * tap_sums


@jit
def _store_sums(sums, plan, shape, out):
    """The lanes added up, to (M, C, KD, KH, KW)."""
    lanes, taps, rows = lane_count(sums), plan.taps[2], plan.taps[0] * plan.taps[1]
    for m in range(shape.M):
        tile = m if shape.M < MR else m // MR
        slot = tile * MR + m - _first_channel(tile, shape.M)
        for c in range(shape.C):
            for i in range(rows):
                for k in range(taps):
                    at = (((c * rows + i) * _tile_count(shape.M) * MR + slot) * taps + k) * lanes
                    out[((m * shape.C + c) * rows + i) * taps + k] = sum_lanes(load(sums, at))


@jit
def row_gradient(first, last, operands, plan, shape, block, splits):
    """``out[s, g, m, c, k] = sum over images n of split s, outputs o of dy[n, g, m, o] * x[n, g, c, tap k of o]``: the
    tasks, a split of a group each, from `first` to `last` - 1; a block is some rows of outputs."""
    N, groups, C, M = shape
    lanes, channel = lane_count(operands.out), product(extents(plan, block))
    x_size, kernel = product(plan.sizes), product(plan.taps)
    copied = allocate(operands.out, C * channel + 2 * lanes)
    size = C * kernel * _tile_count(M) * MR * lanes
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


def fits(plan, C, M, itemsize):
    """Whether the loops can compute it and are likely the faster ones: channels of dy are too few to fill the lanes, or
    a single one of x has few taps, and rows of outputs fill the lanes."""
    lanes, width = machine.vector_bytes() // itemsize, plan.outputs[2]
    filled = width / (-(-width // lanes) * lanes)
    few_rows = C == 1 and plan.taps[2] < FEW_CHANNELS and filled >= 0.75
    return plan.stride[2] == 1 and C < FEW_CHANNELS and (few_rows or M <= lanes // 2)


def choose_blocks(plan, shape, itemsize):
    """How many rows a block has, and into how many parts the images are split, each with sums of its own."""
    D, H, W = plan.outputs
    vectors = -(-W * itemsize // machine.vector_bytes())
    row = (W + plan.taps[2]) * shape.C * itemsize
    height = max(min(H, CHAIN // vectors, BLOCK_BYTES // (row * plan.stride[1])), 1)
    blocks = shape.N * D * -(-H // height)
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
