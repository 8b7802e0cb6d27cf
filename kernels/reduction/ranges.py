"""Loops over a contiguous range of an array, that reductions, losses and normalisations are built from."""

import numpy as np
from numba import types
from numba.extending import overload

from kernels import machine
from kernels._jit import jit
from kernels._plain import DISABLED, only_compiled
from kernels.simd import flat, fma, lane_count, load, load_partial, prefetch, splat, store, store_partial, sum_lanes
from kernels.simd.stream import store_streaming
from kernels.simd.wide import WIDE, load_wide, splat_wide, sum_registers, wide_count

# BLOCK: elements summed in the array's own dtype before they enter a float64 total. A lane of a float32 accumulator
# adds up 8 of them (a CHAIN is 8 wide vectors), and a lane of the block's total 8 such sums, so a float32 sum of any
# length is as accurate as a pairwise one. Adding up the lanes takes as long as a chain; once a block, it is negligible.
CHAIN = 8 * WIDE * machine.lanes(np.float32)
BLOCK = 8 * CHAIN
# Prefetch distance, in elements: what a core loads during one latency of the last cache. (The sum across lanes between
# two rows fills the reorder buffer, so that the next row's loads start late.)
AHEAD = 2048
SCALE = 2.0**-32  # scaled by this, the sum of a block of finite terms does not overflow


def read(x, i, count, fill):
    """A wide vector if `count` is None; else one vector, whose lanes from `count` on hold `fill`. In plain Python, the
    element."""
    return x[i]


@overload(read, jit_options={"forceinline": True})
def _choose_read(x, i, count, fill):
    if isinstance(count, types.NoneType):
        return lambda x, i, count, fill: load_wide(x, i)
    return lambda x, i, count, fill: load(x, i) if count >= lane_count(x) else load_partial(x, i, count, fill)


def prefetch_range(x, i, count):
    """Prefetch what `read` with the same `count` would read, into L1; a hint, valid for any `i`."""


@overload(prefetch_range, jit_options={"forceinline": True})
def _choose_prefetch(x, i, count):
    def prefetch_wide(x, i, count):
        for j in range(i, i + wide_count(x), lane_count(x)):
            prefetch(x, j)

    return prefetch_wide if isinstance(count, types.NoneType) else lambda x, i, count: prefetch(x, i)


def write(x, i, count, vector):
    """Store a vector of the length that `read` with the same `count` returns."""
    x[i] = vector


@overload(write, jit_options={"forceinline": True})
def _choose_write(x, i, count, vector):
    def write_wide(x, i, count, vector):
        store(x, i, vector)

    def write_lanes(x, i, count, vector):
        if count >= lane_count(x):
            store(x, i, vector)
        else:
            store_partial(x, i, count, vector)

    return write_wide if isinstance(count, types.NoneType) else write_lanes


def write_streaming(x, i, count, vector):
    """`write` by non-temporal stores: to an aligned address, and whole vectors only; `streaming_done` must follow."""
    raise only_compiled("write_streaming")


@overload(write_streaming, jit_options={"forceinline": True})
def _choose_write_streaming(x, i, count, vector):
    return lambda x, i, count, vector: store_streaming(x, i, vector)


def over_range(body):
    """Jitted ``loop(like, start, stop, *arguments)`` that calls ``body(i, count, *arguments)`` for the wide vectors
    of a range (count is None), then for the remaining vectors. In plain Python it calls it for each element.
    """
    if DISABLED:
        return lambda like, start, stop, *arguments: [body(i, 1, *arguments) for i in range(start, stop)] and None

    @jit(inline=True)
    def loop(like, start, stop, *arguments):
        lanes, step = lane_count(like), wide_count(like)
        whole = start + (stop - start) // step * step
        for i in range(start, whole, step):
            body(i, None, *arguments)
        for i in range(whole, stop, lanes):
            body(i, stop - i, *arguments)

    return loop


@jit(inline=True)
def _added(total, terms):
    return total + terms


@jit(inline=True)
def _added_scaled(total, terms):
    """``total + SCALE * terms``, fused: LLVM would take a factor of several terms out of their sum."""
    return fma(terms, SCALE, total)


def sum_of(term, fill=0.0, ahead=0):
    """Jitted ``total(x, z, p, start, stop)``: the float64 sum of ``term(x[i], z[i], p)`` over ``start <= i < stop``.

    `term` takes vectors; with x = fill and z = 0, which pad the last vector, it must be 0. A block whose sum overflows
    although no term does is summed again, scaled down. `ahead` is the prefetch distance in x, in elements.
    """

    block, scaled_block = _block_of(term, fill, ahead, _added), _block_of(term, fill, ahead, _added_scaled)

    @jit(inline=True)
    def total(x, z, p, start, stop):
        first, second = flat(x), flat(z)
        sum_of_blocks = 0.0
        for i in range(start, stop, BLOCK):
            more = np.float64(block(first, second, p, i, min(i + BLOCK, stop)))
            if not np.isfinite(more):
                more = scaled_block(first, second, p, i, min(i + BLOCK, stop)) / SCALE
            sum_of_blocks += more
        return sum_of_blocks

    return total


def _block_of(term, fill, ahead, added):
    """Jitted ``block(x, z, p, start, stop)``: the sum of a block of terms, in the dtype of x, as `added` adds them."""
    lanes_of = lanes_of_block(term, fill, ahead, added)

    @jit(inline=True)
    def block(x, z, p, start, stop):
        return sum_lanes(lanes_of(x, z, p, start, stop))

    return block


def lanes_of_block(term, fill, ahead, added=_added):
    """Jitted function of the same arguments: the sum of a block as a vector, whose lanes are still to be added up."""

    @jit(inline=True)
    def chain(x, z, p, first, steps):
        """The sum of some wide vectors' terms; whole chains have a constant number of them, and no loop."""
        accumulators = splat_wide(x, 0.0)
        for step in range(steps):
            i = first + step * wide_count(x)
            if ahead:
                prefetch_range(x, i + ahead, None)
            accumulators = added(accumulators, term(load_wide(x, i), load_wide(z, i), p))
        return sum_registers(accumulators)

    @jit(inline=True)
    def lanes_of(x, z, p, start, stop):
        lanes, step = lane_count(x), wide_count(x)
        chained = start + (stop - start) // CHAIN * CHAIN
        whole = start + (stop - start) // step * step
        total = splat(x, 0.0)
        for first in range(start, chained, CHAIN):
            total = total + chain(x, z, p, first, CHAIN // step)
        if whole > chained:
            total = total + chain(x, z, p, chained, (whole - chained) // step)
        for i in range(whole, stop, lanes):
            total = added(total, term(read(x, i, stop - i, fill), read(z, i, stop - i, 0.0), p))
        return total

    return lanes_of
