"""Arithmetic of arrays of one shape for compiled steps, called by address as the kernels are: Numba would compile its
own loops anew for each line, in a second each, and they take twice as long to run."""

import numpy as np

from kernels._elementwise import binary
from kernels._jit import _Cache, cache_folder, jit
from kernels._njit import Callee
from kernels._njit_loops import runner


class Kept(Callee):
    """A callee of this package, whose compiled code is kept where that of the kernels is. The key there covers the code
    of a function and of all that it captures, but not what it reads from its module."""

    def compiled(self, kinds):
        keep(self.dispatcher)
        return super().compiled(kinds)


def keep(dispatcher):
    """Keep the compiled code of a jitted function on disk."""
    if not isinstance(getattr(dispatcher, "_cache", None), _Cache) and cache_folder() is not None:
        dispatcher._cache = _Cache(dispatcher.py_func, "kept")


@jit(inline=True)
def _sum_lanes(a, b):
    return a + b


@jit(inline=True)
def _product_lanes(a, b):
    return a * b


def _elementwise(name, lanes):
    """Functions of two arrays of one shape: the result as a new array, written to the first, and of each row of the
    first with the second."""
    run = runner(__name__, f"loops of {name}", binary(lanes))

    @jit
    def new(a, b):
        result = np.empty(a.shape, a.dtype)
        run((a.reshape(-1), b.reshape(-1)), result.reshape(-1), ())
        return result

    @jit
    def into(a, b):
        run((a.reshape(-1), b.reshape(-1)), a.reshape(-1), ())

    @jit
    def of_rows(a, b):
        result = np.empty(a.shape, a.dtype)
        rows, results, row = a.reshape((-1, b.size)), result.reshape((-1, b.size)), b.reshape(-1)
        for i in range(rows.shape[0]):
            run((rows[i], row), results[i], ())
        return result

    return new, into, of_rows


_add, _add_to, _add_rows = _elementwise("sums", _sum_lanes)
_multiply = _elementwise("products", _product_lanes)[0]


@jit
def _transpose(x, order):
    return x.transpose(order)


@jit
def _contiguous(x):
    return np.ascontiguousarray(x)


@jit
def _concatenate(parts, dim):
    return np.concatenate(parts, dim)


@jit
def _placed(x, shape, starts, steps):
    """Zeros of a shape, but for x at every `steps`-th element from `starts` on."""
    whole = np.zeros(shape, x.dtype)
    flat, last = whole.reshape(-1), x.ndim - 1
    for row in np.ndindex(x.shape[:-1]):
        begin = 0
        for d in range(last):
            begin = begin * shape[d] + starts[d] + row[d] * steps[d]
        begin = begin * shape[last] + starts[last]
        for i in range(x.shape[last]):
            flat[begin + i * steps[last]] = x[row + (i,)]
    return whole


@jit
def _taken(whole, shape, starts, steps):
    """Every `steps`-th element from `starts` on, in a shape: what `_placed` puts into zeros."""
    x = np.empty(shape, whole.dtype)
    flat, last = np.ascontiguousarray(whole).reshape(-1), x.ndim - 1
    for row in np.ndindex(x.shape[:-1]):
        begin = 0
        for d in range(last):
            begin = begin * whole.shape[d] + starts[d] + row[d] * steps[d]
        begin = begin * whole.shape[last] + starts[last]
        for i in range(x.shape[last]):
            x[row + (i,)] = flat[begin + i * steps[last]]
    return x


@jit(fastmath=False)
def _dropout_factors(rng, shape, p, x):
    """What dropout multiplies the elements of x by: 0 with probability p, else 1 / (1 - p). There is one draw for each
    element of an array of `shape`, whose last dimensions may be 1 where x has more."""
    draws, factors, scale = rng.random(shape, np.float32).reshape(-1), np.zeros(x.shape, x.dtype), x.dtype.type(1)
    if p < 1:
        scale = x.dtype.type(1) / x.dtype.type(1 - p)
    each = factors.size // max(draws.size, 1)
    rows = factors.reshape((draws.size, each))
    for i in range(draws.size):
        if draws[i] >= p:
            rows[i] = scale
    return factors


NAMES = ("add", "add_rows", "add_to", "multiply", "transpose", "contiguous", "concatenate", "placed", "taken")
NAMES = (*NAMES, "dropout_factors")
LOOPS = {name: Kept(__name__, name, globals()[f"_{name}"]) for name in NAMES}
