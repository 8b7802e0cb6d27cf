"""Tests of the checker itself: it must fail on wrong results."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import kernels
from tests.checking import GUARD_PAGES, LAYOUTS, Operation, assert_close, check, guarded

RELU = Operation("activation", "relu", torch.relu, saved=lambda arguments, result: [result], out=True)

OVERREAD = """
import ctypes, sys
import numpy as np
from tests.checking import guarded
array = guarded(np.arange(5.0), sys.argv[1])
byte = array.ctypes.data + {"front": 0, "back": array.nbytes - 1}[sys.argv[1]]
ctypes.string_at(byte, 1)
print("inside", flush=True)
ctypes.string_at(byte + {"front": -1, "back": 1}[sys.argv[1]], 1)
print("outside", flush=True)
"""


@pytest.mark.skipif(not GUARD_PAGES, reason="guard pages are made with Linux's mprotect")
@pytest.mark.parametrize("end", ["front", "back"])
def test_overread_kills(end):
    root = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", OVERREAD, end], cwd=root, capture_output=True, text=True)
    assert run.stdout == "inside\n", run.stderr
    assert run.returncode < 0


@pytest.mark.skipif(not GUARD_PAGES, reason="guard pages are made with Linux's mprotect")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("end", ["front", "back"])
def test_guarded_keeps_values_and_strides(layout, end):
    array = LAYOUTS[layout](np.arange(24.0).reshape(2, 3, 4))
    copy = guarded(array, end)
    np.testing.assert_array_equal(copy, np.arange(24.0).reshape(2, 3, 4))
    assert copy.strides == array.strides
    assert copy.flags.writeable == array.flags.writeable


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        ([1.0, np.nan, 3.0], "NaN differs"),
        ([1.0, np.inf, 3.0], "inf differs"),
        ([1.0, 2.0001, 3.0], "1 of 3 differ; worst at .1,"),
        ([[1.0, 2.0, 3.0]], "shape"),
    ],
)
def test_assert_close_fails(actual, message):
    with pytest.raises(AssertionError, match=message):
        assert_close(np.array(actual), np.array([1.0, 2.0, 3.0]))


def test_assert_close_takes_float64_overflow_as_infinity():
    assert_close(np.array([np.inf, 1.0], np.float32), np.array([1e300, 1.0]))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("relu", lambda x, *, out=None: x, "returned its argument"),
        ("relu", lambda x, *, out=None: np.maximum(x, 0, out=x).copy(), "changed its arguments"),
        ("relu_backward", lambda dy, y: np.where(y > 0, dy, 0).astype(np.float64), "dtype"),
        ("relu", lambda x, *, out=None: np.maximum(x, 0), "out|is target"),
        ("relu_backward", lambda dy, y: dy.copy(), "gradient 0"),
        ("relu_backward", lambda dy, y: np.where(y > 0, dy, np.nan).astype(dy.dtype), "NaN differs"),
    ],
)
def test_check_fails(monkeypatch, name, wrong, message):
    x = np.linspace(-1, 1, 6, dtype=np.float32)
    check(RELU, x)
    monkeypatch.setattr(kernels, name, wrong)
    with pytest.raises(AssertionError, match=message):
        check(RELU, x)


def test_check_fails_where_reference_and_torch_disagree():
    with pytest.raises(AssertionError, match="against PyTorch"):
        check(replace(RELU, peer=torch.nn.functional.leaky_relu), np.linspace(-1, 1, 6))
