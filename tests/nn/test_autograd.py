"""nn.autograd: gradients as functions, gradients of gradients, and operations that users define."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_twice
from tests.nn.test_in_place import CASES, Fixed

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
ROW, COLUMN, SCALAR = RNG.standard_normal(4), RNG.standard_normal((3, 1)), RNG.standard_normal(())
CUBE, POSITIVE = RNG.standard_normal((2, 3, 4)), np.abs(A) + 0.1
TIES = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.0, -1.0, 0.0]])
ZEROS = np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 2.0], [4.0, 5.0, 6.0]])
PICK = np.array([2, 0, 2, 2])

# --- the operations of nn.operations ----------------------------------------------------------------------------------


def library(x):
    return nn if isinstance(x, nn.Tensor) else torch


def changed(x, index, value):
    x = x.clone()
    x[index] = value
    return x


def added_in_place(x):
    """Changes of views of a result, one of them by itself."""
    y = x * x
    y[0] *= x[1]
    y[:, 1:3].add_(x[:, 2:4] * x[:, 0:2])
    y.T[0] += 1
    return y * y


def split_with_unused_parts(x):
    a, b, c = x.split([1, 2, 1], 1)
    return (a * c).exp()


TWICE = {
    "sum of products": (lambda a, b: a * b + a - b * b, A, B),
    "broadcast": (lambda a, b, c: a * b / (c * c + 1) - c, A, ROW, COLUMN),
    "scalars": (lambda a, s: (2 - a) * s / (3 + s * s) * 2 - -a, A, SCALAR),
    "quotient": (lambda a, b: a / b, A, POSITIVE),
    "quotient by itself": (lambda a: a / a * a, A),
    "abs at 0": (lambda a: abs(a) * a, ZEROS - 1),
    "maximum of ties": (lambda a, b: library(a).maximum(a * a, b * b), A, np.where(A > 0, A, B)),
    "minimum of ties": (lambda a, b: library(a).minimum(a * a, b * b), A, np.where(A > 0, -A, B)),
    "matrices": (lambda a, b: a @ b, A, B.T),
    "vectors": (lambda a, b: a @ b, ROW, B[0]),
    "matrix and vector": (lambda a, b: a @ b, A, ROW),
    "vector and matrix": (lambda a, b: a @ b, ROW, B.T),
    "stacks": (lambda a, b: a @ b, CUBE, RNG.standard_normal((2, 4, 5))),
    "broadcast stacks": (lambda a, b: a @ b, RNG.standard_normal((2, 1, 3, 4)), RNG.standard_normal((5, 4, 2))),
    "stack and matrix": (lambda a, b: a @ b, CUBE, B.T),
    "stack and vector": (lambda a, b: a @ b, CUBE, ROW),
    "vector and stack": (lambda a, b: a @ b, ROW, RNG.standard_normal((2, 4, 5))),
    "matrix with itself": (lambda a: a @ a.T, A),
    "cube": (lambda a: a**3, A),
    "square at 0": (lambda a: a**2, ZEROS),
    "power 1 at 0": (lambda a: a**1, ZEROS),
    "power 0": (lambda a: a**0 * a, ZEROS),
    "power of tensors": (lambda a, b: a**b, POSITIVE, B),
    "power of a number": (lambda a: 2**a, A),
    "root": (lambda a: a**0.5, POSITIVE),
    "inverse power": (lambda a: a**-2, A),
    "exp": (lambda a: a.exp(), A),
    "log": (lambda a: a.log(), POSITIVE),
    "sqrt": (lambda a: a.sqrt(), POSITIVE),
    "relu": (lambda a: a.relu() * a, ZEROS - 1),
    "sigmoid": (lambda a: a.sigmoid(), A),
    "tanh": (lambda a: a.tanh(), A),
    "clamp": (lambda a: (a * a).clamp(0.2, 1.0), A),
    "clamp at the bounds": (lambda a: (a * a).clamp(1.0, 9.0), ZEROS),
    "clamp by tensors": (lambda a, b, c: (a * a).clamp(b * b, c * c), A, B, A + B),
    "where": (lambda a, b: library(a).where(a > 0, a * b, b * b), A, B),
    "masked_fill": (lambda a, s: (a * a).masked_fill(a > 0, s * s) if isinstance(a, torch.Tensor) else
                    (a * a).masked_fill(a.detach() > 0, s * s), A, SCALAR),
    "sum": (lambda a: (a * a).sum(1) * a.sum(), A),
    "sum over several": (lambda a: (a * a).sum((0, 2), keepdim=True) ** 2, CUBE),
    "mean": (lambda a: a.mean(0) * (a * a).mean(), A),
    "var": (lambda a: a.var(1), A),
    "var of all, uncorrected": (lambda a: a.var(correction=0, keepdim=True) * a, CUBE),
    "std": (lambda a: a.std((0, 2)), CUBE),
    "max of all with ties": (lambda a: (a * a).max(), TIES),
    "max with ties": (lambda a: (a * a).max(1)[0], TIES),
    "max kept": (lambda a: (a * a).max(0, keepdim=True)[0] * a, A),
    "min": (lambda a: (a * a).min(1)[0] * (a * a).min(), A),
    "prod": (lambda a: a.prod(), A[:2, :3]),
    "prod of zeros": (lambda a: a.prod(1), ZEROS),
    "prod of zeros, kept": (lambda a: a.prod(0, keepdim=True), ZEROS),
    "prod of a cube": (lambda a: a.prod(1), CUBE),
    "logsumexp": (lambda a: a.logsumexp(1), A),
    "logsumexp over several": (lambda a: a.logsumexp((0, 2), keepdim=True), CUBE),
    "softmax": (lambda a: a.softmax(1), A),
    "log_softmax": (lambda a: a.log_softmax(0), A),
    "shapes": (lambda a: a.reshape(2, 6).unsqueeze(1).squeeze(1).flatten() ** 2, A),
    "orders": (lambda a: a.permute(2, 0, 1).transpose(0, 1)[0].T ** 3, CUBE),
    "expand": (lambda a: a.expand(2, 3, 4) ** 2, COLUMN * np.ones(4)),
    "expand ones": (lambda a: a.expand(3, 4) ** 3, COLUMN),
    "split": (split_with_unused_parts, A),
    "chunk": (lambda a: a.chunk(2, 1)[1] ** 3, A),
    "unbind": (lambda a: a.unbind(1)[2] * a.unbind(0)[1][0], A),
    "cat": (lambda a, b: library(a).cat([a * b, a], 1) ** 2, A, B),
    "stack": (lambda a, b: library(a).stack([a * b, a], 1) ** 2, A, B),
    "view": (lambda a: a[1:, ::2] ** 3, A),
    "repeated indices": (lambda a: a[PICK] ** 3, A),
    "pairs of indices": (lambda a: a[PICK, [1, 1, 1, 0]] ** 3, A),
    "mask": (lambda a: a[library(a).tensor(POSITIVE > 0.5)] ** 3, A),
    "int and indices": (lambda a: a[1, :, PICK] ** 3, CUBE),
    "set a slice": (lambda a, b: changed(a * a, slice(0, 2), (b * b)[:1]), A, B),
    "set a row": (lambda a, b: changed(a * a, 1, b * b), A, ROW),
    "set at indices": (lambda a, b: changed(a * a, [0, 2], b[:2] * b[1:]), A, B),
    "set a column at indices": (lambda a, b: changed(a * a, (slice(None), [0, 3]), b * b), A, COLUMN),
    "set a number": (lambda a: changed(a * a, (1, slice(1, 3)), 7.0) * a, A),
    "in place on views": (added_in_place, A),
    "clone": (lambda a: a.clone() * a, A),
    "double": (lambda a: a.double() ** 2, A),
}  # fmt: skip


@pytest.mark.parametrize("case", TWICE.values(), ids=TWICE)
def test_second_derivatives(case):
    same_twice(*case)


def test_second_derivatives_of_conversions():
    x = nn.tensor(A, requires_grad=True)
    (first,) = nn.autograd.grad((x.float() ** 3).sum(), x, create_graph=True)
    (second,) = nn.autograd.grad(first.sum(), x)
    assert first.dtype == second.dtype == np.float64
    np.testing.assert_allclose(second.array, 6 * A, rtol=1e-6)


def test_powers_of_zero_have_finite_gradients_of_gradients():
    x, y = nn.tensor([0.0, 0.0, 0.0], requires_grad=True), nn.tensor([2.0, 3.5, 1.0], requires_grad=True)
    first = nn.autograd.grad((x**y).sum(), (x, y), create_graph=True)
    second = nn.autograd.grad(first[0].sum() + first[1].sum(), (x, y))
    assert [g.tolist() for g in first] == [[0, 0, 1], [0, 0, 0]]
    assert second[0].tolist() == [2, 0, 0]
    assert second[1].tolist()[:2] == [0, 0]


def test_std_of_constants_has_no_second_gradient():
    x = nn.tensor(np.full(4, 3.0), requires_grad=True)
    (first,) = nn.autograd.grad(x.std(), x, create_graph=True)
    (second,) = nn.autograd.grad(first.sum(), x)
    assert first.tolist() == second.tolist() == [0.0] * 4


# --- everything that is recorded --------------------------------------------------------------------------------------

ONCE = {"lstm", "gru", "rnn", "lstm_cell", "gru_cell", "rnn_cell"}


def tensors(arrays):
    return [
        nn.tensor(a.array) if isinstance(a, Fixed) else nn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays
    ]


def seeded(function):
    """The function, whose random numbers are the same at each call."""

    def call(*inputs):
        nn.manual_seed(0)
        return function(*inputs)

    return call


def floats(results):
    results = results if isinstance(results, tuple) else (results,)
    return [y for y in results if isinstance(y, nn.Tensor) and y.requires_grad]


@pytest.mark.parametrize(("name", "function", "arrays"), [case for case in CASES if case.values[0] != "to"])
def test_gradients_of_gradients_of_every_operation(name, function, arrays):
    inputs, function = tensors(arrays), seeded(function)
    leaves = [x for x in inputs if x.requires_grad]
    outputs = floats(function(*inputs))
    dys = [nn.tensor(np.random.default_rng(i).standard_normal(y.shape)) for i, y in enumerate(outputs)]
    first = nn.autograd.grad(outputs, leaves, dys, materialize_grads=True)
    outputs = floats(function(*inputs))
    if name in ONCE:
        with pytest.raises(RuntimeError, match=f"backward: {name} can be differentiated once only"):
            nn.autograd.grad(outputs, leaves, dys, create_graph=True)
        return
    recorded = nn.autograd.grad(outputs, leaves, dys, create_graph=True, materialize_grads=True)
    for a, b in zip(first, recorded, strict=True):
        np.testing.assert_allclose(b.array, a.array, rtol=1e-9, atol=1e-11)
    assert nn.gradgradcheck(function, inputs)


# --- nn.autograd.functional -------------------------------------------------------------------------------------------


def paired(ours, theirs):
    """Assert that nested tuples of tensors agree."""
    if isinstance(theirs, tuple):
        assert isinstance(ours, tuple)
        for a, b in zip(ours, theirs, strict=True):
            paired(a, b)
    else:
        agree(ours, theirs, 1e-9)


def one(x):
    return x**3 * x.sum()


def two(x, y):
    return (x * y).exp().sum(1), (x.tanh() * 2).sum() * y


def scalar(x, y):
    return (x**2 * y).sum() * x.exp().sum() + y.sum() ** 3


def first_only(x, y):
    return (x**3).sum()


X, Y = A[:2, :3], B[:2, :3]
FUNCTIONAL = {
    "vjp": [(one, (X,), (Y,)), (two, (X, Y), (A[0, :2], B[1:, :3])), (first_only, (X, Y), None)],
    "jvp": [(one, (X,), (Y,)), (two, (X, Y), (Y, X)), (first_only, (X, Y), (X, Y))],
    "jacobian": [(one, (X,), ()), (two, (X, Y), ()), (first_only, (X, Y), ())],
    "hessian": [(lambda x: (x**3).prod(), (X,), ()), (scalar, (X, Y), ()), (first_only, (X, Y), ())],
    "vhp": [(lambda x: (x**3).prod(), (X,), (Y,)), (scalar, (X, Y), (Y, X)), (first_only, (X, Y), (X, Y))],
    "hvp": [(lambda x: (x**3).prod(), (X,), (Y,)), (scalar, (X, Y), (Y, X)), (first_only, (X, Y), (X, Y))],
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in FUNCTIONAL.items() for case in cases])
def test_functional(name, case, create_graph):
    function, inputs, vectors = case
    found = []
    for library in (nn, torch):
        xs = tuple(library.tensor(x, requires_grad=create_graph) for x in inputs)
        vs = [] if vectors == () else [vectors and tuple(library.tensor(v) for v in vectors)]
        if len(xs) == 1:
            xs, vs = xs[0], [v[0] for v in vs]
        result = getattr(library.autograd.functional, name)(function, xs, *vs, create_graph=create_graph)
        found.append((result, xs))
    (ours, xs), (theirs, their_xs) = found
    paired(ours, theirs)
    flat = list(leaves_of(ours))
    assert any(t.requires_grad for t in flat) == create_graph
    if create_graph:
        xs, their_xs = (t if isinstance(t, tuple) else (t,) for t in (xs, their_xs))
        sum((t**2).sum() for t in flat).backward()
        sum((t**2).sum() for t in leaves_of(theirs)).backward()
        for x, t in zip(xs, their_xs, strict=True):
            agree(x.grad, t.grad, 1e-8, 1e-10)
    else:
        assert all(x.grad is None for x in (xs if isinstance(xs, tuple) else (xs,)))


def leaves_of(nest):
    if isinstance(nest, tuple):
        for each in nest:
            yield from leaves_of(each)
    else:
        yield nest


def test_errors_of_functional():
    functional, x = nn.autograd.functional, nn.tensor(X)
    for name in ("vjp", "jvp", "jacobian"):
        with pytest.raises(RuntimeError, match=f"{name}: output 0 does not depend on the inputs"):
            getattr(functional, name)(lambda x: nn.ones(()), nn.tensor(1.0), strict=True)
    with pytest.raises(RuntimeError, match="jacobian: no output depends on input 1"):
        functional.jacobian(first_only, (x, x), strict=True)
    with pytest.raises(RuntimeError, match="vjp: v may be left out for a single output of one element only"):
        functional.vjp(one, x)
    with pytest.raises(ValueError, match=r"jvp: v must have the shapes of the inputs, \(\(2, 3\),\), got \(\(3,\),\)"):
        functional.jvp(one, x, nn.ones(3))
    with pytest.raises(RuntimeError, match=r"hessian: the function must return a tensor of one element, it returned"):
        functional.hessian(one, x)
    with pytest.raises(RuntimeError, match="hvp: the function must return one tensor, it returned a tuple of 2"):
        functional.hvp(two, (x, x), (x, x))
    with pytest.raises(TypeError, match="vjp: inputs must be Tensors, got float"):
        functional.vjp(one, 1.0)
    with pytest.raises(TypeError, match="vjp: the function must return Tensors, got float"):
        functional.vjp(lambda x: 1.0, x)
    with pytest.raises(ValueError, match="jacobian: strategy must be 'reverse-mode' or 'forward-mode', got 'sideways'"):
        functional.jacobian(one, x, strategy="sideways")
    assert functional.jacobian(one, x, vectorize=True, strategy="forward-mode").shape == (2, 3, 2, 3)
