"""Tests of kernels.convolution."""

import itertools
import os
import subprocess
import sys
import textwrap
from math import prod

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
import kernels.convolution
from kernels._jit import jit
from kernels.convolution import columns, correlation, geometry, weight_gradient, winograd, winograd_gradient
from kernels.convolution.pack import copy_channels_last
from kernels.convolution.plan import Shape
from kernels.simd import flat
from tests.checking import (
    LAYOUTS,
    Operation,
    absolute_scale,
    assert_close,
    check,
    check_finite_differences,
    guarded,
    read_only,
)

# PyTorch says that it copies its input, which is its own affair.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")

reference = Operation("convolution", "conv2d", F.conv2d).reference

# Arguments: (x, weight, bias, stride, padding, dilation, groups); transposed (…, output_padding, groups, dilation).
CONV = {
    n: Operation(
        "convolution",
        f"conv{n}d",
        getattr(F, f"conv{n}d"),
        saved=lambda a, y: [a[0], a[1], *a[3:]],
        differentiable=(0, 1, 2),
        scale=absolute_scale,
        out=True,
    )
    for n in (1, 2, 3)
}
TRANSPOSED = {
    n: Operation(
        "convolution",
        f"conv_transpose{n}d",
        getattr(F, f"conv_transpose{n}d"),
        saved=lambda a, y: [a[0], a[1], *a[3:]],
        differentiable=(0, 1, 2),
        scale=absolute_scale,
    )
    for n in (1, 2, 3)
}
NAMES = [operation.name for operation in (*CONV.values(), *TRANSPOSED.values())]


def case(x, weight, stride=1, padding=0, dilation=1, groups=1):
    return x, weight, (stride, padding, dilation, groups)


def transposed_case(x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    return x, weight, (stride, padding, output_padding, groups, dilation)


LANES = [(15, 17), (16, 16), (17, 15), (32, 33), (33, 31), (47, 48), (49, 47)]  # channels around whole vectors
PLAIN = {
    "one element": case((1, 1, 1, 1), (1, 1, 1, 1)),
    "one-pixel output": case((2, 3, 5, 4), (4, 3, 5, 4)),
    "one-pixel output, padded": case((2, 2, 1, 2), (3, 2, 3, 4), padding=1),
    "3x3": case((2, 3, 7, 9), (5, 3, 3, 3)),
    "3x3 padded": case((2, 3, 7, 9), (5, 3, 3, 3), padding=1),
    "3x3 even": case((1, 4, 8, 6), (8, 4, 3, 3), padding=1),
    "3x3 wide": case((1, 5, 4, 200), (18, 5, 3, 3), padding=1),
    "3x3 tall": case((1, 5, 101, 2), (3, 5, 3, 3), padding=1),
    "3x3 far padded": case((1, 2, 3, 4), (3, 2, 3, 3), padding=(4, 5)),
    "3x3 many images": case((9, 4, 4, 5), (6, 4, 3, 3), padding=1),
    "5x5": case((2, 1, 28, 28), (16, 1, 5, 5), padding=2),
    "few channels, whole vectors": case((2, 3, 8, 32), (16, 3, 3, 3), padding=1),
    "few channels, whole vectors, 11 output channels": case((2, 3, 6, 32), (11, 3, 3, 3), padding=1),
    "few channels, whole vectors, 4 taps": case((1, 2, 6, 35), (9, 2, 3, 4)),
    "2x2": case((2, 3, 7, 6), (4, 3, 2, 2)),
    "7x7 stride 2": case((1, 3, 23, 26), (20, 3, 7, 7), stride=2, padding=3),
    "3x3 stride 2": case((2, 6, 9, 10), (7, 6, 3, 3), stride=2, padding=1),
    "3x3 stride 2, even": case((2, 17, 8, 8), (16, 17, 3, 3), stride=2, padding=1),
    "kernel and stride differ by axis": case((2, 3, 11, 12), (4, 3, 3, 2), stride=(2, 3), padding=(1, 0)),
    "stride over the kernel": case((2, 3, 11, 13), (4, 3, 2, 1), stride=(3, 4)),
    "rows and columns left over": case((1, 2, 10, 9), (3, 2, 3, 3), stride=(4, 5)),
    "long kernel": case((1, 3, 3, 70), (4, 3, 1, 33), padding=(0, 16)),
    "high kernel": case((1, 3, 40, 3), (4, 3, 17, 1), padding=(8, 0)),
    "3x3 phases of rows": case((1, 33, 9, 8), (34, 33, 5, 3), stride=(2, 1), padding=1),
    "3x3 phases of rows, dilated": case((1, 33, 9, 8), (34, 33, 3, 3), stride=(2, 1), padding=1, dilation=(2, 1)),
    "3x3 phases of an 18-tap kernel": case((1, 33, 12, 8), (34, 33, 6, 3), stride=(2, 1), padding=(2, 1)),
    "dilation 2": case((2, 5, 9, 9), (6, 5, 3, 3), padding=2, dilation=2),
    "dilation by axis": case((1, 3, 8, 19), (4, 3, 2, 3), dilation=(3, 5), padding=(1, 4)),
    "dilation and stride": case((2, 3, 13, 12), (4, 3, 3, 3), stride=2, padding=3, dilation=(2, 3)),
    "dilation and stride, common factor": case((1, 3, 15, 16), (4, 3, 3, 3), stride=2, padding=2, dilation=2),
    "padding over the kernel": case((1, 2, 4, 3), (3, 2, 2, 1), padding=(3, 2)),
    "padding over the kernel, stride 2": case((1, 2, 4, 3), (3, 2, 2, 1), stride=2, padding=(3, 2)),
    "1x1": case((2, 6, 5, 7), (9, 6, 1, 1)),
    "1x1 wide": case((1, 33, 3, 200), (17, 33, 1, 1)),
    "1x1 deep": case((2, 300, 4, 4), (65, 300, 1, 1)),
    "1x1 stride 2": case((2, 6, 9, 8), (9, 6, 1, 1), stride=2),
    "1x1 padded": case((2, 6, 4, 5), (9, 6, 1, 1), padding=1),
    "1x1 dilation without meaning": case((2, 6, 4, 5), (9, 6, 1, 1), dilation=3),
    "valid": case((2, 3, 7, 9), (5, 3, 3, 4), padding="valid"),
    "same": case((2, 3, 7, 9), (5, 3, 3, 5), padding="same"),
    "same, even kernel": case((2, 3, 7, 9), (5, 3, 2, 4), padding="same"),
    "same, even kernel, dilated": case((1, 3, 7, 9), (5, 3, 2, 4), padding="same", dilation=(1, 3)),
    "same, kernel over the input": case((1, 3, 2, 3), (4, 3, 5, 6), padding="same"),
    "unbatched": case((3, 7, 9), (5, 3, 3, 3), padding=1),
    "unbatched, stride 2": case((3, 7, 9), (5, 3, 3, 3), stride=2),
    "empty batch": case((0, 3, 7, 9), (5, 3, 3, 3), padding=1),
    "empty batch, 1x1": case((0, 3, 7, 9), (5, 3, 1, 1)),
    **{f"3x3 {C}-{OC}": case((1, C, 5, 6), (OC, C, 3, 3), padding=1) for C, OC in LANES},
    **{f"3x3 stride 2, {C}-{OC}": case((1, C, 5, 7), (OC, C, 3, 3), stride=2, padding=1) for C, OC in LANES[:4]},
    **{f"1x1 {C}-{OC}": case((2, C, 3, 7), (OC, C, 1, 1)) for C, OC in LANES},
    **{f"3x3 width {w}": case((1, 3, 4, w), (5, 3, 3, 3), padding=1) for w in (14, 15, 16, 17, 18, 31, 32, 33, 34, 65)},
    **{f"3x3 stride 2, width {w}": case((1, 3, 4, w), (5, 3, 3, 3), stride=2, padding=1) for w in (31, 32, 33, 34, 65)},
}
GROUPED = {
    "2 groups": case((2, 6, 7, 6), (8, 3, 3, 3), padding=1, groups=2),
    "3 groups, stride 2": case((2, 6, 7, 6), (9, 2, 3, 3), padding=1, stride=2, groups=3),
    "2 groups, 1x1": case((2, 34, 4, 5), (32, 17, 1, 1), groups=2),
    "2 groups, dilation 2": case((1, 4, 9, 8), (6, 2, 3, 3), padding=2, dilation=2, groups=2),
    "one output channel a group": case((2, 6, 5, 6), (3, 2, 3, 3), padding=1, groups=3),
    "depthwise": case((2, 5, 7, 8), (5, 1, 3, 3), padding=1, groups=5),
    "depthwise, phases of rows": case((2, 5, 10, 8), (5, 1, 5, 3), stride=(2, 1), padding=(2, 1), groups=5),
    "depthwise, wide, stride 2": case((1, 3, 5, 80), (3, 1, 3, 3), stride=2, padding=1, groups=3),
    "depthwise, one channel": case((2, 1, 7, 8), (1, 1, 3, 3), padding=1),
    "depthwise, no padding": case((2, 5, 7, 8), (5, 1, 3, 3), groups=5),
    "depthwise, far padded": case((1, 3, 4, 3), (3, 1, 3, 3), padding=(4, 3), groups=3),
    "depthwise, stride 2": case((2, 5, 9, 8), (5, 1, 3, 3), padding=1, stride=2, groups=5),
    "depthwise, stride by axis": case((2, 3, 9, 40), (3, 1, 3, 3), padding=1, stride=(1, 2), groups=3),
    "depthwise, dilation 2": case((1, 5, 9, 20), (5, 1, 3, 3), padding=2, dilation=2, groups=5),
    "depthwise, 5x5": case((1, 4, 9, 20), (4, 1, 5, 5), padding=2, groups=4),
    "depthwise, kernel by axis": case((1, 4, 9, 20), (4, 1, 2, 5), padding=(0, 2), groups=4),
    "depthwise, 1x1": case((1, 4, 9, 20), (4, 1, 1, 1), groups=4),
    "depthwise, one-pixel output": case((1, 4, 3, 5), (4, 1, 3, 5), groups=4),
    "depthwise, wide": case((1, 2, 3, 200), (2, 1, 3, 3), padding=1, groups=2),
    "depthwise, tall": case((2, 2, 70, 5), (2, 1, 3, 3), padding=1, groups=2),
    "depthwise, same with an even kernel": case((1, 3, 6, 5), (3, 1, 2, 4), padding="same", groups=3),
    "depthwise, multiplier 2": case((2, 5, 7, 8), (10, 1, 3, 3), padding=1, groups=5),
    "depthwise, multiplier 2, stride 2": case((2, 5, 7, 8), (10, 1, 3, 3), padding=1, stride=2, groups=5),
    "depthwise, unbatched": case((5, 7, 8), (5, 1, 3, 3), padding=1, groups=5),
    "depthwise, empty batch": case((0, 5, 7, 8), (5, 1, 3, 3), padding=1, groups=5),
    **{f"depthwise, {C}": case((1, C, 5, 6), (C, 1, 3, 3), padding=1, groups=C) for C in (15, 16, 17, 33)},
    **{
        f"depthwise, width {w}": case((1, 2, 4, w), (2, 1, 3, 3), padding=1, groups=2)
        for w in (1, 2, 14, 15, 16, 17, 18, 31, 32, 33, 34, 66)
    },
}
ONE_AND_THREE = {
    "1-D": case((2, 3, 20), (4, 3, 5)),
    "3-D, a plane of padding": case((1, 33, 1, 5, 6), (34, 33, 1, 3, 3), stride=(3, 1, 1), padding=1),
    "3-D depthwise, a plane of padding": case((1, 3, 1, 5, 6), (3, 1, 1, 3, 3), stride=(3, 1, 1), padding=1, groups=3),
    "1-D padded": case((2, 3, 20), (17, 3, 9), padding=4),
    "1-D long": case((1, 16, 200), (17, 16, 9), padding=4),
    "1-D stride 3": case((2, 3, 21), (4, 3, 4), stride=3, padding=1),
    "1-D dilation 4": case((2, 3, 30), (4, 3, 3), dilation=4, padding=4),
    "1-D 1": case((2, 33, 19), (16, 33, 1)),
    "1-D same, even": case((2, 3, 10), (4, 3, 4), padding="same"),
    "1-D depthwise": case((2, 6, 40), (6, 1, 3), padding=1, groups=6),
    "1-D groups": case((2, 6, 11), (4, 3, 3), padding=1, groups=2),
    "1-D unbatched": case((3, 20), (4, 3, 5), padding=(2,)),
    "1-D one output": case((2, 3, 5), (4, 3, 5)),
    "1-D empty batch": case((0, 3, 20), (4, 3, 5)),
    "3-D": case((2, 3, 4, 5, 6), (4, 3, 3, 2, 3)),
    "3-D padded": case((1, 3, 3, 5, 6), (17, 3, 3, 3, 3), padding=1),
    "3-D all by axis": case((1, 2, 7, 8, 9), (3, 2, 3, 2, 3), stride=(2, 1, 3), padding=(0, 1, 2), dilation=(1, 3, 2)),
    "3-D 1x1x1": case((2, 5, 3, 4, 5), (6, 5, 1, 1, 1)),
    "3-D 1x3x3": case((1, 3, 4, 6, 6), (5, 3, 1, 3, 3), padding=(0, 1, 1)),
    "3-D stride 2": case((1, 3, 5, 6, 7), (4, 3, 3, 3, 3), stride=2, padding=1),
    "3-D same, even": case((1, 2, 4, 5, 6), (3, 2, 2, 3, 4), padding="same"),
    "3-D depthwise": case((1, 4, 4, 5, 6), (4, 1, 3, 3, 3), padding=1, groups=4),
    "3-D groups": case((1, 4, 4, 5, 6), (6, 2, 3, 3, 3), padding=1, groups=2),
    "3-D unbatched": case((3, 4, 5, 6), (4, 3, 3, 3, 3), padding=(1, 0, 1)),
}
TRANSPOSED_CASES = {
    "one element": transposed_case((1, 1, 1, 1), (1, 1, 1, 1)),
    "stride 1": transposed_case((2, 3, 4, 5), (3, 4, 3, 3), padding=1),
    "many channels into few, in rounds": transposed_case((1, 3000, 3, 40), (3000, 3, 4, 4), stride=2, padding=1),
    "rows apart": transposed_case((1, 33, 5, 8), (33, 34, 5, 3), stride=(2, 1), padding=1),
    "4x4 stride 2": transposed_case((2, 17, 5, 6), (17, 16, 4, 4), stride=2, padding=1),
    "no overlap": transposed_case((2, 3, 4, 5), (3, 4, 2, 2), stride=2),
    "gaps": transposed_case((2, 3, 4, 5), (3, 4, 2, 1), stride=3),
    "output padding": transposed_case((2, 3, 4, 5), (3, 4, 3, 3), stride=2, padding=1, output_padding=1),
    "output padding by axis": transposed_case((1, 3, 4, 5), (3, 4, 3, 2), stride=(2, 3), output_padding=(1, 2)),
    "output padding over the stride": transposed_case((1, 3, 4, 5), (3, 4, 3, 3), dilation=3, output_padding=2),
    "padding over the reach": transposed_case((1, 2, 6, 7), (2, 3, 2, 2), stride=2, padding=3),
    "dilation": transposed_case((1, 3, 5, 4), (3, 4, 3, 2), stride=2, padding=1, dilation=(2, 3)),
    "groups": transposed_case((2, 6, 4, 3), (6, 2, 3, 3), stride=2, padding=1, output_padding=1, groups=3),
    "depthwise": transposed_case((2, 5, 4, 6), (5, 1, 4, 4), stride=2, padding=1, groups=5),
    "multiplier 2": transposed_case((2, 5, 4, 6), (5, 2, 3, 3), stride=2, padding=1, groups=5),
    "1x1": transposed_case((2, 7, 4, 6), (7, 18, 1, 1)),
    "1x1 stride 2": transposed_case((2, 7, 4, 6), (7, 3, 1, 1), stride=2),
    "unbatched": transposed_case((3, 4, 5), (3, 4, 3, 3), stride=2),
    "empty batch": transposed_case((0, 3, 4, 5), (3, 4, 3, 3), stride=2),
    "wide": transposed_case((1, 3, 2, 100), (3, 5, 4, 4), stride=2, padding=1),
    "1-D": transposed_case((2, 3, 9), (3, 4, 5), stride=3, padding=1, output_padding=2),
    "1-D unbatched": transposed_case((3, 9), (3, 4, 5), dilation=2),
    "1-D groups": transposed_case((2, 6, 9), (6, 2, 4), stride=2, groups=2),
    "3-D": transposed_case((1, 3, 3, 4, 5), (3, 4, 3, 2, 4), stride=(1, 2, 2), padding=1, output_padding=(0, 1, 1)),
    "3-D groups": transposed_case((1, 4, 2, 3, 4), (4, 3, 2, 3, 2), stride=2, dilation=(1, 2, 1), groups=2),
}


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def check_conv(x, weight, bias, stride=1, padding=0, dilation=1, groups=1):
    n = weight.ndim - 2
    shape = reference.conv2d(x, weight, None, stride, padding, dilation, groups).shape
    positions = max(1, prod(shape) // max(1, len(weight)))  # of the whole batch
    kernel, (OC, C) = prod(weight.shape[2:]), weight.shape[:2]
    lengths = [C * kernel, OC // groups * kernel, positions, positions]
    return check(CONV[n], x, weight, bias, stride, padding, dilation, groups, lengths=lengths)


def check_transposed(x, weight, bias, *geometry):
    n, groups = weight.ndim - 2, geometry[3] if len(geometry) > 3 else 1
    shape = reference.conv_transpose2d(x, weight, None, *geometry).shape
    pixels, kernel = prod(shape[-n:]) * max(1, prod(x.shape[: -n - 1])), prod(weight.shape[2:])
    lengths = [len(weight) // groups * kernel, weight.shape[1] * kernel, max(1, prod(x.shape) // len(weight)), pixels]
    return check(TRANSPOSED[n], x, weight, bias, *geometry, lengths=lengths)


def arrays(rng, case, dtype, transposed=False):
    """x, weight and bias of a case."""
    x, weight, geometry = case
    channels = weight[1] * geometry[3] if transposed else weight[0]
    return [normal(rng, shape, dtype) for shape in (x, weight, (channels,))]


# --- values, gradients, guard pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PLAIN, *GROUPED, *ONE_AND_THREE])
def test_convolution(rng, dtype, name):
    found = (PLAIN | GROUPED | ONE_AND_THREE)[name]
    check_conv(*arrays(rng, found, dtype), *found[2])


@pytest.mark.parametrize("name", TRANSPOSED_CASES)
def test_transposed(rng, dtype, name):
    found = TRANSPOSED_CASES[name]
    check_transposed(*arrays(rng, found, dtype, transposed=True), *found[2])


@pytest.mark.parametrize(
    "found",
    [
        case((3, 70, 19, 21), (50, 70, 3, 3), padding=1),
        case((2, 130, 9, 10), (97, 130, 3, 3), stride=2, padding=1),
        case((2, 300, 14, 15), (130, 300, 1, 1)),
        case((2, 40, 30, 31), (40, 1, 3, 3), padding=1, groups=40),
        case((1, 3, 60, 61), (64, 3, 7, 7), stride=2, padding=3),
        case((4, 20, 700), (33, 20, 9), padding=4),
        case((9, 150, 30, 31), (99, 150, 3, 3), padding=1),
        case((2, 40, 40, 44), (40, 40, 3, 3), padding=2, dilation=2),
        case((2, 9, 17, 30), (70, 9, 3, 5), stride=2, padding=1),
        case((1, 2, 1400), (40, 2, 300), stride=3, padding=150),
        case((1, 200, 19, 20), (100, 200, 7, 1), padding=(3, 0)),
        case((1, 3, 131, 60), (40, 3, 5, 5), stride=2, padding=2),
        case((3, 2, 9000), (33, 2, 100), stride=40),
        case((11, 40, 9, 8), (70, 40, 3, 3), stride=2, padding=1),
        case((1, 3, 33, 20, 21), (36, 3, 3, 2, 5), stride=(3, 1, 2)),
    ],
    ids=lambda found: "x".join(map(str, found[1])),
)
def test_larger_than_every_block(rng, found):
    check_conv(*arrays(rng, found, np.float32), *found[2])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["3x3 padded", "1x1", "kernel and stride differ by axis", "depthwise"])
def test_layouts(rng, layout, name):
    found = (PLAIN | GROUPED)[name]
    x, weight, bias = map(LAYOUTS[layout], arrays(rng, found, np.float32))
    check_conv(x, weight, bias, *found[2])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_transposed(rng, layout):
    found = TRANSPOSED_CASES["output padding"]
    x, weight, bias = map(LAYOUTS[layout], arrays(rng, found, np.float32, transposed=True))
    check_transposed(x, weight, bias, *found[2])


@st.composite
def geometries(draw):
    """Sizes of a convolution of one to three dimensions, all of which fit."""
    n = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(n))  # noqa: E731
    kernel, stride, padding, dilation, more = each(1, 6), each(1, 3), each(0, 3), each(1, 3), each(0, 7)
    if draw(st.booleans()):  # what the loops of their own are for
        kernel = (*kernel[:-2], 3, 3)[-n:]
    sizes = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + m for k, p, d, m in zip(kernel, padding, dilation, more, strict=True)
    )
    groups, (C, OC) = draw(st.sampled_from([1, 1, 2, 3])), each_of_two(draw)
    if draw(st.integers(0, 3)) == 0:
        groups, C, OC = draw(st.integers(1, 5)), 1, 1  # depthwise
    return draw(st.integers(0, 3)), C * groups, OC * groups, sizes, kernel, stride, padding, dilation, groups


def each_of_two(draw):
    """Channels of x and of the result in a group: few, or as many as Winograd's loops need."""
    return draw(st.sampled_from([(33, 34), *((draw(st.integers(1, 5)), draw(st.integers(1, 5))) for _ in range(3))]))


anything = {
    "geometry": geometries(),
    "layout": st.sampled_from(sorted(LAYOUTS)),
    "dtype": st.sampled_from([np.float32, np.float64]),
    "seed": st.integers(0, 100),
}


@hypothesis.given(**anything)
@hypothesis.settings(max_examples=60)
def test_any_geometry(geometry, layout, dtype, seed):
    N, C, OC, sizes, kernel, stride, padding, dilation, groups = geometry
    shapes = [(N, C, *sizes), (OC, C // groups, *kernel), (OC,)]
    rng = np.random.default_rng(seed)
    x, weight, bias = (LAYOUTS[layout](normal(rng, shape, dtype)) for shape in shapes)
    check_conv(x, weight, bias, stride, padding, dilation, groups)


@hypothesis.given(**anything, extra=st.tuples(*[st.integers(0, 2)] * 3))
@hypothesis.settings(max_examples=60)
def test_any_transposed_geometry(geometry, layout, dtype, seed, extra):
    N, C, OC, sizes, kernel, stride, padding, dilation, groups = geometry
    extra = tuple(min(e, max(s, d) - 1) for e, s, d in zip(extra, stride, dilation, strict=False))
    shape = [
        (n - 1) * s - 2 * p + d * (k - 1) + e
        for n, s, p, d, k, e in zip(sizes, stride, padding, dilation, kernel, extra, strict=True)
    ]
    hypothesis.assume(min(shape) >= 0)
    shapes = [(N, C, *sizes), (C, OC // groups, *kernel), (OC,)]
    rng = np.random.default_rng(seed)
    x, weight, bias = (LAYOUTS[layout](normal(rng, shape, dtype)) for shape in shapes)
    check_transposed(x, weight, bias, stride, padding, extra, groups, dilation)


@pytest.mark.parametrize(
    "found",
    [
        case((2, 2, 4, 3), (3, 2, 3, 3), padding=1),
        case((1, 2, 5, 6), (4, 1, 3, 2), stride=2, padding=(1, 0), groups=2),
        case((1, 2, 5, 5), (2, 2, 2, 3), dilation=2, padding="valid"),
        case((2, 3, 6), (2, 3, 4), stride=2, padding=2),
        case((1, 2, 3, 3, 2), (2, 2, 2, 2, 2), padding=1),
    ],
    ids=str,
)
def test_finite_differences(rng, found):
    check_finite_differences(CONV[len(found[1]) - 2], *arrays(rng, found, np.float64), *found[2])


@hypothesis.given(geometry=geometries(), seed=st.integers(0, 100), threads=st.sampled_from([1, 2]))
@hypothesis.settings(max_examples=60)
def test_any_gradient_by_columns(geometry, seed, threads):
    """Whether or not the columns pay; blocks are cut as for so many threads."""
    N, C, OC, sizes, kernel, stride, padding, dilation, groups = geometry
    shapes = [(N, C, *sizes), (OC, C // groups, *kernel), (OC,)]
    x, weight, bias = (normal(np.random.default_rng(seed), shape, np.float32) for shape in shapes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "pays", lambda *arguments: True)
        patch.setattr(columns, "threads_for", lambda **work: threads)
        patch.setattr(columns, "COLUMNS_BYTES", 2048)
        check_conv(x, weight, bias, stride, padding, dilation, groups)


def test_finite_differences_of_transposed(rng):
    for name in ("output padding by axis", "1-D groups"):
        found = TRANSPOSED_CASES[name]
        inputs = arrays(rng, found, np.float64, transposed=True)
        check_finite_differences(TRANSPOSED[len(found[1]) - 2], *inputs, *found[2])


def test_transposed_is_the_adjoint(rng):
    """⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩ with the same weight."""
    x, weight = normal(rng, (2, 6, 9, 11), np.float64), normal(rng, (8, 3, 3, 4), np.float64)
    geometry = {"stride": (2, 3), "padding": (1, 2), "groups": 2}
    y = normal(rng, kernels.conv2d(x, weight, **geometry).shape, np.float64)
    back = kernels.conv_transpose2d(y, weight, output_padding=(0, 2), **geometry)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.sum(kernels.conv2d(x, weight, **geometry) * y), np.sum(x * back), rtol=1e-12)


# --- bias, activation, out, needs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES])
def test_without_bias(rng, dtype, name):
    n = int(name[-2])
    x, weight = normal(rng, (2, 4, 5, 6, 7)[: n + 2], dtype), normal(rng, (4, 4, 3, 3, 3)[: n + 2], dtype)
    function = getattr(kernels, name)
    np.testing.assert_array_equal(function(x, weight), function(x, weight, np.zeros(4, dtype)))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "name", ["3x3 padded", "1x1", "7x7 stride 2", "depthwise", "depthwise, stride 2", "1-D padded"]
)
def test_relu_is_a_second_step(rng, dtype, name, bias):
    found = (PLAIN | GROUPED | ONE_AND_THREE)[name]
    x, weight, b = arrays(rng, found, dtype)
    function = getattr(kernels, f"conv{weight.ndim - 2}d")
    plain = function(x, weight, b if bias else None, *found[2])
    both = function(x, weight, b if bias else None, *found[2], activation="relu")
    assert (plain < 0).any() and (plain > 0).any()
    np.testing.assert_array_equal(both, kernels.relu(plain))


def test_relu_passes_nan_on(dtype):
    x, weight = np.full((1, 2, 4, 4), np.nan, dtype), np.ones((3, 2, 3, 3), dtype)
    assert np.isnan(kernels.conv2d(x, weight, activation="relu")).all()


@pytest.mark.parametrize("algorithm", [None, "direct", "winograd2", "winograd4"])
def test_relu_of_every_algorithm(rng, dtype, algorithm):
    x, weight, bias = arrays(rng, PLAIN["3x3 33-31"], dtype)
    plain = kernels.conv2d(x, weight, bias, padding=1, algorithm=algorithm)
    both = kernels.conv2d(x, weight, bias, padding=1, algorithm=algorithm, activation="relu")
    np.testing.assert_array_equal(both, kernels.relu(plain))


@pytest.mark.parametrize("name", ["3x3 padded", "unbatched", "1x1", "depthwise"])
def test_out(rng, dtype, name):
    found = (PLAIN | GROUPED)[name]
    x, weight, bias = arrays(rng, found, dtype)
    expected = kernels.conv2d(x, weight, bias, *found[2])
    out = np.full(expected.shape, np.nan, dtype)
    assert kernels.conv2d(x, weight, bias, *found[2], out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", NAMES)
def test_needs(rng, name):
    n = int(name[-2])
    x, weight = normal(rng, (2, 4, 5, 6, 7)[: n + 2], np.float64), normal(rng, (4, 4, 3, 3, 3)[: n + 2], np.float64)
    dy = normal(rng, getattr(kernels, name)(x, weight).shape, np.float64)
    backward = getattr(kernels, f"{name}_backward")
    everything = backward(dy, x, weight)
    for needs in itertools.product([True, False], repeat=3):
        for gradient, needed, expected in zip(backward(dy, x, weight, needs=needs), needs, everything, strict=True):
            if needed:
                np.testing.assert_array_equal(gradient, expected)
            else:
                assert gradient is None


def test_without_channels(dtype):
    """A sum of no terms is the bias; no output channel, no output."""
    bias = np.array([1, 2, 3], dtype)
    y = kernels.conv2d(np.ones((2, 0, 5, 6), dtype), np.ones((3, 0, 3, 3), dtype), bias)
    assert y.shape == (2, 3, 3, 4)
    np.testing.assert_array_equal(y, np.broadcast_to(bias[:, None, None], y.shape))
    assert kernels.conv2d(np.ones((2, 3, 5, 6), dtype), np.ones((0, 3, 3, 3), dtype)).shape == (2, 0, 3, 4)
    dx, dweight, dbias = kernels.conv2d_backward(
        np.ones((2, 0, 3, 4), dtype), np.ones((2, 3, 5, 6), dtype), np.ones((0, 3, 3, 3), dtype)
    )
    np.testing.assert_array_equal(dx, np.zeros((2, 3, 5, 6), dtype))
    assert dweight.shape == (0, 3, 3, 3) and dbias.shape == (0,)


def test_torch_tensors(rng, dtype):
    x, weight, bias = arrays(rng, PLAIN["3x3 padded"], dtype)
    y = kernels.conv2d(*map(torch.from_numpy, (x, weight, bias)), padding=1)
    np.testing.assert_array_equal(y, kernels.conv2d(x, weight, bias, padding=1))


# --- algorithms and variants ------------------------------------------------------------------------------------------

# How many times the direct loops' error they may have. The second one multiplies by up to 100 and divides again.
WINOGRAD = {"winograd2": 3, "winograd4": 10}
WINOGRAD_SHAPES = {
    "one pixel": case((1, 1, 3, 3), (1, 1, 3, 3)),
    "one tile": case((1, 1, 4, 4), (1, 1, 3, 3)),
    "odd": case((2, 5, 7, 9), (6, 5, 3, 3), padding=1),
    "no padding": case((2, 5, 7, 9), (6, 5, 3, 3)),
    "far padded": case((1, 3, 5, 5), (4, 3, 3, 3), padding=(3, 2)),
    "same": case((1, 3, 6, 5), (4, 3, 3, 3), padding="same"),
    "lanes": case((2, 33, 8, 8), (31, 33, 3, 3), padding=1),
    "wide": case((1, 17, 3, 200), (49, 17, 3, 3), padding=1),
    "small images": case((9, 20, 2, 3), (16, 20, 3, 3), padding=1),
    "deep": case((2, 150, 7, 7), (130, 150, 3, 3), padding=1),
    "unbatched": case((3, 7, 9), (5, 3, 3, 3), padding=1),
    "empty batch": case((0, 3, 7, 9), (5, 3, 3, 3), padding=1),
    "dilation 2": case((2, 18, 13, 15), (17, 18, 3, 3), padding=2, dilation=2),
    "dilation by axis": case((3, 5, 9, 16), (6, 5, 3, 3), padding=(3, 0), dilation=(3, 1)),
    "dilation over the image": case((1, 3, 4, 5), (4, 3, 3, 3), padding=6, dilation=6),
    "dilation, deep": case((2, 150, 20, 21), (130, 150, 3, 3), padding=2, dilation=2),
}


@pytest.mark.parametrize("name", WINOGRAD_SHAPES)
@pytest.mark.parametrize("algorithm", [*WINOGRAD, "direct"])
def test_algorithms(rng, dtype, algorithm, name):
    found = WINOGRAD_SHAPES[name]
    inputs = arrays(rng, found, dtype)
    wide = [array.astype(np.float64) for array in inputs]
    expected = reference.conv2d(*wide, *found[2])
    scale = reference.conv2d(*map(np.abs, wide), *found[2])
    for end in ("front", "back"):
        out = guarded(np.full(expected.shape, np.nan, dtype), end)
        y = kernels.conv2d(*[guarded(array, end) for array in inputs], *found[2], algorithm=algorithm, out=out)
        factor = 4 if algorithm == "winograd4" else 1  # the worst element, in a bound that leaves the others room
        assert_close(y, expected, length=9 * found[1][1], scale=scale, factor=factor, label=algorithm)


@pytest.mark.parametrize("algorithm", [None, *WINOGRAD])
@pytest.mark.parametrize("channels", [3, 16, 64, 300])
def test_winograd_error_is_within_a_few_times_the_direct_one(rng, channels, algorithm):
    """Also of what is chosen by itself, and on positive inputs, whose sums cancel least."""
    for positive in (False, True):
        x, weight = normal(rng, (2, channels, 14, 14), np.float32), normal(rng, (64, channels, 3, 3), np.float32)
        if positive:
            x, weight = np.abs(x), np.abs(weight)
        exact = reference.conv2d(x.astype(np.float64), weight.astype(np.float64), padding=1)
        error, direct_error = (
            np.sqrt(np.mean((kernels.conv2d(x, weight, padding=1, algorithm=each) - exact) ** 2))
            for each in (algorithm, "direct")
        )
        assert 0 < direct_error < 1e-5 * np.abs(exact).max()
        assert error <= WINOGRAD.get(algorithm, 3) * direct_error


@pytest.mark.parametrize("algorithm", WINOGRAD)
@pytest.mark.parametrize("groups", [1, 2])
def test_winograd_with_flipped_weights(rng, dtype, algorithm, groups):
    """As the gradient with respect to x takes them: channels exchanged, taps flipped. Also with groups, and with some
    channels summed at a time."""
    for channels, size in ((5, (9, 6)), (140, (6, 7))):
        x, weight = normal(rng, (3, 33 * groups, *size), dtype), normal(rng, (33 * groups, channels, 3, 3), dtype)
        shape, sizes = geometry.transposed("test", size, (3, 3), 1, 1, 0, 1)
        (plan,) = geometry.gather_plans(shape)
        out = guarded(np.full((3, channels * groups, *sizes), np.nan, dtype))
        bias = normal(rng, out.shape[1:2], dtype)
        winograd.run(guarded(x), guarded(weight), bias, False, out, plan, groups, algorithm)
        wide = [array.astype(np.float64) for array in (x, weight, bias)]
        expected, scale = (
            reference.conv_transpose2d(*arrays, 1, 1, 0, groups) for arrays in (wide, list(map(np.abs, wide)))
        )
        assert_close(out, expected, length=9 * 33, scale=scale, factor=4 if algorithm == "winograd4" else 1)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("shape", [(2, 16, 16, 32, 32), (8, 64, 64, 28, 28), (1, 33, 40, 7, 9)], ids=str)
def test_winograd_gradient_error_is_within_twice_the_direct_one(rng, shape, positive):
    N, C, M, *sizes = shape
    x, dy = normal(rng, (N, C, *sizes), np.float32), normal(rng, (N, M, *sizes), np.float32)
    if positive:
        x, dy = np.abs(x), np.abs(dy)
    weight = np.empty((M, C, 3, 3))
    exact = reference.conv2d_backward(dy.astype(np.float64), x.astype(np.float64), weight, 1, 1)[1]
    found, _ = geometry.convolution("test", tuple(sizes), (3, 3), 1, 1, 1)
    plan = geometry.forward_plan(found)
    assert winograd.fits(plan) and winograd.pays(plan, C, M)
    error, direct_error = (
        np.sqrt(np.mean((module.run(dy, x, weight.shape, plan, 1) - exact) ** 2))
        for module in (winograd_gradient, weight_gradient)
    )
    assert 0 < direct_error < 1e-6 * np.abs(exact).max()
    assert error <= 2 * direct_error


def test_winograd_gradient_of_groups_and_in_both_types(rng, dtype):
    """Channels that fill no vector, images of odd sizes, in front of and behind guard pages."""
    x, dy = normal(rng, (5, 2 * 19, 7, 11), dtype), normal(rng, (5, 2 * 35, 7, 11), dtype)
    shape, groups = (2 * 35, 19, 3, 3), 2
    found, _ = geometry.convolution("test", x.shape[2:], (3, 3), 1, 1, 1)
    wide = [array.astype(np.float64) for array in (dy, x, np.empty(shape))]
    expected, scale = (
        reference.conv2d_backward(*arrays, 1, 1, 1, groups)[1] for arrays in (wide, list(map(np.abs, wide)))
    )
    for end in ("front", "back"):
        arrays = [guarded(array, end) for array in (dy, x)]
        dweight = winograd_gradient.run(*arrays, shape, geometry.forward_plan(found), groups)
        assert_close(dweight, expected, length=5 * 77, scale=scale)


def test_what_is_chosen_is_direct_or_winograd2(rng):
    for shape, channels in [((1, 3, 8, 8), 4), ((2, 64, 28, 28), 64), ((1, 256, 7, 7), 256)]:
        x, weight = normal(rng, shape, np.float32), normal(rng, (channels, shape[1], 3, 3), np.float32)
        chosen, *candidates = (
            kernels.conv2d(x, weight, padding=1, algorithm=algorithm).tobytes()
            for algorithm in (None, "direct", "winograd2")
        )
        assert chosen in candidates


VARIANTS = [(name, variant) for name, variants in kernels.convolution.VARIANTS.items() for variant in variants]
FOR_VARIANTS = {
    key: value
    for key, value in (PLAIN | GROUPED).items()
    if len(value[0]) == 4 and not isinstance(value[2][1], str) and ("width" not in key or "17" in key)
}


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_variants(rng, dtype, name, variant):
    function = kernels.convolution.VARIANTS[name][variant]
    for label, found in FOR_VARIANTS.items():
        stride, padding, dilation, groups = found[2]
        pairs = [value if isinstance(value, tuple) else (value, value) for value in (stride, padding, dilation)]
        x, weight, bias = arrays(rng, found, dtype)
        for b in (bias, np.empty(0, dtype)):
            wide = [array.astype(np.float64) for array in (x, weight, b if b.size else np.zeros_like(bias))]
            expected = reference.conv2d(*wide, *found[2])
            out = guarded(np.full(expected.shape, np.nan, dtype))
            function(guarded(x), guarded(weight), guarded(b), *pairs, groups, out)
            scale = reference.conv2d(*map(np.abs, wide), *found[2])
            length = prod(found[1][1:])
            assert_close(out, expected, length=length, scale=scale, label=f"{variant}, {label}")


# --- NaN and infinities -----------------------------------------------------------------------------------------------


def touched(x, weight, geometry, index):
    """Where the output reads x at `index`."""
    mark = np.zeros(x.shape)
    mark[index] = 1
    return reference.conv2d(mark, np.ones(weight.shape), None, *geometry) != 0


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize(
    "name", ["3x3 padded", "5x5", "3x3 stride 2", "dilation 2", "1x1", "2 groups", "depthwise", "depthwise, stride 2"]
)
def test_specials_stay_in_their_windows(rng, dtype, name, special):
    """Nothing beside or behind a window changes by a bit, in the forward and in both gradients."""
    found = (PLAIN | GROUPED)[name]
    x, weight, bias = arrays(rng, found, dtype)
    index = (len(x) - 1, 0, x.shape[2] // 2, x.shape[3] // 2)
    wrong = x.copy()
    wrong[index] = special
    clean, y = (kernels.conv2d(each, weight, bias, *found[2], algorithm="direct") for each in (x, wrong))
    reached = touched(x, weight, found[2], index)
    assert reached.any() and not reached.all()
    np.testing.assert_array_equal(y[~reached], clean[~reached])
    expected = reference.conv2d(wrong.astype(np.float64), weight.astype(np.float64), bias, *found[2])
    np.testing.assert_array_equal(y[reached], expected[reached].astype(dtype))

    dy = normal(rng, y.shape, dtype)
    index = (len(x) - 1, 0, y.shape[2] // 2, y.shape[3] // 2)
    wrong_dy = dy.copy()
    wrong_dy[index] = special
    (clean_dx, clean_dw, clean_db), (dx, dw, db) = (
        kernels.conv2d_backward(each, x, weight, *found[2]) for each in (dy, wrong_dy)
    )
    reached = reference.conv2d_backward((dy != wrong_dy).astype(float), x, np.ones(weight.shape), *found[2])[0] != 0
    np.testing.assert_array_equal(dx[~reached], clean_dx[~reached])
    assert not np.isfinite(dx[reached]).any()
    np.testing.assert_array_equal(dw[1:], clean_dw[1:])
    assert not np.isfinite(db[0]) and not np.isfinite(dw[0]).all()
    np.testing.assert_array_equal(db[1:], clean_db[1:])


@pytest.mark.parametrize("algorithm", WINOGRAD)
def test_specials_stay_in_their_winograd_tiles(rng, dtype, algorithm):
    x, weight, bias = arrays(rng, case((2, 5, 20, 24), (6, 5, 3, 3)), dtype)
    wrong = x.copy()
    wrong[1, 2, 9, 13] = np.nan
    clean, y = (kernels.conv2d(each, weight, bias, padding=1, algorithm=algorithm) for each in (x, wrong))
    assert np.isnan(y[1, :, 8:11, 12:15]).all()
    tile = int(algorithm[-1])
    y[1, :, 9 - tile : 10 + tile, 13 - tile : 14 + tile] = clean[1, :, 9 - tile : 10 + tile, 13 - tile : 14 + tile]
    np.testing.assert_array_equal(y, clean)


# --- threads, memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        case((8, 64, 28, 28), (64, 64, 3, 3), padding=1),
        case((1, 3, 112, 112), (64, 3, 7, 7), stride=2, padding=3),
        case((1, 64, 40, 41), (65, 64, 1, 1)),
        case((4, 32, 56, 56), (32, 1, 3, 3), padding=1, groups=32),
        case((2, 33, 30, 31), (34, 33, 3, 3), stride=2, padding=1),
        case((4, 32, 1000), (32, 32, 9), padding=4),
        case((8, 32, 28, 28), (48, 32, 3, 3), padding=2, dilation=2),
        case((8, 3, 32, 32), (16, 3, 3, 3), padding=1),
        case((2, 8, 9, 20, 21), (16, 8, 3, 3, 3), padding=1),
        case((1, 1, 5000), (40, 1, 64), padding=32),
        case((1, 1, 30000), (40, 1, 256), stride=64),
        case((9, 40, 14, 14), (64, 40, 3, 3), stride=2, padding=1),
        case((1, 130, 9, 9), (140, 130, 7, 1), padding=(3, 0)),
    ],
    ids=lambda found: "x".join(map(str, found[1])),
)
def test_same_bits_at_any_thread_count(rng, found, at_thread_counts):
    x, weight, bias = arrays(rng, found, np.float32)
    name = f"conv{weight.ndim - 2}d"
    dy = normal(rng, getattr(kernels, name)(x, weight, bias, *found[2]).shape, np.float32)
    algorithms = [None, "direct", *(WINOGRAD if weight.shape[2:] == (3, 3) and found[2][0] == 1 else ())]
    algorithms = algorithms if found[2][3] == 1 else algorithms[:2]

    def everything():
        for algorithm in algorithms:
            yield getattr(kernels, name)(x, weight, bias, *found[2], algorithm=algorithm)
        yield from getattr(kernels, f"{name}_backward")(dy, x, weight, *found[2])

    one, two = at_thread_counts(lambda: [part.tobytes() for part in everything()])
    assert one == two


@jit
def channels_last(x, sizes, start, extents, channels, block):
    copy_channels_last(flat(x), sizes, start, extents, channels, flat(block), channels)


@pytest.mark.parametrize("channels", [3, 5, 7, 16, 17, 33])
def test_channels_last_without_a_gap(rng, channels):
    """Also where a pixel's channels are several vectors, of which the last one reaches into the next pixel."""
    x = normal(rng, (channels, 1, 2, 9), np.float32)
    block = np.full(4 * 13 * channels + 16 * (channels + 1), np.nan, np.float32)
    channels_last(x.reshape(-1), x.shape[1:], (0, -1, -2), (1, 4, 13), channels, block)
    expected = np.pad(x[:, 0], ((0, 0), (1, 1), (2, 2))).transpose(1, 2, 0)
    np.testing.assert_array_equal(block[: expected.size].reshape(expected.shape), expected)


@pytest.mark.parametrize(("C", "M", "size", "cut"), [(192, 192, 17, "weight"), (8, 64, 28, "x")])
def test_threads_share_the_smaller_operand(C, M, size, cut):
    """The other one is cut, so that no thread copies or packs all of it."""
    plan = geometry.forward_plan(geometry.convolution("conv2d", (size, size), (1, 7), 1, (0, 3), 1)[0])
    blocks = correlation.choose_blocks(plan, Shape(1, 1, C, M), 4, False, 2)
    assert (blocks.out_channels < M, blocks.outputs != plan.outputs) == (cut == "weight", cut == "x")


def test_same_bits_of_transposed_at_any_thread_count(rng, at_thread_counts):
    x, weight = normal(rng, (4, 64, 14, 14), np.float32), normal(rng, (64, 48, 4, 4), np.float32)
    geometry = (2, 1, 1)
    dy = normal(rng, kernels.conv_transpose2d(x, weight, None, *geometry).shape, np.float32)

    def everything():
        yield kernels.conv_transpose2d(x, weight, None, *geometry)
        yield from kernels.conv_transpose2d_backward(dy, x, weight, *geometry)

    one, two = at_thread_counts(lambda: [part.tobytes() for part in everything()])
    assert one == two


GAUGE = textwrap.dedent("""
    import sys
    from pathlib import Path
    import numpy as np
    import kernels
    from kernels.convolution import VARIANTS

    way, threads, *numbers = sys.argv[1:]
    kernels.set_num_threads(int(threads))
    N, C, H, OC, k, stride = map(int, numbers)
    padding = k // 2

    def convolve(x, weight, out):
        if way == "im2col":
            pairs = [(n, n) for n in (stride, padding, 1)]
            VARIANTS["conv2d"]["im2col"](x, weight, np.empty(0, np.float32), *pairs, 1, out)
        else:
            kernels.conv2d(x, weight, stride=stride, padding=padding, out=out, algorithm=None if way == "-" else way)

    def bytes_of(line):
        text = Path("/proc/self/status").read_text()
        return 1024 * int(text.split(line + ":")[1].split()[0])

    def made(N, C, H, OC):  # every page of them is there before the call
        size = (H + 2 * padding - k) // stride + 1
        shapes = (N, C, H, H), (OC, C, k, k), (N, OC, size, size)
        return [np.ones(shape, np.float32) for shape in shapes]

    for channels in (8, 32):  # loads the compiled loops, Winograd's among them
        convolve(*made(1, min(C, channels), 16, channels))
    arrays = made(N, C, H, OC)
    for channels in (8, 32):  # wakes every thread
        convolve(*made(1, min(C, channels), 64, channels))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = bytes_of("VmRSS")
    convolve(*arrays)
    print(bytes_of("VmHWM") - before)
""")
MEBIBYTE = 2**20


def extra_memory(way, threads, *numbers):
    """Bytes that a convolution takes at its peak beside its arguments and its result, in a process of its own."""
    # Blocks of every size go back to the system when freed, so that nothing can be hidden in the allocator's stock.
    variables = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, "-c", GAUGE, way, *map(str, (threads, *numbers))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=variables)
    assert run.returncode == 0, run.stderr[-2000:]
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(
    ("way", "numbers"),
    [
        ("-", (1, 64, 512, 64, 3, 1)),
        ("direct", (1, 64, 512, 64, 3, 1)),
        ("-", (1, 64, 512, 64, 1, 1)),
        ("-", (1, 3, 896, 64, 7, 2)),
        ("-", (8, 256, 14, 256, 3, 1)),
        ("-", (1, 32, 60, 1300, 3, 1)),
        ("-", (1, 520, 30, 64, 3, 1)),
        ("winograd4", (1, 64, 512, 64, 3, 1)),
        ("winograd4", (8, 256, 14, 256, 3, 1)),
        ("winograd4", (1, 160, 220, 40, 3, 1)),
    ],
    ids=str,
)
def test_packing_takes_at_most_two_mebibytes_a_thread(way, numbers):
    threads = kernels.get_num_threads()
    assert extra_memory(way, threads, *numbers) <= (2 * threads + 0.25) * MEBIBYTE  # and the stacks' next pages


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_explicit_im2col_takes_nine_times_its_input():
    """Which also shows that the gauge sees what is there."""
    N, C, H = 1, 64, 256
    assert extra_memory("im2col", 1, N, C, H, 64, 3, 1) >= 8.9 * (4 * N * C * H * H)


# --- errors -----------------------------------------------------------------------------------------------------------


def values(*found):
    """A pattern for a message that holds all these values, in any order."""
    return "".join(rf"(?=.*(?<![\w.]){value}(?![\w.]))" for value in found)


FORWARD_ERRORS = [
    ("kernel over the input", ValueError, values(5, 4), {"weight": np.ones((6, 4, 5, 5))}),
    ("kernel over the padded input", ValueError, values(7, 6), {"weight": np.ones((6, 4, 3, 7)), "padding": 1}),
    ("dilated kernel over the input", ValueError, values(5, 4), {"dilation": 2}),
    ("far dilated kernel", ValueError, "", {"dilation": 2**62}),
    ("stride 0", ValueError, values("stride", 0), {"stride": 0}),
    ("stride -1", ValueError, values("stride", -1), {"stride": (1, -1)}),
    ("dilation 0", ValueError, values("dilation", 0), {"dilation": (0, 1)}),
    ("dilation -2", ValueError, values("dilation", -2), {"dilation": -2}),
    ("padding -1", ValueError, values("padding", -1), {"padding": (0, -1)}),
    ("groups 0", ValueError, values("groups", 0), {"groups": 0}),
    ("groups -1", ValueError, values("groups", -1), {"groups": -1}),
    ("channels over groups", ValueError, values(4, 3), {"groups": 3}),
    ("output channels over groups", ValueError, values(5, 2), {"weight": np.ones((5, 2, 3, 3)), "groups": 2}),
    ("channels of x and weight", ValueError, values(4, 3), {"weight": np.ones((6, 3, 3, 3))}),
    ("channels of a group", ValueError, values(4, 2), {"groups": 2}),
    ("three strides", ValueError, "stride", {"stride": (1, 1, 1)}),
    ("three paddings", ValueError, "padding", {"padding": (1, 1, 1)}),
    ("stride is no int", TypeError, "stride", {"stride": 1.5}),
    ("padding is no int", TypeError, "padding", {"padding": (1.0, 1)}),
    ("x has 2 dimensions", ValueError, r".*\(4, 4\)", {"x": np.ones((4, 4))}),
    ("x has 5 dimensions", ValueError, r".*\(1, 1, 4, 4, 4\)", {"x": np.ones((1, 1, 4, 4, 4))}),
    ("weight has 3 dimensions", ValueError, r".*\(6, 4, 3\)", {"weight": np.ones((6, 4, 3))}),
    ("kernel without elements", ValueError, r".*0, 3\)", {"weight": np.ones((6, 4, 0, 3))}),
    ("bias", ValueError, r"bias.*\(4,\)", {"bias": np.ones(4)}),
    ("bias has 2 dimensions", ValueError, r"bias.*\(6, 1\)", {"bias": np.ones((6, 1))}),
    ("float32 x", TypeError, ".*float32", {"x": np.ones((1, 4, 4, 4), np.float32)}),
    ("float32 bias", TypeError, ".*float32", {"bias": np.ones(6, np.float32)}),
    ("int64 x", TypeError, ".*int64", {"x": np.ones((1, 4, 4, 4), np.int64)}),
    ("float16 weight", TypeError, ".*float16", {"weight": np.ones((6, 4, 3, 3), np.float16)}),
    ("same with stride", ValueError, values("'same'", 2), {"padding": "same", "stride": (1, 2)}),
    ("unknown padding", ValueError, "padding.*'full'", {"padding": "full"}),
    ("unknown activation", ValueError, "activation.*'softmax'", {"activation": "softmax"}),
    ("unknown algorithm", ValueError, "algorithm.*'fft'", {"algorithm": "fft"}),
    ("winograd on 2x2", ValueError, "winograd2", {"weight": np.ones((6, 4, 2, 2)), "algorithm": "winograd2"}),
    ("winograd4 on 1x3", ValueError, "winograd4", {"weight": np.ones((6, 4, 1, 3)), "algorithm": "winograd4"}),
    ("winograd with stride", ValueError, "winograd2", {"stride": 2, "algorithm": "winograd2"}),
    ("winograd with stride along an axis", ValueError, "winograd4", {"stride": (1, 2), "algorithm": "winograd4"}),
    ("shape of out", ValueError, r"out.*\(1, 6, 4, 4\)", {"out": np.ones((1, 6, 4, 4))}),
    ("dtype of out", TypeError, "out.*float32", {"out": np.ones((1, 6, 2, 2), np.float32)}),
    ("read-only out", ValueError, "out.*read-only", {"out": read_only(np.ones((1, 6, 2, 2)))}),
    ("output over all memory", ValueError, "", {"padding": 2**31}),
    ("padding over 64 bits", ValueError, "", {"padding": 2**62}),
]


@pytest.mark.parametrize(
    ("error", "message", "change"), [e[1:] for e in FORWARD_ERRORS], ids=[e[0] for e in FORWARD_ERRORS]
)
def test_errors(error, message, change):
    good = {"x": np.ones((1, 4, 4, 4)), "weight": np.ones((6, 4, 3, 3)), "bias": np.ones(6)}
    kernels.conv2d(**good)
    with pytest.raises(error, match=f"^conv2d: .*{message}"):
        kernels.conv2d(**(good | change))


def test_out_that_overlaps(dtype):
    x = np.ones((1, 1, 3, 3), dtype)
    with pytest.raises(ValueError, match=r"^conv2d: out overlaps x"):
        kernels.conv2d(x, np.ones((1, 1, 1, 1), dtype), out=x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_unbatched_and_batched_are_told_apart_by_dimensions(n):
    weight = np.ones((2, 3, *(1,) * n))
    for wrong in (n, n + 3):
        with pytest.raises(ValueError, match=rf"^conv{n}d: .*\(3"):
            getattr(kernels, f"conv{n}d")(np.ones((3,) * wrong), weight)


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r".*\(1, 6, 3, 3\)", {"dy": np.ones((1, 6, 3, 3))}),
        (ValueError, r".*\(6, 2, 2\)", {"dy": np.ones((6, 2, 2))}),
        (ValueError, "", {"x": np.ones((1, 5, 4, 4))}),
        (ValueError, "stride", {"stride": 0}),
        (ValueError, "groups", {"groups": 0}),
        (TypeError, ".*float32", {"dy": np.ones((1, 6, 2, 2), np.float32)}),
        (TypeError, ".*int64", {"dy": np.ones((1, 6, 2, 2), np.int64)}),
    ],
)
def test_backward_errors(error, message, change):
    good = {"dy": np.ones((1, 6, 2, 2)), "x": np.ones((1, 4, 4, 4)), "weight": np.ones((6, 4, 3, 3))}
    kernels.conv2d_backward(**good)
    with pytest.raises(error, match=f"^conv2d_backward: .*{message}"):
        kernels.conv2d_backward(**(good | change))


TRANSPOSED_ERRORS = [
    ("output padding", ValueError, "output_padding.*2", {"output_padding": 2}),
    ("output padding at stride 1", ValueError, "output_padding.*1", {"stride": 1, "output_padding": 1}),
    ("negative output padding", ValueError, "output_padding.*-1", {"output_padding": (0, -1)}),
    ("stride 0", ValueError, "stride.*0", {"stride": 0}),
    ("dilation 0", ValueError, "dilation.*0", {"dilation": 0}),
    ("negative padding", ValueError, "padding.*-1", {"padding": -1}),
    ("padding is no word", (ValueError, TypeError), "padding.*same", {"padding": "same"}),
    ("nothing left", ValueError, "", {"padding": 9}),
    ("groups", ValueError, ".*3", {"groups": 3}),
    ("channels", ValueError, ".*5", {"weight": np.ones((5, 6, 3, 3))}),
    ("bias", ValueError, r"bias.*\(4,\)", {"bias": np.ones(4)}),
    ("dimensions", ValueError, r".*\(4, 4\)", {"x": np.ones((4, 4))}),
    ("dtypes", TypeError, ".*float32", {"weight": np.ones((4, 6, 3, 3), np.float32)}),
    ("output over all memory", ValueError, "", {"stride": 2**62}),
]


@pytest.mark.parametrize(
    ("error", "message", "change"), [e[1:] for e in TRANSPOSED_ERRORS], ids=[e[0] for e in TRANSPOSED_ERRORS]
)
def test_transposed_errors(error, message, change):
    good = {"x": np.ones((1, 4, 4, 4)), "weight": np.ones((4, 6, 3, 3)), "bias": np.ones(6), "stride": 2}
    kernels.conv_transpose2d(**good)
    with pytest.raises(error, match=f"^conv_transpose2d: .*{message}"):
        kernels.conv_transpose2d(**(good | change))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r".*\(1, 6, 8, 8\)", {"dy": np.ones((1, 6, 8, 8))}),
        (ValueError, "output_padding", {"output_padding": 2}),
        (TypeError, ".*float32", {"x": np.ones((1, 4, 4, 4), np.float32)}),
    ],
)
def test_transposed_backward_errors(error, message, change):
    good = {"dy": np.ones((1, 6, 9, 9)), "x": np.ones((1, 4, 4, 4)), "weight": np.ones((4, 6, 3, 3)), "stride": 2}
    kernels.conv_transpose2d_backward(**good)
    with pytest.raises(error, match=f"^conv_transpose2d_backward: .*{message}"):
        kernels.conv_transpose2d_backward(**(good | change))
