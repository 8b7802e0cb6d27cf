"""Tests of nn.utils.rnn."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch.nn.utils import rnn as peer

import nn
from nn.utils import rnn
from tests.nn.compare import agree

LENGTHS = [3, 5, 1, 5, 2]


def same_packed(ours, theirs):
    """Assert that two packed sequences agree in every part but the order among equal lengths."""
    np.testing.assert_array_equal(ours.batch_sizes.numpy(), theirs.batch_sizes.numpy())
    assert (ours.sorted_indices is None) == (theirs.sorted_indices is None)
    if ours.sorted_indices is None:
        agree(ours.data, theirs.data)
    else:
        np.testing.assert_array_equal(ours.sorted_indices.numpy()[ours.unsorted_indices.numpy()], np.arange(5))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("trailing", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("in_order", [True, False])
def test_pack_and_pad(rng, kind, trailing, batch_first, in_order):
    lengths = sorted(LENGTHS, reverse=True) if in_order else LENGTHS
    values = (10 * rng.standard_normal((5, 6, *trailing) if batch_first else (6, 5, *trailing))).astype(kind)
    packed = rnn.pack_padded_sequence(nn.tensor(values), lengths, batch_first, in_order)
    theirs = peer.pack_padded_sequence(torch.tensor(values), lengths, batch_first, in_order)
    same_packed(packed, theirs)
    for options in ({}, {"batch_first": True}, {"padding_value": 7.0, "total_length": 9}):
        (y, found), (expected, their_lengths) = (
            module.pad_packed_sequence(sequence, **options) for module, sequence in ((rnn, packed), (peer, theirs))
        )
        agree(y, expected)
        agree(found, their_lengths)
    for actual, expected in zip(rnn.unpack_sequence(packed), peer.unpack_sequence(theirs), strict=True):
        agree(actual, expected)


@pytest.mark.parametrize("batch_first", [False, True])
def test_gradients(rng, batch_first):
    values, weights = rng.standard_normal((6, 5, 3) if not batch_first else (5, 6, 3)), rng.standard_normal((5, 5, 3))
    x, theirs = nn.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    for module, leaf, weight in ((rnn, x, weights), (peer, theirs, torch.from_numpy(weights))):
        packed = module.pack_padded_sequence(leaf, LENGTHS, batch_first, enforce_sorted=False)
        padded, _ = module.pad_packed_sequence(packed._replace(data=packed.data * packed.data), batch_first)
        (padded * weight).sum().backward()
    agree(x.grad, theirs.grad)
    assert (x.grad.numpy() == 0).any()


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_pad_sequence(rng, batch_first, side):
    arrays = [rng.standard_normal((length, 3)) for length in (4, 0, 2)]
    ours = [nn.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = rnn.pad_sequence(ours, batch_first, 7.0, side)
    expected = peer.pad_sequence(theirs, batch_first, 7.0, side)
    agree(y, expected)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        agree(mine.grad, other.grad)
    if side == "right":
        for mine, array in zip(rnn.unpad_sequence(y, [4, 0, 2], batch_first), arrays, strict=True):
            np.testing.assert_array_equal(mine.detach().numpy(), array)


@hypothesis.given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6), batch_first=st.booleans())
def test_packing_round_trip(lengths, batch_first):
    arrays = [np.random.default_rng(i).standard_normal((length, 2)) for i, length in enumerate(lengths)]
    packed = rnn.pack_sequence([nn.tensor(a) for a in arrays], enforce_sorted=False)
    assert packed.data.shape == (sum(lengths), 2)
    for sequence, array in zip(rnn.unpack_sequence(packed), arrays, strict=True):
        np.testing.assert_array_equal(sequence.numpy(), array)
    padded, found = rnn.pad_packed_sequence(packed, batch_first)
    assert found.tolist() == lengths
    for sequence, array in zip(rnn.unpad_sequence(padded, found, batch_first), arrays, strict=True):
        np.testing.assert_array_equal(sequence.numpy(), array)


def test_packed_sequence_is_a_tuple():
    packed = rnn.pack_sequence([nn.tensor([1.0, 2.0]), nn.tensor([3.0])])
    data, batch_sizes, sorted_indices, unsorted_indices = packed
    assert data.tolist() == [1.0, 3.0, 2.0]
    assert batch_sizes.tolist() == [2, 1]
    assert sorted_indices is unsorted_indices is None
    assert packed.double().data.dtype == np.float64
    assert packed.to("cpu") is packed is packed.cpu()
    assert packed.float() is packed
    again = rnn.PackedSequence(data, batch_sizes, nn.tensor([1, 0]))
    assert again.unsorted_indices.tolist() == [1, 0]


X = nn.zeros(6, 3, 2)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, r"pack_padded_sequence: .*sorted.*\[3, 5, 1\]", lambda: rnn.pack_padded_sequence(X, [3, 5, 1])),
        (ValueError, r"pack_padded_sequence: .*from 1 to 6.*0", lambda: rnn.pack_padded_sequence(X, [3, 2, 0])),
        (ValueError, r"pack_padded_sequence: .*from 1 to 6.*7", lambda: rnn.pack_padded_sequence(X, [7, 2, 1])),
        (ValueError, r"pack_padded_sequence: .*3 sequences.*\(2,\)", lambda: rnn.pack_padded_sequence(X, [7, 2])),
        (TypeError, r"pack_padded_sequence: .*float64", lambda: rnn.pack_padded_sequence(X, [3.0, 2.0, 1.0])),
        (ValueError, r"pack_padded_sequence: .*\(6,\)", lambda: rnn.pack_padded_sequence(nn.zeros(6), [3])),
        (ValueError, r"pack_padded_sequence: .*\(6, 0\)", lambda: rnn.pack_padded_sequence(nn.zeros(6, 0), [])),
        (ValueError, r"pack_padded_sequence: .*sorted", lambda: rnn.pack_sequence([nn.zeros(1), nn.zeros(2)])),
        (ValueError, r"pad_sequence: .*none", lambda: rnn.pad_sequence([])),
        (ValueError, r"pad_sequence: .*\(3, 2\)", lambda: rnn.pad_sequence([nn.zeros(4), nn.zeros(3, 2)])),
        (ValueError, r"pad_sequence: .*'middle'", lambda: rnn.pad_sequence([X], padding_side="middle")),
        (TypeError, r"pad_sequence: .*float64", lambda: rnn.pad_sequence([nn.zeros(4), nn.zeros(3).double()])),
        (ValueError, r"unpad_sequence: .*from 0 to 6.*8", lambda: rnn.unpad_sequence(X, [8, 2, 1])),
        (
            ValueError,
            r"pad_packed_sequence: total_length .*4.*3",
            lambda: rnn.pad_packed_sequence(rnn.pack_padded_sequence(X, [4, 1, 1]), total_length=3),
        ),
    ],
)
def test_errors(error, message, call):
    with pytest.raises(error, match=f"^{message}"):
        call()
