"""The estimate, the best critic and the views, without training."""

import math

import numpy as np
import pytest

from experiments.representation import infonce as experiment


def test_no_scores_give_more_than_ln_k():
    generator = np.random.default_rng(0)
    for scale in (0.1, 1, 100):
        scores = scale * generator.standard_normal((3, 16, 16))
        assert (experiment.estimates(scores) <= math.log(16)).all()
    perfect = np.where(np.eye(16, dtype=bool), 0.0, -1e6)[None]
    assert experiment.estimates(perfect)[0] == pytest.approx(math.log(16))
    assert experiment.estimates(np.zeros((1, 16, 16)))[0] == pytest.approx(0)


def test_the_best_critic_lies_between_its_bounds():
    generator, K, d = np.random.default_rng(0), 64, 4
    information = np.array([0.5, 1.5])
    rho = experiment.correlation(information, d)
    np.testing.assert_allclose(-d / 2 * np.log(1 - rho**2), information)
    found = []
    for _ in range(200):
        x, y = experiment.correlated(rho, K, d, generator)
        found.append(experiment.estimates(experiment.best_scores(x, y, rho)))
    mean, slack = np.mean(found, axis=0), 4 * np.std(found, axis=0) / math.sqrt(len(found))
    assert (mean <= information + slack).all()
    assert (mean >= information - np.log1p(np.expm1(2 * information) / K) - slack).all()


def test_a_view_without_changes_is_the_signal():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((5, 40)).astype(np.float32)
    np.testing.assert_array_equal(experiment.view(x, {}, generator)[:, 0], x)
    shifted = experiment.view(x, {"shift": 5}, generator)[:, 0]
    np.testing.assert_array_equal(np.sort(shifted, axis=1), np.sort(x, axis=1))
