"""Max pooling over windows at random places, so that the output may have any size below the input's.

    first_i = ⌊(i + u) α⌋ - ⌊u α⌋,  α = (n - k) / (m - 1)

is the first element of window i of the m windows of length k over n elements, for a random u in [0, 1) of each plane
and dimension; the last window ends where the plane does.

Reference: Graham, "Fractional max-pooling" (2014), section 2.
"""

import math

import numpy as np

import kernels
from nn import random
from nn.functional.arguments import checked
from nn.operations.arguments import floating, int_of, numbers_of, scalar_of
from nn.storage import wrap
from nn.tape import record, record_linear

__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]
__all__ += ["fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices"]


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The largest element of each of `output_size` windows, whose places are random.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    kernel_size : int or tuple of int
    output_size : int or tuple of int, optional
        The size of the result.
    output_ratio : float or tuple of float, optional
        In its place, the size of the result as a part of the input's.
    return_indices : bool, default False
        Whether to return the elements' flat indices in their plane as well.
    _random_samples : Tensor (N, C, 2), optional
        The number u of each plane, for its width and its height; by default drawn from the generator that
        ``nn.manual_seed`` seeds.

    Returns
    -------
    Tensor (N, C, *output_size) or (C, *output_size)
        With `return_indices`, a pair of it and the indices, int64.

    Raises
    ------
    TypeError
        `input` is not a floating-point tensor.
    ValueError
        A window does not fit, no size or ratio is given, or a shape is wrong.
    """
    sizes = kernel_size, output_size, output_ratio
    return _pool("fractional_max_pool2d", 2, input, sizes, return_indices, _random_samples)


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool2d` over the last three dimensions of (N, C, T, H, W) or (C, T, H, W).

    `_random_samples` is (N, C, 3), for time, height and width in this order.
    """
    sizes = kernel_size, output_size, output_ratio
    return _pool("fractional_max_pool3d", 3, input, sizes, return_indices, _random_samples)


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool2d` with ``return_indices=True``."""
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool3d` with ``return_indices=True``."""
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def _pool(name, dims, input, sizes, return_indices, samples):
    x = floating(name, checked(name, input))
    shape = x.shape
    if x.ndim not in (dims + 1, dims + 2):
        raise ValueError(f"{name}: input must have {dims + 1} or {dims + 2} dimensions, got shape {shape}")
    kernel, output = _sizes(name, shape[-dims:], *sizes)
    leading = (1,) * (dims + 2 - x.ndim) + shape[:-dims]
    if samples is None:
        samples = random.generator().random((*leading, dims), dtype=x.dtype)
    samples = numbers_of(name, "_random_samples", samples)
    if samples.shape != (*leading, dims) or samples.dtype != x.dtype:
        raise ValueError(
            f"{name}: _random_samples must be {x.dtype} of shape {(*leading, dims)}, "
            f"got {samples.dtype} of shape {samples.shape}"
        )
    number = math.prod(leading)
    positions = _positions(x.reshape(number, *shape[-dims:]), kernel, output, samples.reshape(number, dims))
    positions = positions.reshape(*shape[:-dims], *output)
    restore = kernels.adaptive_max_pool2d_backward if dims == 2 else kernels.adaptive_max_pool3d_backward

    def take(x):
        rows, places = (a.reshape(*shape[:-dims], math.prod(a.shape[-dims:])) for a in (x, positions))
        return np.take_along_axis(rows, places, -1).reshape(positions.shape)

    def backward(dy):
        return restore(dy, shape, positions)

    def derivative(dy, indices):
        return record_linear(name, backward, take, dy, (indices,))

    indices = wrap(positions)
    result = record(name, take(x), (input,), backward, (indices,), derivative=derivative)
    return (result, indices) if return_indices else result


def _sizes(name, plane, kernel_size, output_size, output_ratio):
    """The lengths of the windows and of the result in each dimension."""
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name}: needs output_size or output_ratio, got neither")
    kernel = _each(name, "kernel_size", kernel_size, len(plane), int_of)
    if output_size is None:
        ratios = _each(name, "output_ratio", output_ratio, len(plane), scalar_of)
        output = tuple(int(n * ratio) for n, ratio in zip(plane, ratios, strict=True))
    else:
        output = _each(name, "output_size", output_size, len(plane), int_of)
    for n, k, m in zip(plane, kernel, output, strict=True):
        if k < 1 or m < 1 or m + k - 1 > n:
            raise ValueError(
                f"{name}: output_size + kernel_size - 1 must be within the input, and both at least 1: "
                f"got {output} and {kernel} for {plane}"
            )
    return kernel, output


def _each(name, argument, value, dims, kind):
    """One number for all dimensions, or one for each, as a tuple; each is checked as of a kind."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims
    if len(values) != dims:
        raise ValueError(f"{name}: {argument} must be one number or {dims}, got {value}")
    return tuple(kind(name, argument, v) for v in values)


def _positions(planes, kernel, output, samples):
    """The flat indices of the largest elements in planes, (P, *output)."""
    dims, sizes = len(kernel), planes.shape[1:]
    if dims == 2:
        samples = samples[:, ::-1]  # PyTorch's order: width, height
    firsts = []
    for d, (n, k, m) in enumerate(zip(sizes, kernel, output, strict=True)):
        first = _first(samples[:, d], n, k, m)
        firsts.append(first.reshape(len(planes), *(m if e == d else 1 for e in range(dims))))
    windows = np.lib.stride_tricks.sliding_window_view(planes, kernel, tuple(range(1, dims + 1)))
    rows = windows[(np.arange(len(planes)).reshape(-1, *(1,) * dims), *firsts)]  # a copy of each chosen window
    rows = rows.reshape(len(planes), *output, math.prod(kernel))
    chosen = kernels.max(rows, -1)[1] if rows.size else np.zeros(rows.shape[:-1], np.int64)
    flat = 0
    for n, first, offset in zip(sizes, firsts, np.unravel_index(chosen, kernel), strict=True):
        flat = flat * n + first + offset
    return flat


def _first(samples, n, k, m):
    """The first element of each of m windows, for each sample; in the samples' precision, as in PyTorch."""
    first = np.full((len(samples), m), n - k, np.int64)
    if m > 1:
        step = samples.dtype.type(n - k) / samples.dtype.type(m - 1)
        start, places = samples[:, None], np.arange(m - 1, dtype=samples.dtype)
        first[:, :-1] = ((places + start) * step).astype(np.int64) - (start * step).astype(np.int64)
    return first
