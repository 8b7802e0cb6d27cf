"""Numbers as integers in the same order, in jitted code: what `keys` does in Python."""

import numpy as np
from numba import types

from kernels._njit_errors import _check
from kernels.sorting.keys import FORMS


@_check
def bits_of(x):
    """`keys.bits_of`"""
    if x.dtype == types.float32:
        return lambda x: x.reshape(-1).view(np.int32)
    return lambda x: x.reshape(-1).view(np.int64)


@_check
def form_of(x):
    """How the bits of the dtype of `x` are read."""
    form = FORMS[np.dtype(str(x.dtype))]
    return lambda x: form
