"""The public functions that search: they validate arguments, allocate and call the loops."""

import numpy as np
from numba import boolean, int64

from kernels import _checks
from kernels._jit import Compiled
from kernels._threads import threads_for
from kernels.sorting.functions import COST, FORM_TYPE, as_numbers
from kernels.sorting.keys import FORMS, bits_of
from kernels.sorting.search import distinct_loops, search_loops

_search = Compiled(
    search_loops, lambda kind: (kind[::1], kind[::1], FORM_TYPE, boolean, int64[::1], int64, int64, int64)
)


def searchsorted(sorted_sequence, values, right=False):
    """Where each of `values` would be inserted into a row in ascending order.

    Parameters
    ----------
    sorted_sequence : array, float32 or float64, or integer
        Shape ``(n,)``, or ``(*B, n)``: a row for each of the leading dimensions; NaN comes last. Whether it is in order
        is not checked.
    values : array
        Of the dtype of `sorted_sequence`; any shape, or ``(*B, m)``.
    right : bool, default False
        Whether the place is after the elements that equal the value, instead of before them.

    Returns
    -------
    ndarray of int64
        Of the shape of `values`, from 0 to n.

    Raises
    ------
    TypeError, ValueError
        If an array does not hold real numbers, or dtypes differ; if leading dimensions differ.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import searchsorted
    >>> searchsorted(np.array([1.0, 3.0, 5.0]), np.array([3.0, 6.0]))
    array([1, 3])
    """
    return _places("searchsorted", "sorted_sequence", sorted_sequence, "values", values, right)


def bucketize(x, boundaries, right=False):
    """The number of the bucket of each element: how many boundaries lie below it.

    Parameters
    ----------
    x : array, float32 or float64, or integer
    boundaries : array
        Shape ``(n,)``, of the dtype of `x`, in ascending order, which is not checked.
    right : bool, default False
        Whether a boundary that equals an element lies below it.

    Returns
    -------
    ndarray of int64
        Of the shape of `x`, from 0 to n.

    Raises
    ------
    TypeError, ValueError
        If an array does not hold real numbers, or dtypes differ; if `boundaries` has not one dimension.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import bucketize
    >>> bucketize(np.array([3.0, 6.0]), np.array([1.0, 3.0, 5.0]))
    array([1, 3])
    """
    boundaries = _checks.as_array("bucketize", "boundaries", boundaries)
    if boundaries.ndim != 1:
        raise ValueError(f"bucketize: boundaries must have 1 dimension, got shape {boundaries.shape}")
    return _places("bucketize", "boundaries", boundaries, "x", x, right)


def unique(x, sorted=True, return_inverse=False, return_counts=False):
    """The distinct values of an array.

    Parameters
    ----------
    x : array, float32 or float64, integer or bool
    sorted : bool, default True
        The values are in ascending order in any case.
    return_inverse : bool, default False
    return_counts : bool, default False

    Returns
    -------
    values : ndarray
        One dimension; each NaN is a value of its own.
    inverse : ndarray of int64, if asked for
        Of the shape of `x`: the place among the values of each element.
    counts : ndarray of int64, if asked for
        Of the shape of the values: how often each occurs.

    Raises
    ------
    TypeError
        If `x` holds neither real numbers nor bools.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import unique
    >>> unique(np.array([3.0, 1.0, 3.0]), return_counts=True)
    (array([1., 3.]), array([1, 2]))
    """
    dtype, x = as_numbers("unique", "x", x)
    values, counts = np.empty(x.size, x.dtype), np.empty(x.size, np.int64)
    inverse = np.empty(x.shape if return_inverse else 0, np.int64)
    number = distinct_loops(bits_of(x), FORMS[x.dtype], bits_of(values), inverse.reshape(-1), counts)
    found = [values[:number].astype(dtype)] + [inverse] * return_inverse + [counts[:number].copy()] * return_counts
    return tuple(found) if len(found) > 1 else values[:number].astype(dtype)


# --- arguments and results -------------------------------------------------------------------------------------------


def _places(operation, row_name, rows, name, values, right):
    _, rows = as_numbers(operation, row_name, rows)
    _, values = as_numbers(operation, name, values)
    _checks.same_dtype(operation, **{row_name: rows, name: values})
    if rows.ndim == 0:
        raise ValueError(f"{operation}: {row_name} must have a dimension, got shape ()")
    if rows.ndim > 1 and rows.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"{operation}: leading dimensions differ: {row_name} is {rows.shape}, {name} is {values.shape}"
        )
    out = _checks.new(values.shape, _checks.INT64)
    if out.size:
        each = values.size if rows.ndim == 1 else values.shape[-1]
        arrays = bits_of(rows), bits_of(values), FORMS[rows.dtype], bool(right), out.reshape(-1)
        _search[arrays[0].dtype](*arrays, rows.shape[-1], each, threads_for(COST * out.size))
    return out
