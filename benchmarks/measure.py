"""Times the peers of a row against each other, in interleaved rounds, and keeps what was found.

A round times every peer once, over as many repetitions as fill two milliseconds; the next round goes through them in
the opposite order. A ratio is the median of the rounds' ratios, so what disturbs one round disturbs both sides of it.
Between two peers the process comes to rest, because idle workers of OpenMP and OpenBLAS spin on for up to 30 ms and
would take a core from whoever comes next; an untimed call then wakes the peer's own pool and fills its caches.
Other processes are watched, because a busy core makes OpenMP's barriers a thousand times slower: what was measured
beside them is said to be disturbed.
Thread counts are set and then read back on both sides; the garbage collector sleeps; the first call, which compiles, is
timed on its own and counts nowhere.
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
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import threadpoolctl
import torch

import kernels
from benchmarks.cases import OURS, Row, board
from kernels import machine

RESULTS = Path(__file__).parent / "results"
BOARD_FILE = RESULTS / "board.json"

ROUND_SECONDS = 2e-3  # 10,000 times the clock's step
PEER_SECONDS = 3.0  # a slow peer leaves the rounds after this long, but not before the third
FLOP_SLACK = 1.1  # clock frequency wanders; anything faster than this was not computed
QUIET = 0.15  # cores that all other processes together may use
BANDWIDTH_SLACK = 1.5  # reading alone is faster than a copy


@dataclass(frozen=True)
class Result:
    """One row at one thread count: seconds and ratios of every peer, and the machine's limit."""

    id: str
    family: str
    operation: str
    shape: str
    kind: str
    threads: int
    flops: int
    bytes: int
    limit_seconds: float  # what the roofline allows
    compute_bound: bool  # which of its two lines that is
    cached: bool  # fits the last cache level, so the bandwidth line does not bind
    floor: float | None
    share_floor: float | None
    blas: bool
    seconds: dict[str, float]  # median of each peer
    ratios: dict[str, float]  # how many times as long as innerloop each other peer takes
    first_call: float | None  # seconds of innerloop's first call: compilation, or loading from the cache
    others: float  # cores that other processes used meanwhile
    measured: str  # the day

    def share(self, peer: str) -> float:
        """The part of the machine's limit that `peer` reaches."""
        return self.limit_seconds / self.seconds[peer]

    def at_limit(self, *peers: str) -> bool:
        """Whether all `peers` run within 10 % of a limit that binds."""
        return (self.compute_bound or not self.cached) and all(self.share(peer) >= 0.9 for peer in peers)

    @property
    def disturbed(self) -> bool:
        return self.others > QUIET

    def impossible(self) -> list[str]:
        """What is faster than the machine, and so cannot have been computed."""
        peak, bandwidth = machine.peak_flops(np.float32, self.threads), machine.bandwidth(self.threads)
        resident = self.bytes < 4 * machine.cache_bytes(3)
        return [
            f"{self.id}, {on(self.threads)}: {peer} is faster than the machine "
            f"({self.flops / seconds / 1e9:.4g} of {peak / 1e9:.4g} GFLOP/s, "
            f"{self.bytes / seconds / 1e9:.4g} of {bandwidth / 1e9:.4g} GB/s)"
            for peer, seconds in self.seconds.items()
            if self.flops / seconds > FLOP_SLACK * peak
            or (not resident and self.bytes / seconds > BANDWIDTH_SLACK * bandwidth)
        ]


def result(
    row: Row, threads: int, seconds: dict, ratios: dict, first_call: float | None = None, others: float = 0.0
) -> Result:
    """What was measured of `row`, beside the machine's limit for it."""
    computing = row.flops / machine.peak_flops(np.float32, threads)
    moving = row.bytes / machine.bandwidth(threads)
    copied = ("family", "operation", "shape", "kind", "flops", "bytes", "floor", "share_floor", "blas")
    return Result(
        id=row.id,
        threads=threads,
        limit_seconds=max(computing, moving),
        compute_bound=computing >= moving,
        cached=row.bytes < machine.cache_bytes(3),
        seconds=seconds,
        ratios=ratios,
        first_call=first_call,
        others=others,
        measured=datetime.date.today().isoformat(),
        **{name: getattr(row, name) for name in copied},
    )


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


def settle() -> None:
    """Waits until no thread of this process is busy any more, at most a tenth of a second."""
    for _ in range(20):
        before = time.process_time()
        time.sleep(5e-3)  # longer than a tick of the scheduler, which is when a spinning thread's time is booked
        if time.process_time() - before < 1e-3:
            return


def repetitions_of(call: Callable) -> int:
    """How many calls fill a round."""
    repetitions = 1
    while timed(call, repetitions) < ROUND_SECONDS:
        repetitions *= 2
    return repetitions


def interleave(calls: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds a call of each peer, round by round; the order turns round with every round."""
    repetitions = {peer: repetitions_of(call) for peer, call in calls.items()}
    times = {peer: [] for peer in calls}
    spent = dict.fromkeys(calls, 0.0)
    order = list(calls)
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for peer in order:
                if turn < 3 or spent[peer] < PEER_SECONDS:
                    settle()
                    calls[peer]()
                    seconds = timed(calls[peer], repetitions[peer])
                    spent[peer] += seconds
                    times[peer].append(seconds / repetitions[peer])
            order.reverse()
    finally:
        gc.enable()
    return times


def measure(row: Row, threads: int, rounds: int) -> Result:
    """Times `row` on `threads` threads."""
    with thread_count(threads), torch.inference_mode(not row.records):
        calls = build(row, threads)
        first_calls = {peer: timed(call) for peer, call in calls.items()}
    # Once more: a first call may have loaded a library with a pool of its own, or started one that resized another.
    with thread_count(threads), torch.inference_mode(not row.records):
        require_threads(threads)
        others = Others()
        times = interleave(calls, rounds)
        others_cores = others.cores()
        require_threads(threads)
    seconds = {peer: statistics.median(values) for peer, values in times.items()}
    ratios = {
        peer: statistics.median(theirs / ours for theirs, ours in zip(values, times[OURS], strict=False))
        for peer, values in times.items()
        if peer != OURS and OURS in times
    }
    return result(row, threads, seconds, ratios, first_calls.get(OURS), others_cores)


def machine_sheet(threads: list[int]) -> dict:
    """The CPU, the versions of all peers, and the two lines of the roofline at each thread count."""
    versions = {
        name: importlib.metadata.version(name)
        for name in ("torch", "jax")
        if importlib.util.find_spec(name) is not None
    }
    return {
        **machine.sheet(),
        **versions,
        "blas": ", ".join(sorted({f"{pool['internal_api']} {pool['version']}" for pool in blas_pools()})),
        "peak_flops": {str(n): machine.peak_flops(np.float32, n) for n in threads},
        "bandwidth": {str(n): machine.bandwidth(n) for n in threads},
    }


def save(path: Path, sheet: dict, results: list[Result]) -> None:
    """Writes `results`; rows measured before on the same machine with the same versions stay beside them."""
    kept = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no file yet, or one of an earlier form
        old_sheet, old_results = load(path)
        limits = ("peak_flops", "bandwidth")  # measured anew each time, so never quite the same
        if all(old_sheet.get(key) == value for key, value in sheet.items() if key not in limits):
            current = {row.id for row in board()}
            kept = {(result.id, result.threads): result for result in old_results if result.id in current}
            sheet = sheet | {key: old_sheet[key] | sheet[key] for key in limits}
    kept |= {(result.id, result.threads): result for result in results}
    lines = ",\n".join(f"    {json.dumps(compact(dataclasses.asdict(result)))}" for result in kept.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'{{\n  "machine": {json.dumps(compact(sheet))},\n  "results": [\n{lines}\n  ]\n}}\n', encoding="utf-8"
    )


def compact(value):
    """Floats to five digits: what is beyond was never measured."""
    if isinstance(value, dict):
        return {key: compact(each) for key, each in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def load(path: Path) -> tuple[dict, list[Result]]:
    """The machine sheet and the results that `save` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["machine"], [Result(**each) for each in content["results"]]
