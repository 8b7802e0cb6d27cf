"""Everything that backward reads is versioned: after a change in place it raises, or the gradient is still right."""

import ast
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import kernels
import nn
import nn.functional as F
from nn.operations import sparse
from nn.tape import Node
from nn.utils.checkpoint import checkpoint
from nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

RNG = np.random.default_rng(0)


class Fixed(NamedTuple):
    """A tensor of floats that needs no gradient."""

    array: np.ndarray


def normal(*shape):
    return RNG.standard_normal(shape)


def positive(*shape):
    return RNG.random(shape) * 0.8 + 0.1


def integers(*values):
    return np.array(values)


A, B, P, Q, CUBE = normal(3, 4), normal(3, 4), positive(3, 4), positive(3, 4), normal(2, 3, 8)
IMAGE, VOLUME, MASK, CLASSES = normal(2, 3, 4, 4), normal(1, 2, 4, 4, 4), A > 0, integers(0, 3, 1)
STATES, ROWS = normal(3, 2, 4), integers(2, 2, 1)


def change(tensor):
    """Write other values of the same kind to a tensor."""
    x = tensor.array
    new = ~x if x.dtype == bool else np.flip(x).copy() if x.dtype.kind == "i" else np.flip(x) * 0.5 + 0.25
    if x.dtype.kind == "i" and (new == x).all():
        new = x * 0 if (x != 0).any() else x + 1
    with nn.no_grad():
        tensor[...] = nn.Tensor(new)


def assigned(x, value, *index):
    h = x.clone()
    h[index] = value
    return h


def pooled(name, *options):
    return lambda x: getattr(F, name)(x, *options)


def unpooled(d):
    def function(x, indices):
        return getattr(F, f"max_unpool{d}d")(x, indices, 2)

    x = {1: CUBE, 2: IMAGE, 3: VOLUME}[d]
    return function, getattr(kernels, f"max_pool{d}d")(x, 2, return_indices=True)


def recurrent(name, gates, **options):
    """A layer with and without sizes, its weights among the inputs."""
    states = [normal(2, 4) for _ in range(2 if name == "lstm" else 1)]
    weights = [normal(gates * 4, 3), normal(gates * 4, 4), normal(gates * 4), normal(gates * 4)]

    def function(x, *inputs):
        inputs, sizes = (inputs[:-1], inputs[-1]) if inputs[-1].dtype.kind == "i" else (inputs, None)
        first, rest = inputs[: len(states)], inputs[len(states) :]
        hx = first if name == "lstm" else first[0]
        y, final = getattr(F, name)(x, hx, *rest, batch_sizes=sizes, **options)
        return y, *(final if name == "lstm" else (final,))

    return [(function, normal(3, 2, 3), *states, *weights), (function, normal(5, 3), *states, *weights, ROWS)]


def cell(name, gates):
    states = [normal(2, 4) for _ in range(2 if name == "lstm" else 1)]

    def function(x, *inputs):
        hx = inputs[: len(states)]
        y = getattr(F, f"{name}_cell")(x, hx if name == "lstm" else hx[0], *inputs[len(states) :])
        return y if name == "lstm" else (y,)

    return function, normal(2, 3), *states, normal(gates * 4, 3), normal(gates * 4, 4), normal(gates * 4), None


def projected(x, h, c, wi, wh, wr):
    y, final = F.lstm(x, (h, c), wi, wh, weight_hr=wr)
    return y, *final


def normed(name, *options):
    """With running statistics, in training and in evaluation."""
    return [
        (lambda x, w, b: getattr(F, name)(x, None, None, w, b, True), CUBE, normal(3), normal(3)),
        *(
            (
                lambda x, m, v, w, b, training=training: getattr(F, name)(x, m, v, w, b, training),
                CUBE,
                Fixed(normal(3)),
                Fixed(positive(3)),
                normal(3),
                normal(3),
            )
            for training in (False, True)
        ),
    ]


def attention(q, k, v, mask=None, alibi=None, **options):
    return F.scaled_dot_product_attention(q, k, v, mask, alibi=alibi, **options)


def unpacked(x, sizes, order):
    inverse = nn.Tensor(np.argsort(order.array))
    return pad_packed_sequence(nn.utils.rnn.PackedSequence(x, sizes, order, inverse))


def convolved(name):
    return [(getattr(F, name), x, w, normal(3)) for x, w in ((IMAGE, normal(3, 3, 2, 2)),)]


def loss(name, *arrays, **options):
    return (lambda *inputs: getattr(F, name)(*inputs, **options), *arrays)


def classified(name, x):
    weights = Fixed(positive(4))
    return [
        loss(name, x, CLASSES),
        loss(name, x, CLASSES, weights, reduction="none"),
        loss(name, x, CLASSES, weights, ignore_index=nn.tensor(1), reduction="sum"),
    ]


# Name of each recorded operation -> functions of tensors, with arrays for them. Floats need a gradient, unless they are
# Fixed.
OPERATIONS = {
    "add": [(lambda a, b: a + b, A, B)],
    "sub": [(lambda a, b: a - b, A, B)],
    "mul": [
        (lambda a, b: a * b, A, B), (lambda a, b: a * b, A, Fixed(B)), (lambda a, i: a * i, A, integers(1, 2, 3, 4)),
    ],
    "div": [(lambda a, b: a / b, A, B), (lambda a: 2 / a, A)],
    "pow": [(lambda a, b: a**b, P, B), (lambda a: a**2, A), (lambda a: 2**a, A)],
    "maximum": [(nn.maximum, A, B)],
    "minimum": [(nn.minimum, A, B)],
    "where": [
        (nn.where, MASK, A, B), (lambda m, a: nn.where(m, a, 0.0), MASK, A),
        (lambda a, m, b: a.masked_scatter(m, b), A, MASK, B),
    ],
    "masked_fill": [(lambda a, m, v: a.masked_fill(m, v), A, MASK, np.array(2.0))],
    "to": [(lambda a: a.float(), A)],
    "clone": [(lambda a: a.clone(), A)],
    "neg": [(lambda a: -a, A), (lambda a: tuple(a.min(1)), A), (lambda a: a.min(), A)],
    "abs": [(abs, A)],
    "matmul": [(lambda a, b: a @ b, A, B.T), (lambda a, b: a @ b, A, Fixed(B.T))],
    "exp": [(lambda a: a.exp(), A)],
    "relu": [(lambda a: a.relu(), A), (F.relu, A)],
    "sigmoid": [(lambda a: a.sigmoid(), A)],
    "tanh": [(lambda a: a.tanh(), A)],
    "log": [(lambda a: a.log(), P)],
    "sqrt": [(lambda a: a.sqrt(), P)],
    "clamp": [
        (lambda a: a.clamp(-0.5, 0.5), A),
        (lambda a, low: a.clamp(low), A, Fixed(B)),
        (lambda a, low, high: a.clamp(low, high), A, B, B + 0.5),
    ],
    "sum": [(lambda a: a.sum(1), A)],
    "mean": [(lambda a: a.mean(), A)],
    "var": [(lambda a: a.var(1), A)],
    "std": [(lambda a: a.std(), A)],
    "max": [(lambda a: a.max(), A), (lambda a: tuple(a.max(1)), A), (lambda a: tuple(a.max(0, keepdim=True)), A)],
    "prod": [(lambda a: a.prod(1), A)],
    "logsumexp": [(lambda a: a.logsumexp(1), A)],
    "softmax": [(lambda a: a.softmax(1), A)],
    "log_softmax": [(lambda a: a.log_softmax(0), A)],
    "reshape": [
        (lambda a: a.reshape(-1), A), (lambda a: a.reshape(2, 6), A.T), (lambda a: a.quantile(0.3, 0, True), A),
        (lambda a, i: a.take(i), A, integers(3, -1)),
    ],
    "view": [(lambda a: a.view(6, 2), A)],
    "flatten": [(lambda a: a.flatten(), A)],
    "squeeze": [(lambda a: a.squeeze(), A[:, None])],
    "unsqueeze": [(lambda a: a.unsqueeze(0), A)],
    "transpose": [(lambda a: a.transpose(0, 1), A)],
    "permute": [(lambda a: a.permute(2, 0, 1), CUBE)],
    "T": [(lambda a: a.T, A)],
    "expand": [(lambda a: a.expand(2, 3), A[:1, :3])],
    "split": [(lambda a: a.split(2, 1), A), (lambda a: a.chunk(3), A)],
    "index": [
        (lambda a: a[1:, 2], A),
        (lambda a, i: a[i], A, integers(0, 2)),
        (lambda a, i, j: a[i, j], A, integers(0, 2), integers(1, 3)),
        (lambda a, m: a[m], A, MASK),
        (lambda a, i: a[1, :, i], CUBE, integers(1, 5)),
        (lambda a, i: a[i:], A, np.array(1)),
        (lambda a, i: a[i], A, np.array(1)),
    ],
    "setitem": [
        (lambda a, v: assigned(a, v, 1), A, B[:1]),
        (lambda a, v, i: assigned(a, v, i), A, B[:2], CLASSES[[0, 2]]),
        (lambda a, i: assigned(a, 7.0, i, 2), A, integers(1, 0)),
        (lambda a, m, v: assigned(a, v, m), A, MASK, normal(int(MASK.sum()))),
        (lambda a, v, i: assigned(a, v, 1, slice(None), i), CUBE, normal(3, 2), integers(0, 5)),
        (lambda a, v: assigned(a, v, 0), Fixed(A), B[0]),
    ],
    "cat": [(lambda a, b: nn.cat([a, b], 1), A, B)],
    "stack": [(lambda a, b: nn.stack([a, b], 1), A, B)],
    "unflatten": [(lambda a: a.unflatten(1, (2, 2)), A)],
    "flip": [(lambda a: a.flip(0), A), (lambda a: a[0, 0].flip(0), A)],
    "roll": [(lambda a: a.roll(1, 0), A), (lambda a: a.roll(2), A)],
    "rot90": [(lambda a: a.rot90(), A)],
    "repeat": [(lambda a: a.repeat(2, 1), A)],
    "index_select": [
        (lambda a, i: a.index_select(1, i), A, integers(3, 1, 1)), (lambda a, n: a.repeat_interleave(n, 0), A, CLASSES),
        (lambda a, i: nn.index_select(a, 0, i), A, integers(1, 0)),
    ],
    "gather": [
        (lambda a, i: a.gather(1, i), A, integers([3, 1], [0, 0])),
        (lambda a, i: a.take_along_dim(i, 1), A, integers([3], [0], [1])), (lambda a: a.nanmedian(0).values, A),
    ],
    "scatter": [
        (lambda a, i, b: a.scatter(1, i, b), A, integers([3, 1], [0, 0]), B),
        (lambda a, i: a.scatter(0, i, 2), A, integers([2, 0])),
        (lambda a, i, b: a.index_copy(0, i, b), A, integers(2, 0, 1), B),
    ],
    "scatter_add": [(lambda a, i, b: a.scatter_add(1, i, b), A, integers([3, 1], [0, 0]), B)],
    "scatter_reduce": [
        (lambda a, i, b, how=how: a.scatter_reduce(1, i, b, how), A, integers([3, 1], [0, 0]), B)
        for how in ("mean", "prod", "amax")
    ],
    "index_add": [(lambda a, i, b: a.index_add(0, i, b, alpha=2), A, integers(2, 0, 2), B)],
    "cumsum": [(lambda a: a.cumsum(1), A)],
    "cumprod": [(lambda a: a.cumprod(1), A)],
    "cummax": [(lambda a: tuple(a.cummax(1)), A)],
    "cummin": [(lambda a: tuple(a.cummin(0)), A)],
    "logcumsumexp": [(lambda a: a.logcumsumexp(1), A)],
    "sort": [(lambda a: tuple(a.sort(1)), A), (lambda a: a.msort(), A)],
    "topk": [(lambda a: tuple(a.topk(2, 0)), A)],
    "kthvalue": [(lambda a: tuple(a.kthvalue(2)), A)],
    "median": [(lambda a: tuple(a.median(1)), A), (lambda a: a.median(), A)],
    "block_diag": [(nn.block_diag, A, B[0])],
    "windows": [(lambda a: a.unfold(1, 2, 1), A)],
    "amax": [(lambda a: a.amax(1), A), (lambda a: a.amax((0, 1)), A), (lambda a: a.amax(), A)],
    "amin": [(lambda a: a.amin(1), A)],
    "norm": [(lambda a: a.norm(), A), (lambda a: a.norm(3, 1), A)],
    "cdist": [(lambda a, b: nn.cdist(a, b, compute_mode="use_mm_for_euclid_dist"), A, B)],
    "linear": [(F.linear, A, normal(2, 4), normal(2))],
    "feed_forward": [
        (lambda *t: F.feed_forward(*t, "gelu"), A, normal(5, 4), normal(5), normal(2, 5), normal(2)),
        (lambda *t: F.feed_forward(*t, "swiglu"), A, normal(6, 4), normal(6), normal(2, 3), normal(2)),
    ],
    "conv1d": [(F.conv1d, CUBE, normal(4, 3, 3), normal(4))],
    "conv2d": [(F.conv2d, IMAGE, normal(4, 3, 2, 2), normal(4))],
    "conv3d": [(F.conv3d, VOLUME, normal(3, 2, 2, 2, 2), normal(3))],
    "conv_transpose1d": [(F.conv_transpose1d, CUBE, normal(3, 2, 3), normal(2))],
    "conv_transpose2d": [(F.conv_transpose2d, IMAGE, normal(3, 2, 2, 2), normal(2))],
    "conv_transpose3d": [(F.conv_transpose3d, VOLUME, normal(2, 2, 2, 2, 2), normal(2))],
    "leaky_relu": [(F.leaky_relu, A), (F.leaky_relu, A, Fixed(np.array(0.3)))],
    "prelu": [(F.prelu, A, normal(4)), (F.prelu, A, np.array(0.3))],
    "elu": [(F.elu, A), (F.elu, A, Fixed(np.array(0.3)))],
    "selu": [(F.selu, A)],
    "celu": [(F.celu, A), (F.celu, A, Fixed(np.array(0.3)))],
    "gelu": [(F.gelu, A), (lambda a: F.gelu(a, "tanh"), A)],
    "silu": [(F.silu, A)],
    "mish": [(F.mish, A)],
    "softplus": [(F.softplus, A), (F.softplus, A, Fixed(np.array(0.3)), Fixed(np.array(2.0)))],
    "hardtanh": [(F.hardtanh, A), (F.hardtanh, A, Fixed(np.array(-0.3)), Fixed(np.array(0.2)))],
    "hardswish": [(F.hardswish, A)],
    "hardsigmoid": [(F.hardsigmoid, A)],
    "glu": [(F.glu, A)],
    "logsigmoid": [(F.logsigmoid, A)],
    "dropout": [(F.dropout, A)],
    "dropout1d": [(F.dropout1d, CUBE)],
    "dropout2d": [(F.dropout2d, IMAGE)],
    "dropout3d": [(F.dropout3d, VOLUME)],
    "batch_norm": normed("batch_norm"),
    "instance_norm": normed("instance_norm"),
    "group_norm": [(lambda x, w, b: F.group_norm(x, 3, w, b), CUBE, normal(3), normal(3))],
    "layer_norm": [
        (lambda x, w, b: F.layer_norm(x, (4,), w, b), A, normal(4), normal(4)),
        (lambda x: F.layer_norm(x, 4), A),
    ],
    "add_layer_norm": [
        (lambda x, r, w, b: F.add_layer_norm(x, r, (4,), w, b), A, B, normal(4), normal(4)),
        (lambda x, r, w, b: F.add_layer_norm(x, r, (4,), w, b, return_sum=True), A, B, normal(4), normal(4)),
    ],
    "rms_norm": [(lambda x, w: F.rms_norm(x, (4,), w), A, normal(4))],
    "local_response_norm": [(lambda x, k: F.local_response_norm(x, 2, k=k), CUBE, Fixed(np.array(1.5)))],
    "scaled_dot_product_attention": [
        (attention, STATES, STATES + 1, normal(3, 2, 5)),
        (attention, STATES, STATES + 1, normal(3, 2, 5), np.array([[True, False], [True, True]])),
        (attention, STATES, STATES + 1, normal(3, 2, 5), normal(2, 2)),
        (lambda q, k, v, a: attention(q, k, v, alibi=a), STATES, STATES + 1, normal(3, 2, 5), Fixed(positive(3))),
        (lambda q, k, v, s: attention(q, k, v, scale=s), STATES, STATES + 1, normal(3, 2, 5), Fixed(np.array(0.3))),
        (lambda q, k, v: attention(q, k, v, is_causal=True, dropout_p=0.5), STATES, STATES + 1, normal(3, 2, 5)),
    ],
    "embedding": [
        (F.embedding, integers(0, 2), A),
        (lambda i, w: F.embedding(i, w, 0, 0.5, scale_grad_by_freq=True), integers(2, 0, 2), A),
    ],
    "embedding_bag": [
        (F.embedding_bag, integers([2, 0], [1, 1]), A),
        (lambda i, w: F.embedding_bag(i, w, mode="max"), integers([2, 0], [1, 1]), A),
        (lambda i, w, o: F.embedding_bag(i, w, o, mode="sum"), integers(2, 0, 1), A, integers(0, 2)),
        (
            lambda i, w, f: F.embedding_bag(i, w, mode="sum", per_sample_weights=f),
            integers([2, 0], [1, 1]),
            A,
            normal(2, 2),
        ),
    ],
    "rotary_embedding": [
        (F.rotary_embedding, CUBE, *(Fixed(table) for table in kernels.rotary_tables(4, 8, dtype=np.float64))),
        (
            F.rotary_embedding,
            CUBE,
            *(Fixed(table) for table in kernels.rotary_tables(4, 8, dtype=np.float64)),
            integers(3, 0, 1),
        ),
    ],
    "pad": [(lambda a: F.pad(a, (1, 2)), A), (lambda a: F.pad(a, (-1, 2)), A)],
    **{f"max_pool{d}d": [
        (pooled(f"max_pool{d}d", 2), x),
        (pooled(f"max_pool{d}d", 2, None, 0, 1, False, True), x),
        (pooled(f"lp_pool{d}d", np.inf, 2), x),
    ] for d, x in ((1, CUBE), (2, IMAGE), (3, VOLUME))},
    **{f"avg_pool{d}d": [(pooled(f"avg_pool{d}d", 2), x)] for d, x in ((1, CUBE), (2, IMAGE), (3, VOLUME))},
    **{f"lp_pool{d}d": [(pooled(f"lp_pool{d}d", 2, 2), x)] for d, x in ((1, CUBE), (2, IMAGE), (3, VOLUME))},
    **{f"adaptive_avg_pool{d}d": [(pooled(f"adaptive_avg_pool{d}d", 2), x)]
       for d, x in ((1, CUBE), (2, IMAGE), (3, VOLUME))},
    **{f"adaptive_max_pool{d}d": [
        (pooled(f"adaptive_max_pool{d}d", 2), x), (pooled(f"adaptive_max_pool{d}d", 2, True), x)
    ] for d, x in ((1, CUBE), (2, IMAGE), (3, VOLUME))},
    **{f"max_unpool{d}d": [(unpooled(d)[0], *unpooled(d)[1])] for d in (1, 2, 3)},
    "unfold": [(pooled("unfold", 2), IMAGE)],
    "fold": [(pooled("fold", (3, 3), 2), normal(2, 8, 4))],
    "interpolate": [
        (lambda x: F.interpolate(x, 6, mode="linear"), CUBE),
        (lambda x, s: F.interpolate(x, scale_factor=s), CUBE, Fixed(np.array(2.0))),
    ],
    "lstm": [
        *recurrent("lstm", 4),
        *recurrent("lstm", 4, checkpoint_every=2),
        (projected, normal(3, 2, 3), normal(2, 2), normal(2, 4), normal(16, 3), normal(16, 2), normal(2, 4)),
    ],
    "gru": [*recurrent("gru", 3), *recurrent("gru", 3, checkpoint_every=2)],
    "rnn": [*recurrent("rnn", 1), *recurrent("rnn", 1, checkpoint_every=2)],
    "lstm_cell": [cell("lstm", 4)[:-1]],
    "gru_cell": [cell("gru", 3)[:-1]],
    "rnn_cell": [cell("rnn", 1)[:-1]],
    "cross_entropy": [
        *classified("cross_entropy", A),
        loss("cross_entropy", A, Fixed(Q)),
        loss("cross_entropy", A, CLASSES, label_smoothing=nn.tensor(0.1)),
    ],
    "nll_loss": classified("nll_loss", A),
    "linear_cross_entropy": [
        *(
            (
                lambda x, w, b, t, c, reduction=reduction: F.linear_cross_entropy(
                    x, w, t, linear_bias=b, weight=c, reduction=reduction
                ),
                A,
                normal(4, 4),
                normal(4),
                CLASSES,
                Fixed(positive(4)),
            )
            for reduction in ("mean", "none")
        ),
    ],
    **{name: [loss(name, A, B), loss(name, A, Fixed(B), reduction="none")] for name in ("mse_loss", "l1_loss")},
    "smooth_l1_loss": [
        loss("smooth_l1_loss", A, B),
        (lambda x, t, b: F.smooth_l1_loss(x, t, beta=b), A, B, Fixed(np.array(0.7))),
    ],
    "huber_loss": [
        loss("huber_loss", A, B),
        (lambda x, t, d: F.huber_loss(x, t, delta=d), A, B, Fixed(np.array(0.7))),
    ],
    "binary_cross_entropy": [loss("binary_cross_entropy", P, Fixed(Q), Fixed(positive(4)))],
    "binary_cross_entropy_with_logits": [
        loss("binary_cross_entropy_with_logits", A, Fixed(Q), Fixed(positive(4))),
        (
            lambda x, t, p: F.binary_cross_entropy_with_logits(x, t, pos_weight=p),
            A,
            Fixed(Q),
            Fixed(positive(4)),
        ),
    ],
    "kl_div": [
        loss("kl_div", A, Fixed(Q), reduction="sum"),
        loss("kl_div", A, Fixed(B), log_target=True, reduction="sum"),
    ],
    "ctc_loss": [
        (lambda x, t: F.ctc_loss(x, t, np.array([4, 3]), np.array([2, 1])), normal(4, 2, 3), integers([1, 2], [2, 1])),
        (
            lambda x, n, m: F.ctc_loss(x, np.array([[1, 2], [2, 1]]), n, m),
            normal(4, 2, 3),
            integers(4, 3),
            integers(2, 1),
        ),
    ],
    "grid_sample": [(lambda x, g: F.grid_sample(x, g, align_corners=False), IMAGE, normal(2, 3, 2, 2) * 0.5)],
    "pack_padded_sequence": [
        (lambda x, n: tuple(pack_padded_sequence(x, n, enforce_sorted=False)), normal(3, 2, 2), integers(2, 3)),
    ],
    "pad_packed_sequence": [(unpacked, normal(5, 3), ROWS, integers(1, 0))],
    "pad_sequence": [(lambda a, b: pad_sequence([a, b]), A, normal(2, 4))],
    **{name: [(getattr(nn, name), A)] for name in (
        "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh", "exp2", "expm1", "floor", "ceil", "trunc", "round",
        "frac", "sign", "nan_to_num", "erf", "erfc",
    )},
    **{name: [(getattr(nn, name), P)] for name in (
        "asin", "acos", "atanh", "log2", "log10", "log1p", "rsqrt", "reciprocal", "logit",
        "lgamma", "digamma",
    )},
    "acosh": [(nn.acosh, P + 1)],
    **{name: [(getattr(nn, name), A, B), (getattr(nn, name), A, Fixed(B))] for name in (
        "atan2", "hypot", "logaddexp", "copysign", "fmod", "remainder", "floor_divide", "heaviside",
    )},
    "tril": [(nn.tril, A)],
    "triu": [(nn.triu, A)],
    "diagonal": [(lambda a: nn.einsum("ii->i", a), A[:3, :3]), (nn.diagonal, A), (lambda a: nn.diag(a, 1), A)],
    "diag_embed": [(nn.diag_embed, A), (lambda a: nn.diag(a[0]), A)],
    "contiguous": [(lambda a: a.T.contiguous(), A)],
    "fractional_max_pool2d": [
        (lambda x, s: F.fractional_max_pool2d(x, 2, 2, None, True, s), IMAGE, Fixed(positive(2, 3, 2))),
    ],
    "fractional_max_pool3d": [(lambda x: F.fractional_max_pool3d(x, 2, 2), VOLUME)],
    "as_strided": [(lambda a: a.as_strided((2, 2), (4, 1), 1), A)],
    "mode": [(lambda a: tuple(a.mode(0)), A)],
    "svdvals": [(nn.linalg.svdvals, A)],
    "svd": [(lambda a: nn.autograd.grad(nn.linalg.svdvals(a).sum(), a, create_graph=True)[0], A)],
    "erfinv": [(nn.erfinv, P)],
    "checkpoint": [(lambda a, b: checkpoint(lambda a, b: a * b, a, b), A, B)],
    "sparse_coo_tensor": [(lambda a: sparse.sparse_coo_tensor([[0, 1, 1, 0]], a[0]), A)],
}  # fmt: skip
CASES = [
    pytest.param(name, function, arrays, id=f"{name} {i}")
    for name, cases in OPERATIONS.items()
    for i, (function, *arrays) in enumerate(cases)
]


def run(function, arrays):
    """The inputs and the results, tensors all."""
    nn.manual_seed(0)
    inputs = [
        nn.tensor(a.array) if isinstance(a, Fixed) else nn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays
    ]
    results = function(*inputs)
    results = results if isinstance(results, tuple) else (results,)
    return inputs, [r for r in results if isinstance(r, nn.Tensor)]


def gradients(inputs, results):
    for i, result in enumerate(results):
        if result.requires_grad:
            dy = np.random.default_rng(i).standard_normal(result.shape)
            result.backward(nn.tensor(dy, dtype=result.dtype), retain_graph=True)
    return [x.grad for x in inputs]


@pytest.mark.parametrize(("name", "function", "arrays"), CASES)
def test_every_change_in_place_raises_or_has_no_effect(name, function, arrays):
    inputs, results = run(function, arrays)
    nodes = [node for r in results if r.requires_grad for node in (r.grad_fn, *r.grad_fn.edges)]
    assert name in {node.name for node in nodes if isinstance(node, Node)}
    expected = gradients(inputs, results)
    for k in range(len(inputs) + len(results)):
        inputs, results = run(function, arrays)
        before = [x.array.copy() for x in (*inputs, *results)]
        if not (*inputs, *results)[k].array.flags.writeable:
            continue  # the result of `expand` is read-only
        change((*inputs, *results)[k])
        assert not np.array_equal((*inputs, *results)[k].array, before[k])
        try:
            found = gradients(inputs, results)
        except RuntimeError as error:
            assert "changed in place" in str(error)
            continue
        for x, e in zip(found, expected, strict=True):
            assert (x is None) == (e is None)
            if x is not None:
                np.testing.assert_allclose(x.array, e.array, rtol=1e-12, atol=1e-12, err_msg=f"input or result {k}")


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: x[i],
        lambda x, i: x[:, i],
        lambda x, i: x[1, i],
        lambda x, i: assigned(x, 0.0, i),
    ],
)
@pytest.mark.parametrize("make", [list, np.array])
def test_an_index_that_is_not_a_tensor_is_copied(function, make):
    x, i = nn.tensor(normal(3, 3), requires_grad=True), make([0, 2])
    y = function(x, i)
    y.sum().backward(retain_graph=True)
    expected, x.grad = x.grad.array, None
    i[0] = 1
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, expected)


def test_a_tensor_made_from_a_tensor_shares_its_version():
    x, w = nn.ones(2), nn.ones(2, requires_grad=True)
    y = (x * w).sum()
    nn.Tensor(x).add_(1)
    with pytest.raises(RuntimeError, match="a tensor that mul saved"):
        y.backward()


def test_a_gradient_that_backward_adds_to_counts_as_changed():
    w, v = nn.ones(2, requires_grad=True), nn.ones(2, requires_grad=True)
    (3 * w).sum().backward()
    y = (v * w.grad).sum()
    (3 * w).sum().backward()
    with pytest.raises(RuntimeError, match="a tensor that mul saved"):
        y.backward()


@pytest.mark.parametrize("clip", [nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_])
def test_a_gradient_that_is_clipped_counts_as_changed(clip):
    w, v = nn.ones(2, requires_grad=True), nn.ones(2, requires_grad=True)
    (3 * w).sum().backward()
    y = (v * w.grad).sum()
    clip(w, 0.5)
    with pytest.raises(RuntimeError, match="a tensor that mul saved"):
        y.backward()


# --- the table is complete --------------------------------------------------------------------------------------------

# First arguments that are computed (not constants, parameters or variables) -> their possible values
COMPUTED = {
    "cls.__name__": set(),  # a Function of a user
    "kind.name": {"lstm", "gru", "rnn"},
    "f'{kind.name}_cell'": {"lstm_cell", "gru_cell", "rnn_cell"},
}


def recorded_names():
    """All names that some file of nn passes to `record` or `record_several`, directly or through functions."""
    functions = [
        node
        for path in Path(nn.__file__).parent.rglob("*.py")
        if path.parent.name != "compilation"  # which records nothing, and has functions of the same names
        for parent in ast.walk(ast.parse(path.read_text()))
        if isinstance(parent, (ast.Module, ast.ClassDef))
        for node in parent.body
        if isinstance(node, ast.FunctionDef)
    ]
    names, passers, count = set(), {"record", "record_several", "record_linear"}, None
    while count != (count := len(passers)):  # until no further function is found that passes its first parameter
        for function in functions:
            first = function.args.args[0].arg if function.args.args else None
            for call in ast.walk(function):
                if not isinstance(call, ast.Call) or getattr(call.func, "id", None) not in passers or not call.args:
                    continue
                argument = call.args[0]
                if isinstance(argument, ast.Constant):
                    names.add(argument.value)
                elif isinstance(argument, ast.Name) and argument.id == first:
                    passers.add(function.name)
                elif isinstance(argument, ast.Name):
                    names |= {variables(function)[argument.id]}
                else:
                    names |= COMPUTED[ast.unparse(argument)]
    return names


def variables(function):
    """The strings that a function assigns to variables."""
    found = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=True)
            for t, v in pairs:
                if isinstance(t, ast.Name) and isinstance(v, (ast.Constant, ast.JoinedStr)):
                    found[t.id] = v.value if isinstance(v, ast.Constant) else ast.unparse(v)
    return found


def test_every_recorded_operation_is_in_the_table():
    names = recorded_names()
    for expression, values in COMPUTED.items():
        if expression in names:
            names = names - {expression} | values
    assert names == set(OPERATIONS)
