"""The adaptive softmax: a loss for many classes, of which few are frequent."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nn import functional as F
from nn.containers import ModuleList, Sequential
from nn.factory import placed
from nn.functional.arguments import check_classes, checked, constant
from nn.linear import Linear
from nn.module import Module
from nn.operations.joining import cat
from nn.tensor import Tensor


class OutputAndLoss(NamedTuple):
    """The log-probability of each target, and minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of frequent classes by one layer, of rarer ones by those of their clusters, and the loss.

    Parameters
    ----------
    in_features, n_classes : int
        Classes are numbered from the most frequent one.
    cutoffs : sequence of int
        Where the clusters begin, in increasing order.
    div_value : float, default 4.0
        Each cluster's layer has this many times fewer features than that of the cluster before.
    head_bias : bool, default False
        Whether the first layer has a bias.

    Raises
    ------
    ValueError
        `cutoffs` do not increase, or are not from 1 to n_classes - 1.

    Reference: Grave et al., "Efficient softmax approximation for GPUs" (2017), section 4.

    Examples
    --------
    >>> import nn
    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(8, 100, [10, 50])
    >>> layer(nn.ones(3, 8), nn.tensor([1, 20, 99])).output.shape
    (3,)
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None):
        super().__init__()
        cutoffs = list(cutoffs) if isinstance(cutoffs, Sequence) else [cutoffs]
        if not cutoffs or cutoffs != sorted({int(c) for c in cutoffs}) or not 0 < cutoffs[0] <= cutoffs[-1] < n_classes:
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must increase from at least 1 to at most {n_classes - 1}, "
                f"got {cutoffs}"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            features = int(in_features // div_value ** (i + 1))
            self.tail.append(Sequential(Linear(in_features, features, False), Linear(features, high - low, False)))
        placed(self, device, dtype)

    def reset_parameters(self):
        """Draw all weights anew."""
        for layer in (self.head, *(layer for cluster in self.tail for layer in cluster)):
            layer.reset_parameters()

    def forward(self, input_, target_):
        """The log-probabilities of the targets, and minus their mean.

        Parameters
        ----------
        input_ : Tensor (N, in_features) or (in_features,)
        target_ : Tensor or array (N,) or ()
            Classes, int64 or int32.

        Returns
        -------
        OutputAndLoss
        """
        name, shape = type(self).__name__, checked(type(self).__name__, input_, "input_").shape
        target = constant(name, target_, "target_")
        if target.ndim > 1 or shape[:-1] != target.shape or not shape:
            raise ValueError(f"{name}: input_ and target_ do not agree: got {shape} and {target.shape}")
        check_classes(name, "target_", target, self.n_classes)
        x, t = (input_, target) if target.ndim else (input_.unsqueeze(0), target[None])
        clusters = np.searchsorted(self.cutoffs, t, side="right")  # 0 for the frequent classes
        columns = np.where(clusters == 0, t, self.shortlist_size + clusters - 1)
        output = F.log_softmax(self.head(x), 1)[np.arange(len(t)), columns]
        pieces, places = [], [np.flatnonzero(clusters == 0)]
        for i, cluster in enumerate(self.tail):
            rows = np.flatnonzero(clusters == i + 1)
            if len(rows):
                places.append(rows)
                pieces.append(F.log_softmax(cluster(x[rows]), 1)[np.arange(len(rows)), t[rows] - self.cutoffs[i]])
        frequent = Tensor(np.zeros(len(places[0]), x.dtype))
        output = output + cat((frequent, *pieces))[np.argsort(np.concatenate(places))]
        return OutputAndLoss(output if target.ndim else output.squeeze(0), -output.mean())

    def log_prob(self, input):
        """The log-probabilities of all classes: (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            column = self.shortlist_size + i
            parts.append(F.log_softmax(cluster(input), 1) + head[:, column : column + 1])
        return cat(parts, 1)

    def predict(self, input):
        """The most probable class of each row: (N,)."""
        return self.log_prob(input).argmax(1)
