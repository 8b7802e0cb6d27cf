r"""Interpolation: an array resampled to another size.

Along one dimension, every mode is a short sum of 1 (nearest), 2 (linear) or 4 (cubic) terms with given places and
weights:

    y[o] = sum_t weight[o, t] x[place[o, t]]            dx[i] = sum of weight[o, t] dy[o] over all (o, t) with place i

and along several dimensions, one after the other: here the rows first, as vectors, then along the row. With the scale
r = n / O (or 1 / scale_factor), output o lies at r (o + 1/2) - 1/2 of the input, or with `align_corners`, which
aligns the outermost elements, at o (n - 1) / (O - 1). Nearest takes floor(r o), "nearest-exact" floor(r (o +
1/2)). Cubic weights are Keys' with a = -3/4 [1]_.

With `antialias` (linear and cubic, a = -1/2), the weight function is stretched by r where r > 1, so that it covers the
elements between two results, cut off at the borders, and scaled to the sum 1. Then t is a different number for each o.

.. [1] R. G. Keys, "Cubic convolution interpolation for digital image processing", 1981.
"""

import functools
import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling.adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool1d_backward,
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool3d,
    adaptive_avg_pool3d_backward,
)
from kernels.pooling.rows import over_lines
from kernels.pooling.windows import check_size, gradient, grain_and_threads, numbers
from kernels.simd import allocate, flat, fma, lane_count, load_partial, release, splat, store_partial

MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "trilinear": (3,),
    "bicubic": (2,),
    "area": (1, 2, 3),
}
AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}
AREA_BACKWARD = {1: adaptive_avg_pool1d_backward, 2: adaptive_avg_pool2d_backward, 3: adaptive_avg_pool3d_backward}


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def interpolate_naive(x, tables, y):
    """Each element by itself; `tables` has the starts, places and weights along depth, height and width."""
    (ds, d, dv), (hs, h, hv), (ws, w, wv) = tables
    for p, od, oh, ow in np.ndindex(y.shape):
        total = x.dtype.type(0)
        for a in range(ds[od], ds[od + 1]):
            for b in range(hs[oh], hs[oh + 1]):
                for c in range(ws[ow], ws[ow + 1]):
                    total += dv[a] * hv[b] * wv[c] * x[p, d[a], h[b], w[c]]
        y[p, od, oh, ow] = total


# --- rows, then along the row ----------------------------------------------------------------------------------------


@jit
def _blend_lines(start, stop, arguments):
    """Lines `start` to `stop` - 1 of y, a line being a row of one plane."""
    x, tables, y = arguments
    (depth_starts, depth, depth_weights), (height_starts, height, height_weights), (starts, width, weights) = tables
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    source, row, lanes = flat(x), allocate(x, W), lane_count(x)
    for line in range(start, stop):
        p, od, oh = line // (OD * OH), line // OH % OD, line % OH
        for j in range(0, W, lanes):
            total = splat(x, 0.0)
            for a in range(depth_starts[od], depth_starts[od + 1]):
                for b in range(height_starts[oh], height_starts[oh + 1]):
                    at = ((p * D + depth[a]) * H + height[b]) * W + j
                    total = fma(load_partial(source, at, W - j, 0.0), depth_weights[a] * height_weights[b], total)
            store_partial(row, j, W - j, total)
        for ow in range(OW):
            total_here = x.dtype.type(0)
            for c in range(starts[ow], starts[ow + 1]):
                total_here += weights[c] * row[width[c]]
            y[p, od, oh, ow] = total_here
    release(row)


interpolate_lines = over_lines(_blend_lines, interpolate_naive)


@jit
def interpolate_loops(x, tables, y):
    """`interpolate_naive` by rows, on one thread, for use in your own jitted code. Nothing is checked."""
    _blend_lines(FIRST, y.shape[0] * y.shape[1] * y.shape[2], (x, tables, y))


VARIANTS = {"interpolate": {"naive": interpolate_naive, "rows": interpolate_loops}}


# --- places and weights ----------------------------------------------------------------------------------------------


NEAREST, EXACT, LINEAR, CUBIC = range(4)  # the kinds of weights
KINDS = {
    "nearest": NEAREST,
    "nearest-exact": EXACT,
    "linear": LINEAR,
    "bilinear": LINEAR,
    "trilinear": LINEAR,
    "bicubic": CUBIC,
}


@functools.lru_cache(256)
def tables(mode: str, n: int, out: int, factor: float | None, align_corners, antialias, dtype, backward: bool):
    """Starts, places and weights along one dimension from `n` elements to `out`, or of the gradient, back.

    Result o is the sum of ``weights[a] * x[places[a]]`` for ``starts[o] <= a < starts[o + 1]``.
    """
    options = float(factor or 0.0), align_corners, antialias, backward
    return make_tables(KINDS[mode], n, out, options, np.empty(0, dtype))


@jit(fastmath=False)
def make_tables(kind, n, out, options, like):
    """The tables in the dtype of `like`; `options` are (factor or 0, align_corners, antialias, backward)."""
    factor, align_corners, antialias, backward = options
    scale = _scale(n, out, factor, align_corners)
    if antialias:
        starts, places, weights = _stretched(kind, n, out, scale)
    else:
        taps = 1 if kind <= EXACT else 2 if kind == LINEAR else 4
        starts, places, weights = np.arange(out + 1) * taps, np.empty(out * taps, np.int64), np.empty(out * taps)
        if kind <= EXACT:
            _nearest(kind, n, out, factor, places, weights)
        else:
            _smooth(kind, n, scale, align_corners, places.reshape(out, taps), weights.reshape(out, taps))
    rounded = weights.astype(like.dtype)
    return _backward_tables(n, starts, places, rounded) if backward else (starts, places, rounded)


@jit(fastmath=False)
def _scale(n, out, factor, align_corners):
    """Elements from one result to the next."""
    if align_corners:
        return (n - 1) / (out - 1) if out > 1 else 0.0
    return 1 / factor if factor else n / out


@jit(fastmath=False)
def _nearest(kind, n, out, factor, places, weights):
    # PyTorch computes these places in float32; to choose the same elements, so do we
    scale = np.float32(1 / factor) if factor else np.float32(n) / np.float32(out)
    middle = np.float32(0.5 if kind == EXACT else 0.0)
    for o in range(out):
        places[o] = min(np.int64(np.floor((np.float32(o) + middle) * scale)), n - 1)
        weights[o] = 1.0


@jit(fastmath=False)
def _smooth(kind, n, scale, align_corners, places, weights):
    for o in range(len(places)):
        position = o * scale if align_corners else (o + 0.5) * scale - 0.5
        if kind == CUBIC:
            first = np.int64(np.floor(position))
            t = position - np.floor(position)
            for k in range(4):
                places[o, k] = min(max(first + k - 1, 0), n - 1)
                weights[o, k] = _cubic(1 + t if k == 0 else t if k == 1 else k - 1 - t, -0.75)
        else:
            position = max(position, 0.0)
            first = min(np.int64(position), n - 1)
            t = min(position - first, 1.0)
            places[o, 0], places[o, 1] = first, min(first + 1, n - 1)
            weights[o, 0], weights[o, 1] = 1 - t, t


@jit(fastmath=False)
def _cubic(distance, a):
    """Keys' weight of an element at a distance from 0 to 2."""
    if distance <= 1:
        return ((a + 2) * distance - (a + 3)) * (distance * distance) + 1
    return (((distance - 5) * distance + 8) * distance - 4) * a


@jit(fastmath=False)
def _stretched(kind, n, out, scale):
    """Starts, places and weights of the filter that `antialias` stretches."""
    stretch, reach = max(scale, 1.0), 2.0 if kind == CUBIC else 1.0
    starts, firsts = np.zeros(out + 1, np.int64), np.empty(out, np.int64)
    for o in range(out):
        center = (o + 0.5) * scale  # also with align_corners: as PyTorch, corners then lie half a step off
        firsts[o] = np.int64(max(center - reach * stretch + 0.5, 0.0))
        starts[o + 1] = starts[o] + np.int64(min(center + reach * stretch + 0.5, np.float64(n))) - firsts[o]
    places, weights = np.empty(starts[out], np.int64), np.empty(starts[out])
    for o in range(out):
        center, total = (o + 0.5) * scale, 0.0
        for a in range(starts[o], starts[o + 1]):
            places[a] = firsts[o] + a - starts[o]
            distance = min(abs(places[a] + 0.5 - center) / stretch, reach)
            weights[a] = _cubic(distance, -0.5) if kind == CUBIC else 1 - distance
            total += weights[a]
        for a in range(starts[o], starts[o + 1]):
            weights[a] /= total
    return starts, places, weights


@jit(fastmath=False)
def _backward_tables(n, starts, places, weights):
    """The tables by place: results in their order, and their weights."""
    begins = np.zeros(n + 1, np.int64)
    for place in places:
        begins[place + 1] += 1
    for i in range(n):
        begins[i + 1] += begins[i]
    ends, results, by_place = begins.copy(), np.empty_like(places), np.empty_like(weights)
    for o in range(len(starts) - 1):
        for a in range(starts[o], starts[o + 1]):
            to = ends[places[a]]
            results[to], by_place[to] = o, weights[a]
            ends[places[a]] += 1
    return begins, results, by_place


# --- public functions ------------------------------------------------------------------------------------------------


def interpolate(
    x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    """Resample to another size.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)``, ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
    size : int or tuple of int, optional
        Length, or (depth,) height and width, of the result.
    scale_factor : float or tuple of float, optional
        The factor instead: the result has ``floor(n * scale_factor)`` elements.
    mode : {"nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"}
        linear for one dimension, bilinear and bicubic for two, trilinear for three; area is `adaptive_avg_pool2d`.
    align_corners : bool, optional
        Whether the outermost elements of input and result are aligned; for linear modes and bicubic only.
    recompute_scale_factor : bool, optional
        Whether the scale is the ratio of the sizes, rather than `scale_factor` itself.
    antialias : bool
        Whether all elements contribute to a smaller result, each of which averages those around it; for bilinear and
        bicubic.
        (PyTorch 2.13 resamples wrongly then where width 1 remains 1.)

    Returns
    -------
    ndarray
        Shape ``(N, C, *size)``.

    Raises
    ------
    TypeError, ValueError
        Another dtype or number of dimensions, an unknown mode or one for other dimensions, neither or both of `size`
        and `scale_factor`, a size below 1, an option that the mode does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import interpolate
    >>> interpolate(np.array([[[1.0, 3.0]]]), scale_factor=2.0, mode="linear")
    array([[[1. , 1.5, 2.5, 3. ]]])
    """
    x = _checks.floats("interpolate", "x", x)
    options = size, scale_factor, mode, align_corners, recompute_scale_factor
    shape, factors = _arguments("interpolate", x.shape, *options, antialias)
    if mode == "area":
        return AREA[x.ndim - 2](x, shape[2:])
    y = _checks.new(shape, x.dtype)
    sizes = list(zip(x.shape[2:], shape[2:], factors, strict=True))
    _run(x, y, sizes, mode, bool(align_corners), bool(antialias), False)
    return y


def interpolate_backward(
    dy,
    shape,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Gradient of `interpolate` with respect to `x`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `interpolate`; also if `dy` does not have the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import interpolate_backward
    >>> interpolate_backward(np.ones((1, 1, 4)), (1, 1, 2), scale_factor=2.0, mode="linear")
    array([[[2., 2.]]])
    """
    options = size, scale_factor, mode, align_corners, recompute_scale_factor
    result, factors = _arguments("interpolate_backward", tuple(shape), *options, antialias)
    dy = gradient("interpolate_backward", dy, result)
    if mode == "area":
        return AREA_BACKWARD[dy.ndim - 2](dy, shape)
    dx = _checks.new(tuple(shape), dy.dtype)
    sizes = list(zip(shape[2:], result[2:], factors, strict=True))
    _run(dy, dx, sizes, mode, bool(align_corners), bool(antialias), True)
    return dx


def _run(x, y, sizes, mode, align_corners, antialias, backward):
    """The loops, from x to y, with the tables of each (n, out, factor)."""
    planes, dims = math.prod(x.shape[:2]), x.ndim - 2
    each = [tables("nearest", 1, 1, None, False, False, x.dtype, False)] * (3 - dims)
    each += [tables(mode, *size, align_corners, antialias, x.dtype, backward) for size in sizes]
    ones = (1,) * (3 - dims)
    source, target = x.reshape(planes, *ones, *x.shape[2:]), y.reshape(planes, *ones, *y.shape[2:])
    lines = math.prod(target.shape[:3])
    interpolate_lines((source, tuple(each), target), lines, *grain_and_threads(lines, x.size + y.size))


def _arguments(operation, shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias):
    """The result's shape, and for each dimension the scale factor that is to be used as it is, or None."""
    _checks.choice(operation, "mode", mode, tuple(MODES))
    dims = len(shape) - 2
    if dims not in MODES[mode]:
        raise ValueError(f"{operation}: mode {mode!r} is for {MODES[mode]} dimensions after N and C, x is {shape}")
    if 0 in shape[1:]:
        raise ValueError(f"{operation}: x must not be empty but for its batch, got {shape}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"{operation}: antialias is for bilinear and bicubic, mode is {mode!r}")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError(f"{operation}: align_corners is for linear modes and bicubic, mode is {mode!r}")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{operation}: needs either size or scale_factor, got {size} and {scale_factor}")
    if size is not None:
        if recompute_scale_factor:
            raise ValueError(f"{operation}: recompute_scale_factor is for scale_factor, got size {size}")
        out, factors = numbers(operation, "size", size, dims, 1), (None,) * dims
    else:
        factors = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * dims
        if len(factors) != dims:
            raise ValueError(f"{operation}: scale_factor must be a number or {dims} of them, got {scale_factor}")
        if not all(math.isfinite(f) and f > 0 for f in factors):
            raise ValueError(f"{operation}: scale_factor must be positive, got {scale_factor}")
        out = tuple(math.floor(n * f) for n, f in zip(shape[2:], factors, strict=True))
        out = numbers(operation, "the size by scale_factor", out, dims, 1)
        factors = (None,) * dims if recompute_scale_factor else tuple(map(float, factors))
    check_size(operation, (*shape[:2], *out))
    return (*shape[:2], *out), factors
