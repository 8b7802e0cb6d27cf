"""The tuned convolution: which loops compute it, its gradients and the transposed convolution.

correlate           `depthwise` (each channel on its own), `winograd` (3 x 3 taps, enough channels), `correlation`
gather              the gradient with respect to x, and the transposed convolution: `columns` (few channels, strides,
                    narrow images), or `correlate` for each phase
weight_gradient     `depthwise_gradient`, `winograd_gradient` (3 x 3 taps, enough channels), `row_gradient` (few
                    channels, long rows), `weight_gradient`
bias_gradient       a sum
"""

import math

from kernels import _checks
from kernels.convolution import (
    columns,
    correlation,
    depthwise,
    depthwise_gradient,
    row_gradient,
    winograd,
    winograd_gradient,
)
from kernels.convolution import weight_gradient as dense_gradient
from kernels.convolution.geometry import forward_plan, gather_plans
from kernels.convolution.plan import Shape
from kernels.reduction import sum as sum_over

WINOGRAD = ("winograd2", "winograd4")


def _fill(out, bias):
    """The result where there is nothing to sum."""
    out[...] = bias.reshape(-1, *(1,) * (out.ndim - 2)) if bias.size else 0


def correlate(x, weight, bias, relu, out, plan, groups, algorithm=None):
    """A convolution by its plan, with the loops that suit it unless the algorithm is given; arrays (N, C, …)."""
    if out.size == 0 or x.size == 0:
        _fill(out, bias)
        if relu and out.size:
            out.clip(0, out=out)
        return
    C, M = x.shape[1] // groups, out.shape[1] // groups
    if algorithm is None and _suits_winograd(plan, C, M):
        algorithm = "winograd2"
    if algorithm in WINOGRAD:
        winograd.run(x, weight, bias, relu, out, plan, groups, algorithm)
    elif C == M == 1:
        depthwise.run(x, weight, bias, relu, out, plan)
    else:
        correlation.run(x, weight, bias, relu, out, [plan], groups)


def _suits_winograd(plan, C, M):
    return winograd.fits(plan) and winograd.pays(plan, C, M)


def _winograd_gathers(geometry, shape):
    """Whether Winograd's algorithm suits the gradient with respect to x: it has a single phase then."""
    return math.prod(geometry.stride) == 1 and _suits_winograd(next(gather_plans(geometry)), shape.M, shape.C)


def gather(dy, weight, bias, out, geometry, groups):
    """The convolution's gradient with respect to x, plus bias; arrays (N, C, …)."""
    plan, shape = forward_plan(geometry), Shape(len(dy), groups, out.shape[1] // groups, dy.shape[1] // groups)
    if dy.size and out.size and columns.pays(plan, shape, dy.itemsize) and not _winograd_gathers(geometry, shape):
        columns.run(dy, weight, bias, out, plan, shape)
        return
    plans = list(gather_plans(geometry))
    if dy.size == 0 or out.size == 0 or any(not all(plan.taps) for plan in plans):
        _fill(out, bias)
    if not dy.size or not out.size:
        return
    plans = [plan for plan in plans if all(plan.taps)]
    if len(plans) > 1 and max(dy.shape[1], out.shape[1]) > groups:
        correlation.run(dy, weight, bias, False, out, plans, groups)
    else:
        for plan in plans:
            correlate(dy, weight, bias, False, out, plan, groups)


def weight_gradient(dy, x, weight, geometry, groups):
    """The convolution's gradient with respect to its weight."""
    if dy.size == 0 or x.size == 0:
        dweight = _checks.new(weight.shape, weight.dtype)
        dweight.fill(0)
        return dweight
    plan, C, M = forward_plan(geometry), x.shape[1] // groups, dy.shape[1] // groups
    if C == M == 1:
        return depthwise_gradient.run(dy, x, _checks.new(weight.shape, weight.dtype), plan)
    if _suits_winograd(plan, C, M):
        return winograd_gradient.run(dy, x, weight.shape, plan, groups)
    if row_gradient.pays(plan, Shape(len(x), groups, C, M), x.itemsize):
        return row_gradient.run(dy, x, weight.shape, plan, groups)
    return dense_gradient.run(dy, x, weight.shape, plan, groups)


def bias_gradient(dy):
    """The sum of dy over images and outputs."""
    return sum_over(dy.reshape(*dy.shape[:2], math.prod(dy.shape[2:])), (0, 2))
