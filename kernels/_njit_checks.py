"""Argument checks for the entries of `_njit`: those of `_checks`, for compiled code, with the same errors.

What is known from the types costs nothing when it is right. A message with values is put together only when the error
arrives in Python: compiled code raises `Value`, `Kind` or `Index` with a template and the values for it. The texts
(operation, name of the argument) are literals.
"""

import numpy as np
from numba import types
from numba.core.imputils import impl_ret_borrowed

from kernels._indices import _first_outside
from kernels._njit_errors import Index, Value, _check, failed, text_of, type_name
from kernels._njit_sizes import _with
from kernels._plain import intrinsic
from kernels.simd import address

FLOATS, WHOLE = (types.float32, types.float64), (types.int64, types.int32)


@intrinsic
def _as_plain(typingctx, x):
    """A C-contiguous array, as one that Numba holds to be so, and writable: kernels do not write to their inputs, and
    would be compiled once more for each kind of array."""

    def lower(context, builder, signature, values):
        return impl_ret_borrowed(context, builder, signature.return_type, values[0])

    return types.Array(x.dtype, x.ndim, "C")(x), lower


@_check
def is_contiguous(x):
    """Whether an array is C-contiguous and aligned."""

    def code(x):
        expected = x.itemsize
        for axis in range(x.ndim - 1, -1, -1):
            if x.shape[axis] != 1 and x.strides[axis] != expected:
                return x.size == 0
            expected *= x.shape[axis]
        return address(x) % x.itemsize == 0

    return code


def _array(operation, name, x, allowed, words, dtype=np.float64):
    """The code of a check of an array's dtype; `dtype` is that of what stands for a refused one."""
    operation, name = text_of("operation", operation), text_of("name", name)
    dtype = np.int64 if allowed is WHOLE else np.float64
    if not isinstance(x, types.Array):
        return _refused(f"{operation}: {name} must be an array, got {type_name(x)}", 1, dtype)
    if x.dtype not in allowed:
        return _refused(f"{operation}: {name} must be {words}, got {type_name(x)}", x.ndim, dtype)
    if x.layout == "C" and x.aligned and x.mutable:
        return lambda operation, name, x: x
    if x.layout == "C" and x.aligned:
        return lambda operation, name, x: _as_plain(x)
    return lambda operation, name, x: _as_plain(x) if is_contiguous(x) else x.copy()


def _refused(message, ndim, dtype=np.float64):
    shape = (0,) * ndim

    def code(operation, name, x):
        if failed():
            raise TypeError(message)
        return np.empty(shape, dtype)  # for the types of what follows

    return code


@_check
def floats(operation, name, x):
    """`x` as a C-contiguous float32 or float64 array."""
    return _array(operation, name, x, FLOATS, "float32 or float64")


@_check
def indices(operation, name, x):
    """`x` as a C-contiguous int64 array."""
    if isinstance(x, types.Array) and x.dtype == types.int32:
        if x.layout == "F":  # which `astype` would keep
            return lambda operation, name, x: x.copy().astype(np.int64)
        return lambda operation, name, x: x.astype(np.int64)
    return _array(operation, name, x, WHOLE, "int64 or int32", np.int64)


@_check
def strided(operation, name, x):
    """`x` as a float32 or float64 array of any strides, typed as such."""
    operation, name = text_of("operation", operation), text_of("name", name)
    if not isinstance(x, types.Array):
        return _refused(f"{operation}: {name} must be an array, got {type_name(x)}", 1)
    if x.dtype not in FLOATS:
        return _refused(f"{operation}: {name} must be float32 or float64, got {type_name(x)}", x.ndim)
    return lambda operation, name, x: x


@_check
def same_dtype(operation, name_a, a, name_b, b):
    """TypeError unless both arrays have one dtype."""
    if a.dtype == b.dtype:
        return lambda operation, name_a, a, name_b, b: None
    message = (
        f"{text_of('operation', operation)}: dtypes differ: {text_of('name', name_a)} is {a.dtype}, "
        f"{text_of('name', name_b)} is {b.dtype}"
    )

    def code(operation, name_a, a, name_b, b):
        raise TypeError(message)

    return code


@_check
def same_dtypes(operation, names, arrays):
    """TypeError unless all arrays of a tuple, some of which may be None, have one dtype; `names` are theirs."""
    each = zip(names, arrays, strict=True)
    found = [(text_of("name", name), x.dtype) for name, x in each if not isinstance(x, types.NoneType)]
    if len({dtype for _, dtype in found}) == 1:
        return lambda operation, names, arrays: None
    listed = ", ".join(f"{name} is {dtype}" for name, dtype in found)
    message = f"{text_of('operation', operation)}: dtypes differ: {listed}"

    def code(operation, names, arrays):
        raise TypeError(message)

    return code


@_check
def optional_floats(operation, name, x):
    """`floats`; None stays None."""
    if isinstance(x, types.NoneType):
        return lambda operation, name, x: None
    return lambda operation, name, x: floats(operation, name, x)


@_check
def like(x, of):
    """`x` with the dtype of the array `of`, so that what follows a failed check has the right types."""
    if x.dtype == of.dtype:
        return lambda x, of: x
    return lambda x, of: x.astype(of.dtype)


@_check
def same_shape(operation, name_a, a, name_b, b):
    """ValueError unless both arrays have one shape."""
    message = (
        f"{text_of('operation', operation)}: shapes differ: {text_of('name', name_a)} is {{}}, "
        f"{text_of('name', name_b)} is {{}}"
    )
    if a.ndim != b.ndim:

        def differs(operation, name_a, a, name_b, b):
            raise Value(message, a.shape, b.shape)

        return differs

    def code(operation, name_a, a, name_b, b):
        if a.shape != b.shape:
            raise Value(message, a.shape, b.shape)

    return code


@_check
def output(operation, name, out, shape, like):
    """The array that receives the result, of `shape` and the dtype of `like`: `out`, or a new one for None."""
    if isinstance(out, types.NoneType):
        return lambda operation, name, out, shape, like: np.empty(shape, like.dtype)
    head = f"{text_of('operation', operation)}: {text_of('name', name)}"
    ndim = len(shape)
    message = None
    if not isinstance(out, types.Array):
        message = f"{head} must be a NumPy array, got {type_name(out)}"
    elif out.dtype != like.dtype:
        message = f"{head} must be {like.dtype}, got {out.dtype}"
    if message is not None:

        def refused(operation, name, out, shape, like):
            if failed():
                raise TypeError(message)
            return np.empty(shape, like.dtype)

        return refused
    wrong_shape, layout = f"{head} must have shape {{}}, got {{}}", f"{head} must be C-contiguous and aligned, "
    layout += "its strides are {}"
    if out.ndim != ndim:

        def other_rank(operation, name, out, shape, like):
            if failed():
                raise Value(wrong_shape, shape, out.shape)
            return np.empty(shape, like.dtype)

        return other_rank
    if not out.mutable:
        read_only = f"{head} is read-only"

        def refused_to_write(operation, name, out, shape, like):
            if out.shape != shape:
                raise Value(wrong_shape, shape, out.shape)
            if failed():
                raise ValueError(read_only)
            return np.empty(shape, like.dtype)

        return refused_to_write

    def code(operation, name, out, shape, like):
        if out.shape != shape:
            raise Value(wrong_shape, shape, out.shape)
        if not is_contiguous(out):
            raise Value(layout, out.strides)
        return _as_plain(out)

    return code


@_check
def no_overlap(operation, out, name, x):
    """ValueError where `out`, if it is given, shares memory with an input; both C-contiguous."""
    if isinstance(out, types.NoneType):
        return lambda operation, out, name, x: None
    message = f"{text_of('operation', operation)}: out overlaps {text_of('name', name)}"

    def code(operation, out, name, x):
        if address(out) < address(x) + x.size * x.itemsize and address(x) < address(out) + out.size * out.itemsize:
            raise ValueError(message)

    return code


@_check
def same_or_apart(operation, out, name, x):
    """ValueError where `out`, if it is given, overlaps an input without being the same memory."""
    if isinstance(out, types.NoneType):
        return lambda operation, out, name, x: None
    message = f"{text_of('operation', operation)}: out overlaps {text_of('name', name)} without being the same memory"

    def code(operation, out, name, x):
        if address(out) == address(x):
            return
        if address(out) < address(x) + x.size * x.itemsize and address(x) < address(out) + out.size * out.itemsize:
            raise ValueError(message)

    return code


@_check
def within(operation, name, ids, number):
    """IndexError unless all of the C-contiguous int64 `ids` are from 0 to number - 1."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must be from 0 to {{}}, got {{}} at {{}}"
    ndim = ids.ndim
    if ndim == 0:

        def of_one(operation, name, ids, number):
            if not 0 <= ids[()] < number:
                raise Index(message, number - 1, ids[()], ())

        return of_one

    def code(operation, name, ids, number):
        flat = ids.reshape(-1)
        bad = _first_outside(flat, number)
        if bad >= 0:
            place, rest = ids.shape, bad
            for axis in range(ndim - 1, -1, -1):
                place = _with(place, axis, rest % ids.shape[axis])
                rest //= ids.shape[axis]
            raise Index(message, number - 1, flat[bad], place)

    return code
