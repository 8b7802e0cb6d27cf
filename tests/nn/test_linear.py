"""The fully connected layer."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (0, 4)], ids=str)
def test_forward_and_gradients(shape, bias):
    ours, theirs = nn.Linear(4, 3, bias=bias).double(), torch.nn.Linear(4, 3, bias=bias).double()
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal(shape)
    a, b = nn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = ours(a), theirs(b)
    agree(y, expected)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    agree(a.grad, b.grad)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(p.grad, q.grad)


def test_initial_distribution():
    nn.manual_seed(0)
    layer = nn.Linear(25, 4000)
    for values in (layer.weight.array, layer.bias.array):
        assert values.dtype == np.float32
        assert np.abs(values).max() <= 0.2  # 1 / √25
        assert np.abs(values).max() > 0.199
        np.testing.assert_allclose(values.std(), 0.2 / np.sqrt(3), rtol=0.02)
        np.testing.assert_allclose(values.mean(), 0, atol=0.005)


def test_seed_decides_the_weights():
    layers = []
    for seed in (1, 1, 2):
        nn.manual_seed(seed)
        layers.append(nn.Linear(3, 2).weight.tolist())
    assert layers[0] == layers[1] != layers[2]


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)], ids=str)
def test_without_outputs(shape):
    x = nn.ones(*shape, requires_grad=True)
    y = nn.functional.linear(x, nn.zeros(0, 4, requires_grad=True), nn.zeros(0))
    assert y.shape == torch.nn.functional.linear(torch.ones(shape), torch.zeros(0, 4), torch.zeros(0)).shape
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, np.zeros(shape))


def test_without_inputs():
    layer = nn.Linear(0, 2)
    assert layer.weight.shape == (2, 0)
    assert layer(nn.ones(3, 0)).tolist() == [layer.bias.tolist()] * 3


def test_wrong_shape_and_dtype():
    layer = nn.Linear(4, 3)
    with pytest.raises(ValueError, match=r"\(5, 3\).*\(3, 4\)|size|inner dimension|mismatch"):
        layer(nn.ones(5, 3))
    with pytest.raises(TypeError, match="linear: input must be a Tensor, got ndarray"):
        layer(np.ones((5, 4), np.float32))
