"""Tests of the digest of every kernel's results: what it covers, and that it depends on the results alone."""

import json
import re

import numpy as np
import pytest

import kernels
from tests.digest import __main__ as command
from tests.digest.run import DTYPES, FAMILIES, THREADS, Run, cases, digest, digests, operations

# One case of each family that is fast, but large enough for two threads.
QUICK = {
    "activation": "elementwise gelu () (200, 301)",
    "attention": "attention (1, 4, 200, 80) (1, 4, 200, 80) {'is_causal': True}",
    "convolution": "convolution (2, 64, 28, 28) (64, 64, 3, 3) {'padding': 1}",
    "gemm": "product (256, 256) (256, 256)",
    "lookup": "embedding (20, 40) (300, 192)",
    "loss": "classes (192, 256) mean True",
    "normalization": "batch_norm (8, 16, 24, 24) True",
    "pooling": "max_pool 2 16 (5, 40, 41) 3 2 1",
    "recurrent": "layer lstm 9 32 128 128",
    "reduction": "softmax (64, 24, 48) 1",
    "scan": "scans (300, 400) 0",
    "sorting": "order (70, 9, 90) 1 5",
    "update": "optimiser adam ((200, 301), (5,), (33000,), (0, 3)) 2 {}",
}
SMALL = 100  # the largest number in the name of a fast case


def is_small(case):
    return all(int(number) <= SMALL for number in re.findall(r"\d+", case.replace("_", "")))


def test_every_operation_has_a_small_case():
    called = set()
    for family in FAMILIES:
        for case in filter(is_small, cases(family)):
            called |= {name.split(" #")[0] for name in digests(family, case, np.float32, 1)}
    assert operations() <= called


def test_every_rung_has_a_small_case():
    """Rungs are taken from `VARIANTS`, so that a new rung is digested at once."""
    called = set()
    for family in FAMILIES:
        for case in filter(is_small, cases(family)):
            if case.startswith("ladder"):
                called |= {name.split(", rung")[0] for name in digests(family, case, np.float32, 1)}
    packages = (*FAMILIES, "affine", "mlp")
    assert called >= {name for package in packages for name in getattr(kernels, package).VARIANTS}


@pytest.mark.parametrize(("family", "case"), QUICK.items(), ids=QUICK)
def test_digests_are_those_of_any_run_and_thread_count(family, case):
    for dtype in DTYPES:
        first, *others = (digests(family, case, dtype, threads) for threads in (*THREADS, 1))
        assert first
        assert others == [first] * len(others)


def test_a_digest_depends_on_shape_dtype_and_every_bit():
    x = np.arange(6.0).reshape(2, 3)
    nudged = x.copy()
    nudged[1, 2] = np.nextafter(5.0, 6.0)
    others = [x.T, x.reshape(3, 2), x.astype(np.float32), nudged, -x, (x, 1), (x, x), ()]
    assert len({digest(value) for value in (x, *others)}) == 1 + len(others)
    assert digest(x) == digest(x.copy(order="F")) == digest((x,)) == digest({"y": [x]})
    assert digest(np.array([0.0])) != digest(np.array([-0.0]))
    assert digest(np.array([np.nan])) == digest(-np.array([np.nan]))


def test_a_digest_covers_what_a_call_fills():
    found = []
    for start in (0.0, 1.0):
        run = Run(np.float32, 0)
        run.call("sgd", [np.full(3, start)], [np.ones(3)], lr=0.1)
        run.call("relu", run.normal(3))
        run.call("relu", run.normal(3))
        found.append(run.digests)
    one, two = found
    assert list(one) == ["sgd", "relu", "relu #2"]
    assert one["sgd"] != two["sgd"] and one["relu"] == two["relu"] != one["relu #2"]


def run_command(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["digest", *map(str, arguments)])
    return command.main()


def test_command(monkeypatch, capsys, tmp_path):
    path, chosen = tmp_path / "digests.json", ("--only", "update", "--cases", "optimiser sgd")
    assert not run_command(monkeypatch, "--write", path, *chosen)
    assert not run_command(monkeypatch, "--compare", path, *chosen)
    written = json.loads(path.read_text())
    names = list(written["digests"])
    assert not run_command(monkeypatch, "--write", path, "--only", "update", "--cases", "optimiser adagrad")
    both = json.loads(path.read_text())["digests"]  # those of the first call are kept
    assert len(both) > len(names) and written["digests"].items() <= both.items()

    written["digests"][names[0]] = "0"
    del written["digests"][names[1]]
    written["digests"][names[2] + "!"] = "0"
    path.write_text(json.dumps(written))
    capsys.readouterr()
    assert run_command(monkeypatch, "--compare", path, *chosen) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [f"differs: {names[0]}", f"missing: {names[2]}!", f"new: {names[1]}"]

    written["conditions"]["numba"] = "0"
    path.write_text(json.dumps(written))
    with pytest.raises(SystemExit, match="other conditions"):
        run_command(monkeypatch, "--compare", path, *chosen)


def test_command_reports_dependence_on_the_thread_count(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command, "digests", lambda family, case, dtype, threads: {"call": str(threads)})
    chosen = ("--only", "update", "--cases", "ladder_of_clipping 37 2.0")
    assert run_command(monkeypatch, "--write", tmp_path / "digests.json", *chosen) == 1
    assert capsys.readouterr().out.startswith("depends on the number of threads: update: ladder_of_clipping 37 2.0")


def test_command_lists_cases_that_fail(monkeypatch, capsys, tmp_path):
    def fail(*_):
        raise ValueError("no")

    monkeypatch.setattr(command, "digests", fail)
    chosen = ("--only", "update", "--cases", "ladder_of_clipping 37 2.0")
    assert run_command(monkeypatch, "--write", tmp_path / "digests.json", *chosen) == 1
    assert capsys.readouterr().out.count("failed: update: ladder_of_clipping 37 2.0") == 4
