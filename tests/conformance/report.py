"""The tables that the command prints."""

import json
from collections import Counter

from tests.conformance.samples import STATUSES

_COLUMNS = ("run", *STATUSES)


def head():
    """The first line of the table."""
    return f"{'operation':44}" + "".join(f"{column:>14}" for column in _COLUMNS) + f"{'seconds':>9}"


def row(name, results, seconds=None):
    """The counts of one operation."""
    counts = Counter(result.status for result in results)
    counts["run"] = len(results)
    cells = "".join(f"{counts[column] or '.':>14}" for column in _COLUMNS)
    return f"{name:44}{cells}" + ("" if seconds is None else f"{seconds:9.1f}")


def reasons(results):
    """The reasons of each status except pass, the most frequent first, with the operations in which they occur."""
    lines = []
    for status in STATUSES[1:]:
        counts, where = Counter(), {}
        for result in results:
            if result.status == status:
                counts[result.reason] += 1
                where.setdefault(result.reason, {})[result.unit] = None
        if counts:
            lines.append(f"\n{status}: {counts.total()}")
        for reason, count in counts.most_common():
            units = list(where[reason])
            more = f" and {len(units) - 4} more" if len(units) > 4 else ""
            lines.append(f"  {count:6}  {reason or '(no error)'}  [{', '.join(units[:4])}{more}]")
    return "\n".join(lines)


def save(path, results, complaints):
    """Write all results and complaints to a JSON file."""
    content = {"complaints": complaints, "results": [result._asdict() for result in results]}
    path.write_text(json.dumps(content), encoding="utf-8")
