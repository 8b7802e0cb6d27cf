"""The checks of attention's arguments, and the four axes in which the loops take them."""

import math
import operator
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from kernels import _checks
from kernels.attention.scores import ADDITIVE, BOOLEAN, FAR, NO_MASK

BOOL = np.dtype(bool)
_NONE = {dtype: np.zeros(0, dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}
_NO_MASK = {dtype: np.zeros((1, 1, 1, 1), dtype) for dtype in (BOOL, _checks.FLOAT32, _checks.FLOAT64)}


class Problem(NamedTuple):
    """Checked arguments: q (N, Hq, L, E), k (N, H, S, E), v (N, H, S, Ev), read as they lie, and the `Rule`."""

    q: ndarray
    k: ndarray
    v: ndarray
    rule: tuple
    rows: tuple  # the axes of the query before its width, as they were given
    mask: ndarray | None


def readable(operation, name, x):
    """`x` as an array whose last axis is contiguous, of any other strides; copied where it is not."""
    x = _checks.as_array(operation, name, x)
    if x.dtype not in (_checks.FLOAT32, _checks.FLOAT64):
        raise TypeError(f"{operation}: {name} must be float32 or float64, got {x.dtype}")
    if x.ndim < 2:
        raise ValueError(f"{operation}: {name} must have at least two axes, (..., length, width), got {x.shape}")
    return _plain(x)


def _plain(x):
    size = x.itemsize
    in_order = x.strides[-1] == size or x.shape[-1] <= 1
    if in_order and x.flags.aligned and x.dtype.isnative and not any(stride % size for stride in x.strides):
        return x
    return _checks.contiguous(np.ascontiguousarray(x))


def _four(x):
    """(..., heads, length, width) as (N, heads, length, width); without heads there is one."""
    if x.ndim == 4:
        return x
    if x.ndim < 4:
        return x[(None,) * (4 - x.ndim)]
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


def checked(
    operation, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, causal_offset, window, softcap,
    alibi, seed,
) -> Problem:  # fmt: skip
    """The problem, once all arguments are seen to fit together."""
    query, key, value = (readable(operation, *each) for each in (("query", query), ("key", key), ("value", value)))
    _checks.same_dtype(operation, query=query, key=key, value=value)
    shapes = f"query is {query.shape}, key is {key.shape}, value is {value.shape}"
    if not query.ndim == key.ndim == value.ndim or not query.shape[:-3] == key.shape[:-3] == value.shape[:-3]:
        raise ValueError(f"{operation}: the axes before the heads differ: {shapes}")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(f"{operation}: query and key have different widths: {shapes}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"{operation}: key and value have different lengths: {shapes}")
    if not query.shape[-1] or not value.shape[-1]:
        raise ValueError(f"{operation}: the width must be at least 1: {shapes}")
    q, k, v = _four(query), _four(key), _four(value)
    heads, key_heads = q.shape[1], k.shape[1]
    if v.shape[1] != key_heads:
        raise ValueError(f"{operation}: key and value have different heads: {shapes}")
    if heads != key_heads and not enable_gqa:
        raise ValueError(f"{operation}: query and key heads differ, which needs enable_gqa=True: {shapes}")
    if heads != key_heads and (not key_heads or heads % key_heads):
        raise ValueError(
            f"{operation}: the number of query heads must be a multiple of the key heads, got {heads} and {key_heads}"
        )
    if not 0 <= dropout_p < 1:
        raise ValueError(f"{operation}: dropout_p must be at least 0 and below 1, got {dropout_p}")
    if not softcap >= 0:
        raise ValueError(f"{operation}: softcap must be at least 0, got {softcap}")
    low, high = _window(operation, window, is_causal, operator.index(causal_offset))
    mask, kind, allowed, added = _mask(operation, attn_mask, query, key, q.shape[:3] + k.shape[2:3])
    dtype = q.dtype.type
    rule = (
        dtype(1 / math.sqrt(q.shape[3]) if scale is None else scale), dtype(softcap), low, high, int(causal_offset),
        _slopes(operation, alibi, heads, q.dtype), kind, allowed, added,
        int(dropout_p * 2**32), dtype(1 / (1 - dropout_p)), operator.index(seed) % 2**64,
    )  # fmt: skip
    return Problem(q, k, v, rule, query.shape[:-1], mask)


def _window(operation, window, is_causal, offset):
    """Query i sees the keys from i + low to i + high."""
    left, right = (None, None) if window is None else window
    for name, reach in (("left", left), ("right", right)):
        if reach is not None and reach < 0:
            raise ValueError(f"{operation}: window must be at least 0 on either side, got {window} ({name})")
    low = -FAR if left is None else offset - operator.index(left)
    high = FAR if right is None else offset + operator.index(right)
    return low, min(high, offset) if is_causal else high


def _mask(operation, attn_mask, query, key, four):
    """The mask as it was given, and as the `Rule` has it."""
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
    if alibi is None:
        return _NONE[dtype]
    alibi = _checks.floats(operation, "alibi", alibi)
    if alibi.dtype != dtype:
        raise TypeError(f"{operation}: alibi must be {dtype} as query, got {alibi.dtype}")
    if alibi.shape != (heads,):
        raise ValueError(f"{operation}: alibi must have shape {(heads,)}, a slope a query head, got {alibi.shape}")
    return alibi


def result_like(x, width):
    """An array (N, heads, length, width) whose axes lie in memory as those of `x` (N, heads, length, ...) do."""
    N, heads, length = x.shape[:3]
    if heads > 1 and length > 1 and x.strides[1] < x.strides[2]:
        return _checks.new((N, length, heads, width), x.dtype).transpose(0, 2, 1, 3)
    return _checks.new((N, heads, length, width), x.dtype)
