"""Arguments of what moves elements along a dimension, in jitted code: what `operands` does."""

import numpy as np
from numba import types
from numpy.lib.stride_tricks import as_strided

from kernels._njit_checks import _array, indices, output, same_dtype
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_operands import apart
from kernels._njit_sizes import product, replaced
from kernels.simd import address

_BITS = {types.boolean: np.uint8, types.float32: np.int32, types.float64: np.int64}


@_check
def array(operation, name, x):
    """`x` as a C-contiguous array of one of the dtypes that are moved."""
    allowed = types.float32, types.float64, types.int64, types.int32, types.boolean
    return _array(operation, name, x, allowed, "float32, float64, int64, int32 or bool")


@_check
def at_least_1d(x):
    """A 0-d array as one of one element."""
    return (lambda x: x) if x.ndim else (lambda x: x.reshape(1))


@_check
def bits(x):
    """The flat elements as integers of their size."""
    dtype = _BITS.get(x.dtype)
    return (lambda x: x.reshape(-1)) if dtype is None else (lambda x: x.reshape(-1).view(dtype))


@_check
def flat(x):
    """The flat elements as what they are computed with: bool as uint8."""
    return (lambda x: x.reshape(-1).view(np.uint8)) if x.dtype == types.boolean else (lambda x: x.reshape(-1))


@_check
def sizes(shape, dim, m):
    """The Sizes of an array of `shape` whose dimension `dim` is indexed by m indices, as a tuple."""

    def code(shape, dim, m):
        return product(shape, 0, dim), shape[dim], m, product(shape, dim + 1, len(shape))

    return code


@_check
def is_covered(operation, shape, dim, index):
    """Whether the index covers the whole of an array of `shape`; ValueError unless it has as many dimensions and is not
    longer in any but `dim`."""
    if index.ndim != len(shape):
        other_rank = f"{operation.literal_value}: index must have {len(shape)} dimensions as x, got shape {{}}"

        def refused(operation, shape, dim, index):
            if failed():
                raise Value(other_rank, index.shape)
            return True

        return refused
    longer = f"{operation.literal_value}: index must not be larger than x but in dim {{}}: index is {{}}, x {{}}"

    def code(operation, shape, dim, index):
        whole = True
        for axis in range(len(shape)):
            if axis != dim:
                if index.shape[axis] > shape[axis]:
                    raise Value(longer, dim, index.shape, shape)
                whole &= index.shape[axis] == shape[axis]
        return whole

    return code


@_check
def corner(x, shape):
    """The first elements of `x` in each dimension, a view of `shape`."""
    return lambda x, shape: as_strided(x, shape, x.strides)


@_check
def covered_shape(shape, dim, index):
    """The shape of what the index covers."""
    if index.ndim != len(shape):
        return lambda shape, dim, index: shape
    return lambda shape, dim, index: replaced(index.shape, dim, shape[dim])


@_check
def vector(operation, index):
    """A one-dimensional index whose contents are from 0 to number - 1."""
    message = f"{text_of('operation', operation)}: index must have 1 dimension, got shape {{}}"
    if getattr(index, "ndim", 1) > 1:

        def refused(operation, index):
            given = indices(operation, "index", index)
            if failed():
                raise Value(message, given.shape)
            return given.reshape(-1)

        return refused

    return lambda operation, index: at_least_1d(indices(operation, "index", index))


@_check
def source(operation, src, x, index):
    """An array or a number as an array of the dtype of `x`, cut to the shape of the index, or of one element."""
    if isinstance(src, (types.Number, types.Boolean)):
        return lambda operation, src, x, index: one(src, x)
    if getattr(src, "ndim", index.ndim) != index.ndim and not (src.ndim == 0 and index.ndim == 1):
        wrong = _too_long(operation)

        def refused(operation, src, x, index):
            given = at_least_1d(array(operation, "src", src))
            same_dtype(operation, "x", x, "src", given)
            if failed():
                raise Value(wrong, index.shape, given.shape)
            return x.reshape(-1)

        return refused
    longer = _too_long(operation)

    def code(operation, src, x, index):
        given = at_least_1d(array(operation, "src", src))
        same_dtype(operation, "x", x, "src", given)
        for axis in range(index.ndim):
            if index.shape[axis] > given.shape[axis]:
                raise Value(longer, index.shape, given.shape)
        cut = given if given.shape == index.shape else corner(given, index.shape).copy()
        return _as(cut.reshape(-1), x)

    return code


def _too_long(operation):
    return f"{operation.literal_value}: index must not be larger than src: index is {{}}, src {{}}"


@_check
def _as(values, x):
    """What has been refused already, with the dtype of x."""
    if values.dtype == x.dtype:
        return lambda values, x: values
    return lambda values, x: x.reshape(-1)


@_check
def one(value, x):
    """An array of one element of the dtype of x."""
    dtype = x.dtype
    if dtype == types.boolean:

        def of_bool(value, x):
            values = np.empty(1, np.bool_)
            values[0] = value != 0
            return values

        return of_bool

    def code(value, x):
        values = np.empty(1, x.dtype)
        values[0] = value
        return values

    return code


@_check
def target(operation, out, x, index, src):
    """The array that receives the result, and from where its first values are copied: nowhere if it is `x` itself."""
    if isinstance(out, types.NoneType):
        return lambda operation, out, x, index, src: (output(operation, "out", out, x.shape, x), x.reshape(-1))
    name = "source" if operation.literal_value == "index_add" else "src"
    is_array = isinstance(src, types.Array)

    def code(operation, out, x, index, src):
        result = output(operation, "out", out, x.shape, x)
        apart(operation, result, "index", index)
        if is_array:
            _apart_from(operation, result, name, src)
        if address(result) == address(x):
            return result, x.reshape(-1)[:0]
        apart(operation, result, "x", x)
        return result, x.reshape(-1)

    return code


@_check
def _apart_from(operation, result, name, src):
    if not isinstance(src, types.Array) or src.ndim == 0:
        return lambda operation, result, name, src: None
    return lambda operation, result, name, src: apart(operation, result, name, src)
