r"""The convolution by tiles that read x in place; its gradient for x and the transposed convolution run the same loops.

Along each axis, output i of `count` sums over `rounds` taps, the one in round k at position
``origin + i*stride + k*step`` of x; positions outside x count as zeros. For the convolution origin is -padding and step
the dilation. In the gradient for x the roles turn: x's gradient takes from dy (a gather; a scatter of dy would need
every element of dx many times). With stride s, only every s-th position of dx meets the same taps, so that the
positions fall into s phases an axis, each of them such a sum with stride 1.

A task is a part of the output channels on one region of one image. Its thread packs the part's weights once for all
its regions, and copies each region's box of x, with the padding around it, to where it stays in L2. Where a block of NR
output channels has weights that would not stay there beside it, the summed channels come in turns, and y is written as
often.
"""

import numpy as np
from numba import boolean, int64

from kernels import machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.blocks import copy_block, copy_split, pack_weights, turned_size
from kernels.convolution.micro import (
    FEW_CHANNELS,
    MR,
    correlate_row,
    correlate_tile,
    put_row,
    put_tile,
    row_vectors,
    tile_height,
    totals_size,
)
from kernels.gemm.micro import ADD, BIAS, NV, STORE
from kernels.simd import allocate, flat, lane_count, prefetch, release, shifted

# Rows of a plan; a column for each axis: depth, height, width.
SIZE, ROUNDS, STEP, STRIDE, ORIGIN, COUNT, OUT_STEP, TAP_STEP, REGION = range(9)

PANEL = BOX = machine.cache_bytes(2) // 2  # a block's panel and the box: they are read again for each tile
PANELS = 5 * 2**18  # all panels of a part: with the box, not over 2 MiB a thread
# A region is cut until there are FEW tasks, unless it is small already (in multiply-adds).
FEW, SMALL_REGION = 16, 2_000_000
SHORT = 64  # products to an output that are few


def set_regions(plan, images, channels, columns, itemsize):
    """Write the extents of a region into `plan`; returns how many channels are summed at a time, and how many output
    channels make a part."""
    NR = NV * machine.vector_bytes() // itemsize
    taps = int(plan[ROUNDS].prod())
    turns = -(-channels * taps * NR * itemsize // PANEL)
    at_once = max(-(-channels // turns), 1)
    parts = -(-columns * at_once * taps * itemsize // PANELS)
    part = -(-columns // (parts * NR)) * NR
    region = plan[REGION]
    region[:] = plan[COUNT]
    while True:
        extents = (region - 1) * plan[STRIDE] + (plan[ROUNDS] - 1) * plan[STEP] + 1
        fits = int(extents.prod()) * at_once * itemsize <= BOX
        tasks = images * parts * int((-(-plan[COUNT] // region)).prod())
        if fits and (tasks >= FEW or int(region.prod()) * at_once * taps * min(part, columns) <= SMALL_REGION):
            return at_once, part
        if region[0] > 1:
            region[0] = -(-region[0] // 2)
        elif region[1] > 1:
            region[1] = -(-region[1] // 2)
        elif region[2] > 4 * MR:
            region[2] = -(-region[2] // (2 * MR)) * MR
        elif fits or at_once == 1:
            return at_once, part
        else:
            at_once = -(-at_once // 2)


@jit
def region_counts(plan):
    """Regions along each axis."""
    return (
        (plan[COUNT, 0] + plan[REGION, 0] - 1) // plan[REGION, 0],
        (plan[COUNT, 1] + plan[REGION, 1] - 1) // plan[REGION, 1],
        (plan[COUNT, 2] + plan[REGION, 2] - 1) // plan[REGION, 2],
    )


@jit(inline=True)
def extent(plan, axis, outputs):
    """How far the taps of `outputs` neighbouring outputs reach."""
    return (outputs - 1) * plan[STRIDE, axis] + (plan[ROUNDS, axis] - 1) * plan[STEP, axis] + 1


@jit(inline=True)
def region_at(plan, number, regions):
    """Region `number` of ``regions`` along each axis: its first output, its numbers of outputs, and where the box that
    they see begins."""
    d = number // (regions[1] * regions[2]) * plan[REGION, 0]
    h = number // regions[2] % regions[1] * plan[REGION, 1]
    w = number % regions[2] * plan[REGION, 2]
    counts = (
        min(plan[REGION, 0], plan[COUNT, 0] - d), min(plan[REGION, 1], plan[COUNT, 1] - h),
        min(plan[REGION, 2], plan[COUNT, 2] - w),
    )  # fmt: skip
    start = (
        plan[ORIGIN, 0] + d * plan[STRIDE, 0], plan[ORIGIN, 1] + h * plan[STRIDE, 1],
        plan[ORIGIN, 2] + w * plan[STRIDE, 2],
    )  # fmt: skip
    return (d, h, w), counts, start


@jit
def inside(plan):
    """Whether no tap of any output lies outside x."""
    for axis in range(3):
        if plan[ORIGIN, axis] < 0 or plan[ORIGIN, axis] + extent(plan, axis, plan[COUNT, axis]) > plan[SIZE, axis]:
            return False
    return True


@jit
def _correlate_region(
    x, pitches, rounds, strides, counts, panel, width, totals, bias, jb, mode, relu, turned,
    out, at, out_steps, channel_step, columns,
):  # fmt: skip
    """All outputs of one region in one block of channels, tile by tile along the width.

    `pitches` are the elements of x from one tap to the next: channel, depth, height, width; `strides` those from one
    output to the next along the last three.
    """
    for d in range(counts[0]):
        for h in range(counts[1]):
            w = 0
            while w < counts[2]:
                rows = tile_height(counts[2] - w)
                first = d * strides[0] + h * strides[1] + w * strides[2]
                to = at + d * out_steps[0] + h * out_steps[1] + w * out_steps[2]
                for j in range(columns):  # each in another page: ask for it before it is due
                    prefetch(out, to + j * channel_step)
                correlate_tile(rows, width, x, first, strides[2], rounds, pitches, panel, totals, False)
                put_tile(
                    totals, width, rows, columns, bias, jb, mode, relu, turned, out, to, channel_step, out_steps[2]
                )
                w += rows


@jit
def _correlate_rows(
    x, pitches, rounds, strides, counts, taps, panel, width, totals, bias, jb, mode, relu, scratch,
    out, at, out_steps, channel_step, columns,
):  # fmt: skip
    """`_correlate_region` for few output channels: the lanes are pixels."""
    lanes = lane_count(out)
    for d in range(counts[0]):
        for h in range(counts[1]):
            w = 0
            while w < counts[2]:
                vectors = row_vectors(columns, counts[2] - w, lanes)
                pixels = min(vectors * lanes, counts[2] - w)
                first = d * strides[0] + h * strides[1] + w
                correlate_row(columns, vectors, x, first, rounds, pitches, taps, panel, width, totals)
                put_row(
                    totals, columns, vectors, pixels, bias, jb, mode, relu, scratch, out,
                    at + d * out_steps[0] + h * out_steps[1] + w * out_steps[2], channel_step, out_steps[2],
                )  # fmt: skip
                w += pixels


@jit(inline=True)
def tile_width(columns, lanes):
    """Width of the tile where `columns` output channels are left."""
    return NV * lanes if columns > lanes else lanes


@jit(merge=True)
def _pack_part(
    weight, at, across, along, taps, first_tap, plan, channels, columns, NR, by_rows, panels, block, turned
):  # fmt: skip
    """The weights of all blocks of a part, `block` elements from one to the next."""
    rounds = (plan[ROUNDS, 0], plan[ROUNDS, 1], plan[ROUNDS, 2])
    steps = (plan[TAP_STEP, 0], plan[TAP_STEP, 1], plan[TAP_STEP, 2])
    lanes = lane_count(weight)
    for j in range(0, columns, NR):
        width = lanes if by_rows else tile_width(columns - j, lanes)
        pack_weights(
            weight, at + j * across, across, along, taps, first_tap, rounds, steps, min(NR, columns - j), channels,
            width, shifted(panels, j // NR * block), turned,
        )  # fmt: skip


@jit(merge=True)
def _take_box(x, at, plan, start, counts, channels, split, box, tap_places):
    """Copy what the outputs of a region see; returns the pitches and strides of `_correlate_region`.

    Where the elements of each row are sorted into `split` parts, ``tap_places`` becomes the places of its taps.
    """
    sizes = (plan[SIZE, 0], plan[SIZE, 1], plan[SIZE, 2])
    extents = (extent(plan, 0, counts[0]), extent(plan, 1, counts[1]), extent(plan, 2, counts[2]))
    part = (extents[2] + split - 1) // split
    row = part * split
    slice, pitch = extents[1] * row, extents[0] * extents[1] * row
    if split == 1:
        copy_block(x, at, sizes, start, extents, channels, box, pitch)
    else:
        copy_split(x, at, sizes, start, extents, channels, box, pitch, split)
    for k in range(plan[ROUNDS, 2]):
        place = k * plan[STEP, 2]
        tap_places[k] = place % split * part + place // split
    pitches = (pitch, plan[STEP, 0] * slice, plan[STEP, 1] * row, plan[STEP, 2])
    return pitches, (plan[STRIDE, 0] * slice, plan[STRIDE, 1] * row, plan[STRIDE, 2])


@jit(merge=True)
def _correlate_blocks(
    box, pitches, rounds, strides, counts, tap_places, panels, block, columns, NR, by_rows, totals, bias, first_column,
    mode, relu, turned, out, at, out_steps, channel_step,
):  # fmt: skip
    """The outputs of one region in all blocks of a part."""
    lanes = lane_count(out)
    for j in range(0, columns, NR):
        panel, to, column, present = (
            shifted(panels, j // NR * block), at + j * channel_step, first_column + j, min(NR, columns - j)
        )  # fmt: skip
        if by_rows:
            _correlate_rows(
                box, pitches, rounds, strides, counts, tap_places, panel, lanes, totals, bias, column, mode, relu,
                turned, out, to, out_steps, channel_step, present,
            )  # fmt: skip
        else:
            _correlate_region(
                box, pitches, rounds, strides, counts, panel, tile_width(columns - j, lanes), totals, bias, column,
                mode, relu, turned, out, to, out_steps, channel_step, present,
            )  # fmt: skip


@jit
def correlate(
    thread, stop_thread, threads, x, weight, bias, relu, out, plan, images, groups, channels, columns, turned_weight,
    first_tap, first_out, at_once, part, by_rows,
):  # fmt: skip
    """``out[n, g, m] = relu(bias[m] + sum over channels c and taps of x[n, g, c] * weight[g, m, c])`` by `plan`: the
    tasks that fall to the threads from `thread` to `stop_thread` - 1 of `threads`.

    Flat arrays: x is (images, groups, channels, *sizes), out (images, groups, columns, ...), weight (groups, columns,
    channels, taps) or, if `turned_weight`, (groups, channels, columns, taps).
    """
    lanes = lane_count(out)
    X, W, B, Y = flat(x), flat(weight), flat(bias), flat(out)
    x_channel, out_channel = x.size // (images * groups * channels), out.size // (images * groups * columns)
    taps = weight.size // (groups * channels * columns)
    across, along = (taps, columns * taps) if turned_weight else (channels * taps, taps)
    rounds = (plan[ROUNDS, 0], plan[ROUNDS, 1], plan[ROUNDS, 2])
    out_steps = (plan[OUT_STEP, 0], plan[OUT_STEP, 1], plan[OUT_STEP, 2])
    NR = min(FEW_CHANNELS, lanes) if by_rows else NV * lanes
    parts, regions = (columns + part - 1) // part, region_counts(plan)
    tasks_of_part = images * regions[0] * regions[1] * regions[2]
    tasks = groups * parts * tasks_of_part
    split = plan[STRIDE, 2] if by_rows else 1  # parts of a row in the box
    task, last = thread * tasks // threads, stop_thread * tasks // threads

    block = at_once * rounds[0] * rounds[1] * rounds[2] * (lanes if by_rows else NR)
    panels = allocate(out, (min(part, columns) + NR - 1) // NR * block + lanes * NV * lanes)
    whole = extent(plan, 0, plan[REGION, 0]) * extent(plan, 1, plan[REGION, 1])
    box = allocate(out, at_once * whole * (extent(plan, 2, plan[REGION, 2]) + split - 1) + 4 * lanes)
    totals, turned = allocate(out, totals_size(out)), allocate(out, turned_size(max(taps, 1), lanes))
    tap_places = allocate(np.int64, rounds[2])
    while task < last:
        stop = min(last, (task // tasks_of_part + 1) * tasks_of_part)
        group, j = task // tasks_of_part // parts, task // tasks_of_part % parts * part
        present = min(part, columns - j)
        for c in range(0, channels, at_once):
            now = min(at_once, channels - c)
            mode = ADD if c > 0 else BIAS if bias.size else STORE
            at = group * columns * channels * taps + j * across + c * along
            _pack_part(W, at, across, along, taps, first_tap, plan, now, present, NR, by_rows, panels, block, turned)
            for number in range(task, stop):
                image, region = divmod(number % tasks_of_part, regions[0] * regions[1] * regions[2])
                first, counts, start = region_at(plan, region, regions)
                at = ((image * groups + group) * channels + c) * x_channel
                pitches, strides = _take_box(X, at, plan, start, counts, now, split, box, tap_places)
                at = first_out + ((image * groups + group) * columns + j) * out_channel
                at += first[0] * out_steps[0] + first[1] * out_steps[1] + first[2] * out_steps[2]
                _correlate_blocks(
                    box, pitches, (now, *rounds), strides, counts, tap_places, panels, block, present, NR, by_rows,
                    totals, B, group * columns + j, mode, relu and c + now >= channels, turned, Y, at, out_steps,
                    out_channel,
                )  # fmt: skip
        task = stop
    release(panels)
    release(box)
    release(totals)
    release(turned)
    release(tap_places)


@jit
def _correlate_parallel(
    x, weight, bias, relu, out, plan, images, groups, channels, columns, turned_weight, first_tap, first_out,
    at_once, part, by_rows, threads,
):  # fmt: skip
    arguments = (
        threads, x, weight, bias, relu, out, plan, images, groups, channels, columns, turned_weight, first_tap,
        first_out, at_once, part, by_rows,
    )  # fmt: skip
    parallel_for(correlate, threads, 1, threads, arguments)


_compiled = Compiled(
    _correlate_parallel,
    lambda kind: (
        kind[::1], kind[::1], kind[::1], boolean, kind[::1], int64[:, ::1], int64, int64, int64, int64, boolean,
        int64, int64, int64, int64, boolean, int64,
    ),
)  # fmt: skip


def run(x, weight, bias, relu, out, plan, groups, turned_weight=False, first_tap=0, first_out=0, threads=None):
    """`correlate` with the regions, and if not told the number of threads, that suit the plan; arrays (N, C, ...)."""
    images, channels, columns = x.shape[0], x.shape[1] // groups, out.shape[1] // groups
    at_once, part = set_regions(plan, images * groups, channels, columns, out.itemsize)
    taps = int(plan[ROUNDS].prod())
    # With few channels the lanes would be idle; with few products to an output, turning the tile would take longer.
    by_rows = columns <= FEW_CHANNELS or (columns <= 2 * FEW_CHANNELS <= plan[COUNT, 2] and channels * taps <= SHORT)
    work = int(plan[ROUNDS].prod() * plan[COUNT].prod()) * channels * columns * groups * images
    _compiled[out.dtype](
        x.reshape(-1), weight.reshape(-1), bias, relu, out.reshape(-1), plan, images, groups, channels, columns,
        turned_weight, first_tap, first_out, at_once, part, by_rows,
        threads or threads_for(multiply_adds=work),
    )  # fmt: skip
