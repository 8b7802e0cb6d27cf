"""Every function of nn.functional against torch.nn.functional: values, gradients, argument order, errors."""

import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import kernels
import nn
import nn.functional as F
from tests.nn.compare import same_as_torch

RNG = np.random.default_rng(0)
X = np.round(RNG.standard_normal((6, 4)) * 2, 1)
CUBE = RNG.standard_normal((2, 6, 3))


# --- affine and activations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leading", [(), (6,), (2, 3), (0,)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(leading, bias):
    arrays = [RNG.standard_normal(shape) for shape in ((*leading, 5), (3, 5), *([(3,)] if bias else []))]
    same_as_torch(F.linear, *arrays, reference=T.linear)


def test_linear_computes_only_what_is_needed(monkeypatch):
    asked = []

    def linear_backward(dy, x, weight, *, needs):
        asked.append(needs)
        return original(dy, x, weight, needs=needs)

    original = kernels.linear_backward
    monkeypatch.setattr(kernels, "linear_backward", linear_backward)
    x, w, b = nn.ones(2, 3), nn.ones(4, 3, requires_grad=True), nn.ones(4, requires_grad=True)
    F.linear(x, w, b).sum().backward()
    F.linear(x.requires_grad_(), w).sum().backward()
    w.requires_grad_(False)
    F.linear(x, w, b).sum().backward()
    assert asked == [(False, True, True), (True, True, False), (True, False, True)]


def test_matmul_computes_only_what_is_needed(monkeypatch):
    asked = []

    def matmul_backward(dy, a, b, *, needs):
        asked.append(needs)
        return original(dy, a, b, needs=needs)

    original = kernels.matmul_backward
    monkeypatch.setattr(kernels, "matmul_backward", matmul_backward)
    a, b = nn.ones(2, 3), nn.ones(3, 2, requires_grad=True)
    (a @ b).sum().backward()
    (b @ a).sum().backward()
    assert asked == [(False, True), (True, False)]


ACTIVATIONS = {
    "relu": {},
    "relu6": {},
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 1.5},
    "selu": {},
    "celu": {"alpha": 0.5},
    "gelu": {"approximate": "tanh"},
    "silu": {},
    "mish": {},
    "sigmoid": {},
    "tanh": {},
    "softplus": {"beta": 2.0, "threshold": 3.0},
    "hardtanh": {"min_val": -0.5, "max_val": 2.0},
    "hardswish": {},
    "hardsigmoid": {},
    "glu": {"dim": 0},
    "logsigmoid": {},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    ours, theirs, options = getattr(F, name), getattr(T, name), ACTIVATIONS[name]
    rtol = 1e-7 if name == "hardsigmoid" else 1e-10  # PyTorch's 1/6 is a float32
    same_as_torch(ours, X, reference=theirs, rtol=rtol)
    same_as_torch(lambda x: ours(x, *options.values()), X, reference=lambda x: theirs(x, **options), rtol=rtol)
    same_as_torch(lambda x: ours(x, **options), 3 * X, reference=lambda x: theirs(x, **options), rtol=rtol)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if "inplace" in inspect.signature(getattr(F, n)).parameters])
def test_activation_in_place(name):
    def in_place(module, x):
        h = x - 1
        y = getattr(module, name)(h, inplace=True)
        assert y is h
        return h

    same_as_torch(lambda x: in_place(F, x), X, reference=lambda x: in_place(T, x), rtol=1e-7)
    x = nn.tensor(X)
    memory = x.array
    getattr(F, name)(x, inplace=True)
    assert x.array is memory
    np.testing.assert_allclose(memory, getattr(T, name)(torch.tensor(X)).numpy(), rtol=1e-7, atol=1e-12)
    with pytest.raises(RuntimeError, match="a leaf that requires a gradient changes in place only under no_grad"):
        getattr(F, name)(nn.ones(2, requires_grad=True), inplace=True)


@pytest.mark.parametrize(("x", "weight"), [(X, 1), (X, 4), (CUBE, 6), (CUBE, 1)], ids=str)
def test_prelu(x, weight):
    same_as_torch(F.prelu, x, RNG.standard_normal(weight), reference=T.prelu)


def test_prelu_with_a_slope_of_no_dimension():
    same_as_torch(F.prelu, X, np.array(0.3), reference=T.prelu)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 3, 2, 2), ()], ids=str)
def test_softmax_without_dim(name, shape):
    same_as_torch(getattr(F, name), np.asarray(RNG.standard_normal(shape)), reference=getattr(T, name))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax(name, dim):
    same_as_torch(lambda x: getattr(F, name)(x, dim), CUBE, reference=lambda x: getattr(T, name)(x, dim))


def test_activations_need_tensors():
    for name in ("relu", "gelu", "softmax"):
        with pytest.raises(TypeError, match=f"{name}: input must be a Tensor, got ndarray"):
            getattr(F, name)(X, *([0] if name == "softmax" else []))
    with pytest.raises(TypeError, match="linear: input must be a Tensor, got ndarray"):
        F.linear(X, nn.ones(2, 4))


# --- dropout, embedding, padding --------------------------------------------------------------------------------------


def test_one_hot():
    ids = np.array([[0, 2], [1, 1]])
    for classes in (-1, 5):
        assert F.one_hot(nn.tensor(ids), classes).tolist() == T.one_hot(torch.tensor(ids), classes).tolist()
    with pytest.raises(IndexError, match="one_hot: input must be from 0 to 1, got 2"):
        F.one_hot(ids, 2)
    with pytest.raises(TypeError, match="one_hot: input must be int64 or int32, got float64"):
        F.one_hot(X, 2)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("positions", [None, [3, 0, 1], [[3, 0, 1], [1, 1, 2]]], ids=str)
def test_rotary_embedding(interleaved, positions):
    cos, sin = kernels.rotary_tables(4, 6, dtype=np.float64)
    at = np.arange(3) if positions is None else np.array(positions)

    def reference(x):
        c, s = (torch.tensor(table[at if at.ndim == 1 else at[:, None]]) for table in (cos, sin))
        pairs = (x[..., 0:6:2], x[..., 1:6:2]) if interleaved else (x[..., :3], x[..., 3:6])
        turned = pairs[0] * c - pairs[1] * s, pairs[1] * c + pairs[0] * s
        first = torch.stack(turned, -1).flatten(-2) if interleaved else torch.cat(turned, -1)
        return torch.cat((first, x[..., 6:]), -1)

    def ours(x):
        where = None if positions is None else nn.tensor(positions)
        return F.rotary_embedding(x, nn.tensor(cos), sin, where, interleaved)

    x = RNG.standard_normal((2, 5, 3, 8))
    same_as_torch(ours, x, reference=reference)
    turned = np.moveaxis(x, 1, 2)
    same_as_torch(lambda x: ours(x.transpose(1, 2)), turned, reference=lambda x: reference(x.transpose(1, 2)))


def test_rotary_embedding_errors():
    cos, sin = kernels.rotary_tables(4, 6)
    with pytest.raises(TypeError, match="rotary_embedding: input must be a Tensor, got ndarray"):
        F.rotary_embedding(X, cos, sin)
    with pytest.raises(IndexError, match="rotary_embedding: positions must be from 0 to 3, got 4"):
        F.rotary_embedding(nn.ones(1, 6), cos, sin, [4])
    with pytest.raises(ValueError, match="rotary_embedding: has a gradient with respect to input only"):
        F.rotary_embedding(nn.ones(1, 6), nn.tensor(cos, requires_grad=True), sin)


@pytest.mark.parametrize(
    ("pad", "mode"),
    [
        ((1, 2), "constant"),
        ((1, 2, 0, 3), "constant"),
        ((0, 1, 2, 0, 1, 1), "constant"),
        ((), "constant"),
        ((-1, 2), "constant"),
        ((-1, -1, 0, -2), "constant"),
        ((-2, 1, 2, -3), "constant"),
        ((1, 2), "reflect"),
        ((2, 1), "replicate"),
        ((3, 3), "circular"),
    ],
)
def test_pad(pad, mode):
    value = 1.5 if mode == "constant" else 0
    same_as_torch(lambda x: F.pad(x, pad, mode, value), CUBE, reference=lambda x: T.pad(x, pad, mode, value))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_pad_of_two_dimensions(mode):
    x = RNG.standard_normal((2, 2, 4, 5))
    same_as_torch(lambda x: F.pad(x, (2, 1, 3, 0), mode), x, reference=lambda x: T.pad(x, (2, 1, 3, 0), mode))


@pytest.mark.parametrize("pad", [(-1, 2), (-2, 3), (3, -1), (-1, -1), (2, -3), (-3, 1), (1, -2, -1, 2)])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_pad_with_negative_widths(pad, mode):
    if pad == (3, -1) and mode == "circular":
        pad = (2, -2)
    if pad == (2, -3) and mode == "circular":
        pad = (1, -3)
    x = RNG.standard_normal((2, 2, 4, 5))
    if len(pad) == 2:
        x = x[0]
    same_as_torch(lambda x: F.pad(x, pad, mode), x, reference=lambda x: T.pad(x, pad, mode))


def test_pad_with_none_is_with_zero():
    same_as_torch(
        lambda x: F.pad(x, (1, 1), "constant", None), X, reference=lambda x: T.pad(x, (1, 1), "constant", None)
    )


def test_bad_padding():
    x = nn.ones(2, 3)
    for wrong in ((1,), (1, 1, 1, 1, 1, 1)):
        with pytest.raises(ValueError, match="pad: needs pairs of widths for at most 2 dimensions"):
            F.pad(x, wrong)
    for mode in ("reflect", "replicate", "circular"):
        with pytest.raises(ValueError, match=r"pad: \(-1, -2\) leaves no element of a dimension of length 3"):
            F.pad(x, (-1, -2), mode)
        with pytest.raises(ValueError, match=f"pad: mode '{mode}' takes no value, got 1"):
            F.pad(x, (1, 1), mode, 1.0)
    with pytest.raises(ValueError, match=r"pad: circular of a dimension of length 3 is at most 2, got \(3, -1\)"):
        F.pad(x, (3, -1), "circular")  # PyTorch returns memory that it has not written
    with pytest.raises(ValueError, match=r"pad: \(-3, -1\) removes more than the 3 elements of a dimension"):
        F.pad(x, (-3, -1))
    with pytest.raises(ValueError, match=r"pad: \(-4, 1\) removes more than the 3 elements of a dimension"):
        F.pad(x, (-4, 1))
    with pytest.raises(
        ValueError, match="pad: mode must be one of constant, reflect, replicate, circular, got 'mirror'"
    ):
        F.pad(x, (1, 1), "mirror")
    with pytest.raises(ValueError, match=r"pad: reflect of a dimension of length 3 is at most 2, got \(0, 3\)"):
        F.pad(x, (0, 3), "reflect")


# --- losses -----------------------------------------------------------------------------------------------------------

REDUCTIONS = ["mean", "sum", "none"]
CLASSES = {"(C,)": (5,), "(N, C)": (7, 5), "(N, C, d)": (2, 5, 3)}


def targets(shape, ignored=False):
    t = RNG.integers(0, 5, (() if len(shape) == 1 else (shape[0], *shape[2:])))
    if ignored and t.ndim:
        t[..., 0] = 2
        t.flat[:2] = 4
    return np.asarray(t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 4}, {"weighted": True}], ids=str)
def test_cross_entropy(shape, reduction, options):
    options = {"reduction": reduction, **options}
    weight = np.arange(1.0, 6.0) if options.pop("weighted", False) else None
    x, t = RNG.standard_normal(shape), targets(shape, "ignore_index" in options)
    same_as_torch(
        lambda x, t: F.cross_entropy(x, t, weight, **options),
        x,
        t,
        reference=lambda x, t: T.cross_entropy(x, t, None if weight is None else torch.tensor(weight), **options),
    )
    if "label_smoothing" not in options:
        same_as_torch(
            lambda x, t: F.nll_loss(x, t, weight, **options),
            x,
            t,
            reference=lambda x, t: T.nll_loss(x, t, None if weight is None else torch.tensor(weight), **options),
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", CLASSES.values(), ids=CLASSES)
def test_cross_entropy_of_probabilities(shape, reduction):
    q = RNG.random(shape)
    options = {"reduction": reduction, "label_smoothing": 0.1}
    same_as_torch(
        lambda x: F.cross_entropy(x, q, **options),
        RNG.standard_normal(shape),
        reference=lambda x: T.cross_entropy(x, torch.tensor(q), **options),
    )


def test_cross_entropy_saves_the_logsumexp_for_its_backward(monkeypatch):
    seen = {}

    def spy(name):
        original = getattr(kernels, name)

        def call(*args, lse=None):
            seen[name] = lse
            return original(*args, lse=lse)

        monkeypatch.setattr(kernels, name, call)

    spy("cross_entropy")
    spy("cross_entropy_backward")
    x = nn.randn(4, 3, 2, requires_grad=True)
    F.cross_entropy(x, np.zeros((4, 2), np.int64)).backward()
    assert seen["cross_entropy"] is seen["cross_entropy_backward"]
    np.testing.assert_allclose(seen["cross_entropy"], x.detach().logsumexp(1).numpy(), rtol=1e-6)
    F.cross_entropy(x.detach(), np.zeros((4, 2), np.int64))
    assert seen["cross_entropy"] is None


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 4}, {"weighted": True}], ids=str)
def test_linear_cross_entropy(reduction, options):
    options = {"reduction": reduction, **options}
    weight = np.arange(1.0, 6.0) if options.pop("weighted", False) else None
    x, w, b, t = RNG.standard_normal((7, 3)), RNG.standard_normal((5, 3)), RNG.standard_normal(5), targets((7, 5))
    for bias in (b, None):
        same_as_torch(
            lambda x, w, *b: F.linear_cross_entropy(x, w, t, linear_bias=b[0] if b else None, weight=weight, **options),
            x,
            w,
            *() if bias is None else (bias,),
            reference=lambda x, w, *b: T.cross_entropy(
                T.linear(x, w, *b), torch.tensor(t), None if weight is None else torch.tensor(weight), **options
            ),
        )


def test_linear_cross_entropy_backward_twice_and_only_where_needed():
    x, w = nn.randn(4, 3, requires_grad=True), nn.randn(5, 3)
    loss = F.linear_cross_entropy(x, w, np.array([0, 4, 2, 1]))
    (2 * loss).backward(retain_graph=True)
    first = x.grad.numpy().copy()
    (2 * loss).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * first, rtol=1e-6)
    assert w.grad is None
    with nn.no_grad():
        assert F.linear_cross_entropy(x, w, np.array([0, 4, 2, 1])).item() == loss.item()


PAIRS = {
    "mse_loss": {},
    "l1_loss": {},
    "smooth_l1_loss": {"beta": 0.5},
    "huber_loss": {"delta": 0.7},
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("defaults", [True, False])
def test_loss_of_two_operands(name, reduction, defaults):
    ours, theirs, options = getattr(F, name), getattr(T, name), {} if defaults else PAIRS[name]
    options = {"reduction": reduction, **options}
    target = X[::-1] + 0.05
    same_as_torch(lambda x, t: ours(x, t, **options), X, target, reference=lambda x, t: theirs(x, t, **options))
    t = torch.tensor(target)
    same_as_torch(lambda x: ours(x, target, **options), X, reference=lambda x: theirs(x, t, **options))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy(reduction, weighted):
    t, w = RNG.integers(0, 2, X.shape).astype(float), RNG.random(4) if weighted else None
    tw = torch.tensor(w) if weighted else None
    p = 1 / (1 + np.exp(-X))
    p[0, :2], t[0, :2] = (0, 1), (1, 0)  # logarithms of 0
    same_as_torch(
        lambda p: F.binary_cross_entropy(p, t, w, reduction=reduction),
        p,
        reference=lambda p: T.binary_cross_entropy(p, torch.tensor(t), tw, reduction=reduction),
        rtol=1e-7,  # PyTorch's smallest denominator, 1e-12, is a float32
    )
    same_as_torch(
        lambda x: F.binary_cross_entropy_with_logits(x, nn.tensor(t), w, reduction=reduction),
        X * 10,
        reference=lambda x: T.binary_cross_entropy_with_logits(x, torch.tensor(t), tw, reduction=reduction),
    )
    positive = np.arange(1.0, 5.0)
    same_as_torch(
        lambda x: F.binary_cross_entropy_with_logits(x, t, w, reduction=reduction, pos_weight=positive),
        X,
        reference=lambda x: T.binary_cross_entropy_with_logits(
            x, torch.tensor(t), tw, reduction=reduction, pos_weight=torch.tensor(positive)
        ),
    )


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction, log_target):
    q = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    q = np.log(q) if log_target else np.where(q < 0.1, 0, q)
    same_as_torch(
        lambda x: F.kl_div(x, q, reduction=reduction, log_target=log_target),
        X,
        reference=lambda x: T.kl_div(x, torch.tensor(q), reduction=reduction, log_target=log_target),
    )


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((3,), (2, 3)), ((3, 1), (2, 1, 3))], ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_losses_broadcast(name, shapes, reduction):
    same_as_torch(
        lambda x, t: getattr(F, name)(x, t, reduction=reduction),
        *(RNG.standard_normal(shape) for shape in shapes),
        reference=lambda x, t: getattr(T, name)(x, t, reduction=reduction),
    )


def test_losses_broadcast_with_a_warning():
    with pytest.warns(UserWarning, match=r"Using a target size \(\(3,\)\) that is different to the input size"):
        F.mse_loss(nn.ones(3, 1), nn.ones(3))


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((3,), (2, 3))], ids=str)
def test_kl_div_broadcasts(shapes, reduction):
    q = RNG.random(shapes[1])
    same_as_torch(
        lambda x: F.kl_div(x, q, reduction=reduction),
        RNG.standard_normal(shapes[0]),
        reference=lambda x: T.kl_div(x, torch.tensor(q), reduction=reduction),
    )


def test_bad_targets():
    x = nn.randn(3, 4, requires_grad=True)
    for wrong in (4, -1):
        with pytest.raises(IndexError, match=str(wrong)):
            F.cross_entropy(x, np.array([0, wrong, 1]))
    with pytest.raises(
        ValueError, match="nll_loss: has a gradient with respect to input only, but another argument requires one"
    ):
        F.nll_loss(x, np.array([0, 1, 2]), nn.ones(4, requires_grad=True))
    with nn.no_grad():
        assert np.isfinite(F.cross_entropy(x, x.softmax(1)).item())
    with pytest.raises(ValueError, match="shapes differ|same shape|shape"):
        F.mse_loss(x, nn.ones(3))
    with pytest.raises(ValueError, match="reduction"):
        F.mse_loss(x, x, reduction="average")
    assert x.grad is None


def test_ignoring_every_target_gives_nan_as_in_torch():
    x = nn.randn(2, 3, requires_grad=True)
    assert np.isnan(F.cross_entropy(x, np.array([-100, -100])).item())
    assert F.cross_entropy(x, np.array([-100, -100]), reduction="sum").item() == 0


# --- layer norm of a sum ----------------------------------------------------------------------------------------------


def test_add_layer_norm():
    x, r, w, b = (RNG.standard_normal(shape) for shape in ((4, 3, 5), (4, 3, 5), 5, 5))
    same_as_torch(
        lambda x, r, w, b: F.add_layer_norm(x, r, (5,), w, b, 1e-3),
        x,
        r,
        w,
        b,
        reference=lambda x, r, w, b: T.layer_norm(x + r, (5,), w, b, 1e-3),
    )
    same_as_torch(lambda x, r: F.add_layer_norm(x, r, 5), x, r, reference=lambda x, r: T.layer_norm(x + r, (5,)))
    same_as_torch(
        lambda x, r, w: F.add_layer_norm(x, r, 5, w) * F.add_layer_norm(x, r, 5, w, return_sum=True)[1],
        x,
        r,
        w,
        reference=lambda x, r, w: T.layer_norm(x + r, (5,), w) * (x + r),
    )

    def both(x, r, w):
        y, total = F.add_layer_norm(x, r, 5, w, return_sum=True)
        return y * total + total

    same_as_torch(both, x, r, w, reference=lambda x, r, w: (T.layer_norm(x + r, (5,), w) + 1) * (x + r))


def test_the_gradients_of_both_addends_do_not_share_memory():
    x, r = nn.randn(3, 4, requires_grad=True), nn.randn(3, 4, requires_grad=True)
    for _ in range(2):
        (F.add_layer_norm(x, r, 4) * nn.tensor(X[:3, :4], dtype="float32")).sum().backward()
    assert not np.may_share_memory(x.grad.array, r.grad.array)
    np.testing.assert_array_equal(x.grad.array, r.grad.array)
    with nn.no_grad():
        assert not F.add_layer_norm(x, r, 4).requires_grad


# --- feed-forward -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu", "swiglu"])
def test_feed_forward(activation):
    formulas = {"relu": T.relu, "gelu": T.gelu, "gelu_tanh": lambda z: T.gelu(z, approximate="tanh"), "silu": T.silu}
    formulas["swiglu"] = lambda z: T.silu(z[..., :6]) * z[..., 6:]
    rows = 12 if activation == "swiglu" else 6
    x, w1, b1, w2, b2 = (RNG.standard_normal(shape) for shape in ((2, 4, 3), (rows, 3), rows, (5, 6), 5))
    same_as_torch(
        lambda *inputs: F.feed_forward(*inputs, activation),
        x,
        w1,
        b1,
        w2,
        b2,
        reference=lambda x, w1, b1, w2, b2: T.linear(formulas[activation](T.linear(x, w1, b1)), w2, b2),
    )
    same_as_torch(
        lambda x, w1, w2: F.feed_forward(x, w1, None, w2, None, activation),
        x,
        w1,
        w2,
        reference=lambda x, w1, w2: T.linear(formulas[activation](T.linear(x, w1)), w2),
    )


# --- attention and pooling --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(
    "leading",
    [((2, 3), (1, 3), (2, 3)), ((3,), (2, 3), (2, 3)), ((2, 3), (2, 1), (2, 1)), ((1, 3), (2, 3), (1, 3))],
    ids=str,
)
def test_attention_broadcasts(leading, is_causal):
    arrays = [
        RNG.standard_normal((*shape, *rest)) for shape, rest in zip(leading, ((4, 5), (6, 5), (6, 7)), strict=True)
    ]
    attend = lambda module: lambda q, k, v: module.scaled_dot_product_attention(q, k, v, is_causal=is_causal)  # noqa: E731
    same_as_torch(attend(F), *arrays, reference=attend(T))


def test_attention_of_batches_that_do_not_broadcast():
    with pytest.raises(ValueError, match="the axes before the heads differ"):
        F.scaled_dot_product_attention(nn.ones(2, 1, 2, 2), nn.ones(3, 1, 2, 2), nn.ones(3, 1, 2, 2))


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_lp_pool_of_infinite_order(dims, ceil_mode):
    x = RNG.standard_normal((2, 3, 5, 5, 5)[: 2 + dims])
    same_as_torch(
        lambda x: getattr(F, f"lp_pool{dims}d")(x, np.inf, 2, 2, ceil_mode),
        x,
        reference=lambda x: getattr(T, f"max_pool{dims}d")(abs(x), 2, 2, ceil_mode=ceil_mode),
    )


def test_pooling_of_integers():
    x = RNG.integers(-9, 9, (2, 3, 6, 6))
    for window in (2, 3):
        y, places = F.max_pool2d(nn.tensor(x), window, return_indices=True)
        expected, theirs = T.max_pool2d(torch.tensor(x), window, return_indices=True)
        assert (y.dtype, y.tolist(), places.tolist()) == (np.int64, expected.tolist(), theirs.tolist())
        for options in ({"padding": 1}, {"divisor_override": 7}):
            y, expected = (
                F.avg_pool2d(nn.tensor(x), window, **options),
                T.avg_pool2d(torch.tensor(x), window, **options),
            )
            assert (y.dtype, y.tolist()) == (np.int64, expected.tolist())
    with pytest.raises(ValueError, match="max_pool1d: integers must be within 2⁵³"):
        F.max_pool1d(nn.tensor([[2**60, 1]]), 2)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_strided_running_statistics(name):
    memory = np.stack([np.zeros(6), np.ones(6)], 1)
    mean, var = nn.Tensor(memory)[:, 0], nn.Tensor(memory)[:, 1]
    expected = torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    getattr(F, name)(nn.tensor(CUBE), mean, var, None, None, True)
    getattr(T, name)(torch.tensor(CUBE), *expected, None, None, True)
    np.testing.assert_allclose(memory, np.stack(expected, 1), rtol=1e-12)


def test_probabilities_have_no_ignored_class():
    with pytest.raises(ValueError, match="cross_entropy: ignore_index is for classes, not for probabilities, got 1"):
        F.cross_entropy(nn.ones(2, 3), nn.ones(2, 3), ignore_index=1)
