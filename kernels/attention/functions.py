"""The public functions of attention: checks, results' memory, the choice of loops."""

import numpy as np
from numpy import ndarray

from kernels import _checks
from kernels._threads import threads_for
from kernels.attention import arguments, backward, forward
from kernels.gemm.functions import sum_to


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, *,
    causal_offset=0, window=None, softcap=0.0, alibi=None, seed=0, lse=None, out=None,
):  # fmt: skip
    """For each query the mean of the values, weighted by the softmax of its scores with the keys.

    Parameters
    ----------
    query : array (..., Hq, L, E), float32 or float64
    key : array (..., H, S, E)
    value : array (..., H, S, Ev)
        All of one dtype; the axes before the heads, and without `enable_gqa` the heads, too, broadcast; with two axes
        there is one head. Read as they lie, views of transposed axes among them, if the last axis is contiguous (copied
        if not).
    attn_mask : array, optional
        Broadcasts to (..., Hq, L, S). Boolean: True where a query may see a key. Of the query's dtype: added to the
        scores, -inf where it may not.
    dropout_p : float in [0, 1), default 0
        Weights are set to 0 with this probability, the others scaled by 1 / (1 - dropout_p).
    is_causal : bool, default False
        Query i sees only keys j <= i + causal_offset. Unlike in PyTorch it may stand beside a mask; both hold.
    scale : float, optional
        Of the scores; ``1 / sqrt(E)`` if None.
    enable_gqa : bool, default False
        Whether there may be more query heads than key heads, a multiple; each key head then serves Hq / H of them.
    causal_offset : int, default 0
        The place of the first query among the keys: with a cache, how many keys came before.
    window : pair of (int or None), optional
        Query i sees only keys from ``i + causal_offset - window[0]`` to ``i + causal_offset + window[1]``.
    softcap : float, default 0
        Where positive, scores become ``softcap * tanh(score / softcap)``.
    alibi : array (Hq,), optional
        ``alibi[h] * abs(i + causal_offset - j)`` is subtracted from the scores [2]_ (see `alibi_slopes`).
    seed : int, default 0
        Of the dropout: a weight's fate depends on it and on the weight's place alone.
    lse : array (..., Hq, L) or (2, ..., Hq, L), optional
        Filled with the logarithm of the sum of the exponentials of the scores, which the backward needs. With a leading
        axis of 2 with its two terms: the largest score, and the logarithm of the sum of the exponentials of the scores
        less that one. Their sum is rounded at the size of the scores; the backward is more accurate with the terms.
    out : array (..., Hq, L, Ev), optional
        Receives the result; its last axis must be contiguous.

    Returns
    -------
    array (..., Hq, L, Ev)
        Zeros where a query sees no key (there lse is -inf). It lies in memory as the query does: of a query that is a
        view of (..., L, Hq, E), a view of (..., L, Hq, Ev).

    Raises
    ------
    TypeError
        Other dtypes, or different ones; a mask that is neither boolean nor of the query's dtype.
    ValueError
        Shapes that do not fit together, a width of 0, a mask that does not broadcast, dropout_p, window or softcap out
        of range, an unsuitable `lse` or `out`.

    Notes
    -----
    A key or value that is not finite spreads to the queries that see it and to no other.

    References
    ----------
    .. [1] Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022, section 3.
    .. [2] Press et al., "Train short, test long: attention with linear biases enables input length extrapolation",
       2022.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scaled_dot_product_attention
    >>> x = np.eye(2, dtype=np.float32)
    >>> scaled_dot_product_attention(x, x, x, is_causal=True, scale=100.0)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    operation = "scaled_dot_product_attention"
    problem = arguments.checked(
        operation, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, causal_offset, window,
        softcap, alibi, seed,
    )  # fmt: skip
    q, k, v = problem.q, problem.k, problem.v
    shape = (*problem.rows, v.shape[3])
    if lse is not None:
        terms = (2, *problem.rows)
        _checks.output(operation, lse, terms if np.shape(lse) == terms else problem.rows, q.dtype, "lse")
        if out is not None and np.may_share_memory(lse, out):
            raise ValueError(f"{operation}: lse overlaps out")
    result = arguments.result_like(q, v.shape[3]) if out is None else _given(operation, out, shape, q, k, v)
    if q.size and k.size:
        saved = forward.NO_LSE[q.dtype]
        if lse is not None:
            saved = (lse if lse.shape == terms else np.empty(terms, q.dtype)).reshape(2, *q.shape[:3])
        forward.compiled[q.dtype](q, k, v, problem.rule, result, saved, threads(q, k, v))
        if lse is not None and lse.shape != terms:
            np.add(*saved.reshape(terms), out=lse)
    else:
        result[...] = 0
        if lse is not None:
            lse[...] = -np.inf
    return result.reshape(shape) if out is None else out


def threads(q, k, v):
    """`threads_for` the two products of attention, forward."""
    return threads_for(multiply_adds=q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * (q.shape[3] + v.shape[3]))


def _given(operation, out, shape, q, k, v):
    """`out` as the four axes that the loops write, once it is seen to fit."""
    if not isinstance(out, ndarray):
        raise TypeError(f"{operation}: out must be a NumPy array, got {type(out).__name__}")
    if out.dtype != q.dtype:
        raise TypeError(f"{operation}: out must be {q.dtype}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"{operation}: out must have shape {shape}, got {out.shape}")
    result = out.reshape(*q.shape[:3], v.shape[3])
    in_place = not out.size or np.may_share_memory(result, out)
    if not in_place or not out.flags.writeable or arguments.readable(operation, "out", out) is not out:
        raise ValueError(
            f"{operation}: out must be writeable, its last axis contiguous and its leading axes of one stride, its "
            f"strides are {out.strides}"
        )
    _checks.no_overlap(operation, out, query=q, key=k, value=v)
    return result


def scaled_dot_product_attention_backward(
    dout, query, key, value, out, lse, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, *,
    causal_offset=0, window=None, softcap=0.0, alibi=None, seed=0, needs=(True, True, True, False),
):  # fmt: skip
    """Gradients of `scaled_dot_product_attention`, which computes the weights anew instead of keeping them.

    Parameters
    ----------
    dout : array (..., Hq, L, Ev)
        Gradient of the result.
    query, key, value : array
        The forward's operands.
    out, lse : array
        Its result, and what it filled, in either shape.
    needs : tuple of bool
        Which gradients are wanted; that of the mask, where it is additive, takes memory for all scores.

    The other arguments are the forward's.

    Returns
    -------
    dquery, dkey, dvalue, dattn_mask : array or None
        None where not wanted; the first three come together. Each lies in memory as what it belongs to.

    Raises
    ------
    TypeError, ValueError
        As the forward; also where dout, out or lse does not have its shape and dtype, or the gradient of a mask is
        wanted that is not additive.

    References
    ----------
    .. [1] Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning", 2023, section 3.1.
    """
    operation = "scaled_dot_product_attention_backward"
    problem = arguments.checked(
        operation, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, causal_offset, window,
        softcap, alibi, seed,
    )  # fmt: skip
    q, k, v = problem.q, problem.k, problem.v
    shape, dtype = (*problem.rows, v.shape[3]), q.dtype
    dout, out = (_like_result(operation, *each, shape, q) for each in (("dout", dout), ("out", out)))
    lse = _checks.floats(operation, "lse", lse)
    _checks.same_dtype(operation, query=q, dout=dout, out=out, lse=lse)
    if lse.shape == problem.rows:
        lse = np.stack((lse, np.zeros_like(lse)))
    elif lse.shape != (2, *problem.rows):
        raise ValueError(f"{operation}: lse must have shape {problem.rows}, with or without a 2 first, got {lse.shape}")
    mask = problem.mask
    if needs[3] and (mask is None or mask.dtype != dtype):
        raise ValueError(f"{operation}: the gradient of a mask needs an additive one, got {attn_mask!r:.60}")
    dmask = np.zeros((*q.shape[:3], k.shape[2]) if needs[3] else (0, 0, 0, 0), dtype)
    dq, dk, dv = (arguments.result_like(x, x.shape[3]) for x in (q, k, v))
    if q.size and k.size:
        parts = backward.parts_of_head(k.shape[0] * k.shape[1], k.shape[2])
        dqs = dq[None] if parts == 1 else np.empty((parts, *q.shape), dtype)
        backward.compiled[dtype](
            dout, q, k, v, out, lse.reshape(2, *q.shape[:3]), problem.rule, dqs, dk, dv, dmask, threads(q, k, v)
        )
        if parts > 1:
            np.sum(dqs, axis=0, out=dq)
    else:
        for gradient in (dq, dk, dv):
            gradient[...] = 0
    if needs[3]:
        dmask = sum_to(dmask.reshape(*problem.rows, k.shape[2]), mask.shape)
    given = ((dq, query), (dk, key), (dv, value))
    gradients = (*(arguments.as_given(dx, np.shape(x), problem.rows) for dx, x in given), dmask)
    return tuple(gradient if wanted else None for gradient, wanted in zip(gradients, needs, strict=True))


def _like_result(operation, name, x, shape, q):
    """`x` as four axes, once it is seen to be of the result's shape."""
    x = arguments.readable(operation, name, x)
    if x.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {x.shape}")
    return x.reshape(*q.shape[:3], shape[-1])
