"""The feed-forward part of a transformer, GPT-2's and a sentence encoder's: M-K-H is x (M, K), a hidden layer of H."""

import itertools

import torch.nn.functional as F

from benchmarks.cases.gemm import kind_of
from benchmarks.cases.row import FLOAT, HAS_JAX, Row, calls, jitted, named, normals

if HAS_JAX:
    import jax
    import jax.numpy as jnp

SHAPES = ((16, 384, 1536), (1024, 384, 1536), (4096, 768, 3072))


def rows():
    for activation, dims in itertools.product(("gelu", "swiglu"), SHAPES):
        yield feed_forward(*dims, activation)


def torch_call(activation):
    def call(x, weight1, bias1, weight2, bias2):
        z = F.linear(x, weight1, bias1)
        if activation == "gelu":
            return F.linear(F.gelu(z), weight2, bias2)
        gate, value = z.chunk(2, -1)
        return F.linear(F.silu(gate) * value, weight2, bias2)

    return call


def jax_call(activation):
    def call(x, weight1, bias1, weight2, bias2):
        z = x @ weight1.T + bias1
        if activation == "gelu":
            return jax.nn.gelu(z, approximate=False) @ weight2.T + bias2
        gate, value = jnp.split(z, 2, -1)
        return (jax.nn.silu(gate) * value) @ weight2.T + bias2

    return call


def feed_forward(m: int, k: int, h: int, activation: str) -> Row:
    first = h * (1 + (activation == "swiglu"))
    flops = 2 * m * k * (first + h) + 2 * m * h
    size = FLOAT * (2 * m * k + (first + h) * k + first + k)

    def build():
        x, weight1, bias1, weight2, bias2 = normals((m, k), (first, k), (first,), (k, h), (k,))
        arrays = [x, weight1 * k**-0.5, bias1, weight2 * h**-0.5, bias2]
        arrays = [array.astype("float32") for array in arrays]
        compiled = jitted(jax_call(activation), *arrays)
        return calls("mlp", "feed_forward", arrays, torch_call(activation), activation, jax_call=compiled)

    return Row(
        family="mlp",
        operation=f"feed_forward_{activation}",
        shape=named((m, k, h)),
        kind=kind_of(flops, size),
        flops=flops,
        bytes=size,
        build=build,
    )
