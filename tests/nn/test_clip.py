"""Gradient clipping against torch.nn.utils."""

import math

import numpy as np
import pytest
import torch

import nn

SHAPES = [(4, 3), (5,), (2, 3, 2), ()]


def pair(rng, dtype, scale=1.0):
    """Parameters of both libraries with the same gradients; one has none."""
    ours, theirs = [], []
    for shape in SHAPES:
        g = (scale * rng.standard_normal(shape)).astype(dtype)
        ours.append(nn.Parameter(np.zeros(shape, dtype)))
        theirs.append(torch.nn.Parameter(torch.tensor(np.zeros(shape, dtype))))
        ours[-1].grad, theirs[-1].grad = nn.Tensor(g.copy()), torch.tensor(g)
    ours.append(nn.Parameter(np.zeros(2, dtype)))
    theirs.append(torch.nn.Parameter(torch.zeros(2)))
    return ours, theirs


def assert_same_gradients(ours, theirs, dtype):
    for p, q in zip(ours[:-1], theirs[:-1], strict=True):
        assert p.grad.dtype == dtype
        np.testing.assert_allclose(p.grad.array, q.grad.numpy(), rtol=10 * np.finfo(dtype).eps)
    assert ours[-1].grad is None


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf, 3.0])
@pytest.mark.parametrize("max_norm", [0.1, 1e3], ids=["clipped", "left"])
def test_clip_grad_norm_equals_torch(norm_type, max_norm, dtype, rng):
    ours, theirs = pair(rng, dtype)
    norm = nn.utils.clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=10 * np.finfo(dtype).eps)
    assert norm.shape == () and norm.dtype == dtype
    assert_same_gradients(ours, theirs, dtype)


def test_a_norm_within_the_bound_changes_no_bit(rng):
    ours, _ = pair(rng, np.float32)
    before = [p.grad.array.copy() for p in ours[:-1]]
    nn.utils.clip_grad_norm_(ours, 1e3)
    for p, g in zip(ours[:-1], before, strict=True):
        np.testing.assert_array_equal(p.grad.array, g)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_norm_that_is_not_finite(value, rng):
    ours, theirs = pair(rng, np.float64)
    for p in (ours[0], theirs[0]):
        p.grad.numpy()[0, 0] = value
    with pytest.raises(RuntimeError, match=f"clip_grad_norm: the norm of order 2.0 of the gradients is {value}"):
        nn.utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    assert (ours[1].grad.array != 0).all()
    nn.utils.clip_grad_norm_(ours, 1.0)
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    assert_same_gradients(ours, theirs, np.float64)


def test_clip_grad_value_equals_torch(dtype, rng):
    ours, theirs = pair(rng, dtype)
    nn.utils.clip_grad_value_(ours, 0.5)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    assert max(np.abs(p.grad.array).max() for p in ours[:-1]) == 0.5
    assert_same_gradients(ours, theirs, dtype)


def test_one_parameter_and_no_parameters(rng):
    ours, _ = pair(rng, np.float64)
    nn.utils.clip_grad_norm_(ours[0], 1.0)
    np.testing.assert_allclose(np.linalg.norm(ours[0].grad.array), 1.0, rtol=1e-5)
    nn.utils.clip_grad_value_(ours[1], 0.25)
    assert np.abs(ours[1].grad.array).max() == 0.25
    assert nn.utils.clip_grad_norm_([ours[-1]], 1.0).item() == 0.0


def test_gradients_at_the_edge_of_the_range_are_clipped_not_overflowed():
    w = nn.Parameter(np.zeros(4, np.float32))
    w.grad = nn.Tensor(np.full(4, 1e30, np.float32))
    assert nn.utils.clip_grad_norm_(w, 1.0).item() == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(w.grad.array, 0.5, rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array, nn.tensor, lambda v: np.array([v])])
def test_bounds_that_are_not_python_numbers(kind):
    w = nn.Parameter([3.0, 4.0])
    w.grad = nn.tensor([6.0, 8.0])
    assert nn.utils.clip_grad_norm_([w], kind(5.0), kind(2.0)).item() == 10
    np.testing.assert_allclose(w.grad.array, [3, 4], rtol=1e-6)
    nn.utils.clip_grad_value_([w], kind(3.5))
    np.testing.assert_allclose(w.grad.array, [3, 3.5], rtol=1e-6)
    assert w.grad.dtype == np.float32


@pytest.mark.parametrize(
    "change",
    [
        lambda w: nn.utils.clip_grad_norm_([w], 1.0),
        lambda w: nn.utils.clip_grad_value_([w], 1.0),
        lambda w: nn.optim.SGD([w]).zero_grad(set_to_none=False),
        lambda w: nn.Sequential({"part": Holder(w)}).zero_grad(set_to_none=False),
    ],
)
def test_a_change_of_a_saved_gradient_is_detected(change):
    w, v = nn.Parameter([3.0, 4.0]), nn.Parameter([1.0, 1.0])
    w.grad = nn.tensor([6.0, 8.0])
    loss = (v * w.grad).sum()
    change(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


class Holder(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight
