"""Unfold and fold in jitted code."""

import numpy as np

from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats
from kernels._njit_errors import Value, _check, failed
from kernels._njit_sizes import product, replaced
from kernels.pooling import columns, patches
from kernels.pooling.njit_windows import (
    all_from,
    each_of,
    gradient_of,
    grain_and_threads,
    has_room,
    raised_by,
    set_axes,
    steps,
)

im2col_lines, col2im_lines = by_address(patches.im2col_lines, "im2col"), by_address(patches.col2im_lines, "col2im")


class WrongPatches(ValueError):
    """Makes the error of `columns._patches`."""

    def __new__(cls, *arguments):
        return raised_by(columns._patches, *arguments)


class WrongColumns(ValueError):
    """Makes the error of `columns._fold` for an array of a shape."""

    def __new__(cls, operation, shape, *arguments):
        return raised_by(columns._fold, operation, np.empty(shape), *arguments)


@_check
def patches_of(operation, shape, given):
    """The loops' sizes for an array of `shape`, the numbers of windows, and the shape of its columns; `given` are
    kernel_size, dilation, padding and stride."""
    rank = len(shape)
    if rank not in (3, 4):

        def refused(operation, shape, given):
            kernel_size, dilation, padding, stride = given
            if failed():
                raise WrongPatches(operation, shape, kernel_size, dilation, padding, stride)
            return np.ones((4, 3), np.int64), (1, 1, 1), shape[1:]

        return refused if rank else refused_of_nothing
    first = rank - 3

    def code(operation, shape, given):
        kernel_size, dilation, padding, stride = given
        sizes, good, out = np.ones((4, 3), np.int64), True, (1, 1, 1)
        kernel, by = each_of(kernel_size, 2), each_of(stride, 2)
        around, apart = each_of(padding, 2), each_of(dilation, 2)
        good = all_from(kernel, 1) and all_from(by, 1) and all_from(around, 0) and all_from(apart, 1)
        for axis in range(first, rank):
            good = good and shape[axis] > 0
        result = replaced(shape[1:], first, shape[first])
        if good:
            for axis in range(2):
                n = shape[first + 1 + axis]
                out = replaced(out, axis + 1, steps(n, kernel[axis], by[axis], around[axis], apart[axis], False))
                good = good and out[axis + 1] >= 1
            result = replaced(result, rank - 2, out[1] * out[2])
            result = replaced(result, rank - 3, shape[first] * kernel[0] * kernel[1])
            if first:
                result = replaced(result, 0, shape[0])
        if not good or not has_room(result):
            raise WrongPatches(operation, shape, kernel_size, dilation, padding, stride)
        sizes[2] = 0
        set_axes(sizes[0], kernel)
        set_axes(sizes[1], by)
        set_axes(sizes[2], around)
        set_axes(sizes[3], apart)
        for axis in range(3):
            if out[axis] == 1:
                sizes[1, axis] = 1
        return sizes, out, result

    return code


def refused_of_nothing(operation, shape, given):
    """Of an array without axes."""
    kernel_size, dilation, padding, stride = given
    if failed():
        raise WrongPatches(operation, shape, kernel_size, dilation, padding, stride)
    return np.ones((4, 3), np.int64), (1, 1, 1), (1, 1)


@_check
def unfolded(operation, x, given):
    """`columns._unfold`."""
    axes = x.ndim
    if axes not in (3, 4):

        def refused(operation, x, given):
            patches_of(operation, x.shape, given)
            return np.empty((1, 1), x.dtype)

        return refused

    def code(operation, x, given):
        sizes, out, shape = patches_of(operation, x.shape, given)
        result, planes = np.empty(shape, x.dtype), product(x.shape, 0, axes - 2)
        elements = sizes[0, 1] * sizes[0, 2]  # of a window
        source = x.reshape((planes, 1, x.shape[axes - 2], x.shape[axes - 1]))
        arguments = source, sizes, result.reshape((planes, elements, out[0], out[1], out[2]))
        im2col_lines(arguments, planes * elements, *grain_and_threads(planes * elements, result.size))
        return result

    return code


@_check
def folded(operation, x, output_size, given):
    """`columns._fold`."""
    rank = x.ndim
    if rank not in (2, 3):

        def refused(operation, x, output_size, given):
            kernel_size, dilation, padding, stride = given
            if failed():
                raise WrongColumns(operation, x.shape, output_size, kernel_size, dilation, padding, stride)
            return np.empty((1, 1, 1), x.dtype)

        return refused
    leading = rank - 2

    def code(operation, x, output_size, given):
        kernel_size, dilation, padding, stride = given
        size, kernel = each_of(output_size, 2), each_of(kernel_size, 2)
        elements, good = kernel[0] * kernel[1], all_from(size, 1) and all_from(kernel, 1)
        good = good and x.shape[leading] > 0 and x.shape[leading] % elements == 0
        if not good:
            raise WrongColumns(operation, x.shape, output_size, kernel_size, dilation, padding, stride)
        channels = x.shape[leading] // elements
        shape = x.shape[:leading] + (channels, size[0], size[1])
        if not has_room(shape):
            raise WrongColumns(operation, x.shape, output_size, kernel_size, dilation, padding, stride)
        sizes, out, expected = patches_of(operation, shape, given)
        if expected != x.shape:
            raise WrongColumns(operation, x.shape, output_size, kernel_size, dilation, padding, stride)
        y, planes = np.empty(shape, x.dtype), product(x.shape, 0, leading) * channels
        source = x.reshape((planes, elements, out[0], out[1], out[2]))
        arguments = source, sizes, y.reshape((planes, 1, size[0], size[1]))
        col2im_lines(arguments, planes * size[0], *grain_and_threads(planes * size[0], x.size + y.size))
        return y

    return code


@in_njit(columns.unfold)
def _unfold(x, kernel_size, dilation, padding, stride):
    x = floats("unfold", "x", x)
    return unfolded("unfold", x, (kernel_size, dilation, padding, stride))


@in_njit(columns.fold)
def _fold(x, output_size, kernel_size, dilation, padding, stride):
    x = floats("fold", "x", x)
    return folded("fold", x, output_size, (kernel_size, dilation, padding, stride))


@_check
def last_two(shape):
    """The last two sizes."""
    first = max(len(shape) - 2, 0)
    return lambda shape: shape[first:]


@in_njit(columns.unfold_backward)
def _unfold_backward(dy, shape, kernel_size, dilation, padding, stride):
    given = kernel_size, dilation, padding, stride
    _, _, expected = patches_of("unfold_backward", shape, given)
    dy = gradient_of("unfold_backward", dy, expected)
    return folded("unfold_backward", dy, last_two(shape), given)


@in_njit(columns.fold_backward)
def _fold_backward(dy, shape, kernel_size, dilation, padding, stride):
    dy, given = floats("fold_backward", "dy", dy), (kernel_size, dilation, padding, stride)
    _, _, expected = patches_of("fold_backward", dy.shape, given)
    if expected != shape:
        raise Value("fold_backward: dy of shape {} has patches {}, not {}", dy.shape, expected, shape)
    return unfolded("fold_backward", dy, given)
