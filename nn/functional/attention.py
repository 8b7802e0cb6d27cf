"""Attention. Views as query, key or value are read in place, without a copy; their gradients have the same layout."""

import numpy as np

import kernels
from kernels.reference.attention import kept
from nn import random
from nn.autograd.recomposed import gradients_of
from nn.functional import composed
from nn.functional.arguments import checked, weights_of
from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import bool_of, int_of, scalar_of
from nn.tape import record
from nn.tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
    enable_gqa=False,
    *,
    causal_offset=0,
    window=None,
    softcap=0.0,
    alibi=None,
):
    """``softmax(scale * query @ key.mT + attn_mask) @ value``, without storing the matrix of scores.

    The result is 0 for a query without visible keys, and so is its gradient.

    Parameters
    ----------
    query : Tensor (..., Hq, L, E)
        The dimensions before the heads broadcast, and without `enable_gqa` those of the heads, too.
    key : Tensor (..., H, S, E)
    value : Tensor (..., H, S, Ev)
    attn_mask : Tensor or array, optional
        Broadcasts to (..., Hq, L, S): bool, True where a key is visible, or numbers that are added to the scores.
    dropout_p : float, default 0.0
        The probability of dropping a weight; a function has no training mode, so pass 0 in evaluation.
    is_causal : bool, default False
        Whether only the keys j <= i + `causal_offset` are visible to query i; a mask may be given as well.
    scale : float, optional
        1 / sqrt(E) by default.
    enable_gqa : bool, default False
        Whether there may be fewer key heads than query heads: query head h then reads key head h // (Hq // H).
    causal_offset : int, default 0
        How many keys precede the first query, as with a cache.
    window : (int or None, int or None), optional
        How many keys to the left and to the right of its own position a query attends to; None for all.
    softcap : float, default 0.0
        Where positive, scores s become softcap · tanh(s / softcap).
    alibi : Tensor or array (Hq,), optional
        The slope of each head: it times the distance of query and key is subtracted from the score.

    Returns
    -------
    Tensor (..., Hq, L, Ev)

    Raises
    ------
    TypeError, ValueError
        As `kernels.scaled_dot_product_attention`.
    """
    name = "scaled_dot_product_attention"
    if is_causal is not False or enable_gqa is not False:
        is_causal, enable_gqa = bool_of(name, "is_causal", is_causal), bool_of(name, "enable_gqa", enable_gqa)
    query, key, value = _broadcast(name, (query, key, value), 3 if enable_gqa else 2)
    q, k, v = query.array, key.array, value.array
    bias = attn_mask if isinstance(attn_mask, Tensor) else None
    mask = bias.array if bias is not None else weights_of(name, attn_mask, "attn_mask")
    needs = tuple(t is not None and t.requires_grad for t in (query, key, value, bias))
    options = {
        "attn_mask": mask,
        "dropout_p": scalar_of(name, "dropout_p", dropout_p),
        "is_causal": is_causal,
        "scale": None if scale is None else scalar_of(name, "scale", scale),
        "enable_gqa": enable_gqa,
        "causal_offset": int_of(name, "causal_offset", causal_offset),
        "window": None if window is None else _window(name, window),
        "softcap": scalar_of(name, "softcap", softcap),
        "alibi": weights_of(name, alibi, "alibi"),
        "seed": int(random.generator().integers(2**63)) if dropout_p else 0,
    }
    lse = np.empty((2, *q.shape[:-1]), q.dtype) if any(needs) and is_grad_enabled() else None
    out = kernels.scaled_dot_product_attention(q, k, v, **options, lse=lse)

    def backward(dout):
        return kernels.scaled_dot_product_attention_backward(dout, q, k, v, out, lse, **options, needs=needs)

    def derivative(dout, query, key, value, bias, alibi, out):
        rules = _rules(q.shape, q.dtype, k.shape[-2], options)
        bias = bias if bias is not None and bias.dtype.kind == "f" else None
        if bias is None and mask is not None and mask.dtype.kind == "f":
            bias = Tensor(mask)
        return gradients_of(lambda *inputs: composed.attention(*inputs, **rules), dout, query, key, value, bias)

    inputs = (query, key, value, bias)
    return record(name, out, inputs, backward, (*inputs, alibi), derivative=derivative, saves_result=True)


def _window(name, window):
    """The pair of ints or None; TypeError for anything else."""
    if not isinstance(window, (tuple, list)) or len(window) != 2:
        raise TypeError(f"{name}: window must be a pair of ints or None, got {window!r}")
    return tuple(None if n is None else int_of(name, "window", n) for n in window)


def _rules(shape, dtype, length, options):
    """The options as `composed.attention` takes them, for queries of a shape and keys of a length."""
    distance = np.arange(length) - np.arange(shape[-2])[:, None] - options["causal_offset"]
    hidden = distance > 0 if options["is_causal"] else np.zeros(distance.shape, bool)
    left, right = options["window"] or (None, None)
    hidden = hidden if left is None else hidden | (distance < -left)
    hidden = hidden if right is None else hidden | (distance > right)
    mask, slopes, p = options["attn_mask"], options["alibi"], options["dropout_p"]
    if mask is not None:
        hidden = hidden | (~mask if mask.dtype.kind == "b" else mask == -np.inf)
    factors = (kept((*shape[:-1], length), p, options["seed"]) / (1 - p)).astype(dtype) if p else None
    return {
        "scale": options["scale"],
        "softcap": options["softcap"],
        "hidden": hidden,
        "distances": None if slopes is None else slopes[:, None, None] * np.abs(distance).astype(slopes.dtype),
        "factors": factors,
    }


def _broadcast(name, tensors, trailing):
    """Query, key and value with all dimensions before the last `trailing` broadcast to one shape."""
    shapes = [checked(name, tensor, which).shape for tensor, which in zip(tensors, INPUTS, strict=True)]
    leading = [shape[:-trailing] for shape in shapes]
    if leading[0] == leading[1] == leading[2] or min(map(len, shapes)) < trailing:
        return tensors
    try:
        common = np.broadcast_shapes(*leading)
    except ValueError:
        return tensors  # the kernel raises the error
    return [tensor.expand(*common, *shape[-trailing:]) for tensor, shape in zip(tensors, shapes, strict=True)]


INPUTS = ("query", "key", "value")
