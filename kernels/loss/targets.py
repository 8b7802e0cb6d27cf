"""Targets of classification losses: their validation, their weights, and the reduction of their losses."""

import math
from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.loss.pairs import REDUCTIONS, reduced

IGNORED = -1  # in an array of validated class indices


class IndexTarget(NamedTuple):
    """Class indices as the loops take them: for each loss its class (or IGNORED) and that class's weight; the weights
    of all classes, which count if `weighted`; and ε, the label smoothing."""

    index: object
    index_weight: object
    weight: object
    weighted: bool
    epsilon: float


class ProbabilityTarget(NamedTuple):
    """Class probabilities as the loops take them, of the shape of the logits; the rest as in `IndexTarget`."""

    probabilities: object
    weight: object
    weighted: bool
    epsilon: float


@jit
def _check_targets(target, weight, ignore_index, classes, index, index_weight):
    """The class (or IGNORED) and weight of each target; returns the position of the first that is out of range, or
    -1."""
    for s in range(target.size):
        t = target[s]
        if t == ignore_index:
            index[s], index_weight[s] = IGNORED, 0.0
        elif t < 0 or t >= classes:
            return s
        else:
            index[s], index_weight[s] = t, weight[t] if weight.size else 1.0
    return -1


@jit
def _sum(values):
    """Sum in float64, in order."""
    total = 0.0
    for s in range(values.size):
        total += values[s]
    return total


class Targets:
    """The targets of losses of `shape`, over logits `x` of so many classes, with class weights.

    After `set_classes` or `set_probabilities`: `target`, what the loops take, and `divisor`, what "mean" divides by.
    """

    def __init__(self, operation, x, shape, classes, weight, reduction):
        _checks.choice(operation, "reduction", reduction, REDUCTIONS)
        self.operation, self.x, self.shape, self.classes, self.reduction = operation, x, shape, classes, reduction
        self.slices = math.prod(shape)
        self.weighted = weight is not None
        if classes == 0 and self.slices:
            raise ValueError(f"{operation}: there are no classes for x {x.shape}")
        if weight is None:
            self.weight = np.empty(0, x.dtype)
        else:
            self.weight = _checks.floats(operation, "weight", weight)
            _checks.same_dtype(operation, x=x, weight=self.weight)
            if self.weight.shape != (classes,):
                raise ValueError(f"{operation}: weight must have shape {(classes,)}, got {self.weight.shape}")

    def set_classes(self, target, ignore_index, label_smoothing=0.0):
        """Validate class indices and label smoothing; IndexError where a class is out of range."""
        operation = self.operation
        target = _checks.indices(operation, "target", target)
        if target.shape != self.shape:
            raise ValueError(
                f"{operation}: target must have shape {self.shape} for x {self.x.shape}, got {target.shape}"
            )
        flat = target.reshape(-1)
        index, index_weight = np.empty(flat.size, np.int64), np.empty(flat.size, self.x.dtype)
        bad = _check_targets(flat, self.weight, ignore_index, self.classes, index, index_weight)
        if bad >= 0:
            position = tuple(int(i) for i in np.unravel_index(bad, target.shape)) if target.ndim else ()
            raise IndexError(
                f"{operation}: target {flat[bad]} is out of range for {self.classes} classes (at position {position})"
            )
        if self.reduction == "mean":
            self.divisor = _sum(index_weight)
        epsilon = _smoothing(operation, label_smoothing)
        self.target = IndexTarget(index, index_weight, self.weight, self.weighted, epsilon)

    def set_probabilities(self, target, label_smoothing):
        """Validate class probabilities and label smoothing."""
        operation = self.operation
        probabilities = _checks.floats(operation, "target", target)
        _checks.same_dtype(operation, x=self.x, target=probabilities)
        _checks.same_shape(operation, x=self.x, target=probabilities)
        self.divisor = float(self.slices)
        epsilon = _smoothing(operation, label_smoothing)
        self.target = ProbabilityTarget(probabilities.reshape(-1), self.weight, self.weighted, epsilon)

    def reduce(self, losses):
        """The losses, reduced."""
        if self.reduction != "mean":
            return reduced(losses.reshape(self.shape), self.reduction)
        return np.asarray(_sum(losses) / self.divisor if self.divisor else math.nan, self.x.dtype)

    def loss_gradients(self, dy):
        """The gradient with respect to each loss."""
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


class ClassTargets(Targets):
    """Targets for logits of shape (C,), (N, C) or (N, C, d1, ...)."""

    def __init__(self, operation, x, weight, reduction):
        x = _checks.floats(operation, "x", x)
        if x.ndim == 0:
            raise ValueError(f"{operation}: x must have at least 1 dimension, got shape ()")
        axis = 0 if x.ndim == 1 else 1
        super().__init__(operation, x, x.shape[:axis] + x.shape[axis + 1 :], x.shape[axis], weight, reduction)
        self.inner = math.prod(x.shape[axis + 1 :])

    def set_target(self, target, ignore_index, label_smoothing):
        """Validate class indices or class probabilities; returns whether they are indices."""
        target = _checks.as_array(self.operation, "target", target)
        if target.dtype.kind != "f":
            self.set_classes(target, ignore_index, label_smoothing)
            return True
        self.set_probabilities(target, label_smoothing)
        if ignore_index >= 0:  # a negative one is no class: it has no effect
            raise ValueError(f"{self.operation}: ignore_index is for class indices only, got {ignore_index}")
        return False

    def layout(self):
        """First arguments of loops over blocks: outer, n, inner, threads, x."""
        x = self.x
        return self.slices // self.inner, self.classes, self.inner, threads_for(x.size), x.reshape(-1)


def _smoothing(operation, label_smoothing):
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{operation}: label_smoothing must be from 0 to 1, got {label_smoothing}")
    return float(label_smoothing)
