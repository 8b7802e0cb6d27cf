"""Shapes along reduced axes in jitted code: those of `layout`, with the same errors."""

from numba import types

from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._njit_sizes import axis_of, replaced


def is_true(kind):
    """The value of a literal flag."""
    return bool(getattr(kind, "literal_value", False))


@_check
def axes_of(operation, dim, shape):
    """The axes that `dim` names (None and () mean all), counted from the front, in ascending order."""
    ndim = len(shape)
    if isinstance(dim, types.NoneType) or (isinstance(dim, types.BaseTuple) and not len(dim)):
        every = tuple(range(ndim))
        return lambda operation, dim, shape: every
    if isinstance(dim, types.BaseTuple):
        if ndim:
            return lambda operation, dim, shape: _in_order(operation, dim, ndim)
    elif ndim:
        return lambda operation, dim, shape: (axis_of(operation, dim, ndim),)

    def of_nothing(operation, dim, shape):
        _in_order(operation, dim, 0)
        return ()

    return of_nothing


@_check
def _in_order(operation, dim, ndim):
    """Axes, counted from the front, in ascending order."""
    operation = text_of("operation", operation)
    if not isinstance(dim, types.BaseTuple):
        return lambda operation, dim, ndim: axis_of(operation, dim, ndim)
    number = len(dim)
    zeros, twice = (0,) * number, f"{operation}: dim names an axis twice: {{}}"
    other = [each for each in dim if not isinstance(types.unliteral(each), types.Integer)]
    if other:
        message = f"{operation}: dim must be an int, got {type_name(other[0])}"

        def refused(operation, dim, ndim):
            if failed():
                raise TypeError(message)
            return zeros

        return refused

    def code(operation, dim, ndim):
        axes = zeros
        for i in range(number):
            axis, place = axis_of(operation, dim[i], ndim), i
            while place > 0 and axes[place - 1] > axis:
                axes = replaced(axes, place, axes[place - 1])
                place -= 1
            axes = replaced(axes, place, axis)
        for i in range(1, number):
            if axes[i] == axes[i - 1]:
                raise Value(twice, dim)
        return axes

    return code


@_check
def reduced_shape(shape, axes, keepdim):
    """`shape` without its `axes`, or with length 1 there; `keepdim` is a literal."""
    ndim, number = len(shape), len(axes)
    left = max(ndim - number, 0)
    zeros = (0,) * left
    if number == 0:
        return lambda shape, axes, keepdim: shape

    def kept(shape, axes, keepdim):
        for i in range(number):
            shape = replaced(shape, axes[i], 1)
        return shape

    def code(shape, axes, keepdim):
        result, place, following = zeros, 0, 0
        for axis in range(ndim):
            if following < number and axes[following] == axis:
                following += 1
            else:
                result = replaced(result, place, shape[axis])
                place += 1
        return result

    if is_true(keepdim):
        return kept
    return code if left else lambda shape, axes, keepdim: ()


@_check
def expect_shape(operation, name, x, shape):
    """ValueError unless `x` has `shape`."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have shape {{}}, got {{}}"
    if x.ndim != len(shape):

        def differs(operation, name, x, shape):
            raise Value(message, shape, x.shape)

        return differs

    def code(operation, name, x, shape):
        if x.shape != shape:
            raise Value(message, shape, x.shape)

    return code


@_check
def run_before(axes, i):
    """The run of adjacent axes that ends with ``axes[i - 1]``: how many axes come before it, its first, and its end."""

    def code(axes, i):
        i -= 1
        start, stop = axes[i], axes[i] + 1
        while i > 0 and axes[i - 1] == start - 1:
            i -= 1
            start -= 1
        return i, start, stop

    return code
