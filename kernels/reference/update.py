r"""Optimiser steps in plain NumPy: one call updates all parameters and states in place.

    sgd        v = μ v + (1 - τ) g                   p -= η v           (Nesterov: p -= η (g + μ v))
    adam       m = β₁ m + (1 - β₁) g                 p -= η m̂ / (√v̂ + ε)
               v = β₂ v + (1 - β₂) g²                m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)
    rmsprop    v = α v + (1 - α) g²                  p -= η g / (√v + ε)         (centred: v minus the mean's square)
    adagrad    v = v + g²                            p -= η / (1 + (t - 1) λ) g / (√v + ε)

Weight decay adds λp to g; adamw shrinks p instead. A parameter whose gradient is None is unchanged, as is its state.
Kingma and Ba 2015 (adam), Reddi et al. 2018 (amsgrad), Loshchilov and Hutter 2019 (adamw), Duchi et al. 2011 (adagrad).
"""

import math

import numpy as np

__all__ = ["sgd", "adam", "adamw", "rmsprop", "adagrad", "clip_grad_norm"]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


def _each(params, grads, *states):
    """Yield (parameter, gradient, state...) for parameters with a gradient; None for a missing list of states."""
    columns = [[None] * len(params) if state is None else state for state in states]
    return (row for row in zip(params, grads, *columns, strict=True) if row[1] is not None)


def _gradient(p, g, weight_decay, maximize):
    """The gradient with weight decay, negated to maximise."""
    if maximize:
        g = -g
    return g + weight_decay * p if weight_decay else g


@ieee
def sgd(
    params,
    grads,
    momentum_buffers=None,
    *,
    lr,
    momentum=0.0,
    dampening=0.0,
    weight_decay=0.0,
    nesterov=False,
    maximize=False,
    first=False,
):
    """Take one step of gradient descent; with `first`, the momentum buffers are set to the gradients."""
    for p, g, v in _each(params, grads, momentum_buffers):
        g = _gradient(p, g, weight_decay, maximize)
        if momentum:
            if first:
                v[...] = g
            else:
                v *= momentum
                v += (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        p -= lr * g


@ieee
def adam(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs=None,
    *,
    step,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    maximize=False,
):
    """Take step number `step` (from 1) of Adam, or of AMSGrad if `max_exp_avg_sqs` is given."""
    beta1, beta2 = betas
    step_size = lr / (1 - beta1**step)
    root_correction = math.sqrt(1 - beta2**step)
    for p, g, m, v, largest in _each(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs):
        g = _gradient(p, g, weight_decay, maximize)
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        if largest is not None:
            v = np.maximum(largest, v, out=largest)
        p -= step_size * m / (np.sqrt(v) / root_correction + eps)


@ieee
def adamw(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs=None,
    *,
    step,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=1e-2,
    maximize=False,
):
    """Take step number `step` of Adam with decoupled weight decay: p shrinks by the factor 1 - lr * weight_decay."""
    for p, _ in _each(params, grads):
        p *= 1 - lr * weight_decay
    adam(
        params,
        grads,
        exp_avgs,
        exp_avg_sqs,
        max_exp_avg_sqs,
        step=step,
        lr=lr,
        betas=betas,
        eps=eps,
        maximize=maximize,
    )


@ieee
def rmsprop(
    params,
    grads,
    square_avgs,
    momentum_buffers=None,
    grad_avgs=None,
    *,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    maximize=False,
):
    """Take one step of RMSprop, centred (variance in place of mean square) if `grad_avgs` is given."""
    for p, g, v, buffer, average in _each(params, grads, square_avgs, momentum_buffers, grad_avgs):
        g = _gradient(p, g, weight_decay, maximize)
        v *= alpha
        v += (1 - alpha) * g * g
        if average is not None:
            average += (1 - alpha) * (g - average)
            v = v - average * average
        g = g / (np.sqrt(v) + eps)
        if momentum:
            buffer *= momentum
            buffer += g
            g = buffer
        p -= lr * g


@ieee
def adagrad(params, grads, state_sums, *, step, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10, maximize=False):
    """Take step number `step` (from 1) of Adagrad."""
    rate = lr / (1 + (step - 1) * lr_decay)
    for p, g, total in _each(params, grads, state_sums):
        g = _gradient(p, g, weight_decay, maximize)
        total += g * g
        p -= rate * g / (np.sqrt(total) + eps)


def _norm(x, p):
    """The p-norm, computed from x divided by its extreme element, if that is finite and not 0, against overflow."""
    extreme = np.linalg.norm(x, np.copysign(np.inf, p)) if p and x.size else 0
    if not 0 < extreme < np.inf:
        return np.linalg.norm(x, p)
    return extreme * np.linalg.norm(x / extreme, p)


@ieee
def clip_grad_norm(grads, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale gradients in place so that the norm of their norms is at most `max_norm`; returns that norm."""
    given = [g for g in grads if g is not None]
    if not given:
        return np.float32(0)
    norms = [_norm(g.astype(np.float64).ravel(), norm_type) for g in given]
    total = _norm(np.array(norms), norm_type)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(f"clip_grad_norm: the norm is {total}")
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:
        for g in given:
            g *= factor
    return given[0].dtype.type(total)
