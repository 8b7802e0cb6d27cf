"""The losses of a difference in jitted code."""

import numpy as np

from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_errors import Value, _check
from kernels._njit_operands import absent
from kernels._njit_sizes import choice
from kernels.loss import regression
from kernels.loss.njit_pairs import backward_of, forward_of, pair


@jit(fastmath=False)
def _negative(x):
    result = np.empty(x.shape, x.dtype)
    flat, source = result.reshape(-1), x.reshape(-1)
    for i in range(x.size):
        flat[i] = -source[i]
    return result


@_check
def _both(dx, needs):
    """The gradients of a loss of a difference."""
    rank = dx.ndim

    def code(dx, needs):
        dtarget = _negative(dx) if needs[1] else absent(rank, dx)
        return (dx if needs[0] else absent(rank, dx)), dtarget

    return code


def _offer_plain(public, public_backward, loss):
    """The entries of a loss without a parameter."""
    operation, of_backward = public.__name__, public_backward.__name__
    forward, backward = forward_of(__name__, operation, loss), backward_of(__name__, operation, loss)

    @in_njit(public)
    def entry(x, target, reduction):
        choice(operation, "reduction", reduction, ("none", "mean", "sum"))
        x, target = pair(operation, x, target)
        return forward(x, target, reduction, 0.0, None, 1)

    @in_njit(public_backward)
    def entry_backward(dy, x, target, reduction, needs):
        choice(of_backward, "reduction", reduction, ("none", "mean", "sum"))
        x, target = pair(of_backward, x, target)
        return _both(backward(dy, x, target, reduction, 0.0, None, 1), needs)


def _with_parameter(public, public_backward, loss, name):
    """Both directions of a loss with a parameter, of this name, that must be positive."""
    operation, of_backward = public.__name__, public_backward.__name__
    forward, backward = forward_of(__name__, operation, loss), backward_of(__name__, operation, loss)
    message, message_backward = (f"{each}: {name} must be positive, got {{}}" for each in (operation, of_backward))

    @_check
    def checked(x, target, reduction, p):
        def code(x, target, reduction, p):
            if not p > 0:
                raise Value(message, p)
            choice(operation, "reduction", reduction, ("none", "mean", "sum"))
            x, target = pair(operation, x, target)
            return forward(x, target, reduction, float(p), None, 1)

        return code

    @_check
    def checked_backward(dy, x, target, reduction, p, needs):
        def code(dy, x, target, reduction, p, needs):
            if not p > 0:
                raise Value(message_backward, p)
            choice(of_backward, "reduction", reduction, ("none", "mean", "sum"))
            x, target = pair(of_backward, x, target)
            return _both(backward(dy, x, target, reduction, float(p), None, 1), needs)

        return code

    return checked, checked_backward


_offer_plain(regression.mse_loss, regression.mse_loss_backward, regression._MSE)
_offer_plain(regression.l1_loss, regression.l1_loss_backward, regression._L1)
huber, huber_backward = _with_parameter(
    regression.huber_loss, regression.huber_loss_backward, regression._HUBER, "delta"
)
smooth_l1, smooth_l1_backward = _with_parameter(
    regression.smooth_l1_loss, regression.smooth_l1_loss_backward, regression._SMOOTH_L1, "beta"
)
l1_loss, l1_loss_backward = regression.l1_loss, regression.l1_loss_backward


@in_njit(regression.huber_loss)
def _huber_loss(x, target, reduction, delta):
    return huber(x, target, reduction, delta)


@in_njit(regression.huber_loss_backward)
def _huber_loss_backward(dy, x, target, reduction, delta, needs):
    return huber_backward(dy, x, target, reduction, delta, needs)


@in_njit(regression.smooth_l1_loss)
def _smooth_l1_loss(x, target, reduction, beta):
    if beta == 0:
        return l1_loss(x, target, reduction)
    return smooth_l1(x, target, reduction, beta)


@in_njit(regression.smooth_l1_loss_backward)
def _smooth_l1_loss_backward(dy, x, target, reduction, beta, needs):
    if beta == 0:
        return l1_loss_backward(dy, x, target, reduction, needs=needs)
    return smooth_l1_backward(dy, x, target, reduction, beta, needs)
