"""Tests of public functions inside jitted code: the same bits and the same errors as outside."""

import functools
import inspect
import os
import pickle
import subprocess
import sys

import numba
import numpy as np
import pytest

import kernels
from kernels import _njit_calls
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
    if isinstance(value, np.ndarray):
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
    scope = {"kernels": kernels, "inf": np.inf, "nan": np.nan}
    exec(f"def call({names}):\n    return kernels.{name}({', '.join(given)})", scope)
    return numba.njit(scope["call"]), arrays


@functools.cache
def calls():
    found = {}
    for name, arguments, options in public_calls():
        found.setdefault(name, []).append((arguments, options))
    return found


def assert_same_bits(result, expected):
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


# --- callers that are cached -----------------------------------------------------------------------------------------

CALLERS = """
import numba, numpy as np
from kernels import softmax

@numba.njit(cache=True)
def inner(x):
    return softmax(x)

@numba.njit(cache=True, parallel=True)
def outer(x):
    out = np.empty_like(x)
    for i in numba.prange(len(x)):
        out[i] = inner(x)[i]
    return out
"""
CALL = """
import sys
import numpy as np
from callers import *
x = np.arange(48, dtype=np.float32).reshape(16, 3) % 5
result = {}(x)
assert np.array_equal(result, softmax(x)), result
print(sum(inner.stats.cache_hits.values()), sum(outer.stats.cache_hits.values()))
"""


def test_cached_callers(tmp_path):
    """Also one whose callee was loaded from the cache when it was compiled, in the first call of a parallel region."""
    (tmp_path / "callers.py").write_text(CALLERS)

    def run(name):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
        done = subprocess.run(
            [sys.executable, "-c", CALL.format(name)], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert run("inner") == ["0", "0"]
    assert run("inner") == ["1", "0"]
    assert run("outer") == ["1", "0"]
    assert run("outer") == ["0", "1"]


@pytest.mark.parametrize(
    "change", [{"VERSION": 0}, {"name": "hardmax"}, {"home": "kernels.lost.njit"}, {"result": numba.types.none}]
)
def test_a_caller_cached_by_another_version_says_so(change):
    kinds = (numba.types.float32[:, ::1], numba.types.int64)
    right = {"VERSION": _njit_calls.VERSION, "home": "kernels.reduction.njit", "name": "softmax", "kinds": kinds}
    right["result"] = numba.types.float32[:, ::1]
    assert _njit_calls.Load(pickle.dumps(tuple(right.values())))() != 0
    with pytest.raises(RuntimeError, match="another version of kernels.*delete the cache"):
        _njit_calls.Load(pickle.dumps(tuple((right | change).values())))()


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
