"""Other types, and copies."""

import numpy as np

from nn.dtypes import cast
from nn.storage import wrap
from nn.tape import record, record_linear


def to(input, dtype):
    """The same values in another dtype; the tensor itself if it has that dtype already.

    Overflow is not reported: a float64 beyond float32's range becomes infinite, and a NaN or an out-of-range number
    as an integer is undefined.
    """
    old = input.array.dtype
    if old == dtype:
        return input
    new = cast(input.array, dtype)
    if old.kind != "f" or new.dtype.kind != "f":
        return wrap(new)
    return record_linear("to", lambda x: cast(x, dtype), lambda dy: cast(dy, old), input)


def clone(input):
    """A copy; its gradient is passed to the original."""
    return record("clone", input.array.copy(), (input,), _same, derivative=_same)


def _same(dy):
    return dy


def detach(input):
    """The same values on the same memory, without history."""
    result = wrap(input.array)
    input._memory.share(input, result)
    return result


def float(input):
    """The values as float32."""
    return to(input, np.float32)


def double(input):
    """The values as float64."""
    return to(input, np.float64)


def long(input):
    """The values as int64."""
    return to(input, np.int64)


def bool(input):
    """Whether the values differ from zero."""
    return to(input, np.bool_)
