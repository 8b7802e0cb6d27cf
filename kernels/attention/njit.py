"""Attention in jitted code; the functions of positions are in `njit_positions`."""

import numpy as np

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, same_dtypes
from kernels._njit_sizes import flags, threads_for, wanted
from kernels.attention import backward, driver, functions, njit_positions
from kernels.attention.njit_arguments import four_axes, mask_of, operands_of, rows_of, rule_of
from kernels.attention.njit_results import (
    add_splits,
    add_terms,
    as_given,
    like_result,
    lse_of,
    masks_gradient,
    returned,
    saved_terms,
    scores_gradient,
    target_of,
    terms_of,
)
from kernels.attention.njit_views import any_layout, apart, like_any, readable, result_like

__all__ = ["njit_positions"]

FORWARD, BACKWARD = "scaled_dot_product_attention", "scaled_dot_product_attention_backward"

forward_loops, backward_loops = by_address(driver.compiled, "forward"), by_address(backward.compiled, "backward")
forward_rule, backward_rule = rule_of(FORWARD), rule_of(BACKWARD)


@jit
def _threads(q, k, v):
    """As `functions.threads`."""
    return threads_for(0, q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * (q.shape[3] + v.shape[3]))


@in_njit(functions.scaled_dot_product_attention)
def _attention(
    query,
    key,
    value,
    attn_mask,
    dropout_p,
    is_causal,
    scale,
    enable_gqa,
    causal_offset,
    window,
    softcap,
    alibi,
    seed,
    lse,
    out,
):
    given = readable(FORWARD, "query", query), readable(FORWARD, "key", key), readable(FORWARD, "value", value)
    same_dtypes(FORWARD, ("query", "key", "value"), given)
    x, y, z = operands_of(FORWARD, given[0], like_any(given[1], given[0]), like_any(given[2], given[0]), enable_gqa)
    q, k, v, rows = four_axes(x), four_axes(y), four_axes(z), rows_of(x)
    mask = mask_of(FORWARD, attn_mask, q, rows + (k.shape[2],))
    rule = forward_rule(q, mask, dropout_p, is_causal, scale, (causal_offset, window, seed), softcap, alibi)
    if lse is None:
        terms = np.empty((0, 0, 0, 0), q.dtype)
    else:
        sums = lse_of(FORWARD, lse, rows, q)
        apart(FORWARD, "lse", sums, "out", out)
        apart(FORWARD, "lse", sums, "query", q)
        apart(FORWARD, "lse", sums, "key", k)
        apart(FORWARD, "lse", sums, "value", v)
        apart(FORWARD, "lse", sums, "attn_mask", attn_mask)
        terms = terms_of(sums, rows, q)
    shape = rows + (v.shape[3],)
    result = target_of(FORWARD, out, shape, q, query)
    apart(FORWARD, "out", out, "query", q)
    apart(FORWARD, "out", out, "key", k)
    apart(FORWARD, "out", out, "value", v)
    apart(FORWARD, "out", out, "attn_mask", attn_mask)
    if q.size and k.size:
        forward_loops(q, k, v, rule, any_layout(result), terms, _threads(q, k, v))
        if lse is not None:
            add_terms(terms, sums, rows)
    else:
        result[...] = 0
        if lse is not None:
            sums[...] = -np.inf
    return returned(out, result, shape)


@in_njit(functions.scaled_dot_product_attention_backward)
def _attention_backward(
    dout,
    query,
    key,
    value,
    out,
    lse,
    attn_mask,
    dropout_p,
    is_causal,
    scale,
    enable_gqa,
    causal_offset,
    window,
    softcap,
    alibi,
    seed,
    needs,
):
    needs = flags(needs, 4)
    given = readable(BACKWARD, "query", query), readable(BACKWARD, "key", key), readable(BACKWARD, "value", value)
    same_dtypes(BACKWARD, ("query", "key", "value"), given)
    x, y, z = operands_of(BACKWARD, given[0], like_any(given[1], given[0]), like_any(given[2], given[0]), enable_gqa)
    q, k, v, rows = four_axes(x), four_axes(y), four_axes(z), rows_of(x)
    S = k.shape[2]
    mask = mask_of(BACKWARD, attn_mask, q, rows + (S,))
    rule = backward_rule(q, mask, dropout_p, is_causal, scale, (causal_offset, window, seed), softcap, alibi)
    shape = rows + (v.shape[3],)
    upstream = like_result(BACKWARD, "dout", readable(BACKWARD, "dout", dout), shape)
    result = like_result(BACKWARD, "out", readable(BACKWARD, "out", out), shape)
    sums = floats(BACKWARD, "lse", lse)
    same_dtypes(BACKWARD, ("query", "dout", "out", "lse"), (q, upstream, result, sums))
    terms = saved_terms(BACKWARD, sums, rows, q)
    dmask = scores_gradient(BACKWARD, attn_mask, q, S, needs[3])
    dq, dk, dv = result_like(q, q.shape[3], query), result_like(k, k.shape[3], key), result_like(v, v.shape[3], value)
    if q.size and k.size:
        splits = backward.splits_of_head(k.shape[0] * k.shape[1], S)
        whole, parts = any_layout(dq), any_layout(np.expand_dims(dq, 0))
        if splits > 1:
            parts = any_layout(np.empty((splits, q.shape[0], q.shape[1], q.shape[2], q.shape[3]), q.dtype))
        saved = like_any(upstream, q), like_any(result, q), terms
        gradients = parts, any_layout(dk), any_layout(dv), dmask
        backward_loops((q, k, v), rule, saved, gradients, _threads(q, k, v))
        if splits > 1:
            add_splits(parts, whole)
    else:
        dq[...] = 0
        dk[...] = 0
        dv[...] = 0
    return (
        wanted(as_given(dq, given[0], rows), needs[0]),
        wanted(as_given(dk, given[1], rows), needs[1]),
        wanted(as_given(dv, given[2], rows), needs[2]),
        masks_gradient(dmask, attn_mask, rows, needs[3]),
    )
