"""Losses with a margin agree with PyTorch's: values, first and second gradients, of targets too; modules and errors."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_as_torch, same_twice

RNG = np.random.default_rng(0)
A, B, C = (RNG.standard_normal((6, 4)) for _ in range(3))
SIGNS, ROW_SIGNS = np.where(RNG.random((6, 4)) < 0.5, -1, 1), np.array([1, -1, 1, 1, -1, -1])
CLASSES, WEIGHT = np.array([0, 3, 1, 1, 2, 0]), np.array([0.5, 1.0, 2.0, 3.0])
LISTS = np.array([[0, 2, -1, 1], [3, -1, -1, -1], [-1, 0, 1, 2], [0, 1, 2, 3], [1, 1, -1, 0], [2, 0, -1, -1]])
HOT = (RNG.random((6, 4)) < 0.5).astype(float)

# Name -> arrays, and the options of each case
CASES = {
    "HingeEmbeddingLoss": ((np.abs(A), SIGNS), [{}, {"margin": 0.5}]),
    "CosineEmbeddingLoss": ((A, B, ROW_SIGNS), [{}, {"margin": -0.5}]),
    "MarginRankingLoss": ((A, B, SIGNS), [{}, {"margin": 0.7}]),
    "SoftMarginLoss": ((A, SIGNS), [{}]),
    "MultiMarginLoss": ((A, CLASSES), [{}, {"p": 2, "margin": 0.5}, {"weight": WEIGHT}]),
    "MultiLabelMarginLoss": ((A, LISTS), [{}]),
    "MultiLabelSoftMarginLoss": ((A, HOT), [{}, {"weight": WEIGHT}]),
    "TripletMarginLoss": ((A, B, C), [{}, {"margin": 2.0, "swap": True}, {"p": 1.0}, {"p": 3.0, "eps": 0.1}]),
    "TripletMarginWithDistanceLoss": ((A, B, C), [{}, {"margin": 2.0, "swap": True}]),
}
LIST = [(name, options) for name, (_, several) in CASES.items() for options in several]


def pair(name, options, reduction):
    theirs = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    ours = {k: nn.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    return getattr(nn, name)(**ours, reduction=reduction), getattr(torch.nn, name)(**theirs, reduction=reduction)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options"), LIST, ids=str)
def test_module(name, options, reduction):
    ours, theirs = pair(name, options, reduction)
    same_as_torch(ours, *CASES[name][0], reference=theirs)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())


SECOND = [n for n in CASES if not n.startswith("MultiL") and n not in ("MultiMarginLoss", "SoftMarginLoss")]


@pytest.mark.parametrize("name", SECOND)
def test_gradients_of_gradients(name):
    ours, theirs = pair(name, {"margin": 0.5} if name == "HingeEmbeddingLoss" else {}, "mean")
    same_twice(ours, *CASES[name][0], reference=theirs)


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("CosineEmbeddingLoss", (A[0], B[0], np.array(-1))),
        ("MultiMarginLoss", (A[0], np.array(2))),
        ("MultiLabelMarginLoss", (A[0], LISTS[0])),
        ("TripletMarginLoss", (A[0], B[0], C[0])),
        ("TripletMarginLoss", (A, A, A)),
    ],
    ids=str,
)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_single_samples_and_zero_distances(name, arrays, reduction):
    ours, theirs = pair(name, {}, reduction)
    same_as_torch(ours, *arrays, reference=theirs)


def test_a_distance_of_the_user():
    def distance(a, b):
        return (a - b).abs().max(-1).values if isinstance(a, torch.Tensor) else abs(a - b).max(-1).values

    ours = nn.TripletMarginWithDistanceLoss(distance_function=distance)
    theirs = torch.nn.TripletMarginWithDistanceLoss(distance_function=distance)
    same_as_torch(ours, A, B, C, reference=theirs)


def test_a_float_target_gets_a_gradient():
    def loss(F):
        return lambda a, b, t: F.margin_ranking_loss(a, b, t, 0.1)

    same_as_torch(loss(nn.functional), A, B, SIGNS.astype(float), reference=loss(torch.nn.functional))


def test_arrays_as_targets():
    agree(nn.SoftMarginLoss()(nn.tensor(A), SIGNS), torch.nn.SoftMarginLoss()(torch.tensor(A), torch.tensor(SIGNS)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.MultiMarginLoss(p=3), ValueError, "MultiMarginLoss: p must be 1 or 2, got 3"),
        (lambda: nn.MultiMarginLoss(weight=nn.ones(1, 2)), ValueError, "weight must have one dimension"),
        (lambda: nn.TripletMarginLoss(0), ValueError, "TripletMarginLoss: margin must be positive, got 0"),
        (lambda: nn.TripletMarginWithDistanceLoss(margin=-1), ValueError, "margin must be positive, got -1"),
        (lambda: nn.MultiMarginLoss()(nn.ones(2, 3), np.array([0, 3])), IndexError, "multi_margin_loss: target must"),
        (lambda: nn.MultiMarginLoss()(nn.ones(2, 3), np.array([0])), ValueError, "multi_margin_loss: input and target"),
        (lambda: nn.MultiMarginLoss()(nn.ones(2, 3), np.array([0.0, 1.0])), TypeError, "must be int64 or int32"),
        (lambda: nn.MultiLabelMarginLoss()(nn.ones(1, 2), np.array([[2, -1]])), IndexError, "from 0 to 1, got 2"),
        (
            lambda: nn.MarginRankingLoss()(nn.ones(2), nn.ones(2, 1), nn.ones(2)),
            ValueError,
            "margin_ranking_loss: numbers of dimensions differ",
        ),
        (
            lambda: nn.TripletMarginLoss()(nn.ones(2, 3), nn.ones(2, 3), nn.ones(3)),
            ValueError,
            "triplet_margin_loss: numbers of dimensions differ",
        ),
        (
            lambda: nn.CosineEmbeddingLoss()(nn.ones(2, 3), nn.ones(2, 3), np.array(1)),
            ValueError,
            "cosine_embedding_loss: expected",
        ),
        (
            lambda: nn.SoftMarginLoss(reduction="average")(nn.ones(2), nn.ones(2)),
            ValueError,
            "soft_margin_loss: reduction must be 'none', 'mean' or 'sum', got 'average'",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
