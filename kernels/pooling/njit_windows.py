"""Sizes of windows in jitted code: what `windows` computes. Where an argument is refused, the function of Python that
refuses it makes the error."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit_checks import floats
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_sizes import product, replaced
from kernels._njit_sizes import threads_for as threads_of
from kernels.pooling import windows as python
from kernels.pooling.windows import LARGEST, MAX_ELEMENTS, TASK, WIDEST

steps, misses = jit(inline=True)(python.steps), jit(inline=True)(python._misses)


def raised_by(function, *arguments):
    """The error that a function raises for these arguments."""
    try:
        function(*arguments)
    except (TypeError, ValueError, IndexError) as error:
        return error.with_traceback(None)
    return RuntimeError(f"{function.__name__}: jitted code refused {arguments}, which Python takes")


class WrongWindows(ValueError):
    """Makes the error of `windows.windows`."""

    def __new__(cls, *arguments):
        return raised_by(python.windows, *arguments)


# --- arguments -------------------------------------------------------------------------------------------------------


@_check
def each_of(value, dims):
    """An int or a tuple of them for each of `dims` axes; -1 where it is another number of them, or of another type."""
    dims = dims.literal_value
    plain, wrong = types.unliteral(value), (-1,) * dims
    if isinstance(plain, types.Integer):
        return _repeated(dims)
    if isinstance(plain, types.BaseTuple) and all(isinstance(types.unliteral(each), types.Integer) for each in plain):
        if len(plain) == dims:
            return lambda value, dims: value
        if len(plain) == 1:
            return _repeated_first(dims)
    return lambda value, dims: wrong


def _repeated(dims):
    ones = (1,) * dims

    def code(value, dims):
        each = ones
        for axis in range(len(ones)):
            each = replaced(each, axis, value)
        return each

    return code


def _repeated_first(dims):
    ones = (1,) * dims

    def code(value, dims):
        each = ones
        for axis in range(len(ones)):
            each = replaced(each, axis, value[0])
        return each

    return code


@_check
def or_else(value, other):
    """`value`, or `other` for None or an empty tuple."""
    if isinstance(value, types.NoneType) or (isinstance(value, types.BaseTuple) and not len(value)):
        return lambda value, other: other
    return lambda value, other: value


@jit
def all_from(values, smallest):
    """Whether all are from `smallest` to LARGEST."""
    good = True
    for value in values:
        good = good and smallest <= value <= LARGEST
    return good


@jit
def has_room(shape):
    """Whether a result of this shape fits an address space."""
    elements = 1.0
    for size in shape:
        elements *= size
    return elements <= MAX_ELEMENTS


@jit
def set_axes(row, values):
    """The last numbers of a row of three."""
    for axis in range(len(values)):
        row[3 - len(values) + axis] = values[axis]


# --- windows ---------------------------------------------------------------------------------------------------------


@_check
def windows_of(operation, shape, dims, given):
    """Planes, sizes as loops take them, the input's and the result's three sizes, and the result's shape; `given` are
    kernel_size, stride, padding, dilation and ceil_mode."""
    axes, rank = dims.literal_value, len(shape)
    first = rank - axes
    if not 1 <= first <= 2:

        def refused(operation, shape, dims, given):
            kernel_size, stride, padding, dilation, ceil_mode = given
            if failed():
                raise WrongWindows(operation, shape, axes, kernel_size, stride, padding, dilation, bool(ceil_mode))
            return np.int64(0), np.ones((4, 3), np.int64), (1, 1, 1), (1, 1, 1), shape

        return refused

    def code(operation, shape, dims, given):
        kernel_size, stride, padding, dilation, ceil_mode = given
        sizes = np.ones((4, 3), np.int64)
        sizes[2] = 0
        kernel = each_of(kernel_size, axes)
        set_axes(sizes[0], kernel)
        set_axes(sizes[1], each_of(or_else(stride, kernel), axes))
        set_axes(sizes[2], each_of(padding, axes))
        set_axes(sizes[3], each_of(dilation, axes))
        good, size, out, result = count_windows(shape, sizes, first, bool(ceil_mode))
        if not good:
            raise WrongWindows(operation, shape, axes, kernel_size, stride, padding, dilation, bool(ceil_mode))
        return product(shape, 0, first), sizes, size, out, result

    return code


@jit
def count_windows(shape, sizes, first, ceil_mode):
    """Whether there are windows, sizes of input and result, the result's shape; the stride of a single one becomes
    1."""
    size, out, result = (1, 1, 1), (1, 1, 1), shape
    for axis in range(first - 1, len(shape)):
        if shape[axis] == 0:
            return False, size, out, result
    for i in range(first, len(shape)):
        axis, n = i - len(shape) + 3, shape[i]
        kernel, stride, padding, dilation = sizes[0, axis], sizes[1, axis], sizes[2, axis], sizes[3, axis]
        good = 1 <= kernel <= LARGEST and 1 <= stride <= LARGEST and 0 <= padding <= LARGEST
        if not good or not 1 <= dilation <= LARGEST or padding > (dilation * (kernel - 1) + 1) // 2:
            return False, size, out, result
        count = steps(n, kernel, stride, padding, dilation, ceil_mode)
        if count < 1 or misses(n, stride, padding, dilation, count):
            return False, size, out, result
        if count == 1:
            sizes[1, axis] = 1
        size, out, result = replaced(size, axis, n), replaced(out, axis, count), replaced(result, i, count)
    return has_room(result), size, out, result


@jit
def with_planes(planes, size):
    """Shape of an array as (planes, D, H, W)."""
    return planes, size[0], size[1], size[2]


@jit
def elements_of(sizes):
    """Of a window."""
    return sizes[0, 0] * sizes[0, 1] * sizes[0, 2]


@jit
def is_vast(sizes):
    """As in `windows`."""
    return sizes[0, 2] * sizes[3, 2] + sizes[1, 2] > WIDEST


@jit
def grain_and_threads(lines, elements):
    """As in `windows`."""
    grain = max(1, lines * TASK // max(elements, 1))
    return grain, (np.int64(1) if lines <= grain else threads_of(elements, 0))


# --- gradients -------------------------------------------------------------------------------------------------------


@_check
def expected(operation, name, x, shape):
    """`x`, which has to have `shape`."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have shape {{}}, got {{}}"
    if x.ndim != len(shape):

        def other_rank(operation, name, x, shape):
            if failed():
                raise Value(message, shape, x.shape)
            return np.empty(shape, x.dtype)

        return other_rank

    def code(operation, name, x, shape):
        if x.shape != shape:
            raise Value(message, shape, x.shape)
        return x

    return code


@jit
def gradient_of(operation, dy, shape):
    """`dy` as the gradient of a result of `shape`."""
    return expected(operation, "dy", floats(operation, "dy", dy), shape)
