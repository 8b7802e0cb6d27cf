"""Losses. `reduction` is "none" for one loss per element, or their "mean" or "sum"."""

import numpy as np

import kernels
from nn.autograd.recomposed import gradients_of
from nn.functional import composed, soft_targets
from nn.functional.arguments import checked, constant, not_tensors, weights_of
from nn.functional.reduction import common_shape, reduction_of
from nn.functional.soft_targets import needs_gradient
from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import bool_of, int_of, scalar_of
from nn.tape import record, record_linear

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "kl_div"]
__all__ += ["linear_cross_entropy", "nll_loss"]


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """The cross-entropy between softmax(input) and the target classes.

    Parameters
    ----------
    input : Tensor (C,), (N, C) or (N, C, d1, ...)
        Scores, before softmax.
    target : Tensor or array
        Classes, int64 or int32, of the shape of `input` without C; or probabilities in the shape of `input`.
    weight : Tensor or array (C,), optional
        The weight of each class; "mean" divides by the weights of the targets.
    size_average, reduce
        What older programs give instead of `reduction`.
    ignore_index : int, default -100
        Targets of this class are ignored; for classes only.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float, default 0.0
        The fraction of each target that is spread evenly over all classes.

    Returns
    -------
    Tensor
        0-d; for "none", of the shape of `input` without C.

    Raises
    ------
    TypeError, ValueError
        Invalid dtypes, shapes or options.
    IndexError
        A class other than `ignore_index` is negative or not below C.

    Examples
    --------
    >>> import nn
    >>> nn.functional.cross_entropy(nn.tensor([[0.0, 0.0], [9.0, -9.0]]), nn.tensor([1, 0]))
    tensor(0.3466)
    """
    reduction = reduction_of("cross_entropy", reduction, size_average, reduce)
    ignore_index = int_of("cross_entropy", "ignore_index", ignore_index)
    label_smoothing = scalar_of("cross_entropy", "label_smoothing", label_smoothing)
    if needs_gradient(target):
        x = checked("cross_entropy", input)
        return soft_targets.cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing)
    x, t, w = (
        checked("cross_entropy", input).array,
        constant("cross_entropy", target, "target"),
        weights_of("cross_entropy", weight),
    )
    if t is None:
        raise not_tensors("cross_entropy", target=target)
    if t.dtype.kind == "f" and ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index is for classes, not for probabilities, got {ignore_index}")
    lse = np.empty(x.shape[:1] + x.shape[2:] if x.ndim > 1 else (), x.dtype) if input.requires_grad else None
    y = kernels.cross_entropy(x, t, w, ignore_index, reduction, label_smoothing, lse=lse)

    def backward(dy):
        return kernels.cross_entropy_backward(dy, x, t, w, ignore_index, reduction, label_smoothing, lse=lse)

    def derivative(dy, input, target, weight):
        return gradients_of(
            lambda x: composed.cross_entropy(x, t, w, ignore_index, reduction, label_smoothing), dy, input
        )

    return record("cross_entropy", y, (input,), backward, (input, target, weight), derivative=derivative)


def linear_cross_entropy(
    input,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=None,
    label_smoothing=0.0,
):
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)``, without storing all logits at once.

    Parameters
    ----------
    input : Tensor (..., K)
    linear_weight : Tensor (C, K)
    target : Tensor or array (...)
        Classes, int64 or int32.
    linear_bias : Tensor (C,), optional
    weight : Tensor or array (C,), optional
        The weight of each class.
    reduction : {"mean", "sum", "none"}
    ignore_index : int, optional
        Targets of this class, by default -100, are ignored.
    label_smoothing : float, default 0.0
        The fraction of each target that is spread evenly over all classes.

    Returns
    -------
    Tensor
        0-d; for "none", of the shape of `target`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `cross_entropy`.
    """
    name, inputs = "linear_cross_entropy", (input, linear_weight, linear_bias)
    for argument, tensor in (("linear_weight", linear_weight), ("linear_bias", linear_bias)):
        if tensor is not None or argument == "linear_weight":
            checked(name, tensor, argument)
    arrays = checked(name, input).array, linear_weight.array, constant(name, target, "target")
    options = {
        "linear_bias": None if linear_bias is None else linear_bias.array,
        "weight": weights_of(name, weight),
        "reduction": reduction,
        "ignore_index": None if ignore_index is None else int_of(name, "ignore_index", ignore_index),
        "label_smoothing": scalar_of("linear_cross_entropy", "label_smoothing", label_smoothing),
    }
    needs = tuple(each is not None and each.requires_grad for each in inputs)
    gradients = None
    if any(needs) and is_grad_enabled() and reduction != "none":  # computed in the forward, with the logits
        gradients = tuple(
            np.empty(each.shape, each.dtype) if need else None for each, need in zip(inputs, needs, strict=True)
        )
    saved = [gradients]
    loss = kernels.linear_cross_entropy(*arrays, **options, gradients=gradients)

    def backward(dy):
        given, saved[0] = saved[0], None  # they become the result: a second backward recomputes them
        return kernels.linear_cross_entropy_backward(dy, *arrays, **options, gradients=given, needs=needs)

    def derivative(dy, input, linear_weight, linear_bias, target, weight):
        index = -100 if options["ignore_index"] is None else options["ignore_index"]

        def compose(x, w, b):
            logits, t = composed.affine(x, w, b), arrays[2]
            logits = logits.reshape(-1, logits.shape[-1]) if logits.ndim > 2 else logits
            losses = composed.cross_entropy(
                logits, t.reshape(logits.shape[:-1]), options["weight"], index, reduction, options["label_smoothing"]
            )
            return losses.reshape(t.shape) if reduction == "none" else losses

        return gradients_of(compose, dy, input, linear_weight, linear_bias)

    return record(name, loss, inputs, backward, (*inputs, target, weight), derivative=derivative)


def nll_loss(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
):  # fmt: skip
    """The negative log-likelihood of the target classes.

    Parameters
    ----------
    input : Tensor (C,), (N, C) or (N, C, d1, ...)
        Log-probabilities.
    target : Tensor or array
        Classes, int64 or int32, of the shape of `input` without C.
    weight, size_average, ignore_index, reduce, reduction
        As for `cross_entropy`.

    Returns
    -------
    Tensor
        As `cross_entropy`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `cross_entropy`.
    """
    reduction = reduction_of("nll_loss", reduction, size_average, reduce)
    x, t, w = checked("nll_loss", input).array, constant("nll_loss", target, "target"), weights_of("nll_loss", weight)
    ignore_index = int_of("nll_loss", "ignore_index", ignore_index)
    y = kernels.nll_loss(x, t, w, ignore_index, reduction)

    def backward(dy):
        return kernels.nll_loss_backward(dy, x, t, w, ignore_index, reduction)

    def derivative(dy, target, weight):
        def adjoint(d):
            return kernels.nll_loss(d, t, w, ignore_index, reduction)

        return record_linear("nll_loss", backward, adjoint, dy, (target, weight))

    return record("nll_loss", y, (input,), backward, (target, weight), derivative=derivative)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The cross-entropy of probabilities `input` and `target`, element by element; logarithms are at least -100.

    Parameters
    ----------
    input : Tensor
    target : Tensor or array of the same shape
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    size_average, reduce
        What older programs give instead of `reduction`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor
        0-d; for "none", of the shape of `input`.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match, or the reduction is unknown.
    """
    reduction = reduction_of("binary_cross_entropy", reduction, size_average, reduce)
    if needs_gradient(target):
        return soft_targets.binary_cross_entropy(checked("binary_cross_entropy", input), target, weight, reduction)
    x, t, w = (
        checked("binary_cross_entropy", input).array,
        constant("binary_cross_entropy", target, "target"),
        weights_of("binary_cross_entropy", weight),
    )
    y = kernels.binary_cross_entropy(x, t, w, reduction)

    def backward(dy):
        return kernels.binary_cross_entropy_backward(dy, x, t, w, reduction)

    def derivative(dy, input, target, weight):
        each = composed.shared(dy if w is None else dy * w, reduction, x.shape)
        return each * (input - t) / (input * (1 - input)).clamp(1e-12)

    return record("binary_cross_entropy", y, (input,), backward, (input, target, weight), derivative=derivative)


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """`binary_cross_entropy` of sigmoid(input), computed from the logits without loss of precision.

    Parameters
    ----------
    input : Tensor
    target : Tensor or array of the same shape
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    size_average, reduce
        What older programs give instead of `reduction`.
    reduction : {"mean", "sum", "none"}
    pos_weight : Tensor or array, optional
        Factor on the losses of positive targets; broadcasts.

    Returns
    -------
    Tensor
        0-d; for "none", of the shape of `input`.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match, or the reduction is unknown.
    """
    reduction = reduction_of("binary_cross_entropy_with_logits", reduction, size_average, reduce)
    if needs_gradient(target):
        x = checked("binary_cross_entropy_with_logits", input)
        return soft_targets.binary_cross_entropy_with_logits(x, target, weight, reduction, pos_weight)
    x, t, w, p = (
        checked("binary_cross_entropy_with_logits", input).array,
        constant("binary_cross_entropy_with_logits", target, "target"),
        weights_of("binary_cross_entropy_with_logits", weight),
        weights_of("binary_cross_entropy_with_logits", pos_weight, "pos_weight"),
    )
    y = kernels.binary_cross_entropy_with_logits(x, t, w, reduction, p)

    def backward(dy):
        return kernels.binary_cross_entropy_with_logits_backward(dy, x, t, w, reduction, p)

    def derivative(dy, input, target, weight, pos_weight):
        each = composed.shared(dy if w is None else dy * w, reduction, x.shape)
        positive = t if p is None else t * p
        return each * ((1 - t + positive) * input.sigmoid() - positive)

    saved = input, target, weight, pos_weight
    return record("binary_cross_entropy_with_logits", y, (input,), backward, saved, derivative=derivative)


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """The Kullback-Leibler divergence of the distribution `target` from `input`, element by element.

    Parameters
    ----------
    input : Tensor
        Log-probabilities.
    target : Tensor or array
        Probabilities, or with `log_target` log-probabilities. It broadcasts with `input`.
    size_average, reduce
        What older programs give instead of `reduction`.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum divided by the first dimension of `input`, is the mathematical definition.
    log_target : bool, default False
        Whether `target` holds log-probabilities.

    Returns
    -------
    Tensor
        0-d; for "none", of the broadcast shape.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match, or the reduction is unknown.
    """
    reduction = reduction_of("kl_div", reduction, size_average, reduce)
    if log_target is not False:
        bool_of("kl_div", "log_target", log_target)
    if needs_gradient(target):
        return soft_targets.kl_div(checked("kl_div", input), target, reduction, log_target)
    x, t = checked("kl_div", input).array, constant("kl_div", target, "target")
    if t is None:
        raise not_tensors("kl_div", target=target)
    if x.shape != t.shape:
        shape = common_shape("kl_div", x, t)
        if reduction == "batchmean" and x.ndim:
            return kl_div(input, target, reduction="sum", log_target=log_target) / len(x)
        input, t = input.expand(shape), np.broadcast_to(t, shape)
        x = input.array
    y = kernels.kl_div(x, t, reduction, log_target)

    def backward(dy):
        return kernels.kl_div_backward(dy, x, t, reduction, log_target)

    def derivative(dy, target):
        return composed.shared(dy, reduction, x.shape) * (-np.exp(t) if log_target else -t)

    return record("kl_div", y, (input,), backward, (target,), derivative=derivative)
