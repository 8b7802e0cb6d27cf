"""Interpolation in jitted code."""

import math

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats
from kernels._njit_errors import _check, failed
from kernels._njit_sizes import replaced
from kernels.pooling import interpolation
from kernels.pooling.interpolation import KINDS, MODES, NEAREST
from kernels.pooling.njit_windows import all_from, each_of, gradient_of, grain_and_threads, has_room, raised_by

interpolate_lines = by_address(interpolation.interpolate_lines, "lines")
make_tables = by_address(interpolation.make_tables)
area1d, area2d, area3d = interpolation.AREA.values()
area1d_backward, area2d_backward, area3d_backward = interpolation.AREA_BACKWARD.values()


class WrongSizes(ValueError):
    """Makes the error of `interpolation._arguments`."""

    def __new__(cls, *arguments):
        return raised_by(interpolation._arguments, *arguments)


@_check
def truth(x):
    """As `bool`, of None, too."""
    if isinstance(x, types.NoneType):
        return lambda x: False
    return lambda x: bool(x)


@_check
def factors_of(value, dims):
    """`scale_factor` for each axis; 0 where it is None or another number of them."""
    axes = dims.literal_value
    wrong = (0.0,) * axes
    if isinstance(types.unliteral(value), types.Number):
        return (
            (lambda value, dims: (float(value),)),
            (lambda value, dims: (float(value), float(value))),
            (lambda value, dims: (float(value), float(value), float(value))),
        )[axes - 1]
    if isinstance(value, types.BaseTuple) and len(value) == axes:
        return (
            (lambda value, dims: (float(value[0]),)),
            (lambda value, dims: (float(value[0]), float(value[1]))),
            (lambda value, dims: (float(value[0]), float(value[1]), float(value[2]))),
        )[axes - 1]
    return lambda value, dims: wrong


@_check
def resampled(operation, shape, size, scale_factor, mode, align_corners, recompute, antialias):
    """The result's shape, and for each dimension the scale factor that is to be used as it is, or 0."""
    name, dims = getattr(mode, "literal_value", None), len(shape) - 2
    given, nothing = not isinstance(size, types.NoneType), (0.0,) * max(dims, 1)
    wrong = dims not in MODES.get(name, ()) or given != isinstance(scale_factor, types.NoneType)
    wrong |= not isinstance(align_corners, types.NoneType) and name in ("nearest", "nearest-exact", "area")
    if wrong:

        def refused(operation, shape, size, scale_factor, mode, align_corners, recompute, antialias):
            if failed():
                raise WrongSizes(operation, shape, size, scale_factor, mode, align_corners, recompute, antialias)
            return shape, nothing

        return refused
    smooth = name in ("bilinear", "bicubic")

    def of_size(operation, shape, size, scale_factor, mode, align_corners, recompute, antialias):
        out, result = each_of(size, dims), shape
        good = all_from(out, 1) and (smooth or not antialias) and not truth(recompute)
        for axis in range(1, dims + 2):
            good = good and shape[axis] > 0
        for axis in range(dims):
            result = replaced(result, axis + 2, out[axis])
        if not good or not has_room(result):
            raise WrongSizes(operation, shape, size, scale_factor, mode, align_corners, recompute, antialias)
        return result, nothing

    def of_factors(operation, shape, size, scale_factor, mode, align_corners, recompute, antialias):
        factors, result = factors_of(scale_factor, dims), shape
        good = smooth or not antialias
        for axis in range(1, dims + 2):
            good = good and shape[axis] > 0
        for axis in range(dims):
            out = shape[axis + 2] * factors[axis]
            good = good and factors[axis] > 0 and 1 <= out < 2**31
            result = replaced(result, axis + 2, np.int64(math.floor(out)) if good else 1)
        if not good or not has_room(result):
            raise WrongSizes(operation, shape, size, scale_factor, mode, align_corners, recompute, antialias)
        return result, nothing if truth(recompute) else factors

    return of_size if given else of_factors


@jit
def table(axis, kind, sizes, factors, options, like):
    """The tables along a dimension; `sizes` are the shapes from which and to which is resampled, `options`
    (align_corners, antialias, backward)."""
    shape, result = sizes
    align_corners, antialias, backward = options
    return make_tables(
        kind, shape[axis + 2], result[axis + 2], (factors[axis], align_corners, antialias, backward), like
    )


@_check
def tables_of(kind, sizes, factors, options, like):
    """Those of depth, height and width."""
    dims = len(factors)

    def of_rows(kind, sizes, factors, options, like):
        none = make_tables(np.int64(NEAREST), 1, 1, (0.0, False, False, False), like)
        return none, none, table(0, kind, sizes, factors, options, like)

    def of_planes(kind, sizes, factors, options, like):
        none = make_tables(np.int64(NEAREST), 1, 1, (0.0, False, False, False), like)
        height, width = table(0, kind, sizes, factors, options, like), table(1, kind, sizes, factors, options, like)
        return none, height, width

    def of_volumes(kind, sizes, factors, options, like):
        depth, height = table(0, kind, sizes, factors, options, like), table(1, kind, sizes, factors, options, like)
        return depth, height, table(2, kind, sizes, factors, options, like)

    return (of_rows, of_planes, of_volumes)[dims - 1]


@jit
def as_planes(shape):
    """Shape of an array (N, C, ...) as (planes, D, H, W)."""
    size = (1, 1, 1)
    for axis in range(2, len(shape)):
        size = replaced(size, axis - len(shape) + 3, shape[axis])
    return shape[0] * shape[1], size[0], size[1], size[2]


@_check
def run(x, y, mode, sizes, factors, options):
    """The loops, from x to y; see `table`."""
    kind = KINDS.get(getattr(mode, "literal_value", None), NEAREST)
    if x.ndim != y.ndim or not 3 <= x.ndim <= 5:  # refused before
        return lambda x, y, mode, sizes, factors, options: None

    def code(x, y, mode, sizes, factors, options):
        each = tables_of(np.int64(kind), sizes, factors, options, y.reshape(-1)[:0])
        source, target = x.reshape(as_planes(x.shape)), y.reshape(as_planes(y.shape))
        lines = target.shape[0] * target.shape[1] * target.shape[2]
        interpolate_lines((source, each, target), lines, *grain_and_threads(lines, x.size + y.size))

    return code


@_check
def forward(x, mode, shape, factors, options):
    """The result of a checked call."""
    if getattr(mode, "literal_value", None) == "area" and 3 <= x.ndim <= 5:

        def averages_of_rows(x, mode, shape, factors, options):
            return area1d(x, shape[2:])

        def averages_of_planes(x, mode, shape, factors, options):
            return area2d(x, shape[2:])

        def averages_of_volumes(x, mode, shape, factors, options):
            return area3d(x, shape[2:])

        return (averages_of_rows, averages_of_planes, averages_of_volumes)[x.ndim - 3]

    def code(x, mode, shape, factors, options):
        y = np.empty(shape, x.dtype)
        run(x, y, mode, (x.shape, shape), factors, options)
        return y

    return code


@_check
def backward(dy, mode, shape, factors, options):
    """The gradient of a checked call."""
    if getattr(mode, "literal_value", None) == "area" and 3 <= dy.ndim <= 5:

        def of_rows(dy, mode, shape, factors, options):
            return area1d_backward(dy, shape)

        def of_planes(dy, mode, shape, factors, options):
            return area2d_backward(dy, shape)

        def of_volumes(dy, mode, shape, factors, options):
            return area3d_backward(dy, shape)

        return (of_rows, of_planes, of_volumes)[dy.ndim - 3]

    def code(dy, mode, shape, factors, options):
        dx = np.empty(shape, dy.dtype)
        run(dy, dx, mode, (shape, dy.shape), factors, options)
        return dx

    return code


# --- entries ---------------------------------------------------------------------------------------------------------

FORWARD, BACKWARD = "interpolate", "interpolate_backward"


@in_njit(interpolation.interpolate)
def _interpolate(x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias):
    x = floats(FORWARD, "x", x)
    shape, factors = resampled(
        FORWARD, x.shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )
    return forward(x, mode, shape, factors, (truth(align_corners), bool(antialias), False))


@in_njit(interpolation.interpolate_backward)
def _interpolate_backward(dy, shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias):
    result, factors = resampled(
        BACKWARD, shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )
    dy = gradient_of(BACKWARD, dy, result)
    return backward(dy, mode, shape, factors, (truth(align_corners), bool(antialias), True))
