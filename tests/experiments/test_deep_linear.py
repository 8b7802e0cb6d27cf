"""The closed forms of the experiment."""

import numpy as np
import pytest

from experiments.optimisation import deep_linear


def test_the_integral_over_the_logarithm_solves_the_equation_of_three_layers():
    s, times = np.array([2.0, 1.0]), np.linspace(0, 8, 4001)
    u = deep_linear.theory(3, s, 1e-3 * s, times)
    speed = np.gradient(u, times, axis=0)[5:-5]
    np.testing.assert_allclose(speed, (3 * u ** (4 / 3) * (s - u))[5:-5], atol=1e-3)


def test_half_times_of_the_sigmoid():
    s, share, times = np.array([3.0, 1.0]), 1e-3, np.linspace(0, 6, 6001)
    found = deep_linear.half_times(deep_linear.theory(2, s, share * s, times), s, times)
    assert found == pytest.approx(np.log(1 / share - 1) / (2 * s), rel=1e-5)
    assert deep_linear.half_times(np.zeros((10, 2)), s, np.arange(10)) == [None, None]
    assert deep_linear.slope(found, s) == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_aligned_weights_start_every_direction_at_the_same_share(depth):
    config = deep_linear.FAST
    U, s, V, x, _ = deep_linear.task(config, np.random.default_rng(0))
    np.testing.assert_allclose(x.T @ x / len(x), np.eye(len(x)), atol=1e-12)
    _, weights = deep_linear.aligned(config, depth, U, s, V, np.random.default_rng(1))
    product = weights[0]
    for weight in weights[1:]:
        product = weight @ product
    np.testing.assert_allclose(U.T @ product @ V, np.diag(config["share"] * s), atol=1e-12)
