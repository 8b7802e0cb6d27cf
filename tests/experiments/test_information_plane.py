"""The measure of information of the experiment."""

import numpy as np
import pytest

from experiments.representation import information_plane as experiment


def test_entropy_of_equal_and_of_different_values():
    assert experiment.entropy(np.zeros(8)) == 0
    assert experiment.entropy(np.arange(8)) == pytest.approx(3)


def test_information_is_that_of_the_bins():
    h = np.array([[-0.9, 0.2], [-0.8, 0.3], [0.9, 0.2], [0.9, -0.2]])
    labels = np.array([0, 0, 1, 1])
    whole, about = experiment.information(h, -1, 1, 2, labels)
    assert whole == pytest.approx(1.5) and about == pytest.approx(1)
    whole, _ = experiment.information(h, -1, 1, 1000, labels)
    assert whole == pytest.approx(2), "narrow bins tell all inputs apart"
    assert experiment.information(np.ones((4, 2)), 0, 1, 10, labels) == (0, 0)


def test_hashed_bins_are_counted_as_rows_are():
    places = np.random.default_rng(0).integers(0, 3, (500, 5))
    rows = np.unique(places, axis=0, return_counts=True)[1] / 500
    found, _ = experiment.information(places + 0.5, 0, 3, 3, np.repeat([0, 1], 250))
    assert found == pytest.approx(-(rows * np.log2(rows)).sum())


def test_patterns_and_rule():
    x = experiment.patterns()
    assert len(np.unique(x, axis=0)) == 4096 and set(np.unique(x)) == {-1, 1}
    assert experiment.rule(x, np.random.default_rng(0)).mean() == 0.5


def test_fall():
    assert experiment.fall([1, 4, 3]) == pytest.approx(0.25)
    assert experiment.fall([1, 2, 3]) == 0
