r"""Gradient clipping: the norm of all gradients as one vector, and all of them scaled down to it.

.. math:: \|g\|_p = \Big(\sum_i |g_i|^p\Big)^{1/p}, \qquad g \leftarrow g \min\Big(1, \frac{c}{\|g\|_p + 10^{-6}}\Big)

2 FLOPs an element and one read for the norm; where it is too large, one more read and write: memory is the limit. The
terms are summed in float64, in which the square of no float32 overflows: those of each task, then the sums of an
array's tasks in order, so that the bits are the same for any number of threads. Where a sum nevertheless overflows or
underflows (a large p, or large or small float64), the array is read again, scaled by its extreme. The total norm is the
norm of the arrays' norms, as in PyTorch (for p = 0 that is the number of arrays that are not all zeros).

Reference: Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", Algorithm 1.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.simd import absolute, lane_count, load_partial, max_lanes, maximum, splat
from kernels.update.parameters import LIKE, SIZE, TASK, dereference, elements, task_at, tasks_of

ARRAY = SIZE + 1  # the row of the table with the addresses of the gradients
SMALLEST_SUM = 2.0**-900  # compared with it even 2**60 terms that underflow, each below 2**-1022, are negligible

# --- the norm --------------------------------------------------------------------------------------------------------


@jit
def _start(p):
    return math.inf if p == -math.inf else 0.0


@jit(fastmath=False)
def _joined(a, b, p):
    """Combine two sums of terms, or two extremes; a NaN stays."""
    if not math.isinf(p):
        return a + b
    return b if b != b or (b > a if p > 0 else b < a) else a


@jit(fastmath=False)
def _root(total, p):
    return total if p == 0 or math.isinf(p) else total ** (1.0 / p)


@jit(fastmath=False)
def terms_naive(x, p):
    """The definition: the sum of |x|^p, or, for an infinite p, the largest or smallest of |x|."""
    total = _start(p)
    for i in range(x.size):
        term = abs(np.float64(x[i]))
        if p == 0:
            term = 1.0 if term != 0 else 0.0
        elif not math.isinf(p):
            term = term**p
        total = _joined(total, term, p)
    return total


@jit
def _sum_of_squares(x):
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@jit
def _sum_of_magnitudes(x):
    total = 0.0
    for i in range(x.size):
        total += abs(np.float64(x[i]))
    return total


@jit
def _largest_magnitude(x):
    largest = splat(x, 0.0)
    for i in range(0, x.size, lane_count(x)):
        largest = maximum(absolute(load_partial(x, i, x.size - i, 0.0)), largest)
    return np.float64(max_lanes(largest))


@jit(naive=terms_naive)
def terms_loops(x, p):
    """Adds vectors for the usual norms, p = 2, 1 and infinity."""
    if p == 2:
        return _sum_of_squares(x)
    if p == 1:
        return _sum_of_magnitudes(x)
    if p == math.inf:
        return _largest_magnitude(x)
    return terms_naive(x, p)


@jit(fastmath=False)
def _is_accurate(total, p):
    """Whether a sum of terms is accurate: it is finite, and any term that underflowed is negligible."""
    return p == 0 or math.isinf(p) or SMALLEST_SUM < total < math.inf


@jit(fastmath=False)
def _scaled_norm(x, p):
    """The norm, scaled by the extreme: each term is at most 1, the largest is 1."""
    extreme = terms_loops(x, math.copysign(math.inf, p))
    if not 0 < extreme < math.inf:
        return extreme
    total = 0.0
    for i in range(x.size):
        total += (abs(np.float64(x[i])) / extreme) ** p
    return extreme * total ** (1.0 / p)


@jit
def _norm(x, p):
    total = terms_loops(x, p)
    return _root(total, p) if _is_accurate(total, p) else _scaled_norm(x, p)


@jit
def _terms_of_tasks(first, last, table, tasks, like, p, terms):
    for number in range(first, last):
        terms[number] = terms_loops(elements(table, ARRAY, task_at(tasks, number), like), p)


@jit
def _norms_of_tasks(first, last, table, tasks, like, p, totals, norms):
    """The norms of the tasks of those arrays whose sum of terms is not accurate."""
    for number in range(first, last):
        task = task_at(tasks, number)
        if not _is_accurate(totals[task.column], p):
            norms[number] = _scaled_norm(elements(table, ARRAY, task, like), p)


@jit
def _norms(table, like, p, norms, threads):
    """The norm of each array of the table."""
    tasks = tasks_of(table[SIZE])
    terms = np.empty(tasks.shape[0])
    parallel_for(_terms_of_tasks, terms.size, 1, threads, (table, tasks, like, p, terms))
    norms[:] = _start(p)
    for number in range(terms.size):
        array = task_at(tasks, number).column
        norms[array] = _joined(norms[array], terms[number], p)
    accurate = True
    for array in range(norms.size):
        accurate &= _is_accurate(norms[array], p)
    if not accurate:
        parallel_for(_norms_of_tasks, terms.size, 1, threads, (table, tasks, like, p, norms, terms))
    start = 0
    for array in range(norms.size):
        stop = start + (table[SIZE, array] + TASK - 1) // TASK
        norms[array] = _root(norms[array], p) if _is_accurate(norms[array], p) else _norm(terms[start:stop], p)
        start = stop


# --- the scaling -----------------------------------------------------------------------------------------------------


@jit
def _scale_tasks(first, last, table, tasks, like, factor):
    for number in range(first, last):
        x = elements(table, ARRAY, task_at(tasks, number), like)
        for i in range(x.size):
            x[i] *= factor


@jit
def _scale(table, like, factor, threads):
    tasks = tasks_of(table[SIZE])
    parallel_for(_scale_tasks, tasks.shape[0], 1, threads, (table, tasks, like, like.dtype.type(factor)))


VARIANTS = {"clip_grad_norm": {"naive": terms_naive, "fast": terms_loops}}


# --- the public function ---------------------------------------------------------------------------------------------


def clip_grad_norm(grads, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale gradients in place so that their norm, taken over all of them as one vector, is at most `max_norm`.

    Parameters
    ----------
    grads : list of array or None
        Float32 or float64, writable, changed in place; None is skipped.
    max_norm : float
        Upper limit of the norm.
    norm_type : float, default 2
        The p of the p-norm; ``math.inf`` for the largest magnitude.
    error_if_nonfinite : bool, default False
        Raise where the norm is NaN or infinite, and leave the gradients unchanged.

    Returns
    -------
    float32 or float64
        The norm before clipping, in the dtype of the first gradient; 0 where there is none.

    Raises
    ------
    TypeError
        A gradient that is not float32 or float64.
    ValueError
        A gradient that is read-only, or in the list twice. Nothing is changed then.
    RuntimeError
        The norm is not finite and `error_if_nonfinite` is set.

    Reference
    ---------
    Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import clip_grad_norm
    >>> g = np.array([3.0, 4.0])
    >>> float(clip_grad_norm([g], 1.0))
    5.0
    >>> g.round(3)
    array([0.6, 0.8])
    """
    given = [_writable(i, g) for i, g in enumerate(grads) if g is not None]
    if not given:
        return np.float32(0)
    if len({id(g) for g in given}) < len(given):
        raise ValueError("clip_grad_norm: grads has the same array twice")
    # an array without gaps is processed in its order in memory; any other is copied, and the result copied back
    flat = [g.ravel(order="K") if g.flags.forc else g.ravel() for g in given]
    p, tables, norms = float(norm_type), {}, []
    for dtype in dict.fromkeys(g.dtype for g in flat):
        arrays = [g for g in flat if g.dtype == dtype]
        table = np.array([*(g.size for g in arrays), *map(id, arrays)], np.int64).reshape(2, -1)
        dereference(table)
        each = np.empty(len(arrays))
        _norms(table, LIKE[dtype], p, each, threads_for(table[SIZE].sum()))
        tables[dtype] = table
        norms.append(each)
    total = _norm(np.concatenate(norms), p)
    with np.errstate(over="ignore"):
        norm = next(iter(given)).dtype.type(total)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm: the norm of order {norm_type} of the gradients is {norm}")
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:  # a NaN propagates, as in PyTorch
        # a factor that would be denormal is applied in two steps
        factors = (2.0**-64, max_norm * 2.0**64 / (total + 1e-6)) if 0 < factor < 2.0**-100 else (factor,)
        for dtype, table in tables.items():
            for step in factors:
                _scale(table, LIKE[dtype], step, threads_for(table[SIZE].sum()))
        for g, scaled in zip(given, flat, strict=True):
            if not g.flags.forc:
                g[...] = scaled.reshape(g.shape)
    return norm


def _writable(i, g):
    """Validate gradient number i and return it as an array that can be changed in place."""
    if isinstance(g, np.generic):  # its array would be a copy, and the change lost
        raise TypeError(f"clip_grad_norm: grads[{i}] must be an array, got {type(g).__name__}")
    g = _checks.as_array("clip_grad_norm", f"grads[{i}]", g)
    if g.dtype not in LIKE:
        raise TypeError(f"clip_grad_norm: grads[{i}] must be float32 or float64, got {g.dtype}")
    if not g.flags.writeable:
        raise ValueError(f"clip_grad_norm: grads[{i}] is read-only")
    if not (g.flags.aligned and g.dtype.isnative):
        raise ValueError(f"clip_grad_norm: grads[{i}] is not aligned, or not in this machine's byte order")
    return g
