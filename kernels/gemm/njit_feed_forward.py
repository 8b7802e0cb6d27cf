"""`feed_forward` in jitted code."""

import numpy as np
from numba import types

from kernels import mlp
from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_checks import floats, like, no_overlap, output, same_dtype, same_dtypes
from kernels._njit_errors import Value, _check, failed
from kernels._njit_loops import column_sums, product, runner
from kernels._njit_operands import any_layout, apart, matrix, shaped
from kernels._njit_sizes import choice, replaced
from kernels._njit_sizes import product as product_of
from kernels.gemm.micro import ADD, STORE
from kernels.gemm.njit_linear import affine_of
from kernels.mlp import BLOCK_ROWS

_activate = {name: runner(__name__, f"{name} of feed_forward", loops) for name, loops in mlp._activate.items()}
_derivative = {
    name: runner(__name__, f"{name} of feed_forward_backward", loops) for name, loops in mlp._derivative.items()
}
_gate, _multiply = runner(__name__, "gate", mlp._gate), runner(__name__, "multiply", mlp._multiply)
silu, silu_backward = _activate["silu"], _derivative["silu"]


@in_njit(mlp.feed_forward)
def _feed_forward(x, weight1, bias1, weight2, bias2, activation, out, preactivation):
    rows, W1, W2 = _checked("feed_forward", x, weight1, weight2, activation)
    b1, b2 = _bias("feed_forward", "bias1", bias1, W1, rows), _bias("feed_forward", "bias2", bias2, W2, rows)
    result = output("feed_forward", "out", out, _sizes_of(x, W2.shape[0]), rows)
    if out is not None:
        _all_apart(result, (rows, W1, b1, W2, b2))
    parts, M, H = _parts(activation), rows.shape[0], W2.shape[1]
    saved = rows.reshape(-1)[:0].reshape((0, 0, 0))
    if preactivation is not None:
        given = output("feed_forward", "preactivation", preactivation, _saved_sizes(x, H, activation), rows)
        _all_apart(given, (rows, W1, b1, W2, b2))
        apart("feed_forward", result, "preactivation", given)
        saved = given.reshape((parts, M, H))
    _forward(rows, (W1, b1, W2, b2), activation, saved, result.reshape((M, W2.shape[0])))
    return result


@in_njit(mlp.feed_forward_backward)
def _feed_forward_backward(dy, x, weight1, weight2, preactivation, activation, needs):
    rows, W1, W2 = _checked("feed_forward_backward", x, weight1, weight2, activation)
    (N, H), (M, K) = W2.shape, rows.shape
    given = _like_result("dy", dy, _sizes_of(x, N), rows).reshape((M, N))
    z = _like_result("preactivation", preactivation, _saved_sizes(x, H, activation), rows)
    saved = z.reshape((_parts(activation), M, H))
    dx, dweight1, dbias1 = np.empty((0, K), rows.dtype), np.empty((0, K), rows.dtype), np.empty(0, rows.dtype)
    dweight2, dbias2 = np.empty((0, H), rows.dtype), np.empty(0, rows.dtype)
    if needs[0]:
        dx = np.empty((M, K), rows.dtype)
    if needs[1]:
        dweight1 = np.zeros(W1.shape, rows.dtype) if M == 0 else np.empty(W1.shape, rows.dtype)
    if needs[2]:
        dbias1 = np.zeros(W1.shape[0], rows.dtype)
    if needs[3]:
        dweight2 = np.zeros(W2.shape, rows.dtype) if M == 0 else np.empty(W2.shape, rows.dtype)
    if needs[4]:
        dbias2 = np.zeros(N, rows.dtype)
    gradients = dx, dweight1, dbias1, dweight2, dbias2
    if M:
        _backward((given, rows, W1, W2), saved, activation, gradients, needs)
    return _shaped_as(x, dx, needs[0]), dweight1, dbias1, dweight2, dbias2


# --- arguments -------------------------------------------------------------------------------------------------------


@_check
def _parts(activation):
    """How many pre-activations there are for each hidden unit."""
    parts = np.int64(1 + (getattr(activation, "literal_value", None) == "swiglu"))
    return lambda activation: parts


@_check
def _checked(operation, x, weight1, weight2, activation):
    """x as rows, and the weights, validated."""
    word = activation.literal_value if isinstance(activation, types.StringLiteral) else None
    name = operation.literal_value
    inner = f"{name}: inner dimensions differ: x is {{}}, weight1 is {{}}"
    parts = 1 + (word == "swiglu")
    units = f'{name}: with "{word}" weight1 must have {parts} x {{}} rows for weight2 {{}}, got {{}}'

    def code(operation, x, weight1, weight2, activation):
        choice(operation, "activation", activation, ("relu", "gelu", "gelu_tanh", "silu", "swiglu"))
        x = floats(operation, "x", x)
        weight1, weight2 = floats(operation, "weight1", weight1), floats(operation, "weight2", weight2)
        same_dtypes(operation, ("x", "weight1", "weight2"), (x, weight1, weight2))
        W1 = matrix(operation, "weight1", like(weight1, x))
        W2 = matrix(operation, "weight2", like(weight2, x))
        rows = _rows_of(inner, x, W1)
        if W1.shape[0] != parts * W2.shape[1]:
            raise Value(units, W2.shape[1], W2.shape, W1.shape)
        return rows, W1, W2

    return code


@_check
def _rows_of(message, x, weight):
    """x as a matrix, with rows as long as those of the weight."""
    if x.ndim:

        def code(message, x, weight):
            if x.shape[x.ndim - 1] != weight.shape[1]:
                raise Value(message, x.shape, weight.shape)
            return x.reshape((product_of(x.shape, 0, x.ndim - 1), weight.shape[1]))

        return code

    def refused(message, x, weight):
        if failed():
            raise Value(message, x.shape, weight.shape)
        return x.reshape((1, 1))

    return refused


@_check
def _bias(operation, name, bias, weight, x):
    """The bias, or an array of size 0 for None."""
    if isinstance(bias, types.NoneType):
        return lambda operation, name, bias, weight, x: x.reshape(-1)[:0]

    def code(operation, name, bias, weight, x):
        given = floats(operation, name, bias)
        same_dtype(operation, "x", x, name, given)
        return shaped(operation, name, like(given, x), (weight.shape[0],))

    return code


@_check
def _sizes_of(x, last):
    """The shape of x with another last size."""
    if not getattr(x, "ndim", 0):
        return lambda x, last: (last,)
    return lambda x, last: replaced(x.shape, x.ndim - 1, last)


@_check
def _saved_sizes(x, H, activation):
    """`mlp._saved_shape`"""
    if getattr(activation, "literal_value", None) == "swiglu":
        return lambda x, H, activation: (np.int64(2),) + _sizes_of(x, H)
    return lambda x, H, activation: _sizes_of(x, H)


@_check
def _shaped_as(x, dx, needed):
    """dx in the shape of x, or one of size 0."""
    nothing = (0,) * x.ndim

    def code(x, dx, needed):
        return dx.reshape(x.shape) if needed else dx.reshape(nothing)

    return code


@_check
def _like_result(name, given, sizes, x):
    """An argument of the backward, validated."""

    def code(name, given, sizes, x):
        array = floats("feed_forward_backward", name, given)
        same_dtype("feed_forward_backward", "x", x, name, array)
        return shaped("feed_forward_backward", name, like(array, x), sizes)

    return code


@jit
def _all_apart(result, arrays):
    x, weight1, bias1, weight2, bias2 = arrays
    no_overlap("feed_forward", result, "x", x)
    no_overlap("feed_forward", result, "weight1", weight1)
    no_overlap("feed_forward", result, "weight2", weight2)
    no_overlap("feed_forward", result, "bias1", bias1)
    no_overlap("feed_forward", result, "bias2", bias2)


# --- blocks of rows --------------------------------------------------------------------------------------------------


@jit(inline=True)
def _rows_of_a_block(M):
    """As many for each block of `mlp._blocks`, but for the last."""
    blocks = max((M + BLOCK_ROWS - 1) // BLOCK_ROWS, 1)
    return (M + blocks - 1) // blocks


@_check
def _forward(x, weights, activation, preactivation, out):
    """`mlp._forward`; without `preactivation` that is of size 0."""
    word = getattr(activation, "literal_value", None)
    parts = np.int64(1 + (word == "swiglu"))
    hide = _gated if word == "swiglu" else _activated.get(word, _unknown)

    def code(x, weights, activation, preactivation, out):
        weight1, bias1, weight2, bias2 = weights
        M, H, kept = x.shape[0], weight2.shape[1], preactivation.size > 0
        block = _rows_of_a_block(M)
        scratch = np.empty((1 if kept else parts, block, H), x.dtype)
        for first in range(0, M, max(block, 1)):
            stop = min(first + block, M)
            for part in range(parts):
                z = preactivation[part][first:stop] if kept else scratch[part][: stop - first]
                bias = bias1[part * H : (part + 1) * H] if bias1.size else bias1
                affine_of(x[first:stop], weight1[part * H : (part + 1) * H], bias, z)
            hidden = scratch[0][: stop - first]
            if kept:
                hide(preactivation[0][first:stop], preactivation[parts - 1][first:stop], hidden)
            else:
                hide(hidden, scratch[parts - 1][: stop - first], hidden)
            affine_of(hidden, weight2, bias2, out[first:stop])

    return code


@jit
def _gated(gate, value, hidden):
    _gate((gate.reshape(-1), value.reshape(-1)), hidden.reshape(-1), ())


@jit
def _unknown(z, value, hidden):
    return


def _hidden_by(run):
    """The hidden units of an activation without a gate."""

    @jit
    def hide(z, value, hidden):
        run((z.reshape(-1),), hidden.reshape(-1), ())

    return hide


_activated = {name: _hidden_by(run) for name, run in _activate.items()}


def _gradient_by(activate, derivative):
    """h, and dz in place of dh, of an activation without a gate."""

    @jit
    def gradient(z, other, dz, dother, hidden):
        activate((z.reshape(-1),), hidden.reshape(-1), ())
        derivative((dz.reshape(-1), z.reshape(-1)), dz.reshape(-1), ())

    return gradient


_gradient = {name: _gradient_by(_activate[name], _derivative[name]) for name in _activate}


@jit
def _gated_gradient(gate, value, dgate, dvalue, hidden):
    """`mlp._hidden_and_dz` for "swiglu"."""
    gate, value, dgate = gate.reshape(-1), value.reshape(-1), dgate.reshape(-1)
    dvalue, hidden = dvalue.reshape(-1), hidden.reshape(-1)
    silu((gate,), hidden, ())
    _multiply((dgate, hidden), dvalue, ())
    _multiply((hidden, value), hidden, ())
    _multiply((dgate, value), dgate, ())
    silu_backward((dgate, gate), dgate, ())


@jit
def _no_gradient(z, other, dz, dother, hidden):
    return


@_check
def _backward(arrays, preactivation, activation, gradients, needs):
    """`mlp._backward`; of the arrays for gradients, those that are not needed are of size 0."""
    word = getattr(activation, "literal_value", None)
    parts = np.int64(1 + (word == "swiglu"))
    differentiate = _gated_gradient if word == "swiglu" else _gradient.get(word, _no_gradient)

    def code(arrays, preactivation, activation, gradients, needs):
        dy, x, weight1, weight2 = arrays
        dx, dweight1, dbias1, dweight2, dbias2 = gradients
        M, H, none = x.shape[0], weight2.shape[1], x.reshape(-1)[:0]
        block = _rows_of_a_block(M)
        scratch = np.empty((parts + 1, block, H), x.dtype)
        for first in range(0, M, block):
            stop = min(first + block, M)
            mode, count = ADD if first else STORE, stop - first
            hidden, dz_blocks = scratch[0][:count], scratch[1:]
            dh, dlast = dz_blocks[0][:count], dz_blocks[parts - 1][:count]
            product(any_layout(dy[first:stop]), any_layout(weight2), none, STORE, dh)
            z, last = preactivation[0][first:stop], preactivation[parts - 1][first:stop]
            differentiate(z, last, dh, dlast, hidden)
            if needs[3]:
                product(any_layout(dy[first:stop].T), any_layout(hidden), none, mode, dweight2)
            if needs[4]:
                _add_sums(dy[first:stop], dbias2)
            for part in range(parts):
                dz, units = dz_blocks[part][:count], slice(part * H, (part + 1) * H)
                if needs[1]:
                    product(any_layout(dz.T), any_layout(x[first:stop]), none, mode, dweight1[units])
                if needs[2]:
                    _add_sums(dz, dbias1[units])
                if needs[0]:
                    onto = ADD if part else STORE
                    product(any_layout(dz), any_layout(weight1[units]), none, onto, dx[first:stop])

    return code


@jit(fastmath=False)
def _add_sums(x, totals):
    """Adds the sums of the columns of x."""
    sums = column_sums(x)
    for j in range(totals.size):
        totals[j] = sums[j] + totals[j]
