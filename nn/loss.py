"""Loss functions as modules: each applies the function of its name in `nn.functional`.

`reduction` is "mean" or "sum" over the elements, or "none" for one loss per element. Class weights are buffers, so they
are saved with the model.
"""

from nn import functional as F
from nn.module import Module
from nn.tensor import Tensor


class _Loss(Module):
    def __init__(self, reduction):
        super().__init__()
        self.reduction = reduction

    def _register_weights(self, **weights):
        for name, weight in weights.items():
            self.register_buffer(name, weight if weight is None or isinstance(weight, Tensor) else Tensor(weight))


class L1Loss(_Loss):
    """The absolute difference of input and target."""

    def __init__(self, reduction="mean"):
        super().__init__(reduction)

    def forward(self, input, target):
        return F.l1_loss(input, target, self.reduction)


class MSELoss(_Loss):
    """The squared difference of input and target."""

    def __init__(self, reduction="mean"):
        super().__init__(reduction)

    def forward(self, input, target):
        return F.mse_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """d² / (2 beta) where |d| < beta, else |d| - beta / 2; d is the difference of input and target."""

    def __init__(self, reduction="mean", beta=1.0):
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input, target):
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(_Loss):
    """d² / 2 where |d| < delta, else delta · (|d| - delta / 2); d is the difference of input and target."""

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, self.reduction, self.delta)


class CrossEntropyLoss(_Loss):
    """The cross-entropy between softmax(input) and target classes or probabilities.

    Parameters
    ----------
    weight : Tensor or array (C,), optional
        The weight of each class.
    ignore_index : int, default -100
        Targets of this class do not count.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float, default 0.0
        The fraction of each target that is spread evenly over all classes.

    Examples
    --------
    >>> import nn
    >>> round(nn.CrossEntropyLoss()(nn.zeros(1, 10), nn.tensor([3])).item(), 4)
    2.3026
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        super().__init__(reduction)
        self._register_weights(weight=weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input, target):
        return F.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class NLLLoss(_Loss):
    """The negative log-likelihood of target classes, given log-probabilities.

    Parameters
    ----------
    weight : Tensor or array (C,), optional
        The weight of each class.
    ignore_index : int, default -100
        Targets of this class do not count.
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean"):
        super().__init__(reduction)
        self._register_weights(weight=weight)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class BCELoss(_Loss):
    """The cross-entropy of two probabilities, input and target, element by element.

    Parameters
    ----------
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, weight=None, reduction="mean"):
        super().__init__(reduction)
        self._register_weights(weight=weight)

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """`BCELoss` of sigmoid(input), computed from the logits without loss of precision.

    Parameters
    ----------
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    reduction : {"mean", "sum", "none"}
    pos_weight : Tensor or array, optional
        Factor on the losses of positive targets; broadcasts.
    """

    def __init__(self, weight=None, reduction="mean", pos_weight=None):
        super().__init__(reduction)
        self._register_weights(weight=weight, pos_weight=pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence of a distribution, target, from log-probabilities, input.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum divided by the first dimension, is the mathematical definition.
    log_target : bool, default False
        Whether the target holds log-probabilities, too.
    """

    def __init__(self, reduction="mean", log_target=False):
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input, target):
        return F.kl_div(input, target, self.reduction, self.log_target)
