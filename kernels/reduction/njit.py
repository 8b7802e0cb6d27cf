"""The reductions in jitted code."""

from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, output, split, threads_for
from kernels.reduction import exponentials

softmax_loops = by_address(exponentials.softmax_loops, "softmax_loops")


@in_njit(exponentials.softmax)
def _softmax(x, dim):
    x = floats("softmax", "x", x)
    outer, n, inner = split("softmax", x, dim)
    y = output("softmax", "out", None, x.shape, x)
    if x.size:
        softmax_loops(outer, n, inner, threads_for(x.size, 0), x.reshape(-1), y.reshape(-1))
    return y
