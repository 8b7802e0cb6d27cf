"""The functions of loss inside jitted code."""

import numpy as np
import pytest

import kernels
from tests.njit.calling import assert_same_error, assert_same_result, jitted, numbers


@pytest.mark.parametrize(
    "name, arguments, options",
    [
        ("mse_loss", (numbers(6, 8)[:, ::2], numbers(4, 6).T), {}),
        ("mse_loss", (numbers(0, 3), numbers(0, 3), "mean"), {}),
        ("mse_loss", (numbers(), numbers()), {}),
        ("smooth_l1_loss", (numbers(5), numbers(5), "sum", 0), {}),
        ("smooth_l1_loss_backward", (numbers(), numbers(5), numbers(5), "sum", 0), {}),
        ("huber_loss", (numbers(40000), numbers(40000), "mean", 0.5), {}),
        ("binary_cross_entropy_with_logits", (numbers(3, 4), numbers(3, 4), numbers(4)), {"pos_weight": numbers(3, 1)}),
        ("binary_cross_entropy_with_logits", (numbers(3, 4), numbers(3, 4), np.array(2, np.float32)), {}),
        (
            "binary_cross_entropy_with_logits_backward",
            (numbers(3, 4), numbers(3, 4), numbers(3, 4), numbers(4), "none"),
            {"pos_weight": numbers(3, 1)},
        ),
        ("kl_div", (numbers(3, 4), numbers(3, 4) ** 2, "batchmean"), {}),
        ("kl_div_backward", (numbers(), numbers(3, 4), numbers(3, 4), "batchmean", True), {}),
        ("cross_entropy", (numbers(5), np.array(2)), {}),
        ("cross_entropy", (numbers(3, 5), np.array([1, -100, 4], np.int32), numbers(5) ** 2), {}),
        ("cross_entropy", (numbers(3, 5), np.array([-100, -100, -100])), {}),
        ("cross_entropy_backward", (numbers(), numbers(3, 5), np.array([1, -100, 4])), {"label_smoothing": 0.2}),
        ("cross_entropy", (numbers(0, 5), np.zeros(0, np.int64)), {}),
        ("nll_loss", (numbers(2, 5, 3), np.ones((2, 3), np.int64), None, 1, "sum"), {}),
        ("linear_cross_entropy", (numbers(2, 3, 4), numbers(6, 4), np.ones((2, 3), np.int64)), {"reduction": "none"}),
        ("linear_cross_entropy", (numbers(4), numbers(6, 4), np.array(2)), {"ignore_index": 2}),
        (
            "linear_cross_entropy",
            (numbers(3, 4), numbers(6, 4), np.ones(3, np.int64)),
            {"gradients": (np.zeros((3, 4), np.float32), None, np.zeros(6, np.float32)), "linear_bias": numbers(6)},
        ),
        (
            "linear_cross_entropy_backward",
            (numbers(), numbers(3, 4), numbers(6, 4), np.ones(3, np.int64)),
            {"gradients": (numbers(3, 4), numbers(6, 4), None), "linear_bias": numbers(6), "weight": numbers(6) ** 2},
        ),
        ("ctc_loss", (numbers(5, 4), np.array([1, 2]), 5, 2), {"reduction": "none"}),
        ("ctc_loss", (numbers(5, 2, 4), np.array([1, 2, 3]), np.array([5, 1]), (1, 2), 0, "sum", True), {}),
        ("ctc_loss_backward", (numbers(2), numbers(5, 2, 4), np.array([1, 2, 3]), [5, 1], [1, 2], 0, "none"), {}),
    ],
)
def test_losses_of_other_shapes(name, arguments, options):
    assert_same_result(name, arguments, options)


def test_parts_of_the_gradients_of_losses():
    x, target = numbers(3, 4), numbers(3, 4)
    call, arrays = jitted("mse_loss_backward", (numbers(), x, target), {"needs": (False, True)})
    dx, dtarget = call(*arrays)
    assert dx.size == 0
    assert dtarget.tobytes() == kernels.mse_loss_backward(*arrays)[1].tobytes()


@pytest.mark.parametrize(
    "name, arguments, options",
    [
        ("mse_loss", (numbers(3), numbers(4)), {}),
        ("mse_loss", (numbers(3), numbers(3, 1)), {}),
        ("mse_loss", (numbers(3), numbers(3, dtype=np.float64)), {}),
        ("mse_loss", (numbers(3), numbers(3), "max"), {}),
        ("mse_loss_backward", (numbers(3), numbers(3), numbers(3)), {}),
        ("mse_loss_backward", (numbers(4), numbers(3), numbers(3), "none"), {}),
        ("huber_loss", (numbers(3), numbers(3), "mean", 0.0), {}),
        ("smooth_l1_loss_backward", (numbers(), numbers(3), numbers(3), "mean", -1.0), {}),
        ("binary_cross_entropy", (numbers(3) ** 2 + 1.1, numbers(3) * 0), {}),
        ("binary_cross_entropy", (numbers(3) * 0, numbers(3) * 0 - 0.25, None, "sum"), {}),
        ("binary_cross_entropy_with_logits", (numbers(3, 4), numbers(3, 4), numbers(3)), {}),
        ("binary_cross_entropy_with_logits", (numbers(4), numbers(4)), {"pos_weight": numbers(1, 4)}),
        ("kl_div", (numbers(3), numbers(3), "batch"), {}),
        ("cross_entropy", (numbers(3, 5), np.array([1, 5, 4])), {}),
        ("cross_entropy", (numbers(3, 5), np.array([1, 4])), {}),
        ("cross_entropy", (numbers(3, 5), np.array([[1], [4], [0]])), {}),
        ("cross_entropy", (numbers(3, 5), np.array([1, 2, 3]), numbers(4)), {}),
        ("cross_entropy", (numbers(3, 5), np.array([1, 2, 3])), {"label_smoothing": 1.5}),
        ("cross_entropy", (numbers(3, 5), numbers(3, 5), None, 1), {}),
        ("cross_entropy", (numbers(), np.array(1)), {}),
        ("cross_entropy", (numbers(3, 0), np.array([1, 2, 3])), {}),
        ("cross_entropy", (numbers(3, 5), np.array([1, 2, 3])), {"lse": numbers(4)}),
        ("cross_entropy_backward", (numbers(), numbers(3, 5), np.array([1, 2, 3])), {"lse": numbers(4)}),
        ("cross_entropy_backward", (numbers(3), numbers(3, 5), np.array([1, 2, 3])), {}),
        ("nll_loss", (numbers(3, 5, 2), np.full((3, 2), 7)), {}),
        ("linear_cross_entropy", (numbers(3, 4), numbers(6, 5), np.ones(3, np.int64)), {}),
        ("linear_cross_entropy", (numbers(3, 4), numbers(6, 4), np.full(3, 6)), {}),
        (
            "linear_cross_entropy",
            (numbers(3, 4), numbers(6, 4), np.ones(3, np.int64)),
            {"reduction": "none", "gradients": (numbers(3, 4), None, None)},
        ),
        (
            "linear_cross_entropy",
            (numbers(3, 4), numbers(6, 4), np.ones(3, np.int64)),
            {"gradients": (numbers(3, 5), None, None)},
        ),
        ("ctc_loss", (numbers(5, 2, 4), np.array([1, 2, 3]), [5, 6], [1, 2]), {}),
        ("ctc_loss", (numbers(5, 2, 4), np.array([1, 2, 3]), [5, 5], [1, 1]), {}),
        ("ctc_loss", (numbers(5, 2, 4), np.array([1, 2, 4]), [5, 5], [1, 2]), {}),
        ("ctc_loss", (numbers(5, 2, 4), np.array([1, 2, 3]), [5, 5], [1, 2], 4), {}),
        ("ctc_loss", (numbers(5, 2, 4), np.array([1, 2, 3]), [5], [1, 2]), {}),
        ("ctc_loss", (numbers(4), np.array([1, 2, 3]), [5], [1]), {}),
    ],
)
def test_same_errors_of_losses(name, arguments, options):
    assert_same_error(name, arguments, options)
