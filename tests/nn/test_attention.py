"""Tests of nn.attention and nn.functional.attention."""

import itertools
import re

import numpy as np
import pytest
import torch

import kernels
import nn
import nn.functional as F
from kernels.reference import attention as reference
from nn.functional.multi_head import attention_with_weights
from tests.nn.compare import agree, same_as_torch, same_layers

SHAPES = (2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 6)
TOLERANCES = {np.float32: (2e-4, 2e-5), np.float64: (1e-8, 1e-11)}


def qkv(rng, shapes=SHAPES, dtype=np.float64):
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


# --- the function -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "grouped"),
    [
        (((2, 3, 4, 8), (1, 3, 5, 8), (1, 3, 5, 6)), False),
        (((2, 3, 4, 8), (3, 5, 8), (3, 5, 6)), False),
        (((2, 3, 4, 8), (2, 1, 5, 8), (2, 1, 5, 6)), False),
        (((1, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 6)), False),
        (((2, 3, 4, 8), (2, 3, 5, 8), (1, 3, 5, 6)), False),
        (((4, 8), (2, 3, 5, 8), (2, 3, 5, 6)), False),
        (((2, 6, 4, 8), (1, 3, 5, 8), (1, 3, 5, 6)), True),
    ],
    ids=str,
)
def test_leading_axes_broadcast(rng, shapes, grouped):
    same_as_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=grouped),
        *qkv(rng, shapes),
        reference=lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=grouped),
        rtol=1e-8,
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"is_causal": True}, {"scale": 0.3}, {"is_causal": True, "scale": 2.0}],
    ids=str,
)
def test_function(rng, options):
    same_as_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options),
        *qkv(rng),
        reference=lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, **options),
        rtol=1e-8,
    )


@pytest.mark.parametrize(
    "shape", [(5, 7), (1, 7), (5, 1), (4, 1, 7), (2, 1, 5, 7), (2, 4, 5, 7), (1, 1, 1, 1)], ids=str
)
@pytest.mark.parametrize("kind", ["bool", "additive"])
def test_masks(rng, shape, kind):
    mask = rng.random(shape) < 0.8 if kind == "bool" else rng.standard_normal(shape)
    if kind == "bool":
        mask[..., 0] = True
    same_as_torch(
        F.scaled_dot_product_attention,
        *qkv(rng),
        mask,
        reference=torch.nn.functional.scaled_dot_product_attention,
        rtol=1e-7,
    )


def test_masks_may_be_arrays(rng):
    q, k, v = map(nn.tensor, qkv(rng))
    mask = rng.random((5, 7)) < 0.5
    expected = F.scaled_dot_product_attention(q, k, v, nn.tensor(mask))
    np.testing.assert_array_equal(F.scaled_dot_product_attention(q, k, v, mask).array, expected.array)


def test_fewer_key_heads(rng):
    same_as_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        *qkv(rng, ((2, 6, 5, 8), (2, 2, 7, 8), (2, 2, 7, 8))),
        reference=lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        rtol=1e-8,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"is_causal": True, "causal_offset": 2},
        {"window": (1, 2)},
        {"softcap": 0.7},
        {"alibi": [0.5, 0.25, 0.1, 0.0]},
        {"is_causal": True, "causal_offset": 2, "window": (3, None), "softcap": 2.0, "alibi": [0.5, 0.25, 0.1, 0.0]},
    ],
    ids=str,
)
def test_options_that_torch_does_not_have(rng, options):
    options = {key: np.array(value) if key == "alibi" else value for key, value in options.items()}
    arrays = qkv(rng)
    tensors = [nn.tensor(array, requires_grad=True) for array in arrays]
    y = F.scaled_dot_product_attention(*tensors, **options)
    lse = np.empty((2, 4, 5))
    expected = reference.scaled_dot_product_attention(*arrays, **options, lse=lse)
    np.testing.assert_allclose(y.array, expected, rtol=1e-8, atol=1e-11)
    dy = rng.standard_normal(y.shape)
    y.backward(nn.tensor(dy))
    gradients = reference.scaled_dot_product_attention_backward(dy, *arrays, expected, lse, **options)
    for tensor, gradient in zip(tensors, gradients, strict=False):
        np.testing.assert_allclose(tensor.grad.array, gradient, rtol=1e-8, atol=1e-11)


def test_dropout_is_seeded_and_its_backward_drops_the_same(rng):
    q, k, v = (nn.tensor(x, requires_grad=True) for x in qkv(rng, ((1, 2, 9, 4), (1, 2, 50, 4), (1, 2, 50, 50))))
    v.array[...] = np.eye(50)  # so that the result is the weights
    results = []
    for seed in (3, 3, 4):
        nn.manual_seed(seed)
        results.append(F.scaled_dot_product_attention(q, k, v, dropout_p=0.4))
    kept = [result.array != 0 for result in results]
    assert (kept[0] == kept[1]).all() and (kept[0] != kept[2]).any()
    assert 0.5 < kept[0].mean() < 0.7
    full = F.scaled_dot_product_attention(q, k, v)
    np.testing.assert_allclose(results[0].array, full.array * kept[0] / 0.6, rtol=1e-6)
    results[0].backward(nn.tensor(np.ones(results[0].shape)))
    np.testing.assert_allclose(v.grad.array.sum(-1) / 50, results[0].array.sum(-2), rtol=1e-6)
    state = nn.generator().bit_generator.state
    F.scaled_dot_product_attention(q, k, v)
    assert nn.generator().bit_generator.state == state  # nothing is drawn if nothing is dropped


def test_gradients_of_some(rng):
    arrays = qkv(rng)
    for wanted in range(3):
        tensors = [nn.tensor(x, requires_grad=i == wanted) for i, x in enumerate(arrays)]
        F.scaled_dot_product_attention(*tensors).sum().backward()
        assert [t.grad is not None for t in tensors] == [i == wanted for i in range(3)]


def test_views_are_read_in_place(rng, monkeypatch):
    """Query, key and value as parts of one projection, and heads merged again: nothing is copied on the way."""
    seen = {}

    def spy(name):
        function = getattr(kernels, name)

        def call(*arguments, **options):
            result = function(*arguments, **options)
            seen[name] = arguments, result
            return result

        monkeypatch.setattr(kernels, name, call)

    spy("scaled_dot_product_attention")
    spy("scaled_dot_product_attention_backward")
    packed = nn.tensor(rng.standard_normal((2, 5, 3 * 12)), requires_grad=True)
    q, k, v = (part.reshape(2, 5, 3, 4).transpose(1, 2) for part in packed.split(12, -1))
    y = F.scaled_dot_product_attention(q, k, v)
    merged = y.transpose(1, 2).reshape(2, 5, 12)
    (*inputs,), out = seen["scaled_dot_product_attention"]
    for x in inputs:
        assert np.shares_memory(x, packed.array)
    assert np.shares_memory(out, merged.array)
    dy = rng.standard_normal((2, 5, 12))
    merged.backward(nn.tensor(dy))
    (dout, *_), gradients = seen["scaled_dot_product_attention_backward"]
    assert dout.swapaxes(1, 2).flags.c_contiguous
    for gradient in gradients[:3]:
        assert gradient.swapaxes(1, 2).flags.c_contiguous
    expected = np.concatenate([g.swapaxes(1, 2).reshape(2, 5, 12) for g in gradients[:3]], -1)
    np.testing.assert_array_equal(packed.grad.array, expected)


def test_changes_in_place_are_detected(rng):
    for changed in range(4):
        tensors = [nn.tensor(x, requires_grad=True) for x in [*qkv(rng), rng.standard_normal((5, 7))]]
        y = F.scaled_dot_product_attention(*tensors)
        with nn.no_grad():
            tensors[changed].mul_(2)
        with pytest.raises(RuntimeError, match="scaled_dot_product_attention saved"):
            y.sum().backward()


def test_bad_arguments(rng):
    q, k, v = qkv(rng)
    with pytest.raises(TypeError, match="scaled_dot_product_attention: key must be a Tensor, got ndarray"):
        F.scaled_dot_product_attention(nn.tensor(q), k, nn.tensor(v))
    with pytest.raises(ValueError, match="scaled_dot_product_attention: "):
        F.scaled_dot_product_attention(nn.tensor(q), nn.tensor(k[..., :5]), nn.tensor(v))
    with pytest.raises(ValueError, match=r"scaled_dot_product_attention: .*1\.5"):
        F.scaled_dot_product_attention(*map(nn.tensor, (q, k, v)), dropout_p=1.5)
    with pytest.raises(ValueError, match="another argument requires one; detach"):
        slopes = nn.tensor(np.ones(4), requires_grad=True)
        F.scaled_dot_product_attention(*map(nn.tensor, (q, k, v)), alibi=slopes)


# --- the layer --------------------------------------------------------------------------------------------------------


def pair(*sizes, dtype=np.float64, **options):
    """Our layer and PyTorch's, with the same parameters, none of which is zero."""
    theirs = torch.nn.MultiheadAttention(*sizes, **options).to(getattr(torch, np.dtype(dtype).name))
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    ours = nn.MultiheadAttention(*sizes, **options).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def leaves(*arrays):
    """Leaves of ours and of PyTorch's; only floating-point ones require gradients."""
    return (
        [nn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays],
        [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays],
    )


def sequences(rng, form, batch_first, widths, dtype=np.float64, lengths=(5, 7, 7)):
    """Query, key and value, or fewer if `widths` are."""
    shapes = [
        (T, width) if form == "unbatched" else (3, T, width) if batch_first else (T, 3, width)
        for T, width in zip(lengths, widths, strict=False)
    ]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def gradients_agree(ours, theirs, rtol=1e-8, atol=1e-11):
    for mine, other in zip(ours, theirs, strict=True):
        agree(mine.grad, other.grad, rtol, atol)


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no-weights"])
@pytest.mark.parametrize("form", ["self", "memory", "all", "unbatched"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_layer(rng, dtype, bias, batch_first, form, need_weights):
    rtol, atol = TOLERANCES[dtype]
    ours, theirs = pair(12, 3, bias=bias, batch_first=batch_first, dtype=dtype)
    count = {"self": 1, "memory": 2}.get(form, 3)
    mine, others = leaves(*sequences(rng, form, batch_first, [12] * count, dtype))
    arguments, their_arguments = ([*given, *given[-1:] * (3 - count)] for given in (mine, others))
    same_layers(ours, theirs, [*arguments, None, need_weights], [*their_arguments, None, need_weights], rtol, atol)
    gradients_agree(mine, others, rtol, atol)


OPTIONS = [
    {"kdim": 10},
    {"vdim": 6, "bias": False},
    {"kdim": 10, "vdim": 6, "add_bias_kv": True},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
]


def masks(rng, kinds, N, L, S, heads, form):
    """A padding mask and an attention mask of the kinds "b" (bool), "f" (numbers), "3" (bool for every head)."""
    made = []
    for kind, shape in zip(kinds, [(N, S), (L, S)], strict=True):
        shape = (N * heads, L, S) if kind in "3F" else shape[1:] if form == "unbatched" and shape == (N, S) else shape
        mask = rng.random(shape) < 0.3
        mask[..., 1] = False
        made.append({"-": None, "b": mask, "3": mask}.get(kind, rng.standard_normal(shape)))
    return made


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no-weights"])
@pytest.mark.parametrize("kinds", ["--", "b-", "-b", "bb", "-3", "b3", "-f", "f-", "ff", "-F", "fF"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options))
def test_masks_of_the_layer(rng, options, kinds, need_weights):
    ours, theirs = pair(12, 3, **options)
    first = options.get("batch_first", False)
    widths = [12, options.get("kdim", 12), options.get("vdim", 12)]
    given = masks(rng, kinds, 3, 5, 7, 3, "batch")
    here = [i for i, mask in enumerate(given) if mask is not None]
    mine, others = leaves(*sequences(rng, "batch", first, widths), *(given[i] for i in here))
    calls = []
    for tensors in (mine, others):
        both = [None, None]
        for i, tensor in zip(here, tensors[3:], strict=True):
            both[i] = tensor
        calls.append([*tensors[:3], both[0], need_weights, both[1], False])
    same_layers(ours, theirs, *calls, rtol=1e-7, atol=1e-10)
    gradients_agree(mine, others, 1e-7, 1e-10)


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no-weights"])
@pytest.mark.parametrize("kinds", ["b-", "b3", "bb"])
def test_masks_of_unbatched_sequences(rng, kinds, need_weights):
    ours, theirs = pair(12, 3, batch_first=True)
    mine, others = leaves(*sequences(rng, "unbatched", True, [12, 12, 12]))
    padding, mask = masks(rng, kinds, 1, 5, 7, 3, "unbatched")
    calls = [
        [*tensors, make(padding), need_weights, None if mask is None else make(mask)]
        for tensors, make in ((mine, nn.tensor), (others, torch.tensor))
    ]
    same_layers(ours, theirs, *calls)
    gradients_agree(mine, others)


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no-weights"])
@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True}], ids=str)
@pytest.mark.parametrize("padded", [True, False])
def test_is_causal_with_the_causal_mask(rng, padded, options, need_weights):
    """With and without `is_causal` the result is the same."""
    layer = nn.MultiheadAttention(12, 3, batch_first=True, **options).double()
    x = nn.tensor(rng.standard_normal((3, 6, 12)))
    mask = nn.Transformer.generate_square_subsequent_mask(6, np.float64)
    padding = np.arange(6) >= np.array([6, 4, 5])[:, None] if padded else None
    expected, _ = layer(x, x, x, padding, need_weights, mask)
    y, _ = layer(x, x, x, padding, need_weights, mask, is_causal=True)
    np.testing.assert_allclose(y.array, expected.array, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no-weights"])
def test_queries_without_keys(rng, need_weights):
    layer = nn.MultiheadAttention(12, 3, batch_first=True).double()
    layer.out_proj.bias.array[...] = np.arange(12)
    x = nn.tensor(rng.standard_normal((2, 4, 12)), requires_grad=True)
    padding = np.array([[True] * 4, [False] * 4])
    y, weights = layer(x, x, x, padding, need_weights)
    np.testing.assert_array_equal(y.array[0], np.tile(np.arange(12.0), (4, 1)))
    if need_weights:
        assert not weights.array[0].any()
    y.sum().backward()
    assert not x.grad.array[0].any()
    assert np.isfinite(x.grad.array).all() and x.grad.array[1].any()


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no-weights"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("additive", [False, True])
def test_padding_may_be_nan(rng, additive, batch_first, need_weights):
    """Neither the result nor a gradient knows what stands where keys are ignored."""
    layer = nn.MultiheadAttention(12, 3, batch_first=batch_first).double()
    ignored = np.arange(6) >= np.array([6, 4, 5])[:, None]
    mask = np.where(ignored, -np.inf, 0.5) if additive else ignored
    x, clean = rng.standard_normal((3, 6, 12)), rng.standard_normal((3, 6, 12))
    results = []
    for filled in (0.0, np.nan, np.inf):
        padded = np.where(ignored[..., None], filled, clean)
        query, key = (nn.tensor(a if batch_first else a.swapaxes(0, 1), requires_grad=True) for a in (x, padded))
        layer.zero_grad()
        y, weights = layer(query, key, key, mask, need_weights)
        y.sum().backward()
        results.append([y.array, query.grad.array, key.grad.array, layer.in_proj_weight.grad.array])
        if need_weights:
            assert not weights.array[np.broadcast_to(ignored[:, None], weights.shape)].any()
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", ["bool", "additive", "of each head"])
def test_keys_hidden_by_attn_mask_may_be_nan(rng, kind, batch_first, dropout):
    """A key does not affect queries to which it is not visible; one that is visible to none affects nothing."""
    layer = nn.MultiheadAttention(12, 3, dropout, batch_first=batch_first).double()
    hidden = np.triu(np.ones((5, 7), bool), 2)  # keys up to i + 1 are visible to query i, the last to none
    mask = np.where(hidden, -np.inf, 0.3) if kind == "additive" else hidden
    mask = np.tile(mask, (6, 1, 1)) if kind == "of each head" else mask
    x, clean = rng.standard_normal((2, 5, 12)), rng.standard_normal((2, 7, 12))
    results = []
    for need_weights in (True, False):
        for value, first in itertools.product((0.0, np.nan, np.inf), (6, 4)):  # from which key on
            filled = clean.copy()
            filled[:, first:] = value
            query, key = (nn.tensor(a if batch_first else a.swapaxes(0, 1), requires_grad=True) for a in (x, filled))
            layer.zero_grad()
            nn.manual_seed(3)
            y, weights = layer(query, key, key, need_weights=need_weights, attn_mask=mask)
            y = y if batch_first else y.transpose(0, 1)
            unaffected = first - 1  # queries
            assert np.isfinite(y.array[:, :unaffected]).all()
            assert np.isfinite(value) or unaffected == 5 or np.isnan(y.array[:, unaffected:]).all()
            if first == 6:
                y.sum().backward()
            results.append([first, need_weights, y.array[:, :unaffected], weights, query.grad, key.grad])
            results[-1].append(layer.in_proj_weight.grad)
    for first, need_weights in itertools.product((6, 4), (True, False)):
        zero, *others = [r[2:] for r in results if r[:2] == [first, need_weights]]
        for other in others:
            np.testing.assert_allclose(other[0], zero[0], rtol=1e-12, atol=1e-14)
            if need_weights:
                np.testing.assert_allclose(
                    other[1].array[:, : first - 1], zero[1].array[:, : first - 1], rtol=1e-12, atol=1e-14
                )
            for one, two in zip(other[2:], zero[2:], strict=True):
                if first == 6:
                    np.testing.assert_allclose(one.array, two.array, rtol=1e-12, atol=1e-14)


def test_the_gradient_of_a_query_ignores_nan_in_keys_that_are_not_visible(rng):
    q, k, v = (rng.standard_normal((1, 1, 4, 4)) for _ in range(3))
    k[..., 3, :] = v[..., 3, :] = np.nan
    hidden = np.triu(np.ones((4, 4), bool), 1)
    tensors = [nn.tensor(a, requires_grad=True) for a in (q, k, v)]
    y, _ = attention_with_weights(*tensors, nn.tensor(~hidden), 0.0, False)
    y[..., :3, :].sum().backward()
    expected = [torch.tensor(a[..., :3, :], requires_grad=True) for a in (q, k, v)]
    torch.nn.functional.scaled_dot_product_attention(*expected, is_causal=True).sum().backward()
    np.testing.assert_allclose(tensors[0].grad.array[..., :3, :], expected[0].grad.numpy(), rtol=1e-10, atol=1e-13)


def test_dropout_in_training_only(rng):
    layer = nn.MultiheadAttention(12, 3, dropout=0.5)
    x = nn.tensor(rng.standard_normal((20, 3, 12)).astype(np.float32))
    _, weights = layer(x, x, x, average_attn_weights=False)
    assert 0.4 < (weights.array == 0).mean() < 0.6
    dropped = [layer(x, x, x, need_weights=False)[0].array for _ in range(2)]
    assert (dropped[0] != dropped[1]).any()
    layer.eval()
    y, weights = layer(x, x, x)
    assert weights.array.all()
    np.testing.assert_allclose(layer(x, x, x, need_weights=False)[0].array, y.array, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"bias": False}, *OPTIONS], ids=str)
def test_names_and_initial_values(options):
    nn.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = nn.MultiheadAttention(64, 4, **options), torch.nn.MultiheadAttention(64, 4, **options)
    mine, others = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(others)
    for name, value in mine.items():
        assert value.shape == tuple(others[name].shape)
        np.testing.assert_allclose(value.array.std(), others[name].numpy().std(), rtol=0.25, err_msg=name)
        np.testing.assert_allclose(np.abs(value.array).max(), others[name].abs().max(), rtol=0.5, err_msg=name)
    theirs.load_state_dict(mine)


X = nn.zeros(5, 2, 12)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X[0, 0], X, X), {}, "query, key and value must all have 2 or all 3 dimensions, got (12,), (5, 2, 12)"),
        ((X, X[0], X[0]), {}, "query, key and value must all have 2 or all 3 dimensions"),
        ((X[..., :4], X, X), {}, "query must have width 12, got shape (5, 2, 4)"),
        ((X, X, X[..., :4]), {}, "value must have width 12, got shape (5, 2, 4)"),
        ((X, X, X[:4]), {}, "key and value must have the same sequences, got (5, 2, 12), (5, 2, 12) and (4, 2, 12)"),
        ((X, X[:, :1], X[:, :1]), {}, "query and key must have the same batch"),
        ((X, X, X), {"key_padding_mask": np.ones((5, 2), bool)}, "key_padding_mask must be (2, 5), got (5, 2)"),
        ((X, X, X), {"attn_mask": np.ones((4, 5), bool)}, "attn_mask must be (5, 5) or (6, 5, 5), got (4, 5)"),
        ((X, X, X), {"attn_mask": np.ones((2, 5, 5), bool)}, "attn_mask must be (5, 5) or (6, 5, 5), got (2, 5, 5)"),
        ((X, X, X), {"is_causal": True}, "is_causal needs attn_mask, which is not given"),
    ],
    ids=range(10),
)
def test_errors(arguments, options, message):
    with pytest.raises(ValueError, match="MultiheadAttention: " + re.escape(message)):
        nn.MultiheadAttention(12, 3)(*arguments, **options)


def test_errors_of_construction_and_dtypes():
    with pytest.raises(ValueError, match="MultiheadAttention: 5 heads do not divide embed_dim 12"):
        nn.MultiheadAttention(12, 5)
    with pytest.raises(ValueError, match="embed_dim and num_heads must be at least 1, got 12 and 0"):
        nn.MultiheadAttention(12, 0)
    layer = nn.MultiheadAttention(12, 3)
    with pytest.raises(TypeError, match="attn_mask must be bool or floating point, got int64"):
        layer(X, X, X, attn_mask=np.ones((5, 5), np.int64))
    for need_weights in (True, False):
        with pytest.raises(TypeError, match="float64"):
            layer(X, X, X, attn_mask=np.zeros((5, 5)), need_weights=need_weights)
