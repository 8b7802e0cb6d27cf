"""The transformer: encoder and decoder layers of attention and feed-forward networks, and the models made of them.

Masks are those of `MultiheadAttention`: bool, True where a query must not attend, or numbers added to the scores.

Reference: Vaswani et al., "Attention is all you need" (2017), section 3.
"""

import copy
from typing import Any

import numpy as np

from nn import functional as F
from nn import init
from nn.attention import MultiheadAttention
from nn.containers import ModuleList
from nn.dropout import Dropout
from nn.factory import placed
from nn.linear import Linear
from nn.module import Module
from nn.normalization import LayerNorm
from nn.tensor import Tensor

__all__ = ["Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder"]
__all__ += ["TransformerEncoderLayer"]

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class _Layer(Module):
    """Base class of encoder and decoder layers: residual branches, and the feed-forward network."""

    def _add_feed_forward(self, d_model, dim_feedforward, dropout, activation, bias):
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        self.activation = _activation(type(self).__name__, activation)

    def _residual(self, x, norm, function):
        """``x + function(x)``, normalised before the function or after the sum."""
        return x + function(norm(x)) if self.norm_first else norm(x + function(x))

    def _feed_forward(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


def _activation(name, activation):
    """The activation function of this name; a callable is returned as it is."""
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"{name}: activation must be 'relu', 'gelu' or a function, got {activation!r}")
    return ACTIVATIONS[activation]


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a feed-forward network of two layers at each position, both as residual branches.

    Parameters
    ----------
    d_model, nhead : int
        The width, and the number of heads, which divides it.
    dim_feedforward : int, default 2048
        The width of the hidden layer.
    dropout : float, default 0.1
        In training, the probability of dropping an attention weight, a hidden unit, or an output of a branch.
    activation : {"relu", "gelu"} or callable
    layer_norm_eps : float, default 1e-5
    batch_first : bool, default False
        Whether sequences are (N, T, d_model) rather than (T, N, d_model).
    norm_first : bool, default False
        Whether to normalise the input of each branch (pre-norm) rather than the sum (post-norm).
    bias : bool, default True
        Whether linear layers and normalisations have biases.

    Examples
    --------
    >>> import nn
    >>> nn.TransformerEncoderLayer(32, 4, batch_first=True)(nn.zeros(2, 5, 32)).shape
    (2, 5, 32)
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation: Any = "relu",
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first)
        self._add_feed_forward(d_model, dim_feedforward, dropout, activation, bias)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        placed(self, device, dtype)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        def attend(x):
            y, _ = self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)
            return self.dropout1(y)

        x = self._residual(src, self.norm1, attend)
        return self._residual(x, self.norm2, lambda x: self.dropout2(self._feed_forward(x)))


class TransformerDecoderLayer(_Layer):
    """Self-attention, cross-attention to the encoder's output, then a feed-forward network at each position.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        As for `TransformerEncoderLayer`.

    Examples
    --------
    >>> import nn
    >>> nn.TransformerDecoderLayer(32, 4)(nn.zeros(5, 2, 32), nn.zeros(7, 2, 32)).shape
    (5, 2, 32)
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation: Any = "relu",
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first)
        self._add_feed_forward(d_model, dim_feedforward, dropout, activation, bias)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        placed(self, device, dtype)

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        def attend(x):
            y, _ = self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)
            return self.dropout1(y)

        def cross_attend(x):
            masks = {"key_padding_mask": memory_key_padding_mask, "attn_mask": memory_mask}
            y, _ = self.multihead_attn(x, memory, memory, need_weights=False, is_causal=memory_is_causal, **masks)
            return self.dropout2(y)

        x = self._residual(tgt, self.norm1, attend)
        x = self._residual(x, self.norm2, cross_attend)
        return self._residual(x, self.norm3, lambda x: self.dropout3(self._feed_forward(x)))


class TransformerEncoder(Module):
    """A stack of encoder layers.

    Parameters
    ----------
    encoder_layer : TransformerEncoderLayer
        Copied `num_layers` times, with the same initial weights.
    num_layers : int
    norm : Module, optional
        Applied to the result.
    enable_nested_tensor, mask_check : bool
        Accepted for compatibility and ignored: in PyTorch they select its fast path.

    Examples
    --------
    >>> import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> nn.TransformerEncoder(layer, 2)(nn.zeros(1, 5, 8)).shape
    (1, 5, 8)
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """Encode; `is_causal` asserts that `mask` is the causal mask; None detects it."""
        is_causal = _is_causal(mask) if is_causal is None else is_causal
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """A stack of decoder layers.

    Parameters
    ----------
    decoder_layer : TransformerDecoderLayer
        Copied `num_layers` times, with the same initial weights.
    num_layers : int
    norm : Module, optional
        Applied to the result.

    Examples
    --------
    >>> import nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> nn.TransformerDecoder(layer, 2)(nn.zeros(1, 5, 8), nn.zeros(1, 3, 8)).shape
    (1, 5, 8)
    """

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = ModuleList(copy.deepcopy(decoder_layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """Decode; `tgt_is_causal` asserts that `tgt_mask` is the causal mask; None detects it."""
        tgt_is_causal = _is_causal(tgt_mask) if tgt_is_causal is None else tgt_is_causal
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, tgt_is_causal, memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder, and a decoder that attends to the encoder's output.

    Parameters
    ----------
    d_model : int, default 512
    nhead : int, default 8
    num_encoder_layers, num_decoder_layers : int, default 6
    dim_feedforward, dropout, activation
        As for `TransformerEncoderLayer`.
    custom_encoder, custom_decoder : Module, optional
        Replace the encoder and the decoder.
    layer_norm_eps, batch_first, norm_first, bias
        As for `TransformerEncoderLayer`.

    Examples
    --------
    >>> import nn
    >>> model = nn.Transformer(32, 4, 1, 1, 64, batch_first=True)
    >>> model(nn.zeros(2, 7, 32), nn.zeros(2, 5, 32), tgt_mask=model.generate_square_subsequent_mask(5)).shape
    (2, 5, 32)
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation: Any = "relu",
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(d_model, nhead, *options),
            num_encoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias),
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(d_model, nhead, *options),
            num_decoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias),
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)
        placed(self, device, dtype)

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """The decoder's output for `tgt`, given `src`."""
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and tgt.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise ValueError(f"Transformer: src and tgt must have the same batch, got {src.shape} and {tgt.shape}")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ValueError(f"Transformer: src and tgt must have width {self.d_model}, got {src.shape}, {tgt.shape}")
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz, dtype: Any = np.float32):
        """The causal mask (sz, sz): -inf above the diagonal, 0 elsewhere."""
        return Tensor(np.triu(np.full((sz, sz), -np.inf, dtype), 1))


def _is_causal(mask):
    """Whether a mask is the causal mask."""
    if mask is None or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return False
    values = mask.array if isinstance(mask, Tensor) else mask
    after = np.triu(np.ones(values.shape, bool), 1)
    return bool((values == (after if values.dtype == bool else np.where(after, -np.inf, 0))).all())
