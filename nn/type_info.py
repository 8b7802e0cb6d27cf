"""The limits of dtypes, and which results a dtype can store."""

from typing import NamedTuple

import numpy as np

from nn.dtypes import checked, get_default_dtype


class FloatLimits(NamedTuple):
    """What `finfo` returns."""

    bits: int
    eps: float
    max: float
    min: float
    tiny: float
    smallest_normal: float
    resolution: float
    dtype: str


class IntegerLimits(NamedTuple):
    """What `iinfo` returns."""

    bits: int
    max: int
    min: int
    dtype: str


def finfo(type=None):
    """The limits of a floating-point dtype (the default one without an argument), as Python's numbers.

    Examples
    --------
    >>> import nn
    >>> nn.finfo(nn.float32).eps
    1.1920928955078125e-07
    """
    found = get_default_dtype() if type is None else checked("finfo", type)
    if found.kind != "f":
        raise TypeError(f"finfo: needs a floating-point dtype, got {found}")
    limits = np.finfo(found)
    numbers = (limits.eps, limits.max, limits.min, limits.tiny, limits.smallest_normal)
    return FloatLimits(limits.bits, *(number.item() for number in numbers), 10.0**-limits.precision, str(limits.dtype))


def iinfo(type):
    """The limits of an integer dtype.

    Examples
    --------
    >>> import nn
    >>> nn.iinfo(nn.int64).max
    9223372036854775807
    """
    found = checked("iinfo", type)
    if found.kind not in "iu":
        raise TypeError(f"iinfo: needs a dtype of integers, got {found}")
    limits = np.iinfo(found)
    return IntegerLimits(limits.bits, limits.max, limits.min, str(limits.dtype))


def can_cast(from_, to):
    """Whether PyTorch's rules allow a result of the first dtype to be stored as the second.

    Floating-point numbers are not stored as integers, nor numbers as bools.

    Examples
    --------
    >>> import nn
    >>> nn.can_cast(nn.float32, nn.int64)
    False
    """
    order = "b", "iu", "f"
    first, second = (
        next(i for i, kinds in enumerate(order) if checked("can_cast", d).kind in kinds) for d in (from_, to)
    )
    return first <= second


def promote_types(type1, type2):
    """The dtype of results of operands of two dtypes, by PyTorch's rules: floats before integers before bools.

    Examples
    --------
    >>> import nn
    >>> nn.promote_types(nn.int64, nn.float32)
    dtype('float32')
    """
    first, second = checked("promote_types", type1), checked("promote_types", type2)
    floats = [d for d in (first, second) if d.kind == "f"]
    return floats[0] if len(floats) == 1 else np.promote_types(first, second)
