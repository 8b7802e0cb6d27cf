"""The counter of arithmetic operations: known counts, and the compiled kernels are restored afterwards."""

import numpy as np

import kernels
import nn
from experiments.counting import Counted, counted_flops, counted_kernels
from experiments.operations import normal
from nn import functional as F


def counted(function, *inputs, result):
    arrays = [np.ones(i.draw(np.random.default_rng(0)).shape) for i in inputs]
    return counted_flops(lambda tensors: (function(*tensors),), inputs, arrays, [np.ones(result)])


def test_ufuncs_sums_products_and_selections():
    x, y = np.ones((3, 4)).view(Counted), np.ones((4, 5))
    for expected, work in (
        (12, lambda: x + 1),
        (12, lambda: np.exp(x)),
        (12, lambda: x.sum()),
        (2 * 3 * 4 * 5, lambda: x @ y),
        (12 + 12, lambda: np.where(x > 0, x, 0)),
        (0, lambda: x.reshape(2, 6).T),
    ):
        start = Counted.total
        work()
        assert Counted.total - start == expected


def test_linear_layer_has_the_textbook_count():
    M, K, N = 3, 4, 5
    flops = counted(F.linear, normal(M, K), normal(N, K), normal(N), result=(M, N))
    assert flops == [2 * M * K * N + M * N, 4 * M * K * N + M * N]


def test_a_gradient_that_is_not_needed_costs_nothing():
    fixed = normal(3, 4)._replace(differentiated=False)
    assert counted(F.linear, fixed, normal(5, 4), result=(3, 5)) == [2 * 3 * 4 * 5, 2 * 3 * 4 * 5]


def test_kernels_return():
    before = kernels.relu
    with counted_kernels():
        assert kernels.relu is not before
        assert type(nn.ones(2).relu().array) is np.ndarray
    assert kernels.relu is before
