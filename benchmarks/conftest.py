"""Runs the chosen rows of the board under pytest-benchmark: ``pytest --benchmark-only``, on all usable cores.

Each peer of each row is one benchmark, run until it is in its steady state and then timed; at the end the peers of a
row are set side by side, and results and pictures are left in ``benchmarks/results/local``. Peers run one after another
here: for the whole board, and for ratios to rely on, see ``python -m benchmarks``.
"""

import dataclasses
import functools
import time
from pathlib import Path

import pytest
import torch

from benchmarks import measure, report, verdict
from benchmarks.cases import OURS
from kernels import machine

RESULTS_FILE = measure.LOCAL / "pytest.json"
ROUNDS = (3, 200)  # at least, at most

MEASURED = pytest.StashKey[dict]()  # row -> {"visits": {peer: [seconds of each round]}, "first_call": seconds}
OTHERS = pytest.StashKey[measure.Others]()
BEGAN = pytest.StashKey[float]()


def pytest_configure(config):
    """Of the default paths, ``--benchmark-only`` takes the benchmarks and a plain run takes the tests."""
    config.stash[MEASURED] = {}
    config.stash[OTHERS] = measure.Others()
    config.stash[BEGAN] = time.perf_counter()
    if config.args_source is config.ArgsSource.TESTPATHS:
        benchmarking = config.getoption("benchmark_only", False)
        config.args = [path for path in config.args if (Path(path).name == "benchmarks") == benchmarking]


@pytest.fixture(scope="session")
def threads():
    """The thread count of the whole run: every core that this process may use."""
    with measure.thread_count(machine.cores()):
        yield machine.cores()


@functools.lru_cache(maxsize=1)
def calls_of(row, threads):
    """The peers of a row follow each other, so they share one set of inputs."""
    return measure.build(row, threads)


@pytest.fixture
def run(benchmark, threads, request):
    """Times one peer of one row in its steady state."""

    def run(row, peer):
        calls = calls_of(row, threads)
        if peer not in calls:
            pytest.skip(f"{peer} cannot run here")
        call = calls[peer]
        benchmark.group = row.id
        benchmark.name = f"{row.operation}[{peer}-{row.shape}]"
        with torch.inference_mode(not row.records):
            first_call = measure.first_call(call)  # compiles, so it is reported on its own
            measure.set_threads(threads, threads)
            measure.require_threads(threads)
            rounds, repetitions = 1, 1
            if peer in (OURS, "torch") or first_call < measure.ONCE_SECONDS:
                measure.settle()
                measure.warm(call)
                repetitions = measure.repetitions_of(call)
                rounds = int(measure.TIMED_SECONDS / measure.timed(call, repetitions))
                rounds = min(max(rounds, ROUNDS[0]), ROUNDS[1])
            benchmark.pedantic(call, rounds=rounds, iterations=repetitions)
        if not benchmark.enabled:
            return
        found = request.config.stash[MEASURED].setdefault(row, {"visits": {}, "first_call": None})
        found["visits"][peer] = [benchmark.stats.stats.data]
        if peer == OURS:
            found["first_call"] = benchmark.extra_info["first_call"] = first_call

    return run


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    """Sets the peers side by side and leaves results and pictures."""
    measured, others = config.stash[MEASURED], config.stash[OTHERS].cores()
    if not measured:
        return
    results = []
    for row, found in measured.items():
        seconds = {peer: measure.lower_quartile(samples) for peer, (samples,) in found["visits"].items()}
        ratios = {peer: seconds[peer] / seconds[OURS] for peer in seconds if peer != OURS and OURS in seconds}
        facts = {"first_call": found["first_call"], "others": others}
        results.append(measure.result(row, machine.cores(), found["visits"], ratios, **facts))
    compiled = sum(found["first_call"] or 0.0 for found in measured.values())
    passed = time.perf_counter() - config.stash[BEGAN] - compiled
    results = [dataclasses.replace(each, limits=measure.current_limits(each.threads)) for each in results]
    measure.save(RESULTS_FILE, measure.machine_sheet([machine.cores()]), results)
    terminalreporter.section("the board")
    terminalreporter.write_line(verdict.table(results))
    terminalreporter.write_line(f"{passed:.0f} s beside our first calls")
    for picture in report.pictures(RESULTS_FILE, measure.LOCAL):
        terminalreporter.write_line(f"picture: {picture}")
