"""Tests of kernels.scan."""

import dataclasses

import numpy as np
import pytest
import torch

import kernels
import kernels.scan
from kernels.reference import scan as reference
from kernels.scan import chains
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded


def absolute(operation, arguments, dy, options):
    """The magnitude of the terms of sums: of the result, and of the gradient."""
    x, dim = arguments
    return [np.cumsum(np.abs(np.atleast_1d(x)), dim).reshape(x.shape), reference.cumsum_backward(np.abs(dy), dim)]


def of_products(operation, arguments, dy, options):
    x, dim = arguments
    return [np.abs(reference.cumprod(x, dim)), reference.cumprod_backward(np.abs(dy), np.abs(x), dim)]


def of_logarithms(operation, arguments, dy, options):
    """An error of y's rounding is relative to y; so is what it does to the gradient. PyTorch's errors add up."""
    x, dim = arguments
    peaks = reference.cummax(np.abs(x), dim)[0] + 1
    return [peaks, reference.logcumsumexp_backward(np.abs(dy), x, dim) * peaks.max(initial=1)]


CUMSUM = Operation("scan", "cumsum", torch.cumsum, lambda a, y: a[1:], scale=absolute)
CUMPROD = Operation("scan", "cumprod", torch.cumprod, lambda a, y: a, scale=of_products)
CUMMAX = Operation("scan", "cummax", torch.cummax, lambda a, y: [y[1], a[1]], scale=lambda *_: [None, 4.0])
CUMMIN = Operation("scan", "cummin", torch.cummin, lambda a, y: [y[1], a[1]], scale=lambda *_: [None, 4.0])
LOGCUMSUMEXP = Operation("scan", "logcumsumexp", torch.logcumsumexp, lambda a, y: a, scale=of_logarithms)
OPERATIONS = [CUMSUM, CUMPROD, CUMMAX, CUMMIN, LOGCUMSUMEXP]
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)

SIZES = [1, 2, 3, 7, 8, 9, 31, 32, 33, 65, 257]
SHAPES = [((n,), 0) for n in SIZES] + [((5, n), 1) for n in SIZES] + [((n, 9), 0) for n in (1, 2, 33, 300)]
SHAPES += [
    ((3, 40, 2), 1),
    ((2, 20, 70), 1),
    ((2, 5, 300), -2),
    ((4, 3, 2, 6), -3),
    ((1, 30, 1000), 1),
    ((), 0),
    ((), -1),
]
EMPTY = [((0, 4), 0), ((0, 4), 1), ((3, 0), 1), ((3, 0, 2), 0)]
each_shape = pytest.mark.parametrize(("shape", "dim"), SHAPES + EMPTY, ids=str)


def normal(rng, shape, dtype):
    return np.asarray(2 * rng.standard_normal(shape)).astype(dtype)


def check_one(operation, x, dim):
    if operation is CUMPROD and x.size:
        # of about 1, so that products are, too
        x = np.asarray(x / np.exp(np.mean(np.log(np.abs(x) + 1e-3)), dtype=x.dtype))
    if not x.size and operation in (CUMMAX, CUMMIN):  # PyTorch returns x itself as its gradient
        operation = dataclasses.replace(operation, saved=None)
        assert kernels.cummax_backward(x, np.zeros(x.shape, np.int64), dim).shape == x.shape
    check(operation, x, dim, lengths=max(1, x.shape[dim] if x.ndim else 1))


@each_operation
@each_shape
def test_values_and_gradients(rng, dtype, operation, shape, dim):
    check_one(operation, normal(rng, shape, dtype), dim)


@each_operation
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(rng, dtype, operation, layout):
    for dim in (0, 1):
        check_one(operation, LAYOUTS[layout](normal(rng, (7, 12), dtype)), dim)


@each_operation
def test_finite_differences(rng, operation):
    for shape, dim in (((6,), 0), ((3, 5, 2), 1), ((2, 4, 9), 1)):
        check_finite_differences(operation, normal(rng, shape, np.float64), dim)


# --- integers --------------------------------------------------------------------------------------------------------

INTEGERS = [np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_]


@pytest.mark.parametrize("integer", INTEGERS)
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
def test_integers(rng, integer, name):
    for shape, dim in (((50,), 0), ((3, 40), 1), ((40, 3), 0), ((6, 7, 30), 1), ((), 0), ((20_000,), 0)):
        x = np.asarray(rng.integers(0, 4, shape)).astype(integer)
        found, expected = (getattr(module, name)(x, dim) for module in (kernels, reference))
        peers = getattr(torch, name)(torch.from_numpy(x), dim)
        if not isinstance(found, tuple):
            found, expected, peers = (found,), (expected,), (peers,)
        for mine, theirs, peer in zip(found, expected, peers, strict=True):
            np.testing.assert_array_equal(mine, theirs)
            np.testing.assert_array_equal(mine, peer.numpy())
            assert mine.dtype == theirs.dtype == peer.numpy().dtype


def test_sums_of_integers_wrap_around():
    x = np.array([2**62, 2**62, 2**62, -(2**63)])
    np.testing.assert_array_equal(kernels.cumsum(x, 0), np.cumsum(x))
    np.testing.assert_array_equal(kernels.cumprod(x, 0), np.cumprod(x))


# --- special values --------------------------------------------------------------------------------------------------

INF, NAN = np.inf, np.nan
SPECIAL = [
    [1.0, INF, 2.0, -INF, 3.0],
    [1.0, NAN, 2.0, NAN, 3.0],
    [-INF, -INF, 0.0, 1.0],
    [-INF, -INF],
    [INF, -INF, INF],
    [0.0, -0.0, 0.0],
    [-1000.0, 0.0, 1000.0],
    [1000.0, 0.0, -1000.0],
    [0.0, INF],
]


@each_operation
@pytest.mark.parametrize("values", SPECIAL, ids=str)
@pytest.mark.parametrize("length", [1, 3, 300])
def test_special_values(dtype, operation, values, length):
    """Alone, as columns, and within a long slice."""
    x = np.asarray(values, dtype)
    x = np.concatenate([x, np.zeros(length - 1, dtype), x])
    for array, dim in ((x, 0), (np.tile(x, (3, 1)), 1), (np.tile(x[:, None], (1, 12)), 0)):
        theirs = operation.peer(torch.from_numpy(array), dim)
        mine = getattr(kernels, operation.name)(array, dim)
        if isinstance(mine, tuple):
            np.testing.assert_array_equal(mine[1], theirs[1].numpy())
            mine, theirs = mine[0], theirs[0]
        assert_close(mine, theirs.numpy(), length=length, label=operation.name)


def test_gradient_of_logcumsumexp_at_infinities(dtype):
    for values in SPECIAL:
        x = np.asarray(values, dtype)
        dy = np.arange(1, x.size + 1).astype(dtype)
        with np.errstate(all="ignore"):
            expected = reference.logcumsumexp_backward(dy.astype(np.float64), x.astype(np.float64), 0)
        tensor = torch.from_numpy(x).double().requires_grad_()
        torch.logcumsumexp(tensor, 0).backward(torch.from_numpy(dy).double())
        theirs = tensor.grad.numpy()
        for count in (1, 10):  # as a row, and as columns
            columns = [np.tile(each[:, None], (1, count)) for each in (dy, x)]
            mine = kernels.logcumsumexp_backward(*columns, 0)
            for column in mine.T:
                assert_close(column.copy(), expected, length=10)
                known = ~np.isnan(theirs)  # PyTorch: -inf - -inf where the sum is still empty
                np.testing.assert_allclose(column[known], theirs[known], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("zeros", [(0,), (3,), (9,), (0, 1), (2, 7), (0, 9), (1, 4, 5), range(10)], ids=str)
def test_gradient_of_products_with_zeros(rng, dtype, zeros):
    x = normal(rng, (4, 10, 3), dtype)
    x[:, list(zeros), 1] = 0
    x[1:3, list(zeros)] = 0
    for array, dim in (
        (x, 1),
        (np.ascontiguousarray(x.transpose(0, 2, 1)), 2),
        (np.ascontiguousarray(x.swapaxes(0, 1)), 0),
    ):
        check(CUMPROD, array, dim, lengths=10)


def test_products_that_leave_the_range(dtype):
    """The product so far is float64; a long slice is one chain."""
    x = np.concatenate([np.full(900, 0.5), np.full(900, 2.0)]).astype(dtype)
    y = kernels.cumprod(x, 0)
    assert y[-1] == 1.0 and y[899] == dtype(2.0**-900)
    dx = kernels.cumprod_backward(np.eye(1, x.size, x.size - 1, dtype=dtype)[0], x, 0)
    np.testing.assert_allclose(dx, 1 / x)
    x = np.full(40_000, 0.5, dtype)
    x[20_000:] = 2
    np.testing.assert_array_equal(kernels.cumprod(x, 0)[2000:], 0)


# --- accuracy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 50_000, 200_000])
@pytest.mark.parametrize("name", ["cumsum", "logcumsumexp"])
def test_errors_are_at_most_pytorch_s(rng, dtype, name, size):
    for offset in (0.0, 1.0, 100.0):
        x = normal(rng, size, dtype) + dtype(offset)
        exact = np.asarray(getattr(reference, name)(x.astype(np.longdouble), 0))
        mine = getattr(kernels, name)(x, 0)
        theirs = getattr(torch, name)(torch.from_numpy(x), 0).numpy()
        error, peer_error = (float(np.abs(y - exact).max()) for y in (mine, theirs))
        assert error <= 1.5 * peer_error + np.finfo(dtype).eps * float(np.abs(exact).max())
        if dtype == np.float32:
            np.testing.assert_array_max_ulp(mine, exact.astype(np.float32), 1)


def test_a_part_that_overflows(rng):
    """Only the sum of a part is infinite, no sum so far: the slice is one chain."""
    x = np.zeros(3 * chains.PART)
    x[5], x[chains.PART + 1], x[chains.PART + 2], x[-1] = -1.5e308, 1.5e308, 1.5e308, 1.0
    np.testing.assert_array_equal(kernels.cumsum(x, 0), np.cumsum(x))
    np.testing.assert_array_equal(kernels.cumsum_backward(x[::-1], 0), np.cumsum(x)[::-1])


# --- long slices and threads -----------------------------------------------------------------------------------------

LONG = [
    ((40_000,), 0),
    ((3, 20_000), 1),
    ((9000, 3), 0),
    ((9000, 9), 0),
    ((300, 400), 1),
    ((300, 400), 0),
    ((6, 90, 90), 1),
]


@each_operation
@pytest.mark.parametrize(("shape", "dim"), LONG, ids=str)
def test_long_slices_on_any_number_of_threads(rng, dtype, operation, shape, dim, at_thread_counts):
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    if operation is CUMPROD:
        x = np.exp(x / 100)
    forward, backward = (getattr(kernels, operation.name + suffix) for suffix in ("", "_backward"))

    def both():
        y = forward(x, dim)
        return [*(y if isinstance(y, tuple) else (y,)), backward(dy, *operation.saved([x, dim], y))]

    one, two = at_thread_counts(both)
    assert [part.tobytes() for part in one] == [part.tobytes() for part in two]
    leaf = torch.from_numpy(x).double().requires_grad_()
    result = operation.peer(leaf, dim)
    (first := result[0] if isinstance(result, tuple) else result).backward(torch.from_numpy(dy).double())
    size = float(leaf.grad.abs().max() + first.detach().abs().max())
    assert_close(one[0], first.detach().numpy(), length=x.shape[dim], scale=size)
    assert_close(one[-1], leaf.grad.numpy(), length=x.shape[dim], scale=size, factor=2)


# --- variants --------------------------------------------------------------------------------------------------------

RUNGS = [(name, rung) for name, ladder in kernels.scan.VARIANTS.items() for rung in ladder]


@pytest.mark.parametrize(("name", "rung"), RUNGS)
def test_variants(rng, dtype, name, rung):
    for shape in ((1, 1), (3, 7), (5, 40), (9, 65)):
        x = normal(rng, shape, dtype)
        expected = getattr(reference, name)(x.astype(np.float64), 1)
        out = [guarded(np.full(shape, np.nan, dtype))]
        if isinstance(expected, tuple):
            out.append(guarded(np.full(shape, -1)))
        else:
            expected = (expected,)
        kernels.scan.VARIANTS[name][rung](guarded(x), *out)
        for mine, theirs in zip(out, expected, strict=True):
            assert_close(mine, theirs, length=shape[1], label=rung)


# --- errors ----------------------------------------------------------------------------------------------------------


@each_operation
def test_errors(operation):
    name = operation.name
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    x, dy = np.zeros((3, 4)), np.zeros((3, 4))
    saved = operation.saved([x, 1], (x, np.zeros((3, 4), np.int64)))
    with pytest.raises(ValueError, match=rf"^{name}: dim must be from -2 to 1, got 2"):
        forward(x, 2)
    with pytest.raises(TypeError, match=rf"^{name}: x must be .*complex128"):
        forward(x.astype(complex), 1)
    with pytest.raises(TypeError, match=rf"^{name}: x must be .*, got uint64|float32 or float64, got uint64"):
        forward(x.astype(np.uint64), 1)
    with pytest.raises(ValueError, match=rf"^{name}_backward: dim must be from -2 to 1, got -3"):
        backward(dy, *saved[:-1], -3)
    with pytest.raises(TypeError, match=rf"^{name}_backward: dy must be float32 or float64, got int64"):
        backward(dy.astype(np.int64), *saved)
    if name != "cumsum":
        with pytest.raises(ValueError, match=rf"^{name}_backward: .* must have shape .*4"):
            backward(dy[:2], *saved)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@pytest.mark.parametrize("index", [-1, 4])
def test_indices_out_of_range(name, index):
    indices = np.zeros((3, 4), np.int64)
    indices[1, 2] = index
    with pytest.raises(IndexError, match=rf"^{name}_backward: indices must be from 0 to 3, got {index} at \(1, 2\)"):
        getattr(kernels, f"{name}_backward")(np.zeros((3, 4)), indices, 1)
    with pytest.raises(TypeError, match=rf"^{name}_backward: indices must be int64 or int32, got float64"):
        getattr(kernels, f"{name}_backward")(np.zeros((3, 4)), np.zeros((3, 4)), 1)


def test_different_dtypes():
    for name in ("cumprod_backward", "logcumsumexp_backward"):
        with pytest.raises(TypeError, match=f"^{name}: dtypes differ: dy is float64, x is float32"):
            getattr(kernels, name)(np.zeros(3), np.zeros(3, np.float32), 0)
