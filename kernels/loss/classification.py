r"""Cross-entropy and negative log-likelihood of C classes.

With the peak m = max_c x_c, the total s = sum_c exp(x_c - m), log p_c = x_c - m - log s, class weights w, a target
distribution q (1 at the target class, or given) and q' = (1 - ε) q + ε / C for label smoothing ε:

    l  = -sum_c q'_c w_c log p_c                 dx_c = dl (p_c sum_k q'_k w_k - q'_c w_c)

The forward reads x twice while it is in cache, for m and for s, and takes one exponential an element (about 20 FLOPs);
log p is formed for the target class alone, so no array of the size of x is written. The backward keeps log(sum exp x)
(`lse`), one number a row: it reads x and writes dx, one exponential an element.

`x` is (C,), (N, C) or (N, C, d1, ...); the losses are of shape (), (N,) or (N, d1, ...). "mean" divides by the sum of
the weights of the targets that count, or, with probabilities, by the number of losses.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.loss.targets import IGNORED, Targets, smoothed
from kernels.reduction.exponentials import logarithms, logsumexp, scaled_softmax
from kernels.reduction.peaks import over_units, slice_at, statistics


@jit
def cross_entropy_naive(x, target, out):
    """The definition, for rows of x (N, C) and class indices: the logarithm of the softmax at the target."""
    for row in range(x.shape[0]):
        peak = np.max(x[row])
        total = 0.0
        for c in range(x.shape[1]):
            total += math.exp(x[row, c] - peak)
        out[row] = math.log(total) - (x[row, target[row]] - peak)


class _Problem(Targets):
    """The checked arguments that forward and backward share."""

    def __init__(self, operation, x, target, weight, ignore_index, reduction, probabilities_allowed):
        self.x = x = _checks.floats(operation, "x", x)
        if x.ndim == 0:
            raise ValueError(f"{operation}: x must have at least 1 dimension, got shape ()")
        axis = 0 if x.ndim == 1 else 1
        self.n = x.shape[axis]
        self.inner = math.prod(x.shape[axis + 1 :])
        self.threads = threads_for(x.size)
        super().__init__(operation, x, x.shape[:axis] + x.shape[axis + 1 :], self.n, weight, reduction)
        target = _checks.as_array(operation, "target", target)
        self.probabilities = None
        if target.dtype.kind == "f" and probabilities_allowed:
            self.probabilities = _checks.floats(operation, "target", target)
            _checks.same_dtype(operation, x=x, target=self.probabilities)
            _checks.same_shape(operation, x=x, target=self.probabilities)
            if ignore_index >= 0:  # a negative one is no class, so nothing is asked for
                raise ValueError(f"{operation}: ignore_index is for class indices only, got {ignore_index}")
            self.divisor = float(self.slices)
        else:
            self.take_classes(target, ignore_index)


# --- cross-entropy ---------------------------------------------------------------------------------------------------
# `smoothing` is an array of two elements: ε, and whether the classes are weighted.


@jit(inline=True, fastmath=False)
def _cost(share, x, peak, log_total):
    """share * -log p, and 0 of a share of 0, even where p is. The peak is subtracted first, which is exact or nearly
    so; peak + log(total) would be rounded.
    """
    return share * (log_total - (x - peak)) if share != 0.0 else 0.0


@jit
def _slice_statistics(n, inner, first, last, scratch, x, lse):
    """Peaks and logarithms of totals of the slices, for the loss; and their sums, for the backward."""
    peaks, totals, wide_totals = scratch
    statistics(x, n, inner, first, last, peaks, totals, 0, wide_totals)
    logarithms(totals, 0, last - first, totals)
    for j in range(last - first):
        lse[first + j] = peaks[j] + totals[j]


@over_units
@jit
def _index_loops(n, inner, first, last, scratch, x, index, picked, weight, smoothing, losses, lse):
    """Losses of class indices."""
    _slice_statistics(n, inner, first, last, scratch, x, lse)
    peaks, log_totals, _ = scratch
    epsilon, weighted = smoothing[0], smoothing[1] > 0.0
    for j in range(last - first):
        s = first + j
        losses[s] = 0.0
        if index[s] == IGNORED:
            continue
        at = slice_at(s, n, inner)
        loss = _cost((1.0 - epsilon) * picked[s], x[at + index[s] * inner], peaks[j], log_totals[j])
        if epsilon > 0.0:
            spread = 0.0
            for c in range(n):
                spread += _cost(weight[c] if weighted else 1.0, x[at + c * inner], peaks[j], log_totals[j])
            loss += epsilon / n * spread
        losses[s] = loss


@over_units
@jit
def _probability_loops(n, inner, first, last, scratch, x, q, weight, smoothing, losses, lse):
    """Losses of class probabilities."""
    _slice_statistics(n, inner, first, last, scratch, x, lse)
    peaks, log_totals, _ = scratch
    epsilon, weighted = smoothing[0], smoothing[1] > 0.0
    for j in range(last - first):
        at = slice_at(first + j, n, inner)
        loss = 0.0
        for c in range(n):
            share = (1.0 - epsilon) * q[at + c * inner] + epsilon / n
            share *= weight[c] if weighted else 1.0
            loss += _cost(share, x[at + c * inner], peaks[j], log_totals[j])
        losses[first + j] = loss


@jit(inline=True, fastmath=False)
def _target_share(epsilon, n, picked, spread):
    """The target's share of the loss, and what smoothing spreads; rounded alike wherever it is formed."""
    return (1.0 - epsilon) * picked + epsilon / n * spread


@jit(inline=True, fastmath=False)
def _subtract(dx, i, value):
    """``dx[i] -= value``, rounded first: with a single class p factor and value then cancel exactly."""
    dx[i] -= dx.dtype.type(value)


@over_units
@jit
def _index_backward_loops(
    n, inner, first, last, scratch, x, index, picked, weight, smoothing, dlosses, lse, factors, dx
):
    """dx = p factor, then minus q' w at each class."""
    epsilon, weighted = smoothing[0], smoothing[1] > 0.0
    whole = 0.0  # of the class weights
    if epsilon > 0.0:
        for c in range(n):
            whole += weight[c] if weighted else 1.0
    for s in range(first, last):
        counted = 0.0 if index[s] == IGNORED else dlosses[s]
        factors[s] = counted * _target_share(epsilon, n, picked[s], whole)
    scaled_softmax(n, inner, first, last, scratch, x, lse, factors, dx)
    for s in range(first, last):
        if index[s] == IGNORED:
            continue
        at = slice_at(s, n, inner)
        if epsilon > 0.0:
            for c in range(n):
                if c != index[s]:
                    share = epsilon / n * (weight[c] if weighted else 1.0)
                    _subtract(dx, at + c * inner, dlosses[s] * share)
        share = _target_share(epsilon, n, picked[s], weight[index[s]] if weighted else 1.0)
        _subtract(dx, at + index[s] * inner, dlosses[s] * share)


@over_units
@jit
def _probability_backward_loops(n, inner, first, last, scratch, x, q, weight, smoothing, dlosses, lse, factors, dx):
    """dx = p factor, then minus q' w at each class."""
    epsilon, weighted = smoothing[0], smoothing[1] > 0.0
    for s in range(first, last):
        at = slice_at(s, n, inner)
        total = 0.0
        for c in range(n):
            share = (1.0 - epsilon) * q[at + c * inner] + epsilon / n
            total += share * (weight[c] if weighted else 1.0)
        factors[s] = dlosses[s] * total
    scaled_softmax(n, inner, first, last, scratch, x, lse, factors, dx)
    for s in range(first, last):
        at = slice_at(s, n, inner)
        for c in range(n):
            share = (1.0 - epsilon) * q[at + c * inner] + epsilon / n
            _subtract(dx, at + c * inner, dlosses[s] * share * (weight[c] if weighted else 1.0))


def class_losses(x, index, picked, weight, smoothing, losses):
    """Write the losses of rows of logits x (N, C) with checked targets; returns logsumexp of each row."""
    lse = np.empty_like(losses)
    _index_loops(
        len(x), x.shape[1], 1, threads_for(x.size), x.reshape(-1), index, picked, weight, smoothing, losses, lse
    )  # fmt: skip
    return lse


def class_slopes(x, index, picked, weight, smoothing, dlosses, lse):
    """Turn rows of logits x (N, C) into their gradients, in place."""
    flat, factors = x.reshape(-1), np.empty_like(lse)
    _index_backward_loops(
        len(x), x.shape[1], 1, threads_for(x.size), flat, index, picked, weight, smoothing, dlosses, lse, factors, flat
    )  # fmt: skip


def cross_entropy_rows(x, target, out):
    """Losses of the rows of x (N, C) with class indices, by the fast loops."""
    out[...] = cross_entropy(x, target, reduction="none")


VARIANTS = {"cross_entropy": {"naive": cross_entropy_naive, "fused": cross_entropy_rows}}


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, *, lse=None):
    """Cross-entropy of logits with class indices or class probabilities, softmax included.

    A class of probability or weight 0 costs 0, even where its logit is -inf. (PyTorch 2.13 has NaN there.)

    Parameters
    ----------
    x : array, float32 or float64
        Logits: shape (C,), (N, C) or (N, C, d1, ...).
    target : array
        Class indices (int64 or int32) of shape (), (N,) or (N, d1, ...); or probabilities, of `x`'s shape and dtype.
    weight : array, optional
        Weights of the classes, shape (C,).
    ignore_index : int
        A class index that does not count; with probabilities, it must not be a class.
    reduction : {"mean", "sum", "none"}
        "mean" is weighted by the targets' weights; over no targets it is NaN.
    label_smoothing : float
        From 0 to 1: the share of the target that is spread evenly over the classes.
    lse : array, optional
        Of the losses' shape: receives logsumexp(x) over the classes, which spares the backward a pass.

    Returns
    -------
    array
        0-d, or the losses for "none".

    Raises
    ------
    IndexError
        A class index outside 0 ... C - 1 that is not `ignore_index`.
    TypeError, ValueError
        Dtypes, shapes or options that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cross_entropy
    >>> cross_entropy(np.zeros((1, 4)), np.array([2]))
    array(1.38629436)
    """
    problem = _Problem("cross_entropy", x, target, weight, ignore_index, reduction, True)
    smoothing = smoothed("cross_entropy", label_smoothing, weight)
    lse = _checks.output("cross_entropy", lse, problem.shape, problem.x.dtype, "lse").reshape(-1)
    losses = np.empty(problem.slices, problem.x.dtype)
    if problem.slices:
        sizes = (problem.slices // problem.inner, problem.n, problem.inner, problem.threads, problem.x.reshape(-1))
        if problem.probabilities is None:
            _index_loops(*sizes, problem.index, problem.picked, problem.weight, smoothing, losses, lse)
        else:
            _probability_loops(*sizes, problem.probabilities.reshape(-1), problem.weight, smoothing, losses, lse)
    return problem.reduce(losses)


def cross_entropy_backward(
    dy, x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, *, lse=None
):
    """Gradient of `cross_entropy` with respect to `x`; `dy` is 0-d, or of the losses' shape for "none".

    The other arguments are the forward's; `lse` as it received it, if it was passed. Raises as `cross_entropy`.
    """
    operation = "cross_entropy_backward"
    problem = _Problem(operation, x, target, weight, ignore_index, reduction, True)
    smoothing = smoothed(operation, label_smoothing, weight)
    dlosses = problem.loss_gradients(dy)
    if lse is None:
        lse = logsumexp(problem.x, 0 if problem.x.ndim == 1 else 1)
    else:
        lse = _checks.floats(operation, "lse", lse)
        if lse.shape != problem.shape or lse.dtype != problem.x.dtype:
            raise ValueError(f"{operation}: lse must be {problem.x.dtype} of shape {problem.shape}, got {lse.shape}")
    dx = _checks.new(problem.x.shape, problem.x.dtype)
    if problem.slices:
        sizes = (problem.slices // problem.inner, problem.n, problem.inner, problem.threads, problem.x.reshape(-1))
        rest = (problem.weight, smoothing, dlosses, lse.reshape(-1), np.empty_like(dlosses), dx.reshape(-1))
        if problem.probabilities is None:
            _index_backward_loops(*sizes, problem.index, problem.picked, *rest)
        else:
            _probability_backward_loops(*sizes, problem.probabilities.reshape(-1), *rest)
    return dx


# --- negative log-likelihood -----------------------------------------------------------------------------------------


@jit
def _likelihoods(n, inner, x, index, picked, losses):
    for s in range(index.size):
        losses[s] = 0.0
        if index[s] != IGNORED and picked[s] != 0.0:  # a weight of 0 counts for nothing, even beside an infinity
            losses[s] = -picked[s] * x[slice_at(s, n, inner) + index[s] * inner]


@jit
def _scatter(n, inner, index, picked, dlosses, dx):
    for s in range(index.size):
        if index[s] != IGNORED:
            dx[slice_at(s, n, inner) + index[s] * inner] = -picked[s] * dlosses[s]


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Negative log-likelihood of class indices: ``-weight[t] x[t]``, for `x` of log-probabilities.

    Arguments, result and errors are those of `cross_entropy` with class indices.
    """
    problem = _Problem("nll_loss", x, target, weight, ignore_index, reduction, False)
    losses = np.empty(problem.slices, problem.x.dtype)
    if problem.slices:
        _likelihoods(problem.n, problem.inner, problem.x.reshape(-1), problem.index, problem.picked, losses)
    return problem.reduce(losses)


def nll_loss_backward(dy, x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Gradient of `nll_loss` with respect to `x`: ``-weight[t] dy`` at the target class, 0 elsewhere."""
    problem = _Problem("nll_loss_backward", x, target, weight, ignore_index, reduction, False)
    dlosses = problem.loss_gradients(dy)
    dx = np.zeros_like(problem.x)
    if problem.slices:
        _scatter(problem.n, problem.inner, problem.index, problem.picked, dlosses, dx.reshape(-1))
    return dx
