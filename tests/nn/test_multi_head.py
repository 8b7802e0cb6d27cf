"""Tests of nn.functional.multi_head: multi-head attention as a function of its weights."""

import numpy as np
import pytest

import nn
import nn.functional as F
from tests.nn.compare import same_function

L, S, N, E, HEADS = 4, 5, 2, 6, 3
OPTIONS = {
    "plain": {},
    "weights of each head": {"average_attn_weights": False},
    "no weights": {"need_weights": False},
    "no biases": {"drop": ("in_proj_bias", "out_proj_bias")},
    "appended": {"bias_kv": True, "add_zero_attn": True},
    "zeros": {"add_zero_attn": True, "need_weights": False},
    "separate": {"use_separate_proj_weight": True},
    "separate without biases": {"use_separate_proj_weight": True, "drop": ("in_proj_bias",)},
    "static": {"static": ("static_k", "static_v")},
    "static key": {"static": ("static_k",), "need_weights": False},
    "static and zeros": {"static": ("static_k", "static_v"), "add_zero_attn": True, "padding": True},
    "padding": {"padding": True},
    "mask": {"mask": (L, S)},
    "masks": {"mask": (N * HEADS, L, S), "padding": True, "need_weights": False},
    "evaluation": {"training": False, "dropout_p": 0.5},
}


def function(
    m, *tensors, names, drop=(), static=(), padding=False, mask=None, add_zero_attn=False, dropout_p=0.0, **options
):
    """Call the function of one module, with tensors of these names."""
    f = m.functional if m is nn else m.nn.functional
    given = {name: t for name, t in zip(names, tensors, strict=True) if name not in drop}
    if options.get("use_separate_proj_weight"):
        given["in_proj_weight"] = None
    hidden = np.random.default_rng(5)
    if padding:
        options["key_padding_mask"] = m.tensor(np.arange(S) >= np.array([[S], [3]]))
    if mask is not None:
        visible = hidden.random(mask) < 0.3
        visible[..., 1] = False
        options["attn_mask"] = m.tensor(visible)
    first = ("in_proj_weight", "in_proj_bias", "bias_k", "bias_v")
    return f.multi_head_attention_forward(
        *(given.pop(name) for name in ("query", "key", "value")), E, HEADS,
        *(given.pop(name, None) for name in first), add_zero_attn, dropout_p,
        *(given.pop(name, None) for name in ("out_proj_weight", "out_proj_bias")), **given, **options,
    )  # fmt: skip


def arrays(rng, options):
    """The shapes of all tensors that a call with these options has."""
    options, separate = dict(options), options.get("use_separate_proj_weight")
    key, value = (4, 3) if separate else (E, E)
    shapes = {"query": (L, N, E), "key": (S, N, key), "value": (S, N, value)}
    if separate:
        shapes |= {"q_proj_weight": (E, E), "k_proj_weight": (E, key), "v_proj_weight": (E, value)}
    else:
        shapes["in_proj_weight"] = 3 * E, E
    shapes |= {"in_proj_bias": (3 * E,), "out_proj_weight": (E, E), "out_proj_bias": (E,)}
    if options.pop("bias_kv", False):
        shapes |= {"bias_k": (1, 1, E), "bias_v": (1, 1, E)}
    shapes |= {name: (N * HEADS, S, E // HEADS) for name in options.get("static", ())}
    return {name: rng.standard_normal(shape) * 0.3 for name, shape in shapes.items()}, options


@pytest.mark.parametrize("name", OPTIONS)
def test_values_and_gradients_are_those_of_torch(rng, name):
    given, options = arrays(rng, OPTIONS[name])

    def called(m, *tensors):
        return [y for y in function(m, *tensors, names=list(given), **options) if y is not None]

    same_function(called, *given.values(), twice=name == "plain", rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_sequence_without_a_batch(rng, need_weights):
    given, _ = arrays(rng, {})
    query, key = rng.standard_normal((L, E)), rng.standard_normal((S, E))
    rest = [given[name] for name in ("in_proj_weight", "in_proj_bias", "out_proj_weight", "out_proj_bias")]

    def called(m, query, key, weight, bias, out_weight, out_bias):
        f = m.functional if m is nn else m.nn.functional
        arguments = (query, key, key, E, HEADS, weight, bias, None, None, False, 0.0, out_weight, out_bias)
        return [y for y in f.multi_head_attention_forward(*arguments, need_weights=need_weights) if y is not None]

    same_function(called, query, key, *rest, twice=False)


def test_dropout_in_training_only(rng):
    given, _ = arrays(rng, {})
    tensors = [nn.tensor(a) for a in given.values()]
    plain = function(nn, *tensors, names=list(given))
    dropped = function(nn, *tensors, names=list(given), dropout_p=0.5)
    assert (dropped[1].array == 0).any()
    assert not np.allclose(plain[0].array, dropped[0].array)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"in_proj_weight": None}, {}, "with use_separate_proj_weight=False, needs in_proj_weight, got None"),
        ({}, {"use_separate_proj_weight": True}, "needs q_proj_weight, k_proj_weight and v_proj_weight, got None"),
        ({"bias_k": (1, 1, E)}, {}, "needs both of bias_k and bias_v or neither"),
        ({"bias_k": (1, 1, E), "bias_v": (1, 1, E), "static_k": (6, 5, 2)}, {}, "cannot be appended to static_k"),
        ({"static_k": (5, 5, 2)}, {}, r"static_k must be \(6, S, 2\), got shape \(5, 5, 2\)"),
        ({"static_k": (6, 4, 2)}, {}, r"keys and values must be equally many, got \[4, 5\]"),
        ({"query": (L, N, 7)}, {}, r"query must have width 6, got shape \(4, 2, 7\)"),
        ({"key": (S, 3, E)}, {}, r"key and value must have the same sequences"),
        ({}, {"is_causal": True}, "is_causal needs attn_mask, which is not given"),
    ],
)
def test_errors(rng, changes, options, message):
    given, _ = arrays(rng, {})
    given |= {name: shape if shape is None else rng.standard_normal(shape) for name, shape in changes.items()}
    tensors = [a if a is None else nn.tensor(a) for a in given.values()]
    with pytest.raises(ValueError, match=f"multi_head_attention_forward: .*{message}"):
        function(nn, *tensors, names=list(given), **options)


def test_errors_of_heads_and_types(rng):
    x = nn.zeros(4, 2, 6)
    with pytest.raises(ValueError, match="multi_head_attention_forward: 4 heads do not divide embed_dim 6"):
        F.multi_head_attention_forward(x, x, x, 6, 4, nn.zeros(18, 6), None, None, None, False, 0.0, x, None)
    with pytest.raises(TypeError, match="multi_head_attention_forward: query must be a Tensor, got ndarray"):
        weight = nn.zeros(18, 6)
        F.multi_head_attention_forward(x.array, x, x, 6, 3, weight, None, None, None, False, 0.0, x, None)


def test_the_layer_is_this_function(rng):
    layer, x = nn.MultiheadAttention(E, HEADS), nn.tensor(rng.standard_normal((L, N, E)).astype(np.float32))
    expected, _ = layer(x, x, x)
    weights = layer.in_proj_weight, layer.in_proj_bias, None, None, False, 0.0, layer.out_proj.weight
    y, _ = F.multi_head_attention_forward(x, x, x, E, HEADS, *weights, layer.out_proj.bias)
    np.testing.assert_array_equal(y.array, expected.array)
