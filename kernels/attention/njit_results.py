"""What attention fills in and returns in jitted code: lse, the result and the gradients."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address
from kernels._njit_checks import output
from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._njit_sizes import product
from kernels.attention import arguments
from kernels.attention.njit_arguments import as_rows, four_axes
from kernels.attention.njit_views import any_layout, has_rows, merged, result_like

add_broadcast = by_address(arguments.add_broadcast)


# --- results ---------------------------------------------------------------------------------------------------------


@_check
def lse_of(operation, lse, rows, q):
    """`lse` as given, C-contiguous, of the shape `rows` or with a leading 2."""
    if isinstance(lse, types.Array) and lse.ndim == len(rows) + 1 and lse.dtype == q.dtype:
        message = f"{text_of('operation', operation)}: lse must have shape {{}}, got {{}}"

        def code(operation, lse, rows, q):
            terms = (2,) + rows
            if lse.shape != terms:
                raise Value(message, rows, lse.shape)
            return output(operation, "lse", lse, terms, q)

        return code
    return lambda operation, lse, rows, q: output(operation, "lse", lse, rows, q)


@_check
def terms_of(lse, rows, q):
    """What receives the two terms, (2, N, Hq, L): `lse` itself where it has room for both."""
    if lse.ndim == len(rows) + 1:
        return lambda lse, rows, q: lse.reshape((2, q.shape[0], q.shape[1], q.shape[2]))
    return lambda lse, rows, q: np.empty((2, q.shape[0], q.shape[1], q.shape[2]), q.dtype)


@_check
def add_terms(terms, lse, rows):
    """Their sum into `lse`, unless it is the memory of both."""
    if lse.ndim == len(rows) + 1:
        return lambda terms, lse, rows: None

    def code(terms, lse, rows):
        each, both = lse.reshape(-1), terms.reshape(-1)
        for i in range(each.size):
            each[i] = both[i] + both[each.size + i]

    return code


@_check
def saved_terms(operation, lse, rows, q):
    """The two terms that the forward saved; of a sum, that and zeros."""
    message = f"{text_of('operation', operation)}: lse must have shape {{}}, with or without a 2 first, got {{}}"
    axes = lse.ndim - len(rows)

    def code(operation, lse, rows, q):
        if lse.size != (1 + axes) * product(rows, 0, len(rows)) or not _is_terms(lse.shape, rows):
            raise Value(message, rows, lse.shape)
        terms = np.zeros((2, q.shape[0], q.shape[1], q.shape[2]), q.dtype)
        terms.reshape(-1)[: lse.size] = lse.reshape(-1)
        return terms

    if axes in (0, 1):
        return code

    def refused(operation, lse, rows, q):
        if failed():
            raise Value(message, rows, lse.shape)
        return np.zeros((2, q.shape[0], q.shape[1], q.shape[2]), q.dtype)

    return refused


@jit
def _is_terms(shape, rows):
    """Whether a shape is that of the rows, perhaps after a 2."""
    more = len(shape) - len(rows)
    same = more == 0 or shape[0] == 2
    for axis in range(len(rows)):
        same = same and shape[axis + more] == rows[axis]
    return same


@_check
def like_result(operation, name, x, shape):
    """A readable array that has to have the `shape` of the result, with four axes."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have shape {{}}, got {{}}"
    if x.ndim != len(shape):

        def other_rank(operation, name, x, shape):
            if failed():
                raise Value(message, shape, x.shape)
            return four_axes(any_layout(np.empty(shape, x.dtype)))

        return other_rank

    def code(operation, name, x, shape):
        if x.shape != shape:
            raise Value(message, shape, x.shape)
        return four_axes(x)

    return code


@_check
def target_of(operation, out, shape, q, query):
    """The array that receives the result, with four axes; a new one is like `query`, of which `q` is a view."""
    if isinstance(out, types.NoneType):
        width = len(shape) - 1
        return lambda operation, out, shape, q, query: result_like(q, shape[width], query)
    return lambda operation, out, shape, q, query: given_out(operation, out, shape, q)


@_check
def returned(out, target, shape):
    """`out` if it is given, else what has received the result, in its `shape`."""
    if isinstance(out, types.NoneType):
        return lambda out, target, shape: as_rows(target, shape)
    return lambda out, target, shape: out


@_check
def given_out(operation, out, shape, q):
    """`out` with four axes, whose `shape` has to be that of the result."""
    operation, wrong = text_of("operation", operation), None
    if not isinstance(out, types.Array):
        wrong = f"{operation}: out must be a NumPy array, got {type_name(out)}"
    elif out.dtype != q.dtype:
        wrong = f"{operation}: out must be {q.dtype}, got {out.dtype}"
    if wrong is not None:

        def refused(operation, out, shape, q):
            if failed():
                raise TypeError(wrong)
            return four_axes(any_layout(np.empty(shape, q.dtype)))

        return refused
    other_shape = f"{operation}: out must have shape {{}}, got {{}}"
    if out.ndim != len(shape):

        def other_rank(operation, out, shape, q):
            if failed():
                raise Value(other_shape, shape, out.shape)
            return four_axes(any_layout(np.empty(shape, q.dtype)))

        return other_rank
    message = f"{operation}: out must be writeable, its last axis contiguous and its leading axes of one stride, its "
    message += "strides are {}"
    good, leading = out.mutable and out.aligned, max(out.ndim - 3, 0)

    def code(operation, out, shape, q):
        if out.shape != shape:
            raise Value(other_shape, shape, out.shape)
        in_place, _ = merged(out.shape, out.strides, 0, leading)
        if (failed() and not good) or not (in_place or out.size == 0) or not has_rows(out):
            raise Value(message, out.strides)
        return four_axes(any_layout(out))

    return code


# --- gradients -------------------------------------------------------------------------------------------------------


@_check
def as_given(gradient, given, rows):
    """A gradient with four axes in the shape of the array `given`, summed over the axes that were broadcast; `rows`
    are the query's axes but for the last."""
    axes, known = len(rows) + 1, given.ndim
    is_c = gradient.layout == "C"

    def code(gradient, given, rows):
        if gradient.size == given.size:
            return as_rows(gradient, given.shape)
        sizes, steps, step = np.empty(axes, np.int64), np.zeros(axes, np.int64), 1
        for axis in range(axes):
            sizes[axis] = gradient.shape[axis + 4 - axes] if axis + 3 >= axes else rows[axis]
        for axis in range(1, known + 1):
            if given.shape[known - axis] == sizes[axes - axis]:
                steps[axes - axis] = step
            step *= given.shape[known - axis]
        sums = np.zeros(step)
        add_broadcast(gradient.copy().reshape(-1), sizes, steps, sums)
        return as_rows(sums.astype(gradient.dtype).reshape(given.shape), given.shape)

    if is_c:
        return code

    def code_of_strided(gradient, given, rows):
        if gradient.size == given.size:
            return as_rows(gradient, given.shape)
        return any_layout(as_given(gradient.copy(), given, rows))

    return code_of_strided


@_check
def scores_gradient(operation, mask, q, S, need):
    """What receives the gradient of all scores, of size 0 where it is not needed."""
    if isinstance(mask, types.Array) and mask.dtype == q.dtype:

        def code(operation, mask, q, S, need):
            return np.zeros((q.shape[0], q.shape[1], q.shape[2], S) if need else (0, 0, 0, 0), q.dtype)

        return code
    message = f"{text_of('operation', operation)}: the gradient of a mask needs an additive one, got {{!r:.60}}"

    def refused(operation, mask, q, S, need):
        if need:
            raise Value(message, mask)
        return np.zeros((0, 0, 0, 0), q.dtype)

    return refused


@_check
def masks_gradient(dmask, mask, rows, need):
    """In the mask's shape, of size 0 where it is not needed; None without an additive mask."""
    if not isinstance(mask, types.Array) or mask.dtype != dmask.dtype:
        return lambda dmask, mask, rows, need: None
    nothing = (0,) * mask.ndim

    def code(dmask, mask, rows, need):
        return as_given(dmask, mask, rows) if need else np.empty(nothing, dmask.dtype)

    return code


@jit(fastmath=False)
def add_splits(parts, total):
    """``total = parts[0] + parts[1] + ...``"""
    for n in range(total.shape[0]):
        for h in range(total.shape[1]):
            for i in range(total.shape[2]):
                for e in range(total.shape[3]):
                    total[n, h, i, e] = parts[0, n, h, i, e]
                for split in range(1, parts.shape[0]):
                    for e in range(total.shape[3]):
                        total[n, h, i, e] += parts[split, n, h, i, e]
