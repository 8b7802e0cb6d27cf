"""Tests of kernels.reduction."""

import itertools
import os
import re
import subprocess
import sys
import tracemalloc

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import kernels
import kernels.reduction
from kernels import machine
from tests.checking import LAYOUTS, Operation, absolute_scale, assert_close, check, check_finite_differences, guarded

# Arguments are (x, dim, keepdim) or (x, dim); the backward of each takes what `saved` makes of them.
SUM = Operation("reduction", "sum", torch.sum, lambda a, y: [a[0].shape, *a[1:]], scale=absolute_scale)
MEAN = Operation("reduction", "mean", torch.mean, lambda a, y: [a[0].shape, *a[1:]], scale=absolute_scale)
MAX = Operation("reduction", "max", torch.max, lambda a, y: [*a, y[1]])
MAX_OF_ALL = Operation("reduction", "max", torch.max, lambda a, y: a)
ARGMAX = Operation("reduction", "argmax", torch.argmax)
SOFTMAX = Operation(
    "reduction",
    "softmax",
    torch.softmax,
    lambda a, y: [y, *a[1:]],
    scale=lambda operation, a, dy, options: [None, softmax_gradient_scale(operation.reference.softmax(*a), dy, a[1])],
)
LOG_SOFTMAX = Operation(
    "reduction",
    "log_softmax",
    torch.log_softmax,
    lambda a, y: [y, *a[1:]],
    scale=lambda operation, a, dy, options: [None, log_gradient_scale(operation.reference.log_softmax(*a), dy, a[1])],
)
LOGSUMEXP = Operation(
    "reduction",
    "logsumexp",
    torch.logsumexp,
    lambda a, y: [a[0], y, *a[1:]],
    scale=lambda operation, a, dy, options: [
        operation.reference.logsumexp(np.abs(a[0]), *a[1:]),
        np.abs(a[0]).max(initial=0),
    ],
)
ROWWISE = [SOFTMAX, LOG_SOFTMAX]
each_rowwise = pytest.mark.parametrize("operation", ROWWISE, ids=lambda operation: operation.name)

SIZES = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1000]
SHAPES = [((n,), 0) for n in SIZES] + [((3, n), 1) for n in SIZES] + [((n, 5), 0) for n in SIZES]
SHAPES += [((2, n, 3), 1) for n in (1, 7, 16, 33)] + [((2, 5, 33), -1), ((33, 2, 5), 0), ((4, 3, 2, 6), -2)]
SHAPES += [((300, 17), 1), ((300, 17), 0), ((7, 40, 65), 1)]
EMPTY = [((0, 4), 1), ((3, 0, 2), 2), ((2, 3, 0), 0)]  # nothing to reduce to
each_shape = pytest.mark.parametrize(("shape", "dim"), SHAPES + EMPTY, ids=str)
DIMS = [None, 0, 1, -1, (0, 1), (0, 2), (1, 2), (-1, -3), (2, 1, 0), ()]


def normal(rng, shape, dtype):
    return np.asarray(2 * rng.standard_normal(shape)).astype(dtype)


def softmax_gradient_scale(y, dy, dim):
    return y * (np.abs(dy) + np.sum(np.abs(dy) * y, axis=dim, keepdims=True))


def log_gradient_scale(y, dy, dim):
    return np.abs(dy) + np.exp(y) * (1 + np.abs(y)) * np.sum(np.abs(dy), axis=dim, keepdims=True)


def count(shape, dim):
    axes = range(len(shape)) if dim is None or dim == () else dim if isinstance(dim, tuple) else (dim,)
    return int(np.prod([shape[axis] for axis in axes]))


def check_all(x, dim):
    """Every operation along one dimension."""
    n = x.shape[dim]
    for keepdim in (False, True):
        for operation in (SUM, MEAN, LOGSUMEXP):
            check(operation, x, dim, keepdim, lengths=[n, 1])
        for operation in (MAX, ARGMAX):
            check(operation, x, dim, keepdim)
    for operation in ROWWISE:
        check(operation, x, dim, lengths=n)


@each_shape
def test_one_dimension(rng, dtype, shape, dim):
    check_all(normal(rng, shape, dtype), dim)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("shape", [(3, 4, 5), (17, 2, 33)], ids=str)
def test_several_dimensions(rng, dtype, shape, dim, keepdim):
    x = normal(rng, shape, dtype)
    n = count(shape, dim)
    check(SUM, x, dim, keepdim, lengths=[n, 1])
    check(MEAN, x, dim, keepdim, lengths=[n, 1])
    if dim not in (None, ()):  # of which PyTorch makes no logsumexp
        check(LOGSUMEXP, x, dim, keepdim, lengths=[n, 1])


@pytest.mark.parametrize("size", [*SIZES, 4099])
def test_everything(rng, dtype, size):
    for shape in [(size,), (size, 3)]:
        x = normal(rng, shape, dtype)
        for operation in (SUM, MEAN):
            check(operation, x, lengths=[x.size, 1])
        check(MAX_OF_ALL, x)
        check(ARGMAX, x)
        assert all(type(f(x)) is np.ndarray and f(x).shape == () for f in (kernels.sum, kernels.mean, kernels.max))


def test_scalar(dtype):
    x = np.array(1.5, dtype)
    for operation in (SUM, MEAN, MAX_OF_ALL, ARGMAX):
        check(operation, x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(rng, dtype, layout):
    x = LAYOUTS[layout](normal(rng, (6, 17, 9), dtype))
    for dim in range(3):
        check_all(x, dim)
    for operation in (SUM, MEAN, MAX_OF_ALL):
        check(operation, x, lengths=[x.size, 1])


@hypothesis.given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    dim=st.integers(-4, 3),
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(shape, dim, layout, dtype, seed):
    hypothesis.assume(-len(shape) <= dim < len(shape))
    check_all(LAYOUTS[layout](normal(np.random.default_rng(seed), shape, dtype)), dim)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_finite_differences(rng, dim):
    x = normal(rng, (2, 3, 4), np.float64)
    for operation in (SUM, MEAN, MAX, LOGSUMEXP):
        check_finite_differences(operation, x, dim, True)
    for operation in (MAX_OF_ALL, SUM, MEAN):
        check_finite_differences(operation, x)
    for operation in ROWWISE:
        check_finite_differences(operation, x, dim)
    check_finite_differences(LOGSUMEXP, x, (0, dim) if dim else 0)


def test_logsumexp_of_everything(rng, dtype):
    x = normal(rng, (3, 17), dtype)
    flat = kernels.logsumexp(x.reshape(-1), 0)
    np.testing.assert_allclose(kernels.logsumexp(x, None), flat, rtol=1e-6)
    np.testing.assert_allclose(kernels.logsumexp(x, (0, 1), True), flat.reshape(1, 1), rtol=1e-6)


def test_logsumexp_of_a_scalar(dtype):
    x = np.array(2.5, dtype)
    y = kernels.logsumexp(x, 0)
    dx = kernels.logsumexp_backward(np.array(3, dtype), x, y, 0)
    assert y == x
    assert dx == 3
    assert y.shape == dx.shape == ()


# --- ties, empty slices, infinities and NaN -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 16, 40])
def test_first_of_equal_maxima_wins(dtype, size):
    x = np.zeros((2, size), dtype)
    x[0, 1] = x[0, size - 1] = 5
    for dim, expected in [(1, [1, 0]), (-1, [1, 0])]:
        np.testing.assert_array_equal(kernels.argmax(x, dim), expected)
        np.testing.assert_array_equal(kernels.max(x, dim)[1], expected)
    assert kernels.argmax(x) == 1
    np.testing.assert_array_equal(kernels.argmax(x, 0)[:2], [0, 0])


def test_gradient_of_the_maximum_of_all_is_shared_among_ties(dtype):
    x = np.array([[1, 3, 3], [0, 3, 2]], dtype)
    check(MAX_OF_ALL, x)
    dx = kernels.max_backward(np.asarray(dtype(6)), x)
    np.testing.assert_array_equal(dx, [[0, 2, 2], [0, 2, 0]])


def test_gradient_of_max_without_indices_goes_to_the_first(dtype):
    x = np.array([[1, 3, 3], [4, 3, 2]], dtype)
    np.testing.assert_array_equal(kernels.max_backward(np.array([5, 7], dtype), x, 1), [[0, 5, 0], [7, 0, 0]])
    np.testing.assert_array_equal(kernels.max_backward(np.array([[5], [7]], dtype), x, 1, True), [[0, 5, 0], [7, 0, 0]])


def test_zero_length_reductions(dtype):
    x = np.zeros((3, 0), dtype)
    for operation in (SUM, MEAN, LOGSUMEXP):
        check(operation, x, 1, False)
    np.testing.assert_array_equal(kernels.sum(x, 1), np.zeros(3, dtype))
    np.testing.assert_array_equal(kernels.mean(x, 1), np.full(3, np.nan, dtype))
    np.testing.assert_array_equal(kernels.logsumexp(x, 1), np.full(3, -np.inf, dtype))
    assert kernels.sum(x) == 0 and np.isnan(kernels.mean(x))
    for operation in ROWWISE:
        check(operation, x, 1)


@pytest.mark.parametrize("size", [4, 16, 33, 100])
@pytest.mark.parametrize("dim", [0, 1])
def test_specials(dtype, size, dim):
    """One special at the end of each slice, and slices that are nothing but infinite."""
    rows = np.tile(np.linspace(-1, 1, size, dtype=dtype), (7, 1))
    rows[0, -1], rows[1, -1], rows[2, -1] = np.nan, np.inf, -np.inf
    rows[3], rows[4] = -np.inf, np.inf
    rows[5, : size - 1] = -np.inf
    x = rows if dim == 1 else np.ascontiguousarray(rows.T)
    for operation in (SUM, MEAN, MAX):
        check(operation, x, dim, False, lengths=[size, 1])
    for operation in ROWWISE:
        check(operation, x, dim, lengths=size)
    check(ARGMAX, x, dim)
    np.testing.assert_array_equal(kernels.argmax(x, dim)[:6], [size - 1, size - 1, size - 2, 0, 0, size - 1])
    y = kernels.logsumexp(x, dim)
    assert np.isnan(y[0]) and y[1] == np.inf and np.isfinite(y[2]) and y[3] == -np.inf and y[4] == np.inf
    assert np.isclose(y[5], 1)
    assert np.isnan(kernels.max(x)) and kernels.max(x[1:] if dim else x[:, 1:]) == np.inf


def test_softmax_of_large_values_does_not_overflow(dtype):
    x = np.array([[1e4, 1e4 + 1, -1e4], [-1e4, -1e4, -1e4]], dtype)
    for operation in ROWWISE:
        check(operation, x, 1)
    check(LOGSUMEXP, x, 1, False)
    # the logarithm is small beside the maximum, which must not swallow it
    np.testing.assert_allclose(kernels.log_softmax(x, 1)[0, :2], [-1.31326169, -0.31326169], rtol=1e-6)


def test_denormals_are_kept(dtype):
    x = np.full((3, 40), np.finfo(dtype).smallest_subnormal, dtype)
    np.testing.assert_array_equal(kernels.sum(x, 1), 40 * np.finfo(dtype).smallest_subnormal)
    np.testing.assert_array_equal(kernels.max(x, 1)[0], np.finfo(dtype).smallest_subnormal)
    y = np.full((2, 3), np.finfo(dtype).smallest_normal / 4, dtype)
    np.testing.assert_array_equal(kernels.mean(y, 1), y[:, 0])


# --- accuracy, threads, foreign arrays ------------------------------------------------------------------------------


def test_float32_error_is_at_most_that_of_torch(rng):
    x = normal(rng, (64, 5000), np.float32)
    ones = np.full((2, 100_000), 0.1, np.float32)
    for operation, arguments in [
        (SUM, (x, 1)),
        (SUM, (ones, 1)),
        (SUM, (x, 0)),
        (MEAN, (x, 1)),
        (LOGSUMEXP, (x, 1)),
        (SOFTMAX, (x, 1)),
        (SOFTMAX, (x, 0)),
        (LOG_SOFTMAX, (x, 1)),
        (LOG_SOFTMAX, (x, 0)),
    ]:
        exact = getattr(operation.reference, operation.name)(arguments[0].astype(np.float64), *arguments[1:])
        actual = getattr(kernels, operation.name)(*arguments)
        peer = operation.peer(torch.from_numpy(arguments[0]), *arguments[1:]).numpy()
        error, peer_error = (np.sqrt(np.mean((y - exact) ** 2)) for y in (actual, peer))
        assert error <= max(1.5 * peer_error, np.finfo(np.float32).eps * np.abs(exact).max()), operation.name


def test_long_sums_do_not_drift():
    x = np.full(1_000_000, 0.1, np.float32)
    np.testing.assert_allclose(kernels.sum(x), 1e6 * float(np.float32(0.1)), rtol=2e-6)
    np.testing.assert_allclose(kernels.mean(x), 0.1, rtol=2e-6)


@pytest.mark.parametrize("shape", [(3000, 64), (300, 1000), (700, 65), (50, 40, 30)])
@pytest.mark.parametrize("name", ["softmax_backward", "log_softmax_backward"])
def test_results_larger_than_the_cache(monkeypatch, rng, dtype, name, shape, at_thread_counts):
    """Non-temporal stores give the same bits; rows of 65 are not aligned and must not be streamed."""
    dy, y = rng.standard_normal((2, *shape)).astype(dtype)
    backward = getattr(kernels, name)
    expected = [backward(dy, y, dim).tobytes() for dim in (-1, 0)]
    monkeypatch.setattr("kernels.reduction.blocks.cache_bytes", lambda level: 1024)
    for found in at_thread_counts(lambda: [backward(dy, y, dim).tobytes() for dim in (-1, 0)]):
        assert found == expected


@pytest.mark.parametrize(
    ("shape", "dim"), [((2000, 257), 1), ((257, 2000), 0), ((3, 300_001), 1), ((40, 300, 33), 1)], ids=str
)
def test_same_bits_at_any_thread_count(rng, dtype, shape, dim, at_thread_counts):
    x = normal(rng, shape, dtype)

    def everything():
        y, log_y, total = kernels.softmax(x, dim), kernels.log_softmax(x, dim), kernels.logsumexp(x, dim)
        yield from (y, log_y, total, *kernels.max(x, dim), kernels.argmax(x, dim))
        yield from (kernels.sum(x, dim), kernels.mean(x, dim), kernels.sum(x), kernels.mean(x), kernels.max(x))
        yield from (kernels.softmax_backward(x, y, dim), kernels.log_softmax_backward(x, log_y, dim))
        yield from (kernels.logsumexp_backward(total, x, total, dim), kernels.max_backward(total, x, dim))
        yield from (kernels.sum_backward(total, shape, dim), kernels.mean_backward(total, shape, dim))

    one, two = at_thread_counts(lambda: [part.tobytes() for part in everything()])
    assert one == two


def test_torch_tensor_is_not_copied(rng, dtype):
    x = normal(rng, (200, 500), dtype)
    tensor = torch.from_numpy(x)
    for function in (kernels.sum, kernels.mean, kernels.argmax, kernels.max):
        assert function(tensor) == function(x)
        tracemalloc.start()
        function(tensor)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < x.nbytes / 4
    np.testing.assert_array_equal(kernels.softmax(tensor, 1), kernels.softmax(x, 1))


# --- variants and errors --------------------------------------------------------------------------------------------

DIMENSIONED = ["sum", "mean", "max", "argmax", "softmax", "log_softmax", "logsumexp"]
VARIANTS = [(name, variant) for name, variants in kernels.reduction.VARIANTS.items() for variant in variants]


def test_every_operation_has_variants():
    assert set(kernels.reduction.VARIANTS) == set(DIMENSIONED)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_variants(rng, dtype, name, variant):
    for shape in [(1, 1), (3, 2), (5, 17), (2, 64), (33, 33), (3, 1000)]:
        x = normal(rng, shape, dtype)
        expected = getattr(SUM.reference, name)(x.astype(np.float64), 1)
        expected = expected[0] if name == "max" else expected
        out = guarded(np.zeros(expected.shape, np.int64 if name == "argmax" else dtype))
        kernels.reduction.VARIANTS[name][variant](guarded(x), out)
        assert_close(out, expected, length=shape[1], scale=np.abs(x).max(), label=f"{name} {variant}")


@pytest.mark.parametrize("name", DIMENSIONED)
def test_errors_of_every_forward(name):
    function = getattr(kernels, name)
    for dim in (2, -3):
        with pytest.raises(ValueError, match=rf"^{name}: dim.*{dim}"):
            function(np.ones((3, 4)), dim)
    with pytest.raises(TypeError, match=rf"^{name}: .*int64"):
        function(np.ones((3, 4), np.int64), 1)
    with pytest.raises(TypeError, match=rf"^{name}: .*float16"):
        function(np.ones((3, 4), np.float16), 1)
    with pytest.raises(TypeError, match=rf"^{name}: dim.*float"):
        function(np.ones((3, 4)), 1.5)


@pytest.mark.parametrize("name", ["sum", "mean", "logsumexp"])
def test_a_dimension_given_twice(name):
    for dim in [(0, 0), (1, -1)]:
        with pytest.raises(ValueError, match=rf"^{name}: dim"):
            getattr(kernels, name)(np.ones((3, 4)), dim)


@pytest.mark.parametrize("name", ["max", "argmax"])
def test_maximum_of_nothing(name):
    function = getattr(kernels, name)
    with pytest.raises(ValueError, match=rf"^{name}: .*\(3, 0\)"):
        function(np.ones((3, 0)), 1)
    with pytest.raises(ValueError, match=rf"^{name}: .*\(3, 0\)"):
        function(np.ones((3, 0)))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("softmax_backward", (np.ones((3, 4)),)),
        ("log_softmax_backward", (np.ones((3, 4)),)),
        ("sum_backward", ((3, 4), 1)),
        ("mean_backward", ((3, 4), 1)),
        ("max_backward", (np.ones((3, 4)), 1)),
        ("logsumexp_backward", (np.ones((3, 4)), np.ones(3), 1)),
    ],
)
def test_gradient_of_another_shape(name, arguments):
    for shape in [(5,), (3, 5)]:
        with pytest.raises(ValueError, match=rf"^{name}: .*{re.escape(str(shape))}"):
            getattr(kernels, name)(np.ones(shape), *arguments)


@pytest.mark.parametrize("name", ["softmax_backward", "log_softmax_backward"])
def test_gradient_of_another_dtype(name):
    with pytest.raises(TypeError, match=rf"^{name}: .*float32"):
        getattr(kernels, name)(np.ones((3, 4), np.float32), np.ones((3, 4)))


@pytest.mark.parametrize("index", [-1, 4])
def test_indices_of_max_are_checked(index):
    x = np.ones((3, 4))
    with pytest.raises(IndexError, match=rf"^max_backward: .*{index}"):
        kernels.max_backward(np.ones(3), x, 1, indices=np.array([0, index, 1]))


def compare_rows():
    """Sums and means of 37 rows, together and one by one."""
    for dtype, n in itertools.product((np.float32, np.float64), (1, 3, 16, 100, 511, 700)):
        x = np.random.default_rng(n).standard_normal((37, n)).astype(dtype)
        for function in (kernels.sum, kernels.mean):
            alone = np.concatenate([function(row[None], 1) for row in x])
            np.testing.assert_array_equal(function(x, 1), alone)


@pytest.mark.parametrize("lanes", sorted({4, machine.lanes(np.float32)}))
def test_rows_do_not_depend_on_their_number(lanes):
    """Also not on whether they are added in groups; with narrow vectors, too, where the compiler chooses otherwise."""
    if lanes == machine.lanes(np.float32):
        compare_rows()
    else:
        command = [sys.executable, "-c", "from tests.test_reduction import compare_rows; compare_rows()"]
        run = subprocess.run(
            command, env=os.environ | {machine.LANES_VARIABLE: str(lanes)}, capture_output=True, text=True, timeout=600
        )
        assert run.returncode == 0, run.stderr[-3000:]
