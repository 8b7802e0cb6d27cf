r"""Depthwise convolution: each channel on its own.

There is no sum over channels to share x among outputs: KH KW products an element, memory is nearly the limit. The lanes
of a vector are pixels of a row. The most frequent case is 3 x 3 taps with stride 1 and padding 1: there x is read
without a copy: three shifted vectors of a row are loaded once for three rows of sums, in registers. Otherwise a plane
is copied with its padding, which is read KH KW times, and ROWS rows of outputs are summed side by side, so that no
addition waits for the one before. The plan is that of `correlation`.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.correlation import MIN_TASKS, ONE, Operands, Result, choose_blocks, copy_input
from kernels.convolution.micro import Epilogue, store_pixels
from kernels.convolution.plan import Shape, block_from, decode, encode, extents, is_plane_by_plane, offset, product
from kernels.gemm.micro import BIAS, STORE
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
    strided,
)

ROWS = 4  # rows of outputs summed side by side
# Rows of a plane read in place at a time, vector by vector: what the next vector needs of them is in L1.
STRIP = 32
TASK = 200_000  # multiply-adds of a task, about 30 us: tasks divide evenly among threads


class Scratch(NamedTuple):
    """A thread's memory."""

    block: object  # of x
    offsets: object  # of the taps, in the block
    weights: object  # of one channel
    vector: object


class Filter(NamedTuple):
    """Of one channel: its weights tap by tap, its bias, and whether ReLU follows."""

    weights: object
    bias: float
    relu: bool


@jit
def is_same(plan):
    """Whether the plan is one of 3 x 3 taps with stride and dilation 1 on planes that keep their size: they are read in
    place."""
    for axis in range(1, 3):
        if plan.taps[axis] != 3 or plan.dilation[axis] != 1 or plan.stride[axis] != 1 or plan.origin[axis] != -1:
            return False
        if plan.outputs[axis] != plan.sizes[axis]:
            return False
    return is_plane_by_plane(plan)


@jit(inline=True)
def allocate_block(plan, outputs, like):
    """Memory for what a block of outputs needs of a plane; a vector may read past its end."""
    if is_same(plan):
        return allocate(like, 0)
    depth, height, width = extents(plan, outputs)
    return allocate(like, depth * height * (width + plan.stride[2]) + 4 * lane_count(like))


@jit(inline=True)
def neighbours(row, w, before, count):
    """What the three taps of a row read, ``row[w - 1 + lane]``, ``row[w + lane]`` and ``row[w + 1 + lane]``, where the
    row has only `count` elements from w on, and `before` (0 or lanes) in front of them; zeros elsewhere."""
    middle = load_partial(row, w, count, 0.0)
    left = lanes_before(load_partial(row, w - lane_count(row), before, 0.0), middle)
    return left, middle, load_partial(row, w + 1, count - 1, 0.0)


@jit(inline=True)
def _add_row(y, x, weights, tap):
    """`y` and the products of the row's taps, three from `tap` on, with x."""
    return fma(x[2], weights[tap + 2], fma(x[1], weights[tap + 1], fma(x[0], weights[tap], y)))


@jit
def _correlate_plane(x, y, height, width, kernel, scratch):
    """The outputs of a plane that keeps its size: each row of x goes into three rows of outputs, which are in
    registers. Rows that would lie outside are left out."""
    weights, lanes = kernel.weights, lane_count(x)
    epilogue = Epilogue(STORE, kernel.bias, kernel.relu)  # sums start from the bias
    X, Y = strided(x, width, 1), strided(y, width, 1)
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        for w in range(0, width, lanes):
            before, count = min(w, lanes), width - w
            y0 = y1 = splat(X, kernel.bias)  # sums of output rows h - 1 and h
            for h in range(max(top - 1, 0), min(bottom + 1, height)):
                prefetch(X.row(height + h), w)  # the next plane
                row = neighbours(X.row(h), w, before, count)
                y0 = _add_row(y0, row, weights, 6)
                y1, y2 = _add_row(y1, row, weights, 3), _add_row(splat(X, kernel.bias), row, weights, 0)
                if h > top:
                    store_pixels(y0, count, epilogue, Y.at(h - 1, w), scratch.vector)
                y0, y1 = y1, y2
            if bottom == height:
                store_pixels(y0, count, epilogue, Y.at(height - 1, w), scratch.vector)


@jit
def _correlate_block(block, plan, outputs, kernel, result, scratch):
    """The outputs of one block: ``bias + sum over taps``, ROWS rows at a time."""
    x, weights = block.memory, kernel.weights
    epilogue = Epilogue(STORE, kernel.bias, kernel.relu)  # sums start from the bias
    slice, row, _ = block.strides
    down, right = result.strides[1], result.strides[2]
    for d in range(outputs[0]):
        for h in range(0, outputs[1], ROWS):
            rows = min(ROWS, outputs[1] - h)
            # rows that do not exist read those that do, and are not stored
            second, third, fourth = min(1, rows - 1) * row, min(2, rows - 1) * row, min(3, rows - 1) * row
            for w in range(0, outputs[2], lane_count(x)):
                y0 = y1 = y2 = y3 = splat(x, kernel.bias)
                first = d * slice + h * row + w
                for tap in range(product(plan.taps)):
                    factor, at = weights[tap], first + block.reduction.offsets[tap]
                    y0 = fma(load(x, at), factor, y0)
                    y1 = fma(load(x, at + second), factor, y1)
                    y2 = fma(load(x, at + third), factor, y2)
                    y3 = fma(load(x, at + fourth), factor, y3)
                left, to = outputs[2] - w, offset((d, h, w), result.strides)
                Y = strided(shifted(result.memory, to), down, right)
                store_pixels(y0, left, epilogue, Y, scratch.vector)
                if rows > 1:
                    store_pixels(y1, left, epilogue, Y.row(1), scratch.vector)
                if rows > 2:
                    store_pixels(y2, left, epilogue, Y.row(2), scratch.vector)
                if rows > 3:
                    store_pixels(y3, left, epilogue, Y.row(3), scratch.vector)


@jit(inline=True)
def _copy_weights(weight, plan, weights):
    """The plan's taps of a channel's weight, which begins at its first tap."""
    tap = 0
    for i in range(plan.taps[0]):
        for j in range(plan.taps[1]):
            for k in range(plan.taps[2]):
                weights[tap] = weight[offset((i, j, k), plan.tap_strides)]
                tap += 1


@jit
def correlate(first, last, operands, plan, channels, outputs, epilogue):
    """`correlation.correlate` with one channel and one output channel a group, for the planes from `first` to
    `last` - 1 of all images' channels, in blocks of `outputs`."""
    out, in_place = operands.out, is_same(plan)
    scratch = Scratch(
        allocate_block(plan, outputs, out),
        allocate(np.int64, product(plan.taps)),
        allocate(out, product(plan.taps)),
        allocate(out, lane_count(out)),
    )
    for plane in range(first, last):
        channel = plane % channels
        _copy_weights(shifted(operands.weight, channel * plan.kernel_size + plan.first_tap), plan, scratch.weights)
        bias = epilogue.bias[channel] if epilogue.mode == BIAS else out.dtype.type(0)
        kernel = Filter(scratch.weights, bias, epilogue.relu)
        x = shifted(operands.x, plane * product(plan.sizes))
        y = shifted(out, plan.first_output + plane * plan.out_size)
        if in_place:
            _correlate_plane(x, y, plan.sizes[1], plan.sizes[2], kernel, scratch)
            continue
        for d in range(0, plan.outputs[0], outputs[0]):
            for h in range(0, plan.outputs[1], outputs[1]):
                for w in range(0, plan.outputs[2], outputs[2]):
                    place = block_from(plan, (d, h, w), outputs)
                    block = copy_input(x, plan, place, ONE, plan.stride[2], scratch)
                    to = shifted(y, offset(place.first, plan.out_strides))
                    result = Result(to, plan.out_size, plan.out_strides)
                    _correlate_block(block, plan, place.outputs, kernel, result, scratch)
    release(scratch.block)
    release(scratch.offsets)
    release(scratch.weights)
    release(scratch.vector)


_GRAIN, _RELU = range(2)  # what `run` encodes after the block


@jit
def _correlate_parallel(x, weight, bias, out, numbers, threads):
    plan, shape, outputs, others = decode(numbers)
    epilogue = Epilogue(BIAS if bias.size else STORE, flat(bias), others[_RELU] == 1)
    arguments = Operands(flat(x), flat(weight), flat(out)), plan, shape.groups, outputs, epilogue
    parallel_for(correlate, shape.N * shape.groups, others[_GRAIN], threads, arguments)


_compiled = Compiled(_correlate_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], kind[::1], int64[::1], int64))


def choose_block(plan, planes) -> tuple:
    """Outputs along each axis of a block: the same for both dtypes (8: the larger's size)."""
    return choose_blocks(plan, Shape(planes, 1, 1, 1), 8, False, MIN_TASKS // 4).outputs


def run(x, weight, bias, relu, out, plan):
    """`correlation.run` for as many groups as channels."""
    shape = Shape(x.shape[0], x.shape[1], 1, 1)
    work = math.prod(plan.taps) * math.prod(plan.outputs)
    threads = threads_for(multiply_adds=work * math.prod(shape))
    grain = max(TASK // max(work, 1), 1)
    numbers = encode(plan, shape, choose_block(plan, math.prod(shape)), grain, relu)
    _compiled[out.dtype](x.reshape(-1), weight.reshape(-1), bias, out.reshape(-1), numbers, threads)
