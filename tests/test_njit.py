"""Tests of public functions inside jitted code: the same bits and the same errors as outside."""

import copy
import functools
import inspect

import numba
import numpy as np
import pytest

import kernels
from kernels._njit import entry_of
from tests.test_debugging import arrays_in, public_calls

# Not functions of arrays: about the process, or loops that are called from jitted code anyway.
ABOUT_THE_PROCESS = {"set_num_threads", "get_num_threads", "show_config", "set_flush_denormal"}
LOOPS = {"matmul_loops", "linear_loops"}


def public_names():
    return sorted(
        name
        for name, value in vars(kernels).items()
        if inspect.isfunction(value) and not name.startswith("_") and name not in ABOUT_THE_PROCESS
    )


def offered():
    return [name for name in public_names() if entry_of(getattr(kernels, name)) is not None]


def converted(value, dtype):
    """The arguments of a call with float arrays of another dtype."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = np.asarray(value)  # a number of jitted code has no dtype
        return value.astype(dtype) if value.dtype.kind == "f" else value
    if isinstance(value, (tuple, list)):
        return type(value)(converted(each, dtype) for each in value)
    return {key: converted(each, dtype) for key, each in value.items()} if isinstance(value, dict) else value


def jitted(name, arguments, options):
    """A jitted function of the arrays among the arguments that makes the call, written out, and these arrays."""
    arrays = []

    def text(value):
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return f"x{len(arrays) - 1}"
        if isinstance(value, (tuple, list)) and arrays_in(value):
            return f"({', '.join(map(text, value))},)"
        return repr(value)

    given = [text(each) for each in arguments] + [f"{key}={text(each)}" for key, each in options.items()]
    names = ", ".join(f"x{i}" for i in range(len(arrays)))
    return compiled(f"def call({names}):\n    return kernels.{name}({', '.join(given)})"), arrays


@functools.cache
def compiled(text):
    """The jitted function `call` of a text, one for all calls that differ in their arrays only."""
    scope = {"kernels": kernels, "inf": np.inf, "nan": np.nan}
    exec(text, scope)
    return numba.njit(scope["call"])


@functools.cache
def calls():
    found = {}
    for name, arguments, options in public_calls():
        found.setdefault(name, []).append((arguments, options))
    return found


def assert_same_bits(result, expected):
    if isinstance(expected, np.generic):
        result = type(expected)(result)
    result, expected = arrays_in(result), arrays_in(expected)
    assert len(result) == len(expected)
    for one, other in zip(result, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", offered())
def test_same_bits_as_outside(name, dtype):
    for arguments, options in calls()[name]:
        arguments, options = converted(arguments, dtype), converted(options, dtype)
        call, arrays = jitted(name, arguments, options)
        inside = [array.copy() for array in arrays]
        with np.errstate(all="ignore"):
            expected = getattr(kernels, name)(*arguments, **options)
            result = call(*inside)
        assert_same_bits(result, expected)
        assert_same_bits(inside, arrays)  # what a call fills or changes


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def assert_same_error(name, arguments, options=None):
    """The call raises, and inside jitted code the same class with the same message."""
    with pytest.raises((TypeError, ValueError, IndexError, RuntimeError)) as outside:
        getattr(kernels, name)(*arguments, **(options or {}))
    call, arrays = jitted(name, arguments, options or {})
    with pytest.raises(outside.type) as inside:
        call(*arrays)
    assert inside.type is outside.type
    assert str(inside.value) == str(outside.value)


def assert_same_result(name, arguments, options=None):
    """The table's test of one call."""
    options = options or {}
    call, arrays = jitted(name, arguments, options)
    inside = [array.copy(order="K") for array in arrays]
    inside = [one if one.strides == other.strides else other for one, other in zip(inside, arrays, strict=True)]
    result = call(*inside)
    with np.errstate(all="ignore"):
        assert_same_bits(result, getattr(kernels, name)(*arguments, **options))
    assert_same_bits(inside, arrays)


# --- matrix products -------------------------------------------------------------------------------------------------

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


# --- losses ----------------------------------------------------------------------------------------------------------


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


# --- optimiser steps -------------------------------------------------------------------------------------------------


def steps():
    """Calls with parameters of several ranks, one without a gradient, and a strided gradient."""
    params = (numbers(3, 4), numbers(5), numbers(2, 3, 2))
    grads = (numbers(4, 3).T, None, numbers(2, 3, 2))
    states = [tuple(numbers(*p.shape) ** 2 for p in params) for _ in range(3)]
    yield "sgd", (params, grads), {"lr": 0.1, "weight_decay": 0.5}
    yield "sgd", (params, grads, states[0]), {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}
    yield "sgd", (params, grads, states[0]), {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "first": True}
    yield "adam", (params, grads, *states), {"step": 7, "lr": 0.1, "betas": (0.8, 0.99)}
    yield "adamw", (params, grads, *states[:2]), {"step": 3}
    yield "rmsprop", (params, grads, *states), {"momentum": 0.5}
    yield "rmsprop", (params, grads, states[0]), {"weight_decay": 0.1}
    yield "adagrad", (params, grads, states[0]), {"step": 5, "lr_decay": 0.1}
    yield "clip_grad_norm", (grads, 1.0), {}
    yield "clip_grad_norm", ((numbers(4, 3)[:, ::2], numbers(5, dtype=np.float64)), 0.5, 1), {}
    yield "clip_grad_norm", ((numbers(4, 3), numbers(5)), 100.0, np.inf), {}


@pytest.mark.parametrize("name, arguments, options", list(steps()))
def test_steps_of_several_parameters(name, arguments, options):
    expected, result = copy.deepcopy((arguments, options)), copy.deepcopy((arguments, options))
    outside = getattr(kernels, name)(*map(listed, expected[0]), **expected[1])
    call, arrays = jitted(name, *result)
    inside = call(*arrays)
    if outside is not None:
        assert type(outside)(inside) == outside
    assert_same_bits(arrays_in(result), arrays_in(expected))


def test_gradients_with_gaps_are_read_and_clipped_in_place():
    memory = numbers(4, 6)
    grad, inside, p = memory[:, ::2], memory.copy()[:, ::2], numbers(4, 3)
    call, _ = jitted("clip_grad_norm", ((inside,), 0.5), {})
    assert call(inside) == kernels.clip_grad_norm([grad], 0.5)
    assert_same_bits(inside, grad)
    q = p.copy()
    kernels.sgd([p], [grad], lr=0.5)
    jitted("sgd", ((q,), (inside,)), {"lr": 0.5})[0](q, inside)
    assert_same_bits(q, p)


def listed(value):
    return list(value) if isinstance(value, tuple) else value


def test_steps_take_lists_of_arrays():
    @numba.njit
    def call(p, q, g, h):
        params, grads = [p, q], [g, h]
        kernels.sgd(params, grads, lr=0.5)
        return kernels.clip_grad_norm(grads, 0.5)

    p, q, g, h = numbers(3), numbers(4), numbers(3), numbers(4)
    expected = [x.copy() for x in (p, q, g, h)]
    kernels.sgd(expected[:2], expected[2:], lr=0.5)
    norm = kernels.clip_grad_norm(expected[2:], 0.5)
    assert call(p, q, g, h) == norm
    assert_same_bits([p, q, g, h], expected)


@pytest.mark.parametrize(
    "name, arguments, options",
    [
        ("sgd", ((numbers(3),), (numbers(4),)), {"lr": 0.1}),
        ("sgd", ((numbers(3),), (numbers(3, 1),)), {"lr": 0.1}),
        ("sgd", ((numbers(3),), (numbers(3, dtype=np.float64),)), {"lr": 0.1}),
        ("sgd", ((numbers(3),), (numbers(3), numbers(3))), {"lr": 0.1}),
        ("sgd", ((np.ones(3, np.int64),), (numbers(3),)), {"lr": 0.1}),
        ("sgd", ((numbers(6)[::2],), (numbers(3),)), {"lr": 0.1}),
        ("sgd", ((numbers(3),), (numbers(3),)), {"lr": -0.1}),
        ("sgd", ((numbers(3),), (numbers(3),)), {"lr": 0.1, "momentum": 0.5}),
        ("sgd", ((numbers(3),), (numbers(3),)), {"lr": 0.1, "nesterov": True}),
        ("sgd", (numbers(3), (numbers(3),)), {"lr": 0.1}),
        ("sgd", ((numbers(3),), (numbers(3),), (numbers(4),)), {"lr": 0.1, "momentum": 0.5}),
        ("adam", ((numbers(3),), (numbers(3),), (numbers(3),), (numbers(2),)), {"step": 1}),
        ("adam", ((numbers(3),), (numbers(3),), (numbers(3),), (numbers(3),)), {"step": 0}),
        ("adam", ((numbers(3),), (numbers(3),), (numbers(3),), (numbers(3),)), {"step": 1, "betas": (0.5, 1.0)}),
        ("rmsprop", ((numbers(3),), (numbers(3),), (numbers(3),)), {"momentum": 0.5}),
        ("adagrad", ((numbers(3),), (numbers(3),), None), {"step": 1}),
        ("clip_grad_norm", ((np.ones(3, np.int64),), 1.0), {}),
        ("clip_grad_norm", ((numbers(3) * np.inf,), 1.0, 2.0, True), {}),
    ],
)
def test_same_errors_of_steps(name, arguments, options):
    assert_same_error(name, arguments, options)


# --- lookups ---------------------------------------------------------------------------------------------------------


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
