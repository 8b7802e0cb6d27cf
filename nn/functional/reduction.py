"""What a loss returns: one number for each element, their mean or their sum."""

import warnings


def reduction_of(reduction, size_average, reduce):
    """The reduction that the older arguments `size_average` and `reduce` mean, if they are given; they warn."""
    if size_average is None and reduce is None:
        return reduction
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
