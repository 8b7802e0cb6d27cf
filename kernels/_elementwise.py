"""Loops over elements: out[i] = formula(x[i], ...) and out[i] = formula(dy[i], saved[i], ...), as vectors.

A family writes its formulas on vectors; `unary` and `binary` make the loops around them, `forward` and `backward` put
the checks and the choice of threads before them. Up to two scalar parameters follow the vectors.

Every element goes through the same instructions wherever it lies, the last few in a masked vector, so the bits do not
depend on how the loop is divided.
"""

from functools import partial

import numpy as np
from numba import prange, typeof
from numpy import empty, ndarray

from kernels import _threads
from kernels._checks import FLOAT32, FLOAT64, floats, output, same_dtype, same_shape
from kernels._jit import jit
from kernels._threads import enter, leave
from kernels.machine import cache_bytes
from kernels.simd import store, store_partial
from kernels.simd.stream import load_wide_partial, store_streaming, streaming_done, until_aligned
from kernels.simd.wide import load_wide, wide_count

# The cheapest loop takes about 8 us for these many elements, three times what entering a parallel region costs.
PARALLEL_FROM = 2**15
# Elements of one part of a parallel loop: long against its call, short enough that the parts divide evenly.
BLOCK = 2**13


class Loops:
    """A formula's loops over flat arrays.

    ``serial(x, out, *parameters)`` or ``serial(dy, saved, out, *parameters)`` can be called from jitted code, too;
    ``large((x,) or (dy, saved), out, parameters, streaming, threads)`` is for large arrays.

    ``float32`` and ``float64`` are what `serial` calls for arrays of that dtype. Numba searches for it on each call,
    which takes about as long as the loop over 1,000 elements; here it is found once.
    """

    __slots__ = ("serial", "large", "float32", "float64")

    def __init__(self, serial, large):
        self.serial, self.large = serial, large
        self.float32, self.float64 = partial(self._first_call, "float32"), partial(self._first_call, "float64")

    def _first_call(self, dtype, *arguments):
        compiled = self.serial.compile(tuple(typeof(argument) for argument in arguments))
        setattr(self, dtype, compiled)
        compiled(*arguments)


def unary(formula, parameters: int = 0) -> Loops:
    """Loops of ``out[i] = formula(x[i], *parameters)``."""
    span, large = _loops(formula, _load_one, _load_one_partial)

    @jit
    def plain(x, out):
        span((x,), out, 0, out.size, (), False)

    @jit
    def with_one(x, out, p):
        span((x,), out, 0, out.size, (p,), False)

    @jit
    def with_two(x, out, p, q):
        span((x,), out, 0, out.size, (p, q), False)

    return Loops((plain, with_one, with_two)[parameters], large)


def binary(formula, parameters: int = 0) -> Loops:
    """Loops of ``out[i] = formula(dy[i], saved[i], *parameters)``."""
    span, large = _loops(formula, _load_two, _load_two_partial)

    @jit
    def plain(dy, saved, out):
        span((dy, saved), out, 0, out.size, (), False)

    @jit
    def with_one(dy, saved, out, p):
        span((dy, saved), out, 0, out.size, (p,), False)

    @jit
    def with_two(dy, saved, out, p, q):
        span((dy, saved), out, 0, out.size, (p, q), False)

    return Loops((plain, with_one, with_two)[parameters], large)


def _loops(formula, load, load_partial):
    """``out[i] = formula(*sources[i], *parameters)`` from `start` to `stop`, and over all on several threads."""

    @jit
    def span(sources, out, start, stop, parameters, streaming):
        i, step = start, wide_count(out)
        while i + step <= stop:
            y = formula(*(load(sources, i) + parameters))
            if streaming:
                store_streaming(out, i, y)
            else:
                store(out, i, y)
            i += step
        if i < stop:
            store_partial(out, i, stop - i, formula(*(load_partial(sources, i, stop - i) + parameters)))
        if streaming:
            streaming_done()

    @jit(parallel=True)
    def large(sources, out, parameters, streaming, threads):
        # what is streamed starts at an aligned address; the few elements before it come first
        first = min(until_aligned(out, 0), out.size) if streaming else 0
        if first > 0:
            span(sources, out, 0, first, parameters, False)
        if threads == 1:
            span(sources, out, first, out.size, parameters, streaming)
        else:
            before = enter(threads)
            for part in prange((out.size - first + BLOCK - 1) // BLOCK):
                start = first + part * BLOCK
                span(sources, out, start, min(start + BLOCK, out.size), parameters, streaming)
            leave(before)

    return span, large


@jit(inline=True)
def _load_one(sources, i):
    return (load_wide(sources[0], i),)


@jit(inline=True)
def _load_one_partial(sources, i, count):
    return (load_wide_partial(sources[0], i, count, 0.0),)


@jit(inline=True)
def _load_two(sources, i):
    return load_wide(sources[0], i), load_wide(sources[1], i)


@jit(inline=True)
def _load_two_partial(sources, i, count):
    return load_wide_partial(sources[0], i, count, 0.0), load_wide_partial(sources[1], i, count, 0.0)


def forward(operation: str, loops: Loops, x, out, *parameters) -> ndarray:
    """Run `unary` loops on `x`, into `out` or a new array; `out` may be `x` itself."""
    x = floats(operation, "x", x)
    dtype, shape = x.dtype, x.shape
    if out is None:
        out = empty(shape, dtype)
    else:
        output(operation, out, shape, dtype)
        same_or_apart(operation, out, x=x)
    if len(shape) != 1 or shape[0] >= PARALLEL_FROM:
        run(loops, x, out, parameters=parameters)
        return out
    loop = loops.float32 if dtype is FLOAT32 else loops.float64 if dtype is FLOAT64 else loops.serial
    if parameters:
        loop(x, out, *parameters)
    else:  # unpacking no parameters would take a tenth of a short call
        loop(x, out)
    return out


def backward(operation: str, loops: Loops, dy, name: str, saved, *parameters) -> ndarray:
    """Run `binary` loops on `dy` and the array `saved`, which the user knows as `name`."""
    dy, saved = pair(operation, dy, name, saved)
    dtype, shape = dy.dtype, dy.shape
    dx = empty(shape, dtype)
    if len(shape) != 1 or shape[0] >= PARALLEL_FROM:
        run(loops, dy, saved, dx, parameters=parameters)
        return dx
    loop = loops.float32 if dtype is FLOAT32 else loops.float64 if dtype is FLOAT64 else loops.serial
    if parameters:
        loop(dy, saved, dx, *parameters)
    else:
        loop(dy, saved, dx)
    return dx


def run(loops: Loops, *arrays: ndarray, parameters: tuple = ()):
    """Run loops on checked arrays of one shape, the last of which receives the result."""
    *sources, out = [array.reshape(-1) for array in arrays]
    if out.size < PARALLEL_FROM:
        loops.serial(*sources, out, *parameters)
    else:
        streaming = len(arrays) * out.nbytes > cache_bytes(3)  # no cache could keep the result until it is read
        loops.large(tuple(sources), out, parameters, streaming, _threads.get_num_threads())


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
