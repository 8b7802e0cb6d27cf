"""The products of a few queries, where each key and value is read once and used once: memory is the limit.

Nothing is packed. A key's score is a dot product along its contiguous width; a vector of keys is taken at a time, so
that the sums across their lanes are taken together. The values are added up row by row.
"""

import numpy as np

from kernels._jit import jit
from kernels.gemm.micro import ADD, NV, tile_height
from kernels.gemm.offsets import micro_kernel
from kernels.simd import lane_count, square_sums, store, tile_zeros
from kernels.simd.offsets import square_load, tile_add, tile_dot, tile_outer, tile_store

ZERO, ONE, ADDED = np.int64(0), np.int64(1), np.int64(ADD)
FOUR = 4  # sums side by side hide the latency of the additions: of keys, or of vectors of a row of values


@jit
def multiply_dots(a, ia, lda, height, depth, keys, at, step, start, stop, out, ldo, partial):
    """``out[r, j] = sum over p of a[r, p] * keys[at + j*step + p]`` for start <= j < stop.

    `partial` is room for a square tile: a row of partial sums for each key of a vector.
    """
    lanes = lane_count(out)
    whole = depth - depth % lanes
    for first in range(start, stop, lanes):
        present = min(lanes, stop - first)
        for r in range(height):
            x, j = ia + r * lda, ZERO
            while j + FOUR <= present:
                acc, key = tile_zeros(out, 1, FOUR), at + (first + j) * step
                for p in range(0, whole, lanes):
                    acc = tile_dot(acc, a, x + p, ZERO, keys, key + p, step, lanes)
                if whole < depth:
                    acc = tile_dot(acc, a, x + whole, ZERO, keys, key + whole, step, depth - whole)
                tile_store(partial, j * lanes, ZERO, acc)
                j += FOUR
            while j < present:
                single, key = tile_zeros(out, 1, 1), at + (first + j) * step
                for p in range(0, depth, lanes):
                    single = tile_dot(single, a, x + p, ZERO, keys, key + p, step, depth - p)
                tile_store(partial, j * lanes, ZERO, single)
                j += 1
            store(out, r * ldo + first, square_sums(square_load(partial, ZERO, lanes)))


@jit
def add_values(p, ip, ldp, height, depth, values, at, step, width, out, ldo, totals):
    """``out[r, e] += sum over j < depth of p[r, j] * values[at + j*step + e]``."""
    strip = FOUR * lane_count(out)
    whole = width - width % strip if height == 1 else ZERO
    for e in range(0, whole, strip):
        acc = tile_zeros(out, 1, FOUR)
        for j in range(depth):
            acc = tile_outer(acc, p, ip + j, ZERO, values, at + j * step + e)
        tile_add(out, e, ZERO, acc)
    NR, r = NV * lane_count(out), ZERO
    while r < height:
        rows = tile_height(height - r)
        for e in range(whole, width, NR):
            micro_kernel(
                rows, p, ip + r * ldp, ldp, ONE, values, at + e, step, depth, out, r * ldo + e, ldo,
                min(NR, width - e), totals, ZERO, ADDED, totals,
            )  # fmt: skip
        r += rows
