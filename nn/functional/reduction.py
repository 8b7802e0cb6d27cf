"""What a loss returns: one number for each element, their mean or their sum."""

import warnings

import numpy as np

from nn.operations.arguments import bool_of


def reduction_of(name, reduction, size_average, reduce):
    """The reduction that the older arguments `size_average` and `reduce` mean, if they are given; they warn."""
    if size_average is None and reduce is None:
        return reduction
    for argument, flag in (("size_average", size_average), ("reduce", reduce)):
        if flag is not None:
            bool_of(name, argument, flag)
    each = reduce is not None and not reduce
    reduction = "none" if each else "mean" if size_average is None or size_average else "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=3
    )
    return reduction


def reduced(name, losses, reduction):
    """The losses, their mean or their sum, recorded; ValueError for another reduction."""
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction != "none":
        raise ValueError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return losses


def common_shape(name, input, *others):
    """The shape to which tensors or arrays broadcast."""
    try:
        return np.broadcast_shapes(input.shape, *(other.shape for other in others))
    except ValueError:
        shapes = ", ".join(str(other.shape) for other in others)
        raise ValueError(f"{name}: shapes do not broadcast: input is {input.shape}, target is {shapes}") from None
