"""Tensor and the tape against PyTorch; also memory sharing and release, and the wording of errors."""

import copy
import gc
import platform
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import kernels
import nn
from nn.tape import record_several
from tests.nn.compare import agree, same_as_torch

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
ROW, COLUMN, ONE, SCALAR = (RNG.standard_normal(shape) for shape in ((4,), (3, 1), (1, 1), ()))
CUBE = RNG.standard_normal((2, 3, 4))
POSITIVE, TIES = np.abs(A) + 0.1, np.round(A)
ZEROS = np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 2.0], [4.0, 5.0, 6.0]])
PICK = np.array([2, 0, 2, 2])
MASK = A > 0


# --- values and gradients ---------------------------------------------------------------------------------------------

BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "same operand twice": lambda a, b: a * b + a / b - a,
    "method": lambda a, b: a.add(b).sub(b).mul(b).div(b),
}
OPERANDS = {
    "equal": (A, B),
    "row": (A, ROW),
    "column": (COLUMN, A),
    "outer": (COLUMN, ROW),
    "one": (A, ONE),
    "scalar": (SCALAR, A),
    "cube and row": (CUBE, ROW),
    "cube and column": (CUBE, COLUMN),
    "empty": (np.empty((0, 4)), ROW),
}


@pytest.mark.parametrize("operands", OPERANDS.values(), ids=OPERANDS)
@pytest.mark.parametrize("function", BINARY.values(), ids=BINARY)
def test_arithmetic_broadcasts(function, operands):
    same_as_torch(function, *operands)


@pytest.mark.parametrize("operands", [(POSITIVE, B), (POSITIVE, ROW), (SCALAR**2, A)], ids=["equal", "row", "scalar"])
def test_power_of_tensors(operands):
    same_as_torch(lambda a, b: a**b, *operands)


UNARY = {
    "x + number": (lambda x: 2 + x + 3.5, A),
    "x - number": (lambda x: 2 - (x - 3.5), A),
    "x * number": (lambda x: 2 * x * 3.5, A),
    "x / number": (lambda x: 2 / (x / 3.5), A),
    "square": (lambda x: x**2, A),
    "cube root": (lambda x: x ** (1 / 3), POSITIVE),
    "power 0 at 0": (lambda x: x**0, ZEROS),
    "power 1 at 0": (lambda x: x**1, ZEROS),
    "power of number": (lambda x: 2**x, A),
    "power of zero": (lambda x: 0**x, POSITIVE),
    "neg": (lambda x: -x, A),
    "abs": (lambda x: abs(x), ZEROS - 3),
    "exp": (lambda x: x.exp(), A),
    "log": (lambda x: x.log(), POSITIVE),
    "sqrt": (lambda x: x.sqrt(), POSITIVE),
    "tanh": (lambda x: x.tanh(), A),
    "sigmoid": (lambda x: x.sigmoid(), A),
    "relu": (lambda x: x.relu(), TIES),
    "clamp": (lambda x: x.clamp(-0.5, 1.0), TIES),
    "clamp from below": (lambda x: x.clamp(min=0.0), TIES),
    "clamp from above": (lambda x: x.clamp(max=0.25), A),
    "sum": (lambda x: x.sum(), CUBE),
    "sum of one": (lambda x: x.sum(1), CUBE),
    "sum of several": (lambda x: x.sum((0, -1), keepdim=True), CUBE),
    "sum of a list": (lambda x: x.sum([0, 1]), CUBE),
    "sum of a scalar": (lambda x: x.sum(), SCALAR),
    "sum of nothing": (lambda x: x.sum(0), np.empty((0, 3))),
    "mean": (lambda x: x.mean(), CUBE),
    "mean of several": (lambda x: x.mean((1, 2)), CUBE),
    "mean kept": (lambda x: x.mean(-2, keepdim=True), CUBE),
    "max": (lambda x: x.max(), A),
    "max of ties": (lambda x: x.max(), ZEROS.T * 0),
    "max along": (lambda x: x.max(1).values, CUBE),
    "max of ties along": (lambda x: x.max(0, keepdim=True)[0], TIES),
    "min": (lambda x: x.min(), ZEROS),
    "min along": (lambda x: x.min(-1).values, CUBE),
    "var": (lambda x: x.var(), A),
    "var along": (lambda x: x.var(1, correction=0, keepdim=True), CUBE),
    "std": (lambda x: x.std(0), CUBE),
    "prod": (lambda x: x.prod(), A),
    "prod with zeros": (lambda x: x.prod(1), ZEROS),
    "prod kept": (lambda x: x.prod(0, keepdim=True), ZEROS),
    "prod of one": (lambda x: x.prod(1), COLUMN),
    "logsumexp": (lambda x: x.logsumexp(1), CUBE),
    "logsumexp of several": (lambda x: x.logsumexp((0, 2), keepdim=True), CUBE),
    "softmax": (lambda x: x.softmax(0), CUBE),
    "log_softmax": (lambda x: x.log_softmax(-1), CUBE),
    "reshape": (lambda x: x.reshape(4, -1) * 2, CUBE),
    "reshape by tuple": (lambda x: x.reshape((6, 4)), CUBE),
    "reshape a transpose": (lambda x: x.transpose(0, 2).reshape(-1) ** 2, CUBE),
    "view": (lambda x: x.view(6, 4), CUBE),
    "flatten": (lambda x: x.flatten(), CUBE),
    "flatten the last": (lambda x: x.flatten(1), CUBE),
    "flatten a scalar": (lambda x: x.flatten(), SCALAR),
    "transpose": (lambda x: x.transpose(0, -1), CUBE),
    "permute": (lambda x: x.permute(2, 0, 1), CUBE),
    "permute by tuple": (lambda x: x.permute((-1, 0, 1)), CUBE),
    "T": (lambda x: x.T, A),
    "mT": (lambda x: x.mT, CUBE),
    "squeeze": (lambda x: x.squeeze(), CUBE[:, :1, :1]),
    "squeeze one": (lambda x: x.squeeze(1), CUBE[:, :1, :1]),
    "squeeze a longer one": (lambda x: x.squeeze(0), CUBE[:, :1, :1]),
    "squeeze two": (lambda x: x.squeeze((1, 2)), CUBE[:, :1, :1]),
    "unsqueeze": (lambda x: x.unsqueeze(-1), A),
    "expand": (lambda x: x.expand(2, -1, 5), COLUMN),
    "expand a scalar": (lambda x: x.expand(2, 3), SCALAR),
    "split": (lambda x: x.split(3, 1)[1] * x.split([1, 3], 1)[0], A),
    "chunk": (lambda x: x.chunk(3, -1)[0] * x.chunk(3, -1)[1], A),
    "unbind": (lambda x: x.unbind(1)[2] * x.unbind(1)[-1], CUBE),
    "iteration": (lambda x: sum(row * i for i, row in enumerate(x)), A),
    "masked_fill": (lambda x: x.masked_fill(x > 0, 7.0), A),
    "index int": (lambda x: x[1], CUBE),
    "index element": (lambda x: x[1, 2] * 2, A),
    "index slices": (lambda x: x[:, 1:, ::2], CUBE),
    "index ellipsis and new": (lambda x: x[..., None, 2], CUBE),
    "index array": (lambda x: x[PICK], A[[0, 1, 2]]),
    "index list": (lambda x: x[[0, 0, 1]], A),
    "index arrays": (lambda x: x[[0, 1, 0], [1, 2, 1]], A),
    "index mixed": (lambda x: x[:, [0, 0], 1:3], CUBE),
    "index bool": (lambda x: x[x > 0], A),
    "index rows by bool": (lambda x: x[[True, False, True]], A),
    "clone": (lambda x: x.clone() * x, A),
    "to and back": (lambda x: x.double() * 2, A),
    "diamond": (lambda x: (x.exp() + x) * (x.exp() - x).sum(0), A),
}


@pytest.mark.parametrize(("function", "array"), UNARY.values(), ids=UNARY)
def test_function_of_one_tensor(function, array):
    same_as_torch(function, array)


MATMUL = {
    "matrices": (A, B.T),
    "vectors": (ROW, ROW + 1),
    "vector and matrix": (A[:, 0], B),
    "matrix and vector": (A, ROW),
    "batches": (CUBE, CUBE.transpose(0, 2, 1)),
    "batch and matrix": (CUBE, A.T),
    "broadcast batches": (CUBE[:1], CUBE.transpose(0, 2, 1)),
}


@pytest.mark.parametrize("operands", MATMUL.values(), ids=MATMUL)
def test_matmul(operands):
    same_as_torch(lambda a, b: a @ b, *operands)
    same_as_torch(lambda a, b: a.matmul(b), *operands)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("operands", [(A, B), (TIES, ROW.round()), (A, SCALAR)], ids=["equal", "ties", "scalar"])
def test_elementwise_extremum(name, operands):
    same_as_torch(getattr(nn, name), *operands, reference=getattr(torch, name))
    same_as_torch(lambda a, b: getattr(a, name)(b), *operands)


def test_where():
    mask = nn.tensor(MASK)
    same_as_torch(
        lambda a, b: nn.where(mask, a, b), A, ROW, reference=lambda a, b: torch.where(torch.tensor(MASK), a, b)
    )
    same_as_torch(lambda a: nn.where(MASK, a, 0.0), COLUMN, reference=lambda a: torch.where(torch.tensor(MASK), a, 0.0))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cat_and_stack(dim):
    same_as_torch(lambda a, b: nn.cat([a, b, a], dim), A, B, reference=lambda a, b: torch.cat([a, b, a], dim))
    same_as_torch(lambda a, b: nn.stack([a, b, a], dim), A, B, reference=lambda a, b: torch.stack([a, b, a], dim))
    same_as_torch(lambda a: nn.cat([a], dim), A, reference=lambda a: torch.cat([a], dim))


def test_cat_of_different_lengths():
    same_as_torch(lambda a, b: nn.cat([a, b], 1), A, COLUMN, reference=lambda a, b: torch.cat([a, b], 1))


def test_comparison():
    a, b = nn.tensor(TIES), nn.tensor(ROW.round())
    for ours, expected in [
        (a == b, a.array == b.array),
        (a != b, a.array != b.array),
        (a < b, a.array < b.array),
        (a <= 0, a.array <= 0),
        (a > b.array, a.array > b.array),
        (b.array >= a, b.array >= a.array),
        ((a > 0) & (a < 1) | (a == -1), (a.array > 0) & (a.array < 1) | (a.array == -1)),
        (~(a > 0), a.array <= 0),
    ]:
        assert isinstance(ours, nn.Tensor)
        assert ours.dtype == np.bool_
        np.testing.assert_array_equal(ours.numpy(), expected)
    assert (a == None) is False  # noqa: E711
    assert (a != "a") is True
    assert (a == a).all()
    assert not (a != a).any()
    assert (a > 0).any(1).tolist() == (a.array > 0).any(1).tolist()


def test_reductions_of_integers():
    x = nn.tensor([[3, 1], [2, 2]])
    assert x.sum().item() == 8
    assert x.sum().dtype == np.int64
    assert (x > 1).sum(0).tolist() == [2, 1]
    assert (x.max().item(), x.min().item(), x.argmax().item(), x.argmin(1).tolist()) == (3, 1, 0, [1, 0])
    assert x.prod().item() == 12


def test_argmax():
    x, t = nn.tensor(TIES), torch.tensor(TIES)
    assert x.argmax().item() == t.argmax().item()
    for dim in (0, 1, -1):
        assert x.argmax(dim).tolist() == TIES.argmax(dim).tolist()  # the first of equal elements
        assert x.argmin(dim, keepdim=True).tolist() == np.expand_dims(TIES.argmin(dim), dim).tolist()
    values, indices = x.max(1)
    assert indices.dtype == np.int64
    assert values.tolist() == TIES.max(1).tolist()


def test_nan_and_infinity_are_results():
    special = np.array([0.0, -0.0, -1.0, np.inf, -np.inf, np.nan])
    for function in (
        lambda x: x.log(),
        lambda x: x.sqrt(),
        lambda x: 1 / x,
        lambda x: x**-1 - x,
        lambda x: x.clamp(-1.0, 1.0),
        lambda x: x.logsumexp(0),
        lambda x: x.max(),
        lambda x: x.relu() + x.sigmoid() + x.tanh() + abs(x),
    ):
        same_as_torch(function, special)
    assert nn.tensor([0.0]).log().item() == -np.inf
    assert (nn.tensor([1.0]) / 0).item() == np.inf
    assert np.isnan(nn.tensor([1.0, np.nan]).max().item())
    assert nn.tensor([]).sum().item() == 0
    assert np.isnan(nn.tensor([]).mean().item())


# --- indices ----------------------------------------------------------------------------------------------------------


@st.composite
def indexed(draw):
    """A shape, and an index into it whose parts are as of PyTorch: numbers, slices, None, lists, tensors and masks."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    parts, dim, length = [], 0, draw(st.integers(1, 4))
    arrays = draw(st.integers(1, 4))  # that broadcast
    while dim < len(shape):
        kind = draw(
            st.sampled_from(
                ["int", "slice", "full", "none", "list", "tensor", "column", "zero", "mask", "true", "stop"]
            )
        )
        places = st.integers(-shape[dim], shape[dim] - 1)
        if kind == "int":
            parts.append(draw(places))
        elif kind == "zero":
            parts.append(np.array(draw(places)))
        elif kind == "slice":
            parts.append(slice(draw(places), draw(st.none() | places), draw(st.integers(1, 2))))
        elif kind == "full":
            parts.append(slice(None))
        elif kind in ("list", "tensor"):
            chosen = draw(st.lists(places, min_size=length, max_size=length))
            parts.append(chosen if kind == "list" else np.array(chosen))
        elif kind == "column":
            parts.append(np.array(draw(st.lists(places, min_size=arrays, max_size=arrays)))[:, None])
        elif kind == "mask":
            masked = draw(st.integers(1, min(2, len(shape) - dim)))
            chosen = np.arange(np.prod(shape[dim : dim + masked])) < length  # as many as the lists have
            assume(chosen.sum() == length)
            parts.append(chosen[::-1].reshape(shape[dim : dim + masked]))
            dim += masked - 1
        elif kind == "stop":
            break
        else:
            parts.append({"none": None, "true": draw(st.sampled_from([True, np.array(True)]))}[kind])
            dim -= 1
            if len(parts) > 6:
                break
        dim += 1
    if dim < len(shape) and draw(st.booleans()):
        parts.append(Ellipsis)
        if dim + 1 < len(shape) and draw(st.booleans()):
            parts.append(draw(st.integers(-shape[-1], shape[-1] - 1)))
    return shape, tuple(parts)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(indexed())
def test_indices_mean_the_same_as_in_torch(case):
    shape, parts = case
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    ours = tuple(nn.tensor(i) if isinstance(i, np.ndarray) else i for i in parts)
    theirs = tuple(torch.tensor(i.copy()) if isinstance(i, np.ndarray) else i for i in parts)
    same_as_torch(lambda x: x[ours], x, reference=lambda x: x[theirs])
    same_as_torch(lambda x: x[parts], x, reference=lambda x: x[theirs])  # with arrays
    value = 100.0 + np.arange(np.prod(torch.tensor(x)[theirs].shape)).reshape(torch.tensor(x)[theirs].shape)

    def assigned(x, value, index):
        h = x.clone()
        h[index] = value
        return h

    for v in (value, value[..., :1] if value.ndim else value, np.array(7.0), value[None]):
        y, expected = nn.tensor(x), torch.tensor(x)
        y[ours], expected[theirs] = nn.tensor(v), torch.tensor(v)
        np.testing.assert_array_equal(y.numpy(), expected.numpy())
        same_as_torch(lambda x, v: assigned(x, v, ours), x, v, reference=lambda x, v: assigned(x, v, theirs))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[0, :, [0, 1]],
        lambda x: x[[0, 1], :, 0],
        lambda x: x[1, [[0, 1], [2, 0]], ..., 1],
        lambda x: x[0, :, x[0, 0] > 0],
        lambda x: x[True, 1, :, [0, 3]],
    ],
)
def test_an_int_next_to_an_array_removes_its_dimension(function):
    same_as_torch(function, CUBE)


def test_bad_indices():
    x = nn.ones(2, 3)
    for index, message in [
        (nn.ones(2), "index: tensors must hold integers or bools, got float32"),
        ((..., 0, ...), "ellipsis"),
        (2, r"index: index 2 is out of bounds .*, of a tensor of shape \(2, 3\)"),
        ((0, 0, [0]), "index: too many indices"),
        (nn.tensor([True, False, True]), "index: boolean index did not match"),
        (nn.tensor([0], dtype=np.uint8), "index: uint8 means a mask in PyTorch and positions in NumPy"),
    ]:
        with pytest.raises(IndexError, match=message):
            x[index]
        with pytest.raises(IndexError, match=message):
            x[index] = 0.0


def test_values_with_leading_ones_can_be_assigned():
    def function(x, v):
        h = x.clone()
        h[0] = v
        h[1:, [0, 2]] = v[..., :1]
        return h

    same_as_torch(function, A, B[:1, None])


# --- extremes ---------------------------------------------------------------------------------------------------------


def in_float64(function, *arrays):
    """Compare float32 values and gradients with PyTorch's in float64, relative to each."""
    ours = [nn.tensor(a, dtype=np.float32, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(x.detach().numpy(), dtype=torch.float64, requires_grad=True) for x in ours]
    y, expected = function(*ours), function(*theirs)
    y.sum().backward()
    expected.sum().backward()
    pairs = [(y.detach(), expected.detach()), *((x.grad, t.grad) for x, t in zip(ours, theirs, strict=True))]
    for mine, other in pairs:
        np.testing.assert_allclose(mine.numpy(), other.numpy().astype(np.float32), rtol=2e-6, atol=0)


@pytest.mark.parametrize("denominator", [1e-30, 1e-25, 1e-15, 1.0, 1e15, 1e25, 1e30])
def test_quotients_of_extremes(denominator):
    in_float64(lambda x, y: x / y, [denominator * 1e-5, denominator * 3, 1e-3 * denominator], [denominator] * 3)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e20, 1e30])
@pytest.mark.parametrize("dim", [None, 1, (0, 1)], ids=str)
def test_std_of_extremes(scale, dim):
    in_float64(lambda x: x.std(dim), scale * A)


def test_std_and_var_of_constants_have_no_gradient():
    for function in (lambda x: x.std(0), lambda x: x.var(0), lambda x: x.std(), lambda x: x.std(0, correction=0)):
        x = nn.full((3, 2), 2.0, requires_grad=True)
        y = function(x)
        y.sum().backward()
        assert not y.detach().numpy().any()
        assert not x.grad.numpy().any()
    for scale in (1e-20, 1e20):
        x = nn.tensor(scale * A, dtype=np.float32, requires_grad=True)
        x.var(1).sum().backward()
        expected = 2 * (scale * (A - A.mean(1, keepdims=True))) / 3
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5)


def test_unbiased_std_and_var():
    for name in ("std", "var"):
        same_as_torch(lambda x, name=name: getattr(x, name)(False) + getattr(x, name)(True), A)
        same_as_torch(lambda x, name=name: getattr(x, name)(dim=None, correction=None), A)


def test_maximum_of_nan_passes_the_gradient():
    special = np.array([0.0, 1.0, np.nan, np.nan, np.inf, -np.inf])
    for name in ("maximum", "minimum"):
        same_as_torch(lambda a, b, name=name: getattr(a, name)(b), special, special[::-1].copy())
        same_as_torch(lambda a, b, name=name: getattr(a, name[:3])(b), special, special[::-1].copy())


# --- further operations of PyTorch ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [63, 64, 65, 200])
def test_split_into_many(parts):
    def function(x):
        return sum(part * i for i, part in enumerate(x.split(1))) + x.chunk(parts)[-1]

    same_as_torch(function, RNG.standard_normal(parts))


@pytest.mark.parametrize("shape", [(0, 3), (5, 3)], ids=str)
def test_split_into_uneven_sizes(shape):
    x = np.ones(shape)
    for cut in (
        lambda x: x.split(2),
        lambda x: x.split(7),
        lambda x: x.chunk(3),
        lambda x: x.split(0) if not shape[0] else x.split([5, 0]),
        lambda x: x.chunk(4, -1),
    ):
        assert [p.shape for p in cut(nn.tensor(x))] == [tuple(p.shape) for p in cut(torch.tensor(x))]


def test_clamp_by_tensors():
    ties = [np.round(RNG.standard_normal(60)) for _ in range(3)]
    for holes in range(4):
        x, low, high = (np.where(RNG.random(60) < 0.2, np.nan, a) if i == holes else a for i, a in enumerate(ties))
        same_as_torch(lambda x, a, b: x.clamp(a, b), x, low, high)
        same_as_torch(lambda x, a: x.clamp(a), x, low)
        same_as_torch(lambda x, b: x.clamp(max=b), x, high)
    same_as_torch(lambda x, a, b: x.clamp(a, b), A, ROW, COLUMN)
    y = nn.tensor(A).clamp(nn.tensor(ROW), 0.5)  # which PyTorch refuses
    np.testing.assert_array_equal(y.numpy(), np.minimum(np.maximum(A, ROW), 0.5))


def test_dtypes_of_clamp_and_masked_fill():
    mask = [True, False]
    for x, low, high in [
        ([1, 2], 0.5, None), ([1.0, 2.0], None, 1), ([1, 2], None, 1), ([True, False], 0, 1), ([1.0, 2.0], 3, 1),
    ]:  # fmt: skip
        y, expected = nn.tensor(x).clamp(low, high), torch.tensor(x).clamp(low, high)
        assert (y.tolist(), str(y.dtype)) == (expected.tolist(), str(expected.dtype)[6:])
    for number in (np.float64(0.5), np.float32(0.5), np.int64(1)):
        assert nn.ones(2).clamp(min=number).dtype == nn.ones(2).clamp(max=number).dtype == np.float32
        assert nn.ones(2).masked_fill(nn.tensor(mask), number).dtype == np.float32
    for x, value in [([1, 2], 1.5), ([1.0, 2.0], 3), ([True, True], 2), ([1.0, 2.0], -np.inf)]:
        y = nn.tensor(x).masked_fill(nn.tensor(mask), value)
        expected = torch.tensor(x).masked_fill(torch.tensor(mask), value)
        assert (y.tolist(), str(y.dtype)) == (expected.tolist(), str(expected.dtype)[6:])
    same_as_torch(lambda x, v: x.masked_fill(x > 0, v), A, np.array(2.0))
    for x, value in [([1, 2], np.inf), ([1, 2], 2**70), ([1.0, 2.0], 1e300)]:
        with pytest.raises(ValueError, match="masked_fill: value .* is out of range"):
            nn.tensor(x).masked_fill(nn.tensor(mask), value)


def test_reductions_of_a_scalar_with_a_dimension():
    for dim in (0, -1):
        same_as_torch(lambda x, dim=dim: x.logsumexp(dim) + x.prod(dim) + x.logsumexp((dim,), keepdim=True), SCALAR)
        same_as_torch(lambda x, dim=dim: x.max(dim)[0] + x.sum(dim) + x.var(dim, correction=0), SCALAR)


def test_integers():
    x, t = nn.tensor([[3, -1, 3], [2, 7, 7]]), torch.tensor([[3, -1, 3], [2, 7, 7]])
    for name in ("max", "min"):
        for dim in (0, 1, -1):
            for options in ({}, {"keepdim": True}):
                values, indices = getattr(x, name)(dim, **options)
                expected = getattr(t, name)(dim, **options)
                assert values.tolist() == expected.values.tolist()
                assert indices.dtype == np.int64
                assert values.dtype == np.int64
        values, indices = getattr(x > 2, name)(1)
        assert (values.dtype, values.tolist()) == (np.bool_, getattr(t > 2, name)(1).values.tolist())
    assert x.max(1).indices.tolist() == [0, 1]
    assert nn.tensor(5).max(0).values.item() == 5
    assert x.relu().tolist() == t.relu().tolist()
    for name in ("exp", "sigmoid", "tanh"):
        y = getattr(x, name)()
        np.testing.assert_allclose(y.numpy(), getattr(t, name)().numpy(), rtol=1e-6)
        assert y.dtype == np.float32
    for a, b in [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((3,), (5, 3, 2)),
        ((2, 0), (0, 3)),
    ]:
        a, b = RNG.integers(-5, 5, a), RNG.integers(-5, 5, b)
        y = nn.tensor(a) @ nn.tensor(b)
        assert (y.tolist(), y.dtype) == ((torch.tensor(a) @ torch.tensor(b)).tolist(), np.int64)
    a, b = RNG.integers(-3, 4, 50), RNG.integers(-4, 5, 50)
    assert (nn.tensor(a) ** nn.tensor(b)).tolist() == (torch.tensor(a) ** torch.tensor(b)).tolist()


@pytest.mark.parametrize(
    "shapes", [((2, 0), (0, 3)), ((5, 5, 0), (0, 5)), ((0,), (0,)), ((0, 3), (3, 2)), ((4, 0, 2), (4, 2, 3))], ids=str
)
def test_matmul_of_empty_arrays(shapes):
    same_as_torch(lambda a, b: a @ b, *(RNG.standard_normal(shape) for shape in shapes))


def test_cat_skips_empty_1d_tensors():
    same_as_torch(
        lambda a, e, b: nn.cat([e, a, e, b], 1), A, np.empty(0), B, reference=lambda a, e, b: torch.cat([e, a, e, b], 1)
    )


ONES = nn.ones(2, 3)
REFUSED = {
    "flatten": (IndexError, lambda: ONES.flatten(2), r"flatten: start_dim must be from -2 to 1, got 2"),
    "flatten end": (IndexError, lambda: ONES.flatten(0, -3), "flatten: end_dim must be from -2 to 1, got -3"),
    "split": (ValueError, lambda: ONES.split(-1), "split: split_size must be positive, got -1"),
    "split 0": (ValueError, lambda: ONES.split(0), "split: split_size must be positive, got 0"),
    "split lengths": (ValueError, lambda: ONES.split([3, -1]), r"split: lengths must not be negative, got \[3, -1\]"),
    "split by a float": (TypeError, lambda: ONES.split(0.5), "split: needs an int or a list of them, got float"),
    "split dim": (IndexError, lambda: ONES.split(1, 2), "split: dim must be from -2 to 1, got 2"),
    "split 0-d": (ValueError, lambda: nn.tensor(1.0).split(1), "split: a 0-d tensor has no dimension to split"),
    "chunk": (ValueError, lambda: ONES.chunk(0), "chunk: chunks must be at least 1, got 0"),
    "unbind": (ValueError, lambda: nn.tensor(1.0).unbind(), "unbind: a 0-d tensor has no dimension to split"),
    "expand new": (ValueError, lambda: ONES.expand(-1, 2, 3), "expand: a new dimension cannot have size -1"),
    "expand few": (ValueError, lambda: ONES.expand(3), "expand: needs a size for each dimension"),
    "expand": (ValueError, lambda: ONES.expand(4, 3), "expand: only dimensions of length 1 can be repeated"),
    "where": (TypeError, lambda: nn.where(ONES, 1.0, 2.0), "where: condition must be bool, got float32"),
    "masked_fill": (TypeError, lambda: ONES.masked_fill(ONES, 0), "masked_fill: mask must be bool, got float32"),
    "masked_fill value": (ValueError, lambda: ONES.masked_fill(ONES > 0, ONES), "masked_fill: value must be a number"),
    "arange 0": (ValueError, lambda: nn.arange(0, 3, 0), "arange: step must not be 0"),
    "arange away": (ValueError, lambda: nn.arange(3, 0), "arange: a step of 1 does not lead from 3 to 0"),
    "arange for ever": (ValueError, lambda: nn.arange(0, np.inf), "arange: bounds and step must be finite"),
    "cat 0-d": (ValueError, lambda: nn.cat([nn.tensor(1.0)]), "cat: a 0-d tensor, number 0, has no dimension"),
    "cat": (ValueError, lambda: nn.cat([ONES, ONES], 1) + nn.cat([ONES, ONES.T]), "cat: shapes differ in more than"),
    "cat dim": (IndexError, lambda: nn.cat([ONES], 2), "cat: dim must be from -2 to 1, got 2"),
    "cat nothing": (ValueError, lambda: nn.cat([]), "cat: needs at least one tensor"),
    "cat arrays": (TypeError, lambda: nn.cat([A]), "cat: expected Tensors, got ndarray"),
    "stack": (ValueError, lambda: nn.stack([ONES, ONES.T]), r"stack: shapes differ: \(2, 3\), \(3, 2\)"),
    "stack nothing": (ValueError, lambda: nn.stack([]), "stack: needs at least one tensor"),
    "reshape": (ValueError, lambda: ONES.reshape(4), r"reshape: 6 elements do not have the shape \(4,\)"),
    "reshape -1 -1": (ValueError, lambda: ONES.reshape(-1, -1), "reshape: 6 elements do not have the shape"),
    "reshape -2": (ValueError, lambda: ONES.reshape(-2), "reshape: lengths must not be negative"),
    "item": (ValueError, lambda: ONES.item(), r"item: needs a tensor of one element, this one is \(2, 3\)"),
    "squeeze": (IndexError, lambda: ONES.squeeze(2), "squeeze: dim must be from -2 to 1, got 2"),
    "unsqueeze": (IndexError, lambda: ONES.unsqueeze(3), "unsqueeze: dim must be from -3 to 2, got 3"),
    "transpose": (IndexError, lambda: ONES.transpose(0, 2), "transpose: dim1 must be from -2 to 1, got 2"),
    "permute": (ValueError, lambda: ONES.permute(0, 0), "permute: dims must name each of 2 dimensions once"),
    "prod": (IndexError, lambda: ONES.prod(2), "prod: dim must be from -2 to 1, got 2"),
    "prod bool": (TypeError, lambda: ONES.prod(True), "prod: dim must be an int, got bool"),
    "any": (IndexError, lambda: (ONES > 0).any(2), "any: dim must be from -2 to 1, got 2"),
    "max of nothing": (ValueError, lambda: nn.ones(0, 2).long().max(0), "max: nothing to reduce"),
    "neg": (TypeError, lambda: -(ONES > 0), "neg: bools have no negative"),
    "sub": (TypeError, lambda: (ONES > 0) - (ONES > 0), "sub: bools have no difference"),
    "len": (TypeError, lambda: len(nn.tensor(1.0)), "len: a 0-d tensor has no length"),
    "matmul": (ValueError, lambda: ONES.long() @ ONES.long(), "matmul: inner dimensions differ"),
}


@pytest.mark.parametrize(("error", "function", "message"), REFUSED.values(), ids=REFUSED)
def test_errors_of_operations(error, function, message):
    with pytest.raises(error, match=message):
        function()


# --- creation, dtypes, conversion -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.0, np.float32),
        ([1.0, 2.0], np.float32),
        ([[1, 2]], np.int64),
        ([1, 2.5], np.float32),
        (True, np.bool_),
        ([], np.float32),
        (np.arange(3.0), np.float64),
        (np.float64(1), np.float64),
        (np.arange(3, dtype=np.int32), np.int32),
        (torch.ones(3), np.float32),
        (nn.ones(2, dtype=np.float64), np.float64),
    ],
)
def test_dtype_of_data(data, dtype):
    assert nn.tensor(data).dtype == dtype
    assert nn.Tensor(data).dtype == dtype
    assert nn.tensor(data, dtype=np.float64).dtype == np.float64


def test_tensor_copies_and_constructor_shares():
    array = np.zeros(3, np.float32)
    copied, shared = nn.tensor(array), nn.Tensor(array)
    array[0] = 1
    assert (copied[0].item(), shared[0].item(), nn.from_numpy(array)[0].item()) == (0, 1, 1)


def test_factories():
    assert nn.zeros(2, 3).tolist() == [[0.0] * 3] * 2
    assert nn.ones((2,)).tolist() == [1.0, 1.0]
    assert nn.full((2,), 7.5).tolist() == [7.5, 7.5]
    assert nn.full((1,), 7).dtype == np.int64
    assert nn.arange(3).tolist() == [0, 1, 2]
    assert nn.arange(1, 2, 0.5).tolist() == [1.0, 1.5]
    assert nn.arange(3.0).dtype == nn.zeros(1).dtype == np.float32
    assert nn.zeros(2, requires_grad=True).requires_grad


def test_random_draws_follow_the_seed():
    nn.manual_seed(3)
    first = (nn.rand(2, 3), nn.randn((4,)))
    generator = nn.manual_seed(3)
    assert generator is nn.generator()
    assert [t.tolist() for t in first] == [nn.rand((2, 3)).tolist(), nn.randn(4).tolist()]
    assert first[0].dtype == first[1].dtype == np.float32
    assert ((first[0] >= 0) & (first[0] < 1)).all()


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        (lambda x: x + 1, np.float32),
        (lambda x: 2.5 * x, np.float32),
        (lambda x: x * np.float64(2), np.float32),
        (lambda x: np.float32(2) * x, np.float32),
        (lambda x: np.float64(2) - x, np.float32),
        (lambda x: x / nn.tensor([2]), np.float32),
        (lambda x: x * (x > 0), np.float32),
        (lambda x: np.ones(2, np.float32) + x, np.float32),
        (lambda x: x.long() + 1, np.int64),
        (lambda x: x.long() * 1.5, np.float32),
        (lambda x: x.long() / 2, np.float32),
        (lambda x: (x > 0) + 1, np.int64),
        (lambda x: x.double() ** 2, np.float64),
        (lambda x: nn.where(x > 0, 1.0, 0.0), np.float32),
        (lambda x: x.clamp(0.0, 1.0), np.float32),
        (lambda x: x.var(), np.float32),
        (lambda x: x.bool(), np.bool_),
    ],
)
def test_dtype_of_result(function, dtype):
    y = function(nn.tensor([1.0, 2.0]))
    assert isinstance(y, nn.Tensor)
    assert y.dtype == dtype


def test_gradient_has_the_dtype_of_its_tensor():
    x = nn.tensor([1.0, 2.0], requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x, s: x * s,
        lambda m, x, s: s - x,
        lambda m, x, s: x / s,
        lambda m, x, s: m.maximum(x, s),
        lambda m, x, s: m.where(x > s, x, s) ** 2,
    ],
)
def test_a_0d_tensor_adapts_to_the_dtype_of_others(function):
    results = []
    for module in (nn, torch):
        x = module.tensor([1.0, -2.0], requires_grad=True)
        s = module.tensor(0.5, dtype=module.float64, requires_grad=True)
        y = function(module, x, s)
        y.sum().backward()
        results.append([t.detach().numpy() for t in (y, x.grad, s.grad)])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, strict=True)


@pytest.mark.parametrize("shape", [(3, 3), (7, 2), (2, 4), (2, 2, 2)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape, wrap):
    results = []
    for module in (nn, torch):
        x = module.ones(shape, requires_grad=True)
        y = (x * 2).fill_diagonal_(-5.0, wrap)
        y.sum().backward()
        results.append((y.detach().numpy(), x.grad.numpy()))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4,), (5, 2), (0,)])
def test_resize_in_place(shape):
    for module in (nn, torch):
        x = module.arange(6.0).reshape(2, 3)
        assert x.resize_(*shape) is x and tuple(x.shape) == shape
        kept = min(6, x.numel())
        assert x.reshape(-1)[:kept].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0][:kept]
        assert tuple(x.new().resize_as_(module.ones(2, 1)).zero_().tolist()) == ([0.0], [0.0])
    with pytest.raises(RuntimeError, match="resize_: a tensor that requires a gradient"):
        nn.ones(2, requires_grad=True).resize_(3)


def test_data_in_augmented_assignments():
    results = []
    for module in (nn, torch):
        p = (module.nn if module is torch else nn).Parameter(module.ones(3))
        (p * p).sum().backward()
        p.data -= 0.5 * p.grad
        p.data[1] += 2
        p.data = p.data
        p.data *= 3
        results.append(p.detach().numpy())
    np.testing.assert_array_equal(*results, strict=True)


def test_data_given_back():
    p, other = nn.zeros(2, 3), nn.ones(2, 3)
    data = p.data
    p.data = other
    p.data = data
    assert p._memory is data._memory is not other._memory
    p.add_(1)
    assert data.tolist() == other.tolist()


def test_a_tensor_with_other_data_has_left_its_memory():
    w = nn.tensor([2.0, 3.0, 4.0], requires_grad=True)
    a = nn.ones(3)
    view, moved = a[:2], a.detach()
    moved.data = nn.zeros(3)
    a.mul_(w)
    assert view.tolist() == [2.0, 3.0] and moved.tolist() == [0.0] * 3 and not moved.requires_grad


def test_mixed_dtypes():
    x, y = nn.ones(2), nn.ones(2, dtype=np.float64)
    with pytest.raises(TypeError, match="mul: dtypes differ: a is float32, b is float64"):
        x * y
    with pytest.raises(TypeError, match="cat: dtypes differ: float32, float64"):
        nn.cat([x, y])
    with pytest.raises(TypeError, match="add: expected a Tensor, an array or a number, got str"):
        x + "1"
    with pytest.raises(TypeError, match="got NoneType"):
        x * None
    with pytest.raises(TypeError, match="mean: needs a floating-point tensor, got int64"):
        nn.tensor([1]).mean()
    with pytest.raises(TypeError, match="expected numbers, got dtype"):
        nn.tensor(["a"])
    with pytest.raises(TypeError, match="only floating-point tensors have gradients, this one is int64"):
        nn.tensor([1], requires_grad=True)


def test_wrong_shapes():
    x = nn.ones(2, 3)
    with pytest.raises(ValueError, match=r"add: shapes do not broadcast: a is \(2, 3\), b is \(2,\)"):
        x + nn.ones(2)
    with pytest.raises(ValueError, match="view: strides .* do not allow a view of shape"):
        x.T.view(6)
    with pytest.raises(ValueError, match=r"split: \[1, 1\] does not add up to 3"):
        x.split([1, 1], 1)
    with pytest.raises(ValueError, match="flatten: start_dim 1 comes after end_dim 0"):
        x.flatten(1, 0)
    with pytest.raises(ValueError, match="clamp: needs min or max"):
        x.clamp()
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(ValueError, match="nothing to reduce"):
        nn.ones(0).max()


def test_conversion():
    x = nn.tensor([[1.5]])
    assert (x.item(), float(x), int(x), bool(x), len(x), x.numel(), x.dim(), x.ndim) == (1.5, 1.5, 1, True, 1, 1, 2, 2)
    assert (x.shape, x.size(), x.size(-1)) == ((1, 1), (1, 1), 1)
    assert [10, 20, 30][nn.tensor(2)] == 30
    assert f"{x.sum():.2f}" == "1.50"
    with pytest.raises(ValueError):
        bool(nn.ones(2))


def test_repr():
    x = nn.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 4.], grad_fn=<mul>)"
    assert repr(x.detach().double()) == "tensor([1., 2.], dtype=float64)"
    assert repr(nn.tensor([1, 2])) == "tensor([1, 2])"


def test_numpy_and_dlpack_share_memory():
    x = nn.tensor([[1.0, 2.0], [3.0, 4.0]])
    views = [
        x.numpy(),
        np.asarray(x),
        np.from_dlpack(x),
        torch.from_dlpack(x).numpy(),
        torch.from_dlpack(x.T).numpy().T,
    ]
    x.array[0, 0] = 7
    for view in views:
        assert view.tolist() == [[7.0, 2.0], [3.0, 4.0]]
    assert np.array(x, np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x), x.array)
    np.testing.assert_array_equal(np.exp(x), np.exp(x.array))
    with pytest.raises(RuntimeError, match="numpy: the tensor requires a gradient"):
        nn.ones(1, requires_grad=True).numpy()
    with pytest.raises(RuntimeError, match="requires a gradient"):
        np.asarray(nn.ones(1, requires_grad=True))


def test_deepcopy():
    x = nn.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad
    assert y.grad.tolist() == [2.0, 4.0]
    assert not np.shares_memory(x.array, y.array)
    assert not np.shares_memory(x.grad.array, y.grad.array)
    with pytest.raises(RuntimeError, match="deepcopy: this is the result of mul"):
        copy.deepcopy(x * x)


# --- the tape ---------------------------------------------------------------------------------------------------------


def test_gradients_accumulate():
    x = nn.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    first = x.grad
    (3 * x).sum().backward()
    assert x.grad is first
    assert x.grad.tolist() == [5.0, 7.0]
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_backward_of_a_leaf():
    x = nn.tensor(3.0, requires_grad=True)
    x.backward()
    x.backward(nn.tensor(2.0))
    assert x.grad.item() == 3


def test_unreached_leaf_gets_nothing():
    x, y = nn.ones(2, requires_grad=True), nn.ones(2, requires_grad=True)
    z = x * y  # is not used
    (x * 2).sum().backward()
    assert y.grad is None
    assert z.grad is None


@pytest.mark.parametrize("shape", [(2, 3), (300, 200)], ids=["small", "aligned"])
def test_gradients_share_no_memory(shape):
    a, b = nn.ones(*shape, requires_grad=True), nn.ones(*shape, requires_grad=True)
    dy = nn.ones(*shape)
    for y in (
        a + b, a.reshape(-1).reshape(shape) - b, a.T.T + b.clone(), nn.cat([a, b])[: shape[0]] + b,
        nn.functional.relu(a).reshape(-1).reshape(shape) + nn.functional.relu(b), nn.functional.relu(a) + a * b,
    ):  # fmt: skip
        a.grad = b.grad = None
        y.backward(dy)
        assert a.grad.array.flags.writeable
        assert not np.shares_memory(a.grad.array, b.grad.array)
        assert not np.shares_memory(a.grad.array, dy.array)
        assert not np.shares_memory(b.grad.array, dy.array)
    a.backward(dy)
    assert (dy.array == 1).all()


def test_kernel_gradient_is_not_copied(monkeypatch):
    made = []

    def linear_backward(*args, needs):
        made.extend(original(*args, needs=needs))
        return tuple(made)

    original = kernels.linear_backward
    monkeypatch.setattr(kernels, "linear_backward", linear_backward)
    w = nn.ones(2, 3, requires_grad=True)
    nn.functional.linear(nn.ones(4, 3), w).sum().backward()
    assert w.grad.array is made[1]


def test_freed_graph():
    x = nn.tensor([1.0, 2.0], requires_grad=True)
    h = x * x
    a, b = h.sum(), h.exp().sum()
    a.backward()
    assert x.grad.tolist() == [2.0, 4.0]
    for again in (a, b):
        with pytest.raises(RuntimeError, match="backward: the graph was freed .* retain_graph=True"):
            again.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_retained_graph():
    x = nn.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_bad_backward():
    x = nn.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"backward: a tensor of shape \(2, 3\) is not a scalar; pass its gradient"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"backward: shapes differ: the tensor is \(2, 3\), its gradient \(3,\)"):
        (x * 2).backward(nn.ones(3))
    with pytest.raises(TypeError, match="backward: dtypes differ: the tensor is float32, its gradient float64"):
        (x * 2).backward(np.ones((2, 3)))
    with pytest.raises(RuntimeError, match="neither requires a gradient nor was computed from one that does"):
        nn.ones(1).backward()
    with pytest.raises(RuntimeError, match="this is the result of mul, not a leaf"):
        (x * 2).requires_grad = False
    assert x.grad is None


def test_one_element_of_any_shape_is_a_scalar():
    x = nn.ones(1, 1, requires_grad=True)
    (x * 2).backward()
    assert x.grad.tolist() == [[2.0]]


def test_no_grad():
    x = nn.ones(2, requires_grad=True)

    @nn.no_grad()
    def without(depth):
        assert not nn.is_grad_enabled()
        return without(depth - 1) if depth else x * 2

    assert not without(2).requires_grad
    assert nn.is_grad_enabled()
    with nn.no_grad():
        with nn.enable_grad():
            assert (x * 2).requires_grad
        assert (x * 2).is_leaf
        assert nn.tensor([1.0], requires_grad=True).requires_grad
    with pytest.raises(KeyError), nn.no_grad():
        raise KeyError
    assert nn.is_grad_enabled()
    with nn.set_grad_enabled(False):
        assert not (x * 2).requires_grad


def test_no_grad_applies_to_one_thread():
    seen = []
    with nn.no_grad():
        thread = threading.Thread(target=lambda: seen.append(nn.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_detach():
    x = nn.ones(2, requires_grad=True)
    y = x.detach()
    assert not y.requires_grad
    assert y.array is x.array
    (x * (x * 3).detach()).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_requires_grad():
    x = nn.ones(2)
    assert x.requires_grad_() is x
    y = x * 2
    assert (x.is_leaf, y.is_leaf, x.grad_fn, y.grad_fn.name) == (True, False, None, "mul")
    x.requires_grad = False
    assert not (x * 2).requires_grad


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.bool_, np.float32])
def test_conversion_with_overflow_is_silent(dtype):
    """The values are PyTorch's, which has the CPU's, too."""
    x = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 3e9, -1.5, 0.0])
    theirs = torch.from_numpy(x).to(getattr(torch, np.dtype(dtype).name))
    defined = np.isfinite(x) & (np.abs(x) < 2**31) if np.dtype(dtype).kind == "i" else np.full(x.shape, True)
    ours = nn.Tensor(x).to(dtype)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours.array[defined], theirs.numpy()[defined])


def test_overflow_of_float32_is_silent():
    x = nn.zeros(2, requires_grad=True)
    x.double().backward(nn.Tensor(np.array([1e300, 1.0])))
    assert x.grad.tolist() == [np.inf, 1]
    assert nn.tensor([1e300, 1.0]).tolist() == [np.inf, 1]
    assert (x < 1e300).all() and not (x > 1e300).any()
    layer = nn.Linear(1, 1).double()
    layer.weight.array[:] = 1e300
    assert layer.float().weight.item() == np.inf
    with pytest.raises(ValueError, match="cannot convert float NaN to integer"):
        int(nn.tensor(np.nan))


def test_long_chain_needs_no_recursion():
    x = nn.ones(1, requires_grad=True)
    y = x
    for _ in range(30_000):
        y = y + 0.0
    y.backward(retain_graph=True)
    assert x.grad.item() == 1
    del y  # nor does its release


def test_nodes_on_many_paths_run_once():
    x = nn.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):  # 2⁶⁰ paths
        y = y * 0.5 + y * 0.5
    y.backward()
    assert x.grad.item() == 1


def test_memory_is_released():
    x = nn.ones(1000, requires_grad=True)
    gc.disable()
    try:
        h = x.exp()
        inner = weakref.ref(h.array)
        loss = (h * 2).sum()
        del h
        assert inner() is not None  # saved by exp
        loss.backward()
        assert inner() is None
        h = x.exp()
        inner = weakref.ref(h.array)
        del h
        assert inner() is None  # without a backward, and without the cycle collector
        h = x + 1
        inner = weakref.ref(h.array)
        h = h - 1
        assert inner() is None  # no operation needs it
    finally:
        gc.enable()


def test_hooks_of_tensors():
    x = nn.ones(2, requires_grad=True)
    h = x * 3
    seen = []
    h.register_hook(lambda dy: seen.append(("h", dy.tolist())))
    doubled = h.register_hook(lambda dy: dy * 2)
    x.register_hook(lambda dy: seen.append(("x", dy.tolist())))
    y = (h + h * h).sum()
    y.backward(retain_graph=True)
    assert seen == [("h", [7.0, 7.0]), ("x", [42.0, 42.0])]  # once each, with complete gradients
    doubled.remove()
    doubled.remove()
    x.grad = None
    y.backward()
    assert x.grad.tolist() == [21.0, 21.0]
    with pytest.raises(RuntimeError, match="register_hook: the tensor does not require a gradient"):
        nn.ones(1).register_hook(print)


def test_hook_may_keep_its_argument():
    x = nn.ones(2, requires_grad=True)
    seen = []
    x.register_hook(seen.append)
    for _ in range(2):
        (x * 3).sum().backward()
    assert [g.tolist() for g in seen] == [[3.0, 3.0], [3.0, 3.0]]
    assert x.grad.tolist() == [6.0, 6.0]


def test_hook_with_a_wrong_shape():
    x, y = nn.ones(2, requires_grad=True), nn.ones(2, requires_grad=True)
    x.register_hook(lambda dy: nn.ones(3))
    for product in (x * y, y * x):
        with pytest.raises(ValueError, match=r"hook: the gradient is \(2,\), its replacement \(3,\)"):
            product.sum().backward()
        assert x.grad is y.grad is None


def test_retain_grad():
    x = nn.ones(2, requires_grad=True)
    h = x * 3
    h.retain_grad()
    x.retain_grad()
    (h * h).sum().backward(retain_graph=True)
    assert h.grad.tolist() == [6.0, 6.0]
    assert x.grad.tolist() == [18.0, 18.0]


# --- in place ---------------------------------------------------------------------------------------------------------


def test_in_place_without_recording():
    x = nn.ones(2, 3)
    row = x[0]
    x += 1
    x *= 2
    x -= 1
    x /= 3
    x.add_(nn.ones(3), alpha=2)
    assert x.tolist() == [[3.0] * 3] * 2
    row.fill_(5)
    x[1, 1] = 7
    x[:, 2] = nn.tensor([8.0, 9.0])
    assert x.tolist() == [[5.0, 5.0, 8.0], [3.0, 7.0, 9.0]]
    x[x > 6] = 0
    assert x.tolist() == [[5.0, 5.0, 0.0], [3.0, 0.0, 0.0]]
    x[0, 0].zero_()
    assert x.copy_(nn.tensor([1.0, 2.0, 3.0])).clamp(max=2).tolist() == [[1.0, 2.0, 2.0]] * 2


def test_parameters_change_in_place_only_under_no_grad():
    w = nn.ones(2, requires_grad=True)
    memory = w.array
    with nn.no_grad():
        w -= 0.5
        w[0] = 7
    assert w.array is memory
    assert w.tolist() == [7.0, 0.5]
    assert w.is_leaf
    for change in (lambda: w.add_(1), lambda: w.zero_(), lambda: w.__setitem__(0, 1.0)):
        with pytest.raises(RuntimeError, match="a leaf that requires a gradient changes in place only under no_grad"):
            change()
    assert w.tolist() == [7.0, 0.5]


def test_in_place_while_recording():
    def function(x, y):
        h = x - 1
        h += y
        h *= h.detach() * 0 + y
        h[0] = y * 2
        h[1:, 0] = 3.0
        h /= 2
        h -= x
        return h

    same_as_torch(function, A, ROW)


def test_in_place_while_recording_does_not_change_saved_arrays():
    x = nn.ones(2, requires_grad=True)
    h = x.exp()
    before = h.array
    y = h * h
    h += 1  # exp and mul have saved the old values
    (y.sum() + h.sum()).backward()
    np.testing.assert_allclose(x.grad.array, 2 * np.exp(2.0) + np.exp(1.0), rtol=1e-6)
    np.testing.assert_allclose(before, np.exp(1.0), rtol=1e-6)


def test_assigning_a_result_to_a_constant():
    w, y = nn.ones(2, requires_grad=True), nn.zeros(3)
    y[1:] = w * 2
    (y * nn.tensor([5.0, 6.0, 7.0])).sum().backward()
    assert w.grad.tolist() == [12.0, 14.0]


def test_in_place_on_the_only_view():
    def function(x, y):
        h = (x * 1).flatten()
        h += 1  # the tensor that was flattened is gone
        return h * y.sum()

    same_as_torch(function, A, ROW)


def in_place_programs():
    """Programs that change views and their bases in place, for our tensors and PyTorch's."""

    def augmented(z, w):
        z[:, 0] += w
        z[0] *= 2
        return z

    def view_alone(z, w):
        v = z[1:, :2]
        v *= w[:2]
        return z

    def base_after_view(z, w):
        v = z.transpose(0, 1)[1]
        z *= w[0]
        v += 1
        return z * v[0]

    def siblings(z, w):
        rows = [z[i] for i in range(3)]
        rows[0] += w.sum()
        rows[2] *= rows[0].detach().clone()
        return z + rows[2]

    def detached(z, w):
        d = z.detach()
        z[1] *= w[1]
        return z * d

    def untracked(z, w):
        z = z.detach()
        v = z.view(-1)
        v[2:5] *= w.sum()
        return z * v[2]

    def view_of_detached(z, w):
        d = z.detach()[1]
        d *= w[0]
        return z + d

    return [augmented, view_of_detached, view_alone, base_after_view, siblings, detached, untracked]


@pytest.mark.parametrize("program", in_place_programs(), ids=lambda f: f.__name__)
def test_views_changed_in_place(program, rng):
    x, w = rng.standard_normal((3, 4)), rng.standard_normal(3)
    ours, theirs = ([module.tensor(a, requires_grad=True) for a in (x, w)] for module in (nn, torch))
    results = [program(z * 1.5, w) for z, w in (ours, theirs)]
    agree(*results)
    for result in results:
        (result * result).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert (a.grad is None) == (b.grad is None)
        if b.grad is not None:
            agree(a.grad, b.grad)


def test_in_place_on_views_that_cannot_be():
    x = nn.ones(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="a view of a leaf that requires a gradient"):
        x[0] += 1
    y = x * 2
    h = y.expand(3, 2, 2)
    with pytest.raises(RuntimeError, match="mul: in place on an expanded tensor"):
        h *= nn.ones(2, requires_grad=True)


def test_changed_in_place_before_backward():
    x, w = nn.ones(2), nn.ones(2, requires_grad=True)
    for change in (lambda: x.add_(1), lambda: x[:1].zero_(), lambda: x.detach().fill_(2), lambda: x.mark_changed()):
        w.grad = None
        y = (x * w).sum()
        change()
        with pytest.raises(RuntimeError, match="backward: a tensor that mul saved at version .* was changed in place"):
            y.backward()
        assert w.grad is None
    y = w.exp()
    with nn.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="a tensor that exp saved at version 0 was changed in place"):
        y.sum().backward()
    y = (x + w).sum()
    x += 1  # which addition did not save
    y.backward()
    assert w.grad.tolist() == [1.0, 1.0]


def test_in_place_keeps_shape_and_dtype():
    x = nn.ones(3)
    with pytest.raises(ValueError):
        x += nn.ones(2, 3)
    h = nn.ones(3, requires_grad=True) * 2
    with pytest.raises(ValueError, match=r"add: in place, shapes differ: the tensor is \(3,\), the result \(2, 3\)"):
        h += nn.ones(2, 3)
    i = nn.tensor([1, 2])
    with pytest.raises(TypeError):
        i += 1.5
    assert i.tolist() == [1, 2]


def test_read_only_memory_is_not_written():
    array = np.zeros(2, np.float32)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        nn.Tensor(array).add_(1)
    with pytest.raises(ValueError, match="read-only"):
        nn.zeros(1).expand(3)[0] = 1


def test_operation_with_several_results():
    """Each backward brings the gradients of the results it came through, and of no others."""
    x = nn.tensor([1.0, 2.0], requires_grad=True)
    seen = []

    def backward(*gradients):
        seen.append([None if g is None else g.tolist() for g in gradients])
        return (sum(g * k for k, g in enumerate(gradients, 1) if g is not None),)

    a, b, c = record_several("several", [x.array * k for k in (1, 2, 3)], (x,), backward, saves_results=(1,))
    (a + a).sum().backward(retain_graph=True)
    c.sum().backward(retain_graph=True)
    b.retain_grad()
    (a * 5 + b).sum().backward(retain_graph=True)
    assert seen == [[[2, 2], None, None], [None, None, [1, 1]], [[5, 5], [1, 1], None]]
    assert x.grad.tolist() == [12, 12]
    assert b.grad.tolist() == [1, 1]
    b.array[...] = 0
    b.mark_changed()
    with pytest.raises(RuntimeError, match="several saved"):
        c.sum().backward()
    with nn.no_grad():
        assert not any(r.requires_grad for r in record_several("several", [x.array], (x,), backward))


def test_several_results_after_a_backward_that_failed():
    x, seen = nn.tensor([1.0, 2.0], requires_grad=True), []

    def backward(da, db):
        seen.append((da is not None, db is not None))
        return (da,)

    def fail(gradient):
        raise ArithmeticError

    a, b = record_several("several", [x.array, x.array], (x,), backward)
    handle = a.register_hook(fail)  # after the gradient of b has arrived
    with pytest.raises(ArithmeticError):
        (a + b).sum().backward(retain_graph=True)
    handle.remove()
    a.sum().backward()
    assert seen == [(True, False)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's malloc")
def test_freed_memory_is_reused_by_the_next_step():
    script = """
import resource
import numpy as np
import nn

def step():
    blocks = [np.ones(2**18, np.float32) for _ in range(40)]

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(printed) < 10_000  # of the 102,400 pages


def test_set_grad_enabled_as_a_call_a_block_and_a_decorator():
    nn.set_grad_enabled(False)
    assert not nn.is_grad_enabled()
    nn.set_grad_enabled(True)
    assert nn.is_grad_enabled()
    with nn.set_grad_enabled(False):
        assert not nn.is_grad_enabled()
    assert nn.is_grad_enabled()

    @nn.set_grad_enabled(False)
    def recorded(depth):
        return nn.is_grad_enabled() or (depth > 0 and recorded(depth - 1))

    assert nn.is_grad_enabled() and not recorded(2) and nn.is_grad_enabled()
