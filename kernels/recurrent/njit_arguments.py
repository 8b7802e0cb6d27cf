"""Checks of the arguments of recurrent networks in jitted code: those of `arguments` and `layers`, same errors."""

from typing import NamedTuple

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit_checks import floats, indices, no_overlap, optional_floats, output, same_dtypes
from kernels._njit_errors import Value, _check, failed, text_of, type_name


class Layer(NamedTuple):
    """`arguments.Layer`: x by rows, the weights (weight_hr of size 0 for None), and the rows of each step."""

    x: object
    weight_ih: object
    weight_hh: object
    weight_hr: object
    starts: object
    sizes: object
    reverse: bool
    units: int


# --- arrays ----------------------------------------------------------------------------------------------------------


@_check
def plain(x, like, ndim):
    """A checked array, as one of so many dimensions and of the dtype of `like`: an array of another type has failed a
    check before."""
    if x == types.Array(like.dtype, ndim.literal_value, "C"):
        return lambda x, like, ndim: x
    nothing = (0,) * ndim.literal_value
    return lambda x, like, ndim: np.empty(nothing, like.dtype)


@_check
def of_rank(template, x, ndim):
    """`x` itself; ValueError, with its shape, unless it has so many dimensions."""
    if x.ndim == ndim.literal_value:
        return lambda template, x, ndim: x
    template, nothing = text_of("template", template), (0,) * ndim.literal_value

    def code(template, x, ndim):
        if failed():
            raise Value(template, x.shape)
        return np.empty(nothing, x.dtype)

    return code


@_check
def shaped(operation, name, x, shape):
    """ValueError unless the array has this shape."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have shape {{}}, got {{}}"
    if x.ndim != len(shape):

        def other_rank(operation, name, x, shape):
            raise Value(message, shape, x.shape)

        return other_rank

    def code(operation, name, x, shape):
        if x.shape != shape:
            raise Value(message, shape, x.shape)

    return code


@_check
def optional(operation, name, x, shape, like):
    """`x` validated, of size 0 for None."""
    nothing = (0,) * len(shape)
    if isinstance(x, types.NoneType):
        return lambda operation, name, x, shape, like: np.empty(nothing, like.dtype)
    message = None
    if isinstance(x, types.Array) and x.dtype in (types.float32, types.float64) and x.dtype != like.dtype:
        head = f"{text_of('operation', operation)}: {text_of('name', name)}"
        message = f"{head} must be {like.dtype} as x, got {x.dtype}"

        def other_dtype(operation, name, x, shape, like):
            if failed():
                raise TypeError(message)
            return np.empty(nothing, like.dtype)

        return other_dtype
    ndim = len(shape)

    def code(operation, name, x, shape, like):
        checked = floats(operation, name, x)
        shaped(operation, name, checked, shape)
        return plain(checked, like, ndim)

    return code


@_check
def required(operation, name, x, shape, like):
    """`x` validated; it must not be None."""
    if not isinstance(x, types.NoneType):
        return lambda operation, name, x, shape, like: optional(operation, name, x, shape, like)
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must be an array, got None"
    nothing = (0,) * len(shape)

    def code(operation, name, x, shape, like):
        if failed():
            raise TypeError(message)
        return np.empty(nothing, like.dtype)

    return code


@_check
def state(operation, name, x, shape, like):
    """A copy of the state (or of its gradient), which the time loop replaces; zeros for None."""
    if isinstance(x, types.NoneType):
        return lambda operation, name, x, shape, like: np.zeros(shape, like.dtype)
    return lambda operation, name, x, shape, like: optional(operation, name, x, shape, like).copy()


@_check
def known(operation, name, x, shape, like):
    """The state before the first step, which is only read; zeros for None."""
    if isinstance(x, types.NoneType):
        return lambda operation, name, x, shape, like: np.zeros(shape, like.dtype)
    return lambda operation, name, x, shape, like: optional(operation, name, x, shape, like)


@_check
def pair(operation, name, states):
    """The two states of an LSTM, None for both or for one."""
    if isinstance(states, types.NoneType):
        return lambda operation, name, states: (None, None)
    if isinstance(states, types.BaseTuple) and len(states) == 2:
        return lambda operation, name, states: states
    found = type_name(states) if not isinstance(states, types.Array) else "ndarray"
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must be a pair of arrays, got {found}"

    def code(operation, name, states):
        if failed():
            raise TypeError(message)
        return None, None

    return code


@_check
def filled(operation, name, out, shape, inputs):
    """An array that the forward fills, as a matrix with a row for each row of x; an empty one for None. `inputs` are x,
    weight_ih and weight_hh."""
    if isinstance(out, types.NoneType):

        def absent(operation, name, out, shape, inputs):
            x, _, _ = inputs
            return np.empty((0, 0), x.dtype)

        return absent

    def code(operation, name, out, shape, inputs):
        x, weight_ih, weight_hh = inputs
        result = output(operation, name, out, shape, x)
        no_overlap(operation, result, "x", x)
        no_overlap(operation, result, "weight_ih", weight_ih)
        no_overlap(operation, result, "weight_hh", weight_hh)
        return by_rows(result, len(x))

    return code


@jit(inline=True)
def by_rows(x, rows):
    """An array as a matrix with so many rows."""
    return x.reshape((rows, x.shape[-1]))


# --- a layer ---------------------------------------------------------------------------------------------------------


@_check
def checked_weight_ih(operation, weight, x, gates):
    """weight_ih as a matrix."""
    operation, gates = text_of("operation", operation), gates.literal_value
    message = f"{operation}: weight_ih must have shape ({gates} H, I) with I and H at least 1, got {{}} for x {{}}"
    if weight.ndim != 2:

        def other_rank(operation, weight, x, gates):
            if failed():
                raise Value(message, weight.shape, x.shape)
            return np.empty((0, 0), x.dtype)

        return other_rank

    def code(operation, weight, x, gates):
        if weight.shape[1] != x.shape[-1] or weight.shape[0] % gates or weight.size == 0:
            raise Value(message, weight.shape, x.shape)
        return plain(weight, x, 2)

    return code


@_check
def checked_weight_hr(operation, weight, like, units):
    """weight_hr as a matrix, of size 0 for None."""
    if isinstance(weight, types.NoneType):
        return lambda operation, weight, like, units: np.empty((0, 0), like.dtype)
    operation = text_of("operation", operation)
    message = f"{operation}: weight_hr must have shape (P, H) with H = {{}} and 0 < P < H, got {{}}"
    if weight.ndim != 2:

        def other_rank(operation, weight, like, units):
            if failed():
                raise Value(message, units, weight.shape)
            return np.empty((0, 0), like.dtype)

        return other_rank

    def code(operation, weight, like, units):
        if weight.shape[1] != units or weight.shape[0] == 0 or weight.shape[0] >= units:
            raise Value(message, units, weight.shape)
        return plain(weight, like, 2)

    return code


@_check
def steps_of(full, packed, x, batch_sizes):
    """x, of which the errors `full` and `packed` say what shape it must have without and with `batch_sizes`."""
    if isinstance(batch_sizes, types.NoneType):
        return lambda full, packed, x, batch_sizes: of_rank(full, x, 3)
    return lambda full, packed, x, batch_sizes: of_rank(packed, x, 2)


@_check
def step_sizes(operation, batch_sizes, x):
    """How many sequences each step has."""
    if isinstance(batch_sizes, types.NoneType):
        no_step = f"{text_of('operation', operation)}: needs at least one step, x is {{}}"

        def full(operation, batch_sizes, x):
            if x.shape[0] == 0:
                raise Value(no_step, x.shape)
            return np.full(x.shape[0], x.shape[1], np.int64)

        return full
    operation = text_of("operation", operation)
    no_step = f"{operation}: needs at least one step, batch_sizes has shape {{}}"
    increasing = f"{operation}: batch_sizes must be positive and non-increasing, got {{}}"
    other_sum = f"{operation}: batch_sizes must add up to the {{}} rows of x, got {{}}"

    def code(operation, batch_sizes, x):
        checked = indices(operation, "batch_sizes", batch_sizes)
        if checked.ndim != 1 or checked.size == 0:
            raise Value(no_step, checked.shape)
        sizes = checked.reshape(-1)
        for i in range(sizes.size):
            if sizes[i] < 1 or (i > 0 and sizes[i] > sizes[i - 1]):
                raise Value(increasing, list(sizes))
        if sizes.sum() != len(x):
            raise Value(other_sum, len(x), sizes.sum())
        return sizes

    return code


def layer_checked(operation, gates):
    """`arguments.checked_layer` of an operation whose weights have so many gates: the layer, and x's leading shape."""
    full = f"{operation}: x must have shape (T, B, I), got {{}}"
    packed = f"{operation}: x must have shape (rows, I) with batch_sizes, got {{}}"

    @jit
    def checked(x, weights, reverse, batch_sizes):
        weight_ih, weight_hh, weight_hr = weights
        x = floats(operation, "x", x)
        weight_ih, weight_hh = floats(operation, "weight_ih", weight_ih), floats(operation, "weight_hh", weight_hh)
        weight_hr = optional_floats(operation, "weight_hr", weight_hr)
        names = ("x", "weight_ih", "weight_hh", "weight_hr")
        same_dtypes(operation, names, (x, weight_ih, weight_hh, weight_hr))
        steps = steps_of(full, packed, x, batch_sizes)
        ih = checked_weight_ih(operation, weight_ih, steps, gates)
        units = ih.shape[0] // gates
        hr = checked_weight_hr(operation, weight_hr, steps, units)
        outputs = units if hr.size == 0 else len(hr)
        shaped(operation, "weight_hh", weight_hh, (gates * units, outputs))
        sizes = step_sizes(operation, batch_sizes, steps)
        starts = np.zeros(len(sizes), np.int64)
        for t in range(1, len(sizes)):
            starts[t] = starts[t - 1] + sizes[t - 1]
        rows, hh = by_rows(steps, steps.size // max(steps.shape[-1], 1)), plain(weight_hh, steps, 2)
        return Layer(rows, ih, hh, hr, starts, sizes, bool(reverse), units), steps.shape[:-1]

    return checked


@_check
def extended(leading, width):
    """A shape and one more size."""
    return lambda leading, width: (*leading, width)
