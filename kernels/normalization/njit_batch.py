"""Batch norm in jitted code."""

import numpy as np

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, output
from kernels._njit_errors import Value
from kernels._njit_sizes import choice, flags, threads_for, wanted
from kernels.activation import relu_backward
from kernels.normalization import batch
from kernels.normalization.arguments import MINIMUM
from kernels.normalization.columns import backward_columns, forward_columns
from kernels.normalization.evaluation import scale_channels
from kernels.normalization.njit_arguments import (
    both_or_neither,
    channels,
    matching,
    number,
    parameter,
    use_streaming,
    writable,
    write_back,
)
from kernels.normalization.planes import backward_planes, backward_planes_relu, batch_layout, forward_planes
from kernels.simd import lane_count

MINIMA = tuple(MINIMUM.values())

by_columns, by_planes = by_address(forward_columns, "forward_columns"), by_address(forward_planes, "forward_planes")
scaled = by_address(scale_channels, "scale_channels")
columns_back = by_address(backward_columns, "backward_columns")
planes_back = by_address(backward_planes, "backward_planes")
planes_relu_back = by_address(backward_planes_relu, "backward_planes_relu")
layout_of = jit(inline=True)(batch_layout)


@in_njit(batch.batch_norm)
def _batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, activation, mean, rstd):
    x = floats("batch_norm", "x", x)
    N, C, L = channels("batch_norm", x, 2)
    affine = (
        parameter("batch_norm", "weight", weight, (C,), x, 1.0),
        parameter("batch_norm", "bias", bias, (C,), x, 0.0),
    )
    minimum = MINIMA[choice("batch_norm", "activation", activation, (None, "relu"))]
    both_or_neither("batch_norm", running_mean, running_var)
    used = output("batch_norm", "mean", mean, (C,), x), output("batch_norm", "rstd", rstd, (C,), x)
    y = output("batch_norm", "out", None, x.shape, x)
    if not training:
        if running_mean is None:
            raise ValueError("batch_norm: evaluation needs running_mean and running_var")
        if eps < 0:
            raise Value("batch_norm: eps must not be negative, got {}", eps)
        average = matching("batch_norm", "running_mean", running_mean, (C,), x)
        variance = matching("batch_norm", "running_var", running_var, (C,), x)
        _evaluate(x, (C, L), affine, (average, variance), used, (float(eps), minimum), y)
        return y
    if N * L == 1:
        raise Value("batch_norm: training needs more than one value per channel, x has shape {}", x.shape)
    if not eps > 0:
        raise Value("batch_norm: eps must be positive in training, got {}", eps)
    share = number("batch_norm", "momentum", momentum)
    tracked = C if running_mean is not None else 0
    running = (
        writable("batch_norm", "running_mean", running_mean, (tracked,), x),
        writable("batch_norm", "running_var", running_var, (tracked,), x),
    )
    if x.size:
        statistics = used[0], used[1], running[0], running[1]
        _forward(x, (N, C, L), affine, statistics, (float(eps), share, minimum), y)
        write_back(running[0], running_mean)
        write_back(running[1], running_var)
    else:
        used[0][:] = np.nan
        used[1][:] = np.nan
    return y


@jit
def _evaluate(x, sizes, affine, running, used, options, y):
    """Tuples: (C, L), (weight, bias), the running ones, (mean, rstd) to fill in, and (eps, minimum)."""
    C, L = sizes
    average, variance = running
    mean, rstd = used
    eps, minimum = options
    mean[:] = average
    if x.size:
        more = eps, minimum, use_streaming(y, 2, C * L)
        statistics = average, variance, rstd
        scaled(L, x.reshape(-1), affine, statistics, more, y.reshape(-1), threads_for(x.size, 0))
    else:
        one, eps = x.dtype.type(1.0), x.dtype.type(eps)
        for c in range(C):
            rstd[c] = one / np.sqrt(variance[c] + eps)


@jit
def _forward(x, shape, affine, statistics, options, y):
    """As in `batch`."""
    N, C, L = shape
    eps, momentum, minimum = options
    source, target, threads = x.reshape(-1), y.reshape(-1), threads_for(x.size, 0)
    if L < lane_count(x):
        more = eps, momentum, minimum, use_streaming(y, 2, C * L)
        by_columns(shape, source, affine, statistics, more, target, threads)
    else:
        more = eps, momentum, minimum, use_streaming(y, 2, L)
        by_planes(layout_of(N, C, L), source, affine, statistics, more, target, threads)


@in_njit(batch.batch_norm_backward)
def _batch_norm_backward(dy, x, mean, rstd, weight, training, activation, saved, needs):
    x = floats("batch_norm_backward", "x", x)
    dy = matching("batch_norm_backward", "dy", dy, x.shape, x)
    N, C, L = channels("batch_norm_backward", x, 2)
    mean = matching("batch_norm_backward", "mean", mean, (C,), x)
    rstd = matching("batch_norm_backward", "rstd", rstd, (C,), x)
    weight = parameter("batch_norm_backward", "weight", weight, (C,), x, 1.0)
    relu = choice("batch_norm_backward", "activation", activation, (None, "relu")) == 1
    needs = flags(needs, 3)
    dx = output("batch_norm_backward", "out", None, x.shape, x)
    dweight, dbias = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    arguments = (weight, mean, rstd), bool(training), (dx, dweight, dbias)
    if activation is None:
        if x.size:
            _backward(dy, x, (N, C, L), *arguments)
    elif saved is None:
        if relu:
            raise ValueError("batch_norm_backward: activation 'relu' needs saved")
    else:
        y = matching("batch_norm_backward", "saved", saved, x.shape, x)
        if x.size:
            _backward_through_relu(dy, x, y, (N, C, L), *arguments)
    return wanted(dx, needs[0]), wanted(dweight, needs[1]), wanted(dbias, needs[2])


@jit
def _backward(dy, x, shape, saved, training, gradients):
    """As in `batch`, without a ReLU."""
    N, C, L = shape
    dx, dweight, dbias = gradients
    flat = dx.reshape(-1), dweight, dbias
    upstream, source, threads = dy.reshape(-1), x.reshape(-1), threads_for(x.size, 0)
    if L < lane_count(x):
        options = training, use_streaming(dx, 3, C * L)
        columns_back(shape, upstream, source, saved, options, flat, threads)
    else:
        options = training, use_streaming(dx, 3, L)
        planes_back(layout_of(N, C, L), (upstream, source, None), source, saved, options, flat, threads)


@jit
def _backward_through_relu(dy, x, y, shape, saved, training, gradients):
    """As in `batch`, with one."""
    N, C, L = shape
    if L < lane_count(x) or not training:
        _backward(relu_backward(dy, y), x, shape, saved, training, gradients)
        return
    dx, dweight, dbias = gradients
    flat, source = (dx.reshape(-1), dweight, dbias), x.reshape(-1)
    upstream, options = (dy.reshape(-1), y.reshape(-1), True), (training, use_streaming(dx, 3, L))
    planes_relu_back(layout_of(N, C, L), upstream, source, saved, options, flat, threads_for(x.size, 0))
