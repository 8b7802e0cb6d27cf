"""The optimiser steps in jitted code. Lists of arrays are tuples there, or Numba's lists of arrays of one type."""

import math

from numba import types

from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_errors import Value, _check
from kernels.update import njit_clipping, steps
from kernels.update.njit_table import update

__all__ = ["njit_clipping"]


# --- options ---------------------------------------------------------------------------------------------------------


@_check
def _not_negative(operation, name, value):
    """ValueError for a negative option, or a NaN."""
    message = f"{operation.literal_value}: {name.literal_value} must not be negative, got {{}}"

    def code(operation, name, value):
        if not value >= 0:
            raise Value(message, value)

    return code


@_check
def _from_one(operation, step):
    message = f"{operation.literal_value}: step must be at least 1, got {{}}"

    def code(operation, step):
        if not step >= 1:
            raise Value(message, step)

    return code


@_check
def _is_given(arrays):
    given = not isinstance(arrays, types.NoneType)
    return lambda arrays: given


@_check
def _adam_constants(operation, step, lr, betas, eps, weight_decay):
    """`steps._adam_constants`"""
    message = f"{operation.literal_value}: betas must be in [0, 1), got {{}}"

    def code(operation, step, lr, betas, eps, weight_decay):
        _not_negative(operation, "lr", lr)
        _not_negative(operation, "eps", eps)
        _not_negative(operation, "weight_decay", weight_decay)
        _from_one(operation, step)
        first, second = betas
        beta1, beta2 = float(first), float(second)
        if not (beta1 >= 0 and beta1 < 1 and beta2 >= 0 and beta2 < 1):
            raise Value(message, betas)
        step_size, root_scale = _scales(float(step), float(lr), beta1, beta2)
        return step_size, beta1, beta2, root_scale, float(eps)

    return code


@jit(fastmath=False)
def _scales(step, lr, beta1, beta2):
    # `math.pow`, as Python's: Numba multiplies where the exponent is an integer
    return lr / (1.0 - math.pow(beta1, step)), 1.0 / math.sqrt(1.0 - math.pow(beta2, step))


@jit(fastmath=False)
def _decayed(lr, rate):
    return 1.0 - lr * rate


@jit(fastmath=False)
def _adagrad_rate(lr, step, lr_decay):
    return lr / (1.0 + (step - 1) * lr_decay)


@jit(inline=True)
def _sign(maximize):
    return -1.0 if maximize else 1.0


# --- steps -----------------------------------------------------------------------------------------------------------

_update_sgd = update("sgd", steps._run_sgd, ("momentum_buffers",), ("momentum_buffers",))
_OF_ADAM = ("exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs")
_update_adam = update("adam", steps._run_adam, _OF_ADAM, _OF_ADAM[2:])
_update_adamw = update("adamw", steps._run_adam, _OF_ADAM, _OF_ADAM[2:])
_OF_RMSPROP = ("square_avgs", "momentum_buffers", "grad_avgs")
_update_rmsprop = update("rmsprop", steps._run_rmsprop, _OF_RMSPROP, _OF_RMSPROP[1:])
_update_adagrad = update("adagrad", steps._run_adagrad, ("state_sums",))


@in_njit(steps.sgd)
def _sgd(params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize, first):
    _not_negative("sgd", "lr", lr)
    _not_negative("sgd", "momentum", momentum)
    _not_negative("sgd", "weight_decay", weight_decay)
    if nesterov and (momentum == 0 or dampening != 0):
        raise Value(
            "sgd: nesterov needs a momentum and zero dampening, got momentum {} and dampening {}", momentum, dampening
        )
    if momentum != 0 and not _is_given(momentum_buffers):
        raise Value("sgd: momentum {} needs momentum_buffers", momentum)
    rates = float(lr), float(momentum), 1.0 - float(dampening), float(weight_decay)
    options = rates + (bool(nesterov), bool(first), _sign(maximize))
    _update_sgd((params, grads, momentum_buffers), (momentum != 0,), options)


@in_njit(steps.adam)
def _adam(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, betas, eps, weight_decay, maximize):
    constants = _adam_constants("adam", step, lr, betas, eps, weight_decay)
    options = constants + (float(weight_decay), 1.0, _sign(maximize))
    wanted = True, True, _is_given(max_exp_avg_sqs)
    _update_adam((params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs), wanted, options)


@in_njit(steps.adamw)
def _adamw(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, betas, eps, weight_decay, maximize):
    constants = _adam_constants("adamw", step, lr, betas, eps, weight_decay)
    options = constants + (0.0, _decayed(float(lr), float(weight_decay)), _sign(maximize))
    wanted = True, True, _is_given(max_exp_avg_sqs)
    _update_adamw((params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs), wanted, options)


@in_njit(steps.rmsprop)
def _rmsprop(params, grads, square_avgs, momentum_buffers, grad_avgs, lr, alpha, eps, weight_decay, momentum, maximize):
    _not_negative("rmsprop", "lr", lr)
    _not_negative("rmsprop", "alpha", alpha)
    _not_negative("rmsprop", "eps", eps)
    _not_negative("rmsprop", "weight_decay", weight_decay)
    _not_negative("rmsprop", "momentum", momentum)
    if momentum != 0 and not _is_given(momentum_buffers):
        raise Value("rmsprop: momentum {} needs momentum_buffers", momentum)
    options = float(lr), float(alpha), float(eps), float(weight_decay), float(momentum), _sign(maximize)
    wanted = True, momentum != 0, _is_given(grad_avgs)
    _update_rmsprop((params, grads, square_avgs, momentum_buffers, grad_avgs), wanted, options)


@in_njit(steps.adagrad)
def _adagrad(params, grads, state_sums, step, lr, lr_decay, weight_decay, eps, maximize):
    _not_negative("adagrad", "lr", lr)
    _not_negative("adagrad", "lr_decay", lr_decay)
    _not_negative("adagrad", "weight_decay", weight_decay)
    _not_negative("adagrad", "eps", eps)
    _from_one("adagrad", step)
    rate = _adagrad_rate(float(lr), float(step), float(lr_decay))
    options = rate, float(eps), float(weight_decay), _sign(maximize)
    _update_adagrad((params, grads, state_sums), (True,), options)
