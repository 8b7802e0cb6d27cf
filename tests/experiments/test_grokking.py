"""The construction of the derivation is exact; the progress measure knows waves from noise."""

import numpy as np
import pytest

from experiments.generalisation import grokking as experiment


@pytest.mark.parametrize("p", [7, 23])
def test_three_phases_are_exact_and_two_are_not(p):
    error, accuracy = experiment.construction_error(p)
    assert error < 1e-12 and accuracy == 1
    assert experiment.constructed(p)[1].shape == (p, 9 * (p - 1) // 2)
    assert experiment.construction_error(p, 2)[0] > 0.01


def test_the_table_is_that_of_addition():
    pairs, sums = experiment.table(5)
    assert pairs.shape == (25, 2) and np.array_equal((pairs[:, 0] + pairs[:, 1] - 5) % 5, sums)


def test_a_wave_has_all_its_power_at_one_frequency():
    wave, _ = experiment.constructed(11)
    assert experiment.wave_share(experiment.spectrum(wave, 11)) == pytest.approx(1)
    noise = np.random.default_rng(0).standard_normal((22, 500))
    assert experiment.wave_share(experiment.spectrum(noise, 11)) < 0.6
    assert experiment.wave_share(experiment.spectrum(0 * wave, 11)) == 0


def test_the_first_step_at_a_level():
    assert experiment.first([1, 2, 5], [0.1, 0.7, 0.9], 0.7) == 2
    assert experiment.first([1, 2, 5], [0.1, 0.7, 0.9], 0.95) is None
