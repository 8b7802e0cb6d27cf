"""Write the digests of all cases, or compare them with those of a file: see `tests.digest`."""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

import numba
import numpy as np

from kernels import machine
from tests.digest.run import DTYPES, FAMILIES, THREADS, cases, digests

MAX_LINES = 200  # that a comparison prints


def conditions():
    """Everything besides the kernels that the bits of a result may depend on."""
    return {
        "numba": numba.__version__,
        "numpy": np.__version__,
        "lanes": machine.lanes(np.float32),
        "registers": machine.vector_registers(),
        "caches": [machine.cache_bytes(level) for level in (1, 2)],
    }


def collect(families, word):
    """Digests of the families' cases, ``{name: digest}``, and the names of those that failed."""
    found, failed = {}, []
    for family in families:
        start = time.perf_counter()
        for case in cases(family):
            for dtype in DTYPES if word in case else ():
                for threads in THREADS:
                    name = f"{family}: {case}, {np.dtype(dtype).name}, {threads} threads"
                    try:
                        made = digests(family, case, dtype, threads)
                    except Exception:
                        traceback.print_exc()
                        failed.append(name)
                        continue
                    found |= {f"{name}: {call}": value for call, value in made.items()}
        print(f"{family}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return found, failed


def split(found):
    """Names of calls whose digests depend on the thread count."""
    one, *others = ({k.replace(f"{n} threads", "any threads"): v for k, v in found.items() if f"{n} threads" in k}
                    for n in THREADS)  # fmt: skip
    return sorted({name for other in others for name in one if one[name] != other.get(name)})


def compare(old, new):
    """Lines that list the differences between two tables of digests."""
    lines = [f"differs: {name}" for name in old if name in new and old[name] != new[name]]
    lines += [f"missing: {name}" for name in old if name not in new]
    return lines + [f"new: {name}" for name in new if name not in old]


def main():
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.digest", description=__doc__.partition("\n")[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="FILE", help="write the digests; keeps those of other cases")
    action.add_argument("--compare", type=Path, metavar="FILE", help="compare with the digests of a file")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=FAMILIES, metavar="FAMILY")
    parser.add_argument("--cases", default="", metavar="WORD", help="only cases whose name contains the word")
    arguments = parser.parse_args()

    def chosen(name):
        family, case = name.split(": ", 1)
        return family in arguments.only and arguments.cases in case.split(", float")[0]

    path = arguments.write or arguments.compare
    saved = json.loads(path.read_text()) if path.exists() else {"conditions": conditions(), "digests": {}}
    if saved["conditions"] != conditions():
        sys.exit(f"{path} was written under other conditions: {saved['conditions']}, here {conditions()}")
    found, failed = collect(arguments.only, arguments.cases)
    lines = [f"failed: {name}" for name in failed]
    lines += [f"depends on the number of threads: {name}" for name in split(found)]
    if arguments.write:
        others = {name: value for name, value in saved["digests"].items() if not chosen(name)}
        content = {"conditions": conditions(), "digests": dict(sorted((others | found).items()))}
        path.write_text(json.dumps(content, indent=0))
    else:
        lines += compare({name: value for name, value in saved["digests"].items() if chosen(name)}, found)
    lines[MAX_LINES:] = ["…"] * (len(lines) > MAX_LINES)
    print(*lines, f"{len(found)} digests: {'see above' if lines else 'no differences'}", sep="\n")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
