"""What takes and puts elements by index, scans, sorts, searches and counts, against PyTorch."""

import numpy as np
import pytest

import nn
from tests.nn.compare import same_function

RNG = np.random.default_rng(0)
A, B, CUBE = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4)), RNG.standard_normal((2, 3, 4))
PLACES = np.array([[2, 0, 1, 1], [0, 0, 2, 1]])
COLUMNS = np.array([[3, 0, 3], [1, 1, 2], [0, 2, 0]])
ROWS, MASK = np.array([2, 0, 2]), A > 0
IDS = RNG.integers(-9, 9, (3, 4))
HOLES = np.where(RNG.random((3, 4)) < 0.3, np.nan, A)
ZEROS = np.where(RNG.random((3, 4)) < 0.4, 0, A)
NUMBER = np.array(2.0)


def of(*arrays):
    """The values for tensors after the first: indices are made by the functions, which know the module."""
    return arrays


TAKES = {
    "index_select": lambda m, x: (
        m.index_select(x, 0, m.tensor(ROWS)), x.index_select(-1, m.tensor([3])),
        x.index_select(dim=1, index=m.tensor(1)),
    ),
    "gather": lambda m, x: (
        m.gather(x, 0, m.tensor(PLACES)), x.gather(1, m.tensor(COLUMNS)), x.gather(-1, m.tensor(COLUMNS[:2, :1])),
        x.gather(dim=0, index=m.tensor(PLACES[:, :2])),
    ),
    "take_along_dim": lambda m, x: (
        m.take_along_dim(x, m.tensor(PLACES[:1]), 0), x.take_along_dim(m.tensor(COLUMNS), dim=1),
        m.take_along_dim(x, m.tensor([5, 0, 11])), x.take_along_dim(m.tensor([[0], [3], [1]]), 1),
    ),
    "take": lambda m, x: (m.take(x, m.tensor([[0, -1], [5, 5]])), x.take(m.tensor(3))),
    "masked_select": lambda m, x: (m.masked_select(x, m.tensor(MASK)), x.masked_select(m.tensor(MASK[:1]))),
    "masked_fill": lambda m, x: (m.masked_fill(x, m.tensor(MASK), 2), x.masked_fill(m.tensor(MASK[0]), 1)),
    "index_fill": lambda m, x: (
        m.index_fill(x, 0, m.tensor(ROWS), 3), x.index_fill(1, m.tensor([-1, 1]), -2),
        x.index_fill(1, m.tensor(0), m.tensor(1)),
    ),
    "scatter number": lambda m, x: (
        m.scatter(x, 0, m.tensor(PLACES[:1]), 3), x.scatter(1, m.tensor(COLUMNS[:, :1]), value=-1),
    ),
    "repeat_interleave": lambda m, x: (
        x.repeat_interleave(m.tensor([1, 0, 2]), 0), x.repeat_interleave(m.tensor([0, 2, 1, 1]), dim=-1),
    ),
    "cumsum": lambda m, x: (m.cumsum(x, 0), x.cumsum(-1), x.cumsum(axis=1)),
    "cumprod": lambda m, x: (m.cumprod(x, 0), x.cumprod(-1), x.cumprod(dim=1)),
    "cummax": lambda m, x: (m.cummax(x, 0), x.cummin(-1), x.cummax(dim=1).values, m.cummin(x, dim=0).indices),
    "diff": lambda m, x: (
        m.diff(x), x.diff(2), x.diff(dim=0), m.diff(x, 1, 0, x[:1], x[1:]), x.diff(0),
        x.diff(prepend=x, append=x[:, :1]),
        x.diff(9),
    ),
    "sort": lambda m, x: (
        m.sort(x), x.sort(0), x.sort(0, True), m.sort(x, dim=1, descending=True, stable=True), x.sort().values,
        m.msort(x),
    ),
    "argsort": lambda m, x: (m.argsort(x), x.argsort(0, True), x.argsort(dim=1, descending=True)),
    "topk": lambda m, x: (m.topk(x, 2), x.topk(2, 0), x.topk(3, largest=False), x.topk(k=1, dim=1).indices, x.topk(0)),
    "kthvalue": lambda m, x: (m.kthvalue(x, 2), x.kthvalue(1, 0), x.kthvalue(3, dim=1, keepdim=True)),
    "median": lambda m, x: (m.median(x), x.median(1), m.median(x, dim=0, keepdim=True), x.median(0).values),
}  # fmt: skip
FLOATS = {
    "logcumsumexp": lambda m, x: (m.logcumsumexp(x, 0), x.logcumsumexp(-1)),
    "trapezoid": lambda m, x: (
        m.trapezoid(x), m.trapezoid(x, dx=0.5), m.trapezoid(x, dim=0), m.trapezoid(x, x.cumsum(1)),
        m.trapezoid(x, x[0].cumsum(0)), m.trapezoid(x, x[:, 0].cumsum(0), dim=0),
        m.cumulative_trapezoid(x), m.cumulative_trapezoid(x, x[0], dim=1), m.cumulative_trapezoid(x, dx=2, dim=0),
    ),
    "nanmedian": lambda m, x: (m.nanmedian(x), x.nanmedian(1), m.nanmedian(x, dim=0, keepdim=True)),
    "quantile": lambda m, x: (
        m.quantile(x, 0.3), x.quantile(0.6, 1), x.quantile(0.5, dim=0, keepdim=True), m.quantile(x, 0, keepdim=True),
        m.quantile(x, m.tensor([0.1, 0.5, 1]).to(x.dtype), dim=1),
        x.quantile(m.tensor([0.2, 0.3]).to(x.dtype), 0, True),
        x.quantile(m.tensor([0.25]).to(x.dtype)),
        *(x.quantile(0.4, 1, interpolation=i) for i in ("linear", "lower", "higher", "midpoint", "nearest")),
    ),
    "nanquantile": lambda m, x: (m.nanquantile(x, 0.3), x.nanquantile(0.6, 1), x.nanquantile(0.5, dim=0, keepdim=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", {**TAKES, **FLOATS})
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functions_of_floats(name, dtype):
    tolerances = {"rtol": 1e-9, "atol": 1e-11} if dtype == np.float64 else {"rtol": 1e-5, "atol": 1e-6}
    same_function({**TAKES, **FLOATS}[name], A.astype(dtype), **tolerances)


@pytest.mark.parametrize("name", TAKES)
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8])
def test_functions_of_integers(name, dtype):
    x = (RNG.permutation(12).reshape(3, 4) + 1).astype(dtype)  # of equal elements PyTorch's topk takes any
    same_function(TAKES[name] if dtype != np.uint8 or name != "index_fill" else TAKES["gather"], x)


def test_bools():
    def function(m, x):
        return (
            x.cumsum(1), x.index_select(0, m.tensor(ROWS)), x.gather(0, m.tensor(PLACES)), x.sort(1).values, x.diff(),
            x.take(m.tensor([0, -1])), x.cumprod(0), x.cummax(1).values, x.masked_select(x),
            x.argsort(dim=1, stable=True),
        )  # fmt: skip

    same_function(function, MASK)


def cut(m, s, index):
    """The part of a source that the index covers: PyTorch's gradient has its shape, even where the source is larger."""
    return s if m is nn else s[tuple(map(slice, index.shape))]


PUTS = {
    "scatter": lambda m, x, s: (
        m.scatter(x, 0, m.tensor(PLACES[:1]), cut(m, s, PLACES[:1])),
        x.scatter(1, m.tensor(COLUMNS[:, :1]), cut(m, s, COLUMNS[:, :1])),
        x.scatter(1, m.tensor(COLUMNS[:, 1:2]), src=cut(m, s, COLUMNS[:, 1:2])),
    ),
    "scatter_add": lambda m, x, s: (
        m.scatter_add(x, 0, m.tensor(PLACES), cut(m, s, PLACES)),
        x.scatter_add(1, m.tensor(COLUMNS), cut(m, s, COLUMNS)),
        x.scatter_add(dim=1, index=m.tensor(COLUMNS[:2, :1]), src=cut(m, s, COLUMNS[:2, :1])),
    ),
    "index_add": lambda m, x, s: (
        m.index_add(x, 0, m.tensor(ROWS), s), x.index_add(1, m.tensor([0, 0, 3, 1]), s, alpha=3),
        m.index_add(x, -1, m.tensor([2]), s[:, :1]),
    ),
    "index_copy": lambda m, x, s: (
        m.index_copy(x, 0, m.tensor([2, 0]), s[:2]), x.index_copy(1, m.tensor([3]), s[:, 1:2]),
    ),
    "masked_scatter": lambda m, x, s: (
        x.masked_scatter(m.tensor(MASK), s), m.masked_scatter(x, m.tensor(MASK[:1]), s),
        m.masked_scatter(x, m.tensor(MASK) & False, s),
    ),
    "where": lambda m, x, s: (m.where(m.tensor(MASK), x, s), x.where(m.tensor(MASK), s), x.where(x > 0, 0)),
    **{
        f"scatter_reduce {how}": lambda m, x, s, how=how: (
            m.scatter_reduce(x, 0, m.tensor(PLACES), cut(m, s, PLACES), how),
            x.scatter_reduce(1, m.tensor(COLUMNS), cut(m, s, COLUMNS), how, include_self=False),
            x.scatter_reduce(0, m.tensor(PLACES[:, :2]), cut(m, s, PLACES[:, :2]), reduce=how),
        )
        for how in ("sum", "prod", "mean", "amax", "amin")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUTS)
def test_functions_of_a_tensor_and_a_source(name):
    same_function(PUTS[name], A, B)
    same_function(PUTS[name], A.astype(np.float32), B.astype(np.float32), rtol=1e-5)
    for dtype in (np.int64, np.int32, np.uint8):
        x, s = (np.abs(RNG.integers(1, 9, (3, 4))).astype(dtype) for _ in range(2))
        if dtype == np.int64 or name != "where":  # 0 and uint8
            same_function(PUTS[name], x, s)


@pytest.mark.parametrize("name", PUTS)
def test_sources_and_inputs_without_a_gradient(name):
    same_function(lambda m, x: PUTS[name](m, x, m.tensor(B)), A)
    same_function(lambda m, s: PUTS[name](m, m.tensor(A), s), B)


def test_changes_in_place():
    def function(m, x, s):
        y = x * 1
        y.scatter_(0, m.tensor(PLACES[:1]), cut(m, s, PLACES[:1]))
        y.scatter_add_(1, m.tensor(COLUMNS), cut(m, s, COLUMNS))
        y.index_add_(0, m.tensor(ROWS), s, alpha=2)
        y.index_copy_(1, m.tensor([1]), s[:, :1])
        y.index_fill_(1, m.tensor([2]), 0.5)
        y.masked_fill_(m.tensor(MASK), 2)
        y.masked_scatter_(m.tensor(MASK), s)
        y.cumsum_(0).cumprod_(1)
        return y

    same_function(function, A, B)
    same_function(lambda m, x, s: (x * 1).scatter_reduce_(0, m.tensor(ROWS[:2, None]), s[:2, :1], "mean"), A, B)


def test_scatter_that_reduces():
    def function(m, x):
        places = m.tensor(PLACES)
        return x.scatter(0, places, 2, reduce="add"), m.scatter(x, 0, places, 3, reduce="multiply")

    same_function(function, A.astype(np.float32))
    same_function(function, IDS)
    x, places = nn.tensor(A, requires_grad=True), nn.tensor(PLACES)  # PyTorch has no gradient here
    for reduce, other in (("add", "sum"), ("multiply", "prod")):
        y, expected = x.scatter(0, places, x[:2], reduce=reduce), x.scatter_reduce(0, places, x[:2], other)
        assert (y == expected).all()


def test_three_dimensions():
    places = RNG.integers(0, 3, (2, 2, 4))

    def function(m, x):
        index = m.tensor(places)
        return (
            x.gather(1, index), x.scatter_add(1, index, x[:, :2]), x.index_select(1, m.tensor([2, 2])), x.cumsum(1),
            x.cumprod(1),
            x.sort(1), x.topk(2, 1), x.median(1), x.logcumsumexp(1), x.quantile(0.3, 1),
            x.index_add(1, m.tensor([0]), x[:, :1]),
            x.index_copy(1, m.tensor([1]), x[:, :1]), x.index_fill(1, m.tensor([1]), 2), x.cummax(1), x.diff(dim=1),
            x.kthvalue(2, 1), m.trapezoid(x, x[0, :, 0], dim=1), x.detach().unique(),
            x.repeat_interleave(2, 1), x.nanmedian(1),
        )  # fmt: skip

    same_function(function, CUBE)


def test_numbers():
    def function(m, x):
        i = m.tensor(0)
        return (
            x.cumsum(0), x.cumprod(-1), x.cummax(0), x.sort(), x.argsort(), x.topk(1), x.kthvalue(1), x.median(),
            x.median(0),
            x.gather(0, i), x.index_select(0, m.tensor([0])), x.take(i), x.scatter(0, i, 3.0), x.scatter_add(0, i, x),
            x.logcumsumexp(0), x.quantile(0.5), x.detach().unique(),
            m.nonzero(x), m.argwhere(x), m.nonzero(x, as_tuple=True),
        )  # fmt: skip

    same_function(function, NUMBER)


def test_products_with_zeros_twice():
    same_function(lambda m, x: (x.cumprod(0), x.cumprod(1)), ZEROS)


def test_elements_that_are_nan():
    def function(m, x):
        return (
            x.median(1).values, x.nanmedian(1).values, x.nanmedian(), x.quantile(0.3, 1), x.nanquantile(0.4, 1),
            x.sort(1).values,
            x.nanquantile(m.tensor([0.1, 0.9], dtype=x.dtype)), x.cummax(1).values, x.topk(2).values,
        )  # fmt: skip

    same_function(function, HOLES.astype(np.float32), rtol=1e-6)


def test_extremes_of_logcumsumexp():
    x = np.array([[-1e4, 0.0, 1e4, 5.0], [-np.inf, 3.0, -2.0, 700.0]])
    same_function(lambda m, x: x[1:, 1:].logcumsumexp(1), x)
    same_function(lambda m, x: x[:1].logcumsumexp(1), x, twice=False)


MODES = np.array([[2.0, 1.0, 2.0, 1.0, 3.0], [5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_])
def test_mode(dtype):
    def function(m, x):
        return m.mode(x), x.mode(0), m.mode(x, dim=1, keepdim=True), m.mode(x[None, :, :1], 1), m.mode(x[0, 0])

    same_function(function, MODES.astype(dtype))
    same_function(function, (A * 2).round())


def test_mode_of_nan():
    found = nn.mode(nn.tensor([np.nan, np.nan, 3.0]))
    assert (found.values.item(), found.indices.item()) == (3, 2)


def test_errors_of_mode():
    with pytest.raises(ValueError, match=r"mode: nothing to choose from: dimension 1 of \(2, 0\)"):
        nn.zeros(2, 0).mode(1)
    with pytest.raises(IndexError, match="mode: dim must be from -2 to 1, got 2"):
        nn.zeros(2, 2).mode(2)
    with pytest.raises(TypeError, match="mode: keepdim must be a bool, got 1"):
        nn.zeros(2, 2).mode(0, 1)


# --- without gradients ------------------------------------------------------------------------------------------------

COUNTS = {
    "nonzero": lambda m, x: (
        m.nonzero(x), x.nonzero(), m.nonzero(x, as_tuple=True), x.nonzero(as_tuple=True), m.argwhere(x), m.where(x),
        m.where(x > 1),
    ),
    "unique": lambda m, x: (
        m.unique(x), x.detach().unique(), m.unique(x, return_inverse=True), m.unique(x, return_counts=True),
        x.unique(sorted=True, return_inverse=True, return_counts=True), m.unique(x, dim=0), x.unique(dim=1),
        m.unique((x > 2).long(), return_inverse=True, return_counts=True, dim=0),
    ),
    "unique_consecutive": lambda m, x: (
        m.unique_consecutive(x), x.unique_consecutive(return_inverse=True),
        m.unique_consecutive(x, return_counts=True, dim=1),
        m.unique_consecutive(x, True, True, 0),
    ),
    "bincount": lambda m,
        x: (m.bincount(x[1]), x[1].bincount(minlength=12), m.bincount(x[0], x[1] * 0.5), x[0].bincount(x[1].double())),
    "histc": lambda m,
        x: (m.histc(x.float(), 4), x.double().histc(bins=3, min=1, max=5), m.histc(x.float() * 0, 3),
        x.float().histc()),
    "searchsorted": lambda m, x: (
        m.searchsorted(m.tensor([1, 3, 5]), x), m.searchsorted(m.tensor([1, 3, 5]), x, right=True),
        m.searchsorted(m.tensor([1, 3]), 2),
        m.searchsorted(x.sort().values, x, side="right"),
        m.searchsorted(x.float(), x.float(), sorter=x.argsort()),
        m.searchsorted(m.tensor([1.5, 3.5]), x[0].float(), out_int32=True),
    ),
    "bucketize": lambda m, x: (
        m.bucketize(x, m.tensor([1, 3, 5])), m.bucketize(x.float(), m.tensor([1.0, 3.0]), right=True),
        m.bucketize(x, m.tensor([2]), out_int32=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_counts_and_places(name):
    same_function(COUNTS[name], np.array([[0, 3, 3, 1], [3, 3, 0, 7], [3, 3, 0, 7]]))


REFUSED = {
    "gather": (IndexError, lambda x: x.gather(1, nn.tensor([[4]])), "gather: index"),
    "gather dim": (IndexError, lambda x: x.gather(2, nn.tensor([[0]])), "gather: dim must be from -2 to 1, got 2"),
    "gather dtype": (TypeError, lambda x: x.gather(0, x), "gather: index must be int64 or int32, got float32"),
    "gather list": (TypeError, lambda x: x.gather(0, [[0]]), "gather: index must be a Tensor, got list"),
    "gather sparse": (ValueError, lambda x: nn.gather(x, 0, nn.tensor([[0]]), sparse_grad=True), "not supported"),
    "index_select": (IndexError, lambda x: x.index_select(0, nn.tensor([-1])), "index_select: index"),
    "take": (IndexError, lambda x: x.take(nn.tensor([6])), "take: index must be from -6 to 5, got 6"),
    "take_along_dim": (ValueError, lambda x: x.take_along_dim(nn.tensor([0]), 0), "numbers of dimensions differ"),
    "masked_select": (TypeError, lambda x: x.masked_select(x), "masked_select: mask must be bool, got float32"),
    "masked_scatter": (ValueError, lambda x: x.masked_scatter(x > 0, x[0]), "6 true elements, source has 3"),
    "index_fill": (IndexError, lambda x: x.index_fill(0, nn.tensor([2]), 0), "index_fill: index must be from -2 to 1"),
    "scatter": (TypeError, lambda x: x.scatter(0, nn.tensor([[0]]), x.long()),
        "scatter: dtypes differ: input is float32"),
    "scatter reduce": (ValueError, lambda x: x.scatter(0, nn.tensor([[0]]), x, reduce="max"),
        "reduce must be 'add' or"),
    "scatter nothing": (TypeError, lambda x: x.scatter(0, nn.tensor([[0]])), "scatter: needs src or value"),
    "scatter_reduce": (ValueError, lambda x: x.scatter_reduce(0, nn.tensor([[0]]), x, "max"), "scatter_reduce: reduce"),
    "index_copy": (ValueError, lambda x: x.index_copy(0, nn.tensor([0]), x), r"source must have shape \(1, 3\)"),
    "cumsum": (IndexError, lambda x: x.cumsum(2), "cumsum: dim must be from -2 to 1, got 2"),
    "logcumsumexp": (TypeError, lambda x: x.long().logcumsumexp(0), "logcumsumexp: needs a floating-point tensor"),
    "diff": (ValueError, lambda x: x[0, 0].diff(), "diff: a 0-d tensor has no neighbours"),
    "diff n": (ValueError, lambda x: x.diff(-1), "diff: n must not be negative, got -1"),
    "topk": (ValueError, lambda x: x.topk(4), "topk: k must be from 0 to 3"),
    "sort": (IndexError, lambda x: x.sort(2), "sort: dim must be from -2 to 1, got 2"),
    "kthvalue": (ValueError, lambda x: x.kthvalue(0), "kthvalue: k must be from 1 to 3"),
    "quantile": (ValueError, lambda x: x.quantile(1.5),
        "quantile: q must be a number or a vector of numbers from 0 to 1"),
    "quantile integers": (TypeError, lambda x: x.long().quantile(0.5), "quantile: needs a floating-point tensor"),
    "quantile dtype": (TypeError, lambda x: x.quantile(nn.tensor(0.5).double()), "quantile: dtypes differ"),
    "quantile word": (ValueError, lambda x: x.quantile(0.5, interpolation="x"), "interpolation must be one of linear"),
    "searchsorted": (ValueError, lambda x: nn.searchsorted(x[0], x, side="x"), "side must be 'left' or 'right'"),
    "bincount": (ValueError, lambda x: x.long().bincount(), "bincount: needs a vector of numbers from 0 on"),
    "bincount floats": (TypeError, lambda x: x[0].bincount(), "bincount: needs integers, got float32"),
    "histc": (ValueError, lambda x: x.histc(0), "histc: bins must be at least 1, got 0"),
    "histc bounds": (ValueError, lambda x: x.histc(3, 2, 1), "histc: needs finite bounds, min below max"),
    "trapezoid": (ValueError, lambda x: nn.trapezoid(x, x, dx=1), "trapezoid: takes x or dx, not both"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "function", "message"), REFUSED.values(), ids=REFUSED)
def test_errors(error, function, message):
    with pytest.raises(error, match=message):
        function(nn.ones(2, 3))


def test_the_second_derivative_of_products_with_a_zero_is_refused():
    x = nn.tensor([0.0, 1.0], requires_grad=True)
    y = x.scatter_reduce(0, nn.tensor([0, 0]), nn.tensor([2.0, 3.0]), "prod").sum()
    with pytest.raises(RuntimeError, match="products with a factor of 0 can be differentiated once only"):
        nn.autograd.grad(y, x, create_graph=True)
