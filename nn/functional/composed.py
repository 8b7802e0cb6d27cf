"""The functions once more, each composed of operations: what their gradients of gradients are computed from.

They are the definitions, slower than the kernels and with intermediate results; only ``create_graph=True`` calls them.
Arrays among the arguments are constants.
"""

import math

import numpy as np

import kernels
from nn.autograd.recomposed import recomposed
from nn.functional.pooling import avg_pool2d
from nn.operations.arithmetic import matmul, reshaped
from nn.operations.elementwise import exp, sigmoid, sqrt, tanh, where
from nn.operations.joining import cat, stack
from nn.operations.orders import permute, transpose
from nn.operations.reductions import log_softmax, logsumexp, mean, softmax
from nn.operations.reductions import sum as sum_of
from nn.operations.shapes import expand
from nn.storage import wrap
from nn.tape import record

# --- activations ------------------------------------------------------------------------------------------------------


def elu(x, scale, alpha, rate):
    """scale · (x where x > 0, else alpha · (exp(rate · x) - 1))."""
    positive = x.array > 0
    return where(positive, x, (exp(where(positive, 0, x) * rate) - 1) * alpha) * scale


def selu(x):
    """`elu` with the constants that keep mean 0 and variance 1."""
    return elu(x, 1.0507009873554804934, 1.6732632423543772848, 1)


def prelu(x, weight):
    """x where x > 0, else weight · x."""
    shape = (-1, *(1,) * (x.ndim - 2)) if weight.array.size > 1 else ()
    return where(x.array > 0, x, x * weight.reshape(shape))


def silu(x):
    """x · sigmoid(x)."""
    return x * sigmoid(x)


def mish(x):
    """x · tanh(softplus(x)), where softplus is log(exp(0) + exp(x))."""
    return x * tanh(logsumexp(stack((x * 0, x)), 0))


def glu(x, dim):
    """a · sigmoid(b), where a and b are the halves of x along a dimension."""
    a, b = x.chunk(2, dim)
    return a * sigmoid(b)


def hardswish_gradient(dy, x):
    """The gradient of x · relu6(x + 3) / 6."""
    return dy * where(x.array <= -3, 0, where(x.array >= 3, 1, x / 3 + 0.5))


def logsigmoid_gradient(dy, x):
    """The gradient of log(sigmoid(x))."""
    return dy * sigmoid(-x)


def gelu_gradient(dy, x, approximate):
    """The gradient of x · Φ(x), or of its approximation."""
    if approximate == "tanh":
        return recomposed(_gelu_tanh)(dy, x)[0]
    return dy * _gelu_slope(x)


def _gelu_tanh(x):
    return x * 0.5 * (1 + tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)))


def _gelu_slope(x):
    """Φ(x) + x · φ(x), by the kernel; its derivative, (2 - x²) · φ(x), needs no Φ."""

    def derivative(g, x):
        squares = x * x
        return g * (2 - squares) * exp(squares * -0.5) / math.sqrt(2 * math.pi)

    array = x.array
    slope = kernels.gelu_backward(np.ones_like(array), array)
    return record("gelu", slope, (x,), lambda g: derivative(wrap(g), wrap(array)).array, (x,), derivative=derivative)


# --- affine maps ------------------------------------------------------------------------------------------------------


def affine(x, weight, bias):
    """``x @ weight.T + bias``."""
    y = matmul(x, transpose(weight, 0, 1))
    return y if bias is None else y + bias


# --- normalisation ----------------------------------------------------------------------------------------------------


def _scaled(y, weight, bias, shape):
    """y · weight + bias, both in a shape that broadcasts with y."""
    y = y if weight is None else y * reshaped(weight, shape)
    return y if bias is None else y + reshaped(bias, shape)


def _standardised(x, dims, eps):
    center = x - mean(x, dims, True)
    return center / sqrt(mean(center * center, dims, True) + eps)


def _channels(x):
    """The shape in which one number for each channel broadcasts with x."""
    return (-1, *(1,) * (x.ndim - 2))


def normalized(x, weight, bias, count, eps):
    """Layer normalisation over the last `count` dimensions."""
    y = _standardised(x, tuple(range(x.ndim - count, x.ndim)), eps)
    return _scaled(y, weight, bias, x.shape[x.ndim - count :])


def normalized_channels(x, weight, bias, eps):
    """Batch normalisation in training."""
    return _scaled(_standardised(x, (0, *range(2, x.ndim)), eps), weight, bias, _channels(x))


def normalized_by(x, weight, bias, center, rstd):
    """Batch normalisation by given statistics, arrays."""
    shape = _channels(x)
    return _scaled((x - center.reshape(shape)) * rstd.reshape(shape), weight, bias, shape)


def normalized_groups(x, weight, bias, groups, eps):
    """Group normalisation; instance normalisation if there is a group for each channel."""
    rows = x.reshape(x.shape[0], groups, -1)
    return _scaled(_standardised(rows, 2, eps).reshape(x.shape), weight, bias, _channels(x))


def normalized_by_root_mean_square(x, weight, count, eps):
    """RMS normalisation over the last `count` dimensions."""
    eps = np.finfo(x.dtype).eps if eps is None else eps
    root = sqrt(mean(x * x, tuple(range(x.ndim - count, x.ndim)), True) + eps)
    return _scaled(x / root, weight, None, x.shape[x.ndim - count :])


def local_response(x, size, alpha, beta, k):
    """x / (k + alpha · mean of the squares over neighbouring channels) ** beta."""
    squares = (x * x).reshape(x.shape[0], x.shape[1], -1)
    n, _, positions = squares.shape
    before, after = (wrap(np.zeros((n, c, positions), x.dtype)) for c in (size // 2, (size - 1) // 2))
    padded = cat((before, squares, after), 1).reshape(n, 1, -1, positions)
    means = avg_pool2d(padded, (size, 1), 1).reshape(x.shape)
    return x / (means * alpha + k) ** beta


# --- losses -----------------------------------------------------------------------------------------------------------


def reduced(loss, reduction):
    """The losses, their mean or their sum; "batchmean" divides by the first dimension."""
    if reduction == "none":
        return loss
    if reduction == "mean":
        return mean(loss)
    return sum_of(loss) / (loss.shape[0] if reduction == "batchmean" and loss.ndim else 1)


def squared(x, target, reduction):
    """The squared difference."""
    d = x - target
    return reduced(d * d, reduction)


def absolute(x, target, reduction):
    """The absolute difference."""
    return reduced(abs(x - target), reduction)


def huber(x, target, reduction, delta):
    """d² / 2 where |d| < delta, else delta · (|d| - delta / 2)."""
    d = x - target
    return reduced(where(np.abs(d.array) < delta, d * d * 0.5, (abs(d) - 0.5 * delta) * delta), reduction)


def smooth_absolute(x, target, reduction, beta):
    """`huber` / beta; the absolute difference for 0."""
    return absolute(x, target, reduction) if beta == 0 else huber(x, target, reduction, beta) / beta


def cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing):
    """The cross-entropy of softmax(x) and classes or probabilities, arrays."""
    if x.ndim > 1:
        x = permute(x, 0, *range(2, x.ndim), 1)
    logs, classes = log_softmax(x, -1), x.shape[-1]
    factors = np.ones(classes, x.dtype) if weight is None else weight.astype(x.dtype, copy=False)
    if target.dtype.kind == "f":
        target = np.moveaxis(target, 1, -1) if target.ndim > 1 else target
        smooth = target * (1 - label_smoothing) + label_smoothing / classes
        loss = -sum_of(logs * (smooth * factors).astype(x.dtype), -1)
        return mean(loss) if reduction == "mean" else reduced(loss, reduction)
    ignored = target == ignore_index
    classes_of = np.where(ignored, 0, target)
    counted = np.where(ignored, 0, factors[classes_of]).astype(x.dtype)
    hot = np.eye(classes, dtype=x.dtype)[classes_of] * counted[..., None] * (1 - label_smoothing)
    spread = np.where(ignored[..., None], 0, factors * (label_smoothing / classes))
    loss = -sum_of(logs * (hot + spread).astype(x.dtype), -1)
    return sum_of(loss) / float(counted.sum()) if reduction == "mean" else reduced(loss, reduction)


def shared(dy, reduction, shape):
    """The gradient with respect to each loss, from that with respect to the reduced result."""
    if reduction == "none":
        return dy
    if reduction == "mean":
        return dy / math.prod(shape)
    return dy / shape[0] if reduction == "batchmean" and shape else dy


# --- attention --------------------------------------------------------------------------------------------------------


def attention(query, key, value, bias, *, scale, softcap, hidden, distances, factors):
    """Softmax of the scores, times the values.

    `bias` is a tensor, an array or None; `hidden` are the pairs that do not see each other; `distances` (None without)
    are subtracted from the scores; `factors` (None without) are those of the weights by dropout.
    """
    if key.ndim > 2 and key.shape[-3] != query.shape[-3]:
        key, value = (_repeated(t, query.shape[-3]) for t in (key, value))
    scores = matmul(query, transpose(key, -2, -1)) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if softcap > 0:
        scores = tanh(scores / softcap) * softcap
    if bias is not None:
        scores = scores + bias
    if distances is not None:
        scores = scores - distances
    hidden = np.broadcast_to(hidden, scores.shape)
    empty = hidden.all(-1, keepdims=True)  # rows without visible keys
    weights = softmax(where(hidden, np.where(empty, 0, -np.inf).astype(scores.dtype), scores), -1)
    weights = where(empty, 0, weights) if empty.any() else weights
    return matmul(weights if factors is None else weights * factors, value)


def _repeated(t, heads):
    """Each head as often as there are query heads for it."""
    *leading, H, length, width = t.shape
    groups = expand(t.reshape(*leading, H, 1, length, width), *leading, H, heads // H, length, width)
    return groups.reshape(*leading, heads, length, width)
