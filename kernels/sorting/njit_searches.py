"""The functions that search, in jitted code."""

import numpy as np
from numba import types

from kernels._njit import by_address, in_njit
from kernels._njit_checks import like, same_dtype
from kernels._njit_errors import Value, _check, text_of
from kernels._njit_sizes import threads_for
from kernels.reduction._njit_layout import is_true
from kernels.scan._njit_numbers import as_given, numbers
from kernels.sorting import searches
from kernels.sorting._njit_keys import bits_of, form_of
from kernels.sorting.functions import COST
from kernels.sorting.search import distinct_loops

search_loops, distinct = by_address(searches._search), by_address(distinct_loops)


@_check
def _fits(operation, row_name, rows, name, values):
    """ValueError unless there are rows, one for each of the leading dimensions."""
    operation, row_name, name = text_of("operation", operation), text_of("row_name", row_name), text_of("name", name)
    if rows.ndim == 0:
        no_row = f"{operation}: {row_name} must have a dimension, got shape ()"

        def refused(operation, row_name, rows, name, values):
            raise ValueError(no_row)

        return refused
    if rows.ndim == 1:
        return lambda operation, row_name, rows, name, values: None
    message = f"{operation}: leading dimensions differ: {row_name} is {{}}, {name} is {{}}"
    if rows.ndim != values.ndim:

        def differ(operation, row_name, rows, name, values):
            raise Value(message, rows.shape, values.shape)

        return differ

    def code(operation, row_name, rows, name, values):
        if rows.shape[:-1] != values.shape[:-1]:
            raise Value(message, rows.shape, values.shape)

    return code


@_check
def _lengths(rows, values):
    """Elements of a row, and values that are searched in it."""
    if rows.ndim == 0:
        return lambda rows, values: (np.int64(0), np.int64(1))
    if rows.ndim == 1 or values.ndim == 0:
        return lambda rows, values: (rows.shape[-1], values.size)
    return lambda rows, values: (rows.shape[-1], values.shape[-1])


@_check
def _places(operation, row_name, rows, name, values, right):
    """`searches._places`"""

    def code(operation, row_name, rows, name, values, right):
        rows, given = numbers(operation, row_name, rows), numbers(operation, name, values)
        same_dtype(operation, row_name, rows, name, given)
        values = like(given, rows)
        _fits(operation, row_name, rows, name, values)
        out = np.empty(values.shape, np.int64)
        if out.size:
            n, each = _lengths(rows, values)
            arrays, threads = (bits_of(rows), bits_of(values)), threads_for(COST * out.size, 0)
            search_loops(*arrays, form_of(rows), bool(right), out.reshape(-1), n, each, threads)
        return out

    return code


@in_njit(searches.searchsorted)
def _searchsorted(sorted_sequence, values, right):
    return _places("searchsorted", "sorted_sequence", sorted_sequence, "values", values, right)


@_check
def _one_dimension(boundaries):
    if not isinstance(boundaries, types.Array) or boundaries.ndim == 1:
        return lambda boundaries: None

    def refused(boundaries):
        raise Value("bucketize: boundaries must have 1 dimension, got shape {}", boundaries.shape)

    return refused


@in_njit(searches.bucketize)
def _bucketize(x, boundaries, right):
    _one_dimension(boundaries)
    return _places("bucketize", "boundaries", boundaries, "x", x, right)


# --- distinct values -------------------------------------------------------------------------------------------------


@_check
def _inverse_for(x, return_inverse):
    """Where the places of the elements go, if they are asked for."""
    if is_true(return_inverse):
        return lambda x, return_inverse: np.empty(x.shape, np.int64)
    return lambda x, return_inverse: np.empty(0, np.int64)


@_check
def _asked_for(values, inverse, counts, return_inverse, return_counts):
    if is_true(return_inverse) and is_true(return_counts):
        return lambda values, inverse, counts, return_inverse, return_counts: (values, inverse, counts)
    if is_true(return_inverse):
        return lambda values, inverse, counts, return_inverse, return_counts: (values, inverse)
    if is_true(return_counts):
        return lambda values, inverse, counts, return_inverse, return_counts: (values, counts)
    return lambda values, inverse, counts, return_inverse, return_counts: values


@in_njit(searches.unique, literal=("return_inverse", "return_counts"))
def _unique(x, sorted, return_inverse, return_counts):
    number = numbers("unique", "x", x)
    values, counts = np.empty(number.size, number.dtype), np.empty(number.size, np.int64)
    inverse = _inverse_for(number, return_inverse)
    found = distinct(bits_of(number), form_of(number), bits_of(values), inverse.reshape(-1), counts)
    chosen = as_given(values[:found].copy(), x)
    return _asked_for(chosen, inverse, counts[:found].copy(), return_inverse, return_counts)
