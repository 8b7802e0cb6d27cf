r"""Rows of windows as vectors.

Neighbouring windows begin `stride` elements apart, and so do their elements number k, for every k. A padded row is
therefore split into phases, its elements 0, s, 2 s, ..., its elements 1, s + 1, 2 s + 1, ... and so on:

    phase[r][j] = padded[j * s + r]                    padded[q] = row[q - padding], or `fill` outside the row

Elements number k of all windows are then neighbours, too: that of window o is ``phase[(k d) % s][o + (k d) // s]``
with dilation d, and one vector serves as many windows as it has lanes, at the borders as elsewhere. A backward fills
phases and joins them to a row. Phases are made for strides 1 and 2; with others, a row is padded only (one phase) and
read element by element.

Reads and writes beyond the elements in use stay within the phases' memory, which is `pitch` elements a phase.
"""

from typing import NamedTuple

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.simd import (
    allocate,
    even_lanes,
    interleave_high,
    interleave_low,
    lane_count,
    load,
    load_partial,
    odd_lanes,
    splat,
    store,
    store_between,
    store_partial,
)


def over_lines(task, naive=None):
    """Jitted ``run(arguments, lines, grain, threads)``: ``task(start, stop, arguments)`` for every `grain` lines. In
    plain Python, ``naive(*arguments)``."""

    @jit(naive=naive and (lambda arguments, lines, grain, threads: naive(*arguments)))
    def run(arguments, lines, grain, threads):
        parallel_for(task, lines, grain, threads, (arguments,))

    return run


class Axis(NamedTuple):
    """Windows along one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int


class Window(NamedTuple):
    """Windows along all axes."""

    depth: Axis
    height: Axis
    width: Axis


class Rows(NamedTuple):
    """`planes` times `rows` rows of an array, the first one at `memory`."""

    memory: object
    planes: int
    plane_stride: int
    rows: int
    row_stride: int


class Phases(NamedTuple):
    """A padded row that is split into `count` phases, `pitch` elements apart."""

    memory: object
    count: int
    pitch: int
    padding: int


@jit(inline=True)
def window_of(sizes):
    """The `Window` of an int64 array (4, 3): kernel, stride, padding and dilation, each along depth, height and
    width."""
    return Window(
        Axis(sizes[0, 0], sizes[1, 0], sizes[2, 0], sizes[3, 0]),
        Axis(sizes[0, 1], sizes[1, 1], sizes[2, 1], sizes[3, 1]),
        Axis(sizes[0, 2], sizes[1, 2], sizes[2, 2], sizes[3, 2]),
    )


@jit(inline=True)
def start_of(o, axis):
    """Where window `o` begins; before 0 in the padding."""
    return o * axis.stride - axis.padding


@jit(inline=True)
def inside(o, axis, size):
    """The range of the elements of window `o` that lie inside an input of `size`."""
    start = start_of(o, axis)
    first = 0 if start >= 0 else (axis.dilation - 1 - start) // axis.dilation
    return first, min(axis.kernel, (size - start + axis.dilation - 1) // axis.dilation)


@jit(inline=True)
def window_at(i, k, axis, out):
    """The window whose element number `k` is element i of the input, or -1 if there is none among `out` windows."""
    at = i + axis.padding - k * axis.dilation
    if at < 0 or at % axis.stride != 0 or at // axis.stride >= out:
        return -1
    return at // axis.stride


# --- phases ----------------------------------------------------------------------------------------------------------


@jit(inline=True)
def _phase_count(stride):
    return stride if stride <= 2 else 1


@jit(inline=True)
def _pitch(like, size, out, axis):
    """Elements of a phase: of a row of `size` elements and its padding, and what vectors reach beyond."""
    count = _phase_count(axis.stride)
    reach = ((out - 1) * axis.stride + (axis.kernel - 1) * axis.dilation) // count + 1
    return max(reach, (size + axis.padding + count - 1) // count + 1) + 2 * lane_count(like)


@jit(inline=True)
def allocate_phases(like, size, out, axis):
    """Phases for rows of `size` elements with `out` windows, to be released by their `memory`."""
    count, pitch = _phase_count(axis.stride), _pitch(like, size, out, axis)
    return Phases(allocate(like, count * pitch + lane_count(like)), count, pitch, axis.padding)


@jit(inline=True)
def place(phases, offset):
    """Position, in 1 or 2 phases, of the elements `offset` places after the beginnings of the windows."""
    return (offset & (phases.count - 1)) * phases.pitch + (offset >> (phases.count - 1))


@jit(inline=True)
def _beginnings(phases):
    """Positions, in 2 phases, of the row's first even and first odd element, after the padding."""
    padding, pitch = phases.padding, phases.pitch
    return padding % 2 * pitch + padding // 2, (1 - padding % 2) * pitch + (padding + 1) // 2


def splitter(combine):
    """Jitted ``split(source, size, phases, fill)``.

    Combines all rows of the `Rows` `source`, of `size` elements, into one, and splits that into phases. What is left of
    the row in the phases stays as it is; the rest of the last vector to its right becomes `fill`.
    """

    @jit(inline=True)
    def combined(source, i, count, fill):
        """Vector i of the combined row, of which `count` elements exist."""
        total = splat(source.memory, fill)
        for plane in range(source.planes):
            for row in range(source.rows):
                at = i + plane * source.plane_stride + row * source.row_stride
                total = combine(total, load_partial(source.memory, at, count, fill))
        return total

    @jit(inline=True)
    def split(source, size, phases, fill):
        memory, lanes = phases.memory, lane_count(phases.memory)
        if phases.count == 1:
            for i in range(0, size, lanes):
                store(memory, phases.padding + i, combined(source, i, size - i, fill))
            return
        even, odd = _beginnings(phases)
        for i in range(0, size, 2 * lanes):
            low = combined(source, i, size - i, fill)
            high = combined(source, i + lanes, size - i - lanes, fill)
            store(memory, even + i // 2, even_lanes(low, high))
            store(memory, odd + i // 2, odd_lanes(low, high))

    return split


@jit(inline=True)
def join(phases, row, size):
    """``row[:size]`` from its phases."""
    memory, lanes = phases.memory, lane_count(row)
    if phases.count == 1:
        for i in range(0, size, lanes):
            store_partial(row, i, size - i, load(memory, phases.padding + i))
        return
    even, odd = _beginnings(phases)
    for i in range(0, size, 2 * lanes):
        a, b = load(memory, even + i // 2), load(memory, odd + i // 2)
        store_partial(row, i, size - i, interleave_low(a, b))
        store_partial(row, i + lanes, size - i - lanes, interleave_high(a, b))


@jit(inline=True)
def clear(memory, count, value):
    """``memory[:count] = value``, whole vectors."""
    for i in range(0, count, lane_count(memory)):
        store(memory, i, splat(memory, value))


@jit(inline=True)
def _store_within(row, w, W, vector):
    """``row[w + lane] = vector[lane]``, but for what lies outside of the row's W elements."""
    if w >= 0 and w + lane_count(row) <= W:
        store(row, w, vector)
    elif w >= 0:
        store_partial(row, w, W - w, vector)
    else:
        store_between(row, w, -w, W - w, vector)


@jit(inline=True)
def store_pairs(row, w, W, even, odd):
    """``row[w], row[w + 1], row[w + 2], ... = even[0], odd[0], even[1], ...`` within the row's W elements."""
    _store_within(row, w, W, interleave_low(even, odd))
    _store_within(row, w + lane_count(row), W, interleave_high(even, odd))
