r"""Activations in which an element meets another one: its channel's weight, or its gate.

    prelu [1]_   y = x where x > 0, else w x       dx = dy where x > 0, else w dy;     dw = Σ x dy over x <= 0
    glu [2]_     y = a σ(b), x = (a | b)           da = dy σ(b),  db = dy a σ(b) (1 - σ(b))

prelu sees x as (N, C, inner), one weight for each channel; where inner is 1 (a 2-D array) vectors run along the
channels, else along a channel's own elements. glu sees x as (outer, 2, inner), the halves a and b behind each other:

    x     a a a a  b b b b   a a a a  b b b b          out     y y y y   y y y y
          row 0              row 1                             row 0     row 1

Both backwards need x.

.. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", 2015, equation 1.
.. [2] Y. N. Dauphin, A. Fan, M. Auli, D. Grangier, "Language Modeling with Gated Convolutional Networks", 2017,
   equation 1.
"""

import math

import numpy as np
from numba.extending import register_jitable
from numpy import empty

from kernels import simd
from kernels._checks import axis, floats, new, no_overlap, output, same_dtype
from kernels._elementwise import BLOCK, pair, same_or_apart
from kernels._jit import jit
from kernels._parallel import FIRST, parallel_for
from kernels._threads import threads_for
from kernels.activation.rectified import leaky_relu_backward_lanes, leaky_relu_lanes
from kernels.activation.smooth import sigmoid_and_slope
from kernels.simd import lane_count, load_partial, select, splat, store, store_partial, sum_lanes
from kernels.simd.stream import load_wide_partial
from kernels.simd.wide import load_wide, wide_count

# Terms of dw that one lane adds up before they go to a float64 total, so that rounding errors do not grow with the
# length; and the samples of one task where rows run along the channels.
SEGMENT = 64


# --- prelu ------------------------------------------------------------------------------------------------------------


@jit
def prelu_naive(x, weight, out):
    """x, out: (N, C, inner); weight: (C,)."""
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(x.shape[2]):
                out[n, c, i] = x[n, c, i] if x[n, c, i] > 0 else weight[c] * x[n, c, i]


@register_jitable
def _prelu_tasks(x, weight):
    """Number of tasks: blocks of elements, SEGMENT samples, or rows (n, c) of `inner` elements."""
    if weight.size == 1:
        return (x.size + BLOCK - 1) // BLOCK
    N, C, inner = x.shape
    return (N + SEGMENT - 1) // SEGMENT if inner == 1 else N * C


@jit(inline=True)
def _row_of_task(x, weight, task):
    """First and last + 1 element of a task that has one weight, and that weight."""
    length = BLOCK if weight.size == 1 else x.shape[2]
    return task * length, min((task + 1) * length, x.size), weight[task % weight.size]


@jit
def _prelu_task(x, weight, out, task):
    lanes, (N, C, inner) = lane_count(x), x.shape
    if inner > 1 or C == 1:
        start, stop, w = _row_of_task(x, weight, task)
        for i in range(start, stop, lanes):
            store_partial(out, i, stop - i, leaky_relu_lanes(load_partial(x, i, stop - i, 0.0), w))
    else:
        for n in range(task * SEGMENT, min((task + 1) * SEGMENT, N)):
            for c in range(0, C, lanes):
                i, rest, weights = n * C + c, C - c, load_partial(weight, c, C - c, 0.0)
                store_partial(out, i, rest, leaky_relu_lanes(load_partial(x, i, rest, 0.0), weights))


@jit
def _prelu_range(first, last, x, weight, out):
    for task in range(first, last):
        _prelu_task(x, weight, out, task)


@jit
def prelu_loops(x, weight, out):
    """x, out: (N, C, inner), or (1, 1, elements) with one weight for all; weight: (C,); C-contiguous, not checked."""
    _prelu_range(FIRST, _prelu_tasks(x, weight), x, weight, out)


@jit
def _prelu_parallel(x, weight, out, threads):
    parallel_for(_prelu_range, _prelu_tasks(x, weight), 1, threads, (x, weight, out))


@jit
def _prelu_backward_task(dy, x, weight, dx, sums, task):
    """dx of one task, and its sums for dw: one number for a row, C numbers for samples."""
    lanes, (N, C, inner) = lane_count(x), x.shape
    if inner > 1 or C == 1:
        start, stop, w = _row_of_task(x, weight, task)
        total = 0.0
        for first in range(start, stop, SEGMENT * lanes):
            acc = splat(x, 0.0)
            for i in range(first, min(first + SEGMENT * lanes, stop), lanes):
                gradient, value = load_partial(dy, i, stop - i, 0.0), load_partial(x, i, stop - i, 0.0)
                store_partial(dx, i, stop - i, leaky_relu_backward_lanes(gradient, value, w))
                acc = acc + select(value > 0.0, 0.0, value * gradient)
            total += sum_lanes(acc)
        sums[task] = total
    else:
        for c in range(0, C, lanes):
            rest, weights, acc = C - c, load_partial(weight, c, C - c, 0.0), splat(x, 0.0)
            for n in range(task * SEGMENT, min((task + 1) * SEGMENT, N)):
                gradient, value = load_partial(dy, n * C + c, rest, 0.0), load_partial(x, n * C + c, rest, 0.0)
                store_partial(dx, n * C + c, rest, leaky_relu_backward_lanes(gradient, value, weights))
                acc = acc + select(value > 0.0, 0.0, value * gradient)
            store_partial(sums, task * C + c, rest, acc)


@jit
def _prelu_backward_range(first, last, dy, x, weight, dx, sums):
    for task in range(first, last):
        _prelu_backward_task(dy, x, weight, dx, sums, task)


@jit
def _prelu_backward(dy, x, weight, dx, sums, threads):
    parallel_for(_prelu_backward_range, _prelu_tasks(x, weight), 1, threads, (dy, x, weight, dx, sums))


def _channels(operation, x, weight):
    """`weight` checked, and the shape in which the loops see `x`."""
    weight = floats(operation, "weight", weight)
    same_dtype(operation, x=x, weight=weight)
    if not weight.ndim:
        weight = weight.reshape(1)
    N, C = (*x.shape, 1, 1)[:2] if x.ndim != 1 else (x.size, 1)
    if weight.ndim != 1 or weight.size not in (1, C):
        raise ValueError(
            f"{operation}: weight must have one element or one for each channel of axis 1: it is {weight.shape}, "
            f"x is {x.shape}"
        )
    return weight, (1, 1, x.size) if weight.size == 1 else (N, C, math.prod(x.shape[2:]))


def prelu(x, weight, *, out=None):
    """y = x where x > 0, else weight * x.

    Parameters
    ----------
    x : array, float32 or float64, any shape
    weight : array, shape (), (1,) or (C,)
        One weight for all elements, or one for each channel, which is axis 1 of `x`.
    out : array, optional
        Receives the result; it may be `x` itself.

    Raises
    ------
    TypeError, ValueError
        If an array is not such an array, dtypes differ, or a shape does not fit.
    """
    x = floats("prelu", "x", x)
    weight, shape = _channels("prelu", x, weight)
    if out is None:
        out = new(x.shape, x.dtype)
    else:
        output("prelu", out, x.shape, x.dtype)
        same_or_apart("prelu", out, x=x)
        no_overlap("prelu", out, weight=weight)
    threads = threads_for(x.size)
    if threads == 1:
        prelu_loops(x.reshape(shape), weight, out.reshape(shape))
    else:
        _prelu_parallel(x.reshape(shape), weight, out.reshape(shape), threads)
    return out


def prelu_backward(dy, x, weight):
    """Gradients ``(dx, dweight)`` of `prelu` at its arguments."""
    dy, x = pair("prelu_backward", dy, "x", x)
    given, (weight, shape) = np.shape(weight), _channels("prelu_backward", x, weight)
    dx, view = new(x.shape, x.dtype), x.reshape(shape)
    rows = shape[2] > 1 or weight.size == 1
    sums = empty(_prelu_tasks(view, weight) * (1 if rows else weight.size), x.dtype)
    _prelu_backward(dy.reshape(shape), view, weight, dx.reshape(shape), sums, threads_for(x.size))
    return dx, sums.reshape(-1, weight.size).sum(0, dtype=np.float64).astype(x.dtype).reshape(given)


# --- glu --------------------------------------------------------------------------------------------------------------


@jit
def glu_naive(x, out):
    """x: (outer, 2, inner); out: (outer, inner)."""
    for row in range(x.shape[0]):
        for i in range(x.shape[2]):
            out[row, i] = x[row, 0, i] / (1 + math.exp(-x[row, 1, i]))


@jit(inline=True)
def glu_lanes(a, b):
    return a * simd.sigmoid(b)


@jit(inline=True)
def glu_backward_lanes(dy, a, b):
    gate, slope = sigmoid_and_slope(b)
    return dy * gate, dy * (a * slope)


@jit
def _glu_task(x, out, row, start):
    """At most BLOCK elements of a row."""
    step, inner = wide_count(x), x.shape[2]
    a, b, y = 2 * row * inner, (2 * row + 1) * inner, row * inner
    i, stop = start, min(start + BLOCK, inner)
    while i + step <= stop:
        store(out, y + i, glu_lanes(load_wide(x, a + i), load_wide(x, b + i)))
        i += step
    if i < stop:
        rest = stop - i
        left, right = load_wide_partial(x, a + i, rest, 0.0), load_wide_partial(x, b + i, rest, 0.0)
        store_partial(out, y + i, rest, glu_lanes(left, right))


@jit
def _glu_backward_task(dy, x, dx, row, start):
    step, inner = wide_count(x), x.shape[2]
    a, b, y = 2 * row * inner, (2 * row + 1) * inner, row * inner
    i, stop = start, min(start + BLOCK, inner)
    while i + step <= stop:
        da, db = glu_backward_lanes(load_wide(dy, y + i), load_wide(x, a + i), load_wide(x, b + i))
        store(dx, a + i, da)
        store(dx, b + i, db)
        i += step
    if i < stop:
        rest, gradient = stop - i, load_wide_partial(dy, y + i, stop - i, 0.0)
        left, right = load_wide_partial(x, a + i, rest, 0.0), load_wide_partial(x, b + i, rest, 0.0)
        da, db = glu_backward_lanes(gradient, left, right)
        store_partial(dx, a + i, rest, da)
        store_partial(dx, b + i, rest, db)


@jit(inline=True)
def _blocks(x):
    """Number of blocks of a row."""
    return (x.shape[2] + BLOCK - 1) // BLOCK


@jit
def _glu_range(first, last, x, out):
    for task in range(first, last):
        _glu_task(x, out, task // _blocks(x), task % _blocks(x) * BLOCK)


@jit
def glu_loops(x, out):
    """x: (outer, 2, inner); out: (outer, inner); C-contiguous, not checked."""
    _glu_range(FIRST, x.shape[0] * _blocks(x), x, out)


@jit
def _glu_parallel(x, out, threads):
    parallel_for(_glu_range, x.shape[0] * _blocks(x), 1, threads, (x, out))


@jit
def _glu_backward_range(first, last, dy, x, dx):
    for task in range(first, last):
        _glu_backward_task(dy, x, dx, task // _blocks(x), task % _blocks(x) * BLOCK)


@jit
def _glu_backward(dy, x, dx, threads):
    parallel_for(_glu_backward_range, x.shape[0] * _blocks(x), 1, threads, (dy, x, dx))


def _halves(operation, x, dim):
    """Shape of the result, and of `x` as the loops see it."""
    if x.ndim == 0:
        raise ValueError(f"{operation}: x must have at least 1 dimension")
    dim, shape = axis(operation, dim, x.ndim), list(x.shape)
    if shape[dim] % 2:
        raise ValueError(f"{operation}: dimension {dim} of x must be even, got {shape[dim]}")
    shape[dim] //= 2
    return tuple(shape), (math.prod(shape[:dim]), 2, math.prod(shape[dim:]))


def glu(x, dim=-1, *, out=None):
    """y = a σ(b), where a and b are the halves of `x` along `dim`.

    Parameters
    ----------
    x : array, float32 or float64
        Its length along `dim` is even.
    dim : int
    out : array, optional
        Receives the result, which is half as long along `dim`; it must not overlap `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not such an array, `dim` is out of range, or `out` does not fit.
    """
    x = floats("glu", "x", x)
    shape, halves = _halves("glu", x, dim)
    if out is None:
        out = new(shape, x.dtype)
    else:
        output("glu", out, shape, x.dtype)
        no_overlap("glu", out, x=x)
    threads = threads_for(x.size)
    if threads == 1:
        glu_loops(x.reshape(halves), out.reshape(halves[0], halves[2]))
    else:
        _glu_parallel(x.reshape(halves), out.reshape(halves[0], halves[2]), threads)
    return out


def glu_backward(dy, x, dim=-1):
    """Gradient of `glu` at its input `x`."""
    dy, x = floats("glu_backward", "dy", dy), floats("glu_backward", "x", x)
    same_dtype("glu_backward", dy=dy, x=x)
    shape, halves = _halves("glu_backward", x, dim)
    if dy.shape != shape:
        raise ValueError(f"glu_backward: dy must have shape {shape}, got {dy.shape}")
    dx = new(x.shape, x.dtype)
    _glu_backward(dy.reshape(halves[0], halves[2]), x.reshape(halves), dx.reshape(halves), threads_for(x.size))
    return dx


VARIANTS = {
    "prelu": {"naive": prelu_naive, "fast": prelu_loops},
    "glu": {"naive": glu_naive, "fast": glu_loops},
}
