"""Sampling an image at any places: grids of affine maps, and the values there."""

import warnings

import numpy as np

import kernels
from nn.functional.arguments import checked
from nn.operations.arguments import bool_of
from nn.operations.arithmetic import matmul
from nn.storage import wrap
from nn.tape import record

__all__ = ["affine_grid", "grid_sample"]


def _without_default(name, align_corners):
    if align_corners is None:
        warnings.warn(f"{name}: align_corners is not given and taken to be False", stacklevel=3)
        return False
    return bool_of(name, "align_corners", align_corners)


def affine_grid(theta, size, align_corners=None):
    """The places to which affine maps take the elements of an image, for `grid_sample`.

    Parameters
    ----------
    theta : Tensor (N, 2, 3) or (N, 3, 4)
        A matrix for each image.
    size : tuple of int (N, C, H, W) or (N, C, D, H, W)
        The size of the result of `grid_sample`.
    align_corners : bool, optional
        Whether -1 and 1 are the middles of the outermost elements, rather than their outer edges; False by default,
        with a warning.

    Returns
    -------
    Tensor (N, H, W, 2) or (N, D, H, W, 3)
        Coordinates along width, height (and depth).

    Raises
    ------
    TypeError, ValueError
        `theta` is no Tensor of floats, or its shape and `size` do not agree.
    """
    align_corners = _without_default("affine_grid", align_corners)
    dtype, dims = checked("affine_grid", theta).array.dtype, len(size) - 2
    if dtype.kind != "f":
        raise TypeError(f"affine_grid: theta must be floating point, got {dtype}")
    if dims not in (2, 3) or theta.shape != (size[0], dims, dims + 1) or min(size) <= 0:
        raise ValueError(f"affine_grid: theta {theta.shape} and size {tuple(size)} do not agree")
    ends = [1 if align_corners else 1 - 1 / n for n in size[2:]]
    axes = [
        np.linspace(-end, end, n, dtype=dtype) if n > 1 else np.zeros(1, dtype)
        for n, end in zip(size[2:], ends, strict=True)
    ]
    places = [*reversed(np.meshgrid(*axes, indexing="ij")), np.ones(size[2:], dtype)]
    base = np.stack(places, -1).reshape(-1, dims + 1)
    return matmul(wrap(base), theta.transpose(1, 2)).reshape(size[0], *size[2:], dims)


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Read an image at the places of a grid, between its elements.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (N, C, D, H, W)
    grid : Tensor (N, OH, OW, 2) or (N, OD, OH, OW, 3)
        Coordinates along width, height (and depth), each from -1 to 1 inside of the image.
    mode : {"bilinear", "nearest", "bicubic"}
    padding_mode : {"zeros", "border", "reflection"}
        What lies outside.
    align_corners : bool, optional
        As for `affine_grid`.

    Returns
    -------
    Tensor (N, C, OH, OW) or (N, C, OD, OH, OW)

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.
    """
    options = mode, padding_mode, _without_default("grid_sample", align_corners)
    x, g = checked("grid_sample", input).array, checked("grid_sample", grid, "grid").array
    needs = input.requires_grad, grid.requires_grad

    def backward(dy):
        return kernels.grid_sample_backward(dy, x, g, *options, needs=needs)

    return record("grid_sample", kernels.grid_sample(x, g, *options), (input, grid), backward, (input, grid))
