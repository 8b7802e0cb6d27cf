"""Shapes of convolutions: arguments validated, and plans (see `plan`) made of them."""

import itertools
import math
from typing import NamedTuple

import numpy as np

from kernels.convolution.plan import Plan


class Geometry(NamedTuple):
    """One convolution along three axes; `padding` is the number of zeros before the first element."""

    sizes: tuple
    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    outputs: tuple


def per_axis(operation, name, value, rank, minimum):
    """One int an axis from an int or a sequence of them; ValueError where one is less than `minimum`."""
    values = (value,) * rank if isinstance(value, (int, np.integer)) else value
    if not isinstance(values, (tuple, list)) or not all(_is_int(v) for v in values):
        raise TypeError(f"{operation}: {name} must be an int or a tuple of {rank} ints, got {value!r}")
    if len(values) == 1:
        values = tuple(values) * rank
    if len(values) != rank or min(values) < minimum:
        raise ValueError(f"{operation}: {name} must be {rank} ints of at least {minimum}, got {value!r}")
    return tuple(int(v) for v in values)


def _is_int(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def positive_int(operation, name, value):
    """`value` as an int of at least 1."""
    if not _is_int(value):
        raise TypeError(f"{operation}: {name} must be an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{operation}: {name} must be at least 1, got {value}")
    return int(value)


def convolution(operation, sizes, kernel, stride, padding, dilation) -> tuple[Geometry, tuple]:
    """The geometry of a convolution over `sizes`, and the sizes of its result."""
    rank = len(sizes)
    stride = per_axis(operation, "stride", stride, rank, 1)
    dilation = per_axis(operation, "dilation", dilation, rank, 1)
    if min(kernel) < 1:
        raise ValueError(f"{operation}: weight must have at least one tap an axis, got a kernel of {tuple(kernel)}")
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{operation}: padding must be ints, 'same' or 'valid', got {padding!r}")
        if padding == "same" and max(stride) > 1:
            raise ValueError(f"{operation}: padding 'same' needs stride 1, got {stride}")
        both = reach if padding == "same" else (0,) * rank
        before = tuple(total // 2 for total in both)
    else:
        before = per_axis(operation, "padding", padding, rank, 0)
        both = tuple(2 * p for p in before)
    rest = [n + p - r - 1 for n, p, r in zip(sizes, both, reach, strict=True)]
    if min(rest) < 0:
        padded = tuple(n + p for n, p in zip(sizes, both, strict=True))
        needed = tuple(r + 1 for r in reach)
        raise ValueError(f"{operation}: the kernel spans {needed}, more than the padded input {padded}")
    outputs = tuple(n // s + 1 for n, s in zip(rest, stride, strict=True))
    return _three_axes(sizes, kernel, stride, before, dilation, outputs), outputs


def transposed(operation, outputs, kernel, stride, padding, output_padding, dilation) -> tuple[Geometry, tuple]:
    """The geometry of the convolution whose gradient with respect to x is the transposed convolution over `outputs`,
    and the sizes of its result."""
    rank = len(outputs)
    stride = per_axis(operation, "stride", stride, rank, 1)
    dilation = per_axis(operation, "dilation", dilation, rank, 1)
    padding = per_axis(operation, "padding", padding, rank, 0)
    output_padding = per_axis(operation, "output_padding", output_padding, rank, 0)
    if min(kernel) < 1:
        raise ValueError(f"{operation}: weight must have at least one tap an axis, got a kernel of {tuple(kernel)}")
    if any(o >= max(s, d) for o, s, d in zip(output_padding, stride, dilation, strict=True)):
        raise ValueError(
            f"{operation}: output_padding must be less than stride or dilation, got {output_padding}, "
            f"stride {stride}, dilation {dilation}"
        )
    sizes = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + o + 1
        for n, s, p, d, k, o in zip(outputs, stride, padding, dilation, kernel, output_padding, strict=True)
    )
    if min(sizes) < 1:
        raise ValueError(
            f"{operation}: the output would have size {sizes}: padding {padding} is too large for "
            f"input {tuple(outputs)} and kernel {tuple(kernel)}"
        )
    return _three_axes(sizes, kernel, stride, padding, dilation, outputs), sizes


def _three_axes(sizes, kernel, stride, padding, dilation, outputs):
    axes = [(1, 1, 1, 0, 1, 1)] * (3 - len(sizes)) + list(
        zip(sizes, kernel, stride, padding, dilation, outputs, strict=True)
    )
    return Geometry(*zip(*join_rows(*axes), strict=True))


def join_rows(outer, middle, inner):
    """The fields of a geometry along each axis, with fewer axes where rows can be joined."""
    while True:
        # a last axis with one tap, all of it: its rows, end to end, are one long row, whose taps lie `row` apart
        (size, kernel, stride, padding, dilation, outputs), (row, taps, step, zeros, _, of_row) = middle, inner
        if taps > 1 or step > 1 or zeros > 0 or stride > 1 or row != of_row or size == outputs == 1:
            return outer, middle, inner
        inner = size * row, kernel, stride, padding * row, dilation * row if kernel > 1 else 1, outputs * row
        outer, middle = (1, 1, 1, 0, 1, 1), outer


def forward_plan(geometry) -> Plan:
    """The convolution itself."""
    first = geometry.padding
    return Plan(
        sizes=geometry.sizes,
        taps=geometry.kernel,
        dilation=geometry.dilation,
        stride=geometry.stride,
        origin=(-first[0], -first[1], -first[2]),
        outputs=geometry.outputs,
        out_strides=strides_of(geometry.outputs),
        tap_strides=strides_of(geometry.kernel),
        first_output=0,
        first_tap=0,
        out_size=math.prod(geometry.outputs),
        kernel_size=math.prod(geometry.kernel),
        transposed=0,
    )


class _Phase(NamedTuple):
    """The fields of a plan along one axis."""

    size: int
    taps: int
    dilation: int
    stride: int
    origin: int
    outputs: int
    out_stride: int
    tap_stride: int
    first_output: int
    first_tap: int


def gather_plans(geometry):
    """The gradient with respect to x: a plan for each phase.

    Position i of x, counted with its padding, is read by tap k of output o where i = o*stride + k*dilation. Positions
    of one phase, i % stride, are read by the same taps: every stride / gcd-th one, backwards as o grows. A phase that
    no tap reads has 0 taps.
    """
    axes = zip(*geometry, strides_of(geometry.sizes), strides_of(geometry.kernel), strict=True)
    counts = phase_counts(geometry)
    phases = [[phase_of(first, axis) for first in range(count)] for axis, count in zip(axes, counts, strict=True)]
    for outer, middle, inner in itertools.product(*phases):
        yield plan_of_phases(geometry, outer, middle, inner)


def phase_counts(geometry) -> tuple:
    """Phases along each axis."""
    sizes, stride = geometry.sizes, geometry.stride
    return min(sizes[0], stride[0]), min(sizes[1], stride[1]), min(sizes[2], stride[2])


def phase_of(first, axis) -> _Phase:
    """The phase of position `first` along one axis."""
    size, kernel, stride, padding, dilation, outputs, out_stride, tap_stride = axis
    common, taps, last = math.gcd(stride, dilation), 0, 0
    for tap in range(kernel):
        if (first + padding - tap * dilation) % stride == 0:
            taps, last = taps + 1, tap
    return _Phase(
        outputs,
        taps,
        dilation // common,
        1,
        (first + padding - last * dilation) // stride,
        -(-(size - first) // stride),
        stride * out_stride,
        -(stride // common) * tap_stride,
        first * out_stride,
        last * tap_stride,
    )


def plan_of_phases(geometry, d, h, w) -> Plan:
    """The plan of the phases along depth, height and width."""
    return Plan(
        (d.size, h.size, w.size),
        (d.taps, h.taps, w.taps),
        (d.dilation, h.dilation, w.dilation),
        (d.stride, h.stride, w.stride),
        (d.origin, h.origin, w.origin),
        (d.outputs, h.outputs, w.outputs),
        (d.out_stride, h.out_stride, w.out_stride),
        (d.tap_stride, h.tap_stride, w.tap_stride),
        d.first_output + h.first_output + w.first_output,
        d.first_tap + h.first_tap + w.first_tap,
        math.prod(geometry.sizes),
        math.prod(geometry.kernel),
        1,
    )


def strides_of(sizes):
    """Of a C-contiguous array, in elements."""
    return sizes[1] * sizes[2], sizes[2], 1
