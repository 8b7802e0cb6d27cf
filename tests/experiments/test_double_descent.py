"""The fit, its bias and its variance, against other ways to compute them."""

import itertools

import numpy as np
import pytest

from experiments.generalisation import double_descent as experiment


def features(N, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((count, N + 1)) for count in (6, 4, 5)], rng.standard_normal((6, 2))


@pytest.mark.parametrize("N", [3, 6, 9])
def test_the_fit_is_least_squares_of_minimum_norm(N):
    parts, targets = features(N)
    [(validation, test)] = experiment.Fit(parts, N).predict(targets, [0.0])
    solution = np.linalg.lstsq(parts[0][:, :N], targets, rcond=None)[0]
    np.testing.assert_allclose(validation, parts[1][:, :N] @ solution, rtol=1e-9)
    np.testing.assert_allclose(test, parts[2][:, :N] @ solution, rtol=1e-9)


@pytest.mark.parametrize("N", [3, 9])
def test_a_penalty_is_a_multiple_of_the_largest_squared_singular_value(N):
    parts, targets = features(N)
    [(_, test)] = experiment.Fit(parts, N).predict(targets, [0.2])
    phi = parts[0][:, :N]
    mu = 0.2 * np.linalg.norm(phi, 2) ** 2
    solution = np.linalg.solve(phi.T @ phi + mu * np.eye(N), phi.T @ targets)
    np.testing.assert_allclose(test, parts[2][:, :N] @ solution, rtol=1e-9)


def test_bias_and_variance_are_the_expected_error_over_all_noises():
    parts, mean = features(8)
    fit, truth, deviation = experiment.Fit(parts, 8), np.ones((5, 2)), 0.3
    draws = [mean + deviation * np.array(signs)[:, None] for signs in itertools.product((-1, 1), repeat=6)]
    bias, variance, sampled = fit.parts(mean, np.full((6, 2), deviation**2), truth, draws)
    assert bias + variance == pytest.approx(sampled, rel=1e-9)
