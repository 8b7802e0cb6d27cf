"""Times the peers of a row against each other, each in its steady state, and keeps what was found.

A round visits every peer once, and the next round goes through them in the opposite order. A visit has three parts:

1. The process comes to rest: idle workers of OpenMP and OpenBLAS spin on for up to 30 ms and would take a core from
   whoever comes next.
2. The peer runs untimed until its pool is awake and its times agree. A worker that sleeps may be woken on its caller's
   core, and the two then wait for each other, 4 ms a call where the work is 0.03 ms: a stall of the pause that this
   harness makes, not a time of the peer. A worker that is found there is moved to another core.
3. The peer is timed, in samples of at least 0.2 ms.

A visit's time is the lower quartile of its samples, and a ratio is the median of the rounds' ratios. A visit that is
slower than the peer's best by STALLED is made again, up to RETRIES times; a peer whose visits still disagree, or whose
median is that far above its lower quartile, is marked unstable, and no mean rests on it.

Other processes are watched, because a busy core makes OpenMP's barriers a thousand times slower: what was measured
beside them is said to be disturbed. Thread counts are set and then read back on both sides; the garbage collector
sleeps; the first call, which compiles, is timed on its own and counts nowhere.

Results are kept in a file a machine, `local_file`, which git ignores; `publish` copies it to where the README's tables
are made from.
"""

import contextlib
import dataclasses
import datetime
import gc
import importlib.metadata
import importlib.util
import itertools
import json
import os
import re
import statistics
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import threadpoolctl
import torch

import kernels
from benchmarks.cases import OURS, Row, board
from kernels import limits, machine

RESULTS = Path(__file__).parent / "results"
LOCAL = RESULTS / "local"

ROUNDS = 3
WARM_SECONDS = 0.05  # at least, and WARM_LIMIT at most, before anything is timed
WARM_LIMIT = 0.5
WINDOW_SECONDS = 0.02  # of two such windows in a row the lower quartiles agree, or the peer is not warm
AGREEMENT = 0.1
TIMED_SECONDS = 0.1
SAMPLE_SECONDS = 2e-4  # 1,000 times the clock's step
STALLED = 1.3  # a visit this many times as long as the peer's best is no steady state
RETRIES = 3
ONCE_SECONDS = 0.25  # a yardstick (not PyTorch) whose call is longer than this is timed once
FLOP_SLACK = 1.05  # clock frequency wanders; anything faster than this was not computed
BANDWIDTH_SLACK = 1.5  # reading alone is faster than a copy
QUIET = 0.15  # cores that all other processes together may use


class Limits(NamedTuple):
    """The machine's limits at one thread count."""

    peak_flops: float
    bandwidth: float
    cache_bytes: int  # of the last level


@dataclass(frozen=True)
class Result:
    """One row at one thread count: seconds and ratios of every peer, beside the machine's limits."""

    id: str
    family: str
    operation: str
    shape: str
    kind: str
    threads: int
    flops: int
    bytes: int
    floor: float | None
    share_floor: float | None
    blas: bool
    seconds: dict[str, float]  # lower quartile of each peer
    medians: dict[str, float]
    ratios: dict[str, float]  # how many times as long as innerloop each other peer takes
    unstable: tuple[str, ...]  # peers without a steady state
    first_call: float | None  # seconds of innerloop's first call: compilation, or loading from the cache
    others: float  # cores that other processes used meanwhile
    run: str  # when the run began
    limits: Limits

    @property
    def limit_seconds(self) -> float:
        """What the roofline allows."""
        return max(self.flops / self.limits.peak_flops, self.bytes / self.limits.bandwidth)

    @property
    def compute_bound(self) -> bool:
        """Which of the roofline's two lines that is."""
        return self.flops / self.limits.peak_flops >= self.bytes / self.limits.bandwidth

    @property
    def cached(self) -> bool:
        """Whether it fits the last cache level, so that the bandwidth line does not bind."""
        return self.bytes < self.limits.cache_bytes

    def share(self, peer: str) -> float:
        """The part of the machine's limit that `peer` reaches."""
        return self.limit_seconds / self.seconds[peer]

    def at_limit(self, *peers: str) -> bool:
        """Whether all `peers` run within 10 % of a limit that binds."""
        return (self.compute_bound or not self.cached) and all(self.share(peer) >= 0.9 for peer in peers)

    def steady(self, *peers: str) -> bool:
        """Whether all `peers` were timed in a steady state."""
        return not set(peers) & set(self.unstable)

    @property
    def disturbed(self) -> bool:
        return self.others > QUIET

    def impossible(self) -> list[str]:
        """What is faster than the machine, and so cannot have been computed."""
        peak, bandwidth, cache = self.limits
        resident = self.bytes < 4 * cache
        return [
            f"{self.id}, {on(self.threads)}: {peer} is faster than the machine "
            f"({self.flops / seconds / 1e9:.4g} of {peak / 1e9:.4g} GFLOP/s, "
            f"{self.bytes / seconds / 1e9:.4g} of {bandwidth / 1e9:.4g} GB/s)"
            for peer, seconds in self.seconds.items()
            if self.flops / seconds > FLOP_SLACK * peak
            or (not resident and self.bytes / seconds > BANDWIDTH_SLACK * bandwidth)
        ]


def current_limits(threads: int) -> Limits:
    return Limits(limits.peak_flops(np.float32, threads), limits.bandwidth(threads), machine.cache_bytes(3))


def result(row: Row, threads: int, visits: dict[str, list], ratios: dict[str, float], **facts) -> Result:
    """What was found of `row` in the `visits` of each peer: lists of seconds. A result above a limit makes the limits
    be measured again, on the spot."""
    samples = {peer: list(itertools.chain(*lists)) for peer, lists in visits.items()}
    seconds = {peer: lower_quartile(values) for peer, values in samples.items()}
    medians = {peer: statistics.median(values) for peer, values in samples.items()}
    copied = ("family", "operation", "shape", "kind", "flops", "bytes", "floor", "share_floor", "blas")
    found = Result(
        id=row.id,
        threads=threads,
        seconds=seconds,
        medians=medians,
        ratios=ratios,
        unstable=tuple(p for p in seconds if stalls(visits[p]) or medians[p] > STALLED * seconds[p]),
        limits=current_limits(threads),
        **{name: getattr(row, name) for name in copied},
        **{"first_call": None, "others": 0.0, "run": now()} | facts,
    )
    if found.impossible():
        limits.measure_again(threads)
        found = dataclasses.replace(found, limits=current_limits(threads))
    return found


def now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def on(threads: int) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{threads} thread{'s' * (threads != 1)}"


@contextlib.contextmanager
def thread_count(n: int):
    """Runs the kernels, PyTorch and NumPy's BLAS on `n` threads, and puts back what was."""
    before = kernels.get_num_threads(), torch.get_num_threads()
    with threadpoolctl.threadpool_limits(n, user_api="blas"):
        try:
            set_threads(n, n)
            yield
        finally:
            set_threads(*before)


def set_threads(ours: int, theirs: int) -> None:
    kernels.set_num_threads(ours)
    torch.set_num_threads(theirs)


def require_threads(n: int) -> None:
    """Raises RuntimeError where a peer does not have `n` threads: starting one pool can change another's size."""
    found = {"innerloop": kernels.get_num_threads(), "torch": torch.get_num_threads()}
    found |= {pool["internal_api"]: pool["num_threads"] for pool in blas_pools()}
    wrong = {name: count for name, count in found.items() if count != n}
    if wrong:
        raise RuntimeError(f"threads: asked for {n}, found {wrong}")


def blas_pools() -> list[dict]:
    return [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def build(row: Row, threads: int) -> dict[str, Callable]:
    """The row's calls; JAX only where its pool, which nothing can resize, has `threads` threads."""
    calls = row.build()
    if threads != machine.cores():
        calls.pop("jax", None)
    return calls


def timed(call: Callable, repetitions: int = 1) -> float:
    """Seconds of `repetitions` calls in a row."""
    loop = itertools.repeat(None, repetitions)
    start = time.perf_counter()
    for _ in loop:
        call()
    return time.perf_counter() - start


class Others:
    """Watches, from its making on, how many of the usable cores other processes keep busy (0 where Linux is not)."""

    def __init__(self):
        self.began, self.busy = time.perf_counter(), self.busy_seconds()

    def cores(self) -> float:
        """Cores used by others, on average since the watch began."""
        return max(0.0, self.busy_seconds() - self.busy) / (time.perf_counter() - self.began)

    @staticmethod
    def busy_seconds() -> float:
        try:
            lines = Path("/proc/stat").read_text().splitlines()
        except OSError:
            return 0.0
        usable = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        ticks = 0
        for name, *times in map(str.split, lines):
            if name in usable:
                user, nice, system, _, _, irq, softirq, steal = map(int, times[:8])  # not idle, not waiting for a disk
                ticks += user + nice + system + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()


def lower_quartile(values) -> float:
    return float(np.quantile(values, 0.25))


def settle() -> None:
    """Waits until no thread of this process is busy any more, at most a tenth of a second."""
    for _ in range(20):
        before = time.process_time()
        time.sleep(5e-3)  # longer than a tick of the scheduler, which is when a spinning thread's time is booked
        if time.process_time() - before < 1e-3:
            return


def warm(call: Callable) -> None:
    """Runs `call` until its threads are awake, on cores of their own, and its times agree, or WARM_LIMIT is over."""
    began = time.perf_counter()
    before, busy = float("inf"), thread_seconds()
    while True:
        window, start = [], time.perf_counter()
        while not window or time.perf_counter() - start < WINDOW_SECONDS:
            window.append(timed(call))
        level, passed, busy_before = lower_quartile(window), time.perf_counter() - began, busy
        busy = thread_seconds()
        apart = not part([thread for thread in busy if busy[thread] > busy_before.get(thread, 0.0)])
        agree = apart and abs(level - before) < AGREEMENT * min(level, before)
        if passed > WARM_LIMIT or (passed > WARM_SECONDS and agree):
            return
        before = level


def thread_seconds() -> dict[int, float]:
    """Processor time of every other thread of this process (none where Linux is not)."""
    own = threading.get_native_id()
    return {thread: sum(map(int, stat(thread)[11:13])) for thread in threads_of_process() if thread != own}


def threads_of_process() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/task")]
    except OSError:
        return []


def stat(thread: int) -> list[str]:
    """What Linux tells of a thread from its state on: [11] and [12] are its ticks, [36] is its core."""
    try:
        return Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return ["0"] * 50


def part(workers: list[int]) -> list[int]:
    """Moves those of `workers` that are on this thread's core to another one, as the kernels do with theirs (see
    `kernels._threads.arrive`); returns them. Their affinity is narrowed for the move alone."""
    if not workers or not hasattr(os, "sched_setaffinity"):
        return []
    here = int(stat(threading.get_native_id())[36])
    found = [worker for worker in workers if int(stat(worker)[36]) == here]
    for worker in found:
        with contextlib.suppress(OSError):  # it has ended, or there is no other core
            allowed = os.sched_getaffinity(worker)
            os.sched_setaffinity(worker, allowed - {here})
            os.sched_setaffinity(worker, allowed)
    return found


def repetitions_of(call: Callable) -> int:
    """How many calls fill a sample."""
    repetitions = 1
    while timed(call, repetitions) < SAMPLE_SECONDS:
        repetitions *= 2
    return repetitions


def visit(call: Callable) -> list[float]:
    """Seconds a call of each sample, in the steady state."""
    settle()
    warm(call)
    repetitions = repetitions_of(call)
    samples, end = [], time.perf_counter() + TIMED_SECONDS
    while not samples or time.perf_counter() < end:
        samples.append(timed(call, repetitions) / repetitions)
    return samples


def stalls(visits: list[list[float]]) -> list[int]:
    """The numbers of the visits that are no steady state."""
    levels = [lower_quartile(samples) for samples in visits]
    return [i for i, level in enumerate(levels) if level > STALLED * min(levels)]


def interleave(calls: dict[str, Callable], rounds: int) -> dict[str, list]:
    """The visits of each peer, round by round; the order turns round with every round, and what stalled is visited
    again."""
    visits = {peer: [] for peer in calls}
    once = {peer: peer not in (OURS, "torch") and timed(call) > ONCE_SECONDS for peer, call in calls.items()}
    order = list(calls)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for peer in order:
                if not once[peer]:
                    visits[peer].append(visit(calls[peer]))
                elif not visits[peer]:
                    settle()
                    visits[peer].append([timed(calls[peer])])
            order.reverse()
        for peer, _ in itertools.product(order, range(RETRIES)):
            for i in stalls(visits[peer]):
                visits[peer][i] = visit(calls[peer])
    finally:
        gc.enable()
    return visits


def first_call(call: Callable) -> float:
    """Seconds of a peer's first call. Compilers, PyTorch's among them, may warn of what is theirs alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(call)


def measure(row: Row, threads: int, rounds: int = ROUNDS, run: str | None = None) -> Result:
    """Times `row` on `threads` threads, as part of the run that began at `run`."""
    with thread_count(threads), torch.inference_mode(not row.records):
        calls = build(row, threads)
        first_calls = {peer: first_call(call) for peer, call in calls.items()}
    # Once more: a first call may have loaded a library with a pool of its own, or started one that resized another.
    with thread_count(threads), torch.inference_mode(not row.records):
        require_threads(threads)
        others = Others()
        visits = interleave(calls, rounds)
        others_cores = others.cores()
        require_threads(threads)
    levels = {peer: [lower_quartile(samples) for samples in lists] for peer, lists in visits.items()}
    ratios = {
        peer: statistics.median(theirs / ours for theirs, ours in zip(each, levels[OURS], strict=False))
        for peer, each in levels.items()
        if peer != OURS and OURS in levels
    }
    facts = {"first_call": first_calls.get(OURS), "others": others_cores, "run": run or now()}
    return result(row, threads, visits, ratios, **facts)


def machine_sheet(threads: list[int]) -> dict:
    """The CPU, the versions of all peers, and the two lines of the roofline at each thread count."""
    versions = {
        name: importlib.metadata.version(name)
        for name in ("torch", "jax")
        if importlib.util.find_spec(name) is not None
    }
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        **limits.sheet(),
        **versions,
        "blas": f"{blas['name']} {blas['version']}",
        "peak_flops": {str(n): limits.peak_flops(np.float32, n) for n in threads},
        "bandwidth": {str(n): limits.bandwidth(n) for n in threads},
    }


CHANGING = ("peak_flops", "bandwidth", "thread_layer")  # differ from run to run on the same machine


def same_machine(sheet: dict, other: dict) -> bool:
    """Whether results of both sheets may stand side by side: one machine, the same versions."""
    return all(sheet.get(key) == other.get(key) for key in {*sheet, *other} - set(CHANGING))


def machine_name(sheet: dict) -> str:
    """The machine as people call it: ``AMD EPYC (znver4), 2 cores``."""
    return f"{sheet['cpu']} ({sheet['core']}), {sheet['cores']} core{'s' * (sheet['cores'] != 1)}"


def file_name(sheet: dict) -> str:
    """The machine as a file name: ``amd-epyc-znver4-2-cores``."""
    return re.sub(r"[^a-z0-9]+", "-", machine_name(sheet).lower()).strip("-")


def local_file() -> Path:
    """Where this machine's results are kept."""
    return LOCAL / f"{file_name(limits.sheet())}.json"


def merged(path: Path, sheet: dict, results: list[Result]) -> tuple[dict, list[Result]]:
    """`results`, and beside them the other rows that `path` has of the same machine with the same versions; in the
    board's order."""
    places = {row.id: place for place, row in enumerate(board())}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no file yet, or one of an earlier form
        old_sheet, old_results = load(path)
        if same_machine(sheet, old_sheet):
            new = {(result.id, result.threads) for result in results}
            kept = [each for each in old_results if each.id in places and (each.id, each.threads) not in new]
            highest = {  # a limit never falls
                key: {n: max(side[key][n] for side in (sheet, old_sheet) if n in side[key])
                      for n in old_sheet[key] | sheet[key]}
                for key in ("peak_flops", "bandwidth")
            }  # fmt: skip
            sheet, results = sheet | highest, kept + results
    return sheet, sorted(results, key=lambda each: (each.threads, places.get(each.id, -1)))


def save(path: Path, sheet: dict, results: list[Result]) -> None:
    """Writes results, as a whole or not at all."""
    lines = ",\n".join(f"    {json.dumps(compact(stored(result)))}" for result in results)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(
        f'{{\n  "machine": {json.dumps(compact(sheet))},\n  "results": [\n{lines}\n  ]\n}}\n', encoding="utf-8"
    )
    new.replace(path)


def stored(result: Result) -> dict:
    """A result's fields without the limits, which are the sheet's."""
    return {field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.name != "limits"}


def compact(value):
    """Floats to five digits: what is beyond was never measured."""
    if isinstance(value, dict):
        return {key: compact(each) for key, each in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def load(path: Path) -> tuple[dict, list[Result]]:
    """The machine sheet and the results that `save` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    sheet = content["machine"]
    cache = sheet["cache_bytes"]["L3"]
    found = {n: Limits(peak, sheet["bandwidth"][n], cache) for n, peak in sheet["peak_flops"].items()}
    results = [
        Result(**each | {"unstable": tuple(each["unstable"]), "limits": found[str(each["threads"])]})
        for each in content["results"]
    ]
    return sheet, results


def published() -> list[Path]:
    """The files of the machines whose results are in RESULTS.md and the README."""
    return sorted(RESULTS.glob("*.json"))


def publish(path: Path) -> Path:
    """Copies the results in `path` to where those of RESULTS.md are; ValueError where rows would be lost that way."""
    sheet, results = load(path)
    target = RESULTS / f"{file_name(sheet)}.json"
    if target.exists():
        found, ids = {(each.id, each.threads) for each in results}, {row.id for row in board()}
        lost = [each for each in load(target)[1] if each.id in ids and (each.id, each.threads) not in found]
        if lost:
            raise ValueError(
                f"publish: {target.name} has {len(lost)} rows that were not measured, {lost[0].id} on "
                f"{on(lost[0].threads)} among them; measure the whole board first"
            )
    save(target, sheet, results)
    return target
