r"""The tile of every convolution: a few pixels by NR channels, summed over taps that are read in place.

As a matrix product, a convolution would need the patches of x as rows of a matrix (im2col), each element of x copied
once a tap. But the micro-kernel takes the elements of A one at a time, and those of a patch stand in x already:

        x, one channel            tile of y             panel of weights, packed
    ┌──────────────────┐        NR channels             NR channels
    │  p p+1 …  rows   │       ┌───────────┐           ┌───────────┐  c, kh, kw = 0, 0, 0
    │  ┌─────┐         │  rows │ pixel p   │     +=    │           │              0, 0, 1
    │  │taps │ of p    │       │ pixel p+1 │           │           │              …
    │  └─────┘         │       └───────────┘           └───────────┘
    └──────────────────┘

Four nested loops walk over channels and taps. At each step all pixels of the tile see one tap (their elements of x lie
`ra` apart) times one row of the panel. Only the numbers of rounds and the steps differ between the convolution, its
gradient for x and its gradient for the weight, where the loops walk over images and pixels.
"""

from kernels import machine
from kernels._jit import jit
from kernels.activation.rectified import relu_lanes
from kernels.gemm.micro import ADD, BIAS, CHAIN, NV, first_heights
from kernels.simd import lane_count, load, load_partial, shifted, square_transpose, store, store_partial, tile_zeros
from kernels.simd.offsets import square_load, tile_add, tile_outer, tile_store

# Heights of a tile: the tallest fills the registers (see `gemm.micro`); the others serve rows of 7, 10, 28, 56 pixels.
HEIGHTS = (14, 10, 8, 7, 4, 2, 1) if machine.vector_registers() >= 32 else (6, 5, 4, 3, 2, 1)
MR = HEIGHTS[0]


def _micro_kernel(rows, vectors):
    """The micro-kernel of `rows` pixels x `vectors` vectors of channels."""

    @jit(inline=True)
    def correlate(x, ix, ra, rounds, steps, panel, totals, keep):
        width = vectors * lane_count(totals)
        acc = tile_zeros(totals, rows, vectors)
        if not keep:
            tile_store(totals, 0, width, acc)
        ib, chain, left = 0, 0, rounds[0] * rounds[1] * rounds[2]
        for i0 in range(rounds[0]):
            for i1 in range(rounds[1]):
                for i2 in range(rounds[2]):
                    at = ix + i0 * steps[0] + i1 * steps[1] + i2 * steps[2]
                    for i3 in range(rounds[3]):
                        acc = tile_outer(acc, x, at + i3 * steps[3], ra, panel, ib)
                        ib += width
                    chain, left = chain + rounds[3], left - 1
                    if chain > CHAIN - rounds[3] or left == 0:  # rounding errors grow along a chain of additions
                        tile_add(totals, 0, width, acc)
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
        def correlate(rows, x, ix, ra, rounds, steps, panel, totals, keep):
            kernel(x, ix, ra, rounds, steps, panel, totals, keep)

    else:

        @jit(merge=True)
        def correlate(rows, x, ix, ra, rounds, steps, panel, totals, keep):
            if rows == height:
                kernel(x, ix, ra, rounds, steps, panel, totals, keep)
            else:
                other(rows, x, ix, ra, rounds, steps, panel, totals, keep)

    return correlate


_correlate_wide = _of_any_height(NV)
_correlate_narrow = _of_any_height(1)


@jit
def correlate_tile(rows, width, x, ix, ra, rounds, steps, panel, totals, keep):
    """``totals[r, j] (+)= sum over i0, i1, i2, i3 of x[ix + r*ra + i0*steps[0] + … + i3*steps[3]] * panel[step, j]``.

    r < rows, one of HEIGHTS; j < width, one vector or NV of them; ``rounds`` are the numbers of i0 to i3, and panel and
    totals are C-contiguous, `width` elements a row. With `keep`, what is in `totals` is added to.
    """
    if width > lane_count(totals):
        _correlate_wide(rows, x, ix, ra, rounds, steps, panel, totals, keep)
    else:
        _correlate_narrow(rows, x, ix, ra, rounds, steps, panel, totals, keep)


FIRST_HEIGHTS = first_heights(4 * MR, HEIGHTS)


@jit(inline=True)
def tile_height(left):
    """Pixels of the next tile where `left` remain in the row."""
    return FIRST_HEIGHTS[min(left, 4 * MR)]


@jit(inline=True)
def totals_size(like):
    """Elements of `totals`: whole squares of vectors, so that any tile can be turned in registers."""
    lanes = lane_count(like)
    return (max(MR, FEW_CHANNELS) + lanes - 1) // lanes * lanes * NV * lanes


# Where there are few output channels, the lanes of a vector are pixels instead: the tile is 8, 4 or 1 channels by up to
# four vectors of pixels side by side, and x is its B. A channel too many costs less than one more micro-kernel.
FEW_CHANNELS = 8


def _row_kernel(rows, vectors):
    """The micro-kernel of `rows` channels x `vectors` vectors of pixels."""

    @jit(inline=True)
    def correlate(x, ix, rounds, steps, taps, panel, width, totals):
        acc, to = tile_zeros(totals, rows, vectors), vectors * lane_count(totals)
        tile_store(totals, 0, to, acc)
        ip, chain, left = 0, 0, rounds[0] * rounds[1] * rounds[2]
        for i0 in range(rounds[0]):
            for i1 in range(rounds[1]):
                for i2 in range(rounds[2]):
                    at = ix + i0 * steps[0] + i1 * steps[1] + i2 * steps[2]
                    for i3 in range(rounds[3]):
                        acc = tile_outer(acc, panel, ip, 1, x, at + taps[i3])
                        ip += width
                    chain, left = chain + rounds[3], left - 1
                    if chain > CHAIN - rounds[3] or left == 0:
                        tile_add(totals, 0, to, acc)
                        acc = tile_zeros(totals, rows, vectors)
                        chain = 0

    return correlate


_row_8_2, _row_8_1 = _row_kernel(8, 2), _row_kernel(8, 1)
_row_4_4, _row_4_2, _row_4_1 = _row_kernel(4, 4), _row_kernel(4, 2), _row_kernel(4, 1)
_row_1_4, _row_1_2, _row_1_1 = _row_kernel(1, 4), _row_kernel(1, 2), _row_kernel(1, 1)


@jit(inline=True)
def row_vectors(columns, pixels, lanes):
    """Vectors of the next tile in a row of which `pixels` are left: the fewest that hold them, as far as there are
    registers."""
    most = 2 if columns > 4 else 4
    return 1 if pixels <= lanes else 2 if pixels <= 2 * lanes or most == 2 else 4


@jit
def correlate_row(columns, vectors, x, ix, rounds, steps, taps, panel, width, totals):
    """``totals[r, j] = sum over i0, i1, i2, i3 of panel[step, r] * x[ix + j + i0*steps[0] + … + taps[i3]]``.

    r < columns, at most FEW_CHANNELS; j < vectors * lanes, all of which are read; `panel` has rows of `width` elements,
    zeros past `columns`.
    """
    if columns > 4:
        if vectors == 2:
            _row_8_2(x, ix, rounds, steps, taps, panel, width, totals)
        else:
            _row_8_1(x, ix, rounds, steps, taps, panel, width, totals)
    elif columns > 1:
        if vectors == 4:
            _row_4_4(x, ix, rounds, steps, taps, panel, width, totals)
        elif vectors == 2:
            _row_4_2(x, ix, rounds, steps, taps, panel, width, totals)
        else:
            _row_4_1(x, ix, rounds, steps, taps, panel, width, totals)
    elif vectors == 4:
        _row_1_4(x, ix, rounds, steps, taps, panel, width, totals)
    elif vectors == 2:
        _row_1_2(x, ix, rounds, steps, taps, panel, width, totals)
    else:
        _row_1_1(x, ix, rounds, steps, taps, panel, width, totals)


@jit(inline=True)
def put(y, count, mode, relu, scratch, out, to, step):
    """``out[to + i*step] (+)= y[i]`` for i < count, then `relu`; `scratch` is room for a vector."""
    if step == 1:
        if mode == ADD:
            y = y + load_partial(out, to, count, 0.0)
        if relu:
            y = relu_lanes(y)
        store_partial(out, to, count, y)
        return
    store(scratch, 0, y)
    if mode == ADD:
        for i in range(count):
            scratch[i] += out[to + i * step]
    if relu:
        store(scratch, 0, relu_lanes(load(scratch, 0)))
    for i in range(count):
        out[to + i * step] = scratch[i]


@jit
def put_row(totals, columns, vectors, pixels, bias, jb, mode, relu, scratch, out, at, channel_step, pixel_step):
    """``out[at + r*channel_step + j*pixel_step] = totals[r, j]`` for r < columns, j < pixels; modes as `put_tile`."""
    lanes = lane_count(out)
    for r in range(columns):
        for j in range(0, pixels, lanes):
            y = load(totals, r * vectors * lanes + j)
            if mode == BIAS:
                y = y + bias[jb + r]
            put(y, pixels - j, mode, relu, scratch, out, at + r * channel_step + j * pixel_step, pixel_step)


@jit
def put_tile(totals, width, rows, columns, bias, jb, mode, relu, turned, out, at, channel_step, pixel_step):
    """``out[at + j*channel_step + r*pixel_step] = totals[r, j]`` for r < rows, j < columns: turned in registers.

    `mode` is STORE, ADD (to what is there) or BIAS (plus ``bias[jb + j]``); then `relu`. `turned` is room for
    lanes x lanes elements.
    """
    lanes = lane_count(out)
    for v in range(0, columns, lanes):
        for r in range(0, rows, lanes):
            tile_store(turned, 0, lanes, square_transpose(square_load(totals, r * width + v, width)))
            for j in range(min(lanes, columns - v)):
                y, to = load(turned, j * lanes), at + (v + j) * channel_step + r * pixel_step
                if mode == BIAS:
                    y = y + bias[jb + v + j]
                put(y, min(lanes, rows - r), mode, relu, shifted(turned, j * lanes), out, to, pixel_step)
