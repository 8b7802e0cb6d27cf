"""Tests of kernels.limits: the peak is measured by a loop that touches no memory, a limit never falls, the sheet."""

import builtins
import json
import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest

import kernels
from kernels import limits, machine

ASSEMBLY = """
import numpy as np
from kernels import limits, machine
for dtype in (np.float32, np.float64):
    sums = np.zeros(2 * limits.CHAINS * machine.lanes(dtype), dtype)
    limits.fma_chains(np.ones(machine.lanes(dtype), dtype), sums, 3, 2)
print(limits.CHAINS)
for signature, text in limits.fma_chains.inspect_asm().items():
    print("signature", signature[0].dtype)
    print(text)
"""
# A core with AVX2 and 16 registers, independent of this machine.
AVX2 = "import llvmlite.binding as llvm\nllvm.get_host_cpu_features = lambda: {'avx2': True, 'fma': True}\n"


def loops_of(assembly):
    """The instructions of every innermost loop: from a label to the first jump back to it."""
    lines, labels = [line.split("#")[0].strip() for line in assembly.splitlines()], {}
    for number, line in enumerate(lines):
        if label := re.match(r"(\.?[\w.$]+):$", line):
            labels[label[1]] = number
        elif (jump := re.match(r"j\w+\s+(\S+)$", line)) and jump[1] in labels:
            body = lines[labels[jump[1]] + 1 : number + 1]
            if not any(line.endswith(":") for line in body):
                yield body


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize(
    ("lanes", "prefix", "environment"),
    [
        (4, "", {}),
        (8, "", {}),
        (16, "", {}),
        (8, AVX2, {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}),
    ],
    ids=["4", "8", "16", "8 in 16 registers"],
)
def test_the_peak_is_measured_in_registers(tmp_path, lanes, prefix, environment):
    """No loop of the probe loads, stores or moves a vector, and each holds all chains."""
    if lanes == 16 and machine.register_bytes() < 64:
        pytest.skip("needs AVX-512")
    variables = os.environ | {"INNERLOOP_LANES": str(lanes), "XDG_CACHE_HOME": str(tmp_path)} | environment
    command = [sys.executable, "-c", prefix + ASSEMBLY]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    chains, *kinds = re.split(r"^signature ", run.stdout, flags=re.MULTILINE)
    assert [kind.split()[0] for kind in kinds] == ["float32", "float64"]
    if prefix:
        assert int(chains) == 12
    for kind in kinds:
        loops = [body for body in loops_of(kind) if any("fmadd" in line for line in body)]
        assert loops  # serial and parallel, perhaps unrolled
        for body in loops:
            vectors = [line for line in body if re.search(r"%[xyz]mm", line)]
            assert all(re.match(r"vfmadd\w+\s+%[xyz]mm\d+, %[xyz]mm\d+, %[xyz]mm\d+$", line) for line in vectors)
            assert len(vectors) % int(chains) == 0
            width = {4: "x", 8: "y", 16: "z"}[lanes]
            assert all(f"%{width}mm" in line for line in vectors)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_probe_computes(threads):
    """The probe does ``steps`` multiply-adds on every chain of every thread, and nothing else."""
    lanes = machine.lanes(np.float64)
    factors = np.full(lanes, 0.5)
    factors[0] = 2.0
    sums = np.arange(limits.CHAINS * lanes * threads + 3, dtype=np.float64)
    expected = sums.copy()
    expected[:-3] += 7 * 2.0 * np.tile(factors, limits.CHAINS * threads)
    limits.fma_chains(factors, sums, 7, threads)
    np.testing.assert_array_equal(sums, expected)


@pytest.fixture
def short(monkeypatch):
    """Short measurements."""
    monkeypatch.setattr(limits, "STEADY_SECONDS", 0.05)
    monkeypatch.setattr(limits, "_found", {})


@pytest.mark.usefixtures("short")
def test_limits_are_plausible():
    """Wide margins: other processes may be running."""
    single, double = limits.peak_flops(np.float32), limits.peak_flops(np.float64)
    assert 1e9 < double < single < 1e13
    assert single / double < 8
    assert 1e8 < limits.bandwidth() < 1e13
    assert single > limits.bandwidth() / 8  # no CPU reads and writes a float32 faster than it computes on one
    assert limits.peak_flops(np.float32) == single  # measured once


def test_a_limit_never_falls(monkeypatch):
    measured = iter([10.0, 1.0, 8.0, 2.0, 12.0, 0.5])
    monkeypatch.setattr(limits, "_found", {})
    monkeypatch.setattr(limits, "_measured_peak", lambda dtype, threads: next(measured))
    monkeypatch.setattr(limits, "_measured_bandwidth", lambda threads: next(measured))
    assert (limits.peak_flops(threads=2), limits.bandwidth(2)) == (10.0, 1.0)
    limits.measure_again(2)
    assert (limits.peak_flops(threads=2), limits.bandwidth(2)) == (10.0, 2.0)
    limits.measure_again(2)
    assert (limits.peak_flops(threads=2), limits.bandwidth(2)) == (12.0, 2.0)


def test_timing_continues_until_the_minimum_is_stable(monkeypatch):
    """The clock moves by the length of each call; the third call is the first of the shortest."""
    clock, lengths = [0.0], iter([9.0, 3.0, 2.0, 1.0, *[1.5] * 99])
    monkeypatch.setattr(limits.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(limits, "STEADY_SECONDS", 4.0)
    monkeypatch.setattr(limits, "LONGEST_SECONDS", 60.0)

    def call():
        clock[0] += next(lengths)

    assert limits._shortest(call) == 1.0
    assert clock[0] == 9.0 + 3.0 + 2.0 + 1.0 + 3 * 1.5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 15, 16, 1000, 4099])
def test_the_timed_copy_copies_everything(size, threads):
    source, target = np.arange(size, dtype=np.float32), np.full(size + 5, -1, np.float32)
    limits.copy(source, target[3 : size + 3], threads)
    np.testing.assert_array_equal(target, [-1] * 3 + list(range(size)) + [-1] * 2)


def test_sheet_is_json():
    sheet = limits.sheet()
    assert json.loads(json.dumps(sheet)) == sheet
    assert sheet["cores"] == machine.cores()
    assert sheet["vector_bits"] == 8 * machine.vector_bytes()
    assert sheet["core"]


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
