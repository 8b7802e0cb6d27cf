"""Attention at a transformer's shapes, forward and with its backward, one query on a cache, the ladder, and how time
goes with length: shapes are B-H-T-D, with Hq/H where query heads share key heads, and L/S where a cache is longer."""

import functools
from importlib import import_module

import numpy as np
import torch
import torch.nn.functional as F

import kernels
from benchmarks.cases.row import FLOAT, HAS_JAX, OURS, Calls, Row, calls, climb, jitted, named, normals, reference

if HAS_JAX:
    import jax
    import jax.numpy as jnp

NAME = "scaled_dot_product_attention"
SHAPES = ((1, 8, 512, 64), (4, 8, 1024, 64), (1, 12, 2048, 64), (8, 12, 128, 64))
GROUPED = (1, 32, 512, 64)  # with 8 key heads
KEY_HEADS = 8
CACHE = 2048
LADDER_LENGTHS, LADDER_HEADS = (64, 128, 256, 512), 8
SCALING = (256, 512, 1024, 2048, 4096, 8192)
aten = torch.ops.aten


def rows():
    for causal in (False, True):
        for B, H, T, D in SHAPES:
            yield attention(B, H, H, T, D, causal)
            yield attention_training(B, H, H, T, D, causal)
    B, H, T, D = GROUPED
    yield attention(B, H, KEY_HEADS, T, D, True)
    yield attention_training(B, H, KEY_HEADS, T, D, True)
    yield decoding(1, 12, 12, 64)
    yield decoding(B, H, KEY_HEADS, D)
    for T in SCALING:
        yield scaling(T)
    for T in LADDER_LENGTHS:
        yield ladder(T)


def heads(Hq: int, H: int) -> str:
    return str(H) if Hq == H else f"{Hq}/{H}"


def scores(L: int, S: int, causal: bool) -> int:
    """How many scores a head has."""
    return L * (L + 1) // 2 if causal else L * S


def forward_flops(count: int, D: int) -> int:
    """Two products; a maximum is subtracted from each score, its exponential is taken and added to a sum."""
    return count * (4 * D + 3)


def inputs(B: int, Hq: int, H: int, L: int, S: int, D: int) -> list[np.ndarray]:
    return normals((B, Hq, L, D), (B, H, S, D), (B, H, S, D))


def jax_attention(causal: bool):
    def function(q, k, v):
        k, v = (jnp.repeat(x, q.shape[1] // k.shape[1], axis=1) for x in (k, v))
        products = jnp.einsum("bhie,bhje->bhij", q, k) * q.shape[-1] ** -0.5
        if causal:
            products = jnp.where(jnp.tri(*products.shape[-2:], dtype=bool), products, -jnp.inf)
        return jax.nn.softmax(products, axis=-1) @ v

    return function


def forward_calls(B: int, Hq: int, H: int, L: int, S: int, D: int, causal: bool) -> Calls:
    arrays = inputs(B, Hq, H, L, S, D)
    settings = {"is_causal": causal, "enable_gqa": Hq != H}
    torch_call = functools.partial(F.scaled_dot_product_attention, **settings)
    return calls("attention", NAME, arrays, torch_call, jax_call=jitted(jax_attention(causal), *arrays), **settings)


def attention(B: int, Hq: int, H: int, T: int, D: int, causal: bool) -> Row:
    return Row(
        family="attention",
        operation="attention_causal" if causal else "attention",
        shape=f"{B}-{heads(Hq, H)}-{T}-{D}",
        kind="compute",
        flops=B * Hq * forward_flops(scores(T, T, causal), D),
        bytes=FLOAT * 2 * B * (Hq + H) * T * D,
        build=lambda: forward_calls(B, Hq, H, T, T, D, causal),
        floor=1.2 if causal else 1.0,
    )


def attention_training(B: int, Hq: int, H: int, T: int, D: int, causal: bool) -> Row:
    """The forward, which keeps lse, and the backward: gradients of queries, keys and values."""
    count, settings = B * Hq * scores(T, T, causal), {"is_causal": causal, "enable_gqa": Hq != H}

    def torch_call(dout, q, k, v):
        out, lse = aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal)
        backward = aten._scaled_dot_product_flash_attention_for_cpu_backward
        return out, *backward(dout, q, k, v, out, lse, 0.0, causal)

    def jax_call(dout, q, k, v):
        out, pull = jax.vjp(jax_attention(causal), q, k, v)
        return out, *pull(dout)

    def build() -> Calls:
        arrays = *normals((B, Hq, T, D)), *inputs(B, Hq, H, T, T, D)
        made = {
            OURS: functools.partial(forward_and_backward, kernels, *arrays, **settings),
            "numpy": functools.partial(forward_and_backward, reference("attention"), *arrays, **settings),
            "torch": functools.partial(torch_call, *map(torch.from_numpy, arrays)),
        }
        return made | ({"jax": jitted(jax_call, *arrays)} if HAS_JAX else {})

    return Row(
        family="attention",
        operation="attention_causal_training" if causal else "attention_training",
        shape=f"{B}-{heads(Hq, H)}-{T}-{D}",
        kind="compute",
        flops=forward_flops(count, D) + count * (10 * D + 4),
        bytes=FLOAT * 4 * B * (Hq + H) * T * D,
        build=build,
        floor=1.2 if causal else 1.1,
    )


def forward_and_backward(module, dout, q, k, v, **settings):
    lse = np.empty((2, *q.shape[:-1]), q.dtype)
    out = module.scaled_dot_product_attention(q, k, v, lse=lse, **settings)
    gradients = module.scaled_dot_product_attention_backward(dout, q, k, v, out, lse, **settings)
    return out, *gradients[:3]


def decoding(B: int, Hq: int, H: int, D: int) -> Row:
    """One query of each head on the keys of its cache, which are read once: memory is the limit."""
    return Row(
        family="attention",
        operation="attention_decoding",
        shape=f"{B}-{heads(Hq, H)}-1/{CACHE}-{D}",
        kind="memory",
        flops=B * Hq * forward_flops(scores(1, CACHE, False), D),
        bytes=FLOAT * 2 * B * (Hq + H * CACHE) * D,
        build=lambda: forward_calls(B, Hq, H, 1, CACHE, D, False),
        floor=1.5,
    )


def scaling(T: int) -> Row:
    """One causal head, longer and longer: shapes are T-D."""
    D = SHAPES[0][-1]
    return Row(
        family="attention",
        operation="attention_scaling",
        shape=named((T, D)),
        kind="compute",
        flops=forward_flops(scores(T, T, True), D),
        bytes=FLOAT * 4 * T * D,
        build=lambda: forward_calls(1, 1, 1, T, T, D, True),
    )


def ladder(T: int) -> Row:
    """Every variant on causal heads of one length, so that each rung shows what it bought: shapes are T-heads-D."""
    H, D = LADDER_HEADS, SHAPES[0][-1]
    variants = import_module("kernels.attention").VARIANTS[NAME]

    def build() -> Calls:
        q, k, v = arrays = normals(*[(H, T, D)] * 3)
        scale, out = np.float32(D**-0.5), np.empty_like(v)
        made = {name: functools.partial(climb, rung, q, k, v, scale, True, out) for name, rung in variants.items()}
        made["numpy"] = functools.partial(getattr(reference("attention"), NAME), *arrays, is_causal=True)
        tensors = [torch.from_numpy(array)[None] for array in arrays]
        made["torch"] = lambda: F.scaled_dot_product_attention(*tensors, is_causal=True)[0]
        return made

    return Row(
        family="attention",
        operation=f"{NAME}_ladder",
        shape=named((T, H, D)),
        kind="ladder",
        flops=H * forward_flops(scores(T, T, True), D),
        bytes=FLOAT * 4 * H * T * D,
        build=build,
        peers=(*variants, "numpy", "torch"),
        floor=None,
    )
