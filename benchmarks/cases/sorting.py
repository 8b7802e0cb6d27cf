"""Sorting, selection and search: rows as long as a layer is wide, one long row, the logits of a vocabulary."""

import math

import numpy as np
import torch

from benchmarks.cases.row import FLOAT, INDEX, Row, calls, named

PEERS = ("innerloop", "numpy", "torch")
SORTED = ((4096, 768), (8192, 64), (2**20,))
SELECTED = {"topk": ((64, 50257, 50), (4096, 768, 8)), "kthvalue": ((4096, 768, 100),), "median": ((4096, 768),)}
SEARCHED = ((10_000, 2**20),)


def rows():
    for shape in SORTED:
        yield sort(shape)
    for operation, shapes in SELECTED.items():
        for dims in shapes:
            yield selection(operation, dims)
    for dims in SEARCHED:
        yield searchsorted(*dims)
    yield unique(2**20)


def shuffled(shape) -> np.ndarray:
    """Distinct numbers, so that there is one right order."""
    return np.random.default_rng(0).permutation(math.prod(shape)).astype(np.float32).reshape(shape)


def sort(shape) -> Row:
    size, n = math.prod(shape), shape[-1]

    def build():
        return calls("sorting", "sort", (shuffled(shape),), lambda x: torch.sort(x, -1))

    return Row(
        family="sorting",
        operation="sort",
        shape=named(shape),
        kind="memory",
        flops=int(size * math.log2(n)),
        bytes=(2 * FLOAT + INDEX) * size,
        build=build,
        peers=PEERS,
    )


def selection(operation: str, dims) -> Row:
    shape, options = dims[:2], dims[2:]
    size, results = math.prod(shape), shape[0] * (options[0] if operation == "topk" else 1)
    arguments = (*options, -1)

    def build():
        torch_call = getattr(torch, operation)
        return calls("sorting", operation, (shuffled(shape),), lambda x: torch_call(x, *arguments), *arguments)

    return Row(
        family="sorting",
        operation=operation,
        shape=named(dims),
        kind="memory",
        flops=size,
        bytes=FLOAT * size + (FLOAT + INDEX) * results,
        build=build,
        peers=PEERS,
    )


def searchsorted(n: int, m: int) -> Row:
    def build():
        rng = np.random.default_rng(0)
        row, values = np.sort(rng.standard_normal(n, np.float32)), rng.standard_normal(m, np.float32)
        return calls("sorting", "searchsorted", (row, values), torch.searchsorted)

    return Row(
        family="sorting",
        operation="searchsorted",
        shape=named((n, m)),
        kind="memory",
        flops=int(m * math.log2(n)),
        bytes=FLOAT * (n + m) + INDEX * m,
        build=build,
        peers=PEERS,
    )


def unique(size: int) -> Row:
    def build():
        ids = np.random.default_rng(0).integers(0, 1000, size)
        return calls("sorting", "unique", (ids,), lambda x: torch.unique(x, True, True), True, True)

    return Row(
        family="sorting",
        operation="unique",
        shape=named((size,)),
        kind="memory",
        flops=size,
        bytes=2 * INDEX * size,
        build=build,
        peers=PEERS,
    )
