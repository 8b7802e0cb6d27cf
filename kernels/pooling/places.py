"""The places of the largest elements of windows, and the loops that add a gradient or put a value there.

A place is a number within the window, one byte, or an int64 index within the plane. In general, gradients are added
one by one, all of a plane by one thread. With the usual stride of 2, an element lies in at most 2 x 2 windows of up to
4 x 4 elements: then whole vectors of dx are gathered by the windows' numbers.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.rows import (
    Rows,
    allocate_phases,
    clear,
    inside,
    over_lines,
    place,
    splitter,
    start_of,
    store_pairs,
    window_of,
)
from kernels.pooling.windows import expect, grain_and_threads, planes_of
from kernels.simd import (
    allocate,
    flat,
    lane_count,
    lanes_before,
    load,
    load_bytes,
    load_partial,
    release,
    select,
    shifted,
    splat,
    store,
    store_bytes,
    store_partial,
)

# --- values and places: all elements of a window in their order -------------------------------------------------------


@jit(inline=True)
def _itself(total, x):
    return x


_split_row = splitter(_itself)


@jit(inline=True)
def _write_bytes(places, count, numbers, offsets, first, stride):
    """The numbers of the largest elements in their windows, one byte each."""
    for j in range(0, count, lane_count(numbers)):
        store_bytes(places, j, count - j, load(numbers, j))


@jit(inline=True)
def _write_indices(places, count, numbers, offsets, first, stride):
    """The indices of the largest elements in their plane; the first window begins with index `first`."""
    for j in range(count):
        places[j] = first + j * stride + offsets[np.int64(numbers[j])]


@jit
def _offsets(sizes, H, W):
    """Offset in the plane of each element of a window from the window's beginning."""
    depth, height, width = window_of(sizes)
    offsets = np.empty(depth.kernel * height.kernel * width.kernel, np.int64)
    number = 0
    for kd in range(depth.kernel):
        for kh in range(height.kernel):
            for kw in range(width.kernel):
                offsets[number] = (kd * depth.dilation * H + kh * height.dilation) * W + kw * width.dilation
                number += 1
    return offsets


@jit(inline=True)
def _compare_row(phases, axis, number, out, bests, numbers):
    """Updates the largest elements of `out` windows, and their numbers, by a row whose first number is `number`."""
    memory, lanes = phases.memory, lane_count(phases.memory)
    if phases.count == axis.stride:
        for j in range(0, out, lanes):
            best, found = load(bests, j), load(numbers, j)
            for k in range(axis.kernel):
                value = load(memory, place(phases, k * axis.dilation) + j)
                wins = (value > best) | (value != value)
                best, found = select(wins, value, best), select(wins, number + k, found)
            store(bests, j, best)
            store(numbers, j, found)
    else:
        for j in range(out):
            for k in range(axis.kernel):
                value = memory[j * axis.stride + k * axis.dilation]
                if value > bests[j] or value != value:
                    bests[j], numbers[j] = value, number + k


def _place_lines(write):
    """Jitted loops over lines that also write where the largest elements are."""

    @jit
    def lines(start, stop, arguments):
        x, sizes, y, places = arguments
        depth, height, width = window_of(sizes)
        _, D, H, W = x.shape
        _, OD, OH, OW = y.shape
        source, target, found, lanes, lowest = flat(x), flat(y), flat(places), lane_count(x), x.dtype.type(-np.inf)
        phases, offsets = allocate_phases(x, W, OW, width), _offsets(sizes, H, W)
        bests, numbers, firsts = allocate(x, OW + lanes), allocate(x, OW + lanes), allocate(x, OW + lanes)
        clear(phases.memory, phases.count * phases.pitch, lowest)
        for j in range(OW):
            firsts[j] = inside(j, width, W)[0]
        for line in range(start, stop):
            p, od, oh = line // (OD * OH), line // OH % OD, line % OH
            d0, d1 = inside(od, depth, D)
            h0, h1 = inside(oh, height, H)
            for j in range(0, OW, lanes):
                store(bests, j, splat(bests, lowest))
                store(numbers, j, load(firsts, j) + (d0 * height.kernel + h0) * width.kernel)
            d, h = start_of(od, depth), start_of(oh, height)
            for kd in range(d0, d1):
                for kh in range(h0, h1):
                    at = ((p * D + d + kd * depth.dilation) * H + h + kh * height.dilation) * W
                    _split_row(Rows(shifted(source, at), 1, 0, 1, 0), W, phases, lowest)
                    number = (kd * height.kernel + kh) * width.kernel
                    _compare_row(phases, width, number, OW, bests, numbers)
            for j in range(0, OW, lanes):
                store_partial(target, line * OW + j, OW - j, load(bests, j))
            first = (d * H + h) * W - width.padding
            write(shifted(found, line * OW), OW, numbers, offsets, first, width.stride)
        release(phases.memory)
        release(bests)
        release(numbers)
        release(firsts)

    return lines


_lines_with_bytes, _lines_with_indices = _place_lines(_write_bytes), _place_lines(_write_indices)
max_pool_bytes, max_pool_indices = over_lines(_lines_with_bytes), over_lines(_lines_with_indices)


@jit
def max_pool_places_loops(x, sizes, y, indices):
    """`max_pool_loops` that also fills `indices`, int64 like y: of the largest elements in their plane."""
    _lines_with_indices(FIRST, y.shape[0] * y.shape[1] * y.shape[2], (x, sizes, y, indices))


# --- backward --------------------------------------------------------------------------------------------------------


@jit
def _numbered_lines(start, stop, arguments):
    """Planes of dx: each dy is added to the element of its window with the saved number."""
    dy, places, sizes, dx = arguments
    depth, height, width = window_of(sizes)
    _, D, H, W = dx.shape
    _, OD, OH, OW = dy.shape
    gradients, numbers, target = flat(dy), flat(places), flat(dx)
    offsets, size = _offsets(sizes, H, W), D * H * W
    for plane in range(start, stop):
        for i in range(plane * size, (plane + 1) * size):
            target[i] = 0.0
        for od in range(OD):
            for oh in range(OH):
                at = ((plane * OD + od) * OH + oh) * OW
                first = (start_of(od, depth) * H + start_of(oh, height)) * W - width.padding
                for j in range(OW):
                    i = first + j * width.stride + offsets[numbers[at + j]]
                    if 0 <= i < size:  # a number that no forward gave may lie in the padding
                        target[plane * size + i] += gradients[at + j]


class _Windows(NamedTuple):
    """A vector of neighbouring windows' dy and numbers, and those of the windows one before each."""

    dy: object
    numbers: object
    dy_before: object
    numbers_before: object


@jit(inline=True)
def _add_places(windows, first, KW, even, odd):
    """Even and odd elements of a padded row, and what the windows' dy add to them: a row of places, KW from `first`."""
    even = select(windows.numbers == first, even + windows.dy, even)
    if KW > 1:
        odd = select(windows.numbers == first + 1, odd + windows.dy, odd)
    if KW > 2:
        even = select(windows.numbers_before == first + 2, even + windows.dy_before, even)
    if KW > 3:
        odd = select(windows.numbers_before == first + 3, odd + windows.dy_before, odd)
    return even, odd


@jit
def _halved_lines(start, stop, arguments):
    """The same for windows of at most 4 x 4 elements with stride 2; a line is two padded rows of dx.

    Two rows of windows reach them: row m with the first two rows of its places, row m - 1 with the other two.
    """
    dy, places, sizes, dx = arguments
    _, height, width = window_of(sizes)
    H, W, OH, OW = dx.shape[2], dx.shape[3], dy.shape[2], dy.shape[3]
    gradients, numbers, target, lanes = flat(dy), flat(places), flat(dx), lane_count(dy)
    KH, KW, zeros = height.kernel, width.kernel, splat(dy, 0.0)
    pairs = (H + height.padding + 1) >> 1
    plane, m = start // pairs, start % pairs
    for _ in range(start, stop):
        h, at = 2 * m - height.padding, (plane * OH + m) * OW
        g_last = n_last = g_last_above = n_last_above = zeros
        for j in range(0, (W + width.padding + 1) >> 1, lanes):
            even = odd = next_even = next_odd = zeros
            if m < OH:
                g, n = load_partial(gradients, at + j, OW - j, 0.0), load_bytes(numbers, at + j, OW - j, gradients)
                windows = _Windows(g, n, lanes_before(g_last, g), lanes_before(n_last, n))
                even, odd = _add_places(windows, 0, KW, even, odd)
                if KH > 1:
                    next_even, next_odd = _add_places(windows, KW, KW, next_even, next_odd)
                g_last, n_last = g, n
            if KH > 2 and 0 < m <= OH:
                i = at - OW + j
                g, n = load_partial(gradients, i, OW - j, 0.0), load_bytes(numbers, i, OW - j, gradients)
                windows = _Windows(g, n, lanes_before(g_last_above, g), lanes_before(n_last_above, n))
                even, odd = _add_places(windows, 2 * KW, KW, even, odd)
                if KH > 3:
                    next_even, next_odd = _add_places(windows, 3 * KW, KW, next_even, next_odd)
                g_last_above, n_last_above = g, n
            row, w = shifted(target, (plane * H + h) * W), 2 * j - width.padding
            if h >= 0:
                store_pairs(row, w, W, even, odd)
            if 0 <= h + 1 < H:
                store_pairs(shifted(row, W), w, W, next_even, next_odd)
        m += 1
        if m == pairs:
            plane, m = plane + 1, 0


max_pool_numbered, max_pool_halves = over_lines(_numbered_lines), over_lines(_halved_lines)


# --- by index --------------------------------------------------------------------------------------------------------


@jit
def first_outside(indices, size):
    """Position of the first index outside of 0 .. size - 1 in the 1-D `indices`, or -1."""
    for i in range(indices.size):
        if indices[i] < 0 or indices[i] >= size:
            return i
    return -1


@jit
def _add_at_lines(start, stop, arguments):
    """``y[plane, indices[plane, i]] += x[plane, i]``, from y = 0."""
    x, indices, y = arguments
    for plane in range(start, stop):
        for i in range(y.shape[1]):
            y[plane, i] = 0.0
        for i in range(x.shape[1]):
            y[plane, indices[plane, i]] += x[plane, i]


@jit
def _put_at_lines(start, stop, arguments):
    """``y[plane, indices[plane, i]] = x[plane, i]`` where y = 0 elsewhere."""
    x, indices, y = arguments
    for plane in range(start, stop):
        for i in range(y.shape[1]):
            y[plane, i] = 0.0
        for i in range(x.shape[1]):
            y[plane, indices[plane, i]] = x[plane, i]


@jit
def _take_at_lines(start, stop, arguments):
    """``y[plane, i] = x[plane, indices[plane, i]]``"""
    x, indices, y = arguments
    for plane in range(start, stop):
        for i in range(y.shape[1]):
            y[plane, i] = x[plane, indices[plane, i]]


add_at, put_at, take_at = over_lines(_add_at_lines), over_lines(_put_at_lines), over_lines(_take_at_lines)


def checked_indices(operation, indices, shape, size):
    """Validate and return `indices`, of `shape` and each below `size`."""
    indices = _checks.indices(operation, "indices", indices)
    expect(operation, "indices", indices, shape)
    wrong = first_outside(indices.reshape(-1), size)
    if wrong >= 0:
        raise IndexError(f"{operation}: indices must be from 0 to {size - 1}, got {indices.flat[wrong]}")
    return indices


def scatter(operation, x, indices, shape, dims, loops=add_at):
    """A new array of `shape`, zero but where the elements of `x` are added (or put) at `indices`, counted in planes of
    the last `dims` dimensions."""
    planes, size = planes_of(operation, tuple(shape), dims), math.prod(shape[-dims:])
    indices = checked_indices(operation, indices, x.shape, size)
    y = _checks.new(tuple(shape), x.dtype)
    per_plane = (planes, x.size // max(planes, 1))
    loops(
        (x.reshape(per_plane), indices.reshape(per_plane), y.reshape(planes, size)),
        planes,
        *grain_and_threads(planes, y.size),
    )
    return y
