"""The functions of lookup inside jitted code."""

import numpy as np
import pytest

from tests.njit.calling import assert_same_error, assert_same_result, numbers


def places(*shape, number=3):
    return np.random.default_rng(7).integers(0, number, shape)


@pytest.mark.parametrize(
    "name, arguments, options",
    [
        ("embedding", (places(2, 3), numbers(6, 8)[::2]), {"out": np.zeros((2, 3, 8), np.float32)}),
        ("embedding", (np.array(1), numbers(3, 4), -1, 0.5, np.inf), {}),
        ("embedding", (places(4).astype(np.int32), numbers(4, 3).T, None, 0.5, 1.0), {}),
        ("embedding", (places(0), numbers(3, 4)), {}),
        ("embedding_backward", (numbers(5, 4), places(5), 3, -1, True), {}),
        ("embedding_backward", (numbers(0, 4), places(0), 3), {}),
        ("embedding_bag", (places(5), numbers(3, 4), np.array([0, 2, 5])), {"include_last_offset": True}),
        ("embedding_bag", (places(5), numbers(3, 4), np.array([0, 2])), {"padding_idx": 1, "mode": "max"}),
        ("embedding_bag", (places(2, 3), numbers(3, 4), None, 0.5), {"mode": "sum"}),
        ("embedding_bag_backward", (numbers(2, 4), places(2, 3), numbers(3, 4), None, True, "sum"), {}),
        ("gather", (numbers(3, 4), -1, places(2, 3)), {"out": np.zeros((2, 3), np.float32)}),
        ("gather", (np.arange(12).reshape(4, 3).T, 0, places(3, 4)), {}),
        ("gather", (numbers(3, 4) > 0, 0, places(2, 2)), {}),
        ("gather", (numbers(), 0, np.array(0)), {}),
        ("gather_backward", (numbers(2, 3), (3, 4), 1, places(2, 3)), {}),
        ("gather_backward", (numbers(0, 3), (3, 4), 1, places(0, 3)), {}),
        ("index_select", (numbers(3, 4, 5), 1, places(6)), {"out": np.zeros((3, 6, 5), np.float32)}),
        ("index_select", (np.arange(3, dtype=np.int32), 0, np.array(2)), {}),
        ("index_select_backward", (numbers(3, 6), (3, 4), 1, places(6)), {}),
        ("scatter", (numbers(3, 4), 0, places(2, 3), 2.5), {}),
        ("scatter", (np.arange(12).reshape(3, 4), 0, places(2, 3), np.arange(20).reshape(4, 5)), {}),
        ("scatter", (numbers(3, 4), 1, places(0, 4), numbers(3, 4)), {}),
        ("scatter_add", (numbers(3, 4), 0, places(2, 3), numbers(3, 3)), {"out": np.zeros((3, 4), np.float32)}),
        ("scatter_add", (numbers(3, 4) > 0, 0, places(2, 4), numbers(2, 4) > 0), {}),
        ("scatter_reduce", (np.arange(12).reshape(3, 4), 0, places(2, 4), 5, "mean"), {"include_self": False}),
        ("scatter_reduce", (numbers(3, 4), 0, places(2, 4), numbers(2, 4), "amax"), {"include_self": False}),
        ("scatter_reduce", (numbers(3, 4) > 0, 0, places(2, 4), numbers(2, 4) > 0, "prod"), {"include_self": False}),
        (
            "scatter_reduce_backward",
            (numbers(3, 4), numbers(3, 4), 0, places(2, 4), numbers(2, 4) * [0, 1, 1, 0], "prod", numbers(3, 4)),
            {"include_self": False},
        ),
        ("index_add", (numbers(3, 4), 0, places(5), numbers(5, 4)), {"alpha": 2.5}),
        ("index_add", (numbers(3, 4) > 0, 1, places(5), numbers(3, 5) > 0), {}),
        ("index_add", (np.arange(3), 0, places(5), np.arange(5)), {"alpha": 3}),
        ("index_add_backward", (numbers(3, 4), 0, places(5)), {"alpha": 3}),
    ],
)
def test_lookups_of_other_shapes(name, arguments, options):
    arguments = tuple(x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x for x in arguments)
    assert_same_result(name, arguments, options)


@pytest.mark.parametrize(
    "name, arguments, options",
    [
        ("embedding", (np.array([1, 3]), numbers(3, 4)), {}),
        ("embedding", (np.array([1.0]), numbers(3, 4)), {}),
        ("embedding", (places(2), numbers(3)), {}),
        ("embedding", (places(2), numbers(3, 4), 3), {}),
        ("embedding", (places(2), numbers(3, 4), None, -1.0), {}),
        ("embedding_backward", (numbers(5, 4), places(4), 3), {}),
        ("embedding_backward", (numbers(5), places(5), 3), {}),
        ("embedding_backward", (numbers(5, 4), places(5), -1), {}),
        ("embedding_bag", (places(5), numbers(3, 4)), {}),
        ("embedding_bag", (places(5), numbers(3, 4), np.array([0, 3, 2])), {}),
        ("embedding_bag", (places(5), numbers(3, 4), np.array([1, 2])), {}),
        ("embedding_bag", (places(5), numbers(3, 4), np.array([0, 2])), {"include_last_offset": True}),
        ("embedding_bag", (places(2, 3), numbers(3, 4), np.array([0])), {}),
        ("embedding_bag", (places(2, 3), numbers(3, 4)), {"per_sample_weights": numbers(2, 3)}),
        ("embedding_bag", (places(2, 3), numbers(3, 4)), {"mode": "min"}),
        ("embedding_bag", (places(2, 3), numbers(3, 4)), {"indices": np.zeros((2, 4), np.int64)}),
        ("embedding_bag_backward", (numbers(2, 4), places(2, 3), numbers(3, 4)), {"mode": "max"}),
        ("gather", (numbers(3, 4), 2, places(2, 3)), {}),
        ("gather", (numbers(3, 4), 0, places(2)), {}),
        ("gather", (numbers(3, 4), 0, places(2, 5)), {}),
        ("gather", (numbers(3, 4), 1, np.array([[1, 4]])), {}),
        ("gather", (numbers(3, 4).astype(np.int16), 1, places(1, 2)), {}),
        ("gather_backward", (numbers(2, 3), (3, 4), 1, places(2, 4)), {}),
        ("index_select", (numbers(3, 4), 0, places(2, 2)), {}),
        ("index_select", (numbers(3, 4), 0, np.array([0, 3])), {}),
        ("scatter", (numbers(3, 4), 0, places(2, 3), numbers(2, 2)), {}),
        ("scatter", (numbers(3, 4), 0, places(2, 3), numbers(2, 3, dtype=np.float64)), {}),
        ("scatter", (numbers(3, 4), 0, np.array([[-1]]), 1.0), {}),
        ("scatter_add", (numbers(3, 4), 0, places(2, 3), numbers(3)), {}),
        ("scatter_reduce", (numbers(3, 4), 0, places(2, 3), numbers(2, 3), "max"), {}),
        ("scatter_reduce", (numbers(3, 4) > 0, 0, places(2, 3), True, "mean"), {}),
        ("index_add", (numbers(3, 4), 0, places(5), numbers(4, 4)), {}),
        ("index_add_backward", (numbers(3, 4), 0, np.array([3])), {}),
    ],
)
def test_same_errors_of_lookups(name, arguments, options):
    assert_same_error(name, arguments, options)
