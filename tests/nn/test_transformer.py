"""Tests of nn.transformer."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_layers

# a warning of PyTorch's Transformer, which does not pass on enable_nested_tensor to its TransformerEncoder
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")

SIZES = {"d_model": 12, "nhead": 3, "dim_feedforward": 20, "dropout": 0.0}


def paired(name, dtype=np.float64, **options):
    """Our module of that name and PyTorch's, with the same parameters, none of which is zero."""
    return copied(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), dtype)


def copied(ours, theirs, dtype=np.float64):
    theirs = theirs.to(getattr(torch, np.dtype(dtype).name))
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    ours = ours.to(dtype)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def sequence(rng, T, batch_first=False, unbatched=False, dtype=np.float64):
    """A leaf of ours and one of PyTorch's."""
    shape = (T, 12) if unbatched else (2, T, 12) if batch_first else (T, 2, 12)
    x = rng.standard_normal(shape).astype(dtype)
    return nn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)


def both(*arrays):
    """The arrays, or None, as tensors of ours and of PyTorch's."""
    return [[None if a is None else make(a) for a in arrays] for make in (nn.tensor, torch.tensor)]


def causal(T):
    return np.triu(np.full((T, T), -np.inf), 1)


PADDING = np.arange(7) >= np.array([[7], [4]])

LAYERS = [
    {},
    {"norm_first": True},
    {"batch_first": True, "activation": "gelu"},
    {"bias": False, "norm_first": True, "layer_norm_eps": 0.1},
]
each_layer = pytest.mark.parametrize("options", LAYERS, ids=str)


@each_layer
@pytest.mark.parametrize("masked", ["", "causal", "padding", "both", "unbatched"])
def test_encoder_layer(rng, dtype, options, masked):
    rtol, atol = (1e-8, 1e-11) if dtype == np.float64 else (1e-3, 1e-4)
    ours, theirs = paired("TransformerEncoderLayer", dtype, **SIZES, **options)
    x, their_x = sequence(rng, 7, options.get("batch_first"), masked == "unbatched", dtype)
    given = causal(7) == -np.inf if masked in ("causal", "both") else None, PADDING if "pad" in masked else None
    mine, others = both(*given)
    same_layers(ours, theirs, [x, *mine], [their_x, *others], rtol, atol)
    agree(x.grad, their_x.grad, rtol, atol)


@each_layer
@pytest.mark.parametrize("masked", ["", "causal", "all"])
def test_decoder_layer(rng, dtype, options, masked):
    rtol, atol = (1e-8, 1e-11) if dtype == np.float64 else (1e-3, 1e-4)
    ours, theirs = paired("TransformerDecoderLayer", dtype, **SIZES, **options)
    x, their_x = sequence(rng, 5, options.get("batch_first"), dtype=dtype)
    memory, their_memory = sequence(rng, 7, options.get("batch_first"), dtype=dtype)
    tgt = (causal(5) == -np.inf) if masked else None
    window = np.abs(np.arange(7) - np.arange(5)[:, None]) > 3
    rest = (window, np.zeros((2, 5), bool), PADDING) if masked == "all" else (None,) * 3
    mine, others = both(tgt, *rest)
    same_layers(ours, theirs, [x, memory, *mine], [their_x, their_memory, *others], rtol, atol)
    agree(x.grad, their_x.grad, rtol, atol)
    agree(memory.grad, their_memory.grad, rtol, atol)


@pytest.mark.parametrize("activation", ["gelu", "function", "module"])
def test_activations(rng, activation):
    functions = {
        "gelu": ("gelu", "gelu"),
        "function": (nn.functional.silu, torch.nn.functional.silu),
        "module": (nn.GELU("tanh"), torch.nn.GELU("tanh")),
    }[activation]
    ours, theirs = (
        library.TransformerEncoderLayer(**SIZES, activation=function)
        for library, function in zip((nn, torch.nn), functions, strict=True)
    )
    ours, theirs = copied(ours, theirs)
    x, their_x = sequence(rng, 5)
    same_layers(ours, theirs, [x], [their_x])
    with pytest.raises(ValueError, match="TransformerEncoderLayer: activation must be 'relu', 'gelu' or a function"):
        nn.TransformerEncoderLayer(**SIZES, activation="silu")


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("mask", [None, causal(5), causal(5) == -np.inf, np.eye(5) > 0], ids=["none", "f", "b", "eye"])
def test_encoder(rng, mask, norm):
    ours, theirs = (
        library.TransformerEncoder(
            library.TransformerEncoderLayer(**SIZES),
            2,
            library.LayerNorm(12) if norm else None,
            enable_nested_tensor=False,
        )
        for library in (nn, torch.nn)
    )
    first, second = (layer.linear1.weight.array for layer in ours.layers)
    np.testing.assert_array_equal(first, second)
    assert first is not second
    ours, theirs = copied(ours, theirs)
    x, their_x = sequence(rng, 5)
    mine, others = both(mask)
    same_layers(ours, theirs, [x, *mine], [their_x, *others])
    agree(x.grad, their_x.grad, 1e-8)


@pytest.mark.parametrize("options", [{}, {"batch_first": True, "norm_first": True}], ids=str)
def test_transformer(rng, options):
    ours, theirs = paired("Transformer", **SIZES, num_encoder_layers=2, num_decoder_layers=2, **options)
    src, their_src = sequence(rng, 7, options.get("batch_first"))
    tgt, their_tgt = sequence(rng, 5, options.get("batch_first"))
    mine, others = both(causal(7), causal(5), causal(7)[:5], PADDING * 1.0, np.zeros((2, 5)), PADDING * 2.0)
    same_layers(ours, theirs, [src, tgt, *mine], [their_src, their_tgt, *others], 1e-7, 1e-10)
    agree(src.grad, their_src.grad, 1e-7, 1e-10)
    agree(tgt.grad, their_tgt.grad, 1e-7, 1e-10)


def test_generate_square_subsequent_mask():
    agree(nn.Transformer.generate_square_subsequent_mask(4), torch.nn.Transformer.generate_square_subsequent_mask(4))
    assert nn.Transformer.generate_square_subsequent_mask(2, np.float64).dtype == np.float64


def test_is_causal_skips_reading_the_mask(rng):
    """It may be given, or is seen from the mask; where it is given, the mask is not read."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(**SIZES), 1).double()
    x, _ = sequence(rng, 5)
    mask, full = nn.tensor(causal(5)), nn.tensor(np.zeros((5, 5)))
    expected = model(x, mask, is_causal=False)
    for actual in (model(x, mask), model(x, mask, is_causal=True), model(x, full, is_causal=True)):
        np.testing.assert_allclose(actual.array, expected.array, rtol=1e-10)
    assert np.abs(model(x, full).array - expected.array).max() > 1e-3


def test_names_and_initial_values():
    nn.manual_seed(0)
    sizes = {"d_model": 64, "nhead": 4, "num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 100}
    ours, theirs = nn.Transformer(**sizes), torch.nn.Transformer(**sizes)
    mine, others = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(others)
    for name, value in mine.items():
        assert value.shape == tuple(others[name].shape)
        np.testing.assert_allclose(value.array.std(), others[name].numpy().std(), rtol=0.3, err_msg=name)
    theirs.load_state_dict(mine)


def test_dropout_in_training_only(rng):
    model = nn.Transformer(12, 3, 1, 1, 20, dropout=0.5)
    src, tgt = (nn.tensor(rng.standard_normal((T, 2, 12)).astype(np.float32)) for T in (7, 5))
    assert (model(src, tgt).array != model(src, tgt).array).any()
    model.eval()
    np.testing.assert_array_equal(model(src, tgt).array, model(src, tgt).array)


def test_custom_encoder_and_decoder():
    model = nn.Transformer(12, 3, custom_encoder=Same(), custom_decoder=Same())
    x = nn.zeros(5, 2, 12)
    assert model(nn.ones(5, 2, 12), x) is x


class Same(nn.Module):
    def forward(self, x, *others):
        return x


def test_errors():
    model = nn.Transformer(**SIZES, num_encoder_layers=1, num_decoder_layers=1)
    with pytest.raises(ValueError, match=r"src and tgt must have the same batch, got \(5, 2, 12\) and \(5, 3, 12\)"):
        model(nn.zeros(5, 2, 12), nn.zeros(5, 3, 12))
    with pytest.raises(ValueError, match="Transformer: src and tgt must have width 12"):
        model(nn.zeros(5, 2, 11), nn.zeros(5, 2, 12))
    with pytest.raises(ValueError, match="MultiheadAttention: 5 heads do not divide embed_dim 12"):
        nn.TransformerEncoderLayer(12, 5)
