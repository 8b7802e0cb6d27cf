"""From scores to weights, row by row, between the two products: visible keys, softcap, biases, masks, dropout."""

from typing import NamedTuple

import numpy as np
from numba import boolean, int64, types, uint64

from kernels._jit import jit
from kernels.simd import fma, lane_count, load, splat, store, tanh

NO_MASK, BOOLEAN, ADDITIVE = 0, 1, 2
INFINITY = float("inf")
FAR = 2**40  # more than any distance of a query and a key

_GOLDEN, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP, _MIX, _MIX_AGAIN = np.uint32(0x9E3779B9), np.uint32(0x21F0AAAD), np.uint32(0x735A2D97)
_LOW_HALF = np.uint64(0xFFFFFFFF)


class Rule(NamedTuple):
    """How scores become weights."""

    scale: float  # s = scale q·k
    softcap: float  # where positive, s = softcap tanh(s / softcap)
    low: int  # key j is visible to query i only if i + low <= j <= i + high: causality and the sliding window
    high: int
    offset: int  # position of the first query among the keys
    alibi: np.ndarray  # empty, or one slope a query head: s -= alibi[h] |i + offset - j|
    mask_kind: int  # NO_MASK, BOOLEAN or ADDITIVE: which of the two masks holds
    allowed: np.ndarray  # (N, Hq, L, S), with strides of 0 where it was broadcast
    added: np.ndarray
    threshold: int  # a weight is dropped if its random 32 bits are below this; 0: no dropout
    keep_scale: float  # factor of the weights that are not dropped
    seed: int


class Query(NamedTuple):
    """Query i of query head `head` of sequence n."""

    n: int
    head: int
    i: int


class Range(NamedTuple):
    """From `start` up to `stop`, exclusive."""

    start: int
    stop: int


class Block(NamedTuple):
    """Keys `first` to `first` + `count` - 1."""

    first: int
    count: int


def rule_types(kind):
    """The Numba types of the fields of a `Rule` for arrays of dtype `kind`."""
    boolean_mask, additive_mask = types.Array(boolean, 4, "A"), types.Array(kind, 4, "A")
    fields = (kind, kind, int64, int64, int64, kind[::1], int64, boolean_mask, additive_mask, uint64, kind, uint64)
    return types.Tuple(fields)


@jit(inline=True)
def visible_keys(i, block, low, high):
    """The range (start, stop) of the keys of a block that are visible to query i, counted from the block's first."""
    start = min(max(i + low - block.first, 0), block.count)
    return start, max(min(i + high + 1 - block.first, block.count), start)


@jit(inline=True)
def is_plain(rule):
    """Whether `finish_scores` has nothing to do."""
    return rule.softcap == 0 and rule.alibi.size == 0 and rule.mask_kind == NO_MASK


@jit
def finish_scores(s, start, stop, first, query, rule, softcap_grad):
    """Scores ``s[j]`` of the visible keys first + j, start <= j < stop: from ``scale q·k`` to the softmax's argument,
    -inf where the mask forbids. Where there is a softcap, ``softcap_grad[j]`` receives its derivative.

    `s` and `softcap_grad` are memory of whole vectors.
    """
    n, head, i = query
    if rule.softcap > 0:
        lanes = lane_count(s)
        for j in range(start // lanes * lanes, stop, lanes):
            t = tanh(load(s, j) / rule.softcap)
            store(s, j, t * rule.softcap)
            store(softcap_grad, j, fma(-t, t, splat(s, 1.0)))
    if rule.alibi.size > 0:
        slope = rule.alibi[head]
        for j in range(start, stop):
            s[j] -= slope * rule.alibi.dtype.type(abs(i + rule.offset - first - j))
    if rule.mask_kind == BOOLEAN:
        for j in range(start, stop):
            if not rule.allowed[n, head, i, first + j]:
                s[j] = -INFINITY
    elif rule.mask_kind == ADDITIVE:
        for j in range(start, stop):
            bias = rule.added[n, head, i, first + j]
            s[j] = -INFINITY if bias == -INFINITY else s[j] + bias


@jit
def drop_out(p, start, stop, first, row, rule):
    """Set weights ``p[j]`` of keys first + j to 0 or scale them up; `row` numbers the rows of all scores.

    Splitmix64 of the row's number seeds a 32-bit hash of the column's, so that whether a weight is dropped depends on
    the seed and its position alone.
    """
    threshold, keep_scale = np.uint32(rule.threshold), rule.keep_scale
    z = rule.seed + np.uint64(row + 1) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    z ^= z >> np.uint64(31)
    key, other = np.uint32(z & _LOW_HALF), np.uint32(z >> np.uint64(32))
    for j in range(start, stop):
        x = np.uint32(np.uint32(first + j) * _STEP + key)
        x = np.uint32((x ^ (x >> np.uint32(16))) * _MIX)
        x = np.uint32(x ^ other)
        x = np.uint32((x ^ (x >> np.uint32(15))) * _MIX_AGAIN)
        x = np.uint32(x ^ (x >> np.uint32(15)))
        p[j] = p[j] * keep_scale if x >= threshold else 0
