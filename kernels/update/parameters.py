"""All parameters in one call: the arrays' checks, their table, and the loop over it.

Arrays of any number and shape would be a new signature each time, so they travel as a table of int64, a column for each
parameter: its size; where p and g are; where its states are, 0 if one is not wanted. A task is at most
TASK elements of one parameter.
"""

import ctypes

import numpy as np
from numpy import ndarray

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.simd import array_at

TASK = 16 * 1024  # elements some 10 us of work, long against handing a task to a thread

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
    """A row (parameter, start, count) for each task."""
    tasks = 0
    for size in sizes:
        tasks += (size + TASK - 1) // TASK
    cut = np.empty((tasks, 3), np.int64)
    task = 0
    for parameter in range(sizes.size):
        for start in range(0, sizes[parameter], TASK):
            cut[task, 0], cut[task, 1], cut[task, 2] = parameter, start, min(TASK, sizes[parameter] - start)
            task += 1
    return cut


@jit(inline=True)
def elements(table, field, cut, task, like):
    """The task's elements of the arrays in the table's row `field`; an empty array if there is none."""
    parameter, start, count = cut[task]
    address = table[field, parameter]
    return array_at(address + start * like.itemsize, count if address else 0, like)


def over_parameters(loops, states):
    """Jitted ``run(table, like, options, threads)``: `loops`, which take so many states, on every task; `like` is any
    array of the parameters' dtype."""

    @jit
    def run_task(table, cut, task, like, options):
        p, g = elements(table, 1, cut, task, like), elements(table, 2, cut, task, like)
        state = elements(table, 3, cut, task, like)
        if states == 1:
            loops(p, g, state, *options)
        else:
            loops(p, g, state, elements(table, 4, cut, task, like), elements(table, 5, cut, task, like), *options)

    @jit
    def tasks(first, last, table, cut, like, options):
        for task in range(first, last):
            run_task(table, cut, task, like, options)

    @jit
    def run(table, like, options, threads):
        follow(table)
        cut = cut_up(table[0])
        parallel_for(tasks, cut.shape[0], 1, threads, (table, cut, like, options))

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
    run(table, LIKE[dtype], options, threads_for(sum(sizes)))


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
