"""Embeddings."""

import inspect

import numpy as np
import pytest
import torch

import kernels
import nn
import nn.functional as F
from tests.nn.compare import agree, same_as_torch

TABLE = np.random.default_rng(0).standard_normal((5, 3))


@pytest.mark.parametrize("ids", [[], 2, [4], [0, 0, 4, 1, 0], [[1, 2], [2, 2], [0, 1]]], ids=str)
@pytest.mark.parametrize("padding_idx", [None, 0, -3])
@pytest.mark.parametrize("integer", [np.int64, np.int32])
@pytest.mark.parametrize("by_frequency", [False, True])
def test_forward_and_gradient(ids, padding_idx, integer, by_frequency):
    ids, options = np.asarray(ids, integer), {"padding_idx": padding_idx, "scale_grad_by_freq": by_frequency}
    same_as_torch(
        lambda table: F.embedding(nn.tensor(ids), table, **options) * 2,
        TABLE,
        reference=lambda table: torch.nn.functional.embedding(torch.tensor(ids), table, **options) * 2,
    )


def test_gradient_of_many_repeats():
    ids = np.random.default_rng(1).integers(0, 5, 10_000)
    same_as_torch(
        lambda table: F.embedding(ids, table),
        TABLE,
        reference=lambda table: torch.nn.functional.embedding(torch.tensor(ids), table),
    )


BAGS = {
    "matrix": ([[1, 2], [2, 2], [0, 1]], None, {}),
    "offsets": ([1, 2, 2, 0, 4], [0, 2, 2], {}),
    "last offset": ([1, 2, 2, 0, 4], [0, 2, 5], {"include_last_offset": True}),
    "padding": ([[1, 2], [2, 2], [0, 1]], None, {"padding_idx": -3}),
}


@pytest.mark.parametrize("bags", BAGS)
@pytest.mark.parametrize("mode", ["sum", "mean", "max", "weighted"])
def test_bags(bags, mode):
    ids, offsets, options = BAGS[bags]
    weighted = mode == "weighted"
    options = options | {"mode": "sum" if weighted else mode}
    arrays = [TABLE] + [np.random.default_rng(2).standard_normal(np.shape(ids))] * weighted

    def apply(library, table, factors=None):
        starts = None if offsets is None else library.tensor(offsets)
        bag = library.nn.functional.embedding_bag if library is torch else F.embedding_bag
        return bag(library.tensor(ids), table, starts, per_sample_weights=factors, **options) * 2

    same_as_torch(lambda *a: apply(nn, *a), *arrays, reference=lambda *a: apply(torch, *a))


@pytest.mark.parametrize("needed", [(True, False), (False, True)], ids=str)
def test_bag_computes_only_what_is_needed(needed, monkeypatch):
    asked = []
    original = kernels.embedding_bag_backward

    def backward(*arguments, needs, **options):
        asked.append(needs)
        return original(*arguments, needs=needs, **options)

    monkeypatch.setattr(kernels, "embedding_bag_backward", backward)
    table = nn.tensor(TABLE, requires_grad=needed[0])
    factors = nn.tensor(np.ones((1, 2)), requires_grad=needed[1])
    F.embedding_bag(nn.tensor([[0, 1]]), table, mode="sum", per_sample_weights=factors).sum().backward()
    assert asked == [needed]
    assert (table.grad is not None, factors.grad is not None) == needed


@pytest.mark.parametrize("norm_type", [1.0, 2.0])
def test_max_norm_changes_the_table(norm_type):
    options = {"max_norm": 0.5, "norm_type": norm_type}
    for name, more in (("Embedding", {}), ("EmbeddingBag", {"mode": "sum"})):
        theirs = getattr(torch.nn, name)(5, 3, **options, **more).double()
        ours = getattr(nn, name).from_pretrained(theirs.weight.detach().numpy().copy(), False, **options, **more)
        ids = np.array([[1, 1], [4, 0]])
        y, expected = ours(nn.tensor(ids)), theirs(torch.tensor(ids))
        agree(y, expected)
        y.sum().backward()
        expected.sum().backward()
        agree(ours.weight, theirs.weight)
        agree(ours.weight.grad, theirs.weight.grad)


def test_a_change_of_saved_tensors_before_backward_is_detected():
    def message(change):
        table, ids = nn.tensor(TABLE, requires_grad=True), nn.tensor([[1, 2]])
        factors = nn.tensor(np.ones((1, 2)), requires_grad=True)
        y = F.embedding_bag(ids, table, mode="sum", per_sample_weights=factors)
        change(table, ids, factors)
        with pytest.raises(RuntimeError, match="embedding_bag"):
            y.sum().backward()

    message(lambda table, ids, factors: ids.add_(1))
    message(lambda table, ids, factors: factors.detach().mul_(2))
    message(lambda table, ids, factors: F.embedding(ids, table.detach(), max_norm=0.1))
    table = nn.tensor(TABLE, requires_grad=True)
    y = F.embedding(nn.tensor([1]), table)
    F.embedding(nn.tensor([1]), table, max_norm=0.1)  # of the table itself only the size is read
    y.sum().backward()
    assert table.grad.tolist()[1] == [1, 1, 1]


def test_module():
    nn.manual_seed(0)
    layer = nn.Embedding(1000, 30, padding_idx=-1)
    assert layer.padding_idx == 999
    assert layer.weight.shape == (1000, 30)
    assert not layer.weight.array[999].any()
    np.testing.assert_allclose(layer.weight.array[:999].std(), 1, rtol=0.02)
    layer(nn.tensor([1, 999, 1])).sum().backward()
    assert layer.weight.grad.array[1].tolist() == [2.0] * 30
    assert not layer.weight.grad.array[999].any()
    theirs = torch.nn.Embedding(1000, 30, padding_idx=-1)
    layer.load_state_dict(theirs.state_dict())
    assert repr(layer) == repr(theirs)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Embedding", {"padding_idx": 1, "max_norm": 1.0, "norm_type": 1.0, "scale_grad_by_freq": True}),
        ("Embedding", {}),
        ("EmbeddingBag", {"max_norm": 2, "norm_type": 3, "scale_grad_by_freq": True, "mode": "sum", "padding_idx": -1}),
        ("EmbeddingBag", {"include_last_offset": True, "mode": "max"}),
        ("EmbeddingBag", {}),
    ],
)
def test_repr_of_modules(name, options):
    ours, theirs = getattr(nn, name)(7, 3, **options), getattr(torch.nn, name)(7, 3, **options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert ours.weight.tolist() == theirs.weight.tolist()
    parameters = inspect.signature(getattr(torch.nn, name)).parameters
    assert [p for p in parameters if p in inspect.signature(type(ours)).parameters] == list(
        inspect.signature(type(ours)).parameters
    )


def test_bag_module():
    layer = nn.EmbeddingBag.from_pretrained(TABLE, mode="max", include_last_offset=True, padding_idx=-1)
    assert not layer.weight.requires_grad and layer.padding_idx == 4
    y = layer(nn.tensor([0, 4, 3]), nn.tensor([0, 2, 3]))
    assert y.tolist() == TABLE[[0, 3]].tolist()
    weighted = nn.EmbeddingBag.from_pretrained(TABLE, mode="sum")
    y = weighted(nn.tensor([[1]]), per_sample_weights=nn.tensor(np.array([[2.0]])))
    assert y.tolist() == [(2 * TABLE[1]).tolist()]
    assert not nn.EmbeddingBag(4, 2, padding_idx=3).weight.array[3].any()
    with pytest.raises(ValueError, match="EmbeddingBag: padding_idx -5 is outside a table of 4 rows"):
        nn.EmbeddingBag(4, 2, padding_idx=-5)


def test_from_pretrained():
    layer = nn.Embedding.from_pretrained(nn.tensor(TABLE))
    assert (layer.num_embeddings, layer.embedding_dim, layer.weight.requires_grad) == (5, 3, False)
    assert layer(nn.tensor(4)).tolist() == TABLE[4].tolist()
    tuned = nn.Embedding.from_pretrained(TABLE, freeze=False, padding_idx=0)
    assert tuned.weight.requires_grad
    assert tuned.weight.array[0].tolist() == TABLE[0].tolist()
    with pytest.raises(ValueError, match=r"Embedding: the table must have 2 dimensions, is \(3,\)"):
        nn.Embedding.from_pretrained(TABLE[0])


def test_bad_ids():
    layer = nn.Embedding(5, 3)
    for wrong in (5, -1, 1 << 40):
        with pytest.raises(IndexError, match=f"embedding: input must be from 0 to 4, got {wrong}"):
            layer(nn.tensor([0, wrong]))
    with pytest.raises(TypeError, match="embedding: input must be int64 or int32, got float32"):
        layer(nn.tensor([1.0]))
    with pytest.raises(ValueError, match="Embedding: padding_idx 5 is outside a table of 5 rows"):
        nn.Embedding(5, 3, padding_idx=5)
