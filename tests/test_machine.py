"""Tests of kernels.machine: facts about this CPU, the override of its lanes, and the measured limits."""

import builtins
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import kernels
from kernels import machine
from kernels._probe import copy


def run(code, **variables):
    """What `code` prints in a new process."""
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, timeout=300
    )


def test_lanes_fill_a_register():
    assert machine.vector_bytes() in (16, 32, 64)
    assert machine.lanes(np.float32) * 4 == machine.lanes("float64") * 8 == machine.vector_bytes()
    assert machine.vector_registers() in (16, 32)


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_override_of_the_lanes(lanes):
    code = (
        "from kernels import machine; print(machine.vector_bytes(), machine.lanes('float32'), machine.lanes('float64'))"
    )
    assert run(code, INNERLOOP_LANES=str(lanes)).stdout.split() == [str(4 * lanes), str(lanes), str(lanes // 2)]


@pytest.mark.parametrize("lanes", ["0", "5", "32", "wide"])
def test_override_errors(lanes):
    failed = run("from kernels import machine; machine.vector_bytes()", INNERLOOP_LANES=lanes)
    assert f"ValueError: INNERLOOP_LANES: lanes must be 4, 8 or 16, got '{lanes}'" in failed.stderr


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512f", "avx512vl", "avx512dq", "avx512bw", "avx2", "fma"}, 64),
        ({"avx512f", "avx2", "fma"}, 32),
        ({"avx2", "fma"}, 32),
        ({"avx2"}, 16),
        ({"neon"}, 16),
    ],
)
def test_vector_bytes_follow_the_features(monkeypatch, features, expected):
    monkeypatch.delenv(machine.LANES_VARIABLE, raising=False)
    monkeypatch.setattr(machine, "cpu_features", lambda: frozenset(features))
    assert machine.vector_bytes.__wrapped__() == expected


def test_caches_grow_by_level():
    sizes = [machine.cache_bytes(level) for level in (1, 2, 3)]
    assert 8 * 1024 <= sizes[0] < sizes[1] < sizes[2]


def test_cores_respect_affinity_and_quota(monkeypatch):
    monkeypatch.setattr(machine, "_cgroup_cores", lambda: float("inf"))
    everything = machine.cores.__wrapped__()
    assert 1 <= everything <= os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        assert everything == len(os.sched_getaffinity(0))
    monkeypatch.setattr(machine, "_cgroup_cores", lambda: 0.5)
    assert machine.cores.__wrapped__() == 1
    monkeypatch.setattr(machine, "_cgroup_cores", lambda: everything + 0.9)
    assert machine.cores.__wrapped__() == everything


def test_limits_are_plausible():
    """Wide margins: other processes may be running."""
    single, double = machine.peak_flops(np.float32), machine.peak_flops(np.float64)
    assert 1e9 < double < single < 1e13
    assert single / double < 8
    assert 1e8 < machine.bandwidth() < 1e13
    assert single > machine.bandwidth() / 8  # no CPU reads and writes a float32 faster than it computes on one


def test_sheet_is_json():
    sheet = machine.sheet()
    assert json.loads(json.dumps(sheet)) == sheet
    assert sheet["cores"] == machine.cores()
    assert sheet["vector_bits"] == 8 * machine.vector_bytes()


def test_show_config(capsys):
    kernels.show_config()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[0] != " ")
    assert lines.keys() == {"cpu", "vector", "caches", "threads", "versions", "cache", "thread"}
    assert lines["vector"].startswith(f"{8 * machine.vector_bytes()} bits")
    assert lines["threads"].startswith(f"{kernels.get_num_threads()}, layer ")
    assert f"NumPy {np.__version__}" in lines["versions"]
    assert "openblas" in lines["thread"] or "pools" in lines["thread"]


def test_show_config_without_threadpoolctl(capsys, monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name == "threadpoolctl":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    kernels.show_config()
    assert "thread pools   not known: threadpoolctl is not installed" in capsys.readouterr().out


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 15, 16, 1000, 4099])
def test_the_copy_that_is_timed_copies_all(size, threads):
    source, target = np.arange(size, dtype=np.float32), np.full(size + 5, -1, np.float32)
    copy(source, target[3 : size + 3], threads)
    np.testing.assert_array_equal(target, [-1] * 3 + list(range(size)) + [-1] * 2)
