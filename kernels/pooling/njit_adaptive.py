"""Adaptive pooling in jitted code."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats
from kernels._njit_errors import _check, failed
from kernels._njit_sizes import choice, product, replaced
from kernels.pooling import adaptive, adaptive_loops, adaptive_maximum
from kernels.pooling.njit_average import run_average, run_spread
from kernels.pooling.njit_maximum import add_at, run_max, scatter
from kernels.pooling.njit_windows import (
    each_of,
    gradient_of,
    grain_and_threads,
    has_room,
    raised_by,
    with_planes,
)
from kernels.pooling.windows import LARGEST

average, spread = (
    by_address(adaptive_loops.adaptive_average, "average"),
    by_address(adaptive_loops.adaptive_spread, "spread"),
)
largest = by_address(adaptive_loops.adaptive_max, "largest")
global_average, global_spread = (
    by_address(adaptive_loops.global_average, "global average"),
    by_address(adaptive_loops.global_spread, "global spread"),
)


class WrongSizes(ValueError):
    """Makes the error of `adaptive.adaptive_sizes`."""

    def __new__(cls, *arguments):
        return raised_by(adaptive.adaptive_sizes, *arguments)


@_check
def outputs(value, shape, dims):
    """`output_size` for each of `dims` axes, those of `shape` for None; -1 where it is refused."""
    axes = dims.literal_value
    first, wrong = len(shape) - axes, (-1,) * axes
    if not isinstance(value, types.BaseTuple):
        return lambda value, shape, dims: each_of(value, axes)
    if len(value) != axes or (axes == 1 and isinstance(value[0], types.NoneType)):
        return lambda value, shape, dims: wrong
    kept = tuple(isinstance(each, types.NoneType) for each in value)
    if not all(
        keep or isinstance(types.unliteral(each), types.Integer) for keep, each in zip(kept, value, strict=True)
    ):
        return lambda value, shape, dims: wrong
    if not any(kept):
        return lambda value, shape, dims: value

    def of_three(value, shape, dims):
        return (
            either(value[0], shape[first]),
            either(value[1], shape[first + 1]),
            either(value[2], shape[first + 2]),
        )

    def of_two_sizes(value, shape, dims):
        return either(value[0], shape[first]), either(value[1], shape[first + 1])

    return of_three if axes == 3 else of_two_sizes


@_check
def either(value, size):
    """`value`, or `size` for None."""
    if isinstance(value, types.NoneType):
        return lambda value, size: size
    return lambda value, size: np.int64(value)


@_check
def sizes_of(operation, shape, dims, value):
    """Planes, the input's and the result's three sizes, and the result's shape."""
    axes, rank = dims.literal_value, len(shape)
    first = rank - axes
    if not 1 <= first <= 2:

        def refused(operation, shape, dims, value):
            if failed():
                raise WrongSizes(operation, shape, axes, value)
            return np.int64(0), (1, 1, 1), (1, 1, 1), shape

        return refused

    def code(operation, shape, dims, value):
        out, size, counts, result, good = outputs(value, shape, axes), (1, 1, 1), (1, 1, 1), shape, True
        for axis in range(first - 1, rank):
            good = good and shape[axis] > 0
        for axis in range(axes):
            good = good and 0 <= out[axis] <= LARGEST
            size = replaced(size, 3 - axes + axis, shape[first + axis])
            counts = replaced(counts, 3 - axes + axis, out[axis])
            result = replaced(result, first + axis, out[axis])
        if not good or not has_room(result):
            raise WrongSizes(operation, shape, axes, value)
        return product(shape, 0, first), size, counts, result

    return code


@jit
def equal_windows(size, out):
    """Whether all windows have one size, and the sizes of a pooling of these."""
    sizes, equal = np.ones((4, 3), np.int64), True
    sizes[2] = 0
    for axis in range(3):
        equal = equal and size[axis] % out[axis] == 0
        sizes[0, axis] = size[axis] // out[axis]
        sizes[1, axis] = 1 if out[axis] == 1 else sizes[0, axis]
    return equal, sizes


# --- averages --------------------------------------------------------------------------------------------------------


def _average(public, dims):
    operation = public.__name__

    def pool(x, output_size):
        x = floats(operation, "x", x)
        planes, size, out, shape = sizes_of(operation, x.shape, dims, output_size)
        y = np.empty(shape, x.dtype)
        if not y.size:
            return y
        source, target = x.reshape(with_planes(planes, size)), y.reshape(with_planes(planes, out))
        lines = planes * out[0] * out[1]
        grain, threads = grain_and_threads(lines, x.size + y.size)
        equal, sizes = equal_windows(size, out)
        if y.size == planes:
            global_average((x.reshape((planes, x.size // planes)), y.reshape(planes)), lines, grain, threads)
        elif equal:
            run_average(source, sizes, True, np.int64(0), target)
        else:
            average((source, target), lines, grain, threads)
        return y

    in_njit(public)(pool)


@_check
def last_sizes(x, dims):
    """The last sizes of an array; as many as there are."""
    first = max(x.ndim - dims.literal_value, 0)
    return lambda x, dims: x.shape[first:]


def _average_backward(public, dims):
    operation = public.__name__

    def back(dy, shape):
        dy = floats(operation, "dy", dy)
        planes, size, out, result = sizes_of(operation, shape, dims, last_sizes(dy, dims))
        dy = gradient_of(operation, dy, result)
        dx = np.empty(shape, dy.dtype)
        if not dy.size:
            dx[...] = 0
            return dx
        source, target = dy.reshape(with_planes(planes, out)), dx.reshape(with_planes(planes, size))
        equal, sizes = equal_windows(size, out)
        if dy.size == planes:
            arguments = dy.reshape(planes), dx.reshape((planes, dx.size // planes))
            global_spread(arguments, planes, *grain_and_threads(planes, dx.size))
        elif equal:
            run_spread(source, sizes, True, np.int64(0), target)
        else:
            lines = planes * size[0] * size[1]
            spread((source, target), lines, *grain_and_threads(lines, dx.size + dy.size))
        return dx

    in_njit(public)(back)


# --- maxima ----------------------------------------------------------------------------------------------------------


@_check
def maxima(x, planes, size, out, shape, kind):
    """The largest elements, and their indices if `kind` is true."""
    indices = kind.literal_value in (True, 1)

    def both(x, planes, size, out, shape, kind):
        if product(shape, 0, len(shape)) == 0:
            return np.empty(shape, x.dtype), np.empty(shape, np.int64)
        equal, sizes = equal_windows(size, out)
        if equal:
            values, found = run_max(x, (planes, sizes, size, out, with_planes(planes, out)), True)
            return values.reshape(shape), found.reshape(shape)
        y, places, target = np.empty(shape, x.dtype), np.empty(shape, np.int64), with_planes(planes, out)
        lines = planes * out[0] * out[1]
        arguments = x.reshape(with_planes(planes, size)), y.reshape(target), places.reshape(target)
        largest(arguments, lines, *grain_and_threads(lines, x.size + y.size))
        return y, places

    def values(x, planes, size, out, shape, kind):
        if product(shape, 0, len(shape)) == 0:
            return np.empty(shape, x.dtype)
        equal, sizes = equal_windows(size, out)
        if equal:
            return run_max(x, (planes, sizes, size, out, with_planes(planes, out)), False).reshape(shape)
        return maxima(x, planes, size, out, shape, True)[0]

    return both if indices else values


def _max(public, dims):
    operation = public.__name__

    def pool(x, output_size, return_indices):
        x = floats(operation, "x", x)
        planes, size, out, shape = sizes_of(operation, x.shape, dims, output_size)
        choice(operation, "return_indices", return_indices, (False, True))
        return maxima(x, planes, size, out, shape, return_indices)

    in_njit(public, literal=("return_indices",))(pool)


def _max_backward(public, dims):
    operation = public.__name__

    def back(dy, shape, indices):
        dy = floats(operation, "dy", dy)
        _, _, _, result = sizes_of(operation, shape, dims, last_sizes(dy, dims))
        return scatter(operation, gradient_of(operation, dy, result), indices, shape, dims, add_at)

    in_njit(public)(back)


for _dims in (1, 2, 3):
    _average(getattr(adaptive, f"adaptive_avg_pool{_dims}d"), _dims)
    _average_backward(getattr(adaptive, f"adaptive_avg_pool{_dims}d_backward"), _dims)
    _max(getattr(adaptive_maximum, f"adaptive_max_pool{_dims}d"), _dims)
    _max_backward(getattr(adaptive_maximum, f"adaptive_max_pool{_dims}d_backward"), _dims)
