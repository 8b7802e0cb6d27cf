"""Maximum pooling and unpooling in jitted code."""

import numpy as np
from numba import types

from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats
from kernels._njit_checks import indices as whole
from kernels._njit_errors import Index, Value, _check, failed, text_of
from kernels._njit_sizes import choice, product, replaced
from kernels.pooling import maximum, maximum_loops, places, unpool
from kernels.pooling.maximum import MAX_BYTE_PLACES, MAX_NUMBERED
from kernels.pooling.njit_windows import (
    all_from,
    each_of,
    elements_of,
    expected,
    gradient_of,
    grain_and_threads,
    has_room,
    is_vast,
    raised_by,
    windows_of,
    with_planes,
)

max_pool_lines, max_pool_naive = by_address(maximum_loops.max_pool_lines, "max"), by_address(maximum.max_pool_naive)
max_pool_bytes = by_address(places.max_pool_bytes, "max and bytes")
max_pool_indices = by_address(places.max_pool_indices, "max and indices")
max_pool_numbered = by_address(places.max_pool_numbered, "numbered")
max_pool_halves = by_address(places.max_pool_halves, "halves")
add_at, put_at = by_address(places.add_at, "add_at"), by_address(places.put_at, "put_at")
take_at = by_address(places.take_at, "take_at")
first_outside = places.first_outside


# --- forward ---------------------------------------------------------------------------------------------------------


@_check
def check_kind(operation, kind, sizes):
    """Errors of `return_indices`."""
    if kind.literal_value in (False, True):
        return lambda operation, kind, sizes: None
    message = f"{text_of('operation', operation)}: numbers in windows are for at most {MAX_BYTE_PLACES} elements, "
    message += "kernel_size is {}"

    def code(operation, kind, sizes):
        choice(operation, "return_indices", kind, ("window",))
        if elements_of(sizes) > MAX_BYTE_PLACES:
            raise Value(message, (sizes[0, 0], sizes[0, 1], sizes[0, 2]))

    return code


@_check
def run_max(x, w, kind):
    """The largest elements, and their places in the form that `kind` names."""
    kind = kind.literal_value

    def values(x, w, kind):
        planes, sizes, size, out, shape = w
        y, source = np.empty(shape, x.dtype), x.reshape(with_planes(planes, size))
        target, lines = y.reshape(with_planes(planes, out)), planes * out[0] * out[1]
        if is_vast(sizes):
            max_pool_naive(source, sizes, target, np.empty(target.shape, np.int64))
        else:
            max_pool_lines((source, sizes, target), lines, *grain_and_threads(lines, x.size + y.size))
        return y

    def values_and_bytes(x, w, kind):
        planes, sizes, size, out, shape = w
        y, found, source = np.empty(shape, x.dtype), np.empty(shape, np.uint8), x.reshape(with_planes(planes, size))
        target, lines = y.reshape(with_planes(planes, out)), planes * out[0] * out[1]
        arguments = source, sizes, target, found.reshape(target.shape)
        max_pool_bytes(arguments, lines, *grain_and_threads(lines, x.size + y.size))
        return y, found

    def values_and_indices(x, w, kind):
        planes, sizes, size, out, shape = w
        y, found, source = np.empty(shape, x.dtype), np.empty(shape, np.int64), x.reshape(with_planes(planes, size))
        target, lines = y.reshape(with_planes(planes, out)), planes * out[0] * out[1]
        if is_vast(sizes) or elements_of(sizes) > MAX_NUMBERED:
            max_pool_naive(source, sizes, target, found.reshape(target.shape))
        else:
            arguments = source, sizes, target, found.reshape(target.shape)
            max_pool_indices(arguments, lines, *grain_and_threads(lines, x.size + y.size))
        return y, found

    if kind in (False, True):
        return values_and_indices if kind else values
    return values_and_bytes


def _forward(public, dims):
    operation = public.__name__

    def pool(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
        x = floats(operation, "x", x)
        w = windows_of(operation, x.shape, dims, (kernel_size, stride, padding, dilation, ceil_mode))
        check_kind(operation, return_indices, w[1])
        return run_max(x, w, return_indices)

    in_njit(public, literal=("return_indices",))(pool)


# --- backward --------------------------------------------------------------------------------------------------------


@_check
def scatter(operation, x, given, shape, dims, loops):
    """As in `places`."""
    first = len(shape) - dims.literal_value
    message = f"{text_of('operation', operation)}: indices must be from 0 to {{}}, got {{}}"
    end = len(shape)

    def code(operation, x, given, shape, dims, loops):
        planes, size = product(shape, 0, first), product(shape, first, end)
        ids = expected(operation, "indices", whole(operation, "indices", given), x.shape)
        flat = ids.reshape(-1)
        wrong = first_outside(flat, size)
        if wrong >= 0:
            raise Index(message, size - 1, flat[wrong])
        y, each = np.empty(shape, x.dtype), x.size // max(planes, 1)
        arguments = x.reshape((planes, each)), ids.reshape((planes, each)), y.reshape((planes, size))
        loops(arguments, planes, *grain_and_threads(planes, y.size))
        return y

    return code


@_check
def spread_to(operation, dy, given, shape, dims, w):
    """Each dy added to the largest element of its window."""
    if not isinstance(given, types.Array) or given.dtype != types.uint8:
        return lambda operation, dy, given, shape, dims, w: scatter(operation, dy, given, shape, dims, add_at)
    message = f"{text_of('operation', operation)}: numbers in windows must be below {{}}, got {{}}"

    def code(operation, dy, given, shape, dims, w):
        planes, sizes, size, out, result = w
        numbers, largest = np.ascontiguousarray(expected(operation, "indices", given, result)), 0
        for number in numbers.reshape(-1):
            largest = max(largest, np.int64(number))
        if numbers.size and largest >= elements_of(sizes):
            raise Index(message, elements_of(sizes), largest)
        dx, target = np.empty(shape, dy.dtype), with_planes(planes, out)
        arguments = dy.reshape(target), numbers.reshape(target), sizes, dx.reshape(with_planes(planes, size))
        small = sizes[0, 0] <= 4 and sizes[0, 1] <= 4 and sizes[0, 2] <= 4 and size[0] == 1
        if small and sizes[1, 1] == sizes[1, 2] == 2 and sizes[3, 1] == sizes[3, 2] == 1:
            lines = planes * ((size[1] + sizes[2, 1] + 1) // 2)
            max_pool_halves(arguments, lines, *grain_and_threads(lines, dx.size + dy.size))
        else:
            max_pool_numbered(arguments, planes, *grain_and_threads(planes, dx.size + dy.size))
        return dx

    return code


def _backward(public, dims):
    operation = public.__name__

    def back(dy, shape, indices, kernel_size, stride, padding, dilation, ceil_mode):
        w = windows_of(operation, shape, dims, (kernel_size, stride, padding, dilation, ceil_mode))
        dy = gradient_of(operation, dy, w[4])
        return spread_to(operation, dy, indices, shape, dims, w)

    in_njit(public)(back)


# --- unpooling -------------------------------------------------------------------------------------------------------


class WrongUnpooling(ValueError):
    """Makes the error of `unpool.result_shape`."""

    def __new__(cls, *arguments):
        return raised_by(unpool.result_shape, *arguments)


@_check
def last_of(sizes, dims, rank):
    """The last `dims` of as many sizes or of a whole shape; -1 where it is neither."""
    axes, wrong = dims.literal_value, (-1,) * dims.literal_value
    if not isinstance(sizes, types.BaseTuple) or len(sizes) not in (axes, rank.literal_value):
        return lambda sizes, dims, rank: wrong
    first = len(sizes) - axes
    return lambda sizes, dims, rank: sizes[first:]


@_check
def unpooled(operation, shape, dims, given):
    """The result's shape; `given` are kernel_size, stride, padding and output_size."""
    axes, rank = dims.literal_value, len(shape)
    first, free = rank - axes, isinstance(given[3], types.NoneType)
    if not 1 <= first <= 2:

        def refused(operation, shape, dims, given):
            kernel_size, stride, padding, output_size = given
            if failed():
                raise WrongUnpooling(operation, shape, axes, kernel_size, stride, padding, output_size)
            return shape

        return refused

    def code(operation, shape, dims, given):
        kernel_size, stride, padding, output_size = given
        kernel = each_of(kernel_size, axes)
        by, around = each_of(or_else_none(stride, kernel), axes), each_of(padding, axes)
        good, result = all_from(kernel, 1) and all_from(by, 1) and all_from(around, 0), shape
        for axis in range(first - 1, rank):
            good = good and shape[axis] > 0
        sizes = each_of(last_of(or_else_none(output_size, kernel), axes, rank), axes)
        for axis in range(axes):
            n = (shape[first + axis] - 1) * by[axis] - 2 * around[axis] + kernel[axis]
            if not free:
                good = good and sizes[axis] >= 1 and abs(sizes[axis] - n) < by[axis]
                n = sizes[axis]
            good = good and n >= 1
            result = replaced(result, first + axis, n)
        if not good or not has_room(result):
            raise WrongUnpooling(operation, shape, axes, kernel_size, stride, padding, output_size)
        return result

    return code


@_check
def or_else_none(value, other):
    """`value`, or `other` for None."""
    if isinstance(value, types.NoneType):
        return lambda value, other: other
    return lambda value, other: value


def _unpool(public, dims):
    operation = public.__name__

    def put(x, indices, kernel_size, stride, padding, output_size):
        x = floats(operation, "x", x)
        shape = unpooled(operation, x.shape, dims, (kernel_size, stride, padding, output_size))
        return scatter(operation, x, indices, shape, dims, put_at)

    in_njit(public)(put)


class WrongPlanes(ValueError):
    """Makes the error of `windows.planes_of`."""

    def __new__(cls, *arguments):
        return raised_by(unpool.planes_of, *arguments)


@_check
def check_planes(operation, shape, dims):
    """Errors of `windows.planes_of`."""
    axes, first, end = dims.literal_value, len(shape) - dims.literal_value, len(shape)
    good = 1 <= first <= 2

    def code(operation, shape, dims):
        if not good or product(shape, max(first - 1, 0), end) == 0:
            raise WrongPlanes(operation, shape, axes)

    return code


@_check
def take(operation, dy, given, dims):
    """The elements of `dy` at the indices."""
    axes, same = dims.literal_value, isinstance(given, types.Array) and given.ndim == dy.ndim
    first, end = dy.ndim - axes, dy.ndim
    message = f"{text_of('operation', operation)}: indices must have shape {{}}, got {{}}"
    outside = f"{text_of('operation', operation)}: indices must be from 0 to {{}}, got {{}}"

    def code(operation, dy, given, dims):
        ids, planes, size = whole(operation, "indices", given), product(dy.shape, 0, first), 1
        for axis in range(first, end):
            size *= dy.shape[axis]
        shape = ids.shape
        for axis in range(first):
            shape = replaced(shape, axis, dy.shape[axis])
        if ids.shape != shape:
            raise Value(message, shape, ids.shape)
        flat = ids.reshape(-1)
        wrong = first_outside(flat, size)
        if wrong >= 0:
            raise Index(outside, size - 1, flat[wrong])
        dx, each = np.empty(ids.shape, dy.dtype), product(ids.shape, first, end)
        arguments = dy.reshape((planes, size)), ids.reshape((planes, each)), dx.reshape((planes, each))
        take_at(arguments, planes, *grain_and_threads(planes, dx.size))
        return dx

    if same:
        return code

    def refused_of_rank(operation, dy, given, dims):
        ids = whole(operation, "indices", given)
        if failed():
            raise OtherRank(operation, dy.shape, ids.shape, axes)
        return np.empty(dy.shape, dy.dtype)

    return refused_of_rank


class OtherRank(ValueError):
    """Makes the error of indices with another number of axes."""

    def __new__(cls, operation, dy, indices, dims):
        shape = (*dy[:-dims], *indices[-dims:])
        return ValueError(f"{operation}: indices must have shape {shape}, got {indices}")


def _unpool_backward(public, dims):
    operation = public.__name__

    def take_back(dy, indices):
        dy = floats(operation, "dy", dy)
        check_planes(operation, dy.shape, dims)
        return take(operation, dy, indices, dims)

    in_njit(public)(take_back)


for _dims in (1, 2, 3):
    _forward(getattr(maximum, f"max_pool{_dims}d"), _dims)
    _backward(getattr(maximum, f"max_pool{_dims}d_backward"), _dims)
    _unpool(getattr(unpool, f"max_unpool{_dims}d"), _dims)
    _unpool_backward(getattr(unpool, f"max_unpool{_dims}d_backward"), _dims)
