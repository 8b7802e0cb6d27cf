"""Losses of pairs: one term for each element of x and target, then nothing, their sum or their mean.

A loss provides its term and the term's derivative on vectors; here are the loops around them, and the validation. Each
task's sum is taken in float64, and the tasks' sums are added in order, so the bits are the same for any number of
threads.
"""

import numpy as np
from numpy import ndarray

from kernels import _checks, _elementwise
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.reduction.ranges import sum_of

TASK = 16 * 1024  # elements of a task of a sum, some 3 us of work
REDUCTIONS = ("none", "mean", "sum")


def pair_sum(term, fill=0.0):
    """Jitted ``total(x, target, p, threads)``: the float64 sum of ``term(x[i], target[i], p)``.

    ``term(fill, 0, p)`` must be 0: it pads the last vector.
    """
    sum_of_range = sum_of(term, fill)

    @jit
    def sum_tasks(first, last, x, target, p, sums):
        for task in range(first, last):
            sums[task] = sum_of_range(x, target, p, task * TASK, min(task * TASK + TASK, x.size))

    @jit
    def total(x, target, p, threads):
        tasks = (x.size + TASK - 1) // TASK
        sums = np.empty(tasks)
        parallel_for(sum_tasks, tasks, 1, threads, (x, target, p, sums))
        result = 0.0
        for task in range(tasks):
            result += sums[task]
        return result

    return total


def _scaled(derivative):
    """``derivative(x, target, p) * factor``, on vectors."""

    @jit(inline=True)
    def scaled(x, target, p, factor):
        return derivative(x, target, p) * factor

    return scaled


class PairLoss:
    """A loss of pairs: ``term(x, t, p)`` and ``derivative(x, t, p)``, on vectors; p is a parameter.

    The term's derivative with respect to x is `derivative` times the number `times`, which is multiplied last: the
    derivative must not overflow before it is multiplied by a small gradient. Where all losses have the same gradient,
    both products are one, taken in the pass that computes the derivative.
    """

    def __init__(self, name, term, derivative, naive, fill=0.0, times=1):
        self.name, self.times = name, times
        self.terms = _elementwise.binary(term, 1)
        self.total = pair_sum(term, fill)
        self.derivatives = _elementwise.binary(_scaled(derivative), 2)
        self.variants = {"naive": naive, "vectorised": self.terms.serial}

    def forward(self, x, target, reduction, p=0.0, weight=None, batch=None) -> ndarray:
        """The loss, reduced; `weight` (any shape that broadcasts) multiplies the terms, `batch` is the divisor of
        "batchmean"."""
        x, target = validated(self.name, x, target, reduction, batch)
        if reduction != "none" and weight is None:
            total = self.total(x.reshape(-1), target.reshape(-1), p, threads_for(x.size))
            return np.asarray(divided(total, reduction, x, batch), x.dtype)
        losses = _checks.new(x.shape, x.dtype)
        _elementwise.run(self.terms, x, target, losses, parameters=(p,))
        if weight is not None:
            losses *= broadcast_weight(self.name, "weight", weight, x)
        return reduced(losses, reduction, batch)

    def backward(self, dy, x, target, reduction, p=0.0, weight=None, batch=None) -> ndarray:
        """Gradient with respect to x."""
        operation = f"{self.name}_backward"
        x, target = validated(operation, x, target, reduction, batch)
        scale = loss_gradient(operation, dy, x, reduction, batch)
        dx, factor = _checks.new(x.shape, x.dtype), 1.0 if reduction == "none" else float(scale) * self.times
        _elementwise.run(self.derivatives, x, target, dx, parameters=(p, factor))
        if reduction == "none":
            dx *= scale
            if self.times != 1:
                dx *= self.times
        if weight is not None:
            dx *= broadcast_weight(operation, "weight", weight, x)
        return dx

    def backward_of_difference(self, dy, x, target, reduction, needs, p=0.0):
        """Gradients with respect to x and target, where the loss depends on x - target."""
        dx = self.backward(dy, x, target, reduction, p)
        return dx if needs[0] else None, np.asarray(np.negative(dx)) if needs[1] else None


def validated(operation, x, target, reduction, batch=None):
    """Validate and return `x` and `target`: one dtype, one shape (a loss never broadcasts), a known reduction."""
    allowed = REDUCTIONS if batch is None else (*REDUCTIONS, "batchmean")
    _checks.choice(operation, "reduction", reduction, allowed)
    x, target = _checks.floats(operation, "x", x), _checks.floats(operation, "target", target)
    _checks.same_dtype(operation, x=x, target=target)
    _checks.same_shape(operation, x=x, target=target)
    return x, target


def broadcast_weight(operation, name, weight, x):
    """Validate `weight` and return it, broadcast to `x`'s shape."""
    weight = _checks.floats(operation, name, weight)
    _checks.same_dtype(operation, **{"x": x, name: weight})
    try:
        return np.broadcast_to(weight, x.shape)
    except ValueError:
        raise ValueError(f"{operation}: {name} {weight.shape} does not broadcast to x {x.shape}") from None


def divided(total, reduction, x, batch):
    """A sum of losses, divided as the reduction says; the mean of no losses is NaN."""
    if reduction == "mean":
        return total / x.size if x.size else float("nan")
    if reduction == "batchmean":
        return total / batch if batch else float("nan")
    return total


def reduced(losses, reduction, batch=None) -> ndarray:
    """An array of losses, reduced."""
    if reduction == "none":
        return losses
    flat = losses.reshape(-1)
    return np.asarray(
        divided(_sum_losses(flat, flat, 0.0, threads_for(flat.size)), reduction, losses, batch), losses.dtype
    )


@jit(inline=True)
def _itself(x, z, p):
    return x


_sum_losses = pair_sum(_itself)


def loss_gradient(operation, dy, x, reduction, batch=None):
    """The gradient with respect to each loss: an array like `x` for "none", else one number in its dtype."""
    dy = _checks.floats(operation, "dy", dy)
    _checks.same_dtype(operation, dy=dy, x=x)
    expected = x.shape if reduction == "none" else ()
    if dy.shape != expected:
        raise ValueError(f"{operation}: dy must have shape {expected}, got {dy.shape}")
    if reduction == "mean":
        return dy / x.dtype.type(max(x.size, 1))
    return dy / x.dtype.type(max(batch, 1)) if reduction == "batchmean" else dy
