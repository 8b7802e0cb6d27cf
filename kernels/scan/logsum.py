r"""Logarithms of the sums so far of exponentials.

    y_i = m + log s_i,  s_i = sum_{j<=i} exp(x_j - m)          dx_k = sum_{i>=k} dy_i exp(x_k - y_i)

with a peak m = max x_j, so that no exponential overflows. The backward is a recurrence from the end, in which no
exponential exceeds 1:

    T_k = dy_k + exp(y_k - y_{k+1}) T_{k+1}                    dx_k = exp(x_k - y_k) T_k

An exponential and a logarithm an element (about 40 FLOPs), in the backward two exponentials more. They are taken in
vectors, a block of a slice at a time, in float64; only the sum itself is a chain:

    x ──> x - m ──exp──> e_i ──sums so far──> s_i ──log──> y - m ──> y       m: the peak of all up to the block's end

A block whose elements lie so far apart that some exponential would vanish, or that holds an infinity or a NaN, is taken
element by element, each with its own peak. A NaN makes all after it NaN; before the first number, y is -inf. As for
PyTorch, an infinite y has no slope, and x = inf gets a NaN; elements of -inf get 0.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.scan.chains import slice_at
from kernels.simd import allocate, exp, flat, lane_count, load, log, max_lanes, maximum, release, shifted, splat, store

BLOCK = 256  # elements: 2 KiB of float64, and as much of y
TASK = 2**11  # elements of a task, about 10 us of work
TOGETHER = 16  # neighbouring columns whose blocks are taken in turn: their elements share cache lines
INFINITY = math.inf
FARTHEST = 600.0  # exp(-600) is still a normal number


class Sum(NamedTuple):
    """``total * exp(peak)``: a sum of exponentials so far; nothing is (-inf, 0)."""

    peak: float
    total: float


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit(fastmath=False)
def logcumsumexp_naive(x, out):
    """``out[row, i] = log(sum(exp(x[row, : i + 1])))``, without overflow."""
    rows, columns = x.shape
    for row in range(rows):
        peak, total = -np.inf, 0.0
        for i in range(columns):
            element = np.float64(x[row, i])
            if element != element or element > peak:
                total = total * np.exp(peak - element) + 1.0 if total else 1.0
                peak = element
            elif element > -np.inf:
                total += np.exp(element - peak) if peak < np.inf else 0.0
            out[row, i] = peak + np.log(total) if total else -np.inf


# --- a block ---------------------------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _one_by_one(y, count, so_far):
    """From x to y, in place."""
    peak, total = so_far
    for i in range(count):
        element = y[i]
        if element != element or element > peak:
            total = total * math.exp(peak - element) + 1.0 if total != 0 else 1.0
            peak = element
        elif element > -INFINITY and peak < INFINITY:
            total += math.exp(element - peak)
        y[i] = peak + math.log(total) if total != 0 else -INFINITY
    return Sum(peak, total)


@jit(inline=True, fastmath=False)
def _largest_distance(y, count):
    """The largest element of a block that is a whole number of vectors, and its distance from the smallest; a NaN if
    there is one."""
    largest, lowest = splat(y, -INFINITY), splat(y, -INFINITY)
    for i in range(0, count, lane_count(y)):
        largest, lowest = maximum(largest, load(y, i)), maximum(lowest, -load(y, i))
    peak = max_lanes(largest)
    return peak, peak + max_lanes(lowest)


@jit(fastmath=False)
def _scan_block(y, count, so_far):
    """From x to y, in place: `count` elements of float64, of memory for a whole number of vectors."""
    lanes = lane_count(y)
    padded = (count + lanes - 1) // lanes * lanes
    for i in range(count, padded):
        y[i] = y[0]
    peak, distance = _largest_distance(y, padded)
    before, total = so_far
    peak = max(peak, before)
    if not (distance <= FARTHEST and before == before and peak < INFINITY):
        return _one_by_one(y, count, so_far)
    for i in range(0, padded, lanes):
        store(y, i, exp(load(y, i) - peak))
    total = total * math.exp(before - peak) if total != 0 else 0.0
    for i in range(count):
        total += y[i]
        y[i] = total
    for i in range(0, padded, lanes):
        store(y, i, log(load(y, i)) + peak)
    return Sum(peak, total)


# --- forward ---------------------------------------------------------------------------------------------------------


@jit(fastmath=False)
def _scan_slices(first, last, x, y, n, inner, together):
    """Groups of `together` slices side by side, block by block."""
    peaks, totals, block = np.empty(together), np.empty(together), allocate(np.float64, BLOCK)
    slices = x.size // n
    x, y = flat(x), flat(y)
    for group in range(first, last):
        start, stop = group * together, min((group + 1) * together, slices)
        peaks[:], totals[:] = -INFINITY, 0.0
        for i in range(0, n, BLOCK):
            count = min(BLOCK, n - i)
            for number in range(start, stop):
                at = slice_at(number, n, inner) + i * inner
                for k in range(count):
                    block[k] = np.float64(x[at + k * inner])
                so_far = _scan_block(block, count, Sum(peaks[number - start], totals[number - start]))
                peaks[number - start], totals[number - start] = so_far
                for k in range(count):
                    y[at + k * inner] = block[k]
    release(block)


@jit
def logcumsumexp_loops(x, y, outer, n, inner, threads):
    """Scans of the slices of flat arrays (outer, n, inner)."""
    together = TOGETHER if inner > 1 else 1
    groups = (outer * inner + together - 1) // together
    parallel_for(_scan_slices, groups, max(1, TASK // (n * together)), threads, (x, y, n, inner, together))


@jit
def logcumsumexp_rows(x, out):
    """Adds exponentials and logarithms in vectors, a block at a time."""
    logcumsumexp_loops(x.reshape(-1), out.reshape(-1), x.shape[0], x.shape[1], 1, 1)


# --- backward --------------------------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _exponents(x, y, k, following):
    """The logarithms of x's share in y_k and of y_k's in the y that follows; no share in an infinite one."""
    element, here = np.float64(x), y[k]
    share = -INFINITY if abs(here) == INFINITY else element - here
    if element == INFINITY:
        share = np.nan
    decay = -INFINITY if abs(here) == INFINITY or abs(following) == INFINITY else here - following
    return share, decay


@jit(fastmath=False)
def _gradient(dy, x, dx, n, step, y):
    """Of one slice; `y` is memory for n elements and two blocks of float64."""
    so_far = Sum(-INFINITY, 0.0)
    shares, decays = shifted(y, n + BLOCK), shifted(y, n + 2 * BLOCK)
    for i in range(0, n, BLOCK):
        count, block = min(BLOCK, n - i), shifted(y, i)
        for k in range(count):
            block[k] = np.float64(x[(i + k) * step])
        so_far = _scan_block(block, count, so_far)
    total, following = 0.0, INFINITY
    for first in range((n - 1) // BLOCK * BLOCK, -1, -BLOCK):
        count = min(BLOCK, n - first)
        for k in range(count):
            after = y[first + k + 1] if k < count - 1 else following
            shares[k], decays[k] = _exponents(x[(first + k) * step], y, first + k, after)
        following = y[first]
        for k in range(0, count, lane_count(y)):
            store(shares, k, exp(load(shares, k)))
            store(decays, k, exp(load(decays, k)))
        for k in range(count - 1, -1, -1):
            total = np.float64(dy[(first + k) * step]) + decays[k] * total
            dx[(first + k) * step] = shares[k] * total


@jit(fastmath=False)
def _gradients(first, last, dy, x, dx, n, inner):
    y = allocate(np.float64, n + 3 * BLOCK)
    slopes, elements, results = flat(dy), flat(x), flat(dx)
    for i in range(n + 3 * BLOCK):
        y[i] = 0.0  # whole vectors are read
    for number in range(first, last):
        at = slice_at(number, n, inner)
        _gradient(shifted(slopes, at), shifted(elements, at), shifted(results, at), n, inner, y)
    release(y)


@jit
def logcumsumexp_backward_loops(dy, x, dx, outer, n, inner, threads):
    """Gradients of the slices of flat arrays (outer, n, inner)."""
    parallel_for(_gradients, outer * inner, max(1, TASK // n), threads, (dy, x, dx, n, inner))


VARIANTS = {"logcumsumexp": {"naive": logcumsumexp_naive, "vectors": logcumsumexp_rows}}
