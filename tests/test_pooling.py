"""Tests of kernels.pooling."""

import functools
import math
import re

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
import kernels.pooling
from tests.checking import LAYOUTS, Operation, absolute_scale, assert_close, check, check_finite_differences, guarded

DIMS = (1, 2, 3)
SHAPES = {1: (2, 3, 19), 2: (2, 3, 9, 20), 3: (2, 2, 5, 6, 18)}


def every(name, saved, **settings):
    """The operations name1d, name2d and name3d."""
    return {d: Operation("pooling", f"{name}{d}d", getattr(F, f"{name}{d}d"), saved, **settings) for d in DIMS}


# Arguments are x and all of the forward's; the backward of each takes what `saved` makes of them.
MAX = every("max_pool", lambda a, y: [a[0].shape, y[1], *a[1:6]])
AVERAGE = every("avg_pool", lambda a, y: [a[0].shape, *a[1:]], scale=absolute_scale)
POWER = every("lp_pool", lambda a, y: [a[0], y, *a[1:]])
ADAPTIVE_AVERAGE = every("adaptive_avg_pool", lambda a, y: [a[0].shape], scale=absolute_scale)
ADAPTIVE_MAX = every("adaptive_max_pool", lambda a, y: [a[0].shape, y[1]])
UNPOOL = every("max_unpool", lambda a, y: [a[1]])
UNFOLD = Operation("pooling", "unfold", F.unfold, lambda a, y: [a[0].shape, *a[1:]])
FOLD = Operation("pooling", "fold", F.fold, lambda a, y: [a[0].shape, *a[2:]], scale=absolute_scale)
INTERPOLATE = Operation("pooling", "interpolate", F.interpolate, lambda a, y: [a[0].shape, *a[1:]])

WINDOWS = [  # kernel_size, stride, padding, dilation, ceil_mode
    (2, 2, 0, 1, False),
    (3, 2, 1, 1, False),
    (3, 2, 1, 1, True),
    (4, 2, 2, 1, False),
    (1, 2, 0, 1, True),
    (3, 1, 1, 1, False),
    (2, 1, 0, 1, False),
    (5, 3, 2, 1, True),
    (2, 4, 1, 1, False),
    (3, 2, 1, 2, False),
    (2, 1, 1, 3, True),
]


def normal(rng, shape, dtype):
    """Rounded, so that there are ties."""
    return np.asarray(np.round(rng.standard_normal(shape) * 2, 1)).astype(dtype)


def check_max(dims, x, *window):
    check(MAX[dims], x, *window, True, lengths=16)
    y, numbers = getattr(kernels, f"max_pool{dims}d")(x, *window, "window")
    pair = getattr(kernels, f"max_pool{dims}d")(x, *window, True)
    np.testing.assert_array_equal(y, pair[0])
    np.testing.assert_array_equal(y, getattr(kernels, f"max_pool{dims}d")(x, *window))
    backward = getattr(kernels, f"max_pool{dims}d_backward")
    dy = np.random.default_rng(0).integers(-9, 9, y.shape).astype(x.dtype)
    for end in ("front", "back"):
        places = (guarded(dy, end), x.shape, guarded(numbers, end))
        np.testing.assert_array_equal(backward(*places, *window), backward(dy, x.shape, pair[1], *window))


def fits(shape, window):
    """Whether PyTorch has the pooling at all, and with a place for each result."""
    kernel, _, padding, dilation, _ = window
    smallest = min(shape[2:])
    return smallest + 2 * padding >= dilation * (kernel - 1) + 1 and (dilation == 1 or padding < smallest)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("dims", DIMS)
def test_max_pool(rng, dtype, dims, window):
    if not fits(SHAPES[dims], window):
        pytest.skip("the window does not fit")
    check_max(dims, normal(rng, SHAPES[dims], dtype), *window)


@pytest.mark.parametrize("window", [w for w in WINDOWS if w[3] == 1], ids=str)
@pytest.mark.parametrize("dims", DIMS)
def test_avg_pool(rng, dtype, dims, window):
    kernel, stride, padding, _, ceil = window
    if not fits(SHAPES[dims], window):
        pytest.skip("the window does not fit")
    x = normal(rng, SHAPES[dims], dtype)
    for include in (True, False):
        check(AVERAGE[dims], x, kernel, stride, padding, ceil, include, lengths=kernel**dims)
        if dims > 1:
            check(AVERAGE[dims], x, kernel, stride, padding, ceil, include, 7, lengths=kernel**dims)


@pytest.mark.parametrize("width", [2, 3, 15, 16, 17, 31, 32, 33, 34, 64, 67])
@pytest.mark.parametrize("ceil", [False, True])
def test_avg_pool_backward_of_windows_side_by_side(rng, dtype, at_thread_counts, width, ceil):
    """The loops for 2 x 2 windows give what the definition does, within the arrays, on any number of threads."""
    shape = (2, 3, 7, width)
    w = kernels.pooling.windows.windows("test", shape, 2, 2, None, 0, 1, ceil)
    sizes = np.array([(1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)])
    for include, divisor in ((True, None), (False, None), (True, 7)):
        dy, expected = normal(rng, w.shape, dtype), np.empty(w.source, dtype)
        naive = kernels.pooling.VARIANTS["avg_pool_backward"]["naive"]
        naive(dy.reshape(w.result), sizes, include, divisor or 0, expected)
        dx = kernels.avg_pool2d_backward(dy, shape, 2, None, 0, ceil, include, divisor)
        np.testing.assert_allclose(dx, expected.reshape(shape), rtol=2 * np.finfo(dtype).eps)
        for end in ("front", "back"):
            dx = guarded(np.full(w.source, 77, dtype), end)
            arguments = guarded(dy.reshape(w.result), end), sizes, include, divisor or 0, dx
            kernels.pooling.average_loops.avg_pool_backward_pairs(arguments, 2 * 3 * 4, 5, 1)
            np.testing.assert_allclose(dx, expected, rtol=2 * np.finfo(dtype).eps)
    dy = normal(rng, (4, 40, 30, width), dtype)
    one, two = at_thread_counts(lambda: kernels.avg_pool2d_backward(dy, (4, 40, 60, 2 * width), 2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("width", [1, 2, 7, 15, 16, 17, 31, 32, 33, 47, 64, 65])
def test_widths_around_the_vector(rng, dtype, width):
    for window in [
        (2, 2, 0, 1, False),
        (3, 2, 1, 1, False),
        (3, 1, 1, 1, False),
        (4, 2, 2, 1, True),
        (3, 3, 1, 1, True),
    ]:
        if width + 2 * window[2] >= window[0]:
            x = normal(rng, (1, 2, 5, width), dtype)
            check_max(2, x, *window)
            kernel, stride, padding, _, ceil = window
            check(AVERAGE[2], x, kernel, stride, padding, ceil, False, lengths=16)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "lp_pool2d"])
def test_a_number_for_each_dimension(rng, dtype, name):
    x = np.abs(normal(rng, (2, 9, 14), dtype)) + dtype(0.5)
    window = ((3, 2), (1, 3))
    if name == "max_pool2d":
        check_max(2, x, *window, (1, 0), (1, 2), False)
    elif name == "avg_pool2d":
        check(AVERAGE[2], x, *window, (1, 0), lengths=6)
    else:
        check(POWER[2], x, 3.0, *window, lengths=6)


@pytest.mark.parametrize("norm_type", [1, 2, 3.0, 0.5])
@pytest.mark.parametrize("dims", DIMS)
def test_lp_pool(rng, dtype, dims, norm_type):
    x = np.abs(normal(rng, SHAPES[dims], dtype)) + dtype(0.5)
    for kernel, stride, ceil in [(2, None, False), (3, 2, True), (2, 1, False)]:
        check(POWER[dims], x, norm_type, kernel, stride, ceil, lengths=4 * kernel**dims)


@pytest.mark.parametrize("dims", DIMS)
def test_lp_pool_of_infinite_order_is_the_largest_magnitude(rng, dtype, dims):
    x = normal(rng, SHAPES[dims], dtype)
    for kernel, stride, ceil in [(2, None, False), (3, 2, True), (2, 1, False)]:
        check(POWER[dims], x, math.inf, kernel, stride, ceil)


def test_lp_pool_of_numbers_whose_powers_are_none():
    """PyTorch 2.13 has infinities and zeros here."""
    x = np.float32([[[3e20, 4e20, 3e-30, 4e-30, 0, 0, 5, 12]]])
    y = kernels.lp_pool1d(x, 2, 2)
    np.testing.assert_allclose(y, [[[5e20, 5e-30, 0, 13]]], rtol=1e-6)
    dx = kernels.lp_pool1d_backward(np.ones_like(y), x, y, 2, 2)
    np.testing.assert_allclose(dx, [[[0.6, 0.8, 0.6, 0.8, 0, 0, 5 / 13, 12 / 13]]], rtol=1e-6)
    np.testing.assert_allclose(
        kernels.lp_pool1d(x, 5.0, 2)[0, 0, :2],
        [3e20 * (1 + (4 / 3) ** 5) ** 0.2, 3e-30 * (1 + (4 / 3) ** 5) ** 0.2],
        rtol=1e-6,
    )


def test_averages_of_sums_that_are_too_large():
    x = np.full((1, 2, 6, 40), 3e38, np.float32)
    expected = np.float32(3e38)
    for y in (
        kernels.avg_pool2d(x, 3),
        kernels.avg_pool2d(x, 2, 1),
        kernels.avg_pool2d(x, (2, 17), (1, 16)),
        kernels.adaptive_avg_pool2d(x, 3),
        kernels.adaptive_avg_pool2d(x, 1),
        kernels.adaptive_avg_pool2d(x[..., :3, :3], 1),
    ):
        np.testing.assert_allclose(y, expected, rtol=1e-6)
    x[0, 0, 0, 0] = np.inf
    y = kernels.avg_pool2d(x, 2)
    assert np.isposinf(y[0, 0, 0, 0]) and np.isfinite(y).sum() == y.size - 1


def test_lp_pool_of_zeros_and_negative_numbers(dtype):
    x = np.array([[0, 0, -3, 4, 0, 1]], dtype)
    check(POWER[1], x, 2, 2)
    check(POWER[1], x, 1, 2)
    y = kernels.lp_pool1d(np.array([[-1.0, 0.0]], dtype), 3, 2)
    assert np.isnan(y).all()


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("size", [1, 3, 24])
def test_adaptive(rng, dtype, dims, size):
    x = normal(rng, SHAPES[dims], dtype)
    check(ADAPTIVE_AVERAGE[dims], x, size, lengths=x[0, 0].size)
    check(ADAPTIVE_MAX[dims], x, size, True, lengths=16)
    y = getattr(kernels, f"adaptive_max_pool{dims}d")
    np.testing.assert_array_equal(y(x, size), y(x, size, True)[0])


@pytest.mark.parametrize("size", [(1, 4), (3, None), (5, 1)], ids=str)
def test_adaptive_sizes(rng, dtype, size):
    for shape in [(2, 9, 20), (1, 2, 9, 20)]:
        check(ADAPTIVE_AVERAGE[2], normal(rng, shape, dtype), size, lengths=180)


def test_adaptive_to_nothing(dtype):
    x = np.ones((2, 3, 4, 5), dtype)
    for size in (0, (0, 2)):
        y, indices = kernels.adaptive_max_pool2d(x, size, True)
        assert y.shape == indices.shape == kernels.adaptive_avg_pool2d(x, size).shape
        assert y.size == 0
        assert not kernels.adaptive_avg_pool2d_backward(y, x.shape).any()
        assert not kernels.adaptive_max_pool2d_backward(y, x.shape, indices).any()


@pytest.mark.parametrize("plane", [(7, 7), (1, 1), (4, 4), (20, 20), (130, 70)], ids=str)
def test_global_average(rng, dtype, plane):
    check(ADAPTIVE_AVERAGE[2], normal(rng, (3, 5, *plane), dtype), 1, lengths=plane[0] * plane[1])


@pytest.mark.parametrize("dims", DIMS)
def test_unpool(rng, dtype, dims):
    shape = SHAPES[dims][:2] + (8,) * dims
    x = normal(rng, shape, dtype)
    y, indices = getattr(kernels, f"max_pool{dims}d")(x, 2, 2, 0, 1, False, True)
    check(UNPOOL[dims], y, indices, 2)
    check(UNPOOL[dims], y, indices, 2, None, 0, (9,) * dims)
    check(UNPOOL[dims], y[0], indices[0], 2, 2, 0, (1, *(9,) * dims)[1:])


PATCHES = [
    (2, 1, 0, 1),
    (3, 1, 1, 2),
    (3, 2, 2, 1),
    ((2, 3), (1, 2), (0, 3), (2, 1)),
    (2, 1, 1, 3),
    ((4, 1), 1, 5, (3, 2)),
]


@pytest.mark.parametrize("patch", PATCHES, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (2, 6, 35), (1, 1, 5, 16)], ids=str)
def test_unfold_and_fold(rng, dtype, shape, patch):
    x = normal(rng, shape, dtype)
    columns = check_unfold(x, *patch)
    check(FOLD, normal(rng, columns.shape, dtype), shape[-2:], *patch, lengths=16)


def check_unfold(x, *patch):
    check(UNFOLD, x, *patch, lengths=16)
    return kernels.unfold(x, *patch)


INTERPOLATIONS = [
    ("nearest", 1), ("nearest", 2), ("nearest", 3), ("nearest-exact", 2), ("linear", 1), ("bilinear", 2),
    ("trilinear", 3), ("bicubic", 2), ("area", 1), ("area", 2), ("area", 3),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "dims"), INTERPOLATIONS, ids=str)
def test_interpolate(rng, dtype, mode, dims):
    x = normal(rng, (2, 3, 5, 7, 9)[: 2 + dims], dtype)
    for size in [4, 7, tuple(range(9, 9 + dims)), 1]:
        check(INTERPOLATE, x, size, None, mode, lengths=64)
    for factor in (2, 0.5, 1.7):
        check(INTERPOLATE, x, None, factor, mode, lengths=64)
        check(INTERPOLATE, x, None, factor, mode, None, True, lengths=64)
    if mode.endswith(("linear", "cubic")):
        check(INTERPOLATE, x, 8, None, mode, True, lengths=64)
        check(INTERPOLATE, x, 1, None, mode, True, lengths=64)
        check(INTERPOLATE, x, None, 1.7, mode, True, lengths=64)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(2, 3, 7, 9), (1, 1, 1, 40), (2, 1, 17, 64)], ids=str)
def test_interpolate_with_antialias(rng, dtype, mode, shape):
    x = normal(rng, shape, dtype)
    for align_corners in (False, True):
        for size in [1, (2, 3), shape[2:], (5, 70), (19, 4)]:
            check(INTERPOLATE, x, size, None, mode, align_corners, None, True, lengths=256)
        for factor in (2, 1.7, (1.0, 1.3)):
            check(INTERPOLATE, x, None, factor, mode, align_corners, None, True, lengths=256)
    if min(shape[2:]) > 1:
        for factor in (0.5, 0.23, (0.15, 3.4)):
            check(INTERPOLATE, x, None, factor, mode, False, None, True, lengths=256)
            check(INTERPOLATE, x, None, factor, mode, True, None, True, lengths=256)
            check(INTERPOLATE, x, None, factor, mode, False, True, True, lengths=256)


def test_interpolate_with_antialias_of_any_layout(rng, dtype):
    for layout in LAYOUTS.values():
        x = layout(normal(rng, (2, 3, 9, 21), dtype))
        check(INTERPOLATE, x, (4, 5), None, "bilinear", False, None, True, lengths=64)
        check(INTERPOLATE, x, (12, 5), None, "bicubic", False, None, True, lengths=64)
    y = kernels.interpolate(x[:0], (4, 5), mode="bicubic", antialias=True)
    dx = kernels.interpolate_backward(y, x[:0].shape, (4, 5), mode="bicubic", antialias=True)
    assert y.shape == (0, 3, 4, 5) and dx.shape == (0, 3, 9, 21)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias_of_one_column(rng, dtype, mode):
    """Where the width stays 1, PyTorch 2.13 takes the rows' weights for the column's."""
    x = normal(rng, (1, 2, 33, 1), dtype)
    check(INTERPOLATE, x, (10, 3), None, mode, False, None, True, lengths=64)
    for height in (1, 10, 56):
        y = kernels.interpolate(x, (height, 1), None, mode, None, None, True)
        wide = np.repeat(x, 4, 3)
        np.testing.assert_array_equal(y, kernels.interpolate(wide, (height, 4), None, mode, None, None, True)[..., :1])
        dx = kernels.interpolate_backward(y, x.shape, (height, 1), None, mode, None, None, True)
        expected = INTERPOLATE.reference.interpolate_backward(
            y.astype(np.float64), x.shape, (height, 1), None, mode, None, None, True
        )
        assert_close(dx, expected, scale=np.abs(y).max(), label="dx", length=64)


def test_antialias_keeps_a_constant_and_sees_every_element():
    ones = np.ones((1, 1, 37, 41))
    for mode in ("bilinear", "bicubic"):
        y = kernels.interpolate(ones, (5, 3), mode=mode, antialias=True)
        np.testing.assert_allclose(y, 1, rtol=1e-14)
    seen = kernels.interpolate_backward(np.ones((1, 1, 5, 3)), ones.shape, (5, 3), mode="bilinear", antialias=True)
    assert (seen > 0).all()


def test_interpolation_of_wide_rows(rng, dtype):
    check(INTERPOLATE, normal(rng, (1, 1, 3, 50), dtype), (5, 70), None, "bilinear", lengths=256)


@hypothesis.given(
    dims=st.sampled_from(DIMS),
    leading=st.sampled_from([(1,), (0,), (3,), (2, 2), (0, 2), (2, 0)]),
    size=st.tuples(*[st.integers(1, 21)] * 3),
    kernel=st.tuples(*[st.integers(1, 5)] * 3),
    stride=st.tuples(*[st.integers(1, 4)] * 3),
    padding=st.tuples(*[st.integers(0, 2)] * 3),
    ceil=st.booleans(),
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_window(dims, leading, size, kernel, stride, padding, ceil, layout, dtype, seed):
    size, kernel, stride, padding = size[:dims], kernel[:dims], stride[:dims], padding[:dims]
    hypothesis.assume(all(2 * p <= k <= n + 2 * p for n, k, p in zip(size, kernel, padding, strict=True)))
    x = LAYOUTS[layout](normal(np.random.default_rng(seed), (*leading, *size), dtype))
    if not leading[-1]:
        for name in ("max_pool", "avg_pool"):
            with pytest.raises(ValueError, match=rf"^{name}{dims}d: x must not be empty but for its batch, got .*0"):
                getattr(kernels, f"{name}{dims}d")(x, kernel, stride, padding)
    elif leading[0]:
        check_max(dims, x, kernel, stride, padding, 1, ceil)
        check(AVERAGE[dims], x, kernel, stride, padding, ceil, False, lengths=64)
    else:
        y, indices = getattr(kernels, f"max_pool{dims}d")(x, kernel, stride, padding, 1, ceil, True)
        assert y.shape == indices.shape
        assert y.shape[: len(leading)] == leading
        for name in ("max_pool", "avg_pool"):
            saved = (indices,) if name == "max_pool" else ()
            window = (kernel, stride, padding, 1, ceil) if saved else (kernel, stride, padding, ceil)
            dx = getattr(kernels, f"{name}{dims}d_backward")(y, x.shape, *saved, *window)
            assert dx.shape == x.shape


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan], ids=str)
def test_special_values(rng, dtype, special):
    x = normal(rng, (1, 2, 9, 40), dtype)
    x[0, 0, 3, 5:9] = special
    x[0, 1, :, 30:] = special
    for window in [(3, 2, 1, 1, False), (2, 1, 0, 1, False), (3, 3, 1, 1, True)]:
        check_max(2, x, *window)
        check(AVERAGE[2], x, *window[:3], lengths=9)
    check(ADAPTIVE_MAX[2], x, (4, 7), True)
    check(ADAPTIVE_MAX[2], x, (3, 10), True)
    check(ADAPTIVE_AVERAGE[2], x, (4, 7), lengths=64)


def test_windows_of_many_elements(rng, dtype):
    """More than a byte counts, and more than vectors are made for."""
    x = normal(rng, (1, 2, 40, 50), dtype)
    check(MAX[2], x, (20, 30), 5, 3, 1, False, True, lengths=64)
    long = normal(rng, (1, 1, 70_000), dtype)
    check(MAX[1], long, 66_000, 3_000, 30_000, 1, False, True, lengths=64)
    check(AVERAGE[1], long, 66_000, 3_000, 30_000, lengths=66_000)
    np.testing.assert_array_equal(kernels.max_pool1d(long, 66_000), long.max(-1, keepdims=True))
    huge = 2**31 - 1
    np.testing.assert_array_equal(
        kernels.max_pool1d(x[:, :, 0], huge, huge, huge // 2), x[:, :, 0].max(-1, keepdims=True)
    )
    assert kernels.avg_pool1d(x[:, :, 0], huge, 1, huge // 2, False, False).shape == (1, 2, 50)


@pytest.mark.parametrize("dims", DIMS)
def test_finite_differences(rng, dims):
    shape = (2,) + (5,) * dims
    x = rng.permutation(np.prod(shape)).reshape(shape) * 3 / np.prod(shape)  # no ties
    check_finite_differences(MAX[dims], x, 3, 2, 1, 1, True, True)
    check_finite_differences(AVERAGE[dims], x, 3, 2, 1, True, False)
    check_finite_differences(POWER[dims], x + 1, 3.0, 2, 1)
    check_finite_differences(ADAPTIVE_AVERAGE[dims], x, 3)
    check_finite_differences(ADAPTIVE_MAX[dims], x, 3, True)
    for mode in ("nearest", ("linear", "bilinear", "trilinear")[dims - 1]):
        check_finite_differences(INTERPOLATE, x[None], 4, None, mode)


def test_finite_differences_of_patches(rng):
    x = rng.standard_normal((2, 4, 5))
    check_finite_differences(UNFOLD, x, 2, 1, 1, 2)
    columns = kernels.unfold(x, 2, 1, 1, 2)
    check_finite_differences(FOLD, columns, (4, 5), 2, 1, 1, 2)
    check_finite_differences(INTERPOLATE, x[None], 7, None, "bicubic")


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    x = normal(rng, (4, 8, 60, 70), dtype)
    y, indices = kernels.max_pool2d(x, 3, 2, 1, return_indices=True)
    dy = rng.standard_normal(y.shape).astype(dtype)
    numbers = kernels.max_pool2d(x, 3, 2, 1, return_indices="window")[1]
    small = rng.standard_normal((4, 8, 7, 9)).astype(dtype)
    columns = kernels.unfold(x, 3, 1, 1, 2)
    calls = [
        lambda: kernels.max_pool2d(x, 3, 2, 1),
        lambda: kernels.max_pool2d(x, 3, 2, 1, return_indices=True)[1],
        lambda: kernels.max_pool2d(x, 3, 2, 1, return_indices="window")[1],
        lambda: kernels.max_pool2d_backward(dy, x.shape, indices, 3, 2, 1),
        lambda: kernels.max_pool2d_backward(dy, x.shape, numbers, 3, 2, 1),
        lambda: kernels.avg_pool2d(x, 3, 2, 1),
        lambda: kernels.avg_pool2d_backward(dy, x.shape, 3, 2, 1),
        lambda: kernels.adaptive_avg_pool2d(x, 1),
        lambda: kernels.adaptive_avg_pool2d(x, (7, 9)),
        lambda: kernels.adaptive_avg_pool2d_backward(small, x.shape),
        lambda: kernels.lp_pool2d(np.abs(x), 3.0, 2),
        lambda: kernels.unfold(x, 3, 1, 1, 2),
        lambda: kernels.fold(columns, (60, 70), 3, 1, 1, 2),
        lambda: kernels.interpolate(x, (90, 50), mode="bilinear"),
        lambda: kernels.interpolate_backward(x, (4, 8, 35, 44), (60, 70), mode="bilinear"),
    ]
    for call in calls:
        one, two = at_thread_counts(call)
        assert one.tobytes() == two.tobytes()


# --- variants --------------------------------------------------------------------------------------------------------

SIZES = [(1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)], [(2, 2, 4), (1, 3, 1), (1, 0, 2), (1, 2, 1)]
VARIANTS = [
    (name, variant)
    for name, variants in kernels.pooling.VARIANTS.items()
    for variant in variants
    if name != "grid_sample"  # in test_sampling
]


def result_of(sizes, plane):
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(plane, *sizes, strict=True)]


def inputs_of(name, rng, dtype, sizes):
    """Arguments of an operation's variants, and the arrays that they fill."""
    plane = (3, 7, 18)
    sizes = [*sizes[:3], (1, 1, 1)] if name.startswith("avg_pool") else sizes
    x = normal(rng, (3, *plane), dtype)
    out, table = result_of(sizes, plane), np.array(sizes)
    y = np.zeros((3, *out), dtype)
    if name == "max_pool":
        return [x, table], [y, np.zeros(y.shape, np.int64)]
    if name == "avg_pool":
        return [x, table, False, 0], [y]
    if name == "avg_pool_backward":
        return [normal(rng, y.shape, dtype), table, True, 5], [x]
    if name == "adaptive_avg_pool":
        return [x], [np.zeros((3, 2, 5, 7), dtype)]
    if name == "max_unpool":
        indices = np.argsort(rng.random((3, 40)), 1)[:, :17].copy()
        return [normal(rng, (3, 17), dtype), indices], [np.zeros((3, 40), dtype)]
    columns = normal(rng, (3, int(np.prod(table[0])), *out), dtype)
    if name == "im2col":
        return [x, table], [columns]
    if name == "col2im":
        return [columns, table], [x]
    assert name == "interpolate"
    tables = [
        kernels.pooling.interpolation.tables("linear", n, o, None, False, False, np.dtype(dtype), False)
        for n, o in zip(plane, (4, 5, 20), strict=True)
    ]
    return [x, tuple(tables)], [np.zeros((3, 4, 5, 20), dtype)]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
@pytest.mark.parametrize("sizes", SIZES, ids=["wide", "deep"])
def test_variants(rng, dtype, name, variant, sizes):
    inputs, outputs = inputs_of(name, rng, dtype, sizes)
    expected = [output.copy() for output in outputs]
    next(iter(kernels.pooling.VARIANTS[name].values()))(*inputs, *expected)
    inputs = [guarded(a) if isinstance(a, np.ndarray) and a.dtype == dtype else a for a in inputs]
    outputs = [guarded(np.full_like(output, 77)) for output in outputs]
    kernels.pooling.VARIANTS[name][variant](*inputs, *outputs)
    for actual, wanted in zip(outputs, expected, strict=True):
        assert_close(actual, wanted, length=64, scale=8.0, label=f"{name} {variant}")


# --- errors ----------------------------------------------------------------------------------------------------------

X = np.ones((2, 3, 8, 9))
POOLS = {"max_pool2d": kernels.max_pool2d, "avg_pool2d": kernels.avg_pool2d}
POOLS |= {"lp_pool2d": functools.partial(lambda x, *a, **k: kernels.lp_pool2d(x, 2, *a, **k))}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(
    ("error", "message", "x", "arguments"),
    [
        (ValueError, r"kernel_size must be from 1 .* got 0", X, (0,)),
        (ValueError, r"kernel_size must be from 1 .* got \(2, -1\)", X, ((2, -1),)),
        (ValueError, r"kernel_size must be from 1 to 2147483647, got 2147483648", X, (2**31,)),
        (ValueError, r"kernel_size must be an int or 2 of them, got \(1, 2, 3\)", X, ((1, 2, 3),)),
        (TypeError, r"kernel_size must be an int or 2 of them, got 2.0", X, (2.0,)),
        (TypeError, r"kernel_size must be an int or 2 of them, got True", X, (True,)),
        (ValueError, r"stride must be from 1 .* got 0", X, (2, 0)),
        (ValueError, r"the window is larger than the padded input: kernel_size \(9, 9\).* on \(8, 9\)", X, (9,)),
        (ValueError, r"x must have shape .*\(8, 9\)", X[0, 0], (2,)),
        (ValueError, r"x must have shape .*\(1, 2, 3, 8, 9\)", X[None], (2,)),
        (ValueError, r"x must not be empty .*\(2, 3, 0, 9\)", X[:, :, :0], (2,)),
        (ValueError, r"x must not be empty .*\(2, 0, 8, 9\)", X[:, :0], (2,)),
        (TypeError, r"x must be float32 or float64, got int64", X.astype(np.int64), (2,)),
    ],
)
def test_errors_of_every_pooling(name, error, message, x, arguments):
    with pytest.raises(error, match=f"^{name}: {message}"):
        POOLS[name](x, *arguments)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            r"max_pool2d: padding must be at most half of the window, got padding \(2, 2\) ",
            lambda: kernels.max_pool2d(X, 3, 1, 2),
        ),
        (
            r"avg_pool2d: padding must be at most half of the window, got padding \(1, 1\) ",
            lambda: kernels.avg_pool2d(X, 1, 1, 1),
        ),
        (r"max_pool2d: padding must be from 0 .* got -1", lambda: kernels.max_pool2d(X, 3, 1, -1)),
        (r"max_pool2d: dilation must be from 1 .* got 0", lambda: kernels.max_pool2d(X, 3, 1, 1, 0)),
        (
            r"max_pool1d: a window lies in the padding with all its elements",
            lambda: kernels.max_pool1d(X[:, 0, :, :1], 2, 1, 2, 3),
        ),
        (
            r"max_pool2d: return_indices must be one of 'window', got 'all'",
            lambda: kernels.max_pool2d(X, 2, return_indices="all"),
        ),
        (
            r"max_pool2d: numbers in windows are for at most 256 ",
            lambda: kernels.max_pool2d(np.ones((1, 20, 20)), 17, return_indices="window"),
        ),
        (r"avg_pool2d: divisor_override .* other than 0, got 0", lambda: kernels.avg_pool2d(X, 2, divisor_override=0)),
        (r"lp_pool2d: norm_type must be inf, or finite and not 0, got -inf", lambda: kernels.lp_pool2d(X, -np.inf, 2)),
        (r"lp_pool2d: norm_type must be inf, or finite and not 0, got 0", lambda: kernels.lp_pool2d(X, 0, 2)),
        (
            r"adaptive_avg_pool2d: output_size must be from 0 .* got \(-1, -1\)",
            lambda: kernels.adaptive_avg_pool2d(X, -1),
        ),
        (
            r"adaptive_max_pool2d: output_size must be an int or 2 of them",
            lambda: kernels.adaptive_max_pool2d(X, (1, 2, 3)),
        ),
        (
            r"adaptive_avg_pool2d: output_size must be an int or 2 of them, got \(3,\)",
            lambda: kernels.adaptive_avg_pool2d(X, (3,)),
        ),
        (
            r"interpolate: antialias is for bilinear and bicubic, mode is 'nearest'",
            lambda: kernels.interpolate(X, 4, antialias=True),
        ),
        (
            r"interpolate_backward: antialias is for bilinear and bicubic, mode is 'area'",
            lambda: kernels.interpolate_backward(X, X.shape, (8, 9), mode="area", antialias=True),
        ),
        (r"adaptive_max_pool1d: x must have shape .*\(2, 3, 8, 9\)", lambda: kernels.adaptive_max_pool1d(X, 1)),
        (r"adaptive_avg_pool2d: the result is too large", lambda: kernels.adaptive_avg_pool2d(X, 2**31 - 1)),
        (
            r"max_unpool2d: output_size must be less than one stride \(2, 2\) from \(16, 18\), got \(20, 20\)",
            lambda: kernels.max_unpool2d(X, X.astype(int), 2, output_size=(20, 20)),
        ),
        (r"max_unpool2d: indices must have shape", lambda: kernels.max_unpool2d(X, np.zeros(3, int), 2)),
        (r"unfold: x must have shape", lambda: kernels.unfold(X[0, 0], 2)),
        (r"unfold: the window is larger than the padded input", lambda: kernels.unfold(X, 10)),
        (r"unfold: the result is too large", lambda: kernels.unfold(X, 2**29, 1, 2**29)),
        (
            r"fold: output_size \(8, 9\) has 56 windows, x is \(12, 55\)",
            lambda: kernels.fold(np.ones((12, 55)), (8, 9), 2),
        ),
        (r"fold: x must have shape .* got \(11, 56\)", lambda: kernels.fold(np.ones((11, 56)), (8, 9), 2)),
        (r"interpolate: mode must be one of .* got 'cubic'", lambda: kernels.interpolate(X, 3, mode="cubic")),
        (r"interpolate: mode 'linear' is for \(1,\) dimensions", lambda: kernels.interpolate(X, 3, mode="linear")),
        (r"interpolate: needs either size or scale_factor, got None and None", lambda: kernels.interpolate(X)),
        (r"interpolate: needs either size or scale_factor, got 3 and 2", lambda: kernels.interpolate(X, 3, 2)),
        (r"interpolate: scale_factor must be positive, got -1", lambda: kernels.interpolate(X, None, -1)),
        (
            r"interpolate: the size by scale_factor must be from 1 .* got \(0, 0\)",
            lambda: kernels.interpolate(X, None, 0.1),
        ),
        (r"interpolate: align_corners is for linear modes", lambda: kernels.interpolate(X, 3, align_corners=True)),
        (
            r"interpolate: recompute_scale_factor is for scale_factor",
            lambda: kernels.interpolate(X, 3, recompute_scale_factor=True),
        ),
    ],
)
def test_errors(message, call):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("max_pool2d_backward", (X.shape, np.zeros((2, 3, 4, 4), np.int64), 2)),
        ("avg_pool2d_backward", (X.shape, 2)),
        ("lp_pool2d_backward", (X, np.ones((2, 3, 4, 4)), 2, 2)),
        ("adaptive_avg_pool2d_backward", (X.shape,)),
        ("adaptive_max_pool2d_backward", (X.shape, np.zeros((2, 3, 4, 4), np.int64))),
        ("unfold_backward", (X.shape, 2)),
        ("interpolate_backward", (X.shape, 4)),
    ],
)
def test_gradient_of_another_shape(name, arguments):
    with pytest.raises(ValueError, match=rf"^{name}: .*{re.escape('(3, 3, 4, 4)')}"):
        getattr(kernels, name)(np.ones((3, 3, 4, 4)), *arguments)
    with pytest.raises(TypeError, match=rf"^{name}: dy must be float32 or float64"):
        getattr(kernels, name)(np.ones((2, 3, 4, 4), np.int64), *arguments)


@pytest.mark.parametrize("wrong", [-1, 72, 2**62])
def test_indices_are_checked(wrong):
    dy = np.ones((2, 3, 4, 4))
    indices = np.zeros(dy.shape, np.int64)
    indices[1, 2, 3, 1] = wrong
    calls = {
        "max_pool2d_backward": (dy, X.shape, indices, 2),
        "adaptive_max_pool2d_backward": (dy, X.shape, indices),
        "max_unpool2d": (dy, indices, 2, None, 0, (8, 9)),
        "max_unpool2d_backward": (X, indices),
    }
    for name, arguments in calls.items():
        with pytest.raises(IndexError, match=f"^{name}: indices must be from 0 to 71, got {wrong}"):
            getattr(kernels, name)(*arguments)
    with pytest.raises(IndexError, match="^max_pool2d_backward: numbers in windows must be below 4, got 4"):
        kernels.max_pool2d_backward(dy, X.shape, np.full(dy.shape, 4, np.uint8), 2)


def test_numbers_in_the_padding_are_harmless():
    """Numbers that no forward gave."""
    for kernel, stride in [(3, 2), (3, 1)]:
        dy = guarded(np.ones(kernels.max_pool2d(X, kernel, stride, 1).shape))
        for number in range(9):
            kernels.max_pool2d_backward(dy, X.shape, guarded(np.full(dy.shape, number, np.uint8)), kernel, stride, 1)


def test_torch_tensors(rng):
    x = normal(rng, (2, 3, 8, 9), np.float32)
    np.testing.assert_array_equal(kernels.max_pool2d(torch.from_numpy(x), 2), kernels.max_pool2d(x, 2))


def test_in_jitted_code(rng, dtype):
    import numba

    @numba.njit
    def both(x, sizes, y, columns):
        kernels.pooling.maximum_loops.max_pool_loops(x, sizes, y)
        im2col(x, sizes, columns)

    im2col = kernels.im2col
    x, sizes = normal(rng, (3, 1, 8, 9), dtype), np.array([(1, 2, 2), (1, 1, 1), (0, 0, 0), (1, 1, 1)])
    y, columns = np.empty((3, 1, 7, 8), dtype), np.empty((3, 4, 1, 7, 8), dtype)
    both(x, sizes, y, columns)
    np.testing.assert_array_equal(y[:, 0], kernels.max_pool2d(x[:, 0], 2, 1))
    np.testing.assert_array_equal(columns.reshape(12, 56), kernels.unfold(x[:, 0], 2))


def test_every_operation_is_covered():
    families = (MAX, AVERAGE, POWER, ADAPTIVE_AVERAGE, ADAPTIVE_MAX, UNPOOL)
    tested = {operation.name for family in families for operation in family.values()}
    tested |= {operation.name for operation in (UNFOLD, FOLD, INTERPOLATE)} | {"grid_sample"}  # tests/test_sampling.py
    tested |= {f"{name}_backward" for name in tested} | {"im2col", "col2im"}
    functions = {name for name, value in vars(kernels).items() if value is getattr(kernels.pooling, name, None)}
    assert {name for name in functions if callable(getattr(kernels, name))} == tested
