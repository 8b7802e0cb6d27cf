"""Group norm and instance norm in jitted code."""

import numpy as np

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, output
from kernels._njit_errors import Value
from kernels._njit_sizes import flags, threads_for, wanted
from kernels.normalization import batch, group
from kernels.normalization.njit_arguments import (
    both_or_neither,
    channels,
    matching,
    parameter,
    use_streaming,
    whole,
    writable,
    write_back,
)
from kernels.normalization.planes import backward_planes, forward_planes, group_layout
from kernels.normalization.rows import backward_rows, forward_rows
from kernels.normalization.scaling import NO_MINIMUM
from kernels.simd import lane_count

by_rows, by_planes = by_address(forward_rows, "forward_rows"), by_address(forward_planes, "forward_planes")
rows_back, planes_back = by_address(backward_rows, "backward_rows"), by_address(backward_planes, "backward_planes")
add_positions, average_samples = by_address(group.add_positions), by_address(group.average_samples)
layout_of = jit(inline=True)(group_layout)
batch_norm, batch_norm_backward = batch.batch_norm, batch.batch_norm_backward


@jit
def _forward(x, shape, affine, statistics, options, y):
    """As in `group`; `options` are (eps, momentum)."""
    N, C, L = shape
    weight, bias = affine
    mean, rstd, running_mean, _ = statistics
    eps, momentum = options
    groups = mean.size // N
    source, target, threads, streaming = x.reshape(-1), y.reshape(-1), threads_for(x.size, 0), use_streaming(y, 2, L)
    if L < lane_count(x) and not running_mean.size:
        nothing, repeated = source[:0], (np.repeat(weight, L), np.repeat(bias, L))
        rows = C // groups * L, True, eps, streaming
        by_rows(source, (nothing, nothing), repeated, (mean, rstd), rows, target, threads)
    else:
        planes = eps, momentum, NO_MINIMUM, streaming
        by_planes(layout_of(N, C, L, groups), source, affine, statistics, planes, target, threads)


@jit
def _backward(dy, x, shape, saved, dx):
    """As in `group`."""
    N, C, L = shape
    weight, mean, rstd = saved
    groups, threads, streaming = mean.size // N, threads_for(x.size, 0), use_streaming(dx, 3, L)
    upstream, source, target = dy.reshape(-1), x.reshape(-1), dx.reshape(-1)
    dweight, dbias = np.empty(C, x.dtype), np.empty(C, x.dtype)
    if L < lane_count(x):
        products, sums = np.empty(C * L, x.dtype), np.empty(C * L, x.dtype)
        repeated, rows = (np.repeat(weight, L), mean, rstd), (C // groups * L, True, streaming)
        rows_back(upstream, source, source[:0], repeated, rows, (target, products, sums), threads)
        add_positions(products, L, dweight)
        add_positions(sums, L, dbias)
    else:
        layout, gradients = layout_of(N, C, L, groups), (target, dweight, dbias)
        planes_back(layout, (upstream, source, None), source, saved, (True, streaming), gradients, threads)
    return dweight, dbias


def _norm(operation):
    """The entry of `group._group_norm`, for the number of groups of a checked x."""

    @jit
    def norm(x, num_groups, weight, bias, eps, mean, rstd):
        N, C, L = channels(operation, x, 2)
        if num_groups != C and (num_groups < 1 or C % num_groups):
            raise Value(
                "{}: num_groups must be positive and divide the channels, got {} for {}", operation, num_groups, C
            )
        affine = parameter(operation, "weight", weight, (C,), x, 1.0), parameter(operation, "bias", bias, (C,), x, 0.0)
        mean = output(operation, "mean", mean, (N, num_groups), x)
        rstd = output(operation, "rstd", rstd, (N, num_groups), x)
        y = output(operation, "out", None, x.shape, x)
        if x.size:
            nothing = x.reshape(-1)[:0]
            statistics = mean.reshape(-1), rstd.reshape(-1), nothing, nothing
            _forward(x, (N, C, L), affine, statistics, (float(eps), 0.0), y)
        else:
            mean[:] = np.nan
            rstd[:] = np.nan
        return y

    return norm


def _gradient(operation):
    """The entry of `group._group_norm_backward`, for the number of groups of a checked x."""

    @jit
    def gradient(dy, x, num_groups, mean, rstd, weight, needs):
        dy = matching(operation, "dy", dy, x.shape, x)
        N, C, L = channels(operation, x, 2)
        if num_groups != C and (num_groups < 1 or C % num_groups):
            raise Value(
                "{}: num_groups must be positive and divide the channels, got {} for {}", operation, num_groups, C
            )
        mean = matching(operation, "mean", mean, (N, num_groups), x)
        rstd = matching(operation, "rstd", rstd, (N, num_groups), x)
        weight = parameter(operation, "weight", weight, (C,), x, 1.0)
        dx = output(operation, "out", None, x.shape, x)
        if x.size:
            dweight, dbias = _backward(dy, x, (N, C, L), (weight, mean.reshape(-1), rstd.reshape(-1)), dx)
        else:
            dweight, dbias = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
        return wanted(dx, needs[0]), wanted(dweight, needs[1]), wanted(dbias, needs[2])

    return gradient


_group, _instance = _norm("group_norm"), _norm("instance_norm")
_group_back, _instance_back = _gradient("group_norm_backward"), _gradient("instance_norm_backward")


@in_njit(group.group_norm)
def _group_norm(x, num_groups, weight, bias, eps, mean, rstd):
    x = floats("group_norm", "x", x)
    return _group(x, whole("group_norm", "num_groups", num_groups), weight, bias, eps, mean, rstd)


@in_njit(group.group_norm_backward)
def _group_norm_backward(dy, x, num_groups, mean, rstd, weight, needs):
    x, groups = floats("group_norm_backward", "x", x), whole("group_norm_backward", "num_groups", num_groups)
    return _group_back(dy, x, groups, mean, rstd, weight, flags(needs, 3))


@in_njit(group.instance_norm)
def _instance_norm(x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps, mean, rstd):
    x = floats("instance_norm", "x", x)
    N, C, L = channels("instance_norm", x, 2)
    both_or_neither("instance_norm", running_mean, running_var)
    if not use_input_stats:
        if running_mean is None:
            raise ValueError("instance_norm: without use_input_stats, running_mean and running_var are needed")
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps, mean=mean, rstd=rstd)
    if L == 1:
        raise Value("instance_norm: more than one position is needed, x has shape {}", x.shape)
    if running_mean is None or not x.size:
        return _instance(x, C, weight, bias, eps, mean, rstd)
    running = (
        writable("instance_norm", "running_mean", running_mean, (C,), x),
        writable("instance_norm", "running_var", running_var, (C,), x),
    )
    affine = (
        parameter("instance_norm", "weight", weight, (C,), x, 1.0),
        parameter("instance_norm", "bias", bias, (C,), x, 0.0),
    )
    means, rstds = output("instance_norm", "mean", mean, (N, C), x), output("instance_norm", "rstd", rstd, (N, C), x)
    y = output("instance_norm", "out", None, x.shape, x)
    each = np.empty((2, N, C), x.dtype)  # each sample updates its own, and those are averaged
    each[0], each[1] = running
    statistics = means.reshape(-1), rstds.reshape(-1), each[0].reshape(-1), each[1].reshape(-1)
    _forward(x, (N, C, L), affine, statistics, (float(eps), float(momentum)), y)
    average_samples(statistics[2], running[0])
    average_samples(statistics[3], running[1])
    write_back(running[0], running_mean)
    write_back(running[1], running_var)
    return y


@in_njit(group.instance_norm_backward)
def _instance_norm_backward(dy, x, mean, rstd, weight, use_input_stats, needs):
    needs = flags(needs, 3)
    if not use_input_stats:
        return batch_norm_backward(dy, x, mean, rstd, weight, False, needs=needs)
    x = floats("instance_norm_backward", "x", x)
    _, C, _ = channels("instance_norm_backward", x, 2)
    return _instance_back(dy, x, C, mean, rstd, weight, needs)
