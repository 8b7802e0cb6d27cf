r"""Rows of windows as vectors.

Neighbouring windows begin `stride` elements apart, and so do the elements that they have in one place. A padded row is
therefore split into phases, its elements 0, s, 2 s, ..., its elements 1, s + 1, 2 s + 1, ... and so on:

    phase[r][j] = padded[j * s + r]                    padded[q] = row[q - padding], or `fill` outside the row

The elements in place k of all windows are then neighbours, too: window o has there ``phase[(k d) % s][o + (k d) // s]``
with dilation d, and one vector serves as many windows as it has lanes, at the borders as elsewhere. A backward fills
phases and joins them to a row. Phases are made for strides 1 and 2; with others, a row is padded only (one phase) and
read element by element.

All that is read or written past the elements in use lies in the phases' own memory, which is PITCH elements a phase.
"""

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.simd import (
    even_lanes,
    interleave_high,
    interleave_low,
    lane_count,
    load,
    load_partial,
    odd_lanes,
    splat,
    store,
    store_partial,
)


def over_lines(task, naive=None):
    """Jitted ``run(arguments, lines, grain, threads)``: ``task(start, stop, arguments)`` for every `grain` lines. In
    plain Python, ``naive(*arguments)``."""

    @jit(naive=naive and (lambda arguments, lines, grain, threads: naive(*arguments)))
    def run(arguments, lines, grain, threads):
        parallel_for(task, lines, grain, threads, (arguments,))

    return run


@jit(inline=True)
def unpack(sizes):
    """Kernel, stride, padding and dilation, each along depth, height and width, from an int64 array (4, 3)."""
    return (
        (sizes[0, 0], sizes[0, 1], sizes[0, 2]),
        (sizes[1, 0], sizes[1, 1], sizes[1, 2]),
        (sizes[2, 0], sizes[2, 1], sizes[2, 2]),
        (sizes[3, 0], sizes[3, 1], sizes[3, 2]),
    )


@jit(inline=True)
def inside(o, kernel, stride, padding, dilation, size):
    """First and last but one place of window `o` that lies inside the input."""
    start = o * stride - padding
    first = 0 if start >= 0 else (dilation - 1 - start) // dilation
    return first, min(kernel, (size - start + dilation - 1) // dilation)


@jit(inline=True)
def window_at(i, k, stride, padding, dilation, out):
    """The window that has element `i` in place `k`, or -1 where there is none."""
    at = i + padding - k * dilation
    if at < 0 or at % stride != 0 or at // stride >= out:
        return -1
    return at // stride


@jit(inline=True)
def phase_count(stride):
    """Phases that rows are split into."""
    return stride if stride <= 2 else 1


@jit(inline=True)
def place(offset, s, pitch):
    """Where in the phases the elements `offset` behind the beginnings of the windows are, for 1 or 2 phases."""
    return (offset & (s - 1)) * pitch + (offset >> (s - 1))


@jit(inline=True)
def pitch_of(like, size, out, kernel, stride, padding, dilation):
    """Elements from one phase to the next: for a row of `size` and its padding, whatever vectors reach beyond."""
    s = phase_count(stride)
    reach = ((out - 1) * stride + (kernel - 1) * dilation) // s + 1
    return max(reach, (size + padding + s - 1) // s + 1) + 2 * lane_count(like)


def splitter(combine):
    """Jitted ``split(x, at, planes, plane_step, rows, row_step, size, s, padding, phases, pitch, fill)``.

    Combines `planes` times `rows` rows of `x`, of which the first begins at `at`, into one, and splits that into `s`
    phases. What is left of the row in the phases stays as it is; to its right come some fills.
    """

    @jit(inline=True)
    def column(x, at, count, planes, plane_step, rows, row_step, fill):
        total = splat(x, fill)
        for plane in range(planes):
            for row in range(rows):
                total = combine(total, load_partial(x, at + plane * plane_step + row * row_step, count, fill))
        return total

    @jit(inline=True)
    def split(x, at, planes, plane_step, rows, row_step, size, s, padding, phases, pitch, fill):
        lanes = lane_count(x)
        if s == 1:
            for i in range(0, size, lanes):
                total = column(x, at + i, size - i, planes, plane_step, rows, row_step, fill)
                store(phases, padding + i, total)
            return
        even, odd = padding % 2 * pitch + padding // 2, (1 - padding % 2) * pitch + (padding + 1) // 2
        for i in range(0, size, 2 * lanes):
            low = column(x, at + i, size - i, planes, plane_step, rows, row_step, fill)
            high = column(x, at + i + lanes, size - i - lanes, planes, plane_step, rows, row_step, fill)
            store(phases, even + i // 2, even_lanes(low, high))
            store(phases, odd + i // 2, odd_lanes(low, high))

    return split


@jit(inline=True)
def join(phases, pitch, s, padding, y, to, size):
    """``y[to : to + size]``, one row, from its `s` phases."""
    lanes = lane_count(y)
    if s == 1:
        for i in range(0, size, lanes):
            store_partial(y, to + i, size - i, load(phases, padding + i))
        return
    even, odd = padding % 2 * pitch + padding // 2, (1 - padding % 2) * pitch + (padding + 1) // 2
    for i in range(0, size, 2 * lanes):
        a, b = load(phases, even + i // 2), load(phases, odd + i // 2)
        store_partial(y, to + i, size - i, interleave_low(a, b))
        store_partial(y, to + i + lanes, size - i - lanes, interleave_high(a, b))


@jit(inline=True)
def clear(memory, count, value):
    """``memory[:count] = value``, whole vectors."""
    for i in range(0, count, lane_count(memory)):
        store(memory, i, splat(memory, value))
