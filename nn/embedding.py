"""A table of learned vectors."""

import numpy as np

from nn import functional as F
from nn import init
from nn.functional.embedding import checked_padding_idx
from nn.module import Module, Parameter


class Embedding(Module):
    """A learned vector for each of `num_embeddings` symbols; initially normal with variance 1.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    padding_idx : int, optional
        A symbol that stands for nothing: its vector begins as zeros and gets no gradient. Negative counts from the end.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)

    Raises
    ------
    ValueError
        `padding_idx` is outside the table.

    Examples
    --------
    >>> import nn
    >>> nn.Embedding(100, 8)(nn.tensor([[1, 2, 99]])).shape
    (1, 3, 8)
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else checked_padding_idx(padding_idx, num_embeddings)
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        self.reset_parameters()

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, padding_idx=None):
        """An Embedding with a given table.

        Parameters
        ----------
        embeddings : Tensor or array (num_embeddings, embedding_dim)
        freeze : bool, default True
            Whether the table is not to be learned.
        padding_idx : int, optional
        """
        weight = Parameter(embeddings, requires_grad=not freeze)
        if weight.ndim != 2:
            raise ValueError(f"Embedding: the table must have 2 dimensions, is {weight.shape}")
        layer = cls(*weight.shape, padding_idx)
        layer.weight = weight
        return layer

    def reset_parameters(self):
        """Draw the table from the normal distribution; zeros for `padding_idx`."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
