"""The convolutions in jitted code."""

import numpy as np

from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_checks import floats, like, no_overlap, optional_floats, same_dtypes
from kernels._njit_sizes import choice
from kernels.convolution import functions, transposed
from kernels.convolution import njit_arguments as arguments
from kernels.convolution import njit_geometry as geometry
from kernels.convolution.njit_arguments import positive_int, shape_if
from kernels.convolution.njit_driver import CHOSEN, correlate, differentiate, gather, sum_planes
from kernels.convolution.njit_planning import forward_plan
from kernels.convolution.plan import Shape

# --- forward ---------------------------------------------------------------------------------------------------------


def _forward(operation, rank):
    """The arguments of a convolution or a transposed one: the arrays flat, their shapes, and groups."""

    @jit
    def operands(x, weight, bias, groups):
        x, weight = floats(operation, "x", x), floats(operation, "weight", weight)
        bias = optional_floats(operation, "bias", bias)
        same_dtypes(operation, ("x", "weight", "bias"), (x, weight, bias))
        sizes = arguments.batch_shape(operation, "x", x, rank)
        kernel = arguments.weight_shape(operation, "weight", weight, rank)
        groups = positive_int(operation, "groups", groups)
        return (x, like(weight, x), bias), sizes, kernel, groups

    return operands


def _convolution(public, rank):
    operation = public.__name__
    operands = _forward(operation, rank)

    @in_njit(public)
    def entry(x, weight, bias, stride, padding, dilation, groups, activation, algorithm, out):
        (x, weight, bias), sizes, kernel, groups = operands(x, weight, bias, groups)
        arguments.check_channels(operation, sizes[1], kernel, groups, kernel[1] * groups)
        arguments.check_bias(operation, bias, kernel[0])
        relu = choice(operation, "activation", activation, (None, "relu")) == 1
        number = choice(operation, "algorithm", algorithm, (None, "direct", "winograd2", "winograd4"))
        axes, outputs = geometry.convolution(operation, sizes[2:], kernel[2:], stride, padding, dilation)
        y = arguments.result_of(operation, out, (sizes[0], kernel[0], *outputs), x)
        no_overlap(operation, out, "x", x)
        no_overlap(operation, out, "weight", weight)
        arguments.no_overlap_with(operation, out, "bias", bias)
        of, shape = forward_plan(axes), Shape(sizes[0], groups, kernel[1], kernel[0] // groups)
        arguments.check_algorithm(operation, algorithm, of, kernel[2:], axes.stride)
        flat = x.reshape(-1), weight.reshape(-1), arguments.flat_bias(bias, x)
        correlate(*flat, relu, y.reshape(-1), of, shape, number)
        return y


def _transposed(public, rank):
    operation = public.__name__
    operands = _forward(operation, rank)

    @in_njit(public)
    def entry(x, weight, bias, stride, padding, output_padding, groups, dilation):
        (x, weight, bias), sizes, kernel, groups = operands(x, weight, bias, groups)
        M = kernel[1] * groups
        arguments.check_channels(operation, sizes[1], kernel, groups, kernel[0])
        arguments.check_bias(operation, bias, M)
        axes, outputs = geometry.transposed(operation, sizes[2:], kernel[2:], stride, padding, output_padding, dilation)
        y = arguments.result_of(operation, None, (sizes[0], M, *outputs), x)
        shape = Shape(sizes[0], groups, kernel[1], kernel[0] // groups)
        flat = x.reshape(-1), weight.reshape(-1), arguments.flat_bias(bias, x)
        gather(*flat, y.reshape(-1), axes, shape)
        return y


# --- backward --------------------------------------------------------------------------------------------------------


def _backward(operation, rank):
    """The arguments of a gradient, and what is returned."""

    @jit
    def operands(dy, x, weight, groups):
        dy, x = floats(operation, "dy", dy), floats(operation, "x", x)
        weight = floats(operation, "weight", weight)
        same_dtypes(operation, ("dy", "x", "weight"), (dy, x, weight))
        of_dy = arguments.batch_shape(operation, "dy", dy, rank)
        sizes = arguments.batch_shape(operation, "x", x, rank)
        kernel = arguments.weight_shape(operation, "weight", weight, rank)
        arguments.same_rank(operation, "dy", dy, "x", x)
        groups = positive_int(operation, "groups", groups)
        return (dy, like(x, dy), like(weight, dy)), of_dy, sizes, kernel, groups

    return operands


@jit
def _empty_gradients(x, weight, channels, needs):
    """Memory for the gradients, of size 0 for those that are not needed."""
    dx, dweight = shape_if(needs[0], x.shape), shape_if(needs[1], weight.shape)
    return np.empty(dx, x.dtype), np.empty(dweight, x.dtype), np.empty(channels if needs[2] else 0, x.dtype)


def _convolution_backward(public, rank):
    operation = public.__name__
    operands = _backward(operation, rank)

    @in_njit(public)
    def entry(dy, x, weight, stride, padding, dilation, groups, needs):
        (dy, x, weight), of_dy, sizes, kernel, groups = operands(dy, x, weight, groups)
        M = kernel[0]
        arguments.check_channels(operation, sizes[1], kernel, groups, kernel[1] * groups)
        axes, outputs = geometry.convolution(operation, sizes[2:], kernel[2:], stride, padding, dilation)
        arguments.check_gradient(operation, of_dy, (sizes[0], M, *outputs))
        shape, flat = Shape(sizes[0], groups, kernel[1], M // groups), dy.reshape(-1)
        dx, dweight, dbias = _empty_gradients(x, weight, M, needs)
        if needs[0]:
            gather(flat, weight.reshape(-1), np.empty(0, x.dtype), dx.reshape(-1), axes, shape)
        if needs[1]:
            differentiate(flat, x.reshape(-1), dweight.reshape(-1), axes, shape)
        if needs[2]:
            sum_planes(flat, sizes[0], M, dbias)
        return dx, dweight, dbias


def _transposed_backward(public, rank):
    operation = public.__name__
    operands = _backward(operation, rank)

    @in_njit(public)
    def entry(dy, x, weight, stride, padding, output_padding, groups, dilation, needs):
        (dy, x, weight), of_dy, sizes, kernel, groups = operands(dy, x, weight, groups)
        M = kernel[1] * groups
        arguments.check_channels(operation, sizes[1], kernel, groups, kernel[0])
        axes, outputs = geometry.transposed(operation, sizes[2:], kernel[2:], stride, padding, output_padding, dilation)
        arguments.check_gradient(operation, of_dy, (sizes[0], M, *outputs))
        shape, flat = Shape(sizes[0], groups, kernel[1], kernel[0] // groups), dy.reshape(-1)
        dx, dweight, dbias = _empty_gradients(x, weight, M, needs)
        if needs[0]:
            to = dx.reshape(-1), forward_plan(axes), shape, CHOSEN
            correlate(flat, weight.reshape(-1), np.empty(0, x.dtype), False, *to)
        if needs[1]:
            differentiate(x.reshape(-1), flat, dweight.reshape(-1), axes, shape)
        if needs[2]:
            sum_planes(flat, sizes[0], M, dbias)
        return dx, dweight, dbias


for _rank in (1, 2, 3):
    _convolution(getattr(functions, f"conv{_rank}d"), _rank)
    _convolution_backward(getattr(functions, f"conv{_rank}d_backward"), _rank)
    _transposed(getattr(transposed, f"conv_transpose{_rank}d"), _rank)
    _transposed_backward(getattr(transposed, f"conv_transpose{_rank}d_backward"), _rank)
