"""Facts about this CPU, found once: vector lanes, cache sizes, usable cores. Its measured limits are in `limits`.

Kernels take their tile sizes from here, so the same loops fit another machine. The environment variable
``INNERLOOP_LANES`` (float32 lanes: 4, 8 or 16) overrides the vector width, so that one machine can test every width.
"""

import functools
import os
import platform
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np

LANES_VARIABLE = "INNERLOOP_LANES"


@functools.cache
def cpu_features() -> frozenset:
    """Names of the instruction-set extensions that LLVM finds on this CPU."""
    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)


@functools.cache
def vector_bytes() -> int:
    """Width of one vector register in bytes: 64 with AVX-512, 32 with AVX2 and FMA, else 16 (SSE, NEON)."""
    override = os.environ.get(LANES_VARIABLE)
    if override:
        if override not in ("4", "8", "16"):
            raise ValueError(f"{LANES_VARIABLE}: lanes must be 4, 8 or 16, got {override!r}")
        return int(override) * 4
    return register_bytes()


@functools.cache
def register_bytes() -> int:
    """Width of the widest vector register that the CPU has, whatever the override says."""
    features = cpu_features()
    if {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= features:
        return 64
    if {"avx2", "fma"} <= features:
        return 32
    return 16


def registers_per_vector() -> int:
    """Registers that hold one vector: more than one only where the override asks for wider ones than there are."""
    return max(1, vector_bytes() // register_bytes())


def lanes(dtype) -> int:
    """How many elements of `dtype` one vector register holds."""
    return vector_bytes() // np.dtype(dtype).itemsize


@functools.cache
def vector_registers() -> int:
    """Number of architectural vector registers: 32 with AVX-512 and on AArch64, 16 on other x86."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return 32
    return 32 if "avx512vl" in cpu_features() and vector_bytes() >= 16 else 16


# Sizes assumed where the system does not report them: the smallest in common use.
_CACHE_DEFAULTS = {1: 32 * 1024, 2: 512 * 1024, 3: 4 * 1024 * 1024}


@functools.cache
def cache_bytes(level: int) -> int:
    """Bytes of the data cache of `level` (1, 2, 3) that one core reaches."""
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            if int((folder / "level").read_text()) != level or (folder / "type").read_text().strip() == "Instruction":
                continue
            text = (folder / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        scale = {"K": 1024, "M": 1024**2, "G": 1024**3}.get(text[-1:], 1)
        digits = text.rstrip("KMG")
        if digits.isdigit():
            return int(digits) * scale
    return _CACHE_DEFAULTS[level]


def _cgroup_cores() -> float:
    """The CPU quota of this process's control group in cores; infinity where there is none."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        folder = Path("/sys/fs/cgroup/cpu")
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else float("inf")
    except (OSError, ValueError):
        return float("inf")


@functools.cache
def cores() -> int:
    """Cores this process may use: its affinity mask, cut to its control group's CPU quota, at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(allowed, _cgroup_cores())))


def cpu_name() -> str:
    """The CPU's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def core_name() -> str:
    """LLVM's name of the core's design, such as ``znver4``: virtual machines give unlike CPUs the same `cpu_name`."""
    return llvm.get_host_cpu_name()
