"""The exact score and the sampler, without training."""

import math

import numpy as np
import pytest

from experiments.generalisation import diffusion as experiment

LAW = experiment.mixture({"components": 5}, np.random.default_rng(0))


def log_density(x, t):
    shares, _ = experiment.logarithms(LAW, x, *experiment.schedule(t))
    return np.log(np.exp(shares).sum(axis=1))


def test_the_exact_noise_is_the_score():
    x, h = np.random.default_rng(1).standard_normal((6, 2)), 1e-5
    t = np.linspace(0.1, 0.9, 6)[:, None]
    score = [(log_density(x + h * e, t) - log_density(x - h * e, t)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(experiment.exact(LAW)(x, t), -np.sin(math.pi / 2 * t) * np.transpose(score), rtol=1e-6)


def test_the_exact_score_of_points_returns_them():
    generator = np.random.default_rng(2)
    points = experiment.draw(LAW, 20, generator)
    for ancestral in (False, True):
        found = experiment.sample(experiment.exact(experiment.empirical(points)), 50, 100, generator, ancestral)
        assert experiment.distances(found, points).max() < experiment.NEAR


def test_distances():
    points = np.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(experiment.distances(np.array([[3.0, 3.0], [0.0, 0.0]]), points), [1, 0])
    assert experiment.energy_distance(points, points) == pytest.approx(0)
    assert experiment.energy_distance(points, points + 10) > 1
