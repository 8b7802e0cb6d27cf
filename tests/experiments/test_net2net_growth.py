"""Growing a network keeps its function; equal halves never part."""

import numpy as np
import pytest

from experiments.self_improving import net2net_growth as experiment


@pytest.fixture
def layers():
    generator = np.random.default_rng(0)
    sizes = [5, 4, 3]
    pairs = zip(sizes, sizes[1:], strict=False)
    return [(generator.standard_normal((rows, columns)), generator.standard_normal(rows)) for columns, rows in pairs]


@pytest.mark.parametrize("activation", experiment.ACTIVATIONS)
@pytest.mark.parametrize("equal", [False, True])
def test_a_wider_network_computes_the_same(layers, activation, equal):
    x = np.random.default_rng(1).standard_normal((20, 5))
    grown = experiment.widen(layers, 0, 9, np.random.default_rng(2), equal)
    assert [weight.shape for weight, _ in grown] == [(9, 5), (3, 9)]
    before, after = (experiment.output(one, x, activation) for one in (layers, grown))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-13)
    assert np.all(grown[1][0] != 0), "every copy feeds the next layer"


def test_a_deeper_network_computes_the_same_with_relu_only(layers):
    x = np.random.default_rng(1).standard_normal((20, 5))
    grown = experiment.deepen(layers, 0)
    assert np.array_equal(experiment.output(grown, x), experiment.output(layers, x))
    assert np.abs(experiment.output(grown, x, "Tanh") - experiment.output(layers, x, "Tanh")).max() > 0.01


def test_padding_keeps_the_old_weights(layers):
    first, middle, last = experiment.pad(layers, 9, np.random.default_rng(2))
    assert first[0].shape == (9, 5) and middle[0].shape == (9, 9) and last[0].shape == (3, 9)
    np.testing.assert_allclose(first[0][:4], layers[0][0], rtol=1e-6)
    np.testing.assert_allclose(last[0][:, :4], layers[1][0], rtol=1e-6)


def test_shifting_moves_by_at_most_a_pixel():
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 4, 4] = 1
    moved = experiment.shifted(np.repeat(image.reshape(1, 64), 200, axis=0), np.random.default_rng(0)).reshape(-1, 8, 8)
    places = {tuple(np.argwhere(one)[0] - 4) for one in moved}
    assert places == {(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}


def test_steps_to_a_target_that_is_not_reached():
    config = {"smooth": 2, "every": 10, "steps": 40}
    assert experiment.steps_to(config, np.array([0.1, 0.2, 0.5, 0.9, 0.9]), 0.6) == 20
    assert experiment.steps_to(config, np.array([0.1, 0.2, 0.5, 0.9, 0.9]), 0.95) == 40
