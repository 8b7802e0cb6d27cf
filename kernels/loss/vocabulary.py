r"""Cross-entropy of a linear layer's outputs over a large vocabulary, without the array of logits.

    z = x Wᵀ + b        l = cross_entropy(z, target)        x: N x K,  W: C x K,  b: C

With C = 32,000 classes most memory is taken by the logits z: PyTorch saves log softmax(z) for the backward, which
allocates dz and an array of zeros as well, N C elements each. But the softmax of a row needs that row alone. So rows
are processed in blocks, each of as many as have SCRATCH bytes of logits, and dz overwrites z:

    for each block of rows:
        z = x Wᵀ + b
        l, lse = loss of each row
        dz = dl (softmax(z) - q)          in place of z; only if gradients are needed
        dx = dz W                         the rows of the block
        dW += dzᵀ x,  db += sum dz        (= for the first block)

The gradients are computed in the forward, up to the factor dy, while the logits are in memory: three products,
6 N K C FLOPs, as many as if the logits were saved. With the reduction "none" each loss has a dy of its own, and the
backward computes the logits again: four products in all. A longer block reads and writes dW less often.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels.gemm.driver import NO_BIAS, product
from kernels.gemm.micro import ADD, BIAS, MR, STORE
from kernels.loss.classification import class_gradients, class_losses
from kernels.loss.targets import IndexTarget, Targets
from kernels.reduction import sum as sum_over

SCRATCH = 16 * 2**20  # bytes of logits of a block: 131 rows of 32,000 classes, whose products outweigh a pass over dW
IGNORE_INDEX = -100


@jit
def linear_cross_entropy_naive(x, weight, bias, target, out):
    """The definition, row by row; a `bias` of size 0 stands for zeros."""
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
    """Adds blocks of rows that share one scratch array for their logits, packed products and threads."""
    bias = bias if bias.size else None
    out[...] = linear_cross_entropy(x, weight, target, linear_bias=bias, reduction="none")


VARIANTS = {"linear_cross_entropy": {"naive": linear_cross_entropy_naive, "blocks": linear_cross_entropy_blocks}}


class _Problem(Targets):
    """The validated arguments that forward and backward share, and the loop over blocks of rows.

    `set_classes` must be called before the loop.
    """

    def __init__(self, operation, x, linear_weight, linear_bias, weight, reduction):
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
        self.rows = x.reshape(self.slices, x.shape[-1])

    def set_classes(self, target, ignore_index, label_smoothing):
        super().set_classes(target, IGNORE_INDEX if ignore_index is None else ignore_index, label_smoothing)

    def run(self, losses, dlosses=None, gradients=(None, None, None)):
        """Compute the losses and, where their gradients `dlosses` are given, dx, dweight and dbias (or None)."""
        N, C = self.slices, self.classes
        if not N:
            for gradient in gradients:
                if gradient is not None:
                    gradient[...] = 0
            return
        max_rows = max(SCRATCH // (C * self.x.itemsize), MR)
        blocks = -(-N // max_rows)
        block_rows = -(-N // blocks)
        scratch = np.empty((block_rows, C), self.x.dtype)
        for first in range(0, N, block_rows):
            block = slice(first, min(first + block_rows, N))
            z = scratch[: block.stop - first]
            product(self.rows[block], self.linear_weight.T, self.bias, BIAS if self.bias.size else STORE, z)
            target = self._target_of(block)
            lse = class_losses(z, target, losses[block])
            if dlosses is not None:
                class_gradients(z, target, dlosses[block], lse)
                self._add_gradients(z, block, gradients)

    def _target_of(self, block):
        """The target of a block of rows."""
        index, index_weight, *rest = self.target
        return IndexTarget(index[block], index_weight[block], *rest)

    def _add_gradients(self, dz, block, gradients):
        """dx of a block of rows, and what it adds to dweight and dbias."""
        dx, dweight, dbias = gradients
        first, no_bias = block.start, NO_BIAS[dz.dtype]
        if dx is not None:
            product(dz, self.linear_weight, no_bias, STORE, dx.reshape(self.rows.shape)[block])
        if dweight is not None:
            product(dz.T, self.rows[block], no_bias, ADD if first else STORE, dweight)
        if dbias is not None:
            np.add(sum_over(dz, 0), dbias if first else 0, out=dbias)

    def new_gradients(self, needs):
        """New arrays for the gradients of x, linear_weight and linear_bias, None for those that are not needed."""
        shapes = self.x.shape, self.linear_weight.shape, self.linear_weight.shape[:1]
        return tuple(
            _checks.new(shape, self.x.dtype) if need else None for shape, need in zip(shapes, needs, strict=True)
        )

    def validated(self, gradients):
        """Validate and return the arrays that receive the gradients."""
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
        From 0 to 1: the part of the target that is spread evenly over the classes.
    gradients : tuple of three (array or None), optional
        C-contiguous, like `x`, `linear_weight` and `linear_bias`: receive the gradients of the result, which the
        backward then only multiplies by `dy`. Not with "none".

    Returns
    -------
    array
        0-d, or the losses for "none". 16 MiB of scratch memory are allocated (or 14 rows of logits, if those are more).

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
    problem = _Problem("linear_cross_entropy", x, linear_weight, linear_bias, weight, reduction)
    problem.set_classes(target, ignore_index, label_smoothing)
    losses = np.empty(problem.slices, problem.x.dtype)
    if gradients is None:
        problem.run(losses)
    else:
        gradients = problem.validated(gradients)
        problem.run(losses, problem.loss_gradients(np.ones((), problem.x.dtype)), gradients)
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
    """Gradients of `linear_cross_entropy`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of the losses' shape for "none".
    x, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing
        As given to the forward.
    gradients : tuple of three (array or None), optional
        As the forward has filled them: these very arrays are returned, multiplied by `dy` in place. If not given, the
        logits are computed again.
    needs : tuple of three bool
        Which gradients to compute where `gradients` is not given.

    Returns
    -------
    dx, dlinear_weight, dlinear_bias : array or None
        As `needs` says, or as `gradients` holds them.

    Raises
    ------
    IndexError, TypeError, ValueError
        As `linear_cross_entropy`; also where `dy` does not have the shape or dtype of the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import linear_cross_entropy_backward
    >>> x, weight, target = np.zeros((1, 3)), np.ones((4, 3)), np.array([2])
    >>> dx, dweight, dbias = linear_cross_entropy_backward(np.array(1.0), x, weight, target)
    >>> dbias
    array([ 0.25,  0.25, -0.75,  0.25])
    """
    problem = _Problem("linear_cross_entropy_backward", x, linear_weight, linear_bias, weight, reduction)
    problem.set_classes(target, ignore_index, label_smoothing)
    gradients = None if gradients is None else problem.validated(gradients)
    dlosses = problem.loss_gradients(dy)
    if gradients is None:
        gradients = problem.new_gradients(needs)
        problem.run(np.empty_like(dlosses), dlosses, gradients)
        return gradients
    scale = problem.x.dtype.type(dy)
    if scale != 1:
        for gradient in gradients:
            if gradient is not None:
                gradient *= scale
    return gradients
