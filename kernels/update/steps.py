"""The public functions: they validate the options and compute the constants of the loops from them."""

import math

from kernels.update.loops import (
    AdagradOptions,
    AdamOptions,
    RMSpropOptions,
    SGDOptions,
    adagrad_loops,
    adam_loops,
    rmsprop_loops,
    sgd_loops,
)
from kernels.update.parameters import over_parameters, update

_run_sgd = over_parameters(sgd_loops, 1, SGDOptions)
_run_adam = over_parameters(adam_loops, 3, AdamOptions)
_run_rmsprop = over_parameters(rmsprop_loops, 3, RMSpropOptions)
_run_adagrad = over_parameters(adagrad_loops, 1, AdagradOptions)


def _not_negative(operation, **options):
    for name, value in options.items():
        if not value >= 0:  # NaN included
            raise ValueError(f"{operation}: {name} must not be negative, got {value}")


def _from_one(operation, step):
    if not step >= 1:
        raise ValueError(f"{operation}: step must be at least 1, got {step}")


def _sign(maximize):
    return -1.0 if maximize else 1.0


def sgd(
    params,
    grads,
    momentum_buffers=None,
    *,
    lr,
    momentum=0.0,
    dampening=0.0,
    weight_decay=0.0,
    nesterov=False,
    maximize=False,
    first=False,
):
    """Take one step of gradient descent with all parameters.

    Parameters
    ----------
    params : list of array
        Float32 or float64, all the same; C-contiguous and writable: changed in place.
    grads : list of array or None
        Of the parameters' shapes and dtype. Where it is None, the parameter and its state stay as they are.
    momentum_buffers : list of array, optional
        State of the parameters' shapes, changed in place; required with momentum, else unused.
    lr, momentum, dampening, weight_decay : float
        Learning rate η, momentum μ, dampening τ, and the λ of λp added to the gradient.
    nesterov : bool, default False
        Use Nesterov momentum.
    maximize : bool, default False
        Ascend instead of descend.
    first : bool, default False
        Set the momentum buffers to the gradient, whatever they hold (PyTorch's first step).

    Returns
    -------
    None

    Raises
    ------
    TypeError
        An array that is not float32 or float64, or of another dtype than the parameters.
    ValueError
        Lists of different lengths, arrays of different shapes, read-only or strided parameters or state, a negative
        option, momentum without buffers, `nesterov` without momentum or with dampening. Nothing is changed then.

    Reference
    ---------
    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import sgd
    >>> w = np.array([1.0, 2.0])
    >>> sgd([w], [np.array([1.0, -1.0])], lr=0.5)
    >>> w
    array([0.5, 2.5])
    """
    _not_negative("sgd", lr=lr, momentum=momentum, weight_decay=weight_decay)
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError(
            f"sgd: nesterov needs a momentum and zero dampening, got momentum {momentum} and dampening {dampening}"
        )
    if momentum and momentum_buffers is None:
        raise ValueError(f"sgd: momentum {momentum} needs momentum_buffers")
    flags = bool(nesterov), bool(first), _sign(maximize)
    options = (float(lr), float(momentum), 1.0 - float(dampening), float(weight_decay), *flags)
    states = {"momentum_buffers": momentum_buffers if momentum else None}
    update("sgd", _run_sgd, params, grads, states, options, optional=("momentum_buffers",))


def adam(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs=None,
    *,
    step,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    maximize=False,
):
    """Take one step of Adam with all parameters.

    Parameters
    ----------
    params, grads
        As for `sgd`.
    exp_avgs, exp_avg_sqs : list of array
        State, zeros before the first step: running means of the gradient and of its square.
    max_exp_avg_sqs : list of array, optional
        If given, state of AMSGrad: the maximum of `exp_avg_sqs` so far, which replaces it in the step.
    step : int
        Which step this is, counted from 1.
    lr : float, default 1e-3
        Learning rate η.
    betas : (float, float), default (0.9, 0.999)
        Decay rates β₁, β₂ of the two running means, each from 0 up to but not including 1.
    eps, weight_decay : float
        The ε added to the denominator, and the λ of λp added to the gradient.
    maximize : bool, default False
        Ascend instead of descend.

    Returns
    -------
    None

    Raises
    ------
    TypeError, ValueError
        As for `sgd`; also a step below 1, or a beta outside [0, 1).

    Reference
    ---------
    Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1; AMSGrad: Reddi et al. 2018, "On the
    Convergence of Adam and Beyond", Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adam
    >>> w, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> adam([w], [np.array([3.0, -4.0])], [m], [v], step=1, lr=0.5)
    >>> w.round(6)
    array([0.5, 2.5])
    """
    constants = _adam_constants("adam", step, lr, betas, eps, weight_decay)
    options = (*constants, float(weight_decay), 1.0, _sign(maximize))
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    update("adam", _run_adam, params, grads, states, options, optional=("max_exp_avg_sqs",))


def adamw(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs=None,
    *,
    step,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=1e-2,
    maximize=False,
):
    """Take one step of AdamW with all parameters: weight decay shrinks p by the factor ``1 - lr * weight_decay``.

    Parameters
    ----------
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, betas, eps
        As for `adam`.
    weight_decay : float, default 1e-2
        The λ of the factor 1 - η λ.
    maximize : bool, default False
        Ascend instead of descend.

    Returns
    -------
    None

    Raises
    ------
    TypeError, ValueError
        As for `adam`.

    Reference
    ---------
    Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adamw
    >>> w, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> adamw([w], [np.array([3.0, -4.0])], [m], [v], step=1, lr=0.5, weight_decay=0.2)
    >>> w.round(6)
    array([0.4, 2.3])
    """
    constants = _adam_constants("adamw", step, lr, betas, eps, weight_decay)
    options = (*constants, 0.0, 1.0 - float(lr) * float(weight_decay), _sign(maximize))
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    update("adamw", _run_adam, params, grads, states, options, optional=("max_exp_avg_sqs",))


def _adam_constants(operation, step, lr, betas, eps, weight_decay):
    """Validate the options; returns step_size, beta1, beta2, root_scale and eps of `AdamOptions`."""
    _not_negative(operation, lr=lr, eps=eps, weight_decay=weight_decay)
    _from_one(operation, step)
    beta1, beta2 = map(float, betas)  # powers of float32 would be float32
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise ValueError(f"{operation}: betas must be in [0, 1), got {betas}")
    return float(lr) / (1.0 - beta1**step), beta1, beta2, 1.0 / math.sqrt(1.0 - beta2**step), float(eps)


def rmsprop(
    params,
    grads,
    square_avgs,
    momentum_buffers=None,
    grad_avgs=None,
    *,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    maximize=False,
):
    """Take one step of RMSprop with all parameters.

    Parameters
    ----------
    params, grads
        As for `sgd`.
    square_avgs : list of array
        State, zeros before the first step: running mean of the squared gradient.
    momentum_buffers : list of array, optional
        State, zeros before the first step; required with momentum, else unused.
    grad_avgs : list of array, optional
        If given, state of centred RMSprop: running mean of the gradient, to divide by the root of the variance, which
        is never below 0. (In PyTorch 2.13 nearly constant gradients can make it negative by rounding, and p NaN.)
    lr : float, default 1e-2
        Learning rate η.
    alpha : float, default 0.99
        Decay rate α of the running means.
    eps, weight_decay, momentum : float
        The ε added to the denominator, the λ of λp added to the gradient, and the momentum.
    maximize : bool, default False
        Ascend instead of descend.

    Returns
    -------
    None

    Raises
    ------
    TypeError, ValueError
        As for `sgd`.

    Reference
    ---------
    Hinton 2012, "Neural Networks for Machine Learning", lecture 6e; centred: Graves 2013, "Generating Sequences With
    Recurrent Neural Networks", section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rmsprop
    >>> w, v = np.array([1.0, 2.0]), np.zeros(2)
    >>> rmsprop([w], [np.array([3.0, -4.0])], [v], lr=0.1, alpha=0.75)
    >>> w.round(6)
    array([0.8, 2.2])
    """
    _not_negative("rmsprop", lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
    if momentum and momentum_buffers is None:
        raise ValueError(f"rmsprop: momentum {momentum} needs momentum_buffers")
    options = (float(lr), float(alpha), float(eps), float(weight_decay), float(momentum), _sign(maximize))
    buffers = momentum_buffers if momentum else None
    states = {"square_avgs": square_avgs, "momentum_buffers": buffers, "grad_avgs": grad_avgs}
    update("rmsprop", _run_rmsprop, params, grads, states, options, optional=("momentum_buffers", "grad_avgs"))


def adagrad(params, grads, state_sums, *, step, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10, maximize=False):
    """Take one step of Adagrad with all parameters.

    Parameters
    ----------
    params, grads
        As for `sgd`.
    state_sums : list of array
        State: the sum of all squared gradients, with its initial value before the first step.
    step : int
        Which step this is, counted from 1.
    lr : float, default 1e-2
        Learning rate η.
    lr_decay : float, default 0
        The γ in the learning rate of step t, η / (1 + (t - 1) γ).
    weight_decay, eps : float
        The λ of λp added to the gradient, and the ε added to the denominator.
    maximize : bool, default False
        Ascend instead of descend.

    Returns
    -------
    None

    Raises
    ------
    TypeError, ValueError
        As for `sgd`; also a step below 1.

    Reference
    ---------
    Duchi et al. 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", Figure 1.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import adagrad
    >>> w, total = np.array([1.0, 2.0]), np.zeros(2)
    >>> adagrad([w], [np.array([3.0, -4.0])], [total], step=1, lr=0.1)
    >>> w.round(6)
    array([0.9, 2.1])
    """
    _not_negative("adagrad", lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
    _from_one("adagrad", step)
    options = (float(lr) / (1.0 + (step - 1) * float(lr_decay)), float(eps), float(weight_decay), _sign(maximize))
    update("adagrad", _run_adagrad, params, grads, {"state_sums": state_sums}, options)
