"""Every kernel and its gradient on numbers near the ends of float32, against float64.

If the float64 result rounds to a finite float32, that is the expected result: no intermediate sum, square, power or
quotient may overflow, underflow, or make a NaN of two infinities. Two magnitudes at a time are extreme, x and dy, or x
and a parameter: a product of three may overflow although the result does not.

Each case runs in the namespace `k`, first of `kernels`, then of `kernels.reference` on the same numbers in float64;
``k.keep`` passes what the forward saves for the backward from the first to the second.
"""

import importlib
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import kernels

SCALES = (1e-38, 1e-30, 1e30, 1e38)
GRADIENT_SCALES = (1.0, 1e-30, 1e30)
TINY = np.finfo(np.float32).tiny  # a smaller result is denormal and has fewer digits

LEFT_OUT = {
    "show_config": "prints facts",
    "set_num_threads": "sets a number",
    "get_num_threads": "reads a number",
    "set_flush_denormal": "sets a mode of the CPU",
    "alibi_slopes": "powers of two of the number of heads, from no array",
    "rotary_tables": "cosines and sines of positions, from no array of floats",
    "argmax": "gives an index, judged with max",
    "argsort": "gives indices, judged with sort",
    "searchsorted": "gives places, from comparisons alone",
    "bucketize": "gives places, from comparisons alone",
    "unique": "picks values, by the loops of sort",
    **dict.fromkeys(("gather", "index_select", "scatter"), "moves values; tests/test_along.py"),
    **dict.fromkeys(("scatter_add", "scatter_reduce", "index_add"), "sums of few values; tests/test_along.py"),
    **dict.fromkeys(("lgamma", "digamma"), "scalar loops, judged over their range in tests/test_elementary.py"),
    "ctc_loss": "logarithms of probabilities, judged in tests/test_sequences.py",
    "grid_sample": "weights are coordinates, which have no scale; tests/test_sampling.py",
    "im2col": "unfold as jitted code calls it: the same loops",
    "col2im": "fold as jitted code calls it: the same loops",
    "linear_loops": "linear as jitted code calls it: the same loops",
    "matmul_loops": "matmul as jitted code calls it: the same loops",
}


class Draw:
    """Arrays from one seed, in float32 for the kernel, and the same values in float64 for the reference."""

    def __init__(self, scale, gradient_scale, dtype):
        self.scale, self.gradient_scale, self.dtype = scale, gradient_scale, dtype
        self.rng = np.random.default_rng(0)

    def _cast(self, x):
        return np.asarray(x, np.float32).astype(self.dtype)

    def __call__(self, *shape, power=1, factor=1.0):
        """Numbers of magnitude scale ** power."""
        values = np.clip(self.rng.standard_normal(shape), -2.5, 2.5) * factor
        return self._cast(values * float(self.scale) ** power)

    def unit(self, *shape):
        """Numbers from 0 to 1."""
        return self._cast(self.rng.random(shape))

    def gradient(self, *shape):
        return self._cast(np.clip(self.rng.standard_normal(shape), -2.5, 2.5) * self.gradient_scale)


class Kernels:
    """The namespace of the kernels; lists what a case keeps."""

    def __init__(self):
        self.kept = []

    def __getattr__(self, name):
        return getattr(kernels, name)

    def keep(self, x):
        self.kept.append(x)
        return x

    def empty(self, *shape):
        return np.empty(shape, np.float32)


class Reference:
    """The namespace of a family's reference."""

    def __init__(self, family, kept):
        self.module, self.left = importlib.import_module(f"kernels.reference.{family}"), list(kept)

    def __getattr__(self, name):
        return getattr(self.module, name)

    def keep(self, x):
        kept = self.left.pop(0)
        return kept.astype(np.float64) if kept.dtype == np.float32 else kept

    def empty(self, *shape):
        return np.empty(shape, np.float64)


CASES = {}  # name -> (family, function of k and Draw that yields results, whether each element stands for itself)


def case(family, *names, elementwise=False):
    """Register the decorated ``run(k, d, name)`` as the case of all `names`."""

    def add(run):
        for name in names:
            CASES[name] = family, run, elementwise
        return run

    return add


# --- activations -----------------------------------------------------------------------------------------------------

FROM_OUTPUT = ("relu", "sigmoid", "tanh", "exp")
FROM_INPUT = (
    "leaky_relu", "hardtanh", "hardsigmoid", "hardswish", "silu", "mish", "gelu", "elu", "selu", "celu", "softplus",
    "logsigmoid",
)  # fmt: skip
PARAMETERS = {
    "gelu": [("none",), ("tanh",)],
    "elu": [(1.0,), (1e-30,), (1e30,)],
    "celu": [(1.0,), (1e-38,), (1e-30,), (1e30,)],
    "softplus": [(1.0,), (1e-30,), (1e30,)],
    "leaky_relu": [(0.01,), (1e-30,)],
}


@case("activation", *FROM_OUTPUT, *FROM_INPUT, elementwise=True)
def activation(k, d, name):
    for parameters in PARAMETERS.get(name, [()]):
        x = d(67)
        y = getattr(k, name)(x, *parameters)
        yield y
        saved = k.keep(y) if name in FROM_OUTPUT else x
        yield getattr(k, f"{name}_backward")(d.gradient(67), saved, *parameters)


@case("activation", "erf", "erfc", "expm1", "log1p", "rsqrt", elementwise=True)
def elementary(k, d, name):
    x = d(67)
    x = np.abs(x) if name in ("log1p", "rsqrt") else -np.abs(x) if name == "expm1" else x
    y = getattr(k, name)(x)
    yield y
    saved = k.keep(y) if name in ("expm1", "rsqrt") else x
    yield getattr(k, f"{name}_backward")(d.gradient(67), saved)


@case("activation", "prelu")
def prelu(k, d, name):
    x, weight = d(3, 5, 7), d(5, power=0)
    yield k.prelu(x, weight)
    yield from k.prelu_backward(d.gradient(3, 5, 7), x, weight)


@case("activation", "glu", elementwise=True)
def glu(k, d, name):
    x = d(3, 34)
    yield k.glu(x)
    yield k.glu_backward(d.gradient(3, 17), x)


# --- products: of factors whose product is a number ------------------------------------------------------------------


@case("gemm", "matmul")
def matmul(k, d, name):
    for power in (0, -1):
        a, b = d(5, 7, factor=0.1), d(7, 9, power=power, factor=0.1)
        yield k.matmul(a, b)
        yield from k.matmul_backward(d.gradient(5, 9), a, b)


@case("affine", "linear")
def linear(k, d, name):
    for activation in (None, "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"):
        x, weight, bias, before = d(5, 7, factor=0.1), d(9, 7, power=0), d(9, power=0), k.empty(5, 9)
        y = k.linear(x, weight, bias, activation, preactivation=before if activation else None)
        yield y
        saved = None if activation is None else k.keep(y if activation in ("relu", "sigmoid", "tanh") else before)
        yield from k.linear_backward(d.gradient(5, 9), x, weight, activation, saved)


@case("mlp", "feed_forward")
def feed_forward(k, d, name):
    for activation in ("relu", "gelu", "gelu_tanh", "silu", "swiglu"):
        # the hidden layer of swiglu is a product of two
        parts, power = (2, -0.5) if activation == "swiglu" else (1, 0)
        x, weight2 = d(5, 4, factor=0.02), d(3, 6, power=0, factor=0.1)
        weight1, bias1, bias2 = d(6 * parts, 4, power=power), d(6 * parts, power=0), d(3, power=0)
        before = k.empty(*((2, 5, 6) if parts == 2 else (5, 6)))
        yield k.feed_forward(x, weight1, bias1, weight2, bias2, activation, preactivation=before)
        dy = d(5, 3, power=0) if activation == "swiglu" else d.gradient(5, 3)
        yield from k.feed_forward_backward(dy, x, weight1, weight2, k.keep(before), activation)


@case("convolution", *(f"conv{n}d" for n in (1, 2, 3)), *(f"conv_transpose{n}d" for n in (1, 2, 3)))
def convolution(k, d, name):
    n = int(name[-2])
    x, weight, bias = (
        d(2, 3, *(6,) * n, factor=0.02),
        d(*((3, 4) if "transpose" in name else (4, 3)), *(3,) * n, power=0),
        d(4),
    )
    y = getattr(k, name)(x, weight, bias)
    yield y
    yield from getattr(k, f"{name}_backward")(d.gradient(*y.shape), x, weight)


@case("attention", "scaled_dot_product_attention")
def attention(k, d, name):
    for power in (0, -1, 1):  # the values are summed before they are divided by the sum of their weights
        q, key = d(1, 2, 5, 8, factor=0.1, power=power), d(1, 2, 6, 8, power=-power)
        v, lse = d(1, 2, 6, 4, power=0 if power else 1, factor=0.1), k.empty(1, 2, 5)
        dy = d.gradient(1, 2, 5, 4) if power else d(1, 2, 5, 4, power=0)
        y = k.scaled_dot_product_attention(q, key, v, lse=lse)
        yield y
        yield from k.scaled_dot_product_attention_backward(dy, q, key, v, k.keep(y), k.keep(lse))[:3]


@case("attention", "rotary_embedding")
def rotary_embedding(k, d, name):
    angle = d(5, 4, power=0)
    x, cos, sin = d(1, 2, 5, 8, factor=0.5), np.cos(angle), np.sin(angle)
    yield k.rotary_embedding(x, cos, sin)
    yield k.rotary_embedding_backward(d.gradient(1, 2, 5, 8), cos, sin)


# --- recurrent --------------------------------------------------------------------------------------------------------


@case("recurrent", "rnn", "gru", "lstm")
def recurrent(k, d, name):
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[name]
    x, h = d(3, 2, 4, factor=0.1), d(2, 5, power=0)
    weights = d(gates * 5, 4, power=0), d(gates * 5, 5, power=0), d(gates * 5, power=0), d(gates * 5, power=0)
    if name == "lstm":
        c, kept = d(2, 5), {"gates": k.empty(3, 2, 20), "cells": k.empty(3, 2, 5)}
        y, (last, cell) = k.lstm(x, (h, c), *weights, **kept)
        yield from (y, last, cell)
        dy, dhx = d.gradient(3, 2, 5), (d.gradient(2, 5), d.gradient(2, 5))
        saved = k.keep(y), k.keep(kept["gates"]), k.keep(kept["cells"])
        dx, (dh, dc), *others = k.lstm_backward(dy, dhx, x, (h, c), *weights[:2], *saved)
        yield from (dx, dh, dc, *(g for g in others if g is not None))
        return
    kept = {"gates": k.empty(3, 2, 20)} if name == "gru" else {}
    y, last = getattr(k, name)(x, h, *weights, **kept)
    yield from (y, last)
    saved = [k.keep(y), *(k.keep(array) for array in kept.values())]
    yield from getattr(k, f"{name}_backward")(d.gradient(3, 2, 5), d.gradient(2, 5), x, h, *weights[:2], *saved)


@case("recurrent", "rnn_cell", "gru_cell", "lstm_cell")
def cell(k, d, name):
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[name[:-5]]
    x, h, c = d(2, 4, factor=0.1), d(2, 5, power=0), d(2, 5)
    y = getattr(k, name)(x, (h, c) if gates == 4 else h, d(gates * 5, 4, power=0), d(gates * 5, 5, power=0))
    yield from y if gates == 4 else (y,)


# --- lookup -----------------------------------------------------------------------------------------------------------

IDS = np.array([3, 0, 3, 5, 1, 3])


@case("lookup", "embedding")
def embedding(k, d, name):
    yield k.embedding(IDS, d(7, 5))
    for max_norm, norm_type in ((1.0, 2.0), (1.0, 1.0), (1e-20, 2.0), (1.0, 3.0), (1.0, math.inf)):
        yield k.embedding(IDS, d(7, 5), max_norm=max_norm, norm_type=norm_type)
    yield k.embedding_backward(d.gradient(6, 5), IDS, 7)


@case("lookup", "embedding_bag")
def embedding_bag(k, d, name):
    offsets = np.array([0, 2, 5])
    for mode in ("sum", "mean", "max"):
        weight = d(7, 5)
        y = k.embedding_bag(IDS, weight, offsets, mode=mode)
        yield y
        if mode != "max":
            yield k.embedding_bag_backward(d.gradient(3, 5), IDS, weight, offsets, mode=mode)[0]


# --- losses -----------------------------------------------------------------------------------------------------------


@case("loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
def difference(k, d, name):
    parameters = {"smooth_l1_loss": (1.0, 1e-38, 1e-30, 1e30), "huber_loss": (1.0, 1e-30, 1e30)}.get(name, (None,))
    for parameter in parameters:
        if parameter not in (None, 1.0) and d.gradient_scale != 1.0:
            continue
        rest = () if parameter is None else (parameter,)
        x, target = d(67, factor=0.5), d(67, factor=0.5)
        for reduction in ("none", "sum", "mean"):
            yield getattr(k, name)(x, target, reduction, *rest)
            dy = d.gradient(*((67,) if reduction == "none" else ()))
            yield from getattr(k, f"{name}_backward")(dy, x, target, reduction, *rest)


@case("loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div")
def probabilities(k, d, name):
    x, target = d(67), d.unit(67)
    if name == "binary_cross_entropy":
        x = np.minimum(np.abs(x), 1)
    for reduction in ("none", "sum", "mean"):
        yield getattr(k, name)(x, target, reduction=reduction)
        dy = d.gradient(*((67,) if reduction == "none" else ()))
        yield getattr(k, f"{name}_backward")(dy, x, target, reduction=reduction)


@case("loss", "cross_entropy", "nll_loss")
def classification(k, d, name):
    for reduction in ("none", "sum", "mean"):
        x, index, weight = d(6, 7, factor=0.2), np.array([3, 0, 6, 5, 1, 3]), d.unit(7)
        dy = d.gradient(*((6,) if reduction == "none" else ()))
        yield getattr(k, name)(x, index, weight, reduction=reduction)
        yield getattr(k, f"{name}_backward")(dy, x, index, weight, reduction=reduction)
        if name == "cross_entropy":
            target = d.unit(6, 7)
            target = target / target.sum(1, keepdims=True)
            target = k.keep(target)
            yield k.cross_entropy(x, target, reduction=reduction, label_smoothing=0.1)
            yield k.cross_entropy_backward(dy, x, target, reduction=reduction, label_smoothing=0.1)


@case("loss", "linear_cross_entropy")
def linear_cross_entropy(k, d, name):
    x, weight, target = d(6, 4, factor=0.1), d(7, 4, power=-1), np.array([3, 0, 6, 5, 1, 3])
    yield k.linear_cross_entropy(x, weight, target)
    yield from k.linear_cross_entropy_backward(d.gradient(), x, weight, target)


# --- normalisation ----------------------------------------------------------------------------------------------------
# eps = 0 (or as good as 0, in training) leaves the size of x to itself; rows are longer and shorter than a block.


def kept(k, *shape):
    return {"mean": k.empty(*shape), "rstd": k.empty(*shape)}


@case("normalization", "layer_norm", "rms_norm", "add_layer_norm")
def rows(k, d, name):
    for n, eps in ((5, 0.0), (67, 1e-5), (10007, 0.0), (10007, 1e-5)):
        x, weight, dy = d(3, n), d(n, power=0), d.gradient(3, n)
        if name == "rms_norm":
            rstd = k.empty(3)
            yield k.rms_norm(x, n, weight, eps, rstd=rstd)
            yield from k.rms_norm_backward(dy, x, n, k.keep(rstd), weight)
            continue
        stored = kept(k, 3)
        if name == "layer_norm":
            yield k.layer_norm(x, n, weight, weight, eps, **stored)
            yield from k.layer_norm_backward(dy, x, n, *map(k.keep, stored.values()), weight)
        else:
            total, half = k.empty(3, n), x * x.dtype.type(0.5)
            yield k.add_layer_norm(half, half, n, weight, weight, eps, sum=total, **stored)
            yield from k.add_layer_norm_backward(dy, k.keep(total), n, *map(k.keep, stored.values()), weight)


@case("normalization", "batch_norm")
def batch_norm(k, d, name):
    for shape, eps in itertools.product(((40, 5), (6, 5, 3), (3, 5, 67), (2, 3, 5000)), (1e-300, 1e-5)):
        C = shape[1]
        x, weight, dy, stored = d(*shape), d(C, power=0, factor=0.1), d.gradient(*shape), kept(k, C)
        running = d(C), np.abs(d(C, power=0))
        yield k.batch_norm(x, *running, weight, weight, True, 0.1, eps, **stored)
        yield from running
        yield from k.batch_norm_backward(dy, x, *map(k.keep, stored.values()), weight)
        running, stored = (d(C, factor=0.3), np.abs(d(C, power=0))), kept(k, C)
        yield k.batch_norm(x, *running, weight, weight, False, 0.1, eps, **stored)
        yield from k.batch_norm_backward(dy, x, *map(k.keep, stored.values()), weight, False)


@case("normalization", "group_norm", "instance_norm")
def groups(k, d, name):
    for shape, eps in itertools.product(((3, 4, 9), (3, 4, 67), (2, 4, 5000)), (0.0, 1e-5)):
        N, C = shape[:2]
        x, weight, dy = d(*shape), d(C, power=0, factor=0.1), d.gradient(*shape)
        if name == "group_norm":
            stored = kept(k, N, 2)
            yield k.group_norm(x, 2, weight, weight, eps, **stored)
            yield from k.group_norm_backward(dy, x, 2, *map(k.keep, stored.values()), weight)
        else:
            stored, running = kept(k, N, C), (d(C), np.abs(d(C, power=0)))
            yield k.instance_norm(x, *running, weight, weight, eps=eps, **stored)
            yield from running
            yield from k.instance_norm_backward(dy, x, *map(k.keep, stored.values()), weight)


@case("normalization", "local_response_norm")
def local_response_norm(k, d, name):
    for alpha, beta, constant in ((1e-4, 0.75, 1.0), (1.0, 0.5, 1.0), (1.0, 0.5, 0.0)):
        x = d(2, 5, 67)
        yield k.local_response_norm(x, 3, alpha, beta, constant)
        yield k.local_response_norm_backward(d.gradient(2, 5, 67), x, 3, alpha, beta, constant)


# --- pooling ----------------------------------------------------------------------------------------------------------

DIMS = (1, 2, 3)


@case("pooling", *(f"{kind}_pool{n}d" for kind in ("max", "avg", "lp") for n in DIMS))
def pool(k, d, name):
    n = int(name[-2])
    for order in (2.0, 3.0, 1.0, math.inf) if name.startswith("lp") else (None,):
        x = np.abs(d(2, 3, *(7,) * n))  # the cube root of a negative sum is NaN
        arguments = (3, 2) if order is None else (order, 3, 2)
        options = {"return_indices": True} if name.startswith("max") else {}
        y = getattr(k, name)(x, *arguments, **options)
        y, *indices = y if options else (y,)
        yield y
        dy, backward = d.gradient(*y.shape), getattr(k, f"{name}_backward")
        if name.startswith("lp"):
            yield backward(dy, x, k.keep(y), *arguments)
        else:
            yield backward(dy, x.shape, *indices, *arguments)


@case("pooling", *(f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in DIMS))
def adaptive(k, d, name):
    x = d(2, 3, *(7,) * int(name[-2]))
    options = {"return_indices": True} if "max" in name else {}
    y = getattr(k, name)(x, 3, **options)
    y, *indices = y if options else (y,)
    yield y
    yield getattr(k, f"{name}_backward")(d.gradient(*y.shape), x.shape, *indices)


@case("pooling", *(f"max_unpool{n}d" for n in DIMS))
def unpool(k, d, name):
    n = int(name[-2])
    _, indices = getattr(k, name.replace("unpool", "pool"))(d(2, 3, *(6,) * n), 2, return_indices=True)
    y = getattr(k, name)(d(*indices.shape), indices, 2)
    yield y
    yield getattr(k, f"{name}_backward")(d.gradient(*y.shape), indices)


@case("pooling", "unfold", "fold", "interpolate")
def patches(k, d, name):
    if name == "interpolate":
        for mode in ("nearest", "bilinear", "bicubic"):
            x = d(2, 3, 5, 6, factor=0.5)
            yield k.interpolate(x, (7, 9), mode=mode)
            yield k.interpolate_backward(d.gradient(2, 3, 7, 9), x.shape, (7, 9), mode=mode)
        return
    x = d(2, 3, 5, 6) if name == "unfold" else d(2, 27, 12, factor=0.1)
    y = k.unfold(x, 3) if name == "unfold" else k.fold(x, (5, 6), 3)
    yield y
    dy = d.gradient(*y.shape)
    yield k.unfold_backward(dy, x.shape, 3) if name == "unfold" else k.fold_backward(dy, x.shape, 3)


# --- reductions -------------------------------------------------------------------------------------------------------


@case("reduction", "sum", "mean")
def sums(k, d, name):
    for shape, dim in (((67,), 0), ((3, 5000), 1), ((40, 67), 0), ((200, 67), 0), ((5000,), None), ((3, 40, 5), 1)):
        x = d(*shape, factor=1.0 if name == "mean" else 1e-3)
        y = getattr(k, name)(np.abs(x), dim)
        yield y
        yield getattr(k, f"{name}_backward")(d.gradient(*y.shape), shape, dim)


@case("reduction", "max")
def largest(k, d, name):
    x = d(5, 67)
    y, indices = k.max(x, 1)
    yield y
    yield indices
    yield k.max_backward(d.gradient(5), x, 1, False, indices)


@case("reduction", "softmax", "log_softmax", "logsumexp")
def exponentials(k, d, name):
    for dim in (0, 1):
        for offset in (0.0, 1e7):
            x = d(9, 67) + d(1, power=0).dtype.type(offset)
            y = k.keep(getattr(k, name)(x, dim))
            yield getattr(k, name)(x, dim)
            dy = d.gradient(*y.shape)
            yield getattr(k, f"{name}_backward")(dy, *((x, y) if name == "logsumexp" else (y,)), dim)


# --- scans ------------------------------------------------------------------------------------------------------------


@case("scan", "cumsum", "cumprod", "logcumsumexp")
def scans(k, d, name):
    for shape, dim in (((67,), 0), ((3, 9), 1), ((20, 9), 0), ((3, 20, 2), 1)):
        for offset in (0.0, 1e7):
            if name == "cumprod":
                x = np.abs(d(*shape, factor=0.1)) + d.dtype(0.1)  # some are small, and none is 0
            else:
                x = d(*shape, factor=1e-3) + d(1, power=0).dtype.type(offset)
            yield getattr(k, name)(x, dim)
            dy = d.gradient(*shape)
            yield getattr(k, f"{name}_backward")(dy, *(() if name == "cumsum" else (x,)), dim)


@case("scan", "cummax", "cummin")
def extremes_so_far(k, d, name):
    for dim in (0, 1):
        y, indices = getattr(k, name)(d(20, 67), dim)
        yield y
        yield indices
        yield getattr(k, f"{name}_backward")(d.gradient(20, 67), indices, dim)


# --- sorting ----------------------------------------------------------------------------------------------------------


@case("sorting", "sort", "topk", "kthvalue", "median")
def order(k, d, name):
    for dim in (0, 1):
        x = d(20, 67)
        y, indices = getattr(k, name)(x, *({"topk": (5,), "kthvalue": (5,)}.get(name, ())), dim)
        yield y
        yield indices
        yield k.sort_backward(d.gradient(*y.shape), indices, (20, 67), dim)


# --- updates: states are squares, so that gradients of 1e±30 are outside of float32 by themselves --------------------


@case("update", "sgd", "adam", "adamw", "rmsprop", "adagrad")
def update(k, d, name):
    factor = d.scale**0.5 * (0.1 if d.scale > 1 else 1.0)
    states = {"sgd": 1, "adam": 3, "adamw": 3, "rmsprop": 3, "adagrad": 1}[name]
    arrays = [np.zeros_like(d(67)) for _ in range(states)]
    options = {"sgd": {"lr": 1e-3, "momentum": 0.9}, "rmsprop": {"momentum": 0.5}}.get(name, {})
    p = d(67, power=0)
    for step in (1, 2, 3):
        g = d(67, power=0, factor=factor)
        each = options if name in ("sgd", "rmsprop") else {"step": step}
        getattr(k, name)([p], [g], *([array] for array in arrays), **each)
        yield p.copy()
    yield from arrays


@case("update", "clip_grad_norm")
def clip_grad_norm(k, d, name):
    for norm_type in (2.0, 1.0, math.inf):
        for most in (1.0, 1e-20):
            grads = [d(67, factor=0.05), d(3, 5, factor=0.05)]
            yield np.asarray(k.clip_grad_norm(grads, most, norm_type))
            yield from grads


# --- the tests --------------------------------------------------------------------------------------------------------


def judge(got, want, elementwise, label):
    got, want = np.asarray(got), np.asarray(want, np.float64)
    assert got.shape == want.shape, label
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=label)
        return
    finite = np.abs(want) <= np.finfo(np.float32).max * (1 - 1e-5)
    got, want = got[finite].astype(np.float64), want[finite]
    size = np.abs(want) if elementwise else np.abs(want).max(initial=0)
    bad = ~(np.abs(got - want) <= 2e-5 * size + TINY)
    assert not bad.any(), f"{label}: {bad.sum()} of {bad.size} are wrong, first {got[bad][0]} instead of {want[bad][0]}"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", CASES)
def test_extremes(name, scale):
    family, run, elementwise = CASES[name]
    with np.errstate(all="ignore"):
        for gradient_scale in GRADIENT_SCALES:
            ours, sizes = Kernels(), (scale, gradient_scale)
            results = list(run(ours, Draw(*sizes, np.float32), name))
            expected = list(run(Reference(family, ours.kept), Draw(*sizes, np.float64), name))
            for i, (got, want) in enumerate(zip(results, expected, strict=True)):
                if want is not None:
                    judge(got, want, elementwise, f"{name}, x of {scale}, dy of {gradient_scale}, result {i}")


def test_every_kernel_has_a_case():
    public = {name for name, value in vars(kernels).items() if callable(value) and not name.startswith("_")}
    forward = {name for name in public if not name.endswith("_backward")}
    assert forward == {*CASES, *LEFT_OUT}
    assert {name.removesuffix("_backward") for name in public} == forward  # sort_backward serves all selections


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*FROM_OUTPUT, *FROM_INPUT])
def test_slopes_of_activations_at_infinity(name, dtype):
    """Values and derivatives are PyTorch's; if it multiplies 0 by infinity and gets NaN, ours are NaN or the limit."""
    function, theirs = getattr(kernels, name), getattr(torch if name == "exp" else F, name)
    for options in ({}, {"approximate": "tanh"}) if name == "gelu" else ({},):
        for sign in (1, -1) if name != "exp" else (-1,):  # exp(inf) is infinite, and so is its slope
            x = np.repeat(np.array([sign * np.inf, sign * 1e30], dtype), 64)  # enough for PyTorch's vector loop
            y = function(x, **options)
            slopes = getattr(kernels, f"{name}_backward")(np.ones_like(x), y if name in FROM_OUTPUT else x, **options)
            assert np.isfinite(slopes[64:]).all()
            tensor = torch.from_numpy(x).requires_grad_()
            result = theirs(tensor, **options)
            result.sum().backward()
            for got, want in ((y, result.detach().numpy()), (slopes, tensor.grad.numpy())):
                known = ~np.isnan(want)
                np.testing.assert_allclose(got[known], want[known], rtol=1e-6, atol=1e-37)
            assert np.isnan(slopes[0]) or slopes[0] == slopes[64]
