r"""The micro-kernel of every matrix product, and the packing that feeds it.

The micro-kernel computes one tile of C, `rows` x NR elements held in registers, over a whole block of K:

               K                                NR = NV vectors
        ┌─────────────┐                       ┌──────┐
   rows │ A, by rows  │ ·  K steps of         │  B   │ K     =  rows x NR of C: one fused multiply-add
        └─────────────┘    tile_outer         │      │          a register and step, nothing else
                                              └──────┘

A and B are addressed by strides, so it serves packed panels, plain matrices and transposed ones alike; only the NR
elements of a row of B must lie side by side. Heights other than the tallest, MR, exist for the bottom edge of C.
"""

from kernels import machine
from kernels._jit import jit
from kernels.simd import (
    lane_count,
    load,
    load_partial,
    square_load,
    square_load_partial,
    square_transpose,
    store,
    store_partial,
    tile_add,
    tile_add_partial,
    tile_outer,
    tile_rows,
    tile_store,
    tile_store_partial,
    tile_zeros,
)

# MR * NV accumulators + NV vectors of B + 1 broadcast element of A must fit the vector registers.
NV = 2
MR, LESS_1, LESS_2, HALF, FEW, ONE = (14, 13, 12, 8, 4, 1) if machine.vector_registers() >= 32 else (6, 5, 4, 3, 2, 1)

STORE, ADD, BIAS = 0, 1, 2  # what becomes of the tile: C = tile, C += tile, C = tile + bias


def _micro_kernel(rows):
    """The micro-kernel for tiles of `rows` rows."""

    @jit(inline=True)
    def multiply(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode):
        acc = tile_zeros(c, rows, NV)
        if mode == BIAS:
            acc = tile_rows(bias, jb, columns, rows, NV)
        for p in range(K):
            acc = tile_outer(acc, a, ia + p * ca, ra, b, ib + p * rb)
        if columns >= NV * lane_count(c):
            if mode == ADD:
                tile_add(c, ic, ldc, acc)
            else:
                tile_store(c, ic, ldc, acc)
        elif mode == ADD:
            tile_add_partial(c, ic, ldc, columns, acc)
        else:
            tile_store_partial(c, ic, ldc, columns, acc)

    return multiply


_mr, _less_1, _less_2, _half, _few, _one = (_micro_kernel(rows) for rows in (MR, LESS_1, LESS_2, HALF, FEW, ONE))


@jit(inline=True)
def micro_kernel(rows, a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode):
    """One tile of C: ``C[r, j] (+)= sum over p < K of a[ia + r*ra + p*ca] * b[ib + p*rb + j]``, r < rows, j < columns.

    `rows` is one of the heights that `tile_height` gives. All NR elements of a row of B are read, also where
    ``columns < NR``; of C only the first `columns` of a row are touched. `mode` is STORE, ADD or BIAS (C starts from
    ``bias[jb + j]``).
    """
    if rows == MR:
        _mr(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode)
    elif rows == LESS_1:
        _less_1(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode)
    elif rows == LESS_2:
        _less_2(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode)
    elif rows == HALF:
        _half(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode)
    elif rows == FEW:
        _few(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode)
    else:
        _one(a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode)


@jit(inline=True)
def _is_height(rows):
    return rows in (0, MR, LESS_1, LESS_2, HALF, FEW, ONE)


@jit
def tile_height(left):
    """Rows of the next tile where `left` rows of C remain.

    Many rows are shared out evenly (64 = 4 * 13 + 12, no thin rest); the last two tiles are chosen so that the rest is
    itself a height.
    """
    if left > 2 * MR:
        tiles = (left + MR - 1) // MR
        even = (left + tiles - 1) // tiles
        return even if even >= LESS_2 else MR
    largest = 0
    for height in (MR, LESS_1, LESS_2, HALF, FEW, ONE):
        if height <= left:
            if _is_height(left - height):
                return height
            largest = max(largest, height)
    return largest


@jit(inline=True)
def padding(x):
    """Elements that a buffer of panels must have behind its last one."""
    return lane_count(x) * max(NV * lane_count(x), MR)


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
            for r in range(0, width, lanes):
                store(panel, start + p * width + r, load(x, ix + p * along + r))
    elif across == 1:
        for p in range(depth):
            for r in range(0, width, lanes):
                vector = load_partial(x, ix + p * along + r, present - r, 0.0)
                store_partial(panel, start + p * width + r, width - r, vector)
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
def pack_strips(first, last, b, ib, rb, cb, columns, depth, strips):
    """Pack strips `first` .. `last` - 1 of a `depth` x `columns` block of B, NR columns each, the last one padded with
    zeros, into `strips` from its beginning."""
    NR = NV * lane_count(b)
    for strip in range(first, last):
        j = strip * NR
        pack_panel(b, ib + j * cb, cb, rb, min(NR, columns - j), NR, depth, strips, (strip - first) * NR * depth)


@jit
def pack_rows(a, ia, ra, ca, rows, depth, panels):
    """Pack `rows` rows of A tile by tile, each in the height in which the micro-kernel will take it."""
    i = 0
    while i < rows:
        height = tile_height(rows - i)
        pack_panel(a, ia + i * ra, ra, ca, height, height, depth, panels, i * depth)
        i += height
