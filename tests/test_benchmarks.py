"""Tests of the board: every row builds and its peers agree; rows below their floor fail; the report is written."""

import dataclasses
import hashlib
import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import kernels
from benchmarks import measure, report, verdict
from benchmarks.__main__ import main
from benchmarks.cases import CHOSEN, FAMILIES, OURS, board, models
from benchmarks.measure import Limits, Result
from kernels import limits, machine

ROOT = Path(__file__).parent.parent
ROWS = [row for row in board() if row.kind != "ladder"]
LARGE = 10**9  # FLOPs beyond which a row is only built: the same code runs on smaller shapes
COMPILED_HERE = ("mlp",)  # PyTorch takes up to a minute to compile a network
TOLERANCE = 2e-5  # of the largest magnitude: float32 sums of up to 32,000 terms


def arrays(output) -> list[np.ndarray]:
    """Every array in the result of a call, without None."""
    if output is None:
        return []
    if isinstance(output, (tuple, list)):
        return [array for each in output for array in arrays(each)]
    return [output.detach().numpy() if isinstance(output, torch.Tensor) else np.asarray(output)]


def assert_peers_agree(row):
    calls = row.build()
    assert set(calls) == set(row.peers)
    if row.flops > LARGE:
        return
    if row.operation not in COMPILED_HERE:
        calls.pop("torch-compile", None)
    outputs = {}
    with torch.inference_mode(not row.records):
        for peer, call in calls.items():
            measure.first_call(lambda call=call, peer=peer: outputs.update({peer: arrays(call())}))
    expected = outputs.pop("numpy" if "numpy" in outputs else "torch")
    for peer, found in outputs.items():
        assert [a.shape for a in found] == [a.shape for a in expected], peer
        for ours, theirs in zip(found, expected, strict=True):
            assert np.isfinite(ours).all(), peer
            assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max(), peer


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_peers_agree(row):
    assert_peers_agree(row)


@pytest.mark.parametrize("row", [row for row in board() if row.kind == "ladder" and row.flops < 10**8], ids=str)
def test_rungs_agree(row):
    assert_peers_agree(row)


def test_table():
    assert len({row.id for row in board()}) == len(board())
    for row in board():
        assert row.family in FAMILIES
        assert row.flops > 0 and row.bytes > 0
        assert "torch" in row.peers and ("numpy" in row.peers or row.kind in ("training", "model"))
        assert (OURS in row.peers) == (row.kind != "ladder") == (row.floor is not None)
        assert row.kind in ("compute", "memory", "small", "training", "model", "ladder")


def test_chosen_rows():
    """The rows that the pytest run measures are rows of the board, with some of every family."""
    chosen = [row for row in board() if row.id in CHOSEN]
    assert len(chosen) == len(CHOSEN) == len(set(CHOSEN))
    assert {row.family for row in chosen} == set(FAMILIES)
    assert {row.operation for row in chosen if row.kind == "ladder"} == {f"{name}_ladder" for name in report.LADDERS}


@pytest.mark.parametrize("model", models.MODELS, ids=lambda model: model.name)
def test_costs_of_models(model):
    """PyTorch counts the products of convolutions and of layers; an LSTM's are those of its matrices at every step."""
    module = model.build(torch.nn).eval()
    assert sum(parameter.numel() for parameter in module.parameters()) == model.parameters
    steps = []
    for layer in module.modules():
        if isinstance(layer, torch.nn.LSTM):
            layer.register_forward_hook(lambda layer, inputs, _: steps.append((layer, inputs[0].shape[1])))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        scores = module(torch.zeros(1, *model.shape))
    assert scores.shape == (1, model.classes, *model.positions)
    recurrent = sum(2 * T * value.numel() for layer, T in steps for value in layer.parameters() if value.ndim == 2)
    assert counter.get_total_flops() + recurrent == model.flops


def test_every_family_has_a_bench_file():
    files = {path.stem.removeprefix("bench_") for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert files == set(FAMILIES)


def test_peers_get_the_same_memory():
    """The inputs of the NumPy-like peers and of PyTorch have the same bytes, so a row compares only the computation."""
    calls = next(row for row in ROWS if row.id == "matmul-31-63-65-transposed-a").build()
    ours, theirs = calls[OURS].args[0], calls["torch"].args[0]
    assert ours.ctypes.data == theirs.data_ptr()
    assert tuple(stride // 4 for stride in ours.strides) == theirs.stride() == (1, 31)


@pytest.fixture
def roofline(monkeypatch):
    """A machine with 100 GFLOP/s and 10 GB/s per thread, and 1 MB of cache."""
    monkeypatch.setattr(limits, "peak_flops", lambda dtype, threads: 100e9 * threads)
    monkeypatch.setattr(limits, "bandwidth", lambda threads: 10e9 * threads)
    monkeypatch.setattr(limits, "measure_again", lambda threads: None)
    monkeypatch.setattr(machine, "cache_bytes", lambda level: 10**6)


def visited(seconds: dict, noise: float = 1.0) -> dict:
    """Three visits to each peer, the last of them slower by `noise`."""
    return {peer: [[each] * 4, [each] * 4, [each * noise] * 4] for peer, each in seconds.items()}


def found(row_id="matmul-1024-1024-1024", threads=1, ours=0.05, run="2026-01-01", noise=1.0, **ratios) -> Result:
    """The result of a run with these seconds of ours, and ratios of the others."""
    row = next(row for row in board() if row.id == row_id)
    seconds = {OURS: ours} | {peer: ours * ratio for peer, ratio in ratios.items()}
    return measure.result(row, threads, visited(seconds, noise), ratios, first_call=0.5, run=run)


def rungs_found(row, threads: int, seconds: float) -> Result:
    """A ladder with each rung taking `seconds`."""
    return measure.result(row, threads, visited(dict.fromkeys(row.peers, seconds)), {})


@pytest.mark.usefixtures("roofline")
class TestFloors:
    def test_a_row_below_its_floor_fails(self):
        assert verdict.shortfalls(found(torch=1.01, ours=0.0225)) == []
        assert verdict.shortfalls(found("adam-10M-100", torch=1.49)) == ["1.49x torch, floor 1.5"]
        assert verdict.shortfalls(found("relu-1000", torch=1.99)) == ["1.99x torch, floor 2"]

    def test_nan_fails(self):
        assert verdict.shortfalls(found("adam-10M-100", torch=float("nan"))) == ["nanx torch, floor 1.5"]

    def test_share_of_the_peak(self):
        # 2 × 1024³ FLOPs at 100 GFLOP/s take 21.5 ms
        assert verdict.shortfalls(found(torch=1.2, ours=0.0214748 / 0.89)) == ["89% of the machine's limit, floor 90%"]

    def test_noise_at_the_limit(self):
        at_limit = 0.0214748 / 0.95
        assert verdict.shortfalls(found(torch=0.96, ours=at_limit)) == []
        assert verdict.shortfalls(found(torch=0.94, ours=at_limit)) == ["0.94x torch, floor 0.95"]
        assert "0.96x torch, floor 1" in verdict.shortfalls(found(torch=0.96, ours=0.0214748 / 0.5))

    def test_no_noise_in_cache(self, monkeypatch):
        limit = found("relu-4096-768", torch=1.0).limit_seconds
        assert verdict.shortfalls(found("relu-4096-768", torch=0.96, ours=limit)) == []
        monkeypatch.setattr(machine, "cache_bytes", lambda level: 10**9)  # of the result
        assert verdict.shortfalls(found("relu-4096-768", torch=0.96, ours=limit)) == ["0.96x torch, floor 1"]

    def test_other_peers(self):
        assert verdict.shortfalls(found("matmul-256-256-256", torch=1.2, numpy=0.9)) == ["0.90x numpy, floor 1"]
        mlp = found("mlp-784-256-128-10-b64", torch=2.6, numpy=1.0, jax=0.9)
        assert verdict.shortfalls(mlp) == ["0.90x jax, floor 1"]

    def test_geometric_mean(self):
        """Each row passes, their mean does not; thread counts are not mixed."""
        rows = [found("sum-4096-768-all", torch=1.2, numpy=20.0), found("mean-4096-768-all", torch=1.2, numpy=20.0)]
        better = [found("sum-4096-768-all", threads=2, torch=9.0, numpy=20.0)]
        assert verdict.failures(better) == []
        assert verdict.failures(rows + better) == ["geometric mean of memory-bound, 1 thread: 1.20x torch, floor 1.5"]

    @pytest.mark.parametrize(("power", "steep"), [(2.0, False), (2.1, True)])
    def test_slope(self, power, steep, tmp_path, monkeypatch):
        """Time that grows faster than the square of the length is a failure; the figure shows all lengths."""
        rows = [row for row in board() if row.operation == verdict.SCALING]
        results = [
            measure.result(
                row, n, visited({OURS: 1e-5 * int(row.shape.split("-")[0]) ** power, "torch": 1e3}), {"torch": 9.0}
            )
            for n in (1, 2)
            for row in rows
        ]
        wrong = f"attention_scaling, 2 threads: time goes with length to the power of {power:.2f}, at most 2.05"
        assert (wrong in verdict.failures(results)) == steep
        assert not any("power" in message for message in verdict.failures(results[:1]))
        assert report.lengths(measure.machine_sheet([1, 2]), results, tmp_path).read_bytes().startswith(b"\x89PNG")

    def test_faster_than_the_machine(self):
        impossible = found(torch=1.0, ours=0.015)
        message, _ = impossible.impossible()
        assert message.startswith("matmul-1024-1024-1024, 1 thread: innerloop is faster than the machine")
        assert message in verdict.failures([impossible])
        assert verdict.marks(impossible) == "impossible"
        assert f"IMPOSSIBLE: {message}" in verdict.table([impossible])
        assert found(torch=1.0, ours=0.0214748).impossible() == []
        # 12.6 MB read in half the time that 10 GB/s allow: no cache holds it
        assert found("sum-4096-768-all", torch=4.0, ours=0.0006).impossible()

    def test_a_limit_that_is_exceeded_is_measured_again(self, monkeypatch):
        """143 of 100 GFLOP/s: the limit is measured again, and the result of 150 replaces it."""

        def again(threads):
            monkeypatch.setattr(limits, "peak_flops", lambda dtype, threads: 150e9)

        monkeypatch.setattr(limits, "measure_again", again)
        result = found(torch=1.0, ours=0.015)
        assert result.impossible() == []
        assert result.share(OURS) == pytest.approx(2 * 1024**3 / 150e9 / 0.015)

    def test_ladder_has_no_floor(self):
        row = next(row for row in board() if row.kind == "ladder")
        assert verdict.failures([rungs_found(row, 1, 1.0)]) == []

    def test_means_exclude_unstable_rows(self):
        """The third visit took twice as long as the others."""
        steady, unsteady = found("relu-1000", torch=2.5), found("gelu-1000", torch=90.0, noise=2.0)
        assert (steady.unstable, unsteady.unstable) == ((), (OURS, "torch"))
        values = {mean.name: value for mean, _, value in verdict.means([steady, unsteady])}
        assert values["small"] == pytest.approx(2.5)
        assert verdict.failures([unsteady]) == ["gelu-1000, 1 thread: no steady state of innerloop, torch"]
        assert verdict.marks(unsteady) == "innerloop unstable, torch unstable"
        assert "unstable: 1 of 2 rows" in verdict.table([steady, unsteady])

    def test_a_median_far_above_the_lower_quartile_is_unstable(self):
        row = next(row for row in board() if row.id == "relu-1000")
        visits = {OURS: [[1e-6, 1e-6, 1.5e-6, 1.5e-6, 1.5e-6]] * 3, "torch": [[3e-6] * 5] * 3}
        result = measure.result(row, 1, visits, {"torch": 3.0})
        assert result.unstable == (OURS,)
        assert result.seconds[OURS] == 1e-6 and result.medians[OURS] == 1.5e-6

    def test_busy_machine(self):
        """A win while another process runs does not count."""
        beside = dataclasses.replace(found("relu-1000", torch=9.0, numpy=20.0), others=0.9)
        assert verdict.failures([beside]) == ["relu-1000, 1 thread: disturbed, other processes used 0.90 cores"]
        assert "NOT TO BE RELIED ON: 1 of 1 rows" in verdict.table([beside])

    @pytest.mark.parametrize(("ratio", "code"), [(1.4, 1), (2.6, 0)])
    def test_check(self, monkeypatch, tmp_path, capsys, ratio, code):
        """``--check`` exits 1 on a losing row and names it."""
        monkeypatch.setattr(measure, "LOCAL", tmp_path)
        monkeypatch.setattr(
            measure,
            "measure",
            lambda row, threads, rounds, run: found(row.id, threads, torch=ratio, numpy=20.0, run=run),
        )
        assert main(["--rows", "^training/mlp", "--threads", "1", "--check"]) == code
        losing = "mlp-784-256-128-10-b64, 1 thread: 1.40x torch, floor 2.5"
        assert (losing in capsys.readouterr().out) == bool(code)
        _, (kept,) = measure.load(measure.local_file())
        assert kept.ratios == {"torch": ratio, "numpy": 20.0}


@pytest.fixture
def measured(monkeypatch, tmp_path, roofline):
    """Files in a temporary folder, and a `measure` that lists its calls until it is interrupted."""
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(measure, "LOCAL", tmp_path / "local")
    calls, interrupt = [], set()

    def instead(row, threads, rounds, run):
        if row.id in interrupt:
            raise KeyboardInterrupt
        calls.append(row.id)
        return found(row.id, threads, torch=2.5, numpy=20.0, run=run)

    monkeypatch.setattr(measure, "measure", instead)
    return calls, interrupt


SMALL = ["--rows", "activation/.*-1000$", "--threads", "1"]
SMALL_IDS = [row.id for row in board() if row.family == "activation" and row.shape == "1000"]


def test_an_interrupted_run_is_kept_and_resumed(measured, capsys):
    calls, interrupt = measured
    interrupt.add(SMALL_IDS[2])
    assert main(SMALL) == 130
    output = capsys.readouterr().out
    assert f"[2/{len(SMALL_IDS)}] {SMALL_IDS[1]}, 1 thread: 50 ms, 2.50x torch, 20.00x numpy, " in output
    assert f"interrupted: 2 of {len(SMALL_IDS)} rows are measured; --resume goes on with the others" in output
    interrupt.clear()
    assert main([*SMALL, "--resume"]) == 0
    assert calls == SMALL_IDS  # none of them twice
    assert main([*SMALL, "--resume"]) == 0
    assert calls == SMALL_IDS
    assert all(f"\n{each} " in capsys.readouterr().out for each in SMALL_IDS[:1])
    assert main(SMALL) == 0
    assert calls == SMALL_IDS * 2  # a run without --resume measures anew


def test_interrupted_before_the_first_row(measured):
    _, interrupt = measured
    interrupt.add(SMALL_IDS[0])
    assert main(SMALL) == 130
    assert not measure.local_file().exists()


def test_resuming_after_a_change(measured, monkeypatch, capsys):
    """A run measured with other kernels is not resumed."""
    with pytest.raises(SystemExit):
        main([*SMALL, "--resume"])
    assert "--resume: no run has been kept on this machine" in capsys.readouterr().err
    assert main(SMALL) == 0
    monkeypatch.setattr("kernels._jit.source_digest", lambda: "other")
    with pytest.raises(SystemExit):
        main([*SMALL, "--resume"])
    assert "the kernels or the libraries have changed since the run of" in capsys.readouterr().err


def test_publish(measured, capsys):
    """The saved results are published; a run of some rows never replaces the published results of others."""
    assert main([*SMALL, "--publish"]) == 0
    (path,) = measure.published()
    assert [result.id for result in measure.load(path)[1]] == SMALL_IDS
    measure.local_file().unlink()
    with pytest.raises(SystemExit):
        main(["--rows", "relu-1000$", "--threads", "1", "--publish"])
    lost = len(SMALL_IDS) - 1
    assert f"{path.name} has {lost} rows that were not measured, gelu-1000 on 1 thread" in capsys.readouterr().err
    assert len(measure.load(path)[1]) == len(SMALL_IDS)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rows", "("], "--rows: not a regular expression: '(' (missing ), unterminated subpattern"),
        (["--rows", "no such row"], "--rows: no row matches 'no such row'"),
        (["--rounds", "0"], "--rounds: must be at least 1, got 0"),
        (["--threads", "0"], "--threads: threads: must be from 1 to"),
    ],
)
def test_bad_options(flags, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(flags)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_interleaved_order(monkeypatch):
    """The order of the peers is reversed in each round."""
    called = []
    monkeypatch.setattr(measure, "visit", lambda call: called.append(call()) or [1.0])
    visits = measure.interleave({name: lambda name=name: name for name in (OURS, "torch", "jax")}, rounds=2)
    assert called == [OURS, "torch", "jax", "jax", "torch", OURS]
    assert all(each == [[1.0], [1.0]] for each in visits.values())


def test_a_stalled_peer_is_visited_again(monkeypatch):
    """The second visit took 100 times as long: it is repeated, but not forever."""
    monkeypatch.setattr(measure, "timed", lambda call: 0.0)
    monkeypatch.setattr(measure, "visit", lambda call: [call()])
    once, always = iter([1.0, 100.0, 1.1, 1.2]), iter([1.0, 100.0, 1.1, *[90.0] * measure.RETRIES])
    calls = {OURS: lambda: next(once), "torch": lambda: next(always)}
    visits = measure.interleave(calls, rounds=3)
    assert visits == {OURS: [[1.0], [1.2], [1.1]], "torch": [[1.0], [90.0], [1.1]]}
    assert measure.stalls(visits[OURS]) == [] and measure.stalls(visits["torch"]) == [1]


def test_slow_peers_are_timed_once(monkeypatch):
    monkeypatch.setattr(measure, "timed", lambda call: call())
    monkeypatch.setattr(measure, "visit", lambda call: [call()])
    slow = 2 * measure.ONCE_SECONDS
    visits = measure.interleave({OURS: lambda: slow, "numpy": lambda: slow, "jax": lambda: 0.1}, rounds=3)
    assert visits == {OURS: [[slow]] * 3, "numpy": [[slow]], "jax": [[0.1]] * 3}


def test_warm_continues_until_times_are_stable(monkeypatch):
    """A pool that wakes gradually: none of its slow calls is a sample."""
    clock, lengths = [0.0], iter([*np.geomspace(4e-3, 1e-4, 200), *[1e-4] * 10_000])

    def call():
        clock[0] += next(lengths)

    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(measure, "settle", lambda: None)
    assert max(measure.visit(call)) == pytest.approx(1e-4)


def test_warm_ends(monkeypatch):
    """A call whose times never become stable is timed nevertheless; a long call is not repeated."""
    clock, calls = [0.0], itertools.count()
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])

    def growing():
        clock[0] += 1e-3 * 1.5 ** next(calls)

    measure.warm(growing)
    assert clock[0] < 4 * measure.WARM_LIMIT

    def long():
        clock[0] += 9.0
        next(calls)

    before = next(calls)
    measure.warm(long)
    assert next(calls) == before + 2


@pytest.mark.skipif(sys.platform != "linux" or machine.cores() < 2, reason="needs Linux and two cores")
def test_a_worker_on_the_callers_core_is_moved():
    """A thread that hashes, which releases the GIL, is moved to the test's core and keeps its affinity."""
    here, stop, allowed = int(measure.stat(threading.get_native_id())[36]), threading.Event(), os.sched_getaffinity(0)

    def work():
        while not stop.is_set():
            hashlib.sha256(bytes(10**6))

    thread = threading.Thread(target=work)
    thread.start()
    worker = thread.native_id
    try:
        os.sched_setaffinity(0, {here})
        os.sched_setaffinity(worker, {here})
        before = measure.thread_seconds()[worker]
        while measure.thread_seconds()[worker] == before:  # seconds pass, so it has run here
            pass
        assert measure.part([worker]) == [worker]
        assert os.sched_getaffinity(worker) == {here}  # there is no other core for it
        os.sched_setaffinity(worker, allowed)
        measure.part([worker])
        assert os.sched_getaffinity(worker) == allowed
        assert int(measure.stat(worker)[36]) != here
        assert measure.part([worker]) == []
    finally:
        stop.set()
        os.sched_setaffinity(0, allowed)
        thread.join()


def test_thread_counts():
    before = kernels.get_num_threads(), torch.get_num_threads()
    with measure.thread_count(1):
        measure.require_threads(1)
        with pytest.raises(RuntimeError, match="threads: asked for 7, found .*innerloop"):
            measure.require_threads(7)
    assert (kernels.get_num_threads(), torch.get_num_threads()) == before


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="others can be seen on Linux only")
def test_other_processes_are_detected():
    """Another process that uses CPU time is counted."""
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        watch = measure.Others()
        time.sleep(0.5)
        assert watch.cores() > measure.QUIET
    finally:
        spinning.kill()
        spinning.wait()


def test_measure_a_row(roofline):
    row = next(row for row in ROWS if row.id == "matmul-16-16-16")
    result = measure.measure(row, 1, rounds=2)
    assert set(result.seconds) == set(row.peers) - ({"jax"} if machine.cores() != 1 else set())
    assert all(ratio > 0 for ratio in result.ratios.values())
    assert row.id in verdict.table([result])


def test_merging_keeps_other_rows(roofline, tmp_path):
    """A run of some rows keeps the others and the higher limits, unless they are from another machine."""
    path = tmp_path / "board.json"
    sheet = {"cpu": "a", "core": "b", "cores": 2, "cache_bytes": {"L3": 10**6}, "thread_layer": "none"}
    sheet |= {"peak_flops": {"1": 3.0}, "bandwidth": {"1": 1.0}}
    relu, matmul = found("relu-1000", torch=2.0), found(torch=1.5)
    measure.save(path, *measure.merged(path, sheet, [relu, matmul]))
    faster = dataclasses.replace(relu, ratios={"torch": 3.0})
    later = sheet | {"thread_layer": "omp", "peak_flops": {"1": 2.0, "2": 4.0}, "bandwidth": {"1": 1.5, "2": 1.0}}
    measure.save(path, *measure.merged(path, later, [faster]))
    kept_sheet, kept = measure.load(path)
    assert {result.id: result.ratios["torch"] for result in kept} == {relu.id: 3.0, matmul.id: 1.5}
    assert kept[0].limits == Limits(3.0, 1.5, 10**6)
    assert kept_sheet == later | {"peak_flops": {"1": 3.0, "2": 4.0}}
    assert [each.id for each in measure.merged(path, sheet | {"numba": "9"}, [relu])[1]] == [relu.id]
    path.write_text('{"machine": {}, "results": [{"id": "of an earlier form"}]}')
    assert measure.merged(path, sheet, [matmul]) == (sheet, [matmul])


def test_machine_names():
    sheet = {"cpu": "AMD EPYC", "core": "znver4", "cores": 2}
    assert measure.machine_name(sheet) == "AMD EPYC (znver4), 2 cores"
    assert measure.file_name(sheet) == "amd-epyc-znver4-2-cores"
    assert measure.local_file().parent == measure.LOCAL


def test_report(roofline, tmp_path):
    """Figures are drawn; of the README only the tables between their markers are replaced; RESULTS.md has the rest."""
    ladder = [row for row in board() if row.kind == "ladder"]
    results = [found(threads=n, torch=1.2, numpy=1.1) for n in (1, 2)]
    results += [found("relu-1000", threads=2, torch=1.5, numpy=20.0)]
    results += [rungs_found(row, n, row.flops / 50e9) for row in ladder for n in (1, 2)]
    sheet = measure.machine_sheet([1, 2])
    path, other, readme = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "README.md"
    measure.save(path, sheet, results)
    measure.save(other, sheet | {"core": "of another machine"}, [found("relu-1000", torch=0.9, run="2025-01-01")])
    assert report.newest([other, path]) == path
    names = (f"ladder:{report.FIRST}", "score")
    readme.write_text(
        "before\n" + "\nbetween\n".join(f"<!-- {name} -->old<!-- /{name} -->" for name in names) + "\nafter"
    )

    for picture in report.pictures(path, tmp_path):
        assert picture.read_bytes().startswith(b"\x89PNG")
    drawn = {picture.name for picture in tmp_path.glob("*.png")}
    assert drawn == {"roofline.png", *(f"ladder_{name}.png" for name in report.LADDERS)}

    report.write_readme([path, other], readme)
    text = readme.read_text()
    assert "old" not in text
    assert text.startswith("before\n<!-- ladder:matmul -->\n") and text.endswith("<!-- /score -->\nafter")
    assert text.count("\nbetween\n") == len(names) - 1
    assert "| naive |" in text and "50 (50%)" in text  # 50 GFLOP/s of 100
    assert f"| {measure.machine_name(sheet)} | 1 |" in text and "(of another machine), " in text
    report.write_readme([path, other], readme)
    assert readme.read_text() == text

    report.write_board([path, other], [path], tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.count("| naive |") == len(report.LADDERS) and "50 (50%)" in text
    assert all(f"(results/{picture})" in text for picture in drawn)
    assert f"**{measure.machine_name(sheet)}**: " in text and "(of another machine), " in text
    assert "Of 1 measurements (a row on one number of threads), 1 are below 1.0× PyTorch; 0 found no" in text
    assert "| machine | geometric mean | against | 1 thread, former |" in text


def test_score(roofline):
    """Rows won and lost against PyTorch, by kind; what was not steady is counted apart."""
    results = [found("relu-1000", torch=1.5), found("gelu-1000", torch=0.5), found(torch=2.0)]
    results += [found("gelu-1000", threads=2, torch=4.0)]
    results += [dataclasses.replace(found("tanh-1000", torch=0.1), unstable=("torch",))]
    sheet = measure.machine_sheet([1, 2])
    name = measure.machine_name(sheet)
    lines = report.score_table([(sheet, results)]).splitlines()
    assert lines[2] == f"| {name} | 1 | 1 / 0, 2.00× |  | 1 / 1, 0.87× |  |  | 2 / 1, 1.14× |"
    assert lines[3] == f"| {name} | 2 |  |  | 1 / 0, 4.00× |  |  | 1 / 0, 4.00× |"
    assert lines[-1] == (
        f"{name}: lost by the most: gelu-1000 on 1 thread, 0.50×. "
        "1 of 5 measurements found no steady state and are not counted."
    )
    assert report.score_table([(sheet, results[:1])]).endswith(f"{name}: none is lost.")


def test_rungs_that_no_longer_exist(roofline, tmp_path, capsys, monkeypatch):
    """A results file may be older than a rung's name: the rung is named on stderr and not drawn."""
    rows = [row for row in board() if row.operation == "lstm_ladder"]
    results = [rungs_found(row, n, row.flops / 50e9) for row in rows for n in (1, 2)]
    now = {peer for result in results for peer in result.seconds}
    results = [dataclasses.replace(r, seconds=r.seconds | {"walk": 1.0, "in_place": 2.0}) for r in results]
    drawn = []
    monkeypatch.setattr(report, "_draw_rungs", lambda axes, rates, colors: drawn.append(set(rates)))
    monkeypatch.setattr(report, "_draw_sizes", lambda axes, rows, *_: drawn.extend(set(row.seconds) for row in rows))
    assert report.ladder(measure.machine_sheet([1, 2]), results, "lstm", tmp_path).exists()
    assert drawn and all(each == now for each in drawn)
    assert capsys.readouterr().err == "lstm: the ladder no longer has these rungs, left out: walk, in_place\n"
    assert report.without_former_rungs(results[:0], "lstm") == [] and capsys.readouterr().err == ""


def test_gain_of_each_rung(roofline):
    """The gain of each rung on one thread; for the last rung, that of threads, too."""
    row = next(row for row in board() if row.id == f"lstm_ladder-{report.LADDERS['lstm'].shape}")
    *others, packed, tuned = report.rungs("lstm")
    seconds = {1: [8.0] * len(others) + [4.0, 4.0], 2: [6.0] * len(others) + [4.0, 2.0]}
    results = [
        measure.result(row, n, visited(dict(zip([*others, packed, tuned], each, strict=True))), {})
        for n, each in seconds.items()
    ]
    lines = report.ladder_table(measure.machine_sheet([1, 2]), results, "lstm").splitlines()
    bought = [line.split("|")[-2].strip() for line in lines if line.startswith(("| packed", "| tuned"))]
    assert bought == ["2.0×", "1.0×, 2.0× by threads"]


def test_former_harness(roofline, tmp_path):
    """A comparison with the former harness: means, every row, and the rows whose verdict changed."""
    sheet = measure.machine_sheet([1, 2])
    name = f"{measure.file_name(sheet)}.json"
    (tmp_path / "former").mkdir()
    former, now, board_file = tmp_path / "former" / name, tmp_path / name, tmp_path / "RESULTS.md"
    measure.save(former, sheet, [found("relu-1000", 2, torch=9.0), found("gelu-1000", 2, torch=2.0)])
    measure.save(now, sheet, [found("relu-1000", 2, torch=0.9), found("gelu-1000", 2, torch=1.0)])
    machine_column = f"| {measure.machine_name(sheet)} |"
    assert f"{machine_column} small | torch |  |  | 4.24× | 0.95× |" in report.harness_table([former], [now])
    report.write_board([now], [former], board_file)
    text = board_file.read_text()
    assert f"{machine_column} relu-1000 | 2 | 9.00× | 0.90× |" in text and f"{machine_column} gelu-1000" not in text
    assert "| relu | 1000 | 50 ms | 50 ms | " in text and "2 thr: short" in text


def test_missing_marker():
    with pytest.raises(ValueError, match="README: the markers <!-- score --> and <!-- /score --> must be there"):
        report.replace_between("no marker", "score", "text")


@pytest.mark.parametrize(("flags", "folder"), [((), "tests/"), (("--benchmark-only",), "benchmarks/")])
def test_a_plain_run_has_no_benchmarks(flags, folder):
    """``pytest`` collects the tests and nothing else, ``pytest --benchmark-only`` the benchmarks and nothing else."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *flags]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300)
    items = [line for line in run.stdout.splitlines() if "::" in line]
    assert items, run.stdout + run.stderr
    assert all(item.startswith(folder) for item in items)
