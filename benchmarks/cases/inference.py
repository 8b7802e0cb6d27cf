"""Whole networks without gradients: MiniLM, a sentence encoder, on B sentences of T tokens, with random weights."""

import functools
from importlib import import_module

import numpy as np
import torch

from benchmarks.cases import networks
from benchmarks.cases.gemm import kind_of
from benchmarks.cases.row import COMPILED, FLOAT, HAS_JAX, OURS, PEERS, Calls, Row, compiled, jitted, reference

if HAS_JAX:
    from benchmarks.cases import jax_networks

VOCABULARY, CONTEXT, WIDTH, LAYERS, HEADS, HIDDEN = 30522, 512, 384, 6, 12, 1536  # those of all-MiniLM-L6-v2
EPS = 1e-12
FLOORS = {(1, 16): 2.0, (1, 128): 1.2, (8, 128): 1.1}


def rows():
    for dims in FLOORS:
        yield minilm(*dims)


def minilm(B: int, T: int) -> Row:
    weights = LAYERS * (4 * WIDTH**2 + 2 * WIDTH * HIDDEN)
    flops = 2 * B * T * weights + LAYERS * 4 * B * T * T * WIDTH
    size = FLOAT * (weights + 2 * B * T * WIDTH)
    return Row(
        family="inference",
        operation="minilm",
        shape=f"b{B}-t{T}",
        kind=kind_of(flops, size),
        flops=flops,
        bytes=size,
        build=functools.partial(minilm_calls, B, T),
        peers=(*PEERS, *COMPILED),
        floor=FLOORS[B, T],
    )


@functools.cache
def model():
    """The encoder and its weights; biases are not 0 and norms not 1, so that a missing one shows."""
    nn = import_module("nn")
    found = nn.models.BERT(VOCABULARY, context=CONTEXT, width=WIDTH, layers=LAYERS, heads=HEADS, feed_forward=HIDDEN)
    generator = np.random.default_rng(0)
    with nn.no_grad():
        for parameter in found.parameters():
            added = 0.02 if parameter.ndim > 1 else 0.1
            parameter.array[...] += added * generator.standard_normal(parameter.shape, dtype=np.float32)
    return found.eval(), {name: value.array for name, value in found.state_dict().items()}


def minilm_calls(B: int, T: int) -> Calls:
    nn = import_module("nn")
    ours, weights = model()
    ids = np.random.default_rng(1).integers(0, VOCABULARY, (B, T))
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    token_tensor, x = torch.from_numpy(ids), nn.Tensor(ids)

    def call():
        with nn.no_grad():
            return ours(x).array

    def forward(ids):
        return networks.bert(torch, tensors, ids, None, HEADS, EPS)

    peers = {
        OURS: call,
        "numpy": functools.partial(numpy_forward, weights, ids),
        "torch": functools.partial(forward, token_tensor),
    }
    if HAS_JAX:
        peers["jax"] = jitted(functools.partial(jax_networks.bert, heads=HEADS, eps=EPS), weights, ids)
    return peers | {name: functools.partial(compiled(forward), token_tensor) for name in COMPILED}


def numpy_forward(weights, ids):
    """The same by the functions of `kernels.reference`."""
    affine, norms, attention = (reference(name) for name in ("affine", "normalization", "attention"))

    def linear(name, x, activation=None):
        return affine.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"], activation)

    def normalized(name, x):
        parts = (weights[f"{name}.LayerNorm.{part}"] for part in ("weight", "bias"))
        return norms.layer_norm(x, (WIDTH,), *parts, EPS)

    B, T = ids.shape
    words, places, kinds = (
        weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    x = normalized("embeddings", words[ids] + (places[:T] + kinds[0]))
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        q, k, v = (
            linear(f"{name}.attention.self.{part}", x).reshape(B, T, HEADS, -1).swapaxes(1, 2)
            for part in ("query", "key", "value")
        )
        y = attention.scaled_dot_product_attention(q, k, v).swapaxes(1, 2).reshape(x.shape)
        x = normalized(f"{name}.attention.output", linear(f"{name}.attention.output.dense", y) + x)
        y = linear(f"{name}.output.dense", linear(f"{name}.intermediate.dense", x, "gelu"))
        x = normalized(f"{name}.output", y + x)
    return x
