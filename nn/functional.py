"""The kernels bound to the tape, with the names and argument order of ``torch.nn.functional``.

Every function here has one form: call the forward kernel on the arrays, `record` the backward kernel with what it
needs. `input` is a Tensor throughout; targets and class weights may be arrays as well. ``inplace=True`` leaves the
result in `input`, too.
"""

import numpy as np

import kernels
from nn import random
from nn.tensor import Tensor, is_grad_enabled, record

__all__ = [
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "tanh",
    "softplus",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "glu",
    "logsigmoid",
    "softmax",
    "log_softmax",
    "dropout",
    "embedding",
    "one_hot",
    "pad",
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
]


def _tensor(name, value):
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: input must be a Tensor, got {type(value).__name__}")
    return value


def _constant(name, value):
    """The array of an argument, a tensor, an array or None, with respect to which the kernels do not differentiate."""
    if value is None:
        return None
    if not isinstance(value, Tensor):
        return np.asarray(value)
    if value.requires_grad and is_grad_enabled():
        raise ValueError(f"{name}: has a gradient for input only, another argument requires one; detach() that")
    return value.data


# --- affine -----------------------------------------------------------------------------------------------------------


def linear(input, weight, bias=None):
    """The affine map ``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor (..., in_features)
    weight : Tensor (out_features, in_features)
    bias : Tensor (out_features,), optional

    Returns
    -------
    Tensor (..., out_features)
    """
    x, w, b = _tensor("linear", input).data, weight.data, None if bias is None else bias.data
    needs = (input.requires_grad, weight.requires_grad, b is not None and bias.requires_grad)

    def backward(dy):
        return kernels.linear_backward(dy, x, w, needs=needs)

    return record("linear", kernels.linear(x, w, b), (input, weight, bias), backward, (input, weight))


# --- activations ------------------------------------------------------------------------------------------------------


def _result(input, y, inplace):
    return input._become(y) if inplace else y


def relu(input, inplace=False):
    """max(0, x)."""
    return _result(input, _tensor("relu", input).relu(), inplace)


def relu6(input, inplace=False):
    """min(max(0, x), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope · x."""
    x = _tensor("leaky_relu", input).data

    def backward(dy):
        return kernels.leaky_relu_backward(dy, x, negative_slope)

    y = record("leaky_relu", kernels.leaky_relu(x, negative_slope), (input,), backward, (input,))
    return _result(input, y, inplace)


def prelu(input, weight):
    """x where x > 0, else weight · x.

    Parameters
    ----------
    input : Tensor (N, C, ...)
    weight : Tensor (1,) or (C,)
        One slope, or one for each channel.
    """
    x, w = _tensor("prelu", input).data, weight.data
    return record(
        "prelu", kernels.prelu(x, w), (input, weight), lambda dy: kernels.prelu_backward(dy, x, w), (input, weight)
    )


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha · (exp(x) - 1)."""
    x = _tensor("elu", input).data
    y = record("elu", kernels.elu(x, alpha), (input,), lambda dy: kernels.elu_backward(dy, x, alpha), (input,))
    return _result(input, y, inplace)


def selu(input, inplace=False):
    """scale · (x where x > 0, else alpha · (exp(x) - 1)), with the constants that keep mean 0 and variance 1."""
    y = kernels.selu(_tensor("selu", input).data)
    result = record("selu", y, (input,), lambda dy: kernels.selu_backward(dy, y), saves_result=True)
    return _result(input, result, inplace)


def celu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha · (exp(x / alpha) - 1)."""
    x = _tensor("celu", input).data
    y = record("celu", kernels.celu(x, alpha), (input,), lambda dy: kernels.celu_backward(dy, x, alpha), (input,))
    return _result(input, y, inplace)


def gelu(input, approximate="none"):
    """x · Φ(x), Φ the normal distribution function; ``approximate="tanh"`` for the approximation by tanh."""
    x = _tensor("gelu", input).data

    def backward(dy):
        return kernels.gelu_backward(dy, x, approximate)

    return record("gelu", kernels.gelu(x, approximate), (input,), backward, (input,))


def silu(input, inplace=False):
    """x · sigmoid(x)."""
    x = _tensor("silu", input).data
    y = record("silu", kernels.silu(x), (input,), lambda dy: kernels.silu_backward(dy, x), (input,))
    return _result(input, y, inplace)


def mish(input, inplace=False):
    """x · tanh(softplus(x))."""
    x = _tensor("mish", input).data
    y = record("mish", kernels.mish(x), (input,), lambda dy: kernels.mish_backward(dy, x), (input,))
    return _result(input, y, inplace)


def sigmoid(input):
    """1 / (1 + exp(-x))."""
    return _tensor("sigmoid", input).sigmoid()


def tanh(input):
    """The hyperbolic tangent."""
    return _tensor("tanh", input).tanh()


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold."""
    x = _tensor("softplus", input).data

    def backward(dy):
        return kernels.softplus_backward(dy, x, beta, threshold)

    return record("softplus", kernels.softplus(x, beta, threshold), (input,), backward, (input,))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x, but at least min_val and at most max_val."""
    x = _tensor("hardtanh", input).data

    def backward(dy):
        return kernels.hardtanh_backward(dy, x, min_val, max_val)

    y = record("hardtanh", kernels.hardtanh(x, min_val, max_val), (input,), backward, (input,))
    return _result(input, y, inplace)


def hardswish(input, inplace=False):
    """x · relu6(x + 3) / 6."""
    x = _tensor("hardswish", input).data
    y = record("hardswish", kernels.hardswish(x), (input,), lambda dy: kernels.hardswish_backward(dy, x), (input,))
    return _result(input, y, inplace)


def hardsigmoid(input, inplace=False):
    """relu6(x + 3) / 6."""
    x = _tensor("hardsigmoid", input).data
    y = record(
        "hardsigmoid", kernels.hardsigmoid(x), (input,), lambda dy: kernels.hardsigmoid_backward(dy, x), (input,)
    )
    return _result(input, y, inplace)


def glu(input, dim=-1):
    """a · sigmoid(b), a and b the halves of x along `dim`."""
    x = _tensor("glu", input).data
    return record("glu", kernels.glu(x, dim), (input,), lambda dy: kernels.glu_backward(dy, x, dim), (input,))


def logsigmoid(input):
    """log(sigmoid(x))."""
    x = _tensor("logsigmoid", input).data
    return record(
        "logsigmoid", kernels.logsigmoid(x), (input,), lambda dy: kernels.logsigmoid_backward(dy, x), (input,)
    )


def softmax(input, dim):
    """exp(x) / sum(exp(x)) along `dim`."""
    return _tensor("softmax", input).softmax(dim)


def log_softmax(input, dim):
    """x - log(sum(exp(x))) along `dim`."""
    return _tensor("log_softmax", input).log_softmax(dim)


# --- dropout, embedding, padding --------------------------------------------------------------------------------------


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, set each element to 0 with probability `p` and scale the others by 1 / (1 - p).

    Raises
    ------
    ValueError
        `p` is not in [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be between 0 and 1, got {p}")
    if not training or p == 0:
        return input
    x = _tensor("dropout", input).data
    scale = (random.generator().random(x.shape, np.float32) >= p).astype(x.dtype)
    if p < 1:
        scale /= 1 - p
    return _result(input, record("dropout", x * scale, (input,), lambda dy: dy * scale), inplace)


def embedding(input, weight, padding_idx=None):
    """The rows of `weight` that `input` names.

    Parameters
    ----------
    input : Tensor or array of int64 or int32, any shape
    weight : Tensor (num_embeddings, embedding_dim)
    padding_idx : int, optional
        This row gets no gradient; negative counts from the end.

    Returns
    -------
    Tensor (*input.shape, embedding_dim)

    Raises
    ------
    TypeError
        `input` does not hold integers.
    IndexError
        It holds one that is negative or not below num_embeddings.
    ValueError
        `padding_idx` is outside the table.
    """
    ids, table = _constant("embedding", input), weight.data
    _check_classes("embedding", "input", ids, len(table))
    if padding_idx is not None:
        padding_idx = checked_padding_idx(padding_idx, len(table))
    shape = table.shape

    def backward(dy):
        dtable = _sum_rows(dy.reshape(-1, shape[1]), ids.reshape(-1), shape[0])
        if padding_idx is not None:
            dtable[padding_idx] = 0
        return dtable

    return record("embedding", np.take(table, ids, axis=0), (weight,), backward)


def checked_padding_idx(padding_idx, num_embeddings):
    """`padding_idx` counted from the front; ValueError where there is no such row."""
    if not -num_embeddings <= padding_idx < num_embeddings:
        raise ValueError(f"embedding: padding_idx {padding_idx} is outside a table of {num_embeddings} rows")
    return padding_idx % num_embeddings


def _check_classes(name, argument, ids, number):
    if ids.dtype not in (np.int64, np.int32):
        raise TypeError(f"{name}: {argument} must be int64 or int32, got {ids.dtype}")
    if ids.size and not (ids.min() >= 0 and ids.max() < number):
        wrong = ids[(ids < 0) | (ids >= number)].flat[0]
        raise IndexError(f"{name}: {argument} must be from 0 to {number - 1}, got {wrong}")


def _sum_rows(rows, ids, number):
    """The sum of the rows of each id, from 0 to number - 1, in the order in which they stand."""
    total = np.zeros((number, rows.shape[1]), rows.dtype)
    if ids.size:
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
        total[ids[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return total


def one_hot(input, num_classes=-1):
    """Vectors of zeros with a one at the class, int64.

    Parameters
    ----------
    input : Tensor or array of int64 or int32, any shape
    num_classes : int, default -1
        The length of each vector; -1 for the largest class plus one.

    Returns
    -------
    Tensor (*input.shape, num_classes)

    Raises
    ------
    TypeError, IndexError
        As `embedding`.
    """
    ids = _constant("one_hot", input)
    if num_classes == -1:
        num_classes = int(ids.max()) + 1 if ids.size else 0
    _check_classes("one_hot", "input", ids, num_classes)
    return Tensor((ids[..., None] == np.arange(num_classes)).astype(np.int64))


def pad(input, pad, mode="constant", value=0.0):
    """Enlarge the last dimensions at both ends.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        How much before and after the last dimension, then before and after the last but one, …
    mode : {"constant", "reflect", "replicate", "circular"}
        What to fill with: `value`; the mirror image without the border; the border; the opposite end.
    value : float, default 0

    Raises
    ------
    ValueError
        An unknown mode, a negative or odd number of widths, or more of them than dimensions.
    """
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x, widths = _tensor("pad", input).data, list(zip(pad[::2], pad[1::2], strict=False))
    if mode not in modes:
        raise ValueError(f"pad: mode must be one of {', '.join(modes)}, not {mode!r}")
    if len(pad) % 2 or len(widths) > x.ndim or min(pad, default=0) < 0:
        raise ValueError(f"pad: needs pairs of widths of at least 0 for at most {x.ndim} dimensions, got {tuple(pad)}")
    if mode == "constant":
        widths = [(0, 0)] * (x.ndim - len(widths)) + widths[::-1]
        inner = tuple(slice(low, low + n) for (low, _), n in zip(widths, x.shape, strict=True))
        y = np.pad(x, widths, constant_values=value)
        return record("pad", y, (input,), lambda dy: dy[inner])
    for i, width in enumerate(widths):
        dim = x.ndim - 1 - i
        longest = x.shape[dim] - (mode == "reflect")
        if mode != "replicate" and max(width) > longest:
            raise ValueError(f"pad: {mode} of a dimension of length {x.shape[dim]} is at most {longest}, got {width}")
        source = np.pad(np.arange(x.shape[dim]), width, mode=modes[mode])
        input = input[(slice(None),) * dim + (source,)]
    return input


# --- losses -----------------------------------------------------------------------------------------------------------
# reduction: "none" for one loss an element, "mean" or "sum" of them.


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """The cross-entropy between softmax(input) and the target classes.

    Parameters
    ----------
    input : Tensor (C,), (N, C) or (N, C, d1, ...)
        Scores, before softmax.
    target : Tensor or array
        Classes, int64 or int32, of the shape of `input` without C; or probabilities in the shape of `input`.
    weight : Tensor or array (C,), optional
        The weight of each class; "mean" divides by the weights of the targets.
    ignore_index : int, default -100
        Targets of this class do not count.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float, default 0.0
        How much of each target is spread evenly over all classes.
    """
    x, t, w = (
        _tensor("cross_entropy", input).data,
        _constant("cross_entropy", target),
        _constant("cross_entropy", weight),
    )
    lse = np.empty(x.shape[:1] + x.shape[2:] if x.ndim > 1 else (), x.dtype) if input.requires_grad else None
    y = kernels.cross_entropy(x, t, w, ignore_index, reduction, label_smoothing, lse=lse)

    def backward(dy):
        return kernels.cross_entropy_backward(dy, x, t, w, ignore_index, reduction, label_smoothing, lse=lse)

    return record("cross_entropy", y, (input,), backward, (input,))


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """The negative log-likelihood of the target classes, given log-probabilities; arguments as `cross_entropy`."""
    x, t, w = _tensor("nll_loss", input).data, _constant("nll_loss", target), _constant("nll_loss", weight)
    y = kernels.nll_loss(x, t, w, ignore_index, reduction)

    def backward(dy):
        return kernels.nll_loss_backward(dy, x, t, w, ignore_index, reduction)

    return record("nll_loss", y, (input,), backward)


def _pair_loss(name, forward, backward_kernel, input, target, *options):
    """Record a loss of two operands of equal standing, both of which can get a gradient."""
    target = target if isinstance(target, Tensor) else Tensor(target)
    x, t = _tensor(name, input).data, target.data
    needs = (input.requires_grad, target.requires_grad)

    def backward(dy):
        return backward_kernel(dy, x, t, *options, needs=needs)

    return record(name, forward(x, t, *options), (input, target), backward, (input, target))


def mse_loss(input, target, reduction="mean"):
    """The squared difference of two tensors of one shape; the target may be an array."""
    return _pair_loss("mse_loss", kernels.mse_loss, kernels.mse_loss_backward, input, target, reduction)


def l1_loss(input, target, reduction="mean"):
    """The absolute difference of two tensors of one shape; the target may be an array."""
    return _pair_loss("l1_loss", kernels.l1_loss, kernels.l1_loss_backward, input, target, reduction)


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """d² / (2 beta) where |d| < beta, else |d| - beta / 2; d is the difference, as in `l1_loss`."""
    return _pair_loss(
        "smooth_l1_loss", kernels.smooth_l1_loss, kernels.smooth_l1_loss_backward, input, target, reduction, beta
    )


def huber_loss(input, target, reduction="mean", delta=1.0):
    """d² / 2 where |d| < delta, else delta · (|d| - delta / 2); d is the difference, as in `l1_loss`."""
    return _pair_loss("huber_loss", kernels.huber_loss, kernels.huber_loss_backward, input, target, reduction, delta)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """The cross-entropy of probabilities `input` and `target`, element by element; logarithms are at least -100.

    Parameters
    ----------
    input : Tensor
    target : Tensor or array of the same shape
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    reduction : {"mean", "sum", "none"}
    """
    x, t, w = (
        _tensor("binary_cross_entropy", input).data,
        _constant("binary_cross_entropy", target),
        _constant("binary_cross_entropy", weight),
    )
    y = kernels.binary_cross_entropy(x, t, w, reduction)

    def backward(dy):
        return kernels.binary_cross_entropy_backward(dy, x, t, w, reduction)

    return record("binary_cross_entropy", y, (input,), backward, (input,))


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """`binary_cross_entropy` of sigmoid(input), without its loss of precision.

    Parameters
    ----------
    input : Tensor
    target : Tensor or array of the same shape
    weight : Tensor or array, optional
        Factor on each loss; broadcasts.
    reduction : {"mean", "sum", "none"}
    pos_weight : Tensor or array, optional
        Factor on the losses of positive targets; broadcasts.
    """
    x, t, w, p = (
        _tensor("binary_cross_entropy_with_logits", input).data,
        *(_constant("binary_cross_entropy_with_logits", v) for v in (target, weight, pos_weight)),
    )
    y = kernels.binary_cross_entropy_with_logits(x, t, w, reduction, p)

    def backward(dy):
        return kernels.binary_cross_entropy_with_logits_backward(dy, x, t, w, reduction, p)

    return record("binary_cross_entropy_with_logits", y, (input,), backward, (input,))


def kl_div(input, target, reduction="mean", log_target=False):
    """The divergence of the distribution `target` from `input`, element by element.

    Parameters
    ----------
    input : Tensor
        Log-probabilities.
    target : Tensor or array
        Probabilities; their logarithms with `log_target`.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum divided by the first dimension, is the divergence as mathematics defines it.
    log_target : bool, default False
    """
    x, t = _tensor("kl_div", input).data, _constant("kl_div", target)
    y = kernels.kl_div(x, t, reduction, log_target)

    def backward(dy):
        return kernels.kl_div_backward(dy, x, t, reduction, log_target)

    return record("kl_div", y, (input,), backward)
