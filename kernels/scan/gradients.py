"""The public gradients: they validate arguments, allocate and call the loops."""

from kernels import _checks
from kernels._indices import within
from kernels._threads import threads_for
from kernels.reduction.layout import expect_shape, split
from kernels.scan.extremes import add_to_indices
from kernels.scan.functions import CUMSUM, EXPENSIVE, scanned
from kernels.scan.logsum import logcumsumexp_backward_loops
from kernels.scan.products import cumprod_backward_loops


def cumsum_backward(dy, dim):
    """Gradient of `cumsum` with respect to its input: sums of `dy` from each element to the end.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    dim : int
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If `dy` is not float32 or float64; if `dim` is not one of its axes.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cumsum_backward
    >>> cumsum_backward(np.array([1.0, 2.0, 3.0]), 0)
    array([6., 5., 3.])
    """
    dy = _checks.floats("cumsum_backward", "dy", dy)
    return scanned("cumsum_backward", CUMSUM, dy, dim, 0, True)


def cumprod_backward(dy, x, dim):
    """Gradient of `cumprod` with respect to its input, which may hold any number of zeros.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    dim : int
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`; NaN, in general, where an element or a product is infinite.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, dtypes or shapes differ, or `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cumprod_backward
    >>> cumprod_backward(np.ones(3), np.array([2.0, 0.0, 3.0]), 0)
    array([1., 8., 0.])
    """
    return _from_input("cumprod_backward", cumprod_backward_loops, dy, x, dim)


def cummax_backward(dy, indices, dim):
    """Gradient of `cummax` with respect to its input: sums of `dy` over equal indices.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the values.
    indices : array of int64 or int32
        Those that the forward returned, of the shape of `dy`.
    dim : int
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If an array has an unsuitable dtype, shapes differ, or `dim` is not an axis of `dy`.
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cummax_backward
    >>> cummax_backward(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 1]), 0)
    array([1., 5., 0.])
    """
    return _from_indices("cummax_backward", dy, indices, dim)


def cummin_backward(dy, indices, dim):
    """Gradient of `cummin` with respect to its input: sums of `dy` over equal indices.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the values.
    indices : array of int64 or int32
        Those that the forward returned, of the shape of `dy`.
    dim : int
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `dy`.

    Raises
    ------
    TypeError, ValueError
        If an array has an unsuitable dtype, shapes differ, or `dim` is not an axis of `dy`.
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cummin_backward
    >>> cummin_backward(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 1]), 0)
    array([1., 5., 0.])
    """
    return _from_indices("cummin_backward", dy, indices, dim)


def logcumsumexp_backward(dy, x, dim):
    """Gradient of `logcumsumexp` with respect to its input. The output is computed again, in float64: near 1e7 that of
    float32 is wrong by up to 1/2.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the output.
    x : array
        The forward's input, of the shape and dtype of `dy`.
    dim : int
        As given to the forward.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`. An infinite output has no slope: elements of -inf get 0, of inf NaN.

    Raises
    ------
    TypeError, ValueError
        If an array is not float32 or float64, dtypes or shapes differ, or `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import logcumsumexp_backward
    >>> logcumsumexp_backward(np.array([0.0, 1.0]), np.zeros(2), 0)
    array([0.5, 0.5])
    """
    return _from_input("logcumsumexp_backward", logcumsumexp_backward_loops, dy, x, dim, EXPENSIVE)


# --- arguments and results -------------------------------------------------------------------------------------------


def _from_input(operation, loops, dy, x, dim, cost=1):
    """A gradient that is computed from the input."""
    dy, x = _checks.floats(operation, "dy", dy), _checks.floats(operation, "x", x)
    _checks.same_dtype(operation, dy=dy, x=x)
    expect_shape(operation, "dy", dy, x.shape)
    outer, n, inner = split(operation, x, dim)
    dx = _checks.new(x.shape, x.dtype)
    if x.size:
        arrays = dy.reshape(-1), x.reshape(-1), dx.reshape(-1)
        loops(*arrays, outer, n, inner, threads_for(cost * x.size))
    return dx


def _from_indices(operation, dy, indices, dim):
    """A gradient that goes to the indices."""
    dy, indices = _checks.floats(operation, "dy", dy), _checks.indices(operation, "indices", indices)
    expect_shape(operation, "indices", indices, dy.shape)
    outer, n, inner = split(operation, dy, dim)
    within(operation, "indices", indices, n)
    dx = _checks.new(dy.shape, dy.dtype)
    if dy.size:
        add_to_indices(dy.reshape(-1), indices.reshape(-1), dx.reshape(-1), outer, n, inner, threads_for(dy.size))
    return dx
