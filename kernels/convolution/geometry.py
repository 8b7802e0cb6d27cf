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
    outer, middle, inner = axes
    while inner[1:4] == (1, 1, 0):
        # a last axis with one tap, all of it: its rows, end to end, are one long row, whose taps lie `row` apart
        (size, kernel, stride, padding, dilation, outputs), (row, *_, of_row) = middle, inner
        if stride > 1 or row != of_row or size == outputs == 1:
            break
        inner = size * row, kernel, stride, padding * row, dilation * row if kernel > 1 else 1, outputs * row
        outer, middle = (1, 1, 1, 0, 1, 1), outer
    axes = outer, middle, inner
    return Geometry(*zip(*axes, strict=True))


def forward_plan(geometry) -> Plan:
    """The convolution itself."""
    return Plan(
        sizes=geometry.sizes,
        taps=geometry.kernel,
        dilation=geometry.dilation,
        stride=geometry.stride,
        origin=tuple(-p for p in geometry.padding),
        outputs=geometry.outputs,
        out_strides=_strides(geometry.outputs),
        tap_strides=_strides(geometry.kernel),
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
    axes = [_phases(*axis) for axis in zip(*geometry, _strides(geometry.sizes), _strides(geometry.kernel), strict=True)]
    out_size, kernel_size = math.prod(geometry.sizes), math.prod(geometry.kernel)
    for phases in itertools.product(*axes):
        *triples, first_outputs, first_taps = zip(*phases, strict=True)
        yield Plan(*triples, sum(first_outputs), sum(first_taps), out_size, kernel_size, 1)


def _phases(size, kernel, stride, padding, dilation, outputs, out_stride, tap_stride):
    """The phases along one axis."""
    common = math.gcd(stride, dilation)
    for first in range(min(stride, size)):
        taps = [tap for tap in range(kernel) if (first + padding - tap * dilation) % stride == 0]
        last = taps[-1] if taps else 0
        yield _Phase(
            size=outputs,
            taps=len(taps),
            dilation=dilation // common,
            stride=1,
            origin=(first + padding - last * dilation) // stride,
            outputs=-(-(size - first) // stride),
            out_stride=stride * out_stride,
            tap_stride=-(stride // common) * tap_stride,
            first_output=first * out_stride,
            first_tap=last * tap_stride,
        )


def _strides(sizes):
    """Of a C-contiguous array, in elements."""
    return sizes[1] * sizes[2], sizes[2], 1
