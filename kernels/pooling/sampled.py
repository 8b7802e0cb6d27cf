"""The functions of sampling: arguments, and the choice of loops."""

import math

import numpy as np

from kernels import _checks
from kernels._threads import threads_for
from kernels.machine import lanes
from kernels.pooling.channels import is_better_by_channels, sample_channels
from kernels.pooling.sampling import Rule, grid_gradient, input_gradient, sample

MODES = {"bilinear": 2, "nearest": 1, "bicubic": 4}  # elements along a dimension
PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Read `x` at the places of a grid, between its elements.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
    grid : array of the dtype of `x`
        Shape ``(N, OH, OW, 2)`` or ``(N, OD, OH, OW, 3)``: along width, height (and depth), each from -1 to 1 inside
        of `x`. NaN lies outside.
    mode : {"bilinear", "nearest", "bicubic"}
        From how many elements a result is made; "bilinear" is trilinear for three dimensions, "bicubic" for two only.
    padding_mode : {"zeros", "border", "reflection"}
        What lies outside: zeros, the element at the border, or the reflection there.
    align_corners : bool, optional
        Whether -1 and 1 are the middles of the outermost elements, rather than their outer edges.

    Returns
    -------
    ndarray
        Shape ``(N, C, OH, OW)`` or ``(N, C, OD, OH, OW)``.

    Raises
    ------
    TypeError
        Another dtype, or dtypes that differ.
    ValueError
        Shapes that do not fit, an `x` without elements, an unknown mode or padding.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import grid_sample
    >>> x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> grid_sample(x, np.array([[[[0.0, 0.0], [1.0, 1.0]]]]), align_corners=True)
    array([[[[2.5, 4. ]]]])
    """
    x, grid, rule = _arguments("grid_sample", x, grid, mode, padding_mode, align_corners)
    shape = (*x.shape[:2], *grid.shape[1:-1])
    y = _checks.new(shape, x.dtype)
    if y.size:
        places, threads = _places(grid), threads_for(y.size * rule.taps**rule.dims)
        loops = sample_channels if is_better_by_channels(x, places.shape[1], lanes(x.dtype)) else sample
        loops(_volumes(x), places, rule, y.reshape(*shape[:2], places.shape[1]), threads)
    return y


def grid_sample_backward(dy, x, grid, mode="bilinear", padding_mode="zeros", align_corners=None, needs=(True, True)):
    """Gradients of `grid_sample` with respect to `x` and to the grid.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    x, grid, mode, padding_mode, align_corners
        As given to the forward.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx : array or None
        Of the shape of `x`.
    dgrid : array or None
        Of the shape of `grid`; 0 for "nearest", and where a place was moved to the border.

    Raises
    ------
    TypeError, ValueError
        As `grid_sample`; a `dy` of another shape or dtype than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import grid_sample_backward
    >>> x, grid = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.zeros((1, 1, 1, 2))
    >>> dx, dgrid = grid_sample_backward(np.ones((1, 1, 1, 1)), x, grid, align_corners=True)
    >>> dx
    array([[[[0.25, 0.25],
             [0.25, 0.25]]]])
    >>> dgrid
    array([[[[0.5, 1. ]]]])
    """
    operation = "grid_sample_backward"
    x, grid, rule = _arguments(operation, x, grid, mode, padding_mode, align_corners)
    dy = _checks.floats(operation, "dy", dy)
    _checks.same_dtype(operation, dy=dy, x=x)
    shape = (*x.shape[:2], *grid.shape[1:-1])
    if dy.shape != shape:
        raise ValueError(f"{operation}: dy must have shape {shape}, got {dy.shape}")
    if not dy.size:
        return np.zeros_like(x) if needs[0] else None, np.zeros_like(grid) if needs[1] else None
    places, threads = _places(grid), threads_for(dy.size * rule.taps**rule.dims)
    dy, dx, dgrid = dy.reshape(*shape[:2], places.shape[1]), None, None
    if needs[0]:
        dx = _checks.new(x.shape, x.dtype)
        input_gradient(dy, places, rule, _volumes(dx), threads)
    if needs[1]:
        dgrid = _checks.new(grid.shape, x.dtype)
        grid_gradient(dy, _volumes(x), places, rule, _places(dgrid), threads)
    return dx, dgrid


def _volumes(x):
    """As (N, C, D, H, W)."""
    return x if x.ndim == 5 else x.reshape(*x.shape[:2], 1, *x.shape[2:])


def _places(grid):
    """As (N, P, dims)."""
    return grid.reshape(len(grid), math.prod(grid.shape[1:-1]), grid.shape[-1])


def _arguments(operation, x, grid, mode, padding_mode, align_corners):
    _checks.choice(operation, "mode", mode, tuple(MODES))
    _checks.choice(operation, "padding_mode", padding_mode, tuple(PADDINGS))
    x, grid = _checks.floats(operation, "x", x), _checks.floats(operation, "grid", grid)
    _checks.same_dtype(operation, x=x, grid=grid)
    dims = x.ndim - 2
    if dims not in (2, 3):
        raise ValueError(f"{operation}: x must have shape (N, C, H, W) or (N, C, D, H, W), got {x.shape}")
    if grid.ndim != x.ndim or len(grid) != len(x) or grid.shape[-1] != dims:
        expected = f"({len(x)}, {'OH, OW' if dims == 2 else 'OD, OH, OW'}, {dims})"
        raise ValueError(f"{operation}: grid must have shape {expected} for x {x.shape}, got {grid.shape}")
    if 0 in x.shape[2:]:
        raise ValueError(f"{operation}: x must not be empty but for its batch and channels, got {x.shape}")
    if mode == "bicubic" and dims == 3:
        raise ValueError(f"{operation}: mode 'bicubic' is for two dimensions, x is {x.shape}")
    return x, grid, Rule(MODES[mode], PADDINGS[padding_mode], bool(align_corners), dims)
