r"""Sampling: an array read at given places between its elements.

A coordinate g of a grid goes from -1 to 1 along a dimension of n elements: with `align_corners` these are the middles
of the outermost elements, else their outer edges.

    place      u = (g + 1) (n - 1) / 2          or (g + 1) n / 2 - 1/2
    padding    zeros outside, or u moved to the border, or reflected there until it is inside
    y[p] = sum_t weight[p, t] x[element[p, t]],     the t the product of 1 (nearest), 2 (linear), 4 (cubic) a dimension

    dx[i] = sum of weight[p, t] dy[p] over all (p, t) with element i
    dg[p] = sum over the channels of dy[p] sum_t (d weight[p, t] / d g) x[element[p, t]]

Cubic weights are Keys' with a = -3/4 (see `interpolation`), and padding applies to each of their elements, as in
PyTorch. Elements and weights are those of all channels: tables of BLOCK results are made once, and stay in the first
cache (trilinear, float32: 8 * 128 * 12 B = 12 KiB). The gradient of x is one thread's for each plane, which adds in the
order of the results; that of the grid is one thread's for each block.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.simd import flat, shifted

ZEROS, BORDER = np.int64(0), np.int64(1)
KEYS = -0.75
BLOCK = 128  # results whose tables are made at once
LEAST_TASKS = 16  # planes are shared out in as many groups where there are fewer samples
FAR = 2.0**30  # from here on a place counts as outside; it still is an integer
NOWHERE, NO_AXES = np.int64(-1), np.int64(0)


class Rule(NamedTuple):
    """Number of elements along a dimension, number of the padding, what -1 and 1 mean, number of dimensions."""

    taps: int
    padding: int
    align_corners: bool
    dims: int


class Along(NamedTuple):
    """For each element along a dimension, and each of BLOCK results: its number or NOWHERE, its weight, and the
    derivative of that with respect to the coordinate; (4, BLOCK) each."""

    elements: np.ndarray
    weights: np.ndarray
    slopes: np.ndarray


class Table(NamedTuple):
    """The same for all dimensions: (T, BLOCK), and of the slopes one such table a dimension."""

    elements: np.ndarray
    weights: np.ndarray
    slopes: np.ndarray


# --- places along a dimension ----------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _clipped(place, slope, size):
    """Moved to the border, where the derivative is 0."""
    last = type(place)(size - 1)
    if place > 0.0 and place < last:
        return place, slope
    return (last if place >= last else type(place)(0.0)), type(place)(0.0)


@jit(inline=True, fastmath=False)
def _reflected(place, slope, size, align_corners):
    """Reflected at the middles of the outermost elements, or at their outer edges."""
    kind = type(place)
    lowest, span = kind(0.0 if align_corners else -0.5), kind(size - 1 if align_corners else size)
    if span == 0.0:
        return kind(0.0), kind(0.0)
    distance = place - lowest
    if distance < 0.0:
        distance, slope = -distance, -slope
    rounds = np.floor(distance / span)
    rest = distance - rounds * span
    if rounds % 2 != 0:
        rest, slope = span - rest, -slope
    return rest + lowest, slope


@jit(inline=True, fastmath=False)
def _padded(place, slope, size, rule):
    if rule.padding == ZEROS:
        return place, slope
    if rule.padding != BORDER:
        place, slope = _reflected(place, slope, size, rule.align_corners)
    return _clipped(place, slope, size)


@jit(inline=True, fastmath=False)
def _element(number, size, rule):
    """The number of an element of a cubic sum, which is padded by itself."""
    if rule.padding != ZEROS:
        place, _ = _padded(np.float64(number), 0.0, size, rule)
        number = np.int64(place)
    return number if (number >= 0) & (number < size) else NOWHERE


@jit(inline=True, fastmath=False)
def _keys(distance):
    """Keys' weight at a distance from -2 to 2, and its derivative."""
    kind, x = type(distance), abs(distance)
    a, two, three = kind(KEYS), kind(2.0), kind(3.0)
    if x <= 1.0:
        weight = ((a + two) * x - (a + three)) * x * x + kind(1.0)
        slope = (three * (a + two) * x - two * (a + three)) * x
    else:
        weight = ((a * x - kind(5.0) * a) * x + kind(8.0) * a) * x - kind(4.0) * a
        slope = (three * a * x - kind(10.0) * a) * x + kind(8.0) * a
    return weight, -slope if distance < 0.0 else slope


@jit(fastmath=False)
def _place_of(coordinate, size, rule):
    """Where a coordinate lies, and the derivative of that. A NaN lies far outside."""
    kind = type(coordinate)
    scale = kind((size - 1) / 2 if rule.align_corners else size / 2)
    place = (coordinate + kind(1.0)) * scale - kind(0.0 if rule.align_corners else 0.5)
    place = place if place > -FAR else kind(-FAR)
    place = place if place < FAR else kind(FAR)
    return (place, scale) if rule.taps == 4 else _padded(place, scale, size, rule)


@jit(fastmath=False)
def _locate_along(coordinates, count, size, rule, along):
    """Elements, weights and slopes of the first `count` coordinates."""
    elements, weights, slopes = along
    kind = weights.dtype.type
    for p in range(count):
        place, scale = _place_of(coordinates[p], size, rule)
        if rule.taps == 1:
            number = np.int64(np.rint(place))
            elements[0, p] = number if (number >= 0) & (number < size) else NOWHERE
            weights[0, p], slopes[0, p] = kind(1.0), kind(0.0)
            continue
        first = np.floor(place)
        part, number = place - first, np.int64(first)
        for k in range(rule.taps):
            if rule.taps == 2:
                each = number + k
                elements[k, p] = each if (each >= 0) & (each < size) else NOWHERE
                weights[k, p] = part if k else kind(1.0) - part
                slopes[k, p] = scale if k else -scale
            else:
                elements[k, p] = _element(number + k - 1, size, rule)
                weight, slope = _keys(part - kind(k - 1))
                weights[k, p], slopes[k, p] = weight, slope * scale


# --- tables of a block -----------------------------------------------------------------------------------------------


@jit
def _along(like):
    return Along(np.empty((4, BLOCK), np.int64), np.empty((4, BLOCK), like.dtype), np.empty((4, BLOCK), like.dtype))


@jit
def _table(like, rule, axes):
    T = rule.taps**rule.dims
    elements, weights = np.empty((T, BLOCK), np.int64), np.empty((T, BLOCK), like.dtype)
    return Table(elements, weights, np.empty((axes, T, BLOCK), like.dtype))


@jit
def _constant(along, count):
    """One element, of weight 1: a dimension that is not there."""
    for p in range(count):
        along.elements[0, p], along.weights[0, p], along.slopes[0, p] = 0, 1.0, 0.0


@jit
def _combine(count, size, rule, places, table):
    """The product of what lies along depth, height and width."""
    (_, H, W), (depth, height, width) = size, places
    t, slopes = 0, table.slopes
    for a in range(rule.taps if rule.dims == 3 else 1):
        d, wd, sd = depth.elements[a], depth.weights[a], depth.slopes[a]
        for b in range(rule.taps):
            h, wh, sh = height.elements[b], height.weights[b], height.slopes[b]
            for c in range(rule.taps):
                w, ww, sw = width.elements[c], width.weights[c], width.slopes[c]
                elements, weights = table.elements[t], table.weights[t]
                for p in range(count):
                    inside = (d[p] | h[p] | w[p]) >= 0
                    elements[p] = (d[p] * H + h[p]) * W + w[p] if inside else NOWHERE
                    weights[p] = wd[p] * wh[p] * ww[p]
                for axis in range(slopes.shape[0]):  # as in the grid: along width, height, depth
                    for p in range(count):
                        by_width, by_height = wd[p] * wh[p] * sw[p], wd[p] * sh[p] * ww[p]
                        by_depth = sd[p] * wh[p] * ww[p]
                        slopes[axis, t, p] = by_width if axis == 0 else by_height if axis == 1 else by_depth
                t += 1


@jit
def locate(grid, start, count, size, rule, scratch):
    """Fill the table of the results `start` to `start + count - 1`, whose coordinates are rows of `grid`."""
    places, coordinates, table = scratch
    depth, height, width = places
    D, H, W = size
    for axis in range(rule.dims):
        for p in range(count):
            coordinates[p] = grid[start + p, axis]
        if axis == 0:
            _locate_along(coordinates, count, W, rule, width)
        elif axis == 1:
            _locate_along(coordinates, count, H, rule, height)
        else:
            _locate_along(coordinates, count, D, rule, depth)
    if rule.dims == 2:
        _constant(depth, count)
    _combine(count, size, rule, places, table)


@jit
def scratch_of(like, rule, axes):
    """Memory for a block: its slopes are those of the first `axes` dimensions of the grid."""
    return (_along(like), _along(like), _along(like)), np.empty(BLOCK, like.dtype), _table(like, rule, axes)


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def grid_sample_naive(x, grid, taps, padding, align_corners, y):
    """Each result by itself; x (N, C, D, H, W), grid (N, P, dims), y (N, C, P)."""
    N, C, D, H, W = x.shape
    rule = Rule(taps, padding, align_corners, grid.shape[2])
    scratch = scratch_of(x, rule, NO_AXES)
    _, _, table = scratch
    for n in range(N):
        for p in range(grid.shape[1]):
            locate(grid[n], p, 1, (D, H, W), rule, scratch)
            for c in range(C):
                total, plane = x.dtype.type(0), x[n, c].reshape(-1)
                for t in range(taps**rule.dims):
                    if table.elements[t, 0] != NOWHERE:
                        total += table.weights[t, 0] * plane[table.elements[t, 0]]
                y[n, c, p] = total


# --- blocks of results -----------------------------------------------------------------------------------------------


@jit
def _add_taps(plane, table, count, row):
    """``row[p] = sum_t weight[p, t] * plane[element[p, t]]``"""
    for t in range(table.elements.shape[0]):
        elements, weights = table.elements[t], table.weights[t]
        for p in range(count):
            value = plane[max(elements[p], 0)]
            term = weights[p] * value if elements[p] >= 0 else 0
            row[p] = term + row[p] if t else term


@jit
def _sample_blocks(first, last, x, grid, rule, y):
    _, C, D, H, W = x.shape
    P, scratch = grid.shape[1], scratch_of(x, rule, NO_AXES)
    _, _, table = scratch
    blocks = (P + BLOCK - 1) // BLOCK
    for item in range(first, last):
        n, start = item // blocks, item % blocks * BLOCK
        count = min(BLOCK, P - start)
        locate(grid[n], start, count, (D, H, W), rule, scratch)
        for c in range(C):
            _add_taps(flat(x[n, c]), table, count, shifted(flat(y), (n * C + c) * P + start))


@jit
def sample(x, grid, rule, y, threads):
    """y (N, C, P) from x (N, C, D, H, W) at grid (N, P, dims)."""
    tasks = grid.shape[0] * ((grid.shape[1] + BLOCK - 1) // BLOCK)
    parallel_for(_sample_blocks, tasks, np.int64(1), threads, (x, grid, rule, y))


@jit
def _grid_blocks(first, last, dy, x, grid, rule, dgrid):
    _, C, D, H, W = x.shape
    P, scratch, sums = grid.shape[1], scratch_of(x, rule, rule.dims), np.empty((rule.dims, BLOCK), x.dtype)
    _, terms, table = scratch
    blocks = (P + BLOCK - 1) // BLOCK
    for item in range(first, last):
        n, start = item // blocks, item % blocks * BLOCK
        count = min(BLOCK, P - start)
        locate(grid[n], start, count, (D, H, W), rule, scratch)
        sums[:] = 0
        for c in range(C):
            plane, row = flat(x[n, c]), shifted(flat(dy), (n * C + c) * P + start)
            for t in range(table.elements.shape[0]):
                elements = table.elements[t]
                for p in range(count):
                    value = plane[max(elements[p], 0)] * row[p]
                    terms[p] = value if elements[p] >= 0 else 0
                for axis in range(rule.dims):
                    total, slopes = sums[axis], table.slopes[axis, t]
                    for p in range(count):
                        total[p] += terms[p] * slopes[p]
        for axis in range(rule.dims):
            for p in range(count):
                dgrid[n, start + p, axis] = sums[axis, p]


@jit
def grid_gradient(dy, x, grid, rule, dgrid, threads):
    """dgrid (N, P, dims), for dy (N, C, P)."""
    tasks = grid.shape[0] * ((grid.shape[1] + BLOCK - 1) // BLOCK)
    parallel_for(_grid_blocks, tasks, np.int64(1), threads, (dy, x, grid, rule, dgrid))


@jit
def _planes(first, last, dy, grid, rule, groups, dx):
    _, C, D, H, W = dx.shape
    P, scratch = grid.shape[1], scratch_of(dx, rule, NO_AXES)
    _, _, table = scratch
    width = (C + groups - 1) // groups
    for item in range(first, last):
        n, begin = item // groups, item % groups * width
        end = min(begin + width, C)
        for c in range(begin, end):
            dx[n, c] = 0
        for start in range(0, P if begin < end else 0, BLOCK):
            count = min(BLOCK, P - start)
            locate(grid[n], start, count, (D, H, W), rule, scratch)
            for c in range(begin, end):
                plane, row = flat(dx[n, c]), shifted(flat(dy), (n * C + c) * P + start)
                for t in range(table.elements.shape[0]):
                    elements, weights = table.elements[t], table.weights[t]
                    for p in range(count):
                        if elements[p] >= 0:
                            plane[elements[p]] += weights[p] * row[p]


@jit
def input_gradient(dy, grid, rule, dx, threads):
    """dx (N, C, D, H, W), for dy (N, C, P)."""
    N, C = dx.shape[:2]
    groups = max(1, min(LEAST_TASKS // N, C))
    parallel_for(_planes, N * groups, np.int64(1), threads, (dy, grid, rule, groups, dx))


@jit
def grid_sample_loops(x, grid, taps, padding, align_corners, y):
    """Adds tables for a block of results, made once for all channels."""
    sample(x, grid, Rule(taps, padding, align_corners, grid.shape[2]), y, 1)


VARIANTS = {"grid_sample": {"naive": grid_sample_naive, "blocks": grid_sample_loops}}
