"""Embeddings: tables of learned vectors."""

import numpy as np

from nn import functional as F
from nn import init
from nn.factory import placed
from nn.module import Module, require_sizes
from nn.parameter import Parameter


class _Table(Module):
    """Base class of both layers: the table, and the index of its padding row."""

    def __init__(self, num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq):
        super().__init__()
        require_sizes(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            if isinstance(padding_idx, bool) or not isinstance(padding_idx, (int, np.integer)):
                name = type(self).__name__
                raise TypeError(f"{name}: padding_idx must be an int, got {type(padding_idx).__name__}")
            if not -num_embeddings <= padding_idx < num_embeddings:
                name = type(self).__name__
                raise ValueError(f"{name}: padding_idx {padding_idx} is outside a table of {num_embeddings} rows")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        self.reset_parameters()

    def _finish(self, sparse, weight, freeze, device, dtype):
        """The last arguments of the constructors: a table that is given replaces the drawn one."""
        self.sparse = sparse
        if weight is not None:
            if weight.shape != self.weight.shape:
                name = type(self).__name__
                raise ValueError(f"{name}: _weight must have shape {self.weight.shape}, got {weight.shape}")
            self.weight = Parameter(weight)
        self.weight.requires_grad_(not freeze)
        if weight is None:
            placed(self, device, dtype)

    @classmethod
    def _from_table(cls, embeddings, freeze, **options):
        weight = Parameter(embeddings, requires_grad=not freeze)
        if weight.ndim != 2:
            raise ValueError(f"{cls.__name__}: the table must have 2 dimensions, is {weight.shape}")
        layer = cls(*weight.shape, **options)
        layer.weight = weight
        return layer

    def reset_parameters(self):
        """Draw the table from the normal distribution; zeros for `padding_idx`."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    def _described(self, **defaults):
        """The sizes, then each option that differs from its default."""
        options = [f"{name}={getattr(self, name)!r}" for name in defaults if getattr(self, name) != defaults[name]]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *options])


class Embedding(_Table):
    """A learned vector for each of `num_embeddings` symbols; initially normal with variance 1.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    padding_idx : int, optional
        The padding symbol: its vector is initially zero and has no gradient. Negative values count from the end.
    max_norm : float, optional
        Vectors that are looked up and have a larger norm are first scaled down to it, in the table itself.
    norm_type : float, default 2
        The p of that p-norm.
    scale_grad_by_freq : bool, default False
        Whether the gradient of a vector is divided by the number of times that its symbol occurs in the input.
    sparse : bool, default False
        Accepted: gradients are dense here, of the same values.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)

    Raises
    ------
    ValueError
        `padding_idx` is outside the table, or a size is negative.
    TypeError
        One of them is not an int.

    Examples
    --------
    >>> import nn
    >>> nn.Embedding(100, 8)(nn.tensor([[1, 2, 99]])).shape
    (1, 3, 8)
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        padding_idx=None,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        sparse=False,
        _weight=None,
        _freeze=False,
        device=None,
        dtype=None,
    ):
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq)
        self._finish(sparse, _weight, _freeze, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings,
        freeze=True,
        padding_idx=None,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        sparse=False,
    ):
        """An Embedding with a given table.

        Parameters
        ----------
        embeddings : Tensor or array (num_embeddings, embedding_dim)
        freeze : bool, default True
            Whether the table is not to be learned.
        padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
            As for the class.
        """
        options = {"max_norm": max_norm, "norm_type": norm_type, "scale_grad_by_freq": scale_grad_by_freq}
        return cls._from_table(embeddings, freeze, padding_idx=padding_idx, **options)

    def forward(self, input):
        options = self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq
        return F.embedding(input, self.weight, *options)

    def extra_repr(self):
        return self._described(padding_idx=None, max_norm=None, norm_type=2, scale_grad_by_freq=False)


class EmbeddingBag(_Table):
    """Sum, mean or largest elements of the vectors of each bag of symbols, without storing the single vectors.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    max_norm, norm_type, scale_grad_by_freq
        As for `Embedding`.
    mode : {"mean", "sum", "max"}
    include_last_offset : bool, default False
        Whether the offsets have one more element, the end of the last bag.
    padding_idx : int, optional
        A symbol that is left out: its vector is initially zero and has no gradient.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)

    Raises
    ------
    ValueError
        `padding_idx` is outside the table, or a size is negative.
    TypeError
        One of them is not an int.

    Examples
    --------
    >>> import nn
    >>> nn.EmbeddingBag(100, 8)(nn.tensor([1, 2, 99]), offsets=nn.tensor([0, 2])).shape
    (2, 8)
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        mode="mean",
        sparse=False,
        _weight=None,
        include_last_offset=False,
        padding_idx=None,
        device=None,
        dtype=None,
    ):
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq)
        self.mode, self.include_last_offset = mode, include_last_offset
        self._finish(sparse, _weight, False, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings,
        freeze=True,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        mode="mean",
        sparse=False,
        include_last_offset=False,
        padding_idx=None,
    ):
        """An EmbeddingBag with a given table.

        Parameters
        ----------
        embeddings : Tensor or array (num_embeddings, embedding_dim)
        freeze : bool, default True
            Whether the table is not to be learned.
        max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset, padding_idx
            As for the class.
        """
        options = {"max_norm": max_norm, "norm_type": norm_type, "scale_grad_by_freq": scale_grad_by_freq}
        options |= {"mode": mode, "include_last_offset": include_last_offset, "padding_idx": padding_idx}
        return cls._from_table(embeddings, freeze, **options)

    def forward(self, input, offsets=None, per_sample_weights=None):
        """The bags of `input`.

        Parameters
        ----------
        input : Tensor or array of int64 or int32
            Shape (B, n): B bags of n symbols; or (n,), split at the `offsets`.
        offsets : Tensor or array of int64 or int32, optional
        per_sample_weights : Tensor of the shape of `input`, optional
            Factor of each vector; only with "sum".

        Returns
        -------
        Tensor (B, embedding_dim)
        """
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self):
        return self._described(max_norm=None, norm_type=2, scale_grad_by_freq=False, mode=None, padding_idx=None)
