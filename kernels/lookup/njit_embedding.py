"""`embedding` in jitted code."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, no_overlap, output, within
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_operands import any_layout, matrix
from kernels._njit_sizes import threads_for
from kernels.lookup import functions, loops
from kernels.lookup.functions import ZERO_PAGES_FROM
from kernels.lookup.loops import NONE

# `functions` compiles these two for the dtype of the table
copy_rows = by_address(loops.gather, "rows")
shrink = by_address(functions._shrink, "shrink")
add_at = by_address(loops.add_at)


# --- arguments -------------------------------------------------------------------------------------------------------


@_check
def row(operation, padding_idx, number):
    """`padding_idx` counted from the front, NONE for None."""
    if isinstance(padding_idx, types.NoneType):
        return lambda operation, padding_idx, number: NONE
    message = f"{text_of('operation', operation)}: padding_idx {{}} is outside a table of {{}} rows"

    def code(operation, padding_idx, number):
        if padding_idx < -number or padding_idx >= number:
            raise Value(message, padding_idx, number)
        return np.int64(padding_idx + number if padding_idx < 0 else padding_idx)

    return code


@_check
def lookup(operation, input, weight, padding_idx):
    """The ids and the table, validated."""

    def code(operation, input, weight, padding_idx):
        ids = indices(operation, "input", input)
        table = matrix(operation, "weight", floats(operation, "weight", weight))
        row(operation, padding_idx, table.shape[0])
        within(operation, "input", ids, table.shape[0])
        return ids, table

    return code


@_check
def shrunk(operation, ids, weight, table, max_norm, norm_type):
    """The table, after rows that occur have been shrunk in `weight` itself."""
    if isinstance(max_norm, types.NoneType):
        return lambda operation, ids, weight, table, max_norm, norm_type: table
    name = text_of("operation", operation)
    negative = f"{name}: max_norm must not be negative, got {{}}"
    read_only = f"{name}: max_norm changes weight, which is read-only or not aligned in memory"
    mutable, is_table = getattr(weight, "mutable", False), getattr(weight, "ndim", 0) == 2

    def refused(operation, ids, weight, table, max_norm, norm_type):
        if not max_norm >= 0:
            raise Value(negative, max_norm)
        if failed():
            raise ValueError(read_only)
        return table

    if not (mutable and is_table and isinstance(weight.dtype, types.Float)):
        return refused

    def code(operation, ids, weight, table, max_norm, norm_type):
        if not max_norm >= 0:
            raise Value(negative, max_norm)
        shrink(any_layout(weight), ids.reshape(-1), float(max_norm), float(norm_type))
        return floats(operation, "weight", weight)

    return code


@jit
def is_zeroed(shape, itemsize):
    """Whether the array for the gradient of a table is to hold zeros from the beginning."""
    return shape[0] * shape[1] * itemsize >= ZERO_PAGES_FROM


# --- embedding -------------------------------------------------------------------------------------------------------


@in_njit(functions.embedding)
def _embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, out):
    ids, table = lookup("embedding", input, weight, padding_idx)
    table = shrunk("embedding", ids, weight, table, max_norm, norm_type)
    result = output("embedding", "out", out, ids.shape + (table.shape[1],), table)
    if result.size:
        no_overlap("embedding", result, "weight", table)
        rows = result.reshape((ids.size, table.shape[1]))
        copy_rows(ids.reshape(-1), table, rows, threads_for(result.size, 0))
    return result


@in_njit(functions.embedding_backward)
def _embedding_backward(dy, input, num_embeddings, padding_idx, scale_grad_by_freq):
    name = "embedding_backward"
    given, ids = floats(name, "dy", dy), indices(name, "input", input)
    rows = _rows_of(given, ids)
    if num_embeddings < 0:
        raise Value("embedding_backward: num_embeddings must not be negative, got {}", num_embeddings)
    padding = row(name, padding_idx, num_embeddings)
    within(name, "input", ids, num_embeddings)
    shape = (num_embeddings, rows.shape[1])
    if rows.size == 0:
        return np.zeros(shape, given.dtype)
    zeroed = is_zeroed(shape, given.itemsize)
    dweight = np.zeros(shape, given.dtype) if zeroed else np.empty(shape, given.dtype)
    threads = threads_for(rows.size if zeroed else dweight.size, 0)
    add_at(rows, ids.reshape(-1), padding, bool(scale_grad_by_freq), zeroed, dweight, threads)
    return dweight


@_check
def _rows_of(dy, ids):
    """A gradient of the shape of the ids and one axis more, as rows."""
    message = "embedding_backward: dy must have shape (*{}, E), got {}"
    rank = ids.ndim
    if dy.ndim != rank + 1:

        def refused(dy, ids):
            if failed():
                raise Value(message, ids.shape, dy.shape)
            return np.empty((0, 0), dy.dtype)

        return refused

    def code(dy, ids):
        for axis in range(rank):
            if dy.shape[axis] != ids.shape[axis]:
                raise Value(message, ids.shape, dy.shape)
        return dy.reshape((ids.size, dy.shape[rank]))

    def of_one(dy, ids):
        return dy.reshape((1, dy.size))

    return code if rank else of_one
