"""Loss functions as modules: each applies the function of its name in `nn.functional`.

`reduction` is "mean" or "sum" over the elements, or "none" for one loss per element. Class weights are buffers, so they
are saved with the model.
"""

from nn import functional as F
from nn.functional.reduction import reduction_of
from nn.module import Module
from nn.tensor import Tensor

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "CTCLoss", "GaussianNLLLoss", "HuberLoss", "KLDivLoss"]
__all__ += ["L1Loss", "MSELoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss"]


class Loss(Module):
    """Base class of all losses: the reduction, and what older programs give instead of it."""

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        self.reduction = reduction_of(type(self).__name__, reduction, size_average, reduce)

    def _register_weights(self, **weights):
        for name, weight in weights.items():
            self.register_buffer(name, weight if weight is None or isinstance(weight, Tensor) else Tensor(weight))


class L1Loss(Loss):
    """The absolute difference of input and target.

    Examples
    --------
    >>> import nn
    >>> nn.L1Loss()(nn.tensor([1.0, 2.0]), nn.tensor([1.5, 4.0]))
    tensor(1.2500)
    """

    def forward(self, input, target):
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(Loss):
    """The squared difference of input and target.

    Examples
    --------
    >>> import nn
    >>> nn.MSELoss()(nn.tensor([1.0, 2.0]), nn.tensor([1.5, 4.0]))
    tensor(2.1250)
    """

    def forward(self, input, target):
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """d² / (2 beta) where |d| < beta, else |d| - beta / 2; d is the difference of input and target.

    Examples
    --------
    >>> import nn
    >>> nn.SmoothL1Loss()(nn.tensor([1.0, 2.0]), nn.tensor([1.5, 4.0]))
    tensor(0.8125)
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """d² / 2 where |d| < delta, else delta · (|d| - delta / 2); d is the difference of input and target.

    Examples
    --------
    >>> import nn
    >>> nn.HuberLoss()(nn.tensor([1.0, 2.0]), nn.tensor([1.5, 4.0]))
    tensor(0.8125)
    """

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, self.reduction, self.delta)


class CrossEntropyLoss(Loss):
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

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self._register_weights(weight=weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input, target):
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """The negative log-likelihood of target classes, given log-probabilities.

    Parameters
    ----------
    weight : Tensor or array (C,), optional
        The weight of each class.
    ignore_index : int, default -100
        Targets of this class do not count.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import nn
    >>> nn.NLLLoss()(nn.tensor([[0.7, 0.3], [0.4, 0.6]]).log(), nn.tensor([0, 1]))
    tensor(0.4338)
    """

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self._register_weights(weight=weight)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(Loss):
    """The cross-entropy of two probabilities, input and target, element by element.

    Parameters
    ----------
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import nn
    >>> nn.BCELoss()(nn.tensor([0.2, 0.9]), nn.tensor([0.0, 1.0]))
    tensor(0.1643)
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self._register_weights(weight=weight)

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """`BCELoss` of sigmoid(input), computed from the logits without loss of precision.

    Parameters
    ----------
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    reduction : {"mean", "sum", "none"}
    pos_weight : Tensor or array, optional
        Factor on the losses of positive targets; broadcasts.

    Examples
    --------
    >>> import nn
    >>> nn.BCEWithLogitsLoss()(nn.tensor([-1.0, 2.0]), nn.tensor([0.0, 1.0]))
    tensor(0.2201)
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(size_average, reduce, reduction)
        self._register_weights(weight=weight, pos_weight=pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence of a distribution, target, from log-probabilities, input.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum divided by the first dimension, is the mathematical definition.
    log_target : bool, default False
        Whether the target holds log-probabilities, too.

    Examples
    --------
    >>> import nn
    >>> nn.KLDivLoss(reduction='sum')(nn.tensor([0.5, 0.5]).log(), nn.tensor([0.25, 0.75]))
    tensor(0.1308)
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input, target):
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of counts that are Poisson distributed.

    Parameters
    ----------
    log_input : bool, default True
        Whether the input holds the logarithms of the expected counts.
    full : bool, default False
        Whether Stirling's approximation of log(target!) is added.
    eps : float, default 1e-8
        Added to the expected counts before their logarithm, without `log_input`.
    size_average, reduce, reduction
        As for all losses.

    Examples
    --------
    >>> import nn
    >>> nn.PoissonNLLLoss()(nn.tensor([0.0, 1.0]), nn.tensor([1.0, 3.0]))
    tensor(0.3591)
    """

    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input, target):
        return F.poisson_nll_loss(
            log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )  # fmt: skip


class GaussianNLLLoss(Loss):
    """The negative log-likelihood of targets that are normally distributed with given variances.

    Parameters
    ----------
    full : bool, default False
        Whether the constant log(2 π) / 2 is added.
    eps : float, default 1e-6
        The least variance.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import nn
    >>> nn.GaussianNLLLoss()(nn.tensor([1.0, 2.0]), nn.tensor([1.5, 4.0]), nn.tensor([1.0, 4.0]))
    tensor(0.6591)
    """

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input, target, var):
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class CTCLoss(Loss):
    """Connectionist temporal classification loss: minus the log-likelihood of sequences of classes, alignment unknown.

    Parameters
    ----------
    blank : int, default 0
        The class that stands for none.
    reduction : {"mean", "sum", "none"}
    zero_infinity : bool, default False
        Whether infinite losses, of inputs too short for their targets, and their gradients are 0.

    Reference: Graves et al., "Connectionist Temporal Classification" (2006), equations 6 to 16.

    Examples
    --------
    >>> import nn
    >>> x = nn.zeros(5, 1, 3).log_softmax(2)
    >>> nn.CTCLoss()(x, nn.tensor([[1, 2]]), nn.tensor([5]), nn.tensor([2]))
    tensor(0.9689)
    """

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
