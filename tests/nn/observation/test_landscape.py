"""The loss along lines and on planes."""

import numpy as np
import pytest

import nn
from nn import observation
from tests.nn.observation.training import digits, perceptron


@pytest.fixture
def problem(dtype):
    model = perceptron().to(dtype)
    x, target = digits(60)
    x, target = nn.Tensor(x.astype(dtype)), nn.Tensor(target)
    return (lambda: nn.functional.cross_entropy(model(x), target)), list(model.parameters())


def at(loss, parameters, arrays):
    """The loss at other parameters, by loading them."""
    kept = [p.array.copy() for p in parameters]
    for p, array in zip(parameters, arrays, strict=True):
        p.array[...] = array
    value = loss().item()
    for p, array in zip(parameters, kept, strict=True):
        p.array[...] = array
    return value


def test_line(problem, rng):
    loss, parameters = problem
    direction = [rng.standard_normal(p.shape).astype(p.dtype) for p in parameters]
    positions = np.linspace(-0.5, 1, 4)
    found = observation.loss_along_line(loss, parameters, direction, positions)
    for t, value in zip(positions, found, strict=True):
        assert value == at(loss, parameters, [p.array + t * d for p, d in zip(parameters, direction, strict=True)])
    assert found.dtype == np.float64
    assert observation.loss_along_line(loss, parameters, direction, [0]) == loss().item()


def test_plane(problem, rng):
    loss, parameters = problem
    first, second = observation.random_directions(parameters, 2)
    xs, ys = [-1.0, 0.0, 0.5], [0.0, 2.0]
    found = observation.loss_on_plane(loss, parameters, first, second, xs, ys)
    assert found.shape == (2, 3) and found[0, 1] == loss().item()
    np.testing.assert_array_equal(found[0], observation.loss_along_line(loss, parameters, first, xs))
    np.testing.assert_array_equal(found[:, 1], observation.loss_along_line(loss, parameters, second, ys))
    moved = [p.array - x + 2 * y for p, x, y in zip(parameters, first, second, strict=True)]
    assert found[1, 0] == pytest.approx(at(loss, parameters, moved), rel=1e-6)


def test_parameters_are_restored_bit_for_bit(problem):
    loss, parameters = problem
    loss().backward()
    values, gradients = [p.array.copy() for p in parameters], [p.grad for p in parameters]
    [direction] = observation.random_directions(parameters, 1)
    calls = []

    def failing():
        calls.append(None)
        if len(calls) == 3:
            raise KeyError("no loss")
        return loss()

    observation.loss_on_plane(loss, parameters, direction, direction, [0.1, 7.0], [0.3])
    with pytest.raises(KeyError, match="no loss"):
        observation.loss_along_line(failing, parameters, direction, np.linspace(0, 1, 5))
    for p, value, gradient in zip(parameters, values, gradients, strict=True):
        np.testing.assert_array_equal(p.array, value)
        assert p.grad is gradient


def test_a_recorded_graph_detects_the_change(problem):
    loss, parameters = problem
    value = loss()
    [direction] = observation.random_directions(parameters, 1)
    observation.loss_along_line(loss, parameters, direction, [1.0])
    with pytest.raises(RuntimeError, match="changed in place"):
        value.backward()


@pytest.mark.parametrize("normalise", ["filter", "layer"])
def test_directions_have_the_norms_of_the_parameters(normalise, dtype):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)).to(dtype)
    parameters = list(model.parameters())
    for direction in observation.random_directions(parameters, 2, normalise=normalise):
        for p, d in zip(parameters, direction, strict=True):
            assert d.shape == p.shape and d.dtype == dtype
            if p.ndim == 1:
                assert (d == 0).all()
                continue
            rows = (len(p), -1) if normalise == "filter" else (1, -1)
            norms = [np.linalg.norm(each.reshape(rows), axis=1) for each in (d, p.array)]
            np.testing.assert_allclose(*norms, rtol=1e-5)


def test_directions_without_normalisation():
    parameters = [nn.Parameter(np.zeros((50, 40))), nn.Parameter(np.zeros(500))]
    first, second = observation.random_directions(parameters, 2, normalise=None)
    for one, other in zip(first, second, strict=True):
        assert one.std() == pytest.approx(1, abs=0.1) and (one != other).all()
    again, _ = observation.random_directions(parameters, 2, normalise=None, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(first[0], again[0])


def test_invalid_arguments(problem):
    loss, parameters = problem
    with pytest.raises(ValueError, match="loss_along_line: shapes differ"):
        observation.loss_along_line(loss, parameters, [np.ones(3)], [0])
    with pytest.raises(ValueError, match="normalise must be 'filter', 'layer' or None, got 'weight'"):
        observation.random_directions(parameters, 1, normalise="weight")
