"""Power-average pooling in jitted code."""

import numpy as np
from numba import boolean, int64, types
from numba.types import Tuple

from kernels._jit import Compiled, jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, like, same_dtypes
from kernels._njit_errors import Kind, Value, _check, failed, text_of
from kernels.pooling import power
from kernels.pooling.njit_average import run_average, run_spread
from kernels.pooling.njit_maximum import add_at, run_max, scatter
from kernels.pooling.njit_windows import elements_of, gradient_of, grain_and_threads, windows_of, with_planes

# --- loops and their arguments ---------------------------------------------------------------------------------------


def _lines(loops, name, fields):
    """The loops by address; `fields` are the types of their arguments for a dtype: x an array, p a number, f flags."""

    def types_of(kind):
        each = {"x": kind[::1], "p": kind, "f": boolean[::1]}
        return Tuple([each[field] for field in fields]), int64, int64, int64

    return by_address(Compiled(loops, types_of), name)


powers, roots = _lines(power._powers, "powers", "xpxppf"), _lines(power._roots, "roots", "xpp")
factors_of = _lines(power._factors, "factors", "xxppxppf")
times_powers = _lines(power._times_powers, "times powers", "xxpppf")


@_check
def exponent(operation, value):
    """`norm_type` as a float."""
    if not isinstance(types.unliteral(value), types.Number):
        message = f"{text_of('operation', operation)}: norm_type must be a number, got {{!r}}"

        def refused(operation, value):
            if failed():
                raise Kind(message, value)
            return 1.0

        return refused
    message = f"{text_of('operation', operation)}: norm_type must be inf, or finite and not 0, got {{}}"

    def code(operation, value):
        if not -np.inf < value or value == 0:
            raise Value(message, value)
        return float(value)

    return code


@jit(fastmath=False)
def bounds(p, x, part):
    """As `power._bounds`, in the dtype of `x`."""
    real = x.dtype.type
    if p == 1:
        return real(0.0), real(np.inf)
    far = np.float64(np.finfo(x.dtype).max) ** (part / max(abs(np.float64(p)), 1.0))
    return real(1.0 / far), real(far)


@jit
def _pool(x, norm, w):
    """The result, and whether powers come near to overflow."""
    planes, sizes, size, out, shape = w
    source, target = with_planes(planes, size), with_planes(planes, out)
    p, each, y, far = x.dtype.type(norm), np.empty(source, x.dtype), np.empty(shape, x.dtype), np.zeros(1, np.bool_)
    smallest, largest = bounds(p, x, 0.9)
    powers((x.reshape(-1), p, each.reshape(-1), smallest, largest, far), x.size, *grain_and_threads(x.size, x.size))
    run_average(each, sizes, True, np.int64(0), y.reshape(target))
    factor = x.dtype.type(elements_of(sizes))
    roots((y.reshape(-1), p, factor), y.size, *grain_and_threads(y.size, y.size))
    return y, far[0]


@_check
def pooled(x, norm, w):
    """The result; for float32 in float64 where powers come near to overflow."""
    if x.dtype == types.float64:
        return lambda x, norm, w: _pool(x, norm, w)[0]

    def code(x, norm, w):
        y, far = _pool(x, norm, w)
        if far:
            wide, _ = _pool(x.astype(np.float64), norm, w)
            return wide.astype(np.float32)
        return y

    return code


@jit
def _spread(dy, x, y, norm, w):
    """The gradient, and whether its terms come near to overflow."""
    planes, sizes, size, out, _ = w
    p, terms, dx = x.dtype.type(norm), np.empty(with_planes(planes, out), x.dtype), np.empty(x.shape, x.dtype)
    # a product of three, each of which may go a part of the way to overflow
    far, factor = np.zeros(1, np.bool_), x.dtype.type(elements_of(sizes))
    smallest, largest = bounds(p, x, 0.45)
    smallest_dy, largest_dy = bounds(x.dtype.type(-1.0), x, 0.45)
    arguments = dy.reshape(-1), y.reshape(-1), p, factor, terms.reshape(-1), smallest_dy, largest_dy, far
    factors_of(arguments, dy.size, *grain_and_threads(dy.size, dy.size))
    run_spread(terms, sizes, True, np.int64(0), dx.reshape(with_planes(planes, size)))
    arguments_of_power = dx.reshape(-1), x.reshape(-1), p, smallest, largest, far
    times_powers(arguments_of_power, x.size, *grain_and_threads(x.size, x.size))
    return dx, far[0]


@_check
def spread(dy, x, y, norm, w):
    """The gradient; for float32 in float64 where its terms come near to overflow."""
    if x.dtype == types.float64:
        return lambda dy, x, y, norm, w: _spread(dy, x, y, norm, w)[0]

    def code(dy, x, y, norm, w):
        dx, far = _spread(dy, x, y, norm, w)
        if far and np.float32(norm) != 1:
            wide, _ = _spread(dy.astype(np.float64), x.astype(np.float64), y.astype(np.float64), norm, w)
            return wide.astype(np.float32)
        return dx

    return code


@jit
def times_signs(dx, x):
    """``dx *= sign(x)``"""
    each, of = dx.reshape(-1), x.reshape(-1)
    for i in range(each.size):
        value = of[i]
        sign = 1.0 if value > 0 else -1.0 if value < 0 else 0.0 if value == 0 else np.nan
        each[i] *= dx.dtype.type(sign)


# --- entries ---------------------------------------------------------------------------------------------------------


def _forward(public, dims):
    operation = public.__name__

    def pool(x, norm_type, kernel_size, stride, ceil_mode):
        x = floats(operation, "x", x)
        w = windows_of(operation, x.shape, dims, (kernel_size, stride, 0, 1, ceil_mode))
        norm = exponent(operation, norm_type)
        if norm == np.inf:
            return run_max(np.abs(x), w, False)
        return pooled(x, norm, w)

    in_njit(public)(pool)


def _backward(public, dims):
    operation = public.__name__

    def back(dy, x, y, norm_type, kernel_size, stride, ceil_mode):
        x, y = floats(operation, "x", x), floats(operation, "y", y)
        w = windows_of(operation, x.shape, dims, (kernel_size, stride, 0, 1, ceil_mode))
        upstream = gradient_of(operation, dy, w[4])
        result = gradient_of(operation, y, w[4])
        same_dtypes(operation, ("dy", "x", "y"), (upstream, x, result))
        norm, upstream, result = exponent(operation, norm_type), like(upstream, x), like(result, x)
        if norm == np.inf:
            _, indices = run_max(np.abs(x), w, True)
            dx = scatter(operation, upstream, indices, x.shape, dims, add_at)
            times_signs(dx, x)
            return dx
        return spread(upstream, x, result, norm, w)

    in_njit(public)(back)


for _dims in (1, 2, 3):
    _forward(getattr(power, f"lp_pool{_dims}d"), _dims)
    _backward(getattr(power, f"lp_pool{_dims}d_backward"), _dims)
