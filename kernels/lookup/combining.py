r"""Elements reduced at the places that an array of indices names.

    sum, prod      y_i = x_i (+ or ×) all s_k with index k = i
    mean           the sum divided by the number of its terms, for integers rounded down
    amax, amin     the largest, the smallest; NaN if one is

Without `include_self`, x_i counts only where no index is i. The gradient of a sum is dy_i for each of its terms, of a
mean that divided by their number; of a product dy_i times the product of the others; of the largest or smallest dy_i,
shared in equal parts among those that are equal to it.
"""

import numpy as np

from kernels import _checks
from kernels.lookup import operands
from kernels.lookup.moves import gathered, scattered

REDUCES = ("sum", "prod", "mean", "amax", "amin")


def scatter_reduce(x, dim, index, src, reduce, *, include_self=True, out=None):
    """A copy of `x` whose elements are reduced with those of `src` that indices along a dimension assign to them.

    Parameters
    ----------
    x : array, float32, float64, int64, int32 or bool
    dim : int
        The dimension that the indices are of.
    index : array of int64 or int32
        Of as many dimensions as `x`, none longer than that of `x`, except `dim`. Negative indices do not count from
        the end.
    src : array or number
        Of the dtype of `x` and as many dimensions, none shorter than that of `index`; what is beyond is not used.
    reduce : {"sum", "prod", "mean", "amax", "amin"}
        The mean of integers is rounded down; of booleans there is none, and their sum is their disjunction.
    include_self : bool, default True
        Whether the element of `x` is among those that are reduced where an index names it. Others remain.
    out : array, optional
        C-contiguous, of the shape and dtype of `x`: receives the result; it may be `x` itself.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        Another dtype, or dtypes that differ; the mean of booleans.
    ValueError
        Another `reduce`, a `dim` that `x` does not have, shapes that do not fit, an unsuitable `out`.
    IndexError
        An index that is not from 0 to ``x.shape[dim] - 1``.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scatter_reduce
    >>> scatter_reduce(np.zeros(3), 0, np.array([2, 0, 2]), np.array([1.0, 2.0, 4.0]), "mean", include_self=False)
    array([2. , 0. , 2.5])
    """
    operation = "scatter_reduce"
    _checks.choice(operation, "reduce", reduce, REDUCES)
    dtype = _checks.as_array(operation, "x", x).dtype
    identity = None if include_self else _identity(reduce, dtype)
    if reduce != "mean":
        return scattered(operation, reduce, x, dim, index, src, out, identity)
    if dtype == np.bool_:
        raise TypeError(f"{operation}: reduce 'mean' is not for bool")
    y = scattered(operation, "sum", x, dim, index, src, out, identity)
    counts = _terms(operation, y, dim, index, include_self)
    (np.divide if dtype.kind == "f" else np.floor_divide)(y, counts, out=y)
    return y


def scatter_reduce_backward(dy, x, dim, index, src, reduce, y, *, include_self=True, needs=(True, True)):
    """Gradients of `scatter_reduce` with respect to `x` and to `src`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the result.
    x, dim, index, reduce
        The forward's.
    src : array
        The forward's, an array.
    y : array
        The forward's result.
    include_self : bool, default True
        The forward's.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx : array or None
        Of the shape of `x`. For "amax" and "amin" an element of `x` that is equal to the result has its part also where
        it was not included, as in PyTorch: it is set to zero, and the others get the less.
    dsrc : array or None
        Of the shape of `index`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `scatter_reduce`; arrays whose shapes or dtypes differ from those of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scatter_reduce_backward
    >>> x, src, index = np.array([1.0, 5.0]), np.array([5.0, 3.0]), np.array([1, 0])
    >>> scatter_reduce_backward(np.ones(2), x, 0, index, src, "amax", np.array([3.0, 5.0]))
    (array([0. , 0.5]), array([0.5, 1. ]))
    """
    operation = "scatter_reduce_backward"
    _checks.choice(operation, "reduce", reduce, REDUCES)
    dy, x = _checks.floats(operation, "dy", dy), _checks.floats(operation, "x", x)
    y, src = _checks.floats(operation, "y", y), _checks.floats(operation, "src", src)
    _checks.same_dtype(operation, dy=dy, x=x, src=src, y=y)
    _checks.same_shape(operation, dy=dy, x=x, y=y)
    index = _checks.indices(operation, "index", index)
    if src.ndim == index.ndim:
        src = src[tuple(map(slice, index.shape))]
    _checks.same_shape(operation, src=src, index=index)
    shape, index_shape = x.shape, index.shape
    dy, x, y, src, index = map(operands.at_least_1d, (dy, x, y, src, index))
    if reduce == "mean":
        dy = dy / _terms(operation, dy, dim, index, include_self)
    with np.errstate(all="ignore"):
        if reduce == "prod":
            dx, dsrc = _product_gradients(operation, dy, (x, dim, index, src, y), include_self, needs)
        elif reduce in ("amax", "amin"):
            dx, dsrc = _extreme_gradients(operation, dy, (x, dim, index, src, y))
        else:
            dx, dsrc = dy, gathered(operation, dy, dim, index) if needs[1] else None
    if needs[0]:
        dx = (dx.copy() if dx is dy else dx) if include_self else scattered(operation, "assign", dx, dim, index, 0.0)
    return dx.reshape(shape) if needs[0] else None, dsrc.reshape(index_shape) if needs[1] else None


def _identity(reduce, dtype):
    """What changes nothing in a reduction."""
    if reduce in ("sum", "mean", "prod"):
        return 1 if reduce == "prod" else 0
    if dtype.kind == "f":
        return -np.inf if reduce == "amax" else np.inf
    if dtype == np.bool_:
        return reduce == "amin"
    limits = np.iinfo(dtype)
    return limits.min if reduce == "amax" else limits.max


def _terms(operation, y, dim, index, include_self):
    """The number of terms of each element of a mean, at least 1, in the dtype of `y`."""
    counts = np.full_like(y, 1 if include_self else 0)
    scattered(operation, "sum", counts, dim, index, 1, counts)
    return counts if include_self else np.maximum(counts, 1, out=counts)


def _product_gradients(operation, dy, arguments, include_self, needs):
    """A factor of 0 is left out of the product and the quotient is not taken, unless there are two."""
    x, dim, index, src, y = arguments
    dx = dsrc = None
    if needs[0]:
        nonzero = np.where(x == 0, 1, x)
        identity = None if include_self else 1
        dx = dy * scattered(operation, "prod", nonzero, dim, index, src, None, identity) / nonzero
    if needs[1]:
        zero = src == 0
        zeros = scattered(operation, "sum", np.zeros_like(x), dim, index, zero.astype(x.dtype))
        single = zero & (gathered(operation, zeros, dim, index) == 1)
        identity = None if include_self else 1
        without = scattered(operation, "prod", x, dim, index, np.where(single, 1, src), None, identity)
        quotients = gathered(operation, dy * y, dim, index) / np.where(zero, 1, src)
        dsrc = np.where(single, gathered(operation, dy * without, dim, index), quotients)
    return dx, dsrc


def _extreme_gradients(operation, dy, arguments):
    x, dim, index, src, y = arguments
    mine, theirs = (x == y).astype(x.dtype), (src == gathered(operation, y, dim, index)).astype(x.dtype)
    shares = dy / scattered(operation, "sum", mine, dim, index, theirs)
    return mine * shares, theirs * gathered(operation, shares, dim, index)
