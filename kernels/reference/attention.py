r"""Attention and position encodings in plain NumPy, with the whole matrix of scores in memory.

Query head h reads key head h // (Hq // H). With t = scale q kᵀ:

    s = c tanh(t / c), or t                  s -= alibi |i + offset - j|        s += mask
    p = exp(s - lse), 0 where not visible    lse = log Σ_j exp s                w = p kept / (1 - dropout_p)
    out = w v

Backward, from out and lse:

    dv = wᵀ dout         dp = (dout vᵀ) kept / (1 - dropout_p)         ds = p (dp - Σ dout out)
    dmask = ds           dt = ds (1 - tanh²(t / c))                    dq = scale dt k          dk = scale dtᵀ q

A query without visible keys has out = 0, lse = -inf and no gradient. Keys that are not visible contribute nothing, even
if they are NaN or infinite.
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
    """Return (..., Hq, L, Ev), and store the log-sum-exp of the scores in `lse` (..., Hq, L), if given; in an `lse` of
    shape (2, ..., Hq, L), the largest score m and the log of the sum of exp(s - m)."""
    key, value = _repeat_heads(key, query), _repeat_heads(value, query)
    scores, visible, _ = _scores(query, key, attn_mask, is_causal, scale, causal_offset, window, softcap, alibi)
    largest = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    sums = np.sum(_exponentials(scores, largest, visible), axis=-1, keepdims=True)
    terms = np.stack([largest[..., 0], np.log(sums)[..., 0]])
    weights = _weights(scores, terms, visible) * _survival(scores.shape, dropout_p, seed, query.dtype)
    result = _product(weights, value, visible)
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
    """Return dquery, dkey, dvalue, dattn_mask, None for those not in `needs`."""
    heads = key.shape[-3] if key.ndim > 2 else 1
    key, value = _repeat_heads(key, query), _repeat_heads(value, query)
    scores, visible, softcap_grad = _scores(
        query, key, attn_mask, is_causal, scale, causal_offset, window, softcap, alibi
    )
    weights = _weights(scores, lse if lse.ndim == query.ndim else (lse, np.zeros_like(lse)), visible)
    survival = _survival(scores.shape, dropout_p, seed, query.dtype)
    delta = np.sum(dout * out, axis=-1, keepdims=True)
    dweights = (dout @ _transposed(value)) * survival
    dscores = np.where(visible, weights * (dweights - delta), 0)
    dproducts = dscores * np.where(visible, softcap_grad, 0) * _scale(query, scale)
    dattn_mask = None
    if needs[3] and attn_mask is not None and attn_mask.dtype != bool:
        dattn_mask = sum_to(dscores, attn_mask.shape)
    return (
        _product(dproducts, key, visible) if needs[0] else None,
        _sum_heads(_product(_transposed(dproducts), query, _transposed(visible)), heads) if needs[1] else None,
        _sum_heads(_product(_transposed(weights * survival), dout, _transposed(visible)), heads) if needs[2] else None,
        dattn_mask,
    )


def kept(shape, dropout_p, seed=0):
    """Boolean array of `shape` (..., Hq, L, S): which weights dropout keeps.

    Each row has a 64-bit key from splitmix64 (Steele, Lea and Flood 2014): one half is added to the column's hash
    before the two mixing rounds, the other is xored with it between them.
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
    """The final scores, -inf where a key is not visible; the mask of visible keys; the derivative of the soft cap."""
    products = (query @ _transposed(key)) * _scale(query, scale)
    softcap_grad = np.ones((), query.dtype)
    if softcap > 0:
        squashed = np.tanh(products / softcap)
        products, softcap_grad = softcap * squashed, 1 - squashed**2
    L, S = products.shape[-2:]
    distance = np.arange(S) - np.arange(L)[:, None] - causal_offset  # j - (i + offset): positive is the future
    if alibi is not None:
        products = products - alibi[:, None, None] * np.abs(distance).astype(query.dtype)
    visible = np.ones(products.shape, bool)
    if is_causal:
        visible &= distance <= 0
    left, right = window or (None, None)
    if left is not None:
        visible &= distance >= -left
    if right is not None:
        visible &= distance <= right
    if attn_mask is not None and attn_mask.dtype == bool:
        visible &= attn_mask
    elif attn_mask is not None:
        visible &= attn_mask != -np.inf
        products = products + attn_mask
    return np.where(visible, products, -np.inf), visible, softcap_grad


def _scale(query, scale):
    return np.asarray(1 / math.sqrt(query.shape[-1]) if scale is None else scale, query.dtype)


def _exponentials(scores, largest, visible):
    """exp(s - m), 0 where not visible (both may be -inf there, whose difference is NaN)."""
    return np.where(visible, np.exp(scores - largest), 0)


def _survival(shape, dropout_p, seed, dtype):
    """The factors by which dropout multiplies the weights: 0, or 1 / (1 - p), which preserves their expectation."""
    if not dropout_p:
        return np.ones((), dtype)
    return np.where(kept(shape, dropout_p, seed), np.asarray(1 / (1 - dropout_p), dtype), 0)


def _weights(scores, terms, visible):
    """exp(s - lse) from the two terms of lse, whose sum would have the rounding error of the largest score."""
    largest, logarithm = terms
    return _exponentials(scores - largest[..., None], logarithm[..., None], visible)


def _product(weights, rows, visible):
    """``weights @ rows``; a row that is not visible contributes nothing, even if it is not finite."""
    finite = np.isfinite(rows)
    result = np.where(visible, weights, 0) @ np.where(finite, rows, 0)
    for j in np.unique(np.nonzero(~finite)[-2]):
        nonfinite = np.where(finite[..., j, None, :], 0, rows[..., j, None, :])
        terms = weights[..., j, None] * nonfinite
        result = result + np.where(visible[..., j, None] & ~finite[..., j, None, :], terms, 0)
    return result


def _transposed(matrix):
    return np.swapaxes(matrix, -1, -2)


def _repeat_heads(array, query):
    """Repeat every key head for each query head that reads it."""
    return array if array.ndim == 2 else np.repeat(array, query.shape[-3] // max(1, array.shape[-3]), axis=-3)


def _sum_heads(gradient, heads):
    """The gradient of `_repeat_heads`: the sum over the query heads that read a key head."""
    if gradient.ndim == 2:
        return gradient
    *batch, Hq, S, width = gradient.shape
    return gradient.reshape(*batch, heads, Hq // max(1, heads), S, width).sum(axis=-3)


# --- positions --------------------------------------------------------------------------------------------------------


def alibi_slopes(heads, dtype=np.float32):
    """Slope of every head (Press, Smith and Lewis 2022): 2^(-8 i / heads), i = 1..heads.

    If `heads` is not a power of two: the slopes for the next lower power, then every other one for the next higher.
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
    """Rotate pairs of channels of x (..., T, D) by the angles of their positions; channels beyond R are unchanged.

    `positions` None means 0..T-1; (T,) applies to all of x, and (N, T) to all heads of x (N, H, T, D).
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
