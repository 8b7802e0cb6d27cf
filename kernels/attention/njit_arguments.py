"""The arguments of attention in jitted code: `arguments` and the checks of `functions`."""

import math

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit_checks import floats
from kernels._njit_errors import Kind, Value, _check, failed, text_of, type_name
from kernels._njit_sizes import replaced
from kernels.attention import arguments
from kernels.attention.njit_views import (
    any_layout,
    as_strided,
    grouped,
    spread,
    ungrouped,
    with_axes,
)
from kernels.attention.scores import ADDITIVE, BOOLEAN, FAR, NO_MASK

# --- operands --------------------------------------------------------------------------------------------------------


class WrongShapes(ValueError):
    """Makes the ValueError of `arguments.validated`."""

    def __new__(cls, operation, query, key, value, gqa):
        operands = [np.broadcast_to(np.zeros(()), shape) for shape in (query, key, value)]
        shapes = [x.shape for x in arguments._broadcast(*operands, 3 if gqa else 2)]
        wrong = arguments._violated_rule(*shapes, gqa)
        return ValueError(f"{operation}: {wrong}: query is {shapes[0]}, key is {shapes[1]}, value is {shapes[2]}")


@jit
def _fit(q, k, v, gqa):
    """Whether shapes with as many axes obey the rules."""
    axes = len(q)
    good = q[axes - 1] == k[axes - 1] and k[axes - 2] == v[axes - 2] and q[axes - 1] > 0 and v[axes - 1] > 0
    for axis in range(axes - 3):
        good = good and q[axis] == k[axis] == v[axis]
    if axes > 2:
        heads, of_keys = q[axes - 3], k[axes - 3]
        good = good and of_keys == v[axes - 3]
        good = good and (heads == of_keys or (gqa and of_keys > 0 and heads % of_keys == 0))
    return good


@jit
def _common(shapes, leading):
    """The first shape with its `leading` axes broadcast to those of all, and whether that is possible."""
    common, fits = shapes[0], True
    for shape in shapes:
        for axis in range(leading):
            if common[axis] == 1:
                common = replaced(common, axis, shape[axis])
            fits = fits and (shape[axis] == 1 or shape[axis] == common[axis])
    return common, fits


@jit
def _broadcast(x, common, leading):
    shape, strides = x.shape, x.strides
    for axis in range(leading):
        if shape[axis] != common[axis]:
            shape, strides = replaced(shape, axis, common[axis]), replaced(strides, axis, 0)
    return as_strided(x, shape, strides)


@_check
def operands_of(operation, query, key, value, gqa):
    """The readable operands with as many axes, broadcast where that is necessary."""
    ranks = query.ndim, key.ndim, value.ndim
    axes, equal, short = max(ranks), len(set(ranks)) == 1, min(ranks) < 3 <= max(ranks)

    def code(operation, query, key, value, gqa):
        q, k, v = with_axes(query, axes), with_axes(key, axes), with_axes(value, axes)
        if equal and _fit(q.shape, k.shape, v.shape, gqa):
            return q, k, v
        leading = max(axes - 3 if gqa else axes - 2, 0)
        common, fits = _common((q.shape, k.shape, v.shape), leading)
        a, b, c = _broadcast(q, common, leading), _broadcast(k, common, leading), _broadcast(v, common, leading)
        if not fits or (gqa and short) or not _fit(a.shape, b.shape, c.shape, gqa):
            raise WrongShapes(operation, query.shape, key.shape, value.shape, bool(gqa))
        return a, b, c

    return code


@_check
def four_axes(x):
    """View (..., heads, length, width) as (N, heads, length, width); without heads there is one."""
    leading = x.ndim - 3
    if leading <= 1:
        return lambda x: with_axes(x, 4)
    return lambda x: grouped(x, 0, leading)


@_check
def rows_of(x):
    """All lengths but the last."""
    last = x.ndim - 1
    return lambda x: x.shape[:last]


@_check
def as_rows(x, shape):
    """An array with four axes in the `shape` that it has for the caller."""
    leading = len(shape) - 3
    if leading > 1:
        return lambda x, shape: ungrouped(x, shape, 0, leading)
    if x.layout == "C":
        return lambda x, shape: x.reshape(shape)
    skip = 4 - len(shape)
    return lambda x, shape: as_strided(x, x.shape[skip:], x.strides[skip:])


# --- mask and rule ---------------------------------------------------------------------------------------------------


@_check
def mask_of(operation, mask, q, full):
    """The `Rule`'s mask_kind, allowed and added; `full` is the shape that the mask is broadcast to."""
    operation = text_of("operation", operation)
    if isinstance(mask, types.NoneType):
        return lambda operation, mask, q, full: (NO_MASK, any_layout(np.empty((1, 1, 1, 1), np.bool_)), q)
    wrong = None
    if not isinstance(mask, types.Array):
        wrong = f"{operation}: attn_mask must be an array, got {type_name(mask)}"
    elif mask.dtype not in (types.boolean, q.dtype):
        wrong = f"{operation}: attn_mask must be bool or {q.dtype} as query, got {mask.dtype}"
    if wrong is not None:

        def refused(operation, mask, q, full):
            if failed():
                raise TypeError(wrong)
            return NO_MASK, any_layout(np.empty((1, 1, 1, 1), np.bool_)), q

        return refused
    message, axes = f"{operation}: attn_mask of shape {{}} does not broadcast to {{}}", len(full)
    if mask.ndim > axes:

        def other_rank(operation, mask, q, full):
            if failed():
                raise Value(message, mask.shape, full)
            return NO_MASK, any_layout(np.empty((1, 1, 1, 1), np.bool_)), q

        return other_rank
    aligned = mask.aligned

    def of_booleans(operation, mask, q, full):
        wide, fits = spread(with_axes(any_layout(mask), axes), full)
        if not fits:
            raise Value(message, mask.shape, full)
        return BOOLEAN, four_axes(wide), q

    def of_numbers(operation, mask, q, full):
        whole = any_layout(mask) if aligned else any_layout(mask.copy())
        wide, fits = spread(with_axes(whole, axes), full)
        if not fits:
            raise Value(message, mask.shape, full)
        return ADDITIVE, any_layout(np.empty((1, 1, 1, 1), np.bool_)), four_axes(wide)

    return of_booleans if mask.dtype == types.boolean else of_numbers


@_check
def whole(x):
    """What `operator.index` gives."""
    if isinstance(types.unliteral(x), (types.Integer, types.Boolean)):
        return lambda x: np.int64(x)
    message = f"'{type_name(x)}' object cannot be interpreted as an integer"

    def code(x):
        if failed():
            raise TypeError(message)
        return np.int64(0)

    return code


@_check
def reach(operation, window, side, none):
    """How far the window reaches to a side (0: left, 1: right); `none` where it has no end."""
    at = side.literal_value
    if isinstance(window[at], types.NoneType):
        return lambda operation, window, side, none: none
    message = f"{text_of('operation', operation)}: window must be at least 0 on either side, got {{}} "
    message += f"({('left', 'right')[at]})"

    def code(operation, window, side, none):
        if window[at] < 0:
            raise Value(message, window)
        return whole(window[at])

    return code


@_check
def limits(operation, window, is_causal, offset):
    """low and high: query i attends to the keys from i + low to i + high."""
    if isinstance(window, types.NoneType):
        return lambda operation, window, is_causal, offset: (-FAR, offset if is_causal else FAR)
    if not isinstance(window, types.BaseTuple) or len(window) != 2:
        message = f"{text_of('operation', operation)}: window must be a pair (left, right), got {{}}"

        def refused(operation, window, is_causal, offset):
            if failed():
                raise Kind(message, window)
            return -FAR, FAR

        return refused

    def code(operation, window, is_causal, offset):
        left = reach(operation, window, 0, 4 * FAR)
        right = reach(operation, window, 1, 4 * FAR)
        low, high = max(offset - left, -FAR), min(offset + right, FAR)
        return low, min(high, offset) if is_causal else high

    return code


@_check
def slopes_of(operation, alibi, heads, q):
    """ALiBi's slopes, an empty array where there are none."""
    if isinstance(alibi, types.NoneType):
        return lambda operation, alibi, heads, q: np.empty(0, q.dtype)
    operation = text_of("operation", operation)
    wrong = f"{operation}: alibi must have shape {{}}, a slope a query head, got {{}}"
    if isinstance(alibi, types.Array) and alibi.dtype in (types.float32, types.float64) and alibi.dtype != q.dtype:
        message = f"{operation}: alibi must be {q.dtype} as query, got {alibi.dtype}"

        def other_dtype(operation, alibi, heads, q):
            if failed():
                raise TypeError(message)
            return np.empty(0, q.dtype)

        return other_dtype
    rank = alibi.ndim if isinstance(alibi, types.Array) else 1

    def code(operation, alibi, heads, q):
        given = floats(operation, "alibi", alibi)
        if rank != 1 or given.size != heads:
            raise Value(wrong, (heads,), given.shape)
        return given.reshape(-1).astype(q.dtype)

    return code


@_check
def factor_of(scale, width):
    """The factor of the scores."""
    if isinstance(scale, types.NoneType):
        return lambda scale, width: 1.0 / math.sqrt(width)
    return lambda scale, width: scale


def rule_of(operation):
    """Jitted: the fields of a `Rule`, in order."""

    @jit
    def rule(q, mask, dropout_p, is_causal, scale, places, softcap, alibi):
        offset, window, seed = places
        kind, allowed, added = mask
        if not 0 <= dropout_p < 1:
            raise Value("{}: dropout_p must be at least 0 and below 1, got {}", operation, dropout_p)
        if not 0 <= softcap < np.inf:
            raise Value("{}: softcap must be at least 0 and finite, got {}", operation, softcap)
        first, number = whole(offset), whole(seed)
        if abs(first) > FAR:
            raise Value("{}: causal_offset must be at most 2**40 either way, got {}", operation, first)
        low, high = limits(operation, window, is_causal, first)
        slopes, real = slopes_of(operation, alibi, q.shape[1], q), q.dtype.type
        threshold, keep = np.uint64(np.int64(dropout_p * 2.0**32)), real(1.0 / (1.0 - dropout_p))
        factor, cap = real(factor_of(scale, q.shape[3])), real(softcap)
        kind = np.int64(kind)
        return factor, cap, low, high, first, slopes, kind, allowed, added, threshold, keep, np.uint64(number)

    return rule
