r"""Negative log-likelihood of C classes, for log-probabilities x and class weights w.

    l = -w_t x_t            dx_t = -w_t dl,  0 for the other classes

One element of each slice is read. Shapes and reductions are those of `classification`.
"""

import numpy as np

from kernels._jit import jit
from kernels.loss.targets import IGNORED, ClassTargets
from kernels.reduction.blocks import slice_start


@jit
def _likelihoods(n, inner, x, index, index_weight, losses):
    for s in range(index.size):
        losses[s] = 0.0
        if index[s] != IGNORED and index_weight[s] != 0.0:  # a weight of 0 gives 0, even times an infinity
            losses[s] = -index_weight[s] * x[slice_start(s, n, inner) + index[s] * inner]


@jit
def _scatter(n, inner, index, index_weight, dlosses, dx):
    for s in range(index.size):
        if index[s] != IGNORED:
            dx[slice_start(s, n, inner) + index[s] * inner] = -index_weight[s] * dlosses[s]


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Negative log-likelihood of class indices: ``-weight[t] x[t]``, for `x` of log-probabilities.

    Parameters
    ----------
    x : array, float32 or float64
        Log-probabilities: shape (C,), (N, C) or (N, C, d1, ...).
    target : array, int64 or int32
        Class indices of shape (), (N,) or (N, d1, ...).
    weight : array, optional
        Weights of the classes, shape (C,).
    ignore_index : int, default -100
        A class index that does not count.
    reduction : {"mean", "sum", "none"}
        "mean" is weighted by the targets' weights; over no targets it is NaN.

    Returns
    -------
    ndarray
        0-d, or the losses for "none".

    Raises
    ------
    IndexError
        A class index outside 0 ... C - 1 that is not `ignore_index`.
    TypeError, ValueError
        Dtypes, shapes or options that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import nll_loss
    >>> nll_loss(np.log([[0.5, 0.25, 0.25]]), np.array([1]))
    array(1.38629436)
    """
    targets = ClassTargets("nll_loss", x, weight, reduction)
    targets.set_classes(target, ignore_index)
    losses = np.empty(targets.slices, targets.x.dtype)
    if targets.slices:
        index, index_weight = targets.target.index, targets.target.index_weight
        _likelihoods(targets.classes, targets.inner, targets.x.reshape(-1), index, index_weight, losses)
    return targets.reduce(losses)


def nll_loss_backward(dy, x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Gradient of `nll_loss` with respect to `x`: ``-weight[t] dy`` at the target class, 0 elsewhere.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of the losses' shape for "none".
    x, target, weight, ignore_index, reduction
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    IndexError, TypeError, ValueError
        As `nll_loss`; also where `dy` does not have the shape or dtype of the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import nll_loss_backward
    >>> nll_loss_backward(np.array(1.0), np.zeros((1, 3)), np.array([1]))
    array([[ 0., -1.,  0.]])
    """
    targets = ClassTargets("nll_loss_backward", x, weight, reduction)
    targets.set_classes(target, ignore_index)
    dlosses = targets.loss_gradients(dy)
    dx = np.zeros_like(targets.x)
    if targets.slices:
        index, index_weight = targets.target.index, targets.target.index_weight
        _scatter(targets.classes, targets.inner, index, index_weight, dlosses, dx.reshape(-1))
    return dx
