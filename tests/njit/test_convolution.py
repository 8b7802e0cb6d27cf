"""The functions of convolution inside jitted code."""

import numba
import numpy as np
import pytest

import kernels
from kernels.convolution import (
    columns,
    correlation,
    geometry,
    row_gradient,
    weight_gradient,
    winograd,
    winograd_gradient,
)
from kernels.convolution.plan import Shape
from tests.njit.calling import assert_same_bits, assert_same_error, assert_same_result, normal

X, W = normal(2, 4, 9, 9), normal(6, 4, 3, 3)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("conv2d", (X, W), {}),
        ("conv2d", (X[0], W, normal(6)), {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "activation": "relu"}),
        ("conv2d", (X.transpose(0, 1, 3, 2), W[:, :, ::-1]), {"padding": "same", "dilation": 2}),
        ("conv2d", (X, W), {"padding": "valid", "algorithm": "direct"}),
        ("conv2d", (X, W[:, :2], None, 1, (1,), 1, 2), {"algorithm": "winograd4"}),
        ("conv2d", (normal(2, 20, 14, 14), normal(16, 20, 3, 3)), {"padding": 1, "algorithm": "winograd2"}),
        ("conv2d", (X[:0], W, normal(6)), {"activation": "relu"}),
        ("conv2d", (X[:, :0], W[:, :0], normal(6)), {"activation": "relu"}),
        ("conv1d", (normal(3, 2, 20, dtype=np.float64), normal(4, 2, 5, dtype=np.float64)), {"stride": 3}),
        ("conv3d", (normal(1, 2, 3, 4, 5), normal(4, 1, 2, 2, 2)), {"groups": 2, "padding": (1, 0, 1)}),
        ("conv_transpose2d", (X, normal(4, 3, 3, 3), normal(3)), {"stride": 2, "output_padding": 1}),
        ("conv_transpose2d", (X[0], normal(4, 1, 1, 2)), {"stride": 3, "groups": 4}),
        ("conv_transpose1d", (normal(2, 3, 9), normal(3, 2, 3)), {"padding": 1, "dilation": 2}),
        ("conv2d_backward", (normal(2, 6, 7, 7), X, W), {"needs": (True, False, False)}),
        ("conv2d_backward", (normal(6, 4, 4), X[0], W, 2), {"needs": (False, True, True)}),
        ("conv2d_backward", (normal(0, 6, 7, 7), X[:0], W), {}),
        ("conv2d_backward", (normal(2, 18, 9, 9), normal(2, 20, 9, 9), normal(18, 20, 3, 3)), {"padding": "same"}),
        ("conv_transpose2d_backward", (normal(2, 3, 11, 11), X, normal(4, 3, 3, 3)), {"needs": (True, False, True)}),
    ],
)
def test_convolutions(name, arguments, options):
    assert_same_result(name, arguments, options)


def test_convolution_into_out():
    def call(x, weight, out):
        return kernels.conv2d(x, weight, padding=1, out=out)

    out, expected = normal(2, 6, 9, 9), normal(2, 6, 9, 9)
    result = numba.njit(call)(X, W, out)
    assert_same_bits((result, out), (call(X, W, expected), expected))
    assert np.shares_memory(result, out)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("conv2d", (X.astype(np.int64), W), {}),
        ("conv2d", (X, W.astype(np.float64), normal(6)), {}),
        ("conv2d", (X[0, 0], W), {}),
        ("conv2d", (X, W[0]), {}),
        ("conv2d", (X, W), {"groups": 0}),
        ("conv2d", (X, W), {"groups": 2.0}),
        ("conv2d", (X, W), {"groups": 4}),
        ("conv2d", (X, W[:, :3]), {}),
        ("conv2d", (X, W, normal(5)), {}),
        ("conv2d", (X, W, normal(6, 1)), {}),
        ("conv2d", (X, W), {"activation": "tanh"}),
        ("conv2d", (X, W), {"algorithm": "fft"}),
        ("conv2d", (X, W), {"algorithm": "winograd2", "stride": 2}),
        ("conv2d", (X, W), {"stride": 0}),
        ("conv2d", (X, W), {"stride": (1, 2, 3)}),
        ("conv2d", (X, W), {"stride": (1, 2.5)}),
        ("conv2d", (X, W), {"dilation": True}),
        ("conv2d", (X, W), {"padding": (0, -1)}),
        ("conv2d", (X, W), {"padding": "full"}),
        ("conv2d", (X, W), {"padding": "same", "stride": 2}),
        ("conv2d", (X, W), {"dilation": (1, 5)}),
        ("conv2d", (X, W[:, :, :0]), {}),
        ("conv2d", (X, W), {"out": normal(2, 6, 7, 8)}),
        ("conv2d", (X, W), {"out": normal(2, 6, 7, 7, dtype=np.float64)}),
        ("conv2d", (X, normal(4, 4, 3, 3)), {"padding": 1, "out": X}),
        ("conv1d", (X, W), {}),
        ("conv2d_backward", (normal(2, 6, 7, 8), X, W), {}),
        ("conv2d_backward", (normal(6, 7, 7), X, W), {}),
        ("conv2d_backward", (normal(2, 6, 7, 7), X, W.astype(np.float64)), {}),
        ("conv_transpose2d", (X, W), {}),
        ("conv_transpose2d", (X, normal(4, 3, 3, 3)), {"output_padding": 1}),
        ("conv_transpose2d", (X, normal(4, 3, 3, 3)), {"padding": 6}),
        ("conv_transpose1d", (normal(3, 9), normal(3, 2, 3), normal(3)), {}),
        ("conv_transpose2d_backward", (normal(2, 3, 9, 9), X, normal(4, 3, 3, 3)), {}),
    ],
)
def test_errors_of_convolutions(name, arguments, options):
    assert_same_error(name, arguments, options)


def test_convolution_inside_prange():
    @numba.njit(parallel=True)
    def call(x, weight):
        out = np.empty((8, 32, 28, 28), np.float32)
        for i in numba.prange(8):
            out[i] = kernels.conv2d(x[i], weight, padding=1)
        return out

    x, weight = normal(8, 32, 28, 28), normal(32, 32, 3, 3)
    expected = np.stack([kernels.conv2d(each, weight, padding=1) for each in x])
    assert_same_bits(call(x, weight), expected)


def test_planning_of_convolutions():
    """Compiled planning makes the numbers that Python's makes."""
    from kernels.convolution import njit_planning as planning

    rng = np.random.default_rng(3)
    for number in range(300):
        window = [tuple(rng.integers(*ends, 2).tolist()) for ends in ((1, 6), (1, 4), (0, 3), (1, 3))]
        if number % 2:  # suits Winograd's algorithm
            window = (3, 3), (1, 1), window[2], window[3]
        sizes = tuple(rng.choice([12, 28, 57, 224], 2).tolist())
        shape = Shape(*rng.choice([1, 2, 3, 6, 16, 40, 256], 4).tolist())
        itemsize, threads = rng.choice([4, 8]).item(), rng.choice([1, 2, 4]).item()
        axes, _ = geometry.convolution("test", sizes, *window)
        plan, phases = geometry.forward_plan(axes), list(geometry.gather_plans(axes))
        assert planning.forward_plan(axes) == plan
        assert [planning.phase(axes, i) for i in range(len(phases))] == phases
        for each in (plan, *(phase for phase in phases if all(phase.taps))):
            numbers = correlation._encode(each, shape, True, itemsize, threads)
            assert planning.for_correlation(each, shape, True, itemsize, threads).tolist() == numbers.tolist()
        blocks = columns.choose_blocks(plan, shape, itemsize, threads)
        assert planning.for_columns(plan, shape, itemsize, threads)[0][-4:].tolist() == list(blocks)
        blocks = weight_gradient.choose_blocks(plan, shape, itemsize)
        assert planning.for_weight_gradient(plan, shape, itemsize)[0][-4:].tolist() == list(blocks[1:])
        assert (
            planning.for_row_gradient(plan, shape, itemsize)[1] == row_gradient.choose_blocks(plan, shape, itemsize)[1]
        )
        assert planning.fits_winograd(plan) == winograd.fits(plan)
        if winograd.fits(plan):
            assert planning.suits_winograd(plan, shape.C, shape.M) == winograd.pays(plan, shape.C, shape.M)
            blocks = winograd.choose_blocks(plan, 4, shape, itemsize, threads)
            made = planning.for_winograd(plan, shape, False, itemsize, threads, 4)
            assert made[-6:].tolist() == [*blocks.outputs, *blocks[1:], 0]
            blocks = winograd_gradient.choose_blocks(plan, shape, itemsize)
            assert planning.for_winograd_gradient(plan, shape, itemsize)[0][-3:].tolist() == list(blocks[1:])
