"""What the losses of pairs have in common in jitted code.

Arithmetic on single numbers and on arrays of losses that Python leaves to NumPy is compiled without the fast-math set,
so that it is rounded as NumPy's.
"""

import math

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import Callee, by_address
from kernels._njit_checks import floats, like, same_dtype, same_shape
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_loops import runner
from kernels._njit_operands import shaped
from kernels._njit_sizes import threads_for
from kernels.loss import pairs

sum_losses = by_address(pairs._sum_losses, "sum_losses")


# --- NumPy's arithmetic ----------------------------------------------------------------------------------------------


@jit
def number(value, x):
    """A 0-d array of the dtype of x."""
    result = np.empty((), x.dtype)
    result[()] = value
    return result


@jit(fastmath=False)
def ratio(total, count):
    """The quotient, NaN where the divisor is 0."""
    return total / count if count else math.nan


@jit(fastmath=False)
def ratio_in(x, dy, count):
    """A 0-d array divided in the dtype of x."""
    return dy[()] / x.dtype.type(count)


@jit(fastmath=False)
def scale_all(x, factor):
    for i in range(x.size):
        x[i] *= factor


@jit(fastmath=False)
def scale_each(x, factors):
    for i in range(x.size):
        x[i] *= factors[i]


@jit(fastmath=False)
def add_weighted(x, terms, weights):
    """``x += terms * (weights - 1)``"""
    for i in range(x.size):
        x[i] += terms[i] * (weights[i] - x.dtype.type(1))


# --- arguments and reductions ----------------------------------------------------------------------------------------


@_check
def pair(operation, x, target):
    """x and target, validated."""

    def code(operation, x, target):
        x, target = floats(operation, "x", x), floats(operation, "target", target)
        same_dtype(operation, "x", x, "target", target)
        same_shape(operation, "x", x, "target", target)
        return x, like(target, x)

    return code


@_check
def weights_of(operation, name, weight, x):
    """`pairs.broadcast_weight`, flat."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} {{}} does not broadcast to x {{}}"
    if isinstance(weight, types.Array) and weight.ndim > x.ndim:

        def refused(operation, name, weight, x):
            given = floats(operation, name, weight)
            same_dtype(operation, "x", x, name, given)
            if failed():
                raise Value(message, given.shape, x.shape)
            return x.reshape(-1)

        return refused
    missing = x.ndim - (weight.ndim if isinstance(weight, types.Array) else 1)

    def code(operation, name, weight, x):
        given = floats(operation, name, weight)
        same_dtype(operation, "x", x, name, given)
        given = like(given, x)
        for axis in range(given.ndim):
            if given.shape[axis] != 1 and given.shape[axis] != x.shape[missing + axis]:
                raise Value(message, given.shape, x.shape)
        if given.size == x.size:
            return given.reshape(-1)
        wide = np.empty(x.shape, x.dtype)
        wide[...] = given
        return wide.reshape(-1)

    def of_a_number(operation, name, weight, x):
        given = floats(operation, name, weight)
        same_dtype(operation, "x", x, name, given)
        wide = np.empty(x.size, x.dtype)
        wide[:] = like(given, x).reshape(-1)[0]
        return wide

    return of_a_number if getattr(weight, "ndim", 1) == 0 else code


@_check
def weigh(operation, weight, x, losses):
    """Multiplies the flat losses by a weight, unless that is None."""
    if isinstance(weight, types.NoneType):
        return lambda operation, weight, x, losses: None
    return lambda operation, weight, x, losses: scale_each(losses, weights_of(operation, "weight", weight, x))


@_check
def reduced(losses, reduction, batch):
    """`pairs.reduced`"""
    if reduction.literal_value == "none":
        return lambda losses, reduction, batch: losses

    def code(losses, reduction, batch):
        flat = losses.reshape(-1)
        total = sum_losses(flat, flat, 0.0, threads_for(flat.size, 0))
        return number(divided(total, reduction, flat.size, batch), losses)

    return code


@_check
def divided(total, reduction, size, batch):
    """`pairs.divided`"""
    word = reduction.literal_value
    if word == "mean":
        return lambda total, reduction, size, batch: ratio(total, size)
    if word == "batchmean":
        return lambda total, reduction, size, batch: ratio(total, batch)
    return lambda total, reduction, size, batch: total


@_check
def loss_gradient(operation, dy, x, reduction, batch):
    """`pairs.loss_gradient`: a flat array for "none", else a number."""
    word = reduction.literal_value
    if word == "none":

        def of_each(operation, dy, x, reduction, batch):
            given = floats(operation, "dy", dy)
            same_dtype(operation, "dy", given, "x", x)
            return shaped(operation, "dy", like(given, x), x.shape).reshape(-1)

        return of_each

    def code(operation, dy, x, reduction, batch):
        given = floats(operation, "dy", dy)
        same_dtype(operation, "dy", given, "x", x)
        dl = shaped(operation, "dy", like(given, x), ())
        return _gradient_of_each(dl, x, reduction, batch)

    return code


@_check
def _gradient_of_each(dy, x, reduction, batch):
    word = reduction.literal_value
    if word == "mean":
        return lambda dy, x, reduction, batch: ratio_in(x, dy, max(x.size, 1))
    if word == "batchmean":
        return lambda dy, x, reduction, batch: ratio_in(x, dy, max(batch, 1))
    return lambda dy, x, reduction, batch: dy[()]


# --- a loss ----------------------------------------------------------------------------------------------------------


def forward_of(home, label, loss):
    """``forward(x, target, reduction, p, weight, batch)``, what `PairLoss.forward` does with validated arrays."""
    operation = loss.name
    total, terms = Callee(home, f"{label} total", loss.total), runner(home, f"{label} terms", loss.terms)

    @_check
    def forward(x, target, reduction, p, weight, batch):
        if reduction.literal_value == "none" or not isinstance(weight, types.NoneType):

            def each(x, target, reduction, p, weight, batch):
                losses = np.empty(x.shape, x.dtype)
                terms((x.reshape(-1), target.reshape(-1)), losses.reshape(-1), (p,))
                weigh(operation, weight, x, losses.reshape(-1))
                return reduced(losses, reduction, batch)

            return each

        def code(x, target, reduction, p, weight, batch):
            losses = total(x.reshape(-1), target.reshape(-1), p, threads_for(x.size, 0))
            return number(divided(losses, reduction, x.size, batch), x)

        return code

    return forward


def backward_of(home, label, loss):
    """``backward(dy, x, target, reduction, p, weight, batch)``, what `PairLoss.backward` does."""
    operation, times = f"{loss.name}_backward", float(loss.times)
    derivatives = runner(home, f"{label} derivatives", loss.derivatives)

    @_check
    def backward(dy, x, target, reduction, p, weight, batch):
        if reduction.literal_value == "none":

            def each(dy, x, target, reduction, p, weight, batch):
                scales = loss_gradient(operation, dy, x, reduction, batch)
                dx = np.empty(x.shape, x.dtype)
                flat = dx.reshape(-1)
                derivatives((x.reshape(-1), target.reshape(-1)), flat, (p, 1.0))
                scale_each(flat, scales)
                if times != 1.0:
                    scale_all(flat, x.dtype.type(times))
                weigh(operation, weight, x, flat)
                return dx

            return each

        def code(dy, x, target, reduction, p, weight, batch):
            factor = np.float64(loss_gradient(operation, dy, x, reduction, batch)) * times
            dx = np.empty(x.shape, x.dtype)
            derivatives((x.reshape(-1), target.reshape(-1)), dx.reshape(-1), (p, factor))
            weigh(operation, weight, x, dx.reshape(-1))
            return dx

        return code

    return backward
