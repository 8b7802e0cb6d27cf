"""The plan of a sum over taps, and the blocks of outputs that it is computed in.

A triple holds depth, height and width; what a convolution over fewer axes lacks has length 1.
"""

import itertools
from typing import NamedTuple

import numpy as np

from kernels._jit import jit


class Plan(NamedTuple):
    """A convolution, or one phase of its gradient with respect to x (see `correlation`).

    Along each axis, output o sums taps k < `taps`, which read position ``origin + o * stride + k * dilation`` of x;
    positions outside x count as zeros.
    """

    sizes: tuple  # of x
    taps: tuple
    dilation: tuple
    stride: tuple
    origin: tuple  # of the convolution: -padding
    outputs: tuple
    out_strides: tuple  # elements of the result from one output to the next
    tap_strides: tuple  # elements of the weight from one tap to the next
    first_output: int  # element of a channel of the result
    first_tap: int  # element of a kernel
    out_size: int  # elements of a channel of the result
    kernel_size: int  # elements of a kernel: a phase sums only some of its taps
    transposed: int  # 1 where the weight is (groups, C, M, *kernel), 0 where it is (groups, M, C, *kernel)


class Shape(NamedTuple):
    """Of a convolution: N images, and in each of the groups M output channels that sum C channels each."""

    N: int
    groups: int
    C: int
    M: int


class Part(NamedTuple):
    """In `group`, M output channels from `m` on, which sum C channels from `c` on."""

    group: int
    m: int
    M: int
    c: int
    C: int


class OutputBlock(NamedTuple):
    """Some outputs: the first one's indices, how many there are, and the position in x of the block that they need."""

    first: tuple
    outputs: tuple
    start: tuple


# --- from Python to compiled code ------------------------------------------------------------------------------------

_TRIPLES = 8  # fields of a plan that are triples; they come first


def encode(plan, shape, outputs, *others) -> np.ndarray:
    """A plan, a shape, the extents of a block of outputs and other integers as one array: Numba takes longer to unpack
    a NamedTuple than a small convolution takes."""
    return np.array([*itertools.chain(*plan[:_TRIPLES]), *plan[_TRIPLES:], *shape, *outputs, *others], np.int64)


@jit(inline=True)
def _triple(numbers, i):
    return numbers[i], numbers[i + 1], numbers[i + 2]


@jit(merge=True)
def decode(numbers):
    """What `encode` was given; the other integers as an array."""
    n = numbers
    sizes, taps, dilation, stride = _triple(n, 0), _triple(n, 3), _triple(n, 6), _triple(n, 9)
    origin, outputs, out_strides, tap_strides = _triple(n, 12), _triple(n, 15), _triple(n, 18), _triple(n, 21)
    (first_output, first_tap, out_size), (kernel_size, transposed, N) = _triple(n, 24), _triple(n, 27)
    plan = Plan(
        sizes,
        taps,
        dilation,
        stride,
        origin,
        outputs,
        out_strides,
        tap_strides,
        first_output,
        first_tap,
        out_size,
        kernel_size,
        transposed,
    )
    groups, C, M = _triple(n, 30)
    return plan, Shape(N, groups, C, M), _triple(n, 33), n[36:]


# --- blocks ----------------------------------------------------------------------------------------------------------


def extents_of(plan, outputs):
    """How far the taps of neighbouring outputs reach in x, along each axis."""
    stride, taps, dilation = plan.stride, plan.taps, plan.dilation
    return (
        (outputs[0] - 1) * stride[0] + (taps[0] - 1) * dilation[0] + 1,
        (outputs[1] - 1) * stride[1] + (taps[1] - 1) * dilation[1] + 1,
        (outputs[2] - 1) * stride[2] + (taps[2] - 1) * dilation[2] + 1,
    )


extents = jit(inline=True)(extents_of)


def first_axis_of(plan):
    """The first axis with more than one position or output."""
    if max(plan.sizes[0], plan.outputs[0]) > 1:
        return 0
    return 1 if max(plan.sizes[1], plan.outputs[1]) > 1 else 2


first_axis = jit(inline=True)(first_axis_of)


@jit(inline=True)
def product(triple):
    return triple[0] * triple[1] * triple[2]


@jit(inline=True)
def block_counts(plan, outputs):
    """Blocks of `outputs` outputs along each axis."""
    return (
        (plan.outputs[0] + outputs[0] - 1) // outputs[0],
        (plan.outputs[1] + outputs[1] - 1) // outputs[1],
        (plan.outputs[2] + outputs[2] - 1) // outputs[2],
    )


@jit(inline=True)
def block_from(plan, first, outputs):
    """The block of up to `outputs` outputs from `first` on."""
    counts = (
        min(outputs[0], plan.outputs[0] - first[0]),
        min(outputs[1], plan.outputs[1] - first[1]),
        min(outputs[2], plan.outputs[2] - first[2]),
    )
    start = (
        plan.origin[0] + first[0] * plan.stride[0],
        plan.origin[1] + first[1] * plan.stride[1],
        plan.origin[2] + first[2] * plan.stride[2],
    )
    return OutputBlock(first, counts, start)


@jit(inline=True)
def block_at(plan, outputs, number, counts):
    """Block `number` of ``counts`` along each axis."""
    d = number // (counts[1] * counts[2]) * outputs[0]
    h = number // counts[2] % counts[1] * outputs[1]
    w = number % counts[2] * outputs[2]
    return block_from(plan, (d, h, w), outputs)


@jit(inline=True)
def offset(indices, strides):
    """Elements from the first one to that at these indices."""
    return indices[0] * strides[0] + indices[1] * strides[1] + indices[2] * strides[2]


@jit(inline=True)
def is_plane_by_plane(plan):
    """Whether each plane of the result is computed from the plane of x that has its place, with all of the taps, and is
    contiguous: not a phase of a gradient, which has some of the taps and every so many of the outputs."""
    all_taps = plan.kernel_size == product(plan.taps) and plan.first_output == 0
    contiguous = plan.out_strides[2] == 1 and plan.out_strides[1] == plan.outputs[2]
    return all_taps and contiguous and plan.sizes[0] == plan.outputs[0] == plan.taps[0] == 1 and plan.origin[0] == 0


@jit(merge=True)
def part_of(number, shape, blocks):
    """The channels of dy and x of task `number` of a split."""
    parts = (shape.M + blocks.out_channels - 1) // blocks.out_channels
    channel_parts = (shape.C + blocks.channels - 1) // blocks.channels
    group, m, c = (
        number // channel_parts // parts,
        number // channel_parts % parts * blocks.out_channels,
        number % channel_parts,
    )
    c *= blocks.channels
    return Part(group, m, min(blocks.out_channels, shape.M - m), c, min(blocks.channels, shape.C - c))
