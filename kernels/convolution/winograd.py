r"""Winograd's convolutions F(2 × 2, 3 × 3) and F(4 × 4, 3 × 3): fewer products from sums formed beforehand [1]_.

.. math:: Y = A^\top \left[ (G g G^\top) \odot (B^\top d B) \right] A

g are the 3 × 3 taps, Y the M × M outputs of a piece, d the M + 2 × M + 2 elements of x that they see; pieces overlap by
two. The matrices stand in `transforms`. The sum over channels commutes with the outer transforms: one matrix product
(pieces × channels × output channels) for each of the (M + 2)² places of a piece. Of the 9 M² products of the taps there
remain 16 for 36 (M = 2), or 36 for 144 (M = 4). The transforms pay from some dozens of channels on, and cost accuracy:
sums of x are rounded before they are multiplied, those of M = 4 with factors of up to 100.

A task is a part of the output channels in a region, some pieces of one image or of several. Where the transformed
weights of all channels fit, a thread keeps them for all its regions. Where they do not, the channels come in turns, and
what is kept is the sums of the region's pieces: each turn transforms its channels of x once for all output channels of
the part, and their weights once for all pieces of the region.

.. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.
"""

import math

import numpy as np
from numba import boolean, int64

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.blocks import copy_turned, pack_weights, turned_size
from kernels.convolution.correlation import (
    COUNT,
    FEW,
    OUT_STEP,
    REGION,
    ROUNDS,
    SIZE,
    STEP,
    STRIDE,
    TAP_STEP,
    region_at,
    region_counts,
    tile_width,
)
from kernels.convolution.micro import MR, correlate_tile, put_tile, tile_height
from kernels.convolution.transforms import TRANSFORMS
from kernels.gemm.micro import BIAS, CHAIN, NV, STORE
from kernels.machine import vector_bytes
from kernels.simd import address, allocate, flat, lane_count, release, shifted

# In bytes, with all else not over 2 MiB a thread: transformed weights or sums that are kept, and pieces with their box.
KEPT = 9 * 2**17
PIECES = 3 * 2**18  # read again for each block of output channels
TURN = 64  # channels of a turn
PACKED = 32  # channels whose taps are packed at a time


ONE, TAPS, ALL = np.int64(1), np.int64(9), (1, 3, 3)


@jit(merge=True)
def _multiply_places(
    places, pieces, channels, depth, count, from_place, weights, weights_place, width, sums, to_place, keep
):  # fmt: skip
    """``sums[place, t] (+)= sum over c of pieces[place, t, c] * weights[place, c]``: one product a place."""
    for number in range(places):
        t, w = 0, shifted(weights, number * weights_place)
        rounds, steps = (1, 1, 1, channels), (0, 0, 0, 1)
        while t < count:
            rows = tile_height(count - t)
            at, to = number * from_place + t * depth, shifted(sums, number * to_place + t * width)
            correlate_tile(rows, width, pieces, at, depth, rounds, steps, w, to, keep)
            t += rows


def _loops(side):
    """The loops around the three transforms, for `side` x `side` outputs of a piece."""
    transform_piece, transform_taps, transform_sums = TRANSFORMS[side]
    edge = side + 2

    @jit
    def take_pieces(x, at, image_step, sizes, start, region, channels, box, half, pieces, depth, place):
        """``pieces[place, t, c] = (Bᵀ d B)[place]`` for the pieces t of a region's images, rows and columns."""
        row, corner = side * region[2] + 2, (start[1], start[2])
        to = 0
        for image in range(region[0]):
            copy_turned(x, at + image * image_step, sizes, corner, (side * region[1] + 2, row), channels, box, depth)
            for i in range(region[1]):
                for j in range(region[2]):
                    for c in range(0, channels, lane_count(x)):
                        first = side * (i * row + j) * depth + c
                        transform_piece(box, first, row * depth, depth, half, pieces, to + c, edge * place, place)
                    to += depth

    @jit
    def take_weights(
        weight, at, across, along, first_tap, tap_steps, present, channels, width, panel, turned, half, out, place
    ):  # fmt: skip
        """``out[place, c, m] = (G g Gᵀ)[place]`` for the taps g of `present` output channels."""
        for c in range(0, channels, PACKED):
            now = min(PACKED, channels - c)
            pack_weights(
                weight, at + c * along, across, along, TAPS, first_tap, ALL, tap_steps, present, now, width, panel,
                turned,
            )  # fmt: skip
            for k in range(now):
                for m in range(0, width, lane_count(weight)):
                    first, to = k * TAPS * width + m, (c + k) * width + m
                    transform_taps(panel, first, 3 * width, width, half, out, to, edge * place, place)

    @jit
    def put_outputs(
        sums, place, region, width, half, lines, line, counts, present, bias, column, mode, relu,
        turned, out, at, image_step, row_step, plane,
    ):  # fmt: skip
        """The outputs ``Aᵀ M A`` of a region's pieces, as far as they are among the ``counts`` in each image."""
        at_sums = 0
        for image in range(region[0]):
            for i in range(region[1]):
                for j in range(region[2]):
                    for m in range(0, width, lane_count(out)):
                        to = side * j * width + m
                        transform_sums(sums, at_sums + m, edge * place, place, half, lines, to, line, width)
                    at_sums += width
                for k in range(min(side, counts[1] - side * i)):
                    to = at + image * image_step + (side * i + k) * row_step
                    put_tile(
                        shifted(lines, k * line), width, counts[2], present, bias, column, mode, relu, turned, out, to,
                        plane, ONE,
                    )  # fmt: skip

    return take_pieces, take_weights, put_outputs


@jit
def _layout(side, lanes, at_once, region, blocks, in_turns):
    """Elements from one pixel to the next, from one place to the next (of weights, sums and pieces), from one block to
    the next (of weights and sums), and of all buffers (weights, sums, pieces, box, panel, turned, lines, half)."""
    NR, places = NV * lanes, (side + 2) ** 2
    lines = (region[2] + lanes) * NR
    depth = (at_once + lanes - 1) // lanes * lanes
    depth += lanes if depth % (32 * lanes) == 0 else 0  # the pixels of a tile not in the same cache set
    count = region[0] * (region[1] // side) * (region[2] // side)
    apart = (at_once * NR + lanes, count * NR + lanes, count * depth + lanes)  # and the places neither
    block = (0, places * apart[1]) if in_turns else (places * apart[0], 0)
    sizes = (
        places * apart[0] + (blocks - 1) * block[0], places * apart[1] + (blocks - 1) * block[1], places * apart[2],
        ((region[1] + 2) * (region[2] + 2) + lanes) * depth, (min(at_once, PACKED) * TAPS + lanes) * NR,
        turned_size(TAPS, lanes), side * lines, places * lanes,
    )  # fmt: skip
    return depth, apart, block, sizes, lines


def _convolution(side):
    take_pieces, take_weights, put_outputs = _loops(side)
    side, places = np.int64(side), np.int64((side + 2) ** 2)

    @jit
    def convolve(
        thread, stop_thread, threads, x, weight, bias, relu, out, plan, groups, channels, columns, turned_weight,
        first_tap, at_once, part,
    ):  # fmt: skip
        """`correlation.correlate` for 3 x 3 taps one element apart and stride 1; the images stand for the depth."""
        X, W, B, Y, lanes = flat(x), flat(weight), flat(bias), flat(out), lane_count(out)
        sizes, row, NR = (plan[SIZE, 0], plan[SIZE, 1], plan[SIZE, 2]), plan[COUNT, 2], NV * lanes
        x_plane, out_plane = sizes[1] * sizes[2], plan[COUNT, 1] * row
        across, along = (TAPS, columns * TAPS) if turned_weight else (channels * TAPS, TAPS)
        tap_steps = (plan[TAP_STEP, 0], plan[TAP_STEP, 1], plan[TAP_STEP, 2])
        regions, parts = region_counts(plan), (columns + part - 1) // part
        tasks_of_part = regions[0] * regions[1] * regions[2]
        tasks, in_turns, packed = groups * parts * tasks_of_part, channels > at_once, np.int64(-1)
        most = (plan[REGION, 0], plan[REGION, 1], plan[REGION, 2])
        depth, apart, block, room, line = _layout(side, lanes, at_once, most, (part + NR - 1) // NR, in_turns)
        whole = allocate(out, room[0] + room[1] + room[2] + room[3] + room[4] + room[5] + room[6] + room[7] + lanes)
        weights = shifted(whole, -address(whole) // out.itemsize % lanes)  # on a cache line's edge, as all that follow
        sums = shifted(weights, room[0])
        pieces = shifted(sums, room[1])
        box = shifted(pieces, room[2])
        panel = shifted(box, room[3])
        turned = shifted(panel, room[4])
        lines = shifted(turned, room[5])
        half = shifted(lines, room[6])
        for task in range(thread * tasks // threads, stop_thread * tasks // threads):
            group, j0 = task // tasks_of_part // parts, task // tasks_of_part % parts * part
            first, counts, start = region_at(plan, task % tasks_of_part, regions)
            extents = (counts[0], (counts[1] + side - 1) // side, (counts[2] + side - 1) // side)
            for c in range(0, channels, at_once):
                now, at = min(at_once, channels - c), ((first[0] * groups + group) * channels + c) * x_plane
                take_pieces(
                    X, at, groups * channels * x_plane, sizes, start, extents, now, box, half, pieces, depth, apart[2]
                )
                for j in range(0, min(part, columns - j0), NR):
                    column, these = group * columns + j0 + j, min(NR, columns - j0 - j)
                    width, w, y = (
                        tile_width(these, lanes), shifted(weights, j // NR * block[0]),
                        shifted(sums, j // NR * block[1]),
                    )  # fmt: skip
                    if in_turns or packed != task // tasks_of_part:
                        at = group * columns * channels * TAPS + (j0 + j) * across + c * along
                        take_weights(
                            W, at, across, along, first_tap, tap_steps, these, now, width, panel, turned, half, w,
                            apart[0],
                        )  # fmt: skip
                    count = extents[0] * extents[1] * extents[2]
                    _multiply_places(
                        places, pieces, now, depth, count, apart[2], w, apart[0], width, y, apart[1], c > 0
                    )
                    if c + now == channels:
                        at = (first[0] * groups * columns + column) * out_plane + first[1] * row + first[2]
                        put_outputs(
                            y, apart[1], extents, width, half, lines, line, counts, these, B, column,
                            BIAS if bias.size else STORE, relu, turned, Y, at, groups * columns * out_plane, row,
                            out_plane,
                        )  # fmt: skip
            packed = task // tasks_of_part
        release(whole)

    return convolve


def _in_parallel(convolve):
    @jit
    def convolve_parallel(
        x, weight, bias, relu, out, plan, groups, channels, columns, turned_weight, first_tap, at_once, part,
        threads,
    ):  # fmt: skip
        arguments = (
            threads, x, weight, bias, relu, out, plan, groups, channels, columns, turned_weight, first_tap, at_once,
            part,
        )  # fmt: skip
        parallel_for(convolve, threads, 1, threads, arguments)

    return convolve_parallel


def _types(kind):
    return (
        kind[::1], kind[::1], kind[::1], boolean, kind[::1], int64[:, ::1], int64, int64, int64, boolean,
        int64, int64, int64, int64,
    )  # fmt: skip


_compiled = {f"winograd{side}": Compiled(_in_parallel(_convolution(side)), _types) for side in TRANSFORMS}


def fits(plan) -> bool:
    """Whether the plan is one of 3 x 3 neighbouring taps with stride 1."""
    return (
        tuple(plan[ROUNDS]) == (1, 3, 3) and (plan[[STEP, STRIDE], 1:] == 1).all() and plan[OUT_STEP, 2] == 1
        and plan[SIZE, 0] == plan[COUNT, 0] == 1
    )  # fmt: skip


def pays(channels, columns, itemsize) -> bool:
    """Whether "winograd2" is faster than `correlation`: there are products enough."""
    return min(channels, columns) >= 2 * vector_bytes() // itemsize


def set_regions(plan, side, images, groups, channels, columns, itemsize, threads):
    """Write a region's images and outputs into `plan`, whose depth becomes the images; returns the channels of a turn
    and the output channels of a part."""
    NR, places = NV * vector_bytes() // itemsize, (side + 2) ** 2
    blocks, room = -(-columns // NR), KEPT // (places * NR * itemsize)  # of blocks' weights or sums, an element each
    in_turns = channels > CHAIN or channels > max(TURN, room // blocks)
    at_once = -(-channels // -(-channels // TURN)) if in_turns else channels

    def size(images, rows, columns):
        """Elements of pieces, box, lines, and the sums of one block where they are not kept."""
        box, lines = (side * rows + 2) * (side * columns + 2) * at_once, side * side * columns * NR
        return images * rows * columns * places * (at_once + (not in_turns) * NR) + box + lines

    every = max(images, 1), *(-(-int(plan[COUNT, axis]) // side) for axis in (1, 2))
    region = [1, 1, 1]
    for axis in (2, 1, 0):  # the size is linear in each
        more, fixed = size(*region), size(*(0 if k == axis else n for k, n in enumerate(region)))
        region[axis] = _evenly(every[axis], (PIECES // itemsize - fixed) // (more - fixed))
        if region[axis] < every[axis]:
            break
    if in_turns:
        tasks = _count(every, region) * groups * blocks
        part = min((room - at_once) // math.prod(region), tasks // (2 * threads) if threads > 1 else blocks)
    else:
        part = room // channels
        while threads > 1 and math.prod(region) > 4 * MR and region[1] > 1 and _count(every, region) * groups < FEW:
            axis = 0 if region[0] > 1 else 1
            region[axis] = -(-region[axis] // 2)
    plan[REGION], plan[COUNT, 0] = (region[0], side * region[1], side * region[2]), images
    return at_once, _evenly(blocks, part) * NR


def _count(every, region):
    """Regions in all."""
    return math.prod(-(-n // m) for n, m in zip(every, region, strict=True))


def _evenly(count, most):
    """The largest of the fewest parts of `count` that are not over `most`."""
    return -(-count // -(-count // max(most, 1)))


def run(x, weight, bias, relu, out, plan, groups, turned_weight=False, first_tap=0, algorithm="winograd2"):
    """The convolution with the regions and the number of threads that suit the plan; arrays (N, C, H, W)."""
    images, channels, columns = x.shape[0], x.shape[1] // groups, out.shape[1] // groups
    side = int(algorithm[-1])
    work = int(plan[COUNT].prod()) * 9 * channels * columns * groups * images
    threads = threads_for(multiply_adds=work)
    at_once, part = set_regions(plan, side, images, groups, channels, columns, out.itemsize, threads)
    _compiled[algorithm][out.dtype](
        x.reshape(-1), weight.reshape(-1), bias, relu, out.reshape(-1), plan, groups, channels, columns,
        turned_weight, first_tap, at_once, part, threads,
    )  # fmt: skip
