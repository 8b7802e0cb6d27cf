r"""Slices in blocks: how softmax, logsumexp and cross-entropy divide their work.

An array (outer, n, inner) has outer x inner slices of n elements; slice (o, j) has the number o * inner + j. A block is
a range of neighbouring slices that stay in L1 while they are read several times: with inner = 1 some rows, else some
columns of one o. A task is one or more blocks.

Adding up the lanes of one vector takes longer than the rest of a short row, and each step of it waits for the one
before. So all rows of a block take part in each pass: the chains of different rows run side by side. A long row is a
block of its own.
"""

from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.machine import cache_bytes, lanes, vector_bytes
from kernels.reduction.layout import expect_shape, split
from kernels.simd import allocate, flat_each, release, shifted, strided
from kernels.simd.stream import streaming_done

BLOCK_ELEMENTS = 1024  # of a block of rows: 4 or 8 KiB of x and as much of y stay in L1
MAX_ROWS = 64  # of a block
MAX_COLUMNS = 256  # of a block: their peaks and totals stay in L1
TASK = 16 * 1024  # elements of a task, about 5 us of work: scheduling it costs little in comparison


class Block(NamedTuple):
    """The slices from number `first` to `last` - 1 of an array (outer, n, inner)."""

    first: int
    last: int
    n: int
    inner: int


class Scratch(NamedTuple):
    """Memory for one number for each slice of a block, free for any use; `wide_totals` is float64."""

    peaks: object
    totals: object
    wide_totals: object


@jit(inline=True)
def slice_start(slice, n, inner):
    """Offset of a slice's first element."""
    return slice // inner * n * inner + slice % inner


@jit(inline=True)
def rows_of(block, x):
    """The view of a block's first element in `x`: if inner = 1 each row is a slice, else each column."""
    stride = block.n if block.inner == 1 else block.inner
    return strided(shifted(x, slice_start(block.first, block.n, block.inner)), stride, 1)


@jit(inline=True)
def _rows_per_block(n):
    return max(1, min(MAX_ROWS, BLOCK_ELEMENTS // n))


@jit
def block_count(outer, n, inner):
    """Number of blocks of an array."""
    if inner == 1:
        rows = _rows_per_block(n)
        return (outer + rows - 1) // rows
    return outer * ((inner + MAX_COLUMNS - 1) // MAX_COLUMNS)


@jit
def block_at(number, outer, n, inner):
    """Block number `number`."""
    if inner == 1:
        rows = _rows_per_block(n)
        return Block(number * rows, min((number + 1) * rows, outer), n, inner)
    blocks = (inner + MAX_COLUMNS - 1) // MAX_COLUMNS
    first = number // blocks * inner + number % blocks * MAX_COLUMNS
    return Block(first, min(first + MAX_COLUMNS, (number // blocks + 1) * inner), n, inner)


@jit
def blocks_per_task(n, inner):
    """Number of blocks of a task."""
    return max(1, TASK // (n * (_rows_per_block(n) if inner == 1 else min(inner, MAX_COLUMNS))))


def over_blocks(body):
    """Jitted ``loops(outer, n, inner, threads, *arguments)`` that calls ``body(block, scratch, *arguments)`` for each
    block; arrays among the arguments are passed as `Memory`. The first argument is an array and gives the dtype.
    """

    @jit
    def task(first, last, outer, n, inner, arguments):
        x, memory = arguments[0], flat_each(arguments)
        scratch = Scratch(allocate(x, MAX_COLUMNS), allocate(x, MAX_COLUMNS), allocate(np.float64, MAX_COLUMNS))
        for number in range(first, last):
            body(block_at(number, outer, n, inner), scratch, *memory)
        streaming_done()
        release(scratch.peaks)
        release(scratch.totals)
        release(scratch.wide_totals)

    @jit
    def loops(outer, n, inner, threads, *arguments):
        blocks = block_count(outer, n, inner)
        parallel_for(task, blocks, blocks_per_task(n, inner), threads, (outer, n, inner, arguments))

    return loops


# --- from Python -----------------------------------------------------------------------------------------------------


def forward(operation, loops, x, dim):
    """Validate the arguments of a forward along `dim`, run its loops and return the result."""
    x = _checks.floats(operation, "x", x)
    outer, n, inner = split(operation, x, dim)
    y = _checks.new(x.shape, x.dtype)
    if x.ndim == 1:
        loops(outer, n, inner, threads_for(n), x, y)
    elif x.size:
        loops(outer, n, inner, threads_for(x.size), x.ravel(), y.ravel())
    return y


def backward(operation, loops, dy, y, dim):
    """Validate the arguments of a backward along `dim`, run its loops and return dx."""
    dy, y = _checks.floats(operation, "dy", dy), _checks.floats(operation, "y", y)
    _checks.same_dtype(operation, dy=dy, y=y)
    expect_shape(operation, "dy", dy, y.shape)
    outer, n, inner = split(operation, y, dim)
    dx = _checks.new(y.shape, y.dtype)
    if y.size:
        aligned = dx.ctypes.data % vector_bytes() == 0 and n % lanes(dx.dtype) == 0
        # dx would not stay in any cache until it is read
        streaming = inner == 1 and aligned and 3 * dx.nbytes > cache_bytes(3)
        loops(outer, n, inner, threads_for(y.size), dy.ravel(), y.ravel(), dx.ravel(), streaming)
    return dx
