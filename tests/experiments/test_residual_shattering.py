"""What a rectifier does to the correlation of two gradients, and nets that differ by their skips only."""

import math

import numpy as np
import pytest

import nn
from experiments.architecture import residual_shattering as experiment

CONFIG = {"width": 12}


@pytest.mark.parametrize("c, factor", [(0, 1 / 2), (0.5, 2 / 3), (1, 1), (-1, 0)])
def test_the_factor_is_twice_the_chance_that_both_are_active(c, factor):
    z = np.array([[1.0, 0.0], [c, math.sqrt(1 - c * c)]])
    assert experiment.both_active(z, norm=False)[0, 1] == pytest.approx(factor, abs=1e-7)
    pairs = np.random.default_rng(0).standard_normal((200_000, 2)) @ z.T
    assert 2 * np.mean((pairs > 0).all(axis=1)) == pytest.approx(factor, abs=0.01)


def test_correlation_is_one_for_equal_and_zero_for_orthogonal_gradients():
    assert experiment.correlation(np.ones((5, 3))) == pytest.approx(1)
    assert experiment.correlation(np.eye(4)) == pytest.approx(0)


def test_plain_and_residual_nets_have_the_same_parameters_and_differ_by_the_skip():
    plain, residual = (experiment.network(nn, 3, CONFIG, 2, 1, skip).double() for skip in (False, True))
    for net in (plain, residual):
        experiment.initialise(net, np.random.default_rng(0))
    states = plain.state_dict(), residual.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][key].array, states[1][key].array) for key in states[0])
    x = nn.Tensor(np.random.default_rng(1).standard_normal((6, 3)))
    h = plain.entry(x)
    np.testing.assert_array_equal(residual.stream(x)[1].array, (h + residual.blocks[0](h)).array)
    np.testing.assert_array_equal(plain.stream(x)[1].array, plain.blocks[0](h).array)


def test_gradients_are_those_of_each_output_with_respect_to_its_own_input():
    net = experiment.network(nn, 3, CONFIG, 2, 1, True)
    experiment.initialise(net, np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((6, 3))
    _, _, gradient = experiment.gradients(net, x, np.random.default_rng(2))
    top = np.random.default_rng(2).standard_normal(12)

    def outputs(inputs):
        with nn.no_grad():
            return net.stream(nn.Tensor(inputs))[-1].array @ top

    step = 1e-6 * np.eye(3)[1]
    difference = (outputs(x + step) - outputs(x - step)) / 2e-6
    np.testing.assert_allclose(gradient[:, 1], difference, rtol=1e-6, atol=1e-7)


def test_a_trained_net_has_as_many_linear_layers_as_its_name_says():
    net = experiment.build(nn, CONFIG | {"layers": 2}, 20, True)
    assert sum(isinstance(module, nn.Linear) for module in net.modules()) == 20
