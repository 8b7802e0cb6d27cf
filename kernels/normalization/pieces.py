r"""Groups of contiguous pieces: batch norm of images, group and instance norm.

Seen as (N, C, L), an array's units of one mean and one deviation are made of pieces of L contiguous elements:

    batch norm: unit c            |c  .  .|c  .  .|c  .  .|     N pieces, C L apart
    group norm: unit (n, g)       |g  g  .|.  .  .|.  .  .|     C / G pieces side by side

`layout` is (units, pieces, stride, length, per, step): piece p of unit u begins at ``u * per * length + p * stride``
and belongs to channel ``(u * per + p * step) % C``. A unit is `per` channels wide; `step` is 1 where it has several.

A unit is read once for its moments and once more to be scaled, last piece first: a unit larger than L2 still has its
end there. Units are shared out among the threads, so batch norm needs as many channels as threads, at least.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.normalization.affine import NOTHING, TASK, folded, scale_range, streamable, update
from kernels.normalization.moments import BLOCK_VECTORS, moments
from kernels.reduction.ranges import read
from kernels.simd import flat, fma, select, splat, sum_lanes
from kernels.simd.stream import streaming_done
from kernels.simd.vector import lane_count
from kernels.simd.wide import load_wide, splat_wide, sum_registers, wide_count

ZERO = np.float64(0.0)  # a plain value: Numba compiles a callee anew for each literal argument


def batch_layout(N, C, L):
    """Units of batch norm: the channels."""
    return C, N, C * L, L, 1, 0


def group_layout(N, C, L, groups):
    """Units of group norm: the groups of channels of each sample."""
    return N * groups, C // groups, L, L, C // groups, 1


@jit(inline=True)
def _units_of_task(layout):
    return max(1, TASK // (layout[1] * layout[3]))


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(fastmath=False)
def _forward_units(first, last, layout, x, weight, bias, eps, mean, rstd, running, momentum, least, past, y):
    _, pieces, stride, length, per, step = layout
    source, target = flat(x), flat(y)
    n = np.float64(pieces * length)
    for unit in range(first, last):
        at = unit * per * length
        average, square = moments(source, at, pieces, stride, length, eps)
        deviation = 1.0 / np.sqrt(square / n + eps)
        mean[unit], rstd[unit] = average, deviation
        if running[0].size:
            update(running[0], running[1], unit, average, square, n, momentum)
        for piece in range(pieces - 1, -1, -1):
            channel = (unit * per + piece * step) % weight.size
            center, scale, shift = folded(average, deviation, weight[channel], bias[channel], x)
            start = at + piece * stride
            scale_range(target, start, start + length, past, source, center, scale, shift, least)
    if past:
        streaming_done()


@jit(fastmath=False)
def forward_pieces(layout, x, weight, bias, eps, mean, rstd, running, momentum, least, past, y, threads):
    """``y = max((x - mean) * rstd * weight + bias, least)`` by the moments of each unit, which go to mean and rstd.

    `running` is the pair of running statistics, one element a unit, or none.
    """
    arguments = layout, x, weight, bias, eps, mean, rstd, running, momentum, least, past, y
    parallel_for(_forward_units, layout[0], _units_of_task(layout), threads, arguments)


# --- backward --------------------------------------------------------------------------------------------------------


@jit
def _add_pieces(layout, products, sums, dweight, dbias):
    """Gradients of weight and bias from the sums of the pieces. (In a parallel function, np.zeros would be a parallel
    region of its own, even for one thread.)
    """
    wide_dweight, wide_dbias = np.zeros(dweight.size), np.zeros(dweight.size)
    units, pieces, _, _, per, step = layout
    for unit in range(units):
        for piece in range(pieces):
            channel = (unit * per + piece * step) % dweight.size
            wide_dweight[channel] += products[unit * pieces + piece]
            wide_dbias[channel] += sums[unit * pieces + piece]
    for channel in range(dweight.size):
        dweight[channel], dbias[channel] = wide_dweight[channel], wide_dbias[channel]


def backward_of(masked):
    """Jitted loops of the gradients; `masked`: those of the fused ReLU, where dy counts only where y > 0."""

    @jit(inline=True)
    def slope(dy, y, i, count):
        if masked:
            return select(read(y, i, count, 0.0) <= 0.0, 0.0, read(dy, i, count, 0.0))
        return read(dy, i, count, 0.0)

    @jit(inline=True, fastmath=False)
    def block_sums(dy, x, y, center, deviation, start, stop):
        lanes, step = lane_count(x), wide_count(x)
        whole = start + (stop - start) // step * step
        sums, products = splat_wide(x, 0.0), splat_wide(x, 0.0)
        rest, rest_products = splat(x, 0.0), splat(x, 0.0)
        for i in range(start, whole, step):
            dz = slope(dy, y, i, None)
            sums, products = sums + dz, fma(dz, (load_wide(x, i) - center) * deviation, products)
        for i in range(whole, stop, lanes):
            dz = slope(dy, y, i, stop - i)
            rest = rest + dz
            rest_products = fma(dz, (read(x, i, stop - i, center) - center) * deviation, rest_products)
        return sum_lanes(sum_registers(sums) + rest), sum_lanes(sum_registers(products) + rest_products)

    @jit(fastmath=False)
    def piece_sums(dy, x, y, center, deviation, start, stop):
        """Sums of dy and of dy (x - center) deviation: both of a size with dy, whatever the size of x."""
        total, product, block = 0.0, 0.0, BLOCK_VECTORS * wide_count(x)
        for i in range(start, stop, block):
            more, more_product = block_sums(dy, x, y, center, deviation, i, min(i + block, stop))
            total += more
            product += more_product
        if not np.isfinite(total + product):  # perhaps only in the dtype of the sums
            total = product = 0.0
            for i in range(start, stop):
                if not masked or y[i] > 0.0 or y[i] != y[i]:
                    total += np.float64(dy[i])
                    product += np.float64(dy[i]) * ((np.float64(x[i]) - center) * deviation)
        return total, product

    @streamable
    def slopes(put):
        @jit(inline=True, fastmath=False)
        def body(i, count, dx, dy, x, y, center, deviation, scale, slant, shift):
            normal = (read(x, i, count, 0.0) - center) * deviation
            put(dx, i, count, fma(slope(dy, y, i, count), scale, fma(normal, slant, shift)))

        return body

    @jit(fastmath=False)
    def units(first, last, layout, dy, x, y, weight, mean, rstd, training, past, sums, products, dx):
        _, pieces, stride, length, per, step = layout
        gradient, source, mask, target = flat(dy), flat(x), flat(y), flat(dx)
        n = np.float64(pieces * length)
        for unit in range(first, last):
            at, center, deviation = unit * per * length, mean[unit], np.float64(rstd[unit])
            total, product = 0.0, 0.0
            for piece in range(pieces):
                w, i = np.float64(weight[(unit * per + piece * step) % weight.size]), at + piece * stride
                k = unit * pieces + piece
                sums[k], products[k] = piece_sums(gradient, source, mask, center, deviation, i, i + length)
                total += w * sums[k]
                product += w * products[k]
            shift, slant = -deviation * total / n, -deviation * product / n
            for piece in range(pieces - 1, -1, -1):
                scale, i = deviation * weight[(unit * per + piece * step) % weight.size], at + piece * stride
                if training:
                    arguments = gradient, source, mask, center, deviation, scale, slant, shift
                    slopes(target, i, i + length, past, *arguments)
                else:  # mean and deviation are constants
                    scale_range(target, i, i + length, past, gradient, ZERO, scale, ZERO, NOTHING)
        if past:
            streaming_done()

    @jit(fastmath=False)
    def backward_pieces(layout, dy, x, y, weight, mean, rstd, training, past, dx, dweight, dbias, threads):
        """Gradients of `forward_pieces`, with the mean and deviation of each unit.

        The sums of each piece are kept; those of a channel are added up at the end, in the order of the pieces.
        """
        count, pieces = layout[0], layout[1]
        sums, products = np.empty(count * pieces), np.empty(count * pieces)
        arguments = layout, dy, x, y, weight, mean, rstd, training, past, sums, products, dx
        parallel_for(units, count, _units_of_task(layout), threads, arguments)
        _add_pieces(layout, products, sums, dweight, dbias)

    return backward_pieces


backward_pieces, backward_pieces_relu = backward_of(False), backward_of(True)
