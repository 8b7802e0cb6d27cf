"""Activations that are composed of others' operations: shrinkage, thresholds, softmin and samples of categories."""

import warnings

import numpy as np

from nn import random
from nn.functional.activation import celu, elu, hardtanh, leaky_relu, relu, selu, softmax
from nn.functional.arguments import checked, in_place
from nn.operations.arguments import bool_of, scalar_of
from nn.operations.conversion import as_dtype
from nn.operations.elementwise import where
from nn.storage import Tensor, wrap

__all__ = ["celu_", "elu_", "gumbel_softmax", "hardshrink", "hardtanh_", "leaky_relu_", "relu_", "rrelu", "rrelu_"]
__all__ += ["selu_", "softmin", "softshrink", "softsign", "tanhshrink", "threshold", "threshold_"]


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """`softmax` of the negated elements; arguments as for `softmax`."""
    input = -checked("softmin", input)
    return softmax(input if dtype is None else as_dtype("softmin", input, dtype), dim)


def softsign(input):
    """x / (1 + |x|), elementwise; `input` as for `relu`."""
    return checked("softsign", input) / (abs(input) + 1)


def tanhshrink(input):
    """x - tanh(x), elementwise; `input` as for `relu`."""
    return checked("tanhshrink", input) - input.tanh()


def softshrink(input, lambd=0.5):
    """x moved towards 0 by `lambd`, and 0 where |x| is at most that, elementwise; ValueError if `lambd` is negative."""
    lambd = scalar_of("softshrink", "lambd", lambd)
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must be at least 0, got {lambd}")
    return checked("softshrink", input) - input.clamp(-lambd, lambd)


def hardshrink(input, lambd=0.5):
    """x where |x| is above `lambd`, else 0, elementwise; `input` as for `relu`."""
    return where(np.abs(checked("hardshrink", input).array) <= scalar_of("hardshrink", "lambd", lambd), 0, input)


def threshold(input, threshold, value, inplace=False):
    """x where x is above `threshold`, else `value`, elementwise; `input` and `inplace` as for `relu`."""
    threshold, value = scalar_of("threshold", "threshold", threshold), scalar_of("threshold", "value", value)
    y = where(checked("threshold", input).array <= threshold, value, input)
    return in_place(input, y, inplace)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """x where x > 0, else a · x, elementwise.

    Parameters
    ----------
    input
        As for `relu`.
    lower, upper : float
        In training, a slope a is drawn from this interval for each element; else it is their mean.
    training : bool, default False
    inplace
        As for `relu`.

    Reference: Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional Network" (2015), section 2.
    """
    lower, upper = scalar_of("rrelu", "lower", lower), scalar_of("rrelu", "upper", upper)
    training = bool_of("rrelu", "training", training)
    if lower > upper:
        raise ValueError(f"rrelu: lower must not be above upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    x = checked("rrelu", input).array
    slopes = random.generator().uniform(lower, upper, x.shape).astype(x.dtype)
    return in_place(input, input * np.where(x <= 0, slopes, x.dtype.type(1)), inplace)


def gumbel_softmax(logits, tau: float = 1, hard=False, eps=1e-10, dim=-1):
    """A sample of a category for each row, as a distribution that depends on the logits differentiably.

    Parameters
    ----------
    logits : Tensor (..., C)
        Log-probabilities, up to a constant.
    tau : float, default 1
        The temperature: the lower, the closer to one category.
    hard : bool, default False
        Whether the result is 1 for one category and 0 for the others, with the gradient of the soft sample.
    eps : float
        Has no effect.
    dim : int, default -1

    Returns
    -------
    Tensor of the shape of `logits`

    Reference: Jang et al., "Categorical Reparameterization with Gumbel-Softmax" (2017), equation 2.
    """
    if eps != 1e-10:
        warnings.warn("gumbel_softmax: eps has no effect", stacklevel=2)
    x = checked("gumbel_softmax", logits).array
    if not isinstance(tau, Tensor):  # which may need a gradient
        tau = scalar_of("gumbel_softmax", "tau", tau)
    noise = -np.log(random.generator().standard_exponential(x.shape, x.dtype))
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    one = np.zeros_like(x)
    np.put_along_axis(one, np.argmax(soft.array, dim, keepdims=True), 1, dim)
    return wrap(one) - soft.detach() + soft


_threshold = threshold  # under a name that no argument hides


# --- in place ---------------------------------------------------------------------------------------------------------


def relu_(input):
    """As `relu`, in place."""
    return relu(input, True)


def elu_(input, alpha=1.0):
    """As `elu`, in place."""
    return elu(input, alpha, True)


def celu_(input, alpha=1.0):
    """As `celu`, in place."""
    return celu(input, alpha, True)


def selu_(input):
    """As `selu`, in place."""
    return selu(input, True)


def leaky_relu_(input, negative_slope=0.01):
    """As `leaky_relu`, in place."""
    return leaky_relu(input, negative_slope, True)


def hardtanh_(input, min_val=-1.0, max_val=1.0):
    """As `hardtanh`, in place."""
    return hardtanh(input, min_val, max_val, True)


def threshold_(input, threshold, value):
    """As `threshold`, in place."""
    return _threshold(input, threshold, value, True)


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """As `rrelu`, in place."""
    return rrelu(input, lower, upper, training, True)
