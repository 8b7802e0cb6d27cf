"""Tests of kernels.mlp: feed_forward."""

from functools import partial

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
from kernels import mlp
from kernels.reference import mlp as reference
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded


def swiglu(z):
    gate, value = z.chunk(2, -1)
    return F.silu(gate) * value


PEERS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "swiglu": swiglu,
}
each_activation = pytest.mark.parametrize("activation", PEERS)


def peer(x, weight1, bias1, weight2, bias2, activation):
    return F.linear(PEERS[activation](F.linear(x, weight1, bias1)), weight2, bias2)


def preactivation(x, weight1, bias1, activation):
    z = x @ weight1.T + bias1
    return np.stack(np.split(z, 2, axis=-1)) if activation == "swiglu" else z


def saved(arguments, y):
    x, weight1, bias1, weight2, _, activation = arguments
    return [x, weight1, weight2, preactivation(x, weight1, bias1, activation), activation]


def scale(operation, arguments, dy, options):
    """Sums of the terms' sizes, as if f and its slope were 1 + |z|."""
    x, weight1, bias1, weight2, bias2 = (np.abs(a) for a in arguments[:5])
    z = x @ weight1.T + bias1
    first, second = np.split(z, 2, axis=-1) if arguments[5] == "swiglu" else (z, z)
    h = (1 + first) * (1 + second)
    y = h @ weight2.T + bias2
    if dy is None:
        return [y]
    dh = (np.abs(dy) @ weight2) * h
    dz = np.concatenate([dh, dh], axis=-1) if arguments[5] == "swiglu" else dh
    rows = tuple(range(x.ndim - 1))
    flat = [a.reshape(-1, a.shape[-1]) for a in (np.abs(dy), dz, h, x)]
    return [y, dz @ weight1, flat[1].T @ flat[3], dz.sum(rows), flat[0].T @ flat[2], np.abs(dy).sum(rows)]


FEED_FORWARD = Operation("mlp", "feed_forward", peer, saved, (0, 1, 2, 3, 4), scale, out=True)
SHAPES = [((1,), 1, 1, 1), ((3,), 2, 5, 4), ((), 4, 9, 3), ((2, 7), 6, 17, 33), ((29,), 16, 64, 16), ((2, 3), 5, 1, 2)]


def inputs(rng, leading, K, H, N, activation, dtype):
    shapes = (*leading, K), (H * (1 + (activation == "swiglu")), K), (N, H)
    x, weight1, weight2 = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    bias1, bias2 = (rng.standard_normal(len(weight)).astype(dtype) for weight in (weight1, weight2))
    return x, weight1, bias1, weight2, bias2, activation


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(mlp, "BLOCK_ROWS", 5)


@each_activation
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients(rng, dtype, activation, shape):
    check(FEED_FORWARD, *inputs(rng, *shape, activation, dtype), lengths=sum(map(np.prod, shape)))


@each_activation
@pytest.mark.parametrize("rows", [4, 5, 6, 11, 40])
def test_blocks(rng, dtype, activation, rows, short_blocks):
    check(FEED_FORWARD, *inputs(rng, (rows,), 6, 9, 7, activation, dtype), lengths=rows + 16)
    check(FEED_FORWARD, *inputs(rng, (rows,), 1, 1, 1, activation, dtype), lengths=rows + 2)


@hypothesis.given(
    leading=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    sizes=st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)),
    activation=st.sampled_from(sorted(PEERS)),
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(leading, sizes, activation, layout, dtype, seed):
    *arrays, activation = inputs(np.random.default_rng(seed), leading, *sizes, activation, dtype)
    found = kernels.feed_forward(*(LAYOUTS[layout](a) for a in arrays), activation)
    wide = [a.astype(np.float64) for a in arrays]
    expected = reference.feed_forward(*wide, activation)
    size = scale(None, [*wide, activation], None, {})[0]
    assert_close(found, expected, length=sum(sizes), scale=size, label=activation)


@each_activation
def test_finite_differences(rng, activation, short_blocks):
    check_finite_differences(FEED_FORWARD, *inputs(rng, (7,), 3, 4, 2, activation, np.float64))


@each_activation
@pytest.mark.parametrize("end", ["front", "back"])
def test_kept_preactivation(rng, dtype, activation, end, short_blocks):
    x, weight1, bias1, weight2, bias2, _ = inputs(rng, (3, 4), 5, 6, 7, activation, dtype)
    shape = (2, 3, 4, 6) if activation == "swiglu" else (3, 4, 6)
    kept = guarded(np.full(shape, np.nan, dtype), end)
    y = kernels.feed_forward(x, weight1, bias1, weight2, bias2, activation, preactivation=kept)
    np.testing.assert_array_equal(y, kernels.feed_forward(x, weight1, bias1, weight2, bias2, activation))
    np.testing.assert_allclose(kept, preactivation(x, weight1, bias1, activation), rtol=1e-5, atol=1e-5)
    dy = rng.standard_normal(y.shape).astype(dtype)
    gradients = kernels.feed_forward_backward(dy, x, weight1, weight2, kept, activation)
    for i, expected in enumerate(gradients):
        needs = tuple(j == i for j in range(5))
        found = kernels.feed_forward_backward(dy, x, weight1, weight2, kept, activation, needs=needs)
        assert [each is not None for each in found] == list(needs)
        np.testing.assert_array_equal(found[i], expected)


@each_activation
def test_without_biases_it_is_two_linear_layers(rng, dtype, activation):
    x, weight1, bias1, weight2, bias2, _ = inputs(rng, (20,), 9, 16, 5, activation, dtype)
    found = kernels.feed_forward(x, weight1, None, weight2, None, activation)
    expected = kernels.feed_forward(x, weight1, 0 * bias1, weight2, 0 * bias2, activation)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    if activation != "swiglu":
        two = kernels.linear(kernels.linear(x, weight1, bias1, activation), weight2, bias2)
        np.testing.assert_array_equal(kernels.feed_forward(x, weight1, bias1, weight2, bias2, activation), two)


@each_activation
@pytest.mark.parametrize("sizes", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)], ids=str)
def test_empty(rng, dtype, activation, sizes):
    M, *others = sizes
    x, weight1, bias1, weight2, bias2, _ = inputs(rng, (M,), *others, activation, dtype)
    kept = np.empty((2, M, others[1]) if activation == "swiglu" else (M, others[1]), dtype)
    y = kernels.feed_forward(x, weight1, bias1, weight2, bias2, activation, preactivation=kept)
    wide = [a.astype(np.float64) for a in (x, weight1, bias1, weight2, bias2)]
    np.testing.assert_allclose(y, reference.feed_forward(*wide, activation), rtol=1e-4, atol=1e-5)
    found = kernels.feed_forward_backward(np.ones_like(y), x, weight1, weight2, kept, activation)
    expected = reference.feed_forward_backward(np.ones_like(y), x, weight1, weight2, kept, activation)
    for mine, other in zip(found, expected, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_nan_stays_in_its_row(rng, dtype):
    arguments = inputs(rng, (6,), 5, 8, 3, "gelu", dtype)
    clean = kernels.feed_forward(*arguments)
    arguments[0][2, 1] = np.nan
    found = kernels.feed_forward(*arguments)
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(clean, 2, 0))


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts, monkeypatch):
    monkeypatch.setattr(mlp, "BLOCK_ROWS", 100)
    for activation in ("gelu", "swiglu"):
        x, weight1, bias1, weight2, bias2, _ = inputs(rng, (250,), 60, 150, 60, activation, dtype)
        z = preactivation(x, weight1, bias1, activation)

        def everything():
            yield kernels.feed_forward(x, weight1, bias1, weight2, bias2, activation)  # noqa: B023
            yield from kernels.feed_forward_backward(x, x, weight1, weight2, z, activation)  # noqa: B023

        one, two = at_thread_counts(lambda: [part.tobytes() for part in everything()])
        assert one == two


def test_torch_tensors(rng, dtype):
    arguments = inputs(rng, (4,), 5, 8, 3, "silu", dtype)
    tensors = [torch.from_numpy(a) for a in arguments[:5]]
    np.testing.assert_array_equal(kernels.feed_forward(*tensors, "silu"), kernels.feed_forward(*arguments))


@pytest.mark.parametrize("variant", mlp.VARIANTS["feed_forward"])
@each_activation
def test_variants(rng, dtype, variant, activation, short_blocks):
    for shape in [(1, 1, 1), (5, 17, 4), (16, 33, 9)]:
        arguments = inputs(rng, (11,), *shape, activation, dtype)
        wide = [a.astype(np.float64) for a in arguments[:5]]
        out = guarded(np.full((11, shape[2]), np.nan, dtype))
        mlp.VARIANTS["feed_forward"][variant](*map(guarded, arguments[:5]), activation, out)
        size = scale(None, [*wide, activation], None, {})[0]
        assert_close(out, reference.feed_forward(*wide, activation), length=sum(shape), scale=size, label=variant)


# --- errors ---------------------------------------------------------------------------------------------------------

X, W1, B1, W2, B2 = np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(4), np.zeros((5, 4)), np.zeros(5)


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (ValueError, r"inner dimensions differ: x is \(2, 4\)", (W2[:2], W1, B1, W2, B2), {}),
        (ValueError, r"inner dimensions differ: x is \(\)", (np.zeros(()), W1, B1, W2, B2), {}),
        (ValueError, r"weight1 .*2 dimensions, got shape \(3,\)", (X, W1[0], B1, W2, B2), {}),
        (ValueError, r"weight2 .*2 dimensions, got shape \(4,\)", (X, W1, B1, W2[0], B2), {}),
        (ValueError, r'"gelu" weight1 must have 1 x 3 rows .*\(4, 3\)', (X, W1, B1, W2[:, :3], B2), {}),
        (ValueError, r'"swiglu" weight1 must have 2 x 4 rows .*\(4, 3\)', (X, W1, B1, W2, B2, "swiglu"), {}),
        (ValueError, r"bias1 .*\(4,\), got \(5,\)", (X, W1, B2, W2, B2), {}),
        (ValueError, r"bias2 .*\(5,\), got \(4,\)", (X, W1, B1, W2, B1), {}),
        (ValueError, r"activation .*'softmax'", (X, W1, B1, W2, B2, "softmax"), {}),
        (TypeError, r"dtypes differ: .*float32", (X, W1.astype(np.float32), B1, W2, B2), {}),
        (TypeError, r"dtypes differ: .*float32", (X, W1, B1, W2, B2.astype(np.float32)), {}),
        (TypeError, r"x .*int64", (X.astype(np.int64), W1, B1, W2, B2), {}),
        (ValueError, r"out .*\(2, 5\), got \(2, 4\)", (X, W1, B1, W2, B2), {"out": np.zeros((2, 4))}),
        (ValueError, r"out overlaps weight2", (X, W1, B1, W2, B2), {"out": W2.reshape(-1)[:10].reshape(2, 5)}),
        (
            ValueError,
            r"preactivation .*\(2, 4\), got \(2, 5\)",
            (X, W1, B1, W2, B2),
            {"preactivation": np.ones((2, 5))},
        ),
    ],
)
def test_errors(error, message, arguments, options):
    with pytest.raises(error, match=rf"^feed_forward: .*{message}"):
        kernels.feed_forward(*arguments, **options)


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, r"dy .*\(2, 5\), got \(2, 4\)", (np.zeros((2, 4)), X, W1, W2, np.zeros((2, 4)))),
        (ValueError, r"preactivation .*\(2, 4\), got \(2, 5\)", (np.zeros((2, 5)), X, W1, W2, np.zeros((2, 5)))),
        (TypeError, r"dtypes differ: .*float32", (np.zeros((2, 5), np.float32), X, W1, W2, np.zeros((2, 4)))),
    ],
)
def test_errors_of_the_backward(error, message, arguments):
    with pytest.raises(error, match=rf"^feed_forward_backward: .*{message}"):
        kernels.feed_forward_backward(*arguments)
