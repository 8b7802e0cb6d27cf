"""The mathematics of `perceptron`, on data with a known solution."""

import numpy as np
import pytest

from experiments.foundations.perceptron import certificate, largest_margin, learn, learn_worst_first, orthogonal, signed


@pytest.mark.parametrize("n", [2, 9])
def test_unit_vectors(n):
    u, margin, upper = largest_margin(np.eye(n))
    np.testing.assert_allclose(u, n**-0.5, rtol=1e-6)
    assert margin == pytest.approx(n**-0.5, rel=1e-6)
    assert upper == pytest.approx(n**-0.5, rel=1e-6)
    assert orthogonal(n) == n
    assert learn_worst_first(np.eye(n), 100) == n


def test_certificate():
    apart = signed(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([-1.0, -1.0, 1.0, 1.0]))
    mixed = signed(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([-1.0, 1.0, -1.0, 1.0]))
    assert certificate(mixed) < 1e-12
    assert certificate(apart) == pytest.approx(largest_margin(apart)[1], rel=1e-4)


def test_learn_by_hand():
    z = np.array([[1.0, 0.0], [-1.0, 2.0]])
    counts, progress, squares, w, mean, pocket = learn(z, np.array([[0, 1], [0, 1], [0, 1]]), 1.0, np.array([0.0, 1.0]))
    # (1, 0), then (0, 2), then, as (0, 2)·(1, 0) = 0 is a mistake, (1, 2): which has none
    assert counts.tolist() == [2, 1, 0]
    assert progress.tolist() == [0, 2, 2]
    assert squares.tolist() == [1, 4, 5]
    assert w.tolist() == pocket.tolist() == [1, 2]
    np.testing.assert_allclose(mean, [5 / 6, 10 / 6])
