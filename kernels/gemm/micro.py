r"""The micro-kernel of every matrix product, and the packing that feeds it.

The micro-kernel computes one tile of C, `rows` x NR elements held in registers, over a whole block of K:

               K                                NR = NV vectors
        ┌─────────────┐                       ┌──────┐
   rows │ A, by rows  │ ·  K steps of         │  B   │ K     =  rows x NR of C: one fused multiply-add
        └─────────────┘    tile_outer         │      │          a register and step, nothing else
                                              └──────┘

A and B are addressed by strides, so it serves packed panels, plain and transposed matrices alike; only the elements of
a row of B must lie side by side. Heights other than the tallest, MR, exist for the bottom edge of C; for its right edge
there is a narrow micro-kernel, one vector wide, whose loads and stores are masked.
"""

import numpy as np

from kernels import machine
from kernels._jit import jit
from kernels.simd import (
    lane_count,
    load,
    load_partial,
    prefetch,
    square_load,
    square_load_partial,
    square_transpose,
    store,
    tile_add,
    tile_add_partial,
    tile_outer,
    tile_outer_partial,
    tile_plus,
    tile_rows,
    tile_store,
    tile_store_partial,
    tile_zeros,
)

# MR * NV accumulators + NV vectors of B + 1 broadcast element of A must fit the vector registers.
NV = 2
HEIGHTS = (14, 13, 8, 4, 2, 1) if machine.vector_registers() >= 32 else (6, 5, 4, 3, 2, 1)
MR = HEIGHTS[0]

STORE, ADD, BIAS = 0, 1, 2  # what becomes of the tile: C = tile, C += tile, C = tile + bias
# Rounding errors grow along a chain of additions, so at most CHAIN products are summed in one; the sums of the chains
# are added up in `totals`, memory for one tile.
CHAIN = 192
# Rows that lie in pages of their own are asked for this many rows before they are packed: the CPU foresees no page.
AHEAD = 16


@jit(inline=True)
def chain_length(K):
    """Length of the chains that K products are cut into, about equally."""
    if K <= CHAIN:  # short products would feel the divisions
        return K
    chains = (K + CHAIN - 1) // CHAIN
    return (K + chains - 1) // chains


def _micro_kernel(rows, vectors):
    """The micro-kernel of `rows` x `vectors` vectors of C, of which `columns` columns are stored.

    The wide one, of NV vectors, reads all of a row of B; the narrow one, of a single vector, just `columns` elements.
    """

    @jit(inline=True)
    def update(acc, a, ia, ra, b, ib, columns):
        if vectors == NV:
            for v in range(NV):  # the next strip: rows of an unpacked B lie too far apart for the CPU to foresee it
                prefetch(b, ib + (NV + v) * lane_count(b))
            return tile_outer(acc, a, ia, ra, b, ib)
        return tile_outer_partial(acc, a, ia, ra, b, ib, columns)

    @jit(inline=True)
    def multiply(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals):
        width = vectors * lane_count(c)
        acc = tile_zeros(c, rows, vectors)
        if mode == BIAS:
            acc = tile_rows(bias, jb, columns, rows, vectors)
        first, chain = 0, chain_length(K)
        while first + chain < K:
            for p in range(first, first + chain):
                acc = update(acc, a, ia + p * ca, ra, b, ib + p * rb, columns)
            if first > 0:
                tile_add(totals, 0, width, acc)
            else:
                tile_store(totals, 0, width, acc)
            acc = tile_zeros(c, rows, vectors)
            first += chain
        for p in range(first, K):
            acc = update(acc, a, ia + p * ca, ra, b, ib + p * rb, columns)
        if first > 0:
            acc = tile_plus(acc, totals, 0, width)
        if columns >= width:
            if mode == ADD:
                tile_add(c, ic, ldc, acc)
            else:
                tile_store(c, ic, ldc, acc)
        elif mode == ADD:
            tile_add_partial(c, ic, ldc, columns, acc)
        else:
            tile_store_partial(c, ic, ldc, columns, acc)

    return multiply


def _of_any_height(micro_kernels):
    """One function that calls the micro-kernel of the height it is asked for."""
    height_0, height_1, height_2, height_3, height_4, height_5 = micro_kernels

    @jit(inline=True)
    def multiply(rows, a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals):
        if rows == HEIGHTS[0]:
            height_0(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)
        elif rows == HEIGHTS[1]:
            height_1(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)
        elif rows == HEIGHTS[2]:
            height_2(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)
        elif rows == HEIGHTS[3]:
            height_3(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)
        elif rows == HEIGHTS[4]:
            height_4(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)
        else:
            height_5(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)

    return multiply


_multiply_wide = _of_any_height([_micro_kernel(rows, NV) for rows in HEIGHTS])
_multiply_narrow = _of_any_height([_micro_kernel(rows, 1) for rows in HEIGHTS])


@jit
def micro_kernel(rows, a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals):
    """One tile of C: ``C[r, j] (+)= sum over p < K of a[ia + r*ra + p*ca] * b[ib + p*rb + j]``, r < rows, j < columns.

    `rows` is one of HEIGHTS. Where `columns` is more than one vector, all NR elements of a row of B are read; of C only
    the first `columns` of a row are touched. `mode` is STORE, ADD or BIAS (C starts from ``bias[jb + j]``). `totals` is
    needed where K is more than CHAIN.
    """
    if columns > lane_count(c):
        _multiply_wide(rows, a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)
    else:
        _multiply_narrow(rows, a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals)


def first_heights(most: int, heights: tuple) -> np.ndarray:
    """For each number of rows up to `most`, the height of the first tile when all tiles together take least time.

    A step of a tile takes as long as its rows, but not less than four: a fused multiply-add is that many times slower
    than the next one can start. Its start and end are reckoned as one row more.
    """
    least, first = [0], [0]
    for rows in range(1, most + 1):
        time, height = min((least[rows - h] + max(h, 4) + 1, -h) for h in heights if h <= rows)
        least.append(time)
        first.append(-height)
    return np.array(first)


FIRST_HEIGHTS = first_heights(8 * MR, HEIGHTS)


@jit(inline=True)
def tile_height(left):
    """Rows of the next tile where `left` rows of C remain."""
    return FIRST_HEIGHTS[min(left, 8 * MR)]


@jit(inline=True)
def padding(x):
    """Elements that a buffer of panels must have behind its last one."""
    return lane_count(x) * max(NV * lane_count(x), MR)


@jit(inline=True)
def padded(columns, like):
    """A row of `columns` elements and one vector more: rows a power of two apart would fall on few sets of L1."""
    lanes = lane_count(like)
    return (columns + lanes - 1) // lanes * lanes + lanes


@jit
def pack_panel(x, ix, across, along, present, width, depth, panel, start):
    """Copy a strip of a matrix so that the micro-kernel reads it front to back.

    ``panel[start + p*width + r] = x[ix + r*across + p*along]`` for r < present, 0 for present <= r < width, p < depth:
    for A a strip of rows (across = row stride, width = the tile's height), for B a strip of columns (width = NR).

        A, rows contiguous        panel
        a00 a01 a02 …             a00 a10 a20 … | a01 a11 a21 … | a02 …
        a10 a11 a12 …      →      column 0 of    column 1
        a20 a21 a22 …             the strip

    Up to lanes - 1 rows of `width` elements behind the panel may be overwritten: panels are packed front to back, with
    `padding` elements' room behind the last.
    """
    lanes = lane_count(x)
    if across == 1 and present == width and width % lanes == 0:  # the elements of one p lie side by side
        for p in range(depth):
            prefetch(x, ix + (p + AHEAD) * along)
            for r in range(0, width, lanes):
                store(panel, start + p * width + r, load(x, ix + p * along + r))
    elif across == 1:
        for p in range(depth):
            prefetch(x, ix + (p + AHEAD) * along)
            for r in range(0, width, lanes):
                store(panel, start + p * width + r, load_partial(x, ix + p * along + r, present - r, 0.0))
    elif along == 1:  # contiguous along p: transpose lanes x lanes blocks in registers
        for r in range(0, width, lanes):
            for p in range(0, depth, lanes):
                at, to = ix + r * across + p, start + p * width + r
                if present - r >= lanes and depth - p >= lanes:
                    block = square_transpose(square_load(x, at, across))
                else:
                    block = square_transpose(square_load_partial(x, at, across, present - r, depth - p))
                if width - r >= lanes:
                    tile_store(panel, to, width, block)
                else:
                    tile_store_partial(panel, to, width, width - r, block)
    else:
        for p in range(depth):
            for r in range(width):
                panel[start + p * width + r] = x[ix + r * across + p * along] if r < present else 0.0


@jit
def pack_strips(b, ib, rb, cb, columns, depth, strips):
    """Pack a `depth` x `columns` block of B strip by strip, NR columns each, the last one padded with zeros."""
    NR = NV * lane_count(b)
    for j in range(0, columns, NR):
        pack_panel(b, ib + j * cb, cb, rb, min(NR, columns - j), NR, depth, strips, j * depth)


@jit
def pack_rows(a, ia, ra, ca, rows, depth, panels):
    """Pack `rows` rows of A tile by tile, each in the height in which the micro-kernel will take it."""
    i = 0
    while i < rows:
        height = tile_height(rows - i)
        pack_panel(a, ia + i * ra, ra, ca, height, height, depth, panels, i * depth)
        i += height
