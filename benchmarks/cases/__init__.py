"""One table: operation -> shapes from real networks -> every implementation of it.

`row` says what a row is and who its peers are; each other file here holds the rows of one file of `kernels`, or the
whole training steps. A new kernel brings one more file and one more name in `FAMILIES`.
"""

import functools
from importlib import import_module
from pathlib import Path

from benchmarks.cases.row import OURS, Row

__all__ = ["CHOSEN", "FAMILIES", "OURS", "Row", "board", "pairs"]

FAMILIES = (
    "gemm", "affine", "mlp", "convolution", "activation", "reduction", "scan", "sorting", "pooling", "normalization",
    "attention", "recurrent", "loss", "lookup", "update", "njit", "training", "inference", "models", "compiled",
)  # fmt: skip

# What ``pytest --benchmark-only`` measures, in minutes: of every family the sizes that tell most, and a ladder of each
# flagship at the size that the README shows.
CHOSEN = Path(__file__).with_name("chosen.txt").read_text(encoding="utf-8").split()


@functools.cache
def board() -> tuple[Row, ...]:
    """Every row, family by family."""
    return tuple(row for family in FAMILIES for row in import_module(f"benchmarks.cases.{family}").rows())


def pairs(family: str) -> list[tuple[Row, str]]:
    """Each chosen row of one family with each of its peers: what ``bench_<family>.py`` iterates."""
    return [(row, peer) for row in board() if row.family == family and row.id in CHOSEN for peer in row.peers]
