"""Losses that are 0 from a margin on, as modules: each applies the function of its name in `nn.functional`."""

from typing import Any

from nn import functional as F
from nn.distance import PairwiseDistance
from nn.loss import Loss

__all__ = ["CosineEmbeddingLoss", "HingeEmbeddingLoss", "MarginRankingLoss", "MultiLabelMarginLoss"]
__all__ += ["MultiLabelSoftMarginLoss", "MultiMarginLoss", "SoftMarginLoss", "TripletMarginLoss"]
__all__ += ["TripletMarginWithDistanceLoss"]


class _MarginLoss(Loss):
    """A loss of `margin`, whose arguments precede those of the reduction."""

    def __init__(self, margin, size_average, reduce, reduction):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class HingeEmbeddingLoss(_MarginLoss):
    """Distances x of similar pairs (target 1), and max(0, margin - x) of others (target -1).

    Examples
    --------
    >>> import nn
    >>> nn.HingeEmbeddingLoss()(nn.tensor([0.3, 0.4]), nn.tensor([1.0, -1.0]))
    tensor(0.4500)
    """

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input, target):
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """1 - cos(input1, input2) of similar pairs (target 1), and max(0, cos - margin) of others (target -1).

    Examples
    --------
    >>> import nn
    >>> nn.CosineEmbeddingLoss()(nn.tensor([[1.0, 0.0]]), nn.tensor([[1.0, 1.0]]), nn.tensor([1.0]))
    tensor(0.2929)
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input1, input2, target):
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(_MarginLoss):
    """max(0, margin - target · (input1 - input2)).

    Examples
    --------
    >>> import nn
    >>> nn.MarginRankingLoss(margin=0.5)(nn.tensor([1.0]), nn.tensor([0.8]), nn.tensor([1.0]))
    tensor(0.3000)
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input1, input2, target):
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(-target · x)), targets 1 or -1.

    Examples
    --------
    >>> import nn
    >>> nn.SoftMarginLoss()(nn.tensor([1.0, -2.0]), nn.tensor([1.0, -1.0]))
    tensor(0.2201)
    """

    def forward(self, input, target):
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiMarginLoss(_MarginLoss):
    """The mean over the classes of max(0, margin - x[target] + x[class]) ** p, without the target.

    Parameters
    ----------
    p : {1, 2}
    margin : float, default 1.0
    weight : Tensor or array (C,), optional
        A factor for each target class.
    size_average, reduce, reduction
        As for all losses.

    Raises
    ------
    ValueError
        `p` is neither 1 nor 2, or `weight` not one-dimensional.

    Examples
    --------
    >>> import nn
    >>> nn.MultiMarginLoss()(nn.tensor([[0.1, 0.2, 0.8]]), nn.tensor([2]))
    tensor(0.2333)
    """

    def __init__(self, p: Any = 1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(margin, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: weight must have one dimension, got shape {weight.shape}")
        self.p = p
        self._register_weights(weight=weight)

    def forward(self, input, target):
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """The sum of max(0, 1 - x[i] + x[j]) over target classes i and other classes j, divided by their number.

    Examples
    --------
    >>> import nn
    >>> nn.MultiLabelMarginLoss()(nn.tensor([[0.1, 0.2, 0.4, 0.8]]), nn.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """

    def forward(self, input, target):
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """The mean over the classes of the cross-entropy of sigmoid(input) and a target, 1 or 0 for each class.

    Examples
    --------
    >>> import nn
    >>> nn.MultiLabelSoftMarginLoss()(nn.tensor([[1.0, -1.0]]), nn.tensor([[1.0, 0.0]]))
    tensor(0.3133)
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self._register_weights(weight=weight)

    def forward(self, input, target):
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class TripletMarginLoss(_MarginLoss):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d the p-norm of the difference.

    Parameters
    ----------
    margin : float, default 1.0
        Positive; else ValueError.
    p, eps
        As for `PairwiseDistance`.
    swap : bool, default False
        Whether d(positive, negative) replaces d(anchor, negative) where it is smaller.
    size_average, reduce, reduction
        As for all losses.

    Reference: Balntas et al., "Learning shallow convolutional feature descriptors with triplet losses" (2016),
    equation 3.

    Examples
    --------
    >>> import nn
    >>> nn.TripletMarginLoss()(nn.tensor([[0.0, 0.0]]), nn.tensor([[0.0, 1.0]]), nn.tensor([[0.0, 1.5]]))
    tensor(0.5000)
    """

    def __init__(
        self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
    ):  # fmt: skip
        super().__init__(margin, size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: margin must be positive, got {margin}")
        self.p, self.eps, self.swap = p, eps, swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(Loss):
    """`TripletMarginLoss` with another distance.

    Parameters
    ----------
    distance_function : callable, optional
        Takes two tensors; that of `PairwiseDistance` by default.
    margin, swap, reduction
        As for `TripletMarginLoss`.

    Examples
    --------
    >>> import nn
    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(1))
    >>> loss(nn.tensor([[0.0, 0.0]]), nn.tensor([[0.0, 1.0]]), nn.tensor([[0.0, 1.5]]))
    tensor(0.5000)
    """

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: margin must be positive, got {margin}")
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
