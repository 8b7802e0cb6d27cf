r"""The tile of every convolution: a few pixels by NR output channels, summed over taps that are read from x itself.

As a matrix product, a convolution would need the patches of x as rows of a matrix (im2col), each element of x copied
once a tap. But the micro-kernel takes the elements of A one at a time, and those of a patch are in x already (an
implicit matrix product):

        x, one channel            tile of y             panel of weights, packed
    ┌──────────────────┐       NR channels             NR channels
    │  p p+1 …  rows   │       ┌───────────┐           ┌───────────┐  c, kh, kw = 0, 0, 0
    │  ┌─────┐         │  rows │ pixel p   │     +=    │           │              0, 0, 1
    │  │taps │ of p    │       │ pixel p+1 │           │           │              …
    │  └─────┘         │       └───────────┘           └───────────┘
    └──────────────────┘

One loop runs over channels and taps, by a table of where they lie in x. Each step multiplies what one tap reads for all
pixels of the tile, which lie side by side, by one row of the panel. In the gradient with respect to the weight, the
tile is channels by channels, the loop runs over pixels, and the table says where those lie.
"""

import functools
from typing import NamedTuple

import numpy as np

from kernels import machine
from kernels._jit import jit
from kernels.activation.rectified import relu_lanes
from kernels.gemm.micro import ADD, BIAS, NV, chain_length, first_heights
from kernels.simd import (
    lane_count,
    load,
    load_partial,
    shifted,
    square_load,
    square_transpose,
    store,
    store_every_second,
    store_partial,
    strided,
    tile_add,
    tile_add_partial,
    tile_outer,
    tile_plus,
    tile_store,
    tile_store_partial,
    tile_zeros,
)

# Heights of a tile: the tallest fills the registers (see `gemm.micro`); the others serve rows of 7, 10, 28, 56 pixels.
HEIGHTS = (14, 10, 8, 7, 4, 2, 1) if machine.vector_registers() >= 32 else (6, 5, 4, 3, 2, 1)
MR = HEIGHTS[0]


class Reduction(NamedTuple):
    """What each output sums: `products` elements of x, at a table of `count` offsets, the same again `stride` elements
    further, and so on."""

    offsets: object
    count: int
    stride: int
    products: int


class Epilogue(NamedTuple):
    """What becomes of the sums: `mode` is STORE, ADD or BIAS (`bias`: one element an output channel); then ReLU."""

    mode: int
    bias: object
    relu: bool


class Steps(NamedTuple):
    """One chain of additions of a reduction: elements of x at `count` offsets."""

    offsets: object
    count: int


def _correlation_kernel(rows, vectors, step):
    """The micro-kernel of `rows` pixels, `step` elements of x apart, x `vectors` vectors of output channels."""

    @jit(inline=True)
    def correlate(X, steps, panel, totals, accumulate):
        width = vectors * lane_count(totals)
        B, tile_totals = strided(panel, width, 1), strided(totals, width, 1)
        acc = tile_zeros(totals, rows, vectors)
        for i in range(steps.count):
            # a row stride that is known at compile time: the addresses of all rows are one register
            acc = tile_outer(acc, strided(X.column(steps.offsets[i]), step, 1), B.row(i))
        if accumulate:
            tile_add(tile_totals, acc)
        else:
            tile_store(tile_totals, acc)

    return correlate


def _product_kernel(rows, vectors):
    """The micro-kernel of a matrix product, `rows` x `vectors` registers."""

    @jit(inline=True)
    def multiply(A, depth, panel, sums, accumulate):
        width = vectors * lane_count(sums)
        B, tile_sums = strided(panel, width, 1), strided(sums, width, 1)
        acc = tile_zeros(sums, rows, vectors)
        for p in range(depth):
            acc = tile_outer(acc, A.column(p), B.row(p))
        if accumulate:
            tile_add(tile_sums, acc)
        else:
            tile_store(tile_sums, acc)

    return multiply


def _of_any_height(micro_kernel, vectors, heights=HEIGHTS):
    """One function that calls the micro-kernel of the height it is asked for; `extent` is what that one runs over, the
    `Steps` of a correlation or the depth of a product."""
    height, *lower = heights
    kernel = micro_kernel(height, vectors)
    other = _of_any_height(micro_kernel, vectors, lower) if lower else None
    if other is None:

        @jit(merge=True)
        def any_height(rows, A, extent, panel, sums, accumulate):
            kernel(A, extent, panel, sums, accumulate)

    else:

        @jit(merge=True)
        def any_height(rows, A, extent, panel, sums, accumulate):
            if rows == height:
                kernel(A, extent, panel, sums, accumulate)
            else:
                other(rows, A, extent, panel, sums, accumulate)

    return any_height


def _correlation_of_tile(step):
    micro_kernel = functools.partial(_correlation_kernel, step=step)
    wide, narrow = (_of_any_height(micro_kernel, vectors) for vectors in (NV, 1))

    @jit
    def correlate_tile(rows, width, X, reduction, panel, totals, accumulate):
        """``totals[r, j] (+)= sum over p of X[r * step + place(p)] * panel[p, j]``, where ``place(p) = p // count *
        stride + offsets[p % count]``, the numbers of `reduction`.

        r < rows, one of HEIGHTS; j < width, one vector or NV of them. Panel and totals are contiguous, `width` elements
        a row. With `accumulate`, the sums are added to those in `totals`.
        """
        first = 0
        while first < reduction.products:
            count = min(reduction.count, reduction.products - first)
            chain = chain_length(count)  # rounding errors grow along a chain of additions
            for start in range(0, count, chain):
                steps = Steps(shifted(reduction.offsets, start), min(chain, count - start))
                B = shifted(panel, (first + start) * width)
                if width > lane_count(totals):
                    wide(rows, X, steps, B, totals, accumulate)
                else:
                    narrow(rows, X, steps, B, totals, accumulate)
                accumulate = True
            X = X.column(reduction.stride)
            first += count

    return correlate_tile


# Neighbouring pixels of a tile are neighbours in x; or every second element of it, as with stride 2.
correlate_tile, correlate_tile_of_stride_2 = _correlation_of_tile(1), _correlation_of_tile(2)
_multiply_wide, _multiply_narrow = (_of_any_height(_product_kernel, vectors) for vectors in (NV, 1))


@jit
def multiply_tile(rows, width, A, depth, panel, sums, accumulate):
    """``sums[r, j] (+)= sum over p < depth of A[r, p] * panel[p, j]``, as `correlate_tile`, one chain of additions."""
    if width > lane_count(sums):
        _multiply_wide(rows, A, depth, panel, sums, accumulate)
    else:
        _multiply_narrow(rows, A, depth, panel, sums, accumulate)


FIRST_HEIGHTS = first_heights(4 * MR, HEIGHTS)
# Of a tile that covers so many rows, and perhaps some more.
COVERING_HEIGHTS = np.array([min(height for height in HEIGHTS if height >= rows) for rows in range(MR + 1)])


@jit(inline=True)
def tile_height(left):
    """Pixels of the next tile where `left` remain in the row."""
    return FIRST_HEIGHTS[min(left, 4 * MR)]


@jit(inline=True)
def tile_width(channels, like):
    """Width of the tile where `channels` output channels are left."""
    return NV * lane_count(like) if channels > lane_count(like) else lane_count(like)


@jit(inline=True)
def totals_size(like):
    """Elements of `totals`: whole squares of vectors, so that any tile can be transposed in registers."""
    lanes = lane_count(like)
    return (max(MR, FEW_CHANNELS) + lanes - 1) // lanes * lanes * NV * lanes


# --- pixels in lanes -------------------------------------------------------------------------------------------------

# Where there are few output channels, the lanes of a vector are pixels instead: the tile is ROW_CHANNELS, 4 or 1
# channels by up to four vectors of pixels side by side, and x is its B. A channel too many costs less than one more
# micro-kernel.
FEW_CHANNELS = 8
_FEW_REGISTERS = machine.vector_registers() < 32  # 8 x 2 and 4 x 4 vectors of sums would not fit
ROW_CHANNELS = 6 if _FEW_REGISTERS else FEW_CHANNELS  # of a tile, at most


def _row_kernel(rows, vectors):
    """The micro-kernel of `rows` output channels x `vectors` vectors of pixels."""

    @jit(inline=True)
    def correlate(X, steps, panel, totals, accumulate):
        A, tile_totals = strided(panel, 1, lane_count(totals)), strided(totals, vectors * lane_count(totals), 1)
        acc = tile_zeros(totals, rows, vectors)
        for i in range(steps.count):
            acc = tile_outer(acc, strided(A.column(i), 1, 1), X.column(steps.offsets[i]))
        if accumulate:
            tile_add(tile_totals, acc)
        else:
            tile_store(tile_totals, acc)

    return correlate


_row_all_2, _row_all_1 = _row_kernel(ROW_CHANNELS, 2), _row_kernel(ROW_CHANNELS, 1)
_row_4_4, _row_4_2, _row_4_1 = _row_kernel(4, 4), _row_kernel(4, 2), _row_kernel(4, 1)
_row_1_4, _row_1_2, _row_1_1 = _row_kernel(1, 4), _row_kernel(1, 2), _row_kernel(1, 1)


@jit(inline=True)
def row_vectors(channels, pixels, lanes):
    """Vectors of the next tile in a row of which `pixels` are left: the fewest that hold them, as far as there are
    registers."""
    limit = 2 if channels > 4 or (_FEW_REGISTERS and channels > 1) else 4
    return 1 if pixels <= lanes else 2 if pixels <= 2 * lanes or limit == 2 else 4


@jit(merge=True)
def _correlate_row_chain(channels, vectors, X, steps, panel, totals, accumulate):
    if channels > 4:
        if vectors == 2:
            _row_all_2(X, steps, panel, totals, accumulate)
        else:
            _row_all_1(X, steps, panel, totals, accumulate)
    elif channels > 1:
        if vectors == 4:
            _row_4_4(X, steps, panel, totals, accumulate)
        elif vectors == 2:
            _row_4_2(X, steps, panel, totals, accumulate)
        else:
            _row_4_1(X, steps, panel, totals, accumulate)
    elif vectors == 4:
        _row_1_4(X, steps, panel, totals, accumulate)
    elif vectors == 2:
        _row_1_2(X, steps, panel, totals, accumulate)
    else:
        _row_1_1(X, steps, panel, totals, accumulate)


@jit
def correlate_row(channels, vectors, X, reduction, panel, totals):
    """`correlate_tile` with pixels as columns: ``totals[r, j] = sum over p of X[j + place(p)] * panel[p, r]``, the
    panel being one vector wide."""
    first, accumulate = 0, False
    while first < reduction.products:
        count = min(reduction.count, reduction.products - first)
        chain = chain_length(count)
        for start in range(0, count, chain):
            steps = Steps(shifted(reduction.offsets, start), min(chain, count - start))
            B = shifted(panel, (first + start) * lane_count(totals))
            _correlate_row_chain(channels, vectors, X, steps, B, totals, accumulate)
            accumulate = True
        X = X.column(reduction.stride)
        first += count


# --- epilogues -------------------------------------------------------------------------------------------------------


@jit(inline=True)
def store_pixels(y, count, epilogue, Y, scratch):
    """``Y[i] (+)= y[i]`` for i < count, at most all lanes, then ReLU; `scratch` is memory for a vector."""
    if Y.column_stride == 1:
        if epilogue.mode == ADD:
            y = y + load_partial(Y, 0, count, 0.0)
        if epilogue.relu:
            y = relu_lanes(y)
        store_partial(Y, 0, count, y)
        return
    if Y.column_stride == 2 and epilogue.mode != ADD:
        store_every_second(Y, 0, count, relu_lanes(y) if epilogue.relu else y)
        return
    store(scratch, 0, y)
    stored = min(count, lane_count(Y))
    if epilogue.mode == ADD:
        for i in range(stored):
            scratch[i] += Y[i]
    if epilogue.relu:
        store(scratch, 0, relu_lanes(load(scratch, 0)))
    for i in range(stored):
        Y[i] = scratch[i]


@jit
def store_row_tile(tile, channels, pixels, epilogue, Y, scratch):
    """``Y[m, j] (+)= tile[m, j] (+ bias[m])`` for m < channels, j < pixels, then ReLU; `scratch` is memory for a
    vector."""
    for m in range(channels):
        for j in range(0, pixels, lane_count(tile)):
            y = load(tile.row(m), j)
            if epilogue.mode == BIAS:
                y = y + epilogue.bias[m]
            store_pixels(y, pixels - j, epilogue, Y.at(m, j), scratch)


@jit
def store_tile(tile, rows, channels, epilogue, Y, square):
    """``Y[m, r] (+)= tile[r, m] (+ bias[m])`` for r < rows, m < channels, then ReLU: transposed in registers.

    Whole vectors of whole squares of the tile are read; `square` is memory for lanes x lanes elements.
    """
    lanes = lane_count(tile)
    plain = Y.column_stride == 1 and not epilogue.relu
    for v in range(0, channels, lanes):
        for r in range(0, rows, lanes):
            if plain and channels - v >= lanes:
                pixels = square_load(tile.at(r, v))
                if epilogue.mode == BIAS:  # the same row for every pixel
                    pixels = tile_plus(pixels, strided(shifted(epilogue.bias, v), 0, 1))
                if epilogue.mode == ADD:
                    tile_add_partial(Y.at(v, r), min(lanes, rows - r), square_transpose(pixels))
                else:
                    tile_store_partial(Y.at(v, r), min(lanes, rows - r), square_transpose(pixels))
                continue
            tile_store(strided(square, lanes, 1), square_transpose(square_load(tile.at(r, v))))
            for j in range(min(lanes, channels - v)):
                y = load(square, j * lanes)
                if epilogue.mode == BIAS:
                    y = y + epilogue.bias[v + j]
                store_pixels(y, min(lanes, rows - r), epilogue, Y.at(v + j, r), shifted(square, j * lanes))
