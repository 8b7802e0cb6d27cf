"""The public functions of attention: validate, allocate, call."""

import numpy as np
from numpy import ndarray

from kernels import _checks
from kernels._threads import threads_for
from kernels.attention import arguments, backward, driver


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
    """For each query the mean of the values, weighted by the softmax of its scores with the keys: ``softmax(scale q kᵀ)
    v``.

    Parameters
    ----------
    query : array (..., Hq, L, E), float32 or float64
    key : array (..., H, S, E)
    value : array (..., H, S, Ev)
        All of one dtype. The axes before the heads broadcast, and without `enable_gqa` the heads, too; with two axes
        there is one head. Any strides are read in place if the last axis is contiguous, else a copy is made.
    attn_mask : array, optional
        Broadcasts to (..., Hq, L, S). Boolean: True where a query may attend to a key. Of the query's dtype: added
        to the scores, -inf where it may not.
    dropout_p : float in [0, 1), default 0
        Weights are set to 0 with this probability, the others scaled by 1 / (1 - dropout_p).
    is_causal : bool, default False
        Query i attends only to keys j <= i + causal_offset. Unlike in PyTorch it may be combined with a mask: both
        hold.
    scale : float, optional
        Factor of the scores; ``1 / sqrt(E)`` if None.
    enable_gqa : bool, default False
        Whether there may be more query heads than key heads, a multiple; each key head then serves Hq / H of them.
    causal_offset : int, default 0
        The position of the first query among the keys: with a cache, how many keys came before.
    window : pair of (int or None), optional
        Query i attends only to keys from ``i + causal_offset - window[0]`` to ``i + causal_offset + window[1]``.
    softcap : float, default 0
        Where positive, scores become ``softcap * tanh(score / softcap)``.
    alibi : array (Hq,), optional
        ``alibi[h] * abs(i + causal_offset - j)`` is subtracted from the scores [2]_ (see `alibi_slopes`).
    seed : int, default 0
        Of the dropout: whether a weight is dropped depends on the seed and the weight's position alone.
    lse : array (..., Hq, L) or (2, ..., Hq, L), optional
        Receives the logarithm of the sum of the exponentials of the scores, which the backward needs. With a leading
        axis of 2 it receives two terms whose sum that is: the largest score, and the logarithm of the sum of
        ``exp(score - largest)``. The sum is rounded at the size of the scores, so the backward is more accurate with
        the terms.
    out : array (..., Hq, L, Ev), optional
        Receives the result; its last axis must be contiguous.

    Returns
    -------
    array (..., Hq, L, Ev)
        Zeros where no key is visible to a query (there lse is -inf). Its axes have the query's order in memory: for a
        query that is a view of (..., L, Hq, E) it is a view of (..., L, Hq, Ev).

    Raises
    ------
    TypeError
        Other dtypes, or different ones; a mask that is neither boolean nor of the query's dtype.
    ValueError
        Leading axes or heads that do not broadcast, widths of queries and keys or lengths of keys and values that
        differ, a width of 0, a mask that does not broadcast, dropout_p, window or softcap out of
        range, an unsuitable `lse` or `out`.

    Notes
    -----
    A NaN or infinity in a key or value affects the queries that attend to it and no others.

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
    options = attn_mask, dropout_p, is_causal, scale, enable_gqa, causal_offset, window, softcap, alibi, seed
    problem = arguments.validated(operation, query, key, value, options)
    q, k, v = problem.q, problem.k, problem.v
    shape = (*problem.rows, v.shape[3])
    if lse is not None:
        terms = (2, *problem.rows)
        _checks.output(operation, lse, terms if np.shape(lse) == terms else problem.rows, q.dtype, "lse")
        if out is not None and np.may_share_memory(lse, out):
            raise ValueError(f"{operation}: lse overlaps out")
        for name, array in _read(problem).items():
            if np.may_share_memory(lse, array):
                raise ValueError(f"{operation}: lse overlaps {name}")
    result = arguments.result_like(q, v.shape[3]) if out is None else _given(operation, out, shape, problem)
    if q.size and k.size:
        saved = driver.NO_LSE[q.dtype]
        if lse is not None:
            saved = (lse if lse.shape == terms else np.empty(terms, q.dtype)).reshape(2, *q.shape[:3])
        driver.compiled[q.dtype](q, k, v, problem.rule, result, saved, threads(q, k, v))
        if lse is not None and lse.shape != terms:
            np.add(*saved.reshape(terms), out=lse)
    else:
        result[...] = 0
        if lse is not None:
            lse[...] = -np.inf
    return result.reshape(shape) if out is None else out


def threads(q, k, v):
    """Number of threads for the two products of the forward."""
    return threads_for(multiply_adds=q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * (q.shape[3] + v.shape[3]))


def _read(problem):
    """The arrays that the loops read, by the names of their parameters."""
    mask = {} if problem.mask is None else {"attn_mask": problem.mask}
    return {"query": problem.q, "key": problem.k, "value": problem.v} | mask


def _given(operation, out, shape, problem):
    """Validate `out` and return it with four axes."""
    q, v = problem.q, problem.v
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
    _checks.no_overlap(operation, out, **_read(problem))
    return result


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
    """Gradients of `scaled_dot_product_attention`; the weights are recomputed, not saved.

    Parameters
    ----------
    dout : array (..., Hq, L, Ev)
        Gradient of the result.
    query, key, value : array
        The forward's operands.
    out, lse : array
        Its result, and what `lse` received, in either shape.
    attn_mask, dropout_p, is_causal, scale, enable_gqa, causal_offset, window, softcap, alibi, seed
        The forward's.
    needs : tuple of bool
        Which gradients are wanted; that of an additive mask takes memory for all scores.

    Returns
    -------
    dquery, dkey, dvalue, dattn_mask : array or None
        With respect to query, key, value and attn_mask; None where not wanted. The first three are computed together.
        Each has its operand's order of axes in memory.

    Raises
    ------
    TypeError, ValueError
        As the forward; also where dout, out or lse has another shape or dtype, or the gradient of a mask is wanted
        that is not additive.

    References
    ----------
    .. [1] Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning", 2023, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scaled_dot_product_attention, scaled_dot_product_attention_backward
    >>> q, k, v = np.zeros((3, 1, 2, 4), np.float32)
    >>> lse = np.empty((2, 1, 2), np.float32)
    >>> out = scaled_dot_product_attention(q, k, v, lse=lse)
    >>> dq, dk, dv, _ = scaled_dot_product_attention_backward(np.ones_like(out), q, k, v, out, lse)
    >>> dv
    array([[[1., 1., 1., 1.],
            [1., 1., 1., 1.]]], dtype=float32)
    """
    operation = "scaled_dot_product_attention_backward"
    options = attn_mask, dropout_p, is_causal, scale, enable_gqa, causal_offset, window, softcap, alibi, seed
    problem = arguments.validated(operation, query, key, value, options)
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
        splits = backward.splits_of_head(k.shape[0] * k.shape[1], k.shape[2])
        dqs = dq[None] if splits == 1 else np.empty((splits, *q.shape), dtype)
        results, gradients = (dout, out, lse.reshape(2, *q.shape[:3])), (dqs, dk, dv, dmask)
        backward.compiled[dtype]((q, k, v), problem.rule, results, gradients, threads(q, k, v))
        if splits > 1:
            np.sum(dqs, axis=0, out=dq)
    else:
        for gradient in (dq, dk, dv):
            gradient[...] = 0
    if needs[3]:
        dmask = arguments.summed(dmask, (*problem.rows, k.shape[2]), mask.shape)
    given = ((dq, query), (dk, key), (dv, value))
    gradients = (*(arguments.as_given(dx, np.shape(x), problem.rows) for dx, x in given), dmask)
    return tuple(gradient if wanted else None for gradient, wanted in zip(gradients, needs, strict=True))


def _like_result(operation, name, x, shape, q):
    """Validate that `x` has the result's shape, and return it with four axes."""
    x = arguments.readable(operation, name, x)
    if x.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {x.shape}")
    return x.reshape(*q.shape[:3], shape[-1])
