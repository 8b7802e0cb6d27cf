"""Activations, softmax and dropout. ``inplace=True`` leaves the result in `input`, too."""

import numpy as np

import kernels
from nn import random
from nn.functional.arguments import checked, in_place, number
from nn.tensor import record


def relu(input, inplace=False):
    """max(0, x)."""
    return in_place(input, checked("relu", input).relu(), inplace)


def relu6(input, inplace=False):
    """min(max(0, x), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope · x."""
    x, negative_slope = checked("leaky_relu", input).data, number(negative_slope)

    def backward(dy):
        return kernels.leaky_relu_backward(dy, x, negative_slope)

    y = record("leaky_relu", kernels.leaky_relu(x, negative_slope), (input,), backward, (input,))
    return in_place(input, y, inplace)


def prelu(input, weight):
    """x where x > 0, else weight · x.

    Parameters
    ----------
    input : Tensor (N, C, ...)
    weight : Tensor (), (1,) or (C,)
        One slope, or one for each channel.
    """
    x, w = checked("prelu", input).data, checked("prelu", weight, "weight").data
    return record(
        "prelu", kernels.prelu(x, w), (input, weight), lambda dy: kernels.prelu_backward(dy, x, w), (input, weight)
    )


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha · (exp(x) - 1)."""
    x, alpha = checked("elu", input).data, number(alpha)
    y = record("elu", kernels.elu(x, alpha), (input,), lambda dy: kernels.elu_backward(dy, x, alpha), (input,))
    return in_place(input, y, inplace)


def selu(input, inplace=False):
    """scale · (x where x > 0, else alpha · (exp(x) - 1)), with the constants that keep mean 0 and variance 1."""
    x = checked("selu", input).data
    y = record("selu", kernels.selu(x), (input,), lambda dy: kernels.selu_backward(dy, x), (input,))
    return in_place(input, y, inplace)


def celu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha · (exp(x / alpha) - 1)."""
    x, alpha = checked("celu", input).data, number(alpha)
    y = record("celu", kernels.celu(x, alpha), (input,), lambda dy: kernels.celu_backward(dy, x, alpha), (input,))
    return in_place(input, y, inplace)


def gelu(input, approximate="none"):
    """x · Φ(x), Φ the normal distribution function; ``approximate="tanh"`` for the approximation by tanh."""
    x = checked("gelu", input).data

    def backward(dy):
        return kernels.gelu_backward(dy, x, approximate)

    return record("gelu", kernels.gelu(x, approximate), (input,), backward, (input,))


def silu(input, inplace=False):
    """x · sigmoid(x)."""
    x = checked("silu", input).data
    y = record("silu", kernels.silu(x), (input,), lambda dy: kernels.silu_backward(dy, x), (input,))
    return in_place(input, y, inplace)


def mish(input, inplace=False):
    """x · tanh(softplus(x))."""
    x = checked("mish", input).data
    y = record("mish", kernels.mish(x), (input,), lambda dy: kernels.mish_backward(dy, x), (input,))
    return in_place(input, y, inplace)


def sigmoid(input):
    """1 / (1 + exp(-x))."""
    return checked("sigmoid", input).sigmoid()


def tanh(input):
    """The hyperbolic tangent."""
    return checked("tanh", input).tanh()


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold."""
    x, beta, threshold = checked("softplus", input).data, number(beta), number(threshold)

    def backward(dy):
        return kernels.softplus_backward(dy, x, beta, threshold)

    return record("softplus", kernels.softplus(x, beta, threshold), (input,), backward, (input,))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x, but at least min_val and at most max_val."""
    x, min_val, max_val = checked("hardtanh", input).data, number(min_val), number(max_val)

    def backward(dy):
        return kernels.hardtanh_backward(dy, x, min_val, max_val)

    y = record("hardtanh", kernels.hardtanh(x, min_val, max_val), (input,), backward, (input,))
    return in_place(input, y, inplace)


def hardswish(input, inplace=False):
    """x · relu6(x + 3) / 6."""
    x = checked("hardswish", input).data
    y = record("hardswish", kernels.hardswish(x), (input,), lambda dy: kernels.hardswish_backward(dy, x), (input,))
    return in_place(input, y, inplace)


def hardsigmoid(input, inplace=False):
    """relu6(x + 3) / 6."""
    x = checked("hardsigmoid", input).data
    y = record(
        "hardsigmoid", kernels.hardsigmoid(x), (input,), lambda dy: kernels.hardsigmoid_backward(dy, x), (input,)
    )
    return in_place(input, y, inplace)


def glu(input, dim=-1):
    """a · sigmoid(b), a and b the halves of x along `dim`."""
    x = checked("glu", input).data
    return record("glu", kernels.glu(x, dim), (input,), lambda dy: kernels.glu_backward(dy, x, dim), (input,))


def logsigmoid(input):
    """log(sigmoid(x))."""
    x = checked("logsigmoid", input).data
    return record(
        "logsigmoid", kernels.logsigmoid(x), (input,), lambda dy: kernels.logsigmoid_backward(dy, x), (input,)
    )


def softmax(input, dim=None):
    """exp(x) / sum(exp(x)) along `dim`; without it, as in PyTorch, 0 for 0, 1 or 3 dimensions, else 1."""
    return checked("softmax", input).softmax(_softmax_dim(input) if dim is None else dim)


def log_softmax(input, dim=None):
    """x - log(sum(exp(x))) along `dim`, by default as for `softmax`."""
    return checked("log_softmax", input).log_softmax(_softmax_dim(input) if dim is None else dim)


def _softmax_dim(input):
    return 0 if input.ndim in (0, 1, 3) else 1


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, set each element to 0 with probability `p` and scale the others by 1 / (1 - p).

    Raises
    ------
    ValueError
        `p` is not in [0, 1].
    """
    return _dropout("dropout", input, p, training, inplace, None)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """`dropout` of whole channels of (N, C, L) or (C, L)."""
    return _dropout("dropout1d", input, p, training, inplace, 1)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """`dropout` of whole channels of (N, C, H, W) or (C, H, W)."""
    return _dropout("dropout2d", input, p, training, inplace, 2)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _dropout("dropout3d", input, p, training, inplace, 3)


def _dropout(name, input, p, training, inplace, dims):
    """Dropout of elements, or of what lies along the last `dims` dimensions."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be between 0 and 1, got {p}")
    x = checked(name, input).data
    if dims is not None and x.ndim not in (dims + 1, dims + 2):
        raise ValueError(f"{name}: input must have {dims + 1} or {dims + 2} dimensions, got shape {x.shape}")
    if not training or p == 0:
        return input
    shape = x.shape if dims is None else x.shape[:-dims] + (1,) * dims
    scale = (random.generator().random(shape, np.float32) >= p).astype(x.dtype)
    if p < 1:
        scale /= 1 - p
    return in_place(input, record(name, x * scale, (input,), lambda dy: dy * scale), inplace)
