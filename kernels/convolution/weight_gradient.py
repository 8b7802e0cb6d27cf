r"""The convolution's gradient for its weight: the tiles of `micro` again, summed over images and pixels.

.. math:: dW_{m c t} = \sum_{n, i} dy_{n m i}\; x_{n c}[\mathrm{origin} + i\,\mathrm{stride} + t\,\mathrm{step}]

A tile is a few channels of x by NR channels of dy, for one tap t. dy is packed with its channels side by side, a region
of pixels at a time, and serves all taps and channels of x; x is read in place, or from a copy with its padding.

A task is one block of NR channels of dy and up to `chunk` channels of x, over all images: no two threads add to one
element. Where there are too few of those, the images are divided among tasks, too, into as many sums as the shape says.
"""

from numba import int64

from kernels import _checks
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import PARALLEL_MULTIPLY_ADDS, threads_for
from kernels.convolution.blocks import copy_block
from kernels.convolution.correlation import (
    BOX,
    COUNT,
    FEW,
    PANEL,
    REGION,
    ROUNDS,
    SIZE,
    STEP,
    STRIDE,
    extent,
    inside,
    region_at,
    region_counts,
    tile_width,
)
from kernels.convolution.micro import MR, correlate_tile, put_tile, tile_height, totals_size
from kernels.gemm.micro import NV, STORE
from kernels.gemm.offsets import pack_panel
from kernels.machine import vector_bytes
from kernels.reduction import sum as sum_over
from kernels.simd import allocate, flat, lane_count, release, shifted

LONGEST = 256  # pixels of a row at a time: a chain of additions is at most that long
TOTALS = PANEL // 2  # bytes of a task's tiles


def _set_regions(plan, images, channels, itemsize):
    """Write the extents of a region into `plan`; returns how many channels of x make a chunk, and the images a region
    takes in."""
    NR = NV * vector_bytes() // itemsize
    taps = int(plan[ROUNDS].prod())
    chunk = max(min(TOTALS // (taps * NR * itemsize), 8 * MR) // MR * MR, MR)
    chunk = min(chunk, channels)
    region = plan[REGION]
    region[:] = plan[COUNT]
    region[2] = min(region[2], LONGEST)
    while True:
        extents = (region - 1) * plan[STRIDE] + (plan[ROUNDS] - 1) * plan[STEP] + 1
        panel, box = int(region.prod()) * NR * itemsize, int(extents.prod()) * chunk * itemsize
        if panel <= PANEL // 2 and box <= BOX:
            return chunk, max(min(PANEL // 2 // max(panel, 1), BOX // max(box, 1), images), 1)
        if region[0] > 1:
            region[0] = -(-region[0] // 2)
        elif region[1] > 1:
            region[1] = -(-region[1] // 2)
        elif region[2] > MR:
            region[2] = -(-region[2] // 2)
        elif chunk > MR:
            chunk = MR
        else:
            return chunk, 1


@jit
def _pack_region(dy, at, sizes, counts, present, width, panel, to):
    """Pack the pixels of one image's region, channels side by side; `at` is the region's first pixel."""
    plane = sizes[0] * sizes[1] * sizes[2]
    for d in range(counts[0]):
        if counts[2] == sizes[2]:  # whole rows are contiguous
            pixels = counts[1] * counts[2]
            pack_panel(dy, at + d * sizes[1] * sizes[2], plane, 1, present, width, pixels, panel, to)
            to += pixels * width
        else:
            for h in range(counts[1]):
                row = at + (d * sizes[1] + h) * sizes[2]
                pack_panel(dy, row, plane, 1, present, width, counts[2], panel, to)
                to += counts[2] * width


@jit
def _add_region(x, channels, pitches, taps, tap_steps, rounds, steps, panel, width, tiles, size, keep):
    """Add a region's sums to the tiles of `channels` channels of x and all taps.

    A tile's rows are channels, or where there are few of those, taps along the width.
    """
    by_taps = channels < min(taps[2], 8)
    rows_in_all, ra = (taps[2], tap_steps[2]) if by_taps else (channels, pitches)
    tile = 0
    for c in range(channels if by_taps else 1):
        row = 0
        while row < rows_in_all:
            rows = tile_height(rows_in_all - row)
            for i in range(taps[0]):
                for j in range(taps[1]):
                    for k in range(1 if by_taps else taps[2]):
                        at = c * pitches + row * ra + i * tap_steps[0] + j * tap_steps[1] + k * tap_steps[2]
                        correlate_tile(rows, width, x, at, ra, rounds, steps, panel, shifted(tiles, tile * size), keep)
                        tile += 1
            row += rows


@jit
def _most_tiles(channels, taps):
    """At least the number of tiles that `_add_region` uses; a row of tiles ends in less than four small ones."""
    every = taps[0] * taps[1] * taps[2]
    if channels < min(taps[2], 8):
        return channels * taps[0] * taps[1] * (taps[2] // MR + 4)
    return (channels // MR + 4) * every


@jit
def _put_tiles(tiles, size, width, channels, taps, present, turned, out, at, out_channel):
    """The tiles of `_add_region` to their places in the weight's gradient."""
    every = taps[0] * taps[1] * taps[2]
    by_taps = channels < min(taps[2], 8)
    rows_in_all = taps[2] if by_taps else channels
    tile = 0
    for c in range(channels if by_taps else 1):
        row = 0
        while row < rows_in_all:
            rows = tile_height(rows_in_all - row)
            for i in range(taps[0]):
                for j in range(taps[1]):
                    for k in range(1 if by_taps else taps[2]):
                        to = at + c * every + row * (1 if by_taps else every) + (i * taps[1] + j) * taps[2] + k
                        put_tile(
                            shifted(tiles, tile * size), width, rows, present, out, 0, STORE, False, turned,
                            out, to, out_channel, 1 if by_taps else every,
                        )  # fmt: skip
                        tile += 1
            row += rows


@jit(merge=True)
def _take_boxes(x, at, image_step, plan, start, counts, images, channels, in_place, box):
    """What a region's outputs see in x, in each image: copied into the box, or where it lies; and the elements from one
    image, channel, slice and row to the next."""
    sizes = (plan[SIZE, 0], plan[SIZE, 1], plan[SIZE, 2])
    if in_place:
        slice, row = sizes[1] * sizes[2], sizes[2]
        return shifted(x, at + start[0] * slice + start[1] * row + start[2]), image_step, sizes[0] * slice, slice, row
    extents = (extent(plan, 0, counts[0]), extent(plan, 1, counts[1]), extent(plan, 2, counts[2]))
    pitch, lanes = extents[0] * extents[1] * extents[2], lane_count(x)
    pitch += lanes if pitch % (4 * lanes) == 0 else 0  # not all channels in the same cache set
    for n in range(images):
        to = shifted(box, n * channels * pitch)
        copy_block(x, at + n * image_step, sizes, start, extents, channels, to, pitch)
    return box, channels * pitch, pitch, extents[1] * extents[2], extents[2]


@jit(merge=True)
def _sum_task(dy, x, out, plan, images, groups, channels, columns, chunk, together, task, splits):
    """One task: the images that fall to its split, region by region."""
    lanes = lane_count(out)
    DY, X, OUT = flat(dy), flat(x), flat(out)
    NR = NV * lanes
    blocks, chunks = (columns + NR - 1) // NR, (channels + chunk - 1) // chunk
    split, block, c = task % splits, task // splits // chunks, task // splits % chunks * chunk
    group, column = block // blocks, block % blocks * NR
    present, now = min(NR, columns - column), min(chunk, channels - c)
    width = tile_width(present, lanes)
    taps = (plan[ROUNDS, 0], plan[ROUNDS, 1], plan[ROUNDS, 2])
    every = taps[0] * taps[1] * taps[2]
    counts = (plan[COUNT, 0], plan[COUNT, 1], plan[COUNT, 2])
    x_plane, y_plane = plan[SIZE, 0] * plan[SIZE, 1] * plan[SIZE, 2], counts[0] * counts[1] * counts[2]
    regions = region_counts(plan)
    in_place = inside(plan)
    size = totals_size(out)

    room = (
        extent(plan, 0, plan[REGION, 0]) * extent(plan, 1, plan[REGION, 1]) * extent(plan, 2, plan[REGION, 2]) + lanes
    )
    box = allocate(out, 0 if in_place else together * now * room)
    panel = allocate(out, (together * plan[REGION, 0] * plan[REGION, 1] * plan[REGION, 2] + lanes) * NR)
    tiles = allocate(out, _most_tiles(now, taps) * size)
    turned = allocate(out, lanes * lanes)
    keep = False
    first, last = split * images // splits, (split + 1) * images // splits
    for image in range(first, last, together):
        several = min(together, last - image)
        for region in range(regions[0] * regions[1] * regions[2]):
            origin, extents, start = region_at(plan, region, regions)
            pixels = extents[0] * extents[1] * extents[2]
            for n in range(several):
                at = ((image + n) * groups + group) * columns + column
                at = at * y_plane + (origin[0] * counts[1] + origin[1]) * counts[2] + origin[2]
                _pack_region(DY, at, counts, extents, present, width, panel, n * pixels * width)
            at = ((image * groups + group) * channels + c) * x_plane
            source, image_step, pitch, slice, row = _take_boxes(
                X, at, groups * channels * x_plane, plan, start, extents, several, now, in_place, box
            )
            _add_region(
                source, now, pitch, taps, (plan[STEP, 0] * slice, plan[STEP, 1] * row, plan[STEP, 2]),
                (several, *extents), (image_step, plan[STRIDE, 0] * slice, plan[STRIDE, 1] * row, plan[STRIDE, 2]),
                panel, width, tiles, size, keep,
            )  # fmt: skip
            keep = True
    at = split * (out.size // splits) + ((group * columns + column) * channels + c) * every
    if keep:
        _put_tiles(tiles, size, width, now, taps, present, turned, OUT, at, channels * every)
    release(box)
    release(panel)
    release(tiles)
    release(turned)


@jit
def weight_gradient(first, last, dy, x, out, plan, images, groups, channels, columns, chunk, together, splits):
    """``out[s, g, m, c, t] = sum over images n of split s, pixels i of dy[n, g, m, i] * x[n, g, c, tap t of i]``: the
    tasks from `first` to `last` - 1.

    Flat arrays: dy (images, groups, columns, pixels), x (images, groups, channels, *sizes).
    """
    for task in range(first, last):
        _sum_task(dy, x, out, plan, images, groups, channels, columns, chunk, together, task, splits)


@jit
def _weight_gradient_parallel(
    dy, x, out, plan, images, groups, channels, columns, chunk, together, tasks, splits, threads
):  # fmt: skip
    arguments = dy, x, out, plan, images, groups, channels, columns, chunk, together, splits
    parallel_for(weight_gradient, tasks, 1, threads, arguments)


_compiled = Compiled(
    _weight_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[:, ::1], *(int64,) * 9)
)


def run(dy, x, shape, plan, groups):
    """The gradient, of `shape`, for arrays (N, C, D, H, W) of which neither is empty."""
    images, channels, columns = x.shape[0], x.shape[1] // groups, dy.shape[1] // groups
    chunk, together = _set_regions(plan, images, channels, x.itemsize)
    NR = NV * vector_bytes() // x.itemsize
    tasks = groups * -(-columns // NR) * -(-channels // chunk)
    work = int(plan[ROUNDS].prod() * plan[COUNT].prod()) * channels * columns * groups * images
    splits = min(images, -(-FEW // tasks), max(work // PARALLEL_MULTIPLY_ADDS, 1))
    out = _checks.new((splits, *shape), x.dtype)
    _compiled[x.dtype](
        dy.reshape(-1), x.reshape(-1), out.reshape(-1), plan, images, groups, channels, columns, chunk, together,
        tasks * splits, splits, threads_for(multiply_adds=work),
    )  # fmt: skip
    return out[0] if splits == 1 else sum_over(out, 0)
