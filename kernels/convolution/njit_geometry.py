"""The geometry of convolutions in jitted code: `convolution` and `transposed` of `geometry`, with the same errors."""

from numba import types

from kernels._jit import jit
from kernels._njit import by_address
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_sizes import replaced
from kernels.convolution.geometry import Geometry, join_rows
from kernels.convolution.njit_arguments import per_axis


@_check
def _three(values, missing):
    """Numbers for three axes from those for the last ones."""
    if len(values) == 3:
        return lambda values, missing: values
    if len(values) == 2:
        return lambda values, missing: (missing, *values)
    return lambda values, missing: (missing, missing, *values)


@jit
def _joined(sizes, kernel, stride, padding, dilation, outputs):
    """The geometry of these numbers along three axes."""
    axes = join_rows(
        (sizes[0], kernel[0], stride[0], padding[0], dilation[0], outputs[0]),
        (sizes[1], kernel[1], stride[1], padding[1], dilation[1], outputs[1]),
        (sizes[2], kernel[2], stride[2], padding[2], dilation[2], outputs[2]),
    )
    depth, height, width = axes
    size_d, taps_d, step_d, zeros_d, apart_d, outs_d = depth
    size_h, taps_h, step_h, zeros_h, apart_h, outs_h = height
    size_w, taps_w, step_w, zeros_w, apart_w, outs_w = width
    return Geometry(
        (size_d, size_h, size_w),
        (taps_d, taps_h, taps_w),
        (step_d, step_h, step_w),
        (zeros_d, zeros_h, zeros_w),
        (apart_d, apart_h, apart_w),
        (outs_d, outs_h, outs_w),
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
