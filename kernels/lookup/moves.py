"""Validation and loops of what moves elements along a dimension; the public functions of both directions use them."""

import numpy as np

from kernels import _checks
from kernels._indices import within
from kernels._threads import threads_for
from kernels.lookup import operands
from kernels.lookup.along import GATHER, SCATTER
from kernels.lookup.slices import ADD_ROWS, SELECT

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
    covered = operands.covered(operation, x.shape, dim, index)
    if covered is not None:
        x = _checks.contiguous(x[covered])
    if out is not None or not x.size:  # else the result is not yet anybody's
        within(operation, "index", index, x.shape[dim])
    sizes, target = operands.sizes(x.shape, dim, index.shape[dim]), operands.bits(result)
    if not GATHER[target.dtype](sizes, operands.bits(x), index.reshape(-1), target, threads_for(index.size)):
        within(operation, "index", index, x.shape[dim])
    return result


def selected(operation, x, dim, index, out=None):
    """``out[i] = x[index[i]]`` for dimension 0."""
    given = operands.array(operation, "x", x)
    dim, x = _checks.axis(operation, dim, given.ndim), operands.at_least_1d(given)
    index = operands.vector(operation, index)
    if given.ndim == 0 and index.size != 1:
        raise ValueError(f"{operation}: of a 0-d x, index must have 1 element, got {index.size}")
    shape = (*x.shape[:dim], index.size, *x.shape[dim + 1 :]) if given.ndim else ()
    result = _checks.output(operation, out, shape, x.dtype)
    if out is not None:
        _checks.no_overlap(operation, out, x=x, index=index)
    sizes, target = operands.sizes(x.shape, dim, index.size), operands.bits(result)
    threads = threads_for(target.size)
    if not target.size or not SELECT[target.dtype](sizes, operands.bits(x), index, target, threads):
        within(operation, "index", index, x.shape[dim])
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
    if not x.ndim:
        index = operands.at_least_1d(index)
    src = operands.source(operation, src, x, index)
    if out is not None:  # else the result is not yet anybody's
        within(operation, "index", index, x.shape[dim] if x.ndim else 1)
    _scatter(operation, how, (operands.at_least_1d(result), initial), dim, index, src, identity)
    return result


def scattered_to_zeros(operation, dy, shape, dim, index):
    """`dy`, of the shape of the index, added up in zeros of `shape`."""
    dy, index = _checks.floats(operation, "dy", dy), _checks.indices(operation, "index", index)
    _checks.same_shape(operation, dy=dy, index=index)
    shape = tuple(shape)
    dim = _checks.axis(operation, dim, len(shape))
    if not index.size:
        return np.zeros(shape, dy.dtype)
    result = _checks.new(shape, dy.dtype)
    into = operands.at_least_1d(result), np.zeros(1, dy.dtype)
    _scatter(operation, "sum", into, dim, operands.at_least_1d(index), dy, None)
    return result


def _scatter(operation, how, into, dim, index, src, identity):
    """Scatter into an array, which is filled with others first: ``into = array, others``, flat, or one for all."""
    result, initial = into
    covered = operands.covered(operation, result.shape, dim, index)
    part = result
    if covered is not None:  # the part of the result that the index covers, and back
        if initial.size:
            result.reshape(-1)[:] = initial
        part, initial = np.ascontiguousarray(result[covered]), initial[:0]
    if not part.size:  # the dimension has no elements for any index
        within(operation, "index", index, result.shape[dim])
    view = operands.bits if how == "assign" else operands.flat
    if result.dtype == np.bool_:
        how = OF_BOOL[how]
    identity, target = initial[:0] if identity is None else np.full(1, identity, result.dtype), view(part)
    sizes, places = operands.sizes(part.shape, dim, index.shape[dim]), index.reshape(-1)
    loop, threads = SCATTER[how][target.dtype], threads_for(part.size + index.size)
    if not loop(sizes, view(initial), view(identity), places, view(src), target, threads):
        within(operation, "index", index, result.shape[dim])
    if covered is not None:
        result[covered] = part


def rows_added(operation, x, dim, index, source, alpha, out=None):
    """A copy of `x` with ``out[index[i]] += alpha * source[i]`` for dimension 0."""
    given, source = operands.array(operation, "x", x), operands.array(operation, "source", source)
    _checks.same_dtype(operation, x=given, source=source)
    dim, x = _checks.axis(operation, dim, given.ndim), operands.at_least_1d(given)
    index, source = operands.vector(operation, index), operands.at_least_1d(source)
    expected = (*x.shape[:dim], index.size, *x.shape[dim + 1 :])
    if source.shape != expected:
        raise ValueError(f"{operation}: source must have shape {expected}, got {source.shape}")
    result, initial = operands.target(operation, out, given, index=index, source=source)
    if not source.size:
        within(operation, "index", index, x.shape[dim])
        np.copyto(result, given)
    elif x.dtype == np.bool_:
        each = index.reshape([-1 if axis == dim else 1 for axis in range(x.ndim)])
        source = source if alpha else np.zeros_like(source)
        scattered(operation, "sum", given, dim, np.broadcast_to(each, source.shape), source, result)
    else:
        _add_rows(operation, dim, (result.reshape(x.shape), initial), index, source, alpha)
    return result


def rows_added_to_zeros(operation, dy, shape, dim, index):
    """`dy` added up in slices of zeros of `shape`."""
    dy, shape = operands.at_least_1d(_checks.floats(operation, "dy", dy)), tuple(shape)
    dim, wide = _checks.axis(operation, dim, len(shape)), shape or (1,)
    index = operands.vector(operation, index)
    expected = (*wide[:dim], index.size, *wide[dim + 1 :])
    if dy.shape != expected:
        raise ValueError(f"{operation}: dy must have shape {expected}, got {dy.shape}")
    if not dy.size:
        within(operation, "index", index, wide[dim])
        return np.zeros(shape, dy.dtype)
    result = _checks.new(shape, dy.dtype)
    _add_rows(operation, dim, (result.reshape(wide), np.zeros(1, dy.dtype)), index, dy, 1)
    return result


def _add_rows(operation, dim, into, index, source, alpha):
    result, initial = into
    sizes, target = operands.sizes(result.shape, dim, index.size), result.reshape(-1)
    factor, threads = np.full(1, alpha, target.dtype), threads_for(result.size + source.size)
    if not ADD_ROWS[target.dtype](sizes, initial, index, source.reshape(-1), factor, target, threads):
        within(operation, "index", index, result.shape[dim])
