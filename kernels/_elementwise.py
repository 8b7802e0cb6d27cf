"""Loops over elements: out[i] = formula(x[i], ...) and out[i] = formula(dy[i], saved[i], ...), as vectors.

A family writes its formulas on vectors; `unary` and `binary` make the loops around them, `forward` and `backward` put
the checks and the choice of threads before them. Up to two scalar parameters follow the vectors.

Every element goes through the same instructions wherever it lies, the last few in a masked vector, so the bits do not
depend on how the loop is divided.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy import ndarray

from kernels import _threads
from kernels._checks import floats, output, same_dtype, same_shape
from kernels._jit import jit
from kernels._threads import enter, leave
from kernels.simd import lane_count, load, load_partial, store, store_partial

# The cheapest loop takes about 8 us for these many elements, three times what entering a parallel region costs.
PARALLEL_FROM = 2**15
# Elements of one part of a parallel loop: long against its call, short enough that the parts divide evenly.
BLOCK = 2**13


class Loops(NamedTuple):
    """A formula's loops over flat arrays.

    ``serial(x, out, *parameters)`` or ``serial(dy, saved, out, *parameters)`` can be called from jitted code, too;
    ``parallel`` takes the same arrays, then the tuple of parameters and the number of threads.
    """

    serial: Callable
    parallel: Callable


def unary(formula, parameters: int = 0) -> Loops:
    """Loops of ``out[i] = formula(x[i], *parameters)``."""

    @jit(inline=True)
    def span(x, out, start, stop, parameters):
        lanes = lane_count(x)
        whole = stop - (stop - start) % lanes
        for i in range(start, whole, lanes):
            store(out, i, formula(load(x, i), *parameters))
        if whole < stop:
            rest = stop - whole
            store_partial(out, whole, rest, formula(load_partial(x, whole, rest, 0.0), *parameters))

    @jit(parallel=True)
    def parallel(x, out, parameters, threads):
        before = enter(threads)
        for part in prange((x.size + BLOCK - 1) // BLOCK):
            span(x, out, part * BLOCK, min(part * BLOCK + BLOCK, x.size), parameters)
        leave(before)

    @jit
    def plain(x, out):
        span(x, out, 0, x.size, ())

    @jit
    def with_one(x, out, p):
        span(x, out, 0, x.size, (p,))

    @jit
    def with_two(x, out, p, q):
        span(x, out, 0, x.size, (p, q))

    return Loops((plain, with_one, with_two)[parameters], parallel)


def binary(formula, parameters: int = 0) -> Loops:
    """Loops of ``out[i] = formula(dy[i], saved[i], *parameters)``."""

    @jit(inline=True)
    def span(dy, saved, out, start, stop, parameters):
        lanes = lane_count(dy)
        whole = stop - (stop - start) % lanes
        for i in range(start, whole, lanes):
            store(out, i, formula(load(dy, i), load(saved, i), *parameters))
        if whole < stop:
            rest = stop - whole
            left, right = load_partial(dy, whole, rest, 0.0), load_partial(saved, whole, rest, 0.0)
            store_partial(out, whole, rest, formula(left, right, *parameters))

    @jit(parallel=True)
    def parallel(dy, saved, out, parameters, threads):
        before = enter(threads)
        for part in prange((dy.size + BLOCK - 1) // BLOCK):
            span(dy, saved, out, part * BLOCK, min(part * BLOCK + BLOCK, dy.size), parameters)
        leave(before)

    @jit
    def plain(dy, saved, out):
        span(dy, saved, out, 0, dy.size, ())

    @jit
    def with_one(dy, saved, out, p):
        span(dy, saved, out, 0, dy.size, (p,))

    @jit
    def with_two(dy, saved, out, p, q):
        span(dy, saved, out, 0, dy.size, (p, q))

    return Loops((plain, with_one, with_two)[parameters], parallel)


def forward(operation: str, loops: Loops, x, out, *parameters) -> ndarray:
    """Run `unary` loops on `x`, into `out` or a new array; `out` may be `x` itself."""
    x = floats(operation, "x", x)
    if out is None:
        out = ndarray(x.shape, x.dtype)
    else:
        output(operation, out, x.shape, x.dtype)
        same_or_apart(operation, out, x=x)
    if x.ndim == 1 and x.size < PARALLEL_FROM:
        loops.serial(x, out, *parameters)
    else:
        run(loops, x, out, parameters=parameters)
    return out


def backward(operation: str, loops: Loops, dy, name: str, saved, *parameters) -> ndarray:
    """Run `binary` loops on `dy` and the array `saved`, which the user knows as `name`."""
    dy, saved = pair(operation, dy, name, saved)
    dx = ndarray(dy.shape, dy.dtype)
    if dy.ndim == 1 and dy.size < PARALLEL_FROM:
        loops.serial(dy, saved, dx, *parameters)
    else:
        run(loops, dy, saved, dx, parameters=parameters)
    return dx


def run(loops: Loops, *arrays: ndarray, parameters: tuple = ()):
    """Run loops on checked arrays of one shape, the last of which receives the result."""
    arrays = [array.reshape(-1) for array in arrays]
    threads = _threads.get_num_threads()
    if threads == 1 or arrays[0].size < PARALLEL_FROM:
        loops.serial(*arrays, *parameters)
    else:
        loops.parallel(*arrays, parameters, threads)


def pair(operation: str, dy, name: str, saved) -> tuple[ndarray, ndarray]:
    """The gradient and the array `name` as kernels take them, once they are seen to match."""
    dy, saved = floats(operation, "dy", dy), floats(operation, name, saved)
    if dy.shape != saved.shape or dy.dtype is not saved.dtype:
        same_dtype(operation, **{"dy": dy, name: saved})
        same_shape(operation, **{"dy": dy, name: saved})
    return dy, saved


def same_or_apart(operation: str, out: ndarray, **inputs: ndarray):
    """ValueError where `out` overlaps an input without being that very memory: a loop would read what it wrote."""
    for name, array in inputs.items():
        if np.may_share_memory(out, array) and out.ctypes.data != array.ctypes.data:
            raise ValueError(f"{operation}: out overlaps {name} without being the same memory")
