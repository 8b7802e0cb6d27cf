r"""The loops of the rotary embedding.

It takes R of the D channels of a row at position p in pairs, and rotates pair i by the angle :math:`p\,\theta_i`,
:math:`\theta_i = base^{-2i/R}`:

.. math:: y_1 = x_1 \cos p\theta_i - x_2 \sin p\theta_i, \qquad y_2 = x_2 \cos p\theta_i + x_1 \sin p\theta_i

so that a product q·k of two rotated rows depends on their positions only by the distance. Which channels are a pair is
a matter of layout: i and i + R/2 (half-split), or 2i and 2i + 1 (interleaved). The channels from R on are copied.

6 FLOPs a pair; x is read and y written once, the tables lie in cache: memory is the limit. The backward rotates back:
it is the same loop with the sine negated, and needs nothing saved.

- Su et al. 2021, "RoFormer", section 3.2.2 and equation 34.
"""

from typing import NamedTuple

import numpy as np
from numba import boolean, int64
from numba.types import Array

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.simd import (
    even_lanes,
    flat,
    fma,
    interleave_high,
    interleave_low,
    lane_count,
    load_partial,
    odd_lanes,
    shifted,
    store_partial,
)

TASK = 2**14  # elements of a task, about 3 us of work


@jit
def rotary_naive(x, cos, sin, interleaved, out):
    """The definition, for one sequence x (T, D), at the positions 0 to T - 1."""
    half = cos.shape[1]
    for t in range(x.shape[0]):
        for d in range(2 * half, x.shape[1]):
            out[t, d] = x[t, d]
        for i in range(half):
            first, second = (2 * i, 2 * i + 1) if interleaved else (i, half + i)
            out[t, first] = x[t, first] * cos[t, i] - x[t, second] * sin[t, i]
            out[t, second] = x[t, second] * cos[t, i] + x[t, first] * sin[t, i]


class Rotation(NamedTuple):
    """Tables of cosines and sines (P, R / 2), which channels are pairs, and a factor of the sines: -1 rotates back."""

    cos: np.ndarray
    sin: np.ndarray
    interleaved: bool
    sign: float


class Angles(NamedTuple):
    """One position's cosines and sines, `half` of each, and the factor of the sines."""

    cos: object
    sin: object
    half: int
    sign: float


@jit(inline=True)
def _rotated(x1, x2, cosine, sine):
    return fma(x1, cosine, -(x2 * sine)), fma(x2, cosine, x1 * sine)


@jit(inline=True)
def _rotate_halves(x, angles, out):
    """A row whose channels i and half + i are a pair."""
    half = angles.half
    for i in range(0, half, lane_count(x)):
        left = half - i
        x1, x2 = load_partial(x, i, left, 0.0), load_partial(x, half + i, left, 0.0)
        cosine, sine = load_partial(angles.cos, i, left, 0.0), load_partial(angles.sin, i, left, 0.0) * angles.sign
        y1, y2 = _rotated(x1, x2, cosine, sine)
        store_partial(out, i, left, y1)
        store_partial(out, half + i, left, y2)


@jit(inline=True)
def _rotate_neighbours(x, angles, out):
    """A row whose channels 2i and 2i + 1 are a pair: two vectors of neighbours are separated into one of first and
    one of second channels, and interleaved again."""
    lanes = lane_count(x)
    for i in range(0, angles.half, lanes):
        left, low, high = angles.half - i, 2 * i, 2 * i + lanes
        a, b = load_partial(x, low, 2 * left, 0.0), load_partial(x, high, 2 * left - lanes, 0.0)
        cosine, sine = load_partial(angles.cos, i, left, 0.0), load_partial(angles.sin, i, left, 0.0) * angles.sign
        y1, y2 = _rotated(even_lanes(a, b), odd_lanes(a, b), cosine, sine)
        store_partial(out, low, 2 * left, interleave_low(y1, y2))
        store_partial(out, high, 2 * left - lanes, interleave_high(y1, y2))


@jit(inline=True)
def _row(x, a, b, c):
    """The memory of row ``x[a, b, c]``, whose channels are contiguous."""
    return shifted(flat(x), (a * x.strides[0] + b * x.strides[1] + c * x.strides[2]) // x.itemsize)


@jit
def _rotate_rows(first, last, x, positions, rotation, out):
    """Rows `first` to `last` - 1 of x (A, B, C, D)."""
    A, B, C, D = x.shape
    half, lanes = rotation.cos.shape[1], lane_count(x)
    cosines, sines = flat(rotation.cos), flat(rotation.sin)
    a, b, c = first // (B * C), first // C % B, first % C
    for _ in range(first, last):
        row, result, at = _row(x, a, b, c), _row(out, a, b, c), positions[a, b, c] * half
        angles = Angles(shifted(cosines, at), shifted(sines, at), half, rotation.sign)
        if rotation.interleaved:
            _rotate_neighbours(row, angles, result)
        else:
            _rotate_halves(row, angles, result)
        for d in range(2 * half, D, lanes):
            store_partial(result, d, D - d, load_partial(row, d, D - d, 0.0))
        c += 1  # counted, since a division takes as long as rotating a dozen channels
        if c == C:
            c, b = 0, b + 1
            if b == B:
                b, a = 0, a + 1


@jit
def _rotate(x, cos, sin, positions, interleaved, sign, out, threads):
    """Rotate the rows of x (A, B, C, D) into out."""
    A, B, C, D = x.shape
    arguments = x, positions, Rotation(cos, sin, interleaved, sign), out
    parallel_for(_rotate_rows, A * B * C, max(1, TASK // D), threads, arguments)


@jit
def rotary_loops(x, cos, sin, interleaved, out):
    """Adds vectors: `rotary_naive` for use in your own jitted code; contiguous arrays of one dtype, not checked."""
    T, D = x.shape
    positions, rotation = np.arange(T).reshape(1, 1, T), Rotation(cos, sin, interleaved, x.dtype.type(1))
    _rotate_rows(0, T, x.reshape(1, 1, T, D), positions, rotation, out.reshape(1, 1, T, D))


VARIANTS = {"rotary_embedding": {"naive": rotary_naive, "fast": rotary_loops}}

compiled = Compiled(
    _rotate,
    lambda kind: (
        *(Array(kind, 4, "A"), kind[:, ::1], kind[:, ::1], Array(int64, 3, "A")),
        *(boolean, kind, Array(kind, 4, "A"), int64),
    ),
)
