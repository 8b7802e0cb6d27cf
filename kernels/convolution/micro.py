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

Four nested loops run over channels and taps. Each step multiplies what one tap reads for all pixels of the tile (their
elements of x lie a row stride of the view X apart) by one row of the panel. Only the loops' counts and strides differ
between the convolution, its gradient with respect to x, and its gradient with respect to the weight, where the loops
run over images and pixels.
"""

from typing import NamedTuple

from kernels import machine
from kernels._jit import jit
from kernels.activation.rectified import relu_lanes
from kernels.gemm.micro import ADD, BIAS, CHAIN, NV, first_heights
from kernels.simd import (
    lane_count,
    load,
    load_partial,
    shifted,
    square_load,
    square_transpose,
    store,
    store_partial,
    strided,
    tile_add,
    tile_outer,
    tile_store,
    tile_zeros,
)

# Heights of a tile: the tallest fills the registers (see `gemm.micro`); the others serve rows of 7, 10, 28, 56 pixels.
HEIGHTS = (14, 10, 8, 7, 4, 2, 1) if machine.vector_registers() >= 32 else (6, 5, 4, 3, 2, 1)
MR = HEIGHTS[0]


class Reduction(NamedTuple):
    """What each output sums: the counts of four nested loops, and the elements of x from one round to the next."""

    counts: tuple
    strides: tuple


class Epilogue(NamedTuple):
    """What becomes of the sums: `mode` is STORE, ADD or BIAS (`bias`: one element an output channel); then ReLU."""

    mode: int
    bias: object
    relu: bool


def _micro_kernel(rows, vectors):
    """The micro-kernel of `rows` pixels x `vectors` vectors of output channels."""

    @jit(inline=True)
    def correlate(X, reduction, panel, totals, keep):
        counts, strides = reduction
        width = vectors * lane_count(totals)
        B, tile_totals = strided(panel, width, 1), strided(totals, width, 1)
        acc = tile_zeros(totals, rows, vectors)
        if not keep:
            tile_store(tile_totals, acc)
        p, chain, left = 0, 0, counts[0] * counts[1] * counts[2]
        for i0 in range(counts[0]):
            for i1 in range(counts[1]):
                for i2 in range(counts[2]):
                    start = X.column(i0 * strides[0] + i1 * strides[1] + i2 * strides[2])
                    A = strided(start, X.row_stride, strides[-1])
                    for i3 in range(counts[3]):
                        acc = tile_outer(acc, A.column(i3), B.row(p))
                        p += 1
                    chain, left = chain + counts[3], left - 1
                    if chain > CHAIN - counts[3] or left == 0:  # rounding errors grow along a chain of additions
                        tile_add(tile_totals, acc)
                        acc = tile_zeros(totals, rows, vectors)
                        chain = 0

    return correlate


def _of_any_height(vectors, heights=HEIGHTS):
    """One function that calls the micro-kernel of the height it is asked for."""
    height, *lower = heights
    kernel = _micro_kernel(height, vectors)
    other = _of_any_height(vectors, lower) if lower else None
    if other is None:

        @jit(merge=True)
        def correlate(rows, X, reduction, panel, totals, keep):
            kernel(X, reduction, panel, totals, keep)

    else:

        @jit(merge=True)
        def correlate(rows, X, reduction, panel, totals, keep):
            if rows == height:
                kernel(X, reduction, panel, totals, keep)
            else:
                other(rows, X, reduction, panel, totals, keep)

    return correlate


_correlate_wide = _of_any_height(NV)
_correlate_narrow = _of_any_height(1)


@jit
def correlate_tile(rows, width, X, reduction, panel, totals, keep):
    """``totals[r, j] (+)= sum over i0, i1, i2, i3 of X[r, i0 * strides[0] + … + i3 * strides[3]] * panel[p, j]``.

    r < rows, one of HEIGHTS; j < width, one vector or NV of them; p counts the products. Columns of X are contiguous,
    and so are panel and totals, `width` elements a row. With `keep`, the sums are added to those in `totals`.
    """
    if width > lane_count(totals):
        _correlate_wide(rows, X, reduction, panel, totals, keep)
    else:
        _correlate_narrow(rows, X, reduction, panel, totals, keep)


FIRST_HEIGHTS = first_heights(4 * MR, HEIGHTS)


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

# Where there are few output channels, the lanes of a vector are pixels instead: the tile is 8, 4 or 1 channels by up to
# four vectors of pixels side by side, and x is its B. A channel too many costs less than one more micro-kernel.
FEW_CHANNELS = 8


def _row_kernel(rows, vectors):
    """The micro-kernel of `rows` output channels x `vectors` vectors of pixels."""

    @jit(inline=True)
    def correlate(X, reduction, tap_offsets, panel, totals):
        counts, strides = reduction
        A, tile_totals = strided(panel, 1, lane_count(totals)), strided(totals, vectors * lane_count(totals), 1)
        acc = tile_zeros(totals, rows, vectors)
        tile_store(tile_totals, acc)
        p, chain, left = 0, 0, counts[0] * counts[1] * counts[2]
        for i0 in range(counts[0]):
            for i1 in range(counts[1]):
                for i2 in range(counts[2]):
                    start = i0 * strides[0] + i1 * strides[1] + i2 * strides[2]
                    for i3 in range(counts[3]):
                        acc = tile_outer(acc, A.column(p), X.column(start + tap_offsets[i3]))
                        p += 1
                    chain, left = chain + counts[3], left - 1
                    if chain > CHAIN - counts[3] or left == 0:
                        tile_add(tile_totals, acc)
                        acc = tile_zeros(totals, rows, vectors)
                        chain = 0

    return correlate


_row_8_2, _row_8_1 = _row_kernel(8, 2), _row_kernel(8, 1)
_row_4_4, _row_4_2, _row_4_1 = _row_kernel(4, 4), _row_kernel(4, 2), _row_kernel(4, 1)
_row_1_4, _row_1_2, _row_1_1 = _row_kernel(1, 4), _row_kernel(1, 2), _row_kernel(1, 1)


@jit(inline=True)
def row_vectors(channels, pixels, lanes):
    """Vectors of the next tile in a row of which `pixels` are left: the fewest that hold them, as far as there are
    registers."""
    limit = 2 if channels > 4 else 4
    return 1 if pixels <= lanes else 2 if pixels <= 2 * lanes or limit == 2 else 4


@jit
def correlate_row(channels, vectors, X, reduction, tap_offsets, panel, totals):
    """`correlate_tile` with pixels as columns: ``totals[r, j] = sum of X[j + i0 * strides[0] + i1 * strides[1] +
    i2 * strides[2] + tap_offsets[i3]] * panel[p, r]``, the panel being one vector wide."""
    if channels > 4:
        if vectors == 2:
            _row_8_2(X, reduction, tap_offsets, panel, totals)
        else:
            _row_8_1(X, reduction, tap_offsets, panel, totals)
    elif channels > 1:
        if vectors == 4:
            _row_4_4(X, reduction, tap_offsets, panel, totals)
        elif vectors == 2:
            _row_4_2(X, reduction, tap_offsets, panel, totals)
        else:
            _row_4_1(X, reduction, tap_offsets, panel, totals)
    elif vectors == 4:
        _row_1_4(X, reduction, tap_offsets, panel, totals)
    elif vectors == 2:
        _row_1_2(X, reduction, tap_offsets, panel, totals)
    else:
        _row_1_1(X, reduction, tap_offsets, panel, totals)


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
    for v in range(0, channels, lanes):
        for r in range(0, rows, lanes):
            tile_store(strided(square, lanes, 1), square_transpose(square_load(tile.at(r, v))))
            for j in range(min(lanes, channels - v)):
                y = load(square, j * lanes)
                if epilogue.mode == BIAS:
                    y = y + epilogue.bias[v + j]
                store_pixels(y, min(lanes, rows - r), epilogue, Y.at(v + j, r), shifted(square, j * lanes))
