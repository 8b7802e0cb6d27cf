"""Gradients of gradients of nn.functional against PyTorch's, in float64."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import kernels
import nn
import nn.functional as F
from kernels.reference.attention import kept
from tests.nn.compare import same_twice

RNG = np.random.default_rng(0)
A, B, P = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4)), RNG.random((3, 4)) * 0.8 + 0.1
CUBE, IMAGE = RNG.standard_normal((2, 4, 9)), RNG.standard_normal((2, 4, 7, 6))
VOLUME = RNG.standard_normal((2, 2, 4, 5, 4))


def normal(*shape):
    return RNG.standard_normal(shape)


def both(name, *arrays, rtol=1e-9, **options):
    """The function of this name of both libraries."""
    same_twice(
        lambda *inputs: getattr(F, name)(*inputs, **options),
        *arrays,
        reference=lambda *inputs: getattr(T, name)(*inputs, **options),
        rtol=rtol,
    )


# --- activations ------------------------------------------------------------------------------------------------------

ACTIVATIONS = {
    "relu": {}, "relu6": {}, "leaky_relu": {"negative_slope": 0.2}, "elu": {"alpha": 0.7}, "selu": {},
    "celu": {"alpha": 0.5}, "gelu": {}, "silu": {}, "mish": {}, "sigmoid": {}, "tanh": {},
    "softplus": {"beta": 2.0, "threshold": 1.0}, "hardtanh": {"min_val": -0.5}, "hardswish": {},
    "glu": {"dim": 1}, "softmax": {"dim": 1}, "log_softmax": {"dim": 0},
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1, 5])
def test_activations(name, scale):
    both(name, A * scale, **ACTIVATIONS[name])


def test_other_activations():
    both("gelu", A, approximate="tanh")
    same_twice(F.logsigmoid, A * 3, reference=T.logsigmoid)
    same_twice(lambda x: F.hardsigmoid(x * x), A * 2, reference=lambda x: T.relu6(x * x + 3) / 6)
    for weight in (normal(4), np.array([0.3])):
        both("prelu", A, weight)
        both("prelu", CUBE, weight)
    for name, options in ACTIVATIONS.items():
        if name not in ("glu", "softmax", "log_softmax", "celu", "elu", "selu", "softplus"):
            both(name, np.array([0.0, 1e-3, -40.0, 40.0]), **options)
    both("softplus", np.array([0.0, 1e-3, -40.0, 800.0]))
    for name in ("celu", "elu", "selu"):  # at 0 the second derivative jumps; there we have the left one, PyTorch 0
        both(name, np.array([-1e-3, 1e-3, -40.0, 800.0]))


def test_third_derivatives():
    x, t = (library.tensor(A, requires_grad=True) for library in (nn, torch))
    for name in ("gelu", "silu", "mish", "softplus", "elu", "tanh", "logsigmoid"):
        found = []
        for library, functions, leaf in ((nn, F, x), (torch, T, t)):
            g = getattr(functions, name)(leaf)
            for _ in range(3):
                (g,) = library.autograd.grad(g.sum(), leaf, create_graph=True)
            found.append(g.detach().numpy())
        np.testing.assert_allclose(*found, rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("name", "array"), [("dropout", A), ("dropout2d", IMAGE)])
def test_dropout_keeps_its_mask(name, array):
    x = nn.tensor(array, requires_grad=True)
    y = getattr(F, name)(x * x, 0.5)
    (first,) = nn.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = nn.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(second.array, 2 * y.array / (array * array), rtol=1e-12)


# --- affine maps and convolutions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_linear(shape):
    both("linear", normal(*shape), normal(5, 4), normal(5))
    both("linear", normal(*shape), normal(5, 4))


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu", "swiglu"])
def test_feed_forward(activation):
    formulas = {"relu": T.relu, "gelu": T.gelu, "gelu_tanh": lambda z: T.gelu(z, approximate="tanh"), "silu": T.silu}
    formulas["swiglu"] = lambda z: T.silu(z[..., :6]) * z[..., 6:]
    rows = 12 if activation == "swiglu" else 6
    same_twice(
        lambda *inputs: F.feed_forward(*inputs, activation),
        *(normal(*shape) for shape in ((2, 4, 3), (rows, 3), (rows,), (5, 6), (5,))),
        reference=lambda x, w1, b1, w2, b2: T.linear(formulas[activation](T.linear(x, w1, b1)), w2, b2),
    )
    same_twice(
        lambda x, w1, w2: F.feed_forward(x, w1, None, w2, None, activation),
        *(normal(*shape) for shape in ((4, 3), (rows, 3), (5, 6))),
        reference=lambda x, w1, w2: T.linear(formulas[activation](T.linear(x, w1)), w2),
    )


CONVOLUTIONS = [
    ("conv1d", (2, 4, 9), (6, 4, 3), {}),
    ("conv1d", (4, 9), (6, 2, 3), {"padding": "same", "groups": 2}),
    ("conv1d", (2, 4, 9), (4, 1, 3), {"padding": 2, "stride": 2, "groups": 4}),
    ("conv2d", (2, 4, 7, 6), (6, 4, 3, 3), {"padding": 1}),
    ("conv2d", (2, 4, 7, 6), (6, 4, 3, 3), {"padding": 1, "stride": 2}),
    ("conv2d", (2, 4, 7, 6), (6, 2, 3, 2), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
    ("conv2d", (2, 4, 7, 6), (4, 1, 3, 3), {"padding": "same", "groups": 4}),
    ("conv2d", (2, 4, 7, 6), (6, 4, 2, 3), {"padding": "same", "dilation": 2}),
    ("conv2d", (2, 4, 7, 6), (5, 4, 1, 1), {}),
    ("conv2d", (4, 7, 6), (5, 4, 3, 3), {"padding": "valid"}),
    ("conv3d", (2, 2, 4, 5, 4), (3, 2, 2, 2, 2), {"stride": 2, "padding": 1}),
    ("conv3d", (2, 2, 4, 5, 4), (4, 1, 2, 3, 2), {"groups": 2}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ("conv_transpose2d", (2, 4, 5, 3), (4, 3, 3, 3), {}),
    ("conv_transpose2d", (2, 4, 5, 3), (4, 3, 3, 2), {"stride": 2, "padding": 1, "output_padding": (1, 0)}),
    ("conv_transpose2d", (4, 5, 3), (4, 2, 3, 3), {"groups": 2, "dilation": 2}),
    ("conv_transpose3d", (2, 2, 3, 2, 3), (2, 3, 2, 2, 2), {"stride": 2}),
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("name", "x", "weight", "options"), CONVOLUTIONS, ids=str)
def test_convolutions(name, x, weight, options):
    groups = options.get("groups", 1)
    channels = weight[1] * groups if "transpose" in name else weight[0]
    both(name, normal(*x), normal(*weight), normal(channels), **options)
    both(name, normal(*x), normal(*weight), **options)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_third_derivatives_of_convolutions(name):
    x, w = normal(1, 2, 4, 4), normal(2, 2, 3, 3)
    found = []
    for library, functions in ((nn, F), (torch, T)):
        leaves = [library.tensor(a, requires_grad=True) for a in (x, w)]
        y = getattr(functions, name)(*leaves, padding=1, stride=2) ** 2
        gradients = leaves
        for _ in range(3):
            gradients = library.autograd.grad((y * y).sum(), leaves, create_graph=True)
            y = gradients[0] * gradients[1].sum()
        found.append([g.detach().numpy() for g in gradients])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9 * np.abs(theirs).max())


# --- normalisation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 4, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    mean, var = normal(3), RNG.random(3) + 0.5
    for weights in ((normal(3), normal(3)), ()):
        same_twice(
            lambda x, *weights: F.batch_norm(x, nn.tensor(mean), nn.tensor(var), *weights, training=training),
            normal(*shape),
            *weights,
            reference=lambda x, *weights: T.batch_norm(
                x, torch.tensor(mean), torch.tensor(var), *weights, training=training
            ),
        )


def test_other_norms():
    for weights in ((normal(4), normal(4)), ()):
        same_twice(
            lambda x, *w: F.instance_norm(x, None, None, *w),
            CUBE,
            *weights,
            reference=lambda x, *w: T.instance_norm(x, None, None, *w),
        )
        same_twice(
            lambda x, *w: F.group_norm(x, 2, *w), IMAGE, *weights, reference=lambda x, *w: T.group_norm(x, 2, *w)
        )
        same_twice(
            lambda x, *w: F.layer_norm(x, (4,), *w), A, *weights, reference=lambda x, *w: T.layer_norm(x, (4,), *w)
        )
        same_twice(
            lambda x, *w: F.rms_norm(x, (4,), *w, eps=1e-3),
            A,
            *weights[:1],
            reference=lambda x, *w: T.rms_norm(x, (4,), *w, eps=1e-3),
        )
    both("layer_norm", CUBE, normalized_shape=(4, 9))
    both("rms_norm", CUBE, normalized_shape=(4, 9))
    both("layer_norm", CUBE, normalized_shape=(9,), eps=0.1)
    mean, var = normal(4), RNG.random(4) + 0.5
    same_twice(
        lambda x: F.instance_norm(x, nn.tensor(mean), nn.tensor(var), use_input_stats=False),
        CUBE,
        reference=lambda x: T.instance_norm(x, torch.tensor(mean), torch.tensor(var), use_input_stats=False),
    )


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("array", [CUBE, IMAGE, VOLUME])
def test_local_response_norm(array, size):
    both("local_response_norm", array, size=size, alpha=0.5, beta=0.6, k=1.5)


def test_add_layer_norm():
    arrays = A, B, normal(4), normal(4)
    theirs = lambda x, r, w, b: T.layer_norm(x + r, (4,), w, b)  # noqa: E731
    same_twice(lambda x, r, w, b: F.add_layer_norm(x, r, 4, w, b), *arrays, reference=theirs)
    same_twice(lambda x, r: F.add_layer_norm(x * x, r, 4), A, B, reference=lambda x, r: T.layer_norm(x * x + r, (4,)))

    def product(x, r, w, b):
        y, total = F.add_layer_norm(x, r, 4, w, b, return_sum=True)
        return y * total

    same_twice(product, *arrays, reference=lambda x, r, w, b: theirs(x, r, w, b) * (x + r))
    for i in (0, 1):
        same_twice(
            lambda x, r, w, b, i=i: F.add_layer_norm(x, r, 4, w, b, return_sum=True)[i] ** 2,
            *arrays,
            reference=lambda x, r, w, b, i=i: (x + r if i else theirs(x, r, w, b)) ** 2,
        )


# --- attention --------------------------------------------------------------------------------------------------------

Q, K, V = normal(2, 4, 3, 5), normal(2, 4, 6, 5), normal(2, 4, 6, 2)
VISIBLE = RNG.random((3, 6)) > 0.3
ATTENTION = {
    "plain": {},
    "causal": {"is_causal": True},
    "scaled": {"scale": 0.3},
    "masked": {"attn_mask": VISIBLE},
}


@pytest.mark.parametrize("options", ATTENTION.values(), ids=ATTENTION)
def test_attention(options):
    theirs = {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in options.items()}
    same_twice(
        lambda *inputs: F.scaled_dot_product_attention(*inputs, **options),
        Q,
        K,
        V,
        reference=lambda *inputs: T.scaled_dot_product_attention(*inputs, **theirs),
    )


def test_attention_with_biases_and_groups():
    both("scaled_dot_product_attention", Q, K, V, normal(4, 3, 6))
    both("scaled_dot_product_attention", Q, K[:, :2].copy(), V[:, :2].copy(), enable_gqa=True)
    both("scaled_dot_product_attention", Q[0, 0], K[0, 0], V[0, 0])
    both("scaled_dot_product_attention", Q, K[:1, :1].copy(), V)
    bias = np.where(VISIBLE, normal(3, 6), -np.inf)
    both("scaled_dot_product_attention", Q, K, V, bias)


def formula(q, k, v, visible, *, softcap=0.0, distances=0.0, factors=1.0):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = softcap * torch.tanh(scores / softcap) if softcap else scores
    scores = torch.where(visible, scores - distances, -torch.inf)
    return (torch.nan_to_num(scores.softmax(-1)) * factors) @ v


def test_attention_with_more_options():
    distance = torch.arange(6) - torch.arange(3)[:, None] - 1
    slopes = np.array([0.5, 0.25, 0.1, 0.3])
    same_twice(
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, is_causal=True, causal_offset=1, window=(1, 2), softcap=2.0, alibi=slopes
        ),
        Q,
        K,
        V,
        reference=lambda q, k, v: formula(
            q,
            k,
            v,
            (distance <= 0) & (distance >= -1),
            softcap=2.0,
            distances=torch.tensor(slopes)[:, None, None] * distance.abs(),
        ),
    )
    seed = int(np.random.default_rng(7).integers(2**63))

    def dropped(q, k, v):
        nn.manual_seed(7)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)

    factors = torch.tensor(kept((2, 4, 3, 6), 0.5, seed) * 2.0)
    everywhere = torch.ones(3, 6, dtype=torch.bool)
    same_twice(dropped, Q, K, V, reference=lambda q, k, v: formula(q, k, v, everywhere, factors=factors))


def test_attention_without_visible_keys():
    visible = VISIBLE.copy()
    visible[1] = False
    q, k, v = (nn.tensor(a, requires_grad=True) for a in (Q, K, V))
    out = F.scaled_dot_product_attention(q, k, v, visible)
    first = nn.autograd.grad((out**2).sum(), (q, k, v), create_graph=True)
    second = nn.autograd.grad(sum((g**2).sum() for g in first), (q, k, v))
    for g in (*first, *second):
        assert np.isfinite(g.array).all()
    assert not first[0].array[:, :, 1].any() and not second[0].array[:, :, 1].any()


# --- tables, shapes and pooling ---------------------------------------------------------------------------------------

IDS = np.array([[2, 0, 2], [1, 2, 0]])


def test_embedding():
    for options in ({}, {"padding_idx": 2}):
        same_twice(
            lambda w, options=options: F.embedding(IDS, w, **options) ** 2,
            A,
            reference=lambda w, options=options: T.embedding(torch.tensor(IDS), w, **options) ** 2,
        )


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_embedding_bag(mode):
    reduce = {"mean": lambda rows: rows.mean(1), "sum": lambda rows: rows.sum(1), "max": lambda rows: rows.max(1)[0]}
    same_twice(
        lambda w: F.embedding_bag(IDS, w, mode=mode) ** 2,
        A,
        reference=lambda w: reduce[mode](w[torch.tensor(IDS)]) ** 2,  # PyTorch's has no second derivative
    )
    for padding_idx in (None, 0):
        options = {"mode": mode, "padding_idx": padding_idx}
        w = nn.tensor(A, requires_grad=True)
        assert nn.gradgradcheck(
            lambda w, options=options: F.embedding_bag(IDS.reshape(-1), w, np.array([0, 2, 2]), **options) ** 2, w
        )


def test_weighted_embedding_bag():
    same_twice(
        lambda w, f: F.embedding_bag(IDS, w, mode="sum", per_sample_weights=f) ** 2,
        A,
        normal(2, 3),
        reference=lambda w, f: (w[torch.tensor(IDS)] * f[..., None]).sum(1) ** 2,
    )
    fixed = normal(2, 3)
    same_twice(
        lambda w: F.embedding_bag(IDS, w, mode="sum", per_sample_weights=nn.tensor(fixed)) ** 2,
        A,
        reference=lambda w: (w[torch.tensor(IDS)] * torch.tensor(fixed)[..., None]).sum(1) ** 2,
    )


POOLINGS = [
    ("max_pool1d", CUBE, (3, 2, 1)),
    ("max_pool2d", IMAGE, (2,)),
    ("max_pool2d", IMAGE, ((3, 2), (2, 1), (1, 0), (1, 2), True)),
    ("max_pool2d", RNG.standard_normal((1, 1, 20, 20)), (17, 1)),
    ("max_pool3d", VOLUME, (2, 2, 1)),
    ("avg_pool1d", CUBE, (3, 2, 1)),
    ("avg_pool2d", IMAGE, ((3, 2), (2, 1), (1, 0), True, False)),
    ("avg_pool3d", VOLUME, (2,)),
    ("lp_pool1d", abs(CUBE), (3.0, 2)),
    ("lp_pool2d", IMAGE, (2.0, 3, 2, True)),
    ("adaptive_avg_pool1d", CUBE, (4,)),
    ("adaptive_avg_pool2d", IMAGE, ((3, 4),)),
    ("adaptive_max_pool2d", IMAGE, ((3, 4),)),
    ("adaptive_max_pool1d", CUBE, (4,)),
    ("unfold", IMAGE, (3, 1, 1, 2)),
    ("fold", normal(2, 8, 9), ((4, 4), 2)),
    ("pixel_shuffle", IMAGE, (2,)),
    ("pad", IMAGE, ((1, 2, -1, 0),)),
    ("pad", IMAGE, ((1, 2, 2, 0), "reflect")),
    ("pad", IMAGE, ((1, 2, 2, 0), "replicate")),
    ("pad", IMAGE, ((1, 2, 2, 0), "circular")),
]


@pytest.mark.parametrize(
    ("name", "array", "options"), POOLINGS, ids=lambda v: None if isinstance(v, np.ndarray) else str(v)
)
def test_pooling_and_resampling(name, array, options):
    same_twice(
        lambda x: getattr(F, name)(x * x * x, *options),
        array,
        reference=lambda x: getattr(T, name)(x * x * x, *options),
    )


def test_pooling_with_indices():
    def pooled(functions):
        def call(x):
            y, indices = functions.max_pool2d(x * x, 2, return_indices=True)
            return functions.max_unpool2d(y**2, indices, 2, output_size=(7, 6))

        return call

    same_twice(pooled(F), IMAGE, reference=pooled(T))


@pytest.mark.parametrize(
    "options",
    [
        {"size": 5},
        {"scale_factor": 2.0, "mode": "bilinear"},
        {"size": (3, 9), "mode": "bilinear", "align_corners": True},
        {"size": (3, 9), "mode": "bicubic"},
        {"size": (3, 4), "mode": "bilinear", "antialias": True},
        {"size": (3, 4), "mode": "area"},
    ],
    ids=str,
)
def test_interpolate(options):
    same_twice(lambda x: F.interpolate(x**3, **options), IMAGE, reference=lambda x: T.interpolate(x**3, **options))


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_embedding(interleaved):
    cos, sin = kernels.rotary_tables(4, 8, dtype=np.float64)
    x = nn.tensor(normal(2, 4, 8), requires_grad=True)
    assert nn.gradgradcheck(lambda x: F.rotary_embedding(x**3, cos, sin, interleaved=interleaved), x)


# --- losses -----------------------------------------------------------------------------------------------------------

REDUCTIONS = ["mean", "sum", "none"]


def classes_of(shape):
    classes = np.asarray(RNG.integers(0, 5, () if len(shape) == 1 else (shape[0], *shape[2:])))
    if classes.ndim:
        classes.flat[:3] = 4, 4, 1
    return classes


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5,), (7, 5), (2, 5, 3), (2, 5, 3, 2)])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 4}], ids=str)
@pytest.mark.parametrize("weight", [None, np.arange(1.0, 6.0)], ids=str)
def test_losses_of_classes(shape, reduction, options, weight):
    if "ignore_index" in options and len(shape) == 1:
        return  # the mean of nothing
    classes, w = classes_of(shape), None if weight is None else torch.tensor(weight)
    targets = [classes] if "ignore_index" in options else [classes, RNG.random(shape)]
    for target in targets:
        t = torch.tensor(target)
        same_twice(
            lambda x, target=target: F.cross_entropy(x, target, weight, reduction=reduction, **options),
            normal(*shape),
            reference=lambda x, t=t: T.cross_entropy(x, t, w, reduction=reduction, **options),
        )
    if "label_smoothing" not in options:
        dim, t = int(len(shape) > 1), torch.tensor(classes)
        same_twice(
            lambda x: F.nll_loss(x.log_softmax(dim), classes, weight, reduction=reduction, **options),
            normal(*shape),
            reference=lambda x: T.nll_loss(x.log_softmax(dim), t, w, reduction=reduction, **options),
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 4}], ids=str)
def test_linear_cross_entropy(reduction, options):
    classes = RNG.integers(0, 5, (2, 3))
    classes[0, 0] = 4
    weight = np.arange(1.0, 6.0)
    same_twice(
        lambda x, w, b: F.linear_cross_entropy(
            x, w, classes, linear_bias=b, weight=weight, reduction=reduction, **options
        ),
        normal(2, 3, 4),
        normal(5, 4),
        normal(5),
        reference=lambda x, w, b: T.cross_entropy(
            T.linear(x, w, b).transpose(1, 2),
            torch.tensor(classes),
            torch.tensor(weight),
            reduction=reduction,
            **options,
        ),
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_two_operands(reduction):
    near = A + np.where(np.abs(A - B) < 1.2, 0.3 * (B - A), B - A)
    for name, options in (
        ("mse_loss", {}),
        ("l1_loss", {}),
        ("smooth_l1_loss", {"beta": 0.5}),
        ("smooth_l1_loss", {"beta": 0.0}),
        ("huber_loss", {"delta": 0.7}),
    ):
        both(name, A, near, reduction=reduction, **options)


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_losses_broadcast():
    both("mse_loss", A, normal(4))
    both("huber_loss", A, normal(3, 1), reduction="sum")


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_probabilities(reduction):
    target, weight, positive = RNG.random((3, 4)), RNG.random(4) + 0.5, RNG.random(4) + 0.5
    theirs = [torch.tensor(a) for a in (target, weight, positive)]
    same_twice(
        lambda p: F.binary_cross_entropy(p, target, weight, reduction=reduction),
        P,
        reference=lambda p: T.binary_cross_entropy(p, theirs[0], theirs[1], reduction=reduction),
        rtol=1e-7,
    )
    same_twice(
        lambda x: F.binary_cross_entropy_with_logits(x, target, weight, reduction=reduction, pos_weight=positive),
        A,
        reference=lambda x: T.binary_cross_entropy_with_logits(
            x, theirs[0], theirs[1], reduction=reduction, pos_weight=theirs[2]
        ),
    )
    same_twice(
        lambda x: F.binary_cross_entropy_with_logits(x, target, reduction=reduction),
        A * 20,
        reference=lambda x: T.binary_cross_entropy_with_logits(x, theirs[0], reduction=reduction),
    )
    for log_target in (False, True):
        for each in (reduction, "batchmean"):
            same_twice(
                lambda x: F.kl_div(x.log_softmax(1), target, reduction=each, log_target=log_target),  # noqa: B023
                A,
                reference=lambda x: T.kl_div(x.log_softmax(1), theirs[0], reduction=each, log_target=log_target),  # noqa: B023
            )
