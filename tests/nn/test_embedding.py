"""The table of learned vectors."""

import numpy as np
import pytest
import torch

import nn
import nn.functional as F
from tests.nn.compare import same_as_torch

TABLE = np.random.default_rng(0).standard_normal((5, 3))


@pytest.mark.parametrize("ids", [[], 2, [4], [0, 0, 4, 1, 0], [[1, 2], [2, 2], [0, 1]]], ids=str)
@pytest.mark.parametrize("padding_idx", [None, 0, -3])
@pytest.mark.parametrize("integer", [np.int64, np.int32])
def test_forward_and_gradient(ids, padding_idx, integer):
    ids = np.asarray(ids, integer)
    same_as_torch(
        lambda table: F.embedding(nn.tensor(ids), table, padding_idx) * 2,
        TABLE,
        reference=lambda table: torch.nn.functional.embedding(torch.tensor(ids), table, padding_idx) * 2,
    )


def test_gradient_of_many_repeats():
    ids = np.random.default_rng(1).integers(0, 5, 10_000)
    same_as_torch(
        lambda table: F.embedding(ids, table),
        TABLE,
        reference=lambda table: torch.nn.functional.embedding(torch.tensor(ids), table),
    )


def test_module():
    nn.manual_seed(0)
    layer = nn.Embedding(1000, 30, padding_idx=-1)
    assert layer.padding_idx == 999
    assert layer.weight.shape == (1000, 30)
    assert not layer.weight.data[999].any()
    np.testing.assert_allclose(layer.weight.data[:999].std(), 1, rtol=0.02)
    layer(nn.tensor([1, 999, 1])).sum().backward()
    assert layer.weight.grad.data[1].tolist() == [2.0] * 30
    assert not layer.weight.grad.data[999].any()
    theirs = torch.nn.Embedding(1000, 30, padding_idx=-1)
    layer.load_state_dict(theirs.state_dict())
    assert repr(layer) == repr(theirs)


def test_from_pretrained():
    layer = nn.Embedding.from_pretrained(nn.tensor(TABLE))
    assert (layer.num_embeddings, layer.embedding_dim, layer.weight.requires_grad) == (5, 3, False)
    assert layer(nn.tensor(4)).tolist() == TABLE[4].tolist()
    tuned = nn.Embedding.from_pretrained(TABLE, freeze=False, padding_idx=0)
    assert tuned.weight.requires_grad
    assert tuned.weight.data[0].tolist() == TABLE[0].tolist()
    with pytest.raises(ValueError, match=r"Embedding: the table must have 2 dimensions, is \(3,\)"):
        nn.Embedding.from_pretrained(TABLE[0])


def test_bad_ids():
    layer = nn.Embedding(5, 3)
    for wrong in (5, -1, 1 << 40):
        with pytest.raises(IndexError, match=f"embedding: input must be from 0 to 4, got {wrong}"):
            layer(nn.tensor([0, wrong]))
    with pytest.raises(TypeError, match="embedding: input must be int64 or int32, got float32"):
        layer(nn.tensor([1.0]))
    with pytest.raises(ValueError, match="embedding: padding_idx 5 is outside a table of 5 rows"):
        nn.Embedding(5, 3, padding_idx=5)
