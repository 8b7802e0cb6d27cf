"""The gradients that the experiment measures, against finite differences; its data."""

import numpy as np
import pytest

import nn
from experiments.backprop import rnn_horizon
from nn import functional as F

CONFIG, LENGTH = {"hidden": 3}, 6


def loss_from(model, x, target, states, t):
    """The loss if the walk begins after step t with these states."""
    with nn.no_grad():
        y = model.recurrent(x[t:], states)[0][-1]
        return F.mse_loss(model.head(y), target).item()


@pytest.mark.parametrize("t", [0, 2, 5])
def test_an_lstms_whole_gradient_is_that_of_finite_differences(t):
    generator = np.random.default_rng(0)
    model = rnn_horizon.make(CONFIG, "LSTM, b = 1", LENGTH, generator).double()
    x, target = (array.double() for array in rnn_horizon.sequences(generator, 1, LENGTH))
    norms, rates = rnn_horizon.flow(model, x, target)
    layer = model.recurrent
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]
    h = c = nn.zeros(1, 3, dtype=np.float64)
    with nn.no_grad():
        for step in x[:t]:
            h, c = F.lstm_cell(step, (h, c), *weights)
    output = None
    if t:
        output = rnn_horizon.gates(x.array, *(w.array for w in weights))[1][t - 1]
    gradient = []
    for unit in range(3):
        losses = []
        for shift in (1e-5, -1e-5):
            moved = c.array.copy()
            moved[0, unit] += shift
            shown = output * np.tanh(moved) if t else h.array  # h is made from c, but for the first
            losses.append(loss_from(model, x, target, (nn.Tensor(shown[None]), nn.Tensor(moved[None])), t))
        gradient.append((losses[0] - losses[1]) / 2e-5)
    assert norms[t, 0] == pytest.approx(np.log10(np.linalg.norm(gradient)), abs=1e-6)
    assert rates["whole"] == pytest.approx((norms[0, 0] - norms[-1, 0]) * np.log(10) / 6)
    assert rates["forget"] < 0 and rates["off"] < 1e-14


def test_along_the_cell_the_gradient_is_that_of_fixed_gates():
    generator = np.random.default_rng(4)
    layer = rnn_horizon.make(CONFIG, "LSTM, b = 1", LENGTH, generator).double().recurrent
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]
    x = rnn_horizon.sequences(generator, 2, LENGTH)[0].double()
    forget, _ = rnn_horizon.gates(x.array, *(w.array for w in weights))
    c = np.ones(forget.shape[1:])
    for f in forget[2:]:  # one more in c_2 is this much more in c_T
        c = f * c
    along = rnn_horizon.along_the_cell(x, *weights)
    assert along.shape == (LENGTH + 1, 2, 3) and (along[-1] == 1).all()
    np.testing.assert_allclose(along[2], c, rtol=1e-14)
    np.testing.assert_allclose(rnn_horizon.products(forget), along, rtol=1e-14)


def test_a_tanh_networks_gradient_is_that_of_finite_differences():
    generator = np.random.default_rng(1)
    model = rnn_horizon.make(CONFIG, "tanh", LENGTH, generator).double()
    x, target = (array.double() for array in rnn_horizon.sequences(generator, 1, LENGTH))
    norms, rates = rnn_horizon.flow(model, x, target)
    gradient = []
    for unit in range(3):
        losses = []
        for shift in (1e-5, -1e-5):
            h = np.zeros((1, 1, 3))
            h[0, 0, unit] = shift
            losses.append(loss_from(model, x, target, nn.Tensor(h), 0))
        gradient.append((losses[0] - losses[1]) / 2e-5)
    assert norms[0, 0] == pytest.approx(np.log10(np.linalg.norm(gradient)), abs=1e-6)
    assert rates["whole"] <= rates["largest"] <= rates["bound"]


def test_the_target_is_the_sum_of_the_marked_values():
    x, target = rnn_horizon.sequences(np.random.default_rng(2), 50, 10)
    values, marks = x.array[..., 0], x.array[..., 1]
    assert np.allclose((values * marks).sum(axis=0), target.array[:, 0])
    assert (marks[:5].sum(axis=0) == 1).all() and (marks[5:].sum(axis=0) == 1).all()


def test_the_marks_lie_where_they_are_asked_for():
    marks = rnn_horizon.sequences(np.random.default_rng(5), 50, 100, 20)[0].array[..., 1]
    assert (marks[:10].sum(axis=0) == 1).all() and (marks[10:20].sum(axis=0) == 1).all() and not marks[20:].any()


def test_the_forget_bias_is_what_the_name_says():
    generator = np.random.default_rng(3)
    layer = rnn_horizon.make(CONFIG, "LSTM, b = -1", LENGTH, generator).recurrent
    assert (layer.bias_ih_l0.array[3:6] == -1).all() and (layer.bias_hh_l0.array[3:6] == 0).all()
    layer = rnn_horizon.make(CONFIG, "LSTM, b by T", 100, generator).recurrent
    forget = layer.bias_ih_l0.array[3:6]
    assert ((forget > 0) & (forget < np.log(99))).all()
    assert (layer.bias_ih_l0.array[:3] == -forget).all()
