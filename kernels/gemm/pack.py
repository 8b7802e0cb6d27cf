r"""Packing: copies of blocks of A and B in exactly the order in which the micro-kernel reads them.

A block of A becomes panels of `height` rows, one of B panels of NR columns, each stored step of K by step of K:

        A, rows contiguous        its panel
        a00 a01 a02 …             a00 a10 a20 … | a01 a11 a21 … | a02 …
        a10 a11 a12 …      →      column 0 of     column 1
        a20 a21 a22 …             the panel's rows
"""

from kernels import machine
from kernels._jit import jit
from kernels.gemm.micro import MR, NV, tile_height
from kernels.simd import (
    lane_count,
    load,
    load_partial,
    prefetch,
    shifted,
    square_load,
    square_load_partial,
    square_transpose,
    store,
    store_partial,
    strided,
    tile_store,
    tile_store_partial,
)

# Prefetch distances while packing, in steps of K: hardware prefetchers stop at page boundaries.
PREFETCH_DISTANCE = 16
PREFETCH_DISTANCE_ABREAST = 4
# Lines a multiple of 4 KiB apart share one set of L1.
SAME_SET_VECTORS = 4096 // machine.vector_bytes()
# Panels that are packed side by side where the matrix is contiguous across them. A row's few hundred bytes for them are
# read in one go: one panel's are less than two cache lines, and rows whole pages apart would push each other out of L1
# before the next panel takes its part of the same lines.
ABREAST = 8


@jit(inline=True)
def in_same_set(stride, like):
    """Whether elements `stride` apart share one set of L1, which holds fewer lines than a tile has rows."""
    return stride % (SAME_SET_VECTORS * lane_count(like)) == 0


@jit(inline=True)
def panel_padding(like):
    """Elements that a buffer of panels must have after its last one."""
    return lane_count(like) * max(NV * lane_count(like), MR)


@jit(inline=True)
def padded(columns, like):
    """Row stride for rows of `columns` elements: one vector more. With powers of two, rows share few sets of L1."""
    lanes = lane_count(like)
    return (columns + lanes - 1) // lanes * lanes + lanes


@jit
def pack_panel(X, present, width, K, panel):
    """``panel[p * width + r] = X[r, p]`` for r < present, 0 for present <= r < width, p < K.

    X is A for a panel of rows, and Bᵀ for one of columns. Up to lanes - 1 rows of `width` elements after the panel
    may be overwritten: panels are packed front to back, with `panel_padding` elements after the last.
    """
    lanes, packed, steps = lane_count(panel), strided(panel, width, 1), X.T  # steps: one row for each p
    if X.row_stride == 1 and present == width and width % lanes == 0:  # contiguous along r
        for p in range(K):
            prefetch(steps.row(p + PREFETCH_DISTANCE), 0)
            for r in range(0, width, lanes):
                store(packed.row(p), r, load(steps.row(p), r))
    elif X.row_stride == 1:
        for p in range(K):
            prefetch(steps.row(p + PREFETCH_DISTANCE), 0)
            for r in range(0, width, lanes):
                store(packed.row(p), r, load_partial(steps.row(p), r, present - r, 0.0))
    elif X.column_stride == 1:  # contiguous along p: transpose lanes x lanes blocks in registers
        for r in range(0, width, lanes):
            for p in range(0, K, lanes):
                if present - r >= lanes and K - p >= lanes:
                    block = square_transpose(square_load(X.at(r, p)))
                else:
                    block = square_transpose(square_load_partial(X.at(r, p), present - r, K - p))
                if width - r >= lanes:
                    tile_store(packed.at(p, r), block)
                else:
                    tile_store_partial(packed.at(p, r), width - r, block)
    else:
        for p in range(K):
            for r in range(width):
                packed[p, r] = X[r, p] if r < present else 0.0


@jit
def _pack_side_by_side(X, count, width, K, panels):
    """`pack_panel` for `count` whole panels of `width` rows that are contiguous across the rows."""
    lanes, steps = lane_count(panels), X.T
    for p in range(K):
        row, ahead = steps.row(p), steps.row(p + PREFETCH_DISTANCE_ABREAST)
        for r in range(0, count * width, lanes):
            prefetch(ahead, r)
        for n in range(count):
            packed = strided(shifted(panels, (n * K + p) * width), 0, 1)
            if width % lanes == 0:
                for r in range(0, width, lanes):
                    store(packed, r, load(row, n * width + r))
            else:
                for r in range(0, width, lanes):
                    store_partial(packed, r, width - r, load_partial(row, n * width + r, width - r, 0.0))


@jit
def pack_a(A, rows, K, panels):
    """Pack `rows` rows of A panel by panel, each of the height that the micro-kernel will take it in."""
    i = 0
    while i < rows:
        height, count = tile_height(rows - i), 1
        if A.row_stride == 1:
            while count < ABREAST and tile_height(rows - i - count * height) == height:
                count += 1
            _pack_side_by_side(A.row(i), count, height, K, shifted(panels, i * K))
        else:
            pack_panel(A.row(i), height, height, K, shifted(panels, i * K))
        i += count * height


@jit
def pack_b(B, columns, K, panels):
    """Pack K rows of `columns` columns of B in panels of NR columns each, the last one padded with zeros."""
    NR = NV * lane_count(B)
    j = 0
    while j < columns:
        count = min(ABREAST, (columns - j) // NR) if B.column_stride == 1 else 0
        if count > 0:
            _pack_side_by_side(B.column(j).T, count, NR, K, shifted(panels, j * K))
        else:
            pack_panel(B.column(j).T, min(NR, columns - j), NR, K, shifted(panels, j * K))
        j += max(count, 1) * NR
