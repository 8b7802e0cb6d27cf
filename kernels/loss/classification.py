r"""Cross-entropy of C classes.

With the peak m = max_c x_c, the total s = sum_c exp(x_c - m), log p_c = x_c - m - log s, class weights w, a target
distribution q (1 at the target class, or given) and q' = (1 - ε) q + ε / C for label smoothing ε:

    l  = -sum_c q'_c w_c log p_c                 dx_c = dl (p_c sum_k q'_k w_k - q'_c w_c)

The forward reads x twice while it is in cache, for m and for s, and takes one exponential an element (about 20 FLOPs);
log p is computed for the target class alone, so no array of the size of x is written. Saved for the backward is
log(sum exp x) (`lse`), one number a slice: it reads x and writes dx, one exponential an element.

`x` is (C,), (N, C) or (N, C, d1, ...); the losses are of shape (), (N,) or (N, d1, ...). "mean" divides by the sum of
the weights of the targets that count, or, with probabilities, by the number of losses.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.loss.targets import IGNORED, ClassTargets, IndexTarget, ProbabilityTarget
from kernels.reduction import logsumexp
from kernels.reduction.blocks import over_blocks, slice_start
from kernels.reduction.peaks import logarithms, scaled_softmax, statistics


@jit
def cross_entropy_naive(x, target, out):
    """The definition, for rows of x (N, C) and class indices: the logarithm of the softmax at the target."""
    for row in range(x.shape[0]):
        peak = np.max(x[row])
        total = 0.0
        for c in range(x.shape[1]):
            total += math.exp(x[row, c] - peak)
        out[row] = math.log(total) - (x[row, target[row]] - peak)


# --- cross-entropy ---------------------------------------------------------------------------------------------------


@jit(inline=True, fastmath=False)
def _cost(q, x, peak, log_total):
    """q * -log p, and 0 where q is 0, even if p is. The peak is subtracted first, which is exact or nearly so;
    peak + log(total) would be rounded.
    """
    return q * (log_total - (x - peak)) if q != 0.0 else 0.0


@jit(inline=True)
def _peaks_and_log_totals(block, scratch, x, lse):
    """Peaks and logarithms of totals of the slices, for the loss; and their sums, for the backward."""
    statistics(block, scratch, x)
    peaks, totals, _ = scratch
    count = block.last - block.first
    logarithms(totals, 0, count, totals)
    for j in range(count):
        lse[block.first + j] = peaks[j] + totals[j]
    return peaks, totals


@jit(inline=True)
def _index_block(block, scratch, x, losses, lse, *target):
    """Losses of class indices; `target` has the fields of `IndexTarget`."""
    peaks, log_totals = _peaks_and_log_totals(block, scratch, x, lse)
    n, inner, t = block.n, block.inner, IndexTarget(*target)
    for j in range(block.last - block.first):
        s = block.first + j
        losses[s] = 0.0
        if t.index[s] == IGNORED:
            continue
        start = slice_start(s, n, inner)
        loss = _cost((1.0 - t.epsilon) * t.index_weight[s], x[start + t.index[s] * inner], peaks[j], log_totals[j])
        if t.epsilon > 0.0:
            spread = 0.0
            for c in range(n):
                spread += _cost(t.weight[c] if t.weighted else 1.0, x[start + c * inner], peaks[j], log_totals[j])
            loss += t.epsilon / n * spread
        losses[s] = loss


@jit(inline=True)
def _probability_block(block, scratch, x, losses, lse, *target):
    """Losses of class probabilities; `target` has the fields of `ProbabilityTarget`."""
    peaks, log_totals = _peaks_and_log_totals(block, scratch, x, lse)
    n, inner, t = block.n, block.inner, ProbabilityTarget(*target)
    for j in range(block.last - block.first):
        start = slice_start(block.first + j, n, inner)
        loss = 0.0
        for c in range(n):
            q = (1.0 - t.epsilon) * t.probabilities[start + c * inner] + t.epsilon / n
            q *= t.weight[c] if t.weighted else 1.0
            loss += _cost(q, x[start + c * inner], peaks[j], log_totals[j])
        losses[block.first + j] = loss


@jit(inline=True, fastmath=False)
def _smoothed(epsilon, n, weight, total):
    """(1 - ε) weight + ε / n total: q' w of the target class, or the sum of q' w; rounded alike for both."""
    return (1.0 - epsilon) * weight + epsilon / n * total


@jit(inline=True, fastmath=False)
def _subtract(dx, i, value):
    """``dx[i] -= value``, rounded first: with a single class, p factor and value then cancel exactly."""
    dx[i] -= dx.dtype.type(value)


@jit(inline=True)
def _index_backward_block(block, scratch, x, dlosses, lse, factors, dx, *target):
    """dx = p factor, then minus q' w of each class; `target` has the fields of `IndexTarget`."""
    n, inner, t = block.n, block.inner, IndexTarget(*target)
    epsilon, total_weight = t.epsilon, 0.0
    if epsilon > 0.0:
        for c in range(n):
            total_weight += t.weight[c] if t.weighted else 1.0
    for s in range(block.first, block.last):
        counted = 0.0 if t.index[s] == IGNORED else dlosses[s]
        factors[s] = counted * _smoothed(epsilon, n, t.index_weight[s], total_weight)
    scaled_softmax(block, scratch, x, lse, factors, dx)
    for s in range(block.first, block.last):
        if t.index[s] == IGNORED:
            continue
        start = slice_start(s, n, inner)
        if epsilon > 0.0:
            for c in range(n):
                if c != t.index[s]:
                    q = epsilon / n * (t.weight[c] if t.weighted else 1.0)
                    _subtract(dx, start + c * inner, dlosses[s] * q)
        q = _smoothed(epsilon, n, t.index_weight[s], t.weight[t.index[s]] if t.weighted else 1.0)
        _subtract(dx, start + t.index[s] * inner, dlosses[s] * q)


@jit(inline=True)
def _probability_backward_block(block, scratch, x, dlosses, lse, factors, dx, *target):
    """dx = p factor, then minus q' w of each class; `target` has the fields of `ProbabilityTarget`."""
    n, inner, t = block.n, block.inner, ProbabilityTarget(*target)
    for s in range(block.first, block.last):
        start = slice_start(s, n, inner)
        total = 0.0
        for c in range(n):
            q = (1.0 - t.epsilon) * t.probabilities[start + c * inner] + t.epsilon / n
            total += q * (t.weight[c] if t.weighted else 1.0)
        factors[s] = dlosses[s] * total
    scaled_softmax(block, scratch, x, lse, factors, dx)
    for s in range(block.first, block.last):
        start = slice_start(s, n, inner)
        for c in range(n):
            q = (1.0 - t.epsilon) * t.probabilities[start + c * inner] + t.epsilon / n
            _subtract(dx, start + c * inner, dlosses[s] * q * (t.weight[c] if t.weighted else 1.0))


_index_loops, _index_backward_loops = over_blocks(_index_block), over_blocks(_index_backward_block)
_probability_loops = over_blocks(_probability_block)
_probability_backward_loops = over_blocks(_probability_backward_block)


def class_losses(x, target, losses):
    """Store the losses of rows of logits x (N, C) with an `IndexTarget`; returns logsumexp of each row."""
    lse = np.empty_like(losses)
    _index_loops(len(x), x.shape[1], 1, threads_for(x.size), x.reshape(-1), losses, lse, *target)
    return lse


def class_gradients(x, target, dlosses, lse):
    """Replace rows of logits x (N, C) by the gradients with respect to them."""
    flat, factors = x.reshape(-1), np.empty_like(lse)
    layout = len(x), x.shape[1], 1, threads_for(x.size)
    _index_backward_loops(*layout, flat, dlosses, lse, factors, flat, *target)


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
        From 0 to 1: the part of the target that is spread evenly over the classes.
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
    targets = ClassTargets("cross_entropy", x, weight, reduction)
    loops = _index_loops if targets.set_target(target, ignore_index, label_smoothing) else _probability_loops
    lse = _checks.output("cross_entropy", lse, targets.shape, targets.x.dtype, "lse").reshape(-1)
    losses = np.empty(targets.slices, targets.x.dtype)
    if targets.slices:
        loops(*targets.layout(), losses, lse, *targets.target)
    return targets.reduce(losses)


def cross_entropy_backward(
    dy, x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, *, lse=None
):
    """Gradient of `cross_entropy` with respect to `x`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of the losses' shape for "none".
    x, target, weight, ignore_index, reduction, label_smoothing
        As given to the forward.
    lse : array, optional
        As the forward has filled it; computed again if not given.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    IndexError
        A class index outside 0 ... C - 1 that is not `ignore_index`.
    TypeError, ValueError
        Dtypes, shapes or options that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cross_entropy_backward
    >>> cross_entropy_backward(np.array(1.0), np.zeros((1, 4)), np.array([2]))
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    operation = "cross_entropy_backward"
    targets = ClassTargets(operation, x, weight, reduction)
    is_index = targets.set_target(target, ignore_index, label_smoothing)
    loops = _index_backward_loops if is_index else _probability_backward_loops
    dlosses = targets.loss_gradients(dy)
    if lse is None:
        lse = logsumexp(targets.x, 0 if targets.x.ndim == 1 else 1)
    else:
        lse = _checks.floats(operation, "lse", lse)
        if lse.shape != targets.shape or lse.dtype != targets.x.dtype:
            raise ValueError(f"{operation}: lse must be {targets.x.dtype} of shape {targets.shape}, got {lse.shape}")
    dx = _checks.new(targets.x.shape, targets.x.dtype)
    if targets.slices:
        factors = np.empty_like(dlosses)
        loops(*targets.layout(), dlosses, lse.reshape(-1), factors, dx.reshape(-1), *targets.target)
    return dx
