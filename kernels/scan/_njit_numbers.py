"""Numbers of any kind in jitted code: the checks of `_checks` that entries of scans and of sorting need."""

import numpy as np
from numba import types

from kernels._njit_checks import FLOATS, _array
from kernels._njit_errors import _check

NUMBERS = (*FLOATS, types.int64)


def _becomes_int64(x):
    if not isinstance(x, types.Array) or x.dtype in (types.int64, types.uint64):
        return False
    return isinstance(x.dtype, (types.Integer, types.Boolean))


@_check
def numbers(operation, name, x):
    """`x` as a C-contiguous float32, float64 or int64 array: integers and bools become int64."""
    if not _becomes_int64(x):
        return _array(operation, name, x, NUMBERS, "float32, float64, an integer or bool")
    if x.layout == "F":  # which `astype` would keep
        return lambda operation, name, x: x.copy().astype(np.int64)
    return lambda operation, name, x: x.astype(np.int64)


@_check
def as_given(values, x):
    """`values` in the dtype of `x`, of which they were chosen."""
    if not _becomes_int64(x):
        return lambda values, x: values
    return lambda values, x: values.astype(x.dtype)
