"""Where the largest elements of windows are, and the loops that send a gradient or a value there.

A place is a number within the window, one byte, or an int64 index within the plane. In general gradients are added one
by one, a plane being one thread's. The usual windows begin 2 apart, and only 2 x 2 of them reach an element: from their
numbers, whole vectors of dx are gathered.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.rows import (
    clear,
    inside,
    over_lines,
    phase_count,
    pitch_of,
    place,
    splitter,
    unpack,
)
from kernels.pooling.windows import expect, grain_and_threads, planes_of
from kernels.simd import (
    flat,
    interleave_high,
    interleave_low,
    lane_count,
    lanes_before,
    load,
    load_bytes,
    load_partial,
    select,
    splat,
    store,
    store_between,
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


@jit
def place_offsets(sizes, H, W):
    """How far behind the beginning of a window each of its elements lies in the plane."""
    kernel, _, _, dilation = unpack(sizes)
    offsets = np.empty(kernel[0] * kernel[1] * kernel[2], np.int64)
    number = 0
    for kd in range(kernel[0]):
        for kh in range(kernel[1]):
            for kw in range(kernel[2]):
                offsets[number] = (kd * dilation[0] * H + kh * dilation[1]) * W + kw * dilation[2]
                number += 1
    return offsets


def _place_lines(write):
    """Jitted loops over lines that also write where the largest elements are."""

    @jit(merge=True)
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
    def lines(start, stop, arguments):
        x, sizes, y, places = arguments
        kernel, stride, padding, dilation = unpack(sizes)
        OW = y.shape[3]
        pitch = pitch_of(x, x.shape[3], OW, kernel[2], stride[2], padding[2], dilation[2])
        phases = np.empty(phase_count(stride[2]) * pitch + lane_count(x), x.dtype)
        buffers = np.empty((3, OW + lane_count(x)), x.dtype)
        offsets = place_offsets(sizes, x.shape[2], x.shape[3])
        rows(x, sizes, y, places, phases, buffers, offsets, start, stop)

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
    """Planes of dx from the numbers of the places that dy goes to."""
    dy, places, sizes, dx = arguments
    _, stride, padding, _ = unpack(sizes)
    _, D, H, W = dx.shape
    _, OD, OH, OW = dy.shape
    gradients, numbers, target = flat(dy), flat(places), flat(dx)
    offsets, size = place_offsets(sizes, H, W), D * H * W
    for plane in range(start, stop):
        for i in range(plane * size, (plane + 1) * size):
            target[i] = 0.0
        for od in range(OD):
            for oh in range(OH):
                at = ((plane * OD + od) * OH + oh) * OW
                base = ((od * stride[0] - padding[0]) * H + oh * stride[1] - padding[1]) * W - padding[2]
                for j in range(OW):
                    i = base + j * stride[2] + offsets[numbers[at + j]]
                    if 0 <= i < size:  # a number that no forward gave may lie in the padding
                        target[plane * size + i] += gradients[at + j]


@jit(inline=True)
def _taken(g, n, g_before, n_before, number, KW, even, odd):
    """Adds to even and odd elements of a padded row what windows, and those before, send from place `number` on."""
    even = select(n == number, even + g, even)
    if KW > 1:
        odd = select(n == number + 1, odd + g, odd)
    if KW > 2:
        even = select(n_before == number + 2, even + g_before, even)
    if KW > 3:
        odd = select(n_before == number + 3, odd + g_before, odd)
    return even, odd


@jit(inline=True)
def _put(x, at, w, W, vector):
    """``x[at + w], x[at + w + 1], ... = vector``, but for what lies outside of a row of W elements."""
    if w >= 0 and w + lane_count(x) <= W:
        store(x, at + w, vector)
    elif w >= 0:
        store_partial(x, at + w, W - w, vector)
    else:
        store_between(x, at + w, -w, W - w, vector)


@jit(inline=True)
def _put_pairs(x, at, w, W, even, odd):
    """``x[at + w], x[at + w + 1], x[at + w + 2], ... = even[0], odd[0], even[1], ...`` within a row of W elements."""
    _put(x, at, w, W, interleave_low(even, odd))
    _put(x, at, w + lane_count(x), W, interleave_high(even, odd))


@jit
def _halved_lines(start, stop, arguments):
    """The same for planes and windows of at most 4 x 4 elements that begin 2 apart; a line is two padded rows of dx.

    Only the windows of two rows reach them: row m with its places' rows 0 and 1, row m - 1 with 2 and 3.
    """
    dy, places, sizes, dx = arguments
    kernel, _, padding, _ = unpack(sizes)
    H, W, OH, OW = dx.shape[2], dx.shape[3], dy.shape[2], dy.shape[3]
    gradients, numbers, target, lanes = flat(dy), flat(places), flat(dx), lane_count(dy)
    KH, KW, zeros = kernel[1], kernel[2], splat(dy, 0.0)
    pairs = (H + padding[1] + 1) >> 1
    plane, m = start // pairs, start % pairs
    for _ in range(start, stop):
        h, at = 2 * m - padding[1], (plane * OH + m) * OW
        g_last = n_last = g_last_above = n_last_above = zeros
        for j in range(0, (W + padding[2] + 1) >> 1, lanes):
            even = odd = next_even = next_odd = zeros
            if m < OH:
                g, n = load_partial(gradients, at + j, OW - j, 0.0), load_bytes(numbers, at + j, OW - j, gradients)
                g_before, n_before = lanes_before(g_last, g), lanes_before(n_last, n)
                even, odd = _taken(g, n, g_before, n_before, 0, KW, even, odd)
                if KH > 1:
                    next_even, next_odd = _taken(g, n, g_before, n_before, KW, KW, next_even, next_odd)
                g_last, n_last = g, n
            if KH > 2 and 0 < m <= OH:
                i = at - OW + j
                g, n = load_partial(gradients, i, OW - j, 0.0), load_bytes(numbers, i, OW - j, gradients)
                g_before, n_before = lanes_before(g_last_above, g), lanes_before(n_last_above, n)
                even, odd = _taken(g, n, g_before, n_before, 2 * KW, KW, even, odd)
                if KH > 3:
                    next_even, next_odd = _taken(g, n, g_before, n_before, 3 * KW, KW, next_even, next_odd)
                g_last_above, n_last_above = g, n
            row, w = (plane * H + h) * W, 2 * j - padding[2]
            if h >= 0:
                _put_pairs(target, row, w, W, even, odd)
            if 0 <= h + 1 < H:
                _put_pairs(target, row + W, w, W, next_even, next_odd)
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
    loops(
        (x.reshape(per_plane), indices.reshape(per_plane), y.reshape(planes, size)),
        planes,
        *grain_and_threads(planes, y.size),
    )
    return y
