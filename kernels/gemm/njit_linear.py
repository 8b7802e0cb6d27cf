"""`linear` in jitted code."""

import numpy as np
from numba import types

from kernels import affine
from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_checks import floats, like, no_overlap, output, same_dtype, same_dtypes
from kernels._njit_errors import Value, _check, failed
from kernels._njit_loops import column_sums, product, runner
from kernels._njit_operands import absent, any_layout, apart, at_least_1d, matrix, shaped
from kernels._njit_sizes import choice, replaced
from kernels._njit_sizes import product as product_of
from kernels.gemm.functions import matmul
from kernels.gemm.micro import BIAS, STORE
from kernels.simd import address

_activate = {name: runner(__name__, f"{name} of linear", loops) for name, loops in affine._activate.items()}
_backward = {name: runner(__name__, f"{name} of linear_backward", loops) for name, loops in affine._backward.items()}


@in_njit(affine.linear)
def _linear(x, weight, bias, activation, out, preactivation):
    x = floats("linear", "x", x)
    weight = matrix("linear", "weight", floats("linear", "weight", weight))
    N, K = weight.shape
    x = at_least_1d("linear", "x", x)
    if x.shape[x.ndim - 1] != K:
        raise Value("linear: inner dimensions differ: x is {}, weight is {}", x.shape, weight.shape)
    b = added("linear", "bias", bias, N, x)
    same_dtypes("linear", ("x", "weight", "bias"), (x, weight, b))
    choice("linear", "activation", activation, (None, "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"))
    result = output("linear", "out", out, replaced(x.shape, x.ndim - 1, N), x)
    target = result
    if preactivation is not None:
        target = output("linear", "preactivation", preactivation, result.shape, x)
    if out is not None or preactivation is not None:
        no_overlap("linear", target, "x", x)
        no_overlap("linear", target, "weight", weight)
        no_overlap("linear", target, "bias", b)
    if preactivation is not None:
        apart("linear", result, "preactivation", target)
    M = product_of(x.shape, 0, x.ndim - 1)
    affine_of(x.reshape((M, K)), like(weight, x), like(b, x), target.reshape((M, N)))
    _apply(activation, target.reshape(-1), result.reshape(-1))
    return result


@_check
def added(operation, name, bias, N, x):
    """The bias, or an array of size 0 for None."""
    if isinstance(bias, types.NoneType):
        return lambda operation, name, bias, N, x: x.reshape(-1)[:0]
    return lambda operation, name, bias, N, x: shaped(operation, name, floats(operation, name, bias), (N,))


@jit
def affine_of(x, weight, bias, out):
    """`affine.linear_parallel`"""
    product(any_layout(x), any_layout(weight.T), bias, BIAS if bias.size else STORE, out)


@_check
def _apply(activation, z, out):
    """The activation, for flat arrays; without one, a copy where they are two."""
    if isinstance(activation, types.NoneType):

        def copy(activation, z, out):
            if address(z) != address(out):
                out[:] = z

        return copy
    run = _activate.get(activation.literal_value)
    if run is None:  # `choice` has raised
        return lambda activation, z, out: None
    return lambda activation, z, out: run((z,), out, ())


@in_njit(affine.linear_backward)
def _linear_backward(dy, x, weight, activation, saved, needs):
    dy, x = floats("linear_backward", "dy", dy), floats("linear_backward", "x", x)
    weight = floats("linear_backward", "weight", weight)
    same_dtypes("linear_backward", ("dy", "x", "weight"), (dy, x, weight))
    weight = _weight_of(x, weight)
    N, K = weight.shape
    rank = x.ndim
    dz = shaped("linear_backward", "dy", like(dy, x), replaced(x.shape, rank - 1, N))
    choice("linear_backward", "activation", activation, (None, "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"))
    dz = _through(activation, dz, saved)
    M = product_of(x.shape, 0, rank - 1) if N or K else 0
    rows = dz.reshape((M, N))
    dx, dweight, dbias = absent_like(x), absent_like(weight), rows.reshape(-1)[:0]
    if needs[0]:
        dx = matmul(any_layout(rows), any_layout(like(weight, x))).reshape(x.shape)
    if needs[1]:
        dweight = matmul(any_layout(rows.T), any_layout(x.reshape((M, K))))
    if needs[2]:
        dbias = column_sums(rows)
    return dx, dweight, dbias


@_check
def _weight_of(x, weight):
    """The weight, which must be a matrix with rows as long as those of x."""
    if x.ndim and weight.ndim == 2:

        def code(x, weight):
            if x.shape[x.ndim - 1] != weight.shape[1]:
                raise Value("linear_backward: inner dimensions differ: x is {}, weight is {}", x.shape, weight.shape)
            return like(weight, x)

        return code

    def refused(x, weight):
        if failed():
            raise Value("linear_backward: inner dimensions differ: x is {}, weight is {}", x.shape, weight.shape)
        return np.empty((0, 0), x.dtype)

    return refused


@_check
def _through(activation, dy, saved):
    """``dy f'(z)``"""
    if isinstance(activation, types.NoneType):
        return lambda activation, dy, saved: dy
    run = _backward.get(activation.literal_value)
    if run is None:  # `choice` has raised
        return lambda activation, dy, saved: dy
    if isinstance(saved, types.NoneType):
        missing = f"linear_backward: activation {activation.literal_value!r} needs saved"

        def without(activation, dy, saved):
            if failed():
                raise ValueError(missing)
            return dy

        return without

    def code(activation, dy, saved):
        given = _saved(dy, floats("linear_backward", "saved", saved))
        same_dtype("linear_backward", "dy", dy, "saved", given)
        dz = np.empty(dy.shape, dy.dtype)
        run((dy.reshape(-1), like(given, dy)), dz.reshape(-1), ())
        return dz

    return code


@_check
def _saved(dy, saved):
    """What the activation's derivative is computed from, flat; it must have dy's shape."""
    if dy.ndim == saved.ndim:

        def code(dy, saved):
            if dy.shape != saved.shape:
                raise Value("linear_backward: saved must have dy's shape {}, got {}", dy.shape, saved.shape)
            return saved.reshape(-1)

        return code

    def other_rank(dy, saved):
        if failed():
            raise Value("linear_backward: saved must have dy's shape {}, got {}", dy.shape, saved.shape)
        return saved.reshape(-1)

    return other_rank


@_check
def absent_like(x):
    """`absent` of the rank of `x`."""
    rank = x.ndim
    return lambda x: absent(rank, x)
