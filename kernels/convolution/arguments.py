"""Arguments of the public convolutions: validated, and what is made of them."""

import math
from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels.convolution import geometry, winograd
from kernels.convolution.driver import WINOGRAD
from kernels.gemm.driver import NO_BIAS

MAX_BYTES = 2**47  # more than a process can address


class Window(NamedTuple):
    """How the kernel moves over x, as the caller gave it: ints, tuples, or the name of a padding."""

    stride: object
    padding: object
    dilation: object
    output_padding: object = 0


class Options(NamedTuple):
    """The keyword arguments of a convolution."""

    activation: str | None
    algorithm: str | None
    out: np.ndarray | None


def operands(operation, rank, weight, bias, groups, **arrays):
    """The arrays with a batch axis, weight, bias (of size 0 for None), groups, and whether there was a batch axis."""
    arrays = {name: _checks.floats(operation, name, array) for name, array in arrays.items()}
    weight = _checks.floats(operation, "weight", weight)
    given = {} if bias is None else {"bias": _checks.floats(operation, "bias", bias)}
    _checks.same_dtype(operation, **arrays, weight=weight, **given)
    for name, array in arrays.items():
        if array.ndim not in (rank + 1, rank + 2):
            raise ValueError(
                f"{operation}: {name} must have {rank + 2} dimensions, or {rank + 1} without a batch, got {array.shape}"
            )
    if weight.ndim != rank + 2:
        raise ValueError(f"{operation}: weight must have {rank + 2} dimensions, got {weight.shape}")
    if len({array.ndim for array in arrays.values()}) > 1:
        found = ", ".join(f"{name} is {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{operation}: either all arrays have a batch axis or none: {found}")
    batched = array.ndim == rank + 2
    batches = [array if batched else array[None] for array in arrays.values()]
    bias = given.get("bias", NO_BIAS[weight.dtype])
    return *batches, weight, bias, geometry.positive_int(operation, "groups", groups), batched


def check_channels(operation, x, weight, groups, expected):
    """ValueError unless x has the `expected` channels that weight needs, and groups divide the weight's first axis."""
    if weight.shape[0] % groups:
        raise ValueError(f"{operation}: weight {weight.shape} must have a multiple of groups {groups} in front")
    if x.shape[1] != expected:
        raise ValueError(
            f"{operation}: weight {weight.shape} with groups {groups} needs {expected} channels, x has {x.shape[1]}"
        )


def check_bias(operation, bias, M):
    """ValueError unless bias has one element an output channel."""
    if bias.shape != (M,):
        raise ValueError(f"{operation}: bias must have shape {(M,)}, got {bias.shape}")


def result_of(operation, out, shape, batched, dtype, **inputs):
    """The array of the result, without a batch axis if the input had none."""
    if math.prod(shape) * dtype.itemsize >= MAX_BYTES:
        raise ValueError(f"{operation}: the result would have shape {shape}, which is too large")
    result = _checks.output(operation, out, shape if batched else shape[1:], dtype)
    if out is not None:
        _checks.no_overlap(operation, out, **inputs)
    return result


def geometry_of(operation, x, weight, window):
    """The geometry of a convolution, and the sizes of its result."""
    return geometry.convolution(
        operation, x.shape[2:], weight.shape[2:], window.stride, window.padding, window.dilation
    )


def transposed_geometry_of(operation, x, weight, window):
    """That of the convolution which a transposed one is the gradient of, and the sizes of the result."""
    stride, padding, dilation, output_padding = window
    return geometry.transposed(operation, x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation)


def check_gradient(operation, dy, shape):
    """ValueError unless dy has the result's shape."""
    if dy.shape != shape:
        raise ValueError(f"{operation}: dy must have shape {shape}, got {dy.shape}")


def check_algorithm(operation, algorithm, plan, weight, shape):
    """ValueError where Winograd's algorithm is asked for anything but 3 x 3 taps with stride 1."""
    if algorithm in WINOGRAD and not winograd.fits(plan):
        raise ValueError(
            f"{operation}: algorithm {algorithm!r} needs 3 x 3 taps and stride 1, got a kernel of {weight.shape[2:]}, "
            f"stride {shape.stride}"
        )
