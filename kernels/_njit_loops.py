"""Loops that the entries of several families call by address: over elements, products of matrices, sums of columns."""

import numpy as np

from kernels._jit import jit
from kernels._njit import Callee, by_address
from kernels._njit_sizes import threads_for
from kernels._threads import PARALLEL_ELEMENTS
from kernels.gemm import driver
from kernels.machine import cache_bytes
from kernels.reduction import axis_sums

L3 = cache_bytes(3)

serial = by_address(driver._compiled_serial, "multiply_serial")
parallel = by_address(driver._compiled_parallel, "multiply_parallel")
sum_axis = by_address(axis_sums.sum_axis)


def runner(home, name, loops):
    """Jitted ``run(sources, out, parameters)``, what `_elementwise.run` does, for flat arrays; `sources` is a tuple.

    `home` is the module that asks for it, in which `name` must be unique.
    """
    serial = Callee(home, f"{name} serial", loops.compiled.function, loops.compiled.types)
    large = Callee(home, f"{name} large", loops.large)

    @jit
    def run(sources, out, parameters):
        if out.size < PARALLEL_ELEMENTS:
            serial(*sources, out, *parameters)
        else:
            streaming = (len(sources) + 1) * out.size * out.itemsize > L3
            large(sources, out, parameters, streaming, threads_for(out.size, 0))

    return run


@jit
def product(a, b, bias, mode, out):
    """`driver.product`"""
    if threads_for(0, out.size * a.shape[1]) == 1:
        serial(a, b, bias, mode, out)
    else:
        number = np.zeros(1, np.int64)
        matrices = out.reshape((1, out.shape[0], out.shape[1]))
        products(np.expand_dims(a, 0), number, np.expand_dims(b, 0), number, bias, mode, matrices)


@jit
def products(a, numbers_a, b, numbers_b, bias, mode, out):
    """`driver.products`"""
    threads = threads_for(0, out.size * a.shape[2])
    parallel(a, numbers_a, b, numbers_b, bias, mode, out, threads)


@jit
def column_sums(x):
    """``sum(x, 0)`` of a C-contiguous matrix."""
    totals = np.empty(x.shape[1], x.dtype)
    sum_axis(x.reshape(-1), totals, 1, x.shape[0], x.shape[1], 1.0, threads_for(x.size, 0))
    return totals
