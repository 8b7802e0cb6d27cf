r"""Normalised rows: layer norm (of a sum, too), RMS norm, and group norm whose channels are shorter than a vector.

Each row of n elements has a mean (0 for RMS norm) and an rstd of its own, and each of its elements a weight and a bias
of its own. Of several groups, whose weights lie side by side, row r takes those of group ``r % groups``. A row is in L1
when it is scaled.

Backward, the gradients of weight and bias are sums down the rows, while x is contiguous along them: a task of rows adds
to sums of its own, 64 rows in the array's dtype before they enter its float64 totals, and the totals of the tasks are
added up at the end. Tasks depend on the shape only, and so do all sums.
"""

from typing import NamedTuple

import numpy as np
from numba import boolean, float64, int64
from numba.types import Tuple, UniTuple

from kernels._jit import Compiled, jit
from kernels._parallel import FIRST, parallel_for
from kernels.normalization.moments import BLOCK_VECTORS, min_square, moments
from kernels.normalization.operands import Affine, Gradients, ParameterSums, Saved, Statistics
from kernels.normalization.scaling import TASK, Coefficients, GradientCoefficients, stored
from kernels.reduction.ranges import over_range, read, sum_of, write
from kernels.simd import allocate, flat, fma, lane_count, release, shifted, splat, strided, sum_lanes
from kernels.simd.stream import streaming_done
from kernels.simd.wide import load_wide, splat_wide, sum_registers, wide_count

BLOCK_ROWS = 64  # rows added up in the array's dtype
MAX_TASKS = 32  # of a backward, each with totals of its own
MIN_ROWS = 4  # of a task of a backward: its totals then take less memory than its part of x


class Residual(NamedTuple):
    """What is added to x before it is normalised, and where the sum goes; size 0 where there is none."""

    addend: np.ndarray
    total: np.ndarray


class RowOptions(NamedTuple):
    """Rows of n elements; `centered`: minus their mean (layer norm, not RMS norm); `streaming`: y is stored around the
    caches."""

    n: int
    centered: bool
    eps: float
    streaming: bool


class BackwardInputs(NamedTuple):
    """The gradient with respect to the result, the forward's input, and what is to be added to dx (or size 0)."""

    dy: np.ndarray
    x: np.ndarray
    addend: np.ndarray


class BackwardRowOptions(NamedTuple):
    """As `RowOptions`, of the backward."""

    n: int
    centered: bool
    streaming: bool


class Addend(NamedTuple):
    """A row to be added, if it is `present`."""

    present: bool
    row: object


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _product(x, z, p):
    return x * z


_squares = sum_of(_product)


@jit(fastmath=False)
def _sum_of_squares(x, n, eps):
    total = _squares(x, x, 0.0, FIRST, n)
    if not (total >= n * min_square(eps) and total < np.inf):  # perhaps only in the dtype of the squares
        total = 0.0
        for i in range(n):
            total += np.float64(x[i]) * np.float64(x[i])
    return total


@jit(inline=True, fastmath=False)
def _normalized(i, count, x, coefficients, weight, bias):
    """``((x - center) * scale + shift) * weight + bias``"""
    center, scale, shift = coefficients
    normal = fma(read(x, i, count, 0.0) - center, scale, shift)
    return fma(normal, read(weight, i, count, 0.0), read(bias, i, count, 0.0))


@jit(inline=True, fastmath=False)
def _write_sum(i, count, total, x, addend):
    write(total, i, count, read(x, i, count, 0.0) + read(addend, i, count, 0.0))


_store_normalized, _add = stored(_normalized), over_range(_write_sum)


@jit(fastmath=False)
def _forward_rows(first, last, x, residual, affine, statistics, options, y):
    n, centered, eps, streaming = options
    addend, total = residual
    weight, bias, width = flat(affine.weight), flat(affine.bias), affine.weight.size
    means, rstds, adds = flat(statistics.mean), flat(statistics.rstd), addend.size > 0
    X, R, Y = strided(flat(x), n, 1), strided(flat(addend), n, 1), strided(flat(y), n, 1)
    one_row = allocate(x, n if addend.size > total.size else 0)
    S = strided(flat(total), n, 1) if total.size else strided(one_row, 0, 1)  # every row in the same place
    inverse_n = 1.0 / np.float64(n)
    offset = first * n % width  # of the row's weights
    for row in range(first, last):
        source = X.row(row)
        if adds:
            _add(x, FIRST, n, S.row(row), source, R.row(row))
            source = S.row(row)
        if centered:
            mean, square = moments(source, 1, n, eps)  # a literal: compiled for one row
            center = x.dtype.type(mean)
            means[row] = center
        else:
            mean, square = 0.0, _sum_of_squares(source, n, eps)
            center = x.dtype.type(0.0)
        rstd = 1.0 / np.sqrt(square * inverse_n + eps)
        rstds[row] = rstd
        coefficients = Coefficients(center, rstd, (center - mean) * rstd)
        arguments = source, coefficients, shifted(weight, offset), shifted(bias, offset)
        _store_normalized(Y.row(row), n, streaming, *arguments)
        offset = offset + n if offset + n < width else 0
    release(one_row)
    if streaming:
        streaming_done()


@jit(fastmath=False)
def _forward_loops(x, residual, affine, statistics, options, y, threads):
    """``y = (x - mean) * rstd * weight + bias`` for rows of n elements; mean and rstd get one element a row.

    The plain tuples are `Residual`, `Affine`, `Statistics` and `RowOptions`, all arrays flat. If not `centered`, the
    mean is 0 and none is stored. With a residual, x + residual stands for x.
    """
    options, statistics = RowOptions(*options), Statistics(*statistics)
    arguments = x, Residual(*residual), Affine(*affine), statistics, options, y
    parallel_for(_forward_rows, statistics.rstd.size, max(1, TASK // options.n), threads, arguments)


def _forward_types(kind):
    x, options = kind[::1], Tuple((int64, boolean, float64, boolean))
    return x, UniTuple(x, 2), UniTuple(x, 2), UniTuple(x, 2), options, x, int64


forward_rows = Compiled(_forward_loops, _forward_types)


# --- backward --------------------------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _block_sums(dy, x, weight, mean, rstd, first, last):
    """Sums of g = dy * weight and of g * normal over ``first <= i < last``, where normal = (x - mean) * rstd is of the
    size of 1: both are of the size of g."""
    lanes, step = lane_count(x), wide_count(x)
    whole = first + (last - first) // step * step
    sums, products = splat_wide(x, 0.0), splat_wide(x, 0.0)
    rest, rest_products = splat(x, 0.0), splat(x, 0.0)
    for i in range(first, whole, step):
        g, normal = load_wide(dy, i) * load_wide(weight, i), (load_wide(x, i) - mean) * rstd
        sums, products = sums + g, fma(g, normal, products)
    for i in range(whole, last, lanes):
        g = read(dy, i, last - i, 0.0) * read(weight, i, last - i, 0.0)
        normal = (read(x, i, last - i, mean) - mean) * rstd
        rest, rest_products = rest + g, fma(g, normal, rest_products)
    return sum_lanes(sum_registers(sums) + rest), sum_lanes(sum_registers(products) + rest_products)


@jit(fastmath=False)
def _row_sums(dy, x, weight, n, mean, rstd):
    """Sums of g and of g * normal over a row."""
    total, product, block = 0.0, 0.0, BLOCK_VECTORS * wide_count(x)
    for i in range(0, n, block):
        more, more_product = _block_sums(dy, x, weight, mean, rstd, i, min(i + block, n))
        total += more
        product += more_product
    if not np.isfinite(total + product):  # perhaps only in the dtype of the sums
        total = product = 0.0
        for i in range(n):
            g = np.float64(dy[i]) * np.float64(weight[i])
            total += g
            product += g * ((np.float64(x[i]) - mean) * rstd)
    return total, product


@jit(inline=True, fastmath=False)
def _dx(i, count, dy, x, weight, coefficients, sums, addend):
    """dx of a row, plus the addend, while the row's terms are added to the sums for dweight and dbias."""
    mean, rstd, scale, normal_scale, shift = coefficients
    gradient, normal = read(dy, i, count, 0.0), (read(x, i, count, 0.0) - mean) * rstd
    dx = fma(gradient * read(weight, i, count, 0.0), scale, fma(normal, normal_scale, shift))
    if addend.present:
        dx = dx + read(addend.row, i, count, 0.0)
    write(sums.dweight, i, count, fma(gradient, normal, read(sums.dweight, i, count, 0.0)))
    write(sums.dbias, i, count, gradient + read(sums.dbias, i, count, 0.0))
    return dx


_store_dx = stored(_dx)


@jit(fastmath=False)
def _backward_rows(first, last, inputs, saved, options, gradients):
    """dx of the rows from `first` to `last` - 1; dweight and dbias are what they add to these."""
    n, centered, streaming = options
    width, weight, means, rstds = saved.weight.size, flat(saved.weight), flat(saved.mean), flat(saved.rstd)
    zero, adds, block = inputs.x.dtype.type(0.0), inputs.addend.size > 0, _zeros(inputs.x, width)
    DY, X, A = strided(flat(inputs.dy), n, 1), strided(flat(inputs.x), n, 1), strided(flat(inputs.addend), n, 1)
    DX, dweight, dbias = strided(flat(gradients.dx), n, 1), gradients.dweight, gradients.dbias
    for k in range(width):
        dweight[k] = dbias[k] = 0.0
    inverse_n = 1.0 / np.float64(n)
    offset = first * n % width  # of the row's weights
    for row in range(first, last):
        dy, x, w, rstd = DY.row(row), X.row(row), shifted(weight, offset), np.float64(rstds[row])
        mean = means[row] if centered else zero
        total, product = _row_sums(dy, x, w, n, mean, rstd)
        normal_scale, shift = -rstd * product * inverse_n, -rstd * total * inverse_n if centered else 0.0
        coefficients = GradientCoefficients(mean, rstd, rstd, normal_scale, shift)
        sums = ParameterSums(shifted(block.dweight, offset), shifted(block.dbias, offset))
        _store_dx(DX.row(row), n, streaming, dy, x, w, coefficients, sums, Addend(adds, A.row(row)))
        offset = offset + n if offset + n < width else 0
        if (row - first) % BLOCK_ROWS == BLOCK_ROWS - 1 or row == last - 1:
            for k in range(width):
                dweight[k] += block.dweight[k]
                dbias[k] += block.dbias[k]
                block.dweight[k] = block.dbias[k] = 0.0
    release(block.dweight)
    release(block.dbias)
    if streaming:
        streaming_done()


@jit(inline=True)
def _zeros(like, width):
    """`ParameterSums` in the dtype of `like`, to be released."""
    sums = ParameterSums(allocate(like, width), allocate(like, width))
    for k in range(width):
        sums.dweight[k] = sums.dbias[k] = 0.0
    return sums


@jit(fastmath=False)
def _backward_tasks(first_task, last_task, grain, inputs, saved, options, gradients):
    """Tasks of `grain` rows, of which each has a row of dweight and dbias for its totals."""
    dx, dweight, dbias = gradients
    for task in range(first_task, last_task):
        first = task * grain
        of_task = Gradients(dx, dweight[task], dbias[task])
        _backward_rows(first, min(first + grain, saved.rstd.size), inputs, saved, options, of_task)


@jit(fastmath=False)
def _backward_loops(dy, x, addend, saved, options, gradients, threads):
    """Gradients of `forward_rows`; `addend`, unless of size 0, is added to dx.

    The plain tuples are `Saved`, `BackwardRowOptions` and `Gradients`, all arrays flat.
    """
    saved, options = Saved(*saved), BackwardRowOptions(*options)
    dx, dweight, dbias = gradients
    rows, width = saved.rstd.size, saved.weight.size
    grain = max(MIN_ROWS, TASK // options.n, (rows + MAX_TASKS - 1) // MAX_TASKS)
    tasks = (rows + grain - 1) // grain
    products, sums = np.empty((tasks, width)), np.empty((tasks, width))
    arguments = grain, BackwardInputs(dy, x, addend), saved, options, Gradients(dx, products, sums)
    parallel_for(_backward_tasks, tasks, 1, threads, arguments)
    for task in range(1, tasks):
        for k in range(width):
            products[0, k] += products[task, k]
            sums[0, k] += sums[task, k]
    for k in range(width):
        dweight[k], dbias[k] = products[0, k], sums[0, k]


def _backward_types(kind):
    x, options = kind[::1], Tuple((int64, boolean, boolean))
    return x, x, x, UniTuple(x, 3), options, UniTuple(x, 3), int64


backward_rows = Compiled(_backward_loops, _backward_types)
