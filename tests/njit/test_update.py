"""The functions of update inside jitted code."""

import copy

import numba
import numpy as np
import pytest

import kernels
from tests.njit.calling import assert_same_bits, assert_same_error, jitted, numbers
from tests.test_debugging import arrays_in


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
