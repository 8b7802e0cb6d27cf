"""Losses that are 0 from a margin on, composed of operations: all can be differentiated twice, targets as well.

`reduction` is "none" for one loss per sample or element, or their "mean" or "sum"; `size_average` and `reduce` are what
older programs give instead of it.
"""

import math
from typing import Any

import numpy as np

from nn.functional.activation import logsigmoid
from nn.functional.arguments import check_classes, checked, weights_of
from nn.functional.distances import pairwise_distance
from nn.functional.reduction import common_shape, reduced, reduction_of
from nn.operations.arguments import as_array, as_tensor, bool_of, numbers_of, scalar_of
from nn.operations.arithmetic import minimum
from nn.operations.elementwise import sqrt, where
from nn.storage import Tensor

__all__ = ["cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss"]
__all__ += ["multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss"]
__all__ += ["triplet_margin_with_distance_loss"]


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """Distances x of similar pairs (target 1), and max(0, margin - x) of others (target -1).

    Parameters
    ----------
    input : Tensor
    target : Tensor or array of the same shape
        1 or -1.
    margin : float, default 1.0
    size_average, reduce, reduction
        As described above.

    Returns
    -------
    Tensor
        0-d; for "none", of the shape of `input`.
    """
    reduction = reduction_of("hinge_embedding_loss", reduction, size_average, reduce)
    x, t = checked("hinge_embedding_loss", input), as_array(target)
    common_shape("hinge_embedding_loss", x, t)
    margin = scalar_of("hinge_embedding_loss", "margin", margin)
    losses = where(t != 1, (margin - x).clamp(0), 0) + where(t != -1, x, 0)
    return reduced("hinge_embedding_loss", losses, reduction)


def cosine_embedding_loss(input1, input2, target, margin: float = 0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos(input1, input2) of similar pairs (target 1), and max(0, cos - margin) of others (target -1).

    Parameters
    ----------
    input1, input2 : Tensor (N, D) or (D,)
    target : Tensor or array (N,) or ()
        1 or -1.
    margin : float, default 0
    size_average, reduce, reduction
        As described above.

    Returns
    -------
    Tensor
        0-d; for "none", of the shape of `target`.
    """
    reduction, name = reduction_of("cosine_embedding_loss", reduction, size_average, reduce), "cosine_embedding_loss"
    a, b, t = checked(name, input1, "input1"), checked(name, input2, "input2"), as_array(target)
    if t.ndim not in (0, 1) or a.ndim != t.ndim + 1 or b.ndim != t.ndim + 1:
        raise ValueError(f"{name}: expected (N, D), (N, D) and (N,), got {a.shape}, {b.shape} and {t.shape}")
    common_shape(name, a, b)
    product = ((a * a).sum(t.ndim) + 1e-12) * ((b * b).sum(t.ndim) + 1e-12)
    cosine = (a * b).sum(t.ndim) / sqrt(product)
    margin = scalar_of(name, "margin", margin)
    losses = where(t == 1, 1 - cosine, 0) + where(t == -1, (cosine - margin).clamp(0), 0)
    return reduced(name, losses, reduction)


def margin_ranking_loss(input1, input2, target, margin: float = 0, size_average=None, reduce=None, reduction="mean"):
    """max(0, margin - target · (input1 - input2)): the target is 1 where `input1` is to be the larger, else -1.

    Parameters
    ----------
    input1, input2, target : Tensor
        Of one shape.
    margin : float, default 0
    size_average, reduce, reduction
        As described above.
    """
    reduction, name = reduction_of("margin_ranking_loss", reduction, size_average, reduce), "margin_ranking_loss"
    a, b, t = checked(name, input1, "input1"), checked(name, input2, "input2"), as_tensor(target)
    if not a.ndim == b.ndim == t.ndim:
        raise ValueError(f"{name}: numbers of dimensions differ: got {a.shape}, {b.shape} and {t.shape}")
    common_shape(name, a, b, t)
    return reduced(name, ((b - a) * t + scalar_of(name, "margin", margin)).clamp(0), reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-target · x)), targets 1 or -1, elementwise; arguments as for `hinge_embedding_loss`."""
    reduction = reduction_of("soft_margin_loss", reduction, size_average, reduce)
    x, t = checked("soft_margin_loss", input), as_tensor(target)
    common_shape("soft_margin_loss", x, t)
    return reduced("soft_margin_loss", -logsigmoid(x * t), reduction)


def _rows(name, input, target, target_dims):
    """The scores as (N, C), the classes as an array of N rows, each of `target_dims` dimensions."""
    x, t = checked(name, input), as_array(target)
    if x.ndim > 2:
        raise ValueError(f"{name}: input must have at most 2 dimensions, got shape {x.shape}")
    rows, classes = x.shape if x.ndim == 2 else (1, x.array.size)
    expected = (rows, classes)[: 1 + target_dims]
    agree = t.shape == expected if x.ndim == 2 else t.size == math.prod(expected)
    if not (agree and classes):
        raise ValueError(f"{name}: input and target do not agree: got {x.shape} and {t.shape}")
    return x.reshape(rows, classes), t.reshape(expected)


def multi_margin_loss(
    input, target, p: Any =1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):  # fmt: skip
    """The mean over the classes of max(0, margin - x[target] + x[class]) ** p, without the target.

    Parameters
    ----------
    input : Tensor (N, C) or (C,)
    target : Tensor or array (N,) or ()
        Classes, int64 or int32.
    p : {1, 2}
    margin : float, default 1.0
    weight : Tensor or array (C,), optional
        A factor for each target class.
    size_average, reduce, reduction
        As described above.

    Raises
    ------
    ValueError
        Shapes do not agree, or `p` is neither 1 nor 2.
    IndexError
        A class is out of range.
    """
    reduction, name = reduction_of("multi_margin_loss", reduction, size_average, reduce), "multi_margin_loss"
    if scalar_of(name, "p", p) not in (1, 2):
        raise ValueError(f"{name}: p must be 1 or 2, got {p}")
    x, t = _rows(name, input, target, 0)
    n, classes = x.shape
    check_classes(name, "target", t, classes)
    differences = (scalar_of(name, "margin", margin) - x[np.arange(n), t].reshape(n, 1) + x).clamp(0)
    losses = differences * differences if p == 2 else differences
    if weight is not None:
        losses = losses * weights_of(name, weight)[t][:, None]
    losses = where(np.arange(classes) == t[:, None], 0, losses).sum(1) / classes
    return reduced(name, losses.reshape(as_array(target).shape), reduction)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """The sum of max(0, 1 - x[i] + x[j]) over target classes i and other classes j, divided by the number of classes.

    Parameters
    ----------
    input : Tensor (N, C) or (C,)
    target : Tensor or array of the same shape
        The target classes of each row, int64 or int32, up to the first -1.
    size_average, reduce, reduction
        As described above.

    Raises
    ------
    ValueError
        Shapes do not agree.
    IndexError
        A class is out of range.
    """
    reduction, name = reduction_of("multilabel_margin_loss", reduction, size_average, reduce), "multilabel_margin_loss"
    x, t = _rows(name, input, target, 1)
    n, classes = x.shape
    listed = np.logical_and.accumulate(t != -1, 1)
    t = np.where(listed, t, 0)
    check_classes(name, "target", t, classes)
    rows = np.arange(n)[:, None]
    others = np.ones((n, classes), bool)
    others[np.broadcast_to(rows, t.shape)[listed], t[listed]] = False
    differences = (1 - x[rows, t].reshape(n, classes, 1) + x.reshape(n, 1, classes)).clamp(0)
    counted = listed[:, :, None] & others[:, None, :]
    losses = where(counted, differences, 0).sum((1, 2)) / classes
    return reduced(name, losses.reshape(input.shape[:-1]), reduction)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over the classes of the cross-entropy of sigmoid(input) and a target, 1 or 0 for each class.

    Parameters
    ----------
    input : Tensor (N, C)
    target : Tensor or array of the same shape
    weight : Tensor or array (C,), optional
        A factor for each class.
    size_average, reduce, reduction
        As described above.
    """
    name = "multilabel_soft_margin_loss"
    reduction = reduction_of(name, reduction, size_average, reduce)
    x, t = checked(name, input), as_tensor(target)
    common_shape(name, x, t)
    losses = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    if weight is not None:
        losses = losses * (weight if isinstance(weight, Tensor) else numbers_of(name, "weight", weight))
    return reduced(name, losses.mean(-1), reduction)


def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p: Any = 2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), where d is `pairwise_distance`.

    Parameters
    ----------
    anchor, positive, negative : Tensor (N, D) or (D,)
    margin : float, default 1.0
        Positive.
    p, eps
        As for `pairwise_distance`.
    swap : bool, default False
        Whether d(positive, negative) replaces d(anchor, negative) where it is smaller.
    size_average, reduce, reduction
        As described above.

    Raises
    ------
    ValueError
        Numbers of dimensions differ, or `margin` is not positive.
    """
    swap = bool_of("triplet_margin_loss", "swap", swap)

    def distance(a, b):
        return pairwise_distance(a, b, p, eps)

    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=distance,
        margin=margin,
        swap=swap,
        reduction=reduction_of("triplet_margin_loss", reduction, size_average, reduce),
    )


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """`triplet_margin_loss` with another distance.

    Parameters
    ----------
    anchor, positive, negative : Tensor
    distance_function : callable, optional
        Takes two of these tensors; `pairwise_distance` by default.
    margin, swap, reduction
        As for `triplet_margin_loss`.
    """
    margin = scalar_of("triplet_margin_loss", "margin", margin)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: margin must be positive, got {margin}")
    for argument, tensor in (("anchor", anchor), ("positive", positive), ("negative", negative)):
        checked("triplet_margin_loss", tensor, argument)
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = f"{anchor.shape}, {positive.shape} and {negative.shape}"
        raise ValueError(f"triplet_margin_loss: numbers of dimensions differ: got {shapes}")
    distance = pairwise_distance if distance_function is None else distance_function
    if not callable(distance):
        raise TypeError(f"triplet_margin_loss: distance_function must be callable, got {type(distance).__name__}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced("triplet_margin_loss", (near - far + margin).clamp(0), reduction)
