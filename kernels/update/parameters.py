"""All parameters in one call: the arrays' checks, their table, and the loop over it.

Arrays of any number and shape would be a new signature each time, so they travel as a table of int64, a column for each
parameter: its size; where p and g are; where its states are, 0 if one is not wanted. The work is cut into parts of at
most PART elements of one parameter.
"""

import ctypes

import numpy as np
from numpy import ndarray

from kernels import _checks
from kernels._jit import jit
from kernels._shares import share_out
from kernels._threads import get_num_threads
from kernels.simd import array_at

PART = 16 * 1024  # elements: some 10 us of work, so that handing out a part costs nothing beside it
SERIAL_BELOW = 2 * PART  # elements in all: starting a parallel region costs 2 to 3 us

LIKE = {dtype: ndarray(0, dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}

# `x.ctypes.data` takes 1 us, more than all else that is done for an array. But the struct behind an ndarray begins with
# the object's header and the address of the data: NumPy's C ABI, compiled into every extension that uses its arrays.
_DATA = object.__basicsize__
if ctypes.c_void_p.from_address(id(LIKE[_checks.FLOAT32]) + _DATA).value != LIKE[_checks.FLOAT32].ctypes.data:
    raise ImportError("kernels: ndarrays of this NumPy do not begin with the address of their data")


@jit
def follow(table):
    """Replace the addresses of ndarrays in the table by those of their data."""
    for field in range(1, table.shape[0]):
        for parameter in range(table.shape[1]):
            if table[field, parameter]:
                table[field, parameter] = array_at(table[field, parameter] + _DATA, 1, table)[0]


@jit
def cut_up(sizes):
    """A row (parameter, start, count) for each part."""
    parts = 0
    for size in sizes:
        parts += (size + PART - 1) // PART
    cut = np.empty((parts, 3), np.int64)
    part = 0
    for parameter in range(sizes.size):
        for start in range(0, sizes[parameter], PART):
            cut[part, 0], cut[part, 1], cut[part, 2] = parameter, start, min(PART, sizes[parameter] - start)
            part += 1
    return cut


@jit(inline=True)
def elements(table, field, cut, part, like):
    """The part's elements of the arrays in the table's row `field`; an empty array if there is none."""
    parameter, start, count = cut[part]
    address = table[field, parameter]
    return array_at(address + start * like.itemsize, count if address else 0, like)


def over_parameters(loops, states):
    """Jitted ``run(table, like, options, threads)``: `loops`, which take so many states, on every part; `like` is any
    array of the parameters' dtype."""

    @jit
    def work(table, cut, part, like, options):
        p, g = elements(table, 1, cut, part, like), elements(table, 2, cut, part, like)
        state = elements(table, 3, cut, part, like)
        if states == 1:
            loops(p, g, state, *options)
        else:
            loops(p, g, state, elements(table, 4, cut, part, like), elements(table, 5, cut, part, like), *options)

    @jit
    def parts(first, last, table, cut, like, options):
        for part in range(first, last):
            work(table, cut, part, like, options)

    @jit
    def run(table, like, options, threads):
        follow(table)
        cut = cut_up(table[0])
        share_out(parts, cut.shape[0], 1, threads, (table, cut, like, options))

    return run


def update(operation, run, params, grads, states, options, optional=()):
    """Check every array, and only then `run` on them.

    `states` has a list of arrays for each state's name, in the order of `run`; those named in `optional` may be None.
    """
    lists = {"params": params, "grads": grads, **states}
    for name, arrays in lists.items():
        if arrays is None and name in optional:
            continue
        if not isinstance(arrays, (list, tuple)):
            raise TypeError(f"{operation}: {name} must be a list of arrays, got {type(arrays).__name__}")
        if len(arrays) != len(params):
            raise ValueError(f"{operation}: params has {len(params)} arrays, {name} has {len(arrays)}")
    kept = [index for index, g in enumerate(grads) if g is not None]
    if not kept:
        return
    dtype = _checks.floats(operation, f"params[{kept[0]}]", params[kept[0]]).dtype
    taken, shapes = [], None  # `taken` keeps alive what the table points to
    for name, arrays in lists.items():
        if arrays is not None:
            arrays = [arrays[index] for index in kept]
            if shapes is None:
                shapes = [getattr(p, "shape", None) for p in arrays]
            if not _plain(arrays, shapes, dtype):
                arrays = _checked(operation, [f"{name}[{index}]" for index in kept], arrays, shapes, dtype)
        taken.append(arrays)
    sizes = [p.size for p in taken[0]]
    cells = sizes.copy()
    for arrays in taken:
        cells += [0] * len(kept) if arrays is None else map(id, arrays)
    if len({*map(id, taken[0])}) < len(kept):
        raise ValueError(f"{operation}: params has the same array twice")
    table = np.array(cells, np.int64).reshape(-1, len(kept))
    run(table, LIKE[dtype], options, 1 if sum(sizes) < SERIAL_BELOW else get_num_threads())


def _plain(arrays, shapes, dtype):
    """Whether all can be taken as they are."""
    for x, shape in zip(arrays, shapes, strict=True):
        if not (x.__class__ is ndarray and x.dtype is dtype and x.flags.carray and x.shape == shape):
            return False
    return True


def _checked(operation, names, arrays, shapes, dtype):
    """The arrays as the kernel takes them: viewed, or, being gradients, copied; an error where one cannot be taken."""
    taken = []
    for name, x, shape in zip(names, arrays, shapes, strict=True):
        if name.startswith("grads"):
            x = _checks.floats(operation, name, x)
            if x.dtype != dtype:
                raise TypeError(f"{operation}: dtypes differ: params are {dtype}, {name} is {x.dtype}")
            if x.shape != shape:
                raise ValueError(f"{operation}: {name} must have shape {tuple(shape)}, got {x.shape}")
        else:
            if isinstance(x, np.generic):  # its array would be a copy, and the update lost
                raise TypeError(f"{operation}: {name} must be an array, got {type(x).__name__}")
            x = _checks.output(operation, _checks.as_array(operation, name, x), shape, dtype, name)
        taken.append(x)
    return taken
