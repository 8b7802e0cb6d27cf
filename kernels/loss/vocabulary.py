r"""Cross-entropy of a linear layer's outputs over a large vocabulary, without the array of logits.

    z = x Wᵀ + b        l = cross_entropy(z, target)        x: N x K,  W: C x K,  b: C

With C = 32,000 classes the logits z outweigh everything else: PyTorch keeps log softmax(z) for the backward, where dz
and an array of zeros come beside it, N C elements each. But the softmax of a row needs that row alone. So rows are
taken a block at a time, as many as have SCRATCH bytes of logits, and in the same memory z becomes dz:

    for each block of rows:
        z = x Wᵀ + b
        l, lse = loss of each row
        dz = dl (softmax(z) - q)          in place of z; only if gradients are wanted
        dx = dz W                         the rows of the block
        dW += dzᵀ x,  db += sum dz        of the first block: =

The gradients are made in the forward, up to the factor dy, while the logits are at hand: three products, 6 N K C FLOPs,
as if the logits had been kept. With the reduction "none" each loss has a dy of its own, and the backward forms the
logits anew: four products in all. A longer block reads and writes dW less often.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels.gemm.driver import NO_BIAS, product
from kernels.gemm.micro import ADD, BIAS, MR, STORE
from kernels.loss.classification import class_losses, class_slopes
from kernels.loss.targets import Targets, smoothed
from kernels.reduction import sum as sum_over

SCRATCH = 16 * 2**20  # bytes of logits at a time: of 32,000 classes 131 rows, work enough to hide a pass over dW
IGNORE_INDEX = -100


@jit
def linear_cross_entropy_naive(x, weight, bias, target, out):
    """The definition, a row at a time; a `bias` of size 0 counts as zeros."""
    rows, K = x.shape
    logits = np.empty(weight.shape[0], x.dtype)
    for row in range(rows):
        for c in range(logits.size):
            logits[c] = bias[c] if bias.size else 0
            for p in range(K):
                logits[c] += x[row, p] * weight[c, p]
        peak = np.max(logits)
        total = 0.0
        for c in range(logits.size):
            total += math.exp(logits[c] - peak)
        out[row] = math.log(total) - (logits[target[row]] - peak)


def linear_cross_entropy_blocks(x, weight, bias, target, out):
    """Adds blocks of rows whose logits share one piece of memory, packed products and threads."""
    bias = bias if bias.size else None
    out[...] = linear_cross_entropy(x, weight, target, linear_bias=bias, reduction="none")


VARIANTS = {"linear_cross_entropy": {"naive": linear_cross_entropy_naive, "blocks": linear_cross_entropy_blocks}}


class _Problem(Targets):
    """The checked arguments that forward and backward share, and the walk over blocks of rows."""

    def __init__(
        self, operation, x, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing
    ):  # fmt: skip
        x = _checks.floats(operation, "x", x)
        self.linear_weight = W = _checks.floats(operation, "linear_weight", linear_weight)
        if W.ndim != 2:
            raise ValueError(f"{operation}: linear_weight must have 2 dimensions, got shape {W.shape}")
        if not x.ndim or x.shape[-1] != W.shape[1]:
            raise ValueError(f"{operation}: inner dimensions differ: x is {x.shape}, linear_weight is {W.shape}")
        _checks.same_dtype(operation, x=x, linear_weight=W)
        self.bias = NO_BIAS[x.dtype]
        if linear_bias is not None:
            self.bias = _checks.floats(operation, "linear_bias", linear_bias)
            _checks.same_dtype(operation, x=x, linear_bias=self.bias)
            if self.bias.shape != W.shape[:1]:
                raise ValueError(f"{operation}: linear_bias must have shape {W.shape[:1]}, got {self.bias.shape}")
        super().__init__(operation, x, x.shape[:-1], W.shape[0], weight, reduction)
        self.take_classes(target, IGNORE_INDEX if ignore_index is None else ignore_index)
        self.smoothing = smoothed(operation, label_smoothing, weight)
        self.rows = x.reshape(self.slices, x.shape[-1])

    def walk(self, losses, dlosses=None, gradients=(None, None, None)):
        """Write the losses and, where their gradients `dlosses` are given, dx, dweight and dbias (or None)."""
        N, C = self.slices, self.classes
        dx, dweight, dbias = gradients
        if not N:
            for gradient in gradients:
                if gradient is not None:
                    gradient[...] = 0
            return
        most = max(SCRATCH // (C * self.x.itemsize), MR)
        blocks = -(-N // most)
        share = -(-N // blocks)
        scratch = np.empty((share, C), self.x.dtype)
        for first in range(0, N, share):
            part = slice(first, min(first + share, N))
            x, z = self.rows[part], scratch[: part.stop - first]
            product(x, self.linear_weight.T, self.bias, BIAS if self.bias.size else STORE, z)
            lse = class_losses(z, self.index[part], self.picked[part], self.weight, self.smoothing, losses[part])
            if dlosses is None:
                continue
            class_slopes(z, self.index[part], self.picked[part], self.weight, self.smoothing, dlosses[part], lse)
            if dx is not None:
                product(z, self.linear_weight, NO_BIAS[x.dtype], STORE, dx.reshape(self.rows.shape)[part])
            if dweight is not None:
                product(z.T, x, NO_BIAS[x.dtype], ADD if first else STORE, dweight)
            if dbias is not None:
                np.add(sum_over(z, 0), dbias if first else 0, out=dbias)

    def arrays(self, needs=(True, True, True)):
        """New arrays for the gradients of x, linear_weight and linear_bias, None for those that are not needed."""
        shapes = self.x.shape, self.linear_weight.shape, self.linear_weight.shape[:1]
        return tuple(
            _checks.new(shape, self.x.dtype) if need else None for shape, need in zip(shapes, needs, strict=True)
        )

    def fitting(self, gradients):
        """`gradients`, each seen to be what `arrays` gives."""
        if self.reduction == "none":
            raise ValueError(f'{self.operation}: gradients need the reduction "mean" or "sum", got "none"')
        shapes = self.x.shape, self.linear_weight.shape, self.linear_weight.shape[:1]
        for each, shape, name in zip(gradients, shapes, ("x", "linear_weight", "linear_bias"), strict=True):
            if each is not None:
                _checks.output(self.operation, each, shape, self.x.dtype, f"the gradient of {name}")
                _checks.no_overlap(self.operation, each, x=self.x, linear_weight=self.linear_weight)
        return gradients


def linear_cross_entropy(
    x,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=None,
    label_smoothing=0.0,
    gradients=None,
):
    """``cross_entropy(linear(x, linear_weight, linear_bias), target)``, without the whole of the logits in memory.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(..., K)``.
    linear_weight : array
        Shape ``(C, K)``, dtype of `x`.
    target : array
        Class indices (int64 or int32), shape ``(...)``.
    linear_bias, weight : array, optional
        Shape ``(C,)``: added to the logits; weights of the classes.
    reduction : {"mean", "sum", "none"}
        "mean" is weighted by the targets' weights; over no targets it is NaN.
    ignore_index : int, optional
        A class index that does not count; by default -100.
    label_smoothing : float
        From 0 to 1: the share of the target that is spread evenly over the classes.
    gradients : tuple of three (array or None), optional
        C-contiguous, like `x`, `linear_weight` and `linear_bias`: receive the gradients of the result, for the
        backward, which has hardly anything left to do. Not with "none".

    Returns
    -------
    array
        0-d, or the losses for "none". Beside it, 16 MiB are allocated (or 14 rows of logits, if those are more).

    Raises
    ------
    IndexError
        A class index outside 0 ... C - 1 that is not `ignore_index`.
    TypeError, ValueError
        Dtypes, shapes or options that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import linear_cross_entropy
    >>> linear_cross_entropy(np.zeros((1, 3)), np.ones((4, 3)), np.array([2]))
    array(1.38629436)
    """
    problem = _Problem(
        "linear_cross_entropy", x, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing
    )
    losses = np.empty(problem.slices, problem.x.dtype)
    if gradients is None:
        problem.walk(losses)
    else:
        gradients = problem.fitting(gradients)
        problem.walk(losses, problem.loss_gradients(np.ones((), problem.x.dtype)), gradients)
    return problem.reduce(losses)


def linear_cross_entropy_backward(
    dy,
    x,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=None,
    label_smoothing=0.0,
    gradients=None,
    needs=(True, True, True),
):
    """Gradients of `linear_cross_entropy`; `dy` is 0-d, or of the losses' shape for "none".

    The other arguments are the forward's. With the `gradients` that it received, these very arrays are returned,
    multiplied by `dy` in place; without, the logits are formed anew.

    Returns
    -------
    dx, dlinear_weight, dlinear_bias : array or None
        As `needs` says, or as `gradients` holds them.
    """
    operation = "linear_cross_entropy_backward"
    problem = _Problem(
        operation, x, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing
    )
    gradients = None if gradients is None else problem.fitting(gradients)
    dlosses = problem.loss_gradients(dy)
    if gradients is None:
        gradients = problem.arrays(needs)
        problem.walk(np.empty_like(dlosses), dlosses, gradients)
        return gradients
    scale = problem.x.dtype.type(dy)
    if scale != 1:
        for gradient in gradients:
            if gradient is not None:
                gradient *= scale
    return gradients
