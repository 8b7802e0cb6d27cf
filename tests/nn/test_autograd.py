"""nn.autograd: gradients as functions, gradients of gradients, and operations that users define."""

import gc
import weakref

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

ONCE = {"lstm", "gru", "rnn", "lstm_cell", "gru_cell", "rnn_cell", "ctc_loss", "grid_sample", "digamma", "checkpoint"}


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


# --- grad -------------------------------------------------------------------------------------------------------------


def leaf(array, library=nn):
    return library.tensor(array, requires_grad=True)


def test_grad_of_leaves_and_results():
    found = []
    for library in (nn, torch):
        x, y = leaf(A, library), leaf(B, library)
        h = x * y
        z, w = (h * h).sum(), (h.exp() + x).sum(1)
        dys = [library.tensor(v) for v in (2.0 * np.ones(()), ROW[:3])]
        found.append(library.autograd.grad((z, w), (x, h, y, x), dys))
        assert x.grad is None and y.grad is None
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs)


def test_grad_with_respect_to_a_result_stops_there():
    x = leaf(A)
    h = x * x
    calls = []
    x.register_hook(lambda g: calls.append(g))
    (g,) = nn.autograd.grad((h * h).sum(), h)
    np.testing.assert_allclose(g.array, 2 * A * A)
    assert not calls
    np.testing.assert_allclose(nn.autograd.grad(h.sum(), x)[0].array, 2 * A)  # the graph before h was not freed


def test_grad_with_respect_to_an_output_itself():
    x = leaf(A)
    y = x * 2
    np.testing.assert_array_equal(nn.autograd.grad(y, y, nn.tensor(B))[0].array, B)
    np.testing.assert_array_equal(nn.autograd.grad(x, x, nn.tensor(B))[0].array, B)


def test_unused_inputs():
    x, unused = leaf(A), leaf(B)
    with pytest.raises(RuntimeError, match="grad: no output depends on input 1; allow_unused=True returns None for it"):
        nn.autograd.grad((x * x).sum(), (x, unused))
    assert nn.autograd.grad((x * x).sum(), (x, unused), allow_unused=True)[1] is None
    zeros = nn.autograd.grad((x * x).sum(), (x, unused), materialize_grads=True)[1]
    assert zeros.array.tolist() == np.zeros((3, 4)).tolist() and zeros.dtype == np.float64
    for options in ({"only_inputs": False}, {"is_grads_batched": True}):
        with pytest.raises(ValueError, match="grad: needs only_inputs=True and is_grads_batched=False"):
            nn.autograd.grad(nn.ones(1, requires_grad=True).sum(), [], **options)
    with pytest.raises(ValueError, match="materialize_grads=True needs allow_unused=True or None, got False"):
        nn.autograd.grad((x * x).sum(), x, allow_unused=False, materialize_grads=True)
    with pytest.raises(RuntimeError, match="grad: input 0 does not require a gradient"):
        nn.autograd.grad((x * x).sum(), nn.ones(2))


def test_grad_frees_the_graph_unless_it_is_retained():
    x = leaf(A)
    y = (x.exp() * x).sum()
    first = nn.autograd.grad(y, x, retain_graph=True)[0].array
    np.testing.assert_array_equal(nn.autograd.grad(y, x, create_graph=True)[0].array, first)  # retains by default
    np.testing.assert_array_equal(nn.autograd.grad(y, x, create_graph=True, retain_graph=False)[0].array, first)
    for call in (lambda: nn.autograd.grad(y, x), y.backward):
        with pytest.raises(RuntimeError, match="backward: the graph was freed by an earlier backward"):
            call()


def test_errors_of_grad():
    x = leaf(A)
    with pytest.raises(RuntimeError, match=r"grad: a tensor of shape \(3, 4\) is not a scalar; pass its gradient"):
        nn.autograd.grad(x * x, x)
    with pytest.raises(ValueError, match=r"grad: shapes differ: the tensor is \(3, 4\), its gradient \(4,\)"):
        nn.autograd.grad(x * x, x, nn.ones(4, dtype=np.float64))
    with pytest.raises(TypeError, match="grad: dtypes differ: the tensor is float64, its gradient float32"):
        nn.autograd.grad(x * x, x, nn.ones(3, 4))
    with pytest.raises(ValueError, match="grad: expected a gradient for each of 2 outputs, got 1"):
        nn.autograd.grad((x.sum(), x.mean()), x, [None])
    with pytest.raises(RuntimeError, match="grad: the tensor neither requires a gradient nor was computed"):
        nn.autograd.grad(nn.ones(()), x)


def test_a_change_between_the_first_and_the_second_gradient_raises():
    x, w = leaf(A), leaf(B.T.copy())
    (g,) = nn.autograd.grad(nn.functional.gelu(x @ w).sum(), x, create_graph=True)
    with nn.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="was changed in place since"):
        g.sum().backward()


# --- backward ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Using backward")
def test_backward_with_inputs_and_create_graph():
    found = []
    for library in (nn, torch):
        x, y = leaf(A, library), leaf(B, library)
        h = x * y
        (h**3).sum().backward(inputs=[x], create_graph=True)
        assert y.grad is None
        (x.grad * h).sum().backward(inputs=(y,), retain_graph=True)
        (h.exp()).sum().backward(inputs=x)  # added to what was recorded
        found.append([x.grad, y.grad])
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs)
    assert found[0][0].requires_grad


@pytest.mark.filterwarnings("ignore:Using backward")
def test_backward_with_create_graph_accumulates():
    found = []
    for library in (nn, torch):
        x = leaf(A, library)
        for _ in range(2):
            (x**3).sum().backward(create_graph=True)
        g, x.grad = x.grad, None
        (g * g).sum().backward()
        found.append((g, x.grad))
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs)


def test_backward_of_several_tensors():
    found = []
    for library in (nn, torch):
        x = leaf(A, library)
        h = x * x
        library.autograd.backward([h.sum(), h], [None, library.tensor(B)])
        found.append(x.grad)
    agree(*found)


def test_operations_that_can_be_differentiated_once_say_so():
    x = nn.randn(2, 3, 4, requires_grad=True)
    y, _ = nn.LSTM(4, 5)(x)
    with pytest.raises(RuntimeError, match="lstm can be differentiated once only; create_graph=True needs its second"):
        y.sum().backward(create_graph=True)
    assert x.grad is None
    w = nn.ones(3, 2, requires_grad=True)
    y = nn.functional.embedding_bag(np.array([[0, 1, 1]]), w, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="embedding_bag can be differentiated once only"):
        nn.autograd.grad(y.sum(), w, create_graph=True)
    for name in sorted(ONCE | {"embedding_bag", "once_differentiable"}):
        assert f"`{name}`" in nn.autograd.__doc__


# --- hooks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks(create_graph):
    found = []
    for library in (nn, torch):
        x, seen = leaf(A, library), []
        h = x * x
        h.register_hook(lambda g, seen=seen: seen.append(g))
        h.register_hook(lambda g: g * 3)
        h.retain_grad()
        x.register_hook(lambda g: g + 1)
        y = (h**2).sum()
        (g,) = library.autograd.grad(y, x, create_graph=create_graph, retain_graph=True)
        assert seen[0].requires_grad == create_graph
        results = [g, seen[0]]
        if create_graph:
            results += library.autograd.grad(g.sum(), x)
        found.append(results)
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs)


# Hooks by what they make of the gradient g of a tensor t, which is nonlinear in g or depends on t, or both.
HOOKS = {
    "square": lambda library: lambda t: lambda g: g * g,
    "times the tensor": lambda library: lambda t: lambda g: g * t,
    "of both": lambda library: lambda t: lambda g: library.tanh(g) * library.exp(t) + g**3,
    "clipped": lambda library: lambda t: lambda g: g.clamp(-1, 1),
    "normalised": lambda library: lambda t: lambda g: g / (g * g).sum().sqrt(),
    "cut off": lambda library: lambda t: lambda g: g.detach() * 2,
    "nothing": lambda library: lambda t: lambda g: None,
}


@pytest.mark.parametrize("of", ["leaf", "result", "both"])
@pytest.mark.parametrize("name", HOOKS)
def test_second_derivatives_through_a_hook(name, of):
    found = []
    for library in (nn, torch):
        x, w = leaf(A, library), leaf(B, library)
        h = library.tanh(x * w) * 2
        hook = HOOKS[name](library)
        for t in {"leaf": (x,), "result": (h,), "both": (x, h)}[of]:
            t.register_hook(hook(t))
        y = (h**3).sum() + (x * h).sum()
        gradients = library.autograd.grad(y, (x, w), create_graph=True)
        loss = sum((g * g).sum() for g in gradients)
        found.append([*gradients, *library.autograd.grad(loss, (x, w))])
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs)


@pytest.mark.filterwarnings("ignore:Using backward")  # create_graph=True keeps the gradient alive
def test_backward_through_a_hook_twice():
    found = []
    for library in (nn, torch):
        x = leaf(A, library)
        h = library.exp(x)
        handle = h.register_hook(lambda g, h=h: g * h)
        (h**2).sum().backward(create_graph=True)
        first = x.grad
        handle.remove()  # the first gradient keeps what the hook did; the second goes without it
        (second,) = library.autograd.grad((first**2).sum(), x)
        found.append([first, second])
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs)


# --- Function ---------------------------------------------------------------------------------------------------------


def functions(library):
    """The same Functions of both libraries."""

    class Product(library.autograd.Function):
        """Saves inputs and an output; several outputs, one of them without a gradient."""

        @staticmethod
        def forward(ctx, x, y, power):
            z = x * y
            mask = z > 0
            ctx.save_for_backward(x, z, y)
            ctx.power = power
            ctx.mark_non_differentiable(mask)
            return z, z**power, mask

        @staticmethod
        def backward(ctx, dz, dp, dmask):
            x, z, y = ctx.saved_tensors
            dz = dz + dp * ctx.power * z ** (ctx.power - 1)
            return dz * y if ctx.needs_input_grad[0] else None, dz * x if ctx.needs_input_grad[1] else None, None

    class Cube(library.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return 3 * x * x * dy

    return Product, Cube


@pytest.mark.parametrize("used", ["first", "second", "both"])
def test_function(used):
    found = []
    for library in (nn, torch):
        Product, Cube = functions(library)
        x, y = leaf(A, library), leaf(B, library)
        z, p, mask = Product.apply(x * 1, y, 3)
        assert not mask.requires_grad
        chosen = {"first": z, "second": p, "both": z * p}[used]
        first = library.autograd.grad(Cube.apply(chosen).sum(), (x, y), create_graph=True)
        second = library.autograd.grad((first[0] * first[1]).sum(), (x, y))
        found.append([z, p, *first, *second])
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs, 1e-9)


def test_function_without_materialized_gradients():
    seen = []

    class Pair(nn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, da, db):
            seen.append((da, db))
            return da

    x = leaf(A)
    Pair.apply(x)[0].sum().backward()
    assert seen[0][1] is None
    np.testing.assert_array_equal(x.grad.array, np.ones((3, 4)))


def test_function_of_a_constant_and_under_no_grad():
    _, Cube = functions(nn)
    assert not Cube.apply(nn.tensor(A)).requires_grad
    with nn.no_grad():
        assert not Cube.apply(leaf(A)).requires_grad


def test_errors_of_functions():
    class Once(nn.autograd.Function):
        @staticmethod
        def forward(ctx, x, number):
            return x * number

        @staticmethod
        @nn.autograd.once_differentiable
        def backward(ctx, dy):
            return dy * 2, None

    x = leaf(A)
    assert nn.autograd.grad(Once.apply(x, 2).sum(), x)[0].array[0, 0] == 2
    with pytest.raises(RuntimeError, match="Once can be differentiated once only"):
        nn.autograd.grad(Once.apply(x, 2).sum(), x, create_graph=True)

    class Wrong(Once):
        @staticmethod
        def backward(ctx, dy):
            return ctx.result

    class Short(Once):
        @staticmethod
        def backward(ctx, dy):
            return dy

    with pytest.raises(RuntimeError, match="Short: backward returned 1 gradients for 2 arguments"):
        Short.apply(x, 2).sum().backward()
    with pytest.raises(AttributeError, match="result"):
        Wrong.apply(x, 2).sum().backward()
    with pytest.raises(TypeError, match="Broken: forward must return Tensors, got int"):
        type("Broken", (Once,), {"forward": staticmethod(lambda ctx, x: 1)}).apply(x)


def test_a_function_releases_its_memory():
    Product, _ = functions(nn)
    x = leaf(A)
    z, p, _ = Product.apply(x * 1, x, 2)
    references = [weakref.ref(t) for t in (z, p, z.grad_fn, p.grad_fn)]
    del z, p
    assert [r() for r in references] == [None] * 4


# --- modes and memory -------------------------------------------------------------------------------------------------


def test_inference_mode():
    x = leaf(A)
    with nn.inference_mode():
        y = x * x
        with nn.inference_mode(False):
            z = x * x
        assert not nn.is_grad_enabled()
    assert not y.requires_grad and z.requires_grad and nn.is_grad_enabled()

    @nn.inference_mode()
    def squared(x):
        return x * x

    assert not squared(x).requires_grad


def test_gradients_of_gradients_under_no_grad_are_recorded():
    x = leaf(A)
    y = (x**3).sum()
    with nn.no_grad():
        (g,) = nn.autograd.grad(y, x, create_graph=True)
    assert g.requires_grad


def test_memory_of_gradients_of_gradients_is_released():
    gc.collect()
    gc.disable()
    try:
        x, w = leaf(A), leaf(B.T.copy())
        y = nn.functional.gelu(x @ w).sum()
        (g,) = nn.autograd.grad(y, x, create_graph=True)
        loss = (g * g).sum()
        references = [weakref.ref(t) for t in (y, y.grad_fn, g, g.grad_fn, loss, loss.grad_fn)]
        loss.backward()
        del y, g, loss
        assert [r() for r in references] == [None] * 6  # without the garbage collector: there is no cycle
    finally:
        gc.enable()


# --- what gradients of gradients are for ------------------------------------------------------------------------------


def of_torch(model, like):
    """Load the parameters of a model of PyTorch."""
    model.load_state_dict({name: t.numpy() for name, t in like.state_dict().items()})
    return model


def critic(layers):
    return layers.Sequential(
        layers.Conv2d(1, 4, 4, 2, 1),
        layers.LeakyReLU(0.2),
        layers.Conv2d(4, 8, 4, 2, 1),
        layers.LayerNorm([8, 2, 2]),
        layers.SiLU(),
        layers.Flatten(),
        layers.Linear(32, 1),
    )


def test_a_step_of_a_wasserstein_gan_with_gradient_penalty():
    """Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), algorithm 1."""
    torch.manual_seed(0)
    theirs = critic(torch.nn).double()
    ours = of_torch(critic(nn).double(), theirs)
    real, fake, share = RNG.standard_normal((5, 1, 8, 8)), RNG.standard_normal((5, 1, 8, 8)), RNG.random((5, 1, 1, 1))
    losses = []
    for library, model in ((nn, ours), (torch, theirs)):
        optimizer = library.optim.Adam(model.parameters(), lr=1e-3, betas=(0.0, 0.9))
        for _ in range(3):
            mixed = library.tensor(share * real + (1 - share) * fake, requires_grad=True)
            (g,) = library.autograd.grad(model(mixed).sum(), mixed, create_graph=True)
            penalty = ((g.flatten(1) ** 2).sum(1).sqrt() - 1) ** 2
            loss = model(library.tensor(fake)).mean() - model(library.tensor(real)).mean() + 10 * penalty.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(losses[:3], losses[3:], rtol=1e-10)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-8, atol=1e-12)


def test_a_step_of_model_agnostic_meta_learning():
    """Finn et al., "Model-Agnostic Meta-Learning" (2017), algorithm 2: the gradient through two inner steps."""
    tasks = [(RNG.standard_normal((10, 1)), RNG.standard_normal((10, 1))) for _ in range(3)]
    weights = [RNG.standard_normal(shape) * 0.5 for shape in ((8, 1), (8,), (8, 8), (8,), (1, 8), (1,))]
    found = []
    for library, functions in ((nn, nn.functional), (torch, torch.nn.functional)):
        parameters = [library.tensor(w, requires_grad=True) for w in weights]

        def model(x, p, functions=functions):
            h = functions.gelu(functions.linear(x, p[0], p[1]))
            return functions.linear(functions.linear(h, p[2], p[3]).relu(), p[4], p[5])

        total = 0
        for x, y in tasks:
            x, y = library.tensor(x), library.tensor(y)
            adapted = parameters
            for _ in range(2):
                loss = functions.mse_loss(model(x[:5], adapted), y[:5])
                gradients = library.autograd.grad(loss, adapted, create_graph=True)
                adapted = [p - 0.1 * g for p, g in zip(adapted, gradients, strict=True)]
            total = total + functions.mse_loss(model(x[5:], adapted), y[5:])
        total.backward()
        found.append([total.detach(), *(p.grad for p in parameters)])
    for ours, theirs in zip(*found, strict=True):
        agree(ours, theirs, 1e-9)


def test_a_physics_informed_network_has_pytorchs_loss_and_gradients():
    """The residual of the heat equation u_t = u_xx, as in Raissi et al. (2019), equation 2."""
    torch.manual_seed(0)

    def network(layers):
        return layers.Sequential(
            layers.Linear(2, 16), layers.Tanh(), layers.Linear(16, 16), layers.Tanh(), layers.Linear(16, 1)
        )

    theirs = network(torch.nn).double()
    ours = of_torch(network(nn).double(), theirs)
    points, losses = RNG.random((2, 20, 1)), []
    for library, model in ((nn, ours), (torch, theirs)):
        x, t = (library.tensor(p, requires_grad=True) for p in points)
        u = model(library.cat([x, t], 1))
        u_x, u_t = library.autograd.grad(u.sum(), (x, t), create_graph=True)
        (u_xx,) = library.autograd.grad(u_x.sum(), x, create_graph=True)
        loss = ((u_t - u_xx) ** 2).mean()
        loss.backward()
        losses.append(loss.item())
    np.testing.assert_allclose(*losses, rtol=1e-10)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(p.grad, q.grad, 1e-8, 1e-10)  # of the last bias None: the residual does not depend on it
