r"""Depthwise convolution: each channel on its own.

There is no sum over channels to share x among outputs: KH KW products an element, memory is nearly the limit. The lanes
of a vector are pixels of a row. Three by three taps that keep the size of their plane, by far the most frequent, read
it in place: each row is loaded once and goes into three rows of sums, which are in registers. For all others a plane is
copied with its padding, which is read KH KW times, and ROWS rows of outputs are summed side by side, so that no
addition waits for the one before. The plan is that of `correlation`.
"""

import numpy as np
from numba import boolean, int64

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.blocks import copy_block, copy_split
from kernels.convolution.correlation import (
    COUNT,
    ORIGIN,
    OUT_STEP,
    REGION,
    ROUNDS,
    SIZE,
    STEP,
    STRIDE,
    TAP_STEP,
    extent,
    set_regions,
)
from kernels.convolution.micro import put
from kernels.gemm.micro import STORE
from kernels.simd import (
    allocate,
    flat,
    fma,
    lane_count,
    lanes_before,
    load,
    load_partial,
    prefetch,
    release,
    shifted,
    splat,
    store,
    sum_lanes,
)

ROWS = 4  # rows of outputs summed side by side
STRIP = 32  # rows of a plane read in place at a time, vector by vector: what the next vector needs of them is in L1
PART = 200_000  # multiply-adds of a part, about 30 us: parts divide evenly among threads


@jit
def _take_box(x, at, plan, first, box, places):
    """Copy the box of the region of one plane whose outputs begin at `first`; returns the numbers of those outputs and
    the steps in the box.

    ``places[k]`` becomes the place of tap k in a row of the box, relative to that of its output.
    """
    split = plan[STRIDE, 2]
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
    if split == 1:
        copy_block(x, at, sizes, start, extents, 1, box, 0)
        for k in range(plan[ROUNDS, 2]):
            places[k] = k * plan[STEP, 2]
        return counts, (extents[1] * extents[2], extents[2])
    copy_split(x, at, sizes, start, extents, 1, box, 0, split)
    part = (extents[2] + split - 1) // split
    for k in range(plan[ROUNDS, 2]):
        place = k * plan[STEP, 2]
        places[k] = place % split * part + place // split
    return counts, (extents[1] * part * split, part * split)


@jit(inline=True)
def _box_size(plan, like):
    """Elements of the box of a region; a vector may read past its end."""
    rows = extent(plan, 0, plan[REGION, 0]) * extent(plan, 1, plan[REGION, 1])
    return rows * (extent(plan, 2, plan[REGION, 2]) + plan[STRIDE, 2]) + lane_count(like)


@jit
def _is_same(plan):
    """Whether the plan is one of 3 x 3 neighbouring taps on planes that keep their size: they are read in place."""
    for axis in range(1, 3):
        if plan[ROUNDS, axis] != 3 or plan[STEP, axis] != 1 or plan[STRIDE, axis] != 1 or plan[ORIGIN, axis] != -1:
            return False
        if plan[COUNT, axis] != plan[SIZE, axis]:
            return False
    return plan[ROUNDS, 0] == plan[COUNT, 0] == plan[SIZE, 0] == 1 and plan[OUT_STEP, 2] == 1


@jit(inline=True)
def _near(x, at, before, count):
    """What the three taps of a row see, ``x[at - 1 + lane]``, ``x[at + lane]`` and ``x[at + 1 + lane]``, where of the
    row only `count` elements from `at` on exist, and `before` (0 or lanes) in front of them; zeros elsewhere."""
    middle = load_partial(x, at, count, 0.0)
    left = lanes_before(load_partial(x, at - lane_count(x), before, 0.0), middle)
    return left, middle, load_partial(x, at + 1, count - 1, 0.0)


@jit(inline=True)
def _add_row(y, x, weights, tap):
    """`y` and what the row's taps, three from `tap` on, make of x."""
    return fma(x[2], weights[tap + 2], fma(x[1], weights[tap + 1], fma(x[0], weights[tap], y)))


@jit
def _correlate_plane(x, at_x, height, width, weights, bias, relu, scratch, out, at):
    """The outputs of a plane that keeps its size: each row of x goes into three rows of outputs, which are in
    registers. Rows that would lie outside are left out."""
    lanes = lane_count(x)
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        for w in range(0, width, lanes):
            before, count = min(w, lanes), width - w
            y0 = y1 = splat(x, bias)  # of the rows above row h, and of row h
            for h in range(max(top - 1, 0), min(bottom + 1, height)):
                prefetch(x, at_x + (height + h) * width + w)  # the next plane
                row = _near(x, at_x + h * width + w, before, count)
                y0, y1, y2 = (
                    _add_row(y0, row, weights, 6), _add_row(y1, row, weights, 3),
                    _add_row(splat(x, bias), row, weights, 0),
                )  # fmt: skip
                if h > top:
                    put(y0, count, STORE, relu, scratch, out, at + (h - 1) * width + w, 1)
                y0, y1 = y1, y2
            if bottom == height:
                put(y0, count, STORE, relu, scratch, out, at + (height - 1) * width + w, 1)


@jit
def _correlate_box(box, plan, counts, steps, places, weights, bias, relu, scratch, out, at):
    """The outputs of one region: ``bias + sum over taps``."""
    slice, row = plan[STRIDE, 0] * steps[0], plan[STRIDE, 1] * steps[1]
    depth_step, height_step = plan[STEP, 0] * steps[0], plan[STEP, 1] * steps[1]
    down, right = plan[OUT_STEP, 1], plan[OUT_STEP, 2]
    for d in range(counts[0]):
        for h in range(0, counts[1], ROWS):
            rows = min(ROWS, counts[1] - h)
            # rows that do not exist read those that do, and are not stored
            second, third, fourth = min(1, rows - 1) * row, min(2, rows - 1) * row, min(3, rows - 1) * row
            for w in range(0, counts[2], lane_count(box)):
                y0 = y1 = y2 = y3 = splat(box, bias)
                tap, to = 0, d * slice + h * row + w
                for i in range(plan[ROUNDS, 0]):
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
def correlate(first, last, x, weight, bias, relu, out, plan, channels, first_tap, first_out):
    """`correlation.correlate` with one channel and one column a group, for the planes from `first` to `last` - 1 of all
    images' channels; flat arrays."""
    X, W, Y = flat(x), flat(weight), flat(out)
    plane_x, taps = plan[SIZE, 0] * plan[SIZE, 1] * plan[SIZE, 2], weight.size // channels
    plane_out = out.size // (x.size // plane_x)
    in_place = _is_same(plan)
    box = allocate(out, 0 if in_place else _box_size(plan, out))
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
        at = first_out + plane * plane_out
        if in_place:
            _correlate_plane(X, plane * plane_x, plan[SIZE, 1], plan[SIZE, 2], weights, start, relu, scratch, Y, at)
            continue
        for d in range(0, plan[COUNT, 0], plan[REGION, 0]):
            for h in range(0, plan[COUNT, 1], plan[REGION, 1]):
                for w in range(0, plan[COUNT, 2], plan[REGION, 2]):
                    counts, steps = _take_box(X, plane * plane_x, plan, (d, h, w), box, places)
                    to = at + d * plan[OUT_STEP, 0] + h * plan[OUT_STEP, 1] + w * plan[OUT_STEP, 2]
                    _correlate_box(box, plan, counts, steps, places, weights, start, relu, scratch, Y, to)
    release(box)
    release(weights)
    release(scratch)
    release(places)


@jit
def _correlate_parallel(x, weight, bias, relu, out, plan, channels, first_tap, first_out, planes, grain, threads):
    arguments = x, weight, bias, relu, out, plan, channels, first_tap, first_out
    parallel_for(correlate, planes, grain, threads, arguments)


@jit
def _sum_box(dy, at, rows, box, plan, counts, steps, places, totals):
    """``totals[tap] += sum over the region's outputs i of dy[i] * x[tap of i]`` for each tap, a vector of sums."""
    to, lanes = 0, lane_count(box)
    for i in range(plan[ROUNDS, 0]):
        for j in range(plan[ROUNDS, 1]):
            for k in range(plan[ROUNDS, 2]):
                y0 = y1 = splat(box, 0.0)
                down, next = plan[STRIDE, 1] * steps[1], plan[COUNT, 2]
                for d in range(counts[0]):
                    ix = (d * plan[STRIDE, 0] + i * plan[STEP, 0]) * steps[0] + j * plan[STEP, 1] * steps[1] + places[k]
                    iy = at + d * rows * plan[COUNT, 2]
                    for w in range(0, counts[2], lanes):
                        left = counts[2] - w
                        for h in range(0, counts[1] - 1, 2):
                            xs, ys = ix + h * down + w, iy + h * next + w
                            y0 = fma(load_partial(dy, ys, left, 0.0), load_partial(box, xs, left, 0.0), y0)
                            ys += next
                            y1 = fma(load_partial(dy, ys, left, 0.0), load_partial(box, xs + down, left, 0.0), y1)
                        if counts[1] % 2:
                            xs, ys = ix + (counts[1] - 1) * down + w, iy + (counts[1] - 1) * next + w
                            y0 = fma(load_partial(dy, ys, left, 0.0), load_partial(box, xs, left, 0.0), y0)
                store(totals, to, load(totals, to) + (y0 + y1))
                to += lanes


@jit(inline=True)
def _add_three(totals, at, lanes, a, b, c):
    store(totals, at, load(totals, at) + a)
    store(totals, at + lanes, load(totals, at + lanes) + b)
    store(totals, at + 2 * lanes, load(totals, at + 2 * lanes) + c)


@jit
def _sum_plane(dy, at, x, at_x, height, width, ahead, totals):
    """`_sum_box` of a plane that keeps its size, read in place: nine sums side by side, for which each row of dy is
    read once and each of x at its three places. The plane that follows lies `ahead` elements further."""
    lanes, zeros = lane_count(x), splat(x, 0.0)
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = zeros
    for top in range(0, height, STRIP):
        for w in range(0, width, lanes):
            before, count = min(w, lanes), width - w
            x0 = x1 = x2 = zeros
            if top > 0:
                x0, x1, x2 = _near(x, at_x + (top - 1) * width + w, before, count)
            y0, y1, y2 = _near(x, at_x + top * width + w, before, count)
            for h in range(top, min(top + STRIP, height)):
                z0 = z1 = z2 = zeros
                if h + 1 < height:
                    z0, z1, z2 = _near(x, at_x + (h + 1) * width + w, before, count)
                prefetch(x, at_x + h * width + w + ahead)
                prefetch(dy, at + h * width + w + ahead)
                d = load_partial(dy, at + h * width + w, count, 0.0)
                a0, a1, a2 = fma(d, x0, a0), fma(d, x1, a1), fma(d, x2, a2)
                b0, b1, b2 = fma(d, y0, b0), fma(d, y1, b1), fma(d, y2, b2)
                c0, c1, c2 = fma(d, z0, c0), fma(d, z1, c1), fma(d, z2, c2)
                x0, x1, x2, y0, y1, y2 = y0, y1, y2, z0, z1, z2
    _add_three(totals, 0, lanes, a0, a1, a2)
    _add_three(totals, 3 * lanes, lanes, b0, b1, b2)
    _add_three(totals, 6 * lanes, lanes, c0, c1, c2)


@jit(merge=True)
def _sum_channels(dy, x, out, plan, images, channels, first, last, box, places, totals):
    """The gradients of the channels from `first` to `last` - 1: image by image, for their planes lie side by side."""
    lanes, in_place = lane_count(box), _is_same(plan)
    plane_x = plan[SIZE, 0] * plan[SIZE, 1] * plan[SIZE, 2]
    plane_y = plan[COUNT, 0] * plan[COUNT, 1] * plan[COUNT, 2]
    taps = plan[ROUNDS, 0] * plan[ROUNDS, 1] * plan[ROUNDS, 2]
    for i in range((last - first) * taps):
        store(totals, i * lanes, splat(totals, 0.0))
    for image in range(images):
        for channel in range(first, last):
            plane, sums = image * channels + channel, shifted(totals, (channel - first) * taps * lanes)
            if in_place:
                ahead = plane_x if last - first > 1 else channels * plane_x
                _sum_plane(dy, plane * plane_y, x, plane * plane_x, plan[SIZE, 1], plan[SIZE, 2], ahead, sums)
                continue
            for d in range(0, plan[COUNT, 0], plan[REGION, 0]):
                for h in range(0, plan[COUNT, 1], plan[REGION, 1]):
                    for w in range(0, plan[COUNT, 2], plan[REGION, 2]):
                        counts, steps = _take_box(x, plane * plane_x, plan, (d, h, w), box, places)
                        at = plane * plane_y + (d * plan[COUNT, 1] + h) * plan[COUNT, 2] + w
                        _sum_box(dy, at, plan[COUNT, 1], box, plan, counts, steps, places, sums)
    for i in range((last - first) * taps):
        out[first * taps + i] = sum_lanes(load(totals, i * lanes))


@jit
def weight_gradient(first, last, dy, x, out, plan, images, channels, grain):
    """`weight_gradient.weight_gradient` with one channel and one column a group, for the channels from `first` to
    `last` - 1, `grain` at a time; flat arrays."""
    taps = plan[ROUNDS, 0] * plan[ROUNDS, 1] * plan[ROUNDS, 2]
    box, places = allocate(out, 0 if _is_same(plan) else _box_size(plan, out)), allocate(np.int64, plan[ROUNDS, 2])
    totals = allocate(out, grain * taps * lane_count(out))
    for start in range(first, last, grain):
        stop = min(start + grain, last)
        _sum_channels(flat(dy), flat(x), flat(out), plan, images, channels, start, stop, box, places, totals)
    release(box)
    release(places)
    release(totals)


@jit
def _weight_gradient_parallel(dy, x, out, plan, images, channels, grain, threads):
    parallel_for(weight_gradient, channels, grain, threads, (dy, x, out, plan, images, channels, grain))


_compiled = Compiled(
    _correlate_parallel,
    lambda kind: (kind[::1], kind[::1], kind[::1], boolean, kind[::1], int64[:, ::1], *(int64,) * 6),
)
_compiled_gradient = Compiled(
    _weight_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[:, ::1], *(int64,) * 4)
)


def _work(plan):
    """Multiply-adds of a plane."""
    return int(plan[ROUNDS].prod() * plan[COUNT].prod())


def run(x, weight, bias, relu, out, plan, first_tap, first_out):
    """`correlation.run` for as many groups as channels."""
    planes = x.shape[0] * x.shape[1]
    set_regions(plan, planes, 1, 1, 8)
    threads = threads_for(multiply_adds=_work(plan) * planes)
    grain = max(PART // max(_work(plan), 1), 1)
    _compiled[out.dtype](
        x.reshape(-1), weight.reshape(-1), bias, relu, out.reshape(-1), plan, x.shape[1], first_tap, first_out, planes,
        grain, threads,
    )  # fmt: skip


def run_gradient(dy, x, out, plan):
    """`weight_gradient.run` for as many groups as channels, into `out`."""
    images, channels = x.shape[:2]
    set_regions(plan, images * channels, 1, 1, 8)
    threads = threads_for(multiply_adds=_work(plan) * images * channels)
    grain = min(max(PART // max(_work(plan) * images, 1), 1), channels)
    _compiled_gradient[x.dtype](dy.reshape(-1), x.reshape(-1), out.reshape(-1), plan, images, channels, grain, threads)
    return out
