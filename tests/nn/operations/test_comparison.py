"""Comparisons and logic against PyTorch."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree

X = np.array([[1.0, -2.0, np.nan, 0.0], [np.inf, -np.inf, 3.0, 0.5]])
Y = np.array([[1.0, 2.0, np.nan, -0.0], [np.inf, 1.0, 2.5, 0.5]])
K, J = np.array([[3, 0, 7, 1], [2, 5, 1, 4]]), np.array([[3, 1, 2, 0], [1, 5, 4, 4]])
DTYPES = [np.float32, np.float64, np.uint8, np.int8, np.int16, np.int32, np.int64, np.bool_]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge", "greater", "greater_equal", "less", "less_equal", "not_equal"]
LOGIC = ["logical_and", "logical_or", "logical_xor"]
BITS = ["bitwise_and", "bitwise_or", "bitwise_xor"]


def both(name, *args, **options):
    """The results of a function of both libraries, as a function and as a method."""
    for library in (nn, torch):
        first, *rest = (library.tensor(a) if isinstance(a, np.ndarray) else a for a in args)
        yield getattr(library, name)(first, *rest, **options)
        if hasattr(torch.Tensor, name):
            yield getattr(first, name)(*rest, **options)


def same(name, *args, **options):
    results = list(both(name, *args, **options))
    half = len(results) // 2
    for ours, theirs in zip(results[:half], results[half:], strict=True):
        if isinstance(theirs, torch.Tensor):
            agree(ours, theirs)
        else:
            assert type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COMPARISONS + LOGIC)
def test_two_operands(name, dtype):
    x, y = (X, Y) if dtype in (np.float32, np.float64) else (K, J)
    same(name, x.astype(dtype), y.astype(dtype))
    same(name, x.astype(dtype), y.astype(dtype)[0])
    if name in COMPARISONS:
        same(name, x.astype(dtype), 1)


@pytest.mark.parametrize("dtype", DTYPES[2:])
@pytest.mark.parametrize("name", BITS)
def test_bits(name, dtype):
    same(name, K.astype(dtype), J.astype(dtype))
    same("bitwise_not", K.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES[2:-1])
@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
def test_shifts(name, dtype):
    same(name, K.astype(dtype), J.astype(dtype))
    same(name, K.astype(dtype), 1)


@pytest.mark.parametrize(
    "operator", ["__and__", "__or__", "__xor__", "__lshift__", "__rshift__", "__rand__", "__rxor__"]
)
def test_operators(operator):
    for other in (2, J):
        ours, theirs = (
            getattr(library.tensor(K), operator)(library.tensor(other) if isinstance(other, np.ndarray) else other)
            for library in (nn, torch)
        )
        agree(ours, theirs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "isposinf", "isneginf", "logical_not"])
def test_one_operand(name, dtype):
    same(name, (X if dtype in (np.float32, np.float64) else K).astype(dtype))


def test_closeness():
    near = np.array([1.0, 1.0 + 1e-9, 1.1, np.nan, np.inf])
    for options in ({}, {"equal_nan": True}, {"rtol": 0.2}, {"atol": 0.2}):
        same("isclose", near, np.array([1.0, 1.0, 1.0, np.nan, np.inf]), **options)
        same("allclose", near[:3], np.array([1.0, 1.0, 1.0]), **options)
    same("isclose", K, J)
    same("equal", K, K.copy())
    same("equal", K, J)
    same("equal", K, J[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_properties_of_dtypes(dtype):
    x = np.ones((2, 3), dtype)
    for name in ("is_floating_point", "is_complex", "is_signed", "numel", "is_tensor"):
        same(name, x)
    same("is_nonzero", x[:1, :1])
    assert not nn.is_tensor(x)


def test_is_nonzero_needs_one_element():
    with pytest.raises(ValueError, match="one element"):
        nn.is_nonzero(nn.ones(2))


@pytest.mark.parametrize("name", ["eq", "lt", "logical_and", "bitwise_xor"])
def test_in_place_the_dtype_remains(name):
    for dtype in (np.int64, np.bool_) if name == "bitwise_xor" else DTYPES:
        results = []
        for library in (nn, torch):
            x = library.tensor(K.astype(dtype))
            results.append(getattr(x, f"{name}_")(library.tensor(J.astype(dtype))))
        agree(*results)


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in DTYPES for b in DTYPES])
def test_dtypes_of_results(first, second):
    names = np.dtype(first).name, np.dtype(second).name
    mine, other = ([getattr(library, name) for name in names] for library in (nn, torch))
    assert nn.can_cast(*mine) == torch.can_cast(*other)
    assert str(nn.promote_types(*mine)) == str(torch.promote_types(*other)).removeprefix("torch.")
    if set(names) != {"float32", "float64"}:
        x, y = (np.ones(2, dtype) for dtype in (first, second))
        expected = torch.result_type(torch.tensor(x), torch.tensor(y))
        assert str(expected) == f"torch.{nn.result_type(nn.tensor(x), nn.tensor(y))}"


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_limits_of_floats(name):
    ours, theirs = nn.finfo(getattr(nn, name)), torch.finfo(getattr(torch, name))
    for field in ours._fields:
        assert getattr(ours, field) == getattr(theirs, field)
    assert nn.finfo() == nn.finfo(nn.float32)


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_limits_of_integers(name):
    ours, theirs = nn.iinfo(getattr(nn, name)), torch.iinfo(getattr(torch, name))
    for field in ours._fields:
        assert getattr(ours, field) == getattr(theirs, field)
