"""Activation modules: results, gradients, arguments and repr are those of torch.nn."""

import inspect

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import same_as_torch

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
}
CASES = [(name, arguments) for name, several in ARGUMENTS.items() for arguments in several]


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_module(name, arguments):
    ours, theirs = getattr(nn, name)(**arguments).double(), getattr(torch.nn, name)(**arguments).double()
    x = np.random.default_rng(0).standard_normal((6, 4)) * 2
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
    others = ("min_value", "max_value", "args", "kwargs")
    assert [p.name for p in ours] == [n for n in theirs if n not in others]
    for p in ours:
        assert p.default == theirs[p.name].default or name in ("Softmax", "LogSoftmax")  # whose dim must be given


def test_every_activation_is_listed():
    names = {n for n, c in vars(nn).items() if inspect.isclass(c) and c.__module__ == "nn.activation"}
    assert names == set(ARGUMENTS)
