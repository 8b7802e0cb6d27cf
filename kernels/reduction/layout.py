"""An array viewed along the axis to be reduced, as (outer, n, inner): the axes before it, its length, those after it.

Element i of the slice (o, j) lies at ``(o * n + i) * inner + j`` of the flattened array. With inner = 1 the slices are
contiguous rows; otherwise they are columns, and loops run over neighbouring columns side by side, because those are
contiguous.
"""

import math

from kernels import _checks


def split(operation: str, x, dim: int) -> tuple[int, int, int]:
    """Shape of `x` as (outer, n, inner) along `dim`."""
    shape, size = x.shape, x.size
    if size and shape and dim.__class__ is int and (dim == -1 or dim == len(shape) - 1):  # fast path for rows
        n = shape[-1]
        return size // n, n, 1
    axis = _checks.axis(operation, dim, x.ndim)
    return math.prod(shape[:axis]), shape[axis] if shape else 1, math.prod(shape[axis + 1 :])


def reduced_axes(operation: str, dim, ndim: int) -> tuple[int, ...]:
    """The axes that `dim` names (None and () mean all), counted from the front, in ascending order."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    if not isinstance(dim, tuple):
        dim = (dim,)
    axes = sorted(_checks.axis(operation, each, ndim) for each in dim)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{operation}: dim names an axis twice: {dim}")
    return tuple(axes[:ndim])


def reduced_shape(shape: tuple, axes: tuple, keepdim: bool) -> tuple:
    """`shape` without its `axes`, or with length 1 there."""
    if keepdim:
        return tuple([1 if axis in axes else length for axis, length in enumerate(shape)])
    return tuple([length for axis, length in enumerate(shape) if axis not in axes])


def runs(shape: tuple, axes: tuple):
    """The (outer, n, inner) of each run of adjacent axes, the last run first; each in the array that is left by the
    reductions before it."""
    shape = list(shape)
    while axes:
        stop = axes[-1] + 1
        start = axes[-1]
        while start - 1 in axes:
            start -= 1
        yield math.prod(shape[:start]), math.prod(shape[start:stop]), math.prod(shape[stop:])
        del shape[start:stop]
        axes = axes[: start - stop]


def expect_shape(operation: str, name: str, x, shape: tuple):
    """ValueError unless `x` has `shape`."""
    if x.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {x.shape}")
