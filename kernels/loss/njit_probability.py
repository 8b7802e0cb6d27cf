"""The losses of probabilities in jitted code."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_errors import Value, _check
from kernels._njit_loops import runner
from kernels._njit_sizes import choice
from kernels.loss import probability
from kernels.loss.njit_pairs import (
    add_weighted,
    backward_of,
    forward_of,
    loss_gradient,
    pair,
    reduced,
    scale_all,
    scale_each,
    weigh,
    weights_of,
)

count_outside = by_address(probability._count_outside, "count_outside")


def _both_of(label, loss):
    return forward_of(__name__, label, loss), backward_of(__name__, label, loss)


_bce, _bce_backward = _both_of("binary_cross_entropy", probability._BCE)
_logits, _logits_backward = _both_of("with_logits", probability._LOGITS)
_kl, _kl_backward = _both_of("kl_div", probability._KL_DIV)
_kl_log, _kl_log_backward = _both_of("kl_div of a logarithm", probability._KL_DIV_LOG)
_positive_terms = runner(__name__, "positive terms", probability._positive_terms)
_positive_derivatives = runner(__name__, "positive derivatives", probability._positive_derivatives)


class _Single(ValueError):
    """`Value` for float32, which is written with fewer digits."""

    def __new__(cls, message, value):
        return ValueError(message.format(np.float32(value)))


@_check
def _all_in_unit(name, x):
    """ValueError unless all elements are from 0 to 1."""
    message = f"binary_cross_entropy: {name.literal_value} must lie in [0, 1], but holds {{}}"
    error = _Single if x.dtype == types.float32 else Value

    def code(name, x):
        for i in range(x.size):
            if not (x[i] >= 0 and x[i] <= 1):
                raise error(message, x[i])

    return code


@in_njit(probability.binary_cross_entropy)
def _binary_cross_entropy(x, target, weight, reduction):
    choice("binary_cross_entropy", "reduction", reduction, ("none", "mean", "sum"))
    x, target = pair("binary_cross_entropy", x, target)
    if count_outside(x.reshape(-1), target.reshape(-1), 0.0, 1):
        _all_in_unit("x", x.reshape(-1))
        _all_in_unit("target", target.reshape(-1))
    return _bce(x, target, reduction, 0.0, weight, 1)


@in_njit(probability.binary_cross_entropy_backward)
def _binary_cross_entropy_backward(dy, x, target, weight, reduction):
    choice("binary_cross_entropy_backward", "reduction", reduction, ("none", "mean", "sum"))
    x, target = pair("binary_cross_entropy_backward", x, target)
    return _bce_backward(dy, x, target, reduction, 0.0, weight, 1)


@in_njit(probability.binary_cross_entropy_with_logits)
def _binary_cross_entropy_with_logits(x, target, weight, reduction, pos_weight):
    choice("binary_cross_entropy_with_logits", "reduction", reduction, ("none", "mean", "sum"))
    x, target = pair("binary_cross_entropy_with_logits", x, target)
    return _with_positive(x, target, weight, reduction, pos_weight)


@_check
def _with_positive(x, target, weight, reduction, pos_weight):
    """The loss of logits, also with a `pos_weight`."""
    if isinstance(pos_weight, types.NoneType):
        return lambda x, target, weight, reduction, pos_weight: _logits(x, target, reduction, 0.0, weight, 1)

    def code(x, target, weight, reduction, pos_weight):
        operation = "binary_cross_entropy_with_logits"
        more = weights_of(operation, "pos_weight", pos_weight, x)
        terms = np.empty(x.size, x.dtype)
        _positive_terms((x.reshape(-1), target.reshape(-1)), terms, ())
        losses = _logits(x, target, "none", 0.0, None, 1)
        add_weighted(losses.reshape(-1), terms, more)
        weigh(operation, weight, x, losses.reshape(-1))
        return reduced(losses, reduction, 1)

    return code


@in_njit(probability.binary_cross_entropy_with_logits_backward)
def _binary_cross_entropy_with_logits_backward(dy, x, target, weight, reduction, pos_weight):
    choice("binary_cross_entropy_with_logits_backward", "reduction", reduction, ("none", "mean", "sum"))
    x, target = pair("binary_cross_entropy_with_logits_backward", x, target)
    dx = _logits_backward(dy, x, target, reduction, 0.0, weight, 1)
    _add_positive((dy, x, target, weight), reduction, pos_weight, dx)
    return dx


@_check
def _add_positive(arguments, reduction, pos_weight, dx):
    """What `pos_weight` adds to the gradient."""
    if isinstance(pos_weight, types.NoneType):
        return lambda arguments, reduction, pos_weight, dx: None
    scale = scale_each if reduction.literal_value == "none" else scale_all

    def code(arguments, reduction, pos_weight, dx):
        operation, (dy, x, target, weight) = "binary_cross_entropy_with_logits_backward", arguments
        more = weights_of(operation, "pos_weight", pos_weight, x)
        terms, added = np.empty(x.size, x.dtype), np.zeros(x.size, x.dtype)
        _positive_derivatives((x.reshape(-1), target.reshape(-1)), terms, ())
        add_weighted(added, terms, more)
        scale(added, loss_gradient(operation, dy, x, reduction, 1))
        weigh(operation, weight, x, added)
        _add(dx.reshape(-1), added)

    return code


@jit(fastmath=False)
def _add(x, more):
    for i in range(x.size):
        x[i] += more[i]


@_check
def _batch(x):
    """`probability._batch`"""
    return (lambda x: x.shape[0]) if getattr(x, "ndim", 0) else (lambda x: np.int64(1))


@in_njit(probability.kl_div)
def _kl_div(x, target, reduction, log_target):
    choice("kl_div", "reduction", reduction, ("none", "mean", "sum", "batchmean"))
    x, target = pair("kl_div", x, target)
    if log_target:
        return _kl_log(x, target, reduction, 0.0, None, _batch(x))
    return _kl(x, target, reduction, 0.0, None, _batch(x))


@in_njit(probability.kl_div_backward)
def _kl_div_backward(dy, x, target, reduction, log_target):
    choice("kl_div_backward", "reduction", reduction, ("none", "mean", "sum", "batchmean"))
    x, target = pair("kl_div_backward", x, target)
    if log_target:
        return _kl_log_backward(dy, x, target, reduction, 0.0, None, _batch(x))
    return _kl_backward(dy, x, target, reduction, 0.0, None, _batch(x))
