"""Dropout: its distribution, its gradient, and the identity in evaluation."""

import numpy as np
import pytest
import torch

import nn
import nn.functional as F


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_distribution(p, dtype):
    nn.manual_seed(0)
    x = nn.ones(100_000, dtype=dtype)
    y = nn.Dropout(p)(x).numpy()
    assert y.dtype == dtype
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - p)], rtol=1e-6)
    np.testing.assert_allclose((y == 0).mean(), p, atol=0.01)
    np.testing.assert_allclose(y.mean(), 1, atol=0.02)
    assert x.tolist() == [1.0] * 100_000


def test_gradient_has_the_mask_of_the_result():
    x = nn.ones(20, 30, requires_grad=True)
    y = nn.Dropout(0.3)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, y.array)


def test_evaluation_and_no_probability():
    x = nn.ones(5)
    layer = nn.Dropout(0.7)
    assert layer.eval()(x) is x
    assert nn.Dropout(0)(x) is x
    assert F.dropout(x, 0.7, training=False) is x


def test_probability_one():
    x = nn.ones(5, requires_grad=True)
    y = nn.Dropout(1.0)(x)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() == [0.0] * 5


def test_in_place():
    x = nn.ones(1000)
    assert nn.Dropout(0.5, inplace=True)(x) is x
    assert set(x.tolist()) == {0.0, 2.0}


def test_seed_decides():
    masks = []
    for seed in (1, 1, 2):
        nn.manual_seed(seed)
        masks.append(F.dropout(nn.ones(100)).tolist())
    assert masks[0] == masks[1] != masks[2]


def test_repr_and_errors():
    assert repr(nn.Dropout(0.2)) == repr(torch.nn.Dropout(0.2))
    with pytest.raises(ValueError, match="Dropout: p must be between 0 and 1, got 1.5"):
        nn.Dropout(1.5)
    with pytest.raises(ValueError, match="dropout: p must be between 0 and 1, got -0.1"):
        F.dropout(nn.ones(1), -0.1)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_of_whole_channels(dims):
    nn.manual_seed(0)
    layer = getattr(nn, f"Dropout{dims}d")(0.4)
    for leading in ((50, 20), (1000,)):
        x = nn.ones(*leading, *(3,) * dims, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        channels = y.array.reshape(*leading, -1)
        assert (channels == channels[..., :1]).all()
        np.testing.assert_allclose(np.unique(channels), [0, 1 / 0.6], rtol=1e-6)
        np.testing.assert_allclose((channels == 0).mean(), 0.4, atol=0.06)
        np.testing.assert_array_equal(x.grad.array, y.array)
    assert layer.eval()(x) is x
    assert repr(layer) == repr(getattr(torch.nn, f"Dropout{dims}d")(0.4))
    with pytest.raises(ValueError, match=rf"dropout{dims}d: input must have {dims + 1} or {dims + 2} dimensions"):
        getattr(F, f"dropout{dims}d")(nn.ones(2))
    with pytest.raises(ValueError, match=rf"Dropout{dims}d: p must be between 0 and 1, got 2"):
        getattr(nn, f"Dropout{dims}d")(2)
