"""The activations in jitted code."""

import numpy as np

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, like, no_overlap, output, same_dtype, same_or_apart, same_shape
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_loops import runner
from kernels._njit_sizes import axis_of, choice, product, replaced, threads_for
from kernels.activation import (
    elementary,
    error_function,
    exponential,
    exponential_linear,
    factorial,
    gated,
    hard,
    logistic,
    parametric,
    rectified,
    smooth,
)
from kernels.machine import cache_bytes
from kernels.reduction._njit_layout import expect_shape

L3 = cache_bytes(3)

# --- elementwise functions -------------------------------------------------------------------------------------------


def _forward_of(operation, loops, name=None):
    """Jitted ``entry(x, parameters, out)``: what `_elementwise.forward` does."""
    run = runner(__name__, name or operation, loops)

    @jit
    def entry(x, parameters, out):
        x = floats(operation, "x", x)
        result = output(operation, "out", out, x.shape, x)
        same_or_apart(operation, out, "x", x)
        run((x.reshape(-1),), result.reshape(-1), parameters)
        return result

    return entry


def _backward_of(operation, loops, saved_name, name=None):
    """Jitted ``entry(dy, saved, parameters)``: what `_elementwise.backward` does."""
    run = runner(__name__, name or operation, loops)

    @jit
    def entry(dy, saved, parameters):
        dy, given = floats(operation, "dy", dy), floats(operation, saved_name, saved)
        same_dtype(operation, "dy", dy, saved_name, given)
        same_shape(operation, "dy", dy, saved_name, given)
        saved = like(given, dy)
        result = output(operation, "out", None, dy.shape, dy)
        run((dy.reshape(-1), saved.reshape(-1)), result.reshape(-1), parameters)
        return result

    return entry


def _forward(public, loops):
    """The entry of ``public(x, *parameters, out=None)``."""
    entry = _forward_of(public.__name__, loops)

    def without(x, out):
        return entry(x, (), out)

    def with_one(x, p, out):
        return entry(x, (float(p),), out)

    def with_two(x, p, q, out):
        return entry(x, (float(p), float(q)), out)

    in_njit(public)((without, with_one, with_two)[loops.parameters])


def _backward(public, loops, saved_name):
    """The entry of ``public(dy, saved, *parameters)``; errors call the saved array `saved_name`."""
    entry = _backward_of(public.__name__, loops, saved_name)

    def without(dy, saved):
        return entry(dy, saved, ())

    def with_one(dy, saved, p):
        return entry(dy, saved, (float(p),))

    def with_two(dy, saved, p, q):
        return entry(dy, saved, (float(p), float(q)))

    in_njit(public)((without, with_one, with_two)[loops.parameters])


_forward(rectified.relu, rectified._relu)
_backward(rectified.relu_backward, rectified._relu_backward, "y")
_forward(rectified.leaky_relu, rectified._leaky_relu)
_backward(rectified.leaky_relu_backward, rectified._leaky_relu_backward, "x")
_forward(hard.hardsigmoid, hard._hardsigmoid)
_backward(hard.hardsigmoid_backward, hard._hardsigmoid_backward, "x")
_forward(hard.hardswish, hard._hardswish)
_backward(hard.hardswish_backward, hard._hardswish_backward, "x")
_forward(exponential.exp, exponential._exp)
_backward(exponential.exp_backward, exponential._exp_backward, "y")
_forward(exponential.softplus, exponential._softplus)
_backward(exponential.softplus_backward, exponential._softplus_backward, "x")
_forward(exponential.logsigmoid, exponential._logsigmoid)
_backward(exponential.logsigmoid_backward, exponential._logsigmoid_backward, "x")
_forward(exponential_linear.elu, exponential_linear._elu)
_backward(exponential_linear.elu_backward, exponential_linear._elu_backward, "x")
_forward(exponential_linear.selu, exponential_linear._selu)
_backward(exponential_linear.selu_backward, exponential_linear._selu_backward, "x")
_forward(logistic.sigmoid, logistic._sigmoid)
_backward(logistic.sigmoid_backward, logistic._sigmoid_backward, "y")
_forward(logistic.tanh, logistic._tanh)
_backward(logistic.tanh_backward, logistic._tanh_backward, "y")
_forward(smooth.silu, smooth._silu)
_backward(smooth.silu_backward, smooth._silu_backward, "x")
_forward(smooth.mish, smooth._mish)
_backward(smooth.mish_backward, smooth._mish_backward, "x")
_forward(error_function.erf, error_function._erf)
_backward(error_function.erf_backward, error_function._erf_backward, "x")
_forward(error_function.erfc, error_function._erfc)
_backward(error_function.erfc_backward, error_function._erfc_backward, "x")
_forward(elementary.expm1, elementary._expm1)
_backward(elementary.expm1_backward, elementary._expm1_backward, "y")
_forward(elementary.log1p, elementary._log1p)
_backward(elementary.log1p_backward, elementary._log1p_backward, "x")
_forward(elementary.rsqrt, elementary._rsqrt)
_backward(elementary.rsqrt_backward, elementary._rsqrt_backward, "y")
_forward(factorial.lgamma, factorial._lgamma_loops)
_backward(factorial.lgamma_backward, factorial._lgamma_backward, "x")
_forward(factorial.digamma, factorial._digamma_loops)
_backward(factorial.digamma_backward, factorial._digamma_backward, "x")

# --- with checks of their parameters ---------------------------------------------------------------------------------


@_check
def _in_order(operation, min_val, max_val):
    """`rectified._bounds`"""
    message = f"{text_of('operation', operation)}: min_val must not exceed max_val: they are {{}} and {{}}"

    def code(operation, min_val, max_val):
        if not min_val <= max_val:
            raise Value(message, min_val, max_val)
        return float(min_val), float(max_val)

    return code


@_check
def _nonzero(operation, alpha):
    """`exponential_linear._nonzero`"""
    message = f"{text_of('operation', operation)}: alpha must not be 0"

    def code(operation, alpha):
        if alpha == 0:
            raise ValueError(message)
        return float(alpha)

    return code


bounded = _forward_of("hardtanh", rectified._hardtanh)
bounded_backward = _backward_of("hardtanh_backward", rectified._hardtanh_backward, "x")
continuous = _forward_of("celu", exponential_linear._celu)
continuous_backward = _backward_of("celu_backward", exponential_linear._celu_backward, "x")
exact, tanh_form = _forward_of("gelu", smooth._gelu), _forward_of("gelu", smooth._gelu_tanh, "gelu_tanh")
exact_backward = _backward_of("gelu_backward", smooth._gelu_backward, "x")
tanh_form_backward = _backward_of("gelu_backward", smooth._gelu_tanh_backward, "x", "gelu_tanh_backward")


@in_njit(rectified.hardtanh)
def _hardtanh(x, min_val, max_val, out):
    return bounded(x, _in_order("hardtanh", min_val, max_val), out)


@in_njit(rectified.hardtanh_backward)
def _hardtanh_backward(dy, x, min_val, max_val):
    return bounded_backward(dy, x, _in_order("hardtanh_backward", min_val, max_val))


@in_njit(exponential_linear.celu)
def _celu(x, alpha, out):
    return continuous(x, (_nonzero("celu", alpha),), out)


@in_njit(exponential_linear.celu_backward)
def _celu_backward(dy, x, alpha):
    return continuous_backward(dy, x, (_nonzero("celu_backward", alpha),))


@_check
def _form_of_gelu(approximate, x, out):
    chosen = tanh_form if getattr(approximate, "literal_value", None) == "tanh" else exact
    return lambda approximate, x, out: chosen(x, (), out)


@_check
def _form_of_gelu_backward(approximate, dy, x):
    chosen = tanh_form_backward if getattr(approximate, "literal_value", None) == "tanh" else exact_backward
    return lambda approximate, dy, x: chosen(dy, x, ())


@in_njit(smooth.gelu)
def _gelu(x, approximate, out):
    choice("gelu", "approximate", approximate, ("none", "tanh"))
    return _form_of_gelu(approximate, x, out)


@in_njit(smooth.gelu_backward)
def _gelu_backward(dy, x, approximate):
    choice("gelu_backward", "approximate", approximate, ("none", "tanh"))
    return _form_of_gelu_backward(approximate, dy, x)


# --- glu -------------------------------------------------------------------------------------------------------------

glu_loops, glu_parallel = by_address(gated.glu_loops), by_address(gated._glu_parallel)
glu_backward_loops = by_address(gated._glu_backward)


@_check
def _halves(operation, x, dim):
    """`gated._halves`"""
    operation = text_of("operation", operation)
    if x.ndim == 0:
        no_dimension = f"{operation}: x must have at least 1 dimension"

        def refused(operation, x, dim):
            if failed():
                raise ValueError(no_dimension)
            return (), (0, 2, 0)

        return refused
    odd = f"{operation}: dimension {{}} of x must be even, got {{}}"

    def code(operation, x, dim):
        axis = axis_of(operation, dim, x.ndim)
        if x.shape[axis] % 2:
            raise Value(odd, axis, x.shape[axis])
        shape = replaced(x.shape, axis, x.shape[axis] // 2)
        return shape, (product(shape, 0, axis), 2, product(shape, axis, x.ndim))

    return code


@in_njit(gated.glu)
def _glu(x, dim, out):
    x = floats("glu", "x", x)
    shape, halves = _halves("glu", x, dim)
    result = output("glu", "out", out, shape, x)
    no_overlap("glu", out, "x", x)
    outer, _, inner = halves
    threads = threads_for(x.size, 0)
    if threads == 1:
        glu_loops(x.reshape(halves), result.reshape((outer, inner)))
    else:
        glu_parallel(x.reshape(halves), result.reshape((outer, inner)), threads)
    return result


@in_njit(gated.glu_backward)
def _glu_backward(dy, x, dim):
    given, x = floats("glu_backward", "dy", dy), floats("glu_backward", "x", x)
    same_dtype("glu_backward", "dy", given, "x", x)
    dy = like(given, x)
    shape, halves = _halves("glu_backward", x, dim)
    expect_shape("glu_backward", "dy", dy, shape)
    dx = np.empty(x.shape, x.dtype)
    outer, _, inner = halves
    glu_backward_loops(dy.reshape((outer, inner)), x.reshape(halves), dx.reshape(halves), threads_for(x.size, 0))
    return dx


# --- prelu -----------------------------------------------------------------------------------------------------------

prelu_loops, prelu_parallel = by_address(parametric.prelu_loops), by_address(parametric._prelu_parallel)
prelu_backward_loops = by_address(parametric._prelu_backward)
number_of_sums = parametric._number_of_sums


@_check
def _channels(operation, x, weight):
    """`parametric._channels`, for a validated weight of any number of dimensions."""
    rule = "weight must have one element or one for each channel of axis 1"
    message, ndim = f"{text_of('operation', operation)}: {rule}: it is {{}}, x is {{}}", weight.ndim

    def code(operation, x, weight):
        N, C = _samples_and_channels(x)
        if (ndim > 1 and failed()) or (weight.size != 1 and weight.size != C):
            raise Value(message, weight.shape, x.shape)
        if weight.size == 1:
            return weight.reshape(-1), (1, 1, x.size)
        return weight.reshape(-1), (N, C, product(x.shape, 2, x.ndim))

    return code


@_check
def _samples_and_channels(x):
    if x.ndim == 0:
        return lambda x: (1, 1)
    if x.ndim == 1:
        return lambda x: (x.shape[0], 1)
    return lambda x: (x.shape[0], x.shape[1])


@in_njit(parametric.prelu)
def _prelu(x, weight, out):
    x, given = floats("prelu", "x", x), floats("prelu", "weight", weight)
    same_dtype("prelu", "x", x, "weight", given)
    each, shape = _channels("prelu", x, like(given, x))
    result = output("prelu", "out", out, x.shape, x)
    same_or_apart("prelu", out, "x", x)
    no_overlap("prelu", out, "weight", each)
    threads = threads_for(x.size, 0)
    if threads == 1:
        prelu_loops(x.reshape(shape), each, result.reshape(shape))
    else:
        prelu_parallel(x.reshape(shape), each, result.reshape(shape), threads)
    return result


@in_njit(parametric.prelu_backward)
def _prelu_backward(dy, x, weight):
    operation = "prelu_backward"
    dy, given_x = floats(operation, "dy", dy), floats(operation, "x", x)
    same_dtype(operation, "dy", dy, "x", given_x)
    same_shape(operation, "dy", dy, "x", given_x)
    x, given = like(given_x, dy), floats(operation, "weight", weight)
    same_dtype(operation, "x", x, "weight", given)
    each, shape = _channels(operation, x, like(given, x))
    dx, dweight, view = np.empty(x.shape, x.dtype), np.empty(given.shape, x.dtype), x.reshape(shape)
    sums = np.empty(number_of_sums(view, each), x.dtype)
    threads = threads_for(x.size, 0)
    prelu_backward_loops(dy.reshape(shape), view, each, dx.reshape(shape), dweight.reshape(-1), sums, threads)
    return dx, dweight
