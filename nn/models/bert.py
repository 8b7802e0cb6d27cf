"""BERT: an encoder in which every token attends to every other.

    x = norm(word embedding + position embedding + token type embedding)
    x = norm(x + attention(x))
    x = norm(x + feed forward(x))           both lines once per layer

The parameters have the names of Hugging Face's ``BertModel``, so that its weights load unchanged: hence attributes
called ``self`` and ``LayerNorm``.

Reference: Devlin et al., "BERT: pre-training of deep bidirectional transformers" (2019), section 3.
"""

import numpy as np

from nn import functional as F
from nn import init
from nn.containers import ModuleList
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.linear import Linear
from nn.module import Module
from nn.normalization import LayerNorm


class BERT(Module):
    """A BERT encoder, without the pooler.

    Parameters
    ----------
    vocabulary : int, default 30522
        The number of different tokens.
    context : int, default 512
        The largest number of tokens in a sequence.
    width : int, default 768
        The size of each token's vector.
    layers, heads : int, default 12
        The number of layers, and of attention heads in each, which divides `width`.
    feed_forward : int, optional
        The width of the hidden layer of the feed-forward network; four times `width` by default.
    kinds : int, default 2
        The number of token types (sentence A or B).
    eps : float, default 1e-12
        Added to the variance in the normalisations.
    dropout : float, default 0.1

    Examples
    --------
    >>> import nn
    >>> model = nn.models.BERT(100, context=16, width=32, layers=2, heads=4).eval()
    >>> model(nn.tensor([[5, 1, 99]])).shape
    (1, 3, 32)
    """

    def __init__(
        self,
        vocabulary=30522,
        *,
        context=512,
        width=768,
        layers=12,
        heads=12,
        feed_forward=None,
        kinds=2,
        eps=1e-12,
        dropout=0.1,
    ):
        super().__init__()
        if width % heads:
            raise ValueError(f"BERT: {heads} heads do not divide width {width}")
        feed_forward = 4 * width if feed_forward is None else feed_forward
        self.embeddings = Embeddings(vocabulary, context, kinds, width, eps, dropout)
        self.encoder = Encoder(layers, width, heads, feed_forward, eps, dropout)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weights from the normal distribution with standard deviation 0.02; biases are 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                init.zeros_(parameter)

    def forward(self, ids, attention_mask=None, token_type_ids=None):
        """The vectors (B, T, width) of tokens.

        Parameters
        ----------
        ids : Tensor or array of int64 (B, T)
        attention_mask : Tensor or array (B, T), optional
            0 for padding, which is not attended to; not 0 for tokens.
        token_type_ids : Tensor or array of int64 (B, T), optional
            The type of each token (its sentence); 0 by default.

        Raises
        ------
        ValueError
            More tokens than `context`, or shapes that differ.
        IndexError
            A token or a token type is out of range.
        """
        if ids.ndim != 2:
            raise ValueError(f"BERT: ids must have 2 dimensions, got shape {ids.shape}")
        for name, other in (("attention_mask", attention_mask), ("token_type_ids", token_type_ids)):
            if other is not None and other.shape != ids.shape:
                raise ValueError(f"BERT: {name} must have the shape of ids, {ids.shape}, got {other.shape}")
        mask = None if attention_mask is None else np.asarray(attention_mask)[:, None, None, :] != 0
        return self.encoder(self.embeddings(ids, token_type_ids), mask)


class Embeddings(Module):
    """A token as the sum of three vectors: of the word, of its position, and of its token type."""

    def __init__(self, vocabulary, context, kinds, width, eps, dropout):
        super().__init__()
        self.word_embeddings = Embedding(vocabulary, width, padding_idx=0)
        self.position_embeddings = Embedding(context, width)
        self.token_type_embeddings = Embedding(kinds, width)
        self.LayerNorm = LayerNorm(width, eps)
        self.dropout = Dropout(dropout)

    def forward(self, ids, token_type_ids):
        T, context = ids.shape[1], self.position_embeddings.num_embeddings
        if T > context:
            raise ValueError(f"BERT: takes at most {context} tokens, got {T}")
        kinds = self.token_type_embeddings
        kind = kinds.weight[0] if token_type_ids is None else kinds(token_type_ids)
        position = self.position_embeddings.weight[:T]
        return self.dropout(self.LayerNorm(self.word_embeddings(ids) + (position + kind)))


class Encoder(Module):
    """A stack of layers."""

    def __init__(self, layers, width, heads, feed_forward, eps, dropout):
        super().__init__()
        self.layer = ModuleList(Layer(width, heads, feed_forward, eps, dropout) for _ in range(layers))

    def forward(self, x, mask):
        for layer in self.layer:
            x = layer(x, mask)
        return x


class Layer(Module):
    """Attention, then a feed-forward network, each a residual branch with the sum normalised (post-norm)."""

    def __init__(self, width, heads, feed_forward, eps, dropout):
        super().__init__()
        self.attention = Attention(width, heads, eps, dropout)
        self.intermediate = Intermediate(width, feed_forward)
        self.output = Output(feed_forward, width, eps, dropout)

    def forward(self, x, mask):
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class Attention(Module):
    """Self-attention as a residual branch."""

    def __init__(self, width, heads, eps, dropout):
        super().__init__()
        self.self = SelfAttention(width, heads, dropout)
        self.output = Output(width, width, eps, dropout)

    def forward(self, x, mask):
        return self.output(self.self(x, mask), x)


class SelfAttention(Module):
    """Multi-head self-attention, without the output projection."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (Linear(width, width) for _ in range(3))
        self.dropout = Dropout(dropout)

    def forward(self, x, mask):
        B, T, width = x.shape
        shape = (B, T, self.heads, width // self.heads)
        q, k, v = (project(x).reshape(shape).transpose(1, 2) for project in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(q, k, v, mask, self.dropout.p if self.training else 0.0)
        return y.transpose(1, 2).reshape(B, T, width)


class Intermediate(Module):
    """The hidden layer of the feed-forward network."""

    def __init__(self, width, feed_forward):
        super().__init__()
        self.dense = Linear(width, feed_forward)

    def forward(self, x):
        return F.gelu(self.dense(x))


class Output(Module):
    """The end of a residual branch: projected to `width`, added to the branch's input, and normalised."""

    def __init__(self, inputs, width, eps, dropout):
        super().__init__()
        self.dense = Linear(inputs, width)
        self.LayerNorm = LayerNorm(width, eps)
        self.dropout = Dropout(dropout)

    def forward(self, x, residual):
        norm = self.LayerNorm
        return F.add_layer_norm(
            self.dropout(self.dense(x)), residual, norm.normalized_shape, norm.weight, norm.bias, norm.eps
        )
