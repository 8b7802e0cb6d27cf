"""All parameters in one call: the arrays' checks, their table, and the loop over it.

Arrays of any number and shape would be a new signature each time, so they travel as a table of int64, a row for each
parameter: its size; the addresses of p and g; the addresses of the states, 0 where one is not wanted. The work is cut
into parts of at most PART elements of one parameter.
"""

from ctypes import addressof, c_char
from itertools import repeat

import numpy as np
from numba import prange
from numpy import ndarray

from kernels import _checks
from kernels._jit import jit
from kernels._threads import enter, get_num_threads, leave
from kernels.simd import array_at

PART = 16 * 1024  # elements: some 10 us of work, so that handing out a part costs nothing beside it
SERIAL_BELOW = 2 * PART  # elements in all: starting a parallel region costs 2 to 3 us

_LIKE = {dtype: ndarray(0, dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}
_buffer = (c_char * 0).from_buffer  # its address is had four times faster than x.ctypes.data
_ABSENT = object()  # stands for a state that is not wanted


@jit
def _cut(table):
    """A row (parameter, start, count) for each part."""
    parts = 0
    for parameter in range(table.shape[0]):
        parts += (table[parameter, 0] + PART - 1) // PART
    cut = np.empty((parts, 3), np.int64)
    part = 0
    for parameter in range(table.shape[0]):
        size = table[parameter, 0]
        for start in range(0, size, PART):
            cut[part, 0], cut[part, 1], cut[part, 2] = parameter, start, min(PART, size - start)
            part += 1
    return cut


@jit(inline=True)
def _elements(table, field, cut, part, like):
    """The part's elements of the array in the table's column `field`; an empty array if there is none."""
    parameter, start, count = cut[part]
    address = table[parameter, field]
    return array_at(address + start * like.itemsize, count if address else 0, like)


def over_parameters(loops, states):
    """Jitted ``run(table, like, options, threads)``: `loops`, which take so many states, on every part; `like` is any
    array of the parameters' dtype."""

    @jit
    def work(table, cut, part, like, options):
        p, g = _elements(table, 1, cut, part, like), _elements(table, 2, cut, part, like)
        state = _elements(table, 3, cut, part, like)
        if states == 1:
            loops(p, g, state, *options)
        else:
            loops(p, g, state, _elements(table, 4, cut, part, like), _elements(table, 5, cut, part, like), *options)

    @jit(parallel=True)
    def run(table, like, options, threads):
        cut = _cut(table)
        if threads == 1:
            for part in range(cut.shape[0]):
                work(table, cut, part, like, options)
        else:
            before = enter(threads)
            for part in prange(cut.shape[0]):
                work(table, cut, part, like, options)
            leave(before)

    return run


def update(operation, run, params, grads, states, options, optional=()):
    """Check every array, and only then `run` on them.

    `states` has a list of arrays for each state's name, in the order of `run`; those named in `optional` may be None.
    """
    lists = {"params": params, "grads": grads, **states}
    for name, arrays in lists.items():
        if arrays is None and name in optional:
            lists[name] = repeat(_ABSENT)
        elif not isinstance(arrays, (list, tuple)):
            raise TypeError(f"{operation}: {name} must be a list of arrays, got {type(arrays).__name__}")
        elif len(arrays) != len(params):
            raise ValueError(f"{operation}: params has {len(params)} arrays, {name} has {len(arrays)}")
    dtype = None
    rows, cells = [], []  # rows keep alive what the addresses in cells point to
    for index, row in enumerate(zip(*lists.values(), strict=False)):  # not strict: `repeat` has no end
        if row[1] is None:
            continue
        if dtype is None:
            dtype = _checks.floats(operation, f"params[{index}]", row[0]).dtype
        if not _plain(row, dtype):
            row = _checked(operation, [f"{name}[{index}]" for name in lists], row, dtype)
        rows.append(row)
        cells.append(row[0].size)
        for x in row:
            cells.append(0 if x is _ABSENT else addressof(_buffer(x)))
    if not rows:
        return
    fields = 1 + len(lists)
    if len(set(cells[1::fields])) < len(rows):
        raise ValueError(f"{operation}: params has the same array twice")
    table = np.array(cells, np.int64).reshape(-1, fields)
    run(table, _LIKE[dtype], options, 1 if sum(cells[::fields]) < SERIAL_BELOW else get_num_threads())


def _plain(row, dtype):
    """Whether the row's arrays can be taken as they are."""
    p = row[0]
    if p.__class__ is not ndarray:
        return False
    shape = p.shape
    for x in row:
        if not (x.__class__ is ndarray and x.dtype is dtype and x.flags.carray and x.shape == shape or x is _ABSENT):
            return False
    return True


def _checked(operation, names, row, dtype):
    """The row's arrays as the kernel takes them, viewed or (only the gradient) copied; an error where one cannot be."""
    taken = []
    for name, x in zip(names, row, strict=True):
        if name == names[1]:
            x = _checks.floats(operation, name, x)
            _checks.same_dtype(operation, **{names[0]: taken[0], name: x})
            _checks.same_shape(operation, **{names[0]: taken[0], name: x})
        elif x is not _ABSENT:
            if isinstance(x, np.generic):  # its array would be a copy, and the update lost
                raise TypeError(f"{operation}: {name} must be an array, got {type(x).__name__}")
            x = _checks.as_array(operation, name, x)
            x = _checks.output(operation, x, taken[0].shape if taken else x.shape, dtype, name)
        taken.append(x)
    return taken
