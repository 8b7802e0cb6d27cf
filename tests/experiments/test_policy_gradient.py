"""The mechanics of the cart, the weights and the derived variances."""

import math

import numpy as np
import pytest

import nn
from experiments.optimisation import policy_gradient as experiment
from nn import functional as F


@pytest.mark.parametrize("force", [10.0, -10.0])
def test_the_accelerations_solve_the_equations_of_euler_and_lagrange(force):
    angle, turning = 0.15, -0.7
    cart, lean = experiment.accelerations(angle, turning, force)
    pole, half = experiment.POLE, experiment.HALF
    inertia = lean * math.cos(angle) - turning**2 * math.sin(angle)
    assert (experiment.CART + pole) * cart + pole * half * inertia == pytest.approx(force, abs=1e-12)
    gravity = experiment.GRAVITY * math.sin(angle)
    assert cart * math.cos(angle) + 4 / 3 * half * lean == pytest.approx(gravity, abs=1e-12)


def test_an_episode_ends_at_twelve_degrees():
    state = np.array([0, 0, math.radians(11.9), 1.0], np.float32)
    assert experiment.advance.py_func(np.zeros(4, np.float32), 10.0)
    assert not experiment.advance.py_func(state, 10.0)


def test_weights_by_hand():
    lengths = np.array([3, 1])
    weights = experiment.weights_of.py_func
    np.testing.assert_array_equal(weights(lengths, False, False), [3, 3, 3, 1])
    np.testing.assert_array_equal(weights(lengths, True, False), [3, 2, 1, 1])
    np.testing.assert_array_equal(weights(lengths, False, True), [2, 2, 2, -2])
    np.testing.assert_array_equal(weights(lengths, True, True), [2, 2, 1, -2]), "alone from its second step on"


@pytest.mark.parametrize("relu", [False, True])
def test_the_jitted_gradient_is_that_of_the_tape(relu):
    generator = np.random.default_rng(0)
    parameters = experiment.initial(generator)
    states = generator.standard_normal((30, 4)).astype(np.float32)
    actions, weights = generator.integers(0, 2, 30), generator.standard_normal(30).astype(np.float32)
    found = experiment.gradients(parameters, relu, states, actions, weights, 10)
    w1, b1, w2, b2 = tensors = [nn.Tensor(p, requires_grad=True) for p in parameters]
    hidden = F.linear(nn.Tensor(states), w1, b1)
    output = F.linear(F.relu(hidden) if relu else hidden.tanh(), w2, b2)
    target = nn.Tensor(np.eye(2, dtype=np.float32)[actions] * weights[:, None])
    experiment.policy_loss(F, output, target).backward()
    for gradient, tensor in zip(found, tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.array, rtol=2e-4, atol=2e-6)


def test_the_best_baseline_is_the_minimum():
    for d, m in ((1, 0.0), (7, 0.0), (7, 3.0)):
        constants = experiment.baselines(d, m)
        best = experiment.trace("best", d, m)
        assert best == pytest.approx(d * (d + 2) * 2 + 4 * m * (d + 1))
        assert experiment.trace("mean", d, m) == pytest.approx(best + d * (constants[1] - constants[2]) ** 2)
        assert experiment.trace("no baseline", d, m) == pytest.approx(best + d * constants[2] ** 2)


def test_the_waves_ratio_by_quadrature():
    x = np.linspace(-10, 10, 20_001)
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi) * (x[1] - x[0])
    for k in (0.5, 1.7):
        estimates = np.sin(k * x) * x, k * np.cos(k * x)
        score, other = (np.sum(e**2 * density) - np.sum(e * density) ** 2 for e in estimates)
        assert experiment.wave_ratio(k) == pytest.approx(score / other, rel=1e-6)


def test_episodes_until_a_mean():
    assert experiment.episodes_until(np.array([1.0, 2.0, 9.0]), 100, 2) == 200
    assert experiment.episodes_until(np.array([1.0, 2.0]), 100, 5) is None
    assert experiment.episodes_until(np.full(12, 7.0), 10, 7) == 100
