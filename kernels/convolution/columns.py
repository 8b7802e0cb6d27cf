r"""The convolution's gradient with respect to x by columns: a matrix product, and col2im.

.. math:: columns = W^T dy, \qquad dx[i] = \sum_k columns[k, o] \quad\text{where}\quad
    i = \mathrm{origin} + o\,\mathrm{stride} + k\,\mathrm{dilation}

The columns are those of im2col, one row for each channel of x and tap, one column for each output. The product needs no
copies: the weight, (M, C * taps), and dy, (M, outputs), are matrices already. `correlation` sums the same products a
tile of outputs at a time, in phases where there is a stride; here a tile is channels and taps by outputs, so that few
channels of x, narrow rows and phases of few taps leave no lanes idle:

          outputs                                  dx, stride 1
     k=0  [ a0 a1 a2 a3                        [ a0 a1 a2 a3 .  .
     k=1  [ b0 b1 b2 b3          →           + [ .  b0 b1 b2 b3 .
     k=2  [ c0 c1 c2 c3                      + [ .  .  c0 c1 c2 c3

Each element of dx is summed in a register from the rows that have a term for it, and written once. A task is some
channels of one image, or some positions of them, whose columns stay in L2.

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
from kernels.convolution import micro
from kernels.convolution.micro import FEW_CHANNELS, store_row_tile
from kernels.convolution.plan import Part, decode, encode, product
from kernels.gemm.driver import Packing, gemm
from kernels.gemm.driver import Shape as ProductShape
from kernels.gemm.micro import BIAS, MR, NV, STORE, Epilogue
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
    tile_plus_between,
    tile_store,
    tile_zeros,
)

# Costs in multiply-adds of all lanes: of adding up a vector of columns; of packing an element of the weight for phases,
# and of storing a vector of every so many outputs; and how much longer a multiply-add takes in the product.
ADDED, PACKED, STORED, PRODUCT = 8, 64, 60, 1.15
FEW_PANELS = 8  # of outputs, from which on the product of a single image leaves few of its columns idle
ABREAST = 4  # channels whose terms are added up side by side, at the same places
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


class Place(NamedTuple):
    """Positions of x from `start` to `stop` - 1, and the outputs, consecutive, from the first to the last of which they
    get terms: `columns` of them from number `first` on."""

    start: tuple
    stop: tuple
    first: int
    columns: int


class Columns(NamedTuple):
    """The columns of one image: rows lie `row` elements apart."""

    memory: object
    row: int


class Terms(NamedTuple):
    """What the elements of a row of dx sum: in each of `count` rows of columns, which begin at ``rows``, the outputs
    from ``between[0]`` to ``between[1] - 1``; the taps and outputs of a phase along the width as `_first_taps` has
    them."""

    rows: object
    count: int
    between: tuple
    taps: object
    outputs: object
    row: int  # elements from one row of columns to the next
    step: int  # from one tap of a phase to the next
    back: int  # and from one of its outputs to the next


# --- blocks ----------------------------------------------------------------------------------------------------------


def _first_axis_of(plan):
    """The first axis with more than one position or output."""
    if max(plan.sizes[0], plan.outputs[0]) > 1:
        return 0
    return 1 if max(plan.sizes[1], plan.outputs[1]) > 1 else 2


_first_axis = jit(inline=True)(_first_axis_of)


def _columns(plan, axis, positions):
    """At most so many outputs have terms for some neighbouring positions along the axis."""
    reach = (plan.taps[axis] - 1) * plan.dilation[axis]
    along = min((positions - 1 + reach) // plan.stride[axis] + 1, plan.outputs[axis])
    return along * math.prod(plan.outputs[axis + 1 :])


def choose_blocks(plan, shape, itemsize, threads) -> Blocks:
    """The blocks of a gradient: as large as L2 allows, cut until all threads are busy. They have no influence on bits,
    for neither the sums of the product nor the order in which an element's terms are added depend on them."""
    axis, taps, lanes = _first_axis_of(plan), math.prod(plan.taps), machine.vector_bytes() // itemsize
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
    vectors = -(-images * _columns(plan, axis, positions) // lanes) + 1
    return Blocks(positions, channels, images, vectors * lanes)


# --- the columns of a task -------------------------------------------------------------------------------------------


@jit(inline=True)
def _position_parts(plan, blocks):
    """Blocks of positions."""
    length = plan.sizes[_first_axis(plan)]
    return (length + blocks.positions - 1) // blocks.positions


@jit(merge=True)
def _place(plan, blocks, number):
    """Block `number` of positions."""
    axis = _first_axis(plan)
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


# --- col2im ----------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _find_rows(plan, place, row, at, rows):
    """Where the rows of columns with terms for row ``at``, its depth and height, of x begin, those of tap 0 along the
    width and output 0 of the row; returns how many there are."""
    (KD, KH, KW), count = plan.taps, ZERO
    for i in range(KD):
        od, left = divmod(at[0] - plan.origin[0] - i * plan.dilation[0], plan.stride[0])
        if left == 0 and 0 <= od < plan.outputs[0]:
            for j in range(KH):
                oh, left = divmod(at[1] - plan.origin[1] - j * plan.dilation[1], plan.stride[1])
                if left == 0 and 0 <= oh < plan.outputs[1]:
                    output = (od * plan.outputs[1] + oh) * plan.outputs[2] - place.first
                    rows[count] = (i * KH + j) * KW * row + output
                    count += 1
    return count


@jit(merge=True)
def _first_taps(plan, start, taps, outputs):
    """For each phase of the positions from `start` on along the width, the first tap that they get terms from, and the
    output where it has that of the phase's first position. Returns the distance from that tap to the phase's next."""
    stride, dilation = plan.stride[2], plan.dilation[2]
    common, rest = stride, dilation
    while rest > 0:  # Euclid's algorithm
        common, rest = rest, common % rest
    step = stride // common
    for phase in range(stride):
        taps[phase] = plan.taps[2]
    for tap in range(min(step, plan.taps[2])):
        output, phase = divmod(plan.origin[2] + tap * dilation - start, stride)
        taps[phase], outputs[phase] = tap, -output
    return step


def _row_kernel(channels):
    """`_store_row` of so many channels of x."""

    @jit(inline=True)
    def store_row(columns, terms, plan, width, bias, Y, scratch):
        lanes, stride, (first, stop) = lane_count(scratch.totals), plan.stride[2], terms.between
        epilogue, totals = micro.Epilogue(BIAS, bias, False), strided(scratch.totals, lanes, 1)
        for phase in range(min(stride, width)):
            count = (width - phase + stride - 1) // stride
            for j in range(0, count, lanes):
                acc, k, o = tile_zeros(scratch.totals, channels, 1), terms.taps[phase], terms.outputs[phase] + j
                while k < plan.taps[2]:
                    at = columns.column(k * terms.row + o)
                    for i in range(terms.count):
                        acc = tile_plus_between(acc, at.column(terms.rows[i]), first - o, stop - o)
                    k, o = k + terms.step, o - terms.back
                tile_store(totals, acc)
                to = strided(shifted(flat(Y), phase + j * stride), Y.row_stride, stride)
                store_row_tile(totals, channels, min(count - j, lanes), epilogue, to, scratch.vector)

    return store_row


_store_channels, _store_channel = _row_kernel(ABREAST), _row_kernel(1)


@jit
def _col2im(plan, place, channels, columns, bias, dx, scratch):
    """All rows of a place in some channels; `dx` and `bias` begin at the first of them."""
    (_, H, W), size, (memory, row), kernel = plan.sizes, product(plan.sizes), columns, product(plan.taps)
    step, between = _first_taps(plan, place.start[2], scratch.taps, scratch.outputs), (ZERO, plan.outputs[2])
    if _first_axis(plan) == 2:  # as many as there are columns
        between = place.first, place.first + place.columns
    back, width = step * plan.dilation[2] // plan.stride[2], place.stop[2] - place.start[2]
    for d in range(place.start[0], place.stop[0]):
        for h in range(place.start[1], place.stop[1]):
            count = _find_rows(plan, place, row, (d, h), scratch.rows) if place.columns > 0 else ZERO
            terms = Terms(scratch.rows, count, between, scratch.taps, scratch.outputs, row, step, back)
            c = 0
            while c < channels:
                of_channels = strided(shifted(memory, c * kernel * row), kernel * row, 1)
                Y = strided(shifted(dx, c * size + (d * H + h) * W + place.start[2]), size, 1)
                if channels - c >= ABREAST:
                    _store_channels(of_channels, terms, plan, width, shifted(bias, c), Y, scratch)
                    c += ABREAST
                else:
                    _store_channel(of_channels, terms, plan, width, shifted(bias, c), Y, scratch)
                    c += 1


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
        place, images = _place(plan, blocks, task % position_parts), (image, min(image + blocks.images, N))
        if place.columns > 0:
            _multiply(operands, plan, shape, part, images, place, blocks.row, scratch)
        for n in range(images[0], images[1]):
            columns = shifted(scratch.columns, (n - image) * plan.out_size)
            dx = shifted(operands.dx, ((n * groups + group) * C + c) * product(plan.sizes))
            bias = shifted(operands.bias, group * C + c)
            _col2im(plan, place, part.C, Columns(columns, blocks.row), bias, dx, scratch)
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
