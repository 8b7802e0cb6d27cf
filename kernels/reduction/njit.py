"""The reductions in jitted code."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, like, same_dtype
from kernels._njit_errors import Index, Value, _check, text_of
from kernels._njit_sizes import product, replaced, split, threads_for
from kernels.machine import cache_bytes, lanes, vector_bytes
from kernels.reduction import exponentials, extremes, logarithms, logsum, sums
from kernels.reduction._njit_layout import axes_of, expect_shape, reduced_shape, run_before
from kernels.simd import address

L3, VECTOR, LANES_32, LANES_64 = cache_bytes(3), vector_bytes(), lanes(np.float32), lanes(np.float64)
INFINITY = np.inf

# --- softmax and log_softmax -----------------------------------------------------------------------------------------


def _forward(public, loops):
    """What `blocks.forward` does."""
    operation, loops = public.__name__, by_address(loops, f"{public.__name__} loops")

    def entry(x, dim):
        x = floats(operation, "x", x)
        outer, n, inner = split(operation, x, dim)
        y = np.empty(x.shape, x.dtype)
        if x.size:
            loops(outer, n, inner, threads_for(x.size, 0), x.reshape(-1), y.reshape(-1))
        return y

    in_njit(public)(entry)


def _backward(public, loops):
    """What `blocks.backward` does."""
    operation, loops = public.__name__, by_address(loops, f"{public.__name__} loops")

    def entry(dy, y, dim):
        dy, given = floats(operation, "dy", dy), floats(operation, "y", y)
        same_dtype(operation, "dy", dy, "y", given)
        y = like(given, dy)
        expect_shape(operation, "dy", dy, y.shape)
        outer, n, inner = split(operation, y, dim)
        dx = np.empty(y.shape, y.dtype)
        if y.size:
            aligned = address(dx) % VECTOR == 0 and n % (LANES_32 if y.itemsize == 4 else LANES_64) == 0
            streaming = inner == 1 and aligned and 3 * dx.size * dx.itemsize > L3
            threads = threads_for(y.size, 0)
            loops(outer, n, inner, threads, dy.reshape(-1), y.reshape(-1), dx.reshape(-1), streaming)
        return dx

    in_njit(public)(entry)


_forward(exponentials.softmax, exponentials.softmax_loops)
_backward(exponentials.softmax_backward, exponentials.softmax_backward_loops)
_forward(logarithms.log_softmax, logarithms.log_softmax_loops)
_backward(logarithms.log_softmax_backward, logarithms.log_softmax_backward_loops)

# --- sum and mean ----------------------------------------------------------------------------------------------------

sum_all, sum_axis = by_address(sums.sum_all), by_address(sums.sum_axis)


def _over_runs(run):
    """Jitted ``reduce(x, axes, result)``: ``run(y, left, outer, n, inner)`` for each run of adjacent axes, the last one
    first, on what the one before has left."""

    @jit
    def reduce(x, axes, result):
        y, i, last, inner = x.reshape(-1), len(axes), x.ndim, np.int64(1)
        while i > 0:
            i, start, stop = run_before(axes, i)
            inner *= product(x.shape, stop, last)
            outer, n, last = product(x.shape, 0, start), product(x.shape, start, stop), start
            left = np.empty(outer * inner, x.dtype) if i else result.reshape(-1)
            run(y, left, outer, n, inner)
            y = left

    return reduce


def _total(public, mean):
    """The entry of ``public(x, dim=None, keepdim=False)``: what `sums._along_axes` does."""
    operation = public.__name__

    @jit
    def run(y, left, outer, n, inner):
        sum_axis(y, left, outer, n, inner, float(n) if mean else 1.0, threads_for(y.size, 0))

    reduce = _over_runs(run)

    @_check
    def along(x, axes, result):
        if len(axes) < x.ndim:
            return lambda x, axes, result: reduce(x, axes, result)

        def everything(x, axes, result):
            total = np.empty((), x.dtype)
            sum_all(x.reshape(-1), total, float(x.size) if mean else 1.0, threads_for(x.size, 0))
            result.reshape(-1)[0] = total[()]

        return everything

    def entry(x, dim, keepdim):
        x = floats(operation, "x", x)
        axes = axes_of(operation, dim, x.shape)
        result = np.empty(reduced_shape(x.shape, axes, keepdim), x.dtype)
        along(x, axes, result)
        return result

    in_njit(public, literal=("keepdim",))(entry)


_total(sums.sum, False)
_total(sums.mean, True)


@jit(fastmath=False)
def divided(dy, n):
    """dy / n, rounded as NumPy does."""
    result, elements, divisor = np.empty(dy.shape, dy.dtype), dy.reshape(-1), dy.dtype.type(n)
    flat = result.reshape(-1)
    for i in range(dy.size):
        flat[i] = elements[i] / divisor
    return result


@_check
def _repeated(dy, shape, kept):
    """`dy` along the axes of `shape` that have length 1 in `kept`."""
    if not len(shape):
        return lambda dy, shape, kept: dy.copy()

    def code(dy, shape, kept):
        dx = np.empty(shape, dy.dtype)
        dx[...] = np.broadcast_to(dy.reshape(kept), shape)
        return dx

    return code


@_check
def _length_of(shape, axes):
    """How many elements are reduced to one."""

    def code(shape, axes):
        n = np.int64(1)
        for axis in axes:
            n *= shape[axis]
        return n

    return code if len(axes) else lambda shape, axes: np.int64(1)


def _repeat(public, mean):
    """The entry of ``public(dy, shape, dim=None, keepdim=False)``: what `sums._repeat` does."""
    operation = public.__name__

    def entry(dy, shape, dim, keepdim):
        dy = floats(operation, "dy", dy)
        axes = axes_of(operation, dim, shape)
        expect_shape(operation, "dy", dy, reduced_shape(shape, axes, keepdim))
        if mean:
            dy = divided(dy, max(_length_of(shape, axes), 1))
        return _repeated(dy, shape, reduced_shape(shape, axes, True))

    in_njit(public, literal=("keepdim",))(entry)


_repeat(sums.sum_backward, False)
_repeat(sums.mean_backward, True)

# --- max and argmax --------------------------------------------------------------------------------------------------

max_axis = by_address(extremes.max_axis)
scatter, divide_among_ties = by_address(extremes._scatter), by_address(extremes._divide_among_ties)


@_check
def _slices(operation, x, dim):
    """Shape of `x` as (outer, n, inner) along `dim`; without it, as one slice."""
    message = f"{text_of('operation', operation)}: nothing to reduce: x is {{}}, dim is {{}}"

    def everything(operation, x, dim):
        if x.size == 0:
            raise Value(message, x.shape, None)
        return np.int64(1), x.size, np.int64(1)

    def code(operation, x, dim):
        outer, n, inner = split(operation, x, dim)
        if n == 0:
            raise Value(message, x.shape, dim)
        return outer, n, inner

    return everything if isinstance(dim, types.NoneType) else code


@_check
def _maxima(operation, x, dim, keepdim):
    """`extremes._max`"""

    def code(operation, x, dim, keepdim):
        x = floats(operation, "x", x)
        outer, n, inner = _slices(operation, x, dim)
        shape = reduced_shape(x.shape, axes_of(operation, dim, x.shape), keepdim)
        values, places = np.empty(shape, x.dtype), np.empty(shape, np.int64)
        threads = threads_for(x.size, 0)
        max_axis(x.reshape(-1), values.reshape(-1), places.reshape(-1), outer, n, inner, threads)
        return values, places

    return code


@_check
def _with_places(values, places, dim):
    """What `max` returns."""
    if isinstance(dim, types.NoneType):
        return lambda values, places, dim: values
    return lambda values, places, dim: (values, places)


@in_njit(extremes.max, literal=("keepdim",))
def _max(x, dim, keepdim):
    values, places = _maxima("max", x, dim, keepdim)
    return _with_places(values, places, dim)


@in_njit(extremes.argmax, literal=("keepdim",))
def _argmax(x, dim, keepdim):
    return _maxima("argmax", x, dim, keepdim)[1]


@in_njit(extremes.max_backward, literal=("keepdim",))
def _max_backward(dy, x, dim, keepdim, indices):
    operation = "max_backward"
    dy, given = floats(operation, "dy", dy), floats(operation, "x", x)
    same_dtype(operation, "dy", dy, "x", given)
    x = like(given, dy)
    shape = reduced_shape(x.shape, axes_of(operation, dim, x.shape), keepdim)
    expect_shape(operation, "dy", dy, shape)
    dx = np.zeros(x.shape, x.dtype)
    if dim is None:
        if x.size == 0:
            raise Value("max_backward: nothing to reduce: x is {}", x.shape)
        slope = np.empty((), dy.dtype)
        slope[()] = dy.reshape(-1)[0]
        divide_among_ties(slope, x.reshape(-1), dx.reshape(-1))
    else:
        places = _places(x, dim, keepdim, indices)
        expect_shape(operation, "indices", places, shape)
        _, n, inner = split(operation, x, dim)
        flat = places.reshape(-1)
        wrong = scatter(dy.reshape(-1), flat, dx.reshape(-1), n, inner)
        if wrong >= 0:
            raise Index("max_backward: index {} is out of range for length {}", flat[wrong], n)
    return dx


@_check
def _places(x, dim, keepdim, given):
    """The indices of the maxima: those given, or computed again."""
    if isinstance(given, types.NoneType):
        return lambda x, dim, keepdim, given: _maxima("argmax", x, dim, keepdim)[1]
    return lambda x, dim, keepdim, given: indices("max_backward", "indices", given)


# --- logsumexp -------------------------------------------------------------------------------------------------------

logsumexp_loops = by_address(logsum.logsumexp_loops, "logsumexp loops")
logsumexp_backward_loops = by_address(logsum.logsumexp_backward_loops, "logsumexp_backward loops")


@jit
def _logsumexp_run(y, left, outer, n, inner):
    if n == 0:
        left[:] = -INFINITY
    else:
        logsumexp_loops(outer, n, inner, threads_for(y.size, 0), y, left)


logsumexp_over_runs = _over_runs(_logsumexp_run)


@_check
def _logsumexp_along(x, axes, result):
    if len(axes):
        return lambda x, axes, result: logsumexp_over_runs(x, axes, result)

    def of_one(x, axes, result):
        result[()] = x[()]

    return of_one


@in_njit(logsum.logsumexp, literal=("keepdim",))
def _logsumexp(x, dim, keepdim):
    x = floats("logsumexp", "x", x)
    axes = axes_of("logsumexp", dim, x.shape)
    result = np.empty(reduced_shape(x.shape, axes, keepdim), x.dtype)
    _logsumexp_along(x, axes, result)
    return result


@_check
def _same_dtypes(dy, x, y):
    """`_checks.same_dtype` of three arrays."""
    if dy.dtype == x.dtype == y.dtype:
        return lambda dy, x, y: None
    found = f"dy is {dy.dtype}, x is {x.dtype}, y is {y.dtype}"
    message = f"logsumexp_backward: dtypes differ: {found}"

    def code(dy, x, y):
        raise TypeError(message)

    return code


@jit(inline=True)
def _in_place(dy, x, y, outer, n, inner):
    dx = np.empty(x.shape, x.dtype)
    if x.size:
        arrays = x.reshape(-1), dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
        logsumexp_backward_loops(outer, n, inner, threads_for(x.size, 0), *arrays)
    return dx


@_check
def _logsumexp_gradient(dy, x, y, axes):
    """dx of validated arrays: of adjacent axes where they lie; others are moved together, to the end."""
    number, ndim = len(axes), x.ndim

    if number == 0:
        return lambda dy, x, y, axes: _in_place(dy, x, y, np.int64(1), x.size, np.int64(1))
    if number == 1 or number >= ndim:

        def adjacent(dy, x, y, axes):
            first, end = axes[0], axes[number - 1] + 1
            outer, n = product(x.shape, 0, first), product(x.shape, first, end)
            return _in_place(dy, x, y, outer, n, product(x.shape, end, ndim))

        return adjacent
    zeros = (0,) * ndim

    def code(dy, x, y, axes):
        first, end = axes[0], axes[number - 1] + 1
        if end - first == number:
            outer, n = product(x.shape, 0, first), product(x.shape, first, end)
            return _in_place(dy, x, y, outer, n, product(x.shape, end, ndim))
        order, back, left, following = zeros, zeros, 0, 0
        for axis in range(ndim):
            if following < number and axes[following] == axis:
                place = ndim - number + following
                following += 1
            else:
                place = left
                left += 1
            order, back = replaced(order, place, axis), replaced(back, axis, place)
        moved = np.ascontiguousarray(x.transpose(order))
        dx = _in_place(dy, moved, y, y.size, x.size // max(y.size, 1), np.int64(1))
        return np.ascontiguousarray(dx.transpose(back))

    return code


@in_njit(logsum.logsumexp_backward, literal=("keepdim",))
def _logsumexp_backward(dy, x, y, dim, keepdim):
    operation = "logsumexp_backward"
    dy, given_x, given_y = floats(operation, "dy", dy), floats(operation, "x", x), floats(operation, "y", y)
    _same_dtypes(dy, given_x, given_y)
    x, y = like(given_x, dy), like(given_y, dy)
    axes = axes_of(operation, dim, x.shape)
    shape = reduced_shape(x.shape, axes, keepdim)
    expect_shape(operation, "dy", dy, shape)
    expect_shape(operation, "y", y, shape)
    return _logsumexp_gradient(dy, x, y, axes)
