r"""Groups of planes: batch norm of images, group and instance norm.

The L contiguous elements of one channel of one sample are a plane: of an image, its height times its width. The planes
that share a mean and a variance are a group. With x viewed as (N, C, L), samples between bars, one character a plane:

    batch norm, group c             |c  .  .|c  .  .|c  .  .|     N planes, C L elements apart
    group norm, group (n, g)        |g  g  .|.  .  .|.  .  .|     C / G planes, L elements apart

So a group is a matrix, a view with a plane as its row. It is read once for its moments and once more to be scaled, last
plane first: the end of a group larger than L2 is still in the cache. A thread takes whole groups, so batch norm uses at
most as many threads as it has channels.
"""

from typing import NamedTuple

import numpy as np
from numba import boolean, float64, int64, none
from numba.types import Tuple, UniTuple

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.normalization.moments import BLOCK_VECTORS, moments
from kernels.normalization.operands import (
    Affine,
    BackwardOptions,
    Gradients,
    Options,
    ParameterSums,
    Saved,
    TrackedStatistics,
)
from kernels.normalization.scaling import (
    NO_MINIMUM,
    TASK,
    Coefficients,
    GradientCoefficients,
    coefficients_of,
    scale_row,
    stored,
    update,
)
from kernels.reduction.ranges import read
from kernels.simd import flat, fma, lane_count, select, shifted, splat, strided, sum_lanes
from kernels.simd.stream import streaming_done
from kernels.simd.wide import load_wide, splat_wide, sum_registers, wide_count

ZERO = np.float64(0.0)  # a plain value: Numba compiles a callee again for each literal argument


class Layout(NamedTuple):
    """Where the groups of an array (N, C, L) lie, see the picture above.

    Group g begins at element ``g * width * length``, and its planes are `stride` elements apart. Its plane p is one of
    channel ``g * width % C + p * step``: `width` is the number of channels of a group, `step` 1 where it has several.
    """

    groups: int
    planes: int
    stride: int
    length: int
    width: int
    step: int


class Upstream(NamedTuple):
    """The gradient with respect to the result; of the fused ReLU also the result y. `relu` is True, or None without a
    ReLU (y is then not read), which the compiler knows."""

    dy: object
    y: object
    relu: object


class _StatisticsInMemory(NamedTuple):
    """`TrackedStatistics` with mean and rstd as memory, and whether there are running ones."""

    mean: object
    rstd: object
    running_mean: np.ndarray
    running_var: np.ndarray
    tracked: bool


def batch_layout(N, C, L):
    """`Layout` of batch norm, as a plain tuple: a group is a channel."""
    return C, N, C * L, L, 1, 0


def group_layout(N, C, L, groups):
    """`Layout` of group norm, as a plain tuple: a group is some channels of a sample."""
    return N * groups, C // groups, L, L, C // groups, 1


@jit(inline=True)
def _grain(layout):
    """Groups of a task."""
    return max(1, TASK // (layout.planes * layout.length))


@jit(inline=True)
def _group_of(memory, layout, group):
    """The matrix of a group: a plane a row."""
    return strided(shifted(memory, group * layout.width * layout.length), layout.stride, 1)


@jit(inline=True)
def _first_channel(layout, group, channels):
    """The channel of a group's plane 0; that of plane p is ``p * layout.step`` higher. (One division a group: it takes
    nearly as long as a short plane.)"""
    return group * layout.width % channels


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _in_memory(statistics):
    mean, rstd, running_mean, running_var = statistics
    return _StatisticsInMemory(flat(mean), flat(rstd), running_mean, running_var, running_mean.size > 0)


@jit(inline=True, fastmath=False)
def _save_statistics(statistics, group, mean, square, n, options):
    """Store the mean and rstd of a group of n elements, and update its running statistics, if there are any.

    `statistics` is what `_in_memory` returns, `square` the sum of squared deviations. Returns rstd in float64.
    """
    rstd = 1.0 / np.sqrt(square / n + options.eps)
    statistics.mean[group], statistics.rstd[group] = mean, rstd
    if statistics.tracked:
        update(statistics.running_mean, statistics.running_var, group, mean, square, n, options.momentum)
    return rstd


@jit(fastmath=False)
def _forward_groups(first, last, layout, x, affine, statistics, options, y):
    source, target, saved = flat(x), flat(y), _in_memory(statistics)
    weight, bias, channels = flat(affine.weight), flat(affine.bias), affine.weight.size
    n = np.float64(layout.planes * layout.length)
    for group in range(first, last):
        X, Y = _group_of(source, layout, group), _group_of(target, layout, group)
        mean, square = moments(X, layout.planes, layout.length, options.eps)
        rstd = _save_statistics(saved, group, mean, square, n, options)
        first_channel = _first_channel(layout, group, channels)
        for plane in range(layout.planes - 1, -1, -1):
            channel = first_channel + plane * layout.step
            coefficients = coefficients_of(mean, rstd, weight[channel], bias[channel], source)
            scale_row(Y.row(plane), layout.length, options.streaming, X.row(plane), coefficients, options.minimum)
    if options.streaming:
        streaming_done()


@jit(fastmath=False)
def _forward_loops(layout, x, affine, statistics, options, y, threads):
    """``y = max((x - mean) * rstd * weight + bias, minimum)`` by the statistics of each group.

    The plain tuples are a `Layout`, `Affine` (by channel), `TrackedStatistics` (by group) and `Options`; x and y are
    flat.
    """
    layout = Layout(*layout)
    arguments = layout, x, Affine(*affine), TrackedStatistics(*statistics), Options(*options), y
    parallel_for(_forward_groups, layout.groups, _grain(layout), threads, arguments)


def _forward_types(kind):
    x, layout, options = kind[::1], UniTuple(int64, 6), Tuple((float64, float64, float64, boolean))
    return layout, x, UniTuple(x, 2), UniTuple(x, 4), options, x, int64


forward_planes = Compiled(_forward_loops, _forward_types)


# --- backward: sums for dweight and dbias, then dx -------------------------------------------------------------------


@jit(inline=True)
def _read_gradient(upstream, i, count):
    """Gradient with respect to the result before the ReLU: dy, and with a ReLU 0 where y <= 0."""
    if upstream.relu is None:
        return read(upstream.dy, i, count, 0.0)
    return select(read(upstream.y, i, count, 0.0) <= 0.0, 0.0, read(upstream.dy, i, count, 0.0))


@jit(inline=True, fastmath=False)
def _block_sums(upstream, x, mean, rstd, first, last):
    """Sums of ``dy * normal`` and dy over ``first <= i < last``, where normal = (x - mean) * rstd."""
    lanes, step = lane_count(x), wide_count(x)
    whole = first + (last - first) // step * step
    sums, products = splat_wide(x, 0.0), splat_wide(x, 0.0)
    rest, rest_products = splat(x, 0.0), splat(x, 0.0)
    for i in range(first, whole, step):
        dy = _read_gradient(upstream, i, None)
        sums, products = sums + dy, fma(dy, (load_wide(x, i) - mean) * rstd, products)
    for i in range(whole, last, lanes):
        dy = _read_gradient(upstream, i, last - i)
        rest = rest + dy
        rest_products = fma(dy, (read(x, i, last - i, mean) - mean) * rstd, rest_products)
    return sum_lanes(sum_registers(products) + rest_products), sum_lanes(sum_registers(sums) + rest)


@jit(fastmath=False)
def _plane_sums(upstream, x, n, mean, rstd):
    """The `ParameterSums` of a plane. ``(x - mean) * rstd`` is of the size of 1, so both are of the size of dy."""
    dweight, dbias, block = 0.0, 0.0, BLOCK_VECTORS * wide_count(x)
    for i in range(0, n, block):
        products, sums = _block_sums(upstream, x, mean, rstd, i, min(i + block, n))
        dweight += products
        dbias += sums
    if not np.isfinite(dbias + dweight):  # perhaps only in the dtype of the sums
        dweight = dbias = 0.0
        for i in range(n):
            if upstream.relu is None or not upstream.y[i] <= 0.0:
                dy = np.float64(upstream.dy[i])
                dbias += dy
                dweight += dy * ((np.float64(x[i]) - mean) * rstd)
    return ParameterSums(dweight, dbias)


@jit(inline=True, fastmath=False)
def _dx(i, count, upstream, x, coefficients):
    mean, rstd, scale, normal_scale, shift = coefficients
    normal = (read(x, i, count, 0.0) - mean) * rstd
    return fma(_read_gradient(upstream, i, count), scale, fma(normal, normal_scale, shift))


_store_dx = stored(_dx)


@jit(inline=True)
def _plane_of(upstream, layout, group, plane):
    """`Upstream` of a plane, from that of all memory."""
    DY, Y = _group_of(upstream.dy, layout, group), _group_of(upstream.y, layout, group)
    return Upstream(DY.row(plane), Y.row(plane), upstream.relu)


@jit(fastmath=False)
def _backward_groups(first, last, layout, upstream, x, saved, options, gradients):
    """dx of some groups; dweight and dbias of `gradients` get the sums of each plane."""
    planes, length, streaming = layout.planes, layout.length, options.streaming
    source, target, dweight, dbias = flat(x), flat(gradients.dx), flat(gradients.dweight), flat(gradients.dbias)
    weight, means, rstds, channels = flat(saved.weight), flat(saved.mean), flat(saved.rstd), saved.weight.size
    incoming = Upstream(flat(upstream.dy), flat(upstream.y), upstream.relu)
    n = np.float64(planes * length)
    for group in range(first, last):
        X, DX = _group_of(source, layout, group), _group_of(target, layout, group)
        mean, rstd = means[group], np.float64(rstds[group])
        total, product = 0.0, 0.0  # of weight * dy and weight * dy * normal, over the group
        w = shifted(weight, _first_channel(layout, group, channels))  # that of plane p is number p * step
        for plane in range(planes):
            k, factor = group * planes + plane, np.float64(w[plane * layout.step])
            dy = _plane_of(incoming, layout, group, plane)
            dweight[k], dbias[k] = _plane_sums(dy, X.row(plane), length, mean, rstd)
            total += factor * dbias[k]
            product += factor * dweight[k]
        shift, normal_scale = -rstd * total / n, -rstd * product / n
        for plane in range(planes - 1, -1, -1):
            scale = rstd * w[plane * layout.step]
            dy = _plane_of(incoming, layout, group, plane)
            if options.training:
                coefficients = GradientCoefficients(mean, rstd, scale, normal_scale, shift)
                _store_dx(DX.row(plane), length, streaming, dy, X.row(plane), coefficients)
            else:  # mean and rstd are constants
                scale_row(DX.row(plane), length, streaming, dy.dy, Coefficients(ZERO, scale, ZERO), NO_MINIMUM)
    if streaming:
        streaming_done()


@jit
def _add_planes(layout, sums, gradients):
    """dweight and dbias from the sums of the planes. (In a parallel function, np.zeros would be a parallel region of
    its own, even for one thread.)
    """
    _, dweight, dbias = gradients
    products, totals = sums
    channels = dweight.size
    wide_dweight, wide_dbias = np.zeros(channels), np.zeros(channels)
    for group in range(layout.groups):
        first_channel = _first_channel(layout, group, channels)
        for plane in range(layout.planes):
            channel = first_channel + plane * layout.step
            wide_dweight[channel] += products[group * layout.planes + plane]
            wide_dbias[channel] += totals[group * layout.planes + plane]
    for channel in range(channels):
        dweight[channel], dbias[channel] = wide_dweight[channel], wide_dbias[channel]


@jit(fastmath=False)
def _backward_loops(layout, upstream, x, saved, options, gradients, threads):
    """Gradients of `forward_planes`.

    The plain tuples are a `Layout`, `Upstream`, `Saved`, `BackwardOptions` and `Gradients`. The sums of each plane are
    stored; those of a channel are added up at the end, in the order of the planes.
    """
    layout, gradients = Layout(*layout), Gradients(*gradients)
    planes = layout.groups * layout.planes
    sums = ParameterSums(np.empty(planes), np.empty(planes))
    by_plane = Gradients(gradients.dx, sums.dweight, sums.dbias)
    arguments = layout, Upstream(*upstream), x, Saved(*saved), BackwardOptions(*options), by_plane
    parallel_for(_backward_groups, layout.groups, _grain(layout), threads, arguments)
    _add_planes(layout, sums, gradients)


def _backward_types(kind, relu=none):
    x, layout, options = kind[::1], UniTuple(int64, 6), UniTuple(boolean, 2)
    return layout, Tuple((x, x, relu)), x, UniTuple(x, 3), options, UniTuple(x, 3), int64


backward_planes = Compiled(_backward_loops, _backward_types)
backward_planes_relu = Compiled(_backward_loops, lambda kind: _backward_types(kind, boolean))
