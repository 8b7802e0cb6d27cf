"""Tests of kernels.pooling.sampling, channels and sampled: grid_sample."""

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
from kernels.pooling import channels
from kernels.reference import pooling as reference
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded

MODES = ["bilinear", "nearest", "bicubic"]
PADDINGS = ["zeros", "border", "reflection"]
# Shape of x, of the results.
SHAPES = [
    ((1, 1, 1, 1), (1, 1)),
    ((2, 3, 5, 7), (4, 6)),
    ((1, 2, 1, 9), (3, 3)),
    ((2, 17, 6, 5), (13, 21)),
    ((2, 3, 4, 3, 5), (2, 3, 4)),
    ((1, 2, 1, 2, 3), (5, 6, 7)),
    ((3, 32, 2, 3, 4), (3, 5, 7)),
]
each_mode = pytest.mark.parametrize("mode", MODES)
each_padding = pytest.mark.parametrize("padding", PADDINGS)
each_corner = pytest.mark.parametrize("align_corners", [True, False])


def size_scale(operation, arguments, dy, options):
    """Places are as exact as the largest coordinate in elements; a step of it changes a result by the largest x."""
    x, grid = arguments
    steps = (1 + np.abs(grid).max(initial=0)) * max(x.shape[2:])
    largest = (1 + np.abs(x).max(initial=0)) * steps
    if dy is None:
        return [largest]
    most = np.abs(dy).max(initial=0)
    return [largest, most * steps * max(1, grid.size // x[:, 0].size), most * largest * steps * x.shape[1]]


GRID_SAMPLE = Operation(
    "pooling",
    "grid_sample",
    lambda x, grid, mode="bilinear", padding_mode="zeros", align_corners=None: F.grid_sample(
        x, grid, mode, padding_mode, bool(align_corners)
    ),
    lambda arguments, y: arguments,
    (0, 1),
    size_scale,
)


def inputs(rng, shape, results, dtype, reach=1.4):
    x = rng.standard_normal(shape).astype(dtype)
    return x, (reach * rng.uniform(-1, 1, (shape[0], *results, len(results)))).astype(dtype)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@each_mode
@each_padding
@each_corner
def test_values_and_gradients(rng, dtype, shapes, mode, padding, align_corners):
    if mode == "bicubic" and len(shapes[1]) == 3:
        pytest.skip("for two dimensions")
    options = {"mode": mode, "padding_mode": padding, "align_corners": align_corners}
    check(GRID_SAMPLE, *inputs(rng, *shapes, dtype), lengths=16, **options)


@each_padding
@each_corner
def test_far_away(rng, dtype, padding, align_corners):
    """Places several sizes away."""
    x, grid = inputs(rng, (1, 2, 4, 5), (6, 7), dtype, reach=9)
    for mode in MODES:
        check(GRID_SAMPLE, x, grid, lengths=16, mode=mode, padding_mode=padding, align_corners=align_corners)


@hypothesis.given(
    shape=st.lists(st.integers(1, 6), min_size=4, max_size=5),
    results=st.lists(st.integers(1, 14), min_size=3, max_size=3),
    layouts=st.tuples(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(sorted(LAYOUTS))),
    mode=st.sampled_from(MODES[:2]),
    padding=st.sampled_from(PADDINGS),
    align_corners=st.booleans(),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(shape, results, layouts, mode, padding, align_corners, seed):
    x, grid = inputs(np.random.default_rng(seed), shape, results[: len(shape) - 2], np.float32)
    x, grid = LAYOUTS[layouts[0]](x), LAYOUTS[layouts[1]](grid)
    check(GRID_SAMPLE, x, grid, lengths=16, mode=mode, padding_mode=padding, align_corners=align_corners)


@each_corner
def test_the_identity(rng, dtype, align_corners):
    """A grid of the middles of all elements."""
    x = rng.standard_normal((2, 3, 5, 8)).astype(dtype)
    theta = torch.eye(2, 3, dtype=torch.from_numpy(x).dtype).repeat(2, 1, 1)
    grid = F.affine_grid(theta, x.shape, align_corners).numpy()
    for mode in MODES:
        y = kernels.grid_sample(x, grid, mode, "border", align_corners)
        np.testing.assert_allclose(y, x, atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_no_place(dtype, value):
    """What is no number, or too far away for one, is outside; at the border there is always an element."""
    x, grid = np.arange(1, 13, dtype=dtype).reshape(1, 1, 3, 4), np.array([[[[value, 0]]]], dtype)
    for mode in MODES:
        for align_corners in (True, False):
            assert kernels.grid_sample(x, grid, mode, "zeros", align_corners) == 0
            border = kernels.grid_sample(x, grid, mode, "border", align_corners)
            assert border == (8 if value > 0 else 5)
            assert kernels.grid_sample(x, grid, mode, "reflection", align_corners).item() in x
            gradients = kernels.grid_sample_backward(np.ones_like(border), x, grid, mode, "border", align_corners)
            assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_nan_stays_where_it_is(rng, dtype):
    """An element that is not read does not change a result, also not through a weight of 0 outside."""
    for C in (2, 32):
        x, grid = inputs(rng, (1, C, 4, 5), (9, 9), dtype)
        x[0, 0, 0, 0] = np.nan
        y = kernels.grid_sample(x, grid)
        expected = F.grid_sample(torch.from_numpy(x), torch.from_numpy(grid), align_corners=False).numpy()
        np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
        assert not np.isnan(y).all()


def test_images_by_turns(rng):
    """More channels and images than are rearranged at once."""
    x, grid = inputs(rng, (3, 64, 128, 130), (50, 50), np.float32)
    assert x.size > channels.PANELS
    y = kernels.grid_sample(x, grid)
    for n in range(3):
        assert kernels.grid_sample(x[n : n + 1], grid[n : n + 1]).tobytes() == y[n].tobytes()


def test_finite_differences(rng):
    for shapes, modes in ((SHAPES[1], ["bilinear", "bicubic"]), (SHAPES[4], ["bilinear"])):
        for mode in modes:
            x, grid = inputs(rng, *shapes, np.float64)
            check_finite_differences(GRID_SAMPLE, x, grid, mode=mode, padding_mode="reflection")


def test_empty(dtype):
    x, grid = np.zeros((2, 3, 4, 5), dtype), np.zeros((2, 0, 3, 2), dtype)
    assert kernels.grid_sample(x, grid).shape == (2, 3, 0, 3)
    dx, dgrid = kernels.grid_sample_backward(np.zeros((2, 3, 0, 3), dtype), x, grid)
    assert not dx.any() and dx.shape == x.shape and dgrid.shape == grid.shape
    assert kernels.grid_sample(x[:0], np.zeros((0, 2, 2, 2), dtype)).shape == (0, 3, 2, 2)


def test_needs(rng, dtype):
    x, grid = inputs(rng, *SHAPES[1], dtype)
    dy = kernels.grid_sample(x, grid)
    dx, dgrid = kernels.grid_sample_backward(dy, x, grid)
    one, nothing = kernels.grid_sample_backward(dy, x, grid, needs=(True, False))
    assert nothing is None and one.tobytes() == dx.tobytes()
    nothing, one = kernels.grid_sample_backward(dy, x, grid, needs=(False, True))
    assert nothing is None and one.tobytes() == dgrid.tobytes()


@pytest.mark.parametrize("variant", channels.VARIANTS["grid_sample"])
def test_variants(rng, dtype, variant):
    for shapes in (SHAPES[1], SHAPES[3], SHAPES[4]):
        x, grid = inputs(rng, *shapes, dtype)
        expected = reference.grid_sample(x.astype(np.float64), grid.astype(np.float64), "bilinear", "reflection")
        N, C, *size = x.shape
        volumes, places = x.reshape(N, C, *[1] * (3 - len(size)), *size), grid.reshape(N, -1, len(size))
        y = guarded(np.full((N, C, places.shape[1]), np.nan, dtype))
        channels.VARIANTS["grid_sample"][variant](guarded(volumes), guarded(places), 2, 2, False, y)
        assert_close(y.reshape(expected.shape).copy(), expected, length=16, scale=20, label=variant)


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    x, grid = inputs(rng, (2, 5, 30, 40), (50, 60), dtype)
    dy = rng.standard_normal((2, 5, 50, 60)).astype(dtype)

    many = rng.standard_normal((2, 40, 30, 40)).astype(dtype)

    def call():
        yield kernels.grid_sample(many, grid)
        yield kernels.grid_sample(x, grid, "bicubic")
        yield from kernels.grid_sample_backward(dy, x, grid)

    one, two = at_thread_counts(lambda: [array.tobytes() for array in call()])
    assert one == two


GOOD = {"x": np.zeros((2, 3, 4, 5)), "grid": np.zeros((2, 6, 7, 2))}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, "mode must be one of 'bilinear', 'nearest', 'bicubic', got 'linear'", {"mode": "linear"}),
        (ValueError, "padding_mode must be one of 'zeros', 'border', 'reflection'", {"padding_mode": "wrap"}),
        (TypeError, "x must be float32 or float64, got int64", {"x": np.zeros((2, 3, 4, 5), int)}),
        (TypeError, "dtypes differ: x is float64, grid is float32", {"grid": np.zeros((2, 6, 7, 2), np.float32)}),
        (ValueError, r"x must have shape \(N, C, H, W\)", {"x": np.zeros((2, 3, 4))}),
        (ValueError, r"grid must have shape \(2, OH, OW, 2\) for x", {"grid": np.zeros((2, 6, 7, 3))}),
        (ValueError, r"grid must have shape \(2, OD, OH, OW, 3\) for x", {"x": np.zeros((2, 3, 4, 5, 6))}),
        (ValueError, "x must not be empty", {"x": np.zeros((2, 3, 0, 5))}),
        (
            ValueError,
            "mode 'bicubic' is for two dimensions",
            {"x": np.zeros((2, 3, 4, 5, 6)), "grid": np.zeros((2, 1, 1, 1, 3)), "mode": "bicubic"},
        ),
    ],
)
def test_errors(backward, error, message, change):
    name, first = ("grid_sample_backward", {"dy": np.zeros((2, 3, 6, 7))}) if backward else ("grid_sample", {})
    with pytest.raises(error, match=f"^{name}: {message}"):
        getattr(kernels, name)(**(first | GOOD | change))


def test_backward_errors():
    with pytest.raises(ValueError, match=r"^grid_sample_backward: dy must have shape \(2, 3, 6, 7\), got \(1,\)"):
        kernels.grid_sample_backward(np.zeros(1), **GOOD)
