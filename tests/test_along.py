"""Tests of kernels.lookup.along and the functions on it: gather, scatter, index_select, index_add."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import kernels
from kernels.lookup import along
from kernels.reference import lookup as reference
from tests.checking import LAYOUTS, Operation, absolute_scale, assert_close, check, check_finite_differences, guarded

REDUCES = ["sum", "prod", "mean", "amax", "amin"]
DTYPES = [np.float32, np.float64, np.int64, np.int32, np.bool_]


def operation(name, saved, differentiable, scale=absolute_scale):
    return Operation("lookup", name, getattr(torch, name), saved, differentiable, scale)


GATHER = operation("gather", lambda a, y: [a[0].shape, *a[1:]], (0,))
INDEX_SELECT = operation("index_select", lambda a, y: [a[0].shape, *a[1:]], (0,))
SCATTER = operation("scatter", lambda a, y: a[1:3], (0, 3))
SCATTER_ADD = operation("scatter_add", lambda a, y: a[1:3], (0, 3))
INDEX_ADD = operation(
    "index_add",
    lambda a, y: a[1:3],
    (0, 3),
    lambda operation, a, dy, options: absolute_scale(operation, a, dy, {k: abs(v) for k, v in options.items()}),
)
SCATTER_REDUCE = operation("scatter_reduce", lambda a, y: [*a, y], (0, 3), None)

# Shape of x, dimension, shape of the index.
SHAPES = [
    ((), 0, ()),
    ((1,), 0, (1,)),
    ((7,), -1, (20,)),
    ((5, 3), 0, (4, 3)),
    ((5, 3), 1, (2, 4)),
    ((4, 6, 5), 1, (4, 9, 5)),
    ((4, 6, 5), -2, (3, 2, 4)),
    ((3, 1, 70), 1, (3, 4, 70)),
    ((40, 300), 0, (30, 290)),
    ((2, 3, 4, 5), 2, (2, 3, 7, 5)),
    ((300, 70), 1, (300, 1)),
    ((200, 150), 1, (200, 3)),
]
each_shape = pytest.mark.parametrize("shapes", SHAPES, ids=str)


def normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def of(rng, shape, dtype):
    """Values of any dtype."""
    return np.asarray(rng.integers(0, 2, shape) if dtype is np.bool_ else rng.integers(-9, 9, shape)).astype(dtype)


def indices(rng, n, shape, apart=None):
    """Indices below n; with a dimension, none occurs twice along it."""
    if apart is None or not shape:
        return np.asarray(rng.integers(0, n, shape))
    return np.minimum(rng.random((*shape[:apart], n, *shape[apart + 1 :])).argsort(apart), n - 1)


def arguments(rng, shapes, dtype, apart=False):
    """x, dim, an index and a source of its shape."""
    shape, dim, index_shape = shapes
    n = shape[dim] if shape else 1
    index = indices(rng, n, index_shape, dim % len(shape) if apart and shape else None)
    index = np.asarray(index[tuple(map(slice, index_shape))])
    return normal(rng, shape, dtype), dim, index, normal(rng, index.shape, dtype)


@each_shape
def test_gather(rng, dtype, shapes):
    x, dim, index, _ = arguments(rng, shapes, dtype)
    y = check(GATHER, x, dim, index, lengths=[1, index.size])
    assert y.tobytes() == kernels.gather(x, dim, index.astype(np.int32)).tobytes()


@each_shape
def test_scatter(rng, dtype, shapes):
    x, dim, index, src = arguments(rng, shapes, dtype, apart=True)
    check(SCATTER, x, dim, index, src)
    y = kernels.scatter(x, dim, index, 2.5)
    np.testing.assert_array_equal(y, torch.scatter(torch.from_numpy(x), dim, torch.from_numpy(index), 2.5))


@each_shape
def test_scatter_add(rng, dtype, shapes):
    x, dim, index, src = arguments(rng, shapes, dtype)
    check(SCATTER_ADD, x, dim, index, src, lengths=index.size)


@each_shape
@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(rng, dtype, shapes, reduce, include_self):
    x, dim, index, src = arguments(rng, shapes, dtype)
    if index.size > 1000:
        x, index, src = x[:, :40].copy(), index[:5, :30], src[:5, :30]
    checked_reduce(x, dim, index, src, reduce, include_self)


def checked_reduce(x, dim, index, src, reduce, include_self):
    """Values and gradients against the reference and PyTorch, also at guard pages."""
    dy = normal(np.random.default_rng(0), x.shape, x.dtype)
    options = {"include_self": include_self}
    wide = x.astype(np.float64), dim, index, src.astype(np.float64), reduce
    expected = reference.scatter_reduce(*wide, **options)
    expected_gradients = reference.scatter_reduce_backward(dy.astype(np.float64), *wide, expected, **options)
    leaves = [torch.from_numpy(array.copy()).requires_grad_() for array in (x, src)]
    peer = torch.scatter_reduce(leaves[0], dim, torch.from_numpy(index), leaves[1], reduce, **options)
    peer_gradients = torch.autograd.grad(peer, leaves, torch.from_numpy(dy))
    scale = 1 + np.abs(expected).max(initial=0)
    for end in ("front", "back"):
        place = lambda array, end=end: guarded(array, end)  # noqa: E731
        given = place(x), dim, place(index), place(src), reduce
        y = kernels.scatter_reduce(*given, **options)
        gradients = kernels.scatter_reduce_backward(place(dy), *given, place(y), **options)
        assert y.dtype == x.dtype
        assert_close(y, expected, length=index.size, scale=scale)
        assert_close(y, peer.detach().numpy(), length=index.size, scale=scale)
        for mine, right, theirs in zip(gradients, expected_gradients, peer_gradients, strict=True):
            scale = 1 + np.abs(right).max(initial=0)
            assert_close(mine, right, length=index.size, scale=scale, label="gradient against the reference")
            assert_close(mine, theirs.numpy(), length=index.size, scale=scale, label="gradient against PyTorch")
    return y


@pytest.mark.parametrize("reduce", ["amax", "amin", "prod"])
@pytest.mark.parametrize("include_self", [True, False])
def test_ties_and_zeros(rng, dtype, reduce, include_self):
    x, index = rng.integers(-1, 2, (6, 5)).astype(dtype), rng.integers(0, 6, (9, 5))
    src = rng.integers(-1, 2, (9, 5)).astype(dtype)
    dy = normal(rng, x.shape, dtype)
    leaves = [torch.from_numpy(array.copy()).requires_grad_() for array in (x, src)]
    peer = torch.scatter_reduce(leaves[0], 0, torch.from_numpy(index), leaves[1], reduce, include_self=include_self)
    theirs = torch.autograd.grad(peer, leaves, torch.from_numpy(dy))
    y = kernels.scatter_reduce(x, 0, index, src, reduce, include_self=include_self)
    np.testing.assert_array_equal(y, peer.detach().numpy())
    ours = kernels.scatter_reduce_backward(dy, x, 0, index, src, reduce, y, include_self=include_self)
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine, other.numpy(), scale=1)


def test_not_a_number(dtype):
    x, index = np.array([1.0, np.nan, 2.0], dtype), np.array([0, 0, 1, 2])
    src = np.array([3.0, np.nan, 9.0, 5.0], dtype)
    for reduce, last in [("amax", 5.0), ("amin", 2.0), ("sum", 7.0), ("prod", 10.0), ("mean", 3.5)]:
        y = kernels.scatter_reduce(x, 0, index, src, reduce)
        np.testing.assert_array_equal(y, np.array([np.nan, np.nan, last], dtype))
    np.testing.assert_array_equal(
        kernels.scatter_reduce(x, 0, index, src, "amin", include_self=False), np.array([np.nan, 9.0, 5.0], dtype)
    )


@pytest.mark.parametrize("number", DTYPES, ids=lambda each: each.__name__)
def test_dtypes(rng, number):
    """Everything that PyTorch does with integers and booleans."""
    x, src, index = of(rng, (6, 5), number), of(rng, (9, 4), number), rng.integers(0, 6, (9, 4))
    row = rng.integers(0, 6, 9)
    rows = of(rng, (9, 5), number)
    tensors = [torch.from_numpy(array) for array in (x, src, index, row, rows)]
    tx, tsrc, tindex, trow, trows = tensors
    pairs = [
        (kernels.gather(x, 0, index), torch.gather(tx, 0, tindex)),
        (kernels.index_select(x, 0, row), torch.index_select(tx, 0, trow)),
        (kernels.scatter(x, 0, index, 1), torch.scatter(tx, 0, tindex, 1)),
        (kernels.scatter_add(x, 0, index, src), torch.scatter_add(tx, 0, tindex, tsrc)),
        (kernels.index_add(x, 0, row, rows), torch.index_add(tx, 0, trow, trows)),
    ]
    for reduce in REDUCES:
        for include_self in (True, False):
            if reduce == "mean" and number is np.bool_:
                with pytest.raises(TypeError, match="^scatter_reduce: reduce 'mean' is not for bool"):
                    kernels.scatter_reduce(x, 0, index, src, reduce)
                continue
            options = {"include_self": include_self}
            ours = kernels.scatter_reduce(x, 0, index, src, reduce, **options)
            pairs.append((ours, torch.scatter_reduce(tx, 0, tindex, tsrc, reduce, **options)))
    for ours, theirs in pairs:
        assert ours.dtype == number
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("shape", [((), 0, 1), ((7,), 0, 20), ((5, 3), 1, 9), ((4, 6, 70), 1, 3), ((3, 4, 2), 0, 0)])
def test_slices(rng, dtype, shape):
    shape, dim, m = shape
    x, index = normal(rng, shape, dtype), rng.integers(0, shape[dim] if shape else 1, m)
    if shape:
        check(INDEX_SELECT, x, dim, index, lengths=[1, max(m, 1)])
        source = normal(rng, (*shape[:dim], m, *shape[dim + 1 :]), dtype)
        for alpha in (1, -0.5):
            check(INDEX_ADD, x, dim, index, source, lengths=max(m, 1), alpha=alpha)
    else:
        assert kernels.index_select(x, 0, index) == x
        assert kernels.index_select_backward(x, (), 0, index) == x
        assert kernels.index_add(x, 0, index[0], x) == 2 * x


@hypothesis.given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    cut=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    dim=st.integers(0, 3),
    m=st.integers(0, 12),
    layouts=st.tuples(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(sorted(set(LAYOUTS) - {"inner"}))),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(shape, cut, dim, m, layouts, seed):
    rng, dim = np.random.default_rng(seed), dim % len(shape)
    index_shape = [m if axis == dim else max(1, n - cut[axis]) for axis, n in enumerate(shape)]
    x, src = normal(rng, shape, np.float32), normal(rng, index_shape, np.float32)
    index = LAYOUTS[layouts[1]](rng.integers(0, shape[dim], index_shape))
    x = LAYOUTS[layouts[0]](x)
    check(GATHER, x, dim, index, lengths=[1, max(m, 1)])
    check(SCATTER_ADD, x, dim, index, src, lengths=max(m, 1))
    larger = np.pad(src, 1)
    tensors = [torch.from_numpy(array.copy()) for array in (x, index, larger)]
    expected = torch.scatter_add(tensors[0], dim, *tensors[1:]).numpy()
    np.testing.assert_allclose(kernels.scatter_add(x, dim, index, larger), expected, rtol=1e-5, atol=1e-5)


def test_the_last_of_equal_indices_counts(rng):
    y = kernels.scatter(np.zeros((3, 4)), 0, np.array([[2, 1], [2, 0], [2, 1]]), np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(y, [[0, 3, 0, 0], [0, 5, 0, 0], [4, 0, 0, 0]])


def test_into_an_array(rng, dtype):
    x, dim, index, src = arguments(rng, ((6, 5), 0, (9, 4)), dtype)
    row, rows = rng.integers(0, 6, 9), normal(rng, (9, 5), dtype)
    calls = [
        (kernels.scatter, (dim, index, src), {}),
        (kernels.scatter_add, (dim, index, src), {}),
        (kernels.index_add, (0, row, rows), {"alpha": 2}),
        *((kernels.scatter_reduce, (dim, index, src, reduce), {}) for reduce in REDUCES),
        (kernels.scatter_reduce, (dim, index, src, "amax"), {"include_self": False}),
    ]
    for function, rest, options in calls:
        expected = function(x, *rest, **options)
        out, same = np.full_like(x, np.nan), x.copy()
        assert function(x, *rest, **options, out=out) is out
        assert function(same, *rest, **options, out=same) is same
        for found in (out, same):
            assert found.tobytes() == expected.tobytes()
    out = np.empty(index.shape, dtype)
    assert kernels.gather(x, 0, index, out=out) is out
    np.testing.assert_array_equal(out, kernels.gather(x, 0, index))
    out = np.empty((9, 5), dtype)
    assert kernels.index_select(x, 0, row, out=out) is out
    np.testing.assert_array_equal(out, x[row])


def test_empty(dtype):
    x, none = np.zeros((3, 4), dtype), np.zeros((0, 2), np.int64)
    assert kernels.gather(x, 0, none).shape == (0, 2)
    assert kernels.gather_backward(np.zeros((0, 2), dtype), (3, 4), 0, none).shape == (3, 4)
    for function in (kernels.scatter, kernels.scatter_add):
        y = function(x, 0, none, np.zeros((0, 2), dtype))
        assert y.shape == x.shape and y is not x and not np.may_share_memory(x, y)
    assert kernels.gather(np.zeros((3, 0), dtype), 0, np.zeros((2, 0), np.int64)).shape == (2, 0)
    assert kernels.index_select(np.zeros((0, 3), dtype), 0, np.zeros(0, np.int64)).shape == (0, 3)
    for call in (kernels.gather, lambda x, dim, index: kernels.scatter_add(x, dim, index, 1.0)):
        with pytest.raises(IndexError, match="from 0 to -1, got 0"):
            call(np.zeros((0, 2), dtype), 0, np.zeros((1, 2), np.int64))


def test_finite_differences(rng):
    x, dim, index, src = arguments(rng, ((4, 3), 0, (5, 2)), np.float64)
    check_finite_differences(GATHER, x, dim, index)
    check_finite_differences(SCATTER_ADD, x, dim, index, src)
    check_finite_differences(INDEX_SELECT, x, dim, index[:, 0].copy())
    check_finite_differences(INDEX_ADD, x, dim, index[:, 0].copy(), normal(rng, (5, 3), np.float64), alpha=1.5)
    for reduce in REDUCES:
        check_finite_differences(SCATTER_REDUCE, x, dim, index, src, reduce)


@pytest.mark.parametrize(("name", "variant"), [(name, each) for name, all in along.VARIANTS.items() for each in all])
def test_variants(rng, dtype, name, variant):
    for x_shape, m in [((1, 1, 1), 1), ((3, 5, 1), 7), ((2, 4, 9), 3)]:
        A, n, B = x_shape
        x, src = normal(rng, x_shape, dtype), normal(rng, (A, m, B), dtype)
        index = rng.integers(0, n, (A, m, B))
        given = (x, index) if name == "gather" else (x, index, src)
        expected = np.take_along_axis(x, index, 1) if name == "gather" else reference.scatter_add(x, 1, index, src)
        out = guarded(np.full(expected.shape, np.nan, dtype))
        along.VARIANTS[name][variant](*map(guarded, given), out)
        assert_close(out, expected, length=m, scale=1, label=variant)


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    shapes = [((40, 3000), 0, (50, 3000)), ((300, 200), 1, (300, 150)), ((3, 40, 700), 1, (3, 50, 700))]
    cases = [arguments(rng, each, dtype) for each in shapes]
    row = rng.integers(0, 40, 90)
    source = normal(rng, (90, 3000), dtype)

    def call():
        for x, dim, index, src in cases:
            yield kernels.gather(x, dim, index)
            yield kernels.gather_backward(src, x.shape, dim, index)
            for reduce in REDUCES:
                yield kernels.scatter_reduce(x, dim, index, src, reduce, include_self=False)
        x = cases[0][0]
        yield kernels.index_select(x, 0, row)
        yield kernels.index_add(x, 0, row, source, alpha=0.3)

    one, two = at_thread_counts(lambda: [array.tobytes() for array in call()])
    assert one == two


def test_needs(rng, dtype):
    x, dim, index, src = arguments(rng, ((6, 5), 0, (9, 5)), dtype)
    y = kernels.scatter_reduce(x, dim, index, src, "prod")
    calls = [
        lambda needs: kernels.scatter_backward(x, dim, index, needs),
        lambda needs: kernels.scatter_add_backward(x, dim, index, needs),
        lambda needs: kernels.index_add_backward(x, 0, index[:, 0].copy(), alpha=2, needs=needs),
        *(
            lambda needs, reduce=reduce: kernels.scatter_reduce_backward(x, x, dim, index, src, reduce, y, needs=needs)
            for reduce in REDUCES
        ),
    ]
    for call in calls:
        both = call((True, True))
        for needs in ((True, False), (False, True), (False, False)):
            for gradient, needed, expected in zip(call(needs), needs, both, strict=True):
                assert (gradient is not None) == needed
                if needed:
                    np.testing.assert_array_equal(gradient, expected)


X, INDEX, SRC = np.ones((3, 4)), np.array([[0, 2], [1, 1]]), np.ones((2, 2))


@pytest.mark.parametrize("name", ["gather", "scatter", "scatter_add", "scatter_reduce"])
@pytest.mark.parametrize("given_out", [False, True])
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (IndexError, r"index must be from 0 to 2, got 3 at \(1, 0\)", {"index": np.array([[0, 2], [3, 1]])}),
        (IndexError, r"index must be from 0 to 2, got -1 at \(0, 1\)", {"index": np.array([[0, -1]], np.int32)}),
        (IndexError, r"index must be from 0 to 3, got 4 at \(0, 1\)", {"dim": 1, "index": np.array([[0, 4]])}),
        (TypeError, r"index must be int64 or int32, got float64", {"index": np.ones((1, 1))}),
        (TypeError, r"x must be float32, float64, int64, int32 or bool, got int8", {"x": np.ones((3, 4), np.int8)}),
        (ValueError, r"index must have 2 dimensions as x, got shape \(3,\)", {"index": np.array([0, 1, 2])}),
        (
            ValueError,
            r"larger than x but in dim 1: index is \(4, 1\), x \(3, 4\)",
            {"dim": 1, "index": np.zeros((4, 1), int)},
        ),
        (ValueError, r"dim must be from -2 to 1, got 2", {"dim": 2}),
    ],
)
def test_errors(name, error, message, change, given_out):
    good = {"x": X, "dim": 0, "index": INDEX} | change
    if name != "gather":
        good["src"] = np.ones(good["index"].shape, good["x"].dtype)
    if name == "scatter_reduce":
        good["reduce"] = "sum"
    if given_out:
        shape = good["index"].shape if name == "gather" else good["x"].shape
        good["out"] = np.zeros(shape, good["x"].dtype)
    with pytest.raises(error, match=f"^{name}: .*{message}"):
        getattr(kernels, name)(**good)
    assert not given_out or not good["out"].any()


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, r"dtypes differ: x is float64, src is float32", {"src": np.ones((2, 2), np.float32)}),
        (ValueError, r"index must not be larger than src: index is \(2, 2\), src \(1, 2\)", {"src": np.ones((1, 2))}),
        (ValueError, r"out overlaps index", {"x": np.ones((2, 2), np.int64), "src": 1, "out": INDEX}),
        (ValueError, r"out must have shape \(3, 4\), got \(2, 2\)", {"out": np.ones((2, 2))}),
    ],
)
def test_scatter_errors(error, message, call):
    with pytest.raises(error, match=f"^scatter: {message}"):
        kernels.scatter(**({"x": X, "dim": 0, "index": INDEX, "src": SRC} | call))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "^scatter_reduce: reduce must be one of", lambda: kernels.scatter_reduce(X, 0, INDEX, SRC, "max")),
        (ValueError, r"^gather_backward: shapes differ", lambda: kernels.gather_backward(X, (3, 4), 0, INDEX)),
        (
            IndexError,
            "^index_select: index must be from 0 to 2, got 3",
            lambda: kernels.index_select(X, 0, np.array([3])),
        ),
        (ValueError, "^index_select: index must have 1 dim", lambda: kernels.index_select(X, 0, INDEX)),
        (IndexError, "^index_add: .* got -1", lambda: kernels.index_add(X, 0, np.array([-1]), X[:1])),
        (ValueError, r"^index_add: source must have shape \(1, 4\)", lambda: kernels.index_add(X, 0, np.array([1]), X)),
        (
            ValueError,
            r"^index_select_backward: dy must have shape \(1, 4\), got \(3, 4\)",
            lambda: kernels.index_select_backward(X, (3, 4), 0, np.array([1])),
        ),
        (TypeError, "^scatter_backward: dy must be float", lambda: kernels.scatter_backward(INDEX, 0, INDEX)),
    ],
)
def test_other_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()
