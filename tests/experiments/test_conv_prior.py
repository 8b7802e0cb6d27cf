"""The nested nets of the experiment, and how many examples a curve needs."""

import math

import numpy as np
import pytest

import nn
from experiments.architecture import conv_prior


def test_the_wide_perceptron_has_the_units_of_the_untied_net():
    free, full = conv_prior.untied(nn), conv_prior.wide(nn)
    for i in conv_prior.CONVOLUTIONS:
        assert full[i + 1].weight.shape == free[i].mask.shape
    assert not [key for key in free.state_dict() if "mask" in key]


def test_an_untied_layer_looks_where_its_convolution_looks():
    convolution = nn.Conv1d(2, 3, 3, stride=2, padding=1)
    free = conv_prior.Untied(convolution, 7)
    x = nn.Tensor(np.random.default_rng(0).standard_normal((4, 2, 7)).astype(np.float32))
    free.tie(convolution, 7)
    np.testing.assert_allclose(free(x).array, convolution(x).array, atol=1e-6)
    free(x).sum().backward()
    assert (free.weight.grad.array[free.mask.array == 0] == 0).all()


def test_the_number_of_examples_is_interpolated_in_its_logarithm():
    assert conv_prior.needed([100, 400], [0.5, 0.7], 0.6) == pytest.approx(200)
    assert conv_prior.needed([100, 400, 1600], [0.5, 0.7, 0.9], 0.9) == pytest.approx(1600)
    assert math.isnan(conv_prior.needed([100, 400], [0.5, 0.7], 0.8))
