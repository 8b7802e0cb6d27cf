"""The functions of gemm inside jitted code."""

import numba
import numpy as np
import pytest

import kernels
from tests.njit.calling import assert_same_error, assert_same_result, jitted, numbers

PRODUCTS = {
    "strided": ((300, 200), (200, 60), lambda x: x[:, ::2], lambda x: x[::2]),
    "transposed": ((40, 300), (60, 40), np.transpose, np.transpose),
    "dot": ((7,), (7,)),
    "row": ((7,), (7, 3)),
    "column": ((3, 7), (7,)),
    "row, batch": ((7,), (2, 7, 3)),
    "batch, column": ((2, 3, 7), (7,)),
    "one matrix for a batch": ((2, 3, 7), (7, 5)),
    "batch": ((2, 3, 7), (2, 7, 5)),
    "stretched": ((5, 1, 4, 7), (2, 7, 3)),
    "axes that no view merges": ((2, 8, 3, 8), (2, 3, 8, 5), lambda x: x.swapaxes(1, 2)),
    "axes that a view merges": ((2, 3, 8, 7), (7, 5), lambda x: x[..., ::2, :]),
    "nothing": ((0, 3), (3, 4)),
    "nothing to sum": ((2, 2, 0), (0, 4)),
    "threads": ((120, 120), (120, 120)),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products_of_all_ranks(case):
    shape_a, shape_b, *views = PRODUCTS[case]
    a, b = numbers(*shape_a), numbers(*shape_b)
    for i, view in enumerate(views):
        a, b = (view(a), b) if i == 0 else (a, view(b))
    assert_same_result("matmul", (a, b))
    dy = numbers(*kernels.matmul(a, b).shape)
    assert_same_result("matmul_backward", (dy, a, b))


def test_products_into_out_and_parts_of_the_gradients():
    a, b = numbers(4, 3), numbers(3, 5)
    assert_same_result("matmul", (a, b), {"out": np.zeros((4, 5), np.float32)})
    for needs in ((True, False), (False, True)):
        call, arrays = jitted("matmul_backward", (numbers(4, 5), a, b), {"needs": needs})
        expected = kernels.matmul_backward(*arrays, needs=needs)
        result = call(*arrays)
        for one, other in zip(result, expected, strict=True):
            assert one.size == 0 if other is None else one.tobytes() == other.tobytes()


def test_linear_and_feed_forward_of_any_rank():
    x, weight, bias = numbers(2, 3, 4), numbers(6, 4), numbers(6)
    options = {"out": np.zeros((2, 3, 6), np.float32), "preactivation": np.zeros((2, 3, 6), np.float32)}
    assert_same_result("linear", (x, weight, bias, "gelu"), options)
    assert_same_result("linear", (x, weight, bias), {"preactivation": options["preactivation"]})
    assert_same_result("linear", (x[0, 0], weight))
    assert_same_result("linear_backward", (numbers(2, 3, 6), x, weight, "relu", numbers(2, 3, 6)))
    assert_same_result("linear", (np.zeros((0, 4), np.float32), weight))
    assert_same_result("linear_backward", (numbers(0, 6), numbers(0, 4), weight))
    back = numbers(4, 3)
    assert_same_result("feed_forward", (x, weight, bias, back, None, "swiglu"))
    saved = {"preactivation": np.zeros((2, 2, 3, 3), np.float32), "out": np.zeros((2, 3, 4), np.float32)}
    assert_same_result("feed_forward", (x, weight, bias, back, numbers(4), "swiglu"), saved)
    assert_same_result("feed_forward_backward", (x, x, weight, back, saved["preactivation"], "swiglu"))
    assert_same_result("feed_forward_backward", (x[:0], x[:0], weight, back, saved["preactivation"][:, :0], "swiglu"))


@pytest.mark.parametrize(
    "name, arguments, options",
    [
        ("matmul", (numbers(3, 4), numbers(5, 6)), {}),
        ("matmul", (numbers(3, 4), numbers(4, 6, dtype=np.float64)), {}),
        ("matmul", (np.ones((3, 4), np.int64), numbers(4, 6)), {}),
        ("matmul", (numbers(3, 4), 2.0), {}),
        ("matmul", (numbers(), numbers(4)), {}),
        ("matmul", (numbers(2, 3, 4), numbers(3, 4, 5)), {}),
        ("matmul", (numbers(3, 4), numbers(4, 6)), {"out": numbers(3, 5)}),
        ("matmul", (numbers(3, 4), numbers(4, 6)), {"out": numbers(3, 6, dtype=np.float64)}),
        ("matmul", (numbers(3, 4), numbers(4, 6)), {"out": numbers(6, 3).T}),
        ("matmul_backward", (numbers(3, 6), numbers(3, 4), numbers(5, 6)), {}),
        ("matmul_backward", (numbers(3, 5), numbers(3, 4), numbers(4, 6)), {}),
        ("matmul_backward", (numbers(3), numbers(3, 4), numbers(4, 6)), {}),
        ("matmul_backward", (numbers(3, 6, dtype=np.float64), numbers(3, 4), numbers(4, 6)), {}),
        ("matmul_backward", (numbers(2, 3, 5), numbers(2, 3, 4), numbers(3, 4, 5)), {}),
        ("linear", (numbers(3, 4), numbers(6)), {}),
        ("linear", (numbers(), numbers(6, 4)), {}),
        ("linear", (numbers(3, 4), numbers(6, 5)), {}),
        ("linear", (numbers(3, 4), numbers(6, 4), numbers(5)), {}),
        ("linear", (numbers(3, 4), numbers(6, 4), numbers(6, dtype=np.float64)), {}),
        ("linear", (numbers(3, 4), numbers(6, 4), None, "softmax"), {}),
        ("linear", (numbers(3, 4), numbers(6, 4)), {"preactivation": numbers(3, 5)}),
        ("linear_backward", (numbers(3, 5), numbers(3, 4), numbers(6, 4)), {}),
        ("linear_backward", (numbers(3, 6), numbers(3, 4), numbers(6, 5)), {}),
        ("linear_backward", (numbers(3, 6), numbers(3, 4), numbers(6, 4), "relu"), {}),
        ("linear_backward", (numbers(3, 6), numbers(3, 4), numbers(6, 4), "relu", numbers(3, 5)), {}),
        ("feed_forward", (numbers(3, 4), numbers(6, 4), None, numbers(4, 5), None), {}),
        ("feed_forward", (numbers(3, 4), numbers(6, 4), None, numbers(4, 6), None, "swiglu"), {}),
        ("feed_forward", (numbers(3, 4), numbers(6, 4), numbers(5), numbers(4, 6), None), {}),
        ("feed_forward", (numbers(3, 4), numbers(6, 4), None, numbers(4, 6), None, "sigmoid"), {}),
        ("feed_forward_backward", (numbers(3, 4), numbers(3, 4), numbers(6, 4), numbers(4, 6), numbers(3, 5)), {}),
    ],
)
def test_same_errors_of_products(name, arguments, options):
    assert_same_error(name, arguments, options)


def test_product_does_not_overlap_its_operands():
    call = numba.njit(lambda a, b, out: kernels.matmul(a, b, out=out))
    memory = numbers(60)
    with pytest.raises(ValueError, match="matmul: out overlaps b"):
        call(numbers(3, 4), memory[:16].reshape(4, 4), memory[10:22].reshape(3, 4))
