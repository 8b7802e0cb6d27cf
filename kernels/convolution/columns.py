r"""The convolution's gradient with respect to x by columns: a matrix product, and col2im.

.. math:: columns = W^T dy, \qquad dx[i] = \sum_k columns[k, o] \quad\text{where}\quad
    i = \mathrm{origin} + o\,\mathrm{stride} + k\,\mathrm{dilation}

The columns are those of im2col, one row for each channel of x and tap, one column for each output. The product needs no
copies: the weight, (M, C * taps), and dy, (M, outputs), are matrices already. `correlation` sums the same products a
tile of outputs at a time, in phases where there is a stride; here a tile is channels and taps by outputs, so that few
channels of x, narrow rows and phases of few taps leave no lanes idle. The columns are added up by `col2im`. A task is
some channels of one or a few images, or some positions of them, whose columns stay in L2.

FLOPs: 2 * M products and one addition for each element of the columns.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels import machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.col2im import ABREAST, Columns, Place, col2im
from kernels.convolution.micro import FEW_CHANNELS
from kernels.convolution.plan import Part, decode, encode, first_axis, first_axis_of, product
from kernels.gemm.driver import Packing, gemm
from kernels.gemm.driver import Shape as ProductShape
from kernels.gemm.micro import MR, NV, STORE, Epilogue
from kernels.gemm.pack import in_same_set
from kernels.simd import (
    allocate,
    flat,
    lane_count,
    load_partial,
    release,
    shifted,
    store_partial,
    strided,
)

# Costs in multiply-adds of all lanes:
ADDED = 8  # adding up a vector of columns
PACKED = 64  # for phases: packing an element of the weight
STORED = 60  # for phases: storing a vector with a stride
PRODUCT = 1.15  # a multiply-add of the product, over one of the phases'
FEW_PANELS = 8  # of outputs, from which on the product of a single image leaves few of its columns idle
COLUMNS_BYTES = machine.cache_bytes(2) // 4  # of a task's columns: they stay in L2 beside the operands of the product
ZERO, ONE = np.int64(0), np.int64(1)  # typed: Numba compiles a callee anew for each literal argument


class Blocks(NamedTuple):
    """What a task takes: some channels of some images, and some positions along the first axis that is longer than
    1."""

    positions: int
    channels: int
    images: int
    row: int  # elements from one row of columns to the next


class Operands(NamedTuple):
    """The memory of dy (N, groups, M, *outputs), of the weight, of bias and of the gradient (N, groups, C, *sizes)."""

    dy: object
    weight: object
    bias: object
    dx: object


class Scratch(NamedTuple):
    """A thread's memory."""

    columns: object
    gradients: object  # dy of several images
    totals: object
    vector: object
    rows: object  # the last three are those of `Terms`
    taps: object
    outputs: object


# --- blocks ----------------------------------------------------------------------------------------------------------


def _columns(plan, axis, positions):
    """At most so many outputs have terms for some neighbouring positions along the axis."""
    reach = (plan.taps[axis] - 1) * plan.dilation[axis]
    along = min((positions - 1 + reach) // plan.stride[axis] + 1, plan.outputs[axis])
    return along * plan.out_strides[axis]


def choose_blocks(plan, shape, itemsize, threads) -> Blocks:
    """The blocks of a gradient: as large as L2 allows, cut until all threads are busy. They have no influence on bits,
    for neither the sums of the product nor the order in which an element's terms are added depend on them."""
    axis, taps, lanes = first_axis_of(plan), math.prod(plan.taps), machine.vector_bytes() // itemsize
    positions, reach = plan.sizes[axis], (plan.taps[axis] - 1) * plan.dilation[axis] + 1
    column, few = taps * itemsize, min(shape.C, -(-4 * MR // taps))  # channels that make tiles of full height
    while positions > 1 and _columns(plan, axis, positions) * column * few > COLUMNS_BYTES:
        if positions >= 4 * reach:
            positions = -(-positions // 2)
        elif few > 1:
            few = 1
        else:
            positions = -(-positions // 2)
    columns = _columns(plan, axis, positions)
    parts = -(-shape.N // max(FEW_PANELS * NV * lanes // columns, 1)) if positions == plan.sizes[axis] else shape.N
    images = -(-shape.N // parts)
    channels = -(-shape.C // -(-shape.C // max(COLUMNS_BYTES // (images * columns * column), 1)))
    while True:
        tasks = parts * shape.groups * -(-shape.C // channels) * -(-plan.sizes[axis] // positions)
        if tasks % threads == 0 or tasks >= 4 * threads:
            break
        if channels > 1 and channels * taps >= 4 * MR:
            channels = -(-channels // 2)
        elif positions >= 4 * reach:
            positions, images, parts = -(-positions // 2), 1, shape.N
        else:
            break
    # of several images all outputs have columns, also those without terms
    columns = images * math.prod(plan.outputs) if images > 1 else _columns(plan, axis, positions)
    vectors = -(-columns // lanes) + 1
    return Blocks(positions, channels, images, vectors * lanes)


# --- the columns of a task -------------------------------------------------------------------------------------------


@jit(inline=True)
def _position_parts(plan, blocks):
    """Blocks of positions."""
    length = plan.sizes[first_axis(plan)]
    return (length + blocks.positions - 1) // blocks.positions


@jit(merge=True)
def _place(plan, blocks, number):
    """Block `number` of positions."""
    axis = first_axis(plan)
    start, inner = number * blocks.positions, ONE
    for later in range(axis + 1, 3):
        inner *= plan.outputs[later]
    stop = min(start + blocks.positions, plan.sizes[axis])
    stride, reach = plan.stride[axis], (plan.taps[axis] - 1) * plan.dilation[axis]
    first = max((start - plan.origin[axis] - reach + stride - 1) // stride, 0)
    last = min((stop - 1 - plan.origin[axis]) // stride, plan.outputs[axis] - 1)
    first, columns = min(first, last + 1) * inner, max(last + 1 - first, 0) * inner
    if blocks.images > 1:  # all positions, and all outputs of each image
        first, columns = ZERO, plan.out_size
    (D, H, W) = plan.sizes
    if axis == 0:
        return Place((start, ZERO, ZERO), (stop, H, W), first, columns)
    if axis == 1:
        return Place((ZERO, start, ZERO), (D, stop, W), first, columns)
    return Place((ZERO, ZERO, start), (D, H, stop), first, columns)


@jit(inline=True)
def _image(operands, shape, plan, group, image):
    """dy of one image and group."""
    return shifted(operands.dy, (image * shape.groups + group) * shape.M * plan.out_size)


@jit
def _multiply(operands, plan, shape, part, images, place, row, scratch):
    """The columns of a part: ``columns = W DY``. Rows of W are channels and taps; those of DY, channels, hold the
    outputs of the place, or all outputs of several images, which are copied side by side."""
    kernel, (first, stop) = product(plan.taps), images
    W = shifted(operands.weight, (part.group * shape.M * shape.C + part.c) * kernel)
    W, dy = strided(W, 1, shape.C * kernel), _image(operands, shape, plan, part.group, first)
    DY = strided(shifted(dy, place.first), plan.out_size, 1)
    if stop - first > 1:
        DY = strided(scratch.gradients, row, 1)
        for image in range(first, stop):
            dy = strided(_image(operands, shape, plan, part.group, image), plan.out_size, 1)
            for m in range(shape.M):
                to = DY.at(m, (image - first) * plan.out_size)
                for i in range(0, plan.out_size, lane_count(dy)):
                    store_partial(to, i, plan.out_size - i, load_partial(dy.row(m), i, plan.out_size - i, 0.0))
    product_shape = ProductShape(part.C * kernel, (stop - first) * place.columns, shape.M)
    # each costs a pass over memory: an operand whose rows or columns collide in L1, if it is read often
    pack_w = in_same_set(W.column_stride, W)
    packing = Packing(pack_w, in_same_set(DY.row_stride, W), False)
    columns = strided(scratch.columns, row, 1)
    gemm(W, DY, columns, product_shape, Epilogue(STORE, columns), packing)


# --- tasks -----------------------------------------------------------------------------------------------------------


@jit(merge=True)
def _allocate(plan, shape, blocks, like):
    columns = blocks.channels * product(plan.taps) * blocks.row
    return Scratch(
        allocate(like, columns),
        allocate(like, shape.M * blocks.row if blocks.images > 1 else 0),
        allocate(like, ABREAST * lane_count(like)),
        allocate(like, lane_count(like)),
        allocate(np.int64, plan.taps[0] * plan.taps[1]),
        allocate(np.int64, plan.stride[2]),
        allocate(np.int64, plan.stride[2]),
    )


@jit(merge=True)
def _release(scratch):
    release(scratch.columns)
    release(scratch.gradients)
    release(scratch.totals)
    release(scratch.vector)
    release(scratch.rows)
    release(scratch.taps)
    release(scratch.outputs)


@jit
def gather_columns(first, last, operands, plan, shape, blocks):
    """``dx[n, g, c, i] = bias[g, c] + sum over channels m, outputs o and taps k of i of dy[n, g, m, o] * weight[g, m,
    c, k]``: the tasks from `first` to `last` - 1."""
    N, groups, C, M = shape
    parts, position_parts = (C + blocks.channels - 1) // blocks.channels, _position_parts(plan, blocks)
    scratch = _allocate(plan, shape, blocks, operands.dx)
    for task in range(first, last):
        number, c = task // position_parts, task // position_parts % parts * blocks.channels
        group, image = number // parts % groups, number // parts // groups * blocks.images
        part = Part(group, ZERO, M, c, min(blocks.channels, C - c))
        place, stop = _place(plan, blocks, task % position_parts), min(image + blocks.images, N)
        if place.columns > 0:
            _multiply(operands, plan, shape, part, (image, stop), place, blocks.row, scratch)
        for n in range(image, stop):
            columns = shifted(scratch.columns, (n - image) * plan.out_size)
            dx = shifted(operands.dx, ((n * groups + group) * C + c) * product(plan.sizes))
            bias = shifted(operands.bias, group * C + c)
            col2im(plan, place, part.C, Columns(columns, blocks.row), bias, dx, scratch)
    _release(scratch)


_POSITIONS, _CHANNELS, _IMAGES, _ROW = range(4)  # what `run` encodes after the block


@jit
def _gather_parallel(dy, weight, bias, dx, numbers, tasks, threads):
    plan, shape, _, others = decode(numbers)
    blocks = Blocks(others[_POSITIONS], others[_CHANNELS], others[_IMAGES], others[_ROW])
    arguments = Operands(flat(dy), flat(weight), flat(bias), flat(dx)), plan, shape, blocks
    parallel_for(gather_columns, tasks, 1, threads, arguments)


_compiled = Compiled(
    _gather_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], kind[::1], int64[::1], int64, int64)
)


def pays(plan, shape, itemsize) -> bool:
    """Whether the columns are likely faster than the phases of `correlation`, by an estimate of both in multiply-adds
    of one image and group, idle lanes included."""
    N, _, C, M = shape
    taps, outputs, stride = math.prod(plan.taps), math.prod(plan.outputs), math.prod(plan.stride)
    if taps == 1 or C == M == 1:  # no columns to add up; depthwise
        return False
    lanes, positions = machine.vector_bytes() // itemsize, math.prod(plan.sizes) / stride
    if C <= FEW_CHANNELS:  # pixels in lanes; a tile of a single channel loads a vector for each multiply-add
        rows = 2 if C == 1 else 4 if C <= 4 else 8
        vectors = -(-plan.sizes[2] // (plan.stride[2] * lanes))
        positions *= vectors * lanes * plan.stride[2] / plan.sizes[2]
    else:
        rows = -(-C // lanes) * lanes
    phases = rows * (taps * M * (positions + PACKED / N) + (STORED * stride * positions if stride > 1 else 0))
    return PRODUCT * C * taps * outputs * (M + ADDED) < phases


def run(dy, weight, bias, dx, plan, shape):
    """The gradient with respect to x by the convolution's plan, plus bias, for arrays (N, C, …) of which none is
    empty."""
    threads = threads_for(multiply_adds=math.prod(plan.taps) * math.prod(plan.outputs) * math.prod(shape))
    blocks = choose_blocks(plan, shape, dx.itemsize, threads)
    image_parts, channel_parts = -(-shape.N // blocks.images), -(-shape.C // blocks.channels)
    tasks = image_parts * shape.groups * channel_parts * _position_parts(plan, blocks)
    bias = bias if bias.size else np.zeros(dx.shape[1], dx.dtype)
    numbers = encode(plan, shape, plan.outputs, *blocks)
    _compiled[dx.dtype](dy.reshape(-1), weight.reshape(-1), bias, dx.reshape(-1), numbers, tasks, threads)
