"""Shapes of convolutions: arguments checked, and plans (see `correlation`) made of them.

Inside, everything has three axes, depth, height and width; what is missing has length 1.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

from kernels.convolution.correlation import (
    COUNT,
    ORIGIN,
    OUT_STEP,
    REGION,
    ROUNDS,
    SIZE,
    STEP,
    STRIDE,
    TAP_STEP,
)


class Geometry(NamedTuple):
    """One convolution along three axes; `padding` is what lies before the first element."""

    sizes: tuple
    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    counts: tuple  # outputs


def per_axis(operation, name, value, rank, least):
    """One int an axis from an int or a sequence of them; ValueError where one is less than `least`."""
    values = (value,) * rank if isinstance(value, (int, np.integer)) else value
    if not isinstance(values, (tuple, list)) or not all(_is_int(v) for v in values):
        raise TypeError(f"{operation}: {name} must be an int or a tuple of {rank} ints, got {value!r}")
    if len(values) == 1:
        values = tuple(values) * rank
    if len(values) != rank or min(values) < least:
        raise ValueError(f"{operation}: {name} must be {rank} ints of at least {least}, got {value!r}")
    return tuple(int(v) for v in values)


def _is_int(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def whole(operation, name, value):
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
        raise ValueError(f"{operation}: the kernel reaches over {needed}, more than the padded input {padded}")
    counts = tuple(n // s + 1 for n, s in zip(rest, stride, strict=True))
    return _three(sizes, kernel, stride, before, dilation, counts), counts


def transposed(operation, counts, kernel, stride, padding, output_padding, dilation) -> tuple[Geometry, tuple]:
    """The geometry of the convolution whose gradient for x is the transposed convolution over `counts`, and the sizes
    of its result."""
    rank = len(counts)
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
        for n, s, p, d, k, o in zip(counts, stride, padding, dilation, kernel, output_padding, strict=True)
    )
    if min(sizes) < 1:
        raise ValueError(
            f"{operation}: the output would have size {sizes}: padding {padding} is too large for "
            f"input {tuple(counts)} and kernel {tuple(kernel)}"
        )
    return _three(sizes, kernel, stride, padding, dilation, counts), sizes


def _three(sizes, kernel, stride, padding, dilation, counts):
    axes = [(1, 1, 1, 0, 1, 1)] * (3 - len(sizes)) + list(
        zip(sizes, kernel, stride, padding, dilation, counts, strict=True)
    )
    if all(axis[1:4] == (1, 1, 0) for axis in axes) and sizes == counts:  # 1 x 1: as one long row
        axes = [(1, 1, 1, 0, 1, 1)] * 2 + [(math.prod(sizes), 1, 1, 0, 1, math.prod(counts))]
    return Geometry(*zip(*axes, strict=True))


def forward_plan(geometry) -> np.ndarray:
    """The convolution itself."""
    plan = np.empty((REGION + 1, 3), np.int64)
    plan[SIZE], plan[ROUNDS], plan[STEP] = geometry.sizes, geometry.kernel, geometry.dilation
    plan[STRIDE], plan[COUNT] = geometry.stride, geometry.counts
    plan[ORIGIN] = [-p for p in geometry.padding]
    plan[OUT_STEP], plan[TAP_STEP] = _steps(geometry.counts), _steps(geometry.kernel)
    return plan


def gather_plans(geometry):
    """For x's gradient: ``(plan, first tap, first output)`` of each phase.

    Position i of x, counted with its padding, meets tap k of output o where i = o*stride + k*dilation. Positions of one
    phase, i % stride, meet the same taps: every stride / gcd-th one, backwards as o grows. A phase that meets no tap
    has 0 rounds.
    """
    axes = []
    for axis in range(3):
        size, k, stride, padding, dilation, count = (field[axis] for field in geometry)
        out_step, tap_step = _steps(geometry.sizes)[axis], _steps(geometry.kernel)[axis]
        common = math.gcd(stride, dilation)
        phases = []
        for first in range(min(stride, size)):
            taps = [tap for tap in range(k) if (first + padding - tap * dilation) % stride == 0]
            last = taps[-1] if taps else 0
            column = np.empty(REGION + 1, np.int64)
            column[SIZE], column[ROUNDS], column[STEP], column[STRIDE] = count, len(taps), dilation // common, 1
            column[ORIGIN] = (first + padding - last * dilation) // stride
            column[COUNT], column[OUT_STEP] = -(-(size - first) // stride), stride * out_step
            column[TAP_STEP] = -(stride // common) * tap_step
            phases.append((column, last * tap_step, first * out_step))
        axes.append(phases)
    for phases in itertools.product(*axes):
        columns, taps, outputs = zip(*phases, strict=True)
        yield np.ascontiguousarray(np.stack(columns, axis=1)), sum(taps), sum(outputs)


def _steps(lengths):
    return lengths[1] * lengths[2], lengths[2], 1
