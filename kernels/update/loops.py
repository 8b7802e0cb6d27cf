"""The loops over the elements of one parameter, on 1-D arrays of one size: p, g, and the states; and their options.

An optional state that is not used is an empty array.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.reduction.ranges import over_range, read, write
from kernels.simd import flat, fma, maximum, sqrt


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


@jit(inline=True, fastmath=False)
def descent(p, g, weight_decay, sign):
    """The gradient with weight decay, negated to maximise."""
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


# --- fast loops: the same, a wide vector at a time -------------------------------------------------------------------
# Callable from jitted code with the arguments of the naive loops. What is fused is written as `fma`, so that an element
# is rounded in the same way wherever it lies.


@jit(inline=True, fastmath=False)
def _sgd_at(i, count, p, g, buffer, with_buffer, options):
    lr, momentum, gradient_weight, weight_decay, nesterov, first, sign = options
    x = read(p, i, count, 0.0)
    d = descent(x, read(g, i, count, 0.0), weight_decay, sign)
    if with_buffer:
        v = d if first else fma(read(buffer, i, count, 0.0), momentum, gradient_weight * d)
        write(buffer, i, count, v)
        d = fma(v, momentum, d) if nesterov else v
    write(p, i, count, fma(d, -lr, x))


@jit(inline=True, fastmath=False)
def _adam_at(i, count, p, g, states, with_max, options):
    m, v, max_v = states
    step_size, beta1, beta2, root_scale, eps, weight_decay, decay_factor, sign = options
    x = read(p, i, count, 0.0)
    d = descent(x, read(g, i, count, 0.0), weight_decay, sign)
    mean = read(m, i, count, 0.0)
    mean = fma(d - mean, 1.0 - beta1, mean)
    square = fma((1.0 - beta2) * d, d, beta2 * read(v, i, count, 0.0))
    write(m, i, count, mean)
    write(v, i, count, square)
    if with_max:
        square = maximum(read(max_v, i, count, 0.0), square)
        write(max_v, i, count, square)
    step = mean / fma(sqrt(square), root_scale, eps)
    write(p, i, count, fma(step, -step_size, decay_factor * x))


@jit(inline=True, fastmath=False)
def _rmsprop_at(i, count, p, g, states, used, options):
    v, buffer, average = states
    lr, alpha, eps, weight_decay, momentum, sign = options
    with_buffer, with_average = used
    x = read(p, i, count, 0.0)
    d = descent(x, read(g, i, count, 0.0), weight_decay, sign)
    square = fma((1.0 - alpha) * d, d, alpha * read(v, i, count, 0.0))
    write(v, i, count, square)
    if with_average:
        mean = read(average, i, count, 0.0)
        mean = fma(d - mean, 1.0 - alpha, mean)
        write(average, i, count, mean)
        square = maximum(fma(-mean, mean, square), 0.0)  # rounding may make it negative; a NaN stays
    d = d / (sqrt(square) + eps)
    if with_buffer:
        d = fma(read(buffer, i, count, 0.0), momentum, d)
        write(buffer, i, count, d)
    write(p, i, count, fma(d, -lr, x))


@jit(inline=True, fastmath=False)
def _adagrad_at(i, count, p, g, total, options):
    step_size, eps, weight_decay, sign = options
    x = read(p, i, count, 0.0)
    d = descent(x, read(g, i, count, 0.0), weight_decay, sign)
    square = fma(d, d, read(total, i, count, 0.0))
    write(total, i, count, square)
    write(p, i, count, fma(d / (sqrt(square) + eps), -step_size, x))


_sgd, _adam, _rmsprop, _adagrad = map(over_range, (_sgd_at, _adam_at, _rmsprop_at, _adagrad_at))


@jit(naive=sgd_naive)
def sgd_loops(p, g, buffer, options):
    """`sgd_naive` by vectors."""
    _sgd(p, FIRST, p.size, flat(p), flat(g), flat(buffer), buffer.size > 0, options)


@jit(naive=adam_naive)
def adam_loops(p, g, m, v, max_v, options):
    """`adam_naive` by vectors."""
    states = flat(m), flat(v), flat(max_v)
    _adam(p, FIRST, p.size, flat(p), flat(g), states, max_v.size > 0, options)


@jit(naive=rmsprop_naive)
def rmsprop_loops(p, g, v, buffer, average, options):
    """`rmsprop_naive` by vectors."""
    states, used = (flat(v), flat(buffer), flat(average)), (buffer.size > 0, average.size > 0)
    _rmsprop(p, FIRST, p.size, flat(p), flat(g), states, used, options)


@jit(naive=adagrad_naive)
def adagrad_loops(p, g, total, options):
    """`adagrad_naive` by vectors."""
    _adagrad(p, FIRST, p.size, flat(p), flat(g), flat(total), options)


VARIANTS = {
    "sgd": {"naive": sgd_naive, "fast": sgd_loops},
    "adam": {"naive": adam_naive, "fast": adam_loops},
    "rmsprop": {"naive": rmsprop_naive, "fast": rmsprop_loops},
    "adagrad": {"naive": adagrad_naive, "fast": adagrad_loops},
}
