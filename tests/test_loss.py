"""Tests of kernels.loss."""

import math
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
import kernels.loss
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded

REDUCTIONS = ["none", "mean", "sum"]
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def size_scale(operation, arguments, dy, options):
    """A loss is a difference of numbers as large as its inputs; a sum of losses adds up those of all."""
    x, target, *others = arguments
    size = 1 + np.abs(x).max(initial=0, where=np.isfinite(x)) + math.log(max(x.size, 1))
    if target.dtype.kind == "f":
        size *= 1 + np.abs(target).max(initial=0)
    for weight in others:
        if isinstance(weight, np.ndarray):
            size *= 1 + np.abs(weight).max()
    summed = any(isinstance(option, str) and option == "sum" for option in (*others, *options.values()))
    return [size * (x.size if summed else 1), *[None] * len(operation.differentiable)]


def same(arguments, result):
    return arguments


CROSS_ENTROPY = Operation(
    "loss",
    "cross_entropy",
    lambda x, target, weight=None, **options: F.cross_entropy(x, target, weight, **options),
    same,
    scale=size_scale,
)
NLL = Operation(
    "loss",
    "nll_loss",
    lambda x, target, weight=None, **options: F.nll_loss(x, target, weight, **options),
    same,
    scale=size_scale,
)
PAIRED = [
    Operation("loss", name, peer, same, differentiable=(0, 1), scale=size_scale)
    for name, peer in [
        ("mse_loss", F.mse_loss),
        ("l1_loss", F.l1_loss),
        ("smooth_l1_loss", F.smooth_l1_loss),
        ("huber_loss", F.huber_loss),
    ]
]
MSE, L1, SMOOTH_L1, HUBER = PAIRED
PAIRED_CASES = [
    (MSE, {}),
    (L1, {}),
    (SMOOTH_L1, {}),
    (SMOOTH_L1, {"beta": 0.3}),
    (SMOOTH_L1, {"beta": 0.0}),
    (HUBER, {}),
    (HUBER, {"delta": 0.3}),
    (HUBER, {"delta": 5.0}),
]
each_pair = pytest.mark.parametrize(
    ("operation", "options"), PAIRED_CASES, ids=["-".join([c[0].name, *map(str, c[1].values())]) for c in PAIRED_CASES]
)
BCE = Operation(
    "loss",
    "binary_cross_entropy",
    lambda x, target, weight=None, **options: F.binary_cross_entropy(x, target, weight, **options),
    same,
    scale=lambda *arguments: [100 * scale if scale else None for scale in size_scale(*arguments)],
)
BCE_LOGITS = Operation(
    "loss",
    "binary_cross_entropy_with_logits",
    lambda x, target, weight=None, **options: F.binary_cross_entropy_with_logits(
        x, target, weight, reduction=options["reduction"], pos_weight=options.get("pos_weight")
    ),
    same,
    scale=size_scale,
)
KL = Operation("loss", "kl_div", F.kl_div, same, scale=size_scale)

LOGIT_SHAPES = [
    (1, 1),
    (1, 10),
    (3, 2),
    (5, 7),
    (4, 16),
    (9, 17),
    (33, 65),
    (300, 10),
    (2, 1000),
    (10,),
    (1,),
    (2, 3, 4),
    (3, 17, 5, 2),
    (2, 33, 1),
    (2, 16, 16),
]
FLAT_SHAPES = [
    (),
    (1,),
    (2,),
    (7,),
    (16,),
    (17,),
    (33,),
    (65,),
    (1000,),
    (0,),
    (5, 0),
    (3, 4),
    (9, 17),
    (2, 3, 5),
    (2, 3, 4, 5),
]


def normal(rng, shape, dtype):
    return np.asarray(2 * rng.standard_normal(shape)).astype(dtype)


def index_shape(shape):
    return () if len(shape) == 1 else (shape[0], *shape[2:])


def indices(rng, shape, dtype=np.int64):
    """Class indices for logits of `shape`."""
    return np.asarray(rng.integers(0, shape[0] if len(shape) == 1 else shape[1], index_shape(shape)), dtype)


def probabilities(rng, shape, dtype):
    axis = 0 if len(shape) == 1 else 1
    x = rng.random(shape) + 0.01
    return (x / x.sum(axis, keepdims=True)).astype(dtype)


def class_weight(rng, shape, dtype):
    return (rng.random(shape[0] if len(shape) == 1 else shape[1]) + 0.1).astype(dtype)


def log_probabilities(rng, shape, dtype):
    return np.log(probabilities(rng, shape, np.float64)).astype(dtype)


# --- classification -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", LOGIT_SHAPES, ids=str)
@each_reduction
def test_cross_entropy(rng, dtype, shape, reduction):
    x, target, weight = normal(rng, shape, dtype), indices(rng, shape), class_weight(rng, shape, dtype)
    for arguments in [(x, target), (x, target, weight)]:
        for smoothing in (0.0, 0.1):
            check(CROSS_ENTROPY, *arguments, reduction=reduction, label_smoothing=smoothing, lengths=x.size)


@pytest.mark.parametrize("shape", LOGIT_SHAPES, ids=str)
@each_reduction
def test_cross_entropy_of_probabilities(rng, dtype, shape, reduction):
    x, target, weight = normal(rng, shape, dtype), probabilities(rng, shape, dtype), class_weight(rng, shape, dtype)
    for arguments in [(x, target), (x, target, weight)]:
        for smoothing in (0.0, 0.1):
            check(CROSS_ENTROPY, *arguments, reduction=reduction, label_smoothing=smoothing, lengths=x.size)


@pytest.mark.parametrize("shape", LOGIT_SHAPES, ids=str)
@each_reduction
def test_nll(rng, dtype, shape, reduction):
    x, target, weight = log_probabilities(rng, shape, dtype), indices(rng, shape), class_weight(rng, shape, dtype)
    for arguments in [(x, target), (x, target, weight)]:
        check(NLL, *arguments, reduction=reduction, lengths=x.size)


@pytest.mark.parametrize("operation", [CROSS_ENTROPY, NLL], ids=lambda operation: operation.name)
@each_reduction
def test_ignored_targets(rng, dtype, operation, reduction):
    for shape in [(9, 5), (4, 5, 3)]:
        x, weight = log_probabilities(rng, shape, dtype), class_weight(rng, shape, dtype)
        for ignored in (-100, 2, 7):
            target = indices(rng, shape)
            target[::2] = ignored
            for arguments in [(x, target), (x, target, weight)]:
                check(operation, *arguments, reduction=reduction, ignore_index=ignored, lengths=x.size)
    target = indices(rng, shape)
    target[0] = -1
    if operation is CROSS_ENTROPY:
        check(operation, x, target, weight, reduction=reduction, ignore_index=-1, label_smoothing=0.2, lengths=x.size)


@pytest.mark.parametrize("operation", [CROSS_ENTROPY, NLL], ids=lambda operation: operation.name)
def test_an_ignored_row_may_hold_nan(rng, dtype, operation):
    x, target = log_probabilities(rng, (3, 17), dtype), np.array([1, -100, 16])
    x[1] = np.nan
    result = getattr(kernels, operation.name)(x, target)
    expected = getattr(kernels, operation.name)(x[::2].copy(), target[::2].copy())
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("operation", [CROSS_ENTROPY, NLL], ids=lambda operation: operation.name)
@each_reduction
def test_all_targets_ignored_and_empty_batch(rng, dtype, operation, reduction):
    x = log_probabilities(rng, (3, 5), dtype)
    check(operation, x, np.full(3, -100), reduction=reduction)
    check(operation, x[:0], np.zeros(0, np.int64), reduction=reduction)
    result = getattr(kernels, operation.name)(x, np.full(3, -100), reduction=reduction)
    np.testing.assert_array_equal(result, {"none": np.zeros(3), "mean": np.nan, "sum": 0}[reduction])


@pytest.mark.parametrize("operation", [CROSS_ENTROPY, NLL], ids=lambda operation: operation.name)
def test_int32_targets_give_the_same_bits(rng, dtype, operation):
    x, target, dy = log_probabilities(rng, (9, 17), dtype), indices(rng, (9, 17)), np.ones((), dtype)
    check(operation, x, target.astype(np.int32), lengths=x.size)
    forward, backward = getattr(kernels, operation.name), getattr(kernels, f"{operation.name}_backward")
    assert forward(x, target.astype(np.int32)) == forward(x, target)
    np.testing.assert_array_equal(backward(dy, x, target.astype(np.int32)), backward(dy, x, target))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_classification_layouts(rng, dtype, layout):
    change = LAYOUTS[layout]
    for shape in [(9, 17), (3, 17, 4)]:
        x, target, weight = log_probabilities(rng, shape, dtype), indices(rng, shape), class_weight(rng, shape, dtype)
        if layout != "inner":  # whose padding is NaN, which no integer is
            target = change(target)
        for operation in (CROSS_ENTROPY, NLL):
            check(operation, change(x), target, change(weight), lengths=x.size)
        check(CROSS_ENTROPY, change(x), change(probabilities(rng, shape, dtype)), lengths=x.size)


@hypothesis.given(
    shape=st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple),
    layout=st.sampled_from(sorted(LAYOUTS)),
    reduction=st.sampled_from(REDUCTIONS),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.25, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_cross_entropy_of_any_shape_and_layout(shape, layout, reduction, weighted, smoothing, dtype, seed):
    rng = np.random.default_rng(seed)
    x, target = LAYOUTS[layout](normal(rng, shape, dtype)), indices(rng, shape)
    weight = class_weight(rng, shape, dtype) if weighted else None
    check(CROSS_ENTROPY, x, target, weight, reduction=reduction, label_smoothing=smoothing, lengths=x.size)


@pytest.mark.parametrize("shape", [(5, 17), (17,), (3, 17, 4)], ids=str)
@pytest.mark.parametrize("end", ["front", "back"])
def test_kept_logsumexp(rng, dtype, shape, end):
    x, axis = normal(rng, shape, dtype), 0 if len(shape) == 1 else 1
    for target in (indices(rng, shape), probabilities(rng, shape, dtype)):
        lse = guarded(np.full(index_shape(shape), np.nan, dtype), end)
        loss = kernels.cross_entropy(x, target, label_smoothing=0.1, lse=lse)
        assert loss == kernels.cross_entropy(x, target, label_smoothing=0.1)
        np.testing.assert_allclose(lse, kernels.logsumexp(x, axis), rtol=1e-5)
        dy = np.asarray(dtype(0.7))
        np.testing.assert_allclose(
            kernels.cross_entropy_backward(dy, x, target, label_smoothing=0.1, lse=lse),
            kernels.cross_entropy_backward(dy, x, target, label_smoothing=0.1),
            rtol=1e-4,
            atol=1e-6,
        )


def test_cross_entropy_of_large_logits_does_not_overflow(dtype):
    x = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]], dtype)
    for target in ([0, 2], [1, 1], [2, 0]):
        check(CROSS_ENTROPY, x, np.array(target), reduction="none", lengths=3)


def test_cross_entropy_of_masked_logits(dtype):
    x = np.array([[0.5, -np.inf, 1.0], [0.5, -np.inf, 1.0], [0.0, np.nan, 0.0], [-np.inf] * 3], dtype)
    check(CROSS_ENTROPY, x, np.array([0, 1, 2, 0]), reduction="none", lengths=3)
    result = kernels.cross_entropy(x, np.array([0, 1, 2, 0]), reduction="none")
    assert np.isfinite(result[0]) and result[1] == np.inf and np.isnan(result[2:]).all()


# --- regression and probabilities -----------------------------------------------------------------------------------


@each_pair
@each_reduction
def test_paired(rng, dtype, operation, options, reduction):
    for shape in FLAT_SHAPES:
        x, target = normal(rng, shape, dtype), normal(rng, shape, dtype)
        check(operation, x, target, reduction=reduction, **options, lengths=x.size)


@each_pair
def test_paired_layouts_ties_and_infinities(rng, dtype, operation, options):
    x, target = normal(rng, (9, 17), dtype), normal(rng, (9, 17), dtype)
    for layout in LAYOUTS.values():
        check(operation, layout(x), target, **options, lengths=x.size)
        check(operation, x, layout(target), **options, lengths=x.size)
    check(operation, x, x.copy(), reduction="none", **options)
    specials = np.array([np.inf, -np.inf, 1, 1, 1e30, np.finfo(dtype).smallest_subnormal] * 5, dtype)
    others = np.array([1, 1, np.inf, -np.inf, 1, 0] * 5, dtype)
    check(operation, specials, others, reduction="none", **options)
    x[0, 0] = np.nan
    assert np.isnan(getattr(kernels, operation.name)(x, target, **options))


@pytest.mark.parametrize("operation", PAIRED, ids=lambda operation: operation.name)
def test_needs(rng, operation):
    x, target, dy = (normal(rng, shape, np.float64) for shape in [(3, 5), (3, 5), ()])
    backward = getattr(kernels, f"{operation.name}_backward")
    dx, dtarget = backward(dy, x, target)
    only_dx, only_dtarget = backward(dy, x, target, needs=(True, False)), backward(dy, x, target, needs=(False, True))
    assert only_dx[1] is None and only_dtarget[0] is None
    np.testing.assert_array_equal(only_dx[0], dx)
    np.testing.assert_array_equal(only_dtarget[1], dtarget)


@each_reduction
def test_binary_cross_entropy(rng, dtype, reduction):
    for shape in FLAT_SHAPES:
        x, target = (np.asarray(rng.random(shape)).astype(dtype) for _ in range(2))
        weight = np.asarray(rng.random(shape)).astype(dtype)
        check(BCE, x, target, reduction=reduction, lengths=x.size)
        if x.size:
            check(BCE, x, target, weight, reduction=reduction, lengths=x.size)
    check(
        BCE, *(rng.random((9, 17)).astype(dtype) for _ in range(2)), rng.random(17).astype(dtype), reduction=reduction
    )


def test_binary_cross_entropy_of_certainty(dtype):
    x = np.array([0, 0, 1, 1, 0.5, 1e-30, 1 - np.finfo(dtype).epsneg] * 3, dtype)
    target = np.array([0, 1, 0, 1, 0.5, 1, 0] * 3, dtype)
    if dtype == np.float32:  # PyTorch's float64 gradient is bounded by 1e-12 rounded to float32
        check(BCE, x, target, reduction="none")
    loss = kernels.binary_cross_entropy(x, target, reduction="none")
    np.testing.assert_array_equal(loss[:4], [0, 100, 100, 0])
    dx = kernels.binary_cross_entropy_backward(np.ones_like(x), x, target, reduction="none")
    np.testing.assert_allclose(dx[:4], [0, -1e12, 1e12, 0], rtol=1e-6)


@each_reduction
def test_binary_cross_entropy_with_logits(rng, dtype, reduction):
    for shape in FLAT_SHAPES:
        x, target = normal(rng, shape, dtype), np.asarray(rng.random(shape)).astype(dtype)
        weight = np.asarray(rng.random(shape)).astype(dtype)
        check(BCE_LOGITS, x, target, reduction=reduction, lengths=x.size)
        if x.size:
            check(BCE_LOGITS, x, target, weight, reduction=reduction, lengths=x.size)


@each_reduction
def test_positive_weights(rng, dtype, reduction):
    weighted = replace(
        BCE_LOGITS,
        peer=lambda x, target, weight, reduction, pos_weight: F.binary_cross_entropy_with_logits(
            x, target, weight, reduction=reduction, pos_weight=pos_weight
        ),
    )
    for shape in [(7, 5), (2, 3, 17)]:
        x, target = normal(rng, shape, dtype), rng.integers(0, 2, shape).astype(dtype)
        pos_weight, weight = (3 * rng.random(shape[-1])).astype(dtype), rng.random(shape).astype(dtype)
        check(weighted, x, target, None, reduction, pos_weight, lengths=x.size)
        check(weighted, x, target, weight, reduction, pos_weight, lengths=x.size)


def test_logits_far_from_zero(dtype):
    x = np.array([1e4, -1e4, 100, -100, 40, -40, 0] * 4, dtype)
    for value in (0.0, 0.5, 1.0):
        check(BCE_LOGITS, x, np.full_like(x, value), reduction="none")


def test_infinite_logits(dtype):
    """On the side of its target one costs 0, elsewhere inf; PyTorch has NaN for both where it takes inf - inf."""
    x = np.array([np.inf, -np.inf, np.inf, -np.inf, np.inf, -np.inf], dtype)
    target = np.array([1, 0, 0, 1, 0.5, 0.5], dtype)
    expected = [0, 0, np.inf, np.inf, np.inf, np.inf]
    slopes = [0, 0, 1, -1, 0.5, -0.5]
    for pos_weight in (None, np.array(3.0, dtype)):
        losses = kernels.binary_cross_entropy_with_logits(x, target, reduction="none", pos_weight=pos_weight)
        np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(
        kernels.binary_cross_entropy_with_logits_backward(np.ones_like(x), x, target, reduction="none"), slopes
    )


def test_nothing_of_an_infinity_is_nothing(dtype):
    """A class or an element of probability or weight 0 costs 0, even where its logarithm is -inf."""
    x = np.array([[-np.inf, 1, 1], [2, -np.inf, 2]], dtype)
    target = np.array([[0, 0.5, 0.5], [1, 0, 0]], dtype)
    assert_close(kernels.cross_entropy(x, target, reduction="none"), np.full(2, np.log(2)))
    weight = np.array([0, 1, 1], dtype)
    index = np.array([0, 2])
    assert_close(kernels.cross_entropy(x, index, weight, reduction="none"), np.array([0, np.log(2)]))
    assert_close(kernels.nll_loss(x, index, weight, reduction="none"), np.array([0, -2.0]))
    x, target = np.array([-np.inf, -1, -1], dtype), np.array([0, 0.5, 0.5], dtype)
    assert_close(kernels.kl_div(x, target, "none"), np.array([0, 0.5, 0.5]) * (1 - np.log(2)))
    with np.errstate(divide="ignore"):
        assert_close(kernels.kl_div(x, np.log(target), "none", True), np.array([0, 0.5, 0.5]) * (1 - np.log(2)))


def test_probabilities_are_probabilities(dtype):
    half = np.full(3, 0.5, dtype)
    for wrong in (-0.25, 1.5, np.nan, np.inf):
        target = np.array([0, 1, wrong], dtype)
        with pytest.raises(ValueError, match="binary_cross_entropy: target must lie in"):
            kernels.binary_cross_entropy(half, target)
        with pytest.raises(ValueError, match="binary_cross_entropy: x must lie in"):
            kernels.binary_cross_entropy(target, half)
    x = np.zeros((2, 3), dtype)
    with pytest.raises(ValueError, match="ignore_index is for class indices only, got 1"):
        kernels.cross_entropy(x, np.full((2, 3), 1 / 3, dtype), ignore_index=1)
    kernels.cross_entropy(x, np.full((2, 3), 1 / 3, dtype), ignore_index=-1)


def test_tiny_parameters(dtype):
    """beta and delta whose reciprocal or square is no number of the dtype."""
    d = np.array([0, 1e-41, 1e-30, 1e-3, 1, 1e30, -1, -1e-41], dtype)
    zero, one = np.zeros_like(d), np.ones_like(d)
    for beta in (1e-40, 1e-30, 1e-10, 1e5):
        for name in ("smooth_l1_loss", "huber_loss"):
            ours, wide = getattr(kernels, name), getattr(kernels.reference.loss, name)
            expected = wide(d.astype(np.float64), zero.astype(np.float64), "none", beta)
            np.testing.assert_allclose(ours(d, zero, "none", beta), expected, 1e-5, 1e-44)
            backward, wide = getattr(kernels, f"{name}_backward"), getattr(kernels.reference.loss, f"{name}_backward")
            slope = backward(one, d, zero, "none", beta)[0]
            expected = wide(one.astype(np.float64), d.astype(np.float64), zero.astype(np.float64), "none", beta)[0]
            np.testing.assert_allclose(slope, expected, 1e-4, 1e-44)


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
def test_kl_div(rng, dtype, reduction, log_target):
    for shape in [(5,), (1, 3), (9, 17), (2, 3, 5), (33, 65)]:
        x, target = log_probabilities(rng, (2, *shape), dtype)[0], probabilities(rng, (2, *shape), dtype)[0]
        if log_target:
            target = np.log(target)
        else:
            target.reshape(-1)[0] = 0
        check(KL, x, target, reduction=reduction, log_target=log_target, lengths=x.size)
        for layout in LAYOUTS.values():
            check(KL, layout(x), layout(target), reduction=reduction, log_target=log_target, lengths=x.size)


@each_reduction
def test_finite_differences(rng, reduction):
    shape = (3, 4, 2)
    x, target, weight = normal(rng, shape, np.float64), indices(rng, shape), class_weight(rng, shape, np.float64)
    target[0, 0] = -100
    check_finite_differences(NLL, x, target, weight, reduction=reduction)
    for labels in (target, probabilities(rng, shape, np.float64)):
        check_finite_differences(CROSS_ENTROPY, x, labels, weight, reduction=reduction, label_smoothing=0.1)
    for operation, options in PAIRED_CASES:
        check_finite_differences(operation, x, normal(rng, shape, np.float64), reduction=reduction, **options)
    p, q, unit = rng.random((3, *shape)) * 0.8 + 0.1
    check_finite_differences(BCE, p, q, unit, reduction=reduction)
    check_finite_differences(BCE_LOGITS, x, q, unit, reduction=reduction, pos_weight=np.array([2.0, 0.5]))
    check_finite_differences(KL, np.log(p), q, reduction=reduction)
    check_finite_differences(KL, np.log(p), np.log(q), reduction=reduction, log_target=True)


# --- accuracy and threads -------------------------------------------------------------------------------------------


def test_float32_error_is_at_most_that_of_torch(rng):
    x, target = normal(rng, (512, 1000), np.float32), indices(rng, (512, 1000))
    other = normal(rng, (512, 1000), np.float32)
    q = rng.random((512, 1000)).astype(np.float32)
    for operation, arguments in [
        (CROSS_ENTROPY, (x, target)),
        (MSE, (x, other)),
        (HUBER, (x, other)),
        (BCE, (q, q[::-1].copy())),
        (BCE_LOGITS, (x, q)),
    ]:
        for reduction in ("none", "sum"):
            wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arguments]
            exact = getattr(operation.reference, operation.name)(*wide, reduction=reduction)
            actual = getattr(kernels, operation.name)(*arguments, reduction=reduction)
            peer = operation.peer(*map(torch.from_numpy, arguments), reduction=reduction).numpy()
            error, peer_error = (np.sqrt(np.mean((y - exact) ** 2)) for y in (actual, peer))
            limit = max(1.5 * peer_error, 2 * np.finfo(np.float32).eps * np.abs(exact).mean())
            assert error <= limit, (operation.name, reduction)


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    shape = (600, 500)
    x, other, target = normal(rng, shape, dtype), normal(rng, shape, dtype), indices(rng, shape)
    q, dy = rng.random(shape).astype(dtype), np.asarray(dtype(1.3))

    def everything():
        yield kernels.cross_entropy(x, target, label_smoothing=0.1)
        yield kernels.cross_entropy_backward(dy, x, target, label_smoothing=0.1)
        yield kernels.cross_entropy(x, q)
        yield kernels.cross_entropy_backward(dy, x, q)
        yield kernels.nll_loss(x, target)
        yield kernels.nll_loss_backward(dy, x, target)
        for operation in (*PAIRED, BCE_LOGITS, KL):
            yield getattr(kernels, operation.name)(x, q)
            yield from np.atleast_1d(getattr(kernels, f"{operation.name}_backward")(dy, x, other))
        yield kernels.binary_cross_entropy(q, q)
        yield kernels.binary_cross_entropy_backward(dy, q, q)

    one, two = at_thread_counts(lambda: [part.tobytes() for part in everything()])
    assert one == two


def test_torch_tensors(rng, dtype):
    x, target = normal(rng, (5, 7), dtype), indices(rng, (5, 7))
    assert kernels.cross_entropy(torch.from_numpy(x), torch.from_numpy(target)) == kernels.cross_entropy(x, target)
    assert kernels.mse_loss(torch.from_numpy(x), torch.from_numpy(x[::-1].copy())) == kernels.mse_loss(x, x[::-1])


# --- variants -------------------------------------------------------------------------------------------------------

VARIANTS = [
    (name, variant)
    for name, variants in kernels.loss.VARIANTS.items()
    for variant in variants
    if name not in ("linear_cross_entropy", "ctc_loss")  # in test_vocabulary and test_sequences
]
PARAMETERS = {"huber_loss": "delta", "smooth_l1_loss": "beta"}


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_variants(rng, dtype, name, variant):
    """Of cross-entropy ``(x, target, out)``; of losses of pairs ``(x, target, out, parameter)``."""
    for shape in [(1, 1), (3, 2), (5, 17), (2, 64), (33, 33)]:
        if name == "cross_entropy":
            arrays, parameters = [normal(rng, shape, dtype), indices(rng, shape)], ()
        else:
            arrays, parameters = [rng.random(shape).reshape(-1).astype(dtype) for _ in range(2)], (0.3,)
        wide = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in arrays]
        options = {PARAMETERS[name]: 0.3} if name in PARAMETERS else {}
        expected = getattr(MSE.reference, name)(*wide, reduction="none", **options)
        out = guarded(np.full(expected.shape, np.nan, dtype))
        kernels.loss.VARIANTS[name][variant](*map(guarded, arrays), out, *parameters)
        assert_close(out, expected, length=shape[1], scale=np.abs(wide[0]).max(), label=f"{name} {variant}")


# --- errors ---------------------------------------------------------------------------------------------------------

X, T = np.zeros((3, 5)), np.zeros(3, np.int64)
CLASSIFIERS = ["cross_entropy", "nll_loss"]
OTHERS = [
    *(operation.name for operation in PAIRED),
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
]


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("index", [5, -1, 2**31 + 1, -(2**40)])
def test_class_index_out_of_range(name, index):
    target = np.array([0, index, 1])
    with pytest.raises(IndexError, match=rf"^{name}: .*{index}.*5"):
        getattr(kernels, name)(X, target)
    with pytest.raises(IndexError, match=rf"^{name}(_backward)?: .*{index}.*5"):
        getattr(kernels, f"{name}_backward")(np.ones(()), X, target)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (ValueError, r"\(4,\)", (X, np.zeros(4, np.int64)), {}),
        (ValueError, r"\(3, 1\)", (X, np.zeros((3, 1), np.int64)), {}),
        (ValueError, r"weight.*\(4,\)", (X, T, np.ones(4)), {}),
        (ValueError, r"\(\)", (np.zeros(()), T), {}),
        (ValueError, r"reduction .*'average'", (X, T), {"reduction": "average"}),
        (TypeError, r"float32", (X, T, np.ones(5, np.float32)), {}),
        (TypeError, r"int64", (X.astype(np.int64), T), {}),
        (TypeError, r"target.*int16", (X, T.astype(np.int16)), {}),
        (TypeError, r"target.*bool", (X, T.astype(bool)), {}),
    ],
)
def test_classification_errors(name, error, message, arguments, options):
    with pytest.raises(error, match=rf"^{name}: .*{message}"):
        getattr(kernels, name)(*arguments, **options)


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (ValueError, r"label_smoothing .*1.5", (X, T), {"label_smoothing": 1.5}),
        (ValueError, r"label_smoothing .*-0.1", (X, T), {"label_smoothing": -0.1}),
        (ValueError, r"\(3, 4\)", (X, np.zeros((3, 4))), {}),
        (TypeError, r"float32", (X, X.astype(np.float32)), {}),
        (ValueError, r"lse.*\(4,\)", (X, T), {"lse": np.zeros(4)}),
        (TypeError, r"lse.*float32", (X, T), {"lse": np.zeros(3, np.float32)}),
    ],
)
def test_cross_entropy_errors(error, message, arguments, options):
    with pytest.raises(error, match=rf"^cross_entropy: .*{message}"):
        kernels.cross_entropy(*arguments, **options)


@pytest.mark.parametrize("name", OTHERS)
def test_errors_of_every_other_loss(name):
    function, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    for call in (function, lambda *arguments, **options: backward(np.ones(()), *arguments, **options)):
        with pytest.raises(ValueError, match=rf"^{name}(_backward)?: .*\(3, 5\).*\(3, 1\)"):
            call(X, np.zeros((3, 1)))
        with pytest.raises(TypeError, match=rf"^{name}(_backward)?: .*float32"):
            call(X, X.astype(np.float32))
        with pytest.raises(TypeError, match=rf"^{name}(_backward)?: .*int64"):
            call(X.astype(np.int64), X.astype(np.int64))
        with pytest.raises(ValueError, match=rf"^{name}(_backward)?: reduction .*'average'"):
            call(X, X, reduction="average")
    with pytest.raises(ValueError, match=rf"^{name}_backward: dy.*\(2,\)"):
        backward(np.ones(2), X, X)
    with pytest.raises(ValueError, match=rf"^{name}_backward: dy.*\(\)"):
        backward(np.ones(()), X, X, reduction="none")


@pytest.mark.parametrize(
    ("name", "message", "arguments", "options"),
    [
        ("smooth_l1_loss", r"beta.*-1", (X, X), {"beta": -1.0}),
        ("huber_loss", r"delta.*0", (X, X), {"delta": 0.0}),
        ("binary_cross_entropy", r".*1.5", (X + 1.5, X), {}),
        ("binary_cross_entropy", r".*nan", (X * np.nan, X), {}),
        ("binary_cross_entropy", r"weight.*\(4,\)", (X, X, np.ones(4)), {}),
        ("binary_cross_entropy_with_logits", r"weight.*\(4,\)", (X, X, np.ones(4)), {}),
        ("binary_cross_entropy_with_logits", r"pos_weight.*\(4,\)", (X, X), {"pos_weight": np.ones(4)}),
    ],
)
def test_errors_of_single_losses(name, message, arguments, options):
    with pytest.raises(ValueError, match=rf"^{name}: {message}"):
        getattr(kernels, name)(*arguments, **options)
