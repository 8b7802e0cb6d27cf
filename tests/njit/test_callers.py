"""Functions that call kernels and are cached by Numba for their user."""

import os
import pickle
import subprocess
import sys

import numba
import pytest

from kernels import _njit_calls

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
