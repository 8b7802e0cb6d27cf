"""Dropout."""

from nn import functional as F
from nn.module import Module


class _Dropout(Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not hasattr(p, "__float__"):
            raise TypeError(f"{type(self).__name__}: p must be a number, got {type(p).__name__}")
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input):
        return self._dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, set each element to 0 with probability `p` and scale the others by 1 / (1 - p); else the identity.

    Parameters
    ----------
    p : float, default 0.5
    inplace : bool, default False

    Raises
    ------
    ValueError
        `p` is not in [0, 1].
    TypeError
        `p` is not a number.

    Reference: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014), section 4.

    Examples
    --------
    >>> import nn
    >>> _ = nn.manual_seed(0)
    >>> sorted(set(nn.Dropout(0.2)(nn.ones(1000)).tolist()))
    [0.0, 1.25]
    """

    _dropout = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of (N, C, L) or (C, L).

    Examples
    --------
    >>> import nn
    >>> layer, x = nn.Dropout1d(0.5), nn.ones(2, 3, 4)
    >>> layer(x).shape, bool((layer.eval()(x) == x).all())
    ((2, 3, 4), True)
    """

    _dropout = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of (N, C, H, W) or (C, H, W), whose neighbouring pixels are correlated.

    Reference: Tompson et al., "Efficient object localization using convolutional networks" (2015), section 3.2.

    Examples
    --------
    >>> import nn
    >>> layer, x = nn.Dropout2d(0.5), nn.ones(2, 3, 4, 4)
    >>> layer(x).shape, bool((layer.eval()(x) == x).all())
    ((2, 3, 4, 4), True)
    """

    _dropout = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """`Dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import nn
    >>> layer, x = nn.Dropout3d(0.5), nn.ones(2, 3, 4, 4, 4)
    >>> layer(x).shape, bool((layer.eval()(x) == x).all())
    ((2, 3, 4, 4, 4), True)
    """

    _dropout = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance: elements become the negative saturation of `SELU`.

    Reference: Klambauer et al., "Self-Normalizing Neural Networks" (2017), section 2.3.

    Examples
    --------
    >>> import nn
    >>> layer, x = nn.AlphaDropout(0.5), nn.ones(2, 3, 4)
    >>> layer(x).shape, bool((layer.eval()(x) == x).all())
    ((2, 3, 4), True)
    """

    _dropout = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of (N, C, ...).

    Examples
    --------
    >>> import nn
    >>> layer, x = nn.FeatureAlphaDropout(0.5), nn.ones(2, 3, 4)
    >>> layer(x).shape, bool((layer.eval()(x) == x).all())
    ((2, 3, 4), True)
    """

    _dropout = staticmethod(F.feature_alpha_dropout)
