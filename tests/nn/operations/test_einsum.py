"""`einsum` and the products with names of their own, against PyTorch."""

import numpy as np
import pytest

import nn
from tests.nn.compare import same_function

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape)


EQUATIONS = {  # equation -> shapes of the operands
    "ij->ji": [(3, 4)],
    "ij": [(3, 4)],
    "ba": [(3, 4)],
    "Ba": [(3, 4)],
    "ij->": [(3, 4)],
    "ij->j": [(3, 4)],
    "ii->i": [(3, 3)],
    "ii": [(3, 3)],
    "iij->ji": [(3, 3, 2)],
    "iijkk->jk": [(3, 3, 2, 4, 4)],
    "...ij->...ji": [(2, 5, 3, 4)],
    "...i": [(2, 3)],
    "i...->...": [(2, 3, 4)],
    "...": [(2, 3)],
    "i...i": [(3, 4, 3)],
    "": [()],
    "->": [()],
    "i,i": [(4,), (4,)],
    "i,j": [(4,), (3,)],
    "i,j->ji": [(4,), (3,)],
    "i,i->i": [(4,), (4,)],
    ",i": [(), (3,)],
    "ij,jk": [(3, 4), (4, 5)],
    "ij,jk->ki": [(3, 4), (4, 5)],
    " i j , j k -> i k ": [(3, 4), (4, 5)],
    "ij,kj->ik": [(3, 4), (5, 4)],
    "ij,ij->": [(3, 4), (3, 4)],
    "ij,ij->i": [(3, 4), (3, 4)],
    "ij,j->ij": [(3, 4), (4,)],
    "ij,kl->ijkl": [(2, 3), (4, 5)],
    "ij,kl->k": [(2, 3), (4, 5)],
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "bij,jk->bik": [(2, 3, 4), (4, 5)],
    "bhqd,bhkd->bhqk": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "bqhd,bkhd->bhqk": [(2, 4, 3, 5), (2, 6, 3, 5)],
    "bhqk,bkhd->bqhd": [(2, 3, 4, 6), (2, 6, 3, 5)],
    "...ij,...jk->...ik": [(2, 3, 4), (5, 1, 4, 2)],
    "...ij,jk": [(2, 3, 4), (4, 2)],
    "...,...": [(2, 3), (3,)],
    "i...,i...->...": [(2, 3, 1), (2, 4)],
    "ij,ij->ij": [(3, 1), (1, 4)],
    "ij,jk->ik ": [(3, 1), (4, 5)],
    "ijk,ijl->kl": [(2, 3, 4), (2, 3, 5)],
    "ijk,jil->kl": [(2, 3, 4), (3, 2, 5)],
    "aij,bjk,ck->abci": [(2, 3, 4), (3, 4, 5), (2, 5)],
    "ij,jk,kl,lm->im": [(2, 3), (3, 4), (4, 5), (5, 2)],
    "i,i,i->i": [(3,), (3,), (3,)],
    "ij,i,j->": [(3, 4), (3,), (4,)],
    "ii,i,jj->": [(3, 3), (3,), (2, 2)],
    "bi,oij,bj->bo": [(2, 3), (4, 3, 5), (2, 5)],
    "n...d,...dm->n...m": [(2, 3, 4), (3, 4, 5)],
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    arrays = [normal(*shape) for shape in EQUATIONS[equation]]
    same_function(lambda m, *x: m.einsum(equation, *x), *arrays)
    same_function(lambda m, *x: m.einsum(equation, list(x)), *arrays, twice=False)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_of_integers(equation):
    same_function(lambda m, *x: m.einsum(equation, *x), *(RNG.integers(-5, 5, shape) for shape in EQUATIONS[equation]))


def test_einsum_is_a_view_where_nothing_is_computed():
    x = nn.zeros(3, 3)
    for equation in ("ij->ji", "ii->i", "...->..."):
        assert np.shares_memory(nn.einsum(equation, x).array, x.array)


def test_einsum_multiplies_small_pairs_first():
    """(1, n) @ (n, n) @ (n, n) from the left: no pair makes n² numbers anew."""
    a, b, c = nn.ones(1, 50, requires_grad=True), nn.ones(50, 50), nn.ones(50, 50)
    node = nn.einsum("ij,jk,kl->il", a, b, c).grad_fn
    shapes = set()
    while node is not None and hasattr(node, "saved"):
        shapes |= {s[2].shape for s in node.saved if s is not None and node.name == "matmul"}
        node = next((e for e in node.edges if e is not None), None)
    assert shapes == {(1, 50), (50, 50)}


REFUSED = {
    "count": ("ij,jk", [(2, 3)], "einsum: 'ij,jk' has 2 operands, got 1"),
    "symbols": ("i1->i", [(2, 3)], "einsum: 'i1->i' may have letters"),
    "dots": ("i..->i", [(2, 3)], "may have letters"),
    "two ellipses": ("......->...", [(2, 3)], "may have letters"),
    "two arrows": ("i->i->i", [(2,)], "may have letters"),
    "few letters": ("i->i", [(2, 3)], "einsum: 'i->i' names 1 dimensions of operand 0, it has 2"),
    "many letters": ("ijk...", [(2, 3)], "names 3 dimensions of operand 0, it has 2"),
    "result": ("ij->ik", [(2, 3)], "einsum: 'ij->ik' has 'k' in the result, but in no operand"),
    "twice": ("ij->ii", [(2, 3)], "has 'i' more than once in the result"),
    "diagonal": ("ii", [(2, 3)], "einsum: 'ii' has lengths 2 and 3 for 'i', in one operand"),
    "lengths": ("ij,jk", [(2, 3), (4, 5)], "einsum: 'ij,jk' has lengths 3 and 4 for 'j'"),
    "ellipsis": ("...,...", [(2, 3), (2, 4)], "has lengths 3 and 4 for a dimension of '...'"),
}


@pytest.mark.parametrize(("equation", "shapes", "message"), REFUSED.values(), ids=REFUSED)
def test_errors_of_einsum(equation, shapes, message):
    with pytest.raises(ValueError, match=message.replace("..", r"\.\.")):
        nn.einsum(equation, *(nn.ones(shape) for shape in shapes))


def test_einsum_does_not_convert():
    with pytest.raises(TypeError, match="einsum: dtypes differ: float32, float64"):
        nn.einsum("i,i", nn.ones(2), nn.ones(2).double())
    with pytest.raises(TypeError, match="einsum: dtypes differ: float32, int64"):
        nn.einsum("i,i", nn.ones(2), nn.ones(2).long())
    with pytest.raises(TypeError, match="einsum: expected Tensors, got list"):
        nn.einsum("i,i", nn.ones(2), [1.0, 2.0])


# --- products with names ----------------------------------------------------------------------------------------------

A, B, C, V, W = normal(3, 4), normal(4, 5), normal(3, 5), normal(4), normal(3)
X, Y, Z = normal(2, 3, 4), normal(2, 4, 5), normal(2, 3, 5)
PRODUCTS = {
    "mm": (lambda m, a, b: (m.mm(a, b), a.mm(b)), A, B),
    "bmm": (lambda m, a, b: (m.bmm(a, b), a.bmm(b)), X, Y),
    "mv": (lambda m, a, v: (m.mv(a, v), a.mv(v)), A, V),
    "dot": (lambda m, v, w: (m.dot(v, w), v.dot(w), m.vdot(v, w), m.inner(v, w)), V, V + 1),
    "inner": (lambda m, a, b: (m.inner(a, b), m.inner(a[0, 0, 0], b), a.inner(b[0])), X, A),
    "outer": (lambda m, v, w: (m.outer(v, w), v.outer(w), m.ger(w, v)), V, W),
    "addmm": (
        lambda m, c, a, b: (
            m.addmm(c, a, b), c[0].addmm(a, b, beta=2, alpha=0.5), m.addmm((c * np.nan).detach(), a, b, beta=0),
        ),
        C, A, B,
    ),
    "addmv": (lambda m, w, a, v: (m.addmv(w, a, v), w.addmv(a, v, alpha=3, beta=2)), W, A, V),
    "addr": (lambda m, a, w, v: (m.addr(a, w, v), a.addr(w, v, beta=0.5, alpha=2)), A, W, V),
    "baddbmm": (lambda m, z, x, y: (m.baddbmm(z, x, y), z[0].baddbmm(x, y, beta=2, alpha=0.5)), Z, X, Y),
    "addbmm": (lambda m, c, x, y: (m.addbmm(c, x, y), c.addbmm(x, y, beta=2, alpha=0.5)), C, X, Y),
    "tensordot": (
        lambda m, x, a: (
            m.tensordot(x, a, ([2], [1])), m.tensordot(x, a, dims=([1, 2], [0, 1])), m.tensordot(x, a.T, 1),
            m.tensordot(x, a, 2), m.tensordot(x[0], a[0], 0), m.tensordot(a, x, ([0, -1], [-2, 2])),
        ),
        X, A,
    ),
    "multi_dot": (
        lambda m, a, b, c, v, w: (
            m.linalg.multi_dot([a, b]), m.linalg.multi_dot([a, b, c.T, a]), m.linalg.multi_dot([w, a, b]),
            m.linalg.multi_dot((b.T, v)), m.linalg.multi_dot([w, a, v]),
        ),
        A, B, C, V, W,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name):
    function, *arrays = PRODUCTS[name]
    same_function(function, *arrays)
    if not name.startswith("add") and name != "baddbmm":
        same_function(function, *(RNG.integers(-5, 5, a.shape) for a in arrays))


def test_chain_matmul():
    def function(m, a, b, c):
        return m.chain_matmul(a, b, c, a) if m is nn else m.linalg.multi_dot([a, b, c, a])

    same_function(function, A, B, normal(5, 3))
    assert nn.chain_matmul(nn.ones(2, 2)).tolist() == [[1.0, 1.0], [1.0, 1.0]]


PRODUCTS_REFUSED = {
    "mm": (lambda x: nn.mm(x, x[0]), r"mm: mat2 must have 2 dimensions, got shape \(3,\)"),
    "bmm": (lambda x: nn.bmm(x[None], nn.ones(2, 3, 3)), "bmm: lengths of stacks differ"),
    "dot": (lambda x: nn.dot(x, x), "dot: input must have 1 dimensions"),
    "dot lengths": (lambda x: nn.dot(x[0], x[:, 0]), "matmul: inner dimensions differ"),
    "outer": (lambda x: nn.outer(x, x), "outer: input must have 1 dimensions"),
    "addmm": (lambda x: nn.addmm(x, x, x), "matmul: inner dimensions differ"),
    "inner": (lambda x: nn.inner(x, x[0, :2]), "inner: last dimensions differ"),
    "tensordot": (lambda x: nn.tensordot(x, x, 1), r"tensordot: lengths to sum over differ: \[3\]"),
    "tensordot dims": (lambda x: nn.tensordot(x, x, 3), "tensordot: dims must be from 0 to 2, got 3"),
    "multi_dot": (lambda x: nn.linalg.multi_dot([x, x]), "multi_dot: shapes do not fit"),
    "multi_dot one": (lambda x: nn.linalg.multi_dot([x]), "multi_dot: needs at least 2 tensors, got 1"),
    "chain_matmul": (lambda x: nn.chain_matmul(x, x), "chain_matmul: shapes do not fit"),
}


@pytest.mark.parametrize(("function", "message"), PRODUCTS_REFUSED.values(), ids=PRODUCTS_REFUSED)
def test_errors_of_products(function, message):
    with pytest.raises(ValueError, match=message):
        function(nn.ones(2, 3))


def test_dimensions_named_by_numbers():
    def function(m, a, b):
        return (
            m.einsum(a, [0, 1], b, [1, 2], [2, 0]), m.einsum(a, [30, 2], b, [2, 3]), m.einsum(a, [..., 5], [5, ...]),
            m.einsum(a, [1, 0]),
        )  # fmt: skip

    same_function(function, A, B)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None, nn.ones(2)), TypeError, "equation must be a str, got NoneType"),
        ((nn.ones(2), nn.ones(2)), TypeError, "each operand needs a list of its dimensions, got Tensor"),
        ((nn.ones(2), [52]), ValueError, r"dimensions are numbers from 0 to 51 and ..., got \[52\]"),
        ((nn.ones(2), ["i"]), ValueError, r"dimensions are numbers from 0 to 51 and ..., got \['i'\]"),
    ],
)
def test_errors_of_other_forms(arguments, error, message):
    with pytest.raises(error, match=f"einsum: {message}"):
        nn.einsum(*arguments)


def test_dimensions_of_length_1_broadcast_in_tensordot():
    def function(m, x, y):
        return (
            m.tensordot(x[:, :1], y, 1), m.tensordot(x, y[:1], 1), m.tensordot(x, x[:, :1], ([0, 1], [0, 1])),
            m.tensordot(x[:1], x[:, :1], ([0, 1], [0, 1])),
        )  # fmt: skip

    same_function(function, A, B)
