"""Validation of arguments, and results that replace their input, shared by the functions."""

import numpy as np

from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import bool_of, not_a_tensor, numbers_of, scalar_of
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


def constant(name, value, argument):
    """The array of an argument that has no gradient: a tensor, an array or None; ValueError if it requires one."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if not isinstance(value, Tensor):
        return numbers_of(name, argument, value)
    if value.requires_grad and is_grad_enabled():
        raise ValueError(
            f"{name}: has a gradient with respect to input only, but another argument requires one; detach() it"
        )
    return value.array


def weights_of(name, weight, argument="weight"):
    """As `constant`; TypeError for a single number."""
    if isinstance(weight, (int, float)):
        raise not_a_tensor(name, weight, argument)
    return constant(name, weight, argument)


def probability(name, p, training):
    """The probability of dropping, 0 unless `training`; ValueError if it is not from 0 to 1."""
    if type(p) is not float:
        p = scalar_of(name, "p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be between 0 and 1, got {p}")
    if training is not True and training is not False:
        training = bool_of(name, "training", training)
    return p if training else 0


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
