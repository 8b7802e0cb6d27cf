"""The equations of the covariance, without training."""

import itertools

import numpy as np

from experiments.optimisation import sgd_noise as experiment

TASK = experiment.problem({"examples": 32, "dimensions": 3}, np.random.default_rng(0))


def test_the_covariance_solves_lyapunovs_equation():
    A, C = experiment.moments(*TASK)
    found = experiment.lyapunov(*TASK, 0.1, 4)
    np.testing.assert_allclose(A @ found + found @ A, 0.1 / 4 * C, atol=1e-12)


def test_the_exact_covariance_is_kept_by_a_step():
    X, y, w = TASK
    found, rate = experiment.lyapunov(*TASK, 0.3, 1, exact=True), 0.3
    after = np.zeros_like(found)
    for x, residual in zip(X, X @ w - y, strict=True):  # a batch of one example, each equally likely
        move = np.eye(len(w)) - rate * np.outer(x, x)
        after += move @ found @ move.T + rate**2 * residual**2 * np.outer(x, x)
    np.testing.assert_allclose(after / len(X), found, rtol=1e-10)


def test_an_epoch_holds_every_example_once():
    epoch = list(itertools.islice(experiment.batches("epochs", 12, 4, 5, np.random.default_rng(0)), 3))
    assert [rows.shape for rows in epoch] == [(5, 4)] * 3
    assert all(np.array_equal(np.sort(chain), np.arange(12)) for chain in np.concatenate(epoch, axis=1))
