"""Measures the board: ``python -m benchmarks --rows 'matmul|softmax' --threads 1,2 --check``.

Every row is saved when it has been measured, so an interrupted run loses nothing and ``--resume`` goes on with it.
Results are this machine's own, in a file that git ignores; ``--publish`` puts them where the README's tables are made
from (``python -m benchmarks.report``).
"""

import argparse
import datetime
import re
import sys
import time

from kernels import _jit, machine

try:
    from benchmarks import measure, verdict
    from benchmarks.cases import OURS, board
except ImportError as error:
    raise SystemExit(f"{error}: the board needs pip install -e '.[dev]'") from None


def thread_counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1 or max(counts) > machine.cores():
        raise argparse.ArgumentTypeError(f"threads: must be from 1 to {machine.cores()}, got {text}")
    return list(dict.fromkeys(counts))


def pattern(text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {text!r} ({error})") from None


def positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=pattern, default="", metavar="REGEX", help="found in family/operation-shape")
    parser.add_argument("--threads", type=thread_counts, default=f"1,{machine.cores()}", metavar="N,M")
    rounds = f"visits to each peer (default: {measure.ROUNDS})"
    parser.add_argument("--rounds", type=positive, default=measure.ROUNDS, help=rounds)
    parser.add_argument("--resume", action="store_true", help="leave out what the last run has measured already")
    parser.add_argument("--publish", action="store_true", help="put the results where the README's tables come from")
    parser.add_argument("--check", action="store_true", help="exit 1 where something is below its floor")
    options = parser.parse_args(arguments)

    rows = [row for row in board() if options.rows.search(f"{row.family}/{row.id}")]
    if not rows:
        parser.error(f"--rows: no row matches {options.rows.pattern!r}")
    tasks = [(row, threads) for threads in options.threads for row in rows]
    path, run, results = measure.local_file(), f"{measure.now()} {_jit.source_digest()[:8]}", []
    if options.resume:
        try:
            run, results = last_run(path, tasks)
        except ValueError as error:
            parser.error(f"--resume: {error}")

    stopped = not measure_all(tasks, options.rounds, run, results, path)
    if not results:
        return 130
    results = kept(path, run, tasks)  # beside the highest limits that the run has met
    print(f"\n{verdict.table(results)}\n\nkept in {path}")
    if stopped:
        print(f"interrupted: {len(results)} of {len(tasks)} rows are measured; --resume goes on with the others")
        return 130
    if options.publish:
        try:
            print(f"published as {measure.publish(path)}")
        except ValueError as error:
            parser.error(f"--publish: {error}")
    if not options.check:
        return 0
    failures = verdict.failures(results)
    print("\nbelow the floor:\n  " + "\n  ".join(failures) if failures else "\nevery floor holds")
    return 1 if failures else 0


def last_run(path, tasks) -> tuple[str, list[measure.Result]]:
    """The latest run that is kept in `path`, and its results for `tasks`; ValueError where nothing can be resumed."""
    if not path.exists():
        raise ValueError("no run has been kept on this machine")
    sheet, results = measure.load(path)
    run = max(result.run for result in results)
    if not measure.same_machine(sheet, measure.machine_sheet([])) or run.split()[-1] != _jit.source_digest()[:8]:
        raise ValueError(f"the kernels or the libraries have changed since the run of {run}; start a new one")
    return run, kept(path, run, tasks)


def kept(path, run, tasks) -> list[measure.Result]:
    """What `path` has of `tasks` from one run."""
    wanted = {(row.id, threads) for row, threads in tasks}
    results = measure.load(path)[1]
    return [result for result in results if result.run == run and (result.id, result.threads) in wanted]


def measure_all(tasks, rounds, run, results, path) -> bool:
    """Measures what `results` lack of `tasks`, a line and a saved row each; False where Ctrl-C has ended it."""
    done = {(result.id, result.threads) for result in results}
    left = [(row, threads) for row, threads in tasks if (row.id, threads) not in done]
    began = time.perf_counter()
    try:
        for count, (row, threads) in enumerate(left, start=1):
            found = measure.measure(row, threads, rounds, run)
            results.append(found)
            counts = sorted({each.threads for each in results})
            measure.save(path, *measure.merged(path, measure.machine_sheet(counts), results))
            remaining = (time.perf_counter() - began) / count * (len(left) - count)
            print(line(found, f"[{len(results)}/{len(tasks)}]", remaining), flush=True)
    except KeyboardInterrupt:
        return False
    return True


def line(result: measure.Result, number: str, remaining: float) -> str:
    """What was found of a row, and the time that the others will take."""
    best = result.seconds.get(OURS, min(result.seconds.values()))
    peers = [f"{ratio:.2f}x {peer}" for peer, ratio in result.ratios.items()] or [f"{len(result.seconds)} rungs"]
    marks = [f"unstable: {', '.join(result.unstable)}"] if result.unstable else []
    time_left = datetime.timedelta(seconds=round(remaining))
    parts = [verdict.duration(best), *peers, *marks, f"{time_left} left"]
    return f"{number} {result.id}, {measure.on(result.threads)}: {', '.join(parts)}"


if __name__ == "__main__":
    sys.exit(main())
