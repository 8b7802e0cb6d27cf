"""Activations, softmax and dropout."""

import numpy as np

import kernels
from nn import random
from nn.autograd.recomposed import recomposed
from nn.functional import composed
from nn.functional.arguments import checked, in_place, probability
from nn.operations.arguments import scalar_of, scaled
from nn.operations.elementwise import sigmoid as logistic
from nn.operations.elementwise import where
from nn.tape import record, record_linear

__all__ = ["celu", "dropout", "dropout1d", "dropout2d", "dropout3d", "elu", "gelu", "glu", "hardsigmoid", "hardswish"]
__all__ += ["hardtanh", "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid"]
__all__ += ["silu", "softmax", "softplus", "tanh"]


def _record(name, forward, backward, input, derivative=None, *options):
    """Record a function of each element; the kernels take x and `options`. Without `derivative`, x times a constant."""
    x = checked(name, input).array

    def gradient(dy):
        return backward(dy, x, *options)

    def constant_factor(dy, input):
        return scaled(name, gradient, dy, (input,))

    y = forward(x, *options)
    return record(name, y, (input,), gradient, (input,), derivative=derivative or constant_factor)


def relu(input, inplace=False):
    """max(0, x), elementwise.

    Parameters
    ----------
    input : Tensor, float32 or float64, any shape
    inplace : bool, default False
        Also store the result in `input`.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError
        `input` is not a Tensor of these dtypes.

    Examples
    --------
    >>> import nn
    >>> nn.functional.relu(nn.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return in_place(input, checked("relu", input).relu(), inplace)


def relu6(input, inplace=False):
    """min(max(0, x), 6), elementwise; `input` and `inplace` as for `relu`."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope · x, elementwise.

    Parameters
    ----------
    input
        As for `relu`.
    negative_slope : float, default 0.01
    inplace
        As for `relu`.
    """
    slope = scalar_of("leaky_relu", "negative_slope", negative_slope)
    y = _record("leaky_relu", kernels.leaky_relu, kernels.leaky_relu_backward, input, None, slope)
    return in_place(input, y, inplace)


def prelu(input, weight):
    """x where x > 0, else weight · x, elementwise.

    Parameters
    ----------
    input : Tensor (N, C, ...)
    weight : Tensor (), (1,) or (C,)
        One slope, or one for each channel.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError, ValueError
        An argument is not a Tensor of floats, dtypes differ, or `weight` has neither one element nor C.

    Reference: He et al., "Delving Deep into Rectifiers" (2015), equation 1.
    """
    x, w = checked("prelu", input).array, checked("prelu", weight, "weight").array

    def backward(dy):
        return kernels.prelu_backward(dy, x, w)

    inputs = input, weight
    return record("prelu", kernels.prelu(x, w), inputs, backward, inputs, derivative=recomposed(composed.prelu))


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha · (exp(x) - 1), elementwise.

    Parameters
    ----------
    input
        As for `relu`.
    alpha : float, default 1.0
    inplace
        As for `relu`.

    Reference: Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)" (2016),
    equation 15.
    """
    alpha = scalar_of("elu", "alpha", alpha)
    derivative = recomposed(lambda x: composed.elu(x, 1, alpha, 1))
    y = _record("elu", kernels.elu, kernels.elu_backward, input, derivative, alpha)
    return in_place(input, y, inplace)


def selu(input, inplace=False):
    """scale · (x where x > 0, else alpha · (exp(x) - 1)), with constants that keep mean 0 and variance 1.

    `input` and `inplace` as for `relu`.

    Reference: Klambauer et al., "Self-Normalizing Neural Networks" (2017), equation 2.
    """
    return in_place(
        input, _record("selu", kernels.selu, kernels.selu_backward, input, recomposed(composed.selu)), inplace
    )


def celu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha · (exp(x / alpha) - 1), elementwise.

    Parameters
    ----------
    input
        As for `relu`.
    alpha : float, default 1.0
        Not 0.
    inplace
        As for `relu`.

    Raises
    ------
    ValueError
        `alpha` is 0.

    Reference: Barron, "Continuously Differentiable Exponential Linear Units" (2017), equation 2.
    """
    alpha = scalar_of("celu", "alpha", alpha)
    derivative = recomposed(lambda x: composed.elu(x, 1, alpha, 1 / alpha))
    y = _record("celu", kernels.celu, kernels.celu_backward, input, derivative, alpha)
    return in_place(input, y, inplace)


def gelu(input, approximate="none"):
    """x · Φ(x), elementwise, where Φ is the normal distribution function.

    Parameters
    ----------
    input
        As for `relu`.
    approximate : {"none", "tanh"}
        Whether Φ is approximated by a tanh.

    Raises
    ------
    ValueError
        `approximate` is neither.

    Reference: Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016), section 2.
    """

    def derivative(dy, input):
        return composed.gelu_gradient(dy, input, approximate)

    return _record("gelu", kernels.gelu, kernels.gelu_backward, input, derivative, approximate)


def silu(input, inplace=False):
    """x · sigmoid(x), elementwise; `input` and `inplace` as for `relu`."""
    return in_place(
        input, _record("silu", kernels.silu, kernels.silu_backward, input, recomposed(composed.silu)), inplace
    )


def mish(input, inplace=False):
    """x · tanh(softplus(x)), elementwise; `input` and `inplace` as for `relu`.

    Reference: Misra, "Mish" (2019), equation 1.
    """
    return in_place(
        input, _record("mish", kernels.mish, kernels.mish_backward, input, recomposed(composed.mish)), inplace
    )


def sigmoid(input):
    """1 / (1 + exp(-x)), elementwise; `input` as for `relu`."""
    return checked("sigmoid", input).sigmoid()


def tanh(input):
    """The hyperbolic tangent, elementwise; `input` as for `relu`."""
    return checked("tanh", input).tanh()


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta · x)) / beta, elementwise.

    Parameters
    ----------
    input
        As for `relu`.
    beta : float, default 1.0
    threshold : float, default 20.0
        Where beta · x is larger, the result is x itself.
    """
    beta, threshold = scalar_of("softplus", "beta", beta), scalar_of("softplus", "threshold", threshold)

    def derivative(dy, input):
        product = input * beta
        return dy * where(product.array > threshold, 1, logistic(product))

    return _record("softplus", kernels.softplus, kernels.softplus_backward, input, derivative, beta, threshold)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """min(max(min_val, x), max_val), elementwise.

    Parameters
    ----------
    input
        As for `relu`.
    min_val, max_val : float, default -1.0 and 1.0
    inplace
        As for `relu`.
    """
    limits = scalar_of("hardtanh", "min_val", min_val), scalar_of("hardtanh", "max_val", max_val)
    y = _record("hardtanh", kernels.hardtanh, kernels.hardtanh_backward, input, None, *limits)
    return in_place(input, y, inplace)


def hardswish(input, inplace=False):
    """x · relu6(x + 3) / 6, elementwise; `input` and `inplace` as for `relu`."""
    y = _record("hardswish", kernels.hardswish, kernels.hardswish_backward, input, composed.hardswish_gradient)
    return in_place(input, y, inplace)


def hardsigmoid(input, inplace=False):
    """relu6(x + 3) / 6, elementwise; `input` and `inplace` as for `relu`."""
    y = _record("hardsigmoid", kernels.hardsigmoid, kernels.hardsigmoid_backward, input)
    return in_place(input, y, inplace)


def glu(input, dim=-1):
    """a · sigmoid(b), where a and b are the halves of `input` along a dimension.

    Parameters
    ----------
    input : Tensor, float32 or float64
    dim : int, default -1

    Returns
    -------
    Tensor
        Half as long along `dim`.

    Raises
    ------
    ValueError
        `input` has no dimensions or an odd length along `dim`.
    IndexError
        `dim` is out of range.

    Reference: Dauphin et al., "Language Modeling with Gated Convolutional Networks" (2017), equation 1.
    """
    return _record("glu", kernels.glu, kernels.glu_backward, input, recomposed(lambda x: composed.glu(x, dim)), dim)


def logsigmoid(input):
    """log(sigmoid(x)), elementwise; `input` as for `relu`."""
    return _record("logsigmoid", kernels.logsigmoid, kernels.logsigmoid_backward, input, composed.logsigmoid_gradient)


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """exp(x) / sum(exp(x)) along a dimension.

    Parameters
    ----------
    input : Tensor, float32 or float64
    dim : int, optional
        By default 0 for tensors of 0, 1 or 3 dimensions and 1 for others, as in PyTorch.
    _stacklevel
        Not used, as PyTorch's is for a warning.
    dtype : optional
        The dtype that elements are converted to before.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError
        `input` is not a Tensor of these dtypes, and `dtype` is not given.
    IndexError
        `dim` is out of range.

    Examples
    --------
    >>> import nn
    >>> nn.functional.softmax(nn.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return checked("softmax", input).softmax(_softmax_dim(input) if dim is None else dim, dtype)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """x - log(sum(exp(x))) along a dimension; arguments as for `softmax`."""
    return checked("log_softmax", input).log_softmax(_softmax_dim(input) if dim is None else dim, dtype)


def _softmax_dim(input):
    return 0 if input.ndim in (0, 1, 3) else 1


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, set each element to 0 with probability `p` and scale the others by 1 / (1 - p).

    Parameters
    ----------
    input : Tensor, float32 or float64, any shape
    p : float, default 0.5
    training : bool, default True
        If False, nothing is dropped and the result is `input`.
    inplace : bool, default False
        Also store the result in `input`.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    ValueError
        `p` is not in [0, 1].

    Reference: Srivastava et al., "Dropout" (2014), section 4.
    """
    return _dropout("dropout", input, p, training, inplace, None)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """`dropout` of whole channels of (N, C, L) or (C, L); arguments as for `dropout`."""
    return _dropout("dropout1d", input, p, training, inplace, 1)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """`dropout` of whole channels of (N, C, H, W) or (C, H, W); arguments as for `dropout`."""
    return _dropout("dropout2d", input, p, training, inplace, 2)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W); arguments as for `dropout`."""
    return _dropout("dropout3d", input, p, training, inplace, 3)


def _dropout(name, input, p, training, inplace, dims):
    """Dropout of single elements, or with `dims` of whole channels, which are the last `dims` dimensions."""
    p = probability(name, p, training)
    x = checked(name, input).array
    if dims is not None and x.ndim not in (dims + 1, dims + 2):
        if x.ndim < 2 or dims == 1:
            raise ValueError(f"{name}: input must have {dims + 1} or {dims + 2} dimensions, got shape {x.shape}")
        dims = x.ndim - 2  # (N, C, ...), as in PyTorch: single elements of (N, C)
    if p == 0:
        return input
    shape = x.shape[: x.ndim - dims] + (1,) * dims if dims else x.shape
    scale = (random.generator().random(shape, np.float32) >= p).astype(x.dtype)
    if p < 1:
        scale /= 1 - p

    def scaled_by(x):
        return x * scale

    return in_place(input, record_linear(name, scaled_by, scaled_by, input), inplace)
