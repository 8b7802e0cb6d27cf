"""The mathematics of the game, without training."""

import math

import numpy as np
import pytest

from experiments.optimisation import dirac_gan as experiment


def test_the_eigenvalues_are_those_of_the_derivation():
    eta, gamma = 0.1, 0.5
    assert experiment.theory(0.5, eta, 0.0, False) == pytest.approx(math.log(1 + eta**2 / 4) / 2)
    assert experiment.theory(0.5, eta, 0.0, True) == pytest.approx(0, abs=1e-12)
    assert experiment.theory(1.0, eta, gamma, False) == pytest.approx(math.log(1 - eta * gamma + eta**2) / 2)
    assert experiment.theory(1.0, eta, gamma, True) == pytest.approx(math.log(1 - eta * gamma) / 2)
    assert experiment.theory(1.0, eta, eta, False) == pytest.approx(0, abs=1e-12), "the threshold of R1"


@pytest.mark.parametrize("alternate", [False, True])
def test_a_step_of_the_wasserstein_game_is_its_matrix(alternate):
    start, gammas = np.array([0.8, -0.3]), [0.0, 0.7]
    walk = experiment.play("Wasserstein", start, gammas, ("SGD", {"lr": 0.2}), alternate, 2)
    for i, gamma in enumerate(gammas):
        step = experiment.matrix(1.0, 0.2, gamma, alternate)
        np.testing.assert_allclose(walk[:, i], [start, step @ start, step @ step @ start], rtol=1e-12)
