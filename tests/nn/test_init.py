"""Initial weights: the distributions of torch.nn.init, and its exact values if nothing is random."""

import inspect
import math

import numpy as np
import pytest
import torch

import nn
from nn import init

NAMES = [name for name in torch.nn.init.__all__ if name.endswith("_") or name == "calculate_gain"]
SHAPE = (60, 40, 3, 3)


def empty(*shape, dtype=np.float32):
    return nn.Parameter(np.full(shape, np.nan, dtype))


def assert_same_distribution(ours, theirs):
    """Two samples: mean and spread within 3 % of the spread, and Kolmogorov-Smirnov does not reject at 1e-4."""
    a, b = np.sort(ours.array.ravel()), np.sort(theirs.detach().numpy().ravel())
    np.testing.assert_allclose([a.mean(), a.std()], [b.mean(), b.std()], rtol=0, atol=0.03 * b.std())
    both = np.concatenate([a, b])
    distance = np.abs(np.searchsorted(a, both, "right") / a.size - np.searchsorted(b, both, "right") / b.size).max()
    assert distance < 2.23 * math.sqrt((a.size + b.size) / (a.size * b.size))


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults_equal_torch(name):
    def signature(function):
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]

    assert signature(getattr(init, name)) == signature(getattr(torch.nn.init, name))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform_", {}),
        ("uniform_", {"a": -3.0, "b": -1.0}),
        ("normal_", {}),
        ("normal_", {"mean": 2.0, "std": 0.5}),
        ("trunc_normal_", {}),
        ("trunc_normal_", {"mean": 1.0, "std": 2.0, "a": -1.0, "b": 4.0}),
        ("trunc_normal_", {"a": 1.5, "b": 3.0}),
        ("trunc_normal_", {"std": 5.0, "a": -0.5, "b": 1.0}),
        ("xavier_uniform_", {}),
        ("xavier_uniform_", {"gain": 5 / 3}),
        ("xavier_normal_", {"gain": 2.0}),
        ("kaiming_uniform_", {}),
        ("kaiming_uniform_", {"a": math.sqrt(5)}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {}),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "tanh"}),
    ],
    ids=str,
)
def test_distribution_equals_torch(name, options, dtype):
    generator, twin = np.random.default_rng(1), torch.Generator().manual_seed(1)
    ours = getattr(init, name)(empty(*SHAPE, dtype=dtype), **options, generator=generator)
    theirs = getattr(torch.nn.init, name)(torch.empty(SHAPE, dtype=torch.float64), **options, generator=twin)
    assert ours.dtype == dtype
    assert_same_distribution(ours, theirs)


def test_the_distribution_test_can_tell_a_wrong_scale():
    ours = init.normal_(empty(*SHAPE), std=1.04, generator=np.random.default_rng(1))
    theirs = torch.empty(SHAPE).normal_(generator=torch.Generator().manual_seed(1))
    with pytest.raises(AssertionError):
        assert_same_distribution(ours, theirs)


@pytest.mark.parametrize(("a", "b"), [(-2.0, 2.0), (1.5, 1.6), (5.0, 6.0), (-0.1, 3.0)])
def test_truncated_normal_stays_within_its_bounds(a, b, dtype):
    w = init.trunc_normal_(empty(5000, dtype=dtype), a=a, b=b).array
    assert w.min() >= dtype(a) and w.max() <= dtype(b)


@pytest.mark.parametrize(
    "draw",
    [
        init.uniform_,
        init.normal_,
        init.trunc_normal_,
        init.xavier_uniform_,
        init.xavier_normal_,
        init.kaiming_uniform_,
        init.kaiming_normal_,
        init.orthogonal_,
        lambda w: init.sparse_(w, 0.3),
    ],
)
def test_seeded_and_different_at_each_draw(draw):
    nn.manual_seed(7)
    first, second = draw(empty(20, 10)).array, draw(empty(20, 10)).array
    nn.manual_seed(7)
    np.testing.assert_array_equal(draw(empty(20, 10)).array, first)
    assert (first != second).any()


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("constant_", (3, 4), (0.3,)),
        ("ones_", (3, 4), ()),
        ("zeros_", (5,), ()),
        ("eye_", (3, 5), ()),
        ("eye_", (5, 3), ()),
        ("dirac_", (6, 4, 5), ()),
        ("dirac_", (4, 6, 3, 4), ()),
        ("dirac_", (6, 2, 3, 3), (3,)),
        ("dirac_", (4, 4, 3, 1, 2), (2,)),
    ],
)
def test_values_equal_torch(name, shape, arguments, dtype):
    w = empty(*shape, dtype=dtype)
    assert getattr(init, name)(w, *arguments) is w
    expected = getattr(torch.nn.init, name)(torch.empty(shape, dtype=torch.float64), *arguments)
    np.testing.assert_array_equal(w.array, expected.numpy().astype(dtype))
    assert w.dtype == dtype and w.requires_grad


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (8, 2, 3), (1, 5)])
def test_orthogonal(shape):
    w = init.orthogonal_(empty(*shape, dtype=np.float64), gain=3.0).array.reshape(shape[0], -1) / 3
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-13)


def test_orthogonal_is_uniform_over_rotations_and_reflections():
    generator = np.random.default_rng(3)
    entries = [init.orthogonal_(empty(2, 2, dtype=np.float64), generator=generator).array for _ in range(400)]
    angles = np.array([math.atan2(q[0, 1], q[0, 0]) for q in entries])
    assert np.abs(np.histogram(angles, bins=4, range=(-math.pi, math.pi))[0] - 100).max() < 40
    assert 130 < sum(np.linalg.det(q) > 0 for q in entries) < 270


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.0, 0), (0.25, 3), (0.26, 3), (1.0, 10)])
def test_sparse(sparsity, zeros):
    w = init.sparse_(empty(10, 300, dtype=np.float64), sparsity, std=0.5).array
    np.testing.assert_array_equal((w == 0).sum(axis=0), zeros)
    if zeros < 10:
        assert abs(w[w != 0].std() / 0.5 - 1) < 0.1
    if 0 < zeros < 10:
        assert (np.abs((w == 0).mean(axis=1) - zeros / 10) < 0.15).all(), "the rows of the zeros are not uniform"


@pytest.mark.parametrize(
    ("nonlinearity", "param"),
    [
        *[(name, None) for name in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid", "tanh", "relu", "selu")],
        *[(f"conv_transpose{d}d", None) for d in (1, 2, 3)],
        ("leaky_relu", None),
        ("leaky_relu", 0.2),
        ("leaky_relu", 1),
    ],
)
def test_gain_equals_torch(nonlinearity, param):
    assert init.calculate_gain(nonlinearity, param) == torch.nn.init.calculate_gain(nonlinearity, param)


def test_a_transposed_view_is_filled_in_place():
    w = empty(3, 5)
    view = nn.Tensor(w.array.T)
    init.kaiming_uniform_(view)
    assert np.isfinite(w.array).all()


def test_backward_through_weights_that_were_initialised_meanwhile_is_an_error():
    w = nn.Parameter([[2.0]])
    loss = (w * w).sum()
    init.ones_(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize("fill", [init.kaiming_uniform_, init.kaiming_normal_])
def test_no_elements(fill):
    with pytest.warns(UserWarning, match="zero-element"):
        assert fill(empty(0, 3)).shape == (0, 3)
    assert init.orthogonal_(empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.xavier_uniform_(empty(3)), r"need at least 2 dimensions, the tensor is \(3,\)"),
        (lambda: init.xavier_normal_(empty(3)), r"need at least 2 dimensions, the tensor is \(3,\)"),
        (lambda: init.kaiming_uniform_(empty(3)), r"need at least 2 dimensions, the tensor is \(3,\)"),
        (lambda: init.kaiming_normal_(empty(3, 2), mode="fan"), "mode must be 'fan_in' or 'fan_out', got 'fan'"),
        (lambda: init.kaiming_normal_(empty(3, 2), nonlinearity="gelu"), "nonlinearity must be .* got 'gelu'"),
        (lambda: init.calculate_gain("leaky_relu", True), "slope of leaky_relu must be a number, got True"),
        (lambda: init.eye_(empty(3)), r"eye_: needs 2 dimensions, the tensor is \(3,\)"),
        (lambda: init.sparse_(empty(3), 0.1), r"sparse_: needs 2 dimensions, the tensor is \(3,\)"),
        (lambda: init.dirac_(empty(3, 3)), r"dirac_: needs 3, 4 or 5 dimensions, the tensor is \(3, 3\)"),
        (lambda: init.dirac_(empty(4, 1, 3), 3), "groups must divide the output channels, got 3 groups and 4 channels"),
        (lambda: init.orthogonal_(empty(3)), r"orthogonal_: needs at least 2 dimensions, the tensor is \(3,\)"),
        (lambda: init.trunc_normal_(empty(3), a=1, b=0), "trunc_normal_: a must not be above b, got a = 1, b = 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
