"""The networks of `networks` in JAX, as pure functions of a list of parameters in the order of ours.

Those that are trained are losses ``(params, x, target) -> loss, moments``, where `moments` is what their batch norms
found in this batch, (mean, unbiased variance) of each: the step folds it into the running statistics. Only ResNet-20
has any.
"""

import itertools

import jax
import jax.numpy as jnp

from benchmarks.cases.attention import jax_attention
from benchmarks.cases.loss import jax_cross_entropy
from benchmarks.cases.networks import RESNET_BLOCKS, RESNET_STAGES
from benchmarks.cases.normalization import CHANNELS, EPS, JAX_LAYER, jax_norm


def linear(x, weight, bias):
    return x @ weight.T + bias


def convolution(x, weight, stride=1, padding=0):
    return jax.lax.conv_general_dilated(x, weight, (stride, stride), [(padding, padding)] * 2)


def gelu(x):
    return jax.nn.gelu(x, approximate=False)


def attention(q, k, v, heads, causal):
    """The vectors (B, T, width) that the heads, side by side, find for queries, keys and values of that shape."""
    B, T, width = q.shape
    q, k, v = (part.reshape(B, T, heads, width // heads).swapaxes(1, 2) for part in (q, k, v))
    return jax_attention(causal)(q, k, v).swapaxes(1, 2).reshape(B, T, width)


def mlp(params, x, target):
    w1, b1, w2, b2, w3, b3 = params
    h1 = jax.nn.relu(linear(x, w1, b1))
    h2 = jax.nn.relu(linear(h1, w2, b2))
    return jax_cross_entropy(linear(h2, w3, b3), target), []


def lenet5(params, x, target):
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = params

    def pool(x):
        N, C, H, W = x.shape
        return x.reshape(N, C, H // 2, 2, W // 2, 2).max((3, 5))

    h1 = pool(jax.nn.relu(convolution(x, w1, padding=2) + b1.reshape(CHANNELS)))
    h2 = pool(jax.nn.relu(convolution(h1, w2) + b2.reshape(CHANNELS)))
    h3 = jax.nn.relu(linear(h2.reshape(len(x), -1), w3, b3))
    h4 = jax.nn.relu(linear(h3, w4, b4))
    return jax_cross_entropy(linear(h4, w5, b5), target), []


def resnet20(params, x, target):
    param, moments = iter(params), []

    def normalized_convolution(x, stride=1):
        y = convolution(x, next(param), stride, padding=1)
        mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3))
        count = y.size // y.shape[1]
        moments.append((mean, variance * (count / (count - 1))))
        scale = next(param) / jnp.sqrt(variance + EPS)
        return (y - mean.reshape(CHANNELS)) * scale.reshape(CHANNELS) + next(param).reshape(CHANNELS)

    def block(x, stride):
        y = jax.nn.relu(normalized_convolution(x, stride))
        y = normalized_convolution(y)
        added = (y.shape[1] - x.shape[1]) // 2
        shortcut = jnp.pad(x[:, :, ::stride, ::stride], ((0, 0), (added, added), (0, 0), (0, 0)))
        return jax.nn.relu(y + shortcut)

    x = jax.nn.relu(normalized_convolution(x))
    widths = [RESNET_STAGES[0], *(width for width in RESNET_STAGES for _ in range(RESNET_BLOCKS))]
    for inputs, outputs in itertools.pairwise(widths):
        x = block(x, stride=outputs // inputs)
    scores = linear(x.mean((2, 3)), *param)
    return jax_cross_entropy(scores, target), moments


def character_model(params, ids, target):
    embedding, *layers, weight, bias = params
    x = lstm(lstm(embedding[ids], *layers[:4]), *layers[4:])
    return jax_cross_entropy(linear(x, weight, bias).reshape(target.size, -1), target), []


def lstm(x, weight_ih, weight_hh, bias_ih, bias_hh):
    """The outputs (T, B, H) of one layer for x (T, B, I), from states of zeros; the gates are i, f, g and o."""

    def step(state, from_input):
        h, c = state
        i, f, g, o = jnp.split(from_input + h @ weight_hh.T, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], weight_hh.shape[1]), x.dtype)
    return jax.lax.scan(step, (zeros, zeros), linear(x, weight_ih, bias_ih + bias_hh))[1]


def gpt(params, ids, target, heads=4):
    token, position, *blocks, norm_weight, norm_bias = params
    x = token[ids] + position[: ids.shape[1]]
    for first in range(0, len(blocks), 12):
        norm1, qkv, output, norm2, expand, contract = (blocks[i : i + 2] for i in range(first, first + 12, 2))
        q, k, v = jnp.split(linear(JAX_LAYER(x, *norm1), *qkv), 3, axis=-1)
        x = x + linear(attention(q, k, v, heads, causal=True), *output)
        x = x + linear(gelu(linear(JAX_LAYER(x, *norm2), *expand)), *contract)
    scores = JAX_LAYER(x, norm_weight, norm_bias) @ token.T
    return jax_cross_entropy(scores.reshape(target.size, -1), target), []


def bert(weights, ids, heads=12, eps=1e-12):
    """The vectors (B, T, width) of `nn.models.BERT`, by the names of its state."""
    norm = jax_norm((-1,), eps=eps)

    def dense(name, x):
        return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def normalized(name, x):
        return norm(x, weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"])

    words, places, kinds = (weights[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
    x = normalized("embeddings", words[ids] + places[: ids.shape[1]] + kinds[0])
    for layer in itertools.count():
        name = f"encoder.layer.{layer}"
        if f"{name}.output.dense.weight" not in weights:
            return x
        q, k, v = (dense(f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
        y = attention(q, k, v, heads, causal=False)
        x = normalized(f"{name}.attention.output", dense(f"{name}.attention.output.dense", y) + x)
        y = dense(f"{name}.output.dense", gelu(dense(f"{name}.intermediate.dense", x)))
        x = normalized(f"{name}.output", y + x)
