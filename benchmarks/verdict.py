"""What must hold on the board, and how it stands: the floors, and the table on the terminal.

Row by row: the row's own floor against PyTorch; where NumPy is nothing but BLAS, as fast as NumPy; a training step
stays ahead of JAX. A floor falls to 0.95 where both sides run within 10 % of a limit that binds: the rest is noise.
Then the geometric means, each thread count on its own, over the rows that were measured in a steady state; and how
steeply attention's time goes with length.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.cases import OURS
from benchmarks.measure import Result, on

NOISE = 0.95
SCALING = "attention_scaling"  # rows of one operation at several lengths
STEEPEST = 2.05  # the power of the length that their time may go with


@dataclass(frozen=True)
class Mean:
    """A geometric mean of ratios to one peer that must not fall below `floor`."""

    name: str
    peer: str
    floor: float
    holds: Callable[[Result], bool]

    def of(self, results: Iterable[Result]) -> float | None:
        """The mean over the steady rows that it is about; None where there is none."""
        rows = [r for r in results if self.peer in r.ratios and self.holds(r) and r.steady(OURS, self.peer)]
        return statistics.geometric_mean([r.ratios[self.peer] for r in rows]) if rows else None


ROWWISE = ("softmax", "log_softmax", "cross_entropy")

MEANS = (
    Mean("compute-bound", "torch", 1.1, lambda r: r.kind == "compute"),
    Mean("memory-bound", "torch", 1.5, lambda r: r.kind == "memory"),
    Mean("small", "torch", 2.0, lambda r: r.kind == "small"),
    Mean("training steps", "torch", 1.5, lambda r: r.kind == "training"),
    Mean("models", "torch", 1.0, lambda r: r.kind == "model"),
    Mean("matmul", "torch", 1.1, lambda r: r.family == "gemm"),
    Mean(
        "softmax, cross-entropy, activations",
        "torch",
        1.3,
        lambda r: r.family == "activation" or r.operation.startswith(ROWWISE),
    ),
    Mean("recurrent layers, forward", "torch", 1.2, lambda r: r.operation in ("lstm", "gru", "rnn")),
    Mean("attention", "torch", 1.2, lambda r: r.family == "attention"),
    Mean("all but BLAS", "numpy", 10.0, lambda r: not r.blas),
)


def row_floors(result: Result) -> dict[str, float]:
    """The least ratio to each peer that `result` is held to."""
    floors = {}
    if result.floor is not None:
        floors["torch"] = result.floor
        if result.blas:
            floors["numpy"] = 1.0
        if result.kind == "training":
            floors["jax"] = 1.0
    return {
        peer: min(floor, NOISE) if result.at_limit(OURS, peer) else floor
        for peer, floor in floors.items()
        if peer in result.ratios
    }


def shortfalls(result: Result) -> list[str]:
    """Each floor that `result` misses, with its number."""
    missed = [
        f"{result.ratios[peer]:.2f}x {peer}, floor {floor:g}"
        for peer, floor in row_floors(result).items()
        if not result.ratios[peer] >= floor  # a NaN is short, too
    ]
    if result.share_floor is not None and not result.share(OURS) >= result.share_floor:
        missed.append(f"{result.share(OURS):.0%} of the machine's limit, floor {result.share_floor:.0%}")
    return missed


def means(results: list[Result]) -> list[tuple[Mean, int, float]]:
    """Every geometric mean that has rows, at every thread count."""
    found = []
    for threads in sorted({result.threads for result in results}):
        for mean in MEANS:
            value = mean.of(result for result in results if result.threads == threads)
            if value is not None:
                found.append((mean, threads, value))
    return found


def scaling(results: list[Result]) -> dict[int, list[Result]]:
    """At every thread count the rows of one operation at several lengths, short ones first."""
    found = defaultdict(list)
    for result in sorted((r for r in results if r.operation == SCALING), key=size):
        found[result.threads].append(result)
    return {threads: rows for threads, rows in sorted(found.items()) if len(rows) > 1}


def size(result: Result) -> int:
    """The first number of a row's shape."""
    return int(result.shape.split("-")[0])


def slope(rows: list[Result], peer: str) -> float:
    """The power of the length that fits the time of `peer` best."""
    points = [(math.log(size(r)), math.log(r.seconds[peer])) for r in rows]
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def failures(results: list[Result]) -> list[str]:
    """All that does not hold: rows and means below their floor, results above the roofline, from a busy machine, or of
    a peer that a floor is about and that had no steady state."""
    rows = [f"{r.id}, {on(r.threads)}: {missed}" for r in results for missed in shortfalls(r)]
    groups = [
        f"geometric mean of {mean.name}, {on(threads)}: {value:.2f}x {mean.peer}, floor {mean.floor:g}"
        for mean, threads, value in means(results)
        if not value >= mean.floor
    ]
    steep = [
        f"{SCALING}, {on(threads)}: time goes with length to the power of {slope(rows, OURS):.2f}, at most {STEEPEST:g}"
        for threads, rows in scaling(results).items()
        if not slope(rows, OURS) <= STEEPEST
    ]
    disturbed = [
        f"{r.id}, {on(r.threads)}: disturbed, other processes used {r.others:.2f} cores" for r in results if r.disturbed
    ]
    unstable = [
        f"{r.id}, {on(r.threads)}: no steady state of {', '.join(r.unstable)}"
        for r in results
        if r.floor is not None and not r.steady(OURS, *row_floors(r))
    ]
    return rows + groups + steep + [message for r in results for message in r.impossible()] + disturbed + unstable


def duration(seconds: float) -> str:
    """Three digits and a unit: ``1.23 ms``."""
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def rate(result: Result, peer: str) -> str:
    """GFLOP/s of what computes, GB/s of what moves."""
    if result.compute_bound:
        return f"{result.flops / result.seconds[peer] / 1e9:.3g} GFLOP/s"
    return f"{result.bytes / result.seconds[peer] / 1e9:.3g} GB/s"


def share(result: Result, peer: str) -> str:
    """Share of the machine's limit; a star where the data fit the cache and the bandwidth line does not bind."""
    return f"{result.share(peer):.0%}" + ("*" if result.cached and not result.compute_bound else "")


def marks(result: Result) -> str:
    """What a reader of a row must know: that it is short, impossible, disturbed, or whose times were not steady."""
    found = ["short"] * bool(shortfalls(result)) + ["impossible"] * bool(result.impossible())
    found += ["disturbed"] * result.disturbed
    return ", ".join(found + [f"{peer} unstable" for peer in result.unstable])


def table(results: list[Result]) -> str:
    """The board for a terminal: rows, rungs, geometric means, and what compiling cost."""
    rows = [r for r in results if OURS in r.seconds]
    others = list(dict.fromkeys(peer for r in rows for peer in r.ratios))
    lines = [["row", "thr", OURS, "median", "rate", "limit", *(f"x {peer}" for peer in others), ""]]
    for r in rows:
        times = [duration(r.seconds[OURS]), duration(r.medians[OURS])]
        ratios = [f"{r.ratios[peer]:.2f}" if peer in r.ratios else "" for peer in others]
        lines.append([r.id, str(r.threads), *times, rate(r, OURS), share(r, OURS), *ratios, marks(r)])
    parts = [aligned(lines)] if rows else []
    ladder = [
        [r.id, str(r.threads), peer, duration(seconds), f"{r.flops / seconds / 1e9:.3g} GFLOP/s", share(r, peer)]
        for r in results
        if OURS not in r.seconds
        for peer, seconds in r.seconds.items()
    ]
    if ladder:
        parts.append(aligned([["ladder", "thr", "rung", "time", "rate", "limit"], *ladder]))
    standing = [
        [mean.name, str(threads), f"{value:.2f}x {mean.peer}", f"{mean.floor:g}"]
        for mean, threads, value in means(results)
    ]
    if standing:
        parts.append(aligned([["geometric mean", "thr", "ratio", "floor"], *standing]))
    return "\n\n".join([*parts, "\n".join(notes(results))])


def notes(results: list[Result]) -> list[str]:
    """What must be known beside the table: what its columns mean, what is not to be relied on, what compiling cost."""
    rows = [r for r in results if OURS in r.seconds]
    found = [
        "times and ratios: lower quartiles in the steady state; limit: share of min(peak FLOP/s, intensity x copy "
        "bandwidth); * in cache, where it may pass 100 %"
    ]
    if unstable := [r for r in results if r.unstable]:
        found.append(f"unstable: {len(unstable)} of {len(results)} rows have a peer that is in no mean")
    if any(r.disturbed for r in results):
        found.append(
            f"NOT TO BE RELIED ON: {sum(r.disturbed for r in results)} of {len(results)} rows were disturbed; "
            f"other processes used up to {max(r.others for r in results):.2f} cores"
        )
    found += [f"IMPOSSIBLE: {message}" for r in results for message in r.impossible()]
    if rows:
        compiled, slowest = sum(r.first_call for r in rows), max(rows, key=lambda r: r.first_call)
        found.append(
            f"first calls (compiled, or loaded from the cache; in no timing above): {compiled:.1f} s, "
            f"the longest {slowest.first_call:.1f} s for {slowest.id}"
        )
    return found


def aligned(lines: list[list[str]]) -> str:
    """Columns as wide as their widest cell, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
