"""Loops over a contiguous range of an array: the parts that reductions and losses are made of."""

import numpy as np
from numba import types
from numba.extending import overload

from kernels import machine
from kernels._jit import jit
from kernels._plain import DISABLED, only_compiled
from kernels.simd import flat, lane_count, load, load_partial, splat, store, store_partial, sum_lanes
from kernels.simd.stream import store_streaming
from kernels.simd.wide import WIDE, load_wide, splat_wide, sum_registers, wide_count

# Elements summed in the array's own dtype before they enter a float64 total. A lane of a float32 accumulator adds up 8
# of them (a SPAN is 8 wide vectors), and a lane of the block's total 8 such sums, so a float32 sum of any length is as
# good as a pairwise one. Adding up the lanes takes as long as a span; once a block, that hardly counts.
SPAN = 8 * WIDE * machine.lanes(np.float32)
BLOCK = 8 * SPAN
SMALLER = 2.0**-32  # so much smaller, no block of finite terms overflows


def read(x, i, count, fill):
    """A wide vector if `count` is None; else one vector, of which only `count` lanes are in the range. In plain Python,
    the element."""
    return x[i]


@overload(read, jit_options={"forceinline": True})
def _choose_read(x, i, count, fill):
    if isinstance(count, types.NoneType):
        return lambda x, i, count, fill: load_wide(x, i)
    return lambda x, i, count, fill: load(x, i) if count >= lane_count(x) else load_partial(x, i, count, fill)


def write(x, i, count, vector):
    """Store what `read` with the same `count` has read."""
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


def write_past(x, i, count, vector):
    """`write` past the caches: to an aligned address, and whole vectors only; `streaming_done` must follow."""
    raise only_compiled("write_past")


@overload(write_past, jit_options={"forceinline": True})
def _choose_write_past(x, i, count, vector):
    return lambda x, i, count, vector: store_streaming(x, i, vector)


def over_range(body):
    """Jitted ``loop(like, start, stop, *arguments)`` that calls ``body(i, count, *arguments)`` for the wide vectors
    of a range (count is None) and then for the vectors that are left. In plain Python it takes element by element.
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


def sum_of(term, fill=0.0):
    """Jitted ``total(x, z, p, start, stop)``: the float64 sum of ``term(x[i], z[i], p)`` over ``start <= i < stop``.

    `term` takes vectors; with x = fill and z = 0 it must be 0, for that is what pads the last vector. A block whose sum
    overflows, though no term does, is summed again on a smaller scale.
    """

    @jit(inline=True)
    def block(x, z, p, start, stop, factor):
        lanes, step = lane_count(x), wide_count(x)
        whole = start + (stop - start) // step * step
        total = splat(x, 0.0)
        for first in range(start, whole, SPAN):
            accumulators = splat_wide(x, 0.0)
            for i in range(first, min(first + SPAN, whole), step):
                accumulators = accumulators + term(load_wide(x, i), load_wide(z, i), p) * factor
            total = total + sum_registers(accumulators)
        for i in range(whole, stop, lanes):
            total = total + term(read(x, i, stop - i, fill), read(z, i, stop - i, 0.0), p) * factor
        return sum_lanes(total)

    @jit(inline=True)
    def total(x, z, p, start, stop):
        first, second = flat(x), flat(z)
        sum_of_blocks = 0.0
        for i in range(start, stop, BLOCK):
            more = np.float64(block(first, second, p, i, min(i + BLOCK, stop), 1.0))
            if not np.isfinite(more):
                more = block(first, second, p, i, min(i + BLOCK, stop), SMALLER) / SMALLER
            sum_of_blocks += more
        return sum_of_blocks

    return total
