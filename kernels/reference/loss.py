r"""Loss functions and their gradients in plain NumPy, with the semantics of ``torch.nn.functional``.

    cross_entropy    l_n = -w_t log softmax(x_n)_t                        (class index t, class weights w)
                     l_n = -sum_c q_c w_c log softmax(x_n)_c              (class probabilities q)
    nll              l_n = -w_t x_nt
    mse, l1          l = d²,  |d|                                         (d = x - t)
    huber            l = d² / 2 where |d| < δ, else δ (|d| - δ / 2);      smooth_l1 is huber / β with δ = β
    bce              l = -w (t log x + (1 - t) log(1 - x));               with_logits takes σ(x) for x
    ctc              l = -log of the sum over all alignments of the product of their probabilities
    kl_div           l = t (log t - x)                                    (x is a log-probability)

Label smoothing ε replaces the one-hot or given probabilities q by (1 - ε) q + ε / C. The reduction "mean" divides by
the number of losses; with class indices, by the sum of the weights of the targets that are not ignored.
"""

import math

import numpy as np

from kernels.reference.activation import logsigmoid, sigmoid
from kernels.reference.reduction import log_softmax, logsumexp, mean

__all__ = [
    "cross_entropy",
    "cross_entropy_backward",
    "linear_cross_entropy",
    "linear_cross_entropy_backward",
    "nll_loss",
    "nll_loss_backward",
    "mse_loss",
    "mse_loss_backward",
    "l1_loss",
    "l1_loss_backward",
    "smooth_l1_loss",
    "smooth_l1_loss_backward",
    "huber_loss",
    "huber_loss_backward",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "kl_div",
    "kl_div_backward",
    "ctc_loss",
    "ctc_loss_backward",
]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


# --- reductions -------------------------------------------------------------------------------------------------------


def _reduce(losses, reduction, batch=None):
    """Reduce an array of losses; `batch` is the divisor of "batchmean"."""
    if reduction == "none":
        return np.asarray(losses)
    if reduction == "sum":
        return np.asarray(np.sum(losses))
    if reduction == "mean":
        return mean(losses)
    if reduction == "batchmean" and batch is not None:
        return np.asarray(np.sum(losses) / losses.dtype.type(batch))
    raise ValueError(f"loss: reduction must be 'none', 'mean' or 'sum', not {reduction!r}")


def _spread(dy, shape, reduction, batch=None):
    """Return the gradient of each loss of an array of `shape`, given the gradient of the reduced loss."""
    if reduction == "mean":
        dy = dy / dy.dtype.type(np.prod(shape))
    elif reduction == "batchmean" and batch is not None:
        dy = dy / dy.dtype.type(batch)
    elif reduction not in ("none", "sum"):
        raise ValueError(f"loss: reduction must be 'none', 'mean' or 'sum', not {reduction!r}")
    return np.broadcast_to(dy, shape)


# --- classification ---------------------------------------------------------------------------------------------------


def _times(factor, value):
    """factor * value, and 0 where the factor is 0, even times an infinity."""
    return np.where(factor == 0, 0, factor * value)


def _class_weights(weight, x, axis):
    """Shape the class weights (ones if None) so that they broadcast along the class axis of `x`."""
    if weight is None:
        weight = np.ones(x.shape[axis], x.dtype)
    return weight.reshape(-1, *[1] * (x.ndim - 1 - axis))


def _targets(name, target, x, weight, axis, ignore_index):
    """Return each target's class (0 if ignored), its weight (0 if ignored), and whether it is not ignored."""
    classes = x.shape[axis]
    counts = target != ignore_index
    wrong = counts & ((target < 0) | (target >= classes))
    if wrong.any():
        raise IndexError(f"{name}: class index {target[wrong].flat[0]} is out of range for {classes} classes")
    index = np.where(counts, target, 0)
    picked = np.ones(target.shape, x.dtype) if weight is None else weight[index]
    return np.expand_dims(index, axis), np.where(counts, picked, 0), counts


@ieee
def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Negative log-likelihood of class indices `target`; `x` (C,), (N, C) or (N, C, d1, ...) is log-probabilities."""
    axis = 0 if x.ndim == 1 else 1
    index, picked, counts = _targets("nll_loss", target, x, weight, axis, ignore_index)
    losses = _times(picked, -np.take_along_axis(x, index, axis).squeeze(axis))
    if reduction == "mean":
        return np.asarray(np.sum(losses) / np.sum(picked))
    return _reduce(losses, reduction)


@ieee
def nll_loss_backward(dy, x, target, weight=None, ignore_index=-100, reduction="mean"):
    """dx = -w_t dy at the target class, else 0."""
    axis = 0 if x.ndim == 1 else 1
    index, picked, counts = _targets("nll_loss", target, x, weight, axis, ignore_index)
    dlosses = dy / np.sum(picked) if reduction == "mean" else _spread(dy, target.shape, reduction)
    dx = np.zeros_like(x)
    np.put_along_axis(dx, index, np.expand_dims(np.where(counts, -picked * dlosses, 0), axis), axis)
    return dx


@ieee
def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, *, lse=None):
    """Cross-entropy of logits `x` (C,), (N, C) or (N, C, d1, ...) with class indices or probabilities `target`.

    The logsumexp of `x` over the classes is stored in `lse`, if given, for the backward.

    Raises
    ------
    IndexError
        A class index that is not `ignore_index` is outside 0 ... C - 1.

    Example
    -------
    >>> cross_entropy(np.zeros((1, 4)), np.array([2]))
    array(1.38629436)
    """
    axis = 0 if x.ndim == 1 else 1
    log_p = log_softmax(x, axis)
    if lse is not None:
        lse[...] = logsumexp(x, axis)
    weights = _class_weights(weight, x, axis)
    smooth = label_smoothing / x.shape[axis]

    if target.dtype.kind == "f":
        losses = np.sum(_times((target * (1 - label_smoothing) + smooth) * weights, -log_p), axis=axis)
        return _reduce(losses, reduction)

    index, picked, counts = _targets("cross_entropy", target, x, weight, axis, ignore_index)
    losses = _times((1 - label_smoothing) * picked, -np.take_along_axis(log_p, index, axis).squeeze(axis))
    if label_smoothing > 0:
        losses = losses + smooth * np.sum(_times(weights, -log_p), axis=axis)
    losses = np.where(counts, losses, 0)
    if reduction == "mean":
        return np.asarray(np.sum(losses) / np.sum(picked))
    return _reduce(losses, reduction)


@ieee
def cross_entropy_backward(
    dy, x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, *, lse=None
):
    """dx = softmax(x) sum_c g_c - g, where -g is the gradient of log softmax(x); `lse` is the forward's, if given."""
    axis = 0 if x.ndim == 1 else 1
    p = np.exp(log_softmax(x, axis) if lse is None else x - np.expand_dims(lse, axis))
    weights = _class_weights(weight, x, axis)
    smooth = label_smoothing / x.shape[axis]

    if target.dtype.kind == "f":
        dlosses = _spread(dy, x.shape[:axis] + x.shape[axis + 1 :], reduction)
        g = (target * (1 - label_smoothing) + smooth) * weights * np.expand_dims(dlosses, axis)
    else:
        index, picked, counts = _targets("cross_entropy", target, x, weight, axis, ignore_index)
        dlosses = dy / np.sum(picked) if reduction == "mean" else _spread(dy, target.shape, reduction)
        dlosses = np.where(counts, dlosses, 0)
        g = smooth * weights * np.expand_dims(dlosses, axis) if label_smoothing > 0 else np.zeros_like(x)
        at_target = (1 - label_smoothing) * np.expand_dims(picked * dlosses, axis)
        np.put_along_axis(g, index, np.take_along_axis(g, index, axis) + at_target, axis)
    return p * np.sum(g, axis=axis, keepdims=True) - g


def _logits(x, linear_weight, linear_bias):
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return rows @ linear_weight.T + (0 if linear_bias is None else linear_bias)


@ieee
def linear_cross_entropy(
    x, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None, label_smoothing=0.0
):
    """Cross-entropy of the logits ``x W^T + b`` with class indices, `x` (..., K), `target` (...)."""
    z, ignored = _logits(x, linear_weight, linear_bias), -100 if ignore_index is None else ignore_index
    losses = cross_entropy(z, target.reshape(-1), weight, ignored, reduction, label_smoothing)
    return losses.reshape(target.shape) if reduction == "none" else losses


@ieee
def linear_cross_entropy_backward(
    dy,
    x,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=None,
    label_smoothing=0.0,
):
    """With dz the gradient of the logits: dx = dz W, dW = dz^T x, db = sum of dz over the rows."""
    z, ignored = _logits(x, linear_weight, linear_bias), -100 if ignore_index is None else ignore_index
    dy = dy.reshape(-1) if reduction == "none" else dy
    dz = cross_entropy_backward(dy, z, target.reshape(-1), weight, ignored, reduction, label_smoothing)
    return (dz @ linear_weight).reshape(x.shape), dz.T @ x.reshape(len(z), x.shape[-1]), dz.sum(0)


# --- regression -------------------------------------------------------------------------------------------------------


def _difference(name, x, target):
    """Return x - target without broadcasting: (N, 1) with (N,) is an error."""
    if x.shape != target.shape:
        raise ValueError(f"{name}: shapes differ: x is {x.shape}, target is {target.shape}")
    return x - target


def _both(dx, needs):
    """The gradients of x and target, where the loss depends on x - target."""
    return np.asarray(dx) if needs[0] else None, np.asarray(-dx) if needs[1] else None


@ieee
def mse_loss(x, target, reduction="mean"):
    """l = (x - target)²."""
    return _reduce(_difference("mse_loss", x, target) ** 2, reduction)


@ieee
def mse_loss_backward(dy, x, target, reduction="mean", *, needs=(True, True)):
    """dx = 2 (x - target) dy, dtarget = -dx."""
    return _both(2 * _difference("mse_loss", x, target) * _spread(dy, x.shape, reduction), needs)


@ieee
def l1_loss(x, target, reduction="mean"):
    """l = |x - target|."""
    return _reduce(np.abs(_difference("l1_loss", x, target)), reduction)


@ieee
def l1_loss_backward(dy, x, target, reduction="mean", *, needs=(True, True)):
    """dx = sign(x - target) dy, which is 0 at 0 and, as in torch, at NaN; dtarget = -dx."""
    d = _difference("l1_loss", x, target)
    dy = _spread(dy, x.shape, reduction)
    return _both(np.where(d > 0, dy, np.where(d < 0, -dy, 0)), needs)


@ieee
def smooth_l1_loss(x, target, reduction="mean", beta=1.0):
    """l = d² / (2 beta) where |d| < beta, else |d| - beta / 2."""
    if beta == 0:
        return l1_loss(x, target, reduction)
    z = np.abs(_difference("smooth_l1_loss", x, target))
    return _reduce(np.where(z < beta, 0.5 * z * (z / beta), z - 0.5 * beta), reduction)


@ieee
def smooth_l1_loss_backward(dy, x, target, reduction="mean", beta=1.0, *, needs=(True, True)):
    """dx = dy min(max(d / beta, -1), 1), dtarget = -dx."""
    if beta == 0:
        return l1_loss_backward(dy, x, target, reduction, needs=needs)
    d = _difference("smooth_l1_loss", x, target)
    return _both(_spread(dy, x.shape, reduction) * np.clip(d / beta, -1, 1), needs)


@ieee
def huber_loss(x, target, reduction="mean", delta=1.0):
    """l = d² / 2 where |d| < delta, else delta (|d| - delta / 2)."""
    z = np.abs(_difference("huber_loss", x, target))
    return _reduce(np.where(z < delta, 0.5 * z * z, delta * (z - 0.5 * delta)), reduction)


@ieee
def huber_loss_backward(dy, x, target, reduction="mean", delta=1.0, *, needs=(True, True)):
    """dx = dy min(max(d, -delta), delta), dtarget = -dx."""
    d = _difference("huber_loss", x, target)
    return _both(_spread(dy, x.shape, reduction) * np.clip(d, -delta, delta), needs)


# --- probabilities ----------------------------------------------------------------------------------------------------


@ieee
def binary_cross_entropy(x, target, weight=None, reduction="mean"):
    """l = -w (t log x + (1 - t) log(1 - x)), each logarithm at least -100; `x` in [0, 1] is a probability."""
    _difference("binary_cross_entropy", x, target)
    for name, values in (("x", x), ("target", target)):
        outside = ~((values >= 0) & (values <= 1))
        if outside.any():
            raise ValueError(f"binary_cross_entropy: {name} must lie in [0, 1], but holds {values[outside].flat[0]}")
    losses = (target - 1) * np.maximum(np.log1p(-x), -100) - target * np.maximum(np.log(x), -100)
    return _reduce(losses if weight is None else losses * weight, reduction)


@ieee
def binary_cross_entropy_backward(dy, x, target, weight=None, reduction="mean"):
    """dx = w (x - t) dy / (x (1 - x)), the denominator at least 1e-12."""
    dx = _spread(dy, x.shape, reduction) * (x - target) / np.maximum((1 - x) * x, 1e-12)
    return np.asarray(dx if weight is None else dx * weight)


@ieee
def binary_cross_entropy_with_logits(x, target, weight=None, reduction="mean", pos_weight=None):
    """l = -w (p t log σ(x) + (1 - t) log(1 - σ(x))); `pos_weight` p multiplies the positive term."""
    _difference("binary_cross_entropy_with_logits", x, target)
    size = np.abs(x)  # (1 - t) x - log σ(x), without inf - inf
    losses = _times(np.where(x > 0, 1 - target, target), size) + np.log1p(np.exp(-size))
    if pos_weight is not None:
        losses = losses - _times((pos_weight - 1) * target, logsigmoid(x))
    return _reduce(losses if weight is None else losses * weight, reduction)


@ieee
def binary_cross_entropy_with_logits_backward(dy, x, target, weight=None, reduction="mean", pos_weight=None):
    """dx = w ((p t + 1 - t) σ(x) - p t) dy."""
    positive = target if pos_weight is None else pos_weight * target
    dx = _spread(dy, x.shape, reduction) * ((positive + 1 - target) * sigmoid(x) - positive)
    return np.asarray(dx if weight is None else dx * weight)


@ieee
def kl_div(x, target, reduction="mean", log_target=False):
    """l = t (log t - x), or exp(t) (t - x) with `log_target`; "batchmean" divides the sum by N."""
    d = _difference("kl_div", target, x)
    losses = _times(np.exp(target), d) if log_target else _times(target, np.log(target) - x)
    return _reduce(losses, reduction, batch=x.shape[0] if x.ndim else 1)


@ieee
def kl_div_backward(dy, x, target, reduction="mean", log_target=False):
    """dx = -t dy, or -exp(t) dy."""
    p = np.exp(target) if log_target else target
    return np.asarray(-p * _spread(dy, x.shape, reduction, batch=x.shape[0] if x.ndim else 1))


# --- sequences --------------------------------------------------------------------------------------------------------


@ieee
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """Connectionist temporal classification: log-probabilities (T, N, C), targets (N, S) or one after the other.

    Example
    -------
    >>> ctc_loss(np.log(np.full((2, 1, 2), 0.5)), np.array([[1]]), [2], [1])
    array(0.28768207)
    """
    samples = _sequences(log_probs, targets, input_lengths, target_lengths, blank)
    losses = np.array([-_ends(_alphas(x, states)) for x, states in samples], log_probs.dtype)
    if zero_infinity:
        losses[np.isinf(losses)] = 0
    if reduction == "mean":
        losses /= np.maximum(target_lengths, 1)
    return _reduce(losses, reduction)


@ieee
def ctc_loss_backward(
    dy, log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):
    """The gradient with respect to the logits that `log_probs` comes from: probabilities, less those of the states."""
    dlosses = np.broadcast_to(dy, log_probs.shape[1:2])
    if reduction == "mean":
        dlosses = dlosses / np.maximum(target_lengths, 1) / log_probs.shape[1]
    dx = np.zeros_like(log_probs)
    for n, (x, states) in enumerate(_sequences(log_probs, targets, input_lengths, target_lengths, blank)):
        alpha, beta = _alphas(x, states), _alphas(x[::-1], states[::-1])[::-1, ::-1]
        loss = -_ends(alpha)
        if np.isinf(loss):
            dx[: len(x), n] = 0 if zero_infinity else np.nan
            continue
        dx[: len(x), n] = np.exp(x)
        for s, c in enumerate(states):
            both = alpha[1:, s] + beta[:-1, s] - x[:, c]
            dx[: len(x), n, c] -= np.where(np.isneginf(x[:, c]), 0, np.exp(both + loss))
        dx[:, n] *= dlosses[n]
    return dx


def _sequences(log_probs, targets, input_lengths, target_lengths, blank):
    """Log-probabilities (T, C) and states of each sample."""
    ends = np.cumsum(target_lengths)
    for n, (length, size) in enumerate(zip(input_lengths, target_lengths, strict=True)):
        states = np.full(2 * size + 1, blank)
        states[1::2] = targets[n, :size] if targets.ndim == 2 else targets[ends[n] - size : ends[n]]
        yield log_probs[:length, n], states


def _alphas(x, states):
    """Logarithms of the forward variables, at first and after each time."""
    alpha = np.full((len(x) + 1, len(states)), -np.inf)
    alpha[0, 0] = 0
    for t, row in enumerate(x):
        alpha[t + 1] = alpha[t]
        alpha[t + 1, 1:] = np.logaddexp(alpha[t + 1, 1:], alpha[t, :-1])
        skips = np.where(states[2:] != states[:-2], alpha[t, :-2], -np.inf)
        alpha[t + 1, 2:] = np.logaddexp(alpha[t + 1, 2:], skips)
        alpha[t + 1] += row[states]
    return alpha


def _ends(alpha):
    return np.logaddexp.reduce(alpha[-1, -2:])
