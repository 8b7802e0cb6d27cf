"""Cross-entropy of classes in jitted code, and what the losses of classes have in common."""

import math
from typing import NamedTuple

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, like, output, same_dtype, same_shape
from kernels._njit_errors import Index, Value, _check, failed, text_of
from kernels._njit_operands import array_of_any_dtype, at_least_1d, shaped
from kernels._njit_sizes import choice, product, replaced, threads_for
from kernels.loss import classification, targets
from kernels.loss.njit_pairs import number, reduced
from kernels.reduction import logsum

check_targets = by_address(targets._check_targets)
sum_in_order = by_address(targets._sum)
index_loops = by_address(classification._index_loops, "index_loops")
index_backward_loops = by_address(classification._index_backward_loops, "index_backward_loops")
probability_loops = by_address(classification._probability_loops, "probability_loops")
probability_backward_loops = by_address(classification._probability_backward_loops, "probability_backward_loops")
logsumexp_loops = by_address(logsum.logsumexp_loops, "logsumexp_loops")


class Logits(NamedTuple):
    """Logits, validated, with the number of classes and what lies behind their axis; weights of the classes, which are
    of size 0 where there are none."""

    x: np.ndarray
    classes: int
    inner: int
    weight: np.ndarray
    weighted: bool


# --- arguments -------------------------------------------------------------------------------------------------------


@_check
def logits_of(operation, x, weight, reduction):
    """What `ClassTargets` validates."""

    def code(operation, x, weight, reduction):
        x = at_least_1d(operation, "x", floats(operation, "x", x))
        choice(operation, "reduction", reduction, ("none", "mean", "sum"))
        axis = min(x.ndim - 1, 1)
        classes, inner = x.shape[axis], product(x.shape, axis + 1, x.ndim)
        weights, weighted = class_weights(operation, x, product(x.shape, 0, axis) * inner, classes, weight)
        return Logits(x, classes, inner, weights, weighted)

    return code


@_check
def class_weights(operation, x, slices, classes, weight):
    """The weights of the classes and whether there are any."""
    message = f"{text_of('operation', operation)}: there are no classes for x {{}}"
    weighted = not isinstance(weight, types.NoneType)

    def code(operation, x, slices, classes, weight):
        if classes == 0 and slices:
            raise Value(message, x.shape)
        return _weights(operation, x, classes, weight), weighted

    return code


@_check
def _weights(operation, x, classes, weight):
    if isinstance(weight, types.NoneType):
        return lambda operation, x, classes, weight: x.reshape(-1)[:0]

    def code(operation, x, classes, weight):
        given = floats(operation, "weight", weight)
        same_dtype(operation, "x", x, "weight", given)
        return shaped(operation, "weight", like(given, x), (classes,))

    return code


@_check
def loss_shape(x):
    """The shape of the losses."""
    if x.ndim == 1:
        return lambda x: ()
    blank, rank = (0,) * (x.ndim - 1), x.ndim

    def code(x):
        shape = replaced(blank, 0, x.shape[0])
        for axis in range(2, rank):
            shape = replaced(shape, axis - 1, x.shape[axis])
        return shape

    return code


@_check
def classes_of(operation, target, shape, x, classes, weight, ignore_index):
    """The class (or IGNORED) and the weight of each target."""
    name, rank = text_of("operation", operation), len(shape)
    wrong_shape = f"{name}: target must have shape {{}} for x {{}}, got {{}}"
    outside = f"{name}: target {{}} is out of range for {{}} classes (at position {{}})"
    if isinstance(target, types.Array) and target.ndim != rank:

        def other_rank(operation, target, shape, x, classes, weight, ignore_index):
            given = indices(operation, "target", target)
            if failed():
                raise Value(wrong_shape, shape, x.shape, given.shape)
            return np.empty(0, np.int64), np.empty(0, x.dtype)

        return other_rank

    def code(operation, target, shape, x, classes, weight, ignore_index):
        given = indices(operation, "target", target)
        if given.shape != shape:
            raise Value(wrong_shape, shape, x.shape, given.shape)
        flat = given.reshape(-1)
        index, index_weight = np.empty(flat.size, np.int64), np.empty(flat.size, x.dtype)
        bad = check_targets(_int64(flat), weight, ignore_index, classes, index, index_weight)
        if bad >= 0:
            raise Index(outside, flat[bad], classes, _place(bad, shape))
        return index, index_weight

    return code


@_check
def _int64(flat):
    """What has been refused already, with the type of indices."""
    if flat.dtype == types.int64:
        return lambda flat: flat
    return lambda flat: flat.astype(np.int64)


@_check
def _place(number, shape):
    """The index of an element of an array of that shape."""
    if len(shape) == 0:
        return lambda number, shape: shape
    rank = len(shape)

    def code(number, shape):
        place, rest = shape, number
        for axis in range(rank - 1, -1, -1):
            place = replaced(place, axis, rest % shape[axis])
            rest //= shape[axis]
        return place

    return code


@_check
def smoothing(operation, label_smoothing):
    """The label smoothing, from 0 to 1."""
    message = f"{text_of('operation', operation)}: label_smoothing must be from 0 to 1, got {{}}"

    def code(operation, label_smoothing):
        if not (label_smoothing >= 0.0 and label_smoothing <= 1.0):
            raise Value(message, label_smoothing)
        return float(label_smoothing)

    return code


@_check
def _probabilities(operation, target, x):
    """Class probabilities, flat."""

    def code(operation, target, x):
        given = floats(operation, "target", target)
        same_dtype(operation, "x", x, "target", given)
        same_shape(operation, "x", x, "target", given)
        return like(given, x).reshape(-1)

    return code


@_check
def _no_ignored(operation, ignore_index):
    message = f"{text_of('operation', operation)}: ignore_index is for class indices only, got {{}}"

    def code(operation, ignore_index):
        if ignore_index >= 0:
            raise Value(message, ignore_index)

    return code


# --- losses and their gradients --------------------------------------------------------------------------------------


@jit(fastmath=False)
def _mean(losses, divisor):
    return sum_in_order(losses) / divisor if divisor else math.nan


@jit(fastmath=False)
def _scale(dy, divisor):
    return dy / divisor if divisor else dy * math.nan


@_check
def reduced_by(losses, shape, reduction, divisor):
    """`Targets.reduce`"""
    if reduction.literal_value == "mean":
        return lambda losses, shape, reduction, divisor: number(_mean(losses, divisor), losses)
    return lambda losses, shape, reduction, divisor: reduced(losses.reshape(shape), reduction, 1)


@_check
def divisor_of(index_weight, reduction):
    """What "mean" divides by."""
    if reduction.literal_value == "mean":
        return lambda index_weight, reduction: sum_in_order(index_weight)
    return lambda index_weight, reduction: 1.0


@_check
def gradients_of(operation, dy, x, shape, reduction, divisor):
    """`Targets.loss_gradients`"""
    word = reduction.literal_value
    if word == "none":

        def of_each(operation, dy, x, shape, reduction, divisor):
            given = floats(operation, "dy", dy)
            same_dtype(operation, "dy", given, "x", x)
            return shaped(operation, "dy", like(given, x), shape).reshape(-1)

        return of_each
    mean = word == "mean"

    def code(operation, dy, x, shape, reduction, divisor):
        given = floats(operation, "dy", dy)
        same_dtype(operation, "dy", given, "x", x)
        scale = np.float64(shaped(operation, "dy", like(given, x), ())[()])
        gradients = np.empty(product(shape, 0, len(shape)), x.dtype)
        gradients[:] = _scale(scale, divisor) if mean else scale
        return gradients

    return code


# --- cross_entropy ---------------------------------------------------------------------------------------------------


@jit(inline=True)
def _layout(logits, slices):
    """First arguments of loops over blocks."""
    x = logits.x
    return slices // logits.inner, logits.classes, logits.inner, threads_for(x.size, 0), x.reshape(-1)


@in_njit(classification.cross_entropy)
def _cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing, lse):
    logits = logits_of("cross_entropy", x, weight, reduction)
    given = array_of_any_dtype("cross_entropy", "target", target)
    return _losses(logits, given, ignore_index, reduction, label_smoothing, lse)


@_check
def _losses(logits, target, ignore_index, reduction, label_smoothing, lse):
    """The loss for class indices or for probabilities."""

    def of_indices(logits, target, ignore_index, reduction, label_smoothing, lse):
        x, classes, _, weight, weighted = logits
        shape = loss_shape(x)
        index, index_weight = classes_of("cross_entropy", target, shape, x, classes, weight, ignore_index)
        divisor = divisor_of(index_weight, reduction)
        epsilon = smoothing("cross_entropy", label_smoothing)
        sums = output("cross_entropy", "lse", lse, shape, x).reshape(-1)
        losses = np.empty(index.size, x.dtype)
        if losses.size:
            outer, n, inner, threads, flat = _layout(logits, losses.size)
            index_loops(outer, n, inner, threads, flat, losses, sums, index, index_weight, weight, weighted, epsilon)
        return reduced_by(losses, shape, reduction, divisor)

    def of_probabilities(logits, target, ignore_index, reduction, label_smoothing, lse):
        x, classes, _, weight, weighted = logits
        shape = loss_shape(x)
        q = _probabilities("cross_entropy", target, x)
        epsilon = smoothing("cross_entropy", label_smoothing)
        _no_ignored("cross_entropy", ignore_index)
        sums = output("cross_entropy", "lse", lse, shape, x).reshape(-1)
        losses = np.empty(product(shape, 0, len(shape)), x.dtype)
        if losses.size:
            outer, n, inner, threads, flat = _layout(logits, losses.size)
            probability_loops(outer, n, inner, threads, flat, losses, sums, q, weight, weighted, epsilon)
        return reduced_by(losses, shape, reduction, float(losses.size))

    return of_probabilities if isinstance(target.dtype, types.Float) else of_indices


@in_njit(classification.cross_entropy_backward)
def _cross_entropy_backward(dy, x, target, weight, ignore_index, reduction, label_smoothing, lse):
    logits = logits_of("cross_entropy_backward", x, weight, reduction)
    given = array_of_any_dtype("cross_entropy_backward", "target", target)
    return _gradient(dy, logits, given, ignore_index, reduction, label_smoothing, lse)


@_check
def _gradient(dy, logits, target, ignore_index, reduction, label_smoothing, lse):
    """The gradient for class indices or for probabilities."""
    name = "cross_entropy_backward"

    def of_indices(dy, logits, target, ignore_index, reduction, label_smoothing, lse):
        x, classes, _, weight, weighted = logits
        shape = loss_shape(x)
        index, index_weight = classes_of(name, target, shape, x, classes, weight, ignore_index)
        divisor = divisor_of(index_weight, reduction)
        epsilon = smoothing(name, label_smoothing)
        dlosses = gradients_of(name, dy, x, shape, reduction, divisor)
        sums, dx = _sums_of(logits, shape, lse), np.empty(x.shape, x.dtype)
        if dlosses.size:
            factors, rest = np.empty(dlosses.size, x.dtype), (weight, weighted, epsilon)
            outer, n, inner, threads, flat = _layout(logits, dlosses.size)
            to = dx.reshape(-1)
            index_backward_loops(outer, n, inner, threads, flat, dlosses, sums, factors, to, index, index_weight, *rest)
        return dx

    def of_probabilities(dy, logits, target, ignore_index, reduction, label_smoothing, lse):
        x, classes, _, weight, weighted = logits
        shape = loss_shape(x)
        q = _probabilities(name, target, x)
        epsilon = smoothing(name, label_smoothing)
        _no_ignored(name, ignore_index)
        dlosses = gradients_of(name, dy, x, shape, reduction, float(product(shape, 0, len(shape))))
        sums, dx = _sums_of(logits, shape, lse), np.empty(x.shape, x.dtype)
        if dlosses.size:
            factors, rest = np.empty(dlosses.size, x.dtype), (weight, weighted, epsilon)
            outer, n, inner, threads, flat = _layout(logits, dlosses.size)
            to = dx.reshape(-1)
            probability_backward_loops(outer, n, inner, threads, flat, dlosses, sums, factors, to, q, *rest)
        return dx

    return of_probabilities if isinstance(target.dtype, types.Float) else of_indices


@_check
def _sums_of(logits, shape, lse):
    """logsumexp over the classes, flat: as given, or computed."""
    dtype = logits.types[0].dtype
    message = f"cross_entropy_backward: lse must be {dtype} of shape {{}}, got {{}}"
    if isinstance(lse, types.NoneType):

        def computed(logits, shape, lse):
            x = logits.x
            sums = np.empty(product(shape, 0, len(shape)), x.dtype)
            if logits.classes == 0:
                sums[:] = -np.inf
            elif sums.size:
                outer, n, inner, threads, flat = _layout(logits, sums.size)
                logsumexp_loops(outer, n, inner, threads, flat, sums)
            return sums

        return computed
    if not isinstance(lse, types.Array) or lse.dtype == dtype and lse.ndim == len(shape):

        def code(logits, shape, lse):
            given = floats("cross_entropy_backward", "lse", lse)
            if given.shape != shape:
                raise Value(message, shape, given.shape)
            return like(given, logits.x).reshape(-1)

        return code

    def refused(logits, shape, lse):
        given = floats("cross_entropy_backward", "lse", lse)
        if failed():
            raise Value(message, shape, given.shape)
        return logits.x.reshape(-1)

    return refused
