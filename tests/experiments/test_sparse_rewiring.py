"""A rewiring keeps the number of connections, drops the weakest and grows where it is told to."""

import numpy as np
import pytest

import nn
from experiments.self_improving import sparse_rewiring as experiment


def test_erdos_renyi_gives_every_layer_its_share():
    counts = experiment.connections(0.02)
    assert counts == [3621, 1336, 367] and sum(counts) == round(0.02 * 266_200)
    masks = experiment.sparse_masks(0.02, np.random.default_rng(0))
    assert [mask.shape for mask in masks] == [(300, 784), (100, 300), (10, 100)]
    assert [int(mask.sum()) for mask in masks] == counts


@pytest.mark.parametrize("drop", ["smallest", "random"])
@pytest.mark.parametrize("grow", ["gradient", "random"])
def test_a_rewiring_keeps_the_number_of_connections(drop, grow):
    generator = np.random.default_rng(0)
    mask = (generator.random((20, 30)) < 0.1).astype(np.float32)
    weight = generator.standard_normal(mask.shape).astype(np.float32) * mask
    before, old, count = mask.copy(), weight.copy(), int(mask.sum())
    dropped, grown = experiment.rewire(mask, weight, generator.standard_normal(mask.shape), 0.3, drop, grow, generator)
    assert mask.sum() == count and len(dropped) == len(grown) == int(0.3 * count)
    assert not np.any(weight[mask == 0]) and not np.any(weight.flat[grown])
    kept = (before == 1) & (mask == 1)
    assert np.array_equal(weight[kept], old[kept])


def test_rigl_drops_the_smallest_weights_and_grows_the_largest_gradients():
    mask = np.array([[1, 1, 1, 0, 0, 0]], np.float32)
    weight = np.array([[-3, 0.1, 2, 0, 0, 0]], np.float32)
    gradient = np.array([[9, 9, 9, 1, -5, 2]], np.float32)
    dropped, grown = experiment.rewire(mask, weight, gradient, 0.34, "smallest", "gradient", None)
    assert dropped.tolist() == [1] and grown.tolist() == [4]
    assert mask.tolist() == [[1, 0, 1, 0, 1, 0]]


def test_the_share_falls_along_a_cosine_to_zero():
    config = {"share": 0.3, "until": 0.75, "steps": 1000}
    assert experiment.share_at(config, 375) == pytest.approx(0.15)
    assert experiment.share_at(config, 1) == pytest.approx(0.3, rel=1e-4)
    assert experiment.share_at(config, 750) == experiment.share_at(config, 900) == experiment.share_at(config, 0) == 0


def test_the_gradient_of_a_connection_to_a_blank_pixel_is_zero():
    net = experiment.perceptron(nn)
    x = np.random.default_rng(0).random((8, 784)).astype(np.float32)
    x[:, :100] = 0
    loss = nn.functional.cross_entropy(net(nn.Tensor(x)), nn.Tensor(np.arange(8)))
    (gradient,) = nn.autograd.grad(loss, [net[0].weight])
    assert not gradient.array[:, :100].any() and gradient.array[:, 100:].any()


def test_initial_weights_are_scaled_to_the_connections_that_are_there():
    net, masks = experiment.perceptron(nn), experiment.sparse_masks(0.02, np.random.default_rng(0))
    experiment.initialise(net, masks, np.random.default_rng(1))
    weight = net[0].weight.array
    assert np.array_equal(weight != 0, masks[0] == 1)
    assert np.square(weight).sum() / len(weight) == pytest.approx(2, rel=0.1)
