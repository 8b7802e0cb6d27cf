"""Dropout that keeps the mean and variance of its input: for networks of `selu`."""

import math

import numpy as np

from nn import random
from nn.functional.arguments import checked, in_place, probability

SATURATION = 1.7580993408473766  # scale · alpha of selu, which tends to this, negated, as x goes to -inf


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """In training, set elements to the saturation of `selu` with probability `p`, and correct mean and variance.

    Parameters
    ----------
    input : Tensor, float32 or float64, any shape
    p : float, default 0.5
    training : bool, default False
        If False, the result is `input`.
    inplace : bool, default False
        Also store the result in `input`.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    ValueError
        `p` is not in [0, 1].

    Reference: Klambauer et al., "Self-Normalizing Neural Networks" (2017), section 2.3.
    """
    return _alpha_dropout("alpha_dropout", input, checked("alpha_dropout", input).shape, p, training, inplace)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """`alpha_dropout` of whole channels of (N, C, ...); ValueError for fewer than 2 dimensions."""
    shape = checked("feature_alpha_dropout", input).shape
    if len(shape) < 2:
        raise ValueError(f"feature_alpha_dropout: input must have at least 2 dimensions, got shape {shape}")
    shape = (*shape[:2], *(1,) * (len(shape) - 2))
    return _alpha_dropout("feature_alpha_dropout", input, shape, p, training, inplace)


def _alpha_dropout(name, input, shape, p, training, inplace):
    """Alpha dropout of what a mask of the given shape, which broadcasts, selects."""
    p = probability(name, p, training)
    if p == 0:
        return input
    if p == 1:
        return in_place(input, input * 0, inplace)
    dtype = input.array.dtype
    kept = (random.generator().random(shape, np.float32) >= p).astype(dtype)
    scale = 1 / math.sqrt((SATURATION**2 * p + 1) * (1 - p))
    shift = (kept - 1 + p) * dtype.type(SATURATION * scale)
    return in_place(input, input * (kept * dtype.type(scale)) + shift, inplace)
