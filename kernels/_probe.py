"""The two loops that `machine` measures its limits with."""

from numba import prange

from kernels._jit import jit
from kernels._threads import enter, leave
from kernels.simd import lane_count, load, store, tile_outer, tile_store, tile_zeros

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
        before = enter(threads)
        for thread in prange(threads):
            _chains(a, b, sink, thread * CHAINS * lane_count(a), steps)
        leave(before)


@jit
def _copy(source, target, start, stop):
    lanes = lane_count(source)
    for i in range(start, stop - lanes + 1, lanes):
        store(target, i, load(source, i))


@jit(parallel=True)
def copy(source, target, threads):
    """``target[:] = source``, by whole vectors, a contiguous share for each thread."""
    if threads == 1:
        _copy(source, target, 0, source.size)
    else:
        before = enter(threads)
        share = source.size // threads
        for thread in prange(threads):
            _copy(source, target, thread * share, (thread + 1) * share)
        leave(before)
