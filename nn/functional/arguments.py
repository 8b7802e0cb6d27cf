"""Validation of arguments, and results that replace their input, shared by the functions."""

import operator

import numpy as np

from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import not_a_tensor
from nn.operations.in_place import become
from nn.tensor import Tensor


def checked(name, value, argument="input"):
    """Validate that `value` is a Tensor and return it."""
    if not isinstance(value, Tensor):
        raise not_a_tensor(name, value, argument)
    return value


def not_tensors(name, **arguments):
    """The TypeError for the first argument that is no Tensor; None counts only if all others are."""
    wrong = {argument: value for argument, value in arguments.items() if not isinstance(value, Tensor)}
    argument, value = next((pair for pair in wrong.items() if pair[1] is not None), next(iter(wrong.items())))
    return not_a_tensor(name, value, argument)


def constant(name, value):
    """The array of an argument that has no gradient: a tensor, an array or None; ValueError if it requires one."""
    if value is None:
        return None
    if not isinstance(value, Tensor):
        return np.asarray(value)
    if value.requires_grad and is_grad_enabled():
        raise ValueError(
            f"{name}: has a gradient with respect to input only, but another argument requires one; detach() it"
        )
    return value.array


def ignored(name, ignore_index):
    """The class to ignore, an int; TypeError for anything else but a 0-d tensor of one."""
    try:
        return operator.index(number(ignore_index))
    except TypeError:
        raise TypeError(f"{name}: ignore_index must be an int, got {type(ignore_index).__name__}") from None


def number(value):
    """Convert a 0-d tensor to a number: changed in place, it would change what backward computes."""
    return value.item() if isinstance(value, Tensor) else value


def in_place(input, y, inplace):
    """`y`, or with `inplace` `input` with the value and the history of `y`."""
    return become(input, y) if inplace else y


def check_classes(name, argument, ids, number):
    """TypeError unless `ids` are integers, IndexError unless they are from 0 to number - 1."""
    if ids.dtype not in (np.int64, np.int32):
        raise TypeError(f"{name}: {argument} must be int64 or int32, got {ids.dtype}")
    if ids.size and not (ids.min() >= 0 and ids.max() < number):
        outside = ids[(ids < 0) | (ids >= number)].flat[0]
        raise IndexError(f"{name}: {argument} must be from 0 to {number - 1}, got {outside}")
