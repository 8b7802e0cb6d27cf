"""Tests of nn.compile_step: the losses, weights and states of the tape, and what cannot be compiled."""

import numpy as np
import pytest

import nn
from nn import functional as F
from tests.nn.test_compilation import Block, LeNet

CLASSES = 10


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def residual():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        Block(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    )


def adam(model):
    return nn.optim.Adam(model.parameters(), lr=1e-3)


def momentum(model):
    return nn.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True)


def on_tape(model, loss, optimizer, x, y, clip=None):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return value.item()


def same_state(one, other):
    """The same bits in two models, or optimisers."""
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    if "param_groups" in mine:
        assert mine["param_groups"] == theirs["param_groups"]
        mine, theirs = mine["state"], theirs["state"]
        assert mine.keys() == theirs.keys()
        mine = {(key, name): value for key, state in mine.items() for name, value in state.items()}
        theirs = {(key, name): value for key, state in theirs.items() for name, value in state.items()}
    for name, value in mine.items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(theirs[name]), err_msg=str(name))


MODELS = {
    "mlp": (mlp, adam, lambda: nn.randn(16, 784)),
    "lenet": (LeNet, momentum, lambda: nn.randn(4, 1, 28, 28)),
    "residual": (residual, momentum, lambda: nn.randn(4, 3, 12, 12)),
}


@pytest.mark.parametrize("name", MODELS)
def test_same_bits_as_the_tape(name):
    make, optimizer_of, draw = MODELS[name]
    nn.manual_seed(1)
    batches = [(draw(), nn.randint(0, CLASSES, (len(draw()),))) for _ in range(3)]
    models = []
    for _ in range(2):
        nn.manual_seed(0)
        models.append(make())
    optimizers, loss = [optimizer_of(model) for model in models], nn.CrossEntropyLoss()
    step = nn.compile_step(models[1], loss, optimizers[1], *batches[0])
    same_state(*models)
    same_state(*optimizers)
    for x, y in batches:
        assert step(x, y).item() == on_tape(models[0], loss, optimizers[0], x, y)
    same_state(*models)
    same_state(*optimizers)
