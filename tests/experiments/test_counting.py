"""The counter of arithmetic operations: known counts, and the compiled kernels are restored afterwards."""

import numpy as np

import kernels
import nn
from experiments.counting import Counted, counted_flops, counted_kernels
from experiments.operations import normal
from nn import functional as F
from nn.functional import recurrent


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


def test_recurrent_layers_are_counted():
    T, B, K, H = 3, 2, 4, 5
    inputs = normal(T, B, K), normal(B, H), normal(H, K), normal(H, H)
    forward, backward = counted(lambda *x: F.rnn(*x)[0], *inputs, result=(T, B, H))
    products = 2 * T * B * H * (K + H)
    assert products <= forward < 2 * products and 2 * products <= backward < 4 * products


def test_a_fused_loss_is_counted_as_the_reference_computes_it():
    rng, target = np.random.default_rng(0), np.array([0, 2, 1])
    x, w = (nn.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((3, 4), (5, 4)))
    with counted_kernels():
        start = Counted.total
        loss = F.linear_cross_entropy(x, w, nn.tensor(target))
        forward, start = Counted.total - start, Counted.total
        loss.backward()
        backward = Counted.total - start
    product = 2 * 3 * 4 * 5
    assert product < forward < 2 * product and 3 * product < backward < 4 * forward


def test_kernels_return():
    before, layer = kernels.relu, recurrent.RNN
    with counted_kernels():
        assert kernels.relu is not before
        assert type(nn.ones(2).relu().array) is np.ndarray
    assert kernels.relu is before and recurrent.RNN is layer
