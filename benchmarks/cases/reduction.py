"""Reductions of (4096, 768) over everything, each row (contiguous) or each column; softmax and log-softmax."""

import itertools
import math

import torch

from benchmarks.cases.row import FLOAT, HAS_JAX, INDEX, Row, calls, jitted, named, normals, pullback, reference

if HAS_JAX:
    import jax
    import jax.numpy as jnp

aten = torch.ops.aten
WIDE = (4096, 768)
REDUCTIONS = {
    "sum": (torch.sum, lambda x, dim: jnp.sum(x, dim)),
    "mean": (torch.mean, lambda x, dim: jnp.mean(x, dim)),
    "max": (torch.max, lambda x, dim: jnp.max(x) if dim is None else (jnp.max(x, dim), jnp.argmax(x, dim))),
    "argmax": (torch.argmax, lambda x, dim: jnp.argmax(x, dim)),
    "logsumexp": (torch.logsumexp, lambda x, dim: jax.nn.logsumexp(x, dim)),
}
AXES = {"all": (None, 1), "rows": (-1, WIDE[0]), "columns": (0, WIDE[1])}  # dim, and how many results it leaves

SOFTMAX_SHAPES = ((4096, 768), (65536, 64), (64, 32000))
SOFTMAXES = {
    "softmax": (torch.softmax, aten._softmax_backward_data, lambda x: jax.nn.softmax(x)),
    "log_softmax": (torch.log_softmax, aten._log_softmax_backward_data, lambda x: jax.nn.log_softmax(x)),
}


def rows():
    for operation, axis in itertools.product(REDUCTIONS, AXES):
        if (operation, axis) != ("logsumexp", "all"):  # PyTorch has no such call
            yield reduction(operation, axis)
    for operation, dims in itertools.product(SOFTMAXES, SOFTMAX_SHAPES):
        yield softmax(operation, dims)
        yield softmax_backward(operation, dims)


def reduction(operation: str, axis: str) -> Row:
    torch_reduction, jax_reduction = REDUCTIONS[operation]
    dim, results = AXES[axis]
    size = math.prod(WIDE)
    result_bytes = {"max": FLOAT if dim is None else FLOAT + INDEX, "argmax": INDEX}.get(operation, FLOAT)

    def torch_call(x):
        return torch_reduction(x) if dim is None else torch_reduction(x, dim)

    def build():
        (x,) = normals(WIDE)
        jax_call = jitted(lambda x: jax_reduction(x, dim), x)
        return calls("reduction", operation, (x,), torch_call, dim, jax_call=jax_call)

    return Row(
        family="reduction",
        operation=operation,
        shape=f"{named(WIDE)}-{axis}",
        kind="memory",
        flops=size,
        bytes=FLOAT * size + result_bytes * results,
        build=build,
    )


def softmax(operation: str, dims: tuple[int, int]) -> Row:
    torch_softmax, _, jax_softmax = SOFTMAXES[operation]
    size = math.prod(dims)

    def build():
        (x,) = normals(dims)
        return calls("reduction", operation, (x,), lambda x: torch_softmax(x, -1), jax_call=jitted(jax_softmax, x))

    return Row(
        family="reduction",
        operation=operation,
        shape=named(dims),
        kind="memory",
        flops=5 * size,  # maximum, subtraction, exponential, sum; division, or subtraction again
        bytes=2 * FLOAT * size,
        build=build,
    )


def softmax_backward(operation: str, dims: tuple[int, int]) -> Row:
    _, torch_backward, jax_softmax = SOFTMAXES[operation]
    size = math.prod(dims)

    def torch_call(dy, y):
        return torch_backward(dy, y, -1, torch.float32)

    def build():
        x, dy = normals(dims, dims)
        y = getattr(reference("reduction"), operation)(x)
        return calls("reduction", f"{operation}_backward", (dy, y), torch_call, jax_call=pullback(jax_softmax, dy, x))

    return Row(
        family="reduction",
        operation=f"{operation}_backward",
        shape=named(dims),
        kind="memory",
        flops=4 * size,  # product, sum, subtraction, product
        bytes=3 * FLOAT * size,
        build=build,
    )
