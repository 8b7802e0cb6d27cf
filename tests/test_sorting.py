"""Tests of kernels.sorting."""

import dataclasses

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import kernels
import kernels.sorting
from kernels.reference import sorting as reference
from kernels.sorting import radix, selection
from kernels.sorting.keys import FORMS, bits_of
from tests.checking import LAYOUTS, Operation, check, check_finite_differences, guarded

DTYPES = [np.float32, np.float64, np.int64, np.int32, np.int8, np.uint8]
each_dtype = pytest.mark.parametrize("kind", DTYPES)
SIZES = [1, 2, 3, 16, 17, 63, 64, 65, 100, 300, 3000]
SHAPES = [((n,), 0) for n in SIZES] + [((3, n), 1) for n in (1, 5, 64, 200)] + [((n, 3), 0) for n in (1, 5, 64, 200)]
SHAPES += [((2, 20, 9), 1), ((2, 3, 4, 5), -3), ((3, 0, 2), 0), ((3, 0, 2), 2), ((), 0), ((), -1)]
each_shape = pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)


def numbers(rng, shape, dtype, ties=False):
    """Numbers of the dtype; floats with NaN, infinities and both zeros; with many of each if there are `ties`."""
    if np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        few = rng.integers(0, 5, shape) if ties else rng.integers(limits.min, limits.max, shape, endpoint=True)
        return np.asarray(few).astype(dtype)
    x = np.asarray(rng.integers(-3, 4, shape) * 0.5 if ties else rng.standard_normal(shape)).astype(dtype)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -np.nan, np.finfo(dtype).smallest_subnormal], dtype)
    chosen = np.asarray(rng.random(shape) < 0.1)
    x[chosen] = rng.choice(special, chosen.sum())
    return x


def same(found, expected):
    """The same bits, NaNs aside."""
    assert type(found) is np.ndarray
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(found)]))


def same_values(found, peer):
    """Those of PyTorch, whose zeros of different signs may stand in another order."""
    np.testing.assert_array_equal(found, peer.numpy())


def calls(x, dim):
    """Name, arguments and options of all that sorts or selects along `dim`."""
    n = x.shape[dim] if x.ndim else 1
    for up in (False, True):
        yield "sort", (x, dim, up), {"stable": True}
        for k in {0, 1, 2, n // 3, n} if x.ndim else {1}:
            if k <= n:
                yield "topk", (x, k, dim, up), {}
        for k in {1, 2, n // 2, n}:
            if 1 <= k <= n:
                yield "kthvalue", (x, k, dim, up), {}
        if n:
            yield "median", (x, dim, up), {}


@each_dtype
@each_shape
@pytest.mark.parametrize("ties", [False, True])
def test_sorting_and_selection(rng, kind, shape, dim, ties):
    x = numbers(rng, shape, kind, ties)
    for name, (_, *arguments), options in calls(x, dim):
        found = getattr(kernels, name)(x, *arguments, **options)
        for part, expected in zip(found, getattr(reference, name)(x, *arguments), strict=True):
            same(part, expected)
        peer = torch.sort(torch.from_numpy(x), dim=dim, descending=arguments[-1], stable=True)
        peer = peer if name == "sort" else getattr(torch, name)(torch.from_numpy(x), *arguments)
        same_values(found[0], peer[0])
        if name == "sort":
            same(found[1], peer[1].numpy())
            same(kernels.argsort(x, *arguments, **options), found[1])


@pytest.mark.parametrize("integer", [np.bool_, np.int16])
def test_other_integers(rng, integer):
    x = rng.integers(0, 2, (4, 30)).astype(integer)
    for part, expected in zip(kernels.sort(x), reference.sort(x), strict=True):
        same(part, expected)
    same(kernels.unique(x), np.unique(x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(rng, dtype, layout):
    x = rng.standard_normal((7, 12)).astype(dtype)
    changed = LAYOUTS[layout](x)
    for dim in (0, 1):
        for name, (_, *arguments), options in calls(x, dim):
            for part, expected in zip(
                getattr(kernels, name)(changed, *arguments, **options),
                getattr(kernels, name)(x, *arguments, **options),
                strict=True,
            ):
                same(part, expected)
    same(kernels.unique(changed), kernels.unique(x))


@hypothesis.given(
    size=st.integers(0, 400),
    dtype=st.sampled_from(DTYPES),
    ties=st.booleans(),
    descending=st.booleans(),
    k=st.integers(0, 400),
    seed=st.integers(0, 1000),
)
def test_any_row(size, dtype, ties, descending, k, seed):
    x = numbers(np.random.default_rng(seed), size, dtype, ties)
    same(kernels.argsort(x, 0, descending), reference.argsort(x, 0, descending))
    k = min(k, size)
    for part, expected in zip(kernels.topk(x, k, 0, descending), reference.topk(x, k, 0, descending), strict=True):
        same(part, expected)
    if k:
        same(kernels.kthvalue(x, k)[1], reference.kthvalue(x, k)[1])


# --- keys of many bits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 100, 5000])
def test_keys_that_differ_in_more_than_32_bits(rng, size):
    """Runs of equal upper halves, long and short, and the widest range there is."""
    upper, lower = rng.integers(-2, 3, size) << 61, rng.integers(0, 2**40, size)
    rows = [upper, upper + lower, upper + (lower & 7), (lower << 20) + 1, upper // 2 + (lower >> 5)]
    rows += [np.where(rng.random(size) < 0.99, lower, np.iinfo(np.int64).min), np.full(size, 5)]
    rows[0][:2] = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    for x in rows:
        for descending in (False, True):
            same(kernels.argsort(x, 0, descending), reference.argsort(x, 0, descending))
            same(kernels.topk(x, 3, 0, descending)[1], reference.topk(x, 3, 0, descending)[1])
        for k in (1, size // 2, size):
            same(kernels.kthvalue(x, k)[1], reference.kthvalue(x, k)[1])
        same(kernels.unique(x), np.unique(x))


@pytest.mark.parametrize("k", [1, selection.KEPT, selection.KEPT + 1, 100])
def test_rows_in_order(rng, dtype, k):
    """All enter the k best, or none."""
    x = np.sort(rng.standard_normal(3000).astype(dtype))
    for row in (x, -x, np.zeros_like(x)):
        for largest in (False, True):
            same(kernels.topk(row, k, 0, largest)[1], reference.topk(row, k, 0, largest)[1])


def test_rows_that_are_too_long(monkeypatch):
    monkeypatch.setattr("kernels.sorting.functions.MOST", 8)
    with pytest.raises(ValueError, match="^sort: dim 0 must be shorter than 8, its length is 8"):
        kernels.sort(np.zeros(8), 0)


# --- gradients -------------------------------------------------------------------------------------------------------


def sorting_operation(name):
    """`sort_backward` serves them all."""

    class Sorted(Operation):
        @property
        def kernels(self):
            return with_backward(kernels, name)

        @property
        def reference(self):
            return with_backward(reference, name)

    def saved(arguments, y):
        x, dim = arguments[0], arguments[-1]
        return [y[1], x.shape, dim]

    return Sorted("sorting", name, getattr(torch, name), saved)


def with_backward(module, name):
    return dataclasses.make_dataclass("Module", [name, f"{name}_backward"])(getattr(module, name), module.sort_backward)


@pytest.mark.parametrize(("shape", "dim"), [*SHAPES[:18], ((2, 20, 9), 1), ((2, 3, 4, 5), -3), ((), 0)], ids=str)
def test_gradients(rng, dtype, shape, dim):
    x = np.asarray(rng.permutation(np.arange(np.prod(shape, dtype=int))).reshape(shape)).astype(dtype)
    n = shape[dim] if shape else 1
    check(sorting_operation("sort"), x, dim)
    check(sorting_operation("median"), x, dim)
    check(sorting_operation("topk"), x, max(1, n // 2), dim)
    check(sorting_operation("kthvalue"), x, max(1, n // 2), dim)


def test_gradients_with_keepdim(rng, dtype):
    x, dy = rng.standard_normal((4, 5, 6)).astype(dtype), rng.standard_normal((4, 1, 6)).astype(dtype)
    _, indices = kernels.median(x, 1, True)
    kept = kernels.sort_backward(dy, indices, x.shape, 1)
    same(kept, kernels.sort_backward(dy[:, 0], indices[:, 0], x.shape, 1))
    same(kept, reference.sort_backward(dy, indices, x.shape, 1))


def test_finite_differences(rng):
    for name, arguments in (("sort", (1,)), ("topk", (2, 1)), ("kthvalue", (2, 1)), ("median", (1,))):
        check_finite_differences(sorting_operation(name), rng.standard_normal((3, 5, 2)), *arguments)


def test_equal_indices_are_added(dtype):
    dx = kernels.sort_backward(np.array([1, 2, 4], dtype), np.array([1, 1, 0], np.int32), (3,))
    same(dx, np.array([4, 3, 0], dtype))


# --- search ----------------------------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("n", [0, 1, 2, 3, 15, 16, 17, 1000])
@pytest.mark.parametrize("count", [0, 1, 5, 16, 33, 900])
@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(rng, kind, n, count, right):
    row, values = np.sort(numbers(rng, n, kind, n > 20)), numbers(rng, count, kind, True)
    values[: min(n, count) // 2] = row[: min(n, count) // 2]
    found = kernels.searchsorted(row, values, right)
    same(found, reference.searchsorted(row, values, right))
    same(kernels.bucketize(values, row, right), found)
    if np.dtype(kind).kind != "f":
        same(found, torch.searchsorted(torch.from_numpy(row), torch.from_numpy(values), right=right).numpy())
    else:
        clean = np.isfinite(row).all()  # PyTorch takes a NaN in the row for smaller than some
        row, values = row[np.isfinite(row)], values[np.isfinite(values)]
        peer = torch.searchsorted(torch.from_numpy(row), torch.from_numpy(values), right=right)
        same(kernels.searchsorted(row, values, right), peer.numpy())
        assert clean or n > len(row)


@pytest.mark.parametrize("shape", [(3, 7), (2, 3, 40), (2, 0, 5), (2, 5)], ids=str)
@pytest.mark.parametrize("m", [0, 1, 30])
def test_searchsorted_in_several_rows(rng, dtype, shape, m):
    rows, values = (
        np.sort(rng.standard_normal(shape)).astype(dtype),
        rng.standard_normal((*shape[:-1], m)).astype(dtype),
    )
    for right in (False, True):
        found = kernels.searchsorted(rows, values, right)
        same(found, reference.searchsorted(rows, values, right))
        peer = torch.searchsorted(torch.from_numpy(rows), torch.from_numpy(values), right=right)
        same(found, peer.numpy())


def test_searchsorted_of_any_shape(rng, dtype):
    row = np.sort(rng.standard_normal(50)).astype(dtype)
    for shape in ((), (3, 4), (2, 3, 4)):
        values = np.asarray(rng.standard_normal(shape)).astype(dtype)
        same(kernels.searchsorted(row, values), np.asarray(np.searchsorted(row, values)))
        same(
            kernels.searchsorted(row[::-1][::-1], LAYOUTS["fortran"](values)), np.asarray(np.searchsorted(row, values))
        )


# --- distinct values -------------------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("shape", [(0,), (), (1,), (30,), (4, 50), (3000,)], ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_unique(rng, kind, shape, ties):
    x = numbers(rng, shape, kind, ties)
    values, inverse, counts = kernels.unique(x, True, True, True)
    np.testing.assert_array_equal(values, np.unique(x, equal_nan=False))
    np.testing.assert_array_equal(values[inverse], x)
    np.testing.assert_array_equal(counts, np.bincount(inverse.ravel(), minlength=len(values)))
    assert values.dtype == x.dtype and inverse.shape == x.shape and inverse.dtype == counts.dtype == np.int64
    same(kernels.unique(x), values)
    same(kernels.unique(x, return_counts=True)[1], counts)
    same(kernels.unique(x, return_inverse=True)[1], inverse)
    clean = x[x == x]
    theirs = torch.unique(torch.from_numpy(clean), return_inverse=True, return_counts=True)
    for mine, peer in zip(kernels.unique(clean, True, True, True), theirs, strict=True):
        np.testing.assert_array_equal(mine, peer.numpy())


# --- threads, guard pages, variants ----------------------------------------------------------------------------------

LONG = [((60_000,), 0), ((40, 900), 1), ((900, 40), 0), ((5000, 9), 1), ((3, 300, 30), 1)]


@pytest.mark.parametrize(("shape", "dim"), LONG, ids=str)
def test_same_bits_at_any_thread_count(rng, dtype, shape, dim, at_thread_counts):
    x = rng.standard_normal(shape).astype(dtype)
    row = np.sort(x.ravel())

    def everything():
        for name, (_, *arguments), options in calls(x, dim):
            yield from getattr(kernels, name)(x, *arguments, **options)
        yield kernels.sort_backward(x, kernels.argsort(x, dim), shape, dim)
        yield kernels.searchsorted(row, x)
        yield kernels.searchsorted(row[:100], x)
        yield from kernels.unique(x, True, True, True)

    one, two = at_thread_counts(lambda: [part.tobytes() for part in everything()])
    assert one == two


@pytest.mark.parametrize("end", ["front", "back"])
@pytest.mark.parametrize(("shape", "dim"), [((70,), 0), ((5, 33), 1), ((33, 5), 0), ((1,), 0)], ids=str)
def test_guard_pages(rng, dtype, end, shape, dim):
    x = rng.standard_normal(shape).astype(dtype)
    for name, (_, *arguments), options in calls(x, dim):
        for part, expected in zip(
            getattr(kernels, name)(guarded(x, end), *arguments, **options),
            getattr(reference, name)(x, *arguments),
            strict=True,
        ):
            same(part, expected)
    row = np.sort(x.ravel())
    same(kernels.searchsorted(guarded(row, end), guarded(x, end)), reference.searchsorted(row, x))
    kernels.unique(guarded(x, end), True, True, True)
    indices = kernels.argsort(x, dim)
    same(
        kernels.sort_backward(guarded(x, end), guarded(indices, end), shape, dim),
        reference.sort_backward(x, indices, shape, dim),
    )


RUNGS = [(name, rung) for name, ladder in kernels.sorting.VARIANTS.items() for rung in ladder]


@pytest.mark.parametrize(("name", "rung"), RUNGS)
def test_variants(rng, dtype, name, rung):
    call = kernels.sorting.VARIANTS[name][rung]
    for rows, n in ((1, 1), (3, 7), (2, 40), (2, 90)):
        x = numbers(rng, (rows, n), dtype, n == 40)
        bits, form = bits_of(guarded(x)).reshape(x.shape), FORMS[x.dtype]
        if name == "searchsorted":
            row, values, out = np.sort(x[0]), x.ravel(), guarded(np.full(x.size, -1))
            call(bits_of(guarded(row)), bits_of(guarded(values)), form, True, out)
            same(out.copy(), reference.searchsorted(row, values, True))
            continue
        for option in (False, True):
            if name == "sort":
                out, expected = np.full(x.shape, -1), reference.argsort(x, 1, option)
                call(bits, form, option, out)
            elif name == "topk":
                k = (n + 1) // 2
                out, expected = np.full((rows, k), -1), reference.topk(x, k, 1, option)[1]
                call(bits, form, option, out)
            else:
                out, expected = np.full(rows, -1), reference.kthvalue(x, n // 2 + 1, 1)[1]
                call(bits, form, n // 2, out)
            same(out, expected)


def test_short_rows_are_ranked(rng):
    """Around the length from which digits are counted."""
    for n in (radix.RANKED - 1, radix.RANKED, radix.RANKED + 1, radix.FEW_WORDS, radix.FEW_WORDS + 1):
        x = rng.standard_normal(n)
        same(kernels.argsort(x), np.argsort(x))


# --- errors ----------------------------------------------------------------------------------------------------------

X, IDS = np.zeros((3, 4)), np.zeros((3, 4), np.int64)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "sort: dim must be from -2 to 1, got 2", lambda: kernels.sort(X, 2)),
        (TypeError, "sort: dim must be an int, got float", lambda: kernels.sort(X, 1.0)),
        (TypeError, "sort: x must be .*complex128", lambda: kernels.sort(X.astype(complex))),
        (TypeError, "argsort: x must be .*uint64", lambda: kernels.argsort(X.astype(np.uint64))),
        (ValueError, "topk: k must be from 0 to 4, the length of dim 1, got 5", lambda: kernels.topk(X, 5, 1)),
        (ValueError, "topk: k must be from 0 to 4, .*got -1", lambda: kernels.topk(X, -1)),
        (ValueError, "topk: k must be from 1 to 1, .*got 0", lambda: kernels.topk(np.zeros(()), 0)),
        (TypeError, "topk: k must be an int, got float", lambda: kernels.topk(X, 2.0)),
        (ValueError, "kthvalue: k must be from 1 to 4, .*got 0", lambda: kernels.kthvalue(X, 0)),
        (ValueError, "kthvalue: k must be from 1 to 0, .*got 1", lambda: kernels.kthvalue(X[:, :0], 1)),
        (ValueError, r"median: nothing .* \(0, 4\), dim is 0", lambda: kernels.median(X[:0], 0)),
        (ValueError, r"median: nothing .* \(0, 4\), dim is None", lambda: kernels.median(IDS[:0])),
        (ValueError, "sort_backward: dim .*got 2", lambda: kernels.sort_backward(X, IDS, (3, 4), 2)),
        (ValueError, "sort_backward: shapes differ", lambda: kernels.sort_backward(X, IDS[:2], (3, 4))),
        (ValueError, r"sort_backward: dy .*\(3, 5\).*\(3, 4\)", lambda: kernels.sort_backward(X, IDS, (3, 5), 0)),
        (ValueError, r"sort_backward: dy .*axes.*\(3, 4\)", lambda: kernels.sort_backward(X, IDS, (3, 4, 5, 6))),
        (
            IndexError,
            r"sort_backward: indices .*0 to 3, got 4 at \(0, 0\)",
            lambda: kernels.sort_backward(X, IDS + 4, (3, 4)),
        ),
        (IndexError, "sort_backward: indices .*got -1", lambda: kernels.sort_backward(X, IDS - 1, (3, 4))),
        (TypeError, "sort_backward: dy must be float", lambda: kernels.sort_backward(IDS, IDS, (3, 4))),
        (TypeError, "sort_backward: indices must be int64", lambda: kernels.sort_backward(X, X, (3, 4))),
        (TypeError, "searchsorted: dtypes differ", lambda: kernels.searchsorted(X[0], IDS)),
        (ValueError, r"searchsorted: leading .*\(3, 4\).*\(2, 4\)", lambda: kernels.searchsorted(X, X[:2])),
        (ValueError, "searchsorted: sorted_sequence .*dimension", lambda: kernels.searchsorted(X[0, 0], X)),
        (ValueError, r"bucketize: boundaries .*\(3, 4\)", lambda: kernels.bucketize(X, X)),
        (TypeError, "unique: x must be .*complex128", lambda: kernels.unique(X.astype(complex))),
    ],
)
def test_errors(error, message, call):
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_medians_of_nothing(dtype):
    assert np.isnan(kernels.median(np.zeros((0, 3), dtype))) and kernels.median(np.zeros(0, dtype)).dtype == dtype
    assert kernels.median(np.zeros((0, 3), dtype), keepdim=True).shape == (1,)
    values, indices = kernels.median(np.zeros((0, 3), dtype), 1)
    assert values.shape == indices.shape == (0,)
