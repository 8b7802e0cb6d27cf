r"""The depthwise convolution's gradient with respect to its weight: KH KW dot products of dy and x a channel.

Each is a vector of sums, whose lanes are pixels, until all images have been summed. Three by three taps on planes that
keep their size are read in place (see `depthwise`), with nine sums in registers; for all others, a block of x is copied
with its padding.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.correlation import ONE, copy_input
from kernels.convolution.depthwise import STRIP, TASK, allocate_block, choose_block, is_same, neighbours
from kernels.convolution.plan import Shape, block_from, decode, encode, offset, product
from kernels.convolution.weight_gradient import Operands
from kernels.simd import (
    allocate,
    flat,
    fma,
    lane_count,
    load,
    load_partial,
    prefetch,
    release,
    shifted,
    splat,
    store,
    strided,
    sum_lanes,
)


class Scratch(NamedTuple):
    """A thread's memory."""

    block: object  # of x
    offsets: object  # of the taps, in the block
    totals: object  # (channels, taps, lanes)


@jit
def _sum_block(dy, block, plan, outputs, totals):
    """``totals[tap] += sum over the block's outputs o of dy[o] * x[tap of o]`` for each tap, a vector of sums; dy
    begins at the block's first output."""
    x, lanes, to = block.memory, lane_count(totals), 0
    slice, down, _ = block.strides
    next = plan.outputs[2]
    for tap in range(product(plan.taps)):
        y0 = y1 = splat(x, 0.0)
        for d in range(outputs[0]):
            ix, iy = d * slice + block.reduction.offsets[tap], d * plan.outputs[1] * next
            for w in range(0, outputs[2], lanes):
                left = outputs[2] - w
                for h in range(0, outputs[1] - 1, 2):
                    xs, ys = ix + h * down + w, iy + h * next + w
                    y0 = fma(load_partial(dy, ys, left, 0.0), load_partial(x, xs, left, 0.0), y0)
                    ys += next
                    y1 = fma(load_partial(dy, ys, left, 0.0), load_partial(x, xs + down, left, 0.0), y1)
                if outputs[1] % 2:
                    xs, ys = ix + (outputs[1] - 1) * down + w, iy + (outputs[1] - 1) * next + w
                    y0 = fma(load_partial(dy, ys, left, 0.0), load_partial(x, xs, left, 0.0), y0)
        store(totals, to, load(totals, to) + (y0 + y1))
        to += lanes


@jit(inline=True)
def _add_three(totals, a, b, c):
    """To the first three vectors."""
    lanes = lane_count(totals)
    store(totals, 0, load(totals, 0) + a)
    store(totals, lanes, load(totals, lanes) + b)
    store(totals, 2 * lanes, load(totals, 2 * lanes) + c)


@jit
def _sum_plane(dy, x, height, width, ahead, totals):
    """`_sum_block` of a plane that keeps its size, read in place: nine sums side by side, for which each row of dy is
    read once and each of x at its three places. The plane that follows lies `ahead` elements further."""
    DY, X = strided(dy, width, 1), strided(x, width, 1)
    lanes, zeros = lane_count(x), splat(x, 0.0)
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = zeros
    for top in range(0, height, STRIP):
        for w in range(0, width, lanes):
            before, count = min(w, lanes), width - w
            x0 = x1 = x2 = zeros
            if top > 0:
                x0, x1, x2 = neighbours(X.row(top - 1), w, before, count)
            y0, y1, y2 = neighbours(X.row(top), w, before, count)
            for h in range(top, min(top + STRIP, height)):
                z0 = z1 = z2 = zeros
                if h + 1 < height:
                    z0, z1, z2 = neighbours(X.row(h + 1), w, before, count)
                prefetch(X.row(h), w + ahead)
                prefetch(DY.row(h), w + ahead)
                d = load_partial(DY.row(h), w, count, 0.0)
                a0, a1, a2 = fma(d, x0, a0), fma(d, x1, a1), fma(d, x2, a2)
                b0, b1, b2 = fma(d, y0, b0), fma(d, y1, b1), fma(d, y2, b2)
                c0, c1, c2 = fma(d, z0, c0), fma(d, z1, c1), fma(d, z2, c2)
                x0, x1, x2, y0, y1, y2 = y0, y1, y2, z0, z1, z2
    _add_three(totals, a0, a1, a2)
    _add_three(shifted(totals, 3 * lanes), b0, b1, b2)
    _add_three(shifted(totals, 6 * lanes), c0, c1, c2)


@jit(merge=True)
def _sum_blocks(dy, x, plan, block, scratch, totals):
    """`_sum_block` of all blocks of a plane."""
    for d in range(0, plan.outputs[0], block[0]):
        for h in range(0, plan.outputs[1], block[1]):
            for w in range(0, plan.outputs[2], block[2]):
                place = block_from(plan, (d, h, w), block)
                copied = copy_input(x, plan, place, ONE, plan.stride[2], scratch)
                to = shifted(dy, offset(place.first, plan.out_strides))
                _sum_block(to, copied, plan, place.outputs, totals)


@jit(merge=True)
def _sum_channels(operands, plan, shape, block, channels, scratch):
    """The gradients of the channels ``channels[0]`` to ``channels[1] - 1``: image by image, for their planes are
    contiguous."""
    first, last = channels
    lanes, taps, totals = lane_count(scratch.totals), product(plan.taps), scratch.totals
    x_size, y_size, in_place = product(plan.sizes), product(plan.outputs), is_same(plan)
    for i in range((last - first) * taps):
        store(totals, i * lanes, splat(totals, 0.0))
    for image in range(shape.N):
        for channel in range(first, last):
            plane, sums = image * shape.groups + channel, shifted(totals, (channel - first) * taps * lanes)
            dy, x = shifted(operands.dy, plane * y_size), shifted(operands.x, plane * x_size)
            if in_place:
                ahead = x_size if last - first > 1 else shape.groups * x_size
                _sum_plane(dy, x, plan.sizes[1], plan.sizes[2], ahead, sums)
            else:
                _sum_blocks(dy, x, plan, block, scratch, sums)
    for i in range((last - first) * taps):
        operands.out[first * taps + i] = sum_lanes(load(totals, i * lanes))


@jit
def weight_gradient(first, last, operands, plan, shape, block, grain):
    """`weight_gradient.weight_gradient` with one channel and one output channel a group, for the channels from `first`
    to `last` - 1, `grain` at a time."""
    scratch = Scratch(
        allocate_block(plan, block, operands.out),
        allocate(np.int64, product(plan.taps)),
        allocate(operands.out, grain * product(plan.taps) * lane_count(operands.out)),
    )
    for start in range(first, last, grain):
        _sum_channels(operands, plan, shape, block, (start, min(start + grain, last)), scratch)
    release(scratch.block)
    release(scratch.offsets)
    release(scratch.totals)


@jit
def _weight_gradient_parallel(dy, x, out, numbers, threads):
    plan, shape, block, others = decode(numbers)
    grain = others[-1]  # the only other number
    arguments = Operands(flat(dy), flat(x), flat(out)), plan, shape, block, grain
    parallel_for(weight_gradient, shape.groups, grain, threads, arguments)


_compiled = Compiled(_weight_gradient_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], int64[::1], int64))


def run(dy, x, out, plan):
    """`weight_gradient.run` for as many groups as channels, into `out`."""
    shape = Shape(x.shape[0], x.shape[1], 1, 1)
    work = math.prod(plan.taps) * math.prod(plan.outputs)
    threads = threads_for(multiply_adds=work * math.prod(shape))
    grain = min(max(TASK // max(work * shape.N, 1), 1), shape.groups)
    numbers = encode(plan, shape, choose_block(plan, math.prod(shape)), grain)
    _compiled[x.dtype](dy.reshape(-1), x.reshape(-1), out.reshape(-1), numbers, threads)
    return out
