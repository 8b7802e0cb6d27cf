"""Checks of arguments that the functions share, and results that replace their input."""

import numpy as np

from nn.tensor import Tensor, is_grad_enabled


def checked(name, value, argument="input"):
    """Validate that `value` is a Tensor and return it."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: {argument} must be a Tensor, got {type(value).__name__}")
    return value


def constant(name, value):
    """The array of an argument, a tensor, an array or None, with respect to which the kernels do not differentiate."""
    if value is None:
        return None
    if not isinstance(value, Tensor):
        return np.asarray(value)
    if value.requires_grad and is_grad_enabled():
        raise ValueError(f"{name}: has a gradient for input only, another argument requires one; detach() that")
    return value.data


def number(value):
    """A number, also of a 0-d tensor, which may be changed in place before backward reads it again."""
    return value.item() if isinstance(value, Tensor) else value


def in_place(input, y, inplace):
    """`y`, or `input` with the value and history of `y`."""
    return input._become(y) if inplace else y


def check_classes(name, argument, ids, number):
    """TypeError unless `ids` are integers, IndexError unless they are from 0 to number - 1."""
    if ids.dtype not in (np.int64, np.int32):
        raise TypeError(f"{name}: {argument} must be int64 or int32, got {ids.dtype}")
    if ids.size and not (ids.min() >= 0 and ids.max() < number):
        wrong = ids[(ids < 0) | (ids >= number)].flat[0]
        raise IndexError(f"{name}: {argument} must be from 0 to {number - 1}, got {wrong}")
