r"""Pooling and resampling in plain NumPy.

`_windows` views the padded array as (..., *windows, *elements of a window): of its values, and of the indices of its
elements in their plane (-1 in the padding). A pooling is then a reduction over the last axis, and a gradient adds at
those indices.
"""

import functools
import itertools
import math

import numpy as np

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


# --- windows ---------------------------------------------------------------------------------------------------------


def _each(value, dims):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


def _sizes(shape, dims, kernel_size, stride, padding, dilation, ceil_mode):
    """Kernel, stride, padding and dilation per dimension, and the number of windows per dimension."""
    kernel = _each(kernel_size, dims)
    stride = kernel if stride is None else _each(stride, dims)
    padding, dilation = _each(padding, dims), _each(dilation, dims)
    out = []
    for n, k, s, p, d in zip(shape[-dims:], kernel, stride, padding, dilation, strict=True):
        count = (math.ceil if ceil_mode else math.floor)((n + 2 * p - d * (k - 1) - 1) / s) + 1
        out.append(count - (ceil_mode and (count - 1) * s >= n + p))
    return kernel, stride, padding, dilation, tuple(out)


def _windows(x, sizes, fill):
    """Shape (..., *out, prod(kernel)): the windows of the last axes of `x`, and `fill` around it."""
    dims, widths = len(sizes[0]), []
    for n, k, s, p, d, o in zip(x.shape[-dims:], *sizes, strict=True):
        widths.append((p, max(0, (o - 1) * s + (k - 1) * d + 1 - p - n)))
    padded = np.pad(x, [(0, 0)] * (x.ndim - dims) + widths, constant_values=fill)
    spans = [d * (k - 1) + 1 for k, d in zip(sizes[0], sizes[3], strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, tuple(range(-dims, 0)))
    chosen = [slice(None, o * s, s) for o, s in zip(sizes[4], sizes[1], strict=True)]
    view = view[(..., *chosen, *[slice(None, None, d) for d in sizes[3]])]
    return view.reshape(*view.shape[:-dims], -1)


def _indices(shape, sizes):
    """Shape (*out, prod(kernel)): the index in a plane of each element of the windows, -1 in the padding."""
    plane = shape[-len(sizes[0]) :]
    return _windows(np.arange(math.prod(plane)).reshape(plane), sizes, -1)


def _add_at(values, indices, shape, dims):
    """An array of `shape` with ``values[plane]`` added at ``indices[plane]`` (or one for all planes), -1 ignored."""
    planes, size = math.prod(shape[:-dims]), math.prod(shape[-dims:])
    values = values.reshape(planes, -1)
    indices = np.broadcast_to(indices.reshape(-1, values.shape[1]), values.shape)
    total = np.zeros((planes, size + 1), values.dtype)
    np.add.at(total, (np.arange(planes)[:, None], indices), values)
    return total[:, :size].reshape(shape)


# --- maximum ---------------------------------------------------------------------------------------------------------


def _max_pool(dims, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window; NaN is larger than everything."""
    sizes = _sizes(x.shape, dims, kernel_size, stride, padding, dilation, ceil_mode)
    values, indices = _windows(x, sizes, -np.inf), _indices(x.shape, sizes)
    number = _largest(values, indices >= 0)
    y = np.take_along_axis(values, number[..., None], -1)[..., 0]
    if not return_indices:
        return y
    if return_indices == "window":
        return y, number.astype(np.uint8)
    return y, np.take_along_axis(np.broadcast_to(indices, values.shape), number[..., None], -1)[..., 0]


def _largest(values, valid):
    """The index along the last axis of the last NaN, or else of the first of the largest valid elements."""
    nan = np.isnan(values)
    first = np.argmax((values == values.max(-1, keepdims=True)) & valid, -1)
    return np.where(nan.any(-1), values.shape[-1] - 1 - np.argmax(nan[..., ::-1], -1), first)


def _max_pool_backward(dims, dy, shape, indices, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Add each dy to the largest element of its window."""
    if indices.dtype == np.uint8:
        sizes = _sizes(shape, dims, kernel_size, stride, padding, dilation, ceil_mode)
        every = np.broadcast_to(_indices(shape, sizes), (*dy.shape, math.prod(sizes[0])))
        indices = np.take_along_axis(every, indices[..., None].astype(np.int64), -1)
    return _add_at(dy, indices, shape, dims)


# --- average ---------------------------------------------------------------------------------------------------------


def _divisors(plane, sizes, count_include_pad, divisor_override):
    """The divisor of each window's sum."""
    if divisor_override:
        return divisor_override
    counted = np.ones(plane)
    widths = [(p, p) for p in sizes[2]]
    counted = np.pad(counted, widths, constant_values=float(count_include_pad))
    unpadded = (sizes[0], sizes[1], (0,) * len(sizes[0]), sizes[3], sizes[4])
    return _windows(counted, unpadded, 0.0).sum(-1)


@ieee
def _avg_pool(
    dims, x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The average of each window."""
    sizes = _sizes(x.shape, dims, kernel_size, stride, padding, 1, ceil_mode)
    divisors = _divisors(x.shape[-dims:], sizes, count_include_pad, divisor_override)
    return (_windows(x, sizes, 0).sum(-1) / divisors).astype(x.dtype)


@ieee
def _avg_pool_backward(
    dims, dy, shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Add each dy, divided, to all elements of its window."""
    sizes = _sizes(shape, dims, kernel_size, stride, padding, 1, ceil_mode)
    divided = (dy / _divisors(shape[-dims:], sizes, count_include_pad, divisor_override)).astype(dy.dtype)
    indices = _indices(shape, sizes)
    return _add_at(np.broadcast_to(divided[..., None], (*dy.shape, indices.shape[-1])), indices, shape, dims)


@ieee
def _lp_pool(dims, x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window, from the average of the powers; for p = inf the largest magnitude."""
    if norm_type == math.inf:
        return _max_pool(dims, np.abs(x), kernel_size, stride, 0, 1, ceil_mode, False)
    mean = _avg_pool(dims, x**norm_type, kernel_size, stride, 0, ceil_mode, True, None)
    return (mean * math.prod(_each(kernel_size, dims))) ** (1 / norm_type)


@ieee
def _lp_pool_backward(dims, dy, x, y, norm_type, kernel_size, stride=None, ceil_mode=False):
    """dx = x ** (p - 1) times the sum of dy * y ** (1 - p) over the windows; for p = inf, dy where |x| is largest."""
    if norm_type == math.inf:
        _, indices = _max_pool(dims, np.abs(x), kernel_size, stride, 0, 1, ceil_mode, True)
        return np.sign(x) * _max_pool_backward(dims, dy, x.shape, indices, kernel_size, stride, 0, 1, ceil_mode)
    terms = np.where(y == 0, 0, dy * y ** (1 - norm_type)) * math.prod(_each(kernel_size, dims))
    sums = _avg_pool_backward(dims, terms, x.shape, kernel_size, stride, 0, ceil_mode, True, None)
    return sums * x ** (norm_type - 1)


# --- adaptive --------------------------------------------------------------------------------------------------------


def _ranges(n, out):
    """The slices of `out` windows that cover `n` elements."""
    return [slice(o * n // out, -(-(o + 1) * n // out)) for o in range(out)]


def _adaptive(shape, dims, output_size):
    """The result's shape and, for each result, its position and its window in a plane."""
    given = _each(output_size, dims)
    out = [n if o is None else o for n, o in zip(shape[-dims:], given, strict=True)]
    ranges = [_ranges(n, o) for n, o in zip(shape[-dims:], out, strict=True)]
    cells = [((..., *o), (..., *[r[i] for r, i in zip(ranges, o, strict=True)])) for o in np.ndindex(*out)]
    return (*shape[:-dims], *out), cells


def _adaptive_avg_pool(dims, x, output_size):
    """The averages of `output_size` windows that cover each plane."""
    shape, cells = _adaptive(x.shape, dims, output_size)
    y = np.empty(shape, x.dtype)
    for at, window in cells:
        y[at] = x[window].mean(tuple(range(-dims, 0)))
    return y


def _adaptive_avg_pool_backward(dims, dy, shape):
    """Add each dy, divided, to all elements of its window."""
    dx = np.zeros(shape, dy.dtype)
    for at, window in _adaptive(shape, dims, dy.shape[-dims:])[1]:
        elements = dx[window]
        elements += (dy[at] / math.prod(elements.shape[-dims:])).reshape(*dy.shape[:-dims], *[1] * dims)
    return dx


def _adaptive_max_pool(dims, x, output_size, return_indices=False):
    """The largest elements of `output_size` windows that cover each plane."""
    shape, cells = _adaptive(x.shape, dims, output_size)
    y, indices = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    every = np.broadcast_to(np.arange(math.prod(x.shape[-dims:])).reshape(x.shape[-dims:]), x.shape)
    for at, window in cells:
        values, positions = (a[window].reshape(*shape[:-dims], -1) for a in (x, every))
        number = _largest(values, True)[..., None]
        y[at] = np.take_along_axis(values, number, -1)[..., 0]
        indices[at] = np.take_along_axis(positions, number, -1)[..., 0]
    return (y, indices) if return_indices else y


def _adaptive_max_pool_backward(dims, dy, shape, indices):
    """Add each dy at its index."""
    return _add_at(dy, indices, shape, dims)


# --- unpool ----------------------------------------------------------------------------------------------------------


def _max_unpool(dims, x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Each element at its index in a larger plane that is 0 elsewhere."""
    kernel, padding = _each(kernel_size, dims), _each(padding, dims)
    stride = kernel if stride is None else _each(stride, dims)
    plane = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[-dims:], stride, padding, kernel, strict=True)]
    plane = plane if output_size is None else output_size[-dims:]
    planes = math.prod(x.shape[:-dims])
    y = np.zeros((planes, math.prod(plane)), x.dtype)
    np.put_along_axis(y, indices.reshape(planes, -1), x.reshape(planes, -1), 1)
    return y.reshape(*x.shape[:-dims], *plane)


def _max_unpool_backward(dims, dy, indices):
    """The elements of dy at the indices."""
    planes = math.prod(dy.shape[:-dims])
    return np.take_along_axis(dy.reshape(planes, -1), indices.reshape(planes, -1), 1).reshape(indices.shape)


# --- patches ---------------------------------------------------------------------------------------------------------


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """The patch of each window as a column (im2col)."""
    columns = _windows(x, _sizes(x.shape, 2, kernel_size, stride, padding, dilation, False), 0)
    columns = np.moveaxis(columns, -1, -3)
    return columns.reshape(*x.shape[:-3], x.shape[-3] * columns.shape[-3], -1)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Sum patches, given as columns, at their positions (col2im)."""
    elements, size = math.prod(_each(kernel_size, 2)), _each(output_size, 2)
    shape = (*x.shape[:-2], x.shape[-2] // elements, *size)
    sizes = _sizes(shape, 2, kernel_size, stride, padding, dilation, False)
    columns = np.moveaxis(x.reshape(*shape[:-2], elements, x.shape[-1]), -2, -1)
    return _add_at(columns, _indices(shape, sizes), shape, 2)


def unfold_backward(dy, shape, kernel_size, dilation=1, padding=0, stride=1):
    """The gradient of `unfold` is `fold`."""
    return fold(dy, tuple(shape[-2:]), kernel_size, dilation, padding, stride)


def fold_backward(dy, shape, kernel_size, dilation=1, padding=0, stride=1):
    """The gradient of `fold` is `unfold`."""
    return unfold(dy, kernel_size, dilation, padding, stride)


# --- interpolation ---------------------------------------------------------------------------------------------------


def _resampling(mode, n, out, factor, align_corners, antialias):
    """The matrix (out, n) that resamples n elements to `out`."""
    o = np.arange(out)
    if antialias:
        step = (n - 1) / max(out - 1, 1) * (out > 1) if align_corners else 1 / factor if factor else n / out
        t = np.abs(((o + 0.5) * step)[:, None] - (np.arange(n) + 0.5)) / max(step, 1)
        cubic = np.where(t < 1, (1.5 * t - 2.5) * t * t + 1, np.where(t < 2, -0.5 * (((t - 5) * t + 8) * t - 4), 0))
        weights = cubic if mode == "bicubic" else np.maximum(0, 1 - t)
        return weights / weights.sum(1, keepdims=True)
    if mode.startswith("nearest"):  # in float32, as in PyTorch
        scale = np.float32(1 / factor if factor else np.float32(n) / np.float32(out))
        at = np.floor((o.astype(np.float32) + np.float32(0.5 * (mode == "nearest-exact"))) * scale)
        return np.eye(n)[np.minimum(at.astype(int), n - 1)]
    if align_corners:
        at = np.linspace(0, n - 1, out) if out > 1 else np.zeros(1)
    else:
        at = (o + 0.5) * (1 / factor if factor else n / out) - 0.5
    if mode != "bicubic":
        return np.maximum(0, 1 - np.abs(np.clip(at, 0, n - 1)[:, None] - np.arange(n)))
    border = 3 + int(max(0, -at.min(), at.max() - n))
    every = np.arange(-border, n + border)
    t = np.abs(at[:, None] - every)
    near, far = (1.25 * t - 2.25) * t * t + 1, -0.75 * (((t - 5) * t + 8) * t - 4)
    weights = np.where(t <= 1, near, np.where(t < 2, far, 0))
    return weights @ np.eye(n)[np.clip(every, 0, n - 1)]


def _matrices(shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias):
    dims = len(shape) - 2
    factors = (None,) * dims
    if size is None:
        factors = _each(scale_factor, dims)
        size = [math.floor(n * f) for n, f in zip(shape[2:], factors, strict=True)]
        factors = (None,) * dims if recompute_scale_factor else factors
    sizes = zip(shape[2:], _each(size, dims), factors, strict=True)
    return [_resampling(mode, *each, align_corners, antialias) for each in sizes]


def interpolate(
    x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    """Resample to another size: a matrix product along each dimension."""
    matrices = _matrices(x.shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    if mode == "area":
        return _adaptive_avg_pool(x.ndim - 2, x, tuple(len(matrix) for matrix in matrices))
    for axis, matrix in enumerate(matrices, 2):
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T.astype(x.dtype), -1, axis)
    return np.ascontiguousarray(x)


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
    """The products with the transposed matrices."""
    if mode == "area":
        return _adaptive_avg_pool_backward(dy.ndim - 2, dy, shape)
    options = size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    for axis, matrix in enumerate(_matrices(shape, *options), 2):
        dy = np.moveaxis(np.moveaxis(dy, axis, -1) @ matrix.astype(dy.dtype), -1, axis)
    return np.ascontiguousarray(dy)


# --- by number of dimensions -----------------------------------------------------------------------------------------


def _each_dims(function):
    return [functools.partial(function, dims) for dims in (1, 2, 3)]


max_pool1d, max_pool2d, max_pool3d = _each_dims(_max_pool)
max_pool1d_backward, max_pool2d_backward, max_pool3d_backward = _each_dims(_max_pool_backward)
avg_pool1d, avg_pool2d, avg_pool3d = _each_dims(_avg_pool)
avg_pool1d_backward, avg_pool2d_backward, avg_pool3d_backward = _each_dims(_avg_pool_backward)
lp_pool1d, lp_pool2d, lp_pool3d = _each_dims(_lp_pool)
lp_pool1d_backward, lp_pool2d_backward, lp_pool3d_backward = _each_dims(_lp_pool_backward)
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = _each_dims(_adaptive_avg_pool)
adaptive_avg_pool1d_backward, adaptive_avg_pool2d_backward, adaptive_avg_pool3d_backward = _each_dims(
    _adaptive_avg_pool_backward
)
max_unpool1d, max_unpool2d, max_unpool3d = _each_dims(_max_unpool)
max_unpool1d_backward, max_unpool2d_backward, max_unpool3d_backward = _each_dims(_max_unpool_backward)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = _each_dims(_adaptive_max_pool)
adaptive_max_pool1d_backward, adaptive_max_pool2d_backward, adaptive_max_pool3d_backward = _each_dims(
    _adaptive_max_pool_backward
)


# --- sampling ---------------------------------------------------------------------------------------------------------


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Elements of `x` (N, C, ...) at the places of a grid (N, ..., dims), whose coordinates go from -1 to 1."""
    picked = _picked(x, grid, mode, padding_mode, align_corners)
    return sum(weight[:, None] * _values(x, places, inside) for places, inside, weight, _ in picked)


def grid_sample_backward(dy, x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Gradients with respect to `x` and the grid."""
    dx, dgrid = np.zeros_like(x), np.zeros_like(grid)
    for places, inside, weight, slopes in _picked(x, grid, mode, padding_mode, align_corners):
        n = np.arange(len(x)).reshape(-1, *[1] * (dy.ndim - 2))
        terms = np.moveaxis(np.where(inside, weight, 0)[:, None] * dy, 1, -1)
        np.add.at(np.moveaxis(dx, 1, -1), (n, *places), terms)
        each = (dy * _values(x, places, inside)).sum(1)
        for axis, slope in enumerate(slopes):
            dgrid[..., axis] += slope * each
    return dx, dgrid


def _values(x, places, inside):
    """The elements (N, C, ...) at places of each sample, 0 where these are outside."""
    n = np.arange(len(x)).reshape(-1, *[1] * (inside.ndim - 1))
    values = np.moveaxis(np.moveaxis(x, 1, -1)[(n, *places)], -1, 1)
    return np.where(inside[:, None], values, 0)


def _picked(x, grid, mode, padding_mode, align_corners):
    """For each element that makes up a result: its place, whether that is inside, its weight, and the derivatives of
    the weight with respect to the coordinates."""
    sizes = x.shape[2:][::-1]  # as in the grid: width first
    along = [_picked_along(grid[..., axis], n, mode, padding_mode, bool(align_corners)) for axis, n in enumerate(sizes)]
    for each in itertools.product(*along):
        places = tuple(np.where(inside, place, 0) for place, inside, _, _ in each)[::-1]
        weights = [weight for _, _, weight, _ in each]
        slopes = [
            math.prod(slope if i == axis else weights[i] for i in range(len(sizes)))
            for axis, (_, _, _, slope) in enumerate(each)
        ]
        yield places, functools.reduce(np.logical_and, [one[1] for one in each]), math.prod(weights), slopes


def _picked_along(coordinate, n, mode, padding_mode, align_corners):
    scale = (n - 1 if align_corners else n) / 2
    place = (coordinate + 1) * scale - (0 if align_corners else 0.5)
    slope = np.full_like(place, scale)
    if mode != "bicubic":
        place, turned = _padded(place, n, padding_mode, align_corners)
        slope = slope * turned
    if mode == "nearest":
        number = np.round(place).astype(np.int64)
        yield number, (number >= 0) & (number < n), np.ones_like(place), np.zeros_like(place)
        return
    first = np.floor(place)
    for k in (0, 1) if mode == "bilinear" else (-1, 0, 1, 2):
        distance, number = place - first - k, first + k
        if mode == "bilinear":
            weight, derivative = 1 - np.abs(distance), np.where(k, 1.0, -1.0)
        else:
            number, _ = _padded(number, n, padding_mode, align_corners)
            d = np.abs(distance)
            weight = np.where(d <= 1, 1.25 * d**3 - 2.25 * d**2 + 1, -0.75 * (d**3 - 5 * d**2 + 8 * d - 4))
            derivative = np.where(d <= 1, 3.75 * d**2 - 4.5 * d, -0.75 * (3 * d**2 - 10 * d + 8)) * np.sign(distance)
        number = number.astype(np.int64)
        yield number, (number >= 0) & (number < n), weight, derivative * slope


def _padded(place, n, padding_mode, align_corners):
    """Places moved inside, and the derivative of that."""
    slope = np.ones_like(place)
    if padding_mode == "zeros":
        return place, slope
    if padding_mode == "reflection":
        low, span = (0.0, n - 1) if align_corners else (-0.5, n)
        if span == 0:
            return np.zeros_like(place), np.zeros_like(place)
        rounds, rest = np.divmod(np.abs(place - low), span)
        odd = rounds % 2 == 1
        slope = np.where(odd, -1.0, 1.0) * np.where(place < low, -1.0, 1.0)
        place = np.where(odd, span - rest, rest) + low
    return np.clip(place, 0, n - 1), slope * ((place > 0) & (place < n - 1))
