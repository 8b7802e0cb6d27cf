"""Validation of attention's arguments, and their form with four axes, which the loops take."""

import math
import operator
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from kernels import _checks
from kernels._jit import jit
from kernels.attention.scores import ADDITIVE, BOOLEAN, FAR, NO_MASK

BOOL = np.dtype(bool)
_NONE = {dtype: np.zeros(0, dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}
_NO_MASK = {dtype: np.zeros((1, 1, 1, 1), dtype) for dtype in (BOOL, _checks.FLOAT32, _checks.FLOAT64)}


class Options(NamedTuple):
    """The arguments of attention beside its operands, as given. A plain tuple of the same, in this order, takes less
    time to make."""

    attn_mask: object = None
    dropout_p: float = 0.0
    is_causal: bool = False
    scale: float | None = None
    enable_gqa: bool = False
    causal_offset: int = 0
    window: tuple | None = None
    softcap: float = 0.0
    alibi: object = None
    seed: int = 0


class Problem(NamedTuple):
    """Validated arguments: q (N, Hq, L, E), k (N, H, S, E) and v (N, H, S, Ev) of any strides but for a contiguous last
    axis."""

    q: ndarray
    k: ndarray
    v: ndarray
    rule: tuple  # the fields of a `Rule`; Numba takes a plain tuple faster
    rows: tuple  # the query's axes but for the last, as given or broadcast
    mask: ndarray | None  # as given


def readable(operation, name, x):
    """`x` as an array with a contiguous last axis and any other strides; copied where that axis is not contiguous."""
    if x.__class__ is not ndarray:
        x = _checks.as_array(operation, name, x)
    if x.dtype not in (_checks.FLOAT32, _checks.FLOAT64):
        raise TypeError(f"{operation}: {name} must be float32 or float64, got {x.dtype}")
    if x.ndim < 2:
        raise ValueError(f"{operation}: {name} must have at least two axes, (..., length, width), got {x.shape}")
    return _plain(x)


def _plain(x):
    if x.flags.carray and x.dtype.isnative:
        return x
    size = x.itemsize
    in_order = x.strides[-1] == size or x.shape[-1] <= 1
    if in_order and x.flags.aligned and x.dtype.isnative and not any(stride % size for stride in x.strides):
        return x
    return _checks.contiguous(np.ascontiguousarray(x))


def _four_axes(x):
    """View (..., heads, length, width) as (N, heads, length, width); without heads there is one."""
    if x.ndim == 4:
        return x
    if x.ndim < 4:
        return x[(None,) * (4 - x.ndim)]
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


def validated(operation, query, key, value, options) -> Problem:
    """Validate the arguments and return them as the loops take them."""
    query, key = readable(operation, "query", query), readable(operation, "key", key)
    value = readable(operation, "value", value)
    if not query.dtype is key.dtype is value.dtype:
        _checks.same_dtype(operation, query=query, key=key, value=value)
    attn_mask, _, _, _, gqa, _, _, _, _, _ = options
    wrong = _violated_rule(query.shape, key.shape, value.shape, gqa)
    if wrong:
        query, key, value = _broadcast(query, key, value, 3 if gqa else 2)
        wrong = _violated_rule(query.shape, key.shape, value.shape, gqa)
    if wrong:
        shapes = f"query is {query.shape}, key is {key.shape}, value is {value.shape}"
        raise ValueError(f"{operation}: {wrong}: {shapes}")
    q, k, v = _four_axes(query), _four_axes(key), _four_axes(value)
    mask, kind, allowed, added = _mask(operation, attn_mask, query, key, q.shape[:3] + k.shape[2:3])
    rule = _rule(operation, options, q, (kind, allowed, added))
    return Problem(q, k, v, rule, query.shape[:-1], mask)


def _rule(operation, options, q, mask):
    """The fields of a `Rule`, in order."""
    _, dropout_p, is_causal, scale, _, offset, window, softcap, alibi, seed = options
    if not 0 <= dropout_p < 1:
        raise ValueError(f"{operation}: dropout_p must be at least 0 and below 1, got {dropout_p}")
    if not 0 <= softcap < math.inf:
        raise ValueError(f"{operation}: softcap must be at least 0 and finite, got {softcap}")
    offset, seed, dtype = operator.index(offset), operator.index(seed), q.dtype.type
    low, high = _window(operation, window, is_causal, offset)
    scale, softcap = dtype(1 / math.sqrt(q.shape[3]) if scale is None else scale), dtype(softcap)
    slopes = _slopes(operation, alibi, q.shape[1], q.dtype)
    threshold, keep_scale = int(dropout_p * 2**32), dtype(1 / (1 - dropout_p))
    return scale, softcap, low, high, offset, slopes, *mask, threshold, keep_scale, seed % 2**64


def _broadcast(query, key, value, trailing):
    """Broadcast the axes before the last `trailing` ones of each operand; returns these as they are if that fails."""
    operands = query, key, value
    try:
        common = np.broadcast_shapes(*(x.shape[:-trailing] for x in operands if x.ndim >= trailing))
    except ValueError:
        return operands
    return tuple(np.broadcast_to(x, (*common, *x.shape[-trailing:])) for x in operands)


def as_given(gradient, shape, rows):
    """A gradient (N, heads, length, width) in the `shape` of its operand, summed over the axes that were broadcast.

    `rows` is that of the `Problem`.
    """
    whole = (*rows[:-2], *gradient.shape[1:])
    return summed(gradient, whole[-len(rows) - 1 :], shape)


def summed(gradient, whole, shape):
    """A gradient of the shape `whole`, as it is or with other axes, summed over those that were broadcast from
    `shape`."""
    if gradient.size == math.prod(shape):
        return gradient.reshape(shape)
    steps, step = [0] * len(whole), 1
    for axis in range(-1, -len(shape) - 1, -1):
        steps[axis], step = step if shape[axis] == whole[axis] else 0, step * shape[axis]
    sums = np.zeros(step)
    add_broadcast(gradient.reshape(-1), np.array(whole), np.array(steps), sums)
    return sums.astype(gradient.dtype).reshape(shape)


@jit(fastmath=False)
def add_broadcast(source, sizes, steps, sums):
    """``sums[index · steps] += source[index]`` for all indices of an array of these sizes."""
    last = sizes.size - 1
    index, at = np.zeros(sizes.size, np.int64), 0
    for first in range(0, source.size, max(sizes[last], 1)):
        for j in range(sizes[last]):
            sums[at + j * steps[last]] += source[first + j]
        for axis in range(last - 1, -1, -1):
            index[axis] += 1
            at += steps[axis]
            if index[axis] < sizes[axis]:
                break
            index[axis] = 0
            at -= steps[axis] * sizes[axis]


def _violated_rule(query, key, value, enable_gqa):
    """The rule that these shapes violate, or None."""
    if not len(query) == len(key) == len(value) or not query[:-3] == key[:-3] == value[:-3]:
        return "the axes before the heads differ"
    if query[-1] != key[-1]:
        return "query and key have different widths"
    if key[-2] != value[-2]:
        return "key and value have different lengths"
    if not query[-1] or not value[-1]:
        return "the width must be at least 1"
    if key[-3:-2] != value[-3:-2]:
        return "key and value have different heads"
    if query[-3:-2] == key[-3:-2]:
        return None
    if not enable_gqa:
        return "query and key heads differ, which needs enable_gqa=True"
    if not key[-3] or query[-3] % key[-3]:
        return f"the number of query heads must be a multiple of the key heads, got {query[-3]} and {key[-3]}"
    return None


def _window(operation, window, is_causal, offset):
    """Return low and high: query i attends to the keys from i + low to i + high."""
    if abs(offset) > FAR:
        raise ValueError(f"{operation}: causal_offset must be at most 2**40 either way, got {offset}")
    if window is None:
        return -FAR, offset if is_causal else FAR
    if not isinstance(window, (tuple, list)) or len(window) != 2:
        raise TypeError(f"{operation}: window must be a pair (left, right), got {window!r}")
    left, right = window
    for name, reach in (("left", left), ("right", right)):
        if reach is not None and reach < 0:
            raise ValueError(f"{operation}: window must be at least 0 on either side, got {window} ({name})")
    low = -FAR if left is None else max(offset - operator.index(left), -FAR)
    high = FAR if right is None else min(offset + operator.index(right), FAR)
    return low, min(high, offset) if is_causal else high


def _mask(operation, attn_mask, query, key, four):
    """Validate the mask; return it as given, and the `Rule`'s mask_kind, allowed and added."""
    dtype = query.dtype
    if attn_mask is None:
        return None, NO_MASK, _NO_MASK[BOOL], _NO_MASK[dtype]
    mask = _checks.as_array(operation, "attn_mask", attn_mask)
    if mask.dtype not in (BOOL, dtype):
        raise TypeError(f"{operation}: attn_mask must be bool or {dtype} as query, got {mask.dtype}")
    full = (*query.shape[:-1], key.shape[-2])
    try:
        spread = np.broadcast_to(mask, full)
    except ValueError:
        raise ValueError(f"{operation}: attn_mask of shape {mask.shape} does not broadcast to {full}") from None
    spread = spread.reshape(four) if spread.ndim != 4 else spread
    if mask.dtype == BOOL:
        return mask, BOOLEAN, spread, _NO_MASK[dtype]
    if not (mask.flags.aligned and mask.dtype.isnative):
        return _mask(operation, _checks.contiguous(mask), query, key, four)
    return mask, ADDITIVE, _NO_MASK[BOOL], spread


def _slopes(operation, alibi, heads, dtype):
    """Validate and return ALiBi's slopes, an empty array where there are none."""
    if alibi is None:
        return _NONE[dtype]
    alibi = _checks.floats(operation, "alibi", alibi)
    if alibi.dtype != dtype:
        raise TypeError(f"{operation}: alibi must be {dtype} as query, got {alibi.dtype}")
    if alibi.shape != (heads,):
        raise ValueError(f"{operation}: alibi must have shape {(heads,)}, a slope a query head, got {alibi.shape}")
    return alibi


def result_like(x, width):
    """An array (N, heads, length, width) with its axes in memory in the order of those of `x` (N, heads, length, ...):
    where x is a view of merged heads (N, length, heads, width), so is the result."""
    if x.flags.c_contiguous:
        return _checks.new((*x.shape[:3], width), x.dtype)
    order = sorted(range(3), key=lambda axis: -abs(x.strides[axis]))
    result = _checks.new((*(x.shape[axis] for axis in order), width), x.dtype)
    return result.transpose(*(order.index(axis) for axis in range(3)), 3)
