"""Validation and loops of what moves elements along a dimension; the public functions of both directions use them."""

import numpy as np

from kernels import _checks
from kernels._indices import within
from kernels._threads import threads_for
from kernels.lookup import operands
from kernels.lookup.along import SCATTER, Operand, Scattered, add_along, gather_along, select_along

OF_BOOL = {"assign": "assign", "sum": "amax", "prod": "amin", "amax": "amax", "amin": "amin"}  # sum: or, product: and


def gathered(operation, x, dim, index, out=None):
    """``out[i, j] = x[index[i, j], j]`` for dimension 0 of two."""
    x, index = operands.array(operation, "x", x), _checks.indices(operation, "index", index)
    dim = _checks.axis(operation, dim, x.ndim)
    result = _checks.output(operation, out, index.shape, x.dtype)
    if out is not None:
        _checks.no_overlap(operation, out, x=x, index=index)
    if not index.size:
        return result
    x, index = operands.at_least_1d(x), operands.at_least_1d(index)
    operands.check_index(operation, x.shape, dim, index)
    covered = operands.common(x.shape, dim, index)
    if covered is not None:
        x = _checks.contiguous(x[covered])
    if out is not None or not x.size:  # else the result is not yet anybody's
        within(operation, "index", index, x.shape[dim])
    _, sizes = operands.sizes(x.shape, dim, index.shape[dim])
    if not gather_along(sizes, operands.bits(x), index.reshape(-1), operands.bits(result), threads_for(index.size)):
        within(operation, "index", index, x.shape[dim])
    return result


def selected(operation, x, dim, index, out=None):
    """``out[i] = x[index[i]]`` for dimension 0."""
    given = operands.array(operation, "x", x)
    dim, x = _checks.axis(operation, dim, given.ndim), operands.at_least_1d(given)
    index = operands.vector(operation, index, x.shape[dim])
    if given.ndim == 0 and index.size != 1:
        raise ValueError(f"{operation}: of a 0-d x, index must have 1 element, got {index.size}")
    shape = (*x.shape[:dim], index.size, *x.shape[dim + 1 :]) if given.ndim else ()
    result = _checks.output(operation, out, shape, x.dtype)
    if out is not None:
        _checks.no_overlap(operation, out, x=x, index=index)
    if result.size:
        _, sizes = operands.sizes(x.shape, dim, index.size)
        select_along(sizes, operands.bits(x), index, operands.bits(result), threads_for(result.size))
    return result


def scattered(operation, how, x, dim, index, src, out=None, identity=None):
    """A copy of `x` with the elements of `src` combined: `how` is a key of SCATTER. With an identity, the elements
    that the index names count as that."""
    x, index = operands.array(operation, "x", x), _checks.indices(operation, "index", index)
    dim = _checks.axis(operation, dim, x.ndim)
    others = {"src": src} if isinstance(src, np.ndarray) else {}
    result, initial = operands.target(operation, out, x, index=index, **others)
    if not index.size:
        np.copyto(result, x)
        return result
    wide = operands.at_least_1d(x)
    index = operands.at_least_1d(index)
    operands.check_index(operation, wide.shape, dim, index)
    src = operands.source(operation, "src", src, x, index)
    if out is not None:  # else the result is not yet anybody's
        within(operation, "index", index, wide.shape[dim])
    _scatter(
        operation, how, (result.reshape(wide.shape), Operand(operands.flat(initial), 1)), dim, index, src, identity
    )
    return result


def scattered_to_zeros(operation, dy, shape, dim, index):
    """`dy`, of the shape of the index, added up in zeros of `shape`."""
    dy, index = _checks.floats(operation, "dy", dy), _checks.indices(operation, "index", index)
    _checks.same_shape(operation, dy=dy, index=index)
    shape = tuple(shape)
    dim = _checks.axis(operation, dim, len(shape))
    if not index.size:
        return np.zeros(shape, dy.dtype)
    result, wide = _checks.new(shape, dy.dtype), operands.at_least_1d(index)
    operands.check_index(operation, shape or (1,), dim, wide)
    into = result.reshape(shape or (1,)), Operand(np.zeros(1, dy.dtype), 0)
    _scatter(operation, "sum", into, dim, wide, Operand(dy.reshape(-1), 1), None)
    return result


def _scatter(operation, how, into, dim, index, src, identity):
    """Scatter into an array, which is first filled with an Operand (``into = array, operand``)."""
    result, initial = into
    covered = operands.common(result.shape, dim, index)
    part = result
    if covered is not None:  # the part of the result that the index covers, and back
        if initial.elements.size:
            result.reshape(-1)[:] = initial.elements.view(result.dtype)
        part, initial = np.ascontiguousarray(result[covered]), Operand(initial.elements[:0], 0)
    if not part.size:  # the dimension has no elements for any index
        within(operation, "index", index, result.shape[dim])
    view = operands.bits if how == "assign" else operands.flat
    A, sizes = operands.sizes(part.shape, dim, index.shape[dim])
    none = result[:0] if identity is None else np.full(1, identity, result.dtype)
    operation_of = OF_BOOL[how] if result.dtype == np.bool_ else how
    every = Scattered(
        Operand(view(initial.elements), initial.step),
        view(none),
        index.reshape(-1),
        Operand(view(src.elements), src.step),
    )
    if not SCATTER[operation_of](A, sizes, every, view(part), threads_for(part.size + index.size)):
        within(operation, "index", index, result.shape[dim])
    if covered is not None:
        result[covered] = part


def rows_added(operation, x, dim, index, source, alpha, out=None):
    """A copy of `x` with ``out[index[i]] += alpha * source[i]`` for dimension 0."""
    given, source = operands.array(operation, "x", x), operands.array(operation, "source", source)
    _checks.same_dtype(operation, x=given, source=source)
    dim, x = _checks.axis(operation, dim, given.ndim), operands.at_least_1d(given)
    index, source = operands.vector(operation, index, x.shape[dim]), operands.at_least_1d(source)
    expected = (*x.shape[:dim], index.size, *x.shape[dim + 1 :])
    if source.shape != expected:
        raise ValueError(f"{operation}: source must have shape {expected}, got {source.shape}")
    result, initial = operands.target(operation, out, given, index=index, source=source)
    if not source.size:
        np.copyto(result, given)
    elif x.dtype == np.bool_:
        each = index.reshape([-1 if axis == dim else 1 for axis in range(x.ndim)])
        source = source if alpha else np.zeros_like(source)
        scattered(operation, "sum", given, dim, np.broadcast_to(each, source.shape), source, result)
    else:
        _add_rows(dim, (result.reshape(x.shape), Operand(initial.reshape(-1), 1)), index, source, alpha)
    return result


def rows_added_to_zeros(operation, dy, shape, dim, index):
    """`dy` added up in slices of zeros of `shape`."""
    dy, shape = operands.at_least_1d(_checks.floats(operation, "dy", dy)), tuple(shape)
    dim, wide = _checks.axis(operation, dim, len(shape)), shape or (1,)
    index = operands.vector(operation, index, wide[dim])
    expected = (*wide[:dim], index.size, *wide[dim + 1 :])
    if dy.shape != expected:
        raise ValueError(f"{operation}: dy must have shape {expected}, got {dy.shape}")
    if not dy.size:
        return np.zeros(shape, dy.dtype)
    result = _checks.new(shape, dy.dtype)
    _add_rows(dim, (result.reshape(wide), Operand(np.zeros(1, dy.dtype), 0)), index, dy, 1)
    return result


def _add_rows(dim, into, index, source, alpha):
    result, initial = into
    A, sizes = operands.sizes(result.shape, dim, index.size)
    terms = source.reshape(-1), np.full(1, alpha, result.dtype)
    add_along(A, sizes, initial, index, terms, result.reshape(-1), threads_for(result.size + source.size))
