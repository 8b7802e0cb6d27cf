"""Products with the Hessian and its eigenvalues against exact Hessians."""

import numpy as np
import pytest
import torch

import nn
from nn import observation
from tests.nn.observation.training import digits, perceptron


def quadratic(rng, P=12):
    """A loss with Hessian `a` in two parameters, and `a`."""
    a = rng.standard_normal((P, P))
    a = a + a.T
    first, second = nn.Parameter(rng.standard_normal((2, 3))), nn.Parameter(rng.standard_normal(P - 6))

    def loss():
        w = nn.cat([first.reshape(-1), second])
        return 0.5 * (w * (nn.Tensor(a) @ w)).sum()

    return loss, [first, second], a


class Tanh:
    """A net of two layers with MSE in float64, ours, and its exact Hessian by PyTorch."""

    def __init__(self, rng):
        x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 2))
        arrays = [rng.standard_normal(shape) for shape in ((5, 4), (5,), (2, 5), (2,))]
        self.parameters = [nn.Parameter(array.copy()) for array in arrays]
        self.loss = lambda: self.evaluate(nn.Tensor(x), nn.Tensor(y), *self.parameters)

        def flat_loss(w):
            parts = torch.split(w, [array.size for array in arrays])
            shaped = [part.reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]
            return self.evaluate(torch.tensor(x), torch.tensor(y), *shaped)

        flat = torch.tensor(observation.flatten(arrays))
        self.hessian = torch.autograd.functional.hessian(flat_loss, flat).numpy()

    @staticmethod
    def evaluate(x, y, w1, b1, w2, b2):
        difference = (x @ w1.T + b1).tanh() @ w2.T + b2 - y
        return (difference * difference).mean()


def test_product_of_a_quadratic(rng):
    loss, parameters, a = quadratic(rng)
    v = rng.standard_normal(12)
    product = observation.hessian_vector_product(loss, parameters, observation.unflatten(v, parameters))
    assert [p.shape for p in product] == [(2, 3), (6,)]
    np.testing.assert_allclose(observation.flatten(product), a @ v, rtol=1e-8, atol=1e-8)


def test_product_of_a_net(rng):
    net = Tanh(rng)
    for scale in (1.0, 1e-6, 1e6):  # the step does not depend on the length of the vector
        v = rng.standard_normal(37) * scale
        product = observation.hessian_vector_product(net.loss, net.parameters, observation.unflatten(v, net.parameters))
        expected = net.hessian @ v
        assert np.abs(observation.flatten(product) - expected).max() <= 1e-8 * np.abs(expected).max()


def test_the_error_falls_with_the_square_of_the_step(rng):
    net = Tanh(rng)
    v = rng.standard_normal(37)
    errors = []
    for eps in (1e-1, 1e-2, 1e-3):
        vectors = observation.unflatten(v, net.parameters)
        product = observation.hessian_vector_product(net.loss, net.parameters, vectors, eps=eps)
        errors.append(np.abs(observation.flatten(product) - net.hessian @ v).max())
    slopes = np.diff(np.log10(errors))
    np.testing.assert_allclose(slopes, -2, atol=0.2)


def test_product_in_float32(rng):
    net = Tanh(rng)
    parameters = [nn.Parameter(p.array.astype(np.float32)) for p in net.parameters]
    double = net.parameters
    x, y = rng.standard_normal((2, 20, 4)).astype(np.float32)

    def loss(parameters, dtype):
        return net.evaluate(nn.Tensor(x.astype(dtype)), nn.Tensor(y[:, :2].astype(dtype)), *parameters)

    vectors = observation.unflatten(rng.standard_normal(37), double)
    single = [v.astype(np.float32) for v in vectors]
    product = observation.hessian_vector_product(lambda: loss(parameters, np.float32), parameters, single)
    expected = observation.hessian_vector_product(lambda: loss(double, np.float64), double, vectors)
    assert all(p.dtype == np.float32 for p in product)
    product, expected = observation.flatten(product), observation.flatten(expected)
    assert np.abs(product - expected).max() <= 1e-2 * np.abs(expected).max()


def test_zero_vector_and_unused_parameter(rng):
    loss, parameters, a = quadratic(rng)
    spare = nn.Parameter(np.ones(3))
    zeros = [np.zeros(p.shape) for p in (*parameters, spare)]
    for product in observation.hessian_vector_product(loss, [*parameters, spare], zeros):
        assert (product == 0).all()
    ones = [np.ones(p.shape) for p in (*parameters, spare)]
    *_, product = observation.hessian_vector_product(loss, [*parameters, spare], ones)
    assert (product == 0).all()


@pytest.mark.parametrize("k", [1, 3, 12])
def test_eigenvalues_of_a_quadratic(rng, k):
    loss, parameters, a = quadratic(rng)
    values, vectors = observation.top_eigenvalues(loss, parameters, k, tolerance=1e-6)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a)[::-1][:k], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(k), atol=1e-10)
    np.testing.assert_allclose(vectors @ a, values[:, None] * vectors, atol=1e-5 * np.abs(a).max())


def test_eigenvalues_of_a_net(rng):
    net = Tanh(rng)
    expected = np.linalg.eigvalsh(net.hessian)[::-1]
    values, _ = observation.top_eigenvalues(net.loss, net.parameters, 4)
    np.testing.assert_allclose(values, expected[:4], atol=1e-3 * expected[0])
    assert observation.sharpness(net.loss, net.parameters) == pytest.approx(expected[0], rel=1e-4)
    assert type(observation.sharpness(net.loss, net.parameters)) is float


def test_the_largest_not_the_largest_in_magnitude():
    w = nn.Parameter(np.ones(4))
    scale = np.array([-10.0, 1.0, 0.5, -3.0])
    assert observation.sharpness(lambda: 0.5 * (scale * w * w).sum(), [w], tolerance=1e-6) == pytest.approx(1, rel=1e-6)
    assert observation.sharpness(lambda: -0.5 * (w * w).sum(), [w]) == pytest.approx(-1, rel=1e-6)


def test_eigenvalues_that_occur_several_times():
    w = nn.Parameter(np.ones(6))
    values, vectors = observation.top_eigenvalues(lambda: (w * w).sum(), [w], k=3)
    np.testing.assert_allclose(values, 2, rtol=1e-8)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-10)
    assert observation.sharpness(lambda: (w * 3).sum(), [w]) == pytest.approx(0, abs=1e-8)


def test_sharpness_of_a_trained_net():
    """The second difference of the loss along the sharpest direction is the sharpness."""
    model = perceptron().double()
    model[3] = nn.Tanh()  # smooth: where a rectifier switches, the difference is not the second derivative
    x, target = digits(200)
    x, target = nn.Tensor(x.astype(np.float64)), nn.Tensor(target)

    def loss():
        return nn.functional.cross_entropy(model(x), target)

    for _ in range(20):
        model.zero_grad()
        loss().backward()
        nn.optim.SGD(model.parameters(), lr=0.1).step()
    parameters = list(model.parameters())
    values, vectors = observation.top_eigenvalues(loss, parameters, 2, tolerance=1e-4)
    direction = observation.unflatten(vectors[0], parameters)
    along = observation.loss_along_line(loss, parameters, direction, [-1e-3, 0, 1e-3])
    assert (along[0] - 2 * along[1] + along[2]) / 1e-6 == pytest.approx(values[0], rel=1e-3)
    assert values[0] > values[1] > 0


def test_the_initial_vector_does_not_use_the_generator_of_nn(rng):
    loss, parameters, _ = quadratic(rng)
    before = nn.generator().bit_generator.state
    first = observation.top_eigenvalues(loss, parameters, 2)
    assert nn.generator().bit_generator.state == before
    for one, other in zip(first, observation.top_eigenvalues(loss, parameters, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    other = observation.top_eigenvalues(loss, parameters, 2, generator=np.random.default_rng(5))
    assert (other[1] != first[1]).any()


def test_parameters_are_restored_bit_for_bit(rng):
    net = Tanh(rng)
    net.loss().backward()
    values, gradients = [p.array.copy() for p in net.parameters], [p.grad for p in net.parameters]
    arrays, kept = [p.array for p in net.parameters], [g.array.copy() for g in gradients]
    calls = []

    def failing():
        calls.append(None)
        if len(calls) == 6:
            raise KeyError("no loss")
        return net.loss()

    observation.hessian_vector_product(net.loss, net.parameters, values)
    observation.top_eigenvalues(net.loss, net.parameters, 2)
    with pytest.raises(KeyError, match="no loss"):
        observation.top_eigenvalues(failing, net.parameters)
    for p, value, gradient, array, g in zip(net.parameters, values, gradients, arrays, kept, strict=True):
        assert p.array is array and p.grad is gradient
        np.testing.assert_array_equal(p.array, value)
        np.testing.assert_array_equal(p.grad.array, g)


def test_within_no_grad(rng):
    loss, parameters, a = quadratic(rng)
    with nn.no_grad():
        assert observation.sharpness(loss, parameters) == pytest.approx(np.linalg.eigvalsh(a)[-1], rel=1e-4)


def test_invalid_arguments(rng):
    loss, parameters, _ = quadratic(rng)
    vectors = [np.ones(p.shape) for p in parameters]
    product, eigenvalues = observation.hessian_vector_product, observation.top_eigenvalues
    with pytest.raises(
        ValueError, match=r"hessian_vector_product: shapes differ: the parameters are .* the arrays \[\(2, 2\)"
    ):
        product(loss, parameters, [np.ones((2, 2)), vectors[1]])
    with pytest.raises(ValueError, match="eps must be positive, got -1"):
        product(loss, parameters, vectors, eps=-1)
    with pytest.raises(ValueError, match="there are no parameters"):
        product(loss, [], [])
    with pytest.raises(ValueError, match=r"a parameter of shape \(2, 3\) is not a leaf"):
        product(loss, [parameters[0] * 2], vectors[:1])
    with pytest.raises(TypeError, match="dtypes differ: .*float32.*float64"):
        eigenvalues(loss, [*parameters, nn.Parameter(np.ones(2, np.float32))])
    with pytest.raises(TypeError, match="parameters must be Tensors, got ndarray"):
        eigenvalues(loss, vectors)
    with pytest.raises(ValueError, match="k must be from 1 to the number of parameters, 12, got 13"):
        eigenvalues(loss, parameters, 13)
    with pytest.raises(ValueError, match="3 eigenvalues need at least 3 iterations, got 2"):
        eigenvalues(loss, parameters, 3, iterations=2)
    with pytest.raises(RuntimeError, match=r"not within tolerance 1e-09 after 3 iterations: residuals \["):
        eigenvalues(loss, parameters, iterations=3, tolerance=1e-9)
    with pytest.raises(RuntimeError, match="the product with the Hessian is not finite, in iteration 0"):
        eigenvalues(lambda: loss() * np.inf, parameters)
