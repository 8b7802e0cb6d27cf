r"""The measured limits of this machine: the two lines of a roofline, and the sheet that goes with every result.

The roofline [1]_ bounds the rate of a loop of intensity I (FLOPs per byte moved) by

.. math:: \min(\text{peak FLOP/s},\; I \cdot \text{bandwidth})

`peak_flops` is the rate of independent fused multiply-adds that stay in registers, `bandwidth` that of a copy far
larger than any cache. Both are what the machine can do undisturbed, so they are the best of many timings on awake
threads, repeated until the best no longer improves. A result above a limit is a reason to `measure_again`; a limit
never falls.

.. [1] S. Williams, A. Waterman, D. Patterson, "Roofline", CACM 52(4), 2009.
"""

import platform
import time

import llvmlite.binding as llvm
import numpy as np
from numba import prange

from kernels import _jit, _threads, machine
from kernels._jit import jit
from kernels._threads import arrive, enter, leave
from kernels.simd import flat, lane_count, load, shifted, strided, tile_outer, tile_plus, tile_store, tile_zeros
from kernels.simd.stream import store_streaming, streaming_done, until_aligned

# Independent accumulators, each waiting for its last sum. They must outnumber latency times units (4 cycles x 2 units
# on x86, x 4 on large ARM cores) and leave registers for both factors: three quarters of the registers do.
CHAINS = machine.vector_registers() * 3 // 4 // machine.registers_per_vector()
STEPS = 400_000  # a timing of 2 ms at two vectors a cycle: long against starting a parallel region
STEADY_SECONDS = 1.0  # a limit stands when nothing was faster by SLACK for this long
LONGEST_SECONDS = 8.0
SLACK = 1.005

_found = {}  # (kind, dtype, threads) -> the best rate so far


@jit
def _fma_chains(factors, sums, first, steps):
    """``sums[first + r * lanes + i] += steps * factors[0] * factors[i]``, a chain of `steps` roundings each."""
    totals, factor = strided(shifted(flat(sums), first), lane_count(sums), 1), strided(flat(factors), 0, 1)
    acc = tile_plus(tile_zeros(sums, CHAINS, 1), totals)
    for _ in range(steps):
        acc = tile_outer(acc, factor, factor)  # one broadcast and one row for all chains
    tile_store(totals, acc)


@jit(parallel=True)
def fma_chains(factors, sums, steps, threads):
    """`_fma_chains` on each of `threads` threads."""
    if threads == 1:
        _fma_chains(factors, sums, 0, steps)
    else:
        before, home = enter(threads)
        for thread in prange(threads):
            arrive(home)
            _fma_chains(factors, sums, thread * CHAINS * lane_count(sums), steps)
        leave(before)


@jit
def _copy(source, target, start, stop):
    lanes = lane_count(source)
    first = min(start + until_aligned(target, start), stop)
    whole = stop - (stop - first) % lanes
    for i in range(start, first):
        target[i] = source[i]
    for i in range(first, whole, lanes):  # bypasses the caches: a plain store would read the line that it overwrites
        store_streaming(target, i, load(source, i))
    for i in range(whole, stop):
        target[i] = source[i]
    streaming_done()


@jit(parallel=True)
def copy(source, target, threads):
    """``target[:] = source``, a contiguous part for each thread."""
    if threads == 1:
        _copy(source, target, 0, source.size)
    else:
        before, home = enter(threads)
        for number in prange(threads):
            arrive(home)
            thread = np.int64(number)
            _copy(source, target, thread * source.size // threads, (thread + 1) * source.size // threads)
        leave(before)


def peak_flops(dtype=np.float32, threads: int = 1) -> float:
    """Measured peak of `threads` cores in FLOP/s: independent fused multiply-adds held in registers."""
    key = "peak", np.dtype(dtype), threads
    if key not in _found:
        _found[key] = _measured_peak(*key[1:])
    return _found[key]


def bandwidth(threads: int = 1) -> float:
    """Measured copy bandwidth of `threads` cores in bytes/s (read plus written), on 4x the last cache level."""
    key = "bandwidth", None, threads
    if key not in _found:
        _found[key] = _measured_bandwidth(threads)
    return _found[key]


def measure_again(threads: int = 1):
    """Measure the float32 peak and the bandwidth of `threads` cores once more; a limit rises or stays."""
    _found["peak", np.dtype(np.float32), threads] = max(
        peak_flops(np.float32, threads), _measured_peak(np.dtype(np.float32), threads)
    )
    _found["bandwidth", None, threads] = max(bandwidth(threads), _measured_bandwidth(threads))


def _measured_peak(dtype, threads):
    lanes = machine.lanes(dtype)
    factors = np.full(lanes, 1e-9, dtype)
    factors[0] = 1.0
    sums = np.arange(CHAINS * lanes * threads, dtype=dtype)  # unequal: equal chains could be computed once
    seconds = _shortest(lambda: fma_chains(factors, sums, STEPS, threads))
    return 2.0 * CHAINS * lanes * STEPS * threads / seconds


def _measured_bandwidth(threads):
    size = max(64 * 1024**2, min(4 * machine.cache_bytes(3), 512 * 1024**2)) // 4
    source, target = np.ones(size, np.float32), np.ones(size, np.float32)
    return 2.0 * source.nbytes / _shortest(lambda: copy(source, target, threads))


def _shortest(call) -> float:
    """The shortest timing of `call`, repeated until STEADY_SECONDS bring none shorter by SLACK. Calls follow each other
    at once, so a pool that was asleep is awake after the first ones, on cores of its own."""
    call()
    began = improved = time.perf_counter()
    best = float("inf")
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        if SLACK * (now - start) < best:
            improved = now
        best = min(best, now - start)
        if now - improved > STEADY_SECONDS or now - began > LONGEST_SECONDS:
            return best


def sheet() -> dict:
    """The machine sheet that goes with every committed result."""
    import numba

    return {
        "cpu": machine.cpu_name(),
        "core": machine.core_name(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "cores": machine.cores(),
        "vector_bits": machine.vector_bytes() * 8,
        "lanes_float32": machine.lanes(np.float32),
        "lanes_float64": machine.lanes(np.float64),
        "cache_bytes": {f"L{level}": machine.cache_bytes(level) for level in (1, 2, 3)},
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
    cpu            AMD EPYC (znver4), 2 usable cores
    vector         512 bits: 16 float32 or 8 float64
    caches         L1 32 KiB, L2 1024 KiB, L3 32768 KiB
    threads        2, layer omp
    versions       Python 3.11.7, NumPy 2.4.6, Numba 0.68.1, LLVM 22.1.0
    cache folder   ~/.cache/innerloop/3fa2...
    thread pools   openblas: 2 threads, .../libscipy_openblas64_.so
    """
    facts = sheet()
    layer = _threads.layer()
    lines = {
        "cpu": f"{facts['cpu']} ({facts['core']}), {facts['cores']} usable cores",
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
