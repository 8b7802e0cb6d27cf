r"""The convolution's gradient for its weight where x has few channels: the lanes are pixels.

.. math:: dW_{m c t} = \sum_{n, i} dy_{n m i}\; x_{n c}[\mathrm{origin} + i + t\,\mathrm{step}]

`weight_gradient` holds channels of dy in its lanes, so that dy has to be turned, and most lanes idle where it has few.
Here dy and x are both read as they lie, along the width, and a tile is a few channels of dy by a few taps:

        dy, some channels          x, the row that tap 0 sees
     m  [ p  p+1 …  p+L )       k  [ p  p+1 …  p+L )                 tile[m, k] += dy[m] * x[k], lane by lane
     m' [ p  p+1 …  p+L )       k' [ p+step …      )

Each lane sums its own pixels; the lanes are added up once, when all images have been seen. It takes outputs that are
neighbours in x: stride 1 along the width.
"""

import numpy as np
from numba import int64

from kernels import _checks, machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.blocks import copy_block
from kernels.convolution.correlation import BOX, COUNT, FEW, ORIGIN, ROUNDS, SIZE, STEP, STRIDE, extent
from kernels.gemm.micro import CHAIN
from kernels.reduction import sum as sum_over
from kernels.simd import allocate, flat, lane_count, load, release, splat, store, sum_lanes, tile_zeros
from kernels.simd.offsets import tile_add, tile_dot

# A tile: MR channels of dy by up to five taps, and as many vectors of x and one of dy must fit the registers.
MR = 4 if machine.vector_registers() >= 32 else 2
FEW_CHANNELS = 8  # of x, beyond which the tiles of `weight_gradient` find enough to do
ONE = np.int64(1)  # a plain value: Numba compiles a callee anew for each literal argument


def _tile(taps):
    """The sums of MR channels of dy and `taps` taps over the outputs of a region."""

    @jit(inline=True)
    def add(dy, at, plane, y_rows, x, ix, x_rows, step, depth, height, width, sums, to, pitch):
        acc, lanes = tile_zeros(sums, MR, taps), lane_count(sums)
        for d in range(depth):
            for h in range(height):
                for w in range(0, width, lanes):
                    a, b = at + d * y_rows[0] + h * y_rows[1] + w, ix + d * x_rows[0] + h * x_rows[1] + w
                    acc = tile_dot(acc, dy, a, plane, x, b, step, width - w)
        tile_add(sums, to, pitch, acc)

    return add


_tile_5, _tile_3, _tile_2, _tile_1 = _tile(5), _tile(3), _tile(2), _tile(1)


@jit
def _add_taps(dy, at, plane, y_rows, x, ix, x_rows, step, depth, height, width, taps, sums, to, pitch):
    """All taps along the width: in fives, then what is left."""
    k, lanes = 0, lane_count(sums)
    while k < taps:
        left, b, place = taps - k, ix + k * step, to + k * lanes
        if left >= 5:
            _tile_5(dy, at, plane, y_rows, x, b, x_rows, step, depth, height, width, sums, place, pitch)
            k += 5
        elif left >= 3:
            _tile_3(dy, at, plane, y_rows, x, b, x_rows, step, depth, height, width, sums, place, pitch)
            k += 3
        elif left == 2:
            _tile_2(dy, at, plane, y_rows, x, b, x_rows, step, depth, height, width, sums, place, pitch)
            k += 2
        else:
            _tile_1(dy, at, plane, y_rows, x, b, x_rows, step, depth, height, width, sums, place, pitch)
            k += 1


@jit(inline=True)
def _tiles(columns):
    """Tiles that cover the channels of dy: where they are too few for one, each has a tile of its own."""
    return columns if columns < MR else (columns + MR - 1) // MR


@jit(inline=True)
def _head(tile, columns):
    """The first channel of a tile; the last tile overlaps the one before rather than reach past the last channel."""
    return tile if columns < MR else min(tile * MR, columns - MR)


@jit
def _add_region(dy, at, plane, y_rows, columns, box, pitch, x_rows, channels, plan, depth, height, width, sums):
    """A region's products, added to the lanes of `sums`: (channels, KD, KH, tiles, MR, KW, lanes)."""
    taps, to = plan[ROUNDS, 2], 0
    steps = plan[STRIDE, 0] * x_rows[0], plan[STRIDE, 1] * x_rows[1]
    for c in range(channels):
        for i in range(plan[ROUNDS, 0]):
            for j in range(plan[ROUNDS, 1]):
                ix = c * pitch + i * plan[STEP, 0] * x_rows[0] + j * plan[STEP, 1] * x_rows[1]
                for tile in range(_tiles(columns)):
                    _add_taps(
                        dy, at + _head(tile, columns) * plane, plane if columns >= MR else 0, y_rows, box, ix, steps,
                        plan[STEP, 2], depth, height, width, taps, sums, to, taps * lane_count(sums),
                    )  # fmt: skip
                    to += MR * taps * lane_count(sums)


@jit
def _put_sums(sums, columns, channels, plan, out, at):
    """The lanes added up, to (columns, channels, KD, KH, KW)."""
    lanes, taps, rows = lane_count(sums), plan[ROUNDS, 2], plan[ROUNDS, 0] * plan[ROUNDS, 1]
    for m in range(columns):
        tile = m if columns < MR else m // MR
        slot = tile * MR + m - _head(tile, columns)
        for c in range(channels):
            for i in range(rows):
                for k in range(taps):
                    place = (((c * rows + i) * _tiles(columns) * MR + slot) * taps + k) * lanes
                    out[at + ((m * channels + c) * rows + i) * taps + k] = sum_lanes(load(sums, place))


@jit
def row_gradient(first, last, dy, x, out, plan, images, groups, channels, columns, height, splits):
    """``out[s, g, m, c, t] = sum over images n of split s, pixels i of dy[n, g, m, i] * x[n, g, c, tap t of i]``: the
    tasks, a split of a group each, from `first` to `last` - 1; a region has `height` rows of outputs.

    Flat arrays: dy (images, groups, columns, pixels), x (images, groups, channels, *sizes).
    """
    DY, X, OUT = flat(dy), flat(x), flat(out)
    lanes = lane_count(out)
    D, H, W = plan[COUNT, 0], plan[COUNT, 1], plan[COUNT, 2]
    sizes = (plan[SIZE, 0], plan[SIZE, 1], plan[SIZE, 2])
    x_plane, y_plane = sizes[0] * sizes[1] * sizes[2], D * H * W
    every = plan[ROUNDS, 0] * plan[ROUNDS, 1] * plan[ROUNDS, 2]
    extents = (extent(plan, 0, 1), extent(plan, 1, height), extent(plan, 2, W))
    pitch = extents[0] * extents[1] * extents[2]
    box = allocate(out, channels * pitch + 2 * lanes)
    size = channels * every * _tiles(columns) * MR * lanes
    sums = allocate(out, size)
    for task in range(first, last):
        split, group = divmod(task, groups)
        for i in range(0, size, lanes):
            store(sums, i, splat(sums, 0.0))
        for image in range(split * images // splits, (split + 1) * images // splits):
            for d in range(D):
                for h in range(0, H, height):
                    now = min(height, H - h)
                    start = (
                        plan[ORIGIN, 0] + d * plan[STRIDE, 0], plan[ORIGIN, 1] + h * plan[STRIDE, 1], plan[ORIGIN, 2],
                    )  # fmt: skip
                    seen = (extents[0], extent(plan, 1, now), extents[2])
                    at = (image * groups + group) * channels * x_plane
                    copy_block(X, at, sizes, start, seen, channels, box, pitch)
                    at = (image * groups + group) * columns * y_plane + (d * H + h) * W
                    _add_region(
                        DY, at, y_plane, (H * W, W), columns, box, pitch, (seen[1] * seen[2], seen[2]), channels, plan,
                        ONE, now, W, sums,
                    )  # fmt: skip
        _put_sums(sums, columns, channels, plan, OUT, (split * groups + group) * columns * channels * every)
    release(box)
    release(sums)


@jit
def _row_gradient_parallel(dy, x, out, plan, images, groups, channels, columns, height, splits, threads):
    arguments = dy, x, out, plan, images, groups, channels, columns, height, splits
    parallel_for(row_gradient, splits * groups, 1, threads, arguments)


_compiled = Compiled(
    _row_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[:, ::1], *(int64,) * 7)
)


def fits(plan, channels, columns, itemsize):
    """Whether the loops can compute it and are likely the faster ones: x has few channels, and rows of outputs fill
    the lanes better than channels of dy do."""
    lanes, width = machine.vector_bytes() // itemsize, int(plan[COUNT, 2])
    filled = width / (-(-width // lanes) * lanes)
    return plan[STRIDE, 2] == 1 and channels < FEW_CHANNELS and (filled >= 0.75 or columns <= lanes // 2)


def run(dy, x, shape, plan, groups):
    """The gradient, of `shape`, for arrays (N, C, D, H, W) of which neither is empty."""
    images, channels, columns = x.shape[0], x.shape[1] // groups, dy.shape[1] // groups
    vectors = -(-int(plan[COUNT, 2]) * x.itemsize // machine.vector_bytes())
    row = (int(plan[COUNT, 2]) + int(plan[ROUNDS, 2])) * channels * x.itemsize
    height = max(min(int(plan[COUNT, 1]), CHAIN // vectors, BOX // (row * int(plan[STRIDE, 1]))), 1)
    regions = images * int(plan[COUNT, 0]) * -(-int(plan[COUNT, 1]) // height)
    splits = min(images, max(-(-FEW // groups), -(-regions // CHAIN)))
    work = int(plan[ROUNDS].prod() * plan[COUNT].prod()) * channels * columns * groups * images
    out = _checks.new((splits, *shape), x.dtype)
    threads = threads_for(multiply_adds=work)
    _compiled[x.dtype](
        dy.reshape(-1), x.reshape(-1), out.reshape(-1), plan, images, groups, channels, columns, height, splits, threads
    )
    return out[0] if splits == 1 else sum_over(out, 0)
