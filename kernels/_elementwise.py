"""Loops over elements: out[i] = formula(x[i], ...) and out[i] = formula(dy[i], saved[i], ...), as vectors.

A family defines its formulas on vectors; `unary` and `binary` make the loops around them, `forward` and `backward` add
validation and the choice of the number of threads. Up to two scalar parameters follow the vectors.

Every element is computed by the same instructions wherever it lies, the last few in a masked vector, so the bits do not
depend on how the loop is divided.
"""

import numpy as np
from numba import float64
from numba.types import Array
from numpy import empty, ndarray

from kernels._checks import FLOAT32, FLOAT64, floats, new, output, same_dtype, same_shape
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import PARALLEL_ELEMENTS, threads_for
from kernels.machine import cache_bytes
from kernels.simd import address, flat, shifted, store, store_partial
from kernels.simd.stream import load_wide_partial, store_streaming, streaming_done, until_aligned
from kernels.simd.wide import load_wide, wide_count

# Elements of a task: enough to outweigh its call, few enough that the tasks divide evenly among threads.
BLOCK = 2**13
# Numba compiles a callee again for each literal argument; these are plain values to it.
ZERO, NO = np.int64(0), np.bool_(False)


class Loops:
    """A formula's loops over flat arrays.

    ``serial(x, out, *parameters)`` or ``serial(dy, saved, out, *parameters)`` can be called from jitted code, too. It
    returns whether it could: False, and nothing is done, where an input is not aligned or not contiguous.
    ``large((x,) or (dy, saved), out, parameters, streaming, threads)`` is for large arrays, and ``compiled[dtype]`` is
    `serial` as Python calls it.
    """

    __slots__ = ("serial", "large", "compiled", "parameters")

    def __init__(self, serial, large, sources, parameters):
        self.serial, self.large, self.parameters = serial, large, parameters
        self.compiled = Compiled(
            serial, lambda kind: (Array(kind, 1, "A"),) * sources + (kind[::1],) + (float64,) * parameters
        )


def unary(formula, parameters: int = 0) -> Loops:
    """Loops of ``out[i] = formula(x[i], *parameters)``."""
    loop, large = _loops(formula, _flat_one, _shifted_one, _load_one, _load_one_partial)

    @jit
    def without(x, out):
        return _is_contiguous(x) and loop(ZERO, out.size, (flat(x),), flat(out), (), NO)

    @jit
    def with_one(x, out, p):
        return _is_contiguous(x) and loop(ZERO, out.size, (flat(x),), flat(out), (p,), NO)

    @jit
    def with_two(x, out, p, q):
        return _is_contiguous(x) and loop(ZERO, out.size, (flat(x),), flat(out), (p, q), NO)

    return Loops((without, with_one, with_two)[parameters], large, 1, parameters)


def binary(formula, parameters: int = 0) -> Loops:
    """Loops of ``out[i] = formula(dy[i], saved[i], *parameters)``."""
    loop, large = _loops(formula, _flat_two, _shifted_two, _load_two, _load_two_partial)

    @jit
    def without(dy, saved, out):
        return _are_contiguous(dy, saved) and loop(ZERO, out.size, (flat(dy), flat(saved)), flat(out), (), NO)

    @jit
    def with_one(dy, saved, out, p):
        return _are_contiguous(dy, saved) and loop(ZERO, out.size, (flat(dy), flat(saved)), flat(out), (p,), NO)

    @jit
    def with_two(dy, saved, out, p, q):
        return _are_contiguous(dy, saved) and loop(ZERO, out.size, (flat(dy), flat(saved)), flat(out), (p, q), NO)

    return Loops((without, with_one, with_two)[parameters], large, 2, parameters)


@jit(inline=True)
def _is_contiguous(x):
    return (x.size < 2 or x.strides[0] == x.itemsize) and address(x) % x.itemsize == 0


@jit(inline=True)
def _are_contiguous(x, y):
    return _is_contiguous(x) and _is_contiguous(y)


def _loops(formula, flatten, shift, load, load_partial):
    """Jitted loops of ``out[i] = formula(*sources[i], *parameters)``: from `start` to `stop`, and for large arrays."""

    @jit
    def loop(start, stop, sources, out, parameters, streaming):
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
        return True

    @jit
    def large(sources, out, parameters, streaming, threads):
        # streaming stores need aligned addresses: the few elements before the first one are stored normally
        first = min(until_aligned(out, 0), out.size) if streaming else 0
        if first > 0:
            loop(ZERO, first, flatten(sources), flat(out), parameters, NO)
        memory, target = shift(flatten(sources), first), shifted(flat(out), first)
        parallel_for(loop, out.size - first, BLOCK, threads, (memory, target, parameters, streaming))

    return loop, large


@jit(inline=True)
def _flat_one(sources):
    return (flat(sources[0]),)


@jit(inline=True)
def _flat_two(sources):
    return flat(sources[0]), flat(sources[1])


@jit(inline=True)
def _shifted_one(sources, first):
    return (shifted(sources[0], first),)


@jit(inline=True)
def _shifted_two(sources, first):
    return shifted(sources[0], first), shifted(sources[1], first)


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
    if out is None and x.__class__ is ndarray and not parameters:
        # fast path for short contiguous vectors; anything else falls through
        shape, dtype = x.shape, x.dtype
        compiled = loops.compiled.get(dtype)
        if compiled is not None and len(shape) == 1 and shape[0] < PARALLEL_ELEMENTS:
            out = empty(shape, dtype)
            if compiled(x, out):
                return out
            out = None
    x = floats(operation, "x", x)
    if out is None:
        out = new(x.shape, x.dtype)
    else:
        output(operation, out, x.shape, x.dtype)
        same_or_apart(operation, out, x=x)
    run(loops, x, out, parameters=parameters)
    return out


def backward(operation: str, loops: Loops, dy, name: str, saved, *parameters) -> ndarray:
    """Run `binary` loops on `dy` and the array `saved`, which errors call `name`."""
    dy, saved = pair(operation, dy, name, saved)
    dx = new(dy.shape, dy.dtype)
    run(loops, dy, saved, dx, parameters=parameters)
    return dx


def run(loops: Loops, *arrays: ndarray, parameters: tuple = ()):
    """Run loops on validated arrays of one shape, the last of which receives the result."""
    *sources, out = arrays if arrays[-1].ndim == 1 else [array.reshape(-1) for array in arrays]
    if out.size < PARALLEL_ELEMENTS:
        loops.compiled[FLOAT32 if out.dtype == FLOAT32 else FLOAT64](*sources, out, *parameters)
    else:
        streaming = len(arrays) * out.nbytes > cache_bytes(3)  # the result would not stay in any cache until it is read
        loops.large(tuple(sources), out, parameters, streaming, threads_for(out.size))


def pair(operation: str, dy, name: str, saved) -> tuple[ndarray, ndarray]:
    """Validate and return the gradient and the array `name`, which must match in shape and dtype."""
    dy, saved = floats(operation, "dy", dy), floats(operation, name, saved)
    if dy.shape != saved.shape or dy.dtype is not saved.dtype:
        same_dtype(operation, **{"dy": dy, name: saved})
        same_shape(operation, **{"dy": dy, name: saved})
    return dy, saved


def same_or_apart(operation: str, out: ndarray, **inputs: ndarray):
    """ValueError where `out` overlaps an input without being the same memory: a loop would read what it wrote."""
    for name, array in inputs.items():
        if np.may_share_memory(out, array) and out.ctypes.data != array.ctypes.data:
            raise ValueError(f"{operation}: out overlaps {name} without being the same memory")
