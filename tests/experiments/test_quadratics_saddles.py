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


@pytest.mark.parametrize(("name", "sides"), [("theorem", (0.46, 0.48)), ("experiment", (0.9995, 0.9996))])
def test_the_drift_changes_its_sign_where_the_text_says(name, sides):
    slopes, beta1 = experiment.SLOPES[name], experiment.BETA1[name]
    assert experiment.drift(slopes, beta1, sides[0]) > 0 > experiment.drift(slopes, beta1, sides[1])


def test_the_drift_of_the_theorem_is_that_of_the_derivation():
    v1 = (0.9 * 9 + 0.1 * 0.9 + 0.01 * 0.9) / (1 - 0.001)
    v2 = 0.1 * v1 + 0.9
    v3 = 0.1 * v2 + 0.9
    expected = -3 / math.sqrt(v1) + 1 / math.sqrt(v2) + 1 / math.sqrt(v3)
    assert experiment.drift([3, -1, -1], 0.0, 0.1) == pytest.approx(expected, rel=1e-12)


def test_adagrad_ends_as_gradient_descent_with_its_last_rates():
    A, start = experiment.quadratic(np.array([0.5, 1.0]), np.random.default_rng(0))
    row = experiment.frozen(A, experiment.descend(A, start, ("Adagrad", {"lr": 0.5}), 60), 0.5)
    assert row["measured"] == pytest.approx(row["predicted"], rel=1e-2)
