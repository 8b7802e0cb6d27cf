"""Loss modules: results, gradients and state are those of torch.nn."""

import inspect

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_as_torch

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 4))
P, Q = 1 / (1 + np.exp(-X)), RNG.random((6, 4))
LABELS, WEIGHT = np.array([0, 3, 1, 1, 2, 0]), np.array([0.5, 1.0, 2.0, 3.0])

CASES = {
    "L1Loss": (X, Y, [{}]),
    "MSELoss": (X, Y, [{}]),
    "SmoothL1Loss": (X, Y, [{}, {"beta": 0.5}]),
    "HuberLoss": (X, Y, [{}, {"delta": 0.5}]),
    "CrossEntropyLoss": (X, LABELS, [{}, {"weight": WEIGHT}, {"ignore_index": 1, "label_smoothing": 0.2}]),
    "NLLLoss": (X, LABELS, [{}, {"weight": WEIGHT}, {"ignore_index": 1}]),
    "BCELoss": (P, Q, [{}, {"weight": WEIGHT}]),
    "BCEWithLogitsLoss": (X, Q, [{}, {"weight": WEIGHT}, {"pos_weight": WEIGHT}]),
    "KLDivLoss": (X, Q, [{}, {"log_target": True}]),
}
LIST = [(name, arguments) for name, (_, _, several) in CASES.items() for arguments in several]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "arguments"), LIST, ids=str)
def test_module(name, arguments, reduction):
    x, target, _ = CASES[name]
    as_torch = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
    ours = getattr(nn, name)(**arguments, reduction=reduction)
    theirs = getattr(torch.nn, name)(**as_torch, reduction=reduction)
    same_as_torch(lambda x: ours(x, nn.tensor(target)), x, reference=lambda x: theirs(x, torch.tensor(target)))
    assert repr(ours) == repr(theirs)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        agree(state[key], value)


@pytest.mark.parametrize("name", CASES)
def test_constructor_is_that_of_torch(name):
    ours = inspect.signature(getattr(nn, name)).parameters
    theirs = inspect.signature(getattr(torch.nn, name)).parameters
    assert list(ours) == [n for n in theirs if n not in ("size_average", "reduce")]
    for n, p in ours.items():
        assert p.default == theirs[n].default


def test_every_loss_is_listed():
    assert {n for n, c in vars(nn).items() if inspect.isclass(c) and c.__module__ == "nn.loss"} == set(CASES)


def test_a_perfect_and_a_hopeless_prediction():
    criterion = nn.CrossEntropyLoss()
    scores = nn.tensor([[1000.0, 0.0], [0.0, 1000.0]])
    assert criterion(scores, nn.tensor([0, 1])).item() == 0
    assert criterion(scores, nn.tensor([1, 0])).item() == 1000
