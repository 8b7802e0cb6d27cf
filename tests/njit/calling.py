"""Calls of public functions inside jitted code, beside the same calls outside."""

import functools
import inspect

import numba
import numpy as np
import pytest

import kernels
from kernels._njit import entry_of
from tests.test_debugging import arrays_in, public_calls

# Not functions of arrays: about the process, or loops that jitted code links as they are.
ABOUT_THE_PROCESS = {"set_num_threads", "get_num_threads", "show_config", "set_flush_denormal"}


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


def assert_same_result(name, arguments, options=None):
    """A call gives the same bits inside and outside, and changes the same arrays; what is None outside has size 0
    inside. Views stay views."""
    options = options or {}
    call, arrays = jitted(name, arguments, options)
    inside = [copied(array) for array in arrays]
    with np.errstate(all="ignore"):
        result, expected = call(*inside), getattr(kernels, name)(*arguments, **options)
    if isinstance(expected, tuple):
        assert all(x is None or x.size == 0 for x, y in zip(result, expected, strict=True) if y is None)
        result = tuple(x for x, y in zip(result, expected, strict=True) if y is not None)
        expected = tuple(y for y in expected if y is not None)
    assert_same_bits(result, expected)
    assert_same_bits(inside, arrays)


def copied(array):
    """A copy of the same layout; the array itself where it is a view with gaps."""
    if not array.flags.forc or not array.flags.writeable or not array.flags.aligned:
        return array
    return array.copy(order="A")


def assert_same_error(name, arguments, options=None):
    """The call raises, and inside jitted code the same class with the same message."""
    options = options or {}
    call, arrays = jitted(name, arguments, options)
    with pytest.raises((TypeError, ValueError, IndexError, RuntimeError)) as outside:
        getattr(kernels, name)(*arguments, **options)
    with pytest.raises(outside.type) as inside:
        call(*arrays)
    assert inside.type is outside.type
    assert str(inside.value) == str(outside.value)


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(2).standard_normal(shape).astype(dtype)


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def read_only(x):
    x.flags.writeable = False
    return x
