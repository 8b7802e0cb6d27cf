r"""Depthwise convolution: each channel on its own.

There is no sum over channels to share x among outputs: KH KW products an element, memory is nearly the limit. The lanes
of a vector are pixels of a row, and ROWS rows of outputs are summed side by side, so that no addition waits for the one
before. The plan is that of `correlation`; a plane is copied with its padding, which is read KH KW times.
"""

import numpy as np
from numba import boolean, int64, prange

from kernels import _threads
from kernels._jit import Compiled, jit
from kernels._threads import arrive, enter, leave
from kernels.convolution.blocks import copy_block, copy_split
from kernels.convolution.correlation import (
    COUNT,
    ORIGIN,
    OUT_STEP,
    PARALLEL_WORK,
    REGION,
    ROUNDS,
    SIZE,
    STEP,
    STRIDE,
    TAP_STEP,
    extent,
    region_counts,
    set_regions,
)
from kernels.convolution.micro import put
from kernels.gemm.micro import STORE
from kernels.simd import allocate, flat, fma, lane_count, load, load_partial, release, splat, sum_lanes

ROWS = 4  # rows of outputs summed side by side
PART = 200_000  # multiply-adds of a part, about 30 us: parts divide evenly among threads


@jit
def _take_box(x, at, plan, region, box, places):
    """Copy the box of one plane's region; returns the region's first output, its outputs and the steps in the box.

    ``places[k]`` becomes the place of tap k in a row of the box, relative to that of its output.
    """
    regions = region_counts(plan)
    split = plan[STRIDE, 2]
    first = (
        region // (regions[1] * regions[2]) * plan[REGION, 0], region // regions[2] % regions[1] * plan[REGION, 1],
        region % regions[2] * plan[REGION, 2],
    )  # fmt: skip
    counts = (
        min(plan[REGION, 0], plan[COUNT, 0] - first[0]), min(plan[REGION, 1], plan[COUNT, 1] - first[1]),
        min(plan[REGION, 2], plan[COUNT, 2] - first[2]),
    )  # fmt: skip
    start = (
        plan[ORIGIN, 0] + first[0] * plan[STRIDE, 0], plan[ORIGIN, 1] + first[1] * plan[STRIDE, 1],
        plan[ORIGIN, 2] + first[2] * split,
    )  # fmt: skip
    extents = (extent(plan, 0, counts[0]), extent(plan, 1, counts[1]), extent(plan, 2, counts[2]))
    sizes = (plan[SIZE, 0], plan[SIZE, 1], plan[SIZE, 2])
    part = (extents[2] + split - 1) // split
    if split == 1:
        copy_block(x, at, sizes, start, extents, 1, box, 0)
    else:
        copy_split(x, at, sizes, start, extents, 1, box, 0, split)
    for k in range(plan[ROUNDS, 2]):
        place = k * plan[STEP, 2]
        places[k] = place % split * part + place // split
    return first, counts, (extents[1] * part * split, part * split)


@jit(inline=True)
def _box_size(plan, like):
    """Elements of the box of a region; a vector may read past the last row's end."""
    rows = extent(plan, 0, plan[REGION, 0]) * extent(plan, 1, plan[REGION, 1])
    return rows * (extent(plan, 2, plan[REGION, 2]) + plan[STRIDE, 2]) + lane_count(like)


@jit(inline=True)
def _add_three_rows(box, ix, row, places, width, weights, tap, y0, y1, y2, y3):
    """The taps of a kernel three rows high, for ROWS neighbouring rows of outputs: six rows of x, each loaded once."""
    for k in range(width):
        at = ix + places[k]
        upper, middle, lower = weights[tap + k], weights[tap + width + k], weights[tap + 2 * width + k]
        x0, x1, x2 = load(box, at), load(box, at + row), load(box, at + 2 * row)
        x3, x4, x5 = load(box, at + 3 * row), load(box, at + 4 * row), load(box, at + 5 * row)
        y0 = fma(x2, lower, fma(x1, middle, fma(x0, upper, y0)))
        y1 = fma(x3, lower, fma(x2, middle, fma(x1, upper, y1)))
        y2 = fma(x4, lower, fma(x3, middle, fma(x2, upper, y2)))
        y3 = fma(x5, lower, fma(x4, middle, fma(x3, upper, y3)))
    return y0, y1, y2, y3


@jit
def _correlate_box(box, plan, counts, steps, places, weights, bias, relu, scratch, out, at):
    """The outputs of one region: ``bias + sum over taps``."""
    slice, row = plan[STRIDE, 0] * steps[0], plan[STRIDE, 1] * steps[1]
    depth_step, height_step = plan[STEP, 0] * steps[0], plan[STEP, 1] * steps[1]
    down, right = plan[OUT_STEP, 1], plan[OUT_STEP, 2]
    shared = plan[ROUNDS, 1] == 3 and height_step == row
    for d in range(counts[0]):
        for h in range(0, counts[1], ROWS):
            rows = min(ROWS, counts[1] - h)
            # rows that do not exist read those that do, and are not stored
            second, third, fourth = min(1, rows - 1) * row, min(2, rows - 1) * row, min(3, rows - 1) * row
            for w in range(0, counts[2], lane_count(box)):
                y0 = y1 = y2 = y3 = splat(box, bias)
                tap, to = 0, d * slice + h * row + w
                for i in range(plan[ROUNDS, 0]):
                    if shared and rows == ROWS:
                        y0, y1, y2, y3 = _add_three_rows(
                            box, to + i * depth_step, row, places, plan[ROUNDS, 2], weights, tap, y0, y1, y2, y3
                        )
                        tap += 3 * plan[ROUNDS, 2]
                        continue
                    for j in range(plan[ROUNDS, 1]):
                        for k in range(plan[ROUNDS, 2]):
                            factor, ix = weights[tap], to + i * depth_step + j * height_step + places[k]
                            y0 = fma(load(box, ix), factor, y0)
                            y1 = fma(load(box, ix + second), factor, y1)
                            y2 = fma(load(box, ix + third), factor, y2)
                            y3 = fma(load(box, ix + fourth), factor, y3)
                            tap += 1
                left, y = counts[2] - w, at + d * plan[OUT_STEP, 0] + h * down + w * right
                put(y0, left, STORE, relu, scratch, out, y, right)
                if rows > 1:
                    put(y1, left, STORE, relu, scratch, out, y + down, right)
                if rows > 2:
                    put(y2, left, STORE, relu, scratch, out, y + 2 * down, right)
                if rows > 3:
                    put(y3, left, STORE, relu, scratch, out, y + 3 * down, right)


@jit
def correlate(x, weight, bias, relu, out, plan, channels, first_tap, first_out, first, last):
    """`correlation.correlate` with one channel and one column a group, for the planes from `first` to `last` - 1 of all
    images' channels; flat arrays."""
    X, W, Y = flat(x), flat(weight), flat(out)
    plane_x, taps = plan[SIZE, 0] * plan[SIZE, 1] * plan[SIZE, 2], weight.size // channels
    plane_out = out.size // (x.size // plane_x)
    regions = region_counts(plan)
    box = allocate(out, _box_size(plan, out))
    weights = allocate(out, plan[ROUNDS, 0] * plan[ROUNDS, 1] * plan[ROUNDS, 2])
    scratch, places = allocate(out, lane_count(out)), allocate(np.int64, plan[ROUNDS, 2])
    for plane in range(first, last):
        channel, tap = plane % channels, 0
        for i in range(plan[ROUNDS, 0]):
            for j in range(plan[ROUNDS, 1]):
                for k in range(plan[ROUNDS, 2]):
                    at = channel * taps + first_tap
                    weights[tap] = W[at + i * plan[TAP_STEP, 0] + j * plan[TAP_STEP, 1] + k * plan[TAP_STEP, 2]]
                    tap += 1
        start = bias[channel] if bias.size else out.dtype.type(0)
        for region in range(regions[0] * regions[1] * regions[2]):
            origin, counts, steps = _take_box(X, plane * plane_x, plan, region, box, places)
            at = first_out + plane * plane_out
            at += origin[0] * plan[OUT_STEP, 0] + origin[1] * plan[OUT_STEP, 1] + origin[2] * plan[OUT_STEP, 2]
            _correlate_box(box, plan, counts, steps, places, weights, start, relu, scratch, Y, at)
    release(box)
    release(weights)
    release(scratch)
    release(places)


@jit(parallel=True)
def _correlate_in_parallel(x, weight, bias, relu, out, plan, channels, first_tap, first_out, planes, share, threads):
    before, home = enter(threads)
    for part in prange((planes + share - 1) // share):
        arrive(home)
        first = np.int64(part) * share
        last = min(first + share, planes)
        correlate(x, weight, bias, relu, out, plan, channels, first_tap, first_out, first, last)
    leave(before)


@jit
def _sum_box(dy, at, rows, box, plan, counts, steps, places, out, to):
    """``out[to + tap] += sum over the region's outputs i of dy[i] * x[tap of i]`` for each tap."""
    tap, lanes = 0, lane_count(box)
    for i in range(plan[ROUNDS, 0]):
        for j in range(plan[ROUNDS, 1]):
            for k in range(plan[ROUNDS, 2]):
                y0 = y1 = y2 = y3 = splat(box, 0.0)
                for d in range(counts[0]):
                    ix = (d * plan[STRIDE, 0] + i * plan[STEP, 0]) * steps[0] + j * plan[STEP, 1] * steps[1] + places[k]
                    iy = at + d * rows * plan[COUNT, 2]
                    for h in range(0, counts[1] - counts[1] % ROWS, ROWS):
                        xs, ys = ix + h * plan[STRIDE, 1] * steps[1], iy + h * plan[COUNT, 2]
                        down, next = plan[STRIDE, 1] * steps[1], plan[COUNT, 2]
                        for w in range(0, counts[2], lanes):
                            left = counts[2] - w
                            y0 = fma(load_partial(dy, ys + w, left, 0.0), load_partial(box, xs + w, left, 0.0), y0)
                            xs1, ys1 = xs + down + w, ys + next + w
                            y1 = fma(load_partial(dy, ys1, left, 0.0), load_partial(box, xs1, left, 0.0), y1)
                            xs2, ys2 = xs1 + down, ys1 + next
                            y2 = fma(load_partial(dy, ys2, left, 0.0), load_partial(box, xs2, left, 0.0), y2)
                            y3 = fma(
                                load_partial(dy, ys2 + next, left, 0.0), load_partial(box, xs2 + down, left, 0.0), y3
                            )
                    for h in range(counts[1] - counts[1] % ROWS, counts[1]):
                        xs, ys = ix + h * plan[STRIDE, 1] * steps[1], iy + h * plan[COUNT, 2]
                        for w in range(0, counts[2], lanes):
                            left = counts[2] - w
                            y0 = fma(load_partial(dy, ys + w, left, 0.0), load_partial(box, xs + w, left, 0.0), y0)
                out[to + tap] += sum_lanes((y0 + y1) + (y2 + y3))
                tap += 1


@jit(merge=True)
def _sum_channel(channel, dy, x, out, plan, images, channels):
    """The gradient of one channel's weight, image by image."""
    DY, X, OUT = flat(dy), flat(x), flat(out)
    plane_x, plane_y = (
        plan[SIZE, 0] * plan[SIZE, 1] * plan[SIZE, 2], plan[COUNT, 0] * plan[COUNT, 1] * plan[COUNT, 2]
    )  # fmt: skip
    taps = plan[ROUNDS, 0] * plan[ROUNDS, 1] * plan[ROUNDS, 2]
    regions = region_counts(plan)
    box, places = allocate(out, _box_size(plan, out)), allocate(np.int64, plan[ROUNDS, 2])
    for tap in range(taps):
        OUT[channel * taps + tap] = 0
    for image in range(images):
        plane = image * channels + channel
        for region in range(regions[0] * regions[1] * regions[2]):
            origin, counts, steps = _take_box(X, plane * plane_x, plan, region, box, places)
            at = plane * plane_y + (origin[0] * plan[COUNT, 1] + origin[1]) * plan[COUNT, 2] + origin[2]
            _sum_box(DY, at, plan[COUNT, 1], box, plan, counts, steps, places, OUT, channel * taps)
    release(box)
    release(places)


@jit
def weight_gradient(dy, x, out, plan, images, channels, first, last):
    """`weight_gradient.weight_gradient` with one channel and one column a group, for the channels from `first` to
    `last` - 1; flat arrays."""
    for channel in range(first, last):
        _sum_channel(channel, dy, x, out, plan, images, channels)


@jit(parallel=True)
def _weight_gradient_in_parallel(dy, x, out, plan, images, channels, threads):
    before, home = enter(threads)
    for channel in prange(channels):
        arrive(home)
        number = np.int64(channel)
        weight_gradient(dy, x, out, plan, images, channels, number, number + 1)
    leave(before)


def _types(kind):
    return kind[::1], kind[::1], kind[::1], boolean, kind[::1], int64[:, ::1], *(int64,) * 5


def _gradient_types(kind):
    return kind[::1], kind[::1], kind[::1], int64[:, ::1], int64, int64


_compiled = Compiled(correlate, _types)
_compiled_parallel = Compiled(_correlate_in_parallel, lambda kind: (*_types(kind), int64))
_compiled_gradient = Compiled(weight_gradient, lambda kind: (*_gradient_types(kind), int64, int64))
_compiled_gradient_parallel = Compiled(_weight_gradient_in_parallel, lambda kind: (*_gradient_types(kind), int64))


def _threads_for(plan, planes):
    """Sets the regions, too."""
    set_regions(plan, planes, 1, 1, 8)
    return 1 if _work(plan) * planes < PARALLEL_WORK else _threads._count


def _work(plan):
    """Multiply-adds of a plane."""
    return int(plan[ROUNDS].prod() * plan[COUNT].prod())


def run(x, weight, bias, relu, out, plan, first_tap, first_out):
    """`correlation.run` for as many groups as channels."""
    planes = x.shape[0] * x.shape[1]
    threads = _threads_for(plan, planes)
    arguments = x.reshape(-1), weight.reshape(-1), bias, relu, out.reshape(-1), plan, x.shape[1], first_tap, first_out
    if threads == 1:
        _compiled[out.dtype](*arguments, 0, planes)
    else:
        _compiled_parallel[out.dtype](*arguments, planes, max(PART // max(_work(plan), 1), 1), threads)


def run_gradient(dy, x, out, plan):
    """`weight_gradient.run` for as many groups as channels, into `out`."""
    images, channels = x.shape[:2]
    threads = _threads_for(plan, images * channels)
    arguments = dy.reshape(-1), x.reshape(-1), out.reshape(-1), plan, images, channels
    if threads == 1:
        _compiled_gradient[x.dtype](*arguments, 0, channels)
    else:
        _compiled_gradient_parallel[x.dtype](*arguments, threads)
    return out
