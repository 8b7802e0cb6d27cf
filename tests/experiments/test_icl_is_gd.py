"""The constructed layer and the best rates, without training."""

import numpy as np
import pytest

import nn
from experiments.architecture import icl_is_gd as experiment

CONFIG = {"dimensions": 3, "examples": 5}


def test_the_layer_of_the_derivation_does_the_step():
    tokens, question, _ = experiment.tasks(CONFIG, 7, np.random.default_rng(0))
    compare, pass_on = np.diag([1, 1, 1, 0]).astype(np.float32), np.diag([0, 0, 0, 0.7]).astype(np.float32)
    eye = np.eye(4, dtype=np.float32)
    layer = experiment.attention(experiment.INNERLOOP, [compare, eye, eye, pass_on], softmax=False)
    weights = experiment.step_weights(tokens, 0.7)
    prediction, slope = experiment.predict(layer, tokens, question)
    np.testing.assert_allclose(prediction, np.sum(weights * question[:, 0, :-1], axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(slope, weights, rtol=1e-4, atol=1e-6)
    assert isinstance(layer, nn.Module)


@pytest.mark.parametrize("variances", [None, np.array([1.0, 0.5, 0.1])])
def test_the_expected_losses_are_those_of_many_tasks(variances):
    tokens, question, answer = experiment.tasks(CONFIG, 100_000, np.random.default_rng(0), variances)
    rate, expected = experiment.best_step(CONFIG, variances)
    cases = (
        [(rate, expected)] if variances is None else [(rate, expected), experiment.preconditioned(CONFIG, variances)]
    )
    for G, loss in cases:
        step = np.sum(experiment.step_weights(tokens, G) * question[:, 0, :-1], axis=1)
        assert np.mean((step - answer) ** 2) == pytest.approx(loss, rel=0.03)
    assert cases[-1][1] <= expected
