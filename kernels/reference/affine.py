r"""The affine layer, with an optional activation f, in plain NumPy.

    z = x Wᵀ + b          y = f(z)
    dz = dy f'(z)         dx = dz W          dW = dzᵀ x          db = sum over rows of dz

`x` is (..., K), the weight W is (N, K), the bias b is (N,), `y` is (..., N).
"""

import math
from functools import partial

import numpy as np

from kernels.reference import activation as act

__all__ = ["linear", "linear_backward"]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings

FORWARD = {
    "relu": act.relu,
    "gelu": act.gelu,
    "gelu_tanh": partial(act.gelu, approximate="tanh"),
    "silu": act.silu,
    "sigmoid": act.sigmoid,
    "tanh": act.tanh,
}
BACKWARD = {
    "relu": act.relu_backward,
    "gelu": act.gelu_backward,
    "gelu_tanh": partial(act.gelu_backward, approximate="tanh"),
    "silu": act.silu_backward,
    "sigmoid": act.sigmoid_backward,
    "tanh": act.tanh_backward,
}


@ieee
def linear(x, weight, bias=None, activation=None, *, out=None, preactivation=None):
    """Return ``f(x @ weight.T + bias)``; the argument of f is stored in `preactivation`, if given.

    Example
    -------
    >>> linear(np.array([1.0, 2.0]), np.array([[1.0, 1.0], [1.0, -1.0]]), activation="relu")
    array([3., 0.])
    """
    _check_activation("linear", activation)
    z = np.matmul(x, weight.T, out=out if preactivation is None else preactivation)
    if bias is not None:
        z += bias
    if activation is not None:
        return FORWARD[activation](z, out=out)
    if out is not None and out is not z:
        out[...] = z
        return out
    return z


@ieee
def linear_backward(dy, x, weight, activation=None, saved=None, *, needs=(True, True, True)):
    """Return the gradients ``(dx, dweight, dbias)``, None for those not in `needs`.

    `saved` is the output y for relu, sigmoid and tanh, the preactivation for gelu, gelu_tanh and silu.
    """
    _check_activation("linear_backward", activation)
    dz = dy if activation is None else BACKWARD[activation](dy, saved)
    N, K = weight.shape
    M = math.prod(x.shape[:-1])
    dz_rows = dz.reshape(M, N)
    dx = dz @ weight if needs[0] else None
    dweight = dz_rows.T @ x.reshape(M, K) if needs[1] else None
    dbias = dz_rows.sum(axis=0) if needs[2] else None
    return dx, dweight, dbias


def _check_activation(name, activation):
    if activation is not None and activation not in FORWARD:
        raise ValueError(f"{name}: activation must be None or one of {', '.join(FORWARD)}, not {activation!r}")
