r"""Local response norm: each element is divided by a power of the mean square of its neighbours in other channels [1]_.

.. math::
    d_c = k + \frac{\alpha}{s} \sum_{j = c - \lfloor s/2 \rfloor}^{c + \lfloor (s-1)/2 \rfloor} x_j^2, \qquad
    y_c = x_c\, d_c^{-\beta}, \qquad
    dx_j = dy_j\, d_j^{-\beta} - \frac{2 \alpha \beta}{s}\, x_j \sum_{c:\, j \in window(c)} \frac{dy_c\, y_c}{d_c}

at every position, with a window of s = `size` channels, cut off at the first and the last one. An element costs s
products and a power, exp(-beta log d): about 40 FLOPs, against 8 bytes forward and 12 backward (float32). Vectors run
over the positions. d is recomputed in the backward: saved, it would be an array as large as x.

.. [1] A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
   NIPS 2012, section 3.3.
"""

from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels._jit import jit
from kernels._parallel import FIRST, parallel_for
from kernels._threads import threads_for
from kernels.normalization.arguments import channels, gradient
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import absolute, allocate, exp, flat, fma, log, release, select, shifted, strided
from kernels.simd.wide import wide_count

MAX_MAGNITUDE = 1e15  # up to which a sum of squares is far from overflow in float32
MIN_K = 1e-30  # from which on a square that underflows is negligible in comparison

# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def local_response_norm_naive(x, size, alpha, beta, k, y):
    """The definition, an element at a time."""
    N, C, L = x.shape
    for n in range(N):
        for c in range(C):
            for i in range(L):
                total = 0.0
                for j in range(max(0, c - size // 2), min(C, c + (size - 1) // 2 + 1)):
                    total += np.float64(x[n, j, i]) ** 2
                y[n, c, i] = x[n, c, i] / (k + alpha / size * total) ** beta


# --- a block of positions, all channels ------------------------------------------------------------------------------


class Shape(NamedTuple):
    """Samples, channels, positions."""

    N: int
    C: int
    L: int


class Parameters(NamedTuple):
    """Of ``(k + factor * sum of squares in the window) ** beta``; `factor` is alpha / size."""

    size: int
    factor: float
    beta: float
    k: float


@jit(inline=True)
def _blocks(shape, like):
    """Blocks of a sample's positions: each is a wide vector, but for the last one."""
    return (shape.L + wide_count(like) - 1) // wide_count(like)


@jit(inline=True)
def _block_of(x, shape, block):
    """The matrix of a block, numbered through all samples: channels x positions."""
    n, first = block // _blocks(shape, x), block % _blocks(shape, x) * wide_count(x)
    return strided(shifted(flat(x), n * shape.C * shape.L + first), shape.L, 1)


@jit(inline=True)
def _positions(x, shape, block):
    """Positions in the block."""
    return min(wide_count(x), shape.L - block % _blocks(shape, x) * wide_count(x))


@jit(inline=True)
def _denominator(i, count, X, c, C, parameters):
    """d of channel c at positions i, ..."""
    first, last = max(0, c - parameters.size // 2), min(C, c + (parameters.size - 1) // 2 + 1)
    value = read(X.row(first), i, count, 0.0)
    total = value * value
    for j in range(first + 1, last):
        value = read(X.row(j), i, count, 0.0)
        total = fma(value, value, total)
    return fma(total, parameters.factor, parameters.k)


@jit(inline=True)
def _forward(i, count, X, Y, C, parameters):
    for c in range(C):
        power = exp(log(_denominator(i, count, X, c, C, parameters)) * -parameters.beta)
        write(Y.row(c), i, count, read(X.row(c), i, count, 0.0) * power)


@jit(inline=True)
def _backward(i, count, DY, X, DX, C, parameters, terms):
    """`terms`, a view with a row per channel, receives the dy y / d of the block."""
    size = parameters.size
    for c in range(C):
        d = _denominator(i, count, X, c, C, parameters)
        gradient = read(DY.row(c), i, count, 0.0) * exp(log(d) * -parameters.beta)
        write(DX.row(c), i, count, gradient)
        write(terms.row(c), i, count, gradient * read(X.row(c), i, count, 0.0) / d)
    for j in range(C):
        first, last = max(0, j - (size - 1) // 2), min(C, j + size // 2 + 1)
        total = read(terms.row(first), i, count, 0.0)
        for c in range(first + 1, last):
            total = total + read(terms.row(c), i, count, 0.0)
        change = read(X.row(j), i, count, 0.0) * total * (-2.0 * parameters.factor * parameters.beta)
        write(DX.row(j), i, count, read(DX.row(j), i, count, 0.0) + change)


_forward_block, _backward_block = over_range(_forward), over_range(_backward)

# --- a block in float64, where squares leave float32 -----------------------------------------------------------------


@jit(inline=True)
def _largest(i, count, X, C, peaks):
    """Largest magnitude at each position, over all channels."""
    largest = absolute(read(X, i, count, 0.0))
    for c in range(1, C):
        value = absolute(read(X.row(c), i, count, 0.0))
        largest = select(value > largest, value, largest)
    write(peaks, i, count, largest)


_take_peaks = over_range(_largest)


@jit
def _needs_float64(X, positions, C, k, peaks):
    """Whether an element's square, beside k, might overflow or underflow; `peaks` is memory for a row."""
    if k < MIN_K:
        return True
    _take_peaks(X, FIRST, positions, X, C, peaks)
    large = False
    for i in range(positions):
        large |= peaks[i] > MAX_MAGNITUDE
    return large


@jit(fastmath=False)
def _denominator_in_float64(X, c, C, parameters):
    total = 0.0
    for j in range(max(0, c - parameters.size // 2), min(C, c + (parameters.size - 1) // 2 + 1)):
        total += np.float64(X[j, 0]) * np.float64(X[j, 0])
    return parameters.k + parameters.factor * total


@jit(fastmath=False)
def _forward_in_float64(X, Y, C, parameters):
    """One position, all channels: a column."""
    for c in range(C):
        Y[c, 0] = X[c, 0] * _denominator_in_float64(X, c, C, parameters) ** -parameters.beta


@jit(fastmath=False)
def _backward_in_float64(DY, X, DX, C, parameters):
    """One position, all channels: a column."""
    size, factor, beta, _ = parameters
    for j in range(C):
        total = 0.0
        for c in range(max(0, j - (size - 1) // 2), min(C, j + size // 2 + 1)):
            d = _denominator_in_float64(X, c, C, parameters)
            total += np.float64(DY[c, 0]) * np.float64(X[c, 0]) / d * d**-beta
        d = _denominator_in_float64(X, j, C, parameters)
        DX[j, 0] = DY[j, 0] * d**-beta - 2.0 * factor * beta * X[j, 0] * total


# --- all blocks ------------------------------------------------------------------------------------------------------


@jit
def _forward_blocks(first, last, shape, x, parameters, y):
    C, peaks = shape.C, allocate(x, wide_count(x))
    for block in range(first, last):
        X, Y = _block_of(x, shape, block), _block_of(y, shape, block)
        positions = _positions(x, shape, block)
        if _needs_float64(X, positions, C, parameters.k, peaks):
            for i in range(positions):
                _forward_in_float64(X.column(i), Y.column(i), C, parameters)
        else:
            _forward_block(x, FIRST, positions, X, Y, C, parameters)
    release(peaks)


@jit
def _backward_blocks(first, last, shape, dy, x, parameters, dx):
    C, terms = shape.C, allocate(x, shape.C * wide_count(x))
    for block in range(first, last):
        DY, X, DX = _block_of(dy, shape, block), _block_of(x, shape, block), _block_of(dx, shape, block)
        positions = _positions(x, shape, block)
        if _needs_float64(X, positions, C, parameters.k, terms):
            for i in range(positions):
                _backward_in_float64(DY.column(i), X.column(i), DX.column(i), C, parameters)
        else:
            _backward_block(x, FIRST, positions, DY, X, DX, C, parameters, strided(terms, wide_count(x), 1))
    release(terms)


@jit
def _forward_loops(shape, x, parameters, y, threads):
    """The plain tuples are a `Shape` and `Parameters`; x and y are flat."""
    shape = Shape(*shape)
    arguments = shape, x, Parameters(*parameters), y
    parallel_for(_forward_blocks, shape.N * _blocks(shape, x), 1, threads, arguments)


@jit
def _backward_loops(shape, dy, x, parameters, dx, threads):
    shape = Shape(*shape)
    arguments = shape, dy, x, Parameters(*parameters), dx
    parallel_for(_backward_blocks, shape.N * _blocks(shape, x), 1, threads, arguments)


def local_response_norm_blocks(x, size, alpha, beta, k, y):
    """Adds vectors over the positions, and threads."""
    parameters = size, alpha / size, beta, k
    _forward_loops(x.shape, x.reshape(-1), parameters, y.reshape(-1), threads_for(x.size))


VARIANTS = {"local_response_norm": {"naive": local_response_norm_naive, "fast": local_response_norm_blocks}}


# --- public functions ------------------------------------------------------------------------------------------------


def _checked(name, x, size, alpha, beta, k):
    """Validate the arguments and return the `Shape` and the `Parameters`, as plain tuples."""
    shape = channels(name, x, 3)
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool):
        raise TypeError(f"{name}: size must be an int, got {type(size).__name__}")
    if size < 1:
        raise ValueError(f"{name}: size must be positive, got {size}")
    if not (alpha >= 0 and k >= 0):
        raise ValueError(f"{name}: alpha and k must not be negative, got {alpha} and {k}")
    # a window larger than all channels reaches them all
    return shape, (int(min(size, 2 * shape[1] + 1)), float(alpha) / size, float(beta), float(k))


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
    shape, parameters = _checked(name, x, size, alpha, beta, k)
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        _forward_loops(shape, x.reshape(-1), parameters, y.reshape(-1), threads_for(x.size))
    return y


def local_response_norm_backward(dy, x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Gradient of `local_response_norm` with respect to x.

    Parameters
    ----------
    dy, x : array
        Gradient with respect to the result, and the forward's input.
    size : int
        The forward's.
    alpha, beta, k : float
        The forward's.

    Returns
    -------
    dx : array
        Like `x`.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ; what is an error of the forward.

    Reference
    ---------
    A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
    NIPS 2012, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import local_response_norm_backward
    >>> ones = np.ones((1, 2, 1))
    >>> local_response_norm_backward(ones, ones, 2, alpha=2.0, beta=1.0)
    array([[[-0.22222222],
            [ 0.11111111]]])
    """
    name = "local_response_norm_backward"
    dy, x = gradient(name, dy, x)
    shape, parameters = _checked(name, x, size, alpha, beta, k)
    dx = _checks.new(x.shape, x.dtype)
    if x.size:
        _backward_loops(shape, dy.reshape(-1), x.reshape(-1), parameters, dx.reshape(-1), threads_for(x.size))
    return dx
