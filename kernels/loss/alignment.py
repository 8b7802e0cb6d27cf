r"""Connectionist temporal classification: the likelihood of a sequence of classes without its alignment in time.

For targets l_1 ... l_U the states are l' = -, l_1, -, l_2, ..., l_U, - (- is the blank), 2U + 1 of them. A path moves
from one time to the next by 0 or 1 states, or by 2 onto a class that differs from the one left (Graves et al. [1]_,
section 4.1). With log-probabilities x_tc, in logarithms (⊕ is the logarithm of the sum of the exponentials):

    α_t(s) = x_t(l'_s) + (α_t-1(s) ⊕ α_t-1(s - 1) ⊕ α_t-1(s - 2) if it may be left out)
    loss   = -(α_T(2U + 1) ⊕ α_T(2U))

    β_t(s) = the same from the end of time, of s, s + 1, s + 2, but for x_t(l'_s)
    dx_tc  = e^x_tc - sum over the s of class c of softmax_s(α_t + β_t)

which is, as in PyTorch, the gradient with respect to the logits that a log-softmax made x of. The states are the lanes
of vectors. α_t is kept relative to the largest of the time before, and the sum of those in float64: an α of thousands
would round off more than the probabilities have. Scale does not matter to the softmax.

Three exponentials and a logarithm for each of T (2U + 1) states, in both directions; α is kept for the backward.

.. [1] A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification: labelling unsegmented
   sequence data with recurrent neural networks", 2006.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels.simd import (
    allocate,
    exp,
    flat,
    lane_count,
    load,
    load_partial,
    log,
    max_lanes,
    maximum,
    release,
    select,
    splat,
    store,
    store_partial,
    sum_lanes,
)

IMPOSSIBLE = -math.inf
MARGIN = np.int64(2)  # states before the first and after the last, from where no path comes


class Classes(NamedTuple):
    """The targets, one sequence after the other: that of sample n from ``starts[n]`` to ``starts[n + 1] - 1``."""

    targets: np.ndarray
    starts: np.ndarray
    blank: int


class States(NamedTuple):
    """Of a sample: class of each state, 0 where the state two before may lead to it, else -inf, and their number. All
    memory of states has whole vectors, and -inf after the last."""

    classes: np.ndarray
    skips: object
    number: int


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def _log_add(x, y):
    largest = max(x, y)
    return largest if largest == IMPOSSIBLE else largest + math.log(math.exp(x - largest) + math.exp(y - largest))


@jit
def ctc_loss_naive(log_probs, targets, starts, lengths, blank, losses):
    """The losses of samples of ``lengths[n]`` times; targets as in `Classes`."""
    for n in range(losses.size):
        states = 2 * (starts[n + 1] - starts[n]) + 1
        classes, alpha = np.full(states, blank), np.full(states, IMPOSSIBLE)
        classes[1::2] = targets[starts[n] : starts[n + 1]]
        alpha[0] = 0.0
        for t in range(lengths[n]):
            for s in range(states - 1, -1, -1):  # downwards: those before it are of the time before
                total = alpha[s] if s == 0 else _log_add(alpha[s], alpha[s - 1])
                if s > 1 and classes[s] != classes[s - 2]:
                    total = _log_add(total, alpha[s - 2])
                alpha[s] = total + log_probs[t, n, classes[s]]
        losses[n] = 0.0 - (alpha[0] if states == 1 else _log_add(alpha[states - 1], alpha[states - 2]))


# --- states as vectors -----------------------------------------------------------------------------------------------


@jit(inline=True)
def _sum_of_three(x, y, z):
    """x ⊕ y ⊕ z"""
    largest = maximum(maximum(x, y), z)
    base = select(largest == IMPOSSIBLE, 0.0, largest)
    return base + log(exp(x - base) + exp(y - base) + exp(z - base))


@jit
def _impossible(like, states):
    """Memory for `states` states, whole vectors, and two before and after them, all -inf."""
    count = states + 2 * lane_count(like) + 4
    memory = allocate(like, count)
    for s in range(count):
        memory[s] = IMPOSSIBLE
    return memory


@jit
def _states(like, classes, n):
    targets, starts, blank = classes
    number = 2 * (starts[n + 1] - starts[n]) + 1
    each, skips = np.full(number, np.int64(blank)), _impossible(like, number)
    for s in range(1, number, 2):
        each[s] = targets[starts[n] + s // 2]
        if s > 1 and each[s] != each[s - 2]:
            skips[s] = 0.0
    return States(each, skips, number)


@jit
def _emissions(x, states, shift, memory):
    """``x[class] - shift`` of each state."""
    for s in range(states.number):
        memory[s] = x[states.classes[s]] - shift


@jit(inline=True)
def _forward_step(states, emissions, before, after):
    """α of a time from that of the time before, both from element MARGIN on; returns the largest."""
    top = splat(before, IMPOSSIBLE)
    for s in range(0, states.number, lane_count(before)):
        skipped = load(before, s) + load(states.skips, s)
        total = _sum_of_three(load(before, s + 2), load(before, s + 1), skipped) + load(emissions, s)
        store(after, s + MARGIN, total)
        top = maximum(top, total)
    return max_lanes(top)


@jit
def _forward_samples(first, last, log_probs, classes, lengths, alpha, losses):
    for n in range(first, last):
        states = _states(log_probs, classes, n)
        before, after = _impossible(log_probs, states.number), _impossible(log_probs, states.number)
        emissions = _impossible(log_probs, states.number)
        before[MARGIN] = 0.0
        total, shift = 0.0, before[MARGIN]
        for t in range(lengths[n]):
            _emissions(log_probs[t, n], states, shift, emissions)
            total += np.float64(shift)
            largest = _forward_step(states, emissions, before, after)
            shift = largest if largest != IMPOSSIBLE else emissions.dtype.type(0)
            if alpha.size:
                kept = alpha[n, t]
                for s in range(states.number):
                    kept[s] = after[s + MARGIN]
            before, after = after, before
        end = np.float64(before[states.number + 1])
        if states.number > 1:
            end = _log_add(end, np.float64(before[states.number]))
        losses[n] = 0.0 - (total + end)
        release(before)
        release(after)
        release(emissions)
        release(states.skips)


@jit
def forward(log_probs, classes, lengths, alpha, losses, threads):
    """The losses, and α where it is wanted: (N, T, states), else empty."""
    parallel_for(_forward_samples, losses.size, np.int64(1), threads, (log_probs, classes, lengths, alpha, losses))


@jit(inline=True)
def _backward_step(states, emissions, alpha, after, before, weights):
    """β of a time with its emission, and softmax(α + β) but for the sum, which is returned; weights add up to it."""
    lanes, number = lane_count(after), states.number
    top = splat(after, IMPOSSIBLE)
    for s in range(0, number, lanes):
        skipped = load(after, s + 4) + load(states.skips, s + 2)
        total = _sum_of_three(load(after, s + 2), load(after, s + 3), skipped)
        both = total + load_partial(alpha, s, number - s, IMPOSSIBLE)
        store(weights, s, both)
        top = maximum(top, both)
        store(before, s + MARGIN, total + load(emissions, s))
    largest, sums = max_lanes(top), splat(after, 0.0)
    for s in range(0, number, lanes):
        weight = exp(load(weights, s) - largest)
        store(weights, s, weight)
        sums = sums + weight
    return sum_lanes(sums)


@jit(inline=True)
def _fill(dx, n, first, value):
    for t in range(first, dx.shape[0]):
        dx[t, n, :] = value


@jit
def _row_of_gradients(x, scale, dx):
    """``dx[c] = scale * e^x[c]``"""
    source, target, C = flat(x), flat(dx), x.size
    for c in range(0, C, lane_count(x)):
        store_partial(target, c, C - c, exp(load_partial(source, c, C - c, 0.0)) * scale)


@jit
def _sample_of_gradients(n, log_probs, states, length, alpha, scale, dx):
    number = states.number
    before, after = _impossible(log_probs, number), _impossible(log_probs, number)
    emissions, weights = _impossible(log_probs, number), _impossible(log_probs, number)
    after[number + 1] = 0.0
    shift = after[number + 1]
    for t in range(length - 1, -1, -1):
        _emissions(log_probs[t, n], states, shift, emissions)
        total = _backward_step(states, emissions, flat(alpha[n, t]), after, before, weights)
        row = dx[t, n]
        _row_of_gradients(log_probs[t, n], scale, row)
        part, shift = scale / total, before[MARGIN]
        for s in range(number):
            row[states.classes[s]] -= weights[s] * part
            shift = max(shift, before[s + MARGIN])
        shift = shift if shift != IMPOSSIBLE else weights.dtype.type(0)
        before, after = after, before
    release(before)
    release(after)
    release(emissions)
    release(weights)


@jit
def _backward_samples(first, last, log_probs, classes, lengths, alpha, scales, dx):
    dlosses, zero_infinity = scales
    for n in range(first, last):
        states, length = _states(log_probs, classes, n), lengths[n]
        possible = length > 0
        if possible:
            end, number = alpha[n, length - 1], states.number
            possible = end[number - 1] != IMPOSSIBLE or (number > 1 and end[number - 2] != IMPOSSIBLE)
        if possible:
            _sample_of_gradients(n, log_probs, states, length, alpha, dlosses[n], dx)
            _fill(dx, n, length, 0.0)
        else:
            _fill(dx, n, 0, 0.0 if zero_infinity else math.nan)
            _fill(dx, n, length, 0.0)
        release(states.skips)


@jit
def backward(log_probs, classes, lengths, alpha, dlosses, zero_infinity, dx, threads):
    """The gradient for a gradient of each loss."""
    arguments = log_probs, classes, lengths, alpha, (dlosses, zero_infinity), dx
    parallel_for(_backward_samples, dlosses.size, np.int64(1), threads, arguments)


@jit
def ctc_loss_loops(log_probs, targets, starts, lengths, blank, losses):
    """Adds vectors of states, and numbers relative to the largest."""
    alpha = np.empty((0, 0, 0), log_probs.dtype)
    forward(log_probs, Classes(targets, starts, blank), lengths, alpha, losses, 1)


VARIANTS = {"ctc_loss": {"naive": ctc_loss_naive, "vectors": ctc_loss_loops}}
