r"""From the definition of attention to its tiles, one idea a rung.

.. math:: s_{ij} = \frac{q_i \cdot k_j}{\sqrt E} \qquad p_{ij} = \frac{\exp s_{ij}}{\sum_l \exp s_{il}}
          \qquad o_i = \sum_j p_{ij} v_j

2 T² (E + Ev) FLOPs a head. The definition writes and reads T² scores several times; the tiles of the later rungs hold
them in L1, so that memory is O(T) and arithmetic the limit.

**Why one pass over the keys is enough for the softmax.** Keep, for one query, the largest score so far, m, the sum l of
exp(s_j - m) and the sum o of exp(s_j - m) v_j. A score above m becomes the new maximum m', and since

.. math:: e^{s_j - m'} = e^{s_j - m} \, e^{m - m'}

for every earlier j, both sums are brought to the new maximum by one factor, exp(m - m'). Then the new key is added.
After the last key o / l is the result. No exponent is ever positive, so nothing overflows; and m = -inf is a valid
start, for its factor is exp(-inf) = 0 [1]_.

Each rung takes q, k (BH, T, E) and v (BH, T, Ev) and writes out (BH, T, Ev); if `causal`, query i attends to keys
j <= i.

.. [1] M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax", 2018, section 3.
.. [2] T. Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022, section 3
   (the rung `tiled`).
"""

import math

import numpy as np

from kernels._jit import jit
from kernels.attention import arguments, driver
from kernels.attention.functions import threads
from kernels.attention.tiles import KEYS
from kernels.gemm.micro import ADD, MR, NV, STORE, Epilogue, micro_kernel, tile_height
from kernels.gemm.pack import pack_b, padded, panel_padding
from kernels.simd import (
    allocate,
    exp,
    lane_count,
    load,
    load_partial,
    matrix_at,
    max_lanes,
    maximum,
    release,
    shifted,
    splat,
    store,
    store_partial,
    strided,
    sum_lanes,
)


@jit
def attention_naive(q, k, v, scale, causal, out):
    """The definition: all scores, their softmax, the weighted sums of the values."""
    (BH, T, E), Ev = q.shape, v.shape[2]
    p = np.empty((T, T), q.dtype)
    for b in range(BH):
        for i in range(T):
            for j in range(T):
                p[i, j] = 0 if j <= i or not causal else -np.inf
                for e in range(E):
                    p[i, j] += scale * q[b, i, e] * k[b, j, e]
            p[i] = np.exp(p[i] - p[i].max())
            p[i] /= p[i].sum()
            for e in range(Ev):
                out[b, i, e] = 0
                for j in range(T):
                    out[b, i, e] += p[i, j] * v[b, j, e]


@jit
def attention_online(q, k, v, scale, causal, out):
    """Adds the online softmax: a query's scores are used as they come and never stored; the memory of T² is gone."""
    (BH, T, E), Ev = q.shape, v.shape[2]
    for b in range(BH):
        for i in range(T):
            peak, total = q.dtype.type(-np.inf), q.dtype.type(0)
            out[b, i] = 0
            for j in range(i + 1 if causal else T):
                score = q.dtype.type(0)
                for e in range(E):
                    score += scale * q[b, i, e] * k[b, j, e]
                higher = max(peak, score)
                factor, weight = math.exp(peak - higher), math.exp(score - higher)
                peak, total = higher, total * factor + weight
                for e in range(Ev):
                    out[b, i, e] = out[b, i, e] * factor + weight * v[b, j, e]
            for e in range(Ev):
                out[b, i, e] /= total


@jit
def attention_tiled(q, k, v, scale, causal, out):
    """Adds tiles: MR queries meet KEYS keys at a time, so that both products run in the micro-kernel of the matrix
    product and the scores between them stay in L1. The largest scores are updated once a tile, exponentials are taken a
    vector at a time, and blocks of keys that are visible to no query of a tile are skipped."""
    (BH, T, E), Ev, NR = q.shape, v.shape[2], NV * lane_count(out)
    panels_k = allocate(out, (T + NR) * E + panel_padding(out))
    panels_v = allocate(out, (Ev + NR) * T + panel_padding(out))
    scores = allocate(out, MR * padded(KEYS, out))
    S, totals = strided(scores, padded(KEYS, out), 1), allocate(out, MR * NR)
    peaks, sums = np.empty(MR, out.dtype), np.empty(MR, out.dtype)
    for b in range(BH):
        Q, OUT = matrix_at(q, (b,)), matrix_at(out, (b,))
        pack_b(matrix_at(k, (b,)).T, T, E, panels_k)  # keys are the columns of kᵀ
        pack_b(matrix_at(v, (b,)), Ev, T, panels_v)
        i = 0
        while i < T:
            rows, tile = tile_height(T - i), OUT.row(i)
            peaks[:], sums[:], out[b, i : i + rows] = -np.inf, 0, 0
            visible = i + rows if causal else T
            for first in range(0, visible, KEYS):
                count = min(KEYS, visible - first)
                for j in range(0, count, NR):  # s = q kᵀ
                    panel = strided(shifted(panels_k, (first + j) * E), NR, 1)
                    micro_kernel(rows, Q.row(i), panel, E, S.column(j), NR, Epilogue(STORE, S), totals)
                for r in range(rows):  # s -> p = exp(s - peak)
                    stop = min(i + r + 1 - first, count) if causal else count
                    peak = max(peaks[r], _scaled_peak(S.row(r), stop, scale))
                    factor = math.exp(peaks[r] - peak)
                    peaks[r], sums[r] = peak, sums[r] * factor + _weigh(S.row(r), stop, count, scale, peak)
                    _scale_row(tile.row(r), Ev, factor)
                for e in range(0, Ev, NR):  # out += p v
                    panel = strided(shifted(panels_v, e * T + first * NR), NR, 1)
                    micro_kernel(rows, S, panel, count, tile.column(e), min(NR, Ev - e), Epilogue(ADD, S), totals)
            for r in range(rows):
                _scale_row(tile.row(r), Ev, 1 / sums[r])
            i += rows
    release(panels_k)
    release(panels_v)
    release(scores)
    release(totals)


@jit(inline=True)
def _scaled_peak(s, stop, scale):
    """The largest of ``scale * s[:stop]``."""
    peak = splat(s, -np.inf)
    for j in range(0, stop, lane_count(s)):
        scaled = load_partial(s, j, stop - j, s[0]) * scale
        peak = maximum(peak, scaled)
    return max_lanes(peak)


@jit(inline=True)
def _weigh(s, stop, count, scale, peak):
    """``s[:stop] = exp(scale * s[:stop] - peak)``, 0 from there up to `count`; returns their sum."""
    total, lanes = splat(s, 0.0), lane_count(s)
    for j in range(0, count, lanes):
        weight = exp(load(s, j) * scale - peak)
        store(s, j, splat(s, 0.0))
        store_partial(s, j, stop - j, weight)
        total = total + load(s, j)
    return sum_lanes(total)


@jit(inline=True)
def _scale_row(x, columns, factor):
    for j in range(0, columns, lane_count(x)):
        store_partial(x, j, columns - j, load_partial(x, j, columns - j, 0.0) * factor)


def attention_tuned(q, k, v, scale, causal, out):
    """Adds threads, each with blocks of queries of some heads, and what generality and small shapes require (`driver`):
    keys are packed block by block for up to MAX_ROWS queries; few queries read keys and values where they are."""
    options = arguments.Options(is_causal=causal, scale=scale)
    q, k, v, rule, *_ = arguments.validated("attention", q, k, v, options)
    driver.compiled[q.dtype](q, k, v, rule, out[None], driver.NO_LSE[q.dtype], threads(q, k, v))


VARIANTS = {
    "scaled_dot_product_attention": {
        "naive": attention_naive,
        "online softmax": attention_online,
        "tiled": attention_tiled,
        "tuned": attention_tuned,
    }
}
