r"""Numbers as integers in the same order: what is sorted, compared and searched for.

The bits of a positive float, read as an integer, are in the order of the floats; those of a negative one say how far it
is below zero. So

    key = bits where x >= 0,  -(bits without the sign) where x < 0,  and the largest integer for any NaN

orders floats as their values do, with NaN last, and -0.0 and 0.0 have the same key. An integer is its own key.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit


class Form(NamedTuple):
    """How the bits of a dtype are read: `magnitude` are those of a float without the sign, and the key of a NaN; those
    of an infinity are `infinity`. For integers both are 0."""

    magnitude: int
    infinity: int


FORMS = {
    np.dtype(np.float32): Form(np.int64(0x7FFFFFFF), np.int64(0x7F800000)),
    np.dtype(np.float64): Form(np.int64(0x7FFFFFFFFFFFFFFF), np.int64(0x7FF0000000000000)),
    np.dtype(np.int64): Form(np.int64(0), np.int64(0)),
}
SIGN = np.uint64(2**63)
BITS = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}  # the integer of as many bytes


def bits_of(x):
    """The memory of an array as integers, in one dimension."""
    x = x if x.ndim == 1 else x.reshape(-1)
    return x.view(BITS[x.itemsize])


@jit(inline=True)
def key_of(bits, form):
    """The key of one number, an int64."""
    number = np.int64(bits)
    size = number & form.magnitude
    key = number if number >= 0 or form.infinity == 0 else -size
    return form.magnitude if size > form.infinity else key


@jit(inline=True)
def distance(key, other):
    """``abs(key - other)`` as a uint64, which an int64 may be too short for."""
    a, b = np.uint64(key) ^ SIGN, np.uint64(other) ^ SIGN
    return a - b if a >= b else b - a


@jit(inline=True)
def is_nan(key, form):
    """Whether this is the key of a NaN."""
    return form.infinity != 0 and key == form.magnitude
