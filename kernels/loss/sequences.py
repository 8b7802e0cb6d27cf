"""The loss of sequences of classes without an alignment: arguments, and the choice of the number of threads."""

import math

import numpy as np

from kernels import _checks
from kernels._indices import within
from kernels._threads import threads_for
from kernels.loss.alignment import Classes, backward, forward
from kernels.loss.pairs import REDUCTIONS, reduced

OPERATIONS = 32  # about as many elements of a cheap loop take as long as one state


def ctc_loss(
    log_probs,
    targets,
    input_lengths,
    target_lengths,
    blank=0,
    reduction="mean",
    zero_infinity=False,
    *,
    log_alpha=None,
):
    """Connectionist temporal classification loss: minus the log-likelihood of sequences of classes, alignment unknown.

    Parameters
    ----------
    log_probs : array, float32 or float64
        Log-probabilities of C classes at T times: shape (T, N, C), or (T, C) for one sample.
    targets : array of int64 or int32
        Shape (N, S), of which the first ``target_lengths[n]`` count; or one-dimensional: all samples' targets, one
        after the other.
    input_lengths, target_lengths : array or sequence of int
        Shape (N,), or () for one sample.
    blank : int, default 0
        The class that stands for none.
    reduction : {"mean", "sum", "none"}
        "mean" is that of the losses divided by their target lengths (at least 1).
    zero_infinity : bool, default False
        Whether infinite losses, of inputs too short for their targets, and their gradients count as 0.
    log_alpha : array, optional
        C-contiguous, shape ``(N, T, 2 * max(target_lengths) + 1)``: receives what saves the backward the forward, the
        logarithms of the forward variables, each time's up to a constant.

    Returns
    -------
    ndarray
        0-d, or shape (N,) for "none" of several samples.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        Shapes that do not fit, lengths that leave the arrays, a `blank` that is no class.
    IndexError
        A target that is no class.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import ctc_loss
    >>> log_probs = np.log(np.full((2, 1, 2), 0.5))  # two times, one sample, the blank and a class
    >>> ctc_loss(log_probs, np.array([[1]]), [2], [1])  # three of four paths
    array(0.28768207)
    """
    samples = _Samples("ctc_loss", log_probs, targets, input_lengths, target_lengths, blank, reduction)
    losses = samples.losses(log_alpha)
    if zero_infinity:
        losses[losses == math.inf] = 0
    if reduction == "mean":
        losses /= np.maximum(samples.target_lengths, 1)
    return reduced(losses.reshape(samples.shape), reduction)


def ctc_loss_backward(
    dy,
    log_probs,
    targets,
    input_lengths,
    target_lengths,
    blank=0,
    reduction="mean",
    zero_infinity=False,
    *,
    log_alpha=None,
):
    """Gradient of `ctc_loss` with respect to the logits of which `log_probs` are the log-softmax (as PyTorch's, which
    is right for the result of a log-softmax only).

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of the losses' shape for "none".
    log_probs, targets, input_lengths, target_lengths, blank, reduction
        As given to the forward.
    zero_infinity : bool, default False
        Whether the gradient of an infinite loss is 0 instead of NaN.
    log_alpha : array, optional
        What the forward put there; without it, the forward is computed once more.

    Returns
    -------
    ndarray
        Of the shape and dtype of `log_probs`; 0 from the time ``input_lengths[n]`` on, and for a class that cannot be
        (PyTorch's is NaN there).

    Raises
    ------
    TypeError, ValueError, IndexError
        As `ctc_loss`; a `dy` of another shape or dtype than the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import ctc_loss_backward
    >>> log_probs = np.log(np.full((2, 1, 2), 0.5))
    >>> ctc_loss_backward(np.array(1.0), log_probs, np.array([[1]]), [2], [1])[0]
    array([[ 0.16666667, -0.16666667]])
    """
    operation = "ctc_loss_backward"
    samples = _Samples(operation, log_probs, targets, input_lengths, target_lengths, blank, reduction)
    dlosses = samples.loss_gradients(dy)
    if log_alpha is None:
        log_alpha = np.empty(samples.alpha_shape, samples.log_probs.dtype)
        samples.losses(log_alpha)
    log_alpha = _checks.output(operation, log_alpha, samples.alpha_shape, samples.log_probs.dtype, "log_alpha")
    dx = np.empty_like(samples.log_probs)
    if dx.size:
        given = samples.log_probs, samples.classes, samples.lengths, log_alpha, dlosses, bool(zero_infinity)
        backward(*given, dx, samples.threads)
    return dx.reshape(np.shape(log_probs))


class _Samples:
    """The validated arguments of both directions."""

    def __init__(self, operation, log_probs, targets, input_lengths, target_lengths, blank, reduction):
        _checks.choice(operation, "reduction", reduction, REDUCTIONS)
        x = _checks.floats(operation, "log_probs", log_probs)
        if x.ndim not in (2, 3):
            raise ValueError(f"{operation}: log_probs must have shape (T, N, C) or (T, C), got {x.shape}")
        self.shape = x.shape[1:-1]
        self.operation, self.reduction, self.log_probs = operation, reduction, x if x.ndim == 3 else x[:, None]
        T, N, C = self.log_probs.shape
        if not 0 <= blank < C:
            raise ValueError(f"{operation}: blank must be from 0 to {C - 1}, got {blank}")
        self.lengths = self._lengths("input_lengths", input_lengths, T)
        targets = _checks.indices(operation, "targets", targets)
        if targets.ndim == 2 and len(targets) != N or targets.ndim not in (1, 2):
            raise ValueError(
                f"{operation}: targets must have shape ({N}, S) or be one-dimensional, got {targets.shape}"
            )
        longest = targets.shape[-1]
        self.target_lengths = self._lengths("target_lengths", target_lengths, longest)
        if targets.ndim == 2:
            targets = targets[np.arange(longest) < self.target_lengths[:, None]]
        starts = np.concatenate([[0], np.cumsum(self.target_lengths)])
        if starts[-1] != targets.size:
            raise ValueError(
                f"{operation}: target_lengths must add up to the {targets.size} targets, they add up to {starts[-1]}"
            )
        within(operation, "targets", targets, C)
        self.classes = Classes(targets, starts, int(blank))
        states = 2 * int(self.target_lengths.max(initial=0)) + 1
        self.alpha_shape = N, T, states
        self.threads = threads_for(OPERATIONS * N * T * states)

    def _lengths(self, name, lengths, maximum):
        """Validate the lengths, from 0 to `maximum`."""
        lengths = _checks.indices(self.operation, name, np.asarray(lengths))
        if lengths.shape not in (self.log_probs.shape[1:2], self.shape):
            raise ValueError(f"{self.operation}: {name} must have shape {self.shape}, got {lengths.shape}")
        lengths = lengths.reshape(-1)
        if lengths.size and not 0 <= lengths.min() <= lengths.max() <= maximum:
            raise ValueError(f"{self.operation}: {name} must be from 0 to {maximum}, got {lengths}")
        return lengths

    def losses(self, log_alpha):
        """The loss of each sample."""
        losses, dtype = np.empty(self.log_probs.shape[1], self.log_probs.dtype), self.log_probs.dtype
        if log_alpha is None:
            log_alpha = np.empty((0, 0, 0), dtype)
        else:
            _checks.output(self.operation, log_alpha, self.alpha_shape, dtype, "log_alpha")
        forward(self.log_probs, self.classes, self.lengths, log_alpha, losses, self.threads)
        return losses

    def loss_gradients(self, dy):
        """The gradient with respect to each sample's loss."""
        dy = _checks.floats(self.operation, "dy", dy)
        _checks.same_dtype(self.operation, dy=dy, log_probs=self.log_probs)
        expected = self.shape if self.reduction == "none" else ()
        if dy.shape != expected:
            raise ValueError(f"{self.operation}: dy must have shape {expected}, got {dy.shape}")
        dlosses = np.empty(self.log_probs.shape[1], dy.dtype)
        dlosses[:] = dy
        if self.reduction == "mean":
            dlosses /= np.maximum(self.target_lengths, 1) * dlosses.size
        return dlosses
