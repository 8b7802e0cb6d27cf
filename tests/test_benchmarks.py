"""The board itself: every row builds and its peers agree; the floors bite; the report replaces what it should."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import kernels
from benchmarks import measure, report, verdict
from benchmarks.__main__ import main
from benchmarks.cases import FAMILIES, OURS, board
from benchmarks.measure import Result
from kernels import machine

ROOT = Path(__file__).parent.parent
ROWS = [row for row in board() if row.kind != "ladder"]
LARGE = 10**9  # FLOPs beyond which a row is only built: the same code runs on smaller shapes
TOLERANCE = 2e-5  # of the largest magnitude: float32 sums of up to 32,000 terms


def arrays(output) -> list[np.ndarray]:
    """Every array in what a call returned, None left out."""
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
    with torch.inference_mode(not row.records):
        outputs = {peer: arrays(call()) for peer, call in calls.items()}
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
        assert "torch" in row.peers and ("numpy" in row.peers or row.kind == "training")
        assert (OURS in row.peers) == (row.kind != "ladder") == (row.floor is not None)
        assert row.kind in ("compute", "memory", "small", "training", "ladder")


def test_every_family_has_a_bench_file():
    files = {path.stem.removeprefix("bench_") for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert files == set(FAMILIES)


def test_peers_get_the_same_memory():
    """The inputs of the NumPy-like peers and of PyTorch are the same bytes, so a row compares nothing but the work."""
    calls = next(row for row in ROWS if row.id == "matmul-31-63-65-transposed-a").build()
    ours, theirs = calls[OURS].args[0], calls["torch"].args[0]
    assert ours.ctypes.data == theirs.data_ptr()
    assert tuple(stride // 4 for stride in ours.strides) == theirs.stride() == (1, 31)


@pytest.fixture
def roofline(monkeypatch):
    """A machine of 100 GFLOP/s and 10 GB/s a thread, with 1 MB of cache."""
    monkeypatch.setattr(machine, "peak_flops", lambda dtype, threads: 100e9 * threads)
    monkeypatch.setattr(machine, "bandwidth", lambda threads: 10e9 * threads)
    monkeypatch.setattr(machine, "cache_bytes", lambda level: 10**6)


def found(row_id="matmul-1024-1024-1024", threads=1, ours=0.05, **ratios) -> Result:
    """What a run would have found: our seconds, and ratios of the others."""
    row = next(row for row in board() if row.id == row_id)
    seconds = {OURS: ours} | {peer: ours * ratio for peer, ratio in ratios.items()}
    return measure.result(row, threads, seconds, ratios, first_call=0.5)


@pytest.mark.usefixtures("roofline")
class TestFloors:
    def test_row_below_its_floor(self):
        assert verdict.shortfalls(found(torch=1.01, ours=0.0225)) == []
        assert verdict.shortfalls(found("adam-10M-100", torch=1.49)) == ["1.49x torch, floor 1.5"]
        assert verdict.shortfalls(found("relu-1000", torch=1.99)) == ["1.99x torch, floor 2"]

    def test_nan_is_short(self):
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
        monkeypatch.setattr(machine, "cache_bytes", lambda level: 10**9)
        assert verdict.shortfalls(found("relu-4096-768", torch=0.96, ours=limit)) == ["0.96x torch, floor 1"]

    def test_other_peers(self):
        assert verdict.shortfalls(found("matmul-256-256-256", torch=1.2, numpy=0.9)) == ["0.90x numpy, floor 1"]
        mlp = found("mlp-784-256-128-10-b64", torch=2.6, numpy=1.0, jax=0.9)
        assert verdict.shortfalls(mlp) == ["0.90x jax, floor 1"]

    def test_geometric_mean(self):
        """Each row stands, their mean does not; the thread counts are not mixed."""
        rows = [found("sum-4096-768-all", torch=1.2, numpy=20.0), found("mean-4096-768-all", torch=1.2, numpy=20.0)]
        better = [found("sum-4096-768-all", threads=2, torch=9.0, numpy=20.0)]
        assert verdict.failures(better) == []
        assert verdict.failures(rows + better) == ["geometric mean of memory-bound, 1 thread: 1.20x torch, floor 1.5"]

    @pytest.mark.parametrize(("power", "steep"), [(2.0, False), (2.1, True)])
    def test_slope(self, power, steep, tmp_path, monkeypatch):
        """Time that goes with more than the square of the length is a failure; the picture is drawn of all lengths."""
        rows = [row for row in board() if row.operation == verdict.SCALING]
        results = [
            measure.result(row, n, {OURS: 1e-5 * int(row.shape.split("-")[0]) ** power, "torch": 1e3}, {"torch": 9.0})
            for n in (1, 2)
            for row in rows
        ]
        wrong = f"attention_scaling, 2 threads: time goes with length to the power of {power:.2f}, at most 2.05"
        assert (wrong in verdict.failures(results)) == steep
        assert not any("power" in message for message in verdict.failures(results[:1]))
        monkeypatch.setattr(report, "RESULTS", tmp_path)
        assert report.lengths(measure.machine_sheet([1, 2]), results).read_bytes().startswith(b"\x89PNG")

    def test_faster_than_the_machine(self):
        (message,) = found(torch=1.0, ours=0.015).impossible()[:1]
        assert message.startswith("matmul-1024-1024-1024, 1 thread: innerloop is faster than the machine")
        assert found(torch=1.0, ours=0.0214748).impossible() == []
        # 12.6 MB read in half the time that 10 GB/s allow: no cache holds it
        assert found("sum-4096-768-all", torch=4.0, ours=0.0006).impossible()

    def test_ladder_has_no_floor(self):
        row = next(row for row in board() if row.kind == "ladder")
        rung = measure.result(row, 1, dict.fromkeys(row.peers, 1.0), {})
        assert verdict.failures([rung]) == []

    def test_busy_machine(self):
        """A win beside another process proves nothing."""
        beside = dataclasses.replace(found("relu-1000", torch=9.0, numpy=20.0), others=0.9)
        assert verdict.failures([beside]) == ["relu-1000, 1 thread: disturbed, other processes used 0.90 cores"]
        assert "NOT TO BE RELIED ON: 1 of 1 rows" in verdict.table([beside])

    @pytest.mark.parametrize(("ratio", "code"), [(1.4, 1), (2.6, 0)])
    def test_check(self, monkeypatch, tmp_path, capsys, ratio, code):
        """``--check`` exits 1 on a losing row and names it."""
        monkeypatch.setattr(measure, "BOARD_FILE", tmp_path / "board.json")
        monkeypatch.setattr(
            measure, "measure", lambda row, threads, rounds: found(row.id, threads, torch=ratio, numpy=20.0)
        )
        assert main(["--rows", "^training/mlp", "--threads", "1", "--check"]) == code
        losing = "mlp-784-256-128-10-b64, 1 thread: 1.40x torch, floor 2.5"
        assert (losing in capsys.readouterr().out) == bool(code)
        _, (kept,) = measure.load(tmp_path / "board.json")
        assert kept.ratios == {"torch": ratio, "numpy": 20.0}


def test_unknown_rows(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--rows", "no such row"])
    assert stopped.value.code == 2
    assert "no row matches 'no such row'" in capsys.readouterr().err


def test_interleaved_order(monkeypatch):
    """Each turn goes the other way; before it is timed, a peer is called once."""
    monkeypatch.setattr(measure, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(measure, "settle", lambda: None)
    called = []
    times = measure.interleave({name: lambda name=name: called.append(name) for name in "abc"}, rounds=2)
    assert "".join(called) == "abc" + "aabbcc" + "ccbbaa"
    assert [len(values) for values in times.values()] == [2, 2, 2]


def test_slow_peer_leaves_early(monkeypatch):
    monkeypatch.setattr(measure, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(measure, "PEER_SECONDS", 0.0)
    monkeypatch.setattr(measure, "settle", lambda: None)
    times = measure.interleave({"a": lambda: None}, rounds=9)
    assert len(times["a"]) == 3


def test_thread_counts():
    before = kernels.get_num_threads(), torch.get_num_threads()
    with measure.thread_count(1):
        measure.require_threads(1)
        with pytest.raises(RuntimeError, match="threads: asked for 7, found .*innerloop"):
            measure.require_threads(7)
    assert (kernels.get_num_threads(), torch.get_num_threads()) == before


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="others can be seen on Linux only")
def test_others_are_seen():
    """A process that spins beside us counts."""
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
    result = measure.measure(row, 1, rounds=3)
    assert set(result.seconds) == set(row.peers) - ({"jax"} if machine.cores() != 1 else set())
    assert all(ratio > 0 for ratio in result.ratios.values())
    assert row.id in verdict.table([result])


def test_save_keeps_other_rows(roofline, tmp_path):
    """A run over some rows leaves the others, unless they come from another machine."""
    path = tmp_path / "board.json"
    sheet = {"cpu": "a", "peak_flops": {"1": 1.0}, "bandwidth": {"1": 1.0}}
    relu, matmul = found("relu-1000", torch=2.0), found(torch=1.5)
    measure.save(path, sheet, [relu, matmul])
    faster = dataclasses.replace(relu, ratios={"torch": 3.0})
    measure.save(path, sheet, [faster])
    assert {result.id: result.ratios["torch"] for result in measure.load(path)[1]} == {relu.id: 3.0, matmul.id: 1.5}
    measure.save(path, sheet | {"cpu": "b"}, [relu])
    assert [result.id for result in measure.load(path)[1]] == [relu.id]
    path.write_text('{"machine": {}, "results": [{"id": "of an earlier form"}]}')
    measure.save(path, sheet, [matmul])
    assert [result.id for result in measure.load(path)[1]] == [matmul.id]


def test_report(roofline, tmp_path, monkeypatch):
    """Pictures are drawn; the README's tables are replaced between their markers, and nothing else is."""
    ladder = [row for row in board() if row.kind == "ladder"]
    results = [found(threads=n, torch=1.2, numpy=1.1) for n in (1, 2)]
    results += [found("relu-1000", threads=2, torch=1.5, numpy=20.0)]
    results += [
        measure.result(row, n, dict.fromkeys(row.peers, row.flops / 50e9), {}) for row in ladder for n in (1, 2)
    ]
    path, readme = tmp_path / "board.json", tmp_path / "README.md"
    measure.save(path, measure.machine_sheet([1, 2]), results)
    names = (*(f"ladder:{name}" for name in report.LADDERS), "board", "machine")
    readme.write_text(
        "before\n" + "\nbetween\n".join(f"<!-- {name} -->old<!-- /{name} -->" for name in names) + "\nafter"
    )

    monkeypatch.setattr(report, "RESULTS", tmp_path)
    for picture in report.pictures(path):
        assert picture.read_bytes().startswith(b"\x89PNG")
    drawn = {picture.name for picture in tmp_path.glob("*.png")}
    assert drawn == {"roofline.png", *(f"ladder_{name}.png" for name in report.LADDERS)}

    report.write_readme(path, readme)
    text = readme.read_text()
    assert "old" not in text
    assert text.startswith("before\n<!-- ladder:matmul -->\n") and text.endswith("<!-- /machine -->\nafter")
    assert text.count("\nbetween\n") == len(names) - 1
    assert "| naive |" in text and "50 (50%)" in text  # 50 GFLOP/s of 100
    assert "| relu | 1000 |" in text and "✗" in text  # 1.5 where 2 is the floor
    report.write_readme(path, readme)
    assert readme.read_text() == text


def test_missing_marker():
    with pytest.raises(ValueError, match="README: the markers <!-- board --> and <!-- /board --> must be there"):
        report.replace_between("no marker", "board", "text")


@pytest.mark.parametrize(("flags", "folder"), [((), "tests/"), (("--benchmark-only",), "benchmarks/")])
def test_a_plain_run_has_no_benchmarks(flags, folder):
    """``pytest`` collects the tests and nothing else, ``pytest --benchmark-only`` the benchmarks and nothing else."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *flags]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300)
    items = [line for line in run.stdout.splitlines() if "::" in line]
    assert items, run.stdout + run.stderr
    assert all(item.startswith(folder) for item in items)
