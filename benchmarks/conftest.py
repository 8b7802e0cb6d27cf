"""Runs the board under pytest-benchmark: ``pytest --benchmark-only`` on all usable cores.

Each peer of each row is one benchmark; at the end the peers of a row are set side by side, and results and pictures are
left in ``benchmarks/results``. Peers run one after another here: for ratios to rely on, see ``python -m benchmarks``.
"""

import functools
from pathlib import Path

import pytest
import torch

from benchmarks import measure, report, verdict
from benchmarks.cases import OURS
from kernels import machine

RESULTS_FILE = measure.RESULTS / "pytest.json"
BENCHMARK_SECONDS = 0.2
ROUNDS = (3, 15)  # at least, at most

MEASURED = pytest.StashKey[dict]()  # row -> {"seconds": {peer: median}, "first_call": seconds}
OTHERS = pytest.StashKey[measure.Others]()


def pytest_configure(config):
    """Of the default paths, ``--benchmark-only`` takes the benchmarks and a plain run takes the tests."""
    config.stash[MEASURED] = {}
    config.stash[OTHERS] = measure.Others()
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
    """Times one peer of one row; fails where it is faster than the machine."""

    def run(row, peer):
        call = calls_of(row, threads)[peer]
        benchmark.group = row.id
        benchmark.name = f"{row.operation}[{peer}-{row.shape}]"
        with torch.inference_mode(not row.records):
            first_call = measure.timed(call)  # compiles, so it is reported on its own
            measure.set_threads(threads, threads)
            measure.require_threads(threads)
            measure.settle()
            repetitions = measure.repetitions_of(call)
            rounds = int(BENCHMARK_SECONDS / measure.timed(call, repetitions))
            benchmark.pedantic(call, rounds=min(max(rounds, ROUNDS[0]), ROUNDS[1]), iterations=repetitions)
        if not benchmark.enabled:
            return
        seconds = benchmark.stats.stats.median
        found = request.config.stash[MEASURED].setdefault(row, {"seconds": {}, "first_call": None})
        found["seconds"][peer] = seconds
        if peer == OURS:
            found["first_call"] = benchmark.extra_info["first_call"] = first_call
        impossible = measure.result(row, threads, {peer: seconds}, {}).impossible()
        assert not impossible, impossible[0]

    return run


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    """Sets the peers side by side and leaves results and pictures."""
    measured, others = config.stash[MEASURED], config.stash[OTHERS].cores()
    if not measured:
        return
    results = []
    for row, found in measured.items():
        seconds = found["seconds"]
        ratios = {peer: seconds[peer] / seconds[OURS] for peer in seconds if peer != OURS and OURS in seconds}
        results.append(measure.result(row, machine.cores(), seconds, ratios, found["first_call"], others))
    measure.save(RESULTS_FILE, measure.machine_sheet([machine.cores()]), results)
    terminalreporter.section("the board")
    terminalreporter.write_line(verdict.table(results))
    for picture in report.pictures(RESULTS_FILE):
        terminalreporter.write_line(f"picture: {picture}")
