"""Scans of (4096, 768) along rows (contiguous) and columns, of one long row, and of a small vector."""

import math

import torch

from benchmarks.cases.row import FLOAT, HAS_JAX, INDEX, Row, calls, jitted, named, normals

if HAS_JAX:
    import jax.numpy as jnp
    from jax import lax

aten = torch.ops.aten
# Shape and dim; (1000,) tells what a call costs.
PLACES = {"rows": ((4096, 768), 1), "columns": ((4096, 768), 0), "long": ((2**20,), 0), "small": ((1000,), 0)}
SCANS = {
    "cumsum": (torch.cumsum, lambda x, dim: jnp.cumsum(x, dim)),
    "cumprod": (torch.cumprod, lambda x, dim: jnp.cumprod(x, dim)),
    "cummax": (torch.cummax, None),
    "logcumsumexp": (torch.logcumsumexp, lambda x, dim: lax.cumlogsumexp(x, dim)),
}
PEERS = ("innerloop", "numpy", "torch")


def rows():
    for operation in SCANS:
        for place in PLACES:
            yield scan(operation, place)
    for place in PLACES:
        yield cummax_backward(place)


def inputs(operation, shape):
    (x,) = normals(shape)
    return 1 + x / 100 if operation == "cumprod" else x  # products stay in the range of float32


def scan(operation: str, place: str) -> Row:
    shape, dim = PLACES[place]
    torch_scan, jax_scan = SCANS[operation]
    size = math.prod(shape)

    def build():
        x = inputs(operation, shape)
        jax_call = jitted(lambda x: jax_scan(x, dim), x) if jax_scan else None
        return calls("scan", operation, (x,), lambda x: torch_scan(x, dim), dim, jax_call=jax_call)

    return Row(
        family="scan",
        operation=operation,
        shape=f"{named(shape)}-{place}",
        kind="small" if place == "small" else "memory",
        flops=size * (3 if operation == "logcumsumexp" else 1),  # exponential, sum, logarithm
        bytes=2 * FLOAT * size + (INDEX * size if operation == "cummax" else 0),
        build=build,
        peers=(*PEERS, "jax") if HAS_JAX and jax_scan else PEERS,
    )


def cummax_backward(place: str) -> Row:
    shape, dim = PLACES[place]
    size = math.prod(shape)

    def build():
        x, dy = normals(shape, shape)
        indices = torch.cummax(torch.from_numpy(x), dim).indices.numpy()

        def torch_call(dy, indices):
            return torch.zeros_like(dy).scatter_add_(dim, indices, dy)

        return calls("scan", "cummax_backward", (dy, indices), torch_call, dim)

    return Row(
        family="scan",
        operation="cummax_backward",
        shape=f"{named(shape)}-{place}",
        kind="small" if place == "small" else "memory",
        flops=size,
        bytes=(2 * FLOAT + INDEX) * size,
        build=build,
        peers=PEERS,
    )
