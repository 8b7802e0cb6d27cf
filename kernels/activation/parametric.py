r"""prelu: a leaky rectifier whose factor below 0 is learned, one for each channel or one for all.

    y = x where x > 0, else w x       dx = dy where x > 0, else w dy;     dw = Σ x dy over x <= 0

The loops view x as (N, C, inner), with one weight for each channel. Where inner is 1 (a 2-D array), vectors run along
the channels, else along the elements of one channel. The backward needs x.

Reference: K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", 2015, equation 1.
"""

import math

import numpy as np
from numba.extending import register_jitable
from numpy import empty

from kernels._checks import floats, new, no_overlap, output, same_dtype
from kernels._elementwise import BLOCK, pair, same_or_apart
from kernels._jit import jit
from kernels._parallel import FIRST, parallel_for
from kernels._threads import threads_for
from kernels.activation.rectified import leaky_relu_backward_lanes, leaky_relu_lanes
from kernels.simd import lane_count, load_partial, select, splat, store_partial, sum_lanes

# Terms of dw that one lane adds up before they enter a float64 total, so that rounding errors do not grow with the
# length; and the samples of a task where vectors run along the channels.
SEGMENT = 64


@jit
def prelu_naive(x, weight, out):
    """x, out: (N, C, inner); weight: (C,)."""
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(x.shape[2]):
                out[n, c, i] = x[n, c, i] if x[n, c, i] > 0 else weight[c] * x[n, c, i]


@register_jitable
def _prelu_tasks(x, weight):
    """Number of tasks: each is a block of elements, SEGMENT samples, or a row (n, c) of `inner` elements."""
    if weight.size == 1:
        return (x.size + BLOCK - 1) // BLOCK
    N, C, inner = x.shape
    return (N + SEGMENT - 1) // SEGMENT if inner == 1 else N * C


@jit(inline=True)
def _row_of_task(x, weight, task):
    """First element and end of a task that has one weight, and that weight."""
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
    """x, out: (N, C, inner), or (1, 1, elements) with one weight for all; weight: (C,); C-contiguous, not validated."""
    _prelu_range(FIRST, _prelu_tasks(x, weight), x, weight, out)


@jit
def _prelu_parallel(x, weight, out, threads):
    parallel_for(_prelu_range, _prelu_tasks(x, weight), 1, threads, (x, weight, out))


@jit
def _prelu_backward_task(dy, x, weight, dx, sums, task):
    """dx of a task, and its terms of dw, summed: one number for a row, C numbers for samples."""
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
def _prelu_backward(dy, x, weight, dx, dweight, sums, threads):
    parallel_for(_prelu_backward_range, _prelu_tasks(x, weight), 1, threads, (dy, x, weight, dx, sums))
    totals, C = np.zeros(dweight.size), dweight.size
    for row in range(sums.size // max(C, 1)):
        for c in range(C):
            totals[c] += np.float64(sums[row * C + c])
    for c in range(C):
        dweight[c] = totals[c]


@register_jitable
def _number_of_sums(x, weight):
    """How many terms of dw all tasks have."""
    rows = x.shape[2] > 1 or weight.size == 1
    return _prelu_tasks(x, weight) * (1 if rows else weight.size)


def _channels(operation, x, weight):
    """Validate `weight`; returns it and the shape in which the loops view `x`."""
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

    Returns
    -------
    ndarray
        `out`, or a new array of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not float32 or float64, or dtypes differ; if `weight` has neither one element nor one for each
        channel; if `out` differs from `x` in shape or dtype, is not C-contiguous, is read-only, or overlaps an input.

    Reference
    ---------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", 2015, equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import prelu
    >>> prelu(np.array([-2.0, 2.0]), np.array(0.25))
    array([-0.5,  2. ])
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
    """Gradients of `prelu` with respect to its input and weight.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x, weight : array
        As given to the forward, of the dtype of `dy`.

    Returns
    -------
    dx, dweight : ndarray
        Of the shapes and dtype of `x` and `weight`.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, or dtypes differ; if the shapes of `dy` and `x` differ, or `weight` has
        neither one element nor one for each channel.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import prelu_backward
    >>> dx, dweight = prelu_backward(np.ones(2), np.array([-2.0, 2.0]), np.array(0.25))
    >>> dx, dweight
    (array([0.25, 1.  ]), array(-2.))
    """
    dy, x = pair("prelu_backward", dy, "x", x)
    given, (weight, shape) = np.shape(weight), _channels("prelu_backward", x, weight)
    dx, dweight, view = new(x.shape, x.dtype), empty(weight.size, x.dtype), x.reshape(shape)
    sums = empty(_number_of_sums(view, weight), x.dtype)
    _prelu_backward(dy.reshape(shape), view, weight, dx.reshape(shape), dweight, sums, threads_for(x.size))
    return dx, dweight.reshape(given)


VARIANTS = {"prelu": {"naive": prelu_naive, "fast": prelu_loops}}
