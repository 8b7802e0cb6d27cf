"""Where elements are not 0, and how often values occur; none of them has a gradient."""

from typing import Any

import numpy as np

from nn.operations.arguments import array_of, bool_of, floating, int_of, scalar_of
from nn.storage import wrap

__all__ = ["argwhere", "bincount", "histc", "nonzero"]


def nonzero(input, *, as_tuple=False):
    """The indices of the elements that are not 0: rows of a matrix, or a tuple of a vector for each dimension.

    Examples
    --------
    >>> import nn
    >>> nn.nonzero(nn.tensor([0, 3, 4]))
    tensor([[1],
            [2]])
    """
    x = array_of("nonzero", input)
    if bool_of("nonzero", "as_tuple", as_tuple):
        return tuple(map(wrap, np.nonzero(np.atleast_1d(x))))
    return wrap(np.argwhere(x))


def argwhere(input):
    """The indices of the elements that are not 0, rows of a matrix.

    Examples
    --------
    >>> import nn
    >>> nn.argwhere(nn.tensor([0, 3, 4]))
    tensor([[1],
            [2]])
    """
    return wrap(np.argwhere(array_of("argwhere", input)))


def bincount(input, weights=None, minlength=0):
    """How often each number 0, 1, … occurs in a vector, or the sum of its weights.

    Parameters
    ----------
    input : Tensor of integers, none negative
    weights : Tensor, optional
        One for each element. The result is float32 if they are, else float64; without them, int64.
    minlength : int
        The least length of the result.

    Raises
    ------
    TypeError, ValueError
        `input` does not hold integers from 0 on in one dimension; another number of weights.

    Examples
    --------
    >>> import nn
    >>> nn.bincount(nn.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    x = array_of("bincount", input)
    if x.dtype.kind not in "iu":
        raise TypeError(f"bincount: needs integers, got {x.dtype}")
    if x.ndim != 1 or (x.size and x.min() < 0):
        raise ValueError(f"bincount: needs a vector of numbers from 0 on, got shape {x.shape}")
    minlength = int_of("bincount", "minlength", minlength)
    if minlength < 0:
        raise ValueError(f"bincount: minlength must not be negative, got {minlength}")
    if weights is None:
        return wrap(np.bincount(x, minlength=minlength))
    w = array_of("bincount", weights, "weights")
    if w.shape != x.shape:
        raise ValueError(f"bincount: needs one weight for each element: input is {x.shape}, weights {w.shape}")
    y = np.bincount(x, w, minlength)
    return wrap(y.astype(np.float32) if w.dtype == np.float32 else y)


def histc(input, bins: Any = 100, min: Any = 0, max: Any = 0):
    """How many elements are in each of `bins` intervals of equal length from `min` to `max`; others do not count.

    With both bounds equal, they are the smallest and the largest element.

    Raises
    ------
    ValueError
        `bins` is below 1, or the bounds are not finite or not in order.

    Examples
    --------
    >>> import nn
    >>> nn.histc(nn.tensor([0.1, 0.2, 0.9]), bins=2, min=0, max=1)
    tensor([2., 1.])
    """
    x, bins = floating("histc", input), int_of("histc", "bins", bins)
    if bins < 1:
        raise ValueError(f"histc: bins must be at least 1, got {bins}")
    low, high = scalar_of("histc", "min", min), scalar_of("histc", "max", max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"histc: needs finite bounds, min below max, got {low} and {high}")
    return wrap(np.histogram(x, bins, (low, high))[0].astype(x.dtype))
