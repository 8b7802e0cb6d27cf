r"""Local response norm: each element is divided by what its neighbours in the other channels amount to [1]_.

.. math::
    d_c = k + \frac{\alpha}{s} \sum_{j = c - \lfloor s/2 \rfloor}^{c + \lfloor (s-1)/2 \rfloor} x_j^2, \qquad
    y_c = x_c\, d_c^{-\beta}, \qquad
    dx_j = dy_j\, d_j^{-\beta} - \frac{2 \alpha \beta}{s}\, x_j \sum_{c:\, j \in window(c)} \frac{dy_c\, y_c}{d_c}

at every position, with a window of s = `size` channels, cut off at the first and the last one. An element costs s
products and a power, exp(-beta log d): about 40 FLOPs, against 8 bytes forward and 12 backward (float32). Vectors run
over the positions. d is computed anew in the backward: kept, it would be an array as large as x.

.. [1] A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
   NIPS 2012, section 3.3.
"""

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.normalization.arguments import channels, gradient
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import absolute, allocate, exp, flat, fma, log, release, select
from kernels.simd.wide import wide_count

# Magnitudes up to which a sum of squares is far from overflow, and k from which on it may underflow beside it.
MOST, LEAST_K = 1e15, 1e-30

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def local_response_norm_naive(x, size, alpha, beta, k, y):
    N, C, L = x.shape
    for n in range(N):
        for c in range(C):
            for i in range(L):
                total = 0.0
                for j in range(max(0, c - size // 2), min(C, c + (size - 1) // 2 + 1)):
                    total += np.float64(x[n, j, i]) ** 2
                y[n, c, i] = x[n, c, i] / (k + alpha / size * total) ** beta


# --- a strip of positions, all channels ------------------------------------------------------------------------------


@jit(inline=True)
def _denominator(i, count, x, at, c, C, L, size, factor, k):
    """d of channel c at positions i, ..."""
    first, last = max(0, c - size // 2), min(C, c + (size - 1) // 2 + 1)
    value = read(x, at + first * L + i, count, 0.0)
    total = value * value
    for j in range(first + 1, last):
        value = read(x, at + j * L + i, count, 0.0)
        total = fma(value, value, total)
    return fma(total, factor, k)


@over_range
@jit(inline=True)
def _forward_strip(i, count, x, y, at, C, L, size, factor, beta, k):
    for c in range(C):
        power = exp(log(_denominator(i, count, x, at, c, C, L, size, factor, k)) * -beta)
        write(y, at + c * L + i, count, read(x, at + c * L + i, count, 0.0) * power)


@over_range
@jit(inline=True)
def _backward_strip(i, count, dy, x, dx, at, C, L, size, factor, beta, k, first, terms):
    """`terms` keeps the dy y / d of the strip, which begins at position `first`."""
    width = wide_count(x)
    for c in range(C):
        d = _denominator(i, count, x, at, c, C, L, size, factor, k)
        slope = read(dy, at + c * L + i, count, 0.0) * exp(log(d) * -beta)
        write(dx, at + c * L + i, count, slope)
        write(terms, c * width + i - first, count, slope * read(x, at + c * L + i, count, 0.0) / d)
    for j in range(C):
        low, high = max(0, j - (size - 1) // 2), min(C, j + size // 2 + 1)
        total = read(terms, low * width + i - first, count, 0.0)
        for c in range(low + 1, high):
            total = total + read(terms, c * width + i - first, count, 0.0)
        change = read(x, at + j * L + i, count, 0.0) * total * (-2.0 * factor * beta)
        write(dx, at + j * L + i, count, read(dx, at + j * L + i, count, 0.0) + change)


# --- a strip in float64, where squares leave float32 -----------------------------------------------------------------


@over_range
@jit(inline=True)
def _raise_peak(i, count, x, at, C, L, first, peak):
    """Largest magnitude of each position, over all channels."""
    largest = absolute(read(x, at + i, count, 0.0))
    for c in range(1, C):
        value = absolute(read(x, at + c * L + i, count, 0.0))
        largest = select(value > largest, value, largest)
    write(peak, i - first, count, largest)


@jit
def _is_far(x, first, last, at, C, L, k, peak):
    """Whether an element's square, beside k, might be too large or too small for the loops of vectors."""
    if k < LEAST_K:
        return True
    _raise_peak(x, first, last, flat(x), at, C, L, first, flat(peak))
    far = False
    for i in range(last - first):
        far |= peak[i] > MOST
    return far


@jit(fastmath=False)
def _wide_denominator(x, at, c, C, L, size, factor, k):
    total = 0.0
    for j in range(max(0, c - size // 2), min(C, c + (size - 1) // 2 + 1)):
        total += np.float64(x[at + j * L]) * np.float64(x[at + j * L])
    return k + factor * total


@jit(fastmath=False)
def _forward_far(x, y, at, C, L, size, factor, beta, k):
    """One position, all channels, from x[at] on."""
    for c in range(C):
        y[at + c * L] = x[at + c * L] * _wide_denominator(x, at, c, C, L, size, factor, k) ** -beta


@jit(fastmath=False)
def _backward_far(dy, x, dx, at, C, L, size, factor, beta, k):
    """One position, all channels, from x[at] on."""
    for j in range(C):
        total = 0.0
        for c in range(max(0, j - (size - 1) // 2), min(C, j + size // 2 + 1)):
            d = _wide_denominator(x, at, c, C, L, size, factor, k)
            total += np.float64(dy[at + c * L]) * np.float64(x[at + c * L]) / d * d**-beta
        d = _wide_denominator(x, at, j, C, L, size, factor, k)
        dx[at + j * L] = dy[at + j * L] * d**-beta - 2.0 * factor * beta * x[at + j * L] * total


@jit
def _forward_task(task, strips, shape, x, size, factor, beta, k, y):
    _, C, L = shape
    n, first = task // strips, task % strips * wide_count(x)
    last, at, peak = min(first + wide_count(x), L), n * C * L, allocate(x, wide_count(x))
    if _is_far(x, first, last, at, C, L, k, peak):
        for i in range(first, last):
            _forward_far(x, y, at + i, C, L, size, factor, beta, k)
    else:
        _forward_strip(x, first, last, flat(x), flat(y), at, C, L, size, factor, beta, k)
    release(peak)


@jit
def _backward_task(task, strips, shape, dy, x, size, factor, beta, k, dx):
    _, C, L = shape
    n, first = task // strips, task % strips * wide_count(x)
    last, terms, at = min(first + wide_count(x), L), allocate(x, C * wide_count(x)), n * C * L
    if _is_far(x, first, last, at, C, L, k, terms):
        for i in range(first, last):
            _backward_far(dy, x, dx, at + i, C, L, size, factor, beta, k)
    else:
        _backward_strip(x, first, last, flat(dy), flat(x), flat(dx), at, C, L, size, factor, beta, k, first, terms)
    release(terms)


def _over_strips(run):
    """Jitted ``loops(shape, threads, *arguments)`` that calls ``run(task, strips, shape, *arguments)`` for each strip
    of positions of each sample; x, which gives the dtype, is the last array but one.
    """

    @jit
    def tasks(first, last, strips, shape, arguments):
        for task in range(first, last):
            run(task, strips, shape, *arguments)

    @jit
    def loops(shape, threads, x, arguments):
        strips = (shape[2] + wide_count(x) - 1) // wide_count(x)
        parallel_for(tasks, shape[0] * strips, 1, threads, (strips, shape, arguments))

    return loops


_forward_loops, _backward_loops = _over_strips(_forward_task), _over_strips(_backward_task)


def local_response_norm_strips(x, size, alpha, beta, k, y):
    """Adds vectors over the positions, and threads."""
    arguments = x.reshape(-1), size, alpha / size, beta, k, y.reshape(-1)
    _forward_loops(x.shape, threads_for(x.size), arguments[0], arguments)


VARIANTS = {"local_response_norm": {"naive": local_response_norm_naive, "fast": local_response_norm_strips}}


# --- public functions ------------------------------------------------------------------------------------------------


def _checked(name, x, size, alpha, beta, k):
    shape = channels(name, x, 3)
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool):
        raise TypeError(f"{name}: size must be an int, got {type(size).__name__}")
    if size < 1:
        raise ValueError(f"{name}: size must be positive, got {size}")
    if not (alpha >= 0 and k >= 0):
        raise ValueError(f"{name}: alpha and k must not be negative, got {alpha} and {k}")
    # a window larger than all channels reaches them all
    return shape, int(min(size, 2 * shape[1] + 1)), float(alpha) / size, float(beta), float(k)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide each element by ``(k + alpha * mean of x**2 over `size` neighbouring channels) ** beta``.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, ...)``, three dimensions at least.
    size : int
        Channels of the window; those outside of x count as zeros.
    alpha, beta, k : float
        `alpha` and `k` are not negative.

    Returns
    -------
    array
        Like `x`.

    Raises
    ------
    TypeError
        Other dtypes; `size` is not an int.
    ValueError
        Fewer dimensions, a `size` below 1, a negative `alpha` or `k`.

    Reference
    ---------
    A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
    NIPS 2012, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import local_response_norm
    >>> local_response_norm(np.ones((1, 2, 1)), 2, alpha=2.0, beta=1.0)
    array([[[0.5       ],
            [0.33333333]]])
    """
    name = "local_response_norm"
    x = floats(name, "x", x)
    shape, *parameters = _checked(name, x, size, alpha, beta, k)
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        source = x.reshape(-1)
        _forward_loops(shape, threads_for(x.size), source, (source, *parameters, y.reshape(-1)))
    return y


def local_response_norm_backward(dy, x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Gradient of `local_response_norm`, from its input; arguments and errors as there.

    Returns
    -------
    dx : array
    """
    name = "local_response_norm_backward"
    dy, x = gradient(name, dy, x)
    shape, *parameters = _checked(name, x, size, alpha, beta, k)
    dx = _checks.new(x.shape, x.dtype)
    if x.size:
        source = x.reshape(-1)
        _backward_loops(shape, threads_for(x.size), source, (dy.reshape(-1), source, *parameters, dx.reshape(-1)))
    return dx
