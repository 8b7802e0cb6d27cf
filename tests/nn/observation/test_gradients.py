"""gradcheck on right and on deliberately wrong gradients; gradients of single examples."""

import re

import numpy as np
import pytest
import torch

import nn
import nn.functional as F
from nn import observation
from nn.tape import record
from tests.nn.observation.training import digits, perceptron


def leaf(rng, *shape, dtype=np.float64):
    return nn.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x, w, b: F.linear(x, w, b).tanh(), [(3, 4), (2, 4), (2,)]),
        (lambda x: x.softmax(-1), [(2, 5)]),
        (lambda x, w: F.conv2d(x, w, padding=1), [(1, 2, 3, 3), (2, 2, 3, 3)]),
        (lambda x, y: (x * y, (x + y).sum()), [(3,), (2, 3)]),
        (lambda x: x.exp(), [()]),
        (lambda x: (x * 2, np.zeros(3), x.argmax()), [(4,)]),
    ],
    ids=["layer", "softmax", "conv2d", "two outputs", "0-d", "outputs that are not differentiated"],
)
def test_right_gradients(function, shapes, rng):
    inputs = tuple(leaf(rng, *shape) for shape in shapes)
    assert nn.gradcheck(function, inputs) is True


def scaled(x, factor, at=slice(None)):
    """The square of x, with a gradient that is wrong by a factor in some places."""

    def backward(dy):
        dx = dy * 2 * x.array
        dx[at] *= factor
        return dx

    return record("square", x.array**2, (x,), backward)


def test_the_worst_element_is_named():
    x = nn.tensor(np.array([1.0, 2.0, 3.0, 4.0]).reshape(2, 2), requires_grad=True)
    other = nn.tensor(np.ones(2), requires_grad=True)
    with pytest.raises(RuntimeError) as raised:
        nn.gradcheck(lambda other, x: (other * 2, scaled(x, 1.5, (1, 0))), (other, x))
    message = str(raised.value)
    assert message.startswith(
        "gradcheck: the gradient of output 1 with respect to input 1 is wrong in 1 of 16 elements"
    )
    assert "element 2 of the output by element 2 of the input" in message
    numerical, analytical = re.search(r"numerical (\S+), analytical (\S+)$", message).groups()
    assert float(numerical) == pytest.approx(6, rel=1e-8) and float(analytical) == 9
    assert nn.gradcheck(lambda other, x: scaled(x, 1.5, (1, 0)), (other, x), raise_exception=False) is False


def test_the_tolerances_are_those_of_torch(rng):
    values = rng.standard_normal(5) + 3

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.save_for_backward(x)
            ctx.factor = factor
            return x * x

        @staticmethod
        def backward(ctx, dy):
            return dy * 2 * ctx.saved_tensors[0] * ctx.factor, None

    for error in (1e-4, 9e-4, 2e-3, 1e-2):
        for rtol, atol in ((1e-3, 1e-5), (1e-5, 1e-2), (0, 5e-3)):
            x = nn.tensor(values, requires_grad=True)
            options = {"rtol": rtol, "atol": atol, "raise_exception": False}
            ours = nn.gradcheck(lambda x, error=error: scaled(x, 1 + error), (x,), **options)
            theirs = torch.autograd.gradcheck(
                lambda x, error=error: Scaled.apply(x, 1 + error),
                (torch.tensor(values, requires_grad=True),),
                **options,
            )
            assert ours == theirs, (error, rtol, atol)


def test_a_gradient_that_is_missing(rng):
    x = leaf(rng, 3)
    message = r"output 0 with respect to input 0 is wrong in 3 of 9 elements; .* analytical 0$"
    with pytest.raises(RuntimeError, match=message):
        nn.gradcheck(lambda x: x.detach() * 2, x)
    assert nn.gradcheck(lambda x: (x > 0).double(), x)  # its derivative is zero


def test_nan_is_never_right():
    # in both outputs, since 0 · NaN is NaN
    x = nn.tensor(np.array([1.0, 0.0]), requires_grad=True)
    with pytest.raises(RuntimeError, match="wrong in 2 of 4 elements.*analytical nan"):
        nn.gradcheck(lambda x: scaled(x, np.nan, 1), x)


def test_a_function_that_is_random(rng):
    with pytest.raises(RuntimeError, match="output 0 differs between two calls with the same inputs"):
        nn.gradcheck(lambda x: x * rng.random(), leaf(rng, 3))


def test_inputs_are_unchanged(rng):
    x, fixed = leaf(rng, 3), nn.Tensor(rng.standard_normal(3))
    (x * x).sum().backward()
    value, gradient = x.array.copy(), x.grad
    assert nn.gradcheck(lambda x, fixed: x * fixed, (x, fixed))

    def failing(x):
        if x.array[0] != value[0]:
            raise KeyError("moved")
        return x * 2

    with pytest.raises(KeyError, match="moved"):
        nn.gradcheck(failing, x)
    np.testing.assert_array_equal(x.array, value)
    assert x.grad is gradient


def test_layouts(rng):
    x = nn.Tensor(rng.standard_normal((4, 3)).T[::2], requires_grad=True)
    assert nn.gradcheck(lambda x: x.exp(), x)


def test_invalid_inputs(rng):
    with pytest.raises(ValueError, match="gradcheck: no input requires a gradient"):
        nn.gradcheck(lambda x: x, nn.ones(2))
    with pytest.raises(TypeError, match="input 1 is float32"):
        nn.gradcheck(lambda x, y: x, (leaf(rng, 2), leaf(rng, 2, dtype=np.float32)))
    with pytest.raises(ValueError, match="input 0 is the result of <mul>, not a leaf"):
        nn.gradcheck(lambda x: x, leaf(rng, 2) * 2)
    with pytest.raises(ValueError, match="the function returns no floating-point tensor"):
        nn.gradcheck(lambda x: x.argmax(), leaf(rng, 2))


def test_per_example_gradients():
    model = perceptron().double()
    model[2].bias.requires_grad_(False)
    x, target = digits(12)
    x = x.astype(np.float64)
    loss = nn.CrossEntropyLoss()
    loss(model(nn.Tensor(x)), nn.Tensor(target)).backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    gradients = [p.grad for p in trained]
    found = observation.per_example_gradients(model, loss, nn.Tensor(x), target)
    assert found.shape == (12, sum(p.numel() for p in trained)) and found.dtype == np.float64
    np.testing.assert_allclose(found.mean(axis=0), observation.flatten(gradients), rtol=1e-10, atol=1e-15)
    assert all(p.grad is g for p, g in zip(trained, gradients, strict=True))
    model.zero_grad()
    loss(model(nn.Tensor(x[7:8])), nn.Tensor(target[7:8])).backward()
    np.testing.assert_allclose(found[7], observation.flatten([p.grad for p in trained]), rtol=1e-12)
    with pytest.raises(ValueError, match="lengths differ: 12 inputs, 11 targets"):
        observation.per_example_gradients(model, loss, x, target[1:])


# --- gradients of gradients -------------------------------------------------------------------------------------------


def cubed(x, error):
    """x³ with a second derivative of 6 · (1 + error) · x."""

    def derivative(dy, x):
        return dy * (x * x * (3 * (1 + error)) - 3 * error * nn.tensor(x.array * x.array))

    array = x.array
    return record("cubed", array**3, (x,), lambda dy: 3 * array**2 * dy, (x,), derivative=derivative)


def test_gradgradcheck_finds_wrong_second_derivatives():
    rng = np.random.default_rng(0)
    x = leaf(rng, 2, 3)
    before = x.array.copy()
    assert nn.gradgradcheck(lambda x: cubed(x, 0.0), x) is True
    assert nn.gradcheck(lambda x: cubed(x, 0.1), x)  # the first derivative is right
    with pytest.raises(RuntimeError, match="gradgradcheck: the gradient of output 0 with respect to input 0 is wrong"):
        nn.gradgradcheck(lambda x: cubed(x, 0.1), (x,))
    assert nn.gradgradcheck(lambda x: cubed(x, 0.1), x, raise_exception=False) is False
    np.testing.assert_array_equal(x.array, before)
    assert x.grad is None


def test_gradgradcheck_with_given_vectors_and_several_outputs():
    rng = np.random.default_rng(0)
    x, y, ids = leaf(rng, 2, 3), leaf(rng, 3), nn.tensor([0, 2])

    def function(x, y, ids):
        return (x * y).exp(), ids, x[:, ids].sum(), nn.ones(2)

    dys = leaf(rng, 2, 3), nn.tensor(2.0, dtype=np.float64), nn.ones(2)
    assert nn.gradgradcheck(function, (x, y, ids), dys)
    with pytest.raises(RuntimeError, match="rnn_cell can be differentiated once only"):
        cell = nn.RNNCell(3, 3).double()
        nn.gradgradcheck(cell, x)
    with pytest.raises(ValueError, match="gradgradcheck: no input requires a gradient"):
        nn.gradgradcheck(lambda x: x * 2, nn.ones(2))
