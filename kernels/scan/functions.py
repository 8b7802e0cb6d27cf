"""The public scans: they validate arguments, allocate and call the loops."""

from numba import boolean, float64, int64
from numpy import empty, ndarray

from kernels import _checks
from kernels._jit import Compiled
from kernels._threads import PARALLEL_ELEMENTS, threads_for
from kernels.reduction.layout import split
from kernels.scan.chains import cumprod_chains, cumprod_loops, cumsum_chains, cumsum_loops
from kernels.scan.extremes import cummax_groups, cummax_loops, cummin_groups, cummin_loops
from kernels.scan.logsum import logcumsumexp_loops

EXPENSIVE = 16  # how many of the cheapest elements an exponential and a logarithm take as long as


class _Loops(dict):
    """From each dtype to the machine code for flat arrays of it, from `loops` or, for some dtypes, from others."""

    def __init__(self, loops, types, others=None):
        self.others = {dtype: Compiled(function, types) for dtype, function in (others or {}).items()}
        self.loops = Compiled(loops, types)

    def __missing__(self, dtype):
        found = self[dtype] = self.others.get(dtype, self.loops)[dtype]
        return found


def _chain_types(kind):
    start = kind if kind == int64 else float64
    return (kind[::1], kind[::1], int64, int64, int64, start, boolean, int64)


def _extreme_types(kind):
    return (kind[::1], kind[::1], int64[::1], int64, int64, int64, int64)


_INT64, _FLOAT32, _FLOAT64 = _checks.INT64, _checks.FLOAT32, _checks.FLOAT64
CUMSUM = _Loops(cumsum_loops, _chain_types, {_INT64: cumsum_chains})
_cumprod = _Loops(cumprod_loops, _chain_types, {_INT64: cumprod_chains, _FLOAT64: cumprod_chains})
_cummax = _Loops(cummax_loops, _extreme_types, {_INT64: cummax_groups})
_cummin = _Loops(cummin_loops, _extreme_types, {_INT64: cummin_groups})


def cumsum(x, dim):
    """Sums of all elements up to each, along `dim`.

    Parameters
    ----------
    x : array, float32 or float64, integer or bool
    dim : int

    Returns
    -------
    ndarray
        Of the shape of `x`, and its dtype; int64 if `x` holds integers or bools.

    Raises
    ------
    TypeError, ValueError
        If `x` holds neither real numbers nor bools; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cumsum
    >>> cumsum(np.array([[1.0, 2.0, 3.0]]), 1)
    array([[1., 3., 6.]])
    """
    return scanned("cumsum", CUMSUM, x, dim, 0)


def cumprod(x, dim):
    """Products of all elements up to each, along `dim`.

    Parameters
    ----------
    x : array, float32 or float64, integer or bool
    dim : int

    Returns
    -------
    ndarray
        Of the shape of `x`, and its dtype; int64 if `x` holds integers or bools.

    Raises
    ------
    TypeError, ValueError
        If `x` holds neither real numbers nor bools; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cumprod
    >>> cumprod(np.array([[1, 2, 3]]), 1)
    array([[1, 2, 6]])
    """
    return scanned("cumprod", _cumprod, x, dim, 1)


def cummax(x, dim):
    """Largest elements up to each, along `dim`, and their indices.

    Parameters
    ----------
    x : array, float32 or float64, integer or bool
    dim : int

    Returns
    -------
    values : ndarray
        Of the shape and dtype of `x`. After a NaN all are NaN.
    indices : ndarray of int64
        Of the shape of `x`; of equal elements the last has the index.

    Raises
    ------
    TypeError, ValueError
        If `x` holds neither real numbers nor bools; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cummax
    >>> cummax(np.array([1.0, 3.0, 2.0, 3.0]), 0)
    (array([1., 3., 3., 3.]), array([0, 1, 1, 3]))
    """
    return _extremes("cummax", _cummax, x, dim)


def cummin(x, dim):
    """Smallest elements up to each, along `dim`, and their indices.

    Parameters
    ----------
    x : array, float32 or float64, integer or bool
    dim : int

    Returns
    -------
    values : ndarray
        Of the shape and dtype of `x`. After a NaN all are NaN.
    indices : ndarray of int64
        Of the shape of `x`; of equal elements the last has the index.

    Raises
    ------
    TypeError, ValueError
        If `x` holds neither real numbers nor bools; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import cummin
    >>> cummin(np.array([3.0, 1.0, 2.0, 1.0]), 0)
    (array([3., 1., 1., 1.]), array([0, 1, 1, 3]))
    """
    return _extremes("cummin", _cummin, x, dim)


def logcumsumexp(x, dim):
    """Logarithms of the sums of the exponentials of all elements up to each, along `dim`.

    Parameters
    ----------
    x : array, float32 or float64
    dim : int

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not float32 or float64; if `dim` is not an axis of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import logcumsumexp
    >>> np.exp(logcumsumexp(np.log([1.0, 2.0, 3.0]), 0)).round(6)
    array([1., 3., 6.])
    """
    x = _checks.floats("logcumsumexp", "x", x)
    outer, n, inner = split("logcumsumexp", x, dim)
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        logcumsumexp_loops(x.reshape(-1), y.reshape(-1), outer, n, inner, threads_for(EXPENSIVE * x.size))
    return y


# --- arguments and results -------------------------------------------------------------------------------------------


def scanned(operation, loops, x, dim, start, backward=False):
    """Sums or products: of floats in their own dtype, of all others in int64."""
    if _is_short(x, dim):
        y = empty(x.size, x.dtype)
        loops[x.dtype](x, y, 1, x.size, 1, float(start), backward, 1)
        return y
    x = _checks.numbers(operation, "x", x)
    outer, n, inner = split(operation, x, dim)
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        start = start if x.dtype.kind == "i" else float(start)
        arrays = (x, y) if x.ndim == 1 else (x.reshape(-1), y.reshape(-1))
        loops[x.dtype](*arrays, outer, n, inner, start, backward, threads_for(x.size))
    return y


def _is_short(x, dim):
    """Whether x is a short vector of floats, as it must be: the fast path; anything else falls through."""
    return (
        x.__class__ is ndarray
        and x.ndim == 1
        and 0 < x.size < PARALLEL_ELEMENTS
        and (x.dtype is _FLOAT32 or x.dtype is _FLOAT64)
        and x.flags.carray
        and dim.__class__ is int
        and -1 <= dim <= 0
    )


def _extremes(operation, loops, x, dim):
    """Values and indices; integers are compared in int64."""
    if _is_short(x, dim):
        values, indices = empty(x.size, x.dtype), empty(x.size, _INT64)
        loops[x.dtype](x, values, indices, 1, x.size, 1, 1)
        return values, indices
    x = _checks.as_array(operation, "x", x)
    dtype, x = x.dtype, _checks.numbers(operation, "x", x)
    outer, n, inner = split(operation, x, dim)
    values, indices = _checks.new(x.shape, x.dtype), _checks.new(x.shape, _checks.INT64)
    if x.size:
        arrays = x, values, indices
        arrays = arrays if x.ndim == 1 else [each.reshape(-1) for each in arrays]
        loops[x.dtype](*arrays, outer, n, inner, threads_for(x.size))
    return values if values.dtype is dtype else values.astype(dtype.newbyteorder("=")), indices
