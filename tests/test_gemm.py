"""Tests of kernels.gemm."""

import itertools
import re
import tracemalloc

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import kernels
import kernels.gemm
from kernels.gemm.driver import product
from kernels.gemm.micro import ADD, BIAS, STORE
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

MATMUL = Operation(
    "gemm",
    "matmul",
    torch.matmul,
    saved=lambda arguments, result: arguments,
    differentiable=(0, 1),
    scale=absolute_scale,
    out=True,
)

# Each size stands where vector lanes, register tiles or cache blocks begin, end or are one off.
SIZES = [0, 1, 2, 3, 7, 13, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 129, 257, 300]
COLUMNS = [np.random.default_rng(seed).permutation(SIZES * 2) for seed in range(3)]
SHAPES = [tuple(int(n) for n in row) for row in zip(*COLUMNS, strict=True)]
SHAPES += [(n, n, n) for n in (0, 1, 16, 48, 64, 96, 128, 150)]
SHAPES += [(300, 1, 7), (1, 300, 300), (300, 300, 1), (1, 768, 65), (700, 3, 2), (2, 3, 700), (3, 1500, 5)]

BATCHES = [
    ((3,), (3,)),
    ((5, 3), (3,)),
    ((3,), (3, 5)),
    ((4, 5, 3), (3,)),
    ((3,), (4, 3, 5)),
    ((4, 5, 3), (4, 3, 7)),
    ((4, 5, 3), (3, 7)),
    ((5, 3), (4, 3, 7)),
    ((2, 1, 5, 3), (6, 3, 7)),
    ((2, 1, 1, 17), (1, 3, 17, 33)),
    ((1, 17, 33), (33, 2)),
    ((12, 33, 16), (12, 16, 33)),
    ((0, 5, 3), (3, 7)),
    ((2, 0, 3), (2, 3, 7)),
    ((2, 5, 0), (2, 0, 7)),
    ((0,), (0,)),
]


def normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def check_matmul(a, b):
    K = a.shape[-1]
    others = max(a.size, b.size) // max(K, 1)  # rows of a, columns of b: what a gradient sums over
    check(MATMUL, a, b, lengths=[K, others, others])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_matmul(rng, dtype, shape):
    M, K, N = shape
    check_matmul(normal(rng, (M, K), dtype), normal(rng, (K, N), dtype))


@pytest.mark.parametrize(("a_shape", "b_shape"), BATCHES, ids=str)
def test_vectors_and_batches(rng, dtype, a_shape, b_shape):
    check_matmul(normal(rng, a_shape, dtype), normal(rng, b_shape, dtype))


@pytest.mark.parametrize(("a_layout", "b_layout"), list(itertools.product(LAYOUTS, LAYOUTS)), ids=str)
def test_layouts(rng, dtype, a_layout, b_layout):
    a, b = normal(rng, (33, 17), dtype), normal(rng, (17, 49), dtype)
    check_matmul(LAYOUTS[a_layout](a), LAYOUTS[b_layout](b))


@pytest.mark.parametrize("M", [3, 6, 8, 11, 15, 16, 17, 27, 32, 33])
@pytest.mark.parametrize(("K", "N"), [(200, 170), (1100, 33), (33, 1001), (1024, 40)], ids=str)
def test_few_rows_and_a_weight(rng, dtype, M, K, N):
    """The weight's rows are contiguous, and it is not copied; where they are a page apart, it is."""
    a, b = normal(rng, (M, K), dtype), normal(rng, (N, K), dtype).T
    check_matmul(a, b)
    check_matmul(LAYOUTS["strided"](a), b)


@pytest.mark.parametrize("b_turned", [False, True])
@pytest.mark.parametrize("a_turned", [False, True])
@pytest.mark.parametrize("shape", [(75, 1024, 270), (1024, 40, 270), (60, 500, 301), (300, 200, 33)], ids=str)
def test_packed_and_in_place(rng, dtype, shape, a_turned, b_turned):
    """A is packed where its rows or columns are a page apart and C is wide, B where it is large or turned. The last of
    33 columns is computed on its own."""
    M, K, N = shape
    a, b = (
        guarded(normal(rng, sizes[::-1] if turned else sizes, dtype))
        for sizes, turned in (((M, K), a_turned), ((K, N), b_turned))
    )
    check_matmul(a.T if a_turned else a, b.T if b_turned else b)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "shape",
    [(1, 5, 7), (6, 1, 9), (1, 1, 1), (5, 9, 1), (3, 0, 2), (16, 200, 300), (40, 50, 60), (9, 1500, 33), (40, 50, 65)],
    ids=str,
)
def test_modes_of_a_product(rng, dtype, shape, turned):
    """What `linear` and others ask of the loops: the product itself, with a bias, and added to what is there."""
    M, K, N = shape
    a, b = guarded(normal(rng, (M, K), dtype)), guarded(normal(rng, (N, K) if turned else (K, N), dtype))
    b = b.T if turned else b
    bias, there = guarded(normal(rng, N, dtype)), normal(rng, (M, N), dtype)
    wide = [array.astype(np.float64) for array in (a, b)]
    scale = np.abs(wide[0]) @ np.abs(wide[1]) + 4
    for mode, start in ((STORE, 0.0), (BIAS, bias.astype(np.float64)), (ADD, there.astype(np.float64))):
        out = guarded(there)
        product(a, b, bias, mode, out)
        assert_close(out, wide[0] @ wide[1] + start, length=K, scale=scale, label=str(mode))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batched_layouts(rng, layout):
    a, b = normal(rng, (3, 9, 17), np.float32), normal(rng, (3, 17, 20), np.float32)
    check_matmul(LAYOUTS[layout](a), LAYOUTS[layout](b))
    check_matmul(np.swapaxes(np.swapaxes(a, 1, 2).copy(), 1, 2), np.broadcast_to(b[:1], b.shape))


@hypothesis.given(
    sizes=st.tuples(*[st.integers(0, 40)] * 3),
    layouts=st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 2),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(sizes, layouts, dtype, seed):
    (M, K, N), rng = sizes, np.random.default_rng(seed)
    check_matmul(LAYOUTS[layouts[0]](normal(rng, (M, K), dtype)), LAYOUTS[layouts[1]](normal(rng, (K, N), dtype)))


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 5, 2), (13, 17, 31), (64, 64, 64), (65, 129, 33), (30, 300, 100)], ids=str
)
@pytest.mark.parametrize("variant", kernels.gemm.VARIANTS["matmul"])
def test_variants(rng, dtype, variant, shape):
    M, K, N = shape
    a, b, out = normal(rng, (M, K), dtype), normal(rng, (K, N), dtype), guarded(np.full((M, N), np.nan, dtype))
    kernels.gemm.VARIANTS["matmul"][variant](guarded(a), guarded(b), out)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    assert_close(out, wide_a @ wide_b, length=K, scale=np.abs(wide_a) @ np.abs(wide_b), label=variant)


@pytest.mark.parametrize(
    "shapes", [((3, 4), (4, 2)), ((4,), (2, 4, 3)), ((2, 1, 3, 2), (3, 2, 2)), ((3,), (3,))], ids=str
)
def test_finite_differences(rng, shapes):
    check_finite_differences(MATMUL, *(normal(rng, shape, np.float64) for shape in shapes))


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan], ids=str)
@pytest.mark.parametrize("shape", [(5, 6, 7), (40, 70, 90)], ids=str)
def test_infinities_and_nan_stay_in_their_row_and_column(rng, dtype, special, shape):
    M, K, N = shape
    a, b = normal(rng, (M, K), dtype), normal(rng, (K, N), dtype)
    a[M - 1, 2] = special
    b[K - 1, N - 1] = special
    b[2, 1] = 0  # inf * 0 is NaN
    check_matmul(a, b)
    result = kernels.matmul(a, b)
    assert np.isfinite(result[:-1, :-1]).all()
    assert not np.isfinite(result[-1]).any()
    assert np.isnan(result[-1, 1])


def test_denormals_are_kept(rng, dtype):
    small = np.finfo(dtype).smallest_normal / 64
    a, b = normal(rng, (20, 33), dtype) * dtype(small), normal(rng, (33, 40), dtype)
    check_matmul(a, b)
    assert np.count_nonzero(kernels.matmul(a, b)) == 20 * 40


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("shape", [(64, 64, 64), (256, 300, 256), (64, 1024, 64), (64, 3000, 64)], ids=str)
def test_error_is_at_most_that_of_torch(rng, dtype, shape, positive):
    M, K, N = shape
    a, b = normal(rng, (M, K), dtype), normal(rng, (K, N), dtype)
    if positive:  # the sums grow, and with them what each addition loses
        a, b = abs(a), abs(b)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    error, peer_error = (
        np.sqrt(np.mean((y - exact) ** 2))
        for y in (kernels.matmul(a, b), (torch.from_numpy(a) @ torch.from_numpy(b)).numpy())
    )
    assert error <= 1.5 * peer_error


def test_out(rng, dtype):
    a, b = normal(rng, (17, 5), dtype), normal(rng, (5, 33), dtype)
    out = np.full((17, 33), np.nan, dtype)
    assert kernels.matmul(a, b, out=out) is out
    np.testing.assert_array_equal(out, kernels.matmul(a, b))


def test_needs(rng):
    a, b, dy = normal(rng, (3, 4), np.float64), normal(rng, (4, 2), np.float64), normal(rng, (3, 2), np.float64)
    da, db = kernels.matmul_backward(dy, a, b)
    only_a, only_b = (
        kernels.matmul_backward(dy, a, b, needs=(True, False)),
        kernels.matmul_backward(dy, a, b, needs=(False, True)),
    )
    assert only_a[1] is None and only_b[0] is None
    np.testing.assert_array_equal(only_a[0], da)
    np.testing.assert_array_equal(only_b[1], db)


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts):
    for a_shape, b_shape in [
        ((300, 257), (257, 310)),
        ((2, 3000), (3000, 5)),
        ((6, 65, 40), (40, 129)),
        ((700, 900), (900,)),
        ((20, 1500), (1500, 33)),
    ]:
        a, b = normal(rng, a_shape, dtype), normal(rng, b_shape, dtype)
        one, two = at_thread_counts(lambda a=a, b=b: kernels.matmul(a, b))
        assert one.tobytes() == two.tobytes()
        dy = normal(rng, one.shape, dtype)
        one, two = at_thread_counts(lambda dy=dy, a=a, b=b: kernels.matmul_backward(dy, a, b))
        assert [gradient.tobytes() for gradient in one] == [gradient.tobytes() for gradient in two]
    a, b = normal(rng, (15, 300), dtype), normal(rng, (500, 300), dtype).T
    one, two = at_thread_counts(lambda: kernels.matmul(a, b))
    assert one.tobytes() == two.tobytes()


def test_torch_tensors_and_transposed_views_are_not_copied(rng, dtype):
    matrix, vector = normal(rng, (2000, 500), dtype), normal(rng, 500, dtype)
    calls = {
        "tensor": lambda: kernels.matmul(torch.from_numpy(matrix), torch.from_numpy(vector)),
        "transposed": lambda: kernels.matmul(vector, matrix.T),
    }
    for name, call in calls.items():
        np.testing.assert_allclose(call(), matrix @ vector, rtol=0, atol=1e-3)
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < matrix.nbytes / 4, name


def test_transposed_torch_tensor(rng):
    a, b = torch.from_numpy(normal(rng, (7, 5), np.float64)), torch.from_numpy(normal(rng, (9, 5), np.float64))
    np.testing.assert_allclose(kernels.matmul(a, b.T), (a @ b.T).numpy(), rtol=1e-12)


FLOATS = np.zeros((3, 4)), np.zeros((4, 5))
SQUARE = np.ones((3, 3))


@pytest.mark.parametrize(
    ("error", "message", "a", "b", "options"),
    [
        (
            ValueError,
            r"^matmul: inner dimensions differ: a is \(3, 4\), b is \(5, 6\)$",
            np.ones((3, 4)),
            np.ones((5, 6)),
            {},
        ),
        (ValueError, r"^matmul: inner dimensions differ: a is \(3,\), b is \(4,\)$", np.ones(3), np.ones(4), {}),
        (ValueError, r"^matmul: .*\(2, 3, 4\).*\(5, 4, 6\)", np.ones((2, 3, 4)), np.ones((5, 4, 6)), {}),
        (ValueError, r"^matmul: .*\(\)", np.ones(()), np.ones((4, 5)), {}),
        (TypeError, r"^matmul: .*float32.*float64", np.ones((3, 4), np.float32), np.ones((4, 5)), {}),
        (TypeError, r"^matmul: .*int64", np.ones((3, 4), np.int64), np.ones((4, 5), np.int64), {}),
        (TypeError, r"^matmul: .*complex128", np.ones((3, 4), complex), np.ones((4, 5)), {}),
        (TypeError, r"^matmul: .*float16", np.ones((3, 4), np.float16), np.ones((4, 5), np.float16), {}),
        (
            ValueError,
            r"^matmul: out.*\(3, 4\).*\(3, 5\)|^matmul: out.*\(3, 5\).*\(3, 4\)",
            *FLOATS,
            {"out": np.ones((3, 4))},
        ),
        (TypeError, r"^matmul: out.*float32", *FLOATS, {"out": np.ones((3, 5), np.float32)}),
        (ValueError, r"^matmul: out.*read-only", *FLOATS, {"out": read_only(np.ones((3, 5)))}),
        (ValueError, r"^matmul: out.*contiguous", *FLOATS, {"out": np.ones((5, 3)).T}),
        (ValueError, r"^matmul: out overlaps a$", SQUARE, SQUARE.copy(), {"out": SQUARE}),
        (ValueError, r"^matmul: out overlaps b$", SQUARE.copy(), SQUARE, {"out": SQUARE}),
    ],
)
def test_errors(error, message, a, b, options):
    before = options["out"].copy() if options else None
    with pytest.raises(error, match=message):
        kernels.matmul(a, b, **options)
    if options:
        np.testing.assert_array_equal(options["out"], before)


@pytest.mark.parametrize("sizes", [(2, 3, 0, 5), (2, 3, 4, 0), (2, 0, 4, 5), (0, 3, 4, 5)])
def test_gradients_of_nothing(sizes):
    batch, M, K, N = sizes
    da, db = kernels.matmul_backward(np.ones((batch, M, N)), np.ones((batch, M, K)), np.ones((K, N)))
    np.testing.assert_array_equal(da, np.full((batch, M, K), N))
    np.testing.assert_array_equal(db, np.full((K, N), batch * M))


@pytest.mark.parametrize(
    ("error", "message", "dy"),
    [
        (ValueError, r"^matmul_backward: .*\(5, 3\)", np.ones((5, 3))),
        (TypeError, r"^matmul_backward: .*float32", np.ones((3, 5), np.float32)),
    ],
)
def test_backward_errors(error, message, dy):
    with pytest.raises(error, match=message):
        kernels.matmul_backward(dy, *FLOATS)


@pytest.mark.parametrize(
    ("a", "b", "rule"),
    [
        ((2, 3, 4), (3, 4, 5), "batch dimensions do not broadcast"),
        ((), (4,), "operands must have at least one dimension"),
    ],
)
def test_backward_refuses_shapes_without_a_product(a, b, rule):
    with pytest.raises(ValueError, match=rf"^matmul_backward: {rule}: a is {re.escape(str(a))}"):
        kernels.matmul_backward(np.ones(()), np.ones(a), np.ones(b))


@pytest.mark.parametrize(("a", "b"), [((3, 1), (4, 5)), ((3, 4), (1, 5)), ((1,), (4, 5)), ((2, 3, 1), (4, 5))])
@pytest.mark.parametrize("needs", [(True, False), (False, True)])
def test_backward_refuses_inner_dimensions_that_would_broadcast(a, b, needs):
    with pytest.raises(ValueError, match=rf"^matmul_backward: inner dimensions differ: a is {re.escape(str(a))}"):
        kernels.matmul_backward(np.ones((*a[:-1], b[-1])), np.ones(a), np.ones(b), needs=needs)
