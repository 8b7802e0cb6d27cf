"""The planning of convolutions in jitted code: geometry, blocks and choices, by the same functions as from Python."""

import math
from types import FunctionType, ModuleType

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload

from kernels import machine
from kernels._jit import jit
from kernels._njit import by_address
from kernels._plain import intrinsic
from kernels.convolution import (
    columns,
    correlation,
    depthwise,
    driver,
    geometry,
    plan,
    row_gradient,
    weight_gradient,
    winograd,
    winograd_gradient,
    winograd_tiles,
)
from kernels.convolution.plan import Plan, encode

# The loops for the gradient with respect to the weight: `depthwise_gradient`, `winograd_gradient`, `row_gradient`,
# `weight_gradient`.
DEPTHWISE, WINOGRAD, ROWS, TILES = range(4)

# --- planning functions for compiled code ----------------------------------------------------------------------------


@jit(inline=True)
def _product(sizes):
    total = np.int64(1)
    for n in sizes:
        total *= n
    return total


# What planning functions use of the module `math`, of which Numba does not know all.
_math = ModuleType("math")
_math.prod, _math.gcd = _product, math.gcd


def _compiles(function):
    """Let compiled code call a planning function: it is compiled as it is, with another `math`."""
    scope = {**function.__globals__, "math": _math}
    same = FunctionType(function.__code__, scope, function.__name__, function.__defaults__)
    overload(function, strict=False, jit_options={"error_model": "numpy"})(lambda *arguments: same)


for _function in (
    plan.extents_of,
    plan.first_axis_of,
    geometry.join_rows,
    geometry.forward_plan,
    geometry.phase_counts,
    geometry.phase_of,
    geometry.plan_of_phases,
    geometry.strides_of,
    correlation._busy,
    correlation._shares_x,
    correlation.choose_blocks,
    correlation._encode,
    columns._columns,
    columns.choose_blocks,
    columns.pays,
    depthwise.choose_block,
    driver._suits_winograd,
    row_gradient.choose_blocks,
    row_gradient._height,
    row_gradient.pays,
    weight_gradient.choose_blocks,
    winograd.choose_blocks,
    winograd.fits,
    winograd.pays,
    winograd_gradient.choose_blocks,
    winograd_tiles._size,
    winograd_tiles.block_count,
    winograd_tiles.evenly,
    winograd_tiles.largest_tiles,
    winograd_tiles.with_tiles,
):
    _compiles(_function)


@overload(machine.vector_bytes)
def _vector_bytes():
    size = machine.vector_bytes()
    return lambda: size


@intrinsic
def _write(typingctx, numbers, nested):
    """Write all integers in nested tuples to an array; returns it."""

    def flat(context, builder, kind, value):
        if not isinstance(kind, types.BaseTuple):
            return [context.cast(builder, value, kind, types.int64)]
        each = (flat(context, builder, part, builder.extract_value(value, i)) for i, part in enumerate(kind))
        return [number for part in each for number in part]

    def lower(context, builder, signature, values):
        data = context.make_array(numbers)(context, builder, values[0]).data
        for i, value in enumerate(flat(context, builder, nested, values[1])):
            builder.store(value, builder.gep(data, [ir.Constant(ir.IntType(64), i)]))
        return context.get_dummy_value()

    return types.void(numbers, nested), lower


def _count(kind):
    """How many integers are in nested tuples."""
    return sum(map(_count, kind)) if isinstance(kind, types.BaseTuple) else 1


@overload(plan.encode)
def _encode(plan, shape, outputs, *others):
    count = sum(map(_count, (plan, shape, outputs, *others)))

    def encode(plan, shape, outputs, *others):
        numbers = np.empty(count, np.int64)
        _write(numbers, (plan, shape, outputs, others))
        return numbers

    return encode


# --- plans -----------------------------------------------------------------------------------------------------------


@jit
def _forward(axes):
    return geometry.forward_plan(axes)


@jit
def _phase_count(axes):
    return geometry.phase_counts(axes)


@jit(inline=True)
def _axis(axes, i, out_stride, tap_stride):
    sizes, kernel, stride, padding, dilation, outputs = axes
    return sizes[i], kernel[i], stride[i], padding[i], dilation[i], outputs[i], out_stride, tap_stride


@jit
def _phase(axes, number):
    """The plan of one phase of a gradient with respect to x: see `geometry.gather_plans`."""
    _, along_h, along_w = geometry.phase_counts(axes)
    strides, taps = geometry.strides_of(axes.sizes), geometry.strides_of(axes.kernel)
    depth = geometry.phase_of(number // (along_h * along_w), _axis(axes, 0, strides[0], taps[0]))
    height = geometry.phase_of(number // along_w % along_h, _axis(axes, 1, strides[1], taps[1]))
    width = geometry.phase_of(number % along_w, _axis(axes, 2, strides[2], taps[2]))
    return geometry.plan_of_phases(axes, depth, height, width)


forward_plan, phase_count, phase = by_address(_forward), by_address(_phase_count), by_address(_phase)


@jit(inline=True)
def _over_images(of, images):
    """The plan with the images as its depth."""
    outputs = images, of.outputs[1], of.outputs[2]
    strides = of.out_strides, of.tap_strides
    rest = of.first_output, of.first_tap, of.out_size, of.kernel_size, of.transposed
    return Plan(of.sizes, of.taps, of.dilation, of.stride, of.origin, outputs, *strides, *rest)


# --- what the loops take: a plan with suitable blocks ----------------------------------------------------------------


@jit
def _correlation(of, shape, relu, itemsize, threads):
    return correlation._encode(of, shape, relu, itemsize, threads)


@jit
def _winograd(of, shape, relu, itemsize, threads, side):
    blocks = winograd.choose_blocks(of, side, shape, itemsize, threads)
    return encode(_over_images(of, shape.N), shape, blocks, relu)


@jit
def _depthwise(of, shape, relu):
    grain = max(depthwise.TASK // max(_product(of.taps) * _product(of.outputs), 1), 1)
    return encode(of, shape, depthwise.choose_block(of, shape.N * shape.groups), grain, relu)


@jit
def _columns(of, shape, itemsize, threads):
    """Also the number of tasks."""
    blocks = columns.choose_blocks(of, shape, itemsize, threads)
    image_parts, channel_parts = -(-shape.N // blocks.images), -(-shape.C // blocks.channels)
    tasks = image_parts * shape.groups * channel_parts * columns._position_parts(of, blocks)
    return encode(of, shape, of.outputs, blocks), tasks


@jit
def _use_columns(axes, of, shape, itemsize):
    """Whether the gradient with respect to x is computed by columns."""
    if not columns.pays(of, shape, itemsize):
        return False
    return _product(axes.stride) > 1 or not driver._suits_winograd(_phase(axes, 0), shape.M, shape.C)


@jit
def _weight_gradient(of, shape, itemsize):
    """Also the number of tasks, and that of sums."""
    blocks = weight_gradient.choose_blocks(of, shape, itemsize)
    tasks = shape.groups * -(-shape.M // blocks.out_channels) * -(-shape.C // blocks.channels) * blocks.splits
    return encode(of, shape, blocks), tasks, blocks.splits


@jit
def _winograd_gradient(of, shape, itemsize):
    """Also the number of tasks, and that of sums."""
    blocks = winograd_gradient.choose_blocks(of, shape, itemsize)
    tasks = shape.groups * -(-shape.M // blocks.out_channels) * -(-shape.C // blocks.channels) * blocks.splits
    return encode(_over_images(of, shape.N), shape, blocks), tasks, blocks.splits


@jit
def _row_gradient(of, shape, itemsize):
    """Also the number of sums."""
    height, splits = row_gradient.choose_blocks(of, shape, itemsize)
    return encode(of, shape, (1, height, of.outputs[2]), splits), splits


@jit
def _depthwise_gradient(of, shape):
    work = _product(of.taps) * _product(of.outputs) * shape.N
    grain = min(max(depthwise.TASK // max(work, 1), 1), shape.groups)
    return encode(of, shape, depthwise.choose_block(of, shape.N * shape.groups), grain)


@jit
def _algorithm(of, shape, itemsize):
    """The loops for the gradient with respect to the weight."""
    if shape.C == shape.M == 1:
        return DEPTHWISE
    if driver._suits_winograd(of, shape.C, shape.M):
        return WINOGRAD
    return ROWS if row_gradient.pays(of, shape, itemsize) else TILES


@jit
def _suits_winograd(of, C, M):
    return driver._suits_winograd(of, C, M)


@jit
def _fits_winograd(of):
    return winograd.fits(of)


for_correlation, for_winograd, for_depthwise = by_address(_correlation), by_address(_winograd), by_address(_depthwise)
for_columns, use_columns = by_address(_columns), by_address(_use_columns)
for_weight_gradient, for_winograd_gradient = by_address(_weight_gradient), by_address(_winograd_gradient)
for_row_gradient, for_depthwise_gradient = by_address(_row_gradient), by_address(_depthwise_gradient)
gradient_algorithm, suits_winograd = by_address(_algorithm), by_address(_suits_winograd)
fits_winograd = by_address(_fits_winograd)
