"""All parameters of a step in one call, in jitted code: what `parameters` does."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address
from kernels._njit_checks import FLOATS, is_contiguous
from kernels._njit_errors import Kind, Value, _check, failed, type_name
from kernels._njit_sizes import threads_for
from kernels.simd import address
from kernels.update.njit_lists import elements_of, is_list, listed, over
from kernels.update.parameters import _DATA, GRAD, PARAM, SIZE, STATE


def _writable(operation, name):
    """``address_of(i, x, of, like)`` for jitted code: the address of an array that is changed in place, of the shape of
    `of` and the dtype of `like`."""
    head = f"{operation}: {name}[{{}}]"
    wrong_shape, read_only = f"{head} must have shape {{}}, got {{}}", f"{head} is read-only"
    layout = f"{head} must be C-contiguous and aligned, its strides are {{}}"

    @_check
    def address_of(i, x, of, like):
        if not isinstance(x, types.Array):
            return _refused(f"{head} must be an array, got {type_name(x)}")
        if x.dtype != like.dtype:
            return _refused(f"{head} must be {like.dtype}, got {x.dtype}")
        if x.ndim != of.ndim:
            return _of_other_rank(wrong_shape)
        mutable = x.mutable

        def code(i, x, of, like):
            if x.shape != of.shape:
                raise Value(wrong_shape, i, of.shape, x.shape)
            if not mutable and failed():
                raise Value(read_only, i)
            if not is_contiguous(x):
                raise Value(layout, i, x.strides)
            return address(x)

        return code

    return address_of


def _refused(message):
    def code(i, x, of, like):
        if failed():
            raise Kind(message, i)
        return 0

    return code


def _of_other_rank(message):
    def code(i, x, of, like):
        if failed():
            raise Value(message, i, of.shape, x.shape)
        return 0

    return code


def _readable(operation):
    """``address_of(i, x, of, like, spare, used)`` for jitted code: the address of a gradient, which is copied to the
    array `spare` where it is not contiguous, to place ``used[0]``."""
    head = f"{operation}: grads[{{}}]"
    wrong_shape = f"{head} must have shape {{}}, got {{}}"

    @_check
    def address_of(i, x, of, like, spare, used):
        message = None
        if not isinstance(x, types.Array):
            message = f"{head} must be an array, got {type_name(x)}"
        elif x.dtype not in FLOATS:
            message = f"{head} must be float32 or float64, got {x.dtype}"
        elif x.dtype != like.dtype:
            message = f"{operation}: dtypes differ: params are {like.dtype}, grads[{{}}] is {x.dtype}"
        if message is not None:
            refused = jit(_refused(message))
            return lambda i, x, of, like, spare, used: refused(i, x, of, like)
        if x.ndim != of.ndim:
            differs = jit(_of_other_rank(wrong_shape))
            return lambda i, x, of, like, spare, used: differs(i, x, of, like)

        def code(i, x, of, like, spare, used):
            if x.shape != of.shape:
                raise Value(wrong_shape, i, of.shape, x.shape)
            if is_contiguous(x):
                return address(x)
            start = used[0]
            used[0] += x.size
            spare[start : start + x.size] = x.copy().reshape(-1)
            return address(spare) + start * spare.itemsize

        return code

    return address_of


def _columns(operation, names):
    """``fill(lists, state)`` for jitted code: a column of the table for each parameter. In it, `lists` are params,
    grads and the states, and `state` is ``(data, wanted, like, spare, used)``: the table, with addresses of data; which
    of the states there are; an array of the parameters' dtype; and memory for gradients, see `_readable`."""
    param, gradient = _writable(operation, "params"), _readable(operation)
    of_states = [_writable(operation, name) for name in names]
    first, second, third = (of_states * 3)[:3]

    @_check
    def begin(i, p, g, state):
        def code(i, p, g, state):
            data, _, like, spare, used = state
            data[PARAM, i] = param(i, p, p, like)
            data[SIZE, i] = p.size
            data[GRAD, i] = gradient(i, g, p, like, spare, used)

        return code

    @_check
    def visit(i, arrays, state):
        _, g, *_ = arrays
        if isinstance(g, types.NoneType):
            return lambda i, arrays, state: None

        def with_one(i, arrays, state):
            data, (wanted,), like, _, _ = state
            p, g, one = arrays
            begin(i, p, g, state)
            if wanted:
                data[STATE, i] = first(i, one, p, like)

        def with_three(i, arrays, state):
            data, (wants_one, wants_two, wants_three), like, _, _ = state
            p, g, one, two, three = arrays
            begin(i, p, g, state)
            if wants_one:
                data[STATE, i] = first(i, one, p, like)
            if wants_two:
                data[STATE + 1, i] = second(i, two, p, like)
            if wants_three:
                data[STATE + 2, i] = third(i, three, p, like)

        return with_one if len(names) == 1 else with_three

    return over(visit)


@_check
def _count_spare(i, arrays, state):
    """Adds the size of a gradient that will be copied."""
    if not isinstance(arrays[0], types.Array):
        return lambda i, arrays, state: None

    def code(i, arrays, state):
        if not is_contiguous(arrays[0]):
            state[0] += arrays[0].size

    return code


_spare_sizes = over(_count_spare)


@_check
def _spare(grads, like):
    """Memory for the gradients that are not contiguous."""
    if all(getattr(each, "layout", "C") == "C" for each in elements_of(grads)):
        return lambda grads, like: like

    def code(grads, like):
        size = np.zeros(1, np.int64)
        _spare_sizes((grads,), size)
        return np.empty(size[0], like.dtype)

    return code


@_check
def _like(params, grads):
    """An array of the dtype of the first parameter with a gradient; None where there is none of them."""
    if not (is_list(params) and is_list(grads)):
        return lambda params, grads: None
    kinds, given = elements_of(params), elements_of(grads)
    used = [p for p, g in zip(kinds, given, strict=False) if not isinstance(g, types.NoneType)]
    if not used:
        return lambda params, grads: None
    dtype = used[0].dtype if isinstance(used[0], types.Array) and used[0].dtype in FLOATS else types.float32
    empty = np.dtype(str(dtype))
    return lambda params, grads: np.empty(0, empty)


def _first_param(operation):
    """``check(params, grads)`` for jitted code: TypeError unless the first parameter with a gradient is of floats."""

    @_check
    def check(params, grads):
        if not (is_list(params) and is_list(grads)):
            return lambda params, grads: None
        given = list(enumerate(zip(elements_of(params), elements_of(grads), strict=False)))
        used = [(i, p) for i, (p, g) in given if not isinstance(g, types.NoneType)]
        if not used or isinstance(used[0][1], types.Array) and used[0][1].dtype in FLOATS:
            return lambda params, grads: None
        i, kind = used[0]
        rule = "float32 or float64" if isinstance(kind, types.Array) else "an array"
        message = f"{operation}: params[{i}] must be {rule}, got {type_name(kind)}"

        def refused(params, grads):
            if failed():
                raise TypeError(message)

        return refused

    return check


@jit
def _references(data):
    """The table that the loops take: in it are addresses of ndarrays, objects that hold the address of their data at
    _DATA, so each points to _DATA before the address in `data`."""
    table = np.zeros(data.shape, np.int64)
    table[SIZE] = data[SIZE]
    for row in range(PARAM, data.shape[0]):
        for column in range(data.shape[1]):
            if data[row, column]:
                table[row, column] = address(data) + (row * data.shape[1] + column) * data.itemsize - _DATA
    return table


@jit
def _has_twice(data):
    for one in range(data.shape[1]):
        for other in range(one):
            if data[SIZE, one] and data[PARAM, one] == data[PARAM, other]:
                return True
    return False


def _lists(operation, names, optional):
    """``check(lists, wanted)`` for jitted code: lists of as many arrays as there are parameters."""
    of_grads, of_states = listed(operation, "grads"), [listed(operation, name, name in optional) for name in names]
    first, second, third = (of_states * 3)[:3]

    @_check
    def check(lists, wanted):
        def with_one(lists, wanted):
            (params, grads, one), (wants_one,) = lists, wanted
            of_grads(grads, len(params))
            if wants_one:
                first(one, len(params))

        def with_three(lists, wanted):
            (params, grads, one, two, three), (wants_one, wants_two, wants_three) = lists, wanted
            of_grads(grads, len(params))
            if wants_one:
                first(one, len(params))
            if wants_two:
                second(two, len(params))
            if wants_three:
                third(three, len(params))

        return with_one if len(names) == 1 else with_three

    return check


@_check
def _first_two(lists):
    """The parameters and their gradients."""
    if len(lists) == 3:

        def of_three(lists):
            params, grads, _ = lists
            return params, grads

        return of_three

    def of_five(lists):
        params, grads, _, _, _ = lists
        return params, grads

    return of_five


def update(operation, loops, names, optional=()):
    """``update(lists, wanted, options)`` for jitted code, what `parameters.update` does: `lists` are params, grads and
    the states of these `names`, of which those in `optional` may be None; `wanted` says which states there are."""
    run, fill = by_address(loops, f"{operation} loops"), _columns(operation, names)
    of_params, check_lists = listed(operation, "params"), _lists(operation, names, optional)
    check_first, count = _first_param(operation), STATE + len(names)
    twice = f"{operation}: params has the same array twice"

    @_check
    def all_of(lists, wanted, options):
        params, *_ = lists
        if not is_list(params):
            return lambda lists, wanted, options: of_params(_first_two(lists)[0], 0)

        def code(lists, wanted, options):
            check_lists(lists, wanted)
            params, grads = _first_two(lists)
            check_first(params, grads)
            like = _like(params, grads)
            if like is not None and len(params):
                step(lists, wanted, options, like)

        return code

    @_check
    def step(lists, wanted, options, like):
        if isinstance(like, types.NoneType):
            return lambda lists, wanted, options, like: None

        def code(lists, wanted, options, like):
            params, grads = _first_two(lists)
            data, spare = np.zeros((count, len(params)), np.int64), _spare(grads, like)
            fill(lists, (data, wanted, like, spare, np.zeros(1, np.int64)))
            if _has_twice(data):
                raise ValueError(twice)
            table = _references(data)
            run(table, like, options, threads_for(data[SIZE].sum(), 0))
            data[SIZE, 0] = spare.size  # both are used until here

        return code

    return all_of
