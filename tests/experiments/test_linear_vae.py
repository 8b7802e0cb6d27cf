"""The closed forms of the experiment."""

import math

import numpy as np
import pytest

import nn
from experiments.representation import linear_vae


@pytest.fixture
def problem():
    return linear_vae.spectrum(linear_vae.FAST, np.random.default_rng(0))


def optimum(values, vectors, latents, noise):
    """A linear VAE with the weights of probabilistic PCA and its exact posterior."""
    used = np.maximum(values[:latents] - noise, 0)
    decoder = vectors[:, :latents] * np.sqrt(used)
    encoder = (decoder / np.maximum(values[:latents], noise)).T
    network = linear_vae.variational(nn, latents, len(values), np.zeros).double()
    linear_vae.started(network, encoder, decoder)
    network.log_variance.array[:] = np.log(noise / np.maximum(values[:latents], noise))
    network.log_noise.array[:] = math.log(noise)
    return network


def test_the_rows_have_the_covariance_of_the_data(problem):
    values, vectors, rows = problem
    np.testing.assert_allclose(rows.T @ rows / len(rows), (vectors * values) @ vectors.T, atol=1e-10)


@pytest.mark.parametrize("noise", [None, 0.3, 2.0])
def test_the_greatest_elbo_is_the_greatest_likelihood(problem, noise):
    values, vectors, rows = problem
    greatest, noise = linear_vae.likelihood(values, 8, noise)
    network = optimum(values, vectors, 8, noise)
    with nn.no_grad():
        assert -network(nn.Tensor(rows)).item() == pytest.approx(greatest, abs=1e-8)
        divergence = network.parts(nn.Tensor(rows))[1].array
    np.testing.assert_allclose(divergence, linear_vae.expected(values[:8], noise), atol=1e-10)


def test_the_likelihood_is_that_of_a_normal_distribution(problem):
    values, vectors, rows = problem
    greatest, noise = linear_vae.likelihood(values, 8)
    model = np.concatenate([values[:8], np.full(len(values) - 8, noise)])
    logarithm = -(len(values) * math.log(2 * math.pi) + np.log(model).sum() + (values / model).sum()) / 2
    assert greatest == pytest.approx(logarithm)
    assert noise == pytest.approx(values[8:].mean())


def test_angles():
    plane = np.eye(4)[:, :2]
    turned = np.array([[1, 0], [0, np.cos(0.3)], [0, np.sin(0.3)], [0, 0]])
    assert linear_vae.angle(plane, turned) == pytest.approx(np.degrees(0.3))
    assert linear_vae.angle(plane, plane @ [[1, 1], [0, 2]]) == pytest.approx(0, abs=1e-6)
    nearest, degrees = linear_vae.assigned(-3 * np.eye(4)[:, [2, 0]], np.eye(4))
    assert list(nearest) == [2, 0] and np.allclose(degrees, 0)
