"""What `driver` does, for jitted code: which loops compute a convolution, on flat arrays; called by address."""

import numpy as np

from kernels._jit import jit
from kernels._njit import by_address
from kernels._njit_sizes import threads_for
from kernels.convolution import (
    columns,
    correlation,
    depthwise,
    depthwise_gradient,
    row_gradient,
    weight_gradient,
    winograd,
    winograd_gradient,
)
from kernels.convolution import njit_planning as planning
from kernels.convolution.functions import ALGORITHMS
from kernels.convolution.plan import Shape, product
from kernels.reduction.axis_sums import sum_axis

CHOSEN, WINOGRAD_2, WINOGRAD_4 = (ALGORITHMS.index(name) for name in (None, "winograd2", "winograd4"))

_correlation = by_address(correlation._compiled, "correlation")
_depthwise = by_address(depthwise._compiled, "depthwise")
_winograd_2 = by_address(winograd._compiled["winograd2"], "winograd2")
_winograd_4 = by_address(winograd._compiled["winograd4"], "winograd4")
_columns = by_address(columns._compiled, "columns")
_weight_gradient = by_address(weight_gradient._compiled, "weight_gradient")
_row_gradient = by_address(row_gradient._compiled, "row_gradient")
_depthwise_gradient = by_address(depthwise_gradient._compiled, "depthwise_gradient")
_winograd_gradient = by_address(winograd_gradient._compiled, "winograd_gradient")
_sum_axis = by_address(sum_axis, "sum_axis")


@jit(inline=True)
def _work(of, shape):
    """Multiply-adds."""
    return product(of.taps) * product(of.outputs) * shape.N * shape.groups * shape.C * shape.M


# --- the convolution, and its gradient with respect to x -------------------------------------------------------------


@jit
def _fill(out, bias, shape, relu):
    """The result where there is nothing to sum."""
    if out.size == 0:
        return
    channels = shape.groups * shape.M
    size = out.size // (shape.N * channels)
    for i in range(out.size):
        value = bias[i // size % channels] if bias.size else out.dtype.type(0)
        out[i] = value if not (relu and value <= 0) else out.dtype.type(0)


@jit
def _correlate(x, weight, bias, relu, out, of, shape, algorithm):
    if out.size == 0 or x.size == 0:
        _fill(out, bias, shape, relu)
        return
    C, M, threads = shape.C, shape.M, threads_for(0, _work(of, shape))
    if algorithm == CHOSEN and planning.suits_winograd(of, C, M):
        algorithm = WINOGRAD_2
    if algorithm == WINOGRAD_2:
        _winograd_2(x, weight, bias, out, planning.for_winograd(of, shape, relu, out.itemsize, threads, 2), threads)
    elif algorithm == WINOGRAD_4:
        _winograd_4(x, weight, bias, out, planning.for_winograd(of, shape, relu, out.itemsize, threads, 4), threads)
    elif C == 1 and M == 1:
        _depthwise(x, weight, bias, out, planning.for_depthwise(of, shape, relu), threads)
    else:
        phases = planning.for_correlation(of, shape, relu, out.itemsize, threads)
        _correlation(x, weight, bias, out, phases.reshape(1, phases.size), threads)


correlate = by_address(_correlate, "correlate")


@jit
def _gather_by_columns(dy, weight, bias, out, of, shape):
    threads = threads_for(0, _work(of, shape))
    numbers, tasks = planning.for_columns(of, shape, out.itemsize, threads)
    if bias.size == 0:
        bias = np.zeros(shape.groups * shape.C, out.dtype)
    _columns(dy, weight, bias, out, numbers, tasks, threads)


@jit
def _gather(dy, weight, bias, out, axes, shape):
    """The gradient with respect to x, plus bias, of a convolution of this geometry and shape."""
    of, back = planning.forward_plan(axes), Shape(shape.N, shape.groups, shape.M, shape.C)
    if dy.size > 0 and out.size > 0 and planning.use_columns(axes, of, shape, out.itemsize):
        _gather_by_columns(dy, weight, bias, out, of, shape)
        return
    count, work, computed = product(planning.phase_count(axes)), 0, 0
    for number in range(count):
        each = planning.phase(axes, number)
        if product(each.taps) > 0:
            work, computed = work + _work(each, back), computed + 1
    if dy.size == 0 or out.size == 0 or computed < count:
        _fill(out, bias, back, False)
    if dy.size == 0 or out.size == 0:
        return
    threads, phases, row = threads_for(0, work), np.empty((0, 0), np.int64), 0
    for number in range(count):
        each = planning.phase(axes, number)
        if product(each.taps) == 0:
            continue
        if computed == 1 or (shape.C == 1 and shape.M == 1):
            correlate(dy, weight, bias, False, out, each, back, CHOSEN)
            continue
        numbers = planning.for_correlation(each, back, False, out.itemsize, threads)
        if row == 0:
            phases = np.empty((computed, numbers.size), np.int64)
        phases[row], row = numbers, row + 1
    if row > 0:
        _correlation(dy, weight, bias, out, phases, threads)


gather = by_address(_gather, "gather")

# --- gradients with respect to weight and bias -----------------------------------------------------------------------


@jit
def _add_up(sums, count, out):
    """The sum of `count` gradients."""
    _sum_axis(sums, out, 1, count, out.size, 1.0, threads_for(sums.size, 0))


@jit
def _differentiate(dy, x, out, axes, shape):
    """The gradient with respect to the weight, to `out`."""
    if dy.size == 0 or x.size == 0:
        out[:] = 0
        return
    of = planning.forward_plan(axes)
    threads, algorithm = threads_for(0, _work(of, shape)), planning.gradient_algorithm(of, shape, x.itemsize)
    if algorithm == planning.DEPTHWISE:
        _depthwise_gradient(dy, x, out, planning.for_depthwise_gradient(of, shape), threads)
        return
    tasks = 0
    if algorithm == planning.WINOGRAD:
        numbers, tasks, splits = planning.for_winograd_gradient(of, shape, x.itemsize)
    elif algorithm == planning.ROWS:
        numbers, splits = planning.for_row_gradient(of, shape, x.itemsize)
    else:
        numbers, tasks, splits = planning.for_weight_gradient(of, shape, x.itemsize)
    sums = out if splits == 1 else np.empty(splits * out.size, out.dtype)
    if algorithm == planning.WINOGRAD:
        _winograd_gradient(dy, x, sums, numbers, tasks, threads)
    elif algorithm == planning.ROWS:
        _row_gradient(dy, x, sums, numbers, threads)
    else:
        _weight_gradient(dy, x, sums, numbers, tasks, threads)
    if splits > 1:
        _add_up(sums, splits, out)


differentiate = by_address(_differentiate, "differentiate")


@jit
def _sum_planes(dy, images, channels, out):
    """The gradient with respect to the bias: the sum of dy (images, channels, …) over images and outputs."""
    left = np.empty(images * channels, dy.dtype)
    _sum_axis(dy, left, left.size, dy.size // max(left.size, 1), 1, 1.0, threads_for(dy.size, 0))
    _sum_axis(left, out, 1, images, channels, 1.0, threads_for(left.size, 0))


sum_planes = by_address(_sum_planes, "sum_planes")
