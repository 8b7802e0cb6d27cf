"""Where the largest elements of windows are, and the loops that send a gradient or a value there.

A place is a number within the window, one byte, or an int64 index within the plane. From numbers, each dx is the sum of
the gradients of the few windows that reach it and took it: a line of dx is written by one thread, as vectors. From
indices, which may point anywhere, gradients are added one by one, a plane being one thread's.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels.pooling.rows import (
    clear,
    inside,
    join,
    over_lines,
    phase_count,
    pitch_of,
    place,
    splitter,
    unpack,
    window_at,
)
from kernels.pooling.windows import expect, planes_of, shares
from kernels.simd import (
    flat,
    lane_count,
    load,
    load_bytes,
    load_partial,
    select,
    splat,
    store,
    store_bytes,
    store_partial,
)

# --- values and places: all places in their order --------------------------------------------------------------------


@jit(inline=True)
def _itself(total, x):
    return x


_split_row = splitter(_itself)


@jit(inline=True)
def _write_bytes(places, at, count, numbers, offsets, base, stride):
    """The numbers of the largest elements in their windows, one byte each."""
    for j in range(0, count, lane_count(numbers)):
        store_bytes(places, at + j, count - j, load(numbers, j))


@jit(inline=True)
def _write_indices(places, at, count, numbers, offsets, base, stride):
    """The indices of the largest elements in their plane, from those of the windows' beginnings."""
    for j in range(count):
        places[at + j] = base + j * stride + offsets[np.int64(numbers[j])]


def _place_lines(write):
    """Jitted loops over lines that also write where the largest elements are."""

    @jit
    def rows(x, sizes, y, places, phases, rows, offsets, start, stop):
        kernel, stride, padding, dilation = unpack(sizes)
        _, D, H, W = x.shape
        _, OD, OH, OW = y.shape
        source, target, memory, lanes = flat(x), flat(y), flat(phases), lane_count(x)
        bests, numbers, firsts = flat(rows[0]), flat(rows[1]), flat(rows[2])
        KH, KW = kernel[1], kernel[2]
        s, dw, lowest = phase_count(stride[2]), dilation[2], x.dtype.type(-np.inf)
        pitch = pitch_of(x, W, OW, KW, stride[2], padding[2], dw)
        clear(memory, s * pitch, lowest)
        for j in range(OW):
            firsts[j] = inside(j, KW, stride[2], padding[2], dw, W)[0]
        for line in range(start, stop):
            p, od, oh = line // (OD * OH), line // OH % OD, line % OH
            d0, d1 = inside(od, kernel[0], stride[0], padding[0], dilation[0], D)
            h0, h1 = inside(oh, KH, stride[1], padding[1], dilation[1], H)
            for j in range(0, OW, lanes):
                store(bests, j, splat(bests, lowest))
                store(numbers, j, load(firsts, j) + (d0 * KH + h0) * KW)
            d, h = od * stride[0] - padding[0], oh * stride[1] - padding[1]
            for kd in range(d0, d1):
                for kh in range(h0, h1):
                    at = ((p * D + d + kd * dilation[0]) * H + h + kh * dilation[1]) * W
                    _split_row(source, at, 1, 0, 1, 0, W, s, padding[2], memory, pitch, lowest)
                    number = (kd * KH + kh) * KW
                    if s == stride[2]:
                        for j in range(0, OW, lanes):
                            best, found = load(bests, j), load(numbers, j)
                            for k in range(KW):
                                value = load(memory, place(k * dw, s, pitch) + j)
                                wins = (value > best) | (value != value)
                                best, found = select(wins, value, best), select(wins, number + k, found)
                            store(bests, j, best)
                            store(numbers, j, found)
                    else:
                        for j in range(OW):
                            for k in range(KW):
                                value = memory[j * stride[2] + k * dw]
                                if value > bests[j] or value != value:
                                    bests[j], numbers[j] = value, number + k
            for j in range(0, OW, lanes):
                store_partial(target, line * OW + j, OW - j, load(bests, j))
            base = (d * H + h) * W - padding[2]
            write(flat(places), line * OW, OW, numbers, offsets, base, stride[2])

    @jit
    def lines(arguments, start, stop):
        x, sizes, y, places = arguments
        kernel, stride, padding, dilation = unpack(sizes)
        OW = y.shape[3]
        pitch = pitch_of(x, x.shape[3], OW, kernel[2], stride[2], padding[2], dilation[2])
        phases = np.empty(phase_count(stride[2]) * pitch + lane_count(x), x.dtype)
        buffers = np.empty((3, OW + lane_count(x)), x.dtype)
        _, H, W = x.shape[1:]
        offsets = np.empty(kernel[0] * kernel[1] * kernel[2], np.int64)
        number = 0
        for kd in range(kernel[0]):
            for kh in range(kernel[1]):
                for kw in range(kernel[2]):
                    offsets[number] = (kd * dilation[0] * H + kh * dilation[1]) * W + kw * dilation[2]
                    number += 1
        rows(x, sizes, y, places, phases, buffers, offsets, start, stop)

    return lines


_lines_with_bytes, _lines_with_indices = _place_lines(_write_bytes), _place_lines(_write_indices)
max_pool_bytes, max_pool_indices = over_lines(_lines_with_bytes), over_lines(_lines_with_indices)


@jit
def max_pool_places_loops(x, sizes, y, indices):
    """`max_pool_loops` that also fills `indices`, int64 like y: of the largest elements in their plane."""
    _lines_with_indices((x, sizes, y, indices), 0, y.shape[0] * y.shape[1] * y.shape[2])


# --- backward --------------------------------------------------------------------------------------------------------


@jit
def _gather_rows(dy, places, sizes, dx, phases, margins, start, stop):
    """Lines of dx from the places in the windows that reach them."""
    kernel, stride, padding, dilation = unpack(sizes)
    _, D, H, W = dx.shape
    _, OD, OH, OW = dy.shape
    source, taken, target, lanes = flat(dy), flat(places), flat(dx), lane_count(dy)
    memory, gradients, numbers = flat(phases), flat(margins[0]), flat(margins[1])
    KH, KW = kernel[1], kernel[2]
    s, dw = phase_count(stride[2]), dilation[2]
    pitch = pitch_of(dx, W, OW, KW, stride[2], padding[2], dw)
    margin = ((KW - 1) * dw) >> (s - 1)
    used = (W + padding[2] + s - 1) // s
    for line in range(start, stop):
        p, d, h = line // (D * H), line // H % D, line % H
        clear(memory, s * pitch, 0.0)
        for kd in range(kernel[0]):
            od = window_at(d, kd, stride[0], padding[0], dilation[0], OD)
            if od < 0:
                continue
            for kh in range(KH):
                oh = window_at(h, kh, stride[1], padding[1], dilation[1], OH)
                if oh < 0:
                    continue
                at, number = ((p * OD + od) * OH + oh) * OW, (kd * KH + kh) * KW
                for j in range(0, OW, lanes):
                    store(gradients, margin + j, load_partial(source, at + j, OW - j, 0.0))
                    store(numbers, margin + j, load_bytes(taken, at + j, OW - j, source))
                if s == stride[2]:
                    for j in range(0, used, lanes):
                        for r in range(s):
                            total = load(memory, r * pitch + j)
                            for k in range(KW):
                                if (k * dw) & (s - 1) == r:
                                    i = margin + j - ((k * dw) >> (s - 1))
                                    total = total + select(load(numbers, i) == number + k, load(gradients, i), 0.0)
                            store(memory, r * pitch + j, total)
                else:
                    for j in range(OW):
                        k = np.int64(numbers[margin + j]) - number
                        if 0 <= k < KW:
                            memory[j * stride[2] + k * dw] += gradients[margin + j]
        join(memory, pitch, s, padding[2], target, line * W, W)


@jit
def _gather_lines(arguments, start, stop):
    dy, places, sizes, dx = arguments
    kernel, stride, padding, dilation = unpack(sizes)
    W, OW = dx.shape[3], dy.shape[3]
    s = phase_count(stride[2])
    pitch = pitch_of(dx, W, OW, kernel[2], stride[2], padding[2], dilation[2])
    phases = np.empty(s * pitch + lane_count(dx), dx.dtype)
    margins = np.zeros((2, pitch + 2 * (((kernel[2] - 1) * dilation[2]) >> (s - 1)) + 2 * lane_count(dx)), dx.dtype)
    _gather_rows(dy, places, sizes, dx, phases, margins, start, stop)


max_pool_gather = over_lines(_gather_lines)


# --- by index --------------------------------------------------------------------------------------------------------


@jit
def first_outside(indices, size):
    """Position of the first index outside of 0 .. size - 1 in the 1-D `indices`, or -1."""
    for i in range(indices.size):
        if indices[i] < 0 or indices[i] >= size:
            return i
    return -1


@jit
def _add_at_lines(arguments, start, stop):
    """``y[plane, indices[plane, i]] += x[plane, i]``, from y = 0."""
    x, indices, y = arguments
    for plane in range(start, stop):
        for i in range(y.shape[1]):
            y[plane, i] = 0.0
        for i in range(x.shape[1]):
            y[plane, indices[plane, i]] += x[plane, i]


@jit
def _put_at_lines(arguments, start, stop):
    """``y[plane, indices[plane, i]] = x[plane, i]`` where y = 0 elsewhere."""
    x, indices, y = arguments
    for plane in range(start, stop):
        for i in range(y.shape[1]):
            y[plane, i] = 0.0
        for i in range(x.shape[1]):
            y[plane, indices[plane, i]] = x[plane, i]


@jit
def _take_at_lines(arguments, start, stop):
    """``y[plane, i] = x[plane, indices[plane, i]]``"""
    x, indices, y = arguments
    for plane in range(start, stop):
        for i in range(y.shape[1]):
            y[plane, i] = x[plane, indices[plane, i]]


add_at, put_at, take_at = over_lines(_add_at_lines), over_lines(_put_at_lines), over_lines(_take_at_lines)


def checked_indices(operation, indices, shape, size):
    """`indices` as kernels take them, of `shape` and each below `size`."""
    indices = _checks.indices(operation, "indices", indices)
    expect(operation, "indices", indices, shape)
    wrong = first_outside(indices.reshape(-1), size)
    if wrong >= 0:
        raise IndexError(f"{operation}: indices must be from 0 to {size - 1}, got {indices.flat[wrong]}")
    return indices


def scatter(operation, x, indices, shape, dims, loops=add_at):
    """A new array of `shape`, zero but where `indices` send the elements of `x`, in planes of `dims` dimensions."""
    planes, size = planes_of(operation, tuple(shape), dims), math.prod(shape[-dims:])
    indices = checked_indices(operation, indices, x.shape, size)
    y = _checks.new(tuple(shape), x.dtype)
    per_plane = (planes, x.size // max(planes, 1))
    loops((x.reshape(per_plane), indices.reshape(per_plane), y.reshape(planes, size)), planes, *shares(planes, y.size))
    return y
