"""Tests of kernels.lookup."""

import itertools
import math
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
from kernels.lookup import functions, loops
from kernels.lookup.grouping import grouped
from kernels.reference import lookup as reference
from tests.checking import (
    LAYOUTS,
    Operation,
    absolute_scale,
    assert_close,
    check,
    check_finite_differences,
    guarded,
    read_only,
)

EMBEDDING = Operation(
    "lookup",
    "embedding",
    F.embedding,
    saved=lambda arguments, y: [arguments[0], len(arguments[1])],
    differentiable=(1,),
    scale=absolute_scale,
    out=True,
)

# Rows of the table, columns, shape of the ids.
SHAPES = [
    (1, 1, (1,)),
    (1, 7, (3, 2)),
    (5, 3, ()),
    (5, 3, (0,)),
    (4, 0, (3,)),
    (9, 16, (2, 3, 4)),
    (300, 65, (40,)),
    (7, 33, (500,)),
    (70_000, 2, (200,)),
    (40, 130, (20, 30)),
]
MODES = ("sum", "mean", "max")
# The others need a value that no integer has.
ID_LAYOUTS = {name: layout for name, layout in LAYOUTS.items() if name != "inner"}
each_mode = pytest.mark.parametrize("mode", MODES)


def normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def norm_of(row, p):
    return np.linalg.norm(row.astype(np.float64), p)


def most_repeated(ids):
    return int(np.unique(ids, return_counts=True)[1].max(initial=1))


class BagOperation(Operation):
    """``embedding_bag(input, weight, offsets, per_sample_weights)``, everything an array by its position."""

    @property
    def kernels(self):
        return by_position(kernels)

    @property
    def reference(self):
        return by_position(reference)


def by_position(module):
    def forward(ids, weight, offsets, factors, **options):
        return module.embedding_bag(ids, weight, offsets, per_sample_weights=factors, **options)

    def backward(dy, ids, weight, offsets, factors, indices, **options):
        options |= {"per_sample_weights": factors, "indices": indices}
        gradients = module.embedding_bag_backward(dy, ids, weight, offsets, **options)
        return tuple(gradient for gradient in gradients if gradient is not None)

    forward.__name__, backward.__name__ = "embedding_bag", "embedding_bag_backward"
    return SimpleNamespace(embedding_bag=forward, embedding_bag_backward=backward)


def bag_operation(weighted, **options):
    def saved(arguments, y):
        ids, weight, offsets, factors = arguments
        winners = None
        if options["mode"] == "max":
            winners = np.empty(y.shape, np.int64)
            reference.embedding_bag(ids, weight, offsets, indices=winners, **options)
        return [*arguments, winners]

    def peer(ids, weight, offsets, factors, **options):
        if not options.get("scale_grad_by_freq"):
            return F.embedding_bag(ids, weight, offsets, per_sample_weights=factors, **options)
        # embedding_bag of PyTorch 2.13 divides by the count of another row once an id repeats; embedding does not
        rows = F.embedding(ids, weight, options.get("padding_idx"), scale_grad_by_freq=True)
        rows = rows if factors is None else rows * factors[:, None]
        rows = rows * (ids != options.get("padding_idx", -1))[:, None]
        sizes = torch.diff(offsets, append=torch.tensor([len(ids)]))
        reduce = {"sum": torch.sum, "mean": torch.mean}[options["mode"]]
        return torch.stack([reduce(bag, 0) if len(bag) else bag.sum(0) for bag in rows.split(sizes.tolist())])

    differentiable, scale = (1, 3) if weighted else (1,), None if options["mode"] == "max" else absolute_scale
    return BagOperation("lookup", "embedding_bag", peer, saved, differentiable, scale)


def check_bag(ids, weight, offsets=None, factors=None, **options):
    V, E = weight.shape
    operation = bag_operation(factors is not None, **options)
    lengths = [ids.size, ids.size] + [E] * (factors is not None)
    return check(operation, ids, weight, offsets, factors, lengths=lengths, **options)


# --- embedding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("integer", [np.int64, np.int32])
def test_embedding(rng, dtype, shape, integer):
    V, E, ids_shape = shape
    ids, weight = np.asarray(rng.integers(0, V, ids_shape), integer), normal(rng, (V, E), dtype)
    y = check(EMBEDDING, ids, weight, lengths=[1, most_repeated(ids)])
    np.testing.assert_array_equal(y, weight[ids])
    for padding_idx in (0, -1):
        for by_frequency in (False, True):
            options = {"padding_idx": padding_idx, "scale_grad_by_freq": by_frequency}
            check(EMBEDDING, ids, weight, lengths=[1, most_repeated(ids)], **options)


@pytest.mark.parametrize(("ids_layout", "layout"), list(itertools.product(ID_LAYOUTS, LAYOUTS)))
def test_layouts(rng, ids_layout, layout):
    ids, weight = rng.integers(0, 9, (4, 6)), normal(rng, (9, 20), np.float32)
    ids, weight = ID_LAYOUTS[ids_layout](ids), LAYOUTS[layout](weight)
    check(EMBEDDING, ids, weight, lengths=[1, 24])
    for mode in MODES:
        check_bag(ids, weight, mode=mode)


@hypothesis.given(
    sizes=st.tuples(st.integers(1, 600), st.integers(0, 150)),
    ids_shape=st.lists(st.integers(0, 12), max_size=3),
    layouts=st.tuples(st.sampled_from(sorted(ID_LAYOUTS)), st.sampled_from(sorted(LAYOUTS))),
    options=st.fixed_dictionaries({"padding_idx": st.none() | st.just(0), "scale_grad_by_freq": st.booleans()}),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(sizes, ids_shape, layouts, options, dtype, seed):
    rng = np.random.default_rng(seed)
    ids, weight = np.asarray(rng.integers(0, sizes[0], ids_shape)), normal(rng, sizes, dtype)
    ids, weight = ID_LAYOUTS[layouts[0] if ids.ndim else "read-only"](ids), LAYOUTS[layouts[1]](weight)
    check(EMBEDDING, ids, weight, lengths=[1, most_repeated(ids)], **options)


def test_rows_named_many_times(rng):
    """A sum of 20,000 float32 terms is as exact as a sum of sums."""
    ids, dy = np.repeat([2, 0], [20_000, 5]), rng.random((20_005, 70), np.float32)
    exact = reference.embedding_backward(dy.astype(np.float64), ids, 4)
    np.testing.assert_allclose(kernels.embedding_backward(dy, ids, 4), exact, rtol=2e-6)


@pytest.mark.parametrize("zero_pages_from", [0, math.inf], ids=["zeroed", "filled"])
def test_gradient_of_rows_without_an_id(rng, dtype, monkeypatch, zero_pages_from):
    """Zeros, whether the array comes with them or the loops write them."""
    monkeypatch.setattr(functions, "ZERO_PAGES_FROM", zero_pages_from)
    rubbish = [np.full((50, 33), np.nan, dtype) for _ in range(20)]
    del rubbish  # what is allocated next may be this memory
    for ids in ([0], [49], [7, 7, 30], [48, 1, 25], range(50)):
        ids = np.array(ids)
        dy = normal(rng, (ids.size, 33), dtype)
        for padding_idx in (None, 7):
            expected = reference.embedding_backward(dy, ids, 50, padding_idx)
            np.testing.assert_allclose(kernels.embedding_backward(dy, ids, 50, padding_idx), expected, rtol=1e-6)


def test_large_gradient(rng):
    """Above the size from which untouched pages are left alone."""
    V, E = 70_000, 130
    assert V * E * 4 >= functions.ZERO_PAGES_FROM
    ids, dy = rng.integers(0, V, 50), normal(rng, (50, E), np.float32)
    dweight = kernels.embedding_backward(dy, ids, V)
    np.testing.assert_array_equal(dweight[ids], reference.embedding_backward(dy, ids, V)[ids])
    dweight[ids] = 0
    assert not dweight.any()


@pytest.mark.parametrize("number", [1, 2, 256, 257, 65_536, 65_537, 2**40])
def test_groups(rng, number):
    ids = rng.integers(0, number, 300) if number < 1000 else rng.choice([0, 255, 256, 65_535, number - 1], 300)
    order, touched, begin = grouped(np.minimum(ids, number - 1), number)
    ids = np.minimum(ids, number - 1)
    np.testing.assert_array_equal(order, np.argsort(ids, kind="stable"))
    np.testing.assert_array_equal(touched, np.unique(ids))
    np.testing.assert_array_equal(np.repeat(touched, np.diff(begin)), np.sort(ids))


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, 0.5, math.inf, -math.inf, 0, -1.0])
def test_max_norm(rng, dtype, norm_type):
    weight, ids = normal(rng, (6, 5), dtype), np.array([[1, 1, 4], [0, 4, 2]])
    weight[2] *= 1e-3
    weight[3] *= 1e3
    ours, theirs = weight.copy(), torch.from_numpy(weight.copy())
    y = kernels.embedding(ids, ours, 1, 1.5, norm_type)
    expected = F.embedding(torch.from_numpy(ids), theirs, 1, 1.5, norm_type)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=20 * eps)
    np.testing.assert_allclose(ours, theirs, rtol=20 * eps)
    np.testing.assert_array_equal(ours[[3, 5]], weight[[3, 5]])  # not named
    assert (ours[1] != weight[1]).any() == (norm_of(weight[1], norm_type) > 1.5)
    again = weight.copy()
    reference.embedding(ids, again, None, 1.5, norm_type)
    np.testing.assert_allclose(ours, again, rtol=20 * eps)


def test_max_norm_of_a_strided_table(rng, dtype):
    base = normal(rng, (12, 10), dtype)
    weight, plain = base[::2, ::-1], base[::2, ::-1].copy()
    y = kernels.embedding(np.arange(6), weight, max_norm=1.0)
    np.testing.assert_array_equal(y, kernels.embedding(np.arange(6), plain, max_norm=1.0))
    np.testing.assert_array_equal(weight, plain)
    assert (np.linalg.norm(weight, axis=1) <= 1 + 1e-6).all()
    once = weight.copy()
    kernels.embedding(np.empty(0, np.int64), weight, max_norm=0.1)
    np.testing.assert_array_equal(weight, once)


def test_max_norm_spares_nan(dtype):
    weight = np.array([[np.nan, 1e6], [np.inf, 1], [3, 4]], dtype)
    kernels.embedding(np.arange(3), weight, max_norm=1.0)
    np.testing.assert_array_equal(weight[0], np.array([np.nan, 1e6], dtype))
    np.testing.assert_array_equal(weight[1], [np.nan, 0])
    np.testing.assert_allclose(weight[2], [0.6, 0.8], rtol=1e-6)


def test_nan_and_infinity_stay_in_their_rows(rng, dtype):
    weight, ids = normal(rng, (5, 20), dtype), np.array([0, 3, 3, 4])
    weight[3, 2], weight[1, 1] = np.inf, np.nan
    check(EMBEDDING, ids, weight)
    dy = normal(rng, (4, 20), dtype)
    dy[1, 0], dy[2, 0], dy[3, 5] = np.inf, -np.inf, np.nan
    dweight = kernels.embedding_backward(dy, ids, 5)
    np.testing.assert_array_equal(np.argwhere(~np.isfinite(dweight)), [[3, 0], [4, 5]])


# --- embedding bag ---------------------------------------------------------------------------------------------------

# Rows of the table, columns, sizes of the bags.
BAGS = [
    (1, 1, (1,)),
    (5, 3, (2, 0, 3)),
    (5, 17, (0, 0)),
    (30, 65, (1, 40, 7, 0)),
    (4, 0, (2, 1)),
    (300, 33, (100, 65, 64, 3)),
]


@pytest.mark.parametrize("bags", BAGS, ids=str)
@each_mode
def test_embedding_bag(rng, dtype, bags, mode):
    V, E, sizes = bags
    ids, weight = rng.integers(0, V, sum(sizes)), normal(rng, (V, E), dtype)
    ends = np.cumsum(sizes)
    offsets = ends - sizes
    check_bag(ids, weight, offsets, mode=mode)
    check_bag(ids.astype(np.int32), weight, offsets.astype(np.int32), mode=mode, padding_idx=V - 1)
    check_bag(ids, weight, np.append(0, ends), mode=mode, include_last_offset=True)
    if mode != "max":
        check_bag(ids, weight, offsets, mode=mode, scale_grad_by_freq=True)
    if mode == "sum":
        factors = normal(rng, ids.shape, dtype)
        check_bag(ids, weight, offsets, factors, mode=mode)
        check_bag(ids, weight, offsets, factors, mode=mode, padding_idx=0, scale_grad_by_freq=True)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (20, 70)], ids=str)
@each_mode
def test_bags_of_one_size(rng, dtype, shape, mode):
    ids, weight = rng.integers(0, 9, shape), normal(rng, (9, 33), dtype)
    check_bag(ids, weight, mode=mode)
    check_bag(ids, weight, mode=mode, padding_idx=-2)
    if mode == "sum":
        check_bag(ids, weight, None, normal(rng, shape, dtype), mode=mode, padding_idx=3)


@hypothesis.given(
    sizes=st.lists(st.integers(0, 80), min_size=1, max_size=6),
    table=st.tuples(st.integers(1, 300), st.integers(0, 150)),
    layouts=st.tuples(st.sampled_from(sorted(ID_LAYOUTS)), st.sampled_from(sorted(LAYOUTS))),
    mode=st.sampled_from(MODES),
    padding_idx=st.none() | st.just(-1),
    weighted=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_bags(sizes, table, layouts, mode, padding_idx, weighted, dtype, seed):
    rng = np.random.default_rng(seed)
    ids, weight = rng.integers(0, table[0], sum(sizes)), normal(rng, table, dtype)
    factors = LAYOUTS[layouts[1]](normal(rng, ids.shape, dtype)) if weighted and mode == "sum" else None
    ids, weight = ID_LAYOUTS[layouts[0]](ids), LAYOUTS[layouts[1]](weight)
    check_bag(ids, weight, np.cumsum(sizes) - sizes, factors, mode=mode, padding_idx=padding_idx)


@each_mode
def test_no_bags_and_empty_bags(dtype, mode):
    weight = np.ones((3, 4), dtype)
    for ids, offsets, B in [
        (np.empty((0, 2), int), None, 0),
        (np.empty((2, 0), int), None, 2),
        (np.empty(0, int), np.empty(0, int), 0),
        (np.array([1, 2]), np.empty(0, int), 0),
        (np.empty(0, int), np.array([0, 0]), 2),
    ]:
        winners = np.full((B, 4), 7) if mode == "max" else None
        y = kernels.embedding_bag(ids, weight, offsets, mode=mode, indices=winners)
        np.testing.assert_array_equal(y, np.zeros((B, 4), dtype))
        assert y.dtype == dtype and (winners is None or (winners == -1).all())
        dweight, nothing = kernels.embedding_bag_backward(y, ids, weight, offsets, mode=mode, indices=winners)
        np.testing.assert_array_equal(dweight, np.zeros((3, 4), dtype))
        assert nothing is None


def test_largest_takes_the_first_of_equals_and_nan(dtype):
    weight = np.array([[1, np.nan, -np.inf], [1, 5, -np.inf], [0, np.nan, -np.inf]], dtype)
    winners = np.empty((1, 3), np.int64)
    ids = np.array([[2, 1, 0, 1]])
    y = kernels.embedding_bag(ids, weight, mode="max", indices=winners)
    np.testing.assert_array_equal(y, np.array([[1, np.nan, -np.inf]], dtype))
    assert winners.tolist() == [[1, 0, 0]]
    dy = np.array([[1, 2, 3]], dtype)
    dweight, _ = kernels.embedding_bag_backward(dy, ids, weight, mode="max", indices=winners)
    assert dweight.tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 3]]


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan], ids=str)
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_special_values_stay_in_their_bag(rng, dtype, special, mode):
    weight, ids = normal(rng, (6, 20), dtype), np.array([[0, 1], [5, 2], [3, 4]])
    weight[5, 7] = special
    y = check_bag(ids, weight, mode=mode)
    np.testing.assert_array_equal(np.argwhere(~np.isfinite(y)), [[1, 7]])
    assert np.isfinite(check_bag(ids, weight, mode=mode, padding_idx=5)).all()


@each_mode
def test_max_norm_of_bags(rng, dtype, mode):
    weight, ids = normal(rng, (6, 5), dtype), np.array([[1, 1], [4, 0]])
    ours, theirs = weight.copy(), torch.from_numpy(weight.copy())
    y = kernels.embedding_bag(ids, ours, None, 0.5, 1.0, mode=mode)
    expected = F.embedding_bag(torch.from_numpy(ids), theirs, None, 0.5, 1.0, mode=mode)
    np.testing.assert_allclose(y, expected, rtol=20 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)
    np.testing.assert_allclose(ours, theirs, rtol=20 * np.finfo(dtype).eps)


# --- all -------------------------------------------------------------------------------------------------------------


def test_finite_differences(rng):
    ids, weight = rng.integers(0, 4, (3, 2)), normal(rng, (4, 3), np.float64)
    check_finite_differences(EMBEDDING, ids, weight)
    for mode in MODES:
        check_finite_differences(bag_operation(False, mode=mode), ids, weight, None, None, mode=mode)
    factors = normal(rng, ids.shape, np.float64)
    check_finite_differences(bag_operation(True, mode="sum"), ids, weight, None, factors, mode="sum")


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (30, 65, 200)], ids=str)
@pytest.mark.parametrize(
    ("name", "variant"),
    [(name, variant) for name, variants in loops.VARIANTS.items() for variant in variants],
)
def test_variants(rng, dtype, name, variant, shape):
    V, E, n = shape
    ids, weight, dy = rng.integers(0, V, n), normal(rng, (V, E), dtype), normal(rng, (n, E), dtype)
    starts = np.array([0, 0, n // 2, n])
    arguments, expected = {
        "embedding": ((ids, weight), weight[ids]),
        "embedding_backward": ((dy, ids), reference.embedding_backward(dy.astype(np.float64), ids, V)),
        "embedding_bag": (
            (ids, starts, np.full(n, 2, dtype), weight),
            2 * reference.embedding_bag(ids, weight.astype(np.float64), starts[:-1], mode="sum"),
        ),
    }[name]
    out = guarded(np.full(expected.shape, np.nan, dtype))
    loops.VARIANTS[name][variant](*map(guarded, arguments), out)
    assert_close(out, expected, length=n, scale=10 * n**0.5, label=variant)


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    ids, weight, dy = rng.integers(0, 500, (40, 50)), normal(rng, (1000, 65), dtype), normal(rng, (40, 50, 65), dtype)
    factors = normal(rng, ids.shape, dtype)
    ids[:, :20] = 3
    calls = [
        lambda: [kernels.embedding(ids, weight)],
        lambda: [kernels.embedding_backward(dy, ids, 1000)],
        lambda: [kernels.embedding_backward(dy, ids, 1000, 3, True)],
        lambda: [kernels.embedding_bag(ids, weight, mode="sum", per_sample_weights=factors)],
        lambda: kernels.embedding_bag_backward(dy[:, 0], ids, weight, mode="sum", per_sample_weights=factors),
    ]
    winners = np.empty((40, 65), np.int64)
    calls += [
        lambda: [kernels.embedding_bag(ids, weight, mode="max", indices=winners), winners.copy()],
        lambda: kernels.embedding_bag_backward(dy[:, 0], ids, weight, mode="max", indices=winners)[:1],
    ]
    for call in calls:
        one, two = at_thread_counts(call)
        assert [array.tobytes() for array in one] == [array.tobytes() for array in two]


def test_needs(rng, dtype):
    ids, weight, factors = rng.integers(0, 4, (3, 2)), normal(rng, (4, 5), dtype), normal(rng, (3, 2), dtype)
    arguments, options = (normal(rng, (3, 5), dtype), ids, weight), {"mode": "sum", "per_sample_weights": factors}
    everything = kernels.embedding_bag_backward(*arguments, **options)
    for needs in itertools.product([True, False], repeat=2):
        gradients = kernels.embedding_bag_backward(*arguments, **options, needs=needs)
        for gradient, needed, expected in zip(gradients, needs, everything, strict=True):
            assert (gradient is not None) == needed
            if needed:
                np.testing.assert_array_equal(gradient, expected)


def test_torch_tensors(rng, dtype):
    ids, weight = rng.integers(0, 4, (3, 2)), normal(rng, (4, 5), dtype)
    tensors = torch.from_numpy(ids), torch.from_numpy(weight)
    np.testing.assert_array_equal(kernels.embedding(*tensors), weight[ids])
    kernels.embedding(*tensors, max_norm=0.1)
    assert np.linalg.norm(weight[ids[0, 0]]) <= 0.1


IDS, TABLE, FACTORS = np.array([[0, 2], [1, 1]]), np.ones((3, 4)), np.ones((2, 2))


@pytest.mark.parametrize("name", ["embedding", "embedding_bag"])
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (IndexError, r"input must be from 0 to 2, got 3 at \(1, 0\)", {"input": np.array([[0, 2], [3, 1]])}),
        (IndexError, r"input must be from 0 to 2, got -1 at \(0, 1\)", {"input": np.array([[0, -1]], np.int32)}),
        (IndexError, r"got 9223372036854775807", {"input": np.array([[2**63 - 1]])}),
        (TypeError, r"input must be int64 or int32, got float64", {"input": np.ones((1, 1))}),
        (TypeError, r"input must be int64 or int32, got uint8", {"input": np.ones((1, 1), np.uint8)}),
        (TypeError, r"weight must be float32 or float64, got int64", {"weight": np.ones((3, 4), int)}),
        (ValueError, r"weight must have 2 dimensions, got shape \(3,\)", {"weight": np.ones(3)}),
        (ValueError, r"padding_idx 3 is outside a table of 3 rows", {"padding_idx": 3}),
        (ValueError, r"padding_idx -4 is outside a table of 3 rows", {"padding_idx": -4}),
        (ValueError, r"max_norm changes weight.*read-only", {"weight": read_only(np.ones((3, 4))), "max_norm": 1.0}),
        (ValueError, r"max_norm must not be negative, got -1", {"max_norm": -1.0}),
        (ValueError, r"max_norm must not be negative, got nan", {"max_norm": math.nan}),
    ],
)
def test_errors(name, error, message, change):
    with pytest.raises(error, match=f"^{name}: .*{message}"):
        getattr(kernels, name)(**({"input": IDS, "weight": TABLE} | change))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"out must have shape \(2, 2, 4\), got \(2, 4\)", {"out": np.ones((2, 4))}),
        (TypeError, r"out must be float64", {"out": np.ones((2, 2, 4), np.float32)}),
        (ValueError, r"out overlaps weight", {"weight": np.ones((4, 4)), "out": None}),
    ],
)
def test_embedding_out_errors(error, message, change):
    good = {"input": IDS, "weight": TABLE}
    if change["out"] is None:
        change = change | {"out": change["weight"].reshape(2, 2, 4)}
    with pytest.raises(error, match=f"^embedding: {message}"):
        kernels.embedding(**(good | change))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"dy must have shape \(\*\(2, 2\), E\), got \(2, 4\)", {"dy": np.ones((2, 4))}),
        (ValueError, r"padding_idx 3", {"padding_idx": 3}),
        (ValueError, r"num_embeddings must not be negative, got -1", {"num_embeddings": -1}),
        (IndexError, r"input must be from 0 to 1, got 2 at \(0, 1\)", {"num_embeddings": 2}),
        (TypeError, r"dy must be float32 or float64, got int64", {"dy": np.ones((2, 2, 4), int)}),
    ],
)
def test_embedding_backward_errors(error, message, change):
    good = {"dy": np.ones((2, 2, 4)), "input": IDS, "num_embeddings": 3}
    with pytest.raises(error, match=f"^embedding_backward: {message}"):
        kernels.embedding_backward(**(good | change))


FLAT = {"input": np.array([0, 1, 2]), "offsets": np.array([0, 2])}


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"mode must be one of 'sum', 'mean', 'max', got 'min'", {"mode": "min"}),
        (ValueError, r"input must have 1 or 2 dimensions, got shape \(\)", {"input": np.array(1)}),
        (ValueError, r"input of 2 dimensions is cut by its rows", {"offsets": np.array([0])}),
        (ValueError, r"input of 1 dimension needs offsets", {"input": np.array([1])}),
        (ValueError, r"offsets must have 1 dimension, got shape \(1, 2\)", FLAT | {"offsets": np.array([[0, 1]])}),
        (TypeError, r"offsets must be int64 or int32, got float64", FLAT | {"offsets": np.zeros(2)}),
        (ValueError, r"the first offset must be 0, got 1", FLAT | {"offsets": np.array([1, 2])}),
        (ValueError, r"offsets must not decrease, bag 1 is 2 to 1", FLAT | {"offsets": np.array([0, 2, 1])}),
        (ValueError, r"offsets must not decrease, bag 1 is 4 to 3", FLAT | {"offsets": np.array([0, 4])}),
        (ValueError, r"the last offset must be 3, input's length, got 2", FLAT | {"include_last_offset": True}),
        (ValueError, r"got nothing", FLAT | {"offsets": np.empty(0, int), "include_last_offset": True}),
        (ValueError, r"per_sample_weights are of mode 'sum' only, mode is 'mean'", {"per_sample_weights": FACTORS}),
        (
            ValueError,
            r"per_sample_weights must have shape \(2, 2\), got \(4,\)",
            {"mode": "sum", "per_sample_weights": np.ones(4)},
        ),
        (TypeError, r"dtypes differ.*float32", {"mode": "sum", "per_sample_weights": np.ones((2, 2), np.float32)}),
        (ValueError, r"mode 'max' does not take scale_grad_by_freq", {"mode": "max", "scale_grad_by_freq": True}),
        (ValueError, r"indices are of mode 'max' only, mode is 'mean'", {"indices": np.zeros((2, 4), int)}),
        (ValueError, r"indices must have shape \(2, 4\)", {"mode": "max", "indices": np.zeros((1, 4), int)}),
    ],
)
def test_embedding_bag_errors(error, message, change):
    with pytest.raises(error, match=f"^embedding_bag: .*{message}"):
        kernels.embedding_bag(**({"input": IDS, "weight": TABLE} | change))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"dy must have shape \(2, 4\), got \(2, 3\)", {"dy": np.ones((2, 3))}),
        (TypeError, r"dtypes differ.*float32", {"dy": np.ones((2, 4), np.float32)}),
        (ValueError, r"mode 'max' needs the indices of the forward", {"mode": "max"}),
        (ValueError, r"indices must have shape \(2, 4\)", {"mode": "max", "indices": np.zeros((2, 3), int)}),
        (IndexError, r"input must be from 0 to 2, got 3", {"input": np.array([[0, 2], [3, 1]])}),
    ],
)
def test_embedding_bag_backward_errors(error, message, change):
    with pytest.raises(error, match=f"^embedding_bag_backward: {message}"):
        kernels.embedding_bag_backward(**({"dy": np.ones((2, 4)), "input": IDS, "weight": TABLE} | change))
