"""The products of a few queries, where each key and value is read once and used once: memory is the limit.

Nothing is packed. A key's score is a dot product along its contiguous width, a vector of keys at a time, so that the
sums across the lanes are taken together; the values are added up row by row. While the scores of a block are computed
its values are fetched, and while those are added up the next block's keys are, so that memory never rests.
"""

import numpy as np

from kernels._jit import jit
from kernels.gemm.micro import ADD, NV, micro_kernel, tile_height
from kernels.simd import (
    fma,
    lane_count,
    load,
    load_partial,
    splat,
    square_load,
    square_sums,
    store,
    tile_add,
    tile_outer,
    tile_zeros,
)

ZERO, ONE, ADDED = np.int64(0), np.int64(1), np.int64(ADD)
FOUR = 4  # vectors of a row of values that are added up side by side, to hide the latency of the additions


@jit
def multiply_dots(a, ia, lda, height, depth, keys, at, step, start, stop, out, ldo, partial):
    """``out[r, j] = sum over p of a[r, p] * keys[at + j*step + p]`` for start <= j < stop; fetches as many values."""
    lanes = lane_count(out)
    whole = depth - depth % lanes
    for first in range(start, stop, lanes):
        present = min(lanes, stop - first)
        for r in range(height):
            for j in range(present):
                key = at + (first + j) * step
                total = splat(out, 0.0)
                for p in range(0, whole, lanes):
                    total = fma(load(keys, key + p), load(a, ia + r * lda + p), total)
                if whole < depth:
                    rest = depth - whole
                    here = load_partial(keys, key + whole, rest, 0.0)
                    total = fma(here, load_partial(a, ia + r * lda + whole, rest, 0.0), total)
                store(partial, j * lanes, total)
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
