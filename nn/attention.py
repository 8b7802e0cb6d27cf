"""Multi-head attention."""

import numpy as np

from nn import init
from nn.factory import placed
from nn.functional.multi_head import Heads, attend
from nn.linear import Linear
from nn.module import Module
from nn.parameter import Parameter


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
        packed = self.in_proj_weight is not None
        heads = Heads(
            name="MultiheadAttention",
            embed_dim=self.embed_dim,
            num_heads=self.num_heads,
            batch_first=self.batch_first,
            weights=(self.in_proj_weight,) if packed else (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight),
            biases=self.in_proj_bias,
            bias_k=self.bias_k,
            bias_v=self.bias_v,
            add_zero_attn=self.add_zero_attn,
            dropout=self.dropout if self.training else 0.0,
            out_proj=self.out_proj,
        )
        masks = key_padding_mask, attn_mask
        return attend(heads, query, key, value, masks, need_weights, average_attn_weights, is_causal)

    def extra_repr(self):
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"


def _empty(*shape):
    return Parameter(np.empty(shape, np.float32))
