r"""Winograd's convolution F(2 × 2, 3 × 3): four outputs from sixteen products instead of thirty-six [1]_.

.. math:: Y = A^\top \left[ (G g G^\top) \odot (B^\top d B) \right] A

d is a 4 × 4 piece of x, g the 3 × 3 taps, Y the 2 × 2 outputs they share; pieces overlap by two elements. With

.. math::

    B^\top = \begin{pmatrix} 1&0&-1&0\\ 0&1&1&0\\ 0&-1&1&0\\ 0&1&0&-1 \end{pmatrix} \quad
    G = \begin{pmatrix} 1&0&0\\ ½&½&½\\ ½&-½&½\\ 0&0&1 \end{pmatrix} \quad
    A^\top = \begin{pmatrix} 1&1&1&0\\ 0&1&-1&-1 \end{pmatrix}

the sum over channels commutes with the outer transforms: one matrix product (pieces × channels × output channels) for
each of the sixteen places, 2.25 times less work than the nine taps. The transforms are additions; they pay from some
dozens of channels on, and cost some accuracy, for differences of x are rounded before they are multiplied.

.. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.1.
"""

import numpy as np
from numba import boolean, int64, prange

from kernels import _threads
from kernels._jit import Compiled, jit
from kernels._threads import arrive, enter, leave
from kernels.convolution.blocks import copy_turned, pack_weights, turned_size
from kernels.convolution.correlation import (
    COUNT,
    FEW,
    ORIGIN,
    OUT_STEP,
    PARALLEL_WORK,
    ROUNDS,
    SIZE,
    STEP,
    STRIDE,
    TAP_STEP,
    tile_width,
)
from kernels.convolution.micro import MR, correlate_tile, put_tile, tile_height
from kernels.gemm.micro import BIAS, CHAIN, NV, STORE
from kernels.machine import cache_bytes, vector_bytes
from kernels.simd import (
    allocate,
    flat,
    lane_count,
    load,
    release,
    shifted,
    store,
)

PLACES = 16  # of a piece
WEIGHTS = 2**20  # bytes of the transformed weights of a part: with all else, not over 2 MiB a thread
PACKED = 64  # channels whose taps are packed at a time
PIECES = cache_bytes(2) // 4  # bytes of the pieces of a region: read again for each block of output channels
MOST_PIECES = 2**19  # bytes of a single row of them


@jit(inline=True, fastmath=False)
def _difference(x0, x1, x2, x3):
    """Bᵀ of four values."""
    return x0 - x2, x1 + x2, x2 - x1, x1 - x3


@jit
def _transform_x(box, channels, depth, row, rows, columns, pieces, place):
    """``pieces[place, t, c] = (Bᵀ d B)[place]`` for the pieces t = 0, 1, … of `rows` x `columns` pieces of the box.

    The lanes are channels: elements of the box and pieces are `depth` channels apart, places `place`.
    """
    for i in range(rows):
        for j in range(columns):
            for c in range(0, channels, lane_count(box)):
                at, to = (2 * i * row + 2 * j) * depth + c, (i * columns + j) * depth + c
                a0, a1, a2, a3 = _piece_row(box, at, depth)
                b0, b1, b2, b3 = _piece_row(box, at + row * depth, depth)
                c0, c1, c2, c3 = _piece_row(box, at + 2 * row * depth, depth)
                d0, d1, d2, d3 = _piece_row(box, at + 3 * row * depth, depth)
                _put_places(pieces, to, place, _difference(a0 - c0, a1 - c1, a2 - c2, a3 - c3))
                _put_places(pieces, to + 4 * place, place, _difference(b0 + c0, b1 + c1, b2 + c2, b3 + c3))
                _put_places(pieces, to + 8 * place, place, _difference(c0 - b0, c1 - b1, c2 - b2, c3 - b3))
                _put_places(pieces, to + 12 * place, place, _difference(b0 - d0, b1 - d1, b2 - d2, b3 - d3))


@jit(inline=True)
def _piece_row(box, at, depth):
    return load(box, at), load(box, at + depth), load(box, at + 2 * depth), load(box, at + 3 * depth)


@jit(inline=True)
def _put_places(pieces, to, place, values):
    store(pieces, to, values[0])
    store(pieces, to + place, values[1])
    store(pieces, to + 2 * place, values[2])
    store(pieces, to + 3 * place, values[3])


@jit(inline=True, fastmath=False)
def _spread(g0, g1, g2):
    """G of three values."""
    sum = (g0 + g2) * 0.5
    half = g1 * 0.5
    return g0, sum + half, sum - half, g2


@jit
def _transform_weights(panel, channels, width, weights, place):
    """``weights[place, c, m] = (G g Gᵀ)[place]``, from packed taps ``panel[c, tap, m]``; places lie `place` apart."""
    lanes = lane_count(panel)
    for c in range(channels):
        for m in range(0, width, lanes):
            at = c * 9 * width + m
            g0 = _spread(load(panel, at), load(panel, at + 3 * width), load(panel, at + 6 * width))
            g1 = _spread(load(panel, at + width), load(panel, at + 4 * width), load(panel, at + 7 * width))
            g2 = _spread(load(panel, at + 2 * width), load(panel, at + 5 * width), load(panel, at + 8 * width))
            to = c * width + m
            _put_places(weights, to, place, _spread(g0[0], g1[0], g2[0]))
            _put_places(weights, to + 4 * place, place, _spread(g0[1], g1[1], g2[1]))
            _put_places(weights, to + 8 * place, place, _spread(g0[2], g1[2], g2[2]))
            _put_places(weights, to + 12 * place, place, _spread(g0[3], g1[3], g2[3]))


@jit(inline=True, fastmath=False)
def _collect(x0, x1, x2, x3):
    """Aᵀ of four values."""
    return (x0 + x1) + x2, (x1 - x2) - x3


@jit
def _transform_sums(sums, at, place, columns, width, upper, lower):
    """The outputs of a row of pieces, pixel by pixel: ``(Aᵀ M A)[a, b]`` as ``upper[2*t + b, m]`` and ``lower[…]``."""
    lanes = lane_count(sums)
    for t in range(columns):
        for m in range(0, width, lanes):
            ix, to = at + t * width + m, 2 * t * width + m
            u0, l0 = _collect_column(sums, ix, place)
            u1, l1 = _collect_column(sums, ix + place, place)
            u2, l2 = _collect_column(sums, ix + 2 * place, place)
            u3, l3 = _collect_column(sums, ix + 3 * place, place)
            left, right = _collect(u0, u1, u2, u3)
            store(upper, to, left)
            store(upper, to + width, right)
            left, right = _collect(l0, l1, l2, l3)
            store(lower, to, left)
            store(lower, to + width, right)


@jit(inline=True)
def _collect_column(sums, at, place):
    return _collect(load(sums, at), load(sums, at + 4 * place), load(sums, at + 8 * place), load(sums, at + 12 * place))


@jit(merge=True)
def _multiply_places(pieces, channels, depth, count, from_place, weights, width, sums, to_place):
    """``sums[place, t] = sum over c of pieces[place, t, c] * weights[place, c]``: sixteen matrix products."""
    turns = (channels + CHAIN - 1) // CHAIN
    while channels % turns:
        turns += 1
    rounds, steps = (turns, 1, 1, channels // turns), (channels // turns, 0, 0, 1)
    for number in range(PLACES):
        w = shifted(weights, number * channels * width)
        t = 0
        while t < count:
            rows = tile_height(count - t)
            at, to = number * from_place + t * depth, shifted(sums, number * to_place + t * width)
            correlate_tile(rows, width, pieces, at, depth, rounds, steps, w, to, False)
            t += rows


@jit
def convolve(
    share, shares, x, weight, bias, relu, out, plan, images, groups, channels, columns, turned_weight, first_tap,
    rows_at_once, part,
):  # fmt: skip
    """`correlation.correlate` for 3 x 3 taps one element apart and stride 1; a task is a part of the output channels on
    some rows of pieces of an image."""
    lanes = lane_count(out)
    X, W, B, Y = flat(x), flat(weight), flat(bias), flat(out)
    NR = NV * lanes
    sizes = (plan[SIZE, 0], plan[SIZE, 1], plan[SIZE, 2])
    x_plane, out_plane = sizes[1] * sizes[2], plan[COUNT, 1] * plan[COUNT, 2]
    across, along = (9, columns * 9) if turned_weight else (channels * 9, 9)
    tap_steps = (plan[TAP_STEP, 0], plan[TAP_STEP, 1], plan[TAP_STEP, 2])
    row_count, piece_columns = (plan[COUNT, 1] + 1) // 2, (plan[COUNT, 2] + 1) // 2
    parts, regions = (columns + part - 1) // part, (row_count + rows_at_once - 1) // rows_at_once
    tasks_of_part = images * regions
    tasks = groups * parts * tasks_of_part
    task, last = share * tasks // shares, (share + 1) * tasks // shares

    depth = (channels + lanes - 1) // lanes * lanes
    depth += lanes if depth % (32 * lanes) == 0 else 0  # the pixels of a tile not in the same cache set
    block, row, count = PLACES * channels * NR, 2 * piece_columns + 2, rows_at_once * piece_columns
    weights = allocate(out, (part + NR - 1) // NR * block)
    panel = allocate(out, min(channels, PACKED) * 9 * NR + lanes * NR)
    turned = allocate(out, turned_size(9, lanes))
    box = allocate(out, ((2 * rows_at_once + 2) * row + lanes) * depth)
    pieces = allocate(out, PLACES * count * depth)
    sums = allocate(out, PLACES * count * NR)
    upper = allocate(out, (2 * piece_columns + lanes) * NR)
    lower = allocate(out, (2 * piece_columns + lanes) * NR)
    while task < last:
        stop = min(last, (task // tasks_of_part + 1) * tasks_of_part)
        group, first_column = task // tasks_of_part // parts, task // tasks_of_part % parts * part
        present = min(part, columns - first_column)
        for j in range(0, present, NR):
            width = tile_width(present - j, lanes)
            for c in range(0, channels, PACKED):
                now = min(PACKED, channels - c)
                pack_weights(
                    W, group * columns * channels * 9 + (first_column + j) * across + c * along, across, along, 9,
                    first_tap, (1, 3, 3), tap_steps, min(NR, present - j), now, width, panel, turned,
                )  # fmt: skip
                to = shifted(weights, j // NR * block + c * width)
                _transform_weights(panel, now, width, to, channels * width)
        for number in range(task, stop):
            image, i = number % tasks_of_part // regions, number % regions * rows_at_once
            rows = min(rows_at_once, row_count - i)
            start = (plan[ORIGIN, 1] + 2 * i, plan[ORIGIN, 2])
            at_x = (image * groups + group) * channels * x_plane
            copy_turned(X, at_x, sizes, start, (2 * rows + 2, row), channels, box, depth)
            _transform_x(box, channels, depth, row, rows, piece_columns, pieces, count * depth)
            for j in range(0, present, NR):
                column, width = group * columns + first_column + j, tile_width(present - j, lanes)
                _multiply_places(
                    pieces, channels, depth, rows * piece_columns, count * depth, shifted(weights, j // NR * block),
                    width, sums, count * NR,
                )  # fmt: skip
                for r in range(rows):
                    _transform_sums(sums, r * piece_columns * width, count * NR, piece_columns, width, upper, lower)
                    to = (image * groups * columns + column) * out_plane + 2 * (i + r) * plan[COUNT, 2]
                    mode = BIAS if bias.size else STORE
                    put_tile(
                        upper, width, plan[COUNT, 2], min(NR, present - j), B, column, mode, relu, turned, Y, to,
                        out_plane, 1,
                    )  # fmt: skip
                    if 2 * (i + r) + 1 < plan[COUNT, 1]:
                        put_tile(
                            lower, width, plan[COUNT, 2], min(NR, present - j), B, column, mode, relu, turned, Y,
                            to + plan[COUNT, 2], out_plane, 1,
                        )  # fmt: skip
        task = stop
    release(weights)
    release(panel)
    release(turned)
    release(box)
    release(pieces)
    release(sums)
    release(upper)
    release(lower)


@jit(parallel=True)
def _convolve_in_parallel(
    x, weight, bias, relu, out, plan, images, groups, channels, columns, turned_weight, first_tap, rows_at_once, part,
    threads,
):  # fmt: skip
    before, home = enter(threads)
    for share in prange(threads):
        arrive(home)
        convolve(
            np.int64(share), threads, x, weight, bias, relu, out, plan, images, groups, channels, columns,
            turned_weight, first_tap, rows_at_once, part,
        )  # fmt: skip
    leave(before)


def _types(kind):
    return (
        kind[::1], kind[::1], kind[::1], boolean, kind[::1], int64[:, ::1], int64, int64, int64, int64, boolean,
        int64, int64, int64,
    )  # fmt: skip


_compiled = Compiled(convolve, lambda kind: (int64, int64, *_types(kind)))
_compiled_parallel = Compiled(_convolve_in_parallel, lambda kind: (*_types(kind), int64))


def fits(plan) -> bool:
    """Whether the plan is one of 3 x 3 neighbouring taps with stride 1."""
    return (
        tuple(plan[ROUNDS]) == (1, 3, 3) and (plan[[STEP, STRIDE], 1:] == 1).all() and plan[OUT_STEP, 2] == 1
        and plan[SIZE, 0] == plan[COUNT, 0] == 1
    )  # fmt: skip


def pays(plan, channels, columns, itemsize) -> bool:
    """Whether it is faster than `correlation`: products enough, and all that a region needs within 2 MiB."""
    lanes = vector_bytes() // itemsize
    weights, pieces = (channels * PLACES * n * itemsize for n in (NV * lanes, -(-int(plan[COUNT, 2]) // 2)))
    fits = weights <= WEIGHTS and pieces <= MOST_PIECES
    return fits and min(channels, columns) >= 2 * lanes


def run(x, weight, bias, relu, out, plan, groups, turned_weight=False, first_tap=0):
    """`convolve` with the regions and the number of threads that suit the plan; arrays (N, C, H, W)."""
    images, channels, columns = x.shape[0], x.shape[1] // groups, out.shape[1] // groups
    NR = NV * vector_bytes() // out.itemsize
    parts = -(-columns * channels * PLACES * out.itemsize // WEIGHTS)
    part = -(-columns // (parts * NR)) * NR
    rows, piece_columns = (int(plan[COUNT, axis] + 1) // 2 for axis in (1, 2))
    at_once = max(min(PIECES // (PLACES * channels * piece_columns * out.itemsize), rows), 1)
    while at_once > 1 and at_once * piece_columns > 4 * MR and images * groups * parts * -(-rows // at_once) < FEW:
        at_once = -(-at_once // 2)
    at_once = -(-rows // -(-rows // at_once))  # evenly
    work = int(plan[COUNT].prod()) * 9 * channels * columns * groups * images
    arguments = (
        x.reshape(-1), weight.reshape(-1), bias, relu, out.reshape(-1), plan, images, groups, channels, columns,
        turned_weight, first_tap, at_once, part,
    )  # fmt: skip
    if work < PARALLEL_WORK or _threads._count == 1:
        _compiled[out.dtype](0, 1, *arguments)
    else:
        _compiled_parallel[out.dtype](*arguments, _threads._count)
