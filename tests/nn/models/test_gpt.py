"""Tests of nn.models.gpt."""

import numpy as np
import pytest
import torch

import nn
from benchmarks.cases import networks
from nn.models import GPT, KeyValueCache
from tests.nn.compare import same_layers

SIZES = {"context": 16, "width": 12, "layers": 2, "heads": 3}
IDS = np.random.default_rng(0).integers(0, 11, (2, 16))


def strong(model):
    """Weights so large that every part of the model matters."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("T", [1, 5, 16])
def test_equals_torch(dtype, tied, T):
    nn.manual_seed(0)
    rtol, atol = (1e-8, 1e-11) if dtype == np.float64 else (2e-3, 2e-4)
    ours, theirs = (networks.gpt(library, 11, **SIZES, tied=tied) for library in (nn, torch.nn))
    ours = strong(ours.to(dtype))
    theirs = theirs.to(getattr(torch, np.dtype(dtype).name))
    theirs.load_state_dict(ours.state_dict())
    ids = IDS[:, :T]
    same_layers(ours, theirs, [nn.tensor(ids)], [torch.tensor(ids)], rtol, atol)


def test_names_and_initial_values():
    nn.manual_seed(0)
    model = GPT(100, context=64, width=64, layers=8, heads=4)
    assert model.head.weight is model.token.weight
    for name, parameter in model.named_parameters():
        values = parameter.array
        if name.endswith("bias"):
            assert not values.any(), name
        elif values.ndim == 1:
            assert (values == 1).all(), name
        else:
            adds_up = name.endswith(("attention.output.weight", "contract.weight"))
            np.testing.assert_allclose(values.std(), 0.005 if adds_up else 0.02, rtol=0.1, err_msg=name)
    untied = GPT(100, **SIZES, tied=False)
    assert untied.head.weight is not untied.token.weight
    assert list(untied.state_dict()) == list(GPT(100, **SIZES).state_dict())


def test_no_token_depends_on_later_ones():
    model = strong(GPT(11, **SIZES).double())
    changed = IDS.copy()
    changed[:, 9] = (changed[:, 9] + 1) % 11
    with nn.no_grad():
        before, after = (model(nn.tensor(ids)).array for ids in (IDS, changed))
    np.testing.assert_array_equal(before[:, :9], after[:, :9])
    assert (before[:, 9:] != after[:, 9:]).any(axis=(1, 2)).all()


@pytest.mark.parametrize("pieces", [(16,), (1,) * 16, (5, 1, 1, 6, 3), (15, 1)], ids=str)
def test_with_and_without_cache(dtype, pieces):
    model = strong(GPT(11, **SIZES).to(dtype))
    cache, parts, begin = model.cache(2), [], 0
    with nn.no_grad():
        expected = model(nn.tensor(IDS)).array
        for count in pieces:
            parts.append(model(nn.tensor(IDS[:, begin : begin + count]), cache).array)
            begin += count
    assert cache.length == 16
    tolerance = {np.float32: 2e-4, np.float64: 1e-11}[dtype]
    np.testing.assert_allclose(np.concatenate(parts, 1), expected, rtol=tolerance, atol=tolerance)


def test_a_shortened_cache():
    model = strong(GPT(11, **SIZES).double())
    cache = model.cache(2, capacity=8)
    with nn.no_grad():
        expected = model(nn.tensor(IDS[:, :8])).array
        model(nn.tensor(np.concatenate((IDS[:, :5], IDS[:, 10:12]), 1)), cache)
        cache.length = 5
        actual = model(nn.tensor(IDS[:, 5:8]), cache).array
    np.testing.assert_allclose(actual, expected[:, 5:], rtol=1e-10, atol=1e-12)


def test_dropout_in_training_only():
    model = GPT(11, **SIZES, dropout=0.5)
    x = nn.tensor(IDS)
    assert (model(x).array != model(x).array).any()
    model.eval()
    np.testing.assert_array_equal(model(x).array, model(x).array)


def test_errors():
    model = GPT(11, **SIZES)
    with pytest.raises(ValueError, match="GPT: 5 heads do not divide width 12"):
        GPT(11, width=12, heads=5)
    with pytest.raises(ValueError, match=r"GPT: ids must have 2 dimensions, got shape \(3,\)"):
        model(nn.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="GPT: takes at most 16 tokens, got 0 in the cache and 17 more"):
        model(nn.tensor(np.zeros((1, 17), np.int64)))
    with pytest.raises(IndexError, match="embedding: input must be from 0 to 10, got 11"):
        model(nn.tensor([[11]]))


def test_errors_of_the_cache():
    model = GPT(11, **SIZES)
    cache = model.cache(2, capacity=8)
    with nn.no_grad():
        model(nn.tensor(IDS[:, :6]), cache)
        with pytest.raises(ValueError, match="KeyValueCache: the capacity is 8 tokens, it has 6, got 3 more"):
            model(nn.tensor(IDS[:, 6:9]), cache)
        with pytest.raises(ValueError, match="KeyValueCache: made for 2 texts, got 1"):
            model(nn.tensor(IDS[:1, :1]), cache)
        full = model.cache(2)
        model(nn.tensor(IDS), full)
        with pytest.raises(ValueError, match="GPT: takes at most 16 tokens, got 16 in the cache and 1 more"):
            model(nn.tensor(IDS[:, :1]), full)
    assert cache.length == 6
    with pytest.raises(
        RuntimeError, match=r"KeyValueCache: gradients do not propagate through it; use it under no_grad\(\)"
    ):
        model(nn.tensor(IDS[:, :1]), cache)
    assert cache.length == 6
    assert KeyValueCache(1, 2, 3, 4, 5, np.float64).keys.shape == (1, 2, 3, 4, 5)
