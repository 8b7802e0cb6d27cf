"""Linear + bias + activation at a transformer's and a classifier's shapes: M-K-N is x (M, K), weight (N, K)."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.cases.gemm import SKINNY, kind_of
from benchmarks.cases.row import FLOAT, HAS_JAX, Row, calls, jitted, named, normals, pullback

if HAS_JAX:
    import jax

aten = torch.ops.aten


def rows():
    for activation, dims in itertools.product(("gelu", "relu"), SKINNY):
        yield linear(*dims, activation)
        yield linear_backward(*dims, activation)


def inputs(m: int, k: int, n: int) -> list[np.ndarray]:
    """x, weight at the scale that keeps the output's variance, bias."""
    x, weight, bias = normals((m, k), (n, k), (n,))
    return [x, weight * np.float32(k**-0.5), bias]


def jax_linear(activation: str):
    def function(x, weight, bias):
        y = x @ weight.T + bias
        return jax.nn.gelu(y, approximate=False) if activation == "gelu" else jax.nn.relu(y)

    return function


def linear(m: int, k: int, n: int, activation: str) -> Row:
    flops, size = 2 * m * k * n + 2 * m * n, FLOAT * (m * k + k * n + n + m * n)

    def torch_call(x, weight, bias):
        y = F.linear(x, weight, bias)
        return F.gelu(y) if activation == "gelu" else torch.relu_(y)

    def build():
        arrays = inputs(m, k, n)
        jax_call = jitted(jax_linear(activation), *arrays)
        return calls("affine", "linear", arrays, torch_call, activation, jax_call=jax_call)

    return Row(
        family="affine",
        operation=f"linear_{activation}",
        shape=named((m, k, n)),
        kind=kind_of(flops, size),
        flops=flops,
        bytes=size,
        build=build,
        floor=1.2 if activation == "gelu" else 1.0,
    )


def linear_backward(m: int, k: int, n: int, activation: str) -> Row:
    flops, size = 4 * m * k * n + 2 * m * n, FLOAT * (2 * m * n + 2 * (m * k + k * n) + n)

    def torch_call(dy, x, weight, saved):
        dz = aten.gelu_backward(dy, saved) if activation == "gelu" else aten.threshold_backward(dy, saved, 0)
        return dz @ weight, dz.mT @ x, dz.sum(0)

    def build():
        x, weight, bias = inputs(m, k, n)
        (dy,) = normals((m, n))
        saved = x @ weight.T + bias
        if activation == "relu":
            saved = np.maximum(saved, 0)
        kept = torch.from_numpy(saved)
        return calls(
            "affine",
            "linear_backward",
            (dy, x, weight),
            lambda dy, x, weight: torch_call(dy, x, weight, kept),
            activation,
            saved,
            jax_call=pullback(jax_linear(activation), dy, x, weight, bias),
        )

    return Row(
        family="affine",
        operation=f"linear_{activation}_backward",
        shape=named((m, k, n)),
        kind=kind_of(flops, size),
        flops=flops,
        bytes=size,
        build=build,
    )
