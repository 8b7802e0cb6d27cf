"""`scatter_reduce` in jitted code. What Python leaves to NumPy is compiled without the fast-math set."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_checks import floats, indices, like, same_dtypes
from kernels._njit_errors import Value, _check, failed
from kernels._njit_operands import absent
from kernels._njit_sizes import choice, replaced
from kernels.lookup import combining
from kernels.lookup.combining import _identity
from kernels.lookup.njit_along import gathered, scattered
from kernels.lookup.njit_operands import at_least_1d, corner

# --- identities and means --------------------------------------------------------------------------------------------


@_check
def _identity_of(reduce, x, include_self):
    """An array of what changes nothing in the reduction, of size 0 where elements of x take part."""
    word, known = reduce.literal_value, {types.float32, types.float64, types.int64, types.int32, types.boolean}
    dtype = np.dtype(str(x.dtype)) if x.dtype in known else np.dtype(np.float64)
    value = np.full(1, _identity(word, dtype) if word in combining.REDUCES else 0, dtype)[0]

    def code(reduce, x, include_self):
        values = np.empty(0 if include_self else 1, dtype)
        values[:] = value
        return values

    return code


@_check
def _terms(operation, y, dim, index, include_self):
    """`combining._terms`"""

    def code(operation, y, dim, index, include_self):
        counts = np.empty(y.shape, y.dtype)
        flat = counts.reshape(-1)
        flat[:] = 1 if include_self else 0
        scattered(operation, "sum", counts, dim, index, 1, counts, None)
        if not include_self:
            for i in range(flat.size):
                flat[i] = max(flat[i], 1)
        return counts

    return code


@jit(fastmath=False)
def _divide(y, counts):
    for i in range(y.size):
        y[i] = y[i] / counts[i]


@jit(fastmath=False)
def _divide_down(y, counts):
    for i in range(y.size):
        y[i] = y[i] // counts[i]


@in_njit(combining.scatter_reduce)
def _scatter_reduce(x, dim, index, src, reduce, include_self, out):
    choice("scatter_reduce", "reduce", reduce, ("sum", "prod", "mean", "amax", "amin"))
    return _reduced(x, dim, index, src, reduce, include_self, out)


@_check
def _reduced(x, dim, index, src, reduce, include_self, out):
    word, operation = reduce.literal_value, "scatter_reduce"
    if not isinstance(x, types.Array):
        return lambda x, dim, index, src, reduce, include_self, out: scattered(
            operation, "sum", x, dim, index, src, out, None
        )
    if word == "mean" and x.dtype == types.boolean:

        def refused(x, dim, index, src, reduce, include_self, out):
            if failed():
                raise TypeError("scatter_reduce: reduce 'mean' is not for bool")
            return x.copy()

        return refused
    divide = _divide if isinstance(x.dtype, types.Float) else _divide_down

    def mean(x, dim, index, src, reduce, include_self, out):
        identity = _identity_of(reduce, x, include_self)
        y = scattered(operation, "sum", x, dim, index, src, out, identity)
        counts = _terms(operation, y, dim, index, include_self)
        divide(y.reshape(-1), counts.reshape(-1))
        return y

    if word == "mean":
        return mean
    how = word if word in combining.REDUCES else "sum"

    def code(x, dim, index, src, reduce, include_self, out):
        return scattered(operation, how, x, dim, index, src, out, _identity_of(reduce, x, include_self))

    return code


# --- gradients -------------------------------------------------------------------------------------------------------


@in_njit(combining.scatter_reduce_backward)
def _scatter_reduce_backward(dy, x, dim, index, src, reduce, y, include_self, needs):
    name = "scatter_reduce_backward"
    choice(name, "reduce", reduce, ("sum", "prod", "mean", "amax", "amin"))
    given_dy, given_x = floats(name, "dy", dy), floats(name, "x", x)
    given_y, given_src = floats(name, "y", y), floats(name, "src", src)
    same_dtypes(name, ("dy", "x", "src", "y"), (given_dy, given_x, given_src, given_y))
    _same_shapes(given_dy, given_x, given_y)
    places = indices(name, "index", index)
    cut = like(_cut(given_src, places), given_x)
    flat_dy, flat_y = like(given_dy, given_x).reshape(-1), like(given_y, given_x).reshape(-1)
    wide = at_least_1d(given_x)
    arrays = flat_dy.reshape(wide.shape), wide, flat_y.reshape(wide.shape), cut.reshape(-1)
    dx, dsrc = _gradients(arrays, dim, at_least_1d(places), reduce, include_self, needs)
    return _in_shape(given_x, dx, needs[0]), _in_shape(places, dsrc, needs[1])


@_check
def _in_shape(like_, values, needed):
    """Flat values in a shape, or an array of size 0 of that rank."""
    rank = like_.ndim

    def code(like_, values, needed):
        return values.reshape(like_.shape) if needed else absent(rank, values)

    return code


@_check
def _same_shapes(dy, x, y):
    message = "scatter_reduce_backward: shapes differ: dy is {}, x is {}, y is {}"
    if dy.ndim == x.ndim == y.ndim:

        def code(dy, x, y):
            if dy.shape != x.shape or dy.shape != y.shape:
                raise Value(message, dy.shape, x.shape, y.shape)

        return code

    def refused(dy, x, y):
        raise Value(message, dy.shape, x.shape, y.shape)

    return refused


@_check
def _cut(src, index):
    """`src`, of which the first elements in each dimension must have the shape of the index."""
    message = "scatter_reduce_backward: shapes differ: src is {}, index is {}"
    if src.ndim != index.ndim:

        def refused(src, index):
            if failed():
                raise Value(message, src.shape, index.shape)
            return src.reshape(-1)

        return refused
    if src.ndim == 0:
        return lambda src, index: src.reshape(-1)

    def code(src, index):
        if src.shape == index.shape:
            return src.reshape(-1)
        for axis in range(src.ndim):
            if src.shape[axis] < index.shape[axis]:
                raise Value(message, _smaller(src.shape, index.shape), index.shape)
        return corner(src, index.shape).copy().reshape(-1)

    return code


@_check
def _smaller(shape, limits):
    """The smaller size of each dimension."""

    def code(shape, limits):
        sizes = shape
        for axis in range(len(shape)):
            sizes = replaced(sizes, axis, min(shape[axis], limits[axis]))
        return sizes

    return code


@_check
def _gradients(arrays, dim, index, reduce, include_self, needs):
    """dx and dsrc, flat, of which those that are not needed are of size 0."""
    word, operation = reduce.literal_value, "scatter_reduce_backward"
    if word == "prod":
        compute = _product_gradients
    elif word in ("amax", "amin"):
        compute = _extreme_gradients
    else:
        compute = _sum_gradients
    mean = word == "mean"

    def code(arrays, dim, index, reduce, include_self, needs):
        dy, x, y, src = arrays
        if mean:
            counts = _terms(operation, dy, dim, index, include_self)
            dy = dy.copy()
            _divide(dy.reshape(-1), counts.reshape(-1))
        dx, dsrc = compute((dy, x, y, src.reshape(index.shape)), dim, index, include_self, needs)
        if needs[0] and not include_self:
            dx = scattered(operation, "assign", dx.reshape(x.shape), dim, index, 0.0, None, None).reshape(-1)
        return dx, dsrc

    return code


@_check
def _sum_gradients(arrays, dim, index, include_self, needs):
    def code(arrays, dim, index, include_self, needs):
        dy = arrays[0]
        dx, dsrc = dy.reshape(-1)[:0], dy.reshape(-1)[:0]
        if needs[0]:
            dx = dy.copy().reshape(-1)
        if needs[1]:
            dsrc = gathered("scatter_reduce_backward", dy, dim, index, None).reshape(-1)
        return dx, dsrc

    return code


@_check
def _product_gradients(arrays, dim, index, include_self, needs):
    """A factor of 0 is left out of the product and the quotient is not taken, unless there are two."""
    operation = "scatter_reduce_backward"

    def code(arrays, dim, index, include_self, needs):
        dy, x, y, src = arrays
        dx, dsrc = dy.reshape(-1)[:0], dy.reshape(-1)[:0]
        identity = np.ones(0 if include_self else 1, x.dtype)
        if needs[0]:
            nonzero = _or_one(x, _is_zero(x))
            products = scattered(operation, "prod", nonzero, dim, index, src, None, identity)
            dx = _product_over(dy.reshape(-1), products.reshape(-1), nonzero.reshape(-1))
        if needs[1]:
            zeros = scattered(operation, "sum", np.zeros(x.shape, x.dtype), dim, index, _is_zero(src), None, None)
            single = gathered(operation, zeros, dim, index, None)
            _only_single(single.reshape(-1), src.reshape(-1))
            without = scattered(operation, "prod", x, dim, index, _or_one(src, single), None, identity)
            scaled, others = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
            _multiply(dy.reshape(-1), y.reshape(-1), scaled.reshape(-1))
            _multiply(dy.reshape(-1), without.reshape(-1), others.reshape(-1))
            quotients = gathered(operation, scaled, dim, index, None).reshape(-1)
            theirs = gathered(operation, others, dim, index, None).reshape(-1)
            dsrc = _quotients(quotients, theirs, src.reshape(-1), single.reshape(-1))
        return dx, dsrc

    return code


@jit(fastmath=False)
def _or_one(x, marks):
    """x, but 1 where `marks` is 1."""
    result = x.copy()
    flat, chosen = result.reshape(-1), marks.reshape(-1)
    for i in range(flat.size):
        if chosen[i] == 1:
            flat[i] = 1
    return result


@jit(fastmath=False)
def _product_over(dy, products, nonzero):
    dx = np.empty(dy.size, dy.dtype)
    for i in range(dx.size):
        dx[i] = dy[i] * products[i] / nonzero[i]
    return dx


@jit(fastmath=False)
def _is_zero(src):
    result = np.zeros(src.shape, src.dtype)
    marks, flat = result.reshape(-1), src.reshape(-1)
    for i in range(flat.size):
        marks[i] = 1 if flat[i] == 0 else 0
    return result


@jit(fastmath=False)
def _only_single(zeros, src):
    """1 where an element of src is 0 and the only one that is; `zeros` has their number, and receives it."""
    for i in range(src.size):
        zeros[i] = 1 if src[i] == 0 and zeros[i] == 1 else 0


@jit(fastmath=False)
def _multiply(a, b, out):
    for i in range(out.size):
        out[i] = a[i] * b[i]


@jit(fastmath=False)
def _quotients(quotients, others, src, single):
    dsrc = np.empty(src.size, src.dtype)
    for i in range(src.size):
        dsrc[i] = others[i] if single[i] == 1 else quotients[i] / (src.dtype.type(1) if src[i] == 0 else src[i])
    return dsrc


@_check
def _extreme_gradients(arrays, dim, index, include_self, needs):
    operation = "scatter_reduce_backward"

    def code(arrays, dim, index, include_self, needs):
        dy, x, y, src = arrays
        mine, theirs = _equal(x, y), _equal(src, gathered(operation, y, dim, index, None))
        shares = dy.copy()
        _divide(shares.reshape(-1), scattered(operation, "sum", mine, dim, index, theirs, None, None).reshape(-1))
        of_index = gathered(operation, shares, dim, index, None).reshape(-1)
        dx, dsrc = np.empty(x.size, x.dtype), np.empty(src.size, x.dtype)
        _multiply(mine.reshape(-1), shares.reshape(-1), dx)
        _multiply(theirs.reshape(-1), of_index, dsrc)
        return dx, dsrc

    return code


@jit(fastmath=False)
def _equal(a, b):
    """1 where the elements are equal, else 0."""
    result = np.empty(a.shape, a.dtype)
    marks, one, other = result.reshape(-1), a.reshape(-1), b.reshape(-1)
    for i in range(marks.size):
        marks[i] = 1 if one[i] == other[i] else 0
    return result
