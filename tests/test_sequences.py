"""Tests of kernels.loss.alignment and kernels.loss.sequences: ctc_loss."""

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
from kernels.loss import alignment
from kernels.reference import loss as reference
from tests.checking import assert_close, guarded

REDUCTIONS = ["none", "mean", "sum"]
# T, C, input lengths, target lengths.
SHAPES = [
    (1, 2, (1,), (1,)),
    (3, 4, (3, 2), (1, 0)),
    (12, 5, (12, 7, 9), (4, 3, 4)),
    (40, 30, (40, 33, 40), (15, 12, 7)),
    (60, 6, (60, 60), (16, 25)),
    (5, 3, (0, 5, 0), (0, 2, 0)),
]


def inputs(rng, shape, dtype, spread=2.0):
    """Log-probabilities, padded targets, and the lengths."""
    T, C, lengths, target_lengths = shape
    logits = torch.from_numpy(spread * rng.standard_normal((T, len(lengths), C)))
    targets = rng.integers(1, C, (len(lengths), max(target_lengths)))
    return logits.log_softmax(-1).numpy().astype(dtype), targets, np.array(lengths), np.array(target_lengths)


def concatenated(targets, target_lengths):
    return np.concatenate([row[:size] for row, size in zip(targets, target_lengths, strict=True)])


def theirs(arguments, dy, **options):
    """PyTorch's loss and gradient."""
    log_probs, *others = [torch.from_numpy(np.array(array)) for array in arguments]
    log_probs.requires_grad_()
    loss = F.ctc_loss(log_probs, *others, **options)
    (gradient,) = torch.autograd.grad(loss, log_probs, torch.from_numpy(np.array(dy)).reshape(loss.shape))
    return loss.detach().numpy(), gradient.numpy()


def check_sequences(arguments, guard=True, **options):
    """Value and gradient against the float64 reference and PyTorch, also next to guard pages."""
    log_probs, targets, lengths, target_lengths = arguments
    dtype, wide = log_probs.dtype, (log_probs.astype(np.float64), *arguments[1:])
    expected = reference.ctc_loss(*wide, **options)
    dy = np.asarray(np.random.default_rng(0).standard_normal(expected.shape)).astype(dtype)
    gradient = reference.ctc_loss_backward(dy.astype(np.float64), *wide, **options)
    peer, peer_gradient = theirs(arguments, dy, **options)
    for end in ("front", "back") if guard else (None,):
        place = (lambda array, end=end: guarded(array, end)) if end else (lambda array: array)
        given = [place(array) for array in arguments]
        alpha = place(np.full((len(lengths), len(log_probs), 2 * max(target_lengths) + 1), np.nan, dtype))
        loss = kernels.ctc_loss(*given, **options, log_alpha=alpha)
        assert loss.tobytes() == kernels.ctc_loss(*given, **options).tobytes()
        dx = kernels.ctc_loss_backward(place(dy), *given, **options, log_alpha=alpha)
        assert dx.tobytes() == kernels.ctc_loss_backward(place(dy), *given, **options).tobytes()
        assert_close(loss, expected, label="loss")
        assert_close(loss, peer, factor=10, label="loss against PyTorch")
        scale = 1 + np.abs(dy).max(initial=0)
        if dtype == np.float64:
            scale *= len(log_probs)  # the reference's own rounding, of logarithms as large as the loss
        assert_close(dx, gradient, length=len(log_probs), scale=scale, label="gradient")
        if np.isinf(log_probs).any():  # there PyTorch's is NaN
            peer_gradient = np.where(np.isinf(log_probs), 0, peer_gradient)
        assert_close(dx, peer_gradient, length=len(log_probs), scale=scale, factor=20, label="gradient against PyTorch")
    return loss, dx


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_values_and_gradients(rng, dtype, shape, reduction):
    log_probs, targets, *lengths = inputs(rng, shape, dtype)
    padded, _ = check_sequences((log_probs, targets, *lengths), reduction=reduction)
    flat, _ = check_sequences((log_probs, concatenated(targets, lengths[1]), *lengths), reduction=reduction)
    assert padded.tobytes() == flat.tobytes()


def test_blank(rng, dtype):
    log_probs, targets, *lengths = inputs(rng, SHAPES[2], dtype)
    check_sequences((log_probs, targets - 1, *lengths), blank=4, reduction="none")


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_inputs_too_short(rng, dtype, zero_infinity, reduction):
    """A repeated class needs a blank between: 3 targets of one class take 5 times."""
    log_probs, targets, *_ = inputs(rng, (5, 4, (5, 5, 5), (3, 3, 3)), dtype)
    targets[:] = 2
    lengths = np.array([4, 5, 0]), np.array([3, 3, 3])
    options = {"zero_infinity": zero_infinity, "reduction": reduction}
    loss, dx = check_sequences((log_probs, targets, *lengths), **options)
    if not zero_infinity:
        assert np.isinf(loss).any()
        assert np.isnan(dx[:4, 0]).all() and not dx[4:, 0].any() and not dx[:, 2].any()


def test_impossible_classes(rng, dtype):
    """Log-probabilities of -inf: paths that cannot be."""
    log_probs, targets, *lengths = inputs(rng, (12, 5, (12, 12), (3, 4)), dtype)
    log_probs[3, 0, 0] = log_probs[5, 0, 1:] = log_probs[2, 1, 3] = -np.inf
    targets[:] = [[1, 2, 3, 1], [4, 4, 2, 1]]
    check_sequences((log_probs, targets, *lengths), reduction="none")


def test_one_sample(rng, dtype):
    log_probs, targets, lengths, target_lengths = inputs(rng, (12, 5, (10,), (4,)), dtype)
    loss = kernels.ctc_loss(log_probs, targets, lengths, target_lengths, reduction="none")
    single = log_probs[:, 0], targets[0], lengths[0], target_lengths[0]
    assert kernels.ctc_loss(*single, reduction="none").shape == ()
    assert kernels.ctc_loss(*single, reduction="none") == loss[0]
    dx = kernels.ctc_loss_backward(np.ones((), dtype), *single)
    assert dx.shape == (12, 5)
    peer, gradient = theirs(single, np.ones((), dtype))
    assert_close(kernels.ctc_loss(*single), peer, factor=10)
    assert_close(dx, gradient, factor=20)


def test_no_samples(dtype):
    arguments = np.zeros((4, 0, 3), dtype), np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    assert kernels.ctc_loss(*arguments, reduction="none").shape == (0,)
    assert kernels.ctc_loss(*arguments, reduction="sum") == 0
    assert kernels.ctc_loss_backward(np.ones((), dtype), *arguments).shape == (4, 0, 3)


@hypothesis.given(
    sizes=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), min_size=1, max_size=4),
    C=st.integers(2, 40),
    reduction=st.sampled_from(REDUCTIONS),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_lengths(sizes, C, reduction, dtype, seed):
    T = max(length for length, _ in sizes) or 1
    lengths, target_lengths = zip(*sizes, strict=True)
    arguments = inputs(np.random.default_rng(seed), (T, C, lengths, target_lengths), dtype)
    check_sequences(arguments, guard=False, reduction=reduction, zero_infinity=True)


def test_accuracy(rng):
    """A loss of thousands, in float32, has the accuracy of its terms, and less error than PyTorch's."""
    arguments = inputs(rng, (1500, 40, (1500, 1400), (100, 300)), np.float32, spread=4.0)
    wide = arguments[0].astype(np.float64), *arguments[1:]
    loss, right = (kernels.ctc_loss(*each, reduction="none") for each in (arguments, wide))
    dy = np.ones(2, np.float32)
    dx = kernels.ctc_loss_backward(dy, *arguments, reduction="none")
    right_dx = kernels.ctc_loss_backward(dy.astype(np.float64), *wide, reduction="none")
    peer, peer_dx = theirs(arguments, dy, reduction="none")
    assert right.min() > 3000
    assert np.abs(loss - right).max() <= np.abs(peer - right).max()
    assert np.abs(loss - right).max() <= 1e-6 * right.max()
    assert np.abs(dx - right_dx).max() <= np.abs(peer_dx - right_dx).max()
    assert np.abs(dx - right_dx).max() <= 1e-4


def test_finite_differences(rng):
    """The gradient with respect to logits, behind a log-softmax."""
    logits = rng.standard_normal((6, 2, 4))
    arguments = np.array([[1, 1], [3, 2]]), np.array([6, 5]), np.array([2, 1])

    def loss(logits):
        return kernels.ctc_loss(kernels.log_softmax(logits, -1), *arguments)

    dx = kernels.ctc_loss_backward(np.ones(()), kernels.log_softmax(logits, -1), *arguments)
    for index in np.ndindex(logits.shape):
        shifted = np.repeat(logits[None], 2, 0)
        shifted[(0, *index)] += 1e-6
        shifted[(1, *index)] -= 1e-6
        np.testing.assert_allclose(dx[index], (loss(shifted[0]) - loss(shifted[1])) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("variant", alignment.VARIANTS["ctc_loss"])
def test_variants(rng, dtype, variant):
    for shape in (SHAPES[1], SHAPES[2]):
        log_probs, targets, lengths, target_lengths = inputs(rng, shape, dtype)
        starts = np.concatenate([[0], np.cumsum(target_lengths)])
        expected = reference.ctc_loss(log_probs.astype(np.float64), targets, lengths, target_lengths, reduction="none")
        out, given = guarded(np.full(len(lengths), np.nan, dtype)), concatenated(targets, target_lengths)
        rung = alignment.VARIANTS["ctc_loss"][variant]
        rung(guarded(log_probs), guarded(given), guarded(starts), guarded(lengths), 0, out)
        assert_close(out, expected, label=variant)


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    arguments = inputs(rng, (60, 30, (60, 50, 40, 55, 60), (20, 20, 10, 5, 0)), dtype)

    def call():
        yield kernels.ctc_loss(*arguments, reduction="none")
        yield kernels.ctc_loss_backward(np.ones((), dtype), *arguments)

    one, two = at_thread_counts(lambda: [array.tobytes() for array in call()])
    assert one == two


GOOD = {
    "log_probs": np.zeros((4, 2, 3)),
    "targets": np.ones((2, 3), np.int64),
    "input_lengths": [4, 3],
    "target_lengths": [2, 1],
}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (TypeError, "log_probs must be float32 or float64, got int64", {"log_probs": np.zeros((4, 2, 3), int)}),
        (ValueError, r"log_probs must have shape \(T, N, C\) or \(T, C\), got \(3,\)", {"log_probs": np.zeros(3)}),
        (ValueError, "blank must be from 0 to 2, got 3", {"blank": 3}),
        (ValueError, r"input_lengths must be from 0 to 4, got \[4 5\]", {"input_lengths": [4, 5]}),
        (ValueError, r"target_lengths must be from 0 to 3, got \[-1  1\]", {"target_lengths": [-1, 1]}),
        (ValueError, r"target_lengths must have shape \(2,\), got \(1,\)", {"target_lengths": [1]}),
        (TypeError, "input_lengths must be int64 or int32, got float64", {"input_lengths": [4.0, 3.0]}),
        (ValueError, r"targets must have shape \(2, S\) or be one-dimensional", {"targets": np.ones((3, 3), int)}),
        (ValueError, "target_lengths must add up to the 4 targets, they add up to 3", {"targets": np.ones(4, int)}),
        (IndexError, r"targets must be from 0 to 2, got 3", {"targets": np.array([[1, 1, 1], [3, 1, 1]])}),
        (ValueError, "reduction must be one of", {"reduction": "max"}),
        (ValueError, r"log_alpha must have shape \(2, 4, 5\)", {"log_alpha": np.zeros((2, 4, 3))}),
    ],
)
def test_errors(backward, error, message, change):
    name, first = ("ctc_loss_backward", {"dy": np.ones(())}) if backward else ("ctc_loss", {})
    with pytest.raises(error, match=f"^{name}: {message}"):
        getattr(kernels, name)(**(first | GOOD | change))


def test_unused_targets_are_not_read():
    good = GOOD | {"targets": np.array([[1, 1, -7], [2, 99, 99]])}
    assert np.isfinite(kernels.ctc_loss(**good))


def test_backward_errors():
    with pytest.raises(ValueError, match=r"^ctc_loss_backward: dy must have shape \(2,\), got \(\)"):
        kernels.ctc_loss_backward(np.ones(()), **GOOD, reduction="none")
    with pytest.raises(TypeError, match="^ctc_loss_backward: dtypes differ"):
        kernels.ctc_loss_backward(np.ones((), np.float32), **GOOD)
