"""Arrays of any strides in jitted code: views with other axes, and what they share in memory."""

import numpy as np
from numba import types
from numba.core.imputils import impl_ret_borrowed

from kernels._jit import jit
from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._njit_sizes import product, replaced
from kernels._plain import intrinsic
from kernels.simd import address

as_strided = np.lib.stride_tricks.as_strided


@intrinsic
def any_layout(typingctx, x):
    """An array, as one of any strides that Numba holds to be writable: so there is one kind of each dtype."""

    def lower(context, builder, signature, values):
        return impl_ret_borrowed(context, builder, signature.return_type, values[0])

    return types.Array(x.dtype, x.ndim, "A")(x), lower


@jit
def has_rows(x):
    """Whether the last axis is contiguous."""
    rows = x.strides[x.ndim - 1] == x.itemsize or x.shape[x.ndim - 1] <= 1
    for axis in range(x.ndim):
        rows &= x.strides[axis] % x.itemsize == 0
    return rows and address(x) % x.itemsize == 0


@_check
def readable(operation, name, x):
    """An array with a contiguous last axis and any other strides; copied where that axis is not contiguous."""
    operation, name = text_of("operation", operation), text_of("name", name)
    wrong, axes = None, max(x.ndim, 2) if isinstance(x, types.Array) else 2
    if not isinstance(x, types.Array):
        wrong = f"{operation}: {name} must be an array, got {type_name(x)}"
    elif x.dtype not in (types.float32, types.float64):
        wrong = f"{operation}: {name} must be float32 or float64, got {x.dtype}"
    nothing, kind = (0,) * axes, x.dtype if isinstance(x, types.Array) and wrong is None else types.float64
    dtype = np.float32 if kind == types.float32 else np.float64
    if wrong is not None:

        def refused(operation, name, x):
            if failed():
                raise TypeError(wrong)
            return any_layout(np.empty(nothing, dtype))

        return refused
    if x.ndim < 2:
        message = f"{operation}: {name} must have at least two axes, (..., length, width), got {{}}"

        def too_few(operation, name, x):
            if failed():
                raise Value(message, x.shape)
            return any_layout(np.empty(nothing, dtype))

        return too_few
    if x.layout == "C" and x.aligned:
        return lambda operation, name, x: any_layout(x)
    return lambda operation, name, x: any_layout(x) if has_rows(x) else any_layout(x.copy())


@_check
def like_any(x, of):
    """`x` in the dtype of the array `of`, so that what follows a failed check has the right types."""
    if x.dtype == of.dtype:
        return lambda x, of: x
    return lambda x, of: any_layout(x.astype(of.dtype))


# --- other axes ------------------------------------------------------------------------------------------------------


@_check
def with_axes(x, axes):
    """View of any strides with axes of length 1 before those of `x`: so many in all."""
    more = axes.literal_value - x.ndim
    if more <= 0:
        return lambda x, axes: x
    ones, zeros = (1,) * more, (0,) * more
    return lambda x, axes: as_strided(x, ones + x.shape, zeros + x.strides)


@jit
def merged(sizes, strides, first, last):
    """Whether the axes from `first` to `last` - 1 can be one without a copy, and its stride."""
    size, stride = 1, 0
    for axis in range(last - 1, first - 1, -1):
        if sizes[axis] != 1:
            if size == 1:
                stride = strides[axis]
            elif strides[axis] != stride * size:
                return False, 0
            size *= sizes[axis]
    return True, stride


@_check
def grouped(x, first, last):
    """`x` with the axes from `first` to `last` - 1 as one, a view where possible; without such axes that has length
    1."""
    begin, stop = first.literal_value, last.literal_value  # slices need constants
    if stop == begin + 1:
        return lambda x, first, last: x
    end = max(stop - 1, 0)

    def code(x, first, last):
        fits, stride = merged(x.shape, x.strides, begin, stop)
        whole = x if fits else any_layout(x.copy())
        size, step = product(x.shape, begin, stop), stride if fits else whole.strides[end]
        shape, strides = x.shape[:begin] + (size,) + x.shape[stop:], whole.strides
        return as_strided(whole, shape, strides[:begin] + (step,) + strides[stop:])

    return code


@_check
def ungrouped(x, shape, first, last):
    """The inverse of `grouped`, for an array that is to have `shape`."""
    if x.layout == "C":
        return lambda x, shape, first, last: x.reshape(shape)
    axes = len(shape)

    def code(x, shape, first, last):
        strides, step = shape, x.strides[first]
        for axis in range(axes):
            of = axis if axis < first else axis - (last - first) + 1
            strides = replaced(strides, axis, x.strides[min(max(of, 0), x.ndim - 1)])
        for axis in range(last - 1, first - 1, -1):
            strides = replaced(strides, axis, step)
            step *= shape[axis]
        return as_strided(x, shape, strides)

    return code


@_check
def spread(x, shape):
    """`x` broadcast to `shape`, which has as many axes, and whether that is possible."""
    axes = len(shape)

    def code(x, shape):
        strides, fits = x.strides, True
        for axis in range(axes):
            if x.shape[axis] != shape[axis]:
                fits = fits and x.shape[axis] == 1
                strides = replaced(strides, axis, 0)
        return as_strided(x, shape, strides), fits

    return code


@jit
def memory_order(strides):
    """The first three axes, those of the larger strides first."""
    order = (np.int64(0), np.int64(1), np.int64(2))
    for i in range(1, 3):
        for j in range(i, 0, -1):
            before, after = order[j - 1], order[j]
            if abs(strides[after]) > abs(strides[before]):
                order = replaced(replaced(order, j - 1, after), j, before)
    return order


@_check
def result_like(x, width, given):
    """As that of `arguments`, for four axes; of Numba's C layout where `given`, which x is a view of, is."""
    if isinstance(given, types.Array) and given.layout == "C":
        return lambda x, width, given: np.empty((x.shape[0], x.shape[1], x.shape[2], width), x.dtype)

    def code(x, width, given):
        a, b, c = memory_order(x.strides)
        memory = np.empty((x.shape[a], x.shape[b], x.shape[c], width), x.dtype)
        lengths = memory.strides
        strides = replaced(replaced(replaced(lengths, a, lengths[0]), b, lengths[1]), c, lengths[2])
        return as_strided(memory, (x.shape[0], x.shape[1], x.shape[2], width), strides)

    return code


# --- memory ----------------------------------------------------------------------------------------------------------


@jit
def overlap(x, y):
    """Whether the parts of memory in which two arrays lie overlap: `numpy.may_share_memory`."""
    if x.size == 0 or y.size == 0:
        return False
    x_first = x_last = address(x)
    y_first = y_last = address(y)
    for axis in range(x.ndim):
        reach = (x.shape[axis] - 1) * x.strides[axis]
        x_first, x_last = x_first + min(reach, 0), x_last + max(reach, 0)
    for axis in range(y.ndim):
        reach = (y.shape[axis] - 1) * y.strides[axis]
        y_first, y_last = y_first + min(reach, 0), y_last + max(reach, 0)
    return x_first < y_last + y.itemsize and y_first < x_last + x.itemsize


@_check
def apart(operation, what, x, name, y):
    """ValueError where two arrays share memory, if both are given."""
    if not isinstance(x, types.Array) or not isinstance(y, types.Array):
        return lambda operation, what, x, name, y: None
    message = f"{text_of('operation', operation)}: {text_of('what', what)} overlaps {text_of('name', name)}"

    def code(operation, what, x, name, y):
        if overlap(x, y):
            raise ValueError(message)

    return code
