"""Arrays for the entries of `_njit`: operands of any strides, and checks that return an array of the right rank.

A check whose error is known from the types returns something of the right type behind it, so that Numba can type what
follows.
"""

import numpy as np
from numba import types
from numba.core.imputils import impl_ret_borrowed
from numpy.lib.stride_tricks import as_strided

from kernels._njit_checks import FLOATS, _as_plain, _refused, is_contiguous
from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._njit_sizes import product, replaced
from kernels._plain import intrinsic
from kernels.simd import address


@intrinsic
def any_layout(typingctx, x):
    """An array as one of any strides, and writable, so that its callees are not compiled for each kind of array."""

    def lower(context, builder, signature, values):
        return impl_ret_borrowed(context, builder, signature.return_type, values[0])

    return types.Array(x.dtype, x.ndim, "A")(x), lower


@_check
def array_of_any_dtype(operation, name, x):
    """`x`, which must be an array."""
    if isinstance(x, types.Array):
        return lambda operation, name, x: x
    return _refused(
        f"{text_of('operation', operation)}: {text_of('name', name)} must be an array, got {type_name(x)}", 1
    )


@_check
def operand(operation, name, x):
    """`x` as a float32 or float64 array of any strides, but aligned."""
    if not isinstance(x, types.Array):
        return lambda operation, name, x: any_layout(array_of_any_dtype(operation, name, x))
    if x.dtype not in FLOATS:
        head = f"{text_of('operation', operation)}: {text_of('name', name)}"
        return _refused(f"{head} must be float32 or float64, got {type_name(x)}", x.ndim)
    if x.ndim == 0:
        return lambda operation, name, x: any_layout(x)

    def code(operation, name, x):
        steps = address(x)
        for axis in range(x.ndim):
            if x.shape[axis] > 1:
                steps |= x.strides[axis]
        return any_layout(x.copy()) if steps % x.itemsize else any_layout(x)

    return code


@_check
def apart(operation, out, name, x):
    """ValueError where `out`, C-contiguous, shares memory with an input of any strides. It may be None."""
    if isinstance(out, types.NoneType):
        return lambda operation, out, name, x: None
    message = f"{text_of('operation', operation)}: out overlaps {text_of('name', name)}"

    def code(operation, out, name, x):
        first = last = address(x)
        for axis in range(x.ndim):
            step = (x.shape[axis] - 1) * x.strides[axis]
            first, last = first + min(step, 0), last + max(step, 0)
        meet = address(out) < last + x.itemsize and first < address(out) + out.size * out.itemsize
        if meet and x.size and out.size:
            raise ValueError(message)

    return code


@_check
def shaped(operation, name, x, shape):
    """`x`, C-contiguous, which must have that shape."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have shape {{}}, got {{}}"
    if x.ndim == len(shape):

        def code(operation, name, x, shape):
            if x.shape != shape:
                raise Value(message, shape, x.shape)
            return x

        return code

    def other_rank(operation, name, x, shape):
        if failed():
            raise Value(message, shape, x.shape)
        return x.reshape(shape)

    return other_rank


@_check
def at_least_1d(operation, name, x):
    """`x`, C-contiguous, which must not be 0-d."""
    if x.ndim:
        return lambda operation, name, x: x
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have at least 1 dimension, got shape ()"

    def code(operation, name, x):
        if failed():
            raise ValueError(message)
        return x.reshape(1)

    return code


@_check
def matrix(operation, name, x):
    """`x`, C-contiguous, which must have two dimensions."""
    if x.ndim == 2:
        return lambda operation, name, x: x
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have 2 dimensions, got shape {{}}"

    def code(operation, name, x):
        if failed():
            raise Value(message, x.shape)
        return x.reshape((1, x.size))

    return code


@_check
def absent(ndim, like):
    """What stands for a gradient that is not needed: an array of size 0. `ndim` is a literal."""
    shape = (0,) * ndim.literal_value
    return lambda ndim, like: np.empty(shape, like.dtype)


@_check
def merged(x, ones):
    """``x.reshape(-1, …)`` as NumPy does it, strides included, where `ones` is a tuple as long as the result's shape:
    the leading axes become one. A view if they lie in memory as one axis does, else a copy."""
    kept, size = len(ones) - 1, len(ones)
    leading = x.ndim - kept
    if x.ndim == size:
        return lambda x, ones: any_layout(x)

    def code(x, ones):
        shape, strides = replaced(ones, 0, product(x.shape, 0, leading)), ones
        for i in range(kept):
            shape, strides = (
                replaced(shape, 1 + i, x.shape[leading + i]),
                replaced(strides, 1 + i, x.strides[leading + i]),
            )
        if is_contiguous(x):
            return any_layout(_as_plain(x).reshape(shape))
        inner, is_one_axis = -1, True
        for i in range(leading - 1, -1, -1):
            if x.shape[i] != 1:
                if inner < 0:
                    strides = replaced(strides, 0, x.strides[i])
                elif x.strides[i] != x.strides[inner] * x.shape[inner]:
                    is_one_axis = False
                inner = i
        if not is_one_axis:
            return any_layout(x.copy().reshape(shape))
        last = 0
        for i in range(size):
            last = i if shape[i] != 1 else last
        for i in range(kept, -1, -1):  # an axis of one element: as if it were the outermost of those behind it
            if shape[i] == 1:
                strides = replaced(strides, i, strides[last] if i > last else strides[i + 1] * shape[i + 1])
        return any_layout(as_strided(x, shape, strides))

    return code


@_check
def swapped(x):
    """`x` with its last two axes swapped, a view."""
    i, j = x.ndim - 2, x.ndim - 1

    def code(x):
        shape = replaced(replaced(x.shape, i, x.shape[j]), j, x.shape[i])
        strides = replaced(replaced(x.strides, i, x.strides[j]), j, x.strides[i])
        return as_strided(x, shape, strides)

    return code
