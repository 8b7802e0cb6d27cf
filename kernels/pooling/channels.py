r"""Sampling with the channels as the lanes of a vector.

The tables of a block of results hold for all channels. With x rearranged so that channels are contiguous, an element of
all of them is a vector load, where one channel after the other needs a scalar load for each element:

    x (C, H W)  ── transpose ──>  panels (C / lanes, H W, lanes)
    sums[p] += weight[p, t] panel[element[p, t]]        for each result p of the block: lanes channels at once
    sums (BLOCK, lanes)  ── transpose ──>  y (C, P)

Both transposes are made in registers, and cost less than one scalar load an element.
"""

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.gemm.pack import pack_panel
from kernels.pooling import sampling
from kernels.pooling.sampling import BLOCK, NO_AXES, Rule, locate, sample, scratch_of
from kernels.simd import (
    allocate,
    flat,
    fma,
    lane_count,
    load,
    release,
    shifted,
    splat,
    square_load,
    square_transpose,
    store,
    store_partial,
    strided,
    tile_store,
)

PANELS = 2**21  # elements of the panels of images that are sampled at once: 8 or 16 MiB, which the last cache keeps
REUSE = 8  # results an element that pay for its transpose


@jit(inline=True)
def _groups(channels, lanes):
    return (channels + lanes - 1) // lanes


@jit(inline=True)
def _panel_size(elements, lanes):
    """Of a panel, with what `pack_panel` may overwrite after it."""
    return (elements + lanes) * lanes


@jit
def _pack(first, last, x, panels):
    """Panels `first` to `last` - 1: of each image one for each group of channels."""
    _, C, D, H, W = x.shape
    lanes, elements = lane_count(x), D * H * W
    groups = _groups(C, lanes)
    for item in range(first, last):
        n, c = item // groups, item % groups * lanes
        X = strided(shifted(flat(x), (n * C + c) * elements), elements, 1)
        panel = shifted(panels, item * _panel_size(elements, lanes))
        pack_panel(X, min(lanes, C - c), lanes, elements, panel)


@jit
def _sum_taps(panel, table, count, sums):
    """``sums[p, :] = sum_t weight[p, t] * panel[element[p, t], :]``"""
    lanes, elements, weights = lane_count(panel), flat(table.elements), flat(table.weights)
    taps = table.elements.shape[0]
    for p in range(count):
        total = splat(panel, 0.0)
        for at in range(p, taps * BLOCK, BLOCK):
            if elements[at] >= 0:
                total = fma(load(panel, elements[at] * lanes), weights[at], total)
        store(sums, p * lanes, total)


@jit
def _store_transposed(sums, count, channels, Y, square):
    """``Y[c, p] = sums[p, c]``; whole squares of `sums` are read."""
    lanes = lane_count(square)
    for p in range(0, count, lanes):
        results = square_transpose(square_load(sums.row(p)))
        if channels == lanes and count - p >= lanes:
            tile_store(Y.column(p), results)
            continue
        tile_store(strided(square, lanes, 1), results)
        for c in range(channels):
            store_partial(Y.at(c, p), 0, count - p, load(square, c * lanes))


@jit
def _sample_blocks(first, last, panels, size, grid, rule, y):
    D, H, W = size
    _, C, P = y.shape
    lanes, blocks, scratch = lane_count(y), (P + BLOCK - 1) // BLOCK, scratch_of(y, rule, NO_AXES)
    sums, square = allocate(y, BLOCK * lanes), allocate(y, lanes * lanes)
    _, _, table = scratch
    for item in range(first, last):
        n, start = item // blocks, item % blocks * BLOCK
        count = min(BLOCK, P - start)
        locate(grid[n], start, count, size, rule, scratch)
        for c in range(0, C, lanes):
            panel = n * _groups(C, lanes) + c // lanes
            _sum_taps(shifted(panels, panel * _panel_size(D * H * W, lanes)), table, count, sums)
            Y = strided(shifted(flat(y), (n * C + c) * P + start), P, 1)
            _store_transposed(strided(sums, lanes, 1), count, min(lanes, C - c), Y, square)
    release(sums)
    release(square)


@jit(naive=sample)
def sample_channels(x, grid, rule, y, threads):
    """`sample`, for enough channels and results (see `is_better_by_channels`)."""
    N, C, D, H, W = x.shape
    lanes, blocks = lane_count(x), (grid.shape[1] + BLOCK - 1) // BLOCK
    size = _groups(C, lanes) * _panel_size(D * H * W, lanes)
    images = max(1, min(N, PANELS // size))
    panels = allocate(x, images * size)
    for first in range(0, N, images):
        last = min(first + images, N)
        number = last - first
        parallel_for(_pack, number * _groups(C, lanes), 1, threads, (x[first:last], panels))
        arguments = panels, (D, H, W), grid[first:last], rule, y[first:last]
        parallel_for(_sample_blocks, number * blocks, 1, threads, arguments)
    release(panels)


def is_better_by_channels(x, results, lanes):
    """Whether channels fill half a vector, and there are enough results for the transpose of x (N, C, ...)."""
    N, C = x.shape[:2]
    return 2 * C >= lanes and REUSE * results * N * C >= x.size


@jit
def grid_sample_channels(x, grid, taps, padding, align_corners, y):
    """Adds channels as lanes: an element of all of them is a vector load."""
    sample_channels(x, grid, Rule(taps, padding, align_corners, grid.shape[2]), y, 1)


VARIANTS = {"grid_sample": sampling.VARIANTS["grid_sample"] | {"channels": grid_sample_channels}}
