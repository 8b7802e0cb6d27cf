r"""The additions of `columns`: each element of dx from the rows of columns that have a term for it.

          outputs                                  a row of dx, stride 1
     k=0  [ a0 a1 a2 a3                        [ a0 a1 a2 a3 .  .
     k=1  [ b0 b1 b2 b3          →           + [ .  b0 b1 b2 b3 .
     k=2  [ c0 c1 c2 c3                      + [ .  .  c0 c1 c2 c3

With a stride s, the elements of a row fall into s phases, each with terms from its own taps: in registers are `lanes`
neighbouring elements of one phase, which are stored s elements apart once their sums are complete:

    for row (d, h) of dx: for phase: for vector of the phase's elements:
        for tap k of the phase: for row i of columns with terms for (d, h):  acc += columns[i, k][outputs]
        store acc, every s-th element
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels.convolution.micro import Epilogue, store_row_tile
from kernels.convolution.plan import first_axis, product
from kernels.gemm.micro import BIAS
from kernels.simd import flat, lane_count, shifted, strided, tile_plus_between, tile_store, tile_zeros

ABREAST = 4  # channels whose terms are added up together: their chains of additions overlap
ZERO = np.int64(0)  # typed: Numba compiles a callee anew for each literal argument


class Place(NamedTuple):
    """A range of positions of x, from `start` to `stop` - 1 along each axis, and the range of outputs that give them
    terms: `columns` of them from number `first` on."""

    start: tuple
    stop: tuple
    first: int
    columns: int


class Columns(NamedTuple):
    """The columns of one image: rows lie `row` elements apart."""

    memory: object
    row: int


class Terms(NamedTuple):
    """The terms of a row of dx: `count` rows of columns, at offsets ``rows``, each valid for the outputs ``between[0]``
    to ``between[1] - 1`` of the width; ``taps`` and ``outputs`` of each phase are those of `_first_taps`."""

    rows: object
    count: int
    between: tuple
    taps: object
    outputs: object
    row: int  # elements from one row of columns to the next
    step: int  # from one tap of a phase to the next
    back: int  # and from one of its outputs to the next


@jit(inline=True)
def _find_rows(plan, place, row, at, rows):
    """Find the rows of columns with terms for the row ``at`` = (depth, height) of x, and write their offsets to `rows`:
    those of tap 0 along the width and output 0 of the row. Returns how many there are."""
    (KD, KH, KW), (d, h), count = plan.taps, at, ZERO
    for i in range(KD):
        od, left = divmod(d - plan.origin[0] - i * plan.dilation[0], plan.stride[0])
        if left == 0 and 0 <= od < plan.outputs[0]:
            for j in range(KH):
                oh, left = divmod(h - plan.origin[1] - j * plan.dilation[1], plan.stride[1])
                if left == 0 and 0 <= oh < plan.outputs[1]:
                    output = (od * plan.outputs[1] + oh) * plan.outputs[2] - place.first
                    rows[count] = (i * KH + j) * KW * row + output
                    count += 1
    return count


@jit(merge=True)
def _first_taps(plan, start, taps, outputs):
    """For each phase of the positions from `start` on along the width: its first tap, and the output from which that
    tap gives a term to the phase's first position. Returns the distance from a tap of a phase to its next."""
    stride, dilation = plan.stride[2], plan.dilation[2]
    common, rest = stride, dilation
    while rest > 0:  # Euclid's algorithm
        common, rest = rest, common % rest
    step = stride // common
    for phase in range(stride):
        taps[phase] = plan.taps[2]
    for tap in range(min(step, plan.taps[2])):
        output, phase = divmod(plan.origin[2] + tap * dilation - start, stride)
        taps[phase], outputs[phase] = tap, -output
    return step


def _row_kernel(channels):
    """`_store_row` of so many channels of x."""

    @jit(inline=True)
    def store_row(columns, terms, plan, width, bias, Y, scratch):
        lanes, stride, (first, stop) = lane_count(scratch.totals), plan.stride[2], terms.between
        epilogue, totals = Epilogue(BIAS, bias, False), strided(scratch.totals, lanes, 1)
        for phase in range(min(stride, width)):
            count = (width - phase + stride - 1) // stride
            for j in range(0, count, lanes):
                acc, k, o = tile_zeros(scratch.totals, channels, 1), terms.taps[phase], terms.outputs[phase] + j
                while k < plan.taps[2]:
                    at = columns.column(k * terms.row + o)
                    for i in range(terms.count):
                        acc = tile_plus_between(acc, at.column(terms.rows[i]), first - o, stop - o)
                    k, o = k + terms.step, o - terms.back
                tile_store(totals, acc)
                to = strided(shifted(flat(Y), phase + j * stride), Y.row_stride, stride)
                store_row_tile(totals, channels, min(count - j, lanes), epilogue, to, scratch.vector)

    return store_row


_store_channels, _store_channel = _row_kernel(ABREAST), _row_kernel(1)


@jit
def col2im(plan, place, channels, columns, bias, dx, scratch):
    """Sum and store all rows of a place in `channels` channels; `dx` and `bias` begin at the first of them."""
    (_, H, W), size, (memory, row), kernel = plan.sizes, product(plan.sizes), columns, product(plan.taps)
    step, between = _first_taps(plan, place.start[2], scratch.taps, scratch.outputs), (ZERO, plan.outputs[2])
    if first_axis(plan) == 2:  # as many as there are columns
        between = place.first, place.first + place.columns
    back, width = step * plan.dilation[2] // plan.stride[2], place.stop[2] - place.start[2]
    for d in range(place.start[0], place.stop[0]):
        for h in range(place.start[1], place.stop[1]):
            count = _find_rows(plan, place, row, (d, h), scratch.rows) if place.columns > 0 else ZERO
            terms = Terms(scratch.rows, count, between, scratch.taps, scratch.outputs, row, step, back)
            c = 0
            while c < channels:
                of_channels = strided(shifted(memory, c * kernel * row), kernel * row, 1)
                Y = strided(shifted(dx, c * size + (d * H + h) * W + place.start[2]), size, 1)
                if channels - c >= ABREAST:
                    _store_channels(of_channels, terms, plan, width, shifted(bias, c), Y, scratch)
                    c += ABREAST
                else:
                    _store_channel(of_channels, terms, plan, width, shifted(bias, c), Y, scratch)
                    c += 1
