"""The arguments `device` and `dtype` of layers, their names and places as in PyTorch, and the default dtype."""

import inspect

import numpy as np
import pytest
import torch

import nn

# Name of each layer with parameters -> arguments
LAYERS = {
    "Linear": (3, 2),
    **{f"Conv{d}d": (4, 2, 3) for d in (1, 2, 3)},
    **{f"ConvTranspose{d}d": (4, 2, 3) for d in (1, 2, 3)},
    **{f"BatchNorm{d}d": (4,) for d in (1, 2, 3)},
    **{f"InstanceNorm{d}d": (4, 1e-5, 0.1, True, True) for d in (1, 2, 3)},
    "LayerNorm": (4,),
    "RMSNorm": (4,),
    "GroupNorm": (2, 4),
    "PReLU": (2,),
    "Embedding": (5, 3),
    "EmbeddingBag": (5, 3),
    "RNN": (3, 4),
    "GRU": (3, 4),
    "LSTM": (3, 4),
    "RNNCell": (3, 4),
    "GRUCell": (3, 4),
    "LSTMCell": (3, 4),
    "MultiheadAttention": (8, 2, 0.0, True, True),
    "TransformerEncoderLayer": (8, 2, 16),
    "TransformerDecoderLayer": (8, 2, 16),
    "Transformer": (8, 2, 1, 1, 16),
}


def floats(module):
    return [t for t in (*module.parameters(), *module.buffers()) if t.array.dtype.kind == "f"]


@pytest.fixture
def restored():
    yield
    nn.set_default_dtype(nn.float32)


@pytest.mark.parametrize("name", LAYERS)
def test_dtype_and_device(name, restored):
    layer, arguments = getattr(nn, name), LAYERS[name]
    for dtype in (nn.float32, nn.float64, np.float64):
        assert {t.dtype for t in floats(layer(*arguments, device="cpu", dtype=dtype))} == {np.dtype(dtype)}
    assert {t.dtype for t in floats(layer(*arguments, device=nn.device("cpu")))} == {nn.float32}
    nn.set_default_dtype(nn.float64)
    assert {t.dtype for t in floats(layer(*arguments))} == {nn.float64}
    assert {t.dtype for t in floats(layer(*arguments, dtype=nn.float32))} == {nn.float32}
    with pytest.raises(RuntimeError, match="'cuda:1' is not available; the only device is 'cpu'"):
        layer(*arguments, device="cuda:1")
    with pytest.raises(TypeError, match=f"{name}: dtype must be"):
        layer(*arguments, dtype=nn.int64)
    with pytest.raises(TypeError, match=f"{name}: dtype must be"):
        layer(*arguments, dtype=np.float16)


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("RNN", "GRU", "LSTM")])
def test_names_and_places_are_those_of_pytorch(name):
    ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (nn, torch.nn))
    assert list(ours) == list(theirs)
    for mine, other in zip(ours.values(), theirs.values(), strict=True):
        assert mine.kind == other.kind
        if mine.name != "activation":  # a function in PyTorch
            assert mine.default == other.default


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_arguments_of_recurrent_layers(name):
    names = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]
    names += {"RNN": [], "GRU": [], "LSTM": ["proj_size"]}[name] + ["device", "dtype", "checkpoint_every"]
    if name == "RNN":
        names.insert(3, "nonlinearity")
    assert list(inspect.signature(getattr(nn, name)).parameters) == names


@pytest.mark.parametrize("name", ["Embedding", "EmbeddingBag"])
def test_a_given_table(name):
    weight = nn.randn(5, 3, dtype=nn.float64)
    layer = getattr(nn, name)(5, 3, _weight=weight, sparse=True)
    assert layer.weight.dtype == nn.float64 and nn.equal(layer.weight, weight) and layer.weight.requires_grad
    with pytest.raises(ValueError, match=r"_weight must have shape \(5, 2\), got \(5, 3\)"):
        getattr(nn, name)(5, 2, _weight=weight)
    assert not nn.Embedding(5, 3, _freeze=True).weight.requires_grad
