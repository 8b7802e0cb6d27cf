"""Tests of kernels.normalization."""

import itertools
import math

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
import kernels.normalization
from kernels.reference import normalization as reference
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded, read_only

# --- operations: what the backward takes, and the size of the terms that rounding errors are relative to -------------


def sizes(x, mean, rstd, weight, bias, dy, axes, others):
    """Sizes for y, dx, dweight and dbias; statistics and parameters are broadcast against x.

    Rounding x - mean is relative to both operands, so the size of the normalised x is that of (|x| + |mean|) rstd.
    """
    z, weight, dy = (np.abs(x) + np.abs(mean)) * rstd, np.abs(weight), 0.0 if dy is None else np.abs(dy)
    g = dy * weight * np.ones_like(x)
    count = max(math.prod(x.shape[axis] for axis in axes), 1)
    over = {"axis": axes, "keepdims": True}
    dx = rstd * (g + g.sum(**over) / count + z * (g * z).sum(**over) / count)
    dweight, dbias = (dy * z).sum(axis=others), (dy * np.ones_like(x)).sum(axis=others)
    return [z * weight + np.abs(bias), dx, dweight, dbias]


def channelwise(x, values, missing):
    return missing if values is None else values.reshape((1, -1) + (1,) * (x.ndim - 2))


def others(x):
    return (0, *range(2, x.ndim))


def statistics(function, shape, *arguments, names=("mean", "rstd"), **options):
    """What the reference puts into mean and rstd, in float64 and then in the dtype of x."""
    kept = {name: np.empty(shape) for name in names}
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in arguments]
    function(*wide, **options, **kept)
    return [kept[name].astype(arguments[0].dtype) for name in names]


def batch_saved(arguments, y):
    x, running_mean, running_var, weight, _, training, _, eps = arguments
    kept = statistics(reference.batch_norm, x.shape[1:2], x, running_mean, running_var, training=training, eps=eps)
    return [x, *kept, weight, training]


def batch_sizes(operation, arguments, dy, options):
    x, _, _, weight, bias, *_ = arguments
    _, mean, rstd, _, _ = batch_saved(arguments, None)
    mean, rstd = channelwise(x, mean, 0), channelwise(x, rstd, 0)
    return sizes(x, mean, rstd, channelwise(x, weight, 1), channelwise(x, bias, 0), dy, others(x), others(x))


def layer_saved(arguments, y):
    x, shape, weight, _, eps = arguments
    leading = x.shape[: x.ndim - len(shape)]
    return [x, shape, *statistics(reference.layer_norm, leading, x, shape, eps=eps), weight]


def layer_sizes(operation, arguments, dy, options):
    x, shape, weight, bias, _ = arguments
    _, _, mean, rstd, _ = layer_saved(arguments, None)
    rows = tuple(range(x.ndim - len(shape)))
    kept = mean.shape + (1,) * len(shape)
    return sizes(x, mean.reshape(kept), rstd.reshape(kept), weight, bias, dy, tuple(range(len(rows), x.ndim)), rows)


def rms_saved(arguments, y):
    x, shape, weight, eps = arguments
    leading = x.shape[: x.ndim - len(shape)]
    return [x, shape, *statistics(reference.rms_norm, leading, x, shape, eps=eps, names=("rstd",)), weight]


def rms_sizes(operation, arguments, dy, options):
    x, shape, weight, _ = arguments
    _, _, rstd, _ = rms_saved(arguments, None)
    rows = tuple(range(x.ndim - len(shape)))
    axes = tuple(range(len(rows), x.ndim))
    return sizes(x, 0.0, rstd.reshape(rstd.shape + (1,) * len(shape)), weight, 0.0, dy, axes, rows)[:3]


def group_saved(arguments, y):
    x, groups, weight, _, eps = arguments
    return [x, groups, *statistics(reference.group_norm, (x.shape[0], groups), x, groups, eps=eps), weight]


def group_sizes(operation, arguments, dy, options):
    x, groups, weight, bias, _ = arguments
    _, _, mean, rstd, _ = group_saved(arguments, None)
    members = np.ones((1, 1, x.shape[1] // groups))
    mean, rstd = ((a[..., None] * members).reshape(x.shape[:2] + (1,) * (x.ndim - 2)) for a in (mean, rstd))
    weight, bias = channelwise(x, weight, 1), channelwise(x, bias, 0)
    result = sizes(x, mean, rstd, weight, bias, dy, tuple(range(1, x.ndim)), others(x))
    result[1] = result[1] * groups  # averages over a group are at most this many times those over the sample
    return result


def instance_saved(arguments, y):
    x, running_mean, running_var, weight, bias, use_input_stats, _, eps = arguments
    if not use_input_stats:
        return batch_saved([x, running_mean, running_var, weight, bias, False, None, eps], y)
    _, _, mean, rstd, _ = group_saved([x, x.shape[1], weight, bias, eps], y)
    return [x, mean, rstd, weight, use_input_stats]


def instance_sizes(operation, arguments, dy, options):
    x, running_mean, running_var, weight, bias, use_input_stats, _, eps = arguments
    if use_input_stats:
        return group_sizes(operation, [x, x.shape[1], weight, bias, eps], dy, options)
    return batch_sizes(operation, [x, running_mean, running_var, weight, bias, False, None, eps], dy, options)


def local_sizes(operation, arguments, dy, options):
    x, *rest = arguments
    y = np.abs(reference.local_response_norm(x, *rest))
    power = y / np.maximum(np.abs(x), 1e-300)
    return [y, None if dy is None else (1 + np.abs(x)) * np.abs(dy).max(initial=0) * max(power.max(initial=0), 1)]


BATCH = Operation("normalization", "batch_norm", F.batch_norm, batch_saved, (0, 3, 4), batch_sizes)
RELU = {"activation": "relu"}


def add_layer_saved(arguments, y):
    x, residual, *rest = arguments
    return layer_saved([x + residual, *rest], y)


def add_layer_sizes(operation, arguments, dy, options):
    x, residual, *rest = arguments
    y, dx, dweight, dbias = layer_sizes(operation, [x + residual, *rest], dy, options)
    return [y, dx, dx, dweight, dbias]


LAYER = Operation("normalization", "layer_norm", F.layer_norm, layer_saved, (0, 2, 3), layer_sizes)
ADD_LAYER = Operation(
    "normalization",
    "add_layer_norm",
    lambda x, residual, *rest: F.layer_norm(x + residual, *rest),
    add_layer_saved,
    (0, 1, 3, 4),
    add_layer_sizes,
)
RMS = Operation("normalization", "rms_norm", F.rms_norm, rms_saved, (0, 2), rms_sizes)
GROUP = Operation("normalization", "group_norm", F.group_norm, group_saved, (0, 2, 3), group_sizes)
INSTANCE = Operation("normalization", "instance_norm", F.instance_norm, instance_saved, (0, 3, 4), instance_sizes)
LOCAL = Operation("normalization", "local_response_norm", F.local_response_norm, lambda a, y: a, scale=local_sizes)

# (N, C) with channels around a vector and more rows than a block; short and long planes, of one block and of several
SHAPES = [(2, 1), (3, 7), (5, 16), (130, 33), (70, 80), (2200, 3)]
SHAPES += [(2, 3, 2), (4, 5, 7), (3, 2, 15), (2, 4, 16), (3, 2, 33), (1, 2, 5000), (200, 2, 65)]
SHAPES += [(2, 3, 4, 5), (5, 4, 7, 7), (2, 3, 2, 3, 4), (3, 2, 3, 4, 5)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
EMPTY = [(0, 3), (0, 3, 4), (2, 3, 0), (0, 3, 20), (2, 0, 5)]


def normal(rng, shape, dtype, mean=0.0, deviation=1.0):
    return np.asarray(mean + deviation * rng.standard_normal(shape)).astype(dtype)


def batch_arguments(rng, shape, dtype, training=True, layout=lambda array: array):
    C = shape[1]
    x, weight, bias = layout(normal(rng, shape, dtype, 3, 2)), normal(rng, C, dtype), normal(rng, C, dtype)
    running = (None, None) if training else (normal(rng, C, dtype), normal(rng, C, dtype) ** 2 + dtype(0.1))
    return [x, *running, layout(weight), layout(bias), training, 0.1, 1e-5]


def check_batch(arguments):
    x = arguments[0]
    n = max(x.size // max(x.shape[1], 1), 1)
    return check(BATCH, *arguments, lengths=[n] * 4)


def check_layer(x, shape, weight, bias, eps=1e-5):
    n, rows = max(math.prod(shape), 1), max(x.size // max(math.prod(shape), 1), 1)
    check(LAYER, x, shape, weight, bias, eps, lengths=[n, n, rows, rows])
    check(RMS, x, shape, weight, eps, lengths=[n, n, rows])


def check_group(rng, x, dtype):
    C = x.shape[1]
    weight, bias = normal(rng, C, dtype), normal(rng, C, dtype)
    for groups in {1, C, *(g for g in (2, 3, 5) if C % g == 0)}:
        if x.size and x.size // groups > 1:  # which PyTorch refuses
            check(GROUP, x, groups, weight, bias, 1e-5, lengths=max(x[0].size, x.size // C))


def check_instance(arguments):
    check(INSTANCE, *arguments, lengths=max(arguments[0].size // max(arguments[0].shape[1], 1), 1))


# --- values and gradients --------------------------------------------------------------------------------------------


@each_shape
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(rng, dtype, shape, training):
    check_batch(batch_arguments(rng, shape, dtype, training))


@each_shape
def test_layer_and_rms_norm(rng, dtype, shape):
    for last in {1, len(shape) - 1}:
        normalized = shape[-last:]
        x, weight, bias = (normal(rng, s, dtype) for s in (shape, normalized, normalized))
        check_layer(x, normalized, weight, bias)


@pytest.mark.parametrize("shape", [(7,), (100,), (3, 5, 130), (2, 3, 4, 9), (300, 9), (2, 9000)], ids=str)
def test_layer_norm_of_other_rows(rng, dtype, shape):
    for last in range(1, len(shape) + 1):
        normalized = shape[-last:]
        x, weight, bias = (normal(rng, s, dtype) for s in (shape, normalized, normalized))
        check_layer(x, normalized, weight, bias)


@each_shape
def test_group_norm(rng, dtype, shape):
    check_group(rng, normal(rng, shape, dtype, 1, 3), dtype)


@pytest.mark.parametrize("use_input_stats", [True, False])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) > 2], ids=str)
def test_instance_norm(rng, dtype, shape, use_input_stats):
    check_instance(batch_arguments(rng, shape, dtype, use_input_stats))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) > 2] + [(2, 9, 70)], ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 30])
def test_local_response_norm(rng, dtype, shape, size):
    check(LOCAL, normal(rng, shape, dtype), size, 0.5, 0.75, 1.5, lengths=size)


def test_default_arguments(rng, dtype):
    x = normal(rng, (4, 6, 20), dtype)
    tensor, zeros, ones = torch.from_numpy(x), np.zeros(6, dtype), np.ones(6, dtype)
    running = torch.from_numpy(zeros), torch.from_numpy(ones)
    for ours, theirs in [
        (kernels.batch_norm(x, zeros, ones), F.batch_norm(tensor, *running)),
        (kernels.layer_norm(x, (20,)), F.layer_norm(tensor, (20,))),
        (kernels.layer_norm(x, 20), F.layer_norm(tensor, (20,))),
        (kernels.rms_norm(x, (6, 20)), F.rms_norm(tensor, (6, 20))),
        (kernels.rms_norm(x * 1e-4, (6, 20)), F.rms_norm(tensor * 1e-4, (6, 20))),
        (kernels.group_norm(x, 3), F.group_norm(tensor, 3)),
        (kernels.instance_norm(x), F.instance_norm(tensor)),
        (kernels.local_response_norm(x, 3), F.local_response_norm(tensor, 3)),
    ]:
        assert_close(ours, theirs.numpy(), length=20)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(6, 17), (6, 5, 3), (3, 4, 5, 6)], ids=str)
def test_layouts(rng, layout, shape):
    place = LAYOUTS[layout]
    for training in (True, False):
        check_batch(batch_arguments(rng, shape, np.float32, training, place))
    x = place(normal(rng, shape, np.float32))
    check_layer(x, shape[1:], *(place(normal(rng, shape[1:], np.float32)) for _ in range(2)))
    check_group(rng, x, np.float32)
    if len(shape) > 2:
        check_instance(batch_arguments(rng, shape, np.float32, True, place))
        check(LOCAL, x, 3, 0.5, 0.75, 1.0, lengths=3)


@hypothesis.given(
    shape=st.lists(st.integers(1, 20), min_size=2, max_size=4).map(tuple),
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(shape, layout, dtype, seed):
    rng, place = np.random.default_rng(seed), LAYOUTS[layout]
    hypothesis.assume(math.prod(shape) > shape[1])
    for training in (True, False):
        check_batch(batch_arguments(rng, shape, dtype, training, place))
    x = place(normal(rng, shape, dtype))
    check_layer(x, shape[1:], normal(rng, shape[1:], dtype), normal(rng, shape[1:], dtype))
    check_group(rng, x, dtype)
    if math.prod(shape[2:]) > 1:
        check_instance(batch_arguments(rng, shape, dtype, True, place))
    if len(shape) > 2:
        check(LOCAL, x, 4, 0.5, 0.75, 1.0, lengths=4)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 2, 17)], ids=str)
def test_finite_differences(rng, shape):
    for training in (True, False):
        check_finite_differences(BATCH, *batch_arguments(rng, shape, np.float64, training))
    x, weight, bias = normal(rng, shape, np.float64), *(normal(rng, shape[1:], np.float64) for _ in range(2))
    check_finite_differences(LAYER, x, shape[1:], weight, bias, 1e-5)
    check_finite_differences(RMS, x, shape[1:], weight, 1e-5)
    check_finite_differences(GROUP, x, 1, *(normal(rng, shape[1], np.float64) for _ in range(2)), 1e-5)
    if len(shape) > 2:
        check_finite_differences(INSTANCE, *batch_arguments(rng, shape, np.float64))
        check_finite_differences(LOCAL, x, 2, 0.5, 0.75, 1.0)


# --- the ladder ------------------------------------------------------------------------------------------------------

VARIANTS = kernels.normalization.VARIANTS


@pytest.mark.parametrize("variant", VARIANTS["batch_norm"])
@pytest.mark.parametrize("shape", [(3, 2, 1), (70, 33, 1), (4, 5, 3), (3, 4, 65), (2, 2, 5000)], ids=str)
def test_variants_of_batch_norm(rng, dtype, variant, shape):
    C = shape[1]
    x, weight, bias = normal(rng, shape, dtype, 1, 2), normal(rng, C, dtype), normal(rng, C, dtype)
    mean, rstd, y = (guarded(np.full(s, np.nan, dtype)) for s in (C, C, shape))
    VARIANTS["batch_norm"][variant](*map(guarded, (x, weight, bias)), 1e-5, mean, rstd, y)
    kept = {"mean": np.empty(C), "rstd": np.empty(C)}
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    expected = reference.batch_norm(wide[0], None, None, *wide[1:], True, **kept)
    size = batch_sizes(None, [wide[0], None, None, *wide[1:], True, None, 1e-5], None, {})[0]
    assert_close(y, expected, length=x.size // C, scale=size, label=variant)
    assert_close(mean, kept["mean"], length=x.size // C, scale=np.abs(x).max())
    assert_close(rstd, kept["rstd"], length=x.size // C)


@pytest.mark.parametrize("variant", VARIANTS["batch_norm_backward"])
@pytest.mark.parametrize("shape", [(70, 33, 1), (4, 5, 3), (3, 4, 65)], ids=str)
def test_variants_of_the_backward_of_batch_norm(rng, dtype, variant, shape):
    C = shape[1]
    arguments = batch_arguments(rng, shape, dtype)
    dy, (x, mean, rstd, weight, _) = normal(rng, shape, dtype), batch_saved(arguments, None)
    outs = [guarded(np.full(s, np.nan, dtype)) for s in (shape, C, C)]
    VARIANTS["batch_norm_backward"][variant](*map(guarded, (dy, x, weight, mean, rstd)), *outs)
    wide = [a.astype(np.float64) for a in (dy, x, mean, rstd, weight)]
    scales = batch_sizes(None, arguments, dy, {})[1:]
    for out, expected, size in zip(outs, reference.batch_norm_backward(*wide), scales, strict=True):
        assert_close(out, expected, length=x.size // C, scale=size, label=variant)


@pytest.mark.parametrize("variant", ["naive", "fast"])
@pytest.mark.parametrize("shape", [(3, 5), (70, 33), (2, 5000)], ids=str)
def test_variants_of_rows(rng, dtype, variant, shape):
    x, weight, bias = normal(rng, shape, dtype), normal(rng, shape[1], dtype), normal(rng, shape[1], dtype)
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    mean, rstd, y = (guarded(np.full(s, np.nan, dtype)) for s in (shape[0], shape[0], shape))
    VARIANTS["layer_norm"][variant](*map(guarded, (x, weight, bias)), 1e-5, mean, rstd, y)
    assert_close(y, reference.layer_norm(wide[0], shape[1:], *wide[1:]), length=shape[1], label=variant)
    dy = normal(rng, shape, dtype)
    outs = [guarded(np.full(s, np.nan, dtype)) for s in (shape, shape[1], shape[1])]
    VARIANTS["layer_norm_backward"][variant](*map(guarded, (dy, x, weight, mean, rstd)), *outs)
    kept = [a.astype(np.float64) for a in (mean, rstd)]
    expected = reference.layer_norm_backward(dy.astype(np.float64), wide[0], shape[1:], *kept, wide[1])
    scales = layer_sizes(None, [wide[0], shape[1:], *wide[1:], 1e-5], dy, {})[1:]
    for out, want, size in zip(outs, expected, scales, strict=True):
        assert_close(out, want, length=max(shape), scale=size, label=variant)
    VARIANTS["rms_norm"][variant](*map(guarded, (x, weight)), 1e-5, rstd, y)
    assert_close(y, reference.rms_norm(wide[0], shape[1:], wide[1], 1e-5), length=shape[1], label=variant)


@pytest.mark.parametrize("variant", VARIANTS["add_layer_norm"])
@pytest.mark.parametrize("shape", [(3, 5), (70, 33), (2, 5000)], ids=str)
def test_variants_of_the_layer_norm_of_a_sum(rng, dtype, variant, shape):
    x, residual = normal(rng, shape, dtype), normal(rng, shape, dtype)
    weight, bias = normal(rng, shape[1], dtype), normal(rng, shape[1], dtype)
    mean, rstd, y = (guarded(np.full(s, np.nan, dtype)) for s in (shape[0], shape[0], shape))
    VARIANTS["add_layer_norm"][variant](*map(guarded, (x, residual, weight, bias)), 1e-5, mean, rstd, y)
    wide = [a.astype(np.float64) for a in (x + residual, weight, bias)]
    assert_close(y, reference.layer_norm(wide[0], shape[1:], *wide[1:]), length=shape[1], label=variant)


@pytest.mark.parametrize("variant", ["naive", "fast"])
@pytest.mark.parametrize("shape", [(3, 4, 1), (2, 6, 33)], ids=str)
def test_variants_of_groups(rng, dtype, variant, shape):
    x, weight, bias = normal(rng, shape, dtype), normal(rng, shape[1], dtype), normal(rng, shape[1], dtype)
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    mean, rstd, y = (guarded(np.full(s, np.nan, dtype)) for s in ((shape[0], 2), (shape[0], 2), shape))
    VARIANTS["group_norm"][variant](*map(guarded, (x, weight, bias)), 1e-5, mean, rstd, y)
    assert_close(y, reference.group_norm(wide[0], 2, *wide[1:]), length=x[0].size, label=variant)
    if shape[2] > 1:
        VARIANTS["local_response_norm"][variant](guarded(x), 3, 0.5, 0.75, 1.0, y)
        assert_close(y, reference.local_response_norm(wide[0], 3, 0.5), length=3, label=variant)


# --- layer norm of a sum ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 3, 33), (2, 4, 768), (70, 65), (2, 5000)], ids=str)
def test_add_layer_norm(rng, dtype, shape):
    for first in range(1, len(shape)):
        normalized = shape[first:]
        x, residual, weight, bias = (normal(rng, s, dtype, 0.5) for s in (shape, shape, normalized, normalized))
        check(ADD_LAYER, x, residual, normalized, weight, bias, 1e-5, lengths=x.size)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_add_layer_norm(rng, layout):
    place = LAYOUTS[layout]
    arrays = [place(normal(rng, shape, np.float32)) for shape in ((9, 17), (9, 17), (17,), (17,))]
    check(ADD_LAYER, *arrays[:2], (17,), *arrays[2:], 1e-5, lengths=arrays[0].size)


@hypothesis.given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_add_layer_norm_of_any_shape(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x, residual, weight, bias = (normal(rng, s, dtype) for s in (shape, shape, shape[-1:], shape[-1:]))
    y = kernels.add_layer_norm(x, residual, shape[-1], weight, bias, sum=(total := np.empty_like(x)))
    np.testing.assert_array_equal(total, x + residual)
    np.testing.assert_array_equal(y, kernels.layer_norm(x + residual, shape[-1], weight, bias))


@pytest.mark.parametrize("end", ["front", "back"])
def test_kept_sum_and_its_gradient(rng, dtype, end):
    shape, n = (7, 5, 33), 33
    x, residual, dy, dsum = (normal(rng, shape, dtype) for _ in range(4))
    weight = normal(rng, n, dtype)
    total, mean, rstd = (guarded(np.full(s, np.nan, dtype), end) for s in (shape, shape[:2], shape[:2]))
    y = kernels.add_layer_norm(x, residual, n, weight, sum=total, mean=mean, rstd=rstd)
    np.testing.assert_array_equal(total, x + residual)
    np.testing.assert_array_equal(y, kernels.layer_norm(total, n, weight))
    plain = kernels.layer_norm_backward(dy, total, n, mean, rstd, weight)
    placed = [guarded(a, end) for a in (dy, total)]
    found = kernels.add_layer_norm_backward(*placed, n, mean, rstd, weight, dsum=guarded(dsum, end))
    assert found[0] is found[1]
    np.testing.assert_allclose(found[0], plain[0] + dsum, rtol=1e-6, atol=1e-6)
    for mine, expected in zip(found[2:], plain[1:], strict=True):
        np.testing.assert_array_equal(mine, expected)
    needs = (False, True, False, False)
    only = kernels.add_layer_norm_backward(dy, total, n, mean, rstd, weight, needs=needs)
    assert [each is not None for each in only] == list(needs)
    np.testing.assert_array_equal(only[1], plain[0])


def test_finite_differences_of_add_layer_norm(rng):
    x, residual, weight, bias = (normal(rng, s, np.float64) for s in ((3, 5), (3, 5), 5, 5))
    check_finite_differences(ADD_LAYER, x, residual, (5,), weight, bias, 1e-5)


def test_nan_in_a_residual_stays_in_its_row(rng, dtype):
    x, residual = normal(rng, (4, 20), dtype), normal(rng, (4, 20), dtype)
    clean = kernels.add_layer_norm(x, residual, 20)
    residual[2, 3] = np.nan
    found = kernels.add_layer_norm(x, residual, 20)
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(clean, 2, 0))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)], ids=str)
def test_empty_add_layer_norm(dtype, shape):
    x, mean = np.zeros(shape, dtype), np.zeros(shape[0], dtype)
    y = kernels.add_layer_norm(x, x, shape[1], mean=mean, sum=np.zeros(shape, dtype))
    assert y.shape == shape and y.dtype == dtype and np.isnan(mean).all()
    gradients = kernels.add_layer_norm_backward(x, x, shape[1], mean, mean)
    assert [each.shape for each in gradients] == [shape, shape, shape[1:], shape[1:]]


# --- accuracy --------------------------------------------------------------------------------------------------------


def error(actual, expected):
    return np.abs(np.asarray(actual, np.float64) - expected).max()


@pytest.mark.parametrize("shape", [(2000, 20), (64, 8, 3), (16, 8, 28, 28)], ids=str)
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_accuracy_is_that_of_pytorch(rng, shape, mean):
    C = shape[1]
    x, dy = normal(rng, shape, np.float32, mean), normal(rng, shape, np.float32)
    weight, bias = normal(rng, C, np.float32), normal(rng, C, np.float32)
    kept, wide_kept = ({name: np.empty(C, kind) for name in ("mean", "rstd")} for kind in (np.float32, np.float64))
    wide = [a.astype(np.float64) for a in (dy, x, weight, bias)]
    expected = reference.batch_norm(wide[1], None, None, *wide[2:], True, **wide_kept)
    gradients = reference.batch_norm_backward(*wide[:2], *wide_kept.values(), wide[2])
    leaves = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    peer = F.batch_norm(leaves[0], None, None, *leaves[1:], True)
    peers = [peer.detach(), *torch.autograd.grad(peer, leaves, torch.from_numpy(dy))]
    y = kernels.batch_norm(x, None, None, weight, bias, True, **kept)
    ours = [y, *kernels.batch_norm_backward(dy, x, *kept.values(), weight)]
    for mine, other, wanted in zip(ours, peers, [expected, *gradients], strict=True):
        floor = 2 * np.finfo(np.float32).eps * np.abs(wanted).max()
        assert error(mine, wanted) <= max(1.5 * error(other.numpy(), wanted), floor)
    expected = reference.layer_norm(wide[1], shape[1:])
    peer = F.layer_norm(torch.from_numpy(x), shape[1:]).numpy()
    assert error(kernels.layer_norm(x, shape[1:]), expected) <= max(1.5 * error(peer, expected), 1e-6)
    expected = reference.group_norm(wide[1], 2)
    peer = F.group_norm(torch.from_numpy(x), 2).numpy()
    assert error(kernels.group_norm(x, 2), expected) <= max(1.5 * error(peer, expected), 1e-6)


@pytest.mark.parametrize("shape", [(300, 4), (30, 4, 100)], ids=str)
def test_a_far_outlier_does_not_spoil_the_variance(rng, dtype, shape):
    x = normal(rng, shape, dtype)
    x[0] = 1e6  # the first block is far from the others, and so is the first element from its block
    eps = 1e-5
    check_batch([x, None, None, np.ones(4, dtype), np.zeros(4, dtype), True, 0.1, eps])
    check_layer(x.reshape(-1, 100), (100,), np.ones(100, dtype), np.zeros(100, dtype))


@pytest.mark.parametrize("size", [1e25, 1e-25])
@pytest.mark.parametrize("shape", [(70, 4), (6, 4, 40)], ids=str)
def test_squares_beyond_float32(rng, shape, size):
    x = normal(rng, shape, np.float32) * np.float32(size)
    wide = x.astype(np.float64)
    rows = wide.reshape(shape[0], -1)
    for y, expected in [
        (kernels.batch_norm(x, None, None, training=True), reference.batch_norm(wide, None, None, training=True)),
        (kernels.layer_norm(x.reshape(rows.shape), rows.shape[1:]), reference.layer_norm(rows, rows.shape[1:])),
        (
            kernels.rms_norm(x.reshape(rows.shape), rows.shape[1:], eps=1e-5),
            reference.rms_norm(rows, rows.shape[1:], eps=1e-5),
        ),
        (kernels.group_norm(x, 2), reference.group_norm(wide, 2)),
    ]:
        assert_close(y, expected, length=300)


# --- running statistics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(20, 5), (6, 5, 3), (6, 5, 4, 5)], ids=str)
@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0, 0.0])
def test_running_statistics_are_those_of_pytorch(rng, dtype, shape, momentum):
    ours = [np.zeros(5, dtype), np.ones(5, dtype)]
    theirs = [torch.from_numpy(a.copy()) for a in ours]
    for _ in range(4):
        x = normal(rng, shape, dtype, 2, 3)
        kernels.batch_norm(x, *ours, training=True, momentum=momentum)
        F.batch_norm(torch.from_numpy(x), *theirs, training=True, momentum=momentum)
        for mine, other in zip(ours, theirs, strict=True):
            assert_close(mine, other.numpy(), length=x.size // 5)


@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5, 4, 5)], ids=str)
def test_running_statistics_of_instance_norm(rng, dtype, shape):
    ours = [np.zeros(5, dtype), np.ones(5, dtype)]
    theirs = [torch.from_numpy(a.copy()) for a in ours]
    for _ in range(3):
        x = normal(rng, shape, dtype, 2, 3)
        y = kernels.instance_norm(x, *ours)
        expected = F.instance_norm(torch.from_numpy(x), *theirs)
        assert_close(y, expected.numpy(), length=20)
        for mine, other in zip(ours, theirs, strict=True):
            assert_close(mine, other.numpy(), length=20)


def test_strided_running_statistics(rng, dtype):
    for function, options in ((kernels.batch_norm, {"training": True}), (kernels.instance_norm, {})):
        strided, whole = np.array([[0, 1]] * 5, dtype), [np.zeros(5, dtype), np.ones(5, dtype)]
        x = normal(rng, (6, 5, 3), dtype, 2, 3)
        np.testing.assert_array_equal(function(x, *strided.T, **options), function(x, *whole, **options))
        np.testing.assert_array_equal(strided.T, whole)


def test_running_statistics_at_guard_pages(rng, dtype):
    for shape, end in itertools.product([(20, 5), (6, 5, 20)], ["front", "back"]):
        running = [guarded(np.zeros(5, dtype), end), guarded(np.ones(5, dtype), end)]
        kept = {name: guarded(np.zeros(5, dtype), end) for name in ("mean", "rstd")}
        x = normal(rng, shape, dtype)
        kernels.batch_norm(guarded(x, end), *running, training=True, momentum=1.0, **kept)
        np.testing.assert_array_equal(running[0], kept["mean"])


def test_evaluation_leaves_running_statistics_alone(rng, dtype):
    running = [read_only(normal(rng, 5, dtype)), read_only(np.ones(5, dtype))]
    before = [a.copy() for a in running]
    mean, rstd = np.empty(5, dtype), np.empty(5, dtype)
    kernels.batch_norm(normal(rng, (3, 5, 4), dtype), *running, mean=mean, rstd=rstd)
    for a, b in zip(running, before, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(mean, running[0])
    assert_close(rstd, 1 / np.sqrt(np.ones(5) + 1e-5))


# --- ReLU ------------------------------------------------------------------------------------------------------------


@each_shape
@pytest.mark.parametrize("training", [True, False])
def test_fused_relu_is_the_two_steps(rng, dtype, shape, training):
    arguments = batch_arguments(rng, shape, dtype, training)
    kept = {name: np.empty(shape[1], dtype) for name in ("mean", "rstd")}
    y = kernels.batch_norm(*arguments, activation="relu", **kept)
    np.testing.assert_array_equal(y, kernels.relu(kernels.batch_norm(*arguments)))
    dy = normal(rng, shape, dtype)
    backward = arguments[0], *kept.values(), arguments[3], training
    fused = kernels.batch_norm_backward(dy, *backward, activation="relu", saved=y)
    steps = kernels.batch_norm_backward(kernels.relu_backward(dy, y), *backward)
    for one, two in zip(fused, steps, strict=True):
        np.testing.assert_array_equal(one, two)


# --- special values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 40)], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e4])
def test_constant_input(dtype, shape, value):
    x, bias = np.full(shape, value, dtype), np.arange(3, dtype=dtype)
    arguments = x, None, None, np.ones(3, dtype), bias, True, 0.1, 1e-5
    y = check_batch(list(arguments))
    for result in (y, kernels.layer_norm(x, shape[1:]), kernels.group_norm(x, 1)):
        assert np.isfinite(result).all()
    limit = np.finfo(dtype).eps * abs(value) * 4 / 1e-5**0.5
    np.testing.assert_allclose(kernels.batch_norm(*arguments), channelwise(x, bias, 0) + 0 * x, atol=limit, rtol=0)
    np.testing.assert_allclose(kernels.layer_norm(x, shape[1:]), 0 * x, atol=limit, rtol=0)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("shape", [(70, 3), (4, 3, 4), (2, 3, 100), (2, 3, 9000)], ids=str)
def test_nan_and_infinity_stay_in_their_channel_or_row(rng, dtype, shape, special):
    x = normal(rng, shape, dtype)
    x[1, 1] = special
    for activation in (None, "relu"):
        y = kernels.batch_norm(x, None, None, training=True, activation=activation)
        assert np.isnan(y[:, 1]).all()
        assert np.isfinite(np.delete(y, 1, axis=1)).all()
    y = kernels.batch_norm(x, np.zeros(3, dtype), np.ones(3, dtype))
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(x))
    for y in (kernels.layer_norm(x, shape[1:]), kernels.rms_norm(x, shape[1:]), kernels.group_norm(x, 1)):
        assert np.isnan(y[1]).any()
        assert np.isfinite(np.delete(y, 1, axis=0)).all()
    assert np.isnan(kernels.layer_norm(x, shape[1:])[1]).all()


def test_nan_in_the_gradient_of_evaluation(rng, dtype):
    for shape in [(5, 3), (5, 3, 20)]:
        x, dy, ones = normal(rng, shape, dtype), normal(rng, shape, dtype), np.ones(3, dtype)
        x[2, 1] = np.nan
        dx, dweight, dbias = kernels.batch_norm_backward(dy, x, 0 * ones, ones, training=False)
        np.testing.assert_array_equal(dx, dy)
        np.testing.assert_array_equal(np.isnan(dweight), [False, True, False])
        assert np.isfinite(dbias).all()


@pytest.mark.parametrize("shape", EMPTY, ids=str)
def test_empty(dtype, shape):
    C = shape[1]
    x, ones = np.ones(shape, dtype), np.ones(C, dtype)
    running = [np.full(C, 3, dtype), np.full(C, 4, dtype)]
    for training in (True, False):
        statistics = (None, None) if training else running
        if C:
            check(BATCH, x, *statistics, ones, ones, training, 0.1, 1e-5)
        else:  # which PyTorch refuses in evaluation
            assert kernels.batch_norm(x, *statistics, ones, ones, training).shape == shape
    kernels.batch_norm(x, *running, training=True)
    np.testing.assert_array_equal(running[0], np.full(C, 3))
    np.testing.assert_array_equal(running[1], np.full(C, 4))
    check(LAYER, x, shape[1:], np.ones(shape[1:], dtype), np.ones(shape[1:], dtype), 1e-5)
    check(RMS, x, shape[1:], np.ones(shape[1:], dtype), 1e-5)
    for groups in {1, C} if C else {1}:  # of which PyTorch's gradients are NaN, or errors
        check_nothing(
            x, kernels.group_norm(x, groups, ones, ones), kernels.group_norm_backward, groups, (shape[0], groups)
        )
    if len(shape) > 2:
        check_nothing(
            x, kernels.instance_norm(x, None, None, ones, ones), kernels.instance_norm_backward, None, shape[:2]
        )
        assert kernels.local_response_norm(x, 3).shape == shape
        assert kernels.local_response_norm_backward(x, x, 3).shape == shape


def check_nothing(x, y, backward, groups, shape):
    """A result of nothing, and gradients that are sums of nothing."""
    kept = np.ones(shape, x.dtype)
    dx, dweight, dbias = backward(x, x, *([] if groups is None else [groups]), kept, kept)
    assert y.shape == dx.shape == x.shape
    assert y.dtype == dx.dtype == dweight.dtype == dbias.dtype == x.dtype
    np.testing.assert_array_equal(dweight, np.zeros(x.shape[1]))
    np.testing.assert_array_equal(dbias, np.zeros(x.shape[1]))


def test_a_group_of_one_value_becomes_the_bias(dtype):
    x, bias = np.array([[3.0, 4.0]], dtype), np.array([1.0, 2.0], dtype)
    np.testing.assert_array_equal(kernels.group_norm(x, 2, None, bias), [bias])


# --- threads ---------------------------------------------------------------------------------------------------------


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    for shape in [(2000, 40), (1000, 20, 3), (40, 16, 80), (4, 200, 8, 8)]:
        C = shape[1]
        x, dy, weight, bias = (normal(rng, s, dtype) for s in (shape, shape, C, C))
        mean, rstd = np.empty(C, dtype), np.empty(C, dtype)
        row_mean, row_rstd = np.empty(shape[0], dtype), np.empty(shape[0], dtype)
        group_mean, group_rstd = np.empty((shape[0], 4), dtype), np.empty((shape[0], 4), dtype)
        w = normal(rng, shape[1:], dtype)
        calls = [
            lambda: kernels.batch_norm(x, None, None, weight, bias, True, mean=mean, rstd=rstd),  # noqa: B023
            lambda: kernels.batch_norm(x, mean, rstd, weight, bias),  # noqa: B023
            lambda: kernels.batch_norm_backward(dy, x, mean, rstd, weight),  # noqa: B023
            lambda: kernels.batch_norm_backward(dy, x, mean, rstd, weight, activation="relu", saved=x),  # noqa: B023
            lambda: kernels.layer_norm(x, shape[1:], w, w, mean=row_mean, rstd=row_rstd),  # noqa: B023
            lambda: kernels.layer_norm_backward(dy, x, shape[1:], row_mean, row_rstd, w),  # noqa: B023
            lambda: kernels.rms_norm(x, shape[1:], w),  # noqa: B023
            lambda: kernels.group_norm(x, 4, weight, bias, mean=group_mean, rstd=group_rstd),  # noqa: B023
            lambda: kernels.group_norm_backward(dy, x, 4, group_mean, group_rstd, weight),  # noqa: B023
        ]
        if len(shape) > 2:
            calls += [
                lambda: kernels.local_response_norm(x, 3, 0.5),  # noqa: B023
                lambda: kernels.local_response_norm_backward(dy, x, 3, 0.5),  # noqa: B023
            ]
        for call in calls:
            one, two = at_thread_counts(call)
            parts = zip(one, two, strict=True) if isinstance(one, tuple) else [(one, two)]
            assert all(a.tobytes() == b.tobytes() for a, b in parts)


def test_streamed_results_are_the_same(rng, monkeypatch):
    for shape in [(40, 530), (3, 4, 701)]:
        C = shape[1]
        x, dy, weight, bias = (normal(rng, s, np.float32) for s in (shape, shape, C, C))
        w = normal(rng, shape[1:], np.float32)
        mean, rstd = np.empty((2, C), np.float32)
        row_mean, row_rstd = np.empty((2, shape[0]), np.float32)

        def everything():
            yield kernels.batch_norm(x, None, None, weight, bias, True, mean=mean, rstd=rstd)  # noqa: B023
            yield kernels.batch_norm(x, mean, rstd, weight, bias)  # noqa: B023
            yield from kernels.batch_norm_backward(dy, x, mean, rstd, weight)  # noqa: B023
            yield from kernels.batch_norm_backward(dy, x, mean, rstd, weight, False)  # noqa: B023
            yield kernels.layer_norm(x, shape[1:], w, w, mean=row_mean, rstd=row_rstd)  # noqa: B023
            yield from kernels.layer_norm_backward(dy, x, shape[1:], row_mean, row_rstd, w)  # noqa: B023
            yield kernels.add_layer_norm(x, dy, shape[1:], w, w)  # noqa: B023
            yield from kernels.add_layer_norm_backward(dy, x, shape[1:], row_mean, row_rstd, w, dsum=dy)  # noqa: B023

        plain = list(everything())
        with monkeypatch.context() as patch:
            patch.setattr("kernels.normalization.arguments.cache_bytes", lambda level: 0)
            streamed = list(everything())
        for one, two in zip(plain, streamed, strict=True):
            assert one.tobytes() == two.tobytes()


def test_needs(rng, dtype):
    x, dy, ones = normal(rng, (4, 6, 20), dtype), normal(rng, (4, 6, 20), dtype), np.ones(6, dtype)
    each = np.ones((4, 6), dtype)
    for function, arguments, count in [
        (kernels.batch_norm_backward, (dy, x, ones, ones), 3),
        (kernels.layer_norm_backward, (dy, x, (20,), each, each), 3),
        (kernels.rms_norm_backward, (dy, x, (20,), each), 2),
        (kernels.group_norm_backward, (dy, x, 6, each, each), 3),
        (kernels.instance_norm_backward, (dy, x, each, each), 3),
        (kernels.instance_norm_backward, (dy, x, ones, ones, None, False), 3),
    ]:
        everything = function(*arguments)
        assert len(everything) == count
        for needs in itertools.product([True, False], repeat=count):
            for gradient, needed, expected in zip(function(*arguments, needs=needs), needs, everything, strict=True):
                if needed:
                    np.testing.assert_array_equal(gradient, expected)
                else:
                    assert gradient is None


def test_torch_tensors(rng, dtype):
    x, ones = normal(rng, (4, 6, 20), dtype), np.ones(6, dtype)
    tensor = torch.from_numpy(x)
    np.testing.assert_array_equal(kernels.group_norm(tensor, 3), kernels.group_norm(x, 3))
    np.testing.assert_array_equal(
        kernels.batch_norm(tensor, torch.zeros(6, dtype=tensor.dtype), torch.from_numpy(ones)),
        kernels.batch_norm(x, 0 * ones, ones),
    )


# --- errors ----------------------------------------------------------------------------------------------------------

ONES, SINGLE = np.ones(3), np.ones(3, np.float32)
X, FROZEN = np.ones((4, 3, 5)), read_only(np.ones(3))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, r"^batch_norm: .*2 dimensions.*\(3,\)", lambda f: f(ONES, None, None)),
        (ValueError, r"^batch_norm: evaluation needs", lambda f: f(X, None, None)),
        (ValueError, r"^batch_norm: .*both or neither", lambda f: f(X, ONES, None, training=True)),
        (ValueError, r"^batch_norm: .*one value per .*\(1, 3\)", lambda f: f(ONES[None], None, None, training=True)),
        (ValueError, r"^batch_norm: .*\(1, 3, 1\)", lambda f: f(ONES[None, :, None], None, None, training=True)),
        (ValueError, r"^batch_norm: eps .*0", lambda f: f(X, None, None, training=True, eps=0)),
        (TypeError, r"^batch_norm: momentum .*NoneType", lambda f: f(X, None, None, training=True, momentum=None)),
        (ValueError, r"^batch_norm: weight .*\(3,\).*\(4,\)", lambda f: f(X, ONES, ONES, np.ones(4))),
        (ValueError, r"^batch_norm: bias .*\(3,\).*\(1, 3\)", lambda f: f(X, ONES, ONES, None, ONES[None])),
        (ValueError, r"^batch_norm: running_mean .*\(3,\).*\(4,\)", lambda f: f(X, np.ones(4), ONES)),
        (ValueError, r"^batch_norm: running_var .*\(3,\).*\(4,\)", lambda f: f(X, ONES, np.ones(4), training=True)),
        (ValueError, r"^batch_norm: running_mean .*read-only", lambda f: f(X, FROZEN, ONES, training=True)),
        (ValueError, r"^batch_norm: eps must not be negative, got -1", lambda f: f(X, ONES, ONES, eps=-1.0)),
        (TypeError, r"^batch_norm: running_mean .*float32", lambda f: f(X, SINGLE, ONES, training=True)),
        (TypeError, r"^batch_norm: .*running_var is float32", lambda f: f(X, ONES, SINGLE)),
        (TypeError, r"^batch_norm: running_mean .*Tensor", lambda f: f(X, torch.ones(3).double(), ONES, training=True)),
        (TypeError, r"^batch_norm: .*weight is float32", lambda f: f(X, ONES, ONES, SINGLE)),
        (TypeError, r"^batch_norm: x .*int64", lambda f: f(X.astype(int), ONES, ONES)),
        (ValueError, r"^batch_norm: activation .*'gelu'", lambda f: f(X, ONES, ONES, activation="gelu")),
        (ValueError, r"^batch_norm: mean .*\(3,\).*\(4,\)", lambda f: f(X, ONES, ONES, mean=np.ones(4))),
        (ValueError, r"^batch_norm_backward: dy .*\(4, 3, 5\).*\(4, 3\)", lambda f: f(X[..., 0], X, ONES, ONES)),
        (ValueError, r"^batch_norm_backward: rstd .*\(4,\)", lambda f: f(X, X, ONES, np.ones(4))),
        (TypeError, r"^batch_norm_backward: .*dy is float32", lambda f: f(X.astype(np.float32), X, ONES, ONES)),
        (ValueError, r"^batch_norm_backward: .*'relu' needs saved", lambda f: f(X, X, ONES, ONES, activation="relu")),
        (ValueError, r"^layer_norm: .*\(\.\.\., 3\).*\(4, 3, 5\)", lambda f: f(X, (3,))),
        (ValueError, r"^layer_norm: .*at least one", lambda f: f(X, ())),
        (ValueError, r"^layer_norm: .*2, 4, 3, 5\), got \(4, 3, 5\)", lambda f: f(X, (2, 4, 3, 5))),
        (ValueError, r"^layer_norm: weight .*\(3, 5\).*\(5,\)", lambda f: f(X, (3, 5), np.ones(5))),
        (ValueError, r"^add_layer_norm: residual .*\(4, 3, 5\), got \(4, 3\)", lambda f: f(X, X[..., 0], 5)),
        (TypeError, r"^add_layer_norm: dtypes differ: .*float32", lambda f: f(X, X.astype(np.float32), 5)),
        (ValueError, r"^add_layer_norm: .*\(\.\.\., 3\).*\(4, 3, 5\)", lambda f: f(X, X, 3)),
        (ValueError, r"^add_layer_norm: sum .*\(4, 3, 5\), got \(4, 3\)", lambda f: f(X, X, 5, sum=X[..., 0].copy())),
        (ValueError, r"^add_layer_norm: out overlaps residual", lambda f: f(X.copy(), X, 5, sum=X)),
        (ValueError, r"^add_layer_norm_backward: dsum", lambda f: f(X, X, 5, X[..., 0], X[..., 0], dsum=X[0])),
        (ValueError, r"^layer_norm_backward: mean .*\(4, 3\).*\(4,\)", lambda f: f(X, X, 5, np.ones(4), np.ones(4))),
        (ValueError, r"^rms_norm: .*\(\.\.\., 4\)", lambda f: f(X, 4)),
        (ValueError, r"^rms_norm_backward: rstd .*\(4, 3\)", lambda f: f(X, X, 5, np.ones(4))),
        (ValueError, r"^group_norm: num_groups .*2 for 3", lambda f: f(X, 2)),
        (ValueError, r"^group_norm: num_groups .*0 for 3", lambda f: f(X, 0)),
        (TypeError, r"^group_norm: num_groups .*float", lambda f: f(X, 3.0)),
        (ValueError, r"^group_norm: .*2 dimensions", lambda f: f(ONES, 3)),
        (ValueError, r"^group_norm_backward: mean .*\(4, 3\).*\(3,\)", lambda f: f(X, X, 3, ONES, ONES)),
        (ValueError, r"^instance_norm: .*one position.*\(4, 3, 1\)", lambda f: f(X[..., :1])),
        (ValueError, r"^instance_norm: .*one position.*\(4, 3\)", lambda f: f(X[..., 0])),
        (ValueError, r"^instance_norm: without use_input_stats", lambda f: f(X, use_input_stats=False)),
        (ValueError, r"^instance_norm: .*both or neither", lambda f: f(X, ONES)),
        (ValueError, r"^local_response_norm: .*3 dimensions.*\(4, 3\)", lambda f: f(X[..., 0], 3)),
        (ValueError, r"^local_response_norm: size .*0", lambda f: f(X, 0)),
        (TypeError, r"^local_response_norm: size .*float", lambda f: f(X, 2.0)),
        (ValueError, r"^local_response_norm: alpha .*-1", lambda f: f(X, 3, -1.0)),
        (ValueError, r"^local_response_norm_backward: dy", lambda f: f(X[0], X, 3)),
    ],
)  # fmt: skip
def test_errors(error, message, call):
    function = getattr(kernels, message[1:].split(":")[0])
    with pytest.raises(error, match=message):
        call(function)
