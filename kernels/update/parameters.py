"""All parameters in one call: the arrays' validation, their table, and the loop over it.

Each number of arrays would be a signature of its own, so they are passed as one table of int64, with a column for each
parameter and these rows: its size; the addresses of p and g; those of its states, 0 for one that is not used. A task is
at most TASK elements of one parameter.
"""

import ctypes
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.simd import array_at

TASK = 16 * 1024  # elements: about 10 us of work; scheduling a task costs little in comparison

# Rows of the table; more states follow.
SIZE, PARAM, GRAD, STATE = 0, 1, 2, 3
# Columns of the array of tasks.
COLUMN, START, COUNT = 0, 1, 2


class Task(NamedTuple):
    """Elements `start` to ``start + count - 1`` of the arrays in a column of the table."""

    column: int
    start: int
    count: int


LIKE = {dtype: ndarray(0, dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}

# `x.ctypes.data` takes 1 us, more than all else that is done for an array. But an ndarray's C struct begins with
# the object's header and the address of the data: NumPy's C ABI, compiled into every extension that uses its arrays.
_DATA = object.__basicsize__
if ctypes.c_void_p.from_address(id(LIKE[_checks.FLOAT32]) + _DATA).value != LIKE[_checks.FLOAT32].ctypes.data:
    raise ImportError("kernels: ndarrays of this NumPy do not begin with the address of their data")


@jit
def dereference(table):
    """Replace the addresses of ndarrays in the table by those of their data."""
    for row in range(PARAM, table.shape[0]):
        for column in range(table.shape[1]):
            if table[row, column]:
                table[row, column] = array_at(table[row, column] + _DATA, 1, table)[0]


@jit
def tasks_of(sizes):
    """The tasks for arrays of these sizes, a row for each."""
    count = 0
    for size in sizes:
        count += (size + TASK - 1) // TASK
    tasks = np.empty((count, 3), np.int64)
    number = 0
    for column in range(sizes.size):
        for start in range(0, sizes[column], TASK):
            tasks[number, COLUMN], tasks[number, START] = column, start
            tasks[number, COUNT] = min(TASK, sizes[column] - start)
            number += 1
    return tasks


@jit(inline=True)
def task_at(tasks, number):
    return Task(tasks[number, COLUMN], tasks[number, START], tasks[number, COUNT])


@jit(inline=True)
def elements(table, row, task, like):
    """The task's elements of the array in this row of the table; an empty array if there is none."""
    address = table[row, task.column]
    return array_at(address + task.start * like.itemsize, task.count if address else 0, like)


def over_parameters(loops, states, Options):
    """Jitted ``run(table, like, options, threads)``: `loops`, which take so many states, on every task.

    `like` is any array of the parameters' dtype; `options` is a plain tuple, for Python a NamedTuple would be slower to
    pass: the fields of `Options`.
    """

    @jit
    def run_task(table, task, like, options):
        p, g = elements(table, PARAM, task, like), elements(table, GRAD, task, like)
        state = elements(table, STATE, task, like)
        if states == 1:
            loops(p, g, state, options)
        else:
            second, third = elements(table, STATE + 1, task, like), elements(table, STATE + 2, task, like)
            loops(p, g, state, second, third, options)

    @jit
    def run_tasks(first, last, table, tasks, like, options):
        for number in range(first, last):
            run_task(table, task_at(tasks, number), like, options)

    @jit
    def run(table, like, options, threads):
        dereference(table)
        tasks = tasks_of(table[SIZE])
        parallel_for(run_tasks, tasks.shape[0], 1, threads, (table, tasks, like, Options(*options)))

    return run


def update(operation, run, params, grads, states, options, optional=()):
    """Validate every array, then `run` on them.

    `states` has a list of arrays for each state's name, in the order of the loops; those named in `optional` may be
    None.
    """
    lists = {"params": params, "grads": grads, **states}
    for name, arrays in lists.items():
        if arrays is None and name in optional:
            continue
        if not isinstance(arrays, (list, tuple)):
            raise TypeError(f"{operation}: {name} must be a list of arrays, got {type(arrays).__name__}")
        if len(arrays) != len(params):
            raise ValueError(f"{operation}: params has {len(params)} arrays, {name} has {len(arrays)}")
    used = [index for index, g in enumerate(grads) if g is not None]
    if not used:
        return
    dtype = _checks.floats(operation, f"params[{used[0]}]", params[used[0]]).dtype
    validated, shapes = [], None  # `validated` keeps alive what the table points to
    for name, arrays in lists.items():
        if arrays is not None:
            arrays = [arrays[index] for index in used]
            if shapes is None:
                shapes = [getattr(p, "shape", None) for p in arrays]
            if not _plain(arrays, shapes, dtype):
                arrays = _checked(operation, [f"{name}[{index}]" for index in used], arrays, shapes, dtype)
        validated.append(arrays)
    sizes = [p.size for p in validated[0]]
    cells = sizes.copy()
    for arrays in validated:
        cells += [0] * len(used) if arrays is None else map(id, arrays)
    if len({*map(id, validated[0])}) < len(used):
        raise ValueError(f"{operation}: params has the same array twice")
    table = np.array(cells, np.int64).reshape(-1, len(used))
    run(table, LIKE[dtype], options, threads_for(sum(sizes)))


def _plain(arrays, shapes, dtype):
    """Whether the loops can take all arrays as they are."""
    for x, shape in zip(arrays, shapes, strict=True):
        if not (x.__class__ is ndarray and x.dtype is dtype and x.flags.carray and x.shape == shape):
            return False
    return True


def _checked(operation, names, arrays, shapes, dtype):
    """Validate and return the arrays: viewed, or copied where gradients need it."""
    checked = []
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
        checked.append(x)
    return checked
