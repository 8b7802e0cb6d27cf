"""The loops over the elements of one parameter, on 1-D arrays of one size: p, g, and the states."""

import numpy as np

from kernels._jit import jit
from kernels.simd import lane_count, load, load_partial, maximum, sqrt, store, store_partial

# --- naive loops: the definitions ------------------------------------------------------------------------------------
# p, g and the states are 1-D arrays of one size; an optional state that is not wanted is an empty array.


@jit(inline=True)
def descent(p, g, weight_decay, sign):
    """The gradient to descend; sign is -1 to maximise."""
    if weight_decay != 0.0:
        return sign * g + weight_decay * p
    return sign * g


@jit
def sgd_naive(p, g, buffer, lr, momentum, keep, weight_decay, nesterov, first, sign):
    """Step of gradient descent, with momentum if there is a buffer; `first` fills it. keep is 1 - τ."""
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        if buffer.size:
            buffer[i] = d if first else momentum * buffer[i] + keep * d
            d = d + momentum * buffer[i] if nesterov else buffer[i]
        p[i] -= lr * d


@jit
def adam_naive(p, g, m, v, largest, rate, beta1, beta2, root_scale, eps, weight_decay, shrink, sign):
    """Step of Adam. rate is η / (1 - β₁ᵗ), root_scale 1 / √(1 - β₂ᵗ), shrink 1 - η λ (AdamW) or 1."""
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        m[i] += (1.0 - beta1) * (d - m[i])
        v[i] = beta2 * v[i] + (1.0 - beta2) * d * d
        square = v[i]
        if largest.size:
            square = largest[i] = np.maximum(largest[i], square)
        p[i] = shrink * p[i] - rate * m[i] / (np.sqrt(square) * root_scale + eps)


@jit
def rmsprop_naive(p, g, v, buffer, average, lr, alpha, eps, weight_decay, momentum, sign):
    """Step of RMSprop: with momentum if there is a buffer, centred if there is an average."""
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        v[i] = alpha * v[i] + (1.0 - alpha) * d * d
        square = v[i]
        if average.size:
            average[i] += (1.0 - alpha) * (d - average[i])
            square -= average[i] * average[i]
        d = d / (np.sqrt(square) + eps)
        if buffer.size:
            buffer[i] = d = momentum * buffer[i] + d
        p[i] -= lr * d


@jit
def adagrad_naive(p, g, total, rate, eps, weight_decay, sign):
    """Step of Adagrad. rate is η / (1 + (t - 1) γ)."""
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        total[i] += d * d
        p[i] -= rate * d / (np.sqrt(total[i]) + eps)


# --- fast loops: the same, a vector at a time ------------------------------------------------------------------------


@jit(inline=True)
def _read(x, i, count):
    return load(x, i) if count == lane_count(x) else load_partial(x, i, count, 0.0)


@jit(inline=True)
def _write(x, i, count, vector):
    if count == lane_count(x):
        store(x, i, vector)
    else:
        store_partial(x, i, count, vector)


def _vector_loop(step):
    """Jitted ``loops(p, ...)``: `step` at each whole vector of p, then at what is left. (`count` being a constant in
    the first, its `_read` and `_write` lose their branch.)"""

    @jit
    def loops(p, *arguments):
        lanes = lane_count(p)
        whole = p.size - p.size % lanes
        for i in range(0, whole, lanes):
            step(i, lanes, p, *arguments)
        if whole < p.size:
            step(whole, p.size - whole, p, *arguments)

    return loops


@jit(inline=True)
def _sgd(i, count, p, g, buffer, lr, momentum, keep, weight_decay, nesterov, first, sign):
    x = _read(p, i, count)
    d = descent(x, _read(g, i, count), weight_decay, sign)
    if buffer.size:
        v = d if first else momentum * _read(buffer, i, count) + keep * d
        _write(buffer, i, count, v)
        d = d + momentum * v if nesterov else v
    _write(p, i, count, x - lr * d)


@jit(inline=True)
def _adam(i, count, p, g, m, v, largest, rate, beta1, beta2, root_scale, eps, weight_decay, shrink, sign):
    x = _read(p, i, count)
    d = descent(x, _read(g, i, count), weight_decay, sign)
    mean = _read(m, i, count)
    mean = mean + (1.0 - beta1) * (d - mean)
    square = beta2 * _read(v, i, count) + (1.0 - beta2) * d * d
    _write(m, i, count, mean)
    _write(v, i, count, square)
    if largest.size:
        square = maximum(_read(largest, i, count), square)
        _write(largest, i, count, square)
    _write(p, i, count, shrink * x - rate * mean / (sqrt(square) * root_scale + eps))


@jit(inline=True)
def _rmsprop(i, count, p, g, v, buffer, average, lr, alpha, eps, weight_decay, momentum, sign):
    x = _read(p, i, count)
    d = descent(x, _read(g, i, count), weight_decay, sign)
    square = alpha * _read(v, i, count) + (1.0 - alpha) * d * d
    _write(v, i, count, square)
    if average.size:
        mean = _read(average, i, count)
        mean = mean + (1.0 - alpha) * (d - mean)
        _write(average, i, count, mean)
        square = square - mean * mean
    d = d / (sqrt(square) + eps)
    if buffer.size:
        d = momentum * _read(buffer, i, count) + d
        _write(buffer, i, count, d)
    _write(p, i, count, x - lr * d)


@jit(inline=True)
def _adagrad(i, count, p, g, total, rate, eps, weight_decay, sign):
    x = _read(p, i, count)
    d = descent(x, _read(g, i, count), weight_decay, sign)
    square = _read(total, i, count) + d * d
    _write(total, i, count, square)
    _write(p, i, count, x - rate * d / (sqrt(square) + eps))


# Callable from jitted code with the arguments of the naive loops.
sgd_loops = _vector_loop(_sgd)
adam_loops = _vector_loop(_adam)
rmsprop_loops = _vector_loop(_rmsprop)
adagrad_loops = _vector_loop(_adagrad)

VARIANTS = {
    "sgd": {"naive": sgd_naive, "fast": sgd_loops},
    "adam": {"naive": adam_naive, "fast": adam_loops},
    "rmsprop": {"naive": rmsprop_naive, "fast": rmsprop_loops},
    "adagrad": {"naive": adagrad_naive, "fast": adagrad_loops},
}
