"""The mathematics of `perceptron`, on data with a known solution."""

import numpy as np
import pytest

from experiments.foundations.perceptron import (
    by_scikit_learn,
    by_tape,
    certificate,
    largest_margin,
    learn,
    learn_worst_first,
    orthogonal,
    signed,
)


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


def test_at_a_tie_scikit_learn_moves_and_the_tape_does_not():
    x, y, orders = np.array([[0.0, 1.0], [1.0, -1.0]]), np.array([1.0, -1.0]), np.array([[0], [1]])
    z = signed(x, y)  # after (0, 1, 1) the second, (-1, 1, -1), is a tie
    ours = [learn(z, orders[: number + 1], 1.0, z[0])[3] for number in range(2)]
    np.testing.assert_array_equal(ours, [[0, 1, 1], [-1, 2, 0]])
    np.testing.assert_array_equal(by_scikit_learn(x, np.array([1.0, -1.0]), [[0, 1]])[-1], ours[-1])
    np.testing.assert_array_equal(by_tape(z, orders, np.zeros(3)), np.zeros((2, 3)))
