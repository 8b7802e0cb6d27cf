"""NamedTuples of the arrays and numbers that are passed together through the loops.

Python passes plain tuples, which Numba unpacks faster; the jitted functions that it calls convert them to these.
"""

from typing import NamedTuple

import numpy as np


class Affine(NamedTuple):
    """The learned scale and shift: an element per channel, or per element of a row."""

    weight: np.ndarray
    bias: np.ndarray


class Statistics(NamedTuple):
    """An element per group (or row): its mean, and ``rstd = 1 / sqrt(var + eps)``."""

    mean: np.ndarray
    rstd: np.ndarray


class TrackedStatistics(NamedTuple):
    """`Statistics` for a forward to fill in, and the running ones for it to update; these may be of size 0."""

    mean: np.ndarray
    rstd: np.ndarray
    running_mean: np.ndarray
    running_var: np.ndarray


class Options(NamedTuple):
    """Of a forward by the statistics of its input: `minimum` is a lower bound on the result (0: ReLU), `streaming`
    whether it is stored around the caches."""

    eps: float
    momentum: float
    minimum: float
    streaming: bool


class Saved(NamedTuple):
    """What a backward takes from the forward, in addition to x."""

    weight: np.ndarray
    mean: np.ndarray
    rstd: np.ndarray


class Gradients(NamedTuple):
    """With respect to x, weight and bias. Of parts of the input, dweight and dbias are float64 sums to be added up."""

    dx: np.ndarray
    dweight: np.ndarray
    dbias: np.ndarray


class ParameterSums(NamedTuple):
    """The terms of dweight and dbias, ``dy * (x - mean) * rstd`` and ``dy``, summed over a part of the input."""

    dweight: np.ndarray
    dbias: np.ndarray


class BackwardOptions(NamedTuple):
    """`training`: whether mean and rstd depend on x; `streaming`: whether dx is stored around the caches."""

    training: bool
    streaming: bool
