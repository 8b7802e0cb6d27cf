"""Embedding of a batch of sentences in a table of BERT's size: V-E-N-T is a table (V, E) and ids (N, T)."""

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.cases.row import FLOAT, HAS_JAX, INDEX, Row, calls, jitted, named, normals, pullback

if HAS_JAX:
    import jax.numpy as jnp

SHAPES = ((30522, 384, 32, 128),)


def rows():
    for dims in SHAPES:
        yield embedding(*dims)
        yield embedding_backward(*dims)


def ids_of(v: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, v, shape)


def jax_embedding(ids):
    return lambda table: jnp.take(table, ids, axis=0)


def embedding(v: int, e: int, n: int, t: int) -> Row:
    size = n * t * e

    def build():
        ids, (weight,) = ids_of(v, n, t), normals((v, e))
        jax_call = jitted(lambda table: jax_embedding(ids)(table), weight)
        return calls("lookup", "embedding", (ids, weight), F.embedding, jax_call=jax_call)

    return Row(
        family="lookup",
        operation="embedding",
        shape=named((v, e, n, t)),
        kind="memory",
        flops=size,  # none: one for each element that is copied
        bytes=2 * FLOAT * size + INDEX * n * t,
        build=build,
    )


def embedding_backward(v: int, e: int, n: int, t: int) -> Row:
    size = n * t * e

    def build():
        ids, (weight, dy) = ids_of(v, n, t), normals((v, e), (n, t, e))
        return calls(
            "lookup",
            "embedding_backward",
            (dy, ids),
            lambda dy, ids: torch.ops.aten.embedding_dense_backward(dy, ids, v, -1, False),
            v,
            jax_call=pullback(jax_embedding(ids), dy, weight),
        )

    return Row(
        family="lookup",
        operation="embedding_backward",
        shape=named((v, e, n, t)),
        kind="memory",
        flops=size,
        bytes=FLOAT * 2 * size + INDEX * n * t,
        build=build,
        floor=1.5,
    )
