"""The activations in jitted code."""

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, like, output, same_dtype, same_or_apart, same_shape, threads_for
from kernels._threads import PARALLEL_ELEMENTS
from kernels.activation import rectified
from kernels.machine import cache_bytes

L3 = cache_bytes(3)


def _forward(public, loops):
    """The entry of ``public(x, *parameters, out=None)``."""
    operation, run = public.__name__, _runner(public, loops)

    @jit
    def entry(x, parameters, out):
        x = floats(operation, "x", x)
        result = output(operation, "out", out, x.shape, x)
        same_or_apart(operation, out, "x", x)
        run((x.reshape(-1),), result.reshape(-1), parameters)
        return result

    def without(x, out):
        return entry(x, (), out)

    def with_one(x, p, out):
        return entry(x, (float(p),), out)

    def with_two(x, p, q, out):
        return entry(x, (float(p), float(q)), out)

    in_njit(public)((without, with_one, with_two)[loops.parameters])


def _backward(public, loops, name):
    """The entry of ``public(dy, saved, *parameters)``; errors call the saved array `name`."""
    operation, run = public.__name__, _runner(public, loops)

    @jit
    def entry(dy, saved, parameters):
        dy, given = floats(operation, "dy", dy), floats(operation, name, saved)
        same_dtype(operation, "dy", dy, name, given)
        same_shape(operation, "dy", dy, name, given)
        saved = like(given, dy)
        result = output(operation, "out", None, dy.shape, dy)
        run((dy.reshape(-1), saved.reshape(-1)), result.reshape(-1), parameters)
        return result

    def without(dy, saved):
        return entry(dy, saved, ())

    def with_one(dy, saved, p):
        return entry(dy, saved, (float(p),))

    def with_two(dy, saved, p, q):
        return entry(dy, saved, (float(p), float(q)))

    in_njit(public)((without, with_one, with_two)[loops.parameters])


def _runner(public, loops):
    """What `_elementwise.run` does."""
    serial = by_address(loops.compiled, f"{public.__name__} serial")
    large = by_address(loops.large, f"{public.__name__} large")

    @jit
    def run(sources, result, parameters):
        if result.size < PARALLEL_ELEMENTS:
            serial(*sources, result, *parameters)
        else:
            streaming = (len(sources) + 1) * result.size * result.itemsize > L3
            large(sources, result, parameters, streaming, threads_for(result.size, 0))

    return run


_forward(rectified.relu, rectified._relu)
_backward(rectified.relu_backward, rectified._relu_backward, "y")
_forward(rectified.leaky_relu, rectified._leaky_relu)
_backward(rectified.leaky_relu_backward, rectified._leaky_relu_backward, "x")
