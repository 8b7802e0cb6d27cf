"""One table: operation -> shapes from real networks -> every implementation of it.

`row` says what a row is and who its peers are; each other file here holds the rows of one file of `kernels`, or the
whole training steps. A new kernel brings one more file and one more name in `FAMILIES`.
"""

import functools
from importlib import import_module

from benchmarks.cases.row import OURS, Row

__all__ = ["FAMILIES", "OURS", "Row", "board", "pairs"]

FAMILIES = (
    "gemm", "affine", "perceptron", "convolution", "activation", "reduction", "pooling", "normalization", "attention",
    "recurrent", "loss", "lookup", "update", "training", "inference",
)  # fmt: skip


@functools.cache
def board() -> tuple[Row, ...]:
    """Every row, family by family."""
    return tuple(row for family in FAMILIES for row in import_module(f"benchmarks.cases.{family}").rows())


def pairs(family: str) -> list[tuple[Row, str]]:
    """Each row of one family with each of its peers: what ``bench_<family>.py`` iterates."""
    return [(row, peer) for row in board() if row.family == family for peer in row.peers]
