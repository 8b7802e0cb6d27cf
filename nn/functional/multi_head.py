"""Multi-head attention as a function of its weights; `nn.MultiheadAttention` is a layer that has them."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import kernels
from nn.functional.activation import dropout
from nn.functional.affine import linear
from nn.functional.arguments import checked
from nn.functional.attention import scaled_dot_product_attention
from nn.functional.padding import pad
from nn.operations.arguments import not_a_tensor
from nn.operations.creation import zeros
from nn.operations.elementwise import where
from nn.operations.joining import cat
from nn.tensor import Tensor

__all__ = ["multi_head_attention_forward"]


class Heads(NamedTuple):
    """What multi-head attention depends on besides query, key, value and masks."""

    name: str  # of the function or layer, for errors
    embed_dim: int
    num_heads: int
    batch_first: bool
    weights: tuple  # of the projections: one Tensor (3 * embed_dim, embed_dim), or those of query, key and value
    biases: Tensor | None  # (3 * embed_dim,)
    bias_k: Tensor | None
    bias_v: Tensor | None
    add_zero_attn: bool
    dropout: float
    out_proj: Callable
    static: tuple = (None, None)  # in place of the projected key and value

    @property
    def is_static(self):
        """Whether a key or a value is given as heads."""
        return any(t is not None for t in self.static)


def multi_head_attention_forward(
    query,
    key,
    value,
    embed_dim_to_check,
    num_heads,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    training=True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal=False,
):
    """Attention in several heads; see `nn.MultiheadAttention`, without `batch_first`, for what is not said here.

    Parameters
    ----------
    query : Tensor (L, N, E) or (L, E)
    key, value : Tensor (S, N, E) or (S, E)
        With separate weights, their widths are those of the weights.
    embed_dim_to_check : int
        E.
    num_heads : int
    in_proj_weight : Tensor (3 * E, E) or None
    in_proj_bias : Tensor (3 * E,) or None
    bias_k, bias_v : Tensor (1, 1, E) or None
        A key and a value that are appended to every sequence.
    add_zero_attn : bool
        Whether a key and a value of zeros are appended.
    dropout_p : float
        The probability of dropping a weight, if `training`.
    out_proj_weight, out_proj_bias : Tensor (E, E), and (E,) or None
    key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
        As for `nn.MultiheadAttention`.
    use_separate_proj_weight : bool, default False
        Whether `q_proj_weight`, `k_proj_weight` and `v_proj_weight` take the place of `in_proj_weight`.
    static_k, static_v : Tensor (N * num_heads, S, E / num_heads), optional
        The heads of the keys and values, in place of projections.

    Returns
    -------
    output : Tensor, of the shape of query
    weights : Tensor or None

    Raises
    ------
    TypeError, ValueError
        A weight is missing; dtypes or shapes do not fit.
    """
    name = "multi_head_attention_forward"
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else (in_proj_weight,)
    if any(weight is None for weight in weights):
        needed = "q_proj_weight, k_proj_weight and v_proj_weight" if use_separate_proj_weight else "in_proj_weight"
        raise ValueError(f"{name}: with use_separate_proj_weight={use_separate_proj_weight}, needs {needed}, got None")
    if (bias_k is None) != (bias_v is None):
        raise ValueError(f"{name}: needs both of bias_k and bias_v or neither, got one")
    if bias_k is not None and (static_k is not None or static_v is not None):
        raise ValueError(f"{name}: bias_k and bias_v cannot be appended to static_k and static_v")
    for argument, number in (("embed_dim_to_check", embed_dim_to_check), ("num_heads", num_heads)):
        if not isinstance(number, (int, np.integer)):
            raise TypeError(f"{name}: {argument} must be an int, got {type(number).__name__}")
    if num_heads < 1 or embed_dim_to_check % num_heads:
        raise ValueError(f"{name}: {num_heads} heads do not divide embed_dim {embed_dim_to_check}")
    heads = Heads(
        name=name,
        embed_dim=embed_dim_to_check,
        num_heads=num_heads,
        batch_first=False,
        weights=weights,
        biases=in_proj_bias,
        bias_k=bias_k,
        bias_v=bias_v,
        add_zero_attn=add_zero_attn,
        dropout=dropout_p if training else 0.0,
        out_proj=lambda y: linear(y, out_proj_weight, out_proj_bias),
        static=(static_k, static_v),
    )
    masks = key_padding_mask, attn_mask
    return attend(heads, query, key, value, masks, need_weights, average_attn_weights, is_causal)


def attend(heads, query, key, value, masks, need_weights, average_attn_weights, is_causal):
    """The output and the weights, as `nn.MultiheadAttention` returns them."""
    key_padding_mask, attn_mask = masks
    batched = _check(heads, query, key, value, key_padding_mask, attn_mask, is_causal)
    axis = 0 if heads.batch_first else 1
    if not batched:
        one = {t: t.unsqueeze(axis) for t in (query, key, value)}
        query, key, value = one[query], one[key], one[value]
    extra = (heads.bias_k is not None) + heads.add_zero_attn
    causal = is_causal and not need_weights and not extra  # by the kernel, without reading the mask
    mask = _mask(heads.num_heads, key_padding_mask, None if causal else attn_mask, extra, query.dtype)
    finite = mask is None or _finite(key, value)
    if not finite and not heads.is_static:
        key, value = _zero_hidden(heads, key, value, mask)
        finite = _finite(key, value)
    q, k, v = _project(heads, query, key, value)
    k, v = _append_biases(heads, k, v)
    q, k, v = (_split(heads, x) for x in (q, k, v))
    if heads.is_static:
        k, v = (
            x if given is None else given.reshape(q.shape[0], heads.num_heads, *given.shape[1:])
            for x, given in zip((k, v), heads.static, strict=True)
        )
        finite = mask is None or _finite(k, v)
    if heads.add_zero_attn:
        zero = zeros(*k.shape[:2], 1, k.shape[3], dtype=k.dtype)
        k, v = cat([k, zero], 2), cat([v, zero], 2)
    if need_weights:
        y, weights = attention_with_weights(q, k, v, mask, heads.dropout, finite)
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights.squeeze(0)
    else:
        y, weights = scaled_dot_product_attention(q, k, v, mask, heads.dropout, is_causal=causal), None
    y = heads.out_proj(_merged(heads, y))
    return (y if batched else y.squeeze(axis)), weights


def _check(heads, query, key, value, key_padding_mask, attn_mask, is_causal):
    """Validate the arguments, and return whether they are batched."""
    name, widths = heads.name, [w.shape[1] for w in heads.weights]
    for argument, tensor in (("query", query), ("key", key), ("value", value)):
        checked(name, tensor, argument)
    batched = query.ndim == 3
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        _raise_shapes(name, "query, key and value must all have 2 or all 3 dimensions", query, key, value)
    widths = [heads.embed_dim, *(widths[1:] if len(widths) > 1 else (heads.embed_dim,) * 2)]
    for argument, tensor, width in zip(("query", "key", "value"), (query, key, value), widths, strict=True):
        if tensor.shape[-1] != width:
            raise ValueError(f"{name}: {argument} must have width {width}, got shape {tensor.shape}")
    if key.shape[:-1] != value.shape[:-1]:
        _raise_shapes(name, "key and value must have the same sequences", query, key, value)
    time = 1 if heads.batch_first and batched else 0
    N = query.shape[1 - time] if batched else 1
    if batched and key.shape[1 - time] != N:
        _raise_shapes(name, "query and key must have the same batch", query, key, value)
    L, S = query.shape[time], key.shape[time]
    if heads.is_static:
        S = _check_static(heads, N, S)
    _check_mask(name, "key_padding_mask", key_padding_mask, [(N, S)] if batched else [(S,)])
    _check_mask(name, "attn_mask", attn_mask, [(L, S), (N * heads.num_heads, L, S)])
    if is_causal and attn_mask is None:
        raise ValueError(f"{name}: is_causal needs attn_mask, which is not given")
    return batched


def _check_static(heads, N, S):
    """The number of keys, with those that are given as heads; ValueError if shapes do not fit."""
    lengths = set()
    for argument, tensor in zip(("static_k", "static_v"), heads.static, strict=True):
        if tensor is None:
            lengths.add(S)
            continue
        checked(heads.name, tensor, argument)
        expected = N * heads.num_heads, heads.embed_dim // heads.num_heads
        if tensor.ndim != 3 or (tensor.shape[0], tensor.shape[2]) != expected:
            raise ValueError(
                f"{heads.name}: {argument} must be ({expected[0]}, S, {expected[1]}), got shape {tensor.shape}"
            )
        lengths.add(tensor.shape[1])
    if len(lengths) > 1:
        raise ValueError(f"{heads.name}: keys and values must be equally many, got {sorted(lengths)}")
    return lengths.pop()


def _raise_shapes(name, rule, query, key, value):
    raise ValueError(f"{name}: {rule}, got {query.shape}, {key.shape} and {value.shape}")


def _check_mask(name, argument, mask, shapes):
    if mask is None:
        return
    if not isinstance(mask, (Tensor, np.ndarray)):
        raise not_a_tensor(name, mask, argument)
    if mask.dtype.kind not in "bf":
        raise TypeError(f"{name}: {argument} must be bool or floating point, got {mask.dtype}")
    if mask.shape not in shapes:
        raise ValueError(f"{name}: {argument} must be {' or '.join(map(str, shapes))}, got {mask.shape}")


def _mask(num_heads, key_padding_mask, attn_mask, extra, dtype):
    """Both masks combined for `scaled_dot_product_attention`: bool, True for visible, if both are; else numbers."""
    masks = []
    if key_padding_mask is not None:
        masks.append(_as_tensor(key_padding_mask).reshape(-1, 1, 1, key_padding_mask.shape[-1]))
    if attn_mask is not None:
        attn_mask = _as_tensor(attn_mask)
        three = attn_mask.ndim == 3
        masks.append(attn_mask.reshape(-1, num_heads, *attn_mask.shape[1:]) if three else attn_mask)
    if not masks:
        return None
    if all(mask.dtype == bool for mask in masks):
        ignored = masks[0] if len(masks) == 1 else masks[0] | masks[1]
        return ~(pad(ignored, (0, extra)) if extra else ignored)
    total = sum(_additive(mask, dtype) for mask in masks)
    return pad(total, (0, extra)) if extra else total


def _zero_hidden(heads, key, value, mask):
    """Key and value with zeros where they are visible to no query: 0 * NaN and 0 * inf are NaN."""
    hidden = _hidden(mask).array[..., : key.shape[1 if heads.batch_first else 0]]
    ignored = hidden.reshape(-1, *hidden.shape[-3:]).all((1, 2)) if hidden.ndim > 2 else hidden.all(0)[None]
    ignored = (ignored if heads.batch_first else ignored.T)[..., None]
    zeroed = key.masked_fill(ignored, 0)
    return zeroed, zeroed if key is value else value.masked_fill(ignored, 0)


def _project(heads, query, key, value):
    """Query, key and value projected to `embed_dim`; one product for those that are the same tensor."""
    E, weights, bias = heads.embed_dim, heads.weights, heads.biases
    if len(weights) == 1 and query is key and key is value:
        return linear(query, *weights, bias).split(E, -1)
    biases = (None,) * 3 if bias is None else bias.split(E)
    if len(weights) == 1 and key is value:
        w_q, w_kv = weights[0].split([E, 2 * E])
        b_q, b_kv = (None, None) if bias is None else bias.split([E, 2 * E])
        return linear(query, w_q, b_q), *linear(key, w_kv, b_kv).split(E, -1)
    return tuple(map(linear, (query, key, value), weights if len(weights) == 3 else weights[0].split(E), biases))


def _append_biases(heads, k, v):
    """Append the learned key and value, which belong to no position."""
    if heads.bias_k is None:
        return k, v
    shape = (k.shape[0], 1, -1) if heads.batch_first else (1, k.shape[1], -1)
    axis = 1 if heads.batch_first else 0
    return cat([k, heads.bias_k.expand(shape)], axis), cat([v, heads.bias_v.expand(shape)], axis)


def _split(heads, x):
    """(N, num_heads, T, head width), a view."""
    x = x.reshape(*x.shape[:2], heads.num_heads, heads.embed_dim // heads.num_heads)
    return x.transpose(1, 2) if heads.batch_first else x.permute(1, 2, 0, 3)


def _merged(heads, y):
    """The inverse of `_split`."""
    y = y.transpose(1, 2) if heads.batch_first else y.permute(2, 0, 1, 3)
    return y.reshape(*y.shape[:2], heads.embed_dim)


def _as_tensor(mask):
    return mask if isinstance(mask, Tensor) else Tensor(mask)


def _additive(mask, dtype):
    """A mask as numbers added to the scores: -inf for True if it is bool."""
    return mask if mask.dtype != bool else zeros((), dtype=dtype).masked_fill(mask, -np.inf)


def _finite(key, value):
    """Whether the sums of key and value are finite, which they are only if all elements are."""
    return np.isfinite(kernels.sum(key.array)) and (key is value or np.isfinite(kernels.sum(value.array)))


def _hidden(mask):
    """Where a mask for `scaled_dot_product_attention` makes a key invisible to a query."""
    return ~mask if mask.dtype == bool else mask == -np.inf


def attention_with_weights(q, k, v, mask, p, finite):
    """As `scaled_dot_product_attention`, but it also returns the weights, so it stores them."""
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.mT
    if mask is None:
        weights = scores.softmax(-1)
    else:
        hidden = _hidden(mask)
        all_hidden = hidden.all(-1, keepdim=True)  # the softmax of such a row would be 0 / 0
        additive = _additive(hidden, q.dtype) if mask.dtype == bool else mask
        scores = scores + where(all_hidden, 0, additive)
        if not finite:  # NaN - inf is NaN
            scores = scores.masked_fill(hidden & ~all_hidden, -np.inf)
        weights = scores.softmax(-1).masked_fill(all_hidden, 0)
        if not finite:
            return _visible_only(q, k, v, additive, weights, p)
    if p:
        weights = dropout(weights, p)
    return weights @ v, weights


def _visible_only(q, k, v, additive, weights, p):
    """The end of `attention_with_weights` if a key or value is not finite.

    As 0 * NaN is NaN, the output comes from the kernel, which skips invisible keys. Dropped weights are masked, too:
    the softmax of the others is each divided by their sum, so the output is multiplied by that sum.
    """
    if not p:
        return scaled_dot_product_attention(q, k, v, additive), weights
    factors = dropout(Tensor(np.ones(weights.shape, q.dtype)), p)
    weights, additive = weights * factors, additive + _additive(Tensor(factors.array == 0), q.dtype)
    return scaled_dot_product_attention(q, k, v, additive) * weights.sum(-1, keepdim=True), weights
