"""The scans in jitted code."""

import numpy as np

from kernels._checks import FLOAT64, INT64
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, like, same_dtype, within
from kernels._njit_errors import _check
from kernels._njit_sizes import split, threads_for
from kernels.reduction._njit_layout import expect_shape
from kernels.scan import functions, gradients
from kernels.scan._njit_numbers import as_given, numbers
from kernels.scan.extremes import add_to_indices
from kernels.scan.functions import EXPENSIVE
from kernels.scan.logsum import logcumsumexp_backward_loops, logcumsumexp_loops
from kernels.scan.products import cumprod_backward_loops

# --- sums, products, extremes ----------------------------------------------------------------------------------------


def _by_dtype(loops, name):
    """The loops for the dtype of their first argument, which `functions._Loops` chooses."""
    usual, other = by_address(loops.loops, name), by_address(loops.others[INT64], f"{name}, others")
    others = ("int64", "float64") if FLOAT64 in loops.others else ("int64",)

    @_check
    def chosen(arguments):
        callee = other if str(arguments[0].dtype) in others else usual
        return lambda arguments: callee(*arguments)

    return chosen


sums, products = _by_dtype(functions.CUMSUM, "cumsum_loops"), _by_dtype(functions._cumprod, "cumprod_loops")
maxima, minima = _by_dtype(functions._cummax, "cummax_loops"), _by_dtype(functions._cummin, "cummin_loops")


@_check
def _start(x, start):
    """The total that a scan of `x` begins with."""
    return (lambda x, start: np.int64(start)) if str(x.dtype) == "int64" else (lambda x, start: np.float64(start))


def _scan(public, loops, start):
    """The entry of ``public(x, dim)``: what `functions.scanned` does."""
    operation = public.__name__

    def entry(x, dim):
        x = numbers(operation, "x", x)
        outer, n, inner = split(operation, x, dim)
        y = np.empty(x.shape, x.dtype)
        if x.size:
            threads = threads_for(x.size, 0)
            loops((x.reshape(-1), y.reshape(-1), outer, n, inner, _start(x, start), False, threads))
        return y

    in_njit(public)(entry)


_scan(functions.cumsum, sums, 0)
_scan(functions.cumprod, products, 1)


@in_njit(gradients.cumsum_backward)
def _cumsum_backward(dy, dim):
    dy = floats("cumsum_backward", "dy", dy)
    outer, n, inner = split("cumsum_backward", dy, dim)
    dx = np.empty(dy.shape, dy.dtype)
    if dy.size:
        threads = threads_for(dy.size, 0)
        sums((dy.reshape(-1), dx.reshape(-1), outer, n, inner, 0.0, True, threads))
    return dx


def _extremes(public, loops):
    """The entry of ``public(x, dim)``: what `functions._extremes` does."""
    operation = public.__name__

    def entry(x, dim):
        number = numbers(operation, "x", x)
        outer, n, inner = split(operation, number, dim)
        values, places = np.empty(number.shape, number.dtype), np.empty(number.shape, np.int64)
        if number.size:
            arrays = number.reshape(-1), values.reshape(-1), places.reshape(-1)
            loops((*arrays, outer, n, inner, threads_for(number.size, 0)))
        return as_given(values, x), places

    in_njit(public)(entry)


_extremes(functions.cummax, maxima)
_extremes(functions.cummin, minima)

# --- logarithms of sums ----------------------------------------------------------------------------------------------

logarithms = by_address(logcumsumexp_loops)


@in_njit(functions.logcumsumexp)
def _logcumsumexp(x, dim):
    x = floats("logcumsumexp", "x", x)
    outer, n, inner = split("logcumsumexp", x, dim)
    y = np.empty(x.shape, x.dtype)
    if x.size:
        logarithms(x.reshape(-1), y.reshape(-1), outer, n, inner, threads_for(EXPENSIVE * x.size, 0))
    return y


# --- gradients -------------------------------------------------------------------------------------------------------


def _from_input(public, loops, cost):
    """The entry of ``public(dy, x, dim)``: what `gradients._from_input` does."""
    operation, loops = public.__name__, by_address(loops)

    def entry(dy, x, dim):
        dy, given = floats(operation, "dy", dy), floats(operation, "x", x)
        same_dtype(operation, "dy", dy, "x", given)
        x = like(given, dy)
        expect_shape(operation, "dy", dy, x.shape)
        outer, n, inner = split(operation, x, dim)
        dx = np.empty(x.shape, x.dtype)
        if x.size:
            threads = threads_for(cost * x.size, 0)
            loops(dy.reshape(-1), x.reshape(-1), dx.reshape(-1), outer, n, inner, threads)
        return dx

    in_njit(public)(entry)


_from_input(gradients.cumprod_backward, cumprod_backward_loops, 1)
_from_input(gradients.logcumsumexp_backward, logcumsumexp_backward_loops, EXPENSIVE)

to_indices = by_address(add_to_indices)


def _from_indices(public):
    """The entry of ``public(dy, indices, dim)``: what `gradients._from_indices` does."""
    operation = public.__name__

    def entry(dy, places, dim):
        dy, places = floats(operation, "dy", dy), indices(operation, "indices", places)
        expect_shape(operation, "indices", places, dy.shape)
        outer, n, inner = split(operation, dy, dim)
        within(operation, "indices", places, n)
        dx = np.empty(dy.shape, dy.dtype)
        if dy.size:
            threads = threads_for(dy.size, 0)
            to_indices(dy.reshape(-1), places.reshape(-1), dx.reshape(-1), outer, n, inner, threads)
        return dx

    in_njit(public)(entry)


_from_indices(gradients.cummax_backward)
_from_indices(gradients.cummin_backward)
