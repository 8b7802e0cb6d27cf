"""A ladder as Markdown: each rung's source from the code, its new lines marked, and what it reached when measured."""

import difflib
import html
import importlib
import inspect
import json
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


class Ladder(NamedTuple):
    """Where the rungs are, and the measured shape that the bars show."""

    module: str  # its VARIANTS are the rungs
    shape: str
    limit: str  # in a machine's sheet, and the figure that is shown
    unit: str
    factor: float = 1.0  # the definition's FLOPs to those that are counted


LADDERS = {
    "matmul": Ladder("kernels.gemm", "1024-1024-1024", "peak_flops", "GFLOP/s"),
    # the last rungs multiply less than the definition, whose FLOPs the rate is of: 9/4 of those that are counted
    "conv2d": Ladder("kernels.convolution", "56-64-64-3x3", "peak_flops", "GFLOP/s", factor=9 / 4),
    "scaled_dot_product_attention": Ladder("kernels.attention", "512-8-64", "peak_flops", "GFLOP/s"),
    "batch_norm": Ladder("kernels.normalization", "32-64-56-56", "bandwidth", "GB/s"),
    "lstm": Ladder("kernels.recurrent", "128-32-128-256", "peak_flops", "GFLOP/s"),
}
# Families whose rungs are shown without bars: the board measures their last rung against the peers.
UNMEASURED = {
    "softmax": "kernels.reduction",
    "layer_norm": "kernels.normalization",
    "gelu": "kernels.activation",
    "cross_entropy": "kernels.loss",
    "max_pool": "kernels.pooling",
    "embedding": "kernels.lookup",
    "adam": "kernels.update",
    "sort": "kernels.sorting",
    "cumsum": "kernels.scan",
}


def source(function) -> str:
    """A function's text, also of a jitted one."""
    return textwrap.dedent(inspect.getsource(getattr(function, "py_func", function)))


def without_docstring(text: str) -> list[str]:
    """The lines of a function without its docstring, which stands above it as text."""
    return re.sub(r'\n    r?"""(?:.|\n)*?"""(?=\n)', "", text, count=1).rstrip().split("\n")


def idea(function) -> str:
    """What a rung adds: the first paragraph of its docstring."""
    return " ".join((inspect.getdoc(getattr(function, "py_func", function)) or "").split("\n\n")[0].split())


def added(before: list[str], after: list[str]) -> list[int]:
    """The numbers, from 1 on, of the lines of `after` that are not in `before`, compared without indentation."""
    matcher = difflib.SequenceMatcher(None, [x.strip() for x in before], [x.strip() for x in after], autojunk=False)
    kept = {j + k for _, j, size in matcher.get_matching_blocks() for k in range(size)}
    new = (i for i, line in enumerate(after) if i not in kept and line.strip() and not line.startswith("def "))
    return [i + 1 for i in new]


def difference(before: list[str], after: list[str]) -> str:
    """A unified difference without its file names."""
    return "\n".join(list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:])


def helpers(function, rungs) -> list:
    """Functions of the rung's own file that its source names and that are no rungs."""
    own = getattr(function, "py_func", function)
    module = importlib.import_module(own.__module__)
    names = dict.fromkeys(re.findall(r"\b([a-z_]\w*)\(", source(function)))
    found = [getattr(module, name, None) for name in names]
    inner = [each for each in found if inspect.isfunction(getattr(each, "py_func", each))]
    here = [each for each in inner if getattr(each, "py_func", each).__module__ == own.__module__]
    return [each for each in here if each not in rungs and each is not function]


def measured(name: str) -> tuple[dict, dict]:
    """The sheet of the machine that measured this ladder last, and the row on one thread."""
    shown, found = LADDERS[name], []
    for path in RESULTS.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [r for r in content["results"] if r["operation"] == f"{name}_ladder" and r["shape"] == shown.shape]
        found += [(row["run"], path.name, content["machine"], row) for row in rows if row["threads"] == 1]
    if not found:
        return {}, {}
    *_, sheet, row = max(found, key=lambda each: each[:2])
    return sheet, row


def rates(name: str) -> tuple[dict[str, float], float, str]:
    """Rates of rungs and peers on one thread in 10⁹ a second, the machine's limit, and the machine's name."""
    shown, (sheet, row) = LADDERS[name], measured(name)
    if not row:
        return {}, 0.0, ""
    work = row["flops"] * shown.factor if shown.limit == "peak_flops" else row["bytes"]
    machine = f"{sheet['cpu']} ({sheet['core']})"
    return {each: work / s / 1e9 for each, s in row["seconds"].items()}, sheet[shown.limit]["1"] / 1e9, machine


def bars(name: str, this: str) -> str:
    """The measured rates as bars, whose full width is the largest of them and the limit; this rung's stands out."""
    found, limit, machine = rates(name) if name in LADDERS else ({}, 0.0, "")
    if this not in found:
        return ""
    widest = max(limit, *found.values())
    parts = []
    for each, rate in found.items():
        mark = " this" if each == this else ""
        value = f"{rate:.3g} {LADDERS[name].unit}, {rate / limit:.0%} of the measured limit"
        parts += [
            f'<span class="name{mark}">{html.escape(each.replace("_", " "))}</span>',
            f'<div class="track{mark}"><div class="bar" style="width:{100 * rate / widest:.1f}%"></div>'
            f'<span class="value">{value}</span></div>',
        ]
    shape = LADDERS[name].shape.replace("-", " × ")
    return f"On one thread of {machine}, {shape}, float32:\n\n" + f'<div class="rungs">{"".join(parts)}</div>\n'


def indented(text: str) -> str:
    return textwrap.indent(text, "    ")


def fenced(language: str, text: str, lines: list[int] = ()) -> str:
    marked = f' hl_lines="{" ".join(map(str, lines))}"' if lines else ""
    return f"```{language}{marked}\n{text}\n```"


def markdown(name: str) -> str:
    """The rungs of an operation, one section each."""
    module = LADDERS[name].module if name in LADDERS else UNMEASURED[name]
    rungs = importlib.import_module(module).VARIANTS[name]
    path = inspect.getsourcefile(getattr(rungs["naive"], "py_func", rungs["naive"]))
    parts = ["## The ladder", f"From `{Path(path).relative_to(ROOT).as_posix()}`; marked lines are new."]
    before, shown = None, set()
    for rung, function in rungs.items():
        lines = without_docstring(source(function))
        parts += [f"### {rung.replace('_', ' ').capitalize()}", idea(function), bars(name, rung)]
        if before is None:
            parts.append(fenced("python", "\n".join(lines)))
        else:
            parts += [
                '=== "Source"\n\n' + indented(fenced("python", "\n".join(lines), added(before, lines))),
                '=== "Difference to the rung below"\n\n' + indented(fenced("diff", difference(before, lines))),
            ]
        for helper in helpers(function, list(rungs.values())):
            label = getattr(helper, "py_func", helper).__name__
            if label not in shown:
                shown.add(label)
                parts.append(f'??? note "`{label}`"\n\n' + indented(fenced("python", source(helper).rstrip())))
        before = lines
    return "\n\n".join(parts)
