r"""Losses of probabilities.

    loss                   term                                                             derivative
    binary_cross_entropy   l = -(t log x + (1 - t) log(1 - x)), logarithms at least -100    (x - t) / (x (1 - x))
    ... with_logits        l = (1 - t) x + log(1 + exp(-x)), the same of σ(x)               σ(x) - t
    kl_div                 l = t (log t - x), x and optionally t being logarithms           -t

About 40 FLOPs an element where logarithms and exponentials are computed, 8 bytes read. The logits form needs neither a
logarithm of a rounded probability nor a clamp: log(1 + exp(-|x|)) is at most log 2 and cannot overflow.
"""

import math

import numpy as np

from kernels import _checks, _elementwise
from kernels._jit import jit
from kernels.activation.special import log1p_unit
from kernels.loss.pairs import PairLoss, broadcast_weight, loss_gradient, pair_sum, reduced, validated
from kernels.simd import absolute, exp, log, log1p, maximum, select, sigmoid

MIN_LOGARITHM = -100.0  # a probability of 0 costs 100, not infinity
MIN_DENOMINATOR = 1e-12
INFINITY = math.inf
NO_LOSS = -1e4  # a logit whose loss with target 0 is exactly 0, because exp(-1e4) is


@jit
def binary_cross_entropy_naive(x, target, out, p):
    """The definition; p is not used."""
    for i in range(x.size):
        yes = max(math.log(x[i]) if x[i] > 0 else -math.inf, MIN_LOGARITHM)
        no = max(math.log1p(-x[i]) if x[i] < 1 else -math.inf, MIN_LOGARITHM)
        out[i] = -(target[i] * yes + (1 - target[i]) * no)


@jit
def binary_cross_entropy_with_logits_naive(x, target, out, p):
    """The definition, in the form that does not overflow; p is not used."""
    for i in range(x.size):
        factor = 1 - target[i] if x[i] > 0 else target[i]
        out[i] = (factor * abs(x[i]) if factor != 0 else 0) + math.log1p(math.exp(-abs(x[i])))


@jit
def kl_div_naive(x, target, out, p):
    """The definition, for a target that is a probability; p is not used."""
    for i in range(x.size):
        out[i] = target[i] * (math.log(target[i]) - x[i]) if target[i] > 0 else 0


@jit
def kl_div_log_target_naive(x, target, out, p):
    """The definition, for a target that is a logarithm; p is not used."""
    for i in range(x.size):
        out[i] = math.exp(target[i]) * (target[i] - x[i])


@jit(inline=True)
def _binary_cross_entropy(x, target, p):
    yes, no = log(x), log1p(-x)
    yes = select(yes < MIN_LOGARITHM, MIN_LOGARITHM, yes)
    no = select(no < MIN_LOGARITHM, MIN_LOGARITHM, no)
    return (target - 1.0) * no - target * yes


@jit(inline=True)
def _binary_cross_entropy_derivative(x, target, p):
    return (x - target) / maximum((1.0 - x) * x, MIN_DENOMINATOR)


@jit(inline=True)
def _outside(x, target, p):
    zero = target - target
    return select((x >= 0.0) & (x <= 1.0) & (target >= 0.0) & (target <= 1.0), 0.0, zero + 1.0)


@jit(inline=True)
def _times(factor, value):
    """factor * value, and 0 where the factor is 0, even times an infinity."""
    return select(factor == 0.0, 0.0, factor * value)


@jit(inline=True)
def _softplus_of_negative(x):
    """log(1 + exp(-x))"""
    return maximum(-x, 0.0) + log1p_unit(exp(-absolute(x)))


@jit(inline=True)
def _with_logits(x, target, p):
    size = absolute(x)  # (1 - t) x + log(1 + exp(-x)), without an inf - inf
    return _times(select(x > 0.0, 1.0 - target, target), size) + log1p_unit(exp(-size))


@jit(inline=True)
def _with_logits_derivative(x, target, p):
    return sigmoid(x) - target


# pos_weight adds (pos_weight - 1) times this
@jit(inline=True)
def _positive_part(x, target):
    return _times(target, _softplus_of_negative(x))


@jit(inline=True)
def _positive_part_derivative(x, target):
    return -target * sigmoid(-x)


@jit(inline=True)
def _kl_div(x, target, p):
    return _times(target, log(target) - x)


@jit(inline=True)
def _kl_div_derivative(x, target, p):
    return -target


@jit(inline=True)
def _kl_div_log_target(x, target, p):
    return select(target == -INFINITY, 0.0, exp(target) * (target - x))


@jit(inline=True)
def _kl_div_log_target_derivative(x, target, p):
    return -exp(target)


_BCE = PairLoss(
    "binary_cross_entropy", _binary_cross_entropy, _binary_cross_entropy_derivative, binary_cross_entropy_naive
)
_LOGITS = PairLoss(
    "binary_cross_entropy_with_logits",
    _with_logits,
    _with_logits_derivative,
    binary_cross_entropy_with_logits_naive,
    fill=NO_LOSS,
)
_KL_DIV = PairLoss("kl_div", _kl_div, _kl_div_derivative, kl_div_naive)
_KL_DIV_LOG = PairLoss("kl_div", _kl_div_log_target, _kl_div_log_target_derivative, kl_div_log_target_naive)
_count_outside = pair_sum(_outside)
_positive_terms = _elementwise.binary(_positive_part)
_positive_derivatives = _elementwise.binary(_positive_part_derivative)
VARIANTS = {loss.name: loss.variants for loss in (_BCE, _LOGITS, _KL_DIV)}


def binary_cross_entropy(x, target, weight=None, reduction="mean"):
    """Cross-entropy of probabilities `x` with `target`: ``-weight (t log x + (1 - t) log(1 - x))``.

    Parameters
    ----------
    x, target : array, float32 or float64, of one shape and dtype
        Both in [0, 1]; logarithms are taken to be at least -100, so that the loss is finite.
    weight : array, optional
        Multiplies the losses; of any shape that broadcasts to that of `x`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    array
        0-d, or of `x`'s shape for "none".

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that do not fit, an unknown reduction, an `x` or a target outside [0, 1] or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import binary_cross_entropy
    >>> binary_cross_entropy(np.array([0.5]), np.array([1.0]))
    array(0.69314718)
    """
    x, target = validated("binary_cross_entropy", x, target, reduction)
    if _count_outside(x.reshape(-1), target.reshape(-1), 0.0, 1):
        for name, values in (("x", x), ("target", target)):
            wrong = values[~((values >= 0) & (values <= 1))]
            if wrong.size:
                raise ValueError(f"binary_cross_entropy: {name} must lie in [0, 1], but holds {wrong[0]}")
    return _BCE.forward(x, target, reduction, weight=weight)


def binary_cross_entropy_backward(dy, x, target, weight=None, reduction="mean"):
    """Gradient of `binary_cross_entropy`: ``dx = weight dy (x - t) / (x (1 - x))``, the denominator at least 1e-12.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of `x`'s shape for "none".
    x, target, weight, reduction
        As given to the forward.

    Returns
    -------
    ndarray
        dx, of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that do not fit, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import binary_cross_entropy_backward
    >>> binary_cross_entropy_backward(np.array(1.0), np.array([0.5]), np.array([1.0]))
    array([-2.])
    """
    return _BCE.backward(dy, x, target, reduction, weight=weight)


def binary_cross_entropy_with_logits(x, target, weight=None, reduction="mean", pos_weight=None):
    """`binary_cross_entropy` of ``sigmoid(x)``, without its rounding: ``x`` of any size.

    An infinite logit on the side of its target costs 0. (PyTorch 2.13 has NaN.)

    Parameters
    ----------
    x, target : array, float32 or float64, of one shape and dtype
    weight : array, optional
        Multiplies the losses; of any shape that broadcasts to that of `x`.
    reduction : {"mean", "sum", "none"}, default "mean"
    pos_weight : array, optional
        Multiplies the positive part of the losses, ``-t log sigmoid(x)``; of any shape that broadcasts to that of `x`.

    Returns
    -------
    array
        0-d, or of `x`'s shape for "none".

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that do not fit, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import binary_cross_entropy_with_logits
    >>> binary_cross_entropy_with_logits(np.array([0.0]), np.array([1.0]))
    array(0.69314718)
    """
    operation = "binary_cross_entropy_with_logits"
    if pos_weight is None:
        return _LOGITS.forward(x, target, reduction, weight=weight)
    x, target = validated(operation, x, target, reduction)
    positive = _positive(operation, _positive_terms, x, target, pos_weight)
    losses = _LOGITS.forward(x, target, "none") + positive
    if weight is not None:
        losses = losses * broadcast_weight(operation, "weight", weight, x)
    return reduced(np.asarray(losses), reduction)


def binary_cross_entropy_with_logits_backward(dy, x, target, weight=None, reduction="mean", pos_weight=None):
    """Gradient of the same: ``dx = weight dy ((pos_weight t + 1 - t) sigmoid(x) - pos_weight t)``.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of `x`'s shape for "none".
    x, target, weight, reduction, pos_weight
        As given to the forward.

    Returns
    -------
    ndarray
        dx, of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that do not fit, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import binary_cross_entropy_with_logits_backward
    >>> binary_cross_entropy_with_logits_backward(np.array(1.0), np.array([0.0]), np.array([1.0]))
    array([-0.5])
    """
    operation = "binary_cross_entropy_with_logits_backward"
    dx = _LOGITS.backward(dy, x, target, reduction, weight=weight)
    if pos_weight is not None:
        x, target = validated(operation, x, target, reduction)
        positive = _positive(operation, _positive_derivatives, x, target, pos_weight)
        positive *= loss_gradient(operation, dy, x, reduction)
        if weight is not None:
            positive *= broadcast_weight(operation, "weight", weight, x)
        dx += positive
    return dx


def _positive(operation, loops, x, target, pos_weight):
    """What `pos_weight` adds to the losses or derivatives."""
    extra = broadcast_weight(operation, "pos_weight", pos_weight, x) - x.dtype.type(1)
    out = _checks.new(x.shape, x.dtype)
    _elementwise.run(loops, x, target, out)
    return np.asarray(out * extra)


def kl_div(x, target, reduction="mean", log_target=False):
    """Kullback-Leibler divergence ``t (log t - x)`` of the distribution with logarithm `x` from the target.

    Parameters
    ----------
    x, target : array, float32 or float64, of one shape and dtype
        `x` is a log-probability, and so is `target` with `log_target`. A target of 0 contributes 0, whatever `x` is.
        (In PyTorch 2.13 it makes NaN of an `x` of -inf.)
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" divides the sum by the length of the first axis, which gives the divergence of the definition.
    log_target : bool, default False

    Returns
    -------
    array
        0-d, or of `x`'s shape for "none".

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import kl_div
    >>> kl_div(np.log([0.5, 0.5]), np.array([1.0, 0.0]), reduction="sum")
    array(0.69314718)
    """
    loss = _KL_DIV_LOG if log_target else _KL_DIV
    return loss.forward(x, target, reduction, batch=_batch(x))


def kl_div_backward(dy, x, target, reduction="mean", log_target=False):
    """Gradient of `kl_div`: ``dx = -t dy``, with ``exp(t)`` for t where the target is a logarithm.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of `x`'s shape for "none".
    x, target, reduction, log_target
        As given to the forward.

    Returns
    -------
    ndarray
        dx, of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that do not fit, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import kl_div_backward
    >>> kl_div_backward(np.array(1.0), np.array([-1.0]), np.array([1.0]))
    array([-1.])
    """
    loss = _KL_DIV_LOG if log_target else _KL_DIV
    return loss.backward(dy, x, target, reduction, batch=_batch(x))


def _batch(x):
    shape = np.shape(x)
    return shape[0] if shape else 1
