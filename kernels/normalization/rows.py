r"""Normalised rows: layer norm (of a sum, too), RMS norm, and group norm whose channels are shorter than a vector.

Each row of n elements has a mean (0 for RMS norm) and a deviation of its own, and each of its elements a weight and a
bias of its own; of several `groups`, row r takes those from ``r % groups * n`` on. A row is in L1 when it is scaled.

Backward, the gradients of weight and bias are sums down the rows, while x is contiguous along them: a task of rows adds
to sums of its own, 64 rows in the array's dtype before they enter its float64 totals, and the totals of the tasks are
added up at the end. Tasks depend on the shape only, and so do all sums.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.normalization.affine import TASK, streamable
from kernels.normalization.moments import BLOCK_VECTORS, least_square, moments
from kernels.reduction.ranges import over_range, read, sum_of, write
from kernels.simd import allocate, flat, fma, release, shifted, splat, sum_lanes
from kernels.simd.stream import streaming_done
from kernels.simd.vector import lane_count
from kernels.simd.wide import load_wide, splat_wide, sum_registers, wide_count

BLOCK_ROWS = 64  # rows added up in the array's dtype
MOST_TASKS = 32  # of a backward, each with totals of its own
LEAST_ROWS = 4  # of a task: what its totals take is then less than x


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _product(x, z, p):
    return x * z


_squares = sum_of(_product)


@jit(fastmath=False)
def _sum_of_squares(x, start, n, eps):
    total = _squares(x, x, 0.0, start, start + n)
    if not (total >= n * least_square(eps) and total < np.inf):  # perhaps only in the dtype of the squares
        total = 0.0
        for i in range(start, start + n):
            total += np.float64(x[i]) * np.float64(x[i])
    return total


@streamable
def _scale_row(put):
    """``y = ((x - center) * scale + shift) * weight + bias``; weight and bias begin `behind` elements before y does."""

    @jit(inline=True, fastmath=False)
    def body(i, count, y, x, center, scale, shift, weight, bias, behind):
        normal = fma(read(x, i, count, 0.0) - center, scale, shift)
        put(y, i, count, fma(normal, read(weight, i - behind, count, 0.0), read(bias, i - behind, count, 0.0)))

    return body


@over_range
@jit(inline=True, fastmath=False)
def _add(i, count, total, x, residual):
    write(total, i, count, read(x, i, count, 0.0) + read(residual, i, count, 0.0))


@jit(fastmath=False)
def _forward_rows(first, last, n, centered, x, residual, total, weight, bias, eps, mean, rstd, past, y):
    source, target, weights, biases = flat(x), flat(y), flat(weight), flat(bias)
    share, width = 1.0 / np.float64(n), weight.size
    one_row = allocate(x, n if residual.size > total.size else 0)
    offset = first * n % width
    for row in range(first, last):
        start = row * n
        if residual.size:
            source = flat(total) if total.size else shifted(one_row, -start)
            _add(x, start, start + n, source, flat(x), flat(residual))
        if centered:
            average, square = moments(source, start, 1, n, n, eps)
            center = x.dtype.type(average)
            mean[row] = center
        else:
            average, square = 0.0, _sum_of_squares(source, start, n, eps)
            center = x.dtype.type(0.0)
        deviation = 1.0 / np.sqrt(square * share + eps)
        rstd[row] = deviation
        shift, behind = (center - average) * deviation, start - offset
        _scale_row(target, start, start + n, past, source, center, deviation, shift, weights, biases, behind)
        offset = offset + n if offset + n < width else 0
    release(one_row)
    if past:
        streaming_done()


@jit(fastmath=False)
def forward_rows(n, centered, x, residual, total, weight, bias, eps, mean, rstd, past, y, threads):
    """``y = (x - mean) * rstd * weight + bias`` for rows of n elements; mean and rstd get one element a row.

    Not `centered`, the mean is 0 and nothing is written there. With a `residual` (else of size 0), x + residual stands
    for x; it is written to `total`, unless that is of size 0.
    """
    arguments = n, centered, x, residual, total, weight, bias, eps, mean, rstd, past, y
    parallel_for(_forward_rows, rstd.size, max(1, TASK // n), threads, arguments)


# --- backward --------------------------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _block_sums(dy, x, weight, center, deviation, behind, start, stop):
    """Sums of g = dy * weight and of g * normal, where normal = (x - center) * deviation: of a size with g, whatever
    the size of x."""
    lanes, step = lane_count(x), wide_count(x)
    whole = start + (stop - start) // step * step
    sums, products = splat_wide(x, 0.0), splat_wide(x, 0.0)
    rest, rest_products = splat(x, 0.0), splat(x, 0.0)
    for i in range(start, whole, step):
        g, normal = load_wide(dy, i) * load_wide(weight, i - behind), (load_wide(x, i) - center) * deviation
        sums, products = sums + g, fma(g, normal, products)
    for i in range(whole, stop, lanes):
        g = read(dy, i, stop - i, 0.0) * read(weight, i - behind, stop - i, 0.0)
        normal = (read(x, i, stop - i, center) - center) * deviation
        rest, rest_products = rest + g, fma(g, normal, rest_products)
    return sum_lanes(sum_registers(sums) + rest), sum_lanes(sum_registers(products) + rest_products)


@jit(fastmath=False)
def _row_sums(dy, x, weight, center, deviation, behind, start, stop):
    total, product, block = 0.0, 0.0, BLOCK_VECTORS * wide_count(x)
    for i in range(start, stop, block):
        more, more_product = _block_sums(dy, x, weight, center, deviation, behind, i, min(i + block, stop))
        total += more
        product += more_product
    if not np.isfinite(total + product):  # perhaps only in the dtype of the sums
        total = product = 0.0
        for i in range(start, stop):
            g = np.float64(dy[i]) * np.float64(weight[i - behind])
            total += g
            product += g * ((np.float64(x[i]) - center) * deviation)
    return total, product


@streamable
def _slope_row(put):
    """dx of a row, plus `other` if `joined`, while its terms are added to the gradients of weight and bias."""

    @jit(inline=True, fastmath=False)
    def body(i, count, dx, dy, x, joined, other, center, scale, slant, shift, weight, dweight, dbias, behind):
        gradient, normal, k = read(dy, i, count, 0.0), (read(x, i, count, 0.0) - center) * scale, i - behind
        slope = fma(gradient * read(weight, k, count, 0.0), scale, fma(normal, slant, shift))
        if joined:
            slope = slope + read(other, i, count, 0.0)
        put(dx, i, count, slope)
        write(dweight, k, count, fma(gradient, normal, read(dweight, k, count, 0.0)))
        write(dbias, k, count, gradient + read(dbias, k, count, 0.0))

    return body


@jit(fastmath=False)
def _backward_rows(first, last, n, centered, dy, x, other, weight, mean, rstd, past, dx, products, sums):
    """Rows first <= row < last; `products` and `sums` get their gradients of weight and bias."""
    gradient, source, target, weights = flat(dy), flat(x), flat(dx), flat(weight)
    width = weight.size
    dweight, dbias = allocate(x, width), allocate(x, width)
    for k in range(width):
        dweight[k] = dbias[k] = 0.0
        products[k] = sums[k] = 0.0
    share, offset = 1.0 / np.float64(n), first * n % width
    for row in range(first, last):
        start, deviation = row * n, np.float64(rstd[row])
        center, behind = mean[row] if centered else x.dtype.type(0.0), start - offset
        total, product = _row_sums(gradient, source, weights, center, deviation, behind, start, start + n)
        slant, shift = -deviation * product * share, -deviation * total * share if centered else 0.0
        arguments = (
            gradient,
            source,
            other.size > 0,
            flat(other),
            center,
            deviation,
            slant,
            shift,
            weights,
            dweight,
            dbias,
            behind,
        )
        _slope_row(target, start, start + n, past, *arguments)
        offset = offset + n if offset + n < width else 0
        if (row - first) % BLOCK_ROWS == BLOCK_ROWS - 1 or row == last - 1:
            for k in range(width):
                products[k] += dweight[k]
                sums[k] += dbias[k]
                dweight[k] = dbias[k] = 0.0
    release(dweight)
    release(dbias)
    if past:
        streaming_done()


@jit(fastmath=False)
def _backward_tasks(
    first_task, last_task, grain, n, centered, dy, x, other, weight, mean, rstd, past, dx, products, sums
):  # fmt: skip
    for task in range(first_task, last_task):
        first = task * grain
        last = min(first + grain, rstd.size)
        _backward_rows(
            first, last, n, centered, dy, x, other, weight, mean, rstd, past, dx, products[task], sums[task]
        )  # fmt: skip


@jit(fastmath=False)
def backward_rows(n, centered, dy, x, other, weight, mean, rstd, past, dx, dweight, dbias, threads):
    """Gradients of `forward_rows`; `other`, unless of size 0, is added to dx."""
    rows = rstd.size
    grain = max(LEAST_ROWS, TASK // n, (rows + MOST_TASKS - 1) // MOST_TASKS)
    tasks = (rows + grain - 1) // grain
    products, sums = np.empty((tasks, weight.size)), np.empty((tasks, weight.size))
    arguments = grain, n, centered, dy, x, other, weight, mean, rstd, past, dx, products, sums
    parallel_for(_backward_tasks, tasks, 1, threads, arguments)
    for task in range(1, tasks):
        for k in range(weight.size):
            products[0, k] += products[task, k]
            sums[0, k] += sums[task, k]
    for k in range(weight.size):
        dweight[k], dbias[k] = products[0, k], sums[0, k]
