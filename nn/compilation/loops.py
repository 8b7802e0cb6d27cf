"""Arithmetic of arrays of one shape for compiled steps, called by address as the kernels are: Numba would compile its
own loops anew for each line, in a second each, and they take twice as long to run."""

import numpy as np

from kernels._elementwise import binary
from kernels._jit import jit
from kernels._njit import by_address
from kernels._njit_loops import runner


@jit(inline=True)
def _sum_lanes(a, b):
    return a + b


@jit(inline=True)
def _product_lanes(a, b):
    return a * b


_run_sum = runner(__name__, "loops of sums", binary(_sum_lanes))
_run_product = runner(__name__, "loops of products", binary(_product_lanes))


@jit
def _add(a, b):
    total = np.empty(a.shape, a.dtype)
    _run_sum((a.reshape(-1), b.reshape(-1)), total.reshape(-1), ())
    return total


@jit
def _add_rows(a, b):
    """The sum of arrays of which the second is as the last dimensions of the first."""
    total = np.empty(a.shape, a.dtype)
    rows, sums, row = a.reshape((-1, b.size)), total.reshape((-1, b.size)), b.reshape(-1)
    for i in range(rows.shape[0]):
        _run_sum((rows[i], row), sums[i], ())
    return total


@jit
def _add_to(total, a):
    _run_sum((total.reshape(-1), a.reshape(-1)), total.reshape(-1), ())


@jit
def _multiply(a, b):
    product = np.empty(a.shape, a.dtype)
    _run_product((a.reshape(-1), b.reshape(-1)), product.reshape(-1), ())
    return product


@jit(fastmath=False)
def _dropout_factors(rng, shape, p, x):
    """What dropout multiplies elements by: 0 with probability p, else 1 / (1 - p)."""
    draws, factors = rng.random(shape, np.float32), np.zeros(shape, x.dtype)
    flat, out, scale = draws.reshape(-1), factors.reshape(-1), x.dtype.type(1)
    if p < 1:
        scale = x.dtype.type(1) / x.dtype.type(1 - p)
    for i in range(flat.size):
        if flat[i] >= p:
            out[i] = scale
    return factors


add, add_rows, add_to = by_address(_add, "add"), by_address(_add_rows, "add_rows"), by_address(_add_to, "add_to")
multiply = by_address(_multiply, "multiply")
dropout_factors = by_address(_dropout_factors, "dropout_factors")
