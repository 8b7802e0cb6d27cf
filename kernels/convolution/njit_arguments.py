"""Checks of the arguments of convolutions in jitted code: those of `arguments` and `geometry`, with the same errors."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address
from kernels._njit_checks import Kind, Value, _check, failed, floats, no_overlap, output, product, replaced, text_of
from kernels._njit_checks import like as _like
from kernels.convolution.arguments import MAX_BYTES
from kernels.convolution.driver import WINOGRAD
from kernels.convolution.geometry import Geometry, join_rows
from kernels.convolution.njit_planning import fits_winograd

# --- arrays ----------------------------------------------------------------------------------------------------------


@_check
def optional_floats(operation, name, x):
    """`floats`; None stays None."""
    if isinstance(x, types.NoneType):
        return lambda operation, name, x: None
    return lambda operation, name, x: floats(operation, name, x)


@_check
def same_dtypes(operation, names, arrays):
    """TypeError unless all arrays of a tuple, some of which may be None, have one dtype."""
    found = [(name.literal_value, x.dtype) for name, x in zip(names, arrays, strict=True) if x != types.none]
    if len({dtype for _, dtype in found}) == 1:
        return lambda operation, names, arrays: None
    listed = ", ".join(f"{name} is {dtype}" for name, dtype in found)
    message = f"{text_of('operation', operation)}: dtypes differ: {listed}"

    def code(operation, names, arrays):
        raise TypeError(message)

    return code


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


@_check
def _three(values, missing):
    """Numbers for three axes from those for the last ones."""
    if len(values) == 3:
        return lambda values, missing: values
    if len(values) == 2:
        return lambda values, missing: (missing, values[0], values[1])
    return lambda values, missing: (missing, missing, values[0])


@jit
def _joined(sizes, kernel, stride, padding, dilation, outputs):
    """The geometry of these numbers along three axes."""
    a, b, c = join_rows(
        (sizes[0], kernel[0], stride[0], padding[0], dilation[0], outputs[0]),
        (sizes[1], kernel[1], stride[1], padding[1], dilation[1], outputs[1]),
        (sizes[2], kernel[2], stride[2], padding[2], dilation[2], outputs[2]),
    )
    return Geometry(
        (a[0], b[0], c[0]),
        (a[1], b[1], c[1]),
        (a[2], b[2], c[2]),
        (a[3], b[3], c[3]),
        (a[4], b[4], c[4]),
        (a[5], b[5], c[5]),
    )


joined = by_address(_joined, "geometry")


@jit
def _smallest(numbers):
    least = numbers[0]
    for n in numbers:
        least = min(least, n)
    return least


@_check
def _zeros_around(operation, padding, stride, reach):
    """How many zeros are before the first element along each axis, and how many at both ends."""
    operation, rank = text_of("operation", operation), len(reach)
    if isinstance(padding, types.StringLiteral):
        word, nothing = padding.literal_value, (0,) * rank
        if word not in ("same", "valid"):
            unknown = f"{operation}: padding must be ints, 'same' or 'valid', got {word!r}"

            def refused(operation, padding, stride, reach):
                if failed():
                    raise ValueError(unknown)
                return nothing, nothing

            return refused
        if word == "valid":
            return lambda operation, padding, stride, reach: (nothing, nothing)
        with_stride = f"{operation}: padding 'same' needs stride 1, got {{}}"

        def same(operation, padding, stride, reach):
            before = nothing
            for axis in range(rank):
                if stride[axis] > 1:
                    raise Value(with_stride, stride)
                before = replaced(before, axis, reach[axis] // 2)
            return before, reach

        return same

    def code(operation, padding, stride, reach):
        before = both = per_axis(operation, "padding", padding, rank, 0)
        for axis in range(rank):
            both = replaced(both, axis, 2 * before[axis])
        return before, both

    return code


@_check
def convolution(operation, sizes, kernel, stride, padding, dilation):
    """The geometry of a convolution over `sizes`, and the sizes of its result."""
    head, rank = text_of("operation", operation), len(sizes)
    no_taps = f"{head}: weight must have at least one tap an axis, got a kernel of {{}}"
    too_large = f"{head}: the kernel spans {{}}, more than the padded input {{}}"

    def code(operation, sizes, kernel, stride, padding, dilation):
        stride = per_axis(operation, "stride", stride, rank, 1)
        dilation = per_axis(operation, "dilation", dilation, rank, 1)
        if _smallest(kernel) < 1:
            raise Value(no_taps, kernel)
        reach = needed = padded = outputs = kernel
        for axis in range(rank):
            reach = replaced(reach, axis, dilation[axis] * (kernel[axis] - 1))
        before, both = _zeros_around(operation, padding, stride, reach)
        for axis in range(rank):
            padded = replaced(padded, axis, sizes[axis] + both[axis])
            needed = replaced(needed, axis, reach[axis] + 1)
            outputs = replaced(outputs, axis, (padded[axis] - needed[axis]) // stride[axis] + 1)
        if _smallest(outputs) < 1:
            raise Value(too_large, needed, padded)
        axes = joined(
            _three(sizes, 1),
            _three(kernel, 1),
            _three(stride, 1),
            _three(before, 0),
            _three(dilation, 1),
            _three(outputs, 1),
        )
        return axes, outputs

    return code


@_check
def transposed(operation, outputs, kernel, stride, padding, output_padding, dilation):
    """The geometry of the convolution whose gradient with respect to x is the transposed convolution over `outputs`,
    and the sizes of its result."""
    head, rank = text_of("operation", operation), len(outputs)
    no_taps = f"{head}: weight must have at least one tap an axis, got a kernel of {{}}"
    too_many = f"{head}: output_padding must be less than stride or dilation, got {{}}, stride {{}}, dilation {{}}"
    too_small = f"{head}: the output would have size {{}}: padding {{}} is too large for input {{}} and kernel {{}}"

    def code(operation, outputs, kernel, stride, padding, output_padding, dilation):
        stride = per_axis(operation, "stride", stride, rank, 1)
        dilation = per_axis(operation, "dilation", dilation, rank, 1)
        padding = per_axis(operation, "padding", padding, rank, 0)
        more = per_axis(operation, "output_padding", output_padding, rank, 0)
        if _smallest(kernel) < 1:
            raise Value(no_taps, kernel)
        sizes = outputs
        for axis in range(rank):
            if more[axis] >= max(stride[axis], dilation[axis]):
                raise Value(too_many, more, stride, dilation)
            reach = dilation[axis] * (kernel[axis] - 1)
            n = (outputs[axis] - 1) * stride[axis] - 2 * padding[axis] + reach + more[axis] + 1
            sizes = replaced(sizes, axis, n)
        if _smallest(sizes) < 1:
            raise Value(too_small, sizes, padding, outputs, kernel)
        axes = joined(
            _three(sizes, 1),
            _three(kernel, 1),
            _three(stride, 1),
            _three(padding, 0),
            _three(dilation, 1),
            _three(outputs, 1),
        )
        return axes, sizes

    return code
