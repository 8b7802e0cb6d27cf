"""Elements along a dimension in jitted code: what `moves` does, and the functions on top of it."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, no_overlap, output, same_dtype, same_shape, within
from kernels._njit_errors import Value, _check, text_of
from kernels._njit_operands import absent, shaped
from kernels._njit_sizes import axis_of, replaced, threads_for
from kernels.lookup import along, gathering, scattering, slices
from kernels.lookup.moves import OF_BOOL
from kernels.lookup.njit_operands import (
    array,
    at_least_1d,
    bits,
    corner,
    covered_shape,
    flat,
    is_covered,
    one,
    sizes,
    source,
    target,
    vector,
)

gather_loop = by_address(along.GATHER, "gather loop")
select_loop = by_address(slices.SELECT, "select loop")
add_loop = by_address(slices.ADD_ROWS, "add loop")
_scatter_loops = {how: by_address(loops, f"scatter loop {how}") for how, loops in along.SCATTER.items()}


# --- gathering -------------------------------------------------------------------------------------------------------


@_check
def gathered(operation, x, dim, index, out):
    """`moves.gathered`"""

    def code(operation, x, dim, index, out):
        given, places = array(operation, "x", x), indices(operation, "index", index)
        axis = axis_of(operation, dim, given.ndim)
        result = output(operation, "out", out, places.shape, given)
        no_overlap(operation, out, "x", given)
        no_overlap(operation, out, "index", places)
        if places.size:
            _gather(operation, at_least_1d(given), axis, at_least_1d(places), result, out)
        return result

    return code


@_check
def _gather(operation, x, dim, index, result, out):
    checked_first = not isinstance(out, types.NoneType)  # else the result is not yet anybody's

    def code(operation, x, dim, index, result, out):
        if not is_covered(operation, x.shape, dim, index):
            x = corner(x, covered_shape(x.shape, dim, index)).copy()
        if checked_first or not x.size:
            within(operation, "index", index, x.shape[dim])
        extents, threads = sizes(x.shape, dim, index.shape[dim]), threads_for(index.size, 0)
        if not gather_loop(extents, bits(x), index.reshape(-1), bits(result), threads):
            within(operation, "index", index, x.shape[dim])

    return code


@_check
def selected(operation, x, dim, index, out):
    """`moves.selected`"""

    def code(operation, x, dim, index, out):
        given = array(operation, "x", x)
        axis, source = axis_of(operation, dim, given.ndim), at_least_1d(given)
        places = vector(operation, index)
        result = output(operation, "out", out, _selected_shape(operation, given, axis, places), given)
        no_overlap(operation, out, "x", source)
        no_overlap(operation, out, "index", places)
        extents, threads = sizes(source.shape, axis, places.size), threads_for(result.size, 0)
        if result.size == 0 or not select_loop(extents, bits(source), places, bits(result), threads):
            within(operation, "index", places, source.shape[axis])
        return result

    return code


@_check
def _selected_shape(operation, x, dim, index):
    if x.ndim:
        return lambda operation, x, dim, index: replaced(x.shape, dim, index.size)
    message = f"{text_of('operation', operation)}: of a 0-d x, index must have 1 element, got {{}}"

    def code(operation, x, dim, index):
        if index.size != 1:
            raise Value(message, index.size)
        return x.shape

    return code


# --- scattering ------------------------------------------------------------------------------------------------------


@_check
def scattered(operation, how, x, dim, index, src, out, identity):
    """`moves.scattered`; `how` is a literal, and an `identity` of size 0 or None is none."""

    def code(operation, how, x, dim, index, src, out, identity):
        given, places = array(operation, "x", x), indices(operation, "index", index)
        axis = axis_of(operation, dim, given.ndim)
        result, initial = target(operation, out, given, places, src)
        if not places.size:
            if initial.size:
                result.reshape(-1)[:] = initial
            return result
        _scatter_from(operation, how, (at_least_1d(result), initial), axis, _of_rank(given, places), src, out, identity)
        return result

    return code


@_check
def _of_rank(x, index):
    """The index of a 0-d array as one of one element."""
    return (lambda x, index: index) if x.ndim else (lambda x, index: at_least_1d(index))


@_check
def _scatter_from(operation, how, into, dim, index, src, out, identity):
    checked_first = not isinstance(out, types.NoneType)  # else the result is not yet anybody's

    def code(operation, how, into, dim, index, src, out, identity):
        result, _ = into
        values = source(operation, src, result, index)
        if checked_first:
            within(operation, "index", index, result.shape[dim])
        scatter_into(operation, how, into, dim, index, values, identity)

    return code


@_check
def scatter_into(operation, how, into, dim, index, src, identity):
    """`moves._scatter`: `src` is flat."""
    dtype, word = into.types[0].dtype, how.literal_value
    loop = _scatter_loops[OF_BOOL[word] if dtype == types.boolean else word]
    view = bits if word == "assign" else flat
    no_identity = isinstance(identity, types.NoneType)

    def code(operation, how, into, dim, index, src, identity):
        result, initial = into
        nothing = initial[:0]
        value = nothing if no_identity else _identity(identity, nothing)
        whole, part = is_covered(operation, result.shape, dim, index), result
        if not whole:  # the part of the result that the index covers, and back
            _begin(result.reshape(-1), initial)
            part = corner(result, covered_shape(result.shape, dim, index)).copy()
            initial = nothing
        if not part.size:  # the dimension has no elements for any index
            within(operation, "index", index, result.shape[dim])
        extents, threads = sizes(part.shape, dim, index.shape[dim]), threads_for(part.size + index.size, 0)
        if not loop(extents, view(initial), view(value), index.reshape(-1), view(src), view(part), threads):
            within(operation, "index", index, result.shape[dim])
        if not whole:
            corner(result, part.shape)[...] = part

    return code


@_check
def _identity(identity, nothing):
    """An identity, if there is one."""
    if isinstance(identity, types.NoneType):
        return lambda identity, nothing: nothing
    return lambda identity, nothing: identity


@jit
def _begin(result, initial):
    """Copies what the result begins with: nothing, one value for all, or all."""
    if initial.size == 1:
        result[:] = initial[0]
    elif initial.size:
        result[:] = initial


@_check
def scattered_to_zeros(operation, dy, shape, dim, index):
    """`moves.scattered_to_zeros`"""

    def code(operation, dy, shape, dim, index):
        given, places = floats(operation, "dy", dy), indices(operation, "index", index)
        same_shape(operation, "dy", given, "index", places)
        axis = axis_of(operation, dim, len(shape))
        if not places.size:
            return np.zeros(shape, given.dtype)
        result = np.empty(shape, given.dtype)
        into = at_least_1d(result), np.zeros(1, given.dtype)
        scatter_into(operation, "sum", into, axis, at_least_1d(places), given.reshape(-1), None)
        return result

    return code


# --- rows added ------------------------------------------------------------------------------------------------------


@_check
def rows_added(operation, x, dim, index, source, alpha, out):
    """`moves.rows_added`"""

    def code(operation, x, dim, index, source, alpha, out):
        given, terms = array(operation, "x", x), array(operation, "source", source)
        same_dtype(operation, "x", given, "source", terms)
        axis, wide = axis_of(operation, dim, given.ndim), at_least_1d(given)
        places = vector(operation, index)
        terms = shaped(operation, "source", at_least_1d(terms), replaced(wide.shape, axis, places.size))
        result, initial = target(operation, out, given, places, terms)
        if terms.size:
            _add_rows(operation, (result, initial), given, axis, places, terms, alpha)
            return result
        within(operation, "index", places, wide.shape[axis])
        if initial.size:
            result.reshape(-1)[:] = initial
        return result

    return code


@_check
def _add_rows(operation, into, x, dim, index, source, alpha):
    if x.dtype == types.boolean and source.dtype == types.boolean:

        def of_bool(operation, into, x, dim, index, source, alpha):
            each = np.empty(source.shape, np.int64)
            A, _, m, B = sizes(source.shape, dim, index.size)
            spread = each.reshape((A, m, B))
            for j in range(m):
                spread[:, j, :] = index[j]
            terms = source if alpha != 0 else np.zeros(source.shape, np.bool_)
            result, initial = into
            scatter_into(operation, "sum", (at_least_1d(result), initial), dim, each, terms.reshape(-1), None)

        return of_bool
    if x.dtype != source.dtype:  # refused already
        return lambda operation, into, x, dim, index, source, alpha: None

    def code(operation, into, x, dim, index, source, alpha):
        result, initial = at_least_1d(into[0]), into[1]
        if not _are_added(result, initial, dim, index, source, one(alpha, x)):
            within(operation, "index", index, result.shape[dim])

    return code


@jit
def _are_added(result, initial, dim, index, source, factor):
    """`moves._add_rows`; False, and nothing is done, if an index is outside."""
    extents, threads = sizes(result.shape, dim, index.size), threads_for(result.size + source.size, 0)
    return add_loop(extents, initial, index, source.reshape(-1), factor, result.reshape(-1), threads)


@_check
def rows_added_to_zeros(operation, dy, shape, dim, index):
    """`moves.rows_added_to_zeros`"""

    def code(operation, dy, shape, dim, index):
        given = at_least_1d(floats(operation, "dy", dy))
        axis, wide = axis_of(operation, dim, len(shape)), _wide(shape)
        places = vector(operation, index)
        terms = shaped(operation, "dy", given, replaced(wide, axis, places.size))
        zero, result = np.zeros(1, given.dtype), np.empty(shape, given.dtype)
        if terms.size == 0:
            result.reshape(-1)[:] = 0
        one_time, into = np.ones(1, given.dtype), result.reshape(wide)
        if terms.size == 0 or not _are_added(into, zero, axis, places, terms, one_time):
            within(operation, "index", places, wide[axis])
        return result

    return code


@_check
def _wide(shape):
    if len(shape):
        return lambda shape: shape
    return lambda shape: (np.int64(1),)


# --- functions -------------------------------------------------------------------------------------------------------


@in_njit(gathering.gather)
def _gather_entry(x, dim, index, out):
    return gathered("gather", x, dim, index, out)


@in_njit(gathering.gather_backward)
def _gather_backward(dy, shape, dim, index):
    return scattered_to_zeros("gather_backward", dy, shape, dim, index)


@in_njit(gathering.index_select)
def _index_select(x, dim, index, out):
    return selected("index_select", x, dim, index, out)


@in_njit(gathering.index_select_backward)
def _index_select_backward(dy, shape, dim, index):
    return rows_added_to_zeros("index_select_backward", dy, shape, dim, index)


@in_njit(scattering.scatter)
def _scatter(x, dim, index, src, out):
    return scattered("scatter", "assign", x, dim, index, src, out, None)


@in_njit(scattering.scatter_add)
def _scatter_add(x, dim, index, src, out):
    return scattered("scatter_add", "sum", x, dim, index, src, out, None)


@_check
def _nothing_like(x):
    rank = x.ndim
    return lambda x: absent(rank, x)


@in_njit(scattering.scatter_backward)
def _scatter_backward(dy, dim, index, needs):
    given, places = floats("scatter_backward", "dy", dy), indices("scatter_backward", "index", index)
    dx, dsrc = _nothing_like(given), _no_gradient(given, places)
    if needs[0]:
        dx = scattered("scatter_backward", "assign", given, dim, places, 0.0, None, None)
    if needs[1]:
        dsrc = gathered("scatter_backward", given, dim, places, None)
    return dx, dsrc


@_check
def _no_gradient(dy, index):
    rank = index.ndim
    return lambda dy, index: absent(rank, dy)


@in_njit(scattering.scatter_add_backward)
def _scatter_add_backward(dy, dim, index, needs):
    given, places = floats("scatter_add_backward", "dy", dy), indices("scatter_add_backward", "index", index)
    dx = given.copy() if needs[0] else _nothing_like(given)
    dsrc = gathered("scatter_add_backward", given, dim, places, None) if needs[1] else _no_gradient(given, places)
    return dx, dsrc


@in_njit(scattering.index_add)
def _index_add(x, dim, index, source, alpha, out):
    return rows_added("index_add", x, dim, index, source, alpha, out)


@in_njit(scattering.index_add_backward)
def _index_add_backward(dy, dim, index, alpha, needs):
    given = floats("index_add_backward", "dy", dy)
    dx = given.copy() if needs[0] else _nothing_like(given)
    dsource = _nothing_like(given)
    if needs[1]:
        dsource = selected("index_add_backward", given, dim, index, None)
        if alpha != 1:
            scale(dsource.reshape(-1), given.dtype.type(alpha))
    return dx, dsource


@jit(fastmath=False)
def scale(x, factor):
    for i in range(x.size):
        x[i] *= factor
