r"""From the definition of attention to its tiles, one idea a rung.

.. math:: s_{ij} = \frac{q_i \cdot k_j}{\sqrt E} \qquad p_{ij} = \frac{\exp s_{ij}}{\sum_l \exp s_{il}}
          \qquad o_i = \sum_j p_{ij} v_j

2 T² (E + Ev) FLOPs a head. The definition writes and reads T² scores several times; the tiles of the later rungs keep
them in L1, so that memory is O(T) and arithmetic the limit.

**Why the softmax can be had in one pass.** Keep, for one query, the largest score so far, m, the sum l of exp(s_j - m)
and the sum o of exp(s_j - m) v_j. A score above m becomes the new peak m', and since

.. math:: e^{s_j - m'} = e^{s_j - m} \, e^{m - m'}

for every earlier j, both sums are brought to the new peak by one factor, exp(m - m'). Then the new key is added. After
the last key o / l is the result. No exponent was ever positive, so nothing overflows; and m = -inf is a fine beginning,
for its factor is exp(-inf) = 0.

Each rung takes q, k (BH, T, E) and v (BH, T, Ev) and writes out (BH, T, Ev); if `causal`, query i sees keys j <= i.
"""

import math

import numpy as np

from kernels._jit import jit
from kernels._threads import get_num_threads
from kernels.attention import arguments, forward


@jit
def attention_naive(q, k, v, scale, causal, out):
    """The definition: all scores, their softmax, the weighted sums of the values, three loops each."""
    (BH, T, E), Ev = q.shape, v.shape[2]
    p = np.empty((T, T), q.dtype)
    for b in range(BH):
        for i in range(T):
            for j in range(T):
                p[i, j] = 0 if j <= i or not causal else -np.inf
                for e in range(E):
                    p[i, j] += scale * q[b, i, e] * k[b, j, e]
        for i in range(T):
            peak = p[i].max()
            for j in range(T):
                p[i, j] = math.exp(p[i, j] - peak)
            p[i] /= p[i].sum()
        for i in range(T):
            for e in range(Ev):
                out[b, i, e] = 0
                for j in range(T):
                    out[b, i, e] += p[i, j] * v[b, j, e]


@jit
def attention_online(q, k, v, scale, causal, out):
    """Adds the online softmax: a query's scores are used as they come and never kept; the memory of T² is gone."""
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


def _run(q, k, v, scale, causal, out, attn_mask=None, threads=1):
    """The tiles of `forward` on (BH, T, E)."""
    problem = arguments.checked(
        "attention", q, k, v, attn_mask, 0.0, causal, scale, False, 0, None, 0.0, None, 0
    )  # fmt: skip
    forward.compiled[q.dtype](
        problem.q, problem.k, problem.v, problem.rule, out[None], forward.NO_LSE[q.dtype], threads
    )


def attention_tiled(q, k, v, scale, causal, out):
    """Adds tiles: a block of queries meets a block of keys, packed once for all of them, and both products run in the
    micro-kernel of the matrix product; peaks are raised once a tile, and exponentials are taken as vectors. Causality
    is a mask like any other: what it forbids is computed, then dropped."""
    _run(q, k, v, scale, False, out, np.tri(q.shape[1], k.shape[1], dtype=bool) if causal else None)


def attention_causal_skipped(q, k, v, scale, causal, out):
    """Adds the skipping of what no query of a tile may see: half of the work where attention is causal."""
    _run(q, k, v, scale, causal, out)


def attention_parallel(q, k, v, scale, causal, out):
    """Adds threads: each takes blocks of queries of some heads, and shares nothing."""
    _run(q, k, v, scale, causal, out, threads=get_num_threads())


VARIANTS = {
    "scaled_dot_product_attention": {
        "naive": attention_naive,
        "online softmax": attention_online,
        "tiled": attention_tiled,
        "causal skipped": attention_causal_skipped,
        "parallel": attention_parallel,
    }
}
