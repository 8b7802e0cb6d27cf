"""Class indices as targets: the checks, the weights they pick, and how their losses are reduced."""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels.loss.pairs import REDUCTIONS, reduced

IGNORED = -1  # in an array of targets that has been checked


@jit
def _check_targets(target, weight, ignore_index, classes, index, picked):
    """Each position's class (IGNORED where it does not count) and its weight; returns the first bad position or -1."""
    for s in range(target.size):
        t = target[s]
        if t == ignore_index:
            index[s], picked[s] = IGNORED, 0.0
        elif t < 0 or t >= classes:
            return s
        else:
            index[s], picked[s] = t, weight[t] if weight.size else 1.0
    return -1


@jit
def _sum(values):
    """Sum in float64, in order."""
    total = 0.0
    for s in range(values.size):
        total += values[s]
    return total


class Targets:
    """The targets of losses of `shape`, over logits of `classes` classes in the dtype of `x`, with class weights.

    After `take_classes`: `index` (IGNORED where a target does not count) and `picked`, the weight of each; `divisor` is
    what "mean" divides by.
    """

    def __init__(self, operation, x, shape, classes, weight, reduction):
        _checks.choice(operation, "reduction", reduction, REDUCTIONS)
        self.operation, self.x, self.shape, self.classes, self.reduction = operation, x, shape, classes, reduction
        self.slices = math.prod(shape)
        if classes == 0 and self.slices:
            raise ValueError(f"{operation}: there are no classes for x {x.shape}")
        if weight is None:
            self.weight = np.empty(0, x.dtype)
        else:
            self.weight = _checks.floats(operation, "weight", weight)
            _checks.same_dtype(operation, x=x, weight=self.weight)
            if self.weight.shape != (classes,):
                raise ValueError(f"{operation}: weight must have shape {(classes,)}, got {self.weight.shape}")

    def take_classes(self, target, ignore_index):
        """Check the class indices; IndexError where one is out of range."""
        operation = self.operation
        target = _checks.indices(operation, "target", target)
        if target.shape != self.shape:
            raise ValueError(
                f"{operation}: target must have shape {self.shape} for x {self.x.shape}, got {target.shape}"
            )
        flat = target.reshape(-1)
        self.index, self.picked = np.empty(flat.size, np.int64), np.empty(flat.size, self.x.dtype)
        bad = _check_targets(flat, self.weight, ignore_index, self.classes, self.index, self.picked)
        if bad >= 0:
            position = tuple(int(i) for i in np.unravel_index(bad, target.shape)) if target.ndim else ()
            raise IndexError(
                f"{operation}: target {flat[bad]} is out of range for {self.classes} classes (at position {position})"
            )
        if self.reduction == "mean":
            self.divisor = _sum(self.picked)

    def reduce(self, losses):
        """The losses as the caller wants them."""
        if self.reduction != "mean":
            return reduced(losses.reshape(self.shape), self.reduction)
        return np.asarray(_sum(losses) / self.divisor if self.divisor else math.nan, self.x.dtype)

    def loss_gradients(self, dy):
        """The gradient of each loss."""
        operation = self.operation
        dy = _checks.floats(operation, "dy", dy)
        _checks.same_dtype(operation, dy=dy, x=self.x)
        expected = self.shape if self.reduction == "none" else ()
        if dy.shape != expected:
            raise ValueError(f"{operation}: dy must have shape {expected}, got {dy.shape}")
        if self.reduction == "none":
            return dy.reshape(-1)
        scale = float(dy)
        if self.reduction == "mean":
            scale = scale / self.divisor if self.divisor else scale * math.nan
        return np.full(self.slices, scale, self.x.dtype)


def smoothed(operation, label_smoothing, weight):
    """The share of a target that is spread over the classes, and whether by weight, as the loops take them."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{operation}: label_smoothing must be from 0 to 1, got {label_smoothing}")
    return np.array([label_smoothing, weight is not None], np.float64)
