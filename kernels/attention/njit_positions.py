"""The rotary embedding, its tables and ALiBi's slopes in jitted code."""

import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, same_dtypes, within
from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._njit_sizes import threads_for
from kernels.attention import positions, rotary
from kernels.attention.njit_views import (
    any_layout,
    apart,
    as_strided,
    grouped,
    has_rows,
    memory_order,
    merged,
    overlap,
    readable,
    result_like,
    spread,
    ungrouped,
    with_axes,
)
from kernels.simd import address

loops = by_address(rotary.compiled, "rotary")
fill_tables, fill_slopes = by_address(positions.fill_tables), by_address(positions.fill_slopes)


# --- arguments -------------------------------------------------------------------------------------------------------


@_check
def tables_of(operation, cos, sin, x):
    """The tables as (P, R / 2) arrays of the dtype of `x`."""
    message = f"{text_of('operation', operation)}: cos and sin must be of one shape (P, R / 2), got {{}} and {{}}"
    if cos.ndim != 2 or sin.ndim != 2:

        def refused(operation, cos, sin, x):
            if failed():
                raise Value(message, cos.shape, sin.shape)
            return np.empty((1, 1), x.dtype), np.empty((1, 1), x.dtype)

        return refused
    if cos.dtype != x.dtype or sin.dtype != x.dtype:  # refused before
        return lambda operation, cos, sin, x: (cos.astype(x.dtype), sin.astype(x.dtype))

    def code(operation, cos, sin, x):
        if cos.shape != sin.shape:
            raise Value(message, cos.shape, sin.shape)
        return cos, sin

    return code


@_check
def four_axes(x):
    """View (..., T, D) as (A, B, T, D)."""
    end = x.ndim - 2
    return (lambda x: with_axes(x, 4)) if x.ndim == 2 else (lambda x: grouped(x, 1, end))


@_check
def as_given(x, shape):
    """(A, B, T, D) in the `shape` that it has for the caller."""
    end, axes = len(shape) - 2, len(shape)
    if x.layout == "C":
        return lambda x, shape: x.reshape(shape)
    if axes == 4:
        return lambda x, shape: x
    if axes == 2:
        return lambda x, shape: as_strided(x, shape, x.strides[2:])
    return lambda x, shape: ungrouped(x, shape, 1, end)


@_check
def row_numbers(operation, name, x, given, number):
    """`given`, checked, or by default 0, 1, ..."""
    last = x.ndim - 2
    if not isinstance(given, types.NoneType):

        def checked(operation, name, x, given, number):
            ids = indices(operation, "positions", given)
            within(operation, "positions", ids, number)
            return ids

        return checked
    message = (
        f"{text_of('operation', operation)}: {text_of('name', name)} has {{}} rows, cos and sin have {{}} positions"
    )

    def code(operation, name, x, given, number):
        if x.shape[last] > number:
            raise Value(message, x.shape[last], number)
        return np.arange(x.shape[last])

    return code


@_check
def row_positions(operation, name, x, ids):
    """The position of every row of `x` (..., T, D), as (A, B, T)."""
    axes = x.ndim - 1
    message = f"{text_of('operation', operation)}: positions of shape {{}} do not broadcast to "
    message += f"{text_of('name', name)} of shape {{}}"
    if ids.ndim > axes:

        def other_rank(operation, name, x, ids):
            if failed():
                raise Value(message, ids.shape, x.shape)
            return any_layout(np.empty((0, 0, 0), np.int64))

        return other_rank
    ones, zeros, pair = (1,) * (axes - 2), (0,) * (axes - 2), ids.ndim == 2 and axes > 2

    def code(operation, name, x, ids):
        wide, fits = spread(with_axes(any_layout(ids), axes), x.shape[:axes])
        if not fits:
            raise Value(message, ids.shape, x.shape)
        return three_axes(wide)

    def code_of_pairs(operation, name, x, ids):
        shape, strides = (ids.shape[0],) + ones + (ids.shape[1],), (ids.strides[0],) + zeros + (ids.strides[1],)
        wide, fits = spread(as_strided(any_layout(ids), shape, strides), x.shape[:axes])
        if not fits:
            raise Value(message, ids.shape, x.shape)
        return three_axes(wide)

    return code_of_pairs if pair else code


@_check
def three_axes(x):
    """View (..., T) as (A, B, T)."""
    end = x.ndim - 1
    return (lambda x: with_axes(x, 3)) if x.ndim == 1 else (lambda x: grouped(x, 1, end))


@_check
def target_of(operation, name, out, x, given):
    """The array that receives the result, with four axes; a new one is like `given`, of which `x` is a view."""
    if isinstance(out, types.NoneType):
        return lambda operation, name, out, x, given: result_like(four_axes(x), x.shape[x.ndim - 1], given)
    return lambda operation, name, out, x, given: given_out(operation, name, out, x)


@_check
def returned(out, target, shape):
    """`out` if it is given, else what has received the result, in its `shape`."""
    if isinstance(out, types.NoneType):
        return lambda out, target, shape: as_given(target, shape)
    return lambda out, target, shape: out


@_check
def given_out(operation, name, out, x):
    """`out` with four axes."""
    operation, wrong = text_of("operation", operation), None
    if not isinstance(out, types.Array):
        wrong = f"{operation}: out must be a NumPy array, got {type_name(out)}"
    elif out.dtype != x.dtype:
        wrong = f"{operation}: out must be {x.dtype}, got {out.dtype}"
    if wrong is not None:

        def refused(operation, name, out, x):
            if failed():
                raise TypeError(wrong)
            return four_axes(x)

        return refused
    other_shape = f"{operation}: out must have shape {{}}, got {{}}"
    if out.ndim != x.ndim:

        def other_rank(operation, name, out, x):
            if failed():
                raise Value(other_shape, x.shape, out.shape)
            return four_axes(x)

        return other_rank
    read_only, strides = (
        f"{operation}: out is read-only",
        f"{operation}: out must be aligned, its rows contiguous, its ",
    )
    strides += "strides are {}"
    apart_only = f"{operation}: out overlaps {text_of('name', name)} without being the same memory"
    mutable, aligned, end = out.mutable, out.aligned, max(out.ndim - 2, 1)

    def code(operation, name, out, x):
        if out.shape != x.shape:
            raise Value(other_shape, x.shape, out.shape)
        if failed() and not mutable:
            raise ValueError(read_only)
        in_place, _ = merged(out.shape, out.strides, 1, end)
        if (failed() and not aligned) or not has_rows(out) or not (in_place or out.size == 0):
            raise Value(strides, out.strides)
        if overlap(out, x) and not (address(out) == address(x) and out.strides == x.strides):
            raise ValueError(apart_only)
        return four_axes(any_layout(out))

    return code


@jit
def _permuted(x, a, b, c):
    """View with the first three of four axes in another order."""
    shape, strides = x.shape, x.strides
    return as_strided(x, (shape[a], shape[b], shape[c], shape[3]), (strides[a], strides[b], strides[c], strides[3]))


@jit
def _permuted_rows(x, a, b, c):
    shape, strides = x.shape, x.strides
    return as_strided(x, (shape[a], shape[b], shape[c]), (strides[a], strides[b], strides[c]))


# --- entries ---------------------------------------------------------------------------------------------------------


def _rotary(operation, name, sign):
    """The entry of `positions._rotary`."""

    @jit
    def rotate(given, cosines, sines, places, interleaved, out):
        x = readable(operation, name, given)
        c, s = floats(operation, "cos", cosines), floats(operation, "sin", sines)
        same_dtypes(operation, (name, "cos", "sin"), (x, c, s))
        cos, sin = tables_of(operation, c, s, x)
        if 2 * cos.shape[1] > x.shape[x.ndim - 1]:
            raise Value(
                "{}: the tables rotate {} channels, {} has {}", operation, 2 * cos.shape[1], name, x.shape[x.ndim - 1]
            )
        ids = row_numbers(operation, name, x, places, cos.shape[0])
        numbers, source = row_positions(operation, name, x, ids), four_axes(x)
        target = target_of(operation, name, out, x, given)
        apart(operation, "out", out, "cos", cos)
        apart(operation, "out", out, "sin", sin)
        if target.size:
            i, j, k = memory_order(source.strides)  # rows are visited in the order in which they lie in memory
            rows, to = _permuted(source, i, j, k), _permuted(any_layout(target), i, j, k)
            factor, threads = x.dtype.type(sign), threads_for(x.size, 0)
            loops(rows, cos, sin, _permuted_rows(numbers, i, j, k), bool(interleaved), factor, to, threads)
        return returned(out, target, x.shape)

    return rotate


_forward, _backward = _rotary("rotary_embedding", "x", 1.0), _rotary("rotary_embedding_backward", "dy", -1.0)


@in_njit(positions.rotary_embedding)
def _rotary_embedding(x, cos, sin, positions, interleaved, out):
    return _forward(x, cos, sin, positions, interleaved, out)


@in_njit(positions.rotary_embedding_backward)
def _rotary_embedding_backward(dy, cos, sin, positions, interleaved):
    return _backward(dy, cos, sin, positions, interleaved, None)


@_check
def floating(operation, dtype, shape):
    """A new array of `shape` and a dtype, float32 or float64, that is given in one of NumPy's ways."""
    if isinstance(dtype, types.StringLiteral):
        kind = np.dtype(dtype.literal_value)
    else:
        kind = dtype.dtype if isinstance(dtype, (types.DType, types.NumberClass)) else types.float64
        kind = as_dtype(kind)
    if kind in (np.float32, np.float64):
        return _empty(kind.type)
    message = f"{text_of('operation', operation)}: dtype must be float32 or float64, got {kind}"

    def refused(operation, dtype, shape):
        if failed():
            raise TypeError(message)
        return np.empty(shape, np.float32)

    return refused


def _empty(kind):
    return lambda operation, dtype, shape: np.empty(shape, kind)


@in_njit(positions.rotary_tables)
def _rotary_tables(positions, width, base, dtype):
    if positions < 0:
        raise Value("rotary_tables: positions must not be negative, got {}", positions)
    if width < 2 or width % 2:
        raise Value("rotary_tables: width must be even and at least 2, got {}", width)
    if not base > 0:
        raise Value("rotary_tables: base must be positive, got {}", base)
    shape = positions, width // 2
    cos, sin = floating("rotary_tables", dtype, shape), floating("rotary_tables", dtype, shape)
    fill_tables(float(base), cos, sin)
    return cos, sin


@in_njit(positions.alibi_slopes)
def _alibi_slopes(heads, dtype):
    if heads < 1:
        raise Value("alibi_slopes: heads must be at least 1, got {}", heads)
    slopes = floating("alibi_slopes", dtype, (heads,))
    fill_slopes(slopes)
    return slopes
