"""`ctc_loss` in jitted code."""

import math
from typing import NamedTuple

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, like, output, same_dtype, within
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_operands import shaped
from kernels._njit_sizes import choice, threads_for
from kernels.loss import alignment, sequences
from kernels.loss.alignment import Classes
from kernels.loss.njit_pairs import reduced
from kernels.loss.sequences import OPERATIONS

forward = by_address(alignment.forward, "ctc forward")
backward = by_address(alignment.backward, "ctc backward")


class Samples(NamedTuple):
    """The validated arguments; `log_probs` is 3-D."""

    log_probs: np.ndarray
    classes: Classes
    lengths: np.ndarray
    target_lengths: np.ndarray
    states: int
    threads: int


# --- arguments -------------------------------------------------------------------------------------------------------


@_check
def _samples(operation, log_probs, targets, input_lengths, target_lengths, blank):
    """What `sequences._Samples` validates, but for the reduction."""
    outside = f"{text_of('operation', operation)}: blank must be from 0 to {{}}, got {{}}"
    sums = f"{operation.literal_value}: target_lengths must add up to the {{}} targets, they add up to {{}}"

    def code(operation, log_probs, targets, input_lengths, target_lengths, blank):
        x = _three_axes(operation, floats(operation, "log_probs", log_probs))
        T, N, C = x.shape
        if not (blank >= 0 and blank < C):
            raise Value(outside, C - 1, blank)
        shape = _sample_shape(log_probs, N)
        lengths = _lengths(operation, "input_lengths", input_lengths, shape, N, T)
        given = _targets(operation, indices(operation, "targets", targets), N)
        longest = given.shape[given.ndim - 1]
        sizes = _lengths(operation, "target_lengths", target_lengths, shape, N, longest)
        starts = _starts(sizes)
        packed = _packed(given, starts)
        if starts[N] != packed.size:
            raise Value(sums, packed.size, starts[N])
        within(operation, "targets", packed, C)
        states = 2 * _largest(sizes) + 1
        threads = threads_for(OPERATIONS * N * T * states, 0)
        return Samples(x, Classes(packed, starts, np.int64(blank)), lengths, sizes, states, threads)

    return code


@_check
def _three_axes(operation, x):
    """Log-probabilities of several samples."""
    if x.ndim == 3:
        return lambda operation, x: x
    if x.ndim == 2:
        return lambda operation, x: x.reshape((x.shape[0], 1, x.shape[1]))
    message = f"{text_of('operation', operation)}: log_probs must have shape (T, N, C) or (T, C), got {{}}"

    def refused(operation, x):
        if failed():
            raise Value(message, x.shape)
        return np.empty((0, 0, 0), x.dtype)

    return refused


@_check
def _sample_shape(log_probs, N):
    """The shape of the losses."""
    return (lambda log_probs, N: ()) if getattr(log_probs, "ndim", 3) == 2 else (lambda log_probs, N: (N,))


@_check
def _as_lengths(operation, name, lengths):
    """An array, a number or a sequence of numbers, as an array of int64."""
    if isinstance(lengths, types.Integer):
        return lambda operation, name, lengths: np.array([lengths]).reshape(())
    if isinstance(lengths, types.BaseTuple) and len(lengths) == 0:
        return lambda operation, name, lengths: np.empty(0, np.int64)
    if isinstance(lengths, (types.List, types.ListType, types.UniTuple)) and isinstance(lengths.dtype, types.Integer):

        def code(operation, name, lengths):
            array = np.empty(len(lengths), np.int64)
            for i in range(array.size):
                array[i] = lengths[i]
            return array

        return code
    return lambda operation, name, lengths: indices(operation, name, lengths)


@_check
def _lengths(operation, name, lengths, shape, N, maximum):
    """The lengths of the samples, from 0 to `maximum`; `shape` is theirs as errors name it."""
    wrong_shape = f"{text_of('operation', operation)}: {text_of('name', name)} must have shape {{}}, got {{}}"
    outside = f"{operation.literal_value}: {name.literal_value} must be from 0 to {{}}, got {{}}"

    def code(operation, name, lengths, shape, N, maximum):
        given = _as_lengths(operation, name, lengths)
        if given.shape != shape and given.shape != (N,):
            raise Value(wrong_shape, shape, given.shape)
        flat = given.reshape(-1)
        for n in range(flat.size):
            if flat[n] < 0 or flat[n] > maximum:
                raise Value(outside, maximum, flat)
        return flat

    return code


@_check
def _targets(operation, targets, N):
    """One- or two-dimensional targets."""
    message = f"{text_of('operation', operation)}: targets must have shape ({{}}, S) or be one-dimensional, got {{}}"
    if targets.ndim == 1:
        return lambda operation, targets, N: targets
    if targets.ndim == 2:

        def code(operation, targets, N):
            if targets.shape[0] != N:
                raise Value(message, N, targets.shape)
            return targets

        return code

    def refused(operation, targets, N):
        if failed():
            raise Value(message, N, targets.shape)
        return targets.reshape(-1)

    return refused


@jit
def _starts(sizes):
    starts = np.zeros(sizes.size + 1, np.int64)
    for n in range(sizes.size):
        starts[n + 1] = starts[n] + sizes[n]
    return starts


@jit
def _largest(sizes):
    largest = np.int64(0)
    for n in range(sizes.size):
        largest = max(largest, sizes[n])
    return largest


@_check
def _packed(targets, starts):
    """The targets of all samples, one after the other."""
    if targets.ndim == 1:
        return lambda targets, starts: targets

    def code(targets, starts):
        packed = np.empty(starts[starts.size - 1], np.int64)
        for n in range(targets.shape[0]):
            packed[starts[n] : starts[n + 1]] = targets[n, : starts[n + 1] - starts[n]]
        return packed

    return code


# --- losses ----------------------------------------------------------------------------------------------------------


@_check
def _alpha(operation, samples, log_alpha):
    """The array of forward variables, of size 0 for None."""
    if isinstance(log_alpha, types.NoneType):
        return lambda operation, samples, log_alpha: np.empty((0, 0, 0), samples.log_probs.dtype)

    def code(operation, samples, log_alpha):
        T, N, _ = samples.log_probs.shape
        return output(operation, "log_alpha", log_alpha, (N, T, samples.states), samples.log_probs)

    return code


@jit
def _losses(samples, alpha):
    losses = np.empty(samples.log_probs.shape[1], samples.log_probs.dtype)
    forward(samples.log_probs, samples.classes, samples.lengths, alpha, losses, samples.threads)
    return losses


@jit(fastmath=False)
def _divide(values, lengths, factor):
    """Divides by the lengths, at least 1, in float64 as NumPy does."""
    for n in range(values.size):
        values[n] = np.float64(values[n]) / np.float64(max(lengths[n], 1) * factor)


@_check
def _is_mean(reduction):
    mean = reduction.literal_value == "mean"
    return lambda reduction: mean


@in_njit(sequences.ctc_loss)
def _ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity, log_alpha):
    choice("ctc_loss", "reduction", reduction, ("none", "mean", "sum"))
    samples = _samples("ctc_loss", log_probs, targets, input_lengths, target_lengths, blank)
    losses = _losses(samples, _alpha("ctc_loss", samples, log_alpha))
    if zero_infinity:
        for n in range(losses.size):
            if losses[n] == math.inf:
                losses[n] = 0
    if _is_mean(reduction):
        _divide(losses, samples.target_lengths, 1)
    return reduced(losses.reshape(_sample_shape(log_probs, losses.size)), reduction, 1)


@in_njit(sequences.ctc_loss_backward)
def _ctc_loss_backward(
    dy, log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity, log_alpha
):
    name = "ctc_loss_backward"
    choice(name, "reduction", reduction, ("none", "mean", "sum"))
    samples = _samples(name, log_probs, targets, input_lengths, target_lengths, blank)
    x = samples.log_probs
    dlosses = _gradients_of(name, dy, log_probs, samples, reduction)
    if _is_mean(reduction):
        _divide(dlosses, samples.target_lengths, dlosses.size)
    alpha = _kept(samples, log_alpha)
    dx = np.empty(x.shape, x.dtype)
    if dx.size:
        zero = bool(zero_infinity)
        backward(x, samples.classes, samples.lengths, alpha, dlosses, zero, dx, samples.threads)
    return dx.reshape(floats(name, "log_probs", log_probs).shape)


@_check
def _kept(samples, log_alpha):
    """The forward variables, as given or computed."""
    if isinstance(log_alpha, types.NoneType):

        def computed(samples, log_alpha):
            T, N, _ = samples.log_probs.shape
            alpha = np.empty((N, T, samples.states), samples.log_probs.dtype)
            _losses(samples, alpha)
            return alpha

        return computed
    return lambda samples, log_alpha: _alpha("ctc_loss_backward", samples, log_alpha)


@_check
def _gradients_of(operation, dy, log_probs, samples, reduction):
    """The gradient with respect to each sample's loss, but for the division by lengths."""
    none = reduction.literal_value == "none"

    def code(operation, dy, log_probs, samples, reduction):
        given, x = floats(operation, "dy", dy), samples.log_probs
        same_dtype(operation, "dy", given, "log_probs", x)
        dlosses = np.empty(x.shape[1], x.dtype)
        if none:
            dlosses[:] = shaped(operation, "dy", like(given, x), _sample_shape(log_probs, x.shape[1])).reshape(-1)
        else:
            dlosses[:] = shaped(operation, "dy", like(given, x), ()).reshape(-1)[0]
        return dlosses

    return code
