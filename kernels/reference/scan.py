r"""Scans in plain NumPy: of each element, what a reduction would make of it and all before it along `dim`.

    cumsum        y_i = sum_{j<=i} x_j                  dx_k = sum_{i>=k} dy_i
    cumprod       y_i = prod_{j<=i} x_j                 dx_k = sum_{i>=k} dy_i prod_{j<=i, j!=k} x_j
    cummax        y_i = max_{j<=i} x_j                  dx_k = sum of dy_i over the i whose maximum has the index k
    logcumsumexp  y_i = log sum_{j<=i} exp(x_j)         dx_k = sum_{i>=k} dy_i exp(x_k - y_i)

Of equal maxima the last has the index. A NaN counts as larger than everything, in `cummin` as smaller.
"""

import numpy as np

__all__ = [
    "cumsum",
    "cumsum_backward",
    "cumprod",
    "cumprod_backward",
    "cummax",
    "cummax_backward",
    "cummin",
    "cummin_backward",
    "logcumsumexp",
    "logcumsumexp_backward",
]

ieee = np.errstate(all="ignore")


@ieee
def cumsum(x, dim):
    """Sums so far; those of integers are int64."""
    return np.cumsum(np.atleast_1d(x), axis=dim, dtype=_wide(x)).reshape(x.shape).astype(_result(x))


@ieee
def cumsum_backward(dy, dim):
    """dx_k = sum of dy from k on."""
    dy_first = np.moveaxis(np.atleast_1d(dy), dim, 0)[::-1]
    return np.moveaxis(np.cumsum(dy_first, axis=0)[::-1], 0, dim).reshape(dy.shape).copy()


@ieee
def cumprod(x, dim):
    """Products so far; those of integers are int64."""
    return np.cumprod(np.atleast_1d(x), axis=dim, dtype=_wide(x)).reshape(x.shape).astype(_result(x))


@ieee
def cumprod_backward(dy, x, dim):
    """dx_k = sum over i >= k of dy_i times the product of all up to i but x_k."""
    rows, slopes = (np.moveaxis(np.atleast_1d(each), dim, 0) for each in (x, dy))
    dx = np.empty_like(rows)
    for k in range(len(rows)):
        product = np.prod(rows[:k], axis=0)
        dx[k] = product * slopes[k]
        for i in range(k + 1, len(rows)):
            product = product * rows[i]
            dx[k] += product * slopes[i]
    return np.moveaxis(dx, 0, dim).reshape(x.shape).copy()


def cummax(x, dim):
    """Largest elements so far, and their indices."""
    return _extremes(x, dim, np.greater_equal)


def cummin(x, dim):
    """Smallest elements so far, and their indices."""
    return _extremes(x, dim, np.less_equal)


def cummax_backward(dy, indices, dim):
    """dx = the sums of dy whose index it is."""
    dx = np.zeros(np.atleast_1d(dy).shape, dy.dtype)
    places = list(np.ix_(*map(range, dx.shape)))
    places[dim] = indices.reshape(dx.shape)
    np.add.at(dx, tuple(places), dy.reshape(dx.shape))
    return dx.reshape(dy.shape)


cummin_backward = cummax_backward


@ieee
def logcumsumexp(x, dim):
    """Logarithms of the sums so far of exponentials."""
    x_wide = np.atleast_1d(x).astype(_wide(x))
    return np.logaddexp.accumulate(x_wide, axis=dim).reshape(x.shape).astype(x.dtype)


@ieee
def logcumsumexp_backward(dy, x, dim):
    """dx_k = sum_{i>=k} dy_i exp(x_k - y_i) over the finite y_i; NaN where x_k is inf."""
    rows, slopes = (np.moveaxis(np.atleast_1d(each), dim, 0) for each in (x, dy))
    y, dx = logcumsumexp(rows, 0), np.zeros_like(rows)
    for k in range(len(rows)):
        terms = np.where(np.isinf(y[k:]), 0, slopes[k:] * np.exp(rows[k] - y[k:]))
        dx[k] = np.where(np.isposinf(rows[k]), np.nan, terms.sum(axis=0))
    return np.moveaxis(dx, 0, dim).reshape(x.shape).copy()


def _wide(x):
    """The dtype of totals."""
    return np.float64 if x.dtype == np.float32 else _result(x)


def _result(x):
    return x.dtype if x.dtype.kind == "f" else np.int64


def _extremes(x, dim, wins):
    rows = np.moveaxis(np.atleast_1d(x), dim, 0)
    values, indices = rows.copy(), np.zeros(rows.shape, np.int64)
    for i in range(1, len(rows)):
        new = np.isnan(rows[i]) | wins(rows[i], values[i - 1])
        values[i] = np.where(new, rows[i], values[i - 1])
        indices[i] = np.where(new, i, indices[i - 1])
    values, indices = (np.moveaxis(each, 0, dim).reshape(x.shape).copy() for each in (values, indices))
    return values, indices
