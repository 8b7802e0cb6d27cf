"""Tests of kernels.attention."""

import itertools
import math
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
import kernels.attention
from kernels.attention import rotary
from kernels.gemm.functions import sum_to
from kernels.reference import attention as reference
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded, read_only

NAME = "scaled_dot_product_attention"
TORCH_TAKES = {"scale", "is_causal", "enable_gqa"}


# --- attention in the form that `check` takes -------------------------------------------------------------------------
# Arguments are query, key, value, attn_mask and alibi; the result is out and lse, so that both are judged. The backward
# runs the forward again, since it takes what that has made.


def flat(module):
    """The forward and backward of `kernels` or of the reference."""

    def forward(q, k, v, mask=None, alibi=None, **options):
        lse = guarded(np.full(q.shape[:-1], np.nan, q.dtype))
        out = module.scaled_dot_product_attention(q, k, v, mask, alibi=alibi, lse=lse, **options)
        return out, lse

    def backward(dout, q, k, v, mask=None, alibi=None, **options):
        lse = guarded(np.full((2, *q.shape[:-1]), np.nan, q.dtype))
        out = module.scaled_dot_product_attention(q, k, v, mask, alibi=alibi, lse=lse, **options)
        needs = (True, True, True, mask is not None and mask.dtype != bool)
        gradients = module.scaled_dot_product_attention_backward(
            dout, q, k, v, guarded(out), lse, mask, alibi=alibi, needs=needs, **options
        )
        assert gradients[3] is not None or not needs[3]
        return gradients if needs[3] else gradients[:3]

    return SimpleNamespace(**{NAME: forward, f"{NAME}_backward": backward})


def peer(q, k, v, mask=None, alibi=None, **options):
    """PyTorch's function where it takes the options, and the definition on its tensors for the rest and for lse."""
    out, lse = definition(q, k, v, mask, alibi, **options)
    unfit = mask is not None and (mask.ndim < 2 or options.get("is_causal"))
    if alibi is None and options.keys() <= TORCH_TAKES and not unfit:
        out = F.scaled_dot_product_attention(q, k, v, mask, **options)
    return out, lse


def definition(
    q, k, v, mask, alibi, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, causal_offset=0, window=None,
    softcap=0.0, seed=0,
):  # fmt: skip
    if q.ndim > 2 and k.shape[-3]:
        k, v = (x.repeat_interleave(q.shape[-3] // k.shape[-3], dim=-3) for x in (k, v))
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    L, S = scores.shape[-2:]
    distance = torch.arange(L)[:, None] + causal_offset - torch.arange(S)
    if alibi is not None:
        scores = scores - alibi[:, None, None] * distance.abs()
    seen = torch.ones_like(scores, dtype=torch.bool)
    if is_causal:
        seen &= distance >= 0
    left, right = window or (None, None)
    if left is not None:
        seen &= distance <= left
    if right is not None:
        seen &= -distance <= right
    if mask is not None and mask.dtype == torch.bool:
        seen &= mask
    elif mask is not None:
        seen &= mask != -torch.inf
        scores = scores + torch.where(mask == -torch.inf, 0, mask)
    empty = ~seen.any(dim=-1, keepdim=True)
    lse = torch.logsumexp(scores.detach().masked_fill(~seen, -torch.inf), dim=-1)
    weights = torch.softmax(scores.masked_fill(~seen & ~empty, -torch.inf), dim=-1).masked_fill(empty, 0)
    if dropout_p:
        weights = weights * torch.from_numpy(reference.kept(tuple(scores.shape), dropout_p, seed)) / (1 - dropout_p)
    return weights @ v, lse


def scale(operation, arguments, dout, options):
    """The size of one term of each sum: of products of normal numbers, the product of their root mean squares. Weights
    lose in proportion to the size of the scores."""
    q, k, v, mask, alibi = (*arguments, None, None)[:5]
    size = lambda x: math.sqrt(np.mean(np.square(x), where=np.isfinite(x))) if x.size else 1.0  # noqa: E731
    factor = q.shape[-1] ** -0.5 if options.get("scale") is None else abs(options["scale"])
    (out, lse), gradients = (
        operation.reference.scaled_dot_product_attention(*arguments, **options),
        operation.reference.scaled_dot_product_attention_backward(dout, *arguments, **options),
    )
    score = factor * size(q) * size(k) * q.shape[-1] ** 0.5
    dscore = size(dout) * size(v) * v.shape[-1] ** 0.5 / (1 - options.get("dropout_p", 0.0))
    L, S = q.shape[-2], max(1, k.shape[-2])
    crowd = max(1.0, math.sqrt(q[..., 0, 0].size / max(1, k[..., 0, 0].size) * L) / S)  # queries that share a key
    copies = 1 if mask is None or not mask.size else out.size / v.shape[-1] * S / mask.size
    terms = (
        factor * dscore * size(k), factor * dscore * size(q) * crowd, size(dout) * crowd, dscore * max(1.0, copies / S)
    )  # fmt: skip
    largest = [np.abs(x).max(initial=0, where=np.isfinite(x)) for x in (out, lse, *gradients)]
    lost = max(1.0, score)
    return [
        (lost * largest[0], max(score, largest[1])),
        *(lost * max(each) for each in zip(largest[2:], terms, strict=False)),
    ]


@dataclass(frozen=True)
class Attention(Operation):
    @property
    def kernels(self):
        return flat(kernels)

    @property
    def reference(self):
        return flat(reference)


def attention(*differentiable):
    return Attention(
        "attention", NAME, peer, saved=lambda arguments, _: arguments, differentiable=differentiable, scale=scale
    )


ATTENTION, WITH_MASK = attention(0, 1, 2), attention(0, 1, 2, 3)


def inputs(rng, dtype=np.float32, N=2, Hq=2, H=None, L=5, S=None, E=8, Ev=None):
    H, S, Ev = H or Hq, L if S is None else S, Ev or E
    return [rng.standard_normal(shape).astype(dtype) for shape in ((N, Hq, L, E), (N, H, S, E), (N, H, S, Ev))]


def check_attention(q, k, v, mask=None, alibi=None, **options):
    if q.ndim > 2 and q.shape[-3] != k.shape[-3]:
        options["enable_gqa"] = True
    L, S, E, Ev = *q.shape[-2:-1], *k.shape[-2:], v.shape[-1]
    operation = WITH_MASK if mask is not None and mask.dtype != bool else ATTENTION
    lengths = [max(E, S), max(Ev, S), max(Ev, L), L, Ev]
    return check(operation, q, k, v, mask, alibi, lengths=lengths[: 1 + len(operation.differentiable)], **options)


def a_mask(rng, shape, kind, dtype=np.float32, share=0.3):
    """A mask that forbids `share` of the scores, and some rows altogether."""
    forbidden = np.asarray(rng.random(shape) < share)
    if len(shape) > 1 and shape[-2] > 2:
        forbidden[..., 1, :] = True
    if kind == "bool":
        return np.asarray(~forbidden)
    return np.where(forbidden, -np.inf, rng.standard_normal(shape)).astype(dtype)


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("T", [1, 2, 13, 14, 15, 31, 32, 33, 63, 64, 65, 129, 191, 192, 193, 257])
def test_lengths(rng, dtype, T, is_causal):
    check_attention(*inputs(rng, dtype, 1, 2, L=T, E=16), is_causal=is_causal)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("L", "S"), [(1023, 1023), (2049, 2049), (2049, 1), (15, 2049)])
def test_long(rng, L, S, is_causal):
    check_attention(*inputs(rng, N=1, Hq=1, L=L, S=S, E=8), is_causal=is_causal)


@pytest.mark.parametrize("width", [1, 8, 15, 31, 32, 33, 64, 80, 128, 256])
def test_widths(rng, dtype, width):
    check_attention(*inputs(rng, dtype, 1, 2, L=15, S=33, E=width))
    check_attention(*inputs(rng, dtype, 1, 1, L=33, S=15, E=width, Ev=width % 32 + 3), is_causal=True)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 3, 2), (2, 0, 2), (0, 2)], ids=str)
def test_leading_axes(rng, dtype, lead):
    shapes = ((*lead, 6, 8), (*lead, 7, 8), (*lead, 7, 5))
    check_attention(*(rng.standard_normal(shape).astype(dtype) for shape in shapes), is_causal=True)


@pytest.mark.parametrize(("L", "S"), [(0, 5), (5, 0), (0, 0)])
def test_empty(rng, dtype, L, S):
    q, k, v = inputs(rng, dtype, L=L, S=S)
    out, lse = flat(kernels).scaled_dot_product_attention(q, k, v)
    assert out.shape == (2, 2, L, 8) and not out.any() and (lse == -np.inf).all()
    gradients = flat(kernels).scaled_dot_product_attention_backward(np.ones_like(out), q, k, v, np.ones((L, S), dtype))
    for gradient, x in zip(gradients, (q, k, v, np.ones((L, S))), strict=True):
        assert gradient.shape == x.shape and gradient.dtype == dtype and not gradient.any()


@pytest.mark.parametrize(("Hq", "H"), [(4, 2), (6, 2), (4, 1), (32, 8)], ids=str)
@pytest.mark.parametrize("L", [1, 5, 33])
def test_shared_key_heads(rng, dtype, Hq, H, L):
    check_attention(*inputs(rng, dtype, 2, Hq, H, L=L, S=37, E=8, Ev=5), is_causal=True, causal_offset=37 - L)


@pytest.mark.parametrize("S", [1, 2, 15, 16, 17, 33, 64, 191, 192, 193, 511, 2048, 2049])
@pytest.mark.parametrize(("Hq", "H"), [(2, 2), (4, 1), (8, 2)], ids=str)
def test_decoding(rng, S, Hq, H):
    """One query against a cache that has room for more keys than it holds."""
    q, *caches = inputs(rng, N=1, Hq=Hq, H=H, L=1, S=S + 3, E=64)
    k, v = (cache[:, :, :S] for cache in caches)
    check_attention(q, k, v)
    out = kernels.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, causal_offset=S - 1)
    np.testing.assert_array_equal(out, kernels.scaled_dot_product_attention(q, k, v, enable_gqa=True))


@pytest.mark.parametrize(
    "options", [{}, {"window": (40, None), "softcap": 2.0}, {"dropout_p": 0.4, "seed": 3}], ids=str
)
def test_decoding_with_everything(rng, dtype, options):
    q, k, v = inputs(rng, dtype, 2, 4, 2, L=1, S=100, E=33, Ev=17)
    alibi = kernels.alibi_slopes(4, dtype)
    for kind in ("bool", "additive"):
        check_attention(q, k, v, a_mask(rng, (2, 1, 1, 100), kind, dtype), alibi, causal_offset=90, **options)


@pytest.mark.parametrize("rows", [(1, 1), (1, 3), (2, 1), (2, 2), (4, 1), (5, 1), (1, 6)], ids=str)
@pytest.mark.parametrize("width", [1, 3, 8, 9, 15, 16, 17, 31, 32, 33, 40, 47, 48, 49, 64, 80, 100])
def test_few_queries(rng, dtype, rows, width):
    """Some queries of some heads that share a key head: keys and values are read where they lie, up to their ends."""
    L, group = rows
    q, k, v = inputs(rng, dtype, 1, 2 * group, 2, L=L, S=19, E=width, Ev=100 - width or 1)
    check_attention(q, k, v, is_causal=True, causal_offset=18 - L)


def test_last_rows_of_many(rng):
    """So many that the last item of work has no more rows than a decoding step, which are not the first ones."""
    q, k, v = inputs(rng, N=1, Hq=1, L=49_284, S=8, E=4)
    for options in ({"is_causal": True, "causal_offset": 3 - 49_284}, {"dropout_p": 0.5}):
        out = kernels.scaled_dot_product_attention(q, k, v, **options)
        expected = reference.scaled_dot_product_attention(*(x.astype(np.float64) for x in (q, k, v)), **options)
        assert_close(out, expected, length=8)


# --- which keys a query sees ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bool", "additive"])
@pytest.mark.parametrize(
    "shape", [*itertools.product((1, 2), (1, 4), (1, 15), (1, 33)), (15, 33), (4, 1, 1), (33,), ()]
)
def test_masks(rng, shape, kind):
    q, k, v = inputs(rng, N=2, Hq=4, H=2, L=15, S=33, E=8)
    check_attention(q, k, v, a_mask(rng, shape, kind, share=0.3 if shape else 0.0))


@pytest.mark.parametrize("kind", ["bool", "additive"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_masks(rng, dtype, layout, kind):
    q, k, v = inputs(rng, dtype, N=2, Hq=2, L=15, S=33)
    check_attention(q, k, v, LAYOUTS[layout](a_mask(rng, (2, 2, 15, 33), kind, dtype)), is_causal=True)


@pytest.mark.parametrize("kind", ["bool", "additive"])
def test_nothing_seen(rng, dtype, kind):
    q, k, v = inputs(rng, dtype, L=15, S=33)
    mask = np.zeros((15, 33), bool) if kind == "bool" else np.full((15, 33), -np.inf, dtype)
    out, lse = flat(kernels).scaled_dot_product_attention(q, k, v, mask)
    assert not out.any() and (lse == -np.inf).all()
    for gradient in flat(kernels).scaled_dot_product_attention_backward(np.ones_like(out), q, k, v, mask):
        assert not gradient.any()
    check_attention(q, k, v, mask)


@pytest.mark.parametrize("offset", [-40, -5, -1, 0, 1, 10, 32, 40])
@pytest.mark.parametrize("L", [1, 15, 40])
def test_causal_offset(rng, offset, L):
    check_attention(*inputs(rng, L=L, S=33), is_causal=True, causal_offset=offset)


@pytest.mark.parametrize("window", [*itertools.product((None, 0, 3, 100), repeat=2)], ids=str)
@pytest.mark.parametrize("is_causal", [False, True])
def test_window(rng, window, is_causal):
    q, k, v = inputs(rng, N=1, L=40, S=70)
    for offset in (0, 25):
        check_attention(q, k, v, window=window, is_causal=is_causal, causal_offset=offset)


def test_window_without_end(rng):
    """Larger than any number that the loops count with."""
    q, k, v = inputs(rng, L=15, S=33)
    for reach in (2**31, sys.maxsize, 10**30):
        out = kernels.scaled_dot_product_attention(q, k, v, window=(reach, reach), causal_offset=9)
        np.testing.assert_array_equal(out, kernels.scaled_dot_product_attention(q, k, v))


def test_long_window(rng):
    """Blocks of keys outside the window are left out: what stands there is never touched."""
    q, k, v = inputs(rng, N=1, Hq=1, L=600, S=1000)
    k[..., :150, :] = v[..., :150, :] = np.nan
    out, lse = flat(kernels).scaled_dot_product_attention(q, k, v, window=(50, 20), causal_offset=200)
    assert np.isfinite(out).all() and np.isfinite(lse).all()
    check_attention(q, np.nan_to_num(k), np.nan_to_num(v), window=(50, 20), causal_offset=200)


@pytest.mark.parametrize(
    "options", [{"scale": 0.0}, {"scale": -0.7}, {"scale": 3.0}, {"softcap": 0.5}, {"softcap": 30.0}]
)
def test_scores(rng, dtype, options):
    q, k, v = inputs(rng, dtype, L=15, S=40)
    check_attention(q, k, v, is_causal=True, causal_offset=25, **options)
    check_attention(q, k, v, a_mask(rng, (15, 40), "additive", dtype), **options)


@pytest.mark.parametrize(("Hq", "H"), [(3, 3), (8, 2)])
def test_alibi(rng, dtype, Hq, H):
    q, k, v = inputs(rng, dtype, 2, Hq, H, L=15, S=40)
    for options in ({}, {"is_causal": True, "causal_offset": 25}, {"softcap": 2.0}):
        check_attention(q, k, v, None, kernels.alibi_slopes(Hq, dtype), **options)


def test_large_scores(rng):
    """Exponentials of scores in the thousands neither overflow nor vanish, however the largest wanders."""
    q, k, v = inputs(rng, N=1, L=40, S=500)
    for ramp in (np.linspace(0, 100, 500), np.linspace(100, 0, 500)):
        k[..., 0] = q[..., 0] = 1
        k[..., 1], q[..., 1] = ramp, 30
        (out, lse), (expected, expected_lse) = (
            flat(module).scaled_dot_product_attention(*(x.astype(dtype) for x in (q, k, v)), scale=1.0)
            for module, dtype in ((kernels, np.float32), (reference, np.float64))
        )
        assert_close(lse, expected_lse, length=8)
        assert np.abs(out - expected).max() < 3000 * np.finfo(np.float32).eps * 8 * np.abs(v).max()


@st.composite
def problems(draw):
    H, group, L, S, E, Ev = (draw(st.integers(1, n)) for n in (2, 3, 40, 40, 12, 12))
    batch = draw(st.sampled_from([(), (2,), (1, 2)]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shapes = (*batch, H * group, L, E), (*batch, H, S, E), (*batch, H, S, Ev)
    arrays = [LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](rng.standard_normal(s).astype(dtype)) for s in shapes]
    full = (*batch, H * group, L, S)
    shape = tuple(draw(st.sampled_from([1, n])) for n in full)[draw(st.integers(0, len(full))) :]
    kind = draw(st.sampled_from([None, "bool", "additive"]))
    mask = None if kind is None else a_mask(rng, shape, kind, dtype, draw(st.sampled_from([0.0, 0.5, 0.95])))
    distances = st.none() | st.integers(0, 40)
    return {
        "arrays": [*arrays, mask, draw(st.sampled_from([None, rng.random(H * group).astype(dtype)]))],
        "is_causal": draw(st.booleans()),
        "causal_offset": draw(st.integers(-10, 40)),
        "window": draw(st.none() | st.tuples(distances, distances)),
        "softcap": draw(st.sampled_from([0.0, 1.5])),
        "dropout_p": draw(st.sampled_from([0.0, 0.5])),
        "scale": draw(st.sampled_from([None, 0.7])),
    }


@hypothesis.given(problem=problems())
def test_anything_together(problem):
    check_attention(*problem.pop("arrays"), **problem)


# --- dropout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout_p", [0.1, 0.5, 0.99])
def test_dropout(rng, dtype, dropout_p):
    q, k, v = inputs(rng, dtype, 2, 4, 2, L=15, S=200)
    check_attention(q, k, v, dropout_p=dropout_p, seed=7)
    check_attention(q, k, v, a_mask(rng, (15, 200), "bool"), is_causal=True, causal_offset=180, dropout_p=dropout_p)


@pytest.mark.parametrize("seed", [0, 1, 2**63, -1])
def test_kept_weights(rng, seed):
    """With the rows of a unit matrix as values, the result is the weights: those kept are the reference's."""
    q, k, _ = inputs(rng, N=3, Hq=4, H=2, L=50, S=300, E=4)
    v = np.broadcast_to(np.eye(300, dtype=np.float32), (3, 2, 300, 300))
    out = kernels.scaled_dot_product_attention(q, k, v, dropout_p=0.3, enable_gqa=True, seed=seed)
    kept = reference.kept((3, 4, 50, 300), 0.3, seed)
    np.testing.assert_array_equal(out != 0, kept)
    assert abs(kept.mean() - 0.7) < 4 * math.sqrt(0.3 * 0.7 / kept.size)
    for axis in range(4):  # no row, column or head is favoured
        means = kept.mean(axis=tuple(i for i in range(4) if i != axis))
        assert np.abs(means - 0.7).max() < 5 * math.sqrt(0.3 * 0.7 / (kept.size / kept.shape[axis]))
    assert (kept != reference.kept((3, 4, 50, 300), 0.3, seed + 1)).mean() > 0.3


def test_without_dropout_seed_is_nothing(rng):
    q, k, v = inputs(rng)
    np.testing.assert_array_equal(
        kernels.scaled_dot_product_attention(q, k, v, seed=1), kernels.scaled_dot_product_attention(q, k, v)
    )


# --- numbers that are not finite --------------------------------------------------------------------------------------


def assert_same_places(q, k, v, mask=None, **options):
    """Results and gradients are NaN and infinite where the reference's are, and close to it elsewhere."""
    __tracebackhide__ = True
    dout = np.random.default_rng(0).standard_normal((*q.shape[:-1], v.shape[-1])).astype(q.dtype)
    results = []
    for module, dtype in ((kernels, q.dtype), (reference, np.float64)):
        arrays = [x.astype(dtype) for x in (dout, q, k, v)]
        given = mask if mask is None or mask.dtype == bool else mask.astype(dtype)
        results.append(
            (*flat(module).scaled_dot_product_attention(*arrays[1:], given, **options),
             *flat(module).scaled_dot_product_attention_backward(*arrays, given, **options))
        )  # fmt: skip
    for name, actual, expected in zip(("out", "lse", "dq", "dk", "dv", "dmask"), *results, strict=False):
        np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected), err_msg=name)
        finite = np.isfinite(expected)
        if finite.any():
            assert_close(actual[finite], expected[finite], length=64, label=name)
    return results[0]


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("which", ["key", "value"])
@pytest.mark.parametrize("softcap", [0.0, 2.0])
def test_unseen_keys_and_values_do_not_matter(rng, dtype, which, special, softcap):
    """Whatever hides them: causality, a window, a boolean mask or -inf."""
    q, k, v = inputs(rng, dtype, 2, 4, 2, L=40, S=70, E=8)
    hidden = np.zeros((40, 70), bool)
    hidden[:, 50] = True
    ways = (
        {"is_causal": True, "causal_offset": 10},
        {"window": (3, 9)},
        {"mask": ~hidden},
        {"mask": np.where(hidden, -np.inf, 0).astype(dtype)},
    )
    for way in ways:
        wild = {"key": k.copy(), "value": v.copy()}
        wild[which][..., 50, :] = special
        out, *_ = assert_same_places(q, k, v, enable_gqa=True, softcap=softcap, **way)
        calm = {"key": k.copy(), "value": v.copy()}
        calm[which][..., 50, :] = 0
        everything = [
            [*flat(kernels).scaled_dot_product_attention(q, *kv.values(), enable_gqa=True, softcap=softcap, **way),
             *flat(kernels).scaled_dot_product_attention_backward(
                 np.ones_like(out), q, *kv.values(), enable_gqa=True, softcap=softcap, **way)]
            for kv in (calm, wild)
        ]  # fmt: skip
        for one, other in zip(*everything, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("which", ["query", "key", "value"])
@pytest.mark.parametrize("L", [1, 40])
def test_nan_spreads_where_it_is_seen(rng, dtype, which, L):
    q, k, v = inputs(rng, dtype, 2, 2, L=L, S=70, E=8)
    place = min(15, L - 1) if which == "query" else 20
    {"query": q, "key": k, "value": v}[which][0, 1, place, 3] = np.nan
    out, lse, *gradients = assert_same_places(q, k, v, is_causal=True, causal_offset=70 - L)
    wrong = np.isnan(out)
    assert wrong.any() and np.isfinite(out[1]).all() and np.isfinite(out[0, 0]).all()
    assert wrong[..., 3].sum() == wrong.any(axis=-1).sum()
    assert (wrong.sum() == wrong[..., 3].sum()) == (which == "value")
    assert_same_places(q, k, v, a_mask(rng, (L, 70), "bool"))
    assert_same_places(q, k, v, a_mask(rng, (L, 70), "additive", dtype))


def test_nan_in_a_mask(rng, dtype):
    q, k, v = inputs(rng, dtype, L=15, S=33)
    mask = a_mask(rng, (15, 33), "additive", dtype)
    mask[4, 5] = np.nan
    out, *_ = assert_same_places(q, k, v, mask)
    assert np.isnan(out[..., 4, :]).all() and np.isfinite(np.delete(out, 4, axis=2)).all()


def test_infinite_value_where_it_is_seen(rng, dtype):
    q, k, v = inputs(rng, dtype, L=15, S=33)
    v[..., 4, 3] = np.inf
    out = kernels.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert (out[..., 4:, 3] == np.inf).all() and np.isfinite(out[..., :4, :]).all()
    assert np.isfinite(np.delete(out, 3, axis=-1)).all()


def test_nan_in_the_gradient(rng, dtype):
    """Reaches the keys and values that its query sees, and its query."""
    q, k, v = inputs(rng, dtype, L=40, S=40)
    out, lse = flat(kernels).scaled_dot_product_attention(q, k, v, is_causal=True)
    dout = np.ones_like(out)
    dout[0, 0, 30] = np.nan
    arrays = dout, q, k, v, out, lse
    dq, dk, dv, _ = kernels.scaled_dot_product_attention_backward(*arrays, is_causal=True)
    assert np.isnan(dq[0, 0, 30]).all() and np.isnan(dq).sum() == 8
    for gradient in (dk, dv):
        assert np.isnan(gradient[0, 0, :31]).all() and np.isnan(gradient).sum() == 31 * 8


# --- broadcasting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leading", "grouped"),
    [
        (((2, 3), (1, 3), (1, 3)), False),
        (((2, 3), (3,), (3,)), False),
        (((3,), (2, 3), (2, 3)), False),
        (((2, 3), (2, 1), (2, 1)), False),
        (((1, 3), (2, 3), (1, 1)), False),
        (((), (2, 3), (3,)), False),
        (((2, 1, 3), (4, 1), (2, 1, 1)), False),
        (((2, 6), (1, 3), (1, 3)), True),
        (((6,), (2, 3), (1, 3)), True),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_causal", [False, True])
def test_leading_axes_broadcast(rng, dtype, leading, grouped, is_causal):
    """As with operands that are repeated first; the gradients are summed over what was repeated."""
    q, k, v = (
        rng.standard_normal((*axes, *own)).astype(dtype)
        for axes, own in zip(leading, ((4, 8), (5, 8), (5, 6)), strict=True)
    )
    own = 3 if grouped else 2
    common = np.broadcast_shapes(*(x.shape[:-own] for x in (q, k, v)))
    repeated = [np.ascontiguousarray(np.broadcast_to(x, (*common, *x.shape[-own:]))) for x in (q, k, v)]
    options = {"is_causal": is_causal, "enable_gqa": grouped}
    results, gradients = [], []
    for operands in ((q, k, v), repeated):
        lse = np.empty(repeated[0].shape[:-1], dtype)
        out = kernels.scaled_dot_product_attention(*operands, lse=lse, **options)
        dout = np.random.default_rng(1).standard_normal(out.shape).astype(dtype)
        results.append([out, lse])
        gradients.append(kernels.scaled_dot_product_attention_backward(dout, *operands, out, lse, **options)[:3])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    for found, whole, x in zip(*gradients, (q, k, v), strict=True):
        assert found.shape == x.shape
        expected = sum_to(whole.astype(np.float64), x.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype == np.float64 else 1e-5)


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [*itertools.product(LAYOUTS, repeat=3)], ids="-".join)
def test_layouts(rng, layout):
    arrays = inputs(rng, L=15, S=33, E=8, Ev=5)
    check_attention(
        *(LAYOUTS[each](x) for each, x in zip(layout, arrays, strict=True)), is_causal=True, causal_offset=9
    )


def test_views_of_merged_heads(rng, dtype):
    """Of operands that are views of (N, L, heads, width), results and gradients are such views: to merge heads, nothing
    is copied."""
    merged = [x.swapaxes(1, 2).copy() for x in inputs(rng, dtype, 2, 4, 2, L=15, S=33, E=8, Ev=5)]
    q, k, v = (x.swapaxes(1, 2) for x in merged)
    check_attention(q, k, v)
    out, lse = flat(kernels).scaled_dot_product_attention(q, k, v, enable_gqa=True)
    dout = np.ones(out.shape, dtype)
    gradients = kernels.scaled_dot_product_attention_backward(dout, q, k, v, out, lse, enable_gqa=True)
    for x in (out, *gradients[:3]):
        assert x.swapaxes(1, 2).flags.c_contiguous
    apart = [np.ascontiguousarray(x) for x in (q, k, v)]
    straight = kernels.scaled_dot_product_attention(*apart, enable_gqa=True)
    assert straight.flags.c_contiguous
    np.testing.assert_array_equal(straight, out)


def test_one_array_of_queries_keys_and_values(rng, dtype):
    """As a projection of all three makes it: (N, L, 3, heads, width)."""
    packed = rng.standard_normal((2, 33, 3, 2, 8)).astype(dtype)
    check_attention(*(packed[:, :, i].swapaxes(1, 2) for i in range(3)), is_causal=True)


@pytest.mark.parametrize("end", ["front", "back"])
@pytest.mark.parametrize("L", [1, 15])
def test_out(rng, dtype, end, L):
    q, k, v = inputs(rng, dtype, 2, 3, L=L, S=33, E=8, Ev=5)
    expected = kernels.scaled_dot_product_attention(q, k, v)
    out = guarded(np.full((2, 3, L, 5), np.nan, dtype), end)
    assert kernels.scaled_dot_product_attention(q, k, v, out=out) is out
    np.testing.assert_array_equal(out, expected)
    out = guarded(np.full((2, L, 3, 5), np.nan, dtype), end).swapaxes(1, 2)
    assert kernels.scaled_dot_product_attention(q, k, v, out=out) is out
    np.testing.assert_array_equal(out, expected)
    kernels.scaled_dot_product_attention(q, k[:, :, :0], v[:, :, :0], out=out)
    assert not out.any()


def test_torch_tensors(rng, dtype):
    q, k, v = inputs(rng, dtype, L=15)
    out = kernels.scaled_dot_product_attention(*map(torch.from_numpy, (q, k, v)))
    np.testing.assert_array_equal(out, kernels.scaled_dot_product_attention(q, k, v))


def test_needs(rng):
    q, k, v = inputs(rng, np.float64, L=15, S=33)
    mask = a_mask(rng, (2, 1, 15, 33), "additive", np.float64)
    out, lse = flat(kernels).scaled_dot_product_attention(q, k, v, mask)
    arguments = np.ones_like(out), q, k, v, out, lse, mask
    everything = kernels.scaled_dot_product_attention_backward(*arguments, needs=(True,) * 4)
    assert kernels.scaled_dot_product_attention_backward(*arguments)[3] is None
    for needs in itertools.product([True, False], repeat=4):
        gradients = kernels.scaled_dot_product_attention_backward(*arguments, needs=needs)
        for gradient, needed, expected in zip(gradients, needs, everything, strict=True):
            if needed:
                np.testing.assert_array_equal(gradient, expected)
            else:
                assert gradient is None


MEMORY = """
import ctypes, gc
import numpy as np
import kernels
from kernels.reference import attention as reference

def peak_of(function, T):
    '''Most bytes that were resident during a call beyond those before it and the result.'''
    q, k, v = np.random.default_rng(0).standard_normal((3, 1, 1, T, 64), np.float32)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS")
    out = function(q, k, v)
    return status("VmHWM") - before - out.nbytes

def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))

peak_of(kernels.scaled_dot_product_attention, 512)
print(peak_of(kernels.scaled_dot_product_attention, 16_384))
print(peak_of(lambda q, k, v: kernels.scaled_dot_product_attention(q, k, v, is_causal=True), 16_384))
print(peak_of(reference.scaled_dot_product_attention, 2_048))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel keeps the peak of a process on Linux only")
def test_memory():
    """At T = 16,384 less than 20 MB beside the result, where the scores would take 1 GB."""
    kernels.scaled_dot_product_attention(*inputs(np.random.default_rng(0)))  # compiled here, loaded there
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(MEMORY)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    full, causal, scores = map(int, run.stdout.split())
    assert full < 20e6 and causal < 20e6, (full, causal)
    assert scores > 4 * 2048**2  # the measure sees a matrix of scores where there is one


# --- the same result every way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"is_causal": True}, {"dropout_p": 0.3, "seed": 5}, {"window": (100, 0), "softcap": 3.0}],
    ids=str,
)
@pytest.mark.parametrize(
    "sizes",
    [(2, 4, 2, 300, 300, 64), (1, 1, 1, 1100, 1100, 32), (1, 8, 2, 1, 2049, 64), (4, 2, 2, 65, 130, 33)],
    ids=str,
)
def test_same_bits_at_any_thread_count(rng, at_thread_counts, sizes, options):
    N, Hq, H, L, S, E = sizes
    q, k, v = inputs(rng, N=N, Hq=Hq, H=H, L=L, S=S, E=E)
    mask, dout = rng.standard_normal((L, S), dtype=np.float32), rng.standard_normal(q.shape, dtype=np.float32)

    def everything():
        out, lse = flat(kernels).scaled_dot_product_attention(q, k, v, mask, enable_gqa=True, **options)
        backward = kernels.scaled_dot_product_attention_backward
        return out, lse, *backward(dout, q, k, v, out, lse, mask, enable_gqa=True, needs=(True,) * 4, **options)

    one, two = at_thread_counts(everything)
    assert [x.tobytes() for x in one] == [x.tobytes() for x in two]


@pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=str)
def test_accuracy(rng, options):
    """Errors are at most 1.5 times PyTorch's, result and gradients."""
    q, k, v = inputs(rng, N=1, Hq=4, L=400, E=64)
    dout = rng.standard_normal(q.shape, dtype=np.float32)
    wide = [x.astype(np.float64) for x in (dout, q, k, v)]
    exact, ours = (
        (flat(module).scaled_dot_product_attention(*arrays[1:], **options)[0],
         *flat(module).scaled_dot_product_attention_backward(*arrays, **options))
        for module, arrays in ((reference, wide), (kernels, (dout, q, k, v)))
    )  # fmt: skip
    tensors = [torch.from_numpy(x).requires_grad_() for x in (q, k, v)]
    out = F.scaled_dot_product_attention(*tensors, **options)
    theirs = out.detach(), *torch.autograd.grad(out, tensors, torch.from_numpy(dout))
    for name, right, one, other in zip(("out", "dq", "dk", "dv"), exact, ours, theirs, strict=True):
        errors = [np.sqrt(np.mean((np.asarray(x) - right) ** 2)) for x in (one, other)]
        assert errors[0] <= 1.5 * errors[1], f"{name}: {errors[0]:.3g}, PyTorch's {errors[1]:.3g}"


@pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=str)
@pytest.mark.parametrize("L", [1, 6, 40])
def test_gradients_of_large_scores(rng, dtype, L, options):
    """Where one key outweighs all others its weight is exactly 1, which takes both terms of lse: their sum is rounded
    at the size of the scores. The scores here are integers, and so exact."""
    q, k = (rng.integers(-9, 10, (2, 3, n, 33)).astype(dtype) for n in (L, max(L, 6)))
    v, dout = (rng.standard_normal((2, 3, n, 5)).astype(dtype) for n in (max(L, 6), L))
    options = {"scale": 1.0} | options
    expected, ours = (
        flat(module).scaled_dot_product_attention_backward(*(x.astype(kind) for x in (dout, q, k, v)), **options)
        for module, kind in ((reference, np.float64), (kernels, dtype))
    )
    for name, one, right in zip(("dq", "dk", "dv"), ours, expected, strict=True):
        size = np.abs(dout).max() * (1.0 if name == "dv" else np.abs(v).max() * 9)
        assert_close(one, right, length=64, scale=size, label=name)


@pytest.mark.parametrize("L", [1, 40])
def test_one_key(rng, dtype, L):
    """The weight of a single key is 1: dv is the sum of dout, and the other gradients vanish."""
    q, k, v = (9 * x for x in inputs(rng, dtype, L=L, S=1, E=33))
    dout = rng.standard_normal(q.shape).astype(dtype)
    dq, dk, dv = flat(kernels).scaled_dot_product_attention_backward(dout, q, k, v)
    assert_close(dv, dout.astype(np.float64).sum(axis=2, keepdims=True), length=L)
    assert not dq.any() and not dk.any()


@pytest.mark.parametrize("S", [40, 500])
def test_key_that_outweighs_all_others(rng, dtype, S):
    """No gradient reaches the query, but for rounding where the keys are more than a block."""
    q, k, v = inputs(rng, dtype, N=1, Hq=1, L=40, S=S)
    q[..., 0], k[..., 0], k[..., 20, 0] = 30, 0, 30
    dout = rng.standard_normal(q.shape).astype(dtype)
    dq, dk, dv = flat(kernels).scaled_dot_product_attention_backward(dout, q, k, v)
    assert_close(dv[0, 0, 20], dout[0, 0].astype(np.float64).sum(axis=0), length=40)
    assert np.abs(dq).max() <= (1e-30 if S == 40 else 1e3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=str)
def test_accuracy_of_large_scores(rng, options):
    """Errors of the gradients are at most 1.5 times PyTorch's, where mostly one key outweighs the others."""
    q, k, v = (rng.uniform(-9, 9, (1, 200, n, 8)).astype(np.float32) for n in (6, 8, 8))
    dout = rng.standard_normal(q.shape, dtype=np.float32)
    exact, ours = (
        flat(module).scaled_dot_product_attention_backward(*(x.astype(dtype) for x in (dout, q, k, v)), **options)
        for module, dtype in ((reference, np.float64), (kernels, np.float32))
    )
    tensors = [torch.from_numpy(x).requires_grad_() for x in (q, k, v)]
    out = F.scaled_dot_product_attention(*tensors, **options)
    theirs = torch.autograd.grad(out, tensors, torch.from_numpy(dout))
    for name, right, one, other in zip(("dq", "dk", "dv"), exact, ours, theirs, strict=True):
        errors = [np.sqrt(np.mean((np.asarray(x) - right) ** 2)) for x in (one, other)]
        assert errors[0] <= 1.5 * errors[1], f"{name}: {errors[0]:.3g}, PyTorch's {errors[1]:.3g}"


def test_shapes_of_lse(rng, dtype):
    """With a leading axis of 2 it receives two terms; the backward takes either shape."""
    q, k, v = inputs(rng, dtype, L=15, S=33)
    lse, terms = np.empty((2, 2, 15), dtype), np.empty((2, 2, 2, 15), dtype)
    out = kernels.scaled_dot_product_attention(q, k, v, is_causal=True, causal_offset=-3, lse=lse)
    kernels.scaled_dot_product_attention(q, k, v, is_causal=True, causal_offset=-3, lse=terms)
    np.testing.assert_array_equal(lse, terms[0] + terms[1])
    scores = q[0, 1, 4] @ k[0, 1, :2].T / math.sqrt(8)
    np.testing.assert_allclose(terms[:, 0, 1, 4], (max(scores), np.log(np.exp(scores - max(scores)).sum())), rtol=1e-4)
    gradients = (
        kernels.scaled_dot_product_attention_backward(out, q, k, v, out, x, is_causal=True, causal_offset=-3)[:3]
        for x in (lse, terms)
    )
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other.astype(np.float64), length=64)


@pytest.mark.parametrize(
    "options", [{}, {"is_causal": True, "causal_offset": 1}, {"softcap": 0.8}, {"dropout_p": 0.4}, {"window": (1, 1)}],
    ids=str,
)  # fmt: skip
def test_finite_differences(rng, options):
    q, k, v = inputs(rng, np.float64, N=1, Hq=2, H=1, L=3, S=4, E=2, Ev=3)
    mask = rng.standard_normal((2, 1, 4))
    alibi = kernels.alibi_slopes(2, np.float64)
    check_finite_differences(WITH_MASK, q, k, v, mask, alibi, enable_gqa=True, **options)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 13, 8), (1, 33, 31), (3, 65, 64), (1, 200, 80)], ids=str)
@pytest.mark.parametrize("variant", kernels.attention.VARIANTS[NAME])
def test_variants(rng, dtype, variant, sizes, is_causal):
    q, k, v = (rng.standard_normal((*sizes[:2], width)).astype(dtype) for width in (sizes[2], sizes[2], sizes[2] + 3))
    out = guarded(np.full(v.shape, np.nan, dtype))
    kernels.attention.VARIANTS[NAME][variant](*map(guarded, (q, k, v)), dtype(0.3), is_causal, out)
    expected = reference.scaled_dot_product_attention(
        *(x.astype(np.float64) for x in (q, k, v)), scale=0.3, is_causal=is_causal
    )
    assert_close(out, expected, length=max(sizes), label=variant)


# --- bad input --------------------------------------------------------------------------------------------------------


def ones(*shape, dtype=np.float64):
    return np.ones(shape, dtype)


ROOM = np.empty(90)
OVERLAPPING = {"out": ROOM[:72].reshape(2, 2, 3, 6), "lse": ROOM[70:82].reshape(2, 2, 3)}


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"query .*\(4,\)", {"query": ones(4)}),
        (ValueError, r"\(3, 3, 4\).*\(2, 2, 5, 4\)", {"query": ones(3, 3, 4)}),
        (ValueError, r"\(3, 4, 3, 4\).*\(2, 2, 5, 4\)", {"query": ones(3, 4, 3, 4)}),
        (ValueError, r"\(2, 2, 3, 5\).*\(2, 2, 5, 4\)", {"query": ones(2, 2, 3, 5)}),
        (ValueError, r"\(2, 2, 6, 6\)", {"value": ones(2, 2, 6, 6)}),
        (ValueError, r"\(2, 4, 5, 6\)", {"value": ones(2, 4, 5, 6)}),
        (ValueError, r"enable_gqa.*\(2, 4, 3, 4\)", {"query": ones(2, 4, 3, 4)}),
        (ValueError, r"multiple.*\(2, 3, 3, 4\)", {"query": ones(2, 3, 3, 4), "enable_gqa": True}),
        (ValueError, r"multiple.*\(2, 1, 3, 4\)", {"query": ones(2, 1, 3, 4), "enable_gqa": True}),
        (ValueError, r"width must be at least 1", {"query": ones(2, 2, 3, 0), "key": ones(2, 2, 5, 0)}),
        (ValueError, r"attn_mask.*\(3, 4\).*\(2, 2, 3, 5\)", {"attn_mask": ones(3, 4)}),
        (ValueError, r"attn_mask.*\(1, 2, 2, 3, 5\)", {"attn_mask": ones(1, 2, 2, 3, 5)}),
        (ValueError, r"attn_mask.*\(2, 2, 4, 3, 5\)", {"attn_mask": np.ones((2, 2, 4, 3, 5), bool)}),
        (TypeError, r"attn_mask.*float32", {"attn_mask": ones(3, 5, dtype=np.float32)}),
        (TypeError, r"attn_mask.*int64", {"attn_mask": ones(3, 5, dtype=np.int64)}),
        (TypeError, r".*float32", {"key": ones(2, 2, 5, 4, dtype=np.float32)}),
        (TypeError, r".*int64", {"query": ones(2, 2, 3, 4, dtype=np.int64)}),
        (TypeError, r".*float16", {"value": ones(2, 2, 5, 6, dtype=np.float16)}),
        (TypeError, r"query.*list", {"query": [[1.0]]}),
        (ValueError, r"dropout_p.*1", {"dropout_p": 1.0}),
        (ValueError, r"dropout_p.*-0.1", {"dropout_p": -0.1}),
        (ValueError, r"dropout_p.*nan", {"dropout_p": float("nan")}),
        (ValueError, r"window.*-1", {"window": (-1, None)}),
        (ValueError, r"window.*-2", {"window": (3, -2)}),
        (ValueError, r"causal_offset.*9223372036854775807", {"causal_offset": sys.maxsize}),
        (ValueError, r"causal_offset.*-10995116277", {"causal_offset": -(2**40) - 1}),
        (ValueError, r"softcap.*-1", {"softcap": -1.0}),
        (ValueError, r"softcap.*nan", {"softcap": float("nan")}),
        (ValueError, r"softcap.*inf", {"softcap": float("inf")}),
        (TypeError, r"window.*pair.*3", {"window": 3}),
        (TypeError, r"window.*pair.*\(1,\)", {"window": (1,)}),
        (ValueError, r"alibi.*\(3,\)", {"alibi": ones(3)}),
        (TypeError, r"alibi.*float32", {"alibi": ones(2, dtype=np.float32)}),
        (ValueError, r"lse.*\(2, 2, 5\)", {"lse": ones(2, 2, 5)}),
        (TypeError, r"lse.*float32", {"lse": ones(2, 2, 3, dtype=np.float32)}),
        (ValueError, r"lse.*read-only", {"lse": read_only(ones(2, 2, 3))}),
        (ValueError, r"out.*\(2, 2, 3, 5\)", {"out": ones(2, 2, 3, 5)}),
        (TypeError, r"out.*float32", {"out": ones(2, 2, 3, 6, dtype=np.float32)}),
        (TypeError, r"out.*list", {"out": [1.0]}),
        (ValueError, r"out", {"out": read_only(ones(2, 2, 3, 6))}),
        (ValueError, r"out.*strides", {"out": ones(2, 2, 3, 12)[..., ::2]}),
        (ValueError, r"lse overlaps out", OVERLAPPING),
    ],
)
def test_errors(error, message, change):
    good = {"query": ones(2, 2, 3, 4), "key": ones(2, 2, 5, 4), "value": ones(2, 2, 5, 6)}
    with pytest.raises(error, match=f"^{NAME}: .*{message}"):
        kernels.scaled_dot_product_attention(**(good | change))


def test_out_is_no_input():
    x = ones(2, 2, 4, 4)
    with pytest.raises(ValueError, match=f"^{NAME}: out overlaps"):
        kernels.scaled_dot_product_attention(x, x.copy(), x.copy(), out=x)


def test_results_are_no_mask_and_lse_is_no_input():
    x, mask = ones(2, 2, 4, 4), ones(2, 2, 4, 4)
    with pytest.raises(ValueError, match=f"^{NAME}: out overlaps attn_mask$"):
        kernels.scaled_dot_product_attention(x, x.copy(), x.copy(), mask, out=mask)
    with pytest.raises(ValueError, match=f"^{NAME}: lse overlaps query$"):
        kernels.scaled_dot_product_attention(x, x.copy(), x.copy(), lse=x.reshape(-1)[:16].reshape(2, 2, 4))
    with pytest.raises(ValueError, match=f"^{NAME}: lse overlaps attn_mask$"):
        kernels.scaled_dot_product_attention(x, x.copy(), x.copy(), mask, lse=mask.reshape(-1)[:16].reshape(2, 2, 4))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"dout.*\(2, 2, 3, 5\)", {"dout": ones(2, 2, 3, 5)}),
        (TypeError, r"dout.*float32", {"dout": ones(2, 2, 3, 6, dtype=np.float32)}),
        (ValueError, r"out.*\(2, 2, 4, 6\)", {"out": ones(2, 2, 4, 6)}),
        (TypeError, r"out.*float32", {"out": ones(2, 2, 3, 6, dtype=np.float32)}),
        (ValueError, r"lse.*\(2, 3\)", {"lse": ones(2, 3)}),
        (TypeError, r"lse.*float32", {"lse": ones(2, 2, 3, dtype=np.float32)}),
        (ValueError, r"\(2, 2, 6, 4\)", {"key": ones(2, 2, 6, 4)}),
        (ValueError, r"dropout_p.*2", {"dropout_p": 2.0}),
        (ValueError, r"additive", {"needs": (True,) * 4}),
        (ValueError, r"additive", {"needs": (True,) * 4, "attn_mask": np.ones((3, 5), bool)}),
    ],
)
def test_backward_errors(error, message, change):
    good = {
        "dout": ones(2, 2, 3, 6), "query": ones(2, 2, 3, 4), "key": ones(2, 2, 5, 4), "value": ones(2, 2, 5, 6),
        "out": ones(2, 2, 3, 6), "lse": ones(2, 2, 3),
    }  # fmt: skip
    with pytest.raises(error, match=f"^{NAME}_backward: .*{message}"):
        kernels.scaled_dot_product_attention_backward(**(good | change))


# --- positions --------------------------------------------------------------------------------------------------------


def rotary_peer(x, cos, sin, at=None, interleaved=False):
    """Pairs of channels as complex numbers, multiplied by numbers of length 1."""
    half = cos.shape[-1]
    rotated, rest = x[..., : 2 * half], x[..., 2 * half :]
    at = torch.arange(x.shape[-2]) if at is None else at
    at = at.reshape(at.shape[0], *(1,) * (x.ndim - 3), at.shape[1]) if at.ndim == 2 else at
    pairs = rotated.unflatten(-1, (half, 2) if interleaved else (2, half))
    first, second = pairs.unbind(-1 if interleaved else -2)
    y = torch.complex(first, second) * torch.complex(cos, sin)[at]
    return torch.cat([torch.stack([y.real, y.imag], -1 if interleaved else -2).flatten(-2), rest], -1)


ROTARY = Operation(
    "attention",
    "rotary_embedding",
    rotary_peer,
    saved=lambda arguments, _: arguments[1:],
    scale=lambda operation, arguments, dy, options: [np.abs(arguments[0]).max(initial=0), np.abs(dy).max(initial=0)],
    out=True,
)
each_interleaved = pytest.mark.parametrize("interleaved", [False, True])


@each_interleaved
@pytest.mark.parametrize(
    ("shape", "width"),
    [((1, 2), 2), ((5, 8), 8), ((2, 3, 7, 64), 64), ((2, 3, 7, 64), 16), ((2, 2, 3, 5, 50), 34), ((1, 33, 129), 66),
     ((2, 0, 8), 8), ((0, 3, 8), 4)],
    ids=str,
)  # fmt: skip
def test_rotary_embedding(rng, dtype, shape, width, interleaved):
    x, tables = rng.standard_normal(shape).astype(dtype), reference.rotary_tables(40, width, dtype=dtype)
    check(ROTARY, x, *tables, interleaved=interleaved)
    check(ROTARY, x, *tables, rng.integers(0, 40, shape[-2]), interleaved=interleaved)
    if len(shape) > 2:
        check(ROTARY, x, *tables, rng.integers(0, 40, (shape[0], shape[-2])), interleaved=interleaved)


@each_interleaved
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rotary_layouts(rng, dtype, layout, interleaved):
    x, tables = rng.standard_normal((2, 3, 7, 40)).astype(dtype), reference.rotary_tables(9, 32, dtype=dtype)
    check(ROTARY, LAYOUTS[layout](x), *map(LAYOUTS[layout], tables), interleaved=interleaved)
    heads = x.swapaxes(1, 2).copy().swapaxes(1, 2)
    assert kernels.rotary_embedding(heads, *tables, interleaved=interleaved).strides == heads.strides


@each_interleaved
def test_rotary_variants(rng, dtype, interleaved):
    x, (cos, sin) = rng.standard_normal((21, 70)).astype(dtype), reference.rotary_tables(21, 66, dtype=dtype)
    expected = reference.rotary_embedding(x.astype(np.float64), cos, sin, interleaved=interleaved)
    for name, variant in rotary.VARIANTS["rotary_embedding"].items():
        out = guarded(np.full(x.shape, np.nan, dtype))
        variant(*map(guarded, (x, cos, sin)), interleaved, out)
        assert_close(out, expected, scale=np.abs(x).max(), label=name)


@each_interleaved
def test_rotary_in_place_and_threads(rng, at_thread_counts, interleaved):
    x, tables = rng.standard_normal((2, 8, 300, 64), dtype=np.float32), kernels.rotary_tables(300, 64)
    one, two = at_thread_counts(lambda: kernels.rotary_embedding(x, *tables, interleaved=interleaved))
    assert one.tobytes() == two.tobytes()
    assert kernels.rotary_embedding(x, *tables, interleaved=interleaved, out=x) is x
    np.testing.assert_array_equal(x, one)


@each_interleaved
def test_scores_of_rotated_rows_depend_on_their_distance(rng, interleaved):
    q, k = rng.standard_normal((2, 1, 16))
    tables = kernels.rotary_tables(100, 16, dtype=np.float64)

    def score(i, j):
        rotated = (
            kernels.rotary_embedding(x, *tables, np.array([at]), interleaved=interleaved) for x, at in ((q, i), (k, j))
        )
        return np.vdot(*rotated)

    np.testing.assert_allclose([score(i + 7, i) for i in (0, 20, 92)], score(50, 43), rtol=1e-12)
    assert abs(score(50, 43) - score(50, 42)) > 1e-6


@pytest.mark.parametrize(("width", "base"), [(2, 10000.0), (64, 10000.0), (10, 500.0)])
def test_rotary_tables(dtype, width, base):
    cos, sin = kernels.rotary_tables(50, width, base, dtype)
    angles = torch.outer(torch.arange(50.0, dtype=torch.float64), base ** (-torch.arange(0, width, 2).double() / width))
    size = 1 + angles.numpy() if dtype is np.float64 else 1  # an angle is rounded in its own last place
    assert_close(cos, angles.cos().numpy(), scale=size)
    assert_close(sin, angles.sin().numpy(), scale=size)
    assert cos.shape == sin.shape == (50, width // 2) and cos.dtype == dtype
    expected = reference.rotary_tables(50, width, base, dtype)
    for ours, theirs in zip((cos, sin), expected, strict=True):
        assert_close(ours, theirs, scale=size)


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (TypeError, "int64", {"x": ones(2, 3, 8, dtype=np.int64)}),
        (TypeError, "float32", {"cos": ones(5, 4, dtype=np.float32)}),
        (TypeError, "positions.*float64", {"positions": ones(3)}),
        (ValueError, r"\(8,\)", {"x": ones(8)}),
        (ValueError, r"\(5, 4\).*\(6, 4\)", {"sin": ones(6, 4)}),
        (ValueError, "10 channels.* 8", {"cos": ones(5, 5), "sin": ones(5, 5)}),
        (ValueError, "6 rows.* 5", {"x": ones(2, 6, 8)}),
        (ValueError, r"\(4,\).*\(2, 3, 8\)", {"positions": np.zeros(4, np.int64)}),
        (IndexError, "positions.*5", {"positions": np.array([0, 5, 1])}),
        (IndexError, "positions.*-1", {"positions": np.array([0, -1, 1])}),
        (ValueError, r"out.*\(2, 3, 6\)", {"out": ones(2, 3, 6)}),
        (TypeError, "out.*float32", {"out": ones(2, 3, 8, dtype=np.float32)}),
        (ValueError, "out.*read-only", {"out": read_only(ones(2, 3, 8))}),
    ],
)
def test_rotary_errors(error, message, change):
    good = {"x": ones(2, 3, 8), "cos": ones(5, 4), "sin": ones(5, 4)} | change
    with pytest.raises(error, match=f"^rotary_embedding: .*{message}"):
        kernels.rotary_embedding(**good)
    if "out" not in good:
        good["dy"] = good.pop("x")
        with pytest.raises(error, match=f"^rotary_embedding_backward: .*{message}"):
            kernels.rotary_embedding_backward(**good)


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [(ValueError, "positions.*-1", (-1, 4)), (ValueError, "width.*3", (5, 3)), (ValueError, "width.*0", (5, 0)),
     (ValueError, "base.*0", (5, 4, 0.0)), (TypeError, "dtype.*int64", (5, 4, 10.0, np.int64))],
)  # fmt: skip
def test_rotary_tables_errors(error, message, arguments):
    with pytest.raises(error, match=f"^rotary_tables: {message}"):
        kernels.rotary_tables(*arguments)


@pytest.mark.parametrize(
    ("heads", "powers"),
    [(1, [8]), (2, [4, 8]), (8, [1, 2, 3, 4, 5, 6, 7, 8]), (3, [4, 8, 2]), (6, [2, 4, 6, 8, 1, 3])],
)
def test_alibi_slopes(dtype, heads, powers):
    """The paper's own numbers, all powers of two here."""
    slopes = kernels.alibi_slopes(heads, dtype)
    assert slopes.dtype == dtype
    np.testing.assert_array_equal(slopes, 2.0 ** -np.array(powers))


def test_alibi_slopes_of_any_number():
    for heads in range(1, 70):
        np.testing.assert_allclose(kernels.alibi_slopes(heads, np.float64), reference.alibi_slopes(heads, np.float64))
    with pytest.raises(ValueError, match="^alibi_slopes: heads.*0"):
        kernels.alibi_slopes(0)
    with pytest.raises(TypeError, match="^alibi_slopes: dtype.*int32"):
        kernels.alibi_slopes(4, np.int32)
