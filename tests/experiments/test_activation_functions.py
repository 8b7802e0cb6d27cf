"""The theory of `activation_functions`, against closed forms."""

import math

import numpy as np
import pytest

import nn
from experiments.foundations.activation_functions import (
    calibrated,
    dead_share,
    finite_difference,
    make,
    moments,
    predicted,
    predicted_dead,
    stability,
)


def test_finite_difference_is_exact_to_fourth_order():
    x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(finite_difference(lambda x: x**4 - x**3, x, h=0.1), 4 * x**3 - 3 * x**2, atol=1e-13)


def test_moments_of_relu():
    mean, square, slope = moments(nn.ReLU(), q=4.0)
    assert mean == pytest.approx(2 / math.sqrt(2 * math.pi), rel=1e-5)
    assert square == pytest.approx(2.0, rel=1e-9)
    assert slope == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("variance", [1 / 3, 1.0, 2.0])
def test_relu_loses_the_same_in_every_layer(variance):
    np.testing.assert_allclose(predicted(nn.ReLU(), variance, 6), [math.log2(variance / 2)] * 5, atol=1e-9)


def test_calibrated():
    assert calibrated(nn.ReLU(), None) == pytest.approx(2, rel=1e-9)
    assert calibrated(nn.ReLU(), 1.5) == 1.5
    assert stability(nn.ReLU()) == pytest.approx(1, rel=1e-9)
    assert stability(make(nn, "Tanh")) < 1 < stability(make(nn, "SiLU"))


def test_dead_share():
    assert dead_share(0.0, 5) == pytest.approx(2**-5)
    assert dead_share(0.5, 2) == pytest.approx(1 / 3, rel=1e-6)  # two normal numbers of correlation 1/2: 1/4 + 1/12
    assert dead_share(1 - 1e-9, 16) == pytest.approx(0.5, abs=1e-3)
    shares = predicted_dead(30, 16)
    assert (np.diff(shares) > 0).all() and shares[-1] < 0.5
