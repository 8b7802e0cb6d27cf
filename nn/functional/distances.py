"""Lengths, distances and angles of vectors, and the bilinear map of two."""

import math

import numpy as np

from nn.functional.arguments import checked
from nn.functional.reduction import common_shape
from nn.operations.arguments import axis_of, bool_of, scalar_of
from nn.operations.arithmetic import matmul
from nn.operations.elementwise import sqrt, where
from nn.operations.in_place import become

__all__ = ["bilinear", "cosine_similarity", "normalize", "pairwise_distance", "pdist"]


def lengths(x, p, dim, keepdim=False):
    """The p-norm along a dimension; its gradient is 0 where it is 0."""
    magnitudes = abs(x)
    if p == math.inf:
        largest = magnitudes.array == magnitudes.array.max(dim, keepdims=True)  # they share the gradient
        return where(largest, magnitudes, 0).sum(dim, keepdim) / largest.sum(dim, keepdims=keepdim)
    if p == 1:
        return magnitudes.sum(dim, keepdim)
    nonzero = x.array != 0
    if p == 0:
        return (x * 0 + nonzero).sum(dim, keepdim)
    if p == 2:
        total = (x * x).sum(dim, keepdim)
        positive = total != 0
        return where(positive, sqrt(where(positive, total, 1)), 0)
    # relative to the largest, the powers neither overflow nor underflow together
    scale = magnitudes.array.max(dim, keepdims=True, initial=0)
    scale = np.where((scale > 0) & (scale < np.inf), scale, scale.dtype.type(1))
    total = where(nonzero, where(nonzero, magnitudes / scale, 1) ** p, 0).sum(dim, keepdim)
    positive = total.array != 0
    return where(positive, where(positive, total, 1) ** (1 / p), 0) * (scale if keepdim else scale.squeeze(dim))


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """Each vector along a dimension, divided by its length.

    Parameters
    ----------
    input : Tensor, float32 or float64
    p : float, default 2.0
        The length is the p-norm.
    dim : int, default 1
    eps : float, default 1e-12
        The least length to divide by.
    out : Tensor, optional
        Where the result is stored as well.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    IndexError
        `dim` is out of range.
    """
    x = checked("normalize", input)
    p, eps = scalar_of("normalize", "p", p), scalar_of("normalize", "eps", eps)
    if out is not None:
        checked("normalize", out, "out")
    y = x / lengths(x, p, axis_of("normalize", dim, x.ndim), True).clamp(eps)
    return y if out is None else become(out, y)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along a dimension.

    Parameters
    ----------
    x1, x2 : Tensor
        They broadcast.
    dim : int, default 1
        A dimension of the broadcast shape.
    eps : float, default 1e-8
        The least length to divide by.

    Returns
    -------
    Tensor
        Of the broadcast shape, without `dim`.
    """
    checked("cosine_similarity", x1, "x1")
    shape = common_shape("cosine_similarity", x1, checked("cosine_similarity", x2, "x2"))
    dim, eps = axis_of("cosine_similarity", dim, len(shape)), scalar_of("cosine_similarity", "eps", eps)
    x1, x2 = (x if x.shape == shape else x.expand(shape) for x in (x1, x2))
    return (x1 / lengths(x1, 2, dim, True).clamp(eps) * (x2 / lengths(x2, 2, dim, True).clamp(eps))).sum(dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The distance between vectors along the last dimension.

    Parameters
    ----------
    x1, x2 : Tensor (N, D) or (D,)
        They broadcast.
    p : float, default 2.0
        The distance is the p-norm of the difference.
    eps : float, default 1e-6
        Added to the difference.
    keepdim : bool, default False

    Returns
    -------
    Tensor (N,), or (N, 1) with `keepdim`
    """
    checked("pairwise_distance", x1, "x1")
    common_shape("pairwise_distance", x1, checked("pairwise_distance", x2, "x2"))
    p, eps = scalar_of("pairwise_distance", "p", p), scalar_of("pairwise_distance", "eps", eps)
    if keepdim is not False:
        keepdim = bool_of("pairwise_distance", "keepdim", keepdim)
    difference = x1 - x2 + eps
    return lengths(difference, p, difference.ndim - 1, keepdim)


def pdist(input, p=2.0):
    """The distances between all pairs of rows of (N, D): (N (N - 1) / 2,), in the order of ``triu_indices``."""
    x, p = checked("pdist", input), scalar_of("pdist", "p", p)
    if x.ndim != 2:
        raise ValueError(f"pdist: input must have 2 dimensions, got shape {x.shape}")
    i, j = np.triu_indices(len(x), 1)
    return lengths(x[i] - x[j], p, 1)


def bilinear(input1, input2, weight, bias=None):
    """``y[..., o] = input1 @ weight[o] @ input2 + bias[o]``, for each pair of rows.

    Parameters
    ----------
    input1 : Tensor (..., I)
    input2 : Tensor (..., J)
    weight : Tensor (O, I, J)
    bias : Tensor (O,), optional

    Returns
    -------
    Tensor (..., O)

    Raises
    ------
    ValueError
        The shapes do not agree.
    """
    for argument, tensor in (("input1", input1), ("input2", input2), ("weight", weight)):
        if not checked("bilinear", tensor, argument).ndim:
            raise ValueError(f"bilinear: {argument} must have dimensions, got a 0-d tensor")
    (*leading, size1), (*others, size2) = input1.shape, input2.shape
    if weight.ndim != 3 or weight.shape[1:] != (size1, size2) or leading != others:
        raise ValueError(
            f"bilinear: shapes do not agree: input1 is {input1.shape}, input2 {input2.shape}, weight {weight.shape}"
        )
    outputs = len(weight.array)
    columns = weight.permute(1, 0, 2).reshape(size1, outputs * size2)
    rows = matmul(input1.reshape(-1, size1), columns).reshape(-1, outputs, size2)
    y = matmul(rows, input2.reshape(-1, size2, 1)).reshape(*leading, outputs)
    return y if bias is None else y + checked("bilinear", bias, "bias")
