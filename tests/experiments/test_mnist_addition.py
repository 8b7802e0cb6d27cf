"""The nets of the design and their effects, without training."""

import numpy as np
import pytest

import nn
from experiments.self_improving import mnist_addition as experiment


@pytest.fixture
def pairs():
    return nn.Tensor(np.random.default_rng(0).standard_normal((3, 2, 28, 28)).astype(np.float32))


@pytest.mark.parametrize("name", experiment.NETS)
def test_every_net_gives_probabilities_of_nineteen_sums(name, pairs):
    np.testing.assert_allclose(np.exp(experiment.NETS[name](nn)(pairs).array).sum(axis=1), 1, rtol=1e-5)


def test_the_rule_does_not_mind_the_order_of_the_images_where_one_net_reads_both(pairs):
    swapped = nn.Tensor(np.ascontiguousarray(pairs.array[:, ::-1]))
    for name, equal in (("one net, rule", True), ("two nets, rule", False), ("one net", False), ("19 classes", False)):
        network = experiment.NETS[name](nn)
        difference = np.abs(network(pairs).array - network(swapped).array).max()
        assert (difference < 1e-5) == equal, name


def test_two_nets_have_twice_the_weights_of_one():
    one, two = (sum(p.numel() for p in experiment.adder(nn, shared).parameters()) for shared in (True, False))
    assert two == 2 * one


def test_effects_are_those_of_a_two_by_two_design():
    values = dict(zip(experiment.NETS, (0.9, 0.8, 0.7, 0.4, 0.3), strict=True))
    found = experiment.effects([{"sum": {name: [0, value] for name, value in values.items()}}])
    assert {name: round(float(value[0]), 6) for name, value in found.items()} == {
        "sharing": 0.2,
        "rule": 0.3,
        "interaction": -0.2,
    }


def test_readings_of_pairs_that_leave_a_choice():
    threes = [pair for pair in experiment.ALL_PAIRS if sum(pair) % 3 == 0]
    assert len(experiment.readings(threes)) == 4
    assert all(f[0] == 0 and f[9] == 9 for f in experiment.readings(threes))
