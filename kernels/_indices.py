"""Numbers of rows or classes, whose contents are checked: one out of range is an error, never a read out of bounds."""

import numpy as np

from kernels._jit import jit


@jit
def all_within(ids, number):
    """Whether all ids, of which there is one at least, are from 0 to number - 1."""
    lowest = highest = np.int64(0)
    for i in range(ids.size):  # without an early exit, so that it is vectorised
        lowest, highest = min(lowest, ids[i]), max(highest, ids[i])
    return lowest >= 0 and highest < number


@jit
def _first_outside(ids, number):
    """Position of the first id that is not from 0 to number - 1, or -1."""
    if all_within(ids, number):
        return -1
    for i in range(ids.size):
        if ids[i] < 0 or ids[i] >= number:
            return i
    return -1


def within(operation: str, name: str, ids: np.ndarray, number: int):
    """IndexError unless all of the C-contiguous int64 `ids` are from 0 to number - 1."""
    bad = _first_outside(ids if ids.ndim == 1 else ids.reshape(-1), number)
    if bad >= 0:
        place = tuple(int(i) for i in np.unravel_index(bad, ids.shape)) if ids.ndim else ()
        raise IndexError(f"{operation}: {name} must be from 0 to {number - 1}, got {ids.flat[bad]} at {place}")
