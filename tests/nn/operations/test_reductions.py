"""Reductions, extremes, deviations and norms against PyTorch: the same function of both modules."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_function

RNG = np.random.default_rng(0)
A, CUBE, IDS = RNG.standard_normal((3, 4)), RNG.standard_normal((2, 3, 4)), np.arange(-3, 9).reshape(3, 4)
TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0], [-1.0, -1.0, -1.0]])
HOLES = np.where(RNG.random((3, 4)) < 0.3, np.nan, A)
B = RNG.standard_normal((5, 4))

DTYPES = {np.float32: torch.float32, np.float64: torch.float64, np.int64: torch.int64, np.int32: torch.int32}


def dtype(m, of):
    return DTYPES[of] if m is torch else np.dtype(of)


def reduction(name):
    return lambda m, x: (
        getattr(m, name)(x), getattr(x, name)(1), getattr(m, name)(x, -1, True), getattr(x, name)(dim=0, keepdim=True),
        getattr(x, name)(axis=1), getattr(m, name)(x, axis=0, keepdims=True),
    )  # fmt: skip


def over_several(name):
    return lambda m, x: (
        getattr(m, name)(x, (0, 1)), getattr(x, name)([0, -1], True), getattr(x, name)(()), getattr(x, name)(dim=(1,)),
    )  # fmt: skip


FUNCTIONS = {
    **{name: reduction(name) for name in
       ("sum", "mean", "prod", "var", "std", "nansum", "nanmean", "amax", "amin", "argmax", "argmin", "max", "min")},
    **{f"{name} over several": over_several(name) for name in ("sum", "mean", "nansum", "amax", "amin")},
    "sum dtype": lambda m, x: (x.sum(dtype=dtype(m, np.float32)), m.sum(x.detach(), 1, dtype=dtype(m, np.int64))),
    "mean dtype": lambda m, x: (x.mean(dtype=dtype(m, np.float32)), m.mean(x, 1, True, dtype=dtype(m, np.float32))),
    "prod dtype": lambda m, x: (x.prod(dtype=dtype(m, np.float32)), m.prod(x, 1, True, dtype=dtype(m, np.float32))),
    "var unbiased": lambda m, x: (
        x.var(False), x.var(1, False), x.var(0, True, True), m.var(x, unbiased=False), x.var(dim=1, unbiased=True),
        x.var((0, 1), unbiased=False, keepdim=True), m.var(x, 1, correction=2), x.var(correction=0),
    ),
    "std unbiased": lambda m, x: (
        x.std(False), x.std(1, False), x.std(0, True, True), m.std(x, unbiased=False), x.std(dim=-1, unbiased=False),
        x.std((0, 1), False), m.std(x, 1, correction=0, keepdim=True),
    ),
    "var_mean": lambda m, x: (m.var_mean(x), m.var_mean(x, 1), m.var_mean(x, 0, False, True), m.var_mean(x, False)),
    "std_mean": lambda m, x: (m.std_mean(x), m.std_mean(x, (0, 1), correction=0, keepdim=True)),
    "softmax": lambda m, x: (m.softmax(x, 1), x.softmax(dim=0), x.softmax(-1, dtype=dtype(m, np.float32))),
    "log_softmax": lambda m, x: (m.log_softmax(x, 1), m.log_softmax(x, dim=0, dtype=dtype(m, np.float32))),
    "logsumexp": lambda m, x: (m.logsumexp(x, 1), x.logsumexp((0, 1)), x.logsumexp(dim=0, keepdim=True)),
    "aminmax": lambda m, x: (m.aminmax(x), x.aminmax(dim=1), x.aminmax(dim=0, keepdim=True)),
    "named": lambda m, x: (x.max(1).values, x.min(0).indices, m.aminmax(x).min, m.aminmax(x, dim=0).max),
    "two tensors": lambda m, x: (m.max(x, x.flip(0)), x.min(x.flip(1))),
    "all": lambda m, x: ((x > 0).all(), m.all(x > -9, 1), m.any(x > 1, dim=0, keepdim=True), (x > 1).any(axis=1)),
    "count_nonzero": lambda m, x: (m.count_nonzero(x), x.count_nonzero(1), m.count_nonzero(x, dim=(0, 1))),
    "norm": lambda m, x: (
        x.norm(), m.norm(x, 1), x.norm(2, 1), x.norm(2, -1, True), m.norm(x, "fro"), x.norm(p=3, dim=0),
        x.norm(dim=(0, 1)), x.norm(p=float("inf"), dim=1), x.norm(-np.inf), m.norm(x, p="fro", dim=1, keepdim=True),
        x.norm(1.5, 1), x.norm(p=2, dim=1, keepdim=True), x.norm(0, 1),
    ),
    "linalg.norm": lambda m, x: (
        m.linalg.norm(x), m.linalg.norm(x, dim=1), m.linalg.norm(x, 1), m.linalg.norm(x, np.inf, (1, 0)),
        m.linalg.norm(x[0], 3), m.linalg.norm(x, "fro", keepdim=True), m.linalg.norm(x, -1),
        m.linalg.norm(x, ord=1, dim=0),
    ),
    "linalg.vector_norm": lambda m, x: (
        m.linalg.vector_norm(x), m.linalg.vector_norm(x, 3, 1), m.linalg.vector_norm(x, 1, (0, 1), True),
        m.linalg.vector_norm(x, ord=np.inf, dim=0), m.linalg.vector_norm(x.float(), dtype=dtype(m, np.float64)),
    ),
    "linalg.matrix_norm": lambda m, x: (
        m.linalg.matrix_norm(x), m.linalg.matrix_norm(x, 1), m.linalg.matrix_norm(x, np.inf, keepdim=True),
        m.linalg.matrix_norm(x[None], -np.inf), m.linalg.matrix_norm(x, "fro", (1, 0)), m.linalg.matrix_norm(x, -1),
    ),
    "nuclear norm": lambda m, x: (
        m.norm(x, "nuc"), x.norm("nuc", (1, 0)), m.linalg.norm(x, "nuc"), m.linalg.matrix_norm(x, "nuc", keepdim=True),
        m.linalg.matrix_norm(x[None], "nuc"), m.norm(x, "nuc", keepdim=True),
    ),
    "2-norm of matrices": lambda m, x: (
        m.linalg.norm(x, 2), m.linalg.norm(x, -2, (1, 0)), m.linalg.matrix_norm(x[:, None], 2, (0, 2)),
        m.linalg.matrix_norm(x, 2, (0, 1), True), m.linalg.matrix_norm(x, -2),
    ),
    "linalg.svdvals": lambda m, x: (m.linalg.svdvals(x), m.linalg.svdvals(x.mT[None]), m.linalg.svdvals(A=x[:, :3])),
}  # fmt: skip
OF_INTEGERS = (
    "sum", "prod", "amax", "amin", "argmax", "argmin", "max", "min", "sum over several",
    "amax over several", "amin over several",
    "sum dtype", "mean dtype", "prod dtype", "aminmax", "named", "two tensors", "all", "count_nonzero", "nansum",
)  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    converts = "dtype" in name or "softmax" in name or "vector" in name
    same_function(FUNCTIONS[name], A, rtol=1e-5 if converts else 1e-9, atol=1e-6 if converts else 1e-11)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_float32(name):
    same_function(FUNCTIONS[name], A.astype(np.float32), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 4, 3), (2, 3, 3), (0, 3), (3, 0)])
def test_singular_values_of_several_matrices(shape):
    x = RNG.standard_normal(shape)
    same_function(lambda m, x: (m.linalg.svdvals(x), m.linalg.matrix_norm(x, "nuc")), x)


def test_singular_values_that_are_zero_or_equal():
    rank_one = np.outer(np.arange(1.0, 4), np.arange(1.0, 5))
    same_function(lambda m, x: m.linalg.matrix_norm(x, 2), rank_one, twice=False)
    assert nn.linalg.matrix_norm(nn.eye(3), "nuc") == 3


def test_errors_of_singular_values():
    with pytest.raises(ValueError, match=r"svdvals: needs matrices, the tensor is \(3,\)"):
        nn.linalg.svdvals(nn.ones(3))
    with pytest.raises(ValueError, match=r"svdvals: elements of the tensor of shape \(2, 2\) are not finite"):
        nn.linalg.svdvals(nn.full((2, 2), np.nan))
    with pytest.raises(TypeError, match="svdvals: needs a floating-point tensor, got int64"):
        nn.linalg.svdvals(nn.ones(2, 2, dtype=nn.int64))
    with pytest.raises(ValueError, match=r"matrix_norm: dim must be two dimensions, got \(0,\) of \(3,\)"):
        nn.norm(nn.ones(3), "nuc")


@pytest.mark.parametrize("name", OF_INTEGERS)
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8])
def test_functions_of_integers(name, dtype):
    same_function(FUNCTIONS[name], IDS.astype(dtype))


@pytest.mark.parametrize("x", [A, IDS])
def test_functional_softmax_of_another_dtype(x):
    def function(m, x):
        f = m.functional if m is nn else m.nn.functional
        return f.softmax(x, 1, dtype=dtype(m, np.float32)), f.log_softmax(x, dim=0, dtype=dtype(m, np.float32))

    same_function(function, x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sum", "prod", "count_nonzero", "sum over several"])
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_functions_of_unsigned_integers_and_bools(name, dtype):
    same_function(FUNCTIONS[name], (IDS > 2).astype(dtype))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_extremes_of_integers_along_a_dimension(dtype):
    def function(m, x):
        return x.max(0), x.min(1), x.max(1, keepdim=True), m.max(x, -1), m.min(x, dim=0), x.max(), x.min()

    same_function(function, np.array([[1, 0, 3], [0, 2, 2]]).astype(dtype))


def test_equal_elements_share_the_gradient():
    same_function(lambda m, x: (x.amax(1), x.amin(0), x.amax(), x.aminmax(), x.aminmax(dim=1), x.amin((0, 1))), TIES)
    same_function(lambda m, x: (x.norm(np.inf, 1), x.norm(-np.inf, 0), x.abs().amax(1)), TIES, twice=False)


def test_elements_that_are_nan():
    same_function(lambda m, x: (x.nansum(), x.nansum(1), x.nanmean(), x.nanmean(0, True)), HOLES, twice=False)
    same_function(lambda m, x: (x.amax(1), x.amin(), x.aminmax(dim=0)), HOLES.astype(np.float32))


def test_three_dimensions():
    def function(m, x):
        return (
            x.sum((0, 2)), x.mean((0, -1), keepdim=True), x.amax((0, 2)), x.amin((2, 1), True), x.var((0, 2)),
            x.norm(3, (0, 2)),
            x.norm(np.inf, (0, 1)), m.linalg.matrix_norm(x), m.linalg.norm(x, 1, (0, 2)), x.norm(dim=(1, 2)), x.amax(1),
        )  # fmt: skip

    same_function(function, CUBE)


def test_a_number():
    def function(m, x):
        return (
            x.sum(0),
            x.amax(0),
            x.amin(),
            x.norm(),
            x.prod(0),
            x.aminmax(),
            x.aminmax(dim=0),
            x.norm(1, 0),
            x.norm(3),
        )

    same_function(function, np.array(2.0))


def test_the_norm_of_zeros_has_no_gradient():
    same_function(lambda m, x: (x.norm(), x.norm(3, 1), x.norm(1)), np.zeros((2, 3)), twice=False)
    same_function(lambda m, x: x.norm(2, 1), np.array([[0.0, 0.0], [3.0, 4.0]]), twice=False)


def test_distances():
    def function(m, a, b):
        return m.dist(a, b[:3]), a.dist(b[0], 3), m.dist(a, b[:1], p=1), m.dist(a, b[1], np.inf)

    same_function(function, A, B)
    for p in (2, 1, 3, 1.5, np.inf):

        def function(m, a, b, p=p):
            return m.cdist(a, b, p), m.cdist(a[None], b[None].expand(2, -1, -1), p)

        same_function(function, A, B, twice=False)
    same_function(lambda m, a, b: m.cdist(a, b), RNG.standard_normal((30, 4)), RNG.standard_normal((3, 4)), twice=False)
    same_function(lambda m, a: m.cdist(a, a, compute_mode="donot_use_mm_for_euclid_dist"), A, twice=False)


@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"])
def test_distances_twice(mode):
    def function(m, a, b):  # PyTorch's own cannot be differentiated twice
        return m.cdist(a, b, compute_mode=mode) if m is nn else (a[..., :, None, :] - b[..., None, :, :]).norm(dim=-1)

    same_function(function, A, B, rtol=1e-6)
    same_function(function, A, CUBE, rtol=1e-6)


def test_a_second_dimension_in_the_place_of_keepdim_is_refused_as_in_torch():
    for m, x in ((nn, nn.ones(2, 3)), (torch, torch.ones(2, 3))):
        for name in ("sum", "mean", "prod", "amax", "amin", "max", "min", "var", "std", "all", "any", "logsumexp"):
            with pytest.raises(TypeError):
                getattr(x, name)(0, 1)
            with pytest.raises(TypeError):
                getattr(m, name)(x, 0, 1)


REFUSED = {
    "sum": (TypeError, lambda x: x.sum(0, 1), "sum: keepdim must be a bool, got 1; several dimensions are one tuple"),
    "var": (TypeError, lambda x: x.var(0, 1), "var: unbiased must be a bool, got 1"),
    "mean": (TypeError, lambda x: x.long().mean(), "mean: needs a floating-point tensor, got int64"),
    "amax nothing": (ValueError, lambda x: x[:0].amax(0), "amax: nothing to reduce: dimension 0"),
    "amax": (ValueError, lambda x: x.amax((0, 0)), "amax: dim must name each dimension once"),
    "norm": (ValueError, lambda x: x.norm("two"), "norm: p must be a number, 'fro' or 'nuc', got 'two'"),
    "norm integers": (TypeError, lambda x: x.long().norm(), "norm: needs a floating-point tensor"),
    "matrix_norm": (ValueError, lambda x: nn.linalg.matrix_norm(x, 3), "matrix_norm: ord must be 'fro', 'nuc', 1"),
    "matrix_norm dim": (ValueError, lambda x: nn.linalg.matrix_norm(x, dim=(1,)), "dim must be two dimensions"),
    "linalg.norm": (ValueError, lambda x: nn.linalg.norm(x[None], 1), "norm: with ord but no dim needs a vector or"),
    "linalg.norm ord": (ValueError, lambda x: nn.linalg.norm(x, "fro", 1), "norm: ord 'fro' is that of a matrix"),
    "cdist": (ValueError, lambda x: nn.cdist(x, x.T), "cdist: needs rows of equal length"),
    "cdist p": (ValueError, lambda x: nn.cdist(x, x, -1), "cdist: p must not be negative"),
    "cdist mode": (ValueError, lambda x: nn.cdist(x, x, 2, "fast"), "cdist: compute_mode must be one of"),
}


@pytest.mark.parametrize(("error", "function", "message"), REFUSED.values(), ids=REFUSED)
def test_errors(error, function, message):
    with pytest.raises(error, match=message):
        function(nn.ones(2, 3))


def test_nothing_to_reduce():
    x, y = nn.ones(2, 0), torch.ones(2, 0)
    for function in (
        lambda x: x.sum(1),
        lambda x: x.prod(1),
        lambda x: x.norm(2, 1),
        lambda x: x.amax(0),
        lambda x: x.nansum(),
    ):
        agree(function(x), function(y))


def test_functions_of_numpy():
    x = nn.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert np.mean(x).item() == 2.75 and np.sum(x, axis=0).tolist() == [4.0, 7.0]
    assert np.max(x) == 5 and np.prod(x).item() == 30
