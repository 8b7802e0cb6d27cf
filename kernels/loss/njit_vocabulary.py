"""`linear_cross_entropy` in jitted code."""

from typing import NamedTuple

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_checks import floats, like, no_overlap, output, same_dtype
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_loops import column_sums
from kernels._njit_loops import product as multiply
from kernels._njit_operands import absent, any_layout, matrix, shaped
from kernels._njit_sizes import choice, product, replaced, threads_for
from kernels.gemm.micro import ADD, BIAS, MR, STORE
from kernels.loss import vocabulary
from kernels.loss.njit_classes import (
    class_weights,
    classes_of,
    divisor_of,
    gradients_of,
    index_backward_loops,
    index_loops,
    reduced_by,
    smoothing,
)
from kernels.loss.njit_pairs import scale_all
from kernels.loss.vocabulary import IGNORE_INDEX, SCRATCH


class Problem(NamedTuple):
    """The validated arguments; a `bias` of size 0 is none."""

    rows: np.ndarray
    linear_weight: np.ndarray
    bias: np.ndarray
    weight: np.ndarray
    weighted: bool


class Target(NamedTuple):
    """`targets.IndexTarget`, of which the loops take a block of rows."""

    index: np.ndarray
    index_weight: np.ndarray
    epsilon: float


# --- arguments -------------------------------------------------------------------------------------------------------


@_check
def _problem(operation, x, linear_weight, linear_bias, weight, reduction):
    """What `_Problem` validates."""

    def code(operation, x, linear_weight, linear_bias, weight, reduction):
        given = floats(operation, "x", x)
        W = matrix(operation, "linear_weight", floats(operation, "linear_weight", linear_weight))
        rows = _rows_of(operation, given, W)
        same_dtype(operation, "x", given, "linear_weight", W)
        bias = _bias(operation, linear_bias, W, given)
        choice(operation, "reduction", reduction, ("none", "mean", "sum"))
        weights, weighted = class_weights(operation, given, rows.shape[0], W.shape[0], weight)
        return Problem(rows, like(W, given), bias, weights, weighted)

    return code


@_check
def _rows_of(operation, x, linear_weight):
    """x as a matrix, with rows as long as those of the weight."""
    message = f"{text_of('operation', operation)}: inner dimensions differ: x is {{}}, linear_weight is {{}}"
    if x.ndim:

        def code(operation, x, linear_weight):
            if x.shape[x.ndim - 1] != linear_weight.shape[1]:
                raise Value(message, x.shape, linear_weight.shape)
            return x.reshape((product(x.shape, 0, x.ndim - 1), linear_weight.shape[1]))

        return code

    def refused(operation, x, linear_weight):
        if failed():
            raise Value(message, x.shape, linear_weight.shape)
        return x.reshape((1, 1))

    return refused


@_check
def _bias(operation, bias, linear_weight, x):
    if isinstance(bias, types.NoneType):
        return lambda operation, bias, linear_weight, x: x.reshape(-1)[:0]

    def code(operation, bias, linear_weight, x):
        given = floats(operation, "linear_bias", bias)
        same_dtype(operation, "x", x, "linear_bias", given)
        return shaped(operation, "linear_bias", like(given, x), (linear_weight.shape[0],))

    return code


@_check
def _shape_of(x):
    """The shape of the losses: that of x but for its last axis."""
    rank = getattr(x, "ndim", 1) - 1
    blank = (0,) * max(rank, 0)
    if not blank:
        return lambda x: blank

    def code(x):
        shape = blank
        for axis in range(rank):
            shape = replaced(shape, axis, x.shape[axis])
        return shape

    return code


@_check
def _ignored(ignore_index):
    if isinstance(ignore_index, types.NoneType):
        return lambda ignore_index: IGNORE_INDEX
    return lambda ignore_index: ignore_index


@_check
def _target(operation, x, problem, target, ignore_index, label_smoothing):
    def code(operation, x, problem, target, ignore_index, label_smoothing):
        classes = problem.linear_weight.shape[0]
        index, index_weight = classes_of(
            operation, target, _shape_of(x), floats(operation, "x", x), classes, problem.weight, _ignored(ignore_index)
        )
        return Target(index, index_weight, smoothing(operation, label_smoothing))

    return code


@_check
def _each(operation, name, gradient, shape, problem):
    """An array that receives a gradient, or one of size 0 for None."""
    rank = len(shape)
    if isinstance(gradient, types.NoneType):
        return lambda operation, name, gradient, shape, problem: absent(rank, problem.rows)

    def code(operation, name, gradient, shape, problem):
        array = output(operation, name, gradient, shape, problem.rows)
        no_overlap(operation, array, "x", problem.rows)
        no_overlap(operation, array, "linear_weight", problem.linear_weight)
        return array

    return code


@_check
def _receivers(operation, x, gradients, reduction, problem):
    """The arrays that receive the gradients, and which of them there are."""
    if reduction.literal_value == "none":
        message = f'{operation.literal_value}: gradients need the reduction "mean" or "sum", got "none"'

        def refused(operation, x, gradients, reduction, problem):
            if failed():
                raise ValueError(message)
            none = problem.bias[:0]
            return (none, absent(2, none), none), (False, False, False)

        return refused
    needs = tuple(not isinstance(each, types.NoneType) for each in gradients)

    def code(operation, x, gradients, reduction, problem):
        W, (given_x, given_weight, given_bias) = problem.linear_weight, gradients
        dx = _each(operation, "the gradient of x", given_x, floats(operation, "x", x).shape, problem)
        dweight = _each(operation, "the gradient of linear_weight", given_weight, W.shape, problem)
        dbias = _each(operation, "the gradient of linear_bias", given_bias, (W.shape[0],), problem)
        return (dx.reshape(-1), dweight, dbias), needs

    return code


# --- blocks of rows --------------------------------------------------------------------------------------------------


@jit
def _run(problem, target, losses, dlosses, gradients, needs):
    """`_Problem.run`; `dlosses` of size 0 asks for no gradients. Those that are not needed are of size 0."""
    rows, W, bias, _, _ = problem
    N, C = rows.shape[0], W.shape[0]
    if N == 0:
        dx, dweight, dbias = gradients
        for each in (dx, dweight.reshape(-1), dbias):
            each[:] = 0
        return
    blocks = (N + max(SCRATCH // (C * rows.itemsize), MR) - 1) // max(SCRATCH // (C * rows.itemsize), MR)
    block_rows = (N + blocks - 1) // blocks
    scratch = np.empty((block_rows, C), rows.dtype)
    for first in range(0, N, block_rows):
        stop = min(first + block_rows, N)
        z = scratch[: stop - first]
        multiply(any_layout(rows[first:stop]), any_layout(W.T), bias, BIAS if bias.size else STORE, z)
        lse = _block_losses(problem, target, z, losses[first:stop], first)
        if dlosses.size:
            _block_gradients(problem, target, z, dlosses[first:stop], lse, first)
            _add_gradients(problem, z, first, gradients, needs)


@jit
def _block_losses(problem, target, z, losses, first):
    """`classification.class_losses`"""
    index, index_weight = target.index[first : first + z.shape[0]], target.index_weight[first : first + z.shape[0]]
    lse, flat, threads = np.empty(losses.size, losses.dtype), z.reshape(-1), threads_for(z.size, 0)
    rest = problem.weight, problem.weighted, target.epsilon
    index_loops(z.shape[0], z.shape[1], 1, threads, flat, losses, lse, index, index_weight, *rest)
    return lse


@jit
def _block_gradients(problem, target, z, dlosses, lse, first):
    """`classification.class_gradients`"""
    index, index_weight = target.index[first : first + z.shape[0]], target.index_weight[first : first + z.shape[0]]
    factors, flat, threads = np.empty(lse.size, lse.dtype), z.reshape(-1), threads_for(z.size, 0)
    rest = index, index_weight, problem.weight, problem.weighted, target.epsilon
    index_backward_loops(z.shape[0], z.shape[1], 1, threads, flat, dlosses, lse, factors, flat, *rest)


@jit
def _add_gradients(problem, dz, first, gradients, needs):
    """`_Problem._add_gradients`"""
    dx, dweight, dbias = gradients
    rows, W, none = problem.rows, problem.linear_weight, dz.reshape(-1)[:0]
    stop, K = first + dz.shape[0], rows.shape[1]
    if needs[0]:
        block = dx[first * K : stop * K].reshape((stop - first, K))
        multiply(any_layout(dz), any_layout(W), none, STORE, block)
    if needs[1]:
        multiply(any_layout(dz.T), any_layout(rows[first:stop]), none, ADD if first else STORE, dweight)
    if needs[2]:
        _add_sums(dz, dbias, first > 0)


@jit(fastmath=False)
def _add_sums(dz, dbias, onto):
    sums = column_sums(dz)
    for j in range(dbias.size):
        dbias[j] = sums[j] + (dbias[j] if onto else dbias.dtype.type(0))


# --- functions -------------------------------------------------------------------------------------------------------


@in_njit(vocabulary.linear_cross_entropy)
def _linear_cross_entropy(
    x, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing, gradients
):
    name = "linear_cross_entropy"
    problem = _problem(name, x, linear_weight, linear_bias, weight, reduction)
    t = _target(name, x, problem, target, ignore_index, label_smoothing)
    divisor = divisor_of(t.index_weight, reduction)
    losses = np.empty(t.index.size, problem.rows.dtype)
    _run_with(x, problem, t, losses, gradients, reduction, divisor)
    return reduced_by(losses, _shape_of(x), reduction, divisor)


@_check
def _run_with(x, problem, target, losses, gradients, reduction, divisor):
    """The losses, and the gradients where there are arrays for them."""
    if isinstance(gradients, types.NoneType):

        def alone(x, problem, target, losses, gradients, reduction, divisor):
            none = losses[:0]
            _run(problem, target, losses, none, (none, absent(2, none), none), (False, False, False))

        return alone

    def code(x, problem, target, losses, gradients, reduction, divisor):
        name = "linear_cross_entropy"
        arrays, needs = _receivers(name, x, gradients, reduction, problem)
        one = np.ones((), losses.dtype)
        dlosses = gradients_of(name, one, problem.rows, _shape_of(x), reduction, divisor)
        _run(problem, target, losses, dlosses, arrays, needs)

    return code


@in_njit(vocabulary.linear_cross_entropy_backward)
def _linear_cross_entropy_backward(
    dy, x, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing, gradients, needs
):
    name = "linear_cross_entropy_backward"
    problem = _problem(name, x, linear_weight, linear_bias, weight, reduction)
    t = _target(name, x, problem, target, ignore_index, label_smoothing)
    return _gradients((dy, x), problem, t, reduction, gradients, needs)


@_check
def _gradients(given, problem, target, reduction, gradients, needs):
    """Those that the forward has filled, multiplied by dy, or new ones."""
    name = "linear_cross_entropy_backward"
    if isinstance(gradients, types.NoneType):
        rank = max(getattr(given.types[1], "ndim", 1), 1)

        def computed(given, problem, target, reduction, gradients, needs):
            dy, x = given
            W, rows = problem.linear_weight, problem.rows
            divisor = divisor_of(target.index_weight, reduction)
            dlosses = gradients_of(name, dy, rows, _shape_of(x), reduction, divisor)
            dx, dweight, dbias = absent(rank, rows), absent(2, rows), rows.reshape(-1)[:0]
            if needs[0]:
                dx = np.empty(floats(name, "x", x).shape, rows.dtype)
            if needs[1]:
                dweight = np.empty(W.shape, rows.dtype)
            if needs[2]:
                dbias = np.empty(W.shape[0], rows.dtype)
            losses = np.empty(dlosses.size, rows.dtype)
            _run(problem, target, losses, dlosses, (dx.reshape(-1), dweight, dbias), needs)
            return dx, dweight, dbias

        return computed

    def multiplied(given, problem, target, reduction, gradients, needs):
        dy, x = given
        (dx, dweight, dbias), _ = _receivers(name, x, gradients, reduction, problem)
        divisor = divisor_of(target.index_weight, reduction)
        gradients_of(name, dy, problem.rows, _shape_of(x), reduction, divisor)
        scale = floats(name, "dy", dy).reshape(-1)[0]
        if scale != 1:
            scale_all(dx, scale)
            scale_all(dweight.reshape(-1), scale)
            scale_all(dbias, scale)
        return gradients

    return multiplied
