"""``python -m tests.conformance``: see the package."""

import argparse
import os
import sys
import time
from pathlib import Path

import torch

from tests.conformance import catalogue, expected, optimizers, pool, report


def _names(word, name, names):
    """Whether a word of the command line selects the unit `name`: as its full name, or else as a part of it."""
    return word == name if word in names else word in name


def main():
    """Run what the command line selects; the exit code is 1 if something is new or stale."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="PyTorch's own samples on ours.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, or those whose name contains it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--fixed", action="store_true", help="the part that runs in CI")
    parser.add_argument("--list", nargs="*", metavar="STATUS", default=[], help="print each sample of these statuses")
    parser.add_argument("--write", action="store_true", help="update expected.txt for what has run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    units = [
        *(("operation", name) for name in catalogue.operations()),
        *(("module", name) for name in catalogue.modules()),
        *(("optimizer", name) for name in optimizers.names()),
    ]
    if options.names:
        names = {name for _, name in units}
        units = [unit for unit in units if any(_names(word, unit[1], names) for word in options.names)]
    start = time.monotonic()
    print(report.head(), flush=True)

    def show(name, results, seconds):
        print(report.row(name, results, seconds), flush=True)

    results = pool.run(units, options.jobs, options.fixed, show)
    print(report.head())
    print(report.row(f"all {len(units)}", results, time.monotonic() - start))
    print(report.reasons(results))
    for result in results:
        if result.status in options.list:
            print(f"{result.status}: {result.unit}: {result.reason}\n{expected.sample(result)}")
    names = {name for _, name in units}
    if options.write:
        expected.write(results, names, options.fixed)
    complaints = expected.compare(results, names, options.fixed)
    complaints += [f"missing: {name} is ours and not in the catalogue" for name in catalogue.missing()]
    if options.json:
        report.save(options.json, results, complaints)
    print("\n" + "\n".join(complaints or ["as expected.txt lists it"]))
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()
