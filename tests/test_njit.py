"""Tests of public functions inside jitted code: the same bits and the same errors as outside."""

import functools
import inspect

import numba
import numpy as np
import pytest

import kernels
from kernels._njit import entry_of
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
from tests.test_debugging import arrays_in, public_calls

# Not functions of arrays: about the process, or loops that are called from jitted code anyway.
ABOUT_THE_PROCESS = {"set_num_threads", "get_num_threads", "show_config", "set_flush_denormal"}
LOOPS = {"matmul_loops", "linear_loops"}


def public_names():
    return sorted(
        name
        for name, value in vars(kernels).items()
        if inspect.isfunction(value) and not name.startswith("_") and name not in ABOUT_THE_PROCESS
    )


def offered():
    return [name for name in public_names() if entry_of(getattr(kernels, name)) is not None]


def converted(value, dtype):
    """The arguments of a call with float arrays of another dtype."""
    if isinstance(value, np.ndarray):
        return value.astype(dtype) if value.dtype.kind == "f" else value
    if isinstance(value, (tuple, list)):
        return type(value)(converted(each, dtype) for each in value)
    return {key: converted(each, dtype) for key, each in value.items()} if isinstance(value, dict) else value


def jitted(name, arguments, options):
    """A jitted function of the arrays among the arguments that makes the call, written out, and these arrays."""
    arrays = []

    def text(value):
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return f"x{len(arrays) - 1}"
        if isinstance(value, (tuple, list)) and arrays_in(value):
            return f"({', '.join(map(text, value))},)"
        return repr(value)

    given = [text(each) for each in arguments] + [f"{key}={text(each)}" for key, each in options.items()]
    names = ", ".join(f"x{i}" for i in range(len(arrays)))
    scope = {"kernels": kernels, "inf": np.inf, "nan": np.nan}
    exec(f"def call({names}):\n    return kernels.{name}({', '.join(given)})", scope)
    return numba.njit(scope["call"]), arrays


@functools.cache
def calls():
    found = {}
    for name, arguments, options in public_calls():
        found.setdefault(name, []).append((arguments, options))
    return found


def assert_same_bits(result, expected):
    result, expected = arrays_in(result), arrays_in(expected)
    assert len(result) == len(expected)
    for one, other in zip(result, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", offered())
def test_same_bits_as_outside(name, dtype):
    for arguments, options in calls()[name]:
        arguments, options = converted(arguments, dtype), converted(options, dtype)
        call, arrays = jitted(name, arguments, options)
        inside = [array.copy() for array in arrays]
        with np.errstate(all="ignore"):
            expected = getattr(kernels, name)(*arguments, **options)
            result = call(*inside)
        assert_same_bits(result, expected)
        assert_same_bits(inside, arrays)  # what a call fills or changes


def assert_same_result(name, arguments, options=None):
    """A call gives the same bits inside and outside; what is None outside has size 0 inside. Arrays stay views."""
    options = options or {}
    call, arrays = jitted(name, arguments, options)
    with np.errstate(all="ignore"):
        expected, result = getattr(kernels, name)(*arguments, **options), call(*arrays)
    if isinstance(expected, tuple):
        assert all(x is None or x.size == 0 for x, y in zip(result, expected, strict=True) if y is None)
        result = tuple(x for x, y in zip(result, expected, strict=True) if y is not None)
    assert_same_bits(result, expected)


def assert_same_error(name, arguments, options=None):
    """A call raises the same error inside and outside."""
    options = options or {}
    call, arrays = jitted(name, arguments, options)
    with pytest.raises((TypeError, ValueError, IndexError)) as outside:
        getattr(kernels, name)(*arguments, **options)
    with pytest.raises(outside.type) as inside:
        call(*arrays)
    assert type(inside.value) is type(outside.value)
    assert str(inside.value) == str(outside.value)


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(2).standard_normal(shape).astype(dtype)


def read_only(x):
    x.flags.writeable = False
    return x


# --- convolution -----------------------------------------------------------------------------------------------------

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


# --- recurrent -------------------------------------------------------------------------------------------------------

T, B, F, H = 4, 3, 5, 6  # steps, batch, features, units
STEPS, SIZES = normal(T, B, F), np.array([3, 2, 1, 1])
OF_LSTM, OF_GRU, OF_RNN = ((normal(gates * H, F), normal(gates * H, H)) for gates in (4, 3, 1))
PROJECTED = normal(4 * H, F), normal(4 * H, 2)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("lstm", (STEPS, None, *OF_LSTM), {}),
        ("lstm", (STEPS[:, ::-1], (normal(B, H), None), *OF_LSTM, normal(4 * H)), {"reverse": True}),
        ("lstm", (STEPS, None, *PROJECTED, None, None, normal(2, H)), {}),
        ("lstm", (STEPS[:, :0], None, *OF_LSTM), {}),
        ("gru", (normal(7, F), normal(B, H), *OF_GRU, None, normal(3 * H)), {"batch_sizes": SIZES}),
        ("gru", (normal(7, F), None, *OF_GRU), {"batch_sizes": SIZES.astype(np.int32), "reverse": True}),
        ("gru", (normal(3, 1, F), None, normal(768, F), normal(768, 256)), {}),
        ("gru", (normal(8, 40, 64), None, normal(192, 64), normal(192, 64)), {}),
        ("rnn", (STEPS, None, *OF_RNN), {}),
        ("rnn", (STEPS.astype(np.float64), None, *(w.astype(np.float64) for w in OF_RNN), None, None, "relu"), {}),
        ("lstm_cell", (STEPS[0], None, *OF_LSTM), {}),
        ("gru_cell", (STEPS[0, :1], normal(1, H), *OF_GRU, normal(3 * H)), {}),
        ("gru_cell", (STEPS[0, :0], None, *OF_GRU), {}),
        ("rnn_cell", (STEPS[:, 0], normal(T, H), *OF_RNN, None, None, "relu"), {}),
        (
            "gru_backward",
            (None, normal(B, H), STEPS, None, *OF_GRU, normal(T, B, H), normal(T, B, 4 * H)),
            {"needs": (True, True, False, True, False, True)},
        ),
        ("rnn_backward", (normal(7, H), None, normal(7, F), None, *OF_RNN, normal(7, H)), {"batch_sizes": SIZES}),
        ("rnn_backward", (None, normal(B, H), STEPS, None, *OF_RNN, normal(T, B, H), "relu"), {"reverse": True}),
    ],
)
def test_recurrent_networks(name, arguments, options):
    def flat(result):
        return [each for x in result for each in (x if isinstance(x, tuple) else (x,))]

    call, arrays = jitted(name, arguments, options)
    expected, result = getattr(kernels, name)(*arguments, **options), call(*arrays)
    if isinstance(expected, np.ndarray):
        expected, result = (expected,), (result,)
    pairs = list(zip(flat(result), flat(expected), strict=True))
    assert all(x is None or x.size == 0 for x, y in pairs if y is None)
    assert_same_bits([x for x, y in pairs if y is not None], [y for x, y in pairs if y is not None])


def test_gradients_of_a_projected_lstm():
    def call(x, weight_ih, weight_hh, weight_hr, gates, cells, dy):
        y, _ = kernels.lstm(x, None, weight_ih, weight_hh, None, None, weight_hr, gates=gates, cells=cells)
        return kernels.lstm_backward(dy, None, x, None, weight_ih, weight_hh, y, gates, cells, weight_hr)

    inside = [STEPS, *PROJECTED, normal(2, H), normal(T, B, 4 * H), normal(T, B, H), normal(T, B, 2)]
    outside = [x.copy() for x in inside]
    assert_same_bits(numba.njit(call)(*inside), call(*outside))
    assert_same_bits(inside, outside)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("lstm", (STEPS.astype(np.int64), None, *OF_LSTM), {}),
        ("lstm", (STEPS, None, OF_LSTM[0].astype(np.float64), OF_LSTM[1]), {}),
        ("lstm", (STEPS[0], None, *OF_LSTM), {}),
        ("lstm", (STEPS[:0], None, *OF_LSTM), {}),
        ("lstm", (STEPS[..., :3], None, *OF_LSTM), {}),
        ("lstm", (STEPS, None, OF_LSTM[0][0], OF_LSTM[1]), {}),
        ("lstm", (STEPS, None, OF_LSTM[0], OF_LSTM[1][:, :3]), {}),
        ("lstm", (STEPS, None, *PROJECTED, None, None, normal(6, H)), {}),
        ("lstm", (STEPS, normal(B, H), *OF_LSTM), {}),
        ("lstm", (STEPS, (normal(B, H), normal(B, 2)), *OF_LSTM), {}),
        ("lstm", (STEPS, None, *OF_LSTM, normal(H)), {}),
        ("lstm", (STEPS, None, *OF_LSTM, normal(4 * H, dtype=np.float64)), {}),
        ("lstm", (STEPS, None, *OF_LSTM), {"gates": normal(T, B, 4 * H)}),
        ("lstm", (STEPS, None, *OF_LSTM), {"gates": normal(T, B, H), "cells": normal(T, B, H)}),
        ("gru", (normal(7, F), None, *OF_GRU), {}),
        ("gru", (normal(7, F), None, *OF_GRU), {"batch_sizes": SIZES[::-1].copy()}),
        ("gru", (normal(8, F), None, *OF_GRU), {"batch_sizes": SIZES}),
        ("gru", (normal(7, F), None, *OF_GRU), {"batch_sizes": SIZES[:0]}),
        ("rnn", (STEPS, None, *OF_RNN, None, None, "sigmoid"), {}),
        ("rnn_cell", (STEPS, None, *OF_RNN), {}),
        ("gru_cell", (STEPS[0], normal(B, 2), *OF_GRU), {}),
        ("lstm_cell", (STEPS[0], None, *OF_LSTM), {"gates": normal(B, H)}),
        ("gru_backward", (normal(T, B, H), None, STEPS, None, *OF_GRU, normal(T, B, H), None), {}),
        ("gru_backward", (normal(T, B, 2), None, STEPS, None, *OF_GRU, normal(T, B, H), normal(T, B, 4 * H)), {}),
    ],
)
def test_errors_of_recurrent_networks(name, arguments, options):
    assert_same_error(name, arguments, options)
