"""Multi-head attention."""

import math

import numpy as np

import kernels
from nn import functional as F
from nn import init
from nn.factory import placed
from nn.linear import Linear
from nn.module import Module
from nn.operations.creation import zeros
from nn.operations.elementwise import where
from nn.operations.joining import cat
from nn.parameter import Parameter
from nn.tensor import Tensor


class MultiheadAttention(Module):
    """Attention in several heads, each on its own projection of query, key and value, and a projection of the outputs.

    Parameters
    ----------
    embed_dim : int
        The width of query and output.
    num_heads : int
        Divides `embed_dim`.
    dropout : float, default 0.0
        In training, the probability of dropping a weight.
    bias : bool, default True
        Whether the projections have biases.
    add_bias_kv : bool, default False
        Whether one learned key and value is appended to every sequence.
    add_zero_attn : bool, default False
        Whether a key and value of zeros is appended to every sequence.
    kdim, vdim : int, optional
        The widths of key and value; `embed_dim` by default.
    batch_first : bool, default False
        Whether sequences are (N, T, width) rather than (T, N, width).

    Attributes
    ----------
    in_proj_weight : Parameter (3 * embed_dim, embed_dim) or None
        For query, key and value, if all have the same width.
    q_proj_weight, k_proj_weight, v_proj_weight : Parameter or None
        (embed_dim, embed_dim), (embed_dim, kdim) and (embed_dim, vdim) if not.
    in_proj_bias : Parameter (3 * embed_dim,) or None
    bias_k, bias_v : Parameter (1, 1, embed_dim) or None
    out_proj : Linear

    Raises
    ------
    ValueError
        A size is below 1, or `num_heads` does not divide `embed_dim`.

    Reference: Vaswani et al., "Attention is all you need" (2017), section 3.2.2.

    Examples
    --------
    >>> import nn
    >>> x = nn.zeros(2, 5, 32)
    >>> y, weights = nn.MultiheadAttention(32, 4, batch_first=True)(x, x, x)
    >>> y.shape, weights.shape
    ((2, 5, 32), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if embed_dim < 1 or num_heads < 1:
            raise ValueError(
                f"MultiheadAttention: embed_dim and num_heads must be at least 1, got {embed_dim} and {num_heads}"
            )
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: {num_heads} heads do not divide embed_dim {embed_dim}")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.add_zero_attn, self.batch_first = dropout, add_zero_attn, batch_first
        packed = self.kdim == self.vdim == embed_dim
        self.in_proj_weight = _empty(3 * embed_dim, embed_dim) if packed else None
        self.q_proj_weight = None if packed else _empty(embed_dim, embed_dim)
        self.k_proj_weight = None if packed else _empty(embed_dim, self.kdim)
        self.v_proj_weight = None if packed else _empty(embed_dim, self.vdim)
        self.in_proj_bias = _empty(3 * embed_dim) if bias else None
        self.bias_k = _empty(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = _empty(1, 1, embed_dim) if add_bias_kv else None
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        self.reset_parameters()
        placed(self, device, dtype)

    def reset_parameters(self):
        """Draw the projections by `xavier_uniform_`, `bias_k` and `bias_v` by `xavier_normal_`; other biases are 0."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights=True,
        attn_mask=None,
        average_attn_weights=True,
        is_causal=False,
    ):
        """Attend.

        Parameters
        ----------
        query : Tensor (N, L, embed_dim), or (L, N, embed_dim) without `batch_first`, or (L, embed_dim)
        key, value : Tensor (N, S, kdim) and (N, S, vdim), or in the other layouts of query
        key_padding_mask : Tensor or array (N, S) or (S,), optional
            bool, True for keys to be ignored, or numbers added to the scores. Ignored keys may be NaN. (In PyTorch
            2.13 such a NaN propagates.)
        need_weights : bool, default True
            Whether to return the weights, a matrix for each head, which is not computed otherwise.
        attn_mask : Tensor or array (L, S) or (N * num_heads, L, S), optional
            bool, True where a query must not attend to a key, or numbers added to the scores. A NaN in such a key does
            not propagate to that query.
        average_attn_weights : bool, default True
            Whether to return the mean of the weights over the heads.
        is_causal : bool, default False
            Asserts that `attn_mask`, which must be given, is the causal mask, so that it need not be read.

        Returns
        -------
        output : Tensor
            Of the shape of query. For a query without visible keys it is the bias of `out_proj`.
        weights : Tensor (N, L, S) or (N, num_heads, L, S), or without N, or None
            After dropout.
        """
        batched = self._check(query, key, value, key_padding_mask, attn_mask, is_causal)
        if not batched:
            axis = 0 if self.batch_first else 1
            one = {t: t.unsqueeze(axis) for t in (query, key, value)}
            query, key, value = one[query], one[key], one[value]
        extra = (self.bias_k is not None) + self.add_zero_attn
        causal = is_causal and not need_weights and not extra  # by the kernel, without reading the mask
        mask = self._mask(key_padding_mask, None if causal else attn_mask, extra, query.dtype)
        finite = mask is None or _finite(key, value)
        if not finite:
            key, value = self._zero_hidden(key, value, mask)
            finite = _finite(key, value)
        q, k, v = self._project(query, key, value)
        k, v = self._append_keys(k, v)
        q, k, v = self._heads(q), self._heads(k), self._heads(v)
        dropout = self.dropout if self.training else 0.0
        if need_weights:
            y, weights = _attention_with_weights(q, k, v, mask, dropout, finite)
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        else:
            y, weights = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal), None
        y = self.out_proj(self._merged(y))
        return (y if batched else y.squeeze(axis)), weights

    def _zero_hidden(self, key, value, mask):
        """Key and value with zeros where they are visible to no query: 0 * NaN and 0 * inf are NaN."""
        hidden = _hidden(mask)[..., : key.shape[1 if self.batch_first else 0]]
        ignored = hidden.reshape(-1, *hidden.shape[-3:]).all((1, 2)) if hidden.ndim > 2 else hidden.all(0)[None]
        ignored = (ignored if self.batch_first else ignored.T)[..., None]
        zeroed = key.masked_fill(ignored, 0)
        return zeroed, zeroed if key is value else value.masked_fill(ignored, 0)

    def _project(self, query, key, value):
        """Query, key and value projected to `embed_dim`; one product for those that are the same tensor."""
        E = self.embed_dim
        if self.in_proj_weight is not None and query is key and key is value:
            return F.linear(query, self.in_proj_weight, self.in_proj_bias).split(E, -1)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.split(E)
        if self.in_proj_weight is None:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        elif key is value:
            w_q, w_kv = self.in_proj_weight.split([E, 2 * E])
            b_q, b_kv = (None, None) if self.in_proj_bias is None else self.in_proj_bias.split([E, 2 * E])
            return F.linear(query, w_q, b_q), *F.linear(key, w_kv, b_kv).split(E, -1)
        else:
            weights = self.in_proj_weight.split(E)
        return tuple(map(F.linear, (query, key, value), weights, biases))

    def _append_keys(self, k, v):
        """Append the learned key and value, and those of zeros, which belong to no position."""
        extra = [(self.bias_k, self.bias_v)] if self.bias_k is not None else []
        if self.add_zero_attn:
            extra.append((zeros(1, 1, self.embed_dim, dtype=k.dtype),) * 2)
        if extra:
            axis = 1 if self.batch_first else 0
            shape = (k.shape[0], 1, -1) if self.batch_first else (1, k.shape[1], -1)
            k = cat([k, *(bias.expand(shape) for bias, _ in extra)], axis)
            v = cat([v, *(bias.expand(shape) for _, bias in extra)], axis)
        return k, v

    def _heads(self, x):
        """(N, num_heads, T, head_dim), a view."""
        x = x.reshape(*x.shape[:2], self.num_heads, self.head_dim)
        return x.transpose(1, 2) if self.batch_first else x.permute(1, 2, 0, 3)

    def _merged(self, y):
        """The inverse of `_heads`."""
        y = y.transpose(1, 2) if self.batch_first else y.permute(2, 0, 1, 3)
        return y.reshape(*y.shape[:2], self.embed_dim)

    def _mask(self, key_padding_mask, attn_mask, extra, dtype):
        """Both masks combined for `scaled_dot_product_attention`: bool, True for visible, if both are; else numbers."""
        masks = []
        if key_padding_mask is not None:
            masks.append(_as_tensor(key_padding_mask).reshape(-1, 1, 1, key_padding_mask.shape[-1]))
        if attn_mask is not None:
            attn_mask = _as_tensor(attn_mask)
            three = attn_mask.ndim == 3
            masks.append(attn_mask.reshape(-1, self.num_heads, *attn_mask.shape[1:]) if three else attn_mask)
        if not masks:
            return None
        if all(mask.dtype == bool for mask in masks):
            ignored = masks[0].array if len(masks) == 1 else masks[0].array | masks[1].array
            return ~np.pad(ignored, [(0, 0)] * (ignored.ndim - 1) + [(0, extra)])
        total = sum(_additive(mask, dtype) for mask in masks)
        return F.pad(total, (0, extra)) if extra else total

    def _check(self, query, key, value, key_padding_mask, attn_mask, is_causal):
        """Validate the arguments, and return whether they are batched."""
        batched = query.ndim == 3
        if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
            _raise_shapes("query, key and value must all have 2 or all 3 dimensions", query, key, value)
        for name, tensor, width in (
            ("query", query, self.embed_dim),
            ("key", key, self.kdim),
            ("value", value, self.vdim),
        ):
            if tensor.shape[-1] != width:
                raise ValueError(f"MultiheadAttention: {name} must have width {width}, got shape {tensor.shape}")
        if key.shape[:-1] != value.shape[:-1]:
            _raise_shapes("key and value must have the same sequences", query, key, value)
        time = 1 if self.batch_first and batched else 0
        N = query.shape[1 - time] if batched else 1
        if batched and key.shape[1 - time] != N:
            _raise_shapes("query and key must have the same batch", query, key, value)
        L, S = query.shape[time], key.shape[time]
        _check_mask("key_padding_mask", key_padding_mask, [(N, S)] if batched else [(S,)])
        _check_mask("attn_mask", attn_mask, [(L, S), (N * self.num_heads, L, S)])
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: is_causal needs attn_mask, which is not given")
        return batched

    def extra_repr(self):
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"


def _empty(*shape):
    return Parameter(np.empty(shape, np.float32))


def _raise_shapes(rule, query, key, value):
    raise ValueError(f"MultiheadAttention: {rule}, got {query.shape}, {key.shape} and {value.shape}")


def _check_mask(name, mask, shapes):
    if mask is None:
        return
    if mask.dtype.kind not in "bf":
        raise TypeError(f"MultiheadAttention: {name} must be bool or floating point, got {mask.dtype}")
    if mask.shape not in shapes:
        raise ValueError(f"MultiheadAttention: {name} must be {' or '.join(map(str, shapes))}, got {mask.shape}")


def _as_tensor(mask):
    return mask if isinstance(mask, Tensor) else Tensor(mask)


def _additive(mask, dtype):
    """A mask as numbers added to the scores: -inf for True if it is bool."""
    return mask if mask.dtype != bool else Tensor(np.where(mask.array, dtype.type(-np.inf), dtype.type(0)))


def _finite(key, value):
    """Whether the sums of key and value are finite, which they are only if all elements are."""
    return np.isfinite(kernels.sum(key.array)) and (key is value or np.isfinite(kernels.sum(value.array)))


def _hidden(mask):
    """Where a mask for `scaled_dot_product_attention` makes a key invisible to a query."""
    return ~mask if isinstance(mask, np.ndarray) else mask.array == -np.inf


def _attention_with_weights(q, k, v, mask, dropout, finite):
    """As `scaled_dot_product_attention`, but it also returns the weights, so it stores them."""
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.mT
    if mask is None:
        weights = scores.softmax(-1)
    else:
        hidden = _hidden(mask)
        all_hidden = hidden.all(-1, keepdims=True)  # the softmax of such a row would be 0 / 0
        additive = _additive(Tensor(hidden), q.dtype) if isinstance(mask, np.ndarray) else mask
        scores = scores + where(all_hidden, 0, additive)
        if not finite:  # NaN - inf is NaN
            scores = scores.masked_fill(hidden & ~all_hidden, -np.inf)
        weights = scores.softmax(-1).masked_fill(all_hidden, 0)
        if not finite:
            return _visible_only(q, k, v, additive, weights, dropout)
    if dropout:
        weights = F.dropout(weights, dropout)
    return weights @ v, weights


def _visible_only(q, k, v, additive, weights, dropout):
    """The end of `_attention_with_weights` if a key or value is not finite.

    As 0 * NaN is NaN, the output comes from the kernel, which skips invisible keys. Dropped weights are masked, too:
    the softmax of the others is each divided by their sum, so the output is multiplied by that sum.
    """
    if not dropout:
        return F.scaled_dot_product_attention(q, k, v, additive), weights
    factors = F.dropout(Tensor(np.ones(weights.shape, q.dtype)), dropout)
    weights, additive = weights * factors, additive + _additive(Tensor(factors.array == 0), q.dtype)
    return F.scaled_dot_product_attention(q, k, v, additive) * weights.sum(-1, keepdim=True), weights
