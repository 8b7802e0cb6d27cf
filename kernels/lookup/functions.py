"""The public functions: they validate arguments and choose the loops."""

import math

import numpy as np
from numba import float64, int64
from numba.types import Array

from kernels import _checks
from kernels._indices import within
from kernels._jit import Compiled
from kernels._threads import threads_for
from kernels.lookup.loops import (
    NONE,
    add_at,
    add_bags,
    add_to_winners,
    gather,
    max_bags,
    multiply_rows,
    pack_bags,
    shrink_rows,
    sum_bags,
)
from kernels.reduction.layout import expect_shape

MODES = ("sum", "mean", "max")
# Memory this large is new from the operating system each time, and its pages are zero: those without a row that occurs
# are never touched. Smaller memory has been used before; the threads that write the rows set the others to zero.
ZERO_PAGES_FROM = 2**25  # bytes

_gather = Compiled(gather, lambda kind: (int64[::1], kind[:, ::1], kind[:, ::1], int64))
_shrink = Compiled(shrink_rows, lambda kind: (Array(kind, 2, "A"), int64[::1], float64, float64))


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, *, out=None):
    """The rows of `weight` whose indices are in `input`.

    Parameters
    ----------
    input : array of int64 or int32
        Any shape.
    weight : array, float32 or float64
        Shape ``(V, E)``. A table that is not C-contiguous is copied as a whole.
    padding_idx : int, optional
        A row that gets no gradient, from -V to V - 1; the forward treats it as any other.
    max_norm : float, optional
        Rows that occur in `input` and whose norm is larger are scaled down to it first, in `weight` itself.
    norm_type : float, default 2
        The p of that p-norm; ``math.inf`` for the largest magnitude.
    scale_grad_by_freq : bool, default False
        Used by the backward only.
    out : array, optional
        C-contiguous, shape ``(*input.shape, E)``: receives the result.

    Returns
    -------
    array
        Shape ``(*input.shape, E)``.

    Raises
    ------
    TypeError
        Ids that are not int64 or int32, a table that is not float32 or float64.
    ValueError
        A table that has not two dimensions, or that is read-only where `max_norm` is given; a `padding_idx` outside the
        table, an unsuitable `out`.
    IndexError
        An id outside the table.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import embedding
    >>> embedding(np.array([2, 0]), np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    array([[4., 5.],
           [0., 1.]])
    """
    ids, weight = _lookup("embedding", input, weight, padding_idx, max_norm, norm_type)
    out = _checks.output("embedding", out, (*ids.shape, weight.shape[1]), weight.dtype)
    if out.size:
        _checks.no_overlap("embedding", out, weight=weight)
        _gather[weight.dtype](ids.reshape(-1), weight, out.reshape(ids.size, -1), threads_for(out.size))
    return out


def embedding_backward(dy, input, num_embeddings, padding_idx=None, scale_grad_by_freq=False):
    """Gradient of `embedding` with respect to its table.

    The ids are sorted, so that one thread adds up each row, in the order of the ids.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result, shape ``(*input.shape, E)``.
    input : array of int64 or int32
        The forward's ids.
    num_embeddings : int
        Number V of rows of the table.
    padding_idx : int, optional
        This row's gradient is zero.
    scale_grad_by_freq : bool, default False
        Whether each row's gradient is divided by the number of times that it occurs in `input`.

    Returns
    -------
    dweight : array
        Shape ``(V, E)``; zeros in rows that do not occur in `input`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `embedding`; a `dy` of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import embedding_backward
    >>> embedding_backward(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([2, 0, 2]), 3)
    array([[3., 4.],
           [0., 0.],
           [6., 8.]])
    """
    operation = "embedding_backward"
    dy, ids = _checks.floats(operation, "dy", dy), _checks.indices(operation, "input", input)
    if dy.shape[:-1] != ids.shape or not dy.ndim:
        raise ValueError(f"{operation}: dy must have shape (*{ids.shape}, E), got {dy.shape}")
    if num_embeddings < 0:
        raise ValueError(f"{operation}: num_embeddings must not be negative, got {num_embeddings}")
    padding = _row(operation, padding_idx, num_embeddings)
    within(operation, "input", ids, num_embeddings)
    shape = num_embeddings, dy.shape[-1]
    if not dy.size:
        return np.zeros(shape, dy.dtype)
    zeroed, dweight = _gradient(shape, dy.dtype)
    rows = dy.reshape(ids.size, -1)
    threads = threads_for(dy.size if zeroed else dweight.size)
    add_at(rows, ids.reshape(-1), padding, bool(scale_grad_by_freq), zeroed, dweight, threads)
    return dweight


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    mode="mean",
    *,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
    indices=None,
):
    """Sum, mean or maximum, column by column, of the rows of `weight` whose indices are in a bag of `input`.

    Parameters
    ----------
    input : array of int64 or int32
        Shape ``(B, n)``: B bags of n ids; or ``(n,)``: the ids of all bags, one bag after the other.
    weight : array, float32 or float64
        Shape ``(V, E)``. A table that is not C-contiguous is copied as a whole.
    offsets : array of int64 or int32, optional
        Shape ``(B,)``, for a 1-D `input`: where each bag begins, from 0 on, never decreasing.
    max_norm, norm_type, scale_grad_by_freq
        As for `embedding`.
    mode : {"mean", "sum", "max"}
    per_sample_weights : array, optional
        Shape of `input`, dtype of `weight`, mode "sum": factor of each row.
    include_last_offset : bool, default False
        Whether `offsets` has one more element, the end of the last bag, which is the length of `input`.
    padding_idx : int, optional
        Ids of this row do not count: not in a sum, not in the size of a bag, not among the largest.
    indices : array of int64, optional
        C-contiguous, shape ``(B, E)``, mode "max": receives the place in the flattened `input` of each largest
        element, -1 in a bag without rows (for the backward).

    Returns
    -------
    array
        Shape ``(B, E)``; zeros for a bag without rows. The largest of elements with a NaN is NaN.

    Raises
    ------
    TypeError
        Ids or offsets that are not int64 or int32, floats that are not float32 or float64, or differ.
    ValueError
        Shapes that do not fit, offsets that are missing, decrease, or leave `input`; an unknown mode, an option it
        does not take; what is a ValueError of `embedding`.
    IndexError
        An id outside the table.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import embedding_bag
    >>> table = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> embedding_bag(np.array([0, 2, 1]), table, np.array([0, 2]))
    array([[2., 3.],
           [2., 3.]])
    """
    operation = "embedding_bag"
    bags = _Bags(operation, input, offsets, mode, include_last_offset, scale_grad_by_freq, per_sample_weights)
    ids, weight = _lookup(operation, input, weight, padding_idx, max_norm, norm_type)
    rows, places, _, factors, begin = bags.pack(ids, weight, padding_idx)
    B, E = bags.number, weight.shape[1]
    out = _checks.new((B, E), weight.dtype)
    threads = threads_for((rows.size + B) * E)
    if mode == "max":
        winners = _checks.output(operation, indices, (B, E), _checks.INT64, "indices")
        if out.size:
            max_bags(weight, rows, places, begin, out, winners, threads)
    elif indices is not None:
        raise ValueError(f"{operation}: indices are of mode 'max' only, mode is {mode!r}")
    elif out.size:
        sum_bags(weight, rows, factors, begin, out, threads)
    return out


def embedding_bag_backward(
    dy,
    input,
    weight,
    offsets=None,
    scale_grad_by_freq=False,
    mode="mean",
    *,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
    indices=None,
    needs=(True, True),
):
    """Gradients of `embedding_bag`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result, shape ``(B, E)``.
    input, weight, offsets, mode, per_sample_weights, include_last_offset, padding_idx
        The forward's.
    scale_grad_by_freq : bool, default False
        Whether the gradient of each row of `weight` is divided by the number of times that it occurs in `input`.
    indices : array of int64
        Mode "max": those of the forward.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dweight : array or None
        Shape ``(V, E)``.
    dper_sample_weights : array or None
        Shape of `input`; zero for ids of `padding_idx`. None without `per_sample_weights`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `embedding_bag`; a `dy` of another shape, missing `indices`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import embedding_bag_backward
    >>> embedding_bag_backward(np.array([[2.0, 4.0]]), np.array([[0, 2]]), np.zeros((3, 2)))
    (array([[1., 2.],
           [0., 0.],
           [1., 2.]]), None)
    """
    operation = "embedding_bag_backward"
    bags = _Bags(operation, input, offsets, mode, include_last_offset, scale_grad_by_freq, per_sample_weights)
    ids, weight = _lookup(operation, input, weight, padding_idx, None, 2.0)
    dy = _checks.floats(operation, "dy", dy)
    expect_shape(operation, "dy", dy, (bags.number, weight.shape[1]))
    _checks.same_dtype(operation, dy=dy, weight=weight)
    rows, places, owners, factors, _ = bags.pack(ids, weight, padding_idx)
    threads = threads_for(rows.size * weight.shape[1])
    dweight = dfactors = None
    if mode == "max" and indices is None:
        raise ValueError(f"{operation}: mode 'max' needs the indices of the forward")
    if needs[0]:
        if not rows.size * weight.shape[1]:
            dweight = np.zeros(weight.shape, dy.dtype)
        elif mode == "max":
            winners = _checks.indices(operation, "indices", indices)
            expect_shape(operation, "indices", winners, dy.shape)
            dweight = np.zeros(weight.shape, dy.dtype)
            add_to_winners(dy, winners, rows, places, owners, dweight, threads)
        else:
            zeroed, dweight = _gradient(weight.shape, dy.dtype)
            add_bags(dy, rows, owners, factors, bool(scale_grad_by_freq), zeroed, dweight, threads)
    if needs[1] and per_sample_weights is not None:
        dfactors = np.zeros(ids.size, dy.dtype)
        if dy.size:
            multiply_rows(dy, weight, rows, places, owners, dfactors, threads)
        dfactors = dfactors.reshape(ids.shape)
    return dweight, dfactors


# --- arguments -------------------------------------------------------------------------------------------------------


def _lookup(operation, input, weight, padding_idx, max_norm, norm_type):
    """Validate and return ids and table; the rows that occur are shrunk to `max_norm`."""
    ids = _checks.indices(operation, "input", input)
    table = _checks.floats(operation, "weight", weight)
    if table.ndim != 2:
        raise ValueError(f"{operation}: weight must have 2 dimensions, got shape {table.shape}")
    if padding_idx is not None:
        _row(operation, padding_idx, len(table))
    within(operation, "input", ids, len(table))
    if max_norm is not None:
        if not max_norm >= 0:  # a NaN, too
            raise ValueError(f"{operation}: max_norm must not be negative, got {max_norm}")
        given = _checks.as_array(operation, "weight", weight)
        if not (given.flags.writeable and given.flags.aligned and given.dtype.isnative):
            raise ValueError(f"{operation}: max_norm changes weight, which is read-only or not aligned in memory")
        _shrink[table.dtype](given, ids.reshape(-1), float(max_norm), float(norm_type))
        table = _checks.floats(operation, "weight", given)
    return ids, table


def _row(operation, padding_idx, number):
    """Validate `padding_idx` and return it counted from the front, NONE for None."""
    if padding_idx is None:
        return NONE
    if not -number <= padding_idx < number:
        raise ValueError(f"{operation}: padding_idx {padding_idx} is outside a table of {number} rows")
    return np.int64(padding_idx % number)


def _gradient(shape, dtype):
    """Whether the array for the gradient of a table holds zeros already, and the array."""
    zeroed = math.prod(shape) * dtype.itemsize >= ZERO_PAGES_FROM
    return zeroed, np.zeros(shape, dtype) if zeroed else _checks.new(shape, dtype)


class _Bags:
    """How `input` is cut into bags: bag b has the ids from ``starts[b]`` to ``starts[b + 1] - 1``."""

    def __init__(self, operation, input, offsets, mode, include_last_offset, scale_grad_by_freq, per_sample_weights):
        _checks.choice(operation, "mode", mode, MODES)
        if mode == "max" and scale_grad_by_freq:
            raise ValueError(f"{operation}: mode 'max' does not take scale_grad_by_freq")
        if mode != "sum" and per_sample_weights is not None:
            raise ValueError(f"{operation}: per_sample_weights are of mode 'sum' only, mode is {mode!r}")
        self.operation, self.mode, self.weights = operation, mode, per_sample_weights
        ids = _checks.indices(operation, "input", input)
        if ids.ndim == 2:
            if offsets is not None:
                raise ValueError(f"{operation}: input of 2 dimensions is cut by its rows, without offsets")
            self.starts = np.arange(ids.shape[0] + 1) * ids.shape[1]
        elif ids.ndim == 1:
            self.starts = self._cut(ids, offsets, include_last_offset)
        else:
            raise ValueError(f"{operation}: input must have 1 or 2 dimensions, got shape {ids.shape}")
        self.number = len(self.starts) - 1

    def _cut(self, ids, offsets, include_last_offset):
        if offsets is None:
            raise ValueError(f"{self.operation}: input of 1 dimension needs offsets")
        offsets = _checks.indices(self.operation, "offsets", offsets)
        if offsets.ndim != 1:
            raise ValueError(f"{self.operation}: offsets must have 1 dimension, got shape {offsets.shape}")
        if include_last_offset and not (offsets.size and offsets[-1] == ids.size):
            last = offsets[-1] if offsets.size else "nothing"
            raise ValueError(f"{self.operation}: the last offset must be {ids.size}, input's length, got {last}")
        starts = offsets if include_last_offset else np.append(offsets, ids.size)
        if len(starts) > 1 and starts[0] != 0:
            raise ValueError(f"{self.operation}: the first offset must be 0, got {starts[0]}")
        wrong = np.flatnonzero(starts[1:] < starts[:-1])
        if wrong.size:
            b = int(wrong[0])
            raise ValueError(f"{self.operation}: offsets must not decrease, bag {b} is {starts[b]} to {starts[b + 1]}")
        return starts

    def pack(self, ids, weight, padding_idx):
        """What `pack_bags` returns."""
        if self.weights is None:
            weights = np.empty(0, weight.dtype)
        else:
            weights = _checks.floats(self.operation, "per_sample_weights", self.weights)
            _checks.same_dtype(self.operation, weight=weight, per_sample_weights=weights)
            expect_shape(self.operation, "per_sample_weights", weights, ids.shape)
        padding = _row(self.operation, padding_idx, len(weight))
        return pack_bags(ids.reshape(-1), self.starts, weights.reshape(-1), padding, self.mode == "mean", weight)
