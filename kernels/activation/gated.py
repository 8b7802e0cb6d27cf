r"""glu: one half of x, gated by the sigmoid of the other.

    y = a σ(b), x = (a | b)           da = dy σ(b),  db = dy a σ(b) (1 - σ(b))

The loops view x as (outer, 2, inner), each half a followed by its half b:

    x     a a a a  b b b b   a a a a  b b b b          out     y y y y   y y y y
          row 0              row 1                             row 0     row 1

The backward needs x.

Reference: Y. N. Dauphin, A. Fan, M. Auli, D. Grangier, "Language Modeling with Gated Convolutional Networks", 2017,
equation 1.
"""

import math

from kernels import simd
from kernels._checks import axis, floats, new, no_overlap, output, same_dtype
from kernels._elementwise import BLOCK
from kernels._jit import jit
from kernels._parallel import FIRST, parallel_for
from kernels._threads import threads_for
from kernels.activation.logistic import sigmoid_and_derivative
from kernels.simd import store, store_partial
from kernels.simd.stream import load_wide_partial
from kernels.simd.wide import load_wide, wide_count


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
    gate, derivative = sigmoid_and_derivative(b)
    return dy * gate, dy * (a * derivative)


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
    """x: (outer, 2, inner); out: (outer, inner); C-contiguous, not validated."""
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
    """Shape of the result, and the shape in which the loops view `x`."""
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
    dim : int, default -1
    out : array, optional
        Receives the result, which is half as long along `dim`; it must not overlap `x`.

    Returns
    -------
    ndarray
        `out`, or a new array of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64, `dim` is out of range, or the length of `x` along it is odd; if `out` has
        another shape than the result or another dtype than `x`, is not C-contiguous, is read-only, or overlaps `x`.

    Reference
    ---------
    Y. N. Dauphin, A. Fan, M. Auli, D. Grangier, "Language Modeling with Gated Convolutional Networks", 2017,
    equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import glu
    >>> glu(np.array([2.0, 4.0, 0.0, 0.0]))
    array([1., 2.])
    """
    x = floats("glu", "x", x)
    shape, halves = _halves("glu", x, dim)
    outer, _, inner = halves
    if out is None:
        out = new(shape, x.dtype)
    else:
        output("glu", out, shape, x.dtype)
        no_overlap("glu", out, x=x)
    threads = threads_for(x.size)
    if threads == 1:
        glu_loops(x.reshape(halves), out.reshape(outer, inner))
    else:
        _glu_parallel(x.reshape(halves), out.reshape(outer, inner), threads)
    return out


def glu_backward(dy, x, dim=-1):
    """Gradient of `glu` with respect to its input.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the dtype of `dy`.
    dim : int, default -1
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, dtypes differ, `dim` is out of range, or `dy` does not have the shape of
        the forward's result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import glu_backward
    >>> glu_backward(np.array([1.0]), np.array([2.0, 0.0]))
    array([0.5, 0.5])
    """
    dy, x = floats("glu_backward", "dy", dy), floats("glu_backward", "x", x)
    same_dtype("glu_backward", dy=dy, x=x)
    shape, halves = _halves("glu_backward", x, dim)
    if dy.shape != shape:
        raise ValueError(f"glu_backward: dy must have shape {shape}, got {dy.shape}")
    dx = new(x.shape, x.dtype)
    outer, _, inner = halves
    _glu_backward(dy.reshape(outer, inner), x.reshape(halves), dx.reshape(halves), threads_for(x.size))
    return dx


VARIANTS = {"glu": {"naive": glu_naive, "fast": glu_loops}}
