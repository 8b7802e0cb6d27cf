r"""Batch norm where vectors run over the channels: (N, C), and (N, C, L) with an L shorter than a vector.

x is viewed as N rows of C L columns, of which neighbours are contiguous. A task is some rows: it finds the moments of
all columns in these. The moments of the tasks, and of the L columns of a channel, are merged in a fixed order; then the
rows are scaled, with coefficients for each column.
"""

from typing import NamedTuple

import numpy as np
from numba import boolean, float64, int64
from numba.types import Tuple, UniTuple

from kernels._jit import Compiled, jit
from kernels._parallel import FIRST, parallel_for
from kernels.normalization.moments import BLOCK_ROWS, Moments, column_moments, merge
from kernels.normalization.operands import (
    Affine,
    BackwardOptions,
    Gradients,
    Options,
    ParameterSums,
    Saved,
    Statistics,
    TrackedStatistics,
)
from kernels.normalization.scaling import (
    NO_MINIMUM,
    TASK,
    Coefficients,
    GradientCoefficients,
    coefficients_of,
    scale_rows,
    stored,
    update,
)
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import allocate, flat, fma, release, shifted, view
from kernels.simd.stream import streaming_done

MAX_TASKS = 32  # each has moments of its own
SUM_ROWS = 16  # rows whose gradients are summed in the array's dtype before they enter float64 totals


class Shape(NamedTuple):
    """Of x: rows of ``channels * length`` columns."""

    rows: int
    channels: int
    length: int


@jit(inline=True)
def _grain(rows, columns):
    """Rows of a task: at least one block, and about TASK elements."""
    grain = max(TASK // columns, (rows + MAX_TASKS - 1) // MAX_TASKS, 1)
    return (grain + BLOCK_ROWS - 1) // BLOCK_ROWS * BLOCK_ROWS


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(fastmath=False)
def _task_moments(first, last, grain, x, eps, found):
    """The moments of tasks `first` to `last` - 1, a row of `found` each."""
    rows, columns = x.shape
    for task in range(first, last):
        row = task * grain
        of_task = Moments(found.mean[task], found.square[task])
        column_moments(view(x).row(row), min(grain, rows - row), columns, eps, of_task)


@jit(fastmath=False)
def _merge_moments(shape, grain, found, affine, statistics, options, coefficients):
    """The statistics of each channel, merged from its columns' moments in all tasks, and its columns' coefficients."""
    (means, squares), (weight, bias), (centers, scales, shifts) = found, affine, coefficients
    channel_means, rstds, running_mean, running_var = statistics
    for channel in range(shape.channels):
        mean, square, n = 0.0, 0.0, 0.0
        for task in range(len(means)):
            more = np.float64(min(grain, shape.rows - task * grain))
            for j in range(channel * shape.length, (channel + 1) * shape.length):
                mean, square = merge(n, mean, square, more, means[task, j], squares[task, j])
                n += more
        rstd = 1.0 / np.sqrt(square / n + options.eps)
        channel_means[channel], rstds[channel] = mean, rstd
        if running_mean.size:
            update(running_mean, running_var, channel, mean, square, n, options.momentum)
        center, scale, shift = coefficients_of(mean, rstd, weight[channel], bias[channel], channel_means)
        for j in range(channel * shape.length, (channel + 1) * shape.length):
            centers[j], scales[j], shifts[j] = center, scale, shift


@jit(fastmath=False)
def _forward_loops(shape, x, affine, statistics, options, y, threads):
    """`planes.forward_planes` by columns.

    The plain tuples are a `Shape`, `Affine` and `TrackedStatistics` (by channel), and `Options`; x and y are flat.
    """
    shape, options = Shape(*shape), Options(*options)
    rows, columns = shape.rows, shape.channels * shape.length
    grain = _grain(rows, columns)
    tasks = (rows + grain - 1) // grain
    found = Moments(np.empty((tasks, columns)), np.empty((tasks, columns)))
    each = np.empty((3, columns), x.dtype)
    coefficients = Coefficients(each[0], each[1], each[2])
    parallel_for(_task_moments, tasks, 1, threads, (grain, x.reshape((rows, columns)), options.eps, found))
    _merge_moments(shape, grain, found, Affine(*affine), TrackedStatistics(*statistics), options, coefficients)
    parallel_for(scale_rows, rows, grain, threads, (x, coefficients, options.minimum, options.streaming, y))


def _forward_types(kind):
    x, options = kind[::1], Tuple((float64, float64, float64, boolean))
    return UniTuple(int64, 3), x, UniTuple(x, 2), UniTuple(x, 4), options, x, int64


forward_columns = Compiled(_forward_loops, _forward_types)


# --- backward --------------------------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _column_sums(j, count, DY, X, rows, statistics, sums):
    """`ParameterSums` of some rows, in the array's dtype."""
    mean, rstd = read(statistics.mean, j, count, 0.0), read(statistics.rstd, j, count, 0.0)
    total = read(DY, j, count, 0.0)
    product = total * ((read(X, j, count, 0.0) - mean) * rstd)
    for row in range(1, rows):
        dy = read(DY.row(row), j, count, 0.0)
        total, product = total + dy, fma(dy, (read(X.row(row), j, count, 0.0) - mean) * rstd, product)
    write(sums.dbias, j, count, total)
    write(sums.dweight, j, count, product)


_sum_columns = over_range(_column_sums)


@jit(fastmath=False)
def _sum_rows(DY, X, rows, columns, statistics, totals):
    """`ParameterSums` of each column. ``(x - mean) * rstd`` is of the size of 1, so both are of the size of dy."""
    dweight, dbias, mean, rstd = totals.dweight, totals.dbias, statistics.mean, statistics.rstd
    block = ParameterSums(allocate(X, columns), allocate(X, columns))
    dweight[:] = 0.0
    dbias[:] = 0.0
    for row in range(0, rows, SUM_ROWS):
        _sum_columns(X, FIRST, columns, DY.row(row), X.row(row), min(SUM_ROWS, rows - row), statistics, block)
        for j in range(columns):
            dbias[j] += block.dbias[j]
            dweight[j] += block.dweight[j]
    release(block.dweight)
    release(block.dbias)
    for j in range(columns):
        if not np.isfinite(dbias[j] + dweight[j]):  # perhaps only in the dtype of the blocks
            dbias[j] = dweight[j] = 0.0
            for row in range(rows):
                dy = np.float64(DY[row, j])
                dbias[j] += dy
                dweight[j] += dy * ((np.float64(X[row, j]) - mean[j]) * rstd[j])


@jit(fastmath=False)
def _task_sums(first, last, grain, dy, x, statistics, sums):
    """The sums of tasks `first` to `last` - 1, a row of `sums` each."""
    rows, columns = x.shape
    DY, X, each = view(dy), view(x), Statistics(flat(statistics.mean), flat(statistics.rstd))
    for task in range(first, last):
        row = task * grain
        of_task = ParameterSums(sums.dweight[task], sums.dbias[task])
        _sum_rows(DY.row(row), X.row(row), min(grain, rows - row), columns, each, of_task)


@jit(inline=True, fastmath=False)
def _dx_by_column(j, count, dy, x, coefficients):
    mean, rstd, scale, normal_scale, shift = coefficients
    normal = (read(x, j, count, 0.0) - read(mean, j, count, 0.0)) * read(rstd, j, count, 0.0)
    along = fma(normal, read(normal_scale, j, count, 0.0), read(shift, j, count, 0.0))
    return fma(read(dy, j, count, 0.0), read(scale, j, count, 0.0), along)


_store_dx = stored(_dx_by_column)


@jit(fastmath=False)
def _dx_of_rows(first, last, dy, x, coefficients, options, dx):
    mean, rstd, scale, normal_scale, shift = coefficients
    if options.training:
        DY, X, DX, n = flat(dy), flat(x), flat(dx), scale.size
        each = GradientCoefficients(flat(mean), flat(rstd), flat(scale), flat(normal_scale), flat(shift))
        for row in range(first, last):
            start = row * n
            _store_dx(shifted(DX, start), n, options.streaming, shifted(DY, start), shifted(X, start), each)
        if options.streaming:
            streaming_done()
    else:  # mean and rstd are constants
        zeros = np.zeros(scale.size, x.dtype)
        scale_rows(first, last, dy, Coefficients(zeros, scale, zeros), NO_MINIMUM, options.streaming, dx)


@jit(fastmath=False)
def _add_sums(shape, sums, saved, gradients, coefficients):
    """dweight and dbias of each channel from its columns' sums in all tasks; from them the coefficients of dx."""
    (products, totals), (weight, _, rstd), (_, dweight, dbias) = sums, saved, gradients
    _, _, scales, normal_scales, shifts = coefficients
    n = np.float64(shape.rows * shape.length)
    for channel in range(shape.channels):
        total = product = 0.0
        for task in range(len(totals)):
            for j in range(channel * shape.length, (channel + 1) * shape.length):
                total += totals[task, j]
                product += products[task, j]
        dweight[channel], dbias[channel] = product, total
        scale = np.float64(rstd[channel]) * weight[channel]
        for j in range(channel * shape.length, (channel + 1) * shape.length):
            scales[j], normal_scales[j], shifts[j] = scale, -scale * product / n, -scale * total / n


@jit(fastmath=False)
def _backward_loops(shape, dy, x, saved, options, gradients, threads):
    """Gradients of `forward_columns`; the plain tuples are a `Shape`, `Saved`, `BackwardOptions` and `Gradients`."""
    shape, saved, gradients, options = Shape(*shape), Saved(*saved), Gradients(*gradients), BackwardOptions(*options)
    rows, columns = shape.rows, shape.channels * shape.length
    grain = _grain(rows, columns)
    tasks = (rows + grain - 1) // grain
    sums, each = ParameterSums(np.empty((tasks, columns)), np.empty((tasks, columns))), np.empty((5, columns), x.dtype)
    coefficients = GradientCoefficients(each[0], each[1], each[2], each[3], each[4])
    mean, rstd = coefficients.mean, coefficients.rstd
    channel_mean, channel_rstd = saved.mean, saved.rstd
    for j in range(columns):
        mean[j], rstd[j] = channel_mean[j // shape.length], channel_rstd[j // shape.length]
    by_row = (rows, columns)
    arguments = grain, dy.reshape(by_row), x.reshape(by_row), Statistics(mean, rstd), sums
    parallel_for(_task_sums, tasks, 1, threads, arguments)
    _add_sums(shape, sums, saved, gradients, coefficients)
    parallel_for(_dx_of_rows, rows, grain, threads, (dy, x, coefficients, options, gradients.dx))


def _backward_types(kind):
    x = kind[::1]
    return UniTuple(int64, 3), x, x, UniTuple(x, 3), UniTuple(boolean, 2), UniTuple(x, 3), int64


backward_columns = Compiled(_backward_loops, _backward_types)
