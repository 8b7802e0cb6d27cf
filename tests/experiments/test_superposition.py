"""The closed forms of the experiment."""

import numpy as np
import pytest

from experiments.representation import superposition


def test_at_the_threshold_both_closed_forms_cost_the_same():
    for importance in (0.2, 1.0, 3.0):
        p = superposition.threshold(importance)
        one = min(1, importance) * (p / 3 - p**2 / 4)
        assert p**2 * (1 + importance) / 6 == pytest.approx(one)


def test_gaps_of_a_regular_pentagon_are_72_degrees():
    angles = 2 * np.pi * np.array([0, 3, 1, 4, 2]) / 5 + 0.3
    assert np.allclose(superposition.gaps(np.array([np.cos(angles), np.sin(angles)])), 72)


def test_loss_of_a_single_feature_without_bias():
    c = np.cos(2 * np.pi / 5)
    assert superposition.lone_feature_cost(1, 0) == pytest.approx(2 * c**2 / 3, rel=1e-4)


def test_loss_of_an_antipodal_pair():
    generator = np.random.default_rng(0)
    p, importance = 0.3, 0.5
    x = superposition.features(generator, 1 - p, (1, 200_000, 2))
    toy = superposition.model(superposition.nn, np.array([[[[1, -1]]]], np.float32), np.zeros((1, 1, 1, 2), np.float32))
    loss = superposition.held_out_losses(toy, x, np.array([[1.0, importance]]))
    assert loss[0, 0] == pytest.approx(p**2 * (1 + importance) / 6, rel=0.02)
