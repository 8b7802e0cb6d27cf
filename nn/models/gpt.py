"""GPT: a decoder that predicts each token from those before it.

    x = token embedding + position embedding
    x = x + attention(norm(x))              each token attends to itself and those before
    x = x + feed forward(norm(x))           each position by itself; both lines once per block
    scores = norm(x) @ token embedding.T    of each token to be the next

Reference: Radford et al., "Language models are unsupervised multitask learners" (2019), section 2.3.
"""

import math
from typing import Any

import numpy as np

from nn import functional as F
from nn import init
from nn.containers import ModuleList
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.linear import Linear
from nn.module import Module
from nn.normalization import LayerNorm
from nn.tensor import Tensor


class GPT(Module):
    """A GPT-2 decoder.

    Parameters
    ----------
    vocabulary : int
        The number of different tokens.
    context : int, default 1024
        The largest number of tokens in a sequence.
    width : int, default 768
        The size of each token's vector.
    layers, heads : int, default 12
        The number of blocks, and of attention heads in each, which divides `width`.
    dropout : float, default 0.0
    tied : bool, default True
        Whether the output layer shares its weight with the token embedding.

    Examples
    --------
    >>> import nn
    >>> model = nn.models.GPT(100, context=16, width=32, layers=2, heads=4)
    >>> model(nn.tensor([[5, 1, 99]])).shape
    (1, 3, 100)
    """

    def __init__(self, vocabulary, *, context=1024, width=768, layers=12, heads=12, dropout=0.0, tied=True):
        super().__init__()
        if width % heads:
            raise ValueError(f"GPT: {heads} heads do not divide width {width}")
        self.context, self.width, self.heads = context, width, heads
        self.token = Embedding(vocabulary, width)
        self.position = Embedding(context, width)
        self.dropout = Dropout(dropout)
        self.blocks = ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = LayerNorm(width)
        self.head = Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.token.weight
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weights with standard deviation 0.02, or 0.02 / √(2 layers) at the end of a branch; biases are 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                residual = name.endswith(("attention.output.weight", "contract.weight"))
                init.normal_(parameter, std=0.02 / (math.sqrt(2 * len(self.blocks)) if residual else 1))
            elif name.endswith("bias"):
                init.zeros_(parameter)

    def forward(self, ids, cache=None):
        """Scores (B, T, vocabulary) of the token after each of the tokens (B, T); arguments as for `hidden`."""
        return self.head(self.hidden(ids, cache))

    def hidden(self, ids, cache=None):
        """The vectors (B, T, width) from which the scores are computed.

        Parameters
        ----------
        ids : Tensor or array of int64 (B, T)
        cache : KeyValueCache, optional
            The keys and values of the tokens before `ids`, to which those of `ids` are appended.

        Raises
        ------
        ValueError
            More tokens than `context` or than the capacity of the cache.
        IndexError
            A token is out of range.
        """
        if ids.ndim != 2:
            raise ValueError(f"GPT: ids must have 2 dimensions, got shape {ids.shape}")
        (B, T), begin = ids.shape, 0 if cache is None else cache.length
        if begin + T > self.context:
            raise ValueError(f"GPT: takes at most {self.context} tokens, got {begin} in the cache and {T} more")
        if cache is not None:
            cache.check(B, T)
        x = self.dropout(self.token(ids) + self.position.weight[begin : begin + T])
        for i, block in enumerate(self.blocks):
            x = block(x, cache, i)
        if cache is not None:
            cache.length += T
        return self.norm(x)

    def cache(self, batch=1, capacity=None):
        """An empty cache for `batch` texts of at most `capacity` tokens, by default `context`."""
        capacity = self.context if capacity is None else capacity
        heads, width = self.heads, self.width // self.heads
        return KeyValueCache(len(self.blocks), batch, heads, capacity, width, self.token.weight.dtype)


class Block(Module):
    """Attention, then a feed-forward network, each a residual branch with its input normalised (pre-norm)."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.norm1 = LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.norm2 = LayerNorm(width)
        self.expand = Linear(width, 4 * width)
        self.contract = Linear(4 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x, cache=None, layer=None):
        x = x + self.attention(self.norm1(x), cache, layer)
        return x + self.dropout(self.contract(F.gelu(self.expand(self.norm2(x)))))


class Attention(Module):
    """Causal self-attention: each token attends to itself and those before it."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.output = Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x, cache=None, layer=None):
        B, T, width = x.shape
        shape = (B, T, self.heads, width // self.heads)
        q, k, v = (each.reshape(shape).transpose(1, 2) for each in self.qkv(x).split(width, -1))
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        dropout = self.dropout.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, None, dropout, is_causal=True, causal_offset=k.shape[2] - T)
        return self.dropout(self.output(y.transpose(1, 2).reshape(B, T, width)))


class KeyValueCache:
    """The keys and values of the tokens that a decoder has processed, in memory of a fixed size.

    Parameters
    ----------
    layers, batch, heads, capacity, width : int
        `capacity` is the largest number of tokens, `width` that of one head.
    dtype : numpy.dtype, default float32

    Attributes
    ----------
    length : int
        The number of tokens in it; set it to a smaller number to discard the last ones.
    """

    def __init__(self, layers, batch, heads, capacity, width, dtype: Any = np.float32):
        self.keys, self.values = np.zeros((2, layers, batch, heads, capacity, width), dtype)
        self.length = 0

    @property
    def capacity(self):
        """The largest number of tokens."""
        return self.keys.shape[3]

    def check(self, batch, count):
        """Raise ValueError unless `count` more tokens of each of `batch` texts can be added."""
        if batch != self.keys.shape[1]:
            raise ValueError(f"KeyValueCache: made for {self.keys.shape[1]} texts, got {batch}")
        if self.length + count > self.capacity:
            raise ValueError(
                f"KeyValueCache: the capacity is {self.capacity} tokens, it has {self.length}, got {count} more"
            )

    def extend(self, layer, k, v):
        """Append keys and values (batch, heads, T, width) of a layer; return all of the layer's, as views."""
        if k.requires_grad:
            raise RuntimeError("KeyValueCache: gradients do not propagate through it; use it under no_grad()")
        end = self.length + k.shape[2]
        self.keys[layer, :, :, self.length : end] = k.array
        self.values[layer, :, :, self.length : end] = v.array
        return Tensor(self.keys[layer, :, :, :end]), Tensor(self.values[layer, :, :, :end])
