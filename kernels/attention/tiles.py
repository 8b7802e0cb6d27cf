"""What the forward and the backward do with a tile of query rows and a block of keys.

A tile has at most MR rows, a block of keys KEYS of them. Matrices in a thread's memory are views whose rows are padded
to whole panels of NR columns, as the micro-kernel reads them.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels.attention.scores import Range, visible_keys
from kernels.gemm.micro import ADD, CHAIN, NV, STORE, Epilogue, micro_kernel, tile_height
from kernels.reduction.ranges import read, write
from kernels.simd import flat, fma, lane_count, shifted, splat, strided, sum_lanes

# Numba compiles a callee again for each literal argument; this is a plain value to it.
ZERO = np.int64(0)
# Keys of a block: one chain of additions of the second product. Its keys and values, 2 * 4 * 192 * 64 B, fit L2 beside
# the rows.
KEYS = CHAIN


class Group(NamedTuple):
    """Query heads that share a key head, stacked: row r is query r % L of head `head` + r // L. Sequence n has `heads`
    query heads."""

    n: int
    head: int
    heads: int
    L: int


class Tile(NamedTuple):
    """Query rows `first_row` to `first_row` + `height` - 1 of a group."""

    first_row: int
    height: int


class Visible(NamedTuple):
    """For each row of a tile, the first visible key of a block and the one after the last: memory for MR numbers."""

    starts: object
    stops: object


@jit(inline=True)
def panel_columns(columns, like):
    """`columns` rounded up to whole panels."""
    NR = NV * lane_count(like)
    return (columns + NR - 1) // NR * NR


@jit(inline=True)
def row_number(group, row):
    """Number of a group's row among the rows of all scores."""
    return (group.n * group.heads + group.head) * group.L + row


@jit
def visible_to_tile(tile, L, block, low, high, visible):
    """Fill `visible` for the rows of a tile; returns the range of keys that are visible to any of them."""
    starts, stops = visible
    start, stop = block.count, ZERO
    i = tile.first_row % L
    for r in range(tile.height):
        starts[r], stops[r] = visible_keys(i, block, low, high)
        if stops[r] > starts[r]:
            start, stop = min(start, starts[r]), max(stop, stops[r])
        i = i + 1 if i + 1 < L else ZERO
    return Range(start, stop)


@jit
def visible_to_rows(first_row, rows, L, block, low, high):
    """The range of keys of a block that are visible to any of `rows` rows of a group."""
    start, stop = block.count, ZERO
    i = first_row % L
    for _ in range(rows):
        first, last = visible_keys(i, block, low, high)
        if last > first:
            start, stop = min(start, first), max(stop, last)
        i = i + 1 if i + 1 < L else ZERO
    return Range(start, stop)


@jit
def copy_rows(X, rows, columns, factor, OUT, width):
    """``OUT[r, j] = factor * X[r, j]`` for r < rows, 0 for columns <= j < width; returns whether all of X is finite
    (0 x is 0 for finite x only)."""
    lanes = lane_count(X)
    residue = splat(X, 0.0)
    for r in range(rows):
        x, out = X.row(r), OUT.row(r)
        of_row = splat(X, 0.0)
        for j in range(0, width, lanes):
            value = read(x, j, columns - j, 0.0) * factor
            of_row = fma(value, 0.0, of_row)
            write(out, j, width - j, value)
        residue = residue + of_row
    return sum_lanes(residue) == 0


@jit(inline=True)
def clear(memory, count):
    """Set the first `count` elements to 0."""
    for j in range(count):
        memory[j] = 0


@jit(merge=True)
def multiply_panels(A, height, K, panels, columns, OUT, totals):
    """``OUT[r, j] = sum over p < K of A[r, p] * B[p, j]``, B packed, for all panels that hold some of `columns`."""
    lanes, NR, epilogue = lane_count(OUT), NV * lane_count(OUT), Epilogue(STORE, OUT)
    for j in range(columns.start // NR * NR, columns.stop, NR):
        panel, width = strided(shifted(panels, j * K), NR, 1), NR if columns.stop - j > lanes else lanes
        micro_kernel(height, A, panel, K, OUT.column(j), width, epilogue, totals)


@jit
def add_product(finite, A, B, shape, OUT, totals):
    """``OUT[r, j] += sum over p < K of A[r, p] * B[p, j]`` for r < M, j < N, where `shape` is (M, N, K).

    Rows of B are padded to whole panels. Where B is not `finite`, products with a weight of exactly 0 are left out:
    what is not visible must not spread as 0 * inf.
    """
    rows, width, K = shape
    if not finite:
        for r in range(rows):
            out = flat(OUT.row(r))
            for p in range(K):
                weight, row = A[r, p], flat(B.row(p))
                if weight != 0:
                    for j in range(width):
                        out[j] += weight * row[j]
        return
    NR, epilogue, r = NV * lane_count(OUT), Epilogue(ADD, OUT), ZERO
    while r < rows:
        height = tile_height(rows - r)
        for j in range(0, width, NR):
            micro_kernel(height, A.row(r), B.column(j), K, OUT.at(r, j), min(NR, width - j), epilogue, totals)
        r += height
