r"""Attention, and how it is told positions, in plain NumPy, the whole matrix of scores at once.

Query head h reads key head h // (Hq // H). With t = scale q kᵀ:

    s = c tanh(t / c), or t                  s -= alibi |i + offset - j|        s += mask
    p = exp(s - lse), 0 where not attended   lse = log Σ_j exp s                w = p kept / (1 - dropout_p)
    out = w v

Backward, from out and lse:

    dv = wᵀ dout         dp = (dout vᵀ) kept / (1 - dropout_p)         ds = p (dp - Σ dout out)
    dmask = ds           dt = ds (1 - tanh²(t / c))                    dq = scale dt k          dk = scale dtᵀ q

A query that attends to nothing has out = 0, lse = -inf and no gradient. What is not attended contributes nothing, not
even where it is NaN or infinite.
"""

import math

import numpy as np

from kernels.reference.gemm import sum_to

__all__ = [
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_backward",
    "kept",
    "alibi_slopes",
    "rotary_embedding",
    "rotary_embedding_backward",
    "rotary_tables",
]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


# --- attention --------------------------------------------------------------------------------------------------------


@ieee
def scaled_dot_product_attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
    enable_gqa=False,
    *,
    causal_offset=0,
    window=None,
    softcap=0.0,
    alibi=None,
    seed=0,
    lse=None,
    out=None,
):
    """Return (..., Hq, L, Ev); `lse` (..., Hq, L), where given, receives the log of the sum of exponentials; of shape
    (2, ..., Hq, L), the largest score and the log of the sum of exponentials of the scores less it."""
    key, value = _repeat_heads(key, query), _repeat_heads(value, query)
    scores, attended, _ = _scores(query, key, attn_mask, is_causal, scale, causal_offset, window, softcap, alibi)
    largest = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    sums = np.sum(_exponentials(scores, largest, attended), axis=-1, keepdims=True)
    terms = np.stack([largest[..., 0], np.log(sums)[..., 0]])
    weights = _weights(scores, terms, attended) * _survival(scores.shape, dropout_p, seed, query.dtype)
    result = _product(weights, value, attended)
    if lse is not None:
        lse[...] = terms if lse.ndim == query.ndim else terms.sum(axis=0)
    if out is not None:
        out[...] = result
    return result if out is None else out


@ieee
def scaled_dot_product_attention_backward(
    dout,
    query,
    key,
    value,
    out,
    lse,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
    enable_gqa=False,
    *,
    causal_offset=0,
    window=None,
    softcap=0.0,
    alibi=None,
    seed=0,
    needs=(True, True, True, False),
):
    """Return dquery, dkey, dvalue, dattn_mask, None for those not needed."""
    heads = key.shape[-3] if key.ndim > 2 else 1
    key, value = _repeat_heads(key, query), _repeat_heads(value, query)
    scores, attended, softcap_grad = _scores(
        query, key, attn_mask, is_causal, scale, causal_offset, window, softcap, alibi
    )
    weights = _weights(scores, lse if lse.ndim == query.ndim else (lse, np.zeros_like(lse)), attended)
    survival = _survival(scores.shape, dropout_p, seed, query.dtype)
    delta = np.sum(dout * out, axis=-1, keepdims=True)
    dweights = (dout @ _transposed(value)) * survival
    dscores = np.where(attended, weights * (dweights - delta), 0)
    dproducts = dscores * np.where(attended, softcap_grad, 0) * _scale(query, scale)
    dattn_mask = None
    if needs[3] and attn_mask is not None and attn_mask.dtype != bool:
        dattn_mask = sum_to(dscores, attn_mask.shape)
    return (
        _product(dproducts, key, attended) if needs[0] else None,
        _sum_heads(_product(_transposed(dproducts), query, _transposed(attended)), heads) if needs[1] else None,
        _sum_heads(_product(_transposed(weights * survival), dout, _transposed(attended)), heads) if needs[2] else None,
        dattn_mask,
    )


def kept(shape, dropout_p, seed=0):
    """Boolean array of `shape` (..., Hq, L, S): which weights dropout keeps.

    Every row has a key of 64 bits from splitmix64 (Steele, Lea and Flood 2014), one half of which is added before and
    the other mixed in between two rounds that scramble the column.
    """
    rows = np.arange(math.prod(shape[:-1]), dtype=np.uint64)
    z = np.uint64(seed % 2**64) + (rows + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    low, high = z.astype(np.uint32)[:, None], (z >> np.uint64(32)).astype(np.uint32)[:, None]
    x = np.arange(shape[-1], dtype=np.uint32) * np.uint32(0x9E3779B9) + low
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD)
    x ^= high
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x735A2D97)
    x ^= x >> np.uint32(15)
    return (x >= math.floor(dropout_p * 2**32)).reshape(shape)


def _scores(query, key, attn_mask, is_causal, scale, causal_offset, window, softcap, alibi):
    """Final scores, -inf where not attended; where attended; and the derivative of the soft cap."""
    products = (query @ _transposed(key)) * _scale(query, scale)
    softcap_grad = np.ones((), query.dtype)
    if softcap > 0:
        squashed = np.tanh(products / softcap)
        products, softcap_grad = softcap * squashed, 1 - squashed**2
    L, S = products.shape[-2:]
    distance = np.arange(S) - np.arange(L)[:, None] - causal_offset  # j - (i + offset): positive is the future
    if alibi is not None:
        products = products - alibi[:, None, None] * np.abs(distance).astype(query.dtype)
    attended = np.ones(products.shape, bool)
    if is_causal:
        attended &= distance <= 0
    left, right = window or (None, None)
    if left is not None:
        attended &= distance >= -left
    if right is not None:
        attended &= distance <= right
    if attn_mask is not None and attn_mask.dtype == bool:
        attended &= attn_mask
    elif attn_mask is not None:
        attended &= attn_mask != -np.inf
        products = products + attn_mask
    return np.where(attended, products, -np.inf), attended, softcap_grad


def _scale(query, scale):
    return np.asarray(1 / math.sqrt(query.shape[-1]) if scale is None else scale, query.dtype)


def _exponentials(scores, largest, attended):
    """exp(s - m), 0 where not attended (there both can be -inf, the difference of which is NaN)."""
    return np.where(attended, np.exp(scores - largest), 0)


def _survival(shape, dropout_p, seed, dtype):
    """What dropout multiplies the weights with: 0, or 1 / (1 - p), so that their expectation stays."""
    if not dropout_p:
        return np.ones((), dtype)
    return np.where(kept(shape, dropout_p, seed), np.asarray(1 / (1 - dropout_p), dtype), 0)


def _weights(scores, terms, attended):
    """exp(s - lse) from the terms of lse, whose sum would be rounded at the size of the scores."""
    largest, logarithm = terms
    return _exponentials(scores - largest[..., None], logarithm[..., None], attended)


def _product(weights, rows, attended):
    """``weights @ rows``; a row that is not attended counts as nothing even where it is not finite."""
    finite = np.isfinite(rows)
    result = np.where(attended, weights, 0) @ np.where(finite, rows, 0)
    for j in np.unique(np.nonzero(~finite)[-2]):
        wild = np.where(finite[..., j, None, :], 0, rows[..., j, None, :])
        terms = weights[..., j, None] * wild
        result = result + np.where(attended[..., j, None] & ~finite[..., j, None, :], terms, 0)
    return result


def _transposed(matrix):
    return np.swapaxes(matrix, -1, -2)


def _repeat_heads(array, query):
    """Every key head as often as query heads read it."""
    return array if array.ndim == 2 else np.repeat(array, query.shape[-3] // max(1, array.shape[-3]), axis=-3)


def _sum_heads(gradient, heads):
    """The inverse of `_repeat_heads` for gradients: the sum over the query heads that read a key head."""
    if gradient.ndim == 2:
        return gradient
    *batch, Hq, S, width = gradient.shape
    return gradient.reshape(*batch, heads, Hq // max(1, heads), S, width).sum(axis=-3)


# --- positions --------------------------------------------------------------------------------------------------------


def alibi_slopes(heads, dtype=np.float32):
    """Slope of every head (Press, Smith and Lewis 2022): 2^(-8 i / heads), i = 1..heads.

    Where `heads` is no power of two, those of the next lower one come first, then every other one of the next higher.
    """
    lower = 2 ** int(math.log2(heads))
    slopes = 2.0 ** (-8 * np.arange(1, lower + 1) / lower)
    between = 2.0 ** (-8 * np.arange(1, 2 * lower + 1, 2) / (2 * lower))
    return np.concatenate((slopes, between))[:heads].astype(dtype)


def rotary_tables(positions, width, base=10000.0, dtype=np.float32):
    """Cosines and sines (positions, width / 2) of the angles ``position * base ** (-2 i / width)``."""
    angles = np.arange(positions)[:, None] * base ** (-np.arange(0, width, 2) / width)
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


@ieee
def rotary_embedding(x, cos, sin, positions=None, *, interleaved=False, out=None):
    """Rotate pairs of channels of x (..., T, D) by the angles of their positions; channels beyond R are passed on.

    `positions` None stands for 0..T-1; (T,) holds for all of x, and (N, T) for all heads of x (N, H, T, D).
    """
    half = cos.shape[-1]
    positions = np.arange(x.shape[-2]) if positions is None else positions
    if positions.size and (positions.min() < 0 or positions.max() >= len(cos)):
        raise IndexError("rotary_embedding: position out of range")
    if positions.ndim > 1:  # (N, T) -> (N, 1, T)
        positions = positions.reshape(*positions.shape[:-1], *(1,) * (x.ndim - 1 - positions.ndim), x.shape[-2])
    cos, sin = cos[positions], sin[positions]
    first, second = (
        (slice(0, 2 * half, 2), slice(1, 2 * half, 2)) if interleaved else (slice(half), slice(half, 2 * half))
    )
    y = x.copy()
    y[..., first] = x[..., first] * cos - x[..., second] * sin
    y[..., second] = x[..., second] * cos + x[..., first] * sin
    if out is None:
        return y
    out[...] = y
    return out


def rotary_embedding_backward(dy, cos, sin, positions=None, *, interleaved=False):
    """dx: dy rotated back."""
    return rotary_embedding(dy, cos, -sin, positions, interleaved=interleaved)
