r"""The convolution by tiles that read x itself; its gradient with respect to x and the transposed convolution run the
same loops.

Along each axis, output o sums over taps k, which read position ``origin + o*stride + k*dilation`` of x; positions
outside x count as zeros. For the convolution, origin is -padding. In the gradient with respect to x the roles are
exchanged: x's gradient gathers from dy (a scatter of dy would access every element of dx many times). With stride s,
only every s-th position of dx sums over the same taps, so that the positions fall into s phases an axis, each of them
such a sum with stride 1.

A task is a block of outputs of one image in some of the output channels. Its thread packs their weights once for all
its blocks, and copies the block of x that each needs, with the padding around it, to where it stays in L2. Where the
weights of NR output channels would not stay there beside it, the input channels are processed in blocks, and y is
updated once per block. Nested: `correlate` (part, block) > `_correlate_panels` (output channels) > `_correlate_block`
(d, h, w) > `correlate_tile` (channels and taps).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import int64

from kernels import machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.convolution.micro import (
    FEW_CHANNELS,
    MR,
    ROW_CHANNELS,
    Epilogue,
    Reduction,
    correlate_row,
    correlate_tile,
    correlate_tile_of_stride_2,
    row_vectors,
    store_row_tile,
    store_tile,
    tile_height,
    tile_width,
)
from kernels.convolution.pack import copy_block, copy_by_phase, pack_weights, square_size
from kernels.convolution.plan import (
    Part,
    Shape,
    block_at,
    block_counts,
    decode,
    encode,
    extents,
    extents_of,
    offset,
    product,
)
from kernels.gemm.micro import ADD, BIAS, CHAIN, NV, STORE
from kernels.simd import allocate, flat, lane_count, prefetch, release, shifted, strided

# Bytes of a panel of weights, and of a block of x: they are read again for each tile.
PANEL_BYTES = BLOCK_BYTES = machine.cache_bytes(2) // 2
PANELS_BYTES = 5 * 2**18  # of all panels of a task, beside the block of x
# Blocks are cut until all threads are busy, unless they are small already (in multiply-adds); where the number of tasks
# has an influence on bits, until there are MIN_TASKS.
MIN_TASKS, SMALL_BLOCK = 16, 2_000_000
MAX_PIXELS = 8 * MR  # of a row whose sums are stored together
SHORT = 64  # up to so many products per output, transposing a tile costs more than it saves

ONE = np.int64(1)  # typed: Numba compiles a callee anew for each literal argument


class Blocks(NamedTuple):
    """What a task takes: a block of outputs, in some output channels; and how many channels are summed at a time."""

    outputs: tuple
    channels: int
    out_channels: int
    pixel_lanes: bool  # the lanes of a vector are pixels instead of output channels


class Operands(NamedTuple):
    """The memory of x (N, groups, C, *sizes), of the weight and of the result (N, groups, M, …)."""

    x: object
    weight: object
    out: object


class Panels(NamedTuple):
    """Packed weights: `channels` output channels a panel, `size` elements from one panel to the next."""

    memory: object
    channels: int
    size: int
    pixel_lanes: bool  # see `Blocks`


class InputBlock(NamedTuple):
    """A copy of the block of x that some outputs need."""

    memory: object
    reduction: Reduction  # over channels and taps
    strides: tuple  # elements from one output to the next, along each axis


class Result(NamedTuple):
    """Where outputs are stored: memory from the first on, elements from one channel and from one output to the next."""

    memory: object
    channel_stride: int
    strides: tuple


class Scratch(NamedTuple):
    """A thread's memory."""

    panels: object
    block: object
    totals: object
    square: object
    offsets: object  # of taps and channels


def _busy(plan, shape, block, out_channels, threads):
    """Whether tasks of these blocks keep so many threads about equally busy."""
    lengths, sizes = (*plan.outputs, shape.M), (*block, out_channels)
    tasks, even = shape.N * shape.groups, True
    for axis in range(4):
        parts = -(-lengths[axis] // sizes[axis])
        tasks, even = tasks * parts, even and parts * sizes[axis] <= 1.1 * lengths[axis]
    return (even and tasks % threads == 0) or tasks >= 4 * threads


def _shares_x(plan, shape, block, channels, out_channels):
    """Whether tasks rather share a block of x than its weights: where halves of the block would overlap too much, or it
    is copied in less time than its weights are packed."""
    overlap = 4 * (plan.taps[1] - 1) * plan.dilation[1] > block[1] * plan.stride[1]
    weights = min(out_channels, shape.M) * channels * math.prod(plan.taps)
    return overlap or math.prod(extents_of(plan, block)) * channels < weights


def choose_blocks(plan, shape, itemsize, pixel_lanes, threads) -> Blocks:
    """The blocks of a convolution. How the outputs are cut has no influence on their bits and may depend on the number
    of threads; how many channels are summed at a time has, and does not."""
    NR = NV * machine.vector_bytes() // itemsize
    taps = math.prod(plan.taps)
    rounds = -(-shape.C * taps * NR * itemsize // PANEL_BYTES)
    channels = max(-(-shape.C // rounds), 1)
    parts = -(-shape.M * channels * taps * itemsize // PANELS_BYTES)
    out_channels = -(-shape.M // (parts * NR)) * NR
    block = plan.outputs
    while True:
        fits = math.prod(extents_of(plan, block)) * channels * itemsize <= BLOCK_BYTES
        small = math.prod(block) * channels * taps * min(out_channels, shape.M) <= SMALL_BLOCK
        if fits and (small or _busy(plan, shape, block, out_channels, threads)):
            break
        if block[0] > 1:
            block = -(-block[0] // 2), block[1], block[2]
        elif fits and out_channels > NR and _shares_x(plan, shape, block, channels, out_channels):
            # and each thread packs only its own weights
            parts = -(-shape.M // (out_channels // (2 * NR) * NR or NR))
            out_channels = -(-shape.M // (parts * NR)) * NR
        elif block[1] > 1:
            block = block[0], -(-block[1] // 2), block[2]
        elif block[2] > 4 * MR:
            block = block[0], block[1], -(-block[2] // (2 * MR)) * MR
        elif fits or channels == 1:
            break
        else:
            channels = -(-channels // 2)
    return Blocks(block, channels, out_channels, pixel_lanes)


# --- a block of outputs ----------------------------------------------------------------------------------------------


@jit
def _correlate_block(block, panel, outputs, channels, epilogue, result, scratch):
    """All outputs of one block in one panel's output channels, tile by tile along the width; those of a row are stored
    together, in whole vectors."""
    width = tile_width(channels, result.memory)
    for d in range(outputs[0]):
        for h in range(outputs[1]):
            X = strided(shifted(block.memory, d * block.strides[0] + h * block.strides[1]), block.strides[2], 1)
            to = shifted(result.memory, d * result.strides[0] + h * result.strides[1])
            Y = strided(to, result.channel_stride, result.strides[2])
            for start in range(0, outputs[2], MAX_PIXELS):
                stop, w = min(start + MAX_PIXELS, outputs[2]), start
                while w < stop:
                    rows = tile_height(stop - w)
                    for m in range(channels):  # each in another page: prefetch it before it is due
                        prefetch(Y.at(m, w), 0)
                    totals = shifted(scratch.totals, (w - start) * width)
                    if block.strides[2] == 1:
                        correlate_tile(rows, width, X.row(w), block.reduction, panel, totals, False)
                    else:
                        correlate_tile_of_stride_2(rows, width, X.row(w), block.reduction, panel, totals, False)
                    w += rows
                tile = strided(scratch.totals, width, 1)
                store_tile(tile, stop - start, channels, epilogue, Y.column(start), scratch.square)


@jit
def _correlate_block_by_rows(block, panel, outputs, channels, epilogue, result, scratch):
    """`_correlate_block` for few output channels: the lanes are pixels."""
    lanes = lane_count(result.memory)
    for d in range(outputs[0]):
        for h in range(outputs[1]):
            w = 0
            while w < outputs[2]:
                vectors = row_vectors(channels, outputs[2] - w, lanes)
                pixels = min(vectors * lanes, outputs[2] - w)
                X = strided(shifted(block.memory, d * block.strides[0] + h * block.strides[1] + w), 1, 1)
                correlate_row(channels, vectors, X, block.reduction, panel, scratch.totals)
                to = shifted(result.memory, offset((d, h, w), result.strides))
                Y = strided(to, result.channel_stride, result.strides[2])
                tile = strided(scratch.totals, vectors * lanes, 1)
                store_row_tile(tile, channels, pixels, epilogue, Y, scratch.square)
                w += pixels


@jit(merge=True)
def _correlate_panels(block, panels, outputs, M, epilogue, result, scratch):
    """One block of outputs in M output channels, panel by panel."""
    for m in range(0, M, panels.channels):
        panel, channels = shifted(panels.memory, m // panels.channels * panels.size), min(panels.channels, M - m)
        of_panel = Epilogue(epilogue.mode, shifted(epilogue.bias, m), epilogue.relu)
        to = Result(shifted(result.memory, m * result.channel_stride), result.channel_stride, result.strides)
        if panels.pixel_lanes:
            _correlate_block_by_rows(block, panel, outputs, channels, of_panel, to, scratch)
        else:
            _correlate_block(block, panel, outputs, channels, of_panel, to, scratch)


# --- what is copied --------------------------------------------------------------------------------------------------


@jit(inline=True)
def _panels(plan, blocks, memory):
    lanes = lane_count(memory)
    size = blocks.channels * product(plan.taps)
    if blocks.pixel_lanes:
        return Panels(memory, min(ROW_CHANNELS, lanes), size * lanes, True)
    return Panels(memory, NV * lanes, size * NV * lanes, False)


@jit(inline=True)
def weights_at(weight, plan, shape, group, m, c):
    """The view W of the weight: W[i, j] is the first element of the kernel for output channel m + i, channel c + j."""
    size = plan.kernel_size
    row_stride, column_stride = (size, shape.M * size) if plan.transposed else (shape.C * size, size)
    return strided(shifted(weight, group * shape.M * shape.C * size), row_stride, column_stride).at(m, c)


@jit(merge=True)
def _pack_part(W, plan, part, panels, square):
    """The weights of a part, panel by panel."""
    lanes = lane_count(panels.memory)
    for m in range(0, part.M, panels.channels):
        width = lanes if panels.pixel_lanes else tile_width(part.M - m, panels.memory)
        panel = shifted(panels.memory, m // panels.channels * panels.size)
        pack_weights(W.row(m), plan, min(panels.channels, part.M - m), part.C, width, panel, square)


@jit(inline=True)
def channels_of_table(channels, taps):
    """Channels whose taps one table of offsets holds: a chain of additions, or all taps of one channel."""
    return max(min(channels, CHAIN // taps), 1)


@jit(merge=True)
def copy_input(x, plan, place, channels, phases, scratch):
    """Copy the block of `channels` channels of x that the outputs of `place` need, the elements of each row sorted into
    `phases`, 1 or the stride: then what a tap reads for neighbouring outputs lies side by side."""
    extent, (down, along, _), taps = extents(plan, place.outputs), plan.dilation, plan.taps
    length = (extent[2] + phases - 1) // phases
    row = length * phases
    slice = extent[1] * row
    size = extent[0] * slice
    if phases == 1:
        copy_block(x, plan.sizes, place.start, extent, channels, scratch.block, size)
    else:
        copy_by_phase(x, plan.sizes, place.start, extent, channels, scratch.block, size, phases)
    count, number = channels_of_table(channels, product(taps)), 0
    for c in range(count):
        for i in range(taps[0]):
            for j in range(taps[1]):
                first = c * size + i * down * slice + j * along * row
                for k in range(taps[2]):
                    position = k * plan.dilation[2]
                    scratch.offsets[number] = first + position % phases * length + position // phases
                    number += 1
    reduction = Reduction(scratch.offsets, number, count * size, channels * product(taps))
    strides = (plan.stride[0] * slice, plan.stride[1] * row, plan.stride[2] // phases)
    return InputBlock(scratch.block, reduction, strides)


@jit(merge=True)
def _allocate(plan, shape, blocks, like):
    lanes, panels = lane_count(like), _panels(plan, blocks, like)
    count = (min(blocks.out_channels, shape.M) + panels.channels - 1) // panels.channels
    largest = extents(plan, blocks.outputs)
    row, taps = largest[2] + plan.stride[2] - 1, max(product(plan.taps), 1)
    return Scratch(
        allocate(like, count * panels.size + lanes * NV * lanes),
        allocate(like, blocks.channels * largest[0] * largest[1] * row + 4 * lanes),
        allocate(like, (MAX_PIXELS + lanes) * NV * lanes),
        allocate(like, square_size(max(plan.kernel_size, 1), lanes)),
        allocate(np.int64, channels_of_table(blocks.channels, taps) * taps),
    )


@jit(merge=True)
def _release(scratch):
    release(scratch.panels)
    release(scratch.block)
    release(scratch.totals)
    release(scratch.square)
    release(scratch.offsets)


# --- tasks -----------------------------------------------------------------------------------------------------------


@jit
def correlate(first_thread, last_thread, threads, operands, plan, shape, blocks, epilogue):
    """``out[n, g, m] = relu(bias[m] + sum over channels c and taps of x[n, g, c] * weight[g, m, c])`` by `plan`: the
    tasks that fall to the threads from `first_thread` to `last_thread` - 1."""
    N, groups, C, M = shape
    counts = block_counts(plan, blocks.outputs)
    tasks_of_part, parts = N * product(counts), (M + blocks.out_channels - 1) // blocks.out_channels
    tasks = groups * parts * tasks_of_part
    task, last = first_thread * tasks // threads, last_thread * tasks // threads
    scratch = _allocate(plan, shape, blocks, operands.out)
    panels = _panels(plan, blocks, scratch.panels)
    phases = ONE if plan.stride[2] == 2 and not blocks.pixel_lanes else plan.stride[2]
    while task < last:  # part by part
        stop = min(last, (task // tasks_of_part + 1) * tasks_of_part)
        group, m = task // tasks_of_part // parts, task // tasks_of_part % parts * blocks.out_channels
        for c in range(0, C, blocks.channels):
            part = Part(group, m, min(blocks.out_channels, M - m), c, min(blocks.channels, C - c))
            W = weights_at(operands.weight, plan, shape, group, m, c)
            _pack_part(W, plan, part, panels, scratch.square)
            mode = ADD if c > 0 else epilogue.mode
            of_part = Epilogue(mode, shifted(epilogue.bias, group * M + m), epilogue.relu and c + part.C >= C)
            for number in range(task, stop):
                image, block = divmod(number % tasks_of_part, product(counts))
                place = block_at(plan, blocks.outputs, block, counts)
                n = image * groups + group
                x = shifted(operands.x, (n * C + c) * product(plan.sizes))
                copied = copy_input(x, plan, place, part.C, phases, scratch)
                to = plan.first_output + (n * M + m) * plan.out_size + offset(place.first, plan.out_strides)
                result = Result(shifted(operands.out, to), plan.out_size, plan.out_strides)
                _correlate_panels(copied, panels, place.outputs, part.M, of_part, result, scratch)
        task = stop
    _release(scratch)


@jit
def correlate_phases(first_thread, last_thread, threads, operands, phases, bias):
    """`correlate` for each phase; the threads take turns, for a phase can be a single task."""
    for number in range(len(phases)):
        plan, shape, outputs, others = decode(phases[number])
        blocks = Blocks(outputs, others[_CHANNELS], others[_OUT_CHANNELS], others[_PIXEL_LANES] == 1)
        epilogue = Epilogue(BIAS if bias.size else STORE, flat(bias), others[_RELU] == 1)
        for thread in range(first_thread, last_thread):
            turn = (thread + number) % threads
            correlate(turn, turn + 1, threads, operands, plan, shape, blocks, epilogue)


_CHANNELS, _OUT_CHANNELS, _PIXEL_LANES, _RELU = range(4)  # what `run` encodes after the block


@jit
def _correlate_parallel(x, weight, bias, out, phases, threads):
    operands = Operands(flat(x), flat(weight), flat(out))
    parallel_for(correlate_phases, threads, 1, threads, (threads, operands, phases, bias))


_compiled = Compiled(
    _correlate_parallel, lambda kind: (kind[::1], kind[::1], kind[::1], kind[::1], int64[:, ::1], int64)
)


def _encode(plan, shape, relu, itemsize, threads):
    """A plan with suitable blocks."""
    # With few channels the lanes would be idle; with few products to an output, transposing a tile would take longer.
    lanes, width = machine.vector_bytes() // itemsize, plan.outputs[2]
    few_products = shape.M <= 2 * FEW_CHANNELS <= width and shape.C * math.prod(plan.taps) <= SHORT
    few_channels = shape.M <= FEW_CHANNELS or (shape.M <= lanes < width and width / (-(-width // lanes) * lanes) >= 0.8)
    blocks = choose_blocks(plan, shape, itemsize, few_channels or few_products, threads)
    return encode(plan, shape, blocks.outputs, blocks.channels, blocks.out_channels, blocks.pixel_lanes, relu)


def run(x, weight, bias, relu, out, plans, groups, threads=None):
    """`correlate` for arrays (N, C, …) by each of the plans, which compute different outputs, with suitable blocks and,
    unless given, number of threads."""
    shape = Shape(x.shape[0], groups, x.shape[1] // groups, out.shape[1] // groups)
    work = sum(math.prod(plan.taps) * math.prod(plan.outputs) for plan in plans) * math.prod(shape)
    threads = threads or threads_for(multiply_adds=work)
    phases = np.stack([_encode(plan, shape, relu, out.itemsize, threads) for plan in plans])
    _compiled[out.dtype](x.reshape(-1), weight.reshape(-1), bias, out.reshape(-1), phases, threads)
