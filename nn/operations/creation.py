"""Tensors from numbers, arrays and nothing."""

import math

import numpy as np

from nn.operations.arguments import as_array, sizes_of
from nn.storage import Tensor


def tensor(data, dtype=None, requires_grad=False):
    """A tensor with a copy of `data`.

    Parameters
    ----------
    data : array_like
    dtype : numpy.dtype, optional
        By default that of `data`; float32 for Python's floats.
    requires_grad : bool, default False
    """
    return Tensor(as_array(data, dtype).copy(), requires_grad=requires_grad)


def from_numpy(array):
    """A tensor that shares the memory of an array: a change of one is a change of the other."""
    return Tensor(array)


def zeros(*size, dtype=np.float32, requires_grad=False):
    """A tensor of zeros."""
    return Tensor(np.zeros(sizes_of(size), dtype), requires_grad=requires_grad)


def ones(*size, dtype=np.float32, requires_grad=False):
    """A tensor of ones."""
    return Tensor(np.ones(sizes_of(size), dtype), requires_grad=requires_grad)


def full(size, fill_value, dtype=None, requires_grad=False):
    """A tensor filled with one number."""
    return Tensor(np.full(size, as_array(fill_value, dtype)), requires_grad=requires_grad)


def arange(start, end=None, step=1, dtype=None):
    """The numbers from `start` (0 if only one bound is given) up to, but not including, `end`.

    Raises
    ------
    ValueError
        `step` is 0, or leads away from `end`.
    """
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise ValueError("arange: step must not be 0")
    if not all(map(math.isfinite, (start, end, step))):
        raise ValueError(f"arange: bounds and step must be finite, got {start}, {end} and {step}")
    if not (start <= end if step > 0 else start >= end):
        raise ValueError(f"arange: a step of {step} does not lead from {start} to {end}")
    if dtype is None:
        dtype = np.float32 if any(isinstance(v, float) for v in (start, end, step)) else np.int64
    return Tensor(np.arange(start, end, step, dtype))
