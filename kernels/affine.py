r"""The affine map of a fully connected layer, with bias and an optional activation.

.. math:: z = x W^\top + b, \qquad y = f(z) \qquad x: M \times K,\; W: N \times K,\; b: N

2 M N K FLOPs on (M K + N K + M N) elements. The product is `gemm`'s, with Wᵀ read in place; the accumulator
tiles start from the bias instead of zero, so that the bias costs no pass over y of its own, and the activation is
applied in place.

Backward, with dz = dy f'(z):

.. math:: dx = dz\, W, \qquad dW = dz^\top x, \qquad db_j = \sum_i dz_{ij}

Saved for it: x and W, and of the activation its output where f' is a function of it (relu, sigmoid, tanh), else z.
"""

import math

import numpy as np

from kernels import _checks, _elementwise
from kernels._jit import jit
from kernels.activation.formulas import BACKWARD_FORMULAS, FORMULAS
from kernels.gemm.driver import NO_BIAS, multiply_serial, product
from kernels.gemm.functions import matmul
from kernels.gemm.micro import BIAS, STORE
from kernels.reduction import sum as sum_over

ACTIVATIONS = (None, *FORMULAS)


@jit
def linear_naive(x, weight, bias, out):
    """The definition: each output is one row of x times one row of W, plus its bias."""
    for i in range(x.shape[0]):
        for j in range(weight.shape[0]):
            total = bias[j] if bias.size else out.dtype.type(0)
            for p in range(x.shape[1]):
                total += x[i, p] * weight[j, p]
            out[i, j] = total


@jit
def linear_loops(x, weight, bias, out):
    """``out[:] = x @ weight.T + bias`` on one thread, for use in your own jitted code. Nothing is checked.

    Parameters
    ----------
    x, weight : array, float32 or float64, both of one dtype
        C-contiguous, shapes ``(M, K)`` and ``(N, K)``.
    bias : array
        Shape ``(N,)``; of size 0 it counts as zeros.
    out : array
        Receives the result: shape ``(M, N)``, C-contiguous, not overlapping the others.

    Examples
    --------
    >>> import numba
    >>> import numpy as np
    >>> from kernels import linear_loops
    >>> @numba.njit
    ... def layer(x, weight, bias):
    ...     out = np.empty((len(x), len(weight)))
    ...     linear_loops(x, weight, bias, out)
    ...     return out
    >>> layer(np.ones((1, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 1.0]))
    array([[3., 8.]])
    """
    multiply_serial(x, weight.T, bias, BIAS if bias.size else STORE, out)


def linear_parallel(x, weight, bias, out):
    """Adds threads."""
    product(x, weight.T, bias, BIAS if bias.size else STORE, out)


VARIANTS = {"linear": {"naive": linear_naive, "tiled": linear_loops, "parallel": linear_parallel}}

_activate = {name: _elementwise.unary(formula) for name, formula in FORMULAS.items()}
_backward = {name: _elementwise.binary(formula) for name, formula in BACKWARD_FORMULAS.items()}


def linear(x, weight, bias=None, activation=None, *, out=None, preactivation=None):
    """``f(x @ weight.T + bias)``.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(..., K)``.
    weight : array
        Shape ``(N, K)``, dtype of `x`.
    bias : array, optional
        Shape ``(N,)``, dtype of `x`.
    activation : {None, "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"}
        The function f; "gelu" is the exact (erf) form.
    out, preactivation : array, optional
        C-contiguous, shape ``(..., N)``: receive the result, and ``x @ weight.T + bias`` (for the backward of gelu,
        gelu_tanh and silu).

    Returns
    -------
    array
        Shape ``(..., N)``.

    Raises
    ------
    TypeError
        Other dtypes, or different ones.
    ValueError
        Inner dimensions that differ, a bias of another length than N, an unknown activation, an unsuitable `out` or
        `preactivation`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import linear
    >>> linear(np.ones((1, 3), np.float32), np.ones((2, 3), np.float32), np.array([0, -9], np.float32), "relu")
    array([[3., 0.]], dtype=float32)
    """
    x = _checks.floats("linear", "x", x)
    weight = _checks.floats("linear", "weight", weight)
    shape = x.shape
    if weight.ndim != 2:
        raise ValueError(f"linear: weight must have 2 dimensions, got shape {weight.shape}")
    N, K = weight.shape
    if not shape:
        raise ValueError("linear: x must have at least 1 dimension, got shape ()")
    if shape[-1] != K:
        raise ValueError(f"linear: inner dimensions differ: x is {shape}, weight is {weight.shape}")
    if bias is None:
        bias = NO_BIAS[x.dtype]
    else:
        bias = _checks.floats("linear", "bias", bias)
        if bias.shape != (N,):
            raise ValueError(f"linear: bias must have shape {(N,)}, got {bias.shape}")
    if not (x.dtype is weight.dtype is bias.dtype):
        _checks.same_dtype("linear", x=x, weight=weight, bias=bias)
    if activation is not None:
        _checks.choice("linear", "activation", activation, ACTIVATIONS)
    given = out is not None or preactivation is not None
    target = out = _checks.output("linear", out, (*shape[:-1], N), x.dtype)
    if preactivation is not None:
        target = _checks.output("linear", preactivation, out.shape, x.dtype, "preactivation")
    if given:
        _checks.no_overlap("linear", target, x=x, weight=weight, bias=bias)
    if preactivation is not None and np.may_share_memory(out, target):
        raise ValueError("linear: out overlaps preactivation")
    rows, flat_target = x, target
    if len(shape) != 2:
        M = math.prod(shape[:-1])
        rows, flat_target = x.reshape(M, K), target.reshape(M, N)
    linear_parallel(rows, weight, bias, flat_target)
    if activation is not None:
        _elementwise.run(_activate[activation], target, out)
    elif target is not out:
        out[...] = target
    return out


def linear_backward(dy, x, weight, activation=None, saved=None, *, needs=(True, True, True)):
    """Gradients of `linear`.

    Parameters
    ----------
    dy : array
        Gradient of the result, shape ``(..., N)``.
    x, weight : array
        The forward's arguments.
    activation : str, optional
        The forward's activation.
    saved : array, optional
        Shape ``(..., N)``: with "relu", "sigmoid" and "tanh" the forward's result, with "gelu", "gelu_tanh" and "silu"
        its `preactivation`.
    needs : tuple of bool
        Which of the gradients are wanted.

    Returns
    -------
    dx, dweight, dbias : array or None
        Shapes ``(..., K)``, ``(N, K)`` and ``(N,)``.

    Raises
    ------
    TypeError, ValueError
        As `linear`; also for a missing `saved`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import linear_backward
    >>> dx, dweight, dbias = linear_backward(np.ones((4, 2)), np.ones((4, 3)), np.ones((2, 3)))
    >>> dx.shape, dweight.shape, dbias
    ((4, 3), (2, 3), array([4., 4.]))
    """
    dy = _checks.floats("linear_backward", "dy", dy)
    x = _checks.floats("linear_backward", "x", x)
    weight = _checks.floats("linear_backward", "weight", weight)
    if not (dy.dtype is x.dtype is weight.dtype):
        _checks.same_dtype("linear_backward", dy=dy, x=x, weight=weight)
    if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear_backward: inner dimensions differ: x is {x.shape}, weight is {weight.shape}")
    N, K = weight.shape
    if dy.shape != (*x.shape[:-1], N):
        raise ValueError(f"linear_backward: dy must have shape {(*x.shape[:-1], N)}, got {dy.shape}")
    if activation is not None:
        _checks.choice("linear_backward", "activation", activation, ACTIVATIONS)
        if saved is None:
            raise ValueError(f"linear_backward: activation {activation!r} needs saved")
        saved = _checks.floats("linear_backward", "saved", saved)
        if saved.shape != dy.shape:
            raise ValueError(f"linear_backward: saved must have dy's shape {dy.shape}, got {saved.shape}")
        _checks.same_dtype("linear_backward", dy=dy, saved=saved)
        dz = _checks.new(dy.shape, dy.dtype)
        _elementwise.run(_backward[activation], dy, saved, dz)
        dy = dz
    M = dy.size // N if N else x.size // K if K else 0
    rows = dy.reshape(M, N)
    dx = matmul(rows, weight).reshape(x.shape) if needs[0] else None
    dweight = matmul(rows.T, x.reshape(M, K)) if needs[1] else None
    dbias = sum_over(rows, 0) if needs[2] else None
    return dx, dweight, dbias
