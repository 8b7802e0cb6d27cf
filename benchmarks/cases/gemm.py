"""Matrix multiplication, its backward and its ladder: shapes are M-K-N, FLOPs 2 M K N."""

import functools
import itertools
import math
from importlib import import_module

import numpy as np
import torch

from benchmarks.cases.row import FLOAT, PEERS, Row, calls, climb, jitted, named, normals, pullback

SQUARES = (16, 32, 64, 96, 128, 256, 512, 1024, 2048)
SKINNY = ((1, 768, 3072), (32, 768, 768), (4096, 768, 3072), (1000, 1000, 17), (31, 63, 65))
BATCHED = (96, 128, 64, 128)
# A linear layer's products in training, of 2,048 tokens: forward (x times a transposed weight), dx, and the weight's
# gradient (dy transposed times x).
TRAINING = (
    ((2048, 128, 512), "b"),
    ((2048, 512, 128), "b"),
    ((2048, 512, 128), ""),
    ((2048, 384, 128), ""),
    ((512, 2048, 128), "a"),
    ((128, 2048, 512), "a"),
    ((384, 2048, 128), "a"),
)
LADDER_SIZES = (64, 128, 256, 512, 1024)
NAIVE_LIMIT = 1024  # beyond it the naive loops only cost time


def rows():
    for n in SQUARES:
        yield matmul(n, n, n, floor=1.2 if n <= 128 else 1.0)
    for dims in (*SKINNY, BATCHED):
        yield matmul(*dims)
    for dims, side in itertools.product(((512, 512, 512), *SKINNY), "ab"):
        yield matmul(*dims, transposed=side)
    for dims, side in TRAINING:
        yield matmul(*dims, transposed=side)
    for dims in (*((n, n, n) for n in SQUARES), *SKINNY, BATCHED):
        yield matmul_backward(*dims)
    yield from map(matmul_ladder, LADDER_SIZES)


def kind_of(flops: int, size: int) -> str:
    """Small where PyTorch's call costs about as much as the arithmetic; memory-bound below two FLOPs a byte."""
    if flops < 300_000:
        return "small"
    return "compute" if flops > 2 * size else "memory"


def matmul(*dims: int, transposed: str = "", floor: float = 1.0) -> Row:
    *batch, m, k, n = dims
    flops = 2 * math.prod(dims)
    size = FLOAT * math.prod(batch) * (m * k + k * n + m * n)

    def build():
        a, b = normals((*batch, m, k), (*batch, k, n))
        if transposed == "a":
            a = np.ascontiguousarray(a.T).T
        if transposed == "b":
            b = np.ascontiguousarray(b.T).T
        # JAX's arrays have no strides, so a transposed row would be another task there.
        jax_call = None if transposed else jitted(lambda a, b: a @ b, a, b)
        return calls("gemm", "matmul", (a, b), torch.matmul, jax_call=jax_call)

    return Row(
        family="gemm",
        operation="matmul",
        shape=named(dims) + (f"-transposed-{transposed}" if transposed else ""),
        kind=kind_of(flops, size),
        flops=flops,
        bytes=size,
        build=build,
        peers=PEERS[:3] if transposed else PEERS,
        floor=floor,
        share_floor=0.9 if min(m, k, n) >= 512 else None,
        blas=True,
    )


def matmul_backward(*dims: int) -> Row:
    *batch, m, k, n = dims
    flops = 4 * math.prod(dims)
    size = FLOAT * math.prod(batch) * (m * n + 2 * (m * k + k * n))

    def build():
        dy, a, b = normals((*batch, m, n), (*batch, m, k), (*batch, k, n))
        a_t, b_t = torch.from_numpy(a).mT, torch.from_numpy(b).mT

        def torch_call(dy, a, b):
            return torch.matmul(dy, b_t), torch.matmul(a_t, dy)

        jax_call = pullback(lambda a, b: a @ b, dy, a, b)
        return calls("gemm", "matmul_backward", (dy, a, b), torch_call, jax_call=jax_call)

    return Row(
        family="gemm",
        operation="matmul_backward",
        shape=named(dims),
        kind=kind_of(flops, size),
        flops=flops,
        bytes=size,
        build=build,
        blas=True,
    )


def matmul_ladder(n: int) -> Row:
    """Every variant on one square size, so that each rung shows what it bought."""
    variants = {
        name: function
        for name, function in import_module("kernels.gemm").VARIANTS["matmul"].items()
        if name != "naive" or n <= NAIVE_LIMIT
    }

    def build():
        a, b = normals((n, n), (n, n))
        c = np.empty((n, n), np.float32)
        left, right, product = map(torch.from_numpy, (a, b, c.copy()))

        # The rungs write into an array that is given to them, so the yardsticks beside them do so, too.
        made = {name: functools.partial(climb, function, a, b, c) for name, function in variants.items()}
        made["numpy"] = functools.partial(np.matmul, a, b, out=c.copy())
        made["torch"] = functools.partial(torch.matmul, left, right, out=product)
        return made

    return Row(
        family="gemm",
        operation="matmul_ladder",
        shape=named((n, n, n)),
        kind="ladder",
        flops=2 * n**3,
        bytes=3 * FLOAT * n**2,
        build=build,
        peers=(*variants, "numpy", "torch"),
        floor=None,
    )
