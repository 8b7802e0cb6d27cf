"""Draws what was published and writes the README's tables and RESULTS.md: ``python -m benchmarks.report``.

The pictures and the ladders are those of the machine that was measured last, and go to ``benchmarks/results``; the
scores and means are those of each machine. ``benchmarks/RESULTS.md`` has all of it, and every row. In the README, the
ladder of the matrix product and the scores replace what stands between their markers, ``<!-- score -->`` …
``<!-- /score -->`` and ``<!-- ladder:matmul -->`` ….
"""

import math
import re
import statistics
import sys
from collections import defaultdict
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.cases import OURS
from benchmarks.measure import RESULTS, Result, load, machine_name, on, published
from benchmarks.verdict import MEANS, SCALING, STEEPEST, duration, marks, means, scaling, share, size, slope

README = Path(__file__).parent.parent / "README.md"
BOARD = Path(__file__).parent / "RESULTS.md"
FORMER = RESULTS / "former"  # what the harness found that let pools fall asleep before each round
FIRST = "matmul"  # the ladder that the README shows


class Ladder(NamedTuple):
    """How the rungs of one operation are shown."""

    folder: str  # in kernels/, whose VARIANTS are the rungs
    shape: str  # of the table and the bars
    in_rates: bool  # the table's, or else times
    limit: str = "peak_flops"  # in the machine sheet, of the picture
    factor: float = 1.0  # the definition's FLOPs to those that are counted
    sizes: str = ""  # what the first number of a shape is
    axes: str = ""  # what all of them are


LADDERS = {
    "matmul": Ladder("gemm", "1024-1024-1024", True, sizes="M = N = K", axes="M × N × K"),
    # the rungs differ in FLOPs: Winograd's, which are counted, are 4/9 of the definition's
    "conv2d": Ladder(
        "convolution",
        "56-64-64-3x3",
        False,
        factor=9 / 4,
        sizes="pixels a side (channels: 3584 / side)",
        axes="pixels a side × input channels × output channels × taps, of one image",
    ),
    "batch_norm": Ladder("normalization", "32-64-56-56", False, limit="bandwidth", axes="N × C × H × W, in training"),
    "scaled_dot_product_attention": Ladder(
        "attention", "512-8-64", True, sizes="T (8 causal heads of 64 channels)", axes="T × heads × channels, causal"
    ),
    "lstm": Ladder(
        "recurrent",
        "128-32-128-256",
        True,
        sizes="T (B × I × H: 8 × 32 × 64, then 32 × 128 × 256)",
        axes="T × B × I × H",
    ),
}
KINDS = {
    "compute": "compute-bound",
    "memory": "memory-bound",
    "small": "small",
    "training": "training steps",
    "model": "whole models",
}
FURTHEST = 5  # lost rows that a score names
LIMITS = {"peak_flops": ("GFLOP/s", "measured peak"), "bandwidth": ("GB/s", "measured copy")}

# Okabe and Ito's palette, and a shape for each peer: told apart without colour, too.
STYLE = {
    OURS: {"color": "#0072B2", "marker": "o"},
    "torch": {"color": "#D55E00", "marker": "s"},
    "numpy": {"color": "#8C8C8C", "marker": "^"},
    "jax": {"color": "#009E73", "marker": "D"},
}
RUNG_COLORS = ("#CC79A7", "#E69F00", "#F0E442", "#56B4E9", "#009E73", "#0072B2", "#000000")
FRAME = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 10, "axes.axisbelow": True}


def pictures(path: Path, folder: Path = RESULTS) -> list[Path]:
    """Draws every picture that the results in `path` have rows for, into `folder`; returns the files."""
    sheet, results = load(path)
    drawn = []
    with plt.rc_context(FRAME):
        if any({OURS, "torch"} <= result.seconds.keys() for result in results):
            drawn.append(roofline(sheet, results, folder))
        if scaling(results):
            drawn.append(lengths(sheet, results, folder))
        drawn += [ladder(sheet, results, name, folder) for name in LADDERS if ladder_results(results, name)]
    return drawn


def roofline(sheet: dict, results: list[Result], folder: Path) -> Path:
    """Every row at the highest thread count: rate against intensity, under the machine's two lines."""
    threads = max(result.threads for result in results)
    rows = [result for result in results if result.threads == threads and {OURS, "torch"} <= result.seconds.keys()]
    peak, bandwidth = sheet["peak_flops"][str(threads)] / 1e9, sheet["bandwidth"][str(threads)] / 1e9
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")

    intensity = np.geomspace(0.03, 1000, 200)
    axes.plot(intensity, np.minimum(peak, bandwidth * intensity), color="black", linewidth=1.5)
    places = side_by_side([r.flops / r.bytes for r in rows])
    rates = {
        peer: [r.flops / r.seconds[peer] / 1e9 if peer in r.seconds else np.nan for r in rows]
        for peer in ("numpy", "torch", OURS)  # ours last, on top
    }
    for peer, heights in rates.items():
        axes.scatter(places, heights, s=24, linewidths=0.4, edgecolors="white", label=peer, zorder=3, **STYLE[peer])
    for x, theirs, ours in zip(places, rates["torch"], rates[OURS], strict=True):  # from PyTorch's point to ours
        axes.plot([x, x], [theirs, ours], color=STYLE[OURS if ours >= theirs else "torch"]["color"], linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlim=(0.03, 1000), ylim=(None, peak * 3))
    axes.set(xlabel="arithmetic intensity (FLOP / byte); equal ones side by side", ylabel="GFLOP/s")
    axes.set_title(
        f"{machine_name(sheet)}, {on(threads)}, float32. A blue line is won against PyTorch, an orange one is lost.\n"
        "What fits the cache may lie above the bandwidth line.",
        fontsize=10,
        loc="left",
    )
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    axes.annotate(f"measured FMA peak, {peak:.0f} GFLOP/s", (900, peak), (0, 5), textcoords="offset points", ha="right")
    figure.draw_without_rendering()  # the layout decides the slope
    (left, low), (right, high) = axes.transData.transform([(0.05, 0.05 * bandwidth), (0.5, 0.5 * bandwidth)])
    axes.annotate(
        f"measured copy, {bandwidth:.0f} GB/s",
        (0.035, 0.035 * bandwidth),
        (0, 6),
        textcoords="offset points",
        rotation=math.degrees(math.atan2(high - low, right - left)),
        rotation_mode="anchor",
    )
    return finish(figure, folder / "roofline.png")


def side_by_side(intensities: list[float]) -> list[float]:
    """The same places, but those within 5 % of each other spread out, so that no point hides another."""
    clusters = defaultdict(list)
    for i, intensity in enumerate(intensities):
        clusters[round(math.log(intensity) / math.log(1.05))].append(i)
    places = list(intensities)
    for members in clusters.values():
        width = min(0.18, 0.015 * len(members))
        for i, shift in zip(members, np.linspace(-width, width, len(members) + 2)[1:-1], strict=True):
            places[i] *= math.exp(2 * shift)
    return places


def ladder_results(results: list[Result], name: str) -> list[Result]:
    return [result for result in results if result.operation == f"{name}_ladder"]


def rungs(name: str) -> dict:
    """The variants of a ladder in their order, from the kernel file itself."""
    return import_module(f"kernels.{LADDERS[name].folder}").VARIANTS[name]


def without_former_rungs(rows: list[Result], name: str) -> list[Result]:
    """The rows of a ladder without the rungs that it no longer has, which are named on stderr."""
    present = {*rungs(name), "numpy", "torch"}
    former = list(dict.fromkeys(each for row in rows for each in row.seconds if each not in present))
    if former:
        print(f"{name}: the ladder no longer has these rungs, left out: {', '.join(former)}", file=sys.stderr)
    return [
        replace(row, seconds={each: seconds for each, seconds in row.seconds.items() if each in present})
        for row in rows
    ]


def ladder(sheet: dict, results: list[Result], name: str, folder: Path) -> Path:
    """What each rung reaches at one size, and where there are several, how all of them go with size; with the machine's
    limit."""
    shown, rows = LADDERS[name], without_former_rungs(ladder_results(results, name), name)
    threads = max(result.threads for result in rows)
    rows = sorted((r for r in rows if r.threads == threads), key=size)
    limits = {int(n): value / 1e9 for n, value in sheet[shown.limit].items() if int(n) in (1, threads)}
    several = len(rows) > 1
    figure, panels = plt.subplots(
        1, 1 + several, figsize=(11 if several else 6, 4.8), layout="constrained", sharey=True, squeeze=False
    )
    colors = {each: RUNG_COLORS[i % len(RUNG_COLORS)] for i, each in enumerate(rungs(name))}
    colors |= {each: STYLE[each]["color"] for each in ("numpy", "torch")}

    def rate(result, peer):
        work = result.flops * shown.factor if shown.limit == "peak_flops" else result.bytes
        return work / result.seconds[peer] / 1e9

    row = next((r for r in rows if r.shape == shown.shape), rows[-1])
    rates = {each: rate(row, each) for each in row.seconds}
    highest = max(*limits.values(), *(rate(r, each) for r in rows for each in r.seconds))
    _draw_rungs(panels[0, 0], rates, colors)
    unit, label = LIMITS[shown.limit]
    counted = " of the definition" if shown.factor != 1 else ""
    panels[0, 0].set(ylabel=unit + counted, title=f"{name} {row.shape.replace('-', ' × ')}", ylim=(0, 1.08 * highest))
    if several:
        _draw_sizes(panels[0, 1], rows, rate, colors)
        panels[0, 1].set(xlabel=shown.sizes, title="by size")
        figure.legend(*panels[0, 1].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside right center")
    for axes in panels.flat:
        axes.grid(axis="y", alpha=0.25)
        for n, limit in limits.items():
            axes.axhline(limit, color="black", linewidth=1, linestyle="-" if n == threads else ":")
    for n, limit in limits.items():
        place = {"xytext": (0, 3), "textcoords": "offset points", "fontsize": 8}
        panels[0, 0].annotate(f"{label}, {on(n)}", (-0.4, limit), **place)
    figure.suptitle(f"{machine_name(sheet)}, {on(threads)}, float32", fontsize=10)
    return finish(figure, folder / f"ladder_{name}.png")


def _draw_rungs(axes, rates: dict, colors: dict) -> None:
    """A bar for each rung and peer."""
    of_each = [colors[each] for each in rates]
    drawn = axes.bar(list(rates), rates.values(), color=of_each, edgecolor="black", linewidth=0.4)
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # no line runs through a number
    axes.bar_label(drawn, [f"{each:.3g}" for each in rates.values()], padding=3, fontsize=9, bbox=ground)
    axes.set_xticks(range(len(rates)), [each.replace("_", " ").replace(" ", "\n") for each in rates], fontsize=8)


def _draw_sizes(axes, rows: list[Result], rate, colors: dict) -> None:
    """A line for each rung and peer, over the first number of the rows' shapes."""
    for each, marker in zip(dict.fromkeys(peer for r in rows for peer in r.seconds), "ovP*Xd<>^s", strict=False):
        points = [(size(r), rate(r, each)) for r in rows if each in r.seconds]
        style = {"color": colors[each], "label": each, "markeredgecolor": "black", "markeredgewidth": 0.4}
        axes.plot(*zip(*points, strict=True), "--" if each in STYLE else "-", marker=marker, **style)
    sizes = sorted({size(r) for r in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, map(str, sizes))


def lengths(sheet: dict, results: list[Result], folder: Path) -> Path:
    """Attention's time against length at the highest thread count, with the power of the length that it goes with."""
    threads, rows = max(scaling(results).items())
    figure, axes = plt.subplots(figsize=(7, 4.8), layout="constrained")
    places = [size(r) for r in rows]
    for peer in (each for each in STYLE if all(each in r.seconds for r in rows)):
        power = slope(rows, peer)
        axes.plot(places, [1e3 * r.seconds[peer] for r in rows], label=f"{peer}: T^{power:.2f}", **STYLE[peer])
    limits = [1e3 * r.limit_seconds for r in rows]
    axes.plot(places, limits, color="black", linewidth=1, linestyle=":", label="measured peak")
    axes.set(xscale="log", yscale="log", xlabel="T (one causal head of 64 channels)", ylabel="milliseconds")
    axes.set_xticks(places, map(str, places))
    axes.minorticks_off()
    axes.set_title(
        f"{machine_name(sheet)}, {on(threads)}, float32.\n"
        f"The power of T that fits each; ours is to stay below {STEEPEST:g}.",
        fontsize=10,
        loc="left",
    )
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", frameon=False)
    return finish(figure, folder / f"{SCALING}.png")


def finish(figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)
    return path


def markdown(header: list[str], rows: list[list[str]], left: int = 1) -> str:
    """A Markdown table; the first `left` columns and none other are text."""
    rule = [":---" if i < left else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *rows))


def ladder_table(sheet: dict, results: list[Result], name: str) -> str:
    """Each rung's GFLOP/s and share of the peak, or its time; what it bought, and the idea, from its own docstring.

    What a rung bought is told on one thread; of the last, which adds threads, what they brought is told, too.
    """
    shape, in_rates = LADDERS[name].shape, LADDERS[name].in_rates
    rows = {r.threads: r for r in ladder_results(results, name) if r.shape == shape}
    counts = sorted(rows)
    header = ["rung", "its idea", *(on(n) for n in counts), "bought"]

    def cell(result, seconds):
        if not in_rates:
            return duration(seconds)
        speed = result.flops / seconds
        return f"{speed / 1e9:.3g} ({speed / sheet['peak_flops'][str(result.threads)]:.0%})"

    lines, before = [], None
    for rung, function in [*rungs(name).items(), ("numpy", None), ("torch", None)]:
        seconds = {n: rows[n].seconds[rung] for n in counts if rung in rows[n].seconds}
        if not seconds:
            continue
        bought = ""
        if before and function:  # like with like: on one thread, then what all of them bring
            first, most = min(seconds), max(seconds)
            bought = f"{before[first] / seconds[first]:.1f}×"
            if rung == list(rungs(name))[-1] and most > first:
                bought += f", {seconds[first] / seconds[most]:.1f}× by threads"
        before = seconds
        idea = " ".join(function.__doc__.split("\n\n")[0].split()) if function else "the same task"
        cells = [cell(rows[n], seconds[n]) for n in counts]
        lines.append([rung.replace("_", " ") if function else f"*{rung}*", idea, *cells, bought])
    unit = "GFLOP/s (share of the measured peak)" if in_rates else "Time"
    table = markdown(header, lines, left=2)
    return f"{unit} at {shape.replace('-', ' × ')}, float32, on {machine_name(sheet)}:\n\n{table}"


def score_table(machines: list[tuple[dict, list[Result]]]) -> str:
    """How many rows of each kind are won and lost against PyTorch on each machine, and which are lost by the most."""
    lines, sentences = [], []
    for sheet, results in machines:
        results = [result for result in results if "torch" in result.ratios]
        steady = [result for result in results if result.steady(OURS, "torch")]
        for threads in sorted({result.threads for result in results}):
            there = [result for result in steady if result.threads == threads]
            cells = [score([r.ratios["torch"] for r in there if kind in (r.kind, None)]) for kind in (*KINDS, None)]
            lines.append([machine_name(sheet), str(threads), *cells])
        lost = sorted((r for r in steady if r.ratios["torch"] < 1), key=lambda r: r.ratios["torch"])
        furthest = "; ".join(f"{r.id} on {on(r.threads)}, {r.ratios['torch']:.2f}×" for r in lost[:FURTHEST])
        said = f"lost by the most: {furthest}." if lost else "none is lost."
        if unsteady := len(results) - len(steady):
            said += f" {unsteady} of {len(results)} measurements found no steady state and are not counted."
        sentences.append(f"{machine_name(sheet)}: {said}")
    header = ["rows won / lost, geometric mean", "threads", *KINDS.values(), "all"]
    return "\n\n".join([markdown(header, lines), *sentences])


def score(ratios: list[float]) -> str:
    """A cell of the score: won, lost, and the geometric mean."""
    won = sum(ratio >= 1 for ratio in ratios)
    return f"{won} / {len(ratios) - won}, {statistics.geometric_mean(ratios):.2f}×" if ratios else ""


def means_table(results: list[Result]) -> str:
    """The geometric means of one machine, and how many rows are lost or in no mean."""
    results = [result for result in results if OURS in result.seconds]
    counts = sorted({result.threads for result in results})
    standing = defaultdict(dict)
    for mean, threads, value in means(results):
        standing[mean][threads] = f"{value:.2f}×" + ("" if value >= mean.floor else " ✗")
    header = ["geometric mean", "against", *(on(n) for n in counts), "floor"]
    summary = [
        [mean.name, mean.peer, *(cells.get(n, "") for n in counts), f"{mean.floor:g}×"]
        for mean, cells in standing.items()
    ]
    below = sum(result.ratios.get("torch", 1.0) < 1.0 for result in results)
    unstable = sum(not result.steady(OURS, "torch") for result in results)
    return (
        f"{markdown(header, summary, left=2)}\n\nOf {len(results)} measurements (a row on one number of threads), "
        f"{below} are below 1.0× PyTorch; {unstable} found no steady state of ours or of PyTorch's, and are in no mean."
    )


def rows_table(results: list[Result]) -> str:
    """Every row of one machine: our time, share of the limit, ratios to the peers at each thread count, and what a
    reader must know of it."""
    results = [result for result in results if OURS in result.seconds]
    counts = sorted({result.threads for result in results})
    by_row = defaultdict(dict)
    for result in results:
        by_row[result.id][result.threads] = result
    peers = list(dict.fromkeys(peer for result in results for peer in result.ratios))
    columns = [(peer, n) for peer in peers for n in counts if any(peer in r.ratios for r in results if r.threads == n)]
    times = [f"time, {counts[-1]} thr", "median", "limit"]
    lines = []
    for found in by_row.values():
        last = found[max(found)]
        cells = [duration(last.seconds[OURS]), duration(last.medians[OURS]), share(last, OURS)]
        cells += [f"{found[n].ratios[p]:.2f}×" if n in found and p in found[n].ratios else "" for p, n in columns]
        mark = "; ".join(f"{n} thr: {marks(found[n])}" for n in sorted(found) if marks(found[n]))
        lines.append([last.operation, last.shape, *cells, mark])
    header = ["operation", "shape", *times, *(f"{p}, {n} thr" for p, n in columns), ""]
    return markdown(header, lines, left=2)


def machine_line(sheet: dict) -> str:
    """The machine sheet in a sentence."""
    caches = ", ".join(f"{level} {size // 1024} KiB" for level, size in sheet["cache_bytes"].items())
    peaks = " / ".join(f"{value / 1e9:.0f}" for value in sheet["peak_flops"].values())
    copies = " / ".join(f"{value / 1e9:.0f}" for value in sheet["bandwidth"].values())
    names = {"python": "Python", "numpy": "NumPy", "numba": "Numba", "torch": "PyTorch", "jax": "JAX"}
    versions = ", ".join(f"{name} {sheet[key]}" for key, name in names.items() if key in sheet)
    return (
        f"**{machine_name(sheet)}**: {sheet['vector_bits']}-bit vectors, {caches}; "
        f"peak {peaks} GFLOP/s and copy {copies} GB/s on {' / '.join(sheet['peak_flops'])} threads; "
        f"{versions}; NumPy's BLAS {sheet['blas']}, thread layer {sheet['thread_layer']}."
    )


def harness_table(former: list[Path], now: list[Path]) -> str:
    """The geometric means of each machine by the former harness and by this one."""
    found, lines = {path.name: load(path)[1] for path in now}, []
    for path in former:
        sheet, before = load(path)
        sides = [
            {(mean, n): f"{value:.2f}×" for mean, n, value in means(rows)}
            for rows in (before, found.get(path.name, []))
        ]
        for mean in MEANS:
            cells = [side.get((mean, n), "") for n in (1, 2) for side in sides]
            lines.append([machine_name(sheet), mean.name, mean.peer, *cells])
    columns = (f"{on(n)}, {side}" for n in (1, 2) for side in ("former", "now"))
    return markdown(["machine", "geometric mean", "against", *columns], lines, left=3)


def changed_sides(former: list[Path], now: list[Path]) -> str:
    """The rows that the former harness saw at least PyTorch's equal and this one sees slower, or the reverse."""
    found, lines = {path.name: load(path)[1] for path in now}, []
    for path in former:
        sheet, before = load(path)
        new = {(r.id, r.threads): r.ratios["torch"] for r in found.get(path.name, []) if "torch" in r.ratios}
        for r in before:
            old, ratio = r.ratios.get("torch"), new.get((r.id, r.threads))
            if old and ratio and (old >= 1) != (ratio >= 1):
                lines.append([machine_name(sheet), r.id, str(r.threads), f"{old:.2f}×", f"{ratio:.2f}×"])
    return markdown(["machine", "row", "threads", "former", "now"], lines, left=2)


def replace_between(text: str, name: str, body: str) -> str:
    """`text` with `body` between the markers of `name`; ValueError where they are not there once each."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README: the markers {begin} and {end} must be there once each")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{body}\n{end}", text)


def newest(paths: list[Path]) -> Path:
    """The file of the machine that was measured last."""
    return max(paths, key=lambda path: max(result.run for result in load(path)[1]))


def write_readme(paths: list[Path], readme: Path = README) -> None:
    """Replaces the README's tables by the results of the machines in `paths`."""
    sheet, results = load(newest(paths))
    bodies = {
        f"ladder:{FIRST}": ladder_table(sheet, results, FIRST),
        "score": score_table([load(path) for path in paths]),
    }
    text = readme.read_text(encoding="utf-8")
    for name, body in bodies.items():
        text = replace_between(text, name, body)
    readme.write_text(text, encoding="utf-8")


def write_board(paths: list[Path], former: list[Path], board: Path = BOARD) -> None:
    """Writes all that was measured: the scores, the ladders, every row of every machine, and the rows that the former
    harness saw otherwise."""
    parts = [
        "# Results",
        "Written by `python -m benchmarks.report`; [how it is measured](../docs/measuring.md). Ratios are of time, a "
        "peer's to ours, in one run, on the same number of threads, both allocating their results; losses are shown "
        "like wins. `torch.compile` competes in training steps and inference where there is a C++ compiler, JAX where "
        "it is installed. *Models* are nine published networks as users run them (ResNet-18, MobileNetV2, "
        "Inception-v3's layers, ViT-Ti, a U-Net, CREPE, DeepConvLSTM, a speaker encoder, a TCN): one input, eight, and "
        "a training step.",
        "![Roofline: every operation of the board against the machine's limit](results/roofline.png)",
        "## Won and lost against PyTorch",
        score_table([load(path) for path in paths]),
    ]
    for sheet, results in map(load, paths):
        parts += [machine_line(sheet), means_table(results)]
    sheet, results = load(newest(paths))
    parts += ["## The ladders", "What each rung of an operation bought."]
    for name in LADDERS:
        if ladder_results(results, name):
            picture = f"![The rungs of {name}, with the machine's limit](results/ladder_{name}.png)"
            parts += [f"### {name}", f"Shapes are {LADDERS[name].axes}.", ladder_table(sheet, results, name), picture]
    if scaling(results):
        picture = f"![Attention's time against length](results/{SCALING}.png)"
        parts += ["Attention's time goes with the square of the length, for each query meets each key.", picture]
    parts += [
        "## The board, row by row",
        "Times are lower quartiles in the steady state, medians beside them; *limit* is the share of what the "
        "machine's measured peak or bandwidth allows (a star: the data fit the cache, and the share may pass 100 %). "
        "Then, for each peer, how many times as long as innerloop it takes. *Short* is what is below its floor, "
        "*unstable* a peer without a steady state.",
    ]
    for sheet, results in map(load, paths):
        parts += [f"### {machine_name(sheet)}", rows_table(results)]
    parts += [
        "## What the former harness found",
        "The harness before this one let all threads fall asleep before each round (see "
        "[how it is measured](../docs/measuring.md)). What it found, and what is found now:",
        harness_table(former, paths),
        "Rows that changed sides against PyTorch when pools were no longer timed while they woke:",
        changed_sides(former, paths),
    ]
    board.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measured, before = published(), sorted(FORMER.glob("*.json"))
    for picture in pictures(newest(measured)):
        print(picture)
    write_readme(measured)
    write_board(measured, before)
    print(README, BOARD, sep="\n")
