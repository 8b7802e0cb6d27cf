"""The loops over the elements of one parameter, on 1-D arrays of one size: p, g, and the states."""

import numpy as np

from kernels._jit import jit
from kernels.simd import lane_count, load_partial, maximum, sqrt, store_partial

# --- naive loops: the definitions ------------------------------------------------------------------------------------
# An optional state that is not wanted is an empty array.


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
        v[i] = beta2 * v[i] + d * ((1.0 - beta2) * d)
        square = v[i]
        if largest.size:
            square = largest[i] = np.maximum(largest[i], square)
        p[i] = shrink * p[i] - rate * (m[i] / (np.sqrt(square) * root_scale + eps))


@jit
def rmsprop_naive(p, g, v, buffer, average, lr, alpha, eps, weight_decay, momentum, sign):
    """Step of RMSprop: with momentum if there is a buffer, centred if there is an average."""
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
def adagrad_naive(p, g, total, rate, eps, weight_decay, sign):
    """Step of Adagrad. rate is η / (1 + (t - 1) γ)."""
    for i in range(p.size):
        d = descent(p[i], g[i], weight_decay, sign)
        total[i] += d * d
        p[i] -= rate * (d / (np.sqrt(total[i]) + eps))


# --- fast loops: the same, a vector at a time ------------------------------------------------------------------------
# Callable from jitted code with the arguments of the naive loops. The last vector may be short of `left` elements.


@jit(naive=sgd_naive)
def sgd_loops(p, g, buffer, lr, momentum, keep, weight_decay, nesterov, first, sign):
    """`sgd_naive` by vectors."""
    for i in range(0, p.size, lane_count(p)):
        left = p.size - i
        x = load_partial(p, i, left, 0.0)
        d = descent(x, load_partial(g, i, left, 0.0), weight_decay, sign)
        if buffer.size:
            v = d if first else momentum * load_partial(buffer, i, left, 0.0) + keep * d
            store_partial(buffer, i, left, v)
            d = d + momentum * v if nesterov else v
        store_partial(p, i, left, x - lr * d)


@jit(naive=adam_naive)
def adam_loops(p, g, m, v, largest, rate, beta1, beta2, root_scale, eps, weight_decay, shrink, sign):
    """`adam_naive` by vectors."""
    for i in range(0, p.size, lane_count(p)):
        left = p.size - i
        x = load_partial(p, i, left, 0.0)
        d = descent(x, load_partial(g, i, left, 0.0), weight_decay, sign)
        mean = load_partial(m, i, left, 0.0)
        mean = mean + (1.0 - beta1) * (d - mean)
        square = beta2 * load_partial(v, i, left, 0.0) + d * ((1.0 - beta2) * d)
        store_partial(m, i, left, mean)
        store_partial(v, i, left, square)
        if largest.size:
            square = maximum(load_partial(largest, i, left, 0.0), square)
            store_partial(largest, i, left, square)
        store_partial(p, i, left, shrink * x - rate * (mean / (sqrt(square) * root_scale + eps)))


@jit(naive=rmsprop_naive)
def rmsprop_loops(p, g, v, buffer, average, lr, alpha, eps, weight_decay, momentum, sign):
    """`rmsprop_naive` by vectors."""
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
            square = maximum(square - mean * mean, 0.0)  # rounding may leave less; a NaN stays
        d = d / (sqrt(square) + eps)
        if buffer.size:
            d = momentum * load_partial(buffer, i, left, 0.0) + d
            store_partial(buffer, i, left, d)
        store_partial(p, i, left, x - lr * d)


@jit(naive=adagrad_naive)
def adagrad_loops(p, g, total, rate, eps, weight_decay, sign):
    """`adagrad_naive` by vectors."""
    for i in range(0, p.size, lane_count(p)):
        left = p.size - i
        x = load_partial(p, i, left, 0.0)
        d = descent(x, load_partial(g, i, left, 0.0), weight_decay, sign)
        square = load_partial(total, i, left, 0.0) + d * d
        store_partial(total, i, left, square)
        store_partial(p, i, left, x - rate * (d / (sqrt(square) + eps)))


VARIANTS = {
    "sgd": {"naive": sgd_naive, "fast": sgd_loops},
    "adam": {"naive": adam_naive, "fast": adam_loops},
    "rmsprop": {"naive": rmsprop_naive, "fast": rmsprop_loops},
    "adagrad": {"naive": adagrad_naive, "fast": adagrad_loops},
}
