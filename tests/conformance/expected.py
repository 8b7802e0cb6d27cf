"""The list of samples that do not pass, and the comparison with it."""

from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).with_name("expected.txt")

_HEADER = """\
# Samples that do not pass, one line per kind: operation, status, part, reason, separated by tabs.
# part: "fixed" if it also occurs in the part that runs in CI, else "all". Statuses: see __init__.py.
# Written by `python -m tests.conformance --write`; a change of this file changes what is covered: read the diff.
"""


class Line(NamedTuple):
    """One kind of sample that does not pass."""

    unit: str
    status: str
    reason: str


def kinds(results):
    """Line -> whether it occurs in the fixed part, for the results that do not pass."""
    found = {}
    for result in results:
        if result.status != "pass":
            line = Line(result.unit, result.status, result.reason)
            found[line] = found.get(line, False) or result.fixed
    return found


def read():
    """Line -> whether it occurs in the fixed part, as committed."""
    lines = {}
    for text in PATH.read_text(encoding="utf-8").splitlines():
        if text and not text.startswith("#"):
            unit, status, part, reason = text.split("\t")
            lines[Line(unit, status, reason)] = part == "fixed"
    return lines


def write(results, units, fixed_only):
    """Replace the lines of these units; with `fixed_only`, lines that only occur outside the fixed part are kept."""
    lines = {line: fixed for line, fixed in read().items() if line.unit not in units or (fixed_only and not fixed)}
    lines |= kinds(results)
    rows = sorted("\t".join((k.unit, k.status, "fixed" if fixed else "all", k.reason)) for k, fixed in lines.items())
    PATH.write_text(_HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")


def compare(results, units, fixed_only):
    """Complaints: kinds that are new, and kinds that are listed but no longer occur.

    Parameters
    ----------
    results : sequence of Result
    units : collection of str
        The units that ran.
    fixed_only : bool

    Returns
    -------
    list of str
    """
    listed, found = read(), kinds(results)
    complaints = []
    for line in found:
        if line not in listed:
            example = next(r for r in results if Line(r.unit, r.status, r.reason) == line)
            complaints.append(f"new: {line.unit}: {line.status}: {line.reason}\n{sample(example)}")
    for line, fixed in listed.items():
        if line.unit in units and line not in found and (fixed or not fixed_only):
            complaints.append(f"stale: {line.unit}: {line.status}: {line.reason} (no longer occurs)")
    return complaints


def sample(result):
    """Two lines that describe one sample."""
    return f"     [{result.key}] {result.description}\n     {result.detail}"
