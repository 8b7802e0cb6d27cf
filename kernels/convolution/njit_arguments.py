"""Checks of the arguments of convolutions in jitted code: those of `arguments` and `geometry`, with the same errors."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit_checks import like as _like
from kernels._njit_checks import no_overlap, output
from kernels._njit_errors import Kind, Value, _check, failed, text_of
from kernels._njit_sizes import product, replaced
from kernels.convolution.arguments import MAX_BYTES
from kernels.convolution.driver import WINOGRAD
from kernels.convolution.njit_planning import fits_winograd

# --- arrays ----------------------------------------------------------------------------------------------------------


@_check
def batch_shape(operation, name, x, rank):
    """The shape of an array of images, with a batch axis."""
    operation, name, rank = text_of("operation", operation), text_of("name", name), rank.literal_value
    if x.ndim == rank + 2:
        return lambda operation, name, x, rank: x.shape
    if x.ndim == rank + 1:
        return lambda operation, name, x, rank: (1, *x.shape)
    return _other_rank(
        f"{operation}: {name} must have {rank + 2} dimensions, or {rank + 1} without a batch, got {{}}", rank
    )


@_check
def weight_shape(operation, name, x, rank):
    """The shape of the weight."""
    operation, name, rank = text_of("operation", operation), text_of("name", name), rank.literal_value
    if x.ndim == rank + 2:
        return lambda operation, name, x, rank: x.shape
    return _other_rank(f"{operation}: {name} must have {rank + 2} dimensions, got {{}}", rank)


def _other_rank(message, dims):
    nothing = (0,) * (dims + 2)

    def code(operation, name, x, rank):
        if failed():
            raise Value(message, x.shape)
        return nothing

    return code


@_check
def same_rank(operation, name_a, a, name_b, b):
    """ValueError unless both arrays have a batch axis or none."""
    if a.ndim == b.ndim:
        return lambda operation, name_a, a, name_b, b: None
    message = (
        f"{text_of('operation', operation)}: either all arrays have a batch axis or none: "
        f"{text_of('name', name_a)} is {{}}, {text_of('name', name_b)} is {{}}"
    )

    def code(operation, name_a, a, name_b, b):
        raise Value(message, a.shape, b.shape)

    return code


@_check
def like_batch(shape, x):
    """A shape with a batch axis as that of an array which has one as `x` has."""
    if x.ndim == len(shape):
        return lambda shape, x: shape
    return lambda shape, x: shape[1:]


@jit
def check_channels(operation, channels, weight, groups, expected):
    """ValueError unless x has the `expected` channels that weight needs, and groups divide the weight's first axis."""
    if weight[0] % groups:
        raise Value("{}: weight {} must have a multiple of groups {} in front", operation, weight, groups)
    if channels != expected:
        raise Value(
            "{}: weight {} with groups {} needs {} channels, x has {}", operation, weight, groups, expected, channels
        )


@_check
def check_bias(operation, bias, M):
    """ValueError unless bias is None or has one element an output channel."""
    if isinstance(bias, types.NoneType):
        return lambda operation, bias, M: None
    message = f"{text_of('operation', operation)}: bias must have shape {{}}, got {{}}"
    if bias.ndim != 1:

        def other_rank(operation, bias, M):
            raise Value(message, (M,), bias.shape)

        return other_rank

    def code(operation, bias, M):
        if bias.shape[0] != M:
            raise Value(message, (M,), bias.shape)

    return code


@_check
def no_overlap_with(operation, out, name, x):
    """`no_overlap`, of None too."""
    if isinstance(x, types.NoneType):
        return lambda operation, out, name, x: None
    return lambda operation, out, name, x: no_overlap(operation, out, name, x)


@_check
def shape_if(needed, shape):
    """The shape of an array, one of no element where it is not needed."""
    nothing = (0,) * len(shape)
    return lambda needed, shape: shape if needed else nothing


@jit
def check_gradient(operation, dy, shape):
    """ValueError unless dy has the result's shape."""
    if dy != shape:
        raise Value("{}: dy must have shape {}, got {}", operation, shape, dy)


@_check
def flat_bias(bias, like):
    """The bias, of size 0 for None, as an array of the dtype of `like`."""
    if isinstance(bias, types.NoneType):
        return lambda bias, like: np.empty(0, like.dtype)
    return lambda bias, like: _like(bias, like).reshape(-1)


@_check
def check_algorithm(operation, algorithm, of, kernel, stride):
    """ValueError where Winograd's algorithm is asked for anything but 3 x 3 taps with stride 1."""
    word = getattr(algorithm, "literal_value", None)
    if word not in WINOGRAD:
        return lambda operation, algorithm, of, kernel, stride: None
    message = (
        f"{text_of('operation', operation)}: algorithm {word!r} needs 3 x 3 taps and stride 1, got a kernel of {{}}, "
        "stride {}"
    )

    def code(operation, algorithm, of, kernel, stride):
        if not fits_winograd(of):
            raise Value(message, kernel, stride)

    return code


@_check
def result_of(operation, out, shape, like):
    """The array of the result, of a shape with a batch axis, which it has if `like` has."""
    message = f"{text_of('operation', operation)}: the result would have shape {{}}, which is too large"

    def code(operation, out, shape, like):
        if product(shape, 0, len(shape)) * like.itemsize >= MAX_BYTES:
            raise Value(message, shape)
        return output(operation, "out", out, like_batch(shape, like), like)

    return code


# --- numbers ---------------------------------------------------------------------------------------------------------


def _is_int(kind):
    return isinstance(types.unliteral(kind), types.Integer)


@_check
def positive_int(operation, name, value):
    """`value` as an int of at least 1."""
    head = f"{text_of('operation', operation)}: {text_of('name', name)}"
    if not _is_int(value):
        no_int = f"{head} must be an int, got {{!r}}"

        def refused(operation, name, value):
            if failed():
                raise Kind(no_int, value)
            return np.int64(1)

        return refused
    too_small = f"{head} must be at least 1, got {{}}"

    def code(operation, name, value):
        if value < 1:
            raise Value(too_small, value)
        return np.int64(value)

    return code


@_check
def per_axis(operation, name, value, rank, minimum):
    """One int an axis from an int or a tuple of them; ValueError where one is less than `minimum`."""
    head = f"{text_of('operation', operation)}: {text_of('name', name)} must be "
    axes, minimum = rank.literal_value, minimum.literal_value
    ones, single = (1,) * axes, _is_int(value)
    kind, length = Value, f"{head}{axes} ints of at least {minimum}, got {{!r}}"
    message = length
    if not single and not (isinstance(value, types.BaseTuple) and all(map(_is_int, value))):
        kind, message = Kind, f"{head}an int or a tuple of {axes} ints, got {{!r}}"
    if kind is Kind or not (single or len(value) in (1, axes)):

        def refused(operation, name, value, rank, minimum):
            if failed():
                raise kind(message, value)
            return ones

        return refused

    def from_one(operation, name, value, rank, minimum):
        if value < minimum:
            raise Value(message, value)
        values = ones
        for axis in range(axes):
            values = replaced(values, axis, value)
        return values

    def from_tuple(operation, name, value, rank, minimum):
        values = ones
        for axis in range(axes):
            n = value[min(axis, len(value) - 1)]
            if n < minimum:
                raise Value(message, value)
            values = replaced(values, axis, n)
        return values

    return from_one if single else from_tuple
