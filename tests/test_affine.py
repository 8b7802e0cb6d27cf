"""Tests of kernels.affine."""

import itertools
from functools import partial

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
import kernels.affine
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded, read_only

PEERS = {
    None: lambda z: z,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
}
FROM_OUTPUT = ("relu", "sigmoid", "tanh")
each_activation = pytest.mark.parametrize("activation", PEERS, ids=str)


def saved(arguments, y):
    x, weight, bias, activation = arguments
    kept = y if activation in FROM_OUTPUT else x @ weight.T + bias
    return [x, weight, activation, None if activation is None else kept]


def scale(operation, arguments, dy, options):
    """Sums of the terms' sizes; an activation passes the error of its argument on to the gradient."""
    x, weight, bias, activation = (np.abs(a) if isinstance(a, np.ndarray) else a for a in arguments)
    z = operation.reference.linear(x, weight, bias)
    dz = np.abs(dy) if activation is None else np.abs(dy) * (1 + z)
    return [z, *operation.reference.linear_backward(dz, x, weight)]


LINEAR = Operation(
    "affine",
    "linear",
    lambda x, weight, bias, activation: PEERS[activation](F.linear(x, weight, bias)),
    saved=saved,
    differentiable=(0, 1, 2),
    scale=scale,
    out=True,
)

SHAPES = [
    (1, 1, 1),
    (1, 300, 65),
    (2, 3, 7),
    (3, 17, 1),
    (13, 14, 15),
    (16, 16, 16),
    (31, 33, 32),
    (64, 100, 63),
    (65, 1, 129),
    (257, 20, 10),
    (100, 257, 33),
    (16, 200, 180),
    (27, 1100, 40),
]


def normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def check_linear(x, weight, bias, activation=None):
    N, K = weight.shape
    rows = max(1, x.size // max(K, 1))
    check(LINEAR, x, weight, bias, activation, lengths=[K, N, rows, rows])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@each_activation
def test_linear(rng, dtype, shape, activation):
    M, K, N = shape
    check_linear(normal(rng, (M, K), dtype), normal(rng, (N, K), dtype), normal(rng, N, dtype), activation)


@pytest.mark.parametrize("x_shape", [(17,), (0, 17), (2, 3, 17), (2, 0, 17), (2, 2, 5, 17)], ids=str)
@pytest.mark.parametrize("activation", [None, "gelu"], ids=str)
def test_leading_dimensions(rng, dtype, x_shape, activation):
    check_linear(normal(rng, x_shape, dtype), normal(rng, (9, 17), dtype), normal(rng, 9, dtype), activation)


@pytest.mark.parametrize(("K", "N"), [(0, 5), (5, 0)])
@pytest.mark.parametrize("activation", [None, "relu", "silu"], ids=str)
def test_empty_inner_or_outer_dimension(rng, dtype, K, N, activation):
    for shape in [(K,), (2, 3, K), (0, K)]:
        check_linear(normal(rng, shape, dtype), normal(rng, (N, K), dtype), normal(rng, N, dtype), activation)
    check_linear(normal(rng, (4, K), dtype), normal(rng, (N, K), dtype), normal(rng, N, dtype), activation)


@pytest.mark.parametrize(("x_layout", "weight_layout"), list(itertools.product(LAYOUTS, LAYOUTS)), ids=str)
def test_layouts(rng, x_layout, weight_layout):
    x, weight, bias = normal(rng, (33, 17), np.float32), normal(rng, (20, 17), np.float32), normal(rng, 20, np.float32)
    for activation in (None, "gelu"):
        check_linear(LAYOUTS[x_layout](x), LAYOUTS[weight_layout](weight), LAYOUTS[x_layout](bias), activation)


@hypothesis.given(
    sizes=st.tuples(*[st.integers(0, 40)] * 3),
    layouts=st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 2),
    activation=st.sampled_from(list(PEERS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(sizes, layouts, activation, dtype, seed):
    (M, K, N), rng = sizes, np.random.default_rng(seed)
    x, weight = LAYOUTS[layouts[0]](normal(rng, (M, K), dtype)), LAYOUTS[layouts[1]](normal(rng, (N, K), dtype))
    check_linear(x, weight, normal(rng, N, dtype), activation)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (13, 17, 31), (65, 129, 33), (30, 300, 100)], ids=str)
@pytest.mark.parametrize("variant", kernels.affine.VARIANTS["linear"])
def test_variants(rng, dtype, variant, shape):
    M, K, N = shape
    arrays = [normal(rng, (M, K), dtype), normal(rng, (N, K), dtype), normal(rng, N, dtype)]
    x, weight, bias = (array.astype(np.float64) for array in arrays)
    out = guarded(np.full((M, N), np.nan, dtype))
    kernels.affine.VARIANTS["linear"][variant](*map(guarded, arrays), out)
    size = np.abs(x) @ np.abs(weight).T + np.abs(bias)
    assert_close(out, x @ weight.T + bias, length=K, scale=size, label=variant)


@each_activation
def test_without_bias(rng, dtype, activation):
    x, weight = normal(rng, (21, 33), dtype), normal(rng, (18, 33), dtype)
    without = kernels.linear(x, weight, None, activation)
    np.testing.assert_array_equal(without, kernels.linear(x, weight, np.zeros(18, dtype), activation))


@each_activation
@pytest.mark.parametrize("end", ["front", "back"])
def test_preactivation(rng, dtype, activation, end):
    x, weight, bias = normal(rng, (7, 33), dtype), normal(rng, (18, 33), dtype), normal(rng, 18, dtype)
    z = guarded(np.full((7, 18), np.nan, dtype), end)
    y = kernels.linear(x, weight, bias, activation, preactivation=z)
    np.testing.assert_array_equal(z, kernels.linear(x, weight, bias))
    np.testing.assert_array_equal(y, kernels.linear(x, weight, bias, activation))
    assert not np.may_share_memory(y, z)


@each_activation
def test_out(rng, dtype, activation):
    x, weight, bias = normal(rng, (2, 7, 33), dtype), normal(rng, (18, 33), dtype), normal(rng, 18, dtype)
    out = np.full((2, 7, 18), np.nan, dtype)
    assert kernels.linear(x, weight, bias, activation, out=out) is out
    np.testing.assert_array_equal(out, kernels.linear(x, weight, bias, activation))


@each_activation
def test_finite_differences(rng, activation):
    x, weight, bias = normal(rng, (4, 3), np.float64), normal(rng, (5, 3), np.float64), normal(rng, 5, np.float64)
    check_finite_differences(LINEAR, x, weight, bias, activation)


@each_activation
def test_needs(rng, activation):
    x, weight, bias = normal(rng, (6, 5), np.float64), normal(rng, (4, 5), np.float64), normal(rng, 4, np.float64)
    dy = normal(rng, (6, 4), np.float64)
    kept = saved([x, weight, bias, activation], kernels.linear(x, weight, bias, activation))
    everything = kernels.linear_backward(dy, *kept)
    for needs in itertools.product([True, False], repeat=3):
        gradients = kernels.linear_backward(dy, *kept, needs=needs)
        for gradient, needed, expected in zip(gradients, needs, everything, strict=True):
            if needed:
                np.testing.assert_array_equal(gradient, expected)
            else:
                assert gradient is None


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan], ids=str)
def test_infinities_and_nan_stay_in_their_row(rng, dtype, special):
    x, weight, bias = normal(rng, (20, 33), dtype), normal(rng, (18, 33), dtype), normal(rng, 18, dtype)
    x[19, 32] = special
    check_linear(x, weight, bias)
    for activation in PEERS:
        y = kernels.linear(x, weight, bias, activation)
        assert np.isfinite(y[:-1]).all()
        if np.isnan(special):
            assert np.isnan(y[-1]).all()


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    for M, K, N in [(512, 130, 300), (1, 800, 2000), (3000, 40, 17)]:
        x, weight, bias, dy = (normal(rng, shape, dtype) for shape in [(M, K), (N, K), N, (M, N)])
        for activation in (None, "gelu", "tanh"):
            one, two = at_thread_counts(lambda: kernels.linear(x, weight, bias, activation))  # noqa: B023
            assert one.tobytes() == two.tobytes()
            kept = saved([x, weight, bias, activation], one)
            one, two = at_thread_counts(lambda: kernels.linear_backward(dy, *kept))  # noqa: B023
            assert [gradient.tobytes() for gradient in one] == [gradient.tobytes() for gradient in two]


def test_torch_tensors(rng, dtype):
    x, weight, bias = normal(rng, (5, 33), dtype), normal(rng, (18, 33), dtype), normal(rng, 18, dtype)
    y = kernels.linear(*map(torch.from_numpy, (x, weight, bias)), "gelu")
    np.testing.assert_array_equal(y, kernels.linear(x, weight, bias, "gelu"))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"^linear: .*\(4, 3\).*\(5, 2\)", {"weight": np.ones((5, 2))}),
        (ValueError, r"^linear: .*\(3,\)", {"weight": np.ones(3)}),
        (ValueError, r"^linear: bias.*\(4,\)", {"bias": np.ones(4)}),
        (ValueError, r"^linear: bias.*\(1, 5\)", {"bias": np.ones((1, 5))}),
        (ValueError, r"^linear: x.*\(\)", {"x": np.ones(())}),
        (ValueError, r"^linear: activation .*'softmax'", {"activation": "softmax"}),
        (TypeError, r"^linear: .*float32", {"x": np.ones((4, 3), np.float32)}),
        (TypeError, r"^linear: .*float32", {"bias": np.ones(5, np.float32)}),
        (TypeError, r"^linear: .*int64", {"x": np.ones((4, 3), np.int64)}),
        (ValueError, r"^linear: out.*\(4, 4\)", {"out": np.ones((4, 4))}),
        (TypeError, r"^linear: out.*float32", {"out": np.ones((4, 5), np.float32)}),
        (ValueError, r"^linear: out.*read-only", {"out": read_only(np.ones((4, 5)))}),
        (ValueError, r"^linear: preactivation.*\(4, 4\)", {"preactivation": np.ones((4, 4))}),
        (TypeError, r"^linear: preactivation.*float32", {"preactivation": np.ones((4, 5), np.float32)}),
        (ValueError, r"^linear: preactivation.*read-only", {"preactivation": read_only(np.ones((4, 5)))}),
    ],
)
def test_errors(error, message, change):
    good = {"x": np.ones((4, 3)), "weight": np.ones((5, 3)), "bias": np.ones(5)}
    with pytest.raises(error, match=message):
        kernels.linear(**(good | change))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"^linear_backward: .*\(4, 4\)", {"dy": np.ones((4, 4))}),
        (ValueError, r"^linear_backward: .*\(4, 2\)", {"x": np.ones((4, 2))}),
        (TypeError, r"^linear_backward: .*float32", {"dy": np.ones((4, 5), np.float32)}),
        (ValueError, r"^linear_backward: activation .*'softmax'", {"activation": "softmax", "saved": np.ones((4, 5))}),
        (ValueError, r"^linear_backward: .*saved", {"activation": "gelu"}),
        (ValueError, r"^linear_backward: saved.*\(5, 4\)", {"activation": "relu", "saved": np.ones((5, 4))}),
    ],
)
def test_backward_errors(error, message, change):
    good = {"dy": np.ones((4, 5)), "x": np.ones((4, 3)), "weight": np.ones((5, 3))}
    with pytest.raises(error, match=message):
        kernels.linear_backward(**(good | change))
