"""Several arrays in jitted code: tuples of any arrays or None, tuples and lists of arrays of one type."""

import numpy as np
from numba import types

from kernels._njit_errors import Value, _check, failed, type_name


def is_list(kind):
    return isinstance(kind, (types.BaseTuple, types.List, types.ListType))


def is_uniform(kind):
    """Whether all elements are of one type, so that an index may be computed."""
    return isinstance(kind, (types.NoneType, types.UniTuple, types.List, types.ListType))


def elements_of(kind):
    """The types of the elements; of a list, whose length is not known, one."""
    if isinstance(kind, types.NoneType):
        return ()
    return tuple(kind) if isinstance(kind, types.BaseTuple) else (kind.dtype,)


def over(visit):
    """``loop(lists, state)`` for jitted code: calls ``visit(i, elements, state)`` for each i, where `elements` has
    element i of each list, None for a list that is None."""

    @_check
    def one_by_one(i, lists, state):
        place, following = i.literal_value, i.literal_value + 1
        if place == len(lists[0]):
            return lambda i, lists, state: None
        number = np.int64(place)  # not a literal: `visit` is compiled once for arrays of the same types

        def code(i, lists, state):
            visit(number, _elements(lists, place), state)
            one_by_one(following, lists, state)

        return code

    @_check
    def loop(lists, state):
        if not all(map(is_uniform, lists)):
            return lambda lists, state: one_by_one(0, lists, state)

        def code(lists, state):
            for i in range(len(lists[0])):
                visit(i, _elements(lists, i), state)

        return code if elements_of(lists[0]) else (lambda lists, state: None)

    return loop


@_check
def _element(arrays, i):
    """Element i; None where there is none."""
    place = i.literal_value if isinstance(i, types.IntegerLiteral) else 0
    if not is_list(arrays) or isinstance(arrays, types.BaseTuple) and place >= len(arrays):
        return lambda arrays, i: None
    if isinstance(i, types.IntegerLiteral):
        return lambda arrays, i: arrays[place]
    return lambda arrays, i: arrays[i]


@_check
def _elements(lists, i):
    """Element i of one, three or five lists."""
    if len(lists) == 1:
        return lambda lists, i: (_element(lists[0], i),)

    def of_three(lists, i):
        a, b, c = lists
        return _element(a, i), _element(b, i), _element(c, i)

    def of_five(lists, i):
        a, b, c, d, e = lists
        return _element(a, i), _element(b, i), _element(c, i), _element(d, i), _element(e, i)

    return of_three if len(lists) == 3 else of_five


def listed(operation, name, optional=False):
    """``check(arrays, number)`` for jitted code: there must be that many arrays, or None if that is allowed."""

    @_check
    def check(arrays, number):
        if isinstance(arrays, types.NoneType) and optional:
            return lambda arrays, number: None
        if not is_list(arrays):
            kind = "ndarray" if isinstance(arrays, types.Array) else type_name(arrays)
            wrong_type = f"{operation}: {name} must be a list of arrays, got {kind}"

            def refused(arrays, number):
                if failed():
                    raise TypeError(wrong_type)

            return refused
        message = f"{operation}: params has {{}} arrays, {name} has {{}}"

        def code(arrays, number):
            if len(arrays) != number:
                raise Value(message, number, len(arrays))

        return code

    return check
