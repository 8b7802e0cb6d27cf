"""The loops over the elements of one parameter, on 1-D arrays of one size: p, g, and the states; and their options.

An optional state that is not used is an empty array.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels.simd import lane_count, load_partial, maximum, sqrt, store_partial


class SGDOptions(NamedTuple):
    """`gradient_weight` is 1 - τ; `first` fills the momentum buffer; `sign` is -1 to maximise."""

    lr: float
    momentum: float
    gradient_weight: float
    weight_decay: float
    nesterov: bool
    first: bool
    sign: float


class AdamOptions(NamedTuple):
    """`step_size` is η / (1 - β₁ᵗ), `root_scale` 1 / √(1 - β₂ᵗ), `decay_factor` 1 - η λ (AdamW) or 1."""

    step_size: float
    beta1: float
    beta2: float
    root_scale: float
    eps: float
    weight_decay: float
    decay_factor: float
    sign: float


class RMSpropOptions(NamedTuple):
    """The names are those of `kernels.rmsprop`; `sign` is -1 to maximise."""

    lr: float
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    sign: float


class AdagradOptions(NamedTuple):
    """`step_size` is η / (1 + (t - 1) γ)."""

    step_size: float
    eps: float
    weight_decay: float
    sign: float


# --- naive loops: the definitions ------------------------------------------------------------------------------------


@jit(inline=True)
def descent(p, g, weight_decay, sign):
    """The gradient to descend."""
    if weight_decay != 0.0:
        return sign * g + weight_decay * p
    return sign * g


@jit
def sgd_naive(p, g, buffer, options):
    """Step of gradient descent, with momentum if there is a buffer."""
    lr, momentum, gradient_weight, weight_decay, nesterov, first, sign = options
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        if buffer.size:
            buffer[i] = d if first else momentum * buffer[i] + gradient_weight * d
            d = d + momentum * buffer[i] if nesterov else buffer[i]
        p[i] -= lr * d


@jit
def adam_naive(p, g, m, v, max_v, options):
    """Step of Adam; of AMSGrad if there is a `max_v`."""
    step_size, beta1, beta2, root_scale, eps, weight_decay, decay_factor, sign = options
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        m[i] += (1.0 - beta1) * (d - m[i])
        v[i] = beta2 * v[i] + d * ((1.0 - beta2) * d)
        square = v[i]
        if max_v.size:
            square = max_v[i] = np.maximum(max_v[i], square)
        p[i] = decay_factor * p[i] - step_size * (m[i] / (np.sqrt(square) * root_scale + eps))


@jit
def rmsprop_naive(p, g, v, buffer, average, options):
    """Step of RMSprop: with momentum if there is a buffer, centred if there is an average."""
    lr, alpha, eps, weight_decay, momentum, sign = options
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        v[i] = alpha * v[i] + d * ((1.0 - alpha) * d)
        square = v[i]
        if average.size:
            average[i] += (1.0 - alpha) * (d - average[i])
            square = np.maximum(square - average[i] * average[i], 0.0)
        d = d / (np.sqrt(square) + eps)
        if buffer.size:
            buffer[i] = d = momentum * buffer[i] + d
        p[i] -= lr * d


@jit
def adagrad_naive(p, g, total, options):
    """Step of Adagrad."""
    step_size, eps, weight_decay, sign = options
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        total[i] += d * d
        p[i] -= step_size * (d / (np.sqrt(total[i]) + eps))


# --- fast loops: the same, a vector at a time ------------------------------------------------------------------------
# Callable from jitted code with the arguments of the naive loops. The last vector is stored in part.


@jit(naive=sgd_naive)
def sgd_loops(p, g, buffer, options):
    """`sgd_naive` by vectors."""
    lr, momentum, gradient_weight, weight_decay, nesterov, first, sign = options
    for i in range(0, p.size, lane_count(p)):
        left = p.size - i
        x = load_partial(p, i, left, 0.0)
        d = descent(x, load_partial(g, i, left, 0.0), weight_decay, sign)
        if buffer.size:
            v = d if first else momentum * load_partial(buffer, i, left, 0.0) + gradient_weight * d
            store_partial(buffer, i, left, v)
            d = d + momentum * v if nesterov else v
        store_partial(p, i, left, x - lr * d)


@jit(naive=adam_naive)
def adam_loops(p, g, m, v, max_v, options):
    """`adam_naive` by vectors."""
    step_size, beta1, beta2, root_scale, eps, weight_decay, decay_factor, sign = options
    for i in range(0, p.size, lane_count(p)):
        left = p.size - i
        x = load_partial(p, i, left, 0.0)
        d = descent(x, load_partial(g, i, left, 0.0), weight_decay, sign)
        mean = load_partial(m, i, left, 0.0)
        mean = mean + (1.0 - beta1) * (d - mean)
        square = beta2 * load_partial(v, i, left, 0.0) + d * ((1.0 - beta2) * d)
        store_partial(m, i, left, mean)
        store_partial(v, i, left, square)
        if max_v.size:
            square = maximum(load_partial(max_v, i, left, 0.0), square)
            store_partial(max_v, i, left, square)
        store_partial(p, i, left, decay_factor * x - step_size * (mean / (sqrt(square) * root_scale + eps)))


@jit(naive=rmsprop_naive)
def rmsprop_loops(p, g, v, buffer, average, options):
    """`rmsprop_naive` by vectors."""
    lr, alpha, eps, weight_decay, momentum, sign = options
    for i in range(0, p.size, lane_count(p)):
        left = p.size - i
        x = load_partial(p, i, left, 0.0)
        d = descent(x, load_partial(g, i, left, 0.0), weight_decay, sign)
        square = alpha * load_partial(v, i, left, 0.0) + d * ((1.0 - alpha) * d)
        store_partial(v, i, left, square)
        if average.size:
            mean = load_partial(average, i, left, 0.0)
            mean = mean + (1.0 - alpha) * (d - mean)
            store_partial(average, i, left, mean)
            square = maximum(square - mean * mean, 0.0)  # rounding may make it negative; a NaN stays
        d = d / (sqrt(square) + eps)
        if buffer.size:
            d = momentum * load_partial(buffer, i, left, 0.0) + d
            store_partial(buffer, i, left, d)
        store_partial(p, i, left, x - lr * d)


@jit(naive=adagrad_naive)
def adagrad_loops(p, g, total, options):
    """`adagrad_naive` by vectors."""
    step_size, eps, weight_decay, sign = options
    for i in range(0, p.size, lane_count(p)):
        left = p.size - i
        x = load_partial(p, i, left, 0.0)
        d = descent(x, load_partial(g, i, left, 0.0), weight_decay, sign)
        square = load_partial(total, i, left, 0.0) + d * d
        store_partial(total, i, left, square)
        store_partial(p, i, left, x - step_size * (d / (sqrt(square) + eps)))


VARIANTS = {
    "sgd": {"naive": sgd_naive, "fast": sgd_loops},
    "adam": {"naive": adam_naive, "fast": adam_loops},
    "rmsprop": {"naive": rmsprop_naive, "fast": rmsprop_loops},
    "adagrad": {"naive": adagrad_naive, "fast": adagrad_loops},
}
