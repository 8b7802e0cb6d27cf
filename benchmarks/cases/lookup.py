"""Embedding of a batch of sentences in a table of BERT's size: V-E-N-T is a table (V, E) and ids (N, T).

Elements along a dimension: one of 128 for each position and channel, messages summed at the nodes of a graph, and the
log-probability of each target.
"""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.cases.row import FLOAT, HAS_JAX, INDEX, PEERS, Row, calls, jitted, named, normals, pullback

if HAS_JAX:
    import jax.numpy as jnp

SHAPES = ((30522, 384, 32, 128),)
PLACES = (((64, 128, 64), 1, 128), ((4096, 1000), 1, 1))  # shape, dimension, indices along it


def rows():
    for dims in SHAPES:
        yield embedding(*dims)
        yield embedding_backward(*dims)
    for dims, dim, m in PLACES:
        yield gathering(dims, dim, m)
        yield adding(dims, dim, m)
    yield selecting((30000, 64), 10000)
    yield adding_rows((30000, 64), 10000)


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


def places_of(dims, dim, m):
    """An index of m places along a dimension, and its shape."""
    shape = (*dims[:dim], m, *dims[dim + 1 :])
    return ids_of(dims[dim], *shape), shape


def gathering(dims, dim, m) -> Row:
    index, _ = places_of(dims, dim, m)

    def build():
        (x,) = normals(dims)
        jax_call = jitted(lambda x: jnp.take_along_axis(x, index, dim), x)
        places = torch.from_numpy(index)
        return calls("lookup", "gather", (x,), lambda x: torch.gather(x, dim, places), dim, index, jax_call=jax_call)

    return Row(
        family="lookup",
        operation="gather",
        shape=named((*dims, m)),
        kind="memory",
        flops=index.size,  # none: one for each element that is copied
        bytes=(2 * FLOAT + INDEX) * index.size,
        build=build,
    )


def adding(dims, dim, m) -> Row:
    index, shape = places_of(dims, dim, m)

    def build():
        x, src = normals(dims, shape)
        given, places = torch.from_numpy(src), torch.from_numpy(index)
        torch_call = functools.partial(torch.Tensor.scatter_add, dim=dim, index=places, src=given)
        return calls("lookup", "scatter_add", (x,), torch_call, dim, index, src)

    return Row(
        family="lookup",
        operation="scatter_add",
        shape=named((*dims, m)),
        kind="memory",
        flops=index.size,
        bytes=2 * FLOAT * math.prod(dims) + (FLOAT + INDEX) * index.size,
        build=build,
        peers=PEERS[:3],
    )


def selecting(dims, m) -> Row:
    index = ids_of(dims[0], m)

    def build():
        (x,) = normals(dims)
        places = torch.from_numpy(index)
        jax_call = jitted(lambda x: jnp.take(x, index, 0), x)
        return calls(
            "lookup", "index_select", (x,), lambda x: torch.index_select(x, 0, places), 0, index, jax_call=jax_call
        )

    return Row(
        family="lookup",
        operation="index_select",
        shape=named((*dims, m)),
        kind="memory",
        flops=m * dims[1],
        bytes=2 * FLOAT * m * dims[1] + INDEX * m,
        build=build,
    )


def adding_rows(dims, m) -> Row:
    index = ids_of(dims[0], m)

    def build():
        x, source = normals(dims, (m, dims[1]))
        places, given = torch.from_numpy(index), torch.from_numpy(source)
        return calls("lookup", "index_add", (x,), lambda x: torch.index_add(x, 0, places, given), 0, index, source)

    return Row(
        family="lookup",
        operation="index_add",
        shape=named((*dims, m)),
        kind="memory",
        flops=m * dims[1],
        bytes=2 * FLOAT * math.prod(dims) + (FLOAT * dims[1] + INDEX) * m,
        build=build,
        peers=PEERS[:3],
    )
