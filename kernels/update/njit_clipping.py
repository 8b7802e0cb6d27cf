"""`clip_grad_norm` in jitted code."""

import math

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import FLOATS
from kernels._njit_errors import Kind, Value, _check, failed, type_name
from kernels._njit_sizes import threads_for
from kernels.simd import address
from kernels.update import clipping
from kernels.update.clipping import ARRAY
from kernels.update.njit_lists import elements_of, is_list, over
from kernels.update.parameters import SIZE

norms_of = by_address(clipping._norms, "norms")
norm_of = by_address(clipping._norm, "norm")
scale_by = by_address(clipping._scale, "scale")


class Failure(RuntimeError):
    """Makes a RuntimeError of a message with ``{}`` in it and the values."""

    def __new__(cls, message, *values):
        return RuntimeError(message.format(*values))


# --- the table -------------------------------------------------------------------------------------------------------


@_check
def _is_packed(x):
    """Whether the elements lie in memory without gaps, in the order of C or of Fortran."""
    if x.layout in "CF":
        return lambda x: True
    rank = x.ndim

    def code(x):
        forwards, backwards, rows, columns = True, True, x.itemsize, x.itemsize
        for i in range(rank):
            last = rank - 1 - i
            if x.shape[last] != 1:
                backwards &= x.strides[last] == rows
            if x.shape[i] != 1:
                forwards &= x.strides[i] == columns
            rows, columns = rows * x.shape[last], columns * x.shape[i]
        return forwards or backwards or x.size == 0

    return code


@_check
def _checked(i, arrays, state):
    """ValueError and TypeError for a gradient that cannot be changed; counts the elements that will be copied."""
    x = arrays[0]
    if isinstance(x, types.NoneType):
        return lambda i, arrays, state: None
    message = None
    if not isinstance(x, types.Array):
        message = f"clip_grad_norm: grads[{{}}] must be an array, got {type_name(x)}"
    elif x.dtype not in FLOATS:
        message = f"clip_grad_norm: grads[{{}}] must be float32 or float64, got {x.dtype}"
    if message is not None:

        def refused(i, arrays, state):
            if failed():
                raise Kind(message, i)

        return refused
    if not x.mutable:

        def read_only(i, arrays, state):
            if failed():
                raise Value("clip_grad_norm: grads[{}] is read-only", i)

        return read_only

    def code(i, arrays, state):
        if address(arrays[0]) % arrays[0].itemsize:
            raise Value("clip_grad_norm: grads[{}] is not aligned, or not in this machine's byte order", i)
        if not _is_packed(arrays[0]):
            state[0] += arrays[0].size

    return code


@_check
def _into(i, arrays, state):
    """A column of the table, for a gradient of the dtype of `spare`. The state is ``(table, spare, following, used)``:
    following[0] is the next column, used[0] the next element of `spare`, which holds copies of arrays with gaps."""
    x, (_, spare, _, _) = arrays[0], state
    if getattr(x, "dtype", None) != spare.dtype:
        return lambda i, arrays, state: None

    def code(i, arrays, state):
        table, spare, following, used = state
        x, column = arrays[0], following[0]
        following[0] += 1
        table[SIZE, column], table[ARRAY, column] = x.size, address(x)
        if not _is_packed(x):
            start = used[0]
            used[0] += x.size
            spare[start : start + x.size] = x.copy().reshape(-1)
            table[ARRAY, column] = address(spare) + start * spare.itemsize

    return code


@_check
def _back(i, arrays, state):
    """Copies the elements of an array with gaps back."""
    x, spare = arrays[0], state[0]
    if getattr(x, "dtype", None) != spare.dtype or x.layout in "CF":
        return lambda i, arrays, state: None

    def code(i, arrays, state):
        (spare, used), x = state, arrays[0]
        if not _is_packed(x):
            start = used[0]
            used[0] += x.size
            x[...] = spare[start : start + x.size].reshape(x.shape)

    return code


@_check
def _count(i, arrays, state):
    _, like = state
    if getattr(arrays[0], "dtype", None) != like.dtype:
        return lambda i, arrays, state: None

    def code(i, arrays, state):
        count, _ = state
        count[0] += 1

    return code


check_all, into_table, back_from, count_all = over(_checked), over(_into), over(_back), over(_count)


@jit
def _tables(grads, copied, like):
    """The table of the gradients of the dtype of `like`, and memory for those with gaps."""
    count = np.zeros(1, np.int64)
    count_all((grads,), (count, like))
    table, spare = np.zeros((2, count[0]), np.int64), np.empty(copied, like.dtype)
    into_table((grads,), (table, spare, np.zeros(1, np.int64), np.zeros(1, np.int64)))
    return table, spare


# --- the norm and the scaling ----------------------------------------------------------------------------------------


@jit(fastmath=False)
def _factors(max_norm, total):
    """The factor; one that would be denormal as two."""
    factor = max_norm / (total + 1e-6)
    if factor > 0 and factor < 2.0**-100:
        return 2.0**-64, max_norm * 2.0**64 / (total + 1e-6)
    return factor, 1.0


@jit
def _has_twice(table):
    for one in range(table.shape[1]):
        for other in range(one):
            if table[SIZE, one] and table[ARRAY, one] == table[ARRAY, other]:
                return True
    return False


@in_njit(clipping.clip_grad_norm)
def _clip_grad_norm(grads, max_norm, norm_type, error_if_nonfinite):
    return _clipped(grads, float(max_norm), norm_type, error_if_nonfinite)


@_check
def _clipped(grads, max_norm, norm_type, error_if_nonfinite):
    """`clip_grad_norm` of gradients of one dtype or two."""
    if not is_list(grads):
        message = f"clip_grad_norm: grads must be a list of arrays, got {type_name(grads)}"

        def refused(grads, max_norm, norm_type, error_if_nonfinite):
            if failed():
                raise TypeError(message)
            return np.float32(0)

        return refused
    kinds = dict.fromkeys(each.dtype for each in elements_of(grads) if isinstance(each, types.Array))
    dtypes = [np.dtype(str(each)) for each in kinds if each in FLOATS]
    if not dtypes:

        def of_none(grads, max_norm, norm_type, error_if_nonfinite):
            check_all((grads,), np.zeros(1, np.int64))
            return np.float32(0)

        return of_none
    first, second = dtypes[0], dtypes[-1]

    def of_one(grads, max_norm, norm_type, error_if_nonfinite):
        copied = np.zeros(1, np.int64)
        check_all((grads,), copied)
        table, spare = _tables(grads, copied[0], np.empty(0, first))
        total = norm_of(_norms(table, spare, float(norm_type)), float(norm_type))
        norm = _checked_norm(spare, total, norm_type, error_if_nonfinite)
        _scale(grads, table, spare, _factors(max_norm, total))
        return norm

    def of_two(grads, max_norm, norm_type, error_if_nonfinite):
        copied, p = np.zeros(1, np.int64), float(norm_type)
        check_all((grads,), copied)
        table, spare = _tables(grads, copied[0], np.empty(0, first))
        other_table, other_spare = _tables(grads, copied[0], np.empty(0, second))
        each = np.concatenate((_norms(table, spare, p), _norms(other_table, other_spare, p)))
        total = norm_of(each, p)
        norm = _checked_norm(spare, total, norm_type, error_if_nonfinite)
        _scale(grads, table, spare, _factors(max_norm, total))
        _scale(grads, other_table, other_spare, _factors(max_norm, total))
        return norm

    return of_two if len(dtypes) > 1 else of_one


@jit
def _norms(table, spare, p):
    """The norm of each array of the table."""
    if _has_twice(table):
        raise ValueError("clip_grad_norm: grads has the same array twice")
    each = np.empty(table.shape[1])
    norms_of(table, spare[:0], p, each, threads_for(table[SIZE].sum(), 0))
    return each


@jit
def _checked_norm(like, total, norm_type, error_if_nonfinite):
    """The norm in the dtype of the first gradient."""
    norm = like.dtype.type(total)
    if error_if_nonfinite and not math.isfinite(norm):
        raise Failure("clip_grad_norm: the norm of order {} of the gradients is {}", norm_type, norm)
    return norm


@jit
def _scale(grads, table, spare, factors):
    """Scales the arrays of the table, unless the factor is 1 or more."""
    factor, more = factors
    if factor >= 1:
        return
    threads = threads_for(table[SIZE].sum(), 0)
    scale_by(table, spare[:0], factor, threads)
    if more != 1.0:
        scale_by(table, spare[:0], more, threads)
    back_from((grads,), (spare, np.zeros(1, np.int64)))
