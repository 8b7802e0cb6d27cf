"""What becomes of a row of scores between the two products: which keys a query sees, caps, biases, masks, dropout.

A `Rule` is a tuple that all loops hand on (`rule_types` has its Numba types):

- scale, softcap: ``s = scale q k``; where softcap > 0, ``s = softcap tanh(s / softcap)``;
- low, high: query i sees key j only if ``i + low <= j <= i + high``: causality and the sliding window are both this;
- alibi: one slope a query head, or empty; ``s -= alibi[h] |i + offset - j|``;
- kind, allowed, added: the mask as it was given, (N, Hq, L, S) with strides of 0 where it was broadcast;
- threshold, keep_scale, seed: dropout keeps a weight whose random 32 bits are at least threshold (0: keeps all).
"""

import numpy as np
from numba import boolean, int64, types, uint64

from kernels._jit import jit
from kernels.simd import fma, lane_count, load, splat, store, tanh

NO_MASK, BOOLEAN, ADDITIVE = 0, 1, 2
INFINITY = float("inf")
FAR = 2**40  # a distance that no key has

_GOLDEN, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP, _MIX, _MIX_AGAIN = np.uint32(0x9E3779B9), np.uint32(0x21F0AAAD), np.uint32(0x735A2D97)
_LOW_HALF = np.uint64(0xFFFFFFFF)


def rule_types(kind):
    """The Numba types of a `Rule` for arrays of dtype `kind`."""
    return types.Tuple(
        (kind, kind, int64, int64, int64, kind[::1], int64, types.Array(boolean, 4, "A"), types.Array(kind, 4, "A"),
         uint64, kind, uint64)
    )  # fmt: skip


@jit(inline=True)
def seen_keys(i, keys, first, low, high):
    """The keys that query i sees among the `keys` from `first` on: from which one on, and up to which (exclusive)."""
    start = min(max(i + low - first, 0), keys)
    return start, max(min(i + high + 1 - first, keys), start)


@jit(inline=True)
def is_plain(rule):
    """Whether `finish_scores` has nothing to do."""
    return rule[1] == 0 and rule[5].size == 0 and rule[6] == NO_MASK


@jit
def finish_scores(s, at, start, stop, first, n, h, i, rule, slopes, to):
    """Scores ``s[at + j]`` of the seen keys first + j, start <= j < stop, from ``scale q k`` on to what the softmax
    gets; -inf where the mask forbids. Where there is a cap, the slope of it goes to ``slopes[to + j]``."""
    softcap, offset, alibi, kind, allowed, added = rule[1], rule[4], rule[5], rule[6], rule[7], rule[8]
    if softcap > 0:
        lanes = lane_count(s)
        for j in range(start // lanes * lanes, stop, lanes):  # the row has room for whole vectors
            t = tanh(load(s, at + j) / softcap)
            store(s, at + j, t * softcap)
            store(slopes, to + j, fma(-t, t, splat(s, 1.0)))
    if alibi.size > 0:
        slope = alibi[h]
        for j in range(start, stop):
            s[at + j] -= slope * alibi.dtype.type(abs(i + offset - first - j))
    if kind == BOOLEAN:
        for j in range(start, stop):
            if not allowed[n, h, i, first + j]:
                s[at + j] = -INFINITY
    elif kind == ADDITIVE:
        for j in range(start, stop):
            bias = added[n, h, i, first + j]
            s[at + j] = -INFINITY if bias == -INFINITY else s[at + j] + bias


@jit
def drop_out(p, at, start, stop, first, row, rule):
    """Set weights ``p[at + j]`` of keys first + j to 0 or scale them up; `row` numbers the rows of all scores.

    Two words of splitmix64 of the row's number are the keys of a hash of the key's number, so that each weight's fate
    depends on the seed and its own place alone.
    """
    threshold, keep_scale, seed = np.uint32(rule[9]), rule[10], rule[11]
    z = seed + np.uint64(row + 1) * _GOLDEN
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
        p[at + j] = p[at + j] * keep_scale if x >= threshold else 0
