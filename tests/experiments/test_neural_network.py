"""The unit of the rates, the outcomes and the comparison, almost without training."""

import numpy as np
import pytest

import nn
from experiments.foundations import neural_network as experiment


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    return generator.uniform(-1, 1, (256, 64)).astype(np.float32), generator.integers(0, 10, 256)


def test_sharpness_from_zero_weights_is_that_of_the_biases(data):
    """Only the output biases have curvature where all hidden values are zero: diag(p) - pp', with p = 1/10, or 2."""
    assert experiment.sharpness("zero", "tanh", "softmax, cross-entropy", data, 0) == pytest.approx(0.1, rel=1e-3)
    assert experiment.sharpness("zero", "tanh", "linear, squared error", data, 0) == pytest.approx(2, rel=1e-3)


def test_outcomes():
    falling = list(np.linspace(2.3, 0.1, 60))
    assert experiment.outcome(falling, 0.9) == "learned"
    assert experiment.outcome(falling, 0.3) == "stalled"
    assert experiment.outcome([2.3] * 60, 0.1) == "stalled"
    assert experiment.outcome([2.3] * 30 + [5.0] * 30, 0.9) == "diverged"
    assert experiment.outcome([2.3] * 59 + [float("nan")], 0.9) == "diverged"


@pytest.mark.parametrize("loss", experiment.LOSSES)
def test_losses_are_sums_over_classes_and_their_gradients_those_of_the_table(loss):
    generator = np.random.default_rng(1)
    scores, labels = generator.standard_normal((5, 10)), generator.integers(0, 10, 5)
    hot = np.eye(10)[labels]
    z = nn.tensor(scores, requires_grad=True)
    experiment.LOSSES[loss](z, nn.tensor(labels), nn.tensor(hot)).backward()
    sigmoid, softmax = 1 / (1 + np.exp(-scores)), np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = {
        "softmax, cross-entropy": softmax - hot,
        "sigmoid, cross-entropy": sigmoid - hot,
        "sigmoid, squared error": 2 * (sigmoid - hot) * sigmoid * (1 - sigmoid),
        "linear, squared error": 2 * (scores - hot),
    }[loss]
    np.testing.assert_allclose(z.grad.array, expected / 5, atol=1e-12)


def test_a_trainer_begins_each_training_anew(data):
    machine = experiment.Trainer(experiment.SIZES, "tanh", "softmax, cross-entropy", "momentum", 64)
    order = [np.arange(64), np.arange(64, 128)]
    first = machine.train("Xavier", 0, 0.05, data, order)
    machine.train("He", 1, 0.2, data, order)
    assert machine.train("Xavier", 0, 0.05, data, order) == first


def test_the_bound_is_one_sided():
    differences = np.array([0.1, -0.2, 0.3, 0.0])
    half = 2.353363 * differences.std(ddof=1) / 2  # the 95 % quantile of Student's t with three degrees of freedom
    assert experiment.lower_bound(differences) == pytest.approx(differences.mean() - half, rel=1e-5)
