"""Averaged weights, against torch.optim.swa_utils."""

import numpy as np
import pytest
import torch

import nn
from nn.optim import swa_utils

theirs = torch.optim.swa_utils


def models():
    """The same model on both libraries, with a batch normalisation."""
    mine = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    mine.load_state_dict(other.state_dict())
    return mine, other


def train(model, library, optimizer, batches):
    for x in batches:
        optimizer.zero_grad()
        (model(library.tensor(x)) ** 2).mean().backward()
        optimizer.step()


def assert_same_state(mine, other):
    expected = other.state_dict()
    assert mine.state_dict().keys() == expected.keys()
    for name, value in mine.state_dict().items():
        np.testing.assert_allclose(value.numpy(), expected[name].numpy(), rtol=2e-5, atol=1e-6, err_msg=name)


AVERAGES = {
    "equal": lambda library: {},
    "exponential": lambda library: {"multi_avg_fn": library.get_ema_multi_avg_fn(0.7)},
    "exponential-each": lambda library: {"avg_fn": library.get_ema_avg_fn(0.7)},
    "equal-multi": lambda library: {"multi_avg_fn": library.get_swa_multi_avg_fn()},
    "user": lambda library: {"avg_fn": lambda average, current, n: average * 0.5 + current * 0.5},
}


@pytest.mark.parametrize(
    ("average", "use_buffers"),
    [
        (average, use_buffers)
        for average in AVERAGES
        for use_buffers in (False, True)
        if not (use_buffers and average == "equal-multi")  # torch refuses to average integers in place
    ],
)
def test_averages_equal_torch(average, use_buffers, rng):
    pair = models()
    averaged = [
        library.AveragedModel(model, use_buffers=use_buffers, **AVERAGES[average](library))
        for library, model in zip((swa_utils, theirs), pair, strict=True)
    ]
    optimizers = nn.optim.SGD(pair[0].parameters(), lr=0.1), torch.optim.SGD(pair[1].parameters(), lr=0.1)
    for _ in range(4):
        batch = rng.standard_normal((8, 3)).astype(np.float32)
        for model, library, optimizer, each in zip(pair, (nn, torch), optimizers, averaged, strict=True):
            train(model, library, optimizer, [batch])
            each.update_parameters(model)
    assert_same_state(*averaged)
    assert averaged[0].n_averaged.item() == 4
    batches = [rng.standard_normal((8, 3)).astype(np.float32) for _ in range(3)]
    swa_utils.update_bn([(nn.tensor(x), 0) for x in batches], averaged[0])
    theirs.update_bn([torch.tensor(x) for x in batches], averaged[1])
    assert_same_state(*averaged)
    assert averaged[0].module[1].momentum == 0.1
    for each in averaged:
        each.eval()
    x = batches[0]
    y, expected = averaged[0](nn.tensor(x)), averaged[1](torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_both_functions_and_a_decay_out_of_range():
    with pytest.raises(ValueError, match="AveragedModel: give avg_fn or multi_avg_fn, not both"):
        swa_utils.AveragedModel(models()[0], avg_fn=max, multi_avg_fn=max)
    for make in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"decay must be in \[0, 1\], got 1.5"):
            make(1.5)


@pytest.mark.parametrize("options", [{}, {"anneal_epochs": 4, "anneal_strategy": "linear"}, {"anneal_epochs": 0}])
def test_swalr_equals_torch(options):
    pair = [
        library.optim.SGD([{"params": [p], "lr": 0.4}, {"params": [q]}], lr=0.1)
        for library, p, q in (
            (nn, nn.Parameter([1.0]), nn.Parameter([1.0])),
            (torch, torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))),
        )
    ]
    twins = [library.SWALR(o, [0.05, 0.2], **options) for library, o in zip((swa_utils, theirs), pair, strict=True)]
    for _ in range(14):
        for optimizer, scheduler in zip(pair, twins, strict=True):
            optimizer.step()
            scheduler.step()
        np.testing.assert_allclose(twins[0].get_last_lr(), twins[1].get_last_lr(), rtol=1e-10)
    with pytest.raises(ValueError, match="SWALR: anneal_strategy must be 'cos' or 'linear', got 'x'"):
        swa_utils.SWALR(pair[0], 0.1, anneal_strategy="x")
    with pytest.raises(ValueError, match="SWALR: anneal_epochs must be an integer of at least 0, got -1"):
        swa_utils.SWALR(pair[0], 0.1, anneal_epochs=-1)
