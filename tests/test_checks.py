"""Tests of kernels._checks: which arguments are used as they are, viewed or copied, and the wording of every error."""

import re

import numpy as np
import pytest
import torch

from kernels import _checks
from tests.checking import LAYOUTS, read_only


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 4), (2, 0, 3)])
def test_valid_arrays_are_returned_unchanged(dtype, shape):
    x = np.ones(shape, dtype)
    assert _checks.floats("op", "x", x) is x


@pytest.mark.parametrize("layout", LAYOUTS)
def test_floats_of_any_layout(dtype, layout):
    x = LAYOUTS[layout](np.arange(12.0, dtype=dtype).reshape(3, 4))
    taken = _checks.floats("op", "x", x)
    np.testing.assert_array_equal(taken, np.arange(12.0).reshape(3, 4))
    assert taken.flags.carray
    assert taken.dtype == dtype
    assert np.shares_memory(taken, x) == (layout == "read-only")


def test_alias_of_a_read_only_array_outlives_it():
    alias = _checks.floats("op", "x", read_only(np.arange(1000.0)))
    np.empty(1000).fill(-1)  # would take the freed memory
    np.testing.assert_array_equal(alias, np.arange(1000.0))


def test_empty_and_scalar_read_only_arrays(dtype):
    for x in (np.empty((0, 3), dtype), np.ones((), dtype)):
        taken = _checks.floats("op", "x", read_only(x))
        assert taken.flags.carray
        assert taken.shape == x.shape


def test_misaligned_floats_are_copied():
    memory = np.zeros(33, np.uint8)
    x = memory[1:].view(np.float64)
    x[...] = [1, 2, 3, 4]
    assert not x.flags.aligned
    taken = _checks.floats("op", "x", x)
    assert taken.flags.carray
    np.testing.assert_array_equal(taken, [1, 2, 3, 4])


def test_subclasses_are_viewed():
    x = np.ones((2, 3)).view(np.matrix)
    taken = _checks.floats("op", "x", x)
    assert type(taken) is np.ndarray
    assert np.shares_memory(taken, x)


def test_torch_tensors_are_viewed(dtype):
    tensor = torch.ones(3, 4, dtype=torch.float32 if dtype == np.float32 else torch.float64)
    taken = _checks.floats("op", "x", tensor)
    taken[0, 0] = 5
    assert tensor[0, 0] == 5


def test_objects_with_dlpack_only_are_viewed():
    class Exchanged:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x = np.arange(3.0)
    taken = _checks.floats("op", "x", Exchanged(x))
    np.testing.assert_array_equal(taken, x)
    assert np.shares_memory(taken, x)


def test_numpy_scalars_are_arrays():
    taken = _checks.floats("op", "x", np.float32(2))
    assert taken.shape == ()
    assert taken == 2


@pytest.mark.parametrize("kind", [np.int64, np.int32])
def test_indices(kind):
    x = np.array([3, -1, 2], kind)
    taken = _checks.indices("op", "target", x)
    assert taken.dtype == np.int64
    assert (taken is x) == (kind == np.int64)
    np.testing.assert_array_equal(taken, x)
    np.testing.assert_array_equal(_checks.indices("op", "target", x[::2]), x[::2])


@pytest.mark.parametrize("shape", [(), (0,), (3, 5), (2**17,), (300, 513), (0, 10**6)])
def test_new(dtype, shape):
    for _ in range(20):
        x = _checks.new(shape, np.dtype(dtype))
        assert x.shape == shape
        assert x.dtype == dtype
        assert x.flags.carray
        if x.nbytes >= _checks.ALIGNED_FROM:
            assert x.ctypes.data % _checks.LINE == 0
            memory = x.base.ctypes.data
            assert memory <= x.ctypes.data
            assert x.ctypes.data + x.nbytes <= memory + x.base.nbytes


def test_output():
    made = _checks.output("op", None, (2, 3), np.dtype(np.float32))
    assert (made.shape, made.dtype) == ((2, 3), np.float32)
    out = np.empty((2, 3))
    assert _checks.output("op", out, (2, 3), np.dtype(np.float64)) is out


@pytest.mark.parametrize(("dim", "ndim", "expected"), [(0, 3, 0), (-1, 3, 2), (2, 3, 2), (0, 0, 0), (-1, 0, 0)])
def test_axis(dim, ndim, expected):
    assert _checks.axis("op", dim, ndim) == expected
    assert _checks.axis("op", np.int64(dim), ndim) == expected


A, B = np.ones((3, 4)), np.ones((5, 6))
F32 = np.ones(3, np.float32)
MISALIGNED = np.zeros(33, np.uint8)[1:].view(np.float64)
TYPE_ERRORS = {
    "relu: x must be float32 or float64, got int64": lambda: _checks.floats("relu", "x", np.ones(3, int)),
    "relu: x must be float32 or float64, got >f4": lambda: _checks.floats("relu", "x", np.ones(3, ">f4")),
    "relu: x must be float32 or float64, got float16": lambda: _checks.floats("relu", "x", np.ones(3, np.float16)),
    "relu: x must be an array, got list": lambda: _checks.floats("relu", "x", [1.0]),
    "relu: x must be an array, got NoneType": lambda: _checks.floats("relu", "x", None),
    "nll_loss: target must be int64 or int32, got float32": lambda: _checks.indices("nll_loss", "target", F32),
    "nll_loss: target must be an array, got int": lambda: _checks.indices("nll_loss", "target", 3),
    "matmul: dtypes differ: a is float64, b is float32": lambda: _checks.same_dtype("matmul", a=A, b=F32),
    "exp: out must be a NumPy array, got list": lambda: _checks.output("exp", [0.0], (1,), A.dtype),
    "exp: out must be float64, got float32": lambda: _checks.output("exp", F32, (3,), A.dtype),
    "softmax: dim must be an int, got float": lambda: _checks.axis("softmax", 1.0, 2),
    "softmax: dim must be an int, got bool": lambda: _checks.axis("softmax", True, 2),
}
VALUE_ERRORS = {
    "mse_loss: shapes differ: x is (3, 4), target is (5, 6)": lambda: _checks.same_shape("mse_loss", x=A, target=B),
    "exp: out must have shape (4, 3), got (3, 4)": lambda: _checks.output("exp", A, (4, 3), A.dtype),
    "exp: out is read-only": lambda: _checks.output("exp", read_only(A.copy()), (3, 4), A.dtype),
    "exp: out must be C-contiguous and aligned, its strides are (8, 24)": lambda: _checks.output(
        "exp", np.ones((4, 3)).T, (3, 4), A.dtype
    ),
    "exp: out must be C-contiguous and aligned, its strides are (8,)": lambda: _checks.output(
        "exp", MISALIGNED, (4,), A.dtype
    ),
    "nll_loss: lse must have shape (1,), got (5, 6)": lambda: _checks.output("nll_loss", B, (1,), A.dtype, "lse"),
    "matmul: out overlaps b": lambda: _checks.no_overlap("matmul", A, a=B, b=A[1:]),
    "softmax: dim must be from -2 to 1, got 2": lambda: _checks.axis("softmax", 2, 2),
    "softmax: dim must be from -2 to 1, got -3": lambda: _checks.axis("softmax", -3, 2),
    "softmax: dim must be from -1 to 0, got 1": lambda: _checks.axis("softmax", 1, 0),
    "gelu: approximate must be one of 'none', 'tanh', got 'no'": lambda: _checks.choice(
        "gelu", "approximate", "no", ("none", "tanh")
    ),
}


@pytest.mark.parametrize("message", TYPE_ERRORS | VALUE_ERRORS)
def test_wording(message):
    error, calls = (TypeError, TYPE_ERRORS) if message in TYPE_ERRORS else (ValueError, VALUE_ERRORS)
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        calls[message]()


def test_valid_arguments_raise_nothing():
    _checks.same_dtype("op", a=A, b=B)
    _checks.same_shape("op", a=A, b=A)
    _checks.no_overlap("op", A, a=B)
    _checks.choice("op", "reduction", "mean", ("none", "mean"))
