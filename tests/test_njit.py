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
