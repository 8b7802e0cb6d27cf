"""The two loops that `machine` measures its limits with."""

import numpy as np
from numba import prange

from kernels._jit import jit
from kernels._threads import arrive, enter, leave
from kernels.simd import lane_count, load, tile_outer, tile_store, tile_zeros
from kernels.simd.stream import store_streaming, streaming_done, until_aligned

ROWS, VECTORS = 12, 2
CHAINS = ROWS * VECTORS  # independent accumulators: more than latency times rate of any CPU's fused multiply-add


@jit
def _chains(a, b, sink, start, steps):
    acc = tile_zeros(a, ROWS, VECTORS)
    for _ in range(steps):
        acc = tile_outer(acc, a, 0, 1, b, 0)
    tile_store(sink, start, VECTORS * lane_count(a), acc)


@jit(parallel=True)
def fma_chains(a, b, sink, steps, threads):
    """`steps` rounds of CHAINS vector fused multiply-adds on each thread; operands stay in registers or L1."""
    if threads == 1:
        _chains(a, b, sink, 0, steps)
    else:
        before, home = enter(threads)
        for thread in prange(threads):
            arrive(home)
            _chains(a, b, sink, thread * CHAINS * lane_count(a), steps)
        leave(before)


@jit
def _copy(source, target, start, stop):
    lanes = lane_count(source)
    first = min(start + until_aligned(target, start), stop)
    whole = stop - (stop - first) % lanes
    for i in range(start, first):
        target[i] = source[i]
    for i in range(first, whole, lanes):  # past the caches: a plain store would read the line that it overwrites
        store_streaming(target, i, load(source, i))
    for i in range(whole, stop):
        target[i] = source[i]
    streaming_done()


@jit(parallel=True)
def copy(source, target, threads):
    """``target[:] = source``, a contiguous share for each thread."""
    if threads == 1:
        _copy(source, target, 0, source.size)
    else:
        before, home = enter(threads)
        for number in prange(threads):
            arrive(home)
            thread = np.int64(number)
            _copy(source, target, thread * source.size // threads, (thread + 1) * source.size // threads)
        leave(before)
