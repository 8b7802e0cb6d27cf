"""Tests of kernels.machine: facts about this CPU and the override of its lanes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from kernels import machine


def run(code, **variables):
    """The output of `code` in a new process."""
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


@pytest.mark.parametrize(("lanes", "registers"), [(4, 1), (8, 1), (16, 2)])
def test_vectors_wider_than_the_registers(monkeypatch, lanes, registers):
    monkeypatch.setattr(machine, "vector_bytes", lambda: 4 * lanes)
    monkeypatch.setattr(machine, "register_bytes", lambda: 32)
    assert machine.registers_per_vector() == registers


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
    monkeypatch.setattr(machine, "cpu_features", lambda: frozenset(features))
    assert machine.register_bytes.__wrapped__() == expected


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
