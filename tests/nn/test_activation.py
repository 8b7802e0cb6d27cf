"""Activation modules: results, gradients, arguments and repr are those of torch.nn."""

import inspect

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import same_as_torch, same_twice

ARGUMENTS = {
    "ReLU": [{}, {"inplace": True}],
    "ReLU6": [{}],
    "LeakyReLU": [{}, {"negative_slope": 0.25}, {"inplace": True}],
    "PReLU": [{}, {"num_parameters": 4, "init": 0.5}],
    "ELU": [{}, {"alpha": 0.5}],
    "SELU": [{}],
    "CELU": [{}, {"alpha": 0.5}],
    "GELU": [{}, {"approximate": "tanh"}],
    "SiLU": [{}, {"inplace": True}],
    "Mish": [{}],
    "Sigmoid": [{}],
    "Tanh": [{}],
    "Softplus": [{}, {"beta": 2.0, "threshold": 1.0}],
    "Hardtanh": [{}, {"min_val": -2.0, "max_val": 0.5}],
    "Hardswish": [{}],
    "Hardsigmoid": [{}],
    "GLU": [{}, {"dim": 1}],
    "LogSigmoid": [{}],
    "Softmax": [{"dim": 1}],
    "LogSoftmax": [{"dim": 0}],
    "Softmin": [{"dim": 1}],
    "Softmax2d": [{}],
    "Softsign": [{}],
    "Tanhshrink": [{}],
    "Softshrink": [{}, {"lambd": 1.0}],
    "Hardshrink": [{}, {"lambd": 1.0}],
    "Threshold": [{"threshold": 0.5, "value": -1.0}, {"threshold": -0.5, "value": 2.0, "inplace": True}],
    "RReLU": [{"lower": 0.2, "upper": 0.2}, {"lower": 0.5, "upper": 0.5, "inplace": True}],
}
CASES = [(name, arguments) for name, several in ARGUMENTS.items() for arguments in several]


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_module(name, arguments):
    ours, theirs = getattr(nn, name)(**arguments).double(), getattr(torch.nn, name)(**arguments).double()
    x = np.random.default_rng(0).standard_normal((2, 3, 4) if name == "Softmax2d" else (6, 4)) * 2
    rtol = 1e-7 if name == "Hardsigmoid" else 1e-10  # PyTorch's 1/6 is a float32
    same_as_torch(lambda x: ours(x - 1), x, reference=lambda x: theirs(x - 1), rtol=rtol)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy())
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_constructor_is_that_of_torch(name):
    ours = inspect.signature(getattr(nn, name)).parameters.values()
    theirs = inspect.signature(getattr(torch.nn, name)).parameters
    others = ("args", "kwargs")
    assert [p.name for p in ours] == [n for n in theirs if n not in others]
    for p in ours:
        assert p.default == theirs[p.name].default or name.endswith(("Softmax", "Softmin"))  # dim must be given


def test_every_activation_is_listed():
    names = {n for n, c in vars(nn).items() if inspect.isclass(c) and c.__module__ == "nn.activation"}
    assert names == set(ARGUMENTS)


def test_rrelu_draws_slopes_in_training_and_takes_their_mean_otherwise():
    nn.manual_seed(0)
    x = -nn.ones(10_000, dtype=np.float64).requires_grad_()
    layer = nn.RReLU(0.1, 0.5)
    y = layer(x)
    y.sum().backward()
    assert 0.1 <= -y.array.max() < 0.11 and 0.49 < -y.array.min() <= 0.5
    np.testing.assert_allclose(-y.array.mean(), 0.3, atol=0.01)
    np.testing.assert_array_equal(layer.eval()(x).array, np.full(10_000, -0.3))


@pytest.mark.parametrize("name", ["Softmin", "Softmax2d", "Softsign", "Tanhshrink", "Softshrink", "Hardshrink"])
def test_gradients_of_gradients(name):
    shape = (2, 3, 4) if name == "Softmax2d" else (6, 4)
    arguments = {"dim": 1} if name == "Softmin" else {}
    ours, theirs = getattr(nn, name)(**arguments), getattr(torch.nn, name)(**arguments)
    same_twice(ours, np.random.default_rng(0).standard_normal(shape), reference=theirs)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("relu_", ()), ("elu_", (0.5,)), ("celu_", (0.5,)), ("selu_", ()), ("leaky_relu_", (0.1,)),
     ("hardtanh_", (-0.5, 0.5)), ("threshold_", (0.1, 2.0)), ("rrelu_", (0.2, 0.2))],
)  # fmt: skip
def test_functions_in_place(name, arguments):
    x = np.random.default_rng(0).standard_normal((6, 4))
    same_as_torch(
        lambda x: getattr(nn.functional, name)(x * 1, *arguments),
        x,
        reference=lambda x: getattr(torch.nn.functional, name)(x * 1, *arguments),
    )
    ours = nn.tensor(x)
    assert getattr(nn.functional, name)(ours, *arguments) is ours


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_samples_the_categories(hard):
    nn.manual_seed(0)
    p = np.array([0.2, 0.5, 0.3])
    logits = nn.tensor(np.tile(np.log(p), (20_000, 1)), requires_grad=True)
    y = nn.functional.gumbel_softmax(logits, 0.5, hard)
    np.testing.assert_allclose(y.array.sum(1), 1)
    np.testing.assert_allclose(np.bincount(y.array.argmax(1)) / 20_000, p, atol=0.02)
    assert not hard or set(np.unique(y.array.round(12))) == {0.0, 1.0}
    y[:, 0].sum().backward()
    assert np.abs(logits.grad.array).max() > 0.1
    np.testing.assert_allclose(logits.grad.array.sum(1), 0, atol=1e-12)


def test_nan_passes_through():
    x = nn.tensor([np.nan])
    for name in ("softsign", "tanhshrink", "softshrink", "hardshrink"):
        assert np.isnan(getattr(nn.functional, name)(x).item())
    assert np.isnan(nn.functional.threshold(x, 1.0, 2.0).item())


def test_errors_of_the_functions():
    with pytest.raises(ValueError, match="softshrink: lambd must be at least 0, got -1"):
        nn.functional.softshrink(nn.ones(1), -1)
    with pytest.raises(ValueError, match="Softmax2d: expected"):
        nn.Softmax2d()(nn.ones(2, 2))


def test_older_names_of_the_limits():
    with pytest.warns(FutureWarning, match="Hardtanh: min_value and max_value are now min_val and max_val"):
        assert repr(nn.Hardtanh(min_value=-2.0, max_value=3.0)) == repr(torch.nn.Hardtanh(-2.0, 3.0))
