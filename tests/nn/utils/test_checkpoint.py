"""Tests of nn.utils.checkpoint: the gradients are those of the same call without it."""

import numpy as np
import pytest

import nn
from nn.utils.checkpoint import checkpoint, checkpoint_sequential


def model(seed=0):
    nn.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


def gradients(parts, x, call):
    nn.manual_seed(1)
    for t in (x, *parts.parameters()):
        t.grad = None
    call(parts, x * 2).pow(2).sum().backward()
    return [None if t.grad is None else t.grad.tolist() for t in (x, *parts.parameters())]


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize(
    "call",
    [
        lambda parts, x: checkpoint(parts, x, use_reentrant=False),
        lambda parts, x: checkpoint(lambda x, scale=1: parts(x) * scale, x, scale=1.0),
        lambda parts, x: checkpoint_sequential(parts, 3, x, use_reentrant=False),
        lambda parts, x: checkpoint(lambda x: (None, parts(x), x), x)[1],
    ],
)
def test_gradients_are_the_same(call, requires_grad, rng):
    parts = model()
    x = nn.tensor(rng.standard_normal((5, 4), dtype=np.float32), requires_grad=requires_grad)
    assert gradients(parts, x, call) == gradients(parts, x, lambda parts, x: parts(x))


def test_what_the_function_finds_elsewhere_gets_its_gradient():
    w = nn.tensor([2.0], requires_grad=True)
    seen = []
    w.register_hook(lambda g: seen.append(g.item()))
    y = w * w  # neither an argument nor a leaf
    z = checkpoint(lambda x: x * y * w, nn.tensor([3.0]))
    (g,) = nn.autograd.grad(z, w, retain_graph=True)
    assert g.item() == 3 * 3 * 4
    z.backward()
    assert w.grad.item() == 36 and seen == [36.0, 36.0]


def test_nothing_is_kept_and_the_function_is_called_twice():
    calls = []

    def function(x):
        calls.append(nn.is_grad_enabled())
        return x.exp()

    x = nn.tensor([1.0], requires_grad=True)
    y = checkpoint(function, x)
    assert str(y.grad_fn) == "<checkpoint>" and calls == [True]
    y.backward()
    assert calls == [True, True]
    with nn.no_grad():
        assert not checkpoint(function, x).requires_grad
    assert calls == [True, True, False]


def test_gradients_of_gradients_are_refused():
    x = nn.tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="checkpoint can be differentiated once only"):
        nn.autograd.grad(checkpoint(lambda x: x.exp(), x), x, create_graph=True)
