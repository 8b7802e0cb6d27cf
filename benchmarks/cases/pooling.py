"""Maximum pooling 3 x 3 / 2 and global average pooling of a residual network; 2 x 2 / 2 pooling of LeNet."""

import functools
import math

import torch
import torch.nn.functional as F

from benchmarks.cases.row import FLOAT, HAS_JAX, PEERS, Row, calls, jitted, named, normals, pullback
from kernels.reference import pooling as reference

if HAS_JAX:
    import jax
    import jax.numpy as jnp

aten = torch.ops.aten
# name -> shape, kernel, stride, padding, kind
WINDOWS = {
    "3x3-2": ((8, 64, 112, 112), 3, 2, 1, "memory"),
    "2x2-2": ((64, 6, 24, 24), 2, 2, 0, "small"),
}
GLOBAL = (32, 512, 7, 7)
SAMPLED = (8, 64, 56, 56)
FLOOR = 1.5


def rows():
    for window in WINDOWS:
        yield maximum(window)
        yield maximum_backward(window)
    yield average("2x2-2")
    yield average_backward("2x2-2")
    yield global_average()
    yield global_average_backward()
    yield sampled()


def jax_pool(window: str, take, start):
    """JAX's pooling with the windows of a row."""
    _, kernel, stride, padding, _ = WINDOWS[window]
    sides, steps = (1, 1, kernel, kernel), (1, 1, stride, stride)
    edges = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return lambda x: jax.lax.reduce_window(x, start, take, sides, steps, edges)


def row(operation: str, window: str, flops: int, sizes: int, build) -> Row:
    dims, *_, kind = WINDOWS[window]
    return Row(
        family="pooling",
        operation=operation,
        shape=f"{window}-{named(dims)}",
        kind=kind,
        flops=flops,
        bytes=sizes,
        build=build,
        floor=FLOOR,
    )


def maximum(window: str) -> Row:
    dims, kernel, stride, padding, _ = WINDOWS[window]
    results = math.prod(dims) // stride**2

    def build():
        (x,) = normals(dims)
        jax_call = jitted(jax_pool(window, jax.lax.max, -jnp.inf), x) if HAS_JAX else None
        options = kernel, stride, padding
        return calls("pooling", "max_pool2d", (x,), lambda x: F.max_pool2d(x, *options), *options, jax_call=jax_call)

    size = FLOAT * (math.prod(dims) + results)
    return row("max_pool2d", window, 2 * (kernel - 1) * results, size, build)  # rows, then along the row


def maximum_backward(window: str) -> Row:
    dims, kernel, stride, padding, _ = WINDOWS[window]
    results = math.prod(dims) // stride**2
    options = kernel, stride, padding

    def build():
        (x,) = normals(dims)
        y, numbers = reference.max_pool2d(x, *options, return_indices="window")
        (dy,) = normals(y.shape)
        # each side is given what its own forward has saved: numbers in windows, indices in planes
        saved = torch.from_numpy(x), F.max_pool2d(torch.from_numpy(x), *options, return_indices=True)[1]
        pairs = [[value] * 2 for value in (*options, 1)]

        def torch_call(dy):
            return aten.max_pool2d_with_indices_backward(dy, saved[0], *pairs, False, saved[1])

        pull = pullback(jax_pool(window, jax.lax.max, -jnp.inf), dy, x) if HAS_JAX else None
        return calls("pooling", "max_pool2d_backward", (dy,), torch_call, dims, numbers, *options, jax_call=pull)

    return row("max_pool2d_backward", window, results, FLOAT * (math.prod(dims) + results) + results, build)


def average(window: str) -> Row:
    dims, kernel, stride, padding, _ = WINDOWS[window]
    results = math.prod(dims) // stride**2
    options = kernel, stride, padding

    def build():
        (x,) = normals(dims)
        mean = (lambda x: jax_pool(window, jax.lax.add, 0.0)(x) / kernel**2) if HAS_JAX else None
        jax_call = jitted(mean, x) if HAS_JAX else None
        return calls("pooling", "avg_pool2d", (x,), lambda x: F.avg_pool2d(x, *options), *options, jax_call=jax_call)

    size = FLOAT * (math.prod(dims) + results)
    return row("avg_pool2d", window, (2 * (kernel - 1) + 1) * results, size, build)


def average_backward(window: str) -> Row:
    dims, kernel, stride, padding, _ = WINDOWS[window]
    results = math.prod(dims) // stride**2
    options = kernel, stride, padding

    def build():
        (x,) = normals(dims)
        (dy,) = normals(reference.avg_pool2d(x, *options).shape)
        saved, pairs = torch.from_numpy(x), [[value] * 2 for value in options]

        def torch_call(dy):
            return aten.avg_pool2d_backward(dy, saved, *pairs, False, True, None)

        mean = (lambda x: jax_pool(window, jax.lax.add, 0.0)(x) / kernel**2) if HAS_JAX else None
        pull = pullback(mean, dy, x) if HAS_JAX else None
        return calls("pooling", "avg_pool2d_backward", (dy,), torch_call, dims, *options, jax_call=pull)

    return row("avg_pool2d_backward", window, math.prod(dims), FLOAT * (math.prod(dims) + results), build)


def global_average() -> Row:
    size, planes = math.prod(GLOBAL), GLOBAL[0] * GLOBAL[1]

    def build():
        (x,) = normals(GLOBAL)
        jax_call = jitted(lambda x: jnp.mean(x, (2, 3), keepdims=True), x)
        return calls(
            "pooling", "adaptive_avg_pool2d", (x,), lambda x: F.adaptive_avg_pool2d(x, 1), 1, jax_call=jax_call
        )

    return Row(
        family="pooling",
        operation="adaptive_avg_pool2d",
        shape=f"global-{named(GLOBAL)}",
        kind="memory",
        flops=size,
        bytes=FLOAT * (size + planes),
        build=build,
        floor=FLOOR,
    )


def global_average_backward() -> Row:
    size, planes = math.prod(GLOBAL), GLOBAL[0] * GLOBAL[1]
    elements = GLOBAL[2] * GLOBAL[3]

    def torch_call(dy):  # what autograd does: PyTorch computes this pool as a mean
        return dy.expand(GLOBAL) / elements

    def build():
        x, dy = normals(GLOBAL, (*GLOBAL[:2], 1, 1))
        pull = pullback(lambda x: jnp.mean(x, (2, 3), keepdims=True), dy, x)
        return calls("pooling", "adaptive_avg_pool2d_backward", (dy,), torch_call, GLOBAL, jax_call=pull)

    return Row(
        family="pooling",
        operation="adaptive_avg_pool2d_backward",
        shape=f"global-{named(GLOBAL)}",
        kind="memory",
        flops=planes,
        bytes=FLOAT * (size + planes),
        build=build,
        floor=FLOOR,
    )


def sampled() -> Row:
    """Sampling at places that a spatial transformer has moved a little."""
    size, results = math.prod(SAMPLED), SAMPLED[0] * SAMPLED[2] * SAMPLED[3]

    def build():
        x, moved = normals(SAMPLED, (SAMPLED[0], 2, 3))
        theta = torch.eye(2, 3) + 0.1 * torch.from_numpy(moved)
        grid = F.affine_grid(theta, SAMPLED, False).numpy().copy()
        call = functools.partial(F.grid_sample, align_corners=False)
        return calls("pooling", "grid_sample", (x, grid), call)

    return Row(
        family="pooling",
        operation="grid_sample",
        shape=named(SAMPLED),
        kind="memory",
        flops=8 * size + 12 * results,  # four elements and weights; the weights
        bytes=FLOAT * (2 * size + 2 * results),
        build=build,
        peers=PEERS[:3],
    )
