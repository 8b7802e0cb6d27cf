"""Average pooling in jitted code."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats
from kernels._njit_errors import Kind, Value, _check, failed, text_of
from kernels.pooling import average, average_loops
from kernels.pooling.njit_windows import (
    gradient_of,
    grain_and_threads,
    is_vast,
    windows_of,
    with_planes,
)

average_lines, spread_lines = (
    by_address(average_loops.avg_pool_lines, "average"),
    by_address(average_loops.avg_pool_backward_lines, "spread"),
)
# Of windows that span mostly padding: see `windows.is_vast`.
average_vast, spread_vast = by_address(average.avg_pool_naive), by_address(average.avg_pool_backward_naive)
spread_pairs = by_address(average_loops.avg_pool_backward_pairs, "pairs")


# --- averages --------------------------------------------------------------------------------------------------------


@_check
def divisor_of(operation, value):
    """`divisor_override`, 0 for None."""
    if isinstance(value, types.NoneType):
        return lambda operation, value: np.int64(0)
    if not isinstance(types.unliteral(value), types.Integer):
        message = f"{text_of('operation', operation)}: divisor_override must be an int, got {{!r}}"

        def refused(operation, value):
            if failed():
                raise Kind(message, value)
            return np.int64(0)

        return refused
    message = f"{text_of('operation', operation)}: divisor_override must be an int64 other than 0, got {{}}"

    def code(operation, value):
        if value == 0 or value >= 2**62 or value <= -(2**62):
            raise Value(message, value)
        return np.int64(value)

    return code


@jit
def run_average(source, sizes, include, divisor, target):
    """`average.run_average` of the forward."""
    if is_vast(sizes):
        average_vast(source, sizes, include, divisor, target)
    else:
        lines = target.shape[0] * target.shape[1] * target.shape[2]
        arguments = source, sizes, include, divisor, target
        average_lines(arguments, lines, *grain_and_threads(lines, source.size + target.size))


@jit
def run_spread(source, sizes, include, divisor, target):
    """`average.run_average` of the backward."""
    if is_vast(sizes):
        spread_vast(source, sizes, include, divisor, target)
    else:
        lines = target.shape[0] * target.shape[1] * target.shape[2]
        arguments = source, sizes, include, divisor, target
        spread_lines(arguments, lines, *grain_and_threads(lines, source.size + target.size))


def _forward(public, dims):
    operation = public.__name__

    @jit
    def pool(x, given, include, divisor_override):
        x = floats(operation, "x", x)
        planes, sizes, size, out, shape = windows_of(operation, x.shape, dims, given)
        y, divisor = np.empty(shape, x.dtype), divisor_of(operation, divisor_override)
        source, target = x.reshape(with_planes(planes, size)), y.reshape(with_planes(planes, out))
        run_average(source, sizes, bool(include), divisor, target)
        return y

    def of_rows(x, kernel_size, stride, padding, ceil_mode, count_include_pad):
        return pool(x, (kernel_size, stride, padding, 1, ceil_mode), count_include_pad, None)

    def of_planes(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
        return pool(x, (kernel_size, stride, padding, 1, ceil_mode), count_include_pad, divisor_override)

    in_njit(public)(of_rows if dims == 1 else of_planes)


def _backward(public, dims):
    operation = public.__name__

    @jit
    def back(dy, shape, given, include, divisor_override):
        planes, sizes, size, out, result = windows_of(operation, shape, dims, given)
        dy = gradient_of(operation, dy, result)
        dx, divisor = np.empty(shape, dy.dtype), divisor_of(operation, divisor_override)
        source, target = dy.reshape(with_planes(planes, out)), dx.reshape(with_planes(planes, size))
        pairs = sizes[0, 0] == sizes[1, 0] == 1 and sizes[2, 0] == sizes[2, 1] == sizes[2, 2] == 0
        if pairs and sizes[0, 1] == sizes[0, 2] == sizes[1, 1] == sizes[1, 2] == 2:
            lines = planes * size[0] * ((size[1] + 1) // 2)
            arguments = source, sizes, bool(include), divisor, target
            spread_pairs(arguments, lines, *grain_and_threads(lines, dx.size + dy.size))
        else:
            run_spread(source, sizes, bool(include), divisor, target)
        return dx

    def of_rows(dy, shape, kernel_size, stride, padding, ceil_mode, count_include_pad):
        return back(dy, shape, (kernel_size, stride, padding, 1, ceil_mode), count_include_pad, None)

    def of_planes(dy, shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
        return back(dy, shape, (kernel_size, stride, padding, 1, ceil_mode), count_include_pad, divisor_override)

    in_njit(public)(of_rows if dims == 1 else of_planes)


for _dims in (1, 2, 3):
    _forward(getattr(average, f"avg_pool{_dims}d"), _dims)
    _backward(getattr(average, f"avg_pool{_dims}d_backward"), _dims)
