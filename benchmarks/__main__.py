"""Measures the board: ``python -m benchmarks --rows 'matmul|softmax' --threads 1,2 --check``."""

import argparse
import re
import sys

from tqdm import tqdm

from benchmarks import measure, verdict
from benchmarks.cases import board
from kernels import machine


def thread_counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1 or max(counts) > machine.cores():
        raise argparse.ArgumentTypeError(f"threads: must be from 1 to {machine.cores()}, got {text}")
    return counts


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default="", metavar="REGEX", help="rows whose family/operation-shape it is found in")
    parser.add_argument("--threads", type=thread_counts, default=f"1,{machine.cores()}", metavar="N,M")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (default: 15)")
    parser.add_argument("--check", action="store_true", help="exit 1 where something is below its floor")
    options = parser.parse_args(arguments)

    rows = [row for row in board() if re.search(options.rows, f"{row.family}/{row.id}")]
    if not rows:
        parser.error(f"--rows: no row matches {options.rows!r}")
    tasks = [(row, threads) for threads in dict.fromkeys(options.threads) for row in rows]
    results = []
    with tqdm(tasks, unit="row", file=sys.stderr, disable=None) as progress:
        for row, threads in progress:
            progress.set_postfix_str(f"{row.id}, {threads} threads")
            results.append(measure.measure(row, threads, options.rounds))
    measure.save(measure.BOARD_FILE, measure.machine_sheet(options.threads), results)
    print(verdict.table(results))
    if not options.check:
        return 0
    failures = verdict.failures(results)
    print("\nbelow the floor:\n  " + "\n  ".join(failures) if failures else "\nevery floor holds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
