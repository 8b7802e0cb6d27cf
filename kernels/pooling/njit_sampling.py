"""Sampling at the places of a grid in jitted code."""

import numpy as np

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, like, same_dtypes
from kernels._njit_errors import Value, _check, failed
from kernels._njit_sizes import choice, flags, product, replaced, threads_for
from kernels.machine import vector_bytes
from kernels.pooling import channels, sampled, sampling
from kernels.pooling.njit_windows import raised_by
from kernels.pooling.sampled import MODES
from kernels.pooling.sampling import Rule

sample, input_gradient = by_address(sampling.sample), by_address(sampling.input_gradient)
sample_channels = by_address(channels.sample_channels)
is_better_by_channels = jit(inline=True)(channels.is_better_by_channels)
VECTOR = vector_bytes()
grid_gradient = by_address(sampling.grid_gradient)
TAPS = tuple(MODES.values())
FORWARD, BACKWARD = "grid_sample", "grid_sample_backward"


class WrongShapes(ValueError):
    """Makes the error of `sampled._arguments` for arrays of these shapes."""

    def __new__(cls, operation, x, grid, mode, padding_mode):
        return raised_by(sampled._arguments, operation, np.empty(x), np.empty(grid), mode, padding_mode, False)


@_check
def check_shapes(operation, x, grid, mode, padding_mode):
    """Errors of the shapes."""
    dims, flat = x.ndim - 2, getattr(mode, "literal_value", None) == "bicubic"
    wrong = dims not in (2, 3) or grid.ndim != x.ndim or (flat and dims == 3)
    last = grid.ndim - 1

    def refused(operation, x, grid, mode, padding_mode):
        if failed():
            raise WrongShapes(operation, x.shape, grid.shape, mode, padding_mode)

    def code(operation, x, grid, mode, padding_mode):
        good = grid.shape[0] == x.shape[0] and grid.shape[last] == dims
        for axis in range(2, dims + 2):
            good = good and x.shape[axis] > 0
        if not good:
            raise WrongShapes(operation, x.shape, grid.shape, mode, padding_mode)

    return refused if wrong else code


@_check
def result_shape(x, grid):
    """Of x (N, C, ...) at the places of a grid (N, ..., dims)."""
    dims = max(x.ndim - 2, 0)
    fits = grid.ndim == x.ndim

    def code(x, grid):
        shape = x.shape
        for axis in range(dims):
            shape = replaced(shape, axis + 2, grid.shape[axis + 1])
        return shape

    return code if fits else (lambda x, grid: x.shape)


@jit
def as_volumes(shape):
    """Shape of an array (N, C, ...) as (N, C, D, H, W)."""
    size, end = (1, 1, 1), len(shape)
    for axis in range(min(end - 2, 3)):
        size = replaced(size, 2 - axis, shape[end - 1 - axis])
    return shape[0], product(shape, min(1, end - 1), min(2, end)), size[0], size[1], size[2]


@jit
def as_places(shape):
    """Shape of a grid as (N, P, dims)."""
    last = len(shape) - 1
    return shape[0], product(shape, min(1, last), last), shape[last]


def _rule(operation):
    """Jitted: the checked arrays and the rule."""

    @jit
    def rule(x, grid, mode, padding_mode, align_corners):
        taps = TAPS[choice(operation, "mode", mode, ("bilinear", "nearest", "bicubic"))]
        padding = choice(operation, "padding_mode", padding_mode, ("zeros", "border", "reflection"))
        image, places = floats(operation, "x", x), floats(operation, "grid", grid)
        same_dtypes(operation, ("x", "grid"), (image, places))
        check_shapes(operation, image, places, mode, padding_mode)
        dims = np.int64(image.ndim - 2)
        return image, like(places, image), Rule(np.int64(taps), np.int64(padding), align_corners, dims)

    return rule


_forward_rule, _backward_rule = _rule(FORWARD), _rule(BACKWARD)


@_check
def aligned(value):
    """`align_corners` as a bool."""
    return (lambda value: False) if str(value) == "none" else (lambda value: bool(value))


@jit
def taps_of(rule):
    """Elements that a result is a sum of."""
    count = 1
    for _ in range(rule.dims):
        count *= rule.taps
    return count


@in_njit(sampled.grid_sample)
def _grid_sample(x, grid, mode, padding_mode, align_corners):
    image, places, rule = _forward_rule(x, grid, mode, padding_mode, aligned(align_corners))
    shape = result_shape(image, places)
    y = np.empty(shape, image.dtype)
    if y.size:
        at, threads = places.reshape(as_places(places.shape)), threads_for(y.size * taps_of(rule), 0)
        volumes, results = image.reshape(as_volumes(image.shape)), at.shape[1]
        out = y.reshape((volumes.shape[0], volumes.shape[1], results))
        if is_better_by_channels(volumes, results, VECTOR // y.itemsize):
            sample_channels(volumes, at, rule, out, threads)
        else:
            sample(volumes, at, rule, out, threads)
    return y


@in_njit(sampled.grid_sample_backward)
def _grid_sample_backward(dy, x, grid, mode, padding_mode, align_corners, needs):
    image, places, rule = _backward_rule(x, grid, mode, padding_mode, aligned(align_corners))
    upstream, needs = floats(BACKWARD, "dy", dy), flags(needs, 2)
    same_dtypes(BACKWARD, ("dy", "x"), (upstream, image))
    shape = result_shape(image, places)
    check_gradient(upstream, shape)
    dx = np.empty(image.shape if needs[0] else of_no_size(image.shape), image.dtype)
    dgrid = np.empty(places.shape if needs[1] else of_no_size(places.shape), image.dtype)
    if not upstream.size:
        dx[...] = 0
        dgrid[...] = 0
        return dx, dgrid
    at, threads = places.reshape(as_places(places.shape)), threads_for(upstream.size * taps_of(rule), 0)
    volumes = image.reshape(as_volumes(image.shape))
    each = like(upstream, image).reshape((volumes.shape[0], volumes.shape[1], at.shape[1]))
    if needs[0]:
        input_gradient(each, at, rule, dx.reshape(volumes.shape), threads)
    if needs[1]:
        grid_gradient(each, volumes, at, rule, dgrid.reshape(at.shape), threads)
    return dx, dgrid


@_check
def check_gradient(dy, shape):
    """ValueError unless `dy` has the shape of the result."""
    same, message = dy.ndim == len(shape), f"{BACKWARD}: dy must have shape {{}}, got {{}}"

    def code(dy, shape):
        if dy.shape != shape:
            raise Value(message, shape, dy.shape)

    def refused(dy, shape):
        if failed():
            raise Value(message, shape, dy.shape)

    return code if same else refused


@_check
def of_no_size(shape):
    """Zeros in place of the sizes."""
    zeros = (0,) * len(shape)
    return lambda shape: zeros
