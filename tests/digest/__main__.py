"""Write the digests of all cases, or compare them with those of a file: see `tests.digest`.

A process that has compiled something may run other machine code than those that load it from the cache: of a function
that several others have copies of, whichever was linked first. After compiling, it therefore starts again.
"""

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path

import numba
import numpy as np
from numba.core import event

from kernels import machine
from tests.digest.run import DTYPES, FAMILIES, THREADS, cases, digests

MOST_LINES = 200  # of a comparison


def conditions():
    """What the bits of a result may depend on beside the kernels."""
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
    """Names of calls whose digests are not the same for all thread counts."""
    one, *others = ({k.replace(f"{n} threads", "any threads"): v for k, v in found.items() if f"{n} threads" in k}
                    for n in THREADS)  # fmt: skip
    return sorted({name for other in others for name in one if one[name] != other.get(name)})


def compare(old, new):
    """Lines that say where two tables of digests differ."""
    lines = [f"differs: {name}" for name in old if name in new and old[name] != new[name]]
    lines += [f"missing: {name}" for name in old if name not in new]
    return lines + [f"new: {name}" for name in new if name not in old]


def main():
    """Do what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.digest", description=__doc__.partition("\n")[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="FILE", help="write the digests; keeps those of other families")
    action.add_argument("--compare", type=Path, metavar="FILE", help="compare with the digests of a file")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=FAMILIES, metavar="FAMILY")
    parser.add_argument("--cases", default="", metavar="WORD", help="only cases whose name has the word")
    arguments = parser.parse_args()

    def chosen(name):
        family, case = name.split(": ", 1)
        return family in arguments.only and arguments.cases in case.split(", float")[0]

    path = arguments.write or arguments.compare
    kept = json.loads(path.read_text()) if path.exists() else {"conditions": conditions(), "digests": {}}
    if kept["conditions"] != conditions():
        sys.exit(f"{path} was written under other conditions: {kept['conditions']}, here {conditions()}")
    found, failed = collect(arguments.only, arguments.cases)
    lines = [f"failed: {name}" for name in failed]
    lines += [f"depends on the number of threads: {name}" for name in split(found)]
    if arguments.write:
        others = {name: value for name, value in kept["digests"].items() if not chosen(name)}
        made = {"conditions": conditions(), "digests": dict(sorted((others | found).items()))}
        path.write_text(json.dumps(made, indent=0))
    else:
        lines += compare({name: value for name, value in kept["digests"].items() if chosen(name)}, found)
    lines[MOST_LINES:] = ["…"] * (len(lines) > MOST_LINES)
    print(*lines, f"{len(found)} digests: {'these complaints' if lines else 'all well'}", sep="\n")
    return int(bool(lines))


if __name__ == "__main__":
    with event.install_recorder("numba:compile") as compiling:
        code = main()
    if compiling.buffer:
        print("Something was compiled: once more, from the cache.", flush=True)
        os.execv(sys.executable, [sys.executable, "-m", "tests.digest", *sys.argv[1:]])
    sys.exit(code)
