"""The functions of recurrent inside jitted code."""

import numba
import numpy as np
import pytest

import kernels
from tests.njit.calling import assert_same_bits, assert_same_error, jitted, normal

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
