"""How rates are chosen and effects computed, and the noise, without training."""

import numpy as np
import pytest

import nn
from experiments.depth import batchnorm_smoothness as experiment


def results(losses):
    """Seeds × arms × two rates, with an accuracy of 1 - loss."""
    return [
        {
            "arms": {
                arm: {"rates": [0.1, 0.2], "loss": pair, "accuracy": [1 - (x or 0) for x in pair]}
                for arm, pair in zip(experiment.ARMS, seed, strict=True)
            }
        }
        for seed in losses
    ]


def test_each_half_is_judged_at_the_rate_that_the_other_chose():
    first, second = [[0.1, 0.4]] * 4, [[0.3, 0.2]] * 4
    found, rates = experiment.chosen(results([first, second]), "plain")
    np.testing.assert_allclose(found, [0.4, 0.3])
    assert rates == [0.2, 0.1]
    accuracy, _ = experiment.chosen(results([first, second]), "plain", "accuracy")
    np.testing.assert_allclose(accuracy, [0.6, 0.7])


def test_a_rate_at_which_a_seed_diverged_is_not_chosen():
    found, rates = experiment.chosen(results([[[0.3, 0.1]] * 4, [[0.3, None]] * 4]), "BN")
    assert rates == [0.1, 0.2] and found[0] == 0.3 and np.isnan(found[1])


def test_effects_are_those_of_a_two_by_two_design():
    seeds = [[[plain] * 2, [plain + 0.5] * 2, [0.1] * 2, [0.3] * 2] for plain in (0.4, 0.6)]
    found = experiment.effects(results(seeds))
    np.testing.assert_allclose(found["normalisation"], [0.2 - 0.65, 0.2 - 0.85])
    np.testing.assert_allclose(found["noise"], [0.35, 0.35])
    np.testing.assert_allclose(found["interaction"], [0.3, 0.3])
    np.testing.assert_allclose(found["plain minus BN with noise"], [0.1, 0.3])


def test_the_noise_has_the_stated_strength():
    nn.manual_seed(0)
    noise, x = experiment.Noise(), np.ones((2000, 200), np.float32)
    shifted = noise(nn.Tensor(0 * x)).array
    scaled = noise(nn.Tensor(100 * x)).array / 100
    assert abs(shifted.std(axis=0).mean() - 0.2 / np.sqrt(12)) < 1e-3, "the jitter of an example"
    assert abs(shifted.mean(axis=0).std() - 1 / np.sqrt(12)) < 0.03, "the shift of a unit"
    assert abs(scaled.std(axis=0).mean() - 0.1) < 2e-3 and abs(scaled.mean() - 1.125) < 0.01
    noise.eval()
    assert noise(nn.Tensor(x)).array is not None and (noise(nn.Tensor(x)).array == x).all()


def test_eighteen_seeds_have_the_power():
    assert experiment.power(18, 0.0146, 0.0195) > 0.9 > experiment.power(16, 0.0146, 0.0195)
    assert experiment.power(18, 1e-12, 1.0) == pytest.approx(0.05, abs=1e-6)
