r"""Facts about this CPU, found once: vector lanes, cache sizes, usable cores; and, on request, its measured limits.

Kernels take their tile sizes from here, so the same loops fit another machine. The environment variable
``INNERLOOP_LANES`` (float32 lanes: 4, 8 or 16) overrides the vector width, so that one machine can test every width.

The measured limits are the two lines of a roofline [1]_: the peak rate of fused multiply-adds that never leave the
registers, and the bandwidth of a copy far larger than any cache.

.. [1] S. Williams, A. Waterman, D. Patterson, "Roofline", CACM 52(4), 2009.
"""

import functools
import os
import platform
import time
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np

LANES_VARIABLE = "INNERLOOP_LANES"


@functools.cache
def cpu_features() -> frozenset:
    """Names of the instruction-set extensions that LLVM sees on this CPU."""
    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)


@functools.cache
def vector_bytes() -> int:
    """Width of one vector register in bytes: 64 with AVX-512, 32 with AVX2 and FMA, else 16 (SSE, NEON)."""
    override = os.environ.get(LANES_VARIABLE)
    if override:
        if override not in ("4", "8", "16"):
            raise ValueError(f"{LANES_VARIABLE}: lanes must be 4, 8 or 16, got {override!r}")
        return int(override) * 4
    features = cpu_features()
    if {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= features:
        return 64
    if {"avx2", "fma"} <= features:
        return 32
    return 16


def lanes(dtype) -> int:
    """How many elements of `dtype` one vector register holds."""
    return vector_bytes() // np.dtype(dtype).itemsize


@functools.cache
def vector_registers() -> int:
    """Number of architectural vector registers: 32 with AVX-512 and on AArch64, 16 on other x86."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return 32
    return 32 if "avx512vl" in cpu_features() and vector_bytes() >= 16 else 16


# What a cache is taken for where the system does not tell: the smallest in common use.
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


def _best_seconds(call) -> float:
    """Shortest timing within half a second: a limit is what the machine can do undisturbed, with its threads awake and
    on cores of their own."""
    call()
    times = []
    while sum(times) < 0.5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@functools.cache
def peak_flops(dtype=np.float32, threads: int = 1) -> float:
    """Measured peak in FLOP/s of `threads` cores: independent fused multiply-adds held in registers."""
    from kernels._probe import CHAINS, ROWS, VECTORS, fma_chains

    dtype = np.dtype(dtype)
    a, b = np.ones(ROWS, dtype), np.full(VECTORS * lanes(dtype), 1e-9, dtype)
    sink = np.zeros(CHAINS * lanes(dtype) * threads, dtype)
    steps = 500_000
    seconds = _best_seconds(lambda: fma_chains(a, b, sink, steps, threads))
    return 2.0 * CHAINS * lanes(dtype) * steps * threads / seconds


@functools.cache
def bandwidth(threads: int = 1) -> float:
    """Measured copy bandwidth in bytes/s (read plus written) of `threads` cores, on 4x the last cache level."""
    from kernels._probe import copy

    size = max(64 * 1024**2, min(4 * cache_bytes(3), 512 * 1024**2)) // 4
    source, target = np.ones(size, np.float32), np.ones(size, np.float32)
    return 2.0 * source.nbytes / _best_seconds(lambda: copy(source, target, threads))


def sheet() -> dict:
    """The machine sheet that goes with every committed result."""
    import numba

    from kernels import _threads

    return {
        "cpu": cpu_name(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "cores": cores(),
        "vector_bits": vector_bytes() * 8,
        "lanes_float32": lanes(np.float32),
        "lanes_float64": lanes(np.float64),
        "cache_bytes": {f"L{level}": cache_bytes(level) for level in (1, 2, 3)},
        "thread_layer": _threads.layer(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "llvm": ".".join(map(str, llvm.llvm_version_info)),
    }


def show_config():
    """Print what the kernels run on: CPU, vector width, caches, thread layer, versions, and every thread pool found.

    Examples
    --------
    >>> import kernels
    >>> kernels.show_config()  # doctest: +SKIP
    cpu            AMD EPYC, 2 usable cores
    vector         512 bits: 16 float32 or 8 float64
    caches         L1 32 KiB, L2 1024 KiB, L3 32768 KiB
    threads        2, layer omp
    versions       Python 3.11.7, NumPy 2.4.6, Numba 0.68.1, LLVM 20.1.8
    cache folder   ~/.cache/innerloop/3fa2...
    thread pools   openblas: 2 threads, .../libscipy_openblas64_.so
    """
    from kernels import _jit, _threads

    facts = sheet()
    layer = _threads.layer()
    lines = {
        "cpu": f"{facts['cpu']}, {facts['cores']} usable cores",
        "vector": f"{facts['vector_bits']} bits: {facts['lanes_float32']} float32 or {facts['lanes_float64']} float64",
        "caches": ", ".join(f"{level} {size // 1024} KiB" for level, size in facts["cache_bytes"].items()),
        "threads": f"{_threads.get_num_threads()}, layer {layer}" + " so far" * (layer == "none"),
        "versions": f"Python {facts['python']}, NumPy {facts['numpy']}, Numba {facts['numba']}, LLVM {facts['llvm']}",
        "cache folder": _jit.cache_folder() or "none is writable",
        "thread pools": "\n".join(_thread_pools()),
    }
    for name, text in lines.items():
        print(f"{name:14} {text}".replace("\n", "\n" + " " * 15))


def _thread_pools() -> list:
    """A line for each native pool that threadpoolctl finds in this process (it does not know tbb)."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["not known: threadpoolctl is not installed"]
    pools = [f"{pool['internal_api']}: {pool['num_threads']} threads, {pool['filepath']}" for pool in threadpool_info()]
    return pools or ["none found"]
