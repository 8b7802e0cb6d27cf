"""The mathematics of the helpers, without training."""

import math

import numpy as np
import pytest

from experiments.optimisation import quadratics_saddles as experiment


@pytest.mark.parametrize("kappa", [10, 1000])
def test_the_tuned_exponents_are_those_of_the_iteration_matrices(kappa):
    for (_, options), exponent, _ in experiment.tuned(kappa).values():
        radius = 0
        for eigenvalue in np.geomspace(1 / kappa, 1, 7):
            beta = options.get("momentum", 0)
            matrix = np.array([[1 + beta - options["lr"] * eigenvalue, -beta], [1, 0]])
            radius = max(radius, np.abs(np.linalg.eigvals(matrix)).max())
        assert radius == pytest.approx(math.exp(-exponent), rel=1e-6)  # a double root is known to half the digits


def test_the_escape_from_the_saddle_is_the_linear_recursion():
    eta, beta, y, v, steps = 0.05, 0.9, 1e-9, 0.0, 0
    while y < experiment.EXIT:
        v = beta * v - y
        y -= eta * v
        steps += 1
    assert 0 <= steps - experiment.exit_theory(eta, 1e-9, beta) < 1


def test_descending_does_not_change_the_start():
    A, start = experiment.quadratic(np.array([0.1, 1.0]), np.random.default_rng(0))
    before = start.copy()
    iterates = experiment.descend(A, start, ("SGD", {"lr": 0.5}), 3)
    assert np.array_equal(start, before) and np.array_equal(iterates[0], before)
    np.testing.assert_allclose(iterates[1], before - 0.5 * A @ before, rtol=1e-12)
